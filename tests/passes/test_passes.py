"""Every pass keeps every result, on random programs; and each is known to be caught when it does not."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from dataclasses import fields
from typing import get_args

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.check import check
from bitsmith.ir.ops import Add, Op, Parameter, Scan, Window
from bitsmith.ir.program import Program
from bitsmith.ir.text import parse, to_text
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.passes.program import PASSES, drop_dead, fold_constants, fold_offsets, reduce_widths, share, simplify
from bitsmith.passes.program.load import load, parameters
from tests.ir.oracle import evaluate
from tests.properties import few
from tests.properties.programs import random_program, random_stimuli
from tests.properties.test_execution import all_visible

Pass = Callable[[Program], Program]


def same_results(run: Pass, seed: int, *, keeping: bool = False) -> bool:
    """Whether ``run`` keeps all raw outputs and probes of a random program, and its interface."""
    before = all_visible(random_program(seed, parameters=not keeping, keeping=keeping))
    try:
        after = run(before)
        check(after)
    except (BitsmithError, ValueError, IndexError):
        return False
    stimuli = random_stimuli(before, seed, 16)
    expected, got = Emulator(before).run_raw(stimuli), Emulator(after).run_raw(stimuli)
    return [op.name for op in before.input_ops()] == [op.name for op in after.input_ops()] and all(
        np.array_equal(a, b) for a, b in zip(expected, got, strict=True)
    )


@few("share_of_seeds", range(4), fast=1, judged=True)
@pytest.mark.parametrize("run", [*PASSES, simplify], ids=lambda run: run.__name__)
def test_pass_keeps_results(run: Pass, share_of_seeds: int) -> None:
    for seed in range(share_of_seeds * 15, (share_of_seeds + 1) * 15):
        assert same_results(run, seed), f"{run.__name__}, seed {seed}"


@pytest.mark.parametrize("run", [*PASSES, simplify], ids=lambda run: run.__name__)
def test_pass_keeps_results_of_states_that_live_on(run: Pass) -> None:
    for seed in range(15):
        assert same_results(run, seed, keeping=True), f"{run.__name__}, seed {seed}"


@pytest.mark.parametrize("op", [kind() for kind in get_args(Op) if not fields(kind)], ids=lambda op: type(op).__name__)
def test_operands_change_places_where_that_changes_no_result(op: Op) -> None:
    build = ProgramBuilder()
    x, y = (build.input(name, (2, 2), FixedFormat(True, 6, 3)) for name in "xy")
    try:
        ways = [build.apply(op, x, y), build.apply(op, y, x)]
    except (ProgramError, ValueError, IndexError):  # of another number of operands
        return
    program = build.program([("first", ways[0]), ("second", ways[1])])
    samples = np.random.default_rng(0).integers(-32, 32, (16, 2, 2, 2))
    alike = all(np.array_equal(*evaluate(program, [objects(part) for part in sample])) for sample in samples)
    assert (len(share(program).nodes) == 3) == alike


def test_zeros_are_folded_on_a_finer_grid_than_that_of_their_type() -> None:
    assert same_results(fold_constants, 10_184)


@pytest.mark.parametrize(
    ("before", "after", "own"),
    [((1, 0, 0), (0, 2, 0), (1, 1)), ((0, 0, 0), (1, 1, 0), (0, 0)), ((0, 0, 1), (0, 0, 1), (0, 1))],
)
def test_windows_pad_what_was_padded(before: tuple[int, ...], after: tuple[int, ...], own: tuple[int, int]) -> None:
    """Rows and columns, that is; padded channels remain."""
    builder = ProgramBuilder()
    x = builder.input("x", (4, 5, 2), FixedFormat(True, 6, 2, Rounding.TRN, Overflow.SAT))
    y = builder.window(builder.pad(x, before, after), (2, 3), (2, 1), (1, 1), (own, own))
    program = builder.program([("y", y)])
    small = drop_dead(reduce_widths(program))
    assert len(small.nodes) == (3 if before[2] else 2)
    stimuli = random_stimuli(program, 0, 8)
    for expected, got in zip(Emulator(program).run_raw(stimuli), Emulator(small).run_raw(stimuli), strict=True):
        assert np.array_equal(expected, got)


@pytest.mark.parametrize("reduce", ["amax", "sum"])
@pytest.mark.parametrize("rows", [(1, 1), (0, 2), (0, 0)])
def test_rows_are_padded_where_windows_lie_along_them(reduce: str, rows: tuple[int, int]) -> None:
    """Not before, where a pooling along columns would make rows of zeros."""
    builder = ProgramBuilder()
    x = builder.input("x", (4, 6, 2), FixedFormat(True, 6, 2, Rounding.TRN, Overflow.SAT))
    pool = getattr(builder, reduce)
    across = pool(builder.window(x, (1, 3), (1, 2), (1, 1), (rows, (1, 0))), (2, 3))
    down = pool(builder.window(across, (3, 1), (2, 1), (1, 1), ((1, 0), (0, 0))), (2, 3))
    program = builder.program([("y", down)])
    small = drop_dead(reduce_widths(program))
    paddings = [node.op.padding for node in small.nodes if isinstance(node.op, Window)]
    assert paddings == [((0, 0), (1, 0)), ((1 + rows[0], rows[1]), (0, 0))]
    stimuli = random_stimuli(program, 0, 8)
    for expected, got in zip(Emulator(program).run_raw(stimuli), Emulator(small).run_raw(stimuli), strict=True):
        assert np.array_equal(expected, got)


@pytest.mark.slow
@pytest.mark.parametrize("run", [*PASSES, simplify], ids=lambda run: run.__name__)
def test_pass_keeps_results_at_length(run: Pass) -> None:
    for seed in range(10_000, 10_600):
        assert same_results(run, seed), f"{run.__name__}, seed {seed}"


@pytest.mark.parametrize("run", [*PASSES, simplify], ids=lambda run: run.__name__)
def test_pass_concludes_nothing_from_the_values_of_parameters(run: Pass) -> None:
    """Other values loaded before a pass, or after it: the same results."""
    tried = 0
    for seed in range(30):
        before = all_visible(random_program(seed, parameters=True))
        rng = random.Random(seed)
        values = {}
        for place, node in parameters(before).items():
            assert isinstance(node.op, Parameter)
            lo, hi = int(node.op.lo), int(node.op.hi)
            values[place] = objects(
                np.array([rng.choice((lo, hi, rng.randint(lo, hi))) for _ in range(node.op.raw.size)])
            )
        stimuli = random_stimuli(before, seed, 8)
        expected = Emulator(load(before, values)).run_raw(stimuli)
        got = Emulator(load(run(before), values)).run_raw(stimuli)
        assert all(np.array_equal(a, b) for a, b in zip(expected, got, strict=True)), seed
        tried += bool(values)
    assert tried > 10


@pytest.mark.parametrize(
    ("run", "function", "mutant"),
    [
        (share, "identity", lambda node: (node.op, tuple(sorted(node.args)), node.type)),
        (reduce_widths, "holds", lambda op, x: True),
        (fold_constants, "is_one_value", lambda kind: bool(np.any(kind.lo == kind.hi))),
        (fold_offsets, "_rule", lambda new, op, args, layer: args[0] if isinstance(op, Add) else None),
        (drop_dead, "reached", lambda program: {output.node for output in program.outputs} | set(program.inputs)),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_broken_pass_is_caught(
    run: Pass, function: str, mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(same_results(run, seed) for seed in range(4))
    monkeypatch.setattr(importlib.import_module(run.__module__), function, mutant)
    assert not all(same_results(run, seed) for seed in range(60))


def test_every_pass_has_a_mutant() -> None:
    assert set(PASSES) == {share, reduce_widths, fold_constants, fold_offsets, drop_dead}


HEAD = """\
%0: 2 s4 frac 0 = input name=x shape=(2) frac=0 lo=-8 hi=7 rounding=TRN overflow=SAT
"""


def test_what_has_nothing_dead_stays_itself() -> None:
    """Layouts are kept by program: one with recurrences as well."""
    body = ProgramBuilder()
    state, step = (body.input(name, (2,), FixedFormat(True, 4, 2)) for name in ("state", "x"))
    body.sub(state, step)
    total = body.cast(body.add(state, step), FixedFormat(True, 4, 2))
    builder = ProgramBuilder()
    start, x = (
        builder.input("start", (2,), FixedFormat(True, 4, 2)),
        builder.input("x", (5, 2), FixedFormat(True, 4, 2)),
    )
    whole = builder.program([("y", builder.scan(body.program([("state", total), ("y", total)]), [start], [x]))])
    small = drop_dead(whole)
    assert small is not whole and drop_dead(small) is small and drop_dead(whole) is small


@pytest.mark.parametrize(
    ("run", "before", "after"),
    [
        (
            reduce_widths,
            "%1 = cast %0 frac=0 lo=-16 hi=15 rounding=RND overflow=SAT\noutput y %1",
            "%1: 2 s4 frac 0 = cast %0 frac=0 lo=-16 hi=15 rounding=RND overflow=SAT\noutput y %0",
        ),
        (
            share,
            "%1 = mul %0 %0\n%2 = add %0 %1\n%3 = add %1 %0\n%4 = sub %2 %3\noutput y %4",
            "%1: 2 s8 frac 0 = mul %0 %0\n%2: 2 s8 frac 0 = add %0 %1\n%3: 2 s9 frac 0 = sub %2 %2\noutput y %3",
        ),
        (
            fold_constants,
            "%1 = const raw=5 frac=0\n%2 = neg %1\noutput y %2",
            "%1: scalar u3 frac 0 = const raw=5 frac=0\n%2: scalar s4 frac 0 = const raw=-5 frac=0\noutput y %2",
        ),
        (
            fold_constants,
            "%1 = const raw=1 frac=0\n%2 = mul %1 %0\n%3 = const raw=1 frac=2\n%4 = mul %2 %3\noutput y %4",
            "%1: scalar u1 frac 0 = const raw=1 frac=0\n%2: scalar u1 frac 2 = const raw=1 frac=2\n"
            "%3: 2 s4 frac 2 = shift %0 amount=-2\noutput y %3",
        ),
        (
            fold_offsets,
            "%1 = const raw=3 frac=1\n%2 = add %0 %1\n%3 = const raw=1 frac=0\n%4 = add %3 %2\noutput y %4",
            "%1: scalar u2 frac 1 = const raw=3 frac=1\n%2: 2 s6 frac 1 = add %0 %1\n%3: scalar u1 frac 0 = const raw=1 frac=0\n"
            "%4: scalar u3 frac 1 = const raw=5 frac=1\n%5: 2 s6 frac 1 = add %0 %4\noutput y %5",
        ),
        (
            drop_dead,
            "%1 = neg %0\n%2 = abs %0\nprobe p %2\noutput y %0",
            "%1: 2 u4 frac 0 = abs %0\noutput y %0\nprobe p %1",
        ),
    ],
    ids=["reduce_widths", "share", "fold_constants", "products with 1", "fold_offsets", "drop_dead"],
)
def test_before_and_after(run: Pass, before: str, after: str) -> None:
    result = run(parse(HEAD + before))
    if run is reduce_widths:
        result = drop_dead(result)
        after = "output y %0"
    assert to_text(result).strip() == HEAD + after


@pytest.mark.parametrize("positions", [(), (3,)])
@pytest.mark.parametrize("offset", [(), (4,), (1, 4), (3, 1)])
@pytest.mark.parametrize("reshaped", [False, True])
def test_offsets_move_behind_products(positions: tuple[int, ...], offset: tuple[int, ...], reshaped: bool) -> None:
    """Also ones that differ by position; what a probe sees stays what it was."""
    rng, builder = np.random.default_rng(len(offset)), ProgramBuilder()
    if len(offset) > len(positions) + 1:
        return
    x = builder.input("x", (*positions, 4), FixedFormat(True, 5, 3))
    moved = builder.add(x, builder.const(rng.integers(-9, 9, offset), 1))
    if reshaped:
        moved = builder.reshape(moved, (*positions, 2, 2))
    n = moved.shape[-1]
    product = builder.linear(moved, rng.integers(-7, 8, (n, 2)), 2)
    y = builder.add(product, builder.const(rng.integers(-9, 9, 2), 1))
    before = all_visible(builder.program([("y", y)]))
    after = fold_offsets(before)
    stimuli = random_stimuli(before, 1, 16)
    expected, got = Emulator(before).run_raw(stimuli), Emulator(after).run_raw(stimuli)
    assert all(np.array_equal(a, b) for a, b in zip(expected, got, strict=True))
    names = [type(node.op).__name__ for node in drop_dead(fold_offsets(builder.program([("y", y)]))).nodes]
    assert names.count("Add") == 1


def test_large_offsets_that_differ_by_position_stay() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (1100, 4), FixedFormat(True, 5, 3))
    moved = builder.add(x, builder.const(np.arange(1100)[:, None], 0))
    y = builder.add(builder.linear(moved, np.ones((4, 2), np.int64), 0), builder.const(1, 0))
    assert len(drop_dead(fold_offsets(builder.program([("y", y)]))).nodes) == 6


def test_probes_are_dropped_when_asked() -> None:
    program = parse(HEAD + "%1 = neg %0\nprobe p %1\noutput y %0")
    assert to_text(drop_dead(program, keep_probes=False)).strip() == HEAD + "output y %0"


def test_differences_of_turned_operands_are_two() -> None:
    program = parse(
        HEAD
        + "%1 = input name=z shape=(2) frac=0 lo=-8 hi=7 rounding=TRN overflow=SAT\n"
        + "%2 = sub %0 %1\n%3 = sub %1 %0\noutput y %2\noutput w %3"
    )
    assert len(share(program).nodes) == 4


def test_casts_that_only_floor_are_merged() -> None:
    program = parse(
        "%0 = input name=x shape=() frac=6 lo=-99 hi=99 rounding=TRN overflow=SAT\n"
        "%1 = cast %0 frac=4 lo=-99 hi=99 rounding=TRN overflow=SAT\n"
        "%2 = cast %1 frac=2 lo=-8 hi=7 rounding=TRN overflow=WRAP\n"
        "output y %2"
    )
    merged = simplify(program)
    assert [type(node.op).__name__ for node in merged.nodes] == ["Input", "Cast"]
    rounds = parse(to_text(program).replace("rounding=TRN overflow=WRAP", "rounding=RND overflow=WRAP"))
    assert len(simplify(rounds).nodes) == 3


def test_transpositions_are_merged_and_cancelled() -> None:
    program = parse(
        "%0 = input name=x shape=(2,1,3) frac=0 lo=-8 hi=7 rounding=TRN overflow=SAT\n"
        "%1 = transpose %0 perm=(1,2,0)\n"
        "%2 = transpose %1 perm=(1,2,0)\n"
        "%3 = transpose %2 perm=(1,2,0)\n"
        "%4 = transpose %0 perm=(1,0,2)\n"
        "output merged %2\noutput cancelled %3\noutput reshaped %4"
    )
    simple = simplify(program)
    assert [type(node.op).__name__ for node in simple.nodes] == ["Input", "Transpose", "Reshape"]
    assert [simple.nodes[output.node].type.shape for output in simple.outputs] == [(3, 2, 1), (2, 1, 3), (1, 2, 3)]
    raw = np.arange(-3, 3, dtype=object).reshape(1, 2, 1, 3)
    for expected, got in zip(Emulator(program).run_raw([raw]), Emulator(simple).run_raw([raw]), strict=True):
        np.testing.assert_array_equal(expected, got)


@pytest.mark.parametrize(("width", "states"), [(9, 9), (20, 20)])
def test_states_are_as_narrow_as_what_comes_into_them(width: int, states: int) -> None:
    body, build, fmt = ProgramBuilder(), ProgramBuilder(), FixedFormat(True, 20, 8)
    state, x = body.input("state", (3,), fmt), body.input("x", (3,), fmt)
    total = body.add(body.linear(state, np.full((3, 3), 100)), x)
    following = body.cast(body.cast(total, FixedFormat(True, width, 8, Rounding.TRN, Overflow.SAT)), fmt)
    scan = build.scan(
        body.program([("next", following), ("y", following)]),
        [build.const(np.ones(3, int), 8)],
        [build.cast(build.input("x", (4, 3), FixedFormat(True, 5, 8)), fmt)],
    )
    before = build.program([("y", scan)])
    after = drop_dead(reduce_widths(before))
    inner = next(node.op for node in after.nodes if isinstance(node.op, Scan))
    assert [inner.body.nodes[index].type.max_width for index in inner.body.inputs] == [states, 5]
    stimuli = random_stimuli(before, 1, 16)
    np.testing.assert_array_equal(Emulator(before).run_raw(stimuli)[0], Emulator(after).run_raw(stimuli)[0])


def test_inputs_of_a_recurrence_within_another_keep_their_own_ranges() -> None:
    """Of the same names as those around it, and with larger numbers."""
    build, body, inside = ProgramBuilder(), ProgramBuilder(), ProgramBuilder()
    narrow, wide = FixedFormat(True, 5, 0), FixedFormat(True, 24, 0)
    state, x = inside.input("state", (), wide), inside.input("x", (), wide)
    following = inside.cast(inside.add(state, x), wide)
    inner = inside.program([("next", following), ("y", following)])
    state, x = body.input("state", (), wide), body.input("x", (3,), wide)
    last = body.slice(body.scan(inner, [state], [body.cast(body.mul(x, body.const(1000)), wide)]), (2,), (3,))
    last = body.cast(body.reshape(last, ()), wide)
    sequence = build.cast(build.input("x", (2, 3), narrow), wide)
    scan = build.scan(body.program([("next", last), ("y", last)]), [build.const(0)], [sequence])
    before = build.program([("y", scan)])
    after = drop_dead(reduce_widths(before))
    check(after)
    stimuli = random_stimuli(before, 1, 16)
    np.testing.assert_array_equal(Emulator(before).run_raw(stimuli)[0], Emulator(after).run_raw(stimuli)[0])


@pytest.mark.parametrize("end", ["least", "greatest"])
def test_a_sequence_that_does_not_reach_one_end_is_as_narrow_in_the_body(end: str) -> None:
    body, build, fmt = ProgramBuilder(), ProgramBuilder(), FixedFormat(True, 9, 0)
    state, x = body.input("state", (3,), fmt), body.input("x", (3,), fmt)
    following = body.cast(body.add(state, x), fmt)
    bounded = build.max if end == "least" else build.min
    sequence = bounded(build.input("x", (4, 3), fmt), build.const(5))
    scan = build.scan(body.program([("next", following), ("y", following)]), [build.const(np.ones(3, int))], [sequence])
    after = drop_dead(reduce_widths(build.program([("y", scan)])))
    inner = next(node.op for node in after.nodes if isinstance(node.op, Scan))
    kind = inner.body.nodes[inner.body.inputs[1]].type
    assert (int(kind.lo.min()), int(kind.hi.max())) == ((5, 255) if end == "least" else (-256, 5))


def test_what_is_left_without_probes_is_one_program() -> None:
    """Layouts are kept by program, so that an estimate and what follows it share them."""
    program = parse(HEAD + "%1 = neg %0\n%2 = abs %0\nprobe p %2\noutput y %1")
    left = drop_dead(program, keep_probes=False)
    assert not left.probes and left is drop_dead(program, keep_probes=False) is drop_dead(left)
