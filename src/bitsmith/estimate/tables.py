"""The area of constant tables: in look-up tables, regular ones take a share of what random ones do.

A table is cut into parts of as many words as a look-up table has. The share is the fraction of parts that are neither
constant nor equal to another part, to a power below 1: the multiplexers that choose a part stay.
"""

import numpy as np
import numpy.typing as npt

from bitsmith.devices.area import AreaModel
from bitsmith.ir import ops
from bitsmith.ir.types import Ints, TensorType

_LIMB = 62
"""Bits of a word that are looked at in machine integers together."""


def table_area(
    op: ops.Table, x: TensorType, y: TensorType, repeats: float, area: AreaModel, inputs: int
) -> tuple[float, float]:
    """Look-up tables, which have ``inputs`` inputs, and memory blocks of tables of as many words and bits as each element has."""
    numbers = np.arange(op.values[..., 0].size).reshape(op.values.shape[:-1])
    each = np.stack(np.broadcast_arrays(numbers, x.lo - op.first, x.hi - op.first, x.width, y.width)).reshape(5, -1)
    kinds, counts = np.unique(each.astype(np.int64), axis=1, return_counts=True)
    numbers_of = counts * (y.size / each.shape[1] * repeats)
    shapes, group = np.unique(kinds[1:], axis=1, return_inverse=True)
    rows, luts, blocks = op.values.reshape(numbers.size, -1), 0.0, 0.0
    for number, (low, high, address, width) in enumerate(shapes.T.tolist()):
        count = numbers_of[group.ravel() == number]
        if area.memory.pays_table(1 << address, width):
            blocks += area.memory.count(1 << address, width) * count.sum()
        elif width:
            words = rows[kinds[0, group.ravel() == number], low : high + 1]
            share = unlike(words, low + op.first, address, width, inputs, area.unlike_power)
            luts += area.table(address, width) * float(share @ count)
    return luts, blocks


def unlike(values: Ints, first: int, address: int, width: int, inputs: int, power: float) -> npt.NDArray[np.float64]:
    """The share of each row of ``values``, whose lowest ``width`` bits are stored from address ``first`` on.

    The address has ``address`` bits, and a look-up table ``inputs`` inputs. Unused words are equal to the most frequent one.
    """
    bits = columns(values, first, address, width)
    return np.array([unlike_parts(table, inputs, inverted=False) for table in bits]) ** power


def unlike_parts(bits: npt.NDArray[np.uint8], inputs: int, *, inverted: bool) -> float:
    """The share of parts of ``inputs`` address bits that are no constants and unlike all others, also ``inverted`` ones if so."""
    parts = bits.reshape(-1, min(1 << inputs, bits.shape[-1]))
    packed = np.packbits(parts ^ parts[:, :1] if inverted else parts, axis=-1)
    distinct = np.unique(packed.view(f"V{packed.shape[1]}"))
    ends = (np.packbits(np.full(parts.shape[1], end, dtype=np.uint8)) for end in (0, 1))
    return (len(distinct) - sum(end.view(distinct.dtype)[0] in distinct for end in ends)) / len(parts)


def columns(values: Ints, first: int, address: int, width: int) -> npt.NDArray[np.uint8]:
    """The lowest ``width`` bits of each row of ``values``, as `unlike` stores them: an axis of bits, and one of words."""
    kept = values & ((1 << width) - 1)
    limbs = [(kept >> low & ((1 << _LIMB) - 1)).astype(np.int64) for low in range(0, width, _LIMB)]
    ranks = limbs[0] if len(limbs) == 1 else np.unique(kept, return_inverse=True)[1].reshape(kept.shape)
    unused = np.argmax(ranks == _most_frequent(ranks)[:, None], axis=1)[:, None]
    places = np.arange(first, first + kept.shape[1]) % (1 << address)
    bits = np.empty((len(values), width, 1 << address), dtype=np.uint8)
    for limb, low in zip(limbs, range(0, width, _LIMB), strict=True):
        words = np.empty((len(values), 1 << address), dtype=np.int64)
        words[:] = np.take_along_axis(limb, unused, axis=1)
        words[:, places] = limb
        most = min(_LIMB, width - low)
        bits[:, low : low + most] = words[:, None, :] >> np.arange(most)[:, None] & 1
    return bits


def _most_frequent(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The most frequent number of each row."""
    ordered = np.sort(rows, axis=1)
    starts = np.ones_like(ordered, dtype=np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    at = np.arange(ordered.shape[1])
    runs = at - np.maximum.accumulate(np.where(starts, at, 0), axis=1)
    frequent: npt.NDArray[np.int64] = ordered[np.arange(len(rows)), runs.argmax(axis=1)]
    return frequent
