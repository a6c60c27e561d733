"""Sizes that PyTorch programs compute from others: the number of samples is not known before they run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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
