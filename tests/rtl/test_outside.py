"""Circuits that write tokens into memories outside and read them back, in simulation: every bit and every cycle."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitsmith import hls
from bitsmith.dataflow import engine
from bitsmith.dataflow.kinds import Engine
from bitsmith.devices.ecp5 import ECP5
from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.program import Program
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.fifos import with_fifos_outside
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from bitsmith.rtl import uart_wrapper
from bitsmith.rtl.streams import lay_out
from bitsmith.rtl.writer import Title
from tests.mapping.test_fetched_weights import FAST
from tests.mapping.test_fifos import in_turn, short_of, skips, visited
from tests.mapping.test_partition import demanded
from tests.properties.outside import through_memories
from tests.properties.programs import random_program
from tests.properties.recurrent import demands as recurrent_demands
from tests.properties.recurrent import random_network as random_recurrent_network
from tests.properties.transformers import in_visits, transformer
from tests.rtl.circuits import lint
from tests.rtl.streaming import assert_streams
from tests.rtl.test_bus_wrappers import beats_files, wrapper_files
from tests.rtl.wrapped import loaded, made
from tests.systems.written import written


def assert_outside(
    program: Program, directives: Directives, folder: Path, seed: int, frames: int = 4, *, whole: bool = False
) -> None:
    """Results pass through memories: they are the emulator's, in the cycles that were planned."""
    assert_streams(
        program, directives, folder, seed, frames, lambda network: through_memories(network, seed, whole=whole)
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k < 4 else ()) for k in range(60)])
def test_random_networks(seed: int, tmp_path: Path) -> None:
    """Both sides and memories wait at random, and a reset comes in the middle of a frame; without waits cycles are as planned."""
    program = drop_dead(random_program(seed, hardware=True), keep_probes=False)
    assert_outside(program, demanded(seed, program), tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {1, 4} else ()) for k in range(1, 21)])
def test_states_that_go_round(seed: int, tmp_path: Path) -> None:
    program = drop_dead(random_recurrent_network(seed), keep_probes=False)
    assert_outside(program, recurrent_demands(seed, program), tmp_path, seed, whole=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.ci if k in {4, 6} else ()) for k in range(12)])
def test_visits_of_an_engine(seed: int, tmp_path: Path) -> None:
    """Results of a visit, and operands of a later one."""
    program = transformer(seed)
    assert_outside(program, in_visits(program, seed, FAST), tmp_path, seed, 3, whole=True)


def assert_fifos_leave(program: Program, directives: Directives, folder: Path, seed: int) -> None:
    network = with_fifos_outside(partition(program, directives), directives)
    assert network is not partition(program, directives)
    assert_streams(program, directives, folder, seed, 3, lambda network: with_fifos_outside(network, directives))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.ci), 1, 2])
def test_fifos_without_room(seed: int, tmp_path: Path) -> None:
    """The writer is in a frame while the reader is in the one before."""
    assert_fifos_leave(skips(seed), short_of(seed, 1), tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [pytest.param(8.0, marks=pytest.mark.ci), 1e6])
@pytest.mark.parametrize("seed", [0, 1])
def test_fifos_beside_weights(seed: int, rate: float, tmp_path: Path) -> None:
    """Engines take their weights from the memory that a skip connection passes through."""
    assert_fifos_leave(*in_turn(seed, rate), tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(2, marks=pytest.mark.ci), 5])
def test_fifos_before_visits(seed: int, tmp_path: Path) -> None:
    """What comes of a visit waits outside for a later one, and weights come from there."""
    assert_fifos_leave(*visited(seed), tmp_path, seed)


@pytest.mark.slow
@pytest.mark.ci
def test_fifos_before_visits_of_numbers_of_few_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_WORTH", 1)
    program, directives = visited(5)
    kinds = (process.kind for process in with_fifos_outside(partition(program, directives), directives).processes)
    assert [kind.narrow[1] for kind in kinds if isinstance(kind, Engine)] == [6]
    assert_fifos_leave(program, directives, tmp_path, 5)


@pytest.mark.parametrize("wrapper", ["axis", "axil", "avalon"])
def test_wrappers_lint_clean(tmp_path: Path, wrapper: str) -> None:
    lint(wrapper_files(tmp_path, made("outside"), wrapper), f"net_{wrapper}")


def test_beats_lint_clean(tmp_path: Path) -> None:
    lint(beats_files(tmp_path, made("outside"), 2), "net_dma_axil")


def test_streams_to_memories_are_neither_inputs_nor_outputs() -> None:
    interface = made("outside").interface
    plain = made("streams").interface
    assert interface.inputs == plain.inputs and interface.outputs == plain.outputs
    assert [each.kind.name for each in interface.loops] == ["memory4", "memory8"]
    assert interface.buses[-4:] == ("m_axis_shifted", "m_axis_greatest", "m_axis_memory4_out", "m_axis_memory8_out")
    text = made("outside").extras["rtl/net_axis.sv"]
    assert "output logic m_axis_memory4_out_tvalid" in text and "input logic s_axis_memory4_back_tvalid" in text


def test_what_has_no_memory_beside_the_circuit_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A serial port, DMA engines, and languages in which nothing leaves but results."""
    each = made("outside")
    with pytest.raises(ConfigError, match=r"(?s)memory 'memory4'.*a board with a processor"):
        uart_wrapper.uart(each.interface, 12_000_000, 115_200)
    for board in ("pynq-z2", "de10-nano", "alveo-u50"):
        with pytest.raises(ConfigError, match=r"(?s)memory 'memory4'.*interface='axi_master'"):
            written(tmp_path, each, board)
    monkeypatch.setattr(hls, "partition", lambda *of: through_memories(partition(*of), 2))
    with pytest.raises(UnsupportedError, match=r"(?s)memory 'memory4'.*backend='rtl'"):
        hls.write_project(each.program, Directives({}, False), DIALECTS["vitis"], hls.HlsTarget("net", "part"))


def test_weights_that_can_be_loaded_are_refused_beside_it() -> None:
    """A memory outside does not know when the circuit forgets what it has written."""
    program = loaded(external=False)
    network = through_memories(partition(program, Directives({"conv": 2, "dense": 3}, True)), 0)
    with pytest.raises(UnsupportedError, match=r"(?s)can be loaded, and tokens in memory 'memory\d+'"):
        lay_out(network, ECP5.delays, 8.0, "net", Title("test", "0"))
