"""Comparisons of PyTorch modules with the networks that are read of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.layer import Shape
from bitsmith.layers.network import Network


class Of(nn.Module):
    """A function of each input as a module; ``parts`` are modules that it calls."""

    def __init__(self, function: Callable[..., object], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*inputs)


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """``module`` in evaluation mode with random weights; variances positive."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, values in (*module.named_parameters(), *module.named_buffers()):
            if values.dtype.is_floating_point and "mask" not in name:
                drawn = rng.uniform(0.5, 2.0, values.shape) if "var" in name else rng.normal(0.0, 0.6, values.shape)
                values.copy_(torch.from_numpy(np.asarray(drawn)))
    return module.eval()


def exact(module: nn.Module, seed: int = 0) -> nn.Module:
    """``module`` in evaluation mode with weights that are small multiples of 1/8."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for values in module.parameters():
            values.copy_(torch.from_numpy(rng.integers(-12, 13, values.shape) / 8.0))
    return module.eval()


def inputs_of(network: Network, batch: int = 6, seed: int = 7) -> list[np.ndarray]:
    """Real inputs, or whole numbers where the network takes those."""
    rng = np.random.default_rng(seed)
    found = []
    for name in network.inputs:
        layer = network.node(name).layer
        shape = (batch, *layer.output_shape([]))
        integer = getattr(layer, "integer", False)
        found.append(rng.integers(0, 4, shape) if integer else rng.normal(0.0, 1.5, shape).astype(np.float32))
    return found


def outputs_of(module: nn.Module, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        results = module(*(torch.from_numpy(values) for values in inputs))
    listed = results if isinstance(results, tuple | list) else [results]
    return [result.to(torch.float64).numpy() for result in listed]


def assert_same(module: nn.Module, *shapes: Shape, network: Network | None = None) -> Network:
    """The network's float reference is what the module computes, output by output."""
    network = network or read_torch(module, ReadOptions(input_shape=shapes))
    inputs = inputs_of(network)
    results = network.evaluate([values.astype(np.float64) for values in inputs])
    expected = outputs_of(module, inputs)
    assert len(network.outputs) == len(expected)
    for name, values in zip(network.outputs, expected, strict=True):
        assert results[name].shape == values.shape, name
        np.testing.assert_allclose(results[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    return network


def fixed_point(network: Network, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What the fixed-point program gives for inputs that its formats hold."""
    program = compile_network(network).program
    raws = [np.ldexp(x, int(op.frac.max())) for x, op in zip(inputs, program.input_ops(), strict=True)]
    assert all(np.array_equal(raw, np.rint(raw)) for raw in raws)
    results = []
    for output, got in zip(program.outputs, Emulator(program).run_raw([x.astype(np.int64) for x in raws]), strict=True):
        frac = np.broadcast_to(program.nodes[output.node].type.frac, got.shape[1:]).astype(np.float64)
        results.append(np.asarray(got, dtype=np.float64) * np.exp2(-frac))
    return results


def assert_fixed_point(network: Network, relative: float = 2.0**-9) -> None:
    """The emulated results are the network's float ones, up to ``relative`` of each output's greatest value."""
    inputs = [np.rint(x * 256.0) / 256.0 for x in inputs_of(network, seed=1)]
    wanted = network.evaluate(inputs)
    for name, got in zip(network.outputs, fixed_point(network, inputs), strict=True):
        error = np.max(np.abs(got - wanted[name]))
        assert error <= relative * max(np.max(np.abs(wanted[name])), 1.0), name


def save_pt2(module: nn.Module, path: Path, *shapes: Shape) -> Path:
    """``module`` exported to a file, for any number of samples."""
    inputs = tuple(torch.zeros((2, *shape)) for shape in shapes)
    batch = {0: torch.export.Dim("batch")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, inputs, dynamic_shapes=(batch,) * len(inputs)), path)
    return path


def doubled_if_many(x: Tensor) -> Tensor:
    """Choose by the length of a tensor, in another file than the module's."""
    return x * 2 if len(x) > 1000 else x
