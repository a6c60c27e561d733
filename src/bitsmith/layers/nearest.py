"""Sums over the least elements of a vector, such as the distances of neighbors.

Networks of comparisons find the least keys: lists of the least of each half, merged. The merges are Batcher's (K. Batcher,
"Sorting networks and their applications", 1968), without what no key of the result needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Overflow, Rounding, objects, width_of
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

Comparison: TypeAlias = tuple[int, int]
"""Two places, of which the first has the lesser key afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class Nearest(Layer):
    """The sum of the rows of ``values`` (n, outputs) that belong to the ``count`` least of n elements.

    Of equal elements that of the lesser row counts first.
    """

    count: int
    values: Floats

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True
    precisions: ClassVar[tuple[str, ...]] = ("weight", "result")
    trained: ClassVar[dict[str, str]] = {"weight": "values"}

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape, (size, outputs) = single(inputs, self.kind), self.values.shape
        if shape != (size,) or not 1 <= self.count <= size:
            raise UnsupportedError(f"the {self.count} least elements of shape {shape}", accepted=f"1 to all of {size}")
        return (outputs,)

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        _, rows = self._rows()
        order = np.lexsort((np.broadcast_to(rows, inputs[0].shape), inputs[0]), axis=-1)
        return as_weights(self.values[order[:, : self.count]].sum(axis=1))

    def _rows(self) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
        """Different rows of values, in order, and the number of each element's row."""
        rows, numbers = np.unique(self.values, axis=0, return_inverse=True)
        return as_weights(rows), np.asarray(numbers, np.int64).ravel()

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        """Elements carry the numbers of their rows in their lowest bits through a network that sorts what has to be sorted."""
        builder, (rows, numbers) = lowering.builder, self._rows()
        bits = width_of(0, len(rows) - 1)
        scores = builder.aligned(inputs[0])
        keys = builder.add(builder.shift(scores, scores.type.span.frac + bits), builder.const(objects(numbers)))
        levels, least = selection(len(numbers), self.count)
        for level in levels:
            keys = _compare(builder, keys, level)
        nearest = builder.cast_to(builder.gather(keys, least, 0), 0, 0, (1 << bits) - 1, Rounding.TRN, Overflow.WRAP)
        raw, frac = lowering.constant("weight", rows)
        outputs = raw.shape[1]
        entries = np.concatenate([raw, np.repeat(raw[:1], (1 << bits) - len(raw), axis=0)]).T
        each = builder.gather(nearest, np.repeat(np.arange(self.count), outputs), 0)
        added = builder.table(each, 0, objects(np.tile(entries, (self.count, 1))), frac)
        return lowering.result(builder.sum(builder.reshape(added, (self.count, outputs)), (0,)))


def _compare(builder: ProgramBuilder, keys: Value, level: Sequence[Comparison]) -> Value:
    """``keys`` after comparisons that are made at once: the lesser key first, the greater second."""
    first, second = (builder.gather(keys, [pair[k] for pair in level], 0) for k in (0, 1))
    exchanged = builder.compare(first, Relation.GT, second)
    lesser, greater = builder.select(exchanged, second, first), builder.select(exchanged, first, second)
    places = np.arange(keys.shape[0])
    for number, (low, high) in enumerate(level):
        places[[low, high]] = keys.shape[0] + number, keys.shape[0] + len(level) + number
    return builder.gather(builder.concat([keys, lesser, greater], 0), places, 0)


def selection(size: int, count: int) -> tuple[list[list[Comparison]], list[int]]:
    """Comparisons of ``size`` keys, those together that can be made at once, and the places of the ``count`` least keys then.

    These are in no order.
    """
    comparisons, least = _least(list(range(size)), count)
    needed, free, kept = set(least), set(least), list[Comparison]()
    for pair in reversed(comparisons):
        # Which of two results is less does not count.
        if not free.issuperset(pair) and needed.intersection(pair):
            kept.append(pair)
            needed.update(pair)
            free.difference_update(pair)
    levels, reached = list[list[Comparison]](), [0] * size
    for pair in reversed(kept):
        level = max(reached[place] for place in pair)
        if level == len(levels):
            levels.append([])
        levels[level].append(pair)
        for place in pair:
            reached[place] = level + 1
    return levels, least


def _least(places: Sequence[int], count: int) -> tuple[list[Comparison], list[int]]:
    """Comparisons, and the places of at most ``count`` least keys in order."""
    if len(places) == 1:
        return [], list(places)
    half = -(-len(places) // 2)
    (before, first), (after, second) = _least(places[:half], count), _least(places[half:], count)
    comparisons, merged = _merged(first, second)
    return [*before, *after, *comparisons], merged[:count]


def _merged(first: Sequence[int], second: Sequence[int]) -> tuple[list[Comparison], list[int]]:
    """Comparisons that make one list in order of two."""
    if not first or not second:
        return [], [*first, *second]
    if len(first) == len(second) == 1:
        return [(first[0], second[0])], [first[0], second[0]]
    before, even = _merged(first[::2], second[::2])
    after, odd = _merged(first[1::2], second[1::2])
    pairs = list(zip(odd, even[1:], strict=False))
    merged = [even[0], *(place for pair in pairs for place in pair), *even[1 + len(pairs) :], *odd[len(pairs) :]]
    return [*before, *after, *pairs], merged


EXAMPLES = (Example(Nearest(4, as_weights(np.arange(32).reshape(16, 2) % 5)), ((16,),)),)
