"""Comparisons, truth values, choices and changes of type."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Kind, Value
from bitsmith.ir.ops import Relation
from bitsmith.layers.elementwise import Whole, WholeNumber
from bitsmith.layers.layer import Layer, broadcasts
from bitsmith.layers.logic import Comparison, Where


def compare(build: Builder, relation: Relation, x: Value, y: Value, suffix: str = "") -> Value:
    """1 where the relation holds, 0 elsewhere."""
    return build.joined(Comparison(relation), x, y, suffix=suffix, kind=Kind.BOOL)


def logical(layer: Layer, build: Builder, x: Value, y: Value) -> Value:
    """``layer`` on truth values: the minimum is 1 where both are true, the maximum where one is."""
    truths = (truth(build, x, "truth"), truth(build, y, "truth1"))
    return build.joined(layer, *truths, kind=Kind.BOOL)


def truth(build: Builder, x: Value, suffix: str = "") -> Value:
    """``x`` as 0 and 1: what is not 0 is true."""
    return x if x.kind is Kind.BOOL else compare(build, Relation.NE, x, ZERO, suffix)


def negation(build: Builder, x: Value) -> Value:
    """1 where ``x`` is 0."""
    return compare(build, Relation.EQ, x, ZERO)


def where(build: Builder, condition: Value, x: Value, y: Value) -> Value:
    """``x`` where the condition holds, ``y`` elsewhere."""
    holds = condition.constant
    if holds is not None and bool(np.all(holds)) and _covers(x, condition, y):
        return x
    if holds is not None and not bool(np.any(holds)) and _covers(y, condition, x):
        return y
    return build.joined(Where(), condition, x, y, kind=x.kind if x.kind is y.kind else Kind.REAL)


def _covers(x: Value, *others: Value) -> bool:
    """Return True if a computed ``x`` has the shape of all together."""
    if x.constant is not None:
        return False
    return all(broadcasts(other.sizes(1), x.sizes(1)) for other in others)


def cast(build: Builder, x: Value, kind: Kind) -> Value:
    """``x`` as another kind: fractions are cut off, and what is not 0 is true."""
    match x.kind, kind:
        case (_, Kind.REAL) | (Kind.BOOL, _) | (Kind.INT8_16 | Kind.INTEGER, Kind.INTEGER):
            return replace(x, kind=kind)
        case (Kind.REAL, Kind.INTEGER):
            return build.emit(WholeNumber(Whole.TRUNC), x, kind=kind)
        case (_, Kind.BOOL):
            return compare(build, Relation.NE, x, ZERO)
    if x.kind is kind:
        return x
    raise UnsupportedError(
        "a cast to integers of 8 or 16 bits, which wraps around", accepted="floating point, int32, int64 and bool"
    )
