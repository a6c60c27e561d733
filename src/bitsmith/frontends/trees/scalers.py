"""Transformers of scikit-learn: scalers before trees, also of some columns, and powers of features.

Thresholds of trees become those of what is scaled, to the last place. A ``PowerTransformer`` becomes logarithms and powers of e
that are defined for every input.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bitsmith.frontends.trees.network import Chain
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Logarithm
from bitsmith.layers.thresholds import unscaled_bounds
from bitsmith.layers.trees import Places, Trees

_SCALERS = {"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"}
"""Scalers that let greater numbers become greater ones, each feature by itself."""

_ROWS = 1 << 20
"""Elements that are scaled at once."""

_LEAST = 1e-6
"""The exponent in place of smaller ones: what it gives is as good as the logarithm."""


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
    read = getattr(step, "_transformer_to_input_indices", None)
    if name != "ColumnTransformer" or read is None or hasattr(step, "feature_names_in_"):
        return None
    parts = []
    for called, part, _ in sorted(step.transformers_, key=lambda each: step.output_indices_[each[0]].start):
        columns = np.asarray(read[called], dtype=np.int64)
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


def read_powers(model: Any, name: str) -> Network:
    """The network of a fitted transformer of the method ``yeo-johnson`` or ``box-cox``."""
    exponents, scaler = np.asarray(model.lambdas_, np.float64), getattr(model, "_scaler", None)
    scale = np.ones(exponents.size) if scaler is None else 1 / np.asarray(scaler.scale_)
    offset = np.zeros(exponents.size) if scaler is None else -np.asarray(scaler.mean_) * scale
    chain = Chain.of(exponents.size, name)
    if model.method == "box-cox":
        chain.then("logarithm", Logarithm())
        return chain.network(_grown(chain, exponents, scale, offset, ""))
    chain.then("positive", ReLU(), "features")
    chain.then("logarithm", Logarithm(offset=1))
    upper = _grown(chain, exponents, scale, offset, "")
    _affine(chain, "turned", -np.ones(exponents.size), np.zeros(exponents.size), "features")
    chain.then("negative", ReLU())
    chain.then("logarithm_below", Logarithm(offset=1))
    lower = _grown(chain, 2 - exponents, -scale, np.zeros(exponents.size), "_below")
    return chain.network(chain.then("transformed", Add(), upper, lower))


def _grown(chain: Chain, exponents: Floats, scale: Floats, offset: Floats, mark: str) -> str:
    """Add ``(exp(exponents * x) - 1) / exponents * scale + offset``."""
    exponents = np.where(np.abs(exponents) < _LEAST, _LEAST, exponents)
    _affine(chain, f"exponent{mark}", exponents, np.zeros(exponents.size))
    chain.then(f"grown{mark}", Activation("expm1"))
    return _affine(chain, f"scaled{mark}", scale / exponents, offset)


def _affine(chain: Chain, called: str, scale: Floats, offset: Floats, *before: str) -> str:
    return chain.then(called, BatchNormalization(as_weights(scale), as_weights(offset)), *before)
