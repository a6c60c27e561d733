"""Tables in place of long computations on one narrow tensor: the same results, and only where many passes are saved."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bitsmith.emulate.emulator import Emulator
from bitsmith.emulate.lookups import MOST_ENTRIES, with_tables
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Cast, Relation, Scan, Table
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, IntArray, Ints, Overflow, Rounding, objects
from tests.ir import oracle

SIZE = 3


def evaluated(program: Program, raw: Ints) -> IntArray:
    """The meaning of a program of one number, by the oracle."""
    return objects([int(oracle.evaluate(program, [np.asarray(one, dtype=np.object_)])[0]) for one in raw])


def tables(program: Program, watched: tuple[Cast, ...] = ()) -> int:
    """How many tables there are then."""
    after = with_tables(program, {output.node for output in program.outputs}, watched, evaluated)
    read, found = [output.node for output in after.outputs], set[int]()
    while read:
        index = read.pop()
        if index not in found:
            found.add(index)
            read += after.nodes[index].args
    return sum(isinstance(after.nodes[index].op, Table) for index in found)


def grown(rng: random.Random, build: ProgramBuilder, x: Value) -> Value:
    """An op on each element of ``x``, and mostly the same for all of them."""
    number = build.const([1, 2, 3] if rng.random() < 0.1 else [rng.choice((1, 2, 3, -5))] * SIZE)
    kind = FixedFormat(True, rng.randint(3, 9), rng.randint(-1, 3), rng.choice([*Rounding]), rng.choice([*Overflow]))
    lo, hi = x.type.raw_range
    entries = [rng.randint(-40, 40) for _ in range(hi - lo + 1)] if hi - lo < 64 else None
    return rng.choice(
        [
            lambda: build.add(x, number),
            lambda: build.sub(number, x),
            lambda: build.mul(x, number),
            lambda: build.max(x, number),
            lambda: build.abs(x),
            lambda: build.neg(x),
            lambda: build.shift(x, rng.choice((-1, 2))),
            lambda: build.cast(x, kind),
            lambda: build.select(build.compare(x, rng.choice([*Relation]), number), x, number),
            lambda: x if entries is None else build.table(x, lo, entries, 1),
        ]
    )()


@pytest.mark.parametrize("seed", range(30))
def test_results_stay(seed: int) -> None:
    """For all values of an element; what wraps is told as often as without tables."""
    rng, build = random.Random(seed), ProgramBuilder()
    x = build.input("x", (SIZE,), FixedFormat(seed % 2 == 0, 5, 2))
    values = [x]
    for _ in range(14):
        y = grown(rng, build, rng.choice(values[-2:]))
        values.append(build.cast(y, FixedFormat(True, 12, 2, overflow=Overflow.WRAP)) if y.type.max_width > 14 else y)
    program = build.program([("a", values[-1]), ("b", rng.choice(values))])
    lo, hi = x.type.raw_range
    raw = np.stack([np.roll(np.arange(lo, hi + 1), k) for k in range(SIZE)], axis=1)
    casts = tuple(node.op for node in program.nodes if isinstance(node.op, Cast))
    plain, quick = (Emulator(program, watched=casts, tables=each) for each in (False, True))
    for found, wanted in zip(quick.run_raw([raw]), plain.run_raw([raw]), strict=True):
        np.testing.assert_array_equal(found, wanted)
    real = raw * 2.0 ** -x.type.frac.astype(float)
    told = [set(each.run_watched([real])[2].casts) for each in (plain, quick)]
    assert told[0] == told[1]
    for sample in (0, len(raw) - 1):
        wanted = oracle.evaluate(program, [objects(raw[sample])])
        assert [np.asarray(each)[sample].tolist() for each in quick.run_raw([raw])] == [
            np.asarray(each).tolist() for each in wanted
        ]


def sums(build: ProgramBuilder, x: Value, count: int, number: object = 1) -> Value:
    for _ in range(count):
        x = build.add(x, build.const(np.asarray(number)))
    return x


@pytest.mark.parametrize(
    ("count", "number", "width", "expected"),
    [
        (8, 1, 6, 1),
        (8, [1, 1, 1], 6, 1),
        (7, 1, 6, 0),
        (9, [1, 2, 1], 6, 0),
        (9, [1, 2, 2], 6, 0),
        (8, 1, 17, 1),
        (8, 1, 18, 0),
    ],
)
def test_eight_passes_of_equal_elements_are_a_table(count: int, number: object, width: int, expected: int) -> None:
    """Of no more entries than the caches hold."""
    assert MOST_ENTRIES == 1 << 17
    build = ProgramBuilder()
    x = build.input("x", (SIZE,), FixedFormat(True, width, 0))
    program = build.program([("y", sums(build, x, count, number))])
    assert tables_fast(program) == expected


def tables_fast(program: Program) -> int:
    """As ``tables``, of entries that are all the same."""
    after = with_tables(program, {program.outputs[0].node}, (), lambda one, raw: objects(np.zeros(len(raw), np.int64)))
    return sum(isinstance(node.op, Table) for node in after.nodes)


def test_what_is_read_between_is_a_table_of_its_own_if_it_is_long() -> None:
    build = ProgramBuilder()
    x = build.input("x", (SIZE,), FixedFormat(True, 4, 0))
    long, short = sums(build, x, 9), sums(build, x, 3)
    both = build.mul(build.concat([long, short], 0), build.const(3))
    assert tables(build.program([("y", both)])) == 1
    assert tables(build.program([("y", sums(build, long, 2)), ("z", long)])) == 2
    assert tables(build.program([("y", long), ("z", sums(build, x, 9, 3))])) == 2


def test_casts_that_are_watched_stay_where_values_may_leave_them() -> None:
    for overflow in (Overflow.WRAP, Overflow.SAT):
        build = ProgramBuilder()
        x = build.input("x", (SIZE,), FixedFormat(True, 4, 0))
        y = build.cast(sums(build, x, 7), FixedFormat(True, 4, 0, Rounding.TRN, overflow))
        program = build.program([("y", sums(build, y, 7))])
        watched = tuple(node.op for node in program.nodes if isinstance(node.op, Cast))
        assert (tables(program), tables(program, watched)) == (1, 0)


def test_steps_of_recurrences_have_tables() -> None:
    body, build, kind = ProgramBuilder(), ProgramBuilder(), FixedFormat(True, 5, 0)
    state, step = body.input("state", (SIZE,), kind), body.input("step", (SIZE,), kind)
    after = body.cast(body.add(body.cast(sums(body, state, 9, 3), kind), step), kind)
    steps = body.program([("state", after), ("y", after)])
    x, initial = build.input("x", (4, SIZE), kind), build.input("initial", (SIZE,), kind)
    program = build.program([("y", build.scan(steps, [initial], [x]))])
    read = with_tables(program, {program.outputs[0].node}, (), evaluated).nodes[program.outputs[0].node].op
    assert isinstance(read, Scan) and [type(node.op) for node in read.body.nodes].count(Table) == 1
    raws = [np.arange(-8, 4).reshape(1, 4, SIZE), np.array([[5, -16, 15]])]
    (wanted,), (found,) = (
        oracle.evaluate(program, [raw[0] for raw in raws]),
        Emulator(program, tables=True).run_raw(raws),
    )
    assert np.asarray(found)[0].tolist() == np.asarray(wanted).tolist()
