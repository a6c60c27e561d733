"""Live models and files of scikit-learn, XGBoost and LightGBM, against what their own libraries predict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pytest
import xgboost
from sklearn import ensemble, tree
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation
from sklearn.svm import LinearSVC
from tests.properties import judged

import bitsmith
from bitsmith.errors import BitsmithError, FidelityWarning, ModelFileError, UnsupportedError
from bitsmith.frontends.read import read_model
from bitsmith.frontends.trees.xgboost import read_xgboost

Numbers = npt.NDArray[np.float32]
Data = tuple[Numbers, npt.NDArray[Any]]


def _data(load: Callable[..., Data]) -> Data:
    x, y = load(return_X_y=True)
    return x.astype(np.float32), y


TWO, THREE, REAL = _data(load_breast_cancer), _data(load_wine), _data(load_diabetes)
WORDS = (THREE[0], np.array(["ash", "birch", "yew"])[THREE[1]])
ODD = (THREE[0], THREE[1] * 3 + 2)
SEVERAL = (REAL[0], np.stack([REAL[1], -2 * REAL[1]], 1))
FEW = {"n_estimators": 6, "random_state": 0}
QUIET = {"n_estimators": 6, "verbose": -1}

MODELS: dict[str, tuple[Any, Data]] = {
    "tree, two classes": (tree.DecisionTreeClassifier(random_state=0), TWO),
    "tree, words": (tree.DecisionTreeClassifier(max_depth=4, random_state=0), WORDS),
    "tree, entropy and weights": (
        tree.ExtraTreeClassifier(criterion="entropy", class_weight="balanced", random_state=0),
        THREE,
    ),
    "tree, real": (tree.DecisionTreeRegressor(max_depth=6, random_state=0), REAL),
    "tree, several": (tree.DecisionTreeRegressor(max_depth=5, random_state=0), SEVERAL),
    "forest, two classes": (ensemble.RandomForestClassifier(max_depth=5, **FEW), TWO),
    "forest, odd classes": (ensemble.RandomForestClassifier(max_depth=5, **FEW), ODD),
    "forest, real": (ensemble.RandomForestRegressor(max_depth=5, **FEW), REAL),
    "extra trees, several": (ensemble.ExtraTreesRegressor(max_depth=5, **FEW), SEVERAL),
    "boosted, two classes": (ensemble.GradientBoostingClassifier(**FEW), TWO),
    "boosted, words": (ensemble.GradientBoostingClassifier(init="zero", **FEW), WORDS),
    "boosted, exponential loss": (ensemble.GradientBoostingClassifier(loss="exponential", **FEW), TWO),
    "boosted, real": (ensemble.GradientBoostingRegressor(loss="huber", learning_rate=0.3, **FEW), REAL),
    "histogram, two classes": (ensemble.HistGradientBoostingClassifier(max_iter=6), TWO),
    "histogram, three classes": (ensemble.HistGradientBoostingClassifier(max_iter=6), THREE),
    "histogram, real": (ensemble.HistGradientBoostingRegressor(max_iter=6), REAL),
    "histogram, counts": (ensemble.HistGradientBoostingRegressor(loss="poisson", max_iter=6), REAL),
    "isolation forest": (ensemble.IsolationForest(max_samples=64, max_features=0.5, **FEW), REAL),
    "isolation forest, contaminated": (ensemble.IsolationForest(contamination=0.25, **FEW), (THREE[0][:101], None)),
    "bagging": (ensemble.BaggingClassifier(max_features=0.5, **FEW), THREE),
    "bagging of forests": (ensemble.BaggingRegressor(ensemble.RandomForestRegressor(max_depth=4, **FEW), 2), SEVERAL),
    "boosting by weights, by ONNX": (ensemble.AdaBoostClassifier(n_estimators=3, random_state=0), THREE),
    "pipeline, by ONNX": (make_pipeline(StandardScaler(), LogisticRegression()), TWO),
    "XGBoost, two classes": (xgboost.XGBClassifier(n_estimators=6, max_depth=3), TWO),
    "XGBoost, three classes": (xgboost.XGBClassifier(n_estimators=6, max_depth=3, num_parallel_tree=2), THREE),
    "XGBoost, real": (xgboost.XGBRegressor(n_estimators=6, max_depth=4), REAL),
    "XGBoost, dart": (xgboost.XGBRegressor(n_estimators=6, max_depth=3, booster="dart", rate_drop=0.4), REAL),
    "XGBoost, several": (xgboost.XGBRegressor(n_estimators=4, max_depth=3), SEVERAL),
    "XGBoost, counts": (xgboost.XGBRegressor(n_estimators=6, max_depth=3, objective="count:poisson"), REAL),
    "LightGBM, two classes": (lightgbm.LGBMClassifier(**QUIET), TWO),
    "LightGBM, words": (lightgbm.LGBMClassifier(**QUIET), WORDS),
    "LightGBM, real": (lightgbm.LGBMRegressor(num_leaves=9, **QUIET), REAL),
    "LightGBM, squares": (lightgbm.LGBMRegressor(reg_sqrt=True, **QUIET), REAL),
    "LightGBM, forest": (
        lightgbm.LGBMRegressor(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7, **QUIET),
        REAL,
    ),
}

_rng = np.random.default_rng(0)
KINDS = np.stack([_rng.integers(0, 40, 600), _rng.normal(size=600), _rng.integers(0, 3, 600)], 1).astype(np.float32)
MIXED = (KINDS, np.isin(KINDS[:, 0] % 11, [1, 4, 5, 9]) * 2.0 + (KINDS[:, 1] > 0) + (KINDS[:, 2] == 1))


def _categorical(name: str) -> Any:
    """A model of two features of categories and one of numbers."""
    x, y = MIXED
    if name == "XGBoost":
        data = xgboost.DMatrix(x, y, feature_types=["c", "q", "c"], enable_categorical=True)
        return xgboost.train({"max_depth": 4, "max_cat_to_onehot": 4}, data, 4)
    if name == "LightGBM":
        data = lightgbm.Dataset(x, y, categorical_feature=[0, 2])
        return lightgbm.train({"objective": "regression", "verbose": -1, "min_data_in_leaf": 5}, data, 4)
    shown = np.where(x[:, :1] == 7, np.nan, x[:, :1])  # some categories are never seen, and some numbers are missing
    model = ensemble.HistGradientBoostingRegressor(categorical_features=[0, 2], max_iter=4)
    return model.fit(np.concatenate([np.where(shown == 9, 8, shown), x[:, 1:]], 1), y)


@pytest.mark.parametrize("name", ["XGBoost", "LightGBM", "scikit-learn"])
def test_decisions_on_categories(name: str, tmp_path: Path) -> None:
    """Also numbers that are no categories, or none that training has seen, go where the library sends them."""
    booster, (x, _) = _categorical(name), MIXED
    strange = x[:200].copy()
    strange[:, 0] = np.linspace(-3, 70, 200)
    strange[:, 2] = np.linspace(-0.9, 3.9, 200)
    network = read_model(booster)
    for some in (x, strange):
        wanted = booster.predict(xgboost.DMatrix(some, feature_types=["c", "q", "c"]) if name == "XGBoost" else some)
        np.testing.assert_allclose(network.evaluate([some])[network.outputs[0]][:, 0], wanted, atol=1e-5)
    model = bitsmith.convert(booster, tmp_path, calibration=x, check=False)
    wanted = booster.predict(xgboost.DMatrix(x, feature_types=["c", "q", "c"]) if name == "XGBoost" else x)
    np.testing.assert_allclose(model.predict(x).reshape(-1), wanted, atol=2e-3)


@pytest.mark.parametrize("seed", range(8))
def test_isolation_forests_find_the_same_outliers(seed: int) -> None:
    """Also where the last inlier has the very score that parts them, and where no tree tells samples apart."""
    rng = np.random.default_rng(seed)
    x = rng.permutation(TWO[0])[:101]
    samples, features = [2, 16, 64, "auto"][seed % 4], float(rng.choice([0.3, 1.0]))
    contamination = ["auto", 0.05, 0.2, 0.5][int(rng.integers(4))]
    model = ensemble.IsolationForest(
        n_estimators=int(rng.integers(1, 20)),
        max_samples=samples,
        max_features=features,
        contamination=contamination,
        bootstrap=seed % 2 == 1,
        random_state=seed,
    ).fit(x)
    network = read_model(model)
    found = network.evaluate([TWO[0].astype(np.float64)])
    labels, scores = (found[name].reshape(-1) for name in network.outputs)
    np.testing.assert_array_equal(labels, model.predict(TWO[0]))
    np.testing.assert_allclose(scores, model.decision_function(TWO[0]), atol=2e-5)


BASED = {"base_score": 2.5}
POSITIVE: dict[str, dict[str, Any]] = {
    "count:poisson": {},
    "reg:gamma": BASED,
    "reg:tweedie": BASED,
    "survival:cox": {},
    "poisson": {},
    "gamma": {},
    "tweedie": {},
    "cross_entropy_lambda": {},
    "huber": {"reg_sqrt": True},
}
"""Objectives of XGBoost, then of LightGBM, that predict functions of sums."""


@pytest.mark.parametrize("name", POSITIVE)
def test_functions_of_sums_are_the_librarys(name: str) -> None:
    x, share = REAL[0], REAL[1] / REAL[1].max()
    if ":" in name:
        booster = xgboost.train({"objective": name, "max_depth": 3, **POSITIVE[name]}, xgboost.DMatrix(x, 9 * share), 5)
        wanted = booster.predict(xgboost.DMatrix(x))
    else:
        booster = lightgbm.train({"objective": name, "verbose": -1, **POSITIVE[name]}, lightgbm.Dataset(x, share), 5)
        wanted = booster.predict(x)
    network = read_model(booster)
    assert np.ptp(wanted) > 0.01
    np.testing.assert_allclose(network.evaluate([x.astype(np.float64)])[network.outputs[0]][:, 0], wanted, rtol=2e-6)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_histograms_of_what_is_positive(loss: str) -> None:
    model = ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=5).fit(*REAL)
    network, wanted = read_model(model), model.predict(REAL[0])
    found = network.evaluate([REAL[0].astype(np.float64)])[network.outputs[0]][:, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("name", ["binary:hinge", "binary:logitraw"])
def test_scores_of_two_classes_begin_at_the_base_score(name: str) -> None:
    x, y = TWO
    booster = xgboost.train({"objective": name, "max_depth": 3, "base_score": 0.2}, xgboost.DMatrix(x, y), 4)
    network = read_model(booster)
    found = network.evaluate([x.astype(np.float64)])[network.outputs[0]][:, 0]
    np.testing.assert_allclose(found, booster.predict(xgboost.DMatrix(x)), rtol=1e-5)


def test_thresholds_are_infinite_where_missing_values_alone_go_another_way() -> None:
    x, is_missing = _rng.normal(size=(200, 1)), np.arange(200) % 2 == 0
    data = lightgbm.Dataset(np.where(is_missing[:, None], np.nan, x), is_missing * 3 + 0.1 * x[:, 0])
    booster = lightgbm.train(
        {"objective": "regression", "verbose": -1, "min_data_in_leaf": 5, "num_leaves": 4}, data, 2
    )
    assert "threshold=inf" in booster.model_to_string()
    with pytest.warns(FidelityWarning, match="trained with missing values"):
        network = read_model(booster)
    np.testing.assert_allclose(network.evaluate([x])[network.outputs[0]][:, 0], booster.predict(x), rtol=1e-12)


def test_trees_of_vectors(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(n_estimators=4, max_depth=3, multi_strategy="multi_output_tree").fit(*SEVERAL)
    network = read_model(model)
    wanted = model.predict(SEVERAL[0])
    np.testing.assert_allclose(network.evaluate([SEVERAL[0]])[network.outputs[0]], wanted, rtol=1e-5)


def _wanted(model: Any, x: Numbers) -> list[npt.NDArray[np.float64]]:
    """The library's class numbers and probabilities, or those and scores of outliers, or its targets."""
    found = model.predict(x)
    if isinstance(model, ensemble.IsolationForest):
        return [found.astype(np.float64), model.decision_function(x)]
    if not hasattr(model, "predict_proba"):
        return [np.asarray(found, np.float64)]
    labels = found if found.dtype.kind in "iub" else np.searchsorted(model.classes_, found)
    return [labels.astype(np.float64), model.predict_proba(x)]


