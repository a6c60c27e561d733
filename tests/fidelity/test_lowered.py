"""The part of a program that a layer became: its codes, what it rounds off, and whether it is linear and exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.fidelity.bounds import bounds
from bitsmith.fidelity.lowered import Lowered
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode

Make = Callable[[ProgramBuilder, Value, Value], Value]

X, Y = FixedFormat(True, 6, 3), FixedFormat(False, 4, 2)


def _lowered(make: Make) -> Lowered:
    build = ProgramBuilder()
    x, y = build.input("x", (1,), X), build.input("y", (1,), Y)
    program = build.program([("z", make(build, x, y))])
    found = Lowered.of(program, program.inputs, program.outputs[0].node)
    assert found is not None
    return found


def _doubled(build: ProgramBuilder, x: Value, y: Value) -> Value:
    return build.add(build.add(x, x), build.sub(y, y))


@given(st.integers(-48, 48), st.integers(0, 64))
def test_codes_from_a_number_to_another(first: int, size: int) -> None:
    """Those of the format that lie between or just beyond; the nearest one where none does."""
    least, most = first / 10.0, (first + size) / 10.0
    lowered = _lowered(_doubled)
    every = [raw / 8.0 for raw in range(X.lo, X.hi + 1)]
    wanted = [code for code in every if least - 0.125 < code < most + 0.125]
    wanted = wanted or [every[0] if most < every[0] else every[-1]]
    assert lowered.codes(0, least, most) == len(wanted)
    assert lowered.codes(0, least) == sum(code > least - 0.125 for code in every) or least > every[-1]
    assert lowered.codes(0) == len(every) and lowered.codes(1) == Y.hi + 1


@pytest.mark.parametrize(("least", "most"), [(-math.inf, math.inf), (-1.0, 0.3), (3.0, 9.0)])
def test_results_of_all_codes(least: float, most: float) -> None:
    build = ProgramBuilder()
    program = build.program([("z", build.mul(x := build.input("x", (1,), X), x))])
    lowered = Lowered.of(program, program.inputs, program.outputs[0].node)
    assert lowered is not None
    codes, results = lowered.run_codes(least, most)
    wanted = [raw / 8.0 for raw in range(X.lo, X.hi + 1) if least - 0.125 < raw / 8.0 < most + 0.125]
    assert codes.tolist() == wanted and results.tolist() == [code * code for code in wanted]


COARSE = {rounding: FixedFormat(True, 5, 1, rounding, Overflow.SAT) for rounding in Rounding}
CASES: dict[str, tuple[Make, bool, bool]] = {
    "sum": (_doubled, True, True),
    "product": (lambda build, x, y: build.mul(x, y), True, True),
    "square": (lambda build, x, y: build.add(build.mul(x, x), y), False, True),
    "product of what depends on x": (lambda build, x, y: build.mul(build.add(x, y), x), False, True),
    "of y alone": (lambda build, x, y: build.mul(y, y), False, True),
    "negative": (lambda build, x, y: build.sub(y, build.neg(x)), True, True),
    "magnitude": (lambda build, x, y: build.add(build.abs(x), y), False, True),
    "choice by y": (lambda build, x, y: build.select(build.sub(y, build.const([1])), x, y), True, True),
    "choice by x": (lambda build, x, y: build.select(x, x, y), False, True),
    "cast inside": (lambda build, x, y: build.add(build.cast(x, COARSE[Rounding.RND]), y), False, False),
    "wide cast inside": (lambda build, x, y: build.add(build.cast(x, FixedFormat(True, 9, 4)), y), True, True),
    "cast at last": (lambda build, x, y: build.cast(build.add(x, y), COARSE[Rounding.RND]), True, True),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_linear_in_the_first_operand_and_exact(name: str) -> None:
    make, linear, exact = CASES[name]
    lowered = _lowered(make)
    assert (lowered.is_linear, lowered.is_exact) == (linear, exact)


@pytest.mark.parametrize("rounding", Rounding)
def test_last_casts_round_off_half_a_step_or_a_whole_one(rounding: Rounding) -> None:
    """Which is the most that any code shows, less one step of the operand where a whole one is cut off."""
    lowered = _lowered(lambda build, x, y: build.cast(build.add(x, build.sub(y, y)), COARSE[rounding]))
    cuts = rounding in (Rounding.TRN, Rounding.TRN_ZERO)
    assert lowered.rounding == pytest.approx(0.5 if cuts else 0.25, abs=0.126)
    raws = np.arange(X.lo, X.hi + 1) / 8.0
    assert lowered.holds(raws.min(keepdims=True), raws.max(keepdims=True))


@pytest.mark.parametrize(("most", "held"), [(7.5, True), (7.6, False), (-8.0, True), (-8.1, False)])
def test_last_casts_that_wrap_hold_what_is_in_their_range(most: float, held: bool) -> None:
    wide = FixedFormat(True, 5, 1, Rounding.RND, Overflow.WRAP)
    lowered = _lowered(lambda build, x, y: build.cast(build.add(build.shift(x, 2), y), wide))
    assert len(lowered.casts) == 1
    ends = np.array([min(most, 0.0)]), np.array([max(most, 0.0)])
    assert lowered.holds(*ends) == held


def test_bounds_are_of_networks_whose_layers_are_all_seen_as_they_are() -> None:
    stated = Input((1,), least=as_weights([-1.0]), most=as_weights([2.0]))
    network = Network((NetworkNode("x", stated), NetworkNode("y", ReLU(), ("x",))), ("x",), ("y",))
    program = compile_network(network).program
    assert len(bounds(network, program, {})) == 1
    x, y = network.nodes
    others = [
        (replace(x, layer=Input((1,))), y),
        (x, replace(y, folded=True)),
        (x, replace(y, order=(0,))),
        (x, replace(y, name="z")),
    ]
    for nodes in others:
        changed = Network(nodes, ("x",), (nodes[1].name,))
        assert bounds(changed, program, {}) == ()
