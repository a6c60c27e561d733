"""Confidence is scaled so that what a circuit is expected to lose is what it loses on average."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith import Goal
from bitsmith.fidelity.confidence import confidence
from bitsmith.fidelity.scores import Measure, Score, Yardstick
from tests.properties import few

COUNT = 20_000


@few("scale", [0.1, 4.0, 1.0], 2, judged=True)
@pytest.mark.parametrize("wrong", [0.0, 0.15])
@pytest.mark.parametrize("kind", ["logits", "probabilities", "decisions", "one probability"])
def test_expected_losses_are_what_is_lost_on_average(scale: float, wrong: float, kind: str) -> None:
    """Of outputs whose logits are off by a factor, with some labels at random, and decisions that noise changes."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((COUNT, 4)) * 2
    if kind in ("logits", "probabilities"):
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        labels = (shares.cumsum(axis=1) < rng.random((COUNT, 1))).sum(axis=1)
        labels = np.where(rng.random(COUNT) < wrong, rng.integers(0, 4, COUNT), labels)
    else:
        labels = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int64)
        labels = np.where(rng.random(labels.shape) < wrong, rng.integers(0, 2, labels.shape), labels)
    output, noisy = logits * scale, (logits + rng.standard_normal(logits.shape)) * scale
    if kind == "probabilities":
        output, noisy = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (output, noisy))
    elif kind == "one probability":
        output, noisy = (1 / (1 + np.exp(-each)) for each in (output, noisy))
    measure = Measure.of(labels, output)
    assert measure.score is Score.CORRECT and measure.confidence is not None
    lost = measure.loss(measure.score_of(noisy))
    assert lost > 0.01 and measure.loss(measure.expected(noisy, output)) == pytest.approx(lost, abs=0.006)
    assert measure.expected(output, output) == measure.reference


def test_confidence_is_a_probability_of_each_class_and_agrees_with_labels() -> None:
    labels = np.array([0.0, 1.0, 1.0, 0.0])
    sure = confidence(np.array([[3.0, 1.0], [0.0, 2.0], [-1.0, 4.0], [9.0, 1.0]]), labels, 0.0)
    assert np.allclose(sure.sum(axis=-1), 1.0) and np.all(sure.argmax(axis=-1) == labels) and sure.max() > 0.99
    against = confidence(np.array([[3.0, 1.0], [0.0, 2.0], [-1.0, 4.0], [9.0, 1.0]]), 1.0 - labels, 0.0)
    assert against.max() < 0.6


@pytest.mark.parametrize("count", [50, 1000])
def test_the_uncertainty_of_a_loss_is_how_far_it_differs_between_draws(count: int) -> None:
    rng = np.random.default_rng(1)
    errors, losses = [], []
    for _ in range(40):
        output = rng.standard_normal((count, 3))
        labels = np.where(rng.random(count) < 0.2, rng.integers(0, 3, count), output.argmax(axis=1))
        yardstick = Yardstick([output], [output], (Measure.of(labels, output),))
        noisy = output + 0.3 * rng.standard_normal(output.shape)
        losses.append(yardstick.loss(yardstick.of_outputs([noisy])))
        errors.append(yardstick.uncertainty([noisy]))
    assert float(np.mean(errors)) == pytest.approx(float(np.std(losses)), rel=0.25)
    assert yardstick.uncertainty([output]) == pytest.approx(1 / count), "the next sample may differ"


def test_the_uncertainty_of_a_share_is_the_standard_error_of_a_mean() -> None:
    """Leaving each of few samples out once is the jackknife, which gives just that of a mean."""
    output = np.random.default_rng(3).standard_normal((12, 3))
    found = output.copy()
    found[[1, 4, 7]] *= -1
    wrong = found.argmax(axis=1) != output.argmax(axis=1)
    yardstick = Yardstick([output], [output], (Measure.of_agreement(output, 0),))
    wanted = np.hypot(wrong.std(ddof=1) / np.sqrt(12), 1 / 12)
    assert wrong.sum() == 3 and yardstick.uncertainty([found]) == pytest.approx(wanted, rel=1e-12)


def test_a_part_of_the_samples_is_measured_as_if_there_were_no_others() -> None:
    rng = np.random.default_rng(2)
    output, rows = rng.standard_normal((200, 3)), np.arange(0, 200, 3)
    found = output + 0.2 * rng.standard_normal(output.shape)
    for labels in (rng.integers(0, 3, 200), rng.standard_normal((200, 3))):
        whole = Yardstick([output], [output], (Measure.of(labels, output),))
        alone = Measure.of(labels[rows], output[rows])
        few = whole.of_samples(rows)
        assert few.of_outputs([found[rows]]) == (alone.score_of(found[rows]),)
        assert few.reference == alone.reference and len(few.inputs[0]) == len(rows)


def test_a_constant_is_no_answer() -> None:
    """Its mean error may be less than the goal allows, and it takes nothing."""
    y, goal = np.linspace(0.0, 1.0, 20)[:, None], Goal(metric="error", loss=0.4)
    yardstick = Yardstick([y], [y, y], ())
    for outputs in ([y, np.full_like(y, 0.5)], [np.full_like(y, 0.5), y]):
        scores = yardstick.of_outputs(outputs)
        assert goal.excess(yardstick, scores) <= 0 < goal.excess_of(yardstick, outputs, scores)
    assert goal.excess_of(yardstick, [y, y + 0.1], yardstick.of_outputs([y, y + 0.1])) <= 0
    steady = Yardstick([y], [np.ones_like(y)], ())  # as is the float model
    assert goal.excess_of(steady, [np.ones_like(y)], steady.of_outputs([np.ones_like(y)])) <= 0
