"""Random nodes of Keras models that are functions of ``keras.ops``; see ``keras_nodes``."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from tests.fidelity.keras_nodes import Draw, Node, Tensor, several


def _elementwise(draw: Draw, x: Tensor) -> Tensor:
    small = ops.clip(x, -4.0, 4.0)
    away = ops.abs(x) + draw.number(0.05, 1.0)
    return draw.one_of(
        lambda: ops.exp(small),
        lambda: ops.exp2(small),
        lambda: ops.expm1(small),
        lambda: ops.erf(x),
        lambda: ops.sin(small),
        lambda: ops.cos(small),
        lambda: ops.log(away),
        lambda: ops.log2(away),
        lambda: ops.log10(away),
        lambda: ops.log1p(ops.relu(x)),
        lambda: ops.sqrt(ops.relu(x) + 0.01),
        lambda: ops.rsqrt(away),
        lambda: ops.reciprocal(away),
        lambda: ops.square(x),
        lambda: ops.abs(x),
        lambda: ops.negative(x),
        lambda: ops.power(x, draw.one_of(2, 3)),
        lambda: ops.power(away, draw.number(-1.5, 2.5)),
        lambda: ops.clip(x, draw.number(-3, 0), draw.number(0, 3)),
        lambda: ops.maximum(x, draw.number(-1, 1)),
        lambda: ops.minimum(x, draw.number(-1, 1)),
    )()


def _functions(draw: Draw, x: Tensor) -> Tensor:
    """Activations as functions, with their numbers."""
    even = [axis for axis in range(1, len(x.shape)) if x.shape[axis] % 2 == 0]
    return draw.one_of(
        lambda: ops.leaky_relu(x, draw.number(0, 1)),
        lambda: ops.elu(x, draw.number(0.1, 2)),
        lambda: ops.celu(x, draw.number(0.1, 2)),
        lambda: ops.gelu(x, approximate=draw.chance(0.5)),
        lambda: ops.softmax(x, axis=draw.axis(x)),
        lambda: ops.log_softmax(x, axis=draw.axis(x)),
        lambda: ops.glu(x, axis=draw.one_of(*even)) if even else ops.silu(x),
        lambda: ops.soft_shrink(x, draw.number(0, 1)),
        lambda: ops.squareplus(x),
        lambda: ops.selu(x),
        lambda: draw.one_of(ops.relu6, ops.softsign, ops.hard_tanh, ops.hard_silu, ops.sparse_sigmoid)(x),
        lambda: draw.one_of(ops.relu, ops.sigmoid, ops.tanh, ops.silu)(x),
        lambda: ops.softplus(x),
        lambda: x * ops.tanh(ops.softplus(x)),
        lambda: ops.hard_sigmoid(x),
        lambda: ops.log_sigmoid(x),
        lambda: ops.tanh_shrink(x),
        lambda: ops.sparse_plus(x),
    )()


def _binary(draw: Draw, x: Tensor) -> Tensor:
    """Arithmetic of two tensors, or of one and a constant on either side."""
    constant = draw.one_of(draw.number(-2, 2), draw.array(x.shape[-1]), draw.array(1, *x.shape[1:], scale=4.0))
    y = draw.fellow(x) if draw.chance(0.6) else constant
    divisor = ops.abs(y) + draw.number(0.1, 1) if y is not constant else np.abs(constant) + np.float32(0.2)
    return draw.one_of(
        lambda: ops.add(x, y),
        lambda: ops.subtract(y, x),
        lambda: ops.multiply(x, y),
        lambda: ops.divide(x, divisor),
        lambda: ops.divide(y, ops.abs(x) + 0.25),
        lambda: ops.maximum(x, y),
        lambda: ops.minimum(y, x),
        lambda: x * 2 - y,
        lambda: 1.5 - x,
    )()


def _jumping(draw: Draw, x: Tensor) -> Tensor:
    draw.jumps = True
    y, c = draw.fellow(x), draw.number(-0.5, 0.5)
    compare = draw.one_of(ops.greater, ops.greater_equal, ops.less, ops.less_equal)
    number = draw.one_of(ops.sign, ops.floor, ops.ceil, ops.trunc, ops.round)
    logic = draw.one_of(ops.logical_and, ops.logical_or, ops.logical_xor)
    step = draw.number(0.3, 3.0)
    return draw.one_of(
        lambda: ops.where(compare(x, c), x, y),
        lambda: ops.where(logic(x > c, y < 0.7), x, -1.0),
        lambda: ops.where(ops.logical_not(compare(x, y)), 0.0, x),
        lambda: ops.cast(compare(x, c), "float32"),
        lambda: number(x),
        lambda: number(x),
        lambda: ops.where(draw.one_of(ops.equal, ops.not_equal)(ops.round(x), 1.0), x, 0.5),
        lambda: draw.one_of(ops.floor_divide, ops.mod)(x, step),
        lambda: ops.hard_shrink(x, draw.number(0.1, 1)),
        lambda: ops.cast(ops.argmax(x, axis=draw.axis(x)), "float32"),
        lambda: ops.cast(ops.argmin(x, axis=draw.axis(x), keepdims=True), "float32"),
        lambda: ops.cast(ops.any(x > c, axis=draw.axis(x)), "float32"),
        lambda: ops.cast(ops.all(x > c, axis=draw.axis(x)), "float32"),
        lambda: ops.one_hot(ops.argmax(x, axis=-1), x.shape[-1]),
    )()


def _reduced(draw: Draw, x: Tensor) -> Tensor:
    over = {"axis": draw.axes(x), "keepdims": draw.chance(0.5)}
    axis = draw.axis(x)
    return draw.one_of(
        lambda: ops.sum(x, **over),
        lambda: ops.mean(x, **over),
        lambda: draw.one_of(ops.max, ops.amax)(x, **over),
        lambda: draw.one_of(ops.min, ops.amin)(x, **over),
        lambda: ops.prod(ops.clip(x, -1.5, 1.5), axis=axis),
        lambda: ops.var(x, **over),
        lambda: ops.std(x, **over),
        lambda: ops.logsumexp(x, **over),
        lambda: ops.norm(x, axis=axis, ord=draw.one_of(None, 1, 2, np.inf), keepdims=True),
        lambda: ops.average(x, axis=axis, weights=np.abs(draw.array(x.shape[axis])) + np.float32(0.1)),
        lambda: ops.cumsum(x, axis=axis),
        lambda: ops.normalize(x, axis=axis, order=draw.one_of(1, 2)),
        lambda: ops.layer_normalization(x, axis=several(x, -1), epsilon=1e-3),
        lambda: ops.rms_normalization(x, epsilon=1e-3),
    )()


def _moved(draw: Draw, x: Tensor) -> Any:
    axis, rank = draw.axis(x), len(x.shape)
    size = x.shape[axis]
    order = tuple(int(k) + 1 for k in draw.rng.permutation(rank - 1))
    pads = [(0, 0), *(draw.sizes(2, 0, 1) for _ in range(rank - 1))]
    mode = draw.one_of("constant", "constant", "reflect", "symmetric") if min(x.shape[1:]) > 1 else "constant"
    return draw.one_of(
        lambda: ops.transpose(x, (0, *order)),
        lambda: ops.swapaxes(x, axis, -1),
        lambda: ops.moveaxis(x, axis, -1),
        lambda: ops.expand_dims(x, axis),
        lambda: ops.squeeze(ops.sum(x, axis=axis, keepdims=True), axis),
        lambda: ops.reshape(x, (-1, int(np.prod(x.shape[1:])))),
        lambda: ops.pad(x, pads, mode=mode),
        lambda: ops.flip(x, axis=axis),
        lambda: ops.roll(x, draw.size(-2, 2), axis=axis),
        lambda: ops.repeat(x, 2, axis=axis),
        lambda: ops.tile(x, (1,) * (rank - 1) + (2,)),
        lambda: ops.take(x, draw.rng.integers(0, size, draw.size(1, 4)), axis=axis),
        lambda: ops.split(x, [max(size // 2, 1)], axis=axis) if size > 1 else [x],
        lambda: ops.unstack(x, axis=axis)[: draw.size(1, 2)],
        lambda: ops.stack([x, draw.fellow(x)], axis=axis),
        lambda: ops.concatenate([x, draw.fellow(x)], axis=axis),
        lambda: x[:, draw.size(0, x.shape[1] - 1)],
        lambda: x[:, :: draw.one_of(1, 2, -1)],
        lambda: x[..., : max(x.shape[-1] - 1, 1)],
        lambda: ops.tril(x, draw.size(-1, 1)) if rank > 2 else x[:, None],
        lambda: ops.triu(x, draw.size(-1, 1)) if rank > 2 else x[..., None],
    )()


def _contracted(draw: Draw, x: Tensor) -> Tensor:
    y, rank = draw.fellow(x), len(x.shape)
    weights = draw.array(x.shape[-1], draw.size(1, 4))
    if rank == 2:
        return draw.one_of(
            lambda: ops.matmul(x, weights),
            lambda: ops.einsum("bi,bj->bij", x, y),
            lambda: ops.einsum("bi,bi->b", x, y)[:, None],
            lambda: ops.dot(x, weights),
        )()
    if rank == 3:
        return draw.one_of(
            lambda: ops.matmul(x, weights),
            lambda: ops.matmul(x, ops.swapaxes(y, 1, 2)),
            lambda: ops.einsum("bij,bkj->bik", x, y),
            lambda: ops.einsum("bij,bij->bi", x, y),
            lambda: ops.einsum("bij,jk->bki", x, weights),
            lambda: ops.tensordot(x, weights, axes=1),
        )()
    return ops.matmul(x, weights)


def _spatial(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 2
    window, padding = draw.sizes(rank, 1, 3), draw.one_of("valid", "same")
    pool = draw.one_of(ops.max_pool, ops.average_pool)
    adaptive = draw.one_of(ops.adaptive_max_pool, ops.adaptive_average_pool)
    if rank == 2 and draw.chance(0.4):
        return ops.image.resize(x, draw.sizes(2, 1, 7), interpolation=draw.one_of("nearest", "bilinear"))
    if draw.chance(0.3) and rank > 1:  # Keras expects another shape than it computes along one axis
        return adaptive(x, window)
    return pool(x, window, draw.sizes(rank, 1, 2), padding=padding)


def _guarded(draw: Draw, x: Tensor) -> Tensor:
    """A residual block written with functions."""
    y = ops.silu(x) * ops.sigmoid(draw.fellow(x))
    return x + y * draw.number(-1, 1)


_ANY = (1, 2, 3, 4)

FUNCTIONS: tuple[tuple[tuple[int, ...], float, Node], ...] = (
    (_ANY, 1.2, _elementwise),
    (_ANY, 0.8, _functions),
    (_ANY, 1.2, _binary),
    (_ANY, 0.8, _jumping),
    (_ANY, 0.8, _reduced),
    (_ANY, 1.4, _moved),
    ((2, 3, 4), 0.4, _spatial),
    ((1, 2, 3), 0.5, _contracted),
    (_ANY, 0.3, _guarded),
)
"""Numbers of axes (without that of the samples), weight, and node."""
