"""Cells of recurrent layers: simple, LSTM and GRU."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.layers.activation import Activation
from bitsmith.layers.example import Example, quarters
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.recurrence import TANH as TANH
from bitsmith.layers.recurrence import Recurrent as Recurrent
from bitsmith.layers.recurrent_cell import CellDomain, T

SIGMOID = Activation("sigmoid")

LSTM_GATES = ("input", "forget", "candidate", "output")
GRU_GATES = ("update", "reset")
"""The gates that open."""

_RESET_GUARD_BITS = 3
"""Bits below the step of the hidden state that a GRU keeps of the recurrent product before its reset gate."""


@dataclass(frozen=True, slots=True, eq=False)
class SimpleRNN(Recurrent):
    """``h' = activation(x W + b + h U + rb)``."""

    def advance(self, on: CellDomain[T], projected: T, states: tuple[T, ...]) -> tuple[T, ...]:
        z = on.clipped(on.add(projected, on.recurrent(states[0], 0, 1)), self.clip)
        return (on.state("state", on.activation(z, "candidate")),)


@dataclass(frozen=True, slots=True, eq=False)
class LSTM(Recurrent):
    """Gates in the order input, forget, candidate, output (S. Hochreiter, J. Schmidhuber, Neural Computation 9, 1997, with the
    forget gate of F. Gers et al., Neural Computation 12, 2000)::

        i, f, o = recurrent_activation(z)    g = activation(z)    with z = x W + b + h U + rb, gate by gate
        c' = f * c + i * g
        h' = o * activation(c')

    A ``peephole`` (3 * units,), of input, forget and output, adds products with ``c`` to ``i`` and ``f``, with ``c'`` to ``o``.
    With ``coupled`` gates ``f`` is ``1 - i``, whatever the weights of the forget gate are. If the first gate ``keeps``, it
    is ``f``, and ``i`` is ``1 - f``. Cell states are clipped to ``-cell_clip..cell_clip``.
    States: hidden, cell. With ``of_cell`` the result is the cell state after the last step. ``return_state`` says that another
    node shows it: both then have one and the same recurrence.
    """

    recurrent_activation: Layer = SIGMOID
    return_state: bool = False
    of_cell: bool = False
    peephole: Floats | None = None
    coupled: bool = False
    cell_clip: float = math.inf
    keeps: bool = False

    precisions: ClassVar[tuple[str, ...]] = (*Recurrent.precisions, "recurrent_activation", "cell", "peephole_weight")
    trained: ClassVar[Mapping[str, str]] = {**Recurrent.trained, "peephole_weight": "peephole"}
    gates: ClassVar[int] = 4
    states: ClassVar[tuple[str, ...]] = ("state", "cell")

    def advance(self, on: CellDomain[T], projected: T, states: tuple[T, ...]) -> tuple[T, ...]:
        hidden, cell = states
        z = on.add(projected, on.recurrent(hidden, 0, 4), "gates")
        opened = self._opened(on, z, cell, 0, 1 if self.coupled else 2)
        candidate = on.activation(on.clipped(on.gates(z, 2, 3), self.clip), "candidate")
        out = self._opened(on, z, cell, 3, 4) if self.peephole is None else None
        if self.coupled:
            following = on.mix(opened, *((cell, candidate) if self.keeps else (candidate, cell)))
        else:
            kept = on.multiply(on.gates(opened, 1, 2), cell, "kept")
            following = on.add(kept, on.multiply(on.gates(opened, 0, 1), candidate, "fresh"), "cell_sum")
        cell = on.state("cell", on.clipped(following, self.cell_clip))
        out = self._opened(on, z, cell, 3, 4) if out is None else out
        return on.state("state", on.multiply(out, on.activation(cell, "cell_activation"))), cell

    def _opened(self, on: CellDomain[T], z: T, cell: T, first: int, last: int) -> T:
        """The openings of the gates ``first`` to ``last`` (excluded)."""
        gates = on.gates(z, first, last)
        if self.peephole is not None:
            place = min(first, 2)  # the candidate has none
            gates = on.add(gates, on.peephole(cell, place, place + last - first))
        return on.recurrent_activation(on.clipped(gates, self.clip), LSTM_GATES[first:last])

    def _activations(self) -> tuple[Layer, Layer]:
        return self.activation, self.recurrent_activation

    def _peephole(self) -> Floats | None:
        return self.peephole

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        if self.of_cell and self.return_sequences:
            raise UnsupportedError("the cell state of every step", accepted="that of the last step")
        if self.peephole is not None and self.peephole.shape != (3 * self.units,):
            raise UnsupportedError(f"peephole weights of shape {self.peephole.shape}", accepted=f"({3 * self.units},)")
        return Recurrent.output_shape(self, inputs)

    def _shown(self) -> str:
        return "cell" if self.of_cell else "state"

    def _combined(self, body: ProgramBuilder, states: Sequence[Value]) -> Value:
        return body.concat(states, 0) if self.return_state or self.of_cell else states[0]

    def _taken(self, builder: ProgramBuilder, results: Value) -> Value:
        if self.return_state or self.of_cell:
            first = self.units if self.of_cell else 0
            results = builder.slice(results, (0, first), (results.shape[0], first + self.units))
        return Recurrent._taken(self, builder, results)


@dataclass(frozen=True, slots=True, eq=False)
class GRU(Recurrent):
    """Gates in the order update, reset, candidate (K. Cho et al., EMNLP 2014)::

    z, r = recurrent_activation(x W + b + h U + rb), gate by gate
    g = activation(x W + b + r * (h U + rb))    reset_after
    g = activation(x W + b + (r * h) U + rb)    otherwise
    h' = z * h + (1 - z) * g
    """

    recurrent_activation: Layer = SIGMOID
    reset_after: bool = True

    precisions: ClassVar[tuple[str, ...]] = (*Recurrent.precisions, "recurrent_activation")
    gates: ClassVar[int] = 3

    def advance(self, on: CellDomain[T], projected: T, states: tuple[T, ...]) -> tuple[T, ...]:
        hidden = states[0]
        product = on.recurrent(hidden, 0, 3 if self.reset_after else 2)
        gates = on.add(on.gates(projected, 0, 2), on.gates(product, 0, 2))
        opened = on.recurrent_activation(on.clipped(gates, self.clip), GRU_GATES)
        update, reset = on.gates(opened, 0, 1), on.gates(opened, 1, 2)
        if self.reset_after:
            remembered = on.multiply(reset, on.rounded(on.gates(product, 2, 3), _RESET_GUARD_BITS))
        else:
            remembered = on.recurrent(on.rounded(on.multiply(reset, hidden), 0), 2, 3)
        candidate = on.activation(on.clipped(on.add(on.gates(projected, 2, 3), remembered), self.clip), "candidate")
        return (on.state("state", on.mix(update, hidden, candidate)),)

    def _activations(self) -> tuple[Layer, Layer]:
        return self.activation, self.recurrent_activation

    def _added_columns(self) -> int:
        return (2 if self.reset_after else 3) * self.units


EXAMPLES = (
    Example(SimpleRNN(quarters(2, 2), quarters(2, 2), None), ((3, 2),)),
    Example(LSTM(quarters(1, 4), quarters(1, 4), quarters(4)), ((2, 1),)),
    Example(GRU(quarters(1, 3), quarters(1, 3), quarters(3), quarters(3)), ((2, 1),)),
)
