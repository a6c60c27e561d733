"""The emulator's interface: real numbers in and out, batches of any size, refusals."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator, workspace
from bitsmith.emulate.bounds import NumberKind, has_room
from bitsmith.emulate.linear import _columns, _sizes
from bitsmith.emulate.storage import plan_storage
from bitsmith.emulate.workspace import Workspace, aligned
from bitsmith.errors import InputDataError
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, TensorType
from tests.ir import oracle


def dense(width: int, frac: int, n: int = 6) -> Program:
    """A small dense layer with relu, and a probe on the sums."""
    rng = random.Random(3)
    fmt = FixedFormat(True, width, frac)
    weights = np.array([rng.randint(fmt.lo, fmt.hi) for _ in range(4 * n)], dtype=object).reshape(n, 4)
    build = ProgramBuilder()
    x = build.input("x", (n,), fmt)
    y = build.linear(x, weights, frac)
    z = build.cast(build.max(y, build.const(0)), fmt)
    return build.program([("z", z)], [("y", y)])


def passthrough(fmt: FixedFormat, shape: tuple[int, ...] = ()) -> Emulator:
    build = ProgramBuilder()
    return Emulator(build.program([("y", build.input("x", shape, fmt))]))


def assert_oracle(program: Program, samples: int) -> None:
    """The emulator's raw results of random inputs are the oracle's."""
    rng = random.Random(1)
    raws = []
    for index in program.inputs:
        _, lo, hi = program.nodes[index].type.full()
        draw = np.frompyfunc(rng.randint, 2, 1)
        raws.append(np.stack([draw(lo, hi) for _ in range(samples)]))
    found = Emulator(program).run_raw(raws)
    for k in range(samples):
        for raw, truth in zip(found, oracle.evaluate(program, [each[k] for each in raws]), strict=True):
            np.testing.assert_array_equal(raw[k], truth)


FORMATS = st.builds(
    FixedFormat,
    st.booleans(),
    st.integers(1, 70),
    st.integers(-30, 40),
    st.sampled_from(Rounding),
    st.sampled_from(Overflow),
)


@settings(max_examples=150)
@given(FORMATS, st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), st.integers(0, 40))
def test_quantise_casts_the_exact_number(fmt: FixedFormat, values: list[float], half: int) -> None:
    emulator = passthrough(fmt)
    near = [(k + Fraction(1, 2)) * Fraction(2) ** -fmt.frac for k in (half, -half, half + fmt.hi, fmt.lo - half)]
    numbers = np.array([*values, *map(float, near), *np.nextafter([float(n) for n in near], 0)])
    raw, outside = emulator.quantize(0, numbers)
    op = emulator.program.input_ops()[0]
    exact = np.array([Fraction(float(v)) for v in numbers], dtype=object)
    assert [int(r) for r in raw] == oracle.cast_real(op, exact).tolist()
    rounded = [oracle.round_to_integer(v * Fraction(2) ** fmt.frac, fmt.rounding) for v in exact]
    least = -fmt.hi if fmt.overflow is Overflow.SAT_SYM and fmt.signed else fmt.lo
    assert outside == sum(not least <= r <= fmt.hi for r in rounded)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int64, np.uint64, np.bool_]
)
def test_quantise_takes_all_kinds_of_numbers(dtype: type) -> None:
    values = np.array([0, 1, 3, 100], dtype=dtype)
    raw, outside = passthrough(FixedFormat(True, 20, 2)).quantize(0, values)
    assert raw.tolist() == [int(v) * 4 for v in values.astype(np.int64)]
    assert outside == 0


@settings(max_examples=150)
@given(
    FORMATS,
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.integers(-3, 3),
)
def test_few_singles_are_cast_as_doubles_are(fmt: FixedFormat, values: list[float], half: int) -> None:
    """Also next to the bounds and to halves; batches with a workspace of their own and others."""
    near = [np.ldexp(bound + half / 2, -fmt.frac) for bound in (fmt.lo, fmt.hi, 0) if abs(bound) < 1 << 60]
    singles = np.array([*values, *near], dtype=np.float64).astype(np.float32)
    emulator = passthrough(fmt)
    found, outside = emulator.run_watched([singles])[:2]
    truth, counted = emulator.run_watched([singles.astype(np.float64)])[:2]
    np.testing.assert_array_equal(found[0], truth[0])
    assert outside == counted


def test_quantise_of_long_integers_is_exact() -> None:
    values = np.array([2**62 + 1, -(2**62) - 1], dtype=np.int64)
    raw, _ = passthrough(FixedFormat(True, 8, 0)).quantize(0, values)
    assert raw.tolist() == [1, -1]


@pytest.mark.parametrize("signed", [False, True])
def test_long_elements_beside_short_ones_are_exact(signed: bool) -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(signed, 60, 0), FixedFormat(signed, 4, 0))
    emulator = Emulator(build.program([("y", x)]))
    values = np.array([[2**58 + 1, 5], [2**58 + 3, 7]])
    raw, outside = emulator.quantize(0, values)
    assert raw.tolist() == values.tolist() == emulator.run_raw([raw])[0].tolist() and outside == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("width", [8, 60])
def test_numbers_that_are_none_are_refused(bad: float, width: int) -> None:
    x = np.zeros((5, 6), dtype=np.float32)
    x[3, 2] = bad
    emulator = Emulator(dense(width, 4))
    with pytest.raises(InputDataError, match="NaN or infinite"):
        emulator.run([x])
    with pytest.raises(InputDataError, match="NaN or infinite"):
        emulator.quantize(0, x)


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.zeros((4, 5)), "shape"),
        (np.zeros(6), "shape"),
        (np.zeros((4, 6), dtype=complex), "complex"),
        (np.array([["a"] * 6]), "text"),
    ],
)
def test_other_arrays_are_refused(x: np.ndarray, found: str) -> None:
    with pytest.raises(InputDataError, match=found):
        Emulator(dense(8, 4)).run([x])


def test_other_counts_are_refused() -> None:
    with pytest.raises(InputDataError, match="2 arrays"):
        Emulator(dense(8, 4)).run([np.zeros((1, 6))] * 2)


def test_raw_values_are_checked() -> None:
    emulator = Emulator(dense(8, 4))
    for bad in (np.full((1, 6), 128), np.zeros((1, 5), dtype=int), np.zeros((1, 6))):
        with pytest.raises(InputDataError):
            emulator.run_raw([bad])


@pytest.mark.parametrize("width", [8, 16, 32, 50, 80])
@pytest.mark.parametrize("batch", [0, 1, 7, 300, 5000])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_of_any_size(width: int, batch: int, threads: int) -> None:
    program = dense(width, width // 2)
    fmt_limit = 2.0 ** (width - width // 2 - 1)
    x = np.random.default_rng(0).uniform(-fmt_limit, fmt_limit * 0.99, (batch, 6))
    emulator = Emulator(program, threads=threads)
    (z,) = emulator.run([x])
    assert z.shape == (batch, 4)
    raw, _ = emulator.quantize(0, x)
    (z_raw,) = emulator.run_raw([raw])
    assert np.array_equal(z, np.asarray(z_raw, dtype=float) * 2.0 ** -(width // 2))
    assert emulator.trace([x])[1]["y"].shape == (batch, 4)
    for index in range(0, batch, 1777):
        expected = oracle.evaluate(program, [np.asarray(raw[index], dtype=object)])
        assert [int(v) for v in z_raw[index]] == expected[0].tolist()


def test_a_trace_is_the_outputs_and_the_probes_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    program = dense(8, 4)
    emulator = Emulator(program)
    x = np.random.default_rng(0).uniform(-9.0, 9.0, (40, 6))
    expected, outside = emulator.run_watched([x])[:2]
    runs: list[Workspace] = []
    run = Workspace.run
    monkeypatch.setattr(Workspace, "run", lambda workspace: (runs.append(workspace), run(workspace)))
    outputs, probes, seen = emulator.trace([x])
    assert len(runs) == 1
    assert seen == outside
    assert np.array_equal(outputs[0], expected[0])
    assert list(probes) == [probe.name for probe in program.probes]


@pytest.mark.parametrize("width", [8, 60])
def test_values_outside_are_counted(width: int) -> None:
    x = np.zeros((5000, 6))
    x[::10, 2] = 2.0**60
    _, outside = Emulator(dense(width, 4)).run_watched([x])[:2]
    assert outside == [500]


def test_few_values_outside_are_counted() -> None:
    """Of singles, which are looked at in the end of a run only: the same emulator is right before and after."""
    emulator, x = Emulator(dense(16, 4)), np.ones((2, 6), np.float32)
    expected = emulator.run([x])[0]
    for value in (np.nan, np.inf):
        with pytest.raises(InputDataError, match="1 of 6 values are NaN"):
            emulator.run([np.where(np.eye(2, 6), np.float32(value), x)[:1]])
    results, outside = emulator.run_watched([np.where(np.eye(2, 6), np.float32(5000), x)])[:2]
    assert outside == [2] and not np.array_equal(results[0], expected)
    np.testing.assert_array_equal(emulator.run([x])[0], expected)


@pytest.mark.parametrize(("frac", "shape", "together"), [(0, (4,), True), (0, (3, 4), True), (1, (4,), False)])
def test_constants_added_to_products(frac: int, shape: tuple[int, ...], *, together: bool) -> None:
    """One product of matrices computes both, unless that takes more than 24 bits on the way."""
    build = ProgramBuilder()
    products = build.linear(
        build.input("x", shape, FixedFormat(False, 21, 0)), np.array([[1, 2], [1, -2], [-1, 2], [-1, -2]])
    )
    program = build.program([("y", build.add(products, build.const(np.array([1, -3]), frac)))])
    plan = plan_storage(program, [program.outputs[0].node])
    assert bool(plan.biased) is together and plan.storage[program.outputs[0].node].kind is NumberKind.FLOAT32
    assert_oracle(program, samples=40)


def test_no_negative_zeros() -> None:
    build = ProgramBuilder()
    x = build.input("x", (), FixedFormat(True, 8, 4))
    y = build.cast(x, FixedFormat(True, 8, 0, Rounding.TRN_ZERO, Overflow.SAT))
    (result,) = Emulator(build.program([("y", y)])).run([np.array([-0.25, -0.0])])
    assert not np.signbit(result).any()


def test_runs_share_no_state() -> None:
    emulator = Emulator(dense(16, 8))
    rng = np.random.default_rng(1)
    batches = [rng.normal(size=(n, 6)) for n in (700, 3, 64, 700)]
    alone = [Emulator(dense(16, 8)).run([x])[0] for x in batches]
    for x, expected in zip(batches * 2, alone * 2, strict=True):
        assert np.array_equal(emulator.run([x])[0], expected)


def test_products_in_parts_are_those_of_few_samples() -> None:
    """Of many samples, large matrices are multiplied by some columns at a time."""
    rng, build = np.random.default_rng(2), ProgramBuilder()
    products = build.linear(build.input("x", (60,), FixedFormat(True, 16, 8)), rng.integers(-900, 900, (60, 60)))
    emulator = Emulator(build.program([("y", build.add(products, build.const(rng.integers(0, 99, 60))))]), threads=1)
    x = rng.normal(size=(500, 60))
    assert _columns(np.zeros((60, 61)), 500) == 256
    few = [emulator.run([part])[0] for part in np.split(x, 50)]
    np.testing.assert_array_equal(emulator.run([x])[0], np.concatenate(few))


@pytest.mark.parametrize("width", [6, 14])
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SAT])
def test_what_leaves_its_range_is_seen_after_runs_in_which_nothing_did(
    width: int, batch: int, overflow: Overflow
) -> None:
    fmt, build = FixedFormat(True, width, 2, Rounding.RND, overflow), ProgramBuilder()
    x = build.input("x", (6,), fmt)
    rows = np.random.default_rng(0).integers(-2, 3, (3, 6, 6))
    for weights in rows:
        x = build.max(build.cast(build.linear(x, weights, 1), fmt), build.const(-1))
    program = build.program([("y", x)])
    casts = [node.op for node in program.nodes if isinstance(node.op, ops.Cast)]
    emulator, bound = Emulator(program, watched=casts), 1 << width - 1
    for most in (1, bound, 1):
        raw = np.random.default_rng(1).integers(-most, most, (batch, 6))
        expected = [oracle.evaluate(program, [each])[0] for each in raw]
        (found,), _, left = emulator.run_watched([raw / 4.0])
        assert np.array_equal(found * 4, np.array(expected, dtype=np.float64))
        assert bool(left.casts) == (most == bound)
        assert np.array_equal(emulator.run_raw([raw])[0], np.array(expected, dtype=np.int64))


def test_a_million_weights_are_ready_within_a_second() -> None:
    build = ProgramBuilder()
    x = build.input("x", (1000,), FixedFormat(True, 16, 10))
    weights = np.random.default_rng(0).integers(-(2**15), 2**15, (1000, 1000))
    program = build.program([("y", build.linear(x, weights, 12))])
    start = time.process_time()
    Emulator(program).run([np.zeros((1, 1000))])
    assert time.process_time() - start < 2  # 0.05 s on an idle machine


def test_importing_is_light() -> None:
    code = "import sys, bitsmith.emulate; print('scipy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_a_table_of_values_far_from_0() -> None:
    build = ProgramBuilder()
    x = build.cast_to(build.input("x", (2,), FixedFormat(False, 4, 0)), 0, 5, 9, Rounding.TRN, Overflow.SAT)
    program = build.program([("y", build.table(x, 4, np.arange(10, 17) ** 2, 0))])
    (found,) = Emulator(program).run_raw([np.array([[5, 9], [6, 8]])])
    np.testing.assert_array_equal(found, [[121, 225], [144, 196]])


@pytest.mark.parametrize("first", [3 << 70, -(3 << 70), (1 << 63) - 1])
def test_a_table_of_values_beyond_64_bits(first: int) -> None:
    build = ProgramBuilder()
    x = build.add(build.input("x", (3,), FixedFormat(False, 2, 0)), build.const(first))
    assert_oracle(build.program([("y", build.table(x, first, np.array([5, 7, -9, 2]), 0))]), 8)


@pytest.mark.parametrize("first", [0, (1 << 31) - 4, -(1 << 31) - 4, 1 << 40, -(1 << 40), (1 << 52) - 8])
@pytest.mark.parametrize("samples", [3, 2 * workspace.MUCH])
def test_tables_of_few_and_of_many_numbers(first: int, samples: int) -> None:
    """Wherever their range begins: short integers hold some of them only."""
    build = ProgramBuilder()
    x = build.cast_to(build.input("x", (2,), FixedFormat(True, 54, 0)), 0, first, first + 7, Rounding.TRN, Overflow.SAT)
    values = np.array([5, 7, -9, 2, 0, 11, 4, -1])
    raw = first + np.random.default_rng(0).integers(0, 8, (samples, 2))
    (found,) = Emulator(build.program([("y", build.table(x, first, values, 0))])).run_raw([raw])
    np.testing.assert_array_equal(found, values[raw - first])


@pytest.mark.parametrize("width", [8, 30, 60])
@pytest.mark.parametrize("wide", [8, 30, 60])
def test_what_several_read_is_left_as_it_is(width: int, wide: int) -> None:
    """A number that is brought to the form of another operand, for operations after one another that may take its place."""
    operations = ("add", "sub", "mul", "max", "min")
    build = ProgramBuilder()
    x, other = build.input("x", (3,), FixedFormat(True, width, 2)), build.input("y", (3,), FixedFormat(True, wide, 1))
    outputs = []
    for number, (name, again) in enumerate(product(operations, repeat=2)):
        y = getattr(build, again)(getattr(build, name)(x, other), other)
        outputs.append((f"y{number}", build.sub(build.neg(y), x)))
    assert_oracle(build.program(outputs), samples=4)
    for name, (_, result) in zip(operations, outputs, strict=False):  # and each alone, where nothing else keeps memory
        first = getattr(build, name)(x, other)
        assert_oracle(build.program([("a", build.max(first, other)), ("b", build.add(x, first)), ("c", result)]), 4)


def test_pieces_of_long_numbers_take_the_fewest_products() -> None:
    """Of all sizes of pieces whose products, and a sign where there are several, fit."""
    for x_bits, weight_bits, room in product((1, 7, 24, 30, 53), (1, 8, 31, 53, 90), (40, 45, 52)):
        fits = [
            -(-x_bits // x) * -(-weight_bits // weight)
            for x in range(1, x_bits + 1)
            for weight in range(1, weight_bits + 1)
            if x + weight + (x < x_bits) <= room
        ]
        x, weight = _sizes(x_bits, weight_bits, room)
        assert -(-x_bits // x) * -(-weight_bits // weight) == min(fits)
        assert x + weight + (x < x_bits) <= room


def test_sums_between_that_are_larger_than_the_result() -> None:
    """Numbers and differences fit single precision, sums of two numbers do not."""
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(False, 24, 0))
    near = build.cast_to(x, 0, (1 << 24) - 4, (1 << 24) - 1, Rounding.TRN, Overflow.SAT)
    program = build.program([("y", build.linear(near, np.array([[1], [1], [-1], [-1]])))])
    raw = (1 << 24) - np.random.default_rng(0).integers(1, 5, (64, 4))
    (found,) = Emulator(program).run_raw([raw])
    np.testing.assert_array_equal(found[:, 0], raw[:, 0] + raw[:, 1] - raw[:, 2] - raw[:, 3])


@pytest.mark.parametrize("op", ["add", "sub", "mul", "max"])
@pytest.mark.parametrize("sizes", [(3, 4), (4, 3), (1, 3, 4)])
def test_a_constant_shared_by_tensors_of_different_shapes_and_scales(op: str, sizes: tuple[int, ...]) -> None:
    build = ProgramBuilder()
    constant = build.const(3, 1)
    outputs = []
    for size in sizes:
        x = build.input(f"x{size}", (size,), *(FixedFormat(True, 6, k) for k in range(size)))
        y = getattr(build, op)(x, constant)
        outputs.append((f"y{size}", build.cast_to(y, np.arange(size) - 1, -60, 60, Rounding.RND, Overflow.SAT)))
    assert_oracle(build.program(outputs), samples=8)


@pytest.mark.parametrize("width", [8, 20, 40, 60])
@pytest.mark.parametrize("zeros", [0, 3])
def test_products_with_parameters_of_any_width(width: int, zeros: int) -> None:
    """The type is that of any weights; those of now are fewer bits."""
    rng = np.random.default_rng(width)
    build = ProgramBuilder()
    x = build.input("x", (2, 6), FixedFormat(True, width, 7))
    kernel = build.parameter("weight", rng.integers(-99, 99, (6, 3)) << zeros, FixedFormat(True, 30, 28))
    assert_oracle(build.program([("y", build.matmul(x, kernel))]), samples=8)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("fmt", [FixedFormat(True, 100, 0), FixedFormat(False, 100, 0)])
def test_long_numbers_on_both_sides_of_a_range(fmt: FixedFormat, overflow: Overflow) -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), fmt)
    lo, hi = (-(1 << 79), (1 << 79) - 1) if overflow is Overflow.WRAP else (-(1 << 79) + 5, 1 << 79)
    program = build.program([("y", build.cast_to(x, 0, lo, hi, Rounding.TRN, overflow))])
    least = -(1 << 99) if fmt.signed else 0
    raw = np.array(
        [[lo - 1 if fmt.signed else 1, hi + 1], [least, lo if fmt.signed else 0], [hi, hi - 1]], dtype=object
    )
    (found,) = Emulator(program).run_raw([raw])
    wanted = [[oracle.bring_inside(int(value), lo, hi, overflow) for value in row] for row in raw]
    np.testing.assert_array_equal(found, np.array(wanted, dtype=object))


@pytest.mark.parametrize("kind", [NumberKind.FLOAT32, NumberKind.FLOAT64])
@pytest.mark.parametrize("drop", [1, 3])
def test_room_for_a_half(kind: NumberKind, drop: int) -> None:
    """Up to the greatest magnitude that is exact, and not beyond."""
    cast = ops.Cast(0, -(1 << 60), 1 << 60, Rounding.RND, Overflow.SAT)
    most = (1 << kind.bits) - (1 << (drop - 1))
    assert has_room(cast, TensorType.of((1,), drop, 0, most), kind)
    assert not has_room(cast, TensorType.of((1,), drop, -most - 1, 0), kind)


@pytest.mark.parametrize("step", ["square", "wrap", "look up", "branch", "narrow", "dense"])
def test_deep_programs_take_no_more_memory(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Values share memory once they are used, as do arrays that a step needs by itself."""

    def memory(depth: int) -> int:
        sizes = list[int]()
        monkeypatch.setattr(workspace, "aligned", lambda size: sizes.append(size) or aligned(size))
        build = ProgramBuilder()
        x = build.input("x", (96, 4), FixedFormat(True, 20, 0))
        for _ in range(depth):
            match step:
                case "square":
                    y = build.mul(x, x)
                case "wrap":
                    y = build.add(build.shift(x, 3), build.const(5))
                case "look up":
                    y = build.table(build.cast_to(x, 0, 0, 63, Rounding.RND, Overflow.SAT), 0, np.arange(64), 1)
                case "branch":
                    y = build.max(build.add(x, build.const(9)), build.neg(x))
                case "narrow":
                    few = build.cast_to(build.mul(x, x), 0, -128, 127, Rounding.RND, Overflow.SAT)
                    y = build.shift(build.linear(few, np.eye(4, dtype=np.int64) * 3), 10)
                case _:
                    y = build.linear(x, np.eye(4, dtype=np.int64) * 3)
            overflow = Overflow.WRAP if step == "wrap" else Overflow.SAT
            x = build.cast_to(y, 0, -(1 << 19), (1 << 19) - 1, Rounding.RND, overflow)
        Emulator(build.program([("x", x)])).run_raw([np.zeros((64, 96, 4), np.int64)])
        return sum(sizes)

    assert memory(9) == memory(5) > 0
