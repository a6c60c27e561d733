"""Networks of processes as text, one line per process, and back::

    %0 = source name=x gives (6) (2) 0 -8 7
    %1 = window %0 op="window size=(2) stride=(1) dilation=(1) padding=(0,0)" gives (5) (2,2) 0 -8 7 @conv
    %2 = map %1 gives (5) (1) 0 -24 21 @conv {
      %0: 2x2 s4 = input name=x0 shape=(2,2) frac=0 lo=-8 hi=7 rounding=TRN overflow=WRAP
      ...
    }
    %3 = sink %2 name=y

A stream is the grid, the shape of a token, and the ``frac``, ``lo`` and ``hi`` of its type, as arrays of `bitsmith.ir.text`.
``takes`` and a stream stand for each operand that is taken as another stream than it is given. ``%2.1`` is result 1 of process
2. Programs are indented blocks in braces. ``slices=(2,0)`` are registers each way on the way of each operand.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import cast, get_args

import numpy as np

from bitsmith.dataflow.engine import EngineLayer
from bitsmith.dataflow.kinds import Kind
from bitsmith.dataflow.processes import Network, OutputPort, Process, gives_back, kind_name
from bitsmith.dataflow.tokens import LoadableWeights, Stream
from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir import ops
from bitsmith.ir import text as programs
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program
from bitsmith.ir.text import read_array, read_name, read_op, read_tuple, write_array, write_name, write_op, write_tuple
from bitsmith.ir.types import TensorType, objects

_STRING = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(
    rf"\s*((?:[a-z]+=)?{_STRING}|(?:[a-z]+=)?\([^)]*\)|(?:[a-z]+=)?[\dx]+\[[^\]]*\]|@{_STRING}|[^\s\"]+)"
)
_LINE = re.compile(r"%(\d+) = ([a-z_]+) ?(.*)")
_PORT = re.compile(r"%(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class _Codec:
    """Writer and reader of values of one kind."""

    write: Callable[[object], str]
    read: Callable[[str], object]


def _write_loaded(value: object) -> str:
    if value is None:
        return "none"
    loaded = cast(LoadableWeights, value)
    numbers = (loaded.steps, loaded.groups, loaded.lo, loaded.hi, loaded.frac, loaded.across)
    names = map(write_name, (loaded.layer, loaded.name))
    return json.dumps(
        " ".join([*names, write_tuple(loaded.matrix), *map(str, numbers), *map(write_tuple, loaded.blocks)])
    )


def _read_loaded(text: str) -> LoadableWeights | None:
    if text == "none":
        return None
    layer, name, matrix, *words = _tokens(json.loads(text))
    rows, columns = read_tuple(matrix)
    steps, groups, lo, hi, frac, across = map(int, words[:6])
    blocks, names = tuple(map(read_tuple, words[6:])), (read_name(layer), read_name(name))
    return LoadableWeights(*names, (rows, columns), steps, groups, lo, hi, frac, blocks, across)


def _write_layers(value: object) -> str:
    """Layers of an engine: a list of the text of their fields each, within a string."""
    layers = cast(tuple[EngineLayer, ...], value)
    rows = [
        [
            write_name(one.name),
            write_op(one.op),
            *map(
                write_tuple,
                (
                    one.grid,
                    (one.pitch, one.channels, one.blocks, int(one.greatest), one.source, one.target, int(one.apart)),
                ),
            ),
            *map(write_array, (one.weights, one.bias, one.choices)),
        ]
        for one in layers
    ]
    return json.dumps(json.dumps(rows))


def _read_layers(text: str) -> tuple[EngineLayer, ...]:
    return tuple(_read_layer(*row) for row in json.loads(json.loads(text)))


def _read_layer(name: str, op: str, grid: str, numbers: str, weights: str, bias: str, choices: str) -> EngineLayer:
    (rows, columns), window = read_tuple(grid), read_op(op)
    if not isinstance(window, ops.Window):
        raise ProgramError(f"the op {op}", accepted="window")
    pitch, channels, blocks, greatest, source, target, apart = read_tuple(numbers)
    arrays = read_array(weights), read_array(bias), read_array(choices)
    at = source, target, bool(apart)
    return EngineLayer(read_name(name), window, (rows, columns), pitch, channels, blocks, *arrays, bool(greatest), *at)


def _ops(*accepted: type) -> _Codec:
    """Codec of an op of a field that holds ``accepted`` ones."""

    def read(text: str) -> Op:
        op = read_op(json.loads(text))
        if not isinstance(op, accepted):
            raise ProgramError(f"the op {text}", accepted=", ".join(each.__name__.lower() for each in accepted))
        return op

    return _Codec(lambda value: json.dumps(write_op(cast(Op, value))), read)


_CODECS: dict[object, _Codec] = {
    "str": _Codec(lambda value: write_name(str(value)), read_name),
    "int": _Codec(str, int),
    "Ints": _Codec(write_array, read_array),
    "Numbers": _Codec(write_array, lambda text: read_array(text).astype(np.int64)),
    "LoadableWeights | None": _Codec(_write_loaded, _read_loaded),
    "tuple[EngineLayer, ...]": _Codec(_write_layers, _read_layers),
    "ops.Window": _ops(ops.Window),
    "ops.Sum | ops.AMax": _ops(ops.Sum, ops.AMax),
}
_KINDS: dict[str, Callable[..., Kind]] = {kind_name(kind).replace(" ", "_"): kind for kind in get_args(Kind)}
_FIELDS: dict[str, dict[str, _Codec | None]] = {
    name: {each.name: None if each.type == "Program" else _CODECS[each.type] for each in fields(kind)}
    for name, kind in zip(_KINDS, get_args(Kind), strict=True)
}
"""The fields of each kind of process; a program (None) is a block of lines."""


def to_text(network: Network) -> str:
    """The network as text that :func:`parse` turns back into an equal network."""
    return "\n".join(line for number in range(len(network.processes)) for line in _lines(network, number)) + "\n"


def _lines(network: Network, number: int) -> Iterator[str]:
    process = network.processes[number]
    name = kind_name(type(process.kind)).replace(" ", "_")
    words, body = [f"%{number} = {name}"], None
    for source, taken in zip(process.args, process.takes, strict=True):
        words.append(f"%{source.process}.{source.port}" if source.port else f"%{source.process}")
        if gives_back(number, source) or taken != network.stream(source):
            words.append(f"takes {_write_stream(taken)}")
    for key, codec in _FIELDS[name].items():
        value: object = getattr(process.kind, key)
        if codec is None:
            body = cast(Program, value)
        elif value is not None:
            words.append(f"{key}={codec.write(value)}")
    words += [f"gives {_write_stream(stream)}" for stream in process.results]
    words += [f"slices={write_tuple(process.slices)}"] if process.slices else []
    words += [f"@{write_name(layer)}" for layer in process.layers]
    if body is None:
        yield " ".join(words)
        return
    yield " ".join([*words, "{"])
    yield from (f"  {line}" for line in programs.to_text(body).splitlines())
    yield "}"


def _write_stream(stream: Stream) -> str:
    arrays = (objects(part) for part in (stream.token.frac, stream.token.lo, stream.token.hi))
    numbers = (write_array(array.reshape(()) if array.size == 1 else array) for array in arrays)
    return " ".join([write_tuple(stream.grid), write_tuple(stream.token.shape), *numbers])


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
        elif equals and (codec := _FIELDS[name].get(key)) is not None and key not in values:
            values[key] = codec.read(value)
        else:
            raise ProgramError(f"{word!r}, which is out of place")
    wanted_body = [key for key, codec in _FIELDS[name].items() if codec is None]
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
