"""HLS C++: a project of a vendor's tool, its C simulation by an ordinary compiler, and the vendor's stages."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path

import numpy as np

from bitsmith.base.progress import Progress
from bitsmith.building.capacity import Room, refused_word, unrolled_products
from bitsmith.building.csim import HlsCode, in_words, output_types
from bitsmith.building.hls_system import hls_core
from bitsmith.building.job import Job
from bitsmith.building.notes import notes_on_reuse
from bitsmith.building.plan import Plan
from bitsmith.building.stages import Sections, Stage, together
from bitsmith.building.system import bitstream as system_bitstream
from bitsmith.building.system import system_board, system_of
from bitsmith.building.verification import compare, raw_digest, stimuli
from bitsmith.emulate import Emulator
from bitsmith.errors import CapacityError, ConfigError, ProjectError, VerificationError
from bitsmith.flows.csim import BridgeLibrary, CsimProgram
from bitsmith.flows.run import Computed, Converted
from bitsmith.flows.vendor import VendorStage, by_hand, find_driver, label, stages_of
from bitsmith.hls.constants import decimals
from bitsmith.hls.project import HlsProject
from bitsmith.hls.project import Stage as VendorStep
from bitsmith.hls.words import Raws, given_weights, pack
from bitsmith.ir.program import Program
from bitsmith.ir.types import TensorType, objects
from bitsmith.options.building import Asked
from bitsmith.passes.program.load import load, parameters, random_values, values_of
from bitsmith.report.folder import last_run, measured
from bitsmith.report.sections import C_SIMULATION, Figures, Files, Resources, Verification, section_of
from bitsmith.systems.system import System
from bitsmith.vendors.vendor import ReportFile, plain

_TEST_DATA = "tb_data/tb_input_features.dat", "tb_data/tb_output_predictions.dat"
_COSIM_RESULTS = "tb_data/rtl_cosim_results.log"

_DIFFER = re.compile(r"\b([1-9][0-9]*) numbers differ from the predictions")
"""The test bench's line, before it fails, on results that are not the emulator's."""

_LOOK_THERE = "the circuit does not compute what the C++ says: look at the vendor's log of the co-simulation"

LARGEST_BENCH = 100
"""Samples that the vendor's test bench reads: its simulations take seconds per sample."""

_MOST_WEIGHTS = 2_000_000
"""Numbers of weights that it reads."""

Numbers = Sequence[tuple[str, ...]]
"""Exact decimals, a row per sample."""


def plan_hls(job: Job, asked: Asked) -> Plan:
    """The plan for HLS C++.

    Raises:
        CapacityError: the design is too large for what was asked.
        ConfigError: a stage that the vendor's tool does not have.
    """
    if asked.bitstream and system_board(job.target) is None:
        raise ConfigError(
            f"bitstream=True with backend {job.target.backend!r}",
            where="build",
            accepted="bitstream=False, or a board with a processor, as in convert(board='pynq-z2')",
        )
    backend, room = _Hls(job, asked), Room.of(job)
    if not asked.force:
        room.check_layout(job)
        if backend.steps or asked.bitstream:
            room.check_part(job)
            if backend.too_wide is not None:
                raise backend.too_wide
    csim = [backend.code.library(), backend.csim()] if asked.csim is not False else []
    return Plan(
        folder=job.target.output_dir,
        name=job.target.project_name,
        design=job.design,
        sources=backend.code.sources(),
        scripts=backend.scripts,
        stages=(*csim, *map(backend.vendor, backend.steps), *backend.bitstream()),
        finish=lambda folder, found: backend.finish(folder, found, room),
        reset=asked.reset,
    )


