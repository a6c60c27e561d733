"""ONNX models opened and checked: a file or a ``ModelProto`` in, the nodes that the outputs need in evaluation order out.

Knows the format, but no operator's meaning. Weights in other files are read from the model's own folder only.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.base.graphs import reached
from bitsmith.errors import ModelFileError, ToolMissingError, UnsupportedError
from bitsmith.frontends.builder.known import Known
from bitsmith.frontends.files.archive import whole_file
from bitsmith.frontends.onnx.attributes import Attributes
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.onnx.tensors import NARROW, STRING, array_of, dtype_of

if TYPE_CHECKING:
    import onnx
    from google.protobuf.message import Message

MAX_NODES = 50_000
"""Most nodes of a model, its functions opened."""

MAX_BYTES = (1 << 31) - 1
"""Largest model file."""

_MAX_DEPTH = 16
"""Most graphs within each other."""

OLDEST_OPSET, NEWEST_OPSET = 6, 28

_STANDARD_DOMAINS = ("", "ai.onnx")

_FEW = {"BINARY": (0, 1), "BIPOLAR": (-1, 1), "TERNARY": (-1, 1)}
"""Limits of types of QONNX that are no integers of so many bits."""

_TENSOR = 4
_PLAIN: Mapping[int, Callable[[onnx.AttributeProto], object]] = {
    1: lambda attribute: float(attribute.f),
    2: lambda attribute: int(attribute.i),
    3: lambda attribute: attribute.s.decode("utf-8", "replace"),
    6: lambda attribute: tuple(map(float, attribute.floats)),
    7: lambda attribute: tuple(map(int, attribute.ints)),
    8: lambda attribute: tuple(word.decode("utf-8", "replace") for word in attribute.strings),
}
"""Readers of attributes, by the number of their type."""


@dataclass(frozen=True, slots=True)
class Body:
    """Nodes in order of evaluation, those that ``outputs`` need; ``constants`` reads an initializer by name.

    Within a node the nodes read the values ``around`` it by their names.
    """

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Callable[[], Known]]
    around: frozenset[str]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of the graph. Inputs that are left out have the name ``""``.

    ``bodies`` has the graphs within it by the attribute's name.
    """

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes
    bodies: Mapping[str, Body]

    @property
    def reads(self) -> tuple[str, ...]:
        """The values that it and the graphs within it need."""
        return (*self.inputs, *sorted({name for body in self.bodies.values() for name in body.around}))

    @property
    def kind(self) -> str:
        """The operator with its domain, if that is not ONNX's own."""
        return f"{self.domain}.{self.operator}" if self.domain else self.operator


@dataclass(frozen=True, slots=True)
class GraphInput:
    """An input: ``sizes`` has a number, or None where the size is left open, for each axis.

    ``limits`` are those of the integers that an annotation of QONNX says to come in.
    """

    name: str
    sizes: tuple[int | None, ...]
    dtype: np.dtype[np.generic]
    limits: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Graph:
    """A model: all inputs, and what the outputs need."""

    name: str
    where: str
    opset: int
    inputs: tuple[GraphInput, ...]
    body: Body
    producer: str


def read_graph(source: OnnxModel, whole: Callable[[str, str], bool] = lambda domain, name: False) -> Graph:
    """The graph of a model, its functions opened but those that stay ``whole``, by their domain and name.

    Raises:
        ToolMissingError: the package ``onnx`` is not installed.
        ModelFileError: a file that is malformed, truncated, hostile or inconsistent.
        UnsupportedError: a version that is too old or too new.
    """
    try:
        import onnx  # a moment to load, and an extra
    except ImportError as error:
        raise ToolMissingError(
            "the package onnx is not installed", where="ONNX models", remedy="pip install 'bitsmith[onnx]'"
        ) from error
    del onnx
    model, where, folder = _parsed(source)
    _graphs_within([model.graph.node, *(function.node for function in model.functions)], where)
    _check_words(model, where)
    opset = _opset(model, where)
    return _graph(_inlined(model, where, whole), where, folder, opset)


