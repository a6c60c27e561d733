"""Trees that were trained with missing values, and numbers that stand for these, against what the libraries predict."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import pytest
import xgboost
from onnx import TensorProto, helper, numpy_helper
from sklearn import ensemble, tree

import bitsmith
from bitsmith.errors import FidelityWarning, InputDataError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.read import read_model
from bitsmith.frontends.trees.catboost import read_catboost
from bitsmith.layers.layer import Floats

QUIET = {"n_estimators": 4, "verbose": -1}
NUMERIC = {"n_estimators": 4, "max_depth": 4}
CATEGORIES = {"feature_types": ["q", "q", "q", "c"], "enable_categorical": True}


def data(number: float) -> tuple[Floats, Floats]:
    """Samples with ``number`` in place of missing values, of which results depend."""
    rng = np.random.default_rng(3)
    x = rng.integers(-8, 9, (400, 4)) / 4.0
    x[:, 3] = rng.integers(0, 8, 400)
    holes = rng.random(x.shape) < 0.2
    y = x[:, 0] * x[:, 1] + x[:, 2] * (x[:, 3] == 3) + 2.0 * holes[:, 0] - holes[:, 2] + 0.1 * rng.normal(size=400)
    return np.where(holes, number, x).astype(np.float32), y


MODELS: dict[str, Callable[[], Any]] = {
    "XGBoost": lambda: xgboost.XGBRegressor(**NUMERIC),
    "XGBoost, exact": lambda: xgboost.XGBRegressor(tree_method="exact", **NUMERIC),
    "LightGBM": lambda: lightgbm.LGBMRegressor(**QUIET),
    "histogram": lambda: ensemble.HistGradientBoostingRegressor(max_iter=4),
    "tree": lambda: tree.DecisionTreeRegressor(random_state=0),
    "extra trees": lambda: ensemble.ExtraTreesRegressor(4, random_state=0),
    "bagging": lambda: ensemble.BaggingRegressor(n_estimators=4, random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_branches_that_are_left_out_are_said_if_training_saw_missing_values(name: str) -> None:
    read_model(MODELS[name]().fit(*data(-3.5)))
    with pytest.warns(FidelityWarning, match="was trained with missing values"):
        network = read_model(MODELS[name]().fit(*data(np.nan)))
    assert "missing" in network.notes[-1]


def _imported(library: Any, name: str, number: float) -> Any:
    """A model of another library as one of treelite."""
    makers: dict[str, Callable[[], Any]] = {
        **MODELS,
        "extra trees": lambda: ensemble.ExtraTreesRegressor(4, max_depth=4),
    }
    model = makers[name]().fit(*data(number))
    if name == "LightGBM":
        return library.frontend.from_lightgbm(model.booster_)
    if name.startswith("XGBoost"):
        return library.frontend.from_xgboost(model.get_booster())
    return library.sklearn.import_model(model)


@pytest.mark.parametrize("name", ["XGBoost", "XGBoost, exact", "LightGBM", "histogram", "extra trees"])
def test_models_of_treelite_say_whether_training_saw_missing_values(name: str) -> None:
    """Of LightGBM and histograms treelite 4.8 writes no JSON where a threshold is infinite."""
    library = pytest.importorskip("treelite")
    read_model(_imported(library, name, -3.5))
    if name not in ("LightGBM", "histogram"):
        with pytest.warns(FidelityWarning, match="was trained with missing values"):
            read_model(_imported(library, name, np.nan))


LEQ, LT, GTE = ("BRANCH_LEQ", 0), ("BRANCH_LT", 1), ("BRANCH_GTE", 2)
SIDES: dict[str, tuple[list[tuple[str, int]], list[int], float, bool]] = {
    "both sides of <": ([LT, LT], [0, 1], 1.0, True),
    "the left of < and the right of >=": ([LT, GTE], [0, 1], 1.0, False),
    "both sides of <=": ([LEQ, LEQ], [0, 1], 1.0, False),
    "beyond all numbers": ([LEQ, LEQ], [0, 0], np.inf, True),
    "nothing": ([LT, LT], [], 1.0, False),
}
"""Decisions, whether missing values take their first branch, the last threshold, and whether that says anything."""


@pytest.mark.parametrize("case", SIDES)
@pytest.mark.parametrize("version", [3, 5])
def test_decisions_of_onnx_say_whether_training_saw_missing_values(version: int, case: str) -> None:
    modes, tracks, last, says = SIDES[case]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network = read_onnx(_decisions(version, modes, tracks, last))
    assert ["missing values" in str(each.message) for each in told] == [True] * says
    assert len(network.notes) == says


def _decisions(version: int, modes: list[tuple[str, int]], tracks: list[int], last: float) -> onnx.ModelProto:
    """Trees of one decision each, in the words of versions of the operators."""
    count, parts = len(modes), dict[str, Any](nodes_missing_value_tracks_true=tracks)
    bounds = [*[0.5] * (count - 1), last]
    if version == 3:
        leaf = [k for _ in modes for k in (1, 2)]
        owners = [tree for tree in range(count) for _ in range(3)]
        parts = {
            "nodes_missing_value_tracks_true": [flag for track in tracks for flag in (track, 0, 0)],
            "nodes_modes": [word for mode, _ in modes for word in (mode, "LEAF", "LEAF")],
            "nodes_values": [value for bound in bounds for value in (bound, 0.0, 0.0)],
            "nodes_treeids": owners, "nodes_nodeids": [0, 1, 2] * count, "nodes_featureids": [0] * 3 * count,
            "nodes_truenodeids": [1, 0, 0] * count, "nodes_falsenodeids": [2, 0, 0] * count,
            "target_treeids": [tree for tree in range(count) for _ in range(2)], "target_nodeids": leaf,
            "target_ids": [0] * 2 * count, "target_weights": [1.0, 2.0] * count, "n_targets": 1,
        }  # fmt: skip
    else:
        tensors = {
            "nodes_modes": np.array([number for _, number in modes], np.uint8),
            "nodes_splits": np.array(bounds, np.float32), "leaf_weights": np.array([1.0, 2.0] * count, np.float32),
        }  # fmt: skip
        places = list(range(count))
        parts |= {key: numpy_helper.from_array(values, key) for key, values in tensors.items()} | {
            "nodes_featureids": [0] * count, "nodes_trueleafs": [1] * count, "nodes_falseleafs": [1] * count,
            "nodes_truenodeids": [2 * k for k in places], "nodes_falsenodeids": [2 * k + 1 for k in places],
            "leaf_targetids": [0] * 2 * count, "tree_roots": places, "n_targets": 1,
        }  # fmt: skip
    operator = "TreeEnsembleRegressor" if version == 3 else "TreeEnsemble"
    parts = {key: value for key, value in parts.items() if value != []}
    node = helper.make_node(operator, ["x"], ["y"], "trees", domain="ai.onnx.ml", **parts)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in ("x", "y")]
    graph = helper.make_graph([node], "graph", ends[:1], ends[1:])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", version)], ir_version=10
    )


def test_calibration_with_missing_values_is_rejected() -> None:
    x, y = data(np.nan)
    model = ensemble.HistGradientBoostingRegressor(max_iter=4).fit(x, y)
    with warnings.catch_warnings(), pytest.raises(InputDataError, match="NaN"):
        warnings.simplefilter("ignore")
        bitsmith.convert(model, calibration=x)


ZEROS = {**QUIET, "zero_as_missing": True}


@pytest.mark.parametrize("number", [-999.0, 0.0, 0.75])
@pytest.mark.parametrize("kind", ["numbers", "exact", "dart", "categories", "classes", "LightGBM"])
def test_numbers_that_stand_for_missing_values_go_where_these_go(number: float, kind: str) -> None:
    if kind == "LightGBM" and number:
        return
    x, y = data(number)
    own = {"missing": number, **NUMERIC}
    model = {
        "numbers": lambda: xgboost.XGBRegressor(**own),
        "exact": lambda: xgboost.XGBRegressor(tree_method="exact", **own),
        "dart": lambda: xgboost.XGBRegressor(booster="dart", **own),
        "categories": lambda: xgboost.XGBRegressor(**own, **CATEGORIES),
        "classes": lambda: xgboost.XGBClassifier(**own),
        "LightGBM": lambda: lightgbm.LGBMRegressor(**ZEROS),
    }[kind]().fit(x, y > 0 if kind == "classes" else y)
    network = read_model(model)
    found = network.evaluate([x.astype(np.float64)])[network.outputs[-1]]
    wanted = model.predict_proba(x) if kind == "classes" else model.predict(x)[:, None]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    results = bitsmith.convert(model, calibration=x, check=False).predict(x)
    np.testing.assert_allclose(results[-1] if kind == "classes" else results, wanted, atol=4e-3)


def test_numbers_that_no_step_may_have_are_rejected() -> None:
    model = xgboost.XGBRegressor(missing=0.1, **NUMERIC).fit(*data(0.1))
    with pytest.raises(UnsupportedError, match=r"missing=0\.1(.|\n)*such as -999"):
        read_model(model)


@pytest.mark.parametrize("way", ["estimator", "booster", "file"])
def test_boosters_and_files_say_that_they_lack_the_number_for_missing_values(way: str, tmp_path: Path) -> None:
    """Of one decision nothing else tells, and the number goes to the other side."""
    x, y = data(0.0)
    model = xgboost.XGBRegressor(n_estimators=1, max_depth=1, missing=0.0, tree_method="exact").fit(x[:, :1], y)
    model.save_model(tmp_path / "model.json")
    source = {"estimator": model, "booster": model.get_booster(), "file": tmp_path / "model.json"}[way]
    network = read_model(source)
    told = any("do not have the estimator's number `missing`" in note for note in network.notes)
    found = network.evaluate([x[:, :1].astype(np.float64)])[network.outputs[-1]][:, 0]
    assert told == (way != "estimator") == bool(np.abs(found - model.predict(x[:, :1])).max() > 0.1)


def test_catboost_says_itself_whether_training_saw_missing_values() -> None:
    text = (
        '{"features_info": {"float_features": [{"feature_index": 0, "flat_feature_index": 0, "has_nans": %s}]}, '
        '"scale_and_bias": [1, [0]], "oblivious_trees": [{"splits": [{"split_type": "FloatFeature", "border": 0.5, '
        '"float_feature_index": 0}], "leaf_values": [1, 2]}]}'
    )
    read_catboost((text % "false").encode(), "CatBoost", raw=True)
    with pytest.warns(FidelityWarning, match="was trained with missing values"):
        read_catboost((text % "true").encode(), "CatBoost", raw=True)
