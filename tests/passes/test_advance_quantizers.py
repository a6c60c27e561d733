"""Quantizers before maxima and moves: codes are those of the framework, behind normalized rectifiers and functions, too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.ao.quantization.fx import _decomposed  # noqa: F401  # defines the operators of quantizers
from torch.nn import functional

import bitsmith
from bitsmith.errors import FidelityWarning

OPS = torch.ops.quantized_decomposed
Change = Callable[[torch.Tensor], torch.Tensor]


def quantized(x: torch.Tensor, scale: float, zero: int) -> torch.Tensor:
    grid = (scale, zero, -128, 127, torch.int8)
    result: torch.Tensor = OPS.dequantize_per_tensor(OPS.quantize_per_tensor(x, *grid), *grid)
    return result


class Between(torch.nn.Module):
    """Quantizer, normalization, a function, a change of its results, and a quantizer."""

    def __init__(self, function: Change, change: Change) -> None:
        super().__init__()
        self.function, self.change, self.norm = function, change, torch.nn.BatchNorm2d(3)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.tensor([0.3, -0.2, 0.7]))
            self.norm.weight.copy_(torch.tensor([1.71, 0.83, -1.3]))
            self.norm.bias.copy_(torch.tensor([0.123, 0.4567, -0.21]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.function(self.norm(quantized(x, 0.0498771, 3)))
        return quantized(self.change(y), 0.0157321957, -5)


FUNCTIONS: dict[str, Change] = {
    "leaky": lambda x: functional.leaky_relu(x, 0.1),
    "relu6": functional.relu6,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
}
CHANGES: dict[str, Change] = {
    "greatest": lambda x: functional.max_pool2d(x, 2),
    "joined": lambda x: torch.cat([x, x.flip(2)], 1),
    "larger": lambda x: functional.interpolate(x, scale_factor=2),
}


def codes(module: torch.nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """The circuit's results and torch's."""
    x = (np.random.default_rng(0).integers(-128, 128, (300, 3, 4, 4)) * 0.0498771).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    return np.asarray(bitsmith.convert(module.eval(), input_shape=(3, 4, 4)).predict(x)), wanted


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_codes_are_the_frameworks(function: str, change: str) -> None:
    found, wanted = codes(Between(FUNCTIONS[function], CHANGES[change]).eval())
    assert np.abs(found - wanted).max() < 1e-5


@pytest.mark.filterwarnings("ignore:output")
def test_what_is_computed_of_several_is_told() -> None:
    with pytest.warns(
        FidelityWarning, match=r"auto rounds 'norm', 'sigmoid', 'avg_pool2d' before quantizers(.|\n)*bits=24"
    ):
        codes(Between(torch.sigmoid, lambda x: functional.avg_pool2d(x, 2)).eval())
