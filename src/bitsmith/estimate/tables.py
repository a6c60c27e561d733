"""The area of regular constant tables in look-up tables, as a share of that of random ones.

A table is cut into parts of as many words as a look-up table has. The share is the fraction of parts that are neither
constant nor equal to another part, to a power below 1: the multiplexers that choose a part stay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import Ints

_LIMB = 62
"""Bits of a word that are looked at in machine integers together."""


def unlike(values: Ints, first: int, address: int, width: int, inputs: int, power: float) -> npt.NDArray[np.float64]:
    """The share of each row of ``values``, whose lowest ``width`` bits are stored from address ``first`` on.

    The address has ``address`` bits, and a look-up table ``inputs`` inputs. Unused words are equal to the most frequent one.
    """
    kept = values & ((1 << width) - 1)
    limbs = [(kept >> low & ((1 << _LIMB) - 1)).astype(np.int64) for low in range(0, width, _LIMB)]
    ranks = limbs[0] if len(limbs) == 1 else np.unique(kept, return_inverse=True)[1].reshape(kept.shape)
    unused = np.argmax(ranks == _most_frequent(ranks)[:, None], axis=1)[:, None]
    places = np.arange(first, first + kept.shape[1]) % (1 << address)
    size = min(1 << inputs, 1 << address)
    bits = np.empty((len(values), width, 1 << address), dtype=np.uint8)
    for limb, low in zip(limbs, range(0, width, _LIMB), strict=True):
        words = np.empty((len(values), 1 << address), dtype=np.int64)
        words[:] = np.take_along_axis(limb, unused, axis=1)
        words[:, places] = limb
        most = min(_LIMB, width - low)
        bits[:, low : low + most] = words[:, None, :] >> np.arange(most)[:, None] & 1
    parts = np.packbits(bits.reshape(len(values), -1, size), axis=-1)
    full = np.packbits(np.ones(size, dtype=np.uint8))
    differing = np.zeros(len(values))
    for row, table in enumerate(parts):
        distinct = np.unique(table.view(f"V{table.shape[1]}"))
        constant = sum(end.view(distinct.dtype)[0] in distinct for end in (0 * full, full))
        differing[row] = len(distinct) - constant
    shares: npt.NDArray[np.float64] = (differing / parts.shape[1]) ** power
    return shares


def _most_frequent(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The most frequent number of each row."""
    ordered = np.sort(rows, axis=1)
    starts = np.ones_like(ordered, dtype=np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    at = np.arange(ordered.shape[1])
    runs = at - np.maximum.accumulate(np.where(starts, at, 0), axis=1)
    frequent: npt.NDArray[np.int64] = ordered[np.arange(len(rows)), runs.argmax(axis=1)]
    return frequent
