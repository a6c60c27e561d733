"""Reader of the truth tables of KANELÉ, Kolmogorov-Arnold networks of quantized functions (https://github.com/Duchstf/KANELE).

``truth_tables.json`` has a table for each pair of an input and an output of each layer. A result is the sum of what the tables of
its pairs have for the inputs' codes, and saturates. Codes of inputs are unsigned, all others signed. The bits of the last layer
stand in ``config.json`` beside.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bitsmith.frontends.files.archive import whole_file
from bitsmith.frontends.files.json import MAX_JSON_BYTES, Fields, parse_json
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.shape import Gather

_KEY = re.compile(r"(\d{1,4})_(\d{1,6})_(\d{1,6})")
_MOST_BITS = 16


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """The pairs of a layer that are not pruned, and the table of each."""

    inputs: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    values: Floats
    sizes: tuple[int, int]
    entries: int


def read_kanele(path: Path) -> Network:
    """The network of ``truth_tables.json``: codes in, codes out.

    Raises:
        ModelFileError: these are no such tables, or ``config.json`` is not beside them.
    """
    layers = _layers(Fields(parse_json(whole_file(path, MAX_JSON_BYTES), str(path)), str(path)))
    config_path = path.with_name("config.json")
    config = Fields(parse_json(whole_file(config_path, MAX_JSON_BYTES), str(config_path)), str(config_path))
    bits = config.integers("layers_bitwidth")
    if len(bits) != len(layers) + 1 or not all(1 <= each <= _MOST_BITS for each in bits):
        raise config.wrong("layers_bitwidth", f"bits of the input and of {len(layers)} layers, each 1 to {_MOST_BITS}")
    nodes = [NetworkNode("codes", Input((layers[0].sizes[0],), limits=(0, layers[0].entries - 1)))]
    for number, (layer, read, written) in enumerate(zip(layers, bits, bits[1:], strict=False)):
        first = -(1 << read - 1) if number else 0
        if layer.entries != 1 << read or (number and layer.sizes[0] != layers[number - 1].sizes[1]):
            raise config.error(f"{layer.entries} entries of tables of layer {number} for codes of {read} bits")
        nodes += _nodes(number, layer, first, written, nodes[-1].name)
    return Network(tuple(nodes), ("codes",), (nodes[-1].name,), "kanele")


def _layers(tables: Fields) -> list[_Layer]:
    """The layers in order."""
    pairs: dict[int, dict[tuple[int, int], Fields]] = {}
    for key in tables.values:
        match = _KEY.fullmatch(key)
        if match is None:
            raise tables.error(f"the key {key[:40]!r}", "keys such as 0_3_1: a layer, an input and an output")
        layer, source, target = (int(part) for part in match.groups())
        pairs.setdefault(layer, {})[source, target] = tables.fields(key).at(f"{tables.where}, table {key}")
    if sorted(pairs) != list(range(len(pairs))):
        raise tables.error("a layer without tables")
    return [_layer(pairs[number], tables) for number in range(len(pairs))]


def _layer(pairs: Mapping[tuple[int, int], Fields], tables: Fields) -> _Layer:
    sizes = (1 + max(source for source, _ in pairs), 1 + max(target for _, target in pairs))
    entries = len(next(iter(pairs.values())).items("values_int"))
    kept = [(pair, table) for pair, table in sorted(pairs.items()) if table.flag("acive")]
    values = [table.constant("values_int") for _, table in kept]
    for (_, table), row in zip(kept, values, strict=True):
        if row.shape != (entries,) or not np.array_equal(row, np.rint(row)):
            raise table.wrong("values_int", f"{entries} integers")
    if len(pairs) != sizes[0] * sizes[1]:
        raise tables.error(f"{len(pairs)} tables of a layer of {sizes[0]} inputs and {sizes[1]} outputs")
    places = np.array([pair for pair, _ in kept], np.int64).reshape(-1, 2)
    return _Layer(places[:, 0], places[:, 1], np.array(values).reshape(len(kept), entries), sizes, entries)


def _nodes(number: int, layer: _Layer, first: int, bits: int, before: str) -> list[NetworkNode]:
    """The nodes of a layer, the last of which has its results."""
    name = f"layer{number}"

    def node(suffix: str, kind: Layer, *inputs: str) -> NetworkNode:
        return NetworkNode(name + suffix, kind, inputs, source=name, whole=True)

    saturated = Quantize(Quantizer.fixed(True, bits - 1, 0, Rounding.RND, Overflow.SAT))
    if not layer.values.size:
        return [node("", Constant(as_weights(np.zeros(layer.sizes[1]))))]
    targets = np.zeros((len(layer.outputs), layer.sizes[1]))
    targets[np.arange(len(layer.outputs)), layer.outputs] = 1.0
    return [
        node("_inputs", Gather(tuple(layer.inputs.tolist()), 0), before),
        node("_tables", Lookup(as_weights(0.0), first, as_weights(layer.values)), f"{name}_inputs"),
        node("_sums", Dense(as_weights(targets)), f"{name}_tables"),
        node("", saturated, f"{name}_sums"),
    ]
