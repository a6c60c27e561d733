"""Runs the designs of this folder with the vendors' tools that are on PATH: ``python3 run.py``, or ``python3 run.py vivado``.

Send the folder back, or read it where bitsmith is: ``bitsmith vendor-check DIR --read``.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(folder: Path, tools: list[str]) -> int:
    """Run all projects of ``tools``, or all; return how many failed."""
    failed = 0
    for project in json.loads((folder / "kit.json").read_text(encoding="utf-8"))["projects"]:
        if tools and project["tool"] not in tools:
            continue
        place = folder / project["tool"] / project["design"]
        makefile = (place / project["makefile"]).read_text(encoding="utf-8")
        missing = [
            name for name in re.findall(r"^[A-Z0-9_]+ \?= (\S+)$", makefile, re.MULTILINE) if not shutil.which(name)
        ]
        name = f"{project['tool']}, {project['design']}"
        if missing:
            say(f"{name}: not run, not on PATH: {', '.join(missing)}")
            continue
        say(f"{name}: running")
        began, clock = time.strftime("%Y-%m-%d %H:%M:%S"), time.monotonic()
        log = place / "run.log"
        with log.open("wb") as out:
            code = subprocess.call(["make", "-f", project["makefile"]], cwd=place, stdout=out, stderr=subprocess.STDOUT)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        error = (
            ""
            if code == 0
            else next((line for line in lines if re.search(r"error", line, re.IGNORECASE)), "no error is said")
        )
        document = {
            "digest": project["digest"],
            "code": code,
            "seconds": time.monotonic() - clock,
            "began": began,
            "error": error,
        }
        (place / "ran.json").write_text(json.dumps(document), encoding="utf-8", newline="\n")
        failed += code != 0
        say(f"{name}: {'done' if code == 0 else f'failed: {error}'}")
    return failed


if __name__ == "__main__":
    sys.exit(1 if run(Path(__file__).resolve().parent, sys.argv[1:]) else 0)
