"""The graph of an exported PyTorch program, from its JSON: operators with their arguments, in order of evaluation.

What leaves is typed and refers only to values that exist. No operator has been interpreted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import MAX_NAME, Fields, Json, is_integer, shown
from bitsmith.frontends.torch.archive import DTYPES, Archive
from bitsmith.layers.layer import Floats

MAX_NODES = 100_000
_MAX_LIST = 1 << 16
_PREFIX = "torch.ops."
_INSIDE = ("brevitas.proxy.", "brevitas.core.")
"""Parts of Brevitas's layers: not modules that users know."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor of the graph, or a size that depends on the number of samples."""

    name: str


@dataclass(frozen=True, slots=True)
class DType:
    """An element type, by its number in torch's schema."""

    number: int


Argument: TypeAlias = "bool | int | float | str | Ref | DType | tuple[Argument, ...] | None"


@dataclass(frozen=True, slots=True)
class Module:
    """The module whose ``forward`` runs an operator: its path (``features.0``, empty for the model), class, and which call."""

    path: str
    class_name: str
    call: str
    has_parts: bool = False

    @property
    def built_in(self) -> bool:
        """Return True of one of torch's own, or of Brevitas's, that is a whole: no other module runs within it."""
        return self.class_name.startswith(("torch.nn.", "brevitas.nn.")) and not self.has_parts

    @property
    def kind(self) -> str:
        """The class without its package."""
        return self.class_name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Node:
    """An operator: ``name`` of ``overload``, as in ``mean`` of ``dim``. Names ending in ``_`` change their operand.

    That of another library than torch's own has the library's name before its own.

    ``results`` has a name, or None, for each result; a list of tensors counts as as many results. ``code`` has the lines of
    Python that called the ``function``, which this is or which torch makes of this and others.
    """

    name: str
    overload: str
    arguments: Mapping[str, Argument]
    results: tuple[str | None, ...]
    module: Module
    code: str
    function: str


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor; ``sizes`` has None where a size is left open, ``dtype`` is the number of its element type."""

    name: str
    sizes: tuple[int | None, ...]
    dtype: int


@dataclass(frozen=True, slots=True)
class Graph:
    """``constants`` has parameters, buffers and given tensors by the name that nodes use, with the user's name.

    ``guards`` are the conditions on the inputs under which the export's code is the module's. ``kept`` are constants that the
    program leaves with other values for its next call.
    """

    inputs: tuple[TensorSpec, ...]
    constants: Mapping[str, tuple[str, Floats]]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, TensorSpec]
    guards: tuple[str, ...]
    kept: frozenset[str]
    where: str

    @property
    def needed(self) -> frozenset[str]:
        """The values that the results depend on."""
        needed = set(self.outputs)
        for node in reversed(self.nodes):
            if needed.intersection(node.results):
                needed.update(references(node))
        return frozenset(needed)


def read_graph(archive: Archive) -> Graph:
    """The graph of an archive.

    Raises:
        ModelFileError: an entry that is malformed, or a reference to nothing.
        UnsupportedError: a program that changes its inputs, or takes something else than tensors.
    """
    module = archive.program.fields("graph_module")
    graph = module.fields("graph")
    values = _tensor_values(graph)
    inputs, constants = _inputs(module.fields("signature"), archive, values)
    listed = graph.objects("nodes")
    if len(listed) > MAX_NODES:
        raise ModelFileError(f"{len(listed)} operators", where=graph.where, accepted=f"at most {MAX_NODES}")
    nodes = _with_parts([_node(item) for item in listed])
    signature = module.fields("signature")
    outputs, targets = tuple(_outputs(signature)), set(_buffers_left(signature))
    kept = frozenset(name for name, (target, _) in constants.items() if target in targets)
    _check_references({spec.name for spec in inputs}.union(constants), nodes, outputs, graph.where)
    guards = archive.program.get("guards_code")
    listed_guards = tuple(guard for guard in guards if isinstance(guard, str)) if isinstance(guards, list) else ()
    return Graph(inputs, constants, nodes, outputs, values, listed_guards, kept, graph.where)


def _tensor_values(graph: Fields) -> dict[str, TensorSpec]:
    """Return the metadata of each tensor."""
    specs: dict[str, TensorSpec] = {}
    described = graph.fields("tensor_values")
    for name in described.values:
        meta = described.fields(name)
        sizes = [size.get("as_int") for size in meta.objects("sizes")]
        if len(sizes) > 32:
            raise ModelFileError(f"{shown(name)} has {len(sizes)} axes", where=graph.where)
        open_or_fixed = tuple(size if is_integer(size) else None for size in sizes)
        specs[name] = TensorSpec(name, open_or_fixed, meta.integer("dtype"))
    return specs


def _inputs(
    signature: Fields, archive: Archive, values: Mapping[str, TensorSpec]
) -> tuple[tuple[TensorSpec, ...], dict[str, tuple[str, Floats]]]:
    inputs: list[TensorSpec] = []
    constants: dict[str, tuple[str, Floats]] = {}
    keys = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
    for item in signature.objects("input_specs"):
        kind, _ = item.only()
        spec = item.fields(kind)
        if kind in keys:
            name, target = spec.fields("arg").name("name"), spec.name(keys[kind])
            if target not in archive.tensors:
                raise ModelFileError(
                    f"the {kind.replace('_', ' ')} {shown(target)} has no values", where=signature.where
                )
            constants[name] = target, archive.tensors[target]
        elif kind == "user_input" and "as_tensor" in spec.fields("arg").values:
            name = spec.fields("arg").fields("as_tensor").name("name")
            if name not in values or values[name].dtype not in DTYPES:
                raise UnsupportedError(
                    f"the input {shown(name)}", where=signature.where, accepted="tensors of real numbers"
                )
            inputs.append(values[name])
        elif kind not in ("user_input", "constant_input", "token"):
            raise UnsupportedError(f"an input of the kind {shown(kind)}", where=signature.where, accepted="tensors")
        # What is left are numbers and switches, which the export has built in.
    return tuple(inputs), constants


def _outputs(signature: Fields) -> Iterator[str]:
    for item in signature.objects("output_specs"):
        kind, _ = item.only()
        if kind == "buffer_mutation":
            continue
        if kind != "user_output":
            raise UnsupportedError(
                f"a program with a {shown(kind)}",
                where=signature.where,
                accepted="programs that do not change their inputs",
                remedy="call model.eval() before the export; clone an input before it is changed",
            )
        argument = item.fields(kind).fields("arg")
        if "as_tensor" in argument.values:
            yield argument.fields("as_tensor").name("name")
        elif "as_none" not in argument.values:
            raise UnsupportedError(
                f"the result {shown(dict(argument.values))}", where=signature.where, accepted="tensors"
            )


def _buffers_left(signature: Fields) -> Iterator[str]:
    """Return the buffers that the program leaves with other values."""
    for item in signature.objects("output_specs"):
        kind, _ = item.only()
        if kind == "buffer_mutation":
            yield item.fields(kind).name("buffer_name")


def _node(fields: Fields) -> Node:
    target = fields.text("target")[:MAX_NAME]
    name, overload = _name(target)
    arguments = {given.text("name"): _argument(given.fields("arg")) for given in fields.objects("inputs")}
    given = [_argument(item) for item in fields.objects("outputs")]
    results = [part for one in given for part in (one if isinstance(one, tuple) else (one,))]
    names = tuple(part.name if isinstance(part, Ref) else None for part in results)
    function = _metadata(fields, "torch_fn").rpartition(".")[2]
    return Node(name, overload, arguments, names, _module(fields), _metadata(fields, "stack_trace"), function)


def _metadata(fields: Fields, key: str) -> str:
    """A text of the metadata; empty if there is none."""
    metadata = fields.get("metadata")
    text = metadata.get(key) if isinstance(metadata, dict) else None
    return text if isinstance(text, str) else ""


def _name(target: str) -> tuple[str, str]:
    """Name and overload of an operator."""
    if not target.startswith(_PREFIX):
        return target, ""
    library, _, rest = target.removeprefix(_PREFIX).partition(".")
    name, _, overload = rest.partition(".")
    return (name if library == "aten" else f"{library}.{name}"), overload


def _argument(fields: Fields) -> Argument:
    """A tagged value: ``{"as_int": 3}``."""
    tag, value = fields.only()
    if tag == "as_none":
        return None
    if isinstance(value, list):
        if len(value) > _MAX_LIST:
            raise ModelFileError(f"a list of {len(value)} arguments", where=fields.where)
        return tuple(_single(tag.removesuffix("s"), item, fields) for item in value)
    return _single(tag, value, fields)


def _single(tag: str, value: Json, fields: Fields) -> Argument:
    match tag:
        case "as_tensor" | "as_sym_int" | "as_optional_tensor" | "as_sym_bool" | "as_sym_float":
            inner = Fields({tag: value}, fields.where).fields(tag)
            if "as_tensor" in inner.values:
                return Ref(inner.fields("as_tensor").text("name"))
            if "as_none" in inner.values:
                return None
            plain = next((inner.values[key] for key in ("as_int", "as_bool", "as_float") if key in inner.values), None)
            if isinstance(plain, bool | float) or is_integer(plain):
                return plain
            name = inner.values.get("name", inner.get("as_name"))
            if isinstance(name, str):
                return Ref(name)
        case "as_int" | "as_float" | "as_bool" | "as_string":
            if isinstance(value, bool | float | str) or is_integer(value):
                return value
        case "as_scalar_type" if is_integer(value):
            return DType(value)
        case "as_device" | "as_layout" | "as_memory_format":
            return None
        case _:
            return shown({tag: value})  # of a kind that no operator of ours takes
    raise ModelFileError(f"the argument {shown({tag: value})}", where=fields.where)


def _module(fields: Fields) -> Module:
    """The innermost module of the metadata ``key,path,class;key,path,class;...``."""
    stack = _metadata(fields, "nn_module_stack")
    if stack:
        listed = (entry.split(",") for entry in reversed(stack.split(";")))
        parts = next((entry for entry in listed if not entry[-1].startswith(_INSIDE)), [])
        if len(parts) == 3 and not parts[0].startswith("_empty"):
            path = re.sub(r"[^\w.]", "_", parts[1])[:MAX_NAME]
            return Module(path, parts[2], parts[0])
    return Module("", "", "")


def _with_parts(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """The nodes, with modules that know whether others run within them."""
    paths = {node.module.path for node in nodes}
    parents = {path[:k] for path in paths for k, letter in enumerate(path) if letter == "."}
    return tuple(replace(node, module=replace(node.module, has_parts=node.module.path in parents)) for node in nodes)


def _check_references(known: set[str], nodes: Sequence[Node], outputs: Sequence[str], where: str) -> None:
    """Refuse what reads a value that is not ``known``, nor a result before it."""
    for node in nodes:
        for name in references(node):
            if name not in known:
                raise ModelFileError(
                    f"{shown(node.name)} reads {shown(name)}, which does not exist before it", where=where
                )
        known.update(name for name in node.results if name is not None)
    for name in outputs:
        if name not in known:
            raise ModelFileError(f"the result {shown(name)}, which does not exist", where=where)


def references(node: Node) -> Iterator[str]:
    """Return the values that the node reads."""
    pending: list[Argument] = list(node.arguments.values())
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending += value
        elif isinstance(value, Ref):
            yield value.name
