"""Memory of an engine: places of its tensors, and whether the part of the circuit has room for these and for weights.

Where it has no room for whole images, layers are in bands of rows.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from operator import mul

from bitsmith.base.lately import lately
from bitsmith.dataflow.storage import Memory, Words, weight_bits
from bitsmith.devices.family import Part
from bitsmith.ir.program import Program
from bitsmith.mapping.builder import DataflowBuilder
from bitsmith.mapping.engine.bands import Images
from bitsmith.mapping.engine.fetched import blocks_beside, least_held, word_cycles
from bitsmith.mapping.engine.parts import grid_of, in_parts
from bitsmith.mapping.engine.places import Tensor, placed
from bitsmith.mapping.engine.rows import Row, bias_memories, bias_words, layers_on, work_of
from bitsmith.mapping.engine.units import Unit, element
from bitsmith.mapping.engine.visits import numbers_of, visits_of
from bitsmith.mapping.memories import can_hold

_TIMES = 4
"""Times that fewer numbers are tried, by one in ``_SMALLER`` each, where places of tensors leave gaps."""

_SMALLER = 16


def places_of(builder: DataflowBuilder, units: Sequence[Unit], banks: int) -> tuple[int, list[dict[Tensor, int]]]:
    """The words of the memory of a part, and for each visit where each tensor begins: in the first of ``banks``."""
    visits = [_visit_places(builder, visit, banks) for visit in visits_of(units)]
    return max(words for words, _ in visits), [places for _, places in visits]


def _visit_places(builder: DataflowBuilder, units: Sequence[Unit], banks: int) -> tuple[int, dict[Tensor, int]]:
    source = units[0].reads[0]
    numbers = {unit.makes: number for number, unit in reversed([*enumerate(units)])} | {source: -1}
    own = {unit.makes: unit.band.size for unit in units if unit.band}  # of regions, and of rows of a band
    if units[0].band and units[0].band.loads:
        own[source] = units[0].band.loads[1]
    parts = [(source, math.prod(units[0].parts)), *((unit.makes, unit.positions) for unit in units[:-1])]
    size = {
        number: -(-own.get(tensor, math.prod(builder.shape(tensor[0]))) // (count * banks)) * banks
        for number, (tensor, count) in enumerate(parts, -1)
    }
    held = {unit.computed.held for unit in units if unit.computed is not None}
    elsewhere = [
        number
        for number, unit in enumerate(units)
        if unit.leaves or unit.result in held or numbers[unit.makes] != number
    ]
    sources = [[numbers[one] for one in unit.reads] for unit in units]
    in_place = [unit.is_in_place and not unit.leaves for unit in units]
    words, places = placed(sources, size | dict.fromkeys(elsewhere, 0), in_place)
    return words, {tensor: places[number] for tensor, number in numbers.items() if number in places}


def executed(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> list[Unit]:
    """Units as an engine executes them, in order: with operands in parts, or in bands of rows."""
    return images_of(builder, units).banded(row.bands) if row.bands else in_parts(builder, units, row.parts)


def images_of(builder: DataflowBuilder, units: Sequence[Unit]) -> Images:
    """The images of units that have one operand."""
    return _images(builder.program, tuple(units))


@lately(4)
def _images(program: Program, units: tuple[Unit, ...]) -> Images:
    return Images(units, grid_of(program.nodes[units[0].sources[0]].type.shape))


def banded(builder: DataflowBuilder, units: Sequence[Unit], row: Row, fitting: Sequence[Row], cycles: int) -> Row:
    """``row`` if the part has room for its numbers and weights; or the first of ``fitting`` that has with bands of rows.

    There are none where weights are in tables, since each band would have its own.
    """
    directives, part = builder.directives, builder.directives.part
    rate, alone = directives.weights_rate, len(visits_of(units)) == 1 and not directives.taps
    if part is None or rate is None or not alone or _has_room(builder, units, row):
        return row
    held = dict[int, tuple[int, int, Row]]()
    for whole in (one for one in fitting if one.parts == (1, 1)):
        words, bits = least_held(layers_on(units, whole), _widest_weight(builder.program, tuple(units)))
        cost = part.family.memory.count(words, bits), bits, whole
        held[whole.lanes] = min(held.get(whole.lanes, cost), cost)
    for outside in (False, True):
        lacking = 0
        for blocks, bits, whole in (held[lanes] for lanes in sorted(held)):
            most = _most_numbers(
                (_blocks_for(builder, part, units, whole) - blocks) // whole.banks, number_bits(builder, units), part
            )
            room, moved = most * whole.banks, whole.lanes if outside else 0
            if room <= lacking or (outside and whole.abreast > 1):
                continue
            reload = word_cycles(bits, rate, directives.weights_bus)
            bands = images_of(builder, units).within(room, reload, moved)
            if bands is None:
                lacking = room
                continue
            divided = _within(builder, units, replace(whole, bands=bands), room, reload, moved)
            if divided is not None and _cycles(builder, units, divided) <= cycles:
                return divided
    return row


def _within(
    builder: DataflowBuilder, units: Sequence[Unit], row: Row, room: int, reload: float, moved: int
) -> Row | None:
    """``row``, or one of smaller bands, whose tensors have places among ``room`` numbers; None if there are none such."""
    divided, least = row, room
    for _ in range(_TIMES):
        if not divided.bands:
            return None
        if _has_room(builder, units, divided):
            return divided
        least -= max(_memory(builder, units, divided).words * row.banks - room, least // _SMALLER)
        divided = replace(row, bands=images_of(builder, units).within(least, reload, moved) or ())
    return None


def holds(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> bool:
    """Return True if the part of the circuit, if it is known, has room for the numbers of an engine with such memories."""
    part = builder.directives.part
    return part is None or can_hold(_memory(builder, units, row), math.prod(row.parts), part)


def _memory(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> Memory:
    words, _ = places_of(builder, executed(builder, units, row), row.banks)
    size = -(-words // row.banks), number_bits(builder, units)
    return Memory(*size, Words.BY_ADDRESS, stays=False, beside=row.banks, splits=True)


def _has_room(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> bool:
    """Return True if the part has room for the numbers of an engine, and for the weights that are read over and over."""
    part, memory = builder.directives.part, _memory(builder, units, row)
    if part is None:
        return True
    weights = least_held(layers_on(executed(builder, units, row), row), _widest_weight(builder.program, tuple(units)))
    blocks = part.family.memory.count(*weights)
    beside = math.prod(row.parts) * row.banks * part.family.memory.count(memory.words, memory.bits)
    return beside + blocks <= _blocks_for(builder, part, units, row) or (
        beside > part.die.brams and blocks <= part.die.brams and can_hold(memory, math.prod(row.parts), part)
    )


def _blocks_for(builder: DataflowBuilder, part: Part, units: Sequence[Unit], row: Row) -> int:
    """The memory blocks that numbers and weights of an engine may take: biases, tables and FIFOs need others."""
    return part.die.brams - blocks_beside(
        part, bias_memories(units, row, _widest_weight(builder.program, tuple(units)))
    )


@lately(2)
def _widest_weight(_: Program, units: tuple[Unit, ...]) -> int:
    """The most bits of a weight of any unit."""
    return max(weight_bits(unit.weights) for unit in units)


def _most_numbers(blocks: int, bits: int, part: Part) -> int:
    """The most numbers of so many ``bits`` that a memory of ``blocks`` has room for."""
    block = part.family.memory
    return bisect_right(range(blocks * block.bits // bits + 1), blocks, key=lambda words: block.count(words, bits)) - 1


def _cycles(builder: DataflowBuilder, units: Sequence[Unit], row: Row) -> int:
    """Cycles of a frame, the numbers that come and biases among them."""
    inside = executed(builder, units, row)
    biases = bias_words(inside, [row])[row]
    windows = [*(unit.windows for unit in inside), 1]
    come = sum(numbers_of(builder, visit[0])[1] for visit in visits_of(inside))
    cycles: int = come + biases + sum(map(mul, windows, work_of(inside, row)))
    return cycles


def number_bits(builder: DataflowBuilder, units: Sequence[Unit]) -> int:
    """The bits of a number in the memory of an engine."""
    come = (element(builder.program.nodes[visit[0].sources[0]].type) for visit in visits_of(units))
    return max(kind.max_width for kind in (*come, *(unit.kind for unit in units[:-1])))
