"""Models of TensorFlow Lite opened and checked: a file in, tensors and operators in order of evaluation out.

Knows the format, but no operator's meaning.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import MAX_ELEMENTS
from bitsmith.frontends.files.archive import whole_file
from bitsmith.frontends.files.json import Watched, shown
from bitsmith.frontends.tflite import schema
from bitsmith.frontends.tflite.flatbuffer import FlatBuffer, Table
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.frontends.tflite.schema import (
    CodeField,
    GraphField,
    ModelField,
    OperatorField,
    QuantizationField,
    SignatureField,
    TensorField,
)
from bitsmith.frontends.tflite.tensors import Quantization, Tensor
from bitsmith.layers.layer import Shape

MAX_ITEMS = 50_000
"""Most tensors, operators and buffers of a model."""

MAX_BYTES = (1 << 31) - 1
"""Largest model file."""

CUSTOM = "custom operator"
"""Prefix of the kinds of operators that have no number."""

_MAX_AXES = 32
_MAX_OPERANDS = 4096
_MAX_SCALES = 1 << 20


@dataclass(frozen=True, slots=True)
class Options(Watched):
    """The options of an operator."""

    values: Mapping[str, object]
    where: str

    def get(self, key: str) -> object:
        self.read.add(key)
        return self.values[key]

    def check_all_read(self, defaults: Mapping[str, object]) -> None:
        """Refuse options that were neither read nor ignored, and are no defaults, lest they would have mattered."""
        unread = [key for key, value in self.values.items() if key not in self.read and value != defaults[key]]
        if unread:
            found = ", ".join(f"{key} is {shown(self.values[key])}" for key in unread)
            raise UnsupportedError(found, accepted=", ".join(shown(defaults[key]) for key in unread))

    def wrong(self, key: str, accepted: str) -> ModelFileError:
        """The error of an option that is something else."""
        return ModelFileError(self.found(key), where=self.where, accepted=accepted)


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """One operator of the graph, of a ``kind``. Inputs that are left out are None."""

    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    intermediates: tuple[Tensor, ...]
    options: Options
    where: str

    @property
    def on_codes(self) -> bool:
        """Return True if a result or a computed operand is quantized: with quantized weights alone an operator is on numbers."""
        operands = [one for one in self.inputs if one is not None and one.data is None and not one.is_variable]
        return any(one.is_quantized for one in (*operands, *self.outputs))

    def check_options(self) -> None:
        """Refuse options that no translation has read."""
        self.options.check_all_read(_defaults(self.kind))

    @property
    def is_custom(self) -> bool:
        """Return True of an operator that belongs to one runtime."""
        return self.kind.startswith(CUSTOM)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A model: its main graph."""

    name: str
    where: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    initial: Mapping[str, Tensor] = field(default_factory=dict)
    """Values of variables before the first call, by name."""
    states: Mapping[str, str] = field(default_factory=dict)
    """The last inputs and outputs, which are states, and what these are at first, in words."""
    beside: tuple[str, ...] = ()
    """Names of signatures of other graphs of the file."""


def read_graph(source: TfliteModel) -> Graph:
    """The main graph of a model.

    Raises:
        ModelFileError: a file that is malformed, truncated, hostile or inconsistent.
        UnsupportedError: weights outside the file.
    """
    content, where = content_of(source)
    file = FlatBuffer(content, where)
    root = file.root(schema.IDENTIFIER)
    version = root.integer(ModelField.VERSION, "I")
    if version != schema.VERSION:
        raise UnsupportedError(f"version {version} of the schema", where=where, accepted=str(schema.VERSION))
    graphs = root.tables(ModelField.GRAPHS, MAX_ITEMS)
    if not graphs:
        raise ModelFileError("a model without a graph", where=where)
    buffers = root.tables(ModelField.BUFFERS, MAX_ITEMS)
    kinds = [_kind(code) for code in root.tables(ModelField.OPERATOR_CODES, MAX_ITEMS)]
    tables = graphs[0].tables(GraphField.TENSORS, MAX_ITEMS)
    tensors = [_tensor(table, number, buffers, where) for number, table in enumerate(tables)]
    graph = _graph(graphs[0], tensors, kinds, where)
    signatures = root.tables(ModelField.SIGNATURES, MAX_ITEMS)
    beside = tuple(one.text(SignatureField.NAME) for one in signatures if one.integer(SignatureField.GRAPH, "I") != 0)
    return replace(graph, initial=_initial(graph, graphs, kinds, buffers), beside=beside)


