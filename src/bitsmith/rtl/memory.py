"""Modules of constant tables, and of memories that can be written while the circuit runs.

In: words as integers. Out: the text of a module, which has a file of its own.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from operator import and_

from bitsmith.devices.blocks import MemoryBlock, table_parts
from bitsmith.rtl.tables import IN_BLOCK, IN_LOGIC, MODULE_IN_LOGIC, chosen_bits
from bitsmith.rtl.writer import Title


def address_bits(words: int) -> int:
    """Bits of an address of one of ``words`` words, at least one."""
    return max((words - 1).bit_length(), 1)


def rom(module: str, width: int, values: Sequence[int], title: Title, block: MemoryBlock, *, clocked: bool) -> str:
    """A constant table of ``values``. With ``clocked``, a word comes a cycle after its address, as from block memory.

    Synthesis may make tables of a power of two words, so those are cut into such that take fewer of the family's ``block`` then.
    """
    bits = address_bits(len(values))
    starts = table_parts(len(values), width, block) if clocked else [0]
    in_logic = clocked and block.is_forbidden
    style = IN_LOGIC if in_logic else IN_BLOCK if clocked and block.says_table(len(values), width) else ""
    ports = [
        *(["input logic clk"] if clocked else []),
        f"input logic [{bits - 1}:0] address",
        f"{style if len(starts) == 1 else ''}output logic [{width - 1}:0] value",
    ]
    if len(starts) == 1:
        body = _looked_up("value", "address", width, values, clocked)
        return title.module(module, ports, body, (), *[MODULE_IN_LOGIC] * in_logic)
    choice = address_bits(len(starts))
    body = [f"logic [{choice - 1}:0] which;"]
    for number, (start, end) in enumerate(pairwise([*starts, len(values)])):
        body.append(f"{style}logic [{width - 1}:0] part{number};")
        within = f"address[{address_bits(end - start) - 1}:0]"
        body += _looked_up(f"part{number}", within, width, values[start:end], clocked)
    later = [f"{choice}'(address >= {bits}'d{start})" for start in starts[1:]]
    body.append(f"always_ff @(posedge clk) which <= {' + '.join(later)};")
    chosen = "".join(f"which == {choice}'d{number} ? part{number} : " for number in range(len(starts) - 1))
    body.append(f"assign value = {chosen}part{len(starts) - 1};")
    return title.module(module, ports, body)


def rom_of_bits(module: str, width: int, values: Sequence[int], title: Title) -> str:
    """A table as `rom` makes it without a clock, of a constant for each bit."""
    bits = address_bits(len(values))
    ports = [f"input logic [{bits - 1}:0] address", f"output logic [{width - 1}:0] value"]
    words = [*values, *[reduce(and_, values)] * ((1 << bits) - len(values))]
    return title.module(module, ports, chosen_bits(words, width, clocked=False))


def _looked_up(name: str, address: str, width: int, values: Sequence[int], clocked: bool) -> list[str]:
    """The lines that give ``name`` the word of ``values`` at an address. Bits that all of them set are set beyond them, too."""
    bits, assign = address_bits(len(values)), "<=" if clocked else "="
    return [
        "always_ff @(posedge clk) begin" if clocked else "always_comb begin",
        f"  case ({address})",
        *(f"    {bits}'d{at}: {name} {assign} {width}'h{value:x};" for at, value in enumerate(values)),
        f"    default: {name} {assign} {width}'h{reduce(and_, values):x};",
        "  endcase",
        "end",
    ]


def ram(module: str, width: int, values: Sequence[int], title: Title, in_logic: str) -> str:
    """A memory of words of ``width`` bits, one for each of ``values``, which it has at first.

    A word that is read comes a cycle later. Nothing is read while a word is written, so that block memories of any kind do.
    ``initial`` writes it, too, so that no ``always_ff`` may (IEEE 1800-2017, 9.2.2.4).
    """
    bits = address_bits(len(values))
    if len(values) == 1:
        body = [
            f"logic [{width - 1}:0] word;",
            f"initial word = {width}'h{values[0]:x};",
            "logic unused;",
            "assign unused = ^{write_address, address};",
            "always @(posedge clk) begin",
            "  if (write) word <= write_word;",
            "  else value <= word;",
            "end",
        ]
    else:
        body = [
            f"{f'(* {in_logic} *) ' * bool(in_logic)}logic [{width - 1}:0] words[{len(values)}];",
            "initial begin",
            *(f"  words[{at}] = {width}'h{value:x};" for at, value in enumerate(values)),
            "end",
            "always @(posedge clk) begin",
            "  if (write) words[write_address] <= write_word;",
            "  else value <= words[address];",
            "end",
        ]
    ports = [
        "input logic clk",
        "input logic write",
        f"input logic [{bits - 1}:0] write_address",
        f"input logic [{width - 1}:0] write_word",
        f"input logic [{bits - 1}:0] address",
        f"output logic [{width - 1}:0] value",
    ]
    return title.module(module, ports, body)
