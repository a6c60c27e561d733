"""The commands of Tcl scripts: all that a script has, read word by word, and those that an interpreter meets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_LANGUAGE = (
    "set if elseif else for foreach while proc catch uplevel source file info string expr puts exit error return list "
    "lindex lappend lassign split join format incr unset global glob array dict regexp regsub lsort lsearch llength "
    "switch break continue open close gets read cd pwd package namespace env append concat eof scan clock after "
    "exec upvar"
)
"""Commands of the language itself."""

_CORE = frozenset(_LANGUAGE.split())

_BODIES = {"foreach": -1, "while": -1, "proc": -1, "catch": 1, "uplevel": -1}
"""Commands of which a word is a script: which one. Those of ``if`` are all words but conditions."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a tool: its words, as they are written, and its line."""

    words: tuple[str, ...]
    line: int


def tool_commands(script: str) -> list[Command]:
    """All commands of ``script`` that are not the language's own nor the script's, wherever they stand.

    Raises:
        ValueError: quotes, braces or brackets that do not match.
    """
    found = list(_commands(script, 1))
    own = {command.words[1] for command in found if command.words[0] == "proc"}
    return [command for command in found if command.words[0] not in _CORE | own]


_STAND_IN = """\
proc unknown args { note {*}$args }
foreach name {package exit glob} { proc $name args {} }
rename file file_
proc file {name args} { if {$name ni {copy delete mkdir}} { file_ $name {*}$args } }
set quartus(version) "Version 20.1.1 SJ Lite Edition"
set argv {}
set argc 0
"""
"""A tool around an interpreter, in which no command of the tool does anything but note its words."""


def _nothing(words: Sequence[str]) -> str:
    return ""


def met_commands(script: Path, start: Path, answer: Callable[[Sequence[str]], str] = _nothing) -> list[tuple[str, ...]]:
    """The commands of a tool that an interpreter, started in ``start``, meets in a script, with the values of their words.

    ``answer`` gives their results. It needs `tkinter`, which comes with Python, but no screen.
    """
    import tkinter

    tcl, met = tkinter.Tcl(), list[tuple[str, ...]]()

    def note(*words: str) -> str:
        met.append(tuple(words))
        return answer(words)

    tcl.createcommand("note", note)
    tcl.eval(f"{_STAND_IN}\ncd {{{start}}}\nsource {{{script}}}")
    return met


def _commands(script: str, line: int) -> Iterator[Command]:
    for words, at in _split(script, line):
        yield Command(tuple(text for text, _ in words), at)
        scripts = _scripts([text for text, _ in words])
        for k, (text, start) in enumerate(words):
            if k in scripts:
                yield from _commands(text[1:-1] if text.startswith("{") else text, start)
            elif not text.startswith("{") or words[0][0] in ("if", "while", "expr"):
                yield from _substituted(text, start)


def _scripts(words: Sequence[str]) -> set[int]:
    """Which words of a command are scripts."""
    if words[0] == "for":
        return {1, 3, 4}
    if words[0] == "if":
        return {k for k in range(2, len(words)) if words[k].startswith("{") and words[k - 1] != "elseif"}
    return {_BODIES[words[0]] % len(words)} if words[0] in _BODIES else set()


def _substituted(text: str, line: int) -> Iterator[Command]:
    """The commands in the brackets of a word."""
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == "[":
            end = _closing(text, at, "[", "]")
            yield from _commands(text[at + 1 : end], line + text[:at].count("\n"))
            at = end + 1
        else:
            at += 1


def _split(script: str, line: int) -> Iterator[tuple[list[tuple[str, int]], int]]:
    """The words of each command, with their lines, and the command's line."""
    at, words, start = 0, list[tuple[str, int]](), line
    while at < len(script):
        here = line + script[:at].count("\n")
        if script[at] in " \t" or script.startswith("\\\n", at):
            at += 2 if script[at] == "\\" else 1
        elif script[at] in "\n;":
            if words:
                yield words, start
            words, at = [], at + 1
        elif script[at] == "#" and not words:
            while at < len(script) and script[at] != "\n":
                at += 2 if script[at] == "\\" else 1
        else:
            end = _word_end(script, at)
            start = start if words else here
            words.append((script[at:end], here))
            at = end
    if words:
        yield words, start


def _word_end(script: str, at: int) -> int:
    if script[at] == "{":
        end = _closing(script, at, "{", "}") + 1
        if end < len(script) and script[end] not in " \t\n;]":
            raise ValueError(f"characters after a closing brace: {script[at : end + 9]!r}")
        return end
    quoted = script[at] == '"'
    at += quoted
    while at < len(script):
        if script[at] == "\\":
            at += 2
        elif script[at] == "[":
            at = _closing(script, at, "[", "]") + 1
        elif script.startswith("${", at):
            at = script.index("}", at) + 1
        elif quoted and script[at] == '"':
            return at + 1
        elif not quoted and script[at] in " \t\n;":
            return at
        else:
            at += 1
    if quoted:
        raise ValueError("a quote that is not closed")
    return at


def _closing(script: str, at: int, opening: str, closing: str) -> int:
    """The place of what closes the brace or bracket at ``at``."""
    depth, start = 0, at
    while at < len(script):
        if script[at] == "\\":
            at += 1
        elif script[at] == opening:
            depth += 1
        elif script[at] == closing:
            depth -= 1
            if depth == 0:
                return at
        at += 1
    raise ValueError(f"{opening} that is not closed: {script[start : start + 30]!r}")
