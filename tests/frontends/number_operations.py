"""Operations of PyTorch and Keras on integers and truth values, by what messages call them: number of operands, function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import torch
from keras import ops
from number_expressions import Function
from torch import Tensor

_TORCH = {name: getattr(torch, name) for name in ("bool", "int8", "uint8", "int16", "int32", "int64", "float32")}
TORCH_TYPES = tuple(_TORCH)
KERAS_TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float32")

_WEIGHTS = [[1, -2, 3, 4], [100, 5, 6, 7], [0, 1, 0, 2], [1, 1, 1, 1]]


def _small(function: Function) -> Function:
    """``function`` but of integers of 32 bits and more, which single precision rounds."""

    def limited(x: Any) -> Any:
        if any(bits in str(x.dtype) for bits in ("32", "64")):
            raise TypeError
        return function(x)

    return limited


def _divisor(y: Tensor) -> Tensor:
    """What processors divide by: not 0, nor the least number of 32 bits by -1."""
    bad = (y <= 0) if y.dtype in (torch.int32, torch.int64) else (y == 0)
    return torch.where(bad, torch.ones_like(y), y)


def _to(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    return lambda x: x.to(dtype)


TORCH: dict[str, tuple[int, Function]] = {
    "add": (2, torch.add),
    "sub": (2, torch.sub),
    "mul": (2, torch.mul),
    "sub 3 times": (2, lambda x, y: torch.sub(x, y, alpha=3)),
    "neg": (1, torch.neg),
    "abs": (1, torch.abs),
    "square": (1, torch.square),
    "sign": (1, torch.sign),
    "5 less": (1, lambda x: 5 - x),
    "add 5": (1, lambda x: x + 5),
    "add 300": (1, lambda x: x + 300),
    "mul -7": (1, lambda x: -7 * x),
    "floor divide": (2, lambda x, y: x // _divisor(y)),
    "remainder": (2, lambda x, y: x % _divisor(y)),
    "fmod": (2, lambda x, y: torch.fmod(x, _divisor(y))),
    "trunc divide": (2, lambda x, y: torch.div(x, _divisor(y), rounding_mode="trunc")),
    "floor divide 3": (1, lambda x: x // 3),
    "floor divide -5": (1, lambda x: x // -5),
    "floor divide 8": (1, lambda x: x // 8),
    "floor divide 300": (1, lambda x: x // 300),
    "remainder 7": (1, lambda x: x % 7),
    "remainder -6": (1, lambda x: x % -6),
    "fmod 5": (1, lambda x: torch.fmod(x, 5)),
    "trunc divide -3": (1, lambda x: torch.div(x, -3, rounding_mode="trunc")),
    "floor of a third": (1, lambda x: torch.floor(x / 3)),
    "trunc of a third": (1, lambda x: torch.trunc(x / -3.0)),
    "ceil of a seventh": (1, lambda x: torch.ceil(x / 7)),
    "floor of a quotient": (2, lambda x, y: torch.floor(x / _divisor(y))),
    "a third as an integer": (1, _small(lambda x: (x / 3).long())),
    "maximum": (2, torch.maximum),
    "minimum": (2, torch.minimum),
    "clamp": (1, lambda x: x.clamp(3, 100)),
    "clamp from -5": (1, lambda x: x.clamp(-5, 100)),
    "relu": (1, torch.relu),
    "round": (1, torch.round),
    "floor": (1, torch.floor),
    "sum": (1, lambda x: x.sum(1, keepdim=True)),
    "sum of 8 bits": (1, lambda x: x.sum(1, keepdim=True, dtype=torch.int8)),
    "cumsum": (1, lambda x: x.cumsum(1)),
    "cumsum of 16 bits": (1, lambda x: x.cumsum(1, dtype=torch.int16)),
    "prod": (1, lambda x: x.prod(1, keepdim=True)),
    "amax": (1, lambda x: x.amax(1, keepdim=True)),
    "amin": (1, lambda x: x.amin(1, keepdim=True)),
    "argmax": (1, lambda x: x.argmax(1, keepdim=True)),
    "any": (1, lambda x: x.any(1, keepdim=True)),
    "all": (1, lambda x: x.all(1, keepdim=True)),
    "and": (2, torch.bitwise_and),
    "or": (2, lambda x, y: x | y),
    "xor": (2, lambda x, y: x ^ y),
    "not": (1, torch.bitwise_not),
    "and 12": (1, lambda x: x & 12),
    "logical and": (2, torch.logical_and),
    "logical or": (2, torch.logical_or),
    "logical xor": (2, torch.logical_xor),
    "logical not": (1, torch.logical_not),
    "less": (2, torch.less),
    "equal": (2, torch.eq),
    "from 0": (1, lambda x: x >= 0),
    "above 100": (1, lambda x: x > 100),
    "above 300": (1, lambda x: x > 300),
    "where": (3, lambda c, x, y: torch.where(c.bool(), x, y)),
    "where, or 3": (2, lambda c, x: torch.where(c.bool(), x, 3)),
    "masked fill": (2, lambda x, mask: x.masked_fill(mask.bool(), 3)),
    "fractions written": (1, _small(lambda x: torch.slice_scatter(x, x[..., :1] * 0.6875, -1, 0, 1))),
    "masked fill with a fraction": (2, lambda x, mask: x.masked_fill(mask.bool(), 2.75)),
    "left by 2": (1, lambda x: x << 2),
    "left by 7": (1, lambda x: torch.bitwise_left_shift(x, 7)),
    "right by 2": (1, lambda x: x >> 2),
    "square by power": (1, lambda x: x**2),
    "cube": (1, lambda x: x**3),
    "flip": (1, lambda x: x.flip(1)),
    "cat": (2, lambda x, y: torch.cat([x, y], 1)[:, 2:6]),
    "outer product": (2, lambda x, y: torch.bmm(x.unsqueeze(2), y.unsqueeze(1)).sum(2)),
    "matmul": (1, lambda x: x @ torch.tensor(_WEIGHTS).to(x.dtype)),
    "add a row": (1, lambda x: x + torch.tensor([1, 100, -3, 0]).to(x.dtype)),
    **{f"to {name}": (1, _to(dtype)) for name, dtype in _TORCH.items()},
}

_CASTS = frozenset({"to int8", "to int16", "to int32", "to bool"})
_REAL = _CASTS | {"less", "equal", "from 0", "above 100", "floor", "round", "flip", "relu", "argmax"}
TORCH_REAL = _REAL | {"to uint8", "floor of a third", "where", "amax"}
"""Those that are exact of real numbers."""


def _of_32_bits(function: Function) -> Function:
    """``function`` but of both kinds of integers of 32 bits, together of 64, which only some of Keras's backends have."""

    def limited(*operands: Any) -> Any:
        dtypes = {keras.backend.standardize_dtype(one.dtype) for one in operands}
        if "uint32" in dtypes and any(dtype.startswith("int") for dtype in dtypes):
            raise TypeError
        return function(*operands)

    return limited


