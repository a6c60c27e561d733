"""Models of CatBoost: the JSON of ``save_model(format="json")``, which live models give too (https://catboost.ai/docs)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import Fields, parse_json
from bitsmith.frontends.ops.trees import Decision, Tree, ensemble, equal_to, tree_of
from bitsmith.frontends.trees.columns import with_columns
from bitsmith.frontends.trees.network import MOST_OUTPUTS, Classes, Link, network_of, of_missing
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network

_MOST_FEATURES = 1 << 16

_MOST_SPLITS = 16
"""Most decisions of an oblivious tree, one after another: CatBoost's own limit."""

_CLASSIFIERS = {
    **dict.fromkeys(("Logloss", "CrossEntropy", "Focal", "MultiClassOneVsAll"), Link.SIGMOID),
    "MultiClass": Link.SOFTMAX,
}
"""Functions of sums by losses of classifiers."""

_REGRESSORS = (
    "RMSE", "MultiRMSE", "MultiRMSEWithMissingValues", "MAE", "Quantile", "MultiQuantile", "GroupQuantile", "LogLinQuantile",
    "MAPE", "Huber", "Expectile", "Lq", "LogCosh", "Cox", "SurvivalAft", "PairLogit", "PairLogitPairwise", "YetiRank",
    "YetiRankPairwise", "QueryRMSE", "QuerySoftMax", "QueryCrossEntropy", "LambdaMart", "StochasticFilter", "StochasticRank",
)  # fmt: skip
"""Losses of which the sums are what is predicted."""

_COUNTS = ("Poisson", "Tweedie")
"""Losses of which powers of e are."""

_INTEGERS = range(-(1 << 12), 1 << 16)
"""Integers that categories are looked for among."""

_Split: TypeAlias = tuple[int, float | Floats, bool]
"""A feature, what :class:`Decision` compares it with, and whether this says that the split does not hold."""

_OTHERS = ("text_features", "embedding_features")
"""Features that no decision is read of."""

_WORD, _HASH = (1 << 64) - 1, (1 << 32) - 1

_MULTIPLIER = 0x9DDFEA08EB382D69
_PRIMES = 0x9AE16A3B2F90404F, 0xC949D7C7509E6557

_LARGEST = float(np.finfo(np.float32).max)
"""The number that CatBoost's borders beside missing values have the size of."""


def read_catboost(text: bytes, where: str, *, raw: bool) -> Network:
    """The network of a model, which predicts what a classifier or a regressor does or, if ``raw``, the sums.

    Raises:
        ModelFileError: the JSON is not that of a model.
        UnsupportedError: decisions, or a loss, that cannot be translated.
    """
    model = Fields(parse_json(text, where), where)
    features = _Features.of(model.fields("features_info"))
    pair = model.items("scale_and_bias")
    if len(pair) != 2:
        raise model.wrong("scale_and_bias", "two entries")
    parts = Fields({"scale": pair[0], "bias": pair[1]}, where)
    scale, bias = parts.number("scale"), as_weights(parts.constant("bias").ravel())
    if not 1 <= bias.size <= MOST_OUTPUTS:
        raise UnsupportedError(f"{bias.size} outputs", where=where, accepted=f"at most {MOST_OUTPUTS}")
    if "oblivious_trees" in model.values:
        trees = [_oblivious(tree, features, bias.size, scale) for tree in model.objects("oblivious_trees")]
    else:
        trees = [_asymmetric(tree, features, bias.size, scale) for tree in model.objects("trees")]
    if not trees:
        raise model.error("a model without trees")
    link, labels = (Link.IDENTITY, None) if raw else _kind(model.fields("model_info"), bias.size)
    network = network_of(ensemble(trees, features.size, bias, where), link, labels, "CatBoost")
    network = with_columns(network, features.names, where)
    numbers = _objects(model.fields("features_info"), "float_features")
    return of_missing(network, is_trained=any(own.flag("has_nans") for own in numbers))


def _kind(described: Fields, outputs: int) -> tuple[Link, Classes | None]:
    """The function of sums, and the classes of a classifier."""
    loss = described.fields("params").fields("loss_function").text("type")
    if loss in _REGRESSORS:
        return Link.IDENTITY, None
    if loss in _COUNTS:
        return Link.EXPONENTIAL, None
    if loss not in _CLASSIFIERS:
        accepted = ", ".join([*_CLASSIFIERS, *_REGRESSORS, *_COUNTS])
        raise UnsupportedError(f"the loss {loss[:50]!r}", where=described.where, accepted=accepted)
    names = described.fields("class_params").items("class_names") or list(range(max(outputs, 2)))
    return _CLASSIFIERS[loss], Classes(names)


