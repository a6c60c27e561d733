"""The multipliers of a folded product: the widths of factors and products, and which two products share a multiplier block.

In: a folded product, the types of its tokens, and the block of the family. Out: `Multipliers`, for writing and counting hardware.

Two products with a common factor come out of one multiplication where the block is wide enough: the bits of
``(low + high * 2**k) * common`` are those of ``low * common`` in the lower ``k``, and above them ``high * common``, less 1 if the
former is negative. Multipliers in blocks are counted as the look-up tables of such a product, as in `bitsmith.mapping.folding`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from bitsmith.dataflow.processes import FoldedProduct, union_type
from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.ir.types import TensorType, width_of

Range: TypeAlias = tuple[int, int]


class Pairs(enum.Enum):
    """Products that share a multiplier: none, those of two columns with an operand, those of two lanes with a weight."""

    NONE = "none"
    COLUMNS = "columns"
    LANES = "lanes"


@dataclass(frozen=True, slots=True)
class Multipliers:
    """The multipliers of a fold.

    Args:
        number, weight, product: bits of a number of the operand, of a weight, and of a product, signed.
        wanted: bits of a product that its result has.
        pairs: which products share a multiplier.
        packed: bits of two factors that are packed, signed.
        blocks: multiplier blocks; 0 where products are made of look-up tables.
        luts: about the look-up tables that pack factors and correct products.
    """

    number: int
    weight: int
    product: int
    wanted: int
    pairs: Pairs
    packed: int
    blocks: int
    luts: int


def multipliers(kind: FoldedProduct, x: TensorType, y: TensorType, block: MultiplierBlock | None) -> Multipliers:
    """The multipliers of ``kind`` for tokens ``x`` and results ``y`` on a family with ``block``."""
    lanes = x.shape[0]
    steps, (n, m) = kind.steps, kind.tile
    operand, weight = union_type(x, 1).raw_range, _weights(kind)
    number_bits, weight_bits, result = _bits(operand), _bits(weight), _bits(y.raw_range)
    product = _bits(_products(operand, weight))
    wanted = min(product, result)
    single = block.count(number_bits, weight_bits, wanted) if block else 0
    alone = Multipliers(number_bits, weight_bits, product, wanted, Pairs.NONE, weight_bits, single * lanes * n * m, 0)
    if block is None or single != 1 or kind.sets > 1:
        return alone
    found = [alone]
    for pairs, factor, common, (vectors, others) in (
        (Pairs.COLUMNS, weight, operand, (m, lanes)),
        (Pairs.LANES, operand, weight, (lanes, m)),
    ):
        packing = packed(factor, common, block)
        both, left = divmod(vectors, 2)
        if packing is None or both == 0:
            continue
        luts = n * both * _bits(factor) if factor[0] < 0 else 0
        luts += others * both * (n + (result if steps == 1 else 0))
        blocks = n * others * (both + left)
        product, factors = packing
        found.append(Multipliers(number_bits, weight_bits, product, min(product, result), pairs, factors, blocks, luts))
    each_luts = min(number_bits, weight_bits) * (max(number_bits, weight_bits) + 1)
    return min(found, key=lambda one: one.blocks * each_luts + one.luts)


def packed(factor: Range, common: Range, block: MultiplierBlock) -> tuple[int, int] | None:
    """The bits of a product and of two packed factors, if the products of any two ``factor`` with a ``common`` share a block."""
    lowest, highest = _products(factor, common)
    if block.count(_bits(factor), _bits(common), _bits((lowest, highest))) != 1:
        return None
    product = _bits((lowest - 1, highest))  # the upper one comes less 1
    scale = 1 + (1 << product)
    factors = _bits((factor[0] * scale, factor[1] * scale))
    return None if block.count(factors, _bits(common)) > 1 else (product, factors)


def _weights(kind: FoldedProduct) -> Range:
    """The range of the weights."""
    if kind.loaded:
        return kind.loaded.token(kind.weights.shape[2:]).raw_range
    return int(kind.weights.min()), int(kind.weights.max())


def _products(a: Range, b: Range) -> Range:
    every = [one * other for one in a for other in b]
    return min(every), max(every)


def _bits(values: Range) -> int:
    """Bits of signed numbers of this range."""
    lo, hi = values
    return width_of(lo, hi) if lo < 0 else hi.bit_length() + 1
