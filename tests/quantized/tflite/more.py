"""Further operators of TensorFlow Lite for ``make.py``: what moves, compares and interpolates codes, and more tables."""

from __future__ import annotations

import drafts
import flatbuffers
import numpy as np
from flat import Draft, schema
from make import outputs

drafts.rng.bit_generator.state = np.random.default_rng(13).bit_generator.state  # whatever else was drawn

KINDS = ("int8", "int16", "uint8")


def joined(kind, scales, zeros):
    """A concatenation of tensors with scales of their own."""
    draft = Draft()
    parts = [drafts.activation(draft, (1, 4, 5), kind, s, z) for s, z in zip(scales, zeros, strict=True)]
    y = drafts.activation(draft, (1, 4, 15), kind, np.float32(0.043), 0 if kind == "int16" else 100)
    draft.operator("CONCATENATION", parts, [y], "ConcatenationOptions", axis=2)
    given = [drafts.codes(kind, (1, 4, 5)) for _ in parts]
    return draft.content(parts, [y]), *given


def resized(name, kind, new, **fields):
    """An image of 5 rows and 7 columns in another size."""
    sizes = np.array(new, np.int32)
    return drafts.moved(name, kind, (1, 5, 7, 2), (1, *new, 2), f"{name_of(name)}Options", [sizes], **fields)


def name_of(name):
    """RESIZE_BILINEAR as ResizeBilinear."""
    return "".join(word.capitalize() for word in name.split("_"))


def reduced(name, kind, axes, keep):
    """Extremes over axes."""
    kept = [1 if k in axes else n for k, n in enumerate((1, 4, 5, 3))]
    out = kept if keep else [n for k, n in enumerate((1, 4, 5, 3)) if k not in axes]
    return drafts.moved(
        name, kind, (1, 4, 5, 3), out, "ReducerOptions", [np.array(axes, np.int32)], version=2, keepDims=keep
    )


def place(name, kind):
    """The place of the greatest or least code."""
    draft = Draft()
    x = drafts.activation(draft, (1, 4, 6), kind, name="x")
    axis, y = draft.tensor((), "int32", values=np.array(2, np.int32)), draft.tensor((1, 4), "int32")
    options = "ArgMaxOptions" if name == "ARG_MAX" else "ArgMinOptions"
    draft.operator(name, [x, axis], [y], options, 2, outputType=2)
    given = drafts.codes(kind, (1, 4, 6))
    given[4:] = np.clip(given[4:], 0, 3)
    return draft.content([x], [y]), given


def normalized(kind):
    """Rows by their lengths: any, and short ones."""
    middle = 3 if kind == "int8" else 131
    content, x = drafts.unary(
        "L2_NORMALIZATION", kind, "L2NormOptions", z=middle, shape=(1, 4, 3), out=1 / 128, zout=middle - 3, version=2
    )
    for k, width in enumerate((1, 2, 5, 40), 4):
        x[k] = drafts.rng.integers(middle - width, middle + width, x[k].shape)
    return content, x


WAYS = {"": {}, "_corners": {"alignCorners": True}, "_centers": {"halfPixelCenters": True}}
SIZES = {"grown": (10, 14), "odd": (8, 3), "shrunk": (2, 4)}


def images(kind):
    """All ways of all sizes for one type; of uint8 those that single precision does not round."""
    sizes = SIZES if kind == "int8" else {"odd": SIZES["odd"]} if kind == "int16" else {"grown": SIZES["grown"]}
    for key, new in sizes.items():
        for way, fields in WAYS.items():
            yield f"nearest_{kind}_{key}{way}", resized("RESIZE_NEAREST_NEIGHBOR", kind, new, **fields)
            if kind != "uint8" or way != "_corners":
                yield f"bilinear_{kind}_{key}{way}", resized("RESIZE_BILINEAR", kind, new, version=3, **fields)


