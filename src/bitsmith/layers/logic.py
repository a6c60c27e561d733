"""Comparisons and choices; truth values are 0 and 1."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.ir.builder import Value
from bitsmith.ir.ops import RELATIONS, Relation
from bitsmith.layers.enclosure import Enclosure
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.merge import aligned, broadcast
from bitsmith.layers.thresholds import compared
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

_TURNED = {
    Relation.LT: Relation.GT,
    Relation.LE: Relation.GE,
    Relation.EQ: Relation.EQ,
    Relation.NE: Relation.NE,
    Relation.GE: Relation.LE,
    Relation.GT: Relation.LT,
}
"""Relations of exchanged operands."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison(Layer):
    """1 where the first input has ``relation`` to the second, else 0. Exact on the fixed-point values."""

    relation: Relation

    traits: ClassVar[Traits] = replace(
        computed(Scales.NONE, Exactness.EXACT, elementwise=True, affine=False), bits=True
    )
    jumps: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return broadcast(inputs, self.kind, exactly=2)

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure:
        (low, high), (low_of_other, high_of_other) = (x.reached for x in operands)
        least, most = low - high_of_other, high - low_of_other
        truths = [RELATIONS[self.relation](end, 0.0) for end in (least, most)]
        open_ = (truths[0] != truths[1]) | ((least < 0.0) & (most > 0.0))
        none, all_ = (np.where(open_, end, truths[0]).astype(np.float64) for end in (0.0, 1.0))
        return Enclosure(none, all_, (open_ & anywhere).astype(np.float64))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.asarray(RELATIONS[self.relation](*aligned(inputs)), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        (x, y), relation = inputs, self.relation
        if bool(np.all(x.type.lo == x.type.hi)):
            x, y, relation = y, x, _TURNED[relation]
        return lowering.result(compared(lowering.builder, x, relation, y, lowering.gridded))


@dataclass(frozen=True, slots=True, eq=False)
class Where(Layer):
    """The second input where the first is not 0, else the third."""

    traits: ClassVar[Traits] = computed(Scales.ANY, Exactness.EXACT, elementwise=True, affine=False)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return broadcast(inputs, self.kind, exactly=3)

    def enclosed(self, operands: Sequence[Enclosure], *, anywhere: bool) -> Enclosure:
        condition, x, y = operands
        known, first = condition.least == condition.most, condition.least != 0.0
        least, most = np.minimum(x.least, y.least), np.maximum(x.most, y.most)
        error = np.maximum(x.error, y.error)
        # The circuit may choose the other operand: that far from the one that is right.
        apart = np.maximum(y.most - x.least, x.most - y.least) + error
        error = np.where(condition.error > 0.0, np.maximum(error, apart), error)
        parts = ((x.least, y.least, least), (x.most, y.most, most), (x.error, y.error, error))
        least, most, error = (np.where(known, np.where(first, one, other), both) for one, other, both in parts)
        return Enclosure(least, most, error)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        condition, x, y = aligned(inputs)
        return np.where(condition != 0.0, x, y)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.result(lowering.builder.select(*inputs))


EXAMPLES = (Example(Comparison(Relation.LT), ((2, 3), (2, 3))), Example(Where(), ((2, 3), (2, 3), (2, 3))))
