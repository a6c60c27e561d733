"""What is computed alike from the same wires is the same, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.dataflow.wires import Wires, Wiring, padding_of, places_in_source, repeats
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition

Made = Callable[[ProgramBuilder, Value], Value]


def steps(build: ProgramBuilder) -> Value:
    return build.const(np.arange(8))


@pytest.mark.parametrize(
    ("made", "number"),
    [
        (lambda build, x: x, 1),
        (lambda build, x: build.max(x, build.const(0)), 1),
        (lambda build, x: build.cast(build.mul(x, x), FixedFormat(True, 8, 4)), 1),
        (lambda build, x: build.add(x, steps(build)), 8),
        (lambda build, x: build.cast(build.shift(x, np.arange(8)), FixedFormat(True, 8, 4)), 8),
        (lambda build, x: build.add(x, build.const([3, 3, 5, 3, 5, 5, 5, 5])), 2),
        (lambda build, x: build.concat([build.slice(x, (0,), (3,)), build.const([7, 7, 9, 7, 9])], 0), 3),
    ],
    ids=["repeated", "relu", "square", "steps", "shifts", "two", "beside constants"],
)
def test_number_of_wires(made: Made, number: int) -> None:
    build = ProgramBuilder()
    wires = wires_of(build, made(build, build.broadcast(build.input("x", (1,), FixedFormat(True, 8, 3)), (8,))))
    assert len(np.unique(wires)) == number
    assert repeats(wires) == (number <= 4)


def wires_of(build: ProgramBuilder, x: Value) -> Wires:
    """The wires of eight elements that a product reads."""
    with build.layer("dense"):
        y = build.linear(x, np.arange(1, 9).reshape(8, 1))
    directives = Directives({"dense": 8}, False, {"dense": MultiplierStyle.SHARED})
    wiring = Wiring(partition(build.program([("y", y)]), directives))
    tokens = [(stream.token.size, at) for at, one in enumerate(wiring.network.processes) for stream in one.takes[:1]]
    return wiring.of_operand(next(at for size, at in tokens if size == 8))


@given(st.integers(0, 1 << 32))
def test_zeros_of_the_padding_are_those_places_that_have_no_source(seed: int) -> None:
    rng, build = np.random.default_rng(seed), ProgramBuilder()
    x = build.input("x", (4, 5, 2), FixedFormat(True, 8, 3))
    for kind in rng.integers(0, 6, rng.integers(1, 5)):
        rank, size = len(x.shape), x.shape[0]
        match int(kind):
            case 0:
                before, after = (tuple(rng.integers(0, 2, rank).tolist()) for _ in range(2))
                x = build.pad(x, before, after)
            case 1 if size > 1:
                around = tuple(rng.integers(0, 2, 2).tolist())
                x = build.window(x, (2,), (int(rng.integers(1, 3)),), (1,), (around,))
            case 2:
                x = build.transpose(x, tuple(rng.permutation(rank).tolist()))
            case 3:
                x = build.gather(x, rng.integers(0, size, 3), 0)
            case 4:
                x = build.reshape(x, (size, -1 if rank < 1 else int(np.prod(x.shape[1:]))))
            case _:
                x = build.shift(x, np.array(1))
    program = build.program([("y", x)])
    places = places_in_source(program, program.outputs[0].node)[1].reshape(x.shape)
    padding = padding_of(program, program.outputs[0].node)
    np.testing.assert_array_equal(np.zeros(x.shape, dtype=np.bool_) if padding is None else padding, places < 0)


EIGHT = st.lists(st.integers(0, 1), min_size=8, max_size=8)


@pytest.mark.slow
@pytest.mark.ci
@given(
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(0, 4), EIGHT, EIGHT), max_size=3),
)
def test_elements_are_alike_where_all_that_makes_them_is(
    places: list[int], steps: list[tuple[int, list[int], list[int]]]
) -> None:
    """Compared with what each element is written out as: the operation, its numbers, and what its operands are."""
    build = ProgramBuilder()
    x = build.gather(build.input("x", (3,), FixedFormat(True, 4, 1)), places, 0)
    written: list[object] = list(places)
    for kind, first, second in steps:
        frac = np.broadcast_to(x.type.frac, (8,)).tolist()
        one, other = np.array(first), np.array(second)
        match kind:
            case 0:
                x = build.add(x, build.const(2 * one + 1, other))
                written = list(zip(written, frac, first, second, strict=True))
            case 1:  # wiring: the same wires, worth something else
                x = build.shift(x, one)
            case 2:
                top = objects(3 + 4 * other)
                x = build.apply(ops.Cast(one, -top - 1, top, Rounding.RND, Overflow.SAT), x)
                written = list(zip(written, frac, first, second, strict=True))
            case 3:
                x = build.apply(ops.Cast(np.array([1]), objects([-4]), objects([3]), Rounding.TRN, Overflow.WRAP), x)
                x = build.apply(ops.Table(-4, objects(np.arange(64).reshape(8, 8) ** 2 % 23), one), x)
                written = list(zip(written, frac, range(8), first, strict=True))
            case _:
                x = build.max(x, build.const(0))
                written = list(zip(written, frac, strict=True))
    wires = wires_of(build, x)
    for k in range(8):
        assert [bool(same) for same in wires == wires[k]] == [one == written[k] for one in written]
