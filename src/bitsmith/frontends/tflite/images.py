"""Images in other sizes: the nearest or interpolated elements, and blocks of positions as channels."""

from fractions import Fraction

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, checked_elements, constant
from bitsmith.frontends.ops import contraction, selection
from bitsmith.frontends.tflite.call import Call, Entry, Operand, Operators, Translation, alike, limits_of, zero_point
from bitsmith.frontends.tflite.fixedpoint import Integers
from bitsmith.frontends.tflite.products import image
from bitsmith.frontends.tflite.requantize import exact, integers
from bitsmith.ir.types import Rounding
from bitsmith.layers.layer import Shape
from bitsmith.layers.resample import Coordinates, Interpolation, Resize

_AXES = (1, 2)
_FINE = 10
"""Fractional bits of interpolation of signed integers along one axis."""

_EXCHANGED = (0, 1, 3, 2, 4, 5)

_COARSE = 8
"""The same of unsigned integers, which kernels interpolate in single precision: of more bits that may round."""


def _sizes(call: Call) -> tuple[int, ...]:
    """The new numbers of rows and columns."""
    size, (*old, channels) = call.integers(1, "the size"), image(call, 0).value.item
    if len(size) != len(_AXES) or min(size) < 1:
        raise call.error(f"an image of size {size[:4]}", "rows and columns")
    checked_elements((*size, channels), call.operator.where)
    for pair in zip(old, size, strict=True):
        checked_elements(pair, call.operator.where)
    return size


def _ratio(call: Call, old: int, new: int) -> tuple[int, int]:
    """The length of an axis over the new one; both one less where corners stay in their place."""
    return (old - 1, new - 1) if call.options.flag("align_corners") and new > 1 else (old, new)


def _nearest(call: Call) -> Value:
    y = image(call, 0).value
    for name, axis, new in zip(("rows", "columns"), _AXES, _sizes(call), strict=True):
        build = call.build.within(name) if axis == 1 else call.build
        y = selection.take(build, y, axis, _nearest_places(call, y.dims[axis], new))
    return call.moved(y)


def _nearest_places(call: Call, old: int, new: int) -> Integers:
    """The elements that are taken along an axis, found in single precision."""
    above, below = _ratio(call, old, new)
    centers = np.float32(0.5) if call.options.flag("half_pixel_centers") else np.float32(0.0)
    found = (np.arange(new, dtype=np.float32) + centers) * (np.float32(above) / np.float32(below))
    whole = np.floor(found + np.float32(0.5)) if call.options.flag("align_corners") else np.floor(found)
    return np.asarray(np.clip(whole, 0, old - 1), dtype=np.int64)


def _bilinear(call: Call) -> Value:
    """Sums of neighbors with integer factors, rounded once."""
    x = image(call, 0)
    unsigned = x.tensor.dtype == "uint8"
    factors, bits = (_coarse_factors, _COARSE) if unsigned else (_fine_factors, _FINE)
    y, zero = x.value, zero_point(x.tensor)
    for name, axis, new in zip(("rows", "columns"), _AXES, _sizes(call), strict=True):
        y = _interpolated(call, y, axis, factors(call, y.dims[axis], new), name)
    low, high = limits_of(x.tensor)
    scale = integers(Fraction(1 << 2 * bits), (low + zero, high + zero), Rounding.RND_INF, zero)
    found = call.shifted(call.quantized(y, scale, "rounded" if zero else ""), -zero)
    return call.as_result(Operand(found, x.tensor))


def _real_bilinear(call: Call) -> Value:
    x, sizes, places = image(call, 0).value, _sizes(call), Coordinates.ASYMMETRIC
    if call.options.flag("half_pixel_centers"):
        places = Coordinates.HALF_PIXEL
    if call.options.flag("align_corners"):
        places = Coordinates.ALIGN_CORNERS
    return call.build.each(Resize(sizes, Interpolation.LINEAR, places), x)


def _interpolated(call: Call, x: Value, axis: int, factors: Integers, name: str) -> Value:
    equation = "nhwc,hz->nzwc" if axis == 1 else "nhwc,wz->nhzc"
    return contraction.einsum(call.build.within(name), equation, (x, constant(exact(factors))))


def _fine_factors(call: Call, old: int, new: int) -> Integers:
    """Return the weights of elements (rows) in the new ones (columns), in steps of 1/1024."""
    above, below = _ratio(call, old, new)
    one = 1 << _FINE
    step = (one * above + below // 2) // below
    places = np.arange(new) * step + (step // 2 - one // 2 if call.options.flag("half_pixel_centers") else 0)
    return _factors(places, one, old)


def _coarse_factors(call: Call, old: int, new: int) -> Integers:
    """The same of single precision, in steps of 1/256."""
    above, below = _ratio(call, old, new)
    step, half = np.float32(above) / np.float32(below), np.float32(0.5)
    found = np.arange(new, dtype=np.float32)
    found = (found + half) * step - half if call.options.flag("half_pixel_centers") else found * step
    places = found.astype(np.float64) * (1 << _COARSE)
    if bool(np.any(places != np.rint(places))):
        raise UnsupportedError(
            f"{old} elements of uint8 interpolated to {new}, which kernels round in single precision",
            accepted=f"factors of at most {_COARSE} fractional bits, such as twice the size; int8",
        )
    return _factors(places.astype(np.int64), 1 << _COARSE, old)


def _factors(places: Integers, unit: int, old: int) -> Integers:
    """Between the elements before and after each place."""
    low = np.clip(places // unit, 0, old - 1)
    high = np.clip(-(-places // unit), 0, old - 1)
    factors = np.zeros((old, len(places)), dtype=np.int64)
    columns, rest = np.arange(len(places)), places - low * unit
    np.add.at(factors, (low, columns), unit - rest)
    np.add.at(factors, (high, columns), rest)
    return factors


def _space_to_depth(call: Call) -> Value:
    x, block = image(call, 0), call.options.positive("block_size")
    height, width, channels = x.value.item
    if height % block or width % block:
        raise call.error(f"an image of {height} by {width} in blocks of {block}", "whole blocks")
    rows, columns = height // block, width // block
    return _rearranged(call, x, (rows, block, columns, block, channels), (rows, columns, block * block * channels))


def _depth_to_space(call: Call) -> Value:
    x, block = image(call, 0), call.options.positive("block_size")
    height, width, channels = x.value.item
    if channels % (block * block):
        raise call.error(f"{channels} channels as blocks of {block} by {block}", "whole blocks")
    depth = channels // (block * block)
    return _rearranged(call, x, (height, width, block, block, depth), (height * block, width * block, depth))


def _rearranged(call: Call, x: Operand, split: Shape, target: Shape) -> Value:
    """An image viewed with the axes ``split``, of which the second and the third change places, and viewed as ``target``."""
    y = call.build.permuted(call.build.viewed(x.value, (1, *split), x.value.batch, "split"), _EXCHANGED, "permute")
    return call.as_result(Operand(call.build.viewed(y, (1, *target), y.batch), x.tensor))


IMAGES: Operators = {
    "DEPTH_TO_SPACE": alike(_depth_to_space, "Reshape and Permute"),
    "RESIZE_BILINEAR": Entry(Translation(_bilinear, "EinsumDense and Quantize"), Translation(_real_bilinear, "Resize")),
    "RESIZE_NEAREST_NEIGHBOR": alike(_nearest, "Gather"),
    "SPACE_TO_DEPTH": alike(_space_to_depth, "Reshape and Permute"),
}
