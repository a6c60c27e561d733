"""ONNX's recurrent operators: LSTM, GRU and RNN of one or two directions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Batch, Value, constant
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.frontends.ops import recurrent
from bitsmith.frontends.ops.functions import FUNCTIONS
from bitsmith.frontends.ops.recurrent import DIRECTIONS, RESULTS
from bitsmith.ir.model_layout import ModelLayout, Move
from bitsmith.layers.activation import HardActivation, ReLU
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN

_ACTIVATIONS: dict[str, Layer] = {
    **{name: FUNCTIONS[name] for name in ("relu", "tanh", "sigmoid", "elu", "softsign", "softplus")},
    "leakyrelu": ReLU(negative_slope=0.01),
    "hardsigmoid": HardActivation(0.2, 0.5, 0.0, 1.0),
}

_KINDS: dict[str, tuple[recurrent.Kind, tuple[int, ...], tuple[str, ...]]] = {
    "RNN": (SimpleRNN, (0,), ("tanh",)),
    "GRU": (GRU, (0, 1, 2), ("sigmoid", "tanh")),
    "LSTM": (LSTM, (0, 2, 3, 1), ("sigmoid", "tanh", "tanh")),
}
"""Kinds of cell, ONNX's numbers of our gates, and its activations."""

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def _sequence(call: Call, first: bool) -> Value:
    """The operand, whose sequences all have full length."""
    x = call.batched(call.tensor(0), 0 if first else 1)
    if len(x.shape) != 2:
        raise UnsupportedError(f"a sequence of {x.rank} axes", accepted="3")
    lengths = call.known(4, "the sequences' lengths")
    if lengths is not None and any(bool(np.any(array != x.shape[0])) for array in lengths.at):
        raise UnsupportedError("sequences that are shorter than the tensor", accepted="sequences of full length")
    return x


def _activations(call: Call, defaults: tuple[str, ...], count: int) -> list[tuple[Layer, ...]]:
    """The activations of each of ``count`` directions."""
    names = tuple(name.lower() for name in call.attributes.texts("activations")) or defaults * count
    number = len(defaults)
    if len(names) != number * count or not set(names) <= set(_ACTIVATIONS):
        raise UnsupportedError(f"the activations {', '.join(names)[:100]}", accepted=", ".join(_ACTIVATIONS))
    found = [tuple(_ACTIVATIONS[name] for name in names[k : k + number]) for k in range(0, len(names), number)]
    if any(own[1] != own[-1] for own in found if number > 1):
        raise UnsupportedError("a cell state and a candidate with different activations", accepted="the same")
    return found


def _weights(call: Call, kind: recurrent.Kind, count: int, channels: int) -> list[Value]:
    """The kernel, the recurrent kernel and perhaps the biases of all directions."""
    tensors = [call.trained(number, "a weight") for number in (1, 2, 3) if number < 3 or call.operand(3) is not None]
    units = call.attributes.integer("hidden_size", tensors[1].shape[-1] if tensors[1].rank else None)
    rows = kind.gates * units
    wanted = [(count, rows, channels), (count, rows, units), (count, 2 * rows)][: len(tensors)]
    shapes = [values.shape for values in tensors]
    if shapes != wanted:
        raise ModelFileError(f"weights of shapes {shapes}", where=call.attributes.where, accepted=f"shapes {wanted}")
    return tensors


_Cell: TypeAlias = tuple[Recurrent, Mapping[str, ModelLayout]]
"""A cell, and where its trained tensors come from."""


def _trained(
    call: Call, number: int, tensors: Sequence[Value], order: tuple[int, ...], *, summed: bool
) -> list[tuple[Floats, ModelLayout | None]]:
    """The tensors of direction ``number`` with our gates, and where they lie in the model; its biases perhaps ``summed``."""

    def taken(values: Floats, part: int | None = None) -> Floats:
        own = values[number]
        return recurrent.columns(own if part is None else own.reshape(2, -1)[part], order)

    kernel, recurrent_kernel, *biases = tensors
    moves: list[tuple[Value, list[Move]]] = [(kernel, [taken]), (recurrent_kernel, [taken])]
    for bias in biases:
        parts: list[Move] = [lambda one: taken(one, 0), lambda one: taken(one, 1)]
        moves += [(bias, parts)] if summed else [(bias, [part]) for part in parts]
    weights = []
    for place, (whole, parts) in enumerate(moves):
        made = as_weights(sum(part(whole.elements) for part in parts))
        layout = whole.layout(*parts, argument="bias" if place > 1 else "")
        weights.append((call.build.draft.shared(constant(made, f"{whole.label}[{number}, {place}]")).elements, layout))
    return weights


