"""Sources of a network: inputs and constants."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.builder import Value
from bitsmith.ir.ladders import Ladder, finer_by
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, width_of
from bitsmith.layers.axis_order import Order, ordered
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.quantizer import Quantizer, as_floats
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

DEFAULT_INPUT = FixedFormat(True, 16, 10, Rounding.RND, Overflow.SAT)
"""An input of a float model about which nothing is known: fixed<16,6>, saturating."""


DEFAULT_INTEGER_INPUT = FixedFormat(True, 16, 0, Rounding.RND, Overflow.SAT)
"""The same of an input of integers: fixed<16,16>, saturating."""


_LIKE_SCALES = 3
"""Features whose scales differ by fewer powers of two have one format."""


def _integers(least: int, greatest: int) -> FixedFormat:
    """The format of integers from the ``least`` to the ``greatest``."""
    return FixedFormat(least < 0, max(width_of(least, greatest), 1), 0, Rounding.RND, Overflow.SAT)


@dataclass(frozen=True, slots=True, eq=False)
class Input(Layer):
    """A model input. ``integer`` says that the framework declares integers, and ``limits`` what they are.

    ``entries`` says that all its readers take it as indices 0 to ``entries - 1`` (see the pass ``index_inputs``); a
    ``quantizer``, of fixed-point grids, is what all of them begin with (see the pass ``quantized_inputs``), or, if it ``rounds``,
    a grid of the circuit's own that is finer than what they tell apart. If ``held``, the format in the settings is such a choice,
    and not the user's: rounding to steps of the circuit's own changes no code of theirs. What is less than
    the ``floor`` is a mask to all of them, and as good as the floor (see the pass ``masks``). Where the model states a
    scale, features (elements of the last axis) have that ``spread`` around a ``center`` (see the pass ``stated_scales``);
    where the user states ranges, they are from the ``least`` to the ``most`` number of each (see the pass ``quantized_inputs``).
    Features that have names, as of a model that was trained on a table, have these as ``columns``.
    """

    shape: Shape
    integer: bool = False
    entries: int | None = None
    limits: tuple[int, int] | None = None
    quantizer: Quantizer | None = None
    rounds: bool = False
    held: bool = False
    floor: float | None = None
    center: Floats | None = None
    spread: Floats | None = None
    least: Floats | None = None
    most: Floats | None = None
    columns: tuple[str, ...] = ()

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    options: ClassVar[frozenset[str]] = frozenset({"outliers"})
    families: ClassVar[tuple[str, ...]] = ("InputLayer",)

    def default_format(self, bits: int) -> FixedFormat:
        """The format of an input about which neither the user nor calibration data say anything but its ``bits``.

        Indices and other integers are what they are in any budget.
        """
        if self.entries is not None:
            return FixedFormat(False, max((self.entries - 1).bit_length(), 1), 0, Rounding.TRN_ZERO, Overflow.SAT)
        if self.limits is not None:
            usual, (least, most) = DEFAULT_INTEGER_INPUT, self.limits
            return _integers(*self.limits if self.holds_limits else (max(least, usual.lo), min(most, usual.hi)))
        if self.integer:
            return DEFAULT_INTEGER_INPUT
        formats = self.stated_formats(bits)
        integer, frac = max(fmt.integer for fmt in formats), max(fmt.frac for fmt in formats)
        return replace(DEFAULT_INPUT, width=integer + frac, frac=frac)

    def stated_formats(self, bits: int) -> tuple[FixedFormat, ...]:
        """The same of each feature where the model states unlike scales, else of all.

        What reaches 32 in steps of 2**-10, in 16 bits, is that many times the spread; it reaches 32 in any case.
        """
        integer = min(bits // 4 + 2, DEFAULT_INPUT.integer)
        plain = replace(DEFAULT_INPUT, width=bits, frac=bits - integer)
        if self.spread is None or self.center is None:
            return (plain,)
        fracs = plain.frac - np.floor(np.log2(self.spread)).astype(np.int64)
        most = np.abs(self.center) + self.spread * 2.0 ** (integer - 1)
        integers = np.maximum(np.ceil(np.log2(most)).astype(np.int64) + 1, integer)
        if fracs.max() - fracs.min() < _LIKE_SCALES:
            fracs, integers = fracs.max(keepdims=True), integers.max(keepdims=True)
        pairs = zip(fracs.tolist(), integers.tolist(), strict=True)
        return tuple(replace(plain, width=of + frac, frac=frac) for frac, of in pairs)

    def range_grid(self, bits: int) -> Quantizer | None:
        """The grid, in ``bits`` bits, of what the user says to come in; None if that is nothing."""
        if self.least is None or self.most is None:
            return None
        signs = (self.least < 0).astype(np.int64)
        fracs = bits - signs - np.frexp(np.maximum(np.abs(self.least), np.abs(self.most)))[1]
        low, high = np.ceil(np.ldexp(self.least, fracs)), np.floor(np.ldexp(self.most, fracs))
        low, high = (end.astype(np.int64) for end in (np.minimum(low, high), high))
        return Quantizer.uniform(np.ldexp(1.0, -fracs), low, high, Rounding.RND, Overflow.SAT)

    def scaled(self, batch: Floats) -> Floats:
        """Numbers of scale 1 as ones of the scale that the model states."""
        return batch if self.center is None or self.spread is None else self.center + self.spread * batch

    def as_read(self, batch: Floats) -> Floats:
        """Numbers as readers take them: indices (unless declared integers) without fractions, others as quantizers leave them."""
        return self.reference([batch if self.entries is None or self.integer else np.trunc(batch)])

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.shape

    @property
    def limited(self) -> bool:
        """True where the model itself says which values there are."""
        return self.declares or self.quantizer is not None

    @property
    def declares(self) -> bool:
        """True where other integers than the model says are no inputs of it."""
        return self.entries is not None or self.holds_limits

    @property
    def holds_limits(self) -> bool:
        """True where the model's integers are so few that the input holds all of them, whatever the data."""
        return self.limits is not None and _integers(*self.limits).width <= DEFAULT_INTEGER_INPUT.width

    @property
    def on_grid(self) -> bool:
        """True where the model itself says on which grid numbers are: that of integers, or of a quantizer."""
        return self.integer or self.declares or (self.quantizer is not None and not self.rounds)

    @property
    def saturates(self) -> bool:
        """True where the model itself takes what lies outside for the nearest number within."""
        return self.quantizer is not None or self.floor is not None

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        x = inputs[0] if self.floor is None else np.maximum(inputs[0], self.floor)
        if self.quantizer is None:
            return x
        # Readers saturate what the circuit's own grid does not hold, but see the fractions that it lacks.
        least, most = self.quantizer.bounds
        return np.clip(x, as_floats(least), as_floats(most)) if self.rounds else self.quantizer.applied(x)

    @property
    def own_grid(self) -> Quantizer | None:
        """The grid that is the circuit's own choice."""
        return self.quantizer if self.rounds else None

    @property
    def is_chosen(self) -> bool:
        """True where the steps are the circuit's own choice, whatever calibration data there are."""
        return self.rounds or self.held

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        ladders = lowering.ladders if self.is_chosen or lowering.format("result") is None else ()
        if self.quantizer is not None:
            return _quantized(lowering, self.shape, self.quantizer, ladders if self.rounds else ())
        bits, seen = lowering.settings.result_bits, lowering.observed
        unknown = self.default_format(bits)
        formats = lowering.input_formats(*((unknown,) if self.limited or self.integer else self.stated_formats(bits)))
        if lowering.format("result") is None:
            if self.declares:
                # What calibration data happen not to hold is valid all the same.
                formats = (unknown,)
            elif self.integer and seen.limits and seen.frac is None:
                # Integers are never rounded, however large.
                formats = (_integers(math.floor(seen.lo), math.ceil(seen.hi)),)
            elif ladders and not self.integer and seen.frac is None:
                formats = tuple(_finer(fmt, ladders) for fmt in formats)
        return lowering.builder.input(lowering.name, self.shape, *formats, ladders=ladders)


