"""Ensembles of trees of the domain ``ai.onnx.ml``, against onnxruntime."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx

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
    with pytest.raises(UnsupportedError, match="combined by MAX"):
        read_onnx(_regressor(**_changed(), aggregate_function="MAX"))


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
