"""Operators on floating point for ``make.py``, each with its options, and networks that TensorFlow's converter leaves in it."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from dequantized import dequantized
from flat import Draft
from make import outputs

SAMPLES = 3
rng = np.random.default_rng(29)

UNARY = (  # noqa: SIM905
    "ABS CEIL COS ELU EXP FLOOR HARD_SWISH LOGISTIC LOG_SOFTMAX NEG RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 ROUND SIGN SIN SQUARE "
    "TANH"
).split()
POSITIVE = ["LOG", "RSQRT", "SQRT"]
BINARY = ["ADD", "DIV", "MUL", "SUB"]
PAIRS = ["FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"]
RELATIONS = ["EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"]
REDUCTIONS = ["MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM"]


def ints(*values):
    return np.array(values, np.int32)


def floats(*shape, low=-1.0):
    return rng.uniform(low, 1.0, shape).astype("float32")


def model(name, operands, options=None, kind="float32", outputs=1, version=1, yshape=(1,), **fields):
    """A model of one operator: operands are shapes of inputs, or constants."""
    draft = Draft()
    tensors, inputs = [], []
    for one in operands:
        if one is None:
            tensors.append(-1)
        elif isinstance(one, np.ndarray):
            tensors.append(draft.tensor(one.shape, one.dtype.name, values=one))
        else:
            tensors.append(draft.tensor(one, "float32", name=f"x{len(inputs)}"))
            inputs.append(tensors[-1])
    ys = [draft.tensor(yshape, kind, name=f"y{k}") for k in range(outputs)]
    draft.operator(name, tensors, ys, options, version, **fields)
    return sized(draft, inputs, ys)


def interpreter(content):
    """The interpreter's own kernels: the reference kernels lack some operators."""
    found = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    found.allocate_tensors()
    return found


def sized(draft, inputs, outputs):
    """The model with the shapes of results that the interpreter finds."""
    for one in interpreter(draft.content(inputs, outputs)).get_tensor_details():
        if one["index"] < len(draft.graph.tensors):
            draft.graph.tensors[one["index"]].shape = one["shape"].tolist()
    return draft.content(inputs, outputs)


def with_inputs(content, shapes, low=-2.5, high=2.5):
    return content, *(rng.uniform(low, high, (SAMPLES, *shape[1:])).astype("float32") for shape in shapes)


def case(name, *operands, low=-2.5, high=2.5, **fields):
    shapes = [one for one in operands if isinstance(one, tuple)]
    return with_inputs(model(name, operands, **fields), shapes, low, high)


def products():
    for fused in range(4):
        yield (
            f"dense_{fused}",
            case(
                "FULLY_CONNECTED",
                (1, 6),
                floats(4, 6),
                floats(4),
                options="FullyConnectedOptions",
                fusedActivationFunction=fused,
            ),
        )
    yield "dense_without_bias", case("FULLY_CONNECTED", (1, 6), floats(4, 6), None, options="FullyConnectedOptions")
    for keep in (False, True):
        yield (
            f"dense_rows_{keep}",
            case(
                "FULLY_CONNECTED", (1, 1, 6), floats(4, 6), floats(4), options="FullyConnectedOptions", keepNumDims=keep
            ),
        )
    yield (
        "dense_keep",
        case("FULLY_CONNECTED", (1, 3, 6), floats(4, 6), floats(4), options="FullyConnectedOptions", keepNumDims=True),
    )
    yield "dense_flat", case("FULLY_CONNECTED", (1, 3, 2), floats(4, 6), floats(4), options="FullyConnectedOptions")


