"""Random ensembles of scikit-learn, XGBoost and LightGBM: circuits give the library's classes, also on data never shown."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest
import xgboost
from sklearn import compose, datasets, ensemble, pipeline, preprocessing, tree
from sklearn.model_selection import train_test_split
from tests.properties import few, judged

import bitsmith
from bitsmith.layers.trees import Trees

Array = npt.NDArray[Any]
Rng = np.random.Generator

DECIMALS = (31, 46, 27, 104)
"""Seeds of samples that are thresholds but for the last place of single precision."""

DOUBLES = (6, 20, 54, 61, 62)
"""Seeds of samples in double precision that are thresholds, or are on other sides of these in single precision."""

COARSE = (45, 153)
"""Seeds of features for which the steps that decide alike are coarse."""


@dataclass(frozen=True)
class Choice:
    """What a random ensemble is made with."""

    trees: int
    depth: int
    state: int
    rate: float
    parallel: int

    def model(self, kind: str) -> tuple[type, type, dict[str, Any]]:
        """The classes for labels and for numbers, and the arguments of both."""
        depth = {"max_depth": self.depth, "random_state": self.state}
        many = {"n_estimators": self.trees, "random_state": self.state}
        rate = {"learning_rate": self.rate}
        match kind:
            case "tree":
                return tree.DecisionTreeClassifier, tree.DecisionTreeRegressor, depth
            case "extra tree":
                return tree.ExtraTreeClassifier, tree.ExtraTreeRegressor, depth
            case "forest":
                return ensemble.RandomForestClassifier, ensemble.RandomForestRegressor, many | depth
            case "extra trees":
                return ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor, many | depth
            case "boosting":
                more = many | rate | {"max_depth": min(self.depth, 4)}
                return ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor, more
            case "histogram":
                more = {"max_iter": self.trees, "max_leaf_nodes": 2 + 2 * self.depth, "random_state": self.state}
                return ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor, more | rate
            case "XGBoost":
                more = {"max_depth": min(self.depth, 5), "subsample": 0.8, "n_jobs": 1}
                more["num_parallel_tree"] = self.parallel
                return xgboost.XGBClassifier, xgboost.XGBRegressor, many | rate | more
        more = {"num_leaves": 2 + 3 * self.depth, "verbose": -1, "n_jobs": 1}
        return lightgbm.LGBMClassifier, lightgbm.LGBMRegressor, many | rate | more


KINDS = ["tree", "extra tree", "forest", "extra trees", "boosting", "histogram", "XGBoost", "LightGBM"]


def _drawn(rng: Rng) -> tuple[Any, Array, Array, bool]:
    """An ensemble, its data, and whether it gives numbers."""
    real = bool(rng.random() < 0.3)
    name = "diabetes" if real else str(rng.choice(["iris", "wine", "breast_cancer", "made"]))
    if name == "made":
        options = {"n_informative": 6, "n_redundant": 0, "n_classes": int(rng.integers(2, 5))}
        x, y = datasets.make_classification(400, 8, random_state=int(rng.integers(1e6)), **options)
    else:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    kind = str(rng.choice(KINDS))
    sizes = int(rng.integers(1, 25)), int(rng.integers(1, 7)), int(rng.integers(1e6))
    choice = Choice(*sizes, float(rng.choice([0.05, 0.1, 0.3, 0.9])), int(rng.integers(1, 3)))
    labels, numbers, options = choice.model(kind)
    if not real and kind not in ("XGBoost", "boosting") and rng.random() < 0.3:
        options["class_weight"] = "balanced"
    return (numbers if real else labels)(**options), x, y, real


@few("seed", [*map(judged, (*DECIMALS, *COARSE)), *sorted({*range(200)} - {*DECIMALS, *COARSE})], 0)
def test_decisions_on_all_data_are_those_of_the_library(seed: int, tmp_path: Path) -> None:
    _compare(seed, np.float32, tmp_path)


@few("seed", [*map(judged, DOUBLES), *sorted({*range(100)} - {*DOUBLES})], DOUBLES[0])
def test_decisions_on_data_in_double_precision_are_those_of_the_library(seed: int, tmp_path: Path) -> None:
    """As the data sets of scikit-learn are, whose forests read them in single precision."""
    _compare(seed, np.float64, tmp_path)


def _compare(seed: int, dtype: npt.DTypeLike, tmp_path: Path) -> None:
    model, x, y, real = _drawn(np.random.default_rng(seed))
    shown, other, targets, _ = train_test_split(x.astype(dtype), y, test_size=0.3, random_state=seed)
    model.fit(shown, targets)
    circuit = bitsmith.convert(model, tmp_path, calibration=shown, check=False)
    for part in (shown, other):
        found, warned = _predicted(circuit, part)
        wanted = model.predict(part)
        if not real:
            np.testing.assert_array_equal(found[0].reshape(-1), wanted)
            found, wanted = found[1], model.predict_proba(part)
        assert not warned or part is other
        if not warned:
            off = 5e-4 * np.abs(wanted).max() if part is shown else 0.0101 * np.ptp(wanted)
            np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=0.0, atol=off)


def _predicted(circuit: bitsmith.Model, x: Array) -> tuple[Any, bool]:
    """What the circuit predicts, and whether it warns of that."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", bitsmith.FidelityWarning)
        found = circuit.predict(x)
    return found, any(issubclass(warning.category, bitsmith.FidelityWarning) for warning in caught)


