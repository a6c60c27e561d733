"""Ranges of all parts of formulas for inputs within bounds, by interval arithmetic on many small boxes.

One box would be enough for a proof, but intervals of numbers that depend on each other are wider than need be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bitsmith.frontends.formulas.expression import Call, Expression, Name, parts
from bitsmith.frontends.formulas.functions import FUNCTIONS, Interval
from bitsmith.layers.enclosure import boxes

Bounds = Mapping[str, tuple[float, float]]
"""The least and the greatest number of each input."""


def ranges(expressions: Sequence[Expression], bounds: Bounds) -> dict[Expression, Interval]:
    """Intervals of all parts of expressions, for each of the boxes."""
    low, high = boxes([np.array(ends) for ends in zip(*bounds.values(), strict=True)])
    intervals: dict[Expression, Interval] = {
        Name(name): (low[:, number], high[:, number]) for number, name in enumerate(bounds)
    }
    size = len(low)
    with np.errstate(all="ignore"):
        for part in parts(*expressions):
            if isinstance(part, Call):
                operands = [intervals[operand] for operand in part.operands]
                low, high = FUNCTIONS[part.function].span(*operands)
                intervals[part] = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
            elif not isinstance(part, Name):
                intervals[part] = np.full(size, part.value), np.full(size, part.value)
    return intervals


def undefined(part: Call, intervals: Mapping[Expression, Interval]) -> str:
    """The text on operands with which a function may not be defined; empty if there are none."""
    domain = FUNCTIONS[part.function].domain
    if domain is None:
        return ""
    operands = [intervals[operand] for operand in part.operands]
    wrong = ~domain.holds(*operands)
    if not np.any(wrong):
        return ""
    reached = " and ".join(
        f"{operand} may be from {x[0][wrong].min():.4g} to {x[1][wrong].max():.4g}"
        for operand, x in zip(map(_short, part.operands), operands, strict=True)
        if not np.all(x[0] == x[1]) or len(operands) == 1
    )
    return f"{reached}, and it is defined for {domain.words}"


def _short(expression: Expression) -> str:
    text = str(expression)
    return text if len(text) <= 40 else f"{text[:37]}..."
