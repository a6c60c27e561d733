"""Quantizers of activations, and functions given by their values: exact, whatever the scale, rounding and range."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Table
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.multiplication import near, near_exponent
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, rationals
from bitsmith.layers.quantization.requantize import quantized
from tests.ir.oracle import evaluate
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

_HALF = Fraction(1, 2)

FLOAT_SCALES = st.floats(2.0**-5, 4.0, width=32).map(Fraction)
RATIOS = st.builds(Fraction, st.integers(1, 60), st.integers(1, 60))
POWERS = st.integers(-6, 3).map(lambda power: Fraction(2) ** power)


def rounded(x: Fraction, rounding: Rounding) -> int:
    """``x`` rounded, by the definitions of the modes."""
    below, above = math.floor(x), math.ceil(x)
    if rounding is Rounding.TRN:
        return below
    if rounding is Rounding.TRN_ZERO:
        return below if x >= 0 else above
    if x - below != _HALF:
        return below if x - below < _HALF else above
    return {
        Rounding.RND: above,
        Rounding.RND_MIN_INF: below,
        Rounding.RND_INF: above if x > 0 else below,
        Rounding.RND_ZERO: below if x > 0 else above,
        Rounding.RND_CONV: below if below % 2 == 0 else above,
    }[rounding]


def limited(code: int, lo: int, hi: int, overflow: Overflow) -> int:
    """``code`` brought into ``lo..hi``."""
    if lo <= code <= hi:
        return code
    if overflow is Overflow.SAT_ZERO:
        return 0
    return (code - lo) % (hi - lo + 1) + lo if overflow is Overflow.WRAP else min(max(code, lo), hi)


@given(
    st.one_of(FLOAT_SCALES, RATIOS, POWERS),
    st.one_of(st.just(Fraction(0)), RATIOS, FLOAT_SCALES),
    st.sampled_from(list(Rounding)),
    st.sampled_from([Overflow.SAT, Overflow.WRAP, Overflow.SAT_ZERO]),
    st.integers(-300, 300),
    st.integers(0, 700),
    st.integers(-2, 6),
    st.integers(-140, 0),
    st.integers(1, 140),
)
def test_codes_are_those_of_the_definition(
    scale: Fraction,
    offset: Fraction,
    rounding: Rounding,
    overflow: Overflow,
    first: int,
    count: int,
    frac: int,
    lo: int,
    hi: int,
) -> None:
    raws = range(first, first + count + 1)
    quantizer = Quantizer.uniform(rationals(scale), lo, hi, rounding, overflow, offset=rationals(offset))
    builder = ProgramBuilder()
    x = builder.const(np.array(raws, dtype=np.object_), frac)
    # A constant's type is what it is: an input of the range is what the circuit has.
    x = builder.input("x", (len(raws),), FixedFormat(True, 12, frac))
    x = builder.cast_to(x, frac, first, first + count, Rounding.TRN, Overflow.SAT)
    program = builder.program([("codes", quantized(builder, x, quantizer))])
    (codes,) = evaluate(program, [np.array(raws, dtype=np.object_)])
    want = [limited(rounded(raw * Fraction(2) ** -frac / scale + offset, rounding), lo, hi, overflow) for raw in raws]
    assert codes.tolist() == want


@given(
    st.one_of(st.floats(2.0**-8, 8.0).map(Fraction), RATIOS, FLOAT_SCALES),
    st.one_of(st.just(Fraction(0)), RATIOS, st.floats(-9, 9).map(Fraction)),
    st.sampled_from(list(Rounding)),
    st.lists(st.integers(-900, 900), min_size=1),
    st.integers(-2, 2),
)
def test_codes_of_the_reference_are_exact_at_ties(
    scale: Fraction, offset: Fraction, rounding: Rounding, halves: list[int], ulps: int
) -> None:
    """As near to ties as double precision has numbers."""
    quantizer = Quantizer.uniform(rationals(scale), -1000, 1000, rounding, offset=rationals(offset))
    ties = np.array([float((Fraction(half, 2) - offset) * scale) for half in halves])
    values = ties + ulps * np.spacing(ties)
    want = [rounded(Fraction(value) / scale + offset, rounding) for value in values]
    assert quantizer.codes(values).tolist() == want


@given(RATIOS, st.integers(0, 12))
def test_integers_near_a_number_are_the_nearest_and_those_beside_it(factor: Fraction, drop: int) -> None:
    scaled = factor * 2**drop
    below = math.floor(scaled)
    wanted = [each for each in dict.fromkeys((round(scaled), below, below + 1)) if each > 0]
    assert list(near(factor, drop)) == wanted
    assert Fraction(1, 4) < factor * Fraction(2) ** near_exponent(factor) < 1


@pytest.mark.parametrize("values", [2, 63, 64, 65, 100])
def test_few_values_are_looked_up_and_more_are_multiplied(values: int) -> None:
    """A bit of a result of 64 values is one look-up table of a device."""
    builder = ProgramBuilder()
    x = builder.input("x", (1,), FixedFormat(True, 12, 0))
    x = builder.cast_to(x, 0, 0, values - 1, Rounding.TRN, Overflow.SAT)
    program = builder.program([("codes", quantized(builder, x, Quantizer.uniform(rationals(Fraction(7, 3)), -99, 99)))])
    assert any(isinstance(node.op, Table) for node in program.nodes) is (values <= 64)


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (2, 3), (2, 1, 2)])
def test_numbers_are_as_small_an_array_as_broadcasts_to_the_same(shape: tuple[int, ...]) -> None:
    alike = np.full(shape, 0.375)
    assert rationals(alike).size == 1
    for axis, size in enumerate(shape):
        varied = alike + np.arange(size).reshape(-1, *(1 for _ in shape[axis + 1 :]))
        found = rationals(varied)
        assert found.size == size and np.array_equal(np.broadcast_to(found, shape).astype(float), varied)
    with pytest.raises(UnsupportedError, match=r"2097153 grids"):
        rationals(np.arange((1 << 21) + 1.0))


@pytest.mark.parametrize("scale", [6000, -6000, 4098])
@given(st.integers(-(2**20), 2**20))
def test_ties_of_wide_operands_are_counted(scale: int, raw: int) -> None:
    """No multiplication rounds each second tie up; with few codes, comparisons do."""
    quantizer = Quantizer.uniform(rationals(Fraction(scale)), -9, 11)
    builder = ProgramBuilder()
    x = builder.input("x", (4,), FixedFormat(True, 22, 0))
    program = builder.program([("codes", quantized(builder, x, quantizer))])
    near = raw // abs(scale) * abs(scale) + abs(scale) // 2
    raws = [raw, near, near + 1, near - 1]
    (codes,) = evaluate(program, [np.array(raws, dtype=np.object_)])
    assert codes.tolist() == [limited(round(Fraction(each, scale)), -9, 11, Overflow.SAT) for each in raws]


@given(st.integers(0, 999), st.sampled_from(list(Rounding)), st.sampled_from([Overflow.SAT, Overflow.WRAP]))
def test_elements_have_formats_of_their_own(seed: int, rounding: Rounding, overflow: Overflow) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.integers(low, high, (2, 3)) for low, high in ((0, 2), (-3, 4), (-2, 6))]
    layer = Quantize(Quantizer.fixed(*parts, rounding, overflow))
    network = network_of(layer, [(2, 3)])
    outcome = run(network, seed, samples=20)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    k, i, f = parts
    assert (layer.quantizer.bits == np.maximum(k + i + f, 0)).all()
    assert_exact(network, seed=seed)


@settings(max_examples=25)
@given(st.integers(0, 999), st.sampled_from(list(Rounding)))
@pytest.mark.slow
@pytest.mark.ci
def test_scales_of_channels(seed: int, rounding: Rounding) -> None:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.02, 0.5, 3).astype(np.float32)
    layer = Quantize(Quantizer.uniform(scales, -8, [7, 0, 3], rounding))
    network = network_of(layer, [(2, 3)])
    outcome = run(network, seed, samples=20)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert_exact(network, seed=seed)


def test_multipliers_are_as_small_as_can_be() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (1,), FixedFormat(True, 9, 0))
    quantized(builder, x, Quantizer.uniform(np.float32(0.1), -128, 127))
    program = builder.program([])
    constants = [abs(int(raw)) for node in program.nodes for raw in getattr(node.op, "raw", np.zeros(1)).ravel()]
    assert max(constants) < 2**6, "of 24 bits, as the scale has them, none is needed"


@pytest.mark.parametrize("rounding", Rounding)
def test_halves_of_wide_operands_are_rounded_exactly(rounding: Rounding) -> None:
    """Where halves are frequent, and no single multiplication treats them as the mode does."""
    raws = np.array([12 * k + more for k in range(-210, 210) for more in (-1, 0, 1)], dtype=np.object_)
    builder = ProgramBuilder()
    x = builder.input("x", raws.shape, FixedFormat(True, 16, 6))
    quantizer = Quantizer.uniform(Fraction(3, 8), -100, 90, rounding)
    (codes,) = evaluate(builder.program([("codes", quantized(builder, x, quantizer))]), [raws])
    assert codes.tolist() == [limited(rounded(Fraction(raw, 24), rounding), -100, 90, Overflow.SAT) for raw in raws]


def test_channels_of_few_values_far_apart_share_no_table() -> None:
    quantizer = Quantizer.uniform(0.75, -(2**50), 2**50)
    lo = np.array([0, 2**40], dtype=np.object_)
    builder = ProgramBuilder()
    x = builder.cast_to(builder.input("x", (2,), FixedFormat(True, 48, 0)), 0, lo, lo + 9, Rounding.TRN, Overflow.SAT)
    program = builder.program([("codes", quantized(builder, x, quantizer))])
    for more in range(10):
        (codes,) = evaluate(program, [lo + more])
        assert codes.tolist() == [round(Fraction(4 * int(raw), 3)) for raw in lo + more]


def test_operands_of_few_values_are_looked_up() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (1,), FixedFormat(True, 6, 3))
    quantized(builder, x, Quantizer.uniform(0.3, -4, 3))
    assert [type(node.op).__name__ for node in builder.program([]).nodes] == ["Input", "Table"]


@settings(max_examples=30)
@given(st.integers(0, 999), st.booleans(), st.booleans(), st.booleans())
def test_staircases_are_exact(seed: int, above: bool, wide: bool, each: bool) -> None:
    rng = np.random.default_rng(seed)
    lead = (3,) if each else ()
    thresholds = as_weights(np.sort(rng.integers(-40, 40, (*lead, 5)) / 16.0, axis=-1))
    levels = as_weights(rng.integers(-9, 9, (*lead, 6)) / 4.0)
    fmt = FixedFormat(True, 14, 9) if wide else FixedFormat(True, 8, 5)
    network = network_of(Staircase(thresholds, levels, above), [(2, 3)], formats={0: fmt})
    outcome = run(network, seed, samples=30)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert_exact(network, seed=seed)


@settings(max_examples=25)
@example(seed=3930, above=False, steps=15, width=9, each=True)  # a threshold that no value of one channel reaches
@given(st.integers(0, 9999), st.booleans(), st.sampled_from([1, 3, 15, 40, 200]), st.integers(6, 18), st.booleans())
def test_staircases_of_all_sizes_are_exact(seed: int, above: bool, steps: int, width: int, each: bool) -> None:
    """Tables, searches and comparisons; steps that are evenly spaced, crowded, the same, and out of reach."""
    rng = np.random.default_rng(seed)
    lead = (3,) if each else ()
    spread = 2.0 ** rng.integers(1, width + 2)
    thresholds = np.sort(np.rint(rng.standard_normal((*lead, steps)) ** rng.choice([1, 3]) * spread) / 4, axis=-1)
    levels = as_weights(rng.integers(-9, 9, (*lead, steps + 1)) / 4.0)
    fmt = FixedFormat(bool(rng.integers(2)), width, int(rng.integers(0, 3)))
    network = network_of(Staircase(as_weights(thresholds), levels, above), [(3,)], formats={0: fmt})
    program = assert_exact(network, samples=3, seed=seed)
    near = np.moveaxis(np.broadcast_to(thresholds, (3, steps)), -1, 0)
    step, ends = 2.0**-fmt.frac, np.ldexp([fmt.lo, fmt.hi], -fmt.frac)
    values = np.concatenate(
        [np.clip(near + k * step, *ends) for k in (-1, 0, 1)] + [np.full((1, 3), end) for end in ends]
    )
    values = np.floor(values / step) * step
    (found,) = Emulator(program).run([values])
    np.testing.assert_array_equal(found, network.node("layer").layer.reference([values]))


@given(st.integers(0, 999), st.booleans())
def test_lookups_are_exact(seed: int, each: bool) -> None:
    rng = np.random.default_rng(seed)
    values = as_weights(rng.standard_normal((3, 40) if each else (40,)).astype(np.float32))
    network = network_of(Lookup(as_weights(3.0), -20, values), [(2, 3)], formats={0: FixedFormat(True, 5, 3)})
    outcome = run(network, seed, samples=30)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


def test_lookups_want_operands_on_their_grid() -> None:
    network = network_of(Lookup(as_weights(1.0), -8, as_weights(np.arange(16.0))), [(3,)])
    with pytest.raises(UnsupportedError, match="a quantizer in front of the table"):
        assert_exact(network)


def test_formats_that_quantizers_are() -> None:
    fixed = Quantizer.fixed(1, 2, 5, Rounding.RND, Overflow.WRAP)
    assert str(fixed) == "fixed<8,3,RND,WRAP>"
    assert str(Quantizer.uniform(0.25, -7, 7)) == "fixed<4,2,RND_CONV,SAT_SYM>"
    assert str(Quantizer.uniform(0.5, 0, 15, Rounding.TRN)) == "ufixed<4,3,TRN,SAT>"
    assert Quantizer.uniform(0.25, -7, 3).format is None
    assert str(Quantizer.uniform([0.1, 0.2], -128, 127)) == "8 bits in steps of 0.1..0.2 (RND_CONV, SAT)"
    assert Quantizer.fixed([1, 1], [2, 3], [5, 4], Rounding.RND, Overflow.WRAP).format is None


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", [Overflow.SAT, Overflow.SAT_SYM])
@pytest.mark.parametrize("ends", [(0.0, np.inf), (-np.inf, 0.5), (-1.3, 2.1), (5.0, 9.0), (-0.05, 0.05)])
def test_quantizers_within_bounds_clip_to_them(
    rounding: Rounding, overflow: Overflow, ends: tuple[float, float]
) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0.0, 3.0, 500), rng.integers(-60, 60, 500) / 20.0])
    for scale in (0.1, -0.3, 0.25):
        for offset in (0.0, 3.0, -0.5):
            quantizer = Quantizer.uniform(scale, -8, 7, rounding, overflow, offset=offset)
            within = quantizer.within(*ends)
            assert within is not None
            np.testing.assert_array_equal(within.codes(x), quantizer.codes(np.clip(x, *ends)))
    assert Quantizer.uniform(0.5, -8, 7, rounding, Overflow.WRAP).within(*ends) is None


def test_values_on_the_grid_are_known() -> None:
    grid = Quantizer.uniform(np.float32(0.1), -2, 1)
    assert grid.holds(grid.applied(np.linspace(-1, 1, 9)))
    assert not grid.holds(np.array([0.15]))
    assert not grid.holds(np.array([0.3]))
    assert grid.is_same(replace(grid))
    assert not grid.is_same(Quantizer.uniform(np.float32(0.1), -2, 2))


@pytest.mark.parametrize("scale", [0.0, np.inf, np.nan])
def test_scales_are_numbers(scale: float) -> None:
    with pytest.raises(UnsupportedError, match="a quantizer with"):
        Quantizer.uniform(scale, 0, 1)


SEARCHED = Staircase(
    as_weights(np.sort(np.random.default_rng(5).uniform(-15, 15, (3, 19)), axis=-1)), as_weights(np.arange(20.0) ** 2)
)


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    layers = {
        "fixed": Quantize(Quantizer.fixed([1, 0, 1], [2, 1, 0], [0, 3, 5], Rounding.RND_CONV, Overflow.WRAP)),
        "scaled": Quantize(Quantizer.uniform(np.float32([0.1, 0.37, 1.9]), -8, [7, 127, 0], Rounding.RND_INF)),
        "staircase": Staircase(as_weights([-1.0, 0.25, 2.0]), as_weights([-1.0, 0.0, 0.5, 3.0])),
        "wide": Staircase(as_weights([-1.0, 0.25, 2.0]), as_weights([-1.0, 0.0, 0.5, 3.0]), above=True),
    }
    layers["searched"] = SEARCHED
    wide = {0: FixedFormat(True, 14, 9)}
    assert_compiled({name: network_of(layer, [(3,)], formats=wide) for name, layer in layers.items()}, tmp_path)


@pytest.mark.slow
@pytest.mark.ci
def test_simulated(tmp_path: Path) -> None:
    layer = Quantize(Quantizer.uniform(np.float32([0.1, 0.37, 1.9]), -8, [7, 127, 0], Rounding.RND_INF))
    assert_simulated(network_of(layer, [(3,)]), tmp_path / "quantizer")
    assert_simulated(network_of(SEARCHED, [(3,)], formats={0: FixedFormat(True, 14, 9)}), tmp_path / "staircase")
