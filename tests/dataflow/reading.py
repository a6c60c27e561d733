"""Reads networks of processes back from their text."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any, get_args

import numpy as np

from bitsmith.dataflow.engine_layer import EngineLayer, Held, Watched
from bitsmith.dataflow.kinds import Kind
from bitsmith.dataflow.processes import Network, OutputPort, Process, gives_back, kind_name
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.tokens import LoadableWeights, Stream
from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir import ops
from bitsmith.ir import text as programs
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program
from bitsmith.ir.text import read_array, read_name, read_tuple, write_tuple
from bitsmith.ir.types import TensorType

_STRING = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"\s*((?:[a-z]+=)?{_STRING}|(?:[a-z]+=)?\([^)]*\)|(?:[a-z]+=)?[\dx]+\[[^\]]*\]|@{_STRING}|[^\s\"]+)"
)
_LINE = re.compile(r"%(\d+) = ([a-z_]+) ?(.*)")
_PORT = re.compile(r"%(\d+)(?:\.(\d+))?")


def _read_loaded(text: str) -> LoadableWeights:
    return _record(LoadableWeights, json.loads(json.loads(text)))


def _read_stored(text: str) -> StoredWeights:
    raw, gap = json.loads(json.loads(text))
    return StoredWeights.of(read_array(raw), gap)


def _read_parts(text: str) -> tuple[tuple[int, int], ...]:
    numbers = read_tuple(text)
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _read_layers(text: str) -> tuple[EngineLayer, ...]:
    return tuple(_record(EngineLayer, row) for row in json.loads(json.loads(text)))


def _record(kind: Callable[..., Any], values: Sequence[object]) -> Any:
    """The record of a kind whose fields hold ``values``."""
    return kind(*(_field(str(each.type), value) for each, value in zip(fields(kind), values, strict=True)))


def _field(annotation: str, value: Any) -> object:
    if annotation in ("Ints", "IntArray"):
        return read_array(value)
    if annotation == "ops.Window":
        return _read_step(json.dumps(value))
    kinds: dict[str, Callable[..., object]] = {"Watched | None": Watched, "Held | None": Held}
    if annotation in kinds and value is not None:
        return _record(kinds[annotation], value)
    return tuple(_field("", each) for each in value) if isinstance(value, list) else value


def _read_step(text: str) -> Op:
    """An op alone, without operands."""
    name, *words = json.loads(text).split()
    kinds: dict[str, Callable[..., Op]] = {"window": ops.Window, "sum": ops.Sum, "amax": ops.AMax}
    if name not in kinds:
        raise ProgramError(f"the op {text}", accepted=", ".join(kinds))
    values: dict[str, object] = {}
    for word in words:
        key, _, value = word.partition("=")
        flat = read_tuple(value)
        values[key] = tuple(zip(flat[::2], flat[1::2], strict=True)) if key == "padding" else flat
    return kinds[name](**values)


_READERS: dict[object, Callable[[str], object]] = {
    "str": read_name,
    "int": int,
    "bool": lambda text: bool(int(text)),
    "Ints": read_array,
    "IntArray": read_array,
    "Numbers": lambda text: read_array(text).astype(np.int64),
    "LoadableWeights | None": _read_loaded,
    "StoredWeights | None": _read_stored,
    "tuple[tuple[int, int], ...]": _read_parts,
    "tuple[EngineLayer, ...]": _read_layers,
    "tuple[int, ...] | None": read_tuple,
    "ops.Window": _read_step,
    "ops.Sum | ops.AMax": _read_step,
}
_KINDS: dict[str, Callable[..., Kind]] = {kind_name(kind).replace(" ", "_"): kind for kind in get_args(Kind)}
_FIELDS: dict[str, dict[str, Callable[[str], object] | None]] = {
    name: {each.name: None if each.type == "Program" else _READERS[each.type] for each in fields(kind)}
    for name, kind in zip(_KINDS, get_args(Kind), strict=True)
}
"""The fields of each kind of process; a program (None) is a block of lines."""


def parse(text: str) -> Network:
    """The network that ``text`` describes. ``text`` is not trusted.

    Raises:
        ProgramError: the line that is wrong, and why.
    """
    lines = text.splitlines()
    processes: list[Process] = []
    at = 0
    while at < len(lines):
        line, number = lines[at].strip(), at + 1
        at += 1
        if not line or line.startswith("#"):
            continue
        try:
            body = None
            if line.endswith("{"):
                end = next((k for k in range(at, len(lines)) if lines[k].rstrip() == "}"), None)
                if end is None:
                    raise ProgramError("a { without its }")
                body, line = programs.parse("\n".join(lines[at:end])), line[:-1]
                at = end + 1
            processes.append(_process(line, body, processes))
        except (BitsmithError, ValueError, TypeError, IndexError, OverflowError, RecursionError) as error:
            raise ProgramError(str(error), where=f"line {number}") from error
    network = Network(tuple(processes))
    for number, process in enumerate(processes):
        for source, stream in zip(process.args, process.takes, strict=True):
            if source.process >= len(processes) or source.port >= len(processes[source.process].results):
                raise ProgramError(f"process %{number} takes what no process gives")
            _taken(stream, network.stream(source))
    return network


def _process(line: str, body: Program | None, earlier: Sequence[Process]) -> Process:
    """The process of a line, which takes results of ``earlier`` ones."""
    match = _LINE.fullmatch(line.strip())
    if match is None or int(match[1]) != len(earlier):
        raise ProgramError(f"no process %{len(earlier)} where it comes next")
    name = match[2]
    if name not in _KINDS:
        raise ProgramError(f"a process of kind {name!r}", accepted=", ".join(_KINDS))
    values: dict[str, object] = {}
    args: list[OutputPort] = []
    takes: list[Stream | None] = []
    results: list[Stream] = []
    layers: list[str] = []
    slices: tuple[int, ...] = ()
    words = iter(_tokens(match[3]))
    for word in words:
        key, equals, value = word.partition("=")
        if port := _PORT.fullmatch(word):
            args.append(OutputPort(int(port[1]), int(port[2] or 0)))
            later = gives_back(len(earlier), args[-1])
            takes.append(None if later else earlier[args[-1].process].results[args[-1].port])
        elif word == "takes":
            takes[-1] = _taken(_read_stream(words), takes[-1])
        elif word == "gives":
            results.append(_read_stream(words))
        elif key == "slices" and not slices:
            slices = read_tuple(value)
        elif word.startswith("@"):
            layers.append(read_name(word[1:]))
        elif equals and (reader := _FIELDS[name].get(key)) is not None and key not in values:
            values[key] = reader(value)
        else:
            raise ProgramError(f"{word!r}, which is out of place")
    wanted_body = [key for key, reader in _FIELDS[name].items() if reader is None]
    if len(wanted_body) != int(body is not None):
        raise ProgramError(f"{name} {'without' if wanted_body else 'with'} a program in braces")
    if slices and (len(slices) != len(args) or min(slices) < 0):
        raise ProgramError(f"slices={write_tuple(slices)} of {len(args)} operands")
    if None in takes:
        raise ProgramError("an operand out of range, or that a later process gives, without what is taken")
    return Process(
        _KINDS[name](**values, **dict.fromkeys(wanted_body, body)),
        tuple(args),
        tuple(stream for stream in takes if stream is not None),
        tuple(results),
        tuple(layers),
        slices,
    )


def _taken(stream: Stream, given: Stream | None) -> Stream:
    if given is not None and (stream.tokens, stream.token.size) != (given.tokens, given.token.size):
        raise ProgramError("an operand that is taken in other tokens than it is given")
    return stream


def _read_stream(words: Iterator[str]) -> Stream:
    grid, shape, *arrays = itertools.islice(words, 5)
    frac, lo, hi = map(read_array, arrays)
    return Stream(read_tuple(grid), TensorType.of(read_tuple(shape), frac, lo, hi))


def _tokens(text: str) -> list[str]:
    """The words of a line: names in quotes, tuples and arrays are one each."""
    words = _TOKEN.findall(text)
    if "".join(words).replace(" ", "") != text.replace(" ", ""):
        raise ProgramError(f"{text!r}, which cannot be read")
    return words
