"""CrossLink-NX and Certus-NX: placed by themselves with the part's oscillator as clock, and packed with the pads of a board."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.devices.board import read_board
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import ToolMissingError
from bitsmith.flows.nextpnr import nextpnr, packer
from tests.flows.designs import adders
from tests.flows.found import find
from tests.flows.runs import bitstream, netlist, place_and_route, synthesize

BOARD = read_board("crosslink-nx-evn")
BLINK = """\
module net_uart (input logic clk, input logic uart_rx, output logic uart_tx);
    logic [23:0] count;
    logic seen;
    always_ff @(posedge clk) begin
        count <= count + 1'b1;
        seen <= uart_rx;
        uart_tx <= seen ^ count[23];
    end
endmodule
"""


@pytest.fixture(autouse=True)
def tools() -> None:
    try:
        find(nextpnr(BOARD.flow))
        find(packer(BOARD.flow))
    except ToolMissingError as error:
        pytest.skip(str(error))


@pytest.mark.tools
@pytest.mark.parametrize("part", ["LIFCL-40-7BG400C", "LIFCL-17", "LFD2NX-40-9BG256C"])
def test_more_ports_than_the_package_has_pins(tmp_path: Path, part: str) -> None:
    (tmp_path / "net.sv").write_text(adders(words=8, stages=3, width=12).source)
    resources = synthesize(tmp_path, "net", [tmp_path / "net.sv"], NEXUS)
    timing = place_and_route(tmp_path, netlist(tmp_path, "nexus"), target_mhz=200, part=resolve_part(part))
    assert 300 < timing.fmax_mhz < 900
    assert resources.carry > 100 and resources.lut <= timing.utilization["OXIDE_COMB"][0]
    assert "SEIO33_CORE" not in timing.utilization


@pytest.mark.tools
def test_a_bitstream(tmp_path: Path) -> None:
    (tmp_path / "net_uart.sv").write_text(BLINK)
    synthesize(tmp_path, "net_uart", [tmp_path / "net_uart.sv"], NEXUS, name="shell", pads=True)
    path, timing = bitstream(tmp_path, netlist(tmp_path, "shell"), "net", board=BOARD)
    assert timing.fmax_mhz > 100 and timing.utilization["SEIO33_CORE"][0] == 3
    assert path.stat().st_size > 100_000
