"""Layers that share an engine: parts of the program with one operand and one result, executed layer by layer.

The reuse factors of the layers say how many cycles there are, as for layers side by side: a frame may take as long as the slowest
of them. The engine has as few multipliers as that allows.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from operator import mul

import numpy as np

from bitsmith.base.lately import lately
from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.engine_layer import EngineLayer, Grid, Watched
from bitsmith.dataflow.storage import weight_bits
from bitsmith.dataflow.tokens import Stream
from bitsmith.devices.protection import Protection
from bitsmith.errors import UnsupportedError
from bitsmith.ir.program import Output, Program
from bitsmith.ir.types import Ints, TensorType
from bitsmith.mapping.builder import DataflowBuilder, NodeId, Port, StepId, builder_of, parts_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.attention import are_whole, heads_of, held_places, with_computed
from bitsmith.mapping.engine.beside import Beside, raw_stream
from bitsmith.mapping.engine.fetched import Rates, fetched
from bitsmith.mapping.engine.function import TokenFunction
from bitsmith.mapping.engine.outside import through_memory
from bitsmith.mapping.engine.parts import across, in_parts, parts_for
from bitsmith.mapping.engine.places import Tensor
from bitsmith.mapping.engine.room import banded, executed, holds, number_bits, places_of
from bitsmith.mapping.engine.rows import Row, Way, bias_words, layers_on, rows_of, way_of
from bitsmith.mapping.engine.steps import frac_of
from bitsmith.mapping.engine.units import Unit, copied, element, units_of
from bitsmith.mapping.engine.visits import joined, numbers_of, visits_of, waiting
from bitsmith.mapping.memories import shares_port
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
    def results(self) -> Sequence[NodeId]:
        """Those of its last unit, or of all visits."""
        *others, last = self.units
        return [*(unit.result for unit in others if unit.leaves), last.result]

    @property
    def nodes(self) -> frozenset[NodeId]:
        """All that it replaces."""
        return frozenset().union(*(unit.nodes for unit in self.units))


@lately(2)
def _shared(program: Program, directives: Directives) -> list[list[Way]]:
    """The longest parts of the program that can share an engine, each in all ways, with their functions."""
    builder = DataflowBuilder(program, directives)
    parts = [units for units in _parts(builder, units_of(builder)) if _products(units) >= _LEAST_PRODUCTS]
    return [[way_of(way, directives.part) for way in _ways(builder, units)] for units in parts]


def _parts(builder: DataflowBuilder, units: Sequence[Unit]) -> Iterator[tuple[Unit, ...]]:
    """The longest parts of ``units`` with at least a product."""
    left = list(units)
    while left:
        longest = _longest(builder, left)
        if _products(longest):
            yield tuple(longest)
        left = [unit for unit in left if unit not in (longest or left[:1])]


def _products(units: Sequence[Unit]) -> int:
    return sum(unit.is_product for unit in units)


@lately(2)
def _visiting(program: Program, directives: Directives) -> list[Way]:
    """All parts of the program that share one engine, with their function: single products if they need no more memory.

    Products of two computed operands are among them, or in a second way none are.
    """
    builder, ways = DataflowBuilder(program, directives), list[Way]()
    alone = units_of(builder)
    for some in (with_computed(builder, alone), alone):
        words = {units: places_of(builder, units, 1)[0] for units in _parts(builder, some)}
        several = {
            units
            for units in words
            if _products(units) + sum(unit.computed is not None for unit in units) >= _LEAST_PRODUCTS
        }
        most = max((words[units] for units in several), default=0)
        units = joined(builder, [units for units, size in words.items() if size <= most])
        if units and len(visits_of(units)) > 1 and are_whole(units, some):
            ways.append(way_of(units, directives.part))
    return ways


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
    shared = shared_units(builder) if builder.directives.engine else []
    return [_least(builder, ways) for ways in shared]


def shared_units(builder: DataflowBuilder) -> list[list[Way]]:
    """The units of each region, in all ways; all on one engine, if there are cycles enough for it and for attention."""
    return next(regions for regions in layouts(builder) if _can_run(builder, regions))


def layouts(builder: DataflowBuilder) -> Iterator[list[list[Way]]]:
    """Regions with their units that there may be, with those of one engine for all first, whatever cycles they need."""
    directives, alike = builder.directives, replace(builder.directives, reuse={})
    if directives.weights_rate is not None and not directives.taps and waiting(builder, ()):
        for way in _visiting(builder.program, alike):
            yield [[way]]
    yield _shared(builder.program, alike)


def _can_run(builder: DataflowBuilder, regions: Sequence[Sequence[Way]]) -> bool:
    """Return False if there are too few cycles, or too little room, for one engine with several visits."""
    several = (way for ways in regions for way in ways if len(visits_of(way[0])) > 1)
    rows = ((way[0], _region(builder, way).row) for way in several)
    return all(row is not None and holds(builder, units, row) for units, row in rows)


def _least(builder: DataflowBuilder, ways: Sequence[Way]) -> Region:
    """The region of the way that takes least; of the fewest cycles, if there are too few for any."""
    regions = [_region(builder, way) for way in ways]
    fitting = [(region.row, region) for region in regions if region.row is not None]
    if len(fitting) < len(ways):
        return next((region for _, region in fitting), min(regions, key=lambda one: one.needed))
    taken = [row.multipliers * _NUMBERS + _numbers(builder, region.units, row) for row, region in fitting]
    return regions[-1] if taken[-1] + _WORTH < taken[0] else regions[0]


def _numbers(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> int:
    """Numbers that an engine holds: of tensors, and about twice the most weights that are read over and over."""
    divided = executed(builder, units, row)
    *others, last = layers_on(divided, row)
    held = [*(layer.steps if layer.blocks == 1 else layer.all_words for layer in others), last.all_words]
    return 2 * row.lanes * max(held) + places_of(builder, divided, row.banks)[0] * math.prod(row.parts)


def _longest(builder: DataflowBuilder, units: Sequence[Unit]) -> list[Unit]:
    """Return the longest list of ``units``, from the first on, that have one operand and one result together.

    Single ones neither begin nor end it, and it passes those of other operands.
    """
    outputs = {NodeId(output.node) for output in builder.program.outputs}
    known, nodes, chosen, longest = {units[0].sources[0]}, set[NodeId](), list[Unit](), 0
    held = {unit.computed.held for unit in units if unit.computed is not None}
    for unit in units:
        if not known.issuperset(unit.sources) and unit.is_single:
            continue
        if not known.issuperset(unit.sources) or units[0].is_single:
            break
        chosen.append(unit)
        known.add(unit.result)
        nodes |= unit.nodes
        leaving = {one for one in nodes if one in outputs or not nodes.issuperset(builder.reading(one))}
        if leaving - held == {unit.result} and not unit.is_single:
            longest = len(chosen)
    return chosen[:longest]


def _region(builder: DataflowBuilder, way: Way) -> Region:
    (units, function, work_on), directives = way, builder.directives
    cycles = max(
        directives.reuse_factor(unit.name) * (1 if directives.parallel else unit.windows)
        for unit in units
        if unit.is_product
    )
    visits = visits_of(units)
    numbers = sum(math.prod(builder.shape(visit[0].sources[0])) for visit in visits)
    if len(visits) > 1:
        cycles -= waiting(builder, units)
    rows, gap = _held(builder, units, [*rows_of(units, 1)])
    works = {row: work_on(row) for row in rows}
    windows = [*(unit.windows for unit in units), 1]
    biases = bias_words(units, works) if directives.weights_rate is not None else dict.fromkeys(works, 0)
    taken = {row: gap * (numbers + biases[row] + sum(map(mul, windows, work))) for row, work in works.items()}
    fitting = [row for row in sorted(taken) if taken[row] <= cycles]
    if (not fitting or units[-1].is_single) and gap == len(visits) == 1:  # of which a part has room
        large = directives.part.die.large if directives.part else 0
        banks = _ABREAST * (_PLACES if large else 1)  # so that numbers abreast are not in one row of larger memory
        works |= {row: work_on(row) for row in rows_of(units, _ABREAST) if row.banks >= banks}
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
    held = cache(lambda banks, parts: holds(builder, units, Row(1, banks, parts, 1, ())))
    row = next((row for row in fitting if held(row.banks, row.parts)), next(iter(fitting), None))
    if row is not None:
        row = banded(builder, units, row, fitting, cycles)
    return Region(units, function, row, cycles, min(taken.values()), gap)


def _held(builder: DataflowBuilder, units: Sequence[Unit], rows: Sequence[Row]) -> tuple[Sequence[Row], int]:
    """Those of ``rows`` whose numbers can be held, and the cycles of a step: 2 where memories have a single port."""
    if builder.directives.weights_rate is not None:
        return rows, 1
    bits, words = number_bits(builder, units), places_of(builder, units, 1)[0]
    contents = sum(unit.weights.size * weight_bits(unit.weights) for unit in units)
    single = [
        row for row in rows if shares_port(-(-words // row.banks), bits, row.banks, contents, builder.directives.part)
    ]
    return (single, 2) if single else (rows, 1)


def _in_parts(builder: DataflowBuilder, units: Sequence[Unit]) -> Iterator[tuple[Grid, list[Unit]]]:
    """The units in parts, if the products of some compute several windows at once; where weights come."""
    if builder.directives.weights_rate is None or builder.directives.taps:
        return
    yield (1, 1), [*units]
    for parts in parts_for(units):
        divided = in_parts(builder, units, parts)
        if any(unit.is_product and unit.apiece for unit in divided):
            yield parts, divided


def placed_region(
    builder: DataflowBuilder,
    region: Region,
    row: Row,
    rates: Rates | None,
    turns: dict[NodeId, StepId],
    result: NodeId,
    beside: Beside,
) -> StepId:
    """The step that has a ``result`` of ``region``; ``rates`` are those of its engine of `memory_rates`.

    ``turns`` of the region have what is made already: operands of visits by their source, and the engine by its last result.
    Results of a circuit ``beside`` are one operand, and those that one circuit takes are one result.
    """
    visits = visits_of(region.units)
    number = next(number for number, visit in enumerate(visits) if any(unit.result == result for unit in visit))
    unit = next(unit for unit in reversed(visits[number]) if unit.result == result)
    source, shape, last = visits[number][0].sources[0], builder.shape(result), region.results[-1]
    numbers, streams = beside.together(tuple(visit[0].sources[0] for visit in visits))
    place = numbers[number]
    if source not in turns:
        in_turn = source in beside.circuits
        turns[source] = (
            beside.numbers(builder, streams[place]) if in_turn else _operand(builder, region.units, source, row)
        )
    operand = turns[source]
    gives, leaving = beside.together(tuple(region.results))
    stream = Stream((math.prod(shape),), unit.kind)
    builder.layer = unit.name
    if last not in turns:
        function = region.function()
        engine = engine_of(builder, region, row, function, function.biases, fed=rates is not None)
        words = () if rates is None else (fetched(builder, engine, rates.weights),)
        inside = executed(builder, region.units, row)
        if len(visits) == 1 < len(visits_of(inside)):
            assert rates is not None, "numbers go where weights come from"
            turns[last] = through_memory(builder, engine, inside, (operand, *words), stream, rates.maps)
            return builder.with_native_form(turns[last], shape[:-1], shape[-1:])
        shares, several = (tuple(own) if len({*own}) < len(own) else None for own in (numbers, gives))
        engine = replace(engine, shares=shares, gives=several)
        turns[last] = builder.add(engine, (operand,) * len(streams) + words, stream)
    if len(visits) == 1:
        return builder.with_native_form(turns[last], shape[:-1], shape[-1:])
    step = builder.steps[turns[last]]
    after = beside.ready(builder, source) if source in beside.circuits else operand
    builder.steps[turns[last]] = replace(step, args=(*step.args[:place], operand, *step.args[place + 1 :]))
    port = gives[[*region.results].index(result)]
    if result in beside.gathered:
        return builder.add(Port(port), (turns[last], after), raw_stream(builder, leaving[port]))
    own = builder.add(Port(port), (turns[last], after), stream)
    return builder.with_native_form(own, shape[:-1], shape[-1:])


def _operand(builder: DataflowBuilder, units: Sequence[Unit], source: NodeId, row: Row) -> StepId:
    """The numbers of ``source`` as an engine takes them, one of each part across at once."""
    kind, parts = element(builder.program.nodes[source].type), in_parts(builder, units, row.parts)[0].parts
    operand = narrow(builder, source, 1, ()) if parts[1] == 1 else across(builder, source, parts[1])
    if np.any(builder.stream(operand).token.frac != kind.frac):
        broad = (np.broadcast_to(part, (parts[1],)) for part in parts_of(kind))
        operand = builder.cast_to(operand, TensorType.of((parts[1],), *broad))
    return operand


def engine_of(
    builder: DataflowBuilder, region: Region, row: Row, function: TokenFunction, biases: Sequence[Ints], *, fed: bool
) -> Engine:
    """The engine of ``region``, with ``biases`` of its units; ``fed``: weights and biases come."""
    layers, watched, units = list[EngineLayer](), _watched(builder, region), executed(builder, region.units, row)
    words, placed = places_of(builder, units, row.banks)
    visits, on_row, by_column = visits_of(units), layers_on(units, row), any(one.size > 1 for one in function.choices)
    firsts, places = {id(visit[0]): own for visit, own in zip(visits, placed, strict=True)}, dict[Tensor, int]()
    held, known = held_places(units, on_row), dict[object, int]()
    shared = {(one.result, one.name): those for one, *those in zip(region.units, biases, function.choices, strict=True)}
    for unit, layer in zip(units, on_row, strict=True):
        places = firsts.get(id(unit), places)
        bias, choices = shared[unit.result, unit.name]
        begins = unit.band.begins if unit.band else (0,) * len(unit.sources)
        at = [places[one] + begin for one, begin in zip(unit.reads, begins, strict=True)]
        pitch = at[1] - at[0] if len(at) > 1 else unit.grid[1] // unit.parts[1] * unit.channels
        target, seen = places.get(unit.makes, 0) + (unit.band.target if unit.band else 0), watched.get(unit.result)
        outside = fed and seen is None and layer.blocks == 1 < layer.passes and unit is not units[-1]
        outside = (outside and math.prod(layer.windows) > 1) or unit.result in held
        of_unit = replace(layer, pitch=pitch, source=at[0], target=target, bias=bias, choices=choices)
        comes = numbers_of(builder, unit)[1] if len(visits) > 1 and id(unit) in firsts else 0
        of_unit = replace(of_unit, outside=outside, watched=seen, loads=comes, leaves=len(visits) > 1 and unit.leaves)
        if unit.computed is not None:
            heads = heads_of(of_unit, unit.computed, held[unit.computed.held].first)
        else:
            heads = [replace(of_unit, held=held.get(unit.result))]
        for head in heads:  # where other biases may come, only those of a unit are always alike
            own = (unit.result, unit.name) if unit.room else None
            alike = own, tuple(head.bias.tolist()), tuple(head.choices.tolist()) if by_column else ()
            like = known.setdefault(alike, len(layers))
            layers.append(replace(head, like=like if like < len(layers) else None))
    checked = builder.directives.protection is not Protection.NONE
    return Engine(tuple(layers), words, function.program, fed=fed, gap=region.gap, checked=checked)


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
