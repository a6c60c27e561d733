"""Classifiers of several outputs: each output has the class and the probabilities that scikit-learn predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import ensemble, neighbors, tree
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.properties import few, judged

import bitsmith
from bitsmith.frontends.read import read_model

Array = npt.NDArray[Any]

NAMES = np.array(["ash", "birch", "elm", "yew"])


def _classifier(rng: np.random.Generator) -> Any:
    grown = {"max_depth": int(rng.integers(1, 7)), "random_state": int(rng.integers(1e6))}
    grown["class_weight"] = None if rng.random() < 0.6 else "balanced"
    many = {"n_estimators": int(rng.integers(1, 12)), **grown}
    match rng.integers(5):
        case 0:
            return tree.DecisionTreeClassifier(criterion=str(rng.choice(["gini", "entropy"])), **grown)
        case 1:
            return tree.ExtraTreeClassifier(**grown)
        case 2:
            return ensemble.RandomForestClassifier(**many)
        case 3:
            return ensemble.ExtraTreesClassifier(bootstrap=bool(rng.integers(2)), **many)
    return neighbors.KNeighborsClassifier(int(rng.integers(1, 6)))


def _drawn(seed: int) -> tuple[Any, Array, Array]:
    """A fitted classifier of two to four outputs with one to four classes each, its data, and other data."""
    rng = np.random.default_rng(seed)
    x, other = (rng.normal(size=(size, 4)).astype(np.float32) for size in (90, 300))
    sums = x @ rng.normal(size=(4, int(rng.integers(2, 5))))
    numbers = np.stack([np.digitize(some, np.sort(rng.normal(size=int(rng.integers(4))))) for some in sums.T], 1)
    labels = [numbers, numbers * 3 - 4, numbers * 2.0 + 1, NAMES[numbers]][int(rng.integers(4))]
    return _classifier(rng).fit(x, labels), x, other


def _check(model: Any, outputs: list[Array], x: Array, error: float) -> None:
    """Compare classes, or their numbers where they have names, and probabilities with the library's.

    Sums of a forest that are as great as one another differ by how they are rounded, in the library and here.
    """
    wanted, shares = model.predict(x), model.predict_proba(x)
    assert len(outputs) == 2 * len(shares) == 2 * wanted.shape[1]
    for number, (label, share) in enumerate(zip(outputs[::2], outputs[1::2], strict=True)):
        np.testing.assert_allclose(share, shares[number], atol=error)
        classes = model.classes_[number]
        places = (
            label.ravel().astype(np.int64) if classes.dtype.kind == "U" else np.searchsorted(classes, label.ravel())
        )
        differ = np.flatnonzero(classes[places] != wanted[:, number])
        np.testing.assert_allclose(
            shares[number][differ, places[differ]], shares[number][differ].max(axis=1), rtol=1e-14
        )
        assert differ.size <= 2


@few("seed", range(60), 24)
def test_each_output_has_the_classes_and_probabilities_of_the_library(seed: int) -> None:
    model, x, other = _drawn(seed)
    network = read_model(model)
    for some in (x, other):
        results = network.evaluate([some.astype(np.float64)])
        _check(model, [results[name] for name in network.outputs], some, 1e-12)
    assert len(network.notes) == (model.predict(x).shape[1] if model.classes_[0].dtype.kind == "U" else 0)


@pytest.mark.parametrize("seed", [5, *map(judged, range(5)), *map(judged, range(6, 14))])
def test_circuits_decide_as_the_library_does(seed: int, tmp_path: Path) -> None:
    model, x, _ = _drawn(seed)
    circuit = bitsmith.convert(model, tmp_path, calibration=x)
    _check(model, circuit.predict(x), x, 2e-4)
    assert circuit.fidelity.agreement.framework == "scikit-learn" and not circuit.fidelity.agreement.problem


def test_pipelines_end_in_several_outputs(tmp_path: Path) -> None:
    forest, x, _ = _drawn(2)
    model = make_pipeline(StandardScaler(), forest).fit(x, np.stack([x[:, 0] > 0, x[:, 1] > x[:, 2]], 1) * 2)
    circuit = bitsmith.convert(model, tmp_path, calibration=x)
    _check(model, circuit.predict(x), x, 2e-4)
    assert not circuit.fidelity.agreement.problem


def test_classes_that_are_integers_as_floats_are_no_names(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    model = tree.DecisionTreeClassifier(max_depth=2).fit(x, np.where(x[:, 0] > 0, 5.0, 2.0))
    circuit = bitsmith.convert(model, tmp_path, calibration=x)
    np.testing.assert_array_equal(circuit.predict(x)[0].ravel(), model.predict(x))
    assert not circuit.fidelity.agreement.problem and not any("number of a class" in note for note in circuit.notes)


@pytest.mark.parametrize(
    "each",
    [
        ensemble.RandomForestClassifier(3, max_depth=3),
        ensemble.HistGradientBoostingClassifier(max_iter=2),
        neighbors.KNeighborsClassifier(1),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_classifier_for_each_output(each: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype(np.float32)
    numbers = np.stack([np.digitize(x[:, 0], [-0.5, 0.5]), x[:, 1] > 0.0], 1)
    model = MultiOutputClassifier(each).fit(x, NAMES[numbers])
    circuit = bitsmith.convert(model, tmp_path, calibration=x)
    _check(model, circuit.predict(x), x, 5e-4)
    said = [note for note in circuit.notes if "0 'ash'" in note]
    assert sum("_0 gives" in note for note in said) == sum("_1 gives" in note for note in said) > 0
