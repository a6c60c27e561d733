"""Decision trees of any framework, as one layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.trees import Places, Trees


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree: rows of decisions and leaves, of which the first is the root.

    A decision goes on at the row ``yes`` where ``x[feature] <= threshold``, or where both are equal if ``equal``, else at ``no``.
    Leaves have ``values`` (rows, outputs).
    """

    is_leaf: npt.NDArray[np.bool_]
    feature: Places
    threshold: Floats
    equal: npt.NDArray[np.bool_]
    yes: Places
    no: Places
    values: Floats


def below(thresholds: npt.ArrayLike) -> Floats:
    """The bounds with which ``x <= bound`` means ``x < threshold``, for numbers of single precision."""
    return np.nextafter(np.asarray(thresholds, np.float32), np.float32(-np.inf)).astype(np.float64)


def ensemble(trees: Sequence[Tree], size: int, base: Floats, where: str) -> Trees:
    """The sum of ``trees`` for ``size`` features, and of ``base`` (outputs,).

    Raises:
        ModelFileError: features that there are not, rows that there are not, or numbers that are none.
    """
    nodes, leaves = 0, 0
    parts, roots, values = [], [], []
    for tree in trees:
        _check(tree, size, where)
        numbers = np.where(tree.is_leaf, -leaves - np.cumsum(tree.is_leaf), nodes + np.cumsum(~tree.is_leaf) - 1)
        inner = ~tree.is_leaf
        branches = np.stack([numbers[tree.yes[inner]], numbers[tree.no[inner]]], axis=-1)
        parts.append((tree.feature[inner], tree.threshold[inner], tree.equal[inner], branches))
        roots.append(int(numbers[0]))
        values.append(tree.values[tree.is_leaf])
        nodes, leaves = nodes + int(inner.sum()), leaves + int(tree.is_leaf.sum())
    features, thresholds, equal, branches = (np.concatenate(part) for part in zip(*parts, strict=True))
    arrays = features.astype(np.int64), as_weights(thresholds), equal.astype(bool), branches.astype(np.int64)
    return Trees(size, *arrays, np.array(roots), as_weights(np.concatenate(values)), as_weights(base))


def _check(tree: Tree, size: int, where: str) -> None:
    inner, rows = ~tree.is_leaf, len(tree.is_leaf)
    if np.any(tree.feature[inner] < 0) or np.any(tree.feature[inner] >= size):
        raise ModelFileError("a decision on a feature that there is not", where=where, accepted=f"0 to {size - 1}")
    following = np.concatenate([tree.yes[inner], tree.no[inner]])
    if rows == 0 or np.any(following < 0) or np.any(following >= rows):
        raise ModelFileError("a branch of a tree that leads nowhere", where=where)
    if np.any(np.isnan(tree.threshold[inner])) or not np.all(np.isfinite(tree.values[tree.is_leaf])):
        raise ModelFileError("a threshold or a leaf that is not a number", where=where)
