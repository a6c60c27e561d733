"""Models of treelite, its own and those of other libraries, against its general inference."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xgboost
from sklearn import ensemble
from tests.properties import few

import bitsmith
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.read import read_model
from bitsmith.frontends.trees.treelite import read_treelite

treelite = pytest.importorskip("treelite")
builder = pytest.importorskip("treelite.model_builder")

Array = npt.NDArray[Any]
Rng = np.random.Generator

FEATURES = 3
OPERATORS = ("<", "<=", ">", ">=", "==")
FUNCTIONS = (
    "identity", "signed_square", "hinge", "sigmoid", "exponential", "exponential_standard_ratio", "logarithm_one_plus_exp",
    "softmax", "multiclass_ova", "identity_multiclass",
)  # fmt: skip
KINDS = {"kRegressor": FUNCTIONS[:7], "kMultiClf": FUNCTIONS[7:]}


def _grown(made: Any, rng: Rng, operators: tuple[str, ...], leaf: Callable[[], Any], depth: int) -> None:
    """A tree of a builder, with nodes in the order of a walk."""
    nodes: list[Callable[[], None]] = []

    def grow(left: int) -> int:
        key = len(nodes)
        if left == 0 or rng.random() < 0.15:
            nodes.append(partial(made.leaf, leaf()))
            return key
        nodes.append(lambda: None)
        ends = {"left_child_key": grow(left - 1), "right_child_key": grow(left - 1)}
        feature, default = int(rng.integers(FEATURES)), bool(rng.integers(2))
        operator = str(rng.choice([*operators, "in"]))
        if operator == "in":
            listed = sorted({*rng.integers(0, 6, int(rng.integers(1, 4))).tolist()})
            how = {"category_list": listed, "category_list_right_child": bool(rng.integers(2))}
            nodes[key] = lambda: made.categorical_test(feature, default_left=default, **how, **ends)
        else:
            bound = float(rng.choice([rng.integers(-4, 9) / 2, 0.1, rng.normal()]))
            nodes[key] = lambda: made.numerical_test(feature, bound, default_left=True, opname=operator, **ends)
        return key

    grow(depth)
    made.start_tree()
    for key, node in enumerate(nodes):
        made.start_node(key)
        node()
        made.end_node()
    made.end_tree()


def _drawn(rng: Rng) -> Any:
    """A model of random operators, functions, outputs and types of numbers."""
    kind = str(rng.choice([*KINDS]))
    targets = int(rng.integers(1, 3))
    classes = [1] * targets if kind == "kRegressor" else [int(rng.integers(2, 4))] * targets
    vectors = bool(rng.integers(2))
    shape = [targets, max(classes)] if vectors else [1, 1]
    trees = int(rng.integers(1, 6))
    of = [-1] * trees if vectors else rng.integers(0, targets, trees).tolist()
    one = [0] * trees if kind == "kRegressor" else rng.integers(0, max(classes), trees).tolist()
    columns = ([-1] * trees if kind != "kRegressor" else one) if vectors else one
    numbers = "float32" if rng.integers(2) else "float64"
    made = builder.ModelBuilder(
        threshold_type=numbers,
        leaf_output_type=numbers,
        metadata=builder.Metadata(FEATURES, kind, vectors and bool(rng.integers(2)), targets, classes, shape),
        tree_annotation=builder.TreeAnnotation(trees, of, columns),
        postprocessor=builder.PostProcessorFunc(str(rng.choice(KINDS[kind])), sigmoid_alpha=0.5, ratio_c=1.5),
        base_scores=(rng.integers(-4, 5, targets * max(classes)) / 4).tolist(),
    )
    operators = OPERATORS if rng.integers(2) else (str(rng.choice(OPERATORS)),)

    def leaf() -> Any:
        values = (rng.integers(-8, 9, shape[0] * shape[1]) / 8).tolist()
        return values if vectors else values[0]

    for _ in range(trees):
        _grown(made, rng, operators, leaf, int(rng.integers(1, 5)))
    return made.commit()


def _samples(model: Any, rng: Rng) -> npt.NDArray[np.float32]:
    """Numbers that often are thresholds or next to one, or parts of categories."""
    nodes = [node for tree in json.loads(model.dump_as_json())["trees"] for node in tree["nodes"]]
    listed = [node["threshold"] for node in nodes if "threshold" in node] or [0.0]
    near = rng.choice(listed, (200, FEATURES)).astype(np.float32)
    moved = np.nextafter(near, rng.choice([-np.inf, np.inf], near.shape).astype(np.float32))
    some = [near, moved, (rng.integers(-8, 40, near.shape) / 4).astype(np.float32)]
    return np.choose(rng.integers(0, 3, near.shape), some)


def _check(model: Any, x: npt.NDArray[np.float32], source: Any) -> None:
    network = read_model(source)
    wanted = np.asarray(treelite.gtil.predict(model, x))
    found = network.evaluate([x.astype(np.float64)])[network.outputs[0]]
    if 1 not in wanted.shape[1:]:
        assert found.shape == wanted.shape
    found, parts = found.reshape(wanted.shape), {layer.kind for layer in (node.layer for node in network.nodes)}
    if "Sign" in parts:  # which rounding decides where leaves sum to 0
        sums = np.asarray(treelite.gtil.predict(model, x, pred_margin=True))
        found = np.where(np.abs(sums) < 1e-6, wanted, found)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@few("seed", range(300), 40)
def test_random_models(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    model = _drawn(rng)
    x = _samples(model, rng)
    _check(model, x, model)
    path = tmp_path / "model.json"
    path.write_text(model.dump_as_json(pretty_print=bool(seed % 2)))
    _check(model, x, path)


def _imported() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, FEATURES)).astype(np.float32), rng.integers(0, 3, 200)
    booster = xgboost.XGBClassifier(n_estimators=3, max_depth=3).fit(x, y).get_booster()
    several = np.stack([y, y > 0], 1)
    sklearn = treelite.sklearn.import_model
    return {
        "XGBoost": treelite.frontend.from_xgboost(booster),
        "forest": sklearn(ensemble.RandomForestClassifier(3, max_depth=3, random_state=0).fit(x, y)),
        "several": sklearn(ensemble.RandomForestClassifier(3, max_depth=3, random_state=0).fit(x, several)),
        "histogram": sklearn(ensemble.HistGradientBoostingClassifier(max_iter=3).fit(x, y)),
        "outliers": sklearn(ensemble.IsolationForest(n_estimators=3, random_state=0).fit(x)),
    }


@pytest.mark.parametrize("name", ["XGBoost", "forest", "several", "histogram", "outliers"])
def test_models_of_other_libraries(name: str) -> None:
    model = _imported()[name]
    _check(model, _samples(model, np.random.default_rng(1)), model)


def test_circuits_are_compared_with_treelite(tmp_path: Path) -> None:
    model, rng = _imported()["XGBoost"], np.random.default_rng(0)
    x = rng.normal(size=(100, FEATURES)).astype(np.float32)
    circuit = bitsmith.convert(model, tmp_path, calibration=x, check=True)
    agreement = circuit.fidelity.agreement
    assert agreement.framework == "treelite" and not agreement.problem
    np.testing.assert_allclose(circuit.predict(x), treelite.gtil.predict(model, x)[:, 0], atol=2e-3)


def _node(model: dict[str, Any]) -> dict[str, Any]:
    nodes = [node for tree in model["trees"] for node in tree["nodes"]]
    return next(node for node in nodes if "threshold" in node)


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a function": (lambda model: model.update(postprocessor="cube"), "the postprocessor 'cube'"),
    "an operator": (lambda model: _node(model).update(comparison_op="!="), "the operator '!='"),
    "a type": (lambda model: _node(model).update(node_type="oblique"), "nodes of the type 'oblique'"),
    "a child": (lambda model: _node(model).update(left_child=99), "leads nowhere"),
    "a feature": (lambda model: _node(model).update(split_feature_id=9), "a feature that there is not"),
    "an output": (lambda model: model["target_id"].__setitem__(0, 9), "outputs that there are not"),
    "a missing tree": (lambda model: model["trees"].pop(), "trees without an output"),
    "classes": (lambda model: model.update(num_class=[9999]), "numbers of classes"),
    "base scores": (lambda model: model["base_scores"].append(0.0), "base scores"),
    "numbers of nodes": (lambda model: _node(model).update(node_id=7), "not numbered from 0"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_cannot_be_read_is_named(name: str) -> None:
    change, said = DAMAGES[name]
    content = json.loads(_imported()["XGBoost"].dump_as_json())
    change(content)
    with pytest.raises((ModelFileError, UnsupportedError), match=said):
        read_treelite(json.dumps(content).encode(), "model.json")
