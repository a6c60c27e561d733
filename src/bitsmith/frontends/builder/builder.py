"""The builder: emits layers for the operators of a model, whatever framework it comes from.

A framework reads an operator's arguments; what it means is said with the methods here and the functions of
:mod:`bitsmith.frontends.ops`, on values with the model's own axes. Translations of the user's own layers write the same as
operators on tensors (:mod:`bitsmith.frontends.custom.tensor`). Names come later: each emitted layer knows the operator that it
comes from and a suffix, which is empty for the layer that has the operator's own name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from bitsmith.errors import ApproximateError, ModelFileError, UnsupportedError
from bitsmith.frontends.builder import grids
from bitsmith.frontends.builder.draft import UNWRITTEN, Draft, Emitted
from bitsmith.frontends.builder.names import joined_names
from bitsmith.frontends.builder.value import (
    ANY_SAMPLES,
    Batch,
    Codes,
    Kind,
    MixedSamplesError,
    Value,
    checked_elements,
    layouts_of,
    quantizers_of,
    sample_shape,
)
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.axis_order import Order, inverse
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights, broadcasts
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import APPROXIMATE
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.shape import Identity, Permute, Reshape, Stack
from bitsmith.layers.time_distributed import over_time

_EXACT = 16
"""Elements that take the memory of one exact number."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Emits the layers of the operator number ``origin``.

    ``samples`` is the number of samples that the model is fixed to, None if it is left open; ``where`` names the place in errors.
    All suffixes begin with ``prefix``, and ``source`` is that of all layers. With ``steps`` each layer works on so many items
    along a first axis that values here do not show (``TimeDistributed``). A model that was ``built`` by its framework is broken
    where shapes do not fit.
    """

    draft: Draft
    origin: int
    where: str
    samples: int | None = None
    prefix: str = ""
    source: str = ""
    steps: int | None = None
    built: bool = False

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of samples for which the model's sizes are looked at."""
        return ANY_SAMPLES if self.samples is None else (self.samples,)

    def sizes(self, x: Value) -> list[Shape]:
        """The model's shape of ``x`` for each of the :attr:`counts`."""
        return [x.sizes(count) for count in self.counts]

    def approximate(self, feature: str, instead: str, accepted: str) -> None:
        """Note that ``instead`` of what was ``feature`` something like it is computed.

        Raises:
            ApproximateError: the user has not allowed that.
        """
        if not self.draft.allow_approximate:
            raise ApproximateError(feature, where=self.where, accepted=accepted, instead=instead)
        self.draft.approximated.append(f"{APPROXIMATE}{self.where}: {feature}; instead {instead}.")

    def within(self, suffix: str) -> Builder:
        """The builder of a part: what it emits has the suffix, followed by its own."""
        return replace(self, prefix=joined_names(self.prefix, suffix))

    def input(self, dims: Shape, batch: Batch | None, kind: Kind, limits: tuple[int, int] | None = None) -> Value:
        """An input of the model, of axes ``dims``; with ``limits`` it is one of integers, whatever its type."""
        shape = checked_elements(sample_shape(dims, batch), self.where)
        if not shape:
            raise UnsupportedError(
                "an input of scalars",
                where=self.where,
                accepted="shapes with at least one axis",
                remedy="give the input the shape (batch, 1)",
            )
        limits = kind.limits if limits is None and kind is not Kind.REAL else limits
        return replace(self.emit(Input(shape, limits is not None, limits=limits), kind=kind), batch=batch)

    def emit(
        self,
        layer: Layer,
        *operands: Value,
        suffix: str = "",
        kind: Kind | None = None,
        source: str = "",
        inner: bool = False,
        quantizers: Mapping[str, Quantizer] | None = None,
        layouts: Mapping[str, ModelLayout] | None = None,
    ) -> Value:
        """``layer`` on the operands; the batch of the result is where that of the first operand with one is.

        What depends on constants only is computed at once. Without a ``kind`` the result is real, or, where elements only move,
        of the kind that all operands have. ``quantizers`` are those of the layer's trained tensors, which are on their grids,
        ``layouts`` those of the model.
        """
        quantizers = checked_quantizers(layer, quantizers or {}, self.where)
        if kind is None:
            kinds = {operand.kind for operand in operands if layer.traits.moves_or_pads}
            kind = kinds.pop() if len(kinds) == 1 else Kind.REAL
        codes = _moved_codes(layer, operands)
        batch = next((operand.batch for operand in operands if operand.batch is not None), None)
        shapes = [operand.shape for operand in operands]
        shape = self._shape(layer, shapes)
        if self.steps is not None:
            layer = over_time(layer, shapes, self.steps)
        for name, values in layer.weights().items():
            if not bool(np.all(np.isfinite(values))):
                raise ModelFileError(f"{name} overflows", where=self.where, accepted="finite weights")
            self.draft.count(values.size, self.where)
        self.draft.count(_listed(layer) + sum(_EXACT * each.size for each in quantizers.values()), self.where)
        known = [operand.constant for operand in operands]
        if operands and all(values is not None for values in known):
            self.draft.count(math.prod(shape), self.where)
            with np.errstate(all="ignore"):
                result = layer.reference([values[None] for values in known if values is not None])
            moved = Value(as_weights(result[0]), shape, batch, operands[0].label, kind, _moved(layer, operands))
            plain = len(operands) == 1 and layer.traits.moves
            return moved.made_of(operands[0], lambda one: layer.reference([one[None]])[0]) if plain else moved
        stepped = (self.at_each_step(operand) for operand in operands)
        inputs = tuple(self.number(operand, joined_names(suffix, "constant")) for operand in stepped)
        name = joined_names(self.prefix, suffix)
        whole = kind.is_integer or kind is Kind.BOOL
        emitted = Emitted(layer, inputs, self.origin, name, source=source or self.source, inner=inner, whole=whole)
        emitted = replace(emitted, quantizers=quantizers, layouts=layouts or {})
        return Value(self.draft.add(emitted, operands), shape, batch, kind=kind, codes=codes)

    def at_each_step(self, value: Value) -> Value:
        """A constant as often as there are :attr:`steps`; anything else as it is."""
        steps = self.steps
        if steps is None or value.constant is None:
            return value
        return value.moved(lambda elements: np.repeat(elements[None], steps, axis=0))

    def _shape(self, layer: Layer, shapes: Sequence[Shape]) -> Shape:
        """The shape of a layer's result."""
        try:
            shape = layer.output_shape(shapes)
            checked_elements(shape if self.steps is None else (self.steps, *shape))
        except UnsupportedError as error:
            if not self.built:
                raise
            raise ModelFileError(
                f"shapes that do not fit: {error.found}", where=self.where, accepted=error.accepted
            ) from error
        return shape

    def number(self, operand: Value, name: str = "constant") -> int:
        """The node of a value; that of a constant is made, with the ``name``, when it is first needed.

        -inf may be a mask, which :mod:`bitsmith.passes.network.masks` decides.
        """
        if isinstance(operand.node, int):
            return operand.node
        found = self.draft.constants.get(id(operand.node))
        if found is not None:
            return found[1]
        values = operand.node
        finite(values[~np.isneginf(values)], operand.label or "a constant", self.where, stored=bool(operand.label))
        self.draft.count(values.size, self.where)
        name = joined_names(self.prefix, name)
        whole = operand.kind.is_integer
        emitted = Emitted(Constant(values), (), self.origin, name, operand.label, "Constant", whole=whole)
        emitted = replace(emitted, quantizers=quantizers_of(weight=operand))
        number = self.draft.add(emitted)
        # The array is kept, so that its identity stays its own.
        self.draft.constants[id(operand.node)] = operand.node, number
        return number

    def named(self, value: Value, before: int) -> Value:
        """``value``; where it is one of the first ``before`` nodes, an Identity gives it the operator's name."""
        if not isinstance(value.node, int) or value.node >= before:
            return value
        return replace(self.emit(Identity(), value, kind=value.kind), batch=value.batch)

    def renamed(self, value: Value) -> Value:
        """``value``, whose node becomes that of the builder's own name."""
        if isinstance(value.node, int):
            self.draft.nodes[value.node] = replace(self.draft.nodes[value.node], suffix=self.prefix)
        return value

    def each(self, layer: Layer, operand: Value, suffix: str = "", **trained: Value | None) -> Value:
        """``layer`` on each item along the first axis, which has the batch and perhaps more.

        Its tensors that are given as ``trained`` have the grids and the layouts of these.
        """
        if operand.is_merged:
            layer = over_time(layer, [operand.item], operand.shape[0])
        quantizers, layouts = quantizers_of(**trained), layouts_of(**trained)
        return self.emit(layer, operand, suffix=suffix, quantizers=quantizers, layouts=layouts)

    def viewed(
        self, value: Value, dims: Shape, batch: Batch | None, suffix: str = "", layer: Layer | None = None
    ) -> Value:
        """The same elements, in the same order, as axes ``dims``."""
        shape = sample_shape(dims, batch)
        if shape == value.shape:
            return replace(value, batch=batch)
        return replace(self.emit(layer or Reshape(shape), value, suffix=suffix, kind=value.kind), batch=batch)

    def permuted(self, value: Value, perm: Sequence[int], suffix: str = "", *, inner: bool = False) -> Value:
        """Result axis ``k`` is the model's axis ``perm[k]``."""
        order = _within(value, perm)
        batch = None if value.batch is None else value.batch.at(list(perm).index(value.batch.axis))
        if order == tuple(range(len(order))):
            return replace(value, batch=batch)
        source = "Permute" if inner else ""
        y = self.emit(Permute(order), value, suffix=suffix, kind=value.kind, source=source, inner=inner)
        return replace(y, batch=batch)

    def channels_last(self, x: Value) -> Value:
        """``x`` (batch, channels, positions...) with the channels as its last axis."""
        return self.permuted(x, (0, *range(2, len(x.item) + 1), 1), "channels_last", inner=True)

    def spatial(self, x: Value, inside: Layer | Callable[[Value], Value]) -> Value:
        """``inside``, which has its channels last, on ``x`` (batch, channels, positions...), between permutations."""
        rank = len(x.item) - 1
        last = self.channels_last(x)
        first = len(self.draft.nodes)
        y = self.each(inside, last) if isinstance(inside, Layer) else inside(last)
        perm = (0, rank + 1, *range(1, rank + 1))
        order = inverse(_within(y, perm))
        if self.steps is not None:
            order = (0, *(axis + 1 for axis in order))
        for number in range(first, len(self.draft.nodes)):
            node = self.draft.nodes[number]
            if not isinstance(node.layer, Constant):
                self.draft.nodes[number] = replace(node, order=order)
        return self.permuted(y, perm, "channels_first", inner=True)

    def stacked(self, value: Value, axis: int, index: int) -> Value | None:
        """The operand that ``index`` along ``axis`` (of a sample) of a stack is, if the value is one."""
        if isinstance(value.node, int):
            layer = self.draft.nodes[value.node].layer
            if isinstance(layer, Stack) and layer.axis == axis:
                return self.draft.operands[value.node][index]
        return None

    def per_sample(self, value: Value, batch: Batch) -> Value:
        """A constant that a model for a fixed number of samples has as often, as one that each sample has."""
        values = value.constant
        axis = batch.axis
        if value.batch is not None or values is None or self.samples is None or not -values.ndim <= axis < values.ndim:
            return value
        length, rest = divmod(values.shape[axis], self.samples)
        one = np.take(values, [0], axis)
        if rest or (length != 1 and batch.merged == 1) or not bool(np.all(values == one)):
            return value
        if batch.merged > 1:
            return value.moved(lambda elements: np.take(elements, [0], axis))
        return replace(value.moved(lambda elements: np.take(elements, 0, axis)), batch=batch.at(axis % values.ndim))

    def aligned(self, *values: Value) -> tuple[Value, ...]:
        """The values with their batch axes at one place, as they broadcast: from the right.

        Raises:
            MixedSamplesError: a constant that differs between samples, or batch axes at different places.
        """
        rank = max((value.rank for value in values), default=0)
        computed = [value for value in values if value.batch is not None and value.constant is None]
        with_batch = computed or [value for value in values if value.batch is not None]
        batches = {value.batch.at(value.batch.axis - value.rank) for value in with_batch if value.batch is not None}
        if not batches:
            return values
        if len(batches) > 1:
            raise MixedSamplesError(
                f"operands of axes {[value.dims for value in values]} whose batch axes differ",
                accepted="operands with the batch axis at the same place",
            )
        (batch,) = batches
        return tuple(self._aligned(self.per_sample(value, batch), batch, rank) for value in values)

    def _aligned(self, value: Value, batch: Batch, rank: int) -> Value:
        """``value`` with the batch where ``batch`` says, counted from the last of ``rank`` axes."""
        axis, values = value.rank + batch.axis, value.constant
        if value.batch is not None and value.batch != batch.at(axis):
            value = _without_samples(value, axis)
            values = value.constant
        if value.batch is not None:
            return replace(value, batch=batch.at(batch.axis + rank))
        if axis < 0 or (value.shape[axis] == 1 and batch.merged > 1):
            return value
        if value.shape[axis] != 1:
            raise MixedSamplesError(
                f"a value of shape {value.shape}, whose axis {axis} differs between samples",
                accepted="constants that are the same for each sample",
            )
        shape = (*value.shape[:axis], *value.shape[axis + 1 :])
        if values is None:
            return self.emit(Reshape(shape), value, suffix="sample", kind=value.kind)
        return value.moved(lambda elements: elements.reshape(shape))

    def joined(self, layer: Layer, *values: Value, suffix: str = "", kind: Kind = Kind.REAL) -> Value:
        """An element-wise ``layer`` on operands that broadcast."""
        return self.emit(layer, *self.aligned(*values), suffix=suffix, kind=kind)

    def affine(self, value: Value, scale: Value, offset: Value, suffix: str = "", *, kind: Kind = Kind.REAL) -> Value:
        """``value * scale + offset`` for constants: one layer if they vary along one axis at most, and no offset is -inf."""
        x, factors, terms = self.aligned(value, scale, offset)
        a, b = factors.constant, terms.constant
        if a is None or b is None or x.constant is not None:
            return self._two_steps(x, factors, terms, suffix, kind)
        full = broadcast_shapes(a.shape, b.shape)
        fits = broadcast_shapes(full, x.shape) == x.shape
        if fits and bool(np.all(a == 1.0)) and bool(np.all(b == 0.0)):
            return self.emit(Identity(), x, suffix=suffix, kind=kind)
        full = (1,) * (len(x.shape) - len(full)) + full
        axes = [axis for axis, size in enumerate(full) if size > 1]
        if len(axes) > 1 or not x.shape or not fits or bool(np.any(np.isneginf(b))):
            return self._two_steps(x, factors, terms, suffix, kind)
        axis = axes[0] if axes else len(x.shape) - 1
        target = tuple(size if k == axis else 1 for k, size in enumerate(x.shape))
        slopes, other = (y.moved(lambda values: np.broadcast_to(values, target).ravel()) for y in (factors, terms))
        quantizers = quantizers_of(scale=slopes, bias=other)
        if quantizers:
            quantizers = quantizers_of(scale=_on_grid(slopes), bias=_on_grid(other))
        layer = BatchNormalization(slopes.elements, other.elements, axis)
        return self.emit(layer, x, suffix=suffix, kind=kind, quantizers=quantizers)

    def _two_steps(self, x: Value, scale: Value, offset: Value, suffix: str, kind: Kind) -> Value:
        plain = _is_all(offset, 0.0, x.shape)
        if not _is_all(scale, 1.0, x.shape):
            name = suffix if plain else joined_names(suffix, "scaled")
            x = self._with_operand(Multiply(), x, scale, name, joined_names(suffix, "scale"), kind)
        return x if plain else self._with_operand(Add(), x, offset, suffix, joined_names(suffix, "offset"), kind)

    def _with_operand(self, layer: Layer, x: Value, y: Value, suffix: str, name: str, kind: Kind) -> Value:
        """``layer`` on ``x`` and ``y``; where that is a constant, its node has the name."""
        if x.constant is None:
            self.number(y, name)
        return self.emit(layer, x, y, suffix=suffix, kind=kind)


