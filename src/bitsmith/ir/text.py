"""Programs as text, one line per node, and back::

    %0: 2 s8 frac 4 = input name=x shape=(2) frac=4 lo=-128 hi=127 rounding=TRN overflow=WRAP
    %1: 1 s11 frac 5 = linear %0 weights=2x1[3 -1] frac=2x1[1*2] @dense_1
    output y %1

A type before ``=`` is for reading and may be left out; if it is there it must be the one that the op gives. A node whose
type is wider than its op's results says ``within`` and the exact arrays. Arrays are ``shape[elements]``, or one integer
without brackets for rank 0; ``5*3`` stands for ``5 5 5``. The body of a scan is an indented block in braces.
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import cast, get_args

import numpy as np

from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir import ops
from bitsmith.ir.check import check_node, check_results
from bitsmith.ir.infer import infer
from bitsmith.ir.ladders import Ladder, Reals
from bitsmith.ir.ops import Op, Relation
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.types import MAX_ELEMENTS, IntArray, Ints, Overflow, Rounding, TensorType, frozen, short

MAX_DEPTH = 8
"""Deepest nesting of scans that is read."""

MAX_LADDERS = 1 << 12
"""Most ladders of an input that are read."""

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
_ARRAY = re.compile(r"(\d+(?:x\d+)*)\[([-0-9* ]*)\]")
_INTEGER = re.compile(r"-?\d+")
_NODE = re.compile(r"%(\d+)\s*(?::([^=\"]*))?=\s*([a-z]+)\s*(.*)")
_TOKEN = re.compile(
    r"\s*(%\d+|@|\{|[a-z]+=|\"(?:[^\"\\]|\\.)*\"|\([^)]*\)|\d+(?:x\d+)*\[[^\]]*\]|-?\d+|[A-Za-z_][A-Za-z0-9_.\-]*|$)"
)


@dataclass(frozen=True, slots=True)
class _Codec:
    """Writer and reader of values of one kind."""

    write: Callable[[object], str]
    read: Callable[[str], object]


def write_array(value: object) -> str:
    """An array as text: ``2x3[1 5*4 -2]``."""
    array = cast(Ints, value)
    if array.ndim == 0:
        return str(int(array[()]))
    flat = array.ravel()
    starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1])) if flat.size else np.arange(0)
    counts = np.diff(starts, append=flat.size)
    words = list(map(str, flat[starts].tolist()))
    for run in np.flatnonzero(counts > 1).tolist():
        words[run] += f"*{counts[run]}"
    return f"{'x'.join(map(str, array.shape))}[{' '.join(words)}]"


def read_array(text: str) -> Ints:
    if _INTEGER.fullmatch(text):
        scalar = np.empty((), dtype=np.object_)
        scalar[()] = int(text)
        return scalar
    match = _ARRAY.fullmatch(text)
    if match is None:
        raise ProgramError(f"{_short(text)}, which is not an array")
    shape = tuple(map(int, match[1].split("x")))
    size = math.prod(shape)
    if size > MAX_ELEMENTS:
        raise ProgramError(f"an array of shape {shape}", accepted=f"at most {MAX_ELEMENTS} elements")
    numbers: list[int] = []
    for word in match[2].split():
        number, star, count = word.partition("*")
        repeats = int(count) if star else 1
        if not 0 < repeats <= size - len(numbers):
            raise ProgramError(f"more elements than an array of shape {shape} has")
        numbers.extend([int(number)] * repeats)
    if len(numbers) != size:
        raise ProgramError(f"{len(numbers)} elements of an array of shape {shape}")
    array = np.empty(size, dtype=np.object_)
    array[:] = numbers
    return array.reshape(shape)


def write_tuple(value: object) -> str:
    return f"({','.join(str(n) for n in cast(tuple[int, ...], value))})"


def read_tuple(text: str) -> tuple[int, ...]:
    if not (text.startswith("(") and text.endswith(")")):
        raise ProgramError(f"{_short(text)}, which is not a list of integers in parentheses")
    return tuple(int(word) for word in text[1:-1].split(",") if word)


def _read_pairs(text: str) -> tuple[tuple[int, int], ...]:
    flat = read_tuple(text)
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def write_name(value: object) -> str:
    """A name as it is, or in quotes where it has other characters."""
    name = str(value)
    return name if _BARE.fullmatch(name) else json.dumps(name)


def read_name(text: str) -> str:
    if _BARE.fullmatch(text):
        return text
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        return str(json.loads(text))
    raise ProgramError(f"{_short(text)}, which is not a name")


def _read_bit(text: str) -> int:
    if text not in ("0", "1"):
        raise ProgramError(f"{_short(text)}, which is neither 0 nor 1")
    return int(text)


def write_ladders(value: object) -> str:
    """Ladders in quotes: shapes and numbers of their arrays, exactly, and their modes."""
    rows = [
        [[[*part.shape], [number.hex() for number in part.ravel().tolist()]] for part in each.arrays]
        for each in cast(tuple[Ladder, ...], value)
    ]
    modes = [each.rounding.value for each in cast(tuple[Ladder, ...], value)]
    return json.dumps(json.dumps([rows, modes]))


def read_ladders(text: str) -> tuple[Ladder, ...]:
    """Return the ladders of a text, which is not trusted; raise a ProgramError if they are damaged."""

    def numbers(shape: list[int], texts: list[str]) -> Reals:
        return np.array([float.fromhex(each) for each in texts]).reshape(shape)

    try:
        rows = [*zip(*json.loads(json.loads(text)), strict=True)]
        ladders = tuple(Ladder(Rounding(mode), *(numbers(*part) for part in parts)) for parts, mode in rows)
    except (TypeError, ValueError, RecursionError) as error:
        raise ProgramError(f"{_short(text)}, which are no ladders") from error
    if len(ladders) > MAX_LADDERS:
        raise ProgramError(f"{len(ladders)} ladders of an input", accepted=f"at most {MAX_LADDERS}")
    return ladders


_TUPLE = _Codec(write_tuple, read_tuple)
_POSITIONS = _Codec(write_array, lambda text: read_array(text).astype(np.int64))

_CODECS: dict[object, _Codec] = {
    "Ints": _Codec(write_array, lambda text: frozen(read_array(text))),
    "IntArray": _Codec(write_array, lambda text: short(frozen(read_array(text)))),
    "Fracs": _POSITIONS,
    "Positions": _POSITIONS,
    "int": _Codec(str, int),
    "bool": _Codec(lambda value: str(int(bool(value))), lambda text: _read_bit(text) == 1),
    "str": _Codec(write_name, read_name),
    "tuple[int, ...]": _TUPLE,
    "tuple[tuple[int, int], ...]": _Codec(
        lambda value: write_tuple(tuple(itertools.chain(*cast(tuple[tuple[int, int], ...], value)))), _read_pairs
    ),
    "Rounding": _Codec(lambda value: cast(Rounding, value).value, Rounding),
    "Overflow": _Codec(lambda value: cast(Overflow, value).value, Overflow),
    "Relation": _Codec(lambda value: cast(Relation, value).value, Relation),
    "tuple[Ladder, ...]": _Codec(write_ladders, read_ladders),
}
"""Codec of a field of an op, by its annotation."""

_OPS: dict[str, Callable[..., Op]] = {kind.__name__.lower(): kind for kind in get_args(Op)}
_FIELDS: dict[str, dict[str, _Codec]] = {
    name: {each.name: _CODECS[each.type] for each in fields(kind) if each.name != "body"}
    for name, kind in zip(_OPS, get_args(Op), strict=True)
}
"""The fields of each op by its name; the body of a scan is a block of lines."""

_LEFT_OUT: dict[str, object] = {"kept": 0, "ladders": ()}
"""Fields that texts lack where they have these values, as all older texts do."""


def to_text(program: Program) -> str:
    """The program as text that :func:`parse` turns back into an equal program."""
    return "\n".join(_lines(program, "")) + "\n"


def _lines(program: Program, indent: str) -> Iterator[str]:
    for index, node in enumerate(program.nodes):
        name = type(node.op).__name__.lower()
        words = [f"{indent}%{index}: {node.type} = {name}", *(f"%{arg}" for arg in node.args), *_written(node.op)]
        if node.type != infer(node.op, program.types(node.args)):
            parts = (node.type.frac, node.type.lo, node.type.hi)
            words.append("within " + " ".join(write_array(part) for part in parts))
        if node.layer:
            words.append(f"@{write_name(node.layer)}")
        if isinstance(node.op, ops.Scan):
            yield " ".join([*words, "{"])
            yield from _lines(node.op.body, indent + "  ")
            yield f"{indent}}}"
        else:
            yield " ".join(words)
    for kind, results in (("output", program.outputs), ("probe", program.probes)):
        for result in results:
            yield f"{indent}{kind} {write_name(result.name)} %{result.node}"


def _written(op: Op) -> list[str]:
    codecs = _FIELDS[type(op).__name__.lower()]
    values = ((key, getattr(op, key), codec) for key, codec in codecs.items())
    return [f"{key}={codec.write(value)}" for key, value, codec in values if key not in _LEFT_OUT or value]


def write_op(op: Op) -> str:
    """An op without a body as text: ``window size=(3,3) stride=(1,1) dilation=(1,1) padding=(0,0,0,0)``."""
    return " ".join([type(op).__name__.lower(), *_written(op)])


def parse(text: str) -> Program:
    """The program that ``text`` describes. ``text`` is not trusted.

    Raises:
        ProgramError: the line that is wrong, and why.
    """
    reader = _ProgramReader(text.splitlines())
    program = reader.program(0)
    if reader.at < len(reader.lines):
        raise ProgramError("a } without its {", where=f"line {reader.at + 1}")
    return program


class _ProgramReader:
    """Reads lines; ``at`` is the next one."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0

    def program(self, depth: int) -> Program:
        """A program up to the end of the text or of the block."""
        if depth > MAX_DEPTH:
            raise ProgramError("scans nested too deep", where=f"line {self.at}", accepted=f"{MAX_DEPTH} levels")
        nodes: list[Node] = []
        types: list[TensorType] = []
        outputs: list[Output] = []
        probes: list[Output] = []
        while self.at < len(self.lines):
            line, number = self.lines[self.at].strip(), self.at + 1
            if line == "}":
                break
            self.at += 1
            if not line or line.startswith("#"):
                continue
            try:
                if line.startswith("%"):
                    nodes.append(self._node(line, types, depth))
                    types.append(nodes[-1].type)
                elif line.startswith("output "):
                    outputs.append(_result(line.removeprefix("output ")))
                elif line.startswith("probe "):
                    probes.append(_result(line.removeprefix("probe ")))
                else:
                    raise ProgramError(f"{_short(line)}, which is neither a node nor an output nor a probe")
            except ProgramError as error:
                if error.where.startswith("line "):
                    raise
                raise ProgramError(error.found, where=f"line {number}", accepted=error.accepted) from error
            except (BitsmithError, ValueError, OverflowError, RecursionError) as error:
                raise ProgramError(str(error), where=f"line {number}") from error
        result = Program(tuple(nodes), tuple(outputs), tuple(probes))
        try:
            check_results("output", outputs, len(nodes))
            check_results("probe", probes, len(nodes))
            check_results("input", [Output(op.name, 0) for op in result.input_ops()], 1)
            if not outputs:
                raise ProgramError("a program without outputs")
        except ProgramError as error:
            raise ProgramError(error.found, where=f"line {self.at}") from error
        return result

    def _node(self, line: str, types: list[TensorType], depth: int) -> Node:
        match = _NODE.fullmatch(line)
        if match is None:
            raise ProgramError(f"{_short(line)}, which is not a node")
        index, type_text, name, rest = int(match[1]), (match[2] or "").strip(), match[3], match[4]
        if index != len(types):
            raise ProgramError(f"node %{index} where %{len(types)} comes next")
        if name not in _OPS:
            raise ProgramError(f"an op called {name!r}", accepted=", ".join(_OPS))
        words = _words(rest, _FIELDS[name])
        if name == "scan":
            op: Op = ops.Scan(self._body(words.block, depth), **cast(dict[str, int], words.values))
        elif words.block:
            raise ProgramError(f"a block after {name}")
        else:
            op = _OPS[name](**words.values)
        result = check_node(op, words.args, types, None)
        if words.declared:
            frac, lo, hi = words.declared
            declared = TensorType.of(result.shape, frac, lo, hi)
            if not declared.contains(result):
                raise ProgramError(f"a node within {declared}, while its op gives {result}")
            result = declared
        if type_text and type_text != str(result):
            raise ProgramError(f"a node of type {type_text}, while its op gives {result}")
        return Node(op, words.args, result, words.layer)

    def _body(self, block: bool, depth: int) -> Program:
        if not block:
            raise ProgramError("a scan without its body in braces")
        body = self.program(depth + 1)
        if self.at >= len(self.lines):
            raise ProgramError("a { without its }")
        self.at += 1
        return body


