"""Scalers of scikit-learn before trees: thresholds become those of what is scaled, to the last place."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.trees import Places, Trees

_SCALERS = {"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"}
"""Scalers that let greater numbers become greater ones, each feature by itself."""

_ROWS = 1 << 20
"""Elements that are scaled at once."""

_HALVINGS = 128
_FAR = 2.0**-20
"""Share of a step of a scaler by which numbers are surely on both sides of a threshold."""


def scale_features(steps: Sequence[Any]) -> bool:
    """Return True of steps of a pipeline that are scalers, but those that limit what they give."""
    return all(type(step).__name__ in _SCALERS and not getattr(step, "clip", False) for step in steps)


def before_scaling(network: Network, steps: Sequence[Any]) -> Network | None:
    """The network of trees for features that ``steps`` scale, by other thresholds; None if none decide the same."""
    nodes = []
    for node in network.nodes:
        if set(node.inputs).isdisjoint(network.inputs):
            nodes.append(node)
            continue
        if not isinstance(node.layer, Trees):
            return None
        trees = node.layer
        thresholds, (rows, columns) = trees.thresholds.copy(), np.nonzero(np.isfinite(trees.thresholds))
        pairs, place = np.unique(
            np.stack([trees.features[rows], thresholds[rows, columns]]), axis=1, return_inverse=True
        )
        bounds = _bounds(steps, pairs[0].astype(np.int64), pairs[1], trees.size)
        if bounds is None:
            return None
        thresholds[rows, columns] = bounds[place.ravel()]
        nodes.append(replace(node, layer=replace(trees, thresholds=as_weights(thresholds))))
    return network.with_nodes(nodes)


def _bounds(steps: Sequence[Any], features: Places, thresholds: Floats, size: int) -> Floats | None:
    """The greatest numbers of ``features`` that are scaled to ``thresholds`` or less; None if these are not found."""
    scaled = partial(_by_feature, [step.transform for step in steps], features, size)
    unscaled = partial(_by_feature, [step.inverse_transform for step in reversed(steps)], features, size)
    estimate, ones = unscaled(thresholds), np.ones(len(thresholds))
    reach = _FAR * np.maximum(np.abs(estimate), unscaled(ones) - unscaled(0.0 * ones))
    low, high = estimate - reach, estimate + reach
    if np.any(scaled(low) > thresholds) or np.any(scaled(high) <= thresholds):
        return None
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        within = scaled(middle) <= thresholds
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return low


def _by_feature(functions: Sequence[Any], features: Places, size: int, numbers: Floats) -> Floats:
    """The results of functions of rows of ``size`` features, one after another, for ``numbers``, each of a feature."""
    results, rows = np.empty(len(numbers)), max(_ROWS // size, 1)
    for start in range(0, len(numbers), rows):
        own = features[start : start + rows]
        x = np.zeros((len(own), size))
        x[np.arange(len(own)), own] = numbers[start : start + rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of features that had names
            for function in functions:
                x = np.asarray(function(x))
        results[start : start + rows] = x[np.arange(len(own)), own]
    return results
