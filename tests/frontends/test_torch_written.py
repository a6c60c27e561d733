"""PyTorch's tensors that are written after they were made, and at computed places, against PyTorch itself."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_samples import Of, assert_fixed_point, assert_same


def _masked(x: Tensor) -> list[Tensor]:
    """Assignments where a computed mask says."""
    y, rows, truths = x.clone(), x.clone(), x > 0.0
    y[y > 0.5] = -0.25
    y[:, 1][x[:, 0] < 0.0] = 1.5
    rows[x[..., 1] > 0.0] = torch.arange(5.0)
    truths[x > 0.5] = False
    return [y, rows, x * truths]


def _made(x: Tensor) -> list[Tensor]:
    """Tensors that are filled after they were made."""
    y, places, truths = x.new_empty(x.shape), torch.empty(4, 5), torch.empty_like(x, dtype=torch.bool)
    for k in range(3):
        y[:, k, :, 0:3] = x[:, 2 - k, :, 2:] * (k + 1.0)
        y[:, k, :, 3:] = x[:, k, :, :2]
    places[:, 0::2], places[:, 1::2] = torch.sin(torch.arange(4.0))[:, None], 0.5
    truths[:, :, 1:], truths[:, :, :1] = x[:, :, 1:] > 0.0, True
    return [y + places, x * truths]


@pytest.mark.parametrize("function", [_masked, _made])
def test_tensors_that_are_written_later(function: Callable[[Tensor], list[Tensor]]) -> None:
    assert_fixed_point(assert_same(Of(function), (3, 4, 5)))
