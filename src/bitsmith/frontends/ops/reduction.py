"""Reductions over axes: sums, extremes, spreads, norms and truths, the places of extremes, and running sums.

Axes are the model's. Reduced ones disappear, unless ``keepdims`` leaves them with size 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ONE, Batch, Kind, MixedSamplesError, Value, constant
from bitsmith.frontends.ops.arithmetic import Unary, absolute, divide, maximum, multiply, subtract
from bitsmith.frontends.ops.logic import compare, truth, where, wrapped
from bitsmith.frontends.ops.selection import concatenate, flip, part
from bitsmith.frontends.ops.shape import expand
from bitsmith.ir.ops import Relation
from bitsmith.layers.layer import Layer
from bitsmith.layers.power import Logarithm, Power
from bitsmith.layers.reduction import ArgMax, CumulativeSum, Reduce, Reduction
from bitsmith.layers.resample import Crop, Pad
from bitsmith.layers.shape import Identity

EXTREMES = (Reduction.MAX, Reduction.MIN)
SUMS = (Reduction.SUM, Reduction.PROD)

_MOST_SORTED = 64
"""Most elements that are looked for one after another."""


@dataclass(frozen=True, slots=True)
class Reducer:
    """A reduction, what is done to the elements ``before`` it, and to its result ``after``; ``becomes`` is for documentation."""

    reduction: Reduction
    becomes: str = "Reduce"
    before: Unary | None = None
    after: Unary | None = None

    def of(self, build: Builder, x: Value, dims: Sequence[int] = (), keepdims: bool = False) -> Value:
        """``x`` reduced over the axes ``dims``; none stand for all.

        Raises:
            MixedSamplesError: the batch axis is among them.
        """
        if not dims and x.batch is not None:
            raise MixedSamplesError(
                "a reduction over all axes, the batch included", accepted="axes within a sample", remedy="name the axes"
            )
        counted = sorted({x.counted(dim) for dim in dims}) or range(x.rank)
        axes = tuple(x.axis(dim) for dim in counted)
        x = x if self.before is None else self.before(build.within("elements"), x)
        if axes:
            layer = Reduce(self.reduction, axes, keepdims)
            x = self._emitted(build, layer, x, _after(x.batch, counted, keepdims))
        return x if self.after is None else self.after(build, x)

    def _emitted(self, build: Builder, layer: Layer, x: Value, batch: Batch | None) -> Value:
        kind, suffix = self._kind(x.kind), "reduced" if self.after else ""
        if self.reduction not in SUMS:
            return replace(build.emit(layer, x, suffix=suffix, kind=kind), batch=batch)
        part = build.within(suffix)
        return wrapped(part, kind, lambda inner: replace(inner.emit(layer, x, kind=kind), batch=batch))

    def of_no_axis(self, build: Builder, x: Value) -> Value:
        """``x`` reduced over no axis: what is done to each element by itself."""
        before = absolute if self.reduction is Reduction.NORM else self.before
        x = build.emit(Identity(), x, kind=x.kind) if before is None else before(build, x)
        return x if self.after is None else self.after(build, x)

    def _kind(self, kind: Kind) -> Kind:
        """The result's kind: extremes are elements, and sums count truths."""
        if self.reduction in EXTREMES:
            return kind
        if self.reduction not in SUMS:
            return Kind.REAL
        return Kind.INT64 if kind is Kind.BOOL else kind


def _after(batch: Batch | None, dims: Sequence[int], keepdims: bool) -> Batch | None:
    """Return the place of the batch once ``dims`` are reduced."""
    return batch if batch is None or keepdims else batch.at(batch.axis - sum(dim < batch.axis for dim in dims))


REDUCERS: dict[str, Reducer] = {
    "sum": Reducer(Reduction.SUM),
    "mean": Reducer(Reduction.MEAN),
    "max": Reducer(Reduction.MAX),
    "min": Reducer(Reduction.MIN),
    "prod": Reducer(Reduction.PROD),
    "var": Reducer(Reduction.VARIANCE),
    "std": Reducer(Reduction.DEVIATION),
    "logsumexp": Reducer(Reduction.LOG_SUM_EXP),
    "l1": Reducer(Reduction.SUM, "Absolute and Reduce", absolute),
    "l2": Reducer(Reduction.NORM),
    "greatest_size": Reducer(Reduction.MAX, "Absolute and Reduce", absolute),
    "least_size": Reducer(Reduction.MIN, "Absolute and Reduce", absolute),
    "sum_square": Reducer(Reduction.SUM, "Power and Reduce", lambda build, x: build.emit(Power(2.0), x, kind=x.kind)),
    "log_sum": Reducer(Reduction.SUM, "Reduce and Logarithm", after=lambda build, x: build.emit(Logarithm(), x)),
    "count_nonzero": Reducer(Reduction.SUM, "Comparison and Reduce", truth),
    "any": Reducer(Reduction.MAX, "Comparison and Reduce", truth),
    "all": Reducer(Reduction.MIN, "Comparison and Reduce", truth),
}
"""Reductions by names that the frameworks' vocabularies share."""

_NORMS = {1.0: "l1", 2.0: "l2", math.inf: "greatest_size", -math.inf: "least_size"}


def norm(
    build: Builder, x: Value, dims: Sequence[int], keepdims: bool, order: float = 2.0, *, of_matrix: bool = False
) -> Value:
    """The norm of all elements along ``dims`` as one vector; ``of_matrix`` if a framework means that of a matrix."""
    if of_matrix or order not in _NORMS:
        raise UnsupportedError(
            f"the norm of order {order:g} over {len(dims)} axes",
            accepted="the root of the sum of squares; over one axis 1, 2, inf and -inf",
        )
    return REDUCERS[_NORMS[order]].of(build, x, dims, keepdims)


