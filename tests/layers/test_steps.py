"""Activations of two and three levels, and dense layers of such weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.frontends.keras.read import read_keras
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Layer
from bitsmith.layers.quantization.steps import BinaryTanh, TernaryTanh, as_staircase
from tests.keras_weights import write_weights
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run


@given(
    st.sampled_from([BinaryTanh(), TernaryTanh()]),
    st.booleans(),
    st.integers(1, 8),
    st.integers(-2, 9),
    st.integers(0, 99),
)
def test_levels_are_exact(layer: Layer, signed: bool, width: int, frac: int, seed: int) -> None:
    network = network_of(layer, [(5,)], formats={0: FixedFormat(signed, width, frac)})
    outcome = run(network, seed)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert_exact(network, seed=seed)


def test_borders() -> None:
    x = np.array([[-1.0, -0.5, -0.25, 0.0, 0.5, 0.75]])
    np.testing.assert_array_equal(BinaryTanh().reference([x]), [[-1, -1, -1, 1, 1, 1]])
    np.testing.assert_array_equal(TernaryTanh().reference([x]), [[-1, 0, 0, 0, 0, 1]])


@pytest.mark.parametrize("layer", [BinaryTanh(), TernaryTanh()], ids=repr)
def test_staircases_of_levels_are_the_same_functions(layer: Layer) -> None:
    steps = as_staircase(layer)
    assert steps is not None and as_staircase(steps) is steps
    borders = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    x = np.stack([np.nextafter(borders, -2.0), borders, np.nextafter(borders, 2.0), 3.0 * borders])
    np.testing.assert_array_equal(steps.reference([x]), layer.reference([x]))


def test_other_layers_are_no_staircases() -> None:
    assert as_staircase(ReLU()) is None


@pytest.mark.slow
def test_circuits_agree(tmp_path: Path) -> None:
    networks = {kind.__name__.lower(): network_of(kind(), [(4,)]) for kind in (BinaryTanh, TernaryTanh)}
    assert_compiled(networks, tmp_path)
    for name, network in networks.items():
        assert_simulated(network, tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "scale", "levels"),
    [("BinaryDense", 1, {-1.0, 1.0}), ("TernaryDense", 0.5, {-0.5, 0.0, 0.5}), ("BinaryDense", "Glorot", None)],
)
def test_dense_layers_of_levels(kind: str, scale: object, levels: set[float] | None, tmp_path: Path) -> None:
    config = {
        "name": "fc",
        "units": 8,
        "use_bias": False,
        "activation": "ternary_tanh",
        "H": scale,
        "batch_input_shape": [None, 6],
    }
    model = {"class_name": "Sequential", "config": [{"class_name": kind, "config": config}], "keras_version": "2.2.0"}
    (tmp_path / "model.json").write_text(json.dumps(model))
    kernel = np.random.default_rng(0).uniform(-1, 1, (6, 8))
    write_weights(tmp_path / "model_weights.h5", {"fc": {"kernel": kernel}})
    network = read_keras(tmp_path / "model.json")
    dense = network.node("fc").layer
    assert isinstance(dense, Dense)
    h = np.sqrt(1.5 / 14)
    assert set(np.unique(dense.kernel)) == (levels or {-h, h})
    assert isinstance(network.node("fc_ternary_tanh").layer, TernaryTanh)
