"""Values of inputs that rounding takes across thresholds or constants, of trees for example, which may lead to other results.

No format of few bits keeps all numbers on their sides: a threshold halfway between two numbers is often the next sample but for
its last place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.fidelity.ties import LAST_PLACE
from bitsmith.ir.ops import Input
from bitsmith.layers.comparing import Comparing
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.logic import Comparison
from bitsmith.layers.network import Network
from bitsmith.layers.thresholds import rounds
from bitsmith.passes.network.quantized_inputs import compared_inputs

_OPEN = 2.0 * LAST_PLACE
"""Share of a constant by which a number beside it may be that constant but for two last places of single precision."""


class Thresholds:
    """The thresholds that inputs are compared with, and what these are in the circuit."""

    def __init__(self, network: Network, entries: Sequence[Input]) -> None:
        self._compared = []
        for name, read in compared_inputs(network).items():
            index, layer = network.inputs.index(read), network.node(name).layer
            assert isinstance(layer, Comparing)
            op = entries[index]
            fracs = np.broadcast_to(op.frac, op.shape).tolist()
            self._compared.append((index, layer.comparisons(fracs, rounds=rounds(op))))
        self._constants = list(_with_constants(network, entries))

    def crossed(self, emulator: Emulator, batches: Sequence[Batch]) -> dict[str, npt.NDArray[np.intp]]:
        """The numbers of the samples that have a value on another side of a threshold once rounded, by inputs with any."""
        quantized = cache(lambda index: emulator.quantize(index, batches[index])[0])
        crossing = list[tuple[int, npt.NDArray[np.intp]]]()
        for index, features in self._compared:
            values, raw = batches[index], quantized(index)
            across = np.zeros(len(values), np.bool_)
            for k, (edges, bounds) in enumerate(features):
                if edges.size:
                    across |= np.searchsorted(edges, values[:, k]) != np.searchsorted(bounds, raw[:, k])
            crossing.append((index, np.flatnonzero(across)))
        for against in self._constants:
            numbers, frac = batches[against.index], np.asarray(emulator.inputs[against.index].frac)
            rounded = np.ldexp(quantized(against.index).astype(np.float64), -frac)
            crossing.append((against.index, against.crossed(np.asarray(numbers, np.float64), rounded)))
        samples: dict[str, npt.NDArray[np.intp]] = {}
        for index, rows in crossing:
            if rows.size:
                name = emulator.inputs[index].name
                samples[name] = np.union1d(samples.get(name, rows), rows)
        return samples


@dataclass(frozen=True, slots=True)
class _Constant:
    """A comparison of a constant with the elements of an input that some layers move."""

    index: int
    moves: list[Layer]
    comparison: Comparison
    constant: Floats
    first: bool
    near: Floats

    def crossed(self, values: Floats, rounded: Floats) -> npt.NDArray[np.intp]:
        """The samples that rounding may take across the constant, or onto it, but for those that single precision leaves open."""
        before, after = self._moved(values), self._moved(rounded)
        apart = np.abs(before - self.constant)
        told_apart = (apart == 0.0) | (apart > _OPEN * np.abs(self.constant))
        across = (self._holds(before) != self._holds(after)) | (
            (np.abs(after - self.constant) <= self.near) & (before != self.constant)
        )
        return np.flatnonzero((across & told_apart).reshape(len(across), -1).any(axis=1))

    def _moved(self, values: Floats) -> Floats:
        for layer in self.moves:
            values = layer.reference([values])
        return values

    def _holds(self, values: Floats) -> Floats:
        return self.comparison.reference([self.constant, values] if self.first else [values, self.constant])


def _with_constants(network: Network, entries: Sequence[Input]) -> Iterator[_Constant]:
    """The comparisons of inputs with constants."""
    for node in network.nodes:
        if not isinstance(node.layer, Comparison):
            continue
        operands = [network.node(name) for name in node.inputs]
        for (operand, other), first in ((operands, False), (operands[::-1], True)):
            moves = list[Layer]()
            while operand.layer.traits.moves and len(operand.inputs) == 1:
                moves.insert(0, operand.layer)
                operand = network.node(operand.inputs[0])
            if isinstance(other.layer, Constant) and operand.name in network.inputs:
                index = network.inputs.index(operand.name)
                op = entries[index]
                near = np.broadcast_to(np.ldexp(0.5 if rounds(op) else 0.0, -np.asarray(op.frac)), (1, *op.shape))
                against = _Constant(index, moves, node.layer, other.layer.value[None], first, near)
                yield replace(against, near=against._moved(near))
