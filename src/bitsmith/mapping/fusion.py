"""From steps to processes: neighboring ops on tokens of one grid become token functions."""

from collections.abc import Sequence
from dataclasses import replace

from bitsmith.base.graphs import reached
from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.kinds import Map, Reorder, Rom, Sink, Source
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.mapping.builder import Port, Step, StepId
from bitsmith.passes.program import simplify


def fuse(steps: Sequence[Step]) -> Network:
    """The processes of ``steps``."""
    return _Fusion(steps).network()


class _Fusion:
    """From steps to processes: connected ops on tokens of equal number become one token function.

    A step's *stage* counts the processes on the way to it. Ops of one stage can stand in one function: a way out of it
    and back would lead through a process to a later stage. Ops on constant tokens alone are *free*: each function that reads
    their results has them.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._stage: dict[StepId, int] = {}
        self._group: dict[StepId, StepId] = {}
        self._free: set[StepId] = set()
        self._processes: list[Process] = []
        self._sources: dict[StepId, OutputPort] = {}
        self._given_back: list[tuple[int, int, StepId]] = []
        """Operands of processes that later steps make."""
        self._ports: dict[StepId, dict[int, Stream]] = {}
        """The tokens of each result of a step with several."""
        for step in steps:
            if isinstance(step.kind, Port):
                self._ports.setdefault(step.args[0], {})[step.kind.number] = step.stream
        ends = [
            StepId(number)
            for number, step in enumerate(steps)
            if isinstance(step.kind, Sink) or (isinstance(step.kind, Source) and not step.kind.loaded)
        ]
        self._live = sorted(reached(ends, lambda number: steps[number].args))
        for number in self._live:
            self._place(number)
        self._readers: dict[StepId, set[StepId]] = {}
        """Steps that take the tokens of a step from where these are made."""
        for number in self._live:
            for arg in steps[number].args:
                if not (arg in self._free and self._is_op(number)):
                    self._readers.setdefault(self._plain(arg), set()).add(number)

    def _is_op(self, number: StepId) -> bool:
        return isinstance(self._steps[number].kind, ops.Op)

    def _is_constant(self, number: StepId) -> bool:
        return isinstance(self._steps[number].kind, ops.Const)

    def _is_fixed(self, number: StepId) -> bool:
        """Return True for constant tokens, and for those repeated."""
        step = self._steps[number]
        return isinstance(step.kind, Rom) or (isinstance(step.kind, Reorder) and self._is_fixed(step.args[0]))

    def _place(self, number: StepId) -> None:
        step = self._steps[number]
        if self._is_constant(number):
            return
        args = [arg for arg in step.args if arg < number and not self._is_constant(arg)]
        if self._is_op(number) and all(self._is_fixed(arg) or arg in self._free for arg in args):
            self._free.add(number)
        latest = max((self._stage[arg] for arg in args), default=0)
        self._stage[number] = latest + int(not self._is_op(number))
        if isinstance(step.kind, Sink):
            self._stage[number] = len(self._steps)  # outputs come last, in the program's order
        if not self._is_op(number):
            return
        self._group[number] = number
        for arg in args:
            is_like = self._stage[arg] == latest and self._steps[arg].stream.tokens == step.stream.tokens
            if self._is_op(arg) and is_like and (arg in self._free) == (number in self._free):
                self._join(number, arg)

    def _root(self, number: StepId) -> StepId:
        while self._group[number] != number:
            self._group[number] = self._group[self._group[number]]
            number = self._group[number]
        return number

    def _join(self, a: StepId, b: StepId) -> None:
        self._group[self._root(a)] = self._root(b)

    def network(self) -> Network:
        """The processes in an order in which each follows its operands."""
        groups: dict[StepId, list[StepId]] = {}
        for number in self._live:
            if number in self._group:
                groups.setdefault(self._root(number), []).append(number)
        units = [
            (self._stage[number], 0, [number])
            for number in self._live
            if number in self._stage and not self._is_op(number)
        ]
        units += [(self._stage[root], 1, group) for root, group in groups.items()]
        for _, is_map, members in sorted(units, key=lambda unit: (unit[0], unit[1], unit[2])):
            if is_map:
                self._map(members)
            else:
                self._process(members[0])
        for process, operand, number in self._given_back:
            args = list(self._processes[process].args)
            args[operand] = self._sources[self._plain(number)]
            self._processes[process] = replace(self._processes[process], args=tuple(args))
        return Network(tuple(self._processes))

    def _plain(self, number: StepId) -> StepId:
        """The step whose tokens have the same bits: reshaping a token does nothing."""
        while isinstance(self._steps[number].kind, ops.Reshape) and not self._is_constant(self._steps[number].args[0]):
            number = self._steps[number].args[0]
        return number

    def _process(self, number: StepId) -> None:
        step = self._steps[number]
        assert not isinstance(step.kind, ops.Op)
        if isinstance(step.kind, Port):
            first = self._sources[self._plain(step.args[0])]
            self._sources[number] = replace(first, port=first.port + step.kind.number)
            return
        place = len(self._processes)
        self._given_back += [(place, operand, arg) for operand, arg in enumerate(step.args) if arg > number]
        args = tuple(OutputPort(place) if arg > number else self._sources[self._plain(arg)] for arg in step.args)
        takes = tuple(self._steps[arg].stream for arg in step.args)
        ports = self._ports.get(number, {})
        results = () if isinstance(step.kind, Sink) else tuple(ports[k] for k in sorted(ports)) or (step.stream,)
        names = [layer.name for layer in step.kind.layers] if isinstance(step.kind, Engine) else [step.layer]
        layers = tuple(dict.fromkeys(name for name in names if name))
        self._processes.append(Process(step.kind, args, takes, results, layers))
        self._sources[number] = OutputPort(len(self._processes) - 1)

    def _map(self, members: Sequence[StepId]) -> None:
        """A token function of what ``members`` take from outside."""
        results = [number for number in members if not self._readers.get(number, set()).issubset(members)]
        if not results:
            return  # reshapes that nothing but their readers' view of them is left of
        builder, values = ProgramBuilder(), dict[StepId, Value]()
        taken: dict[StepId, Value] = {}
        # Members, and the free ops that these read, in order.
        for number in sorted(reached(members, lambda one: self._free.intersection(self._steps[one].args))):
            step = self._steps[number]
            assert isinstance(step.kind, ops.Op)
            with builder.layer(step.layer):
                args = []
                for arg in step.args:
                    if arg in values:
                        args.append(values[arg])
                    elif isinstance(constant := self._steps[arg].kind, ops.Const):
                        args.append(builder.apply(constant))
                    else:
                        args.append(self._taken(builder, taken, arg))
                values[number] = builder.apply(step.kind, *args)
        program = builder.program([(f"y{k}", values[number]) for k, number in enumerate(results)])
        layers = tuple(dict.fromkeys(self._steps[number].layer for number in members if self._steps[number].layer))
        sources = tuple(self._sources[number] for number in taken)
        takes = tuple(self._steps[number].stream for number in taken)
        for port, number in enumerate(results):
            self._sources[number] = OutputPort(len(self._processes), port)
        streams = tuple(self._steps[number].stream for number in results)
        self._processes.append(Process(Map(simplify(program)), sources, takes, streams, layers))

    def _taken(self, builder: ProgramBuilder, taken: dict[StepId, Value], arg: StepId) -> Value:
        """An operand from outside, in the shape in which it is taken."""
        source, shape = self._plain(arg), self._steps[arg].stream.token.shape
        if source not in taken:
            kind = self._steps[source].stream.token
            taken[source] = builder.apply(
                ops.Input(f"x{len(taken)}", kind.shape, kind.frac, kind.lo, kind.hi, Rounding.TRN, Overflow.WRAP, ())
            )
        return builder.reshape(taken[source], shape)
