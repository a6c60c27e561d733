"""What is computed alike from the same wires is the same, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bitsmith.dataflow.wires import Wiring, repeats
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.types import FixedFormat
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition

Made = Callable[[ProgramBuilder, Value], Value]


def steps(build: ProgramBuilder) -> Value:
    return build.const(np.arange(8))


@pytest.mark.parametrize(
    ("made", "number"),
    [
        (lambda build, x: x, 1),
        (lambda build, x: build.max(x, build.const(0)), 1),
        (lambda build, x: build.cast(build.mul(x, x), FixedFormat(True, 8, 4)), 1),
        (lambda build, x: build.add(x, steps(build)), 8),
        (lambda build, x: build.cast(build.shift(x, np.arange(8)), FixedFormat(True, 8, 4)), 8),
        (lambda build, x: build.add(x, build.const([3, 3, 5, 3, 5, 5, 5, 5])), 2),
        (lambda build, x: build.concat([build.slice(x, (0,), (3,)), build.const([7, 7, 9, 7, 9])], 0), 3),
    ],
    ids=["repeated", "relu", "square", "steps", "shifts", "two", "beside constants"],
)
def test_number_of_wires(made: Made, number: int) -> None:
    build = ProgramBuilder()
    x = made(build, build.broadcast(build.input("x", (1,), FixedFormat(True, 8, 3)), (8,)))
    with build.layer("dense"):
        y = build.linear(x, np.arange(1, 9).reshape(8, 1))
    directives = Directives({"dense": 8}, False, {"dense": MultiplierStyle.SHARED})
    wiring = Wiring(partition(build.program([("y", y)]), directives))
    tokens = [(stream.token.size, at) for at, one in enumerate(wiring.network.processes) for stream in one.takes[:1]]
    wires = wiring.of_operand(next(at for size, at in tokens if size == 8))
    assert len(np.unique(wires)) == number
    assert repeats(wires) == (number <= 4)
