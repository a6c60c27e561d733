"""All dense layers of a transformer share one engine, with attention beside it between its visits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.dataflow.kinds import Engine, Source
from bitsmith.dataflow.processes import Network, gives_back
from bitsmith.dataflow.schedule import schedule
from bitsmith.dataflow.text import to_text
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import Region, regions_of
from bitsmith.mapping.engine.images import images_of
from bitsmith.mapping.engine.visits import visits_of, waiting
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.dataflow.dense_schedule import dense_schedule
from tests.dataflow.reading import parse
from tests.mapping.test_fetched_weights import FAST, latencies
from tests.mapping.test_images import assert_is_other, changed
from tests.mapping.test_partition import assert_same
from tests.properties.transformers import in_visits, transformer


def engine_of(network: Network) -> Engine:
    (engine,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
    return engine


def layers_with_weights(program: Program) -> set[str]:
    return {node.layer for node in program.nodes if isinstance(node.op, ops.Linear)}


def assert_one_engine(program: Program, directives: Directives, seed: int) -> Network:
    """Check that one engine executes all layers with weights, in several visits, and that nothing else has weights."""
    network = assert_same(program, directives, seed)
    engine = engine_of(network)
    assert len(engine.begins) > 1
    names = {layer.name for layer in engine.layers if np.any(layer.weights != layer.weights.reshape(-1)[0])}
    assert names <= layers_with_weights(program) <= {layer.name for layer in engine.layers}
    assert sum(isinstance(one.kind, Source) and one.kind.stored is not None for one in network.processes) == 1
    assert any(gives_back(number, source) for number, one in enumerate(network.processes) for source in one.args)
    return network


def test_a_transformer_is_one_engine() -> None:
    """Queries, keys and values are of one visit; what comes of attention, and each normalization, begins another one."""
    program = transformer(6)
    network = assert_one_engine(program, in_visits(program, 6, FAST), 6)
    engine = engine_of(network)
    text = to_text(network)
    assert to_text(parse(text)) == text
    copies = [layer.name for layer in engine.layers if layer.leaves]
    assert copies[:4] == [f"block0_{name}_copy" for name in ("query", "key", "value")] + ["block0_copy"]
    assert [engine.layers[number].name for number in engine.begins[:3]] == ["block0_query", "block0", "wide0"]


@pytest.mark.slow
@pytest.mark.ci
@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([FAST, 16.0, 3.0]))
def test_random_transformers(seed: int, rate: float) -> None:
    """The processes compute what the program does, and have the schedule that a naive scheduler finds."""
    program = transformer(seed)
    network = assert_same(program, in_visits(program, seed, rate), seed)
    found = schedule(network, latencies(network))
    assert found == dense_schedule(network, latencies(network))


def test_attention_leaves_cycles_enough_or_parts_have_engines_of_their_own() -> None:
    """Those of the engine with its longest row, and of attention, one after the other."""
    program = drop_dead(transformer(6), keep_probes=False)
    directives, tokens = in_visits(program, 6, FAST), program.nodes[program.inputs[0]].type.shape[0]
    builder = builder_of(program, directives)
    (region,), waits = regions_of(builder), waiting(builder)
    assert region.row is not None and len(visits_of(region.units)) > 1 and waits > tokens

    def regions(cycles: int, **others: object) -> list[Region]:
        dense = dict.fromkeys(layers_with_weights(program), -(-cycles // tokens))
        asked = replace(replace(directives, **others), reuse={**directives.reuse, **dense})
        return regions_of(builder_of(program, asked))

    assert [one.row is not None for one in regions(region.needed + waits)] == [True]
    lacking = regions(region.needed), regions(10**6, weights_rate=None), regions(10**6, taps=True)
    assert all(len(visits_of(one.units)) == 1 for each in lacking for one in each)


def test_the_engine_executes_a_network_with_other_weights() -> None:
    program = drop_dead(transformer(6), keep_probes=False)
    directives = in_visits(program, 6, 8.0)
    network = assert_is_other(program, changed(program), directives)
    assert len(engine_of(network).begins) > 1
    (same,) = images_of(program, program, directives)
    (stored,) = (one.kind.stored for one in network.processes if isinstance(one.kind, Source) and one.kind.stored)
    np.testing.assert_array_equal(same, stored.raw)


@pytest.mark.parametrize("seed", [1, 6])
def test_an_engine_waits_for_what_attention_makes(seed: int) -> None:
    """A frame takes longer than all steps of the engine, and the next one follows no sooner."""
    program = transformer(seed)
    network = partition(drop_dead(program, keep_probes=False), in_visits(program, seed, FAST))
    engine, found = engine_of(network), schedule(network, latencies(network))
    assert found.interval > engine.starts([layer.loads for layer in engine.layers if layer.loads], 10)[-1]
