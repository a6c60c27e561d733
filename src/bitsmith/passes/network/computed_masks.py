"""Masks in front of a softmax that depend on the inputs become a second operand of the softmax: what it keeps.

Before: ``scores -> Where(condition, scores, -1e9) -> softmax``, or ``scores -> Add(scores, (1 - mask) * -1e9) -> softmax``, with
views, sums and positive factors in between. After: ``scores -> softmax`` beside ``kept -> softmax``, so that the formats in front
of the softmax are those of the scores. :mod:`bitsmith.passes.network.masks` does the same for masks that are constants.

A tensor is followed as a *split*: the ``rest``, whose elements count where ``kept`` is 1, while elsewhere the tensor is about
``level`` or less. A softmax reads the split of its operand if what the level leaves out is nothing beside what is kept, for
operands in the range that the float model shows (and some more).

Of a row that leaves nothing, finite levels give what they give in the framework: where they are so large that floats cannot
hold the scores beside them, all elements are equal; otherwise only the scores count. Where the level is -inf the
framework's NaN becomes 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bitsmith.ir.ops import Relation
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.settings import Weights
from bitsmith.layers.shape import Broadcast, Identity
from bitsmith.layers.softmax import Softmax
from bitsmith.passes.network.calibration import observe

FAR = 60.0
"""Elements that lie this much below another one of their row are masked: exp(-60) is 2**-86."""

SPARE_MEASURED = 2.0
"""Factor by which operands may exceed what calibration data show: beyond it ``auto`` saturates."""

SPARE_GENERATED = 16.0
"""Factor by which operands may exceed what generated inputs show."""

_NEARLY = 2.0**-12
"""Distance from 0 and 1 of the values of an input that is taken to hold these only."""

_HALF = 0.5

_LEAST_FLOOR, _BELOW = 5, 2.0 - 2.0**-20
"""exp(-2**5) is nothing. What is below a floor is taken for so many times the floor: just what an input saturates at."""

_DEEP = -1000.0
"""Greatest value of a mask's level in an input that is added to scores."""


@dataclass(frozen=True, slots=True)
class _Split:
    """Nodes: ``kept`` is 1 where the elements of ``rest`` count (None: all 0); elsewhere the tensor is ``level`` or less.

    ``computed`` says that ``kept`` depends on the inputs.
    """

    kept: str
    rest: str | None
    level: float
    computed: bool


@dataclass(frozen=True, slots=True)
class _Truth:
    """A tensor that is ``factor * node + offset``, with a node whose values are 0 and 1.

    ``assumed`` is an input of which nothing else is known.
    """

    node: str
    factor: float = 1.0
    offset: float = 0.0
    assumed: str = ""

    @property
    def margin(self) -> float:
        """Distance that values may have from 0 and 1."""
        return _NEARLY if self.assumed else _HALF


def fold_computed_masks(network: Network, calibration: Sequence[Floats] | None) -> Network:
    """``network`` with masks that are computed as operands of the softmax layers that they lead to.

    Raises:
        InputDataError: as :func:`bitsmith.passes.network.calibration.observe`.
    """
    if not any(isinstance(node.layer, Softmax) for node in network.nodes):
        return network
    search = _Search.of(network, calibration)
    found = {
        node.name: search.splits[node.inputs[0]]
        for node in network.nodes
        if isinstance(node.layer, Softmax) and node.inputs[0] in search.splits and not node.settings.skip
    }
    found = {name: split for name, split in found.items() if split.computed}
    if not found:
        return network
    split_network = network.with_nodes(search.nodes)
    rests = {split.rest for split in found.values() if split.rest is not None}
    seen = observe(part(split_network, rests), calibration)
    spare = SPARE_GENERATED if calibration is None else SPARE_MEASURED
    folded: list[NetworkNode] = []
    for node in search.nodes:
        if node.name not in found:
            folded.append(node)
            continue
        split = found[node.name]
        scores = ObservedRange(0.0, 0.0) if split.rest is None else seen[split.rest]
        if split.level + spare * (scores.hi - scores.lo) > -FAR:
            folded.append(node)
        else:
            folded += search.masked(node, split, scores)
    result = without_unread(network, split_network.with_nodes(folded))
    assumed = sorted({name for kept, name in search.assumed.items() if any(kept == node.name for node in result.nodes)})
    notes = [f"Input {name!r} is a mask of attention: it is taken to hold 0 and 1 only." for name in assumed]
    return _renamed(network, search.with_floors(replace(result, notes=(*result.notes, *notes))))


