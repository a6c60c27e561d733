"""The sample exploration with its picture, and the sample report with its own on the first page: its first parts in a browser.

``python -m generate.pictures demo-output/report.html`` needs Chromium. Files of the project are not beside the sample: links to
them become plain text.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np

import bitsmith

DOCS = Path(__file__).parents[1]
SAMPLE = DOCS / "samples" / "digits-report.html"
PICTURES = {"report.png": (1200, 692, "section ~ section"), "report-narrow.png": (400, 638, "section, .detail")}
"""Width and height of each, and what of the report it leaves out; narrow screens show the second."""


def main(report: str) -> int:
    """Write the samples and their pictures; 1 if there is no browser."""
    explore()
    text = Path(report).read_text(encoding="utf-8")
    SAMPLE.write_text(re.sub(r'<a href="\./[^"]*">(.*?)</a>', r"\1", text), encoding="utf-8")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.stderr.write("The pictures are left as they are: no Chromium found\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        shortened = Path(folder) / "report.html"
        for name, (width, height, hidden) in PICTURES.items():
            shortened.write_text(
                SAMPLE.read_text(encoding="utf-8") + f"<style>{hidden} {{ display: none; }}</style>", encoding="utf-8"
            )
            command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
            command += ["--force-device-scale-factor=2"] if width < 500 else []
            subprocess.run([*command, f"--screenshot={DOCS / 'images' / name}", shortened.as_uri()], check=True)
    return 0


def explore() -> None:
    """Write the page and the picture of the circuits that ``docs/choose-bits.md`` shows."""
    models = resources.files("bitsmith") / "data" / "models"
    with resources.as_file(models) as folder, np.load(folder / "digits_test.npz") as data:
        x, labels = data["inputs"], data["labels"]
        found = bitsmith.explore(folder / "digits.keras", calibration=x, test=(x, labels), part="LFE5U-25F")
    with tempfile.TemporaryDirectory() as written:
        page = found.write(written)
        shutil.copy(page, DOCS / "samples" / "digits-exploration.html")
        shutil.copy(page.with_suffix(".svg"), DOCS / "images" / "exploration.svg")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
