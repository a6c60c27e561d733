"""Tensors that are repeated for each sample, such as masks of attention for each head, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import bitsmith
from bitsmith.errors import UnsupportedError

HEADS, WORDS, SIZE = 2, 5, 8


class _Repeated(nn.Module):
    """``apply`` of attention, a mask for each head, and the input of ``WORDS`` words."""

    def __init__(self, apply: Callable[[_Repeated, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention = nn.MultiheadAttention(SIZE, HEADS, batch_first=True)
        self.register_buffer("mask", torch.where(torch.randn(HEADS, WORDS, WORDS) > -0.5, 0.0, -1e9))
        self.apply_to = apply

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_to(self, x)

    def masked(self, x: Tensor, mask: Tensor, *, weights: bool = True) -> Tensor:
        return self.attention(x, x, x, attn_mask=mask, need_weights=weights)[0]


def _of_words(x: Tensor) -> Tensor:
    """A mask of words for each sample, its head and its word."""
    return (x[..., 0] > 1.0)[:, None].expand(-1, WORDS, -1)


CASES: dict[str, Callable[[_Repeated, Tensor], Tensor]] = {
    "mask of heads": lambda own, x: own.masked(x, own.mask.repeat(x.shape[0], 1, 1)),
    "mask of heads, fused": lambda own, x: own.masked(x, own.mask.repeat(x.shape[0], 1, 1) < 0, weights=False),
    "mask of samples": lambda own, x: own.masked(x, _of_words(x).repeat_interleave(HEADS, 0)),
    "rows": lambda own, x: own.mask[:, 0].repeat(x.shape[0], 1).view(x.shape[0], HEADS, WORDS).clamp(-1) @ x,
    "rows, along two axes": lambda own, x: (
        own.mask[0].repeat(x.shape[0], 2).view(x.shape[0], WORDS, -1).clamp(-1)[..., :5] @ x
    ),
    "samples": lambda own, x: (x.repeat_interleave(3, 0).view(x.shape[0], 3, -1) * own.mask[:1, :3, :1].clamp(-1)).sum(
        1
    ),
    "samples, second axis": lambda own, x: (
        x.transpose(0, 1).repeat_interleave(2, 1).transpose(0, 1).reshape(x.shape[0], 2, -1)
    ),
    "words of samples": lambda own, x: x.flatten(0, 1).repeat_interleave(2, 0).view(x.shape[0], WORDS, 2, SIZE),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_repeated_for_each_sample(case: str) -> None:
    module = _Repeated(CASES[case])
    x = torch.randn(7, WORDS, SIZE)
    wanted = module(x).detach().numpy()
    found = bitsmith.convert(module, example=x[:3]).predict(x.numpy())
    np.testing.assert_allclose(found, wanted, atol=2e-3 * np.ptp(wanted))


def test_a_mask_for_a_fixed_number_of_samples_is_refused() -> None:
    with pytest.raises(
        UnsupportedError, match=r"for a fixed number of samples.*(?s:.*)mask\.repeat\(x\.shape\[0\], 1, 1\)"
    ):
        bitsmith.convert(_Repeated(lambda own, x: own.masked(x, own.mask)), example=torch.randn(1, WORDS, SIZE))
