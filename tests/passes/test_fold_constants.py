"""Folding computes what programs compute of constants, as the oracle says it."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.ir import ops
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program
from bitsmith.ir.text import parse, read_array
from bitsmith.ir.types import Ints
from bitsmith.passes.program import fold_constants
from bitsmith.passes.program.rewrite import Rewriter, rewrite
from tests.ir.oracle import evaluate
from tests.properties.programs import random_program, random_stimuli, sample


def _on_constants(program: Program, inputs: list[Ints]) -> Program:
    """``program`` with constants in place of its inputs."""
    raw = dict(zip(program.input_ops(), inputs, strict=True))

    def rule(new: Rewriter, op: Op, args: tuple[int, ...], layer: str) -> int | None:
        if not isinstance(op, ops.Input) or op not in raw:
            return None
        return new.append(ops.Const(raw[op], op.frac), args, layer)

    return rewrite(program, rule)


def test_programs_of_constants_become_what_the_oracle_says() -> None:
    met: set[str] = set()
    folded = 0
    for seed in range(60):
        program = random_program(seed)
        inputs = sample(random_stimuli(program, seed, 3), seed % 3)
        after = fold_constants(_on_constants(program, inputs))
        expected, got = evaluate(program, inputs), evaluate(after, [])
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True)), seed
        folded += all(isinstance(after.nodes[output.node].op, ops.Const) for output in after.outputs)
        met |= {type(node.op).__name__ for node in program.nodes}
    assert met >= {"Cast", "Window", "Scan", "Table", "MatMul", "Select", "AMax"}
    assert folded >= 40  # of others moves of many elements and changes of scale are left


@pytest.mark.parametrize(
    ("constant", "op", "value"),
    [
        ("3[9 15 -5] frac=1", "cast %0 frac=0 lo=-8 hi=7 rounding=RND overflow=WRAP", "3[5 -8 -2]"),
        ("3[9 15 -5] frac=1", "cast %0 frac=0 lo=-8 hi=6 rounding=TRN overflow=SAT_ZERO", "3[4 0 -3]"),
        ("3[9 15 -5] frac=1", "window %0 size=(2) stride=(1) dilation=(1) padding=(1,0)", "3x2[0 9 9 15 15 -5]"),
        (
            "2x2[1 3 5 7] frac=1x2[0 3]",
            "window %0 size=(2) stride=(1) dilation=(1) padding=(1,0)",
            "2x2x2[0 0 1 3 1 3 5 7]",
        ),
    ],
)
def test_what_intervals_do_not_tell(constant: str, op: str, value: str) -> None:
    after = fold_constants(parse(f"%0 = const raw={constant}\n%1 = {op}\noutput y %1"))
    found = after.nodes[after.outputs[0].node].op
    assert isinstance(found, ops.Const)
    assert np.array_equal(found.raw, read_array(value))
