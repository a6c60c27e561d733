"""Small designs that obey the port contract of generated RTL, each with its meaning in numpy.

They stand in for the compiler's output, so that the flows are tested on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bitsmith.netlist.netlist import Field
from bitsmith.rtl.interface import Interface
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.rtl.writer import Title


@dataclass(frozen=True, slots=True)
class Design:
    """A SystemVerilog top and its reference function on uint32 word arrays (samples, words)."""

    top: str
    source: str
    in_width: int
    out_width: int
    latency: int
    reference: Callable[[NDArray[np.uint32]], NDArray[np.uint32]]

    @property
    def interface(self) -> Interface:
        """One word without a sign on each side."""
        inputs, outputs = (
            StreamPort("", (Field("word", 0, 0, (1 << width) - 1, 0),), 1) for width in (self.in_width, self.out_width)
        )
        return Interface(self.top, (inputs,), (outputs,), self.latency, 1, Title("test", "0"))


def words_to_ints(words: NDArray[np.uint32]) -> list[int]:
    """Each row of little-endian words as one Python integer."""
    return [int.from_bytes(row.astype("<u4").tobytes(), "little") for row in words]


def ints_to_words(values: list[int], width: int) -> NDArray[np.uint32]:
    """Python integers as rows of little-endian words, truncated to ``width`` bits."""
    count = -(-width // 32)
    data = b"".join((value & ((1 << width) - 1)).to_bytes(4 * count, "little") for value in values)
    return np.frombuffer(data, dtype="<u4").reshape(len(values), count).astype(np.uint32)


def random_words(rng: np.random.Generator, samples: int, width: int) -> NDArray[np.uint32]:
    """Uniformly random stimuli of ``width`` bits, unused upper bits zero."""
    words = rng.integers(0, 1 << 32, size=(samples, -(-width // 32)), dtype=np.uint32)
    if width % 32:
        words[:, -1] &= np.uint32((1 << (width % 32)) - 1)
    return words


def passthrough(in_width: int, out_width: int, latency: int, *, top: str = "net") -> Design:
    """A delay line whose output is the input repeated (or cut) to ``out_width`` bits, inverted.

    Any width on either side and any latency: the design for testing ports, packing and wrappers.
    """
    copies = -(-out_width // in_width)
    repeated = copies * in_width
    cut = f"repeated[{out_width - 1}:0]" if out_width > 1 else "repeated[0]"
    unused = (
        f"    logic unused;\n    assign unused = ^repeated[{repeated - 1}:{out_width}];\n"
        if repeated > out_width
        else ""
    )
    source = f"""module {top} (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    input  logic [{in_width - 1}:0] in_data,
    output logic out_valid,
    output logic [{out_width - 1}:0] out_data
);
    logic [{repeated - 1}:0] repeated;
    logic [{out_width - 1}:0] stage [{latency}];
    logic [{latency}:0] valid;
    assign repeated = {{{copies}{{in_data}}}};
{unused}    assign valid[0] = in_valid;
    assign out_valid = valid[{latency}];
    assign out_data = stage[{latency - 1}];
    always_ff @(posedge clk) begin
        stage[0] <= ~{cut};
        for (int i = 1; i < {latency}; i++) stage[i] <= stage[i-1];
        for (int i = 0; i < {latency}; i++) valid[i+1] <= valid[i] & ~rst;
    end
endmodule
"""

    def reference(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
        factor = sum(1 << (i * in_width) for i in range(copies))
        return ints_to_words([~(value * factor) for value in words_to_ints(words)], out_width)

    return Design(top, source, in_width, out_width, latency, reference)


def adders(words: int, stages: int, width: int, *, seed: int = 0, top: str = "net") -> Design:
    """``words * stages`` adders or subtractors of ``width`` wrapping bits on shifted operands, a register after each."""
    rng = np.random.default_rng(seed)
    left = np.stack([rng.permutation(words) for _ in range(stages)])  # every word is used
    right = rng.integers(0, words, size=(stages, words))
    shift = rng.integers(0, max(width // 4, 1), size=(stages, words))
    minus = rng.integers(0, 2, size=(stages, words)).astype(bool)
    total = words * width
    lines = [
        f"module {top} (",
        "    input  logic clk, input logic rst, input logic in_valid,",
        f"    input  logic [{total - 1}:0] in_data,",
        "    output logic out_valid,",
        f"    output logic [{total - 1}:0] out_data",
        ");",
        f"    logic [{stages}:0] valid;",
        "    assign valid[0] = in_valid;",
        f"    assign out_valid = valid[{stages}];",
        f"    always_ff @(posedge clk) for (int i = 0; i < {stages}; i++) valid[i+1] <= valid[i] & ~rst;",
    ]
    lines += [f"    wire logic signed [{width - 1}:0] s0_{j} = in_data[{j * width} +: {width}];" for j in range(words)]
    for i in range(stages):
        lines += [f"    logic signed [{width - 1}:0] s{i + 1}_{j};" for j in range(words)]
        lines.append("    always_ff @(posedge clk) begin")
        lines += [
            f"        s{i + 1}_{j} <= s{i}_{left[i, j]} {'-' if minus[i, j] else '+'} (s{i}_{right[i, j]} <<< {shift[i, j]});"
            for j in range(words)
        ]
        lines.append("    end")
    lines += [f"    assign out_data[{j * width} +: {width}] = s{stages}_{j};" for j in range(words)]
    lines += ["endmodule", ""]

    def reference(stimuli: NDArray[np.uint32]) -> NDArray[np.uint32]:
        mask = (1 << width) - 1
        flat = words_to_ints(stimuli)
        values = np.array([[(value >> (j * width)) & mask for j in range(words)] for value in flat], dtype=np.int64)
        for i in range(stages):
            second = values[:, right[i]] << shift[i]
            values = (values[:, left[i]] + np.where(minus[i], -second, second)) & mask
        packed = [sum(int(v) << (j * width) for j, v in enumerate(row)) for row in values]
        return ints_to_words(packed, total)

    return Design(top, "\n".join(lines), total, total, stages, reference)
