"""PyTorch's recurrent layers: one layer of ours for each layer and direction.

The rows of torch's weights are gates: input, forget, candidate, output for LSTM, as ours; reset, update, candidate for GRU, of
which ours has the first two the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Batch, Value
from bitsmith.frontends.ops.selection import select
from bitsmith.frontends.ops.shape import unsqueeze
from bitsmith.frontends.torch.call import Call, Result, Translation, Translator, Unknown
from bitsmith.layers.activation import ReLU
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.recurrent import GRU, LSTM, TANH, Recurrent, SimpleRNN
from bitsmith.layers.shape import Stack

_GRU_ORDER = (1, 0, 2)
_MAX_LAYERS = 64


@dataclass(frozen=True, slots=True)
class _Stack:
    """A recurrent call: its cells by layer and direction, and the initial states."""

    call: Call
    cells: tuple[Recurrent, ...]
    directions: int
    initial: tuple[Value, ...]

    def states(self, number: int, place: str) -> tuple[Value, ...]:
        """The initial states of a cell; none stand for zeros."""
        if all(x.constant is not None and not bool(np.any(x.constant)) for x in self.initial):
            return ()
        return tuple(
            select(self.call.build.within(f"{place}initial{k or ''}"), x, 0, number) for k, x in enumerate(self.initial)
        )

    def results(self, x: Value) -> tuple[Value | Unknown, ...]:
        """The sequence of the last layer, and the last states of all."""
        last: list[list[Value]] = [[] for _ in self.initial]
        for layer in range(len(self.cells) // self.directions):
            final = (layer + 1) * self.directions == len(self.cells)
            place = "" if final else f"layer{layer}"
            found: list[Value] = []
            for direction in range(self.directions):
                number = layer * self.directions + direction
                name = "_".join(
                    filter(None, (place, ("forward", "backward")[direction] if self.directions == 2 else ""))
                )
                cell = self.cells[number]
                states = self.states(number, f"{name}_" if name else "")
                back = direction == 1
                sequences = replace(cell, return_sequences=True, go_backwards=back, reversed_result=back)
                found.append(self.call.build.emit(sequences, x, *states, suffix=name))
                self._note(replace(cell, go_backwards=back), (x, *states), name, last)
            x = found[0] if self.directions == 1 else self.call.build.emit(Concatenate(-1), *found, suffix=place)
        return (x, *(self._stacked(states, ("states", "cell_states")[k]) for k, states in enumerate(last)))

    def _note(self, cell: Recurrent, operands: Sequence[Value], name: str, last: Sequence[list[Value]]) -> None:
        """Adds the states after the last step to ``last``, as far as they are used."""
        shown: tuple[Layer, ...] = (cell, replace(cell, of_cell=True)) if isinstance(cell, LSTM) else (cell,)
        for k, layer in enumerate(shown):
            if self.call.is_used(k + 1):
                suffix = "_".join(filter(None, (name, ("state", "cell_state")[k])))
                last[k].append(replace(self.call.build.emit(layer, *operands, suffix=suffix), batch=Batch(0)))

    def _stacked(self, states: Sequence[Value], suffix: str) -> Value | Unknown:
        """States (layers * directions, batch, units)."""
        if not states:
            return Unknown()
        if len(states) == 1:
            return unsqueeze(self.call.build, states[0], [0])
        return replace(self.call.build.emit(Stack(0), *states, suffix=suffix), batch=Batch(1))


def _cell(
    kind: type[SimpleRNN | LSTM | GRU], weights: Sequence[Floats], activation: Layer, return_state: bool
) -> Recurrent:
    """A cell from torch's weights of it: for the operand, for the state, and both biases or none."""
    units = weights[1].shape[-1]
    moved = []
    for values in weights:
        if values.shape[0] != kind.gates * units:
            raise UnsupportedError(
                f"recurrent weights of shapes {[w.shape for w in weights]}",
                accepted=f"{kind.gates} gates of {units} units",
            )
        gates = np.split(values, kind.gates)
        moved.append(as_weights(np.concatenate([gates[k] for k in _GRU_ORDER] if kind is GRU else gates).T))
    bias, recurrent_bias = moved[2:] or (None, None)
    layer = kind(moved[0], moved[1], bias, recurrent_bias, activation)
    return replace(layer, return_state=return_state) if isinstance(layer, LSTM) else layer


def _recurrent(kind: type[SimpleRNN | LSTM | GRU], activation: Layer = TANH) -> Translator:
    def read(call: Call) -> Result:
        if call.node.overload != "input":
            raise UnsupportedError(
                "packed sequences, whose lengths differ",
                accepted="sequences of one length",
                remedy="pad to one length and drop pack_padded_sequence",
            )
        if call.flag("train"):
            raise UnsupportedError("a recurrent layer while training", remedy="call model.eval() before the export")
        x = call.tensor("input")
        x = x.plain(0 if call.flag("batch_first") else 1)
        directions, layers = 1 + int(call.flag("bidirectional")), call.integer("num_layers", 1)
        states = call.tensors("hx") if kind is LSTM else (call.tensor("hx"),)
        initial = tuple(call.build.per_sample(state, Batch(1)) for state in states)
        each = 4 if call.flag("has_biases", True) else 2
        params = call.tensors("params")
        if not 1 <= layers <= _MAX_LAYERS or len(initial) != len(kind.states):
            raise UnsupportedError(f"{layers} layers with {len(initial)} states")
        if len(params) != each * layers * directions:
            raise UnsupportedError(
                f"{len(params)} weights for {layers} layers",
                accepted=f"{each} per layer and direction",
                remedy="a projection (proj_size) is not translated: use a linear layer",
            )
        weights = []
        for parameter in params:
            if parameter.constant is None or parameter.batch is not None:
                raise UnsupportedError("weights that are computed from the inputs", accepted="trained weights")
            weights.append(parameter.constant)
        for state in initial:
            if state.batch != Batch(1) or len(state.shape) != 2:
                raise UnsupportedError(f"initial states of axes {state.dims}", accepted="layers, batch and units")
        shown = kind is LSTM and call.is_used(2)
        cells = tuple(_cell(kind, weights[k : k + each], activation, shown) for k in range(0, len(weights), each))
        return _Stack(call, cells, directions, initial).results(x)

    return read


RECURRENT: dict[str, Translation] = {
    "lstm": Translation(_recurrent(LSTM), "LSTM, one per layer and direction"),
    "gru": Translation(_recurrent(GRU), "GRU, one per layer and direction"),
    "rnn_tanh": Translation(_recurrent(SimpleRNN), "SimpleRNN, one per layer and direction"),
    "rnn_relu": Translation(_recurrent(SimpleRNN, ReLU()), "SimpleRNN, one per layer and direction"),
}
"""Operators by name."""