def convolutions():
    for k, (size, stride, dilation, padding, fused) in enumerate(
        (((3, 3), 1, 1, 0, 0), ((3, 2), 2, 1, 0, 1), ((2, 3), 1, 2, 1, 3), ((3, 3), 2, 1, 1, 2), ((1, 1), 1, 1, 0, 0))
    ):
        windows = {
            "strideH": stride, "strideW": stride, "dilationHFactor": dilation, "dilationWFactor": dilation,
            "padding": padding, "fusedActivationFunction": fused,
        }  # fmt: skip
        yield (
            f"conv_{k}",
            case("CONV_2D", (1, 7, 6, 3), floats(4, *size, 3), floats(4), options="Conv2DOptions", **windows),
        )
        yield f"depthwise_{k}", case(
            "DEPTHWISE_CONV_2D", (1, 7, 6, 3), floats(1, *size, 3 + 3 * (k % 2)), floats(3 + 3 * (k % 2)),
            options="DepthwiseConv2DOptions", depthMultiplier=1 + k % 2, **windows,
        )  # fmt: skip
    yield (
        "conv_groups",
        case("CONV_2D", (1, 5, 5, 4), floats(6, 3, 3, 2), floats(6), options="Conv2DOptions", strideH=1, strideW=1),
    )


def transposed():
    for k, (size, stride, padding, shape) in enumerate(
        (
            ((3, 3), 2, 0, (1, 8, 8, 3)),
            ((3, 3), 2, 1, (1, 9, 9, 3)),
            ((2, 2), 2, 0, (1, 7, 8, 3)),
            ((1, 1), 2, 0, (1, 8, 8, 3)),
        )
    ):
        yield f"transposed_{k}", case(
            "TRANSPOSE_CONV", ints(*shape), floats(3, *size, 2), (1, 4, 4, 2), floats(3), options="TransposeConvOptions",
            version=3, strideH=stride, strideW=stride, padding=padding, fusedActivationFunction=k % 2,
        )  # fmt: skip
    strides = {"strideD": 1, "strideH": 2, "strideW": 1}
    yield (
        "conv_3d",
        case(
            "CONV_3D",
            (1, 4, 5, 5, 2),
            floats(2, 3, 2, 2, 3),
            floats(3),
            options="Conv3DOptions",
            fusedActivationFunction=1,
            **strides,
        ),
    )
    yield (
        "transposed_3d",
        case(
            "CONV_3D_TRANSPOSE",
            ints(1, 4, 10, 5, 3),
            floats(2, 3, 2, 3, 2),
            (1, 4, 5, 5, 2),
            floats(3),
            options="Conv3DOptions",
            **strides,
        ),
    )
    for x, y in ((False, False), (True, False), (False, True)):
        shapes = (1, 2, 4, 3) if x else (1, 2, 3, 4), (1, 2, 5, 4) if y else (1, 2, 4, 5)
        yield f"matmul_{x}_{y}", case("BATCH_MATMUL", *shapes, options="BatchMatMulOptions", adjX=x, adjY=y)
    yield (
        "matmul_constant",
        case("BATCH_MATMUL", (1, 3, 4), floats(1, 4, 5), options="BatchMatMulOptions", adjX=False, adjY=False),
    )


def elements():
    for name in UNARY:
        yield name.lower(), case(name, (1, 4, 5))
    for name in POSITIVE:
        yield name.lower(), case(name, (1, 4, 5), low=0.2)
    for name in BINARY:
        options = f"{name.capitalize()}Options"
        y = {"low": 0.3} if name == "DIV" else {}
        yield name.lower(), case(name, (1, 4, 5), (1, 4, 5), options=options, fusedActivationFunction=1, **y)
        yield f"{name.lower()}_broadcast", case(name, (1, 4, 5), (1, 1, 5), options=options, **y)
        yield (
            f"{name.lower()}_constant",
            case(name, (1, 4, 5), floats(5, low=0.3), options=options, fusedActivationFunction=3),
        )
        yield f"{name.lower()}_of_constant", case(name, floats(4, 1, low=0.3), (1, 4, 5), options=options, **y)
    for name in PAIRS:
        yield name.lower(), case(name, (1, 4, 5), (1, 4, 5), version=2)
    for name in RELATIONS:
        yield name.lower(), case(name, (1, 4, 5), floats(4, 5), kind="bool")
    yield "atan2", case("ATAN2", (1, 4, 5), (1, 4, 5))
    yield "pow", case("POW", (1, 4, 5), np.array(1.5, np.float32), low=0.2)
    yield "pow_square", case("POW", (1, 4, 5), np.array(2.0, np.float32))
    yield "add_n", case("ADD_N", (1, 4, 5), (1, 4, 5), (1, 4, 5), options="AddNOptions")
    for alpha in (0.2, -0.3, 1.5):
        yield f"leaky_relu_{alpha}", case("LEAKY_RELU", (1, 4, 5), options="LeakyReluOptions", alpha=alpha)
    yield "prelu", case("PRELU", (1, 4, 4, 3), floats(1, 1, 3))
    yield "prelu_all", case("PRELU", (1, 2, 2, 3), floats(2, 2, 3))
    for approximate in (False, True):
        yield f"gelu_{approximate}", case("GELU", (1, 4, 5), options="GeluOptions", approximate=approximate)
    for beta in (1.0, 0.7):
        yield f"softmax_{beta}", case("SOFTMAX", (1, 3, 6), options="SoftmaxOptions", beta=beta)
    yield "select", case("SELECT_V2", rng.integers(0, 2, (4, 5)).astype(bool), (1, 4, 5), (1, 4, 5))
    yield "cast", case("CAST", (1, 4, 5), kind="int32")


