"""Netlists as text, one line per word, and back::

    input x[0]: -8..7 frac 2
    input x[1]: -8..7 frac 2
    origin "" x
    %0: -8..7 = port 0 [0]
    %1: -8..7 = port 1 [1]
    origin dense add
    %2: -10..8 = add %0 %1<<2 >> 2 [0]
    output y[0]: -10..8 frac 2 = %2

``<<`` shifts an operand, ``>>`` drops low bits of the result, and ``[0]`` is the word's element of its op's result. Words
belong to the origin above them, or to the one after ``@``, counted from 0. ``table 4[0 1 5*2]`` is a table, 5 twice at its
end; ``rom %3 0 -2`` reads table 0, whose first entry is for -2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import assert_never

from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir.text import read_array, read_name, write_array, write_name
from bitsmith.ir.types import objects
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.check import check
from bitsmith.netlist.netlist import Cell, Field, Netlist, Word, WordOrigin, WordRef
from bitsmith.netlist.pipeline import PipelineStages

_NAME = r'([A-Za-z_][A-Za-z0-9_.\-]*|"(?:[^"\\]|\\.)*")'
_RANGE = r"(-?\d+)\.\.(-?\d+)"
_FIELD = re.compile(rf"(input|output) {_NAME}\[(\d+)\]: {_RANGE} frac (-?\d+)(?: = (%\S+))?")
_ORIGIN = re.compile(rf"origin {_NAME} {_NAME}")
_WORD = re.compile(
    rf"%(\d+): {_RANGE} = ([a-z]+)((?: (?:%\d+(?:<<\d+)?|-?\d+))*)(?: >> (\d+))?(?: @(\d+))?(?: \[(\d+)\])?"
)
_REF = re.compile(r"%(\d+)(?:<<(\d+))?")


def to_text(netlist: Netlist) -> str:
    """The netlist as text that :func:`parse` turns back into an equal netlist."""
    return "\n".join(_lines(netlist)) + "\n"


def stages_to_text(stages: PipelineStages) -> str:
    """The words of each stage, the bits of registers, and the words that are slower than a stage."""
    words: list[list[str]] = [[] for _ in range(stages.stages)]
    for word, stage in enumerate(stages.stage):
        if stage >= 0:
            words[stage].append(f" %{word}")
    lines = [f"registers: {stages.register_bits} bits"]
    if stages.over_budget:
        lines.append("over budget:" + "".join(f" %{word}" for word in stages.over_budget))
    return "\n".join([*lines, *(f"stage {number}:{''.join(found)}" for number, found in enumerate(words))]) + "\n"


def _lines(netlist: Netlist) -> Iterator[str]:
    for each in netlist.inputs:
        yield f"input {_field(each)}"
    for table in netlist.tables:
        yield f"table {write_array(objects(table))}"
    origins = 0
    for index, word in enumerate(netlist.words):
        while origins <= word.origin:
            yield _origin(netlist.origins[origins])
            origins += 1
        drop = f" >> {word.drop}" if word.drop else ""
        origin = f" @{word.origin}" if word.origin < origins - 1 else ""
        element = f" [{word.element}]" if word.element >= 0 else ""
        yield f"%{index}: {word.lo}..{word.hi} = {_cell(word.cell)}{drop}{origin}{element}"
    yield from map(_origin, netlist.origins[origins:])
    for each, ref in zip(netlist.outputs, netlist.results, strict=True):
        yield f"output {_field(each)} = {_ref(ref)}"


def _field(field: Field) -> str:
    return f"{write_name(field.tensor)}[{field.index}]: {field.lo}..{field.hi} frac {field.frac}"


def _origin(origin: WordOrigin) -> str:
    return f"origin {write_name(origin.layer)} {write_name(origin.op)}"


def _ref(ref: WordRef) -> str:
    return f"%{ref.word}<<{ref.shift}" if ref.shift else f"%{ref.word}"


def _cell(cell: Cell) -> str:
    match cell:
        case cells.InputPort():
            return f"port {cell.element}"
        case cells.Literal():
            return f"literal {cell.value}"
        case cells.AddSub():
            return f"{'sub' if cell.subtract else 'add'} {_ref(cell.a)} {_ref(cell.b)}"
        case cells.TernaryAdder():
            return f"{_ternary(cell.subtract_b, cell.subtract_c)} {_ref(cell.a)} {_ref(cell.b)} {_ref(cell.c)}"
        case cells.Multiplier():
            return f"mul %{cell.a} %{cell.b}"
        case cells.View():
            return f"view %{cell.a}"
        case cells.Comparator():
            return f"{cell.predicate.name.lower()} {_ref(cell.a)} {_ref(cell.b)}"
        case cells.Mux():
            return f"mux %{cell.condition} {_ref(cell.a)} {_ref(cell.b)}"
        case cells.RomRead():
            return f"rom %{cell.address} {cell.table} {cell.first}"
        case _:
            assert_never(cell)


def _ternary(subtract_b: bool, subtract_c: bool) -> str:
    return f"{'sub' if subtract_b else 'add'}{'sub' if subtract_c else 'add'}"


def parse(text: str) -> Netlist:
    """The netlist that ``text`` describes.

    Raises:
        ProgramError: the line that cannot be read, or the rule that the netlist breaks.
    """
    reader = _NetlistReader()
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip():
                reader.read(line.strip())
        except (BitsmithError, ValueError) as error:
            found = error.found if isinstance(error, BitsmithError) else str(error)
            raise ProgramError(found, where=f"line {number}") from error
    netlist = reader.netlist()
    check(netlist)
    return netlist


class _NetlistReader:
    """Collects what lines say."""

    def __init__(self) -> None:
        self._words: list[Word] = []
        self._tables: list[tuple[int, ...]] = []
        self._origins: list[WordOrigin] = []
        self._inputs: list[Field] = []
        self._outputs: list[Field] = []
        self._results: list[WordRef] = []

    def netlist(self) -> Netlist:
        """All that was read."""
        words, tables, origins = tuple(self._words), tuple(self._tables), tuple(self._origins)
        return Netlist(words, tables, origins, tuple(self._inputs), tuple(self._outputs), tuple(self._results))

    def read(self, line: str) -> None:
        """Add what a line says."""
        if line.startswith("table "):
            self._tables.append(tuple(map(int, read_array(line.removeprefix("table ")).ravel())))
        elif found := _ORIGIN.fullmatch(line):
            self._origins.append(WordOrigin(read_name(found[1]), read_name(found[2])))
        elif found := _WORD.fullmatch(line):
            self._word(found)
        elif (found := _FIELD.fullmatch(line)) and (found[1] == "output") == bool(found[7]):
            field = Field(read_name(found[2]), int(found[3]), int(found[4]), int(found[5]), int(found[6]))
            if found[7]:
                self._outputs.append(field)
                self._results.append(_read_ref(found[7]))
            else:
                self._inputs.append(field)
        else:
            raise ProgramError(f"{line[:60]!r}, which cannot be read")

    def _word(self, found: re.Match[str]) -> None:
        if int(found[1]) != len(self._words):
            raise ProgramError(f"word %{found[1]} where %{len(self._words)} comes next")
        origin = len(self._origins) - 1 if found[7] is None else int(found[7])
        cell = _read_cell(found[4], found[5].split())
        element = -1 if found[8] is None else int(found[8])
        self._words.append(Word(cell, int(found[2]), int(found[3]), int(found[6] or 0), origin, element))


def _read_ref(text: str) -> WordRef:
    found = _REF.fullmatch(text)
    if found is None:
        raise ProgramError(f"{text!r}, which is not a word")
    return WordRef(int(found[1]), int(found[2] or 0))


def _read_word(text: str) -> int:
    ref = _read_ref(text)
    if ref.shift:
        raise ProgramError(f"{text!r}, where a word without a shift is needed")
    return ref.word


def _read_cell(kind: str, args: list[str]) -> Cell:
    match kind, args:
        case "port", [element]:
            return cells.InputPort(int(element))
        case "literal", [value]:
            return cells.Literal(int(value))
        case (("add" | "sub"), [a, b]):
            return cells.AddSub(_read_ref(a), _read_ref(b), kind == "sub")
        case (("addadd" | "addsub" | "subadd" | "subsub"), [a, b, c]):
            refs = (_read_ref(a), _read_ref(b), _read_ref(c))
            return cells.TernaryAdder(*refs, kind.startswith("sub"), kind.endswith("sub"))
        case "mul", [a, b]:
            return cells.Multiplier(_read_word(a), _read_word(b))
        case "view", [a]:
            return cells.View(_read_word(a))
        case (("lt" | "ge" | "eq" | "ne"), [a, b]):
            return cells.Comparator(cells.Predicate[kind.upper()], _read_ref(a), _read_ref(b))
        case "mux", [condition, a, b]:
            return cells.Mux(_read_word(condition), _read_ref(a), _read_ref(b))
        case "rom", [address, table, first]:
            return cells.RomRead(_read_word(address), int(table), int(first))
        case _:
            raise ProgramError(f"a cell {kind!r} of {len(args)} operands")
