"""Scores of outputs by the kind of labels, against their definitions; and outputs that are computed a few samples at a time."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.errors import InputDataError
from bitsmith.fidelity import shortfall
from bitsmith.fidelity.scores import Measure, Score, Yardstick
from bitsmith.fidelity.shortfall import float_outputs
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.reduction import ArgMax

RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=(4, 3))
X = RNG.normal(size=(40, 4))


def network(weights: Floats = WEIGHTS) -> Network:
    dense = Dense(as_weights(weights), None)
    return Network((NetworkNode("x", Input((4,))), NetworkNode("y", dense, ("x",))), ("x",), ("y",))


@pytest.mark.parametrize("elements", [1, 20, 7 * 24, 1 << 20])
@pytest.mark.parametrize("samples", [0, 1, 40])
def test_outputs_are_those_of_all_samples_at_once(monkeypatch: pytest.MonkeyPatch, elements: int, samples: int) -> None:
    monkeypatch.setattr(shortfall, "_ELEMENTS", elements)
    (found,) = float_outputs(network(), [X[:samples]])
    np.testing.assert_allclose(found, X[:samples] @ WEIGHTS, atol=1e-12)


def test_classes_and_one_hot_rows_count_the_greatest_element() -> None:
    classes = (X @ WEIGHTS).argmax(axis=-1)
    labels = np.where(np.arange(40) < 4, (classes + 1) % 3, classes)
    for given in (labels, labels[:, None], labels.astype(float), np.eye(3)[labels]):
        yardstick = Yardstick.of(network(), [X], [given])
        assert (yardstick.score, yardstick.reference) == (Score.CORRECT, 0.9)
        found = np.eye(3)[np.where(np.arange(40) < 10, (labels + 1) % 3, labels)]
        scores = yardstick.of_outputs([found])
        assert (
            scores == (0.75,) and yardstick.loss(scores) == pytest.approx(0.15) and yardstick.text(scores) == "75.0 %"
        )


@pytest.mark.parametrize(
    ("low", "high", "threshold"), [(0.0, 1.0, 0.5), (0.25, 0.75, 0.5), (0.0, 1.0625, 0.0), (-0.0625, 1.0, 0.0)]
)
def test_decisions_are_told_by_probabilities_or_by_logits(low: float, high: float, threshold: float) -> None:
    """By the float model's outputs: of probabilities, which lie from 0 to 1, a half is between; of logits 0."""
    outputs = np.linspace(low, high, 8)[:, None]
    labels = (np.arange(8) % 3 == 0).astype(float)[:, None]
    found = np.array([-0.5, 0.0, 0.25, 0.5, 0.5001, 0.75, 1.0, 2.0])[:, None]
    assert Measure.of(labels, outputs).score_of(found) == np.mean((found > threshold) == (labels == 1.0))


def test_values_count_by_their_distance() -> None:
    labels = RNG.normal(size=(40, 3))
    (measure,) = Yardstick.of(network(), [X], [labels]).measures
    found = X @ WEIGHTS + 0.125
    wanted = np.sqrt(np.square(found - labels).sum() / 120) / np.sqrt(np.square(labels - labels.mean()).sum() / 120)
    assert measure.score is Score.DEVIATION and measure.score_of(found) == pytest.approx(wanted)
    assert measure.loss(wanted) == pytest.approx(wanted - measure.reference)
    assert Measure.of(np.full((40, 3), 2.5), found).score_of(np.full((40, 3), 3.0)) == 0.5


def test_several_outputs_score_as_the_worst_loses() -> None:
    first, second = X @ WEIGHTS, X @ WEIGHTS[:, :1]
    two = network()
    dense = NetworkNode("z", Dense(as_weights(WEIGHTS[:, :1]), None), ("x",))
    two = Network((*two.nodes, dense), ("x",), ("y", "z"))
    labels = [first.argmax(axis=-1), second + RNG.normal(size=second.shape)]
    yardstick = Yardstick.of(two, [X], labels)
    wrong = np.roll(first, 1, axis=-1)
    wrong[10:] = first[10:]
    error = np.sqrt(np.mean((second + 0.5 - labels[1]) ** 2)) / np.std(labels[1])
    known = np.sqrt(np.mean((second - labels[1]) ** 2)) / np.std(labels[1])
    scores = yardstick.of_outputs([wrong, second + 0.5])
    assert scores == (0.75, pytest.approx(error)) and yardstick.score is Score.LOSS
    assert yardstick.loss(scores) == yardstick.total(scores) == pytest.approx(max(0.25, error - known))
    assert yardstick.text(scores).startswith("75.0 %, ") and yardstick.references.startswith("100.0 %, ")
    with pytest.raises(InputDataError, match="labels for 1 outputs"):
        Yardstick.of(two, [X], labels[:1])


