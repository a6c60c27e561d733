"""What engines wait for whose weights come from a memory outside, as estimates say it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bitsmith.dataflow.schedule import schedule
from bitsmith.estimate.fetched import fetched_engines
from bitsmith.mapping.partition import partition
from tests.mapping.test_engines import residual, shared
from tests.mapping.test_fetched_weights import latencies


@pytest.mark.parametrize(("rate", "gap", "waiting"), [(1e9, 1, 0), (0.25, 40, 4)])
def test_the_slower_of_both_is_what_bounds_the_rate(rate: float, gap: int, waiting: int) -> None:
    network = partition(residual(), replace(shared(residual(), 250), weights_rate=rate))
    (engine,) = fetched_engines(network)
    assert engine.gap == -(-engine.bits // rate) == gap
    assert sum(layer.waits for layer in engine.layers) == waiting
    memory = sum(layer.memory_cycles for layer in engine.layers)
    multipliers = sum(layer.multiplier_cycles for layer in engine.layers)
    interval = schedule(network, latencies(network)).interval
    assert interval == memory if memory > multipliers else interval > multipliers > 0.9 * interval
    assert ("the memory is" if memory > multipliers else "multipliers are") in str(engine)
    assert ("wait for weights" in str(engine)) is bool(waiting)


def test_engines_with_weights_in_tables_wait_for_none() -> None:
    assert not [*fetched_engines(partition(residual(), shared(residual(), 250)))]
