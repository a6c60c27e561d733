"""Comparisons, truth values, choices and changes of type."""

import enum
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant
from bitsmith.frontends.ops.numbers import check_numbers
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import HardActivation, ReLU
from bitsmith.layers.elementwise import Whole, WholeNumber
from bitsmith.layers.input import Input
from bitsmith.layers.integer import Bits, Bitwise, WholeQuotient, Wrap
from bitsmith.layers.layer import Layer, as_weights, broadcasts
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Maximum, Minimum
from bitsmith.layers.shape import Identity

_LARGEST = float(np.finfo(np.float32).max)


class Beyond(enum.Enum):
    """Ways of a set of operators with real numbers beyond an integer type."""

    WRAPS = "wraps"
    """Integers of 32 bits lose the upper ones, as on x86; real numbers beyond 32 bits are not defined."""
    UNDEFINED = "undefined"
    """Backends or versions differ: some wrap, some take the nearest."""


_OF_TRUTHS = {Bits.AND: Minimum(), Bits.OR: Maximum(), Bits.XOR: Comparison(Relation.NE)}


def compare(build: Builder, relation: Relation, x: Value, y: Value, suffix: str = "") -> Value:
    """1 where the relation holds, 0 elsewhere.

    Raises:
        UnsupportedError: it tells what is no number, which the circuit computes as one (see :func:`check_numbers`).
    """
    constants = [each.constant for each in (x, y) if each.constant is not None]
    if not all(np.all(np.isfinite(known)) for known in constants) or (not constants and x.node == y.node):
        check_numbers(build, x, y)
    return build.joined(Comparison(relation), _in_single(x), _in_single(y), suffix=suffix, kind=Kind.BOOL)


def _in_single(x: Value) -> Value:
    """A constant as frameworks compare it: in single precision, as 0.3 is then the same as what data of 0.3 are."""
    number = x.constant
    if number is None or x.kind is not Kind.REAL or x.quantizer is not None:
        return x
    return replace(x, node=as_weights(np.clip(number, -_LARGEST, _LARGEST).astype(np.float32)))


def logical(layer: Layer, build: Builder, x: Value, y: Value) -> Value:
    """``layer`` on truth values: the minimum is 1 where both are true, the maximum where one is."""
    truths = (truth(build, x, "truth"), truth(build, y, "truth1"))
    return build.joined(layer, *truths, kind=Kind.BOOL)


def truth(build: Builder, x: Value, suffix: str = "") -> Value:
    """``x`` as 0 and 1: what is not 0 is true."""
    return x if x.kind is Kind.BOOL else compare(build, Relation.NE, x, ZERO, suffix)


def bitwise(operation: Bits, build: Builder, x: Value, y: Value) -> Value:
    """The operation on truth values, or on the bits of integers."""
    kind = common_kind(x, y)
    if kind is Kind.BOOL:
        return logical(_OF_TRUTHS[operation], build, x, y)
    _check_bits(kind)
    return build.joined(Bitwise(operation), x, y, kind=kind)


def bitwise_not(build: Builder, x: Value) -> Value:
    """1 where a truth value is 0; an integer with all bits turned."""
    if x.kind is Kind.BOOL:
        return negation(build, x)
    _check_bits(x.kind)
    ones = -1.0 if x.kind.signed else 2.0**x.kind.bits - 1.0
    return build.affine(x, constant(-1.0), constant(ones), kind=x.kind)


def _check_bits(kind: Kind) -> None:
    if not kind.is_integer or kind is Kind.UINT64:
        raise UnsupportedError(f"the bits of {kind.value}", accepted="truth values, and integers of up to 63 bits")


def negation(build: Builder, x: Value) -> Value:
    """1 where ``x`` is 0."""
    return compare(build, Relation.EQ, x, ZERO)


def whole(build: Builder, x: Value, way: Whole, kind: Kind = Kind.REAL) -> Value:
    """``x`` as an integer of the ``kind``, ``way`` says which; of a quotient that of the exact one, which is easily missed."""
    if x.kind is not Kind.REAL:
        return x
    parts = build.draft.quotients.get(x.node) if isinstance(x.node, int) and way is not Whole.ROUND else None
    if parts is None:
        return build.emit(WholeNumber(way), x, kind=kind)
    return build.joined(WholeQuotient(way), *parts, kind=kind)


def row_index(build: Builder, x: Value) -> Value:
    """``x`` as the number of a row; the fraction of a computed one goes first, by a layer in front of which nothing is rounded.

    Elements of inputs stay: what reads them gives these their format.
    """
    return x if _is_given(build, x) else whole(build.within("index"), x, Whole.TRUNC, Kind.INT64)


