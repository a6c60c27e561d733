"""What layers say of their results where operands are known to be within boxes, judged by their float references."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.layers.elementwise import Absolute, Sign, Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.enclosure import BOXES, Enclosure, boxes
from bitsmith.layers.example import Example
from bitsmith.layers.power import Logarithm, Power
from bitsmith.layers.reduction import Reduce, Reduction
from tests.layers.test_traits import CLASSES, examples

BATCH = 400
_CASES = [
    *(example for layer in CLASSES for example in examples(layer)),
    *(Example(Power(float(exponent)), ((2,),)) for exponent in range(5)),
    *(Example(Reduce(reduction, (0, 2)), ((3, 2, 2),)) for reduction in Reduction),
]


def _enclosures(example: Example, rng: np.random.Generator) -> list[Enclosure]:
    made = []
    for shape in example.shapes:
        least = rng.choice([0.25, 1.0, -3.0, -0.5], (BATCH, *shape)) * rng.uniform(0.5, 1.0, (BATCH, *shape))
        width, error = (rng.choice([0.0, 0.01, 2.0], least.shape) * rng.random(least.shape) for _ in range(2))
        made.append(Enclosure(least, least + width, 0.1 * error))
    return made


@pytest.mark.parametrize("anywhere", [False, True])
@pytest.mark.parametrize("number", range(len(_CASES)))
def test_results_and_their_errors_are_within_enclosures(number: int, anywhere: bool) -> None:
    example, rng = _CASES[number], np.random.default_rng(number)
    if not example.shapes:
        return
    operands = _enclosures(example, rng)
    with np.errstate(all="ignore"):
        found = example.layer.enclosed(operands, anywhere=anywhere)
        if found is None:
            return
        for _ in range(20):
            # Ends are where most is reached.
            shares = [rng.choice([0.0, 1.0, 0.5], x.least.shape) for x in operands]
            exact = [x.least + share * (x.most - x.least) for share, x in zip(shares, operands, strict=True)]
            moved = [
                x + rng.choice([-1.0, 0.5, 1.0], x.shape) * each.error for x, each in zip(exact, operands, strict=True)
            ]
            value, other = example.layer.reference(exact), example.layer.reference(moved)
            known = np.isfinite(value) & np.isfinite(other) & np.isfinite(found.error)
            slack = 1e-9 * (1.0 + np.abs(value))
            inside = (found.least - slack <= value) & (value <= found.most + slack)
            assert (inside | ~known).all()
            near = np.abs(other - value) <= found.error + slack
            decided = found.least == found.most if example.layer.jumps and not anywhere else True
            assert (near | ~known | ~np.asarray(decided)).all()


TURNING = [
    Sinusoid(Wave.SIN),
    Sinusoid(Wave.COS),
    Sign(),
    WholeNumber(Whole.FLOOR),
    Power(-2.0),
    Power(0.5),
    Logarithm(),
]


@pytest.mark.parametrize("layer", TURNING, ids=lambda layer: layer.kind)
def test_functions_rise_or_fall_between_the_places_where_they_turn(layer: Sinusoid | Power) -> None:
    for least, most in ((-7.0, 9.0), (0.1, 0.2), (1.0, 30.0)):
        turns = [turn for turn in layer.turning(least, most) or () if least < turn < most]
        for low, high in zip([least, *turns], [*turns, most], strict=True):
            with np.errstate(all="ignore"):
                steps = np.diff(layer.reference([np.linspace(low, high, 2001)[1:-1]]))
            steps = steps[np.isfinite(steps)]
            assert (steps >= -1e-12).all() or (steps <= 1e-12).all()
    assert Sinusoid(Wave.SIN).turning(0.0, 1e9) is None
    assert Absolute().turning(0.0, 1.0) is None


def test_boxes_cover_all_between_the_ends() -> None:
    for size in (1, 2, 3, 20):
        ends = np.sort(np.random.default_rng(size).normal(size=(2, size)), axis=0)
        low, high = boxes([*ends])
        assert 1 <= len(low) <= BOXES
        np.testing.assert_array_equal([low.min(axis=0), high.max(axis=0)], ends)
        np.testing.assert_allclose(np.prod(high - low, axis=1).sum(), np.prod(ends[1] - ends[0]), rtol=1e-6)