QUICK = {"tree, words", "forest, two classes", "boosted, two classes", "XGBoost, three classes", "LightGBM, real"}


@pytest.mark.parametrize("name", [name if name in QUICK else judged(name) for name in MODELS])
def test_circuits_decide_as_the_library_does(name: str, tmp_path: Path) -> None:
    """No decision differs on calibration data: classes are equal, and what is added up is so but for rounded leaves."""
    estimator, (x, y) = MODELS[name]
    estimator.fit(x, y)
    model = bitsmith.convert(estimator, tmp_path, calibration=x)
    found = model.predict(x)
    arrays = list(found) if isinstance(found, tuple | list) else [found]
    wanted = _wanted(estimator, x)
    assert len(arrays) == len(wanted)
    if len(wanted) == 2:
        labels, right = arrays[0].reshape(-1), wanted[0].reshape(-1)
        np.testing.assert_array_equal(labels, right)
    scale = np.abs(wanted[-1]).max()
    error = np.abs(arrays[-1].reshape(wanted[-1].shape) - wanted[-1]).max() / scale
    assert error < (2e-3 if "ONNX" in name else 2e-4)
    assert model.fidelity.agreement.framework and not model.fidelity.agreement.problem
    model.save(tmp_path / "saved.json")
    again = bitsmith.model.Model.load(tmp_path / "saved.json").predict(x)
    for one, other in zip(arrays, again if isinstance(again, tuple | list) else [again], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def boosters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path, Numbers]]:
    """Trained boosters, their files, and data."""
    folder, data = tmp_path_factory.mktemp("boosters"), xgboost.DMatrix(THREE[0], THREE[1])
    softmax = xgboost.train({"objective": "multi:softmax", "num_class": 3, "max_depth": 3}, data, 4)
    softmax.save_model(folder / "softmax.json")
    binary = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(*TWO), 4)
    binary.save_model(folder / "binary.txt")
    return {
        "XGBoost": (softmax, folder / "softmax.json", THREE[0]),
        "LightGBM": (binary, folder / "binary.txt", TWO[0]),
    }


