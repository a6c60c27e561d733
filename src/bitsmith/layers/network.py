"""A network: the user's layers with names and wiring, in evaluation order."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.types import Fracs
from bitsmith.layers.axis_order import Order, inverse, ordered_shape
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settings import Settings

APPROXIMATE = "Approximate: "
"""Prefix of notes on results that differ from the user's model."""


@dataclass(frozen=True, slots=True)
class NetworkNode:
    """One use of a layer. ``source`` is the framework's class name; ``inputs`` name earlier nodes.

    ``folded`` marks a node whose own result no longer exists because a pass folded the next layer into it. ``order`` says how
    the result lies beside that of the user's model (see :mod:`bitsmith.layers.axis_order`); None: as there. ``inner`` marks what
    the user does not know and cannot configure: a frontend's own permutation, a scale that became a layer. ``quantizers`` are
    those of trained tensors of a quantized layer, by precision variable: the tensors are on their grids. ``fracs`` are the fewest
    fractional bits that ``auto`` gives the result's channels or the elements of a trained tensor, by variable, where one step for
    all would cost accuracy (see :mod:`bitsmith.passes.network.channels`), or where they are ``finer`` by so many bits for small
    inputs (see :mod:`bitsmith.passes.network.finer_steps`). The results of a ``whole`` node are integers or truth values in
    the user's model, of which ``auto`` keeps all. ``affine`` says what the result, in the user's order, is to the user's values,
    of a quantized model whose scales wait for the next quantizer (see
    :mod:`bitsmith.passes.network.move_scales`); None: the same.
    ``layouts`` are those of trained tensors that lie in the user's model in another way, by variable.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...] = ()
    source: str = ""
    settings: Settings = field(default_factory=Settings)
    folded: bool = False
    order: Order | None = None
    inner: bool = False
    quantizers: Mapping[str, Quantizer] = field(default_factory=dict, compare=False)
    fracs: Mapping[str, Fracs] = field(default_factory=dict, compare=False)
    finer: int = field(default=0, compare=False)
    whole: bool = False
    affine: Affine | None = field(default=None, compare=False)
    layouts: Mapping[str, ModelLayout] = field(default_factory=dict, compare=False)

    def owner(self, first: dict[tuple[int, ...], NetworkNode]) -> NetworkNode:
        """The ``first`` node with the same trained tensors, which is noted there; a node without a kernel is its own."""
        tensors = self.layer.weights()
        return first.setdefault(tuple(map(id, tensors.values())), self) if "weight" in tensors else self

    def shape_in_model(self, shape: Shape) -> Shape:
        """The shape that a result of ``shape`` has in the user's model."""
        return shape if self.order is None else ordered_shape(shape, inverse(self.order))

    @property
    def is_given(self) -> bool:
        """Return True if a format of the node is the user's."""
        chosen = isinstance(self.layer, Input) and self.layer.held
        return bool(self.settings.precision) and not chosen

    def result_in_model(self, result: Floats) -> Floats:
        """A batch of results as it is in the user's model."""
        if self.order is not None:
            back = inverse(self.order)
            result = result[:, list(back)] if result.ndim == 2 else result.transpose(0, *(axis + 1 for axis in back))
        return result if self.affine is None else self.affine.applied(result)

    def as_stored(self, result: Floats) -> Floats:
        """A batch of results of the user's model as the node has them."""
        if self.affine is not None:
            return replace(self, affine=None).as_stored(self.affine.stored(result))
        return result if self.order is None else replace(self, order=inverse(self.order)).result_in_model(result)


Revision: TypeAlias = Callable[[NetworkNode, Sequence[Floats], Floats], Floats]
"""Function that replaces a node's result, given its operands and its result."""


@dataclass(frozen=True, slots=True, eq=False)
class TiedState:
    """An input node that a sample gives what node ``output`` gave for the sample before; ``initial`` the first one."""

    input: str
    output: str
    initial: Floats


