"""Words with which the engines of one program execute another one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine, Source
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.mapping.engine.images import images_of
from bitsmith.mapping.partition import partition
from bitsmith.passes.program.other_weights import with_weights_of
from tests.dataflow.execute import execute
from tests.mapping.test_engines import depthwise, perceptron, residual, shared
from tests.mapping.test_partition import assert_equal_values
from tests.properties.programs import random_stimuli, sample


def changed(program: Program, seed: int = 0, scale: float = 1.0) -> Program:
    """``program`` with other weights and biases of the same magnitudes, or ``scale`` times that."""
    rng, nodes = np.random.default_rng(seed), []
    for node in program.nodes:
        op = node.op
        if isinstance(op, ops.Linear):
            raw = rng.permutation(op.weights.reshape(-1)).reshape(op.weights.shape)
            op = replace(op, weights=objects(np.rint(raw.astype(float) * scale).astype(int)))
        nodes.append(replace(node, op=op))
    return with_weights_of(program, Program(tuple(nodes), program.outputs, program.probes))


@pytest.mark.parametrize(
    ("program", "reuse"), [(residual(), 250), (depthwise(), 300), (perceptron((16, 16, 12, 8)), 9999)]
)
def test_an_engine_with_other_words_is_the_other_program(program: Program, reuse: int) -> None:
    directives = replace(shared(program, reuse), weights_rate=8.0)
    other = changed(program)
    (words,) = images_of(program, other, directives)
    network = partition(program, directives)
    processes = [
        replace(process, kind=replace(process.kind, stored=replace(process.kind.stored, raw=words)))
        if isinstance(process.kind, Source) and process.kind.stored
        else process
        for process in network.processes
    ]
    assert any(isinstance(process.kind, Engine) for process in processes)
    loaded = replace(network, processes=tuple(processes))
    stimuli = random_stimuli(other, 1, 4)
    expected = Emulator(other).run_raw(stimuli)
    streams = [network.processes[number].takes[0] for number in network.sinks]
    for k in range(4):
        results = execute(loaded, sample(stimuli, k), {}, {})
        for want, have, output, stream in zip(expected, results, other.outputs, streams, strict=True):
            assert_equal_values(np.asarray(want[k]), other.nodes[output.node].type.frac, have, stream.token.frac)
    (same,) = images_of(program, program, directives)
    (stored,) = (p.kind.stored for p in network.processes if isinstance(p.kind, Source) and p.kind.stored)
    np.testing.assert_array_equal(same, stored.raw)


def test_weights_that_have_no_room_are_refused() -> None:
    program = perceptron((16, 16, 12, 8))
    directives = replace(shared(program, 9999), weights_rate=8.0)
    with pytest.raises(UnsupportedError, match=r"layer 'dense\d': other (sums|weights)"):
        images_of(program, changed(program, scale=16.0), directives)
    with pytest.raises(UnsupportedError, match="another structure"):
        with_weights_of(program, perceptron((16, 12, 12, 8)))
