"""Division by constants whose rounding is that of the exact quotient, for every possible operand."""

import numpy as np

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.scaling import trailing_zeros
from bitsmith.ir.types import IntLike, Ints, Overflow, Rounding, objects
from bitsmith.layers.lowering import Lowering

_bit_lengths = np.frompyfunc(int.bit_length, 1, 1)


def divided(lowering: Lowering, x: Value, divisor: IntLike, variable: str = "result") -> Value:
    """``x / divisor``, such that casting it to the precision of ``variable`` rounds the exact quotient.

    ``divisor`` is positive; several broadcast to the shape of ``x``.
    """
    divisors = objects(divisor)
    divisors = divisors.reshape((1,) * (len(x.shape) - divisors.ndim) + divisors.shape)
    halvings = trailing_zeros(divisors)
    odd = objects(divisors >> halvings)
    if bool(np.any(halvings)):
        x = lowering.builder.shift(x, -halvings)
    if bool(np.all(odd == 1)):
        return x
    fmt = lowering.format(variable)
    frac, rounding = (lowering.result_frac(variable), Rounding.RND) if fmt is None else (fmt.frac, fmt.rounding)
    # Truncation and round-half-up need only the floor at half steps; the other modes must know whether it was exact, as must
    # whatever rounds the result later.
    sticky = lowering.exact or rounding not in (Rounding.TRN, Rounding.RND)
    return _quotient(lowering.builder, x, odd, frac + 1, sticky=sticky)


def whole_quotient(builder: ProgramBuilder, x: Value, divisor: Ints) -> Value:
    """``floor(x / divisor)``; the divisors are positive and broadcast to the shape of ``x``."""
    halvings = trailing_zeros(divisor)
    exact = builder.shift(x, -halvings) if bool(np.any(halvings)) else x
    quotient = _quotient(builder, exact, objects(divisor >> halvings), 0, sticky=False)
    frac = objects(quotient.type.frac)
    lo, hi = (
        objects(np.where(frac > 0, part >> np.maximum(frac, 0), part << np.maximum(-frac, 0)))
        for part in (quotient.type.lo, quotient.type.hi)
    )
    return builder.cast_to(quotient, 0, lo, hi, Rounding.TRN, Overflow.SAT)


def _quotient(builder: ProgramBuilder, x: Value, odd: Ints, frac: int, sticky: bool) -> Value:
    """``floor(x / odd)`` in steps of ``2**-frac`` or finer; with ``sticky``, one more bit says that it was not exact.

    A multiplication by ``ceil(2**s / odd)`` and a shift by ``s``, exact for ``0 <= x < 2**s / odd``
    (T. Granlund, P. Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994, theorem 4.2); negative
    operands are first raised by a multiple of ``odd``. Elements with the same divisor share their constants.
    """
    common = x.type.aligned().union([axis for axis, size in enumerate(odd.shape) if size == 1])
    scale = max(frac, common.span.frac)
    lo, hi = (objects(part << scale - common.span.frac) for part in (common.lo, common.hi))
    raised = np.where(odd == 1, 0, np.maximum(-(lo // odd), 0))
    bits = _bit_lengths(hi + raised * odd) + _bit_lengths(odd)
    positive = builder.add(x, builder.const(raised * odd, scale)) if np.any(raised) else x
    product = builder.mul(positive, builder.const(-((objects(-1) << bits) // odd), bits))
    bounds = (lo + raised * odd) // odd, (hi + raised * odd) // odd
    quotient = builder.cast_to(product, scale, *bounds, Rounding.TRN, Overflow.SAT)
    if np.any(raised):
        quotient = builder.sub(quotient, builder.const(raised, scale))
    if not sticky:
        return quotient
    remainder = builder.sub(x, builder.mul(quotient, builder.const(odd)))
    return builder.add(quotient, builder.shift(builder.compare(remainder, Relation.NE, builder.const(0)), -scale - 1))
