"""What moves tokens between a circuit and the memory of a board, beside what Yosys counts of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.dataflow.processes import Network
from bitsmith.devices.family import Family
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.movers import movers
from bitsmith.estimate.size import estimate_layout, estimate_network, guess_layout
from bitsmith.mapping.directives import Directives, WeightsBus
from bitsmith.mapping.partition import partition
from bitsmith.rtl.beats import beats, with_beats
from bitsmith.rtl.library import BEATS_LIBRARY, CONTROL_LIBRARY, MEMORY_LIBRARY, SPANS_LIBRARY, library
from bitsmith.rtl.memory_wrapper import memory, memory_name
from tests.flows.runs import synthesize
from tests.properties.outside import through_memories
from tests.rtl.wrapped import IN_TURN, branches, in_turn, made

FETCHED = Directives(dict.fromkeys(IN_TURN, 40), False, engine=IN_TURN, weights_rate=8.0)
COUNTED = [("images", 4, (1500, 1251)), ("outside", 8, (3387, 2916))]
"""Circuits with weights and with tokens in a memory outside, bytes of a beat, and cells that Yosys counts around them for xc7."""


def network_of(name: str) -> Network:
    if name == "images":
        return partition(in_turn(), FETCHED)
    return through_memories(partition(branches(), Directives({}, False)), 2)


@pytest.mark.parametrize(("name", "bus", "counted"), COUNTED)
def test_they_are_counted_beside_a_circuit(name: str, bus: int, counted: tuple[int, int]) -> None:
    network = network_of(name)
    without, whole = (
        estimate_network(network, Directives({}, False, weights_bus=reader), XILINX_7)
        for reader in (None, WeightsBus(bus, beat_cycles=1.0))
    )
    assert (whole.lut - without.lut, whole.ff - without.ff) == pytest.approx(counted, rel=0.05)
    assert whole.bram == without.bram


def test_every_estimate_of_a_layout_has_them() -> None:
    bus = replace(FETCHED, weights_bus=WeightsBus(4, beat_cycles=1.0))
    program = in_turn()
    for about in (estimate_layout, guess_layout):
        least, most = (about(program, directives, XILINX_7, 6.0) for directives in (FETCHED, bus))
        assert most.lut - least.lut == pytest.approx(1500, rel=0.1)


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("family", [XILINX_7, ULTRASCALE_PLUS], ids=repr)
@pytest.mark.parametrize(("name", "bus"), [each[:2] for each in COUNTED])
def test_yosys_counts_as_many(tmp_path: Path, name: str, bus: int, family: Family) -> None:
    """Of all that is around the circuit, which is a black box."""
    each = made(name)
    narrow = with_beats(each.interface, bus)
    core = each.extras[f"rtl/{each.interface.top}_axis.sv"]
    ports = core[core.index("module ") : core.index(");") + 2]
    names = (*CONTROL_LIBRARY, *MEMORY_LIBRARY, *SPANS_LIBRARY, *BEATS_LIBRARY)
    texts = {**library(names), "core.sv": f"(* blackbox *)\n{ports}\nendmodule\n"}
    texts |= {"memory.v": memory(narrow), "beats.sv": beats(each.interface, bus)}
    for file, text in texts.items():
        (tmp_path / file).write_text(text)
    found = synthesize(tmp_path, memory_name(narrow), [tmp_path / file for file in texts], family)
    assert movers(network_of(name), bus) == pytest.approx((found.lut, found.ff), rel=0.06)
