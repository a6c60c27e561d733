"""Puts the parts of a project together: its headers, its source, its test bench and bridge, the vendor's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitsmith.hls.bench import bridge_source, test_bench
from bitsmith.hls.headers import BESIDE, KERNELS, STREAM_KERNELS, kernel
from bitsmith.hls.names import comment
from bitsmith.hls.project import Design, HlsProject, HlsTarget, Port
from bitsmith.hls.scope import Scope


@dataclass(frozen=True, slots=True)
class Parts:
    """What a writer has made.

    Args:
        top: the top function's name; all else is in namespace ``space``.
        scope: types and constants.
        functions: texts of the functions that the top function calls.
        parameters: those of the top function.
        before_top, head, body: lines in front of the top function, at the head of its body, and its body.
        unrolled: it takes a sample in every cycle; else it is a network of processes.
    """

    top: str
    space: str
    scope: Scope
    functions: tuple[str, ...]
    parameters: tuple[str, ...]
    before_top: tuple[str, ...]
    head: tuple[str, ...]
    body: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    unrolled: bool


def namespace(top: str) -> str:
    """The namespace of what the top function calls."""
    return f"{top}_layers"


def assembled(parts: Parts, target: HlsTarget) -> HlsProject:
    """The project of ``parts``."""
    return _Assembly(parts, target).project()


class _Assembly:
    def __init__(self, parts: Parts, target: HlsTarget) -> None:
        self._parts = parts
        self._target = target
        self._dialect = parts.scope.dialect
        self._title = f"// Written by {comment(target.tool)}, project {comment(target.digest)}."

    def project(self) -> HlsProject:
        """All files."""
        parts, dialect, title = self._parts, self._dialect, self._title
        top, inputs, outputs = parts.top, parts.inputs, parts.outputs
        files = {
            f"firmware/{top}.h": self._header(),
            f"firmware/{top}.cpp": self._source(),
            "firmware/types.h": self._types(),
        }
        for function, text in parts.scope.weights().items():
            guard = f"{parts.space}_{function}_weights_h".upper()
            files[f"firmware/weights/{function}.h"] = self._guarded(guard, "Constants as raw values.", text)
        files |= {f"firmware/weights/{name}.txt": text for name, text in parts.scope.texts.items()}
        files |= {f"firmware/bitsmith/{name}": text for name, text in self._kernels().items()}
        files[f"{top}_test.cpp"] = test_bench(top, title, inputs, outputs, dialect.bench, dialect.streams)
        files[f"{top}_bridge.cpp"] = bridge_source(top, title, inputs, outputs, dialect.streams)
        files |= dialect.sources(Design(top, title, self._target, inputs, outputs, parts.unrolled))
        files |= dialect.scripts(self._target)
        return HlsProject(top, files, inputs, outputs, f"{top}_bridge.cpp", f"{top}_bridge")

    def _kernels(self) -> Mapping[str, str]:
        streamed = not self._parts.unrolled
        names = (*KERNELS, *(STREAM_KERNELS if streamed else ()), *BESIDE)
        return {name: kernel(name) for name in names} | dict(self._dialect.headers(streamed=streamed))

    def _prototype(self) -> str:
        return f"void {self._parts.top}({', '.join(self._parts.parameters)})"

    def _header(self) -> str:
        return self._guarded(
            f"{self._parts.space}_top_h".upper(),
            "The top function.",
            f'#include "types.h"\n\n{self._prototype()};\n',
            wrap=False,
        )

    def _types(self) -> str:
        space = self._parts.space
        text = "\n".join(self._parts.scope.typedefs) + "\n"
        body = f'#include "bitsmith/kernels.h"\n\nnamespace {space} {{\n\n{text}\n}} // namespace {space}\n'
        return self._guarded(f"{space}_types_h".upper(), "Types of all tensors.", body, wrap=False)

    def _guarded(self, guard: str, about: str, text: str, *, wrap: bool = True) -> str:
        if wrap:
            space = self._parts.space
            text = f"#include <stdint.h>\n\nnamespace {space} {{\n\n{text}\n}} // namespace {space}\n"
        return f"{self._title}\n// {about}\n#ifndef {guard}\n#define {guard}\n\n{text}\n#endif\n"

    def _source(self) -> str:
        parts = self._parts
        includes = [f'#include "{parts.top}.h"', ""]
        includes += [f'#include "weights/{function}.h"' for function in parts.scope.weights()]
        lines = [self._title, *includes, "", f"namespace {parts.space} {{", "", *parts.functions]
        lines += [f"}} // namespace {parts.space}", "", *parts.before_top, f"{self._prototype()} {{", *parts.head]
        return "\n".join([*lines, *map(indented, parts.body), "}", ""])


def indented(line: str) -> str:
    """One level in; pragmas stay at the margin."""
    return line if line.startswith("#") else f"    {line}"
