"""Scores of circuits on test data: how many samples are right, or how large errors are, beside the float model's score.

In: a network, inputs, and labels or none. Out: a :class:`Yardstick`, which scores programs. All scores are shares, so that a
loss of 0.01 is a percent of the samples, or of a range.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.errors import InputDataError
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

    @property
    def rises(self) -> bool:
        """Return True if more is better."""
        return self is Score.CORRECT


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Inputs, the float model's outputs for them, and labels, if there are some.

    Attributes:
        score: the kind of score.
        reference: the float model's; 0 where circuits are compared with it.
        labels: a value or a decision (0 or 1) for each element of the output, or a class for each of its rows.
    """

    inputs: Sequence[Floats]
    outputs: Sequence[Floats]
    score: Score
    labels: Floats | None
    reference: float

    @staticmethod
    def of(network: Network, inputs: Sequence[Floats], labels: npt.NDArray[np.generic] | None = None) -> Yardstick:
        """The yardstick of the user's ``network``.

        Raises:
            InputDataError: labels that do not belong to the inputs, or to the output.
        """
        outputs = float_outputs(quantized_inputs(network), inputs)
        if labels is None:
            return Yardstick(inputs, outputs, Score.ERROR, None, 0.0)
        if len(outputs) > 1 or len(labels) != len(outputs[0]):
            found = f"{len(labels)} labels for {len(outputs[0])} samples and {len(outputs)} outputs"
            raise InputDataError(
                found, where="test data", accepted="a label for each sample of a model with one output"
            )
        unmeasured = Yardstick(inputs, outputs, *_read(labels, outputs[0]), 0.0)
        return replace(unmeasured, reference=unmeasured.of_outputs(outputs))

    def of_program(self, program: Program) -> float:
        """The score of a circuit."""
        return self.of_outputs(Emulator(program).run(self.inputs))

    def of_outputs(self, found: Sequence[Floats]) -> float:
        """The score of outputs."""
        labels = self.labels
        if labels is None:
            return max(_error(x, y) for x, y in zip(found, self.outputs, strict=True))
        if self.score is Score.DEVIATION:
            return float(np.sqrt(np.mean((found[0] - labels) ** 2)) / (np.std(labels) or 1.0))
        if labels.shape == found[0].shape:
            return float(np.mean((found[0] > _threshold(self.outputs[0])) == labels))
        return float(np.mean(found[0].argmax(axis=-1) == labels))

    def loss(self, score: float) -> float:
        """Return by how much ``score`` is worse than the float model's; negative if it is better."""
        return self.reference - score if self.score.rises else score - self.reference

    def text(self, score: float) -> str:
        """``score`` in a few characters: ``96.4 %``."""
        return f"{100 * score:.1f} %" if self.score.rises else percent(score)


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
    if labels.size != output.size:
        accepted = f"a class, or values of shape {output.shape[1:]}, for each sample"
        raise InputDataError(f"labels of shape {labels.shape}", where="test data", accepted=accepted)
    values = labels.reshape(output.shape).astype(np.float64)
    if not np.isin(values, (0.0, 1.0)).all():
        return Score.DEVIATION, values
    one_hot = choices > 1 and bool(np.all(values.sum(axis=-1) == 1.0))
    return Score.CORRECT, values.argmax(axis=-1).astype(np.float64) if one_hot else values


def _threshold(output: Floats) -> float:
    """The value between two decisions: that of probabilities, or of their logits."""
    return 0.5 if output.min() >= 0.0 and output.max() <= 1.0 else 0.0


def _error(found: Floats, wanted: Floats) -> float:
    span = float(np.ptp(wanted)) or float(np.abs(wanted).max()) or 1.0
    return float(np.mean(np.abs(found - wanted))) / span
