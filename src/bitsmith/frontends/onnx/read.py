"""ONNX models: files and live ``ModelProto`` objects, of operator sets 6 to 28.

The way: ``graph.py`` opens, the tables of ``operators.py`` translate one operator each, and this module gives names, collects
what cannot be translated and computes what is constant; ``values.py`` says how sizes depend on the number of samples.

ONNX models do not say which axis is that of the samples. The one axis of an input whose size is left open is; otherwise the first
one, whatever its size; and if an operation of such a model works along it, then there is none, and what the model is
fed with at once is one sample; or, if there cannot be none (time before samples, in a recurrent model), it is the second one.
"""

from __future__ import annotations

import contextlib
import os
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from bitsmith.errors import ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.known import Known, Operand
from bitsmith.frontends.builder.names import UniqueNames
from bitsmith.frontends.builder.refusals import Refusal, Refusals, refused
from bitsmith.frontends.builder.value import Batch, Kind, MixedSamplesError, Value
from bitsmith.frontends.custom.call import Table
from bitsmith.frontends.framework import NO_OPTIONS, ReadOptions
from bitsmith.frontends.onnx.call import Call, Results, Translation
from bitsmith.frontends.onnx.computed import constants
from bitsmith.frontends.onnx.custom import custom_translation
from bitsmith.frontends.onnx.graph import MAX_NODES, Body, Graph, GraphInput, Node, read_graph
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.onnx.loops import Copies, Operands, endless, goes_on
from bitsmith.frontends.onnx.operators import CLASSICAL_DOMAIN, OPERATORS, translation, why_unknown, with_domain
from bitsmith.frontends.onnx.qlinear import QLINEAR
from bitsmith.frontends.onnx.qonnx_layers import QONNX_DOMAINS
from bitsmith.frontends.onnx.quantized import QUANTIZED, takes_codes, with_integers
from bitsmith.frontends.ops.selection import stack
from bitsmith.layers.network import Network
from bitsmith.layers.shape import Reshape

__all__ = ["OnnxModel", "read_onnx"]


def read_onnx(source: OnnxModel, options: ReadOptions = NO_OPTIONS) -> Network:
    """The network of an ONNX model, with the names of its nodes (of a node without one, that of its first result).

    Shapes are those of the model, without the axis of the samples. Weights that stand beside tensors become nodes named as in the
    model. Nodes that no output needs are left out. Samples are along the first axis of a model whose input shapes are given.
    Raises:
        ToolMissingError: the package ``onnx`` is not installed.
        ModelFileError: a file that is malformed, truncated, hostile or inconsistent.
        UnsupportedError: nodes that cannot be translated, all of them in one message.
        ConfigError: an input shape that is not one of the model's.
    """
    table = Table.of(options.layers)
    is_file = isinstance(source, str | os.PathLike)
    graph = read_graph(source, lambda domain, name: table.named(f"{domain}::{name}", name) is not None)
    several = any(entry.sizes.count(None) > 1 for entry in graph.inputs)
    graph = _with_sizes(graph, options if several else replace(options, seen=None))
    failed: list[Refusals] = []
    for axes in _sample_axes(graph):
        reading = _Reading(graph, axes, table, draft=Draft(allow_approximate=options.allow_approximate))
        network = reading.network()
        if network is not None:
            return network
        failed.append(reading.refusals)
        if len(failed) == 1 and not reading.mixed:
            break
    if options.seen is not None and any(None in entry.sizes[1:] for entry in graph.inputs):  # perhaps that of time
        with contextlib.suppress(ConfigError):
            return read_onnx(source, replace(options, input_shape=options.seen, seen=None))
    fewest = min(failed, key=lambda refusals: len(refusals.found))
    remedy = "give the estimator of scikit-learn itself" if graph.producer == "skl2onnx" and is_file else ""
    raise fewest.error(graph.where, sorted(OPERATORS), remedy)


def _with_sizes(graph: Graph, options: ReadOptions) -> Graph:
    """The graph with the shapes of one sample of each input where it leaves sizes open."""
    found = options.filled([(entry.name, entry.sizes) for entry in graph.inputs], graph.where)
    if found is None:
        return graph
    pairs = zip(graph.inputs, found, strict=True)
    return replace(graph, inputs=tuple(replace(entry, sizes=(*entry.sizes[:1], *shape)) for entry, shape in pairs))


