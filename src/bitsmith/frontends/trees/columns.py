"""Names of the columns of tables: those of a model's inputs, and those by which transformers of scikit-learn choose."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bitsmith.errors import ModelFileError
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.trees import Places


def with_columns(network: Network, names: Sequence[str], where: str) -> Network:
    """The network of a model whose features have ``names``, in order; none of a model that was trained on arrays.

    Raises:
        ModelFileError: more or fewer names than features.
    """

    def named(node: NetworkNode) -> NetworkNode:
        assert isinstance(node.layer, Input)
        if node.layer.shape[-1:] != (len(names),):
            raise ModelFileError(f"{len(names)} names of features", where=where, accepted=f"{node.layer.shape[-1]}")
        return replace(node, layer=replace(node.layer, columns=tuple(map(str, names))))

    return network.with_changed(network.inputs, named) if len(names) else network


def numbers_of(columns: Any, model: Any) -> Places:
    """The numbers of the columns that a fitted ColumnTransformer has for one of its transformers."""
    names, numbers = list(getattr(model, "feature_names_in_", ())), np.arange(int(model.n_features_in_), dtype=np.int64)
    if isinstance(columns, slice):
        first, last = columns.start, columns.stop
        start = names.index(first) if isinstance(first, str) else first
        stop = names.index(last) + 1 if isinstance(last, str) else last
        return numbers[start : stop : columns.step]
    listed = [columns] if isinstance(columns, str) or not hasattr(columns, "__iter__") else list(columns)
    if any(isinstance(column, str) for column in listed):
        listed = [names.index(column) for column in listed]
    return np.asarray(numbers[np.array(listed, dtype=None if listed else np.int64)], dtype=np.int64)


def by_number(model: Any) -> Any:
    """The model without choices that change nothing of what it predicts from numbers, but that readers and the export refuse.

    Columns of a table become their numbers, and classifiers that vote have no flat shares.
    """
    kept = copy.copy(model)
    if hasattr(model, "steps"):
        kept.steps = [(name, by_number(step)) for name, step in model.steps]
    elif hasattr(model, "flatten_transform"):
        kept.flatten_transform = False
    elif hasattr(model, "feature_names_in_") and hasattr(model, "transformers_"):
        parts = [(name, by_number(part), numbers_of(own, model).tolist()) for name, part, own in model.transformers_]
        kept.transformers_ = parts
        del kept.feature_names_in_
    return kept