def later():
    """Cases that draw their numbers after all others."""
    for key, low, bits in (("", -1.3, 4), ("_positive", 0.0, 8), ("_fine", -2.0, 10)):
        fields = {"min": low, "max": 2.2, "numBits": bits}
        yield f"fake_quant{key}", case("FAKE_QUANT", (1, 4, 5), options="FakeQuantOptions", **fields)
    draft, count = Draft(), np.array(1, np.int32)
    x, y, place = (
        draft.tensor((1, 4, n), kind, name=name)
        for n, kind, name in ((6, "float32", "x"), (1, "float32", "y"), (1, "int32", "place"))
    )
    draft.operator("TOPK_V2", [x, draft.tensor((), "int32", values=count)], [y, place], "TopKV2Options")
    yield "topk", with_inputs(draft.content([x], [y, place]), [(1, 4, 6)])


def windows():
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
        for k, (size, stride, padding, fused) in enumerate((((2, 2), 2, 1, 0), ((3, 3), 2, 0, 1), ((2, 3), 1, 0, 3))):
            yield f"{name.lower()}_{k}", case(
                name, (1, 7, 6, 3), options="Pool2DOptions", filterHeight=size[0], filterWidth=size[1], strideH=stride,
                strideW=stride, padding=padding, fusedActivationFunction=fused,
            )  # fmt: skip
    for name in REDUCTIONS:
        for k, (axes, keep) in enumerate((((1, 2), True), ((-1,), False), ((1, 2, 3), False))):
            yield f"{name.lower()}_{k}", case(name, (1, 3, 4, 2), ints(*axes), options="ReducerOptions", keepDims=keep)
    for name in ("ARG_MAX", "ARG_MIN"):
        yield (
            name.lower(),
            case(
                name,
                (1, 4, 6),
                ints(-1).reshape(()),
                options=name.title().replace("_", "") + "Options",
                kind="int32",
                outputType=2,
            ),
        )
    for exclusive, reverse in ((False, False), (True, True)):
        yield (
            f"cumsum_{exclusive}",
            case(
                "CUMSUM", (1, 4, 6), ints(1).reshape(()), options="CumsumOptions", exclusive=exclusive, reverse=reverse
            ),
        )
    yield "l2_normalization", case("L2_NORMALIZATION", (1, 3, 5), options="L2NormOptions")
    yield "local_response", case(
        "LOCAL_RESPONSE_NORMALIZATION", (1, 3, 3, 6), options="LocalResponseNormalizationOptions", radius=2, bias=1.3, alpha=0.7,
        beta=0.6,
    )  # fmt: skip
    for k, (new, fields) in enumerate(
        (
            ((8, 9), {}),
            ((8, 9), {"halfPixelCenters": True}),
            ((3, 4), {"alignCorners": True}),
            ((2, 3), {"halfPixelCenters": True}),
        )
    ):
        for name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
            options = "".join(word.capitalize() for word in name.split("_")) + "Options"
            yield f"{name.lower()}_{k}", case(name, (1, 4, 5, 2), ints(*new), options=options, version=3, **fields)
    yield "space_to_depth", case("SPACE_TO_DEPTH", (1, 4, 6, 2), options="SpaceToDepthOptions", blockSize=2)
    yield "depth_to_space", case("DEPTH_TO_SPACE", (1, 2, 3, 8), options="DepthToSpaceOptions", blockSize=2)


