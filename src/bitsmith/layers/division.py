"""Division by a constant whose rounding is that of the exact quotient, for every possible operand."""

from __future__ import annotations

from bitsmith.ir.builder import Builder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding, objects
from bitsmith.layers.lowering import Lowering


def divided(lowering: Lowering, x: Value, divisor: int) -> Value:
    """``x / divisor``, such that casting it to the layer's result precision rounds the exact quotient."""
    odd, halvings = divisor, 0
    while odd % 2 == 0:
        odd, halvings = odd // 2, halvings + 1
    if halvings:
        x = lowering.builder.shift(x, -halvings)
    if odd == 1:
        return x
    fmt = lowering.format("result")
    frac, rounding = (lowering.result_frac(), Rounding.RND) if fmt is None else (fmt.frac, fmt.rounding)
    # Truncation and round-half-up need only the floor at half steps; the other modes must know whether it was exact.
    return _quotient(lowering.builder, x, odd, frac + 1, sticky=rounding not in (Rounding.TRN, Rounding.RND))


def _quotient(builder: Builder, x: Value, odd: int, frac: int, sticky: bool) -> Value:
    """``floor(x / odd)`` in steps of ``2**-frac`` or finer; with ``sticky``, one more bit says that it was not exact.

    A multiplication by ``ceil(2**s / odd)`` and a shift by ``s``, exact for ``0 <= x < 2**s / odd``
    (T. Granlund, P. Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994, theorem 4.2); negative
    operands are first raised by a multiple of ``odd``.
    """
    scale = max(frac, int(x.type.frac.max()))
    shift = scale - objects(x.type.frac)
    lo, hi = int((x.type.lo << shift).min()), int((x.type.hi << shift).max())
    raised = max(-(lo // odd), 0)
    bits = (hi + raised * odd).bit_length() + odd.bit_length()
    positive = builder.add(x, builder.const(raised * odd, scale)) if raised else x
    product = builder.mul(positive, builder.const(-((-1 << bits) // odd), bits))
    quotient = builder.cast_to(product, scale, 0, (hi + raised * odd) // odd, Rounding.TRN, Overflow.SAT)
    if raised:
        quotient = builder.sub(quotient, builder.const(raised, scale))
    if not sticky:
        return quotient
    remainder = builder.sub(x, builder.mul(quotient, builder.const(odd)))
    return builder.add(quotient, builder.shift(builder.compare(remainder, Relation.NE, builder.const(0)), -scale - 1))
