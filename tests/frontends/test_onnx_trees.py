"""Ensembles of trees of the domain ``ai.onnx.ml``, against onnxruntime and the reference of ONNX."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.trees import Trees

FEATURES = 3
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE", "BRANCH_EQ", "BRANCH_NEQ")

Attributes = dict[str, Any]


def _nodes(
    rng: np.random.Generator, modes: tuple[str, ...], trees: int = 3
) -> tuple[Attributes, list[tuple[int, int]]]:
    """Columns of nodes, and the leaves."""
    rows: list[tuple[int, int, int, str, float, int, int]] = []
    leaves: list[tuple[int, int]] = []
    for number in range(trees):
        names = itertools.count()

        def grown(depth: int, number: int = number, names: Any = names) -> int:
            name = next(names)
            if depth == 0:
                leaves.append((number, name))
                rows.append((number, name, 0, "LEAF", 0.0, 0, 0))
                return name
            where, mode = len(rows), str(rng.choice(modes))
            bound, feature = float(rng.integers(-3, 4)) / 2, int(rng.integers(FEATURES))
            rows.append((number, name, feature, mode, bound, 0, 0))
            rows[where] = (number, name, feature, mode, bound, grown(depth - 1), grown(int(rng.integers(depth))))
            return name

        grown(3)
    keys = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    return {f"nodes_{key}": [row[k] for row in rows] for k, key in enumerate(keys)}, leaves


def _weights(
    rng: np.random.Generator, leaves: list[tuple[int, int]], of: str, outputs: list[int], least: int
) -> Attributes:
    rows = [(*leaf, output, float(rng.integers(least, 9)) / 8) for leaf in leaves for output in outputs]
    return {f"{of}_{key}": [row[k] for row in rows] for k, key in enumerate(("treeids", "nodeids", "ids", "weights"))}


def _model(operator: str, attributes: Attributes, outputs: list[tuple[str, int]]) -> onnx.ModelProto:
    node = helper.make_node(operator, ["x"], [name for name, _ in outputs], "trees", domain="ai.onnx.ml", **attributes)
    shaped = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs]
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])
    graph = helper.make_graph([node], "graph", [entry], shaped)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _regressor(**attributes: Any) -> onnx.ModelProto:
    return _model("TreeEnsembleRegressor", attributes, [("y", TensorProto.FLOAT)])


def _classifier(**attributes: Any) -> onnx.ModelProto:
    return _model("TreeEnsembleClassifier", attributes, [("label", TensorProto.INT64), ("scores", TensorProto.FLOAT)])


def _compare(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Results on numbers that are often those of thresholds."""
    x = (rng.integers(-8, 9, (200, FEATURES)) / 4).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted: list[npt.NDArray[Any]] = session.run(None, {"x": x})
    network = read_onnx(model)
    found = network.evaluate([x.astype(np.float64)])
    for name, right in zip(network.outputs, wanted, strict=True):
        np.testing.assert_allclose(found[name].reshape(right.shape), right, atol=1e-6)


