"""hls4ml's names for pruning while training: schedules, objectives, and its function, which prunes as it says."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import bitsmith
from bitsmith.compat import optimization
from bitsmith.compat.optimization import (
    BinaryScheduler,
    ConstantScheduler,
    LUTEstimator,
    OptimizationScheduler,
    ParameterEstimator,
    PolynomialScheduler,
    VivadoDSPEstimator,
    optimize_keras_model_for_hls4ml,
)
from bitsmith.errors import BitsmithWarning, ConfigError


def shown(scheduler: OptimizationScheduler, good: str) -> list[tuple[bool, float]]:
    """What a schedule says after steps that were good, ``+``, or not."""
    steps = [scheduler.update_step() if each == "+" else scheduler.repair_step() for each in good]
    return [(more, round(sparsity, 4)) for more, sparsity in steps]


def test_schedules_go_on_as_those_of_hls4ml() -> None:
    """Worked out by hand from hls4ml's documentation of each."""
    assert shown(ConstantScheduler(0.5, 0.62, 0.05), "+-+") == [(True, 0.55), (True, 0.6), (False, 0.6)]
    assert shown(BinaryScheduler(0.5, 1.0, 0.1), "+-+") == [(True, 0.75), (True, 0.625), (True, 0.6875)]
    assert shown(BinaryScheduler(0.5, 0.55, 0.1), "+") == [(False, 0.5)]
    assert shown(PolynomialScheduler(2, 0.0, 0.8, 2), "+-+") == [(True, 0.6), (True, 0.8), (False, 0.8)]
    assert ConstantScheduler(0.25).get_sparsity() == 0.25
    for scheduler in (ConstantScheduler, BinaryScheduler):
        with pytest.raises(ConfigError, match="final_sparsity: 80"):
            scheduler(0.5, 80)


_SCRIPT = """
import bitsmith.compat
import keras
import numpy as np
from hls4ml.optimization.dsp_aware_pruning import optimize_keras_model_for_hls4ml
from hls4ml.optimization.dsp_aware_pruning.objectives import ParameterEstimator
from hls4ml.optimization.dsp_aware_pruning.objectives.vivado_objectives import VivadoDSPEstimator
from hls4ml.optimization.dsp_aware_pruning.scheduler import ConstantScheduler
from hls4ml.utils.config import config_from_keras_model
import bitsmith

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(600, 16)).astype(np.float32)
y = np.eye(3)[(x[:, :4] @ rng.normal(size=(4, 3))).argmax(axis=1)]
layers = [keras.layers.Dense(16, activation="relu", name="hidden"), keras.layers.Dense(3, activation="softmax", name="out")]
net = keras.Sequential([keras.Input((16,)), *layers])
net.compile("adam", "categorical_crossentropy")
net.fit(x[:400], y[:400], epochs=15, verbose=0)
start = net.get_weights()
for objective, reuse in ((ParameterEstimator, 1), (VivadoDSPEstimator, 8)):
    net.set_weights(start)
    config = config_from_keras_model(net, granularity="name", default_reuse_factor=reuse)
    before = bitsmith.convert(net, None, config, calibration=x, check=False)
    pruned = optimize_keras_model_for_hls4ml(
        net, config, objective, ConstantScheduler(0.3, 0.6, 0.3), x[:400], y[:400], x[400:], y[400:], 32, 4,
        keras.optimizers.Adam(0.003), "categorical_crossentropy", keras.metrics.CategoricalAccuracy(), True, 0.9,
    )
    after = bitsmith.convert(pruned, None, config, calibration=x, check=False)
    found = [getattr(bitsmith.cost(each), "total")(objective.resource) for each in (before, after)]
    right = [(each.predict(x[400:]).argmax(axis=1) == y[400:].argmax(axis=1)).mean() for each in (before, after)]
    print(found, right)
    assert found[1] <= 0.41 * found[0] and right[1] > 0.9 * right[0]
"""


