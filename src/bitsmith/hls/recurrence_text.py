"""The C++ function of a recurrence whose states go round: a loop over its steps, and a loop for each of their parts in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.dataflow.tokens import Numbers, Stream, period
from bitsmith.hls.assembly import indented
from bitsmith.hls.process import ProcessWriter
from bitsmith.hls.process_text import FunctionWriter, StreamType, lasting, paced_lines, token_lines
from bitsmith.hls.project import Memory, WordKind
from bitsmith.hls.recurrence.parts import Fed, Part, PartLoop, PartMemory, Recurrence, Slices
from bitsmith.hls.scalar import Scalar, common_format
from bitsmith.hls.scope import Scope


@dataclass(frozen=True, slots=True)
class _End(StreamType):
    """Source or sink of a part's tokens: an expression, and statements about a ``{token}``."""

    taking: str
    giving: str

    def taken(self, stream: str) -> str:
        """The next token."""
        return self.taking

    def given(self, token: str, stream: str) -> str:
        """Statements that put ``token`` where it belongs."""
        return self.giving.format(token=token)


@dataclass(slots=True)
class _Counting:
    """Variables of a part beside the number of its step: lines before its loop, of all its parts, and at the end of a step.

    ``promises`` are lines about the memories of the loop.
    """

    before: list[str]
    after: list[str] = field(default_factory=list)
    promises: tuple[str, ...] = ()


