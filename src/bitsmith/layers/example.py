"""Small uses of layers: what the documentation's table and the tests of all layers try. Each layer's file has its own."""

from dataclasses import dataclass

import numpy as np

from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights

INPUT = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
COUNT = FixedFormat(False, 2, 0, Rounding.RND, Overflow.SAT)
"""Integers of inputs that number something."""


@dataclass(frozen=True, slots=True)
class Example:
    """A small use of a layer: on inputs of these shapes and one format."""

    layer: Layer
    shapes: tuple[Shape, ...]
    format: FixedFormat = INPUT


def quarters(*shape: int) -> Floats:
    """Weights: quarters from -1 to 1."""
    return as_weights(np.random.default_rng(len(shape)).integers(-4, 5, shape) / 4)
