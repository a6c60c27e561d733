"""Classifiers of scikit-learn whose exports are missing, or decide otherwise, on data as they come: beside scikit-learn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skl2onnx import to_onnx
from sklearn import cluster, ensemble, linear_model, naive_bayes, pipeline, preprocessing
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from tests.properties import judged

import bitsmith
from bitsmith import FidelityWarning

Numbers = npt.NDArray[Any]


def _descent(loss: str, **more: Any) -> linear_model.SGDClassifier:
    return linear_model.SGDClassifier(loss=loss, random_state=0, **more)


def _voting() -> ensemble.VotingClassifier:
    both = [("a", naive_bayes.GaussianNB()), ("b", linear_model.LogisticRegression())]
    return ensemble.VotingClassifier(both, voting="soft")


CLASSIFIERS = {
    "quadratic": QuadraticDiscriminantAnalysis(),
    "quadratic, unlike classes": QuadraticDiscriminantAnalysis(reg_param=0.1, priors=[0.2, 0.5, 0.3]),
    "odds": _descent("log_loss"),
    "odds of scaled": pipeline.make_pipeline(preprocessing.StandardScaler(), _descent("log_loss", alpha=1e-5)),
    "limits": _descent("modified_huber"),
    "limits of scaled": pipeline.make_pipeline(preprocessing.StandardScaler(), _descent("modified_huber")),
    "votes": pipeline.make_pipeline(preprocessing.StandardScaler(), _voting()),
}


@pytest.mark.filterwarnings("error::bitsmith.errors.FidelityWarning")
@pytest.mark.parametrize("name", list(map(judged, CLASSIFIERS)))
def test_classes_and_probabilities(name: str, tmp_path: Path) -> None:
    for load in (load_iris, load_wine):
        x, y = load(return_X_y=True)
        x, model = x.astype(np.float32), CLASSIFIERS[name].fit(x.astype(np.float32), y)
        circuit = bitsmith.convert(model, tmp_path, calibration=x, check=True)
        label, shares = circuit.predict(x)
        wanted = model.predict_proba(x)
        np.testing.assert_array_equal(label.ravel(), model.predict(x))
        assert np.sqrt(np.mean((shares - wanted) ** 2)) < 0.005
        np.testing.assert_allclose(shares, wanted, atol=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_odds_that_underflow_count_for_nothing_unless_all_do(dtype: type[np.floating[Any]], tmp_path: Path) -> None:
    """The greatest of each sample lie around the least number of their type."""
    x, y = load_iris(return_X_y=True)
    model = linear_model.SGDClassifier(loss="log_loss", random_state=0).fit(x.astype(dtype), y)
    model.intercept_ -= dtype(np.log(np.finfo(dtype).max)) - dtype(20.0)
    wanted = model.predict_proba(x.astype(dtype))
    label, shares = bitsmith.convert(model, tmp_path, calibration=x, check=False).predict(x.astype(dtype))
    np.testing.assert_array_equal(label.ravel(), model.predict(x.astype(dtype)))
    np.testing.assert_allclose(shares, wanted, atol=0.02)


def test_trees_of_an_export_decide_on_numbers_of_double_precision_as_after_rounding(tmp_path: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    model = ensemble.BaggingRegressor(n_estimators=3, random_state=0).fit(x[:150], y[:150])
    exported = to_onnx(model, x[:1].astype(np.float32))
    found = bitsmith.convert(exported, tmp_path, calibration=x, check=False).predict(x).ravel()
    wanted = model.predict(x)
    np.testing.assert_allclose(found, wanted, atol=1e-3 * np.ptp(wanted))


def test_a_label_that_is_the_other_of_two_nearly_as_good_is_told_with_the_bits_that_mend_it(tmp_path: Path) -> None:
    """One of 442 samples lies between two clusters, by a share of 2e-4 of its distance."""
    x, _ = load_diabetes(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0) * 0.05
    model = cluster.KMeans(random_state=0).fit(x[:150])
    with pytest.warns(
        FidelityWarning, match=r"1 of 442 samples are decided otherwise[\s\S]*with bits=\d\d these"
    ) as told:
        circuit = bitsmith.convert(model, tmp_path, calibration=x, check=True)
    assert np.count_nonzero(circuit.predict(x)[0].ravel() != model.predict(x)) == 1
    bits = int(str(told[0].message).split("bits=")[1][:2])
    with warnings.catch_warnings():
        warnings.simplefilter("error", FidelityWarning)
        circuit = bitsmith.convert(model, tmp_path / "more", calibration=x, bits=bits)
    np.testing.assert_array_equal(circuit.predict(x)[0].ravel(), model.predict(x))
