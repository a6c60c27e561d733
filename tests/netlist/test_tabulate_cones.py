"""Functions of one narrow word become tables where that saves look-up tables; the outputs stay what they were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.devices.ice40 import ICE40
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.netlist import Netlist, RomRead, WordRef, live_words
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.tabulate_cones import Functions, table_luts, tabulate_cones
from bitsmith.netlist.text import to_text
from tests.netlist.check import check
from tests.netlist.checks import SteadyDelays, dense_program, flat_inputs
from tests.netlist.evaluate import evaluate
from tests.netlist.reading import parse
from tests.properties.programs import random_program, random_stimuli

DELAYS = SteadyDelays()

PORTS = """\
input x[0]: -8..7 frac 0
input x[1]: -2000..2000 frac 0
origin "" x
%0: -8..7 = port 0
%1: -2000..2000 = port 1
"""


def clamp(source: int, first: int) -> str:
    """Words ``first`` to ``first + 5``: word ``source`` between -3 and 3."""
    return f"""\
%{first}: 3..3 = literal 3
%{first + 1}: 0..1 = lt %{first} %{source}
%{first + 2}: -8..3 = mux %{first + 1} %{first} %{source}
%{first + 3}: -3..-3 = literal -3
%{first + 4}: 0..1 = lt %{first + 2} %{first + 3}
%{first + 5}: -3..3 = mux %{first + 4} %{first + 3} %{first + 2}
"""


def kinds(netlist: Netlist) -> list[str]:
    """The cells that are alive, but for ports and constants."""
    cells = [netlist.words[index].cell for index in sorted(live_words(netlist))]
    return [name for cell in cells if (name := type(cell).__name__) not in ("InputPort", "Literal")]


def same(before: Netlist, after: Netlist) -> bool:
    """True if outputs are the same for all of the first input and some of the second."""
    check(after)
    inputs = itertools.product(range(-8, 8), (-2000, -9, -1, 0, 4, 2000))
    return all(evaluate(after, pair) == evaluate(before, pair) for pair in inputs)


CASES = {
    "comparisons before a narrow word's result go": (clamp(0, 2) + "output y[0]: -3..3 frac 0 = %7\n", ["RomRead"]),
    "those of a wide word stay": (
        clamp(1, 2).replace("-8..3", "-2000..3") + "output y[0]: -3..3 frac 0 = %7\n",
        ["Comparator", "Mux", "Comparator", "Mux"],
    ),
    "sums alone stay": (
        "%2: -40..35 = add %0 %0<<2\n%3: -104..91 = add %2 %0<<3\noutput y[0]: -104..91 frac 0 = %3\n",
        ["AddSub", "AddSub"],
    ),
    "sums after which something is chosen go": (
        "%2: -40..35 = add %0 %0<<2\n%3: 0..1 = lt %0 %2\n%4: -40..35 = mux %3 %0 %2\noutput y[0]: -40..35 frac 0 = %4\n",
        ["RomRead"],
    ),
    "a word that saves nothing as a function of a near word goes as one of a far word": (
        clamp(0, 2) + "%8: 1..1 = literal 1\n%9: 0..1 = lt %7 %8\noutput y[0]: 0..1 frac 0 = %9\n",
        ["RomRead"],
    ),
    "what is the word itself is wiring": (
        "%2: 0..0 = literal 0\n%3: 0..1 = lt %0 %2\n%4: -8..8 = sub %2 %0\n%5: -8..8 = mux %3 %4 %0\n%6: 0..1 = eq %5 %2\n"
        "%7: -8..8 = mux %6 %2 %0\noutput y[0]: -8..8 frac 0 = %7\n",
        [],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_what_becomes_a_table(text: str, expected: list[str]) -> None:
    before = parse(PORTS + text)
    after = tabulate_cones(before, DELAYS)
    assert kinds(after) == expected
    assert same(before, after)


def test_what_never_occurs_has_no_entry() -> None:
    """A word that is -3 or 3 is never 0, though 0 lies between."""
    text = """\
