"""Adder graphs of da4ml and alkaid, for ``adder_graphs.py``; runs in an environment of its own that has both.

Reads one case per line as JSON (weights, depth) and writes one line for each solver. Their graphs are
measured here as ours are: full adders from exact integer ranges, processor time of the call alone. An output that
comes out negated takes a negation, of which their Verilog makes an adder. Between two parts a sign is free, since
the adder that follows takes it up.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import alkaid.cmvm
import da4ml.cmvm
import numpy as np
from timed import timed

Value = tuple[int, int, int, int]
"""Least and greatest integer, the power of two that it is multiplied by, depth."""

Source = tuple[int, int]
"""A part, and one of its values."""


def width(low: int, high: int) -> int:
    """Bits that hold every integer of a range."""
    if low >= 0:
        return high.bit_length()
    return max((-low - 1).bit_length(), max(high, 0).bit_length()) + 1


def added(a: Value, b: Value, subtract: bool) -> tuple[Value, int]:
    """The sum or difference of two values, and its full adders."""
    exponent = min(a[2], b[2])
    a_low, a_high = a[0] << (a[2] - exponent), a[1] << (a[2] - exponent)
    b_low, b_high = b[0] << (b[2] - exponent), b[1] << (b[2] - exponent)
    if subtract:
        b_low, b_high = -b_high, -b_low
    low, high = a_low + b_low, a_high + b_high
    # The lowest bits of the lower operand pass through, unless it is the one subtracted.
    passed = b[2] - a[2] if a[2] < b[2] else 0 if subtract else a[2] - b[2]
    return (low, high, exponent, max(a[3], b[3]) + 1), max(width(low, high) - passed, 0)


def measure(parts: Iterable[object]) -> tuple[int, int, int]:
    """Full adders, adders and depth of graphs one after the other."""
    bits = adders = 0
    given: list[Value | None] = []
    opposite: list[Source | None] = []  # of what is given, what it is the opposite of
    for number_of_part, part in enumerate(parts):
        values: list[Value] = []
        passed: dict[int, Source] = {}
        for op in part.ops:
            operands, shift = (op.addr, op.data[0]) if hasattr(op, "addr") else ((op.id0, op.id1), op.data)
            if op.opcode == -1:
                number = op.data[0] if hasattr(op, "addr") else op.id0
                low, high, exponent, depth = (given[number] or (0, 0, 0, 0)) if given else (-128, 127, 0, 0)
                source = opposite[number] if given else None
                if source is not None:
                    passed[len(values)] = source
                values.append((low, high, exponent + part.inp_shifts[number], depth))
                continue
            a, b = values[operands[0]], values[operands[1]]
            value, cost = added(a, (b[0], b[1], b[2] + shift, b[3]), op.opcode == 1)
            values.append(value)
            bits += cost
            adders += 1
        given, opposite = [], []
        for node, shift, negated in zip(part.out_idxs, part.out_shifts, part.out_negs, strict=True):
            if node < 0:
                given.append(None)
                opposite.append(None)
                continue
            low, high, exponent, depth = values[node]
            given.append((-high if negated else low, -low if negated else high, exponent + shift, depth))
            own = (number_of_part, node) if negated else None
            opposite.append(own if node not in passed else None if negated else passed[node])
    negations = {source: value for source, value in zip(opposite, given, strict=True) if source and value}
    bits += sum(width(low, high) for low, high, _, _ in negations.values())
    return bits, adders, max(value[3] for value in given if value)


SOLVERS: dict[str, Callable[[object, int], Sequence[object]]] = {
    "da4ml": lambda weights, depth: da4ml.cmvm.solve(weights, hard_dc=depth, adder_size=1, carry_size=-1).solutions,
    "alkaid": lambda weights, depth: alkaid.cmvm.cmvm_solve(weights, hard_dc=depth),
}


def main() -> None:
    """Answer cases until there are no more."""
    for line in sys.stdin:
        case = json.loads(line)
        weights = np.array(case["weights"], dtype=np.float32)
        for name, solve in SOLVERS.items():
            parts, seconds = timed(partial(solve, weights, case["depth"]))
            bits, adders, depth = measure(parts)
            answer = {"solver": name, "bits": bits, "adders": adders, "depth": depth, "seconds": seconds}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