def _finer(fmt: FixedFormat, ladders: Sequence[Ladder]) -> FixedFormat:
    """The format with steps between all thresholds of several quantizers, so that neighboring steps have all of their codes."""
    more = finer_by(ladders, fmt.frac, math.ldexp(1.0, fmt.integer))
    return replace(fmt, width=fmt.width + more, frac=fmt.frac + more)


def _quantized(lowering: Lowering, shape: Shape, quantizer: Quantizer, ladders: tuple[Ladder, ...]) -> Value:
    """An input on the grid of a quantizer."""
    fracs = quantizer.fracs
    if fracs is None:
        raise UnsupportedError("an input in steps that are not powers of two", where=f"input {lowering.name!r}")
    lo, hi = quantizer.lo, quantizer.hi
    return lowering.builder.apply(
        ops.Input(lowering.name, shape, fracs, lo, hi, quantizer.rounding, quantizer.overflow, ladders)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Layer):
    """A trained or given tensor, the same for every sample; no operands. ``reference`` has a batch axis of size 1."""

    value: Floats

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    precisions: ClassVar[tuple[str, ...]] = ("weight",)
    trained: ClassVar[Mapping[str, str]] = {"weight": "value"}

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        return self.value.shape

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return self.value[None]

    def giving(self, order: Order, shape: Shape) -> Layer | None:
        return Constant(as_weights(ordered(self.value, order)))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        return lowering.exact_const("weight", self.value) if lowering.exact else lowering.const("weight", self.value)


EXAMPLES = (Example(Input((3,)), ((3,),)), Example(Constant(quarters(2)), ((2,),)))
