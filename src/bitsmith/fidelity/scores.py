"""Scores of circuits on test data: how many samples are right, or how large errors are, beside the float model's score.

In: a network, inputs, and labels or none. Out: a :class:`Yardstick`, which scores programs. All scores are shares, so that a
loss of 0.01 is a percent of the samples, or of a range.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.errors import InputDataError
from bitsmith.fidelity.confidence import confidence
from bitsmith.fidelity.shortfall import float_outputs
from bitsmith.ir.program import Program
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.passes.network.quantized_inputs import quantized_inputs
from bitsmith.report.sections import percent


class Score(enum.Enum):
    """Kinds of scores."""

    CORRECT = "correct"
    DEVIATION = "root mean square error (of the labels' spread)"
    ERROR = "mean error (of the output's range)"
    LOSS = "loss of the worst output"
    AGREEMENT = "like the float model"
    AREA = "area under the curve"
    VARIANCE = "mean square error (of the labels' variance)"
    CUSTOM = "of your metric"

    @property
    def rises(self) -> bool:
        """Return True if more is better."""
        return self in (Score.CORRECT, Score.AGREEMENT, Score.AREA, Score.CUSTOM)

    def text(self, value: float) -> str:
        """A score in a few characters: ``96.4 %``."""
        if self is Score.CUSTOM:
            return f"{value:.4g}"
        return f"{100 * value:.1f} %" if self.rises else percent(value)


METRICS = {
    "accuracy": Score.CORRECT,
    "agreement": Score.AGREEMENT,
    "auc": Score.AREA,
    "rmse": Score.DEVIATION,
    "mse": Score.VARIANCE,
    "error": Score.ERROR,
}
"""Scores by the names of metrics."""

_LEFT_OUT = 50
"""Parts of the samples, each of which is left out once to see how far a loss depends on single samples."""

_NEAR = 4
"""Samples on either side whose errors a sample has, too, where losses are to be expected."""

CustomMetric: TypeAlias = Callable[[Any, Any], float]
"""A metric of the user's: outputs and labels, each as ``predict`` gives them -> a number, of which more is better."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The labels of one output, and what they mean for it.

    Attributes:
        score: the kind of score.
        labels: a value or a decision (0 or 1) for each element of the output, or a class for each of its rows.
        threshold: the value between two decisions.
        index: the output's position among the model's.
        reference: the float model's score.
        confidence: of the float model in each decision, for each of the labels; None where scores count no labels.
    """

    score: Score
    labels: Floats
    threshold: float
    index: int
    reference: float = 0.0
    confidence: Floats | None = None

    @staticmethod
    def of(labels: npt.NDArray[np.generic], output: Floats, wanted: Score | None = None, index: int = 0) -> Measure:
        """The measure of ``labels`` for an output, of which the float model's is given.

        ``wanted`` is the kind of score; None: what the labels mean.

        Raises:
            InputDataError: labels that do not belong to it, or that have no such score.
        """
        unmeasured = Measure(*_wanted(wanted, labels, output), _threshold(output), index)
        sure = None
        if unmeasured.score is Score.CORRECT:
            sure = confidence(output, unmeasured.labels, unmeasured.threshold)
        return replace(unmeasured, reference=unmeasured.score_of(output), confidence=sure)

    @staticmethod
    def of_agreement(output: Floats, index: int) -> Measure:
        """The measure of decisions like those of the float model's ``output``: classes of several elements, else thresholds."""
        threshold = _threshold(output)
        several = output.ndim > 1 and output.shape[-1] > 1
        labels = output.argmax(axis=-1) if several else output > threshold
        return Measure(Score.AGREEMENT, labels.astype(np.float64), threshold, index, 1.0)

    def score_of(self, output: Floats) -> float:
        """The score of an output."""
        labels = self.labels
        if self.score is Score.DEVIATION:
            return float(np.sqrt(np.mean((output - labels) ** 2)) / (np.std(labels) or 1.0))
        if self.score is Score.VARIANCE:
            return float(np.mean((output - labels) ** 2) / (np.var(labels) or 1.0))
        if self.score is Score.AREA:
            return _area(output, labels)
        return float(np.mean(self._decisions(output) == labels))

    def expected(self, output: Floats, plain: Floats) -> float:
        """The score of an output that is to be expected of other samples like these, of which the float model's is ``plain``.

        A decision unlike the float model's counts by how sure that model is, not by the label: where it is in doubt, labels say
        less of a circuit than of luck. Each sample has the errors of those, too, that are decided alike and about as surely.
        """
        if self.confidence is None:
            return self.score_of(output)
        sure = self.confidence.reshape(-1, self.confidence.shape[-1])
        decided = self._decisions(plain).ravel()
        rows = plain.reshape(len(decided), -1)
        lost, most = 0.0, sure.max(axis=-1)
        order = np.lexsort((most, decided))
        ranks, near = np.argsort(-rows, axis=-1)[order], min(_NEAR, (len(order) - 1) // 2)
        errors = np.take_along_axis((output.reshape(rows.shape) - rows)[order], ranks, axis=-1)
        for shift in range(-near, near + 1):
            moved = rows[order]
            np.put_along_axis(
                moved, ranks, np.take_along_axis(moved, ranks, axis=-1) + np.roll(errors, shift, axis=0), -1
            )
            taken = np.take_along_axis(sure[order], self._decisions(moved.reshape(plain.shape)).reshape(-1, 1), axis=-1)
            lost += float(np.mean(most[order] - taken[:, 0])) / (2 * near + 1)
        return self.reference - lost

    def of_samples(self, rows: npt.NDArray[np.int64], output: Floats) -> Measure:
        """The measure on some of the samples, of which the float model's ``output`` is given; its reference follows."""
        sure = None if self.confidence is None else self.confidence[rows]
        few = replace(self, labels=self.labels[rows], confidence=sure)
        return few if self.score is Score.CUSTOM else replace(few, reference=few.score_of(output))

    def _decisions(self, output: Floats) -> npt.NDArray[np.int64]:
        """The class of each row of an output, or 0 or 1 for each of its elements."""
        if self.labels.shape == output.shape:
            return (output > self.threshold).astype(np.int64)
        return np.asarray(output.argmax(axis=-1))

    def loss(self, score: float) -> float:
        """Return by how much ``score`` is worse than the float model's; negative if it is better."""
        return self.reference - score if self.score.rises else score - self.reference


@dataclass(frozen=True, slots=True)
class Custom:
    """A metric of the user's with labels of the outputs at ``indices``: of one alone, or of lists."""

    metric: CustomMetric
    labels: Sequence[npt.NDArray[np.generic]]
    indices: Sequence[int]

    def __call__(self, outputs: Sequence[Floats]) -> float:
        """Return its value; raises InputDataError if that is no number."""
        labeled, labels = [outputs[index] for index in self.indices], list(self.labels)
        value = self.metric(labeled[0], labels[0]) if len(labels) == 1 else self.metric(labeled, labels)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InputDataError(f"{value!r:.60}", where="metric", accepted="a finite number")
        return number


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Inputs, the float model's outputs for them, and a measure of each output if there are labels.

    Without labels circuits are compared with the float model. A circuit of several outputs with labels scores as much as it loses
    at the worst of them. Where these are some of the samples, ``every`` has the outputs for all, whose ranges count: few samples
    show a smaller one, of which the same error would be more.
    """

    inputs: Sequence[Floats]
    outputs: Sequence[Floats]
    measures: tuple[Measure, ...] = ()
    custom: Custom | None = None
    every: Sequence[Floats] = ()

    @staticmethod
    def of(
        network: Network,
        inputs: Sequence[Floats],
        labels: Sequence[npt.NDArray[np.generic]] | None = None,
        metric: Score | CustomMetric | None = None,
    ) -> Yardstick:
        """The yardstick of the user's ``network``, with labels for each of its outputs or none.

        Labels for one output belong to the scores of a classifier, whose other outputs are the decisions by these.
        ``metric`` is the kind of score, or a function; None: what the labels mean.

        Raises:
            InputDataError: labels that do not belong to the inputs, or to the outputs.
        """
        outputs = float_outputs(quantized_inputs(network), inputs)
        if metric is Score.AGREEMENT:
            return Yardstick(inputs, outputs, tuple(map(Measure.of_agreement, outputs, range(len(outputs)))))
        if metric is Score.ERROR or (labels is None and metric is None):
            return Yardstick(inputs, outputs)
        if labels is None:
            raise InputDataError("no labels", where="metric", accepted="(x, y); without labels agreement, or error")
        counts = {len(each) for each in labels}
        indices = list(range(len(outputs))) if len(labels) == len(outputs) else _scores_among(outputs)
        if len(labels) != len(indices) or counts != {len(outputs[0])}:
            of = f"{len(labels)} outputs, " if len(labels) != len(outputs) else ""
            found = f"labels for {of}{' and '.join(map(str, sorted(counts)))} samples"
            accepted = f"labels for {len(outputs)} output{'s' * (len(outputs) > 1)} and {len(outputs[0])} samples"
            remedy = "give a list of labels for each output: (x, [y, ...])" if of else ""
            raise InputDataError(found, where="test data", accepted=accepted, remedy=remedy)
        if not isinstance(metric, Score | None):
            custom = Custom(metric, labels, indices)
            measure = Measure(Score.CUSTOM, outputs[indices[0]], 0.0, indices[0], custom(outputs))
            return Yardstick(inputs, outputs, (measure,), custom)
        measures = tuple(Measure.of(each, outputs[k], metric, k) for each, k in zip(labels, indices, strict=True))
        return Yardstick(inputs, outputs, measures)

    @property
    def score(self) -> Score:
        """The kind of a circuit's score."""
        if len(self.measures) == 1:
            return self.measures[0].score
        return Score.LOSS if self.measures else Score.ERROR

    @property
    def reference(self) -> float:
        """The float model's score; 0 where circuits are compared with it."""
        return self.measures[0].reference if len(self.measures) == 1 else 0.0

    @property
    def kinds(self) -> str:
        """The kinds of the scores of outputs in words."""
        return ", ".join(dict.fromkeys(measure.score.value for measure in self.measures)) or Score.ERROR.value

    @property
    def references(self) -> str:
        """The float model's score of each output as text; empty where circuits are compared with it."""
        return self.text([measure.reference for measure in self.measures]) if self.measures else ""

    def of_program(self, program: Program) -> tuple[float, ...]:
        """The scores of a circuit."""
        return self.of_outputs(Emulator(program).run(self.inputs))

    def of_samples(self, rows: npt.NDArray[np.int64]) -> Yardstick:
        """The yardstick on some of the samples."""
        inputs, outputs = [batch[rows] for batch in self.inputs], [output[rows] for output in self.outputs]
        measures = (measure.of_samples(rows, outputs[measure.index]) for measure in self.measures)
        few = Yardstick(inputs, outputs, tuple(measures), every=self.every or self.outputs)
        if self.custom is None:
            return few
        custom = replace(self.custom, labels=[labels[rows] for labels in self.custom.labels])
        return replace(few, measures=(replace(few.measures[0], reference=custom(outputs)),), custom=custom)

    def expected(self, outputs: Sequence[Floats]) -> tuple[float, ...]:
        """The scores that are to be expected of other samples like these."""
        if not self.measures or self.custom is not None:
            return self.of_outputs(outputs)
        return tuple(each.expected(outputs[each.index], self.outputs[each.index]) for each in self.measures)

    def uncertainty(self, outputs: Sequence[Floats]) -> float:
        """The standard error of a loss; where scores count samples, one sample at least: if none differs, the next one may."""
        counted = any(measure.score in (Score.CORRECT, Score.AGREEMENT) for measure in self.measures)
        return math.hypot(self.spread(outputs, Yardstick.of_outputs), 1 / len(self.inputs[0]) if counted else 0.0)

    def spread(
        self, outputs: Sequence[Floats], scores: Callable[[Yardstick, Sequence[Floats]], tuple[float, ...]]
    ) -> float:
        """The standard error of a loss by ``scores``, by leaving parts out: how far it differs between draws of samples."""
        count = len(self.inputs[0])
        parts = min(count, _LEFT_OUT)
        number = np.arange(count) % parts
        losses = []
        for part in range(parts):
            rows = np.flatnonzero(number != part)
            few = self.of_samples(rows)
            losses.append(few.loss(scores(few, [output[rows] for output in outputs])))
        return math.sqrt((parts - 1) * float(np.var(losses)))

    def of_outputs(self, outputs: Sequence[Floats]) -> tuple[float, ...]:
        """The score of each output with labels; without labels one for all of them."""
        if not self.measures:
            every = self.every or self.outputs
            return (max(map(_error, outputs, self.outputs, every)),)
        if self.custom is not None:
            return (self.custom(outputs),)
        return tuple(measure.score_of(outputs[measure.index]) for measure in self.measures)

    def tells_nothing(self, outputs: Sequence[Floats]) -> bool:
        """Return True if an output is the same for all samples while the float model's is not, whatever its score."""
        pairs = zip(outputs, self.outputs, strict=True)
        return any(not np.ptp(x, axis=0).any() and bool(np.ptp(y, axis=0).any()) for x, y in pairs)

    def distance(self, found: Sequence[Floats]) -> float:
        """Return the mean square difference from the float model's outputs, of the worst one, as a share of its variance."""
        pairs = zip(found, self.outputs, strict=True)
        return max(float(np.mean((x - y) ** 2) / (np.var(y) or 1.0)) for x, y in pairs)

    def total(self, scores: Sequence[float]) -> float:
        """The score of a circuit."""
        return scores[0] if len(scores) == 1 else self.loss(scores)

    def loss(self, scores: Sequence[float]) -> float:
        """Return by how much scores are worse than the float model's, at the worst output; negative if all are better."""
        if not self.measures:
            return scores[0]
        return max(measure.loss(score) for measure, score in zip(self.measures, scores, strict=True))

    def text(self, scores: Sequence[float]) -> str:
        """``scores`` in a few characters: ``96.4 %``, and of several outputs ``96.4 %, 98.0 %``."""
        kinds = [measure.score for measure in self.measures] or [Score.ERROR]
        return ", ".join(kind.text(score) for kind, score in zip(kinds, scores, strict=True))


def _scores_among(outputs: Sequence[Floats]) -> list[int]:
    """The position of the output by which all others are decisions: the class, or 0 or 1, of each sample."""
    decisions = [Measure.of_agreement(output, index).labels.ravel() for index, output in enumerate(outputs)]
    return [
        index
        for index, decided in enumerate(decisions)
        if all(np.array_equal(decided, other.ravel()) for other in (*outputs[:index], *outputs[index + 1 :]))
    ][-1:]


def _read(labels: npt.NDArray[np.generic], output: Floats) -> tuple[Score, Floats]:
    """Return what labels mean for an output: classes, also of one-hot rows; decisions, of zeros and ones; or values."""
    integral = labels.dtype.kind in "iub" or bool(np.all(labels == np.rint(labels)))
    choices = output.shape[-1] if output.ndim > 1 else 1
    if integral and choices > 1 and labels.size * choices == output.size:
        classes = labels.astype(np.float64).reshape(output.shape[:-1])
        if classes.min() >= 0 and classes.max() < choices:
            return Score.CORRECT, classes
        raise InputDataError(
            f"labels from {classes.min():g} to {classes.max():g}",
            where="test data",
            accepted=f"classes from 0 to {choices - 1}",
        )
    values = _values(labels, output)
    if not np.isin(values, (0.0, 1.0)).all():
        return Score.DEVIATION, values
    one_hot = choices > 1 and bool(np.all(values.sum(axis=-1) == 1.0))
    return Score.CORRECT, values.argmax(axis=-1).astype(np.float64) if one_hot else values


def _wanted(wanted: Score | None, labels: npt.NDArray[np.generic], output: Floats) -> tuple[Score, Floats]:
    """Return labels for the kind of score that is ``wanted``; None: for the one that they mean."""
    if wanted is Score.DEVIATION or wanted is Score.VARIANCE:
        return wanted, _values(labels, output)
    score, read = _read(labels, output)
    if wanted is not None and score is not Score.CORRECT:
        accepted = "classes, one-hot rows, or zeros and ones"
        raise InputDataError("labels that are values", where=f"metric {wanted.value!r}", accepted=accepted)
    return wanted or score, read


def _values(labels: npt.NDArray[np.generic], output: Floats) -> Floats:
    """Return labels as a value for each element of an output."""
    if labels.size != output.size:
        accepted = f"a class, or values of shape {output.shape[1:]}, for each sample"
        raise InputDataError(f"labels of shape {labels.shape}", where="test data", accepted=accepted)
    return labels.reshape(output.shape).astype(np.float64)


def _area(output: Floats, labels: Floats) -> float:
    """Return the area under the curve of true against false positives; of several classes the mean of each against all others."""
    classes = labels.shape != output.shape
    scores = output.reshape(-1, output.shape[-1]) if classes else output.reshape(-1, 1)
    areas = []
    for kind in range(scores.shape[1]):
        right = labels.ravel() == (kind if classes else 1.0)
        others = np.sort(scores[~right, kind])
        below = np.searchsorted(others, scores[right, kind], "left") + np.searchsorted(
            others, scores[right, kind], "right"
        )
        if right.any() and len(others):
            areas.append(float(below.mean()) / (2 * len(others)))
    return float(np.mean(areas)) if areas else 1.0


def _threshold(output: Floats) -> float:
    """The value between two decisions: that of probabilities, or of their logits."""
    return 0.5 if output.min() >= 0.0 and output.max() <= 1.0 else 0.0


def _error(found: Floats, wanted: Floats, every: Floats) -> float:
    span = float(np.ptp(every)) or float(np.abs(every).max()) or 1.0
    return float(np.mean(np.abs(found - wanted))) / span
