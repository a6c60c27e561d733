"""Random networks in tokens and with reuse factors: predictions, cycles and stalls, in simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bitsmith
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.config.values import IOType
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Concatenate, Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import AveragePool, MaxPool
from bitsmith.layers.recurrent import GRU, LSTM, SimpleRNN
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.resample import Crop, Pad, Resize
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Flatten, Permute
from bitsmith.model import Model
from tests.system.test_random_networks import random_network

FORMAT = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
WEIGHT = FixedFormat(True, 4, 2)


def settings(rng: np.random.Generator, layer: Layer, plain: bool) -> Settings:
    """Formats of a kind, of the user's or ``auto``, and any reuse factor."""
    variables = layer.variables()
    tables = 16 if "table_size" in layer.options else None
    match 2 if plain else rng.integers(4):
        case 0:  # one format for all
            precision = dict.fromkeys(variables, explicit_format(rng))
        case 1:
            precision = {name: explicit_format(rng) for name in variables if rng.random() < 0.7}
        case 2:
            precision = {name: WEIGHT for name in layer.weights() if name in variables}
        case _ if rng.random() < 0.5:  # auto throughout
            return Settings({}, reuse_factor=int(rng.integers(1, 9)), table_size=tables)
        case _:
            precision = {}
    precision.setdefault("result", FORMAT if plain or rng.random() < 0.5 else explicit_format(rng))
    return Settings(precision, reuse_factor=int(rng.integers(1, 9)), table_size=tables)


def explicit_format(rng: np.random.Generator) -> FixedFormat:
    """Of a few bits, mostly in ordinary modes, sometimes in any."""
    width, any_mode = int(rng.integers(4, 10)), rng.random() < 0.3
    rounding = list(Rounding) if any_mode else [Rounding.TRN, Rounding.RND]
    overflow = list(Overflow) if any_mode else [Overflow.WRAP, Overflow.SAT, Overflow.SAT]
    return FixedFormat(
        bool(rng.random() < 0.9),
        width,
        int(rng.integers(1, width)),
        rounding[rng.integers(len(rounding))],
        overflow[rng.integers(len(overflow))],
    )


