"""Random live networks of HGQ2, without calibration data: what HGQ2 computes, or a warning; and the same with loaded weights."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import bitsmith
from bitsmith.errors import BitsmithWarning, InputDataError
from bitsmith.layers.layer import Floats
from bitsmith.model import Model

RIGHT = 1e-2
"""Greatest difference of a right result, as a share of the range of its output: a code next to a tie may be another one."""

TRAINED = ("kernel", "bias", "gamma", "beta", "moving_mean")
RELOADABLE = {"Model": {"Weights": "reloadable"}}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.custom_gradient. for the numpy backend:UserWarning"),
    # That backend finds shapes by computing on fresh memory.
    pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning"),
]


def _scope(rng: np.random.Generator, place: str) -> Any:
    """Quantizers of a place with types, modes, signs and widths of all kinds."""
    from hgq.config import QuantizerConfigScope

    by_frac, first = bool(rng.random() < 0.5), int(rng.integers(0, 4))
    widths = {"f0": int(rng.integers(0, 7))} if by_frac else {"b0": int(rng.integers(3, 9))}
    modes = {
        "overflow_mode": str(rng.choice(["SAT", "WRAP", "SAT_SYM"])),
        "round_mode": str(rng.choice(["RND", "RND_CONV", "TRN", "RND_INF", "RND_ZERO", "RND_MIN_INF", "TRN_ZERO"])),
    }
    more: dict[str, Any] = {"k0": int(rng.integers(0, 2))} if rng.random() < 0.25 else {}
    if rng.random() < 0.6:
        more["homogeneous_axis"] = (0,) if place == "datalane" else ()
    return QuantizerConfigScope(
        place=place, default_q_type="kif" if by_frac else "kbi", i0=first, **widths, **modes, **more
    )


def _grown(rng: np.random.Generator, x: Any) -> Any:
    """The result of another layer."""
    from hgq import layers

    units, options = int(rng.integers(1, 5)), {"activation": str(rng.choice(["linear", "relu"]))}
    size, channels = len(x.shape), int(x.shape[-1])

    def beside(layer: Any) -> Any:
        return layer([x, layers.QDense(channels, **options)(x) if rng.random() < 0.6 else x])

    kinds = {
        "dense": lambda: layers.QDense(units, use_bias=bool(rng.random() < 0.7), **options)(x),
        "normalized": lambda: layers.QBatchNormDense(units, **options)(x),
        "normalization": lambda: layers.QBatchNormalization()(x),
        "sum": lambda: beside(layers.QAdd()),
        "product": lambda: beside(layers.QMultiply()),
        "difference": lambda: beside(layers.QSubtract()),
        "greater": lambda: beside(layers.QMaximum()),
        "sum of channels": lambda: layers.QSum(axes=-1, keepdims=True, scale=0.25)(x),
    }
    if size == 3:
        kinds |= {
            "convolution": lambda: layers.QConv1D(units, 2, padding="same", **options)(x),
            "einsum dense": lambda: layers.QEinsumDense(
                "btc,cd->btd", (int(x.shape[1]), units), bias_axes="d", **options
            )(x),
            "greatest": lambda: layers.QMaxPool1D(2, padding="same")(x),
            "dot": lambda: layers.QDot(axes=2)([x, layers.QDense(channels)(x)]),
            "einsum": lambda: layers.QEinsum("btc,bsc->bts")([x, x]),
        }
    if size == 4:
        kinds |= {
            "convolution": lambda: layers.QConv2D(units, 2, strides=int(rng.integers(1, 3)), padding="same", **options)(
                x
            ),
            "greatest": lambda: layers.QMaxPool2D(2, padding="same")(x),
            "greatest of all": lambda: layers.QGlobalMaxPool2D()(x),
        }
    return kinds[str(rng.choice(list(kinds)))]()


def network(rng: np.random.Generator) -> Any:
    """A model of one to three layers, with trained numbers, and with bit widths that differ, of which some are 0."""
    import keras

    lengths = [(4,), (int(rng.integers(2, 6)), int(rng.integers(1, 4))), (4, int(rng.integers(3, 5)), 2)]
    x = begun = keras.Input(lengths[rng.integers(3)])
    for _ in range(int(rng.integers(1, 4))):
        with _scope(rng, "weight"), _scope(rng, "bias"), _scope(rng, "datalane"):
            x = _grown(rng, x)
    model = keras.Model(begun, x)
    for variable in model.variables:
        kind = variable.path.split("/")[-1]
        if kind in TRAINED:
            variable.assign(rng.normal(0.0, rng.choice([0.5, 0.5, 1.5]), variable.shape))
        elif kind == "moving_variance":
            variable.assign(rng.uniform(0.2, 2.0, variable.shape))
        elif kind in ("b", "f", "i") and rng.random() < 0.5:
            few = rng.integers(-2, 3, variable.shape) - 12 * (rng.random(variable.shape) < 0.1)
            variable.assign(np.asarray(variable) + few)
    return model


def loaded(rng: np.random.Generator, model: Any) -> Model:
    """A circuit with other weights than it was made with, and the model with the same ones."""
    made = bitsmith.convert(model, config=RELOADABLE, check=False)
    for layer in model.layers[1:]:
        for variable in layer.weights:
            name, before = variable.path.split("/")[-1], np.asarray(variable)
            if name in ("kernel", "bias") and "BatchNorm" not in type(layer).__name__:
                given = np.clip(rng.normal(0.0, 0.5, before.shape), -0.9, 0.9).astype(np.float32)
                variable.assign(given)
                try:
                    made.load_weights(layer.name, **{name: given})
                except InputDataError:  # beyond a range, or off a grid that is not known
                    variable.assign(before)
    return made


def differs(model: Any, made: Model, x: Floats) -> bool:
    wanted, found = (np.asarray(one.predict(x, **options)) for one, options in ((model, {"verbose": 0}), (made, {})))
    return bool(np.abs(found - wanted).max() > RIGHT * max(np.ptp(wanted), 1e-9))


@pytest.mark.parametrize("start", [pytest.param(0, marks=pytest.mark.ci), *range(10, 100, 10)])
def test_random_networks(start: int) -> None:
    for seed in range(start, start + 10):
        rng = np.random.default_rng(seed)
        model = network(rng)
        x = rng.normal(0.0, rng.choice([0.3, 1.0, 5.0, 50.0]), (60, *model.input_shape[1:])).astype(np.float32)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", BitsmithWarning)
            differ = differs(model, bitsmith.convert(model), x)
            differ |= seed % 2 == 0 and differs(model, loaded(rng, model), x)
        assert not differ or any(issubclass(each.category, BitsmithWarning) for each in told), seed


@pytest.mark.ci
def test_inputs_near_ties_that_go_away_from_0_keep_their_codes() -> None:
    """One of these inputs is less than half a step of the circuit's below a tie."""
    rng = np.random.default_rng(180011)
    model = network(rng)
    x = rng.normal(0.0, rng.choice([0.3, 1.0, 5.0, 50.0]), (60, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(bitsmith.convert(model).predict(x), np.asarray(model.predict(x, verbose=0)))
