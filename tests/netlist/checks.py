"""What holds of every netlist and schedule, and small programs to try them on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Ints, Overflow, Rounding
from bitsmith.netlist import native
from tests.ir.oracle import evaluate as oracle

compiled = pytest.mark.skipif(native.SOLVE is None, reason="the solver was not compiled: its circuits are smaller")
"""Tests of exact sizes, which the naive solver does not reach."""


class SteadyDelays:
    """Delays of round numbers."""

    sums_choose = False
    tables_of_bits = range(6, 8)

    def adder(self, width: int) -> float:
        return 1.0 + 0.03 * width

    def ternary_adder(self, width: int) -> float | None:
        return None

    def comparator(self, width: int) -> float:
        return 1.0 + 0.03 * width

    def threshold(self, width: int, lut_inputs: int) -> float:
        return self.comparator(width)

    def mux2(self, width: int) -> float:
        return 0.75

    def table(self, address_bits: int) -> float:
        return 0.5 + 0.5 * max(address_bits - 4, 0)

    def table_registers(self, address_bits: int, width: int, budget_ns: float) -> int:
        return 2 if width << address_bits > 1024 else 0

    def multiplier(self, a: int, b: int) -> float:
        return 1.5 + 0.05 * (a + b)

    def staged_multiplier(self, a: int, b: int) -> tuple[int, float]:
        return (2, 1.25) if max(a, b) <= 16 else (0, self.multiplier(a, b))


class TernaryDelays(SteadyDelays):
    """Delays of a family with sums of three."""

    def ternary_adder(self, width: int) -> float | None:
        return 1.5 + 0.03 * width


def dense_program(
    sizes: Sequence[int],
    weight_bits: int,
    activation_bits: int,
    zeros: float,
    seed: int = 0,
    modes: tuple[Rounding, Overflow] = (Rounding.RND, Overflow.SAT),
) -> Program:
    """A perceptron with rectifiers; weights are random, a share of them ``zeros``."""
    rng = np.random.default_rng(seed)
    build = ProgramBuilder()
    x = build.input("x", (sizes[0],), FixedFormat(True, activation_bits, activation_bits - 2))
    for k, (n, m) in enumerate(pairwise(sizes)):
        with build.layer(f"dense_{k}"):
            weights = rng.integers(-(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1), (n, m))
            weights[rng.random((n, m)) < zeros] = 0
            x = build.linear(x, weights, weight_bits - 1)
            x = build.add(x, build.const(rng.integers(-(2**weight_bits), 2**weight_bits, m), weight_bits))
        if k < len(sizes) - 2:
            with build.layer(f"relu_{k}"):
                x = build.max(x, build.const(0))
                x = build.cast(x, FixedFormat(False, activation_bits, activation_bits - 3, *modes))
    return build.program([("y", x)])


def expected(program: Program, stimuli: Sequence[Ints], sample: int) -> list[int]:
    """All output elements of one sample, by the oracle."""
    outputs = oracle(program, [np.asarray(x[sample], dtype=np.object_) for x in stimuli])
    return [int(v) for output in outputs for v in np.asarray(output).reshape(-1)]


def flat_inputs(stimuli: Sequence[Ints], sample: int) -> list[int]:
    """All input elements of one sample."""
    return [int(v) for x in stimuli for v in np.asarray(x[sample], dtype=np.object_).reshape(-1)]
