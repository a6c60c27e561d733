"""Chooses how each tensor is stored, such that few permutations of axes are left, best none, and those at inputs and outputs.

Before: ``x -> permute -> conv -> permute -> relu -> permute -> conv``, as frontends write layers of channels-first models.
After: ``x -> permute -> conv -> relu -> conv``: what was a permutation is another view of a tensor that stays where it is, and
each node says in :attr:`NetworkNode.order` how its result lies beside the user's. A layer says itself what it becomes when its
operands are stored in another order (:meth:`Layer.reordered`). The user's nodes keep their names, settings and results;
permutations of their own become identities, while those of a frontend (:attr:`NetworkNode.inner`) go. What must be moved
nevertheless is moved by the user's permutations or by new ones.

A plan costs the permutations that move anything. Of two that move as much, the one whose views have smaller tokens is cheaper: an
image of one channel has a token for each number, or for each row. A plan is found by going through the network against its
direction and along it, giving each node the best order that a neighbor has, until nothing gets better: not always the least, but
never more than the network as it was.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.axis_order import Order, after, between, elements, inverse, moves, ordered_shape, unchanged
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.settings import Weights
from bitsmith.layers.shape import Gather, Permute

_MOST_ROUNDS = 16

_MOVE_INSIDE, _MOVE, _VIEW = 16, 15, 1
"""Permutations that move elements within the network, those that do so at its borders, and those that move none."""


def layout(network: Network) -> Network:
    """``network`` with the fewest permutations that are found."""
    if not any(isinstance(node.layer, Permute) for node in network.nodes):
        return network
    network = _seen_from_outside(network)
    plans = [_Plan(network), _Plan(network)]
    plans[1].follow_operands()
    for plan in plans:
        plan.improve()
    return min(plans, key=_Plan.cost).network()


def _seen_from_outside(network: Network) -> Network:
    """``network`` with its outputs before permutations that only bring them into the user's order."""
    nodes = {node.name: node for node in network.nodes}

    def before(name: str) -> str:
        node = nodes[name]
        if isinstance(node.layer, Permute) and node.inner and nodes[node.inputs[0]].order == inverse(node.layer.perm):
            return before(node.inputs[0])
        return name

    outputs = tuple(map(before, network.outputs))
    read = {name for node in network.nodes for name in node.inputs}.union(outputs)
    kept = [node for node in network.nodes if node.name in read or not _is_frontends(node)]
    return replace(
        network,
        nodes=tuple(replace(node, inner=node.inner and node.name not in outputs) for node in kept),
        outputs=outputs,
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """The orders in which a node reads its operands, what it then is, and the order of its result."""

    reads: tuple[Order, ...]
    layer: Layer
    order: Order


class _Cost(NamedTuple):
    """Moves by weight, the elements that they move, and those of a token where a view of the tensor may have smaller ones."""

    moves: int
    elements: int
    token: int


def _total(costs: Iterable[_Cost]) -> _Cost:
    return _Cost(*map(sum, zip(*costs, strict=True)))


def _no_more_moves(new: _Cost, old: _Cost) -> bool:
    return new.moves <= old.moves


class _Plan:
    """A choice for each node; at first the network as it is."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._shapes = network.shapes()
        self._readers: dict[str, list[tuple[str, int]]] = {node.name: [] for node in network.nodes}
        for node in network.nodes:
            for position, name in enumerate(node.inputs):
                self._readers[name].append((node.name, position))
        self._known: dict[tuple[str, tuple[Order, ...]], _Choice | None] = {}
        self._chosen: dict[str, _Choice] = {}
        for node in network.nodes:
            self._chosen[node.name] = self._as_is(node)

    def follow_operands(self) -> None:
        """Let each node read its operands as they are stored, where it can."""
        for node in self._network.nodes:
            for offered in self._offered(node):
                self._chosen[node.name] = offered

    def improve(self) -> None:
        """Better choices, node by node; of equal ones those that are nearer to the inputs."""
        nodes = self._network.nodes
        best = None
        for _ in range(_MOST_ROUNDS):
            self._sweep(nodes[::-1], self._demanded, _no_more_moves)
            if best is not None and self.cost().moves >= best:
                break
            best = self.cost().moves
            self._sweep(nodes, self._offered, _no_more_moves)
        self._sweep(nodes, self._offered, _Cost.__lt__)

    def cost(self) -> _Cost:
        return _total(map(self._cost_of, self._chosen))

    def network(self) -> Network:
        """The network as planned."""
        names = {node.name for node in self._network.nodes if not _is_frontends(node)}
        nodes: list[NetworkNode] = []
        stored: dict[tuple[str, Order], str] = {}  # where a tensor is found in that order
        for node in self._network.nodes:
            chosen, inputs = self._chosen[node.name], []
            layer = chosen.layer
            for name, read in zip(node.inputs, chosen.reads, strict=True):
                have = stored[name, self._chosen[name].order]
                move = self._move(name, read)
                if move is not None and isinstance(node.layer, Permute) and not node.inner:
                    layer = move
                elif move is not None and (name, read) not in stored:
                    moved = stored[name, read] = free_name(f"{have}_permuted", names)
                    nodes.append(NetworkNode(moved, move, (have,), order=self._in_model(name, read)))
                inputs.append(have if layer is move else stored[name, read])
            if _is_frontends(node):
                (stored[node.name, chosen.order],) = inputs
                continue
            stored[node.name, chosen.order] = node.name
            order = self._in_model(node.name, chosen.order)
            layouts = node.layouts if layer is node.layer else {**node.layouts, **self._moved_weights(node, chosen)}
            nodes.append(replace(node, layer=layer, inputs=tuple(inputs), order=order, layouts=layouts))
        return self._network.with_nodes(nodes)

    def _moved_weights(self, node: NetworkNode, chosen: _Choice) -> Mapping[str, ModelLayout]:
        """Places in the user's model of the weights of a product that reads or gives another order."""
        layer = node.layer
        if not isinstance(layer, Dense):  # no other layer moves weights of its own
            return {}
        shape, known = layer.kernel.shape, node.layouts.get("weight", ModelLayout.plain(layer.kernel.shape))

        def moved(numbers: Floats) -> Floats:
            numbered = replace(layer, kernel=known.taken(numbers).reshape(shape))
            found = numbered.reordered(chosen.reads, [self._shapes[name] for name in node.inputs])
            assert found is not None
            given = found[0] if found[1] == chosen.order else found[0].giving(chosen.order, self._shapes[node.name])
            assert isinstance(given, Dense)
            return given.kernel

        layout = ModelLayout.of(known.shape, moved) if known.is_one_to_one else None
        return {} if layout is None else {"weight": layout}

    def _as_is(self, node: NetworkNode) -> _Choice:
        reads = tuple(unchanged(self._shapes[name]) for name in node.inputs)
        if isinstance(node.layer, Permute) and len(node.layer.perm) > 1:
            reads = (node.layer.perm,)
        chosen = self._choice(node, reads)
        assert chosen is not None
        return chosen

    def _choice(self, node: NetworkNode, reads: tuple[Order, ...]) -> _Choice | None:
        """The node with its operands in these orders, if it can read them."""
        key = node.name, reads
        if key not in self._known:
            shapes = [self._shapes[name] for name in node.inputs]
            as_is = all(read == unchanged(shape) for read, shape in zip(reads, shapes, strict=True))
            moved: tuple[Layer, Order] | None = node.layer, unchanged(self._shapes[node.name])
            if not as_is or isinstance(node.layer, Permute):
                moved = node.layer.reordered(reads, shapes)
                if moved is not None and moved[0] is not node.layer and _is_loaded(node):
                    moved = None  # what is loaded has the order of the user's model
            self._known[key] = None if moved is None else _Choice(reads, *moved)
        return self._known[key]

    def _sweep(
        self,
        nodes: Sequence[NetworkNode],
        proposals: Callable[[NetworkNode], Iterator[_Choice]],
        is_better: Callable[[_Cost, _Cost], bool],
    ) -> None:
        for node in nodes:
            best, least = self._chosen[node.name], self._cost_around(node)
            for proposal in proposals(node):
                self._chosen[node.name] = proposal
                if proposal != best and is_better(cost := self._cost_around(node), least):
                    best, least = proposal, cost
            self._chosen[node.name] = best

    def _demanded(self, node: NetworkNode) -> Iterator[_Choice]:
        """Choices whose result has an order in which somebody reads it."""
        for order in self._demands(node.name):
            given = self._giving(node, self._chosen[node.name].reads, order)
            if given is not None:
                yield given
                continue
            if isinstance(node.layer, Permute) and len(node.layer.perm) > 1:
                reads: tuple[Order, ...] = (after(node.layer.perm, order),)
            else:
                reads = self._uniform(node, order, self._shapes[node.name])
            chosen = self._choice(node, reads)
            if chosen is not None and chosen.order == order:
                yield chosen

    def _offered(self, node: NetworkNode) -> Iterator[_Choice]:
        """Choices that read an operand in the order that it has: larger ones later, and at last all of them."""
        operands = sorted(node.inputs, key=lambda name: 0 if self._is_constant(name) else math.prod(self._shapes[name]))
        uniform = [self._uniform(node, self._chosen[name].order, self._shapes[name]) for name in operands]
        for reads in (*uniform, tuple(self._chosen[name].order for name in node.inputs)):
            chosen = self._giving(node, reads, self._chosen[node.name].order) or self._choice(node, reads)
            if chosen is not None:
                yield chosen

    def _giving(self, node: NetworkNode, reads: tuple[Order, ...], order: Order) -> _Choice | None:
        """The node reading in these orders and giving its result in that one, if it can choose."""
        chosen = self._choice(node, reads)
        layer = None if chosen is None or _is_loaded(node) else chosen.layer.giving(order, self._shapes[node.name])
        return None if layer is None else _Choice(reads, layer, order)

    def _uniform(self, node: NetworkNode, order: Order, shape: Shape) -> tuple[Order, ...]:
        """One order for all operands that could have it, being that of a tensor of ``shape``."""
        shapes = [self._shapes[name] for name in node.inputs]
        row = (math.prod(shape),)
        return tuple(
            order
            if own == shape or len(own) == len(shape) > 1
            else elements(order, shape)
            if own == row and len(node.inputs) == 1
            else unchanged(own)
            for own in shapes
        )

    def _demands(self, name: str) -> dict[Order, bool]:
        """The orders in which ``name`` is read, and whether another node does so (and not the user alone)."""
        inside = {self._chosen[reader].reads[position]: True for reader, position in self._readers[name]}
        if name not in self._network.outputs:
            return inside
        own = self._network.node(name).order
        return {unchanged(self._shapes[name]) if own is None else inverse(own): False} | inside

    def _move(self, name: str, read: Order) -> Layer | None:
        """The permutation from the stored tensor to the one that is read."""
        have = self._chosen[name].order
        if have == read:
            return None
        move = between(have, read)
        return Gather(move, 0) if len(self._shapes[name]) == 1 else Permute(move)

    def _cost_of(self, name: str) -> _Cost:
        """The cost of storing ``name`` in its order, and of reading it in others."""
        have, shape = self._chosen[name].order, self._shapes[name]
        interface = isinstance(self._chosen[name].layer, Input)
        costs = [_Cost(0, 0, ordered_shape(shape, have)[-1] if 1 in shape else 0)]
        for read, inside in self._demands(name).items():
            if read == have:
                continue
            if self._is_constant(name) or not moves(ordered_shape(shape, have), between(have, read)):
                costs.append(_Cost(_VIEW, 0, 0))
            else:
                costs.append(_Cost(_MOVE_INSIDE if inside and not interface else _MOVE, math.prod(shape), 0))
        return _total(costs)

    def _cost_around(self, node: NetworkNode) -> _Cost:
        """The part of the cost that this node's choice decides."""
        return _total(map(self._cost_of, {node.name, *node.inputs}))

    def _is_constant(self, name: str) -> bool:
        return isinstance(self._chosen[name].layer, Constant)

    def _in_model(self, name: str, order: Order) -> Order | None:
        """``order`` beside the user's tensor, of which the frontend may give another view already."""
        own = self._network.node(name).order
        whole = order if own is None else after(own, order)
        return None if whole == tuple(range(len(whole))) else whole


def _is_frontends(node: NetworkNode) -> bool:
    """Return True of a permutation that only the frontend needed."""
    return node.inner and isinstance(node.layer, Permute)


def _is_loaded(node: NetworkNode) -> bool:
    """True if weights other than those of ``node.layer`` may be loaded."""
    return node.settings.weights is not Weights.ONCHIP
