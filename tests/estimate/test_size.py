"""Size estimates lie near what the netlist has, for every op, and are quick."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Sweep
from bitsmith.dataflow.storage import Memory, Words
from bitsmith.dataflow.tokens import Stream
from bitsmith.devices.blocks import table_parts
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.parts import FAMILIES
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.estimate.count import Count
from bitsmith.estimate.figures import Size
from bitsmith.estimate.reads import Mask
from bitsmith.estimate.size import estimate, estimate_layout, estimate_network
from bitsmith.estimate.sweeps import count_window
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, TensorType
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.netlist.delays import carry_start
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import AddSub, Mux, live_words
from bitsmith.netlist.pipelined import pipelined
from bitsmith.netlist.reduce_widths import reduce_widths
from tests.mapping.test_engines import perceptron, residual, shared
from tests.mapping.test_folding import convolution
from tests.netlist.checks import dense_program
from tests.properties.programs import random_program


def estimated(build: ProgramBuilder, y: Value) -> Size:
    return estimate(build.program([("y", y)]), ECP5)


@pytest.mark.parametrize(
    ("sizes", "bits", "zeros"), [((16, 64, 32, 5), 4, 0.75), ((16, 32, 5), 8, 0.5), ((20, 20, 20), 6, 0.0)]
)
def test_dense_networks(sizes: tuple[int, ...], bits: int, zeros: float) -> None:
    program = dense_program(sizes, bits, 6, zeros)
    size = estimate(program, ECP5)
    netlist = reduce_widths(elaborate(program))
    words = [netlist.words[index] for index in live_words(netlist)]
    sums = [(word, word.cell) for word in words if isinstance(word.cell, AddSub)]
    luts = sum(word.width + word.drop - carry_start(cell) for word, cell in sums)
    luts += sum(word.width for word in words if isinstance(word.cell, Mux)) // 2
    assert size.adders == pytest.approx(len(sums), rel=0.2)
    assert size.lut == pytest.approx(luts, rel=0.35)
    assert size.dsp == 0 and size.ff > 0


def test_a_million_weights_take_less_than_a_second() -> None:
    program = dense_program([1000, 1000], 8, 8, 0.5)
    started = time.process_time()
    size = estimate(program, ULTRASCALE_PLUS)
    assert time.process_time() - started < 1.0
    assert size.adders > 200_000


def test_every_op_is_counted_by_its_positions() -> None:
    build = ProgramBuilder()
    x = build.input("x", (4, 6), FixedFormat(True, 8, 4))
    y = build.input("y", (4, 6), FixedFormat(True, 8, 4))
    weights = np.arange(-9, 9).reshape(6, 3)
    one = estimated(build, build.linear(build.slice(x, (0, 0), (1, 6)), weights))
    four = estimated(build, build.linear(x, weights))
    assert four.adders == 4 * one.adders > 0
    assert estimated(build, build.mul(x, y)).dsp == 24
    assert estimated(build, build.matmul(x, build.transpose(y, (1, 0)))).dsp == 4 * 4 * 6
    assert estimated(build, build.add(x, y)).adders == 24
    assert estimated(build, build.add(x, build.const([1, 0, 0, 0, 0, 1]))).adders == 8
    assert estimated(build, build.sum(x, (1,))).adders == 20
    assert estimated(build, build.mul(x, build.const(5))).adders == 24
    for free in (build.transpose(x, (1, 0)), build.shift(x, 3), build.slice(x, (0, 0), (2, 6)), build.const([1])):
        assert estimated(build, free) == Size(0, 0, 0, 0)
    for paid in (build.max(x, y), build.abs(x), build.amax(x, (0,)), build.select(x, x, y)):
        assert estimated(build, paid).lut > 0


@pytest.mark.parametrize("family", [ECP5, ULTRASCALE_PLUS], ids=lambda family: str(family.name))
@pytest.mark.parametrize(("rows", "columns"), [(5, 6), (30, 8)])
def test_layers_of_many_positions_are_estimated_as_they_are_made(family: Family, rows: int, columns: int) -> None:
    rng, build = np.random.default_rng(rows), ProgramBuilder()
    x = build.input("x", (2, rows), FixedFormat(False, 7, 3))
    y = build.linear(x, rng.integers(-60, 60, (rows, columns)), 6)
    y = build.add(y, build.const(rng.integers(-60, 60, columns), 6))
    y = build.max(build.cast(y, FixedFormat(True, 8, 5, Rounding.RND, Overflow.SAT)), build.const(0))
    program = build.program([("y", y)])
    made = size_of(*pipelined(program, family.delays, 6.0), family)
    assert estimate(program, family).lut == pytest.approx(made.lut, rel=0.15)


@pytest.mark.parametrize(
    ("family", "steps", "measured"),
    [
        *((ECP5, *row) for row in ((15, 246), (63, 1084), (255, 4450))),
        *((ULTRASCALE_PLUS, *row) for row in ((15, 63), (63, 209), (255, 663))),
        *((ICE40, *row) for row in ((15, 98), (63, 344), (255, 1145))),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_comparisons_of_a_word_with_constants_share_what_they_can(family: Family, steps: int, measured: int) -> None:
    """A staircase of 16 bits as comparisons and the sum of what is passed; measured with Yosys."""
    build = ProgramBuilder()
    x = build.input("x", (1,), FixedFormat(True, 16, 0))
    thresholds = np.linspace(-0.49, 0.49, steps) * 2**16
    each = build.broadcast(build.reshape(x, (1, 1)), (1, steps))
    passed = build.compare(each, Relation.GE, build.const(np.rint(thresholds).astype(int)))
    size = estimate(build.program([("y", build.linear(passed, np.ones((steps, 1), int)))]), family)
    assert size.lut == pytest.approx(measured, rel=0.5)


def test_bits_below_those_of_a_constant_are_not_compared() -> None:
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, 24, 20))
    luts = [estimated(build, build.compare(x, Relation.GE, build.const(1, frac))).lut for frac in (1, 19)]
    assert luts[0] < luts[1] / 2


def test_casts_cost_what_they_lose() -> None:
    build = ProgramBuilder()
    x = build.input("x", (10,), FixedFormat(True, 12, 6))
    lut = {
        (rounding, overflow): estimated(build, build.cast(x, FixedFormat(True, 8, 4, rounding, overflow))).lut
        for rounding in (Rounding.TRN, Rounding.RND)
        for overflow in (Overflow.WRAP, Overflow.SAT)
    }
    assert lut[Rounding.TRN, Overflow.WRAP] == 0
    assert lut[Rounding.RND, Overflow.WRAP] > 0 and lut[Rounding.TRN, Overflow.SAT] > 0
    assert lut[Rounding.RND, Overflow.SAT] == lut[Rounding.RND, Overflow.WRAP] + lut[Rounding.TRN, Overflow.SAT]


def test_dead_ops_are_free_and_recurrences_count_every_step() -> None:
    def cell() -> tuple[ProgramBuilder, Value]:
        body = ProgramBuilder()
        state, item = (body.input(n, (3,), FixedFormat(True, 6, 2)) for n in ("state", "item"))
        after = body.cast(body.add(state, item), FixedFormat(True, 6, 2))
        build = ProgramBuilder()
        xs = build.input("xs", (5, 3), FixedFormat(True, 6, 2))
        program = body.program([("next", after), ("y", after)])
        start = build.cast_to(build.const([0, 0, 0]), 2, -32, 31, Rounding.TRN, Overflow.WRAP)
        return build, build.scan(program, [start], [xs])

    build, y = cell()
    build.mul(y, y)
    size = estimated(build, y)
    assert (size.adders, size.dsp) == (15, 0)


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_have_a_size(seed: int) -> None:
    for family in FAMILIES:
        size = estimate(random_program(seed), family)
        assert min(size.lut, size.ff, size.dsp, size.adders) >= 0


def test_a_branch_that_waits_is_counted() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (40, 40, 8), FixedFormat(True, 8, 4))
    windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
    reduced = builder.sum(windows, (2, 3))
    alone, beside = builder.program([("y", reduced)]), builder.program([("y", builder.add(reduced, x))])
    sizes = [estimate_layout(program, Directives({}, parallel=False), ECP5) for program in (alone, beside)]
    assert sizes[1].bram == sizes[0].bram + 2  # a row of tokens of 64 bits, until the first window is complete


def test_bits_that_are_alike_in_all_words_of_a_table_take_nothing() -> None:
    """A table of 24 bits is two blocks of iCE40; of 16 that differ it is one."""
    rows = np.random.default_rng(0).integers(0, 1 << 16, 128).tolist()
    for more, blocks in ((0, 1), (1 << 20, 1), (None, 2)):
        count = Count(ICE40)
        count.contents([row | (row % 7 << 16 if more is None else more) for row in rows], 24)
        assert (count.bram, count.lut) == (blocks, 0)
    small = Count(ICE40)
    small.contents([5, 4, 5, 4], 24)
    assert small.bram == 0 and small.lut <= 24


def test_lines_of_narrow_tokens_are_memories() -> None:
    """Rows that are eight times as long take as many flip-flops, but for wider counters."""
    sizes = []
    for width in (16, 128):
        builder = ProgramBuilder()
        x = builder.input("x", (8, width, 4), FixedFormat(True, 8, 3))
        with builder.layer("conv"):
            windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
            y = builder.linear(builder.reshape(windows, (8, width, 36)), np.arange(36 * 4).reshape(36, 4) % 13 - 6, 3)
        directives = Directives({"conv": 144}, False, {"conv": MultiplierStyle.SHARED})
        network = partition(builder.program([("y", y)]), directives)
        assert any(isinstance(process.kind, Sweep) for process in network.processes)
        sizes.append(estimate_network(network, directives, ULTRASCALE_PLUS))
    short, long = sizes
    assert abs(long.ff - short.ff) < 32
    assert long.bram > short.bram


@pytest.mark.parametrize(("cycles", "products"), [(2, 196), (3, 163), (4, 98), (9, 70)])
def test_products_with_zeros_of_the_padding_are_not_counted(cycles: int, products: int) -> None:
    """A 3x3 convolution of a whole image of 3x3: of 81 taps 49 are within it. With 3 or 9 cycles two weights are shifts."""
    size = estimate_layout(convolution(3), Directives({"conv": cycles}, True, {"conv": MultiplierStyle.SHARED}), ECP5)
    assert size.dsp == products


@pytest.mark.parametrize(
    ("family", "cycles", "luts"),
    [(ECP5, 36, 1413), (ECP5, 648, 1165), (ICE40, 36, 4108), (ICE40, 648, 1245), (NEXUS, 36, 1471), (NEXUS, 648, 1150)],
)
def test_zeros_of_the_padding_are_not_chosen_from(family: Family, cycles: int, luts: int) -> None:
    """As Yosys counts: of the nine windows of an image of 3x3, a corner of a window has a number in four."""
    directives = Directives({"conv": cycles}, True, {"conv": MultiplierStyle.SHARED})
    assert estimate_layout(convolution(3), directives, family).lut == pytest.approx(luts, rel=0.2)


@pytest.mark.parametrize(("inputs", "cycles", "ffs"), [(16, 4, 739), (14, 8, 817)])
def test_registers_of_products_are_inside_of_blocks_in_chains(inputs: int, cycles: int, ffs: int) -> None:
    """As Yosys counts those that are left; of the weights of four tiles it keeps one of bits that are alike."""
    directives = Directives({"dense_0": cycles}, False, {"dense_0": MultiplierStyle.SHARED})
    size = estimate_layout(dense_program((inputs, 8), 8, 8, 0.0), directives, ULTRASCALE_PLUS, 3.775)
    assert size.dsp == inputs * 8 // cycles // 2
    assert size.ff == pytest.approx(ffs, rel=0.03)


@pytest.mark.parametrize(
    ("family", "inputs", "cycles", "luts"),
    [(XILINX_7, 16, 4, 835), (XILINX_7, 14, 8, 675), (ULTRASCALE_PLUS, 16, 4, 460), (ULTRASCALE_PLUS, 14, 8, 522)],
)
def test_two_bits_of_a_sum_that_packs_factors_take_look_up_tables(
    family: Family, inputs: int, cycles: int, luts: int
) -> None:
    """As Yosys counts: the carry chains of AMD take the others as they are."""
    directives = Directives({"dense_0": cycles}, False, {"dense_0": MultiplierStyle.SHARED})
    size = estimate_layout(dense_program((inputs, 8), 8, 8, 0.0), directives, family, 3.775)
    assert size.lut == pytest.approx(luts, rel=0.12)


@pytest.mark.parametrize(("words", "parts"), [(2048, 1), (2560, 2)])
def test_parts_of_a_table_in_blocks_are_chosen(words: int, parts: int) -> None:
    """As Yosys counts: a look-up table for each bit of a word that comes from one part or another."""
    count = Count(XILINX_7)
    count.table(words, 256.0, clocked=True)
    assert len(table_parts(words, 256, XILINX_7.area.memory)) == parts
    assert count.lut == 256 * (parts - 1)


@pytest.mark.parametrize(
    ("inputs", "cycles", "bits", "ffs"),
    [(16, 4, 8, 906), (14, 8, 8, 881), (16, 8, 20, 1655), (16, 8, 7, 813), (32, 16, 7, 818)],
)
def test_synthesis_takes_registers_into_blocks_of_7_series(inputs: int, cycles: int, bits: int, ffs: int) -> None:
    """As Yosys counts those that are left, of factors in pairs, in chains or not, and of those that are wider than a block."""
    directives = Directives({"dense_0": cycles}, False, {"dense_0": MultiplierStyle.SHARED})
    size = estimate_layout(dense_program((inputs, 8), bits, bits, 0.0), directives, XILINX_7, 3.775)
    assert size.ff == pytest.approx(ffs, rel=0.09)


@pytest.mark.parametrize(
    ("name", "family", "luts", "ffs"),
    [
        ("dense", ECP5, 378, 406),
        ("dense", XILINX_7, 188, 376),
        ("one", ECP5, 580, 536),
        ("one", XILINX_7, 369, 471),
        ("four", ECP5, 791, 684),
        ("four", XILINX_7, 486, 586),
        ("sixteen", ECP5, 1805, 1366),
        ("sixteen", XILINX_7, 948, 1114),
    ],
)
def test_engines(name: str, family: Family, luts: int, ffs: int) -> None:
    """Of one multiplier, and of several, as Yosys makes them."""
    programs = {
        "dense": (perceptron((16, 16, 12, 8)), 1000),
        "one": (residual(), 600),
        "four": (residual(), 100),
        "sixteen": (residual(16), 600),
    }
    program, reuse = programs[name]
    size = estimate_layout(program, shared(program, reuse, parallel=name == "dense"), family, 8.0)
    assert size.lut == pytest.approx(luts, rel=0.25)
    assert size.ff == pytest.approx(ffs, rel=0.1)


def test_a_token_that_repeats_an_element_is_held_once() -> None:
    """A rectified number that is repeated before it comes in parts; Yosys counts 663 look-up tables and 1,112 flip-flops."""
    builder = ProgramBuilder()
    x = builder.input("x", (16, 1), FixedFormat(True, 8, 3))
    repeated = builder.broadcast(builder.max(x, builder.const(0)), (16, 64))
    with builder.layer("dense"):
        y = builder.linear(repeated, np.random.default_rng(0).integers(-7, 8, (64, 8)))
    directives = Directives({"dense": 16}, False, {"dense": MultiplierStyle.SHARED})
    size = estimate_layout(builder.program([("y", y)]), directives, ECP5, 6.0)
    assert (size.lut, size.ff) == (pytest.approx(663, rel=0.1), pytest.approx(1112, rel=0.05))


@pytest.mark.parametrize("family", [ECP5, ICE40, ULTRASCALE_PLUS], ids=lambda family: family.name)
def test_queues_hold_no_bits_that_nothing_reads(family: Family) -> None:
    """Yosys removes look-up tables of memories none of whose outputs is read."""

    def size(inputs: int) -> Size:
        builder = ProgramBuilder()
        x = builder.input("x", (inputs,), FixedFormat(True, 8, 3))
        weights = np.zeros((inputs, 4), dtype=np.int64)
        weights[:5] = np.random.default_rng(0).integers(-7, 8, (5, 4))
        with builder.layer("dense"):
            y = builder.linear(x, weights)
        return estimate_layout(builder.program([("y", y)]), Directives({"dense": 1}, False), family, 6.0)

    few, many = size(20), size(40)
    assert (few.lut, few.ff, few.bram) == (many.lut, many.ff, many.bram)


@pytest.mark.parametrize(("words", "bits"), [(5, 3), (16, 4), (17, 5), (64, 6)])
def test_lines_of_one_length_share_a_counter_of_their_places(words: int, bits: int) -> None:
    """Places are numbered from 0; a line of three words is registers."""
    count, memories = Count(ECP5), Count(ECP5)
    _window_of(count, [_line(words, 8), _line(words, 8), _line(3, 8)], np.ones(4, dtype=np.bool_))
    for _ in range(2):
        memories.memory(words, 8, 1)
    assert count.ff == memories.ff + 3 * 8 + bits


def _line(words: int, bits: int) -> Memory:
    return Memory(words, bits, Words.IN_TURN, stays=False)


def _window_of(count: Count, lines: list[Memory], read: Mask) -> None:
    """Count a window whose ``lines`` are between taps of which some elements are ``read``; these are 8 bits wide."""
    kind, taps = SimpleNamespace(memories=lambda *_: lines), len(lines) + 1
    takes, results = (
        (Stream((9,), TensorType.of(shape, 0, -128, 127)),)
        for shape in ((read.size // taps,), (taps, read.size // taps))
    )
    process = SimpleNamespace(kind=kind, takes=takes, results=results)
    count_window(count, kind, process, 0, np.repeat(read, 8))  # type: ignore[arg-type]


@pytest.mark.parametrize(("family", "luts", "ffs"), [(XILINX_7, 8, 8), (ECP5, 0, 8 + 3 * 8)], ids=repr)
def test_bits_of_taps_that_nothing_reads_wait_in_shift_registers(family: Family, luts: int, ffs: int) -> None:
    """The last tap is the newest: of its elements one is read a step later, too, one three steps later, one at once alone."""
    count, read = Count(family), np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0], [1, 1, 1]], dtype=np.bool_)
    _window_of(count, [_line(1, 24)] * 3, read.ravel())
    assert (count.lut, count.ff) == (luts, ffs)


def test_registers_of_bits_that_are_alike_are_joined_where_synthesis_joins_them() -> None:
    """Windows side by side have elements in common, each of which is in two registers of a word on Cyclone V."""
    directives = Directives({"conv": 16}, parallel=True)
    joining = replace(CYCLONE_V, area=replace(CYCLONE_V.area, joins_bits=True))
    apart, joined = (estimate_layout(convolution(4), directives, family, 6.0) for family in (CYCLONE_V, joining))
    assert apart.ff > joined.ff and apart.dsp == joined.dsp


def test_a_table_too_small_for_a_register_is_no_block() -> None:
    """Of Cyclone V's blocks Yosys fills 5 %, which 30 words of 23 bits do, if they are written with a register."""
    small, clocked = Count(CYCLONE_V), Count(CYCLONE_V)
    small.table(30, 23, clocked=False)
    clocked.table(30, 23, clocked=True)
    assert (small.size().bram, clocked.size().bram) == (0, 1)
    assert small.size().lut > 0 == clocked.size().lut


def test_contents_of_large_tables_are_not_looked_at() -> None:
    """Of a table of some million bits in look-up tables only those that differ are counted."""
    random, family = np.random.default_rng(0), ICE40.without_memory_blocks()
    rows = [int.from_bytes(random.bytes(64), "little") for _ in range(4096)]
    count, start = Count(family), time.process_time()
    count.contents(rows, 512)
    assert count.lut == family.area.table(12, 512) and time.process_time() - start < 0.5
