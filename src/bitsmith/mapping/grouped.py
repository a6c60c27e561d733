"""Products in groups: blocks of channels, each by a matrix of its own."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.ops import Positions
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import IntArray, Ints, objects, short
from bitsmith.mapping.builder import DataflowBuilder, NodeId
from bitsmith.mapping.folding import Factor, divisors, matrix_of_blocks, places_in_parameter
from bitsmith.mapping.sweeps import Windows, windows_of


def _blocks(used: npt.NDArray[np.bool_]) -> int:
    """The most blocks along the diagonal of a matrix outside of which nothing is ``used``."""
    rows, columns = used.shape
    for number in reversed(divisors(math.gcd(rows, columns))):
        parts = used.reshape(number, rows // number, number, columns // number).any(axis=(1, 3))
        if not bool(np.any(parts & ~np.eye(number, dtype=np.bool_))):
            return number
    return 1


@dataclass(frozen=True, slots=True)
class Grouped:
    """A product of ``windows`` in ``groups`` blocks of channels, each with the rows of ``op`` and its share of the columns."""

    op: Factor
    windows: Windows
    groups: int


def grouped_product(builder: DataflowBuilder, node: Node) -> Grouped | None:
    """Return ``node`` as a product in groups: blocks of channels side by side, of matrices with zeros beside their blocks."""
    operands = builder.operands(node) if isinstance(node.op, ops.Concat) else ()
    parts = [builder.program.nodes[arg] for arg in operands] or [node]
    found = [_block_columns(builder, part) for part in parts]
    if any(part is None for part in found):
        return None
    columns = [part for part in found if part is not None]
    windows, n_in = columns[0].windows, columns[0].n_in
    first, blocks, fracs = 0, [], []
    for part in columns:
        alike = (part.windows.node, part.windows.op, part.n_in, part.weights.shape[-1])
        if alike != (windows.node, windows.op, n_in, columns[0].weights.shape[-1]) or part.first != first:
            return None
        first += len(part.weights) * n_in
        blocks.append(part.weights)
        fracs.append(part.frac)
    if first != windows.channels or first == n_in:
        return None
    matrix, frac = (np.concatenate(each).transpose(1, 0, 2) for each in (blocks, fracs))
    rows = len(matrix)
    op = ops.Linear(short(matrix.reshape(rows, -1)), frac.reshape(rows, -1).astype(np.int64))
    return Grouped(op, windows, first // n_in)


@dataclass(frozen=True, slots=True, eq=False)
class _BlockColumns:
    """The blocks (blocks, taps * n_in, n_out) of a product's matrix, which takes channels from ``first`` on, ``n_in`` each."""

    windows: Windows
    first: int
    n_in: int
    weights: Ints
    frac: Ints


def _block_columns(builder: DataflowBuilder, node: Node) -> _BlockColumns | None:
    """The blocks of a product of windows, or of some channels of them; None if it is none, or a single block."""
    if not isinstance(node.op, ops.Linear):
        return None
    (arg,) = builder.operands(node)
    axes, sliced, first, channels = len(builder.shape(arg)) - 1, arg, 0, 0
    while isinstance(builder.program.nodes[sliced].op, ops.Reshape):
        (sliced,) = builder.operands(builder.program.nodes[sliced])
    inner = builder.program.nodes[sliced]
    if isinstance(inner.op, ops.Slice):
        first, channels, (arg,) = inner.op.start[-1], inner.type.shape[-1], builder.operands(inner)
        if inner.type.shape[:-1] != builder.shape(arg)[:-1] or set(inner.op.step) != {1}:
            return None
    windows = windows_of(builder, arg, axes)
    if windows is None:
        return None
    channels = channels or windows.channels
    weights, frac = node.op.weights, np.broadcast_to(node.op.frac, node.op.weights.shape)
    taps, n_out = windows.taps, weights.shape[1]
    if weights.shape[0] != taps * channels:
        return None
    number = _blocks(np.asarray(np.any(weights.reshape(taps, channels, n_out) != 0, axis=0), dtype=np.bool_))
    if number == 1 and channels == windows.channels:
        return None

    def cut(array: IntArray) -> Ints:
        parts = objects(array).reshape(taps, number, channels // number, number, n_out // number)
        diagonal = parts[:, np.arange(number), :, np.arange(number)]
        return objects(diagonal.reshape(number, -1, n_out // number))

    return _BlockColumns(windows, first, channels // number, cut(weights), cut(objects(frac)))


def loaded_groups(builder: DataflowBuilder, node: Node) -> Grouped | None:
    """Return ``node``, a product of two variables, as a product of windows in groups with weights from outside; else None.

    Of ``(*positions, groups, 1, n) @ (groups, n, m)`` the first operand has the channels of each group, and the second one
    elements of a parameter.
    """
    found, (x, _) = parameter_of_groups(builder, node), builder.operands(node)
    if found is None:
        return None
    factor, places = found
    groups, n, m = places.shape
    windows = _windows_of_groups(builder, x, len(builder.shape(x)) - 3, groups)
    if windows is None:
        return None
    return Grouped(matrix_of_blocks(factor, places.transpose(1, 0, 2).reshape(n, groups * m)), windows, groups)


def parameter_of_groups(builder: DataflowBuilder, node: Node) -> tuple[Node, Positions] | None:
    """The parameter of ``(*positions, groups, 1, n) @ (groups, n, m)``, and the places there of the second operand."""
    x, y = builder.operands(node)
    shape, rows = builder.shape(y), builder.shape(x)
    if len(shape) != 3 or len(rows) < 4 or rows[-3:-1] != (shape[0], 1):
        return None
    factor, places = places_in_parameter(builder.program, y)
    return None if factor is None else (factor, places.reshape(shape))


def _windows_of_groups(builder: DataflowBuilder, x: NodeId, axes: int, groups: int) -> Windows | None:
    """The windows of which ``x`` (*positions, groups, 1, n) has the channels of each group, of all taps; else None."""
    source, places = _unmoved(builder.program, x)
    windows = windows_of(builder, source, axes)
    if windows is None or places.size != windows.taps * windows.channels * math.prod(builder.shape(x)[:axes]):
        return None
    in_order = np.arange(places.size).reshape(-1, windows.taps, groups, windows.channels // groups)
    return windows if np.array_equal(places.ravel(), in_order.transpose(0, 2, 1, 3).ravel()) else None


def _unmoved(program: Program, index: NodeId) -> tuple[NodeId, Positions]:
    """The node of which reshaping, and at most one permutation of axes, make a value, and the place there of each element."""
    shape, places = program.nodes[index].type.shape, None
    while isinstance((node := program.nodes[index]).op, ops.Reshape | ops.Transpose):
        (arg,) = node.args
        if isinstance(node.op, ops.Transpose):
            if places is not None:
                break
            places = moved(node.op, program.nodes[arg].type.shape)
        index = NodeId(arg)
    return index, (np.arange(math.prod(shape)) if places is None else places).reshape(shape)
