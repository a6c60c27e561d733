"""PyTorch's modules, functions and tensor methods against PyTorch itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_samples import assert_fixed_point, assert_same, randomised, save_pt2

from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.layer import Shape


class Each(nn.Module):
    """One result for each module or function, all of the same inputs."""

    def __init__(self, cases: dict[str, Any]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({name: case for name, case in cases.items() if isinstance(case, nn.Module)})
        self.functions = [case for case in cases.values() if not isinstance(case, nn.Module)]

    def forward(self, *xs: Tensor) -> list[Tensor]:
        results = [part(*xs) for part in self.parts.values()] + [function(*xs) for function in self.functions]
        return [value for result in results for value in (result if isinstance(result, tuple | list) else [result])]


def _assigned(x: Tensor) -> Tensor:
    """Assignments to parts of a tensor."""
    y = x.clone()
    y[:, 0] = 0.5
    y[:, 1, 1:3] = x[:, 0, :2]
    y[:, :, [3, 0]] = y[:, :, 1:3] * 2.0
    return y


LINES: dict[str, Any] = {
    "conv": nn.Conv1d(4, 3, 3),
    "conv_same": nn.Conv1d(4, 3, 4, padding="same", dilation=2),
    "conv_same_uneven": nn.Conv1d(4, 3, 4, padding="same"),
    "conv_groups": nn.Conv1d(4, 8, 3, stride=2, padding=2, groups=2, bias=False),
    "conv_reflect": nn.Conv1d(4, 2, 3, padding=2, padding_mode="reflect"),
    "conv_circular": nn.Conv1d(4, 2, 3, padding=1, padding_mode="circular"),
    "transposed": nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    "batch_norm": nn.BatchNorm1d(4),
    "batch_norm_plain": nn.BatchNorm1d(4, affine=False),
    "instance_norm": nn.InstanceNorm1d(4, affine=True),
    "group_norm": nn.GroupNorm(2, 4),
    "layer_norm": nn.LayerNorm((4, 12)),
    "rms_norm": nn.RMSNorm(12),
    "rms_norm_of_little": lambda x: functional.rms_norm(x / 1024.0, (12,)),
    "max_pool": nn.MaxPool1d(3, 2, padding=1, ceil_mode=True),
    "avg_pool": nn.AvgPool1d(3, 2, padding=1),
    "avg_pool_inside": nn.AvgPool1d(3, 2, padding=1, count_include_pad=False, ceil_mode=True),
    "adaptive": nn.AdaptiveAvgPool1d(5),
    "adaptive_max": nn.AdaptiveMaxPool1d(1),
    "nearest": nn.Upsample(scale_factor=2),
    "linear": nn.Upsample(size=20, mode="linear"),
    "corners": nn.Upsample(scale_factor=2, mode="linear", align_corners=True),
    "zero_pad": nn.ZeroPad1d((1, 2)),
    "replicate": nn.ReplicationPad1d(2),
    "crop": lambda x: functional.pad(x, (-1, 2), value=0.5),
    "responses": nn.LocalResponseNorm(3, alpha=0.5, k=2.0),
}

IMAGES: dict[str, Any] = {
    "conv": nn.Conv2d(4, 3, (2, 3), padding=(1, 0)),
    "depthwise": nn.Conv2d(4, 8, 3, padding="same", groups=4),
    "transposed": nn.ConvTranspose2d(4, 3, (3, 2), stride=(2, 1), dilation=(1, 2)),
    "batch_norm": nn.BatchNorm2d(4),
    "max_pool": nn.MaxPool2d(2),
    "max_pool_dilated": nn.MaxPool2d(2, 1, dilation=2),
    "avg_pool": nn.AvgPool2d((2, 3), 2),
    "adaptive": nn.AdaptiveAvgPool2d((3, 2)),
    "adaptive_one": nn.AdaptiveAvgPool2d(1),
    "adaptive_max": nn.AdaptiveMaxPool2d((2, None)),
    "nearest": nn.UpsamplingNearest2d(scale_factor=2),
    "bilinear": nn.UpsamplingBilinear2d(size=(9, 10)),
    "exact": nn.Upsample(size=(9, 4), mode="nearest-exact"),
    "nearest_fraction": nn.Upsample(scale_factor=(1.3, 2.05)),
    "nearest_same": nn.Upsample(scale_factor=(1.1, 0.7)),
    "exact_fraction": nn.Upsample(scale_factor=(1.3, 1.1), mode="nearest-exact"),
    "bilinear_fraction": nn.Upsample(scale_factor=(1.3, 1.1), mode="bilinear"),
    "pooled_same": lambda x: functional.max_pool2d(functional.pad(x, (0, 1, 1, 1), value=-torch.inf), 3, 2),
    "shuffle": nn.PixelShuffle(2),
    "channel_shuffle": nn.ChannelShuffle(2),
    "padded": nn.ReflectionPad2d((1, 2, 0, 1)),
    "prelu": nn.PReLU(4),
    "dropout": nn.Dropout2d(0.3),
    "dropout in place": nn.Sequential(nn.ReLU(), nn.Dropout(0.3, inplace=True), nn.Dropout2d(0.3, inplace=True)),
    "softmax": nn.Softmax2d(),
    "flat": nn.Sequential(nn.Flatten(), nn.Linear(4 * 6 * 5, 3)),
    "mean": lambda x: x.mean((2, 3)),
    "channels": lambda x: functional.max_pool2d(x, 2).permute(0, 2, 3, 1),
    "unshuffled": lambda x: functional.pixel_unshuffle(x[:, :, :, :4], 2),
}

VOLUMES: dict[str, Any] = {
    "conv": nn.Conv3d(2, 3, 2, padding=1),
    "transposed": nn.ConvTranspose3d(2, 3, 2, stride=(1, 2, 1)),
    "norm": nn.BatchNorm3d(2),
    "max_pool": nn.MaxPool3d(2),
    "avg_pool": nn.AvgPool3d((2, 1, 2)),
    "adaptive": nn.AdaptiveAvgPool3d(1),
    "upsampled": nn.Upsample(scale_factor=2, mode="trilinear"),
}

ACTIVATIONS: dict[str, Any] = {
    **{
        kind.__name__: kind()
        for kind in (
            nn.ReLU,
            nn.ReLU6,
            nn.LeakyReLU,
            nn.PReLU,
            nn.RReLU,
            nn.ELU,
            nn.CELU,
            nn.SELU,
            nn.GELU,
            nn.SiLU,
            nn.Mish,
            nn.Sigmoid,
            nn.Tanh,
            nn.Hardtanh,
            nn.Hardsigmoid,
            nn.Hardswish,
            nn.Softplus,
            nn.Softsign,
            nn.LogSigmoid,
            nn.Tanhshrink,
            nn.Softshrink,
            nn.Hardshrink,
            nn.GLU,
            nn.Identity,
        )
    },
    "elu": nn.ELU(0.5),
    "gelu_tanh": nn.GELU("tanh"),
    "softplus_beta": nn.Softplus(2.0, 30.0),
    "softplus_from": nn.Softplus(0.5, 1.0),
    "logit": lambda x: torch.logit(x / 8.0 + 0.5, eps=0.01) + torch.special.logit(x.sigmoid()),
    "softshrink": nn.Softshrink(0.3),
    "hardshrink": nn.Hardshrink(0.7),
    "threshold": nn.Threshold(0.2, -1.0),
    "threshold_zero": nn.Threshold(0.1, 0.0),
    "softmax": nn.Softmax(1),
    "softmin": nn.Softmin(-1),
    "log_softmax": nn.LogSoftmax(2),
    "hardtanh": nn.Hardtanh(-0.5, 2.0),
    "relu": torch.relu,
    "leaky": lambda x: functional.leaky_relu(x, 0.3),
    "method": lambda x: x.sigmoid() * x.tanh(),
    "in_place": lambda x: functional.relu_(x + 1.0),
    "square": lambda x: functional.relu(x).square(),
}

ARITHMETIC: dict[str, Any] = {
    "scalars": lambda x, y: 2.0 * x + 3.0 - y / 4.0,
    "reversed": lambda x, y: 1.0 - x,
    "negative": lambda x, y: -x,
    "hypotenuse": lambda x, y: torch.hypot(x, y),
    "alpha": lambda x, y: torch.add(x, y, alpha=0.5) - torch.sub(x, y, alpha=2.0),
    "product": lambda x, y: x * y,
    "quotient": lambda x, y: x / (y.abs() + 1.0),
    "reciprocal": lambda x, y: 1.0 / (y.abs() + 1.0),
    "powers": lambda x, y: x**3 + y.pow(2),
    "roots": lambda x, y: (x.abs() + 0.5).sqrt() + (y.abs() + 0.5).rsqrt(),
    "exponentials": lambda x, y: torch.exp(x / 4.0) + torch.exp2(y / 4.0) + 2.0 ** (x / 8.0) + torch.expm1(y / 4.0),
    "logarithms": lambda x, y: torch.log(x.abs() + 1.0) + torch.log1p(y.abs()) + torch.log2(x.abs() + 1.0),
    "extremes": lambda x, y: torch.maximum(x, y) - torch.minimum(x, y * 2.0),
    "clamps": lambda x, y: x.clamp(-0.5, 1.0) + y.clamp(min=0.0) + torch.clamp(x, max=0.3) + y.clamp_min(-0.2),
    "whole": lambda x, y: x.floor() + y.ceil() + torch.trunc(x) + torch.round(y),
    "signs": lambda x, y: torch.sign(x) * torch.abs(y),
    "waves": lambda x, y: torch.sin(x) + torch.cos(y),
    "compared": lambda x, y: (x > y).float() + (x <= 0.5).float(),
    "chosen": lambda x, y: torch.where(x > 0.0, x, y),
    "chosen_number": lambda x, y: torch.where((x > 0.0) & (y < 1.0), x, 0.25),
    "filled": lambda x, y: x.masked_fill(y > 0.0, -1.0),
    "not": lambda x, y: (~(x > 0.0)).to(torch.float32),
    "constants": lambda x, y: x + torch.arange(5.0) * torch.ones(3, 1),
    "rank": lambda x, y: (x + torch.zeros(1, 1, 3, 5)).squeeze(0),
    "by_channel": lambda x, y: x * torch.tensor([[1.0], [2.0], [-0.5]]),
    "erf": lambda x, y: torch.erf(x) + torch.erfc(y),
    "division": lambda x, y: torch.div(x, 0.5, rounding_mode="floor"),
    "norm": lambda x, y: functional.normalize(x, dim=2),
    "norm_of_sizes": lambda x, y: functional.normalize(x, p=1.0, dim=2),
    "types_of_sums": lambda x, y: [x.sum(1, dtype=kind) * 1.5 for kind in (torch.int8, torch.int64, torch.bool)],
    "types_of_products": lambda x, y: [x.prod(2, dtype=torch.bool) * 1.5, (2.0 * y).cumsum(1, dtype=torch.int32) * 0.5],
}

SHAPES: dict[str, Any] = {
    "view": lambda x: x.view(-1, 60),
    "view_rows": lambda x: x.view(x.size(0), 3, -1),
    "reshape": lambda x: x.reshape(x.shape[0], 5, 12),
    "flatten": lambda x: torch.flatten(x, 1),
    "flatten_inner": lambda x: x.flatten(2),
    "unflatten": lambda x: x.unflatten(2, (2, 2)),
    "squeezed": lambda x: x[:, :1].squeeze(1) + x.unsqueeze(1)[:, 0, 0],
    "squeezed_all": lambda x: x[:, :1].squeeze(),
    "permuted": lambda x: x.permute(0, 3, 1, 2).contiguous(),
    "transposed": lambda x: x.transpose(-1, -2),
    "turned": lambda x: x.mT,
    "moved": lambda x: x.movedim(1, -1),
    "through_front": lambda x: x.transpose(0, 1).transpose(1, 2).permute(2, 0, 1, 3),
    "merged": lambda x: (x.reshape(-1, 4, 5) * 2.0).reshape(-1, 3, 4, 5),
    "cat": lambda x: torch.cat([x, x * 2.0], 1),
    "cat_last": lambda x: torch.cat((x, x[:, :, :, :2]), dim=-1),
    "stack": lambda x: torch.stack([x, x + 1.0], 1),
    "stack_last": lambda x: torch.stack([x[:, 0], x[:, 1]], -1),
    "split": lambda x: x.split(2, 2)[1],
    "split_sizes": lambda x: torch.split(x, [1, 4], 3)[0],
    "tensor_split": lambda x: [*x.tensor_split(3, 2), *x.tensor_split((1, -2), 3)],
    "chunk": lambda x: x.chunk(2, 3),
    "unbound": lambda x: x.unbind(1)[2],
    "sliced": lambda x: x[:, 1:, ::2, -2:],
    "selected": lambda x: x[:, -1, 2],
    "expanded": lambda x: x[:, :1].expand(-1, 3, -1, -1),
    "repeated": lambda x: x.repeat(1, 2, 1, 1),
    "interleaved": lambda x: x.repeat_interleave(2, 2),
    "interleaved each": lambda x: x.repeat_interleave(torch.arange(x.shape[2]) % 3, 2),
    "flipped": lambda x: x.flip(1, 3),
    "quarter_turns": lambda x: [x[:, :, :, :4].rot90(k, (3, 1)) for k in range(4)],
    "all_reversed": lambda x: x[:, :, :3, :3].T.permute(3, 2, 1, 0) + x[:, :, :3, :3].permute(3, 2, 1, 0).T,
    "windows": lambda x: x.unfold(2, 3, 1).unfold(-2, 2, 3),
    "padded_numbers": lambda x: functional.pad(x.argmax(1), (1, 0), value=1.97) * 0.5,
    "factors_of_numbers": lambda x: torch.addcmul(x.argmax(1), x.argmax(1), x.argmin(1), value=1.5),
    "bounds_of_numbers": lambda x: functional.hardtanh(functional.threshold(x.argmax(1), 1.5, 2.5), -0.5, 2.5),
    "products_of_numbers": lambda x: torch.baddbmm(
        x.argmax(1)[:, :, :4], x.argmin(1), x.argmin(1).mT, beta=0.5, alpha=1.5
    ),
    "types_of_constants": lambda x: [
        x * torch.linspace(0.0, 3.0, 5, dtype=torch.int64) + torch.scalar_tensor(2.7, dtype=torch.int32),
        x * torch.arange(0.5, 5.5, 1.0, dtype=torch.int32),
    ],
    "filled": lambda x: torch.full_like(x.argmax(1), 1.75) * x[:, 0] + x.argmax(1).new_full((4, 5), -0.5),
    "patches": lambda x: functional.unfold(x, (2, 3), dilation=(2, 1), padding=(0, 1), stride=(1, 2)),
    "no_nan": torch.nan_to_num,
    "rolled": lambda x: torch.roll(x, 2, 3),
    "indexed": lambda x: x[:, [2, 0]],
    "indexed_by_table": lambda x: x[..., torch.tensor([[0, 4], [2, -1]])],
    "indexed_beside": lambda x: x[:, :, [1, -1, 0], [4, 0, -2]],
    "indexed_by_mask": lambda x: x[:, :, torch.tril(torch.ones(4, 5)) == 1],
    "index_selected": lambda x: x.index_select(2, torch.tensor([3, 0])),
    "index_filled": lambda x: x.index_fill(2, torch.tensor([3, -4]), 0.5),
    "diagonals": lambda x: [x.diagonal(offset, 3, 2) for offset in (-1, 0, 2)] + [x.diagonal(dim1=1, dim2=-1)],
    "gathered at the greatest": lambda x: x.gather(2, x.argmax(2, keepdim=True)),
    "gathered at computed places": lambda x: x.gather(-1, (x[..., :2] > 0).long() + 1),
    "gathered": lambda x: x.gather(2, torch.tensor([3, 0]).view(1, 1, 2, 1).expand(x.shape[0], 3, -1, 4)),
    "scattered": lambda x: x.scatter(3, torch.tensor([[4], [0]]).expand(x.shape[0], 3, 2, 1), x[:, :, 1:3, :1]),
    "scattered_number": lambda x: x.scatter(1, torch.ones(1, 1, 2, 3).long().expand(x.shape[0], -1, -1, -1), 0.5),
    "scatter_added": lambda x: x.scatter_add(
        3, torch.tensor([[4, 0, 4]]).expand(x.shape[0], 3, 2, 3), x[:, :, 1:3, :3]
    ),
    "scatter_summed": lambda x: x.scatter_reduce(
        2, torch.ones(1, 3, 3, 2).long().expand(x.shape[0], -1, -1, -1), x[:, :, :3, :2], "sum"
    ),
    "index_added": lambda x: x.index_add(2, torch.tensor([3, 0, 3, 1]), x.flip(2), alpha=0.5),
    "put_and_added": lambda x: torch.ops.aten.index_put(x, [None, torch.tensor([2, 0, 2])], x[:, :1] * 2.0, True),
    "folded": lambda x: functional.fold(x.transpose(1, 2).flatten(2), (8, 4), (2, 2), padding=(1, 0), stride=(2, 1)),
    "slice_written": lambda x: torch.slice_scatter(x, x[:, :, :2] * 2.0, 2, 1, 4, 2),
    "number_written": lambda x: torch.select_scatter(x, x[:, 0], 1, -1),
    "diagonal_written": lambda x: torch.diagonal_scatter(x, x[:, :, :, 0] * 2.0, 1, 2, 3),
    "assigned": _assigned,
    "triangle": lambda x: x.tril(1) + torch.triu(x, -1),
    "tiled": lambda x: x.tile(2, 1, 3),
    "rolled_twice": lambda x: torch.roll(x, (1, -7), (1, 3)),
    "token": lambda x: torch.cat([torch.ones(1, 1, 4, 5).expand(x.shape[0], -1, -1, -1), x], 1),
    "dropped": lambda x: functional.dropout(x, 0.5, training=False),
    "image": lambda x: functional.avg_pool2d(x, 2, 1).flatten(1),
}

REDUCTIONS: dict[str, Any] = {
    "sum": lambda x: x.sum(1),
    "sums": lambda x: x.sum((1, 2), keepdim=True),
    "scalar": lambda x: x.mean((1, 2)),
    "mean": lambda x: torch.mean(x, -1),
    "greatest": lambda x: x.amax((1, 2)) + x.max(1)[0].max(1).values,
    "least": lambda x: x.amin(2) + x.min(2)[0],
    "index": lambda x: x.argmax(2),
    "last_index": lambda x: x.argmin(-1, keepdim=True),
    "spread": lambda x: x.var(2) + x.std(2, unbiased=False),
    "product": lambda x: x.prod(1),
    "logsumexp": lambda x: torch.logsumexp(x, 2),
    "norm": lambda x: x.norm(dim=2) + torch.linalg.norm(x, dim=2),
    "sizes": lambda x: x.norm(p=1, dim=2) - torch.linalg.vector_norm(x, float("inf"), dim=2),
    "any": lambda x: (x > 0.5).any(2).float() + (x != 0.25).all(2).float(),
    "count": lambda x: (x > 0.5).sum(2) / 4,
    "counted": lambda x: x.relu().count_nonzero((1, 2)),
    "differences": lambda x: x.diff(dim=1) + torch.diff(x, prepend=x[..., :1])[:, 1:],
    "distance": lambda x: functional.pairwise_distance(x, x[:, :1], keepdim=True),
    "distances": lambda x: torch.cdist(x, x[:, :1]),
    "city_distances": lambda x: torch.cdist(x, x.flip(1), p=1.0),
    "divisor": lambda x: functional.avg_pool2d(x.unsqueeze(1), 2, divisor_override=3),
    "negative_divisor": lambda x: functional.avg_pool2d(x.unsqueeze(1), 2, padding=1, divisor_override=-2),
    "city_distance": lambda x: functional.pairwise_distance(x, x.flip(2), p=1.0),
    "cosine": lambda x: (
        functional.cosine_similarity(x, x.flip(2), dim=2) + functional.cosine_similarity(x, 2 * x[:, :1], 2)
    ),
    "running": lambda x: x.cumsum(1),
    "top": lambda x: x.topk(1)[0] + x.topk(1, 1, largest=False)[1],
    "several of the top": lambda x: x.topk(2)[0] * x.topk(2, -1, largest=False)[1],
    "of_two": lambda x: torch.max(x, x * 0.5),
}

PRODUCTS: dict[str, Any] = {
    "bmm": lambda x, y: torch.bmm(x, y),
    "matmul": lambda x, y: x @ y,
    "constant": lambda x, y: x @ torch.arange(10.0).view(5, 2),
    "constant_first": lambda x, y: torch.arange(8.0).view(2, 4) @ x,
    "einsum": lambda x, y: torch.einsum("bij,bjk->bki", x, y),
    "einsum_of_three": lambda x, y: torch.einsum("bij,bjk,kl->bil", x, y, torch.arange(12.0).view(6, 2) - 5.0),
    "einsum_numbers": lambda x, y: torch.einsum("bij,bij->b", x, x + 1),
    "einsum_rows": lambda x, y: torch.einsum("bij,bij->bi", x, x + 1),
    "einsum_sum": lambda x, y: torch.einsum("bij->bj", x),
    "einsum_constant": lambda x, y: torch.einsum("bij,jk->bik", x, torch.ones(5, 3)),
    "addmm": lambda x, y: torch.addmm(torch.ones(2), x[:, 0], torch.arange(10.0).view(5, 2)),
    "addmm_scaled": lambda x, y: torch.addmm(x[:, 1, :2], x[:, 0], torch.ones(5, 2), beta=0.5, alpha=2.0),
    "addmv": lambda x, y: torch.addmv(torch.ones(1), x[:, 0], torch.arange(5.0), beta=0.5, alpha=2.0),
    "mv": lambda x, y: torch.mv(x[:, 0], torch.arange(5.0)),
    "baddbmm": lambda x, y: torch.baddbmm(torch.ones(6), x, y, beta=0.5, alpha=2.0),
    "heads": lambda x, y: (x.unsqueeze(1) @ y.unsqueeze(1)).squeeze(1),
    "attention": lambda x, y: functional.scaled_dot_product_attention(x, x, y.transpose(1, 2)[:, :4]),
    "causal": lambda x, y: functional.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3),
    "masked": lambda x, y: functional.scaled_dot_product_attention(
        x, x, x, attn_mask=torch.tril(torch.ones(4, 4)).bool()
    ),
    "added": lambda x, y: functional.scaled_dot_product_attention(
        x, x, x, attn_mask=torch.triu(torch.full((4, 4), -torch.inf), 1)
    ),
    "shared_heads": lambda x, y: functional.scaled_dot_product_attention(
        torch.stack([x, 2 * x, -x, x], 1), *(torch.stack([x, x + 1], 1),) * 2, enable_gqa=True
    ),
    "by_hand": lambda x, y: (
        torch.softmax((x @ x.mT).masked_fill(torch.tril(torch.ones(4, 4)) == 0, -torch.inf), -1) @ x
    ),
    "linear": lambda x, y: functional.linear(x, torch.ones(2, 5), torch.arange(2.0)),
    "bilinear": lambda x, y: functional.bilinear(x, y.mT[:, :4], torch.arange(50.0).view(2, 5, 5) / 50, torch.ones(2)),
    "vectors": lambda x, y: x.sum(1)[:, :4] * y.sum(1)[:, :4],
}


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "float": lambda x: x,
    "bool": lambda x: x > 0.0,
    "int8": lambda x: (x * 100.0).clamp(-128, 127).to(torch.int8),
    "uint8": lambda x: (x.abs() * 64.0).clamp(0, 255).to(torch.uint8),
    "int64": lambda x: x.round().long(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_comparisons_with_numbers_of_other_kinds(kind: str) -> None:
    """Those that are written out, of which some are values of no element."""

    def compared(relation: Callable[[Tensor, float], Tensor], number: float) -> Callable[[Tensor], Tensor]:
        return lambda x: relation(KINDS[kind](x), number).float()

    pairs = itertools.product((torch.eq, torch.gt), (-1, 0.5, 1, 2, 300))
    assert_same(Each({f"{relation}, {k}": compared(relation, k) for relation, k in pairs}), (2, 3))


_RELATIONS = ("eq", "ne", "gt", "ge", "lt", "le", "not_equal", "greater", "greater_equal", "less", "less_equal")


def test_comparisons_have_two_names_each() -> None:
    """As functions and as methods of tensors, of numbers that are often equal."""

    def compared(relation: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, y: relation(x.round(), y.round()).float()

    functions = {name: compared(getattr(torch, name)) for name in _RELATIONS}
    methods = {f"x.{name}": compared(getattr(Tensor, name)) for name in _RELATIONS}
    assert_same(Each({**functions, **methods}), (2, 3), (2, 3))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_normalizations_are_read_of_a_decomposed_program() -> None:
    net = randomised(nn.Sequential(nn.GroupNorm(2, 4), nn.LayerNorm(5, eps=0.25), nn.GroupNorm(4, 4, affine=False)))
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(net, (torch.zeros(2, 4, 5),), dynamic_shapes=batch).run_decompositions()
    assert_same(net, network=read_torch(program))


def test_turns_end_in_the_operator() -> None:
    """What else a turn takes has a name of its own."""
    for quarters in range(-1, 5):
        network = assert_same(Each({"turned": lambda x, k=quarters: torch.rot90(x, k, (1, 2)) * 1.0}), (3, 4))
        names = [node.name for node in network.nodes if node.name.startswith("rot90")]
        assert (
            names == {0: [], 1: ["rot90_flipped", "rot90"], 2: ["rot90"], 3: ["rot90_flipped", "rot90"]}[quarters % 4]
        )


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("shapes", "cases"),
    [
        (((4, 12),), LINES),
        (((4, 6, 5),), IMAGES),
        (((2, 3, 4, 3),), VOLUMES),
        (((3, 4, 6),), ACTIVATIONS),
        (((3, 5), (3, 5)), ARITHMETIC),
        (((3, 4, 5),), SHAPES),
        (((3, 5),), REDUCTIONS),
        (((4, 5), (5, 6)), PRODUCTS),
    ],
    ids=["lines", "images", "volumes", "activations", "arithmetic", "shapes", "reductions", "products"],
)
def test_operators_are_torch_own(shapes: tuple[Shape, ...], cases: dict[str, Callable[..., Tensor]]) -> None:
    """One model with a result for each case."""
    assert_fixed_point(assert_same(randomised(Each(cases)), *shapes))


class Sized(nn.Module):
    """Shapes from sizes that are computed, of any number of samples."""

    def forward(self, x: Tensor) -> list[Tensor]:
        samples, rows, columns = x.shape
        flat = x.reshape(samples * rows, columns)
        halves = x.reshape(samples * 2, rows * columns // 2).reshape(samples * 2 // 2, -1)
        more = x.reshape(samples + samples - samples, (rows + 2) // 3 * rows // 2, -1)
        return [flat.reshape(samples, rows, columns), halves, more, x.reshape(samples, columns - 1, -1)]


def test_sizes_are_computed(tmp_path: Path) -> None:
    file = save_pt2(Sized(), tmp_path / "sized.pt2", (4, 3))
    assert_same(Sized(), (4, 3), network=read_torch(file))
