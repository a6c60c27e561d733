"""Pipelines of scikit-learn that were fitted on tables: transformers of columns by name, and steps that stay in software."""

import copy
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
import ydf
from sklearn import compose, ensemble, linear_model, pipeline, preprocessing, tree

import bitsmith
from bitsmith.emulate.batches import Table
from bitsmith.errors import InputDataError, ModelFileError, UnsupportedError
from bitsmith.frontends.trees.columns import numbers_of

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


def _trained() -> dict[str, Any]:
    """Models of three named columns, each of another library."""
    names, labels = list(_NAMES), _Y.astype(int)
    linear, forest = linear_model.LogisticRegression().fit(_X, _Y), ensemble.RandomForestClassifier(2).fit(_X, _Y)
    for estimator in (linear, forest):
        estimator.feature_names_in_ = _NAMES  # as fit on a table of pandas leaves it
    rows = xgboost.DMatrix(_X, labels, feature_names=names)
    table = lightgbm.Dataset(_X, labels, feature_name=names)
    return {
        "linear": linear,
        "forest": forest,
        "xgboost": xgboost.train({"objective": "binary:logistic"}, rows, 2),
        "lightgbm": lightgbm.train({"objective": "binary", "verbose": -1}, table, 2),
        "ydf": ydf.CartLearner(label="y").train({**dict(zip(names, _X.T, strict=True)), "y": labels}, verbose=0),
    }


@pytest.mark.parametrize("kind", ["linear", "forest", "xgboost", "lightgbm", "ydf"])
def test_tables_have_the_columns_of_the_model_in_their_order(kind: str, tmp_path: Path) -> None:
    model, names = _trained()[kind], tuple(_NAMES)
    wrong = {
        "another order": Table(_X[:, [1, 0, 2]], (names[1], names[0], names[2])),
        "with 'height' and without 'kind'": Table(_X, (*names[:2], "height")),
        "without 'kind'": Table(_X[:, :2], names[:2]),
    }
    circuit = bitsmith.convert(model, calibration=Table(_X, names), check=False)
    circuit.save(tmp_path / "model.json")
    for own in (circuit, bitsmith.Model.load(tmp_path / "model.json")):
        results = [own.predict(x) for x in (_X, Table(_X, names), [Table(_X, names)])]
        for other in results[1:]:
            np.testing.assert_array_equal(other[0], results[0][0])
        for problem, table in wrong.items():
            with pytest.raises(InputDataError, match=problem):
                own.predict(table)
        with pytest.raises(InputDataError, match="another order"):
            own.plan(inputs=wrong["another order"])
    for problem, table in wrong.items():
        with pytest.raises(InputDataError, match=problem):
            bitsmith.convert(model, calibration=table, check=False)


def test_columns_of_the_formulas_are_their_names() -> None:
    circuit, x = bitsmith.convert("age - 2*income", check=False, input_shape=None), np.array([[3.0, 0.5]])
    assert circuit.predict(Table(x, ("age", "income"))) == circuit.predict(x)
    with pytest.raises(InputDataError, match="another order"):
        circuit.predict(Table(x, ("income", "age")))


@pytest.mark.parametrize("chosen", [slice(0, 2), slice(1, -1), [True, False, True], [0, -2], 1, []], ids=repr)
def test_columns_by_number_are_those_that_scikit_learn_chooses(chosen: Any) -> None:
    x, own = _X, [chosen] if chosen == 1 else chosen
    columns = compose.ColumnTransformer([("own", "passthrough", own)]).fit(x)
    np.testing.assert_array_equal(x[:, numbers_of(chosen, columns)], columns.transform(x))


@pytest.mark.parametrize("chosen", [slice("age", "income"), slice(None, "income"), ["age", "income"]], ids=repr)
def test_a_slice_of_names_has_its_last(chosen: Any) -> None:
    columns = compose.ColumnTransformer([("all", "passthrough", [0])]).fit(_X)
    columns.feature_names_in_ = _NAMES
    assert numbers_of(chosen, columns).tolist() == [0, 1]
