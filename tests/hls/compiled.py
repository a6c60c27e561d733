"""Compiles generated C++ of several programs in one go and runs it in this process, next to the emulator."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bitsmith.emulate import Emulator
from bitsmith.flows.csim import INCLUDE
from bitsmith.hls import HlsProject, HlsTarget, write_project
from bitsmith.hls.dialects import Dialect, Family
from bitsmith.hls.dialects.spelling import AC, AP
from bitsmith.hls.words import pack, unpack
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.ir.types import objects
from bitsmith.mapping.directives import Directives
from bitsmith.passes import drop_dead
from tests.properties.programs import random_stimuli

STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")
_OPEN_HEADERS = {AP: "hls4ml/templates/vivado/ap_types", AC: "hls4ml/templates/catapult/ac_types/include"}

Raws = Sequence[npt.NDArray[np.object_] | npt.NDArray[np.int64]]


def open_headers(family: Family) -> Path:
    """The vendor's open headers in an installed hls4ml; skips the test without them."""
    beside = Path(__file__).parents[2].glob(".venv*/lib/python*/site-packages")
    for place in (*map(Path, sys.path), *beside):
        folder = place / _OPEN_HEADERS[family]
        if folder.is_dir():
            return folder
    pytest.skip("needs an installed hls4ml, which carries the vendors' open headers")


ALL_AT_ONCE = Directives({}, parallel=True)


def written(
    programs: Mapping[str, Program], dialect: Dialect, folder: Path, demands: Mapping[str, Directives] | None = None
) -> dict[str, HlsProject]:
    """The projects of ``programs``, by the names of their top functions, each in its own folder."""
    projects = {}
    for top, program in programs.items():
        project = write_project(program, (demands or {}).get(top, ALL_AT_ONCE), dialect, HlsTarget(top, "part"))
        for name, text in project.files.items():
            path = folder / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        projects[top] = project
    return projects


def assert_equal_to_emulator(
    programs: Mapping[str, Program],
    dialect: Dialect,
    folder: Path,
    *,
    include: Path = INCLUDE,
    samples: int = 12,
    demands: Mapping[str, Directives] | None = None,
) -> None:
    """All outputs of the compiled C++ equal those of the emulator, to the last bit."""
    programs = {top: drop_dead(program, keep_probes=False) for top, program in programs.items()}
    projects = written(programs, dialect, folder, demands)
    library = _compiled(projects, folder, include)
    for seed, (top, project) in enumerate(projects.items()):
        program = programs[top]
        stimuli = random_stimuli(program, seed, samples)
        expected = Emulator(program).run_raw(stimuli)
        for output, got, want in zip(program.outputs, _run(library, project, program, stimuli), expected, strict=True):
            assert np.array_equal(objects(want), got), f"{top}, {output}\n{to_text(program)}"


def _compiled(projects: Mapping[str, HlsProject], folder: Path, include: Path) -> ctypes.CDLL:
    unit = folder / "all.cpp"
    # The headers of all have the same guards: those with kernels for streams, which others lack, come first.
    ordered = sorted(projects.items(), key=lambda item: not any("stream_" in name for name in item[1].files))
    lines = [
        f'#include "{top}/{source}"\n'
        for top, project in ordered
        for source in (f"firmware/{project.top}.cpp", project.bridge)
    ]
    unit.write_text("".join(lines))
    library = folder / "all.so"
    # The vendors' headers also get constants of exact width, which their compilers see and compile times do not allow elsewhere.
    exact = [] if include == INCLUDE else ["-DBITSMITH_EXACT"]
    command = ["g++", "-std=c++17", "-O0", "-fPIC", "-shared", *STRICT, *exact, "-isystem", str(include)]
    done = subprocess.run([*command, "-o", str(library), str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(library))


def _run(library: ctypes.CDLL, project: HlsProject, program: Program, stimuli: Raws) -> list[npt.NDArray[np.object_]]:
    words = np.ascontiguousarray(pack(project.inputs, program.types(program.inputs), stimuli))
    results = np.zeros((len(words), project.out_words), dtype=np.uint64)
    function = library[project.bridge_function]
    function.restype = None
    for given, result in zip(words, results, strict=True):
        function(given.ctypes.data_as(ctypes.c_void_p), result.ctypes.data_as(ctypes.c_void_p))
    return unpack(project.outputs, program.types([output.node for output in program.outputs]), results)
