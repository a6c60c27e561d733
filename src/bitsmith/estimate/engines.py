"""The size of an engine: rows of multipliers, counters and addresses, and memories; not its token functions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.storage import Memory, Words
from bitsmith.dataflow.tokens import Streams
from bitsmith.devices.delay import DelayModel, Line
from bitsmith.estimate.count import Count
from bitsmith.mapping.memories import last_words, takes_block
from bitsmith.mapping.multipliers import lane_multipliers

_ENGINE_FFS = Line(49.0, 6.0)
"""Registers of an engine's control over the bits of its addresses."""

_COMPARISONS, _COMPARED, _CHOICES, _SHORT_LUTS = 8, 4, 8.0, 60.0
"""Comparisons in its control, of so many bits; look-up tables of each bit of an address, which is added to and chosen; and those
beside the carry cells of short counters, where each sum is of such cells."""

_LAYER_LUTS, _AGAIN_LUTS, _BLOCK_LUTS = 14.0, 7.0, 3.0
"""Look-up tables of the descriptor of each layer beyond two, which a wire tells apart; of one that differs from another in
places of the memory alone, as those of a transformer's heads and blocks do; and of choices behind a memory block."""

_ENGINE_CHOICES = 0.6
"""Choices of the sum of a lane, of each of its bits, where one of all leaves."""

_HELD_ADDERS = 5
"""Adders and registers of places in rows of results that are held, about, of as many bits."""

_PORT_LUTS = 4.0
"""Choices of a result's port: which one has a place, and is filled."""


def walk_ns(kind: Engine, delays: DelayModel) -> float:
    """The stage in which an engine finds what it reads next: counters choose a step, in three look-up tables, which is added."""
    return 3 * delays.table(1) + delays.adder((kind.words - 1).bit_length())


def words_by_layer(kind: Engine) -> dict[str, float]:
    """The words of the memory by layers that need them at once: what each reads and gives, and what later ones still read.

    Words that only some of the layers need are of these, the same number of each.
    """
    read, written = [layer.reads for layer in kind.layers], list[tuple[int, int]]()
    for layer in kind.layers:
        stored = layer is not kind.layers[-1] and layer.held is None
        windows, results = math.prod(layer.windows), len(layer.bias)
        written.append((layer.target, layer.target + stored * ((windows - 1) * (layer.spread or results) + results)))
    ends = np.unique([end for spans in (*read, written) for span in spans for end in span])
    sizes, live, needed = np.diff(ends), np.zeros(len(ends) - 1, dtype=np.bool_), dict[str, int]()
    for layer, spans, (begin, end) in zip(kind.layers[::-1], read[::-1], written[::-1], strict=True):
        result = slice(*np.searchsorted(ends, (begin, end)))
        live[result] = True
        beside = live.copy()
        live[result] = False
        for span in spans:
            live[slice(*np.searchsorted(ends, span))] = True
        needed[layer.name] = max(needed.get(layer.name, 0), int(sizes[live | beside].sum()))
    words, shared, shares = 0, 0.0, dict[str, float]()
    for number, name in enumerate(sorted(needed, key=lambda name: needed[name])):
        words, shared = needed[name], shared + (needed[name] - words) / (len(needed) - number)
        shares[name] = shared
    return shares


def _count_memory(count: Count, memory: Memory, column: int = 0) -> None:
    """A memory of an engine, a larger one, but for its last words, if that has columns of ``column`` bits."""
    area, choice = count.area, count.area.mux2_luts.per_bit
    large = area.large if column and takes_block(memory.words, memory.bits, area.memory) else None
    rest = last_words(memory, column, large, area.memory) if large else 0
    parts = [replace(memory, words=memory.words - rest)] if large else memory.parts
    for part in parts:
        count.memory(part.ways, part.words, part.bits, column if large else 0, beside=part.beside)
    if rest:
        count.memory(Words.IN_TURN, rest, memory.bits, beside=memory.beside)
    count.lut += memory.beside * (memory.bits if rest else memory.bits - parts[0].bits) * choice


