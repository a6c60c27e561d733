"""Types of results against all results that there are, and what operations refuse."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.check import check
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Compare, Input, Linear, Parameter, Relation
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, TensorType, objects

Ints = npt.NDArray[np.int64]

RANGES = [(lo, hi) for lo in range(-3, 4) for hi in range(lo, 4)]
PAIRS = list(product(RANGES, RANGES))
BINARY: dict[str, tuple[Callable[[ProgramBuilder, Value, Value], Value], Callable[[Ints, Ints], Ints]]] = {
    "add": (lambda build, x, y: build.add(x, y), np.add),
    "sub": (lambda build, x, y: build.sub(x, y), np.subtract),
    "mul": (lambda build, x, y: build.mul(x, y), np.multiply),
    "max": (lambda build, x, y: build.max(x, y), np.maximum),
    **{
        relation.name: (lambda build, x, y, relation=relation: build.apply(Compare(relation), x, y), compare)
        for relation, compare in {
            Relation.LT: np.less,
            Relation.LE: np.less_equal,
            Relation.EQ: np.equal,
            Relation.NE: np.not_equal,
            Relation.GE: np.greater_equal,
            Relation.GT: np.greater,
        }.items()
    },
}


@pytest.mark.parametrize("name", BINARY)
def test_ranges_are_those_of_all_pairs(name: str) -> None:
    """Of every two small ranges, one pair to an element."""
    build, (make, compute) = ProgramBuilder(), BINARY[name]
    x, y = (
        build.apply(
            Input(
                name,
                (len(PAIRS),),
                np.zeros((), np.int64),
                *(objects([pair[side][end] for pair in PAIRS]) for end in (0, 1)),
                Rounding.TRN,
                Overflow.SAT,
            )
        )
        for side, name in enumerate("xy")
    )
    kind = make(build, x, y).type
    for k, ((a, b), (c, d)) in enumerate(PAIRS):
        results = compute(np.arange(a, b + 1)[:, None], np.arange(c, d + 1)).astype(int)
        frac, lo, hi = (np.broadcast_to(each, kind.shape)[k] for each in (kind.frac, kind.lo, kind.hi))
        assert (lo * 2.0**-frac, hi * 2.0**-frac) == (results.min(), results.max()), PAIRS[k]


def test_scans_have_as_many_operands_as_their_bodies() -> None:
    narrow = FixedFormat(True, 8, 0, Rounding.TRN, Overflow.WRAP)
    body = ProgramBuilder()
    state, _ = body.input("state", (2,), narrow), body.input("x", (2,), narrow)
    program = body.program([("state", state), ("y", state)])
    build = ProgramBuilder()
    start, x = build.input("start", (2,), narrow), build.input("x", (5, 2), narrow)
    build.scan(program, [start], [x])
    for states, sequences in (([start], [x, x]), ([start, start], [x]), ([start], [])):
        with pytest.raises(ProgramError, match="scan operands do not match"):
            build.scan(program, states, sequences)


def test_weights_have_two_axes() -> None:
    kind = TensorType.of((2,), 0, -8, 7)
    infer(Linear(objects(np.ones((2, 3), np.int64)), np.zeros((2, 3), np.int64)), [kind])
    with pytest.raises(ProgramError, match="weights of 3 axes"):
        infer(Linear(objects(np.ones((2, 3), np.int64)), np.zeros((1, 2, 3), np.int64)), [kind])


def test_recurrences_have_no_parameters_among_other_nodes() -> None:
    narrow = FixedFormat(True, 8, 0, Rounding.TRN, Overflow.WRAP)
    body = ProgramBuilder()
    state, _ = body.input("state", (2,), narrow), body.input("x", (2,), narrow)
    with body.layer("cell"):
        body.apply(Parameter("weight", objects([1, 2]), np.zeros((), np.int64), objects(-8), objects(7), False))
    program = body.program([("state", state), ("y", state)])
    build = ProgramBuilder()
    start, x = build.input("start", (2,), narrow), build.input("x", (5, 2), narrow)
    with pytest.raises(ProgramError, match="a parameter within a recurrence"):
        check(build.program([("y", build.scan(program, [start], [x]))]))
