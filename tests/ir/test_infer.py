"""Types of results against all results that there are, and what operations refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.check import check
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Cast, Compare, Const, Input, Linear, Op, Pad, Parameter, Relation, Shift, Table
from bitsmith.ir.scaling import machine_weights, raised, rescale
from bitsmith.ir.types import MAX_FRAC, FixedFormat, Overflow, Rounding, TensorType, objects
from tests.ir.oracle import evaluate

Ints = npt.NDArray[np.int64]

RANGES = [(lo, hi) for lo in range(-3, 4) for hi in range(lo, 4)]
PAIRS = list(product(RANGES, RANGES))
BINARY: dict[str, tuple[Callable[[ProgramBuilder, Value, Value], Value], Callable[[Ints, Ints], Ints]]] = {
    "add": (lambda build, x, y: build.add(x, y), np.add),
    "sub": (lambda build, x, y: build.sub(x, y), np.subtract),
    "mul": (lambda build, x, y: build.mul(x, y), np.multiply),
    "max": (lambda build, x, y: build.max(x, y), np.maximum),
    "min": (lambda build, x, y: build.min(x, y), np.minimum),
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
                (),
            )
        )
        for side, name in enumerate("xy")
    )
    kind = make(build, x, y).type
    for k, ((a, b), (c, d)) in enumerate(PAIRS):
        results = compute(np.arange(a, b + 1)[:, None], np.arange(c, d + 1)).astype(int)
        frac, lo, hi = (np.broadcast_to(each, kind.shape)[k] for each in (kind.frac, kind.lo, kind.hi))
        assert (lo * 2.0**-frac, hi * 2.0**-frac) == (results.min(), results.max()), PAIRS[k]


Make = Callable[[ProgramBuilder, Sequence[Value]], Value]
EXACT: dict[str, tuple[tuple[tuple[int, ...], ...], Make]] = {
    "add": (((2,), (2, 1)), lambda build, args: build.add(*args)),
    "sub": (((2, 1), (2,)), lambda build, args: build.sub(*args)),
    "mul": (((2,), (1,)), lambda build, args: build.mul(*args)),
    "max": (((2,), (2, 1)), lambda build, args: build.max(*args)),
    "min": (((2, 1), (2,)), lambda build, args: build.min(*args)),
    "neg": (((2, 2),), lambda build, args: build.neg(*args)),
    "abs": (((2, 2),), lambda build, args: build.abs(*args)),
    "shift": (((3,),), lambda build, args: build.shift(*args, [-1, 0, 2])),
    "select": (((2,), (1,), (2,)), lambda build, args: build.select(*args)),
    "matmul": (((1, 2), (2, 2)), lambda build, args: build.matmul(*args)),
    "sum": (((2, 2, 1),), lambda build, args: build.sum(*args, (0,))),
    "total": (((2, 2),), lambda build, args: build.sum(*args, (0, 1))),
    "amax": (((2, 2, 1),), lambda build, args: build.amax(*args, (1,))),
    "pad": (((2,),), lambda build, args: build.apply(Pad((1,), (2,)), *args)),
    "linear": (((3,),), lambda build, args: build.linear(*args, [[1, -2, 0], [3, 4, 0], [-5, 8, 0]], [[0, 1, 0]])),
    "table": (
        ((2,),),
        lambda build, args: build.table(*args, -4, [[3, 1, 4, 1, 5, 9, 2, 6], [8, 2, 8, 1, 8, 2, 8, 4]], 1),
    ),
    "cast": (((3,),), lambda build, args: build.cast(*args, FixedFormat(True, 3, 1, Rounding.RND_CONV, Overflow.SAT))),
}
"""Operations of few elements, each of which is read once for a result, by the shapes of operands."""


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=6)
@given(seed=st.integers(0, 1 << 32))
def test_ranges_are_those_of_all_operands(name: str, seed: int) -> None:
    """The least and the greatest result that the oracle gives for any operands in their ranges, of other units each."""
    shapes, make = EXACT[name]
    rng, build = np.random.default_rng(seed), ProgramBuilder()
    kinds, args = [], []
    for k, shape in enumerate(shapes):
        lo = rng.integers(-4, 4, shape)
        hi = np.minimum(lo + rng.integers(0, 3 if np.prod(shape) < 4 else 2, shape), 3)
        frac = rng.integers(-1, 2, shape if name != "table" else ())
        kinds.append(TensorType.of(shape, frac, lo, hi))
        kind = kinds[-1]
        args.append(build.apply(Input(f"x{k}", shape, kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.SAT, ())))
    program = build.program([("y", make(build, args))])
    ends = [
        range(lo, hi + 1) for kind in kinds for lo, hi in zip(*(part.ravel() for part in kind.full()[1:]), strict=True)
    ]
    results = set[tuple[int, ...]]()
    for raws in product(*ends):
        left, operands = list(raws), list[npt.NDArray[np.object_]]()
        for shape in shapes:
            size = int(np.prod(shape))
            operands.append(np.array(left[:size], dtype=object).reshape(shape))
            left = left[size:]
        results.add(tuple(int(raw) for raw in np.ravel(evaluate(program, operands)[0])))
    kind = program.nodes[program.outputs[0].node].type
    lo, hi = (np.ravel(part).tolist() for part in kind.full()[1:])
    assert lo == [min(column) for column in zip(*results, strict=True)]
    assert hi == [max(column) for column in zip(*results, strict=True)]


@given(st.integers(0, 1 << 32), st.sampled_from([2, 20, 60, 90]), st.booleans())
def test_products_with_weights_have_the_fewest_fractional_bits(seed: int, bits: int, alike: bool) -> None:
    """In machine integers or not: a column of weights has the same numbers in the largest unit that all are multiples of."""
    rng = np.random.default_rng(seed)
    shape = rows, columns = rng.integers(1, 5, 2)
    weights = np.array(
        [[int(rng.integers(-9, 10)) << int(rng.integers(0, bits)) for _ in range(columns)] for _ in range(rows)], object
    )
    weights[rng.random(shape) < 0.3] = 0
    frac = np.full(shape, 3) if alike else rng.integers(-9, 10, shape)
    x = TensorType.of((rows,), 0 if alike else rng.integers(-4, 5, rows), -1, 1)
    found, fracs = machine_weights(Linear(weights, frac), x)
    before = [[Fraction(w) / Fraction(2) ** int(f) for w, f in zip(*row, strict=True)]
              for row in zip(weights.tolist(), (x.full()[0][:, None] + frac).tolist(), strict=True)]  # fmt: skip
    assert [[w / Fraction(2) ** int(f) for w, f in zip(row, fracs, strict=True)] for row in found.tolist()] == before
    assert all(
        any(w % 2 for w in column) or (not any(column) and f == 0)
        for column, f in zip(found.T.tolist(), fracs, strict=True)
    )


@given(st.lists(st.integers(-(1 << 40), 1 << 40), min_size=1, max_size=4), st.integers(0, 30), st.booleans())
def test_weights_times_a_power_of_two_are_exact(numbers: list[int], lift: int, in_objects: bool) -> None:
    weights = objects(numbers) if in_objects else np.array(numbers, dtype=np.int64)
    assert raised(weights, np.array([lift])).tolist() == [number << lift for number in numbers]


@given(st.integers(0, 1 << 32))
def test_rescaled_numbers_are_the_same_or_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw, have, want = (objects(rng.integers(-8, 9, 3)), rng.integers(-3, 4, 3), rng.integers(-3, 4, 3))
    numbers = [Fraction(r) * Fraction(2) ** int(w - h) for r, h, w in zip(raw, have, want, strict=True)]
    if all(number.denominator == 1 for number in numbers):
        assert rescale(raw, have, want).tolist() == numbers
    else:
        with pytest.raises(ProgramError, match="lose bits"):
            rescale(raw, have, want)


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


@pytest.mark.parametrize("most", [1, (1 << 63) - 1, 1 << 63, 1 << 200])
def test_weights_are_read_only_machine_integers_where_all_fit(most: int) -> None:
    builder = ProgramBuilder()
    numbers = objects([[most, -1]])
    builder.linear(builder.input("x", (1,), FixedFormat(signed=True, width=8, frac=0)), numbers)
    op = builder.program([]).nodes[-1].op
    assert isinstance(op, Linear)
    assert op.weights.tolist() == numbers.tolist()
    assert (op.weights.dtype == np.int64) == (most < 1 << 63)
    assert not op.weights.flags.writeable
    assert numbers.flags.writeable


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


@given(st.integers(0, 1 << 32), st.sampled_from([3, 30, 60, 100]), st.sampled_from([3, 30, 50, 90]))
def test_products_with_weights_are_exact_whatever_their_bits(seed: int, bits: int, weight_bits: int) -> None:
    """In double precision as a whole or in parts, or in Python's integers: ends are those of Python's."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 40, 2)
    lo, weights = (
        objects([int(rng.integers(-9, 10)) * (1 << wide) // int(rng.integers(1, 10)) for _ in range(size)])
        for wide, size in ((bits, rows), (weight_bits, rows * columns))
    )
    hi = lo + objects(rng.integers(0, 2, rows)) * (1 << bits)
    op = Linear(weights.reshape(rows, columns), np.zeros((1, 1), dtype=np.int64))
    kind = infer(op, [TensorType.of((rows,), 0, lo, hi)])
    frac, least, most = kind.full()
    products = np.stack([objects(end)[:, None] * op.weights for end in (lo, hi)])
    assert np.array_equal(least << objects(-frac), products.min(axis=0).sum(axis=0))
    assert np.array_equal(most << objects(-frac), products.max(axis=0).sum(axis=0))


def test_casts_are_to_ranges_that_hold_something() -> None:
    kind = TensorType.of((2,), 0, -8, 7)

    def cast(lo: list[int], hi: list[int], overflow: Overflow = Overflow.SAT) -> Cast:
        return Cast(np.zeros(2, dtype=np.int64), objects(lo), objects(hi), Rounding.RND, overflow)

    infer(cast([-3, 5], [4, 5]), [kind])
    with pytest.raises(ProgramError, match="a cast to an empty range"):
        infer(cast([-3, 6], [4, 5]), [kind])
    infer(cast([-8, -8], [-1, 5]), [kind])
    infer(cast([-8, -8], [0, 5], Overflow.SAT_SYM), [kind])
    with pytest.raises(ProgramError, match="SAT_SYM to a range of negative values"):
        infer(cast([-8, -8], [-1, 5], Overflow.SAT_SYM), [kind])


def _fracs(frac: int) -> dict[str, Op]:
    """Operations on two numbers, if on any, that say how many fractional bits something has."""
    fracs, numbers, ends = np.array([0, frac]), objects([1, -3]), (objects([-8, -8]), objects([7, 7]))
    return {
        "input": Input("x", (2,), fracs, *ends, Rounding.TRN, Overflow.SAT, ()),
        "constant": Const(numbers, fracs),
        "parameter": Parameter("weight", numbers, np.array([frac]), objects([-8]), objects([7]), False),
        "weights": Linear(objects([[1, 3], [5, 7]]), np.full((2, 2), frac)),
        "shift": Shift(fracs),
        "table": Table(-8, objects([[*range(16)]]), fracs),
        "cast": Cast(fracs, *ends, Rounding.RND, Overflow.SAT),
    }


@pytest.mark.parametrize("name", _fracs(0))
@pytest.mark.parametrize("sign", [-1, 1])
def test_operations_have_as_many_fractional_bits_as_fit_into_memory(name: str, sign: int) -> None:
    for frac in (1 << 62, MAX_FRAC + 1):
        op = _fracs(sign * frac)[name]
        args = [TensorType.of((2,), 0, -8, 7)] * op.arity[0]
        with pytest.raises(ProgramError, match=f"more than {MAX_FRAC} fractional bits"):
            infer(op, args)
    op = _fracs(sign * MAX_FRAC)[name]
    infer(op, [TensorType.of((2,), 0, -8, 7)] * op.arity[0])
