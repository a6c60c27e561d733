"""Makes states of inputs and outputs: what a call gave is what the next one is given.

Before: ``h`` is an input and ``h_next`` an output. After: the ops between them are the body of a recurrence of one step, whose
state lives on between samples. All other ops stay where they are.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import Ints, Overflow, Rounding, TensorType, frozen, objects
from bitsmith.passes.program.drop_dead import drop_dead


def tie_states(program: Program, pairs: Mapping[str, str], initial: Mapping[str, Ints]) -> Program:
    """``program`` without the inputs and outputs that are ``pairs``; raw ``initial`` values by input.

    What an output gives is cast to the format of its input, as a user's numbers are. Where no others are left, the outputs stay.

    Raises:
        UnsupportedError: weights that can be loaded, states of their own, or no output that depends on the states.
    """
    return _Tying(program, pairs).tied(initial)


def behind(program: Program, inputs: Mapping[str, object]) -> set[int]:
    """The nodes that depend on the named ``inputs``, these too."""
    tied = set[int]()
    for index, node in enumerate(program.nodes):
        named = isinstance(node.op, ops.Input) and node.op.name in inputs
        if named or not tied.isdisjoint(node.args):
            tied.add(index)
    return tied


class _Tying:
    def __init__(self, program: Program, pairs: Mapping[str, str]) -> None:
        self._program, self._pairs = program, pairs
        self._inside = behind(program, pairs)
        names = {op.name: index for op, index in zip(program.input_ops(), program.inputs, strict=True)}
        ends = {output.name: output.node for output in program.outputs}
        self._states = {name: names[name] for name in pairs}
        self._next = {name: ends[end] for name, end in pairs.items()}
        self._nodes: list[Node] = []
        self._body: list[Node] = []
        self._place: dict[int, int] = {}  # of nodes outside
        self._within: dict[int, int] = {}  # of nodes in the body
        self._sequences: list[int] = []

    def tied(self, initial: Mapping[str, Ints]) -> Program:
        program, gone = self._program, set(self._pairs.values())
        for index, node in enumerate(program.nodes):
            self._check(node, inside=index in self._inside)
            if index not in self._inside:
                args = tuple(self._place[arg] for arg in node.args)
                self._place[index] = _added(self._nodes, replace(node, args=args))
        outputs = [each for each in program.outputs if each.name not in gone] or [*program.outputs]
        wanted = list(dict.fromkeys(each.node for each in (*outputs, *program.probes) if each.node in self._inside))
        if not any(each.node in self._inside for each in outputs):
            raise UnsupportedError("states that no output depends on", accepted="outputs beside those of the states")
        for index in self._states.values():
            self._within[index] = _added(self._body, replace(program.nodes[index], layer=""))
        for index in sorted({*self._next.values()} - self._inside):
            self._taken(index)
        for index in sorted(self._inside - {*self._states.values()}):
            for arg in program.nodes[index].args:
                self._taken(arg)
        for index in sorted(self._inside - {*self._states.values()}):
            node = program.nodes[index]
            self._within[index] = _added(self._body, replace(node, args=tuple(self._within[arg] for arg in node.args)))
        self._run(initial, wanted)
        return drop_dead(
            Program(
                tuple(self._nodes),
                tuple(Output(each.name, self._place[each.node]) for each in outputs),
                tuple(Output(each.name, self._place[each.node]) for each in program.probes),
            )
        )

    def _check(self, node: Node, *, inside: bool) -> None:
        """Reject what cannot be within states."""
        if isinstance(node.op, ops.Parameter):
            fault, accepted = "weights that can be loaded, in a model whose states are tied", "Weights: onchip"
            raise UnsupportedError(fault, where=f"layer {node.layer!r}", accepted=accepted)
        if inside and isinstance(node.op, ops.Scan) and node.op.kept:
            fault = "a layer with states of its own, behind states that are tied"
            raise UnsupportedError(fault, where=f"layer {node.layer!r}", accepted="one or the other")

    def _taken(self, index: int) -> None:
        """Have the body know a value from outside: a constant, or a sequence of one step."""
        if index in self._inside or index in self._within:
            return
        node = self._program.nodes[index]
        if isinstance(node.op, ops.Const):
            self._within[index] = _added(self._body, node)
            return
        kind, name = node.type, f"from{index}"
        taken = ops.Input(name, kind.shape, kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.SAT, ())
        self._within[index] = _added(self._body, Node(taken, (), infer(taken, [])))
        self._sequences.append(self._made(ops.Reshape((1, *kind.shape)), self._place[index]))

    def _made(self, op: ops.Op, *args: int, layer: str = "") -> int:
        return _made(self._nodes, op, args, layer)

    def _run(self, initial: Mapping[str, Ints], wanted: list[int]) -> None:
        """Add the recurrence, and the values of it that are read."""
        body, outputs = self._body, list[Output]()
        for name, index in self._next.items():
            op = self._program.nodes[self._states[name]].op
            assert isinstance(op, ops.Input)
            cast = ops.Cast(op.frac, op.lo, op.hi, op.rounding, op.overflow)
            outputs.append(Output(name, _made(body, cast, (self._within[index],), "")))
        flat = [
            _made(body, ops.Reshape((self._program.nodes[index].type.size,)), (self._within[index],), "")
            for index in wanted
        ]
        result = flat[0] if len(flat) == 1 else _made(body, ops.Concat(0), tuple(flat), "")
        program = Program(tuple(body), (*outputs, Output("result", result)))
        layer = self._program.nodes[next(iter(self._next.values()))].layer
        begin = [self._constant(name, initial.get(name)) for name in self._states]
        sequences = self._sequences or [
            self._made(ops.Const(frozen(np.zeros(1, dtype=np.object_)), np.zeros(1, np.int64)))
        ]
        if not self._sequences:
            unread = ops.Input(
                "step", (), np.zeros((), np.int64), objects(0), objects(0), Rounding.TRN, Overflow.SAT, ()
            )
            program = replace(program, nodes=(*program.nodes, Node(unread, (), infer(unread, []))))
        scan = self._made(ops.Scan(program, len(begin), len(begin)), *begin, *sequences, layer=layer)
        start = 0
        for index in wanted:
            shape = self._program.nodes[index].type.shape
            stop = start + self._program.nodes[index].type.size
            part = self._made(ops.Slice((0, start), (1, stop), (1, 1)), scan, layer=layer)
            self._place[index] = self._made(ops.Reshape(shape), part, layer=layer)
            start = stop

    def _constant(self, name: str, raw: Ints | None) -> int:
        kind: TensorType = self._program.nodes[self._states[name]].type
        values = np.zeros(kind.shape, dtype=np.object_) if raw is None else objects(raw)
        return self._made(ops.Const(frozen(values), kind.frac))


def _added(nodes: list[Node], node: Node) -> int:
    nodes.append(node)
    return len(nodes) - 1


def _made(nodes: list[Node], op: ops.Op, args: tuple[int, ...], layer: str) -> int:
    return _added(nodes, Node(op, args, infer(op, [nodes[arg].type for arg in args]), layer))
