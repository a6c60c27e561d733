"""Ladders give the codes that fractions do, and what is rounded keeps them."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.errors import ProgramError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ladders import Ladder, finer_by, kept_codes, stairs
from bitsmith.ir.rounding import rounded_exactly
from bitsmith.ir.text import parse, to_text
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.quantization.quantizer import Quantizer

_SCALES = (0.25, float(np.float32(0.1)), float(np.float32(-1 / 3)), 2.5, 1 / 3, -0.7)


def _beside_thresholds(scale: float, offset: float) -> np.ndarray:
    """Numbers on, next to and near all places where codes may change."""
    at = (np.arange(-24, 25) / 2.0 - offset) * scale
    return np.concatenate([at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), at + scale / 700, at - scale / 700])


def _ladder(rounding: Rounding, scale: float, offset: float, *ends: float) -> Ladder:
    return Ladder(rounding, *(np.asarray(each) for each in (scale, 1.0, 0.0, offset, *ends)))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scale", _SCALES)
@pytest.mark.parametrize("offset", [0.0, 3.0, -0.5])
def test_codes_are_those_of_fractions_and_neighbors_keep_them(rounding: Rounding, scale: float, offset: float) -> None:
    x = _beside_thresholds(scale, offset)
    exact = [rounded_exactly(Fraction(value) / Fraction(scale) + Fraction(offset), rounding) for value in x.tolist()]
    ladder = _ladder(rounding, scale, offset, -9.0, np.inf)
    np.testing.assert_array_equal(ladder.codes(x), np.maximum(exact, -9))
    step, frac = 2.0**-10, np.asarray(10)
    for raw in (np.floor(x / step), np.floor(x / step + 0.5)):
        kept = kept_codes([ladder], frac, x, raw)
        np.testing.assert_array_equal(ladder.codes(kept * step), ladder.codes(x))
        assert np.abs(kept - x / step).max() < 2.0


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("scale", [Fraction(1, 10), Fraction(-3, 7), Fraction(2**24, 2**23 + 5)])
def test_ladders_of_quantizers_are_as_exact_as_these(rounding: Rounding, scale: Fraction) -> None:
    """Steps that are no numbers of double precision, as of a factor that is one."""
    quantizer = Quantizer.uniform(np.array(scale, dtype=np.object_), -19, 20, rounding, offset=2.0)
    x = np.concatenate([_beside_thresholds(float(scale), 2.0), np.arange(-60, 60) / 20.0])
    np.testing.assert_array_equal(quantizer.ladder.codes(x), quantizer.codes(x))


def test_what_no_neighbor_keeps_stays_as_it_is_rounded() -> None:
    near = [_ladder(Rounding.TRN, 1.0, offset, -np.inf, np.inf) for offset in (0.0, -0.25)]
    x, raw = np.array([0.1, 1.1, 0.6]), np.array([0.0, 1.0, 1.0])
    np.testing.assert_array_equal(kept_codes(near, np.asarray(0), x, raw), raw)
    np.testing.assert_array_equal(kept_codes(near[:1], np.asarray(0), x, raw), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(kept_codes([], np.asarray(0), x, raw), raw)


@pytest.mark.parametrize("value", [1e39, -1e308, 5e-324])
def test_numbers_that_singles_lack_have_codes(value: float) -> None:
    ladder, x = _ladder(Rounding.RND_CONV, 0.1, 0.0, -8.0, 7.0), np.array([value])
    assert ladder.codes(x) == np.clip(np.sign(value) * (abs(value) > 1.0) * 100.0, -8.0, 7.0)
    assert kept_codes([ladder], np.asarray(8), x, x) == x


@pytest.mark.parametrize("width", [20, 60])
def test_inputs_keep_codes_and_texts_have_ladders(width: int) -> None:
    builder, scales = ProgramBuilder(), np.float64(np.float32([0.3, 0.7]))
    ladder = Ladder(Rounding.RND_CONV, scales, np.ones(()), *[np.zeros(())] * 2, *map(np.asarray, (-np.inf, np.inf)))
    x = builder.input("x", (2,), FixedFormat(True, width, 10, Rounding.RND, Overflow.SAT), ladders=(ladder, ladder))
    program = builder.program([("y", builder.neg(x))])
    read = parse(to_text(program))
    assert read == program and read.nodes[0].op == program.nodes[0].op
    ones = np.float32(np.stack([_beside_thresholds(scale, 0.0) for scale in scales], axis=-1))
    for batch in (ones, ones.astype(np.float64)):
        raw, outside = Emulator(read).quantize(0, batch)
        np.testing.assert_array_equal(ladder.codes(raw / 1024.0), ladder.codes(batch.astype(np.float64)))
        assert outside == 0
        np.testing.assert_array_equal(Emulator(read).run([batch[:1]])[0], -raw[:1] / 1024.0)


_GOOD = [[[], [number]] for number in ("0x1p-1", "0x1p+0", "0x0p+0", "0x0p+0", "-inf", "inf")]


@pytest.mark.parametrize(
    "ladders",
    [
        7,
        [[_GOOD], []],
        [[_GOOD], ["UP"]],
        [[_GOOD[:5]], ["RND"]],
        [[[[[], [0.5]], *_GOOD[1:]]], ["RND"]],
        [[[[[3], ["0x1p-1"]], *_GOOD[1:]]], ["RND"]],
        [[[[[10**12], ["0x1p-1"]], *_GOOD[1:]]], ["RND"]],
        [[[[[3], ["0x1p-1"] * 3], *_GOOD[1:]]], ["RND"]],
        [[[[[], ["nan"]], *_GOOD[1:]]], ["RND"]],
        [[[[[], ["0x0p+0"]], *_GOOD[1:]]], ["RND"]],
        [[[*_GOOD[:2], [[], ["inf"]], *_GOOD[3:]]], ["RND"]],
        [[[*_GOOD[:4], [[], ["nan"]], _GOOD[5]]], ["RND"]],
        [[[*_GOOD[:4], _GOOD[5], _GOOD[4]]], ["RND"]],
        [[[_GOOD[0], _GOOD[2], *_GOOD[2:]]], ["RND"]],
        [[_GOOD] * 5000, ["RND"] * 5000],
        {"a": 1},
    ],
)
def test_damaged_ladders_are_refused(ladders: object) -> None:
    modes = f"rounding=RND overflow=SAT ladders={json.dumps(json.dumps(ladders))}"
    with pytest.raises(ProgramError):
        parse(f"%0: = input name=x shape=(2) frac=4 lo=-128 hi=127 {modes}\noutput y %0\n")
    good = json.dumps(json.dumps([[_GOOD], ["RND"]]))
    assert parse(
        f"%0: = input name=x shape=(2) frac=4 lo=-128 hi=127 rounding=RND overflow=SAT ladders={good}\noutput y %0\n"
    )


@pytest.mark.parametrize("rounding", Rounding)
def test_numbers_of_several_codes_are_near_thresholds(rounding: Rounding) -> None:
    """Of many ladders each is asked about what may have other codes alone: never about too little."""
    random = np.random.default_rng(list(Rounding).index(rounding))
    shapes = [(), (3, 1)]
    for _ in range(40):
        parts = [random.choice([-1.0, 1.0]) * random.uniform(0.1, 2.0, shapes[random.integers(2)]) for _ in range(4)]
        ends = np.sort(random.integers(-4, 4, 2)).astype(float) if random.integers(2) else np.array([-np.inf, 2.0])
        ladder = Ladder(rounding, *parts, *map(np.asarray, ends))
        x = random.normal(0.0, 4.0, (50, 3, 4))
        other = x + random.normal(0.0, 10.0 ** -random.integers(1, 4), x.shape)
        near = ladder.near(np.minimum(x, other), np.maximum(x, other))
        assert not np.any((ladder.codes(x) != ladder.codes(other)) & ~near)
        np.testing.assert_array_equal(ladder.at(near).codes(x[near]), ladder.codes(x)[near])


def test_a_threshold_is_near_numbers_around_it() -> None:
    for ladder, threshold in zip(stairs(np.array([-0.3, 0.1, 1.7]), above=False), (-0.3, 0.1, 1.7), strict=True):
        low = np.array([threshold - 0.01, threshold, threshold - 0.01, threshold + 0.001])
        near = ladder.near(low, low + 0.005 * np.array([4, 0, 1, 9]))
        np.testing.assert_array_equal(near, [True, True, False, False])


def test_finer_steps_lie_between_thresholds_of_two_ladders() -> None:
    """Two quantizers, as of random networks: -9 steps of one are 0.0002 from half a step of the other."""
    ladders = _ladder(Rounding.TRN_ZERO, 0.0185, -2.0, -15.0, 15.0), _ladder(Rounding.RND_CONV, -1 / 3, 0.0, 0.0, 63.0)
    x = np.array([-0.16650064, -0.16659, -0.1666666])
    for frac, right in ((10, False), (10 + finer_by(ladders, 10, 32.0), True)):
        reals = np.ldexp(kept_codes(ladders, np.asarray(frac), x, np.rint(np.ldexp(x, frac))), -frac)
        assert all(np.array_equal(each.codes(reals), each.codes(x)) for each in ladders) is right
    assert finer_by(ladders, 20, 32.0) == 0