%2: 0..0 = literal 0
%3: 0..1 = lt %0 %2
%4: 3..3 = literal 3
%5: -3..-3 = literal -3
%6: -3..3 = mux %3 %5 %4
%7: 0..1 = eq %6 %2
%8: -2000..2000 = mux %7 %0 %1
output y[0]: -2000..2000 frac 0 = %8
"""
    before = parse(PORTS + text)
    functions = Functions(before)
    assert functions.reached[6].tolist() == [-3, 3]
    after = tabulate_cones(before, DELAYS)
    assert same(before, after)
    assert kinds(after) == []


def test_a_word_that_others_read_is_kept() -> None:
    text = clamp(0, 2) + "output y[0]: -3..3 frac 0 = %7\noutput y[1]: -8..3 frac 0 = %4\n"
    before = parse(PORTS + text)
    after = tabulate_cones(before, DELAYS)
    assert same(before, after)
    assert {type(after.words[ref.word].cell) for ref in after.results} == {RomRead}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1.8, 12.0))
def test_results_stay(seed: int, budget: float) -> None:
    program = (
        dense_program([5, 7, 3], 5, 4, 0.3, seed) if seed % 4 == 0 else random_program(seed, max_ops=10, hardware=True)
    )
    netlist = reduce_widths(elaborate(program))
    after = tabulate_cones(netlist, DELAYS)
    check(after)
    assert parse(to_text(after)) == after
    assert pipeline(after, DELAYS, budget).stages <= pipeline(netlist, DELAYS, budget).stages
    stimuli = random_stimuli(program, seed, 8)
    for sample in range(8):
        inputs = flat_inputs(stimuli, sample)
        assert evaluate(after, inputs) == evaluate(netlist, inputs)


def test_random_programs_have_such_words() -> None:
    programs = [random_program(seed, max_ops=10, hardware=True) for seed in range(60)]
    netlists = [reduce_widths(elaborate(program)) for program in programs]
    assert sum(tabulate_cones(netlist, DELAYS) is not netlist for netlist in netlists) >= 5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_functions_have_the_values_that_are_computed(seed: int) -> None:
    program = random_program(seed, max_ops=10, hardware=True)
    netlist = reduce_widths(elaborate(program))
    functions = Functions(netlist)
    live = sorted(live_words(netlist))
    every = Netlist(
        netlist.words,
        netlist.tables,
        netlist.origins,
        netlist.inputs,
        netlist.outputs,
        tuple(WordRef(index) for index in live),
    )
    stimuli = random_stimuli(program, seed, 8)
    for sample in range(8):
        values = dict(zip(live, evaluate(every, flat_inputs(stimuli, sample)), strict=True))
        for index, reached in functions.reached.items():
            assert values[index] in reached
        for index, sources in functions.of.items():
            for source, found in sources.items():
                assert found[np.searchsorted(functions.reached[source], values[source])] == values[index]


@pytest.mark.parametrize(
    ("entries", "first", "luts"),
    [
        ((5,) * 16, 0, 0),
        (tuple(range(16)), 0, 0),
        (tuple(15 - x for x in range(16)), 0, 0),
        (tuple(x * x & 1 for x in range(16)), 0, 0),
        (tuple(int(x.bit_count() > 2) for x in range(16)), 0, 1),
        (tuple(int(x.bit_count() > 4) for x in range(128)), 0, 2),
        (tuple(int(x.bit_count() > 2 and x < 64) for x in range(-64, 64)), -64, 2),
        (tuple(int(x.bit_count() > 2) << 1 | int(x.bit_count() > 2) for x in range(64)), 0, 1),
    ],
)
def test_look_up_tables_of_tables(entries: tuple[int, ...], first: int, luts: int) -> None:
    assert table_luts(entries, first, max(max(entries).bit_length(), 1), 6) == luts


@pytest.mark.parametrize(
    ("width", "expected"), [(3, ["RomRead"]), (8, ["View", "RomRead", "Comparator", "Mux", "Comparator", "Mux"])]
)
def test_no_table_becomes_block_memory(width: int, expected: list[str]) -> None:
    """128 words of 8 bits are none on iCE40, 256 are, although look-up tables of two address bits hold them."""
    entries = [(k >> 5) * ((1 << width) // 3) for k in range(128)]
    before = parse(
        f"""\
input x[0]: 0..255 frac 0
input x[1]: 0..1 frac 0
table 128[{" ".join(map(str, entries))}]
origin "" x
%0: 0..255 = port 0
%1: 0..127 = view %0
%2: 0..{max(entries)} = rom %1 0 0
%3: 1..1 = literal 1
%4: 0..1 = ge %0 %3<<7
%5: 0..{max(entries)} = mux %4 %3 %2
%6: 0..1 = lt %0 %3<<4
%7: 0..{max(entries)} = mux %6 %3 %5
output y[0]: 0..{max(entries)} frac 0 = %7
"""
    )
    after = tabulate_cones(before, ICE40.delays)
    check(after)
    assert all(evaluate(after, (x, 0)) == evaluate(before, (x, 0)) for x in range(256))
    assert kinds(after) == expected


@pytest.mark.parametrize(
    ("bits", "least", "expected"),
    [(5, -11, ["RomRead"]), (7, -49, ["RomRead"]), (8, -99, ["Comparator", "Mux", "Comparator", "Mux"])],
)
def test_all_bits_of_tables_count_those_of_negative_numbers_too(bits: int, least: int, expected: list[str]) -> None:
    """Between so many and 1: the greatest number takes one bit, the least as many as the operand."""
    top = 1 << (bits - 1)
    text = clamp(0, 1).replace("3..3 = literal 3", "1..1 = literal 1").replace("literal -3", f"literal {least}")
    text = text.replace("-3..-3", f"{least}..{least}").replace("-8..3", f"{-top}..1").replace("-3..3", f"{least}..1")
    port = f'input x[0]: {-top}..{top - 1} frac 0\norigin "" x\n%0: {-top}..{top - 1} = port 0\n'
    before = parse(f"{port}{text}output y[0]: {least}..1 frac 0 = %6\n")
    after = tabulate_cones(before, DELAYS)
    check(after)
    assert kinds(after) == expected
    assert all(evaluate(after, [x]) == [min(max(x, least), 1)] for x in range(-top, top))
