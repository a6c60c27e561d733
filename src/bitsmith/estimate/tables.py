"""The area of constant tables: in look-up tables, regular ones take a share of what random ones do.

A table is cut into parts of as many words as a look-up table has. The share is the fraction of parts that are neither
constant nor equal to another part, to a power below 1: the multiplexers that choose a part stay.

Where synthesis makes tables of an address together, halves of tables, quarters and so on are functions of fewer address bits.
Each function that depends on all of its bits takes a look-up table if it has as many bits as that has inputs, or more. For
70 groups of tables of 5 to 9 bits on iCE40, random, smooth or of networks, the sum is at 0.97 to 1.01 in the median of each
size. The single group is off by a tenth or so.
"""

import numpy as np
import numpy.typing as npt

from bitsmith.devices.area import AreaModel
from bitsmith.ir import ops
from bitsmith.ir.types import Ints, TensorType

_LIMB = 62
"""Bits of a word that are looked at in machine integers together."""
_OF_FEWER = 0.55
"""Look-up tables of a function of one input less than they have: half of these are in those that read them."""


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
            each_luts = [table_luts(bits, inputs, area) for bits in columns(words, low + op.first, address, width)]
            luts += float(each_luts @ count)
    return luts, blocks


def table_luts(bits: npt.NDArray[np.uint8], inputs: int, area: AreaModel) -> float:
    """Look-up tables, which have ``inputs`` inputs, of tables of an address: a row of ``bits`` for each bit of their words."""
    address = bits.shape[1].bit_length() - 1
    if area.unlike_power is None and address > inputs:
        whole = sum(functions(bits, size) for size in range(inputs, address + 1))
        return whole + _OF_FEWER * functions(bits, inputs - 1)
    share: float = unlike_parts(bits, inputs) ** (area.unlike_power or 1.0)
    return area.table(address, len(bits)) * share


def functions(bits: npt.NDArray[np.uint8], size: int) -> int:
    """The functions in ``bits`` of ``size`` address bits, all of which matter, that are unlike all others, also inverted ones."""
    parts = bits.reshape(-1, 1 << size)
    parts = parts ^ parts[:, :1]
    packed = np.packbits(parts, axis=-1)
    parts = parts[np.unique(packed.view(f"V{packed.shape[1]}"), return_index=True)[1]]
    matter = np.ones(len(parts), dtype=np.bool_)
    for bit in range(size):
        halves = parts.reshape(len(parts), -1, 2, 1 << bit)
        matter &= (halves[:, :, 0] != halves[:, :, 1]).any(axis=(1, 2))
    return int(matter.sum())


def unlike_parts(bits: npt.NDArray[np.uint8], inputs: int) -> float:
    """The share of parts of ``inputs`` address bits that are neither constants nor like others."""
    parts = bits.reshape(-1, min(1 << inputs, bits.shape[-1]))
    packed = np.packbits(parts, axis=-1)
    distinct = np.unique(packed.view(f"V{packed.shape[1]}"))
    ends = (np.packbits(np.full(parts.shape[1], end, dtype=np.uint8)) for end in (0, 1))
    return (len(distinct) - sum(end.view(distinct.dtype)[0] in distinct for end in ends)) / len(parts)


def columns(values: Ints, first: int, address: int, width: int) -> npt.NDArray[np.uint8]:
    """The lowest ``width`` bits of each row of ``values``, stored from address ``first`` on: an axis of bits, and one of words.

    The address has ``address`` bits. Unused words are equal to the most frequent one.
    """
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
