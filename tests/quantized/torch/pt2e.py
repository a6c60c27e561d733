"""Models that PT2E and torchao quantize, and programs of all of their operators with all kinds of arguments."""

import torch
from torch import nn
from torch.ao.quantization.fx import _decomposed  # noqa: F401  (its operators)
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.quant_primitives import _dequantize_affine  # noqa: F401
from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

Q, AO = torch.ops.quantized_decomposed, torch.ops.torchao


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.second = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3, bias=False)

    def forward(self, x):
        return self.second(self.relu(self.first(x)))


class Convolutions(nn.Module):
    """Batch normalization, a residual sum, groups, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.pool, self.mean, self.last = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 3)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2.0)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.conv(x))))
        x = x + torch.relu(self.depthwise(x))
        return self.last(self.mean(x).flatten(1))


class Sequence(nn.Module):
    """One axis, a concatenation, a product of two tensors, bounded activations."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bounded, self.last = nn.Conv1d(3, 4, 2), nn.Hardtanh(), nn.Linear(8, 2)

    def forward(self, x):
        x = self.bounded(self.conv(x))
        x = torch.cat([x, x * x], 1)
        return self.last(x.mean(2))


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(2, 3, 3, stride=2)

    def forward(self, x):
        return torch.relu(self.conv(x))


def quantized(module: nn.Module, shape: tuple[int, ...], per_channel: bool, calibration: torch.Tensor):
    """``module`` after PT2E's three steps."""
    batch = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(module.eval(), (torch.zeros(2, *shape),), dynamic_shapes=batch)
    config = get_symmetric_quantization_config(is_per_channel=per_channel)
    prepared = prepare_pt2e(program.module(), XNNPACKQuantizer().set_global(config))
    prepared(calibration)
    return convert_pt2e(prepared)


class Ranges(nn.Module):
    """Activations in all types, with and without zero points, in steps of powers of two and others, few and many codes."""

    def forward(self, x):
        specs = (
            (0.25, 0, -8, 7, torch.int8),
            (0.25, 3, -8, 7, torch.int8),
            (0.1, 0, -128, 127, torch.int8),
            (0.1, -7, -127, 127, torch.int8),
            (0.037, 128, 0, 255, torch.uint8),
            (0.5, 1, 0, 3, torch.uint8),
            (1 / 3, 17, 0, 15, torch.uint8),
            (0.003, 0, -32768, 32767, torch.int16),
            (0.001, 12, -(2**31), 2**31 - 1, torch.int32),
        )
        found = [Q.dequantize_per_tensor(Q.quantize_per_tensor(x, *spec), *spec) for spec in specs]
        return torch.stack(found, 1)


class Tensors(nn.Module):
    """Scales that are tensors, and codes that are moved before they are dequantized."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(0.15))
        self.register_buffer("zero", torch.tensor(5, dtype=torch.int32))

    def forward(self, x):
        codes = Q.quantize_per_tensor.tensor(x, self.scale, self.zero, -128, 127, torch.int8)
        moved = codes.reshape(-1, 2, 3, 2).permute(0, 2, 1, 3).flatten(1)
        return Q.dequantize_per_tensor.tensor(moved, self.scale, self.zero, -128, 127, torch.int8)


class Weights(nn.Module):
    """Trained tensors on every kind of grid, folded or not, and of torchao's blocks."""

    def __init__(self) -> None:
        super().__init__()
        codes = torch.Generator().manual_seed(3)
        self.register_buffer("codes", torch.randint(-8, 8, (4, 12), dtype=torch.int8, generator=codes))
        self.register_buffer("scales", torch.tensor([0.1, 0.25, 0.7, 0.013]))
        self.register_buffer("zeros", torch.tensor([0, 3, -4, 1], dtype=torch.int32))
        self.register_buffer("blocks", torch.rand(4, 3, generator=codes) + 0.1)
        self.register_buffer("block_zeros", torch.zeros(4, 3, dtype=torch.int32))
        self.weight = nn.Parameter(torch.randn(4, 12, generator=codes))
        self.bias = nn.Parameter(torch.randn(4, generator=codes))

    def forward(self, x):
        spec = (0.0625, 0, -128, 127, torch.int8)
        x = Q.dequantize_per_tensor(Q.quantize_per_tensor(x, *spec), *spec)
        per_tensor = Q.dequantize_per_tensor(self.codes, 0.3, 2, -8, 7, torch.int8)
        channel = (self.scales, self.zeros, 0, -8, 7, torch.int8)
        per_channel = Q.dequantize_per_channel(self.codes, *channel)
        unfolded = Q.dequantize_per_channel(Q.quantize_per_channel(self.weight, *channel), *channel)
        sizes, dtype = [1, 4], torch.int8
        blocks = AO.dequantize_affine(self.codes, sizes, self.blocks, self.block_zeros, dtype, -8, 7)
        found = (
            nn.functional.linear(x, per_tensor, self.bias),
            nn.functional.linear(x, per_channel, self.bias),
            nn.functional.linear(x, unfolded),
            nn.functional.linear(x, blocks),
            x @ per_tensor.T,
        )
        spec = (0.21, 0, -32768, 32767, torch.int16)
        return Q.dequantize_per_tensor(Q.quantize_per_tensor(torch.cat(found, 1), *spec), *spec)


def models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """The models, with the shape of a sample."""
    torch.manual_seed(0)
    sources = {
        "perceptron": (Perceptron(), (6,)),
        "convolutions": (Convolutions(), (2, 6, 6)),
        "sequence": (Sequence(), (3, 5)),
        "transposed": (Transposed(), (2, 3, 3)),
    }
    found = {}
    for name, (module, shape) in sources.items():
        for per_channel in (False, True):
            calibration = 4.0 * torch.randn(32, *shape)
            suffix = "channel" if per_channel else "tensor"
            found[f"{name}_{suffix}"] = quantized(module, shape, per_channel, calibration), shape
    return {**found, "ranges": (Ranges(), (12,)), "tensors": (Tensors(), (12,)), "weights": (Weights(), (12,))}
