"""Seeded mistakes, in lowerings and in what was read of a model: each must be told of by the first conversion."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bitsmith import FidelityWarning, convert
from bitsmith.conversion import conversion
from bitsmith.frontends.read import read_as
from bitsmith.ir.builder import Value
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.layer import Layer, as_weights
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.merge import Concatenate, Subtract
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AveragePool, MaxPool
from bitsmith.layers.power import Divide, Power
from bitsmith.layers.recurrent import GRU, LSTM, SimpleRNN
from bitsmith.layers.reduction import CumulativeSum, Reduce, Reduction
from bitsmith.layers.resample import Interpolation, Pad, Resize
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization
from bitsmith.layers.shape import Permute
from bitsmith.layers.softmax import Softmax
from tests.fidelity.functions import Function

Change = Callable[[Any], Layer]


@dataclass(frozen=True)
class Fault:
    """A mistake: the layers of ``kind`` in the model become what ``change`` makes of them."""

    model: Callable[[], nn.Module]
    shape: tuple[int, ...]
    kind: type[Layer]
    change: Change


def _swapped(kernel: np.ndarray, gates: int) -> np.ndarray:
    """The first two gates of a recurrent kernel, exchanged."""
    parts = np.split(kernel, gates, axis=-1)
    return as_weights(np.concatenate([parts[1], parts[0], *parts[2:]], axis=-1))


def _recurrent(kind: type[nn.RNNBase], **options: object) -> nn.Module:
    made = kind(3, 4, batch_first=True, **options)
    return Function(lambda x: made(x)[0], made)


def _batchnorm() -> nn.Module:
    made = nn.BatchNorm1d(6)
    with torch.no_grad():
        for tensor in (made.weight, made.bias, made.running_mean):
            tensor.copy_(torch.randn(6))
        made.running_var.copy_(torch.rand(6) + 0.5)
    return made


def _conv(**options: object) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Conv2d(2, 3, 3, **options), nn.ReLU())  # type: ignore[arg-type]


def _prelu() -> nn.Module:
    made = nn.PReLU(6)
    with torch.no_grad():
        made.weight.copy_(torch.linspace(0.1, 0.6, 6))
    return made


FAULTS = {
    "dense: bias dropped": Fault(lambda: nn.Linear(6, 4), (6,), Dense, lambda x: replace(x, bias=None)),
    "dense: rows reversed": Fault(
        lambda: nn.Linear(6, 4), (6,), Dense, lambda x: replace(x, kernel=as_weights(x.kernel[::-1]))
    ),
    "convolution: bias dropped": Fault(_conv(), (2, 8, 8), Conv, lambda x: replace(x, bias=None)),
    "convolution: kernel mirrored": Fault(
        _conv(), (2, 8, 8), Conv, lambda x: replace(x, kernel=as_weights(x.kernel[::-1]))
    ),
    "convolution: padding on one side": Fault(
        _conv(padding=1), (2, 8, 8), Conv, lambda x: replace(x, padding=((2, 0), (1, 1)))
    ),
    "convolution: strided from the other end": Fault(
        _conv(padding=1, stride=2), (2, 8, 8), Conv, lambda x: replace(x, padding=((0, 1), (0, 1)))
    ),
    "convolution: dilation ignored": Fault(
        _conv(dilation=2, padding=1), (2, 8, 8), Conv, lambda x: replace(x, dilation=(1, 1), padding=((0, 0), (0, 0)))
    ),
    "convolution: axes of kernel exchanged": Fault(
        _conv(), (2, 8, 8), Conv, lambda x: replace(x, kernel=as_weights(np.swapaxes(x.kernel, 0, 1)))
    ),
    "transposed convolution: kernel mirrored": Fault(
        lambda: nn.ConvTranspose2d(2, 3, 3, stride=2),
        (2, 5, 5),
        ConvTranspose,
        lambda x: replace(x, kernel=as_weights(x.kernel[::-1, ::-1])),
    ),
    "batch normalization: offset dropped": Fault(
        _batchnorm, (6,), BatchNormalization, lambda x: replace(x, offset=as_weights(0 * x.offset))
    ),
    "batch normalization: epsilon": Fault(
        _batchnorm, (6,), BatchNormalization, lambda x: replace(x, scale=as_weights(x.scale * (1 - 5e-3)))
    ),
    "layer normalization: epsilon": Fault(
        lambda: nn.LayerNorm(6), (6,), LayerNormalization, lambda x: replace(x, epsilon=1e-2)
    ),
    "layer normalization: not centered": Fault(
        lambda: nn.LayerNorm(6), (6,), LayerNormalization, lambda x: replace(x, centered=False)
    ),
    "layer normalization: axis": Fault(
        lambda: nn.LayerNorm(5), (5, 5), LayerNormalization, lambda x: replace(x, axes=(0,))
    ),
    "RMS normalization: epsilon": Fault(
        lambda: nn.RMSNorm(6, eps=1e-5), (6,), RMSNormalization, lambda x: replace(x, epsilon=1e-2)
    ),
    "group normalization: groups": Fault(
        lambda: nn.GroupNorm(2, 6), (6, 4), GroupNormalization, lambda x: replace(x, groups=3)
    ),
    "softmax: axis": Fault(lambda: nn.Softmax(-1), (5, 5), Softmax, lambda x: replace(x, axis=0)),
    "max pool: placed one further": Fault(
        lambda: nn.MaxPool2d(2, padding=1), (2, 7, 7), MaxPool, lambda x: replace(x, padding=((0, 1), (0, 1)))
    ),
    "average pool: padding counted": Fault(
        lambda: nn.AvgPool2d(2, padding=1, count_include_pad=False),
        (2, 8, 8),
        AveragePool,
        lambda x: replace(x, count_include_pad=True),
    ),
    "LSTM: gates swapped": Fault(
        lambda: _recurrent(nn.LSTM), (5, 3), LSTM, lambda x: replace(x, kernel=_swapped(x.kernel, 4))
    ),
    "LSTM: recurrent gates swapped": Fault(
        lambda: _recurrent(nn.LSTM),
        (5, 3),
        LSTM,
        lambda x: replace(x, recurrent_kernel=_swapped(x.recurrent_kernel, 4)),
    ),
    "LSTM: runs backwards": Fault(lambda: _recurrent(nn.LSTM), (5, 3), LSTM, lambda x: replace(x, go_backwards=True)),
    "GRU: gates swapped": Fault(
        lambda: _recurrent(nn.GRU), (5, 3), GRU, lambda x: replace(x, kernel=_swapped(x.kernel, 3))
    ),
    "GRU: reset before": Fault(lambda: _recurrent(nn.GRU), (5, 3), GRU, lambda x: replace(x, reset_after=False)),
    "RNN: recurrent kernel transposed": Fault(
        lambda: _recurrent(nn.RNN),
        (5, 3),
        SimpleRNN,
        lambda x: replace(x, recurrent_kernel=as_weights(x.recurrent_kernel.T)),
    ),
    "ReLU: slope": Fault(lambda: nn.LeakyReLU(0.2), (6,), ReLU, lambda x: replace(x, negative_slope=0.25)),
    "ReLU: bound": Fault(lambda: nn.ReLU6(), (6,), ReLU, lambda x: replace(x, max_value=1.0)),
    "PReLU: slopes reversed": Fault(_prelu, (6,), PReLU, lambda x: replace(x, alpha=as_weights(x.alpha[::-1]))),
    "hard sigmoid: slope": Fault(lambda: nn.Hardsigmoid(), (6,), HardActivation, lambda x: replace(x, slope=0.2)),
    "ELU: another function": Fault(
        lambda: nn.ELU(), (6,), Activation, lambda x: replace(x, function="selu", alpha=None)
    ),
    "SiLU: another function": Fault(lambda: nn.SiLU(), (6,), Activation, lambda x: replace(x, function="gelu")),
    "embedding: rows off by one": Fault(
        lambda: nn.Embedding(7, 3), (4,), Embedding, lambda x: replace(x, table=as_weights(np.roll(x.table, 1, 0)))
    ),
    "cumulative sum: axis": Fault(
        lambda: Function(lambda x: torch.cumsum(x, 1)), (4, 4), CumulativeSum, lambda x: replace(x, axis=1)
    ),
    "mean: axis": Fault(lambda: Function(lambda x: x.mean(1)), (4, 4), Reduce, lambda x: replace(x, axes=(1,))),
    "maximum: mean instead": Fault(
        lambda: Function(lambda x: x.amax(1)), (4, 4), Reduce, lambda x: replace(x, reduction=Reduction.MEAN)
    ),
    "resize: nearest": Fault(
        lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        (2, 4, 4),
        Resize,
        lambda x: replace(x, interpolation=Interpolation.NEAREST),
    ),
    "padding: value": Fault(lambda: nn.ConstantPad1d(1, 0.5), (2, 4), Pad, lambda x: replace(x, value=0.0)),
    "power: exponent": Fault(
        lambda: Function(lambda x: (x.abs() + 0.5) ** 1.5), (6,), Power, lambda x: replace(x, exponent=1.4)
    ),
    "permutation: axes": Fault(
        lambda: Function(lambda x: x.permute(0, 2, 3, 1)), (3, 3, 3), Permute, lambda x: replace(x, perm=(0, 2, 1))
    ),
}

SWAPPED = {
    "difference": (lambda: Function(lambda x: x[:, :3] - x[:, 3:]), (6,), Subtract),
    "quotient": (lambda: Function(lambda x: (x[:, :3] + 9) / (x[:, 3:] + 7)), (6,), Divide),
    "concatenation": (lambda: Function(lambda x: torch.cat([x * 2, x.tanh()], 1)), (6,), Concatenate),
}


def _data(shape: tuple[int, ...], kind: type[Layer]) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 7, (200, *shape)) if kind is Embedding else rng.normal(size=(200, *shape))


def _told(module: nn.Module, x: np.ndarray, *, check: bool = True) -> str:
    """The warning of a conversion, "" if there is none."""
    torch.manual_seed(1)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        convert(module.eval(), calibration=x, example=torch.from_numpy(x[:2]), check="auto" if check else False)
    return "".join(str(each.message) for each in found if each.category is FidelityWarning)


def _misread(monkeypatch: pytest.MonkeyPatch, kind: type[Layer], change: Change) -> None:
    def read(*given: Any, **named: Any) -> Network:
        network = read_as(*given, **named)
        nodes = [
            replace(node, layer=change(node.layer)) if type(node.layer) is kind and not node.inner else node
            for node in network.nodes
        ]
        return network.with_nodes(nodes)

    monkeypatch.setattr(conversion, "read_as", read)


SMALL = 2.0**-10
"""How many times smaller than others a channel is."""

NOT_SMALL = {
    "softmax: axis": "the scale of probabilities is absolute",
    "hard sigmoid: slope": "its scale is absolute, too",
    "batch normalization: epsilon": "weights of 10 bits may cost a thousandth of the range",
    "padding: value": "a channel of padding alone is constant and shows no scale",
}


def _on_a_small_channel(monkeypatch: pytest.MonkeyPatch, kind: type[Layer], change: Change) -> None:
    """The mistake in the first element of the last axis alone, which becomes small."""
    lower, reference = kind.lower, kind.reference

    def small(size: int) -> np.ndarray:
        return np.where(np.arange(size) == 0, SMALL, 1.0)

    def lowered(self: Any, lowering: Lowering, inputs: Sequence[Any]) -> Any:
        builder = lowering.builder
        right, wrong = lower(self, lowering, inputs), lower(change(self), lowering, inputs)
        shape = right.shape
        first = builder.slice(wrong, (0,) * len(shape), (*shape[:-1], 1))
        others = builder.slice(right, (*(0,) * (len(shape) - 1), 1), shape)
        scale = builder.const((small(shape[-1]) / SMALL).astype(int), 10)
        return builder.mul(builder.concat([first, others], len(shape) - 1), scale)

    def scaled(self: Any, inputs: Sequence[np.ndarray]) -> np.ndarray:
        result = reference(self, inputs)
        return result * small(result.shape[-1])

    monkeypatch.setattr(kind, "lower", lowered)
    monkeypatch.setattr(kind, "reference", scaled)


def _mislowered(monkeypatch: pytest.MonkeyPatch, kind: type[Layer], change: Change) -> None:
    lower = kind.lower
    monkeypatch.setattr(kind, "lower", lambda self, lowering, inputs: lower(change(self), lowering, inputs))


@pytest.mark.slow
@pytest.mark.parametrize("where", [_misread, _mislowered], ids=["misread", "mislowered"])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told(name: str, where: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    torch.manual_seed(0)
    module, x = fault.model(), _data(fault.shape, fault.kind)
    assert _told(module, x) == ""
    where(monkeypatch, fault.kind, fault.change)
    assert _told(module, x) != ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FAULTS.keys() - NOT_SMALL))
def test_faults_of_a_small_channel_are_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    torch.manual_seed(0)
    module, x = fault.model(), _data(fault.shape, fault.kind)
    with monkeypatch.context() as unchanged:
        _on_a_small_channel(unchanged, fault.kind, lambda layer: layer)
        assert _told(module, x, check=False) == ""
    _on_a_small_channel(monkeypatch, fault.kind, fault.change)
    assert "channel 0" in _told(module, x, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", SWAPPED)
def test_swapped_operands_are_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape, kind = SWAPPED[name]
    torch.manual_seed(0)
    module, x = model(), _data(shape, kind)
    assert _told(module, x) == ""
    lower = kind.lower

    def swapped(self: Any, lowering: Lowering, inputs: Sequence[Any]) -> Any:
        return lower(self, lowering, inputs[::-1])

    monkeypatch.setattr(kind, "lower", swapped)
    assert _told(module, x) != ""


def test_what_is_wrong_before_a_jump_is_told_though_results_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product that is lowered twice as large as it is, of which results show nothing but the sign."""
    torch.manual_seed(0)
    first, last = nn.Linear(4, 8), nn.Linear(8, 3)
    model = Function(lambda x: last(torch.sign(first(x))), first, last).eval()
    x = np.random.default_rng(0).normal(size=(100, 4))
    convert(model, calibration=x, strict=True)
    lower = Dense.lower

    def twice(self: Dense, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        large = self.kernel.shape == (4, 8) and self.bias is not None
        double = replace(self, kernel=as_weights(2 * self.kernel), bias=as_weights(2 * self.bias)) if large else self
        return lower(double, lowering, inputs)

    monkeypatch.setattr(Dense, "lower", twice)
    with pytest.warns(FidelityWarning, match="results inside differ from the float model's"):
        convert(model, calibration=x)
