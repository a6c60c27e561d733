"""The texts of processes around what each kind of them does: functions, loops, tokens, and those that need nothing else."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from bitsmith.dataflow.processes import Process
from bitsmith.dataflow.timing import reorder_timing
from bitsmith.dataflow.tokens import Grid, Numbers
from bitsmith.hls.assembly import indented
from bitsmith.hls.names import comment
from bitsmith.hls.scalar import Scalar
from bitsmith.hls.scope import Scope
from bitsmith.ir import ops

Kind = TypeVar("Kind", bound=Process)

_TAKE, _GIVE, _GIVE_ZEROS = 1, 2, 4
"""Numbers of ``kernels::action``."""


@dataclass(frozen=True, slots=True)
class StreamType:
    """A stream as a process sees it: the C++ types of the stream, of its tokens and of their elements; tokens per frame.

    A token comes as so many ``beats``, which are what the stream has, of the type ``beat``; it is one itself if that is one.
    """

    stream: str
    token: str
    element: str
    scalar: Scalar
    shape: tuple[int, ...]
    tokens: int
    beats: int
    beat: str

    @property
    def size(self) -> int:
        """Elements of a token."""
        return math.prod(self.shape)

    @property
    def in_beats(self) -> StreamType:
        """The same, of which each beat is a token."""
        size, tokens = self.size // self.beats, self.tokens * self.beats
        return replace(self, token=self.beat, shape=(size,), tokens=tokens, beats=1)

    def taken(self, stream: str) -> str:
        """The next token of ``stream``, as an expression."""
        whole = f"kernels::take_beats<{self.token}, {self.size}, {self.beats}>({stream})"
        return f"{stream}.read()" if self.beats == 1 else whole

    def given(self, token: str, stream: str) -> str:
        """A statement that puts ``token`` into ``stream``."""
        whole = f"kernels::give_beats<{self.size}, {self.beats}>({token}, {stream});"
        return f"{stream}.write({token});" if self.beats == 1 else whole


def copies_text(name: str, out: StreamType, copies: Sequence[str], scope: Scope) -> str:
    """The function called ``name`` that puts each token of a stream into streams of the types ``copies``."""
    beats = out.tokens * out.beats
    lines = [f"const {out.beat} item = x0.read();", *(f"y{k}.write(item);" for k in range(len(copies)))]
    if not copies:
        lines = ["x0.read();"]
    ends = [("x0", out.stream), *((f"y{k}", kind) for k, kind in enumerate(copies))]
    about = f"Each token into {len(copies)} streams." if copies else "Tokens that nothing needs."
    return process_text(scope, about, name, ends, function_head(scope, beats), loop_lines(scope, beats, lines))


def boundary_text(name: str, ends: StreamType, scope: Scope, *, is_source: bool) -> str:
    """The function called ``name`` that makes a token of an array (``is_source``), or an array of a token."""
    array = f"{ends.element} x[{ends.size}]"
    stream = parameter(scope, ends.stream, "tokens")
    if is_source:
        lines = [
            *token_lines(scope, ends.token, "item"),
            f"kernels::copy<{ends.size}>(x, item.data);",
            ends.given("item", "tokens"),
        ]
    else:
        lines = [f"const {ends.token} item = {ends.taken('tokens')};", f"kernels::copy<{ends.size}>(item.data, x);"]
    parameters = [f"const {array}", stream] if is_source else [stream, array]
    about = "The whole tensor is one token."
    return function_text(scope, about, name, parameters, function_head(scope, 1, ends.beats), lines)


def process_text(
    scope: Scope, about: str, name: str, ends: Sequence[tuple[str, str]], head: Sequence[str], lines: Sequence[str]
) -> str:
    """A process whose streams are ``ends``: names and types."""
    streams = scope.dialect.streams
    if streams.frames:
        lines = [f"{streams.frames} {{", *map(indented, lines), "}"]
    if not streams.known:
        return function_text(scope, about, name, [parameter(scope, kind, end) for end, kind in ends], head, lines)
    known = [streams.known.format(type=kind, name=end) for end, kind in ends]
    return function_text(scope, about, name, [], [], [*known, *head, *lines])


class FunctionWriter(ABC, Generic[Kind]):
    """Writes the function of one process, called ``name``, into ``lines``; ``head`` and ``texts`` are what else it needs.

    Its parameters are the streams ``takes`` and ``gives``, in this order. What it reads and writes lets it begin a step
    every ``step_cycles`` cycles.
    """

    def __init__(
        self,
        process: Kind,
        name: str,
        takes: Sequence[StreamType],
        gives: Sequence[StreamType],
        scope: Scope,
        step_cycles: int,
    ) -> None:
        self.texts, self.head, self.lines = list[str](), list[str](), list[str]()
        self._process, self._name, self._scope = process, name, scope
        self._takes, self._gives = takes, gives
        self._step_cycles = step_cycles
        self._apart = list[str]()
        """Lines about memories, before the loop that uses them."""

    @property
    def _label(self) -> str:
        """The layers that the function comes from."""
        return f"Layer {named(self._process.layers)}: " if self._process.layers else ""

    @abstractmethod
    def write(self) -> str:
        """Write the body; returns what it does, in words."""

    def function(self) -> list[str]:
        """The function, after those that it needs."""
        about = self.write()
        ends = [(f"x{k}", each.stream) for k, each in enumerate(self._takes)]
        ends += [(f"y{k}", each.stream) for k, each in enumerate(self._gives)]
        return [
            *self.texts,
            process_text(self._scope, f"{self._label}{about}", self._name, ends, self.head, self.lines),
        ]


def named(layers: Sequence[str]) -> str:
    """The names of layers, for a comment."""
    return ", ".join(comment(repr(layer)) for layer in layers)


def function_text(
    scope: Scope, about: str, name: str, parameters: Sequence[str], head: Sequence[str], lines: Sequence[str]
) -> str:
    loops = scope.dialect.streams.loops
    before = [line for line in head if loops.outside and line == loops.function.format(interval=1)]
    return "\n".join(
        [
            f"/// {about}",
            *scope.dialect.streams.before_process,
            *before,
            f"void {name}({', '.join(parameters)}) {{",
            *head[len(before) :],
            *map(indented, lines),
            "}\n",
        ]
    )


def parameter(scope: Scope, kind: str, name: str) -> str:
    return scope.dialect.streams.parameter.format(type=kind, name=name)


def token_lines(scope: Scope, kind: str, name: str) -> list[str]:
    """Lines that declare a token whose elements will be written."""
    result = scope.dialect.streams.result
    return [f"{kind} {name};", *([result.format(name=name)] if result else [])]


def function_head(scope: Scope, steps: int, interval: int = 1) -> list[str]:
    """Lines at the head of a process whose loop has so many steps, one every ``interval`` cycles."""
    function = scope.dialect.streams.loops.function.format(interval=interval)
    return [function] if function and steps == 1 else []


def lasting(scope: Scope, type_name: str, name: str, value: str) -> list[str]:
    """Lines that declare a variable that keeps its value from frame to frame, and has ``value`` after each reset."""
    reset = scope.dialect.streams.reset
    return [f"BITSMITH_KEPT {type_name} {name} = {value};", *([reset.format(name=name)] if reset else [])]


def loop_lines(
    scope: Scope, steps: int, lines: Sequence[str], before: Sequence[str] = (), interval: int = 1
) -> list[str]:
    """A loop that begins a step every ``interval`` cycles, the lines alone for one step; ``before`` are more lines ahead."""
    if steps == 1:
        counted = any(re.search(r"\bi\b", line) for line in lines)
        return [*(["const int i = 0;"] if counted else []), *lines]
    head = ["BITSMITH_STEPS", *before, f"for (int i = 0; i < {steps}; i++) {{", "    BITSMITH_STEP"]
    if interval > 1:
        return paced_lines(scope, steps, lines, before, interval)
    return [*head, *map(indented, lines), "}"]


def paced_lines(
    scope: Scope,
    steps: int | str,
    lines: Sequence[str],
    before: Sequence[str] = (),
    interval: int = 1,
    *,
    nested: bool = False,
) -> list[str]:
    """A loop whose pragmas have the ``interval``; ``nested``: it is within another one."""
    streams = scope.dialect.streams
    marks = streams.before_loop, (nested and streams.in_nested) or streams.in_loop
    outside, inside = (line.format(interval=interval) for line in marks)
    head = [outside, *before, f"for (int i = 0; i < {steps}; i++) {{", f"    {inside}" if inside else ""]
    return [*(line for line in head if line), *map(indented, lines), "}"]


def order_actions(source: Numbers, tokens: int) -> Numbers:
    """The actions at the head of a FIFO of ``tokens`` tokens, for them to leave as ``source`` says: each is taken once needed."""
    (sequencer,) = reorder_timing(source, tokens).sequencers
    needs, taken, filled = (row.dense() for (row,) in (sequencer.needs, sequencer.takes, sequencer.fills))
    takes, gives = np.diff(np.maximum.accumulate(needs), prepend=0), np.diff(filled, prepend=0)
    given = np.where(needs > np.append(0, taken[:-1]), _GIVE, _GIVE_ZEROS)
    return np.asarray(_TAKE * takes + given * gives, dtype=np.int64)


def axis_flags(op: ops.Window, grid: Grid, axis: int) -> Numbers:
    """For each place along an axis of the padded tensor: whether tokens there are real, and whether windows end there."""
    before, after = op.padding[axis]
    flags = np.zeros(before + grid[axis] + after, dtype=np.int64)
    flags[before : before + grid[axis]] |= _TAKE
    flags[op.dilation[axis] * (op.size[axis] - 1) :: op.stride[axis]] |= _GIVE
    return flags


def advanced(sizes: Sequence[int]) -> list[str]:
    """Lines that move ``at0``, ``at1``, ... on by one in row-major order."""
    axis = len(sizes) - 1
    if axis == 0:
        return ["at0++;"]
    inner = [f"at{axis} = 0;", *advanced(sizes[:-1])]
    return [f"at{axis}++;", f"if (at{axis} == {sizes[axis]}) {{", *map(indented, inner), "}"]
