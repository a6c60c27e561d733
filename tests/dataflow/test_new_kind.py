"""A new kind of process touches four files: its class, and those that the type checker then names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bitsmith

ROOT = Path(__file__).parents[2]
KINDS = "dataflow/kinds.py"
RECORD = '''

@dataclass(frozen=True, slots=True)
class Negate:
    """Tokens of the other sign."""

    logic: ClassVar[Logic] = NO_LOGIC
    memories = no_memories

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [objects(-tokens[0])]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return single([counted(takes[0].tokens)], [counted(takes[0].tokens)])


Kind: TypeAlias = (
    Negate
    | Boundary
'''


@pytest.mark.slow
def test_the_type_checker_names_the_files(tmp_path: Path) -> None:
    package = tmp_path / "bitsmith"
    shutil.copytree(Path(bitsmith.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (package / KINDS).read_text(encoding="utf-8")
    assert text.count("\n\nKind: TypeAlias = (\n    Boundary\n") == 1
    (package / KINDS).write_text(text.replace("\n\nKind: TypeAlias = (\n    Boundary\n", RECORD), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", "cache", "bitsmith"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    named = re.findall(r'^bitsmith/(\S+?):\d+: error: .*"assert_never" .*"Negate"', done.stdout, re.MULTILINE)
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    row = next(line for line in contributing.splitlines() if line.startswith("| a kind of process |"))
    assert len(set(named)) == 3
    assert {KINDS, *named} == set(re.findall(r"`src/bitsmith/([^`]+\.py)`", row)), done.stdout