@few("seed", range(24), 0)
def test_files_decide_as_estimators_do(seed: int, tmp_path: Path) -> None:
    """Boosters of files give scores alone, of which the greatest is the class."""
    rng = np.random.default_rng(seed)
    x, y = [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer][seed % 3](return_X_y=True)
    shown, other, targets, _ = train_test_split(x.astype(np.float32), y, test_size=0.3, random_state=seed)
    choice = Choice(int(rng.integers(2, 12)), int(rng.integers(1, 6)), seed, float(rng.choice([0.1, 0.3, 0.9])), 1)
    kind = ["XGBoost", "LightGBM"][seed // 3 % 2]
    estimator, _, options = choice.model(kind)
    model = estimator(**options).fit(shown, targets)
    path = tmp_path / ("model.json" if kind == "XGBoost" else "model.txt")
    (model.get_booster() if kind == "XGBoost" else model.booster_).save_model(path)
    circuit = bitsmith.convert(path, tmp_path / "out", calibration=shown, check=False)
    for part in (shown, other):
        scores, warned = _predicted(circuit, part)
        scores = scores.reshape(len(part), -1)
        assert not warned or part is other
        classes = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] > 0.5
        np.testing.assert_array_equal(classes, model.predict(part))


@pytest.mark.parametrize("trained", [150, 442])
def test_samples_on_thresholds_but_for_the_last_place_are_told_or_decided_by_calibration(
    trained: int, tmp_path: Path
) -> None:
    """Samples that were not shown lie halfway between two that were, of which no format of few bits keeps the side."""
    x, y = datasets.load_diabetes(return_X_y=True)
    model = ensemble.HistGradientBoostingRegressor(random_state=0).fit(x[:150], y[:150])
    circuit = bitsmith.convert(model, tmp_path, calibration=x[:trained])
    wanted = model.predict(x)
    told = pytest.warns(bitsmith.FidelityWarning, match="across thresholds: .*calibration")
    with told if trained < len(x) else nullcontext():
        found = circuit.predict(x).reshape(-1)
    off = np.abs(found - wanted) > 1e-3 * np.ptp(wanted)
    assert np.any(off) == (trained < len(x)) and not np.any(off[:150])
    assert circuit.program.input_ops()[0].frac.max() <= 24


@pytest.mark.parametrize("seed", range(4))
def test_bags_of_some_features_and_some_classes_decide_as_the_library(seed: int, tmp_path: Path) -> None:
    """A tree of few samples knows not all classes, and one of few features numbers these anew."""
    x, y = datasets.load_wine(return_X_y=True)
    options = {
        "max_features": 0.4,
        "max_samples": [4, 0.5][seed % 2],
        "bootstrap_features": seed > 1,
        "random_state": seed,
    }
    model = ensemble.BaggingClassifier(n_estimators=5, **options).fit(x, y + 3)
    label, shares = bitsmith.convert(model, tmp_path, calibration=x, check=False).predict(x)
    np.testing.assert_array_equal(label.reshape(-1), model.predict(x))
    np.testing.assert_allclose(shares, model.predict_proba(x), atol=1e-4)


SCALERS: list[list[Any]] = [
    [preprocessing.StandardScaler()],
    [preprocessing.MinMaxScaler((-1, 3)), preprocessing.MaxAbsScaler()],
    [preprocessing.RobustScaler(), preprocessing.StandardScaler(with_std=False)],
    [
        compose.ColumnTransformer(
            [
                ("some", preprocessing.StandardScaler(), [8, 2, 3]),
                ("no", "drop", [0]),
                ("as they are", "passthrough", [5, 2]),
            ]
        ),
        preprocessing.MaxAbsScaler(),
    ],
    [compose.ColumnTransformer([("one", preprocessing.StandardScaler(), [2])], remainder="passthrough")],
]


@pytest.mark.parametrize("scalers", SCALERS, ids=range(len(SCALERS)))
@few("last", [ensemble.HistGradientBoostingRegressor, ensemble.ExtraTreesRegressor], 1, judged=True)
def test_thresholds_before_scalers_decide_as_these_to_the_last_place(
    scalers: list[Any], last: Any, tmp_path: Path
) -> None:
    x, y = datasets.load_diabetes(return_X_y=True)
    depth = {"max_iter": 9} if last is ensemble.HistGradientBoostingRegressor else {"n_estimators": 3, "max_depth": 6}
    model = pipeline.make_pipeline(*scalers, last(random_state=0, **depth)).fit(x, y)
    circuit = bitsmith.convert(model, tmp_path, calibration=x)
    wanted = model.predict(x)
    np.testing.assert_allclose(circuit.predict(x).reshape(-1), wanted, atol=5e-4 * np.ptp(wanted))
    (trees,) = (node.layer for node in circuit.network.nodes if isinstance(node.layer, Trees))
    ours, theirs = [], []
    for node, feature in enumerate(trees.features.tolist()):
        beside = np.repeat(x[node % len(x) :][:1], 2, axis=0)
        beside[:, feature] = trees.thresholds[node, 0], np.nextafter(trees.thresholds[node, 0], np.inf)
        ours.append(trees.reference([beside]).reshape(-1))
        theirs.append(model.predict(beside))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