def _initial(
    graph: Graph, graphs: Sequence[Table], kinds: Sequence[str], buffers: Sequence[Table]
) -> dict[str, Tensor]:
    """The constants that graphs which run once assign to variables."""
    numbers = {
        one.options.integer("init_subgraph_index"): one.where for one in graph.operators if one.kind == "CALL_ONCE"
    }
    initial: dict[str, Tensor] = {}
    for number, where in numbers.items():
        if not 0 < number < len(graphs):
            raise ModelFileError(f"graph {number} of {len(graphs)}", where=where)
        tables = graphs[number].tables(GraphField.TENSORS, MAX_ITEMS)
        tensors = [_tensor(table, place, buffers, where) for place, table in enumerate(tables)]
        names: dict[int, str] = {}
        for place, entry in enumerate(graphs[number].tables(GraphField.OPERATORS, MAX_ITEMS)):
            operator = _operator(entry, place, tensors, kinds, where)
            if operator.kind == "VAR_HANDLE" and operator.outputs:
                names[operator.outputs[0].number] = operator.options.text("shared_name")
            elif operator.kind == "ASSIGN_VARIABLE" and None not in operator.inputs and len(operator.inputs) == 2:
                handle, value = (each for each in operator.inputs if each is not None)
                if handle.number in names and value.data is not None:
                    initial[names[handle.number]] = value
    return initial


def content_of(source: TfliteModel) -> tuple[bytes, str]:
    """The content of a file, and where that is.

    Raises:
        ModelFileError: it cannot be read.
    """
    if isinstance(source, bytes):
        return source, "TensorFlow Lite model"
    if not isinstance(source, str | os.PathLike):
        raise ModelFileError(f"an object of type {type(source).__name__}", accepted="a path, or the content of a file")
    return whole_file(Path(source), MAX_BYTES), str(source)


def _kind(code: Table) -> str:
    """The name of a kind of operator."""
    number = max(code.integer(CodeField.BUILTIN), code.integer(CodeField.OLD_BUILTIN, "b"))
    return f"{CUSTOM} {code.text(CodeField.CUSTOM)[:100]}" if number == schema.CUSTOM else schema.operator_name(number)


def _tensor(table: Table, number: int, buffers: Sequence[Table], where: str) -> Tensor:
    name = table.text(TensorField.NAME)
    where = f"{where}, tensor {name[:100]!r}"
    shape, signature = (table.integers(key, _MAX_AXES) for key in (TensorField.SHAPE, TensorField.SIGNATURE))
    if min(shape, default=1) < 0 or math.prod(shape) > MAX_ELEMENTS:
        raise ModelFileError(f"a tensor of shape {shape}", where=where, accepted=f"at most {MAX_ELEMENTS} elements")
    if signature and len(signature) != len(shape):
        raise ModelFileError(f"a tensor of shapes {shape} and {signature}", where=where)
    code = table.integer(TensorField.TYPE, "b")
    if code not in schema.TYPES:
        raise UnsupportedError(
            f"elements of type number {code}", where=where, accepted=", ".join(schema.TYPES.values())
        )
    return Tensor(
        number,
        name,
        schema.TYPES[code],
        shape,
        tuple(None if open_size < 0 else size for size, open_size in zip(shape, signature or shape, strict=True)),
        _quantization(table.table(TensorField.QUANTIZATION), shape, where),
        _data(table, buffers, where),
        where,
        bool(table.scalar(TensorField.IS_VARIABLE, "?", False)),
        table.table(TensorField.SPARSITY) is not None,
    )


def _data(table: Table, buffers: Sequence[Table], where: str) -> memoryview | None:
    """The bytes of a constant; None of any other tensor."""
    number = table.integer(TensorField.BUFFER, "I")
    if number == 0 and not buffers:
        return None
    if number >= len(buffers):
        raise ModelFileError(f"buffer {number} of {len(buffers)}", where=where)
    elsewhere = buffers[number].integer(schema.EXTERNAL_DATA, "Q") > 1
    if elsewhere or table.integer(TensorField.EXTERNAL_BUFFER, "I"):
        raise UnsupportedError("data outside the model's own structure", where=where, accepted="models below 2 GiB")
    data = buffers[number].bytes(schema.DATA)
    return data if data is not None and len(data) else None


def _quantization(table: Table | None, shape: Shape, where: str) -> Quantization | None:
    """The scales of a tensor; None if it has none."""
    if table is None:
        return None
    scales = table.numbers(QuantizationField.SCALE, "<f4", _MAX_SCALES)
    zeros = table.numbers(QuantizationField.ZERO_POINT, "<i8", _MAX_SCALES)
    if table.integer(QuantizationField.DETAILS, "B"):
        raise UnsupportedError("scales of blocks", where=where, accepted="scales of tensors or channels")
    if not scales.size:
        return None
    # Kernels look at the number of scales only, and converters leave the weights' axis at their bias.
    axis = table.integer(QuantizationField.AXIS) if len(shape) > 1 else 0
    zeros = zeros if zeros.size else np.zeros(scales.size, np.int64)
    if zeros.size == 1:
        zeros = np.repeat(zeros, scales.size)
    fits = scales.size == 1 or (0 <= axis < len(shape) and scales.size == shape[axis])
    values = scales.astype(np.float32)
    # Tensors that kernels only copy (indices, for example) may have a scale of 0.
    good = bool(np.all(np.isfinite(values) & (values >= 0.0))) and bool(
        np.all(np.abs(zeros.astype(np.float64)) < 2.0**31)
    )
    if zeros.size != scales.size or not fits or not good:
        raise ModelFileError(
            f"{scales.size} scales and {zeros.size} zero points of a tensor of shape {shape}",
            where=where,
            accepted="positive scales and zero points of 32 bits, one or as many as the axis has elements",
        )
    if not bool(np.all(values > 0.0)):
        return None
    return Quantization(values, zeros.astype(np.int64), axis)


