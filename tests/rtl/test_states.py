"""Circuits whose states live on between frames: simulated over all frames in order, with waits and around a reset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith import Model
from bitsmith.building.job import Target
from bitsmith.building.verification import selftest_frame
from bitsmith.compiler import compile_network
from bitsmith.config.values import IOType
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from tests.mapping.test_partition import assert_same
from tests.properties import judged

CELLS: dict[str, type[Recurrent]] = {"gru": GRU, "lstm": LSTM, "simple": SimpleRNN}


def cells(*names: str, steps: int = 4, units: int = 4) -> Network:
    """Stateful cells one after another."""
    rng, nodes, channels = np.random.default_rng(0), [NetworkNode("x", Input((steps, 3)))], 3
    for name in names:
        columns = CELLS[name].gates * units
        kernels = [as_weights(rng.uniform(-0.7, 0.7, (rows, columns))) for rows in (channels, units)]
        layer = CELLS[name](*kernels, return_sequences=True, stateful=True)
        nodes.append(NetworkNode(name, layer, (nodes[-1].name,)))
        channels = units
    return Network(tuple(nodes), ("x",), (names[-1],))


@pytest.mark.parametrize("names", [("lstm", "gru"), judged(("gru",)), judged(("simple",))])
@pytest.mark.parametrize("reuse", [1, 8, 96])
@pytest.mark.slow
@pytest.mark.ci
def test_processes_keep_states(names: tuple[str, ...], reuse: int) -> None:
    program = compile_network(cells(*names, steps=2, units=2)).program
    for parallel in (False, True):
        network = assert_same(program, Directives(dict.fromkeys(names, reuse), parallel))
        assert any(getattr(process.kind, "kept", 0) for process in network.processes)
    assert not Directives({}, True).unrolled(program)
    assert len(partition(program, Directives({}, True)).processes) > 1


def test_a_circuit_with_states_has_no_selftest() -> None:
    assert selftest_frame(compile_network(cells("gru")).program) is None


FORMS: dict[str, tuple[tuple[str, ...], int, IOType]] = {
    "gru, in one process": (("gru",), 1, IOType.PARALLEL),
    "gru, streamed": (("gru",), 1, IOType.STREAM),
    "gru, folded": (("gru",), 48, IOType.STREAM),
    "lstm, folded": (("lstm",), 64, IOType.PARALLEL),
    "simple, folded": (("simple",), 8, IOType.STREAM),
    "two": (("gru", "lstm"), 16, IOType.STREAM),
    "two, in one process each": (("lstm", "simple"), 1, IOType.PARALLEL),
}


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("form", FORMS)
def test_circuits_equal_the_emulator_with_waits_and_resets(form: str, tmp_path: Path) -> None:
    """The simulation compares all frames, once more with waits on both sides, and two frames after a reset."""
    names, reuse, io_type = FORMS[form]
    made = compile_network(cells(*names))
    nodes = (
        replace(node, settings=replace(node.settings, reuse_factor=reuse if node.name in names else 1))
        for node in made.network.nodes
    )
    target = replace(Target(tmp_path, "net", "xcu250-figd2104-2L-e", 5.0), io_type=io_type)
    model = Model(replace(made.network, nodes=tuple(nodes)), made.program, target)
    frames = np.random.default_rng(1).uniform(-1, 1, (20, 4, 3))
    report = model.build(inputs=frames, synth=False)
    assert report["Verification"]["Mismatches"] == 0
    report = model.build(inputs=frames[:1], synth=False)  # which is repeated until the pace is steady
    assert report["Verification"]["Mismatches"] == 0
