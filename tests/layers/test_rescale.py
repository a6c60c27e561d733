"""Two roundings at once: each integer of the operand has the code that the two roundings define."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.rescale import Rescale
from bitsmith.layers.settings import Settings

_INT32 = (-(1 << 31), (1 << 31) - 1)


def _rescaled(x: int, mantissa: int, shift: int, low: int, high: int) -> int:
    """gemmlowp's definition."""
    product = (x * mantissa + (1 << 30)) >> 31
    half = 1 << shift >> 1
    code = product + half >> shift if product >= 0 else -(-product + half >> shift)
    return min(max(code, low), high)


@pytest.mark.parametrize("seed", range(12))
def test_each_integer_has_its_code(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = int(rng.integers(9, 17))
    mantissas = [int(m) for m in rng.integers(1 << 30, 1 << 31, 4)]
    shifts = [int(s) for s in rng.integers(0, bits - 2, 4)]
    low = -int(rng.choice([0, 5, 128]))
    high = int(rng.choice([1, 100, 127]))
    first = [Fraction(1 << 31, m) for m in mantissas]
    layer = Rescale(
        Quantizer.uniform(np.array(first, dtype=object), *_INT32, Rounding.RND, step=1.0),
        Quantizer.uniform([2.0**s for s in shifts], low, high, Rounding.RND_INF, step=1.0),
    )
    fmt = FixedFormat(True, bits, 0, Rounding.TRN, Overflow.SAT)
    nodes = (NetworkNode("x", Input((4,)), settings=Settings({"result": fmt})), NetworkNode("y", layer, ("x",)))
    program = compile_network(Network(nodes, ("x",), ("y",))).program
    x = np.arange(fmt.lo, fmt.hi + 1)
    (found,) = Emulator(program).run([np.repeat(x[:, None], 4, axis=1).astype(np.float64)])
    wanted = [[_rescaled(int(v), m, s, low, high) for m, s in zip(mantissas, shifts, strict=True)] for v in x]
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(layer.reference([np.repeat(x[:, None], 4, axis=1).astype(np.float64)]), wanted)
