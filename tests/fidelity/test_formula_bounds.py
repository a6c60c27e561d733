"""Bounds of formulas whose inputs have coarse formats: no error is beyond them, and they are hardly greater than the worst."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.fidelity.bounds import _levels, _most_within
from bitsmith.layers.layer import Floats

FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "exp(x0)": np.exp,
    "tanh(3*x0)": lambda x: np.tanh(3 * x),
    "x0**2": lambda x: x * x,
    "1/(x0 + 3)": lambda x: 1 / (x + 3),
    "sin(2*x0)": lambda x: np.sin(2 * x),
    "Abs(x0)": np.abs,
    "sqrt(x0 + 2)": lambda x: np.sqrt(x + 2),
}

LEAST, MOST = -2.0, 2.0


def _worst_and_bound(text: str, function: Callable[[Floats], Floats], fmt: str, folder: Path) -> tuple[float, float]:
    x = np.linspace(LEAST, MOST, 4097)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of inputs in steps that are coarse on purpose
        config = {"LayerType": {"Input": {"Precision": {"result": fmt}}}}
        model = bitsmith.convert([text], folder, inputs={"x0": (LEAST, MOST)}, config=config)
        worst = np.abs(model.predict(x).ravel() - function(x).ravel()).max()
    found = model.fidelity.bounds
    assert not found or not found[0].jumps
    return float(worst), max(found[0].errors) if found else math.inf


@pytest.mark.parametrize("rounding", ["RND", "TRN"])
@pytest.mark.parametrize("text", FUNCTIONS)
def test_the_steps_of_inputs(text: str, rounding: str, tmp_path: Path) -> None:
    """By half a step or a whole one, on either side."""
    worst, bound = _worst_and_bound(text, FUNCTIONS[text], f"fixed<6,3,{rounding},SAT>", tmp_path)
    assert worst <= bound * (1 + 1e-12) and bound < 1.15 * worst + (rounding == "TRN") * 0.07


@pytest.mark.filterwarnings("ignore")  # of inputs in steps that are coarse on purpose
def test_an_operand_of_which_nothing_is_known_reaches_all_of_its_format(tmp_path: Path) -> None:
    """Its divisor may be 0 in the circuit, whose results are no nearer to the formula's than what limits them says."""
    config = {"LayerType": {"Input": {"Precision": {"result": "fixed<4,4,TRN,SAT>"}}}}
    model = bitsmith.convert(["Min(5, 0.1/(x0**2 + 1))"], tmp_path, inputs={"x0": (-1.0, -0.99)}, config=config, bits=8)
    x = np.linspace(-1.0, -0.99, 257)[:, None]
    (found,) = model.fidelity.bounds
    assert np.abs(model.predict(x).ravel() - 0.1 / (x.ravel() ** 2 + 1)).max() <= found.errors[0] < math.inf


def test_a_constant_beside_a_formula(tmp_path: Path) -> None:
    model = bitsmith.convert(["x0*x1", "cos(0.5*Abs(0.1))"], tmp_path, inputs={"x0": (-1.0, 1.0), "x1": (0.0, 1.0)})
    (found,) = model.fidelity.bounds
    x = np.random.default_rng(0).uniform(0.0, 1.0, (500, 2))
    wanted = np.stack([x[:, 0] * x[:, 1], np.full(500, np.cos(0.05))], axis=1)
    assert np.all(np.abs(model.predict(x) - wanted).max(axis=0) <= found.errors)


COMPOSED: dict[str, Callable[[Floats], Floats]] = {
    "tanh(exp(x0) - 1)": lambda x: np.tanh(np.exp(x) - 1),
    "exp(x0)*sin(2*x0)": lambda x: np.exp(x) * np.sin(2 * x),
    "sqrt(x0**2 + 1)": lambda x: np.sqrt(x * x + 1),
    "sin(x0**2) - exp(-x0)": lambda x: np.sin(x * x) - np.exp(-x),
    "Abs(x0 - 1/2)*x0": lambda x: np.abs(x - 0.5) * x,
}


@pytest.mark.parametrize("text", COMPOSED)
def test_the_steps_of_inputs_of_several_layers(text: str, tmp_path: Path) -> None:
    """Where errors of operands are larger at some places than at others."""
    worst, bound = _worst_and_bound(text, COMPOSED[text], "fixed<7,3,RND,SAT>", tmp_path)
    assert worst <= bound * (1 + 1e-12) and bound < 8.0 * worst


