"""Depths and cycles of networks of processes."""

from __future__ import annotations

import pytest

from bitsmith.passes import drop_dead
from bitsmith.plan.partition import partition
from bitsmith.plan.schedule import schedule
from tests.plan.test_partition import demanded
from tests.properties.programs import random_program


@pytest.mark.parametrize("share", range(4))
def test_random_programs_have_a_schedule(share: int) -> None:
    for seed in range(share, 120, 4):
        program = drop_dead(random_program(seed, hardware=True), keep_probes=False)
        network = partition(program, demanded(seed, program))
        found = schedule(network, {})
        assert found.latency >= 1
        assert found.interval >= 1
