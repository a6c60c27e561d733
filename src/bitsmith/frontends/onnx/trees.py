"""Ensembles of decision trees, operators of the domain ``ai.onnx.ml``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.classical import label_of, label_of_greatest, labels, posted
from bitsmith.frontends.ops.arithmetic import maximum, minimum
from bitsmith.frontends.ops.logic import compare
from bitsmith.frontends.ops.trees import Decision, Tree, below, ensemble, equal_to, of_singles, tree_of, warn_of_missing
from bitsmith.ir.ops import Relation
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.trees import Places

Flags: TypeAlias = npt.NDArray[np.bool_]

_LEAF = "LEAF"
_MODES = {
    # yes and no exchanged, threshold below
    "BRANCH_LEQ": (False, False),
    "BRANCH_LT": (False, True),
    "BRANCH_GT": (True, False),
    "BRANCH_GTE": (True, True),
    "BRANCH_EQ": (False, False),
    "BRANCH_NEQ": (True, False),
}
"""Two flags of a decision: its branches are exchanged, so that it is one of ``<``, ``<=`` or ``==``; and it is ``<``."""

_NUMBERED = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
_EXTREMES: Mapping[str, Callable[..., Value]] = {"MIN": minimum, "MAX": maximum}
_POSTS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
"""Words by the numbers of TreeEnsemble (onnxruntime 1.32 exchanges SOFTMAX and LOGISTIC)."""


def _column(call: Call, key: str) -> Places:
    return np.array(call.attributes.integers(key), dtype=np.int64)


def _numbers(call: Call, key: str) -> Floats:
    """Numbers of an attribute of single precision, or of the tensor of any precision that replaces it."""
    tensor = call.attributes.tensor(f"{key}_as_tensor")
    if tensor is not None:
        return np.asarray(tensor, dtype=np.float64).ravel()
    return np.array(call.attributes.floats(key) or (), dtype=np.float64)


def _trees(call: Call, of: str, outputs: int) -> list[Tree]:
    """The trees, with leaves that add weights to so many outputs, which the attributes ``of`` something say."""
    call.attributes.ignore("nodes_hitrates", "nodes_hitrates_as_tensor")
    modes = np.array(call.attributes.texts("nodes_modes"))
    columns = [
        _column(call, f"nodes_{key}") for key in ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids")
    ]
    values = _numbers(call, "nodes_values")
    if not len(modes) or {len(column) for column in (*columns, values)} != {len(modes)}:
        raise ModelFileError("attributes of nodes of unlike lengths, or none", where=call.attributes.where)
    unknown = sorted(set(modes.tolist()) - {*_MODES, _LEAF})
    if unknown:
        raise UnsupportedError(f"decisions {unknown[0][:40]}", accepted=", ".join(_MODES))
    owners, ids, features, yes, no = columns
    rows = {key: row for row, key in enumerate(zip(owners.tolist(), ids.tolist(), strict=True))}
    if len(rows) != len(modes):
        raise ModelFileError("two nodes of a tree with one number", where=call.attributes.where)
    weights = _weights(call, of, rows, outputs)
    exchanged, strict = (np.array([_MODES.get(mode, (False, False))[k] for mode in modes.tolist()]) for k in (0, 1))
    sets = {int(row): equal_to(values[row]) for row in np.flatnonzero(np.isin(modes, ("BRANCH_EQ", "BRANCH_NEQ")))}
    bounds = np.where(strict, below(values), values)
    # Who has numbers of double precision has rounded them for ONNX.
    bounds = bounds if call.attributes.tensor("nodes_values_as_tensor") is not None else of_singles(bounds)
    then, otherwise = np.where(exchanged, no, yes), np.where(exchanged, yes, no)
    _say_of_missing(call, bounds, exchanged, strict, among=~np.isin(modes, (_LEAF, "BRANCH_EQ", "BRANCH_NEQ")))
    trees = []
    for tree in np.unique(owners):
        own = _root_first(np.flatnonzero(owners == tree), ids, (yes, no), modes == _LEAF)
        at = {int(ids[row]): number for number, row in enumerate(own)}
        first, second = (np.array([at.get(int(target), -1) for target in part[own]]) for part in (then, otherwise))
        chosen = {number: sets[row] for number, row in enumerate(own.tolist()) if row in sets}
        trees.append(Tree(modes[own] == _LEAF, features[own], bounds[own], chosen, first, second, weights[own]))
    return trees


def _say_of_missing(call: Call, bounds: Floats, exchanged: Flags, strict: Flags, among: Flags) -> None:
    """Warn if missing values go where they go only if training saw some.

    Decisions by ``<``, as XGBoost makes them, send all to one side if it saw none. Where others send them may depend on
    numbers of samples, which files lack. An infinite threshold parts numbers from missing values.
    """
    tracks = _column(call, "nodes_missing_value_tracks_true")
    if tracks.size == bounds.size:
        sides = (tracks != 0) != exchanged
        if np.unique(sides[among & strict]).size > 1 or np.any(np.isinf(bounds[among])):
            call.say(warn_of_missing(call.name))


def _root_first(own: Places, ids: Places, following: tuple[Places, Places], leaf: Flags) -> Places:
    """Rows of one tree, with the first that no other leads to in front."""
    led = {int(target) for part in following for target in part[own[~leaf[own]]]}
    root = next((row for row in own.tolist() if int(ids[row]) not in led), int(own[0]))
    return np.array([root, *(row for row in own.tolist() if row != root)])


def _weights(call: Call, of: str, rows: Mapping[tuple[int, int], int], outputs: int) -> Floats:
    """Return the numbers that each row, if it is a leaf, adds to each output."""
    columns = [_column(call, f"{of}_{key}") for key in ("treeids", "nodeids", "ids")]
    values = _numbers(call, f"{of}_weights")
    if {len(column) for column in columns} != {len(values)}:
        raise ModelFileError("attributes of leaves of unlike lengths", where=call.attributes.where)
    weights = np.zeros((len(rows), outputs))
    for tree, node, output, value in zip(*(column.tolist() for column in (*columns, values)), strict=True):
        if (tree, node) not in rows or not 0 <= output < outputs:
            raise ModelFileError("a weight of a leaf, or for an output, that there is not", where=call.attributes.where)
        weights[rows[tree, node], output] += value
    return weights


def _scores(call: Call, trees: Sequence[Tree], outputs: int, how: str = "SUM") -> Value:
    """Result that ``how`` gives for the leaves, and for the numbers that each output begins with."""
    x, base, where = call.tensor(0), _numbers(call, "base_values"), call.attributes.where
    if base.size not in (0, outputs):
        raise ModelFileError(f"{base.size} base values for {outputs} outputs", where=where)
    if how not in _AGGREGATES or (how in _EXTREMES and outputs > 1):
        accepted = f"{', '.join(_AGGREGATES)}; MIN and MAX of one output"
        raise UnsupportedError(
            f"trees whose results are combined by {how[:40]}, of {outputs} outputs", accepted=accepted
        )
    size, base = x.shape[x.axis(-1)], base if base.size else np.zeros(outputs)
    if how in _EXTREMES:
        each = [ensemble([tree], size, base, where) for tree in trees]
        values = [call.build.within(f"tree{number}").emit(layer, x) for number, layer in enumerate(each)]
        return _EXTREMES[how](call.build, *values)
    scaled = [replace(tree, values=tree.values / len(trees)) for tree in trees] if how == "AVERAGE" else trees
    return call.build.emit(ensemble(scaled, size, base, where), x)


def _regressor(call: Call) -> Value:
    outputs, how = call.attributes.integer("n_targets", 1), call.attributes.text("aggregate_function", "SUM")
    return posted(call, _scores(call, _trees(call, "target", outputs), outputs, how))


def _classifier(call: Call) -> tuple[Value | None, ...]:
    """The label and the scores. Of two classes one may have all weights, of which the other's score follows.

    Source: https://github.com/microsoft/onnxruntime, where ONNX says nothing of two classes.
    """
    listed = labels(call, "classlabels_int64s")
    classes, used = listed.array().size, np.unique(_column(call, "class_ids"))
    post = call.attributes.text("post_transform", "NONE")
    if classes == 2 and (post == "SOFTMAX" if used.size == 1 else call.wanted[0] or _numbers(call, "base_values").size):
        raise UnsupportedError(
            f"two classes, {used.size} of which have weights, with SOFTMAX, labels or base values: onnxruntime differs",
            accepted="weights of one class and no SOFTMAX; or weights of both, without base values and labels",
            remedy="give the model that was trained, or leave out the output of labels",
        )
    if classes != 2 or used.size != 1:
        scores = _scores(call, _trees(call, "class", classes), classes)
        return label_of_greatest(call, listed, scores), posted(call, scores)
    probabilities = bool(np.all(_numbers(call, "class_weights") >= 0))
    trees = [replace(tree, values=tree.values[:, used]) for tree in _trees(call, "class", classes)]
    score, label = _scores(call, trees, 1), None
    if call.wanted[0]:
        half = constant(0.5 if probabilities else 0.0)
        label = label_of(call, listed, compare(call.build, Relation.GT, score, half, "passed"))
    plain = probabilities and post == "NONE"
    both = Dense(as_weights([[-1.0, 1.0]]), as_weights([1.0, 0.0]) if plain else None)
    return label, posted(call, call.build.emit(both, score, suffix="both"))


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The decisions of a TreeEnsemble: columns, and two branches of each, to places of other decisions or of leaves."""

    feature: Places
    bounds: Floats
    sets: Mapping[int, Floats]
    ends: npt.NDArray[np.int64]
    at_leaf: Flags

    def tree(self, rows: Places, weights: Floats) -> Tree:
        """The tree of the decisions ``rows``, root first, with a row for each leaf that these lead to."""
        leaves = np.unique(self.ends[rows][self.at_leaf[rows]])
        at = {int(row): place for place, row in enumerate(rows)}

        def decision(row: int) -> Decision:
            yes, no = (
                rows.size + int(np.searchsorted(leaves, end)) if last else at[int(end)]
                for end, last in zip(self.ends[row], self.at_leaf[row], strict=True)
            )
            return Decision(int(self.feature[row]), self.sets.get(row, float(self.bounds[row])), yes, no)

        return tree_of([*map(decision, at), *weights[leaves]])

    def below(self, root: int, left: set[int], where: str) -> Places:
        """The decisions from a root on, which are taken from those that are ``left``."""
        rows, now = list[int](), [root]
        while now:
            if not left.issuperset(now) or len(set(now)) < len(now):
                raise ModelFileError("a branch of a tree that leads nowhere, or to where another leads", where=where)
            left.difference_update(now)
            rows += now
            now = self.ends[now][~self.at_leaf[now]].tolist()
        return np.array(rows, dtype=np.int64)


