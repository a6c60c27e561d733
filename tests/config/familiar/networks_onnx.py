"""Eleven small ONNX networks that cover the operators which hls4ml reads, cleaned by qonnx as its manual says."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.transformation.gemm_to_matmul import GemmToMatMul
from qonnx.util.cleanup import cleanup_model

RNG = np.random.default_rng(0)


def tensor(name, *shape):
    return numpy_helper.from_array(RNG.uniform(-1, 1, shape).astype(np.float32), name)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def positive(name, *shape):
    return numpy_helper.from_array(RNG.uniform(0.5, 1, shape).astype(np.float32), name)


def cleaned(wrapped):
    wrapped.model.ir_version = 8
    return cleanup_model(wrapped)


def model(nodes, constants, inputs, outputs, *, channels_last=False, domain=None):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape]) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        constants,
    )
    opsets = [helper.make_opsetid("", 13)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    made = cleaned(ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=8)))
    if channels_last:
        made = cleaned(made.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True)))
    return cleaned(made.transform(GemmToMatMul())).model


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def mlp():
    nodes = [
        *(node("MatMul", "x w1", "a"), node("Add", "a b1", "b"), node("Relu", "b", "c")),
        *(node("MatMul", "c w2", "d"), node("Add", "d b2", "e"), node("Softmax", "e", "y", axis=-1)),
    ]
    constants = [tensor("w1", 6, 4), tensor("b1", 4), tensor("w2", 4, 3), tensor("b2", 3)]
    return model(nodes, constants, {"x": (6,)}, ["y"])


def gemm():
    nodes = [node("Gemm", "x w b", "a"), node("Sigmoid", "a", "y")]
    return model(nodes, [tensor("w", 5, 3), tensor("b", 3)], {"x": (5,)}, ["y"])


def activations():
    kinds = ("Relu", "Tanh", "Sigmoid", "LeakyRelu", "Elu", "Selu", "Softplus", "Softsign")
    names = ["x", *(f"t{k}" for k in range(len(kinds) - 1)), "y"]
    return model([node(k, a, b) for k, a, b in zip(kinds, names, names[1:], strict=False)], [], {"x": (4,)}, ["y"])


def conv1d():
    nodes = [
        node("Conv", "x w b", "a", group=1, kernel_shape=[3], strides=[1], dilations=[1], pads=[1, 1]),
        *(node("Relu", "a", "c"), node("MaxPool", "c", "y", kernel_shape=[2], pads=[0, 0], strides=[2])),
    ]
    return model(nodes, [tensor("w", 3, 2, 3), tensor("b", 3)], {"x": (2, 8)}, ["y"], channels_last=True)


def conv2d():
    nodes = [
        node("Conv", "x w b", "a", group=1, kernel_shape=[3, 3], pads=[0, 0, 0, 0], strides=[1, 1], dilations=[1, 1]),
        node("Relu", "a", "c"),
        node("MaxPool", "c", "y", kernel_shape=[2, 2], pads=[0, 0, 0, 0], strides=[2, 2]),
    ]
    return model(nodes, [tensor("w", 3, 2, 3, 3), tensor("b", 3)], {"x": (2, 6, 6)}, ["y"], channels_last=True)


def depthwise():
    nodes = [
        node("Conv", "x w", "a", kernel_shape=[3, 3], pads=[0, 0, 0, 0], strides=[1, 1], dilations=[1, 1], group=2),
        node("Conv", "a v", "y", group=1, kernel_shape=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1], dilations=[1, 1]),
    ]
    return model(nodes, [tensor("w", 2, 1, 3, 3), tensor("v", 3, 2, 1, 1)], {"x": (2, 6, 6)}, ["y"], channels_last=True)


def batchnorm():
    nodes = [node("MatMul", "x w", "a"), node("BatchNormalization", "a s b m v", "c"), node("Relu", "c", "y")]
    constants = [tensor("w", 4, 3), *(positive(n, 3) for n in "sbmv")]
    return model(nodes, constants, {"x": (4,)}, ["y"])


def merges():
    nodes = [
        node("Add", "x z", "a"),
        node("Mul", "a z", "b"),
        node("Sub", "b x", "c"),
        node("Concat", "b c", "y", axis=1),
    ]
    return model(nodes, [], {"x": (4,), "z": (4,)}, ["y"])


def shapes():
    nodes = [node("Reshape", "x s", "a"), node("Transpose", "a", "b", perm=[0, 2, 1]), node("Flatten", "b", "y")]
    return model(nodes, [ints("s", 1, 2, 3)], {"x": (6,)}, ["y"])


def scales():
    nodes = [node("Mul", "x s", "a"), node("Add", "a b", "c"), node("MatMul", "c w", "d"), node("Tanh", "d", "y")]
    return model(nodes, [tensor("s", 4), tensor("b", 4), tensor("w", 4, 2)], {"x": (4,)}, ["y"])


def quant(inputs, output, **more):
    given = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **more}
    return helper.make_node("Quant", inputs.split(), [output], domain="qonnx.custom_op.general", **given)


def quantized():
    scalar = [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in (("q", 0.125), ("z", 0.0), ("w8", 8.0))]
    nodes = [
        quant("x q z w8", "xq"),
        quant("w q z w8", "wq"),
        *(node("MatMul", "xq wq", "a"), node("Relu", "a", "r")),
        quant("r q z w8", "y", signed=0),
    ]
    return model(nodes, [tensor("w", 4, 3), *scalar], {"x": (4,)}, ["y"], domain="qonnx.custom_op.general")


NETWORKS = {
    f.__name__: f
    for f in (*(mlp, gemm, activations, conv1d, conv2d, depthwise), *(batchnorm, merges, shapes, scales, quantized))
}
