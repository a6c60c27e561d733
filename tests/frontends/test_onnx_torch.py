"""Networks that PyTorch exports to ONNX, by both of its exporters, with batches of open and of fixed size."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import onnx
import pytest
import torch
from onnx_models import assert_agrees
from torch import Tensor, nn


class _Function(nn.Module):
    """A function of the module and its input."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor], **modules: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def _recurrent(kind: type[nn.RNNBase], **options: object) -> nn.Module:
    return _Function(lambda m, x: m.cell(x)[0], cell=kind(3, 4, batch_first=True, **options))


def _attention(m: nn.Module, x: Tensor) -> Tensor:
    return m.attention(x, x, x, need_weights=False)[0]


def _class_token(m: nn.Module, x: Tensor) -> Tensor:
    patches = m.patches(x).flatten(2).transpose(1, 2)
    return (torch.cat([m.token.expand(x.shape[0], -1, -1), patches], 1) + m.place)[:, 0]


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(-1)),
        (5,),
    ),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3, groups=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        ),
        (2, 8, 8),
    ),
    "decoder": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
            nn.SiLU(),
            nn.Upsample(scale_factor=2),
            nn.PixelUnshuffle(2),
        ),
        (2, 3, 3),
    ),
    "sequence": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3, dilation=2), nn.GELU(), nn.Conv1d(4, 2, 2, padding="same")),
        (2, 9),
    ),
    "LSTM": (lambda: _recurrent(nn.LSTM, bidirectional=True, num_layers=2), (5, 3)),
    "GRU": (lambda: _recurrent(nn.GRU), (5, 3)),
    "norms": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.PReLU(4)),
        (2, 4, 4),
    ),
    "transformer": (lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.ELU()), (3, 4)),
    "attention": (lambda: _Function(_attention, attention=nn.MultiheadAttention(4, 2, batch_first=True)), (3, 4)),
    "causal": (
        lambda: _Function(lambda m, x: nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)),
        (2, 3, 4),
    ),
    "vision": (
        lambda: _Function(
            _class_token,
            patches=nn.Conv2d(2, 4, 2, stride=2),
            token=nn.Parameter(torch.ones(1, 1, 4)),
            place=nn.Parameter(torch.linspace(-1, 1, 20).reshape(1, 5, 4)),
        ),
        (2, 4, 4),
    ),
    "views": (
        lambda: _Function(lambda m, x: x.view(x.size(0), -1, 2).permute(0, 2, 1).reshape(x.shape[0], -1)),
        (4, 3),
    ),
    "branches": (
        lambda: _Function(
            lambda m, x: x + m.a(torch.relu(m.b(x))) * 0.5 - torch.cat([x[:, :2], x[:, 2:] * 2], 1),
            a=nn.Linear(4, 4),
            b=nn.Linear(4, 4),
        ),
        (4,),
    ),
    "reductions": (
        lambda: _Function(lambda m, x: torch.stack(x.chunk(2, -1), 1).mean(1) + x.amax(-1, keepdim=True)),
        (4,),
    ),
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The exporters warn of themselves."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def _module(name: str, samples: int) -> tuple[nn.Module, Tensor]:
    build, shape = MODULES[name]
    torch.manual_seed(0)
    module = build().eval()
    return module, torch.from_numpy(np.random.default_rng(0).normal(size=(samples, *shape)).astype(np.float32))


@pytest.mark.parametrize("samples", [None, 1, 3])
@pytest.mark.parametrize("name", MODULES)
def test_torchscript(name: str, samples: int | None) -> None:
    module, x = _module(name, samples or 3)
    content = io.BytesIO()
    torch.onnx.export(
        module,
        (x,),
        content,
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes=None if samples else {"x": {0: "batch"}},
    )
    assert_agrees(
        onnx.ModelProto.FromString(content.getvalue()),
        samples=samples or 3,
        exact=False,
        emulated=samples is None and name not in ("LSTM", "GRU"),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.ci] * (name in ("cnn", "attention"))) for name in MODULES]
)
def test_dynamo(name: str) -> None:
    module, x = _module(name, 3)
    sizes = {0: torch.export.Dim("batch")}
    program = torch.onnx.export(
        module, (x,), dynamo=True, input_names=["x"], output_names=["y"], verbose=False, dynamic_shapes=(sizes,)
    )
    assert program is not None
    assert_agrees(program.model_proto, exact=False, emulated=False)
