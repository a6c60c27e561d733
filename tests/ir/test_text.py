"""Programs as text: what is printed, and what is refused."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Output, Program
from bitsmith.ir.text import parse, to_text
from bitsmith.ir.types import FixedFormat, TensorType
from tests.properties.programs import random_program

SMALL = """\
%0: 2 s8 frac 4 = input name=x shape=(2) frac=4 lo=-128 hi=127 rounding=TRN overflow=WRAP
%1: 1 s10 frac 5 = linear %0 weights=2x1[3 -1] frac=2x1[1*2] @dense_1
output y %1
probe dense_1 %1
"""


def test_reads_as_it_prints() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 8, 4))
    with build.layer("dense_1"):
        y = build.linear(x, [[3], [-1]], 1)
    program = build.program([("y", y)], [("dense_1", y)])
    assert to_text(program) == SMALL
    assert parse(SMALL) == program


def test_types_may_be_left_out() -> None:
    short = SMALL.replace(": 2 s8 frac 4", "").replace(": 1 s10 frac 5", "")
    assert parse(short) == parse(SMALL)


def test_wider_types_survive() -> None:
    program = parse(SMALL)
    node = program.nodes[1]
    wide = TensorType.of(node.type.shape, node.type.frac, -5000, 5000)
    wider = Program((program.nodes[0], type(node)(node.op, node.args, wide, node.layer)), program.outputs)
    text = to_text(wider)
    assert "within 1[5] 1[-5000] 1[5000]" in text
    assert parse(text) == wider


def test_names_that_need_quotes() -> None:
    program = parse(SMALL)
    odd = Program(program.nodes, (Output('a "b" = {@\n%1', 1), Output("ü", 1)))
    assert parse(to_text(odd)) == odd


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("s10", "s11", "line 2: a node of type"),
        ("%0 weights", "%1 weights", "line 2: operand %1"),
        ("linear", "linaer", "line 2: an op called 'linaer'"),
        ("%1:", "%2:", "line 2: node %2 where %1 comes next"),
        ("2x1[3 -1]", "3x1[3 -1]", "line 2: 2 elements"),
        ("2x1[3 -1]", "2x1[3*900000000]", "line 2: more elements"),
        ("2x1[3 -1]", "90000x90000[3 -1]", "line 2: an array of shape"),
        ("weights=2x1[3 -1] ", "", "line 2: no argument weights"),
        ("frac=2x1[1*2]", "frac=9999999999999999999999", "line 2"),
        ("frac=2x1[1*2]", "frac=99999999", "line 2"),
        ("TRN", "ROUND", "line 1"),
        ("output y %1", "output y %7", "which does not exist"),
        ("output y %1", "output y", "line 3"),
        ("output y %1\n", "", "without outputs"),
        ("probe dense_1 %1", "output y %1", "two outputs called 'y'"),
        ("lo=-128", "lo=" + "9" * 5000, "line 1"),
        ("lo=-128", "lo=128", "line 1"),
        ("shape=(2)", "shape=(2,99999999999)", "line 1"),
        ("shape=(2)", "shape=(0)", "line 1"),
        ("@dense_1", "@dense_1 {", "line 2"),
        ("probe dense_1 %1", "}", "line 4"),
    ],
)
def test_refusals_name_the_line(old: str, new: str, found: str) -> None:
    assert old in SMALL
    with pytest.raises(ProgramError) as caught:
        parse(SMALL.replace(old, new))
    assert found in str(caught.value)


def test_parameters_are_read_with_their_range() -> None:
    text = "%0 = parameter name=weight raw=2[3 -8] frac=1 lo=-8 hi=7 external=1 @dense\noutput y %0\n"
    assert to_text(parse(text)).splitlines()[0] == f"%0: 2 s4 frac 1 = {text.splitlines()[0].removeprefix('%0 = ')}"
    for old, new, found in (
        ("external=1", "external=2", "neither 0 nor 1"),
        ("raw=2[3 -8]", "raw=2[3 8]", "outside its range"),
        ("name=weight", 'name="a b"', "letters, digits and underscores"),
        ("lo=-8", "lo=9", "least value"),
    ):
        with pytest.raises(ProgramError, match=found):
            parse(text.replace(old, new))


@settings(max_examples=150)
@given(
    st.integers(0, 40), st.integers(0, 10_000), st.text(alphabet='%0123456789-*x[](){}=@ abcefilnorstuw\n"', max_size=6)
)
def test_damaged_text_gives_a_program_error_or_a_program(seed: int, place: int, junk: str) -> None:
    text = to_text(random_program(seed, max_ops=8))
    place %= len(text)
    try:
        parse(text[:place] + junk + text[place + len(junk) :])
    except ProgramError as error:
        assert error.where


def test_many_constants_take_little_time() -> None:
    build = ProgramBuilder()
    x = build.input("x", (200,), FixedFormat(True, 16, 10))
    weights = np.random.default_rng(0).integers(-(2**15), 2**15, (200, 1000))
    program = build.program([("y", build.linear(x, weights, 12))])
    start = time.process_time()
    text = to_text(program)
    again = parse(text)
    assert time.process_time() - start < 5  # 0.2 s on an idle machine
    assert again == program
