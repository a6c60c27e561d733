"""Bounded proofs of the module that reads memory: whatever memory, consumer and resets do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.stream_proof import counterexample, model

pytestmark = [pytest.mark.tools, pytest.mark.slow]

ROUNDS: dict[str, int | str] = {"ROUND": 4, "BEATS": 5, "BY": 12}
"""Two words over and over, and half of one."""
ONCE: dict[str, int | str] = {"ROUND": 0, "BEATS": 4, "BY": 11}


@pytest.mark.ci
@pytest.mark.parametrize(("parameters", "cycles"), [(ROUNDS, 12), (ONCE, 12)])
def test_words_come_in_order(tmp_path: Path, parameters: dict[str, int | str], cycles: int) -> None:
    model(tmp_path, "memory_read", parameters)
    assert counterexample(tmp_path, cycles) == ""


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        pytest.param("at <= round_ends ? address[63:WORD_SHIFT] : ", "at <= ", marks=pytest.mark.ci),
        ("((ROUND != 0) & (32'(round_left) < 32'(to_end)))", "1'b0"),
        ("round_ends ? WHOLE_ROUND : round_left", "round_left"),
        ("MOST - {1'b0, at[3:0]}", "MOST"),
        ("| m_axi_arvalid | (awaited != '0)", "| m_axi_arvalid"),
        ("ask | (m_axi_arvalid & ~m_axi_arready)", "ask | (m_axi_arvalid & ~m_axi_arready & ~clear)"),
        ("come & m_axi_rresp[1]", "m_axi_rresp[1]"),
        ("release_place = hand_on & (", "release_place = ("),
        ("m_axi_rready = awaited != '0", "m_axi_rready = (awaited != '0) & m_tready"),
    ],
)
def test_proofs_can_fail(tmp_path: Path, text: str, instead: str) -> None:
    model(tmp_path, "memory_read", ROUNDS, (text, instead))
    assert "Assert failed" in counterexample(tmp_path, 12)