@pytest.mark.parametrize(
    ("fmt", "bound"),
    [
        ("fixed<6,3,RND,SAT_SYM>", 0.0625),
        ("fixed<7,3,TRN,WRAP>", 0.0625),
        ("fixed<6,2,TRN,WRAP>", math.inf),
        ("fixed<6,2,RND,SAT_ZERO>", math.inf),
    ],
)
def test_what_formats_of_inputs_have_no_room_for(fmt: str, bound: float, tmp_path: Path) -> None:
    worst, found = _worst_and_bound("2*x0", lambda x: 2 * x, fmt, tmp_path)
    assert found == pytest.approx(2 * bound)
    assert worst == pytest.approx(found, rel=0.02) or worst < found == math.inf


@pytest.mark.parametrize("fmt", [f"fixed<6,2,{modes}>" for modes in ("RND,SAT", "TRN,SAT", "RND,SAT_SYM")])
def test_inputs_that_saturate_by_a_step(fmt: str, tmp_path: Path) -> None:
    worst, found = _worst_and_bound("2*x0", lambda x: 2 * x, fmt, tmp_path)
    assert worst == pytest.approx(0.125, rel=0.02) and worst <= found < 4.0 * worst


@pytest.mark.parametrize("fmt", ["fixed<8,1,RND,SAT>", "ufixed<8,2,RND,SAT>"])
def test_inputs_that_saturate_by_far(fmt: str, tmp_path: Path) -> None:
    worst, found = _worst_and_bound("2*x0", lambda x: 2 * x, fmt, tmp_path)
    assert 1.0 < worst <= found < 4.0 * worst


def test_layers_that_jump_are_named_with_how_near_that_is(tmp_path: Path) -> None:
    """By half a step of the input, times three; further away the bound is that of a formula without a jump."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = {"LayerType": {"Input": {"Precision": {"result": "fixed<6,3,RND,SAT>"}}}}
        model = bitsmith.convert(["floor(3*x0)"], tmp_path, inputs={"x0": (LEAST, MOST)}, config=config)
        x = np.linspace(LEAST, MOST, 4097)[:, None]
        off = np.abs(model.predict(x).ravel() - np.floor(3 * x).ravel())
    (bound,) = model.fidelity.bounds
    ((_, margin),) = bound.jumps
    assert margin == pytest.approx(0.1875)
    near = np.abs(3 * x - np.rint(3 * x)).ravel() <= margin
    assert off[~near].max() <= bound.errors[0] < 0.01 and off[near].max() == 1.0 <= bound.jumping[0] < 1.01


@pytest.mark.parametrize("count", [1, 2, 17, 300])
def test_the_greatest_within_any_stretch(count: int) -> None:
    """Of stretches of all lengths at once: of all values in them, and of no other but an eighth of the length beside them."""
    rng = np.random.default_rng(count)
    values, firsts = rng.uniform(0.0, 1.0, count), np.arange(float(count))
    lasts = firsts + 0.5
    least = rng.uniform(-2.0, count + 2.0, 400)
    most = least + np.concatenate([rng.uniform(0.0, 3.0, 200), rng.uniform(0.0, count, 200)])
    found = _most_within(values, firsts, lasts, least, most)
    for number, (lo, hi) in enumerate(zip(least.tolist(), most.tolist(), strict=True)):
        here = np.flatnonzero((lasts >= lo) & (firsts <= hi))
        if len(here):
            beside = 2 + len(here) // 8
            assert values[here].max() <= found[number]
            assert found[number] <= values[max(here[0] - beside, 0) : here[-1] + 1 + beside].max()


@pytest.mark.parametrize("few", [False, True])
def test_errors_are_told_apart_by_factors(few: bool) -> None:
    """Each has one level, which is no less than it, and less than four or sixteen times that unless it is tiny."""
    error = np.random.default_rng(0).uniform(0.5, 1.0, 300) * 2.0 ** -(np.arange(300.0) % 37)
    levels = _levels(error, few=few)
    assert sum(here.astype(int) for _, here in levels).tolist() == [1] * 300  # type: ignore[union-attr]
    for level, here in levels:
        assert (error[here] <= level).all() and ((error[here] >= level / (32 if few else 4)).all() or level < 2.0**-20)
    assert [level for level, _ in _levels(np.zeros(3), few=few)] == [0.0]
    assert [level for level, _ in _levels(np.array([1.0, np.inf]), few=few)] == [np.inf]
