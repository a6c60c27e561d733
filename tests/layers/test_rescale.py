"""Two roundings at once: each integer of the operand has the code that the two roundings define."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, TensorType
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.input import Input
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.multiplication import Steps
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.rescale import Rescale, _Stairs
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


def _lowered(layer: Rescale, x: TensorType) -> Program:
    builder = ProgramBuilder()
    source = builder.apply(ops.Input("x", x.shape, x.frac, x.lo, x.hi, Rounding.TRN, Overflow.SAT, ()))
    return builder.program(
        [("y", layer.lower(Lowering("y", builder, Settings(), ObservedRange(-1.0, 1.0), (), ()), [source]))]
    )


@pytest.mark.parametrize("seed", range(4))
def test_channels_in_steps_of_their_own_and_constant_ones_are_multiplied_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frac, lo, hi = np.array([0, -3, 0, -20]), np.array([-9000, -900, -50, 7]), np.array([9000, 1200, 60, 7])
    mantissas, shifts = rng.integers(1 << 30, 1 << 31, 4), np.array([7, 6, 2, 30])
    layer = Rescale(
        Quantizer.uniform(
            np.array([Fraction(1 << 31, int(m)) for m in mantissas], dtype=object), *_INT32, Rounding.RND, step=1.0
        ),
        Quantizer.uniform(2.0**shifts, 0, 127, Rounding.RND_INF, step=1.0),
    )
    raw = rng.integers(lo, hi, (500, 4), endpoint=True)
    program = _lowered(layer, TensorType.of((4,), frac, lo, hi))
    (found,) = Emulator(program).run([raw * 2.0**-frac])
    wanted = [
        [
            _rescaled(int(v) << -int(f), int(m), int(s), 0, 127)
            for v, f, m, s in zip(row, frac, mantissas, shifts, strict=True)
        ]
        for row in raw
    ]
    np.testing.assert_array_equal(found, wanted)
    assert sum(isinstance(node.op, ops.Mul) for node in program.nodes) == 1


def test_no_more_bits_are_multiplied_than_tell_codes_apart() -> None:
    layer = Rescale(
        Quantizer.uniform(Fraction(1 << 31, 0x5A5A5A5B), *_INT32, Rounding.RND, step=1.0),
        Quantizer.uniform(128.0, 0, 255, Rounding.RND_INF, step=1.0),
    )
    program = _lowered(layer, TensorType.of((1,), 0, -(1 << 20), 1 << 20))
    product = next(node for node in program.nodes if isinstance(node.op, ops.Mul))
    assert program.nodes[product.args[0]].type.max_width == 16  # 255 codes of 181 numbers each, none below 0
    raw = np.append(np.arange(-300, 50000), [-(1 << 20), 1 << 20])
    (found,) = Emulator(program).run([raw[:, None].astype(np.float64)])
    np.testing.assert_array_equal(found[:, 0], [_rescaled(int(v), 0x5A5A5A5B, 7, 0, 255) for v in raw])


def _terms_by_definition(of: _Stairs, factor: int, drop: int, least: int, most: int, terms: range) -> list[int]:
    """Those of ``terms`` with which every number has its code after one multiplication."""
    numbers = range(least, most + 1)
    codes = [of.code(x) for x in numbers]
    return [term for term in terms if [min(max(x * factor + term >> drop, of.lo), of.hi) for x in numbers] == codes]


@pytest.mark.parametrize("seed", range(3))
def test_the_range_of_terms_has_all_that_are_right(seed: int) -> None:
    """With any factor, also where there is no such term, and where codes are clipped at either end."""
    rng, right = np.random.default_rng(seed), 0
    for _ in range(60):
        least, most = sorted(int(number) for number in rng.integers(-9, 10, 2))
        power, drop = int(rng.integers(0, 3)), int(rng.integers(0, 5))
        factor, offset = Fraction(int(rng.integers(1, 40)), 16), Fraction(int(rng.integers(-8, 9)), 8)
        lo, hi = int(rng.choice([-100, -2, 0])), int(rng.choice([100, 3, 1]))
        of = _Stairs(factor, offset, power, -1000, 1000, lo, hi, least, most)
        codes = np.array(range(of.code(least) + 1, of.code(most) + 1), dtype=np.object_)
        near = max(int(factor / 2**power * 2**drop) + int(rng.integers(0, 2)), 1)
        terms = range(-300, 300)
        low, high = Steps.of(of, codes, of.starts(codes), least, most).terms(near, drop)
        found = [term for term in terms if low <= term <= high]
        assert found == _terms_by_definition(of, near, drop, least, most, terms), of
        right += bool(found)
    assert 20 < right < 60
