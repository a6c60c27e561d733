"""Picks the samples of predictions that are looked at for values that leave the formats inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.emulate.batches import Batch

_SHARE = 32
"""Samples of which one is looked at."""

_AT_ONCE = 64
"""Picked samples that wait for each other in the long run: to look at one takes nearly as long as to look at all of them."""

_PATIENCE = 4
"""Looks, after which twice as many samples wait: the first ones are looked at soon."""


class Picks:
    """Keeps one of :data:`_SHARE` samples, the first one among them, and gives some at once."""

    def __init__(self) -> None:
        self._due = _SHARE - 1
        self._looks = 0
        self._kept: list[list[Batch]] = []

    def of(self, batches: Sequence[Batch]) -> list[Batch] | None:
        """The samples to look at now that ``batches``, one array per input, came; None for none yet."""
        self._due += len(batches[0])
        count = min(self._due // _SHARE, len(batches[0]))
        if not count:
            return None
        self._due %= _SHARE
        picked = slice(1) if count == 1 else np.linspace(0, len(batches[0]) - 1, count).astype(np.int64)
        self._kept.append([batch[picked].copy() for batch in batches])
        if sum(len(few[0]) for few in self._kept) < min(1 << self._looks // _PATIENCE, _AT_ONCE):
            return None
        self._looks += 1
        kept, self._kept = self._kept, []
        return [np.concatenate(parts) for parts in zip(*kept, strict=True)]
