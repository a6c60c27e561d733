"""Tensors of scores as splits: what counts, where it counts, and how far the rest is below it.

The elements of ``rest`` count where ``kept`` is not 0; elsewhere the tensor is ``rest + level``. A split begins at a constant
with elements far below 0, at a function of truth values, or at an input, and passes views, sums, choices and positive factors.
What is kept is a constant or depends on the inputs. :mod:`bitsmith.passes.network.masks` makes masks of softmax layers of both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bitsmith.ir.ops import Relation
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.resample import Pad, PadMode
from bitsmith.layers.settings import Weights
from bitsmith.layers.shape import Broadcast, Identity

FAR = 60.0
"""Elements that lie this much below another one of their row are masked: exp(-60) is 2**-86."""

_NEARLY = 2.0**-12
"""Distance from 0 and 1 of the values of an input that is taken to hold these only."""

_HALF = 0.5

_LEAST_FLOOR, _BELOW = 5, 2.0 - 2.0**-20
"""exp(-2**5) is nothing. What is below a floor is taken for so many times the floor: just what an input saturates at."""

_DEEP = -1000.0
"""Greatest value of a mask's level in an input that is added to scores."""


@dataclass(frozen=True, slots=True)
class Split:
    """Nodes: ``kept`` is 1 where the elements of ``rest`` count (None: all 0); elsewhere the tensor is ``rest + level``.

    ``level`` broadcasts to the tensor. It is 0 where a constant keeps an element, and a bound where ``kept`` is not constant.
    """

    kept: str
    rest: str | None
    level: Floats

    @property
    def highest(self) -> float:
        """The greatest level of elements that are left out."""
        return float(np.max(self.level, where=self.level < 0.0, initial=-np.inf))


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


