"""Networks of PyTorch that choose elements by computed places: TabNet's sparse attention, and the best of several actions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_samples import assert_same, randomised

import bitsmith


def sparsemax(x: Tensor) -> Tensor:
    """The nearest probabilities (A. Martins, R. Astudillo, From softmax to sparsemax, ICML 2016)."""
    ordered, _ = torch.sort(x, descending=True, dim=-1)
    total, numbers = ordered.cumsum(-1), torch.arange(1, x.shape[-1] + 1)
    support = (1 + numbers * ordered > total).sum(-1, keepdim=True)
    threshold = (total.gather(-1, support - 1) - 1) / support
    return torch.clamp(x - threshold, min=0)


class TabNet(nn.Module):
    """Two decisions, each on features that sparse attention leaves; samples are normalized in parts of at most 64."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.inner, self.attentive = nn.BatchNorm1d(5), nn.BatchNorm1d(8), nn.BatchNorm1d(5)
        self.first, self.mask, self.out = nn.Linear(5, 8, bias=False), nn.Linear(4, 5), nn.Linear(4, 2)

    def features(self, x: Tensor) -> Tensor:
        parts = self.first(x).chunk(-(-x.shape[0] // 64), 0)
        return functional.glu(torch.cat([self.inner(part) for part in parts], 0))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        seen, prior, decided = self.features(x), torch.ones_like(x), torch.zeros(1)
        for _ in range(2):
            mask = sparsemax(self.attentive(self.mask(seen)) * prior)
            seen, prior = self.features(mask * x), prior * (1.3 - mask)
            decided = decided + torch.relu(seen)
        return self.out(decided)


class OnePart(nn.Module):
    """All samples as one part of them."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(x.chunk(1, 0), 0) + 1


class Best(nn.Module):
    """The value of the best action of each head, by the scores of others."""

    def __init__(self) -> None:
        super().__init__()
        self.scores, self.values = nn.Linear(6, 12), nn.Linear(6, 12)

    def forward(self, x: Tensor) -> Tensor:
        best = self.scores(x).view(-1, 3, 4).argmax(-1, keepdim=True)
        return self.values(x).view(-1, 3, 4).gather(-1, best).squeeze(-1)


class CodeBook(nn.Module):
    """The nearest of trained vectors for each step, by an index of the parameter itself; and those from its end."""

    def __init__(self) -> None:
        super().__init__()
        self.book = nn.Parameter(torch.randn(6, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        nearest = (x[:, :, None] - self.book).square().sum(-1).argmin(-1)
        return self.book[nearest] - x, self.book.view(6, 2, 2)[-nearest - 1]


def test_all_samples_as_one_part() -> None:
    assert_same(OnePart(), (3, 5))


@pytest.mark.slow
@pytest.mark.ci
def test_sparse_attention_of_tabnet(tmp_path: Path) -> None:
    module, x = randomised(TabNet()), torch.tensor(np.random.default_rng(2).normal(size=(60, 5)), dtype=torch.float32)
    assert_same(module, (5,))
    model = bitsmith.convert(module, tmp_path, calibration=x)
    np.testing.assert_allclose(model.predict(x), module(x).detach(), atol=2.0**-10)


def test_values_of_the_best_actions() -> None:
    assert_same(randomised(Best()), (6,))


def test_rows_of_a_trained_table_by_computed_indices() -> None:
    assert_same(randomised(CodeBook()), (3, 4))
