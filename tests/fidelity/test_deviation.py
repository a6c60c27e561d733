"""Deviations and ranges of channels against their definitions, value by value."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.fidelity.certificate import _differ
from bitsmith.fidelity.deviation import FEW_VALUES, MOST, deviation, signal_to_noise, spans
from bitsmith.fidelity.measure import _steps, _stuck, _zeroed
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import Settings

SHAPES = st.sampled_from([(9,), (2,), (7, 3), (40, 2), (5, 3, 2), (4, 2, 3, 2)])


def _drawn(shape: tuple[int, ...], seed: int, holes: int) -> Floats:
    """Random numbers, some of which are not finite."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.0, 3.0, shape)
    places = rng.integers(0, values.size, holes)
    values.reshape(-1)[places] = rng.choice([np.inf, -np.inf, np.nan], holes)
    return values


def _channels(values: Floats, axis: int) -> Floats:
    """(channels, numbers)."""
    if values.ndim == 1:
        return values.reshape(1, -1)
    return np.moveaxis(values, 1 + axis % (values.ndim - 1), 0).reshape(values.shape[1 + axis % (values.ndim - 1)], -1)


@given(
    SHAPES, st.integers(0, 3), st.integers(0, 5), st.integers(0, 5), st.integers(0, 999), st.sampled_from([0.5, 2.0])
)
def test_a_deviation_is_that_of_what_is_finite_in_both(
    shape: tuple[int, ...], axis: int, holes: int, more: int, seed: int, size: float
) -> None:
    axis = axis % max(len(shape) - 1, 1)
    wanted, found = _drawn(shape, seed, holes), _drawn(shape, seed + 1, more)
    with np.errstate(invalid="ignore"):
        apart = _channels(np.abs(found - wanted) / size, axis)
    finite = [[value for value in row if math.isfinite(value)] for row in apart]
    counted = sum(map(len, finite))
    result = deviation(wanted, found, size, axis)
    each = counted / len(finite)  # channels without numbers count like others
    squares = [sum(value * value for value in row) for row in finite]
    assert result.worst == pytest.approx(max((value for row in finite for value in row), default=0.0))
    np.testing.assert_allclose(result.worsts, [max(row, default=0.0) for row in finite])
    if any(squares):
        assert result.error == pytest.approx(math.sqrt(sum(squares) / counted))
        np.testing.assert_allclose(result.errors, [math.sqrt(square / each) for square in squares])
    else:
        assert result.error == 0.0 and not result.errors.any()


