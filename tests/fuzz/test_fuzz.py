"""Files that were found by fuzzing, and that fuzzing finds what it looks for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from tests.fuzz import run
from tests.fuzz.mutate import changed_message, mutated
from tests.fuzz.readers import CASE, FUZZED, Reader

_CORPUS = Path(__file__).parent / "corpus"
_KEPT = sorted(path.relative_to(_CORPUS).as_posix() for path in _CORPUS.glob("*/*"))


@pytest.mark.parametrize("kept", _KEPT)
def test_what_was_found_is_mended(kept: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(_CORPUS / kept, tmp_path / CASE))
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.suffix not in (".json", ".yml")
    )
    assert run.complaint(FUZZED[kept.partition("/")[0]], files[0]) is None


def _raises(path: Path) -> object:
    return {}[path.read_text()]


def _waits(path: Path) -> object:
    while path.exists():
        pass
    return None


def _fills(path: Path) -> object:
    return np.ones(1 << 30)


# Where other tests of this process have used JAX, it warns of every fork; here the child never calls it.
@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(run.signal, "SIGXCPU"), reason="a system without limits of processor time")
@pytest.mark.parametrize(
    ("read", "message"), [(_raises, "KeyError at ?"), (_waits, "is killed by SIGXCPU"), (_fills, "MemoryError at ?")]
)
def test_findings_are_told_and_kept(
    read: Callable[[Path], object],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "SECONDS", 0)
    seeds = [{"a.txt": b"text"}]
    monkeypatch.setattr(run, "FUZZED", {"any": Reader(lambda: iter(seeds), read)})
    findings = run.Findings(tmp_path)
    assert run.fuzz("any", seeds, ["1"], findings) == 1
    assert [*findings.seen] == [f"any: {message}"]
    assert message in capsys.readouterr().out
    (kept,) = tmp_path.glob("any/*/a.txt")
    assert kept.read_bytes() == run.make_case(seeds, "1")["a.txt"]


@pytest.mark.parametrize("name", ["a.json", "a.yml", "a.keras", "a.onnx", "a.tflite", "a.h5", "a.rpt"])
def test_mutations_change_any_content(name: str) -> None:
    for content in (b"", b"{}", b'{"a": [1, {"b": null}]}', bytes(range(256))):
        assert len({mutated(name, content, Random(seed)) for seed in range(40)}) > 5


def test_fields_of_messages_are_changed_at_any_depth() -> None:
    content = b"\x0a\x06\x0a\x04\x08\x01\x10\x02\x18\x03"
    found = {changed_message(content, Random(seed)) for seed in range(2000)}
    assert b"\x0a\x04\x0a\x02\x10\x02\x18\x03" in found  # without the first of the inmost, and all sizes right


def test_values_that_hold_themselves_are_changed_too() -> None:
    assert mutated("a.yml", b"a: &a [*a]", Random(0))


@pytest.mark.parametrize("name", FUZZED)
def test_there_are_cases_to_begin_with(name: str, tmp_path: Path) -> None:
    """The first of each reader, which takes it."""
    case = next(FUZZED[name].seeds())
    assert run.complaint(FUZZED[name], run.written(case, tmp_path / CASE)) is None
