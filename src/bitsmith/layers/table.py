"""All layers by name: what a saved model may contain."""

from __future__ import annotations

from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.merge import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Flatten, Identity, Permute, Reshape
from bitsmith.layers.softmax import Softmax

LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Activation,
        Add,
        Average,
        BatchNormalization,
        Concatenate,
        Dense,
        Dot,
        Flatten,
        HardActivation,
        Identity,
        Input,
        Maximum,
        Minimum,
        Multiply,
        PReLU,
        Permute,
        ReLU,
        Reshape,
        Softmax,
        Subtract,
    )
}
