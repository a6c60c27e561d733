"""The channels of a layer's result that are furthest off, each beside a range of its own.

Of two outputs of unlike scale the small one may be lost while the whole looks right.
"""

from dataclasses import dataclass

import numpy as np

from bitsmith.fidelity.deviation import MOST, Deviation, Spans, signal_to_noise
from bitsmith.layers.layer import Floats

LEAST_ERROR = 0.01
"""Mean error, as a share of its own range, below which a channel is not looked at further."""

LEAST_STEPS = 2.0
"""Steps of its format by which a channel may be off: how coarse these are beside its range is no matter of translation."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel beside the float model's; ``error`` and ``worst`` are shares of its ``size``, the range that it is judged by.

    ``own`` and ``own_worst`` are what the layer adds itself beyond the steps of the format, as shares of the channel's range or
    greatest magnitude, ``largest``; ``added`` is all that it adds, as ``error``. ``step`` is that of the format in the circuit.
    """

    index: int
    size: float
    largest: float
    step: float
    error: float
    worst: float
    snr_db: float | None
    added: float
    own: float
    own_worst: float


@dataclass(frozen=True, slots=True)
class Channels:
    """All channels of a layer, whose format has ``steps``: how far they are ``off``, and how much of that the layer adds."""

    wanted: Floats
    axis: int
    spans: Spans
    steps: Floats
    off: Deviation
    added: Deviation

    def lost(self) -> Channel | None:
        """The one that is furthest off beside its own range, if that is far enough to be of interest."""
        errors = self.off.errors * self._small()
        index = int(np.argmax(errors))
        return self._channel(index) if errors[index] > LEAST_ERROR else None

    def astray(self) -> Channel | None:
        """The one to which the layer adds most; None if it adds nothing beyond the steps."""
        beyond = self._beyond(self.added.errors)
        index = int(np.argmax(beyond))
        return self._channel(index) if beyond[index] > 0.0 else None

    def _small(self) -> Floats:
        """Return the ratio of the tensor's range to each channel's."""
        return np.minimum(self.spans.whole.size / self.spans.sizes(), MOST)

    def _beyond(self, shares: Floats) -> Floats:
        """``shares`` of the whole's range beyond the steps, as shares of what the steps of a good format go by."""
        spare = LEAST_STEPS * self.steps / self.spans.whole.size
        return np.maximum(shares - spare, 0.0) * np.minimum(self.spans.whole.size / self.spans.largest(), MOST)

    def _channel(self, index: int) -> Channel:
        small = float(self._small()[index])
        error = float(self.off.errors[index])
        numbers = np.take(self.wanted, index, self.axis if self.axis < 0 else self.axis + 1)
        return Channel(
            index=index,
            size=float(self.spans.sizes()[index]),
            largest=float(self.spans.largest()[index]),
            step=float(np.broadcast_to(self.steps, self.spans.least.shape)[index]),
            error=min(small * error, MOST),
            worst=min(small * float(self.off.worsts[index]), MOST),
            snr_db=signal_to_noise(numbers, error, self.spans.whole.size),
            added=min(small * float(self.added.errors[index]), MOST),
            own=float(self._beyond(self.added.errors)[index]),
            own_worst=float(self._beyond(self.added.worsts)[index]),
        )
