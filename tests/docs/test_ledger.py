"""The page of published networks is what the ledger's results say."""

from __future__ import annotations

import gzip
import importlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import helper

from bitsmith.devices.ecp5 import ECP5
from bitsmith.flows.yosys import Resources

ROOT = Path(__file__).parents[2]
TWO_FLIP_FLOPS = Resources(0, 2, 0, 0, {}, 0, {}, "Yosys")


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, whose neighbors it imports by name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("ledger")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("script", ["circuits", "ledger", "submissions", "folding", "fidelity", "speed"])
def test_scripts_start_in_any_folder(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that use helpers of tests: only their own folder is on Python's path."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    command = [sys.executable, str(ROOT / "benchmarks" / f"{script}.py"), "--help"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "usage:" in ended.stdout


def test_results_are_of_the_list(ledger: ModuleType) -> None:
    listed, known = [network.sha256 for network in ledger.listed()], ledger.known()
    assert len(set(listed)) == len(listed)
    assert set(known) <= set(listed)
    assert all(row.equal == 1.0 and row.bram == 0 for row in known.values())


def test_a_network_has_one_line(ledger: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(ledger.known().values())[:3]
    monkeypatch.setattr(ledger, "RESULTS", tmp_path / "results.tsv")
    for row in (*rows, newer := replace(rows[1], paced_lut=rows[1].paced_lut + 1)):
        ledger.keep(row)
    assert list(ledger.known().values()) == [rows[0], newer, rows[2]]


def test_the_page_has_the_results(ledger: ModuleType, tmp_path: Path) -> None:
    page = ROOT / "docs" / "records.md"
    shutil.copy(page, tmp_path)
    (tmp_path / "images").mkdir()
    ledger.page(tmp_path)
    assert (tmp_path / page.name).read_text() == page.read_text(), "renew it: python benchmarks/ledger.py --page docs"


def test_the_page_has_the_submissions(ledger: ModuleType, tmp_path: Path) -> None:
    submissions, page = importlib.import_module("submissions"), ROOT / "docs" / "records.md"
    listed, known = [entry.key for entry in submissions.listed()], submissions.known()
    assert len(set(listed)) == len(listed) and set(known) <= set(listed)
    assert known and all(row.equal == 1.0 for row in known.values())
    shutil.copy(page, tmp_path)
    submissions.page(tmp_path)
    assert (tmp_path / page.name).read_text() == page.read_text(), "renew it: benchmarks/submissions.py --page docs"


def test_a_test_set_has_the_sizes_that_its_file_says(ledger: ModuleType) -> None:
    head = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (2, 3, 2))
    images = ledger.array_of(gzip.compress(head + bytes(range(12))))
    assert images.tolist() == np.arange(12).reshape(2, 3, 2).tolist()
    with pytest.raises(FileNotFoundError, match="test set"):
        ledger.array_of(None)


def test_a_file_ends_at_a_tensor(ledger: ModuleType, tmp_path: Path) -> None:
    steps = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Softmax", ["y"], ["z"])]
    first, inner, last = (helper.make_tensor_value_info(name, 1, [1, 2]) for name in "xyz")
    graph = helper.make_graph(steps, "g", [first], [last], value_info=[inner])
    onnx.save(helper.make_model(graph), tmp_path / "whole.onnx")
    cut = onnx.load(ledger.ended(tmp_path / "whole.onnx", "y")).graph
    assert [node.op_type for node in cut.node] == ["Relu"]
    assert [entry.name for entry in cut.output] == ["y"]


def test_a_circuit_is_counted_once(ledger: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rivals = importlib.import_module("against_rivals")
    counted: list[str] = []

    def execute(_: object, folder: Path) -> Resources:
        counted.append((folder / "top.v").read_text())
        return Resources(len(counted), 2, 0, 0, {}, 0, {}, "Yosys")

    for name, instead in (("COUNTS", tmp_path / "counts"), ("execute", execute), ("require", lambda tools: tools)):
        monkeypatch.setattr(rivals, name, instead)
    for text, luts in (("one", 1), ("two", 2), ("one", 1)):
        (tmp_path / "top.v").write_text(text)
        assert rivals.synthesized(tmp_path, ("top.v",), ECP5) == (replace(TWO_FLIP_FLOPS, lut=luts), 0.0)
    assert counted == ["one", "two"]
