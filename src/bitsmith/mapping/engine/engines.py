"""Layers that share an engine: parts of the program with one operand and one result, executed layer by layer.

The reuse factors of the layers say how many cycles there are, as for layers side by side: a frame may take as long as the slowest
of them. The engine has as few multipliers as that allows.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from operator import mul
from typing import TypeAlias

import numpy as np

from bitsmith.base.lately import lately
from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.engine_layer import EngineLayer, Grid, Watched
from bitsmith.dataflow.kinds import Replay, Source
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.storage import Memory, weight_bits
from bitsmith.dataflow.tokens import Stream
from bitsmith.devices.system import beat_bytes
from bitsmith.errors import UnsupportedError
from bitsmith.ir.program import Output, Program
from bitsmith.ir.types import Ints, TensorType
from bitsmith.mapping.builder import DataflowBuilder, NodeId, StepId, builder_of, parts_of
from bitsmith.mapping.directives import Directives, WeightsBus
from bitsmith.mapping.engine.function import TokenFunction, token_function
from bitsmith.mapping.engine.parts import across, in_parts, parts_for
from bitsmith.mapping.engine.places import placed
from bitsmith.mapping.engine.rows import Row, bias_words, layers_on, rows_of, work_of
from bitsmith.mapping.engine.steps import frac_of
from bitsmith.mapping.engine.units import Unit, copied, element, units_of
from bitsmith.mapping.memories import can_hold, has_room, shares_port
from bitsmith.mapping.sweeps import narrow

_LEAST_PRODUCTS = 2
"""Layers with weights that an engine is worth its memory and its control for."""

_NAMED = 6
"""Layers that an error names."""

_NUMBERS = 1024
"""Numbers in memory that cost as much as a multiplier: in a block of memory there is room for two of these."""

_WORTH = 4096
"""Numbers that a copy has to save."""

_PLACES = 8
"""Numbers that a row of larger memory holds, at most."""

_ABREAST = 2
"""Sums of a window that leave at once, where one in a cycle takes too many cycles."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Units that share an engine with a ``row`` of multipliers, if there are ``cycles`` for it; ``needed`` with the best.

    Steps follow after ``gap`` cycles. The ``function`` of sums is made once, however many multipliers there are.
    """

    units: tuple[Unit, ...]
    function: Callable[[], TokenFunction]
    row: Row | None
    cycles: int
    needed: int
    gap: int

    @property
    def result(self) -> NodeId:
        return self.units[-1].result

    @property
    def nodes(self) -> frozenset[NodeId]:
        """All that it replaces."""
        return frozenset().union(*(unit.nodes for unit in self.units))


Way: TypeAlias = tuple[tuple[Unit, ...], Callable[[], TokenFunction]]
"""Units in turn, and their function."""


@lately(2)
def _shared(program: Program, directives: Directives) -> list[list[Way]]:
    """The longest parts of the program that can share an engine, each in all ways, with their functions."""
    builder, parts = DataflowBuilder(program, directives), list[tuple[Unit, ...]]()
    left = units_of(builder)
    while left:
        longest = _longest(builder, left)
        parts += [tuple(longest)] if sum(unit.is_product for unit in longest) >= _LEAST_PRODUCTS else []
        left = [unit for unit in left if unit not in (longest or left[:1])]
    return [[(way, cache(partial(token_function, way))) for way in _ways(builder, units)] for units in parts]


def _ways(builder: DataflowBuilder, units: tuple[Unit, ...]) -> Iterator[tuple[Unit, ...]]:
    """``units``; and with a copy after a product whose weights come: in the memory its results need no order."""
    last, directives = units[-1], builder.directives
    yield units
    if directives.weights_rate is not None and not directives.taps and last.is_product and last.windows > 1:
        copy = copied(builder, last.result, f"{last.name}_copy")
        if copy is not None:
            yield (*units, copy)


def regions_of(builder: DataflowBuilder) -> list[Region]:
    """Parts of the program that share an engine; their units are the same whatever reuse factors there are."""
    if not builder.directives.engine:
        return []
    return [_least(builder, ways) for ways in shared_units(builder)]


def shared_units(builder: DataflowBuilder) -> list[list[Way]]:
    """The units of each region, in all ways, with their functions."""
    return _shared(builder.program, replace(builder.directives, reuse={}))


def _least(builder: DataflowBuilder, ways: Sequence[Way]) -> Region:
    """The region of the way that takes least; of the fewest cycles, if there are too few for any."""
    regions = [_region(builder, *way) for way in ways]
    fitting = [(region.row, region) for region in regions if region.row is not None]
    if len(fitting) < len(ways):
        return next((region for _, region in fitting), min(regions, key=lambda one: one.needed))
    taken = [row.multipliers * _NUMBERS + _numbers(builder, region.units, row) for row, region in fitting]
    return regions[-1] if taken[-1] + _WORTH < taken[0] else regions[0]


def _numbers(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> int:
    """Numbers that an engine holds: of tensors, and about twice the most weights that are read over and over."""
    divided = in_parts(builder, units, row.parts)
    *others, last = layers_on(divided, row)
    held = [layer.steps if layer.blocks == 1 else layer.weights[..., 0].size for layer in others]
    held.append(last.weights[..., 0].size)
    return 2 * row.lanes * max(held) + _places(builder, divided, row.banks)[0] * math.prod(row.parts)


def _longest(builder: DataflowBuilder, units: Sequence[Unit]) -> list[Unit]:
    """Return the longest list of ``units``, from the first on, that have one operand and one result together.

    Single ones neither begin nor end it, and it passes those of other operands.
    """
    outputs = {NodeId(output.node) for output in builder.program.outputs}
    known, nodes, chosen, longest = {units[0].sources[0]}, set[NodeId](), list[Unit](), 0
    for unit in units:
        if not known.issuperset(unit.sources) and unit.is_single:
            continue
        if not known.issuperset(unit.sources) or units[0].is_single:
            break
        chosen.append(unit)
        known.add(unit.result)
        nodes |= unit.nodes
        leaving = {one for one in nodes if one in outputs or not nodes.issuperset(builder.reading(one))}
        if leaving == {unit.result} and not unit.is_single:
            longest = len(chosen)
    return chosen[:longest]


def _region(builder: DataflowBuilder, units: tuple[Unit, ...], function: Callable[[], TokenFunction]) -> Region:
    directives = builder.directives
    cycles = max(
        directives.reuse_factor(unit.name) * (1 if directives.parallel else unit.windows)
        for unit in units
        if unit.is_product
    )
    numbers = math.prod(builder.shape(units[0].sources[0]))
    rows, gap = _held(builder, units, [*rows_of(units, 1)])
    works = {row: work_of(units, row) for row in rows}
    windows = [*(unit.windows for unit in units), 1]
    biases = bias_words(units, works) if directives.weights_rate is not None else dict.fromkeys(works, 0)
    taken = {row: gap * (numbers + biases[row] + sum(map(mul, windows, work))) for row, work in works.items()}
    fitting = [row for row in sorted(taken) if taken[row] <= cycles]
    if (not fitting or units[-1].is_single) and gap == 1:  # of which a part has room
        large = directives.part.die.large if directives.part else 0
        banks = _ABREAST * (_PLACES if large else 1)  # so that numbers abreast are not in one row of larger memory
        works |= {row: work_of(units, row) for row in rows_of(units, _ABREAST) if row.banks >= banks}
        biases |= bias_words(units, works)
        for parts, divided in _in_parts(builder, units):
            come = max(numbers // parts[1], math.prod(divided[0].grid))
            windows = [*(unit.windows for unit in divided), 1]
            taken |= {
                replace(row, parts=parts): come + biases[row] + sum(map(mul, windows, work))
                for row, work in works.items()
            }
        held = max(unit.weights.shape[1] for unit in units) * 2 if units[-1].is_single else 0
        cost = {row: row.multipliers * _NUMBERS + row.lanes * held for row in taken}
        least = sorted(taken, key=lambda row: (cost[row], math.prod(row.parts), row))
        fitting = [row for row in least if taken[row] <= cycles]
    holds = cache(partial(_can_hold, builder, units))
    row = next((row for row in fitting if holds(row.banks, row.parts)), next(iter(fitting), None))
    return Region(units, function, row, cycles, min(taken.values()), gap)


def _held(builder: DataflowBuilder, units: Sequence[Unit], rows: Sequence[Row]) -> tuple[Sequence[Row], int]:
    """Those of ``rows`` whose numbers can be held, and the cycles of a step: 2 where memories have a single port."""
    if builder.directives.weights_rate is not None:
        return rows, 1
    bits, words = _number_bits(builder, units), _places(builder, units, 1)[0]
    contents = sum(unit.weights.size * weight_bits(unit.weights) for unit in units)
    single = [
        row for row in rows if shares_port(-(-words // row.banks), bits, row.banks, contents, builder.directives.part)
    ]
    return (single, 2) if single else (rows, 1)


def _can_hold(builder: DataflowBuilder, units: Sequence[Unit], banks: int, parts: Grid) -> bool:
    """Return True if the part of the circuit, if it is known, has room for the numbers of an engine with such memories."""
    part, (words, _) = builder.directives.part, _places(builder, in_parts(builder, units, parts), banks)
    memory = Memory(-(-words // banks), _number_bits(builder, units), beside=banks, splits=True)
    return part is None or can_hold(memory, math.prod(parts), part)


def _number_bits(builder: DataflowBuilder, units: Sequence[Unit]) -> int:
    """The bits of a number in the memory of an engine."""
    kinds = [element(builder.program.nodes[units[0].sources[0]].type), *(unit.kind for unit in units[:-1])]
    return max(kind.max_width for kind in kinds)


def _in_parts(builder: DataflowBuilder, units: Sequence[Unit]) -> Iterator[tuple[Grid, list[Unit]]]:
    """The units in parts, if the products of some compute several windows at once; where weights come."""
    if builder.directives.weights_rate is None or builder.directives.taps:
        return
    yield (1, 1), [*units]
    for parts in parts_for(units):
        divided = in_parts(builder, units, parts)
        if any(unit.is_product and unit.apiece for unit in divided):
            yield parts, divided


def placed_region(builder: DataflowBuilder, region: Region, row: Row, rate: float | None) -> StepId:
    """The engine of ``region``, as the step that has its result; ``rate`` is its own of `weights_rates`."""
    units, source = region.units, region.units[0].sources[0]
    kind, parts = element(builder.program.nodes[source].type), in_parts(builder, units, row.parts)[0].parts
    operand = narrow(builder, source, 1, ()) if parts[1] == 1 else across(builder, source, parts[1])
    if np.any(builder.stream(operand).token.frac != kind.frac):
        broad = (np.broadcast_to(part, (parts[1],)) for part in parts_of(kind))
        operand = builder.cast_to(operand, TensorType.of((parts[1],), *broad))
    function = region.function()
    engine = engine_of(builder, region, row, function, function.biases, fed=rate is not None)
    shape = builder.shape(region.result)
    result = Stream((math.prod(shape),), units[-1].kind)
    builder.layer = units[-1].name
    operands = (operand,) if rate is None else (operand, _fetched(builder, engine, rate))
    return builder.with_native_form(builder.add(engine, operands, result), shape[:-1], shape[-1:])


def engine_of(
    builder: DataflowBuilder, region: Region, row: Row, function: TokenFunction, biases: Sequence[Ints], *, fed: bool
) -> Engine:
    """The engine of ``region``, with ``biases`` of its units; ``fed``: weights and biases come."""
    layers, watched, units = list[EngineLayer](), _watched(builder, region), in_parts(builder, region.units, row.parts)
    words, places = _places(builder, units, row.banks)
    for unit, layer, bias, choices in zip(units, layers_on(units, row), biases, function.choices, strict=True):
        at = [places[one] for one in unit.sources]
        pitch = at[1] - at[0] if len(at) > 1 else unit.grid[1] // unit.parts[1] * unit.channels
        target, seen = places.get(unit.result, 0), watched.get(unit.result)
        outside = fed and seen is None and layer.blocks == 1 < layer.passes and unit is not units[-1]
        outside = outside and math.prod(layer.windows) > 1
        of_unit = replace(layer, pitch=pitch, source=at[0], target=target, bias=bias, choices=choices)
        layers.append(replace(of_unit, outside=outside, watched=seen))
    return Engine(tuple(layers), words, function.program, fed=fed, gap=region.gap)


_LEAST_HELD = 16
"""Words that are fetched ahead where none comes twice."""

_SHARE_AHEAD = 4
"""Memory blocks, or larger memories, that an engine leaves, to each that may hold words for later parts."""


def _fetched(builder: DataflowBuilder, engine: Engine, rate: float) -> StepId:
    """The words of biases and of the weights of each step, from a memory outside that gives so many bits in a cycle.

    There is room for two parts in a row, so that the words of the next one come while one is read over and over. There is more
    for later parts that are read faster than they come, if the part of the circuit has memory for them.
    """
    words, half = engine.words_of(engine.layers), 1 << (engine.weight_bits - 1)
    stream = Stream((len(words),), TensorType.of((engine.lanes,), 0, -half, half - 1))
    biases = ((engine.biases, 1),) if engine.biases else ()
    parts = (*biases, *(part for layer in engine.layers for part in layer.fetched))
    stored = StoredWeights(words, word_cycles(stream.bits, rate, builder.directives.weights_bus))
    places = _places_ahead(builder, engine, parts, stored.gap, stream.bits)
    coming = builder.add(Source(f"{engine.layers[0].name}_weights", stored=stored), (), stream)
    steps = sum(count * times for count, times in parts)
    return builder.add(Replay(parts, places), (coming,), Stream((steps,), stream.token))


def _places_ahead(
    builder: DataflowBuilder, engine: Engine, parts: Sequence[tuple[int, int]], gap: int, bits: int
) -> int:
    """Words of so many ``bits`` that are held of ``parts``, of which one comes in ``gap`` cycles."""
    held = [count if times > 1 else 0 for count, times in parts]
    places = max(_LEAST_HELD, *(sum(pair) for pair in zip(held, [*held[1:], held[0]], strict=True)))
    wanted, lacking = places, 0  # when a part begins, of those from it on
    for own, (count, times) in zip(reversed(held), reversed(parts), strict=True):
        wanted, lacking = max(wanted, own + lacking), max(0, lacking + count - count * times // gap)
    part = builder.directives.part
    if part is None:
        return places
    own = engine.positions * engine.banks * part.family.memory.count(engine.bank_words, engine.number_bits)
    while wanted > places and not has_room(wanted - places, bits, own, _SHARE_AHEAD, part):
        wanted //= 2
    return max(wanted, places)


def word_cycles(bits: int, rate: float, bus: WeightsBus | None) -> int:
    """Cycles from one word of ``bits`` to the next, of a memory that gives ``rate`` bits in a cycle."""
    if bus is None:
        return max(math.ceil(bits / rate), 1)
    size = -(-bits // 8)
    beat = beat_bytes(size, bus.beat_bytes)
    beats = -(-size // beat)
    return max(math.ceil(8 * beat * beats / rate), math.ceil(beats * bus.beat_cycles), beats)


def weights_rates(directives: Directives, placed: Sequence[tuple[Region, Row]]) -> list[float | None]:
    """The bits of weights that each engine takes from the memory outside in a cycle: as many times more as it needs for a frame.

    None: theirs are in tables.
    """
    rate = directives.weights_rate
    if rate is None:
        return [None] * len(placed)
    bits = list[int]()
    for region, row in placed:
        layers = layers_on(region.units, row)
        has_biases = any(bool(np.any(unit.bias != 0)) for unit in region.units)
        biases = bias_words(region.units, [row])[row] if has_biases else 0
        word = max(layer.lanes for layer in layers) * max(weight_bits(layer.weights) for layer in layers)
        bits.append(word * (biases + sum(layer.weights[..., 0].size for layer in layers)))
    return [rate * (own / sum(bits)) for own in bits]


def _places(builder: DataflowBuilder, units: Sequence[Unit], banks: int) -> tuple[int, dict[NodeId, int]]:
    """The words of the memory of a part, and where each tensor begins: in the first of ``banks``."""
    parts = {units[0].sources[0]: math.prod(units[0].parts)} | {unit.result: unit.positions for unit in units[:-1]}
    numbers = {node: number for number, node in enumerate(parts, -1)}
    size = {
        number: -(-math.prod(builder.shape(node)) // (parts[node] * banks)) * banks for node, number in numbers.items()
    }
    sources = [[numbers[one] for one in unit.sources] for unit in units]
    words, places = placed(sources, size, [unit.is_in_place for unit in units])
    return words, {node: places[number] for node, number in numbers.items()}


def engines(builder: DataflowBuilder) -> Iterator[tuple[Region, Row]]:
    """The regions that have cycles enough, with their multipliers."""
    for region in regions_of(builder):
        if region.row is not None:
            yield region, region.row


def _watched(builder: DataflowBuilder, region: Region) -> dict[NodeId, Watched]:
    """The results of layers that monitors watch as the engine makes them: the last one of each layer, if it is no output."""
    if not builder.directives.taps:
        return {}
    outputs = {output.node for output in builder.program.outputs}
    last = {builder.program.nodes[unit.result].layer: unit for unit in region.units}
    kinds = {unit.result: (name, unit.kind) for name, unit in last.items() if name and unit.result not in outputs}
    return {node: Watched(name, frac_of(kind), *kind.raw_range) for node, (name, kind) in kinds.items()}


def watched_in_engines(builder: DataflowBuilder) -> tuple[Program, frozenset[str]]:
    """The results that are watched in engines, as outputs of a program; and the layers that engines execute."""
    placed = [region for region, _ in engines(builder)]
    found = {node: one.name for region in placed for node, one in _watched(builder, region).items()}
    layers = {builder.program.nodes[node].layer for region in placed for node in region.nodes}
    shown = tuple(Output(name, node) for node, name in found.items())
    return Program(builder.program.nodes, shown), frozenset(layers)


def require_engines(program: Program, directives: Directives) -> None:
    """Check that all layers that ask for an engine and could share one have cycles enough for it.

    Raises:
        UnsupportedError: they do not, or there are no such layers.
    """
    if not directives.engine:
        return
    regions = regions_of(builder_of(program, directives))
    if not regions:
        raise UnsupportedError(
            "strategy 'shared', and nothing that layers can share",
            where=f"layers {', '.join(repr(name) for name in sorted(directives.engine))}",
            accepted="two dense layers or convolutions or more, one after another, with pooling and sums of tensors between them",
            remedy="parameters that differ by position, and other functions end such a part",
        )
    lacking = lacking_cycles(regions, directives)
    if lacking is not None:
        raise lacking


def lacking_cycles(regions: Iterable[Region], directives: Directives) -> UnsupportedError | None:
    """Return the error of the region that has the least share of the cycles that it needs; None if all have enough."""
    region = min((one for one in regions if one.row is None), key=lambda one: one.cycles / one.needed, default=None)
    if region is None:
        return None
    products = [unit for unit in region.units if unit.is_product]
    most = max(1 if directives.parallel else unit.windows for unit in products)
    shown, others = products[:_NAMED], len(products) - _NAMED
    names = ", ".join(repr(unit.name) for unit in shown) + (f" and {others} more" if others > 0 else "")
    return UnsupportedError(
        f"strategy 'shared' with reuse factors that leave {region.cycles:,} cycle{'s' * (region.cycles > 1)} for a frame",
        where=f"layers {names}",
        accepted=f"{region.needed:,} cycles or more: the largest product of a reuse factor and a layer's positions",
        remedy=f"ReuseFactor: {-(-region.needed // most)} for these layers, which take turns on the same multipliers",
    )