def _parsed(source: OnnxModel) -> tuple[onnx.ModelProto, str, Path | None]:
    import onnx

    if isinstance(source, onnx.ModelProto):
        return source, f"ONNX model {source.graph.name[:100]!r}", None
    if isinstance(source, bytes):
        where, folder, content = "ONNX model", None, source
    elif isinstance(source, str | os.PathLike):
        where, folder = str(Path(source)), Path(source).parent
        content = whole_file(Path(source), MAX_BYTES, "keep the weights in external data")
    else:
        raise ModelFileError(f"an object of type {type(source).__name__}", accepted="a path, or an onnx.ModelProto")
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own class, whose module differs between its implementations
        raise ModelFileError(
            "this is not an ONNX model, or it is damaged",
            where=where,
            accepted="the binary format that onnx.save writes",
        ) from error
    if not model.HasField("graph"):
        raise ModelFileError("a model without a graph", where=where)
    return model, where, folder


def _check_words(message: Message, where: str) -> None:
    """Refuse names that are not text: protobuf hands them out as bytes."""
    for entry, value in message.ListFields():
        if entry.type not in (entry.TYPE_STRING, entry.TYPE_MESSAGE) or entry.name == "doc_string":
            continue
        for one in [value] if isinstance(value, str | bytes) or hasattr(value, "ListFields") else value:
            if hasattr(one, "ListFields"):
                _check_words(one, where)
            elif not isinstance(one, str):
                raise ModelFileError("names that are not text", where=where, accepted="UTF-8")


def _graphs_within(bodies: Sequence[Iterable[onnx.NodeProto]], where: str) -> list[onnx.GraphProto]:
    """All graphs that nodes hold.

    Raises:
        ModelFileError: too many nodes, or graphs within graphs too deep.
    """
    graphs: list[onnx.GraphProto] = []
    count, level = 0, [node for body in bodies for node in body]
    for _ in range(_MAX_DEPTH):
        inner = [attribute.g for node in level for attribute in node.attribute if attribute.HasField("g")]
        level = [node for graph in inner for node in graph.node]
        graphs += inner
        count += len(level)
        if not inner:
            return graphs
        if count > MAX_NODES:
            raise ModelFileError(f"{count} nodes within others", where=where, accepted=f"at most {MAX_NODES}")
    raise ModelFileError(f"graphs within graphs, {_MAX_DEPTH} times", where=where, accepted="fewer")


def _standard_versions(imports: Iterable[onnx.OperatorSetIdProto]) -> list[int]:
    return [entry.version for entry in imports if entry.domain in _STANDARD_DOMAINS]


def _opset(model: onnx.ModelProto, where: str) -> int:
    """The operator set of ONNX's own domain; the newest where only others are imported, and so none of its operators used.

    Raises:
        ModelFileError: operators of a domain that is not imported.
        UnsupportedError: a version that is too old or too new.
    """
    versions = _standard_versions(model.opset_import)
    if not versions and model.opset_import:
        if any(node.domain in _STANDARD_DOMAINS for node in model.graph.node):
            raise ModelFileError(
                "operators of ONNX's own domain, whose version is not given",
                where=where,
                accepted="an opset_import of the domain ''",
            )
        versions = [v for function in model.functions for v in _standard_versions(function.opset_import)]
        versions = versions or [NEWEST_OPSET]
    opset = max(versions, default=1)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise UnsupportedError(
            f"operator set {opset}",
            where=where,
            accepted=f"{OLDEST_OPSET} to {NEWEST_OPSET}",
            remedy="export the model again with another opset_version, or convert it with "
            "onnx.version_converter.convert_version(model, 18)",
        )
    return opset


