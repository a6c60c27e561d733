"""Networks of processes in simulation: every bit and every cycle."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import circuit
from bitsmith.dataflow.kinds import Engine
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl import memory
from bitsmith.rtl.writer import Title
from tests.mapping.test_engines import depthwise, pooled
from tests.mapping.test_partition import demanded
from tests.properties import judged
from tests.properties.convolutional import channels_of_their_own, demands, random_decoder, random_network, turns
from tests.properties.pairs import attention_at_once, random_pair
from tests.properties.programs import random_program
from tests.properties.recurrent import demands as recurrent_demands
from tests.properties.recurrent import random_network as random_recurrent_network
from tests.rtl.streaming import assert_streams

FORMAT = FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)


def convolutional(size: int = 6, channels: int = 2, *, by_channel: bool = False) -> Program:
    """Convolution, rectifier, pooling and a dense layer on the flattened image; perhaps a format for each channel."""
    rng = np.random.default_rng(0)
    builder = ProgramBuilder()
    x = builder.input("image", (size, size, channels), FORMAT)
    with builder.layer("conv"):
        windows = builder.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
        flat = builder.reshape(windows, (size, size, 9 * channels))
        y = builder.linear(flat, rng.integers(-7, 8, (9 * channels, 3)), 3)
        own = ops.Cast(np.array([4, 3, 4]), objects([0, 0, 3]), objects([90, 70, 127]), Rounding.RND, Overflow.SAT)
        y = builder.max(y, builder.const(0))
        y = builder.apply(own, y) if by_channel else builder.cast(y, FORMAT)
    with builder.layer("pool"):
        windows = builder.window(y, (2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))
        y = builder.amax(windows, (2, 3))
    with builder.layer("dense"):
        flat = builder.reshape(y, (size * size // 4 * 3,))
        y = builder.linear(flat, rng.integers(-7, 8, (size * size // 4 * 3, 4)), 3)
    return builder.program([("scores", y)])


@pytest.mark.parametrize("reuse", [judged(1), judged(4)])
def test_convolution(reuse: int, tmp_path: Path) -> None:
    assert_streams(convolutional(), Directives({"conv": reuse}, False), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 8 else ()) for k in range(200)])
def test_random_programs(seed: int, tmp_path: Path) -> None:
    program = random_program(seed, hardware=True)
    assert_streams(program, demanded(seed, program), tmp_path, seed)


@pytest.mark.slow
@pytest.mark.ci
def test_parts_that_are_not_connected(tmp_path: Path) -> None:
    """The part that is slow starts early: the interval is its own, and not that of the part that ends later at first."""
    builder = ProgramBuilder()
    x, y = builder.input("x", (3, 2), FORMAT), builder.input("y", (5, 1), FORMAT)
    late = x
    for number in range(12):
        with builder.layer(f"late{number}"):
            late = builder.cast(builder.linear(late, np.array([[3, -5], [7, 6]]), 2), FORMAT)
    early = builder.cast(y, FixedFormat(True, 4, 2))
    simulation = assert_streams(builder.program([("late", late), ("early", early)]), Directives({}, False), tmp_path)
    assert simulation.ii_cycles == 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 8 else ()) for k in range(300)])
def test_random_convolutional_networks(seed: int, tmp_path: Path) -> None:
    program = random_network(seed)
    assert_streams(program, demands(seed, program), tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(100)])
def test_random_decoders(seed: int, tmp_path: Path) -> None:
    program = random_decoder(seed)
    assert_streams(program, demands(seed, program), tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(60)])
def test_random_pairs(seed: int, tmp_path: Path) -> None:
    assert_streams(*random_pair(seed), tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(("then", "reuse"), [("values", 8), ("shifted", 4), ("sum of rows", 2)])
def test_products_of_whole_tensors_in_turns(then: str, reuse: int, tmp_path: Path) -> None:
    simulation = assert_streams(attention_at_once(2, 4, 3, then), Directives({"scores": reuse}, True), tmp_path)
    assert simulation.ii_cycles <= reuse


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(100)])
def test_random_recurrent_networks(seed: int, tmp_path: Path) -> None:
    program = random_recurrent_network(seed)
    assert_streams(program, recurrent_demands(seed, program), tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.ci
def test_register_slices_between_layers(tmp_path: Path) -> None:
    """Tokens come later, as planned, and as often as without."""
    plain, registers = Directives({"conv": 1}, False), {"conv": 1, "pool": 3, "dense": 2}
    designs = [
        circuit(convolutional(), each, ECP5.delays, 8.0, "net", Title("test", "0" * 16))
        for each in (plain, replace(plain, slices=registers))
    ]
    found = re.findall(r"STAGES\((\d)\)\) slice_p\d+__(?:pool_(?!x))?([a-z]+)_x0", designs[1].sources["net.sv"])
    assert {layer: int(stages) for stages, layer in found} == registers
    assert len(found) == len(registers)  # and none within a layer
    later = registers["pool"] + registers["dense"]  # the first tokens wait for the zeros above the image anyway
    assert designs[1].cycles == (designs[0].cycles[0] + later, designs[0].cycles[1])
    assert_streams(convolutional(), replace(plain, slices=registers), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(60)])
def test_random_networks_with_slices(seed: int, tmp_path: Path) -> None:
    recurrent = seed % 4 == 3
    program = random_recurrent_network(seed) if recurrent else random_network(seed)
    directives = recurrent_demands(seed, program) if recurrent else demands(seed, program)
    rng = np.random.default_rng(seed)
    slices = {layer: int(rng.integers(0, 4)) for layer in sorted({node.layer for node in program.nodes})}
    assert_streams(program, replace(directives, slices=slices), tmp_path, seed, frames=4)


def test_instances_are_called_after_layers() -> None:
    """Reports of tools name what a path goes through by its instances."""
    each = circuit(convolutional(4, 1), Directives({}, False), ECP5.delays, 8.0, "net", Title("test", "0" * 16))
    instances = re.findall(r"^  (?:bitsmith_\w+ #\(.*?\)\)|net_core\w*) (\w+) \(", each.sources["net.sv"], re.MULTILINE)
    assert len(instances) > 8
    found = {re.sub(r"(_x\d_fifo|_core)$", "", name).partition("__")[2] for name in instances}
    assert found >= {"conv", "pool", "dense"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(150)])
def test_random_networks_that_share_an_engine(seed: int, tmp_path: Path) -> None:
    program = random_network(seed)
    directives = turns(seed, program)
    network = partition(drop_dead(program, keep_probes=False), directives)
    if any(isinstance(process.kind, Engine) for process in network.processes):
        assert_streams(program, directives, tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(60)])
def test_random_engines_whose_channels_differ(seed: int, tmp_path: Path) -> None:
    program = channels_of_their_own(seed)
    assert_streams(program, turns(seed, program), tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.ci
def test_layers_in_turn(tmp_path: Path) -> None:
    """A convolution, pooling and a dense layer, with transfers that wait, and frames that follow each other at once.

    The choice of each channel of the convolution comes with its bias, from one table.
    """
    program = convolutional(4, by_channel=True)
    names = frozenset({"conv", "pool", "dense"})
    directives = Directives(dict.fromkeys(names, 200), False, engine=names)
    (engine,) = (one.kind for one in partition(program, directives).processes if isinstance(one.kind, Engine))
    assert not engine.by_layer
    simulation = assert_streams(program, directives, tmp_path)
    assert not any("lines" in name or "buffer" in name for name in simulation.peaks)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("network", [depthwise, pooled])
def test_lanes_with_numbers_of_their_own(network: Callable[[], Program], tmp_path: Path) -> None:
    """Depthwise convolutions or poolings take a number for each of four lanes, other layers one for eight, from one memory."""
    program = network()
    names = frozenset(node.layer for node in program.nodes if node.layer)
    directives = Directives(dict.fromkeys(names, 150), False, engine=names)
    (engine,) = (one.kind for one in partition(program, directives).processes if isinstance(one.kind, Engine))
    assert (engine.lanes, engine.banks) == (8, 4)
    assert_streams(program, directives, tmp_path)


@pytest.mark.slow
@pytest.mark.ci
def test_tables_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of an engine in tables of powers of two words, as large ones are."""
    monkeypatch.setattr(memory, "table_parts", lambda words, width, block: [0, 1 << (words - 1).bit_length() - 1])
    program = depthwise()
    names = frozenset(node.layer for node in program.nodes if node.layer)
    assert_streams(program, Directives(dict.fromkeys(names, 300), False, engine=names), tmp_path)
    texts = [path.read_text() for path in (tmp_path / "rtl").iterdir() if path.name.endswith("_weights_rom.sv")]
    assert texts and all("part1" in text for text in texts)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("first", [1100, 990])
