"""Recurrent networks whose states go round compute what the programs compute."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bitsmith.compiler import compile_network
from bitsmith.dataflow.kinds import Feedback, Scan
from bitsmith.dataflow.schedule import schedule
from bitsmith.dataflow.text import to_text
from bitsmith.devices.ecp5 import ECP5
from bitsmith.estimate.size import estimate_layout
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.layers.settings import Settings
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.load import load, parameters
from tests.dataflow.reading import parse
from tests.mapping.test_partition import assert_same
from tests.properties import few, shares
from tests.properties.recurrent import demands, random_network


@shares(4)
def test_random_networks(share: int) -> None:
    round_ = 0
    for seed in range(share, 24, 4):
        program = random_network(seed)
        directives = demands(seed, program)
        network = assert_same(program, directives, seed)
        assert to_text(parse(to_text(network))) == to_text(network)
        round_ += any(isinstance(process.kind, Feedback) for process in network.processes)
    assert round_ > 1


@pytest.mark.parametrize("seed", [210, 245])
def test_gates_of_other_units(seed: int) -> None:
    """A gate without weights for the states is coarser than the others, whose tokens its table is looked up with."""
    program = random_network(seed)
    assert_same(program, demands(seed, program), seed)


@pytest.mark.slow
@pytest.mark.ci
@shares(4)
def test_random_networks_whose_weights_are_loaded(share: int) -> None:
    for seed in range(share, 12, 4):
        program = random_network(seed, loaded=True)
        directives, places = demands(seed, program), parameters(program)
        end = ("lo", "hi")[seed // 4 % 2]
        extreme = {place: np.broadcast_to(getattr(node.op, end), node.type.shape) for place, node in places.items()}
        for each in (program, load(program, extreme)):
            network = assert_same(each, directives, seed)  # which refuses tokens outside of their types
            assert to_text(parse(to_text(network))) == to_text(network)


def test_steps_whose_weights_are_loaded_go_round() -> None:
    """What comes is multiplied for all steps by one process, whose weights are loaded like those of the states."""
    for seed in (0, 1, 4, 5):
        program = random_network(seed, loaded=True)
        processes = partition(program, demands(seed, program)).processes
        assert parameters(program) and any(isinstance(process.kind, Feedback) for process in processes)


def cell(kind: type[Recurrent], gates: int, units: int = 8, steps: int = 6, **formats: FixedFormat) -> Program:
    """A cell over steps of 4 channels."""
    rng = np.random.default_rng(0)
    layer = kind(*(as_weights(rng.integers(-127, 128, (n, units * gates)) / 256.0) for n in (4, units)))
    nodes = (
        NetworkNode("x", Input((steps, 4)), settings=Settings({"result": FixedFormat(True, 8, 2)})),
        NetworkNode("layer", layer, ("x",), settings=Settings({"state": FixedFormat(True, 8, 1), **formats})),
    )
    return compile_network(Network(nodes, ("x",), ("layer",))).program


@pytest.mark.slow
@pytest.mark.ci
@few(
    "kind, gates, style",
    [
        (GRU, 3, MultiplierStyle.SHARED),
        (SimpleRNN, 1, MultiplierStyle.CHEAPEST),
        (GRU, 3, MultiplierStyle.CHEAPEST),
        (SimpleRNN, 1, MultiplierStyle.SHARED),
        *((LSTM, 4, style) for style in (MultiplierStyle.CHEAPEST, MultiplierStyle.SHARED)),
    ],
    fast=2,
)
def test_area_falls_to_that_of_a_multiplier_for_each_product(
    kind: type[Recurrent], gates: int, style: MultiplierStyle
) -> None:
    program = drop_dead(cell(kind, gates), keep_probes=False)
    sizes = [
        estimate_layout(program, Directives({"layer": reuse}, False, {"layer": style}), ECP5)
        for reuse in (4, 16, 64, 256)
    ]
    areas = [size.lut + 72 * size.dsp for size in sizes]
    assert all(after <= 1.02 * before for before, after in pairwise(areas))
    assert areas[-1] < areas[0] / 3


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("changed", [False, True])
def test_states_that_no_step_changes_are_operands_that_come_again(changed: bool, parallel: bool) -> None:
    """A sample beside a number of its own for each of five steps, a token per cycle."""
    rng = np.random.default_rng(0)
    body, build = ProgramBuilder(), ProgramBuilder()
    state = body.input("state", (3,), FixedFormat(True, 5, 3))
    item = body.input("item", (2,), FixedFormat(True, 4, 0))
    both = body.mul(body.concat([state, item], 0), body.const(3, 1))
    following = body.select(body.slice(item, (0,), (1,)), state, body.neg(state)) if changed else state
    following = body.cast(following, FixedFormat(True, 5, 3)) if changed else following
    inner = body.program([("state", following), ("result", both)])
    x = build.input("x", (3,), FixedFormat(True, 5, 3))
    with build.layer("layer"):
        numbers = build.aligned(build.const(rng.integers(-8, 8, (5, 2)), 0))
        scanned = build.scan(inner, [x], [numbers])
        total = build.sum(build.max(scanned, build.const(1, 1)), [0])
    program = build.program([("y", total)])
    network = assert_same(program, Directives({"layer": 5}, parallel), 0)
    kinds = [type(process.kind) for process in network.processes]
    assert (Scan in kinds) == changed
    cycles = schedule(network, dict.fromkeys(range(len(network.processes)), 1)).interval
    assert (cycles == 5) != changed


@pytest.mark.parametrize(
    ("reuse", "parallel", "style", "goes_round"),
    [
        (1, False, MultiplierStyle.SHARED, False),
        (2, False, MultiplierStyle.SHARED, True),
        (11, True, MultiplierStyle.SHARED, False),
        (12, True, MultiplierStyle.SHARED, True),
        (12, True, MultiplierStyle.GRAPHS, False),
    ],
)
def test_states_go_round_where_a_step_has_two_cycles(
    reuse: int, parallel: bool, style: MultiplierStyle, goes_round: bool
) -> None:
    """Of six steps, which share the cycles of a sample where they come at once."""
    short = FixedFormat(True, 8, 1)
    program = drop_dead(cell(SimpleRNN, 1, 4, weight=short, recurrent_weight=short), keep_probes=False)
    network = partition(program, Directives({"layer": reuse}, parallel, {"layer": style}))
    assert any(isinstance(process.kind, Feedback) for process in network.processes) == goes_round


def test_processes_that_run_one_after_another_keep_the_recurrence_in_one() -> None:
    program = drop_dead(cell(GRU, 3), keep_probes=False)
    network = partition(program, Directives({"layer": 256}, False, feedback=False))
    assert sum(isinstance(process.kind, Scan) for process in network.processes) == 1


@pytest.mark.parametrize("step", [2, 3])
def test_slices_of_states_skip_elements(step: int) -> None:
    """A body that reads every second or third element of its state and of what comes."""
    rng, narrow, steps = np.random.default_rng(0), FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT), 4
    body = ProgramBuilder()
    state, x = (body.input(name, (24,), narrow) for name in ("state", "x"))
    parts = [body.slice(each, (k,), (24,), (step,)) for k, each in enumerate((state, x))]
    parts = [body.linear(part, rng.integers(-127, 128, (part.shape[0], 24)), 10) for part in parts]
    following = body.cast(body.add(*parts), narrow)
    build = ProgramBuilder()
    sequence, start = build.input("x", (steps, 24), narrow), build.input("start", (24,), narrow)
    with build.layer("layer"):
        y = build.scan(body.program([("state", following), ("y", following)]), [start], [sequence])
    program, directives = build.program([("y", y)]), Directives({"layer": 72}, parallel=False)
    network = assert_same(program, directives)
    assert any(isinstance(process.kind, Feedback) for process in network.processes)
