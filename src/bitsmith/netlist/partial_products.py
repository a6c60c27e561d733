"""Products that are wider than a multiplier block, as sums of products that are not, so that registers can stand between these.

Before: ``x * y`` with 29 and 16 bits, two blocks and an adder in one cell. After: ``(x >> 17) * y * 2**17 + (x mod 2**17) * y``.
"""

from __future__ import annotations

from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.ir.types import width_of
from bitsmith.netlist.builder import NetlistBuilder
from bitsmith.netlist.netlist import WordRef


def is_wider(builder: NetlistBuilder, x: WordRef, y: WordRef, block: MultiplierBlock) -> bool:
    """Return True if ``x * y`` takes more than one ``block``, or other cells beside it."""
    parts = block.parts(_width(builder, x), _width(builder, y))
    return parts.blocks > 1 or bool(parts.sums)


def product(builder: NetlistBuilder, x: WordRef, y: WordRef, block: MultiplierBlock) -> WordRef:
    """``x * y``, no part of it wider than ``block``."""
    if not is_wider(builder, x, y, block):
        return builder.mul(x, y)
    wide, other = sorted((WordRef(x.word), WordRef(y.word)), key=lambda ref: _width(builder, ref), reverse=True)
    bits = block.narrow - 1  # of an unsigned part; with a sign it fills the narrow factor
    low, high = builder.low(wide, bits, signed=False), builder.drop(wide, bits)
    parts = builder.add(product(builder, high, other, block).shifted(bits), product(builder, low, other, block))
    corners = [p * q for p in (builder.lo(wide), builder.hi(wide)) for q in (builder.lo(other), builder.hi(other))]
    least = max(builder.lo(wide), -builder.hi(wide), 0) ** 2 if wide == other else min(corners)
    return builder.narrow(parts, least, max(corners)).shifted(x.shift + y.shift)


def _width(builder: NetlistBuilder, x: WordRef) -> int:
    """Bits of a variable, unshifted; a constant has none here, since shifts and adders multiply by it."""
    word = WordRef(x.word)
    return 0 if builder.value(word) is not None else width_of(builder.lo(word), builder.hi(word))
