"""Quantizers of trained tensors, as readers move these about until a layer has them."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from bitsmith.ir.types import compact, frozen
from bitsmith.layers.arrays import Floats, Shape
from bitsmith.layers.quantization.quantizer import Quantizer, Rationals


def moved(quantizer: Quantizer, shape: Shape, move: Callable[[Floats], Floats]) -> Quantizer:
    """The quantizer of a tensor of ``shape`` after ``move`` has taken its elements elsewhere, repeated or dropped some."""
    places = move(np.arange(math.prod(shape), dtype=np.float64).reshape(shape)).astype(np.int64)

    def taken(part: Rationals) -> Rationals:
        return part.reshape(()) if part.size == 1 else frozen(compact(np.broadcast_to(part, shape).reshape(-1)[places]))

    return replace(
        quantizer,
        scale=taken(quantizer.scale),
        step=taken(quantizer.step),
        offset=taken(quantizer.offset),
        lo=taken(quantizer.lo),
        hi=taken(quantizer.hi),
    )


def times(quantizer: Quantizer, factor: float) -> Quantizer:
    """The quantizer of a tensor that was multiplied by ``factor``, whose codes stay."""
    exact = Fraction(factor)
    return replace(quantizer, scale=frozen(quantizer.scale * exact), step=frozen(quantizer.step * exact))


def integers(values: Floats) -> Quantizer | None:
    """The grid of integers; None of other numbers."""
    if not values.size or not bool(np.all(np.isfinite(values) & (np.rint(values) == values))):
        return None
    return Quantizer.uniform(1.0, int(values.min()), int(values.max()))
