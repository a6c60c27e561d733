"""Models of one operator on codes for ``make.py``, with inputs. All draw from one sequence of random numbers."""

from __future__ import annotations

import numpy as np
from flat import Draft

SAMPLES = 12
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
rng = np.random.default_rng(13)


def scale(low=0.01, high=0.1):
    return np.float32(rng.uniform(low, high))


def zero(kind, ends=False):
    if kind == "int16":
        return 0
    low, high = LIMITS[kind]
    return int(rng.integers(low, high + 1)) if ends else int(rng.integers(low // 2 + high // 4, high // 2))


def codes(kind, shape, samples=SAMPLES):
    """Random codes; the first two samples are extreme."""
    low, high = LIMITS[kind]
    x = rng.integers(low, high + 1, (samples, *shape[1:]))
    x[0], x[1] = low, high
    x[2] = rng.choice([low, high], x[2].shape)
    return x.astype(kind)


def activation(draft, shape, kind, s=None, z=None, name=""):
    return draft.tensor(shape, kind, scale() if s is None else s, zero(kind) if z is None else z, name=name)


def product(kind, name, xshape, wshape, units, axis, yshape, options, per_channel, fused=0, before=(), **fields):
    """A product with weights; the first axis of samples is 1."""
    draft = Draft()
    x = activation(draft, xshape, kind, name="x")
    wkind = "uint8" if kind == "uint8" else "int8"
    low = 1 if wkind == "uint8" else -127
    weights = rng.integers(low, low + 254, wshape)
    wscale = np.float32(rng.uniform(0.002, 0.02, units)) if per_channel else scale(0.002, 0.02)
    wzero = 128 + int(rng.integers(-9, 9)) if wkind == "uint8" else 0
    w = draft.tensor(wshape, wkind, wscale, wzero, values=weights, axis=axis)
    fan = weights.size // units
    xs = draft.graph.tensors[x].quantization.scale[0]
    bkind = "int64" if kind == "int16" else "int32"
    bias = rng.integers(-fan * 900, fan * 900, units) * (100 if kind == "int16" else 1)
    b = draft.tensor((units,), bkind, np.float32(xs) * wscale, 0, values=bias)
    spread = xs * float(np.mean(wscale)) * 128 * 73 * np.sqrt(fan) * (200 if kind == "int16" else 1)
    y = activation(draft, yshape, kind, np.float32(spread / LIMITS[kind][1]))
    inputs = [t if isinstance(t, int) else draft.tensor(np.shape(t), "int32", values=t) for t in before]
    order = [*inputs, w, x, b] if name == "TRANSPOSE_CONV" else [x, w, b]
    version = 3 if name == "TRANSPOSE_CONV" else 4
    draft.operator(name, order, [y], options, version, fusedActivationFunction=fused, **fields)
    return draft.content([x], [y]), codes(kind, xshape)


def conv(kind, size=(3, 3), stride=1, dilation=1, padding=0, fused=0, channels=3, units=4, per_channel=True, groups=1):
    h = w = 7
    span = [dilation * (k - 1) + 1 for k in size]
    out = [-(-h // stride) if padding == 0 else (h - s) // stride + 1 for s in span]
    return product(
        kind, "CONV_2D", (1, h, w, channels), (units, *size, channels // groups), units, 0, (1, *out, units),
        "Conv2DOptions", per_channel, fused, strideH=stride, strideW=stride, dilationHFactor=dilation,
        dilationWFactor=dilation, padding=padding,
    )  # fmt: skip


def depthwise(kind, size=(3, 3), stride=1, dilation=1, padding=0, fused=0, channels=3, multiplier=1, per_channel=True):
    h = w = 7
    span = [dilation * (k - 1) + 1 for k in size]
    out = [-(-h // stride) if padding == 0 else (h - s) // stride + 1 for s in span]
    units = channels * multiplier
    return product(
        kind, "DEPTHWISE_CONV_2D", (1, h, w, channels), (1, *size, units), units, 3, (1, *out, units),
        "DepthwiseConv2DOptions", per_channel, fused, strideH=stride, strideW=stride, dilationHFactor=dilation,
        dilationWFactor=dilation, padding=padding, depthMultiplier=multiplier,
    )  # fmt: skip


def dense(kind, per_channel=False, fused=0, shape=(1, 9), keep=False, width=9):
    units = 5
    out = (*shape[:-1], units) if keep else (int(np.prod(shape)) // width, units)
    return product(
        kind, "FULLY_CONNECTED", shape, (units, width), units, 0, out, "FullyConnectedOptions", per_channel, fused,
        keepNumDims=keep,
    )  # fmt: skip


def transposed(kind, size=(3, 3), stride=2, padding=0, fused=0, odd=0):
    h, units, channels = 4, 3, 2
    out = [h * stride if padding == 0 else (h - 1) * stride + k for k in size]
    out = [n - odd for n in out]
    return product(
        kind, "TRANSPOSE_CONV", (1, h, h, channels), (units, *size, channels), units, 0, (1, *out, units),
        "TransposeConvOptions", True, fused, before=[np.array([1, *out, units], np.int32)], strideH=stride,
        strideW=stride, padding=padding,
    )  # fmt: skip


def binary(name, kind, options, fused=0, other=None, s=None, pot=False, shape=(1, 4, 5), constant=False):
    draft = Draft()
    other = shape if other is None else other
    one, two = (scale(), scale()) if s is None else s[:2]
    x = activation(draft, shape, kind, one, name="x")
    y = draft.tensor(
        other, kind, two, zero(kind), values=codes(kind, (3, *other[1:]), 3)[2:3] if constant else None, name="y"
    )
    out = scale(0.01, 0.3) if s is None else s[2]
    if name == "MUL":
        out = np.float32(one * two * LIMITS[kind][1])
    r = activation(draft, np.broadcast_shapes(shape, other), kind, out)
    fields = {} if options is None else {"fusedActivationFunction": fused}
    if name in ("ADD", "SUB"):
        fields["potScaleInt16"] = pot
    draft.operator(name, [x, y], [r], options, 2, **fields)
    given = [codes(kind, shape)] + ([] if constant else [codes(kind, other)[::-1].copy()])
    return draft.content([x] if constant else [x, y], [r]), *given


def alike(name, kind, options, shape=(1, 4, 5)):
    """An operator of two operands with one scale for all."""
    draft = Draft()
    s, z = scale(), zero(kind)
    x, y, r = (activation(draft, shape, kind, s, z) for _ in range(3))
    draft.operator(name, [x, y], [r], options)
    return draft.content([x, y], [r]), codes(kind, shape), codes(kind, shape)[::-1].copy()


def unary(
    name,
    kind,
    options=None,
    s=None,
    out=None,
    z=None,
    zout=None,
    shape=(1, 4, 16),
    version=1,
    extra=(),
    oshape=None,
    okind=None,
    **fields,
):
    draft = Draft()
    x = activation(draft, shape, kind, s, z, name="x")
    y = activation(draft, oshape or shape, okind or kind, out, zout)
    more = [draft.tensor(np.shape(v), np.asarray(v).dtype.name, values=v) for v in extra]
    draft.operator(name, [x, *more], [y], options, version, **fields)
    return draft.content([x], [y]), codes(kind, shape)


def every(kind):
    """All codes of 8 bits, in rows."""
    low, high = LIMITS[kind]
    return np.arange(low, high + 1).astype(kind).reshape(-1, 4, 16)


def table(name, kind, options=None, **more):
    content, _ = unary(name, kind, options, **more)
    x = every(kind) if kind != "int16" else codes(kind, (1, 4, 16), 60)
    return content, x


def moved(name, kind, shape, oshape, options=None, extra=(), first=False, outputs=1, version=1, **fields):
    """Elements in other places."""
    draft = Draft()
    s, z = scale(), zero(kind)
    x = activation(draft, shape, kind, s, z, name="x")
    more = [draft.tensor(np.shape(v), np.asarray(v).dtype.name, values=v) for v in extra]
    ys = [activation(draft, oshape, kind, s, z) for _ in range(outputs)]
    draft.operator(name, [*more, x] if first else [x, *more], ys, options, version, **fields)
    return draft.content([x], ys), codes(kind, shape)


def pool(name, kind, size=(2, 2), stride=2, padding=1, fused=0):
    h = w = 7
    out = [-(-h // stride) if padding == 0 else (h - k) // stride + 1 for k in size]
    draft = Draft()
    s, z = scale(), zero(kind, ends=True)
    x = activation(draft, (1, h, w, 3), kind, s, z, name="x")
    y = activation(draft, (1, *out, 3), kind, s, z)
    draft.operator(
        name, [x], [y], "Pool2DOptions", 2, filterHeight=size[0], filterWidth=size[1], strideH=stride, strideW=stride,
        padding=padding, fusedActivationFunction=fused,
    )  # fmt: skip
    return draft.content([x], [y]), codes(kind, (1, h, w, 3))


def mean(kind, axes, keep, same=False, shape=(1, 5, 6, 3)):
    draft = Draft()
    s, z = scale(), zero(kind)
    x = activation(draft, shape, kind, s, z, name="x")
    kept = [1 if k in axes else n for k, n in enumerate(shape)]
    out = kept if keep else [n for k, n in enumerate(shape) if k not in axes]
    y = activation(draft, out, kind, s if same else None, z if same else None)
    a = draft.tensor((len(axes),), "int32", values=np.array(axes, np.int32))
    draft.operator("MEAN", [x, a], [y], "ReducerOptions", 2, keepDims=keep)
    return draft.content([x], [y]), codes(kind, shape)


def softmax(kind, s, beta=1.0, n=10, rows=None):
    draft = Draft()
    shape = (1, n) if rows is None else (1, rows, n)
    x = activation(draft, shape, kind, np.float32(s), name="x")
    unit = (1 / 32768, 0) if kind == "int16" else (1 / 256, -128 if kind == "int8" else 0)
    y = draft.tensor(shape, kind, *unit)
    draft.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=beta)
    given = codes(kind, shape, 30)
    low, high = LIMITS[kind]
    near = rng.integers(low, low + (high - low) // 8, given[15:].shape)
    given[15:] = near
    return draft.content([x], [y]), given


def prelu(kind):
    draft = Draft()
    x = activation(draft, (1, 4, 4, 3), kind, name="x")
    a = draft.tensor(
        (1, 1, 3),
        "int8" if kind == "int16" else kind,
        0.004,
        zero("int8") if kind == "int8" else 0,
        values=rng.integers(0, 100, (1, 1, 3)),
    )
    y = activation(draft, (1, 4, 4, 3), kind)
    draft.operator("PRELU", [x, a], [y])
    return draft.content([x], [y]), codes(kind, (1, 4, 4, 3))


def matmul(kind, adj_y=False):
    draft = Draft()
    x = activation(draft, (1, 3, 4, 5), kind, name="x")
    y = activation(draft, (1, 3, 6, 5) if adj_y else (1, 3, 5, 6), kind, name="y")
    r = activation(draft, (1, 3, 4, 6), kind, np.float32(0.05 * 0.05 * LIMITS[kind][1] * 2))
    draft.operator("BATCH_MATMUL", [x, y], [r], "BatchMatMulOptions", 2, adjX=False, adjY=adj_y)
    shapes = [draft.graph.tensors[k].shape for k in (x, y)]
    return draft.content([x, y], [r]), *(codes(kind, shape) for shape in shapes)


def lstm(steps=3, width=4, units=3, coupled=False, clip=0.0, power=-12):
    """An LSTM of 8 bits; with ``coupled`` gates the input gate is what the forget gate leaves."""
    draft = Draft()
    s, h = scale(0.02, 0.03), (np.float32(1 / 200), 7)
    x = draft.tensor((1, steps, width), "int8", s, 11, name="x")

    def gates(columns, unit):
        scales = rng.uniform(0.003, 0.01, 4).astype(np.float32)
        found = [
            draft.tensor((units, columns), "int8", one, 0, values=rng.integers(-127, 128, (units, columns)))
            for one in scales
        ]
        return ([-1, *found[1:]] if coupled else found), scales * np.float32(unit)

    inside, products = gates(width, s)
    again, _ = gates(units, h[0])
    biases = [draft.tensor((units,), "int32", one, 0, values=rng.integers(-9000, 9000, units)) for one in products]
    state = draft.tensor((1, units), "int8", *h, variable=True)
    cell = draft.tensor((1, units), "int16", np.float32(2.0**power), 0, variable=True)
    y = draft.tensor((1, steps, units), "int8", *h)
    inner = [draft.tensor((0,), "float32") for _ in range(4)] + [draft.tensor((0,), "int8", *h)]
    listed = [x, *inside, *again, -1, -1, -1, *([-1] if coupled else biases[:1]), *biases[1:], -1, -1, state, cell]
    draft.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [*listed, -1, -1, -1, -1], [y], "UnidirectionalSequenceLSTMOptions", 3, inner,
        fusedActivationFunction=4, cellClip=clip, projClip=0.0, timeMajor=False,
    )  # fmt: skip
    return draft.content([x], [y]), codes("int8", (1, steps, width))


def outside(kind, direction):
    """Quantization of floating point, or back."""
    draft = Draft()
    q = activation(draft, (1, 4, 16), kind, np.float32(0.0473))
    f = draft.tensor((1, 4, 16), "float32", name="f")
    if direction == "QUANTIZE":
        draft.operator("QUANTIZE", [f], [q])
        x = rng.integers(-(1 << 12), 1 << 12, (SAMPLES, 4, 16)) / 256.0
        return draft.content([f], [q]), x.astype("float32")
    draft.operator("DEQUANTIZE", [q], [f])
    return draft.content([q], [f]), codes(kind, (1, 4, 16))


def strided(kind):
    return moved(
        "STRIDED_SLICE", kind, (1, 6, 7, 3), (1, 2, 3), "StridedSliceOptions",
        [np.array(v, np.int32) for v in ([0, 1, -1, 0], [1, 6, 0, 2], [1, 3, -2, 2])],
        beginMask=0, endMask=1, shrinkAxisMask=8,
    )  # fmt: skip


def ints(*values):
    return np.array(values, np.int32)


def join(name, kind, oshape, options, **fields):
    draft = Draft()
    s, z = scale(), zero(kind)
    x, y = (activation(draft, (1, 4, 5), kind, s, z) for _ in range(2))
    r = activation(draft, oshape, kind, s, z)
    draft.operator(name, [x, y], [r], options, **fields)
    return draft.content([x, y], [r]), codes(kind, (1, 4, 5)), codes(kind, (1, 4, 5))[::-1].copy()


def thirds():
    """A fully connected layer whose products are halves, but for the rounding of a sixth."""
    draft = Draft()
    x = draft.tensor((1, 1), "int8", 1.0, 0, name="x")
    w = draft.tensor((1, 1), "int8", 1.0, 0, values=[[1]])
    y = draft.tensor((1, 1), "int8", 6.0, 0)
    draft.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 4)
    return draft.content([x], [y]), np.arange(-128, 128).astype("int8").reshape(-1, 1)