def _cells(call: Call, name: str, directions: Sequence[bool], channels: int) -> list[_Cell]:
    kind, order, defaults = _KINDS[name]
    tensors = _weights(call, kind, len(directions), channels)
    reset_after = kind is GRU and call.attributes.flag("linear_before_reset", False)
    cells = list[_Cell]()
    for number, activations in enumerate(_activations(call, defaults, len(directions))):
        trained = _trained(call, number, tensors, order, summed=not reset_after)
        layouts: Mapping[str, ModelLayout] = {
            name: layout for name, (_, layout) in zip(recurrent.VARIABLES, trained, strict=False) if layout
        }
        weights = [values for values, _ in trained]
        options = {"reset_after": reset_after, "return_state": call.wanted[2:3] == (True,)}
        cell = recurrent.cell(kind, weights, activations[-1], activations[0], **options)
        cell = replace(cell, clip=call.attributes.number("clip", math.inf))
        if isinstance(cell, LSTM) and call.operand(7) is not None:
            peephole, layout = _peephole(call, number, len(directions), cell.units)
            cell = replace(cell, peephole=peephole)
            layouts = {**layouts, **({"peephole_weight": layout} if layout else {})}
        if isinstance(cell, LSTM) and call.attributes.flag("input_forget", False):
            cell = recurrent.coupled(cell)
        cells.append((recurrent.backwards(cell) if directions[number] else cell, layouts))
    return cells


def _peephole(call: Call, number: int, count: int, units: int) -> tuple[Floats | None, ModelLayout | None]:
    """The peephole weights of direction ``number`` in our order, which has those of the output last; None if all are 0."""
    peephole = call.trained(7, "the peephole weight")
    if peephole.shape != (count, 3 * units):
        raise ModelFileError(
            f"peephole weights of shape {peephole.shape}", where=call.attributes.where, accepted=f"{(count, 3 * units)}"
        )

    def taken(values: Floats) -> Floats:
        one, out, forget = np.split(values[number], 3)
        return as_weights(np.concatenate([one, forget, out]))

    return (
        (taken(peephole.elements), peephole.layout(taken)) if bool(np.any(peephole.elements[number])) else (None, None)
    )


def _initial(call: Call, cells: Sequence[_Cell], first: bool) -> list[tuple[Value, ...]]:
    """The initial states of each direction."""
    count, units = len(cells), cells[0][0].units
    zeros = constant(np.zeros((1, count, units) if first else (count, 1, units)))
    numbers = range(5, 5 + len(cells[0][0].states))
    states = [zeros if call.operand(number) is None else call.tensor(number) for number in numbers]
    given = recurrent.given_states(call.build, states, Batch(0 if first else 1), count, [units] * len(states))
    return [recurrent.states_of(call.build, given, number) for number in range(count)]


def _recurrent(name: str) -> Translation:
    def read(call: Call) -> tuple[Value | None, ...]:
        directions = call.attributes.choice("direction", _DIRECTIONS, "forward")
        first = call.attributes.flag("layout", False)
        x = _sequence(call, first)
        cells = _cells(call, name, directions, x.shape[1])
        return _results(call, cells, x, _initial(call, cells, first), first)

    return Translation(read, f"{_KINDS[name][0].__name__}, one for each direction")


def _results(
    call: Call, cells: Sequence[_Cell], x: Value, states: Sequence[tuple[Value, ...]], first: bool
) -> tuple[Value | None, ...]:
    """Return the steps, the last hidden state and that of the cell as far as read, with an axis for the directions.

    Steps are (time, directions, batch, units), or with the batch ``first`` (batch, time, directions, units).
    """
    results: list[Value | None] = [None, None, None]
    wanted = [k for k in range(1 + len(cells[0][0].states)) if k < len(call.wanted) and call.wanted[k]]
    for k in wanted:
        build = call.build if k == wanted[0] else call.build.within(RESULTS[k])
        each = replace(build, source=call.node.kind)
        builds = [each.within(name) for name in DIRECTIONS] if len(cells) > 1 else [each]
        both = [
            recurrent.run(one, cell, x, initial, k, layouts=layouts)
            for one, (cell, layouts), initial in zip(builds, cells, states, strict=True)
        ]
        results[k] = recurrent.together(build, both, int(first) + int(k == 0), "directions")
    return tuple(results)


RECURRENT: Operators = {name: _recurrent(name) for name in _KINDS}
