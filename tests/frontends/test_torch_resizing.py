"""The elements that PyTorch's "nearest-exact" takes, for all small lengths; bicubic and antialiased images."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.read import read_model
from bitsmith.frontends.torch.spatial import exact_places
from bitsmith.layers.shape import Gather

FACTORS = (0.33, 0.5, 0.61, 0.7, 0.9, 1.1, 1.25, 1.3, 1.5, 1.7, 2.0, 2.5, 3.3)


def line(old: int) -> torch.Tensor:
    return torch.arange(old).float()[None, None]


def test_by_lengths() -> None:
    for old in range(1, 41):
        for new in range(1, 41):
            wanted = interpolate(line(old), size=new, mode="nearest-exact").numpy()
            assert np.array_equal(exact_places(old, new, None), wanted.ravel()), (old, new)


def test_by_factors() -> None:
    for old in range(4, 41):
        for factor in FACTORS:
            wanted = interpolate(line(old), scale_factor=factor, mode="nearest-exact").numpy().ravel()
            assert np.array_equal(exact_places(old, wanted.size, Fraction(factor)), wanted), (old, factor)


def test_a_network_where_single_precision_is_noticed() -> None:
    old, new = next((old, new) for old in range(1, 41) for new in range(1, 41) if noticed(old, new))
    module = nn.Upsample(size=(3, new), mode="nearest-exact")
    x = np.random.default_rng(1).normal(size=(2, 2, 3, old))
    network = read_model(module, ReadOptions(input_shape=(2, 3, old)))
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(network.evaluate([x])[network.outputs[0]], wanted)
    gathers = [node.name for node in network.nodes if isinstance(node.layer, Gather)]
    assert gathers == ["upsample_axis0", "upsample"], "the last one has the name of the whole"


@pytest.mark.parametrize(("mode", "antialias"), [("bicubic", False), ("bicubic", True), ("bilinear", True)])
def test_cubic_and_antialiased_images(mode: str, antialias: bool) -> None:
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 2, 5, 4)))
    options: list[dict[str, Any]] = [{"size": size} for size in ((7, 9), (3, 2), (5, 13), (1, 1), (5, 4))]
    options += [{"scale_factor": factor} for factor in (2, 1.3, (1.1, 0.7), 1.1, 0.5)]
    options += [] if antialias else [{"size": (7, 3), "align_corners": True}, {"size": (1, 6), "align_corners": True}]

    class Resized(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(interpolate(x, mode=mode, antialias=antialias, **one) for one in options)

    network = read_model(Resized(), ReadOptions(input_shape=(2, 5, 4)))
    values = network.evaluate([x.numpy()])
    for name, wanted in zip(network.outputs, Resized()(x), strict=True):
        np.testing.assert_allclose(values[name], wanted.numpy(), rtol=0.0, atol=1e-9)


def noticed(old: int, new: int) -> bool:
    """True if the centers lie elsewhere in exact arithmetic."""
    exact = [min((2 * place + 1) * old // (2 * new), old - 1) for place in range(new)]
    return exact_places(old, new, None).tolist() != exact
