"""The modules that read and write memory, by themselves against models of a few lines with random traffic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from bitsmith.errors import ToolFailedError
from bitsmith.rtl.library import MEMORY_LIBRARY, SPANS_LIBRARY, library
from tests.properties import JUDGED
from tests.rtl.bench import compile_bench, run_bench

pytestmark = [*JUDGED]


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        ("memory_read", {"BEAT": 8, "WORD": 32}),
        ("memory_read", {"BEAT": 8, "WORD": 32, "ROUND": 20}),
        ("memory_read", {"BEAT": 8, "WORD": 32, "ROUND": 200}),
        ("memory_write", {"BEAT": 8, "WORD": 32}),
        ("memory_control", {"STREAMS": 2}),
    ],
)
def test_against_a_model(tmp_path: Path, module: str, parameters: dict[str, int]) -> None:
    names = [f"bitsmith_{module}.sv", "bitsmith_fifo.sv", "bitsmith_ram.sv"]
    texts = library((*MEMORY_LIBRARY, *names))
    for name in names:
        (tmp_path / name).write_text(texts[name])
    sources = [tmp_path / name for name in names[: 1 if module == "memory_control" else None]]
    compile_bench(tmp_path, f"{module}_bench.cpp", f"bitsmith_{module}", sources, parameters)
    for seed in range(3):
        counts = run_bench(tmp_path, 20_000, seed, parameters.get("ROUND", 0))
        assert all(int(count) > 20 for count in counts)


BROKEN_RULES = [
    ("memory_read", "m_axi_arvalid & ~m_axi_arready", "1'b0", "VALID falls"),
    ("memory_write", "(m_axi_awvalid & ~m_axi_awready)", "1'b0", "VALID falls"),
    ("memory_write", "left == 5'd1", "left == 5'd2", "WLAST"),
    ("memory_write", "left != '0;", "(left != '0) & s_tvalid;", "VALID falls"),
]
"""A module, text of it that another replaces, and what the rules of AXI then say."""


@pytest.mark.parametrize(("module", "text", "other", "what"), BROKEN_RULES)
def test_broken_rules_of_axi_are_named(tmp_path: Path, module: str, text: str, other: str, what: str) -> None:
    texts = library((*MEMORY_LIBRARY, "bitsmith_fifo.sv", "bitsmith_ram.sv"))
    names = [f"bitsmith_{module}.sv", "bitsmith_fifo.sv", "bitsmith_ram.sv"]
    assert texts[names[0]].count(text) == 1
    for name in names:
        (tmp_path / name).write_text(texts[name].replace(text, other))
    parameters = {"BEAT": 8, "WORD": 32}
    compile_bench(
        tmp_path, f"{module}_bench.cpp", f"bitsmith_{module}", [tmp_path / name for name in names], parameters
    )
    with pytest.raises(ToolFailedError, match=what):
        run_bench(tmp_path, 20_000, 0, 0)


def compiled(
    folder: Path, beat: int, beats: int, spans: Sequence[tuple[int, int]], mutant: tuple[str, str] = ("", "")
) -> tuple[int, ...]:
    """Make the bench of a memory that is read in spans; returns its arguments. ``mutant``: text that is replaced by another."""
    texts = library((*SPANS_LIBRARY, "bitsmith_fifo.sv", "bitsmith_ram.sv"))
    assert sum(mutant[0] in text for text in texts.values()) == (1 if mutant[0] else len(texts))
    for name, text in texts.items():
        (folder / name).write_text(text.replace(*mutant) if mutant[0] else text)
    table = sum((first | count << 32) << 64 * k for k, (first, count) in enumerate(spans))
    parameters: dict[str, int | str] = {
        "BEAT": beat,
        "WORD": 32,
        "BEATS": beats,
        "SPANS": len(spans),
        "TABLE": f"{64 * len(spans)}'h{table:x}",
    }
    sources = [folder / name for name in texts]
    compile_bench(folder, "memory_spans_bench.cpp", "bitsmith_memory_spans", sources, parameters)
    return beat // 8, beats, *(number for span in spans for number in span)


FRAMES = [
    (8, 37, ((3, 20), (0, 9), (17, 20))),
    (32, 150, ((0, 100), (60, 90))),
    (16, 500, ((0, 250), (100, 300), (399, 101))),
    (8, 37, ((0, 37),)),
    (32, 150, ((0, 150),)),
]
"""Bits of a beat, beats of a frame, and its spans."""


@pytest.mark.parametrize(("beat", "beats", "spans"), FRAMES)
def test_spans_of_a_frame(tmp_path: Path, beat: int, beats: int, spans: tuple[tuple[int, int], ...]) -> None:
    """Memory keeps what it has acknowledged, and nothing before; without waits a beat passes in each cycle, both ways."""
    about = compiled(tmp_path, beat, beats, spans)
    frames, errors, resets = map(int, run_bench(tmp_path, 40_000, 0, *about))
    reads = max(beats, sum(count for _, count in spans))
    assert reads < 40_000 / frames < reads + 80 and (errors, resets) == (0, 0)
    for seed in range(1, 4):
        assert min(map(int, run_bench(tmp_path, 80_000, seed, *about))) > 0


MUTANTS = [
    ("(written >= last) &", ""),  # reads what memory has not acknowledged
    ("& (places >= {2'd0, MOST})", ""),  # of large frames alone
    (
        "MOST - 5'(at[$clog2(BURST)-1:0])) << PART_SHIFT) - BURST_BITS'(first)",
        "MOST - 5'(at[$clog2(BURST)-1:0])) << PART_SHIFT)",
    ),
    ("(written < last) & (written > next)", "1'b0"),  # what others wait for is never read
    ("((part == LAST_PART) | (beats_left == ONE))", "(part == LAST_PART)"),
    ("assign kept = in_part ? '0 : size", "assign kept = size"),
    ("may_cut & (held_strobe", "1'b0 & (held_strobe"),  # or never written
    ("& (there | stale)", "& there"),
    ("if (push) held_strobe <= '0;\n            else if (take)", "if (take)"),
    ("after = in_part ? taken :", "after ="),
    ("& ~may_cut & ~still", "& ~still"),
    ("& ~may_cut & ~still", "& ~may_cut & ~clear"),  # a beat is lost where a start comes with it
    ("(taken != limit) & room", "room"),
    ("if (confirmed) written <= acknowledged", "if (tell) written <= after"),
    ("m_axi_awvalid | (left != '0) | (bursts != '0)", "m_axi_awvalid | (left != '0)"),
    ("write_busy | read_busy | (active & (begun | ahead))", "write_busy | read_busy"),
    ("(begun | ahead)", "begun"),
    ("ahead ? passed : ALL", "ALL"),  # writes over what is not read
    ("ahead ? ALL : written", "written"),  # a frame is read as far as the next one is written
    ("write_failed | read_failed", "read_failed"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [pytest.param(k, marks=pytest.mark.ci if k in {0, 3} else ()) for k in range(len(MUTANTS))]
)
def test_faults_are_found(tmp_path: Path, number: int) -> None:
    """Each of these mistakes is seen in one of few runs, or nothing moves any more."""
    about = compiled(
        tmp_path,
        *FRAMES[1 if "places" in MUTANTS[number][0] else 3 if "ahead" in MUTANTS[number][0] else 0],
        MUTANTS[number],
    )
    with pytest.raises((ToolFailedError, AssertionError)):
        for seed in range(1, 7):
            assert min(map(int, run_bench(tmp_path, 80_000, seed, *about))) > 0
