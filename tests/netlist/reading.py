"""Reads netlists back from their text."""

from __future__ import annotations

import re

from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.ir.text import read_array, read_name
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Cell, Field, Netlist, Word, WordOrigin, WordRef
from tests.netlist.check import check

_NAME = r'([A-Za-z_][A-Za-z0-9_.\-]*|"(?:[^"\\]|\\.)*")'
_RANGE = r"(-?\d+)\.\.(-?\d+)"
_FIELD = re.compile(rf"(input|output) {_NAME}\[(\d+)\]: {_RANGE} frac (-?\d+)(?: = (%\S+))?")
_ORIGIN = re.compile(rf"origin {_NAME} {_NAME}")
_WORD = re.compile(
    rf"%(\d+): {_RANGE} = ([a-z]+)((?: (?:%\d+(?:<<\d+)?|-?\d+))*)(?: >> (\d+))?(?: @(\d+))?(?: \[(\d+)\])?"
)
_REF = re.compile(r"%(\d+)(?:<<(\d+))?")


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
        case "blocksum", [a, b]:
            return cells.BlockSum(_read_ref(a), _read_ref(b))
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
