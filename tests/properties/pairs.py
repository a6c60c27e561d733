"""Random products of two variables, whose axes come in any order."""

from __future__ import annotations

import random

import numpy as np

from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives


def random_pair(seed: int) -> tuple[Program, Directives]:
    """``(*batch, n, k) @ (*batch, k, m)``, and cycles for each row of the result."""
    rng = random.Random(seed)
    build = ProgramBuilder()
    batch = [rng.choice([1, 2, 3])] if rng.random() < 0.6 else []
    n, k, m = rng.choice([1, 2, 4, 5]), rng.choice([2, 4, 6, 8]), rng.choice([2, 4, 6, 8])

    def operand(name: str, shape: list[int]) -> Value:
        perm = list(range(len(shape)))
        if rng.random() < 0.7:
            rng.shuffle(perm)
        kind = FixedFormat(rng.random() < 0.7, rng.randint(3, 7), 2)
        return build.transpose(build.input(name, [shape[axis] for axis in np.argsort(perm)], kind), perm)

    x, y = operand("x", [*batch, n, k]), operand("y", [*batch, k, m])
    if rng.random() < 0.5:
        with build.layer("before"):
            y = build.cast(build.mul(y, build.const(3)), FixedFormat(True, 6, 2, Rounding.RND, Overflow.SAT))
    with build.layer("pair"):
        z = build.cast(build.matmul(x, y), FixedFormat(True, 8, 3, Rounding.RND, Overflow.SAT))
    return build.program([("z", z)]), Directives({"pair": rng.choice([1, 2, 8, 16, 100])}, False)


def attention_at_once(heads: int, n: int, m: int, then: str) -> Program:
    """Scores of ``n`` queries and ``m`` keys, both computed, and what is computed of these."""
    build, form = ProgramBuilder(), FixedFormat(True, 6, 2)
    x, y = (build.input(name, (heads, size, 3), form) for name, size in (("x", n), ("y", m)))
    with build.layer("scores"):
        z = build.cast(build.matmul(build.neg(x), build.transpose(build.neg(y), (0, 2, 1))), form)
        match then:
            case "values":
                z = build.cast(build.matmul(z, build.neg(y)), form)
            case "transposed":
                z = build.transpose(z, (1, 2, 0))
            case "sum of rows":
                z = build.sum(z, (1,))
            case "shifted":
                z = build.add(z, build.input("bias", (heads, 1, m), form))
            case "normalized":
                z = build.mul(z, build.input("scale", (heads, n, 1), form))
    return build.program([("z", z)])
