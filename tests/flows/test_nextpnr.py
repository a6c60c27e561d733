"""Place and route: its plan, its report, running out of space, and a bitstream of a real part."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.devices.board import read_board
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import CapacityError, ToolFailedError
from bitsmith.flows.nextpnr import Bitstream, OutOfContext
from bitsmith.flows.tools import FoundTool, Origin
from bitsmith.rtl.bus_wrappers import pipeline_streams
from bitsmith.rtl.library import AXI_STREAM_LIBRARY, UART_LIBRARY, library
from bitsmith.rtl.uart_wrapper import uart
from tests.flows.designs import adders
from tests.flows.runs import bitstream, netlist, place_and_route, synthesize

TOOL = FoundTool("nextpnr-ecp5", Path("/opt/nextpnr-ecp5"), "0.11", Origin.PATH)
ULX3S = read_board("ulx3s-85f")
PACK = FoundTool("ecppack", Path("/opt/ecppack"), "1.4", Origin.PATH)


def test_out_of_context_plan(tmp_path: Path) -> None:
    flow = OutOfContext("synth/ecp5/netlist.json", resolve_part("LFE5U-45F-8BG256C"), 125.0, ("--router", "router2"))
    (command,) = flow.commands(tmp_path, (TOOL,))
    text = " ".join(command.argv)
    for option in (
        "--45k --package CABGA256 --speed 8",
        "--out-of-context",
        "--router router2",
        "--freq 125",
        "--seed 1",
    ):
        assert option in text


def test_constraints_of_the_board(tmp_path: Path) -> None:
    flow = Bitstream("synth/shell/netlist.json", "net", ULX3S, 20.0, ())
    text = flow.files()["pnr/net.lpf"]
    for line in ('LOCATE COMP "clk" SITE "G2";', 'COMP "uart_rx" SITE "M1";', 'FREQUENCY PORT "clk" 25 MHZ;'):
        assert line in text
    place, pack = flow.commands(tmp_path, (TOOL, PACK))
    assert "--out-of-context" not in place.argv
    assert pack.outputs == (tmp_path / "pnr" / "net.bit",)


def test_a_board_of_another_family(tmp_path: Path) -> None:
    flow = Bitstream("synth/shell/netlist.json", "net", read_board("icebreaker"), 12.0, ())
    text = flow.files()["pnr/net.pcf"]
    for line in ("set_io clk 35", "set_io -pullup yes uart_rx 6", "set_frequency clk 12"):
        assert line in text
    place, pack = flow.commands(tmp_path, (TOOL, PACK))
    assert " ".join(place.argv[4:]).startswith(
        "--up5k --package sg48 --json synth/shell/netlist.json --pcf pnr/net.pcf"
    )
    assert pack.argv[1:] == ("pnr/net.config", "pnr/net.bin") and pack.outputs == (tmp_path / "pnr" / "net.bin",)


def test_no_open_tool_for_a_part() -> None:
    with pytest.raises(CapacityError, match="no open tool can place and route xc7z020"):
        OutOfContext("n.json", resolve_part("xc7z020"), 100.0, ()).find()


def test_report(tmp_path: Path) -> None:
    (tmp_path / "pnr").mkdir()
    report = tmp_path / "pnr" / "report.json"
    flow = OutOfContext("n.json", resolve_part("LFE5U-85F"), 100.0, ())
    report.write_text(
        '{"fmax": {"clk": {"achieved": 151.5, "constraint": 100}, "$glb": {"achieved": 125.0, "constraint": 100}},'
        ' "utilization": {"TRELLIS_FF": {"used": 7, "available": 83640}, "DCUA": {"used": 0, "available": 2}}}'
    )
    timing = flow.read(tmp_path, (TOOL,))
    assert (timing.fmax_mhz, timing.clock_period_ns, timing.tool) == (125.0, 8.0, "nextpnr-ecp5 0.11")
    assert timing.utilization == {"TRELLIS_FF": (7, 83640)}
    report.write_text('{"fmax": {}, "utilization": {}}')
    with pytest.raises(ToolFailedError, match="cannot be read"):
        flow.read(tmp_path, (TOOL,))


def test_a_circuit_slower_than_the_board_has_no_bitstream(tmp_path: Path) -> None:
    flow = Bitstream("n.json", "net", ULX3S, 100.0, ())
    assert 'FREQUENCY PORT "clk" 100 MHZ;' in flow.files()["pnr/net.lpf"]
    (tmp_path / "pnr").mkdir()
    report, bits = tmp_path / "pnr" / "net.report.json", tmp_path / "pnr" / "net.bit"
    for achieved, kept in ((25.1, True), (24.9, False)):
        bits.touch()
        report.write_text(f'{{"fmax": {{"clk": {{"achieved": {achieved}, "constraint": 100}}}}, "utilization": {{}}}}')
        if kept:
            assert flow.read(tmp_path, (TOOL, PACK))[1].fmax_mhz == achieved
        else:
            with pytest.raises(ToolFailedError, match=r"reaches 24\.9 MHz, and the board's clock has 25"):
                flow.read(tmp_path, (TOOL, PACK))
        assert bits.exists() == kept


@pytest.mark.parametrize(
    ("cells", "end", "said"),
    [
        ("99999/83640   119%", "sleep 60", "needs 99999 TRELLIS_COMB and the part has 83640"),
        (
            "80000/83640    95%\nInfo:  DCCA:  1/  56  1%",
            "echo 'ERROR: Unable to find legal placement for all cells, design is probably at utilisation limit.'"
            " >> pnr/nextpnr.log\nexit 125",
            r"no legal placement: the design takes 80,000 of 83,640 TRELLIS_COMB\n[\s\S]*a larger part",
        ),
    ],
)
def test_a_full_part_ends_the_run_at_once(
    cells: str, end: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nextpnr only prints the utilization and then searches in vain, or says what it has not found."""
    fake = tmp_path / "bin" / "nextpnr-ecp5"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo 'nextpnr-ecp5 (Version nextpnr-0.9)' && exit\n"
        f"echo 'Info:        TRELLIS_COMB:   {cells}' > pnr/nextpnr.log\n{end}\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen: list[str] = []
    with pytest.raises(CapacityError, match=said):
        place_and_route(tmp_path, tmp_path / "n.json", target_mhz=100, progress=seen.append)
    assert seen[0].startswith("Info") and len(seen) <= 3