def _nodes(call: Call, leaves: int) -> _Nodes:
    call.attributes.ignore("nodes_hitrates")
    splits, kinds = (_tensor(call, f"nodes_{key}") for key in ("splits", "modes"))
    keys = ("featureids", "truenodeids", "falsenodeids", "trueleafs", "falseleafs")
    columns, where = [_column(call, f"nodes_{key}") for key in keys], call.attributes.where
    if splits.size == 0 or {len(column) for column in (*columns, kinds)} != {splits.size}:
        raise ModelFileError("attributes of nodes of unlike lengths, or none", where=where)
    if not np.all(np.isin(kinds, range(len(_NUMBERED)))):
        raise ModelFileError("a decision of a mode that is not known", where=where)
    modes = [_NUMBERED[int(kind)] for kind in kinds]
    exchanged, strict = (np.array([_MODES.get(mode, (False, False))[k] for mode in modes]) for k in (0, 1))
    sets = {row: equal_to(splits[row]) for row, mode in enumerate(modes) if mode in ("BRANCH_EQ", "BRANCH_NEQ")}
    members = [row for row, mode in enumerate(modes) if mode == "BRANCH_MEMBER"]
    sets |= dict(zip(members, _members(call, len(members)), strict=True))
    _say_of_missing(call, splits, exchanged, strict, among=kinds < _NUMBERED.index("BRANCH_EQ"))
    ends, at_leaf = np.stack(columns[1:3], 1), np.stack(columns[3:], 1) != 0
    if np.any(ends[at_leaf] < 0) or np.any(ends[at_leaf] >= leaves):
        raise ModelFileError("a branch to a leaf that there is not", where=where)
    ends, at_leaf = (np.where(exchanged[:, None], part[:, ::-1], part) for part in (ends, at_leaf))
    return _Nodes(columns[0], as_weights(np.where(strict, below(splits), splits)), sets, ends, at_leaf)


