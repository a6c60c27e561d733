"""Products with constant matrices: one BLAS call where a float holds all partial sums, several on split numbers else."""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from bitsmith.emulate import limbs
from bitsmith.emulate.arithmetic import limb_result
from bitsmith.emulate.biases import per_channel
from bitsmith.emulate.bounds import NumberKind, magnitude, magnitude_bits
from bitsmith.emulate.floats import FloatArray
from bitsmith.emulate.limbs import BITS, Limbs, limbs_for
from bitsmith.emulate.storage import channel_scale, position_free
from bitsmith.emulate.workspace import Array, StoredValue, Workspace
from bitsmith.ir.scaling import channel_frac, rescale
from bitsmith.ir.types import Fracs, Ints, objects

Float64s: TypeAlias = npt.NDArray[np.float64]
ROWS_BYTES = 1 << 18
"""Written out windows of a convolution that are in use at the same time: measured best of 2**16 to 2**22."""

UNCOPIED = 1_000_000
"""Multiplications of one product, up to which OpenBLAS takes the matrices from where they are: a fifth less time."""

LEAST_COLUMNS = 256

EXACT_BITS = NumberKind.FLOAT64.bits

MOST_PARTS = 6
"""Parts of weights in single precision that take less time than all of them in double precision."""

SAFE = 2.0**60
"""Numbers up to it, and down to its inverse, and their products, are not where single precision ends."""


def bind_linear(ws: Workspace, args: tuple[int, ...]) -> StoredValue:
    """``x @ weights`` over the last axis."""
    storage, kind = ws.plan.storage[ws.node], ws.plan.computed[ws.node]
    if kind is NumberKind.LIMBS:
        return _wide(ws, args)
    windows = ws.values[args[0]]
    if windows.part.ndim > len(windows.type.shape) + 1:
        return _by_rows(ws, windows)
    own = ws.plan.storage[args[0]].scale
    operand = ws.plan.type(args[0])
    x = ws.fetch(args[0], storage.kind, own if position_free(own) else operand.frac)
    if ws.node in ws.plan.biased and x.part.ndim > 2:
        return _by_rows(ws, x)
    weights = ws.plan.prepared(ws.node, lambda: _scaled(ws, x))
    type_ = ws.plan.type(ws.node)
    result = ws.new(type_.shape, storage, type_, varies=x.varies)
    rows = ws.with_ones(x) if ws.node in ws.plan.biased else x.part
    columns = _columns(weights, ws.batch)
    if rows.ndim == 2 and x.varies and columns < ws.batch:
        for start in range(0, ws.batch, columns):
            place = slice(None), slice(start, start + columns)
            ws.do(partial(np.matmul, weights, rows[place], result.part[place]))
    elif result.part.ndim == 2 and result.part.flags.c_contiguous:
        ws.do(partial(weights.dot, rows, result.part), x.varies)  # the same call of BLAS, sooner
    else:
        ws.do(partial(np.matmul, weights, rows, result.part), x.varies)
    return result


