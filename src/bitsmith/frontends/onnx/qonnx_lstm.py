"""Brevitas's quantized LSTM cell in the QONNX dialect: gates, states and what they are made of, each with its own quantizer.

The operator is the whole layer, all steps of it. Source: ``_QuantLSTMCell`` of Brevitas 0.13, which each step follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.call import Call
from bitsmith.frontends.onnx.qonnx import quantized_within
from bitsmith.frontends.ops.arithmetic import add, multiply
from bitsmith.frontends.ops.contraction import matrix_product
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.selection import select, stack

_HIDDEN, _CELL, _INPUT_WEIGHTS, _HIDDEN_WEIGHTS, _BIASES, _GRIDS = 1, 2, 3, 7, 11, 15
"""The first operands of each kind."""

_GATES = ("input", "forget", "cell", "output")
_QUANTIZERS = (
    *("output", "cell_state", "input_acc", "forget_acc", "cell_acc", "output_acc"),
    *("input_sigmoid", "forget_sigmoid", "cell_tanh", "output_sigmoid", "hidden_state_tanh"),
)
"""In the order of their operands: a scale, a zero point and a width each."""

_MOST_STEPS = 256


def quantized_lstm(call: Call) -> tuple[Value, ...]:
    """The hidden states of all steps, the last one, and the last cell state."""
    axis, backward = int(call.attributes.flag("batch_first", False)), call.attributes.flag("reverse_input", False)
    if call.attributes.flag("cifg", False):
        raise UnsupportedError(
            "coupled gates, which Brevitas exports with other quantizers than it has",
            accepted="cifg=0",
            remedy="convert the live module",
        )
    x = call.tensor(0)
    if x.rank != 3 or not 1 <= x.dims[axis] <= _MOST_STEPS:
        raise UnsupportedError(
            f"an LSTM of a tensor of axes {x.dims}", accepted=f"three, of at most {_MOST_STEPS} steps"
        )
    for number in (_HIDDEN, _CELL):
        if np.any(call.weights(number, "the initial state")):
            raise UnsupportedError("an initial state other than 0", accepted="0")
    layer = _Layer(call, call.build)
    projected = [layer.product(x, _INPUT_WEIGHTS, gate, "inputs") for gate in range(len(_GATES))]
    steps = range(x.dims[axis])
    state: tuple[Value, Value] | None = None
    hidden: dict[int, Value] = {}
    for step in reversed(steps) if backward else steps:
        own = _Layer(call, call.build.within(f"step{step}"))
        state = own.advanced(
            [own.at(one, axis, step, name) for name, one in zip(_GATES, projected, strict=True)], state
        )
        hidden[step] = state[0]
    assert state is not None
    return stack(call.build, [hidden[step] for step in steps], axis), *state


@dataclass(frozen=True, slots=True)
class _Layer:
    """Emits parts of the layer."""

    call: Call
    build: Builder

    def product(self, x: Value, first: int, gate: int, suffix: str) -> Value:
        """The product with the weights of a gate, (units, in) as the file has them."""
        weights = self.call.trained(first + gate, "weights")
        if weights.rank != 2 or weights.shape[1] != x.dims[-1]:
            raise ModelFileError(
                f"weights of shape {weights.shape} for a tensor of axes {x.dims}", where=self.call.attributes.where
            )
        build = self.build.within(f"{_GATES[gate]}_{suffix}")
        return matrix_product(build, x, weights.moved(np.transpose))

    def at(self, x: Value, axis: int, step: int, name: str) -> Value:
        """Return the element of a sequence at a step."""
        return select(self.build.within(f"{name}_at"), x, axis, step)

    def quantized(self, x: Value, name: str, suffix: str = "") -> Value:
        """``x`` by the quantizer of that name."""
        number = _GRIDS + 3 * _QUANTIZERS.index(name)
        return quantized_within(self.call, self.build.within(suffix or name), x, number, name)

    def gate(self, gate: int, projected: Value, hidden: Value | None) -> Value:
        """One gate, or what may be added to the cell."""
        name = _GATES[gate]
        total = projected
        if hidden is not None:
            again = self.product(hidden, _HIDDEN_WEIGHTS, gate, "again")
            total = add(self.build.within(f"{name}_sum"), total, again)
        total = add(self.build.within(f"{name}_total"), total, self.call.trained(_BIASES + gate, "a bias"))
        function = "tanh" if name == "cell" else "sigmoid"
        opened = self.build.emit(FUNCTIONS[function], self.quantized(total, f"{name}_acc"), suffix=f"{name}_{function}")
        return self.quantized(opened, f"{name}_{function}", f"{name}_gate")

    def advanced(self, projected: list[Value], state: tuple[Value, Value] | None) -> tuple[Value, Value]:
        """The next hidden and cell state; none before is 0."""
        hidden, cell = state or (None, None)
        opened, forget, fresh, shown = (self.gate(gate, one, hidden) for gate, one in enumerate(projected))
        added = self.quantized(multiply(self.build.within("fresh"), opened, fresh), "cell_state", "added")
        if cell is not None:
            kept = self.quantized(multiply(self.build.within("old"), forget, cell), "cell_state", "kept")
            added = self.quantized(add(self.build.within("cell_sum"), kept, added), "cell_state", "cell")
        bent = self.build.emit(FUNCTIONS["tanh"], added, suffix="hidden_tanh")
        bent = self.quantized(bent, "hidden_state_tanh")
        return self.quantized(multiply(self.build.within("shown"), shown, bent), "output"), added
