"""Random nodes of Keras models: functions from a symbolic tensor to one or more, by the number of its axes.

A node may raise ``ValueError`` where its options do not fit the tensor. Domains are kept (no logarithm of what is negative), and
divisors are away from 0: what a framework says of these it says by rounding errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from keras import layers, ops

from bitsmith.layers.layer import Floats

Tensor = Any
"""Keras's symbolic tensor."""

T = TypeVar("T")


class Draw:
    """Random choices; ``jumps`` is True once a node was drawn whose result jumps, ``tensors`` is what the model has computed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.jumps = False
        self.tensors: list[Tensor] = []

    def one_of(self, *options: T) -> T:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def size(self, least: int, most: int) -> int:
        return int(self.rng.integers(least, most + 1))

    def sizes(self, rank: int, least: int, most: int) -> tuple[int, ...]:
        return tuple(self.size(least, most) for _ in range(rank))

    def number(self, lo: float, hi: float) -> float:
        """A number with few decimals."""
        return round(float(self.rng.uniform(lo, hi)), 3)

    def axis(self, x: Tensor) -> int:
        """An axis other than that of the samples, counted from either end."""
        axis = self.size(1, len(x.shape) - 1)
        return axis - len(x.shape) if self.chance(0.5) else axis

    def axes(self, x: Tensor) -> tuple[int, ...]:
        """One or more axes other than that of the samples."""
        count = self.size(1, len(x.shape) - 1)
        return tuple(int(axis) for axis in self.rng.permutation(np.arange(1, len(x.shape)))[:count])

    def array(self, *shape: int, scale: float = 1.0) -> Floats:
        return self.rng.normal(0.0, scale, shape).astype(np.float32)

    def fellow(self, x: Tensor) -> Tensor:
        """A tensor with the shape of ``x``, possibly itself."""
        return self.one_of(*[y for y in [*self.tensors, x] if y.shape == x.shape])


ACTIVATIONS = (
    *("relu", "tanh", "sigmoid", "softplus", "softsign", "exponential", "selu", "elu", "celu", "gelu", "silu", "mish"),
    *("hard_silu", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "sparse_plus", "softmax"),
    *(
        "sparse_sigmoid",
        "relu6",
        "hard_tanh",
        "hard_sigmoid",
        "leaky_relu",
        "linear",
        "swish",
        "log_softmax",
        "hard_swish",
    ),
)
"""Activations by name, all but ``glu``, which halves an axis."""

_TAME = ("relu", "tanh", "sigmoid", "linear", "linear", "linear", "softsign", "leaky_relu", "elu", "hard_sigmoid")


def activation(draw: Draw) -> str:
    """The name of an activation for a layer that has one beside other things."""
    name = draw.one_of(*_TAME) if draw.chance(0.7) else draw.one_of(*ACTIVATIONS)
    draw.jumps |= name == "hard_shrink"
    return name


def _data_format(draw: Draw) -> str:
    return "channels_first" if draw.chance(0.25) else "channels_last"


# Layers for any number of axes.


def _dense(draw: Draw, x: Tensor) -> Tensor:
    return layers.Dense(draw.size(1, 7), activation=activation(draw), use_bias=draw.chance(0.8))(x)


def _activation(draw: Draw, x: Tensor) -> Tensor:
    name = draw.one_of(*ACTIVATIONS)
    draw.jumps |= name == "hard_shrink"
    y = layers.Activation(name)
    if name == "exponential":
        return y(ops.minimum(x, 3.0))
    return y(x)


def _parametric(draw: Draw, x: Tensor) -> Tensor:
    shared = sorted(draw.axes(x)) if draw.chance(0.5) else None
    cap, slope, threshold = draw.one_of(None, 1.5, 6.0), draw.one_of(0.0, 0.1, 0.7), draw.one_of(0.0, 0.0, 0.5)
    draw.jumps |= threshold > 0.0 and slope != 1.0
    return draw.one_of(
        lambda: layers.ReLU(max_value=cap, negative_slope=slope, threshold=threshold),
        lambda: layers.LeakyReLU(negative_slope=draw.number(0, 0.5)),
        lambda: layers.ELU(alpha=draw.number(0.1, 2)),
        lambda: layers.PReLU(shared_axes=shared),
        lambda: layers.Softmax(axis=draw.one_of(draw.axis(x), draw.axes(x))),
    )()(x)


def _normalized(draw: Draw, x: Tensor) -> Tensor:
    epsilon = draw.one_of(1e-6, 1e-3, 1e-3, 0.1, 2.0)
    flags = {"center": draw.chance(0.7), "scale": draw.chance(0.7)}
    axis, axes = draw.axis(x), sorted(draw.axes(x))
    channels = x.shape[axis]
    total = int(np.prod(x.shape[1:]))
    groups = draw.one_of(*[n for n in (1, 2, 3, -1) if channels % n == 0 and total > (n if n > 0 else channels)], 1)
    over = axes if draw.chance(0.5) else -1
    return draw.one_of(
        lambda: layers.BatchNormalization(axis=axis, epsilon=epsilon, **flags),
        lambda: layers.BatchNormalization(epsilon=epsilon, **flags),
        lambda: layers.LayerNormalization(axis=several(x, over), epsilon=epsilon, **flags),
        lambda: layers.RMSNormalization(epsilon=epsilon),
        lambda: layers.UnitNormalization(axis=over),
        lambda: layers.GroupNormalization(groups=groups, axis=axis, epsilon=epsilon, **flags),
        lambda: _statistics(draw, x, axis),
        lambda: layers.Rescaling(draw.number(-3, 3), draw.number(-9, 9)),
    )()(x)


def several(x: Tensor, axes: T) -> T:
    """``axes`` of several elements: the difference of a number from its own mean is nothing but rounding."""
    if np.prod([x.shape[axis] for axis in ([axes] if isinstance(axes, int) else axes)]) == 1:
        raise ValueError("nothing to normalize")
    return axes


def _statistics(draw: Draw, x: Tensor, axis: int) -> Any:
    """Normalization with its statistics among its arguments."""
    size, invert = x.shape[axis], draw.chance(0.3)
    mean, variance = draw.array(size, scale=5.0), np.exp(draw.array(size, scale=2.0))
    return layers.Normalization(axis=axis, mean=mean.tolist(), variance=variance.tolist(), invert=invert)


def _without_effect(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 2
    spatial = [getattr(layers, f"SpatialDropout{rank}D")] if rank in (1, 2, 3) else []
    kind = draw.one_of(layers.Dropout, layers.GaussianDropout, layers.AlphaDropout, layers.GaussianNoise, *spatial)
    return draw.one_of(kind(0.3), layers.Identity(), layers.ActivityRegularization(l1=0.1))(x)


def _reshaped(draw: Draw, x: Tensor) -> Tensor:
    sizes = x.shape[1:]
    total = int(np.prod(sizes))
    factor = draw.one_of(*[n for n in range(1, total + 1) if total % n == 0])
    target = draw.one_of((factor, -1), (-1,), (-1, 1, factor), (total // factor, factor))
    kept = _data_format(draw)
    dims = tuple(int(axis) for axis in draw.rng.permutation(len(sizes)) + 1)
    return draw.one_of(layers.Reshape(target), layers.Flatten(data_format=kept), layers.Permute(dims))(x)


def _merged(draw: Draw, x: Tensor) -> Tensor:
    kind = draw.one_of(
        layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum, layers.Concatenate
    )
    if kind is layers.Concatenate:
        axis = draw.axis(x)
        return layers.Concatenate(axis=axis)([x, draw.fellow(x), *[draw.fellow(x)] * draw.chance(0.3)])
    count = 1 if kind is layers.Subtract else draw.size(1, 2)
    others = [draw.fellow(x) for _ in range(count)]
    if draw.chance(0.4):
        others[0] = _broadcastable(draw, x)
    if draw.chance(0.1):  # Keras takes it after a tensor only
        return kind()([x, draw.array(1, *x.shape[1:])])
    return kind()([x, *others] if draw.chance(0.5) else [*others, x])


def _broadcastable(draw: Draw, x: Tensor) -> Tensor:
    """A tensor that broadcasts to ``x``: some of its axes have one element."""
    fits = [
        y
        for y in draw.tensors
        if len(y.shape) == len(x.shape) and all(n in (1, m) for n, m in zip(y.shape[1:], x.shape[1:], strict=True))
    ]
    return draw.one_of(*fits) if fits and draw.chance(0.5) else ops.mean(x, axis=sorted(draw.axes(x)), keepdims=True)


def _einsum_dense(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 1
    units = draw.size(1, 5)
    if rank == 1:
        given = draw.one_of(
            ("ab,bc->ac", (units,), "c"), ("ab,bcd->adc", (2, units), "c"), ("...x,xy->...y", (units,), "y")
        )
    elif rank == 2:
        given = draw.one_of(
            ("abc,cd->abd", (None, units), "d"),
            ("abc,bd->adc", (units, x.shape[2]), "dc"),
            ("abc,bcd->ad", (units,), None),
            ("abc,cde->abde", (x.shape[1], units, 2), "de"),
        )
    else:
        given = ("...x,xy->...y", (*x.shape[1:-1], units), "y")
    equation, shape, bias = given
    return layers.EinsumDense(equation, shape, bias_axes=bias, activation=activation(draw))(x)


# Layers for sequences and images.


def _convolved(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 2
    layout = _data_format(draw)
    channels = x.shape[1] if layout == "channels_first" else x.shape[-1]
    size = draw.sizes(rank, 1, 3)
    strides, dilation = draw.one_of((1, 1), (1, 1), (draw.size(1, 3), 1), (1, draw.size(1, 2)))
    padding = draw.one_of("valid", "same", "same", *["causal"] * (rank == 1 and layout == "channels_last"))
    common = {"activation": activation(draw), "use_bias": draw.chance(0.8), "data_format": layout}
    if layout == "channels_first" and common["activation"] in ("softmax", "log_softmax"):
        common["activation"] = "relu"
    taps = {"strides": strides, "dilation_rate": dilation, "padding": padding, **common}
    groups = draw.one_of(*[n for n in (1, 1, 2, 3, channels) if channels % n == 0])
    return getattr(layers, f"Conv{rank}D")(groups * draw.size(1, 2), size, groups=groups, **taps)(x)


def _separated(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 2
    layout = _data_format(draw)
    strides = draw.one_of(1, 1, 2)
    taps = {"strides": strides, "padding": draw.one_of("valid", "same"), "data_format": layout}
    taps |= {"use_bias": draw.chance(0.8), "depth_multiplier": draw.size(1, 2), "activation": draw.one_of(*_TAME)}
    size = draw.sizes(rank, 1, 3)
    if draw.chance(0.5):
        return getattr(layers, f"DepthwiseConv{rank}D")(size, **taps)(x)
    return getattr(layers, f"SeparableConv{rank}D")(draw.size(1, 4), size, **taps)(x)


def _transposed(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 2
    strides, dilation = draw.one_of((draw.sizes(rank, 1, 3), 1), (1, draw.size(1, 2)))
    taps = {"strides": strides, "dilation_rate": dilation, "padding": draw.one_of("valid", "same")}
    if draw.chance(0.3) and dilation == 1 and strides != 1:
        taps["output_padding"] = tuple(draw.size(0, n - 1) for n in strides)
    taps |= {"data_format": _data_format(draw), "activation": draw.one_of(*_TAME)}
    return getattr(layers, f"Conv{rank}DTranspose")(draw.size(1, 3), draw.sizes(rank, 1, 3), **taps)(x)


def _pooled(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 2
    layout, kind = _data_format(draw), draw.one_of("Max", "Average")
    choice = draw.one_of("plain", "plain", "global", "adaptive")
    if choice == "global":
        return getattr(layers, f"Global{kind}Pooling{rank}D")(data_format=layout, keepdims=draw.chance(0.4))(x)
    if choice == "adaptive":
        sizes = draw.sizes(rank, 1, 3)
        return getattr(layers, f"Adaptive{kind}Pooling{rank}D")(sizes[0] if rank == 1 else sizes, data_format=layout)(x)
    strides = draw.one_of(None, draw.sizes(rank, 1, 2))
    taps = {"strides": strides, "padding": draw.one_of("valid", "same"), "data_format": layout}
    return getattr(layers, f"{kind}Pooling{rank}D")(draw.sizes(rank, 1, 3), **taps)(x)


def _resampled(draw: Draw, x: Tensor) -> Tensor:
    rank = len(x.shape) - 2
    layout = {} if rank == 1 else {"data_format": _data_format(draw)}
    pairs = tuple(draw.sizes(2, 0, 2) for _ in range(rank))
    sizes = draw.sizes(rank, 1, 3)
    smooth = {"interpolation": draw.one_of("nearest", "bilinear")} if rank == 2 else {}
    options: list[Callable[[], Any]] = [
        lambda: getattr(layers, f"UpSampling{rank}D")(sizes[0] if rank == 1 else sizes, **layout, **smooth),
        lambda: getattr(layers, f"ZeroPadding{rank}D")(pairs[0] if rank == 1 else pairs, **layout),
        lambda: getattr(layers, f"Cropping{rank}D")(pairs[0] if rank == 1 else pairs, **layout),
    ]
    if rank == 2:
        new = draw.sizes(2, 1, 8)
        crop = draw.chance(0.3)
        options += [
            lambda: layers.Resizing(*new, crop_to_aspect_ratio=crop, **smooth, **layout),
            lambda: layers.CenterCrop(*(min(n, 3) for n in new), **layout),
        ]
    return draw.one_of(*options)()(x)


def _recurrent(draw: Draw, x: Tensor) -> Tensor:
    units, kind = draw.size(1, 4), draw.one_of("SimpleRNN", "LSTM", "GRU")
    gates = {} if kind == "SimpleRNN" else {"recurrent_activation": draw.one_of("sigmoid", "sigmoid", "hard_sigmoid")}
    gates |= {"reset_after": draw.chance(0.6)} if kind == "GRU" else {}
    cell = {"activation": draw.one_of("tanh", "tanh", "relu", "softsign"), "use_bias": draw.chance(0.8), **gates}
    shown = {"return_sequences": draw.chance(0.6), "return_state": draw.chance(0.2), "go_backwards": draw.chance(0.3)}
    form = draw.one_of("layer", "layer", "both", "cells", "states")
    if form == "both":
        mode = draw.one_of("concat", "sum", "mul", "ave", None)
        return layers.Bidirectional(getattr(layers, kind)(units, **cell, **shown), merge_mode=mode)(x)
    if form == "cells":
        cells = [getattr(layers, f"{kind}Cell")(units, **cell), layers.GRUCell(draw.size(1, 3))]
        return layers.RNN(cells[: draw.size(1, 2)], **shown)(x)
    if form == "states":
        state = layers.Dense(units, activation="tanh")(ops.mean(x, axis=1))
        states = [state, state] if kind == "LSTM" else [state]
        return getattr(layers, kind)(units, **cell, **shown)(x, initial_state=states)
    return getattr(layers, kind)(units, **cell, **shown)(x)


def _attention(draw: Draw, x: Tensor) -> Tensor:
    length, channels = x.shape[1:]
    others = [y for y in draw.tensors if len(y.shape) == 3 and y.shape[2] == channels]
    value = draw.one_of(x, x, *others)
    causal, scores = draw.chance(0.3), {"return_attention_scores": True} if draw.chance(0.2) else {}
    call = {"use_causal_mask": causal, **scores}
    form = draw.one_of("heads", "heads", "groups", "dot", "additive")
    if form == "dot":
        mode = {"score_mode": draw.one_of("dot", "concat"), "use_scale": draw.chance(0.5)}
        return layers.Attention(**mode)([x, value], **call)
    if form == "additive":
        return layers.AdditiveAttention(use_scale=draw.chance(0.7))([x, value], **call)
    if draw.chance(0.3):
        mask = draw.rng.random((1, length, value.shape[1])) < 0.7
        call["attention_mask"] = (
            mask | np.eye(length, value.shape[1], dtype=bool)[None] | (np.arange(value.shape[1]) == 0)
        )
    if form == "groups":
        return layers.GroupQueryAttention(draw.size(1, 3), 2 * draw.size(1, 2), draw.one_of(1, 2))(x, value, **call)
    sizes = {"value_dim": draw.one_of(None, 2), "output_shape": draw.one_of(None, None, 3)}
    return layers.MultiHeadAttention(draw.size(1, 3), draw.size(1, 4), use_bias=draw.chance(0.8), **sizes)(
        x, value, **call
    )


def _distributed(draw: Draw, x: Tensor) -> Tensor:
    inner: list[Callable[[], Any]] = [
        lambda: layers.Dense(draw.size(1, 4), activation="relu"),
        lambda: layers.LayerNormalization(axis=several(x, -1)),
        lambda: layers.Softmax(),
    ]
    if len(x.shape) == 4:
        inner += [lambda: layers.Conv1D(2, 2, padding="same"), lambda: layers.GRU(2), lambda: layers.MaxPooling1D(1)]
    return layers.TimeDistributed(draw.one_of(*inner)())(x)


def _dot(draw: Draw, x: Tensor) -> Tensor:
    other = draw.fellow(x)
    axis = draw.size(1, len(x.shape) - 1)
    return layers.Dot(axes=axis)([x, other])


def _of_vector(draw: Draw, x: Tensor) -> Tensor:
    return layers.RepeatVector(draw.size(1, 4))(x)


Node = Callable[[Draw, Tensor], Any]

LAYERS: tuple[tuple[Sequence[int], float, Node], ...] = (
    ((1, 2, 3, 4), 2.0, _dense),
    ((1, 2, 3, 4), 1.5, _activation),
    ((1, 2, 3, 4), 1.0, _parametric),
    ((1, 2, 3, 4), 2.0, _normalized),
    ((1, 2, 3, 4), 0.2, _without_effect),
    ((1, 2, 3, 4), 1.0, _reshaped),
    ((1, 2, 3, 4), 1.5, _merged),
    ((1, 2, 3), 0.7, _einsum_dense),
    ((1,), 0.3, _of_vector),
    ((1, 2), 0.4, _dot),
    ((2, 3, 4), 2.0, _convolved),
    ((2, 3), 1.0, _separated),
    ((2, 3, 4), 0.8, _transposed),
    ((2, 3, 4), 1.5, _pooled),
    ((2, 3, 4), 1.0, _resampled),
    ((2,), 3.0, _recurrent),
    ((2,), 2.5, _attention),
    ((2, 3), 0.4, _distributed),
)
"""Numbers of axes (without that of the samples), weight, and node."""
