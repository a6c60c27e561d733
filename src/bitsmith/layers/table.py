"""All layers by name: what a saved model may contain."""

from __future__ import annotations

from bitsmith.layers import (
    activation,
    conv,
    dense,
    einsum,
    elementwise,
    embedding,
    input,
    integer,
    logic,
    merge,
    nearest,
    norm,
    past,
    pooling,
    power,
    recurrent,
    reduction,
    resample,
    sample_norm,
    shape,
    softmax,
    spiking,
    thermometer,
    time_distributed,
    trees,
    truth_table,
)
from bitsmith.layers.layer import Layer
from bitsmith.layers.quantization import lookup, quantize, rescale, steps

_MODULES = (
    activation,
    conv,
    dense,
    einsum,
    elementwise,
    embedding,
    input,
    integer,
    nearest,
    logic,
    lookup,
    merge,
    norm,
    past,
    pooling,
    power,
    quantize,
    recurrent,
    reduction,
    resample,
    rescale,
    sample_norm,
    shape,
    softmax,
    spiking,
    thermometer,
    steps,
    time_distributed,
    trees,
    truth_table,
)

_CLASSES: set[type[Layer]] = {type(example.layer) for module in _MODULES for example in module.EXAMPLES}

LAYERS = {layer.__name__: layer for layer in sorted(_CLASSES, key=lambda layer: layer.__name__)}
