"""PyTorch's recurrent layers: one layer of ours for each layer and direction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Batch, Value, constant, layouts_of
from bitsmith.frontends.ops import recurrent
from bitsmith.frontends.ops.contraction import affine_product
from bitsmith.frontends.ops.recurrent import DIRECTIONS, RESULTS
from bitsmith.frontends.torch.call import Call, Operators, Result, Translation, Unknown
from bitsmith.frontends.torch.lengths import PACKED
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.activation import ReLU
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.recurrent import GRU, LSTM, TANH, Recurrent, SimpleRNN

_ORDERS: dict[recurrent.Kind, tuple[int, ...]] = {SimpleRNN: (0,), LSTM: (0, 1, 2, 3), GRU: (1, 0, 2)}
"""The numbers of our gates among torch's."""

_CELL_STATE = 2
"""The number of the result that nothing projects."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell, where its trained tensors come from, and the ``projection`` (outputs, units) of its hidden states, if any.

    A cell reads these by way of the projection: its recurrent kernel is that of the model after it.
    """

    layer: Recurrent
    layouts: Mapping[str, ModelLayout]
    projection: Value | None

    @property
    def outputs(self) -> int:
        """The size of the hidden states as the model shows them."""
        return self.layer.units if self.projection is None else self.projection.shape[0]

    def run(self, build: Builder, x: Value, initial: Sequence[Value], result: int) -> Value:
        """A result of the cell on a sequence; see :mod:`bitsmith.frontends.ops.recurrent`."""
        if self.projection is None or result == _CELL_STATE:
            return recurrent.run(build, self.layer, x, initial, result, layouts=self.layouts)
        hidden = recurrent.run(build.within("hidden"), self.layer, x, initial, result, layouts=self.layouts)
        return affine_product(build, "...j,kj->...k", hidden, self.projection, None)

    def begun(self, build: Builder, states: tuple[Value, ...]) -> tuple[Value, ...]:
        """The initial states of the cell: hidden ones that become those of the model, ``states``, by the projection.

        Raises:
            UnsupportedError: a projection that does not give all of them.
        """
        if self.projection is None or not states:
            return states
        inverse = self.projection.moved(lambda weights: as_weights(np.linalg.pinv(weights)))
        rank, outputs = int(np.linalg.matrix_rank(inverse.elements)), self.projection.shape[0]
        if rank < outputs:
            raise UnsupportedError(
                f"initial states of an LSTM whose projection to {outputs} outputs has rank {rank}",
                accepted="initial states that are zeros, or a projection whose outputs are linearly independent",
                remedy="leave the initial states out, or give a smaller proj_size",
            )
        return affine_product(build.within("hidden_begun"), "...k,jk->...j", states[0], inverse, None), *states[1:]


def _weights(call: Call, count: int, order: Sequence[int]) -> list[list[Value]]:
    """The trained tensors of ``count`` cells, of projected ones the projection last."""
    plain, params = 4 if call.flag("has_biases") else 2, call.tensors("params")
    per_cell = len(params) // count
    if len(params) != per_cell * count or per_cell not in (plain, plain + 1):
        raise UnsupportedError(
            f"{len(params)} weights for {count} layers and directions", accepted=f"{plain} per layer and direction"
        )
    for parameter in params:
        call.trained(parameter, "a weight")
    trained = [
        each
        if k % per_cell == plain
        else call.build.draft.shared(each.moved(lambda one: recurrent.columns(one, order)))
        for k, each in enumerate(params)
    ]
    return [trained[k : k + per_cell] for k in range(0, len(trained), per_cell)]


def _cells(call: Call, kind: recurrent.Kind, activation: Layer, count: int, directions: int) -> list[_Cell]:
    cells = list[_Cell]()
    for number, tensors in enumerate(_weights(call, count, _ORDERS[kind])):
        projection = tensors.pop() if len(tensors) % 2 else None
        if projection is not None:
            tensors[1] = constant(as_weights(projection.elements.T @ tensors[1].elements))
        weights = [one.elements for one in tensors]
        cell = recurrent.cell(kind, weights, activation, return_state=call.is_used(2))
        layouts = layouts_of(**dict(zip(recurrent.VARIABLES, tensors, strict=False)))
        cells.append(_Cell(recurrent.backwards(cell) if number % directions else cell, layouts, projection))
    return cells


def _recurrent(kind: recurrent.Kind, activation: Layer = TANH) -> Translation:
    def read(call: Call) -> Result:
        if call.node.overload != "input":
            reason, remedy = PACKED
            raise UnsupportedError(reason, accepted="sequences of one length", remedy=remedy)
        if call.flag("train"):
            raise UnsupportedError("a recurrent layer while training", remedy="call model.eval() before the export")
        call.ignore("dropout")
        x = call.tensor("input").plain(0 if call.flag("batch_first") else 1)
        directions, layers = 1 + call.flag("bidirectional"), call.positive("num_layers", 1)
        states = call.tensors("hx") if kind is LSTM else (call.tensor("hx"),)
        if len(states) != len(kind.states):
            raise UnsupportedError(f"{len(states)} initial states", accepted=f"{len(kind.states)}")
        cells = _cells(call, kind, activation, layers * directions, directions)
        units = [cells[0].outputs, *[cells[0].layer.units] * (len(states) - 1)]
        states = recurrent.given_states(call.build, states, Batch(1), len(cells), units)
        return _results(call, cells, directions, x, states)

    return Translation(read, f"{kind.__name__}, one per layer and direction")


def _results(
    call: Call, cells: Sequence[_Cell], directions: int, x: Value, states: Sequence[Value]
) -> tuple[Value | Unknown, ...]:
    """The sequence of the last layer, and the last states of all."""
    last: dict[int, list[Value]] = {k: [] for k in range(1, 1 + len(cells[0].layer.states))}
    for first in range(0, len(cells), directions):
        final = first + directions == len(cells)
        build = call.build if final else call.build.within(f"layer{first // directions}")
        outputs = []
        for number in range(first, first + directions):
            inner = build if directions == 1 else build.within(DIRECTIONS[number - first])
            initial = cells[number].begun(inner, recurrent.states_of(inner, states, number))
            outputs.append(cells[number].run(inner, x, initial, 0))
            for k, values in last.items():
                if call.is_used(k):
                    state = inner.within(RESULTS[k])
                    values.append(cells[number].run(state, x, initial, k))
        x = outputs[0] if directions == 1 else build.emit(Concatenate(-1), *outputs)
    parts = [(call.build.within(f"{RESULTS[k]}s"), values) for k, values in last.items()]
    return (x, *(recurrent.together(build, values, 0) if values else Unknown() for build, values in parts))


RECURRENT: Operators = {
    "lstm": _recurrent(LSTM),
    "gru": _recurrent(GRU),
    "rnn_tanh": _recurrent(SimpleRNN),
    "rnn_relu": _recurrent(SimpleRNN, ReLU()),
}
