"""Samples per second of the emulator on a 16-64-32-32-5 network with relu and softmax, at 16 and at 32 bits."""

from __future__ import annotations

import itertools
import time

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat

SIZES = (16, 64, 32, 32, 5)


def softmax(build: ProgramBuilder, x: Value, result: FixedFormat) -> Value:
    """Max-subtract, exponential table, sum, reciprocal table, product."""
    n = x.shape[-1]
    difference = build.sub(x, build.reshape(build.amax(x, [-1]), (1,)))
    address = build.cast(difference, FixedFormat(True, 11, 7))
    raw = np.arange(-(1 << 10), 1 << 10)
    exponentials = np.rint(np.exp(np.minimum(raw, 0) / 2**7) * 2**16).astype(np.int64)
    powers = build.table(address, int(raw[0]), exponentials, 16)
    total = build.cast(build.sum(powers, [-1]), FixedFormat(False, 12, 9))
    entries = np.arange(1 << 12)
    inverses = np.rint(2**17 / np.maximum(entries, 1) * 2**9 / 2**9 * 2**9).astype(np.int64)
    inverse = build.reshape(build.table(total, 0, inverses, 17), (1,))
    return build.cast(build.mul(powers, build.broadcast(inverse, (n,))), result)


def network(width: int, integer: int, *, full_range: bool = False, seed: int = 0) -> Program:
    """The network with every tensor in ``fixed<width,integer>``, truncated and wrapped.

    With ``full_range`` the weights use all bits of their format: sums of 70 bits for 32-bit formats.
    """
    rng = np.random.default_rng(seed)
    fmt = FixedFormat(True, width, width - integer)
    build = ProgramBuilder()
    x = build.input("x", (SIZES[0],), fmt)
    for index, (n_in, n_out) in enumerate(itertools.pairwise(SIZES)):
        weights = np.rint(rng.normal(0, n_in**-0.5, (n_in, n_out)) * 2.0**fmt.frac).astype(np.int64)
        if full_range:
            weights = rng.integers(fmt.lo, fmt.hi, (n_in, n_out))
        bias = np.rint(rng.normal(0, 0.1, n_out) * 2.0**fmt.frac).astype(np.int64)
        with build.layer(f"dense_{index}"):
            x = build.cast(build.add(build.linear(x, weights, fmt.frac), build.const(bias, fmt.frac)), fmt)
        if n_out != SIZES[-1]:
            with build.layer(f"relu_{index}"):
                x = build.cast(build.max(x, build.const(0)), fmt)
    with build.layer("softmax"):
        x = softmax(build, x, fmt)
    return build.program([("y", x)])


def rate(emulator: Emulator, x: np.ndarray, repeats: int = 5) -> float:
    """Samples per second, best of some."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        emulator.run([x])
        best = min(best, time.perf_counter() - start)
    return len(x) / best


def main() -> None:
    """Print the table."""
    x = np.random.default_rng(1).normal(0, 1, (200_000, SIZES[0])).astype(np.float32)
    for width, integer, full_range in ((16, 6, False), (32, 16, False), (32, 16, True)):
        start = time.perf_counter()
        program = network(width, integer, full_range=full_range)
        emulator = Emulator(program)
        emulator.run([x[:1]])
        ready = time.perf_counter() - start
        widest = max(node.type.max_width for node in program.nodes)
        print(f"fixed<{width},{integer}>, sums of up to {widest} bits: {rate(emulator, x):12,.0f} samples/s", end="; ")
        print(f"ready in {ready:.3f} s")


if __name__ == "__main__":
    main()
