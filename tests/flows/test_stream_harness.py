"""The harness of co-simulated streams (cosim.cpp) on a circuit that is written by hand, with its latencies and its faults."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bitsmith.errors import VerificationError
from bitsmith.flows.cosim import HARNESS, Cosimulation, Simulation, StreamShape
from bitsmith.flows.tools import FoundTool, Origin

DUT = Path(__file__).parent / "stream_dut"
TOOLS = tuple(FoundTool(name, Path(name), "5.0", Origin.PATH) for name in ("verilator", "g++", "make"))
SHAPES = (StreamShape("x", 32, 2), StreamShape("y", 64, 3))
LOADS = (StreamShape("w0", 32, 1), StreamShape("w1", 32, 2))

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("harness") / "Vdut"
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    command = ["g++", *flags, "-D_GLIBCXX_ASSERTIONS", f"-I{DUT}", "-o", str(path), str(HARNESS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return path


def simulated(folder: Path, program: Path, frames: int, *, loaded: bool = False, **circuit: object) -> Simulation:
    """What the flow reads of the answers of the circuit with those properties."""
    rng = np.random.default_rng(frames)
    stimuli = tuple(rng.integers(0, 1 << 32, (frames, each.tokens, each.words), np.uint32) for each in SHAPES)
    loads = tuple((each, rng.integers(0, 1 << 32, (each.tokens, each.words), np.uint32)) for each in LOADS)
    flow = Cosimulation("top", (), SHAPES, SHAPES, stimuli, True, 3, loads=loads if loaded else ())
    for name, content in flow.files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "cosim" / "obj").mkdir()
    shutil.copy(program, folder / "cosim" / "obj" / "Vdut")
    # Without loads the description has none, but the circuit keeps its ports.
    environment = {**os.environ, **{name.upper(): str(value) for name, value in circuit.items()}}
    for command in flow.commands(folder, TOOLS)[-1 - loaded :]:
        done = subprocess.run(
            command.argv, cwd=command.cwd, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr[:4000]
    (folder / "cosim" / "run.log").write_text("")
    found = flow.read(folder, TOOLS)
    x, y = stimuli
    (_, w0), (_, w1) = loads
    for outputs, add, xor in ((found.outputs, 7, [9, 11]), (found.reloaded, w0[0, 0], w1[:, 0])):
        if outputs or outputs is found.outputs:
            assert np.array_equal(outputs[0], x + np.uint32(add))
            assert np.array_equal(outputs[1], y ^ np.asarray(xor, np.uint32))
    assert bool(found.reloaded) == loaded
    return found


@pytest.mark.parametrize("latencies", [(1, 1), (2, 9), (9, 2), (5, 4)])
def test_latency_is_that_of_the_last_token_of_the_first_frame(
    tmp_path: Path, program: Path, latencies: tuple[int, int]
) -> None:
    first, second = latencies
    found = simulated(tmp_path, program, 5, latency0=first, latency1=second)
    assert found.latency_cycles == max(first + 1, second + 2)  # tokens are taken from the first cycle on, one each
    assert found.ii_cycles == 3


@pytest.mark.parametrize(("paces", "interval"), [((1, 1), 3), ((1, 4), 12), ((4, 1), 8), ((2, 1), 4), ((1, 2), 6)])
@pytest.mark.parametrize("frames", [1, 4, 9])
def test_interval_is_that_of_the_slowest_stream(
    tmp_path: Path, program: Path, paces: tuple[int, int], interval: int, frames: int
) -> None:
    found = simulated(tmp_path, program, frames, pace0=paces[0], pace1=paces[1])
    assert found.ii_cycles == interval
    assert len(found.outputs[0]) == frames


def test_weights_are_loaded_before_and_while_tokens_are_in_flight(tmp_path: Path, program: Path) -> None:
    found = simulated(tmp_path, program, 5, loaded=True, latency0=6, latency1=3)
    assert (found.latency_cycles, found.ii_cycles) == (7, 3)


FAULTS = {
    "hangs": (r"nothing moves after \d+ tokens", False),
    "takes back": ("output 1 changes while it waits", False),
    "changes while it waits": ("output 1 changes while it waits", False),
    "counts waits": (r"token \d+ of output 1 depends on who waits when", False),
    "no last flag": ("a wrong last flag at token 5", False),
    "keeps tokens": ("depends on who waits when|a wrong last flag|changes while it waits", False),
    "takes tokens while it loads": ("tokens are taken while weights are loaded", True),
    "takes no weights": ("weights are not taken", True),
    "loads garbage": (r"token \d+ of output \d depends on who waits when", True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_circuits_are_named(tmp_path: Path, program: Path, fault: str) -> None:
    problem, loaded = FAULTS[fault]
    with pytest.raises(VerificationError, match=f"breaks the rules of its streams: ({problem})"):
        simulated(tmp_path, program, 5, loaded=loaded, latency0=4, latency1=7, fault=fault)


@pytest.mark.parametrize("damaged", ["streams.txt", "stimuli.bin", "weights.bin"])
def test_files_that_are_cut_off_end_the_harness(tmp_path: Path, program: Path, damaged: str) -> None:
    simulated(tmp_path, program, 2, loaded=True)
    folder = tmp_path / "cosim"
    content = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(content[: len(content) - 5])
    files = ("streams.txt", "stimuli.bin", "responses.bin", "measured.json", "4", "100", "weights.bin")
    done = subprocess.run([program, *files], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.match("error: (a short file|the description)", done.stderr)
    assert subprocess.run([program, *files[:5]], cwd=folder, check=False).returncode == 2


@pytest.mark.parametrize(("hint", "level"), [(0, 1), (1_999_999, 1), (2_000_000, 2), (5_000_000, 2)])
def test_simulators_of_many_cycles_are_compiled_for_speed(tmp_path: Path, hint: int, level: int) -> None:
    words = np.zeros((2, 1, 1), np.uint32)
    shape = (StreamShape("x", 32, 1),)
    flow = Cosimulation("top", (), shape, shape, (words,), True, hint)  # of four frames, as few as give an interval
    arguments = [part for command in flow.commands(tmp_path, TOOLS) for part in command.argv]
    assert {part for part in arguments if part.startswith("OPT_FAST=")} == {f"OPT_FAST=-O{level}"}
    assert flow.commands(tmp_path, TOOLS)[-1].argv[-2:] == ("4", str(max(10_000, 4 * hint)))
