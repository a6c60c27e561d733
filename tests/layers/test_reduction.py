"""Reductions over every choice of axes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import Layer, Shape
from bitsmith.layers.network import Network
from bitsmith.layers.reduction import ArgMax, CumulativeSum, Reduce, Reduction
from bitsmith.layers.settings import Settings
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

EXACT = {Reduction.SUM, Reduction.MAX, Reduction.MIN}
NARROW = FixedFormat(True, 5, 2, Rounding.RND, Overflow.SAT)


@st.composite
def reductions(draw: st.DrawFn) -> tuple[Layer, Shape]:
    """Any reduction with a shape that it fits."""
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank)))
    axes = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    axes = [axis - rank * draw(st.integers(0, 1)) for axis in axes]
    keepdims = draw(st.booleans())
    match draw(st.integers(0, 3)):
        case 0:
            return ArgMax(axes[0], keepdims, draw(st.booleans())), shape
        case 1:
            return CumulativeSum(axes[0]), shape
        case _:
            return Reduce(draw(st.sampled_from(Reduction)), tuple(axes), keepdims), shape


@settings(max_examples=20)
@given(reductions(), st.sampled_from([NARROW, FixedFormat(False, 9, 9), FixedFormat(True, 14, 9)]))
def test_reductions(drawn: tuple[Layer, Shape], source: FixedFormat) -> None:
    layer, shape = drawn
    outcome = run(network_of(layer, [shape], formats={0: source}), samples=12)
    exact = not isinstance(layer, Reduce) or layer.reduction in EXACT
    bound = 0.5 * outcome.step if exact else outcome.step * (1.0 - 1e-9)
    # Products beyond 53 bits are rounded by the float reference itself.
    assert np.all(np.abs(outcome.fixed - outcome.real) <= bound + np.abs(outcome.real) * 2.0**-50)


def test_logarithms_of_sums_that_are_1() -> None:
    """What calibration shows of them is the rounding of float64."""
    share = np.random.default_rng(0).uniform(0.1, 0.9, 50)
    x = np.log(np.stack([share, 1.0 - share], axis=1))
    program = compile_network(network_of(Reduce(Reduction.LOG_SUM_EXP, (0,)), [(2,)]), [x]).program
    (found,) = Emulator(program).run([x])
    assert np.max(np.abs(found)) < 2.0**-8


@settings(max_examples=25)
@given(reductions())
def test_oracle_emulator_and_netlist_agree(drawn: tuple[Layer, Shape]) -> None:
    layer, shape = drawn
    assert_exact(network_of(layer, [shape], formats={0: NARROW}), samples=4, netlist=math.prod(shape) <= 24)


@pytest.mark.parametrize("reduction", [Reduction.MEAN, Reduction.VARIANCE])
@pytest.mark.parametrize("count", [3, 7, 10])
def test_means_are_correctly_rounded(reduction: Reduction, count: int) -> None:
    result = FixedFormat(True, 14, 5, Rounding.TRN, Overflow.SAT)
    outcome = run(
        network_of(Reduce(reduction, (0,)), [(count, 4)], Settings({"result": result}), {0: NARROW}), samples=40
    )
    times = count if reduction is Reduction.MEAN else count * count
    whole = np.rint(outcome.real * times * 16).astype(np.int64)  # exactly representable
    np.testing.assert_array_equal(outcome.fixed * 32, whole * 2 // times)


@pytest.mark.parametrize("size", [2, 9])
@pytest.mark.parametrize("least", [False, True])
def test_the_first_of_several_extremes(least: bool, size: int) -> None:
    outcome = run(network_of(ArgMax(-1, least=least), [(20, size)], formats={0: FixedFormat(True, 2, 0)}), samples=30)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert len(np.unique(outcome.fixed)) >= min(size, 3)


def test_the_greater_of_two_takes_a_comparison_and_nothing_else() -> None:
    program = compile_network(network_of(ArgMax(-1), [(2,)], formats={0: NARROW})).program
    assert sum(isinstance(node.op, ops.Elementwise) for node in program.nodes) == 1


@pytest.mark.parametrize(
    "layer",
    [
        Reduce(Reduction.SUM, (2,)),
        Reduce(Reduction.SUM, (0, -2)),
        Reduce(Reduction.SUM, ()),
        ArgMax(2),
        CumulativeSum(-3),
    ],
    ids=str,
)
def test_refused(layer: Layer) -> None:
    with pytest.raises(UnsupportedError, match="layer 'layer'"):
        network_of(layer, [(2, 4)]).shapes()


def _networks() -> dict[str, Network]:
    layers: dict[str, Layer] = {str(r.value): Reduce(r, (1,)) for r in Reduction}
    layers |= {"first": ArgMax(1), "least": ArgMax(0, least=True), "cumulative": CumulativeSum(1)}
    return {name: network_of(layer, [(2, 3)], formats={0: NARROW}) for name, layer in layers.items()}


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(_networks(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mean", "deviation", "logsumexp", "prod", "first", "cumulative"])
def test_simulated(name: str, tmp_path: Path) -> None:
    assert_simulated(_networks()[name], tmp_path)
