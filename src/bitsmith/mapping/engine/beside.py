"""Circuits beside an engine, each of which computes several parts of the program in turn."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from bitsmith.dataflow.kinds import Interleave, Reorder, Rom
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import TensorType, objects
from bitsmith.mapping.builder import DataflowBuilder, NodeId, Port, StepId
from bitsmith.mapping.engine.steps import frac_of
from bitsmith.mapping.engine.units import element
from bitsmith.mapping.sweeps import narrow

Placed: TypeAlias = Callable[[DataflowBuilder, Node], StepId]
"""Lays out a node."""

Tensors: TypeAlias = tuple[NodeId, ...]
"""Nodes, of which the numbers follow each other."""


@dataclass(frozen=True, slots=True)
class Part:
    """``nodes`` in order that are made of ``sources`` of one shape; nothing else reads any but the last one."""

    sources: Tensors
    nodes: Tensors

    @property
    def result(self) -> NodeId:
        """The last node."""
        return self.nodes[-1]


@dataclass(slots=True, eq=False)
class Together:
    """``parts`` in turn as one ``program`` of all of them, on raw values; ``made`` is the step that has all results."""

    parts: Sequence[Part]
    program: Program
    results: Tensors = field(init=False)
    made: StepId | None = None

    def __post_init__(self) -> None:
        self.results = tuple(part.result for part in self.parts)

    @property
    def sources(self) -> Iterator[Tensors]:
        """The first operands of all parts, and so on."""
        return zip(*(part.sources for part in self.parts), strict=True)

    def place(self, builder: DataflowBuilder, operands: Sequence[StepId], placed: Placed) -> None:
        """Lay out what makes the results of all parts of all their ``operands``."""
        inner = DataflowBuilder(self.program, replace(builder.directives, parallel=False, positions={}))
        inner.steps, inner.native_forms, inner.layer = builder.steps, builder.native_forms, builder.layer
        count = len(self.parts)
        turn = TensorType.of((1,), 0, 0, count - 1)
        for number, index in enumerate(map(NodeId, self.program.inputs)):
            *grid, last = inner.shape(index)
            step = operands[number] if number < len(operands) else None
            if step is None:
                step = inner.add(Rom(objects(np.arange(count)).reshape(-1, 1)), (), Stream((count,), turn))
                for more in (math.prod(grid) // count, last):  # tables of what is done over and over are small
                    tokens = inner.stream(step).tokens
                    step = inner.repeated(step, np.repeat(np.arange(tokens), more), (tokens * more,))
            inner.step_of[index] = inner.with_native_form(step, tuple(grid), (last,))
        for number, node in enumerate(self.program.nodes):
            if not isinstance(node.op, ops.Const | ops.Input):
                inner.layer = node.layer
                inner.step_of[NodeId(number)] = placed(inner, node)
        self.made = narrow(inner, NodeId(self.program.outputs[0].node), 1, ())


@dataclass(slots=True, eq=False)
class Beside:
    """The circuits that compute parts of a program in turn, by all nodes of these.

    What they take and give are raw values, so that tensors of any formats follow each other.
    """

    circuits: dict[NodeId, tuple[Together, Part]]
    gathered: dict[NodeId, Tensors]
    """Results of an engine that leave one after another, since one circuit takes all of them, by each."""
    _streams: dict[Tensors, StepId] = field(default_factory=dict)
    """Steps with tensors one after another, which several circuits may take: so those that wait for others wait in one place."""
    _ready: dict[NodeId, StepId] = field(default_factory=dict)

    def place(self, builder: DataflowBuilder, node: NodeId, placed: Placed) -> None:
        """Lay out what makes the result of the part that ends with a ``node``, after the parts before it."""
        together, part = self.circuits[node]
        if node != part.result:
            return
        operands = [self._in_turn(builder, sources) for sources in together.sources]
        if together.made is None:
            together.place(builder, [self._after(builder, [one, *operands]) for one in operands], placed)
        self._ready[node] = self._after(builder, [self.ready(builder, source) for source in part.sources])
        kind, own = builder.program.nodes[node].type, self._alone(builder, node)
        step = builder.token_op(ops.Shift(np.array(-frac_of(element(kind)))), (own,), builder.stream(own).grid)
        builder.step_of[node] = builder.with_native_form(
            builder.cast_to(step, element(kind)), kind.shape[:-1], kind.shape[-1:]
        )

    def ready(self, builder: DataflowBuilder, node: NodeId) -> StepId:
        """A step that comes no sooner than what makes a ``node`` can begin."""
        if node in self.circuits:
            return self._ready[node]
        return builder.step_of[node] if node in self.gathered else narrow(builder, node, 1, ())

    def together(self, tensors: Tensors) -> tuple[list[int], list[Tensors]]:
        """For each of ``tensors`` in turn the number of the stream that has it, and those of each stream."""
        numbers, streams, latest = list[int](), list[Tensors](), dict[Tensors, int]()
        for tensor in tensors:
            order = self._order(tensor)
            number = latest.get(order, -1)
            if number < 0 or order.index(streams[number][-1]) >= order.index(tensor):
                latest[order] = number = len(streams)
                streams.append(())
            streams[number] += (tensor,)
            numbers.append(number)
        return numbers, streams

    def _order(self, tensor: NodeId) -> Tensors:
        """All tensors that follow each other as one stream with a ``tensor``."""
        circuit, _ = self.circuits.get(tensor, (None, None))
        return self.gathered.get(tensor, (tensor,)) if circuit is None else circuit.results

    def numbers(self, builder: DataflowBuilder, tensors: Tensors) -> StepId:
        """The step that has raw values of ``tensors`` that follow each other, one by one."""
        if tensors not in self._streams:
            together, _ = self.circuits.get(tensors[0], (None, None))
            if together is not None:
                assert together.made is not None
                step = self._selected(builder, together.made, together, tensors)
            elif tensors[0] in self.gathered:
                step = builder.step_of[tensors[0]]
            else:
                kind, step = element(builder.program.nodes[tensors[0]].type), narrow(builder, tensors[0], 1, ())
                step = builder.cast_to(step, kind)
                step = builder.token_op(ops.Shift(np.array(frac_of(kind))), (step,), builder.stream(step).grid)
            self._streams[tensors] = step
        return self._streams[tensors]

    def _in_turn(self, builder: DataflowBuilder, sources: Tensors) -> StepId:
        """The step that has all ``sources``; those that are made so far."""
        numbers, streams = self.together(sources)
        args = list[StepId]()
        for stream in streams:
            circuit, _ = self.circuits.get(stream[0], (None, None))
            made = stream[0] in builder.step_of if circuit is None else circuit.made is not None
            args.append(self.numbers(builder, stream) if made else args[-1])
        if len(streams) == 1:
            return args[0]
        if sources not in self._streams:
            which = np.repeat(numbers, math.prod(builder.shape(sources[0])))
            self._streams[sources] = builder.add(Interleave(which), tuple(args), raw_stream(builder, sources))
        step = self._streams[sources]
        builder.steps[step] = replace(builder.steps[step], args=tuple(args))
        return step

    def _alone(self, builder: DataflowBuilder, node: NodeId) -> StepId:
        """The step that has the result of one part alone, which comes no sooner than its operands."""
        together, _ = self.circuits[node]
        assert together.made is not None
        return self._selected(builder, self._after(builder, [together.made, self._ready[node]]), together, (node,))

    def _after(self, builder: DataflowBuilder, steps: Sequence[StepId]) -> StepId:
        """The first of ``steps``, no sooner than all."""
        return builder.add(Port(0), tuple(steps), builder.stream(steps[0]))

    def _selected(self, builder: DataflowBuilder, step: StepId, together: Together, some: Tensors) -> StepId:
        """The step that has results of ``some`` parts of a circuit, of which a ``step`` has all."""
        stream = builder.stream(step)
        places = [*map(together.results.index, some)]
        wanted = np.arange(stream.tokens).reshape(len(together.parts), -1)[places].reshape(-1)
        if len(wanted) == stream.tokens:
            return step
        return builder.add(Reorder(wanted), (step,), Stream(wanted.shape, raw_stream(builder, some).token))


def raw_stream(builder: DataflowBuilder, tensors: Tensors) -> Stream:
    """The raw values of ``tensors`` in any format, one by one."""
    ends = [end for one in tensors for end in element(builder.program.nodes[one].type).raw_range]
    count = sum(math.prod(builder.shape(one)) for one in tensors)
    return Stream((count,), TensorType.of((1,), 0, min(ends), max(ends)))