def moves(kind):
    """Elements in other places."""

    def one(name, old, new, options, *extra, version=1, **fields):
        key = f"{name.lower()}_{kind}{fields.get('mode', '')}"
        given = [np.array(list_of, np.int32) for list_of in extra]
        return key, drafts.moved(name, kind, old, new, f"{options}Options", given, version=version, **fields)

    pads = [[0, 0], [1, 2], [0, 1], [0, 0]]
    for mode in (0, 1):
        yield one("MIRROR_PAD", (1, 4, 5, 2), (1, 7, 6, 2), "MirrorPad", pads, mode=mode)
    if kind != "int16":
        yield one("SPACE_TO_DEPTH", (1, 4, 6, 3), (1, 2, 3, 12), "SpaceToDepth", blockSize=2)
        yield one("DEPTH_TO_SPACE", (1, 2, 3, 12), (1, 4, 6, 3), "DepthToSpace", blockSize=2)
    yield one("REVERSE_V2", (1, 4, 5), (1, 4, 5), "ReverseV2", [1])
    yield one("TILE", (1, 2, 3), (1, 4, 9), "Tile", [1, 2, 3])
    yield one("BROADCAST_TO", (1, 1, 3), (1, 4, 3), "BroadcastTo", [1, 4, 3], version=2)


def tables(kind):
    """Functions of all codes of 8 bits."""
    unit = {"s": np.float32(0.031), "out": np.float32(0.05)}
    if kind == "int8":
        yield "exp_int8", drafts.table("EXP", kind, "ExpOptions", **unit)
        yield "log_int8", drafts.table("LOG", kind, **unit)
    for approximate in (False, True):
        yield f"gelu_{kind}_{approximate:d}", drafts.table("GELU", kind, "GeluOptions", approximate=approximate, **unit)
    yield f"relu_0_to_1_{kind}", drafts.table("RELU_0_TO_1", kind, **unit)


def cases():
    """All of them by name."""
    for kind in KINDS:
        yield from images(kind)
        yield from moves(kind)
        for name in ("REDUCE_MAX", "REDUCE_MIN"):
            yield f"{name.lower()}_{kind}", reduced(name, kind, [1, 2], True)
            yield f"{name.lower()}_{kind}_rows", reduced(name, kind, [1], False)
        if kind != "int16":
            yield from tables(kind)
            yield f"arg_max_{kind}", place("ARG_MAX", kind)
            yield f"arg_min_{kind}", place("ARG_MIN", kind)
        if kind != "int8":
            zeros = (0, 0, 0) if kind == "int16" else (30, 100, 77)
            yield f"concatenation_{kind}_scales", joined(kind, (0.0317, 0.043, 0.1), zeros)
        if kind != "uint8":
            yield f"abs_{kind}", drafts.unary("ABS", kind, "AbsOptions", s=np.float32(0.031), out=np.float32(0.025))
            yield f"abs_{kind}_same", drafts.moved("ABS", kind, (1, 4, 5), (1, 4, 5), "AbsOptions")
    yield "squared_difference_int8", drafts.binary("SQUARED_DIFFERENCE", "int8", None)
    for kind in ("int8", "uint8"):
        yield f"l2_normalization_{kind}", normalized(kind)
    yield from later()


def divided(kind, divisor=False, dividend=False, fused=0):
    """Quotients of codes that are not near the zero point, where kernels shift by more than 31 bits, or by a constant row."""
    draft, zero = Draft(), int(drafts.rng.integers(-9, 9)) + (128 if kind == "uint8" else 0)
    low, high = drafts.LIMITS[kind]
    x = drafts.codes(kind, (1, 4, 5)).astype(int)
    x[np.abs(x - zero) < 16] = high
    y = x[::-1].copy()
    x[4:] = drafts.rng.integers(low, high + 1, x[4:].shape)
    x[np.abs(x - zero) < 16] = low
    tensors, given = [], []
    for codes, scale, constant in ((x, 0.05, dividend), (y, 0.031, divisor)):
        values = codes[5:6, 1:2].astype(kind) if constant else None
        shape = (1, 1, 5) if constant else (1, 4, 5)
        tensors.append(draft.tensor(shape, kind, np.float32(scale), zero, values=values))
        given += [] if constant else [codes.astype(kind)]
    r = drafts.activation(draft, (1, 4, 5), kind, np.float32(0.17))
    draft.operator("DIV", tensors, [r], "DivOptions", 2, fusedActivationFunction=fused)
    inputs = [t for t, constant in zip(tensors, (dividend, divisor), strict=True) if not constant]
    return draft.content(inputs, [r]), *given


