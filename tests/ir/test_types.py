"""Types of tensors over several elements: bounds in units that all elements share."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from bitsmith.ir.types import TensorType

KIND = TensorType.of((2, 2), np.array([[0, 3], [1, 2]]), np.array([[-5, 0], [-8, 3]]), np.array([[7, 9], [-2, 90]]))
"""The elements -5..7, 0..9/8, -4..-1 and 3/4..45/2."""


def test_a_union_holds_every_value_along_its_axes() -> None:
    one = KIND.union((0,))
    assert one.frac.tolist() == [[1, 3]]
    assert (one.lo.tolist(), one.hi.tolist()) == ([[-10, 0]], [[14, 180]])
    whole = KIND.union()
    assert (whole.frac.item(), whole.lo.item(), whole.hi.item()) == (3, -40, 180)


def test_a_span_is_in_the_finest_unit() -> None:
    span = KIND.span
    assert (span.frac, span.lo, span.hi, span.step) == (3, -40, 180, Fraction(1, 8))
    assert KIND.real_range() == (-5.0, 22.5)
