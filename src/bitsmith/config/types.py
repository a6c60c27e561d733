"""The names under which ``LayerType`` finds a layer."""

from __future__ import annotations

from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.merge import Add, Average, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.pooling import AveragePool, MaxPool
from bitsmith.layers.shape import Flatten, Permute
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.table import LAYERS

ANY_ACTIVATION = "Activation"
_RELU6 = 6.0


OTHER_TYPES = frozenset(
    (
        *("Constant", "Quant", "IntQuant", "BipolarQuant", "ApplyAlpha", "BatchNormOnnx", "MatMul", "Merge"),
        *("Conv", "TimeDistributed", "LayerGroup"),
    )
)
"""Other tools' layers that are parts of layers here."""


_GENERATED = (
    *("Input", "InputLayer", "Activation", "HardActivation", "ELU", "LeakyReLU", "PReLU", "ThresholdedReLU", "Softmax"),
    *("ApplyAlpha", "BatchNormalization", "LayerNormalization", "BiasAdd", "Embedding", "Resize", "Bidirectional"),
    *("Concatenate", "Dot", "Einsum", "EinsumDense", "GarNet", "GarNetStack", "Reshape", "Transpose", "TernaryTanh"),
    *("BinaryDense", "TernaryDense", "BinaryConv2D", "QActivation", "QBatchNormalization", "QConv2DBatchnorm"),
    *(f"{quantized}{name}" for quantized in ("", "Q") for name in ("Dense", "SimpleRNN", "LSTM", "GRU")),
    *(f"{name}{rank}D" for rank in (1, 2) for name in ("Cropping", "UpSampling", "ZeroPadding")),
    *(f"{name}Pooling{rank}D" for rank in (1, 2) for name in ("Average", "GlobalAverage", "GlobalMax", "Max")),
    *(
        f"{kind}Conv{rank}D"
        for rank in (1, 2)
        for kind in ("", "Depthwise", "Separable", "Q", "QDepthwise", "QSeparable")
    ),
)

GENERATED_TYPES = OTHER_TYPES.union(_GENERATED, LAYERS)
"""Types that generated configurations name, whether or not a model has such layers."""


def type_names(node: NetworkNode) -> tuple[str, ...]:
    """The type names of ``node``, most specific first.

    These are the activation function's name, the framework's class, our class, and what other tools call it or its family
    (``MaxPooling2D``, ``Activation``, ``Merge``). The framework's ``Activation`` counts as a family, because it says least.
    """
    source = node.source if node.source != ANY_ACTIVATION else ""
    family = ANY_ACTIVATION if node.source == ANY_ACTIVATION else ""
    names = (*_function_names(node.layer), source, node.layer.kind, family, *_families(node.layer))
    return tuple(dict.fromkeys(filter(None, names)))


def _function_names(layer: Layer) -> tuple[str, ...]:
    match layer:
        case Activation():
            return (layer.function,)
        case ReLU():
            special = ("leaky_relu",) * (layer.negative_slope != 0.0) + ("relu6",) * (layer.max_value == _RELU6)
            return (*special, "relu")
        case HardActivation(low=float(low), high=float()):  # else it is no more than a bound
            return ("hard_tanh" if low < 0.0 else "hard_sigmoid",)
        case Softmax():
            return ("softmax",)
        case _:
            return ()


def _families(layer: Layer) -> tuple[str, ...]:
    match layer:
        case ReLU(negative_slope=slope):
            return ("ThresholdedReLU" if slope == 0.0 else "LeakyReLU", ANY_ACTIVATION)
        case Activation(function="elu"):
            return ("ELU", ANY_ACTIVATION)
        case Activation() | PReLU() | HardActivation():
            return (ANY_ACTIVATION,)
        case Add() | Subtract() | Multiply() | Average() | Maximum() | Minimum():
            return ("Merge",)
        case Input():
            return ("InputLayer",)
        case MaxPool(size=size):
            return (f"MaxPooling{len(size)}D",)
        case AveragePool(size=size):
            return (f"AveragePooling{len(size)}D",)
        case Flatten():
            return ("Reshape",)
        case Permute():
            return ("Transpose",)
        case _:
            return ()