class _Hls:
    """Stages of a C++ project."""

    def __init__(self, job: Job, asked: Asked) -> None:
        self.code = HlsCode(job)
        self._job = job
        self._driver = self.code.dialect.driver
        self._usual = asked.synth is None
        self._force = asked.force
        self._wants_bits = asked.bitstream
        self.steps = self._vendor_steps(asked)

    def _vendor_steps(self, asked: Asked) -> tuple[VendorStep, ...]:
        """The stages of the vendor's tool that will run, in order."""
        wishes = {
            VendorStep.SYNTH: asked.synth,
            VendorStep.COSIM: asked.cosim or asked.validation,
            VendorStep.EXPORT: asked.export,
            VendorStep.VSYNTH: asked.vsynth,
            VendorStep.PNR: asked.pnr,
        }
        named, had = [step for step in VendorStep if wishes[step]], stages_of(self._driver)
        for step in named:
            if step not in had:
                raise ConfigError(
                    f"{step.value}=True with backend {self.code.dialect.name!r}",
                    where="build",
                    accepted=", ".join(("csim", *(step.value for step in had))),
                )
        wanted = set(named)
        if self._usual and find_driver(self._driver) is not None:
            wanted.add(VendorStep.SYNTH)
        wanted |= {need for step in wanted for need in step.needs if need in had}
        return tuple(step for step in VendorStep if step in wanted)

    def _flow(self, step: VendorStep) -> VendorStage:
        return VendorStage(self._driver, self.code.target.top, step, _watching)

    @cached_property
    def too_wide(self) -> CapacityError | None:
        """Return the words that the tool rejects for their width."""
        return refused_word(self.code.project.too_wide, self._driver.tool, parallel=self._job.directives.parallel)

    @cached_property
    def _raws(self) -> list[Raws]:
        return stimuli(self._job)

    @cached_property
    def _bench(self) -> tuple[Numbers, Numbers]:
        """The numbers that the vendor's test bench reads, and those that it must print."""
        return bench_numbers(self._job, self.code.project, self._raws)

    def scripts(self) -> Mapping[str, str]:
        """The project's scripts, which run the planned stages when a user starts them, and the bench's numbers."""
        target = self.code.target
        scripts = self.code.dialect.scripts(replace(target, stages=self.steps or target.stages))
        system = () if self._system is None else (self._system[0].files, self._system[1])
        return together(scripts, dict(zip(_TEST_DATA, map(number_lines, self._bench), strict=True)), *system)

    @cached_property
    def _system(self) -> tuple[System, Mapping[str, str | bytes]] | None:
        """The system of the board, and the files of the circuit for it; None if the board has none."""
        return system_of(self._job.target, lambda board: hls_core(self.code, board))

    def bitstream(self) -> tuple[Stage, ...]:
        """Stage that makes the bitstream, if one was asked for."""
        if self._system is None or not self._wants_bits:
            return ()
        return (system_bitstream(self._system[0], (self.code.dialect.name,)),)

    def csim(self) -> Stage:
        """Compare the compiled C++ with the emulator."""
        return Stage(
            name="csim",
            title=f"{len(self._raws[0]):,} samples",
            find=BridgeLibrary.find,
            flow=lambda: Computed(self._simulated, BridgeLibrary.find()),
            needs=(self.code.dialect.name,),
            options=(BridgeLibrary.environment(), *map(raw_digest, self._raws)),
            log="csim/compile.log",
            by_hand=self._program,
            expected=self._responses,
        )

    @cached_property
    def _runs(self) -> Mapping[str, tuple[Program, Emulator, Sequence[int]]]:
        """Simulations, by what the names of their files begin with, and samples before which weights are loaded."""
        program = self._job.program
        runs = {"": (program, self._job.emulator, list[int]())}
        if others := random_values(program):
            loaded = load(program, others)
            runs["reloaded_"] = loaded, Emulator(loaded), [0]
        return runs

    @property
    def _few(self) -> list[Raws]:
        return [raw[:LARGEST_BENCH] for raw in self._raws]

    def _program(self) -> CsimProgram:
        """The C++ as a program that runs on files."""
        project, runs = self.code.project, self._runs.items()
        return CsimProgram(
            project, {name: in_words(program, project, self._few, begins) for name, (program, _, begins) in runs}
        )

    def _responses(self) -> Mapping[str, bytes]:
        """The files that the program writes if it computes what the emulator does."""
        ports = self.code.project.outputs
        return CsimProgram.responses(
            {
                name: pack(ports, output_types(program), emulator.run_raw(self._few))
                for name, (program, emulator, _) in self._runs.items()
            }
        )

    def _simulated(self, folder: Path) -> Sections:
        """Run the compiled C++ in this process and compare it with the emulator."""
        compiled = self.code.load(folder)
        for program, emulator, begins in self._runs.values():
            found = replace(compiled, program=program, loads=bool(begins)).run_raw(self._raws)
            compare(emulator, program, found, self._raws)
        tool = BridgeLibrary.find()[0].label
        return (Verification(inputs=len(self._raws[0]), mismatches=0, tool=tool, method=C_SIMULATION),)

    def vendor(self, step: VendorStep) -> Stage:
        """A stage of the vendor's tool."""
        flow, read = self._flow(step), self._cosimulated if step is VendorStep.COSIM else lambda _: ()
        tools, scripts = flow.find(), self.code.dialect.scripts(self.code.target)
        folder = self._job.target.output_dir
        calls = [command.key for command in flow.commands(folder, tools)]
        bench = [number_lines(self._bench[0])] if step is VendorStep.COSIM else []
        return Stage(
            name=step.value,
            title=label(self._driver, tools[0]),
            find=flow.find,
            flow=lambda: Converted(flow, read),
            needs=(self.code.dialect.name, *(need.value for need in step.needs)),
            options=(*calls, *(text for item in sorted(scripts.items()) for text in item), *bench),
            log=flow.log(tools),
            rewritten=True,
            outdates=tuple(path for later in VendorStep if step in later.needs for path in self._flow(later).outputs()),
        )

    def _cosimulated(self, folder: Path) -> Sections:
        """Hold a co-simulation's numbers against those of the emulator, and its interval against the planned one."""
        expected, lines = self._bench[1], ReportFile(folder / _COSIM_RESULTS).text().splitlines()
        _compare_numbers([tuple(line.split()) for line in lines], expected, _COSIM_RESULTS)
        self._violated(folder)
        tool = label(self._driver, self._flow(VendorStep.COSIM).find()[0])
        return (Verification(inputs=len(expected), mismatches=0, tool=tool, method="co-simulation"),)

    def finish(self, folder: Path, reported: Sections, room: Room) -> tuple[Sections, tuple[str, ...]]:
        """Add the figures of the vendor's reports, or the estimate without some, and notes on what did not run."""
        notes, driver = [*([room.misfit] if room.misfit else []), *self._too_many_products()], self._driver
        notes += (
            [] if self.too_wide is None else [f"The tool would refuse {self.too_wide.found}: {self.too_wide.remedy}."]
        )
        notes += notes_on_reuse(self._job.program, self._job.directives, self.code.project.interval)
        if self.code.project.interval is None:
            notes.append(
                f"No interval is planned: {driver.tool} alone decides how far samples overlap, which its manual leaves open. "
                f"A process takes {self.code.project.slowest:,} cycles for a sample at most."
            )
        verified = [section for section in reported if isinstance(section, Verification)]
        if not verified:
            notes.append("Nothing was checked: a C simulation (csim) compares the C++ with the emulator, bit for bit.")
        if len(verified) > 1:
            csim, cosim = verified
            verified = [replace(cosim, csim_inputs=csim.inputs, csim_tool=csim.tool)]
        sections = [*verified, *self._measured(folder, notes)]
        if not any(isinstance(section, Resources) for section in sections):
            sections.append(section_of("Estimate", room.size.section()))
        if not self.steps:
            if self._usual:
                typed = by_hand(driver, self.code.target.top, (VendorStep.SYNTH,))
                notes.append(f"{driver.tool} was not found and not run. In the project's folder, start: {typed}")
            if last_run(folder) is not None:
                notes.append(f"The reports of {driver.tool} in the project's folder are of an earlier build.")
        script = next(iter(self.code.dialect.scripts(self.code.target)))
        left = next((section.paths for section in reported if isinstance(section, Files)), {})
        files = Files({**left, "Top": f"firmware/{self.code.target.top}.cpp", "Script": script})
        return (*sections, files), tuple(notes)

    def _measured(self, folder: Path, notes: list[str]) -> Sections:
        """The figures of the vendor's reports; one that cannot be read gives a note."""
        if not self.steps:
            return ()
        try:
            reported = measured(folder, self._job.target.clock_period_ns)
        except ProjectError as error:
            notes.append(f"The tool's reports cannot be read: {error.where}: {error.found}")
            return ()
        if "Resources" in reported:
            reported["Resources"]["Part"] = self._job.target.part
        notes += self._plan_violated(reported.get("Latency", {}))
        return tuple(section_of(name, figures) for name, figures in reported.items())

    def _too_many_products(self) -> list[str]:
        """A note on the layer for which the tool is known to give up."""
        most, products = self.code.dialect.most_products, unrolled_products(self._job)
        layer = max(products, key=lambda name: products[name], default="")
        if not most or not layer or products[layer] <= most:
            return []
        return [
            f"Layer {layer!r} makes {products[layer]:,} products at once, in one function. {self._driver.tool} is known to give "
            f"up above about {most:,}: set the layer's ReuseFactor to {-(-products[layer] // most)} or more."
        ]

    def _plan_violated(self, latency: Figures) -> list[str]:
        """A note if the tool's interval is above the planned one. Without a latency it is one loop's, and not the circuit's."""
        interval, planned = latency.get("II"), self.code.project.interval
        if not isinstance(interval, int) or planned is None or "Cycles" not in latency or interval <= planned:
            return []
        return [
            f"The plan is violated: a sample every {planned:,} cycles was planned, {latency.get('Tool', 'the tool')} finds one "
            f"every {interval:,}. Its log says what holds the loops or the pipeline back."
        ]

    def _violated(self, folder: Path) -> None:
        """Refuse a circuit that a simulation finds slower than planned, as that of RTL is; with ``force`` a note says it.

        Raises:
            VerificationError: says both intervals.
        """
        try:
            latency = measured(folder, self._job.target.clock_period_ns).get("Latency", {})
        except ProjectError:
            return  # said with the other reports
        simulated = "(estimate)" not in str(latency.get("Tool", ""))
        for note in self._plan_violated(latency):
            if simulated and not self._force:
                raise VerificationError(
                    note.rstrip("."),
                    where="co-simulation",
                    remedy="please report this; build(force=True) goes on and notes it",
                )


