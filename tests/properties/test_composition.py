"""Random programs in parts compute what the whole does, and parts joined again do, too."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bitsmith.emulate import Emulator
from bitsmith.ir.check import check
from bitsmith.ir.composition import crossings, joined, numbered_parts, part
from bitsmith.ir.ops import Const
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints, objects
from bitsmith.passes.program.drop_dead import drop_dead
from tests.ir import oracle
from tests.properties.programs import random_program, random_stimuli


def _parts(program: Program, seed: int) -> list[Program]:
    rng = random.Random(seed)
    live = {output.node for output in program.outputs}
    for index in range(len(program.nodes) - 1, -1, -1):
        live.update(program.nodes[index].args if index in live else ())
    computed = [index for index in sorted(live) if not isinstance(program.nodes[index].op, Const)]
    cuts = sorted(rng.sample(computed, min(rng.randint(1, 3), len(computed))))
    numbers = numbered_parts(program, cuts)
    names = {one.node: f"crossing{one.node}" for one in crossings(program, numbers)}
    return [part(program, numbers, number, names) for number in range(len(cuts) + 1)]


def _run(parts: list[Program], known: dict[str, Ints]) -> dict[str, Ints]:
    for one in parts:
        samples = len(next(iter(known.values())))
        if one.outputs and one.inputs:
            check(one)
            results = Emulator(one).run_raw([known[op.name] for op in one.input_ops()])
            known |= {output.name: objects(raw) for output, raw in zip(one.outputs, results, strict=True)}
        elif one.outputs:  # of constants alone
            values = oracle.evaluate_nodes(one, [])
            known |= {output.name: objects(np.stack([values[output.node]] * samples)) for output in one.outputs}
    return known


@pytest.mark.parametrize("seed", range(60))
def test_parts_compute_what_the_whole_does(seed: int) -> None:
    program = drop_dead(random_program(seed, parameters=True), keep_probes=False)
    stimuli = random_stimuli(program, seed, 6)
    wanted = Emulator(program).run_raw(stimuli)
    parts = _parts(program, seed)
    known = _run(parts, {op.name: raw for op, raw in zip(program.input_ops(), stimuli, strict=True)})
    for output, raw in zip(program.outputs, wanted, strict=True):
        assert np.array_equal(known[output.name], objects(raw)), output


@pytest.mark.parametrize("seed", range(30))
def test_joined_parts_are_the_whole(seed: int) -> None:
    program = drop_dead(random_program(seed), keep_probes=False)
    parts = {f"part{number}": one for number, one in enumerate(_parts(program, seed))}
    places = {output.name: (name, output.name) for name, one in parts.items() for output in one.outputs}
    wires = {
        (name, op.name): places[op.name] for name, one in parts.items() for op in one.input_ops() if op.name in places
    }
    whole = joined(parts, wires)
    check(whole)
    stimuli = random_stimuli(program, seed, 6)
    given = {op.name: raw for op, raw in zip(program.input_ops(), stimuli, strict=True)}
    found = Emulator(whole).run_raw([given[op.name.partition(".")[2]] for op in whole.input_ops()])
    results = {one.name.partition(".")[2]: objects(raw) for one, raw in zip(whole.outputs, found, strict=True)}
    for output, raw in zip(program.outputs, Emulator(program).run_raw(stimuli), strict=True):
        assert np.array_equal(results[output.name], objects(raw)), output
