"""Modules of constant tables, and of memories that can be written while the circuit runs.

In: words as integers. Out: the text of a module, which has a file of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from bitsmith.rtl.tables import rom_style
from bitsmith.rtl.writer import Title


def address_bits(words: int) -> int:
    """Bits of an address of one of ``words`` words, at least one."""
    return max((words - 1).bit_length(), 1)


def rom(module: str, width: int, values: Sequence[int], title: Title, *, clocked: bool) -> str:
    """A constant table of ``values``. With ``clocked``, a word comes a cycle after its address, as from block memory."""
    bits, assign = address_bits(len(values)), "<=" if clocked else "="
    ports = [
        *(["input logic clk"] if clocked else []),
        f"input logic [{bits - 1}:0] address",
        f"{rom_style(width * len(values)) if clocked else ''}output logic [{width - 1}:0] value",
    ]
    body = [
        "  always_ff @(posedge clk) begin" if clocked else "  always_comb begin",
        "    case (address)",
        *(f"      {bits}'d{at}: value {assign} {width}'h{value:x};" for at, value in enumerate(values)),
        f"      default: value {assign} '0;",
        "    endcase",
        "  end",
    ]
    return _module(module, ports, body, title)


def ram(module: str, width: int, values: Sequence[int], title: Title) -> str:
    """A memory of words of ``width`` bits, one for each of ``values``, which it has at first.

    A word that is read comes a cycle later. Nothing is read while a word is written, so that block memories of any kind do.
    """
    bits = address_bits(len(values))
    if len(values) == 1:
        body = [
            f"  logic [{width - 1}:0] word;",
            f"  initial word = {width}'h{values[0]:x};",
            "  logic unused;",
            "  assign unused = ^{write_address, address};",
            "  always_ff @(posedge clk) begin",
            "    if (write) word <= write_word;",
            "    else value <= word;",
            "  end",
        ]
    else:
        body = [
            f"  logic [{width - 1}:0] words[{len(values)}];",
            "  initial begin",
            *(f"    words[{at}] = {width}'h{value:x};" for at, value in enumerate(values)),
            "  end",
            "  always_ff @(posedge clk) begin",
            "    if (write) words[write_address] <= write_word;",
            "    else value <= words[address];",
            "  end",
        ]
    ports = [
        "input logic clk",
        "input logic write",
        f"input logic [{bits - 1}:0] write_address",
        f"input logic [{width - 1}:0] write_word",
        f"input logic [{bits - 1}:0] address",
        f"output logic [{width - 1}:0] value",
    ]
    return _module(module, ports, body, title)


def _module(name: str, ports: Sequence[str], body: Sequence[str], title: Title) -> str:
    head = f"// Written by {title.tool}, project {title.digest}."
    return "\n".join(
        [head, f"module {name} (", ",\n".join(f"  {port}" for port in ports), ");", *body, "endmodule", ""]
    )
