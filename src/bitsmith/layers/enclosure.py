"""Facts of a tensor where inputs are known to be within boxes: for each box, ends, and how far a circuit may be off."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from bitsmith.layers.arrays import Floats
from bitsmith.layers.traits import Exactness, Traits

BOXES = 1 << 14
"""Boxes that the domain of inputs is cut into, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Enclosure:
    """Batches with an item for each box: exact values are from ``least`` to ``most``, a circuit's within ``error`` of them."""

    least: Floats
    most: Floats
    error: Floats

    @property
    def reached(self) -> tuple[Floats, Floats]:
        """The ends of what the circuit's values may be."""
        return self.least - self.error, self.most + self.error

    def of_boxes(self, boxes: int) -> "Enclosure":
        """The same in each of so many boxes."""
        parts = (self.least, self.most, self.error)
        return Enclosure(*(np.broadcast_to(part, (boxes, *part.shape[1:])) for part in parts))

    @property
    def magnitude(self) -> Floats:
        """The greatest magnitude of an exact value."""
        return np.maximum(np.abs(self.least), np.abs(self.most))


def by_traits(
    traits: Traits, reference: Callable[[Sequence[Floats]], Floats], operands: Sequence[Enclosure]
) -> Enclosure | None:
    """The enclosure that a layer's traits tell, its own rounding left out; None if they tell none."""
    if traits.picks:
        boxes = max(len(x.least) for x in operands)  # constants have one
        operands = [x.of_boxes(boxes) for x in operands]
        least, most = (reference([getattr(x, end) for x in operands]) for end in ("least", "most"))
        if traits.moves:
            return Enclosure(least, most, reference([x.error for x in operands]))
        if traits.elementwise:
            return Enclosure(least, most, np.maximum.reduce([x.error for x in operands]))
    if not traits.affine or traits.exactness is not Exactness.EXACT:
        return None
    while len(operands) > 2:
        operands = [_of_corners(reference, operands[:2]), *operands[2:]]
    return _of_corners(reference, operands)


def between_turns(
    reference: Callable[[Sequence[Floats]], Floats], turns: Sequence[float], x: Enclosure
) -> tuple[Floats, Floats]:
    """The ends of what a function of one number, which rises or falls between its ``turns``, makes of exact values."""
    values = [reference([each]) for each in (x.least, x.most)]
    for turn in turns:
        inside = (x.least < turn) & (turn < x.most)
        values.append(np.where(inside, reference([np.full(x.least.shape, turn)]), values[0]))
    return np.minimum.reduce(values), np.maximum.reduce(values)


def _of_corners(reference: Callable[[Sequence[Floats]], Floats], operands: Sequence[Enclosure]) -> Enclosure:
    """The enclosure of what is affine in each operand: there corners are extreme, of values as of differences."""
    values, errors = list[Floats](), list[Floats]()
    for exact in product(*((x.least, x.most) for x in operands)):
        values.append(reference(exact))
        for signs in product((-1.0, 1.0), repeat=len(operands)):
            moved = [x + sign * each.error for x, sign, each in zip(exact, signs, operands, strict=True)]
            errors.append(np.abs(reference(moved) - values[-1]))
    return Enclosure(np.minimum.reduce(values), np.maximum.reduce(values), np.maximum.reduce(errors))


def boxes(ends: Sequence[Floats]) -> tuple[Floats, Floats]:
    """The ends (boxes, n) of boxes that cover what is between the two ``ends`` (n,)."""
    least, most = ends
    cuts = max(int(BOXES ** (1.0 / least.size)), 1)
    edges = least + (most - least) * np.linspace(0.0, 1.0, cuts + 1)[:, None]
    edges[-1] = most
    cells = np.indices((cuts,) * least.size).reshape(least.size, -1).T
    along = np.arange(least.size)
    return edges[cells, along], edges[cells + 1, along]
