"""Small ONNX graphs of every operator, of several operator sets: onnxruntime = float reference = emulator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx_graphs import (
    IMAGE,
    ONES,
    binary,
    class_token,
    constant_first,
    conv,
    conv_bn,
    conv_line,
    depthwise,
    embedding,
    function,
    gemm_residual,
    gemm_scaled,
    gemm_tensors,
    heads,
    masked,
    masked_by_choice,
    mlp,
    mlp_keras,
    pool,
    recurrent,
    recurrent_batch_first,
    shape_arithmetic,
    split,
    split_sizes,
    transposed,
    truths,
    unary,
    whole_quotient,
    with_rest,
)
from onnx_models import assert_agrees, graph, node, weights

from bitsmith.errors import ModelFileError
from bitsmith.frontends.onnx.read import read_onnx

EXACT: dict[str, Callable[[], onnx.ModelProto]] = {
    "mlp": mlp,
    "mlp of MatMul and Add": mlp_keras,
    "Gemm, scaled": gemm_scaled,
    "Gemm of tensors": gemm_tensors,
    "Gemm, residual": gemm_residual,
    "MatMul, constant first": lambda: graph(
        [node("MatMul", "w x", "y")], {"x": ("N", 4, 3)}, "y", {"w": weights(5, 4)}
    ),
    "MatMul of a vector": with_rest("MatMul", {"w": weights(4)}),
    "MatMul of tensors": binary("MatMul", ("N", 3, 4), ("N", 4, 2)),
    "MatMul, heads": binary("MatMul", ("N", 2, 3, 4), ("N", 1, 4, 2)),
    "MatMul of stacked weights": with_rest("MatMul", {"w": weights(3, 4, 2)}, shape=("N", 3, 2, 4)),
    "Einsum": lambda: graph(
        [node("Einsum", "x z", "y", equation="bij,bkj->bik")], {"x": ("N", 3, 4), "z": ("N", 2, 4)}, "y"
    ),
    "Einsum with weights": with_rest("Einsum", {"w": weights(4, 2, 3)}, equation="btc,chd->bthd"),
    "Einsum of one": unary("Einsum", shape=(3, 4), equation="bij->bj"),
    "Einsum to numbers": lambda: graph(
        [node("Einsum", "x z", "y", equation="bi,bi->b")], {"x": ("N", 4), "z": ("N", 4)}, "y"
    ),
    "Conv": conv(pads=[1, 0, 2, 1], strides=[2, 1]),
    "Conv, same": conv(auto_pad="SAME_UPPER", strides=[2, 2]),
    "Conv, same before": conv(auto_pad="SAME_LOWER", strides=[2, 2]),
    "Conv, dilated": conv(dilations=[2, 3], auto_pad="VALID", kernel_shape=[3, 2]),
    "Conv, 1 axis": conv_line(1),
    "Conv, 3 axes": conv_line(3),
    "Conv, depthwise": depthwise,
    "ConvTranspose": transposed(strides=[2, 1], pads=[1, 0, 0, 1], output_padding=[1, 0]),
    "ConvTranspose, groups": transposed(group=2, dilations=[1, 2]),
    "ConvTranspose, same": transposed(strides=[2, 2], auto_pad="SAME_UPPER"),
    "ConvTranspose, same with large strides": transposed(strides=[4, 3], auto_pad="SAME_LOWER"),
    "ConvTranspose, of a size": transposed(strides=[2, 2], output_shape=[7, 8]),
    "ConvTranspose, of an odd size less": transposed(strides=[2, 2], output_shape=[6, 7]),
    "ConvTranspose, of an odd size less after": transposed(
        strides=[2, 2], output_shape=[6, 7], auto_pad="SAME_UPPER", dilations=[1, 2]
    ),
    "small cnn": conv_bn,
    "MaxPool": pool("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    "MaxPool, ceil": pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "MaxPool, dilated": pool("MaxPool", kernel_shape=[2, 2], dilations=[2, 3]),
    "MaxPool, same": pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
    "AveragePool": pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "GlobalMaxPool": pool("GlobalMaxPool"),
    "BatchNormalization": with_rest(
        "BatchNormalization", {"g": ONES, "b": weights(3), "m": weights(3), "v": ONES}, epsilon=0.0
    ),
    "Relu": unary("Relu"),
    "LeakyRelu": unary("LeakyRelu", alpha=0.25),
    "ThresholdedRelu": unary("ThresholdedRelu", alpha=0.5),
    "PRelu": with_rest("PRelu", {"s": weights(3, 1)}),
    "HardSigmoid": unary("HardSigmoid", alpha=0.25, beta=0.5),
    "Clip by attributes": unary("Clip", opset=7, min=-0.5, max=1.0),
    "Clip": with_rest("Clip", {"low": np.float32(0), "high": np.float32(6)}),
    "Clip above": with_rest("Clip", {"-": 0, "high": np.float32(0.5)}),
    "Shrink": unary("Shrink", lambd=0.5, bias=0.5),
    "Add": binary("Add"),
    "Sub, broadcast": binary("Sub", ("N", 3, 4), ("N", 1, 4)),
    "Mul, broadcast": binary("Mul", ("N", 3, 4), ("N", 3, 1)),
    "Sum of three": lambda: graph([node("Sum", "x z x", "y")], {"x": ("N", 3), "z": ("N", 3)}, "y"),
    "Max": binary("Max"),
    "Min with a constant": with_rest("Min", {"c": np.float32(0.25)}),
    "Max with constants": with_rest("Max", {"c": weights(4)}),
    "Add of channels": with_rest("Add", {"c": weights(1, 3, 1)}),
    "Add of an array": with_rest("Add", {"c": weights(3, 4)}),
    "Mul of an array": with_rest("Mul", {"c": weights(1, 3, 4)}),
    "Mul to more axes": with_rest("Mul", {"c": weights(3, 4)}, shape=("N", 1, 4)),
    "Div by a constant": with_rest("Div", {"c": np.array([1.0, 2.0, 4.0, 0.5])}),
    "Div of whole constants": whole_quotient,
    "Sub from a constant": constant_first("Sub", 1.5),
    "Pow": with_rest("Pow", {"c": np.float32(2)}),
    "Neg": unary("Neg"),
    "Abs": unary("Abs"),
    "Sign": unary("Sign"),
    "Floor": unary("Floor"),
    "Ceil": unary("Ceil"),
    "Round": unary("Round"),
    "Cast to whole numbers": lambda: graph(
        [node("Cast", "x", "i", to=7), node("Cast", "i", "y", to=1)], {"x": ("N", 4)}, "y"
    ),
    "truth values": truths,
    "Equal": with_rest("Equal", {"c": np.float32(0.5)}),
    "LessOrEqual": binary("LessOrEqual"),
    "Reshape": with_rest("Reshape", {"s": np.array([0, -1, 6])}),
    "Reshape, allowzero": with_rest("Reshape", {"s": np.array([-1, 4, 3])}, allowzero=1),
    "Reshape of a batch of one": with_rest("Reshape", {"s": np.array([1, -1])}, shape=(1, 3, 4)),
    "Reshape of a fixed batch": with_rest("Reshape", {"s": np.array([3, 12])}, shape=(3, 3, 4)),
    "sizes computed": shape_arithmetic,
    "class token": class_token,
    "Flatten": unary("Flatten", shape=(2, 3, 2)),
    "Transpose": unary("Transpose", shape=(2, 3, 4), perm=[0, 3, 1, 2]),
    "Transpose of the batch": lambda: graph(
        [node("Transpose", "x", "t", perm=[1, 0]), node("Transpose", "t", "y")], {"x": ("N", 3)}, "y"
    ),
    "Transpose of all axes": lambda: graph(
        [node("Transpose", "x", "t"), node("ReduceMax", "t", "s", axes=[0], keepdims=0), node("Transpose", "s", "y")],
        {"x": ("N", 3, 4)},
        "y",
    ),
    "Squeeze": unary("Squeeze", opset=11, shape=(1, 3, 1), axes=[1, 3]),
    "Unsqueeze": with_rest("Unsqueeze", {"a": np.array([1, -1])}),
    "Slice": with_rest(
        "Slice", {"s": np.array([1, 3]), "e": np.array([9, -9]), "a": np.array([1, 2]), "t": np.array([1, -2])}
    ),
    "Slice by attributes": unary("Slice", opset=9, shape=(3, 4), axes=[2], starts=[1], ends=[-1]),
    "Split": split,
    "Split, sizes": split_sizes,
    "Gather": with_rest("Gather", {"i": np.array([2, 0, 2])}, axis=1),
    "Gather one": with_rest("Gather", {"i": np.array(-1)}, axis=2),
    "Gather many": with_rest("Gather", {"i": np.array([[0, 1], [2, 0]])}, axis=1),
    "embedding": embedding,
    "OneHot": lambda: graph(
        [node("OneHot", "x depth values", "y")],
        {"x": ("N", 3)},
        "y",
        {"depth": np.array(8), "values": np.array([0.0, 1.0])},
        types={"x": np.int64},
    ),
    "Expand": with_rest("Expand", {"s": np.array([1, 3, 4])}, shape=("N", 3, 1)),
    "Tile": with_rest("Tile", {"r": np.array([1, 2, 3])}),
    "Pad": with_rest("Pad", {"p": np.array([0, 1, 0, 0, 2, 1]), "v": np.float32(1.5)}),
    "Pad by attributes": unary("Pad", opset=9, shape=(3, 4), pads=[0, 1, 0, 0, 0, -2], value=-0.5),
    "Pad, reflected": with_rest("Pad", {"p": np.array([0, 0, 2, 0, 0, 3])}, mode="reflect"),
    "Pad, edges": with_rest("Pad", {"p": np.array([0, 1, 2, 0, 0, 3])}, mode="edge"),
    "CenterCropPad": with_rest("CenterCropPad", {"s": np.array([4, 7])}, opset=18, shape=("N", 7, 2), axes=[1, 2]),
    "CenterCropPad, both odd": with_rest(
        "CenterCropPad", {"s": np.array([3, 2])}, opset=18, shape=("N", 6, 5), axes=[-2, 2]
    ),
    "Resize, nearest": with_rest(
        "Resize",
        {"-": 0, "s": np.array([1.0, 1.0, 2.0, 3.0])},
        shape=("N", 2, 3, 2),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "Resize, linear": with_rest(
        "Resize", {"-": 0, "--": 0, "s": np.array([3, 2, 1, 4])}, shape=(3, 2, 3, 2), mode="linear"
    ),
    "Resize, nearest by fractions": with_rest(
        "Resize", {"-": 0, "s": np.array([1.0, 1.0, 1.3, 0.7])}, shape=("N", 2, 4, 7), mode="nearest"
    ),
    "Resize, nearest by a fraction of the same length": with_rest(
        "Resize",
        {"-": 0, "s": np.array([1.0, 1.0, 1.2])},
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "Pad, of maxima": lambda: graph(
        [node("Pad", "x p v", "f"), node("MaxPool", "f", "y", kernel_shape=[3, 2], strides=[2, 2])],
        {"x": IMAGE},
        "y",
        {"p": np.array([0, 0, 1, 0, 0, 0, 0, 1]), "v": np.float32(-np.inf)},
    ),
    "Upsample": with_rest("Upsample", {"s": np.array([1.0, 1.0, 2.0, 2.0])}, opset=9, shape=("N", 2, 3, 3)),
    "SpaceToDepth": unary("SpaceToDepth", shape=(2, 4, 4), blocksize=2),
    "DepthToSpace": unary("DepthToSpace", shape=(8, 2, 3), blocksize=2, mode="CRD"),
    "ReverseSequence, of samples": lambda: graph(
        [
            node("Shape", "x", "n", end=1),
            node("Expand", "three n", "l"),
            node("ReverseSequence", "x l", "y", batch_axis=0, time_axis=1),
        ],
        {"x": ("N", 4, 3)},
        "y",
        {"three": np.array([3])},
        opset=15,
    ),
    "ReverseSequence, of rows": lambda: graph(
        [node("Squeeze", "x axis", "r"), node("ReverseSequence", "r l", "y", time_axis=1, batch_axis=0)],
        {"x": (1, 3, 4, 2)},
        "y",
        {"axis": np.array([0]), "l": np.array([1, 4, 3])},
    ),
    "ReverseSequence, of columns": lambda: graph(
        [node("Squeeze", "x axis", "r"), node("ReverseSequence", "r l", "y")],
        {"x": (1, 3, 4, 2)},
        "y",
        {"axis": np.array([0]), "l": np.array([3, 2, 1, 2])},
    ),
    "Col2Im": with_rest(
        "Col2Im",
        {"i": np.array([4, 6]), "b": np.array([2, 3])},
        opset=18,
        shape=("N", 12, 12),
        pads=[0, 1, 1, 0],
        dilations=[1, 2],
    ),
    # onnxruntime 1.32 does not follow the definition of dilations of one axis.
    "Col2Im, of one axis": with_rest(
        "Col2Im", {"i": np.array([7]), "b": np.array([3])}, opset=18, shape=("N", 6, 3), strides=[2]
    ),
    "Trilu": with_rest("Trilu", {"k": np.array(1)}, upper=1),
    "CumSum": with_rest("CumSum", {"a": np.array(2)}),
    "CumSum, exclusive and backwards": with_rest("CumSum", {"a": np.array(1)}, exclusive=1, reverse=1),
    "CumSum, of one element": with_rest("CumSum", {"a": np.array(1)}, shape=("N", 1, 4), exclusive=1),
    "ReduceSum": with_rest("ReduceSum", {"a": np.array([1])}, keepdims=0),
    "ReduceMax": unary("ReduceMax", shape=(3, 4), axes=[-1]),
    "ReduceMin of operator set 18": with_rest("ReduceMin", {"a": np.array([1, 2])}, opset=18, keepdims=0),
    "ReduceProd": unary("ReduceProd", shape=(3,), axes=[1], keepdims=0),
    "ReduceL1": unary("ReduceL1", shape=(3, 4), axes=[2], keepdims=0),
    "ReduceSumSquare": unary("ReduceSumSquare", shape=(3, 4), axes=[1, 2]),
    **{
        f"{name} over no axis": unary(name, opset=18, shape=(3, 4), noop_with_empty_axes=1)
        for name in ("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare")
    },
    "Hardmax, its mean": lambda: graph(
        [node("Hardmax", "x", "h", axis=1), node("ReduceMean", "h", "y", axes=[1])], {"x": ("N", 4)}, "y", opset=13
    ),
    "ReduceMean": unary("ReduceMean", shape=(3, 4), axes=[2], keepdims=0),
    "ArgMax": unary("ArgMax", shape=(3, 4), axis=1, keepdims=0),
    "ArgMin": unary("ArgMin", shape=(5,), axis=-1),
    "Dropout": unary("Dropout", opset=11),
    "Identity": unary("Identity"),
    "function": function,
}
"""Graphs whose results 16 bits hold exactly."""

APPROXIMATE: dict[str, Callable[[], onnx.ModelProto]] = {
    "Resize, cubic": with_rest(
        "Resize", {"-": 0, "s": np.array([1.0, 1.0, 2.0, 1.5])}, shape=("N", 2, 3, 4), mode="cubic"
    ),
    "MeanVarianceNormalization": unary("MeanVarianceNormalization", shape=(3, 4, 2), axes=[2, 3]),
    "Resize, cubic of TensorFlow": with_rest(
        "Resize",
        {"-": 0, "--": 0, "s": np.array([3, 2, 7, 3])},
        shape=(3, 2, 3, 5),
        mode="cubic",
        cubic_coeff_a=-0.5,
        exclude_outside=1,
    ),
    **{
        operator: unary(operator)
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
    "Mish": unary("Mish", opset=18),
    "Gelu": unary("Gelu", opset=20),
    "Gelu by tanh": unary("Gelu", opset=20, approximate="tanh"),
    "Selu of other scales": unary("Selu", alpha=1.5, gamma=1.25),
    "Softmax": unary("Softmax", shape=(3, 4)),
    "Softmax along another axis": unary("Softmax", shape=(3, 4), axis=1),
    "Softmax of operator set 11": unary("Softmax", opset=11, shape=(3, 4), axis=1),
    "LogSoftmax": unary("LogSoftmax"),
    "masked Softmax": masked,
    "Softmax masked by a choice": masked_by_choice,
    "attention heads": heads,
    "AveragePool, padded": pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "AveragePool, padding counts": pool(
        "AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, ceil_mode=1, strides=[2, 2]
    ),
    "GlobalAveragePool": pool("GlobalAveragePool"),
    "Resize, symmetric centers": with_rest(
        "Resize",
        {"-": 0, "s": np.array([1.0, 1.0, 0.5, 2.0])},
        opset=19,
        shape=("N", 2, 4, 5),
        mode="linear",
        coordinate_transformation_mode="half_pixel_symmetric",
    ),
    "Resize, linear by fractions": with_rest(
        "Resize", {"-": 0, "s": np.array([1.0, 1.0, 1.3, 1.1])}, shape=("N", 2, 4, 5), mode="linear"
    ),
    "LayerNormalization": with_rest("LayerNormalization", {"g": weights(4), "b": weights(4)}),
    "LayerNormalization of two axes": with_rest("LayerNormalization", {"g": weights(3, 4)}, axis=1),
    "InstanceNormalization": with_rest("InstanceNormalization", {"g": weights(3), "b": weights(3)}),
    "GroupNormalization": with_rest(
        "GroupNormalization", {"g": weights(2), "b": weights(2)}, opset=18, shape=("N", 4, 3), num_groups=2
    ),
    "GroupNormalization of operator set 21": with_rest(
        "GroupNormalization", {"g": weights(4), "b": weights(4)}, opset=21, shape=("N", 4, 3), num_groups=2
    ),
    "LpNormalization": unary("LpNormalization", axis=1, p=2),
    "ReduceL2": unary("ReduceL2", shape=(3, 4), axes=[2], keepdims=0),
    "ReduceLogSumExp": unary("ReduceLogSumExp", shape=(3, 4), axes=[2], keepdims=0),
    "LSTM": recurrent("LSTM", 4),
    "LSTM, both ways": recurrent("LSTM", 4, direction="bidirectional"),
    "LSTM, initial states": recurrent("LSTM", 4, states=2, direction="reverse"),
    "LSTM with peepholes": recurrent("LSTM", 4, peepholes=True, direction="bidirectional"),
    "LSTM with peepholes, clipped": recurrent("LSTM", 4, states=2, peepholes=True, clip=0.3),
    "LSTM, clipped": recurrent("LSTM", 4, clip=0.25),
    "LSTM, gates coupled": recurrent("LSTM", 4, states=2, peepholes=True, input_forget=1),
    "GRU, clipped": recurrent("GRU", 3, clip=0.25, linear_before_reset=1),
    "RNN, clipped": recurrent("RNN", 1, clip=0.25),
    "LSTM, batch first": recurrent_batch_first,
    "GRU": recurrent("GRU", 3, linear_before_reset=1),
    "GRU, reset before": recurrent("GRU", 3, biases=False),
    "GRU, both ways, initial states": recurrent("GRU", 3, states=1, direction="bidirectional", linear_before_reset=1),
    "RNN": recurrent("RNN", 1, direction="reverse"),
    "RNN of another activation": recurrent("RNN", 1, activations=["Relu"]),
}

POSITIVE: dict[str, Callable[[], onnx.ModelProto]] = {
    "Sqrt": unary("Sqrt"),
    "Log": unary("Log"),
    "Reciprocal": unary("Reciprocal"),
    "Div": binary("Div"),
    "Div of a constant": constant_first("Div", 3.0),
    "Pow of a fraction": with_rest("Pow", {"c": np.float32(1.5)}),
    "ReduceLogSum": unary("ReduceLogSum", shape=(3, 4), axes=[2]),
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
    model = recurrent(operator, gates)()
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
