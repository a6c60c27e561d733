"""The picture of a report on the first page: the top of ``docs/samples/digits-report.html``, as a browser shows it.

``python -m generate.pictures docs/images/report.png`` needs Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "samples" / "digits-report.html"
WIDTH, HEIGHT = 1200, 640


def main(picture: str) -> int:
    """Write the picture; 1 if there is no browser."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.stderr.write(f"{picture} is left as it is: no Chromium found\n")
        return 1
    command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
    subprocess.run([*command, f"--screenshot={Path(picture).resolve()}", SAMPLE.as_uri()], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
