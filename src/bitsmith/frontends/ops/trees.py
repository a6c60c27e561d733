"""Decision trees of any framework, as one layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.base.progress import warn
from bitsmith.errors import FidelityWarning, ModelFileError, UnsupportedError
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.trees import Places, Trees

_MOST_BOUNDS = 1 << 24
"""Most numbers that decisions compare with, where each has as many as the one with most."""

_FEW_BITS = 16
"""Bits of thresholds that are steps of a format, as those between integers are."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree: rows of decisions and leaves, of which the first is the root.

    A decision goes on at the row ``yes`` where ``x[feature] <= threshold``, else at ``no``. Those of ``sets``, by rows, go on at
    ``yes`` where an odd number of bounds is ``x[feature]`` or more. Leaves have ``values`` (rows, outputs).
    """

    is_leaf: npt.NDArray[np.bool_]
    feature: Places
    threshold: Floats
    sets: Mapping[int, Floats]
    yes: Places
    no: Places
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A decision of a tree that is given node by node, which goes on at the nodes ``yes`` or ``no``.

    It goes on at ``yes`` where ``x[feature]`` is ``bounds`` or less or, if these are several, where an odd number of them are
    ``x[feature]`` or more.
    """

    feature: int
    bounds: float | Floats
    yes: int
    no: int


def tree_of(nodes: Sequence[Decision | Floats]) -> Tree:
    """The tree of ``nodes``, of which the first is the root: decisions, and leaves with values (outputs,)."""
    rows = [None if isinstance(node, np.ndarray) else node for node in nodes]
    outputs = max(node.size for node in nodes if isinstance(node, np.ndarray))
    values = [node if isinstance(node, np.ndarray) else np.zeros(outputs) for node in nodes]
    numbers = [(0, 0, 0) if row is None else (row.feature, row.yes, row.no) for row in rows]
    feature, yes, no = np.array(numbers, np.int64).T
    bounds = [0.0 if row is None or isinstance(row.bounds, np.ndarray) else row.bounds for row in rows]
    sets = {k: row.bounds for k, row in enumerate(rows) if row is not None and isinstance(row.bounds, np.ndarray)}
    is_leaf = np.array([row is None for row in rows])
    return Tree(is_leaf, feature, as_weights(bounds), sets, yes, no, as_weights(np.stack(values)))


_GREATEST = float(np.nextafter(np.finfo(np.float32).max, np.float32(0)))
"""The greatest number that is less than the greatest of single precision."""


def below(thresholds: npt.ArrayLike) -> Floats:
    """The bounds with which ``x <= bound`` means ``x < threshold``, for numbers of single precision."""
    numbers = np.asarray(thresholds, np.float64)
    with np.errstate(over="ignore"):
        nearest = numbers.astype(np.float32)
    lower = np.nextafter(nearest, np.float32(-np.inf)).astype(np.float64)
    return np.where(nearest < numbers, nearest.astype(np.float64), lower)


