"""Recurrent layers: a cell run over the first axis of the operand, time, by the core op ``scan``.

What does not depend on the state, ``x @ kernel + bias``, is computed for all time steps outside of the recurrence: the values are
the same, and the loop that limits the clock, or how often a reused cell can start, has that much less in it.

States are cast at every step, so that their type is closed under the step: to the user's format of ``state`` and ``cell``, else
by the rule of auto, in a range that holds whatever can be reached from the operand's range in as many steps
(:mod:`bitsmith.layers.recurrent_cell`). The hidden state takes over errors of a cell state one to one.
So a cell state has no coarser a step than the hidden state has with the bits of results.

With 32 units, Keras's initial weights and 16-bit ``auto`` the hidden states of an LSTM or a GRU are at most 2.6 and on average
0.4 steps of 2**-15 away from the float model's, after 20 time steps as after 1,000.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import ClassVar, TypeVar

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import step_type
from bitsmith.layers.activation import TABLE_OPTIONS, Activation
from bitsmith.layers.auto import product_scales
from bitsmith.layers.layer import Floats, Layer, Products, Shape, StepLayer, as_weights, shifted
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.recurrent_cell import (
    FRAMES,
    CellDomain,
    Interval,
    OnFloats,
    OnIntervals,
    OnValues,
    StateFormat,
    T,
    Trained,
    Weights,
    body_input,
    reach,
)
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

TANH = Activation("tanh")

U = TypeVar("U")

_BETWEEN = ("bias", "recurrent_bias", "accum", "recurrent_accum")
"""Variables of biases, and of sums between them."""

_FEW, _MOVED, _PARTS = 128, 0.125, 16
"""Samples on which sums of gates are moved, by how much, and the most parts of a gate that are moved each for itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Recurrent(Layer):
    """A cell over time. Operands: the sequence (time, channels), then perhaps the initial states (units,), else 0, and, if
    ``masked``, 0 at steps that are left out (time, 1): there the states stay as they are.

    ``kernel`` (channels, gates * units), ``recurrent_kernel`` (units, gates * units), the biases (gates * units,) or None; gate
    by gate, in the order that the class states. The result is the hidden state after each step (time, units), or after the last.

    ``go_backwards`` begins with the last time step; ``reversed_result`` gives a sequence of results in the opposite order of that
    in which they are computed. What goes into the activations of gates and candidates is clipped to ``-clip..clip``.

    A ``stateful`` cell begins the first sample with its initial states, and each later one with the states that the one before
    left.
    """

    kernel: Floats
    recurrent_kernel: Floats
    bias: Floats | None = None
    recurrent_bias: Floats | None = None
    activation: Layer = TANH
    return_sequences: bool = False
    go_backwards: bool = False
    reversed_result: bool = False
    clip: float = math.inf
    masked: bool = False
    stateful: bool = False

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.APPROXIMATE, elementwise=False, affine=False)
    trained: ClassVar[Mapping[str, str]] = {
        "weight": "kernel",
        "recurrent_weight": "recurrent_kernel",
        "bias": "bias",
        "recurrent_bias": "recurrent_bias",
    }
    precisions: ClassVar[tuple[str, ...]] = (
        "weight",
        "bias",
        "recurrent_weight",
        "recurrent_bias",
        "accum",
        "recurrent_accum",
        "table",
        "activation",
        "state",
        "result",
    )
    options: ClassVar[frozenset[str]] = TABLE_OPTIONS | {"weights", "digit_price"}
    priced: ClassVar[Mapping[str, bool]] = {"weight": False, "recurrent_weight": True}
    gates: ClassVar[int] = 1
    states: ClassVar[tuple[str, ...]] = ("state",)
    """The precision variables of the states, the hidden state first."""

    @abstractmethod
    def advance(self, on: CellDomain[T], projected: T, states: tuple[T, ...]) -> tuple[T, ...]:
        """The next states, from ``x @ kernel + bias`` of this time step and the states before."""

    @property
    def jumps_within(self) -> bool:
        return any(one.jumps or one.edges_of_jumps or one.steep() for one in self._activations())

    @property
    def units(self) -> int:
        """Channels of a state."""
        return len(self.recurrent_kernel)

    def _parts(self, operands: Sequence[U]) -> tuple[U, Sequence[U], U | None]:
        """The sequence, the initial states, none stand for zeros, and the mask."""
        return operands[0], operands[1 : len(operands) - self.masked], operands[-1] if self.masked else None

    def step_by_step(self, axis: int, shapes: Sequence[Shape]) -> StepLayer | None:
        whole = len(shapes) == 1 and self.return_sequences and not self.go_backwards
        return StepLayer(replace(self, stateful=True), axis) if whole and axis == 0 else None

    def trained_scales(self, operand: Floats, result: Floats, rank: int) -> Mapping[str, Floats]:
        # Activations bend where their operands are about 1.
        return {"weight": product_scales(operand[:, None], np.ones(1), len(operand))}

    def trained_products(self, variable: str, operands: Sequence[Floats]) -> Products | None:
        if variable == "weight":
            rows, matrix = operands[0].reshape(-1, len(self.kernel)), self.kernel
            revised, bias = self._with_kernel, self.bias
        elif variable == "recurrent_weight":
            initial = self._parts(operands)[1] or [np.zeros((len(operands[0]), self.units))]
            rows = np.concatenate([initial[0], *self._run(operands)["state"][:-1]])
            matrix, revised, bias = self.recurrent_kernel, self._with_recurrent_kernel, self.recurrent_bias
        else:
            return None
        effects = partial(self._effects, [each[:_FEW] for each in operands])
        return Products(rows[None], matrix[None], effects, revised, bias is not None)

    def _effects(self, operands: Sequence[Floats]) -> Floats:
        """The squared differences (columns, units) of results for those in the sums of gates, several units of one at a time."""
        columns = self.gates * self.units
        bias, plain = np.zeros(columns) if self.bias is None else self.bias, self.reference(operands)
        signs, effects = 1 - 2 * (np.arange(self.units) % 2), np.empty((columns, self.units))
        for gate, part in product(range(self.gates), np.array_split(np.arange(self.units), min(self.units, _PARTS))):
            moved = bias.copy()
            moved[gate * self.units + part] += signs[part] * _MOVED
            squared = ((replace(self, bias=moved).reference(operands) - plain) / _MOVED) ** 2
            effects[gate * self.units + part] = squared.reshape(-1, self.units).sum(axis=0) / len(plain) / len(part)
        return effects

    def _with_kernel(self, matrices: Floats, shift: Floats) -> Recurrent:
        return replace(self, kernel=as_weights(matrices[0]), bias=shifted(self.bias, shift))

    def _with_recurrent_kernel(self, matrices: Floats, shift: Floats) -> Recurrent:
        matrix, bias = as_weights(matrices[0]), shifted(self.recurrent_bias, shift)
        return replace(self, recurrent_kernel=matrix, recurrent_bias=bias)

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if len(inputs) - self.masked not in (1, 1 + len(self.states)):
            raise UnsupportedError(
                f"{self.kind} with {len(inputs)} inputs",
                accepted=f"the sequence, and perhaps {len(self.states)} initial states{', a mask' * self.masked}",
            )
        _, initial, mask = self._parts(inputs)
        if len(inputs[0]) != 2:
            raise UnsupportedError(f"{self.kind} on an input of shape {inputs[0]}", accepted="shape (time, channels)")
        self._check_weights(inputs[0][1])
        if any(shape != (self.units,) for shape in initial):
            raise UnsupportedError(f"initial states of shapes {list(initial)}", accepted=f"shape ({self.units},)")
        if mask not in (None, (inputs[0][0], 1)):
            raise UnsupportedError(f"a mask of shape {mask}", accepted=f"shape {(inputs[0][0], 1)}")
        if not self.clip > 0.0:
            raise UnsupportedError(f"clipping to {self.clip:g}", accepted="a positive number")
        return (inputs[0][0], self.units) if self.return_sequences else (self.units,)

    def _check_weights(self, channels: int) -> None:
        columns = self.gates * self.units
        wanted = {
            "kernel": (channels, columns),
            "recurrent_kernel": (self.units, columns),
            "bias": (columns,),
            "recurrent_bias": (columns,),
        }
        for name, shape in wanted.items():
            values: Floats | None = getattr(self, name)
            if values is not None and values.shape != shape:
                raise UnsupportedError(f"a {name} of shape {values.shape}", accepted=f"shape {shape}")
        for layer in self._activations():
            if layer.turns is None:
                raise UnsupportedError(
                    f"{self.kind} with the activation {layer.kind}", accepted="functions of one number"
                )
            layer.output_shape([(self.units,)])

    def _activations(self) -> tuple[Layer, Layer]:
        """The activation and the recurrent activation; the former twice, if there is no other."""
        return self.activation, self.activation

    def _ordered(self, steps: int) -> range:
        return range(steps - 1, -1, -1) if self.go_backwards else range(steps)

    def _shown(self) -> str:
        """The state that is the result."""
        return "state"

    def _run(self, inputs: Sequence[Floats]) -> dict[str, list[Floats]]:
        """All states and what the activations gave, step by step."""
        on = OnFloats(Weights(self.recurrent_kernel, self.recurrent_bias, *self._activations(), self._peephole()))
        x, initial, mask = self._parts(inputs)
        projected = x @ self.kernel if self.bias is None else x @ self.kernel + self.bias
        states = tuple(initial) or tuple(np.zeros((len(x), self.units)) for _ in self.states)
        if not self.stateful:
            self._advanced(on, projected, states, mask)
            return on.seen
        samples, states = list[dict[str, list[Floats]]](), tuple(state[:1] for state in states)
        for sample in range(len(x)):
            one = slice(sample, sample + 1)
            states = self._advanced(on, projected[one], states, None if mask is None else mask[one])
            samples.append(on.seen)
            on.seen = {}
        names = samples[0] if samples else {}
        return {
            name: [np.concatenate(step) for step in zip(*(one[name] for one in samples), strict=True)] for name in names
        }

    def _advanced(
        self, on: OnFloats, projected: Floats, states: tuple[Floats, ...], mask: Floats | None
    ) -> tuple[Floats, ...]:
        """The states after all steps; what comes up in them is noted by ``on``."""
        for step in self._ordered(projected.shape[1]):
            kept = None if mask is None else mask[:, step]
            states = self._following(on, projected[:, step], states, kept)
            for name, state in zip(self.states, states, strict=True):
                on.seen[name][-1] = state
        return states

    def _following(self, on: CellDomain[T], projected: T, states: tuple[T, ...], kept: T | None) -> tuple[T, ...]:
        """The states after a step, which may be left out."""
        following = self.advance(on, projected, states)
        if kept is None:
            return following
        return tuple(on.chosen(kept, x, y) for x, y in zip(following, states, strict=True))

    def _peephole(self) -> Floats | None:
        """Weights of a cell's state, of an LSTM that has them."""
        return None

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        steps = self._run(inputs)[self._shown()]
        if not self.return_sequences:
            return steps[-1]
        return np.stack(steps[::-1] if self.reversed_result else steps, axis=1)

    def internals(self, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
        seen = self._run(inputs)
        for name, initial in zip(self.states, self._parts(inputs)[1], strict=False):
            seen[name].append(initial)
        return {name: np.concatenate([step.ravel() for step in steps]) for name, steps in seen.items()}

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, steps = lowering.builder, inputs[0].shape[0]
        _, initial, mask = self._parts(inputs)
        cell = self._with_one_bias(lowering)
        projected = cell._projected(lowering, inputs[0])
        trained = cell._trained(lowering)
        start = initial or [builder.const(np.zeros(self.units, dtype=np.int64)) for _ in self.states]
        formats, least, bits = dict[str, StateFormat](), None, lowering.settings.bits
        within = steps * FRAMES if self.stateful else steps
        for name, bound in zip(self.states, self._reach(trained, projected, start, within), strict=True):
            formats[name] = StateFormat.chosen(lowering, name, bound, least)
            least = formats["state"].frac + bits.result - bits.of("state")
        body = ProgramBuilder()
        states = tuple(formats[name].input(body, name, self.units) for name in self.states)
        loaded = {name: value for name, value in trained.items() if isinstance(value, Value)}
        held = {name: body_input(body, name, value.type) for name, value in loaded.items()}
        item = body_input(body, "projected", step_type(projected.type))
        sequences = [projected]
        counts = None
        if mask is not None:
            sequences.append(builder.gather(mask, self._ordered(steps), 0) if self.go_backwards else mask)
            counts = body_input(body, "kept", step_type(mask.type))
        on = OnValues(lowering, body, self._bounds(trained, max), formats, {**trained, **held})
        following = self._following(on, item, states, counts)
        outputs = [
            *zip(self.states, following, strict=True),
            *held.items(),
            ("result", self._combined(body, following)),
        ]
        first = [formats[name].cast(builder, x) for name, x in zip(self.states, start, strict=True)]
        kept = len(first) if self.stateful else 0
        results = builder.scan(body.program(outputs), [*first, *loaded.values()], sequences, kept)
        return lowering.result(self._taken(builder, results))

    def _with_one_bias(self, lowering: Lowering) -> Recurrent:
        """The cell with one constant where two are added and nothing decides what is between them."""
        added = self._added_columns()
        decided = lowering.loaded or any(
            lowering.format(name) is not None or name in lowering.quantized for name in _BETWEEN
        )
        if decided or self.bias is None or self.recurrent_bias is None or added == 0:
            return self
        first = np.arange(len(self.bias)) < added
        left = None if added == len(self.bias) else as_weights(np.where(first, 0.0, self.recurrent_bias))
        return replace(
            self, bias=as_weights(self.bias + np.where(first, self.recurrent_bias, 0.0)), recurrent_bias=left
        )

    def _added_columns(self) -> int:
        """The first columns in which both biases are only added."""
        return self.gates * self.units

    def _projected(self, lowering: Lowering, x: Value) -> Value:
        """``x @ kernel + bias``, in the order of the computation; steps that are known beforehand in the format of the others."""
        builder = lowering.builder
        if self.go_backwards:
            x = builder.gather(x, self._ordered(x.shape[0]), 0)
        projected = lowering.product(x, self.kernel)
        if self.bias is not None:
            projected = builder.add(projected, lowering.trained("bias", self.bias))
        return builder.unify(lowering.cast("accum", projected))

    def _trained(self, lowering: Lowering) -> dict[str, Trained]:
        """The trained tensors of the recurrence: constants, or, if they can be replaced, states that never change."""
        tensors = {
            "recurrent_weight": self.recurrent_kernel,
            "recurrent_bias": self.recurrent_bias,
            "peephole_weight": self._peephole(),
        }
        of = lowering.parameter if lowering.loaded else lowering.constant
        return {name: of(name, values) for name, values in tensors.items() if values is not None}

    def _reach(
        self, trained: Mapping[str, Trained], projected: Value, start: Sequence[Value], steps: int
    ) -> tuple[Interval, ...]:
        """Return the range of the states: with the weights that are known, or with any of their formats."""
        most = self._bounds(trained, max)
        known = not any(isinstance(each, Value) for each in trained.values())
        on, x = OnIntervals(most if known else self._bounds(trained, min), most), Interval.of(projected.type)
        return reach(lambda states: self.advance(on, x, states), tuple(Interval.of(y.type) for y in start), steps)

    def _bounds(self, trained: Mapping[str, Trained], end: Callable[[Sequence[float]], float]) -> Weights:
        """The weights as they are stored; of those that can be replaced an ``end`` of their range."""

        def tensor(variable: str) -> Floats | None:
            found = trained.get(variable)
            if isinstance(found, Value):
                return np.full(found.shape, end(list(map(float, found.type.real_range()))))
            return None if found is None else np.ldexp(found[0].astype(np.float64), -found[1])

        kernel = tensor("recurrent_weight")
        assert kernel is not None
        return Weights(kernel, tensor("recurrent_bias"), *self._activations(), tensor("peephole_weight"))

    def _combined(self, body: ProgramBuilder, states: Sequence[Value]) -> Value:
        """Return the result of the scan after each step."""
        return states[0]

    def _taken(self, builder: ProgramBuilder, results: Value) -> Value:
        """The layer's result among those of all steps."""
        steps = results.shape[0]
        if not self.return_sequences:
            return builder.reshape(builder.slice(results, (steps - 1, 0), results.shape), results.shape[1:])
        if self.reversed_result:
            return builder.gather(results, range(steps)[::-1], 0)
        return results
