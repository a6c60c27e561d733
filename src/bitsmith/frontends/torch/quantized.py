"""Quantization in PyTorch programs: what PT2E and torchao write, and the operators of live Brevitas modules.

What PT2E and torchao quantize are codes, which stand for numbers until something dequantizes them. They compute
``round(x * (1 / scale))`` with the inverse in single precision. For inputs, whose numbers are exact, that decides where halves
are, and is taken as exactly the number that it is. Elsewhere ``x`` has errors of single precision of its own, and what is meant
is ``x / scale``: of means of codes that keep their scale halves are frequent, and are halves in single precision too.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import Codes, Kind, MixedSamplesError, Value, constant
from bitsmith.frontends.torch.call import Call, Result, Translation, kind_of
from bitsmith.frontends.torch.graph import DType
from bitsmith.ir.types import Rounding
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights, broadcasts
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer

_MOST = 1 << 32
"""Codes have at most as many values."""

_GREATEST = 2.0**60

_ROUNDINGS = {
    "round": (1, Rounding.RND_CONV),
    "floor": (1, Rounding.TRN),
    "trunc": (1, Rounding.TRN_ZERO),
    "ceil": (-1, Rounding.TRN),
}
"""The sign of scales and codes on which a quantizer rounds so: down on mirrored ones is up."""


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """``(code - zero) * scale`` for codes ``lo..hi`` of a type; scales and zero points broadcast to the model's axes."""

    scale: Floats
    zero: Floats
    lo: int
    hi: int
    kind: Kind

    @property
    def codes(self) -> Codes:
        """The codes of a computed tensor."""
        if self.scale.size != 1 or self.zero.size != 1:
            raise UnsupportedError("several scales for a computed tensor", accepted="one scale")
        if not self._holds_zero:
            raise UnsupportedError(
                "a zero point between codes of a computed tensor", accepted="integers as zero points"
            )
        return Codes(Fraction(self.step.item()), int(self.zero.item()), self.lo, self.hi, self.kind)

    @property
    def step(self) -> Floats:
        """Factor of codes."""
        return as_weights(self.scale.astype(np.float32))

    @property
    def _holds_zero(self) -> bool:
        """True if zero points are integers; embeddings of PT2E have others."""
        return bool(np.array_equal(self.zero, np.rint(self.zero)))

    def quantizer(self, build: Builder, x: Value) -> Quantizer:
        """Return the quantizer of a computed tensor."""
        codes = self.codes
        scale = 1 / Fraction(float(_inverse(self.scale))) if _is_input(build, x) else codes.scale
        return Quantizer.uniform(scale, codes.lo - codes.zero, codes.hi - codes.zero, step=codes.scale)

    def rounded(self, values: Floats) -> Floats:
        """The codes of trained values, as PyTorch computes them, which cuts off what zero points between codes add."""
        products = values.astype(np.float32) * _inverse(self.scale)
        return as_weights(np.trunc(np.clip(np.rint(products) + self.zero, self.lo, self.hi)))

    def numbers(self, codes: Floats, label: str) -> Value:
        """Return the real numbers of trained codes; there is no grid of them where zero points are between codes."""
        if not self._holds_zero:
            return constant((codes - self.zero) * self.step, label)
        zero = self.zero.astype(np.int64)
        lo, hi = int(codes.min(initial=self.lo)), int(codes.max(initial=self.hi))
        return constant((codes - zero) * self.step, label, quantizer=Quantizer.uniform(self.step, lo - zero, hi - zero))


def _inverse(scale: Floats) -> npt.NDArray[np.float32]:
    """Return the factor of numbers."""
    return np.asarray(1.0 / scale).astype(np.float32)


def _is_input(build: Builder, x: Value) -> bool:
    """Return True of an input of the model, perhaps under another shape."""
    node = None if not isinstance(x.node, int) else build.draft.nodes[x.node]
    while node is not None and node.layer.traits.keeps:
        node = build.draft.nodes[node.inputs[0]]
    return node is not None and isinstance(node.layer, Input)


def _within_sample(x: Value, values: Floats, *, steps: int) -> Floats:
    """Numbers that broadcast to the model's axes, as they do to one sample; the last axes, ``steps`` of them, are others."""
    ahead = values.shape[: values.ndim - steps]
    if all(size == 1 for size in ahead):
        return values.reshape(values.shape[values.ndim - steps :])
    place = len(ahead) - x.rank + (0 if x.batch is None else x.batch.axis)
    if x.batch is None or x.is_merged or place < 0:
        return values
    if values.shape[place] != 1:
        raise MixedSamplesError("scales that differ between samples", accepted="one scale for all samples")
    return np.squeeze(values, place)


