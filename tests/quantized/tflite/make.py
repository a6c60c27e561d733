"""Writes the models, inputs and outputs of ``tests/quantized/test_tflite.py``.

Run it twice, in two environments:

    pip install ai-edge-litert==2.3.0 tensorflow-cpu==2.21.0 && python make.py single
    pip install tensorflow-cpu==2.14.1 "numpy<2" && python make.py double

The first writes the models and what the reference kernels of today's interpreter give, the second adds what those of
TensorFlow 2.14 do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from flat import Draft

HERE = Path(__file__).parent / "models"
FILES = ("int8", "int16", "uint8", "networks", "more")
SAMPLES = 12
WHOLE = (
    "dense_int8_fused1", "conv_uint8_valid", "lstm_int8_clipped", "mlp_int8_codes", "cnn_int8_codes", "residual_int8_codes",
    "sequence_int8_floats", "mlp_int16_codes", "float32_mlp", "dynamic_lstm", "float32_embedding",
)  # fmt: skip
"""Models that have files of their own, too: those that are built in tests of backends."""
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


def _ints(*values):
    return np.array(values, np.int32)


def cases():
    for kind in ("int8", "int16", "uint8"):
        per = kind != "uint8"
        for fused in (0, 1, 3) + ((2,) if per else ()):
            yield f"dense_{kind}_fused{fused}", dense(kind, fused=fused)
        if per:
            yield f"dense_{kind}_channels", dense(kind, True)
        yield f"dense_{kind}_image", dense(kind, shape=(1, 3, 3, 4), width=36)
        yield f"dense_{kind}_keep", dense(kind, shape=(1, 3, 9), keep=True)
        for key, more in {
            "plain": {}, "valid": {"padding": 1, "fused": 1}, "strided": {"stride": 2, "fused": 3}, "dilated": {"dilation": 2},
            "strided_valid": {"stride": 2, "padding": 1}, "wide": {"size": (1, 5)}, "pointwise": {"size": (1, 1)},
        }.items():  # fmt: skip
            yield f"conv_{kind}_{key}", conv(kind, per_channel=per, **more)
            yield f"depthwise_{kind}_{key}", depthwise(kind, per_channel=per, **more)
        yield f"depthwise_{kind}_multiplier", depthwise(kind, per_channel=per, multiplier=2)
        if per:
            yield f"conv_{kind}_groups", conv(kind, groups=2, channels=4)
            yield f"conv_{kind}_tensor", conv(kind, per_channel=False)
            for key, more in {
                "same": {},
                "valid": {"padding": 1, "fused": 1},
                "odd": {"odd": 1},
                "gap": {"size": (1, 1)},
            }.items():
                yield f"transposed_{kind}_{key}", transposed(kind, **more)
            yield f"matmul_{kind}", matmul(kind)
            yield f"matmul_{kind}_adjoint", matmul(kind, True)
        for name in ("ADD", "SUB", "MUL"):
            options = f"{name.capitalize()}Options"
            yield f"{name.lower()}_{kind}", binary(name, kind, options)
            yield f"{name.lower()}_{kind}_relu", binary(name, kind, options, 1)
            yield f"{name.lower()}_{kind}_broadcast", binary(name, kind, options, 3, (1, 1, 5))
            yield f"{name.lower()}_{kind}_constant", binary(name, kind, options, 0, constant=True)
        for name in ("ADD", "SUB"):
            options = f"{name.capitalize()}Options"
            if kind == "int16":
                powers = (2.0**-12, 2.0**-10, 2.0**-10)
                yield f"{name.lower()}_{kind}_powers", binary(name, kind, options, 0, s=powers, pot=True)
            equal = (np.float32(0.05),) * 2 + (np.float32(0.1),)
            yield f"{name.lower()}_{kind}_equal", binary(name, kind, options, 0, s=equal)
        for name in ("MAXIMUM", "MINIMUM"):
            yield f"{name.lower()}_{kind}", alike(name, kind, "MaximumMinimumOptions")
        for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            short = name.split("_")[0].lower()
            yield f"{short}_pool_{kind}", pool(name, kind)
            yield f"{short}_pool_{kind}_same", pool(name, kind, (3, 3), 2, 0)
            yield f"{short}_pool_{kind}_relu", pool(name, kind, (2, 3), 1, 0, 1)
            yield f"{short}_pool_{kind}_even", pool(name, kind, (4, 4), 1, 0, 3)
        for key, axes, keep in (
            ("image", [1, 2], True),
            ("rows", [1], False),
            ("channels", [3], True),
            ("all", [1, 2, 3], False),
        ):
            yield f"mean_{kind}_{key}", mean(kind, axes, keep)
        yield f"mean_{kind}_same", mean(kind, [1, 2], False, same=True)
        yield f"mean_{kind}_same_keep", mean(kind, [1, 2], True, same=True)
        for s in (0.01, 0.1, 0.9):
            for n in (1, 2, 10):
                shown = 0.001 if kind == "int16" else 1
                yield f"softmax_{kind}_{s}_{n}", softmax(kind, s * shown, n=n)
        yield f"softmax_{kind}_rows", softmax(kind, 0.05 if per and kind == "int8" else 0.0003, 0.7, 5, 3)
        unit = {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}[kind]
        for k, s in enumerate((0.0123, 0.07) if kind != "int16" else (2.0**-12, 0.0003, 0.00017, 0.002)):
            yield f"logistic_{kind}_{k}", table("LOGISTIC", kind, s=np.float32(s), out=unit[0], zout=unit[1])
        unit = {"int8": (1 / 128, 0), "uint8": (1 / 128, 128), "int16": (1 / 32768, 0)}[kind]
        for k, s in enumerate((0.0123, 0.07) if kind != "int16" else (2.0**-12, 2.0**-11, 0.0003, 0.002)):
            yield f"tanh_{kind}_{k}", table("TANH", kind, s=np.float32(s), out=unit[0], zout=unit[1])
        for name in ("RELU", "RELU6") + (("RELU_N1_TO_1",) if kind != "int16" else ()):
            yield f"{name.lower()}_{kind}", table(name, kind, s=np.float32(0.06), out=np.float32(0.031))
        for k, alpha in enumerate((0.2, 1.5) + ((-0.3,) if kind != "int16" else ())):
            yield (
                f"leaky_relu_{kind}_{k}",
                table("LEAKY_RELU", kind, "LeakyReluOptions", s=np.float32(0.041), alpha=alpha, version=2),
            )
        yield f"prelu_{kind}", prelu(kind)
        if kind != "int16":
            for k, (s, out) in enumerate(((0.05, 0.04), (0.4, 0.41), (0.001, 0.003), (0.0234, 0.02))):
                yield f"hard_swish_{kind}_{k}", table("HARD_SWISH", kind, s=np.float32(s), out=np.float32(out))
        yield f"quantize_{kind}", table("QUANTIZE", kind, "QuantizeOptions", version=2)
        yield f"quantize_{kind}_float", outside(kind, "QUANTIZE")
        yield f"dequantize_{kind}", outside(kind, "DEQUANTIZE")
        yield f"reshape_{kind}", moved("RESHAPE", kind, (1, 4, 6), (1, 3, 8), "ReshapeOptions", [_ints(1, -1, 8)])
        yield f"squeeze_{kind}", moved("SQUEEZE", kind, (1, 4, 1, 6), (1, 4, 6), "SqueezeOptions", squeezeDims=[2])
        yield (
            f"expand_dims_{kind}",
            moved("EXPAND_DIMS", kind, (1, 4, 6), (1, 4, 1, 6), "ExpandDimsOptions", [np.array(2, np.int32)]),
        )
        yield (
            f"transpose_{kind}",
            moved("TRANSPOSE", kind, (1, 4, 5, 6), (1, 6, 4, 5), "TransposeOptions", [_ints(0, 3, 1, 2)]),
        )
        pads = np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32)
        yield f"pad_{kind}", moved("PAD", kind, (1, 4, 5, 2), (1, 7, 6, 2), "PadOptions", [pads])
        yield (
            f"slice_{kind}",
            moved("SLICE", kind, (1, 6, 7), (1, 3, 5), "SliceOptions", [_ints(0, 2, 2), _ints(1, 3, -1)]),
        )
        yield f"strided_slice_{kind}", strided(kind)
        yield (
            f"split_{kind}",
            moved("SPLIT", kind, (1, 6, 4), (1, 3, 4), "SplitOptions", [np.array(1, np.int32)], True, 2, numSplits=2),
        )
        yield f"unpack_{kind}", moved("UNPACK", kind, (1, 3, 4), (1, 4), "UnpackOptions", outputs=3, num=3, axis=1)
        yield f"gather_{kind}", moved("GATHER", kind, (1, 6, 4), (1, 3, 4), "GatherOptions", [_ints(4, 0, 4)], axis=1)
        yield f"pack_{kind}", join("PACK", kind, (1, 2, 4, 5), "PackOptions", valuesCount=2, axis=1)
        yield f"concatenation_{kind}", join("CONCATENATION", kind, (1, 4, 10), "ConcatenationOptions", axis=-1)
    yield "dense_int8_sixths", thirds()
    yield "lstm_int8", lstm()
    yield "lstm_int8_coupled", lstm(2, coupled=True, power=-14)
    yield "lstm_int8_clipped", lstm(2, clip=1.5, power=-11)
    yield (
        "quantize_to_uint8",
        table("QUANTIZE", "int8", "QuantizeOptions", okind="uint8", s=0.05, out=0.05, z=3, zout=131),
    )
    yield "quantize_of_uint8", table("QUANTIZE", "uint8", "QuantizeOptions", okind="int8", s=0.05, out=0.04)
    yield "quantize_of_int16", table("QUANTIZE", "int16", "QuantizeOptions", okind="int8", s=0.0005, out=0.04)
    yield "quantize_to_int16", table("QUANTIZE", "int8", "QuantizeOptions", okind="int16", s=0.05, out=0.0004, zout=0)


def join(name, kind, oshape, options, **fields):
    draft = Draft()
    s, z = scale(), zero(kind)
    x, y = (activation(draft, (1, 4, 5), kind, s, z) for _ in range(2))
    r = activation(draft, oshape, kind, s, z)
    draft.operator(name, [x, y], [r], options, **fields)
    return draft.content([x, y], [r]), codes(kind, (1, 4, 5)), codes(kind, (1, 4, 5))[::-1].copy()


def interpreters():
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        return Interpreter, OpResolverType.BUILTIN_REF
    except ImportError:
        import tensorflow as tf

        return tf.lite.Interpreter, tf.lite.experimental.OpResolverType.BUILTIN_REF


def outputs(content, inputs, interpreter=None):
    """What the reference kernels, or those of the ``interpreter``, give, sample by sample."""
    make, kernels = interpreters()
    interpreter = interpreter or make(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    places = [one["index"] for one in interpreter.get_input_details()]
    results = [one["index"] for one in interpreter.get_output_details()]
    found = []
    for row in zip(*inputs, strict=True):
        for place, value in zip(places, row, strict=True):
            interpreter.set_tensor(place, value[None])
        interpreter.invoke()
        found.append([interpreter.get_tensor(result)[0] for result in results])
        interpreter.reset_all_variables()
    return [np.stack(column) for column in zip(*found, strict=True)]


def networks():
    """What TensorFlow's converter makes of networks: inputs that saturate, too."""
    from networks import NETWORKS, converted

    for name in NETWORKS:
        for kind, outside in (("int8", "codes"), ("int8", "floats"), ("int16", "codes"), ("int16", "floats")):
            content = converted(name, kind, outside)
            interpreter = interpreters()[0](model_content=content)
            shape = interpreter.get_input_details()[0]["shape"]
            if outside == "codes":
                yield f"{name}_{kind}_codes", (content, codes(kind, shape))
            else:
                x = rng.normal(size=(SAMPLES, *shape[1:])) * np.linspace(0.5, 3, SAMPLES).reshape(
                    -1, *[1] * (len(shape) - 1)
                )
                yield f"{name}_{kind}_floats", (content, (np.rint(x * 256) / 256).astype("float32"))


