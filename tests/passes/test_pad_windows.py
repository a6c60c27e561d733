"""Poolings that repeat elements beyond the borders become windows with padding, and give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.check import check
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.ir.types import Overflow, Rounding, objects
from bitsmith.layers.layer import Shape
from bitsmith.layers.pooling import MaxPool
from bitsmith.passes.program import simplify
from bitsmith.passes.program.pad_windows import pad_windows
from tests.layers.lowered import network_of, run
from tests.layers.test_pooling import SIGNED, fits, windows
from tests.properties import shares
from tests.properties.convolutional import random_borders
from tests.properties.programs import random_stimuli


def assert_same(program: Program, padded: Program, seed: int) -> None:
    check(padded)
    stimuli = random_stimuli(program, seed, 4)
    for one, other in zip(Emulator(program).run_raw(stimuli), Emulator(padded).run_raw(stimuli), strict=True):
        np.testing.assert_array_equal(one, other)


def gathers(program: Program) -> int:
    return sum(isinstance(node.op, ops.Gather) for node in program.nodes)


@settings(max_examples=40)
@given(windows(), st.integers(0, 100))
def test_poolings_of_all_kinds(drawn: tuple[Shape, dict[str, Any]], seed: int) -> None:
    """Ranges stay those of the elements, whatever the padding."""
    shape, arguments = drawn
    layer = MaxPool(**arguments)
    if fits(layer, shape):
        program = run(network_of(layer, [shape], formats={0: SIGNED})).program
        padded = simplify(pad_windows(program, {"layer"}))
        assert gathers(padded) == 0
        assert padded.nodes[padded.outputs[0].node].type == program.nodes[program.outputs[0].node].type
        assert_same(program, padded, seed)


@shares(4, fast=1)
def test_random_networks(share: int) -> None:
    for seed in range(share, 40, 4):
        program = random_borders(seed)
        assert_same(program, pad_windows(program, {node.layer for node in program.nodes}), seed)


def pooled(places: list[int], size: int = 2) -> Program:
    """The greatest of windows over elements of two channels, which have ranges and fractional bits of their own."""
    builder = ProgramBuilder()
    with builder.layer("pool"):
        kind = ops.Input(
            "x", (3, 2), np.array([1, 3]), objects([-5, -100]), objects([9, 20]), Rounding.TRN, Overflow.SAT, ()
        )
        x = builder.gather(builder.apply(kind), np.array(places), 0)
        y = builder.amax(builder.window(x, [size], [1], [1], [(0, 0)]), [1])
    return builder.program([("y", y)])


def test_each_channel_has_an_offset_of_its_own() -> None:
    padded = pad_windows(pooled([0, 0, 1, 2, 2]), {"pool"})
    ((offset, fracs),) = ((node.op.raw, node.op.frac) for node in padded.nodes if isinstance(node.op, ops.Const))
    assert (offset.tolist(), fracs.tolist()) == ([5, 100], [1, 3])
    assert_same(pooled([0, 0, 1, 2, 2]), padded, 0)
    assert gathers(simplify(padded)) == 0


def test_what_repeats_other_elements_stays() -> None:
    """The first window would have the third element, too; the others have only what is not in them."""
    for places in ([2, 0, 1, 2], [1, 0, 1, 2, 1, 1], [0, 2, 1]):
        program = pooled(places)
        assert to_text(pad_windows(program, {"pool"})) == to_text(program)
    assert gathers(simplify(pad_windows(pooled([0, 0, 1, 2]), {"another"}))) == 1
