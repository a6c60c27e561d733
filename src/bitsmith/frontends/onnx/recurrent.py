"""ONNX's recurrent operators: LSTM, GRU and RNN of one or two directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.values import Known, per_sample
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.layers.shape import Reshape, Slice, Stack

_ACTIVATIONS: dict[str, Layer] = {
    "relu": ReLU(),
    "tanh": Activation("tanh"),
    "sigmoid": Activation("sigmoid"),
    "leakyrelu": ReLU(negative_slope=0.01),
    "hardsigmoid": HardActivation(0.2, 0.5, 0.0, 1.0),
    "elu": Activation("elu"),
    "softsign": Activation("softsign"),
    "softplus": Activation("softplus"),
}


@dataclass(frozen=True, slots=True)
class _Cell:
    """A kind of cell. ``order`` has ONNX's numbers of our gates, ``activations`` the names of ONNX's defaults."""

    layer: type[SimpleRNN | LSTM | GRU]
    order: tuple[int, ...]
    activations: tuple[str, ...]


_CELLS = {
    "RNN": _Cell(SimpleRNN, (0,), ("tanh",)),
    "GRU": _Cell(GRU, (0, 1, 2), ("sigmoid", "tanh")),
    "LSTM": _Cell(LSTM, (0, 2, 3, 1), ("sigmoid", "tanh", "tanh")),
}

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def _recurrent(operator: str) -> Callable[[Call], tuple[Value | None, ...]]:
    def read(call: Call) -> tuple[Value | None, ...]:
        return _Reader(call, _CELLS[operator]).results()

    return read


class _Reader:
    """One operator: its attributes, checked, and the layers that it becomes."""

    def __init__(self, call: Call, cell: _Cell) -> None:
        attributes = call.attributes
        self.call, self.cell = call, cell
        named = attributes.text("direction", "forward")
        if named not in _DIRECTIONS:
            raise attributes.wrong("direction", ", ".join(_DIRECTIONS))
        self.directions = _DIRECTIONS[named]
        self.batch_first = attributes.flag("layout", False)
        self._refuse()
        x = call.batched(call.tensor(0), 0 if self.batch_first else 1)
        if len(x.shape) != 2:
            raise UnsupportedError(f"a sequence of {x.rank} axes", accepted="3")
        self.x = x
        self._check_lengths()
        self.layers = self._layers()

    def _refuse(self) -> None:
        call, attributes = self.call, self.call.attributes
        if "clip" in attributes:
            raise UnsupportedError("clipped cells (clip)", accepted="none")
        if "activation_alpha" in attributes or "activation_beta" in attributes:
            raise UnsupportedError("activations with other parameters than ONNX's defaults", accepted="the defaults")
        if attributes.flag("input_forget", False):
            raise UnsupportedError("coupled input and forget gates (input_forget)", accepted="separate ones")
        if call.operand(7) is not None and bool(np.any(call.weights(7, "the peephole weight"))):
            raise UnsupportedError("peephole connections", accepted="cells without", remedy="train with a plain LSTM")

    def _check_lengths(self) -> None:
        lengths = self.call.known(4, "the sequences' lengths")
        if lengths is not None and any(bool(np.any(array != self.x.shape[0])) for array in lengths.at):
            raise UnsupportedError("sequences that are shorter than the tensor", accepted="sequences of full length")

    def _activations(self, direction: int) -> tuple[Layer, ...]:
        names = tuple(name.lower() for name in self.call.attributes.texts("activations"))
        count = len(self.cell.activations)
        names = names or self.cell.activations * len(self.directions)
        own = names[direction * count : (direction + 1) * count]
        if len(names) != count * len(self.directions) or not set(own) <= set(_ACTIVATIONS):
            raise UnsupportedError(f"the activations {', '.join(names)[:100]}", accepted=", ".join(_ACTIVATIONS))
        if count == 3 and own[1] != own[2]:
            raise UnsupportedError("a cell state and a candidate with different activations", accepted="the same")
        return tuple(_ACTIVATIONS[name] for name in own)

    def _layers(self) -> list[Recurrent]:
        call = self.call
        kernel, recurrent = call.weights(1, "the kernel"), call.weights(2, "the recurrent kernel")
        count, gates = len(self.directions), self.cell.layer.gates
        units = call.attributes.integer("hidden_size", recurrent.shape[-1] if recurrent.ndim else None)
        wanted: dict[str, Shape] = {
            "kernel": (count, gates * units, self.x.shape[1]),
            "recurrent kernel": (count, gates * units, units),
        }
        bias = None if call.operand(3) is None else call.weights(3, "the bias")
        if bias is not None:
            wanted["bias"] = (count, 2 * gates * units)
        for (name, shape), values in zip(wanted.items(), (kernel, recurrent, bias), strict=False):
            if values is None or values.shape != shape:
                raise ModelFileError(
                    f"a {name} of shape {None if values is None else values.shape}",
                    where=call.attributes.where,
                    accepted=f"shape {shape}",
                )
        return [self._layer(k, kernel[k], recurrent[k], None if bias is None else bias[k]) for k in range(count)]

    def _layer(self, direction: int, kernel: Floats, recurrent: Floats, bias: Floats | None) -> Recurrent:
        activations = self._activations(direction)
        after = self.cell.layer is GRU and self.call.attributes.flag("linear_before_reset", False)
        both = None if bias is None else bias.reshape(2, -1)
        own = None if both is None else self._ordered(both[0] if after else both[0] + both[1])
        layer = self.cell.layer(
            as_weights(self._ordered(kernel).T),
            as_weights(self._ordered(recurrent).T),
            None if own is None else as_weights(own),
            as_weights(self._ordered(both[1])) if after and both is not None else None,
            activation=activations[-1],
            return_sequences=True,
            go_backwards=self.directions[direction],
            reversed_result=self.directions[direction],
        )
        if isinstance(layer, LSTM | GRU):
            layer = replace(layer, recurrent_activation=activations[0])
        return replace(layer, reset_after=after) if isinstance(layer, GRU) else layer

    def _ordered(self, values: Floats) -> Floats:
        """The gates, along the first axis, in our order."""
        parts = np.split(values, self.cell.layer.gates)
        return np.concatenate([parts[gate] for gate in self.cell.order])

    def _initial(self) -> list[tuple[Value, ...]]:
        """The initial states of each direction; none if they are all zeros."""
        call, states = self.call, len(self.cell.layer.states)
        values = [call.operand(5 + k) for k in range(states)]
        axis = 0 if self.batch_first else 1
        found: list[Value | Floats] = []
        shape = (len(self.directions), self.layers[0].units)
        for value in values:
            if isinstance(value, Value):
                found.append(call.batched(value, axis))
            elif value is None:
                found.append(np.zeros(shape))
            else:
                found.append(per_sample(value, axis, False, call.samples).astype(np.float64))
            if found[-1].shape != shape:
                raise ModelFileError(
                    f"an initial state of shape {found[-1].shape}",
                    where=call.attributes.where,
                    accepted=f"shape {shape}",
                )
        if all(isinstance(state, np.ndarray) and not bool(np.any(state)) for state in found):
            return [() for _ in self.directions]
        tensors = [
            state if isinstance(state, Value) else constant(state, self._given_name(value))
            for state, value in zip(found, values, strict=True)
        ]
        return [tuple(self._part(state, k) for state in tensors) for k in range(len(self.directions))]

    @staticmethod
    def _given_name(value: object) -> str:
        return value.name if isinstance(value, Known) else ""

    def _part(self, state: Value, direction: int) -> Value:
        """The state of one direction."""
        units = self.layers[0].units
        if len(self.directions) > 1:
            layer = Slice((direction, 0), (direction + 1, units), (1, 1))
            state = self.call.emit(layer, (state,), "initial", batch=None)
        return self.call.emit(Reshape((units,)), (state,), "initial_state", batch=None)

    def results(self) -> tuple[Value | None, ...]:
        """All steps, the last hidden state, and that of the cell, as far as anyone reads them."""
        initial = self._initial()
        wanted = [*self.call.wanted, False, False, False]
        results: list[Value | None] = [None, None, None]
        lstm = self.cell.layer is LSTM
        stateful = lstm and wanted[2]
        layers = [replace(layer, return_state=stateful) if isinstance(layer, LSTM) else layer for layer in self.layers]
        kinds = ["steps", "state", "cell_state"]
        main = next((k for k in range(3) if wanted[k]), 0)
        for k in range(2 + lstm):
            if wanted[k]:
                shown = [self._showing(layer, k) for layer in layers]
                results[k] = self._together(shown, initial, "" if k == main else kinds[k], sequence=k == 0)
        return tuple(results)

    def _showing(self, layer: Recurrent, number: int) -> Recurrent:
        if number == 0:
            return layer
        layer = replace(layer, return_sequences=False, reversed_result=False)
        return replace(layer, of_cell=True) if number == 2 and isinstance(layer, LSTM) else layer

    def _together(
        self, layers: Sequence[Recurrent], initial: Sequence[tuple[Value, ...]], name: str, *, sequence: bool
    ) -> Value:
        """The results of all directions side by side, in ONNX's order of axes.

        Steps are (time, directions, batch, units), or with the batch first (batch, time, directions, units).
        """
        call, axis = self.call, 1 if sequence else 0
        batch = 0 if self.batch_first else axis + 1
        separate = len(layers) > 1
        prefixes = ("forward", "backward") if separate else ("",)
        found = [
            call.emit(layer, (self.x, *states), "_".join(filter(None, (name, prefix))), batch=0, source=call.node.kind)
            for layer, states, prefix in zip(layers, initial, prefixes, strict=True)
        ]
        if separate:
            return call.emit(Stack(axis), found, name, batch=batch)
        shape = (*found[0].shape[:-1], 1, found[0].shape[-1])
        return call.emit(
            Reshape(shape), found, "_".join(filter(None, (name, "directions"))), batch=batch, kind=Kind.REAL
        )


RECURRENT: dict[str, Translation] = {
    "RNN": Translation(_recurrent("RNN"), "SimpleRNN, one for each direction"),
    "GRU": Translation(_recurrent("GRU"), "GRU, one for each direction"),
    "LSTM": Translation(_recurrent("LSTM"), "LSTM, one for each direction"),
}
"""Operators by name."""