@pytest.mark.tools
def test_fmax_of_pipelined_adders(tmp_path: Path) -> None:
    design = adders(words=6, stages=4, width=10)
    source = tmp_path / "net.sv"
    source.write_text(design.source)
    resources = synthesize(tmp_path, "net", [source], "ecp5")
    timing = place_and_route(tmp_path, netlist(tmp_path), target_mhz=200)
    assert 150 < timing.fmax_mhz < 600
    assert timing.clock_period_ns == pytest.approx(1e3 / timing.fmax_mhz, abs=1e-3)
    assert timing.utilization["TRELLIS_FF"][0] == resources.ff
    assert resources.lut <= timing.utilization["TRELLIS_COMB"][0] <= resources.lut + 4 * 24  # 24 carry chains


@pytest.mark.tools
def test_bitstream_with_a_serial_port(tmp_path: Path) -> None:
    design = adders(words=2, stages=2, width=9)
    texts = {
        "net.sv": design.source,
        "net_axis.sv": pipeline_streams(design.interface, "net"),
        "net_uart.sv": uart(design.interface, ULX3S.clock_hz, 115_200),
        **library((*AXI_STREAM_LIBRARY, *UART_LIBRARY)),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    synthesize(tmp_path, "net_uart", [tmp_path / name for name in texts], "ecp5", name="shell")
    path, timing = bitstream(tmp_path, netlist(tmp_path, "shell"), "net", board=ULX3S)
    assert timing.fmax_mhz > 25
    assert timing.utilization["TRELLIS_IO"][0] == 3
    content = path.read_bytes()
    assert bytes.fromhex("ffffbdb3") in content[:200]  # the preamble of an ECP5 bitstream
    assert len(content) > 100_000
