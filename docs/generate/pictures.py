"""The sample report, and its picture on the first page: the top of it, as a browser shows it.

``python -m generate.pictures demo-output/report.html`` needs Chromium. Files of the project are not beside the sample: links to
them become plain text.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1]
SAMPLE, PICTURE = DOCS / "samples" / "digits-report.html", DOCS / "images" / "report.png"
WIDTH, HEIGHT = 1200, 640


def main(report: str) -> int:
    """Write the sample of a report, and its picture; 1 if there is no browser."""
    text = Path(report).read_text(encoding="utf-8")
    SAMPLE.write_text(re.sub(r'<a href="\./[^"]*">(.*?)</a>', r"\1", text), encoding="utf-8")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.stderr.write(f"{PICTURE} is left as it is: no Chromium found\n")
        return 1
    command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
    subprocess.run([*command, f"--screenshot={PICTURE}", SAMPLE.as_uri()], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