class RecurrenceWriter(FunctionWriter[Recurrence]):
    """Writes one recurrence."""

    @cached_property
    def _memories(self) -> dict[int, tuple[str, str, Scalar]]:
        kept = self._process.kept
        return {number: self._memory_type(each) for number, each in enumerate(self._process.memories) if number in kept}

    def write(self) -> str:
        process = self._process
        declared = list[str]()
        for number, known in self._memories.items():
            lines = self._declared(known, process.memories[number], kept=number in process.lasting)
            (self.head if number in process.lasting else declared).extend(lines)
        begun = [
            line for state in range(process.states) for line in self._loop((process.initial(state),), f"first{state}")
        ]
        step = [line for number, loop in enumerate(process.loops) for line in self._loop(loop, f"loop{number}")]
        turning = [number for number, each in enumerate(process.memories) if each.turns]
        halves = {
            _half(number): process.memories[number].elements // process.memories[number].row for number in turning
        }
        declared += [f"int {_half(number)} = 0;" for number in turning if number not in process.lasting]
        for number in process.lasting & set(turning):
            self.head += lasting(self._scope, "int", _half(number), "0")
        step += [f"{half} = {rows} - {half};" for half, rows in halves.items()]
        head = f"for (int step = 0; step < {process.rounds}; step++) {{"
        self.lines += [*declared, *begun, head, *map(indented, step), "}"]
        if process.lasting:
            self.head += lasting(self._scope, "bool", "begun", "false")
            self.lines.append("begun = true;")
        return f"{process.rounds} steps of a recurrence, each in {len(process.loops)} loops."

    def _memory_type(self, memory: PartMemory) -> tuple[str, str, Scalar]:
        """The name of a memory, that of its elements' type, and the type."""
        scalar = common_format(memory.token)
        name = self._scope.names.unique(f"{self._name}_memory")
        return name, self._scope.typedef(f"{self._name}_kept_t", scalar), scalar

    def _declared(self, known: tuple[str, str, Scalar], memory: PartMemory, *, kept: bool) -> list[str]:
        """Lines that declare a memory, whose columns are written apart; ``kept``: from frame to frame."""
        name, element, scalar = known
        self._scope.memories.append(Memory(name, memory.row, apart=memory.turns))
        self._scope.word(WordKind.ROWS, name, memory.row * scalar.width)
        places = memory.elements // memory.row * (2 if memory.turns else 1)
        banks = self._scope.dialect.streams.banks
        element = f"BITSMITH_KEPT {element}" if kept else element
        return banks.declared(name, f"{element} {name}[{places}][{memory.row}]", places * memory.row)

    def _loop(self, loop: PartLoop, name: str) -> list[str]:
        """One loop, as a block."""
        sums = loop[0].process.kind.logic.accumulates
        before, gives, writers = ["int made = 0;"] * sums, list[list[_End]](), list[_PartWriter]()
        promises = self._promises(loop)
        for number, part in enumerate(loop):
            own = name if number == 0 else f"{name}_{number}"
            count = "made" if sums else "i"
            step, counting = count if number else "i", _Counting(before, promises=promises)
            takes = [
                self._fed(loop, gives, operand, stream)
                if isinstance(operand, Fed)
                else self._taking(operand, stream, f"{own}_in{k}", step, counting)
                for k, (operand, stream) in enumerate(zip(part.operands, part.process.takes, strict=True))
            ]
            fed = {other: _feeder(one) for other, one in enumerate(loop) if other > number and _maker(one) == number}
            results = range(len(part.targets))
            gives.append(
                [self._giving(part, k, f"{own}_out{k}", count, [one for one in fed if fed[one] == k]) for k in results]
            )
            if sums and number == 0:  # results are counted once all parts have taken one
                gives[0] = [replace(end, giving=f"{end.giving}\nmade++;") for end in gives[0]]
            kind = _FollowingWriter if number else _PartWriter
            full = f"{self._name}_{own}"
            writers.append(kind(part, full, takes, gives[-1], self._scope, self._step_cycles, counting))
        about = [writer.write() for writer in reversed(writers)][::-1]
        for writer in writers:
            self.texts += writer.texts
            self.head += writer.head
        lines = list(_expanded(writers[0].lines, [writer.lines for writer in writers]))
        return [f"{{ // {' '.join(about)}", *map(indented, lines), "}"]

    def _fed(self, loop: PartLoop, gives: Sequence[Sequence[_End]], fed: Fed, stream: Stream) -> _End:
        """The tokens that a part of the same loop has just made."""
        variable = f"result{fed.result}" if isinstance(loop[fed.part].process.kind, kinds.Map) else "result"
        return replace(gives[fed.part][fed.result], shape=stream.token.shape, taking=variable, giving="")

    def _taking(self, operand: Slices | int, stream: Stream, name: str, step: str, counting: _Counting) -> _End:
        """Return the source of a part's tokens."""
        shape, size = stream.token.shape, stream.token.size
        if isinstance(operand, int):
            outer = self._takes[operand]
            return _end(outer, shape, stream.tokens, taking=outer.taken(f"x{operand}"))
        memory, element, kept = self._memories[operand.memory]
        scalar = common_format(stream.token)
        if scalar != kept:
            element = self._scope.typedef(f"{self._name}_{name}_t", scalar)
        token = self._token(name, element, size)
        row = self._process.memories[operand.memory].row
        place, part = self._index(name, operand, row // size, step, counting)
        taking = f"kernels::taken_from<{token}, {size}, {row}>({memory}[{place}], {part})"
        return _End("", token, element, scalar, shape, stream.tokens, 1, token, taking, "")

    def _giving(self, part: Part, result: int, name: str, step: str, fed: Sequence[int]) -> _End:
        """Return the sink of a result's tokens, and the parts of the loop that wait for no others after these."""
        target, end, stream = part.targets[result], part.gives[result], part.process.results[result]
        shape, size = stream.token.shape, stream.token.size
        lines = [_marked(number) for number in fed]
        if end is not None:
            lines.insert(0, self._gives[end].given("{token}", f"y{end}"))
        if target is not None:
            memory, element, scalar = self._memories[target.memory]
            row = self._process.memories[target.memory].row
            place, number = self._index(name, target, row // size, step, _Counting([]))
            put = f"kernels::put_into<{size}, {row}>({{token}}.data, {number}, {memory}[{place}]);"
            lines.insert(0, f"if (!begun) {put}" if target.once else put)
        giving = "\n".join(lines)
        if end is not None:
            return _end(self._gives[end], shape, stream.tokens, giving=giving)
        if target is None:
            scalar = common_format(stream.token)
            element = self._scope.typedef(f"{self._name}_{name}_t", scalar)
        token = self._token(name, element, size)
        return _End("", token, element, scalar, shape, stream.tokens, 1, token, "", giving)

    def _token(self, name: str, element: str, size: int) -> str:
        return self._scope.named(f"{self._name}_{name}_token_t", f"kernels::token<{element}, {size}>")

    def _index(self, name: str, slices: Slices, parts: int, step: str, counting: _Counting) -> tuple[str, str]:
        """Expressions of the row and the part of it that are step ``step``'s."""
        again = period(slices.places)
        places, at = slices.places[:again], step
        if 1 < again < len(slices.places):
            at = f"at{len(counting.before)}"
            counting.before.append(f"int {at} = 0;")
            counting.after.append(f"{at} = {at} == {again - 1} ? 0 : {at} + 1;")
        rows, numbers = places // parts, places % parts
        row, memory = self._listed(f"{name}_row", rows, at), self._process.memories[slices.memory]
        if memory.turns:
            half = _half(slices.memory)
            row = f"{memory.elements // memory.row} - {half} + {row}" if slices.made else f"{half} + {row}"
        return row, self._listed(f"{name}_part", numbers, at)

    def _promises(self, loop: PartLoop) -> tuple[str, ...]:
        """Lines from which the tool knows that a loop reads other places of a memory than it writes: those of the other half."""
        reads, writes = (
            set[int]().union(*sets) for sets in zip(*((part.reads, part.writes) for part in loop), strict=True)
        )
        both = {number: self._process.memories[number] for number in sorted(reads & writes)}
        assert all(memory.turns for memory in both.values())
        line = self._scope.dialect.streams.apart
        steps = {number: memory.elements // memory.row for number, memory in both.items()}
        return tuple(line.format(name=self._memories[number][0], steps=rows) for number, rows in steps.items() if line)

    def _listed(self, name: str, values: Numbers, at: str) -> str:
        """An expression of element ``at`` of ``values``."""
        if bool(np.all(values == values[0])):
            return str(values[0])
        if bool(np.all(values == np.arange(len(values)))):
            return at
        unique = self._scope.array(self._name, name, values)
        self._scope.memories.append(Memory(unique))
        return f"{unique}[{at}]"


def _half(memory: int) -> str:
    """The variable that has the first row of the half of a memory that the step before made."""
    return f"half{memory}"


def _end(outer: StreamType, shape: tuple[int, ...], tokens: int, *, taking: str = "", giving: str = "") -> _End:
    return _End("", outer.token, outer.element, outer.scalar, shape, tokens, outer.beats, outer.beat, taking, giving)


def _maker(part: Part) -> int:
    """The part of its loop that a part takes tokens from; -1 if it is the first one."""
    return max((operand.part for operand in part.operands if isinstance(operand, Fed)), default=-1)


def _feeder(part: Part) -> int:
    """The last of the results that a part takes from another one of its loop: after it, all are there."""
    return max(operand.result for operand in part.operands if isinstance(operand, Fed))


def _marked(number: int) -> str:
    """A line where part ``number`` of a loop belongs."""
    return f"<part {number}>"


def _expanded(lines: Sequence[str], parts: Sequence[Sequence[str]]) -> Iterator[str]:
    """``lines`` with those of parts where they belong, as blocks."""
    marks = {_marked(number): number for number in range(len(parts))}
    for line in lines:
        space = line[: len(line) - len(line.lstrip())]
        for own in line.strip().split("\n"):
            if own not in marks:
                yield f"{space}{own}"
                continue
            yield f"{space}{{"
            for inner in map(indented, _expanded(parts[marks[own]], parts)):
                yield inner if inner.startswith("#") else f"{space}{inner}"
            yield f"{space}}}"


class _PartWriter(ProcessWriter):
    """The lines of one part: what its process does to tokens, in a loop within the one over steps."""

    def __init__(
        self,
        part: Part,
        name: str,
        takes: Sequence[_End],
        gives: Sequence[_End],
        scope: Scope,
        step_cycles: int,
        counting: _Counting,
    ) -> None:
        super().__init__(part.process, name, takes, gives, scope, step_cycles)
        self._counting = counting

    def _looped(self, tokens: int, steps: list[str]) -> None:
        promises = self._counting.promises
        inside, outside = (promises, ()) if self._scope.dialect.streams.apart_inside else ((), promises)
        lines = [*inside, *steps, *self._counting.after]
        self.lines += self._counting.before
        self.lines += paced_lines(self._scope, tokens, lines, outside, self._step_cycles, nested=True)

    def _width_converter(self, kind: kinds.WidthConverter) -> str:
        (taken,), (sink,) = self._takes, self._gives
        self._looped(
            taken.tokens,
            [
                f"const {taken.token} item = {taken.taken('x0')};",
                *token_lines(self._scope, sink.token, "result"),
                f"kernels::copy<{taken.size}>(item.data, result.data);",
                sink.given("result", "y0"),
            ],
        )
        return "tokens as they are."


class _FollowingWriter(_PartWriter):
    """The lines of a part that takes the tokens that another one of its loop has just made."""

    def _looped(self, tokens: int, steps: list[str]) -> None:
        self.lines += [*steps, *self._counting.after]
