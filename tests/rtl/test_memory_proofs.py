"""Bounded proofs of the modules that read and write memory: whatever memory, its errors, neighbours and clear do.

Each begins with a reset from any state. Twenty cycles have room for a run that is cleared at any time, and for another one. What
writes frames and reads spans of them has words of 16 bits, bursts of two words and room for eight, where circuits have 16 and 64.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.rtl.library import MEMORY_LIBRARY, SPANS_LIBRARY, WRAPPER_LIBRARY
from tests.rtl.stream_proof import counterexample, model

pytestmark = [pytest.mark.tools, pytest.mark.slow]

ROUNDS: dict[str, int | str] = {"ROUND": 4, "BEATS": 5, "BY": 9}
"""Two words over and over, and half of one."""
ONCE: dict[str, int | str] = {"ROUND": 0, "BEATS": 4, "BY": 8}
WRITES: dict[str, int | str] = {"BEATS": 5, "BY": 11}
"""Two words and half of one, in one burst or two."""
FILL: dict[str, int | str] = {"BEATS": 3, "BY": 9}
"""A word and half of one, in one burst or two; the half comes with the next beat of its word, or alone."""


def _spans(*spans: tuple[int, int]) -> dict[str, int | str]:
    table = sum((first | count << 32) << 64 * k for k, (first, count) in enumerate(spans))
    return {"SPANS": len(spans), "TABLE": f"{64 * len(spans)}'h{table:x}"}


PART: dict[str, int | str] = {**_spans((1, 2)), "BY": 14}
"""The last two of three beats, which lie in two words."""
OVERLAP, BACK, WHOLE = _spans((1, 2), (0, 2)), _spans((1, 1), (0, 1)), _spans((0, 2))
"""Three beats of which one is read twice, and two that are read backwards or as a whole."""


@pytest.mark.parametrize(
    ("module", "parameters", "cycles"),
    [
        pytest.param("memory_read", ROUNDS, 20, marks=pytest.mark.ci),
        ("memory_read", ONCE, 20),
        pytest.param("memory_write", WRITES, 14, marks=pytest.mark.ci),
        ("memory_write", WRITES, 20),
        pytest.param("memory_control", {}, 6, marks=pytest.mark.ci),
        pytest.param("memory_fill", FILL, 12, marks=pytest.mark.ci),
        ("memory_fill", FILL, 18),
        pytest.param("memory_walk", PART, 17, marks=pytest.mark.ci),
        ("memory_walk", OVERLAP, 18),
        ("memory_spans", BACK, 16),
        ("memory_spans", WHOLE, 16),
    ],
)
def test_modules_that_move_words(tmp_path: Path, module: str, parameters: dict[str, int | str], cycles: int) -> None:
    model(tmp_path, module, parameters)
    assert counterexample(tmp_path, cycles) == ""


@pytest.mark.parametrize(
    ("module", "parameters"),
    [
        *(("memory_read", ROUNDS), ("memory_read", ONCE), ("memory_write", WRITES)),
        *(("memory_fill", FILL), ("memory_walk", PART)),
    ],
)
def test_they_take_as_long_as_said(tmp_path: Path, module: str, parameters: dict[str, int | str]) -> None:
    """A cycle less is too short where no neighbour ever stalls."""
    by = int(parameters["BY"])
    model(tmp_path, module, {**parameters, "BY": by - 1})
    assert "Assert failed" in counterexample(tmp_path, by + 3)


MUTANTS = [
    pytest.param("memory_read", "at <= round_ends ? address[63:WORD_SHIFT] : ", "at <= ", marks=pytest.mark.ci),
    ("memory_read", "((ROUND != 0) & (32'(round_left) < 32'(to_end)))", "1'b0"),
    ("memory_read", "round_ends ? WHOLE_ROUND : round_left", "round_left"),
    ("memory_read", "MOST - {1'b0, at[3:0]}", "MOST"),
    ("memory_read", "| m_axi_arvalid | (awaited != '0)", "| m_axi_arvalid"),
    ("memory_read", "ask | (m_axi_arvalid & ~m_axi_arready)", "ask | (m_axi_arvalid & ~m_axi_arready & ~clear)"),
    ("memory_read", "come & m_axi_rresp[1]", "m_axi_rresp[1]"),
    ("memory_read", "release_place = hand_on & (", "release_place = ("),
    ("memory_read", "m_axi_rready = awaited != '0", "m_axi_rready = (awaited != '0) & m_tready"),
    pytest.param("memory_write", "(clear & (left == '0))", "clear", marks=pytest.mark.ci),
    ("memory_write", "MOST - {1'b0, at[3:0]}", "MOST"),
    ("memory_write", "(waiting >= {2'd0, burst})", "(waiting != '0)"),
    ("memory_write", "& (~m_axi_awvalid | m_axi_awready)", ""),
    ("memory_write", "((left == '0) | (go & m_axi_wlast))", "1'b1"),
    ("memory_write", "| (left != '0) | (bursts != '0)", "| (left != '0)"),
    ("memory_write", "(bursts != MOST_BURSTS) & ~clear", "(bursts != MOST_BURSTS)"),
    ("memory_write", "held_strobe <= whole ? '0 : strobe", "held_strobe <= strobe"),
    ("memory_write", "(part == LAST_PART) | last", "part == LAST_PART"),
    ("memory_write", "confirmed & m_axi_bresp[1]", "m_axi_bresp[1]"),
    ("memory_write", " " * 16 + "waiting <= '0;", ""),
    ("memory_write", "& room & ~clear", "& room"),
    pytest.param("memory_control", "(has_failed & ~start) | failed", "has_failed | failed", marks=pytest.mark.ci),
    ("memory_control", "STREAMS'(data & mask)", "STREAMS'(data)"),
    ("memory_control", "2'd1: value = address[64*k+32+:32]", "2'd1: value = address[64*k+:32]"),
    (
        "memory_control",
        "2'd2: bytes[32*k+:32] <= (bytes[32*k+:32] & ~mask)",
        "2'd2: bytes[32*k+:32] <= bytes[32*k+:32]",
    ),
    ("memory_fill", "MOST - 5'(at[$clog2(BURST)-1:0])", "MOST"),
    ("memory_fill", "assign kept = in_part ? '0 : size", "assign kept = size"),
    ("memory_fill", "(clear & (left == '0))", "clear"),
    pytest.param(
        "memory_fill", "if (confirmed) written <= acknowledged", "if (tell) written <= after", marks=pytest.mark.ci
    ),
    ("memory_fill", "if (push) held_strobe <= '0;\n            else if (take)", "if (take)"),
    ("memory_fill", "after = in_part ? taken :", "after ="),
    ("memory_fill", "confirmed & m_axi_bresp[1]", "m_axi_bresp[1]"),
    ("memory_fill", "& ~may_cut & ~still", "& ~still"),
    ("memory_walk", "MOST - 5'(at[$clog2(BURST)-1:0])", "MOST"),
    pytest.param("memory_walk", "(written >= last) &", "", marks=pytest.mark.ci),
    ("memory_walk", "((part == LAST_PART) | (beats_left == ONE))", "(part == LAST_PART)"),
    ("memory_walk", "ask | (m_axi_arvalid & ~m_axi_arready)", "ask | (m_axi_arvalid & ~m_axi_arready & ~clear)"),
    ("memory_walk", "come & m_axi_rresp[1]", "m_axi_rresp[1]"),
    ("memory_walk", "m_axi_rready = awaited != '0", "m_axi_rready = (awaited != '0) & m_tready"),
    pytest.param("memory_spans", "walked & (written == ALL)", "(written == ALL)", marks=pytest.mark.ci),
    ("memory_spans", "write_busy | read_busy", "write_busy"),
    ("memory_spans", "if (~aresetn | clear) active", "if (~aresetn) active"),
    ("memory_spans", "write_failed | read_failed", "read_failed"),
]
SETTINGS = {"memory_read": ROUNDS, "memory_write": WRITES, "memory_control": {}}
SETTINGS |= {"memory_fill": FILL, "memory_walk": OVERLAP, "memory_spans": BACK}
SHORT = {"memory_fill": 12, "memory_walk": 16, "memory_spans": 14}
"""Cycles in which mistakes are found, where twenty take longer."""


def test_every_module_has_a_mutant() -> None:
    names = {*MEMORY_LIBRARY, *SPANS_LIBRARY} - {*WRAPPER_LIBRARY}
    assert {*SETTINGS} == {name.removeprefix("bitsmith_").removesuffix(".sv") for name in names}


@pytest.mark.parametrize(("module", "text", "instead"), MUTANTS)
def test_proofs_can_fail(tmp_path: Path, module: str, text: str, instead: str) -> None:
    model(tmp_path, module, SETTINGS[module], (text, instead))
    assert "Assert failed" in counterexample(tmp_path, SHORT.get(module, 20))
