"""Models of XGBoost: JSON, which live models give too, or binary JSON (https://xgboost.readthedocs.io, "Model IO")."""

import math
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError, one_of
from bitsmith.frontends.files.json import Fields, parse_json
from bitsmith.frontends.files.ubjson import parse_ubjson
from bitsmith.frontends.ops.trees import Tree, below, ensemble, sending, truncated_to
from bitsmith.frontends.trees import XGBOOST_MARK
from bitsmith.frontends.trees.columns import with_columns
from bitsmith.frontends.trees.network import MOST_OUTPUTS, Classes, Link, network_of, of_missing
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network

_Objective: TypeAlias = tuple[Link, Link, bool]
"""The function of sums; the one that makes the base score of what sums begin with; whether the class is all that is predicted."""

_PLAIN = (
    *("reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror"),
    *("reg:quantileerror", "rank:ndcg", "rank:map", "rank:pairwise", "binary:logitraw"),
)
_COUNTS = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
_OBJECTIVES: dict[str, _Objective] = {
    **dict.fromkeys(("binary:logistic", "reg:logistic"), (Link.SIGMOID, Link.SIGMOID, False)),
    "multi:softprob": (Link.SOFTMAX, Link.IDENTITY, False),
    "multi:softmax": (Link.SOFTMAX, Link.IDENTITY, True),
    **dict.fromkeys(_PLAIN, (Link.IDENTITY, Link.IDENTITY, False)),
    "binary:hinge": (Link.STEP, Link.IDENTITY, False),
    **dict.fromkeys(_COUNTS, (Link.EXPONENTIAL, Link.EXPONENTIAL, False)),
}

_MISSING_BITS = 16
"""Most bits of a number in place of missing values."""


_UNTOLD = (
    "XGBoost: boosters and files do not have the estimator's number `missing`. If it is not NaN, convert the estimator, "
    "so that this number goes where missing values go."
)


def read_xgboost(text: bytes, where: str, classes: Classes | None, missing: float | None = None) -> Network:
    """The network of a model, which predicts what ``Booster.predict`` does or, with ``classes``, what a classifier does.

    The number ``missing`` of an estimator goes where missing values go; None if there is no estimator that tells it.

    Raises:
        ModelFileError: the JSON is not that of a model.
        UnsupportedError: an objective that cannot be translated, or a ``missing`` number of many bits, which an input may lack.
    """
    number = math.nan if missing is None else missing
    if math.isfinite(number) and math.ldexp(math.frexp(number)[0], _MISSING_BITS) % 1:
        accepted = f"NaN, or a number of at most {_MISSING_BITS} bits, such as -999 or 0.5"
        raise UnsupportedError(f"missing={number:g}", where=where, accepted=accepted)
    parse = parse_ubjson if text.startswith(XGBOOST_MARK) else parse_json
    learner = Fields(parse(text, where), where).fields("learner")
    described, name = learner.fields("learner_model_param"), learner.fields("objective").text("name")
    link, based, label = one_of(_OBJECTIVES, name, f"the objective {name[:50]!r}", where)
    outputs = max(_count(described, "num_class"), 1) * max(_count(described, "num_target"), 1)
    if outputs > MOST_OUTPUTS:
        raise UnsupportedError(f"{outputs} outputs", where=where, accepted=f"at most {MOST_OUTPUTS}")
    trees, is_mixed = _trees(learner.fields("gradient_booster"), outputs, where, number)
    base = _sums(based, _base(described, outputs), described)
    layer = ensemble(trees, _count(described, "num_feature"), as_weights(base), where)
    if label and classes is None:
        network = network_of(layer, link, Classes(range(outputs)), "XGBoost")
        network = replace(network, outputs=network.outputs[:1])
    else:
        network = network_of(layer, link, classes, "XGBoost")
    if missing is None:
        network = replace(network, notes=(*network.notes, _UNTOLD))
    names = learner.items("feature_names") if "feature_names" in learner.values else []
    network = with_columns(network, [name if isinstance(name, str) else "" for name in names], where)
    return network if math.isfinite(number) else of_missing(network, is_trained=is_mixed)


def _sums(based: Link, base: Floats, described: Fields) -> Floats:
    """The sums of which a function makes the base scores."""
    assert based.inverse is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = as_weights(based.inverse(base))
    if not np.all(np.isfinite(sums)):
        raise described.wrong("base_score", f"a result of the function {based.name.lower()}")
    return sums


