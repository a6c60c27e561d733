"""Sizes that PyTorch programs compute from the number of samples, and numbers of other types than their tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_samples import assert_same


@pytest.mark.parametrize(
    "count",
    [lambda n: n * 6 // 2, lambda n: n * 3, lambda n: n + n + n, lambda n: 5 * n - 2 * n],
    ids=["quotient", "product", "sum", "difference"],
)
def test_sizes_are_computed_from_the_number_of_samples(count: Callable[[int], int]) -> None:
    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x.reshape(count(len(x)), 2) * 2.0).reshape(len(x), 6)

    assert_same(Counting(), (6,))


def test_a_fraction_in_place_of_a_masked_whole_number_is_cut_off() -> None:
    class Filling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.to(torch.int32).masked_fill(x > 0.5, 2.75) * 0.5

    network = assert_same(Filling(), (6,))
    found = network.evaluate([np.array([[-3.0, -0.5, 0.0, 0.75, 1.0, 3.0]])])
    assert found[network.outputs[0]].tolist() == [[-1.5, 0.0, 0.0, 1.0, 1.0, 1.0]]
