"""Compares a few predictions with the float model: the first ones, and the first ones of inputs of a smaller scale.

Formats follow from the inputs that a conversion knew of. What is right for these may be lost for smaller ones.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.fidelity.budgets import allowance, budgets, excused
from bitsmith.fidelity.shortfall import USUAL_TOLERANCE, Deviating, Expected, Tolerance, apart, deviating, float_outputs
from bitsmith.fidelity.thresholds import Thresholds
from bitsmith.fidelity.ties import decides
from bitsmith.ir.ops import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, Revision
from bitsmith.layers.settings import FACTORS, MOST_BITS
from bitsmith.layers.settled import of_codes
from bitsmith.passes.network.quantized_inputs import compared_inputs
from bitsmith.report.summary import input_format

_SAMPLES, _LEAST_SAMPLES, _MANY_SAMPLES = 128, 32, 1024
_ELEMENTS = 1 << 22
"""Samples that are compared: more where every value counts, as a single one of hundreds of samples may be wrong.

They are fewer where all results of all of them would have more elements than that, but enough to show the outputs' ranges: the
float model takes no longer for a sample than the circuit's emulation.
"""

_FEW = 16
"""Fewer samples show too little of the outputs' ranges: what halves of the inputs and zeros give is added to these."""

_MORE_BITS = 4
"""Bits beyond the budget that keep nearly all decisions those of the float model."""

_SMALLER = 4.0
"""Times by which inputs are smaller that are looked at again."""

_CODES = 2.0**-20
"""Error, as a share of a range, that is less than another code."""

_UNKNOWN = 2.0**-13
"""Mean error, for 16 bits, of inputs unlike the generated ones: eight steps, four times what those like them have."""


