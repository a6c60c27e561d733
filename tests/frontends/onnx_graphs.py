"""Small ONNX graphs of one operator, or of a few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx_models import graph, node, weights

ONES = np.ones(3)
IMAGE = ("N", 3, 6, 6)


def mlp() -> onnx.ModelProto:
    """As PyTorch writes it: Gemm with transposed weights."""
    return graph(
        [node("Gemm", "x w0 b0", "h", transB=1), node("Relu", "h", "r"), node("Gemm", "r w1 b1", "y", transB=1)],
        {"x": ("N", 5)},
        "y",
        {"w0": weights(6, 5), "b0": weights(6), "w1": weights(3, 6), "b1": weights(3)},
    )


def mlp_keras() -> onnx.ModelProto:
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


def gemm_scaled() -> onnx.ModelProto:
    return graph(
        [node("Gemm", "x w c", "y", alpha=0.5, beta=2.0)],
        {"x": ("N", 4)},
        "y",
        {"w": weights(4, 3), "c": weights(1, 3)},
    )


def gemm_tensors() -> onnx.ModelProto:
    """Two tensors of a sample each, which have no batch axis."""
    return graph([node("Gemm", "x z c", "y", transA=1, alpha=2.0)], {"x": (4, 2), "z": (4, 3)}, "y", {"c": weights(3)})


def gemm_residual() -> onnx.ModelProto:
    return graph([node("Gemm", "x w x", "y", beta=0.5)], {"x": ("N", 4)}, "y", {"w": weights(4, 4)})


def conv(**attributes: object) -> Callable[[], onnx.ModelProto]:
    return lambda: graph(
        [node("Conv", "x w b", "y", **attributes)], {"x": IMAGE}, "y", {"w": weights(4, 3, 3, 2), "b": weights(4)}
    )


def conv_line(rank: int) -> Callable[[], onnx.ModelProto]:
    return lambda: graph(
        [node("Conv", "x w", "y", strides=[2] * rank)],
        {"x": ("N", 2, *(5,) * rank)},
        "y",
        {"w": weights(3, 2, *(3,) * rank)},
    )


def depthwise() -> onnx.ModelProto:
    return graph(
        [node("Conv", "x w b", "y", group=3, pads=[1, 1, 1, 1])],
        {"x": IMAGE},
        "y",
        {"w": weights(6, 1, 3, 3), "b": weights(6)},
    )


def transposed(**attributes: object) -> Callable[[], onnx.ModelProto]:
    return lambda: graph(
        [node("ConvTranspose", "x w b", "y", **attributes)],
        {"x": ("N", 4, 3, 4)},
        "y",
        {"w": weights(4, 2, 3, 2), "b": weights(2 * int(attributes.get("group", 1)))},
    )  # type: ignore[call-overload]


def conv_bn() -> onnx.ModelProto:
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
            "g": ONES,
            "b": weights(3),
            "m": weights(3),
            "v": np.array([0.25, 1.0, 4.0]),
            "k": weights(12, 2),
        },
    )


def pool(operator: str, **attributes: object) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "x", "y", **attributes)], {"x": IMAGE}, "y", opset=19)


def unary(
    operator: str, opset: int = 17, shape: tuple[int, ...] = (6,), **attributes: object
) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "x", "y", **attributes)], {"x": ("N", *shape)}, "y", opset=opset)


def with_rest(
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


def binary(
    operator: str, left: tuple[int | str, ...] = ("N", 3, 4), right: tuple[int | str, ...] = ("N", 3, 4)
) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "x z", "y")], {"x": left, "z": right}, "y")


def constant_first(operator: str, value: float) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node(operator, "c x", "y")], {"x": ("N", 4)}, "y", {"c": np.array(value)})


def whole_quotient() -> onnx.ModelProto:
    """ONNX leaves the fraction out, also of negative numbers."""
    return graph(
        [node("Div", "a b", "q"), node("Cast", "q", "c", to=1), node("Add", "x c", "y")],
        {"x": ("N", 3)},
        "y",
        {"a": np.array([-7, 7, -6]), "b": np.array(2)},
    )


def shape_arithmetic() -> onnx.ModelProto:
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


def class_token() -> onnx.ModelProto:
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


def heads() -> onnx.ModelProto:
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


def masked() -> onnx.ModelProto:
    mask = np.where(np.tri(4) > 0, 0.0, -np.inf).astype(np.float32)
    return graph([node("Add", "x mask", "m"), node("Softmax", "m", "y")], {"x": ("N", 4, 4)}, "y", {"mask": mask})


def masked_by_choice() -> onnx.ModelProto:
    least = np.finfo(np.float32).min
    return graph(
        [node("Where", "mask x least", "m"), node("Softmax", "m", "y")],
        {"x": ("N", 4, 4)},
        "y",
        {"mask": np.tri(4) > 0, "least": np.float32(least)},
    )


def split() -> onnx.ModelProto:
    return graph(
        [node("Split", "x", "a b c", axis=1), node("Mul", "a c", "d"), node("Sub", "d b", "y")],
        {"x": ("N", 6)},
        "y",
        opset=11,
    )


def split_sizes() -> onnx.ModelProto:
    return graph(
        [node("Split", "x sizes", "a b", axis=-1), node("Concat", "b a x", "y", axis=-1)],
        {"x": ("N", 5)},
        "y",
        {"sizes": np.array([2, 3])},
    )


def embedding() -> onnx.ModelProto:
    return graph(
        [node("Gather", "table x", "e"), node("ReduceMean", "e", "y", axes=[1], keepdims=0)],
        {"x": ("N", 4)},
        "y",
        {"table": weights(8, 3)},
        types={"x": np.int64},
    )


def truths() -> onnx.ModelProto:
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


def recurrent(
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


def recurrent_batch_first() -> onnx.ModelProto:
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


def function() -> onnx.ModelProto:
    """A function of the model's own."""
    model = graph([node("Twice", "x", "h"), node("Twice", "h", "y")], {"x": ("N", 3)}, "y")
    model.graph.node[0].domain = model.graph.node[1].domain = "own"
    body = onnx.helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [onnx.helper.make_opsetid("", 17)]
    )
    model.functions.append(body)
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    return model