def _sample_axes(graph: Graph) -> Iterator[dict[str, int | None]]:
    """The axis of the samples of each input: what it may be, the most likely first."""
    open_axes = {entry.name: [k for k, size in enumerate(entry.sizes) if size is None] for entry in graph.inputs}
    several = next((name for name, axes in open_axes.items() if len(axes) > 1), None)
    if several is not None:
        raise UnsupportedError(
            f"the sizes of {len(open_axes[several])} axes are left open",
            where=f"{graph.where}, input {several!r}",
            accepted="one open size, that of the batch",
            remedy="give calibration data, or input_shape=(...), the shape of one sample; or fix the others, with dynamic_axes "
            "or dynamic_shapes of the exporter, or with python -m onnxruntime.tools.make_dynamic_shape_fixed",
        )
    if any(open_axes.values()):
        yield {name: axes[0] if axes else None for name, axes in open_axes.items()}
        return
    inputs = [(entry.name, entry.sizes) for entry in graph.inputs]
    first = next((sizes for _, sizes in inputs if len(sizes) > 1), ())
    for axis in (0, None, 1):
        if axis is None or len(first) > axis + 1:
            yield {
                name: axis if axis is not None and len(sizes) > max(axis, 1) and sizes[axis] == first[axis] else None
                for name, sizes in inputs
            }


