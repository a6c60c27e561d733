"""PyTorch models: live modules, exported programs and the ``.pt2`` files of ``torch.export.save``.

Files are parsed, without torch and without executing anything; live objects are exported by torch and then read the same way.
The way: ``live.py`` exports, ``archive.py`` opens, ``graph.py`` reads the graph, the tables of ``ops.py`` translate one
operator each (as exported, before decomposition), and this module gives names and collects what cannot be translated.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from bitsmith.base.progress import warn
from bitsmith.errors import FidelityWarning, ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import UNWRITTEN, Draft, Emitted
from bitsmith.frontends.builder.known import BY_SAMPLES
from bitsmith.frontends.builder.names import UniqueNames, joined_names
from bitsmith.frontends.builder.refusals import Refusals, refused
from bitsmith.frontends.builder.value import Batch, Kind, Value
from bitsmith.frontends.custom.call import Table
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.framework import NO_OPTIONS, ReadOptions
from bitsmith.frontends.torch.archive import open_archive
from bitsmith.frontends.torch.call import Call, Item, Unknown, kind_of
from bitsmith.frontends.torch.computed import computed_constants
from bitsmith.frontends.torch.counted import Counted
from bitsmith.frontends.torch.custom import OPERATOR, CustomModules
from bitsmith.frontends.torch.graph import Graph, Module, Node, TensorSpec, read_graph, references
from bitsmith.frontends.torch.guards import check_guards
from bitsmith.frontends.torch.live import TorchModel, exported, is_exported, is_module, saved
from bitsmith.frontends.torch.ops import changed_in_place, check_kept, is_check, translation_of, unknown
from bitsmith.frontends.torch.picked import of_all, whole
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.shape import Stack


def read_torch(source: TorchModel, options: ReadOptions = NO_OPTIONS) -> Network:
    """The network of a PyTorch model: a file, a live module or an exported program.

    Layers have the module's path (``features.0``), what is computed outside of torch's own modules the path of the user's
    module and the operator's name (``block.add``, ``cat``). Used again, a module has a number: ``features.0_1``. Shapes are
    those of the model without the batch axis, which is the first one of each input, or the only dynamic one of an exported
    program; results have it in front.

    Raises:
        ModelFileError: a file that is malformed, truncated, hostile or inconsistent.
        UnsupportedError: operators that cannot be translated, all of them in one message.
        ConfigError: a live module without example and shape.
    """
    custom = CustomModules(Table.of(options.layers))
    archive, where = _opened(source, options, custom)
    graph = read_graph(open_archive(archive, where))
    alone = not is_module(source)  # whose code nobody sees
    if alone:
        check_guards(graph, where)
    reading = partial(_Reading, graph, where, custom, allow_approximate=options.allow_approximate, alone=alone)
    try:
        return reading({}).network()
    except UnsupportedError:
        if isinstance(archive, bytes):  # nothing of others runs
            with contextlib.suppress(Exception):  # of torch, or of a model that is refused as before
                return reading(computed_constants(archive)).network()
        raise


def _opened(source: TorchModel, options: ReadOptions, custom: CustomModules) -> tuple[Path | bytes, str]:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return path, str(path)
    if is_exported(source):
        return saved(source), "exported program"
    if is_module(source):
        example, where = options.example, type(source).__name__
        examples = tuple(example) if isinstance(example, tuple | list) else None if example is None else (example,)
        return exported(source, examples, options.shapes, custom.shown), where
    raise ModelFileError(
        f"a {type(source).__name__} is not a PyTorch model",
        accepted="a .pt2 file, a torch.nn.Module, or an ExportedProgram",
    )


class _Reading:
    """The translation of one graph."""

    def __init__(
        self,
        graph: Graph,
        where: str,
        custom: CustomModules,
        computed: Mapping[str, Floats],
        *,
        allow_approximate: bool,
        alone: bool,
    ) -> None:
        self._graph = graph
        self._where = where
        self._custom = custom
        self._samples = _samples(graph, where)
        self._counted = Counted(graph.inputs, self._samples if alone else None)
        self._warned = dict[str, None]()
        self._draft = Draft(allow_approximate=allow_approximate)
        self._origins: list[Node] = []
        self._used = graph.needed - computed.keys()
        self._values: dict[str, Item] = {
            name: Value(values, values.shape, None, label) for name, (label, values) in graph.constants.items()
        }
        self._values.update({name: Value(values, values.shape, None, name) for name, values in computed.items()})
        self._refusals = Refusals()

    def network(self) -> Network:
        """The whole network."""
        inputs = [self._input(spec) for spec in self._graph.inputs]
        check_kept(self._graph)
        for node, error in changed_in_place(self._graph):
            self._refusals.add(refused(_called(node), node.name, error))
        for node in self._graph.nodes:
            if is_check(node):
                self._values.update({name: Unknown(f"a choice {BY_SAMPLES[0]}") for name in node.results if name})
            elif any(name in self._used for name in node.results):
                with self._refusals.collected(_called(node), _kind(node)):
                    self._translate(node)
        if self._refusals.found:
            raise self._refusals.error(self._where, ["the operators of the documentation's list"])
        outputs = [self._output(name) for name in self._graph.outputs]
        if not outputs:
            raise UnsupportedError("a model without results", where=self._where)
        names = self._names(self._draft.needed([*inputs, *outputs]))
        if self._warned:
            warn(
                f"{self._where} is exported for {self._samples} samples, and may compute with that number: "
                f"{', '.join(self._warned)}. Such a value is a constant of the "
                "circuit. If that is meant, all is well; else export it for any number of samples, or for one.",
                FidelityWarning,
            )
        return self._draft.network(names, inputs, outputs)

    def _input(self, spec: TensorSpec) -> int:
        if spec.sizes.count(None) > 1:
            raise UnsupportedError(
                f"the input {shown(spec.name)} of sizes {spec.sizes} leaves sizes open",
                where=self._where,
                accepted="fixed sizes (all but the batch)",
                remedy="export with one dynamic axis",
            )
        batch = Batch(spec.sizes.index(None) if None in spec.sizes else 0)
        dims = tuple(1 if size is None or axis == batch.axis else size for axis, size in enumerate(spec.sizes))
        build = self._builder(Node(spec.name, "", {}, (spec.name,), Module("", "", ""), "", ""))
        value = self._values[spec.name] = build.input(dims, batch, kind_of(spec.dtype))
        return build.number(value)

    def _builder(self, node: Node) -> Builder:
        """Return the emitter of the layers of an operator."""
        self._origins.append(node)
        whole = node.module.built_in or node.name == OPERATOR
        origin = self._draft.begin(_called(node), node.module.kind if whole else "")
        return Builder(self._draft, origin, self._where, self._samples)

    def _translate(self, node: Node) -> None:
        self._values.update({name: Unknown() for name in node.results if name is not None})
        translation = self._custom.translation(node) or translation_of(node)
        if translation is None:
            self._refusals.add(unknown(_called(node), node))
        elif all(self._values[name] != Unknown() for name in references(node)):  # none is refused
            values, mask = whole(node, self._values, self._draft)
            call = Call(node, values, self._graph.tensors, self._builder(node), self._used)
            before = len(self._draft.nodes)
            result = translation.read(call)
            if translation is translation_of(node):
                call.ignore(*translation.ignored)
                call.check_all_read()
            same = translation.becomes == "nothing"
            if not (node.module.built_in or same) and self._counted.is_in(node, call.numbers):
                self._warned[_called(node)] = None
            if mask is not None:
                layers = [one.layer for one in self._draft.nodes[before:]]
                result = (of_all(result, node, self._graph.tensors, layers, mask, same=same),)
            found = result if isinstance(result, tuple) else (result,)
            for name, value in zip(node.results, found, strict=False):
                if name is not None:
                    self._values[name] = self._consistent(name, value)

    def _consistent(self, name: str, value: Item) -> Item:
        """``value``, if its axes are what the file says that torch computed."""
        spec = self._graph.tensors.get(name)
        if not isinstance(value, Value) or spec is None:
            return value
        kind, sizes = kind_of(spec.dtype), spec.sizes
        if kind.wraps and value.kind not in (kind, Kind.BOOL) and value.constant is None:
            raise UnsupportedError(
                f"a result of type {kind.value}",
                accepted="floating point",
                remedy="cast its operands to floating point",
            )
        actual: list[int | None] = list(value.sizes(self._samples or 1))
        if value.batch is not None and len(sizes) == len(actual):
            # Of a mask torch does not say how much it picks.
            actual = [None if size is None else own for size, own in zip(sizes, actual, strict=True)]
            if self._samples is None:
                actual[value.batch.axis] = None
        if actual != list(sizes):
            raise ModelFileError(
                f"{shown(name)} is said to have the sizes {sizes} and has {tuple(actual)}", where=self._where
            )
        return value

    def _output(self, name: str) -> int:
        value = self._values[name]
        first = all(spec.sizes.index(None) == 0 for spec in self._graph.inputs if None in spec.sizes)
        remedy = "permute or reshape what the module returns"
        if isinstance(value, Unknown):
            problem = value.why
        elif not isinstance(value, Value) or value.batch is None:
            problem = "it does not depend on the inputs"
        elif value.is_merged:
            problem = "its batch axis is merged with others"
        elif value.constant is None and value.node in self._draft.unwritten:
            problem, remedy = UNWRITTEN
        elif first and self._draft.is_misplaced(value):
            problem = f"its batch axis is axis {value.batch.axis}, and that of the inputs axis 0"
        else:
            return self._builder(Node(name, "", {}, (name,), Module("", "", ""), "", "")).number(value)
        raise UnsupportedError(
            f"the result {shown(name)}: {problem}",
            where=self._where,
            accepted="tensors that depend on the inputs, with the batch as an axis of its own, the first as in the inputs",
            remedy=remedy,
        )

    def _names(self, kept: Sequence[int]) -> dict[int, str]:
        """A name for each node that is kept.

        Of what one call of one of torch's own modules becomes, the last that is not wiring has the module's path; of attention
        that also gives its weights, the result.
        """
        names = UniqueNames()
        nodes = self._draft.nodes
        inputs = [number for number in kept if isinstance(nodes[number].layer, Input)]
        named = {number: names.take(self._origins[nodes[number].origin].name) for number in inputs}
        numbers = [number for number in kept if number not in named]

        def group(number: int) -> tuple[Module, int]:
            origin = nodes[number].origin
            module = self._origins[origin].module
            return module, 0 if module.built_in else origin

        for _, members in groupby(numbers, group):
            self._name_group(list(members), named, names)
        return named

    def _name_group(self, members: list[int], named: dict[int, str], names: UniqueNames) -> None:
        """Names of the nodes of one call of a module, or of one operator outside of them."""
        nodes = self._draft.nodes
        named.update({k: names.take(nodes[k].label) for k in members if nodes[k].label})
        rest = [k for k in members if not nodes[k].label]
        if not rest:
            return
        origin = self._origins[nodes[rest[0]].origin]
        several = len({nodes[k].origin for k in rest}) > 1
        proper = [k for k in rest if not _is_wiring(nodes[k])] or [k for k in rest if not nodes[k].inner] or rest
        plain = [k for k in rest if not nodes[k].suffix]
        ends = self._ends(rest, [k for k in plain if k in proper])
        main = ends[-1] if ends else next(reversed(proper if origin.module.built_in else plain), None)
        name = names.take(_called(origin))
        for number in rest:
            operator = _operator(self._origins[nodes[number].origin]) if several else ""
            wanted = joined_names(name, operator, nodes[number].suffix)
            named[number] = name if number == main else names.take(wanted)

    def _ends(self, members: Sequence[int], proper: Sequence[int]) -> list[int]:
        """Those of ``proper`` that no other depends on within ``members``; of several, those with weights come last."""
        nodes, within = self._draft.nodes, frozenset(members)
        used: set[int] = set()
        for number in sorted(members, reverse=True):
            if number in proper or number in used:
                used.update(within.intersection(nodes[number].inputs))
        ends = [number for number in proper if number not in used]
        return sorted(ends, key=lambda number: bool(nodes[number].layer.weights()))


def _is_wiring(node: Emitted) -> bool:
    """Return True of constants, stacked states, and layers that only move elements of one operand."""
    return isinstance(node.layer, Constant | Stack) or (node.layer.traits.moves and len(node.inputs) == 1)


def _samples(graph: Graph, where: str) -> int | None:
    """The number of samples that the program is fixed to; None if it is left open."""
    first = {None if None in spec.sizes else spec.sizes[0] if spec.sizes else 0 for spec in graph.inputs}
    if not graph.inputs or len(first) > 1 or 0 in first:
        raise UnsupportedError(
            f"inputs of the sizes {[spec.sizes for spec in graph.inputs]}",
            where=where,
            accepted="one or more inputs with the same number of samples",
        )
    (samples,) = first
    return samples


def _operator(node: Node) -> str:
    """The operator's name as users write it."""
    return node.name.rpartition(".")[2].strip("_") or node.name


def _called(node: Node) -> str:
    """Return the user's name for the place of an operator."""
    if node.module.built_in or node.name == OPERATOR:
        return node.module.path or node.module.kind.lower()
    return ".".join(filter(None, (node.module.path, _operator(node))))


def _kind(node: Node) -> str:
    return f"{node.module.kind}, {_operator(node)}" if node.module.built_in else _operator(node)
