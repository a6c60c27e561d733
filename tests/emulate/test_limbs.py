"""Limb arithmetic against Python integers."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from bitsmith.emulate import Emulator, limbs
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, Rounding
from tests.ir import oracle


def numbers(rng: random.Random, bits: int, count: int = 40) -> np.ndarray:
    """Integers of up to ``bits`` bits, extremes and near powers of two included."""
    edges = [0, 1, -1, (1 << bits) - 1, -((1 << bits) - 1)]
    powers = [rng.choice((-1, 1)) * ((1 << rng.randrange(bits)) + rng.choice((-1, 0, 1))) for _ in range(count)]
    fits = [n for n in powers if abs(n) < 1 << bits]
    rest = [rng.randint(-(1 << bits) + 1, (1 << bits) - 1) for _ in range(count)]
    return np.array((edges + fits + rest)[:count], dtype=object)


def held(values: np.ndarray) -> int:
    """Limbs that hold all of ``values``."""
    return limbs.limbs_for(max(abs(int(v)).bit_length() for v in values.ravel()))


def check(result: limbs.Limbs, expected: np.ndarray) -> None:
    assert limbs.to_objects(result).tolist() == np.asarray(expected, dtype=object).tolist()
    for part in result[:-1]:
        assert part.min() >= 0 and part.max() <= limbs.MASK


@pytest.mark.parametrize("seed", range(12))
def test_arithmetic(seed: int) -> None:
    rng = random.Random(seed)
    x, y = numbers(rng, rng.choice((5, 61, 70, 130))), numbers(rng, rng.choice((3, 31, 62, 93, 200)))
    a, b = limbs.from_objects(x, held(x)), limbs.from_objects(y, held(y))
    check(a, x)
    check(limbs.resize(a, 5), x)
    count = max(len(a), len(b), held(abs(x) + abs(y)))
    check(limbs.add(a, b, count), x + y)
    check(limbs.subtract(a, b, count), x - y)
    check(limbs.negate(a), -x)
    check(limbs.multiply(a, b, held(x * y)), x * y)
    check(limbs.maximum(a, b), np.maximum(x, y))
    check(limbs.minimum(a, b), np.minimum(x, y))
    assert limbs.less(a, b).tolist() == (x < y).tolist()
    assert limbs.equal(a, a).all()
    assert limbs.equal(a, b).tolist() == (x == y).tolist()
    wide = abs(x).sum()
    check(
        limbs.total(limbs.from_objects(x.reshape(4, 10), held(x)), (0,), held(np.array([wide]))),
        x.reshape(4, 10).sum(0),
    )
    check(limbs.greatest(limbs.from_objects(x.reshape(10, 4), held(x)), 0), x.reshape(10, 4).max(0))


@pytest.mark.parametrize("bits", [1, 29, 30, 31, 60, 61, 119])
def test_limbs_that_only_repeat_signs_are_left_out(bits: int) -> None:
    rng = random.Random(bits)
    for x in (numbers(rng, bits), abs(numbers(rng, bits)), np.array([-(1 << bits), 0], dtype=object)):
        few = limbs.narrowed(limbs.from_objects(x, 5))
        check(few, x)
        assert len(few) == -(-bits // limbs.BITS)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("bits", [4, 40, 62, 63, 92, 93, 150])
def test_shifts_and_rounding(rounding: Rounding, bits: int) -> None:
    rng = random.Random(bits)
    x = numbers(rng, bits)
    for drop in (0, 1, 2, 29, 30, 31, 45, 59, 60, 61, 62, 64, 90, 200, -1, -29, -30, -45, -70):
        expected = np.array(
            [oracle.round_to_integer(Fraction(int(v)) * Fraction(2) ** -drop, rounding) for v in x], dtype=object
        )
        drops = np.full(x.shape, drop, dtype=np.int64)
        check(limbs.round_shift(limbs.from_objects(x, held(x)), drops, rounding, held(expected)), expected)
    mixed = np.array([rng.randint(-3, 80) for _ in x], dtype=np.int64)
    expected = np.array(
        [
            oracle.round_to_integer(Fraction(int(v)) * Fraction(2) ** -int(d), rounding)
            for v, d in zip(x, mixed, strict=True)
        ],
        dtype=object,
    )
    check(
        limbs.round_shift(limbs.from_objects(x, held(x)), mixed, rounding, max(held(expected), held(x << 3))), expected
    )


@pytest.mark.parametrize("bits", [20, 61, 150])
def test_each_row_of_samples_is_shifted_by_its_own_amount(bits: int) -> None:
    x = numbers(random.Random(bits), bits)[:24].reshape(2, 4, 3)
    amounts = np.array([0, 31, -45, 31], dtype=np.int64)[:, None]
    expected = (x << np.maximum(amounts, 0).astype(object)) >> np.maximum(-amounts, 0).astype(object)
    check(limbs.shift(limbs.from_objects(x, held(x)), amounts, held(expected)), expected)


@pytest.mark.parametrize("bits", [20, 61, 80])
@pytest.mark.parametrize("span", [8, 13, 1 << 33, (1 << 65) + 1, 1 << 70])
def test_wrap(bits: int, span: int) -> None:
    x = numbers(random.Random(bits), bits)
    for lo in (0, -span // 2, 5):
        count = limbs.limbs_for(max(bits, span.bit_length()) + 2)
        wrap = limbs.wrapper(np.array([lo], dtype=object), np.array([span], dtype=object), count)
        check(wrap(limbs.from_objects(x, held(x))), (x - lo) % span + lo)


def test_floats() -> None:
    x = numbers(random.Random(1), 53)
    assert limbs.to_float(limbs.from_objects(x, 3)).tolist() == [float(v) for v in x]


def test_floats_are_rounded_once() -> None:
    """Not to 53 bits at every limb: ties that lower limbs break, and their neighbours."""
    rng = random.Random(2)
    ties = [
        ((2 * rng.getrandbits(52) + 1) << shift) + k for shift in (8, 40, 60) for k in (-1, 0, 1) for _ in range(20)
    ]
    x = np.array([*ties, *(-v for v in ties), *numbers(rng, 118)], dtype=object)
    assert limbs.to_float(limbs.from_objects(x, 4)).tolist() == [float(v) for v in x]


@pytest.mark.parametrize("width", [20, 60, 100])
@pytest.mark.parametrize("used", [9, 45, 99])
@pytest.mark.parametrize("batch", [1, 17])
def test_windows_by_wide_weights(width: int, used: int, batch: int) -> None:
    """Of numbers that have all bits of their type, and of those that have few."""
    rng, build, bits = random.Random(used), ProgramBuilder(), min(width - 1, used)
    x = build.input("x", (4, 3, 2), FixedFormat(True, width, 3))
    windows = build.reshape(build.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))), (4, 3, 18))
    weights = np.array([rng.getrandbits(40) - (1 << 39) for _ in range(54)], dtype=object).reshape(18, 3)
    program = build.program([("y", build.linear(windows, weights))])
    numbers = [rng.getrandbits(bits) - (rng.getrandbits(1) << bits) for _ in range(24 * batch)]
    raw = np.array(numbers, dtype=object).reshape(batch, 4, 3, 2)
    (found,) = Emulator(program).run_raw([raw])
    for k in {0, batch - 1}:
        assert found[k].tolist() == oracle.evaluate(program, [raw[k]])[0].tolist()
