"""The context in which a layer's ``lower`` works: the builder, the user's settings and, for what they leave out, ``auto``."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ladders import Ladder
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import FixedFormat, Fracs, Ints, Overflow, Rounding, objects
from bitsmith.layers import auto
from bitsmith.layers.arrays import Exponents, Floats
from bitsmith.layers.settings import Settings, Strategy, Weights

_EXACT_BITS = 53
"""Bits of integers in double precision."""

_LEAST, _LARGEST = 2.0**-64, 2.0**64
"""Magnitudes of numbers that are worth all bits of single precision."""

_OF_MULTIPLIERS = (Strategy.LATENCY, Strategy.RESOURCE)

_MOST_SPARE = 16
"""Bits by which what is computed in one format for all channels, a table for example, may be finer for the finest of them."""

_whole = np.frompyfunc(int, 1, 1)


@dataclass(frozen=True, slots=True)
class Lowering:
    """The context of lowering one layer called ``name``."""

    name: str
    builder: ProgramBuilder
    settings: Settings
    observed: auto.ObservedRange
    gridded: Collection[str]
    """The network's inputs whose numbers are on their grids, as far as the model or the data say so."""
    ladders: tuple[Ladder, ...]
    """The codes of what reads an input, of which rounding to steps of the circuit's own changes none."""
    exact: bool = False
    """True if all readers of the result need all of it, and of constants that are integers."""
    fracs: Mapping[str, Fracs] = field(default_factory=dict)
    """The fewest fractional bits of channels and of trained values, by variable, where one step for all would not do."""
    quantized: Collection[str] = ()
    """Variables of trained tensors that are on the grid of a quantizer: taken exactly, however many bits that are."""
    reach: Mapping[str, Floats] = field(default_factory=dict)
    """The steps of those quantizers, and the ends of what they give."""
    owner: str = ""
    """The first layer with the same trained tensors."""
    parameters: dict[tuple[str, str], Value] = field(default_factory=dict)
    """Tensors that can be replaced so far, by owner and variable: layers with the same tensors take one parameter."""

    def format(self, variable: str) -> FixedFormat | None:
        """The user's format of ``variable``; None is auto."""
        return self.settings.precision.get(variable)

    def input_formats(self, *unknown: FixedFormat) -> tuple[FixedFormat, ...]:
        """The formats of a network input, one for all or one for each element of the last axis.

        They are the user's, else those that calibration data need, else ``unknown``; with finer steps where these are needed.
        """
        given = self.format("result")
        if given is not None:
            return (given,)
        formats, least = unknown, self.fracs.get("result")
        if self.observed.limits:
            # A feature alone exceeds what it showed sooner than the largest of many: rounded ones have a spare bit.
            bits = self.settings.result_bits
            features = tuple(auto.format_for(each, bits, spare=1) for each in self.observed.features)
            formats = features or (auto.format_for(self.observed, bits),)
        if least is None or (self.observed.limits and self.observed.frac is not None):
            return formats
        finer = [auto.finer_format(fmt, int(frac)) for fmt, frac in zip(cycle(formats), least, strict=False)]
        return tuple(finer) if len(set(finer)) > 1 else (finer[0],)

    def seen(self, variable: str) -> auto.ObservedRange:
        """Return the observation of ``variable`` in the float model."""
        return self.observed if variable == "result" else self.observed.inner[variable]

    def result_frac(self, variable: str = "result", largest: float = math.inf) -> int:
        """Fractional bits that ``auto`` keeps of this layer's result (of its finest channel), or of an inner tensor.

        ``largest`` is a magnitude that the result cannot exceed, whatever the float model shows (near a pole, for example).
        """
        plain, least = self._plain_frac(variable, largest), self.fracs.get(variable)
        return plain if least is None else min(max(plain, int(least.max())), plain + _MOST_SPARE)

    def _channel_fracs(self, x: Value, variable: str, largest: float) -> Fracs:
        """The same for each channel of ``x``, which is the result or lies as it does."""
        least = self.fracs.get(variable)
        if least is None or x.shape[-1:] != least.shape:
            return np.asarray(self.result_frac(variable, largest))
        return np.maximum(self._plain_frac(variable, largest), least)

    def _plain_frac(self, variable: str, largest: float) -> int:
        seen, most = self.seen(variable), min(self.settings.result_bits, self.settings.bits.of(variable)) - 1
        above = seen.read_above if self.settings.strategy is Strategy.SHARED else None
        amplitude = min(seen.read if above is None else above, largest)
        most += above is not None
        if amplitude <= 0.0:
            return most
        return most - math.ceil(math.log2(amplitude))

    def constant(self, variable: str, values: Floats) -> tuple[Ints, int]:
        """Raw integers and ``frac`` of a trained tensor in the user's format of ``variable``, or by the rule of auto."""
        self._check_finite(variable, values)
        fmt = self.format(variable)
        if fmt is not None:
            return auto.to_raw(values, fmt), fmt.frac
        if variable in self.quantized:
            return auto.exact_raw(values)
        bits = self.settings.bits.of(variable)
        frac = auto.constant_frac(values, max(bits, _EXACT_BITS) if self._are_kept(values) else bits)
        return objects(np.rint(np.ldexp(values, frac)).astype(np.int64)), frac

    def _check_finite(self, variable: str, values: Floats) -> None:
        if not bool(np.all(np.isfinite(values))):
            raise UnsupportedError(f"{variable} holds NaN or infinite values", where=f"layer {self.name!r}")

    def _are_kept(self, values: Floats) -> bool:
        """Return True of integers that no bit may be lost of."""
        return self.exact and bool(np.all(values == np.rint(values)))

    def scaled_constant(self, variable: str, values: Floats, scale: Exponents | None = None) -> tuple[Ints, Fracs]:
        """Return a :meth:`constant`; auto rounds ``values * 2**-scale``, if there is a ``scale``, which broadcasts to the values.

        Values that need more fractional bits than that leaves them have them.
        """
        if self.format(variable) is not None or variable in self.quantized or self._are_kept(values):
            raw, frac = self.constant(variable, values)
            return raw, np.asarray(frac)
        raw, frac = self.constant(variable, values if scale is None else np.ldexp(values, -scale))
        fracs, least = np.asarray(frac if scale is None else frac - scale), self.fracs.get(variable)
        if least is None:
            return raw, fracs
        finer = np.maximum(fracs, least)
        steps = np.rint(np.ldexp(values, finer))
        return objects(steps.astype(np.int64) if np.abs(steps).max(initial=0.0) < 2.0**62 else _whole(steps)), finer

    def const(self, variable: str, values: Floats) -> Value:
        """A trained tensor as a constant of the program."""
        return self.builder.const(*self.scaled_constant(variable, values))

    def exact_const(self, variable: str, values: Floats) -> Value:
        """A tensor that nothing may be lost of, whatever the format of ``variable``, as a constant of the program."""
        self._check_finite(variable, values)
        return self.builder.const(*auto.exact_raw(values))

    def number(self, variable: str, value: float) -> Value:
        """A number of the layer's definition, such as a slope, as a constant of the program.

        Where all of the result is needed, it is as single precision has it, in which frameworks compute.
        """
        if self.exact and self.format(variable) is None and _LEAST <= abs(value) <= _LARGEST:
            return self.builder.const(*auto.exact_raw(np.asarray(np.float32(value), dtype=np.float64)))
        return self.builder.const(*self.constant(variable, np.asarray(value, dtype=np.float64)))

    @property
    def loaded(self) -> bool:
        """Return True if the layer's weights are parameters."""
        return self.settings.weights is not Weights.ONCHIP

    def parameter(self, variable: str, values: Floats) -> Value:
        """A trained tensor whose values can be replaced: any of its format."""
        if self.settings.strategy not in _OF_MULTIPLIERS:
            raise UnsupportedError(
                f"weights that are {self.settings.weights.value} with strategy {self.settings.strategy.value!r}",
                where=f"layer {self.name!r}",
                accepted=f"strategies {', '.join(repr(each.value) for each in _OF_MULTIPLIERS)}",
                remedy="adder graphs are made for the values of weights",
            )
        fmt = self.whole_format(variable, values)
        external = self.settings.weights is Weights.EXTERNAL
        made = self.builder.parameter(variable, auto.to_raw(values, fmt), fmt, external=external)
        parameter = self.parameters.setdefault((self.owner, variable), made)
        if parameter.type != made.type:
            raise UnsupportedError(
                f"a {variable} of another format than that of {self.owner!r}, which has the same weights",
                where=f"layer {self.name!r}",
                accepted="the same for both",
            )
        return parameter

    def whole_format(self, variable: str, values: Floats) -> FixedFormat:
        """The format of a trained tensor whose values can be replaced.

        It is the user's, else what holds all that the quantizer gives, else what the trained values need.
        """
        if (fmt := self.format(variable)) is not None:
            return fmt
        reach, bits = self.reach.get(variable), self.settings.bits.of(variable)
        if reach is None:
            return auto.whole_format(*self.constant(variable, values), bits)
        return auto.whole_format(*auto.exact_raw(np.concatenate([values.ravel(), reach])), bits)

    def trained(self, variable: str, values: Floats) -> Value:
        """A trained tensor: a parameter if the layer's can be loaded, else a constant."""
        return self.parameter(variable, values) if self.loaded else self.const(variable, values)

    def product(self, x: Value, values: Floats, scale: Exponents | None = None) -> Value:
        """``x @ values`` over the last axis of ``x``; ``values`` (n, m) are the layer's variable ``weight``.

        ``scale`` is that of :meth:`scaled_constant`; weights that can be loaded have one format.
        """
        builder = self.builder
        if not self.loaded:
            return builder.linear(x, *self.scaled_constant("weight", values, scale))
        rows = x if len(x.shape) > 1 else builder.reshape(x, (1, *x.shape))
        # Weights that are not known cannot take the scales of elements.
        result = builder.matmul(builder.aligned(rows), self.parameter("weight", values))
        return builder.reshape(result, (*x.shape[:-1], values.shape[-1]))

    def cast(self, variable: str, x: Value) -> Value:
        """``x`` in the user's format of ``variable``; unchanged if that is auto."""
        fmt = self.format(variable)
        return x if fmt is None else self.builder.cast(x, fmt)

    def result(self, x: Value, variable: str = "result", largest: float = math.inf) -> Value:
        """The layer's result (or an inner tensor that is observed): in the user's format, or by the rule of auto.

        ``largest`` is that of :meth:`result_frac`.
        """
        fmt = self.format(variable)
        if fmt is not None:
            return self.builder.cast(x, fmt)
        if self.exact and variable == "result":
            return x
        seen = self.seen(variable)
        frac = np.minimum(x.type.frac, self._channel_fracs(x, variable, largest))
        lo, hi = rounded_range(x.type, frac, Rounding.RND)
        if seen.limits and x.type.max_width > self.settings.result_bits:
            # Twice the observed range unless the user says another: one spare bit against data that calibration has not
            # seen. A sign that it has not seen is as likely as half the magnitudes.
            room = self.settings.headroom
            least = room * (seen.lo if seen.lo < 0.0 else -seen.amplitude / 2.0)
            most = room * (seen.hi if seen.hi > 0.0 else seen.amplitude / 2.0)
            floor = [math.floor(math.ldexp(least, int(f))) for f in frac.ravel()]
            ceiling = [math.ceil(math.ldexp(most, int(f))) for f in frac.ravel()]
            lo = np.maximum(lo, objects(floor).reshape(frac.shape))
            hi = np.maximum(np.minimum(hi, objects(ceiling).reshape(frac.shape)), lo)
        elif bool(np.all(x.type.frac == frac)) and x.type.max_width <= (self.settings.widest or x.type.max_width):
            return x
        if self.settings.widest is not None:
            frac, lo, hi = auto.of_width(frac, lo, hi, self.settings.widest)
        return self.builder.cast_to(x, frac, lo, hi, Rounding.RND, Overflow.SAT)
