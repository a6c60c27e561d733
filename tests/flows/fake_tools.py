"""Programs on PATH that stand in for vendors' tools: they note how they were called and do what a test says."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

_SCRIPT = """\
#!{python} -S
import json, os, pathlib, re, shutil, sys, time
name, arguments, stage = pathlib.Path(sys.argv[0]).name, sys.argv[1:], os.environ.get("BITSMITH_STAGE", "")
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([name, arguments, os.getcwd(), stage]) + "\\n")
for output in json.loads({outputs!r}).get(json.dumps([name, arguments, stage]), []):
    pathlib.Path(output).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(sys.argv[0], output)  # a program, too, for a later call to start
{body}
"""


@dataclass(frozen=True, slots=True)
class Called:
    """One call of a fake: its name, arguments, folder, and the stage that the environment names."""

    name: str
    arguments: tuple[str, ...]
    cwd: Path
    stage: str


class FakeTools:
    """A folder that comes first on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._calls = folder / "calls.jsonl"
        folder.mkdir(parents=True)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def add(self, name: str, body: str = "", outputs: Mapping[str, list[str]] | None = None) -> Path:
        """A program that notes its call, makes the ``outputs`` of that call, and then runs ``body`` (Python)."""
        path = self.folder / name
        text = _SCRIPT.format(
            python=sys.executable, calls=str(self._calls), outputs=json.dumps(dict(outputs or {})), body=body
        )
        path.write_text(text)
        path.chmod(0o755)
        return path

    def calls(self) -> list[Called]:
        """All calls so far, forgetting them."""
        if not self._calls.exists():
            return []
        lines = self._calls.read_text().splitlines()
        self._calls.unlink()
        return [
            Called(name, tuple(arguments), Path(cwd), stage)
            for name, arguments, cwd, stage in (json.loads(line) for line in lines)
        ]
