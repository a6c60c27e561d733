"""Elements that something reads against the inputs of the netlist, which is made without knowing them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Interleave, Map, Reduce, Rom, Sink, Source, Sweep, WidthConverter, Window
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.estimate.count import Count
from bitsmith.estimate.figures import Size
from bitsmith.estimate.reads import changing, elements_read, operands_read, share
from bitsmith.estimate.size import estimate, estimate_layout
from bitsmith.estimate.sweeps import count_window
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, TensorType
from bitsmith.mapping.directives import Directives
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import InputPort, live_words
from bitsmith.netlist.pipelined import pipelined
from tests.properties.programs import random_program

BYTE = FixedFormat(True, 8, 4)


def elements_of_netlist(program: Program) -> set[int]:
    """The inputs' elements that live words of the netlist read, numbered through all inputs."""
    netlist = elaborate(program)
    words = [netlist.words[index].cell for index in live_words(netlist)]
    return {cell.element for cell in words if isinstance(cell, InputPort)}


def expected(program: Program) -> set[int]:
    read = elements_read(program)
    masks = [read[index].ravel() for index in program.inputs]
    return set(np.flatnonzero(np.concatenate(masks)).tolist())


@pytest.mark.parametrize("seed", range(40))
def test_netlists_of_random_programs_read_no_other_elements(seed: int) -> None:
    program = random_program(seed, max_ops=20)
    assert elements_of_netlist(program) <= expected(program)


def _strided(build: ProgramBuilder, x: Value) -> Value:
    return build.slice(build.linear(x, np.arange(1, 19).reshape(6, 3)), (0, 1), (4, 2), (3, 1))


def _rows(build: ProgramBuilder, x: Value) -> Value:
    weights = np.zeros((6, 2), int)
    weights[1, 0] = weights[4, 1] = 3
    return build.slice(build.linear(x, weights), (1, 1), (4, 2))


def _product(build: ProgramBuilder, x: Value) -> Value:
    y = build.reshape(build.slice(x, (0, 0), (2, 6)), (6, 2))
    return build.slice(build.matmul(build.slice(x, (2, 0), (4, 6)), y), (0, 1), (1, 2))


def _sums(build: ProgramBuilder, x: Value) -> Value:
    sums = build.concat([build.sum(x, (0,)), build.amax(x, (1,))], 0)
    return build.gather(sums, [2, 7], 0)


def _windows(build: ProgramBuilder, x: Value) -> Value:
    windows = build.window(build.reshape(x, (24, 1)), (3,), (2,), (2,), ((1, 2),))
    first = build.slice(windows, (0, 0, 0), (3, 3, 1))
    return build.add(
        build.sum(first, (1,)), build.slice(build.pad(build.reshape(x, (24, 1)), (1, 0), (0, 0)), (0, 0), (3, 1))
    )


@pytest.mark.parametrize("make", [_strided, _rows, _product, _sums, _windows])
def test_elements_are_those_that_the_netlist_reads(make: Callable[[ProgramBuilder, Value], Value]) -> None:
    build = ProgramBuilder()
    program = build.program([("y", make(build, build.input("x", (4, 6), BYTE)))])
    assert expected(program) == elements_of_netlist(program)
    assert 0 < len(expected(program)) < 24


def test_positions_that_nothing_reads_are_free() -> None:
    def size(positions: int, read: int) -> int:
        build = ProgramBuilder()
        hidden = build.linear(build.input("x", (positions, 6), BYTE), np.arange(-9, 9).reshape(6, 3))
        squares = build.abs(build.add(hidden, build.const([5, 6, 7])))
        return estimate(build.program([("y", build.slice(squares, (0, 0), (read, 3)))]), ECP5).lut

    assert size(40, 2) == size(2, 2) > 0


@pytest.mark.parametrize("family", [ECP5, ULTRASCALE_PLUS], ids=repr)
def test_tables_have_the_words_and_bits_of_their_elements(family: Family) -> None:
    """Each element has a width of its own; some tables are regular, and some results need fewer bits than others."""
    rng, build = np.random.default_rng(1), ProgramBuilder()
    widths = rng.integers(2, 8, 40)
    x = build.input("x", (40,), *(FixedFormat(False, int(width), 0) for width in widths))
    values = rng.integers(0, 2 ** rng.integers(1, 6, (40, 1)), (40, 128))
    values[::3] = np.arange(128) // 9
    program = build.program([("y", build.table(x, 0, values, 0))])
    made = size_of(*pipelined(program, family.delays, 6.0), family)
    assert estimate(program, family).lut == pytest.approx(made.lut, rel=0.1)


@pytest.mark.parametrize("kept", [1, 3])
def test_states_that_no_output_depends_on_are_free(kept: int) -> None:
    """Of four states that do not depend on each other, of which so many are read, as of a recurrence of those alone."""

    def size(states: int) -> Size:
        step = ProgramBuilder()
        state, x = step.input("h", (1, states), BYTE), step.input("x", (1, 4), BYTE)
        mixed = step.linear(x, np.arange(-7, 9).reshape(4, 4)[:, :states])
        body = step.program([("next", step.cast(step.add(state, mixed), BYTE)), ("y", state)])
        build = ProgramBuilder()
        start = build.cast(build.const(np.zeros((1, states), dtype=np.int64)), BYTE)
        rows = build.scan(body, [start], [build.input("x", (6, 1, 4), BYTE)])
        first = build.slice(build.reshape(rows, (6, states)), (5, 0), (6, states))
        program = build.program([("y", build.linear(first, np.arange(states)[:, None] < kept))])
        return estimate_layout(program, Directives({}, False), ECP5, 6.0)

    every, alone = size(4), size(kept)
    assert (every.lut, every.ff) == pytest.approx((alone.lut, alone.ff), rel=0.03)


