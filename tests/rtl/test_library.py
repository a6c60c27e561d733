"""The hand-written modules: traffic against models, and lint by two front ends."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bitsmith.rtl.bus_wrappers import pipeline_streams
from bitsmith.rtl.library import (
    BEATS_LIBRARY,
    COUNTERS_LIBRARY,
    FAULTS_LIBRARY,
    KERNEL_LIBRARY,
    MEMORY_LIBRARY,
    RANGES_LIBRARY,
    SPANS_LIBRARY,
    STREAM_LIBRARY,
    TERNARY_LIBRARY,
    library,
)
from tests.flows.designs import Design, passthrough, random_words
from tests.properties import JUDGED
from tests.rtl.bench import compile_bench, run_bench, write_sources
from tests.rtl.circuits import lint


def test_every_library_file_is_read() -> None:
    import bitsmith.rtl

    folder = Path(bitsmith.rtl.__file__).parent / "lib"
    parts = (
        STREAM_LIBRARY,
        BEATS_LIBRARY,
        MEMORY_LIBRARY,
        TERNARY_LIBRARY,
        FAULTS_LIBRARY,
        COUNTERS_LIBRARY,
        RANGES_LIBRARY,
        SPANS_LIBRARY,
        KERNEL_LIBRARY,
    )
    assert set(library()).union(*parts) == {path.name for path in folder.iterdir()}


def test_ports_are_connected_by_name() -> None:
    """No manual of Lattice's synthesis says that it takes ``.*``."""
    import bitsmith.rtl

    texts = [path.read_text(encoding="utf-8") for path in Path(bitsmith.rtl.__file__).parent.rglob("*.sv")]
    assert any(".clk(clk)" in text for text in texts)
    assert not [text for text in texts if re.search(r"[(,]\s*\.\*", text)]


def axis_design(folder: Path, in_width: int, out_width: int, latency: int) -> Design:
    design = passthrough(in_width, out_width, latency)
    wrapper = pipeline_streams(design.interface, "net")
    sources = write_sources(folder, {"net.sv": design.source, "net_axis.sv": wrapper})
    compile_bench(folder, "axis_bench.cpp", "net_axis", sources)
    return design


def run_axis(folder: Path, design: Design, samples: int, in_stall: int, out_stall: int) -> tuple[int, int]:
    """Random words through the wrapper, padding bits random too; (cycles first to last output, latency)."""
    rng = np.random.default_rng(samples + in_stall + 9 * out_stall)
    words = random_words(rng, samples, design.in_width)
    tdata = random_words(rng, samples, 8 * -(-design.in_width // 8))
    if design.in_width % 32:
        mask = np.uint32((1 << (design.in_width % 32)) - 1)
        tdata[:, -1] = (tdata[:, -1] & ~mask) | words[:, -1]
        tdata[:, :-1] = words[:, :-1]
    else:
        tdata = words
    last = rng.integers(0, 2, (samples, 1), dtype=np.uint32)
    np.hstack([tdata, last]).astype("<u4").tofile(folder / "stimuli.bin")
    printed = run_bench(folder, "stimuli.bin", "responses.bin", samples, in_stall, out_stall, 3)
    responses = np.fromfile(folder / "responses.bin", dtype="<u4").reshape(samples, -1)
    assert np.array_equal(responses, np.hstack([design.reference(words), last]))
    return int(printed[0]), int(printed[1])


@pytest.mark.parametrize(
    ("in_width", "out_width", "latency"),
    [(13, 21, 5), pytest.param(64, 8, 1, marks=JUDGED), pytest.param(7, 65, 30, marks=JUDGED)],
)
def test_axi_stream_keeps_everything_under_stalls(tmp_path: Path, in_width: int, out_width: int, latency: int) -> None:
    design = axis_design(tmp_path, in_width, out_width, latency)
    for in_stall, out_stall in ((0, 4), (4, 0), (5, 5), (2, 6), (7, 1)):
        run_axis(tmp_path, design, 800, in_stall, out_stall)
    between, until_first = run_axis(tmp_path, design, 500, 0, 0)
    assert between == 499  # a sample in every cycle
    assert until_first == latency + 1


@pytest.mark.parametrize(("in_width", "out_width", "latency"), [(1, 1, 1), (8, 16, 2), (13, 21, 6), (130, 9, 3)])
def test_lint_clean(tmp_path: Path, in_width: int, out_width: int, latency: int) -> None:
    design = passthrough(in_width, out_width, latency)
    wrapper = pipeline_streams(design.interface, "net")
    sources = write_sources(tmp_path, {"net.sv": design.source, "net_axis.sv": wrapper})
    below = {"net", "net_axis", "bitsmith_axis", "bitsmith_fifo", "bitsmith_ram"}
    sources = [source for source in sources if source.stem in below]
    lint(sources, "net_axis")