def _operands(call: Call, x: Value, *names: str, steps: int = 0) -> list[Floats]:
    """Trained tensors that broadcast to ``x``, but for their last axes, as they do to a sample."""
    tensors = [call.weight(name) for name in names]
    for name, values in zip(names, tensors, strict=True):
        fits = values.ndim >= steps and broadcasts(values.shape[: values.ndim - steps], x.dims)
        if not fits or not values.size or float(np.abs(values).max()) > _GREATEST:
            raise ModelFileError(
                f"{name} of shape {values.shape} for a tensor of axes {x.dims}",
                where=call.build.where,
                accepted=f"a shape that broadcasts to it, and numbers up to {_GREATEST:g}",
            )
    return [_within_sample(x, values, steps=steps) for values in tensors]


def _checked(call: Call, grid: _Grid) -> _Grid:
    zeros = bool(np.all(np.abs(grid.zero) < _MOST))
    if not zeros or not _are_scales(grid.scale) or not -_MOST < grid.lo < grid.hi < _MOST:
        raise ModelFileError(
            f"codes {grid.lo}..{grid.hi} with a scale or a zero point that makes no grid",
            where=call.build.where,
            accepted="positive scales, zero points and codes of at most 32 bits",
        )
    return grid


def _are_scales(values: Floats) -> bool:
    """Return True if all are positive, and they and what numbers are multiplied by are finite in single precision."""
    with np.errstate(all="ignore"):
        singles = np.stack([values.astype(np.float32), _inverse(values)])
    return bool(np.all((singles > 0) & np.isfinite(singles)))


def _per_tensor(call: Call) -> _Grid:
    lo, hi = (int(call.number(name)) for name in ("quant_min", "quant_max"))
    scale, zero = as_weights(call.number("scale")), as_weights(call.number("zero_point", 0.0))
    return _checked(call, _Grid(finite(scale, "scale", call.build.where), zero, lo, hi, _kind(call)))


def _per_channel(call: Call) -> _Grid:
    x = call.tensor(call.named("input", "self"))
    name, zeros = call.named("scales", "scale"), call.optional(call.named("zero_points", "zero_point"))
    scale, axis = call.weight(name), x.counted(call.integer("axis"))
    zero = as_weights(np.zeros(scale.shape)) if zeros is None else zeros
    if scale.shape != x.dims[axis : axis + 1] or zero.shape != scale.shape:
        raise UnsupportedError(
            f"scales of shape {scale.shape} and zero points of shape {zero.shape} along axis {axis} of {x.dims}",
            accepted="one for each element of the axis",
        )
    shape = [-1 if k == axis else 1 for k in range(x.rank)]
    lo, hi = call.integer("quant_min"), call.integer("quant_max")
    return _checked(call, _Grid(scale.reshape(shape), zero.reshape(shape), lo, hi, _kind(call)))