@given(SHAPES, st.integers(0, 3), st.integers(0, 9), st.integers(0, 999))
def test_spans_reach_from_the_least_to_the_greatest_finite_number(
    shape: tuple[int, ...], axis: int, holes: int, seed: int
) -> None:
    axis = axis % max(len(shape) - 1, 1)
    values = _drawn(shape, seed, holes)
    found, rows = spans(values, axis), _channels(values, axis)
    for channel, row in enumerate(rows):
        numbers = row[np.isfinite(row)]
        least, most = (numbers.min(), numbers.max()) if numbers.size else (0.0, 0.0)
        assert (found.least[channel], found.most[channel]) == (least, most)
    assert (found.whole.lo, found.whole.hi) == (found.least.min(), found.most.max())
    assert found.few is (values.size // len(rows) < FEW_VALUES)


def test_errors_beyond_all_measure_are_one_number() -> None:
    result = deviation(np.zeros((2, 2)), np.array([[1e30, 1.0], [0.0, 0.0]]), 1.0)
    assert (result.worst, result.worsts.tolist()) == (MOST, [MOST, 1.0])
    assert result.errors.tolist() == [math.sqrt(MOST * MOST / 2.0), math.sqrt(0.5)]


@given(st.integers(0, 999), st.floats(2.0**-10, 4.0))
def test_signals_are_compared_with_noise_in_decibels(seed: int, error: float) -> None:
    wanted = np.random.default_rng(seed).normal(size=50)
    ratio = signal_to_noise(wanted, error, 2.0)
    assert ratio == pytest.approx(10.0 * math.log10(np.var(wanted / 2.0) / error**2))
    assert signal_to_noise(np.append(wanted, [np.nan, np.inf]), error, 2.0) == pytest.approx(ratio)
    assert signal_to_noise(np.ones(5), error, 2.0) == 0.0


@pytest.mark.parametrize(
    ("quantized", "values", "zeroed"),
    [
        (False, [1 / 3, 2.0**-30, -(2.0**-30), 0.0], 2),
        (False, [1.0, 2.0**-3, 0.0, -0.5], 0),
        (True, [1.0, 2.0**-30, 0.0, -0.5], 0),
    ],
)
def test_values_become_0_of_formats_that_follow_from_the_greatest(
    quantized: bool, values: list[float], zeroed: int
) -> None:
    """Not where a quantizer says what they are, or where all are exact."""
    kernel = as_weights(np.array(values)[:, None])
    grid = {"weight": Quantizer.uniform(0.5, -7, 7)} if quantized else {}
    node = NetworkNode("dense", Dense(kernel, None), ("x",), quantizers=grid)
    assert _zeroed(node, "weight", kernel) == zeroed


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=12), st.integers(0, 5))
def test_trained_values_that_become_0_are_counted(eighths: list[int], frac: int) -> None:
    """Those that are 0 are not, nor are those nearer to another number of the format."""
    kernel = as_weights(np.array(eighths, dtype=np.float64)[:, None] / 8)
    settings = Settings({"weight": FixedFormat(True, 12, frac)})
    node = NetworkNode("dense", Dense(kernel, None), ("x",), settings=settings)
    assert _zeroed(node, "weight", kernel) == sum(
        value != 0 and round(Fraction(value, 8) * 2**frac) == 0 for value in eighths
    )


@pytest.mark.parametrize("samples", [1, 2, 3, 50])
def test_elements_that_never_change_are_counted(samples: int) -> None:
    """Of two samples or more; of elements that the float model changes, wherever they are."""
    rng = np.random.default_rng(samples)
    wanted, found = rng.normal(size=(samples, 4, 3)), rng.normal(size=(samples, 4, 3))
    still = rng.random((4, 3)) < 0.4
    found[:, still] = found[0, still]
    constant = rng.random((4, 3)) < 0.3
    wanted[:, constant] = wanted[0, constant]
    assert still.any() and constant.any()
    assert _stuck(wanted, found) == (0 if samples == 1 else np.count_nonzero(still & ~constant))
    found[-1] += 1.0
    assert _stuck(wanted, found) == 0


def test_one_value_that_is_far_off_hides_no_others() -> None:
    """Differences are judged beside the framework's values, whatever the network's own are."""
    wanted = np.random.default_rng(0).uniform(-1.0, 1.0, (100, 10))
    for jumps in (False, True):
        assert not _differ(wanted, wanted, 1e-3, jumps=jumps)
        assert not _differ(wanted * (1.0 + 1e-4), wanted, 1e-3, jumps=jumps)
        far = wanted + 0.1
        far[0, 0] = 1e9
        assert _differ(far, wanted, 1e-3, jumps=jumps)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_steps_of_channels_are_the_coarsest_of_each(shape: tuple[int, ...]) -> None:
    """Along any axis; of a format of few axes it is the same along the others."""
    rank = len(shape)
    fracs = np.random.default_rng(rank).integers(-3, 9, shape)
    steps = 2.0**-fracs
    for axis in range(-rank, rank) if rank else (-1, 0):
        wanted = np.moveaxis(steps, axis, 0).reshape(shape[axis], -1).max(axis=1) if rank else steps.reshape(1)
        np.testing.assert_array_equal(_steps(fracs, rank, axis), wanted)
    one = _steps(np.array([5]), max(rank, 1), -1)
    assert one.tolist() == [2.0**-5]
