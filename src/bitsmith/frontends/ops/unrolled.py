"""Recurrent cells with quantizers, unrolled: the fourth domain of :mod:`bitsmith.layers.recurrent_cell`, the layers of a network.

In: the equations of a recurrent layer, trained tensors on their grids, and a framework's placement of quantizers. Out: layers,
one step after the other.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.names import joined_names
from bitsmith.frontends.builder.value import Value, constant, held, quantizers_of
from bitsmith.frontends.ops.arithmetic import add, multiply, subtract
from bitsmith.frontends.ops.recurrent import VARIABLES
from bitsmith.frontends.ops.selection import part, select, stack
from bitsmith.layers.dense import Dense
from bitsmith.layers.recurrent import Recurrent
from bitsmith.layers.recurrent_cell import CellDomain

Function: TypeAlias = Callable[[Builder, Value], Value]
States: TypeAlias = tuple[Value, ...]
Names: TypeAlias = tuple[tuple[str, str], ...]

Gates: TypeAlias = tuple[Value, ...]
"""Channels of several gates: one value for each, or one with those of all, side by side."""

ONE = held(constant(1.0))


def unchanged(build: Builder, x: Value) -> Value:
    """``x``, in place of a quantizer that is not there."""
    return x


@dataclass(frozen=True, slots=True)
class Products:
    """The products of a cell with trained tensors of all its gates, which ``build``, that of the layer, names.

    Args:
        kernel: the weights of the operand, a constant of shape (channels, gates * units) with its grid, if it has one.
        recurrent_kernel: those of the state, (units, gates * units).
        bias: (gates * units,), or (2, gates * units) with a row for each of the two products.
    """

    build: Builder
    kernel: Value
    recurrent_kernel: Value
    bias: Value | None

    def operands(self, x: Value) -> Gates:
        """The product of all steps with the weights of all gates."""
        names = names_of(self.build, *VARIABLES[::2])
        return (product(self.build.within("operands"), x, (self.kernel, self._row(0)), names),)

    def recurrent(self, build: Builder, hidden: Value, first: int, last: int) -> Gates:
        """The product of a state with the weights of some gates."""
        units = len(self.recurrent_kernel.elements)
        columns, bias = slice(first * units, last * units), self._row(1)
        own = None if bias is None else bias.moved(lambda values: values[columns])
        kernel = self.recurrent_kernel.moved(lambda values: values[:, columns])
        return (product(build, hidden, (kernel, own), names_of(self.build, *VARIABLES[1::2])),)

    def _row(self, number: int) -> Value | None:
        """The bias of the product with the operand (0), or with the state (1)."""
        if self.bias is None or self.bias.rank == 1:
            return None if number else self.bias
        return self.bias.moved(lambda values: values[number])


@dataclass(frozen=True, slots=True)
class QuantizedCell:
    """A recurrent cell with quantizers.

    Args:
        equations: the layer that says what a step computes, in floats.
        recurrent: the product of a state with the weights of gates from one to another (excluded).
        functions: what becomes of results of the equations, by their names: of states ("state", "cell"), and ("seen") of what a
            step sees of one; of sums ("gates", "cell_sum") and products ("kept", "fresh"); "rounded" of what a GRU's candidate
            takes from the product that follows, or precedes, its reset gate; and, as activations with their quantizers, of
            "candidate", "cell_activation", and the gates. What is 0 in the first step has none.
        apart: the recurrent activation works on one gate, else ("opened") on all that open at once.
        places: of the gates among the columns of products.
        one: what the openings of a gate that is not there add up to with those of another.
    """

    equations: Recurrent
    recurrent: Callable[[Builder, Value, int, int], Gates]
    functions: Mapping[str, Function]
    apart: bool = True
    places: Sequence[int] = range(4)
    one: Value = ONE

    def unrolled(
        self,
        build: Builder,
        operands: Gates,
        states: States = (),
        *,
        sequences: bool,
        backwards: bool,
        mirrored: bool = False,
        axis: int = 1,
    ) -> tuple[Value, States]:
        """The results of all steps, or of the last one; and the last states. See :func:`over_steps`.

        First ``states`` are zeros unless they are given.
        """
        zeros = (held(constant(np.zeros((1, self.equations.units)))),) * len(self.equations.states)
        shown, last = over_steps(
            build,
            operands,
            states or zeros,
            self._step,
            sequences=sequences,
            backwards=backwards,
            mirrored=mirrored,
            axis=axis,
        )
        return (shown if sequences else build.renamed(shown)), last

    def _step(self, build: Builder, x: Gates, states: States) -> tuple[Value, States]:
        on = _OnLayers(self, build)
        following = tuple(state for (state,) in self.equations.advance(on, x, tuple(map(on.seen, states))))
        return following[0], following


class _OnLayers(CellDomain[Gates]):
    """Layers of one step."""

    def __init__(self, cell: QuantizedCell, build: Builder) -> None:
        self._cell, self._build, self._named = cell, build, Counter[str]()
        self._cut: dict[int, tuple[Value, int]] = {}

    def _within(self, name: str) -> Builder:
        self._named[name] += 1
        return self._build.within(name if self._named[name] == 1 else f"{name}{self._named[name]}")

    def _through(self, name: str, x: Gates, suffix: str = "") -> Gates:
        """``x`` through the function of that name, if there is one."""
        function = self._cell.functions.get(name)
        return x if function is None else tuple(function(self._within(suffix or name), value) for value in x)

    def seen(self, state: Value) -> Gates:
        """A state as the step sees it."""
        return tuple(map(held, self._through("seen", (state,))))

    def add(self, x: Gates, y: Gates, name: str = "") -> Gates:
        if _are_zero(x) or _are_zero(y):
            return y if _are_zero(x) else x
        return self._through(name, tuple(add(self._within("sum"), *pair) for pair in zip(x, y, strict=True)))

    def multiply(self, x: Gates, y: Gates, name: str = "") -> Gates:
        if _are_zero(x) or _are_zero(y):
            return x if _are_zero(x) else y
        return self._through(name, tuple(multiply(self._within("product"), *pair) for pair in zip(x, y, strict=True)))

    def mix(self, share: Gates, x: Gates, y: Gates) -> Gates:
        rest = subtract(self._within("rest"), self._cell.one, share[0])
        return self.add(self.multiply(share, x, "kept"), self.multiply((rest,), y, "fresh"), "cell_sum")

    def gates(self, x: Gates, first: int, last: int) -> Gates:
        if len(x) > 1:
            return x[first:last]
        (value,), units = x, self._cell.equations.units
        whole, before = self._cut.get(value.node, (value, 0)) if isinstance(value.node, int) else (value, 0)
        start = before + self._cell.places[first] * units
        channels = range(start, start + (last - first) * units)
        cut = part(self._within("gate"), whole, {whole.rank - 1: channels})
        if isinstance(cut.node, int):
            self._cut[cut.node] = whole, start
        return (cut,)

    def recurrent(self, hidden: Gates, first: int, last: int) -> Gates:
        return self._cell.recurrent(self._within("state"), hidden[0], first, last)

    def activation(self, x: Gates, name: str) -> Gates:
        return self._through(name, x, "activation")

    def recurrent_activation(self, x: Gates, names: Sequence[str]) -> Gates:
        if not self._cell.apart:
            return self._through("opened", x, "opening")
        single = [self.gates(x, k, k + 1) if len(names) > 1 else x for k in range(len(names))]
        opened = (self._through(name, gate, "opening") for name, gate in zip(names, single, strict=True))
        return tuple(chain.from_iterable(opened))

    def peephole(self, cell: Gates, first: int, last: int) -> Gates:
        raise UnsupportedError("peephole weights", accepted="quantized recurrences without any")

    def clipped(self, x: Gates, limit: float) -> Gates:
        if np.isfinite(limit):
            raise UnsupportedError("clipped states", accepted="quantizers that saturate")
        return x

    def chosen(self, condition: Gates, x: Gates, y: Gates) -> Gates:
        raise UnsupportedError("a mask of steps", accepted="sequences without a mask")

    def state(self, variable: str, x: Gates) -> Gates:
        return self._through(variable, x)

    def rounded(self, x: Gates, guard: int) -> Gates:
        return tuple(map(held, self._through("rounded", x)))


def _are_zero(x: Gates) -> bool:
    """Return True for what the first step sees of a state of 0, and for its products."""
    return all(value.constant is not None and not np.any(value.constant) for value in x)


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
    trained = {name: build.draft.shared(one) for name, one in pairs if one is not None}
    layer = Dense(trained["weight"].elements, trained["bias"].elements if "bias" in trained else None)
    layouts = {}
    for (name, one), cell in zip(trained.items(), names, strict=False):
        layout = one.layout(lambda elements: elements, argument="bias" if name == "bias" else "")
        if layout is not None:
            layouts[name] = replace(layout, cell=cell)
    return held(build.emit(layer, x, quantizers=quantizers_of(**trained), layouts=layouts))


def over_steps(
    build: Builder,
    operands: Gates,
    states: States,
    step: Callable[[Builder, Gates, States], tuple[Value, States]],
    *,
    sequences: bool,
    backwards: bool,
    mirrored: bool = False,
    axis: int = 1,
) -> tuple[Value, States]:
    """The results of all steps (``sequences``), or of the last one; and the last states. Steps are along an ``axis``.

    A ``step`` gives its result and its states. Steps go ``backwards`` from the last one; ``mirrored`` gives results in reverse
    order.
    """
    numbers = range(operands[0].dims[axis])
    results: list[Value] = []
    for number in reversed(numbers) if backwards else numbers:
        is_last = len(results) == len(numbers) - 1 and not sequences
        inner = build if is_last else build.within(f"step{number}")
        own = [select(inner.within(f"x{k + 1 if k else ''}"), x, axis, number) for k, x in enumerate(operands)]
        result, states = step(inner, tuple(own), states)
        results.append(result)
    shown = stack(build, results[::-1] if mirrored else results, axis) if sequences else results[-1]
    return shown, states
