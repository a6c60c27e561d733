"""Layers in turn that have too few cycles for an engine, and the reuse factor that mends it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder
from tests.mapping.test_engines import FORMAT, made, shared


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
