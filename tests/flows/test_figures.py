"""Tools that lie about what they have made: each lie is one error, and never a figure."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import BitsmithError, ToolFailedError, VerificationError
from bitsmith.flows.cosim import Cosimulation, StreamShape
from bitsmith.flows.figures import counted, measured
from bitsmith.flows.nextpnr import OutOfContext
from bitsmith.flows.tools import FoundTool, Origin
from bitsmith.flows.yosys import Synthesis

TOOL = FoundTool("tool", Path("tool"), "1.0", Origin.PATH)
DEEP = "[" * 100_000 + "]" * 100_000
LIES = ("NaN", "Infinity", "-Infinity", "-5", "1e999", "1" * 5000, "null", '"x"', "[]", "{}", "true", DEEP)
MORE = ("1.5", "1e300", '"-5"', '"nan"', '"inf"')
"""What some figures may be."""

GOOD = {
    "cells": {"design": {"num_cells_by_type": {"LUT4": 5, "TRELLIS_FF": 7}}},
    "report": {
        "fmax": {"clk": {"achieved": 125.0}},
        "utilization": {"TRELLIS_FF": {"used": 7, "available": 83640}},
        "critical_paths": [
            {
                "from": "posedge clk",
                "to": "posedge clk",
                "path": [{"delay": 1.5, "from": {"cell": "a"}, "to": {"cell": "b"}}],
            }
        ],
    },
    "measured": {"latency": 3, "interval": 1},
}


def read_cells(folder: Path) -> list[float]:
    found = Synthesis("ecp5", "net", (), ECP5, parts=("fc",)).read(folder, (TOOL,))
    return [found.lut, found.ff, *found.cells.values(), *(part.lut for part in found.parts.values())]


def read_report(folder: Path) -> list[float]:
    found = OutOfContext("n.json", resolve_part("LFE5U-85F"), 100.0, ()).read(folder, (TOOL,))
    return [found.fmax_mhz, found.clock_period_ns, *(number for pair in found.utilization.values() for number in pair)]


def read_streams(folder: Path) -> list[float]:
    shape = StreamShape("x", 32, 1)
    flow = Cosimulation("net", (), (shape,), (shape,), (np.zeros((2, 1, 1), np.uint32),), True, least_frames=2)
    found = flow.read(folder, (TOOL,))
    peaks = [number for pair in found.peaks.values() for number in pair]
    return [
        found.latency_cycles,
        found.ii_cycles,
        *peaks,
        *(one for words in found.outputs for one in words.ravel().tolist()),
    ]


READERS: dict[str, tuple[str, str, Callable[[Path], list[float]]]] = {
    "yosys": ("cells", "synth/ecp5/cells.json", read_cells),
    "nextpnr": ("report", "pnr/report.json", read_report),
    "streams": ("measured", "cosim/measured.json", read_streams),
}


def honest(folder: Path) -> None:
    """Files of tools that tell the truth."""
    for kind, path, _ in READERS.values():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(GOOD[kind]))
    for cell in Synthesis("ecp5", "net", (), ECP5)._counted:
        (folder / "synth" / "ecp5" / f"{cell}.names").write_text("net/fc.a\n")
    (folder / "cosim" / "run.log").write_text("top.fifo peak 1 of 2\n")
    (folder / "cosim" / "responses.bin").write_bytes(bytes(8))


def texts(good: object) -> Iterator[str]:
    """The JSON with each of its parts in turn replaced by a lie, or left out."""
    yield from LIES
    if isinstance(good, dict | list):
        for key in list(good) if isinstance(good, dict) else range(len(good)):
            for text in (*texts(good[key]), *MORE):  # type: ignore[index]
                # What cannot be written by json.dumps, such as a list of 100,000 levels, takes the place of a mark.
                marked = {**good, key: "@"} if isinstance(good, dict) else [*good[:key], "@", *good[key + 1 :]]
                yield json.dumps(marked).replace('"@"', text)
            yield json.dumps({k: v for k, v in good.items() if k != key} if isinstance(good, dict) else good[:-1])


@pytest.mark.parametrize("tool", READERS)
def test_lies_in_figures(tmp_path: Path, tool: str) -> None:
    honest(tmp_path)
    kind, path, read = READERS[tool]
    assert read(tmp_path)
    refused = 0
    for text in dict.fromkeys(texts(GOOD[kind])):
        (tmp_path / path).write_text(text)
        try:
            figures = read(tmp_path)
        except (ToolFailedError, VerificationError) as error:
            assert path in str(error) and len(str(error)) < 1000
            refused += 1
        else:
            assert all(0 <= number < math.inf for number in figures)
    assert refused > 20


@pytest.mark.parametrize("tool", READERS)
def test_files_that_are_none(tmp_path: Path, tool: str) -> None:
    honest(tmp_path)
    folder, read = (tmp_path / READERS[tool][1]).parent, READERS[tool][2]
    for path in sorted(folder.iterdir()):
        kept = path.read_bytes()
        for make in (Path.unlink, Path.mkdir, Path.rmdir, os.mkfifo, Path.unlink):
            make(path)
            if not path.is_file() and make is not Path.rmdir:
                _refused_or_unread(read, tmp_path)
        for content in (b"", b"\xff\xfe" * 3, b"x" * 7):
            path.write_bytes(content)
            _refused_or_unread(read, tmp_path)
        path.write_bytes(kept)


def _refused_or_unread(read: Callable[[Path], list[float]], folder: Path) -> None:
    try:
        assert all(0 <= number < math.inf for number in read(folder))
    except BitsmithError as error:
        assert isinstance(error, ToolFailedError)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "x", None, True, [], 10**400, 2**53 + 2, 0.5])
def test_no_counts(value: object) -> None:
    with pytest.raises((ValueError, OverflowError)):
        counted(value)
    if value not in (2**53 + 2, 0.5):
        with pytest.raises((ValueError, OverflowError)):
            measured(value)
