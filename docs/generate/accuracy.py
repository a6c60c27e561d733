"""Measures how far layers of default settings are from the real functions, and writes the documentation page of it.

``make docs`` renews the page; a test keeps it and the code equal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation
from bitsmith.layers.elementwise import Sinusoid, Wave
from bitsmith.layers.functions import FUNCTIONS
from bitsmith.layers.input import DEFAULT_INPUT, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.power import Divide, Logarithm, Power
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from bitsmith.layers.settings import Settings
from bitsmith.layers.softmax import Softmax

SAMPLES = 4000
"""Drawn samples of a layer that works on vectors."""

_SMALL = FixedFormat(True, 16, 12, Rounding.RND, Overflow.SAT)
"""Inputs of functions that grow too fast for the usual range."""

_POSITIVE = FixedFormat(False, 16, 10, Rounding.RND, Overflow.SAT)
_FAST = frozenset({"cosh", "exponential", "exp2", "expm1", "sinh"})


@dataclass(frozen=True, slots=True)
class Case:
    """A layer, called ``name`` on the page, on ``operands`` inputs of a shape and format.

    Inputs of shape (1,) take every value of the format; others are normal numbers of many magnitudes.
    """

    name: str
    layer: Layer
    shape: Shape = (1,)
    source: FixedFormat = DEFAULT_INPUT
    operands: int = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """What a case gives: the result's type and the distances from the real function, as values."""

    result: str
    step: float
    most: float
    mean: float


def _functions() -> list[Case]:
    cases = [
        Case(name, Activation(name), source=_SMALL if name in _FAST else DEFAULT_INPUT) for name in sorted(FUNCTIONS)
    ]
    cases.append(Case("hard_sigmoid", HardActivation(1.0 / 6.0, 0.5, 0.0, 1.0)))
    for exponent, name in ((2.0, "square"), (3.0, "x**3")):
        cases.append(Case(name, Power(exponent)))
    for exponent, name in ((0.5, "sqrt"), (-0.5, "1 / sqrt"), (1 / 3, "cube root"), (1.5, "x**1.5"), (0.7, "x**0.7")):
        cases.append(Case(name, Power(exponent), source=_POSITIVE))
    cases += [Case("1 / x", Power(-1.0)), Case("x / y", Divide(), (8,), operands=2)]
    for name, logarithm in (
        ("log", Logarithm()),
        ("log2", Logarithm(2.0)),
        ("log10", Logarithm(10.0)),
        ("log1p", Logarithm(offset=1)),
    ):
        cases.append(Case(name, logarithm, source=_POSITIVE))
    return [*cases, *(Case(wave.value, Sinusoid(wave)) for wave in Wave)]


def _vectors() -> list[Case]:
    one, zero = as_weights(1.0), as_weights(0.0)
    ones, zeros = as_weights(np.ones(32)), as_weights(np.zeros(32))
    cases = [Case(f"Softmax of {size}", Softmax(), (size,)) for size in (5, 10, 100)]
    cases += [
        Case("LayerNormalization of 64", LayerNormalization((-1,), one, zero, 1e-3), (64,)),
        Case("RMSNormalization of 64", RMSNormalization((-1,), one, 1e-6), (64,)),
        Case("GroupNormalization of 8 groups of 16 x 4", GroupNormalization(8, -1, ones, zeros, 1e-3), (16, 32)),
        Case("UnitNormalization of 64", UnitNormalization((-1,)), (64,)),
    ]
    reductions = (Reduction.MEAN, Reduction.VARIANCE, Reduction.DEVIATION, Reduction.NORM, Reduction.LOG_SUM_EXP)
    return [*cases, *(Case(f"{reduction.value} of 10", Reduce(reduction, (-1,)), (10,)) for reduction in reductions)]


CASES = (*_functions(), *_vectors())


def measure(case: Case) -> Measured:
    """Emulates the case's circuit and compares it with the definition in double precision; results that are no number
    (a logarithm of 0) are left out.
    """
    names = tuple(f"x{k}" for k in range(case.operands))
    inputs = tuple(NetworkNode(name, Input(case.shape), settings=Settings({"result": case.source})) for name in names)
    network = Network((*inputs, NetworkNode("layer", case.layer, names)), names, ("layer",))
    program = compile_network(network).program
    raws = _stimuli(case)
    (raw,) = Emulator(program).run_raw(raws)
    kind = program.nodes[program.outputs[0].node].type
    scale = np.exp2(-np.broadcast_to(kind.frac, kind.shape).astype(np.float64))
    real = case.layer.reference([np.ldexp(values.astype(np.float64), -case.source.frac) for values in raws])
    defined = np.isfinite(real)
    error = np.abs(raw.astype(np.float64) * scale - real)[defined]
    width, frac = kind.max_width, int(kind.frac.max())
    name = "fixed" if int(kind.lo.min()) < 0 else "ufixed"
    return Measured(f"{name}<{width},{width - frac}>", float(scale.max()), float(error.max()), float(error.mean()))


def _stimuli(case: Case) -> list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    if case.shape == (1,):
        return [np.arange(case.source.lo, case.source.hi + 1)[:, None]]
    rng = np.random.default_rng(0)
    batches = []
    for _ in range(case.operands):
        magnitude = np.exp2(rng.integers(-8, 5, (SAMPLES, *(1,) * len(case.shape))))
        real: Floats = rng.standard_normal((SAMPLES, *case.shape)) * magnitude
        batches.append(
            np.clip(np.rint(np.ldexp(real, case.source.frac)), case.source.lo, case.source.hi).astype(np.int64)
        )
    return batches


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([*_HEAD, *(_row(case, measure(case)) for case in CASES), ""])


def _row(case: Case, found: Measured) -> str:
    source = f"{case.source}".replace(",RND,SAT", "")
    return (
        f"| {case.name} | `{source}` | `{found.result}` | {found.most:.2g} | {found.mean:.2g} "
        f"| {found.most / found.step:.2f} | {found.mean / found.step:.2f} |"
    )


_HEAD = f"""\
# Accuracy

How far layers are from the real functions that they compute, with default settings: the distance between the circuit's result
and the definition in double precision, of the same fixed-point operands. Half a step is the least that any rounding can
promise; what is above it is the error of a table, a reciprocal or a root. Functions of one variable are measured at every value
of the input's format. Functions of vectors are measured on {SAMPLES:,} samples of normal numbers with standard deviations from
2**-8 to 2**4. Values for which the function is not defined (a logarithm of 0) are left out.

The result's format is the one of `auto` without calibration data: 16 bits for the largest magnitude that the float model shows
on generated inputs. To these come as many integer bits as the largest operand could need. A given `result` precision is reached
the same way: tables are sized from the proved range and the result's step, up to a relative accuracy of about 2**-24. Sums,
products and extremes are exact, and a mean is the exact quotient, rounded once.

Where a function is not defined, an operand counts as the nearest one for which it is: under a root a negative operand is 0,
under a reciprocal or a logarithm 0 is the least positive step of its type.

| function | input | result | largest error | mean error | largest, in steps | mean, in steps |
| --- | --- | --- | --- | --- | --- | --- |""".split("\n")


def main(arguments: Sequence[str]) -> None:
    """Write the page to the path that is the only argument."""
    Path(arguments[0]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
