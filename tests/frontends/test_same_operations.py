"""One expression written in Keras, PyTorch and ONNX means the same in all three, extreme constants included."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from keras import ops
from onnx_models import Floats, graph, node
from torch import Tensor, nn
from torch.nn import functional

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.network import Network

_SHAPE = (3, 4)
_LEAST = float(np.finfo(np.float32).min)
_HIDDEN = ~np.tri(3, 4, dtype=bool)
_ROW = np.array([0.5, -1.0, 2.0, 0.25])
_LEVELS = (-math.inf, _LEAST, -1e9, -1e4, -2.0)
"""The last is an offset as any other."""


class _Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class Case:
    """An expression of ``x`` for NumPy and in the three frameworks; ``keras`` is None where Keras cannot write it."""

    wanted: Callable[[Floats], npt.ArrayLike]
    torch: Callable[[Tensor], Tensor]
    onnx: list[onnx.NodeProto]
    keras: Callable[..., object] | None = None
    held: Mapping[str, npt.ArrayLike] = field(default_factory=dict)
    opset: int = 17


def _softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _clip(low: float, high: float) -> Case:
    return Case(
        lambda x: np.minimum(np.maximum(x, low), high),
        lambda x: x.clamp(low, high),
        [node("Clip", "x low high", "y")],
        lambda x: ops.clip(x, low, high),
        {"low": np.float32(low), "high": np.float32(high)},
    )


def _power(base: float) -> Case:
    return Case(
        lambda x: base**x,
        lambda x: base**x,
        [node("Pow", "c x", "y")],
        lambda x: ops.power(base, x),
        {"c": np.float32(base)},
    )


def _hard_shrink(bound: float) -> Case:
    return Case(
        lambda x: np.where(np.abs(x) > bound, x, 0.0),
        lambda x: functional.hardshrink(x, bound),
        [node("Shrink", "x", "y", lambd=bound)],
        lambda x: ops.hard_shrink(x, bound),
    )


def _soft_shrink(bound: float) -> Case:
    return Case(
        lambda x: np.sign(x) * np.maximum(np.abs(x) - bound, 0.0),
        lambda x: functional.softshrink(x, bound),
        [node("Shrink", "x", "y", lambd=bound, bias=bound)],
        lambda x: ops.soft_shrink(x, bound),
    )


def _added(level: float) -> Case:
    mask = np.where(_HIDDEN, level, 0.0).astype(np.float32)
    return Case(
        lambda x: _softmax(x + mask),
        lambda x: (x + _tensor(mask)).softmax(-1),
        [node("Add", "x m", "s"), node("Softmax", "s", "y")],
        lambda x: ops.softmax(x + mask),
        {"m": mask},
    )


def _scaled(level: float) -> Case:
    mask = np.where(_HIDDEN, level, 0.0).astype(np.float32)
    return Case(
        lambda x: _softmax(x / 2.0 + mask),
        lambda x: (x / 2.0 + _tensor(mask)).softmax(-1),
        [node("Div", "x c", "h"), node("Add", "h m", "s"), node("Softmax", "s", "y")],
        lambda x: ops.softmax(x / 2.0 + mask),
        {"m": mask, "c": np.float32(2.0)},
    )


def _chosen(level: float) -> Case:
    return Case(
        lambda x: _softmax(np.where(_HIDDEN, level, x)),
        lambda x: x.masked_fill(torch.from_numpy(_HIDDEN), level).softmax(-1),
        [node("Where", "k m x", "s"), node("Softmax", "s", "y")],
        lambda x: ops.softmax(ops.where(_HIDDEN, np.float32(level), x)),
        {"k": _HIDDEN, "m": np.float32(level)},
    )


def _divided(by: int) -> dict[str, Case]:
    """Integers divided, many of them multiples of the divisor, where quotients in fixed point are just off."""
    whole = [node("Mul", "x q", "x4"), node("Floor", "x4", "f"), node("Cast", "f", "i", to=onnx.TensorProto.INT64)]
    rest = [*whole, node("Mod", "i c", "m"), node("Cast", "m", "r", to=onnx.TensorProto.FLOAT)]
    held = {"q": np.float32(4.0), "c": np.int64(by), "d": np.float32(by)}
    return {
        f"remainders of {by}": Case(
            lambda x: np.mod(np.floor(x * 4.0), by),
            lambda x: (x * 4.0).floor() % by,
            [*rest, node("Identity", "r", "y")],
            lambda x: ops.mod(ops.floor(x * 4.0), by),
            held,
        ),
        f"truncated remainders of {by}": Case(
            lambda x: np.fmod(np.floor(x * 4.0), by),
            lambda x: torch.fmod((x * 4.0).floor(), by),
            [*whole, node("Mod", "f d", "y", fmod=1)],
            lambda x: ops.fmod(ops.floor(x * 4.0), by),
            held,
        ),
        f"quotients by {by}, rounded down": Case(
            lambda x: np.floor_divide(np.floor(x * 4.0), by),
            lambda x: (x * 4.0).floor() // by,
            [*rest, node("Sub", "f r", "s"), node("Div", "s d", "y")],
            lambda x: ops.floor_divide(ops.floor(x * 4.0), by),
            held,
        ),
        f"quotients by {by}, rounded to 0": Case(
            lambda x: np.trunc(np.floor(x * 4.0) / by),
            lambda x: torch.div((x * 4.0).floor(), by, rounding_mode="trunc"),
            [*whole, node("Div", "i c", "m"), node("Cast", "m", "y", to=onnx.TensorProto.FLOAT)],
            None,
            held,
        ),
    }


def _pooled(before: int, after: int, ceil_mode: bool) -> Case:
    """Greatest of three, every second, of rows that -inf is put around."""
    return Case(
        lambda x: _maxima(np.pad(x, ((0, 0), (0, 0), (before, after)), constant_values=-np.inf), ceil_mode),
        lambda x: functional.max_pool1d(functional.pad(x, (before, after), value=-math.inf), 3, 2, ceil_mode=ceil_mode),
        [node("Pad", "x p v", "f"), node("MaxPool", "f", "y", kernel_shape=[3], strides=[2], ceil_mode=int(ceil_mode))],
        None,
        {"p": np.array([0, 0, before, 0, 0, after]), "v": np.float32(-np.inf)},
    )


def _maxima(rows: Floats, ceil_mode: bool) -> Floats:
    last = rows.shape[2] - (1 if ceil_mode else 2)
    return np.stack([rows[:, :, start : start + 3].max(axis=2) for start in range(0, last, 2)], axis=2)


def _resized(factor: float, linear: bool = False) -> Case:
    """Rows whose elements lie by the factor, not by the lengths."""
    places = (
        np.arange(math.floor(4 * factor)) / factor
        if not linear
        else (np.arange(math.floor(4 * factor)) + 0.5) / factor - 0.5
    )
    held = {"-": np.zeros(0, dtype=np.float32), "s": np.array([1.0, 1.0, factor], dtype=np.float32)}
    modes = {"mode": "linear"} if linear else {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return Case(
        lambda x: _between(x, places) if linear else x[:, :, np.floor(places).astype(int)],
        lambda x: functional.interpolate(x, scale_factor=factor, mode="linear" if linear else "nearest"),
        [node("Resize", "x - s", "y", **modes)],
        None,
        held,
    )


def _between(x: Floats, places: Floats) -> Floats:
    left = np.clip(places, 0.0, x.shape[2] - 1.0)
    first = np.minimum(left.astype(int), x.shape[2] - 2)
    return np.asarray(x[:, :, first] * (first + 1 - left) + x[:, :, first + 1] * (left - first))


def _tensor(values: npt.ArrayLike) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)


_LAST = (("Sub", "a b1"), ("Add", "a2 c1"))

CASES: dict[str, Case] = {
    "clip": _clip(-0.5, 1.0),
    "clip to a positive range": _clip(0.0, 1.0),
    "crossed bounds": _clip(0.0, -1.0),
    "crossed positive bounds": _clip(2.0, 0.5),
    "bounds that meet": _clip(0.0, 0.0),
    **{f"clip to {low} and {high}": _clip(low, high) for low, high in ((0.0, 6.0), (-3.0, 0.0), (-1.0, -1.0))},
    **{f"powers of {base}": _power(base) for base in (2.0, 0.5, 3.0, 3.7)},
    **{f"hard shrink by {bound}": _hard_shrink(bound) for bound in (0.0, 0.25, 0.5, 1.25)},
    **{f"soft shrink by {bound}": _soft_shrink(bound) for bound in (0.0, 0.5, 0.75, 1.25)},
    "a constant less a tensor": Case(
        lambda x: _ROW - x,
        lambda x: _tensor(_ROW) - x,
        [node("Sub", "c x", "y")],
        lambda x: ops.subtract(_ROW.astype(np.float32), x),
        {"c": _ROW},
    ),
    "factors of a product": Case(
        lambda x: 0.5 * x.reshape(-1, 12) @ np.ones((12, 2)) + 3.0 * np.array([1.0, -1.0]),
        lambda x: torch.addmm(_tensor([1.0, -1.0]), x.flatten(1), torch.ones(12, 2), beta=3.0, alpha=0.5),
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
        lambda x: _ROW - 3.0 * x,
        lambda x: torch.rsub(x, _tensor(_ROW), alpha=3),
        [node("Mul", "t x", "m"), node("Sub", "c m", "y")],
        lambda x: ops.subtract(_ROW.astype(np.float32), 3.0 * x),
        {"c": _ROW, "t": np.float32(3.0)},
    ),
    **{f"masks of {level:g}, added": _added(level) for level in _LEVELS},
    **{f"masks of {level:g}, added to a product": _scaled(level) for level in _LEVELS},
    **{f"masks of {level:g}, chosen": _chosen(level) for level in _LEVELS},
    **_divided(3),
    **_divided(-5),
    **_divided(4),
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
        lambda x: np.average(x, axis=2, weights=_ROW + 2.0),
        lambda x: (x * _tensor((_ROW + 2.0) / np.sum(_ROW + 2.0))).sum(-1),
        [node("Mul", "x w", "p"), node("ReduceSum", "p a", "y", keepdims=0)],
        lambda x: ops.average(x, axis=-1, weights=(_ROW + 2.0).astype(np.float32)),
        {"w": (_ROW + 2.0) / np.sum(_ROW + 2.0), "a": np.array([-1])},
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
    **{f"maxima with {pads} of -inf around": _pooled(*pads, False) for pads in ((1, 1), (2, 0), (0, 2))},
    "maxima with -inf around, the last window too": _pooled(1, 1, True),
    **{f"nearest by {factor}": _resized(factor) for factor in (1.3, 0.7, 2.0, 2.3)},
    **{f"linear by {factor}": _resized(factor, linear=True) for factor in (1.3, 0.7, 2.0, 1.75)},
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
        lambda x: _softmax(x / 2.0 @ x.swapaxes(1, 2)) @ x,
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
    network = read_torch(_Of(lambda x: torch.atan2(x[:, 1], x[:, 0])[:, None]), input_shape=(2,))
    wanted = np.arctan2(places[:, 1], places[:, 0])[:, None]
    np.testing.assert_allclose(network.evaluate([places])[network.outputs[0]], wanted, atol=1e-6)
    (found,) = Emulator(compile_network(network, [places]).program).run([places])
    np.testing.assert_allclose(found, wanted, atol=2.0**-11)


def _network_of_keras(function: Callable[..., object], path: Path) -> Network:
    x = keras.Input(_SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Keras does when torch is loaded too
        keras.Model(x, function(x)).save(path)
    return read_keras(path)


@pytest.mark.parametrize("name", CASES)
def test_an_expression_means_the_same(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    x = np.floor(np.random.default_rng(3).normal(0.0, 24.0, (64, *_SHAPE))) / 16.0 + 1.0 / 32.0  # not at any bound
    x[0] = 0.0
    networks = {
        "torch": read_torch(_Of(case.torch), input_shape=_SHAPE),
        "onnx": read_onnx(graph(case.onnx, {"x": ("N", *_SHAPE)}, "y", case.held, case.opset)),
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
