"""Layers that compare numbers with thresholds, whose claims are compared with their results."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.layers.comparing import Comparing
from bitsmith.layers.layer import Layer
from tests.layers.test_traits import CLASSES, instances, result


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_comparisons(layer: type[Layer]) -> None:
    """Results of one that compares change where a feature crosses an edge alone; others give no edges."""
    rng = np.random.default_rng(11)
    for instance, shapes in instances(layer):
        if not isinstance(instance, Comparing):
            resolution = instance.resolution(None)
            assert resolution is None or resolution.edges is None
            continue
        (shape,) = shapes
        scale, offset = 2.0 ** rng.integers(-2, 3, shape), rng.integers(-8, 9, shape) / 4
        before = instance.before_scales(lambda own, x, scale=scale, offset=offset: x * scale[own] + offset[own])
        if before is None:
            continue  # edges of sets are those of integers
        places = [np.concatenate([[-9.0], edges, [9.0]]) for edges in instance.edges()]
        lows = [rng.integers(len(own) - 1, size=200) for own in places]
        ends = [(own[low], own[low + 1]) for own, low in zip(places, lows, strict=True)]
        first, second = (
            np.stack([high + (low - high) * rng.integers(0, 4, 200) / 4 for low, high in ends], axis=-1) for _ in "ab"
        )
        plain = result(instance, [first])
        np.testing.assert_array_equal(plain, result(instance, [second]))
        np.testing.assert_array_equal(plain, result(before, [(first - offset) / scale]))
        for (own, raw), column in zip(instance.comparisons([2] * len(places), rounds=False), first.T, strict=True):
            codes = np.floor(column * 4)
            np.testing.assert_array_equal(np.searchsorted(raw, codes), np.searchsorted(own, codes / 4))