def _listed(layer: Layer) -> int:
    """Numbers that a layer has in lists, such as the places of elements."""
    values = (getattr(layer, field.name) for field in fields(layer))
    return sum(
        len(value) if isinstance(value, tuple) else _EXACT * value.size if isinstance(value, Quantizer) else 0
        for value in values
    )


def _moved(layer: Layer, operands: Sequence[Value]) -> Quantizer | None:
    """The quantizer of the result of ``layer`` on constants: that of the only operand, where elements only move."""
    x = operands[0]
    if x.quantizer is None or len(operands) > 1 or not layer.traits.moves:
        return None
    return grids.moved(x.quantizer, x.shape, lambda elements: layer.reference([elements[None]])[0])


def _moved_codes(layer: Layer, operands: Sequence[Value]) -> Codes | None:
    """The codes that the result of ``layer`` is; it moves or compares the numbers that they stand for."""
    if all(operand.codes is None for operand in operands):
        return None
    codes, *others = {operand.codes for operand in operands}
    if others or not layer.traits.picks:
        raise UnsupportedError(
            f"{layer.kind} of quantized integers", accepted="operators that move them", remedy="use DequantizeLinear"
        )
    return codes


def _on_grid(x: Value) -> Value:
    """``x`` with a quantizer, if it has none and is of integers."""
    return x if x.quantizer is not None else replace(x, quantizer=grids.integers(x.elements))