def made():
    """All models by the file that they are in."""
    for name, case in cases():
        yield next(kind for kind in ("uint8", "int16", "int8") if f"_{kind}" in name), name, case
    for name, case in networks():
        yield "networks", name, case
    import more

    for name, (content, *inputs) in more.cases():
        yield "more", name, (content, *(x[:8] for x in inputs))


def stored_with(stored, name, content, inputs, rounding):
    """The outputs of one model beside what is known of it."""
    try:
        results = outputs(content, inputs)
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"{name} has no reference: {str(error)[:200]}\n")
        return {}
    return stored | {f"{name}/{rounding}{k}": y for k, y in enumerate(results)}


def refused():
    """Models that are to be refused, by the reason."""
    draft = Draft()
    x, y = draft.tensor((1, 4), "int8", 0.1, 3, name="x"), draft.tensor((1, 3), "float32", name="y")
    w = draft.tensor((3, 4), "int8", 0.01, 0, values=np.ones((3, 4)))
    draft.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 3)
    yield "mixed", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int8", 0.1, 3, name=name) for name in ("x", "y"))
    draft.operator("MATRIX_DIAG", [x], [y])
    yield "unknown", draft.content([x], [y])
    for name, kind, code, given in (
        ("top", "int8", "TOPK_V2", np.array(2, np.int32)), ("quotient", "int16", "DIV", None),
        ("zero", "int8", "DIV", np.zeros((1, 4), np.int8)), ("sum", "int16", "SUM", np.array([1], np.int32)),
    ):  # fmt: skip
        draft = Draft()
        x, y = (draft.tensor((1, 4), kind, 0.1, 0, name=tensor) for tensor in "xy")
        other = x if given is None else draft.tensor(given.shape, given.dtype.name, 0.1, 0, values=given)
        draft.operator(code, [x, other], [y])
        yield name, draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "float32", name=tensor) for tensor in "xy")
    draft.operator("FAKE_QUANT", [x], [y], "FakeQuantOptions", min=-1.0, max=1.0, numBits=8, narrowRange=True)
    yield "narrow", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, n), "int8", 0.1, 3, name=name) for n, name in ((9000, "x"), (1, "y")))
    w = draft.tensor((1, 9000), "int8", 0.01, 0, values=np.full((1, 9000), 127))
    b = draft.tensor((1,), "int32", 0.001, 0, values=[2**31 - 5])
    draft.operator("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", 3)
    yield "overflow", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int8", 0.1, 3, name=name) for name in ("x", "y"))
    room = draft.tensor((64,), "uint8", name="scratch")
    draft.operator("CUSTOM", [x, room], [y])
    draft.model.operatorCodes[0].customCode = "ethos-u"
    yield "vela", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, *sizes), "float32", name=name) for sizes, name in (((2, 3), "x"), ((6,), "y")))
    wanted = draft.tensor((2,), "int32", name="wanted")
    draft.operator("RESHAPE", [x, wanted], [y], "ReshapeOptions")
    yield "shape", draft.content([x, wanted], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), kind, name=name) for kind, name in (("resource", "x"), ("float32", "y")))
    draft.operator("ABS", [x], [y], "AbsOptions")
    yield "resource", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, 4), "int8", 0.1, 3, name=name) for name in ("x", "y"))
    draft.operator("SQRT", [x], [y])
    yield "codes", draft.content([x], [y])
    draft = Draft()
    x, y = (draft.tensor((1, n), "int8", 0.1, 3, name=name) for n, name in ((4, "x"), (3, "y")))
    w = draft.tensor((3, 4), "int8", [0.01, 0.02, 0.03], 0, values=np.ones((3, 4)), axis=0)
    b = draft.tensor((3,), "int32", [0.001, 0.002, 0.003], 0, values=[5, 6, 7], axis=3)
    draft.operator("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", 4)
    yield "axis", draft.content([x], [y])


