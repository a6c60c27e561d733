"""Small ONNX graphs of every operator, of several operator sets: onnxruntime = float reference = emulator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx_models import assert_agrees, graph, node, weights

from bitsmith.errors import ModelFileError
from bitsmith.frontends.onnx.read import read_onnx

_ONES = np.ones(3)
_IMAGE = ("N", 3, 6, 6)


def _mlp() -> onnx.ModelProto:
    """As PyTorch writes it: Gemm with transposed weights."""
    return graph(
        [node("Gemm", "x w0 b0", "h", transB=1), node("Relu", "h", "r"), node("Gemm", "r w1 b1", "y", transB=1)],
        {"x": ("N", 5)},
        "y",
        {"w0": weights(6, 5), "b0": weights(6), "w1": weights(3, 6), "b1": weights(3)},
    )


def _mlp_keras() -> onnx.ModelProto:
    """As tf2onnx and skl2onnx write it: MatMul and Add."""
    return graph(
        [
            node("MatMul", "x w0", "h"),
            node("Add", "h b0", "a"),
            node("Max", "a zero", "r"),
            node("MatMul", "r w1", "m"),
            node("Add", "b1 m", "y"),
        ],
        {"x": ("N", 5)},
        "y",
        {"w0": weights(5, 6), "b0": weights(1, 6), "w1": weights(6, 3), "b1": weights(3), "zero": np.float32(0)},
    )


def _gemm_scaled() -> onnx.ModelProto:
    return graph(
        [node("Gemm", "x w c", "y", alpha=0.5, beta=2.0)],
        {"x": ("N", 4)},
        "y",
        {"w": weights(4, 3), "c": weights(1, 3)},
    )


def _gemm_tensors() -> onnx.ModelProto:
    """Two tensors of a sample each, which have no batch axis."""
    return graph([node("Gemm", "x z c", "y", transA=1, alpha=2.0)], {"x": (4, 2), "z": (4, 3)}, "y", {"c": weights(3)})


def _gemm_residual() -> onnx.ModelProto:
    return graph([node("Gemm", "x w x", "y", beta=0.5)], {"x": ("N", 4)}, "y", {"w": weights(4, 4)})


def _conv(**attributes: object) -> Callable[[], onnx.ModelProto]:
    return lambda: graph(
        [node("Conv", "x w b", "y", **attributes)], {"x": _IMAGE}, "y", {"w": weights(4, 3, 3, 2), "b": weights(4)}
    )


def _conv_line(rank: int) -> Callable[[], onnx.ModelProto]:
    return lambda: graph(
        [node("Conv", "x w", "y", strides=[2] * rank)],
        {"x": ("N", 2, *(5,) * rank)},
        "y",
        {"w": weights(3, 2, *(3,) * rank)},
    )


def _depthwise() -> onnx.ModelProto:
    return graph(
        [node("Conv", "x w b", "y", group=3, pads=[1, 1, 1, 1])],
        {"x": _IMAGE},
        "y",
        {"w": weights(6, 1, 3, 3), "b": weights(6)},
    )


def _transposed(**attributes: object) -> Callable[[], onnx.ModelProto]:
    return lambda: graph(
        [node("ConvTranspose", "x w b", "y", **attributes)],
        {"x": ("N", 4, 3, 4)},
        "y",
        {"w": weights(4, 2, 3, 2), "b": weights(2 * int(attributes.get("group", 1)))},
    )  # type: ignore[call-overload]


def _conv_bn() -> onnx.ModelProto:
    return graph(
        [
            node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "c g b m v", "n", epsilon=0.0),
            node("Relu", "n", "r"),
            node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", "p", "f"),
            node("Gemm", "f k", "y"),
        ],
        {"x": ("N", 2, 4, 4)},
        "y",
        {
            "w": weights(3, 2, 3, 3),
            "g": _ONES,
            "b": weights(3),
            "m": weights(3),
            "v": np.array([0.25, 1.0, 4.0]),
            "k": weights(12, 2),
        },
    )


def _pool(operator: str, **attributes: object) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "x", "y", **attributes)], {"x": _IMAGE}, "y", opset=19)


def _unary(
    operator: str, opset: int = 17, shape: tuple[int, ...] = (6,), **attributes: object
) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "x", "y", **attributes)], {"x": ("N", *shape)}, "y", opset=opset)


def _with(
    operator: str,
    constants: dict[str, object],
    opset: int = 17,
    shape: tuple[int | str, ...] = ("N", 3, 4),
    **attributes: object,
) -> Callable[[], onnx.ModelProto]:
    """An operator of a tensor and constants, in order; a key ``-`` leaves one out."""
    arrays = {name: np.asarray(value) for name, value in constants.items() if name[0] != "-"}
    names = " ".join("-" if name[0] == "-" else name for name in constants)
    return lambda: graph([node(operator, f"x {names}", "y", **attributes)], {"x": shape}, "y", arrays, opset=opset)


def _binary(
    operator: str, left: tuple[int | str, ...] = ("N", 3, 4), right: tuple[int | str, ...] = ("N", 3, 4)
) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "x z", "y")], {"x": left, "z": right}, "y")


def _constant_first(operator: str, value: float) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "c x", "y")], {"x": ("N", 4)}, "y", {"c": np.array(value)})


def _whole_quotient() -> onnx.ModelProto:
    """ONNX leaves the fraction out, also of negative numbers."""
    return graph(
        [node("Div", "a b", "q"), node("Cast", "q", "c", to=1), node("Add", "x c", "y")],
        {"x": ("N", 3)},
        "y",
        {"a": np.array([-7, 7, -6]), "b": np.array(2)},
    )


def _shape_arithmetic() -> onnx.ModelProto:
    """``x.view(x.size(0), -1)`` as the older exporter of PyTorch writes it."""
    return graph(
        [
            node("Shape", "x", "s"),
            node("Constant", "", "zero", value=onnx.numpy_helper.from_array(np.array(0))),
            node("Gather", "s zero", "n", axis=0),
            node("Unsqueeze", "n axes", "u"),
            node("Concat", "u rest", "t", axis=0),
            node("Reshape", "x t", "f"),
            node("MatMul", "f w", "y"),
        ],
        {"x": ("N", 2, 3)},
        "y",
        {"axes": np.array([0]), "rest": np.array([-1]), "w": weights(6, 2)},
    )


def _class_token() -> onnx.ModelProto:
    """A trained vector before each sample's, repeated by the number of samples."""
    return graph(
        [
            node("Shape", "x", "s", start=0, end=1),
            node("Concat", "s rest", "t", axis=0),
            node("Expand", "c t", "e"),
            node("Concat", "e x", "y", axis=1),
        ],
        {"x": ("N", 3, 4)},
        "y",
        {"rest": np.array([1, 4]), "c": weights(1, 1, 4)},
    )


