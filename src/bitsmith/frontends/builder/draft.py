"""All layers that have been emitted for a model, and the network that they become."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.names import UniqueNames, joined_names, printable
from bitsmith.frontends.builder.value import MAX_WEIGHTS, Batch, Value
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.axis_order import Order
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.recurrent import Recurrent

UNWRITTEN = (
    "elements that nothing has been written to",
    "write to all of a tensor that is made without numbers (torch.empty) before it is read, or make it of zeros",
)
"""Words of a refusal of tensors that were made without numbers, and the remedy."""


@dataclass(frozen=True, slots=True)
class Origin:
    """An operator of the model: its ``name``, which no other has, and its ``kind`` in reports; empty for the layer's own."""

    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Emitted:
    """A layer before it has a name: ``origin`` is the number of the model's operator, ``label`` a constant's own name.

    ``source`` is what it is called in reports; by default its origin's kind or, with a suffix, its own. ``order``, ``inner``,
    ``whole``, ``quantizers`` and ``layouts`` are those of the network's node.
    """

    layer: Layer
    inputs: tuple[int, ...]
    origin: int
    suffix: str = ""
    label: str = ""
    source: str = ""
    order: Order | None = None
    inner: bool = False
    whole: bool = False
    quantizers: Mapping[str, Quantizer] = field(default_factory=dict)
    layouts: Mapping[str, ModelLayout] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """All layers so far, by number; ``operands`` has the values that each reads, ``quotients`` dividend and divisor.

    ``trained`` has what layers are given of tensors of the model, by these.
    With ``allow_approximate`` what cannot be read exactly is ``approximated``, which the notes of the network say.
    """

    nodes: list[Emitted] = field(default_factory=list)
    operands: list[tuple[Value, ...]] = field(default_factory=list)
    constants: dict[int, tuple[Floats, int]] = field(default_factory=dict)
    trained: dict[tuple[str | int, Shape, float], list[tuple[Floats, Floats]]] = field(default_factory=dict)
    origins: list[Origin] = field(default_factory=list)
    quotients: dict[int, tuple[Value, Value]] = field(default_factory=dict)
    allow_approximate: bool = False
    approximated: list[str] = field(default_factory=list)
    unwritten: dict[int, Floats] = field(default_factory=dict)
    """By node, 1 where nothing has been written yet."""
    elements: int = 0
    """Bytes of all constants so far."""

    def count(self, elements: int, where: str) -> None:
        """Note a constant of so many elements.

        Raises:
            ModelFileError: too many in all.
        """
        self.elements += elements
        if self.elements > MAX_WEIGHTS:
            raise ModelFileError(
                f"constants of {self.elements} elements in all", where=where, accepted=f"at most {MAX_WEIGHTS}"
            )

    def begin(self, name: str, kind: str = "") -> int:
        """The number of a new operator."""
        self.origins.append(Origin(printable(name), printable(kind)))
        return len(self.origins) - 1

    def shared(self, x: Value) -> Value:
        """A trained constant; one that another layer has, from the same one of the model, as the same array."""
        stored = x.elements if x.given is None else x.given
        known = self.trained.setdefault((x.label or id(stored), x.shape, x.factor), [])
        for _, elements in known:
            if np.array_equal(elements, x.elements):
                return replace(x, node=elements)
        known.append((stored, x.elements))  # kept, so that its identity stays its own
        return x

    def add(self, node: Emitted, operands: tuple[Value, ...] = ()) -> int:
        """The number of a new node.

        Raises:
            UnsupportedError: it computes with what is :attr:`unwritten`.
        """
        self.nodes.append(node)
        self.operands.append(operands)
        number = len(self.nodes) - 1
        if not self.unwritten.keys().isdisjoint(node.inputs):
            if not node.layer.traits.moves:
                raise UnsupportedError(
                    UNWRITTEN[0], accepted="tensors that are written before they are read", remedy=UNWRITTEN[1]
                )
            pairs = zip(node.inputs, operands, strict=True)
            marks = node.layer.reference([self.unwritten.get(k, np.zeros(x.shape))[None] for k, x in pairs])[0]
            self.unwritten |= {number: as_weights(marks)} if np.any(marks) else {}
        return number

    def is_misplaced(self, result: Value) -> bool:
        """Return True if the samples of a result are not along the first axis, by itself, where those of the inputs are.

        The states of recurrent layers have theirs after the layers in all frameworks: these are as they should be.
        """
        if result.batch is None or result.batch == Batch(0) or not isinstance(result.node, int):
            return False
        makers = (self.nodes[number].layer for number in self.needed([result.node]))
        return result.is_merged or not any(isinstance(layer, Recurrent) for layer in makers)

    def back_to(self, count: int) -> None:
        """Forget all but the first ``count`` nodes."""
        del self.nodes[count:], self.operands[count:]
        self.unwritten = {number: marks for number, marks in self.unwritten.items() if number < count}
        self.constants = {key: entry for key, entry in self.constants.items() if entry[1] < count}
        self.quotients = {number: pair for number, pair in self.quotients.items() if number < count}

    def needed(self, wanted: Sequence[int]) -> list[int]:
        """The numbers of the nodes that ``wanted`` depend on, and their own, in order."""
        needed = set(wanted)
        for number in range(len(self.nodes) - 1, -1, -1):
            if number in needed:
                needed.update(self.nodes[number].inputs)
        return sorted(needed)

    def named(self, kept: Sequence[int], names: UniqueNames) -> dict[int, str]:
        """A name for each node that is kept: that of its operator, which ``names`` has given away, with the node's suffix."""
        chosen: dict[int, str] = {}
        used: set[str] = set()
        for number in kept:
            node = self.nodes[number]
            own = self.origins[node.origin].name
            wanted = node.label or joined_names(own, node.suffix)
            chosen[number] = wanted if wanted == own and own not in used else names.take(wanted)
            used.add(chosen[number])
        return chosen

    def network(
        self,
        names: Mapping[int, str],
        inputs: Sequence[int],
        outputs: Sequence[int],
        name: str = "model",
        notes: tuple[str, ...] = (),
    ) -> Network:
        """The network of the nodes that have names."""
        nodes = tuple(
            NetworkNode(
                names[number],
                node.layer,
                tuple(names[k] for k in node.inputs),
                node.source or ("" if node.suffix else self.origins[node.origin].kind) or node.layer.kind,
                order=node.order,
                inner=node.inner,
                whole=node.whole,
                quantizers=node.quantizers,
                layouts=node.layouts,
            )
            for number, node in enumerate(self.nodes)
            if number in names
        )
        notes = tuple(map(printable, (*notes, *dict.fromkeys(self.approximated))))
        return Network(nodes, tuple(names[k] for k in inputs), tuple(names[k] for k in outputs), printable(name), notes)
