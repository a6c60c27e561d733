"""Register slices on streams between layers: as many as the layers that a stream comes into ask for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bitsmith.dataflow.kinds import Sink
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.mapping.slices import sliced
from tests.mapping.test_movement import MOVES, SHARED, between_products


@pytest.mark.parametrize("slices", [{}, {"last": 2}, {"first": 1, "move": 3}, {"beside": 2, "more": 1, "last": 4}])
@pytest.mark.parametrize("name", ["joined channels", "rows repeated"])
def test_streams_have_the_most_slices_that_a_layer_asks_for(name: str, slices: dict[str, int]) -> None:
    """Of processes that are of several layers, too; none within a layer, and none before the circuit's outputs."""
    network = partition(between_products(MOVES[name]), Directives({"first": 12, "last": 4}, False, SHARED))
    shared = [
        replace(each, layers=(*each.layers, "more")) if "last" in each.layers else each for each in network.processes
    ]
    network = replace(network, processes=tuple(shared))
    found = sliced(network, slices)
    seen = set[int]()
    for process in found.processes:
        for operand, source in enumerate(process.args):
            entered = {*process.layers} - {*found.processes[source.process].layers}
            wanted = max([slices.get(layer, 0) for layer in entered] or [0])
            count = process.slices[operand] if process.slices else 0
            assert count == (0 if isinstance(process.kind, Sink) else wanted)
            seen.add(count)
    assert bool(slices) == bool(seen - {0})
    assert [replace(each, slices=()) for each in found.processes] == list(network.processes)
