"""What operators of all frameworks share, against PyTorch's functions: each alone, on an input and on a constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.ops import activations, arithmetic, normalization, reduction, selection, shape, spatial
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.frontends.ops.spatial import Taps
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.resample import PadMode

SAMPLES = 3
RNG = np.random.default_rng(8)

Ours = Callable[[Builder, Value], Value | tuple[Value, ...]]
Theirs = Callable[[Tensor], "Tensor | tuple[Tensor, ...] | list[Tensor]"]


def results(ours: Ours, x: Floats, *, fixed: bool) -> list[Floats]:
    """What ``ours`` makes of a constant, or of an input whose first axis is that of the samples."""
    draft = Draft()
    build = Builder(draft, draft.begin("x", "Input"), "model")
    value = constant(as_weights(x)) if fixed else build.input((1, *x.shape[1:]), Batch(0), Kind.REAL)
    made = ours(Builder(draft, draft.begin("y"), "model"), value)
    listed = made if isinstance(made, tuple) else (made,)
    if fixed:
        assert all(one.constant is not None and one.batch is None for one in listed)
        return [np.broadcast_to(one.constant, one.dims) for one in listed]
    names = UniqueNames()
    for origin in draft.origins:
        names.take(origin.name)
    ends = [value.node, *(one.node for one in listed)]
    nodes = draft.named(draft.needed(ends), names)
    network = draft.network(nodes, ends[:1], ends[1:])
    values = network.evaluate([x])
    found = [values[name] for name in network.outputs]
    return [
        np.moveaxis(result.reshape(len(x), *one.shape), 0, one.batch.axis)
        for one, result in zip(listed, found, strict=True)
        if one.batch is not None
    ]


def parts(build: Builder, x: Value) -> tuple[Value, ...]:
    return selection.split(build, x, -1, (1, 3, 1))


def plane(size: int, step: int, dilation: int, pair: tuple[int, int], **more: bool) -> Taps:
    """Windows that differ in rows and columns."""
    return Taps((size, 2), (step, 1), (dilation, 2), (pair, (0, 1)), **more)


SOME = as_weights(RNG.normal(size=(4,)))
PARAMETERS = normalization.Parameters(SOME, as_weights(RNG.normal(size=(4,))), 0.01)


def tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.array(values))


ANYWHERE: Mapping[str, tuple[Shape, Ours, Theirs]] = {
    "select": ((4, 5), lambda b, x: selection.select(b, x, 1, -2), lambda x: x.select(1, -2)),
    "take": (
        (4, 5),
        lambda b, x: selection.take(b, x, 2, np.array([[3, -1], [0, 0]])),
        lambda x: x[:, :, [[3, -1], [0, 0]]],
    ),
    "take before the last axis": ((4, 5), lambda b, x: selection.take(b, x, 1, np.array([2])), lambda x: x[:, [2]]),
    "repeat": (
        (4, 3),
        lambda b, x: selection.repeat(b, x, -1, (2, 0, 3)),
        lambda x: x.repeat_interleave(tensor([2, 0, 3]), 2),
    ),
    "repeat alike": ((4, 3), lambda b, x: selection.repeat(b, x, 1, (3,)), lambda x: x.repeat_interleave(3, 1)),
    "tile": ((4, 3), lambda b, x: selection.tile(b, x, (1, 2, 3)), lambda x: x.tile(1, 2, 3)),
    "roll": ((4, 5), lambda b, x: selection.roll(b, x, (1, -2), (1, 2)), lambda x: x.roll((1, -2), (1, 2))),
    "roll alike": ((4, 5), lambda b, x: selection.roll(b, x, (7,), (2, 1)), lambda x: x.roll((7, 7), (2, 1))),
    "flip": ((4, 5), lambda b, x: selection.flip(b, x, (1, -1)), lambda x: x.flip(1, 2)),
    "windows": ((7, 3), lambda b, x: selection.windows(b, x, 1, 3, 2), lambda x: x.unfold(1, 3, 2)),
    "windows of the last axis": ((2, 5), lambda b, x: selection.windows(b, x, -1, 2, 1), lambda x: x.unfold(-1, 2, 1)),
    "split": ((2, 5), parts, lambda x: x.split((1, 3, 1), -1)),
    "unbind": ((3, 2), lambda b, x: selection.unbind(b, x, 1), lambda x: x.unbind(1)),
    "concatenate": ((3, 2), lambda b, x: selection.concatenate(b, (x, x), 1), lambda x: torch.cat((x, x), 1)),
    "stack": ((3, 2), lambda b, x: selection.stack(b, (x, x), -2), lambda x: torch.stack((x, x), -2)),
    "stack in front": ((3, 2), lambda b, x: selection.stack(b, (x, x), 0), lambda x: torch.stack((x, x), 0)),
    "index": (
        (4, 5, 2),
        lambda b, x: selection.index(b, x, 1, [np.array([0, 3, 1]), np.array([-1, 2, 2])]),
        lambda x: x[:, [0, 3, 1], [-1, 2, 2]],
    ),
    "squeeze": ((1, 4, 1), lambda b, x: shape.squeeze(b, x, (1, -1)), lambda x: x.squeeze((1, 3))),
    "unsqueeze": ((4, 2), lambda b, x: shape.unsqueeze(b, x, (0, -1)), lambda x: x[None, ..., None]),
    "move": ((4, 5, 2), lambda b, x: shape.move(b, x, (1, -1), (3, 1)), lambda x: x.movedim((1, -1), (3, 1))),
    "swap": ((4, 5, 2), lambda b, x: shape.swap(b, x, -1, 1), lambda x: x.transpose(-1, 1)),
    "difference": ((4, 5), lambda b, x: reduction.difference(b, x, (-1,)), lambda x: x.diff(dim=-1)),
    "running sum": ((4, 5), lambda b, x: reduction.running_sum(b, x, (1,)), lambda x: x.cumsum(1)),
    "running sum from the end": (
        (4, 5),
        lambda b, x: reduction.running_sum(b, x, (1,), backwards=True),
        lambda x: x.flip(1).cumsum(1).flip(1),
    ),
    "running sum of those before": (
        (4, 5),
        lambda b, x: reduction.running_sum(b, x, (2,), exclusive=True),
        lambda x: x.cumsum(2) - x,
    ),
    "index of the last least": (
        (4, 5),
        lambda b, x: reduction.extreme_index(b, x, (1,), keepdims=False, least=True, last=True),
        lambda x: x.shape[1] - 1 - x.flip(1).argmin(1),
    ),
    "index of the greatest": (
        (4, 5),
        lambda b, x: reduction.extreme_index(b, x, (2,), keepdims=True),
        lambda x: x.argmax(2, keepdim=True),
    ),
    "greatest": ((4, 5), lambda b, x: reduction.greatest(b, x, (1,), 1), lambda x: x.max(1, True)),
    "least": ((4, 5), lambda b, x: reduction.greatest(b, x, (1,), 1, least=True), lambda x: x.min(1, True)),
    "distance": (
        (4, 5),
        lambda b, x: reduction.distance(b, x, selection.flip(b.within("f"), x, (1,)), (2,), False, 1.0, 0.25),
        lambda x: (x - x.flip(1) + 0.25).norm(1, 2),
    ),
    "cosine": (
        (4, 5),
        lambda b, x: reduction.cosine(b, x, selection.flip(b.within("f"), x, (1,)), (2,), 1e-6),
        lambda x: functional.cosine_similarity(x, x.flip(1), 2, 1e-6),
    ),
    "cosine of short vectors": (
        (4, 5),
        lambda b, x: reduction.cosine(b, x, selection.flip(b.within("f"), x, (1,)), (2,), 9.0),
        lambda x: (x * x.flip(1)).sum(2) / 81,
    ),
    "batch normalization": (
        (4, 5),
        lambda b, x: normalization.batch(b, x, 1, SOME, SOME**2, PARAMETERS),
        lambda x: functional.batch_norm(x, *map(tensor, (SOME, SOME**2, *PARAMETERS[:2])), eps=0.01),
    ),
    "layer normalization": (
        (2, 4),
        lambda b, x: normalization.over_axes(b, x, (-1,), PARAMETERS),
        lambda x: functional.layer_norm(x, (4,), *map(tensor, PARAMETERS[:2]), eps=0.01),
    ),
    "root mean square": (
        (2, 4),
        lambda b, x: normalization.root_mean_square(b, x, (-1,), SOME, 0.01),
        lambda x: functional.rms_norm(x, (4,), tensor(SOME), 0.01),
    ),
    "unit": ((2, 4), lambda b, x: normalization.unit(b, x, (1,)), lambda x: functional.normalize(x, dim=1)),
    "unit of sizes": (
        (2, 4),
        lambda b, x: normalization.unit(b, x, (2,), 1, 3.0),
        lambda x: functional.normalize(x, 1, 2, 3.0),
    ),
    "around": (
        (6, 3),
        lambda b, x: normalization.around(b, x, 1, 3, 0.5, 0.75, 2.0),
        lambda x: functional.local_response_norm(x, 3, 0.5, 0.75, 2.0),
    ),
    "around an even number": (
        (6, 3),
        lambda b, x: normalization.around(b, x, 1, 4, 0.5, 1.0, 1.0),
        lambda x: x / (1 + 0.125 * functional.pad(x**2, (0, 0, 1, 2)).unfold(1, 4, 1).sum(-1)),
    ),
    **{
        name: ((4, 5), lambda b, x, name=name: REDUCERS[name].of(b, x, (1, -1), keepdims=True), theirs)  # type: ignore[misc]
        for name, theirs in {
            "sum": lambda x: x.sum((1, 2), True),
            "mean": lambda x: x.mean((1, 2), True),
            "max": lambda x: x.amax((1, 2), True),
            "min": lambda x: x.amin((1, 2), True),
            "var": lambda x: x.var((1, 2), correction=0, keepdim=True),
            "std": lambda x: x.std((1, 2), correction=0, keepdim=True),
            "logsumexp": lambda x: x.logsumexp((1, 2), True),
            "l1": lambda x: x.abs().sum((1, 2), True),
            "l2": lambda x: x.norm(2, (1, 2), True),
            "greatest_size": lambda x: x.abs().amax((1, 2), True),
            "least_size": lambda x: x.abs().amin((1, 2), True),
            "sum_square": lambda x: x.square().sum((1, 2), True),
        }.items()
    },
    "a reduction that leaves no axis": ((4, 5), lambda b, x: REDUCERS["sum"].of(b, x, (2,)), lambda x: x.sum(2)),
}
"""Shapes without that of samples, and what may be done to any axis but the first."""

ELEMENTS: Mapping[str, tuple[Ours, Theirs]] = {
    "relu": (lambda b, x: activations.relu(b, x, 1.5, 0.25), lambda x: functional.leaky_relu(x, 0.25).clamp(max=1.5)),
    "prelu": (
        lambda b, x: activations.prelu(b, x, constant(SOME)),
        lambda x: functional.prelu(x.movedim(2, 1), tensor(SOME)).movedim(1, 2),
    ),
    "threshold": (lambda b, x: activations.threshold(b, x, 0.5, 0.0), lambda x: functional.threshold(x, 0.5, 0)),
    "threshold below": (
        lambda b, x: activations.threshold(b, x, -0.5, 3.0),
        lambda x: functional.threshold(x, -0.5, 3),
    ),
    "hard shrink": (lambda b, x: activations.hard_shrink(b, x), functional.hardshrink),
    "hard shrink far": (lambda b, x: activations.hard_shrink(b, x, 0.75), lambda x: functional.hardshrink(x, 0.75)),
    "soft shrink": (lambda b, x: activations.soft_shrink(b, x), functional.softshrink),
    "soft shrink far": (lambda b, x: activations.soft_shrink(b, x, 0.75), lambda x: functional.softshrink(x, 0.75)),
    "hard sigmoid": (lambda b, x: activations.hard_sigmoid(b, x), functional.hardsigmoid),
    "softplus": (lambda b, x: activations.softplus(b, x, 3.0), lambda x: functional.softplus(x, 3.0, 99)),
    "straight softplus": (
        lambda b, x: activations.softplus(b, x, 0.5, 0.25),
        lambda x: functional.softplus(x, 0.5, 0.25),
    ),
    "elu": (lambda b, x: activations.elu(b, x, 0.5), lambda x: functional.elu(x, 0.5)),
    "scaled elu": (lambda b, x: activations.elu(b, x, 0.5, 3.0), lambda x: 3 * functional.elu(x, 0.5)),
    "selu": (lambda b, x: activations.elu(b, x, 1.6732632, 1.0507010), functional.selu),
    "celu": (lambda b, x: activations.celu(b, x, 2.0), lambda x: functional.celu(x, 2.0)),
    "swish": (lambda b, x: activations.swish(b, x), functional.silu),
    "steep swish": (lambda b, x: activations.swish(b, x, 2.0), lambda x: x * (2 * x).sigmoid()),
    "logit": (lambda b, x: activations.logit(b, x, 0.125), lambda x: x.logit(0.125)),
    "gelu": (lambda b, x: activations.gelu(b, x, "none"), functional.gelu),
    "gelu by tanh": (lambda b, x: activations.gelu(b, x, "tanh"), lambda x: functional.gelu(x, approximate="tanh")),
    "glu": (lambda b, x: activations.glu(b, x, 1), lambda x: functional.glu(x, 1)),
    "softmax": (lambda b, x: activations.softmax(b, x, 1), lambda x: x.softmax(1)),
    "log softmax": (lambda b, x: activations.log_softmax(b, x, 2), lambda x: x.log_softmax(2)),
    "hard max": (
        lambda b, x: activations.hard_max(b, x, 1),
        lambda x: functional.one_hot(x.argmax(1), 6).movedim(-1, 1),
    ),
    "angle": (
        lambda b, x: activations.angle(b, x, selection.flip(b.within("f"), x, (1,))),
        lambda x: torch.where((x == 0) & (x.flip(1) == 0), 0.0, x.atan2(x.flip(1))),
    ),
    "hypotenuse": (
        lambda b, x: arithmetic.hypotenuse(b, x, selection.flip(b.within("f"), x, (1,))),
        lambda x: x.hypot(x.flip(1)),
    ),
    "fraction": (lambda b, x: arithmetic.fraction(b, x), Tensor.frac),
    "sign": (lambda b, x: arithmetic.sign(b, x), Tensor.sign),
    "round": (lambda b, x: arithmetic.round_half_to_even(b, x, 0), Tensor.round),
    "between": (
        lambda b, x: arithmetic.between(b, x, selection.flip(b.within("f"), x, (1,)), constant(SOME)),
        lambda x: x.lerp(x.flip(1), tensor(SOME)),
    ),
    "extremes": (
        lambda b, x: (
            arithmetic.maximum(b.within("most"), x, selection.flip(b.within("f"), x, (1,)), constant(as_weights(0.25))),
            arithmetic.minimum(b.within("least"), x, selection.flip(b.within("g"), x, (1,))),
        ),
        lambda x: (x.maximum(x.flip(1)).clamp(min=0.25), x.minimum(x.flip(1))),
    ),
    "sum and mean": (
        lambda b, x: (
            arithmetic.total(b.within("total"), x, selection.flip(b.within("f"), x, (1,)), x),
            arithmetic.average(b.within("mean"), x, selection.flip(b.within("g"), x, (1,)), x),
        ),
        lambda x: (2 * x + x.flip(1), (2 * x + x.flip(1)) / 3),
    ),
}
"""What is done to elements, of tensors of shape (samples, 6, 4)."""

IMAGES: Mapping[str, tuple[Shape, Ours, Theirs]] = {
    "depth to space": (
        (12, 2, 3),
        lambda b, x: shape.depth_to_space(b, x, 2),
        lambda x: functional.pixel_shuffle(x, 2),
    ),
    "space to depth": (
        (3, 4, 6),
        lambda b, x: shape.space_to_depth(b, x, 2),
        lambda x: functional.pixel_unshuffle(x, 2),
    ),
    "channel shuffle": (
        (6, 2, 3),
        lambda b, x: shape.channel_shuffle(b, x, 3),
        lambda x: functional.channel_shuffle(x, 3),
    ),
    "channel shuffle of a line": (
        (6, 4),
        lambda b, x: shape.channel_shuffle(b, x, 2),
        lambda x: x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1, 2),
    ),
    "view": ((4, 6), lambda b, x: shape.view(b, x, [(n, 3, -1) for n in b.counts]), lambda x: x.reshape(len(x), 3, 8)),
    "view with samples in the middle": (
        (1, 6),
        lambda b, x: shape.view(b, x, [(1, n, -1) for n in b.counts]),
        lambda x: x.reshape(1, len(x), 6),
    ),
    "expand": (
        (1, 3),
        lambda b, x: shape.expand(b, x, [(2, n, 4, -1) for n in b.counts]),
        lambda x: x.expand(2, len(x), 4, 3),
    ),
    "patches": (
        (2, 5, 6),
        lambda b, x: spatial.patches(b, x, plane(3, 2, 1, (1, 1))),
        lambda x: (
            functional.pad(x, (0, 1, 1, 1))
            .unfold(2, 3, 2)
            .unfold(3, 3, 1)[..., ::2]
            .permute(0, 1, 4, 5, 2, 3)
            .flatten(1, 3)
            .flatten(2)
        ),
    ),
    "largest of windows": (
        (3, 6, 5),
        lambda b, x: spatial.along(
            b, x, lambda y: spatial.max_pool(b, y, Taps((3, 2), (2, 1), (1, 2), ((1, 1), (0, 0))))
        ),
        lambda x: functional.max_pool2d(x, (3, 2), (2, 1), (1, 0), (1, 2)),
    ),
    "largest of windows at a left-over end": (
        (2, 6),
        lambda b, x: spatial.along(
            b, x, lambda y: spatial.max_pool(b, y, Taps((3,), (2,), (1,), ((1, 1),), ceil_mode=True))
        ),
        lambda x: functional.max_pool1d(x, 3, 2, 1, ceil_mode=True),
    ),
    **{
        f"mean of windows, padding {'' if counts else 'not '}counted": (
            (3, 6, 5),
            lambda b, x, counts=counts: spatial.along(  # type: ignore[misc]
                b,
                x,
                lambda y: spatial.average_pool(
                    b, y, Taps((3, 2), (2, 1), (1, 1), ((1, 1), (1, 1)), padding_counts=counts)
                ),
            ),
            lambda x, counts=counts: functional.avg_pool2d(x, (3, 2), (2, 1), 1, count_include_pad=counts),  # type: ignore[misc]
        )
        for counts in (False, True)
    },
    "norm of windows": (
        (3, 6),
        lambda b, x: spatial.along(b, x, lambda y: spatial.norm_pool(b, y, Taps((3,), (2,), (1,), ((0, 0),)), 2)),
        lambda x: functional.lp_pool1d(x, 2, 3, 2),
    ),
    "sizes of windows": (
        (3, 6),
        lambda b, x: spatial.along(b, x, lambda y: spatial.norm_pool(b, y, Taps((2,), (2,), (1,), ((0, 0),)), 1)),
        lambda x: functional.avg_pool1d(x.abs(), 2, 2) * 2,
    ),
    "regions": (
        (2, 7, 5),
        lambda b, x: spatial.along(b, x, lambda y: spatial.adaptive_average_pool(b, y, (3, 2))),
        lambda x: functional.adaptive_avg_pool2d(x, (3, 2)),
    ),
    "greatest of regions": (
        (2, 7, 5),
        lambda b, x: spatial.along(b, x, lambda y: spatial.adaptive_max_pool(b, y, (3, 2))),
        lambda x: functional.adaptive_max_pool2d(x, (3, 2)),
    ),
    "groups": (
        (4, 5),
        lambda b, x: spatial.along(b, x, lambda y: normalization.groups(b, y, 2, -1, PARAMETERS)),
        lambda x: functional.group_norm(x, 2, *map(tensor, PARAMETERS[:2]), eps=0.01),
    ),
    "pad": (
        (4, 5),
        lambda b, x: spatial.pad(b, x, {1: (1, 0), 2: (-1, 2)}, PadMode.CONSTANT, 0.5),
        lambda x: functional.pad(x, (-1, 2, 1, 0), value=0.5),
    ),
    "pad by mirror": (
        (4, 5),
        lambda b, x: spatial.pad(b, x, {2: (2, 1)}, PadMode.REFLECT),
        lambda x: functional.pad(x, (2, 1), "reflect"),
    ),
}
"""What has a batch in front, then channels."""


TORCH = {**ANYWHERE, **IMAGES, **{name: ((6, 4), *both) for name, both in ELEMENTS.items()}}


@pytest.mark.parametrize(("name", "fixed"), [(name, fixed) for name in TORCH for fixed in {False, name not in IMAGES}])
def test_results_are_those_of_torch(name: str, fixed: bool) -> None:
    sizes, ours, theirs = TORCH[name]
    rng = np.random.default_rng(len(name))
    x = np.round(rng.normal(size=(SAMPLES, *sizes)) * 8) / 8 + 0.0  # with equal elements, and without -0
    wanted = theirs(torch.from_numpy(x))
    found = results(ours, x, fixed=fixed)
    for one, other in zip(found, [wanted] if isinstance(wanted, Tensor) else wanted, strict=True):
        assert one.shape == tuple(other.shape)
        np.testing.assert_allclose(one, other.numpy(), atol=1e-9)


REFUSED: Mapping[str, tuple[Shape, Ours]] = {
    "windows of 4 elements every 1 of 3": ((3,), lambda b, x: selection.windows(b, x, 1, 4, 1)),
    "windows of 2 elements every 0 of 3": ((3,), lambda b, x: selection.windows(b, x, 1, 2, 0)),
    "windows of 3 elements in 2": (
        (2, 2, 4),
        lambda b, x: spatial.patches(b, x, Taps((3, 1), (1, 1), (1, 1), ((0, 0),) * 2)),
    ),
    "3 channels in 2 groups": ((3, 2), lambda b, x: shape.channel_shuffle(b, x, 2)),
    "an image of 3 by 4 in blocks of 2 by 2": ((1, 3, 4), lambda b, x: shape.space_to_depth(b, x, 2)),
    "6 channels as blocks of 2 by 2 positions": ((6, 3, 4), lambda b, x: shape.depth_to_space(b, x, 2)),
    "2 repetitions of 3 elements": ((3,), lambda b, x: selection.repeat(b, x, 1, (1, 2))),
    "the 4 greatest of 3 elements": ((3,), lambda b, x: reduction.greatest(b, x, (1,), 4)),
    "indices [3] of an axis of 3 elements": ((3,), lambda b, x: selection.take(b, x, 1, np.array([3]))),
    "indices [-4] of an axis of 3 elements": ((3,), lambda b, x: selection.take(b, x, 1, np.array([-4]))),
    "parts of [1, 1] elements of 3": ((3,), lambda b, x: selection.split(b, x, 1, (1, 1))),
    "the norm of order 3 over 1 axes": ((3,), lambda b, x: reduction.norm(b, x, (1,), False, 3.0)),
    "pooling by the 3-norm": ((3, 4), lambda b, x: spatial.norm_pool(b, x, Taps((2,), (2,), (1,), ((0, 0),)), 3)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_is_refused(words: str) -> None:
    sizes, ours = REFUSED[words]
    with pytest.raises(UnsupportedError) as refused:
        results(ours, np.zeros((SAMPLES, *sizes)), fixed=False)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("before", "place", "after", "batch"),
    [
        ((1, 6), 0, (1, 2, 3), Batch(0)),
        ((1, 6), 0, (1, 1, 6), Batch(0)),
        ((1, 6), 0, (2, 3), Batch(0, 1, 2)),
        ((2, 1), 1, (2, 1), Batch(1)),
        ((3, 1), 1, (3, 1), Batch(1)),
        ((2, 1, 3), 1, (2, 1, 3), Batch(1)),
        ((2, 1, 3), 1, (2, 1, 1, 3), Batch(1)),
        ((2, 1, 3), 1, (2, 3), Batch(0, 2, 1)),
        ((2, 1, 12), 1, (2, 3, 4), Batch(1, 1, 3)),
        ((2, 1, 3), 1, (6,), Batch(0, 2, 3)),
    ],
)
def test_one_sample_is_an_axis_that_holds_nothing_else(before: Shape, place: int, after: Shape, batch: Batch) -> None:
    """If there is one where it keeps the order of elements, and the first of them."""
    draft = Draft()
    build = Builder(draft, draft.begin("x", "Input"), "model", samples=1)
    x = build.input(before, Batch(place), Kind.REAL)
    y = shape.view(Builder(draft, draft.begin("y"), "model", samples=1), x, [after])
    assert (y.dims, y.batch) == (after, batch)
