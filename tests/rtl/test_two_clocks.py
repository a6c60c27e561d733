"""Circuits on a clock of their own: the FIFO between two clocks, and whole wrappers with unlike clocks, phases and resets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bitsmith.rtl.clock_wrapper import quartus_constraints, vivado_constraints
from bitsmith.rtl.interface import prefix
from bitsmith.rtl.library import CLOCK_LIBRARY, library
from bitsmith.rtl.names import Wrapper
from tests.hls.rules.book import book
from tests.hls.rules.tcl import tool_commands
from tests.properties import JUDGED, few
from tests.rtl.bench import compile_bench, run_bench
from tests.rtl.circuits import lint
from tests.rtl.wrapped import TWO_CLOCKS, board, expected, inputs_of, load_driver, made, save

_SKEW = r"^set_(?:bus|max)_skew .*?(\w+_fifo)[/|](\w+?)(?:_reg)?\[\*\].*?_fifo[/|](\w+?)(?:_reg)?\["
_DELAY = r"^set_max_delay -datapath_only -from \[get_cells \{(\w+)/(\w+)_reg"
PERIODS = ((40, 40), (40, 41), (17, 60), (60, 17), (8, 90), (90, 8))


@few("bits", [4, 2], fast=0, judged=True)
def test_no_word_is_lost_doubled_or_out_of_order(bits: int, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in CLOCK_LIBRARY]
    for path in paths:
        path.write_text(library([path.name])[path.name])
    checked = Path(__file__).parent / "async_fifo_checked.sv"
    sources = [*paths, checked]
    compile_bench(tmp_path, "async_fifo_bench.cpp", "async_fifo_checked", sources, {"WIDTH": 16, "ADDRESS_BITS": bits})
    for seed, (come, go) in enumerate(PERIODS):
        fullest, taken, full, empty, resets = map(int, run_bench(tmp_path, seed, come, go, 1 << bits, 500_000, 0))
        assert fullest in (1 << bits, (1 << bits) + 1), (come, go)
        assert min(full, empty, resets) > 1, (come, go)
        assert taken > 500_000 / max(come, go) / 20, (come, go)
        _, _, full, empty, _ = map(int, run_bench(tmp_path, seed, come, go, 1 << bits, 500_000, 1))
        if bits == 4 and come != go:  # the slower side never waits
            assert (full if come > go else empty) == 0, (come, go)


@pytest.mark.parametrize("kind", ["pipeline", "streams", "loads", "weights", "outside"])
def test_wrappers_lint_clean(kind: str, tmp_path: Path) -> None:
    each = made(kind)
    lint(save(tmp_path, each, CLOCK_LIBRARY, "net_cdc.sv"), "net_cdc")


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        pytest.param("streams", 1, marks=JUDGED),
        *(pytest.param(kind, seed, marks=JUDGED) for kind in ("pipeline", "stream") for seed in (2, 3, 4)),
    ],
)
def test_frames_and_resets_of_either_side(kind: str, seed: int, tmp_path: Path) -> None:
    each = made(kind)
    driver = load_driver(tmp_path, each)
    x = inputs_of(each.program, 4, seed)
    want = expected(each.program, x)
    data = driver.pack(x)
    sizes = [4 * stream.tokens * stream.token_bytes for stream in driver.OUTPUTS]
    with board(
        tmp_path, each.interface, save(tmp_path, each, CLOCK_LIBRARY, "net_cdc.sv"), seed, TWO_CLOCKS
    ) as simulated:
        for side in (0, 4, 0, 4, None):
            simulated.step(200)
            for have, wanted in zip(driver.unpack(simulated.exchange(data, sizes)), want, strict=True):
                np.testing.assert_array_equal(have, wanted)
            if side is not None:  # in the middle of a frame
                part = [each[: 3 * stream.token_bytes] for each, stream in zip(data, driver.INPUTS, strict=True)]
                simulated.exchange(part, [0] * len(sizes))
                simulated.write(side, 0)


def test_every_register_that_crosses_is_constrained() -> None:
    """In the rule books of both tools; and each FIFO and reset of the module has its lines."""
    each = made("streams")
    module = each.extras[f"rtl/{Wrapper.CDC.of(each.top)}.sv"]
    fifos = re.findall(r"bitsmith_async_fifo #\(\.WIDTH\(\d+\)\) (\w+) ", module)
    resets = re.findall(r"bitsmith_reset_sync (\w+) ", module)
    ports = [prefix("s_axis", port) for port in each.interface.inputs]
    ports += [prefix("m_axis", port) for port in each.interface.outputs]
    assert fifos == [f"{port}_fifo" for port in ports]
    library_text = library(CLOCK_LIBRARY)["bitsmith_async_fifo.sv"]
    crossings = re.findall(r"(\w+)_meta <= \1;", library_text)
    assert sorted(crossings) == ["in_gray", "out_gray"]
    texts = {"vivado_system": vivado_constraints(each.interface), "quartus_prime": quartus_constraints(each.interface)}
    for tool, text in texts.items():
        problems = [book(tool).command_refusal(each.words, f"{tool}:{each.line}") for each in tool_commands(text)]
        assert not any(problems), "\n".join(filter(None, problems))
        skews = re.findall(_SKEW, text, re.MULTILINE)
        assert sorted(skews) == sorted((fifo, name, f"{name}_meta") for fifo in fifos for name in crossings)
        cut = "".join(line for line in text.splitlines() if "set_false_path" in line)
        wanted = [(name, register) for name in resets for register in ("chain", "last")]
        assert sorted(re.findall(r"(\w+)[/|](chain|last)", cut)) == sorted(wanted)
    delays = re.findall(_DELAY, texts["vivado_system"], re.MULTILINE)
    assert sorted(delays) == sorted((fifo, name) for fifo in fifos for name in (*crossings, "memory"))
