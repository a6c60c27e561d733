"""The grids of quantizers in the user's units, as texts, and how many elements have how many bits."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from bitsmith.ir.types import FixedFormat, Overflow, Rounding, format_text, span_text, width_of
from bitsmith.layers.layer import Shape
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats, binary_exponents, rationals

BitCounts: TypeAlias = tuple[tuple[int, int], ...]
"""Pairs of bits and the number of elements that have so many."""

_BARS = "▁▂▃▄▅▆▇█"


def bit_counts(quantizer: Quantizer, shape: Shape) -> BitCounts:
    """The bits of a quantizer's elements on a tensor of ``shape``."""
    bits, counts = np.unique(np.broadcast_to(quantizer.bits, shape), return_counts=True)
    return tuple(zip(map(int, bits), map(int, counts), strict=True))


def mean_bits(bits: BitCounts) -> float:
    """The mean over all elements."""
    return sum(width * count for width, count in bits) / sum(count for _, count in bits)


def bits_text(bits: BitCounts) -> str:
    """The mean and a histogram, ``mean 3.4 bits ▂▁█ 2..4``, where elements differ; else "" for what the grid says anyway."""
    if len(bits) < 2:
        return ""
    counts, most = dict(bits), max(count for _, count in bits)
    widths = range(bits[0][0], bits[-1][0] + 1)
    bars = "".join(_BARS[-(-(len(_BARS) - 1) * counts[width] // most)] if width in counts else " " for width in widths)
    return f"mean {mean_bits(bits):.1f} bits {bars} {widths[0]}..{widths[-1]}"


def grid_text(quantizer: Quantizer, affine: Affine | None, *, modes: bool = True) -> str:
    """A grid as a format, or as bits and steps if these are no powers of two; ``affine`` says what a step is to the user.

    ``modes`` are those of rounding and overflow.
    """
    steps = quantizer.step if affine is None else rationals(quantizer.step * affine.scale)
    exponents = binary_exponents(steps)
    if exponents is None:
        sizes = np.abs(as_floats(steps))
        span = f"{sizes.min():.4g}" if sizes.min() == sizes.max() else f"{sizes.min():.3g}..{sizes.max():.3g}"
        rules = f",{quantizer.rounding.value},{quantizer.overflow.value}" if modes else ""
        return f"{span_text(set(quantizer.bits.ravel().tolist()))} bits of {span}{rules}"
    rounding, overflow = (quantizer.rounding, quantizer.overflow) if modes else (Rounding.TRN, Overflow.WRAP)
    return format_text(
        FixedFormat(lo < 0, max(width_of(lo, hi), 1), -int(exponent), rounding, overflow)
        for exponent, lo, hi in np.broadcast(exponents, quantizer.lo, quantizer.hi)
    )


def moved_scale(node: NetworkNode, variable: str, operands: Sequence[NetworkNode]) -> Affine | None:
    """Return the user's value of a trained 1, of a product whose scale waits for the next quantizer."""
    if node.affine is None:
        return None
    scale = node.affine.scale
    for operand in operands:
        if operand.affine is not None and variable != "bias":
            scale = rationals(scale / operand.affine.scale.ravel()[0])
    return Affine.of(scale)
