"""All dense layers and attention's products of a transformer share one engine, with softmax beside it between its visits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitsmith.dataflow.kinds import Engine, FoldedProduct, Interleave, Map, Reorder, Rom, Source
from bitsmith.dataflow.processes import Network, gives_back
from bitsmith.dataflow.schedule import schedule
from bitsmith.dataflow.text import to_text
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Output, Program
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.alike import alike_parts
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
from tests.properties.transformers import FORMAT, dense, in_few_cycles, in_visits, scaled_by_token, transformer


def engine_of(network: Network) -> Engine:
    (engine,) = (process.kind for process in network.processes if isinstance(process.kind, Engine))
    return engine


def beside(program: Program) -> Program:
    """The same with products of two computed operands beside an engine: the keys of the first block are an output, too."""
    keys = max(number for number, node in enumerate(program.nodes) if node.layer == "block0_key")
    return Program(program.nodes, (*program.outputs, Output("keys", keys)))


def layers_with_weights(program: Program) -> set[str]:
    return {node.layer for node in program.nodes if isinstance(node.op, ops.Linear)}


def assert_one_engine(program: Program, directives: Directives, seed: int) -> Network:
    """Check that one engine executes all layers with weights, in several visits, and that nothing else has weights."""
    network = assert_same(program, directives, seed)
    engine = engine_of(network)
    assert len(engine.begins) > 1
    trained = [layer for layer in engine.layers if layer.row is None]
    names = {layer.name for layer in trained if np.any(layer.weights != layer.weights.reshape(-1)[0])}
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
    leaving = [engine.layers[number].name for group in engine.ends for number in group]
    assert leaving[:3] == ["block0_scores", "block0_scores", "block0_copy"]
    assert [engine.layers[number].name for number in engine.begins[:3]] == ["block0_query", "block0_context", "wide0"]
    assert [layer.name for layer in engine.layers if layer.held] == ["block0_key", "block0_value"]
    assert not any(isinstance(process.kind, FoldedProduct) for process in network.processes)


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(st.integers(0, 10**6), st.sampled_from([FAST, 16.0, 3.0]))
def test_random_transformers(seed: int, rate: float) -> None:
    """The processes compute what the program does, and have the schedule that a naive scheduler finds."""
    program = transformer(seed, more=seed % 3)
    for directives in (in_visits(program, seed, rate), in_few_cycles(program, seed, rate)):
        network = assert_same(program, directives, seed)
        found = schedule(network, latencies(network))
        assert found == dense_schedule(network, latencies(network))


@pytest.mark.parametrize("seed", [1, 6, pytest.param(12, marks=[pytest.mark.slow, pytest.mark.ci])])
def test_products_of_two_computed_operands_are_on_the_multipliers_of_the_engine(seed: int) -> None:
    """Each head is a layer, which reads what others left as weights; the weights of other layers alone come from the memory."""
    program = transformer(seed, more=3)
    network = assert_one_engine(program, in_few_cycles(program, seed, FAST), seed)
    engine = engine_of(network)
    held, read = ([layer for layer in engine.layers if getattr(layer, name) is not None] for name in ("held", "row"))
    assert engine.lanes > 1 and len(held) % 2 == 0 < len(held) < len(read)
    (stored,) = (one.kind.stored for one in network.processes if isinstance(one.kind, Source) and one.kind.stored)
    assert len(stored.raw) == engine.biases + sum(layer.words for layer in engine.layers)
    assert all(layer.words == 0 for layer in read)
    assert schedule(network, latencies(network)) == dense_schedule(network, latencies(network))


def circuits_for_several(program: Program, directives: Directives) -> list[int]:
    """Of how many parts beside an engine each of those circuits takes operands in turn that several have."""
    builder = builder_of(drop_dead(program, keep_probes=False), directives)
    circuits = alike_parts(builder, [region.units for region in regions_of(builder)]).circuits
    return [len(one.parts) for one in dict.fromkeys(together for together, _ in circuits.values())]


@pytest.mark.parametrize("seed", [1, pytest.param(4, marks=[pytest.mark.slow, pytest.mark.ci])])
def test_normalizations_that_differ_in_parameters_are_one_circuit(seed: int) -> None:
    """Numbers, formats and tables are looked up by the number of the normalization; squares are made once."""
    program = transformer(seed, scaled=True)
    network = assert_one_engine(program, in_visits(program, seed, FAST), seed)
    assert circuits_for_several(program, in_visits(program, seed, FAST))[0] == 4
    assert to_text(parse(to_text(network))) == to_text(network)
    squares = [
        node
        for one in network.programs
        for node in one.nodes
        if isinstance(node.op, ops.Mul) and len({*node.args}) == 1
    ]
    assert len(squares) == 1
    assert schedule(network, latencies(network)) == dense_schedule(network, latencies(network))


@pytest.mark.slow
@pytest.mark.ci
def test_normalizations_that_others_read_share_the_circuit() -> None:
    program = drop_dead(transformer(1, scaled=True), keep_probes=False)
    directives = in_visits(program, 1, FAST)
    (region,) = regions_of(builder_of(program, directives))
    first = visits_of(region.units)[0][0].sources[0]
    shown = Program(program.nodes, (*program.outputs, Output("normalized", first)))
    for each in (program, shown):
        assert_same(each, directives)
        assert circuits_for_several(each, directives)[0] == 4


def read_again(network: Network) -> set[int]:
    """Constants, repeated or not, that a process reads after another one which it depends on."""
    fixed, again = set[int](), set[int]()
    before = dict[int, set[int]]()
    """By process, constants that it and those before it read."""
    for number, process in enumerate(network.processes):
        sources = [source.process for source in process.args if source.process < number]
        read = set[int]().union(*(before[source] for source in sources))
        again |= read.intersection(sources)
        if isinstance(process.kind, Rom) or (isinstance(process.kind, Reorder) and fixed.issuperset(sources)):
            fixed.add(number)
        before[number] = read | fixed.intersection(sources)
    return again


@pytest.mark.parametrize("seed", [1, pytest.param(4, marks=[pytest.mark.slow, pytest.mark.ci])])
def test_normalizations_after_sums_share_a_circuit(seed: int) -> None:
    """Sums beside the engine take results of the circuit; casts of others before it are beside the circuit, too."""
    program = transformer(seed, scaled=True, after=True)
    network = assert_same(program, in_visits(program, seed, FAST), seed)
    wanted = 4 if seed % 2 == 0 else 3  # without the last one, if it is the output
    assert wanted in circuits_for_several(program, in_visits(program, seed, FAST))
    assert not read_again(network)
    maps = [one for one in network.processes if isinstance(one.kind, Map) and one.layers[:1] == ("norm0",)]
    assert maps and all(stream.token.size <= 2 for one in maps for stream in one.takes)  # a number, and constants
    assert schedule(network, latencies(network)) == dense_schedule(network, latencies(network))


def test_a_normalization_of_another_one_that_is_visited_first_has_a_circuit_of_its_own() -> None:
    """Operands come in the order of visits: the second would wait for the first, which is made of it."""
    program = attention("normalized")
    network = assert_same(program, in_visits(program, 0, FAST))
    assert schedule(network, latencies(network)) == dense_schedule(network, latencies(network))
    assert circuits_for_several(program, in_visits(program, 0, FAST)) == []


@pytest.mark.usefixtures("sums_wait_in_large_memories")
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("seed", [1, pytest.param(4, marks=[pytest.mark.slow, pytest.mark.ci])])
def test_sums_of_all_blocks_are_one_circuit(seed: int, *, after: bool) -> None:
    """Each takes the one before, from one place with the normalization that reads it, and what the engine gives for all of them.

    Each has more bits than the one before, and other fractional bits. Sums of what dense layers read and give are in the engine.
    """
    program = transformer(seed, scaled=True, after=after)
    directives = in_visits(program, seed, FAST)
    network = assert_same(program, directives, seed)
    assert circuits_for_several(program, directives)[-1] == (2 if after else 4)
    sums = [one for one in network.processes if isinstance(one.kind, Map) and len(one.args) > 1]
    (added,) = (one for one in sums if {"add0", "sum0", "add1"} & {*one.layers})
    others = [one for one in network.processes if "norm0" in one.layers and added.args[0] in one.args]
    assert after or (others and isinstance(network.processes[added.args[0].process].kind, Interleave))
    assert to_text(parse(to_text(network))) == to_text(network)
    assert schedule(network, latencies(network)) == dense_schedule(network, latencies(network))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.usefixtures("sums_wait_in_large_memories")
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.sampled_from([FAST, 3.0]), st.booleans())
def test_random_transformers_with_circuits_for_several(seed: int, rate: float, after: bool) -> None:
    program = transformer(seed, more=seed % 3, scaled=True, after=after)
    network = assert_same(program, in_visits(program, seed, rate), seed)
    assert schedule(network, latencies(network)) == dense_schedule(network, latencies(network))


def attention(change: str) -> Program:
    """Scores of two heads and their contexts, between dense layers; but for a ``change``."""
    rng, builder = np.random.default_rng(0), ProgramBuilder()
    x = builder.input("x", (3, 4), FORMAT)
    query, key, value = (dense(builder, x, 4, rng, name) for name in ("query", "key", "value"))
    if change == "rectified":
        with builder.layer("key"):
            key = builder.max(key, builder.const(0))
    parts = [builder.reshape(one, (3, 2, 2)) for one in (key if change == "itself" else query, key, value)]
    with builder.layer("scores"):
        first, second = builder.transpose(parts[0], (1, 0, 2)), builder.transpose(parts[1], (1, 2, 0))
        scores = builder.cast(builder.matmul(first, second), FORMAT)
        scores = builder.cast(builder.sub(scores, builder.reshape(builder.amax(scores, (2,)), (2, 3, 1))), FORMAT)
        scores = builder.table(scores, -32, rng.integers(0, 16, 64), 4)
    with builder.layer("context"):
        context = builder.transpose(builder.matmul(scores, builder.transpose(parts[2], (1, 0, 2))), (1, 0, 2))
        flat = builder.reshape(builder.cast(context, FORMAT), (3, 4))
    y = dense(builder, flat, 4, rng, "first")
    if change == "normalized":
        first = scaled_by_token(builder, y, "norm")
        last = scaled_by_token(builder, builder.cast(builder.add(y, first), FORMAT), "middle")
        return builder.program(
            [("y", dense(builder, last, 4, rng, "of last")), ("z", dense(builder, first, 4, rng, "of first"))]
        )
    y = dense(builder, y, 4, rng, "second")
    return builder.program([("y", y), *([("key", key)] if change == "output" else [])])


@pytest.mark.parametrize(
    ("change", "wanted"), [("", ["key", "value"]), ("output", []), ("itself", []), ("rectified", ["value"])]
)
def test_what_is_held_is_signed_and_read_as_weights_alone(change: str, wanted: list[str]) -> None:
    """Other products are beside the engine: of keys that leave as well, that are queries, too, or that are not signed."""
    program = attention(change)
    network = assert_same(program, in_visits(program, 0, FAST))
    kinds = [process.kind for process in network.processes]
    held = [layer.name for kind in kinds if isinstance(kind, Engine) for layer in kind.layers if layer.held is not None]
    assert held == wanted


def test_attention_leaves_cycles_enough_or_parts_have_engines_of_their_own() -> None:
    """Those of the engine with its longest row, and of attention, one after the other, where it is beside the engine."""
    program = drop_dead(beside(transformer(6)), keep_probes=False)
    directives, tokens = in_visits(program, 6, FAST), program.nodes[program.inputs[0]].type.shape[0]
    builder = builder_of(program, directives)
    (region,), waits = regions_of(builder), waiting(builder, ())
    assert (
        waiting(builder, region.units) == waits
        and region.row is not None
        and len(visits_of(region.units)) > 1
        and waits > tokens
    )

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


@pytest.mark.parametrize("swapped", [False, True])
def test_another_network_takes_turns_as_the_circuit_does_whatever_its_own_would_do(*, swapped: bool) -> None:
    """Weights of more bits go with fewer biases in a word: with those cycles are too few for attention on the engine."""
    program = drop_dead(transformer(38, more=3), keep_probes=False)
    narrow, wide = (changed(program, scale=scale) for scale in (0.7, 0.9))
    directives, tokens = in_visits(program, 38, 8.0), program.nodes[program.inputs[0]].type.shape[0]
    (region,) = regions_of(builder_of(narrow, directives))
    reuse = dict.fromkeys(layers_with_weights(program), -(-region.needed // tokens))
    directives = replace(directives, reuse={**dict.fromkeys(directives.reuse, 1), **reuse})
    units = [[len(one.units) for one in regions_of(builder_of(each, directives))] for each in (narrow, wide)]
    assert units[0] != units[1]
    assert_is_other(*((wide, narrow) if swapped else (narrow, wide)), directives)


@pytest.mark.parametrize("seed", [1, 6])
def test_an_engine_waits_for_what_attention_makes(seed: int) -> None:
    """A frame takes longer than all steps of the engine, and the next one follows no sooner."""
    program = beside(transformer(seed))
    network = partition(drop_dead(program, keep_probes=False), in_visits(program, seed, FAST))
    engine, found = engine_of(network), schedule(network, latencies(network))
    assert found.interval > engine.starts([layer.loads for layer in engine.layers if layer.loads], 10)[-1]
