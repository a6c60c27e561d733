"""Figures of tools in the report of a circuit: whatever they are, those of its parts are those of its layers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.building.rtl_stages import _joined, _layer_cells
from bitsmith.building.stages import Sections, Stage
from bitsmith.flows.nextpnr import Timing
from bitsmith.flows.run import Converted
from bitsmith.flows.yosys import Resources, Synthesis
from bitsmith.model import Model
from bitsmith.report import sections
from bitsmith.rtl.design import LayerPart
from tests.system.examples import three_layer


def stage(model: Model, name: str, **options: bool) -> Stage:
    return next(each for each in model.plan(cosim=False, **options).stages if each.name == name)


def reported(stage: Stage, result: object) -> Sections:
    """The sections of a stage whose tools gave ``result``."""
    flow = stage.flow()
    assert isinstance(flow, Converted)
    return flow.convert(result)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("io_type", "memory"), [("io_parallel", ""), ("io_stream", "URAM"), ("io_parallel", "SPRAM")])
def test_cells_of_parts_are_those_of_their_layers(tmp_path: Path, io_type: str, memory: str) -> None:
    """Each part has one bit of its own, which the numbers of its layer then have."""
    synth = stage(three_layer(tmp_path, io_type=io_type)[0], "synth")
    flow = synth.flow()
    assert isinstance(flow, Converted) and isinstance(flow.flow, Synthesis)
    parts = (*flow.flow.parts, "")

    def cells(bits: int, **parts: Resources) -> Resources:
        large = {memory: 9 * bits} if memory else {}
        return Resources(bits, 3 * bits, 5 * bits, 7 * bits, large, 0, {}, "Yosys", parts)

    found = reported(synth, cells(1, **{name: cells(1 << k) for k, name in enumerate(parts)}))
    (rows,) = (each.rows for each in found if isinstance(each, sections.Layers))
    (total,) = (each for each in found if isinstance(each, sections.Resources))
    for row in (*rows, total):
        larger = {"URAM": row.uram, "SPRAM": row.spram}
        assert larger.pop(memory, None) == (9 * row.lut if memory else None)
        assert (row.ff, row.dsp, row.bram, *larger.values()) == (
            3 * row.lut,
            5 * row.lut,
            7 * row.lut,
            *[None] * len(larger),
        )
    assert total.lut == 1 and sum(row.lut for row in rows) == (1 << len(parts)) - 1
    have = {row.layer: {name for k, name in enumerate(parts) if row.lut >> k & 1} for row in rows}
    layers = dict.fromkeys(name.removesuffix("_inst").rpartition(".")[2] for name in parts if name.endswith("_inst"))
    wanted = {layer: {name for name in parts if re.search(rf"(^|\.){layer}_inst$", name)} for layer in layers}
    if io_type == "io_stream":  # which has processes beside the parts of the token functions in one of them
        wanted["output_softmax_softmax"].add("p2")
        wanted |= {"input_1": {"p0"}, f"{next(iter(layers))} to {[*layers][-1]}": {"p1"}}
    assert have == {**wanted, None: {""}} and rows[-1].layer is None
    for row in rows:
        stages = (row.first_stage, row.last_stage)
        if io_type == "io_parallel" and row.layer:
            assert row.cycles == row.last_stage - row.first_stage + 1 > 1
        else:
            assert stages == (None, None) and (row.cycles is None) is (row.layer in ("input_1", None))


@pytest.mark.parametrize(("cycles", "wanted"), [((3, 7, None), 7), ((7, 3), 7), ((None,), None)])
def test_a_layer_takes_as_long_as_its_longest_part(cycles: tuple[int | None, ...], wanted: int | None) -> None:
    cells = Resources(1, 2, 3, 4, {}, 0, {}, "Yosys", {})
    assert _layer_cells([(LayerPart("fc1", each), cells) for each in cycles]).cycles == wanted


@pytest.mark.parametrize(("part", "clocks"), [("LFE5U-85F-6BG381C", 1), ("LFE5U-45F-6BG381C", 0)])
def test_the_clock_of_a_board_is_that_of_its_part(tmp_path: Path, part: str, clocks: int) -> None:
    """Place and route of a bitstream measures it where the board has the part; otherwise a stage before has done so."""
    bitstream = stage(three_layer(tmp_path, part=part, clock_period=20)[0], "bitstream", bitstream=True)
    measured = Timing(80.0, 12.5, {"LUT4": (7, 100)}, "nextpnr-0.9", ("fc1_relu_inst.a", "fc3_relu_inst.b"))
    found = reported(bitstream, (tmp_path / "net.bit", measured))
    timings = [each for each in found if isinstance(each, sections.Timing)]
    assert len(timings) == clocks
    for timing in timings:
        assert timing.tool == "nextpnr-0.9 with the serial port of ULX3S-85F"
        assert (timing.fmax_mhz, timing.clock_period_ns, timing.slack_ns) == (80.0, 12.5, 7.5)
        assert timing.path == "fc1_relu to fc3_relu"
    assert sections.Utilization((sections.CellUse(cell="LUT4", used=7, available=100),)) in found
    assert sections.Files({"Bitstream": "pnr/net.bit"}) in found


@pytest.mark.parametrize(
    ("board", "note"),
    [
        ("icebreaker", "To load iCEBreaker: openFPGALoader --board ice40_generic {0} or iceprog {0}"),
        (None, "To load ULX3S-85F: openFPGALoader --board ulx3s {0}"),
        ("pynq-z2", ""),
    ],
)
def test_the_command_that_loads_a_board_is_noted(tmp_path: Path, board: str | None, note: str) -> None:
    """As the board's file has it; boards with a processor are loaded by their drivers."""
    plan = three_layer(tmp_path, board=board)[0].plan(cosim=False, synth=False)
    without = plan.finish(tmp_path, ())[1]
    notes = plan.finish(tmp_path, (sections.Files({"Bitstream": "pnr/net.bit"}),))[1]
    assert notes == (*without, *((note.format(tmp_path / "pnr" / "net.bit"),) if note else ()))
    assert not any("load" in one for one in without)


@pytest.mark.parametrize("compared", [0, 1, 2])
def test_comparisons_of_circuit_and_netlist_are_one_section(compared: int) -> None:
    circuit = sections.Verification(inputs=9, mismatches=0, tool="Verilator", method="cosim")
    netlist = sections.Verification(netlist_inputs=4, netlist_tool="Yosys")
    beside = sections.Files({"Netlist": "netlist.json"})
    both = replace(circuit, netlist_inputs=4, netlist_tool="Yosys")
    assert _joined((*(circuit, netlist)[:compared], beside)) == (*((), (circuit,), (both,))[compared], beside)
