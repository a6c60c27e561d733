"""Models of treelite: the JSON of ``Model.dump_as_json``, which live models give too (https://treelite.readthedocs.io)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bitsmith.errors import UnsupportedError, one_of
from bitsmith.frontends.files.json import Fields, parse_json
from bitsmith.frontends.ops.trees import Decision, Tree, below, ensemble, equal_to, tree_of, truncated_to
from bitsmith.frontends.trees.network import MOST_OUTPUTS, Link, network_of, of_missing
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network

_LINKS: Mapping[str, tuple[Link, Callable[[Fields], float]]] = {
    "identity": (Link.IDENTITY, lambda model: 1.0),
    "identity_multiclass": (Link.IDENTITY, lambda model: 1.0),
    "signed_square": (Link.SIGNED_SQUARE, lambda model: 1.0),
    "hinge": (Link.STEP, lambda model: 1.0),
    "sigmoid": (Link.SIGMOID, lambda model: model.number("sigmoid_alpha")),
    "multiclass_ova": (Link.SIGMOID, lambda model: model.number("sigmoid_alpha")),
    "softmax": (Link.SOFTMAX, lambda model: 1.0),
    "exponential": (Link.EXPONENTIAL, lambda model: 1.0),
    "exponential_standard_ratio": (Link.POWER, lambda model: -1 / model.number("ratio_c")),
    "logarithm_one_plus_exp": (Link.SOFTPLUS, lambda model: 1.0),
}
"""Functions of sums by postprocessors, and what the sums are multiplied by before."""


def read_treelite(text: bytes, where: str) -> Network:
    """The network of a model, which predicts what ``treelite.gtil.predict`` does.

    Raises:
        ModelFileError: the JSON is not that of a model.
        UnsupportedError: a postprocessor, or an operator, that cannot be translated.
    """
    model = Fields(parse_json(text, where), where)
    name, classes = model.text("postprocessor"), model.integers("num_class")
    link, factor = one_of(_LINKS, name, f"the postprocessor {name[:50]!r}", where)
    if not classes or min(classes) < 1 or len(classes) * max(classes) > MOST_OUTPUTS:
        raise model.wrong("num_class", f"numbers of classes, for at most {MOST_OUTPUTS} outputs")
    if link is Link.SOFTMAX and len(set(classes)) > 1:
        raise UnsupportedError(
            f"softmax of targets of {min(classes)} to {max(classes)} classes", where=where, accepted="equal numbers"
        )
    shape = len(classes), max(classes)
    targets, shares = _targets(model, shape)
    scale = factor(model)
    trees = [_tree(tree, target, shares * scale) for tree, target in zip(model.objects("trees"), targets, strict=True)]
    base = model.constant("base_scores").ravel()
    if base.size != shares.size:
        raise model.error(f"{base.size} base scores", f"{shares.size}")
    layer = ensemble(trees, model.positive("num_feature"), as_weights(base * scale), where)
    network = network_of(layer, link, None, "treelite", shape if 1 not in shape else None)
    return of_missing(network, is_trained=_saw_missing(model.objects("trees")))


def _saw_missing(trees: Sequence[Fields]) -> bool:
    """Return True if missing values go elsewhere than to one side, where 0 goes (LightGBM) or most samples (scikit-learn).

    These are where they go if training saw none.
    """
    sides: list[tuple[bool, bool, bool]] = []
    for nodes in (tree.objects("nodes") for tree in trees):
        for node in (node for node in nodes if node.values.get("node_type") == "numerical_test_node"):
            left, right = (nodes[node.integer(key)].integer("data_count", 0) for key in ("left_child", "right_child"))
            sides.append((node.flag("default_left"), node.number("threshold") >= 0.0, left > right))
    if not sides:
        return False
    missing, zero, most = np.array(sides).T
    return not any(np.all(missing == side) for side in (True, False, zero, most))


def _targets(model: Fields, shape: tuple[int, int]) -> tuple[list[tuple[slice, slice]], Floats]:
    """The outputs of each tree, and for each output the share of the trees' sum that counts."""
    rows, columns = model.integers("target_id"), model.integers("class_id")
    trees = model.objects("trees")
    if not trees or not len(trees) == len(rows) == len(columns):
        raise model.error("trees without an output, or none")
    if not all(-1 <= own < most for ids, most in ((rows, shape[0]), (columns, shape[1])) for own in ids):
        raise model.error("trees for outputs that there are not")
    targets = [(_chosen(row), _chosen(column)) for row, column in zip(rows, columns, strict=True)]
    counts = np.zeros(shape)
    for target in targets:
        counts[target] += 1
    shares = 1 / np.maximum(counts, 1) if model.flag("average_tree_output") else np.ones(shape)
    return targets, as_weights(shares)


def _chosen(number: int) -> slice:
    """The outputs that a number stands for: one, or all of them."""
    return slice(None) if number < 0 else slice(number, number + 1)


def _tree(tree: Fields, target: tuple[slice, slice], shares: Floats) -> Tree:
    nodes = tree.objects("nodes")
    if [node.integer("node_id") for node in nodes] != list(range(len(nodes))) or not nodes:
        raise tree.error("nodes that are not numbered from 0 on")
    return tree_of([_leaf(node, target, shares) if "leaf_value" in node.values else _decision(node) for node in nodes])


def _leaf(node: Fields, target: tuple[slice, slice], shares: Floats) -> Floats:
    values, own = np.zeros(shares.shape), node.constant("leaf_value").ravel()
    if own.size not in (1, values[target].size):
        raise node.error(f"a leaf of {own.size} numbers", f"{values[target].size}")
    values[target] = own.reshape(values[target].shape) if own.size > 1 else own
    return as_weights((values * shares).ravel())


def _decision(node: Fields) -> Decision:
    kind, feature = node.text("node_type"), node.integer("split_feature_id")
    left, right = node.integer("left_child"), node.integer("right_child")
    if kind == "categorical_test_node":
        ends = (right, left) if node.flag("category_list_right_child") else (left, right)
        return Decision(feature, truncated_to(_categories(node)), *ends)
    if kind != "numerical_test_node":
        raise UnsupportedError(
            f"nodes of the type {kind[:40]!r}", where=node.where, accepted="numerical and categorical tests"
        )
    operator, threshold = node.text("comparison_op"), node.number("threshold")
    bounds: dict[str, tuple[float | Floats, bool]] = {
        "<=": (threshold, False),
        "<": (float(below(threshold)), False),
        ">": (threshold, True),
        ">=": (float(below(threshold)), True),
        "==": (equal_to([threshold] if float(np.float32(threshold)) == threshold else []), False),
    }
    bound, negated = one_of(bounds, operator, f"the operator {operator[:40]!r}", node.where)
    return Decision(feature, bound, *((right, left) if negated else (left, right)))


def _categories(node: Fields) -> Sequence[int]:
    listed = node.integers("category_list")
    if listed and min(listed) < 0:
        raise node.wrong("category_list", "integers from 0 on")
    return listed