def test_long_runs_of_operands_are_counted(first: int, tmp_path: Path) -> None:
    """A table of which tensor each token is of would have more bits than look-up tables hold: it has one for each run."""
    builder = ProgramBuilder()
    parts = [builder.input(name, (size, 1), FORMAT) for name, size in (("a", first), ("b", 1100))]
    program = builder.program([("y", builder.concat(parts, 0))])
    assert_streams(program, Directives({}, parallel=False), tmp_path, frames=2)
    assert runs_counted(tmp_path) == [np.gcd(first, 1100)]


@pytest.mark.slow
@pytest.mark.ci
def test_long_runs_of_tokens_that_are_left_out_are_counted(tmp_path: Path) -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (2400, 1), FORMAT)
    program = builder.program([("y", builder.slice(x, (800, 0), (1600, 1), (1, 1)))])
    assert_streams(program, Directives({}, parallel=False), tmp_path, frames=2)
    assert runs_counted(tmp_path) == [800]


def runs_counted(folder: Path) -> list[int]:
    """The lengths of all runs of actions that are counted in the circuit in a ``folder``."""
    text = "".join(path.read_text() for path in folder.rglob("*.sv"))
    return [int(last) + 1 for last in re.findall(r"assign \w*last_of_run = .* == \d+'d(\d+)\)", text)]
