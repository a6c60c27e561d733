"""Packs raw values into the port bits of a design and back.

A packed sample is a row of 32-bit words, least significant first; its elements are packed from bit 0 up, each in its own width,
without gaps. All samples are handled at once.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import InputDataError
from bitsmith.netlist.netlist import Field

Raw: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.object_]
Words: TypeAlias = npt.NDArray[np.uint32]

_WORD = 32
_MASK = (1 << _WORD) - 1
_MAX_MACHINE_WIDTH = 63


def pack(fields: Sequence[Field], tensors: Sequence[Raw]) -> Words:
    """Raw tensors (batch, *shape), in the order of ``fields``, as (batch, ceil(bits / 32)) words.

    Raises:
        InputDataError: tensors of other sizes than the fields, or values outside the fields' intervals.
    """
    columns = _columns(fields, tensors)
    batch = len(columns)
    packed = np.zeros((batch, max(-(-sum(item.width for item in fields) // _WORD), 1) + 1), dtype=np.uint64)
    low = 0
    for k, item in enumerate(fields):
        for first in range(0, item.width, _WORD):
            bits = min(_WORD, item.width - first)
            limb = ((columns[:, k] >> first) & ((1 << bits) - 1)).astype(np.uint64)
            word, shift = divmod(low + first, _WORD)
            limb = limb << np.uint64(shift)
            packed[:, word] |= limb & np.uint64(_MASK)
            packed[:, word + 1] |= limb >> np.uint64(_WORD)
        low += item.width
    return packed[:, :-1].astype(np.uint32)


def unpack(fields: Sequence[Field], packed: Words) -> list[Raw]:
    """Raw values per tensor of ``fields``, each (batch, elements): int64, or Python integers if wider than 63 bits."""
    words = np.concatenate([packed, np.zeros((len(packed), 1), dtype=np.uint32)], axis=1).astype(np.uint64)
    tensors: list[Raw] = []
    low = 0
    for items in _tensors(fields):
        wide = max(item.width for item in items) > _MAX_MACHINE_WIDTH
        columns = []
        for item in items:
            columns.append(_signed(_unsigned(words, low, item.width, wide), item))
            low += item.width
        stacked = np.stack(columns, axis=1)
        tensors.append(stacked.astype(np.object_) if wide else stacked.astype(np.int64))
    return tensors


def _signed(column: Raw, item: Field) -> Raw:
    """Plain binary numbers of an element's width as its values."""
    return column - ((column >> (item.width - 1)) << item.width) if item.signed else column


def _unsigned(words: npt.NDArray[np.uint64], low: int, width: int, wide: bool) -> Raw:
    """``width`` bits from ``low`` of each row, as Python integers if ``wide``."""
    column: npt.NDArray[np.object_] | npt.NDArray[np.int64]
    column = np.zeros(len(words), dtype=np.object_) if wide else np.zeros(len(words), dtype=np.int64)
    for first in range(0, width, _WORD):
        word, shift = divmod(low + first, _WORD)
        pair = words[:, word] | (words[:, word + 1] << np.uint64(_WORD))
        limb = (pair >> np.uint64(shift)) & np.uint64((1 << min(_WORD, width - first)) - 1)
        column = column | ((limb.astype(np.object_) if wide else limb.astype(np.int64)) << first)
    return column


def _tensors(fields: Sequence[Field]) -> list[Sequence[Field]]:
    """The fields of each tensor: one begins at every index 0."""
    starts = [k for k, item in enumerate(fields) if item.index == 0]
    return [fields[first:last] for first, last in pairwise([*starts, len(fields)])]


def _columns(fields: Sequence[Field], tensors: Sequence[Raw]) -> npt.NDArray[np.object_] | npt.NDArray[np.int64]:
    """All elements side by side, (batch, elements), each checked against its interval."""
    if not tensors:
        raise InputDataError("no input tensors")
    flat = [np.asarray(tensor).reshape(len(tensor), -1) for tensor in tensors]
    sizes = [len(items) for items in _tensors(fields)]
    if [part.shape[1] for part in flat] != sizes or len({len(part) for part in flat}) != 1:
        raise InputDataError(
            f"inputs of shapes {[np.shape(tensor) for tensor in tensors]}",
            accepted=f"one array per input, of equal first size, with {sizes} elements per sample",
        )
    wide = max(item.width for item in fields) > _MAX_MACHINE_WIDTH
    columns = np.concatenate([part.astype(np.object_ if wide else np.int64) for part in flat], axis=1)
    outside = (columns < [item.lo for item in fields]) | (columns > [item.hi for item in fields])
    if bool(np.any(outside)):
        sample, element = (int(where[0]) for where in np.nonzero(outside))
        item = fields[element]
        raise InputDataError(
            f"raw value {columns[sample, element]} of sample {sample}",
            where=f"input {item.tensor!r}, element {item.index}",
            accepted=f"{item.lo} to {item.hi}",
        )
    return columns
