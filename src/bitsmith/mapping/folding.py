"""Folding: which tile of a layer's matrix is multiplied in a cycle, so that its products share multipliers; or an adder graph.

In: a matrix, the formats around it, and a number of cycles. Out: the folding that takes the least area. A larger number of
cycles admits all foldings of a smaller one, so that the area of the choice never grows with the reuse factor. Areas are
counted in four-input look-up tables, multipliers as what they would take without multiplier blocks. Of the device, a choice
depends only on whether two of the products share a block.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.tokens import Blocks
from bitsmith.dataflow.wires import Wires, places_in_source
from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.devices.parts import YARDSTICK as _AREA
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import TensorType, width_of
from bitsmith.mapping.live import Live
from bitsmith.mapping.multipliers import packed
from bitsmith.netlist import csd

_ROM_LUTS = (0.0, 0.0, 1.0, 1.0, 1.0, 2.0)
"""Per bit of a word of a constant table, by address bits; twice as many for each further one."""

_CONSTANT_LUTS = 0.75
"""Per bit of a result, for constants (a bias) added to results that come in parts, and their FIFO."""

_BLOCK_ROM_BITS = 2 * _AREA.memory.table_bits
"""Constant tables from here on are taken for block memory, whatever their shape. Words of weights are wide, so that tables just
above the limit of one block are mostly spread over two."""

SWEEP_LUTS = 350.0
"""Counters and sums of what reads windows from a memory."""

_GRAPHS_SHARE = 0.95
"""Share of the area of an adder graph: multipliers that save less are not shared, since areas are known to a twentieth."""

_ADDED = 2
"""Look-up tables per bit of a sum, or of the greater of two numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedMatrix:
    """A matrix of weights from outside: the parameter ``node``, or ``blocks`` of it (`LoadableWeights`)."""

    node: Node
    shape: tuple[int, int]
    blocks: Blocks = ((0,),)
    across: int = 1


Factor: TypeAlias = ops.Linear | LoadedMatrix
"""Nodes that have the matrix of a product with weights: the product itself, or its second operand."""


def weights_of(program: Program, node: Node) -> Factor | None:
    """Return the node that has the matrix of weights that a node multiplies by; None without one."""
    match node.op:
        case ops.Linear():
            return node.op
        case ops.MatMul():
            index = node.args[1]
            shape, (parameter, places) = program.nodes[index].type.shape, places_in_parameter(program, index)
            return None if parameter is None or len(shape) != 2 else matrix_of_blocks(parameter, places.reshape(shape))
        case _:
            return None


def places_in_parameter(program: Program, index: int) -> tuple[Node | None, Wires]:
    """The parameter of which a value has elements, and the place there of each, -1 for zeros; None if there is none."""
    node, places = places_in_source(program, index)
    return (node if isinstance(node.op, ops.Parameter) else None), places