def _heads() -> onnx.ModelProto:
    """Attention as PyTorch computes it, with time before the samples and heads merged with the samples."""
    return graph(
        [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("MatMul", "t wq", "q"),
            node("MatMul", "t wk", "k"),
            node("Reshape", "q split", "qs"),
            node("Reshape", "k split", "ks"),
            node("Transpose", "qs", "qt", perm=[1, 0, 2]),
            node("Transpose", "ks", "kt", perm=[1, 2, 0]),
            node("MatMul", "qt kt", "a"),
            node("Softmax", "a", "p", axis=-1),
            node("MatMul", "p qt", "c"),
            node("Transpose", "c", "ct", perm=[1, 0, 2]),
            node("Reshape", "ct rows", "r"),
            node("MatMul", "r wk", "o"),
            node("Reshape", "o back", "b"),
            node("Transpose", "b", "y", perm=[1, 0, 2]),
        ],
        {"x": ("N", 3, 4)},
        "y",
        {
            "wq": weights(4, 4),
            "wk": weights(4, 4, seed=1),
            "split": np.array([3, -1, 2]),
            "rows": np.array([-1, 4]),
            "back": np.array([3, -1, 4]),
        },
    )


def _masked() -> onnx.ModelProto:
    mask = np.where(np.tri(4) > 0, 0.0, -np.inf).astype(np.float32)
    return graph([node("Add", "x mask", "m"), node("Softmax", "m", "y")], {"x": ("N", 4, 4)}, "y", {"mask": mask})


def _masked_by_choice() -> onnx.ModelProto:
    least = np.finfo(np.float32).min
    return graph(
        [node("Where", "mask x least", "m"), node("Softmax", "m", "y")],
        {"x": ("N", 4, 4)},
        "y",
        {"mask": np.tri(4) > 0, "least": np.float32(least)},
    )


def _split() -> onnx.ModelProto:
    return graph(
        [node("Split", "x", "a b c", axis=1), node("Mul", "a c", "d"), node("Sub", "d b", "y")],
        {"x": ("N", 6)},
        "y",
        opset=11,
    )


