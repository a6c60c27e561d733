"""ONNX's QuantizeLinear and DequantizeLinear, with zero points and scales per tensor, per channel and per block.

Between the two a value has the numbers that the integers stand for (:class:`Codes`), so that DequantizeLinear with the same scale
costs nothing, and neither do operators that only move elements. Others get the integers (:func:`with_integers`). A trained
tensor after DequantizeLinear is a constant with a quantizer. Scales are taken as exactly the numbers that the file has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.known import Array, Known, Operand
from bitsmith.frontends.builder.value import ONE, Codes, Kind, Value, constant, held
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.frontends.onnx.graph import Node
from bitsmith.frontends.onnx.tensors import NARROW, dtype_of
from bitsmith.ir.types import frozen
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer, Rationals, Retrained, rationals

ON_CODES = frozenset(
    {
        *("Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool", "Reshape"),
        *("Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
    }
)
"""Operators of ONNX's own domain that do the same with the numbers that integers stand for."""

RUNTIME_DOMAIN = "com.microsoft"


def takes_codes(node: Node, values: Sequence[Operand | None]) -> bool:
    """Return True if ``node`` works on codes as they are."""
    if node.operator == "Concat" and len({x.codes if isinstance(x, Value) else None for x in values}) > 1:
        return False
    quantized = "Q" in node.operator or node.operator.startswith("Dequantize") or node.operator.endswith("Integer")
    if node.domain:
        return node.domain == RUNTIME_DOMAIN and quantized
    return quantized or node.operator == "Clip" or node.operator in ON_CODES


@dataclass(frozen=True, slots=True)
class Along:
    """Elements that several scales are for: the elements along ``axis`` of the model's, or each ``block`` of them."""

    axis: int
    block: int = 0

    @staticmethod
    def of(call: Call) -> Along:
        """Return the elements that the attributes name."""
        block = call.attributes.integer("block_size", 0)
        return Along(call.attributes.integer("axis", 1), block)


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """``(code - zero) * scale`` for codes ``lo..hi`` of a type; scales and zero points broadcast to one sample."""

    scale: Rationals
    zero: npt.NDArray[np.int64]
    lo: int
    hi: int
    kind: Kind

    @staticmethod
    def of(
        call: Call,
        scale: int | None,
        zero: int,
        x: Value,
        along: Along,
        kind: Kind | None = None,
        *,
        trained: bool = False,
    ) -> Grid:
        """The grid of ``x``; the operands' numbers are given (without a scale it is 1), and the ``kind`` of the codes if there
        is no zero point. Scales of what is ``trained`` may be 0 or negative.
        """
        known = call.known(zero, "the zero point")
        zeros = np.zeros((), dtype=np.int64) if known is None else known.array()
        factors = as_weights(np.ones(zeros.shape)) if scale is None else _scales(call, scale, trained)
        if zeros.dtype.kind not in "iu" or (zeros.size != 1 and zeros.shape != factors.shape):
            raise ModelFileError(
                f"a zero point of type {zeros.dtype} and shape {zeros.shape} for scales of shape {factors.shape}",
                where=call.attributes.where,
                accepted="integers of the same shape",
            )
        kind = kind or Kind.UINT8 if known is None else known.kind
        lo, hi = limits(kind, narrow=known is not None and known.narrow)
        scales, offsets = (_spread(call, as_weights(array), x, along) for array in (factors, zeros))
        return Grid(rationals(scales), offsets.astype(np.int64), lo, hi, kind)

    @property
    def codes(self) -> Codes | None:
        """The codes, if all elements have the same."""
        if self.scale.size != 1 or self.zero.size != 1:
            return None
        return Codes(Fraction(self.scale.item()), int(self.zero.item()), self.lo, self.hi, self.kind)

    @property
    def quantizer(self) -> Quantizer:
        """Return the quantizer of numbers to the nearest of the grid."""
        return Quantizer.uniform(self.scale, self.lo - self.zero, self.hi - self.zero)

    @property
    def to_codes(self) -> Quantizer:
        """Return the layer from numbers to codes."""
        return Quantizer.uniform(self.scale, self.lo, self.hi, step=1.0, offset=as_weights(self.zero))

    @property
    def from_codes(self) -> Quantizer:
        """Return the layer from codes to numbers."""
        lo, hi = self.lo - self.zero, self.hi - self.zero
        return Quantizer.uniform(1.0, lo, hi, step=self.scale, offset=-as_weights(self.zero))


