"""Domains of recurrent cells. A cell is written once, on an :class:`CellDomain`, and means four things by it:

- on floats, what the framework computes (and what ``auto`` wants to know of inner tensors);
- on intervals, how far the states can get in so many steps;
- on values of a program, the body of a ``scan``;
- on layers with quantizers, a cell of quantized frameworks (:mod:`bitsmith.frontends.ops.unrolled`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from bitsmith.errors import RangeError
from bitsmith.errors.remedies import OPEN, given, remedy
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import FixedFormat, Ints, Overflow, Rounding, TensorType
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.settings import Bits, Settings

MAX_STATE_BITS = 63
"""Widest state that is made without being asked for."""

FRAMES = 64
"""Samples in the course of which a state that lives on between them is not to leave its range."""

_SLACK = 1.0 + 2.0**-7
"""Factor of the range that can be reached, for rounding."""

T = TypeVar("T")


class CellDomain(ABC, Generic[T]):
    """Tensors of one time step, the channels last; ``units`` of them belong to each gate.

    A ``name`` says which sum, product or function of the step it is: frameworks put other quantizers after each.
    """

    @abstractmethod
    def add(self, x: T, y: T, name: str = "") -> T:
        """``x + y``."""

    @abstractmethod
    def multiply(self, x: T, y: T, name: str = "") -> T:
        """``x * y``."""

    @abstractmethod
    def mix(self, share: T, x: T, y: T) -> T:
        """``share * x + (1 - share) * y``: what is ``kept``, and what is ``fresh``."""

    @abstractmethod
    def gates(self, x: T, first: int, last: int) -> T:
        """The channels of gates ``first`` to ``last`` (excluded)."""

    @abstractmethod
    def recurrent(self, hidden: T, first: int, last: int) -> T:
        """``hidden @ recurrent_kernel + recurrent_bias`` for gates ``first`` to ``last`` (excluded)."""

    @abstractmethod
    def activation(self, x: T, name: str) -> T:
        """The activation of ``x``."""

    @abstractmethod
    def recurrent_activation(self, x: T, names: Sequence[str]) -> T:
        """The recurrent activation of ``x``: the openings of the gates of those names."""

    @abstractmethod
    def peephole(self, cell: T, first: int, last: int) -> T:
        """``cell`` times the peephole weights of the gates ``first`` to ``last`` (excluded), of input, forget and output."""

    @abstractmethod
    def clipped(self, x: T, limit: float) -> T:
        """``x`` from ``-limit`` to ``limit``."""

    @abstractmethod
    def chosen(self, condition: T, x: T, y: T) -> T:
        """``x`` where the condition is not 0, else ``y``."""

    @abstractmethod
    def state(self, variable: str, x: T) -> T:
        """``x`` as the next state called ``variable``."""

    @abstractmethod
    def rounded(self, x: T, guard: int) -> T:
        """``x``, if need be rounded to ``guard`` bits below the step of the hidden state."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Trained tensors of a cell, as numbers (units, gates * units) and (gates * units,), and its activations."""

    kernel: Floats
    bias: Floats | None
    activation: Layer
    recurrent_activation: Layer
    peephole: Floats | None = None

    @property
    def units(self) -> int:
        """Channels of a state."""
        return len(self.kernel)

    def columns(self, first: int, last: int) -> slice:
        """The columns of gates ``first`` to ``last`` (excluded)."""
        return slice(first * self.units, last * self.units)

    def peepholes(self, first: int, last: int) -> Floats:
        """The peephole weights of the gates ``first`` to ``last`` (excluded), of input, forget and output."""
        assert self.peephole is not None
        return self.peephole[self.columns(first, last)]