def _count(fields: Fields, key: str) -> int:
    """A number that is written as text."""
    text = fields.text(key, "0")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise fields.wrong(key, "an integer as text")
    return int(text)


def _base(described: Fields, outputs: int) -> Floats:
    """The sums that trees add to: one for all, or one for each output; before version 3.1 without brackets."""
    words = described.text("base_score").strip("[] ").split(",")
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.array([math.nan])
    if values.size not in (1, outputs) or not np.all(np.isfinite(values)):
        raise described.wrong("base_score", f"one number, or {outputs}")
    return np.broadcast_to(values, (outputs,))


def _trees(booster: Fields, outputs: int, where: str, missing: float) -> tuple[list[Tree], bool]:
    """The trees, and whether their numeric decisions send missing values to unlike sides, as only training with some does."""
    name, shares = booster.text("name"), None
    if name == "dart":
        shares, booster = booster.constant("weight_drop"), booster.fields("gbtree")
    elif name != "gbtree":
        raise UnsupportedError(f"the booster {name[:50]!r}", where=where, accepted="gbtree, dart")
    model = booster.fields("model")
    targets, trees = model.integers("tree_info"), model.objects("trees")
    shares = np.ones(len(trees)) if shares is None else shares.ravel()
    if not len(targets) == len(trees) == len(shares) or not all(0 <= target < outputs for target in targets):
        raise model.error("trees without an output, or for one that there is not")
    read = [_tree(*each, outputs, missing) for each in zip(trees, targets, shares.tolist(), strict=True)]
    numeric = [~tree.is_leaf & ~np.isin(np.arange(len(tree.is_leaf)), list(tree.sets)) for tree in read]
    sides = [_to_the_left(tree, len(rows))[rows] for tree, rows in zip(trees, numeric, strict=True)]
    return read, np.unique(np.concatenate(sides)).size > 1


def _tree(tree: Fields, target: int, share: float, outputs: int, missing: float) -> Tree:
    described = tree.fields("tree_param")
    columns = [
        tree.constant(key).ravel() for key in ("left_children", "right_children", "split_indices", "split_conditions")
    ]
    if len({len(column) for column in columns}) != 1:
        raise tree.error("a tree whose columns have unlike lengths")
    yes, no, feature = (column.astype(np.int64) for column in columns[:3])
    leaf, values = yes < 0, np.zeros((len(yes), outputs))
    if (
        several := _count(described, "size_leaf_vector")
    ) > 1:  # a leaf's branch to the right is the number of its vector
        vectors = tree.constant("leaf_weights").ravel()
        if (
            several != outputs
            or vectors.size % several
            or np.any((no < 0) | (no[leaf].max() >= vectors.size // several))
        ):
            raise tree.error("leaves of several outputs that there are not")
        values[leaf] = vectors.reshape(-1, several)[no[leaf]] * share
    else:
        values[:, target] = np.where(leaf, columns[3] * share, 0.0)
    # Categories of a set go to the right.
    sets = _sets(tree, len(yes))
    on_set = np.isin(np.arange(len(yes)), list(sets))
    branches = np.where(on_set, no, yes), np.where(on_set, yes, no)
    whole = Tree(leaf, feature, below(columns[3].astype(np.float32)), sets, *branches, values)
    if not math.isfinite(missing):
        return whole
    left = _to_the_left(tree, len(yes))
    return sending(whole, missing, left != on_set, among=~leaf)


def _to_the_left(tree: Fields, rows: int) -> npt.NDArray[np.bool_]:
    """The decisions that send missing values to the left."""
    left: npt.NDArray[np.bool_] = tree.constant("default_left").ravel() != 0
    if len(left) != rows:
        raise tree.error("a tree whose columns have unlike lengths")
    return left


def _sets(tree: Fields, rows: int) -> dict[int, Floats]:
    """The bounds of decisions on categories, by rows."""
    nodes, starts, sizes, categories = (
        tree.integers(f"categories{part}") for part in ("_nodes", "_segments", "_sizes", "")
    )
    if not len(nodes) == len(starts) == len(sizes) or any(
        not 0 <= row < rows or min(start, size, *categories[start : start + size]) < 0 or start + size > len(categories)
        for row, start, size in zip(nodes, starts, sizes, strict=True)
    ):
        raise tree.error("decisions on categories that there are not")
    return {
        row: truncated_to(categories[start : start + size])
        for row, start, size in zip(nodes, starts, sizes, strict=True)
    }