@pytest.mark.parametrize("name", ["XGBoost", "LightGBM"])
def test_boosters_and_their_files(name: str, boosters: dict[str, tuple[Any, Path, Numbers]], tmp_path: Path) -> None:
    booster, path, x = boosters[name]
    wanted = booster.predict(xgboost.DMatrix(x) if name == "XGBoost" else x)
    booster.save_model(tmp_path / "binary.ubj")  # which LightGBM calls so, and writes as text
    (tmp_path / "unnamed").write_bytes((tmp_path / "binary.ubj").read_bytes())
    for given in (booster, path, tmp_path / "unnamed"):
        model = bitsmith.convert(given, tmp_path / "out", calibration=x, check=True)
        np.testing.assert_allclose(model.predict(x).reshape(-1), wanted, atol=2e-4)
        assert model.fidelity.agreement.framework == name


@pytest.mark.parametrize("base", ["5E-1", "[5E-1]", "[-2E0,1E0,5E-1]"])
def test_sums_begin_with_one_number_for_all_classes_or_one_for_each(
    base: str, boosters: dict[str, tuple[Any, Path, Numbers]], tmp_path: Path
) -> None:
    """The first is how XGBoost wrote it before version 3.1; it reads all of them."""
    _, path, x = boosters["XGBoost"]
    content = json.loads(path.read_text())
    content["learner"]["learner_model_param"]["base_score"] = base
    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps(content, separators=(",", ":")))
    wanted = xgboost.Booster(model_file=edited).predict(xgboost.DMatrix(x))
    assert len({*wanted}) > 1
    model = bitsmith.convert(edited, tmp_path / "out", calibration=x, check=False)
    np.testing.assert_array_equal(model.predict(x).reshape(-1), wanted)


