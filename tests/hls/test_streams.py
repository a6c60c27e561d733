"""Networks of processes as C++ compute what the emulator computes, to the last bit."""

from __future__ import annotations

from pathlib import Path

from bitsmith.hls.dialects import Dialect
from bitsmith.ir.program import Program
from bitsmith.passes import drop_dead
from bitsmith.plan.partition import Demand
from tests.hls.compiled import assert_equal_to_emulator
from tests.hls.test_execution import EACH_DIALECT, programs
from tests.plan.test_partition import demanded


def demands(programs: dict[str, Program]) -> dict[str, Demand]:
    """Random reuse factors; arrays or streams at the border."""
    return {
        top: demanded(seed, drop_dead(program, keep_probes=False))
        for seed, (top, program) in enumerate(programs.items())
    }


@EACH_DIALECT
def test_random_programs(tmp_path: Path, dialect: Dialect) -> None:
    cases = programs(range(100, 106))
    assert_equal_to_emulator(cases, dialect, tmp_path, demands=demands(cases))
