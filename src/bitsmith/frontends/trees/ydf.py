"""Models of YDF, live or in the folder of ``save``; Yggdrasil Decision Forests (https://ydf.readthedocs.io)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.ops.trees import Decision, Tree, average_path, below, ensemble, equal_to, tree_of
from bitsmith.frontends.trees.columns import with_columns
from bitsmith.frontends.trees.network import Classes, Link, network_of, of_missing
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network

_BINARY = 2

_HALF = 0.5

_TASKS = ("CLASSIFICATION", "REGRESSION", "RANKING", "ANOMALY_DETECTION")

_CONDITIONS = (
    "NumericalHigherThanCondition",
    "DiscretizedNumericalHigherThanCondition",
    "CategoricalIsInCondition",
    "IsTrueCondition",
    "IsMissingInCondition",
    "NumericalSparseObliqueCondition",
)

_Leaf: TypeAlias = Callable[[Any, int, int], Floats]
"""A function of a leaf's value, the number of its tree, and its depth to what it adds to each output."""


def loaded(folder: str | os.PathLike[str]) -> object:
    """The model in a folder, as YDF reads it.

    Raises:
        ModelFileError: YDF is not installed, or cannot read it.
    """
    try:
        library = import_module("ydf")
    except ImportError as error:
        raise ModelFileError("the folder of a model of YDF", where=str(folder), remedy="pip install ydf") from error
    try:
        return library.load_model(os.fspath(folder))
    except Exception as error:  # whatever YDF raises
        problem = f"{error}".splitlines()[0][:200] if f"{error}" else type(error).__name__
        raise ModelFileError(f"YDF cannot load it ({problem})", where=str(folder)) from error


# YDF's classes have no types here.
def read_ydf(model: Any) -> Network:
    """The network of a model: of a classifier its class and the probabilities, else what ``predict`` gives.

    Raises:
        UnsupportedError: a kind of model, of feature or of condition that cannot be translated.
    """
    readers = {
        "GRADIENT_BOOSTED_TREES": _boosted,
        "RANDOM_FOREST": _forest,
        "CART": _forest,
        "ISOLATION_FOREST": _isolation,
    }
    task, name = model.task().name, str(model.name())
    if name not in readers or task not in _TASKS:
        accepted = f"{', '.join(readers)} for {', '.join(_TASKS)}"
        raise UnsupportedError(f"a model {name} for {task}", where="YDF", accepted=accepted)
    classes = _classes(model.label_classes()) if task == "CLASSIFICATION" else None
    base, link, leaf = readers[name](model, 0 if classes is None else len(classes.labels))
    columns = _Columns.of(model)
    trees = [_tree(tree.root, columns, number, leaf) for number, tree in enumerate(model.iter_trees())]
    layer = ensemble(trees, columns.size + len(columns.projections), base, "YDF")
    labels = None if link is Link.IDENTITY and name == "GRADIENT_BOOSTED_TREES" else classes
    network = network_of(layer, link, labels, "YDF", projections=columns.matrix())
    network = with_columns(network, [feature.name for feature in model.input_features()], "YDF")
    return of_missing(network, is_trained=any(columns.described[own].count_nas for own in columns.places))


def _classes(labels: Sequence[str]) -> Classes:
    """The classes, whose names may be integers; of two, the second where both are as likely."""
    whole = all(label.removeprefix("-").isdigit() for label in labels)
    return Classes([int(label) for label in labels] if whole else list(labels), last=len(labels) == _BINARY)


def _boosted(model: Any, classes: int) -> tuple[Floats, Link, _Leaf]:
    base = as_weights(np.ravel(model.initial_predictions()))
    known = import_module("yggdrasil_decision_forests.model.gradient_boosted_trees.gradient_boosted_trees_pb2")
    counts = known.Loss.Name(int(model._model.loss())) == "POISSON"
    link = Link.EXPONENTIAL if counts else Link[model.activation().name]

    def leaf(value: Any, tree: int, depth: int) -> Floats:
        return as_weights(np.where(np.arange(base.size) == tree % base.size, value.value, 0.0))

    return base, Link.IDENTITY if classes and model.output_logits() else link, leaf


def _forest(model: Any, classes: int) -> tuple[Floats, Link, _Leaf]:
    share, votes = 1 / model.num_trees(), model.name() == "RANDOM_FOREST" and model.winner_takes_all()

    def leaf(value: Any, tree: int, depth: int) -> Floats:
        if not classes:
            return as_weights([value.value * share])
        shares = np.asarray(value.probability, np.float64)
        return as_weights((np.arange(classes) == shares.argmax() if votes else shares) * share)

    return np.zeros(max(classes, 1)), Link.IDENTITY, leaf


