"""The multipliers of a folded product: the widths of factors and products, and which two products share a multiplier block.

In: a folded product, the types of its tokens, and the block of the family. Out: `Multipliers`, for writing and counting hardware.

Two products with a common factor come out of one multiplication where the block is wide enough: the bits of
``(low + high * 2**k) * common`` are those of ``low * common`` in the lower ``k``, and above them ``high * common``, less 1 if the
former is negative. Multipliers in blocks are counted as the look-up tables of such a product, as in `bitsmith.mapping.folding`.

Blocks that add up their products on the way from one to the next take adders away: as many as the family's blocks can, in chains
of about the same length. So do those of packed factors, whose lower part then is a sum, if they are wide enough for it.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.engine_layer import EngineLayer
from bitsmith.dataflow.kinds import Engine, FoldedProduct
from bitsmith.dataflow.processes import Network, Process
from bitsmith.dataflow.storage import always_shifts
from bitsmith.dataflow.timing import REDUCE_LATENCY, product_latency
from bitsmith.dataflow.tokens import Numbers, union_type
from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.ir.types import TensorType, width_of

_PIPELINE = 5
"""Cycles that token functions which are not made are taken to have; longer ones take deeper FIFOs beside them."""

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
        number, weight, product: bits of a number of the operand, of a weight, and of the sum of ``chain`` products, signed.
        chain: products that blocks add up; 1 without.
        sums: such sums of a result in an action, which adders outside add up.
        wanted: bits of a single product that its result has.
        pairs: which products share a multiplier.
        packed: bits of two factors that are packed, signed.
        blocks: multiplier blocks; 0 where products are made of look-up tables.
        packing: bits of the sums that pack factors.
        luts: about the look-up tables of these, and of what corrects products.
    """

    number: int
    weight: int
    product: int
    chain: int
    sums: int
    wanted: int
    pairs: Pairs
    packed: int
    blocks: int
    packing: int
    luts: int