@dataclass(slots=True)
class _Search:
    """The network's nodes with those of the splits between them, and what is known of tensors by name."""

    network: Network
    shapes: dict[str, Shape]
    data: Mapping[str, Floats] | None
    nodes: list[NetworkNode] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    constants: dict[str, Floats] = field(default_factory=dict)
    splits: dict[str, _Split] = field(default_factory=dict)
    truths: dict[str, _Truth] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)
    """By what is kept, the inputs that are taken to hold 0 and 1."""

    floors: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    """Stand-ins for a mask's level in inputs that hold it beside numbers, for readers of the split."""

    @classmethod
    def of(cls, network: Network, calibration: Sequence[Floats] | None) -> _Search:
        data = None if calibration is None else dict(zip(network.inputs, calibration, strict=False))
        search = cls(network, network.shapes(), data, taken={node.name for node in network.nodes})
        for node in network.nodes:
            search.nodes.append(node)
            if isinstance(node.layer, Constant):
                search.constants[node.name] = node.layer.value
                continue
            truth = search._truth(node)
            if truth is not None:
                search.truths[node.name] = truth
            split = search._split(node)
            if split is not None:
                search.splits[node.name] = split
        return search

    def masked(self, node: NetworkNode, split: _Split, scores: ObservedRange) -> Iterator[NetworkNode]:
        """A softmax of the split's rest, and the nodes that it needs."""
        assert isinstance(node.layer, Softmax)
        first = len(self.nodes)
        layer, shape, kept = node.layer, self.shapes[node.inputs[0]], split.kept
        rest = split.rest or self._const(f"{node.name}_rest", np.zeros(shape))
        if self.shapes[rest] != shape:
            rest = self._add(f"{node.name}_rest", Broadcast(shape), rest)
        if math.isfinite(split.level):
            if np.float32(split.level + scores.lo) == np.float32(split.level + scores.hi):
                rest = self._add(f"{node.name}_rest", Where(), kept, rest, self._const(f"{node.name}_zero", 0.0))
            kept = self._with_empty_rows(node.name, layer, len(shape), kept)
        yield from self.nodes[first:]
        del self.nodes[first:]
        yield replace(node, inputs=(rest, kept))

    def _with_empty_rows(self, name: str, layer: Softmax, rank: int, kept: str) -> str:
        """``kept``, and all elements of rows of which it keeps none."""
        counted = kept
        if layer.mask is not None:
            counted = self._add(f"{name}_counted", Multiply(), kept, self._const(f"{name}_mask", layer.mask != 0.0))
        axis = layer.axis % rank - rank
        if len(self.shapes[counted]) >= -axis:
            counted = self._add(f"{name}_most", Reduce(Reduction.MAX, (axis,), keepdims=True), counted)
        return self._add(f"{name}_kept", Comparison(Relation.GE), kept, counted)

    def _add(self, name: str, layer: Layer, *inputs: str, of: NetworkNode | None = None) -> str:
        """A new node; one that stands for another has its settings."""
        name = free_name(name, self.taken)
        if of is None:
            self.nodes.append(NetworkNode(name, layer, inputs))
        else:
            self.nodes.append(replace(of, name=name, layer=layer, inputs=inputs, folded=True))
        self.shapes[name] = layer.output_shape([self.shapes[each] for each in inputs])
        return name

    def _const(self, name: str, values: npt.ArrayLike) -> str:
        value = as_weights(values)
        name = self._add(name, Constant(value))
        self.constants[name] = value
        return name

    def _truth(self, node: NetworkNode) -> _Truth | None:
        """The node's result as a function of 0 and 1."""
        own = _Truth(node.name)
        match node.layer:
            case Comparison():
                return own
            case Input():
                if self.data is None:
                    return replace(own, assumed=node.name)
                return own if bool(np.all(np.isin(self.data[node.name], (0.0, 1.0)))) else None
            case Multiply() | Minimum() | Maximum() if all(self._is_plain(name) for name in node.inputs):
                return own
        known = [self.truths.get(name) for name in node.inputs]
        truth = next((each for each in known if each is not None), None)
        if truth is None:
            return None
        if node.layer.traits.moves and len(node.inputs) == 1:
            return replace(truth, node=self._add(f"{node.name}_truth", node.layer, truth.node))
        scale = self._scale_and_offset(node)
        if scale is None:
            return None
        name = self._broadcast(f"{node.name}_truth", truth.node, self.shapes[node.name])
        return replace(truth, node=name, factor=truth.factor * scale[0], offset=truth.offset * scale[0] + scale[1])

    def _is_plain(self, name: str) -> bool:
        """True of a tensor that is proved to hold 0 and 1 only."""
        truth = self.truths.get(name)
        return truth is not None and not truth.assumed and {truth.offset, truth.factor + truth.offset} == {0.0, 1.0}

    def _scale_and_offset(self, node: NetworkNode) -> tuple[float, float] | None:
        """The two numbers by which the node multiplies its one operand that is not constant, and that it adds."""
        if isinstance(node.layer, BatchNormalization) and node.settings.weights is Weights.ONCHIP:
            return _pair(_number(node.layer.scale), _number(node.layer.offset))
        values = [_number(self.constants[name]) if name in self.constants else None for name in node.inputs]
        match node.layer, values:
            case Add(), [None, float() as value] | [float() as value, None]:
                return 1.0, value
            case Subtract(), [None, float() as value]:
                return 1.0, -value
            case Subtract(), [float() as value, None]:
                return -1.0, value
            case Multiply(), [None, float() as value] | [float() as value, None]:
                return value, 0.0
        return None

    def _split(self, node: NetworkNode) -> _Split | None:
        """The node's result as a split; None if nothing is left out of it, as far as is known."""
        known = self._split_of_truth(node)
        if known is not None:
            return known
        match node.layer:
            case Input():
                return self._split_of_data(node)
            case Add():
                return self._sum(node)
            case Subtract() if node.inputs[0] in self.splits and node.inputs[1] not in self.splits:
                split = self.splits[node.inputs[0]]
                rest = self._const(f"{node.name}_zero", 0.0) if split.rest is None else split.rest
                return replace(split, rest=self._add(f"{node.name}_rest", node.layer, rest, node.inputs[1], of=node))
            case Where():
                return self._choice(node)
            case Multiply() | BatchNormalization():
                return self._scaled(node)
        if node.layer.traits.moves and len(node.inputs) == 1 and node.inputs[0] in self.splits:
            split = self.splits[node.inputs[0]]
            full = self._broadcast(f"{node.name}_full", split.kept, self.shapes[node.inputs[0]])
            kept = self._add(f"{node.name}_kept", node.layer, full)
            if split.rest is None:
                return replace(split, kept=kept)
            return replace(split, kept=kept, rest=self._add(f"{node.name}_rest", node.layer, split.rest, of=node))
        return None

    def _split_of_truth(self, node: NetworkNode) -> _Split | None:
        """A tensor of two values of which one is far below 0."""
        truth = self.truths.get(node.name)
        if truth is None:
            return None
        off, on = truth.offset, truth.offset + truth.factor
        if min(off, on) > -FAR or max(off, on) <= -FAR:
            return None
        relation, bound = (Relation.GE, 1.0 - truth.margin) if off < on else (Relation.LE, truth.margin)
        kept = self._add(
            f"{node.name}_kept", Comparison(relation), truth.node, self._const(f"{node.name}_level", bound)
        )
        if truth.assumed:
            self.assumed[kept] = truth.assumed
        most = max(off, on)
        rest = self._const(f"{node.name}_rest", np.full((1,), most)) if abs(most) > abs(truth.factor) * 1e-7 else None
        return _Split(kept, rest, min(off, on), computed=True)

    def _split_of_data(self, node: NetworkNode) -> _Split | None:
        """An input of numbers that are added to scores, if calibration data show one far below the others."""
        values = None if self.data is None else np.asarray(self.data[node.name])
        if values is None or not values.size or not values.min() <= _DEEP:
            return None
        bound = float(values.min()) / 2.0
        if len(np.unique(values[values <= bound])) > 1 or bool(np.all(values <= bound)):
            return None
        floor = max(_floor(values[values > bound]), bound)
        level = self._const(f"{node.name}_level", floor)
        kept = self._add(f"{node.name}_kept", Comparison(Relation.GT), node.name, level)
        rest = self._add(f"{node.name}_rest", Where(), kept, node.name, self._const(f"{node.name}_zero", 0.0))
        if floor > bound and "result" not in node.settings.precision:
            self.floors[node.name] = _BELOW * floor, frozenset({kept, rest})
        return _Split(kept, rest, bound, computed=True)

    def with_floors(self, network: Network) -> Network:
        """``network`` with the floors of inputs whose readers ask no more of them."""
        nodes = []
        for node in network.nodes:
            floor, readers = self.floors.get(node.name, (None, frozenset[str]()))
            read = {reader.name for reader in network.consumers(node.name)}
            if (
                floor is not None
                and isinstance(node.layer, Input)
                and read <= readers
                and node.name not in network.outputs
            ):
                node = replace(node, layer=replace(node.layer, floor=floor))
            nodes.append(node)
        return network.with_nodes(nodes)

    def _operand(self, name: str) -> _Split | None:
        """The split of an operand; that of a constant where some of its elements are far below 0."""
        values = self.constants.get(name)
        if values is None or not bool(np.any(values <= -FAR)):
            return self.splits.get(name)
        kept = values > -FAR
        rest = self._const(f"{name}_rest", np.where(kept, values, 0.0)) if bool(np.any(values[kept])) else None
        return _Split(self._const(f"{name}_kept", kept), rest, float(values[~kept].max()), computed=False)

    def _sum(self, node: NetworkNode) -> _Split | None:
        found = [(name, self._operand(name)) for name in node.inputs]
        splits = [split for _, split in found if split is not None]
        if not splits:
            return None
        rests = [name if split is None else split.rest for name, split in found]
        left = [name for name in rests if name is not None]
        rest = left[0] if left else None
        if len(left) > 1:
            rest = self._add(f"{node.name}_rest", Add(), *left, of=node)
        elif rest is not None:
            alike = self.shapes[rest] == self.shapes[node.name]
            layer = Identity() if alike else Broadcast(self.shapes[node.name])
            rest = self._add(f"{node.name}_rest", layer, rest, of=node)
        kept = splits[0].kept
        if len(splits) > 1:
            kept = self._add(f"{node.name}_kept", Multiply(), *(split.kept for split in splits))
        return _Split(kept, rest, max(split.level for split in splits), any(split.computed for split in splits))

    def _choice(self, node: NetworkNode) -> _Split | None:
        """Return the choice of two tensors of which one is far below 0 in places."""
        condition, *names = node.inputs
        found = [self._operand(name) for name in names]
        splits = [split for split in found if split is not None]
        if not splits:
            return None
        zero = self._const(f"{node.name}_zero", 0.0)
        rests = [name if split is None else split.rest or zero for name, split in zip(names, found, strict=True)]
        rest = self._add(f"{node.name}_rest", Where(), condition, *rests, of=node) if rests != [zero, zero] else None
        everything = self._const(f"{node.name}_all", 1.0)
        kept = [everything if split is None else split.kept for split in found]
        none_kept = [not bool(np.any(self.constants.get(name, np.ones(1)))) for name in kept]
        if condition not in self.constants and none_kept != [False, False] and everything in kept:
            relation = Relation.NE if none_kept[1] else Relation.EQ
            chosen = self._add(f"{node.name}_kept", Comparison(relation), condition, zero)
        else:
            chosen = self._add(f"{node.name}_kept", Where(), condition, *kept)
        computed = condition not in self.constants or any(split.computed for split in splits)
        return _Split(chosen, rest, max(split.level for split in splits), computed)

    def _scaled(self, node: NetworkNode) -> _Split | None:
        """A split times positive constants, and with an offset."""
        scale = self._factors(node)
        first = next((name for name in node.inputs if name in self.splits), None)
        if first is None or scale is None or float(np.min(scale[0])) <= 0.0:
            return None
        split, others = self.splits[first], [name for name in node.inputs if name != first]
        rest = split.rest or self._const(f"{node.name}_zero", 0.0)
        full = self._broadcast(f"{node.name}_full", rest, self.shapes[first])
        rest = self._add(f"{node.name}_rest", node.layer, full, *others, of=node)
        return replace(split, rest=rest, level=split.level * float(np.min(scale[0])) + scale[1])

    def _factors(self, node: NetworkNode) -> tuple[Floats, float] | None:
        """The constants by which the node multiplies one operand, and the greatest that it adds then."""
        if isinstance(node.layer, BatchNormalization):
            offset = float(np.max(node.layer.offset))
            return (node.layer.scale, offset) if node.settings.weights is Weights.ONCHIP else None
        others = [self.constants[name] for name in node.inputs if name in self.constants]
        return (math.prod(others, start=np.ones(1)), 0.0) if len(others) == len(node.inputs) - 1 else None

    def _broadcast(self, name: str, operand: str, shape: Shape) -> str:
        return operand if self.shapes[operand] == shape else self._add(name, Broadcast(shape), operand)


