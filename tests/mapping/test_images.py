"""Words with which the engines of one program execute another one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine, Source
from bitsmith.dataflow.processes import Network
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.images import images_of
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.other_weights import with_weights_of
from tests.dataflow.execute import execute
from tests.mapping.test_bands import limited, pyramid
from tests.mapping.test_engines import FORMAT, depthwise, perceptron, residual, shared
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
    assert_image(program, directives)


def test_words_come_once_for_each_band() -> None:
    program = drop_dead(pyramid(), keep_probes=False)
    assert_image(program, limited(program, 36, rate=8.0))


def assert_image(program: Program, directives: Directives) -> None:
    """Check that words of other weights make the other program, and that those of its own are what it has."""
    network = assert_is_other(program, changed(program), directives)
    (same,) = images_of(program, program, directives)
    (stored,) = (p.kind.stored for p in network.processes if isinstance(p.kind, Source) and p.kind.stored)
    np.testing.assert_array_equal(same, stored.raw)


def assert_is_other(program: Program, other: Program, directives: Directives) -> Network:
    """Check that the processes of ``program`` with words of ``other`` are that one; those processes."""
    (words,) = images_of(program, other, directives)
    network = partition(program, directives)
    processes = [
        replace(process, kind=replace(process.kind, stored=StoredWeights.of(words, process.kind.stored.gap)))
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
    return network


def test_weights_that_have_no_room_are_refused() -> None:
    program = perceptron((16, 16, 12, 8))
    directives = replace(shared(program, 9999), weights_rate=8.0)
    with pytest.raises(UnsupportedError, match=r"layer 'dense\d': other (sums|weights)"):
        images_of(program, changed(program, scale=16.0), directives)
    with pytest.raises(UnsupportedError, match="another structure"):
        with_weights_of(program, perceptron((16, 12, 12, 8)))


def biased(*biases: int) -> Program:
    """Dense layers with a bias each, of three fractional bits."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (8,), FORMAT)
    for number, bias in enumerate(biases):
        with builder.layer(f"dense{number}"):
            x = builder.add(builder.linear(x, rng.integers(-15, 16, (8, 8)), 6), builder.const(np.full(8, bias), 3))
            x = builder.cast(x, FORMAT)
    return builder.program([("y", x)])


@pytest.mark.parametrize(
    ("biases", "others", "refused"),
    [
        ((9, -10, 11), (31, -32, 1), None),
        ((9, -10, 11), (8, 16, -32), None),  # of fewer fractional bits
        ((10, -9, 11), (31, -32, 0), None),  # in place of such
        ((9, -10, 11), (8, 32, 7), "layer 'dense1': other biases that are larger"),
        ((9, -10, 11), (-33, 8, 7), "layer 'dense0': other biases that are larger"),
        ((9, -10, 24), (31, 1, 64), "layer 'dense2': other biases that are larger"),
        ((10, -9, 11), (33, 1, 2), "layer 'dense0': other biases that are larger"),
        ((8, -16, 24), (31, 1, 2), "layer 'dense0': other biases of 3 fractional bits"),
        ((9, -10, 11), (8, 8, 7), "image: other constants that are alike"),
    ],
)
def test_biases_have_a_bit_more_than_their_own(
    biases: tuple[int, ...], others: tuple[int, ...], refused: str | None
) -> None:
    program = biased(*biases)
    directives = replace(shared(program, 9999), weights_rate=8.0)
    if refused is None:
        assert_is_other(program, biased(*others), directives)
    else:
        with pytest.raises(UnsupportedError, match=refused):
            images_of(program, biased(*others), directives)


def test_numbers_that_part_what_an_engine_does_are_refused() -> None:
    program, other = (placed(*biases) for biases in ((1, 1, 1, 1), (1, 2, 3, 4)))
    directives = replace(shared(program, 9999), weights_rate=8.0)
    assert_is_other(program, placed(2, 2, 2, 2), directives)
    with pytest.raises(UnsupportedError, match="numbers with which other layers take turns"):
        images_of(program, other, directives)


def test_operands_in_another_order_are_refused() -> None:
    """A constant less a number is no number less a constant, though both have the same operands."""
    program, other = (with_differences(constant_first=first) for first in (False, True))
    directives = replace(shared(program, 9999), weights_rate=8.0)
    assert_image(program, directives)
    with pytest.raises(UnsupportedError, match="other"):
        images_of(program, other, directives)


def with_differences(*, constant_first: bool) -> Program:
    """Dense layers, with the difference of each result and a constant, one way or the other."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (8,), FORMAT)
    for number in range(3):
        with builder.layer(f"dense{number}"):
            operands = builder.linear(x, rng.integers(-15, 16, (8, 8)), 6), builder.const(3, 2)
            x = builder.cast(builder.apply(ops.Sub(), *operands[:: -1 if constant_first else 1]), FORMAT)
    return builder.program([("y", x)])


def placed(*biases: int) -> Program:
    """Dense layers for tokens, each of which has biases of its own."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (len(biases), 8), FORMAT)
    for number in range(3):
        with builder.layer(f"dense{number}"):
            added = builder.const(np.repeat(np.array(biases)[:, None], 8, axis=1), 3)
            x = builder.cast(builder.add(builder.linear(x, rng.integers(-15, 16, (8, 8)), 6), added), FORMAT)
    return builder.program([("y", x)])