def _is_given(build: Builder, x: Value) -> bool:
    """Return True for constants and elements of an input."""
    if not isinstance(x.node, int):
        return True
    made = build.draft.nodes[x.node]
    while made.layer.traits.moves and len(made.inputs) == 1:
        made = build.draft.nodes[made.inputs[0]]
    return isinstance(made.layer, Input)


def common_kind(*values: Value) -> Kind:
    """The kind of the values together: the least that holds all of them, as in NumPy and in each framework."""
    kinds = {value.kind for value in values}
    integers = [kind for kind in kinds if kind.is_integer]
    if not integers or Kind.REAL in kinds:
        return next(kind for kind in (Kind.REAL, Kind.BOOL, Kind.STRING) if kind in kinds)
    signed = any(kind.signed for kind in integers)
    bits = max(kind.bits << int(signed and not kind.signed) for kind in integers)
    return Kind.named(f"{'' if signed else 'u'}int{min(bits, Kind.INT64.bits)}")


def wrapped(build: Builder, kind: Kind, make: Callable[[Builder], Value]) -> Value:
    """Return the exact result of ``make`` as a number of the ``kind``: integers wrap around."""
    if not kind.wraps:
        return make(build)
    y = make(build.within("exact"))
    return replace(build.emit(Wrap(kind.bits, kind.signed, None), y, kind=kind), batch=y.batch)


def where(build: Builder, condition: Value, x: Value, y: Value) -> Value:
    """``x`` where the condition holds, ``y`` elsewhere."""
    holds = condition.constant
    if holds is not None and bool(np.all(holds)) and _covers(x, condition, y):
        return x
    if holds is not None and not bool(np.any(holds)) and _covers(y, condition, x):
        return y
    return build.joined(Where(), condition, x, y, kind=common_kind(x, y))


def _covers(x: Value, *others: Value) -> bool:
    """Return True if a computed ``x`` has the shape of all together."""
    if x.constant is not None:
        return False
    return all(broadcasts(other.sizes(1), x.sizes(1)) for other in others)


def cast(build: Builder, x: Value, kind: Kind, beyond: Beyond) -> Value:
    """``x`` as another kind: fractions are cut off, integers lose their upper bits, and what is not 0 is true.

    ``beyond`` says what real numbers outside of an integer type become; beyond 64 bits none are defined.
    """
    if kind is Kind.BOOL:
        return truth(build, x)
    if x.kind is Kind.REAL and kind.is_integer:
        least, greatest = kind.limits
        if beyond is Beyond.WRAPS and kind.wraps:
            least, greatest = min(least, Kind.INT32.limits[0]), max(greatest, Kind.INT32.limits[1])
        if x.constant is not None and not bool(np.all((np.trunc(x.constant) >= least) & (x.constant < greatest + 1))):
            raise UnsupportedError(
                f"a cast of constants beyond {kind.value}", accepted=f"numbers within {least}..{greatest}"
            )
        y = whole(build.within("whole"), x, Whole.TRUNC, kind)
        return build.emit(Wrap(kind.bits, kind.signed, (least, greatest)), y, kind=kind)
    if _holds(kind, x.kind) or (kind is Kind.INT32 and _is_input(build, x)):
        return replace(x, kind=kind)
    defined = None if kind.wraps else kind.limits
    return replace(build.emit(Wrap(kind.bits, kind.signed, defined), x, kind=kind), batch=x.batch)


def _holds(kind: Kind, other: Kind) -> bool:
    """Return True if the ``other`` kind's numbers are of this one, too, as far as they are looked at."""
    if not (kind.is_integer and other.is_integer):
        return True
    return kind.signed >= other.signed and kind.bits - other.bits >= kind.signed - other.signed


def _is_input(build: Builder, x: Value) -> bool:
    """Return True of an input of 64 bits, indices say: cast to 32 bits, no more is expected than these hold."""
    return isinstance(x.node, int) and isinstance(build.draft.nodes[x.node].layer, Input) and x.kind is Kind.INT64


def clipping(low: float = -math.inf, high: float = math.inf) -> Layer:
    """The layer that clips to ``low..high``; bounds beyond single precision are open."""
    if not low <= math.inf or not high > -_LARGEST or low == math.inf:
        raise UnsupportedError(f"clipping to {low}..{high}", accepted="finite bounds")
    low = min(low, high)
    lower, upper = None if low <= -_LARGEST else low, None if high >= _LARGEST else high
    if lower is None and upper is None:
        return Identity()
    return ReLU(upper) if lower == 0.0 else HardActivation(1.0, 0.0, lower, upper)