def limits(kind: Kind, *, narrow: bool) -> tuple[int, int]:
    """The least and the greatest integer of a type, or of that of 4 bits."""
    if not kind.is_integer:
        raise UnsupportedError(f"codes of type {kind.value}", accepted="integers")
    if narrow:
        return (-8, 7) if kind.signed else (0, 15)
    return kind.limits


def _scales(call: Call, number: int, trained: bool) -> Floats:
    found = call.array(number, "the scale")
    if found.dtype.kind != "f" or not found.size:
        raise UnsupportedError(f"scales of type {found.dtype} and shape {found.shape}", accepted="floating point")
    scales = finite(as_weights(found), "the scale", call.attributes.where)
    if not (trained or bool(np.all(scales > 0))):
        raise ModelFileError("a scale of 0 or less", where=call.attributes.where, accepted="positive numbers")
    return scales


def _spread(call: Call, array: Floats, x: Value, along: Along) -> Floats:
    """Numbers per tensor, per element of an axis, or per block of them, as they broadcast to a sample of ``x``."""
    if array.size == 1:
        return array.reshape(())
    axis, shape = x.axis(along.axis), x.shape
    if array.ndim == 1 and array.size == shape[axis]:
        return array.reshape(tuple(array.size if k == axis else 1 for k in range(len(shape))))
    if array.ndim > 1 and x.batch is not None:
        if x.is_merged or array.ndim != x.rank or array.shape[x.batch.axis] != 1 or call.build.samples != 1:
            raise UnsupportedError("scales for blocks of several samples", accepted="blocks of a model of one sample")
        array = np.squeeze(array, x.batch.axis)
    rows = -(-shape[axis] // along.block) if along.block > 0 else 0
    if array.shape != (*shape[:axis], rows, *shape[axis + 1 :]):
        raise ModelFileError(
            f"scales of shape {array.shape} for a tensor of shape {shape}",
            where=call.attributes.where,
            accepted=f"one, {shape[axis]}, or with block_size one for each block along axis {axis}",
        )
    return np.repeat(array, along.block, axis).take(range(shape[axis]), axis)


def quantized(build: Builder, x: Value, grid: Grid, *, zero_first: bool = False) -> Value:
    """The codes of ``x``: ``round(x / scale) + zero``, or with ``zero_first`` ``round(x / scale + zero)``.

    The two differ where a half lies beside an odd zero point.
    """
    odd = grid.zero % 2
    same = not bool(np.any(odd))
    if grid.codes is not None and (same or not zero_first):
        return replace(build.emit(Quantize(grid.quantizer), x), codes=grid.codes)
    if same or zero_first:
        return build.emit(Quantize(grid.to_codes), x, kind=grid.kind)
    even = replace(grid, zero=grid.zero - odd).to_codes
    even = replace(even, lo=frozen(grid.lo - odd), hi=frozen(grid.hi - odd))
    below = build.within("codes").emit(Quantize(even), x)
    if odd.ndim and x.batch is not None and not x.is_merged:
        odd = np.expand_dims(odd, x.batch.axis)
    return build.affine(below, ONE, held(constant(as_weights(odd))), kind=grid.kind)


def with_integers(build: Builder, x: Operand | None) -> Operand | None:
    """``x``; of codes the integers themselves."""
    if not isinstance(x, Value) or x.codes is None:
        return x
    grid = _grid(x.codes)
    return build.emit(Quantize(grid.to_codes), replace(x, codes=None), suffix="codes", kind=grid.kind)


def _grid(codes: Codes) -> Grid:
    """The grid of a tensor's codes."""
    return Grid(rationals(codes.scale), np.array(codes.zero, dtype=np.int64), codes.lo, codes.hi, codes.kind)


def clipped(build: Builder, x: Value, low: float, high: float) -> Value:
    """Codes within bounds that are codes, too: what is quantized to few bits is written so, with a type of more."""
    codes = x.codes
    assert codes is not None
    lo, hi = math.ceil(max(codes.lo, low)), math.floor(min(codes.hi, high))
    if lo > hi:
        raise UnsupportedError(f"codes from {low:g} to {high:g}", accepted="bounds with codes between")
    narrow, grid = (_grid(replace(codes, lo=ends[0], hi=ends[1])) for ends in ((lo, hi), (codes.lo, codes.hi)))
    if isinstance(x.node, int):
        layer = build.draft.nodes[x.node].layer
        if isinstance(layer, Quantize) and layer.quantizer.is_same(grid.quantizer):
            (x,) = build.draft.operands[x.node]
    return replace(build.emit(Quantize(narrow.quantizer), x), codes=narrow.codes)


def clipped_constant(x: Known, low: float, high: float) -> Known:
    """Integers within bounds, which they keep: weights of few bits are written so."""
    ends = limits(x.kind, narrow=x.narrow)
    lo, hi = math.ceil(max(ends[0], low)), math.floor(min(ends[1], high))
    if lo > hi:
        raise UnsupportedError(f"integers from {low:g} to {high:g}", accepted="bounds with integers between")
    return replace(x, at=tuple(np.clip(array, lo, hi) for array in x.at), limits=(lo, hi))


def dequantized(call: Call, number: int, scale: int | None, zero: int, along: Along, suffix: str = "") -> Value:
    """The numbers that the operand ``number`` stands for; ``scale`` and ``zero`` are operands' numbers, and None a scale of 1."""
    operand = call.required(number)
    if isinstance(operand, Known):
        return _trained(call, operand, scale, zero, along)
    if operand.codes is None and (operand.is_trained or not operand.kind.is_integer):
        raise UnsupportedError("dequantizing numbers that are not integers", accepted="integers, or an initializer")
    kind = operand.kind if operand.codes is None else operand.codes.kind
    grid = Grid.of(call, scale, zero, operand, along, kind)
    lo, hi = kind.limits if operand.codes is None else (operand.codes.lo, operand.codes.hi)
    if operand.codes is not None and replace(grid, lo=lo, hi=hi).codes == operand.codes:
        return replace(operand, codes=None)
    quantizer = replace(grid, lo=lo, hi=hi).from_codes
    if operand.codes is not None:  # in one step, from the numbers that the codes stand for by their own grid
        moved = quantizer.offset + Fraction(operand.codes.zero)
        quantizer = replace(quantizer, scale=rationals(operand.codes.scale), offset=frozen(moved))
    return call.build.emit(Quantize(quantizer), replace(operand, codes=None), suffix=suffix, kind=Kind.REAL)


def _trained(call: Call, codes: Known, scale: int | None, zero: int, along: Along) -> Value:
    """A trained tensor on its grid."""
    values = codes.array()
    lo, hi = codes.limits or limits(codes.kind, narrow=codes.narrow)
    grid = replace(Grid.of(call, scale, zero, call.value(codes), along, codes.kind, trained=True), lo=lo, hi=hi)
    return on_grid(values, grid, codes.name)


def on_grid(codes: Array, grid: Grid, name: str) -> Value:
    """Return the real numbers of trained integers, all of which are 0 for a scale of 0."""
    scale, low, high = grid.scale, grid.lo - grid.zero, grid.hi - grid.zero
    numbers = (codes.astype(np.int64) - grid.zero) * scale.astype(np.float64)
    if bool(np.any(scale <= 0)):
        scale, turned = rationals(np.where(scale == 0, rationals(1.0), abs(scale))), scale < 0
        low, high = np.where(turned, -high, low), np.where(turned, -low, high)
    quantizer = Quantizer.uniform(scale, low, high)
    retrained = Retrained.REJECTED if np.any(grid.zero) else Retrained.QUANTIZED
    return constant(as_weights(numbers), name, quantizer=replace(quantizer, retrained=retrained))


def _quantize(call: Call) -> Operand:
    """Return the integers of constants, with the rounding errors of single precision that runtimes make."""
    call.attributes.ignore("saturate", "precision")
    x, code = call.tensor(0), call.attributes.integer("output_dtype", 0)
    kind = None if code == 0 else Kind.of(np.dtype(NARROW.get(code) or dtype_of(code, call.attributes.where)))
    grid = Grid.of(call, 1, 2, x, Along.of(call), kind)
    if code in NARROW:
        lo, hi = limits(grid.kind, narrow=True)
        grid = replace(grid, lo=lo, hi=hi)
    if x.constant is None:
        return quantized(call.build, x, grid)
    scale = grid.scale.astype(np.float32)
    codes = np.clip(np.rint(x.elements.astype(np.float32) / scale) + grid.zero, grid.lo, grid.hi)
    return Known((codes.astype(grid.kind.value),), limits=(grid.lo, grid.hi))


def _dequantize(call: Call) -> Value:
    call.attributes.ignore("output_dtype")
    return dequantized(call, 0, 1, 2, Along.of(call))


QUANTIZED: Operators = {
    "QuantizeLinear": Translation(_quantize, "Quantize"),
    "DequantizeLinear": Translation(_dequantize, "Identity, or Quantize; a constant with a quantizer", valued=True),
}