def _split_sizes() -> onnx.ModelProto:
    return graph(
        [node("Split", "x sizes", "a b", axis=-1), node("Concat", "b a x", "y", axis=-1)],
        {"x": ("N", 5)},
        "y",
        {"sizes": np.array([2, 3])},
    )


def _embedding() -> onnx.ModelProto:
    return graph(
        [node("Gather", "table x", "e"), node("ReduceMean", "e", "y", axes=[1], keepdims=0)],
        {"x": ("N", 4)},
        "y",
        {"table": weights(8, 3)},
        types={"x": np.int64},
    )


def _truths() -> onnx.ModelProto:
    return graph(
        [
            node("Greater", "x half", "a"),
            node("Less", "x x", "b"),
            node("Or", "a b", "c"),
            node("Not", "c", "d"),
            node("And", "d d", "e"),
            node("Xor", "e a", "f"),
            node("Cast", "f", "g", to=1),
            node("Where", "a x g", "y"),
        ],
        {"x": ("N", 6)},
        "y",
        {"half": np.float32(0.5)},
    )


def _recurrent(
    operator: str, gates: int, biases: bool = True, states: int = 0, peepholes: bool = False, **attributes: object
) -> Callable[[], onnx.ModelProto]:
    """Sequences with the batch in the middle, as ONNX has them."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    tensors = {"w": weights(directions, gates * 3, 2) / 2, "r": weights(directions, gates * 3, 3) / 2}
    if biases:
        tensors["b"] = weights(directions, 2 * gates * 3) / 2
    names = ["x w r", "b" if biases else "-", "-", *(f"h{k}" for k in range(states))]
    if peepholes:
        names += [*("-" for _ in range(2 - states)), "p"]
        tensors["p"] = weights(directions, 9)
    outputs = "steps y" + (" c" if operator == "LSTM" else "")
    inputs = {"x": (4, "N", 2)} | {f"h{k}": (directions, "N", 3) for k in range(states)}

    def build() -> onnx.ModelProto:
        nodes = [node(operator, " ".join(names), outputs, hidden_size=3, **attributes)]
        return graph(nodes, inputs, outputs, tensors, opset=14)

    return build


def _recurrent_batch_first() -> onnx.ModelProto:
    """What PyTorch makes of ``batch_first=True``, and initial states of zeros for any number of samples."""
    return graph(
        [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("Shape", "x", "s", start=0, end=1),
            node("Concat", "one s three", "size", axis=0),
            node("ConstantOfShape", "size", "h"),
            node("LSTM", "t w r b - h h", "steps", hidden_size=3),
            node("Squeeze", "steps axis", "q"),
            node("Transpose", "q", "y", perm=[1, 0, 2]),
        ],
        {"x": ("N", 4, 2)},
        "y",
        {
            "w": weights(1, 12, 2) / 2,
            "r": weights(1, 12, 3) / 2,
            "b": weights(1, 24) / 2,
            "axis": np.array([1]),
            "one": np.array([1]),
            "three": np.array([3]),
        },
    )


def _function() -> onnx.ModelProto:
    """A function of the model's own."""
    model = graph([node("Twice", "x", "h"), node("Twice", "h", "y")], {"x": ("N", 3)}, "y")
    model.graph.node[0].domain = model.graph.node[1].domain = "own"
    body = onnx.helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [onnx.helper.make_opsetid("", 17)]
    )
    model.functions.append(body)
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    return model