def _isolation(model: Any, classes: int) -> tuple[Floats, Link, _Leaf]:
    whole = float(average_path(np.array([model.num_examples_per_tree()]))[0])
    share = -1 / (model.num_trees() * whole)

    def leaf(value: Any, tree: int, depth: int) -> Floats:
        return as_weights((depth + average_path(np.array([value.num_examples_without_weight]))) * share)

    return np.zeros(1), Link.POWER, leaf


@dataclass(frozen=True, slots=True)
class _Columns:
    """The features of a model, in the order of its ``input_features``, and weighted sums of these, which follow them."""

    places: Mapping[int, int]
    described: Sequence[Any]
    projections: dict[tuple[tuple[int, float], ...], int]

    @classmethod
    def of(cls, model: Any) -> _Columns:
        """Read the features of a model."""
        listed, known = model.input_features(), ("NUMERICAL", "CATEGORICAL", "BOOLEAN", "DISCRETIZED_NUMERICAL")
        for own in listed:
            if own.semantic.name not in known:
                raise UnsupportedError(
                    f"a feature of the type {own.semantic.name}", where=f"YDF, {own.name}", accepted=", ".join(known)
                )
        return cls({own.column_idx: place for place, own in enumerate(listed)}, model.data_spec().columns, {})

    @property
    def size(self) -> int:
        return len(self.places)

    def matrix(self) -> Floats | None:
        """The weights of the sums (features, sums); None if there are none."""
        weights = np.zeros((self.size, len(self.projections)))
        for number, terms in enumerate(self.projections):
            for place, weight in terms:
                weights[place, number] += weight
        return weights if self.projections else None

    def decision(self, condition: Any, yes: int, no: int) -> Decision:
        """The decision that goes on at ``yes`` where a condition holds."""
        kind = type(condition).__name__
        if kind not in _CONDITIONS:
            raise UnsupportedError(f"conditions {kind}", where="YDF", accepted=", ".join(_CONDITIONS))
        if kind == "NumericalSparseObliqueCondition":
            terms = zip(condition.attributes, condition.weights, strict=True)
            key = tuple((self.places[attribute], float(weight)) for attribute, weight in terms)
            number = self.projections.setdefault(key, len(self.projections))
            return Decision(self.size + number, float(below(condition.threshold)), no, yes)
        place, column = self.places[condition.attribute], self.described[condition.attribute]
        if kind == "CategoricalIsInCondition":
            return Decision(place, _members(condition.mask, column), yes, no)
        if kind == "IsMissingInCondition":  # which no feature of a circuit is
            return Decision(place, -np.inf, yes, no)
        threshold = _HALF if kind == "IsTrueCondition" else getattr(condition, "threshold", None)
        if threshold is None:
            threshold = column.discretized_numerical.boundaries[condition.threshold_idx - 1]
        return Decision(place, float(below(threshold)), no, yes)


def _members(mask: Sequence[int], column: Any) -> Floats:
    """The bounds of integers that are one of the categories ``mask``; 0 stands for all that training has not seen."""
    listed = column.categorical
    chosen = set(mask)
    if listed.is_already_integerized:
        numbers = {number: number for number in range(int(listed.number_of_unique_values))}
    else:
        numbers = {}
        for text, item in listed.items.items():
            if item.index == 0:
                continue
            if not text.removeprefix("-").isdigit():
                raise UnsupportedError(
                    f"the category {text[:40]!r}",
                    where=f"YDF, {column.name}",
                    accepted="integers",
                    remedy="encode categories as integers before training",
                )
            numbers[item.index] = int(text)
    others = 0 in chosen
    bounds = equal_to([number for index, number in numbers.items() if (index in chosen) != others])
    return np.append(bounds, np.inf) if others else bounds


def _tree(root: Any, columns: _Columns, number: int, leaf: _Leaf) -> Tree:
    nodes: list[Decision | Floats] = []
    waiting = [(root, 0)]
    for node, depth in waiting:
        if node.is_leaf:
            nodes.append(leaf(node.value, number, depth))
            continue
        nodes.append(columns.decision(node.condition, len(waiting), len(waiting) + 1))
        waiting += [(node.pos_child, depth + 1), (node.neg_child, depth + 1)]
    return tree_of(nodes)
