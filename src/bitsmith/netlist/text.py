"""Netlists as text, one line per word::

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

from collections.abc import Iterator
from typing import assert_never

from bitsmith.ir.text import write_array, write_name
from bitsmith.ir.types import objects
from bitsmith.netlist import netlist as cells
from bitsmith.netlist.netlist import Cell, Field, Netlist, WordOrigin, WordRef
from bitsmith.netlist.pipeline import PipelineStages


def to_text(netlist: Netlist) -> str:
    """The netlist as text, from which tests read an equal one."""
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
    for port in netlist.inputs:
        yield f"input {_field(port)}"
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
    for port, ref in zip(netlist.outputs, netlist.results, strict=True):
        yield f"output {_field(port)} = {_ref(ref)}"


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
            signs = "".join("sub" if subtract else "add" for subtract in (cell.subtract_b, cell.subtract_c))
            return f"{signs} {_ref(cell.a)} {_ref(cell.b)} {_ref(cell.c)}"
        case cells.BlockSum():
            return f"blocksum {_ref(cell.a)} {_ref(cell.b)}"
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
