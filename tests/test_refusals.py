"""Refusals of networks that are too large: the resource that is in the way, the layers that take most of it, what to change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import bitsmith
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import CapacityError
from bitsmith.estimate.needs import missing, needs
from bitsmith.model import Model

SMALL = "iCE40UP5K-SG48"


def network(size: int, filters: int, classes: int, stride: int = 2) -> onnx.ModelProto:
    """A convolution, a pooling, another convolution, and a dense layer, of random weights."""
    rng, side = np.random.default_rng(0), ((size - 2) // stride - 2) ** 2
    shapes = {"v": (filters, 3, 3, 3), "w": (8, filters, 3, 3), "u": (8 * side, classes)}
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name) for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], name="first", kernel_shape=[3, 3]),
        helper.make_node("MaxPool", ["a"], ["b"], name="pool", kernel_shape=[stride] * 2, strides=[stride] * 2),
        helper.make_node("Conv", ["b", "w"], ["c"], name="second", kernel_shape=[3, 3]),
        helper.make_node("Flatten", ["c"], ["d"], name="flat"),
        helper.make_node("MatMul", ["d", "u"], ["y"], name="last"),
    ]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, size, size]), ("y", [1, classes]))
    )
    return helper.make_model(
        helper.make_graph(nodes, "network", [x], [y], weights), opset_imports=[helper.make_opsetid("", 17)]
    )


def in_turn(folder: Path, weight_memory: str | None = None) -> Model:
    """A network on one engine, with a multiplier."""
    return bitsmith.convert(
        network(26, 8, 30),
        folder,
        part=SMALL,
        bits=8,
        check=False,
        io_type="io_stream",
        strategy="shared",
        reuse_factor=1 << 18,
        weight_memory=weight_memory,
    )


@pytest.mark.slow
@pytest.mark.ci
def test_weights_are_in_the_way(tmp_path: Path) -> None:
    """Those of the dense layer, side by side and in turn; without them images of layers in turn are."""
    model, most = network(26, 8, 30), "'last' (48, 160%), 'x_permuted' (6, 20%), 'second' (2, 7%)"
    outside = (
        "39 memory blocks of 30, most of them for layers 'x_permuted' (17, 57%), 'pool' (9, 30%), 'first' (9, 30%)"
    )
    told = bitsmith.explain(model, part=SMALL, bits=8, io_type="io_stream")
    assert told.obstacle is not None and told.obstacle.need.resource == "memory blocks"
    assert told.obstacle.layers == {"last": 48, "x_permuted": 6, "second": 2} and told.obstacle.external == ("last",)
    assert f"about 57 memory blocks of 30, most of them for layers {most} (estimate)" in str(told)
    assert f"weights in a memory outside and smaller feature maps: layers in turn still take about {outside}" in str(
        told
    )
    with pytest.raises(CapacityError) as refused:
        bitsmith.convert(model, tmp_path / "fitted", part=SMALL, bits=8, fit=True, check=False)
    assert f"the smallest takes about 57 memory blocks of 30, most of them for layers {most} (estimated)" in str(
        refused.value
    )
    assert outside in str(refused.value) and "Weights: external for layer 'last'" in str(refused.value)
    most = "'last' (47, 157%), 'x_permuted' (17, 57%), 'second' (1, 3%)"
    with pytest.raises(CapacityError) as refused:
        in_turn(tmp_path / "engine").build()
    assert f"about 66 memory blocks of 30, most of them for layers {most} (estimated)" in str(refused.value)
    assert outside in str(refused.value)


def test_images_are_in_the_way_of_an_engine(tmp_path: Path) -> None:
    """Weights are outside: the memory is that of the layers that need it at once, by the numbers that they read and give."""
    size, part = in_turn(tmp_path, "64 bits, 200 MHz, 200 ns, 75 %").estimate().size, resolve_part(SMALL)
    need = next(need for need in needs(size, part) if need.lacking)
    assert need.resource == "memory blocks" and need.most(size) == {"x_permuted": 17, "pool": 9, "first": 9}
    assert sum(need.by_layer(size).values()) == pytest.approx(need.needed, abs=1)
    assert missing(size, part) == need.said_of(size)


@pytest.mark.slow
@pytest.mark.ci
def test_multiplier_blocks_are_in_the_way(tmp_path: Path) -> None:
    """Products of two operands, all of them at once: 600 and 40 of 28."""
    values = {name: ([1, 600] if name in "xyz" else [1, 40]) for name in "xyzuvw"}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()}
    nodes = [helper.make_node("Mul", [*"xy"], ["z"], name="many"), helper.make_node("Mul", [*"uv"], ["w"], name="few")]
    graph = helper.make_graph(nodes, "products", [infos[name] for name in "xyuv"], [infos[name] for name in "zw"])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(CapacityError) as refused:
        bitsmith.convert(model, tmp_path, part="LFE5U-25F", fit=True, check=False)
    assert "about 640 multiplier blocks of 28, most of them for layers 'many' (600, 2,143%), 'few' (40, 143%)" in str(
        refused.value
    )
