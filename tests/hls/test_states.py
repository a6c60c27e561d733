"""C++ of states that live on between frames, beside the emulator over all frames in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bitsmith.dataflow.kinds import Scan
from bitsmith.hls.dialects import Dialect
from bitsmith.hls.recurrence.parts import Recurrence
from bitsmith.hls.recurrence.rounds import in_rounds
from bitsmith.ir import ops
from bitsmith.ir.held import held_parameters
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from tests.hls.compiled import assert_equal_to_emulator
from tests.hls.test_execution import COMPILED_DIALECT
from tests.hls.test_rounds import FEW, cases


def lasting(program: Program) -> Program:
    """``program`` with states that live on, but for those that hold weights."""
    nodes = list(program.nodes)
    for index, node in enumerate(nodes):
        if isinstance(node.op, ops.Scan):
            kept = node.op.states - len(held_parameters(program, node))
            nodes[index] = replace(node, op=replace(node.op, kept=kept))
    return replace(program, nodes=tuple(nodes))


def lasting_cases(*seeds: int) -> tuple[dict[str, Program], dict[str, Directives]]:
    """Random recurrent networks whose states live on, folded and in one process each."""
    programs, directives = cases(*seeds)
    found = {name: lasting(program) for name, program in programs.items()}
    alone = {f"{name}_alone": program for name, program in found.items()}
    return {**found, **alone}, {**directives, **{name: Directives({}, len(name) % 2 == 0) for name in alone}}


def test_states_are_static_variables_that_the_first_frame_alone_sets() -> None:
    programs, directives = lasting_cases(*FEW)
    forms = set[bool]()
    for name, program in programs.items():
        network = in_rounds(partition(program, directives[name]))
        assert network is not None
        forms |= {bool(each.lasting) for each in network.processes if isinstance(each, Recurrence)}
        forms |= {False for each in network.processes if isinstance(each.kind, Scan) and each.kind.kept}
    assert forms == {False, True}


@COMPILED_DIALECT
@pytest.mark.slow
@pytest.mark.ci
def test_equal_to_the_emulator_over_all_frames(tmp_path: Path, dialect: Dialect) -> None:
    programs, directives = lasting_cases(*FEW)
    assert_equal_to_emulator(programs, dialect, tmp_path, demands=directives, samples=20)
