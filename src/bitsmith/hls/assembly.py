"""Puts a project together: its headers, its source, its test bench and bridge, the vendor's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitsmith.hls.bench import bridge_source, test_bench
from bitsmith.hls.headers import BESIDE, KERNELS, STREAM_KERNELS, kernel
from bitsmith.hls.names import comment
from bitsmith.hls.project import HlsDesign, HlsProject, HlsTarget, Port, WordKind
from bitsmith.hls.scope import Scope


@dataclass(frozen=True, slots=True)
class TopFunction:
    """The top function: lines before it and at the head of its body, and its body.

    ``unrolled``: it takes a sample in every cycle; else it is a network of processes.
    """

    name: str
    parameters: tuple[str, ...]
    before: tuple[str, ...]
    head: tuple[str, ...]
    body: tuple[str, ...]
    unrolled: bool

    @property
    def space(self) -> str:
        """The namespace of what it calls."""
        return namespace(self.name)

    @property
    def prototype(self) -> str:
        """Return its declaration without a semicolon."""
        return f"void {self.name}({', '.join(self.parameters)})"


def namespace(top: str) -> str:
    """The namespace of what the top function ``top`` calls."""
    return f"{top}_layers"


def assembled(
    target: HlsTarget,
    scope: Scope,
    functions: Sequence[str],
    top: TopFunction,
    inputs: tuple[Port, ...],
    outputs: tuple[Port, ...],
) -> HlsProject:
    """The project of a top function and of the texts of the functions that it calls; ``scope`` has types and constants."""
    dialect, name, streamed = scope.dialect, top.name, not top.unrolled
    streams, memories = tuple(scope.streams), tuple(scope.memories)
    title = f"// Written by {comment(target.tool)}, project {comment(target.digest)}."
    design = HlsDesign(name, title, target, inputs, outputs, top.unrolled, streams, memories)
    files = {
        f"firmware/{name}.h": _header(title, top),
        f"firmware/{name}.cpp": _source(title, scope, functions, top),
        "firmware/types.h": _types(title, top.space, scope),
        **{f"firmware/weights/{key}.h": _weights(title, top.space, key, text) for key, text in scope.weights().items()},
        **{f"firmware/weights/{key}.txt": text for key, text in scope.texts.items()},
        **{f"firmware/bitsmith/{key}": text for key, text in _kernels(scope, streamed=streamed).items()},
        f"{name}_test.cpp": test_bench(name, title, inputs, outputs, dialect.bench, dialect.streams),
        f"{name}_bridge.cpp": bridge_source(name, title, inputs, outputs, dialect.streams),
        **dialect.sources(design),
        **dialect.scripts(target),
    }
    if dialect.arrays.vectors:
        for port in (port for port in (*inputs, *outputs) if port.stream is None):
            scope.word(WordKind.PORT, port.name, port.size * port.scalar.width)
    words = tuple(scope.words)
    return HlsProject(name, files, inputs, outputs, f"{name}_bridge.cpp", f"{name}_bridge", too_wide=words)


def _kernels(scope: Scope, *, streamed: bool) -> Mapping[str, str]:
    names = (*KERNELS, *(STREAM_KERNELS if streamed else ()), *BESIDE)
    return {name: kernel(name) for name in names} | dict(scope.dialect.headers(streamed=streamed))


def _header(title: str, top: TopFunction) -> str:
    text = f'#include "types.h"\n\n{top.prototype};\n'
    return _guarded(title, f"{top.space}_top_h", "The top function.", text)


def _types(title: str, space: str, scope: Scope) -> str:
    text = f'#include "bitsmith/kernels.h"\n\n{_in_namespace(space, _lines(scope.typedefs))}'
    return _guarded(title, f"{space}_types_h", "Types of all tensors.", text)


def _weights(title: str, space: str, function: str, constants: str) -> str:
    text = f'#include "../types.h"\n\n{_in_namespace(space, constants)}'
    return _guarded(title, f"{space}_{function}_weights_h", "Constants as raw values.", text)


def _in_namespace(space: str, text: str) -> str:
    return f"namespace {space} {{\n\n{text}\n}} // namespace {space}\n"


def _guarded(title: str, guard: str, about: str, text: str) -> str:
    """The text of a header."""
    guard = guard.upper()
    return f"{title}\n// {about}\n#ifndef {guard}\n#define {guard}\n\n{text}\n#endif\n"


def _source(title: str, scope: Scope, functions: Sequence[str], top: TopFunction) -> str:
    includes = [f'#include "{top.name}.h"', "", *(f'#include "weights/{key}.h"' for key in scope.weights())]
    lines = [title, *includes, "", f"namespace {top.space} {{", "", *functions]
    lines += [f"}} // namespace {top.space}", "", *top.before, f"{top.prototype} {{", *top.head]
    return _lines([*lines, *map(indented, top.body), "}"])


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


def indented(line: str) -> str:
    """One level in; pragmas stay at the margin."""
    return line if line.startswith("#") else f"    {line}"