def matrix_of_blocks(node: Node, places: Wires) -> LoadedMatrix:
    """The matrix of the elements of the parameter ``node`` at ``places`` (n, m), in the largest blocks that there are."""
    (n, m), width = places.shape, node.type.shape[-1]
    rows = node.type.size // width
    if places.size == node.type.size and np.array_equal(places.ravel(), np.arange(places.size)):
        return LoadedMatrix(node, (n, m), ((0,),))
    sizes = [(high, wide) for wide in divisors(math.gcd(m, width)) for high in divisors(math.gcd(n, rows))]
    cuts = (_blocks(places, width, *size) for size in sorted(sizes, key=math.prod, reverse=True))
    blocks = next(cut for cut in cuts if cut is not None)  # at last single elements
    return LoadedMatrix(node, (n, m), blocks, width // (m // len(blocks[0])))


def _blocks(places: Wires, width: int, high: int, wide: int) -> Blocks | None:
    """A matrix of elements at ``places`` of a tensor of ``width`` columns as blocks of it (high, wide); None if it is none."""
    n, m = places.shape
    cut = places.reshape(n // high, high, m // wide, wide).transpose(0, 2, 1, 3)
    first = cut[:, :, :1, :1]
    row, column = np.divmod(first[:, :, 0, 0], width)
    expected = np.where(first < 0, -1, first + np.arange(high)[:, None] * width + np.arange(wide))
    whole = (row < 0) | ((row % high == 0) & (column % wide == 0))
    if not np.all(whole) or not np.array_equal(cut, expected):
        return None
    numbers = np.where(row < 0, -1, row // high * (width // wide) + column // wide)
    return tuple(map(tuple, numbers.tolist()))


def matrix_shape(factor: Factor) -> tuple[int, int]:
    """Rows and columns."""
    n, m = factor.weights.shape if isinstance(factor, ops.Linear) else factor.shape
    return n, m


class MultiplierStyle(enum.Enum):
    """The multipliers of a layer's products with constants that have several cycles.

    CHEAPEST: adder graphs or shared multipliers, whichever takes the least area; SHARED: multipliers, as many cycles as
    there are; GRAPHS: adder graphs, which only the positions of a tensor share; LOADED: multipliers, for weights that are
    not known; BLOCKS: multipliers, too, and where all products lie side by side for wide constants.

    Values are the names of strategies that ask for them; none does for LOADED.
    """

    CHEAPEST = "latency"
    SHARED = "resource"
    GRAPHS = "unrolled"
    LOADED = "loaded"
    BLOCKS = "multiplier_blocks"


@dataclass(frozen=True, slots=True)
class Folding:
    """Positions one after another, and the parts of operand and result at each; without multipliers an adder graph does it."""

    serial: int
    steps: int
    groups: int
    multipliers: bool

    @property
    def cycles(self) -> int:
        """Cycles for all positions."""
        return self.serial * self.steps * self.groups


@dataclass(frozen=True, slots=True)
class Matrix:
    """The figures on which the area of a product of ``vectors`` vectors with a constant matrix depends.

    Args:
        n, m: rows and columns.
        vectors: vectors to multiply.
        operand, weight, result: bits of a number.
        adders: of the adder graph of one product.
        graph_bits: mean width of those.
        whole: the operand comes as a whole in every cycle unless its positions or parts come one after another, which
            takes a FIFO before them.
        column_pairs, vector_pairs: whether the products of two columns, and those of two vectors, can share a multiplier.
        sets: matrices, of which each is multiplied with an equal share of the vectors that come at once.
        live: the numbers that are no zeros of the padding; None for all.
        share: that of weights that are not 0. Products with those that are always 0 take nothing.
    """

    n: int
    m: int
    vectors: int
    operand: int
    weight: int
    result: int
    adders: float
    graph_bits: float
    whole: bool
    column_pairs: bool = False
    vector_pairs: bool = False
    sets: int = 1
    live: Live | None = None
    share: float = 1.0

    @classmethod
    def of(
        cls, op: Factor, x: TensorType, y: TensorType, vectors: int, block: MultiplierBlock | None, *, whole: bool
    ) -> Matrix:
        """The figures of ``op`` on ``vectors`` positions of tensors of types ``x`` and ``y``, with multipliers of ``block``."""
        if isinstance(op, LoadedMatrix):
            (n, m), (lo, hi) = op.shape, op.node.type.raw_range
            weight_bits, adders, graph_bits, share = width_of(min(lo, -1), hi), math.inf, math.inf, 1.0
        else:
            (n, m), lo, hi = op.weights.shape, int(op.weights.min()), int(op.weights.max())
            weight_bits, adders = width_of(min(lo, -1), hi), csd.estimate(op.weights)
            graph_bits = csd.adder_width(float(x.width.mean()), float(y.width.mean()))
            share = float(np.mean(op.weights != 0))
        weight, number = (lo, hi), x.raw_range
        column_pairs, vector_pairs = (
            block is not None and packed(factor, common, block) is not None
            for factor, common in ((weight, number), (number, weight))
        )
        return cls(
            n=n,
            m=m,
            vectors=vectors,
            operand=max(x.max_width, 1),
            weight=weight_bits,
            result=max(y.max_width, 1),
            adders=adders,
            graph_bits=graph_bits,
            whole=whole,
            column_pairs=column_pairs,
            vector_pairs=vector_pairs,
            share=share,
        )

    def area(self, folding: Folding) -> float:
        """Look-up tables of all that is between the operand and the consumer of the results."""
        lanes = self.vectors // folding.serial
        luts = self._operands(folding, lanes)
        if not folding.multipliers:
            return luts + lanes * (self.adders * self.graph_bits + self.m * self.result)
        width = self.m // folding.groups
        return (
            luts + self._tile(folding, lanes, self._rows(folding, lanes), width) + self._results(folding, lanes, width)
        )

    def area_of_tokens(self, folding: Folding, tokens: int) -> float:
        """The same for one vector that comes as ``tokens`` tokens, which are held if results come one after another."""
        size, width = self.n // folding.steps, self.m // folding.groups
        luts = self._tile(folding, 1, size, width) + self._results(folding, 1, width)
        if folding.steps > tokens:
            luts += _AREA.select_luts * self.n // tokens * self.operand + _AREA.control_luts
        if folding.groups > 1:  # parts in a memory, and what tells which of them is next
            bits = size * self.operand
            is_block = folding.steps > _AREA.memory_words and folding.steps * bits >= _BLOCK_ROM_BITS
            luts += 0.0 if is_block else _AREA.memory_luts * -(-folding.steps // _AREA.memory_words) * bits
            luts += rom_area(folding.steps * folding.groups, 3 * folding.steps.bit_length()) + _AREA.control_luts
        return luts

    def area_in_parts(self, folding: Folding, rows: int, lanes: int, have: int, channels: int) -> float:
        """The same for windows that are read from a memory, ``rows`` of each of ``lanes`` blocks at once.

        Their tokens come with ``have`` elements.
        """
        size, width = rows * lanes, self.m // folding.groups
        luts = self._tile(folding, lanes, size, width // lanes) + self._results(folding, 1, width)
        luts += SWEEP_LUTS + _AREA.memory_luts * size * self.operand
        words = (
            2 * channels // size
        )  # at least; of larger ones most is block memory, or needed for lines of whole tokens, too
        luts += _AREA.memory_luts * -(-min(words, 4 * _AREA.memory_words) // _AREA.memory_words) * size * self.operand
        return luts + area_of_regrouping(have, size, self.operand)

    def _operands(self, folding: Folding, lanes: int) -> float:
        """The FIFO of the operand, the selection of one position after another, and of the parts of those."""
        bits, held = (number * self.n * self.operand for number in (self.vectors, lanes))
        luts = _AREA.memory_luts * bits * int(self.whole and folding.cycles > 1)
        if folding.serial > 1:
            luts += _AREA.select_luts * bits + _AREA.control_luts
        if folding.steps * folding.groups > 1:
            luts += _AREA.select_luts * held * int(folding.steps > 1)
            moved = folding.steps > 1 and (lanes > 1 or self.n % folding.steps > 0)  # parts side by side, or padded
            luts += (_AREA.memory_luts * held + _AREA.control_luts) * (int(folding.serial > 1) + int(moved))
        return luts

    def _rows(self, folding: Folding, lanes: int) -> int:
        """Numbers that are multiplied at once, without those that are zero in every cycle."""
        size = -(-self.n // folding.steps)
        if self.live is None:
            return lanes * size
        return self.live.rows(folding.serial, folding.steps)

    def _tile(self, folding: Folding, lanes: int, rows: int, width: int) -> float:
        """Multipliers, adders and weights for ``rows`` numbers of ``lanes`` vectors, and the FIFO before them."""
        product, size = product_luts(self.operand, self.weight), max(rows / lanes, 1)
        used = 1.0 - (1.0 - self.share) ** (folding.steps * folding.groups)  # in some cycle
        luts = used * rows * width * product
        shared = max(lanes * (width // 2) * self.column_pairs, lanes // 2 * width * self.vector_pairs)
        packing = self.weight + 2 + (self.result / size if folding.steps == 1 else 0)
        luts -= used * size * shared * max(product - packing, 0)
        luts += used * max(rows - lanes, 0) * width * (self.operand + self.weight + 1)
        luts += _AREA.memory_luts * rows * self.operand + _AREA.control_luts
        luts += lanes * width * self.result * int(folding.steps > 1)
        return luts + rom_area(folding.steps * folding.groups, math.ceil(size) * width * self.sets * self.weight)

    def _results(self, folding: Folding, lanes: int, width: int) -> float:
        """FIFOs of results, and about an adder's worth for the consumer of each of those that come at once."""
        part, whole = lanes * width * self.result, lanes * self.m * self.result
        luts = _AREA.memory_luts * part + _AREA.control_luts
        if lanes > 1 and folding.groups > 1:  # gathered, for parts of several positions come mixed
            return luts + (1 + _AREA.memory_luts) * whole + _AREA.control_luts
        if folding.groups > 1:
            luts += _CONSTANT_LUTS * part
        return luts + part + _AREA.control_luts * int(folding.serial * folding.groups > 1)


def area_of_regrouping(have: int, want: int, bits: int) -> float:
    """Look-up tables of what makes tokens of ``want`` elements of such of ``have``."""
    between = math.gcd(have, want)
    return sum(_AREA.select_luts * one * bits + _AREA.control_luts for one in (have, want) if one != between)


def area_of_reduction(size: int, have: int, bits: int) -> float:
    """Look-up tables of a sum over windows that are read from a memory, ``size`` of their elements at once."""
    return SWEEP_LUTS + (_ADDED + _AREA.memory_luts) * size * bits + area_of_regrouping(have, size, bits)


def area_of_whole_reduction(taps: int, channels: int, have: int, bits: int) -> float:
    """The same of whole windows."""
    held = (2 * taps + _ADDED * (taps - 1)) * channels * bits
    return held + area_of_regrouping(have, channels, bits)


def area_of_pairs(size: int, elements: int, x: int, y: int, result: int) -> float:
    """Look-up tables of products of two variables of ``x`` and ``y`` bits, ``size`` elements of the second operand at once.

    Of its ``elements`` a memory has twice as many, of which a sweep reads one token after another.
    """
    words = min(2 * elements // size, 4 * _AREA.memory_words)
    held = _AREA.memory_luts * -(-words // _AREA.memory_words) * size * y
    return 2 * SWEEP_LUTS + held + size * (product_luts(x, y) + _AREA.memory_luts * (x + y) + _ADDED * result)


def area_of_whole_pairs(rows: int, columns: int, x: int, y: int, result: int) -> float:
    """The same of all elements of a matrix of ``rows`` and ``columns`` at once, which is held."""
    return columns * (rows * (product_luts(x, y) + 2 * y + result) + 2 * result)


def product_luts(x: int, y: int) -> int:
    """Look-up tables of a product of numbers of ``x`` and ``y`` bits without multiplier blocks."""
    return min(x, y) * (max(x, y) + 1)


def rom_area(words: int, bits: int) -> float:
    """Look-up tables of a constant table of ``words`` words of ``bits`` bits; none where it becomes block memory."""
    address = (words - 1).bit_length()
    last = len(_ROM_LUTS) - 1
    if address > last and words * bits >= _BLOCK_ROM_BITS:
        return 0.0
    return _ROM_LUTS[min(address, last)] * bits * 2.0 ** max(address - last, 0)


def choose_folding(matrix: Matrix, cycles: int, style: MultiplierStyle) -> Folding:
    """The folding of ``matrix`` for at most ``cycles`` cycles."""
    whole = Folding(1, 1, 1, multipliers=False)
    if cycles == 1 and style not in (MultiplierStyle.LOADED, MultiplierStyle.BLOCKS):
        return whole
    serials = [k for k in divisors(matrix.vectors // matrix.sets) if k <= cycles]
    graphs = [Folding(serial, 1, 1, multipliers=False) for serial in serials]
    tiles = [
        Folding(serial, steps, groups, multipliers=True)
        for serial in serials
        for steps, groups in _tiles(matrix, cycles // serial)
    ]
    match style:
        case MultiplierStyle.GRAPHS:
            foldings = graphs
        case MultiplierStyle.SHARED:
            foldings = [tile for tile in tiles if tile.cycles > 1] or [whole]
        case MultiplierStyle.LOADED | MultiplierStyle.BLOCKS:
            foldings = tiles
        case MultiplierStyle.CHEAPEST:
            foldings = graphs + tiles
    return min(foldings, key=lambda one: (matrix.area(one) * (1.0 if one.multipliers else _GRAPHS_SHARE), one.cycles))


def choose_folding_of_tokens(matrix: Matrix, tokens: int, cycles: int, style: MultiplierStyle) -> Folding:
    """The folding of a product of one vector that comes as ``tokens`` tokens: ``steps`` is a multiple of ``tokens``.

    There are at least as many cycles as tokens. Adder graphs take the vector as a whole.
    """
    if style is MultiplierStyle.GRAPHS:
        return Folding(1, 1, 1, multipliers=False)
    size = matrix.n // tokens
    foldings = [
        Folding(1, tokens * parts, groups, multipliers=True)
        for parts in divisors(size)
        for groups in divisors(matrix.m)
        if parts == groups == 1 or tokens * parts * groups <= cycles
    ]
    return min(foldings, key=lambda one: (matrix.area_of_tokens(one, tokens), one.cycles))


def _tiles(matrix: Matrix, cycles: int) -> Iterator[tuple[int, int]]:
    """Parts of rows and of columns (steps, groups): rows that ``steps`` does not divide are padded."""
    sizes = sorted({-(-matrix.n // size) for size in range(1, matrix.n + 1)})
    for groups in divisors(matrix.m):
        for steps in sizes:
            if steps * groups <= cycles:
                yield steps, groups


def divisors(number: int) -> list[int]:
    """All divisors in ascending order."""
    return [k for k in range(1, number + 1) if number % k == 0]
