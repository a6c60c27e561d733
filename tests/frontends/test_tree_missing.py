"""Trees that were trained with missing values, and numbers that stand for these, against what the libraries predict."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn import ensemble, tree

import bitsmith
from bitsmith.errors import FidelityWarning, InputDataError, UnsupportedError
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


def test_catboost_says_itself_whether_training_saw_missing_values() -> None:
    text = (
        '{"features_info": {"float_features": [{"feature_index": 0, "flat_feature_index": 0, "has_nans": %s}]}, '
        '"scale_and_bias": [1, [0]], "oblivious_trees": [{"splits": [{"split_type": "FloatFeature", "border": 0.5, '
        '"float_feature_index": 0}], "leaf_values": [1, 2]}]}'
    )
    read_catboost((text % "false").encode(), "CatBoost", raw=True)
    with pytest.warns(FidelityWarning, match="was trained with missing values"):
        read_catboost((text % "true").encode(), "CatBoost", raw=True)
