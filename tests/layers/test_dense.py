"""Dense layers: exact where weights are exact, within half a step where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import UnsupportedError
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import as_weights
from bitsmith.layers.settings import Settings
from tests.layers.lowered import network_of, run


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.sampled_from([(4,), (3, 4), (2, 1, 4)]), st.booleans())
def test_exact_weights_give_exact_results_within_the_auto_step(seed: int, shape: tuple[int, ...], bias: bool) -> None:
    rng = np.random.default_rng(seed)
    kernel = as_weights(rng.integers(-9, 10, (4, 3)) / 8.0)
    layer = Dense(kernel, as_weights(rng.integers(-9, 10, 3) / 4.0) if bias else None)
    outcome = run(network_of(layer, [shape]), seed % 1000)
    assert np.max(np.abs(outcome.fixed - outcome.real)) <= outcome.step / 2


def test_few_bit_weights_are_exact_to_the_last_bit() -> None:
    layer = Dense(as_weights([[0.5, -1.0], [0.25, 2.0]]), as_weights([0.5, 0.0]))
    small = {0: FixedFormat(True, 6, 3)}
    outcome = run(network_of(layer, [(2,)], formats=small))
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


def test_float_weights_keep_sixteen_bits() -> None:
    rng = np.random.default_rng(1)
    layer = Dense(as_weights(rng.standard_normal((16, 8))), as_weights(rng.standard_normal(8)))
    outcome = run(network_of(layer, [(16,)]))
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 16 * 8 * 2.0**-14


@pytest.mark.parametrize("rounding", list(Rounding))
def test_given_formats_are_honoured_to_the_bit(rounding: Rounding) -> None:
    result = FixedFormat(True, 7, 3, rounding, Overflow.SAT)
    precision = {"weight": FixedFormat(True, 4, 2), "bias": FixedFormat(True, 5, 2), "result": result}
    kernel = as_weights([[0.3, -9.0], [1.125, 0.375]])
    layer = Dense(kernel, as_weights([0.2, 0.625]))
    outcome = run(network_of(layer, [(2,)], Settings(precision)))
    # 0.3 -> 0.25; -9 saturates to -2; 1.125 and 0.375 are ties that go to even: 1.0 and 0.5; 0.2 -> 0.25, 0.625 -> 0.5.
    reference = Dense(as_weights([[0.25, -2.0], [1.0, 0.5]]), as_weights([0.25, 0.5]))
    exact = run(network_of(reference, [(2,)], Settings({"result": result})))
    np.testing.assert_array_equal(outcome.fixed, exact.fixed)


def test_accumulator_is_cast_once_after_the_exact_sum() -> None:
    wrap = Settings({"accum": FixedFormat(True, 6, 2, Rounding.TRN, Overflow.WRAP)})
    layer = Dense(as_weights([[1.0], [1.0]]), as_weights([0.25]))
    outcome = run(network_of(layer, [(2,)], wrap))
    expected = (np.floor(outcome.real * 4) + 32) % 64 - 32
    np.testing.assert_array_equal(outcome.fixed, expected / 4)


def test_kernel_that_does_not_fit_is_refused_with_the_layer() -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(Dense(as_weights(np.ones((3, 2)))), [(4,)]).shapes()