def _columns(weights: FloatArray, batch: int) -> int:
    """Samples of one product with matrices that BLAS does not copy to other places first, if those are not too few."""
    parts = -(-weights.size * batch // UNCOPIED)
    columns = -(-batch // (16 * parts)) * 16
    return columns if columns >= LEAST_COLUMNS else batch


def _by_rows(ws: Workspace, x: StoredValue) -> StoredValue:
    """Rows of the operand, as windows that overlap are: written out for some positions only, which stay in the cache."""
    storage, type_ = ws.plan.storage[ws.node], ws.plan.type(ws.node)
    parts = ws.plan.prepared(ws.node, lambda: _in_parts(ws, x, _scaled(ws, x)))
    result, dtype = ws.new(type_.shape, storage, type_), parts[0].dtype
    count, *rest, channels = x.type.shape
    wide = sum(part.shape[-1] for part in parts)  # with a row of ones for a constant
    together = min(max(ROWS_BYTES // (math.prod(rest) * wide * dtype.itemsize * ws.batch), 1), count)
    rows = ws.temporary((together, *rest, wide), dtype)
    sums = ws.temporary((together, *rest, type_.shape[-1]), dtype) if dtype != result.part.dtype else None
    if wide > channels:
        ws.do(partial(rows[..., channels:, :].fill, 1))
    for start in range(0, count, together):
        source = x.part[start : start + together]
        flat = rows[: len(source)]
        ws.do(partial(np.copyto, _like(flat[..., :channels, :], source.shape), source, casting="same_kind"))
        _add_products(ws, parts, flat, result.part[start : start + together], sums)
    return result


def _add_products(ws: Workspace, parts: Sequence[FloatArray], rows: Array, result: Array, sums: Array | None) -> None:
    """Put the sum of the products of ``parts`` with their share of the ``rows`` into ``result``; ``sums`` hold those of one."""
    if sums is None:
        ws.do(partial(np.matmul, parts[0], rows, out=result))
        return
    place, some = 0, sums[: len(rows)]
    for part in parts:
        ws.do(partial(np.matmul, part, rows[..., place : place + part.shape[-1], :], out=some))
        ws.do(partial(np.add, result, some, out=result) if place else partial(np.copyto, result, some))
        place += part.shape[-1]


def _in_parts(ws: Workspace, x: StoredValue, weights: FloatArray) -> list[FloatArray]:
    """``weights`` of double precision in parts, all sums of which single precision holds, if these are few: half the time."""
    whole = [weights]
    if weights.dtype == np.float32 or not position_free(x.type.frac):
        return whole
    frac, down = ws.plan.weights[ws.node][1], channel_frac(x.type) - channel_scale(x.type, x.storage.scale)
    steps = np.ldexp(1.0, np.broadcast_to(ws.plan.storage[ws.node].scale.reshape(-1), frac.shape) - frac)
    units, most = np.ones((2, weights.shape[-1]))  # a row of ones comes last
    units[: len(down)] = np.ldexp(1.0, -down)
    most[: len(down)] = _channel_magnitude(x).astype(np.float64) * units[: len(down)]
    if ws.node in ws.plan.biased:
        mantissas, exponents = np.frexp(weights[:, -1])
        raw = np.ldexp(mantissas, EXACT_BITS).astype(np.int64)
        lowest = np.ldexp((raw & -raw).astype(np.float64), exponents - EXACT_BITS)
        steps = np.where(raw == 0, steps, np.minimum(steps, lowest))
    reach = np.abs(weights)
    few = np.all(reach @ most <= MOST_PARTS * 2.0**NumberKind.FLOAT32.bits * steps)
    if not few or max(reach.max(), most.max(), units.max()) > SAFE or min(steps.min(), units.min()) < 1 / SAFE:
        return whole
    for number in range(1, MOST_PARTS + 1):
        bounds = np.linspace(0, weights.shape[-1], number + 1).astype(np.int64).tolist()
        places = [slice(*pair) for pair in pairwise(bounds)]
        sums = (reach[:, place] @ most[place] for place in places)
        if all(np.all(total <= 2.0**NumberKind.FLOAT32.bits * steps) for total in sums):
            return [np.ascontiguousarray(weights[:, place], dtype=np.float32) for place in places]
    return whole


def _like(rows: Array, shape: tuple[int, ...]) -> Array:
    """``rows``, the last but one axis of which may be but a part, with that axis split as in ``shape``."""
    if rows.shape == shape:
        return rows
    split = shape[rows.ndim - 2 : -1]
    strides = [rows.strides[-2] * math.prod(split[k + 1 :]) for k in range(len(split))]
    return as_strided(rows, shape, (*rows.strides[:-2], *strides, rows.strides[-1]))


def _scaled(ws: Workspace, x: StoredValue) -> FloatArray:
    """Transposed weights (n_out, n_in) that take ``x`` as it is scaled to the result as it is to be scaled."""
    weights, frac = ws.plan.weights[ws.node]
    storage = ws.plan.storage[ws.node]
    up = np.broadcast_to(storage.scale.reshape(-1), frac.shape) - frac
    down = channel_frac(x.type) - channel_scale(x.type, x.storage.scale)
    zero = _channel_magnitude(x) == 0
    # Weights of channels that are always 0 have no bound; they do not matter.
    numbers = np.where(zero[:, None], 0, weights).astype(np.float64).T
    scaled = np.ldexp(numbers, up[:, None] + down[None, :])
    if ws.node in ws.plan.biased:
        scaled = np.concatenate([scaled, _bias(ws, storage.scale)[:, None]], axis=1)
    return scaled.astype(np.float32) if storage.kind is NumberKind.FLOAT32 else np.ascontiguousarray(scaled)


def _bias(ws: Workspace, scale: Fracs) -> Float64s:
    """The constants that are added, as results are to be scaled."""
    program = ws.plan.program
    channels = ws.plan.type(ws.node).shape[-1]
    for arg in program.nodes[ws.plan.biased[ws.node]].args:
        constant = per_channel(program.nodes[arg], channels)
        if constant is not None:
            raw, frac = constant
            exponents = np.broadcast_to(scale.reshape(-1), (channels,)) - frac
            numbers: Float64s = np.ldexp(raw.astype(np.float64), exponents)
            return numbers
    raise AssertionError("a sum without a constant")


def _channel_magnitude(x: StoredValue) -> Ints:
    top = magnitude(x.type).max(axis=tuple(range(len(x.type.shape) - 1)))
    return np.broadcast_to(objects(top).reshape(-1), (x.type.shape[-1],))


def _wide(ws: Workspace, args: tuple[int, ...]) -> StoredValue:
    """Operand and weights split into pieces, so that each product of pieces is exact in float64; summed in limbs."""
    x, operand = ws.values[args[0]], ws.plan.type(args[0])
    weights, frac = ws.plan.weights[ws.node]
    want = channel_frac(ws.plan.type(ws.node))
    if np.any(want != frac):  # a parameter, whose type is that of any values
        weights = rescale(objects(weights), frac, want)
    room = EXACT_BITS - weights.shape[0].bit_length()
    x_bits = magnitude_bits(operand)
    weight_bits = max(int(np.max(weights)).bit_length(), int(np.min(weights)).bit_length(), 1)
    if x.storage.kind is NumberKind.LIMBS:
        x_size = BITS if room - BITS > 8 else BITS // 2
        weight_size = room - x_size - 1
    else:
        x = ws.fetch(args[0], NumberKind.FLOAT64, operand.frac)
        x_size, weight_size = _sizes(max(x_bits, 1), weight_bits, room)
    split = ws.plan.prepared(ws.node, lambda: _split_weights(weights, weight_size))
    pieces, wide = -(-x_bits // x_size), [int(most).bit_length() > x_size for most in _channel_magnitude(x)]
    of_wide = [part[:, wide] for part in split]

    def compute() -> Limbs:
        split_x = _split(x, x_size, pieces, wide)
        count = limbs_for(x_size * len(split_x) + 1 + weight_bits + weights.shape[0].bit_length())
        columns: list[npt.NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)] * count
        for i, piece in enumerate(split_x):
            for j, part in enumerate(split if piece.shape[-2] == len(wide) else of_wide):
                _accumulate(columns, _product(part, piece).astype(np.int64, order="C"), x_size * i + weight_size * j)
        return limbs.normalize(columns)

    return limb_result(ws, compute, ws.plan.storage[ws.node], x.varies)


def _product(weights: FloatArray, x: Float64s) -> Float64s:
    """``weights`` times each matrix of ``x``, of all positions at once: BLAS is slow with the narrow ones of few samples."""
    rows = np.moveaxis(x, -2, 0)
    products = weights @ rows.reshape(len(rows), -1)
    return np.moveaxis(products.reshape(-1, *rows.shape[1:]), 0, -2)


def _sizes(x_bits: int, weight_bits: int, room: int) -> tuple[int, int]:
    """Bits per piece of operand and weights such that products fit into ``room`` bits with the fewest BLAS calls."""
    best = (1 << 30, 0, 0)
    for x_pieces in range(1, x_bits + 1):
        x_size = -(-x_bits // x_pieces)
        weight_size = min(room - x_size - (x_pieces > 1), weight_bits)
        if weight_size >= 1:
            best = min(best, (x_pieces * -(-weight_bits // weight_size), x_size, weight_size))
        if x_pieces * x_pieces > best[0] + 8:
            break
    return best[1], best[2]


def _split_weights(weights: Ints | npt.NDArray[np.int64], size: int) -> list[Float64s]:
    """Transposed pieces of ``size`` bits, least significant first; the last one is signed."""
    parts = []
    rest = weights.T
    while True:
        if max(int(np.max(rest)).bit_length(), int(np.min(rest)).bit_length()) <= size:
            parts.append(np.ascontiguousarray(rest, dtype=np.float64))
            return parts
        parts.append(np.ascontiguousarray(rest & ((1 << size) - 1), dtype=np.float64))
        rest = rest >> size


def _split(x: StoredValue, size: int, pieces: int, wide: Sequence[bool]) -> list[Float64s]:
    """Pieces of ``size`` bits as floats, least significant first; the last one is signed.

    In floats the first one has all of channels that are not ``wide``, and others have none of them.
    """
    if x.storage.kind is NumberKind.LIMBS:
        parts = limbs.narrowed(limbs.resize(x.limbs, max(len(x.parts), -(-pieces * size // BITS))))
        if size < BITS:
            parts = tuple(half for part in parts for half in (part & ((1 << size) - 1), part >> size))
        return [part.astype(np.float64, order="C").reshape(*x.type.shape, -1) for part in parts]
    first = np.array(x.part, dtype=np.float64)
    low, rest = [first], first[..., wide, :]
    for _ in range(pieces - 1):
        high = np.floor(rest * 2.0**-size)
        low[-1][..., wide if low[-1] is first else slice(None), :] = rest - high * 2.0**size
        low.append(rest := high)
    return low


def _accumulate(columns: list[npt.NDArray[np.int64]], number: npt.NDArray[np.int64], shift: int) -> None:
    """Add ``number * 2**shift``; carries are left for later, the last column takes all that is above it."""
    word, bits = divmod(shift, BITS)
    last = len(columns) - 1
    if word >= last:
        columns[last] = columns[last] + (number << (shift - BITS * last))
        return
    low = BITS - bits
    columns[word] = columns[word] + ((number & ((1 << low) - 1)) << bits)
    columns[word + 1] = columns[word + 1] + (number >> low)
