"""Networks of layers as text, for reading: a line per node with its shape, layer, operands, fields and settings."""

import enum
from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from bitsmith.layers.network import Network, NetworkNode


def to_text(network: Network) -> str:
    """The network as lines such as ``dense (5) = Dense x kernel=float64[4x5] bias=float64[5]``."""
    shapes = network.shapes()
    lines = [f"{node.name} ({_sizes(shapes[node.name], ',')}) = {_node(node)}" for node in network.nodes]
    return "\n".join([*lines, *(f"output {name}" for name in network.outputs)]) + "\n"


def _node(node: NetworkNode) -> str:
    words = [type(node.layer).__name__, *node.inputs, *_changed(node.layer)]
    if node.order is not None:
        words.append(f"order={node.order}")
    words += ["folded"] * node.folded
    words += [f"{name}_grid=({quantizer})" for name, quantizer in node.quantizers.items()]
    words += [] if node.affine is None else [f"affine=({node.affine})"]
    settings = _changed(node.settings)
    return " ".join([*words, *(["|", *settings] if settings else [])])


def _changed(record: object) -> list[str]:
    """The fields of a record that differ from their defaults, as ``name=value``."""
    values = [(each, getattr(record, each.name)) for each in fields(record)]  # type: ignore[arg-type]
    return [
        f"{each.name}={_value(value)}"
        for each, value in values
        if isinstance(value, np.ndarray) or value not in (each.default, {})
    ]


def _value(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{_sizes(value.shape, 'x')}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_value(each)}' for key, each in value.items())}}}"
    return value.name if isinstance(value, enum.Enum) else str(value)


def _sizes(shape: tuple[int, ...], between: str) -> str:
    return between.join(map(str, shape))
