"""The structure of generated C++, read back: each process keeps the plan's interval, and faults that break it are found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
from math import trunc
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, neg, or_, sub, xor
from random import Random

import pytest

from bitsmith.errors import VerificationError
from bitsmith.hls import HlsProject, HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import ALL_AT_ONCE
from tests.hls.named_networks import named_networks
from tests.hls.structure.check import check, structure
from tests.hls.structure.values import Index, Value, applied, combined
from tests.hls.test_execution import networks, programs
from tests.hls.test_streams import FEW as SEEDS
from tests.hls.test_streams import cnns, random_demands
from tests.hls.test_writer import dense

CNNS, DEMANDS = cnns()
FOLDED = CNNS["folded"], DEMANDS["folded"]


def many() -> dict[str, tuple[Program, Directives]]:
    """Random programs of all ops and random networks of all layers; the example with whole images as tokens."""
    others = {**programs((36, 79, 98, 243)), **networks(range(6))}
    demands = random_demands(others)
    found = {name: (drop_dead(program, keep_probes=False), demands[name]) for name, program in others.items()}
    found |= {name: (CNNS[name], DEMANDS[name]) for name in ("streamed", "arrays")}
    return {**found, "dense": (dense(), ALL_AT_ONCE)}


def written(program: Program, directives: Directives, dialect: str) -> HlsProject:
    return write_project(program, directives, DIALECTS[dialect], HlsTarget("net", DIALECTS[dialect].part))


def checked(program: Program, directives: Directives, dialect: str) -> None:
    found = check(written(program, directives, dialect), DIALECTS[dialect], unrolled=directives.unrolled(program))
    assert found.paces and not found.left_out


@cache
def folded(dialect: str) -> HlsProject:
    return written(*FOLDED, dialect)


EACH = pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=() if name in ("vitis", "libero") else pytest.mark.slow) for name in DIALECTS]
)


@EACH
def test_processes_keep_the_interval_of_the_plan(dialect: str) -> None:
    checked(*FOLDED, dialect)


@EACH
@pytest.mark.parametrize("name", ["lstm_io_stream", "attention_io_parallel"])
def test_networks_of_users_keep_the_interval_of_the_plan(name: str, dialect: str) -> None:
    checked(*named_networks()[name], dialect)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_processes_of_all_layers_keep_the_interval_of_the_plan(dialect: str) -> None:
    for program, directives in many().values():
        checked(program, directives, dialect)


@pytest.mark.parametrize("dialect", ["vitis", "vivado"])
def test_a_random_program_keeps_the_interval_of_the_plan(dialect: str) -> None:
    """A recurrence among maps, whose steps wait for one another."""
    cases = programs(SEEDS)
    checked(drop_dead(cases["net43"], keep_probes=False), random_demands(cases)["net43"], dialect)


def test_steps_and_cycles() -> None:
    found = structure(folded("vitis").files, "net", DIALECTS["vitis"], unrolled=False)
    assert {pace.process: (pace.trips, pace.interval) for pace in found.paces} == {
        "conv1_window": (140, 1),
        "conv1_width": (270, 1),
        "conv1_product": (270, 1),
        "conv1": (270, 1),
        "conv1_copies": (270, 1),
        "conv2_width": (270, 1),
        "conv2_sweep": (830, 1),  # the first window waits for 20 tokens
        "conv2_product": (810, 1),
        "conv2": (90, 1),
        "residual_width_2": (270, 1),
        "residual": (270, 1),
        "residual_width": (270, 1),
        "pool_window": (90, 1),
        "pool_to_dense": (12, 1),
        "pool_to_dense_copies": (12, 1),
        "dense_width": (36, 1),
        "dense_product": (36, 1),
        "dense": (1, 1),
    }


TOP, SUMS = "firmware/net.cpp", "firmware/bitsmith/stream_accumulate.h"
WEIGHTS = "firmware/weights/conv2_product.h"


@pytest.mark.parametrize("trips", ["2 > 1 ? 140 : 7", "2 < 1 ? 7 : 140", "0 ? 7 : 1 ? 140 : 9"])
def test_choices_with_known_conditions_are_known(trips: str) -> None:
    files, loop = dict(folded("vitis").files), "for (int i = 0; i < 140; i++)"
    assert loop in files[TOP]
    files[TOP] = files[TOP].replace(loop, loop.replace("140", f"({trips})"))
    found = structure(files, "net", DIALECTS["vitis"], unrolled=False)
    assert {pace.trips for pace in found.paces if pace.process == "conv1_window"} == {140}


@pytest.mark.parametrize(
    ("dialect", "path", "right", "wrong", "said"),
    [
        pytest.param(
            "vitis",
            TOP,
            "conv1_width_t whole[18];\n#pragma HLS ARRAY_PARTITION variable=whole complete",
            "conv1_width_t whole[18];",
            r"'conv1_width' takes .* ports of array 'whole'",
            id="partition-removed",
        ),
        pytest.param(
            "vitis",
            TOP,
            "#pragma HLS ARRAY_RESHAPE variable=conv2_sweep_memory complete dim=2",
            "",
            r"'conv2_sweep' takes 2,490 .* ports of array 'conv2_sweep_memory'",
            id="words-of-a-memory-taken-apart",
        ),
        pytest.param(
            "vitis",
            TOP,
            "#pragma HLS ARRAY_RESHAPE variable=conv2_product_weights complete dim=2\n"
            "#pragma HLS BIND_STORAGE variable=conv2_product_weights type=rom_np",
            "#pragma HLS BIND_STORAGE variable=conv2_product_weights type=rom_2p",
            r"'conv2_product' takes 4,050 .* ports of array 'conv2_product_weights' \(firmware/weights/conv2_product.h",
            id="rom-of-two-ports",
        ),
        pytest.param(
            "vitis",
            SUMS,
            "A sum = 0;",
            "A sum = sums[lane * M + m];",
            r"'conv1_product' takes 2,700 .* 19 operations from 'sums'",
            id="sum-in-a-chain",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "vitis",
            TOP,
            "const conv1_token_t item = x0.read();\n        conv2_width",
            "const conv1_token_t item = x0.read(); x0.read(); x0.read(); x0.read();\n        conv2_width",
            r"'conv2_width' takes 1,080 .* 4 reads of stream 'x0'",
            id="stream-read-twice",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "libero",
            WEIGHTS,
            "#pragma HLS memory partition",
            "// ",
            r"'conv2_product' takes .* ports of array 'conv2_product_weights'",
            id="smarthls-partition-removed",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "catapult",
            "directives.tcl",
            "conv2_product_weights {banks 9}",
            "conv2_product_weights {memory}",
            r"",
            id="catapult-small-memories-are-registers",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_faults_are_found(dialect: str, path: str, right: str, wrong: str, said: str) -> None:
    project = folded(dialect)
    assert right in project.files[path]
    files = {**project.files, path: project.files[path].replace(right, wrong)}
    if not said:
        check(replace(project, files=files), DIALECTS[dialect], unrolled=False)
        return
    with pytest.raises(VerificationError, match=said):
        check(replace(project, files=files), DIALECTS[dialect], unrolled=False)


@pytest.mark.slow
def test_feedback_through_a_memory_needs_a_promise() -> None:
    project = written(CNNS["streamed"], DEMANDS["streamed"], "oneapi")
    kernels = project.files["firmware/bitsmith/kernels.h"].replace("[[intel::ivdep(memory, steps)]]", "")
    with pytest.raises(VerificationError, match="'conv1_window' takes 280 cycles per frame: 140 steps, one in every 2"):
        files = {**project.files, "firmware/bitsmith/kernels.h": kernels}
        check(replace(project, files=files), DIALECTS["oneapi"], unrolled=False)


def test_line_buffers_of_catapult_need_a_promise() -> None:
    project = written(CNNS["streamed"], DEMANDS["streamed"], "catapult")
    script = project.files["directives.tcl"].replace("set largest_register_bits 32769", "set largest_register_bits 0")
    files = {**project.files, "directives.tcl": script}
    check(replace(project, files=files), DIALECTS["catapult"], unrolled=False)
    files["directives.tcl"] = re.sub("set line_buffers .*", "set line_buffers {}", script)
    with pytest.raises(VerificationError, match=r"'conv1_window' takes .* one in every 2"):
        check(replace(project, files=files), DIALECTS["catapult"], unrolled=False)


def c_integer(operator: str, a: int, b: int) -> int | None:
    """The value of an operation of C++, whose quotients are rounded to 0."""
    if operator in "/%":
        quotient = trunc(Fraction(a, b)) if b else 0
        return None if b == 0 else quotient if operator == "/" else a - b * quotient
    if operator in ("<<", ">>"):
        return a * 2**b if operator == "<<" else a // 2**b
    if operator in ("&&", "||"):
        return int(a != 0 and b != 0) if operator == "&&" else int(a != 0 or b != 0)
    functions = {"+": add, "-": sub, "*": mul, "&": and_, "|": or_, "^": xor}
    functions |= {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}
    return int(functions[operator](a, b))


OPERATORS = ("+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "&", "|", "^", "&&", "||", "<<", ">>")


@pytest.mark.parametrize("operator", OPERATORS)
def test_known_integers_are_those_of_cpp(operator: str) -> None:
    for a, b in product(range(-9, 10), range(0 if operator in ("<<", ">>") else -9, 10)):
        got = combined(operator, Value(Index(a)), Value(Index(b)), 0).index
        assert (None if got is None else got.constant) == c_integer(operator, a, b), (a, operator, b)
        assert got is None or not got.symbols


def test_operations_on_one_operand_are_those_of_cpp() -> None:
    negated: dict[str, Callable[[int], int]] = {"-": neg, "!": lambda a: int(a == 0)}
    for operator, a in product((*negated, "~", "+"), range(-3, 4)):
        right = Index(negated[operator](a)) if operator in negated else None
        assert applied(operator, Value(Index(a), {1: 2})) == Value(right, {1: 2}), (operator, a)
    with_symbols = Value(Index(3, ((0, 2), (4, -1))))
    assert applied("-", with_symbols).index == Index(-3, ((0, -2), (4, 1)))
    assert applied("!", with_symbols) == applied("-", Value()) == applied("!", Value()) == Value()


def test_integers_with_symbols_are_exact_wherever_they_are_known() -> None:
    rng = Random(3)

    def drawn() -> Index:
        factors = {symbol: rng.randint(-3, 3) for symbol in rng.sample(range(4), rng.randint(0, 2))}
        return Index(rng.randint(-5, 5), tuple(sorted((symbol, own) for symbol, own in factors.items() if own)))

    def at(index: Index, places: list[int]) -> int:
        return index.constant + sum(factor * places[symbol] for symbol, factor in index.symbols)

    for _ in range(400):
        a, b, operator = drawn(), drawn(), rng.choice(OPERATORS)
        got = combined(operator, Value(a), Value(b), 0).index
        linear = operator in ("+", "-") or (operator == "*" and not (a.symbols and b.symbols))
        assert (got is not None) == (linear if a.symbols or b.symbols else got is not None)
        if got is None or not (a.symbols or b.symbols):
            continue
        assert all(factor for _, factor in got.symbols) and list(got.symbols) == sorted(got.symbols)
        for _ in range(3):
            places = [rng.randint(-9, 9) for _ in range(4)]
            assert at(got, places) == c_integer(operator, at(a, places), at(b, places))


def test_feedback_of_an_operation_is_the_longest_of_its_operands_and_the_operation() -> None:
    left, right = Value(None, {1: 2, 2: 5}), Value(Index(3), {1: 4, 3: 0})
    assert combined("+", left, right, 0).feedback == {1: 4, 2: 5, 3: 0}
    assert combined("+", left, right, 3).feedback == {1: 7, 2: 8, 3: 3}
    assert combined("+", Value(), Value(Index(1)), 3) == Value()
    assert combined("+", left, right, 1).index is None
