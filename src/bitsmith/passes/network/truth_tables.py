"""Functions of a few bits become truth tables, however the model computes them.

Networks of logic gates are trained as arithmetic: a gate is ``w0 + w1*a + w2*b + w3*a*b`` of bits ``a`` and ``b``, or tells
whether a sum of products of signs is positive. Before: ``gather -> 1 - a -> products -> sums -> comparison``. After:
``gather -> TruthTable``, with the values that the float model gives, and no arithmetic.

Bits are results of comparisons, inputs that have no values but 0 and 1, truth tables, and the greatest or least of bits. A result
becomes a table if it is 0 or 1 for all values of at most six bits at the same place, whether these occur together or not, and if
two layers or more compute it. Elements may move between.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.truth_table import MOST_BITS, TruthTable

_MOST_VALUES = 1 << 22
"""Most values of a tensor for all values of its bits."""

_BIT = FixedFormat(False, 1, 0, Rounding.RND, Overflow.SAT)


def truth_tables(network: Network, calibration: Sequence[Floats] | None = None) -> Network:
    """``network`` with truth tables.

    Args:
        calibration: one batch per input; inputs of which it has no values but 0 and 1 are bits.
    """
    found = _Tabulation(network, _bits_among(network, calibration))
    for node in network.nodes:
        found.follow(node)
    return found.network() if found.tables else network


def _bits_among(network: Network, calibration: Sequence[Floats] | None) -> set[str]:
    """The inputs that have no values but 0 and 1."""
    batches = dict(zip(network.inputs, calibration or (), strict=False))
    names = set()
    for name in network.inputs:
        fmt, layer = network.node(name).settings.precision.get("result"), network.input(name)
        stated = fmt is not None and (fmt.signed, fmt.width, fmt.frac) == (False, 1, 0)
        seen = fmt is None and not layer.limited and name in batches and _are_bits(np.asarray(batches[name]))
        if stated or layer.limits == (0, 1) or layer.entries == 2 or seen:
            names.add(name)
    return names


def _are_bits(values: Floats) -> bool:
    return bool(np.all((values == 0.0) | (values == 1.0)))


@dataclass(frozen=True, slots=True)
class _Function:
    """A tensor as a function of tensors of bits, at the same place: ``values[k]`` where ``leaves[j]`` is bit ``j`` of ``k``.

    ``layers`` names those that compute it.
    """

    leaves: tuple[str, ...]
    values: Floats
    layers: frozenset[str] = frozenset()

    def of(self, leaves: Sequence[str]) -> Floats:
        """The values for all values of more ``leaves``."""
        numbers = np.arange(1 << len(leaves))
        own = [(numbers >> leaves.index(leaf) & 1) << place for place, leaf in enumerate(self.leaves)]
        return self.values[sum(own, np.zeros_like(numbers))]


@dataclass(slots=True)
class _Tabulation:
    """Follows ``bits`` through the network.

    ``functions`` are what tensors are of bits, ``sources`` where the elements of a leaf come from, and ``moved`` nodes that move
    leaves as the model moves functions of them. ``tables`` replace nodes.
    """

    before: Network
    bits: set[str]
    shapes: dict[str, Shape] = field(init=False)
    functions: dict[str, _Function] = field(default_factory=dict)
    sources: dict[str, tuple[str, Floats]] = field(default_factory=dict)
    moved: dict[str, NetworkNode] = field(default_factory=dict)
    tables: dict[str, NetworkNode] = field(default_factory=dict)
    taken: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.shapes = self.before.shapes()
        self.taken = {node.name for node in self.before.nodes}

    def follow(self, node: NetworkNode) -> None:
        """Find what ``node`` is of bits, if it is, and make a table of it where that ends in bits."""
        function = self._of_bits(node)
        ends = function is not None and self._ends(node, function)
        if function is not None and ends and len(function.layers) > 1:
            self._tabulate(node, function)
        if ends or (function is None and node.layer.traits.bits):
            function = self._leaf(node.name)
        if function is not None:
            self.functions[node.name] = function

    def _of_bits(self, node: NetworkNode) -> _Function | None:
        """The function of bits that a node is, by those of its operands; None if it is none."""
        if node.name in self.bits:
            return self._leaf(node.name)
        if not node.inputs:
            return None if isinstance(node.layer, Input) else _Function((), node.layer.reference([]))
        known = [self.functions.get(name) for name in node.inputs]
        functions, traits = [function for function in known if function is not None], node.layer.traits
        if len(functions) < len(known) or node.is_given:
            return None
        if traits.moves_or_pads and len(functions) == 1:
            return self._moved(node, functions[0])
        if traits.elementwise or traits.affine:
            return self._computed(node, functions)
        picks = traits.picks and all(function.leaves and not function.layers for function in functions)
        return self._leaf(node.name) if picks else None

    def _leaf(self, name: str) -> _Function:
        shape = self.shapes[name]
        self.sources.setdefault(name, (name, np.arange(math.prod(shape), dtype=np.float64).reshape(shape)))
        return _Function((name,), np.stack([np.zeros(shape), np.ones(shape)]))

    def _moved(self, node: NetworkNode, function: _Function) -> _Function | None:
        """Elements that move, of bits that move alike."""
        values = node.layer.reference([function.values])
        if not function.leaves:
            return _Function((), values)
        names = {}
        ones = np.ones((1, *self.shapes[node.inputs[0]]))
        # Constants of padding are what changes with no element: they must be bits, too.
        first, second = node.layer.reference([ones])[0], node.layer.reference([2.0 * ones])[0]
        padded = first == second
        if not _are_bits(first[padded]):
            return None
        for leaf in function.leaves:
            source, places = self.sources[leaf]
            moved = np.where(padded, -1 - first, node.layer.reference([places[None]])[0])
            # A function says itself what it is at places of padding.
            own = ~padded if function.layers else np.ones_like(padded)
            names[leaf] = self._known(source, moved, own) or (self._move(node, leaf) if function.layers else node.name)
            self.sources.setdefault(names[leaf], (source, moved))
        return _Function(tuple(names[leaf] for leaf in function.leaves), values, function.layers)

    def _known(self, source: str, places: Floats, where: npt.NDArray[np.bool_]) -> str | None:
        """The tensor that has these bits of ``source`` at the places ``where``, if there is one."""
        like = {name: at for name, (of, at) in self.sources.items() if of == source and at.shape == places.shape}
        return next((name for name, at in like.items() if np.array_equal(at[where], places[where])), None)

    def _move(self, node: NetworkNode, leaf: str) -> str:
        """A node that moves ``leaf`` as ``node`` moves a function of it."""
        name = free_name(f"{node.name}_bits", self.taken)
        self.moved[name] = NetworkNode(name, node.layer, (leaf,), source=node.source, inner=True)
        return name

    def _computed(self, node: NetworkNode, functions: Sequence[_Function]) -> _Function | None:
        """A function of functions, element by element."""
        shape = self.shapes[node.name]
        leaves = tuple(dict.fromkeys(leaf for function in functions for leaf in function.leaves))
        apart = any(function.leaves and function.values.shape[1:] != shape for function in functions)
        if len(leaves) > MOST_BITS or apart or math.prod(shape) << len(leaves) > _MOST_VALUES:
            return None
        with np.errstate(all="ignore"):
            values = node.layer.reference([function.of(leaves) for function in functions])
        layers = frozenset[str]().union(*(function.layers for function in functions)) | {node.name}
        return _Function(leaves, values, layers if leaves else frozenset())

    def _ends(self, node: NetworkNode, function: _Function) -> bool:
        """True if a result is of bits, and read by what is not an element-wise function."""
        if not function.leaves or node.name not in function.layers or not _are_bits(function.values):
            return False
        traits = [reader.layer.traits for reader in self.before.consumers(node.name)]
        return not any(each.elementwise or each.affine for each in traits)

    def _tabulate(self, node: NetworkNode, function: _Function) -> None:
        """Let ``node`` be a truth table, unless the user looks at what it is computed of."""
        inner = [self.before.node(name) for name in function.layers if name != node.name]
        if any(each.settings.trace or each.is_given or each.name in self.before.outputs for each in inner):
            return
        values = np.moveaxis(function.values, 0, -1)
        for axis in range(values.ndim - 1):
            first = values.take([0], axis)
            values = first if np.array_equal(np.broadcast_to(first, values.shape), values) else values
        layer = TruthTable(as_weights(values), 1)
        self.tables[node.name] = replace(node, layer=layer, inputs=function.leaves, whole=True)

    def network(self) -> Network:
        """The network with the tables, without what only they needed."""
        nodes = [each for node in self.before.nodes for each in self._with_moved(self.tables.get(node.name, node))]
        network = self.before.with_nodes(nodes).without_unread(self.before)
        read = {self.sources[leaf][0] for table in self.tables.values() for leaf in table.inputs}
        return network.with_nodes([_as_bits(node) if node.name in read else node for node in network.nodes])

    def _with_moved(self, node: NetworkNode) -> Iterator[NetworkNode]:
        """A node, and those that move its bits."""
        yield node
        for moved in self.moved.values():
            if node.name in moved.inputs:
                yield from self._with_moved(moved)


def _as_bits(node: NetworkNode) -> NetworkNode:
    """An input with a format of one bit, if it has none."""
    if not isinstance(node.layer, Input) or node.layer.limited or "result" in node.settings.precision:
        return node
    settings = replace(node.settings, precision={**node.settings.precision, "result": _BIT})
    return replace(node, layer=replace(node.layer, held=True), settings=settings)
