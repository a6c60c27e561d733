"""A core program in, a project of HLS C++ out, checked by C simulation, and whatever the vendor's tool makes of it.

Stages of the vendor's tool are skipped when nothing that they depend on has changed since they last ended well.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from bitsmith.build.csim import compiled, hls_project, hls_target, write_sources
from bitsmith.build.job import Job
from bitsmith.build.verification import compare, stimuli
from bitsmith.errors import ConfigError, ProjectError, ToolFailedError, VerificationError
from bitsmith.flows.run import Progress, execute
from bitsmith.flows.tools import GXX, find
from bitsmith.flows.vendor import VendorStage, by_hand, find_driver, label, stages_of
from bitsmith.hls import HlsProject
from bitsmith.hls.constants import decimals
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.dialects.dialect import Driver
from bitsmith.hls.project import Stage
from bitsmith.hls.words import Raws
from bitsmith.ir.program import Program
from bitsmith.ir.types import objects
from bitsmith.project import Project, StageRecord, digest
from bitsmith.report import Report
from bitsmith.report.folder import write_report
from bitsmith.report.measured import last_run, measured
from bitsmith.report.sections import C_SIMULATION
from bitsmith.report.vendors.vendor import plain, read_text

_LARGEST_BENCH = 100
"""Samples that the vendor's test bench reads: its simulations take seconds per sample."""

_TEST_DATA = "tb_data/tb_input_features.dat", "tb_data/tb_output_predictions.dat"
_COSIM_RESULTS = "tb_data/rtl_cosim_results.log"

_DIFFER = re.compile(r"\b([1-9][0-9]*) numbers differ from the predictions")
"""What the test bench says, before it fails, of results that are not the emulator's."""

_LOOK_THERE = "the circuit does not compute what the C++ says: look at the vendor's log of the co-simulation"

Numbers = Sequence[tuple[str, ...]]
"""Exact decimals, a row per sample."""


@dataclass(frozen=True, slots=True)
class HlsStages:
    """What is to run; the C++ itself is always written.

    Args:
        csim: the comparison by C simulation.
        vendor: stages of the vendor's tool that were asked for.
        usual: whether those that are usual for the tool run too, if it is there.
        reset: run stages again whose results still hold.
    """

    csim: bool
    vendor: frozenset[Stage]
    usual: bool
    reset: bool = False


def build_hls(job: Job, stages: HlsStages, *, progress: Progress | None) -> Report:
    """Write the C++ project of ``job`` and run ``stages`` on it; see :meth:`bitsmith.model.Model.build`.

    Raises:
        VerificationError: the C++, or what the vendor's tool made of it, and the emulator disagree.
        ConfigError: a stage that the vendor's tool does not have.
        RangeError, UnsupportedError: no C++ can express the program.
        ToolMissingError, ToolFailedError, ProjectError.
    """
    target = job.target
    started = time.perf_counter()
    project = hls_project(job)
    vendor = _vendor_stages(job, project.top, stages)
    raws = stimuli(job)
    with Project.open(target.output_dir, target.project_name) as folder:
        return _HlsBuild(job, project, folder, raws, progress).run(stages, vendor, started)


def _vendor_stages(job: Job, top: str, stages: HlsStages) -> tuple[Stage, ...]:
    """The stages of the vendor's tool that will run, in order, after a look for the tool."""
    backend = job.target.backend.value
    driver = DIALECTS[backend].driver
    had = stages_of(driver)
    for stage in Stage:
        if stage in stages.vendor and stage not in had:
            raise ConfigError(
                f"{stage.value}=True with backend {backend!r}",
                where="build",
                accepted=", ".join(("csim", *(stage.value for stage in had))),
            )
    wanted = set(stages.vendor)
    if stages.usual and find_driver(driver) is not None:
        wanted |= set(driver.default)
    wanted |= {need for stage in wanted for need in stage.needs if need in had}
    ordered = tuple(stage for stage in Stage if stage in wanted)
    for stage in sorted(ordered, key=lambda stage: stage not in stages.vendor):  # what was asked for is named first
        VendorStage(driver, top, stage).find()
    return ordered


