"""The names under which ``LayerType`` finds a layer."""

from __future__ import annotations

from bitsmith.layers.activation import ANY_ACTIVATION
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.table import LAYERS

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
    names = (*node.layer.functions, source, node.layer.kind, family, *node.layer.families)
    return tuple(dict.fromkeys(filter(None, names)))