def multipliers(kind: FoldedProduct, x: TensorType, y: TensorType, block: MultiplierBlock | None) -> Multipliers:
    """The multipliers of ``kind`` for tokens ``x`` and results ``y`` on a family with ``block``."""
    lanes = x.shape[0]
    steps, (n, m) = kind.steps, kind.tile
    operand, weight = union_type(x, 1).raw_range, _weights(kind)
    number_bits, weight_bits, result = _bits(operand), _bits(weight), _bits(y.raw_range)
    wanted = min(_bits(_products(operand, weight)), result)
    single = block.count(number_bits, weight_bits, wanted) if block else 0
    held = block is not None and block.holds(number_bits, weight_bits, wanted)
    chains = _chains(n, block.chain if block and held else 1)

    def made(chain: int, product: int, pairs: Pairs, factors: int, blocks: int, *luts: int) -> Multipliers:
        sums = -(-n // chain)
        return Multipliers(number_bits, weight_bits, product, chain, sums, wanted, pairs, factors, blocks, *luts)

    product = _bits(_sums(operand, weight, chains[0]))
    choices = [made(chains[0], product, Pairs.NONE, weight_bits, single * lanes * n * m, 0, 0)]
    if block is None or not held or kind.sets > 1:
        return choices[0]
    for pairs, factor, common, (vectors, others) in (
        (Pairs.COLUMNS, weight, operand, (m, lanes)),
        (Pairs.LANES, operand, weight, (lanes, m)),
    ):
        packings = ((chain, packed(factor, common, block, chain)) for chain in chains)
        chain, packing = next(((chain, packing) for chain, packing in packings if packing), (1, None))
        both, left = divmod(vectors, 2)
        if packing is None or both == 0:
            continue
        joined = n * both * _bits(factor) if factor[0] < 0 else 0
        luts = joined + others * both * (-(-n // chain) + (result if steps == 1 else 0))
        choices.append(made(chain, packing[0], pairs, packing[1], n * others * (both + left), joined, luts))
    each_luts = min(number_bits, weight_bits) * (max(number_bits, weight_bits) + 1)
    return min(choices, key=lambda one: one.blocks * each_luts + one.luts + lanes * m * (one.sums - 1) * one.product)


def _chains(n: int, longest: int) -> tuple[int, ...]:
    """The lengths of chains that add up ``n`` products, longest first: as few chains as each length up to ``longest`` allows."""
    return tuple(sorted({-(-n // -(-n // length)) for length in range(1, longest + 1)}, reverse=True))


def packed(factor: Range, common: Range, block: MultiplierBlock, chain: int = 1) -> tuple[int, int] | None:
    """The bits of a sum of ``chain`` products and of two packed factors.

    None unless the products of any two ``factor`` with a ``common`` share a block.
    """
    if not block.holds(_bits(factor), _bits(common), _bits(_products(factor, common))):
        return None
    lowest, highest = _sums(factor, common, chain)
    product = _bits((lowest - 1, highest))  # the upper one comes less 1
    scale = 1 + (1 << product)
    factors = _bits((factor[0] * scale, factor[1] * scale))
    return (product, factors) if block.holds(factors, _bits(common)) else None


@dataclass(frozen=True, slots=True)
class LaneMultipliers:
    """The multipliers of the lanes of a window of an engine.

    Args:
        number: of multipliers.
        first: the same of the first window, which layers that compute one at once have alone.
        alone: lanes, the first ones, that have one each; all others have numbers in common.
        pairs: two of these with one multiplier, whose ``product`` has so many bits for each, and its ``factor`` for both weights.
    """

    number: int
    first: int
    alone: int
    pairs: int = 0
    product: int = 0
    factor: int = 0


def lane_multipliers(kind: Engine, block: MultiplierBlock | None) -> LaneMultipliers:
    """The multipliers of an engine on a family with ``block``: if not all layers allow pairs, all windows but the first may."""
    alone = kind.banks if kind.banks > 1 else 0
    pairs = (kind.lanes - alone) // 2
    several = [layer for layer in kind.layers if layer.positions > 1]
    for layers, first in ((kind.layers, kind.lanes - pairs), (several, kind.lanes)):
        packing = _lane_pairs(kind, layers, block) if layers and block else None
        if packing is not None and pairs > 0:
            return LaneMultipliers(kind.lanes - pairs, first, alone, pairs, *packing)
    return LaneMultipliers(kind.lanes, kind.lanes, kind.lanes)


def _lane_pairs(kind: Engine, layers: Sequence[EngineLayer], block: MultiplierBlock) -> tuple[int, int] | None:
    """The bits of a product, and of both weights, if two lanes with the same number can share a multiplier in all ``layers``."""
    ranges = [one for layer in layers for one in layer.ranges]
    least, most = min(low for low, _ in ranges), max(high for _, high in ranges)
    numbers = -(1 << (-least - 1).bit_length()) if least < 0 else 0, (1 << max(most, 1).bit_length()) - 1
    reach = max(layer.reach_of_weights for layer in layers)
    packing = packed((-reach, reach), numbers, block)
    return packing if packing and block.holds(packing[1], kind.number_bits + 1) else None


def number_bits(x: TensorType) -> Numbers:
    """The bits of each number of tokens ``x``, (lanes, n), signed, in the scale of all lanes; above them are signs alone.

    Constants that only shift what they are multiplied with have none.
    """
    size = np.abs(x.lo)
    shifts = (x.lo == x.hi) & (size & (size - 1) == 0)
    bits = np.where(shifts, 0, x.width + (union_type(x, 1).frac - x.frac) + (x.lo >= 0))
    return np.broadcast_to(bits, x.shape).astype(np.int64)


def used_blocks(kind: FoldedProduct, array: Multipliers, live: Numbers | npt.NDArray[np.bool_]) -> float:
    """The share of blocks that products need: numbers are ``live``, or have so many each, and weights no shifts.

    Of numbers (lanes, n) all others are always 0. Equal products of a number with constants are made once.
    """
    n, m = kind.tile
    weights = kind.weights.reshape(-1, *kind.weights.shape[2:])
    numbers = live.astype(np.int64)
    unlike, known = np.asarray(kind.loaded is not None), np.asarray(len(weights) == 1)
    if array.pairs is Pairs.COLUMNS:  # the last one of an odd number is alone
        lower, upper = weights[:, :, ::2], np.zeros_like(weights[:, :, ::2])
        upper[:, :, : m // 2] = weights[:, :, 1::2]
        weights, known = lower + (upper << array.product), known | always_shifts(lower) & always_shifts(upper)
        unlike = unlike | (lower < 0).any(axis=0) & (np.arange(lower.shape[2]) < m // 2)  # a borrow hides the shift
    if array.pairs is Pairs.LANES:
        numbers = np.pad(numbers, ((0, len(numbers) % 2), (0, 0)))
        numbers = numbers[::2] | numbers[1::2]
    used = (~always_shifts(weights) | unlike).reshape(n, kind.sets, -1)
    number = used.sum(axis=2)
    if not kind.loaded:
        equal = used & np.broadcast_to(known, weights.shape[1:]).reshape(used.shape)
        values = np.sort(np.where(equal, weights[0].reshape(used.shape), 0), axis=2)
        number -= equal.sum(axis=2) - ((np.diff(values, axis=2, prepend=0) != 0) & (values != 0)).sum(axis=2)
    return float((numbers.reshape(-1, kind.sets, n) * number.T).mean() / used.shape[2])


def own_latency(process: Process, block: MultiplierBlock | None) -> int | None:
    """The cycles of the pipeline of a process without a token function; None if it has no pipeline of its own."""
    kind = process.kind
    if isinstance(kind, FoldedProduct):
        chain = multipliers(kind, process.takes[0].token, process.results[0].token, block).chain
        return product_latency(kind.tile[0], chain)
    return REDUCE_LATENCY if kind.logic.accumulates and kind.logic.program is None else None


def latencies_of(network: Network, block: MultiplierBlock | None) -> dict[int, int]:
    """The cycles of the pipelines of a network by process, where no circuits of token functions are made."""
    cycles = dict[int, int]()
    for number, process in enumerate(network.processes):
        latency = _PIPELINE if process.kind.logic.program else own_latency(process, block)
        if latency is not None:
            cycles[number] = latency
    return cycles


def _weights(kind: FoldedProduct) -> Range:
    if kind.loaded:
        return kind.loaded.token(kind.weights.shape[2:]).raw_range
    return int(kind.weights.min()), int(kind.weights.max())


def _sums(a: Range, b: Range, terms: int) -> Range:
    lowest, highest = _products(a, b)
    return lowest * terms, highest * terms


def _products(a: Range, b: Range) -> Range:
    every = [one * other for one in a for other in b]
    return min(every), max(every)


def _bits(values: Range) -> int:
    """Bits of signed numbers of this range."""
    lo, hi = values
    return width_of(lo, hi) if lo < 0 else hi.bit_length() + 1