@dataclass(frozen=True, slots=True)
class _Features:
    """Positions of features among all ``size``: those of numbers, and those of categories."""

    numbers: Mapping[int, int]
    categories: Mapping[int, int]
    size: int
    names: tuple[str, ...]
    """Those of a table's columns; () of an array's, which are numbers, or where some have none."""

    @classmethod
    def of(cls, listed: Fields) -> _Features:
        """Read the features of a model."""
        numbers, categories = (
            {own.integer("feature_index"): own.integer("flat_feature_index") for own in _objects(listed, key)}
            for key in ("float_features", "categorical_features")
        )
        others = [own.integer("flat_feature_index") for key in _OTHERS for own in _objects(listed, key)]
        words = {
            own.integer("flat_feature_index"): own.text("feature_id", "")
            for key in ("float_features", "categorical_features", *_OTHERS)
            for own in _objects(listed, key)
        }
        indices = [*numbers.values(), *categories.values(), *others]
        if not all(0 <= index < _MOST_FEATURES for index in indices):
            raise listed.error("a feature with a number that none has", f"0 to {_MOST_FEATURES - 1}")
        size = 1 + max(indices, default=0)
        names = tuple(words.get(index, "") for index in range(size))
        named = all(names) and names != tuple(map(str, range(size)))
        return cls(numbers, categories, size, names if named else ())

    def split(self, described: Fields) -> _Split:
        """Return the question of a split."""
        kind = described.text("split_type")
        if kind == "FloatFeature":
            border = described.number("border")
            bound = float(np.float32(border)) if abs(border) < _LARGEST else float(np.copysign(np.inf, border))
            return self._of(self.numbers, "float", described), bound, True
        if kind == "OneHotFeature":
            number = _integers_of().get(described.integer("value") & _HASH)
            if number is None:
                raise UnsupportedError(
                    "a category that is a word, or an integer of many digits",
                    where=described.where,
                    accepted=f"integers from {_INTEGERS[0]} to {_INTEGERS[-1]}",
                    remedy="encode categories as integers before training",
                )
            return self._of(self.categories, "cat", described), equal_to([number]), False
        raise UnsupportedError(
            f"decisions of the type {kind[:40]!r}",
            where=described.where,
            accepted="FloatFeature, OneHotFeature",
            remedy="train with one_hot_max_size=255, or with categories as numbers: decisions on statistics of categories "
            "(CTR) need a table of all that was trained on",
        )

    @staticmethod
    def _of(features: Mapping[int, int], kind: str, described: Fields) -> int:
        number = described.integer(f"{kind}_feature_index")
        if number not in features:
            raise described.wrong(f"{kind}_feature_index", "one of the features")
        return features[number]


def _objects(listed: Fields, key: str) -> list[Fields]:
    return listed.objects(key) if key in listed.values else []


def _oblivious(tree: Fields, features: _Features, outputs: int, scale: float) -> Tree:
    """A tree that asks the same at all nodes of a depth; leaves are numbered by the splits that hold, the first as bit 0."""
    splits = [features.split(own) for own in _objects(tree, "splits")]
    if len(splits) > _MOST_SPLITS:
        raise tree.error(f"{len(splits)} splits of an oblivious tree", f"at most {_MOST_SPLITS}")
    values = tree.constant("leaf_values").ravel() * scale
    if values.size != outputs << len(splits):
        raise tree.error(f"{values.size} numbers of leaves", f"{outputs << len(splits)}")
    nodes: list[Decision | Floats] = []
    for depth, (feature, bounds, negated) in enumerate(reversed(splits)):
        first = (2 << depth) - 1
        for place in range(1 << depth):  # nodes by the splits that hold, the last one as the first bit
            ends = first + 2 * place, first + 2 * place + 1
            nodes.append(Decision(feature, bounds, ends[1 - negated], ends[negated]))
    return tree_of([*nodes, *values.reshape(-1, outputs)])


def _asymmetric(tree: Fields, features: _Features, outputs: int, scale: float) -> Tree:
    """A tree whose nodes hold those below them: ``right`` where their split holds."""
    nodes: list[Decision | Floats] = []
    waiting = [tree]
    for node in waiting:
        if "split" in node.values:
            feature, bounds, negated = features.split(node.fields("split"))
            ends = len(waiting), len(waiting) + 1
            waiting += [node.fields("left"), node.fields("right")]
            nodes.append(Decision(feature, bounds, ends[1 - negated], ends[negated]))
            continue
        values = as_weights(node.constant("value").ravel() * scale)
        if values.size != outputs:
            raise node.error(f"a leaf of {values.size} numbers", f"{outputs}")
        nodes.append(values)
    return tree_of(nodes)


@cache
def _integers_of() -> Mapping[int, int]:
    """Integers by the number that CatBoost has in place of their text."""
    return {_hash(str(number).encode()): number for number in reversed(_INTEGERS)}


def _hash(text: bytes) -> int:
    """The lower half of CityHash64 (version 1.0) of 1 to 8 bytes.

    Source: https://github.com/google/cityhash, ``HashLen0to16``.
    """
    size = len(text)
    if size >= 4:
        first, last = (int.from_bytes(part, "little") for part in (text[:4], text[-4:]))
        low, high = size + (first << 3), last
        for _ in range(2):
            low = ((low ^ high) * _MULTIPLIER) & _WORD
            low ^= low >> 47
        return (low * _MULTIPLIER) & _HASH
    y, z = text[0] + (text[size >> 1] << 8), size + (text[-1] << 2)
    mixed = (y * _PRIMES[0] ^ z * _PRIMES[1]) & _WORD
    return ((mixed ^ mixed >> 47) * _PRIMES[0]) & _HASH


# CatBoost's classes have no types.
def text_of(model: Any) -> bytes:
    """The JSON of a live model.

    Raises:
        ModelFileError: it was not fitted, or CatBoost does not write it.
    """
    if not model.is_fitted():
        raise ModelFileError(
            f"a {type(model).__name__} that was not fitted", where="CatBoost", remedy="model.fit(x, y)"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            model.save_model(os.fspath(path), format="json")
        except Exception as error:  # whatever CatBoost raises
            problem = str(error).splitlines()[0][:200]
            raise ModelFileError(f"CatBoost does not write it as JSON ({problem})", where="CatBoost") from error
        return path.read_bytes()
