"""States of a recurrence that every step hands on, and the results of programs that take them as constants."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from bitsmith.emulate.emulator import Emulator
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.held import held_parameters
from bitsmith.ir.types import FixedFormat
from tests.ir import oracle

FORMAT = FixedFormat(True, 8, 0)

STATES = ("held", "exchanged", "number", "sequence")
"""A parameter that each step hands on, one that the first step replaces; a constant and a given tensor that are handed on."""


@pytest.mark.parametrize("order", [*permutations(STATES)][::5])
def test_parameters_that_each_step_hands_on_are_held(order: tuple[str, ...]) -> None:
    body, builder = ProgramBuilder(), ProgramBuilder()
    states = {name: body.input(name, (2,), FORMAT) for name in order}
    x = body.input("x", (2,), FORMAT)
    total = body.cast(body.add(body.add(states["held"], states["exchanged"]), x), FORMAT)
    after = {**states, "exchanged": x}
    steps = body.program([(name, after[name]) for name in order] + [("total", total)])
    sequence, given = builder.input("x", (3, 2), FORMAT), builder.input("given", (2,), FORMAT)
    initial = {
        "held": builder.parameter("w", [5, -7], FORMAT),
        "exchanged": builder.parameter("v", [1, 2], FORMAT),
        "number": builder.const([3, 5]),
        "sequence": given,
    }
    scan = builder.scan(steps, [initial[name] for name in order], [sequence])
    program = builder.program([("y", scan)])
    node = program.nodes[program.outputs[0].node]
    assert held_parameters(program, node) == {order.index("held"): program.nodes[node.args[order.index("held")]]}
    raws = [np.arange(6).reshape(1, 3, 2) - 3, np.array([[9, -9]])]
    (wanted,), (found,) = oracle.evaluate(program, [raw[0] for raw in raws]), Emulator(program).run_raw(raws)
    assert np.asarray(found)[0].tolist() == np.asarray(wanted).tolist() == [[3, -7], [1, -9], [5, -5]]
