"""Look-ups by index: trained rows (embedding) and one-hot codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.example import COUNT, Example, quarters
from bitsmith.layers.layer import Floats, Layer, Shape, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.tables import MAX_ENTRIES, uniform
from bitsmith.layers.traits import Exactness, Scales, Traits, computed, looked_up


@dataclass(frozen=True, slots=True, eq=False)
class Embedding(Layer):
    """The row of ``table`` (entries, channels) that each element of the input numbers; the row is a new last axis.

    Fractions of an index are cut off, as the frameworks do. Indices below 0 may count ``from_end``. An index outside
    the table, of which frameworks make an error, counts as the nearest inside, which predictions warn of.
    """

    table: Floats
    from_end: bool = False

    precisions: ClassVar[tuple[str, ...]] = ("weight", "result")
    trained: ClassVar[Mapping[str, str]] = {"weight": "table"}

    @property
    def traits(self) -> Traits:
        return looked_up(self._indices)

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        return {"weight": result}

    @property
    def entries(self) -> int:
        """The number of indices."""
        return int(self.table.shape[0])

    @property
    def _indices(self) -> range:
        return range(-self.entries if self.from_end else 0, self.entries)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if self.entries > MAX_ENTRIES:
            raise UnsupportedError(
                f"an embedding of {self.entries} entries",
                accepted=f"at most {MAX_ENTRIES} entries",
                remedy="keep the rows in memory beside the circuit and feed them in",
            )
        return (*single(inputs, self.kind), int(self.table.shape[1]))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        index = np.trunc(inputs[0])
        if self.from_end:
            index = np.where(index < 0, np.maximum(index + self.entries, 0), index)
        return self.table[np.clip(index, 0, self.entries - 1).astype(np.int64)]

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder = lowering.builder
        index = _index(lowering, inputs[0], self._indices)
        raw, frac = lowering.scaled_constant("weight", self.table)
        rows = builder.broadcast(builder.reshape(index, (*index.shape, 1)), (*index.shape, int(self.table.shape[1])))
        return lowering.result(builder.table(rows, 0, raw.T, frac))


@dataclass(frozen=True, slots=True, eq=False)
class OneHot(Layer):
    """1 in the place that each element of the input numbers, 0 elsewhere, along a new last axis of size ``classes``.

    Fractions of an index are cut off; an index outside has no place.
    """

    classes: int

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    bounded: ClassVar[bool] = True

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if not 1 <= self.classes <= MAX_ENTRIES:
            raise UnsupportedError(f"{self.classes} classes", accepted=f"1 to {MAX_ENTRIES}")
        return (*single(inputs, self.kind), self.classes)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return np.asarray(np.trunc(inputs[0])[..., None] == np.arange(self.classes), dtype=np.float64)

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        if x.type.span.frac > 0:
            x = uniform(lowering, x)
            lo, hi = x.type.real_range()
            x = builder.cast_to(x, 0, int(lo), int(hi), Rounding.TRN_ZERO, Overflow.SAT)
        places = builder.const(np.arange(self.classes))
        return lowering.result(builder.compare(builder.reshape(x, (*x.shape, 1)), Relation.EQ, places))


def _index(lowering: Lowering, x: Value, indices: range) -> Value:
    """``x`` as the number of a row, from 0; those of ``indices`` that are below 0 count from the end."""
    builder, x, last = lowering.builder, uniform(lowering, x), indices[-1]
    least = indices[0] if x.type.real_range()[0] <= -1 else 0
    index = builder.cast_to(x, 0, least, last, Rounding.TRN_ZERO, Overflow.SAT)
    if least == 0:
        return index
    from_end = builder.add(index, builder.const(np.full(x.shape, last + 1)))
    index = builder.select(
        builder.compare(index, Relation.LT, builder.const(np.zeros(x.shape, np.int64))), from_end, index
    )
    return builder.cast_to(index, 0, 0, last, Rounding.TRN, Overflow.SAT)


EXAMPLES = (
    Example(Embedding(quarters(4, 2)), ((3,),), COUNT),
    Example(Embedding(quarters(4, 2), from_end=True), ((3,),), COUNT),
    Example(OneHot(4), ((2,),), COUNT),
)
