"""Modules of look-up tables: a case statement each, which synthesis makes look-up tables or block memory of.

Where the plan registers a table's value anyway, the register is inside: vendors' tools look for read-only memories within a
module: only a case statement with a register is one for them.

A table of a few look-up tables for each bit is a constant per bit instead, of which the address chooses a bit. Yosys joins
case statements of one address in a decoder, and finds the small functions of its inputs no more. How few depends on the family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.devices.blocks import MemoryBlock
from bitsmith.devices.family import Part
from bitsmith.devices.protection import Protection, check_bits, with_check_bits
from bitsmith.netlist.netlist import Netlist, RomRead, Word
from bitsmith.rtl.expressions import literal

IN_BLOCK = '(* rom_style = "block", syn_romstyle = "EBR" *) '
"""The attributes of the register of a table that is to be block memory, for Vivado, Yosys and Lattice's LSE.

Quartus makes block memory of such tables by itself, and knows no name for it that fits all families.
"""

IN_LOGIC = '(* romstyle = "logic", syn_romstyle = "logic" *) '
"""The same of look-up tables, for Quartus, Yosys and Lattice's LSE."""

MODULE_IN_LOGIC = '(* rom_style = "distributed" *)'
"""The same for Vivado: a module's attribute affects the signals inside (UG901, "Synthesis Attribute Propagation Rules").

On the signal it would stop Yosys, which has no memory of that name that is only read.
"""

RAM_IN_LOGIC = 'ramstyle = "MLAB, no_rw_check", ram_style = "distributed", syn_ramstyle = "distributed"'
"""The attributes of a memory that is to be of look-up tables, for Quartus, Vivado and Yosys, and Lattice's LSE."""

_RAM_IN_REGISTERS = 'ramstyle = "logic", ram_style = "registers", syn_ramstyle = "registers"'
"""The same for families whose look-up tables hold no memory."""

_MAYBE_BLOCK_BITS = 512
"""Bits of a table from which on some tool might choose block memory."""


def ram_in_logic(block: MemoryBlock, part: Part | None) -> str:
    """The attributes of memories for ``part`` where they must not be block memory; none where they may."""
    if not block.is_forbidden:
        return ""
    return _RAM_IN_REGISTERS if part is not None and part.family.area.memory_words == 1 else RAM_IN_LOGIC


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
    clocked: bool
    in_block: bool
    of_bits: bool
    protection: Protection

    @staticmethod
    def of(
        netlist: Netlist,
        word: Word,
        rom: RomRead,
        protection: Protection,
        *,
        clocked: bool,
        in_block: bool,
        of_bits: bool,
    ) -> TableShape:
        """The module that computes ``word``, or with ``clocked`` the word one register later, ``in_block`` memory.

        There words have check bits, if it is to have any. A table ``of_bits`` is a constant for each of them.
        """
        address = netlist.words[rom.address]
        check = protection if clocked and in_block else Protection.NONE
        return TableShape(
            rom.table,
            rom.first,
            word.drop,
            word.width,
            word.signed and check is Protection.NONE,
            address.width,
            address.signed,
            clocked=clocked,
            in_block=in_block,
            of_bits=of_bits,
            protection=check,
        )

    @property
    def in_logic(self) -> bool:
        """True if some tool might make block memory of a table that is to be of look-up tables."""
        return not self.in_block and self.width << self.address_width >= _MAYBE_BLOCK_BITS

    @property
    def check(self) -> int:
        """Check bits of a word."""
        return check_bits(self.width, self.protection)

    def ports(self) -> list[str]:
        """Declarations of the ports."""
        style = IN_BLOCK if self.in_block else IN_LOGIC * self.in_logic
        return [
            *(["input logic clk"] if self.clocked else []),
            f"input logic {'signed ' if self.address_signed else ''}[{self.address_width - 1}:0] address",
            f"{style}output logic {'signed ' if self.signed else ''}[{self.width + self.check - 1}:0] value",
        ]

    def body(self, netlist: Netlist) -> list[str]:
        """The choice of a value by the address; the most frequent value is that of addresses without an entry."""
        width = self.width + self.check
        entries = [entry >> self.drop & (1 << self.width) - 1 for entry in netlist.tables[self.table]]
        values = [with_check_bits(entry, self.width, self.protection) for entry in entries]
        (usual, _), *_ = Counter(values).most_common(1)
        if self.of_bits:
            return self._chosen_bits(values, usual)
        assign = "<=" if self.clocked else "="
        lines = ["always_ff @(posedge clk) begin" if self.clocked else "always_comb begin", "  case (address)"]
        for address, value in enumerate(values, self.first):
            if value != usual:
                key = literal(address, self.address_width, self.address_signed)
                lines.append(f"    {key}: value {assign} {literal(value, width, self.signed)};")
        lines.append(f"    default: value {assign} {literal(usual, width, self.signed)};")
        return [*lines, "  endcase", "end"]

    def _chosen_bits(self, values: list[int], usual: int) -> list[str]:
        """A constant for each bit of the value, and the choices of the address."""
        words = [usual] * (1 << self.address_width)
        for place, value in enumerate(values):
            words[(self.first + place) % len(words)] = value
        return chosen_bits(words, self.width, clocked=self.clocked)


def chosen_bits(words: Sequence[int], width: int, *, clocked: bool) -> list[str]:
    """A constant for each bit of ``value``, and the choices of an address that has a value for each of ``words``."""
    # Concatenated, since an address with a sign would be a negative index.
    choices = [f"value[{bit}] {'<=' if clocked else '='} BIT_{bit}[{{address}}];" for bit in range(width)]
    columns = [sum((word >> bit & 1) << address for address, word in enumerate(words)) for bit in range(width)]
    size = len(words)
    lines = [f"localparam logic [{size - 1}:0] BIT_{bit} = {size}'h{column:x};" for bit, column in enumerate(columns)]
    if not clocked:
        return [*lines, *(f"assign {choice}" for choice in choices)]
    return [*lines, "always_ff @(posedge clk) begin", *(f"  {choice}" for choice in choices), "end"]