class _HlsBuild:
    """One run over one locked project."""

    def __init__(
        self, job: Job, project: HlsProject, folder: Project, raws: Sequence[Raws], progress: Progress | None
    ) -> None:
        self._job = job
        self._project = project
        self._folder = folder
        self._raws = raws
        self._progress = progress
        self._dialect = DIALECTS[job.target.backend.value]
        self._sections: dict[str, object] = {}
        self._stages: list[dict[str, object]] = []
        self._records: dict[Stage, StageRecord] = {}
        self._notes: list[str] = []

    def run(self, stages: HlsStages, vendor: Sequence[Stage], started: float) -> Report:
        """Run the stages in order and write the report."""
        if stages.reset:
            self._folder.forget()
        expected = self._write(vendor)
        self._note_stage(self._dialect.name, time.perf_counter() - started, "")
        if stages.csim:
            self._simulate()
        driver = self._dialect.driver
        for stage in vendor:
            flow = VendorStage(driver, self._project.top, stage)
            self._run_vendor(driver, flow)
            if stage is Stage.COSIM:
                self._check_cosimulation(driver, flow, expected)
        if not vendor:
            self._note_the_tool(driver, stages.usual)
        if "Verification" not in self._sections:
            self._notes.append("Nothing was checked: build(csim=True) compares the C++ with the emulator, bit for bit.")
        if vendor:
            self._read_reports()
        files = {"Top": f"firmware/{self._project.top}.cpp", "Script": next(iter(self._scripts(())))}
        design = replace(self._job.design, notes=(*self._job.design.notes, *self._notes))
        report = Report({**self._sections, "Files": files, "Stages": self._stages}, design)
        write_report(report, self._folder.folder)
        return report

    def _scripts(self, vendor: Sequence[Stage]) -> dict[str, str]:
        """The project's scripts as they run ``vendor`` when a user starts them."""
        target = hls_target(self._job)
        return dict(self._dialect.scripts(replace(target, stages=tuple(vendor) or target.stages)))

    def _write(self, vendor: Sequence[Stage]) -> Numbers:
        """All files of the project; the numbers that its test bench must print."""
        write_sources(self._folder, self._project)
        self._folder.write(self._scripts(vendor))
        few = [raw[:_LARGEST_BENCH] for raw in self._raws]
        outputs = [output.node for output in self._job.program.outputs]
        given = _numbers(self._job.program, self._job.program.inputs, few)
        expected = _numbers(self._job.program, outputs, self._job.emulator.run_raw(few))
        self._folder.write(dict(zip(_TEST_DATA, map(_lines, (given, expected)), strict=True)))
        return expected

    def _simulate(self) -> None:
        started = time.perf_counter()
        self._say(f"csim: {len(self._raws[0]):,} samples")
        found = compiled(self._folder, self._job.program, self._project, self._progress).run_raw(self._raws)
        compare(self._job.emulator, self._job.program, found, self._raws)
        self._sections["Verification"] = {
            "Inputs": len(self._raws[0]),
            "Mismatches": 0,
            "Tool": find(GXX).label,
            "Method": C_SIMULATION,
        }
        self._note_stage("csim", time.perf_counter() - started, "csim/compile.log")

    def _run_vendor(self, driver: Driver, flow: VendorStage) -> None:
        """Run a stage of the vendor's tool, unless its results still hold."""
        stage, tools = flow.stage, flow.find()
        commands = flow.commands(self._folder.folder, tools)
        state = digest(
            *(command.key for command in commands),
            *(tool.label for tool in tools),
            *(text for item in sorted(self._project.files.items()) for text in item),
            *((self._folder.path(_TEST_DATA[0]),) if stage is Stage.COSIM else ()),
            *(str(self._records[need].result) for need in stage.needs if need in self._records),
        )
        outputs = [path for command in commands for path in command.outputs]
        record = self._folder.cached(stage.value, state)
        # Not by their content: some tools write the reports of earlier stages again.
        cached = record is not None and all(path.exists() for path in outputs)
        if record is None or not cached:
            for later in Stage:
                if stage in later.needs:  # whose results are now of something else
                    for output in VendorStage(driver, self._project.top, later).outputs():
                        self._folder.path(output).unlink(missing_ok=True)
            self._say(f"{stage.value}: {label(driver, tools[0])}")
            started = time.perf_counter()
            try:
                execute(flow, self._folder.folder, self._progress)
            except ToolFailedError as error:
                _refuse_wrong_results(error)
                raise
            seconds = time.perf_counter() - started
            record = self._folder.record(stage.value, state, time.time_ns(), seconds, flow.log(tools))
        self._records[stage] = record
        self._note_stage(stage.value, record.seconds, record.log, cached=cached)

    def _check_cosimulation(self, driver: Driver, flow: VendorStage, expected: Numbers) -> None:
        """Refuse results of the vendor's co-simulation that are not those of the emulator."""
        text = read_text(self._folder.path(_COSIM_RESULTS))
        _compare_numbers([tuple(line.split()) for line in text.splitlines()], expected, _COSIM_RESULTS)
        by_csim = "Verification" in self._sections
        self._sections["Verification"] = {
            "Inputs": len(expected),
            "Mismatches": 0,
            "Tool": label(driver, flow.find()[0]),
            "Method": "co-simulation",
            **({"CsimInputs": len(self._raws[0]), "CsimTool": find(GXX).label} if by_csim else {}),
        }

    def _read_reports(self) -> None:
        target = self._job.target
        try:
            found = measured(self._folder.folder, target.clock_period_ns)
        except ProjectError as error:
            self._notes.append(f"The tool's reports cannot be read: {error.where}: {error.found}")
            return
        if "Resources" in found:
            found["Resources"]["Part"] = target.part
        self._sections |= found

    def _note_the_tool(self, driver: Driver, usual: bool) -> None:
        """Say why figures of the vendor's tool are missing."""
        if usual:
            typed = by_hand(driver, self._project.top, driver.default)
            self._notes.append(f"{driver.tool} was not found and not run. In the project's folder, start: {typed}")
        if last_run(self._folder.folder) is not None:
            self._notes.append(f"The reports of {driver.tool} in the project's folder are of an earlier build.")

    def _note_stage(self, name: str, seconds: float, log: str, *, cached: bool = False) -> None:
        self._stages.append({"Name": name, "Seconds": round(seconds, 2), "Log": log, "Cached": cached})

    def _say(self, line: str) -> None:
        if self._progress is not None:
            self._progress(line)


