"""Exact statistics of each sample, as the normalizations and reductions need them."""

import math
from dataclasses import dataclass

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.layers.division import divided
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.reciprocal import nonnegative


@dataclass(frozen=True, slots=True)
class Statistics:
    """``count`` times the operand (centered, if so asked) and ``count**2`` times its variance or mean square."""

    numerator: Value
    spread: Value
    count: int


def checked_axes(shape: Shape, axes: tuple[int, ...], kind: str) -> Shape:
    """``shape``, if ``axes`` (without the batch axis; may be negative) are distinct axes of it.

    Raises:
        UnsupportedError: axes that are none, named by the layer's ``kind``.
    """
    inside = all(-len(shape) <= axis < len(shape) for axis in axes)
    if not axes or not inside or len({axis % len(shape) for axis in axes}) != len(axes):
        raise UnsupportedError(f"{kind} over the axes {axes} of an input of shape {shape}")
    return shape


def batched(axes: tuple[int, ...], x: Floats) -> tuple[int, ...]:
    """``axes`` of a sample as axes of the batch ``x``."""
    return tuple(axis % (x.ndim - 1) + 1 for axis in axes)


def square(lowering: Lowering, x: Value) -> Value:
    """``x**2``, known not to be negative."""
    return nonnegative(lowering.builder, lowering.builder.mul(x, x))


def kept_sum(lowering: Lowering, x: Value, axes: tuple[int, ...]) -> Value:
    """The sum over ``axes``, which keep size 1."""
    counted = {axis % len(x.shape) for axis in axes}
    kept = tuple(1 if axis in counted else size for axis, size in enumerate(x.shape))
    return lowering.builder.reshape(lowering.builder.sum(x, sorted(counted)), kept)


def variance(lowering: Lowering, x: Value, axes: tuple[int, ...], *, centered: bool) -> Statistics:
    """The operand around its mean over ``axes`` and its variance, both exact multiples; in the user's formats, if there are.

    With ``S = sum(x)``, ``n * x - S`` is ``n`` times the centered operand and ``n * sum(x**2) - S**2`` is ``n**2`` times the
    variance.
    """
    builder = lowering.builder
    count = math.prod(x.shape[axis] for axis in axes)
    times = builder.const(count)
    total = kept_sum(lowering, x, axes)
    numerator = builder.mul(x, times)
    if lowering.format("mean") is None:
        squares = builder.mul(kept_sum(lowering, square(lowering, x), axes), times)
        # Never negative (Cauchy-Schwarz), which intervals do not see.
        spread = nonnegative(builder, builder.sub(squares, square(lowering, total)))
        around = total
    else:
        mean = lowering.cast("mean", divided(lowering, total, count, "mean"))
        around = builder.mul(mean, times)
        spread = builder.mul(kept_sum(lowering, square(lowering, builder.sub(x, mean)), axes), times)
    if centered:
        numerator = builder.sub(numerator, around)
    return Statistics(numerator, given_variance(lowering, spread, count), count)


def given_variance(lowering: Lowering, spread: Value, count: int) -> Value:
    """``spread``, but from a variance (or mean square) in the user's format, if there is one."""
    if lowering.format("variance") is None:
        return spread
    rounded = lowering.cast("variance", divided(lowering, spread, count * count, "variance"))
    return lowering.builder.mul(rounded, lowering.builder.const(count * count))