def test_labels_of_a_classifier_belong_to_its_scores() -> None:
    """Of two outputs, classes and their scores in either order, one array of labels scores as the scores alone do."""
    scores, labels = X @ WEIGHTS, RNG.integers(0, 3, 40)
    nodes = (*network().nodes, NetworkNode("class", ArgMax(-1, False), ("y",)))
    alone = Yardstick.of(network(), [X], [labels])
    for outputs in (("class", "y"), ("y", "class")):
        yardstick = Yardstick.of(Network(nodes, ("x",), outputs), [X], [labels])
        assert (yardstick.score, yardstick.reference) == (Score.CORRECT, alone.reference)
        few = {"class": np.zeros(40), "y": np.roll(scores, 1, axis=-1)}
        found = [few[name] for name in outputs]
        assert yardstick.of_outputs(found) == alone.of_outputs([few["y"]])
        assert yardstick.expected(found) == alone.expected([few["y"]])
        assert yardstick.of_samples(np.arange(9)).reference == alone.of_samples(np.arange(9)).reference
        own = Yardstick.of(
            Network(nodes, ("x",), outputs), [X], [labels], lambda got, y: float((got.argmax(-1) == y).sum())
        )
        assert own.of_outputs(found) == (float((few["y"].argmax(axis=-1) == labels).sum()),)


def test_without_labels_the_worst_output_counts_by_its_range() -> None:
    outputs = [np.array([[0.0], [4.0], [2.0]]), np.full((3, 1), 8.0), np.zeros((3, 1))]
    yardstick = Yardstick([], outputs)
    for number, error in ((0, 0.25), (1, 0.125), (2, 1.0)):
        found = [each + (k == number) for k, each in enumerate(outputs)]
        assert yardstick.of_outputs(found) == (error,) == (yardstick.loss((error,)),)
    assert Yardstick.of(network(), [X]).score is Score.ERROR


def test_the_same_error_of_some_samples_is_the_same_share_of_the_range() -> None:
    """As few show a smaller one; also of those that are taken from some."""
    wanted = np.arange(12.0)[:, None]
    some = Yardstick([wanted], [wanted]).of_samples(np.arange(6))
    for yardstick in (some, some.of_samples(np.array([2, 3]))):
        assert yardstick.of_outputs([yardstick.outputs[0] + 1.1]) == (pytest.approx(0.1),)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full(40, 3), "labels from 3 to 3"),
        (np.full(40, -1), "labels from -1 to -1"),
        (np.zeros((40, 2)), "labels of shape"),
        (np.zeros(39), "labels for 39 samples"),
    ],
)
def test_other_labels_are_refused(labels: Floats, words: str) -> None:
    with pytest.raises(InputDataError) as refused:
        Yardstick.of(network(), [X], [labels])
    assert words in str(refused.value)


def test_the_distance_is_that_of_the_worst_output_as_a_share_of_its_variance() -> None:
    """A constant has none: its own distance counts."""
    outputs = [np.array([[0.0], [4.0]]), np.array([[0.0], [8.0]]), np.full((2, 1), 3.0)]
    yardstick = Yardstick([], outputs)
    assert yardstick.distance(outputs) == 0.0
    for number, share in ((0, 1 / 4), (1, 1 / 16), (2, 1.0)):
        assert yardstick.distance([each + (k == number) for k, each in enumerate(outputs)]) == pytest.approx(share)
    assert yardstick.distance([outputs[0] + 1, outputs[1] + 1, outputs[2]]) == pytest.approx(1 / 4)
