"""Modules of look-up tables: a case statement each, which synthesis makes look-up tables or block memory of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bitsmith.netlist.netlist import Netlist, RomRead, Word, reduce_bits
from bitsmith.rtl.expressions import literal


@dataclass(frozen=True, slots=True)
class TableShape:
    """The identity of a table module: contents, the bits of them that are kept, and the type of the address."""

    table: int
    first: int
    drop: int
    width: int
    signed: bool
    address_width: int
    address_signed: bool

    @staticmethod
    def of(netlist: Netlist, word: Word, rom: RomRead) -> TableShape:
        """The module that computes ``word``."""
        address = netlist.words[rom.address]
        return TableShape(rom.table, rom.first, word.drop, word.width, word.signed, address.width, address.signed)

    def ports(self) -> list[str]:
        """Declarations of the ports."""
        return [
            f"input logic {'signed ' if self.address_signed else ''}[{self.address_width - 1}:0] address",
            f"output logic {'signed ' if self.signed else ''}[{self.width - 1}:0] value",
        ]

    def body(self, netlist: Netlist) -> list[str]:
        """The case statement; the most frequent value is the default."""
        least = -(1 << (self.width - 1)) if self.signed else 0
        most = least + (1 << self.width) - 1
        values = [reduce_bits(entry >> self.drop, least, most) for entry in netlist.tables[self.table]]
        (usual, _), *_ = Counter(values).most_common(1)
        lines = ["always_comb begin", "  case (address)"]
        for address, value in enumerate(values, self.first):
            if value != usual:
                key = literal(address, self.address_width, self.address_signed)
                lines.append(f"    {key}: value = {literal(value, self.width, self.signed)};")
        lines.append(f"    default: value = {literal(usual, self.width, self.signed)};")
        return [*lines, "  endcase", "end"]
