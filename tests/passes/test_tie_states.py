"""Programs whose states are tied give what users get who hand outputs on to inputs themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.check import check
from bitsmith.ir.program import Output, Program
from bitsmith.ir.types import FixedFormat, Ints, objects
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import simplify
from bitsmith.passes.program.tie_states import tie_states
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.programs import random_program, random_stimuli


def ends(seed: int) -> tuple[Program, dict[str, str]] | None:
    """A random program, and outputs of the shapes of some of its inputs."""
    program = random_program(seed, max_ops=25, hardware=True)
    pairs, outputs = dict[str, str](), list(program.outputs)
    for op in program.input_ops()[1:]:
        fitting = [index for index, node in enumerate(program.nodes) if node.type.shape == op.shape]
        outputs.append(Output(f"{op.name}_next", fitting[-1]))
        pairs[op.name] = f"{op.name}_next"
    return (replace(program, outputs=tuple(outputs)), pairs) if pairs else None


def by_hand(program: Program, pairs: dict[str, str], frames: list[Ints]) -> list[list[Ints]]:
    """The outputs beside the states, frame by frame, where outputs are handed on as a user does."""
    emulator, names = Emulator(program), [output.name for output in program.outputs]
    kinds = dict(zip(names, program.types([output.node for output in program.outputs]), strict=True))
    given = [raw[:1] for raw in frames]
    for number, op in enumerate(emulator.inputs):
        if op.name in pairs:
            given[number] = objects(emulator.quantize(number, np.zeros((1, *op.shape)))[0])
    rows = []
    for sample in range(len(frames[0])):
        for number, op in enumerate(emulator.inputs):
            if op.name not in pairs:
                given[number] = frames[number][sample : sample + 1]
        results = dict(zip(names, emulator.run_raw(given), strict=True))
        rows.append([raw for name, raw in results.items() if name not in pairs.values()])
        for number, op in enumerate(emulator.inputs):
            if op.name in pairs:
                kind = kinds[pairs[op.name]]
                values = np.vectorize(lambda raw, frac: float(raw) * 2.0**-frac, otypes=[float])(
                    results[pairs[op.name]], np.broadcast_to(kind.frac, kind.shape)
                )
                given[number] = objects(emulator.quantize(number, values)[0])
    return rows


@shares(8, fast=3)
def test_tied_programs_equal_outputs_that_are_handed_on(share: int) -> None:
    tried = 0
    for seed in range(share, 160, 8):
        found = ends(seed)
        if found is None:
            continue
        program, pairs = found
        widths = program.types([output.node for output in program.outputs])
        if any(kind.max_width > 50 for kind in widths):
            continue  # a float64 does not hold what is handed on
        try:
            tied = simplify(tie_states(program, pairs, {}))
        except UnsupportedError as error:
            assert "no output depends" in error.found
            continue
        check(tied)
        frames = random_stimuli(program, seed, 5)
        left = [raw for raw, op in zip(frames, program.input_ops(), strict=True) if op.name not in pairs]
        expected = [np.concatenate(rows) for rows in zip(*by_hand(program, pairs, frames), strict=True)]
        for raw, want in zip(Emulator(tied).run_raw(left), expected, strict=True):
            np.testing.assert_array_equal(objects(raw), objects(want), err_msg=str(seed))
        assert_same(tied, Directives({}, seed % 2 == 0), seed)
        tried += 1
    assert tried > 2


def test_what_does_not_depend_on_states_stays_outside() -> None:
    build, fmt = ProgramBuilder(), FixedFormat(True, 8, 4)
    x, h = build.input("x", (3,), fmt), build.input("h", (2,), fmt)
    before = build.linear(x, np.array([[1, 2], [3, 4], [5, 6]]), 2)
    following = build.cast(build.add(before, h), fmt)
    program = build.program([("y", build.neg(following)), ("next", following)])
    tied = tie_states(program, {"h": "next"}, {"h": np.array([1, -1], dtype=object)})
    (place,) = tied.keeping
    names = [type(node.op).__name__ for node in tied.nodes]
    assert names.index("Linear") < place and [op.name for op in tied.input_ops()] == ["x"]
    first, second = Emulator(tied).run_raw([np.zeros((2, 3), dtype=np.int64)])[0]
    np.testing.assert_array_equal([first, second], [[-1, 1], [-1, 1]])


@pytest.mark.parametrize(
    ("what", "match"), [("loaded", "can be loaded"), ("apart", "no output depends"), ("own", "states of its own")]
)
def test_what_cannot_be_tied_is_refused(what: str, match: str) -> None:
    build, fmt = ProgramBuilder(), FixedFormat(True, 8, 4)
    x, h = build.input("x", (2,), fmt), build.input("h", (2,), fmt)
    y = x if what == "apart" else build.add(x, h)
    if what == "loaded":
        y = build.add(y, build.parameter("bias", np.zeros(2, dtype=object), fmt))
    if what == "own":
        body = ProgramBuilder()
        state, item = body.input("state", (2,), fmt), body.input("item", (2,), fmt)
        after = body.cast(body.add(state, item), fmt)
        sequence = build.reshape(build.cast(y, fmt), (1, 2))
        start = build.const(np.zeros(2, dtype=np.int64))
        y = build.scan(body.program([("state", after), ("y", after)]), [build.cast(start, fmt)], [sequence], 1)
    program = build.program([("y", y), ("next", build.cast(x, fmt))])
    with pytest.raises(UnsupportedError, match=match):
        tie_states(program, {"h": "next"}, {})