def _keras_divisor(y: Any) -> Any:
    return ops.where(ops.equal(y, 0), ops.abs(ops.sign(y)) + 1, y)


def _alike(number: int, x: Any) -> Any:
    """A number beside ``x``, of its type where that is uint32: on NumPy Keras makes both int32, but not of symbols."""
    return np.asarray(number, x.dtype) if isinstance(x, np.ndarray) and x.dtype == np.uint32 else number


_KERAS_PAIRS: dict[str, Function] = {
    "add": ops.add,
    "sub": ops.subtract,
    "mul": ops.multiply,
    "floor divide": lambda x, y: ops.floor_divide(x, _keras_divisor(y)),
    "mod": lambda x, y: ops.mod(x, _keras_divisor(y)),
    "fmod": lambda x, y: ops.fmod(x, _keras_divisor(y)),
    "maximum": ops.maximum,
    "minimum": ops.minimum,
    "and": ops.bitwise_and,
    "or": ops.bitwise_or,
    "xor": ops.bitwise_xor,
    "less": ops.less,
    "equal": ops.equal,
    "logical and": ops.logical_and,
    "logical or": ops.logical_or,
    "logical xor": ops.logical_xor,
    "where, or 3": lambda c, x: ops.where(ops.cast(c, "bool"), x, 3),
    "concatenate": lambda x, y: ops.concatenate([x, y], 1)[:, 2:6],
    "outer product": lambda x, y: ops.sum(ops.matmul(ops.expand_dims(x, 2), ops.expand_dims(y, 1)), axis=2),
    "layer": lambda x, y: keras.layers.Add()([x, y]),
}

KERAS: dict[str, tuple[int, Function]] = {
    **{name: (2, _of_32_bits(function)) for name, function in _KERAS_PAIRS.items()},
    "where": (3, _of_32_bits(lambda c, x, y: ops.where(ops.cast(c, "bool"), x, y))),
    "neg": (1, ops.negative),
    "abs": (1, ops.abs),
    "square": (1, ops.square),
    "sign": (1, ops.sign),
    "5 less": (1, lambda x: 5 - x),
    "add 5": (1, lambda x: x + 5),
    "mul 3": (1, lambda x: x * 3),
    "floor divide 3": (1, lambda x: x // 3),
    "floor divide -5": (1, lambda x: ops.floor_divide(x, -5)),
    "mod 7": (1, lambda x: x % 7),
    "mod -6": (1, lambda x: ops.mod(x, -6)),
    "fmod 5": (1, lambda x: ops.fmod(x, _alike(5, x))),
    "floor of a third": (1, lambda x: ops.floor(x / 3.0)),
    "a third as an integer": (1, _small(lambda x: ops.cast(x / 3, "int32"))),
    "clip": (1, lambda x: ops.clip(x, 3, 100)),
    "relu": (1, ops.relu),
    "round": (1, ops.round),
    "floor": (1, ops.floor),
    "trunc": (1, ops.trunc),
    "sum": (1, lambda x: ops.sum(x, axis=1, keepdims=True)),
    "cumsum": (1, lambda x: ops.cumsum(x, axis=1)),
    "prod": (1, lambda x: ops.prod(x, axis=1, keepdims=True)),
    "max": (1, lambda x: ops.max(x, axis=1, keepdims=True)),
    "argmax": (1, lambda x: ops.argmax(x, axis=1, keepdims=True)),
    "any": (1, lambda x: ops.any(x, axis=1, keepdims=True)),
    "all": (1, lambda x: ops.all(x, axis=1, keepdims=True)),
    "not": (1, ops.bitwise_not),
    "logical not": (1, ops.logical_not),
    "from 0": (1, lambda x: x >= 0),
    "above 100": (1, lambda x: x > 100),
    "left by 2": (1, lambda x: ops.left_shift(x, 2)),
    "right by 2": (1, lambda x: ops.right_shift(x, 2)),
    "square by power": (1, lambda x: x**2),
    "cube": (1, lambda x: ops.power(x, 3)),
    "flip": (1, lambda x: ops.flip(x, 1)),
    **{f"to {dtype}": (1, partial(ops.cast, dtype=dtype)) for dtype in KERAS_TYPES},
}
KERAS_REAL = _REAL | {"to uint8", "floor of a third", "max"}