class OnFloats(CellDomain[Floats]):
    """Batches of floats; ``seen`` keeps the states and what activations gave, step by step."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.seen: dict[str, list[Floats]] = {}

    def _noted(self, variable: str, x: Floats) -> Floats:
        self.seen.setdefault(variable, []).append(x)
        return x

    def add(self, x: Floats, y: Floats, name: str = "") -> Floats:
        return x + y

    def multiply(self, x: Floats, y: Floats, name: str = "") -> Floats:
        return x * y

    def mix(self, share: Floats, x: Floats, y: Floats) -> Floats:
        return np.asarray(y + share * (x - y), dtype=np.float64)

    def gates(self, x: Floats, first: int, last: int) -> Floats:
        return x[..., self._weights.columns(first, last)]

    def recurrent(self, hidden: Floats, first: int, last: int) -> Floats:
        columns = self._weights.columns(first, last)
        product: Floats = hidden @ self._weights.kernel[:, columns]
        return product if self._weights.bias is None else product + self._weights.bias[columns]

    def activation(self, x: Floats, name: str) -> Floats:
        return self._noted("activation", self._weights.activation.reference([x]))

    def recurrent_activation(self, x: Floats, names: Sequence[str]) -> Floats:
        return self._noted("recurrent_activation", self._weights.recurrent_activation.reference([x]))

    def peephole(self, cell: Floats, first: int, last: int) -> Floats:
        weights = self._weights.peepholes(first, last)
        return np.concatenate([cell] * (last - first), axis=-1) * weights

    def clipped(self, x: Floats, limit: float) -> Floats:
        return np.clip(x, -limit, limit)

    def chosen(self, condition: Floats, x: Floats, y: Floats) -> Floats:
        return np.where(condition != 0.0, x, y)

    def state(self, variable: str, x: Floats) -> Floats:
        return self._noted(variable, x)

    def rounded(self, x: Floats, guard: int) -> Floats:
        return x


@dataclass(frozen=True, slots=True)
class Interval:
    """Real numbers from ``least`` to ``most``, channel by channel."""

    least: Floats
    most: Floats

    @staticmethod
    def of(kind: TensorType) -> Interval:
        """Return the interval of a tensor whose last axis is its channels, over all positions."""
        frac, lo, hi = (part.reshape(-1, kind.shape[-1])[0] for part in kind.union(range(len(kind.shape) - 1)).full())
        scale = np.exp2(-frac.astype(np.float64))
        return Interval((lo * scale).astype(np.float64), (hi * scale).astype(np.float64))

    def union(self, other: Interval) -> Interval:
        """The least interval that holds both."""
        return Interval(np.minimum(self.least, other.least), np.maximum(self.most, other.most))

    def plus(self, other: Interval) -> Interval:
        """The interval of the sums."""
        return Interval(self.least + other.least, self.most + other.most)

    def within(self, other: Interval) -> bool:
        """Return True if ``other`` holds all of it."""
        return bool(np.all(self.least >= other.least) and np.all(self.most <= other.most))


class OnIntervals(CellDomain[Interval]):
    """Bounds of values, for weights from ``least`` to ``most``."""

    def __init__(self, least: Weights, most: Weights) -> None:
        self._weights, self._most = least, most

    def add(self, x: Interval, y: Interval, name: str = "") -> Interval:
        return x.plus(y)

    def multiply(self, x: Interval, y: Interval, name: str = "") -> Interval:
        corners = [x.least * y.least, x.least * y.most, x.most * y.least, x.most * y.most]
        return Interval(np.min(corners, axis=0), np.max(corners, axis=0))

    def mix(self, share: Interval, x: Interval, y: Interval) -> Interval:
        if bool(np.all(share.least >= 0.0) and np.all(share.most <= 1.0)):
            return x.union(y)
        return self.add(y, self.multiply(share, Interval(x.least - y.most, x.most - y.least)))

    def gates(self, x: Interval, first: int, last: int) -> Interval:
        columns = self._weights.columns(first, last)
        return Interval(x.least[columns], x.most[columns])

    def recurrent(self, hidden: Interval, first: int, last: int) -> Interval:
        columns = self._weights.columns(first, last)
        kernel, most = self._weights.kernel[:, columns], self._most.kernel[:, columns]
        if self._most is self._weights:
            up, down = np.maximum(kernel, 0.0), np.minimum(kernel, 0.0)
            product = Interval(hidden.least @ up + hidden.most @ down, hidden.most @ up + hidden.least @ down)
        else:
            each = self.multiply(Interval(hidden.least[:, None], hidden.most[:, None]), Interval(kernel, most))
            product = Interval(each.least.sum(axis=0), each.most.sum(axis=0))
        if self._weights.bias is None or self._most.bias is None:
            return product
        return self.add(product, Interval(self._weights.bias[columns], self._most.bias[columns]))

    def activation(self, x: Interval, name: str) -> Interval:
        return _through(self._weights.activation, x)

    def recurrent_activation(self, x: Interval, names: Sequence[str]) -> Interval:
        return _through(self._weights.recurrent_activation, x)

    def peephole(self, cell: Interval, first: int, last: int) -> Interval:
        weights = Interval(self._weights.peepholes(first, last), self._most.peepholes(first, last))
        least, most = (np.concatenate([ends] * (last - first), axis=-1) for ends in (cell.least, cell.most))
        return self.multiply(Interval(least, most), weights)

    def clipped(self, x: Interval, limit: float) -> Interval:
        return Interval(np.clip(x.least, -limit, limit), np.clip(x.most, -limit, limit))

    def chosen(self, condition: Interval, x: Interval, y: Interval) -> Interval:
        return x.union(y)

    def state(self, variable: str, x: Interval) -> Interval:
        return x

    def rounded(self, x: Interval, guard: int) -> Interval:
        return x


def _through(layer: Layer, x: Interval) -> Interval:
    turns = (np.clip(turn, x.least, x.most) for turn in layer.turns or ())
    values = layer.reference([np.stack([x.least, *turns, x.most])])
    return Interval(values.min(axis=0), values.max(axis=0))


@dataclass(frozen=True, slots=True)
class StateFormat:
    """The type of a state, the same for all channels, and how it is reached."""

    frac: int
    lo: int
    hi: int
    rounding: Rounding
    overflow: Overflow

    @staticmethod
    def chosen(lowering: Lowering, variable: str, reach: Interval, least_frac: int | None = None) -> StateFormat:
        """The user's format of ``variable``; else by the rule of auto, in a range that holds ``reach``.

        With the user's calibration data it is as much of the observed range as of results, if that is less. The state has
        ``least_frac`` fractional bits or more.

        Raises:
            RangeError: what the state can reach is beyond ``MAX_STATE_BITS``.
        """
        fmt = lowering.format(variable)
        if fmt is not None:
            return StateFormat(fmt.frac, fmt.lo, fmt.hi, fmt.rounding, fmt.overflow)
        seen = lowering.seen(variable)
        frac = lowering.result_frac(variable)
        frac = frac if least_frac is None else max(frac, least_frac)
        low, high = _SLACK * min(float(reach.least.min()), 0.0), _SLACK * max(float(reach.most.max()), 0.0)
        if seen.measured and max(-low, high) > math.ldexp(1.0, lowering.settings.bits.of(variable) - 1 - frac):
            room = lowering.settings.headroom
            low, high = max(low, room * min(seen.lo, 0.0)), min(high, room * max(seen.hi, 0.0))
        largest = max(-low, high)
        frac = frac if largest else 0  # as a constant 0 has it, which a mask keeps
        if not math.isfinite(largest) or math.frexp(largest)[1] + frac > MAX_STATE_BITS:
            raise RangeError(
                f"its {variable} may grow to {largest:.3g} within one sequence",
                where=f"layer {lowering.name!r}",
                accepted=f"states of at most {MAX_STATE_BITS} bits",
                remedy=remedy("give ", given(calibration=OPEN), f", or the {variable} a precision"),
            )
        lo, hi = math.floor(math.ldexp(low, frac)), math.ceil(math.ldexp(high, frac))
        return StateFormat(frac, lo, hi, Rounding.RND, Overflow.SAT)

    def cast(self, builder: ProgramBuilder, x: Value) -> Value:
        """``x`` as this state."""
        return builder.cast_to(x, self.frac, self.lo, self.hi, self.rounding, self.overflow)

    def input(self, body: ProgramBuilder, name: str, units: int) -> Value:
        """The state as an operand of the body."""
        return body_input(body, name, TensorType.of((units,), self.frac, self.lo, self.hi))


def reach(
    step: Callable[[tuple[Interval, ...]], tuple[Interval, ...]], initial: tuple[Interval, ...], steps: int
) -> tuple[Interval, ...]:
    """Return the bounds of the states in the course of ``steps`` steps from ``initial`` on."""
    reached = now = initial
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            now = step(now)
            if all(a.within(b) for a, b in zip(now, reached, strict=True)):
                break
            reached = tuple(a.union(b) for a, b in zip(reached, now, strict=True))
            now = reached
            if not all(np.all(np.isfinite(x.least)) and np.all(np.isfinite(x.most)) for x in reached):
                break
    return reached


Trained: TypeAlias = tuple[Ints, int] | Value
"""A trained tensor: raw numbers and their ``frac``, or a value, if it can be replaced."""


class OnValues(CellDomain[Value]):
    """Ops of the body of a ``scan``; ``trained`` tensors by their variables are constants, or values of the body."""

    def __init__(
        self,
        lowering: Lowering,
        body: ProgramBuilder,
        weights: Weights,
        formats: dict[str, StateFormat],
        trained: Mapping[str, Trained],
    ) -> None:
        self._lowering, self._body, self._weights, self._formats = lowering, body, weights, formats
        self._trained = trained

    def _vector(self, variable: str, columns: slice) -> Value:
        """Elements of a trained vector."""
        found = self._trained[variable]
        if isinstance(found, Value):
            return self._body.slice(found, [columns.start], [columns.stop])
        raw, frac = found
        return self._body.const(raw[columns], frac)

    def _product(self, x: Value, columns: slice) -> Value:
        """``x`` by columns of the recurrent kernel."""
        kernel, units = self._trained["recurrent_weight"], self._weights.units
        if not isinstance(kernel, Value):
            raw, frac = kernel
            return self._body.linear(x, raw[:, columns], frac)
        matrix = self._body.slice(kernel, [0, columns.start], [units, columns.stop])
        rows = self._body.reshape(x, (1, units))
        return self._body.reshape(self._body.matmul(rows, matrix), (columns.stop - columns.start,))

    def add(self, x: Value, y: Value, name: str = "") -> Value:
        return self._body.add(x, y)

    def multiply(self, x: Value, y: Value, name: str = "") -> Value:
        return self._body.mul(x, y)

    def mix(self, share: Value, x: Value, y: Value) -> Value:
        return self._body.add(y, self._body.mul(share, self._body.sub(x, y)))

    def gates(self, x: Value, first: int, last: int) -> Value:
        columns = self._weights.columns(first, last)
        return self._body.slice(x, [columns.start], [columns.stop])

    def recurrent(self, hidden: Value, first: int, last: int) -> Value:
        columns = self._weights.columns(first, last)
        product = self._product(hidden, columns)
        if "recurrent_bias" in self._trained:
            product = self._body.add(product, self._vector("recurrent_bias", columns))
        fmt = self._lowering.format("recurrent_accum")
        return product if fmt is None else self._body.cast(product, fmt)

    def activation(self, x: Value, name: str) -> Value:
        return self._activated("activation", self._weights.activation, x)

    def recurrent_activation(self, x: Value, names: Sequence[str]) -> Value:
        return self._activated("recurrent_activation", self._weights.recurrent_activation, x)

    def _activated(self, variable: str, layer: Layer, x: Value) -> Value:
        """The activation lowered as the layer that it is, whose result is ``variable``."""
        outer = self._lowering
        wanted = {"result": outer.format(variable), "table": outer.format("table")}
        precision: dict[str, FixedFormat] = {name: fmt for name, fmt in wanted.items() if fmt is not None}
        given = outer.settings
        bits = Bits(given.bits.weight, given.bits.of(variable))
        settings = Settings(
            precision, bits, table_size=given.table_size, table_range=given.table_range, binning=given.binning
        )
        return layer.lower(Lowering(outer.name, self._body, settings, outer.seen(variable), outer.gridded, ()), [x])

    def peephole(self, cell: Value, first: int, last: int) -> Value:
        several = self._body.concat([cell] * (last - first), 0) if last - first > 1 else cell
        return self._body.mul(several, self._vector("peephole_weight", self._weights.columns(first, last)))

    def clipped(self, x: Value, limit: float) -> Value:
        if max(abs(bound) for bound in x.type.real_range()) <= limit:
            return x
        frac = int(x.type.frac.max())
        end = round(math.ldexp(limit, frac))
        return self._body.min(self._body.max(x, self._body.const(-end, frac)), self._body.const(end, frac))

    def chosen(self, condition: Value, x: Value, y: Value) -> Value:
        return self._body.select(condition, x, y)

    def state(self, variable: str, x: Value) -> Value:
        return self._formats[variable].cast(self._body, x)

    def rounded(self, x: Value, guard: int) -> Value:
        frac = np.minimum(x.type.frac, self._formats["state"].frac + guard)
        lo, hi = rounded_range(x.type, frac, Rounding.RND)
        return self._body.cast_to(x, frac, lo, hi, Rounding.RND, Overflow.SAT)


def body_input(body: ProgramBuilder, name: str, kind: TensorType) -> Value:
    """An operand of type ``kind`` of the body of a ``scan``."""
    return body.apply(ops.Input(name, kind.shape, kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.SAT, ()))