def of_singles(thresholds: npt.ArrayLike) -> Floats:
    """The bounds with which ``x <= bound`` means ``x <= threshold`` for the nearest number of single precision.

    0.15 in single precision is greater than half of 0.1 and 0.2, and less in double precision: the bound is where numbers are
    rounded to the threshold, or to the number below it. A threshold of few bits stays as it is, unless a number of up to six
    digits is rounded to it.
    """
    bounds = np.asarray(thresholds, np.float64)
    number = np.array([float(f"{bound:.6g}") for bound in bounds.ravel()]).reshape(bounds.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        nearest, single = bounds.astype(np.float32), number.astype(np.float32)
        lower = np.where(nearest > bounds, np.nextafter(nearest, np.float32(-np.inf)), nearest)
        halfway = (lower.astype(np.float64) + np.nextafter(lower, np.float32(np.inf))) / 2.0
        last = np.where(halfway.astype(np.float32) == lower, halfway, np.nextafter(halfway, -np.inf))
        few = (np.ldexp(np.frexp(bounds)[0], _FEW_BITS) % 1.0 == 0.0) & ~((single == lower) & (number > bounds))
    return np.where(few, bounds, last)


def equal_to(numbers: npt.ArrayLike) -> Floats:
    """The bounds of a set of numbers of single precision."""
    numbers = np.unique(np.asarray(numbers, np.float32))
    return np.stack([below(numbers), numbers.astype(np.float64)], 1).ravel()


def sending(tree: Tree, number: float, to_yes: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> Tree:
    """``tree`` with decisions ``among`` whose rows those ``to_yes`` go on at ``yes`` for ``number``, and the others at ``no``."""
    sets, single = dict(tree.sets), float(np.float32(number))
    for row in np.flatnonzero(~tree.is_leaf & among).tolist():
        bounds = sets.get(row, tree.threshold[row : row + 1])
        if (np.count_nonzero(bounds >= single) % 2 == 1) != to_yes[row]:
            sets[row] = np.setxor1d(bounds, equal_to([number]))
    return replace(tree, sets=sets)


def warn_of_missing(name: str) -> str:
    """Warn that the training of trees saw missing values, and return the text as a note."""
    note = (
        f"{name} was trained with missing values (NaN, or a number for them). A circuit has only numbers, so that branches "
        "for missing values are left out. Put a number in their place before training, and give the circuit that number, too."
    )
    warn(note, FidelityWarning)
    return note


def truncated_to(categories: npt.ArrayLike) -> Floats:
    """The bounds of numbers whose integer part is one of ``categories``, which are 0 or more."""
    found = np.unique(np.asarray(categories, np.int64))
    starts, stops = found[~np.isin(found - 1, found)], found[~np.isin(found + 1, found)] + 1
    return np.stack([below(starts), below(stops)], 1).ravel()


def average_path(samples: Places) -> Floats:
    """The average length of ways to leaves in trees that part so many ``samples`` at random."""
    more = np.maximum(samples, 3) - 1.0
    long = 2 * (np.log(more) + np.euler_gamma) - 2 * more / (more + 1)
    return as_weights(np.where(samples > 2, long, samples == 2))


def ensemble(trees: Sequence[Tree], size: int, base: Floats, where: str) -> Trees:
    """The sum of ``trees`` for ``size`` features, and of ``base`` (outputs,).

    Raises:
        ModelFileError: features that there are not, rows that there are not, or numbers that are none.
    """
    nodes, leaves = 0, 0
    if not np.all(np.isfinite(base)):
        raise ModelFileError("a base score that is not a finite number", where=where)
    width = max((1, *(bounds.size for tree in trees for bounds in tree.sets.values())))
    if width * sum(map(len, (tree.is_leaf for tree in trees))) > _MOST_BOUNDS:
        raise UnsupportedError(f"decisions on up to {width} categories, too many of them", where=where)
    parts, roots, values = [], [], []
    for tree in trees:
        _check(tree, size, where)
        numbers = np.where(tree.is_leaf, -leaves - np.cumsum(tree.is_leaf), nodes + np.cumsum(~tree.is_leaf) - 1)
        inner = ~tree.is_leaf
        branches = np.stack([numbers[tree.yes[inner]], numbers[tree.no[inner]]], axis=-1)
        parts.append((tree.feature[inner], _bounds(tree, width)[inner], branches))
        roots.append(int(numbers[0]))
        values.append(tree.values[tree.is_leaf])
        nodes, leaves = nodes + int(inner.sum()), leaves + int(tree.is_leaf.sum())
    features, thresholds, branches = (np.concatenate(part) for part in zip(*parts, strict=True))
    arrays = features.astype(np.int64), as_weights(thresholds), branches.astype(np.int64)
    return Trees(size, *arrays, np.array(roots), as_weights(np.concatenate(values)), as_weights(base))


def _bounds(tree: Tree, width: int) -> Floats:
    """The bounds of each row, filled up to ``width``."""
    bounds = np.full((len(tree.is_leaf), width), -np.inf)
    bounds[:, 0] = tree.threshold
    for row, own in tree.sets.items():
        bounds[row] = -np.inf
        bounds[row, : own.size] = np.sort(own)
    # Libraries write the greatest number of single precision for bins without an end; a format up to it would have no fine steps.
    return np.where(np.abs(bounds) >= _GREATEST, np.copysign(np.inf, bounds), bounds)


def _check(tree: Tree, size: int, where: str) -> None:
    inner, rows = ~tree.is_leaf, len(tree.is_leaf)
    if np.any(tree.feature[inner] < 0) or np.any(tree.feature[inner] >= size):
        raise ModelFileError("a decision on a feature that there is not", where=where, accepted=f"0 to {size - 1}")
    following = np.concatenate([tree.yes[inner], tree.no[inner]])
    if rows == 0 or np.any(following < 0) or np.any(following >= rows):
        raise ModelFileError("a branch of a tree that leads nowhere", where=where)
    if np.any(np.isnan(tree.threshold[inner])) or not np.all(np.isfinite(tree.values[tree.is_leaf])):
        raise ModelFileError("a threshold or a leaf that is not a number", where=where)
