"""Warnings of predictions: approximations, values outside the inputs' formats, values lost inside, results of lost accuracy."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bitsmith.base.progress import warn
from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.notes import Left
from bitsmith.emulate.workspace import States
from bitsmith.errors import ApproximationWarning, FidelityWarning, InputRangeWarning
from bitsmith.fidelity.decisions import Decisions, Rows
from bitsmith.fidelity.losses import Loss, Losses, LossyCasts
from bitsmith.fidelity.outside import limiting, outputs_show
from bitsmith.fidelity.predictions import Predictions
from bitsmith.fidelity.shortfall import SATURATED_ERROR, USUAL_TOLERANCE
from bitsmith.fidelity.stretch import Stretch
from bitsmith.ir.program import Program
from bitsmith.ir.types import Overflow
from bitsmith.layers.input import Input as InputLayer
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import APPROXIMATE, Network
from bitsmith.passes.network.index_inputs import look_ups
from bitsmith.report.summary import input_format, input_range

_LISTED = 4
"""Most layers that a warning of lost values names."""

_LOOKED, _SHARE = 4096, 8
"""Samples that are looked at for values beyond limits of ``auto``, and one of how many more, if a run tells of some."""


class Alerts:
    """Warns of a network's predictions: once of what is approximate, lost inside or far off, each time of inputs.

    Some are compared with the float model where it is known whether formats follow from calibration data: ``calibrated``.

    Attributes:
        lossy: the casts that may lose values.
    """

    def __init__(
        self, network: Network, program: Program, notes: Iterable[str], calibrated: bool | None = None
    ) -> None:
        self.lossy = LossyCasts.of(program, network)
        self._approximate = [note for note in notes if note.startswith(APPROXIMATE)]
        inputs = {node.name: node.layer for node in network.nodes if isinstance(node.layer, InputLayer)}
        # What lies outside a limit of the model itself is the same to it; what it declares not to be is wrong in any case.
        self._limited = frozenset(name for name, layer in inputs.items() if layer.saturates)
        self._declared = frozenset(name for name, layer in inputs.items() if layer.declares)
        self._integers = frozenset(name for name, layer in inputs.items() if layer.integer and layer.entries is None)
        self._look_ups = look_ups(network)
        self._lost_told = False
        self._came = self._looked = 0
        self._program = program
        self._network = None if calibrated is None else network
        self._stretch = Stretch(network) if network.stateful else None
        self._predictions = None if calibrated is None else Predictions(network, calibrated=calibrated)

    @cached_property
    def _emulator(self) -> Emulator:
        """Return the emulator of the program up to the watched casts."""
        return Emulator(self.lossy.program)

    @cached_property
    def _decisions(self) -> Decisions:
        assert self._network is not None
        return Decisions(self._network, self._program)

    @property
    def shown(self) -> tuple[int, ...]:
        """The nodes of the program whose numbers a run is to show."""
        return () if self._network is None else self._decisions.shown

    def losses(self, batches: Sequence[Batch]) -> Losses:
        """All values that leave their formats inside the circuit."""
        return self.lossy.run(self._emulator, batches)

    def tell_approximate(self) -> None:
        """Repeat once what of the model is approximate."""
        if self._approximate:
            said, self._approximate = self._approximate, []
            warn("\n".join(said), ApproximationWarning)

    def tell_outside(self, emulator: Emulator, batches: Sequence[Batch], outside: Sequence[int]) -> bool:
        """Warn of the counts of values ``outside`` each input's format where an output shows it; True if there was a warning.

        Indices of no row are wrong in any case, and so are fractions where the model declares integers.
        """
        wrong = [
            self._tell_fractions(op.name, batch) or self._tell_no_rows(op.name, batch)
            for op, batch in zip(emulator.inputs, batches, strict=True)
        ]
        told = {op.name for op, found in zip(emulator.inputs, wrong, strict=True) if found}
        exempt = self._limited | told & self._declared
        counts = {op: n for op, n in zip(emulator.inputs, outside, strict=True) if n and op.name not in exempt}
        if not counts or not (
            self._network is None
            or any(op.name in self._declared for op in counts)
            or outputs_show(self._network, emulator, batches)
        ):
            return any(wrong)
        for op, count in counts.items():
            remedy = "" if op.name in self._declared else "; give such samples as calibration, or the input a precision"
            warn(
                f"input {op.name!r}: {count} values lie outside {input_range(op)}; "
                f"{op.overflow.value} applies ({input_format(op)}){remedy}",
                InputRangeWarning,
            )
        return True

    def _tell_fractions(self, name: str, batch: Batch) -> bool:
        """Warn of fractions in an input that the model declares as integers; True if there were some."""
        count = int(np.count_nonzero(batch % 1)) if name in self._integers and batch.dtype.kind == "f" else 0
        if count:
            warn(
                f"input {name!r}: {count} values have fractions, which are rounded, as the model declares integers there; "
                "a quantized file takes codes, round(x / scale) + zero_point",
                InputRangeWarning,
            )
        return count > 0

    def _tell_no_rows(self, name: str, batch: Batch) -> bool:
        """Warn of indices that embeddings have no row for, of which frameworks make errors; True if there were some."""
        warned = False
        for look_up in self._look_ups.get(name, ()):
            seen = batch.reshape(len(batch), -1)[:, look_up.places]
            count = int(np.count_nonzero((seen <= -1) | (seen >= look_up.rows)))
            if count:
                warn(
                    f"input {name!r}: {count} values are not the index of a row of {look_up.layer!r}, 0..{look_up.rows - 1}; "
                    "the nearest row is taken",
                    InputRangeWarning,
                )
            warned = warned or count > 0
        return warned

    def run(self, emulator: Emulator, batches: Sequence[Batch], states: States) -> list[Floats]:
        """The outputs for samples that go on with ``states``, if there are any, after a warning of what the run has shown."""
        going_on = bool(states)
        outputs, outside, left, near = self.watched(emulator, batches, states)
        wrong, whole = self.tell_outside(emulator, batches, outside), batches
        if self._stretch is not None:
            self._stretch.add(batches, going_on=going_on)
            whole = self._stretch.whole(batches, going_on=going_on)
        self.tell_lost(batches, left, whole)
        if not wrong:
            self.tell_off(whole, outputs, emulator, left, near)
        return outputs

    def watched(
        self, emulator: Emulator, batches: Sequence[Batch], states: States
    ) -> tuple[list[Floats], list[int], Left, Rows]:
        """Return :meth:`Emulator.run_watched`, and the samples that may be decided otherwise."""
        if self._predictions is None or not self.shown:
            return *emulator.run_watched(batches, states), {}
        near, begins = dict[str, list[npt.NDArray[np.intp]]](), not states

        def see(start: int, numbers: Iterator[Floats]) -> None:
            shown = list(numbers)
            part = [batch[start : start + len(shown[0])] for batch in batches]
            for name, rows in self._decisions.near(part, shown, begins=begins and not start).items():
                near.setdefault(name, []).append(rows + start)

        seen = emulator.run_watched(batches, states, see)
        return *seen, {name: np.sort(np.concatenate(parts)) for name, parts in near.items()}

    def tell_lost(self, batches: Sequence[Batch], left: Left, whole: Sequence[Batch]) -> None:
        """Tell once of values that have ``left`` a format that wraps, or are computed indices of no row.

        Saturation counts here where no output is compared. With states, the ``whole`` since a reset is looked at.
        """
        if self._lost_told:
            return
        wrapped = any(cast.overflow is Overflow.WRAP for cast in left.casts)
        if not (wrapped or (left.casts and self._network is None) or self._outside_rows(batches)):
            return
        losses = [loss for loss in self.losses(whole) if loss.clearly or not loss.saturates]
        losses.sort(key=lambda loss: loss.saturates)
        if losses:
            self._lost_told = True
            warn(
                f"values leave their formats inside the circuit ({len(whole[0])} samples looked at; model.losses(x) counts "
                f"all):{_listed(losses)}",
                FidelityWarning,
            )

    def _outside_rows(self, batches: Sequence[Batch]) -> bool:
        """Return True if an index that the network computes is that of no row."""
        if not self.lossy.indices:
            return False
        lossy, emulator = self._of_indices
        return len(lossy.run(emulator, batches)) > 0

    @cached_property
    def _of_indices(self) -> tuple[LossyCasts, Emulator]:
        lossy = self.lossy.of_indices()
        return lossy, Emulator(lossy.program)

    def tell_off(
        self, batches: Sequence[Batch], outputs: Sequence[Floats], emulator: Emulator, left: Left, near: Rows
    ) -> None:
        """Compare a few ``outputs`` until some were wrong, unless values outside the inputs' formats have changed them.

        Those of samples whose values have ``left`` limits, or which are ``near`` to another decision, are among these. With
        states, ``outputs`` may be those of the last samples only: the others are computed again.
        """
        if self._predictions is None or self._lost_told:
            return
        self._came += len(outputs[0])
        if self._stretch is None:
            off = self._predictions.look(batches, outputs)
        else:
            due = self._predictions.due_in_order(batches)
            if not due and not ((left.beyond.size or near) and len(batches[0]) <= self._room()):
                return
            if len(batches[0]) > len(outputs[0]):
                outputs, _, left, near = self.watched(emulator, batches, {})
                self._looked += len(batches[0])
            off = self._predictions.look_in_order(batches, outputs) if due else None
        message = self._predictions.told(*off, emulator) if off is not None else None
        message = self._saturated(self._predictions, batches, outputs, left) or message
        message = message or self._across(self._predictions, batches, outputs, emulator, near)
        if message is not None:
            self._predictions = None
            warn(message, FidelityWarning)

    def _room(self) -> int:
        """The number of samples that may be looked at."""
        return _LOOKED + self._came // _SHARE - self._looked

    def _saturated(
        self, predictions: Predictions, batches: Sequence[Batch], outputs: Sequence[Floats], left: Left
    ) -> str | None:
        """Text on samples that limits of ``auto`` make wrong: of many, those furthest beyond these are looked at."""
        beyond = left.beyond
        if not beyond.size:
            return None
        some = np.flatnonzero(beyond)
        if self._stretch is None:
            limited = np.sort(some[np.argsort(-beyond[some], kind="stable")[: self._room()]])
            seen = limited
        else:
            limited, seen = np.arange(some[0], len(beyond)), np.arange(len(beyond))
        self._looked += len(limited)
        casts = self.lossy.saturating(left.casts)
        of_auto = all(each.limits for each in casts)
        least = USUAL_TOLERANCE.error if of_auto else SATURATED_ERROR
        worst = predictions.wrong(batches, outputs, limited, least, limiting(casts)) if limited.size else None
        if worst is None:
            return None
        known = "calibration data" if predictions.calibrated else "generated inputs"
        why = f"Values leave what {known} showed:" if of_auto else "Values saturate inside the circuit:"
        return f"{worst}. {why}{_listed(self.losses([batch[seen] for batch in batches]).rows)}"

    def _across(
        self,
        predictions: Predictions,
        batches: Sequence[Batch],
        outputs: Sequence[Floats],
        emulator: Emulator,
        near: Rows,
    ) -> str | None:
        """Text on samples that are wrong because rounding takes a value across a threshold, of an input or inside."""
        for name, rows in near.items():
            few = rows[: self._room()]
            self._looked += len(few)
            if name or predictions.passed_over:
                worst = predictions.wrong(batches, outputs, few, predictions.least, ties=not name) if few.size else None
                if worst is not None:
                    return predictions.told(worst, [batch[few].astype(np.float64) for batch in batches], emulator)
        return None


def _listed(losses: Sequence[Loss]) -> str:
    """Lines on the first of some losses, with formats that would do."""
    return "".join(f"\n  {loss}{loss.advice(losses)}" for loss in losses[:_LISTED])
