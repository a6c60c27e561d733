"""Products of two computed operands as units of an engine: one lies in its memory, the other one where weights would.

What is held in place of weights has heads inside of positions (tokens). Products of queries with keys are sums over its channels:
lanes are positions. Those of scores with values are sums over its positions: lanes are channels.
"""

import math
from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.engine_layer import EngineLayer, Held
from bitsmith.ir import ops
from bitsmith.ir.program import Node
from bitsmith.ir.types import IntArray, TensorType, objects
from bitsmith.mapping.builder import DataflowBuilder, NodeId
from bitsmith.mapping.engine.places import lowest
from bitsmith.mapping.engine.steps import frac_of
from bitsmith.mapping.engine.units import Computed, Unit, copied, element, extended
from bitsmith.mapping.formats import whole_range

_RANK = 3
"""Axes of heads, positions and channels."""


def with_computed(builder: DataflowBuilder, units: Sequence[Unit]) -> list[Unit]:
    """``units`` in order, and products of two computed operands, the second of which one of them makes for these alone."""
    outputs = {output.node for output in builder.program.outputs}
    results = {unit.result for unit in units if unit.is_product and unit.blocks == 1 and unit.result not in outputs}
    heads = (_computed(builder, NodeId(index), node, results) for index, node in enumerate(builder.program.nodes))
    more = [extended(builder, unit) for unit in heads if unit is not None]
    kept = [unit for unit in units if not any(unit.nodes <= one.nodes for one in more)]
    return sorted([*kept, *more], key=lambda unit: unit.result)


def _computed(builder: DataflowBuilder, place: NodeId, node: Node, results: Set[NodeId]) -> Unit | None:
    """The unit of a product of two tensors with heads, the second of which is among ``results`` and read by nothing else."""
    args = builder.operands(node)
    if (
        node.layer not in builder.directives.engine
        or not isinstance(node.op, ops.MatMul)
        or len(node.type.shape) > _RANK
    ):
        return None
    (source, places, nodes), (held, others, turning) = (_origin(builder, arg) for arg in args)
    alone = held in results and turning.issuperset({*builder.reading(held)} - {place})
    if not alone or held == source or builder.is_constant(source) or builder.is_parameter(source):
        return None
    heads, steps, columns = (1,) * (_RANK - len(builder.shape(args[1]))) + builder.shape(args[1])
    tokens, others = places.size // (heads * steps), others.reshape(heads, steps, columns)
    if math.prod(node.type.shape[:-1]) != heads * tokens:
        return None
    by_window = np.array_equal(others, _inside(heads, columns, steps).transpose(0, 2, 1))
    inner = np.array_equal(places.reshape(heads, tokens, steps), _inside(heads, tokens, steps))
    outer = np.array_equal(places.reshape(-1), np.arange(places.size))
    if not (by_window or np.array_equal(others, _inside(heads, steps, columns))) or not (inner or outer):
        return None
    kinds, own = [element(builder.program.nodes[one].type) for one in (source, held)], element(node.type)
    numbers, (least, most) = (whole_range(*kind.raw_range) for kind in kinds)
    frac = sum(map(frac_of, kinds))
    if least >= 0 or frac < frac_of(own):
        return None
    weights = np.full((heads, steps, columns), most, dtype=np.object_)
    weights[0, 0, 0] = least
    products = [number * weight for number in numbers for weight in (least, most)]
    total = steps * min(products), steps * max(products)
    bias, fracs = objects(np.zeros(heads * columns, dtype=np.object_)), np.full(heads * columns, frac)
    unit = copied(builder, source, node.layer)
    return unit and replace(
        unit,
        nodes=frozenset({place}) | nodes | turning,
        result=place,
        grid=(1, tokens),
        channels=heads * steps,
        blocks=heads,
        weights=objects(weights),
        fracs=fracs,
        exact=total,
        total=total,
        sums=TensorType.of(bias.shape, fracs, *total),
        bias=bias,
        chosen=bias,
        kind=own,
        computed=Computed(held, by_window, inner, turned=heads == 1),
    )


def _origin(builder: DataflowBuilder, arg: NodeId) -> tuple[NodeId, IntArray, frozenset[NodeId]]:
    """The node that an operand is made of by moves, the place there of each of its elements, and the nodes between."""
    behind, node = [arg], builder.program.nodes[arg]
    while isinstance(node.op, ops.Reshape | ops.Transpose):
        behind += builder.operands(node)
        node = builder.program.nodes[behind[-1]]
    *nodes, source = behind
    places = np.arange(math.prod(node.type.shape)).reshape(node.type.shape)
    for one in map(builder.program.nodes.__getitem__, reversed(nodes)):
        places = places.transpose(one.op.perm) if isinstance(one.op, ops.Transpose) else places.reshape(one.type.shape)
    return source, places, frozenset(nodes)


def _inside(heads: int, positions: int, channels: int) -> IntArray:
    """Places of elements (head, position, channel) where heads are inside of positions."""
    return np.arange(heads * positions * channels).reshape(positions, heads, channels).transpose(1, 0, 2)


def are_whole(chosen: Sequence[Unit], units: Sequence[Unit]) -> bool:
    """Return True if all products of two computed operands among ``units`` are ``chosen``, after what they hold."""
    known = set[NodeId]()
    for unit in chosen:
        if unit.computed is not None and unit.computed.held not in known:
            return False
        known |= set() if unit.leaves and unit.computed is None else {unit.result}
    return all(unit.result in known for unit in units if unit.computed is not None)


def heads_of(layer: EngineLayer, computed: Computed, row: int) -> list[EngineLayer]:
    """The ``layer`` of a product of two computed operands as one of each head, in order; weights begin at a ``row``."""
    heads, tokens, columns = layer.blocks, layer.grid[1], layer.passes * layer.lanes
    size = layer.channels // heads
    op, grid = (replace(layer.op, stride=(1, heads)), (1, tokens * heads)) if computed.inner else (layer.op, layer.grid)
    further = size if computed.inner else tokens * size
    spread, onward = (heads * columns, columns) if computed.turned else (columns, tokens * columns)
    choices = np.broadcast_to(layer.choices, (heads * columns,)).reshape(heads, columns)
    return [
        replace(
            layer,
            op=op,
            grid=grid,
            channels=size,
            blocks=1,
            weights=layer.weights[head : head + 1],
            bias=layer.bias[:columns],
            choices=layer.choices if layer.choices.size == 1 else objects(choices[head]),
            source=layer.source + head * further,
            target=layer.target + head * onward,
            outside=not layer.leaves,
            loads=0 if head else layer.loads,
            continues=layer.leaves and head > 0,
            spread=spread,
            row=row + head * layer.passes * layer.steps,
        )
        for head in range(heads)
    ]


def held_places(units: Sequence[Unit], layers: Sequence[EngineLayer]) -> dict[NodeId, Held]:
    """Places of all tensors that are held, beside others that are needed later; ``layers`` of all units."""
    places, taken = dict[NodeId, Held](), list[tuple[int, int, int]]()
    readers = {unit.computed.held: (number, unit.computed) for number, unit in enumerate(units) if unit.computed}
    for number, unit in enumerate(units):
        if unit.result in readers:
            last, computed = readers[unit.result]
            layer = layers[last]
            size = layer.all_words
            first = lowest(sorted((begin, end) for other, begin, end in taken if other > number), size)
            taken.append((last, first, first + size))
            places[unit.result] = Held(first, computed.by_window, layer.passes, layer.steps, layer.lanes)
    return places
