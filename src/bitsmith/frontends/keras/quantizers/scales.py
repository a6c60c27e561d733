"""Quantizers of trained tensors whose scale QKeras takes from the tensor itself, in single precision as it does.

A rule makes of a tensor, laid out as Keras has it, integer codes and their scale, which broadcasts to the tensor. Scales are per
index of the last axis unless said otherwise; a tensor of one axis has one for each element.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError

Singles: TypeAlias = npt.NDArray[np.float32]

Axes: TypeAlias = tuple[int, ...] | None

Codes: TypeAlias = tuple[Singles, Singles]
"""Codes and their scale."""

Rule: TypeAlias = Callable[[Singles], Codes]

AUTO = ("auto", "auto_po2")

EPSILON = np.float32(1e-7)
"""Keras's, which is added to divisors and operands of logarithms."""

_LN2 = np.float32(np.log(2.0))
_HALF = np.float32(0.5)
_UPDATES = 5


@dataclass(frozen=True, slots=True)
class Scaling:
    """Rule for scales: the rule's name, along which axis, and the least and greatest exponents of powers of two."""

    alpha: str
    axis: int | None
    least: int | None
    most: int | None

    @property
    def binary(self) -> bool:
        """Return True if scales are powers of two."""
        return self.alpha == "auto_po2"

    def axes(self, x: Singles) -> Axes:
        """The axes that share a scale."""
        own = x.ndim - 1 if self.axis is None else self.axis
        if not 0 <= own < x.ndim:
            raise UnsupportedError(f"scale_axis={own} of a tensor of {x.ndim} axes", accepted="one of its axes")
        return tuple(axis for axis in range(x.ndim) if axis != own)

    def fitted(self, x: Singles, codes: Singles) -> Singles:
        """The scale with which the codes are nearest to ``x`` (least squares)."""
        products, squares = x * codes, codes * codes
        if x.ndim > 1:
            products, squares = _mean(products, self.axes(x)), _mean(squares, self.axes(x))
        scale = products / (squares + EPSILON)
        if not self.binary:
            return scale
        scale = power_of_two(scale)
        scale = scale if self.least is None else np.maximum(scale, np.float32(2.0**self.least))
        return scale if self.most is None else np.minimum(scale, np.float32(2.0**self.most))


def single(values: npt.ArrayLike) -> Singles:
    """In single precision."""
    return np.asarray(values, dtype=np.float32)


def _mean(values: Singles, axes: Axes) -> Singles:
    """Means, of which only the result is rounded: in which order frameworks add is not defined."""
    return single(np.mean(values.astype(np.float64), axis=axes, keepdims=True))


def power_of_two(scale: Singles) -> Singles:
    """The nearest power of two, by the logarithm."""
    return single(np.exp2(np.rint(np.log(scale + EPSILON) / _LN2)))


def _greatest(x: Singles, axes: Axes) -> Singles:
    return np.asarray(np.max(x, axis=axes, keepdims=True))


def bits_rule(bits: int, unit: float, scaling: Scaling, *, settled: bool) -> Rule:
    """Return the rule of ``quantized_bits``, whose numbers are in units of ``unit``.

    With ``settled`` (qkeras-v3) the codes are those of the last scale; QKeras 0.9 keeps those of the scale before.
    """
    most = np.float32(2 ** (bits - 1) - 1)
    if bits < 2:
        raise UnsupportedError("quantized_bits of one bit with a scale from the data", accepted="two bits, or binary")

    def codes_of(x: Singles, scale: Singles) -> Singles:
        found = np.floor(np.abs(x) / scale + _HALF)
        return np.sign(x) * np.where(found < most, found, most)

    def rule(values: Singles) -> Codes:
        x = values / np.float32(unit)
        axes = scaling.axes(x) if x.ndim > 1 else (0,)
        scale = _greatest(np.abs(x), axes) * np.float32(2.0) / np.float32(2.0 * most)
        if scaling.binary:
            scale = power_of_two(scale)
            for _ in range(_UPDATES):
                codes = codes_of(x, scale)
                scale = scaling.fitted(x, codes)
        if settled or not scaling.binary:
            codes = codes_of(x, scale)
        return codes, scale * np.float32(unit)

    return rule


def linear_rule(lo: float, hi: float, scaling: Scaling, *, signed: bool) -> Rule:
    """Return the rule of ``quantized_linear`` with codes within the bounds, which are halves for a sign."""
    shift = np.float32(0.5 if hi == 0.5 else 0.0)
    first, last = np.float32(lo), np.float32(hi)

    def codes_of(x: Singles, scale: Singles) -> Singles:
        return single(np.rint(np.clip(x / scale, first, last) - shift) + shift)

    def rule(x: Singles) -> Codes:
        axes = scaling.axes(x)
        span = np.float32(2.0) * _greatest(np.abs(x), axes) if signed else _greatest(x, axes)
        scale = np.maximum(span / (last - first), EPSILON)
        if scaling.binary:
            scale = power_of_two(scale)
            for _ in range(1 if shift else _UPDATES):
                before, scale = scale, scaling.fitted(x, codes_of(x, scale))
                if np.array_equal(before, scale):
                    break
        codes = codes_of(x, scale)
        return (codes * np.float32(2.0), scale * _HALF) if shift else (codes, scale)

    return rule


def binary(scaling: Scaling, least: int, x: Singles) -> Codes:
    """The rule of ``binary``: ``least``, which is -1 or 0, and 1."""
    codes = np.where(x >= 0, np.float32(1.0), np.float32(least))
    return codes, scaling.fitted(x, codes)


def ternary(scaling: Scaling, updates: int, x: Singles) -> Codes:
    """The rule of ``ternary``: scale and threshold, which is half of it, in turns."""
    axes = scaling.axes(x) if x.ndim > 1 else None
    scale = _greatest(np.abs(x), axes) * np.float32(2.0) / np.float32(3.0)
    scale = power_of_two(scale) if scaling.binary else scale
    codes = np.zeros_like(x)
    for _ in range(updates):
        near = scale * np.rint(x / scale)
        codes = np.where(np.abs(near) >= scale / np.float32(2.0), np.sign(x), np.float32(0.0))
        scale = scaling.fitted(x, codes)
    return codes, scale
