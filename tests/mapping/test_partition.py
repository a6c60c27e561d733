"""Programs as networks of processes compute what the programs compute."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest

from bitsmith.dataflow.execute import execute
from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Parameter
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.passes import drop_dead
from bitsmith.passes.load import parameters
from tests.properties.programs import random_program, random_stimuli, sample

Raws = npt.NDArray[np.object_] | npt.NDArray[np.int64]


def assert_same(program: Program, directives: Directives, seed: int = 0) -> None:
    """The processes of ``program`` give its outputs, on random inputs."""
    program = drop_dead(program, keep_probes=False)
    network = partition(program, directives)
    weights = {place: node.op.raw for place, node in parameters(program).items() if isinstance(node.op, Parameter)}
    stimuli = random_stimuli(program, seed, 4)
    expected = Emulator(program).run_raw(stimuli)
    streams = [network.processes[number].takes[0] for number in network.sinks]
    for k in range(4):
        results = execute(network, sample(stimuli, k), weights)
        for want, have, output, stream in zip(expected, results, program.outputs, streams, strict=True):
            kind = program.nodes[output.node].type
            assert_equal_values(np.asarray(want[k]), kind.frac, have, stream.token.frac)


def assert_equal_values(
    want: npt.NDArray[np.generic],
    want_frac: npt.NDArray[np.int64],
    have: npt.NDArray[np.object_],
    have_frac: npt.NDArray[np.int64],
) -> None:
    have_frac = np.broadcast_to(have_frac, have.shape).reshape(want.shape)
    most = max(int(want_frac.max()), int(have_frac.max()))
    left = want.astype(np.object_) << objects(most - np.broadcast_to(want_frac, want.shape))
    right = objects(have).reshape(want.shape) << objects(most - have_frac)
    np.testing.assert_array_equal(left, right)


def demanded(seed: int, program: Program) -> Directives:
    rng = random.Random(seed)
    layers = sorted({node.layer for node in program.nodes})
    reuse, parallel = {layer: rng.choice([1, 2, 3, 5, 12]) for layer in layers}, rng.random() < 0.5
    products = {
        layer: rng.choice([MultiplierStyle.SHARED, MultiplierStyle.SHARED, *MultiplierStyle]) for layer in layers
    }
    return Directives(reuse, parallel, products, {layer: rng.choice([1, 1, 2, 3, 4, 8]) for layer in layers})


@pytest.mark.parametrize("share", range(8))
def test_random_programs(share: int) -> None:
    for seed in range(share, 160, 8):
        program = random_program(seed, hardware=True)
        assert_same(program, demanded(seed, program), seed)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("greatest", [False, True])
def test_reductions_over_tokens(axes: tuple[int, ...], greatest: bool) -> None:
    build = ProgramBuilder()
    x = build.input("x", (2, 3, 4), FixedFormat(True, 5, 2))
    y = build.amax(x, axes) if greatest else build.sum(x, axes)
    assert_same(build.program([("y", y)]), Directives({}, parallel=False))


@pytest.mark.parametrize("perm", [(0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_transpositions_across_tokens(perm: tuple[int, ...]) -> None:
    build = ProgramBuilder()
    x = build.input("x", (2, 3, 4), FixedFormat(True, 5, 2))
    assert_same(build.program([("y", build.transpose(x, perm))]), Directives({}, parallel=False))
