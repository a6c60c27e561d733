"""Samples for which a layer may decide otherwise in the circuit: its operands are near to where its result jumps, or is steep.

How far operands are from the float model's is measured on a few samples; by that all others are judged in the run that computes
them, without the float model.
"""

import math
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.batches import Batch
from bitsmith.fidelity.budgets import allowance, excused
from bitsmith.fidelity.predictions import most_compared
from bitsmith.fidelity.shortfall import USUAL_TOLERANCE
from bitsmith.fidelity.thresholds import Thresholds
from bitsmith.fidelity.ties import decides_anew, deciding
from bitsmith.ir.program import Program
from bitsmith.ir.types import TensorType
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, Layer, Shape, Unary
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settled import settled
from bitsmith.passes.network.quantized_inputs import compared_inputs

_BEYOND = 2.0
"""Times the greatest measured error of an operand that are allowed for."""

_ELEMENTS = 1 << 22
"""Elements of all operands of the samples that are looked at together."""


Rows: TypeAlias = Mapping[str, npt.NDArray[np.intp]]
"""Numbers of samples that may be decided otherwise: by the name of an input a value of which rounding takes across a threshold,
and by "" those for which that happens inside."""


class Decisions:
    """The layers of a network that decide by numbers which the circuit rounds, and the errors of these.

    Attributes:
        shown: the nodes of the program whose numbers a run is to show.
    """

    def __init__(self, network: Network, program: Program) -> None:
        self.network, self._at_once = network, most_compared(network, every=False)
        probes = {probe.name: probe.node for probe in program.probes}
        known = {*probes, *(node.name for node in network.nodes if isinstance(node.layer, Constant))}
        # Thresholds of inputs are looked at themselves, and what a quantized model has settled is exact.
        exact, compared = settled(network), compared_inputs(network)
        types = {name: program.nodes[number].type for name, number in probes.items()}
        lenient = excused(network.nodes) or allowance(network.nodes) > 1.0
        shapes = network.shapes()
        self._deciding = {
            node.name: (node.inputs, layer, least)
            for node in network.nodes
            if node.name not in compared
            and not decides_anew(node)
            and known >= {*node.inputs}
            and not exact >= {*node.inputs}
            for layer, least in _moving(node, {} if lenient else types, shapes)
        }
        self._held = [name for name in probes if any(name in inputs for inputs, *_ in self._deciding.values())]
        self._steps = {name: float(np.ldexp(1.0, -types[name].frac).max(initial=0.0)) for name in self._held}
        self._thresholds = Thresholds(network, program.input_ops())
        entries = (program.inputs[index] for index in self._thresholds.inputs)
        self._unknown = any(node.layer.jumps_within for node in network.nodes)
        self.shown = (*(probes[name] for name in self._held), *entries, *[program.outputs[0].node] * self._unknown)
        self._errors, self._sizes = dict.fromkeys(self._held, 0.0), dict.fromkeys(self._deciding, 0.0)
        self._largest, self._learned, self._learning = np.zeros(len(network.inputs)), 0, Lock()
        elements = sum(math.prod(shapes[name]) for name in self._held)
        self._step = max(_ELEMENTS // max(2 * elements * elements.bit_length(), 1), 1)

    def near(self, batches: Sequence[Batch], shown: Sequence[Floats], *, begins: bool) -> Rows:
        """The samples that may be decided otherwise, of a run that has ``shown`` these numbers: all where they do not tell.

        A run of samples in order ``begins`` after a reset, or goes on.
        """
        crossing = self._thresholds.crossed(batches, shown[len(self._held) :])
        if self._unknown:
            crossing[""] = np.arange(len(batches[0]))
        elif self._held and len(batches[0]):
            inside = self._inside(shown)
            if begins or not self.network.stateful:
                self.learn(batches, shown)
            parts = [slice(at, at + self._step) for at in range(0, len(batches[0]), self._step)]
            near = [
                self._are_near([x[part] for x in batches], {k: x[part] for k, x in inside.items()}) for part in parts
            ]
            for name in near[0]:
                if (rows := np.flatnonzero(np.concatenate([part[name] for part in near]))).size:
                    crossing[name] = np.union1d(crossing.get(name, rows), rows)
        return crossing

    def _are_near(self, batches: Sequence[Batch], inside: Mapping[str, Floats]) -> dict[str, npt.NDArray[np.bool_]]:
        near = dict[str, npt.NDArray[np.bool_]]()
        fed = dict(zip(self.network.inputs, batches, strict=True))
        margins = {
            name: np.abs(fed[name] - x) if name in fed else self._errors[name] + self._steps[name]
            for name, x in inside.items()
        }
        for node, (names, layer, least) in self._deciding.items():
            least = min(least, USUAL_TOLERANCE.error * self._sizes[node])
            operands = [inside[name] if name in inside else self._constant(name, len(batches[0])) for name in names]
            apart = [margins.get(name, 0.0) for name in names]
            signs = _directions(layer, [x.shape[1:] for x in operands])
            moved = [
                (x + way[:, None] * margin).reshape(-1, *x.shape[1:])
                for x, way, margin in zip(operands, signs, apart, strict=True)
            ]
            with np.errstate(all="ignore"):
                result = layer.reference(operands)
                others = layer.reference(moved).reshape(-1, *result.shape)
                moves = np.asarray((~(np.abs(others - result) <= least)).any(axis=(0, *range(2, others.ndim))))
            # What is an input is no number that single precision has rounded.
            read = [name for name in names if not isinstance(self.network.node(name).layer, Constant)]
            by = read[0] if read and all(name in fed for name in read) else ""
            near[by] = near[by] | moves if by in near else moves
        return near

    def _constant(self, name: str, count: int) -> Floats:
        value = self.network.node(name).layer.reference([])
        return np.broadcast_to(value, (count, *value.shape[1:]))

    def _inside(self, shown: Sequence[Floats]) -> dict[str, Floats]:
        """The operands in the circuit, as they are stored."""
        return {name: self.network.node(name).as_stored(x) for name, x in zip(self._held, shown, strict=False)}

    def learn(self, batches: Sequence[Batch], shown: Sequence[Floats]) -> None:
        """Learn from a few samples, in order those after a reset, how far operands are off, and the ranges of results."""
        largest = np.array([float(np.abs(batch).max(initial=0.0)) for batch in batches])
        with self._learning:
            if self._learned >= self._at_once and not np.any(largest > _BEYOND * self._largest):
                return
            each = 1 if self.network.stateful else -(-len(batches[0]) // self._at_once)
            few = slice(None, self._at_once * each, each)
            inside = {name: x[few] for name, x in self._inside(shown).items()}
            with np.errstate(all="ignore"):
                for node, _, result in self.network.evaluation([batch[few].astype(np.float64) for batch in batches]):
                    if node.name in inside:
                        error = _BEYOND * float(np.abs(result - inside[node.name]).max(initial=0.0))
                        self._errors[node.name] = max(self._errors[node.name], error)
                    if node.name in self._sizes and (finite := result[np.isfinite(result)]).size:
                        self._sizes[node.name] = max(self._sizes[node.name], float(np.ptp(finite)))
            self._learned += len(batches[0][few])
            self._largest = np.maximum(largest, self._largest)


def _moving(
    node: NetworkNode, types: Mapping[str, TensorType], shapes: Mapping[str, Shape]
) -> list[tuple[Layer, float]]:
    """The layers that decide, and by how much results have to differ: any, of a steep function as much as a user notices."""
    found = [(one, 0.0) for one in deciding(node.layer)]
    if found or not types.keys() >= {node.name, *node.inputs[-1:]}:
        return found
    (least, most), (lowest, highest) = (types[name].real_range() for name in (node.inputs[-1], node.name))
    size = node.layer.steep(least, most, highest - lowest, shapes[node.inputs[0]])
    return [(node.layer, USUAL_TOLERANCE.error * size)] if size else []


def _directions(layer: Layer, shapes: Sequence[Shape]) -> list[Floats]:
    """The ways in which operands of some ``shapes`` are moved, 1 or -1 for each element, along a first axis.

    Any two elements that meet, those of operands or all of them, are moved apart in one and towards each other in another.
    """
    numbers, count, apart = list[npt.NDArray[np.int64]](), 0, layer.traits.elementwise or isinstance(layer, Unary)
    for shape in shapes:
        own = np.full(shape, count) if apart else count + np.arange(math.prod(shape)).reshape(shape)
        numbers.append(own)
        count += 1 if apart else own.size
    bits = np.arange(max((count - 1).bit_length(), 1))
    ways = [1.0 - 2.0 * (own >> bits.reshape(-1, *(1,) * own.ndim) & 1) for own in numbers]
    return [np.concatenate([way, -way]) for way in ways]
