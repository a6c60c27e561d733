"""Quantizers before maxima and moves: codes are those of the framework, behind normalized rectifiers and functions, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.ao.quantization.fx import _decomposed  # noqa: F401  # defines the operators of quantizers
from torch.nn import functional

import bitsmith
from bitsmith.errors import FidelityWarning
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.activation import Activation
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.pooling import MaxPool
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.model import Model
from bitsmith.passes.network.advance_quantizers import advance_quantizers
from tests.hls.compiled import assert_equal_to_emulator

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


def converted(function: str, change: str, folder: Path, **options: str) -> Model:
    module = Between(FUNCTIONS[function], CHANGES[change]).eval()
    return bitsmith.convert(module, folder, input_shape=(3, 2, 2), check=False, **options)


@pytest.mark.slow
@pytest.mark.ci
def test_compiled(tmp_path: Path) -> None:
    cases = [*((function, "greatest") for function in FUNCTIONS), *(("sigmoid", change) for change in CHANGES)]
    programs = {"_".join(case): converted(*case, tmp_path).program for case in cases}
    for dialect in (DIALECTS["vitis"], DIALECTS["catapult"]):
        assert_equal_to_emulator(programs, dialect, tmp_path / dialect.name)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("change", "io_type"), [("greatest", "io_stream"), ("joined", "io_parallel")])
def test_simulated(change: str, io_type: str, tmp_path: Path) -> None:
    model = converted("sigmoid", change, tmp_path, io_type=io_type)
    x = np.random.default_rng(0).integers(-128, 128, (20, 3, 2, 2)) * 0.0498771
    assert model.build(synth=False, inputs=x, force=True).section("Verification")["Mismatches"] == 0


@pytest.mark.parametrize(
    ("overflow", "outputs", "is_moved"),
    [(Overflow.SAT, ("q",), True), (Overflow.WRAP, ("q",), False), (Overflow.SAT, ("q", "greatest"), False)],
)
def test_what_goes_before_maxima(overflow: Overflow, outputs: tuple[str, ...], is_moved: bool) -> None:
    """Codes that wrap are not in the order of elements, and an output shows the greatest element itself."""
    last = Quantize(Quantizer.uniform(2.0**-4, -4, 3, Rounding.RND, overflow))
    nodes = (
        NetworkNode("x", Input((4, 1))),
        NetworkNode("function", Activation("sigmoid"), ("x",)),
        NetworkNode("greatest", MaxPool((2,), (2,)), ("function",)),
        NetworkNode("q", last, ("greatest",)),
    )
    assert (len(advance_quantizers(Network(nodes, ("x",), outputs)).nodes) > len(nodes)) == is_moved


@pytest.mark.filterwarnings("ignore:output")
def test_what_is_computed_of_several_is_told() -> None:
    with pytest.warns(
        FidelityWarning, match=r"auto rounds 'norm', 'sigmoid', 'avg_pool2d' before quantizers(.|\n)*bits=24"
    ):
        codes(Between(torch.sigmoid, lambda x: functional.avg_pool2d(x, 2)).eval())


class Short(torch.nn.Module):
    """Float weights and biases in steps of 1/8 between two quantizers."""

    def __init__(self) -> None:
        super().__init__()
        self.line, rng = torch.nn.Linear(6, 5), np.random.default_rng(1)
        with torch.no_grad():
            for each in self.line.parameters():
                each.copy_(torch.from_numpy(rng.integers(-12, 13, each.shape) / 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return quantized(torch.relu(self.line(quantized(x, 0.25, 3))), 0.5, -5)


def short(**arguments: object) -> float:
    """The greatest difference from torch."""
    module = Short().eval()
    x = (np.random.default_rng(0).integers(-128, 128, (500, 6)) / 4).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x)).numpy()
    return float(np.abs(bitsmith.convert(module, input_shape=(6,), **arguments).predict(x) - wanted).max())


def test_float_weights_of_few_bits_are_exact_without_a_warning() -> None:
    assert short() == 0.0


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
def test_float_weights_of_few_bits_have_the_formats_that_the_user_wants() -> None:
    coarse = {"LayerName": {"line": {"Precision": {"weight": "fixed<3,3>"}}}}
    assert short(config=coarse) > 0.0
    assert short(config={"Model": {"Precision": "fixed<6,4>"}}) > 0.0
