"""Recurrent cells with quantizers, unrolled: the fourth domain of :mod:`bitsmith.layers.recurrent_cell`, the layers of a network.

In: the equations of a recurrent layer, trained tensors on their grids, and a framework's placement of quantizers. Out: layers,
one step after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.names import joined_names
from bitsmith.frontends.builder.value import Value, constant, held, quantizers_of
from bitsmith.frontends.ops.arithmetic import add, multiply, subtract
from bitsmith.frontends.ops.recurrent import VARIABLES
from bitsmith.frontends.ops.selection import concatenate, part, select, stack
from bitsmith.layers.dense import Dense
from bitsmith.layers.recurrent import Recurrent
from bitsmith.layers.recurrent_cell import CellDomain

Function: TypeAlias = Callable[[Builder, Value], Value]
States: TypeAlias = tuple[Value, ...]
Names: TypeAlias = tuple[tuple[str, str], ...]

_ONE = held(constant(1.0))


def unchanged(build: Builder, x: Value) -> Value:
    """``x``, in place of a quantizer that is not there."""
    return x


@dataclass(frozen=True, slots=True)
class QuantizedCell:
    """A recurrent cell with quantizers.

    Args:
        equations: the layer that says what a step computes, in floats.
        kernel: the weights of the operand, a constant of shape (channels, gates * units) with its grid, if it has one.
        recurrent_kernel: those of the state, (units, gates * units).
        bias: (gates * units,), or (2, gates * units) with a row for each of the two products.
        seen: what a step sees of a state.
        rounded: what a GRU's candidate takes from the product that follows, or precedes, its reset gate.
        activation, recurrent_activation: functions with their quantizers.
        apart: the recurrent activation works on one gate, else on all that open at once.
    """

    equations: Recurrent
    kernel: Value
    recurrent_kernel: Value
    bias: Value | None
    seen: Function
    rounded: Function
    activation: Function
    recurrent_activation: Function
    apart: bool

    def unrolled(
        self, build: Builder, x: Value, *, sequences: bool, backwards: bool, mirrored: bool = False
    ) -> tuple[Value, States]:
        """The results of all steps of ``x``, or of the last one; and the last states. See :func:`over_steps`."""
        names, again = (names_of(build, *variables) for variables in (VARIABLES[::2], VARIABLES[1::2]))
        products = product(build.within("operands"), x, (self.kernel, self._row(0)), names)
        zeros = (held(constant(np.zeros((1, self.equations.units)))),) * len(self.equations.states)
        shown, states = over_steps(
            build,
            products,
            zeros,
            partial(self._step, again),
            sequences=sequences,
            backwards=backwards,
            mirrored=mirrored,
        )
        return (shown if sequences else build.renamed(shown)), states

    def _step(self, names: Names, build: Builder, x: Value, states: States) -> tuple[Value, States]:
        on = _OnLayers(self, build, names)
        following = self.equations.advance(on, x, tuple(map(on.seen, states)))
        return following[0], following

    def _row(self, number: int) -> Value | None:
        """The bias of the product with the operand (0), or with the state (1)."""
        if self.bias is None or self.bias.rank == 1:
            return None if number else self.bias
        return self.bias.moved(lambda values: values[number])

    def recurrent(self, build: Builder, hidden: Value, first: int, last: int, names: Names) -> Value:
        """The product of a state with the weights of some gates."""
        columns = slice(first * self.equations.units, last * self.equations.units)
        bias = self._row(1)
        own = None if bias is None else bias.moved(lambda values: values[columns])
        return product(build, hidden, (self.recurrent_kernel.moved(lambda values: values[:, columns]), own), names)


class _OnLayers(CellDomain[Value]):
    """Layers of one step."""

    def __init__(self, cell: QuantizedCell, build: Builder, names: Names) -> None:
        self._cell, self._build, self._names, self._named = cell, build, names, Counter[str]()
        self._opened: list[tuple[Value, list[Value]]] = []

    def _within(self, name: str) -> Builder:
        self._named[name] += 1
        return self._build.within(name if self._named[name] == 1 else f"{name}{self._named[name]}")

    def seen(self, state: Value) -> Value:
        """A state as the step sees it."""
        return held(self._cell.seen(self._within("seen"), state))

    def add(self, x: Value, y: Value) -> Value:
        return add(self._within("sum"), x, y)

    def multiply(self, x: Value, y: Value) -> Value:
        return multiply(self._within("product"), x, y)

    def mix(self, share: Value, x: Value, y: Value) -> Value:
        rest = subtract(self._within("rest"), _ONE, share)
        return self.add(self.multiply(share, x), self.multiply(rest, y))

    def gates(self, x: Value, first: int, last: int) -> Value:
        units = self._cell.equations.units
        for joined, single in self._opened:
            if joined is x and last == first + 1:
                return single[first]
        return part(self._within("gate"), x, {x.rank - 1: range(first * units, last * units)})

    def recurrent(self, hidden: Value, first: int, last: int) -> Value:
        return self._cell.recurrent(self._within("state"), hidden, first, last, self._names)

    def activation(self, x: Value) -> Value:
        return self._cell.activation(self._within("activation"), x)

    def recurrent_activation(self, x: Value) -> Value:
        count, function = x.dims[-1] // self._cell.equations.units, self._cell.recurrent_activation
        if count == 1 or not self._cell.apart:
            return function(self._within("opening"), x)
        single = [function(self._within("opening"), self.gates(x, gate, gate + 1)) for gate in range(count)]
        joined = concatenate(self._within("opened"), single, x.rank - 1)
        self._opened.append((joined, single))
        return joined

    def peephole(self, cell: Value, first: int, last: int) -> Value:
        raise UnsupportedError("peephole weights", accepted="quantized recurrences without any")

    def clipped(self, x: Value, limit: float) -> Value:
        if np.isfinite(limit):
            raise UnsupportedError("clipped states", accepted="quantizers that saturate")
        return x

    def chosen(self, condition: Value, x: Value, y: Value) -> Value:
        raise UnsupportedError("a mask of steps", accepted="sequences without a mask")

    def state(self, variable: str, x: Value) -> Value:
        return x

    def rounded(self, x: Value, guard: int) -> Value:
        return held(self._cell.rounded(self._within("rounded"), x))


def names_of(build: Builder, *variables: str) -> Names:
    """Return the names by which users know the tensors of a product: of the layer, and of its variables."""
    name = joined_names(build.draft.origins[build.origin].name, build.prefix)
    return tuple((name, variable) for variable in variables)


def product(build: Builder, x: Value, tensors: tuple[Value, Value | None], names: Names) -> Value:
    """The product with a kernel and a bias, parts of the trained tensors, which all steps share.

    That of a first state is a node where it has a bias, which may be loaded: else it would be the trained one for ever.
    """
    if x.constant is not None and tensors[1] is not None:
        x = replace(x, node=build.number(x))
    pairs = zip(("weight", "bias"), tensors, strict=True)
    found = {name: build.draft.shared(one) for name, one in pairs if one is not None}
    layer = Dense(found["weight"].elements, found["bias"].elements if "bias" in found else None)
    layouts = {}
    for (name, one), cell in zip(found.items(), names, strict=False):
        layout = one.layout(lambda elements: elements, argument="bias" if name == "bias" else "")
        if layout is not None:
            layouts[name] = replace(layout, cell=cell)
    return held(build.emit(layer, x, quantizers=quantizers_of(**found), layouts=layouts))


def over_steps(
    build: Builder,
    operands: Value,
    states: States,
    step: Callable[[Builder, Value, States], tuple[Value, States]],
    *,
    sequences: bool,
    backwards: bool,
    mirrored: bool = False,
) -> tuple[Value, States]:
    """The results of all steps (``sequences``), or of the last one; and the last states.

    A ``step`` gives its result and its states. Steps go ``backwards`` from the last one; ``mirrored`` gives results in reverse
    order.
    """
    numbers = range(operands.dims[1])
    results: list[Value] = []
    for number in reversed(numbers) if backwards else numbers:
        is_last = len(results) == len(numbers) - 1 and not sequences
        inner = build if is_last else build.within(f"step{number}")
        result, states = step(inner, select(inner.within("x"), operands, 1, number), states)
        results.append(result)
    shown = stack(build, results[::-1] if mirrored else results, 1) if sequences else results[-1]
    return shown, states
