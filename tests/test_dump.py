"""BITSMITH_DUMP writes what is between the steps."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.compiler import compile_network
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir.text import parse, to_text
from bitsmith.layers.dense import Dense
from bitsmith.mapping.directives import Directives
from bitsmith.rtl.writer import Title
from tests.layers.lowered import network_of
from tests.netlist.reading import parse as parse_netlist

NETWORK = network_of(Dense(np.array([[0.5], [-1.0]]), np.array([0.25])), [(2,)])
PASSES = [f"program-{name}" for name in ("fold_constants", "fold_offsets", "reduce_widths", "share", "drop_dead")]


def build(directives: Directives) -> None:
    circuit(compile_network(NETWORK).program, directives, ECP5.delays, 5.0, "top", Title("bitsmith", "0"))


def dumped(folder: Path) -> dict[str, str]:
    """Texts by name, in order of their numbers."""
    return {path.stem[4:]: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


def test_every_step_of_a_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITSMITH_DUMP", str(tmp_path / "texts"))
    build(Directives({}, parallel=True))
    texts = dumped(tmp_path / "texts")
    assert list(texts) == ["network", "network-laid-out", "program", *PASSES, "netlist", "stages"]
    assert [path.name[:4] for path in sorted((tmp_path / "texts").iterdir())] == [f"{k:03}-" for k in range(10)]
    assert "layer (1) = Dense x0 kernel=float64[2x1] bias=float64[1]\n" in texts["network"]
    assert to_text(parse(texts["program"])) == texts["program"]
    assert len(parse_netlist(texts["netlist"]).outputs) == 1
    assert re.search("^stage 0: %0 %1", texts["stages"], re.MULTILINE)


def test_schedule_of_a_token_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITSMITH_DUMP", str(tmp_path))
    build(Directives({}, parallel=False))
    assert re.match(r"latency \d+, interval \d+.*\nfifo ", dumped(tmp_path)["schedule"])


def test_nothing_is_written_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BITSMITH_DUMP", raising=False)
    monkeypatch.chdir(tmp_path)
    build(Directives({}, parallel=True))
    assert not list(tmp_path.iterdir())
