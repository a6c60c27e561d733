"""Live models of YDF, against what it predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import few

import bitsmith
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.read import read_model
from bitsmith.frontends.trees.outputs import of_ydf

ydf = pytest.importorskip("ydf")

Array = npt.NDArray[Any]
Rng = np.random.Generator

SAMPLES = 200
KINDS = ("binary", "three", "words", "numbers", "counts", "outliers")


def _columns(rng: Rng) -> tuple[dict[str, Array], list[Any]]:
    """Features of numbers, of integers that are categories, and of truth values."""
    numbers = {f"n{k}": rng.normal(size=SAMPLES).astype(np.float32) for k in range(int(rng.integers(1, 4)))}
    kinds = {f"c{k}": rng.integers(-2, int(rng.choice([2, 9])), SAMPLES) for k in range(int(rng.integers(0, 3)))}
    flags = {f"b{k}": rng.random(SAMPLES) < 0.5 for k in range(int(rng.integers(0, 2)))}
    return numbers | kinds | flags, [(name, ydf.Semantic.CATEGORICAL) for name in kinds]


def _drawn(rng: Rng, *, oblique: bool = False) -> Any:
    """A model of a random learner, target and options."""
    columns, listed = _columns(rng)
    kind = str(rng.choice(KINDS))
    options: dict[str, Any] = {
        "num_trees": int(rng.integers(1, 8)),
        "max_depth": int(rng.integers(1, 6)),
        "features": listed,
        "include_all_columns": True,
        "random_seed": int(rng.integers(1e6)),
        "num_threads": 1,
    }
    if kind == "outliers":
        return ydf.IsolationForestLearner(**options).train(columns, verbose=0)
    if oblique:
        options["split_axis"] = "SPARSE_OBLIQUE"
    score = sum(part * rng.normal() for part in columns.values()) + np.isin(next(iter(columns.values())), [1, 2])
    order = np.argsort(np.argsort(score))
    target: Array = {
        "binary": order % 3 == 0 if rng.random() < 0.3 else (order > SAMPLES // 2) + 4,
        "three": order * 3 // SAMPLES,
        "words": np.array(["ash", "birch", "yew"])[order * 3 // SAMPLES],
        "numbers": score.astype(np.float32),
        "counts": order.astype(np.float32) / 40,
    }[kind]
    learner = [ydf.GradientBoostedTreesLearner, ydf.RandomForestLearner, ydf.CartLearner][int(rng.integers(3))]
    if kind == "counts":
        learner = ydf.GradientBoostedTreesLearner
        options["loss"] = "POISSON"
    if learner is ydf.CartLearner:
        del options["num_trees"]
    if learner is ydf.RandomForestLearner:
        options["winner_take_all"] = bool(rng.integers(2))
    options["task"] = ydf.Task.REGRESSION if kind in ("numbers", "counts") else ydf.Task.CLASSIFICATION
    return learner(label="label", **options).train(columns | {"label": target}, verbose=0)


def _samples(model: Any, rng: Rng) -> npt.NDArray[np.float32]:
    """Numbers that may be thresholds or next to one, and categories that training has not seen."""
    features = model.input_features()
    conditions = []
    waiting = [tree.root for tree in model.iter_trees()]
    for node in waiting:
        if not node.is_leaf:
            conditions.append(node.condition)
            waiting += [node.pos_child, node.neg_child]
    x = np.zeros((300, len(features)), np.float32)
    for place, feature in enumerate(features):
        own = [
            c.threshold
            for c in conditions
            if getattr(c, "attribute", None) == feature.column_idx and hasattr(c, "threshold")
        ]
        near = rng.choice([*own, 0.25], len(x)).astype(np.float32)
        moved = np.nextafter(near, rng.choice([-np.inf, np.inf], len(x)).astype(np.float32))
        numbers = np.where(
            rng.random(len(x)) < 0.5, near, np.where(rng.random(len(x)) < 0.5, moved, rng.normal(size=len(x)))
        )
        kinds = {"CATEGORICAL": rng.integers(-4, 12, len(x)), "BOOLEAN": rng.integers(0, 2, len(x))}
        x[:, place] = kinds.get(feature.semantic.name, numbers)
    return x


def _check(model: Any, x: npt.NDArray[np.float32]) -> None:
    network, wanted = read_model(model), of_ydf(model, x).outputs
    found = network.evaluate([x.astype(np.float64)])
    assert len(network.outputs) == len(wanted)
    for name, right in zip(network.outputs, wanted, strict=True):
        np.testing.assert_allclose(found[name].reshape(right.shape), right, rtol=1e-5, atol=1e-5)


@few("seed", range(200), 20)
def test_random_models(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = _drawn(rng)
    _check(model, _samples(model, rng))


@few("seed", range(20), 3)
def test_conditions_on_weighted_sums(seed: int) -> None:
    """The sums are not of single precision: a sample that is as good as a threshold may go either way."""
    rng = np.random.default_rng(seed)
    model = _drawn(rng, oblique=True)
    x = rng.permuted(_samples(model, rng), axis=0)
    x += rng.normal(size=x.shape).astype(np.float32) * (x % 1 != 0)
    _check(model, x)


def test_circuits_are_compared_with_ydf(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    columns = {"a": rng.normal(size=SAMPLES).astype(np.float32), "k": rng.integers(0, 5, SAMPLES)}
    label = np.array(["no", "yes"])[((columns["a"] > 0.3) | (columns["k"] == 2)).astype(int)]
    features = [("k", ydf.Semantic.CATEGORICAL)]
    learner = ydf.RandomForestLearner(
        label="label", num_trees=4, max_depth=4, features=features, include_all_columns=True, num_threads=1
    )
    model = learner.train(columns | {"label": label}, verbose=0)
    x = np.stack([columns[feature.name] for feature in model.input_features()], 1).astype(np.float32)
    circuit = bitsmith.convert(model, tmp_path, calibration=x, check=True)
    agreement = circuit.fidelity.agreement
    assert agreement.framework == "YDF" and not agreement.problem
    labels, probabilities = of_ydf(model, x).outputs
    found = circuit.predict(x)
    np.testing.assert_array_equal(found[0].reshape(-1), labels)
    np.testing.assert_allclose(found[1], probabilities, atol=1e-4)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, words = rng.normal(size=SAMPLES), np.array(["ash", "birch", "yew"])[rng.integers(0, 3, SAMPLES)]
    data = {"x": x, "w": words, "y": x + (words == "ash")}
    options = {"label": "y", "task": ydf.Task.REGRESSION, "num_trees": 2, "num_threads": 1}
    model = ydf.GradientBoostedTreesLearner(**options).train(data, verbose=0)
    with pytest.raises(UnsupportedError, match="encode categories as integers"):
        read_model(model)
    data["w"] = np.array([["a", "b"][: 1 + k % 2] for k in range(SAMPLES)], dtype=np.object_)
    sets = ydf.GradientBoostedTreesLearner(features=[("w", ydf.Semantic.CATEGORICAL_SET), "x"], **options)
    with pytest.raises(UnsupportedError, match="a feature of the type CATEGORICAL_SET"):
        read_model(sets.train(data, verbose=0))


def test_classifiers_of_logits_give_these_alone() -> None:
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2)).astype(np.float32)
    learner = ydf.GradientBoostedTreesLearner(label="y", num_trees=3, num_threads=1)
    model = learner.train({"a": x[:, 0], "b": x[:, 1], "y": (x[:, 0] > x[:, 1]).astype(int)}, verbose=0)
    model.set_output_logits(True)
    assert len(read_model(model).outputs) == 1
    _check(model, x)


def test_folders_of_saved_models(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2)).astype(np.float32)
    data = {"a": x[:, 0], "b": x[:, 1], "y": (x[:, 0] > x[:, 1]).astype(int)}
    model = ydf.GradientBoostedTreesLearner(label="y", num_trees=3, num_threads=1).train(data, verbose=0)
    model.save(str(tmp_path / "saved"))
    circuit = bitsmith.convert(tmp_path / "saved", tmp_path / "out", calibration=x, check=True)
    assert circuit.fidelity.agreement.framework == "YDF" and not circuit.fidelity.agreement.problem
    np.testing.assert_array_equal(circuit.predict(x)[0].reshape(-1), of_ydf(model, x).outputs[0])
    (tmp_path / "saved" / "header.pb").write_bytes(b"\xff" * 40)
    with pytest.raises(ModelFileError, match="YDF cannot load it"):
        read_model(tmp_path / "saved")