@dataclass(frozen=True, slots=True)
class _Words:
    """All that follows the name of an op."""

    args: tuple[int, ...]
    values: dict[str, object]
    declared: list[IntArray]
    layer: str
    block: bool


def _words(text: str, codecs: dict[str, _Codec]) -> _Words:
    args: list[int] = []
    values: dict[str, object] = {}
    declared: list[IntArray] = []
    layer, block, within = "", False, False
    tokens = _tokens(text)
    for token in tokens:
        if token == "{":
            block = True
        elif token == "@":
            layer = read_name(next(tokens, ""))
        elif token == "within":
            within = True
        elif token.startswith("%"):
            args.append(int(token[1:]))
        elif token.endswith("="):
            key = token[:-1]
            if key not in codecs or key in values:
                raise ProgramError(f"an argument {key!r}", accepted=", ".join(codecs) + ", once each")
            values[key] = codecs[key].read(next(tokens, ""))
        elif within and len(declared) < 3:
            declared.append(read_array(token))
        else:
            raise ProgramError(f"{_short(token)}, which is out of place")
    values |= {key: value for key, value in _LEFT_OUT.items() if key in codecs and key not in values}
    if set(values) != set(codecs):
        raise ProgramError(f"no argument {', '.join(sorted(set(codecs) - set(values)))}")
    if within and len(declared) != 3:
        raise ProgramError("within needs three arrays: frac, lo and hi")
    return _Words(tuple(args), values, declared, layer, block)


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ProgramError(f"{_short(text[at:])}, which cannot be read")
        at = match.end()
        if match[1]:
            yield match[1]


def _result(text: str) -> Output:
    name, _, node = text.strip().rpartition(" ")
    if not re.fullmatch(r"%\d+", node):
        raise ProgramError(f"{_short(text)}, which is not a name and a node")
    return Output(read_name(name.strip()), int(node[1:]))


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
