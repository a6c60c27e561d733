"""Cycles of engines, and what those wait for whose weights come from a memory outside, as estimates say it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bitsmith.dataflow.engine import Engine
from bitsmith.dataflow.schedule import schedule
from bitsmith.devices.parts import resolve_part
from bitsmith.estimate.engines import words_by_layer
from bitsmith.estimate.turns import EngineCycles, LayerCycles, engine_cycles
from bitsmith.mapping.partition import partition
from tests.mapping.test_engines import residual, shared
from tests.mapping.test_fetched_weights import latencies


@pytest.mark.parametrize(("rate", "gap", "waiting"), [(1e9, 1, 0), (0.25, 40, 4)])
def test_the_slower_of_both_is_what_bounds_the_rate(rate: float, gap: int, waiting: int) -> None:
    network = partition(residual(), replace(shared(residual(), 250), weights_rate=rate))
    (engine,) = engine_cycles(network)
    assert engine.gap == -(-engine.bits // rate) == gap
    assert sum(layer.waits for layer in engine.layers) == waiting
    memory = engine.biases * gap + sum(layer.memory_cycles for layer in engine.layers)
    multipliers = sum(layer.multiplier_cycles for layer in engine.layers)
    interval = schedule(network, latencies(network)).interval
    assert interval == memory if memory > multipliers else interval > multipliers > 0.9 * interval
    assert ("the memory is" if memory > multipliers else "multipliers are") in str(engine)
    assert ("wait for weights" in str(engine)) is bool(waiting)


def test_multipliers_that_are_busy_are_counted() -> None:
    """Of four, both convolutions use all, the sum of two tensors two, and the dense layer of six results three."""
    network = partition(residual(), replace(shared(residual(), 100), weights_rate=1e9))
    (engine,) = engine_cycles(network)
    assert engine.multipliers == 4
    cycles = {layer.name: layer.multiplier_cycles for layer in engine.layers}
    products = {"first": 36 * 36 * 4, "second": 36 * 36 * 4, "join": 36 * 4 * 2, "pool": 9 * 4 * 4, "dense": 36 * 6}
    assert {layer.name: layer.products for layer in engine.layers} == products
    assert engine.busy == sum(products.values()) / sum(cycles.values()) / 4
    assert f"{engine.busy:.0%} of the 4 multipliers are busy" in str(engine)


def test_the_layer_in_which_most_multipliers_are_idle_is_named() -> None:
    layers = [LayerCycles("dense", 9, 9, 90, 360), LayerCycles("sum", 9, 9, 60, 60), LayerCycles("few", 9, 9, 1, 0)]
    assert "70% of the 4 multipliers are busy meanwhile, 25% in 'sum', where most are idle." in str(
        EngineCycles(layers, 4, 8, 1, 0, 0, 0)
    )
    assert "idle" not in str(EngineCycles(layers[:1], 4, 8, 1, 0, 0, 0))


def test_engines_with_weights_in_tables_wait_for_none() -> None:
    """Words and multiplications are those of the engine whose weights come, cycles of a memory are none."""
    (engine,) = engine_cycles(partition(residual(), shared(residual(), 250)))
    (fed,) = engine_cycles(partition(residual(), replace(shared(residual(), 250), weights_rate=1e9)))
    assert engine.gap == engine.biases == 0 and not any(layer.waits for layer in engine.layers)
    assert engine.layers == tuple(replace(layer, memory_cycles=0) for layer in fed.layers)
    assert 0 < engine.bits <= fed.bits and engine.multipliers == fed.multipliers


@pytest.mark.parametrize(("blocks", "gap"), [(30, 1), (6, 2)])
def test_steps_take_two_cycles_where_numbers_are_in_a_memory_of_one_port(blocks: int, gap: int) -> None:
    whole = resolve_part("iCE40UP5K-SG48")
    part = replace(whole, die=replace(whole.die, brams=blocks))
    network = partition(residual(12), replace(shared(residual(12), 9_000), part=part))
    (engine,) = engine_cycles(network)
    cycles = sum(layer.multiplier_cycles for layer in engine.layers)
    interval = schedule(network, latencies(network)).interval
    assert interval > cycles > 0.9 * interval
    assert engine.busy <= 1 / gap


def test_the_memory_of_an_engine_is_of_layers_by_what_they_need_at_once() -> None:
    """Tensors of 144 numbers: ``second`` reads one and gives one beside the third, which ``join`` reads later."""
    network = partition(residual(), shared(residual(), 250))
    (engine,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
    of_all, of_four = 36 / 5, (180 - 36) / 4
    of_three = of_all + of_four + (288 - 180) / 3
    wanted = {"dense": of_all, "pool": of_all + of_four, "first": of_three, "join": of_three, "second": of_three + 144}
    assert words_by_layer(engine) == pytest.approx(wanted)
    assert sum(wanted.values()) == pytest.approx(engine.words)
