"""Samples that a layer inside decides otherwise are told, however few of however many they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeRegressor
from torch import Tensor, nn

from bitsmith import FidelityWarning, Model, convert, streamed
from bitsmith.fidelity.shortfall import float_outputs
from bitsmith.layers.layer import Floats
from tests.properties import few


class Deciding(nn.Module):
    """What is decided by sums of products."""

    def __init__(self, decide: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.sums, self.decide = nn.Linear(4, 5), decide

    def forward(self, x: Tensor) -> Tensor:
        return self.decide(self.sums(x))


DECIDE: dict[str, Callable[[Tensor], Tensor]] = {
    "largest": lambda y: y.argmax(1, keepdim=True).float(),
    "above a constant": lambda y: torch.where(y > 0.3, y, -y),
    "another": lambda y: (y[:, :1] > y[:, 1:]).float(),
    "whole": lambda y: torch.floor(3.0 * y),
    "signs": lambda y: torch.sign(y) * (y.abs() + 1.0),
    "from a number on": lambda y: nn.functional.threshold(y, 0.3, 0.0),
}


@pytest.mark.parametrize("kind", DECIDE)
@few("at_once", [True, False], 1, judged=True)
def test_the_only_sample_of_thousands_that_is_decided_otherwise(kind: str, at_once: bool) -> None:
    torch.manual_seed(len(kind))
    net = Deciding(DECIDE[kind]).eval()
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (60_000, 4)).astype(np.float32)
    shown = convert(net, calibration=x[:500], input_shape=(4,), bits=13, check=False)
    (wanted,), (ours,) = float_outputs(shown.network, [x.astype(np.float64)]), shown.emulator.run([x])
    apart = np.abs(wanted - ours).max(axis=1) > 0.05
    right, other = x[~apart], x[apart][:1]
    assert len(other)
    model = convert(net, calibration=right[:500], input_shape=(4,), bits=13, check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(right[:20_000])
    rows = right[:20_000].copy()
    rows[12_345] = other
    with pytest.warns(FidelityWarning, match="on 1 samples of this prediction"):
        for part in [rows] if at_once else np.split(rows, 4):
            model.predict(part)


@pytest.mark.parametrize("kind", DECIDE)
def test_a_sample_that_formats_of_the_user_decide_otherwise(kind: str) -> None:
    """Errors of numbers are the user's choice, and what is decided by these is said."""
    torch.manual_seed(len(kind))
    net = Deciding(DECIDE[kind]).eval()
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (20_000, 4)).astype(np.float32)
    config = {"Model": {"Precision": "fixed<18,8,RND,SAT>"}}
    shown = convert(net, config=config, input_shape=(4,), check=False)
    (wanted,), (ours,) = float_outputs(shown.network, [x.astype(np.float64)]), shown.emulator.run([x])
    apart = np.abs(wanted - ours).max(axis=1) > 0.05
    model = convert(net, config=config, input_shape=(4,), check=False)
    rows = np.concatenate([x[~apart][:300], x[apart][:1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(rows[:300])
    with pytest.warns(FidelityWarning, match="on 1 samples of this prediction"):
        model.predict(rows)


STEEP: dict[str, Callable[[Tensor], Tensor]] = {
    "a narrow ramp": lambda y: y.clamp(-0.0005, 0.0005),
    "a sharp curve": lambda y: torch.sigmoid(10_000.0 * y),
    "a logarithm near 0": lambda y: torch.log(y.abs() + 1e-6),
    "probabilities of large numbers": lambda y: torch.softmax(3000.0 * y, 1),
    "a narrow ramp beyond 0": lambda y: nn.functional.hardtanh(10_000.0 * (y - 0.1)),
    "a normalization of one": lambda y: nn.functional.rms_norm(y.unsqueeze(-1), (1,), eps=1e-7).squeeze(-1),
    "a normalization of two": lambda y: nn.functional.layer_norm(y[:, :4].reshape(-1, 2, 2), (2,), eps=1e-7).flatten(1),
    "a number over its size": lambda y: nn.functional.normalize(y.unsqueeze(-1), dim=-1).squeeze(-1),
    "two numbers over their length": lambda y: nn.functional.normalize(y[:, :4].reshape(-1, 2, 2), dim=-1).flatten(1),
    "groups of two": lambda y: nn.functional.group_norm(y[:, :4], 2, eps=1e-7),
}


def tells_of_one(model: Model, x: Floats, count: int, beyond: float, place: int) -> None:
    """Nothing is said of ``count`` close samples of ``x``; one that is off by more than ``beyond`` is told among them."""
    (wanted,), (ours,) = float_outputs(model.network, [x.astype(np.float64)]), model.emulator.run([x])
    apart = np.abs(wanted - ours).max(axis=1) / np.ptp(wanted)
    rows, other = x[apart < 0.005][:count].copy(), x[apart > beyond][:1]
    assert len(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(rows)
    rows[place] = other
    with pytest.warns(FidelityWarning, match="on 1 samples of this prediction"):
        model.predict(rows)


@pytest.mark.parametrize("kind", STEEP)
def test_the_only_sample_of_thousands_on_the_slope_of_a_steep_function(kind: str) -> None:
    torch.manual_seed(1)
    net = Deciding(STEEP[kind]).eval()
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (60_000, 4)).astype(np.float32)
    model = convert(net, calibration=x[:500], input_shape=(4,), check=False)
    tells_of_one(model, x, 20_000, 0.02, 12_345)


class OverTime(nn.Module):
    """What is decided at each step of a recurrence."""

    def __init__(self, decide: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.cell, self.sums, self.decide = nn.RNN(4, 6, batch_first=True), nn.Linear(6, 5), decide

    def forward(self, x: Tensor) -> Tensor:
        return self.decide(self.sums(self.cell(x)[0]))


@pytest.mark.parametrize("at_once", [1, 50, 2000])
def test_the_first_frame_of_a_stream_that_is_decided_otherwise(at_once: int) -> None:
    torch.manual_seed(3)
    net, rng = OverTime(DECIDE["signs"]).eval(), np.random.default_rng(0)
    calibration = rng.uniform(-1.0, 1.0, (40, 20, 4)).astype(np.float32)
    model = streamed(convert(net, input_shape=(20, 4), calibration=calibration, bits=12, check=False))
    x = rng.uniform(-1.0, 1.0, (2000, 1, 4)).astype(np.float32)
    (wanted,), (ours,) = float_outputs(model.network, [x.astype(np.float64)]), model.emulator.run([x])
    first = int(np.flatnonzero(np.abs(wanted - ours).reshape(len(x), -1).max(axis=1) > 0.05)[0])
    assert 100 < first < 1000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, first, at_once):
            model.predict(x[start : min(start + at_once, first)])
        model.reset_states()
    with pytest.warns(FidelityWarning, match="Layers decide by numbers"):
        for start in range(0, first + 1, at_once):
            model.predict(x[start : start + at_once])


def test_what_is_decided_at_each_time_step() -> None:
    """Of sums that nothing rounds, as in front of what decides once."""
    keras.utils.set_random_seed(0)
    inner, x = keras.Input((4,)), keras.Input((6, 4))
    largest = keras.ops.argmax(keras.layers.Dense(5)(inner), -1, keepdims=True)
    step = keras.Model(inner, keras.ops.cast(largest, "float32"))
    net = keras.Model(x, keras.layers.TimeDistributed(step)(x))
    rows = np.random.default_rng(0).uniform(-1.0, 1.0, (2000, 6, 4)).astype(np.float32)
    model = convert(net, calibration=rows[:200], check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(model.predict(rows), net.predict(rows, verbose=0))
    coarse = convert(net, calibration=rows[:20], bits=10, check=False)
    with pytest.warns(FidelityWarning, match="Layers decide by numbers"):
        coarse.predict(rows)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.SimpleRNN(4, activation="hard_shrink"),
        lambda: keras.layers.GRU(4, activation=keras.layers.ReLU(max_value=1e-4)),
    ],
)
def test_what_is_decided_within_a_recurrence(make: Callable[[], Any]) -> None:
    """By numbers that no layer has, so that samples are compared, up to a bound; a function that is steep decides, too."""
    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((5, 3)), make()])
    x = np.random.default_rng(0).uniform(-2.0, 2.0, (20_000, 5, 3)).astype(np.float32)
    model = convert(net, calibration=x[:500], check=False)
    tells_of_one(model, x, 3000, 0.015, 1234)