def _graph(table: Table, tensors: Sequence[Tensor], kinds: Sequence[str], where: str) -> Graph:
    inputs, outputs = (
        _named(table.integers(key, MAX_ITEMS), tensors, where) for key in (GraphField.INPUTS, GraphField.OUTPUTS)
    )
    if not inputs or not outputs:
        raise ModelFileError(
            f"{len(inputs)} inputs and {len(outputs)} outputs", where=where, accepted="one or more of each"
        )
    if len({one.number for one in inputs}) < len(inputs) or any(one.data is not None for one in inputs):
        raise ModelFileError("an input twice, or one that is a constant", where=where)
    entries = table.tables(GraphField.OPERATORS, MAX_ITEMS)
    operators = tuple(_operator(entry, number, tensors, kinds, where) for number, entry in enumerate(entries))
    _check_order(inputs, outputs, operators, where)
    return Graph(table.text(GraphField.NAME) or "main", where, inputs, outputs, operators)


def _named(numbers: Sequence[int], tensors: Sequence[Tensor], where: str) -> tuple[Tensor, ...]:
    if any(not 0 <= number < len(tensors) for number in numbers):
        raise ModelFileError(f"tensors {numbers[:16]} of {len(tensors)}", where=where)
    return tuple(tensors[number] for number in numbers)


def _operator(table: Table, number: int, tensors: Sequence[Tensor], kinds: Sequence[str], where: str) -> Operator:
    code = table.integer(OperatorField.CODE, "I")
    if code >= len(kinds):
        raise ModelFileError(f"operator {number} is of kind {code} of {len(kinds)}", where=where)
    kind = kinds[code]
    where = f"{where}, operator {number} ({kind})"
    listed = table.integers(OperatorField.INPUTS, _MAX_OPERANDS)
    given = iter(_named([one for one in listed if one != -1], tensors, where))
    return Operator(
        kind,
        tuple(None if one == -1 else next(given) for one in listed),
        _named(table.integers(OperatorField.OUTPUTS, _MAX_OPERANDS), tensors, where),
        _named(table.integers(OperatorField.INTERMEDIATES, _MAX_OPERANDS), tensors, where),
        Options(_options(table, kind, where), where),
        where,
    )


def _options(table: Table, kind: str, where: str) -> dict[str, object]:
    """The options by name; all have a value."""
    known = schema.OPTIONS.get(kind)
    if known is None:
        return {}
    options, number = table.table(OperatorField.OPTIONS), table.integer(OperatorField.OPTIONS_KIND, "B")
    if options is not None and number != known.kind:
        raise ModelFileError(f"options of kind {number}", where=where, accepted=f"those of {kind}")
    later = () if options is None else options.fields_from(known.count)
    if later:
        raise UnsupportedError(
            f"its options {later}, of a later schema", where=where, accepted=f"{known.count} options"
        )
    return {key: _option(options, entry, key, where) for key, entry in known.entries.items()}


def _defaults(kind: str) -> dict[str, object]:
    """The options of an operator that says none."""
    known = schema.OPTIONS.get(kind)
    return {} if known is None else {key: _option(None, entry, key, "") for key, entry in known.entries.items()}


def _option(table: Table | None, entry: schema.Entry, key: str, where: str) -> object:
    if entry.form == "*":
        return None if table is None else table.integers(entry.number, _MAX_OPERANDS)
    if entry.form == "s":
        return "" if table is None else table.text(entry.number)
    value = entry.default if table is None else table.scalar(entry.number, entry.form, entry.default)
    if not entry.words:
        return value
    if not 0 <= value < len(entry.words):
        raise ModelFileError(f"{key} is {value}", where=where, accepted=f"0 to {len(entry.words) - 1}")
    return entry.words[int(value)]


def _check_order(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], operators: Sequence[Operator], where: str
) -> None:
    """Refuse operators that read what is not there yet, or write what is there already."""
    there = {one.number for one in inputs}

    def check(one: Tensor, place: str) -> None:
        if one.number not in there and one.data is None and not one.is_variable and 0 not in one.shape:
            raise ModelFileError(f"the tensor {one.name[:100]!r} is read before it is computed", where=place)

    for operator in operators:
        # Custom operators have room of their own among their operands.
        for tensor in () if operator.is_custom else operator.inputs:
            if tensor is not None:
                check(tensor, operator.where)
        for tensor in operator.outputs:
            if tensor.number in there or tensor.data is not None:
                raise ModelFileError(f"the tensor {tensor.name[:100]!r} is computed twice", where=operator.where)
            there.add(tensor.number)
    for tensor in outputs:
        check(tensor, where)
