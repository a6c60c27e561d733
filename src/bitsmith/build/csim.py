"""A core program in, its compiled C++ out, as a function of raw values that runs in this process.

What the library was made of is remembered in the project's manifest: only one that was compiled here of the very sources
that this program gives is ever loaded.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.build.job import Job
from bitsmith.config import Backend
from bitsmith.errors import ConfigError
from bitsmith.flows.csim import Bridge, BridgeLibrary
from bitsmith.flows.run import Progress, execute
from bitsmith.hls import HlsProject, HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.words import Raws, pack, unpack
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.ir.types import TensorType
from bitsmith.project import Project, digest
from bitsmith.version import __version__

LIBRARY = "csim library"
"""The stage that compiles, as manifests call it."""


@dataclass(frozen=True, slots=True)
class CompiledProgram:
    """The C++ of ``program``, loaded."""

    program: Program
    project: HlsProject
    bridge: Bridge

    def run_raw(self, raws: Sequence[Raws]) -> list[Raws]:
        """Raw outputs (batch, *shape) for raw inputs, one array per output and input."""
        types = self._output_types()
        words = pack(self.project.inputs, self.program.types(self.program.inputs), raws)
        return unpack(self.project.outputs, types, self.bridge.run(words))

    def run(self, raws: Sequence[Raws]) -> list[npt.NDArray[np.float64]]:
        """Real outputs for raw inputs: the nearest float64, which is exact up to 53 bits."""
        return [real(raw, kind) for raw, kind in zip(self.run_raw(raws), self._output_types(), strict=True)]

    def _output_types(self) -> tuple[TensorType, ...]:
        return tuple(self.program.types([output.node for output in self.program.outputs]))


def real(raw: Raws, kind: TensorType) -> npt.NDArray[np.float64]:
    """The real values of ``raw``, of type ``kind``."""
    return np.asarray(raw.astype(np.float64) * np.exp2(-kind.frac.astype(np.float64)))


def hls_project(job: Job) -> HlsProject:
    """The C++ of ``job``.

    Raises:
        RangeError, UnsupportedError: no C++ can express the program.
    """
    dialect = DIALECTS[job.target.backend.value]
    return write_project(job.program, job.directives, dialect, hls_target(job))


def hls_target(job: Job) -> HlsTarget:
    """What the C++ of ``job`` is for."""
    target = job.target
    return HlsTarget(
        target.project_name,
        target.part,
        target.clock_period_ns,
        100.0 * target.clock_uncertainty,
        f"bitsmith {__version__}",
        digest(to_text(job.program))[:16],
    )


def write_sources(folder: Project, project: HlsProject) -> None:
    """Put the files of ``project`` into its folder; weights of layers that are gone go."""
    written = folder.write(project.files)
    for stale in set((folder.folder / "firmware" / "weights").glob("*.*")) - set(written):
        stale.unlink()


def compiled(folder: Project, program: Program, project: HlsProject, progress: Progress | None) -> CompiledProgram:
    """The C++ of ``project``, whose files are in ``folder``; compiled unless that has been done.

    Raises:
        ToolMissingError, ToolFailedError.
    """
    flow = BridgeLibrary(project)
    tools = flow.find()
    key = flow.key(tools)
    library = flow.library(folder.folder, tools)
    if folder.cached(LIBRARY, key) is None:
        started = time.perf_counter()
        library = execute(flow, folder.folder, progress)
        folder.record(LIBRARY, key, None, time.perf_counter() - started, "csim/compile.log", [library])
    return CompiledProgram(program, project, Bridge(library, project.in_words, project.out_words))


def compile_job(job: Job, progress: Progress | None) -> CompiledProgram:
    """The C++ of ``job``, written into its project folder and compiled there as far as that has not been done.

    Raises:
        ConfigError: a backend without C++.
        RangeError, UnsupportedError: no C++ can express the program.
        ToolMissingError, ToolFailedError, ProjectError.
    """
    target = job.target
    if not target.backend.is_hls:
        raise ConfigError(
            f"no C++ with backend {target.backend.value!r}",
            where="csim_predict",
            accepted=f"a model converted for {', '.join(backend.value for backend in Backend if backend.is_hls)}",
            remedy="predict() gives the same numbers; build(cosim=True) simulates the SystemVerilog",
        )
    project = hls_project(job)
    with Project.open(target.output_dir, target.project_name) as folder:
        write_sources(folder, project)
        return compiled(folder, job.program, project, progress)
