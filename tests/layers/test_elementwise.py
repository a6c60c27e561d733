"""Functions without tables, sines, comparisons and choices."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.elementwise import _INVERSE_TURN, Absolute, Sign, Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.layer import Layer
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Settings
from tests.layers.agreement import assert_compiled, assert_exact, assert_simulated
from tests.layers.lowered import network_of, run

NARROW = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
UNARY: list[Layer] = [Absolute(), Sign(), *map(WholeNumber, Whole), *map(Sinusoid, Wave)]


@pytest.mark.parametrize("layer", UNARY[:-2], ids=str)
@pytest.mark.parametrize("source", [NARROW, FixedFormat(False, 5, 1), FixedFormat(True, 5, -1)], ids=str)
def test_exact_functions(layer: Layer, source: FixedFormat) -> None:
    outcome = run(network_of(layer, [(3, 4)], formats={0: source}), samples=40)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


@pytest.mark.parametrize("wave", Wave)
@pytest.mark.parametrize("source", [NARROW, FixedFormat(True, 16, 12), FixedFormat(True, 40, 8)], ids=str)
def test_sines_near_and_far(wave: Wave, source: FixedFormat) -> None:
    outcome = run(network_of(Sinusoid(wave), [(8,)], formats={0: source}), samples=40)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < outcome.step
    fine = Settings({"result": FixedFormat(True, 22, 20, Rounding.RND, Overflow.SAT)})
    outcome = run(network_of(Sinusoid(wave), [(8,)], fine, {0: source}), samples=40)
    assert np.max(np.abs(outcome.fixed - outcome.real)) < 2 * outcome.step


def test_sine_of_an_absurd_range_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="at most 192"):
        run(network_of(Sinusoid(Wave.SIN), [(1,)], formats={0: FixedFormat(True, 250, 20)}))


@pytest.mark.parametrize("relation", Relation)
def test_comparisons(relation: Relation) -> None:
    formats = {0: FixedFormat(True, 4, 1), 1: FixedFormat(False, 3, 2)}
    outcome = run(network_of(Comparison(relation), [(5, 4), (4,)], formats=formats), samples=40)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)
    assert 0.0 < outcome.fixed.mean() < 1.0


def test_where() -> None:
    formats = {0: FixedFormat(True, 2, 0), 1: NARROW, 2: FixedFormat(False, 5, 4)}
    outcome = run(network_of(Where(), [(3, 1), (3, 4), (4,)], formats=formats), samples=40)
    np.testing.assert_array_equal(outcome.fixed, outcome.real)


def _networks() -> dict[str, Network]:
    networks = {f"unary{k}": network_of(layer, [(3,)], formats={0: NARROW}) for k, layer in enumerate(UNARY)}
    networks["compare"] = network_of(Comparison(Relation.LE), [(3,), (3,)], formats={0: NARROW, 1: NARROW})
    networks["where"] = network_of(
        Where(), [(3,), (3,), (3,)], formats={0: FixedFormat(True, 2, 0), 1: NARROW, 2: NARROW}
    )
    return networks


@pytest.mark.parametrize("name", sorted(_networks()))
def test_oracle_emulator_and_netlist_agree(name: str) -> None:
    assert_exact(_networks()[name])


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    assert_compiled(_networks(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unary3", "unary7", "where"])
def test_simulated(name: str, tmp_path: Path) -> None:
    assert_simulated(_networks()[name], tmp_path)


def test_a_turn_is_two_pi() -> None:
    """The constant of 192 bits, by Machin's formula: pi / 4 = 4 arctan(1 / 5) - arctan(1 / 239)."""
    one = 1 << 300

    def arctan_of_inverse(n: int) -> int:
        terms = [(-1) ** k * (one // n ** (2 * k + 1)) // (2 * k + 1) for k in range(140)]
        return sum(terms)

    pi = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))
    assert (one << 192) // (2 * pi) == _INVERSE_TURN
    assert math.isclose(_INVERSE_TURN / 2.0**192, 1.0 / (2.0 * math.pi))
