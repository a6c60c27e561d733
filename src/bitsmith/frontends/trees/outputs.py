"""Outputs of models of trees, as their own libraries compute them."""

import importlib
import os
from typing import Any

import numpy as np

from bitsmith.frontends.outputs import FrameworkRun, NotComparedError, Numbers
from bitsmith.frontends.trees.columns import by_number
from bitsmith.frontends.trees.network import Classes
from bitsmith.layers.layer import Floats


def estimated(name: str, model: Any, x: Numbers) -> FrameworkRun:
    """Outputs of an estimator: of a classifier the classes, as their numbers if they are none, and the probabilities.

    A classifier of several outputs has both for each.
    Of an outlier detector: 1 or -1, and the score; of clusters: the number, and distances; of what only transforms, that.
    """
    model = by_number(model)
    x = x.astype(np.float32).astype(np.float64)  # clusters take the precision that they were fitted in
    if not hasattr(model, "predict"):
        return _run(name, np.asarray(model.transform(x)))
    result = np.asarray(model.predict(x))
    if hasattr(model, "predict_proba"):
        shares, every = model.predict_proba(x), Classes.of(model)
        if not isinstance(shares, list):
            return _run(name, every[0].numbered(result), shares)
        labels = [classes.numbered(column) for classes, column in zip(every, result.T, strict=True)]
        return _run(name, *(part for pair in zip(labels, shares, strict=True) for part in pair))
    if hasattr(model, "offset_") and hasattr(model, "decision_function"):
        return _run(name, result, model.decision_function(x))
    if hasattr(model, "cluster_centers_") and hasattr(model, "transform"):
        return _run(name, result, model.transform(x))
    if hasattr(model, "classes_"):
        raise NotComparedError("it gives classes alone, and the exported model scores, too")
    return _run(name, result)


def boosted(name: str, model: Any, x: Numbers) -> FrameworkRun:
    """Outputs of a booster."""
    x = x.astype(np.float32)
    return _run(name, model.predict(_library(name).DMatrix(x) if name == "XGBoost" else x))


def _library(name: str) -> Any:
    """The package of a library."""
    try:
        return importlib.import_module(name.lower())
    except ImportError as error:
        raise NotComparedError(f"{name} is not installed") from error


def loaded(name: str, model: object) -> object:
    """The booster of a file."""
    return _library(name).Booster(model_file=os.fspath(str(model)))


def of_catboost(model: Any, x: Numbers) -> FrameworkRun:
    """Outputs of a model of CatBoost; of a file those of a classifier or a regressor, by its loss."""
    if isinstance(model, str | os.PathLike):
        library, path = _library("CatBoost"), os.fspath(model)
        plain = library.CatBoost()
        classifies = len(plain.load_model(path, format="json").classes_) > 0
        model = (library.CatBoostClassifier if classifies else library.CatBoostRegressor)()
        model.load_model(path, format="json")
    columns: Numbers = x.astype(np.float32)
    if categories := model.get_cat_feature_indices():
        mixed = columns.astype(np.object_)
        mixed[:, categories] = x[:, categories].astype(np.int64)
        columns = mixed
    result = np.asarray(model.predict(columns))
    if not hasattr(model, "predict_proba"):
        return _run("CatBoost", result)
    whole = all(isinstance(label, int | float | np.number) and label == int(label) for label in model.classes_)
    numbers = {str(label): int(label) if whole else number for number, label in enumerate(model.classes_)}
    labels = np.array([numbers[str(label)] for label in result.ravel()])
    return _run("CatBoost", labels, model.predict_proba(columns))


def of_treelite(model: object, x: Numbers) -> FrameworkRun:
    """Outputs of a model of treelite, in the shape of the network's: without an axis of one target, or of one class."""
    result = np.asarray(importlib.import_module("treelite.gtil").predict(model, x.astype(np.float32)))
    return _run("treelite", result if 1 not in result.shape[1:] else result.reshape(len(result), -1))


def of_ydf(model: Any, x: Numbers) -> FrameworkRun:
    """Outputs of a model of YDF: of a classifier the classes, or their numbers if they are words, and the probabilities."""
    kinds: dict[str, type[np.generic]] = {"CATEGORICAL": np.int64, "BOOLEAN": np.bool_}
    data = {
        feature.name: x[:, place].astype(kinds.get(feature.semantic.name, np.float32))
        for place, feature in enumerate(model.input_features())
    }
    result = np.asarray(model.predict(data))
    classifies = model.task().name == "CLASSIFICATION"
    if not classifies or (hasattr(model, "output_logits") and model.output_logits()):
        return _run("YDF", result)
    named, labels = model.predict_class(data), model.label_classes()
    whole = all(label.removeprefix("-").isdigit() for label in labels)
    numbers = [int(label) if whole else labels.index(label) for label in named.tolist()]
    return _run("YDF", np.array(numbers), result if result.ndim > 1 else np.stack([1 - result, result], 1))


def _run(name: str, *arrays: Numbers) -> FrameworkRun:
    outputs: list[Floats] = [np.asarray(array).astype(np.float64) for array in arrays]
    return FrameworkRun(name, tuple(outputs))