def difference(build: Builder, x: Value, dims: Sequence[int]) -> Value:
    """Each element of one axis but the first, minus the one before it."""
    dim = _only(dims, "differences")
    size = x.shape[x.axis(dim)]
    later = part(build.within("later"), x, {dim: range(1, size)})
    return subtract(build, later, part(build.within("earlier"), x, {dim: range(size - 1)}))


def distance(
    build: Builder, x: Value, y: Value, dims: Sequence[int], keepdims: bool, order: float, offset: float
) -> Value:
    """The norm of ``x - y + offset`` along ``dims``."""
    apart = subtract(build.within("difference"), x, y)
    return norm(build, build.affine(apart, ONE, constant(offset), "offset") if offset else apart, dims, keepdims, order)


def cosine(build: Builder, x: Value, y: Value, dims: Sequence[int], least: float) -> Value:
    """The cosine of the angle between vectors along ``dims``, whose lengths count as ``least`` at least."""
    x, y = expand(build.within("x"), x, build.sizes(y)), expand(build.within("y"), y, build.sizes(x))
    first, second = (_of_length_one(build.within(name), value, dims, least) for name, value in (("x", x), ("y", y)))
    return REDUCERS["sum"].of(build, multiply(build.within("product"), first, second), dims)


def _of_length_one(build: Builder, x: Value, dims: Sequence[int], least: float) -> Value:
    length = REDUCERS["l2"].of(build.within("length"), x, dims, keepdims=True)
    return divide(build, x, maximum(build.within("bounded"), length, constant(least)))


def _only(dims: Sequence[int], what: str) -> int:
    if len(dims) != 1:
        raise MixedSamplesError(
            f"{what} along {len(dims) or 'all'} axes", accepted="one axis", remedy="flatten each sample first"
        )
    return dims[0]


def extreme_index(
    build: Builder, x: Value, dims: Sequence[int], keepdims: bool, *, least: bool = False, last: bool = False
) -> Value:
    """The number of the greatest (or ``least``) element along one axis: the first such one, or the ``last``."""
    dim = x.counted(_only(dims, "an index"))
    axis, x = x.axis(dim), flip(build, x, dims, "turned") if last else x
    y = build.emit(ArgMax(axis, keepdims, least), x, suffix="from_end" if last else "", kind=Kind.INT64)
    y = replace(y, batch=_after(x.batch, (dim,), keepdims))
    return build.affine(y, constant(-1.0), constant(x.shape[axis] - 1.0), kind=y.kind) if last else y


def greatest(
    build: Builder, x: Value, dims: Sequence[int], count: int | None, *, least: bool = False
) -> tuple[Value, Value]:
    """The ``count`` (if None, all) greatest or ``least`` elements along one axis in order; numbers of them, first of equals.

    Each is looked for where those before it are out of reach of all others.
    """
    dim, extreme = x.counted(_only(dims, "an extreme")), REDUCERS["min" if least else "max"]
    size = x.shape[x.axis(dim)]
    count = size if count is None else count
    if not 1 <= count <= min(size, _MOST_SORTED):
        raise UnsupportedError(
            f"the {count} {'least' if least else 'greatest'} of {size} elements, which are sorted",
            accepted=f"1 to {min(size, _MOST_SORTED)}",
            remedy="end the model before it, and sort in the program that reads the results",
        )
    values, places = list[Value](), list[Value]()
    left, beyond = x, x
    numbers = constant(np.arange(float(size)).reshape([size if k == dim else 1 for k in range(x.rank)]))
    if count > 1:
        last = REDUCERS["max" if least else "min"].of(build.within("last"), x, (dim,), keepdims=True)
        beyond = build.within("beyond").affine(last, ONE, constant(1.0 if least else -1.0))
    for number in range(count):
        step = build.within(f"{number}") if count > 1 else build
        values.append(extreme.of(step, left, (dim,), keepdims=True))
        places.append(extreme_index(step.within("indices"), left, (dim,), keepdims=True, least=least))
        if number < count - 1:
            taken = compare(step.within("taken"), Relation.EQ, places[-1], numbers)
            left = where(step.within("left"), taken, beyond, replace(left, kind=Kind.REAL))
    sorted_values = concatenate(build, values, dim)
    return replace(sorted_values, kind=x.kind), concatenate(build.within("indices"), places, dim)


def running_sum(
    build: Builder, x: Value, dims: Sequence[int], *, exclusive: bool = False, backwards: bool = False
) -> Value:
    """Each element of one axis plus all before it, or without itself if ``exclusive``; ``backwards`` plus all after it."""
    axis = x.axis(_only(dims, "a running sum"))
    kind = Kind.INT64 if x.kind is Kind.BOOL else x.kind
    x = replace(x, kind=kind)

    def make(inner: Builder) -> Value:
        first = flip(inner, x, dims, "turned") if backwards else x
        first = _later(inner, first, axis) if exclusive else first
        total = inner.emit(CumulativeSum(axis), first, suffix="sum" if backwards else "", kind=kind)
        return flip(inner, total, dims, "") if backwards else total

    return wrapped(build, kind, make) if kind.wraps else make(build)


def _later(build: Builder, x: Value, axis: int) -> Value:
    """``x`` one place later along an axis, after a zero."""
    if x.shape[axis] == 1:
        return subtract(build.within("nothing"), x, x)
    others = ((0, 0),) * axis
    earlier = build.emit(Crop((*others, (0, 1))), x, suffix="earlier", kind=x.kind)
    return build.emit(Pad((*others, (1, 0))), earlier, suffix="later", kind=x.kind)
