"""Brevitas's quantized LSTM cell in the QONNX dialect: gates, states and what they are made of, each with its own quantizer.

The operator is the whole layer, all steps of it. Source: ``_QuantLSTMCell`` of Brevitas 0.13, which each step follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.call import Call
from bitsmith.frontends.onnx.qonnx import quantized_within
from bitsmith.frontends.ops.arithmetic import add, multiply
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.selection import select, stack
from bitsmith.frontends.ops.unrolled import names_of, product
from bitsmith.layers.layer import as_weights

_HIDDEN, _CELL, _INPUT_WEIGHTS, _HIDDEN_WEIGHTS, _BIASES, _GRIDS = 1, 2, 3, 7, 11, 15
"""The first operands of each kind."""

_VARIABLES = {_INPUT_WEIGHTS: "weight", _HIDDEN_WEIGHTS: "recurrent_weight", _BIASES: "bias"}
_TENSORS = {_INPUT_WEIGHTS: "weights", _HIDDEN_WEIGHTS: "weights", _BIASES: "a bias"}
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
    layer = _Layer(call, call.build, {first: _stacked(call, first) for first in _TENSORS})
    projected = [layer.product(x, gate, "inputs", _INPUT_WEIGHTS, _BIASES) for gate in range(len(_GATES))]
    steps = range(x.dims[axis])
    state: tuple[Value, Value] | None = None
    hidden: dict[int, Value] = {}
    for step in reversed(steps) if backward else steps:
        own = replace(layer, build=call.build.within(f"step{step}"))
        state = own.advanced(
            [own.at(one, axis, step, name) for name, one in zip(_GATES, projected, strict=True)], state
        )
        hidden[step] = state[0]
    assert state is not None
    return stack(call.build, [hidden[step] for step in steps], axis), *state


def _stacked(call: Call, first: int) -> list[Value]:
    """Return the tensors of the gates, (in, units) or (units,), as parts of them all in a stack, as the file has them."""
    tensors = [call.trained(first + gate, _TENSORS[first]) for gate in range(len(_GATES))]
    shape = tensors[0].shape
    if any(each.shape != shape for each in tensors) or len(shape) != (1 if first == _BIASES else 2):
        raise ModelFileError(
            f"{_TENSORS[first]} of shapes {[each.shape for each in tensors]}", where=call.attributes.where
        )
    whole = as_weights(np.stack([each.elements for each in tensors]))
    return [
        replace(each.moved(np.transpose), given=whole, moves=(itemgetter(gate), np.transpose))
        for gate, each in enumerate(tensors)
    ]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Emits parts of the layer, whose ``tensors`` are those of all gates, by the number of the first one's operand."""

    call: Call
    build: Builder
    tensors: Mapping[int, Sequence[Value]]

    def product(self, x: Value, gate: int, suffix: str, *numbers: int) -> Value:
        """The product with the weights of a gate, and perhaps its bias."""
        found = [self.tensors[first][gate] for first in numbers]
        if found[0].shape[0] != x.dims[-1]:
            raise ModelFileError(
                f"weights of shape {found[0].shape[::-1]} for a tensor of axes {x.dims}",
                where=self.call.attributes.where,
            )
        names = names_of(self.call.build, *(_VARIABLES[first] for first in numbers))
        build = self.build.within(f"{_GATES[gate]}_{suffix}")
        return product(build, x, (found[0], found[1] if len(found) > 1 else None), names)

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
            again = self.product(hidden, gate, "again", _HIDDEN_WEIGHTS)
            total = add(self.build.within(f"{name}_sum"), total, again)
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