@dataclass(slots=True)
class _Reading:
    """One attempt to translate a graph, with these axes of the samples."""

    graph: Graph
    axes: dict[str, int | None]
    table: Table
    refusals: Refusals = field(default_factory=Refusals)
    notes: list[str] = field(default_factory=list)
    mixed: bool = False
    copies: int = 0
    draft: Draft = field(default_factory=Draft)
    names: UniqueNames = field(default_factory=UniqueNames)
    values: ChainMap[str, Operand | Callable[[], Known] | None] = field(default_factory=ChainMap)
    samples: int | None = 1

    def network(self) -> Network | None:
        """The network; None if some node was refused."""
        operands = [self._input(entry) for entry in self.graph.inputs]
        results = self._results(self.graph.body, operands)
        results = tuple(self._in_place(*one) for one in zip(self.graph.body.outputs, results, strict=True))
        if self.refusals.found:
            return None
        outputs = [self._output(*one) for one in zip(self.graph.body.outputs, results, strict=True)]
        inputs = [value.node for value in operands if isinstance(value.node, int)]
        names = self.draft.named(self.draft.needed([*inputs, *outputs]), self.names)
        return self.draft.network(names, inputs, outputs, self.graph.name, tuple(self.notes))

    def _builder(self, name: str, kind: str, place: str = "") -> Builder:
        """Return the emitter of the layers of an operator."""
        return Builder(self.draft, self.draft.begin(name, kind), self.graph.where + place, self.samples)

    def _input(self, entry: GraphInput) -> Value:
        axis = self.axes[entry.name]
        if axis is not None:
            self.samples = entry.sizes[axis]
        dims = tuple(1 if k == axis or size is None else size for k, size in enumerate(entry.sizes))
        name = self.names.take(f"Input_{entry.name}" if entry.name.isdigit() else entry.name)
        build = self._builder(name, "Input", f", input {entry.name!r}")
        return build.input(dims, None if axis is None else Batch(axis), Kind.of(entry.dtype), entry.limits)

    def _value(self, name: str) -> Operand | None:
        """The value of a name; None if it is left out, or if it is that of a node that was refused."""
        if not name:
            return None
        found = self.values[name]
        return found() if callable(found) else found

    def _translate(self, node: Node, name: str, wanted: tuple[bool, ...]) -> None:
        self.values.update(dict.fromkeys(filter(None, node.outputs)))
        with self.refusals.collected(name, node.kind):
            values = tuple(self._value(source) for source in node.inputs)
            _check_words(node, values)
            custom = custom_translation(node, self.table)
            node = with_domain(node) if custom is None else node
            entry = custom or translation(node)
            if entry is None:
                self.refusals.add(Refusal(name, node.kind, *why_unknown(node)))
            elif any(value is None and source for value, source in zip(values, node.inputs, strict=True)):
                pass  # it reads what was refused
            elif node.kind == "If" and isinstance(values[0], Known):
                self._choose(node, values[0])
            elif (loop := self._copies(node, values)) is not None:
                self._repeat(node, name, loop)
            else:
                self._keep(node, self._computed(entry, node, name, values, wanted), wanted)

    def _computed(
        self, entry: Translation, node: Node, name: str, values: tuple[Operand | None, ...], wanted: tuple[bool, ...]
    ) -> Results:
        """The results of an operator: layers, or constants where all of its operands are constants."""
        build = self._builder(name, f"qonnx.{node.operator}" if node.domain in QONNX_DOMAINS else node.kind)
        operands = values if takes_codes(node, values) else tuple(with_integers(build, value) for value in values)
        call = Call(node, name, self.graph.opset, operands, wanted, build, self.notes.append)
        computed = entry.valued or any(isinstance(value, Value) or (value and value.words) for value in values)
        results = self._read(entry, call) if computed else constants(entry, call)
        node.attributes.check_all_read()
        return results

    def _choose(self, node: Node, condition: Known) -> None:
        """Translate that branch of ``node`` that the condition, a constant, chooses."""
        holds = condition.array()
        branch = node.bodies.get("then_branch" if holds.size == 1 and bool(holds.ravel()[0]) else "else_branch")
        if holds.size != 1 or branch is None or branch.inputs or len(branch.outputs) != len(node.outputs):
            raise ModelFileError("an If without a truth value or a branch", where=node.attributes.where)
        self.values.update(zip(node.outputs, self._results(branch, ()), strict=True))

    def _repeat(self, node: Node, name: str, loop: Copies) -> None:
        """Translate a loop as copies of its body; its results are what it carries, then all rows of the others."""
        going, carried, rows = loop.going, loop.carried, list[Operands]()
        for step in range(loop.steps):
            if going is not None and not goes_on(going):
                break
            given = loop.given(self._builder(f"{name}_step{step}", node.kind), step, going, carried)
            results = self._results(loop.body, given, f"_step{step}")
            if self.refusals.found:
                return
            going, results = (None, results) if loop.going is None else (results[0], results[1:])
            carried = results[: len(carried)]
            rows.append(results[len(carried) :])
        else:
            if not loop.whole and goes_on(going):
                raise endless()
        for number, output in enumerate(node.outputs[len(carried) :]):
            if output:
                build = self._builder(f"{name}_{output}", "Concat")
                self.values[output] = stack(build, *loop.column(build, number, rows))
        self.values.update(zip(node.outputs, carried, strict=False))

    def _copies(self, node: Node, values: Operands) -> Copies | None:
        """The copies that a loop becomes; with other axes of the samples it may not take these one after the other."""
        try:
            return Copies.of(node, values, self.graph.opset)
        except MixedSamplesError:
            self.mixed = True
            raise

    def _results(self, body: Body, operands: Sequence[Operand | None], suffix: str = "") -> tuple[Operand | None, ...]:
        """The results of a graph for ``given`` inputs; one within a node reads the values around it."""
        self.copies += len(body.nodes)
        if self.copies > 2 * MAX_NODES:
            raise UnsupportedError("loops within loops of too many steps", accepted=f"at most {MAX_NODES} nodes in all")
        around = self.values
        self.values = around.new_child({**body.constants, **dict(zip(body.inputs, operands, strict=True))})
        read = {name for node in body.nodes for name in node.reads}.union(body.outputs) - {""}
        names = [self.names.take(node.name + suffix) for node in body.nodes]
        for node, name in zip(body.nodes, names, strict=True):
            self._translate(node, name, tuple(output in read for output in node.outputs))
        results = tuple(self._value(name) for name in body.outputs)
        self.values = around
        return results

    def _read(self, entry: Translation, call: Call) -> Results:
        """The results of an operator. With a single sample, one that works along the batch axis may have it as any other axis."""
        before = len(self.draft.nodes)
        try:
            return self._named(entry.read(call), call, before)
        except MixedSamplesError:
            self.mixed = True
            if self.samples != 1:
                raise
        self.draft.back_to(before)
        operands = tuple(self._with_all_axes(call.build, value) for value in call.operands)
        before = len(self.draft.nodes)
        return self._named(entry.read(replace(call, operands=operands)), call, before)

    def _named(self, results: Results, call: Call, before: int) -> Results:
        """``results``; where the first is an operand as it was, an Identity gives it the operator's name.

        Raises:
            UnsupportedError: a result that should be of the first operand's type, which wraps around, and is not.
        """
        first, *others = results if isinstance(results, tuple) else (results,)
        kind = call.operands[0].kind if call.operands and isinstance(call.operands[0], Value) else Kind.REAL
        lost = isinstance(first, Value) and first.kind is Kind.REAL and call.node.kind not in _TO_REAL
        if kind.wraps and lost and not call.node.domain:
            raise UnsupportedError(f"operands of type {kind.value}", accepted="floating point", remedy="cast them")
        return (call.build.named(first, before), *others) if isinstance(first, Value) else results

    def _with_all_axes(self, build: Builder, value: Operand | None) -> Operand | None:
        """The only sample with its batch axis as one of its own."""
        if not isinstance(value, Value) or value.batch is None:
            return value
        return replace(build.emit(Reshape(value.sizes(1)), value, suffix="batch", kind=value.kind), batch=None)

    def _keep(self, node: Node, results: Results, wanted: Sequence[bool]) -> None:
        listed = results if isinstance(results, tuple) else (results,)
        for number, (output, needed) in enumerate(zip(node.outputs, wanted, strict=True)):
            value = listed[number] if number < len(listed) else None
            if value is None and needed:
                raise UnsupportedError(f"its result {number} is used", accepted="the first result only")
            if isinstance(value, Known) and node.operator == "Constant":
                value = replace(value, name=output)
            if output:
                self.values[output] = value

    def _in_place(self, name: str, value: Operand | None) -> Operand | None:
        """A result whose samples are along the first axis; that of a model of one sample has all axes that the file says."""
        elsewhere = any(self.axes.values()) and isinstance(value, Value) and not value.is_merged
        if not isinstance(value, Value) or value.batch is None or elsewhere or not self.draft.is_misplaced(value):
            return value
        if self.samples == 1 and not value.is_merged:
            return self._with_all_axes(self._builder(name, "Reshape"), value)
        self.mixed = self.samples is not None
        merged = "merged with others as" if value.is_merged else "along"
        error = UnsupportedError(
            f"a result of {value.rank} axes with the samples {merged} axis {value.batch.axis}",
            accepted="the first axis for the samples alone",
            remedy="end the model with a reshape or transposition to that; or export it with a batch of size 1",
        )
        self.refusals.add(refused(name, "output", error))
        return value

    def _output(self, name: str, value: Operand | None) -> int:
        if not isinstance(value, Value):
            raise UnsupportedError(f"the output {name[:100]!r} does not depend on any input", where=self.graph.where)
        shape = value.shape
        if value.batch is None and self.samples == 1 and any(axis is not None for axis in self.axes.values()):
            shape = shape[1:] if shape[:1] == (1,) else shape
        build = self._builder(name, "Constant")
        if value.codes is not None:
            value = with_integers(self._builder(name, "QuantizeLinear"), value)
            assert isinstance(value, Value)
        if shape != value.shape and isinstance(value.node, int):
            node = self.draft.nodes[value.node]
            build = replace(build, origin=node.origin, prefix=node.suffix)
            value = build.emit(Reshape(shape), value, suffix="output")
        return build.number(value)


_MOVES = frozenset({"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})
"""Operators of ONNX's own domain that may have words, which are numbers here."""


def _check_words(node: Node, values: Sequence[Operand | None]) -> None:
    """Refuses operators that work on words."""
    listed = any(isinstance(value, Known) and value.words for value in values)
    picked = any(isinstance(value, Value) and value.kind is Kind.STRING for value in values)
    if (listed and node.kind != f"{CLASSICAL_DOMAIN}.ArrayFeatureExtractor") or (picked and node.kind not in _MOVES):
        raise UnsupportedError(
            "works on words", accepted="numbers", remedy="leave it to the program that reads the results"
        )


_TO_REAL = frozenset({"Cast", "CastLike", "OneHot", *QUANTIZED, *QLINEAR})
"""Operators whose result may be real though the first operand is not."""
