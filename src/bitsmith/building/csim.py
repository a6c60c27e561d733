"""HLS C++ of a job, and the same compiled as a function of raw values that runs in this process.

The digest of what the library was made of is kept in the project's manifest, under this user's seal: only a library that was
compiled here, of the very sources that the job gives, is ever loaded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bitsmith.base.project import Project
from bitsmith.building.execute import Execution
from bitsmith.building.job import Job
from bitsmith.building.stages import Generated, Sections, Sources, Stage, job_digest
from bitsmith.errors import ConfigError
from bitsmith.errors.remedies import build, predict, remedy
from bitsmith.flows.csim import SAMPLES_AT_ONCE, Bridge, BridgeLibrary
from bitsmith.flows.run import Computed, Converted, Flow
from bitsmith.hls import HlsProject, HlsTarget, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.dialects.dialect import Dialect
from bitsmith.hls.names import top_identifier
from bitsmith.hls.words import Raws, Words, given_weights, pack, unpack
from bitsmith.ir.program import Program
from bitsmith.ir.types import TensorType
from bitsmith.passes.program.load import values_of
from bitsmith.version import __version__

LIBRARY = "csim library"
"""The stage that compiles, as manifests call it."""


@dataclass(frozen=True, slots=True)
class CompiledProgram:
    """The C++ of ``program``; weights from outside are those of ``program``, those that are kept only if that ``loads`` them."""

    program: Program
    project: HlsProject
    bridge: Bridge
    loads: bool = False

    def run_raw(self, raws: Sequence[Raws]) -> list[Raws]:
        """Raw outputs (batch, *shape) for raw inputs, one array per output and input."""
        batch = len(raws[0]) if raws else 1
        words = in_words(self.program, self.project, raws, range(0, batch, SAMPLES_AT_ONCE) if self.loads else ())
        return unpack(
            self.project.outputs, output_types(self.program), self.bridge.run(words, whole=bool(self.program.keeping))
        )

    def run(self, raws: Sequence[Raws]) -> list[npt.NDArray[np.float64]]:
        """Real outputs for raw inputs: the nearest float64, which is exact up to 53 bits."""
        return [real(raw, kind) for raw, kind in zip(self.run_raw(raws), output_types(self.program), strict=True)]


def in_words(program: Program, project: HlsProject, raws: Sequence[Raws], begins: Iterable[int]) -> Words:
    """The words of raw inputs and of the weights of ``program``, which circuits that keep them load before ``begins``."""
    types = program.types(program.inputs)
    weights = given_weights(project.inputs, values_of(program), len(raws[0]) if raws else 1, begins)
    return pack(project.inputs, [*types, *weights[0]], [*raws, *weights[1]])


def output_types(program: Program) -> tuple[TensorType, ...]:
    """The types of the outputs of ``program``."""
    return tuple(program.types([output.node for output in program.outputs]))


def real(raw: Raws, kind: TensorType) -> npt.NDArray[np.float64]:
    """The real values of ``raw``, of type ``kind``."""
    return np.asarray(raw.astype(np.float64) * np.exp2(-kind.frac.astype(np.float64)))


class HlsCode:
    """The C++ of a job for its backend, which is generated when it is first needed."""

    def __init__(self, job: Job) -> None:
        target = job.target
        self.job = job
        self.dialect: Dialect = DIALECTS[target.backend]
        if target.interface is not None:
            arrays = self.dialect.arrays
            self.dialect = replace(self.dialect, arrays=replace(arrays, parameter=arrays.vector))
        self.target = HlsTarget(
            top_identifier(target.project_name),
            target.part,
            target.clock_period_ns,
            100.0 * target.clock_uncertainty,
            f"bitsmith {__version__}",
            job.program_digest[:16],
        )

    @cached_property
    def project(self) -> HlsProject:
        """All files, and how they are used.

        Raises:
            RangeError, UnsupportedError: C++ cannot express the program.
        """
        return write_project(self.job.program, self.job.directives, self.dialect, self.target)

    def sources(self) -> Sources:
        """The C++ without the scripts of the vendor's tool."""
        return Sources(self.dialect.name, "", job_digest(self.job), self._generate, "firmware/**/*.*", 0.0)

    def _generate(self) -> Generated:
        scripts = self.dialect.scripts(self.target)
        return Generated({name: text for name, text in self.project.files.items() if name not in scripts})

    def library(self) -> Stage:
        """The C++ compiled to a library."""

        def flow() -> Flow[Sections]:
            return Converted(BridgeLibrary(self.project), lambda library: ())

        return Stage(
            name=LIBRARY,
            title="",
            find=BridgeLibrary.find,
            flow=flow,
            needs=(self.dialect.name,),
            options=(BridgeLibrary.environment(),),
            log="csim/compile.log",
            reported=False,
            by_hand=lambda: Computed(lambda folder: None),
        )

    def load(self, folder: Path) -> CompiledProgram:
        """The library that its stage has left in the project's folder.

        Raises:
            ToolFailedError: it cannot be loaded.
        """
        made, flow = self.project, BridgeLibrary(self.project)
        bridge = Bridge(flow.library(folder, flow.find()), made.in_words, made.out_words)
        return CompiledProgram(self.job.program, made, bridge)


def compile_job(job: Job) -> CompiledProgram:
    """The C++ of ``job``, written into its project folder and compiled there as far as that has not been done.

    Raises:
        ConfigError: a backend without C++.
        RangeError, UnsupportedError: C++ cannot express the program.
        ToolMissingError, ToolFailedError, ProjectError.
    """
    target = job.target
    if target.backend == "rtl":
        raise ConfigError(
            f"no C++ with backend {target.backend!r}",
            where="csim_predict",
            accepted=f"a model converted for {', '.join(DIALECTS)}",
            remedy=remedy(predict(), " gives the same numbers; ", build(cosim=True), " simulates the SystemVerilog"),
        )
    code = HlsCode(job)
    with Project.open(target.output_dir, target.project_name, job.design.outline) as folder:
        execution = Execution(folder)
        execution.write(code.sources())
        execution.run(code.library())
        return code.load(folder.folder)
