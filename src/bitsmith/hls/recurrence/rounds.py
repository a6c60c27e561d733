"""Recurrences whose states go round, as one process each: what a step computes, part by part, with memories between the parts.

In hardware of our own, a state goes round through processes that act at once. In C++ processes are functions that run one
after another in C simulation, and no vendor's tool takes streams between functions in a circle. So each circle of processes
becomes one function, with a loop over the steps and a loop for each process in it. Processes that only move tokens disappear:
those that read what they give know the places in memory where it was.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bitsmith.base.graphs import reached
from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.tokens import Numbers, Stream, regrouped
from bitsmith.hls.recurrence.loops import in_turns, joined
from bitsmith.hls.recurrence.parts import Operand, Part, PartMemory, Recurrence, Slices
from bitsmith.ir.types import TensorType


def in_rounds(network: Network) -> Network | None:
    """``network`` with each circle of processes as one; None if one of them has tokens that differ from step to step."""
    loops = circles(network)
    if not loops:
        return network
    recurrences = dict[int, tuple[Recurrence, tuple[OutputPort, ...]]]()
    for circle in loops:
        one = _Circle(network, circle).recurrence()
        if one is None:
            return None
        recurrences[min(circle)] = one
    unit = {number: min(circle) for circle in loops for number in circle}
    order = _ordered(network, unit)
    place = {number: index for index, number in enumerate(order)}
    moved = {
        port: OutputPort(place[unit[port.process]], k) for one in recurrences.values() for k, port in enumerate(one[1])
    }
    processes = (recurrences[number][0] if number in recurrences else network.processes[number] for number in order)
    return Network(
        tuple(
            replace(one, args=tuple(moved.get(arg) or replace(arg, process=place[arg.process]) for arg in one.args))
            for one in processes
        )
    )


def circles(network: Network) -> list[frozenset[int]]:
    """The processes of each circle through which a state goes."""
    before = [{source.process for source in process.args} for process in network.processes]
    after: list[set[int]] = [set() for _ in before]
    for number, sources in enumerate(before):
        for source in sources:
            after[source].add(number)
    begun = [number for number, process in enumerate(network.processes) if isinstance(process.kind, kinds.Feedback)]
    found = [
        {*reached([one], lambda each: before[each])} & {*reached([one], lambda each: after[each])} for one in begun
    ]
    return list(dict.fromkeys(map(frozenset, found)))


def _ordered(network: Network, unit: Mapping[int, int]) -> list[int]:
    """Processes, a circle standing for its first one, operands first; outputs last, in their order."""
    waits: dict[int, set[int]] = {}
    for number, process in enumerate(network.processes):
        own = unit.get(number, number)
        waits.setdefault(own, set()).update(unit.get(arg.process, arg.process) for arg in process.args)
    left, order = [number for number in waits if number not in network.sinks], list[int]()
    while left:
        ready = next(number for number in left if waits[number] <= {number, *order})
        left.remove(ready)
        order.append(ready)
    return [*order, *network.sinks]


class _Circle:
    """Makes one process of those of a circle.

    Numbers of all values are counted through: of each memory one after another those that it has in a frame.
    """

    def __init__(self, network: Network, circle: frozenset[int]) -> None:
        self._network, self._circle = network, circle
        members = [network.processes[number] for number in sorted(circle)]
        rounds = {each.kind.rounds for each in members if isinstance(each.kind, kinds.Feedback)}
        self._rounds, self._alike = min(rounds), len(rounds) == 1
        self._args: list[OutputPort] = []
        self._takes: list[Stream] = []
        self._tokens: list[TensorType] = []  # of memories
        self._sizes: list[int] = []  # elements of a memory in a step
        self._units: list[set[int]] = []  # sizes of slices of each
        self._numbers: dict[OutputPort, Numbers] = {}
        self._parts: list[Part] = []
        self._given: list[OutputPort] = []

    def recurrence(self) -> tuple[Recurrence, tuple[OutputPort, ...]] | None:
        """The process, and the results of others that its own are; None if steps differ from one another."""
        try:
            return self._made()
        except _DifferError:
            return None

    def _made(self) -> tuple[Recurrence, tuple[OutputPort, ...]]:
        members = [(number, self._network.processes[number]) for number in sorted(self._circle)]
        states = [(number, each) for number, each in members if isinstance(each.kind, kinds.Feedback)]
        self._check(self._alike)
        for number, process in states:
            self._external(process, 0)
            self._numbers[OutputPort(number)] = self._memory(process.results[0])
        for number, process in members:
            self._member(number, process)
        for state, (_, process) in enumerate(states):
            source = self._slices(self._taken(process, 1), process.takes[1])
            self._check(source.memory >= len(states))
            self._pass(process.takes[1], source, self._written(state, process.takes[0]), None)
        memories = (
            PartMemory(token, size, math.lcm(*units))
            for token, size, units in zip(self._tokens, self._sizes, self._units, strict=True)
        )
        layers = tuple(dict.fromkeys(layer for _, each in members for layer in each.layers))
        loops, halved = in_turns(joined(self._parts), tuple(memories), len(states))
        kept = [isinstance(each.kind, kinds.Feedback) and each.kind.kept for _, each in states]
        lasting = frozenset(state for state, lives_on in enumerate(kept) if lives_on)
        recurrence = Recurrence(
            kinds.Feedback(self._rounds, bool(lasting)),
            tuple(self._args),
            tuple(self._takes),
            tuple(self._network.stream(port) for port in self._given),
            layers,
            loops=loops,
            memories=halved,
            states=len(states),
            lasting=lasting,
        )
        return recurrence, tuple(self._given)

    def _check(self, holds: bool) -> None:
        if not holds:
            raise _DifferError

    def _member(self, number: int, process: Process) -> None:
        ports = [OutputPort(number, port) for port in range(len(process.results))]
        match process.kind:
            case kinds.Map() | kinds.FoldedProduct() | kinds.Reduce():
                self._computing(process, ports)
                return
            case kinds.WidthConverter() | kinds.Reorder() | kinds.Interleave():
                self._numbers[ports[0]] = _moved(process, [self._taken(process, k) for k in range(len(process.args))])
            case kinds.Feedback():
                pass
            case _:
                raise _DifferError
        if self._leaves(ports[0]):
            stream = process.results[0]
            self._pass(stream, self._slices(self._numbers[ports[0]], stream), None, self._result(ports[0]))

    def _computing(self, process: Process, ports: Sequence[OutputPort]) -> None:
        operands = [
            self._slices(self._taken(process, k), process.takes[k])
            if source.process in self._circle
            else self._external(process, k)
            for k, source in enumerate(process.args)
        ]
        targets = list[Slices | None]()
        for port, stream in zip(ports, process.results, strict=True):
            if any(port in self._network.processes[reader].args for reader in self._circle):
                self._numbers[port] = self._memory(stream)
                targets.append(self._written(len(self._sizes) - 1, self._step(stream)))
            else:
                targets.append(None)
        gives = tuple(self._result(port) if self._leaves(port) else None for port in ports)
        inner = replace(
            process,
            args=(),
            takes=tuple(map(self._step, process.takes)),
            results=tuple(map(self._step, process.results)),
        )
        self._parts.append(Part(inner, tuple(operands), tuple(targets), gives))

    def _pass(self, stream: Stream, source: Operand, target: Slices | None, given: int | None) -> None:
        step = self._step(stream)
        self._parts.append(Part(Process(kinds.WidthConverter(), (), (step,), (step,)), (source,), (target,), (given,)))

    def _external(self, process: Process, operand: int) -> int:
        """A new operand of the whole."""
        self._args.append(process.args[operand])
        self._takes.append(process.takes[operand])
        return len(self._args) - 1

    def _taken(self, process: Process, operand: int) -> Numbers:
        """The numbers of an operand's tokens; what comes from outside is put into a memory first."""
        source, stream = process.args[operand], process.takes[operand]
        if source not in self._numbers:
            self._check(source.process not in self._circle)
            self._numbers[source] = self._memory(stream)
            target = self._written(len(self._sizes) - 1, self._step(stream))
            self._pass(stream, self._external(process, operand), target, None)
        return self._numbers[source].reshape(stream.tokens, -1)

    def _memory(self, stream: Stream) -> Numbers:
        """A new memory for the tokens of a step, and the numbers of those of all steps."""
        first = sum(self._sizes) * self._rounds
        size = self._step(stream).tokens * stream.token.size
        self._tokens.append(stream.token)
        self._sizes.append(size)
        self._units.append({stream.token.size})
        return np.arange(first, first + size * self._rounds).reshape(stream.tokens, -1)

    def _step(self, stream: Stream) -> Stream:
        """The tokens of one step."""
        self._check(stream.tokens % self._rounds == 0)
        return Stream((stream.tokens // self._rounds,), stream.token)

    def _written(self, memory: int, stream: Stream) -> Slices:
        """All of a memory in order."""
        self._units[memory].add(stream.token.size)
        return Slices(memory, np.arange(stream.tokens))

    def _slices(self, numbers: Numbers, stream: Stream) -> Slices:
        """Return the memory of tokens as they are, or a new one that brings them together number by number."""
        tokens = self._step(stream).tokens
        steps = self._places(numbers.reshape(self._rounds, -1))
        memory, places = steps[0], steps[1].reshape(tokens, -1)
        size, first = stream.token.size, places[:, 0]
        together = (places == first[:, None] + np.arange(size)) & (first % size == 0)[:, None]
        if bool(np.all(memory == memory[0])) and bool(np.all(together)):
            self._units[int(memory[0])].add(size)
            return Slices(int(memory[0]), first // size)
        self._memory(stream)
        gathered = len(self._sizes) - 1
        self._units[gathered].add(1)
        for source in np.unique(memory).tolist():
            wanted = np.flatnonzero(memory == source)
            self._units[source].add(1)
            self._gather(Slices(source, places.reshape(-1)[wanted]), Slices(gathered, wanted))
        return Slices(gathered, np.arange(tokens))

    def _gather(self, source: Slices, target: Slices) -> None:
        """Pass single numbers on."""
        token = regrouped(self._tokens[source.memory], (1,))
        stream = Stream((len(source.places),), token)
        self._parts.append(
            Part(Process(kinds.WidthConverter(), (), (stream,), (stream,)), (source,), (target,), (None,))
        )

    def _places(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """The memory and the place in it of each number that a step wants, if that is the same for all steps."""
        sizes = np.array(self._sizes) * self._rounds
        firsts = np.cumsum(sizes) - sizes
        memory = np.searchsorted(firsts, numbers, side="right") - 1
        places = numbers - firsts[memory] - np.arange(self._rounds)[:, None] * np.array(self._sizes)[memory]
        self._check(bool(np.all(numbers >= 0)) and bool(np.all(memory == memory[0])))
        self._check(bool(np.all(places == places[0])))
        self._check(bool(np.all((places[0] >= 0) & (places[0] < np.array(self._sizes)[memory[0]]))))
        return memory[0], places[0]

    def _leaves(self, port: OutputPort) -> bool:
        """Return True if a process elsewhere takes it."""
        return any(
            port in process.args for number, process in enumerate(self._network.processes) if number not in self._circle
        )

    def _result(self, port: OutputPort) -> int:
        """A new result of the whole."""
        self._given.append(port)
        return len(self._given) - 1


class _DifferError(Exception):
    """Steps of a recurrence that are not alike."""


def _moved(process: Process, taken: Sequence[Numbers]) -> Numbers:
    """The numbers that a process gives which only moves those that it takes; -1 for zeros."""
    match process.kind:
        case kinds.WidthConverter(times):
            size = process.results[0].token.size
            parts = taken[0].reshape(-1, max(process.takes[0].token.size, size))
            return np.tile(parts, (1, times)).reshape(-1, size)
        case kinds.Reorder(source):
            wired = np.full((len(source), taken[0].shape[1]), -1)
            wired[source >= 0] = taken[0][source[source >= 0]]
            return wired
        case kinds.Interleave(source):
            wired = np.empty((len(source), taken[0].shape[1]), dtype=np.int64)
            for operand, numbers in enumerate(taken):
                wired[source == operand] = numbers
            return wired
        case _:
            raise AssertionError(f"{process.kind} does not only move tokens")
