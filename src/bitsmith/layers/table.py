"""All layers by name: what a saved model may contain."""

from importlib import import_module

from bitsmith.layers.example import Example
from bitsmith.layers.layer import Layer

_MODULES = (
    "activation",
    "conv",
    "dense",
    "einsum",
    "elementwise",
    "embedding",
    "input",
    "integer",
    "logic",
    "merge",
    "nearest",
    "norm",
    "past",
    "pooling",
    "power",
    "quantization.lookup",
    "quantization.quantize",
    "quantization.rescale",
    "quantization.steps",
    "recurrent",
    "reduction",
    "resample",
    "sample_norm",
    "shape",
    "softmax",
    "spiking",
    "thermometer",
    "time_distributed",
    "trees",
    "truth_table",
)
"""Modules of layers, each of which has ``EXAMPLES`` of its classes."""


def _classes(module: str) -> set[type[Layer]]:
    examples: tuple[Example, ...] = import_module(f"bitsmith.layers.{module}").EXAMPLES
    return {type(example.layer) for example in examples}


LAYERS = {
    layer.__name__: layer
    for layer in sorted(set[type[Layer]]().union(*map(_classes, _MODULES)), key=lambda layer: layer.__name__)
}