@pytest.mark.parametrize("trees", [2, 20])
def test_features_that_rounding_takes_across_thresholds(trees: int) -> None:
    """However coarse a feature's steps are, what helps is calibration: more bits move no threshold."""
    features, labels = load_breast_cancer(return_X_y=True)
    x, other, y, _ = train_test_split(features.astype(np.float32), labels, test_size=200, random_state=0)
    forest = RandomForestClassifier(trees, max_depth=2, random_state=0).fit(x, y)
    with pytest.warns(FidelityWarning, match="across thresholds: give samples like these as calibration"):
        convert(forest, calibration=x, check=False).predict(other)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(forest, calibration=features.astype(np.float32), check=False).predict(other)


def test_leaves_of_few_bits_are_no_values_across_thresholds() -> None:
    """The cause is the budget where calibration data have kept all features on their sides."""
    features, labels = load_breast_cancer(return_X_y=True)
    x = features.astype(np.float32)
    boosted = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=0).fit(x[:369], labels[:369])
    coarse = convert(boosted, calibration=x, bits=5, check=False)
    with pytest.warns(FidelityWarning, match="Formats inside follow from calibration data.* or bits=9"):
        coarse.predict(x[369:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(boosted, calibration=x, bits=9, check=False).predict(x[369:])


def test_a_framework_decides_the_inputs_of_the_float_model_and_not_those_of_the_circuit() -> None:
    """Steps of the circuit's own are coarse beside -999, and others of the framework's decisions than the float model's."""
    x = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    y = (x[:, 0] > 0.05) + 0.0
    x[::5] = -999.0
    tree = DecisionTreeRegressor(max_depth=2, random_state=0).fit(x, y)
    model = convert(tree, calibration=x)
    agreement = model.fidelity.agreement
    assert agreement.framework == "scikit-learn" and agreement.error is not None and agreement.error < 1e-6
    np.testing.assert_allclose(model.predict(x)[:, 0], tree.predict(x), atol=1e-3)