def _count_table(count: Count, memory: Memory, words: Callable[[], Sequence[int]]) -> None:
    """A table of such ``words``, which are made only if look-up tables hold them."""
    if count.area.memory.takes_table(memory.words, memory.bits):
        count.table(memory.words, memory.bits, clocked=True)
    else:
        count.contents(words(), memory.bits)


def count_engine(count: Count, kind: Engine, takes: Streams, column: int) -> None:
    """The rows of multipliers with their registers, counters and addresses, and all memories; not the token functions."""
    total, bias, _ = (kind.program.nodes[index].type.max_width for index in kind.program.inputs)
    area, choice = count.area, count.area.mux2_luts.per_bit
    number, positions, lanes = kind.number_bits, kind.positions, kind.lanes * kind.positions
    blocks, luts = area.multiplier(number, kind.weight_bits, total, registered=True)
    own = lane_multipliers(kind, area.block)
    upper = own.pairs * (own.factor - own.product)  # weights that are made less by 1, or not
    count.lut, count.ff = count.lut + upper, count.ff + own.pairs * kind.weight_bits + upper
    count.dsp, count.lut = count.dsp + ((positions - 1) * own.number + own.first) * blocks, count.lut + lanes * luts
    count.ff += kind.lanes * kind.weight_bits if own.first > own.number else 0
    count.accumulate(lanes, total)
    leaving = kind.lanes + kind.lanes // kind.abreast * (kind.abreast - 1)  # or may leave, each place of those abreast
    count.lut += positions * leaving * total * _ENGINE_CHOICES * choice
    before, inside = count.bram, area.block_registers * (blocks > 0)  # of the registers before a product
    count.ff += lanes * (2 * total + max(2 - inside, 0) * kind.weight_bits + max(1 - inside, 0) * number)
    maps = count.cells
    for memory in kind.maps:
        _count_memory(count, memory, column)
    count.shares.split([*words_by_layer(kind).items()], count.cells.plus(maps, -1.0))
    count.lut += positions * kind.banks * kind.others * number * choice
    count.lut += positions * (2 * kind.banks - 1) * (kind.banks > 1) * number * choice
    count.ff += 0 if inside > 1 or kind.banks == 1 else positions * kind.banks * number
    contents = count.cells
    count.ff += sum(weights.bits for weights in takes[max(kind.operands) + 1 :])
    count.lut += (max(kind.operands) * number + (len(kind.ends) - 1) * _PORT_LUTS) * choice
    if not kind.fed:
        _count_table(count, kind.table, lambda: kind.weight_words)
    if kind.held is not None:
        _count_memory(count, kind.held)
        place = (kind.held.words - 1).bit_length()
        count.lut += kind.held.beside * kind.weight_bits * choice + _HELD_ADDERS * area.adder_luts.at(place)
        count.ff += _HELD_ADDERS * place
    count.shares.split([(one.name, one.words * one.lanes) for one in kind.layers], count.cells.plus(contents, -1.0))
    if kind.biases:
        _count_memory(count, kind.constants[0])
    words = cache(partial(kind.bias_words, kind.bias_widths))
    for number, memory in enumerate(kind.constants[kind.biases > 0 :]):
        _count_table(count, memory, partial(lambda which: words()[which], number))
    if kind.biases:
        count.lut += (kind.bias_group - 1 + (kind.bias_group // kind.abreast - 1) * (kind.abreast - 1)) * bias * choice
    address = (kind.words - 1).bit_length()
    unlike = len({(one.op, one.grid, one.channels, one.blocks, one.passes, one.lanes) for one in kind.layers})
    count.lut += _LAYER_LUTS * max(unlike - 2, 0) + _AGAIN_LUTS * (len(kind.layers) - unlike)
    count.lut += _BLOCK_LUTS * (count.bram - before)
    count.lut += _COMPARISONS * area.comparator(_COMPARED) + _CHOICES * address
    count.lut += _SHORT_LUTS if area.least_chain == 1 else 0.0
    count.ff += _ENGINE_FFS.at(address)
    count.greater(positions * kind.greatest_lanes, total)
    count.lut += positions * kind.greatest_lanes * total * choice
