"""Convolutional networks in narrow tokens compute what the programs compute."""

from __future__ import annotations

import pytest

from bitsmith.dataflow.processes import Sweep
from bitsmith.mapping.partition import partition
from bitsmith.passes import drop_dead
from tests.mapping.test_partition import assert_same
from tests.properties.convolutional import demands, random_network


@pytest.mark.parametrize("share", range(4))
def test_random_networks(share: int) -> None:
    narrow = 0
    for seed in range(share, 80, 4):
        program = random_network(seed)
        directives = demands(seed, program)
        assert_same(program, directives, seed)
        network = partition(drop_dead(program, keep_probes=False), directives)
        narrow += any(isinstance(process.kind, Sweep) for process in network.processes)
    assert narrow > 3
