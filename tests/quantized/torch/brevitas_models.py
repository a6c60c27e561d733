"""Modules of Brevitas: every kind of quantizer, and the layers that have them."""

from collections.abc import Callable
from functools import partial

import brevitas.nn as qnn
import torch
from brevitas import quant
from torch import nn

ROUNDINGS = ("ROUND", "FLOOR", "ROUND_TO_ZERO", "CEIL", "DPU")
Identity, Reals, Fixed = qnn.QuantIdentity, quant.Int8ActPerTensorFloat, quant.Int8ActPerTensorFixedPoint


class Stacked(nn.Module):
    """Several modules on the same input, their results side by side."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def forward(self, x):
        return torch.stack([part(x) for part in self.parts.values()], 1)


def fixed(bits: int, greatest: float, **more: object) -> dict[str, object]:
    """Arguments of a quantizer up to a number, in steps of powers of two."""
    return dict(bit_width=bits, scaling_impl_type="const", scaling_init=greatest, **more)


def identities() -> nn.Module:
    """Bit widths, signs, roundings, narrow ranges, zero points and binary and ternary quantizers of activations."""
    widths = {f"bits{bits}": Identity(Fixed, **fixed(bits, 2.0)) for bits in range(2, 9)}
    roundings = {
        f"{rounding.lower()}_{kind}": Identity(scheme, **fixed(4, 3.0), float_to_int_impl_type=rounding)
        for rounding in ROUNDINGS
        for kind, scheme in (("fixed", Fixed), ("float", Reals))
    }
    return Stacked(
        **widths,
        **roundings,
        narrow=Identity(Fixed, **fixed(4, 2.0), narrow_range=True),
        narrow_float=Identity(Reals, **fixed(5, 3.3), narrow_range=True),
        unsigned=Identity(quant.Uint8ActPerTensorFixedPoint, **fixed(3, 7.0)),
        unsigned_floor=Identity(quant.Uint8ActPerTensorFixedPoint, **fixed(4, 4.0), float_to_int_impl_type="FLOOR"),
        sixteen=Identity(Reals, **fixed(16, 9.7)),
        shifted=Identity(quant.ShiftedUint8ActPerTensorFloat),
        shifted_fixed=Identity(quant.ShiftedUint8ActPerTensorFixedPoint, bit_width=5),
        binary=Identity(quant.SignedBinaryActPerTensorConst),
        ternary=Identity(quant.SignedTernaryActPerTensorConst),
        channels=Identity(
            Reals, **fixed(5, 3.0), scaling_per_output_channel=True, per_channel_broadcastable_shape=(1, 12)
        ),
        off=Identity(None),
    )


def activations() -> nn.Module:
    """Functions before a quantizer, which becomes part of them."""
    relus = {f"relu{bits}": qnn.QuantReLU(bit_width=bits) for bits in (2, 4, 8)}
    return Stacked(
        **relus,
        relu_fixed=qnn.QuantReLU(quant.Uint8ActPerTensorFixedPoint, bit_width=3),
        relu_floor=qnn.QuantReLU(quant.Uint8ActPerTensorFixedPoint, bit_width=4, float_to_int_impl_type="FLOOR"),
        hard_tanh=qnn.QuantHardTanh(bit_width=4, min_val=-1.0, max_val=1.0),
        sigmoid=qnn.QuantSigmoid(bit_width=4),
        tanh=qnn.QuantTanh(bit_width=5),
        tanh_fixed=qnn.QuantTanh(Fixed, **fixed(6, 1.0)),
    )


WEIGHTS: dict[str, dict[str, object]] = {
    **{f"bits{bits}": {"weight_bit_width": bits} for bits in (2, 3, 5, 8)},
    **{
        f"fixed{bits}": {"weight_quant": quant.Int8WeightPerTensorFixedPoint, "weight_bit_width": bits}
        for bits in (2, 4, 8)
    },
    "channels": {"weight_quant": quant.Int8WeightPerChannelFloat, "weight_bit_width": 4},
    "channels_fixed": {"weight_quant": quant.Int8WeightPerChannelFixedPointMSE, "weight_bit_width": 4},
    "shifted": {"weight_quant": quant.ShiftedUint8WeightPerTensorFloat, "weight_bit_width": 4},
    "binary": {"weight_quant": quant.SignedBinaryWeightPerTensorConst},
    "ternary": {"weight_quant": quant.SignedTernaryWeightPerTensorConst},
    "floor": {"weight_bit_width": 4, "weight_float_to_int_impl_type": "FLOOR"},
    "wide": {"weight_bit_width": 4, "weight_narrow_range": False},
    "normalized": {"weight_quant": quant.Int8WeightNormL2PerChannelFixedPoint, "weight_bit_width": 4},
    "bounded": {"weight_quant": quant.Int8AccumulatorAwareWeightQuant, "weight_bit_width": 4, "bias": False},
    "int8": {"bias_quant": quant.Int8BiasPerTensorFloatInternalScaling},
    "int16": {"bias_quant": quant.Int16Bias},
    "int32": {"bias_quant": quant.Int32Bias, "weight_quant": quant.Int8WeightPerTensorFixedPoint},
    "no_bias": {"bias": False},
}


class Weights(nn.Module):
    """Layers with every kind of quantizer of trained tensors, on codes of 6 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = Identity(Fixed, **fixed(6, 4.0), return_quant_tensor=True)
        arguments = {name: {"bias": True, **chosen} for name, chosen in WEIGHTS.items()}
        self.parts = Stacked(**{name: qnn.QuantLinear(8, 3, **chosen) for name, chosen in arguments.items()})
        self.last = Identity(Reals, **fixed(14, 31.0))

    def forward(self, x):
        return self.last(self.parts(self.codes(x)))