class Growing:
    """A network under construction, of layers with formats of all kinds, or with a short one each if ``plain``."""

    def __init__(self, seed: int, *, plain: bool = False) -> None:
        self.rng = np.random.default_rng(seed)
        self.plain = plain
        self.nodes: list[NetworkNode] = []
        self.shapes: dict[str, Shape] = {}

    def put(self, layer: Layer, *inputs: str) -> str:
        name = f"n{len(self.nodes)}"
        if isinstance(layer, Input):
            given = Settings({"result": FORMAT if self.plain or self.rng.random() < 0.5 else explicit_format(self.rng)})
        else:
            given = settings(self.rng, layer, self.plain)
        self.nodes.append(NetworkNode(name, layer, inputs, settings=given))
        self.shapes[name] = layer.output_shape([self.shapes[operand] for operand in inputs])
        return name

    def weights(self, *shape: int) -> Floats:
        return as_weights(self.rng.integers(-4, 5, shape) / 4)

    def convolution(self, x: str) -> str:
        rng, (*sizes, channels) = self.rng, self.shapes[x]
        rank = len(sizes)
        taps = [int(rng.integers(1, min(size, 3) + 1)) for size in sizes]
        strides = tuple(int(rng.integers(1, 3)) for _ in sizes)
        padding = tuple((int(rng.integers(0, tap)), int(rng.integers(0, tap))) for tap in taps)
        kernel = self.weights(*taps, channels, int(rng.integers(1, 4)))
        bias = self.weights(kernel.shape[-1]) if rng.integers(2) else None
        return self.put(Conv(kernel, bias, strides, (1,) * rank, padding), x)

    def separable(self, x: str) -> str:
        """Channels by themselves or in a few groups, then all of them at each position."""
        rng, (*sizes, channels) = self.rng, self.shapes[x]
        rank = len(sizes)
        if channels == 1:
            x, channels = self.put(Dense(self.weights(1, 4), None), x), 4
        groups = [number for number in range(2, channels + 1) if channels % number == 0]
        number = groups[rng.integers(len(groups))]
        flat = rng.random() < 0.3  # all weights alike: so are the bounds of all channels
        shape = (*(3,) * rank, channels // number, channels * int(rng.integers(1, 3)))
        kernel = as_weights(np.full(shape, 0.5)) if flat else self.weights(*shape)
        x = self.put(Conv(kernel, None, (1,) * rank, (1,) * rank, ((1, 1),) * rank, number), x)
        x = self.put(ReLU(), x)
        return self.put(Dense(self.weights(self.shapes[x][-1], 4), self.weights(4)), x)

    def pooling(self, x: str) -> str:
        sizes = self.shapes[x][:-1]
        taps = tuple(int(self.rng.integers(1, min(size, 3) + 1)) for size in sizes)
        strides = tuple(int(self.rng.integers(1, 3)) for _ in sizes)
        return self.put([MaxPool(taps, strides), AveragePool(taps, strides)][self.rng.integers(2)], x)

    def residual(self, x: str) -> str:
        """A same-sized convolution beside the way around it."""
        rank, channels = len(self.shapes[x]) - 1, self.shapes[x][-1]
        kernel = self.weights(*(3,) * rank, channels, channels)
        inner = self.put(Conv(kernel, None, (1,) * rank, (1,) * rank, ((1, 1),) * rank), x)
        inner = self.put(ReLU(), inner)
        join = [Add(), Multiply(), Concatenate()][self.rng.integers(3)]
        return self.put(join, inner, x)

    def hourglass(self, x: str) -> str:
        """Down, up again, and joined with what it was (as a U-Net does)."""
        sizes = self.shapes[x][:-1]
        if any(size % 2 for size in sizes):
            return self.residual(x)
        down = self.put(MaxPool((2,) * len(sizes), (2,) * len(sizes)), x)
        return self.put(Concatenate(), self.put(Resize(tuple(sizes)), self.convolve_same(down)), x)

    def convolve_same(self, x: str) -> str:
        rank, channels = len(self.shapes[x]) - 1, self.shapes[x][-1]
        kernel = self.weights(*(3,) * rank, channels, 2)
        return self.put(Conv(kernel, None, (1,) * rank, (1,) * rank, ((1, 1),) * rank), x)

    def other(self, x: str) -> str:
        shape = self.shapes[x]
        rank = len(shape) - 1
        layers: list[Layer] = [
            ReLU(),
            Activation("tanh"),
            BatchNormalization(self.weights(shape[-1]), self.weights(shape[-1])),
            Dense(self.weights(shape[-1], 3), self.weights(3)),
            Pad((*((1, 0),) * rank, (0, 0))),
            Permute((*range(rank)[::-1], rank)),
        ]
        if min(shape[:-1]) > 2:
            layers.append(Crop((*((1, 0),) * rank, (0, 0))))
        if rank == 1:
            transposed = ConvTranspose(self.weights(2, shape[-1], 2), None, (2,), (1,), (0,), (2 * shape[0],))
            layers += [
                transposed,
                SimpleRNN(self.weights(shape[-1], 2), self.weights(2, 2), None, return_sequences=True),
            ]
        return self.put(layers[self.rng.integers(len(layers))], x)

    def ending(self, x: str) -> str:
        shape = self.shapes[x]
        choices = ["global", "flatten", *(["recurrent"] if len(shape) == 2 else [])]
        match choices[self.rng.integers(len(choices))]:
            case "global":
                return self.put(
                    Reduce([Reduction.MEAN, Reduction.MAX][self.rng.integers(2)], tuple(range(len(shape) - 1))), x
                )
            case "flatten":
                x = self.put(Flatten(), x)
                return self.put(Dense(self.weights(*self.shapes[x], 3), self.weights(3)), x)
            case _:
                cells: list[Layer] = [
                    LSTM(self.weights(shape[-1], 8), self.weights(2, 8), self.weights(8)),
                    GRU(self.weights(shape[-1], 6), self.weights(2, 6), self.weights(6), self.weights(6)),
                ]
                return self.put(cells[self.rng.integers(2)], x)


def random_spatial(seed: int) -> Network:
    """A small convolutional or recurrent network with branches."""
    grown = Growing(seed)
    rank = int(grown.rng.integers(1, 3))
    sizes = [int(size) for size in grown.rng.integers(4, 8 if rank == 1 else 6, rank)]
    x = first = grown.put(Input((*sizes, int(grown.rng.integers(1, 3)))))
    for _ in range(int(grown.rng.integers(1, 4))):
        steps = [
            grown.convolution,
            grown.separable,
            grown.pooling,
            grown.residual,
            grown.hourglass,
            grown.other,
            grown.other,
        ]
        x = steps[grown.rng.integers(len(steps))](x)
    if grown.rng.integers(3):
        x = grown.ending(x)
    return Network(tuple(grown.nodes), (first,), (x,))


def reused(network: Network, seed: int) -> Network:
    rng = np.random.default_rng(seed)
    return network.with_nodes(
        [replace(node, settings=replace(node.settings, reuse_factor=int(rng.integers(1, 9)))) for node in network.nodes]
    )


def assert_built(network: Network, folder: Path, io_type: IOType) -> None:
    compiled = compile_network(network)
    target = Target(folder, "dut", "LFE5U-85F-6BG381C", 10.0, io_type=io_type)
    model = Model(compiled.network, compiled.program, target)
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(-5, 5, (8, *op.shape)) for op in model.program.input_ops()]
    report = model.build(synth=False, inputs=inputs if len(inputs) > 1 else inputs[0], force=True)
    assert report.section("Verification")["Mismatches"] == 0
    for fifo in report.rows("FIFOs"):
        assert int(str(fifo["Peak"])) <= int(str(fifo["Depth"]))