def _watching(log: Path) -> Progress:
    """End a vendor's tool whose test bench has found wrong numbers, which is not a failure of the tool."""

    def watch(line: str) -> None:
        if differ := _DIFFER.search(line):
            found = f"{differ[1]} numbers differ from the predictions"
            raise VerificationError(found, where=str(log), remedy=_LOOK_THERE)

    return watch


def _compare_numbers(numbers: Numbers, expected: Numbers, where: str) -> None:
    """Refuse lines of numbers that are not those of the emulator.

    Raises:
        VerificationError: says where first.
    """
    if [len(row) for row in numbers] != [len(row) for row in expected]:
        raise VerificationError(
            f"{len(numbers)} lines of {len(numbers[0]) if numbers else 0} numbers",
            where=where,
            accepted=f"{len(expected)} lines of {len(expected[0])} numbers",
            remedy=_LOOK_THERE,
        )
    wrong = [
        (sample, element)
        for sample, (have, want) in enumerate(zip(numbers, expected, strict=True))
        for element in range(len(want))
        if not _equal(have[element], want[element])
    ]
    if wrong:
        sample, element = wrong[0]
        raise VerificationError(
            f"{len(wrong):,} of {sum(map(len, expected)):,} outputs differ; first in sample {sample}, element {element}: "
            f"the circuit gives {plain(numbers[sample][element])[:60]}, the emulator {expected[sample][element]}",
            where=where,
            remedy=_LOOK_THERE,
        )


