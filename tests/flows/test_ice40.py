"""A family whose nextpnr puts pads at all ports: placed without pads all the same, and packed with those of a board."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.devices.board import read_board
from bitsmith.errors import ToolMissingError
from bitsmith.flows.nextpnr import nextpnr
from tests.flows.designs import adders
from tests.flows.found import find
from tests.flows.runs import netlist, place_and_route, synthesize


@pytest.mark.tools
@pytest.mark.ci
def test_more_ports_than_the_package_has_pins(tmp_path: Path) -> None:
    board = read_board("icebreaker")
    try:
        find(nextpnr(board.flow))
    except ToolMissingError as error:
        pytest.skip(str(error))
    design = adders(words=8, stages=3, width=12)
    assert design.in_width > 39
    (tmp_path / "net.sv").write_text(design.source)
    resources = synthesize(tmp_path, "net", [tmp_path / "net.sv"], board.part.family)
    timing = place_and_route(tmp_path, netlist(tmp_path, "ice40up"), target_mhz=20, part=board.part)
    assert 30 < timing.fmax_mhz < 150
    assert resources.lut <= timing.utilization["ICESTORM_LC"][0]
    assert timing.utilization["SB_IO"][0] == 1
