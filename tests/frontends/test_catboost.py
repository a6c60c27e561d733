"""Models of CatBoost: recorded ones and, where it is installed, random ones, against what it predicts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.frontends.catboost_models import RECORD, borders, drawn, outputs, strange, text_of
from tests.properties import few

import bitsmith
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.outputs import NotComparedError
from bitsmith.frontends.read import read_model
from bitsmith.frontends.trees.catboost import read_catboost
from bitsmith.frontends.trees.outputs import of_catboost
from bitsmith.layers.network import Network

MODELS: list[dict[str, Any]] = json.loads(RECORD.read_text())["models"]

Change = Callable[[dict[str, Any]], object]

pytestmark = pytest.mark.filterwarnings("ignore:CatBoost was trained with missing values")


def _live(record: dict[str, Any]) -> object:
    """An object of CatBoost's class, which writes the recorded JSON."""

    def save(self: object, path: str, format: str) -> None:
        Path(path).write_text(json.dumps(record["model"], indent=2))

    own = {"__module__": "catboost.core", "is_fitted": lambda self: True, "save_model": save, "predict": None}
    return type(record["class"], (), own)()


def _check(network: Network, x: Any, wanted: list[Any]) -> None:
    """Outputs of the network: classes are equal, and so are sums but for the order of additions."""
    found = network.evaluate([np.array(x, np.float64)])
    assert len(network.outputs) == len(wanted)
    for name, right in zip(network.outputs, wanted, strict=True):
        np.testing.assert_allclose(found[name].reshape(np.shape(right)), right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_recorded_models(number: int, tmp_path: Path) -> None:
    record = MODELS[number]
    _check(read_model(_live(record)), record["x"], record["outputs"])
    if record["class"] != "CatBoost":
        path = tmp_path / "model.json"
        path.write_text(json.dumps(record["model"], indent=2))
        _check(read_model(path), record["x"], record["outputs"])


@pytest.mark.parametrize("loss", ["Poisson", "Tweedie"])
def test_losses_of_counts_predict_powers_of_e(loss: str) -> None:
    record = MODELS[0]
    model = json.loads(json.dumps(record["model"]))
    model["model_info"]["params"]["loss_function"]["type"] = loss
    network = read_catboost(json.dumps(model).encode(), "model.json", raw=False)
    _check(network, record["x"], [np.exp(record["outputs"][0])])


HASHES = {
    "0": 2856682258,
    "7": 4277023987,
    "-3": 1837837212,
    "42": 1145636304,
    "-42": 2311901227,
    "300": 330065120,
    "1000": 901807697,
    "-100": 3143616988,
    "4095": 14337144,
    "-4096": 440467800,
    "12345": 151767304,
    "65535": 2108729662,
}
"""Lower halves of CityHash64 of these texts, as clickhouse-cityhash 1.0.2 has them."""


@pytest.mark.parametrize("text", HASHES)
def test_categories_are_known_by_the_hash_of_their_text(text: str) -> None:
    """An integer of any number of digits, which JSON has as a signed or an unsigned number."""
    model = json.loads(json.dumps(MODELS[0]["model"]))
    model["features_info"]["categorical_features"] = [{"feature_index": 0, "flat_feature_index": 5}]
    x = np.zeros((3, 6))
    x[:, 5] = int(text) + np.arange(-1, 2)
    for value in (HASHES[text], HASHES[text] - (1 << 32)):
        split = {"split_type": "OneHotFeature", "value": value, "cat_feature_index": 0}
        model["oblivious_trees"] = [{"leaf_values": [2.0, 5.0], "splits": [split]}]
        model["scale_and_bias"] = [3, [1]]
        network = read_catboost(json.dumps(model).encode(), "model.json", raw=False)
        _check(network, x, [[7.0, 16.0, 7.0]])


def test_circuits_decide_as_catboost_does(tmp_path: Path) -> None:
    for number in (5, 9):
        record, path = MODELS[number], tmp_path / "model.json"
        path.write_text(json.dumps(record["model"]))
        x = np.array(record["x"], np.float32)
        circuit = bitsmith.convert(path, tmp_path / "out", calibration=x, check=False)
        found = circuit.predict(x)
        for part, right in zip(found if isinstance(found, tuple | list) else [found], record["outputs"], strict=True):
            np.testing.assert_allclose(part.reshape(np.shape(right)), right, atol=2e-3)
            if np.shape(right) == (len(x),) and len(record["outputs"]) == 2:
                np.testing.assert_array_equal(part.reshape(-1), right)


def _first(model: dict[str, Any]) -> dict[str, Any]:
    split: dict[str, Any] = model["oblivious_trees"][0]["splits"][0]
    return split


CTR = {"split_type": "OnlineCtr", "border": 0.5, "ctr_target_border_idx": 0, "split_index": 0}

REFUSED: dict[str, tuple[Change, type[Exception], str]] = {
    "statistics": (lambda model: _first(model).update(CTR), UnsupportedError, "one_hot_max_size=255"),
    "words": (
        lambda model: _first(model).update(split_type="OneHotFeature", value=1, cat_feature_index=0),
        UnsupportedError,
        "encode categories as integers",
    ),
    "two results of a kind each": (
        lambda model: model["model_info"]["params"]["loss_function"].update(type="RMSEWithUncertainty"),
        UnsupportedError,
        "the loss 'RMSEWithUncertainty'",
    ),
    "no trees": (lambda model: model.update(oblivious_trees=[]), ModelFileError, "without trees"),
    "leaves": (
        lambda model: model["oblivious_trees"][0].update(leaf_values=[1, 2, 3]),
        ModelFileError,
        "3 numbers of leaves",
    ),
    "a feature": (lambda model: _first(model).update(float_feature_index=9), ModelFileError, "one of the features"),
    "many features": (
        lambda model: model["features_info"]["float_features"][0].update(flat_feature_index=1 << 40),
        ModelFileError,
        "a feature with a number",
    ),
    "many splits": (
        lambda model: model["oblivious_trees"][0].update(splits=[_first(model)] * 40),
        ModelFileError,
        "40 splits",
    ),
    "bias": (lambda model: model.update(scale_and_bias=[1]), ModelFileError, "two entries"),
    "no bias": (lambda model: model.update(scale_and_bias=[1, []]), UnsupportedError, "0 outputs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(name: str) -> None:
    change, error, said = REFUSED[name]
    model = json.loads(json.dumps(MODELS[0]["model"]))
    change(model)
    with pytest.raises(error, match=said):
        read_catboost(json.dumps(model).encode(), "model.json", raw=False)


def test_as_many_splits_and_outputs_as_there_may_be() -> None:
    model = json.loads(json.dumps(MODELS[0]["model"]))
    (tree, *_), split = model["oblivious_trees"], _first(model)
    for splits, count in ((16, 1), (0, 1024)):
        model["oblivious_trees"] = [tree]
        model["scale_and_bias"] = [1, [0.0] * count]
        tree.update(splits=[split] * splits, leaf_values=[0.0] * (count << splits))
        assert read_catboost(json.dumps(model).encode(), "model.json", raw=True).outputs
        tree.update(splits=[split] * (splits + 1), leaf_values=[0.0] * (count << splits + 1))
        model["scale_and_bias"] = [1, [0.0] * (count + 1)]
        with pytest.raises((ModelFileError, UnsupportedError), match=r"17 splits|1025 outputs"):
            read_catboost(json.dumps(model).encode(), "model.json", raw=True)


def test_leaves_of_too_few_numbers_are_an_error() -> None:
    model = json.loads(json.dumps(MODELS[6]["model"]))
    node = model["trees"][0]
    while "split" in node:
        node = node["left"]
    node["value"] = [1.0]
    with pytest.raises(ModelFileError, match="a leaf of 1 numbers"):
        read_catboost(json.dumps(model).encode(), "model.json", raw=False)


def test_live_models_that_do_not_write_themselves_are_named() -> None:
    def fails(self: object, path: str, format: str) -> None:
        raise RuntimeError("no text features in JSON")

    own = {"__module__": "catboost.core", "is_fitted": lambda self: self.fitted, "save_model": fails, "predict": None}
    model = type("CatBoostClassifier", (), own)()
    for fitted, said in ((False, "was not fitted"), (True, "no text features in JSON")):
        model.fitted = fitted
        with pytest.raises(ModelFileError, match=said):
            read_model(model)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("classes", "predicted", "labels"),
    [
        ((), [0.5, 2.0], [0.5, 2.0]),
        ((3.0, 7.0), [7.0, 3.0], [7.0, 3.0]),
        ((0.5, 1.0), [1.0, 0.5], [1.0, 0.0]),
        (("no", "yes"), ["yes", "no"], [1.0, 0.0]),
    ],
)
def test_outputs_are_those_of_the_library(
    classes: tuple[object, ...],
    predicted: list[object],
    labels: list[float],
    live: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in says what the library would: of a file a classifier or a regressor. Labels but integers are numbered."""
    taken: list[object] = []

    class Regressor:
        classes_ = np.array(classes)

        def load_model(self, path: str, format: str) -> Regressor:
            return self

        def get_cat_feature_indices(self) -> list[int]:
            return [1]

        def predict(self, x: Any) -> Any:
            taken.extend(x.tolist())
            return np.array(predicted)

    class Classifier(Regressor):
        def predict_proba(self, x: Any) -> Any:
            return np.eye(2)

    library = SimpleNamespace(CatBoost=Regressor, CatBoostClassifier=Classifier, CatBoostRegressor=Regressor)
    monkeypatch.setitem(sys.modules, "catboost", library)
    model = (Classifier if classes else Regressor)() if live else "model.json"
    found = of_catboost(model, np.array([[0.1, 4.0], [0.25, -3.0]]))
    assert taken == [[np.float32(0.1), 4], [0.25, -3]]
    assert [output.tolist() for output in found.outputs] == ([labels, np.eye(2).tolist()] if classes else [labels])


def test_files_are_not_compared_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(NotComparedError, match="CatBoost is not installed"):
        of_catboost(Path("model.json"), np.zeros((1, 2)))


if find_spec("catboost") is not None:  # 100 MB, with pandas and plotly: it is not part of the extra of developers

    @few("seed", [seed for seed in range(200) if seed not in (26, 134)], 3)  # these have one class
    def test_random_models(seed: int) -> None:
        made, rng = drawn(seed), np.random.default_rng(seed)
        content = json.loads(text_of(made.model))
        other = strange(rng.permuted(made.x, axis=0), borders(content), made.categories, rng)
        x = np.concatenate([made.x, rng.permuted(made.x, axis=0), other])
        _check(read_model(made.model), x, outputs(made.model, x, made.categories))

    @pytest.mark.parametrize("loss", ["Poisson", "Tweedie:variance_power=1.5"])
    def test_counts(loss: str) -> None:
        import catboost

        x = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
        options = {"iterations": 5, "depth": 3, "verbose": 0, "allow_writing_files": False}
        model = catboost.CatBoostRegressor(loss_function=loss, **options).fit(x, np.exp(x[:, 0]))
        _check(read_model(model), x, [model.predict(x)])

    def test_live_models_are_compared_with_catboost(tmp_path: Path) -> None:
        made = drawn(22)
        path = tmp_path / "model.json"
        made.model.save_model(str(path), format="json")
        for model in (made.model, path):
            circuit = bitsmith.convert(model, tmp_path / "out", calibration=made.x, check=True)
            assert circuit.fidelity.agreement.framework == "CatBoost" and not circuit.fidelity.agreement.problem
            wanted = outputs(made.model, made.x, made.categories)
            np.testing.assert_array_equal(circuit.predict(made.x)[0].reshape(-1), wanted[0])
