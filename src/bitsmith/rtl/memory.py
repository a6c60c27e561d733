"""Memories that can be written while the circuit runs, with what they have at first."""

from __future__ import annotations

from collections.abc import Sequence

from bitsmith.rtl.writer import Title


def ram(module: str, width: int, values: Sequence[int], title: Title) -> str:
    """A memory of words of ``width`` bits, one for each of ``values``. What is read comes a cycle later; nothing is read while
    a word is written, so that block memories do as they are.
    """
    address_bits = max((len(values) - 1).bit_length(), 1)
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
        f"input logic [{address_bits - 1}:0] write_address",
        f"input logic [{width - 1}:0] write_word",
        f"input logic [{address_bits - 1}:0] address",
        f"output logic [{width - 1}:0] value",
    ]
    head = f"// Written by {title.tool}, project {title.digest}."
    return "\n".join(
        [head, f"module {module} (", ",\n".join(f"  {port}" for port in ports), ");", *body, "endmodule", ""]
    )
