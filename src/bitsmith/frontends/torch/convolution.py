"""PyTorch's convolutions, whose channels come first, between permutations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.torch.call import Call, Result, Translation, Translator
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.layer import Floats, Layer, as_weights


def spatial(call: Call, x: Value, rank: int, layer: Layer) -> Value:
    """``layer``, which has its channels last, on ``x``, which has them after the batch."""
    return call.build.spatial(spatial_operand(x, rank), layer)


def spatial_operand(x: Value, rank: int) -> Value:
    """``x``, if it has the axes batch, channels and ``rank`` more."""
    if len(x.item) != rank + 1:
        raise UnsupportedError(f"an operand of axes {x.dims}", accepted=f"batch, channels and {rank} more")
    return x


def _padding(call: Call, taps: Sequence[int], dilation: Sequence[int]) -> tuple[tuple[int, int], ...]:
    given = call.get("padding")
    if given == "same":
        totals = [d * (n - 1) for n, d in zip(taps, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if given == "valid":
        return ((0, 0),) * len(taps)
    return tuple((n, n) for n in call.per_axis("padding", len(taps), 0))


def _checked(call: Call, rank: int, values: Sequence[int], *, least: int) -> None:
    if min(values) < least:
        raise UnsupportedError(f"the strides, dilation or groups {tuple(values)}", accepted=f"numbers from {least} on")


def _weight(call: Call, rank: int) -> Floats:
    weight = call.weight("weight")
    if weight.ndim != rank + 2:
        raise UnsupportedError(f"a kernel of shape {weight.shape}", accepted=f"{rank + 2} axes")
    return weight


def _conv(rank: int) -> Translator:
    def read(call: Call) -> Result:
        weight = _weight(call, rank)
        strides, dilation = call.per_axis("stride", rank, 1), call.per_axis("dilation", rank, 1)
        groups, padding = call.integer("groups", 1), _padding(call, weight.shape[2:], dilation)
        _checked(call, rank, (*strides, *dilation, groups), least=1)
        _checked(call, rank, [n for pair in padding for n in pair], least=0)
        x = spatial_operand(call.tensor("input"), rank)
        if x.item[0] != weight.shape[1] * groups or weight.shape[0] % groups:
            raise UnsupportedError(f"a kernel of shape {weight.shape} in {groups} groups on axes {x.dims}")
        kernel = as_weights(np.moveaxis(weight, (1, 0), (-2, -1)))
        return spatial(call, x, rank, Conv(kernel, call.optional("bias"), strides, dilation, padding, groups))

    return read


def _transposed(rank: int) -> Translator:
    def read(call: Call) -> Result:
        weight = _weight(call, rank)
        strides, dilation = call.per_axis("stride", rank, 1), call.per_axis("dilation", rank, 1)
        padding, more = call.per_axis("padding", rank, 0), call.per_axis("output_padding", rank, 0)
        groups = call.integer("groups", 1)
        _checked(call, rank, (*strides, *dilation, groups), least=1)
        _checked(call, rank, (*padding, *more), least=0)
        x = spatial_operand(call.tensor("input"), rank)
        if x.item[0] != weight.shape[0] or weight.shape[0] % groups:
            raise UnsupportedError(f"a kernel of shape {weight.shape} in {groups} groups on axes {x.dims}")
        sizes = zip(x.item[1:], strides, padding, dilation, weight.shape[2:], more, strict=True)
        output = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 + extra for n, s, p, d, k, extra in sizes)
        # (groups * in, out, *taps) -> (*taps, in, groups * out)
        parts = np.split(weight, groups, axis=0)
        kernel = as_weights(np.concatenate([np.moveaxis(part, (0, 1), (-2, -1)) for part in parts], axis=-1))
        layer = ConvTranspose(kernel, call.optional("bias"), strides, dilation, padding, output, groups)
        return spatial(call, x, rank, layer)

    return read


def _general(call: Call) -> Result:
    rank = call.weight("weight").ndim - 2
    if rank not in (1, 2, 3):
        raise UnsupportedError(f"a convolution along {rank} axes", accepted="one to three")
    return (_transposed if call.flag("transposed") else _conv)(rank)(call)


CONVOLUTIONS: dict[str, Translation] = {
    **{f"conv{rank}d": Translation(_conv(rank), "Conv between Permute") for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": Translation(_transposed(rank), "ConvTranspose between Permute") for rank in (1, 2, 3)},
    "convolution": Translation(_general, "Conv or ConvTranspose between Permute"),
}
"""Operators by name."""