def _per_block(call: Call) -> _Grid:
    """torchao's blocks: as many elements along each axis share a scale."""
    x, scale = call.tensor("input"), call.weight("scale")
    zeros, kind = call.optional("zero_point"), _kind(call)
    zero = as_weights(np.zeros(scale.shape)) if zeros is None or not zeros.size else zeros
    least, most = kind.limits
    lo, hi = (int(call.number(name, bound)) for name, bound in (("quant_min", least), ("quant_max", most)))
    call.ignore("block_size")
    if scale.size == zero.size == 1:
        return _checked(call, _Grid(scale.reshape(()), zero.reshape(()), lo, hi, kind))
    sizes = call.per_axis("block_size", x.rank)
    counts = tuple(size // block for size, block in zip(x.dims, sizes, strict=True))
    fits = all(count * block == size for count, block, size in zip(counts, sizes, x.dims, strict=True))
    if not fits or scale.size != np.prod(counts) or zero.size != scale.size:
        raise UnsupportedError(f"{scale.size} scales for blocks {sizes} of a tensor of axes {x.dims}")
    parts = [part.reshape(counts) for part in (scale, zero)]
    for axis, (count, block) in enumerate(zip(counts, sizes, strict=True)):
        parts = [part if count == 1 else np.repeat(part, block, axis) for part in parts]
    return _checked(call, _Grid(as_weights(parts[0]), as_weights(parts[1]), lo, hi, kind))


def _kind(call: Call) -> Kind:
    """The type of the codes."""
    call.ignore("output_dtype", "input_dtype", "out_dtype")
    given = call.get(call.named("dtype", "output_dtype", "input_dtype"))
    kind = kind_of(given.number) if isinstance(given, DType) else Kind.INT32
    if not kind.is_integer:
        raise UnsupportedError("codes that are no integers", accepted="integers")
    return kind


def _quantizing(read: Callable[[Call], _Grid]) -> Translation:
    def quantize(call: Call) -> Result:
        x, grid = call.tensor("input"), read(call)
        if x.constant is not None:
            return constant(grid.rounded(x.constant), x.label, grid.kind)
        codes = grid.codes
        return replace(call.build.emit(Quantize(grid.quantizer(call.build, x)), x), codes=codes, kind=codes.kind)

    return Translation(quantize, "Quantize")


def _dequantizing(read: Callable[[Call], _Grid]) -> Translation:
    def dequantize(call: Call) -> Result:
        x = call.tensor("input")
        grid = read(call)
        if x.constant is not None:
            return grid.numbers(x.constant, x.label)
        if x.codes is not None and x.codes == grid.codes:
            return replace(x, codes=None, kind=Kind.REAL)
        if x.codes is not None:
            raise UnsupportedError(
                "codes that are dequantized in another way than they were quantized", accepted="the same scale"
            )
        codes = grid.codes
        lo, hi = codes.lo - codes.zero, codes.hi - codes.zero
        return call.build.emit(Quantize(Quantizer.uniform(1.0, lo, hi, step=codes.scale, offset=-float(codes.zero))), x)

    return Translation(dequantize, "Quantize, or a constant")


def _faking(read: Callable[[Call], _Grid]) -> Translation:
    """Numbers on the grid, as training has them, which are never codes."""

    def fake(call: Call) -> Result:
        x, grid = call.tensor(call.first), read(call)
        if x.constant is not None:
            return grid.numbers(grid.rounded(x.constant), x.label)
        return call.build.emit(Quantize(grid.quantizer(call.build, x)), x)

    return Translation(fake, "Quantize, or a constant")


def on_codes(translation: Translation) -> Translation:
    """An operator that moves codes as it moves numbers."""

    def read(call: Call) -> Result:
        y = translation.read(call)
        return replace(y, codes=call.tensor(call.first).codes) if isinstance(y, Value) else y

    return replace(translation, read=read)


def _quantize(call: Call) -> Result:
    """``(clamp(round(x / scale + zero_point), lo, hi) - zero_point) * step``.

    What is rounded has a zero point in it, which says where halves go: an even part of it makes no difference.
    """
    x, rounding = call.tensor("x"), call.text("rounding")
    scale, zero, lo, hi, step = _operands(call, x, "scale", "zero_point", "lo", "hi", "step")
    if rounding not in _ROUNDINGS or not bool(np.all((scale > 0) & (step > 0))):
        raise UnsupportedError(f"the rounding {rounding!r}, or a scale of 0", accepted=", ".join(_ROUNDINGS))
    if rounding == "trunc" and bool(np.any(zero != 0.0)):
        if bool(np.any(lo < 0.0)):
            raise UnsupportedError("rounding toward a zero point", accepted="a zero point of 0, or codes from 0 on")
        rounding = "floor"
    even = 2.0 * np.floor(zero / 2.0)
    rest = zero - even
    sign, mode = _ROUNDINGS[rounding]
    first, last = ((sign * (bound - even)).astype(np.int64) for bound in (lo, hi)[::sign])
    quantizer = Quantizer.uniform(sign * scale, first, last, mode, step=sign * step, offset=sign * rest)
    if not bool(np.any(rest)):
        return call.build.emit(Quantize(quantizer), x)
    y = call.build.within("codes").emit(Quantize(quantizer), x)
    offset = as_weights(-rest * step)
    return call.build.affine(
        y,
        constant(1.0, quantizer=Quantizer.holding(as_weights(1.0))),
        constant(offset, quantizer=Quantizer.holding(offset)),
    )


def _staircase(call: Call) -> Result:
    x = call.tensor("x")
    thresholds, levels = _operands(call, x, "thresholds", "levels", steps=1)
    return call.build.emit(Staircase(as_weights(thresholds), as_weights(levels)), x)


def _parameter(call: Call) -> Result:
    """Trained values, which single precision has rounded, on their grid."""
    x, values = call.tensor("values"), call.weight("values")
    scale, lo, hi = _operands(call, x, "scale", "lo", "hi")
    quantizer = Quantizer.uniform(scale, lo.astype(np.int64), hi.astype(np.int64))
    return constant(np.rint(values / scale) * scale, x.label, quantizer=quantizer)


_DECOMPOSED = "quantized_decomposed"

QUANTIZED: dict[str, Translation] = {
    f"{_DECOMPOSED}.quantize_per_tensor": _quantizing(_per_tensor),
    f"{_DECOMPOSED}.dequantize_per_tensor": _dequantizing(_per_tensor),
    f"{_DECOMPOSED}.quantize_per_channel": _quantizing(_per_channel),
    f"{_DECOMPOSED}.dequantize_per_channel": _dequantizing(_per_channel),
    "torchao.quantize_affine": _quantizing(_per_block),
    "torchao.dequantize_affine": _dequantizing(_per_block),
    "fake_quantize_per_tensor_affine": _faking(_per_tensor),
    "fake_quantize_per_channel_affine": _faking(_per_channel),
    "bitsmith.quantize": Translation(_quantize, "Quantize"),
    "bitsmith.staircase": Translation(_staircase, "Staircase"),
    "bitsmith.parameter": Translation(_parameter, "Constant"),
}
"""Operators by name, those of other libraries than torch's own with the library's."""
