"""The numbers of vectors that are not zero in every cycle, where zeros are those of the padding around a map.

A map has few kinds of borders, so that most of its windows have the same zeros: what is asked of all of them is asked of each
pattern once.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]


class Live:
    """Numbers of vectors that are no zeros of the padding, (vectors, n)."""

    def __init__(self, live: Bools) -> None:
        packed = np.ascontiguousarray(np.packbits(live, axis=1))
        words = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
        _, first, self._pattern = np.unique(words, return_index=True, return_inverse=True)
        self._numbers = live[first]
        self._at_once = cache(self._counted)
        self.rows = cache(self._rows)

    def _rows(self, serial: int, steps: int) -> int:
        """Numbers that are multiplied at once if vectors come ``serial`` times, in ``steps`` parts each, without such zeros."""
        live, counts = self._at_once(serial)
        size = -(-live.shape[1] // steps)
        parts = np.pad(live, ((0, 0), (0, steps * size - live.shape[1]))).reshape(len(live), steps, size)
        return int(parts.any(axis=1).sum(axis=1) @ counts)

    def _counted(self, serial: int) -> tuple[Bools, npt.NDArray[np.int64]]:
        """The numbers of a lane that are live in some of so many turns, of each kind of lane, and the lanes of the kind."""
        patterns = self._pattern.reshape(serial, -1)
        lanes = patterns.shape[1]
        there = np.zeros((lanes, len(self._numbers)), dtype=np.bool_)
        there[np.arange(lanes), patterns] = True
        kinds, counts = np.unique(there, axis=0, return_counts=True)
        return np.asarray(kinds @ self._numbers, dtype=np.bool_), counts
