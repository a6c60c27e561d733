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
from bitsmith.hls.words import given_weights, pack, unpack
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.ir.types import objects
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.load import load, parameters, random_values, values_of
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
    """All outputs of the compiled C++ equal those of the emulator, to the last bit, also with other weights that are loaded."""
    programs = {top: drop_dead(program, keep_probes=False) for top, program in programs.items()}
    projects = written(programs, dialect, folder, demands)
    library = _compiled(projects, folder, include)
    for seed, (top, project) in enumerate(projects.items()):
        program = programs[top]
        for number, (weighted, loads) in enumerate(weightings(program)):
            stimuli = random_stimuli(program, seed + number, samples)
            expected = Emulator(weighted).run_raw(stimuli)
            found = _run(library, project, weighted, stimuli, loads)
            for output, got, want in zip(program.outputs, found, expected, strict=True):
                assert np.array_equal(objects(want), got), f"{top}, {output}, weights {number}\n{to_text(program)}"


def weightings(program: Program) -> list[tuple[Program, tuple[int, ...]]]:
    """``program`` with its weights, with random ones and with the least ones, and the samples before which these are loaded."""
    if not parameters(program):
        return [(program, ())]
    least = {place: np.broadcast_to(node.type.span.lo, node.type.shape) for place, node in parameters(program).items()}
    return [(program, ()), (load(program, random_values(program)), (0,)), (load(program, least), (0, 1))]


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


def _run(
    library: ctypes.CDLL, project: HlsProject, program: Program, stimuli: Raws, loads: Sequence[int]
) -> list[npt.NDArray[np.object_]]:
    types, weights = given_weights(project.inputs, values_of(program), len(stimuli[0]), loads)
    types = [*program.types(program.inputs), *types]
    words = np.ascontiguousarray(pack(project.inputs, types, [*stimuli, *weights]))
    results = np.zeros((len(words), project.out_words), dtype=np.uint64)
    function = library[project.bridge_function]
    function.restype = None
    for given, result in zip(words, results, strict=True):
        function(given.ctypes.data_as(ctypes.c_void_p), result.ctypes.data_as(ctypes.c_void_p))
    return unpack(project.outputs, program.types([output.node for output in program.outputs]), results)