def _floor(numbers: Floats) -> float:
    """A power of two below ``numbers`` and what may be like them: what is less counts for nothing beside 0."""
    return -(2.0 ** max(math.ceil(math.log2(max(float(np.abs(numbers).max()), 1.0))) + 1, _LEAST_FLOOR))


def _number(values: Floats) -> float | None:
    """The only value of a tensor."""
    return float(values.flat[0]) if values.size and bool(np.all(values == values.flat[0])) else None


def _pair(x: float | None, y: float | None) -> tuple[float, float] | None:
    return None if x is None or y is None else (x, y)


def part(network: Network, names: set[str]) -> Network:
    """The inputs, and what ``names`` need."""
    needed = {*names}
    for node in reversed(network.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return network.with_nodes([node for node in network.nodes if node.name in needed or node.name in network.inputs])


def without_unread(before: Network, network: Network) -> Network:
    """The network without the nodes that nothing reads, but for those that nothing read ``before``."""
    read = {name for node in before.nodes for name in node.inputs}
    kept = {node.name for node in before.nodes if node.name not in read} | {*network.inputs, *network.outputs}
    nodes: list[NetworkNode] = []
    for node in reversed(network.nodes):
        if node.name in kept:
            nodes.append(node)
            kept.update(node.inputs)
    return network.with_nodes(nodes[::-1])


def _renamed(before: Network, network: Network) -> Network:
    """The network, what stands for a node that is gone under its name."""
    there = {node.name for node in network.nodes}
    names = {f"{node.name}_rest": node.name for node in before.nodes if node.name not in there}
    names = {name: old for name, old in names.items() if name in there}
    return network.with_nodes(
        [
            replace(
                node, name=names.get(node.name, node.name), inputs=tuple(names.get(name, name) for name in node.inputs)
            )
            for node in network.nodes
        ]
    )