@pytest.mark.parametrize(("taken", "given"), [(6, 6), (6, 2), (2, 6)])
def test_a_converter_of_widths_reads_the_places_of_what_is_read(taken: int, given: int) -> None:
    """The second element of what it gives is read: in one of the tokens that it joins, in each part of one that it cuts."""
    streams = [Stream((12 // size,), TensorType.of((size,), 0, 0, 1)) for size in (taken, given)]
    build = ProgramBuilder()
    read = build.slice(build.input("x", (given,), FixedFormat(False, 1, 0)), (1,), (2,))
    program = build.program([("y", build.add(read, read))])
    results = (Stream((12 // given,), program.nodes[program.outputs[0].node].type),)
    processes = (
        Process(Source("x"), (), (), (streams[0],)),
        Process(WidthConverter(), (OutputPort(0),), (streams[0],), (streams[1],)),
        Process(Map(program), (OutputPort(1),), (streams[1],), results),
        Process(Sink("y"), (OutputPort(2),), results, ()),
    )
    found = operands_read(Network(processes), {2: pipelined(program, ECP5.delays, 6.0)}, {})
    assert np.flatnonzero(found[1].operands[0]).tolist() == list(range(1, taken, min(taken, given)))


def _upper_half_of_the_second(kind: Reduce | Sweep | Interleave, taken: Stream, given: Stream) -> list[list[int]]:
    """The bits of operands that are read where of what a process gives these are."""
    build = ProgramBuilder()
    second = build.slice(build.input("x", given.token.shape, BYTE), (0, 1), (1, 2))
    program = build.program([("y", build.cast(second, FixedFormat(True, 4, 0)))])
    results = (Stream(given.grid, program.nodes[program.outputs[0].node].type),)
    number = 2 if isinstance(kind, Interleave) else 1
    processes = (
        *(Process(Source(f"x{port}"), (), (), (taken,)) for port in range(number)),
        Process(kind, tuple(OutputPort(port) for port in range(number)), (taken,) * number, (given,)),
        Process(Map(program), (OutputPort(number),), (given,), results),
        Process(Sink("y"), (OutputPort(number + 1),), results, ()),
    )
    found = operands_read(Network(processes), {number + 1: pipelined(program, ECP5.delays, 6.0)}, {})
    return [np.flatnonzero(mask).tolist() for mask in found[number].operands]


SWEEP = Sweep(ops.Window((1,), (1,), (1,), ((0, 0),)), 1, 1, 1)


@pytest.mark.parametrize(
    ("kind", "given", "first"),
    [
        (Reduce(ops.Sum((0,)), 4), 0, 8),  # carries come from below
        (SWEEP, 0, 12),
        (SWEEP, 1, 8),  # elements have other bits where the binary point has moved
        (Interleave(np.arange(8) % 2), 0, 12),
    ],
)
def test_what_moves_tokens_reads_the_bits_that_are_read_of_them(
    kind: Reduce | Sweep | Interleave, given: int, first: int
) -> None:
    taken, moved = (Stream((4,), TensorType.of((1, 3), frac, -128, 127)) for frac in (0, given))
    expected = [list(range(first, 16))] * (2 if isinstance(kind, Interleave) else 1)
    assert _upper_half_of_the_second(kind, taken, moved) == expected


@pytest.mark.parametrize(("words", "bits"), [([[5, -3]], 0), ([[5, -3], [4, -3], [5, -2]], 3)])
def test_bits_of_a_constant_table_that_are_the_same_in_all_tokens_have_no_register(
    words: list[list[int]], bits: int
) -> None:
    stream = Stream((len(words),), TensorType.of((2,), 0, -128, 127))
    network = Network((Process(Rom(np.array(words)), (), (), (stream,)),))
    assert changing(network, OutputPort(0)).sum() == bits


@pytest.mark.parametrize(("later", "blocks"), [([True, True], 2), ([True, False], 1), ([False, False], 0)])
def test_rows_of_windows_are_kept_for_later_taps(later: list[bool], blocks: int) -> None:
    """Tokens of two elements, each with a block on iCE40: the tap of the row before reads these, and the other one both."""
    kind = Window(ops.Window((2, 1), (1, 1), (1, 1), ((0, 0), (0, 0))))
    taken, given = (
        Stream(grid, TensorType.of(shape, 0, 0, (1 << 16) - 1))
        for grid, shape in (((8, 16), (2,)), ((7, 16), (2, 1, 2)))
    )
    process, count = Process(kind, (OutputPort(0),), (taken,), (given,)), Count(ICE40)
    count_window(count, kind, process, 0, np.repeat([*later, True, True], 16))
    assert count.size().bram == blocks


def test_cells_of_memories_are_kept_for_each_of_their_bits() -> None:
    read = np.zeros(30, dtype=np.bool_)
    read[[0, 1, 29]] = True
    assert (share(read), share(read, 14), share(read, 4)) == (0.1, 28 / 30, 8 / 30)
    assert share(np.zeros(0, dtype=np.bool_), 4) == 0.0
