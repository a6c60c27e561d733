"""Samples for which a layer may decide otherwise in the circuit, as its operands there are near to where its result jumps.

How far operands are from the float model's is measured on a few samples; by that all others are judged, without the float model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.fidelity.predictions import most_compared
from bitsmith.fidelity.ties import decides_anew, differing, open_decisions
from bitsmith.ir.program import Output, Program
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.network import Network, NetworkNode, Revision
from bitsmith.layers.settled import settled
from bitsmith.passes.network.quantized_inputs import compared_inputs

_BEYOND = 2.0
"""Times the greatest measured error of an operand that are allowed for."""

_ELEMENTS = 1 << 22
"""Elements of all operands of the samples that are looked at together."""


class Decisions:
    """The layers of a network that decide by numbers which the circuit rounds, and the errors of these."""

    def __init__(self, network: Network, program: Program) -> None:
        self._network, self._at_once = network, most_compared(network, every=False)
        probes = {probe.name: probe.node for probe in program.probes}
        shown = {node.name for node in network.nodes if node.name in probes and node.affine is None}
        known = shown | {node.name for node in network.nodes if isinstance(node.layer, Constant)}
        # Thresholds of inputs are looked at themselves, and what a quantized model has settled is exact.
        exact, compared = settled(network), compared_inputs(network)
        looked_at = [
            node for node in network.nodes if node.layer.jumps and not decides_anew(node) and node.name not in compared
        ]
        self._nodes = [node for node in looked_at if known >= {*node.inputs} and not exact >= {*node.inputs}]
        self._held = [name for name in probes if any(name in node.inputs for node in self._nodes)]
        fracs = {name: program.nodes[probes[name]].type.frac for name in self._held}
        self._steps = {name: float(np.ldexp(1.0, -frac).max(initial=0.0)) for name, frac in fracs.items()}
        self._program = replace(program, outputs=tuple(Output(name, probes[name]) for name in self._held))
        self._errors = dict.fromkeys(self._held, 0.0)
        self._largest, self._measured = np.zeros(len(network.inputs)), 0

    @cached_property
    def _emulator(self) -> Emulator:
        return Emulator(self._program)

    def otherwise(self, batches: Sequence[Batch], most: int) -> tuple[npt.NDArray[np.intp], int]:
        """The numbers of the samples that are decided otherwise, and of how many samples that was looked at, ``most`` at most."""
        near, count = self._near(batches)[:most], len(batches[0])
        parts = [near[at : at + self._at_once] for at in range(0, len(near), self._at_once)]
        others = [rows[self._decided_otherwise([batch[rows] for batch in batches], count)] for rows in parts]
        return np.concatenate([near[:0], *others]), len(near)

    def _decided_otherwise(self, batches: Sequence[Batch], count: int) -> npt.NDArray[np.bool_]:
        """Compare samples, which are some of ``count``, with the float model."""
        inside, other = self._inside(batches), np.zeros(len(batches[0]), np.bool_)

        def decided(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
            if node not in self._nodes:
                return result
            own = node.layer.reference([inside.get(name, x) for name, x in zip(node.inputs, operands, strict=True)])
            right = open_decisions(node.layer, operands, result, own, among=count)
            other[differing(right, own)] = True
            return right

        self._evaluate(batches, decided)
        return other

    def _near(self, batches: Sequence[Batch]) -> npt.NDArray[np.intp]:
        """The numbers of the samples for which some layer may decide otherwise."""
        if not self._held or not len(batches[0]):
            return np.empty(0, np.intp)
        largest = [float(np.abs(batch).max(initial=0.0)) for batch in batches]
        if self._measured < self._at_once or np.any(largest > _BEYOND * self._largest):
            self._measure(batches)
            self._largest = np.maximum(largest, self._largest)
        shapes = self._network.shapes()
        elements = sum(math.prod(shapes[name]) for name in self._held)
        step = max(_ELEMENTS // max(2 * elements * elements.bit_length(), 1), 1)
        parts = [self._are_near([batch[at : at + step] for batch in batches]) for at in range(0, len(batches[0]), step)]
        return np.flatnonzero(np.concatenate(parts))

    def _are_near(self, batches: Sequence[Batch]) -> npt.NDArray[np.bool_]:
        inside, near = self._inside(batches), np.zeros(len(batches[0]), np.bool_)
        given = dict(zip(self._network.inputs, batches, strict=True))
        margins = {
            name: np.abs(given[name] - x) if name in given else self._errors[name] + self._steps[name]
            for name, x in inside.items()
        }
        for node in self._nodes:
            operands = [inside[name] if name in inside else self._constant(name, len(near)) for name in node.inputs]
            apart = [margins.get(name, 0.0) for name in node.inputs]
            result = node.layer.reference(operands)
            signs = _directions(node.layer, [x.shape[1:] for x in operands])
            moved = [
                (x + way[:, None] * margin).reshape(-1, *x.shape[1:])
                for x, way, margin in zip(operands, signs, apart, strict=True)
            ]
            others = node.layer.reference(moved).reshape(-1, *result.shape)
            near |= (others != result).any(axis=(0, *range(2, others.ndim)))
        return near

    def _constant(self, name: str, count: int) -> Floats:
        value = self._network.node(name).layer.reference([])
        return np.broadcast_to(value, (count, *value.shape[1:]))

    def _inside(self, batches: Sequence[Batch]) -> dict[str, Floats]:
        """The operands in the circuit, as they are stored."""
        results = zip(self._held, self._emulator.run(batches), strict=True)
        return {name: self._network.node(name).as_stored(x) for name, x in results}

    def _measure(self, batches: Sequence[Batch]) -> None:
        """Learn from a few samples how far operands are from the float model's."""
        few = [batch[:: -(-len(batch) // self._at_once)] for batch in batches]
        inside = self._inside(few)
        self._measured += len(few[0])

        def measured(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
            if node.name in inside:
                error = _BEYOND * float(np.abs(result - inside[node.name]).max(initial=0.0))
                self._errors[node.name] = max(self._errors[node.name], error)
            return result

        self._evaluate(few, measured)

    def _evaluate(self, batches: Sequence[Batch], seen: Revision) -> None:
        with np.errstate(all="ignore"):
            for _ in self._network.evaluation([batch.astype(np.float64) for batch in batches], seen):
                pass


def _directions(layer: Layer, shapes: Sequence[Shape]) -> list[Floats]:
    """The ways in which operands of some ``shapes`` are moved, 1 or -1 for each element, along a first axis.

    Any two elements that meet, those of operands or all of them, are moved apart in one and towards each other in another.
    """
    numbers, count = list[npt.NDArray[np.int64]](), 0
    for shape in shapes:
        own = np.full(shape, count) if layer.traits.elementwise else count + np.arange(math.prod(shape)).reshape(shape)
        numbers.append(own)
        count += 1 if layer.traits.elementwise else own.size
    bits = np.arange(max((count - 1).bit_length(), 1))
    ways = [1.0 - 2.0 * (own >> bits.reshape(-1, *(1,) * own.ndim) & 1) for own in numbers]
    return [np.concatenate([way, -way]) for way in ways]
