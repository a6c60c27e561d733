"""Reader of NIR graphs, live or from files (J. Pedersen et al., Nature Communications 15, 2024; https://neuroir.org).

The equations of neurons are in continuous time. They become steps of a time ``dt`` by Euler's method, as in the frameworks that
read NIR: a decay is ``1 - dt / tau``, a spike of one step counts as a current of 1 for that step. Integrators without a time
constant (``IF`` and ``I``) add ``r`` times their input, whatever the step is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.input_shapes import InputShapes
from bitsmith.frontends.spiking.layers import SpikingBuilder, Times, number
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.network import Network
from bitsmith.layers.pooling import AveragePool
from bitsmith.layers.spiking import Neurons, Reset

Values: TypeAlias = Mapping[str, "Floats | str"]
Edges: TypeAlias = Sequence[tuple[str, str]]

_DT = 1e-4
"""Seconds of a step, where the graph does not say: as in snnTorch."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a graph: its type and its parameters."""

    kind: str
    values: Values


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by name, and the edges between them. ``dt`` are the seconds of a step, if the graph says so."""

    nodes: Mapping[str, Node]
    edges: Edges
    dt: float | None


def read_graph(graph: Graph, shapes: InputShapes | None, where: str) -> Network:
    """The network of a graph whose subgraphs are resolved.

    Raises:
        ModelFileError: edges of nodes that are not there.
        UnsupportedError: nodes that cannot be translated.
    """
    for edge in graph.edges:
        if missing := [end for end in edge if end not in graph.nodes]:
            raise ModelFileError(f"an edge of the node {shown(missing[0])}, which is not there", where=where)
    inputs = [name for name, node in graph.nodes.items() if node.kind == "Input"]
    outputs = [name for name, node in graph.nodes.items() if node.kind == "Output"]
    if not inputs or not outputs:
        raise ModelFileError("a graph without inputs or outputs", where=where)
    items = [_shape(graph.nodes[name], f"{where}, node {shown(name)}") for name in inputs]
    builder = SpikingBuilder(Times.of(shapes, items), where)
    results = dict[str, str]()
    loops = _loops(graph)
    edges = [edge for edge in graph.edges if edge[0] not in loops.values() and edge[1] not in loops.values()]
    reader = _Reader(builder, graph.dt or _DT, where)
    for name, item in zip(inputs, items, strict=True):
        results[name] = builder.input(name, item)
    for name in _order([name for name in graph.nodes if name not in loops.values()], edges, where):
        node = graph.nodes[name]
        if node.kind == "Input":
            continue
        operands = [results[source] for source, target in edges if target == name]
        if not operands:
            raise ModelFileError(f"the node {shown(name)} has no input", where=where)
        x = builder.sum(name, operands)
        results[name] = x
        if node.kind not in ("Output", "Port"):
            back = graph.nodes[loops[name]] if name in loops else None
            results[name] = reader.node(name, node, x, back)
    for name in outputs:
        builder.output(results[name])
    return builder.network("nir", _notes(graph))


def _notes(graph: Graph) -> list[str]:
    if graph.dt is not None or not any("tau" in name for node in graph.nodes.values() for name in node.values):
        return []
    return [
        f"The graph does not say how long a time step is: {_DT:g} s is taken, as snnTorch does. "
        "Give another as graph.metadata['dt']."
    ]


def _shape(node: Node, where: str) -> Shape:
    found = node.values.get("shape", node.values.get("input_type"))
    sizes = found.ravel().tolist() if isinstance(found, np.ndarray) else []
    if not sizes or any(size != int(size) or size < 1 for size in sizes):
        raise ModelFileError("an input without a shape", where=where, accepted="positive sizes")
    return tuple(map(int, sizes))


def _loops(graph: Graph) -> dict[str, str]:
    """The nodes of weights that lead the spikes of neurons back to these, by the neurons' name."""
    found = dict[str, str]()
    for source, target in graph.edges:
        into = [edge[0] for edge in graph.edges if edge[1] == target]
        out = [edge[1] for edge in graph.edges if edge[0] == target]
        if into == [source] and out == [source] and graph.nodes[target].kind in ("Linear", "Affine"):
            found[source] = target
    return found


