"""Checks that a netlist obeys its rules."""

from __future__ import annotations

from bitsmith.errors import ProgramError
from bitsmith.netlist.netlist import Cell, InputPort, Literal, Mux, Netlist, RomRead, operands


def check(netlist: Netlist) -> None:
    """Do nothing if ``netlist`` is sound.

    Cells read earlier words; intervals are not empty; tables cover their addresses; conditions are bits; ports, tables,
    origins and results exist.

    Raises:
        ProgramError: the first rule that is broken, naming the word.
    """
    for index, word in enumerate(netlist.words):
        found = _fault(netlist, index, word.cell)
        if word.lo > word.hi or word.drop < 0:
            found = f"an interval {word.lo}..{word.hi} with {word.drop} dropped bits"
        elif not 0 <= word.origin < len(netlist.origins):
            found = f"origin {word.origin} of {len(netlist.origins)}"
        if found:
            raise ProgramError(found, where=f"word %{index}")
    if len(netlist.outputs) != len(netlist.results):
        raise ProgramError(f"{len(netlist.results)} results for {len(netlist.outputs)} outputs")
    for field, ref in zip(netlist.outputs, netlist.results, strict=True):
        if not 0 <= ref.word < len(netlist.words):
            raise ProgramError(f"no word %{ref.word}", where=f"output {field.tensor}[{field.index}]")


def _fault(netlist: Netlist, index: int, cell: Cell) -> str:
    """The rule that a cell breaks; '' if none."""
    for operand in operands(cell):
        if not 0 <= operand < index:
            return f"operand %{operand}, which is not an earlier word"
    match cell:
        case InputPort() if not 0 <= cell.element < len(netlist.inputs):
            return f"input element {cell.element} of {len(netlist.inputs)}"
        case Literal() if cell.value and not cell.value & 1:
            return f"literal {cell.value}, which is neither odd nor 0"
        case Mux() if not 0 <= netlist.words[cell.condition].lo <= netlist.words[cell.condition].hi <= 1:
            return f"condition %{cell.condition}, which is not a bit"
        case RomRead() if not 0 <= cell.table < len(netlist.tables):
            return f"table {cell.table} of {len(netlist.tables)}"
        case RomRead():
            address, size = netlist.words[cell.address], len(netlist.tables[cell.table])
            if address.lo < cell.first or address.hi >= cell.first + size:
                return f"addresses {address.lo}..{address.hi} of a table of {cell.first}..{cell.first + size - 1}"
    return ""