def test_an_early_stop_counts_for_estimators() -> None:
    x, y = REAL
    model = xgboost.XGBRegressor(n_estimators=30, early_stopping_rounds=2, learning_rate=0.9, max_depth=5)
    model.fit(x[:200], y[:200], eval_set=[(x[200:], y[200:])], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    network = read_model(model)
    np.testing.assert_allclose(network.evaluate([x])[network.outputs[0]][:, 0], model.predict(x), rtol=1e-5)


REJECTED: dict[str, tuple[Callable[[], Any], type[BitsmithError], str]] = {
    "not fitted": (lambda: ensemble.RandomForestClassifier(), ModelFileError, "was not fitted"),
    "boosting another model": (
        lambda: ensemble.GradientBoostingClassifier(init=tree.DecisionTreeClassifier(), **FEW).fit(*TWO),
        UnsupportedError,
        "begins with another model",
    ),
    "no exporter": (lambda: LabelPropagation().fit(*THREE), ModelFileError, "skl2onnx cannot"),
    "XGBoost, linear": (
        lambda: xgboost.XGBRegressor(booster="gblinear", n_estimators=2).fit(*REAL),
        UnsupportedError,
        "the booster 'gblinear'",
    ),
    "XGBoost, raw scores of two classes": (
        lambda: xgboost.XGBClassifier(objective="binary:logitraw", n_estimators=2).fit(*TWO),
        UnsupportedError,
        "1 scores for 2 classes",
    ),
    "LightGBM, linear": (
        lambda: lightgbm.LGBMRegressor(linear_tree=True, **QUIET).fit(*REAL),
        UnsupportedError,
        "linear models",
    ),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_cannot_be_translated_is_rejected_by_name(name: str, tmp_path: Path) -> None:
    make, error, said = REJECTED[name]
    with pytest.raises(error, match=said):
        bitsmith.convert(make(), tmp_path)


def test_linear_classifiers_without_probabilities_are_read_and_not_compared(tmp_path: Path) -> None:
    x, y = (THREE[0] / np.abs(THREE[0]).max(axis=0)).astype(np.float32), THREE[1]
    classifier = LinearSVC(random_state=0).fit(x, y)
    model = bitsmith.convert(classifier, tmp_path, calibration=x)
    assert np.mean(model.predict(x)[0].reshape(-1) == classifier.predict(x)) == 1
    assert "classes alone" in model.fidelity.agreement.reason


def _first(learner: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = learner["gradient_booster"]["model"]["trees"][0]
    return found


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a missing tree": lambda learner: learner["gradient_booster"]["model"]["trees"].pop(),
    "a foreign feature": lambda learner: _first(learner)["split_indices"].__setitem__(0, 99),
    "a foreign row": lambda learner: _first(learner)["left_children"].__setitem__(0, 99),
    "a circle": lambda learner: _first(learner)["left_children"].__setitem__(0, 0),
    "a short column": lambda learner: _first(learner)["split_conditions"].pop(),
    "no number": lambda learner: learner["learner_model_param"].__setitem__("base_score", "[nan]"),
    "odds of what is no probability": lambda learner: learner.update(
        objective={"name": "binary:logistic"}, learner_model_param={"base_score": "1", "num_class": "3"}
    ),
    "two numbers for three classes": lambda learner: learner["learner_model_param"].__setitem__("base_score", "[1,2]"),
    "many classes": lambda learner: learner["learner_model_param"].__setitem__("num_class", "99999999"),
    "a foreign type": lambda learner: learner.__setitem__("objective", 3),
}


@pytest.mark.parametrize(("classes", "targets"), [(1024, 1), (1, 1024), (32, 32), (1025, 1), (1, 1025), (33, 32)])
def test_xgboost_may_have_1024_outputs(classes: int, targets: int) -> None:
    counts = {"num_class": str(classes), "num_target": str(targets)}
    content = {"learner": {"learner_model_param": counts, "objective": {"name": "multi:softprob"}}}
    with pytest.raises((ModelFileError, UnsupportedError)) as caught:  # it has no trees anyway
        read_xgboost(json.dumps(content).encode(), "model", None)
    assert (f"{classes * targets} outputs" in str(caught.value)) == (classes * targets > 1024)


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_of_xgboost_are_one_error(
    name: str, boosters: dict[str, tuple[Any, Path, Numbers]], tmp_path: Path
) -> None:
    content, path = json.loads(boosters["XGBoost"][1].read_text()), tmp_path / "damaged.json"
    DAMAGES[name](content["learner"])
    path.write_text(json.dumps(content, separators=(",", ":")))
    with pytest.raises((ModelFileError, UnsupportedError)):
        bitsmith.convert(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("left_child=", "left_child=9"),
        ("threshold=", "threshold=x"),
        ("leaf_value=", "leaf_value=nan "),
        ("split_feature=", "split_feature=7"),
        ("decision_type=", "decision_type=1"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=0"),
        ("Tree=", "Trie="),
    ],
)
def test_damaged_files_of_lightgbm_are_one_error(
    old: str, new: str, boosters: dict[str, tuple[Any, Path, Numbers]], tmp_path: Path
) -> None:
    path = tmp_path / "damaged.txt"
    path.write_text(boosters["LightGBM"][1].read_text().replace(old, new))
    with pytest.raises((ModelFileError, UnsupportedError)):
        bitsmith.convert(path, tmp_path / "out")


@pytest.mark.parametrize("kind", [-1, 12, 300])
def test_one_decision_of_a_type_that_is_not_known_is_refused(
    kind: int, boosters: dict[str, tuple[Any, Path, Numbers]], tmp_path: Path
) -> None:
    text, path = boosters["LightGBM"][1].read_text(), tmp_path / "damaged.txt"
    assert "\ndecision_type=2 2" in text
    path.write_text(text.replace("\ndecision_type=2 2", f"\ndecision_type={kind} 2", 1))
    with pytest.raises(ModelFileError, match="a decision of a type that is not known"):
        bitsmith.convert(path, tmp_path / "out")
