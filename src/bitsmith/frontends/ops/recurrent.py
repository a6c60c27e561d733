"""Recurrent layers: cells from the weights of frameworks, their initial states, and what they give.

A cell gives, by number, the hidden states after all steps (0), the last one (1), and the last state of an LSTM's cell (2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Batch, Value
from bitsmith.frontends.ops.selection import select, stack
from bitsmith.frontends.ops.shape import unsqueeze
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.recurrent import GRU, LSTM, SIGMOID, TANH, Recurrent, SimpleRNN

Kind: TypeAlias = type[SimpleRNN | LSTM | GRU]

DIRECTIONS = ("forward", "backward")
RESULTS = ("steps", "state", "cell_state")
"""Suffixes of results beside the one with the operator's name."""


VARIABLES = ("weight", "recurrent_weight", "bias", "recurrent_bias")
"""The trained tensors of a cell, in the order in which :func:`cell` takes them."""


def cell(
    kind: Kind,
    weights: Sequence[Floats],
    activation: Layer = TANH,
    recurrent_activation: Layer = SIGMOID,
    *,
    reset_after: bool = True,
    return_state: bool = False,
) -> Recurrent:
    """A cell from its kernel, its recurrent kernel, and one bias or two, gate by gate as our layers have them."""
    bias, recurrent_bias = [*weights[2:], None, None][:2]
    layer = kind(weights[0], weights[1], bias, recurrent_bias, activation)
    if isinstance(layer, GRU):
        return replace(layer, recurrent_activation=recurrent_activation, reset_after=reset_after)
    if isinstance(layer, LSTM):
        return replace(layer, recurrent_activation=recurrent_activation, return_state=return_state)
    return layer


def columns(values: Floats, order: Sequence[int]) -> Floats:
    """Weights whose rows are gates as ours, whose columns are; ``order`` has the numbers of our gates among the rows'."""
    if not values.ndim or len(values) % len(order):
        raise UnsupportedError(f"recurrent weights of shape {values.shape}", accepted=f"{len(order)} gates")
    gates = np.split(values, len(order))
    return as_weights(np.concatenate([gates[gate] for gate in order]).T)


def coupled(layer: LSTM) -> LSTM:
    """A cell that forgets what its input gate lets in; the weights of its forget gate, which nothing reads, are 0."""
    weights = (layer.kernel, layer.recurrent_kernel, layer.bias, layer.recurrent_bias)
    unread = slice(layer.units, 2 * layer.units)
    kernel, recurrent_kernel, bias, recurrent_bias = (
        None if values is None else as_weights(_without(values, unread)) for values in weights
    )
    assert kernel is not None and recurrent_kernel is not None
    return replace(
        layer, coupled=True, kernel=kernel, recurrent_kernel=recurrent_kernel, bias=bias, recurrent_bias=recurrent_bias
    )


def _without(values: Floats, columns: slice) -> Floats:
    """``values`` with 0 in ``columns``."""
    kept = values.copy()
    kept[..., columns] = 0.0
    return kept


def backwards(layer: Recurrent) -> Recurrent:
    """A cell from the last step on, with its hidden states in the order of the operand's steps."""
    return replace(layer, go_backwards=True, reversed_result=True)


def run(
    build: Builder,
    layer: Recurrent,
    x: Value,
    states: Sequence[Value],
    result: int,
    mask: Value | None = None,
    layouts: Mapping[str, ModelLayout] | None = None,
) -> Value:
    """A result of a cell on a sequence, from initial states; none stand for zeros. A mask is 0 at steps that are left out.

    ``layouts`` are those of the cell's trained tensors.
    """
    if mask is not None:
        layer, states = replace(layer, masked=True), [*states, mask]
    if result == 0:
        return build.emit(replace(layer, return_sequences=True), x, *states, layouts=layouts)
    layer = replace(layer, return_sequences=False, reversed_result=False)
    layer = replace(layer, of_cell=True) if result == 2 and isinstance(layer, LSTM) else layer
    return replace(build.emit(layer, x, *states, layouts=layouts), batch=Batch(0))


def given_states(
    build: Builder, states: Sequence[Value], batch: Batch, count: int, units: Sequence[int]
) -> tuple[Value, ...]:
    """The initial states of ``count`` cells, as each sample has them, of so many ``units`` each; none stand for zeros."""
    if all(state.constant is not None and not bool(np.any(state.constant)) for state in states):
        return ()
    finals = []
    for state, width in zip(states, units, strict=True):
        state = build.per_sample(state, batch)
        if state.batch is None and state.shape[batch.axis : batch.axis + 1] == (1,):
            state = build.viewed(state, state.dims, batch, "sample")
        if state.batch != batch or state.shape != (count, width):
            raise UnsupportedError(
                f"initial states of axes {state.dims}", accepted=f"{count} of {width} units, for each sample"
            )
        finals.append(state)
    return tuple(finals)


def states_of(build: Builder, states: Sequence[Value], number: int) -> tuple[Value, ...]:
    """The initial states of one cell."""
    return tuple(
        select(build.within(f"initial{k or ''}"), state, 1 if state.batch == Batch(0) else 0, number)
        for k, state in enumerate(states)
    )


def together(build: Builder, values: Sequence[Value], dim: int, one: str = "") -> Value:
    """Join the results of several cells along a new axis; ``one`` is the suffix of a single result."""
    return unsqueeze(build.within(one), values[0], (dim,)) if len(values) == 1 else stack(build, values, dim)
