"""Layers in turn that have too few cycles for an engine, and the reuse factor that mends it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.engine.engines import regions_of
from tests.mapping.test_engines import FORMAT, made, perceptron, shared


def test_one_engine_of_two_that_lacks_cycles_is_refused() -> None:
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    x = builder.input("x", (16,), FORMAT)
    for number in range(4):
        with builder.layer(f"dense{number}"):
            x = builder.cast(builder.linear(x, rng.integers(-15, 16, (16, 16)), 6), FORMAT)
        x = builder.mul(x, x) if number == 1 else x
    program = builder.program([("y", x)])
    reuse = shared(program, 1000).reuse

    def last_two(factor: int) -> None:
        made(
            program,
            replace(shared(program, 1000, parallel=True), reuse=reuse | dict.fromkeys(("dense2", "dense3"), factor)),
        )

    with pytest.raises(UnsupportedError, match=r"'dense2', 'dense3'") as refused:
        last_two(20)
    named = int(re.findall(r"ReuseFactor: (\d+)", str(refused.value))[0])
    last_two(named)
    with pytest.raises(UnsupportedError):
        last_two(named - 1)


def test_functions_of_sums_are_made_once_whatever_cycles_there_are() -> None:
    program = perceptron((24, 32, 24, 8))
    (slow,), (fast,) = (regions_of(builder_of(program, shared(program, factor))) for factor in (9999, 300))
    assert slow.row != fast.row
    assert slow.function() is fast.function()