EXACT: dict[str, Callable[[], onnx.ModelProto]] = {
    "mlp": _mlp,
    "mlp of MatMul and Add": _mlp_keras,
    "Gemm, scaled": _gemm_scaled,
    "Gemm of tensors": _gemm_tensors,
    "Gemm, residual": _gemm_residual,
    "MatMul, constant first": lambda: graph(
        [node("MatMul", "w x", "y")], {"x": ("N", 4, 3)}, "y", {"w": weights(5, 4)}
    ),
    "MatMul of a vector": _with("MatMul", {"w": weights(4)}),
    "MatMul of tensors": _binary("MatMul", ("N", 3, 4), ("N", 4, 2)),
    "MatMul, heads": _binary("MatMul", ("N", 2, 3, 4), ("N", 1, 4, 2)),
    "MatMul of stacked weights": _with("MatMul", {"w": weights(3, 4, 2)}, shape=("N", 3, 2, 4)),
    "Einsum": lambda: graph(
        [node("Einsum", "x z", "y", equation="bij,bkj->bik")], {"x": ("N", 3, 4), "z": ("N", 2, 4)}, "y"
    ),
    "Einsum with weights": _with("Einsum", {"w": weights(4, 2, 3)}, equation="btc,chd->bthd"),
    "Einsum of one": _unary("Einsum", shape=(3, 4), equation="bij->bj"),
    "Einsum to numbers": lambda: graph(
        [node("Einsum", "x z", "y", equation="bi,bi->b")], {"x": ("N", 4), "z": ("N", 4)}, "y"
    ),
    "Conv": _conv(pads=[1, 0, 2, 1], strides=[2, 1]),
    "Conv, same": _conv(auto_pad="SAME_UPPER", strides=[2, 2]),
    "Conv, same before": _conv(auto_pad="SAME_LOWER", strides=[2, 2]),
    "Conv, dilated": _conv(dilations=[2, 3], auto_pad="VALID", kernel_shape=[3, 2]),
    "Conv, 1 axis": _conv_line(1),
    "Conv, 3 axes": _conv_line(3),
    "Conv, depthwise": _depthwise,
    "ConvTranspose": _transposed(strides=[2, 1], pads=[1, 0, 0, 1], output_padding=[1, 0]),
    "ConvTranspose, groups": _transposed(group=2, dilations=[1, 2]),
    "ConvTranspose, same": _transposed(strides=[2, 2], auto_pad="SAME_UPPER"),
    "ConvTranspose, same with large strides": _transposed(strides=[4, 3], auto_pad="SAME_LOWER"),
    "ConvTranspose, of a size": _transposed(strides=[2, 2], output_shape=[7, 8]),
    "ConvTranspose, of an odd size less": _transposed(strides=[2, 2], output_shape=[6, 7]),
    "ConvTranspose, of an odd size less after": _transposed(
        strides=[2, 2], output_shape=[6, 7], auto_pad="SAME_UPPER", dilations=[1, 2]
    ),
    "small cnn": _conv_bn,
    "MaxPool": _pool("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    "MaxPool, ceil": _pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "MaxPool, dilated": _pool("MaxPool", kernel_shape=[2, 2], dilations=[2, 3]),
    "MaxPool, same": _pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    "AveragePool": _pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "GlobalMaxPool": _pool("GlobalMaxPool"),
    "BatchNormalization": _with(
        "BatchNormalization", {"g": _ONES, "b": weights(3), "m": weights(3), "v": _ONES}, epsilon=0.0
    ),
    "Relu": _unary("Relu"),
    "LeakyRelu": _unary("LeakyRelu", alpha=0.25),
    "ThresholdedRelu": _unary("ThresholdedRelu", alpha=0.5),
    "PRelu": _with("PRelu", {"s": weights(3, 1)}),
    "HardSigmoid": _unary("HardSigmoid", alpha=0.25, beta=0.5),
    "Clip by attributes": _unary("Clip", opset=7, min=-0.5, max=1.0),
    "Clip": _with("Clip", {"low": np.float32(0), "high": np.float32(6)}),
    "Clip above": _with("Clip", {"-": 0, "high": np.float32(0.5)}),
    "Shrink": _unary("Shrink", lambd=0.5, bias=0.5),
    "Add": _binary("Add"),
    "Sub, broadcast": _binary("Sub", ("N", 3, 4), ("N", 1, 4)),
    "Mul, broadcast": _binary("Mul", ("N", 3, 4), ("N", 3, 1)),
    "Sum of three": lambda: graph([node("Sum", "x z x", "y")], {"x": ("N", 3), "z": ("N", 3)}, "y"),
    "Max": _binary("Max"),
    "Min with a constant": _with("Min", {"c": np.float32(0.25)}),
    "Max with constants": _with("Max", {"c": weights(4)}),
    "Add of channels": _with("Add", {"c": weights(1, 3, 1)}),
    "Add of an array": _with("Add", {"c": weights(3, 4)}),
    "Mul of an array": _with("Mul", {"c": weights(1, 3, 4)}),
    "Mul to more axes": _with("Mul", {"c": weights(3, 4)}, shape=("N", 1, 4)),
    "Div by a constant": _with("Div", {"c": np.array([1.0, 2.0, 4.0, 0.5])}),
    "Div of whole constants": _whole_quotient,
    "Sub from a constant": _constant_first("Sub", 1.5),
    "Pow": _with("Pow", {"c": np.float32(2)}),
    "Neg": _unary("Neg"),
    "Abs": _unary("Abs"),
    "Sign": _unary("Sign"),
    "Floor": _unary("Floor"),
    "Ceil": _unary("Ceil"),
    "Round": _unary("Round"),
    "Cast to whole numbers": lambda: graph(
        [node("Cast", "x", "i", to=7), node("Cast", "i", "y", to=1)], {"x": ("N", 4)}, "y"
    ),
    "truth values": _truths,
    "Equal": _with("Equal", {"c": np.float32(0.5)}),
    "LessOrEqual": _binary("LessOrEqual"),
    "Reshape": _with("Reshape", {"s": np.array([0, -1, 6])}),
    "Reshape, allowzero": _with("Reshape", {"s": np.array([-1, 4, 3])}, allowzero=1),
    "Reshape of a batch of one": _with("Reshape", {"s": np.array([1, -1])}, shape=(1, 3, 4)),
    "Reshape of a fixed batch": _with("Reshape", {"s": np.array([3, 12])}, shape=(3, 3, 4)),
    "sizes computed": _shape_arithmetic,
    "class token": _class_token,
    "Flatten": _unary("Flatten", shape=(2, 3, 2)),
    "Transpose": _unary("Transpose", shape=(2, 3, 4), perm=[0, 3, 1, 2]),
    "Transpose of the batch": lambda: graph(
        [node("Transpose", "x", "t", perm=[1, 0]), node("Transpose", "t", "y")], {"x": ("N", 3)}, "y"
    ),
    "Transpose of all axes": lambda: graph(
        [node("Transpose", "x", "t"), node("ReduceMax", "t", "s", axes=[0], keepdims=0), node("Transpose", "s", "y")],
        {"x": ("N", 3, 4)},
        "y",
    ),
    "Squeeze": _unary("Squeeze", opset=11, shape=(1, 3, 1), axes=[1, 3]),
    "Unsqueeze": _with("Unsqueeze", {"a": np.array([1, -1])}),
    "Slice": _with(
        "Slice", {"s": np.array([1, 3]), "e": np.array([9, -9]), "a": np.array([1, 2]), "t": np.array([1, -2])}
    ),
    "Slice by attributes": _unary("Slice", opset=9, shape=(3, 4), axes=[2], starts=[1], ends=[-1]),
    "Split": _split,
    "Split, sizes": _split_sizes,
    "Gather": _with("Gather", {"i": np.array([2, 0, 2])}, axis=1),
    "Gather one": _with("Gather", {"i": np.array(-1)}, axis=2),
    "Gather many": _with("Gather", {"i": np.array([[0, 1], [2, 0]])}, axis=1),
    "embedding": _embedding,
    "OneHot": lambda: graph(
        [node("OneHot", "x depth values", "y")],
        {"x": ("N", 3)},
        "y",
        {"depth": np.array(8), "values": np.array([0.0, 1.0])},
        types={"x": np.int64},
    ),
    "Expand": _with("Expand", {"s": np.array([1, 3, 4])}, shape=("N", 3, 1)),
    "Tile": _with("Tile", {"r": np.array([1, 2, 3])}),
    "Pad": _with("Pad", {"p": np.array([0, 1, 0, 0, 2, 1]), "v": np.float32(1.5)}),
    "Pad by attributes": _unary("Pad", opset=9, shape=(3, 4), pads=[0, 1, 0, 0, 0, -2], value=-0.5),
    "Pad, reflected": _with("Pad", {"p": np.array([0, 0, 2, 0, 0, 3])}, mode="reflect"),
    "Pad, edges": _with("Pad", {"p": np.array([0, 1, 2, 0, 0, 3])}, mode="edge"),
    "Resize, nearest": _with(
        "Resize",
        {"-": 0, "s": np.array([1.0, 1.0, 2.0, 3.0])},
        shape=("N", 2, 3, 2),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "Resize, linear": _with(
        "Resize", {"-": 0, "--": 0, "s": np.array([3, 2, 1, 4])}, shape=(3, 2, 3, 2), mode="linear"
    ),
    "Resize, nearest by fractions": _with(
        "Resize", {"-": 0, "s": np.array([1.0, 1.0, 1.3, 0.7])}, shape=("N", 2, 4, 7), mode="nearest"
    ),
    "Resize, nearest by a fraction of the same length": _with(
        "Resize",
        {"-": 0, "s": np.array([1.0, 1.0, 1.2])},
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "Pad, of maxima": lambda: graph(
        [node("Pad", "x p v", "f"), node("MaxPool", "f", "y", kernel_shape=[3, 2], strides=[2, 2])],
        {"x": _IMAGE},
        "y",
        {"p": np.array([0, 0, 1, 0, 0, 0, 0, 1]), "v": np.float32(-np.inf)},
    ),
    "Upsample": _with("Upsample", {"s": np.array([1.0, 1.0, 2.0, 2.0])}, opset=9, shape=("N", 2, 3, 3)),
    "SpaceToDepth": _unary("SpaceToDepth", shape=(2, 4, 4), blocksize=2),
    "DepthToSpace": _unary("DepthToSpace", shape=(8, 2, 3), blocksize=2, mode="CRD"),
    "Trilu": _with("Trilu", {"k": np.array(1)}, upper=1),
    "CumSum": _with("CumSum", {"a": np.array(2)}),
    "CumSum, exclusive and backwards": _with("CumSum", {"a": np.array(1)}, exclusive=1, reverse=1),
    "CumSum, of one element": _with("CumSum", {"a": np.array(1)}, shape=("N", 1, 4), exclusive=1),
    "ReduceSum": _with("ReduceSum", {"a": np.array([1])}, keepdims=0),
    "ReduceMax": _unary("ReduceMax", shape=(3, 4), axes=[-1]),
    "ReduceMin of operator set 18": _with("ReduceMin", {"a": np.array([1, 2])}, opset=18, keepdims=0),
    "ReduceProd": _unary("ReduceProd", shape=(3,), axes=[1], keepdims=0),
    "ReduceL1": _unary("ReduceL1", shape=(3, 4), axes=[2], keepdims=0),
    "ReduceSumSquare": _unary("ReduceSumSquare", shape=(3, 4), axes=[1, 2]),
    **{
        f"{name} over no axis": _unary(name, opset=18, shape=(3, 4), noop_with_empty_axes=1)
        for name in ("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare")
    },
    "Hardmax, its mean": lambda: graph(
        [node("Hardmax", "x", "h", axis=1), node("ReduceMean", "h", "y", axes=[1])], {"x": ("N", 4)}, "y", opset=13
    ),
    "ReduceMean": _unary("ReduceMean", shape=(3, 4), axes=[2], keepdims=0),
    "ArgMax": _unary("ArgMax", shape=(3, 4), axis=1, keepdims=0),
    "ArgMin": _unary("ArgMin", shape=(5,), axis=-1),
    "Dropout": _unary("Dropout", opset=11),
    "Identity": _unary("Identity"),
    "function": _function,
}
"""Graphs whose results 16 bits hold exactly."""

APPROXIMATE: dict[str, Callable[[], onnx.ModelProto]] = {
    **{
        operator: _unary(operator)
        for operator in (
            "Sigmoid",
            "Tanh",
            "Softplus",
            "Softsign",
            "Elu",
            "Selu",
            "Celu",
            "HardSwish",
            "Erf",
            "Exp",
            "Sin",
            "Cos",
        )
    },
    "Mish": _unary("Mish", opset=18),
    "Gelu": _unary("Gelu", opset=20),
    "Gelu by tanh": _unary("Gelu", opset=20, approximate="tanh"),
    "Selu of other scales": _unary("Selu", alpha=1.5, gamma=1.25),
    "Softmax": _unary("Softmax", shape=(3, 4)),
    "Softmax along another axis": _unary("Softmax", shape=(3, 4), axis=1),
    "Softmax of operator set 11": _unary("Softmax", opset=11, shape=(3, 4), axis=1),
    "LogSoftmax": _unary("LogSoftmax"),
    "masked Softmax": _masked,
    "Softmax masked by a choice": _masked_by_choice,
    "attention heads": _heads,
    "AveragePool, padded": _pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "AveragePool, padding counts": _pool(
        "AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, ceil_mode=1, strides=[2, 2]
    ),
    "GlobalAveragePool": _pool("GlobalAveragePool"),
    "Resize, symmetric centers": _with(
        "Resize",
        {"-": 0, "s": np.array([1.0, 1.0, 0.5, 2.0])},
        opset=19,
        shape=("N", 2, 4, 5),
        mode="linear",
        coordinate_transformation_mode="half_pixel_symmetric",
    ),
    "Resize, linear by fractions": _with(
        "Resize", {"-": 0, "s": np.array([1.0, 1.0, 1.3, 1.1])}, shape=("N", 2, 4, 5), mode="linear"
    ),
    "LayerNormalization": _with("LayerNormalization", {"g": weights(4), "b": weights(4)}),
    "LayerNormalization of two axes": _with("LayerNormalization", {"g": weights(3, 4)}, axis=1),
    "InstanceNormalization": _with("InstanceNormalization", {"g": weights(3), "b": weights(3)}),
    "GroupNormalization": _with(
        "GroupNormalization", {"g": weights(2), "b": weights(2)}, opset=18, shape=("N", 4, 3), num_groups=2
    ),
    "GroupNormalization of operator set 21": _with(
        "GroupNormalization", {"g": weights(4), "b": weights(4)}, opset=21, shape=("N", 4, 3), num_groups=2
    ),
    "LpNormalization": _unary("LpNormalization", axis=1, p=2),
    "ReduceL2": _unary("ReduceL2", shape=(3, 4), axes=[2], keepdims=0),
    "ReduceLogSumExp": _unary("ReduceLogSumExp", shape=(3, 4), axes=[2], keepdims=0),
    "LSTM": _recurrent("LSTM", 4),
    "LSTM, both ways": _recurrent("LSTM", 4, direction="bidirectional"),
    "LSTM, initial states": _recurrent("LSTM", 4, states=2, direction="reverse"),
    "LSTM with peepholes": _recurrent("LSTM", 4, peepholes=True, direction="bidirectional"),
    "LSTM with peepholes, clipped": _recurrent("LSTM", 4, states=2, peepholes=True, clip=0.3),
    "LSTM, clipped": _recurrent("LSTM", 4, clip=0.25),
    "LSTM, gates coupled": _recurrent("LSTM", 4, states=2, peepholes=True, input_forget=1),
    "GRU, clipped": _recurrent("GRU", 3, clip=0.25, linear_before_reset=1),
    "RNN, clipped": _recurrent("RNN", 1, clip=0.25),
    "LSTM, batch first": _recurrent_batch_first,
    "GRU": _recurrent("GRU", 3, linear_before_reset=1),
    "GRU, reset before": _recurrent("GRU", 3, biases=False),
    "GRU, both ways, initial states": _recurrent("GRU", 3, states=1, direction="bidirectional", linear_before_reset=1),
    "RNN": _recurrent("RNN", 1, direction="reverse"),
    "RNN of another activation": _recurrent("RNN", 1, activations=["Relu"]),
}

POSITIVE: dict[str, Callable[[], onnx.ModelProto]] = {
    "Sqrt": _unary("Sqrt"),
    "Log": _unary("Log"),
    "Reciprocal": _unary("Reciprocal"),
    "Div": _binary("Div"),
    "Div of a constant": _constant_first("Div", 3.0),
    "Pow of a fraction": _with("Pow", {"c": np.float32(1.5)}),
    "ReduceLogSum": _unary("ReduceLogSum", shape=(3, 4), axes=[2]),
    "Mean": lambda: graph([node("Mean", "x z x", "y")], {"x": ("N", 3), "z": ("N", 3)}, "y"),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str) -> None:
    assert_agrees(EXACT[name](), exact=True)


@pytest.mark.parametrize("name", APPROXIMATE)
def test_approximate(name: str) -> None:
    assert_agrees(APPROXIMATE[name](), exact=False)


@pytest.mark.parametrize("name", POSITIVE)
def test_positive(name: str) -> None:
    assert_agrees(POSITIVE[name](), exact=False, low=0.5)


@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_sizes_of_states_without_an_attribute_are_those_of_the_weights(operator: str, gates: int) -> None:
    model = _recurrent(operator, gates)()
    x = [np.random.default_rng(2).normal(size=(5, 4, 2))]
    wanted = read_onnx(model).evaluate(x)
    (attribute,) = (own for own in model.graph.node[0].attribute if own.name == "hidden_size")
    model.graph.node[0].attribute.remove(attribute)
    network = read_onnx(model)
    for name, result in network.evaluate(x).items():
        np.testing.assert_array_equal(result, wanted[name])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("hidden_size", 4))
    with pytest.raises(ModelFileError, match=r"weights of shapes .*\n.*accepted: shapes"):
        read_onnx(model)
