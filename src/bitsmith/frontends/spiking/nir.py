"""Reader of NIR graphs, live or from files (J. Pedersen et al., Nature Communications 15, 2024; https://neuroir.org).

The equations of neurons are in continuous time. They become steps of a time ``dt`` by Euler's method, as in the frameworks that
read NIR: a decay is ``1 - dt / tau``, a spike of one step counts as a current of 1 for that step. Integrators without a time
constant (``IF`` and ``I``) add ``r`` times their input, whatever the step is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
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
            place = f"{where}, node {shown(name)}"
            results[name] = _Call(builder, name, node, x, back, graph.dt or _DT, place).result()
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
    targets = dict[str, str]()
    for source, target in graph.edges:
        into = [edge[0] for edge in graph.edges if edge[1] == target]
        out = [edge[1] for edge in graph.edges if edge[0] == target]
        if into == [source] and out == [source] and graph.nodes[target].kind in ("Linear", "Affine"):
            targets[source] = target
    return targets


def _order(names: Sequence[str], edges: Edges, where: str) -> list[str]:
    """The nodes, each after those that it reads.

    Raises:
        UnsupportedError: a cycle.
    """
    sources = {name: [source for source, target in edges if target == name] for name in names}
    try:
        return list(TopologicalSorter(sources).static_order())
    except CycleError as error:
        found = f"a cycle through {', '.join(map(shown, error.args[1][:5]))}"
        accepted = "cycles of one node of neurons and one of weights"
        raise UnsupportedError(found, where=where, accepted=accepted) from None


@dataclass(frozen=True, slots=True)
class _Call:
    """A node called ``name`` on ``x``, in steps of ``dt`` seconds; ``back`` are the weights of its spikes, if it has them."""

    builder: SpikingBuilder
    name: str
    node: Node
    x: str
    back: Node | None
    dt: float
    where: str

    def result(self) -> str:
        """The result of the node."""
        if self.node.kind not in _KINDS:
            accepted = ", ".join(["Input, Output", *_KINDS])
            raise UnsupportedError(f"a node of type {shown(self.node.kind)}", where=self.where, accepted=accepted)
        return _KINDS[self.node.kind](self)

    def __getitem__(self, name: str) -> Floats:
        return number(self.node.values, name, self.where)

    def axes(self, name: str, rank: int) -> tuple[int, ...]:
        """An integer for each of ``rank`` axes."""
        found = self[name].ravel()
        sizes = tuple(int(size) for size in (np.repeat(found, rank) if found.size == 1 else found))
        if len(sizes) != rank:
            raise UnsupportedError(f"a {name} of {len(sizes)} numbers", where=self.where, accepted=f"one, or {rank}")
        return sizes

    def padding(self, size: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Elements before and after each axis."""
        padding = self.node.values.get("padding")
        if not isinstance(padding, str):
            return tuple((each, each) for each in self.axes("padding", len(size)))
        if padding == "valid":
            return ((0, 0),) * len(size)
        if padding == "same":
            reach = [(taps - 1) * step for taps, step in zip(size, dilation, strict=True)]
            return tuple((each // 2, each - each // 2) for each in reach)
        raise UnsupportedError(f"the padding {shown(padding)}", where=self.where, accepted="'same', 'valid' or numbers")

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
        return as_weights(self["v_reset"]) if "v_reset" in self.node.values else None

    def drive(self, share: Floats) -> Floats | None:
        """The addend of the leak in each step; None of nothing."""
        drive = share * self["v_leak"]
        return as_weights(drive) if np.any(drive) else None


_Kind: TypeAlias = Callable[[_Call], str]


def _conv(of: _Call) -> str:
    kernel = of["weight"]
    rank = kernel.ndim - 2
    strides, dilation = of.axes("stride", rank), of.axes("dilation", rank)
    bias = of["bias"] if "bias" in of.node.values else None
    padding, groups = of.padding(kernel.shape[2:], dilation), int(of["groups"].item())
    return of.builder.conv(of.name, of.node.kind, of.x, kernel, bias, strides, padding, dilation, groups)


def _pool(of: _Call, *, total: bool) -> str:
    size, strides, padding = (of.axes(each, 2) for each in ("kernel_size", "stride", "padding"))
    around = tuple((each, each) for each in padding)
    layer = AveragePool(size, strides, around, count_include_pad=True, total=total)
    return of.builder.pool(of.name, of.node.kind, of.x, layer)


def _flatten(of: _Call) -> str:
    first, last = (int(of[each].item()) for each in ("start_dim", "end_dim"))
    rank = len(of.builder.item(of.x))
    if first != 0 or last % rank != rank - 1:
        found, accepted = f"start_dim {first} and end_dim {last}", "0 and -1: all axes as one"
        raise UnsupportedError(found, where=of.where, accepted=accepted)
    return of.builder.flat(of.name, of.node.kind, of.x)


def _neurons(neurons: Callable[[_Call], tuple[Floats, Neurons]], of: _Call) -> str:
    """Neurons with what their input is multiplied by."""
    gain, layer = neurons(of)
    offset = None
    if of.back is not None:
        back = replace(of, node=of.back)
        layer = replace(layer, kernel=as_weights(back["weight"].T * gain.reshape(1, -1)))
        offset = gain * back["bias"] if of.back.kind == "Affine" else None
    x = of.builder.scaled(f"{of.name}_current", of.node.kind, of.x, gain, offset)
    return of.builder.neurons(of.name, of.node.kind, x, layer)


def _lif(of: _Call) -> tuple[Floats, Neurons]:
    share = of.share("tau")
    threshold = as_weights(of["v_threshold"])
    return of["r"] * share, Neurons(as_weights(1.0 - share), threshold, rest=of.rest, drive=of.drive(share))


def _li(of: _Call) -> tuple[Floats, Neurons]:
    share = of.share("tau")
    return of["r"] * share, Neurons(as_weights(1.0 - share), None, drive=of.drive(share))


def _cuba_li(of: _Call) -> tuple[Floats, Neurons]:
    # The current is linear in what comes in, so that both factors may be there.
    share, synapse = of.share("tau_mem"), of.share("tau_syn")
    gain = of["w_in"] * synapse * of["r"] * share
    layer = Neurons(as_weights(1.0 - share), None, synapse=as_weights(1.0 - synapse), drive=of.drive(share))
    return gain, layer


def _cuba_lif(of: _Call) -> tuple[Floats, Neurons]:
    gain, layer = _cuba_li(of)
    return gain, replace(layer, threshold=as_weights(of["v_threshold"]), rest=of.rest)


_KINDS: dict[str, _Kind] = {
    "Linear": lambda of: of.builder.dense(of.name, of.node.kind, of.x, of["weight"], None),
    "Affine": lambda of: of.builder.dense(of.name, of.node.kind, of.x, of["weight"], of["bias"]),
    "Scale": lambda of: of.builder.scaled(of.name, of.node.kind, of.x, of["scale"]),
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": partial(_pool, total=True),
    "AvgPool2d": partial(_pool, total=False),
    "Flatten": _flatten,
    "LIF": partial(_neurons, _lif),
    "LI": partial(_neurons, _li),
    "CubaLIF": partial(_neurons, _cuba_lif),
    "CubaLI": partial(_neurons, _cuba_li),
    "IF": partial(
        _neurons, lambda of: (of["r"], Neurons(as_weights(1.0), as_weights(of["v_threshold"]), rest=of.rest))
    ),
    "I": partial(_neurons, lambda of: (of["r"], Neurons(as_weights(1.0), None))),
    "Threshold": partial(
        _neurons, lambda of: (np.ones(1), Neurons(as_weights(0.0), as_weights(of["threshold"]), Reset.NONE))
    ),
}
"""All types of nodes but those of inputs and outputs."""