def _inlined(model: onnx.ModelProto, where: str, whole: Callable[[str, str], bool]) -> onnx.ModelProto:
    """The model with its own functions opened but those that stay ``whole``.

    Raises:
        ModelFileError: functions that call themselves, or grow without measure.
    """
    if not model.functions:
        return model
    import onnx.inliner

    bodies = {(function.domain, function.name): with_nested(function.node, where) for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], depth: int) -> int:
        if depth > 64:
            raise ModelFileError(f"the function {key[1][:100]!r} calls itself, or too many others", where=where)
        if key not in sizes:
            calls = [(node.domain, node.op_type) for node in bodies[key]]
            sizes[key] = sum(size(call, depth + 1) if call in bodies else 1 for call in calls)
        return sizes[key]

    total = 0
    for node in with_nested(model.graph.node, where):
        key = (node.domain, node.op_type)
        total += size(key, 0) if key in bodies else 1
    if total > MAX_NODES:
        raise ModelFileError(f"functions that open to {total} nodes", where=where, accepted=f"at most {MAX_NODES}")
    try:
        kept = [key for key in bodies if whole(*key)]
        opened = onnx.inliner.inline_selected_functions(model, kept, exclude=True)
    except Exception as error:  # whatever its C++ code raises
        raise ModelFileError(f"the model's functions cannot be opened ({error})", where=where) from error
    _graphs_within([opened.graph.node], where)
    return opened


def with_nested(nodes: Iterable[onnx.NodeProto], where: str) -> list[onnx.NodeProto]:
    """``nodes``, and those of the graphs within them."""
    listed = list(nodes)
    return [*listed, *(node for graph in _graphs_within([listed], where) for node in graph.node)]


def _graph(model: onnx.ModelProto, where: str, folder: Path | None, opset: int) -> Graph:
    if len(model.graph.node) > MAX_NODES:
        raise ModelFileError(f"{len(model.graph.node)} nodes", where=where, accepted=f"at most {MAX_NODES}")
    body = _body(model.graph, where, folder)
    if body.around:
        raise ModelFileError(f"the value {min(body.around)[:100]!r}, which nothing makes", where=where)
    if not body.inputs or not body.outputs:
        raise ModelFileError(
            f"{len(body.inputs)} inputs and {len(body.outputs)} outputs", where=where, accepted="one or more"
        )
    annotated = {entry.tensor_name: _annotated(entry) for entry in model.graph.quantization_annotation}
    inputs = tuple(
        _input(value, where, annotated.get(value.name)) for value in model.graph.input if value.name in body.inputs
    )
    return Graph(model.graph.name or "model", where, opset, inputs, body, model.producer_name)


def _node(proto: onnx.NodeProto, where: str, folder: Path | None) -> Node:
    shown = proto.name or next((name for name in proto.output if name), "") or proto.op_type
    name = f"{proto.op_type}_{shown}" if shown.isdigit() else shown
    domain = "" if proto.domain in _STANDARD_DOMAINS else proto.domain
    place = f"{where}, node {name[:100]!r}"
    attributes = {attribute.name: attribute for attribute in proto.attribute if attribute.name}
    if len(attributes) < len(proto.attribute):
        raise ModelFileError("two attributes of one name, or one without", where=place)
    fields = Attributes({key: _plain(attribute, place, folder) for key, attribute in attributes.items()}, place)
    graphs = {key: attribute.g for key, attribute in attributes.items() if attribute.HasField("g") and not domain}
    bodies = {key: _body(graph, where, folder) for key, graph in graphs.items()}
    return Node(name, proto.op_type, domain, tuple(proto.input), tuple(proto.output), fields, bodies)


def _plain(attribute: onnx.AttributeProto, where: str, folder: Path | None) -> object:
    """The value of an attribute: numbers, words, tuples of them, or what reads a tensor."""
    kind = int(attribute.type)
    if attribute.ref_attr_name or kind not in (*_PLAIN, _TENSOR):
        return attribute  # of a kind that no operator of ours takes
    return partial(array_of, attribute.t, where, folder) if kind == _TENSOR else _PLAIN[kind](attribute)


