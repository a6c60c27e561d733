"""The oracle is the meaning of a program; the emulator must agree with it on random programs, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.emulate import Emulator, lookups
from bitsmith.emulate.workspace import States
from bitsmith.ir.check import check
from bitsmith.ir.program import Output, Program
from bitsmith.ir.text import parse, to_text
from bitsmith.ir.types import objects
from tests.ir import oracle
from tests.properties import JUDGED, shares
from tests.properties.programs import random_program, random_stimuli, sample

SHARES = 16
PER_SHARE = 10
SAMPLES = 5


def all_visible(program: Program) -> Program:
    """The program with its probes as outputs."""
    extra = tuple(Output(f"probe {probe.name}", probe.node) for probe in program.probes)
    return Program(program.nodes, (*program.outputs, *extra))


def assert_equal_to_oracle(program: Program, seed: int, samples: int, *, tables: bool = False) -> None:
    stimuli = random_stimuli(program, seed, samples)
    results = Emulator(program, tables=tables).run_raw(stimuli)
    for index in range(samples):
        # evaluate_nodes also refuses values outside their types: type inference is sound on what was tried.
        expected = oracle.evaluate_nodes(program, sample(stimuli, index))
        for output, result in zip(program.outputs, results, strict=True):
            got, want = objects(result[index]), expected[output.node]
            assert np.array_equal(got, want), f"seed {seed}, sample {index}, {output}\n{to_text(program)}"


@shares(SHARES, fast=4)
def test_states_live_on_between_samples_until_a_reset(share: int) -> None:
    for seed in range(share * PER_SHARE, (share + 1) * PER_SHARE):
        program = all_visible(random_program(seed, max_ops=20, keeping=True))
        check(program)
        stimuli, emulator = random_stimuli(program, seed, 7), Emulator(program, tables=bool(seed % 2))
        states: States = {}
        left: oracle.States = {}
        for first, last in ((0, 3), (3, 4), (4, 7)):  # the last ones after a reset
            if first == 4:
                states.clear()
                left.clear()
            results = emulator.run_raw([raw[first:last] for raw in stimuli], states)
            for index in range(first, last):
                expected = oracle.evaluate_nodes(program, sample(stimuli, index), left)
                for output, result in zip(program.outputs, results, strict=True):
                    assert np.array_equal(objects(result[index - first]), expected[output.node]), (seed, index, output)
        whole = emulator.run_raw([raw[4:] for raw in stimuli])
        assert all(np.array_equal(a, b) for a, b in zip(whole, results, strict=True))


@shares(SHARES, fast=8)
def test_emulator_equals_oracle(share: int) -> None:
    for seed in range(share * PER_SHARE, (share + 1) * PER_SHARE):
        program = all_visible(random_program(seed, parameters=True))
        check(program)
        assert_equal_to_oracle(program, seed, SAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(100))
def test_emulator_equals_oracle_at_length(share: int) -> None:
    for seed in range(100_000 + share * 30, 100_000 + (share + 1) * 30):
        assert_equal_to_oracle(all_visible(random_program(seed, parameters=True)), seed, 8)


@pytest.mark.parametrize("share", range(4))
def test_tables_hold_what_the_ops_compute(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "LEAST_PASSES", 1)
    for seed in range(share * PER_SHARE, (share + 1) * PER_SHARE):
        assert_equal_to_oracle(random_program(seed), seed, SAMPLES, tables=True)


@pytest.mark.parametrize("share", range(4))
def test_each_node_alone(share: int) -> None:
    """Every value is seen as an output once, so that nothing is hidden by what comes after it."""
    for seed in range(500 + share * 4, 504 + share * 4):
        program = random_program(seed, max_ops=15, parameters=True)
        visible = Program(program.nodes, tuple(Output(f"n{k}", k) for k in range(len(program.nodes))))
        assert_equal_to_oracle(visible, seed, 3)


@pytest.mark.parametrize("share", [pytest.param(k, marks=() if k < 2 else JUDGED) for k in range(8)])
def test_text_round_trip(share: int) -> None:
    for seed in range(share * 25, (share + 1) * 25):
        program = random_program(seed, parameters=True)
        text = to_text(program)
        again = parse(text)
        assert again == program
        assert to_text(again) == text


def test_programs_cover_everything() -> None:
    """The generator reaches every op, wide values, per-channel formats and all cast modes."""
    programs = [random_program(seed, parameters=True) for seed in range(150)]
    nodes = [node for program in programs for node in program.nodes]
    kinds = {type(node.op).__name__ for node in nodes}
    assert len(kinds) == 28
    assert max(node.type.max_width for node in nodes) > 64
    assert any(node.type.frac.size > 1 for node in nodes)
    casts = {(node.op.rounding, node.op.overflow) for node in nodes if hasattr(node.op, "overflow")}
    assert len(casts) == 28


def test_program_for_hardware_wraps_to_number_formats_only() -> None:
    for seed in range(60):
        for node in random_program(seed, hardware=True).nodes:
            if type(node.op).__name__ == "Cast" and node.op.overflow.value == "WRAP":
                span = objects(node.op.hi - node.op.lo + 1)
                assert np.all((span & (span - 1)) == 0)
