"""Arrays that users give: what is taken as which input, and what is said of those that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.emulate.batches import Arrays, checked_batches, float_batches
from bitsmith.errors import InputDataError

ONE, TWO = {"x": (3,)}, {"image": (2, 2), "scale": ()}
IMAGES, SCALES = np.zeros((5, 2, 2)), np.zeros(5)


@pytest.mark.parametrize("x", [np.zeros((4, 3)), [[0, 1, 2]] * 4, [np.zeros((4, 3))], {"x": [[True] * 3] * 4}])
def test_one_input(x: Arrays) -> None:
    (batch,) = checked_batches(ONE, x)
    assert batch.shape == (4, 3)


@pytest.mark.parametrize("x", [(IMAGES, SCALES), [IMAGES.tolist(), [0] * 5], {"scale": SCALES, "image": IMAGES}])
def test_several_inputs(x: Arrays) -> None:
    assert [batch.shape for batch in checked_batches(TWO, x)] == [(5, 2, 2), (5,)]


@pytest.mark.parametrize(
    ("shapes", "x"),
    [
        *((ONE, x) for x in (np.arange(3.0), np.arange(3), [0, 1, 2], (0, 1, 2), {"x": [0, 1, 2]})),
        (TWO, [np.zeros((2, 2)), 1.0]),
        (TWO, {"image": np.zeros((2, 2)), "scale": [1.0]}),
    ],
)
def test_a_sample_may_come_without_the_axis_of_samples(shapes: dict[str, tuple[int, ...]], x: Arrays) -> None:
    batches = checked_batches(shapes, x)
    assert [batch.shape for batch in batches] == [(1, *shape) for shape in shapes.values()]
    np.testing.assert_array_equal(batches[0].ravel(), np.arange(3) if shapes is ONE else np.zeros(4))


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (IMAGES, r"arrays for 1 inputs\s+accepted: one for each of 'image', 'scale'"),
        ({"image": IMAGES}, r"arrays for 'image'\s+accepted: 'image', 'scale'"),
        ([IMAGES, np.zeros((5, 1))], r"input 'scale': an array of shape \(5, 1\)\s+accepted: \(samples,\)"),
        ([np.zeros((5, 3)), SCALES], r"input 'image': an array of shape \(5, 3\)\s+accepted: \(samples, 2, 2\)"),
        ([IMAGES, SCALES.astype(str)], r"input 'scale': an array of <U32\s+accepted: float16"),
        ([IMAGES, SCALES.astype(complex)], r"input 'scale': an array of complex128"),
        (
            [IMAGES, np.array([0, 1, np.nan, np.inf, 0])],
            r"input 'scale': 2 of 5 values are NaN or infinite[\s\S]*nan_to_num",
        ),
        ([IMAGES, SCALES[:4]], r"different numbers of samples: 5 of 'image', 4 of 'scale'"),
        ([IMAGES, [[0, 1], [2]]], r"samples of different shapes(.|\n)*np\.concatenate"),
    ],
)
def test_what_does_not_fit(x: Arrays, found: str) -> None:
    with pytest.raises(InputDataError, match=found):
        float_batches(TWO, x)


@pytest.mark.parametrize("most", [3.5e38, 1e100, -1e200])
def test_numbers_beyond_single_precision_are_refused_by_name(most: float) -> None:
    with pytest.raises(InputDataError, match=r"input 'x': values up to .*e\+[\s\S]*up to 3.4e\+38"):
        float_batches(ONE, [[0.0, 1.0, most]])