def _body(graph: onnx.GraphProto, where: str, folder: Path | None) -> Body:
    """The nodes of a graph, its own or one within a node."""
    if graph.sparse_initializer:
        raise UnsupportedError("sparse initializers", where=where, accepted="dense ones")
    constants = {tensor.name: cache(partial(_constant, tensor, where, folder)) for tensor in graph.initializer}
    inputs = tuple(value.name for value in graph.input if value.name not in constants)
    if "" in constants or len(constants) < len(graph.initializer) or len(set(inputs)) < len(inputs):
        raise ModelFileError("two inputs or initializers of one name, or one without", where=where)
    nodes, outputs = [_node(proto, where, folder) for proto in graph.node], tuple(value.name for value in graph.output)
    own = constants.keys() | inputs
    made = {name for node in nodes for name in node.outputs}
    around = {name for node in nodes for name in node.reads}.union(outputs) - own - made - {""}
    return Body(inputs, _ordered(nodes, own | around, outputs, where), outputs, constants, frozenset(around))


def _constant(tensor: onnx.TensorProto, where: str, folder: Path | None) -> Known:
    """An initializer; of text it has the positions."""
    words = tuple(word.decode("utf-8", "replace") for word in tensor.string_data)
    if tensor.data_type == STRING and 0 < len(words) == math.prod(tensor.dims):
        return Known((np.arange(len(words)),), tensor.name, words)
    return Known((array_of(tensor, where, folder, narrow=True),), tensor.name, narrow=tensor.data_type in NARROW)


def _ordered(nodes: Sequence[Node], known: set[str], outputs: Sequence[str], where: str) -> tuple[Node, ...]:
    """The nodes that ``outputs`` need, each after those that it reads; in the file's order if that is one."""
    makers: dict[str, int] = {}
    for number, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in makers or name in known:
                raise ModelFileError(f"two values of one name: {name[:100]!r}", where=where)
            makers[name] = number

    def sources(names: Iterable[str]) -> set[int]:
        return {makers[name] for name in names if name in makers}

    read = [sources(node.reads) for node in nodes]
    needed = {number: read[number] for number in sorted(reached(sources(outputs), read.__getitem__))}
    order: Iterable[int] = needed
    if any(max(read[number], default=-1) >= number for number in needed):
        order = TopologicalSorter(needed).static_order()
    try:
        return tuple(nodes[number] for number in order)
    except CycleError as error:
        raise ModelFileError(f"a cycle through {nodes[error.args[1][0]].name[:100]!r}", where=where) from None


def _annotated(entry: onnx.TensorAnnotation) -> tuple[int, int] | None:
    """The least and the greatest of the integers that an annotation of QONNX states; None if it states none."""
    kinds = [pair.value for pair in entry.quant_parameter_tensor_names if pair.key == "finn_datatype"]
    kind = re.fullmatch(r"(U?)INT([1-9]\d?)", kinds[0]) if len(kinds) == 1 else None
    if kind is None:
        return _FEW.get(kinds[0]) if len(kinds) == 1 else None
    half = 1 << int(kind[2]) - 1
    return (0, 2 * half - 1) if kind[1] else (-half, half - 1)


def _input(value: onnx.ValueInfoProto, where: str, limits: tuple[int, int] | None) -> GraphInput:
    kind = value.type.tensor_type
    place = f"{where}, input {value.name[:100]!r}"
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        raise UnsupportedError(
            "an input that is not a tensor of known rank",
            where=place,
            remedy="export the model with the sizes of its inputs",
        )
    sizes = []
    for axis in kind.shape.dim:
        size = axis.dim_value if axis.HasField("dim_value") else None
        if size is not None and size < -1:
            raise ModelFileError(f"an axis of {size} elements", where=place)
        # Some exporters write 0 or -1 for a size that is left open.
        sizes.append(None if size in (0, -1) else size)
    if len(sizes) > 32:
        raise ModelFileError(f"{len(sizes)} axes", where=place)
    return GraphInput(value.name, tuple(sizes), dtype_of(kind.elem_type, place), limits)
