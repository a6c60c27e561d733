"""Networks of processes as text, one line per process::

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

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import cast

import numpy as np

from bitsmith.dataflow.processes import Network, gives_back, kind_name
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import text as programs
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program
from bitsmith.ir.text import write_array, write_name, write_op, write_tuple
from bitsmith.ir.types import objects


def _write_record(value: object) -> str:
    """A record, or several, as JSON within a string: what its fields hold, in their order."""
    return json.dumps(json.dumps(_held(value)))


def _held(value: object) -> object:
    if isinstance(value, np.ndarray):
        return write_array(value)
    if isinstance(value, Op):
        return write_op(value)
    if is_dataclass(value):
        return [_held(getattr(value, each.name)) for each in fields(value)]
    return [*map(_held, value)] if isinstance(value, tuple) else value


def _write_parts(value: object) -> str:
    parts = cast(tuple[tuple[int, int], ...], value)
    return write_tuple(tuple(number for part in parts for number in part))


def _write_stored(value: object) -> str:
    stored = cast(StoredWeights, value)
    return _write_record((stored.raw, stored.gap))


def _write_step(value: object) -> str:
    return json.dumps(write_op(cast(Op, value)))


_WRITERS: dict[object, Callable[[object], str]] = {
    "str": write_name,
    "int": str,
    "bool": lambda value: str(int(bool(value))),
    "Ints": write_array,
    "IntArray": write_array,
    "Numbers": write_array,
    "LoadableWeights | None": _write_record,
    "StoredWeights | None": _write_stored,
    "tuple[tuple[int, int], ...]": _write_parts,
    "tuple[EngineLayer, ...]": _write_record,
    "tuple[int, ...] | None": write_tuple,
    "ops.Window": _write_step,
    "ops.Sum | ops.AMax": _write_step,
}
"""Writers of a value by the annotation of its field."""


def to_text(network: Network) -> str:
    """The network as text, from which tests read an equal one."""
    return "\n".join(line for number in range(len(network.processes)) for line in _lines(network, number)) + "\n"


def _lines(network: Network, number: int) -> Iterator[str]:
    process = network.processes[number]
    name = kind_name(type(process.kind)).replace(" ", "_")
    words, body = [f"%{number} = {name}"], None
    for source, taken in zip(process.args, process.takes, strict=True):
        words.append(f"%{source.process}.{source.port}" if source.port else f"%{source.process}")
        if gives_back(number, source) or taken != network.stream(source):
            words.append(f"takes {_write_stream(taken)}")
    for field in fields(process.kind):
        value: object = getattr(process.kind, field.name)
        if field.type == "Program":
            body = cast(Program, value)
        elif value is not None:
            words.append(f"{field.name}={_WRITERS[field.type](value)}")
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
