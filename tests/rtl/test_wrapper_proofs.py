"""Bounded proofs of the modules of wrappers: AXI4-Stream, AXI4-Lite, beats, bytes and the serial line.

What a proof says is in ``formal/formal_<module>.sv``; those of the stream library are in `tests.rtl.test_stream_proofs`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.rtl.library import BEATS_LIBRARY, STREAM_LIBRARY, WRAPPER_LIBRARY, library
from tests.rtl.stream_proof import counterexample, files, model

pytestmark = pytest.mark.tools
slow = pytest.mark.slow
ci = pytest.mark.ci

PROOFS = [
    pytest.param("axis", {"LATENCY": 1}, 12, marks=ci),
    ("axis", {"LATENCY": 3}, 14),
    ("framer", {"TOKENS": 1}, 10),
    pytest.param("framer", {"TOKENS": 3}, 14, marks=ci),
    pytest.param("from_bytes", {"BYTES": 2, "TOKENS": 2}, 19, marks=ci),
    ("from_bytes", {"BYTES": 1, "TOKENS": 1}, 12),
    ("from_bytes", {"BYTES": 3, "TOKENS": 1}, 18),
    pytest.param("from_bytes", {"BYTES": 1, "TOKENS": 3}, 20, marks=slow),
    pytest.param("to_bytes", {"BYTES": 2, "TOKENS": 2, "PLACES": 1}, 21, marks=slow),
    pytest.param("to_bytes", {"BYTES": 1, "TOKENS": 2, "PLACES": 1}, 17, marks=ci),
    ("to_bytes", {"BYTES": 1, "TOKENS": 1, "PLACES": 2}, 12),
    ("beats_in", {"PARTS": 2}, 12),
    pytest.param("beats_in", {"PARTS": 3}, 15, marks=ci),
    ("beats_out", {"PARTS": 2}, 12),
    pytest.param("beats_out", {"PARTS": 3}, 15, marks=ci),
    pytest.param("uart_tx", {"CLOCKS": 2}, 46, marks=ci),
    ("uart_tx", {"CLOCKS": 3}, 66),
    pytest.param("uart_rx", {"CLOCKS": 4}, 90, marks=slow),
    pytest.param("uart_rx", {"CLOCKS": 5}, 110, marks=slow),
    pytest.param("control", {}, 24, marks=ci),
    pytest.param("reset_sync", {"STAGES": 3}, 14, marks=ci),
    ("reset_sync", {"STAGES": 4}, 14),
    pytest.param("async_fifo", {"ADDRESS_BITS": 1}, 30, marks=ci),
    pytest.param("async_fifo", {"ADDRESS_BITS": 2}, 34, marks=slow),
    pytest.param("selftest", {}, 22, marks=ci),
    ("selftest", {"ASKED": "1'b1"}, 38),
    ("selftest", {"EXAMINE": "1'b0"}, 12),
]


@pytest.mark.parametrize(("module", "parameters", "cycles"), PROOFS)
def test_modules_of_wrappers(tmp_path: Path, module: str, parameters: dict[str, int | str], cycles: int) -> None:
    model(tmp_path, module, parameters)
    assert counterexample(tmp_path, cycles) == ""


MUTANTS = [
    ("axis", ".free    (s_axis_tready)", ".free    (unused_free)", 12),
    ("axis", "PLACES = LATENCY + 2", "PLACES = LATENCY + 1", 12),
    ("axis", ".take    (deliver)", ".take    (m_axis_tready)", 12),
    ("framer", "if (last) frame <= packet_last", "frame <= packet_last", 14),
    ("framer", "last & ({1'b0", "({1'b0", 14),
    ("from_bytes", "BYTES'({turn, turn[BYTES-1]})", "BYTES'({turn, 1'b1})", 18),
    ("from_bytes", "assign pending = put | token_valid", "assign pending = token_valid", 18),
    ("to_bytes", "last_here & (left == LAST_ONE)", "last_here", 21),
    ("to_bytes", "assign take = valid & (left == '0)", "assign take = valid & (left <= LAST_ONE)", 21),
    ("beats_in", "{s_tdata, m_tdata[PARTS*WIDTH-1:WIDTH]}", "{m_tdata[(PARTS-1)*WIDTH-1:0], s_tdata}", 12),
    ("beats_in", "assign s_tready = ~m_tvalid | m_tready", "assign s_tready = 1'b1", 12),
    ("beats_out", "last & (part == LAST_PART)", "last", 12),
    ("beats_out", "else if (m_tready) begin", "else begin", 12),
    ("uart_tx", "{1'b1, data, 1'b0}", "{1'b0, data, 1'b0}", 46),
    ("uart_tx", "bits_left <= 4'd10", "bits_left <= 4'd9", 46),
    ("uart_rx", "{line[1], data[7:1]}", "{data[6:0], line[1]}", 90),
    ("uart_rx", "valid <= line[1]", "valid <= 1'b0", 90),
    ("control", "reset_left <= 5'd16", "reset_left <= 5'd15", 24),
    ("control", "if (s_axi_wstrb[lane]) ", "", 24),
    ("control", "else if (s_axi_bready) s_axi_bvalid", "else s_axi_bvalid", 24),
    ("control", "~(hold & (reset_left == 5'd1))", "1'b1", 24),
    ("control", "counted ? value_counted : ", "", 24),
    ("control", "above ? value_above : '0", "value_above", 24),
    ("reset_sync", "last <= chain[STAGES-2]", "last <= chain[STAGES-3]", 14),
    ("reset_sync", "chain <= '1;", "chain <= '0;", 14),
    ("async_fifo", "(in_gray != (out_gray_seen ^ FULL)) & open", "open", 24),
    ("async_fifo", "(~out_valid | out_ready)", "1'b1", 24),
    ("async_fifo", "in_gray <= in_next ^ (in_next >> 1)", "in_gray <= in_next", 24),
    ("selftest", "if (held_data != result_byte) is_right <= 1'b0;", "", 38),
    ("selftest", "sending <= sent != LAST", "sending <= 1'b0", 38),
    ("selftest", "~late & is_right & (held_data == result_byte), ~late", "~late & is_right, ~late", 38),
]
SETTINGS: dict[str, dict[str, int | str]] = {"selftest": {"ASKED": "1'b1"}}
WITHOUT = {"symbols", "uart_link"}
"""Wires only, and what is made of modules that have proofs."""


def test_every_module_has_a_mutant() -> None:
    names = {*WRAPPER_LIBRARY, *BEATS_LIBRARY} - {*STREAM_LIBRARY}
    modules = {name.removeprefix("bitsmith_").removesuffix(".sv") for name in names} - WITHOUT
    assert {module for module, *_ in MUTANTS} == modules


@ci
def test_what_mutants_replace_is_in_the_library() -> None:
    texts = library((*STREAM_LIBRARY, *WRAPPER_LIBRARY, *BEATS_LIBRARY))
    for module, text, *_ in MUTANTS:
        assert any(text in texts[name] for name in files(module)), (module, text)


@pytest.mark.parametrize(("module", "text", "instead", "cycles"), MUTANTS)
def test_proofs_can_fail(tmp_path: Path, module: str, text: str, instead: str, cycles: int) -> None:
    model(tmp_path, module, SETTINGS.get(module, {}), (text, instead))
    assert "Assert failed" in counterexample(tmp_path, cycles)