def shares(count: int, in_ci: int) -> list[object]:
    return [pytest.param(seed, marks=pytest.mark.ci) if seed < in_ci else seed for seed in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", shares(200, 5))
def test_streams_of_spatial_networks(seed: int, tmp_path: Path) -> None:
    assert_built(random_spatial(seed), tmp_path, IOType.STREAM)


def separable_network() -> nn.Module:
    """A small DS-CNN, whose parameters are multiples of 1/32."""

    def block(channels: int, results: int, stride: int) -> list[nn.Module]:
        depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, stride=stride)
        return [depthwise, nn.ReLU(), nn.Conv2d(channels, results, 1), nn.ReLU()]

    torch.manual_seed(0)
    first = [nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU()]
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    module = nn.Sequential(*first, *block(4, 6, 1), *block(6, 4, 2), *last).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.round(parameter * 96) / 32)
    return module


def rounded(x: torch.Tensor) -> torch.Tensor:
    """``x`` in fixed<8,3,RND,SAT>."""
    return torch.clamp(torch.floor(x * 32 + 0.5), -128, 127) / 32


def assert_separable_network(folder: Path, reuse_factor: int, build: Callable[[Model, Floats], object]) -> None:
    module, x = separable_network(), np.random.default_rng(0).normal(size=(20, 1, 8, 10))
    config = {"Model": {"Precision": "fixed<8,3,RND,SAT>", "ReuseFactor": reuse_factor}}
    part = {"part": "xc7z020clg400-1", "io_type": "io_stream"}
    model = bitsmith.convert(module, folder, config, input_shape=(1, 8, 10), check=False, **part)
    wanted = rounded(torch.tensor(x))
    with torch.no_grad():
        for layer in module:
            wanted = rounded(layer(wanted))
    np.testing.assert_array_equal(model.predict(x), wanted.numpy())
    build(model, x[:4])


def test_separable_networks_in_one_explicit_format_are_what_pytorch_computes(tmp_path: Path) -> None:
    assert_separable_network(tmp_path, 16, lambda model, x: model.plan(synth=False, inputs=x))


@pytest.mark.slow
@pytest.mark.parametrize("reuse_factor", [1, 2, pytest.param(7, marks=pytest.mark.ci), 16, 1000])
def test_separable_networks_in_one_explicit_format_are_simulated(tmp_path: Path, reuse_factor: int) -> None:
    def build(model: Model, x: Floats) -> None:
        assert model.build(synth=False, inputs=x, force=True).section("Verification")["Mismatches"] == 0

    assert_separable_network(tmp_path, reuse_factor, build)


@pytest.mark.slow
@pytest.mark.parametrize("seed", shares(60, 1))
def test_parallel_spatial_networks_with_reuse_factors(seed: int, tmp_path: Path) -> None:
    assert_built(random_spatial(1000 + seed), tmp_path, IOType.PARALLEL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", shares(100, 2))
def test_networks_of_all_layers_with_reuse_factors(seed: int, tmp_path: Path) -> None:
    io_type = list(IOType)[seed % 2]
    assert_built(reused(random_network(seed), seed), tmp_path, io_type)