def thirds():
    """A fully connected layer whose products are halves, but for the rounding of a sixth."""
    draft = Draft()
    x = draft.tensor((1, 1), "int8", 1.0, 0, name="x")
    w = draft.tensor((1, 1), "int8", 1.0, 0, values=[[1]])
    y = draft.tensor((1, 1), "int8", 6.0, 0)
    draft.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 4)
    return draft.content([x], [y]), np.arange(-128, 128).astype("int8").reshape(-1, 1)


def main(rounding: str) -> None:
    files: dict[str, dict[str, np.ndarray]] = {file: {} for file in FILES}
    if rounding == "single":
        for file, name, (content, *inputs) in made():
            first = {f"{name}/model": np.frombuffer(content, np.uint8)} | {
                f"{name}/x{k}": x for k, x in enumerate(inputs)
            }
            files[file] |= stored_with(first, name, content, inputs, rounding)
        import more

        for name, content, x, y in more.signed_sums():
            model = np.frombuffer(content, np.uint8)
            files["more"] |= {f"{name}/model": model, f"{name}/x0": x, f"{name}/single0": y}
    else:
        for file in FILES:
            files[file] = dict(np.load(HERE / f"{file}.npz"))
            for name in [key.split("/")[0] for key in files[file] if key.endswith("/model")]:
                inputs = [files[file][f"{name}/x{k}"] for k in range(9) if f"{name}/x{k}" in files[file]]
                files[file] |= stored_with({}, name, files[file][f"{name}/model"].tobytes(), inputs, rounding)
    HERE.mkdir(exist_ok=True)
    if rounding == "single":
        import floats
        import streams

        files["floats"], files["streams"] = floats.stored(), streams.stored()
    np.savez_compressed(HERE / "refused.npz", **{name: np.frombuffer(c, np.uint8) for name, c in refused()})
    for file, stored in files.items():
        np.savez_compressed(HERE / f"{file}.npz", **stored)
        for name in WHOLE:
            if f"{name}/model" in stored:
                (HERE / f"{name}.tflite").write_bytes(stored[f"{name}/model"].tobytes())


if __name__ == "__main__":
    main(sys.argv[1])