class Images(nn.Module):
    """Convolutions, batch normalization, pooling with truncation, a dense layer."""

    def __init__(self, **weights: object) -> None:
        super().__init__()
        self.codes = Identity(Fixed, **fixed(6, 4.0), return_quant_tensor=True)
        self.conv = qnn.QuantConv2d(2, 4, 3, padding=1, bias=True, return_quant_tensor=True, **weights)
        self.norm, self.relu = nn.BatchNorm2d(4), qnn.QuantReLU(bit_width=4, return_quant_tensor=True)
        self.depthwise = qnn.QuantConv2d(4, 4, 3, stride=2, groups=4, bias=False, return_quant_tensor=True, **weights)
        self.more = qnn.QuantReLU(quant.Uint8ActPerTensorFixedPoint, bit_width=5, return_quant_tensor=True)
        self.maximum = nn.MaxPool2d(2, 1)
        self.mean = qnn.TruncAvgPool2d(2, 1, trunc_quant=quant.TruncTo8bit, bit_width=4, return_quant_tensor=True)
        self.last = qnn.QuantLinear(4, 3, bias=True, bias_quant=quant.Int32Bias, output_quant=Reals, **weights)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(self.codes(x))))
        x = self.mean(self.maximum(self.more(self.depthwise(x))))
        return self.last(x.flatten(1))


class Rest(nn.Module):
    """One axis, transposed convolutions, sums, upsampling, an adaptive mean, shared quantizers."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = Identity(Fixed, **fixed(6, 4.0))
        self.again = Identity(Fixed, **fixed(5, 4.0), return_quant_tensor=True)
        fixed_point = {"weight_quant": quant.Int8WeightPerTensorFixedPoint, "weight_bit_width": 4}
        self.line = qnn.QuantConv1d(3, 4, 3, stride=2, bias=False, **fixed_point)
        self.back = qnn.QuantConvTranspose1d(4, 3, 2, stride=2, bias=True, weight_bit_width=4)
        self.relu = qnn.QuantReLU(bit_width=5)
        self.add = qnn.QuantEltwiseAdd()
        self.image = qnn.QuantConvTranspose2d(3, 4, (1, 3), bias=False, return_quant_tensor=True, **fixed_point)
        self.wider = qnn.QuantReLU(quant.Uint8ActPerTensorFixedPoint, bit_width=4, return_quant_tensor=True)
        self.mean = qnn.TruncAdaptiveAvgPool2d((1, 5), trunc_quant=quant.RoundTo8bit, bit_width=5)

    def forward(self, x):
        x = self.codes(x)
        y = self.relu(self.back(self.relu(self.line(x))))
        y = self.add(y, x[:, :, :8])
        y = self.wider(self.image(self.again(y[:, :, None])))
        return self.mean(y)


class Recurrent(nn.Module):
    """The results of all steps of a recurrent layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


def _trained(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """``module`` after it has seen numbers."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 0 and parameter.numel() > 1:
                parameter += 0.1 * torch.randn(parameter.shape)
    module.train()
    for _ in range(4):
        module(2.0 * torch.randn(64, *shape))
    return module.eval()


def models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """The models, with the shape of a sample."""
    torch.manual_seed(0)
    per_channel = {"weight_bit_width": 4, "weight_scaling_per_output_channel": True}
    fixed_point = {"weight_quant": quant.Int8WeightPerChannelFixedPointMSE, "weight_bit_width": 4}
    makers: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
        "identities": (identities, (12,)),
        "activations": (activations, (12,)),
        "linear": (Weights, (8,)),
        "images": (partial(Images, **fixed_point), (2, 8, 8)),
        "images_float": (partial(Images, **per_channel), (2, 8, 8)),
        "rest": (Rest, (3, 9)),
        "lstm": (lambda: Recurrent(qnn.QuantLSTM(3, 2, batch_first=True)), (3, 3)),
        "rnn": (lambda: Recurrent(qnn.QuantRNN(3, 2, batch_first=True)), (3, 3)),
    }
    return {f"brevitas_{name}": (_trained(make(), shape), shape) for name, (make, shape) in makers.items()}