def moves():
    yield "reshape", case("RESHAPE", (1, 4, 6), ints(1, -1, 8), options="ReshapeOptions")
    yield "squeeze", case("SQUEEZE", (1, 4, 1, 6), options="SqueezeOptions", squeezeDims=[2])
    yield "expand_dims", case("EXPAND_DIMS", (1, 4, 6), ints(2).reshape(()))
    yield "transpose", case("TRANSPOSE", (1, 4, 5, 6), ints(0, 3, 1, 2))
    pads = ints(0, 0, 1, 2, 0, 1, 0, 0).reshape(4, 2)
    yield "pad", case("PAD", (1, 4, 5, 2), pads)
    yield "pad_value", case("PADV2", (1, 4, 5, 2), pads, np.array(-0.75, np.float32))
    for mode in (0, 1):
        yield f"mirror_pad_{mode}", case("MIRROR_PAD", (1, 4, 5, 2), pads, options="MirrorPadOptions", mode=mode)
    yield "slice", case("SLICE", (1, 6, 7), ints(0, 2, 2), ints(1, 3, -1), yshape=(1, 3, 5))
    yield "strided_slice", case(
        "STRIDED_SLICE", (1, 6, 7, 3), ints(0, 1, -1, 0), ints(1, 6, 0, 2), ints(1, 3, -2, 2), options="StridedSliceOptions",
        beginMask=0, endMask=1, shrinkAxisMask=8,
    )  # fmt: skip
    yield "split", case("SPLIT", ints(1).reshape(()), (1, 6, 4), options="SplitOptions", outputs=2, numSplits=2)
    yield (
        "split_v",
        case(
            "SPLIT_V", (1, 6, 4), ints(1, -1, 2), ints(1).reshape(()), options="SplitVOptions", outputs=3, numSplits=3
        ),
    )
    yield "unpack", case("UNPACK", (1, 3, 4), options="UnpackOptions", outputs=3, num=3, axis=1)
    yield "pack", case("PACK", (1, 3, 4), (1, 3, 4), options="PackOptions", valuesCount=2, axis=2)
    yield "concatenation", case("CONCATENATION", (1, 3, 4), (1, 3, 2), options="ConcatenationOptions", axis=-1)
    yield "gather", case("GATHER", (1, 6, 4), ints(4, 0, 4), options="GatherOptions", axis=1)
    yield "reverse", case("REVERSE_V2", (1, 6, 4), ints(1))
    yield "tile", case("TILE", (1, 3, 4), ints(1, 2, 3))
    yield "broadcast", case("BROADCAST_TO", (1, 1, 4), ints(1, 3, 4), version=2)


def lstm(steps=4, width=3, units=3, coupled=False, clip=0.0, peephole=False, major=False, weights=None):
    draft = Draft()
    x = draft.tensor((steps, 1, width) if major else (1, steps, width), "float32", name="x")

    def trained(*shape):
        values = floats(*shape)
        if weights is None or len(shape) < 2:
            return draft.tensor(shape, "float32", values=values)
        scale = np.abs(values).max() / 127
        return draft.tensor(shape, "int8", scale, values=np.rint(values / scale))

    inside, again = ([trained(units, n) for _ in range(4)] for n in (width, units))
    biases = [trained(units) for _ in range(4)]
    peepholes = [trained(units) for _ in range(3)] if peephole else [-1] * 3
    if coupled:
        inside[0] = again[0] = biases[0] = -1
    states = [draft.tensor((1, units), "float32", variable=True) for _ in range(2)]
    y = draft.tensor((1, steps, units), "float32", name="y")
    draft.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *inside, *again, *peepholes, *biases, -1, -1, *states, -1, -1, -1, -1], [y],
        "UnidirectionalSequenceLSTMOptions", 1 if weights is None else 3, fusedActivationFunction=4, cellClip=clip,
        timeMajor=major,
    )  # fmt: skip
    return with_inputs(sized(draft, [x], [y]), [(1, steps, width)])


