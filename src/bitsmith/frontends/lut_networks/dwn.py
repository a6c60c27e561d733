"""Reader of differentiable weightless networks, as torch_dwn trains them (https://github.com/alanbacellar/DWN).

In: trained tensors by their names in a module's state, and what a state lacks: ``thresholds`` (features, bits), and the
number of ``classes``. A layer's bit is 1 where its table has a positive number for the bits that it reads; the first of
these is the lowest bit of the index. Out: the set bits of each class, which torch_dwn divides by its ``tau``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.lut_networks import TABLES_OF_LAYER
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.resample import Pad
from bitsmith.layers.shape import Gather, Reshape
from bitsmith.layers.thermometer import Thermometer
from bitsmith.layers.truth_table import MOST_BITS, TruthTable

_WHERE = "the tensors of torch_dwn"
_NOTE = "Scores are the set bits of each class: torch_dwn divides them by tau, which no arg max shows."

Wiring = npt.NDArray[np.int64]
"""The bits that each table reads (tables, bits of its index), the lowest first."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """Tables (tables, 2**bits) of 0 and 1, and what they read."""

    values: Floats
    wiring: Wiring


def read_dwn(tensors: Mapping[str, object]) -> Network:
    """The network of trained tensors.

    Raises:
        ModelFileError: tensors that are missing, or of shapes that do not belong together.
    """
    layers = list(_layers(tensors))
    nodes, size = _encoder(tensors, layers)
    for number, layer in enumerate(layers):
        nodes += _tables(f"layer{number}", layer, size, nodes[-1].name)
        size = len(layer.wiring)
    nodes += _counts(tensors, size, nodes[-1].name)
    return Network(tuple(nodes), (nodes[0].name,), (nodes[-1].name,), "dwn", (_NOTE,))


def _wrong(found: str, accepted: str) -> ModelFileError:
    return ModelFileError(found, where=_WHERE, accepted=accepted)


def _array(tensors: Mapping[str, object], name: str, rank: int) -> Floats:
    """A tensor, which may be one of PyTorch."""
    value = tensors.get(name)
    if value is None:
        raise _wrong(f"{name} is missing", f"a tensor of rank {rank}")
    detached = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    array = np.asarray(detached)
    if array.dtype.kind not in "biuf" or array.ndim != rank or not array.size or not np.all(np.isfinite(array)):
        raise _wrong(f"{name} is {shown(value)}", f"finite numbers of rank {rank}")
    return as_weights(array)


def _layers(tensors: Mapping[str, object]) -> Iterator[_Layer]:
    """The layers in the order of their modules."""
    matches = [match for name in tensors if (match := TABLES_OF_LAYER.fullmatch(name))]
    for match in sorted(matches, key=lambda match: int(match[2])):
        prefix = match[1] + match[2]
        tables = _array(tensors, f"{prefix}.luts", 2)
        bits = tables.shape[1].bit_length() - 1
        if tables.shape[1] != 1 << bits or not 1 <= bits <= MOST_BITS:
            raise _wrong(f"{prefix}.luts of shape {tables.shape}", f"2 to {1 << MOST_BITS} numbers for each table")
        wiring = _wiring(tensors, prefix, bits)
        if wiring.shape != (len(tables), bits):
            raise _wrong(f"a mapping of shape {wiring.shape} for {prefix}.luts", f"({len(tables)}, {bits})")
        yield _Layer(as_weights(tables > 0), wiring)


def _wiring(tensors: Mapping[str, object], prefix: str, bits: int) -> Wiring:
    """The bits that tables read: those of the greatest weights where the mapping was learned, too."""
    if f"{prefix}.mapping.weights" not in tensors:
        return _array(tensors, f"{prefix}.mapping", 2).astype(np.int64)
    learned: Wiring = _array(tensors, f"{prefix}.mapping.weights", 2).argmax(axis=0)
    if learned.size % bits:
        raise _wrong(f"{prefix}.mapping.weights for {learned.size} bits", f"{bits} for each table")
    return learned.reshape(-1, bits)


def _encoder(tensors: Mapping[str, object], layers: list[_Layer]) -> tuple[list[NetworkNode], int]:
    """The input, the comparisons that make bits of it, and how many bits; inputs are bits if there are no thresholds.

    Thresholds that the first of ``layers`` does not read are left out, as they would make the format of the input finer.
    """
    if "thresholds" not in tensors:
        learned = [_array(tensors, name, 2) for name in tensors if name.endswith(".mapping.weights")]
        size = len(learned[0]) if learned else int(layers[0].wiring.max()) + 1
        return [NetworkNode("bits", Input((size,), limits=(0, 1)))], size
    thresholds = _array(tensors, "thresholds", 2)
    _check_wiring(layers[0], thresholds.size)
    read, places = np.unique(layers[0].wiring, return_inverse=True)
    layers[0] = _Layer(layers[0].values, places.reshape(layers[0].wiring.shape))
    features = tuple((read // thresholds.shape[1]).tolist())
    layer = Thermometer(len(thresholds), features, as_weights(thresholds.reshape(-1)[read]))
    encoder = NetworkNode("thermometer", layer, ("features",), source="thermometer")
    return [NetworkNode("features", Input((len(thresholds),))), encoder], len(read)


def _check_wiring(layer: _Layer, size: int) -> None:
    if layer.wiring.min() < 0 or layer.wiring.max() >= size:
        raise _wrong("a table reads a bit that there is not", f"bits 0 to {size - 1}")


def _tables(name: str, layer: _Layer, size: int, before: str) -> Iterator[NetworkNode]:
    """A layer on ``size`` bits."""
    _check_wiring(layer, size)
    operands = [f"{name}_bit{number}" for number in range(layer.wiring.shape[1])]
    for operand, places in zip(operands, layer.wiring.T, strict=True):
        yield NetworkNode(operand, Gather(tuple(places.tolist()), 0), (before,), source=name)
    yield NetworkNode(name, TruthTable(layer.values, 1), tuple(operands), source=name)


def _counts(tensors: Mapping[str, object], size: int, before: str) -> Iterator[NetworkNode]:
    """The set bits of each class, whose bits lie side by side; zeros fill the last ones up."""
    classes = tensors.get("classes")
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or not 1 <= classes <= size:
        raise _wrong(f"classes is {shown(classes)}", f"the number of classes, 1 to {size}")
    size_of_group = -(-size // int(classes))
    if lacking := size_of_group * int(classes) - size:
        yield NetworkNode("filled", Pad(((0, lacking),)), (before,), source="scores")
        before = "filled"
    yield NetworkNode("groups", Reshape((int(classes), size_of_group)), (before,), source="scores")
    yield NetworkNode("scores", Reduce(Reduction.SUM, (1,)), ("groups",), source="scores")