def _equal(have: str, want: str) -> bool:
    try:
        return Decimal(have) == Decimal(want)
    except InvalidOperation:
        return False  # not a number at all


def bench_numbers(job: Job, project: HlsProject, inputs: Sequence[Raws]) -> tuple[Numbers, Numbers]:
    """A line per sample of ``inputs`` of what comes in, and one of what goes out.

    Where weights come from outside, the second half of the samples has others than those that the circuit has at first.
    """
    program, ports = job.program, project.inputs
    weights = sum(port.size for port in ports if port.loaded)
    few = [raw[: max(2, min(LARGEST_BENCH, _MOST_WEIGHTS // max(1, weights)))] for raw in inputs]

    def rows(
        program: Program, emulator: Emulator, raws: Sequence[Raws], loads: Sequence[int]
    ) -> tuple[Numbers, Numbers]:
        outputs = program.types([output.node for output in program.outputs])
        types, given = given_weights(ports, values_of(program), len(raws[0]) if raws else 1, loads)
        taken = _numbers([*program.types(program.inputs), *types], [*raws, *given])
        return taken, _numbers(outputs, emulator.run_raw(raws))

    if not parameters(program) or not few or len(few[0]) < 2:
        return rows(program, job.emulator, few, ())
    half, others = -(-len(few[0]) // 2), load(program, random_values(program))
    first = rows(program, job.emulator, [raw[:half] for raw in few], ())
    second = rows(others, Emulator(others), [raw[half:] for raw in few], (0,))
    return [*first[0], *second[0]], [*first[1], *second[1]]


def _numbers(types: Sequence[TensorType], raws: Sequence[Raws]) -> Numbers:
    """A row per sample: the exact real values of all tensors, as decimals."""
    columns = []
    for kind, raw in zip(types, raws, strict=True):
        frac = kind.frac
        most = int(frac.max())
        texts = decimals(objects(objects(raw) << objects(most - frac)), most)
        columns.append(np.array(texts, dtype=np.object_).reshape(len(raw), -1))
    return [tuple(row) for row in np.concatenate(columns, axis=1)]


def number_lines(numbers: Numbers) -> str:
    return "".join(f"{' '.join(row)}\n" for row in numbers)
