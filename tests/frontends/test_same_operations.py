"""One expression written in Keras, PyTorch and ONNX means the same in all three, extreme constants included."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import torch
from expressions import (
    LEVELS,
    ROW,
    SHAPE,
    Case,
    Of,
    added,
    chosen,
    clip,
    divided,
    hard_shrink,
    pooled,
    power,
    resized,
    scaled,
    soft_shrink,
    softmax,
    tensor,
)
from keras import ops
from onnx_models import graph, node
from tests.properties import every
from torch.nn import functional

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.network import Network

_LAST = (("Sub", "a b1"), ("Add", "a2 c1"))

CASES: dict[str, Case] = {
    "clip": clip(-0.5, 1.0),
    "clip to a positive range": clip(0.0, 1.0),
    "crossed bounds": clip(0.0, -1.0),
    "crossed positive bounds": clip(2.0, 0.5),
    "bounds that meet": clip(0.0, 0.0),
    **{f"clip to {low} and {high}": clip(low, high) for low, high in ((0.0, 6.0), (-3.0, 0.0), (-1.0, -1.0))},
    **{f"powers of {base}": power(base) for base in (2.0, 0.5, 3.0, 3.7)},
    **{f"hard shrink by {bound}": hard_shrink(bound) for bound in (0.0, 0.25, 0.5, 1.25)},
    **{f"soft shrink by {bound}": soft_shrink(bound) for bound in (0.0, 0.5, 0.75, 1.25)},
    "a constant less a tensor": Case(
        lambda x: ROW - x,
        lambda x: tensor(ROW) - x,
        [node("Sub", "c x", "y")],
        lambda x: ops.subtract(ROW.astype(np.float32), x),
        {"c": ROW},
    ),
    "factors of a product": Case(
        lambda x: 0.5 * x.reshape(-1, 12) @ np.ones((12, 2)) + 3.0 * np.array([1.0, -1.0]),
        lambda x: torch.addmm(tensor([1.0, -1.0]), x.flatten(1), torch.ones(12, 2), beta=3.0, alpha=0.5),
        [node("Flatten", "x", "f"), node("Gemm", "f w b", "y", alpha=0.5, beta=3.0)],
        None,
        {"w": np.ones((12, 2)), "b": np.array([1.0, -1.0])},
    ),
    "a scaled sum": Case(
        lambda x: x + 2.5 * np.tanh(x),
        lambda x: torch.add(x, x.tanh(), alpha=2.5),
        [node("Tanh", "x", "t"), node("Mul", "t c", "s"), node("Add", "x s", "y")],
        lambda x: x + 2.5 * ops.tanh(x),
        {"c": np.float32(2.5)},
    ),
    "greatest of a tensor and a number": Case(
        lambda x: np.maximum(x, -0.25),
        lambda x: torch.maximum(x, torch.tensor([-0.25])),
        [node("Max", "x c", "y")],
        lambda x: ops.maximum(x, -0.25),
        {"c": np.array([-0.25])},
    ),
    "a constant less a multiple": Case(
        lambda x: ROW - 3.0 * x,
        lambda x: torch.rsub(x, tensor(ROW), alpha=3),
        [node("Mul", "t x", "m"), node("Sub", "c m", "y")],
        lambda x: ops.subtract(ROW.astype(np.float32), 3.0 * x),
        {"c": ROW, "t": np.float32(3.0)},
    ),
    **{f"masks of {level:g}, added": added(level) for level in LEVELS},
    **{f"masks of {level:g}, added to a product": scaled(level) for level in LEVELS},
    **{f"masks of {level:g}, chosen": chosen(level) for level in LEVELS},
    **divided(3),
    **divided(-5),
    **divided(4),
    "one of two truths": Case(
        lambda x: (x > 0.5) ^ (x < 1.0),
        lambda x: torch.logical_xor(x > 0.5, x < 1.0).float() + ((x > 0.5) ^ (x < 0.5)).float() - 1.0,
        [
            node("Greater", "x h", "a"),
            node("Less", "x t", "b"),
            node("Xor", "a b", "c"),
            node("Cast", "c", "y", to=onnx.TensorProto.FLOAT),
        ],
        lambda x: ops.cast(ops.logical_xor(x > 0.5, x < 1.0), "float32"),
        {"h": np.float32(0.5), "t": np.float32(1.0)},
    ),
    "a weighted mean": Case(
        lambda x: np.average(x, axis=2, weights=ROW + 2.0),
        lambda x: (x * tensor((ROW + 2.0) / np.sum(ROW + 2.0))).sum(-1),
        [node("Mul", "x w", "p"), node("ReduceSum", "p a", "y", keepdims=0)],
        lambda x: ops.average(x, axis=-1, weights=(ROW + 2.0).astype(np.float32)),
        {"w": (ROW + 2.0) / np.sum(ROW + 2.0), "a": np.array([-1])},
    ),
    "a sum with a product": Case(
        lambda x: x + 0.5 * np.tanh(x) * x,
        lambda x: torch.addcmul(x, x.tanh(), x, value=0.5),
        [node("Tanh", "x", "t"), node("Mul", "t x", "p"), node("Mul", "p h", "q"), node("Add", "x q", "y")],
        lambda x: x + 0.5 * (ops.tanh(x) * x),
        {"h": np.float32(0.5)},
    ),
    "a sum with a quotient": Case(
        lambda x: x + 0.5 * np.tanh(x) / (x * x + 1.0),
        lambda x: torch.addcdiv(x, x.tanh(), x * x + 1.0, value=0.5),
        [
            node("Tanh", "x", "t"),
            node("Mul", "x x", "s"),
            node("Add", "s o", "d"),
            node("Div", "t d", "p"),
            node("Mul", "p h", "q"),
            node("Add", "x q", "y"),
        ],
        lambda x: x + 0.5 * (ops.tanh(x) / (x * x + 1.0)),
        {"h": np.float32(0.5), "o": np.float32(1.0)},
    ),
    "between two tensors": Case(
        lambda x: x + 0.25 * (np.tanh(x) - x),
        lambda x: torch.lerp(x, x.tanh(), 0.25),
        [node("Tanh", "x", "t"), node("Sub", "t x", "d"), node("Mul", "d w", "p"), node("Add", "x p", "y")],
        lambda x: x + 0.25 * (ops.tanh(x) - x),
        {"w": np.float32(0.25)},
    ),
    **{f"maxima with {pads} of -inf around": pooled(*pads, False) for pads in ((1, 1), (2, 0), (0, 2))},
    "maxima with -inf around, the last window too": pooled(1, 1, True),
    **{f"nearest by {factor}": resized(factor) for factor in (1.3, 0.7, 2.0, 2.3)},
    **{f"linear by {factor}": resized(factor, linear=True) for factor in (1.3, 0.7, 2.0, 1.75)},
    "hyperbolic functions": Case(
        lambda x: np.sinh(x / 4.0) - 0.5 * np.cosh(x / 4.0) + np.arcsinh(x) * np.arctan(x),
        lambda x: torch.sinh(x / 4.0) - 0.5 * torch.cosh(x / 4.0) + torch.arcsinh(x) * torch.arctan(x),
        [
            node("Mul", "x q", "s"),
            *(node(name, names[0], names[1:]) for name, names in {"Sinh": "sa", "Cosh": "sb"}.items()),
            *(node(name, names[0], names[1:]) for name, names in {"Asinh": "xc", "Atan": "xd"}.items()),
            *(node("Mul", names, f"{names[0]}1") for names in ("b h", "c d")),
            *(node(name, names, names[0] + "2" if name == "Sub" else "y") for name, names in _LAST),
        ],
        lambda x: ops.sinh(x / 4.0) - 0.5 * ops.cosh(x / 4.0) + ops.arcsinh(x) * ops.arctan(x),
        {"q": np.float32(0.25), "h": np.float32(0.5)},
    ),
    "powers of two tensors": Case(
        lambda x: np.abs(x) ** (np.tanh(x) + 0.5),
        lambda x: x.abs() ** (x.tanh() + 0.5),
        [node("Abs", "x", "a"), node("Tanh", "x", "t"), node("Add", "t h", "e"), node("Pow", "a e", "y")],
        lambda x: ops.abs(x) ** (ops.tanh(x) + 0.5),
        {"h": np.float32(0.5)},
    ),
    "angles": Case(
        lambda x: np.arctan2(x, x * x + 0.25),
        lambda x: torch.atan2(x, x * x + 0.25),
        [node("Mul", "x x", "s"), node("Add", "s q", "w"), node("Div", "x w", "d"), node("Atan", "d", "y")],
        lambda x: ops.arctan2(x, x * x + 0.25),
        {"q": np.float32(0.25)},
    ),
    "attention": Case(
        lambda x: softmax(x / 2.0 @ x.swapaxes(1, 2)) @ x,
        lambda x: functional.scaled_dot_product_attention(x, x, x),
        [node("Attention", "x x x", "y", q_num_heads=1, kv_num_heads=1)],
        lambda x: keras.layers.Attention()([x / 2.0, x]),
        opset=23,
    ),
    "the sum of sizes": Case(
        lambda x: np.abs(x).sum(-1),
        lambda x: x.norm(p=1, dim=-1),
        [node("ReduceL1", "x", "y", axes=[2], keepdims=0)],
        lambda x: ops.norm(x, ord=1, axis=-1),
    ),
    "responses of neighbors": Case(
        lambda x: x / (2.0 + x**2 @ (0.5 / 3.0 * np.tri(4, k=1) * np.tri(4, k=1).T)) ** 0.75,
        lambda x: functional.local_response_norm(x.mT, 3, 0.5, 0.75, 2.0).mT,
        [
            node("Transpose", "x", "t", perm=[0, 2, 1]),
            node("Unsqueeze", "t a", "u"),
            node("LRN", "u", "r", size=3, alpha=0.5, beta=0.75, bias=2.0),
            node("Squeeze", "r a", "s"),
            node("Transpose", "s", "y", perm=[0, 2, 1]),
        ],
        held={"a": np.array([3])},
    ),
    "places of extremes": Case(
        lambda x: x.argmax(-1) + 2.0 * x.argmin(-1),
        lambda x: x.argmax(-1) + 2.0 * x.argmin(-1),
        [
            node("ArgMax", "x", "a", axis=-1, keepdims=0),
            node("ArgMin", "x", "b", axis=-1, keepdims=0),
            *(node("Cast", names, f"{names}1", to=onnx.TensorProto.FLOAT) for names in "ab"),
            node("Mul", "b1 t", "b2"),
            node("Add", "a1 b2", "y"),
        ],
        lambda x: ops.argmax(x, axis=-1) + 2.0 * ops.argmin(x, axis=-1),
        {"t": np.float32(2.0)},
    ),
    "a mean of truths": Case(
        lambda x: (x > 0.5).sum(-1) / 4.0,
        lambda x: (x > 0.5).sum(-1) / 4.0,
        [
            node("Greater", "x h", "g"),
            node("Cast", "g", "c", to=onnx.TensorProto.FLOAT),
            node("ReduceSum", "c a", "s", keepdims=0),
            node("Div", "s f", "y"),
        ],
        lambda x: ops.sum(x > 0.5, axis=-1) / 4.0,
        {"h": np.float32(0.5), "a": np.array([2]), "f": np.float32(4.0)},
    ),
    "axes turned around": Case(
        lambda x: x[:, ::-1, ::-1],
        lambda x: x.flip(1, -1),
        [node("Slice", "x s e a t", "y")],
        lambda x: ops.flip(x, (1, -1)),
        {"s": np.array([-1, -1]), "e": np.array([-99, -99]), "a": np.array([1, 2]), "t": np.array([-1, -1])},
    ),
    "tiles": Case(
        lambda x: np.tile(x, (1, 2, 3)),
        lambda x: x.tile(2, 3),
        [node("Tile", "x r", "y")],
        lambda x: ops.tile(x, (2, 3)),
        {"r": np.array([1, 2, 3])},
    ),
    "triangles": Case(
        lambda x: np.tril(x, -1) - np.triu(x, 1),
        lambda x: x.tril(-1) - x.triu(1),
        [node("Trilu", "x l", "a", upper=0), node("Trilu", "x u", "b"), node("Sub", "a b", "y")],
        lambda x: ops.tril(x, -1) - ops.triu(x, 1),
        {"l": np.array(-1), "u": np.array(1)},
    ),
    "parts joined in another order": Case(
        lambda x: np.concatenate([x[..., 3:], x[..., :3]], -1),
        lambda x: torch.cat(x.split([3, 1], -1)[::-1], -1),
        [node("Split", "x s", "a b", axis=-1), node("Concat", "b a", "y", axis=-1)],
        lambda x: ops.concatenate(ops.split(x, [3], -1)[::-1], -1),
        {"s": np.array([3, 1])},
    ),
    "elements at a table of indices": Case(
        lambda x: x[:, [[0, -1], [2, 2]]],
        lambda x: x[:, torch.tensor([[0, -1], [2, 2]])],
        [node("Gather", "x i", "y", axis=1)],
        lambda x: ops.take(x, np.array([[0, -1], [2, 2]]), 1),
        {"i": np.array([[0, -1], [2, 2]])},
    ),
    "elements beside each other": Case(
        lambda x: x[:, [2, 0], [-1, 1]],
        lambda x: x[:, [2, 0], [-1, 1]],
        [node("GatherND", "x i", "y", batch_dims=1)],
        None,
        {"i": np.array([[[2, -1], [0, 1]]])},
    ),
    "written elements": Case(
        lambda x: np.stack([x[:, 0], 2.0 * x[:, 2], x[:, 2]], 1),
        lambda x: torch.select_scatter(x, 2.0 * x[:, 2], 1, 1),
        [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("Gather", "t two", "g"),
            node("Add", "g g", "d"),
            node("ScatterND", "t one d", "s"),
            node("Transpose", "s", "y", perm=[1, 0, 2]),
        ],
        None,
        {"two": np.array([2]), "one": np.array([[1]])},
    ),
    "a choice that is always the same": Case(
        lambda x: x * 2.0,
        lambda x: torch.where(torch.ones(4) > 0.0, x, torch.zeros(1)) * 2.0,
        [node("Where", "k x c", "w"), node("Mul", "w t", "y")],
        None,
        {"k": np.ones(4, dtype=bool), "c": np.float32(0.0), "t": np.float32(2.0)},
    ),
}


def test_angles_in_all_directions() -> None:
    places = np.array([(x, y) for x in (-2.0, -0.5, 0.0, 0.5, 2.0) for y in (-1.5, -0.5, 0.0, 0.5, 1.5)])
    network = read_torch(Of(lambda x: torch.atan2(x[:, 1], x[:, 0])[:, None]), ReadOptions(input_shape=(2,)))
    wanted = np.arctan2(places[:, 1], places[:, 0])[:, None]
    np.testing.assert_allclose(network.evaluate([places])[network.outputs[0]], wanted, atol=1e-6)
    (found,) = Emulator(compile_network(network, [places]).program).run([places])
    np.testing.assert_allclose(found, wanted, atol=2.0**-11)


def _network_of_keras(function: Callable[..., object], path: Path) -> Network:
    x = keras.Input(SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Keras does when torch is loaded too
        keras.Model(x, function(x)).save(path)
    return read_keras(path)


@every("name", [*CASES], step=2)
def test_an_expression_means_the_same(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    x = np.floor(np.random.default_rng(3).normal(0.0, 24.0, (64, *SHAPE))) / 16.0 + 1.0 / 32.0  # not at any bound
    x[0] = 0.0
    networks = {
        "torch": read_torch(Of(case.torch), ReadOptions(input_shape=SHAPE)),
        "onnx": read_onnx(graph(case.onnx, {"x": ("N", *SHAPE)}, "y", case.held, case.opset)),
    }
    if case.keras is not None:
        networks["keras"] = _network_of_keras(case.keras, tmp_path / "model.keras")
    wanted = np.asarray(case.wanted(x))
    near = 2.0**-10 * max(float(np.max(np.abs(wanted))), 1.0)
    for framework, network in networks.items():
        found = network.evaluate([x])[network.outputs[0]]
        np.testing.assert_allclose(found, wanted, atol=1e-6, err_msg=framework)
        (found,) = Emulator(compile_network(network, [x]).program).run([x])
        np.testing.assert_allclose(found, wanted, rtol=0.0, atol=near, err_msg=f"{framework}, compiled")
