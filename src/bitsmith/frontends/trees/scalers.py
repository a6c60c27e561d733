"""Scalers of scikit-learn before trees, also of some columns: thresholds become those of what is scaled, to the last place."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bitsmith.frontends.trees.columns import numbers_of
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.thresholds import unscaled_bounds
from bitsmith.layers.trees import Places, Trees

_SCALERS = {"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"}
"""Scalers that let greater numbers become greater ones, each feature by itself."""

_ROWS = 1 << 20
"""Elements that are scaled at once."""


def before_scaling(network: Network, steps: Sequence[Any], size: int) -> Network | None:
    """The network of trees for ``size`` features, which ``steps`` choose and scale; None if none decides the same."""
    sources = np.arange(size)
    for step in steps:
        own = _sources(step, sources.size)
        if own is None:
            return None
        sources = sources[own]
    nodes = []
    for node in network.nodes:
        if isinstance(node.layer, Input):
            nodes.append(replace(node, layer=replace(node.layer, shape=(size,))))
            continue
        layer = node.layer
        if not set(node.inputs).isdisjoint(network.inputs):
            unscaled = _before(layer, steps, sources, size) if isinstance(layer, Trees) else None
            if unscaled is None:
                return None
            layer = unscaled
        nodes.append(replace(node, layer=layer))
    return network.with_nodes(nodes)


def _sources(step: Any, size: int) -> Places | None:
    """The feature that each number of a step's result is a rising function of; None if it is none of one."""
    name = type(step).__name__
    if name in _SCALERS and not getattr(step, "clip", False):
        return np.arange(size)
    if name == "FunctionTransformer" and step.func is None:
        return np.arange(size)
    if name != "ColumnTransformer":
        return None
    parts = []
    for _, part, own_columns in sorted(step.transformers_, key=lambda each: step.output_indices_[each[0]].start):
        columns = numbers_of(own_columns, step)
        if isinstance(part, str):
            own = None if part == "drop" else np.arange(columns.size)
        elif (own := _sources(part, columns.size)) is None:
            return None
        parts += [] if own is None else [columns[own]]
    return np.concatenate(parts) if parts else None


def _before(trees: Trees, steps: Sequence[Any], sources: Places, size: int) -> Trees | None:
    """The trees for features before ``steps``; None if there is no threshold with the same decisions."""
    thresholds, (rows, columns) = trees.thresholds.copy(), np.nonzero(np.isfinite(trees.thresholds))
    asked = np.stack([trees.features[rows], thresholds[rows, columns]])
    pairs, place = np.unique(asked, axis=1, return_inverse=True)
    features = pairs[0].astype(np.int64)
    scaled = partial(_by_feature, steps, sources[features], features, size)
    bounds = unscaled_bounds(scaled, pairs[1])
    if bounds is None:
        return None
    thresholds[rows, columns] = bounds[place.ravel()]
    return replace(trees, size=size, features=sources[trees.features], thresholds=as_weights(thresholds))


def _by_feature(steps: Sequence[Any], sources: Places, features: Places, size: int, numbers: Floats) -> Floats:
    """The ``features`` of results of ``steps`` for ``numbers``, each of a feature of ``sources``."""
    results, rows = np.empty(len(numbers)), max(_ROWS // size, 1)
    for start in range(0, len(numbers), rows):
        part = slice(start, start + rows)
        order = np.arange(len(numbers[part]))
        x = np.zeros((order.size, size))
        x[order, sources[part]] = numbers[part]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of features that had names
            for step in steps:
                x = np.asarray(step.transform(x))
        results[part] = x[order, features[part]]
    return results