def signed(content, x):
    """A model of unsigned codes and its inputs, with signed ones, which mean the same."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.UINT8:
            tensor.type, tensor.quantization.zeroPoint = (
                schema.TensorType.INT8,
                [tensor.quantization.zeroPoint[0] - 128],
            )
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), (x.astype(int) - 128).astype("int8")


def signed_sums():
    """Models of signed codes, inputs and what optimized kernels give: the reference kernel takes int8 for uint8."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    drafts.rng.bit_generator.state = np.random.default_rng(14).bit_generator.state
    for key, *fields in (
        ("", [1, 2], True),
        ("_rows", [3], False),
        ("_same", [1], True, True),
        ("_halves", [1, 2], True, False, 2),
        ("_near_halves", [1, 2], True, False, 42),
    ):
        content, x = signed(*summed(*fields))
        interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
        yield f"sum_int8{key}", content, x, outputs(content, [x], interpreter)[0]


def summed(axes, keep, same=False, ratio=5):
    """Sums of unsigned codes over axes, also into their own scale and zero point."""
    kept = [1 if k in axes else n for k, n in enumerate((1, 4, 5, 3))]
    out = kept if keep else [n for k, n in enumerate((1, 4, 5, 3)) if k not in axes]
    s, z = drafts.scale(), drafts.zero("uint8")
    return drafts.unary(
        "SUM", "uint8", "ReducerOptions", s=s, z=z, out=s if same else np.float32(s * ratio), zout=z if same else None,
        shape=(1, 4, 5, 3), oshape=out, extra=[np.array(axes, np.int32)], version=2, keepDims=keep,
    )  # fmt: skip


def largest(kind):
    """The greatest element of each row and its place."""
    draft = Draft()
    s, z = drafts.scale(), drafts.zero(kind)
    x, y = drafts.activation(draft, (1, 4, 6), kind, s, z), drafts.activation(draft, (1, 4, 1), kind, s, z)
    count, place = draft.tensor((), "int32", values=np.array(1, np.int32)), draft.tensor((1, 4, 1), "int32")
    draft.operator("TOPK_V2", [x, count], [y, place], "TopKV2Options", 2)
    given = drafts.codes(kind, (1, 4, 6))
    given[4:] = np.clip(given[4:], 0, 3)
    return draft.content([x], [y, place]), given


def later():
    """Functions of 16 bits, quotients, sums and greatest elements."""
    unit = {"s": np.float32(0.0002), "out": np.float32(0.03)}
    yield "exp_int16", drafts.table("EXP", "int16", "ExpOptions", **unit)
    yield "exp_int16_small", drafts.table("EXP", "int16", "ExpOptions", s=np.float32(2**-12), out=np.float32(2**-4))
    for approximate in (False, True):
        yield (
            f"gelu_int16_{approximate:d}",
            drafts.table(
                "GELU", "int16", "GeluOptions", approximate=approximate, s=np.float32(0.00031), out=np.float32(0.00027)
            ),
        )
    for kind in ("int8", "uint8"):
        yield f"div_{kind}", divided(kind)
        yield f"div_{kind}_by_constant", divided(kind, divisor=True, fused=1)
        yield f"div_{kind}_of_constant", divided(kind, dividend=True)
    yield "sum_uint8", summed([1, 2], True)
    yield "sum_uint8_rows", summed([3], False)
    yield "sum_uint8_same", summed([1], True, same=True)
    for kind in KINDS:
        yield f"topk_{kind}", largest(kind)