def weights_alone():
    """Operators with quantized weights and activations in floating point."""
    draft = Draft()
    x, y = draft.tensor((1, 20), "float32", name="x"), draft.tensor((1, 4), "float32", name="y")
    w = draft.tensor((4, 20), "int8", 0.013, 0, values=rng.integers(-127, 128, (4, 20)))
    b = draft.tensor((4,), "float32", values=floats(4))
    draft.operator("FULLY_CONNECTED", [x, w, b], [y], "FullyConnectedOptions", 3, fusedActivationFunction=1)
    yield "dynamic_dense", with_inputs(draft.content([x], [y]), [(1, 20)])
    draft = Draft()
    x, y = draft.tensor((1, 6, 6, 3), "float32", name="x"), draft.tensor((1, 6, 6, 4), "float32", name="y")
    w = draft.tensor((4, 3, 3, 3), "int8", rng.uniform(0.005, 0.02, 4), 0, values=rng.integers(-127, 128, (4, 3, 3, 3)))
    b = draft.tensor((4,), "float32", values=floats(4))
    draft.operator("CONV_2D", [x, w, b], [y], "Conv2DOptions", 5, strideH=1, strideW=1)
    yield "dynamic_conv", with_inputs(draft.content([x], [y]), [(1, 6, 6, 3)])
    yield "dynamic_lstm", lstm(weights="int8")
    for kind, scale in (("float16", None), ("int8", rng.uniform(0.005, 0.02, 4))):
        draft = Draft()
        x, y = draft.tensor((1, 5), "float32", name="x"), draft.tensor((1, 4), "float32", name="y")
        values = floats(4, 5) if scale is None else rng.integers(-127, 128, (4, 5))
        w, r = draft.tensor((4, 5), kind, scale, 0, values=values), draft.tensor((4, 5), "float32")
        draft.operator("DEQUANTIZE", [w], [r], version=5)
        draft.operator("FULLY_CONNECTED", [x, r, -1], [y], "FullyConnectedOptions")
        yield f"dequantized_{kind}", with_inputs(draft.content([x], [y]), [(1, 5)])


def recurrent():
    yield "lstm", lstm()
    yield "lstm_coupled", lstm(coupled=True)
    yield "lstm_clipped", lstm(6, clip=0.6)
    yield "lstm_peepholes", lstm(peephole=True)


