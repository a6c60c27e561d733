"""The texts of processes around what each kind of them does: functions, loops, tokens, and those that need nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.hls.assembly import indented
from bitsmith.hls.scalar import Scalar
from bitsmith.hls.scope import Scope


@dataclass(frozen=True, slots=True)
class StreamType:
    """A stream as a process sees it: the C++ types of the stream, of its tokens and of their elements; tokens per frame."""

    stream: str
    token: str
    element: str
    scalar: Scalar
    shape: tuple[int, ...]
    tokens: int

    @property
    def size(self) -> int:
        """Elements of a token."""
        return math.prod(self.shape)


def copies_text(name: str, given: StreamType, copies: Sequence[str], scope: Scope) -> str:
    """The function called ``name`` that puts each token of a stream into streams of the types ``copies``."""
    lines = [f"const {given.token} item = x0.read();", *(f"y{k}.write(item);" for k in range(len(copies)))]
    if not copies:
        lines = ["x0.read();"]
    ends = [("x0", given.stream), *((f"y{k}", kind) for k, kind in enumerate(copies))]
    about = f"Each token into {len(copies)} streams." if copies else "Tokens that nothing needs."
    return process_text(scope, about, name, ends, function_head(scope, given.tokens), loop_lines(given.tokens, lines))


def boundary_text(name: str, ends: StreamType, scope: Scope, *, is_source: bool) -> str:
    """The function called ``name`` that makes a token of an array (``is_source``), or an array of a token."""
    array = f"{ends.element} x[{ends.size}]"
    stream = parameter(scope, ends.stream, "tokens")
    if is_source:
        lines = [
            *token_lines(scope, ends.token, "item"),
            f"kernels::copy<{ends.size}>(x, item.data);",
            "tokens.write(item);",
        ]
    else:
        lines = [f"const {ends.token} item = tokens.read();", f"kernels::copy<{ends.size}>(item.data, x);"]
    parameters = [f"const {array}", stream] if is_source else [stream, array]
    about = "The whole tensor is one token."
    return function_text(scope, about, name, parameters, function_head(scope, 1), lines)


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


def function_text(
    scope: Scope, about: str, name: str, parameters: Sequence[str], head: Sequence[str], lines: Sequence[str]
) -> str:
    """A function that is a process."""
    loops = scope.dialect.streams.loops
    before = [line for line in head if loops.outside and line == loops.function]
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
    """Lines that declare a token which will be written."""
    result = scope.dialect.streams.result
    return [f"{kind} {name};", *([result.format(name=name)] if result else [])]


def function_head(scope: Scope, steps: int) -> list[str]:
    """Lines at the head of a process whose loop has so many steps."""
    function = scope.dialect.streams.loops.function
    return [function] if function and steps == 1 else []


def loop_lines(steps: int, lines: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """A loop that begins a step in every cycle, the lines alone for one step; ``before`` are more lines in front of it."""
    if steps == 1:
        counted = any(re.search(r"\bi\b", line) for line in lines)
        return [*(["const int i = 0;"] if counted else []), *lines]
    head = ["BITSMITH_STEPS", *before, f"for (int i = 0; i < {steps}; i++) {{", "    BITSMITH_STEP"]
    return [*head, *map(indented, lines), "}"]
