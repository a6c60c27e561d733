"""Brevitas's quantized LSTM cell in the QONNX dialect: gates, states and what they are made of, each with its own quantizer.

The operator is the whole layer, all steps of it. Source: ``_QuantLSTMCell`` of Brevitas 0.13, which each step follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.call import Call
from bitsmith.frontends.onnx.qonnx import quantized_within
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.unrolled import Function, Gates, QuantizedCell, names_of, product, unchanged
from bitsmith.layers.layer import as_weights
from bitsmith.layers.recurrent import LSTM, LSTM_GATES

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

_PLAIN = {"kept": "cell_state", "fresh": "cell_state", "cell_sum": "cell_state", "state": "output"}
"""The quantizers of what no function follows."""

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
    layer = _Layer(call, {first: _stacked(call, first) for first in _TENSORS})
    projected = layer.products(call.build, x, "inputs", _INPUT_WEIGHTS, _BIASES)
    hidden, states = QuantizedCell(layer.equations(), layer.recurrent, layer.functions()).unrolled(
        call.build, projected, sequences=True, backwards=backward, mirrored=backward, axis=axis
    )
    return hidden, *states


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
    tensors: Mapping[int, Sequence[Value]]

    def equations(self) -> LSTM:
        """The layer in floats."""
        kernel, recurrent = (
            as_weights(np.concatenate([gate.elements for gate in self.tensors[first]], axis=1))
            for first in (_INPUT_WEIGHTS, _HIDDEN_WEIGHTS)
        )
        return LSTM(kernel, recurrent)

    def recurrent(self, build: Builder, hidden: Value, first: int, last: int) -> Gates:
        """The products of a state, of all gates."""
        return self.products(build, hidden, "again", _HIDDEN_WEIGHTS)

    def products(self, build: Builder, x: Value, suffix: str, *numbers: int) -> Gates:
        """The products with the weights of the gates, and perhaps their biases."""
        names = names_of(self.call.build, *(_VARIABLES[first] for first in numbers))
        products = []
        for gate, name in enumerate(_GATES):
            weights, *bias = (self.tensors[first][gate] for first in numbers)
            if weights.shape[0] != x.dims[-1]:
                raise ModelFileError(
                    f"weights of shape {weights.shape[::-1]} for a tensor of axes {x.dims}",
                    where=self.call.attributes.where,
                )
            tensors = weights, bias[0] if bias else None
            products.append(product(build.within(f"{name}_{suffix}"), x, tensors, names))
        return tuple(products)

    def functions(self) -> Mapping[str, Function]:
        """The functions of results of the equations, by name."""
        functions = {name: self._quantizer(quantizer) for name, quantizer in _PLAIN.items()}
        functions["cell_activation"] = self._function("tanh", None, "hidden_state_tanh")
        for gate, name in zip(_GATES, LSTM_GATES, strict=True):
            function = "tanh" if gate == "cell" else "sigmoid"
            functions[name] = self._function(function, f"{gate}_acc", f"{gate}_{function}")
        return functions

    def _quantizer(self, name: str) -> Function:
        number = _GRIDS + 3 * _QUANTIZERS.index(name)
        return lambda build, x: quantized_within(self.call, build, x, number, name)

    def _function(self, name: str, before: str | None, after: str) -> Function:
        first, last = unchanged if before is None else self._quantizer(before), self._quantizer(after)
        return lambda build, x: last(build, build.emit(FUNCTIONS[name], first(build.within("sum"), x), suffix=name))
