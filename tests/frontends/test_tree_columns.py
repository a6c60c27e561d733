"""Pipelines of scikit-learn that were fitted on tables: transformers of columns by name, and steps that stay in software."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import compose, linear_model, pipeline, preprocessing, tree

import bitsmith
from bitsmith.errors import ModelFileError, UnsupportedError

_NAMES = np.array(["age", "income", "kind"], dtype=object)
_RNG = np.random.default_rng(0)
_X = np.stack([_RNG.integers(18, 90, 200), _RNG.normal(50, 10, 200), _RNG.integers(0, 3, 200)], axis=1).astype("f4")
_Y = (_X[:, 0] > 50) ^ (_X[:, 2] == 1)

_SCALER, _ONE_HOT = preprocessing.StandardScaler(), preprocessing.OneHotEncoder()
_CHOICES: list[dict[str, Any]] = [
    {"transformers": [("scaled", _SCALER, [1, 0]), ("kinds", _ONE_HOT, [2])]},
    {"transformers": [("scaled", _SCALER, [1])], "remainder": "passthrough"},
    {"transformers": [("no", "drop", [0]), ("as it is", "passthrough", [2])], "remainder": _SCALER},
]


def _as_of_a_table(columns: Any) -> Any:
    """The transformer as it is after ``fit`` on a table of pandas, which is not needed here."""
    table = copy.copy(columns)
    table.feature_names_in_ = _NAMES
    table.transformers_ = [(name, part, list(_NAMES[own])) for name, part, own in columns.transformers_]
    return table


@pytest.mark.parametrize("last", [linear_model.LogisticRegression(), tree.DecisionTreeClassifier(max_depth=4)])
@pytest.mark.parametrize("choice", _CHOICES, ids=range(len(_CHOICES)))
def test_columns_by_name_are_those_of_the_table(choice: dict[str, Any], last: Any) -> None:
    fitted = pipeline.make_pipeline(compose.ColumnTransformer(**choice), last).fit(_X, _Y)
    model = copy.copy(fitted)
    model.steps = [("columns", _as_of_a_table(fitted[0])), fitted.steps[1]]
    with pytest.raises(ValueError, match="columns using strings"):
        model.predict(_X)
    circuit = bitsmith.convert(model, calibration=_X)
    labels, shares = circuit.predict(_X)
    np.testing.assert_array_equal(labels.reshape(-1), fitted.predict(_X))
    np.testing.assert_allclose(shares, fitted.predict_proba(_X), atol=1e-3)
    assert circuit.fidelity is not None
    assert circuit.fidelity.agreement.error is not None


def test_all_columns_in_another_order_are_rejected_where_the_export_loses_it() -> None:
    columns = compose.ColumnTransformer([("scaled", _SCALER, [1, 0, 2])])
    linear = pipeline.make_pipeline(columns, linear_model.LogisticRegression()).fit(_X, _Y)
    with pytest.raises(UnsupportedError, match="scaled: all columns in another order"):
        bitsmith.convert(linear, calibration=_X)
    trees = pipeline.make_pipeline(columns, tree.DecisionTreeClassifier(max_depth=4)).fit(_X, _Y)
    np.testing.assert_array_equal(bitsmith.convert(trees, calibration=_X).predict(_X)[0].reshape(-1), trees.predict(_X))


def test_the_remedy_for_words_converts_what_comes_after_them(tmp_path: Path) -> None:
    x = np.array([["Oslo"], ["Rome"], ["Paris"]] * 20)
    model = pipeline.make_pipeline(preprocessing.OneHotEncoder(), linear_model.LogisticRegression())
    model.fit(x, x[:, 0] == "Rome")
    with pytest.raises(ModelFileError) as caught:
        bitsmith.convert(model)
    call = caught.value.remedy.rpartition(": ")[2]
    circuit = eval(call, {"bitsmith": bitsmith, "model": model, "x": x})
    codes = model[:-1].transform(x)
    assert not isinstance(codes, np.ndarray)  # a sparse matrix
    np.testing.assert_allclose(circuit.predict(codes)[1], model.predict_proba(x), atol=1e-3)