def _refuse_wrong_results(error: ToolFailedError) -> None:
    """Raise a VerificationError instead, if the tool has failed because the test bench found wrong numbers."""
    log = Path(error.log)
    differ = _DIFFER.search(read_text(log)) if log.is_file() else None
    if differ:
        raise VerificationError(
            f"{differ[1]} numbers differ from the predictions", where=error.log, remedy=_LOOK_THERE
        ) from error


def _numbers(program: Program, nodes: Sequence[int], raws: Sequence[Raws]) -> Numbers:
    """A row per sample: the exact real values of all tensors, as decimals."""
    columns = []
    for index, raw in zip(nodes, raws, strict=True):
        frac = program.nodes[index].type.frac
        most = int(frac.max())
        texts = decimals(objects(objects(raw) << objects(most - frac)), most)
        columns.append(np.array(texts, dtype=np.object_).reshape(len(raw), -1))
    return [tuple(row) for row in np.concatenate(columns, axis=1)]


def _lines(numbers: Numbers) -> str:
    return "".join(f"{' '.join(row)}\n" for row in numbers)


def _compare_numbers(found: Numbers, expected: Numbers, where: str) -> None:
    """Refuse lines of numbers that are not those of the emulator.

    Raises:
        VerificationError: says where first.
    """
    if [len(row) for row in found] != [len(row) for row in expected]:
        raise VerificationError(
            f"{len(found)} lines of {len(found[0]) if found else 0} numbers",
            where=where,
            accepted=f"{len(expected)} lines of {len(expected[0])} numbers",
            remedy=_LOOK_THERE,
        )
    wrong = [
        (sample, element)
        for sample, (have, want) in enumerate(zip(found, expected, strict=True))
        for element in range(len(want))
        if not _equal(have[element], want[element])
    ]
    if wrong:
        sample, element = wrong[0]
        raise VerificationError(
            f"{len(wrong):,} of {sum(map(len, expected)):,} outputs differ; first in sample {sample}, element {element}: "
            f"the circuit gives {plain(found[sample][element])[:60]}, the emulator {expected[sample][element]}",
            where=where,
            remedy=_LOOK_THERE,
        )


def _equal(have: str, want: str) -> bool:
    try:
        return Decimal(have) == Decimal(want)
    except InvalidOperation:
        return False  # not a number at all
