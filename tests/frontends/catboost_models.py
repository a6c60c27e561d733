"""Random models of CatBoost, and the record of a few of them that tests read where CatBoost is not installed.

``python -m tests.frontends.catboost_models`` writes the record, with CatBoost 1.2.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rng = np.random.Generator

RECORD = Path(__file__).parent / "trees" / "catboost.json"

CATEGORIES = (3, 12, 300)

SEEDS = (0, 1, 4, 6, 13, 22, 31, 35, 42, 59)
"""Seeds of the recorded models: each kind of loss, of trees, of classes and of missing values."""


@dataclass(frozen=True)
class Drawn:
    """A fitted model, samples of what it was fitted to, and which features are categories."""

    model: Any
    x: npt.NDArray[np.float32]
    categories: list[int]


def drawn(seed: int, most_trees: int = 15, most_depth: int = 7) -> Drawn:
    """A classifier, a regressor or a model of neither kind, with or without categories and missing values."""
    import catboost

    rng = np.random.default_rng(seed)
    samples, features = 300, int(rng.integers(2, 6))
    x = rng.normal(size=(samples, features)).astype(np.float32)
    if rng.random() < 0.5:
        x = np.round(x * 8) / 8
    categories = [k for k in range(1, features) if rng.random() < 0.2]
    for k in categories:
        x[:, k] = rng.integers(-3, int(rng.choice(CATEGORIES)), samples)
    score = x @ rng.normal(size=features) + np.isin(x[:, -1], [1, 2])
    shown = given(x, categories)
    if rng.random() < 0.3:
        for k in set(range(features)) - set(categories):
            shown[rng.random(samples) < 0.1, k] = np.nan
    options = {
        "iterations": int(rng.integers(1, most_trees)),
        "depth": int(rng.integers(1, most_depth)),
        "grow_policy": str(rng.choice(["SymmetricTree", "Depthwise", "Lossguide"])),
        "nan_mode": str(rng.choice(["Min", "Max"])),
        "learning_rate": 0.3,
        "one_hot_max_size": 255,
        "cat_features": categories or None,
        "random_seed": seed,
        "thread_count": 1,
        "verbose": 0,
        "allow_writing_files": False,
    }
    kind = int(rng.integers(5))
    if kind == 0:
        loss = str(rng.choice(["RMSE", "MAE", "Huber:delta=1"]))
        model = catboost.CatBoostRegressor(loss_function=loss, **options).fit(shown, score)
    elif kind == 1:
        options["grow_policy"] = "SymmetricTree"
        targets = np.stack([score, -score * score], 1)
        model = catboost.CatBoostRegressor(loss_function="MultiRMSE", **options).fit(shown, targets)
    elif kind == 2:
        loss = str(rng.choice(["Logloss", "CrossEntropy"]))
        model = catboost.CatBoostClassifier(loss_function=loss, **options).fit(shown, (score > 0).astype(int))
    elif kind == 3:
        classes = [[0, 1, 2], ["a", "b", "c"], [5, -1, 7], [1.0, 0.0, 2.0]][int(rng.integers(4))]
        labels = np.array(classes)[np.digitize(score, np.quantile(score, [0.3, 0.6]))]
        loss = str(rng.choice(["MultiClass", "MultiClassOneVsAll"]))
        model = catboost.CatBoostClassifier(loss_function=loss, **options).fit(shown, labels)
    else:
        model = catboost.CatBoost({"loss_function": "Logloss", **options}).fit(shown, (score > 0).astype(int))
    return Drawn(model, x, categories)


def given(x: npt.NDArray[np.float32], categories: list[int]) -> Array:
    """Samples as CatBoost takes them: categories are integers."""
    if not categories:
        return x.copy()
    mixed = x.astype(np.object_)
    mixed[:, categories] = x[:, categories].astype(np.int64)
    return mixed


def outputs(model: Any, x: npt.NDArray[np.float32], categories: list[int]) -> list[Array]:
    """What CatBoost predicts: of a classifier the classes, or their numbers if they are no integers, and the probabilities."""
    found = model.predict(given(x, categories))
    if not hasattr(model, "predict_proba"):
        return [np.asarray(found, np.float64)]
    named = [str(label) for label in model.classes_]
    integers = all(isinstance(label, int | float | np.number) and label % 1 == 0 for label in model.classes_)
    labels = [int(label) if integers else named.index(str(label)) for label in np.asarray(found).ravel()]
    return [np.array(labels, np.float64), model.predict_proba(given(x, categories))]


def strange(x: npt.NDArray[np.float32], edges: dict[int, Array], categories: list[int], rng: Rng) -> Array:
    """Samples that are borders or next to these, and categories that training has not seen."""
    x = x.copy()
    for k in range(x.shape[1]):
        own = edges.get(k, np.zeros(0))
        if k in categories:
            x[:, k] = rng.integers(-5, 310, len(x))
        elif own.size:
            border = rng.choice(own, len(x)).astype(np.float32)
            x[:, k] = np.where(rng.random(len(x)) < 0.5, border, np.nextafter(border, np.float32(np.inf)))
    return x


def text_of(model: Any) -> str:
    """The JSON of a model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        return path.read_text()


def borders(content: dict[str, Any]) -> dict[int, Array]:
    """The borders of each feature of numbers."""
    listed = content["features_info"]["float_features"]
    own = {feature["flat_feature_index"]: np.array(feature["borders"]) for feature in listed}
    return {k: some[np.abs(some) < 3e38] for k, some in own.items()}


def recorded(seed: int) -> dict[str, Any]:
    """A model, and what CatBoost says of 60 samples."""
    made = drawn(seed, most_trees=4, most_depth=4)
    content = json.loads(text_of(made.model))
    described = content["model_info"]
    params = {"loss_function": described["params"]["loss_function"]}
    content["model_info"] = {"params": params, "class_params": described.get("class_params")}
    rng = np.random.default_rng(seed)
    x = np.concatenate([made.x[:20], strange(made.x[20:60], borders(content), made.categories, rng)])
    wanted = [part.tolist() for part in outputs(made.model, x, made.categories)]
    return {"class": type(made.model).__name__, "model": content, "x": x.tolist(), "outputs": wanted}


if __name__ == "__main__":
    record = {"library": f"CatBoost {version('catboost')}", "models": [recorded(seed) for seed in SEEDS]}
    RECORD.write_text(json.dumps(record, separators=(",", ":")) + "\n")