@pytest.mark.slow
@pytest.mark.ci
def test_a_script_for_hls4ml_prunes_as_its_schedule_says(tmp_path: Path) -> None:
    """The accuracy stays, of weights and of multiplier blocks."""
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epochs": 1}, "more than the 1 rewinding_epochs"),
        ({"ranking_metric": "saliency"}, "l1, l2"),
        ({"objective": "dsp"}, "VivadoDSPEstimator"),
    ],
)
def test_arguments_without_meaning_are_rejected(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _pruned({"objective": ParameterEstimator, "epochs": 4, **changes})


def test_arguments_without_effect_are_warned_of() -> None:
    idle = {"tuner": "Bayesian", "regularization_range": [1e-3], "knapsack_solver": "", "directory": "here"}
    with pytest.warns(BitsmithWarning, match="^tuner, regularization_range: no effect"), pytest.raises(ConfigError):
        _pruned({"objective": ParameterEstimator, "epochs": 1, **idle})


def test_defaults_are_those_of_hls4ml() -> None:
    """But of arguments that have no effect here."""
    path = importlib.metadata.distribution("hls4ml").locate_file("hls4ml/optimization/dsp_aware_pruning/__init__.py")
    tree = ast.parse(Path(str(path)).read_text(encoding="utf-8"))
    (found,) = (each for each in tree.body if getattr(each, "name", "") == optimize_keras_model_for_hls4ml.__name__)
    assert isinstance(found, ast.FunctionDef)
    names = [each.arg for each in found.args.args]
    theirs = dict(zip(reversed(names), reversed(found.args.defaults), strict=False))
    parameters = inspect.signature(optimize_keras_model_for_hls4ml).parameters
    assert list(parameters) == names
    assert list(theirs)[::-1] == [name for name in names if parameters[name].default is not inspect.Parameter.empty]
    for name in set(theirs) - {"directory", "tuner", "knapsack_solver", "regularization_range"}:
        assert parameters[name].default == ast.literal_eval(theirs[name]), name


def _pruned(given: dict[str, object]) -> object:
    names = ("keras_model", "hls_config", "scheduler", "X_train", "y_train", "X_val", "y_val", "batch_size")
    rest = dict.fromkeys((*names, "optimizer", "loss_fn", "validation_metric", "increasing", "rtol"))
    return optimize_keras_model_for_hls4ml(**{**rest, **given})  # type: ignore[arg-type]


def test_numbers_of_weights_are_a_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bitsmith.utils.fetch_example_model("digits.keras")
    x, _ = bitsmith.utils.fetch_example_data("digits.keras")
    model = bitsmith.convert("digits.keras", calibration=x, check=False, bits=6)
    prices = bitsmith.cost(model)
    assert prices.total("weights") == sum(int(each.there.sum()) for each in prices.layers.values())
    importance = {name: each.there + 0.0 for name, each in prices.layers.items()}
    kept = prices.masks(importance, {"weights": 100})
    assert sum(int(mask.sum()) for mask in kept.values()) == 100
    assert (LUTEstimator.resource, VivadoDSPEstimator.resource) == ("lut", "dsp")


@pytest.mark.parametrize(
    ("increasing", "metrics", "kept"), [(True, (0.5, 0.5, 0.4), 0.3), (False, (0.5, 0.5, 0.6), 0.3)]
)
def test_weights_whose_metric_is_just_what_was_wanted_are_kept(
    increasing: bool, metrics: tuple[float, ...], kept: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three metrics (before, and after each of two steps) the last is worse."""
    left, state = iter(metrics), {"weights": 0.0}
    scheduler = ConstantScheduler(0.3, 0.6, 0.3)
    model = SimpleNamespace(get_weights=lambda: state["weights"], set_weights=lambda found: state.update(weights=found))
    training = SimpleNamespace(run=lambda epochs: None, metric=lambda: next(left))
    loop = SimpleNamespace(prune=lambda sparsity: state.update(weights=sparsity), release=lambda: None)
    monkeypatch.setattr(optimization, "_Training", lambda *_: training)
    monkeypatch.setattr(optimization, "_Loop", lambda *_: loop)
    given = {"keras_model": model, "objective": ParameterEstimator, "scheduler": scheduler, "epochs": 2, "rtol": 1.0}
    _pruned({**given, "increasing": increasing, "X_train": [0]})
    assert state["weights"] == kept


class _Told:
    """A Keras model that writes down what it is told to do; its metrics are those that are left."""

    def __init__(self, metrics: list[float]) -> None:
        self.metrics, self.calls, self.weights = metrics, list[tuple[object, ...]](), 0.0

    def compile(self, optimizer: object, **given: object) -> None:
        self.calls.append(("compile", optimizer, given))

    def fit(self, *data: object, **given: object) -> None:
        self.calls.append(("fit", *data, given))

    def evaluate(self, *data: object, **given: object) -> list[float]:
        self.calls.append(("evaluate", *data, given))
        return [7.0, self.metrics.pop(0)]

    def get_weights(self) -> float:
        return self.weights

    def set_weights(self, weights: float) -> None:
        self.weights = weights


def test_each_step_trains_and_bad_ones_in_a_row_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are allowed: one good step, two bad, one good, three bad; the weights of the second good one stay."""
    model, pruned = _Told([1.0, 0.9, 0.8, 0.8, 0.9, 0.8, 0.8, 0.8]), list[float]()

    def prune(sparsity: float) -> None:
        model.weights = sparsity
        pruned.append(sparsity)

    monkeypatch.setattr(
        optimization, "_Loop", lambda *_: SimpleNamespace(prune=prune, release=lambda: pruned.append(0))
    )
    names = ("x", "y", "held_x", "held_y")
    given = dict(zip(("X_train", "y_train", "X_val", "y_val"), names, strict=True))
    given |= {"keras_model": model, "objective": ParameterEstimator, "optimizer": "adam", "loss_fn": "loss"}  # type: ignore[dict-item]
    more = {"validation_metric": "metric", "increasing": True, "rtol": 0.85, "epochs": 5, "batch_size": 16}
    _pruned(
        {
            **given,
            **more,
            "scheduler": ConstantScheduler(0.125, 1.0, 0.125),
            "cutoff_bad_trials": 2,
            "rewinding_epochs": 2,
        }
    )
    assert pruned == [each for step in range(1, 8) for each in (step / 8, 0)]
    assert model.weights == 4 / 8
    compiled = ("compile", "adam", {"loss": "loss", "metrics": ["metric"]})
    evaluated = ("evaluate", "held_x", "held_y", {"batch_size": 16, "verbose": 0})
    trained, rewound = (
        ("fit", "x", "y", {"epochs": epochs, "batch_size": 16, "callbacks": None, "verbose": 0}) for epochs in (3, 2)
    )
    step, between = [compiled, trained, evaluated], [compiled, rewound]
    assert model.calls == [compiled, evaluated, *[call for _ in range(6) for call in (*step, *between)], *step]