@dataclass(slots=True)
class Splits:
    """The network's nodes with those of the splits between them, and what is known of tensors by name."""

    network: Network
    shapes: dict[str, Shape]
    data: Mapping[str, Floats] | None
    nodes: list[NetworkNode] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    constants: dict[str, Floats] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    truths: dict[str, _Truth] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)
    """By what is kept, the inputs that are taken to hold 0 and 1."""

    floors: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)
    """Stand-ins for a mask's level in inputs that hold it beside numbers, for readers of the split."""

    alone: dict[str, str] = field(default_factory=dict)
    """By choices by a constant, the operand that has all that is kept."""

    exact: bool = False
    """True if elements that are left out count in some row: one of which nothing is kept."""

    @classmethod
    def of(cls, network: Network, calibration: Sequence[Floats] | None) -> Splits:
        """All splits of ``network``."""
        data = None if calibration is None else dict(zip(network.inputs, calibration, strict=False))
        search = cls(network, network.shapes(), data, taken={node.name for node in network.nodes})
        for node in network.nodes:
            search.nodes.append(node)
            if isinstance(node.layer, Constant) or (node.inputs and search.constants.keys() >= {*node.inputs}):
                search.constants[node.name] = search._value(node.layer, node.inputs)
                continue
            truth = search._truth(node)
            if truth is not None:
                search.truths[node.name] = truth
            split = search._split(node)
            if split is not None and not np.all(search.constants.get(split.kept, 0.0)):
                search.splits[node.name] = split
        return search

    def _value(self, layer: Layer, inputs: Sequence[str]) -> Floats:
        """The result of a layer whose operands are constants."""
        with np.errstate(all="ignore"):
            return np.asarray(layer.reference([self.constants[name][None] for name in inputs])[0])

    def add(self, name: str, layer: Layer, *inputs: str, of: NetworkNode | None = None) -> str:
        """Return the name of a new node; one that stands for another has its settings, others of constants are constants."""
        if of is None and inputs and self.constants.keys() >= {*inputs}:
            return self.const(name, self._value(layer, inputs))
        name = free_name(name, self.taken)
        if of is None:
            self.nodes.append(NetworkNode(name, layer, inputs))
        else:
            self.nodes.append(replace(of, name=name, layer=layer, inputs=inputs, folded=True))
        self.shapes[name] = layer.output_shape([self.shapes[operand] for operand in inputs])
        return name

    def const(self, name: str, values: npt.ArrayLike) -> str:
        """Return the name of a new constant."""
        value = as_weights(values)
        name = self.add(name, Constant(value))
        self.constants[name] = value
        return name

    def broadcast(self, name: str, operand: str, shape: Shape) -> str:
        """Return the name of ``operand`` repeated to ``shape``."""
        return operand if self.shapes[operand] == shape else self.add(name, Broadcast(shape), operand)

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
            return replace(truth, node=self.add(f"{node.name}_truth", node.layer, truth.node))
        scale = self._scale_and_offset(node)
        if scale is None:
            return None
        name = self.broadcast(f"{node.name}_truth", truth.node, self.shapes[node.name])
        return replace(truth, node=name, factor=truth.factor * scale[0], offset=truth.offset * scale[0] + scale[1])

    def _is_plain(self, name: str) -> bool:
        """True of a tensor that is proved to hold 0 and 1 only."""
        truth = self.truths.get(name)
        return truth is not None and not truth.assumed and {truth.offset, truth.factor + truth.offset} == {0.0, 1.0}

    def _scale_and_offset(self, node: NetworkNode) -> tuple[float, float] | None:
        """The two numbers by which the node multiplies its one operand that is not constant, and that it adds."""
        if isinstance(node.layer, BatchNormalization) and node.settings.weights is Weights.ONCHIP:
            scale, offset = _number(node.layer.scale), _number(node.layer.offset)
            return None if scale is None or offset is None else (scale, offset)
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

    def _split(self, node: NetworkNode) -> Split | None:
        """The node's result as a split; None if nothing is left out of it, as far as is known."""
        known = self._split_of_truth(node)
        if known is not None:
            return known
        match node.layer:
            case Input():
                return self._split_of_data(node)
            case Add():
                return self._sum(node, node.inputs)
            case Subtract():
                return self._difference(node)
            case Where():
                return self._choice(node)
            case Multiply():
                return self._product(node)
            case BatchNormalization() as layer if node.settings.weights is Weights.ONCHIP:
                return self._normalized(node, layer)
            case Pad(mode=PadMode.CONSTANT) as layer if layer.value > -FAR:
                return self._padded(node, layer)
        if node.layer.traits.moves and len(node.inputs) == 1 and node.inputs[0] in self.splits:
            split, shape = self.splits[node.inputs[0]], self.shapes[node.inputs[0]]
            full = self.broadcast(f"{node.name}_full", split.kept, shape)
            kept, rest = self.add(f"{node.name}_kept", node.layer, full), split.rest
            if rest is not None:
                rest = self.add(f"{node.name}_rest", node.layer, self._full_rest(node, node.inputs[0]), of=node)
            return Split(kept, rest, node.layer.reference([np.broadcast_to(split.level, shape)[None]])[0])
        return None

    def _padded(self, node: NetworkNode, layer: Pad) -> Split | None:
        """A split with elements around it, all of which are kept."""
        (name,) = node.inputs
        if name not in self.splits:
            return None
        split, shape = self.splits[name], self.shapes[name]
        full = self.broadcast(f"{node.name}_full", split.kept, shape)
        kept = self.add(f"{node.name}_kept", replace(layer, value=1.0), full)
        rest = self.add(f"{node.name}_rest", layer, self._full_rest(node, name), of=node)
        level = replace(layer, value=0.0).reference([np.broadcast_to(split.level, shape)[None]])[0]
        return Split(kept, rest, level if kept in self.constants else np.full((1,), split.highest))

    def _split_of_truth(self, node: NetworkNode) -> Split | None:
        """A tensor of two values of which one is far below 0."""
        truth = self.truths.get(node.name)
        if truth is None:
            return None
        off, on = truth.offset, truth.offset + truth.factor
        if min(off, on) > -FAR or max(off, on) <= -FAR:
            return None
        relation, bound = (Relation.GE, 1.0 - truth.margin) if off < on else (Relation.LE, truth.margin)
        kept = self.add(f"{node.name}_kept", Comparison(relation), truth.node, self.const(f"{node.name}_level", bound))
        if truth.assumed:
            self.assumed[kept] = truth.assumed
        most = max(off, on)
        rest = self.const(f"{node.name}_rest", np.full((1,), most)) if abs(most) > abs(truth.factor) * 1e-7 else None
        return Split(kept, rest, np.full((1,), min(off, on)))

    def _split_of_data(self, node: NetworkNode) -> Split | None:
        """An input of numbers that are added to scores, if calibration data show one far below the others."""
        values = None if self.data is None else np.asarray(self.data[node.name])
        if values is None or not values.size or not values.min() <= _DEEP:
            return None
        bound = float(values.min()) / 2.0
        if len(np.unique(values[values <= bound])) > 1 or bool(np.all(values <= bound)):
            return None
        floor = max(_floor(values[values > bound]), bound)
        level = self.const(f"{node.name}_level", floor)
        kept = self.add(f"{node.name}_kept", Comparison(Relation.GT), node.name, level)
        rest = self.add(f"{node.name}_rest", Where(), kept, node.name, self.const(f"{node.name}_zero", 0.0))
        if floor > bound and "result" not in node.settings.precision:
            self.floors[node.name] = _BELOW * floor, frozenset({kept, rest})
        return Split(kept, rest, np.full((1,), bound))

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

    def _operand(self, name: str) -> Split | None:
        """The split of an operand; that of a constant where some of its elements are far below 0."""
        values = self.constants.get(name)
        if values is None or not bool(np.any(values <= -FAR)):
            return self.splits.get(name)
        kept = values > -FAR
        rest = self.const(f"{name}_rest", np.where(kept, values, 0.0)) if bool(np.any(values[kept])) else None
        return Split(self.const(f"{name}_kept", kept), rest, np.where(kept, 0.0, values))

    def _joined(self, node: NetworkNode, splits: Sequence[Split], rest: str | None) -> Split:
        """The sum of splits: it keeps what all of them keep."""
        kept = splits[0].kept
        if len(splits) > 1:
            kept = self.add(f"{node.name}_kept", Multiply(), *(split.kept for split in splits))
        if kept in self.constants:
            return Split(kept, rest, np.asarray(sum(split.level for split in splits)))
        return Split(kept, rest, np.full((1,), max(split.highest for split in splits)))

    def _sum(self, node: NetworkNode, names: Sequence[str]) -> Split | None:
        operands = [(name, self._operand(name)) for name in names]
        splits = [split for _, split in operands if split is not None]
        if not splits:
            return None
        rests = [name if split is None else split.rest for name, split in operands]
        left = [name for name in rests if name is not None]
        rest = left[0] if left else None
        if len(left) > 1:
            rest = self.add(f"{node.name}_rest", Add(), *left, of=node)
        elif rest is not None:
            rest = self.add(f"{node.name}_rest", self._repeated(rest, self.shapes[node.name]), rest, of=node)
        return self._joined(node, splits, rest)

    def _difference(self, node: NetworkNode) -> Split | None:
        x, y = node.inputs
        if y in self.constants:
            return self._sum(node, (x, self.const(f"{node.name}_term", -self.constants[y])))
        split = self._operand(x)
        if split is None or y in self.splits:
            return None
        rest = split.rest or self.const(f"{node.name}_zero", np.zeros(self.shapes[x]))
        return replace(split, rest=self.add(f"{node.name}_rest", node.layer, rest, y, of=node))

    def _choice(self, node: NetworkNode) -> Split | None:
        """Return the choice of two tensors of which one is far below 0 in places."""
        condition, *names = node.inputs
        operands = [self._operand(name) for name in names]
        splits = [split for split in operands if split is not None]
        if not splits:
            return None
        zero = self.const(f"{node.name}_zero", 0.0)
        rests = [name if split is None else split.rest or zero for name, split in zip(names, operands, strict=True)]
        rest = self.add(f"{node.name}_rest", Where(), condition, *rests, of=node) if rests != [zero, zero] else None
        everything = self.const(f"{node.name}_all", 1.0)
        kept = [everything if split is None else split.kept for split in operands]
        none_kept = [not bool(np.any(self.constants.get(name, np.ones(1)))) for name in kept]
        if condition not in self.constants and none_kept != [False, False] and everything in kept:
            relation = Relation.NE if none_kept[1] else Relation.EQ
            chosen = self.add(f"{node.name}_kept", Comparison(relation), condition, zero)
        else:
            chosen = self.add(f"{node.name}_kept", Where(), condition, *kept)
        if chosen not in self.constants:
            return Split(chosen, rest, np.full((1,), max(split.highest for split in splits)))
        picked = np.broadcast_to(self.constants[condition] != 0.0, self.shapes[node.name])
        for own, other, here in zip(rests, rests[::-1], (picked, ~picked), strict=True):
            if rest is not None and own == zero and not np.any(here & (self.constants[chosen] != 0.0)):
                self.alone[rest] = other
        return Split(chosen, rest, np.where(picked, *(0.0 if split is None else split.level for split in operands)))

    def _product(self, node: NetworkNode) -> Split | None:
        """A split times positive constants."""
        first = next((name for name in node.inputs if name in self.splits), None)
        factors = [self.constants[name] for name in node.inputs if name in self.constants]
        scale = math.prod(factors, start=np.ones(1))
        if first is None or len(factors) != len(node.inputs) - 1 or float(np.min(scale)) <= 0.0:
            return None
        full = self._full_rest(node, first)
        rest = self.add(
            f"{node.name}_rest", node.layer, full, *(name for name in node.inputs if name != first), of=node
        )
        return replace(self.splits[first], rest=rest, level=self.splits[first].level * scale)

    def _normalized(self, node: NetworkNode, layer: BatchNormalization) -> Split | None:
        """A tensor times constants, which are positive for a split, and with offsets of which some are far below 0."""
        (name,), axes = node.inputs, [1] * len(self.shapes[node.name])
        axes[layer.axis] = -1
        kept, scale, splits = layer.offset > -FAR, layer.scale.reshape(axes), []
        if name in self.splits:
            if float(np.min(scale)) <= 0.0:
                return None
            splits.append(replace(self.splits[name], level=self.splits[name].level * scale))
            name = self._full_rest(node, name)
        if not bool(np.all(kept)):
            far = np.where(kept, 0.0, layer.offset).reshape(axes)
            splits.append(Split(self.const(f"{node.name}_kept", kept.reshape(axes)), None, far))
        if not splits:
            return None
        near = replace(layer, offset=as_weights(np.where(kept, layer.offset, 0.0)))
        plain = bool(np.all(near.scale == 1.0) and np.all(near.offset == 0.0))
        return self._joined(node, splits, self.add(f"{node.name}_rest", Identity() if plain else near, name, of=node))

    def _full_rest(self, node: NetworkNode, name: str) -> str:
        """The rest of the split called ``name``, which ``node`` reads, in the tensor's shape."""
        rest = self.splits[name].rest or self.const(f"{node.name}_zero", 0.0)
        return self.broadcast(f"{node.name}_full", rest, self.shapes[name])

    def simplified(self, node: NetworkNode) -> NetworkNode:
        """``node``, or the operand that counts of a choice, where all others are left out."""
        if self.exact or node.name not in self.alone:
            return node
        name = self.alone[node.name]
        return replace(node, layer=self._repeated(name, self.shapes[node.name]), inputs=(name,))

    def _repeated(self, name: str, shape: Shape) -> Layer:
        return Identity() if self.shapes[name] == shape else Broadcast(shape)


def _floor(numbers: Floats) -> float:
    """A power of two below ``numbers`` and what may be like them: what is less counts for nothing beside 0."""
    return -(2.0 ** max(math.ceil(math.log2(max(float(np.abs(numbers).max()), 1.0))) + 1, _LEAST_FLOOR))


def _number(values: Floats) -> float | None:
    """The only value of a tensor."""
    return float(values.flat[0]) if values.size and bool(np.all(values == values.flat[0])) else None