@dataclass(frozen=True, slots=True)
class Network:
    """Layers in evaluation order; ``inputs`` and ``outputs`` name nodes, in the order of the user's model.

    ``notes`` are what the user should know about how the model was read. ``states`` are input nodes that are no inputs.
    """

    nodes: tuple[NetworkNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str = "model"
    notes: tuple[str, ...] = ()
    states: tuple[TiedState, ...] = ()

    def node(self, name: str) -> NetworkNode:
        """The node called ``name``."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def input(self, name: str) -> Input:
        """The layer of the input called ``name``."""
        layer = self.node(name).layer
        assert isinstance(layer, Input)
        return layer

    def unknown_inputs(self) -> tuple[str, ...]:
        """The inputs of whose values neither the model nor the user says anything."""
        return tuple(
            name
            for name in self.inputs
            if not self.input(name).limited and "result" not in self.node(name).settings.precision
        )

    @property
    def stateful(self) -> bool:
        """Return True if batches are samples in order, each of which goes on from the one before."""
        return bool(self.states) or any(node.layer.stateful for node in self.nodes)

    def consumers(self, name: str) -> tuple[NetworkNode, ...]:
        """The nodes that read ``name``."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def readers(self) -> dict[str, list[NetworkNode]]:
        """By name, the nodes that read each node."""
        readers: dict[str, list[NetworkNode]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name].append(node)
        return readers

    def ancestors(self, names: Iterable[str]) -> tuple[NetworkNode, ...]:
        """The nodes that those called ``names`` are computed of, and these."""
        wanted = {*names}
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        return tuple(node for node in self.nodes if node.name in wanted)

    def live(self) -> set[str]:
        """The nodes that outputs depend on; others are there for traces."""
        return {node.name for node in self.ancestors(self.outputs)}

    def bounded(self) -> set[str]:
        """The nodes whose results have a scale that nobody chose: bounded ones, and what layers without weights make of them."""
        scaleless: set[str] = set()
        for node in self.nodes:
            inherits = bool(node.inputs) and scaleless.issuperset(node.inputs) and not node.layer.weights()
            if node.layer.bounded or inherits:
                scaleless.add(node.name)
        return scaleless

    def with_nodes(self, nodes: Sequence[NetworkNode]) -> Network:
        """Return this network with other nodes."""
        return replace(self, nodes=tuple(nodes))

    def with_changed(self, names: Container[str], change: Callable[[NetworkNode], NetworkNode]) -> Network:
        """Return this network with what ``change`` makes of the nodes of these names."""
        return self.with_nodes([change(node) if node.name in names else node for node in self.nodes])

    def without_unread(self, before: Network) -> Network:
        """Return this network without the nodes that nothing reads, but for those that nothing read ``before``."""
        read = {name for node in before.nodes for name in node.inputs}
        kept = {node.name for node in before.nodes if node.name not in read} | {*self.inputs, *self.outputs}
        return self.with_nodes(self.ancestors(kept))

    def shapes(self) -> dict[str, Shape]:
        """The shape of each node's result as it is stored (no batch axis).

        Raises:
            UnsupportedError: operands that do not fit, naming the layer.
        """
        shapes: dict[str, Shape] = {}
        for node in self.nodes:
            try:
                shapes[node.name] = node.layer.output_shape([shapes[name] for name in node.inputs])
            except UnsupportedError as error:
                raise UnsupportedError(
                    error.found, where=f"layer {node.name!r}", accepted=error.accepted, remedy=error.remedy
                ) from error
        return shapes

    def input_shapes(self) -> dict[str, Shape]:
        """The shape of a sample of each input, in order.

        Raises:
            UnsupportedError: as :meth:`shapes`.
        """
        shapes = self.shapes()
        return {name: shapes[name] for name in self.inputs}

    def columns(self) -> dict[str, tuple[str, ...]]:
        """The names of the features of each input, in order."""
        return {name: self.input(name).columns for name in self.inputs}

    def evaluate(self, inputs: Sequence[Floats]) -> dict[str, Floats]:
        """The float64 result of each node as the user's model has it, for batches ``inputs`` in the order of :attr:`inputs`."""
        return {node.name: node.result_in_model(result) for node, _, result in self.evaluation(inputs)}

    def evaluation(
        self, inputs: Sequence[Floats], revised: Revision | None = None, held: Mapping[str, Floats] | None = None
    ) -> Iterator[tuple[NetworkNode, list[Floats], Floats]]:
        """Evaluate node by node with operands, as they are stored; results are dropped after their last use.

        Results are those that ``revised`` makes of them; those of nodes in ``held`` are not computed.
        """
        fed: Mapping[str, Floats] = dict(zip(self.inputs, inputs, strict=True))
        if self.states:
            yield from self._in_order(fed, revised, held or {})
        else:
            yield from self._evaluation(fed, len(inputs[0]), revised, held or {})

    def _in_order(
        self, fed: Mapping[str, Floats], revised: Revision | None, held: Mapping[str, Floats]
    ) -> Iterator[tuple[NetworkNode, list[Floats], Floats]]:
        """Evaluate sample by sample, each with what the one before gave."""
        states = {each.input: each.initial[None] for each in self.states}
        rows: list[list[tuple[NetworkNode, list[Floats], Floats]]] = []
        for sample in range(len(next(iter(fed.values())))):
            parts = ({name: x[sample : sample + 1] for name, x in known.items()} for known in (fed, held))
            one, kept = parts
            rows.append([*self._evaluation({**one, **states}, 1, revised, kept)])
            results = {node.name: node.result_in_model(result) for node, _, result in rows[-1]}
            states = {each.input: results[each.output] for each in self.states}
        for steps in zip(*rows, strict=True):
            operands = [np.concatenate(parts) for parts in zip(*(step[1] for step in steps), strict=True)]
            yield steps[0][0], operands, np.concatenate([step[2] for step in steps])

    def _evaluation(
        self, fed: Mapping[str, Floats], samples: int, revised: Revision | None, held: Mapping[str, Floats]
    ) -> Iterator[tuple[NetworkNode, list[Floats], Floats]]:
        """Evaluate all samples at once."""
        last = {name: position for position, node in enumerate(self.nodes) for name in node.inputs}
        results: dict[str, Floats] = {}
        for position, node in enumerate(self.nodes):
            operands = [fed[node.name]] if node.name in fed else [results[name] for name in node.inputs]
            result = held[node.name] if node.name in held else node.layer.reference(operands)
            if not operands:  # a constant, once per sample
                result = np.broadcast_to(result, (samples, *result.shape[1:]))
            if revised is not None:
                result = revised(node, operands, result)
            results[node.name] = result
            for name in {name for name in node.inputs if last[name] == position}:
                del results[name]
            yield node, operands, result


def free_name(name: str, taken: set[str]) -> str:
    """``name``, or with a number after it; from then on it is taken."""
    candidates = (name if k == 0 else f"{name}_{k}" for k in count())
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free
