"""Which memories are larger ones than block memory."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import and_, or_

import numpy as np
import pytest

from bitsmith.dataflow import engine
from bitsmith.dataflow.kinds import Engine, FoldedProduct, Reorder, Replay
from bitsmith.dataflow.schedule import fifos
from bitsmith.dataflow.storage import Memory, Words
from bitsmith.dataflow.timing import reorder_rows
from bitsmith.dataflow.tokens import Stream
from bitsmith.dataflow.wires import Wiring
from bitsmith.devices.blocks import LargeMemory
from bitsmith.devices.parts import resolve_part
from bitsmith.devices.protection import Protection
from bitsmith.estimate.count import Count
from bitsmith.estimate.engines import count_engine
from bitsmith.estimate.needs import missing
from bitsmith.estimate.size import _count_replay, estimate_layout, guess_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, TensorType
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.memories import Candidate, blocks_needed, can_hold, chosen, larger_memories, own_blocks
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.protection import check_blocks
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.mapping.test_engines import depthwise, engines, residual, shared
from tests.properties.transformers import in_visits, transformer

PART = resolve_part("xczu7ev")
ULTRARAM = LargeMemory("URAM", ((4096, 72), (8192, 36), (16384, 18), (32768, 9)), 2)
CANDIDATES = (
    Candidate((1, 0), 72, 2, 15),
    Candidate((2, -1), 9, 1, 8),
    Candidate((3, 0), 72, 1, 16),
    Candidate((4, -1), 36, 3, 3),
)


@pytest.mark.parametrize(
    ("tables", "number", "expected"),
    [
        (0, 96, [2, 3]),  # those that are half full
        (0, 1, [3]),  # the best of them
        (600, 96, [2, 3]),  # without them the part has block memories enough
        (607, 96, [1, 2, 3]),  # it needs one more
        (622, 96, [1, 2, 3, 4]),  # and is still short of some
        (600, 3, [2, 3]),  # enough, with one to spare
        (622, 3, [1, 3]),  # the largest, which save more than those that save most for each
    ],
)
def test_those_are_chosen_that_save_most(tables: int, number: int, expected: list[int]) -> None:
    part = replace(PART, die=replace(PART.die, large=number))
    assert sorted(place for place, _ in chosen(CANDIDATES, tables, ULTRARAM, part)) == expected


@pytest.mark.parametrize(("blocks", "gap", "memories"), [(30, 1, 0), (6, 2, 1)])
def test_engines_take_a_memory_of_one_port_where_blocks_are_too_few(blocks: int, gap: int, memories: int) -> None:
    """They go at half the pace then."""
    program, whole = residual(12), resolve_part("iCE40UP5K-SG48")
    part = replace(whole, die=replace(whole.die, brams=blocks))
    directives = replace(shared(program, 9_000), part=part)
    (engine,) = engines(partition(program, directives))
    size, without = (estimate_layout(program, replace(directives, part=one), part.family) for one in (part, None))
    assert engine.gap == gap
    assert size.large["SPRAM"] == memories
    assert (size.bram < without.bram) == bool(memories)


@pytest.mark.parametrize(
    ("part", "beside", "number", "held"),
    [("xczu9eg", 16, 49, True), ("xczu7ev", 8, 49, True), ("xczu7ev", 16, 49, False), ("xc7z020", 8, 49, False)],
)
def test_a_part_holds_memories_in_blocks_or_in_larger_ones(part: str, beside: int, number: int, held: bool) -> None:
    """Each 32,768 numbers of 9 bits: 16 block memories, or one of 96 larger ones, two where 16 numbers are read at once."""
    memory = Memory(32768 // beside, 9, Words.BY_ADDRESS, stays=False, beside=beside, splits=True)
    assert can_hold(memory, number, resolve_part(part)) is held


def test_engines_have_no_more_parts_than_there_are_memories_of_one_port() -> None:
    program, whole = depthwise(), resolve_part("iCE40UP5K-SG48")
    for number, banks in ((4, 4), (2, 2), (1, 1)):
        part = replace(whole, die=replace(whole.die, brams=0, large=number))
        found = [
            engine.banks
            for reuse in (500, 1_000, 2_000)
            for engine in engines(partition(program, replace(shared(program, reuse), part=part)))
        ]
        assert max(found) == banks


@pytest.mark.parametrize(
    ("name", "blocks", "large"),
    [("xczu7ev", 0, {"URAM": 2}), ("xczu3eg", 32, {"URAM": 0}), ("xcku060", 32, {}), ("ice40up5k", 128, {"SPRAM": 0})],
)
def test_a_transposition_lies_where_the_part_has_room(name: str, blocks: int, large: dict[str, int]) -> None:
    """Of two frames of 8,192 words of 32 bits."""
    builder = ProgramBuilder()
    x = builder.input("x", (64, 128, 1), FixedFormat(True, 32, 4))
    with builder.layer("turned"):
        program = builder.program([("y", builder.transpose(x, (1, 0, 2)))])
    part = resolve_part(name)
    directives = Directives({}, False, part=part)
    size = estimate_layout(program, directives, part.family)
    without = estimate_layout(program, replace(directives, part=None), part.family)
    assert (without.bram - size.bram, size.large) == (0 if blocks else 32, large)
    assert size.bram >= blocks
    assert (missing(size, part) == "") == (name != "ice40up5k")


@pytest.mark.parametrize(
    ("tokens", "bits", "blocks", "memories"),
    [(15_000, 8, 30, 0), (16_000, 8, 0, 1), (40_000, 8, 0, 2), (10_000, 24, 2, 3), (10_000, 40, 103, 0)],
)
def test_fifos_of_single_port_memory(tokens: int, bits: int, blocks: int, memories: int) -> None:
    """Of 16,384 words of two tokens, four on the part, where its 30 block memories are too few; small FIFOs stay in these."""
    builder = ProgramBuilder()
    x = builder.input("x", (tokens, 1), FixedFormat(True, bits, 4))
    with builder.layer("greatest"):
        greatest = builder.broadcast(builder.reshape(builder.amax(x, (0,)), (1, 1)), (tokens, 1))
    with builder.layer("difference"):
        program = builder.program([("y", builder.sub(x, greatest))])
    part = resolve_part("ice40up5k")
    size = estimate_layout(program, Directives({}, False, part=part), part.family)
    assert (size.bram, size.large) == (blocks, {"SPRAM": memories})


@pytest.mark.parametrize("tiles", [2, 8, 16])
def test_multipliers_have_a_row_for_each_bit_that_a_weight_ever_has(tiles: int) -> None:
    """Of 3 bits for -1, 0, 1 and 2: none of a weight that is always 0, two of one that is 1 or 2, one where all are the sign."""
    weights = np.array([[0, 1, -1], [0, 2, 0]] * (tiles // 2)).reshape(1, tiles, 3, 1)
    assert FoldedProduct(weights, 0).weight_rows == pytest.approx((2 / 3, 3 / 9))


def test_tables_of_another_order_are_among_the_memory_blocks_that_are_needed() -> None:
    """As the estimate has them: the places of tokens, of which some bits are the same in all words."""
    builder, family = ProgramBuilder(), PART.family
    x = builder.input("x", (32, 32, 2), FixedFormat(True, 8, 4))
    program = builder.program([("y", builder.transpose(x, (1, 0, 2)))])
    directives = Directives({}, False, block=family.area.block)
    network = partition(program, directives)
    planned, _ = fifos(network, {})
    needed = blocks_needed(Wiring(network), planned, PART, Protection.NONE)
    (place,) = (place for place, blocks in needed.items() if blocks)
    process = network.processes[place[0]]
    assert isinstance(process.kind, Reorder)
    depth = next(fifo.depth for fifo in planned if (fifo.consumer, fifo.operand) == place)
    _, table = process.kind.memories(process.takes, process.results, depth)
    rows, width = reorder_rows(process.kind.source, process.takes[0].tokens, depth)
    differing = reduce(or_, rows) ^ reduce(and_, rows)
    assert (table.words, table.bits, table.differing) == (len(rows), width, differing.bit_count())
    assert needed[place] == guess_layout(program, directives, family, None).bram


@pytest.mark.parametrize("name", ["xczu7ev", "xc7z020"])
@pytest.mark.parametrize(("size", "blocks"), [(6, 0), (16, 3)])
def test_the_planner_counts_small_memories_that_are_read_by_address_as_the_estimate_does(
    name: str, size: int, blocks: int
) -> None:
    """No module declares these block memory: synthesis puts few words into look-up tables, of 2,048 bits and more, too."""
    builder, part = ProgramBuilder(), resolve_part(name)
    x = builder.input("x", (size, size, 8), FixedFormat(True, 8, 4))
    program = builder.program([("y", builder.transpose(x, (1, 0, 2)))])
    directives = Directives({}, False, block=part.family.area.block, part=part)
    network = partition(program, directives)
    planned, _ = fifos(network, {})
    assert sum(blocks_needed(Wiring(network), planned, part, Protection.NONE).values()) == blocks
    assert guess_layout(program, directives, part.family, None).bram == blocks


@pytest.mark.parametrize("name", ["xc7z020", "lfe5u-25f"])
def test_the_parts_of_words_that_come_over_and_over_are_among_them(name: str) -> None:
    """One multiplier reads the weights of one result over and over, then those of the next: a table of as many parts."""
    kind, part = Replay(tuple((20 + number % 3, 900) for number in range(3000)), 64), resolve_part(name)
    stream, count = Stream((63_000,), TensorType.of((1,), 0, 0, 255)), Count(part.family)
    _count_replay(count, kind, stream.bits, 0)
    words, table = kind.memories((stream,), (stream,), 0)
    assert own_blocks(table, part.family.area, Protection.NONE) > 1
    assert sum(own_blocks(memory, part.family.area, Protection.NONE) for memory in (words, table)) == round(count.bram)


def grown(kind: Engine, rng: np.random.Generator) -> Engine:
    """``kind`` with more numbers, biases, and results that are held."""
    first, *others = kind.layers
    more = int(rng.integers(1, 5_000))
    layers = [layer if layer.row is None else replace(layer, row=layer.row + more) for layer in others]
    bias = np.resize(first.bias, int(rng.integers(1, 900)) * kind.abreast)
    return replace(kind, layers=(replace(first, bias=bias), *layers), words=int(rng.integers(1_000, 99_000)))


@pytest.mark.parametrize("name", ["xczu7ev", "xc7z020", "ice40up5k", "lfe5u-25f"])
@pytest.mark.parametrize(("fed", "computed"), [(False, False), (True, False), (True, True)])
def test_the_planner_counts_the_blocks_of_an_engine_as_the_estimate_does(name: str, fed: bool, computed: bool) -> None:
    """Those of maps, of results that are held, of weights, biases and choices."""
    rng, whole = np.random.default_rng([fed, computed]), resolve_part(name)
    program = drop_dead(transformer(0, 10), keep_probes=False) if computed else residual(12)
    asked = in_visits(program, 0, 1e9) if computed else shared(program, int(rng.integers(500, 9_000)))
    directives = replace(asked, weights_rate=1e9 if fed else None, block=whole.family.area.block, part=whole)
    network = partition(program, directives)
    (place,) = (number for number, one in enumerate(network.processes) if isinstance(one.kind, Engine))
    kind = network.processes[place].kind
    assert isinstance(kind, Engine) and kind.fed == fed and (kind.held is not None) == computed
    planned, _ = fifos(network, {}, planned=False)
    for other in (kind, *(grown(kind, rng) for _ in range(5))):
        processes = [*network.processes]
        processes[place] = replace(processes[place], kind=other)
        wiring = Wiring(replace(network, processes=tuple(processes)))
        count, column = Count(whole.family), larger_memories(wiring, planned, whole).get((place, -1), 0)
        count_engine(count, other, processes[place].takes, column)
        assert blocks_needed(wiring, planned, whole, Protection.NONE)[place, -1] == count.bram
    assert count.bram > 0


@pytest.mark.parametrize("protection", Protection)
def test_the_planner_counts_check_bits_and_token_functions_as_the_circuit_has_them(protection: Protection) -> None:
    """Of a FIFO and of a table."""
    builder, part = ProgramBuilder(), resolve_part("xc7z020")
    x = builder.input("x", (3_000, 1), FixedFormat(True, 11, 4))
    with builder.layer("greatest"):
        greatest = builder.broadcast(builder.reshape(builder.amax(x, (0,)), (1, 1)), (3_000, 1))
    with builder.layer("difference"):
        y = builder.sub(x, greatest)
        first, last = y.type.raw_range
        values = np.random.default_rng(0).integers(0, 1 << 9, last - first + 1)
        program = builder.program([("y", builder.table(y, first, values, 4))])
    network, title = partition(program, Directives({}, False, block=part.family.area.block)), Title("test", "0")
    design = lay_out(network, part.family.delays, 5.0, "top", title, part, protection=protection)
    size = estimate_layout(program, Directives({}, False, part=part), part.family)
    checks = check_blocks(design.interface.checked, protection, part.family.memory)
    needed = blocks_needed(Wiring(network), design.schedule.fifos, part, protection)
    assert sum(needed.values()) == size.bram + checks
    assert len([blocks for blocks in needed.values() if blocks]) == 2 and (checks > 0) == (
        protection is not Protection.NONE
    )


@pytest.mark.parametrize("protection", Protection)
def test_numbers_with_check_bits_all_have_the_same_bits(
    protection: Protection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_WORTH", 1)
    program = drop_dead(transformer(4, scaled=True), keep_probes=False)
    (kind,) = engines(partition(program, replace(in_visits(program, 4, 1e9), protection=protection)))
    assert any(kind.narrow) == (protection is Protection.NONE)