def finite(values: Floats, name: str, where: str, *, stored: bool = True) -> Floats:
    """``values``, if they are numbers: of a tensor that the model has ``stored``, or computes."""
    if not bool(np.all(np.isfinite(values))):
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise ModelFileError(
            f"{name} holds {count} NaN or infinite values",
            where=where,
            remedy="train the model again, or load a checkpoint from before it diverged"
            if stored
            else f"compute it without division by 0; {UNWRITTEN[1]}",
        )
    return values


def checked_quantizers(layer: Layer, quantizers: Mapping[str, Quantizer], where: str) -> Mapping[str, Quantizer]:
    """``quantizers`` of the tensors that ``layer`` has, if these are on their grids."""
    weights = layer.weights()
    own = {name: quantizer for name, quantizer in quantizers.items() if name in weights}
    for name, quantizer in own.items():
        if not broadcasts(quantizer.shape, weights[name].shape) or not quantizer.holds(weights[name]):
            raise ModelFileError(f"a {name} that is not on the grid of its quantizer, {quantizer}", where=where)
    return own


def _without_samples(value: Value, axis: int) -> Value:
    """A constant that is alike along its batch axis, which must be ``axis``, with one element there."""
    values = value.constant
    if values is None or value.batch is None or value.batch.axis != axis:
        raise MixedSamplesError(f"an operand of axes {value.dims} beside others whose batch axes differ")
    if value.batch.merged == 1:
        values = np.expand_dims(values, axis)
    if not bool(np.all(values == np.take(values, [0], axis))):
        raise MixedSamplesError("a constant that differs between samples")
    if value.batch.merged == 1:
        return replace(value.moved(lambda elements: np.expand_dims(elements, axis)), batch=None)
    return replace(value.moved(lambda elements: np.take(elements, [0], axis)), batch=None)


def _within(value: Value, perm: Sequence[int]) -> Order:
    """Return a permutation of the model's axes as one of a sample's."""
    if sorted(perm) != list(range(value.rank)):
        raise UnsupportedError(f"axes {tuple(perm)} of a tensor of {value.rank} axes")
    if value.batch is None or value.is_merged:
        return tuple(perm)
    return tuple(value.axis(dim) for dim in perm if dim != value.batch.axis)


def _is_all(x: Value, value: float, shape: Shape) -> bool:
    """Return True if ``x`` is a constant of that value, and repeats nothing of a tensor of ``shape``."""
    return x.constant is not None and bool(np.all(x.constant == value)) and broadcast_shapes(x.shape, shape) == shape


def broadcast_shapes(*shapes: Shape) -> Shape:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise UnsupportedError(f"operands of shapes {list(shapes)}", accepted="shapes that broadcast") from None