def _tensor(call: Call, key: str) -> Floats:
    """The numbers of a tensor; none if it is left out."""
    listed = call.attributes.tensor(key)
    return np.zeros(0) if listed is None else np.asarray(listed, dtype=np.float64).ravel()


def _members(call: Call, count: int) -> list[Floats]:
    """The bounds of sets, which NaN separates."""
    values = _tensor(call, "membership_values")
    if values.size and not np.isnan(values[-1]):
        values = np.append(values, np.nan)
    stops = np.flatnonzero(np.isnan(values))
    if len(stops) != count:
        raise ModelFileError(f"{len(stops)} sets for {count} decisions on one", where=call.attributes.where)
    return [equal_to(part[~np.isnan(part)]) for part in np.split(values, stops)[:count]]


def _ensemble(call: Call) -> Value:
    """Trees of decisions and of leaves apart, each of which adds to one output."""
    weights, targets = _tensor(call, "leaf_weights"), _column(call, "leaf_targetids")
    outputs = call.attributes.integer("n_targets", int(targets.max(initial=0)) + 1)
    if not weights.size == targets.size > 0 or np.any((targets < 0) | (targets >= outputs)):
        raise ModelFileError("a leaf without a weight, or for an output that there is not", where=call.attributes.where)
    values = np.zeros((targets.size, outputs))
    values[np.arange(targets.size), targets] = weights
    nodes, where = _nodes(call, targets.size), call.attributes.where
    left = set(range(len(nodes.feature)))
    trees = [
        nodes.tree(nodes.below(root, left, where), as_weights(values)) for root in _column(call, "tree_roots").tolist()
    ]
    if not trees:
        raise ModelFileError("no trees", where=where)
    how, post = call.attributes.integer("aggregate_function", 1), call.attributes.integer("post_transform", 0)
    if not 0 <= how < len(_AGGREGATES) or not 0 <= post < len(_POSTS):
        raise ModelFileError("an aggregation or a function that is not known", where=where)
    return posted(call, _scores(call, trees, outputs, _AGGREGATES[how]), _POSTS[post])


TREES: dict[str, Translation] = {
    "TreeEnsembleRegressor": Translation(_regressor, "Trees, and Maximum or Minimum"),
    "TreeEnsemble": Translation(_ensemble, "Trees, Maximum or Minimum, and Softmax or Activation"),
    "TreeEnsembleClassifier": Translation(_classifier, "Trees, ArgMax and Embedding, and Softmax or Activation"),
}
"""Operators of decision trees, by name."""