def most_compared(network: Network, *, every: bool) -> int:
    """The most samples of a prediction that are compared with the float model; more if ``every`` value counts."""
    elements = max(sum(map(math.prod, network.shapes().values())), 1)
    return min(max(_ELEMENTS // elements, _LEAST_SAMPLES), _MANY_SAMPLES if every else _SAMPLES)


def float_outputs_beside(network: Network, inputs: Sequence[Floats]) -> list[Floats] | None:
    """Further outputs of the float model that show the range where ``inputs`` are few; None if they are enough."""
    if len(inputs[0]) >= _FEW:
        return None
    return float_outputs(network, [np.concatenate([x / 2.0, 0.0 * x]) for x in inputs])


def float_outputs_and_shown(
    network: Network, inputs: Sequence[Floats], revised: Revision | None = None
) -> tuple[list[Floats], list[Floats]]:
    """Outputs of the float model, ``revised``, and the same with further ones, which show their ranges."""
    wanted = float_outputs(network, inputs, revised)
    more = float_outputs_beside(network, inputs) or wanted
    return wanted, [np.concatenate(each) for each in zip(wanted, more, strict=True)]


class Predictions:
    """Looks at the samples of predictions until there were enough, and again when smaller ones come.

    Attributes:
        network: the float model.
        calibrated: whether formats follow from calibration data.
        passed_over: whether some samples of the last prediction were not compared value by value.
    """

    def __init__(self, network: Network, *, calibrated: bool) -> None:
        self.network, self.calibrated = network, calibrated
        self._most = most_compared(network, every=not calibrated or any(decides(node.layer) for node in network.nodes))
        self._magnitudes: list[float] = []
        self._seen: list[tuple[list[Floats], list[Floats]]] = []
        self._count = self._due = 0
        self._lenient = excused(network.nodes) or allowance(network.nodes) > 1.0
        self.passed_over = True
        self._of_codes = of_codes(network).issuperset(network.outputs)

    @property
    def least(self) -> float:
        """The least error, as a share of a range, that is wrong: any other code, where outputs are codes."""
        return _CODES if self._of_codes else USUAL_TOLERANCE.error

    def look(self, batches: Sequence[Batch], outputs: Sequence[Floats]) -> tuple[Deviating, list[Floats]] | None:
        """The output of these predictions that is furthest off, if it is wrong, and the inputs that showed it."""
        self.passed_over = True
        if not len(batches[0]):
            return None
        picked = slice(None, None, -(-len(batches[0]) // self._most))
        few = [batch[picked] for batch in batches]
        magnitudes = [float(np.abs(batch).max(initial=0.0)) for batch in few]
        if self._magnitudes and self._count >= self._most and not self._are_smaller(magnitudes):
            return None
        if self._are_smaller(magnitudes):
            self._magnitudes, self._seen, self._count, self._due = magnitudes, [], 0, 1
        self._seen.append(([batch.astype(np.float64) for batch in few], [output[picked].copy() for output in outputs]))
        self._count += len(few[0])
        if self._count < self._due:
            return None
        self._due = 2 * self._count
        self.passed_over = self._lenient or len(few[0]) < len(batches[0])
        inputs, found = (
            [np.concatenate(parts) for parts in zip(*kept, strict=True)] for kept in zip(*self._seen, strict=True)
        )
        return self._compared(inputs, found)

    def due_in_order(self, batches: Sequence[Batch]) -> bool:
        """True if of samples since a reset twice as many came as were looked at, up to a bound, or smaller ones."""
        self.passed_over = True
        magnitudes = [float(np.abs(batch[: self._most]).max(initial=0.0)) for batch in batches]
        if self._are_smaller(magnitudes):
            self._magnitudes, self._due = magnitudes, 1
        return min(len(batches[0]), self._most) >= self._due

    def look_in_order(
        self, batches: Sequence[Batch], outputs: Sequence[Floats]
    ) -> tuple[Deviating, list[Floats]] | None:
        """Return :meth:`look` of the first samples after a reset, which go on with the states of those before."""
        first = [batch[: self._most].astype(np.float64) for batch in batches]
        self._due = 2 * len(first[0])
        self.passed_over = self._lenient or len(first[0]) < len(batches[0])
        return self._compared(first, [output[: self._most] for output in outputs])

    def wrong(
        self,
        batches: Sequence[Batch],
        outputs: Sequence[Floats],
        few: npt.NDArray[np.intp],
        least: float = USUAL_TOLERANCE.error,
        revised: Revision | None = None,
        *,
        ties: bool = False,
    ) -> Deviating | None:
        """The output that is furthest off in samples of the numbers ``few``, if it is wrong, from the ``least`` error on.

        It is if the float model is wrong, too, with results ``revised`` to what limits leave of them; if it is not known
        what these leave, differences alone count. Single precision may leave a few of all samples open with ``ties``. Other
        samples show the range. Of samples in order, the states of those from the first one on are others.
        """
        count = len(batches[0])
        numbers = np.arange(few[-1] + 1) if self.network.stateful else np.arange(count)[:: -(-count // self._most)]
        numbers = np.union1d(numbers, few)
        rows = slice(None) if self.network.stateful and ties else np.searchsorted(numbers, few)
        inputs = [batch[numbers].astype(np.float64) for batch in batches]
        wanted, shown = float_outputs_and_shown(self.network, inputs)
        ours = Expected(self.network, [x[rows] for x in inputs], [x[rows] for x in wanted])

        def off(found: Sequence[Floats]) -> Deviating:
            theirs = [values[rows] for values in found]
            return max(apart(ours, theirs, shown, least, count if ties else None), key=lambda each: each.worst)

        worst = off([output[numbers] for output in outputs])
        if not worst.wrong or revised is None:
            return worst if worst.wrong else None
        return worst if off(float_outputs(self.network, inputs, revised)).wrong else None

    def _are_smaller(self, magnitudes: Sequence[float]) -> bool:
        pairs = zip(magnitudes, self._magnitudes or [math.inf] * len(magnitudes), strict=True)
        return any(0.0 < size < known / _SMALLER for size, known in pairs) or not self._magnitudes

    def _compared(self, inputs: list[Floats], outputs: Sequence[Floats]) -> tuple[Deviating, list[Floats]] | None:
        error = USUAL_TOLERANCE.error if self.calibrated else self.least
        tolerance = Tolerance(error, mean=math.inf if self.calibrated else _UNKNOWN)
        more = float_outputs_beside(self.network, inputs)
        worst = deviating(Expected.of(self.network, inputs), outputs, more, tolerance)
        return (worst, inputs) if worst.wrong else None

    def told(self, worst: Deviating, inputs: Sequence[Floats], emulator: Emulator) -> str:
        """Return the message about an output that is wrong for ``inputs``: its error, cause and remedy."""
        where = f"{worst} (on {worst.samples or len(inputs[0])} samples of this prediction)."
        behind = [node.name for node in self.network.ancestors([worst.output]) if decides(node.layer)]
        crossed = [name for name in self._crossed(inputs, emulator) if not self.network.node(name).settings.precision]
        if crossed:
            why = f"Rounding takes values of input {crossed[0]!r} across thresholds"
            return f"{where} {why}: give samples like these as calibration, which stay on their sides"
        coarse = self._coarsest(worst, inputs, emulator)
        bits = min(min(budgets(self.network.nodes).values()) + _MORE_BITS, MOST_BITS)
        known = "calibration data" if self.calibrated else "generated inputs, for want of calibration data"
        remedy = "give samples of that scale as calibration, or "
        entry = None if coarse is None else self.network.node(coarse[0].name)
        chosen = entry is not None and (bool(entry.settings.precision) or self.network.input(entry.name).is_chosen)
        if self.calibrated and not {*behind} <= compared_inputs(self.network).keys() and not chosen:
            why = "Layers decide by numbers that are nearer to a threshold than they are accurate"
            remedy = f"give samples like these as calibration, or bits={bits}, or "
            which = "what is compared"
        elif coarse is None and (steps := self._coarse_steps(worst.output)) is not None:
            why, which, remedy = f"The steps of {steps}", "it", "give "
        elif coarse is None:
            why = f"Formats inside follow from {known}, and are coarse for some of these inputs"
            which, remedy = "the layers", f"give samples like these as calibration, or bits={bits}, or "
        else:
            op, magnitude = coarse
            why = f"The steps of input {op.name!r} ({input_format(op)}) are coarse for values within +-{magnitude:.3g}"
            which = f"input {op.name!r}"
            remedy = "give " if self.network.input(op.name).is_chosen else remedy
        return f"{where} {why}: {remedy}{which} a precision"

    def _crossed(self, inputs: Sequence[Floats], emulator: Emulator) -> Iterable[str]:
        """The inputs of trees with values that rounding takes to another side of a threshold."""
        thresholds = Thresholds(self.network, emulator.inputs)
        raws = [emulator.quantize(index, inputs[index])[0].astype(np.float64) for index in thresholds.inputs]
        fracs = [emulator.inputs[index].frac for index in thresholds.inputs]
        crossed = thresholds.crossed(inputs, [np.ldexp(raw, -frac) for raw, frac in zip(raws, fracs, strict=True)])
        return [op.name for op in emulator.inputs if op.name in crossed and not op.ladders]

    def _coarse_steps(self, output: str) -> str | None:
        """The factors before ``output`` that a format of the user is coarsest for, and their greatest magnitude."""
        steps = [
            (math.ldexp(1.0, -fmt.frac) / most, f"{name} of layer {node.name!r} ({fmt}) are coarse for +-{most:.3g}")
            for node in self.network.ancestors([output])
            for name, values in node.layer.weights().items()
            if name in FACTORS
            and (fmt := node.settings.precision.get(name)) is not None
            and (most := float(np.abs(values).max(initial=0.0)))
        ]
        return max(steps)[1] if steps else None

    def _coarsest(self, worst: Deviating, inputs: Sequence[Floats], emulator: Emulator) -> tuple[Input, float] | None:
        """The input whose rounding alone makes most of the difference, and its magnitude; None if it is made inside."""
        expected = Expected.of(self.network, inputs)
        coarsest, most = None, worst.worst / 4.0
        for index, (op, x) in enumerate(zip(emulator.inputs, inputs, strict=True)):
            raw, _ = emulator.quantize(index, x)
            rounded = [*inputs]
            rounded[index] = np.ldexp(raw.astype(np.float64), -op.frac)
            off = deviating(expected, float_outputs(self.network, rounded))
            if off.worst > most:
                coarsest, most = (op, float(np.abs(x).max(initial=0.0))), off.worst
        return coarsest
