"""The inputs of a network with states since its last reset: a stretch of samples in order."""

import math
from collections.abc import Sequence

import numpy as np

from bitsmith.emulate.batches import Batch
from bitsmith.layers.network import Network

_SAMPLES, _ELEMENTS = 4096, 1 << 22
"""Samples that are kept, and elements of all of them."""


class Stretch:
    """Keeps the last samples since a reset, as many as there is room for.

    Once the first ones are gone, those that are kept are taken to begin after a reset.
    """

    def __init__(self, network: Network) -> None:
        shapes = network.shapes()
        elements = sum(math.prod(shapes[name]) for name in network.inputs)
        self._most = min(_SAMPLES, max(_ELEMENTS // max(elements, 1), 2))
        self._kept: list[Batch] = []
        self._count = 0

    def add(self, batches: Sequence[Batch], *, going_on: bool) -> None:
        """Keep samples that go on from those before, or come after a reset."""
        count = len(batches[0])
        if not going_on:
            self._count = 0
        if self._count + count > self._most:
            # Half of them go at once, so that this seldom happens.
            staying = max(min(self._most // 2, self._most - count), 0)
            for kept in self._kept:
                kept[:staying] = kept[self._count - staying : self._count].copy()
            self._count = staying
        last = [batch[-self._most :] for batch in batches]
        end = self._count + len(last[0])
        if not self._kept or end > len(self._kept[0]):
            room = min(2 * end, self._most)
            grown = [np.empty((room, *batch.shape[1:]), np.result_type(batch, np.float32)) for batch in batches]
            for to, kept in zip(grown, self._kept, strict=False):
                to[: self._count] = kept[: self._count]
            self._kept = grown
        for kept, batch in zip(self._kept, last, strict=True):
            kept[self._count : end] = batch
        self._count = end

    def whole(self, batches: Sequence[Batch], *, going_on: bool) -> Sequence[Batch]:
        """The samples that were kept, of which ``batches`` are the last; these alone if they came after a reset."""
        return [kept[: self._count] for kept in self._kept] if going_on else batches
