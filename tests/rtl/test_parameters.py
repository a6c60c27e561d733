"""Weights from outside in circuits: the emulator's results before and after a load, in the predicted cycles."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith.dataflow.kinds import FoldedProduct
from bitsmith.devices.ecp5 import ECP5
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl.stream_top import StreamDesign
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.mapping.test_parameters import demands, grouped_program, loadable_program
from tests.properties import judged
from tests.properties.recurrent import demands as recurrent_demands
from tests.properties.recurrent import random_network
from tests.rtl.circuits import lint
from tests.rtl.streaming import assert_streams, written

SEEDS = [
    *(judged(seed) for seed in (2, 3, 7)),
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(100, 160)),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_loaded_weights_give_the_emulators_results(seed: int, tmp_path: Path) -> None:
    assert_streams(loadable_program(seed), demands(seed), tmp_path, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_loaded_weights_of_groups(seed: int, tmp_path: Path) -> None:
    assert_streams(grouped_program(seed), demands(seed), tmp_path, seed, frames=4)


@pytest.mark.slow
@pytest.mark.ci
def test_positions_share_the_weights_of_several_groups(tmp_path: Path) -> None:
    program, directives = grouped_program(158), Directives({"conv": 2}, True)
    network = partition(drop_dead(program, keep_probes=False), directives)
    (fold,) = (each for each in network.processes if isinstance(each.kind, FoldedProduct))
    assert isinstance(fold.kind, FoldedProduct) and 1 < fold.kind.sets < fold.takes[0].token.shape[0]
    assert_streams(program, directives, tmp_path, 0, frames=4)


@pytest.mark.parametrize(
    "seed",
    [*(judged(seed) for seed in (2, 5)), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(100, 140))],
)
def test_loaded_weights_of_recurrences(seed: int, tmp_path: Path) -> None:
    program = random_network(seed, loaded=True)
    assert_streams(program, recurrent_demands(seed, program), tmp_path, seed, frames=4)


def test_ports_of_weights() -> None:
    design = laid_out(6, Directives({"conv": 4, "dense": 6}, parallel=False))
    interface = design.interface
    places = {(each.loaded.layer, each.loaded.name) for each in (*interface.weights, *interface.loads)}
    assert places == {(layer, name) for layer in ("conv", "dense") for name in ("weight", "bias")}
    assert not {each.port.name for each in interface.weights} & {each.port.name for each in interface.loads}
    for each in interface.loads:
        assert each.port.name == f"{each.loaded.layer}_{each.loaded.name}_load"
        assert f"output logic {each.port.name}_ready" in design.sources["dut.sv"]
    assert [port.name for port in interface.own_inputs] == ["x"]


def test_lint(tmp_path: Path) -> None:
    for seed in (1, 2, 6):
        folder = tmp_path / str(seed)
        design = laid_out(seed, demands(seed))
        lint(written(design, folder), design.interface.top)


def laid_out(seed: int, directives: Directives) -> StreamDesign:
    return lay_out(partition(loadable_program(seed), directives), ECP5.delays, 8.0, "dut", Title("test", "0"))