def codes():
    """Operators on codes with results of another type, and codes with floating point between."""
    draft, given = Draft(), rng.integers(-128, 128, (24, 6)).astype("int8")
    x, y = draft.tensor((1, 6), "int8", 0.06, 5, name="x"), draft.tensor((1, 6), "int16", 1 / 65536, -32768, name="y")
    draft.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=1.0)
    yield "codes_softmax", (draft.content([x], [y]), given)
    draft, given4 = Draft(), rng.integers(-128, 128, (8, 5, 6, 2)).astype("int8")
    blocks = draft.tensor((2,), "int32", values=ints(2, 3))
    pads = draft.tensor((2, 2), "int32", values=ints(1, 0, 0, 3).reshape(2, 2))
    crops = draft.tensor((2, 2), "int32", values=ints(0, 1, 2, 0).reshape(2, 2))
    shapes = ((1, 5, 6, 2), (6, 3, 3, 2), (6, 3, 3, 2), (1, 5, 7, 2))
    x, split, bounded, y = (draft.tensor(shape, "int8", 0.05, 9, name=f"t{k}") for k, shape in enumerate(shapes))
    draft.operator("SPACE_TO_BATCH_ND", [x, blocks, pads], [split])
    draft.operator("RELU", [split], [bounded], version=2)
    draft.operator("BATCH_TO_SPACE_ND", [bounded, blocks, crops], [y])
    yield "codes_blocks", (draft.content([x], [y]), given4)
    draft = Draft()
    x, y = draft.tensor((1, 6), "int16", 0.0006, 0, name="x"), draft.tensor((1, 6), "int32", 0.00017, 0, name="y")
    draft.operator("QUANTIZE", [x], [y], "QuantizeOptions", 2)
    yield "codes_int32", (draft.content([x], [y]), (given.astype("int16") * 255))
    draft = Draft()
    x, y = draft.tensor((1, 6), "int8", 0.031, 5, name="x"), draft.tensor((1, 6), "int8", 0.025, -50, name="y")
    numbers, changed = draft.tensor((1, 6), "float32"), draft.tensor((1, 6), "float32")
    draft.operator("DEQUANTIZE", [x], [numbers], version=2)
    draft.operator("ELU", [numbers], [changed])
    draft.operator("QUANTIZE", [changed], [y], "QuantizeOptions", 2)
    yield "codes_between", (draft.content([x], [y]), given)
    draft = Draft()
    nothing = draft.tensor((1, 3), "int16", 0.0, 0, values=np.zeros((1, 3)))
    w = draft.tensor((6, 3), "int8", 0.01, 0, values=rng.integers(-127, 128, (6, 3)))
    x, y = draft.tensor((1, 6), "int16", 0.0006, 0, name="x"), draft.tensor((1, 6), "int16", 0.0007, 0, name="y")
    product, scaled = (draft.tensor((1, 6), "int16", 0.0003, 0) for _ in range(2))
    draft.operator("FULLY_CONNECTED", [nothing, w, -1], [product], "FullyConnectedOptions", 4)
    draft.operator("MUL", [x, product], [scaled], "MulOptions", 2, fusedActivationFunction=0)
    draft.operator("ADD", [scaled, x], [y], "AddOptions", 2, fusedActivationFunction=0, potScaleInt16=False)
    yield "codes_nothing", (draft.content([x], [y]), given.astype("int16") * 255)
    for name, scale, result in (("rsqrt", 0.0123, 3), ("rsqrt_coarse", 0.05, -128)):
        draft, every = Draft(), np.arange(-128, 128).astype("int8").reshape(-1, 8)
        x = draft.tensor((1, 8), "int8", 0.037, -128, name="x")
        y = draft.tensor((1, 8), "int8", scale, result, name="y")
        draft.operator("RSQRT", [x], [y], version=2)
        yield f"codes_{name}", (draft.content([x], [y]), every)


def networks():
    from networks import FLOATING, LARGE, floating

    kinds = [(name, "float32") for name in FLOATING] + [(name, "dynamic") for name in LARGE]
    for name, kind in [*kinds, ("mlp", "float16"), ("cnn", "float16")]:
        content = floating(name, kind)
        shape = interpreter(content).get_input_details()[0]["shape"]
        x = (
            rng.integers(0, 11, (SAMPLES, *shape[1:]))
            if name in ("embedding", "words")
            else rng.normal(size=(SAMPLES, *shape[1:]))
        )
        yield f"{kind}_{name}", (content, x.astype("float32"))


def cases():
    """Names, models and inputs."""
    of_operators = (products, convolutions, transposed, elements, windows, moves)
    for make in (*of_operators, recurrent, weights_alone, codes, networks, later):
        yield from make()


def stored():
    """All models, inputs and outputs: of weights that are quantized alone those of their numbers and of the interpreter."""
    found = {}
    for name, (content, *inputs) in cases():
        found[f"{name}/model"] = np.frombuffer(content, np.uint8)
        found |= {f"{name}/x{k}": x for k, x in enumerate(inputs)}
        twin = dequantized(content) if name.startswith("dynamic") else content
        for key, each in (
            (("single", twin), ("hybrid", content)) if name.startswith("dynamic") else (("single", content),)
        ):
            results = outputs(each, inputs, None if name == "codes_softmax" else interpreter(each))
            found |= {f"{name}/{key}{k}": y for k, y in enumerate(results)}
    return found