def _order(names: Sequence[str], edges: Edges, where: str) -> list[str]:
    """The nodes, each after those that it reads.

    Raises:
        UnsupportedError: a cycle.
    """
    waiting = {name: {source for source, target in edges if target == name} for name in names}
    ordered: list[str] = []
    while waiting:
        ready = [name for name, sources in waiting.items() if not sources & waiting.keys()]
        if not ready:
            raise UnsupportedError(
                f"a cycle through {', '.join(map(shown, list(waiting)[:5]))}",
                where=where,
                accepted="cycles of one node of neurons and one of weights",
            )
        ordered += ready
        for name in ready:
            del waiting[name]
    return ordered


class _Reader:
    """Translates nodes, one after another."""

    def __init__(self, builder: SpikingBuilder, dt: float, where: str) -> None:
        self._builder, self._dt, self._where = builder, dt, where
        self._kinds: dict[str, Callable[[str, Node, str], str]] = {
            "Linear": self._affine,
            "Affine": self._affine,
            "Scale": self._scale,
            "Conv1d": self._conv,
            "Conv2d": self._conv,
            "SumPool2d": self._pool,
            "AvgPool2d": self._pool,
            "Flatten": self._flatten,
        }

    def node(self, name: str, node: Node, x: str, back: Node | None) -> str:
        """The result of a node; ``back`` are the weights of its spikes, if it has them."""
        if node.kind in _NEURONS:
            return self._neurons(name, node, x, back)
        if node.kind not in self._kinds:
            raise UnsupportedError(
                f"a node of type {shown(node.kind)}",
                where=self._place(name),
                accepted=", ".join(["Input, Output", *self._kinds, *_NEURONS]),
            )
        return self._kinds[node.kind](name, node, x)

    def _place(self, name: str) -> str:
        return f"{self._where}, node {shown(name)}"

    def _affine(self, name: str, node: Node, x: str) -> str:
        place = self._place(name)
        bias = number(node.values, "bias", place) if node.kind == "Affine" else None
        return self._builder.dense(name, node.kind, x, number(node.values, "weight", place), bias)

    def _scale(self, name: str, node: Node, x: str) -> str:
        return self._builder.scaled(name, node.kind, x, number(node.values, "scale", self._place(name)))

    def _conv(self, name: str, node: Node, x: str) -> str:
        place = self._place(name)
        kernel = number(node.values, "weight", place)
        rank = kernel.ndim - 2
        strides, dilation = (_axes(node, each, rank, place) for each in ("stride", "dilation"))
        groups = int(number(node.values, "groups", place).item())
        bias = number(node.values, "bias", place) if "bias" in node.values else None
        padding = _padding(node, kernel.shape[2:], dilation, place)
        return self._builder.conv(name, node.kind, x, kernel, bias, strides, padding, dilation, groups)

    def _pool(self, name: str, node: Node, x: str) -> str:
        size, strides, padding = (
            _axes(node, each, 2, self._place(name)) for each in ("kernel_size", "stride", "padding")
        )
        layer = AveragePool(
            size,
            strides,
            tuple((each, each) for each in padding),
            count_include_pad=True,
            total=node.kind == "SumPool2d",
        )
        return self._builder.pool(name, node.kind, x, layer)

    def _flatten(self, name: str, node: Node, x: str) -> str:
        first, last = (int(number(node.values, each, self._place(name)).item()) for each in ("start_dim", "end_dim"))
        rank = len(self._builder.item(x))
        if first != 0 or last % rank != rank - 1:
            raise UnsupportedError(
                f"start_dim {first} and end_dim {last}", where=self._place(name), accepted="0 and -1: all axes as one"
            )
        return self._builder.flat(name, node.kind, x)

    def _neurons(self, name: str, node: Node, x: str, back: Node | None) -> str:
        place = self._place(name)
        gain, layer = _NEURONS[node.kind](_Parameters(node.values, self._dt, place))
        offset = None
        if back is not None:
            weight = number(back.values, "weight", place)
            layer = replace(layer, kernel=as_weights(weight.T * gain.reshape(1, -1)))
            offset = gain * number(back.values, "bias", place) if back.kind == "Affine" else None
        x = self._builder.scaled(f"{name}_current", node.kind, x, gain, offset)
        return self._builder.neurons(name, node.kind, x, layer)


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Parameters of a node of neurons, for steps of ``dt`` seconds."""

    values: Values
    dt: float
    where: str

    def __getitem__(self, name: str) -> Floats:
        return number(self.values, name, self.where)

    def share(self, tau: str) -> Floats:
        """Return ``dt / tau``.

        Raises:
            UnsupportedError: a time constant that is shorter than a step.
        """
        constant = self[tau]
        if not bool(np.all(constant >= self.dt)):
            raise UnsupportedError(
                f"{tau} of {float(constant.min()):g} s with steps of {self.dt:g} s",
                where=self.where,
                accepted="time constants that are no shorter than a step",
                remedy="give the length of a step as graph.metadata['dt']",
            )
        return np.asarray(self.dt / constant, dtype=np.float64)

    @property
    def rest(self) -> Floats | None:
        """The value after a spike."""
        return as_weights(self["v_reset"]) if "v_reset" in self.values else None

    def drive(self, share: Floats) -> Floats | None:
        """The addend of the leak in each step; None of nothing."""
        drive = share * self["v_leak"]
        return as_weights(drive) if np.any(drive) else None


def _lif(of: _Parameters) -> tuple[Floats, Neurons]:
    share = of.share("tau")
    threshold = as_weights(of["v_threshold"])
    return of["r"] * share, Neurons(as_weights(1.0 - share), threshold, rest=of.rest, drive=of.drive(share))


def _li(of: _Parameters) -> tuple[Floats, Neurons]:
    share = of.share("tau")
    return of["r"] * share, Neurons(as_weights(1.0 - share), None, drive=of.drive(share))


def _cuba_li(of: _Parameters) -> tuple[Floats, Neurons]:
    # The current is linear in what comes in, so that both factors may be there.
    share, synapse = of.share("tau_mem"), of.share("tau_syn")
    gain = of["w_in"] * synapse * of["r"] * share
    layer = Neurons(as_weights(1.0 - share), None, synapse=as_weights(1.0 - synapse), drive=of.drive(share))
    return gain, layer


def _cuba_lif(of: _Parameters) -> tuple[Floats, Neurons]:
    gain, layer = _cuba_li(of)
    return gain, replace(layer, threshold=as_weights(of["v_threshold"]), rest=of.rest)


def _if(of: _Parameters) -> tuple[Floats, Neurons]:
    return of["r"], Neurons(as_weights(1.0), as_weights(of["v_threshold"]), rest=of.rest)


def _i(of: _Parameters) -> tuple[Floats, Neurons]:
    return of["r"], Neurons(as_weights(1.0), None)


def _threshold(of: _Parameters) -> tuple[Floats, Neurons]:
    return np.ones(1), Neurons(as_weights(0.0), as_weights(of["threshold"]), Reset.NONE)


_NEURONS: dict[str, Callable[[_Parameters], tuple[Floats, Neurons]]] = {
    "LIF": _lif,
    "LI": _li,
    "CubaLIF": _cuba_lif,
    "CubaLI": _cuba_li,
    "IF": _if,
    "I": _i,
    "Threshold": _threshold,
}


def _axes(node: Node, name: str, rank: int, where: str) -> tuple[int, ...]:
    """A whole number for each of ``rank`` axes."""
    found = number(node.values, name, where).ravel()
    sizes = tuple(int(size) for size in (np.repeat(found, rank) if found.size == 1 else found))
    if len(sizes) != rank:
        raise UnsupportedError(f"a {name} of {len(sizes)} numbers", where=where, accepted=f"one, or {rank}")
    return sizes


def _padding(node: Node, size: Sequence[int], dilation: Sequence[int], where: str) -> tuple[tuple[int, int], ...]:
    found = node.values.get("padding")
    if not isinstance(found, str):
        return tuple((each, each) for each in _axes(node, "padding", len(size), where))
    if found == "valid":
        return ((0, 0),) * len(size)
    if found == "same":
        reach = [(taps - 1) * step for taps, step in zip(size, dilation, strict=True)]
        return tuple((each // 2, each - each // 2) for each in reach)
    raise UnsupportedError(f"the padding {shown(found)}", where=where, accepted="'same', 'valid' or numbers")
