"""Warnings of predictions: approximations, values outside the inputs' formats, values lost inside, results of lost accuracy."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bitsmith.base.progress import users_line
from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.errors import ApproximationWarning, FidelityWarning, InputRangeWarning
from bitsmith.fidelity.losses import Losses, Watch
from bitsmith.fidelity.outside import outputs_show
from bitsmith.fidelity.picks import Picks
from bitsmith.fidelity.predictions import Predictions
from bitsmith.ir.ops import Cast
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
        watch: the casts that may lose values.
    """

    def __init__(
        self, network: Network, program: Program, notes: Iterable[str], calibrated: bool | None = None
    ) -> None:
        self.watch = Watch.of(program, network)
        self._approximate = [note for note in notes if note.startswith(APPROXIMATE)]
        inputs = {node.name: node.layer for node in network.nodes if isinstance(node.layer, InputLayer)}
        # What lies outside a limit of the model itself is the same to it; what it declares not to be is wrong in any case.
        self._limited = frozenset(name for name, layer in inputs.items() if layer.saturates)
        self._declared = frozenset(name for name, layer in inputs.items() if layer.declares)
        self._look_ups = look_ups(network)
        self._picks = Picks()
        self._lost_told = False
        self._came = self._looked = 0
        self._network = None if calibrated is None else network
        self._predictions = None if calibrated is None else Predictions(network, calibrated=calibrated)

    @cached_property
    def _emulator(self) -> Emulator:
        """Return the emulator of the program up to the watched casts."""
        return Emulator(self.watch.program)

    def losses(self, batches: Sequence[Batch]) -> Losses:
        """All values that leave their formats inside the circuit."""
        return self.watch.run(self._emulator, batches)

    def tell_approximate(self) -> None:
        """Repeat once what of the model is approximate."""
        if self._approximate:
            said, self._approximate = self._approximate, []
            warnings.warn("\n".join(said), ApproximationWarning, stacklevel=users_line())

    def tell_outside(self, emulator: Emulator, batches: Sequence[Batch], outside: Sequence[int]) -> bool:
        """Warn of the counts of values ``outside`` each input's format where an output shows it; True if there was a warning.

        Indices of no row are wrong in any case.
        """
        wrong = [self._tell_no_rows(op.name, batch) for op, batch in zip(emulator.inputs, batches, strict=True)]
        told = {
            op.name for op, found in zip(emulator.inputs, wrong, strict=True) if found and op.name in self._declared
        }
        counts = {op: count for op, count in zip(emulator.inputs, outside, strict=True) if op.name not in self._limited}
        counts = {op: count for op, count in counts.items() if count and op.name not in told}
        if not counts or not (
            self._network is None
            or any(op.name in self._declared for op in counts)
            or outputs_show(self._network, emulator, batches)
        ):
            return any(wrong)
        for op, count in counts.items():
            warnings.warn(
                f"input {op.name!r}: {count} values lie outside {input_range(op)}; "
                f"{op.overflow.value} applies ({input_format(op)})",
                InputRangeWarning,
                stacklevel=users_line(),
            )
        return True

    def _tell_no_rows(self, name: str, batch: Batch) -> bool:
        """Warn of indices that embeddings have no row for, of which frameworks make errors; True if there were some."""
        told = False
        for each in self._look_ups.get(name, ()):
            seen = batch.reshape(len(batch), -1)[:, each.places]
            count = int(np.count_nonzero((seen <= -1) | (seen >= each.rows)))
            if count:
                warnings.warn(
                    f"input {name!r}: {count} values are not the index of a row of {each.layer!r}, 0..{each.rows - 1}; "
                    "the nearest row is taken",
                    InputRangeWarning,
                    stacklevel=users_line(),
                )
            told = told or count > 0
        return told

    def tell_lost(self, batches: Sequence[Batch], left: Collection[Cast]) -> None:
        """Look at all samples if values have ``left`` a format that wraps, else at a few of them, until something was found.

        Of computed indices all are looked at, whose layers are mostly the first ones.
        """
        if self._lost_told:
            return
        wrapped = any(cast.overflow is Overflow.WRAP for cast in left)
        picked = batches if wrapped or self._outside_rows(batches) else None
        if picked is None and self.watch.saturates:
            picked = self._picks.of(batches)
        found = [] if picked is None else [loss for loss in self.losses(picked) if loss.matters]
        if picked is not None and found:
            self._lost_told = True
            listed = "".join(f"\n  {loss}" for loss in found[:_LISTED])
            warnings.warn(
                f"values leave their formats inside the circuit ({len(picked[0])} samples looked at; model.losses(x) counts "
                f"all):{listed}",
                FidelityWarning,
                stacklevel=users_line(),
            )

    def _outside_rows(self, batches: Sequence[Batch]) -> bool:
        """Return True if an index that the network computes is that of no row."""
        if not self.watch.indices:
            return False
        watch, emulator = self._of_indices
        return len(watch.run(emulator, batches)) > 0

    @cached_property
    def _of_indices(self) -> tuple[Watch, Emulator]:
        watch = self.watch.of_indices()
        return watch, Emulator(watch.program)

    def tell_off(
        self, batches: Sequence[Batch], outputs: Sequence[Floats], emulator: Emulator, left: Collection[Cast]
    ) -> None:
        """Compare a few ``outputs`` until some were wrong, unless values outside the inputs' formats have changed them.

        Those of samples whose values have ``left`` limits of ``auto`` are among these.
        """
        if self._predictions is None or self._lost_told:
            return
        limited = self._beyond_limits(batches, left)
        off = self._predictions.look(batches, outputs, limited)
        if off is not None:
            message = self._predictions.told(*off, emulator)
            if len(limited):
                listed = self.losses([batch[limited] for batch in batches]).rows[:_LISTED]
                message = "\n  ".join([f"{off[0]}. Values leave what calibration data showed:", *map(str, listed)])
            self._predictions = None
            warnings.warn(message, FidelityWarning, stacklevel=users_line())

    def _beyond_limits(self, batches: Sequence[Batch], left: Collection[Cast]) -> npt.NDArray[np.intp]:
        """Return the samples with values beyond limits of ``auto``, if some have ``left`` these; of many samples, of some."""
        self._came += len(batches[0])
        count = min(_LOOKED + self._came // _SHARE - self._looked, len(batches[0]))
        if (
            count <= 0
            or self._network is None
            or self._network.stateful
            or not any(cast.overflow is Overflow.SAT for cast in left)
        ):
            return np.zeros(0, np.intp)
        self._looked += count
        picked = np.linspace(0, len(batches[0]) - 1, count).astype(np.intp)
        return picked[self.watch.limited(self._emulator, [batch[picked] for batch in batches])]
