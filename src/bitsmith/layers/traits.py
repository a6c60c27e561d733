"""Traits of layers, from which passes conclude what they may do without knowing a class. No trait has a default."""

import enum
from dataclasses import dataclass, replace


class Elements(enum.Enum):
    """The source of the elements of a result."""

    VIEW = "view"
    """Those of the only operand, in the same row-major order."""
    PERMUTATION = "permutation"
    """Those of the only operand, each of them once."""
    SELECTION = "selection"
    """Elements of the operands, whatever the values."""
    PADDED = "padded"
    """Elements of the operands, whatever the values, and constants."""
    EXTREME = "extreme"
    """The greatest or the least of some elements of the operands, so that rising functions commute with the layer."""
    COMPUTED = "computed"
    """New values."""


class Scales(enum.Enum):
    """Numbers by which all operands may be multiplied, so that the result is multiplied by the same number."""

    ANY = "any"
    POSITIVE = "positive"
    NONE = "none"


class Exactness(enum.Enum):
    """The accuracy of the layer's core ops, where ``auto`` rounds nothing and trained tensors are exact."""

    EXACT = "exact"
    """The real result; numbers of the layer's definition, such as slopes, are as single precision has them."""
    QUOTIENT = "quotient"
    """The real result, cut off so far below the step of ``auto`` that rounding to that step gives the same."""
    APPROXIMATE = "approximate"
    """A result as near as the rule of ``auto`` says, by tables for example."""
    GRID = "grid"
    """A value on a grid that the model states, whatever the operand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The traits of a layer.

    Args:
        elementwise: each element of the result comes from those at its place in the operands, and everywhere alike.
        affine: each element of the result is an element of any one operand, at its place, times a number plus a number.
        multiplies: but for a bias, the result is sums of products of elements of all operands and of the trained factor, if there
            is one; at least two of these.
        sign: the sign of all operands after the first, if the result is the sum of these and the first.
        bits: the result has no values but 0 and 1, whatever the operands.
        indices: numbers of rows that elements of the operand may be, cut off to integers: frameworks make an error of all others,
            and the layer takes the nearest; None if the operands are any numbers.
        total: the result is a number for all operands; of some, frameworks otherwise make NaN or infinity, and the layer takes
            the nearest operand that has a result.
    """

    elements: Elements
    scales: Scales
    exactness: Exactness
    elementwise: bool
    affine: bool
    multiplies: bool
    sign: int | None
    bits: bool
    indices: range | None
    total: bool

    @property
    def keeps(self) -> bool:
        """True if the result has all elements of the only operand, each of them once."""
        return self.elements in (Elements.VIEW, Elements.PERMUTATION)

    @property
    def moves(self) -> bool:
        """True if each element of the result is one of an operand, which one whatever the values."""
        return self.keeps or self.elements is Elements.SELECTION

    @property
    def moves_or_pads(self) -> bool:
        """True if each element of the result is one of an operand or a constant, which one whatever the values."""
        return self.moves or self.elements is Elements.PADDED

    @property
    def picks(self) -> bool:
        """True if each element of the result is one of an operand."""
        return self.moves or self.elements is Elements.EXTREME


def moved(elements: Elements) -> Traits:
    """The traits of a layer that only moves ``elements``."""
    return replace(computed(Scales.ANY, Exactness.EXACT, elementwise=False, affine=False), elements=elements)


def extreme(*, elementwise: bool) -> Traits:
    """The traits of a layer that takes the greatest or the least of elements."""
    return replace(moved(Elements.EXTREME), scales=Scales.POSITIVE, elementwise=elementwise)


def computed(
    scales: Scales, exactness: Exactness, *, elementwise: bool, affine: bool, multiplies: bool = False
) -> Traits:
    """The traits of a layer with new values, of any numbers, that are no sums of its operands."""
    return Traits(
        elements=Elements.COMPUTED,
        scales=scales,
        exactness=exactness,
        elementwise=elementwise,
        affine=affine,
        multiplies=multiplies,
        sign=None,
        bits=False,
        indices=None,
        total=True,
    )


def looked_up(indices: range) -> Traits:
    """The traits of a layer that looks up trained rows by the ``indices`` that its operand holds."""
    return replace(computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False), indices=indices)


def summed(sign: int) -> Traits:
    """The traits of the sum of all operands, those after the first with this sign."""
    return replace(computed(Scales.ANY, Exactness.EXACT, elementwise=True, affine=True), sign=sign)