@pytest.mark.parametrize("mode", [*MODES, "all"])
@pytest.mark.parametrize("seed", range(3))
def test_decisions_of_each_mode(mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes, leaves = _nodes(rng, MODES if mode == "all" else (mode,))
    _compare(_regressor(**nodes, **_weights(rng, leaves, "target", [0], -8), n_targets=1), rng)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bound", [np.inf, float(np.finfo(np.float32).max)])
def test_thresholds_without_an_end_need_no_format(mode: str, bound: float) -> None:
    rng = np.random.default_rng(3)
    nodes, leaves = _nodes(rng, (mode,))
    bounds = nodes["nodes_values"]
    bounds[::3] = [float(np.copysign(bound, value)) if value else 0.0 for value in bounds[::3]]
    model = _regressor(**nodes, **_weights(rng, leaves, "target", [0], -8), n_targets=1)
    _compare(model, rng)
    trees = next(node.layer for node in read_onnx(model).nodes if isinstance(node.layer, Trees))
    finite = trees.thresholds[np.isfinite(trees.thresholds)]
    assert np.all(np.abs(finite) < 2.0)
    assert np.any(np.isinf(trees.thresholds[:, 0]))


@pytest.mark.parametrize("how", ["SUM", "AVERAGE"])
@pytest.mark.parametrize("post", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_regressors_of_several_targets(how: str, post: str) -> None:
    rng = np.random.default_rng(5)
    nodes, leaves = _nodes(rng, MODES)
    weights = _weights(rng, leaves, "target", [0, 1, 2], -8)
    more = {"n_targets": 3, "aggregate_function": how, "base_values": [0.5, -1.0, 0.25], "post_transform": post}
    if post == "SOFTMAX":
        more["aggregate_function"] = "SUM"
    _compare(_regressor(**nodes, **weights, **more), rng)


@pytest.mark.parametrize("labels", [[0, 1, 2], [7, -3, 4]])
@pytest.mark.parametrize("post", ["NONE", "SOFTMAX"])
def test_classifiers_of_several_classes(labels: list[int], post: str) -> None:
    rng = np.random.default_rng(6)
    nodes, leaves = _nodes(rng, MODES)
    weights = _weights(rng, leaves, "class", [0, 1, 2], 0)
    weights["class_weights"] = [w + k / 1024 for k, w in enumerate(weights["class_weights"])]  # no ties
    _compare(_classifier(**nodes, **weights, classlabels_int64s=labels, post_transform=post), rng)


@pytest.mark.parametrize("least", [0, -8])
@pytest.mark.parametrize("post", ["NONE", "LOGISTIC"])
@pytest.mark.parametrize("base", [[], [0.125]])
def test_classifiers_of_two_classes_of_which_one_has_weights(least: int, post: str, base: list[float]) -> None:
    """Where all weights are positive they are probabilities, whatever the function."""
    rng = np.random.default_rng(7)
    nodes, leaves = _nodes(rng, MODES)
    weights = _weights(rng, leaves, "class", [0], least)
    more = {"base_values": base} if base else {}
    _compare(_classifier(**nodes, **weights, classlabels_int64s=[4, 9], post_transform=post, **more), rng)


@pytest.mark.parametrize("post", ["LOGISTIC", "SOFTMAX"])
def test_a_function_of_one_score_is_refused(post: str) -> None:
    """ONNX says to take it, and onnxruntime leaves it out."""
    rng = np.random.default_rng(8)
    nodes, leaves = _nodes(rng, MODES)
    weights = _weights(rng, leaves, "target", [0], -8)
    with pytest.raises(UnsupportedError, match=f"post_transform={post} of one score, which onnxruntime leaves out"):
        read_onnx(_regressor(**nodes, **weights, n_targets=1, post_transform=post))


@pytest.mark.parametrize(
    ("weighted", "more"), [([0], {"post_transform": "SOFTMAX"}), ([0, 1], {}), ([0, 1], {"base_values": [0.5, -1.0]})]
)
def test_two_classes_of_which_onnxruntime_has_other_results_are_refused(weighted: list[int], more: Attributes) -> None:
    rng = np.random.default_rng(9)
    nodes, leaves = _nodes(rng, MODES)
    model = _classifier(**nodes, **_weights(rng, leaves, "class", weighted, -8), classlabels_int64s=[0, 1], **more)
    with pytest.raises(UnsupportedError, match=r"two classes, .*: onnxruntime differs"):
        read_onnx(model)


@pytest.mark.parametrize("post", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_scores_of_two_classes_that_both_have_weights(post: str) -> None:
    rng = np.random.default_rng(10)
    nodes, leaves = _nodes(rng, MODES)
    weights = _weights(rng, leaves, "class", [0, 1], -8)
    model = _classifier(**nodes, **weights, classlabels_int64s=[0, 1], post_transform=post)
    del model.graph.output[0]
    _compare(model, rng)


def _changed(**changes: Callable[[list[Any]], object]) -> Attributes:
    rng = np.random.default_rng(0)
    nodes, leaves = _nodes(rng, MODES)
    attributes = nodes | _weights(rng, leaves, "target", [0], -8)
    for key, change in changes.items():
        change(attributes[key])
    return attributes


WRONG: dict[str, tuple[dict[str, Callable[[list[Any]], object]], str]] = {
    "short": ({"nodes_values": lambda column: column.pop()}, "unlike lengths"),
    "mode": ({"nodes_modes": lambda column: column.__setitem__(0, "BRANCH_MEMBER")}, "decisions BRANCH_MEMBER"),
    "feature": ({"nodes_featureids": lambda column: column.__setitem__(0, 3)}, "a feature that there is not"),
    "branch": ({"nodes_truenodeids": lambda column: column.__setitem__(0, 77)}, "leads nowhere"),
    "leaf": ({"target_nodeids": lambda column: column.__setitem__(0, 77)}, "a weight of a leaf"),
    "target": ({"target_ids": lambda column: column.__setitem__(0, 5)}, "for an output, that there is not"),
    "weights": ({"target_weights": lambda column: column.pop()}, "unlike lengths"),
}


@pytest.mark.parametrize("name", WRONG)
def test_damaged_ensembles_are_one_error(name: str) -> None:
    changes, said = WRONG[name]
    with pytest.raises((ModelFileError, UnsupportedError), match=said):
        read_onnx(_regressor(**_changed(**changes)))


def test_other_aggregations_are_rejected() -> None:
    for how, outputs in (("MEDIAN", 1), ("MAX", 2)):
        with pytest.raises(UnsupportedError, match=f"combined by {how}, of {outputs} outputs"):
            read_onnx(_regressor(**_changed(), aggregate_function=how, n_targets=outputs))


@pytest.mark.parametrize("base", [0.0, 0.75])
@pytest.mark.parametrize("how", ["MIN", "MAX"])
def test_the_least_and_the_greatest_of_trees(how: str, base: float) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        nodes, leaves = _nodes(rng, MODES)
        more = {"n_targets": 1, "aggregate_function": how, **({"base_values": [base]} if base else {})}
        _compare(_regressor(**nodes, **_weights(rng, leaves, "target", [0], -8), **more), rng)
        _compare(_fifth(rng, tuple(range(7)), 1, aggregate_function=("MIN", "MAX").index(how) + 2), rng)


def test_two_rows_of_one_number_and_a_node_with_two_parents_are_rejected() -> None:
    twice = _changed(nodes_nodeids=lambda column: column.__setitem__(1, column[0]))
    with pytest.raises(ModelFileError, match="two nodes of a tree with one number"):
        read_onnx(_regressor(**twice))
    shared = _changed()
    inner = [
        row for row, mode in enumerate(shared["nodes_modes"]) if mode != "LEAF" and shared["nodes_treeids"][row] == 0
    ]
    shared["nodes_truenodeids"][inner[0]] = shared["nodes_falsenodeids"][inner[0]] = shared["nodes_nodeids"][inner[1]]
    with pytest.raises(UnsupportedError, match="several parents"):
        read_onnx(_regressor(**shared))


def _fifth(rng: np.random.Generator, modes: tuple[int, ...], outputs: int, **more: Any) -> onnx.ModelProto:
    """A model of TreeEnsemble, nodes before those that they lead to."""
    rows: list[list[Any]] = []
    leaves: list[tuple[float, int]] = []
    members: list[float] = []

    def grown(depth: int) -> tuple[int, int]:
        if depth < 0:
            leaves.append((float(rng.integers(-8, 9)) / 8, int(rng.integers(outputs))))
            return len(leaves) - 1, 1
        place, mode = len(rows), int(rng.choice(modes))
        rows.append([int(rng.integers(FEATURES)), mode, float(rng.integers(-3, 4)) / 2])
        if mode == 6:
            chosen = rng.choice([1.0, 2.0, 3.0, 5.0], int(rng.integers(1, 4)), replace=False)  # as onnxruntime has them
            members.extend([*chosen.tolist(), np.nan])
        rows[place] += [*grown(depth - 1), *grown(int(rng.integers(-1, depth)))]
        return place, 0

    roots = [grown(int(rng.integers(0, 4)))[0] for _ in range(3)]
    features, kinds, splits, yes, yes_leaf, no, no_leaf = (list(part) for part in zip(*rows, strict=True))
    lists = {
        "nodes_featureids": features, "nodes_truenodeids": yes, "nodes_falsenodeids": no, "nodes_trueleafs": yes_leaf,
        "nodes_falseleafs": no_leaf, "leaf_targetids": [target for _, target in leaves], "tree_roots": roots,
        "n_targets": outputs,
    }  # fmt: skip
    tensors: dict[str, npt.NDArray[Any]] = {
        "nodes_modes": np.array(kinds, np.uint8),
        "nodes_splits": np.array(splits, np.float32),
        "leaf_weights": np.array([weight for weight, _ in leaves], np.float32),
    }
    if members:
        tensors["membership_values"] = np.array(members, np.float32)
    attributes = {**lists, **{key: numpy_helper.from_array(part, key) for key, part in tensors.items()}, **more}
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], "trees", domain="ai.onnx.ml", **attributes)
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])
    graph = helper.make_graph([node], "graph", [entry], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("modes", [(0,), (1,), (2,), (3,), (4,), (5,), (6,), tuple(range(7))])
def test_ensembles_of_version_five(modes: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = _fifth(rng, modes, 1 + seed % 3, aggregate_function=seed % 2)
    _compare(model, rng)
    x = (rng.integers(-8, 9, (60, FEATURES)) / 4).astype(np.float32)
    network = read_onnx(model)
    (right,) = ReferenceEvaluator(model).run(None, {"x": x})
    found = network.evaluate([x.astype(np.float64)])[network.outputs[0]]
    np.testing.assert_allclose(found, np.asarray(right), atol=1e-6)


@pytest.mark.parametrize("post", [1, 2])
def test_functions_of_scores_of_version_five(post: int) -> None:
    """By ONNX's numbers of functions: the reference leaves them out, and onnxruntime 1.32 takes one for the other."""
    rng = np.random.default_rng(post)
    x, plain = rng.integers(-8, 9, (60, FEATURES)) / 4, _fifth(np.random.default_rng(3), (0, 6), 3)
    changed = _fifth(np.random.default_rng(3), (0, 6), 3, post_transform=post)
    scores, found = (
        network.evaluate([x])[network.outputs[0]] for network in (read_onnx(model) for model in (plain, changed))
    )
    powers = np.exp(scores)
    wanted = powers / powers.sum(axis=1, keepdims=True) if post == 1 else powers / (1 + powers)
    np.testing.assert_allclose(found, wanted, atol=1e-9)


FIFTH: dict[str, tuple[dict[str, Any], str]] = {
    "lengths": ({"nodes_featureids": [0, 0]}, "unlike lengths"),
    "leaf": ({"nodes_truenodeids": [99], "nodes_trueleafs": [1]}, "a leaf that there is not"),
    "root": ({"tree_roots": [0, 0]}, "leads nowhere"),
    "no roots": ({"tree_roots": None}, "no trees"),
    "mode": ({"nodes_modes": numpy_helper.from_array(np.array([9], np.uint8))}, "not known"),
    "sets": ({"membership_values": numpy_helper.from_array(np.array([1, np.nan], np.float32))}, "1 sets for 0"),
    "target": ({"leaf_targetids": [0, 7]}, "for an output that there is not"),
    "aggregation": ({"aggregate_function": 3, "n_targets": 2}, "combined by MAX"),
    "no aggregation": ({"aggregate_function": 4}, "not known"),
    "function": ({"post_transform": 4}, "PROBIT"),
    "no function": ({"post_transform": 9}, "not known"),
}


@pytest.mark.parametrize("name", FIFTH)
def test_damaged_ensembles_of_version_five_are_one_error(name: str) -> None:
    changes, said = FIFTH[name]
    plain = {
        "nodes_featureids": [0], "nodes_truenodeids": [0], "nodes_falsenodeids": [1], "nodes_trueleafs": [1],
        "nodes_falseleafs": [1], "leaf_targetids": [0, 0], "tree_roots": [0], "n_targets": 1,
        "nodes_modes": numpy_helper.from_array(np.array([0], np.uint8)),
        "nodes_splits": numpy_helper.from_array(np.array([0.5], np.float32)),
        "leaf_weights": numpy_helper.from_array(np.array([1.0, 2.0], np.float32)),
    }  # fmt: skip
    with pytest.raises((ModelFileError, UnsupportedError), match=said):
        attributes = {key: value for key, value in (plain | changes).items() if value is not None}
        read_onnx(_model("TreeEnsemble", attributes, [("y", TensorProto.FLOAT)]))
