"""Quantized functions of one number, as tables of what HGQ2 computes in single precision.

A table has an entry for each code of the operand's quantizer. Without one, the operand may be any number: a function that
only rises is then a staircase over all numbers of single precision.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.keras.hgq.grids import Bits, FixedPoint, Singles, of_sample
from bitsmith.frontends.keras.quantizers.staircases import Function, staircase
from bitsmith.ir.types import Overflow
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer

MAX_CODES = 1 << 16
"""Most codes of a tabulated operand."""

MAX_TABLE_VALUES = 1 << 24
"""Most entries of all tables of a layer."""

_GREATEST = np.finfo(np.float32).max


def single_precision(layer: Layer) -> Function:
    """A scalar function of ours, correctly rounded to single precision."""

    def function(x: Singles) -> Singles:
        with np.errstate(over="ignore"):
            return layer.reference([x.astype(np.float64)]).astype(np.float32)

    return function


def looked_up(
    build: Builder,
    x: Value,
    function: Function,
    iq: FixedPoint,
    oq: FixedPoint | None,
    suffix: str = "",
    shape: Shape = (),
) -> Value:
    """``oq(function(iq(x)))`` by a table for each element whose formats differ, or of ``shape``, whose functions differ."""
    if (steps := iq.staircase(x)) is not None:
        return build.emit(
            _of_levels(steps, function, None if oq is None else of_sample(oq, x), shape), x, suffix=suffix
        )
    if iq.plain is not iq:
        x, iq = _plain_operand(build.within(suffix), x, iq)
    part, inner = build.within(suffix), of_sample(iq, x)
    grid, result = inner.quantizer, None if oq is None else of_sample(oq, x)
    scale = Quantizer.fixed(inner.keep_negative, inner.integer, inner.frac, inner.rounding, inner.overflow).scale
    codes = part.emit(Quantize(replace(grid, step=scale)), x, suffix="codes")
    shape = np.broadcast_shapes(inner.shape, shape)
    _check_size(grid, shape if result is None else np.broadcast_shapes(shape, result.shape))
    first, points = _points(inner, grid, shape)
    found = function(points)
    return part.emit(Lookup(as_weights(inner.frac), first, _results(found, result)), codes)


def _of_levels(steps: Staircase, function: Function, oq: FixedPoint | None, shape: Shape) -> Staircase:
    levels = np.broadcast_to(
        steps.levels, (*np.broadcast_shapes(steps.levels.shape[:-1], shape), steps.levels.shape[-1])
    )
    return replace(steps, levels=_results(function(levels.astype(np.float32)), oq))


def _results(found: Singles, oq: FixedPoint | None) -> Floats:
    """The values (..., n) of a function, as the quantizer of its result has them."""
    values = found.astype(np.float64) if oq is None else _on_grid(found, oq)
    if not bool(np.all(np.isfinite(values))):
        raise UnsupportedError(
            "a function that is infinite within the range of its operand",
            accepted="functions with finite values",
            remedy="quantize its result, with saturation",
        )
    return as_weights(values)


def _plain_operand(build: Builder, x: Value, iq: FixedPoint) -> tuple[Value, FixedPoint]:
    """The result of a quantizer that is not plain, and the one that leaves it as it is."""
    if (iq.scaler, iq.slope, iq.shift) != (1.0, 1.0, 0.0):
        raise UnsupportedError(
            "a function of a minifloat or reflected operand with a scale",
            accepted="a quantizer without scaler and affine",
        )
    return iq.of(build, x, "operand"), iq.plain


def _check_size(grid: Quantizer, shape: Shape) -> None:
    first, last = grid.code_range
    entries, elements = last - first + 1, math.prod(shape)
    if entries > MAX_CODES or elements * entries > MAX_TABLE_VALUES:
        raise UnsupportedError(
            f"tables of {entries} entries for each of {elements} elements",
            accepted=f"at most {MAX_CODES} entries, {MAX_TABLE_VALUES} for all elements",
            remedy="train with fewer bits of the operand",
        )


def _points(inner: FixedPoint, grid: Quantizer, shape: Shape) -> tuple[int, Singles]:
    """The least code, and the operands (..., codes) for all codes up to the greatest; codes out of range count as its ends."""
    first, last = grid.code_range
    codes = np.arange(first, last + 1)
    inside = np.clip(codes, grid.lo.astype(np.int64)[..., None], grid.hi.astype(np.int64)[..., None])
    values = inner.scaled(np.ldexp(inside.astype(np.float32), -inner.frac[..., None]))
    return first, np.broadcast_to(values, (*shape, codes.size)).astype(np.float32)


def _on_grid(values: Singles, oq: FixedPoint) -> Floats:
    """Values (..., n) on the grid of a sample."""
    rows = np.moveaxis(values, -1, 0).astype(np.float64)
    return np.moveaxis(oq.applied(rows), 0, -1)


def stepped(build: Builder, x: Value, function: Function, oq: FixedPoint, suffix: str) -> Value:
    """``oq(function(x))`` of a function that only rises."""
    if oq.plain is not oq:
        raise UnsupportedError(
            "a function of an operand without a quantizer, whose result is minifloat or reflected",
            accepted="a quantizer of the operand",
        )
    grid = of_sample(oq, x)

    def steps(keep_negative: Bits, integer: Bits, frac: Bits) -> Staircase:
        return _steps(function, replace(grid, keep_negative=keep_negative, integer=integer, frac=frac))

    return build.emit(of_formats((grid.keep_negative, grid.integer, grid.frac), steps), x, suffix=suffix)


def of_formats(widths: Sequence[Bits], steps: Callable[..., Staircase]) -> Staircase:
    """The staircase of a sample whose elements have formats of these ``widths``, by the ``steps`` of one format."""
    parts = np.broadcast_arrays(*widths)
    rows = [tuple(row) for row in np.stack([part.ravel() for part in parts], axis=1).tolist()]
    by_format = {row: steps(*map(np.array, row)) for row in dict.fromkeys(rows)}
    most = max(1, *(stairs.thresholds.size for stairs in by_format.values()))
    thresholds, levels = [], []
    for row in rows:
        # Thresholds that no operand reaches, and the last level, fill up the row.
        stairs = by_format[row]
        rest = 0, most - stairs.thresholds.size
        thresholds.append(np.pad(stairs.thresholds, rest, constant_values=float(_GREATEST)))
        levels.append(np.pad(stairs.levels, rest, mode="edge"))
    shape = parts[0].shape
    return Staircase(
        as_weights(np.reshape(thresholds, (*shape, most))), as_weights(np.reshape(levels, (*shape, most + 1)))
    )


def _steps(function: Function, oq: FixedPoint) -> Staircase:
    """The numbers at which the quantized function steps, and its levels."""
    grid = oq.quantizer
    lo, hi = (float(one.reshape(())) for one in (grid.lo, grid.hi))
    step = float(grid.step.reshape(()))
    least, most = function(np.array([-_GREATEST, _GREATEST])).tolist()
    if oq.overflow is Overflow.WRAP and not lo * step <= least <= most < (hi + 1.0) * step:
        raise UnsupportedError(
            "a function of an operand without a quantizer, whose result wraps around",
            accepted="a quantizer of the operand, or a result that saturates",
        )
    return staircase(lambda x: oq.applied(as_weights(function(x))).astype(np.float32), ())
