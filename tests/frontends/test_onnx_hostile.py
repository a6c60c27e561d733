"""ONNX files that are damaged, hostile or not for us: one typed error each, and nothing is read outside of the model's folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_models import graph, node, weights
from test_onnx_models import APPROXIMATE, EXACT

from bitsmith.compiler import compile_network
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.call import integers
from bitsmith.frontends.onnx.read import read_onnx


def _mlp() -> onnx.ModelProto:
    return graph(
        [node("Gemm", "x w b", "h"), node("Relu", "h", "y")],
        {"x": ("N", 3)},
        "y",
        {"w": weights(3, 2), "b": weights(2)},
    )


def _changed(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    model = _mlp()
    change(model)
    return model


def _cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[2] = "y"


def _self_cycle(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[0] = "y"


def _missing(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[1] = "nothing"


def _no_output(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def _two_values(model: onnx.ModelProto) -> None:
    model.graph.node.append(node("Relu", "h", "y"))


def _two_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _huge(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    del tensor.dims[:]
    tensor.dims.extend([1 << 40, 1 << 40])


def _negative(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -3


def _short(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = b"\0\0\0\0"


def _wrong_type(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("alpha", "high"))


def _not_finite(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("alpha", float("nan")))


def _twice(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.extend([helper.make_attribute("alpha", 1.0)] * 2)


def _no_operand(model: onnx.ModelProto) -> None:
    del model.graph.node[0].input[:]


def _same_inputs(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def _recursion(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function(
            "own",
            "F",
            ["a"],
            ["b"],
            [helper.make_node("F", ["a"], ["b"], domain="own")],
            [helper.make_opsetid("own", 1)],
        )
    )
    model.graph.node[1].op_type, model.graph.node[1].domain = "F", "own"


def _explosion(model: onnx.ModelProto) -> None:
    """Functions of which each calls the one before it twice: 2**40 nodes."""
    for level in range(40):
        inner = [
            helper.make_node(f"F{level - 1}" if level else "Relu", [a], [b], domain="own" if level else "")
            for a, b in (("a", "t"), ("t", "b"))
        ]
        model.functions.append(
            helper.make_function(
                "own", f"F{level}", ["a"], ["b"], inner, [helper.make_opsetid("own", 1), helper.make_opsetid("", 17)]
            )
        )
    model.graph.node[1].op_type, model.graph.node[1].domain = "F39", "own"


@pytest.mark.parametrize(
    "change",
    [
        _cycle,
        _self_cycle,
        _missing,
        _no_output,
        _two_values,
        _two_weights,
        _huge,
        _negative,
        _short,
        _wrong_type,
        _not_finite,
        _twice,
        _no_operand,
        _same_inputs,
        _recursion,
        _explosion,
    ],
)
def test_malformed(change: Callable[[onnx.ModelProto], object]) -> None:
    with pytest.raises(ModelFileError):
        read_onnx(_changed(change))


def _constants(nodes: list[onnx.NodeProto], **values: object) -> onnx.ModelProto:
    """A graph that computes ``c`` from constants and adds it."""
    return graph(
        [*nodes, node("Add", "x c", "y")],
        {"x": ("N", 3)},
        "y",
        {name: np.asarray(value) for name, value in values.items()},
    )


@pytest.mark.parametrize(
    "model",
    [
        _constants([node("ConstantOfShape", "s", "c")], s=[1 << 30, 1 << 30]),
        _constants([node("Expand", "a s", "c")], a=[1.0], s=[1 << 40]),
        _constants([node("Tile", "a s", "c")], a=[1.0], s=[1 << 40]),
        _constants([node("Range", "a b d", "c")], a=np.int64(0), b=np.int64(1 << 60), d=np.int64(1)),
        _constants([node("Div", "a b", "c")], a=np.array([1]), b=np.array([0])),
        _constants([node("Gather", "a b", "c")], a=np.array([1.0]), b=np.array([7])),
        _constants([node("Reshape", "a s", "c")], a=np.ones(6), s=[4, -1]),
        _constants([node("Unsqueeze", "a s", "c")], a=np.ones(3), s=[40]),
        _constants([node("Squeeze", "a s", "c")], a=np.ones(3), s=[0]),
        _constants([node("Slice", "a s s s z", "c")], a=np.ones(3), s=[0], z=[0]),
        _constants([node("Add", "a b", "c")], a=np.ones((1 << 13, 1)), b=np.ones((1, 1 << 13))),
        _constants([node("Transpose", "a", "c", perm=[0, 0])], a=np.ones((1, 3))),
    ],
    ids=lambda model: model.graph.node[0].op_type,
)
def test_constants_that_do_not_fit(model: onnx.ModelProto) -> None:
    with pytest.raises((ModelFileError, UnsupportedError), match="c_node"):
        read_onnx(model)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    content = _mlp().SerializeToString()
    path.write_bytes(content)
    assert read_onnx(path).outputs == read_onnx(str(path)).outputs == ("y_node",)
    for damaged in (b"", b"\0" * 100, content[: len(content) // 2], b"not a model at all"):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            read_onnx(path)
    with pytest.raises(ModelFileError, match="cannot be opened"):
        read_onnx(tmp_path / "absent.onnx")
    os.truncate(path, 1 << 31)  # a file of one hole
    with pytest.raises(ModelFileError, match="keep the weights in external data"):
        read_onnx(path)


def _external(path: Path, location: str, **entries: str) -> Path:
    model = _mlp()
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    (path / "weights.bin").write_bytes(b"\1" * 8 + values.tobytes())
    file = path / "model.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def test_weights_beside_the_model(tmp_path: Path) -> None:
    network = read_onnx(_external(tmp_path, "weights.bin", offset="8", length="24"))
    np.testing.assert_array_equal(network.node("h_node").layer.weights()["weight"], weights(3, 2))


@pytest.mark.parametrize(
    ("location", "entries"),
    [
        ("../secret.bin", {}),
        ("/etc/passwd", {}),
        ("", {}),
        (".", {}),
        ("link.bin", {"length": "24"}),
        ("absent.bin", {}),
        ("weights.bin", {"offset": "9"}),
        ("weights.bin", {"offset": "-1"}),
        ("weights.bin", {"length": "999999999999"}),
        ("weights.bin", {"offset": "many"}),
        ("a\0b", {}),
    ],
)
def test_weights_elsewhere_are_refused(tmp_path: Path, location: str, entries: dict[str, str]) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\0" * 64)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ModelFileError):
        read_onnx(_external(folder, location, **entries))


def test_weights_that_were_left_behind_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"'absent.bin', which is not there[\s\S]*copy that file beside"):
        read_onnx(_external(tmp_path, "absent.bin"))


def test_weights_beside_a_live_model(tmp_path: Path) -> None:
    model = onnx.load(_external(tmp_path, "weights.bin", offset="8"), load_external_data=False)
    with pytest.raises(ModelFileError, match="give the path"):
        read_onnx(model)


def test_unsupported_nodes_are_listed_together() -> None:
    model = graph(
        [
            node("TopK", "x k", "t i"),
            node("Relu", "t", "r"),
            node("Det", "r", "d"),
            node("Conv", "x w", "c"),
            node("Add", "d c", "y"),
        ],
        {"x": ("N", 3, 4)},
        "y",
        {"k": np.array([5]), "w": weights(2, 2, 1)},
    )
    with pytest.raises(UnsupportedError) as caught:
        read_onnx(model)
    text = str(caught.value)
    assert "3 layers cannot be translated" in text
    for part in (
        "t_node (TopK)",
        "1 to 4",
        "d_node (Det)",
        "c_node (Conv)",
        "2 groups" if "2 groups" in text else "channels",
    ):
        assert part in text
    assert "r_node" not in text


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (graph([node("Softmax", "x", "y", axis=0)], {"x": ("N", 3)}, "y"), "along the batch axis"),
        (graph([node("ReduceMean", "x", "y")], {"x": ("N", 3)}, "y"), "name the axes"),
        (
            graph([node("Slice", "x s e s", "y")], {"x": ("N", 3)}, "y", {"s": np.array([0]), "e": np.array([2])}),
            "samples",
        ),
        (graph([node("Reshape", "x s", "y")], {"x": ("N", 3)}, "y", {"s": np.array([3, -1])}), "between samples"),
        (graph([node("Reshape", "x s", "y")], {"x": ("N", 3)}, "y", {"s": np.array([1, 3])}), "batch of size 1"),
        (graph([node("Transpose", "x", "t"), node("Add", "x t", "y")], {"x": ("N", 3)}, "y"), "batch axes differ"),
        (graph([node("MatMul", "x z", "y")], {"x": ("N", 3), "z": (3, "N")}, "y"), "batch axes differ"),
        (graph([node("Relu", "x", "y")], {"x": ("N", "M")}, "y"), "left open"),
        (graph([node("Relu", "x", "y")], {"x": ("N",)}, "y"), "scalars"),
        (graph([node("Relu", "x", "y")], {"x": ("N", 3)}, "y", opset=5), "operator set 5"),
        (graph([node("Relu", "x", "y")], {"x": ("N", 3)}, "y", opset=99), "operator set 99"),
        (graph([node("Relu", "x", "y", blur=1)], {"x": ("N", 3)}, "y"), "the attribute blur"),
        (graph([node("MaxPool", "x", "y i", kernel_shape=[2])], {"x": ("N", 2, 4)}, "y i"), "result 1 is used"),
        (
            graph(
                [node("BatchNormalization", "x g g g g", "y", training_mode=1)], {"x": ("N", 2)}, "y", {"g": np.ones(2)}
            ),
            "in training",
        ),
        (graph([node("Sub", "x x", "y")], {"x": ("N", 3)}, "y", types={"x": np.bool_}), "arithmetic on truth values"),
        (graph([node("LRN", "x", "y", size=3)], {"x": ("N", 1 << 20, 1)}, "y"), "at most 16777216 elements"),
        (graph([node("LRN", "x", "y", size=3, bias=-1.0)], {"x": ("N", 4, 1)}, "y"), "bias -1"),
        (graph([node("Identity", "w", "y")], {"x": ("N", 3)}, "y", {"w": weights(3)}), "depend on any input"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(model: onnx.ModelProto, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        read_onnx(model)


@pytest.mark.parametrize("samples", ["N", 1])
@pytest.mark.parametrize(
    ("operator", "operands", "what"),
    [
        ("Reshape", ["x", "shape"], "the shape"),
        ("Expand", ["x", "shape"], "the shape"),
        ("Resize", ["x", "", "", "shape"], "the sizes"),
        ("ConstantOfShape", ["shape"], "the shape"),
        ("Tile", ["x", "shape"], "the repeats"),
    ],
)
def test_inputs_that_decide_shapes_are_refused(
    operator: str, operands: list[str], what: str, samples: str | int
) -> None:
    """By what they decide, and not by the axis of samples that they have not."""
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [samples, 2, 4, 4]),
        helper.make_tensor_value_info("shape", TensorProto.INT64, [4]),
    ]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    shaped = helper.make_graph([helper.make_node(operator, operands, ["y"])], "shaped", inputs, [result])
    model = helper.make_model(shaped, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(
        UnsupportedError, match=rf"y \({operator}\): {what} computed from an input; accepted: a constant"
    ):
        read_onnx(model)


def test_minus_infinity_is_refused_but_before_softmax() -> None:
    model = graph([node("Add", "x m", "y")], {"x": ("N", 3)}, "y", {"m": np.array([0.0, -np.inf, 0.0])})
    with pytest.raises(UnsupportedError, match="-inf only as a softmax mask"):
        compile_network(read_onnx(model))


_SAMPLES = [build() for build in (*EXACT.values(), *APPROXIMATE.values())]
_CONTENTS = [model.SerializeToString() for model in _SAMPLES]


@settings(max_examples=60)
@given(
    st.integers(0, len(_CONTENTS) - 1),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    st.integers(0, 400),
)
def test_damaged_bytes_raise_our_errors(which: int, changes: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(_CONTENTS[which])
    for place, value in changes:
        content[place % len(content)] = value
    if cut < 100:
        del content[len(content) * cut // 100 :]
    try:
        model = onnx.ModelProto.FromString(bytes(content))
    except Exception:  # it is no model any more, and read_onnx would not see it
        return
    with contextlib.suppress(BitsmithError):
        read_onnx(model)


@pytest.mark.parametrize("shapes", [((1 << 20, 1), (1, 1 << 20)), ((3, 4), (5, 2))], ids=["large", "misfit"])
def test_products_of_constants_are_checked_before_they_are_computed(shapes: tuple[tuple[int, ...], ...]) -> None:
    held = {name: np.ones(shape, np.float32) for name, shape in zip("ab", shapes, strict=True)}
    nodes = [node("MatMul", "a b", "c"), node("ReduceSum", "c", "d", keepdims=0), node("Add", "x d", "y")]
    with pytest.raises(BitsmithError, match=r"at most 16777216 elements|one size per letter"):
        read_onnx(graph(nodes, {"x": ("N", 3)}, "y", held))


def test_lists_of_integers_are_integers_and_not_endless() -> None:
    assert integers(np.array([[3, 0, -1]])[0], "the axes") == (3, 0, -1)
    assert integers(np.array(3, np.uint8), "the axes") == (3,)
    assert len(integers(np.zeros(1 << 20, np.int8), "the axes")) == 1 << 20
    for array in (
        np.zeros((1 << 20) + 1, np.int8),
        np.zeros((1, 1), int),
        np.zeros(1),
        np.zeros(1, bool),
        np.zeros(1, "u8"),
    ):
        with pytest.raises(ModelFileError, match="the axes is of type"):
            integers(array, "the axes")
