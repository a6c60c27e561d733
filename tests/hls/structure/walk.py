"""Reads and writes of one step of each pipelined loop, and the length of its feedback, from the trees of its functions.

Loops inside of a pipelined one are unrolled, functions are inlined, as the tools do. A variable that changes from step to step
is a symbol of unknown value, so that an index is a sum of symbols and a constant.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from itertools import count

from bitsmith.errors import ProgramError
from tests.hls.structure.tools import Array, Pipelines
from tests.hls.structure.tree import Function, Functions, Node
from tests.hls.structure.values import (
    UNKNOWN,
    Access,
    Box,
    Cell,
    Feedback,
    Index,
    Pointer,
    Region,
    Structure,
    Value,
    applied,
    combined,
    joined,
)

_MOST_STEPS = 1_000_000
"""Statements and expressions that are followed in one process."""

_NAMED = re.compile(r"\b(?:variable[=(]|ivdep\(|array\()(\w+)")


_Frame = dict[str, Box]


class Walker:
    """Follows one function from its head."""

    def __init__(self, functions: Functions, pipelines: Pipelines) -> None:
        self.regions: list[Region] = []
        self._functions = functions
        self._pipelines = pipelines
        self._symbols = count(1)
        self._globals: _Frame = {}
        self._arrays: dict[int, Array] = {}
        self._region: Region | None = None
        self._written: MutableMapping[Cell, Feedback] = {}
        self._changed: dict[int, Box] = {}
        self._steps = 0
        for name, node in functions.globals.items():
            self._globals[name] = self._new(node, "constant" if node.is_constant else "local")
            self._mark(self._globals[name], functions.marks.get(name, []))

    def process(self, key: str, *, at_once: bool = False) -> None:
        """Follow the function ``key``, whose parameters are arrays in registers and streams; ``at_once``: it is a pipeline."""
        function = self._functions.find(key)
        frame = {
            name: Box(Pointer(self._made(name, function.place, (1,), 0, "parameter"))) for name in function.parameters
        }
        if at_once or self.is_pipelined(key):
            head = (part.name for part in function.body.parts if part.kind == "mark")
            marks = (*self._functions.marks.get(key, []), *head)
            self._region = Region(function.name, function.place, 1, marks)
            self.regions.append(self._region)
        self._block(function.body, frame, function, [])
        self._region = None

    def is_pipelined(self, key: str) -> bool:
        """Return True if the function is a pipeline as a whole."""
        head = [part.name for part in self._functions.find(key).body.parts if part.kind == "mark"]
        return self._pipelines.found(head, self._functions.marks.get(key, []))

    # Variables

    def _made(self, name: str, place: str, sizes: tuple[int, ...], bits: int, role: str) -> Array:
        array = Array(name.split("@")[0], place, sizes, bits, role, int(self._region is not None), key=name)
        self._arrays[id(array)] = array
        return array

    def _new(self, node: Node, role: str) -> Box:
        if node.sizes:
            return Box(Pointer(self._made(node.name, node.place, node.sizes, node.bits, role)))
        if node.members:
            name = node.name.split("@")[0]
            members = {
                member: self._made(f"{name}.{member}", node.place, sizes, 0, "member") for member, sizes in node.members
            }
            return Box(Structure(members))
        return Box(UNKNOWN)

    def _mark(self, box: Box, marks: list[str]) -> None:
        match box.content:
            case Pointer(array):
                array.marks += marks
            case Structure(members):
                for array in members.values():
                    array.marks += marks
            case _:
                pass

    def _named(self, frame: _Frame, name: str) -> Box | None:
        for place in (frame, self._globals):
            for key, box in place.items():
                if key.split("@")[0] == name:
                    return box
        return None

    # Statements

    def _block(self, block: Node, frame: _Frame, function: Function, results: list[Value]) -> None:
        pending = list[str]()
        for k, part in enumerate(block.parts):
            if part.kind == "mark":
                named = _NAMED.search(part.name)
                follower = next((other for other in block.parts[k:] if other.kind != "mark"), None)
                comes = follower is not None and [
                    node.name.split("@")[0] for node in follower.parts if node.kind == "declare"
                ]
                box = self._named(frame, named[1]) if named and named[1] not in (comes or []) else None
                if box is not None:
                    self._mark(box, [part.name])
                else:
                    pending.append(part.name)
                continue
            self._statement(part, frame, function, results, tuple(pending))
            pending = []

    def _declare(self, node: Node, frame: _Frame, function: Function, marks: list[str]) -> None:
        box = frame[node.name] = self._new(node, "constant" if node.is_constant and node.sizes else "local")
        box.inside = self._region is not None
        self._mark(box, marks)
        if node.parts and isinstance(box.content, Value):
            box.content = self._value(node.parts[0], frame, function)
        elif node.parts:
            self._value(node.parts[0], frame, function)

    def _statement(
        self, node: Node, frame: _Frame, function: Function, results: list[Value], marks: tuple[str, ...]
    ) -> None:
        self._count(node)
        match node.kind:
            case "block" if node.name == "declarations":
                for part in node.parts:
                    self._declare(part, frame, function, list(marks))
            case "block":
                self._block(node, frame, function, results)
            case "loop":
                self._loop(node, frame, function, results, marks)
            case "forever":
                self._statement(node.parts[-1], frame, function, results, ())
            case "if":
                self._choice(node, frame, function, results)
            case "return":
                results += [self._value(part, frame, function) for part in node.parts]
            case _:
                self._value(node, frame, function)

    def _count(self, node: Node) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise TooLargeError(node.place)

    def _choice(self, node: Node, frame: _Frame, function: Function, results: list[Value]) -> None:
        condition = self._value(node.parts[0], frame, function).index
        branches = node.parts[1:]
        if condition is not None and not condition.symbols:
            chosen = branches[:1] if condition.constant else branches[1:]
            for branch in chosen:
                self._statement(branch, frame, function, results, ())
            return
        before = {name: box.content for name, box in frame.items()}
        after: dict[str, list[Value]] = {}
        written, found = self._written, list[MutableMapping[Cell, Feedback]]()
        for branch in branches:
            layer: MutableMapping[Cell, Feedback] = {}
            self._written = ChainMap(layer, *(written.maps if isinstance(written, ChainMap) else [written]))
            self._statement(branch, frame, function, results, ())
            found.append(layer)
            for name, content in before.items():
                box = frame[name]
                if isinstance(box.content, Value) and isinstance(content, Value) and box.content is not content:
                    after.setdefault(name, [content]).append(box.content)
                    box.content = content
        self._written = written
        for layer in found:
            for cell, feedback in layer.items():
                written[cell] = joined(written.get(cell, {}), feedback)
        for name, values in after.items():
            frame[name].content = Value(None, joined(*(value.feedback for value in values)))

    def _loop(
        self, node: Node, frame: _Frame, function: Function, results: list[Value], marks: tuple[str, ...]
    ) -> None:
        body = node.parts[-1]
        head = tuple(part.name for part in body.parts if part.kind == "mark")
        if self._region is None and self._pipelines.found(head, marks):
            trips = self._trips(node, dict(frame), function)
            self._pipeline(Region(function.name, node.place, trips, (*marks, *head)), node, frame, function)
            return
        for _ in self._turns(node, frame, function):
            self._statement(body, frame, function, results, ())

    def _trips(self, node: Node, frame: _Frame, function: Function) -> int:
        """The turns of a loop, counted one by one unless they count up to a constant."""
        start, condition, step, _ = node.parts
        counter = start.parts[0].name
        counted = [each.name for each in (*condition.parts[:1], *step.parts[:1]) if each.kind == "variable"]
        if counted == [counter, counter] and (condition.name, step.name) == ("<", "x++"):
            self._statement(start, frame, function, [], ())
            ends = [self._value(each, frame, function).index for each in condition.parts]
            if all(end is not None and not end.symbols for end in ends):
                first, last = (end.constant for end in ends if end is not None)
                return max(last - first, 0)
        return sum(1 for _ in self._turns(node, frame, function))

    def _turns(self, node: Node, frame: _Frame, function: Function) -> Iterator[None]:
        """Each turn of a loop, with its counter set."""
        start, condition, step, _ = node.parts
        self._statement(start, frame, function, [], ())
        while True:
            found = self._value(condition, frame, function).index
            if found is None or found.symbols:
                raise ProgramError("a loop whose bounds are not constant", where=f"{function.name}, {node.place}")
            if not found.constant:
                return
            yield
            self._value(step, frame, function)

    def _pipeline(self, region: Region, node: Node, frame: _Frame, function: Function) -> None:
        """A step of a pipelined loop, followed until all that steps change is unknown at its start."""
        start, _, _, body = node.parts
        saved = {name: box.content for name, box in frame.items()}
        known: dict[int, Box] = {}
        while True:
            self._statement(start, frame, function, [], ())
            for box in (frame[start.parts[0].name], *known.values()):
                if isinstance(box.content, Value):
                    box.content = Value(self._symbol())
            self._region = replace(region, accesses=[], feedback={}, streams={})
            self._written, self._changed = {}, {}
            self._statement(body, frame, function, [], ())
            if self._changed.keys() <= known.keys():
                break
            known |= self._changed
            for name, content in saved.items():
                frame[name].content = content
        self.regions.append(self._region)
        self._region, self._changed, self._written = None, {}, {}

    def _change(self, box: Box) -> None:
        if not box.inside:
            self._changed[id(box)] = box

    def _symbol(self) -> Index:
        return Index(0, ((next(self._symbols), 1),))

    # Expressions

    def _value(self, node: Node, frame: _Frame, function: Function) -> Value:
        """The number that an expression is; for its effects too."""
        found = self._content(node, frame, function)
        return (
            self._read(found, node.place)
            if isinstance(found, Pointer)
            else found
            if isinstance(found, Value)
            else UNKNOWN
        )

    def _read(self, pointer: Pointer, place: str) -> Value:
        """The number at a place that has all indices; of an array itself nothing is read."""
        array, indices = pointer.array, pointer.fixed
        if len(indices) != len(array.sizes):
            return UNKNOWN
        if self._region is None:
            wired = array.role == "constant" and not any(index.symbols for index in indices)
            return Value(self._constant(array, indices)) if wired else UNKNOWN
        self._region.accesses.append(Access(array, indices, False, place))
        known = self._written.get((id(array), indices))
        if known is not None:
            return Value(None, known)
        if array.role == "constant" and not any(index.symbols for index in indices):
            return Value(self._constant(array, indices))
        return Value(None, {id(array): 0} if not array.depth and array.role != "constant" else {})

    def _constant(self, array: Array, indices: tuple[Index, ...]) -> Index | None:
        """An element of a constant array of integers."""
        flat = 0
        for index, size in zip(indices, array.sizes, strict=True):
            flat = flat * size + index.constant
        values = self._functions.values(array.key)
        return Index(values[flat]) if 0 <= flat < len(values) else None

    def _write(self, pointer: Pointer, value: Value, place: str) -> None:
        array, indices, region = pointer.array, pointer.fixed, self._region
        if region is None or len(indices) != len(array.sizes):
            return
        region.accesses.append(Access(array, indices, True, place))
        self._written[id(array), indices] = value.feedback
        if id(array) in value.feedback:
            operations = max(value.feedback[id(array)], region.feedback.get(array.name, (0, None))[0])
            region.feedback[array.name] = (operations, array)

    def _content(self, node: Node, frame: _Frame, function: Function) -> Value | Pointer | Structure:
        self._count(node)
        match node.kind:
            case "integer":
                return Value(Index(node.value))
            case "variable":
                box = frame.get(node.name) or self._globals.get(node.name)
                return box.content if box else UNKNOWN
            case "index":
                return self._element(node, frame, function)
            case "member":
                owner = self._content(node.parts[0], frame, function) if node.parts else UNKNOWN
                if isinstance(owner, Structure) and node.name in owner.members:
                    return Pointer(owner.members[node.name])
                return UNKNOWN
            case "assign":
                return self._assign(node, frame, function)
            case "binary":
                return self._binary(node, frame, function)
            case "unary":
                return self._unary(node, frame, function)
            case "choice":
                condition, *both = (self._value(part, frame, function) for part in node.parts)
                if condition.index is not None and not condition.index.symbols:
                    return both[0] if condition.index.constant else both[1]
                return Value(None, joined(*(value.feedback for value in (condition, *both))))
            case "call":
                return self._call(node, frame, function)
            case _:
                values = [self._value(part, frame, function) for part in node.parts]
                return Value(None, joined(*(value.feedback for value in values)))

    def _element(self, node: Node, frame: _Frame, function: Function) -> Value | Pointer:
        base = self._content(node.parts[0], frame, function)
        index = self._value(node.parts[1], frame, function).index or self._symbol()
        if not isinstance(base, Pointer):
            return UNKNOWN
        if base.array.role == "parameter":
            return UNKNOWN  # of the caller, in registers
        fixed = (*base.fixed, base.offset.plus(index))
        return Pointer(base.array, fixed) if len(fixed) <= len(base.array.sizes) else UNKNOWN

    def _assign(self, node: Node, frame: _Frame, function: Function) -> Value:
        target, value = node.parts[0], self._value(node.parts[1], frame, function)
        if node.name != "=":
            before = self._value(target, frame, function)
            operation = node.name.removesuffix("=")
            value = combined(operation, before, value, 1)
        place = self._content(target, frame, function) if target.kind != "variable" else None
        if isinstance(place, Pointer):
            self._write(place, value, node.place)
        box = frame.get(target.name) or self._globals.get(target.name) if target.kind == "variable" else None
        if box is not None and isinstance(box.content, Value):
            box.content = value
            self._change(box)
        return value

    def _binary(self, node: Node, frame: _Frame, function: Function) -> Value | Pointer:
        left, right = (self._content(part, frame, function) for part in node.parts)
        if isinstance(left, Pointer) and node.name == "+" and len(left.fixed) < len(left.array.sizes):
            offset = self._value(node.parts[1], frame, function).index or self._symbol()
            return replace(left, offset=left.offset.plus(offset))
        values = [
            self._read(content, node.place) if isinstance(content, Pointer) else content
            for content in (left, right)
            if not isinstance(content, Structure)
        ]
        if len(values) != 2:
            return UNKNOWN
        operations = int(node.name.startswith("number "))
        return combined(node.name.removeprefix("number "), values[0], values[1], operations)

    def _unary(self, node: Node, frame: _Frame, function: Function) -> Value | Pointer | Structure:
        (operand,) = node.parts
        if node.name in ("&", "*"):
            return self._content(operand, frame, function)
        value = self._value(operand, frame, function)
        if node.name in ("x++", "x--", "++", "--") and operand.kind == "variable":
            box = frame.get(operand.name)
            if box is not None:
                step = Index(1 if "+" in node.name else -1)
                box.content = Value(value.index.plus(step) if value.index else None, value.feedback)
                self._change(box)
            return value
        return applied(node.name, value)

    def _call(self, node: Node, frame: _Frame, function: Function) -> Value | Pointer | Structure:
        if not node.function:
            return self._foreign(node, frame, function)
        called = self._functions.find(node.function)
        arguments = node.parts[len(node.parts) - len(called.parameters) :]
        inner: _Frame = {}
        for name, part in zip(called.parameters, arguments, strict=True):
            box = frame.get(part.name) if part.kind == "variable" and name in called.shared else None
            content = self._content(part, frame, function)
            if isinstance(content, Pointer) and name not in called.shared:
                content = self._read(content, part.place)
            inner[name] = box if box is not None else Box(content)
        results = list[Value]()
        self._block(called.body, inner, called, results)
        if len(results) == 1:
            return results[0]
        return Value(None, joined(*(result.feedback for result in results)))

    def _foreign(self, node: Node, frame: _Frame, function: Function) -> Value:
        """A function of a vendor: reads and writes of streams, and bits of numbers."""
        takes = {"read": 1, "write": 2}.get(node.name)
        if len(node.parts) == takes and node.parts[0].kind == "variable" and self._region is not None:
            box = frame.get(node.parts[0].name)
            stream = (
                box.content.array.name if box is not None and isinstance(box.content, Pointer) else node.parts[0].name
            )
            key = (stream.split("@")[0], node.name)
            self._region.streams[key] = self._region.streams.get(key, 0) + 1
        values = [self._value(part, frame, function) for part in node.parts]
        return Value(None, joined(*(value.feedback for value in values)))


class TooLargeError(Exception):
    """More statements than are followed."""
