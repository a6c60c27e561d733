"""Random formulas, their ranges, and their values by sympy in 30 digits."""

from __future__ import annotations

import random
from typing import Any

import mpmath
import numpy as np
import sympy

from bitsmith.layers.layer import Floats

Ranges = dict[str, tuple[float, float]]

SYMBOLS = [sympy.Symbol(f"x{number}", real=True) for number in range(3)]
_OF_ONE = [
    sympy.sin,
    sympy.cos,
    sympy.tanh,
    sympy.Abs,
    sympy.atan,
    sympy.sinh,
    sympy.cosh,
    sympy.asinh,
    sympy.erf,
    sympy.sign,
    sympy.floor,
    sympy.exp,
    lambda x: sympy.exp(sympy.sin(x)),
    lambda x: sympy.exp(-(x**2)),
    lambda x: sympy.log(sympy.Abs(x) + 0.3),
    lambda x: sympy.sqrt(x**2 + 0.1),
    lambda x: sympy.sqrt(sympy.Abs(x)),
    lambda x: sympy.tan(sympy.tanh(x)),
    lambda x: sympy.asin(sympy.sin(x)),
    lambda x: sympy.acos(sympy.tanh(x)),
    lambda x: sympy.acosh(1 + x**2),
    lambda x: sympy.atanh(sympy.tanh(x) / 2),
    lambda x: x**2,
    lambda x: x**3,
    lambda x: 1 / (x**2 + 0.2),
    lambda x: sympy.Abs(x) ** sympy.Rational(1, 3),
]
_OF_TWO = [
    *[lambda x, y: x + y] * 3,
    *[lambda x, y: x - y] * 2,
    *[lambda x, y: x * y] * 4,
    *[lambda x, y: x / (1 + sympy.Abs(y))] * 2,
    sympy.Max,
    sympy.Min,
    lambda x, y: sympy.Piecewise((x, x > y), (x * y, True)),
    lambda x, y: sympy.atan2(x, 1 + y**2),
    lambda x, y: (sympy.Abs(x) + 0.1) ** sympy.tanh(y),
]


def drawn(seed: int, depth: int = 3) -> tuple[Any, Ranges]:
    """A formula with one input at least, and ranges of its inputs."""
    rng = random.Random(seed)
    while True:
        formula = _formula(rng, depth)
        names = sorted(map(str, formula.free_symbols))
        if names and formula.is_real is not False:
            break
    starts = {name: rng.choice([0.0, 0.5, -1.0, -3.0, 1.0, 0.1, -0.25]) for name in names}
    return formula, {name: (start, start + rng.choice([0.5, 1, 2, 4])) for name, start in starts.items()}


def _formula(rng: random.Random, depth: int) -> Any:
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(SYMBOLS) if rng.random() < 0.7 else sympy.Float(round(rng.uniform(-4, 4), 3))
    if rng.random() < 0.45:
        return rng.choice(_OF_ONE)(_formula(rng, depth - 1))
    return rng.choice(_OF_TWO)(_formula(rng, depth - 1), _formula(rng, depth - 1))


def points(ranges: Ranges, seed: int, count: int) -> Floats:
    """Inputs within ranges, a tenth of them at ends."""
    rng = np.random.default_rng(seed)
    least, most = (np.array([ends[end] for ends in ranges.values()]) for end in (0, 1))
    x = rng.uniform(least, most, (count, len(ranges)))
    x[: count // 10] = np.where(rng.random((count // 10, len(ranges))) < 0.5, least, most)
    return x


def exactly(formula: Any, names: list[str], x: Floats) -> Floats:
    """Values of a formula, computed in 30 digits."""
    function = sympy.lambdify([sympy.Symbol(name, real=True) for name in names], formula, modules="mpmath")
    with mpmath.workdps(30):
        return np.array([float(mpmath.re(function(*map(mpmath.mpf, sample)))) for sample in x.tolist()])
