"""Spiking neurons: a membrane that charges, leaks, and fires, step by step over the first axis of the operand, by ``scan``.

The membrane is rounded to the format of ``state`` first, and then compared with the threshold: what a spike is, and what is left
of the membrane after it, is exact from there on. A framework that rounds its states to the same grid gives the same spikes.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import step_type
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Ints, TensorType
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Floats, Layer, Shape, StepLayer, as_weights, broadcasts, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.recurrent_cell import FRAMES, Interval, StateFormat, body_input, reach
from bitsmith.layers.traits import Exactness, Scales, Traits, computed
from bitsmith.layers.words import Operand, many

_STATES = {"state": "the membrane", "current": "the current of the synapse", "spikes": "the spike that comes back"}

Stored: TypeAlias = tuple[Ints, int]
"""Raw numbers and their ``frac``."""


class Reset(enum.Enum):
    """Effects of a spike on the membrane."""

    VALUE = "value"
    """The membrane gets the value ``rest``."""
    SUBTRACT = "subtract"
    """The threshold is subtracted at once."""
    LATER = "later"
    """The threshold is subtracted in the next step, after the decay."""
    HELD = "held"
    """The membrane is 0 in the next step, whatever the current."""
    NONE = "none"
    """Nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Neurons(Layer):
    """Leaky integrate-and-fire neurons. The operand is their current (time, ...); parameters broadcast to one step of it::

        s' = synapse * s + x + z W       with a synapse, else x + z W
        v' = decay * v + s' + drive
        z' = v' > threshold              then the reset

    The result are the spikes ``z'`` of all steps, 0 or 1; or, without a threshold, the membrane ``v'``. ``kernel`` (n, n) are the
    weights W of the spikes of the step before, for operands (time, n). All states are 0 at first.

    The equations are those of leaky integrate-and-fire neurons in discrete time (J. Eshraghian et al., Proceedings of the IEEE
    111, 2023). ``stateful`` neurons begin a sample with the states that the one before left.
    """

    decay: Floats
    threshold: Floats | None
    reset: Reset = Reset.VALUE
    rest: Floats | None = None
    synapse: Floats | None = None
    drive: Floats | None = None
    kernel: Floats | None = None
    stateful: bool = False

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=False, affine=False)
    trained: ClassVar[Mapping[str, str]] = {
        "scale": "decay",
        "threshold": "threshold",
        "rest": "rest",
        "current_scale": "synapse",
        "bias": "drive",
        "recurrent_weight": "kernel",
    }
    precisions: ClassVar[tuple[str, ...]] = (*trained, "state", "current", "result")

    @property
    def jumps(self) -> bool:
        return self.threshold is not None

    @property
    def bounded(self) -> bool:
        return self.threshold is not None

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if len(shape) < 2:
            raise UnsupportedError(f"neurons on an input of shape {shape}", accepted="time, and one axis or more")
        item = shape[1:]
        for name, field in self.trained.items():
            values: Floats | None = getattr(self, field)
            if field == "kernel" and values is not None:
                if self.threshold is None or values.shape != item * 2:
                    raise UnsupportedError(
                        f"a recurrent kernel of shape {values.shape} for neurons of shape {item}",
                        accepted="(n, n) for n neurons that spike",
                    )
            elif values is not None and not broadcasts(values.shape, item):
                raise UnsupportedError(f"a {name} of shape {values.shape}", accepted=f"one that broadcasts to {item}")
        return shape

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        return StepLayer(replace(self, stateful=True), axis) if axis == 0 and not self.stateful else None

    def _names(self) -> tuple[str, ...]:
        """The states: the membrane, the current of a synapse, and the spikes that come back."""
        return ("state", *["current"] * (self.synapse is not None), *["spikes"] * (self.kernel is not None))

    def words(self, operands: Sequence[Operand]) -> tuple[str, ...]:
        """Return the number of neurons, of time steps, and of states."""
        steps, *item = operands[0].type.shape
        acts = ["leak" * bool(np.any(self.decay != 1.0)), "fire" * self.jumps]
        does = " that " + " and ".join(filter(None, acts)) if any(acts) else ""
        states = " and ".join(_STATES[name] for name in self._names())
        kept = ", and go on from sample to sample" if self.stateful else ""
        return (
            f"{many(math.prod(item), 'neuron')}{does}, in {many(steps, 'time step')} for each sample; "
            f"{many(len(self._names()) * math.prod(item), 'state')}: {states} of each{kept}.",
        )

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        return self._run(inputs[0])["result"]

    def internals(self, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
        seen = self._run(inputs[0])
        return {name: seen[name] for name in ("state", "current") if name in seen}

    def _run(self, x: Floats) -> dict[str, Floats]:
        """The results, membranes and currents of all steps, as the operand lies."""
        streams = [x[:, step] for step in range(x.shape[1])]
        if self.stateful:
            streams = [x[sample : sample + 1, step] for sample in range(len(x)) for step in range(x.shape[1])]
        membrane = np.zeros_like(streams[0]) if streams else np.zeros(())
        current, spikes, seen = membrane, membrane, dict[str, list[Floats]]()
        for item in streams:
            now = item if self.kernel is None else item + spikes @ self.kernel
            current = now if self.synapse is None else self.synapse * current + now
            fired = self._fired(membrane)
            membrane = self.decay * membrane + current
            membrane = membrane if self.drive is None else membrane + self.drive
            if self.reset is Reset.LATER and self.threshold is not None:
                membrane = membrane - fired * self.threshold
            if self.reset is Reset.HELD:
                membrane = np.where(fired > 0.0, 0.0, membrane)
            seen.setdefault("state", []).append(membrane)
            if self.synapse is not None:
                seen.setdefault("current", []).append(current)
            spikes = self._fired(membrane)
            seen.setdefault("result", []).append(membrane if self.threshold is None else spikes)
            membrane = self._after(membrane, spikes)
        if self.stateful:
            return {name: np.concatenate(steps).reshape(x.shape) for name, steps in seen.items()}
        return {name: np.stack(steps, axis=1) for name, steps in seen.items()}

    def _fired(self, membrane: Floats) -> Floats:
        if self.threshold is None:
            return np.zeros_like(membrane)
        return np.asarray(membrane > self.threshold, dtype=np.float64)

    def _after(self, membrane: Floats, spikes: Floats) -> Floats:
        """The membrane after the spikes of its step."""
        if self.reset is Reset.SUBTRACT and self.threshold is not None:
            return membrane - spikes * self.threshold
        if self.reset is Reset.VALUE:
            return np.where(spikes > 0.0, 0.0 if self.rest is None else self.rest, membrane)
        return membrane

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        x = lowering.builder.aligned(inputs[0], (0,))
        steps, item = x.shape[0], x.shape[1:]
        stored = {name: lowering.constant(name, values) for name, values in self.weights().items()}
        ranges = self._reach(stored, x, steps * FRAMES if self.stateful else steps)
        formats = {name: StateFormat.chosen(lowering, name, bounds) for name, bounds in ranges.items()}
        body = ProgramBuilder()
        kinds = {name: TensorType.of(item, fmt.frac, fmt.lo, fmt.hi) for name, fmt in formats.items()}
        kinds["spikes"] = TensorType.of(item, 0, 0, 1)
        states = {name: body_input(body, name, kinds[name]) for name in self._names()}
        following, result = self._step(
            _Body(body, stored, formats, item), states, body_input(body, "input", step_type(x.type))
        )
        outputs = [*((name, following[name]) for name in states), ("result", result)]
        zero = lowering.builder.const(np.zeros(item, dtype=np.int64))
        first = [formats[name].cast(lowering.builder, zero) if name in formats else zero for name in states]
        kept = len(first) if self.stateful else 0
        return lowering.result(lowering.builder.scan(body.program(outputs), first, [x], kept))

    def _reach(self, stored: Mapping[str, Stored], x: Value, steps: int) -> dict[str, Interval]:
        """The range of the states within so many steps, all elements alike."""
        kind = x.type
        lo, hi = (float(end) for end in kind.real_range())
        inward = Interval(np.asarray(lo), np.asarray(hi))
        values = {name: np.ldexp(raw.astype(np.float64), -frac) for name, (raw, frac) in stored.items()}
        if "recurrent_weight" in values:
            kernel = values["recurrent_weight"]
            down, up = np.minimum(kernel, 0.0).sum(axis=0).min(), np.maximum(kernel, 0.0).sum(axis=0).max()
            inward = Interval(inward.least + down, inward.most + up)
        zero = Interval(np.asarray(0.0), np.asarray(0.0))
        current = inward
        others = dict[str, Interval]()
        if self.synapse is not None:
            (current,) = reach(
                lambda states: (_times(states[0], values["current_scale"]).plus(inward),), (zero,), steps
            )
            others["current"] = current
        (membrane,) = reach(lambda states: (self._charged(states[0], current, values),), (zero,), steps)
        return {"state": membrane, **others}

    def _charged(self, membrane: Interval, current: Interval, values: Mapping[str, Floats]) -> Interval:
        """The range of the membrane before its reset, from that of the step before."""
        threshold, decay = values.get("threshold"), values["scale"]
        decayed = _times(membrane, decay)
        if threshold is not None and self.reset is not Reset.NONE:
            low, high = threshold.min(), threshold.max()
            quiet = Interval(membrane.least, np.minimum(membrane.most, high))
            loud = Interval(np.minimum(low, membrane.most), membrane.most)
            decayed = _times(quiet, decay)
            if float(membrane.most) > float(low):
                decayed = decayed.union(self._loud(loud, threshold, values))
        charged = decayed.plus(current).plus(_span(values.get("bias")))
        return charged.union(_span(None)) if self.reset is Reset.HELD else charged

    def _loud(self, membrane: Interval, threshold: Floats, values: Mapping[str, Floats]) -> Interval:
        """The range of what is left of a ``membrane`` that fired, after the decay."""
        less = Interval(-threshold.max(), -threshold.min())
        if self.reset is Reset.SUBTRACT:
            return _times(membrane.plus(less), values["scale"])
        if self.reset is Reset.LATER:
            return _times(membrane, values["scale"]).plus(less)
        return _times(_span(values.get("rest")), values["scale"])

    def _step(self, body: _Body, states: Mapping[str, Value], x: Value) -> tuple[dict[str, Value], Value]:
        """The states after a step, and its result."""
        build, following = body.build, dict[str, Value]()
        if self.kernel is not None:
            raw, frac = body.stored["recurrent_weight"]
            x = build.add(x, build.linear(states["spikes"], raw, frac))
        if self.synapse is not None:
            # The membrane takes the current before it is rounded.
            x = build.add(build.mul(states["current"], body.constant("current_scale")), x)
            following["current"] = body.state("current", x)
        membrane = build.add(build.mul(states["state"], body.constant("scale")), x)
        if self.drive is not None:
            membrane = build.add(membrane, body.constant("bias"))
        if self.threshold is None:
            membrane = body.state("state", membrane)
            return {"state": membrane, **following}, membrane
        threshold = body.constant("threshold")
        if self.reset in (Reset.LATER, Reset.HELD):
            fired = build.compare(states["state"], Relation.GT, threshold)
            instead = body.zero() if self.reset is Reset.HELD else build.sub(membrane, threshold)
            membrane = build.select(fired, instead, membrane)
        membrane = body.state("state", membrane)
        spikes = build.compare(membrane, Relation.GT, threshold)
        after = membrane
        if self.reset is Reset.SUBTRACT:
            after = body.state("state", build.select(spikes, build.sub(membrane, threshold), membrane))
        elif self.reset is Reset.VALUE:
            rest = body.zero() if self.rest is None else body.constant("rest")
            after = body.state("state", build.select(spikes, rest, membrane))
        following["state"] = after
        return {**following, "spikes": spikes}, spikes


@dataclass(frozen=True, slots=True)
class _Body:
    """The body of a scan, with the parameters as they are stored and the formats of states."""

    build: ProgramBuilder
    stored: Mapping[str, Stored]
    formats: Mapping[str, StateFormat]
    item: Shape

    def constant(self, variable: str) -> Value:
        """The parameter, for each element of a step."""
        raw, frac = self.stored[variable]
        return self.build.const(np.broadcast_to(raw, self.item), frac)

    def zero(self) -> Value:
        """Zeros for all elements of a step."""
        return self.build.const(np.zeros(self.item, dtype=np.int64))

    def state(self, variable: str, x: Value) -> Value:
        """``x`` as the state of that name."""
        return self.formats[variable].cast(self.build, x)


def _times(x: Interval, factors: Floats) -> Interval:
    corners = np.stack([np.multiply.outer(end, factors) for end in (x.least, x.most)])
    return Interval(np.asarray(corners.min()), np.asarray(corners.max()))


def _span(values: Floats | None) -> Interval:
    """The range of numbers; that of 0 if there are none."""
    if values is None:
        return Interval(np.asarray(0.0), np.asarray(0.0))
    return Interval(np.asarray(values.min()), np.asarray(values.max()))


EXAMPLES = (
    Example(Neurons(as_weights(0.75), as_weights([0.5, 1.0])), ((4, 2),)),
    Example(
        Neurons(as_weights(0.5), as_weights(1.0), Reset.SUBTRACT, synapse=as_weights(0.25), kernel=quarters(2, 2)),
        ((3, 2),),
    ),
    Example(Neurons(as_weights([0.625, 0.875]), None, drive=as_weights(0.25)), ((12, 2),)),
)
