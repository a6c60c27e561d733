"""Expressions, as Keras, PyTorch and ONNX write them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
import torch
from keras import ops
from onnx_models import Floats, node
from torch import Tensor, nn
from torch.nn import functional

SHAPE = (3, 4)
LEAST = float(np.finfo(np.float32).min)
HIDDEN = ~np.tri(3, 4, dtype=bool)
ROW = np.array([0.5, -1.0, 2.0, 0.25])
LEVELS = (-math.inf, LEAST, -1e9, -1e4, -2.0)
"""The last is an offset as any other."""


class Of(nn.Module):
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


def softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def clip(low: float, high: float) -> Case:
    return Case(
        lambda x: np.minimum(np.maximum(x, low), high),
        lambda x: x.clamp(low, high),
        [node("Clip", "x low high", "y")],
        lambda x: ops.clip(x, low, high),
        {"low": np.float32(low), "high": np.float32(high)},
    )


def power(base: float) -> Case:
    return Case(
        lambda x: base**x,
        lambda x: base**x,
        [node("Pow", "c x", "y")],
        lambda x: ops.power(base, x),
        {"c": np.float32(base)},
    )


def hard_shrink(bound: float) -> Case:
    return Case(
        lambda x: np.where(np.abs(x) > bound, x, 0.0),
        lambda x: functional.hardshrink(x, bound),
        [node("Shrink", "x", "y", lambd=bound)],
        lambda x: ops.hard_shrink(x, bound),
    )


def soft_shrink(bound: float) -> Case:
    return Case(
        lambda x: np.sign(x) * np.maximum(np.abs(x) - bound, 0.0),
        lambda x: functional.softshrink(x, bound),
        [node("Shrink", "x", "y", lambd=bound, bias=bound)],
        lambda x: ops.soft_shrink(x, bound),
    )


def added(level: float) -> Case:
    mask = np.where(HIDDEN, level, 0.0).astype(np.float32)
    return Case(
        lambda x: softmax(x + mask),
        lambda x: (x + tensor(mask)).softmax(-1),
        [node("Add", "x m", "s"), node("Softmax", "s", "y")],
        lambda x: ops.softmax(x + mask),
        {"m": mask},
    )


def scaled(level: float) -> Case:
    mask = np.where(HIDDEN, level, 0.0).astype(np.float32)
    return Case(
        lambda x: softmax(x / 2.0 + mask),
        lambda x: (x / 2.0 + tensor(mask)).softmax(-1),
        [node("Div", "x c", "h"), node("Add", "h m", "s"), node("Softmax", "s", "y")],
        lambda x: ops.softmax(x / 2.0 + mask),
        {"m": mask, "c": np.float32(2.0)},
    )


def chosen(level: float) -> Case:
    return Case(
        lambda x: softmax(np.where(HIDDEN, level, x)),
        lambda x: x.masked_fill(torch.from_numpy(HIDDEN), level).softmax(-1),
        [node("Where", "k m x", "s"), node("Softmax", "s", "y")],
        lambda x: ops.softmax(ops.where(HIDDEN, np.float32(level), x)),
        {"k": HIDDEN, "m": np.float32(level)},
    )


def divided(by: int) -> dict[str, Case]:
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


def pooled(before: int, after: int, ceil_mode: bool) -> Case:
    """Greatest of three, every second, of rows that -inf is put around."""
    return Case(
        lambda x: maxima(np.pad(x, ((0, 0), (0, 0), (before, after)), constant_values=-np.inf), ceil_mode),
        lambda x: functional.max_pool1d(functional.pad(x, (before, after), value=-math.inf), 3, 2, ceil_mode=ceil_mode),
        [node("Pad", "x p v", "f"), node("MaxPool", "f", "y", kernel_shape=[3], strides=[2], ceil_mode=int(ceil_mode))],
        None,
        {"p": np.array([0, 0, before, 0, 0, after]), "v": np.float32(-np.inf)},
    )


def maxima(rows: Floats, ceil_mode: bool) -> Floats:
    last = rows.shape[2] - (1 if ceil_mode else 2)
    return np.stack([rows[:, :, start : start + 3].max(axis=2) for start in range(0, last, 2)], axis=2)


def resized(factor: float, linear: bool = False) -> Case:
    """Rows whose elements lie by the factor, not by the lengths."""
    places = (
        np.arange(math.floor(4 * factor)) / factor
        if not linear
        else (np.arange(math.floor(4 * factor)) + 0.5) / factor - 0.5
    )
    held = {"-": np.zeros(0, dtype=np.float32), "s": np.array([1.0, 1.0, factor], dtype=np.float32)}
    modes = {"mode": "linear"} if linear else {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return Case(
        lambda x: between(x, places) if linear else x[:, :, np.floor(places).astype(int)],
        lambda x: functional.interpolate(x, scale_factor=factor, mode="linear" if linear else "nearest"),
        [node("Resize", "x - s", "y", **modes)],
        None,
        held,
    )


def between(x: Floats, places: Floats) -> Floats:
    left = np.clip(places, 0.0, x.shape[2] - 1.0)
    first = np.minimum(left.astype(int), x.shape[2] - 2)
    return np.asarray(x[:, :, first] * (first + 1 - left) + x[:, :, first + 1] * (left - first))


def tensor(values: npt.ArrayLike) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)
