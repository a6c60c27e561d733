"""Models of LightGBM: its text, which live models give too (https://lightgbm.readthedocs.io)."""

import math
import sys
from collections.abc import Mapping

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError, one_of
from bitsmith.frontends.ops.trees import Tree, below, ensemble, sending, truncated_to
from bitsmith.frontends.trees import LIGHTGBM_MARK
from bitsmith.frontends.trees.columns import with_columns
from bitsmith.frontends.trees.network import MOST_OUTPUTS, Classes, Link, network_of, of_missing
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.trees import Places

MOST_BYTES = 64 << 20
"""Most bytes of a file."""

_PLAIN = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom")
_LINKS = {
    **dict.fromkeys(_PLAIN, Link.IDENTITY),
    **dict.fromkeys(("binary", "cross_entropy", "multiclassova"), Link.SIGMOID),
    "cross_entropy_lambda": Link.SOFTPLUS,
    **dict.fromkeys(("poisson", "gamma", "tweedie"), Link.EXPONENTIAL),
    "multiclass": Link.SOFTMAX,
}
"""Functions of sums by objectives."""

_CATEGORY, _LEFT, _MISSING, _ZERO, _NAN, _MOST_TYPE = 1, 2, 2, 1, 2, 11
"""Parts of a decision's type: the bit of those on categories, the bit of those that send missing values to the left, the place of
the bits on what counts as missing, these bits if 0 or NaN does, and the greatest type."""


def read_lightgbm(text: bytes, where: str, classes: Classes | None) -> Network:
    """The network of a model, which predicts what ``Booster.predict`` does or, with ``classes``, what a classifier does.

    Raises:
        ModelFileError: the text is not that of a model.
        UnsupportedError: trees of linear leaves, or of an objective that cannot be translated.
    """
    if len(text) > MOST_BYTES or not text.startswith(LIGHTGBM_MARK):
        raise ModelFileError("not a model of LightGBM", where=where, accepted="the text of Booster.save_model")
    head, *blocks = text.decode("utf-8", "replace").partition("\nend of trees")[0].split("\nTree=")
    described = _entries(head)
    objective, *options = described.get("objective", "custom").split()
    link = one_of(_LINKS, objective, f"the objective {' '.join([objective, *options])[:50]!r}", where)
    (outputs,) = _numbers(described, "num_tree_per_iteration", 1, where).astype(int)
    if not 1 <= outputs <= MOST_OUTPUTS or not blocks:
        raise ModelFileError("a model without trees, or without outputs", where=where)
    slopes = [option.partition(":")[2] for option in options if option.startswith("sigmoid:")]
    scale = _number(slopes[0], where) if slopes else 1.0
    share = outputs / len(blocks) if "average_output" in described else 1.0
    trees = [
        _tree(_entries(block), number % outputs, outputs, scale * share, where) for number, block in enumerate(blocks)
    ]
    (last,) = _numbers(described, "max_feature_idx", 1, where).astype(int)
    layer = ensemble(trees, int(last) + 1, as_weights(np.zeros(outputs)), where)
    link = Link.SIGNED_SQUARE if "sqrt" in options else link
    kinds = [int(float(word)) for block in blocks for word in _entries(block).get("decision_type", "").split()]
    is_trained = any(kind >> _MISSING & 3 == _NAN and not kind & _CATEGORY for kind in kinds)
    names = described.get("feature_names", "").split(" ") if "feature_names" in described else []
    names = [] if names == [f"Column_{number}" for number in range(len(names))] else names  # of what had none
    network = with_columns(network_of(layer, link, classes, "LightGBM"), names, where)
    return of_missing(network, is_trained=is_trained)


def _entries(block: str) -> dict[str, str]:
    """The lines ``key=value`` of a block; a key alone has an empty value."""
    lines = (line.partition("=") for line in block.splitlines())
    return {key: value for key, _, value in lines}


def _number(word: str, where: str, most: float = sys.float_info.max) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not -sys.float_info.max <= value <= most:
        raise ModelFileError(f"{word[:40]!r} in place of a number", where=where)
    return value


def _numbers(entries: Mapping[str, str], key: str, count: int, where: str) -> Floats:
    """The numbers of an entry; a threshold is infinite where only missing values go the other way."""
    most = math.inf if key == "threshold" else sys.float_info.max
    values = np.array([_number(word, where, most) for word in entries.get(key, "").split()])
    if len(values) != count:
        raise ModelFileError(f"{key} has {len(values)} numbers", where=where, accepted=f"{count}")
    return values


def _tree(entries: Mapping[str, str], target: int, outputs: int, scale: float, where: str) -> Tree:
    """A tree: its decisions, then its leaves."""
    leaves = len(entries.get("leaf_value", "").split())
    inner = leaves - 1
    if leaves < 1:
        raise ModelFileError("a tree without leaves", where=where)
    if entries.get("is_linear", "0") != "0":
        raise UnsupportedError("leaves that are linear models", where=where, accepted="linear_tree=False")
    keys = ("split_feature", "threshold", "decision_type", "left_child", "right_child") if inner else ()
    columns = [_numbers(entries, key, inner, where) for key in keys] or [np.zeros(0)] * 5
    kinds = columns[2].astype(np.int64)
    if np.any(kinds < 0) or np.any(kinds > _MOST_TYPE):
        raise ModelFileError("a decision of a type that is not known", where=where)
    sets = _sets(entries, columns[1], kinds, where)
    values = np.zeros((inner + leaves, outputs))
    values[inner:, target] = _numbers(entries, "leaf_value", leaves, where) * scale
    feature, yes, no = (np.concatenate([columns[k], np.zeros(leaves)]).astype(np.int64) for k in (0, 3, 4))
    # Children below 0 are leaves, counted from -1.
    yes, no = (np.where(part < 0, inner - 1 - part, part) for part in (yes, no))
    bounds = np.concatenate([columns[1], np.zeros(leaves)])
    is_leaf = np.arange(inner + leaves) >= inner
    tree = Tree(is_leaf, feature, bounds, sets, yes, no, values)
    zeros = np.concatenate([((kinds >> _MISSING) & 3 == _ZERO) & (kinds & _CATEGORY == 0), is_leaf[inner:]])
    return sending(tree, 0.0, np.concatenate([kinds & _LEFT != 0, is_leaf[inner:]]), among=zeros)


def _sets(entries: Mapping[str, str], thresholds: Floats, kinds: Places, where: str) -> dict[int, Floats]:
    """The bounds of decisions on categories, by rows. Numbers between -1 and 0 count as 0, which LightGBM truncates to."""
    rows = np.flatnonzero(kinds & _CATEGORY)
    if not rows.size:
        return {}
    ends = np.array([int(_number(word, where)) for word in entries.get("cat_boundaries", "").split()])
    words = [int(_number(word, where)) for word in entries.get("cat_threshold", "").split()]
    sets = {}
    for row in rows.tolist():
        number = int(min(thresholds[row], len(ends)))
        if not 0 <= number < len(ends) - 1 or not 0 <= ends[number] < ends[number + 1] <= len(words):
            raise ModelFileError("a decision on categories that there are not", where=where)
        bits = [words[place] for place in range(ends[number], ends[number + 1])]
        chosen = [32 * place + bit for place, word in enumerate(bits) for bit in range(32) if word >> bit & 1]
        bounds = truncated_to(chosen)
        sets[row] = np.where(bounds == below(0.0), -1.0, bounds)
    return sets
