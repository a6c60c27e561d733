"""The sources and stages of a circuit in SystemVerilog, with open tools."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from bitsmith.base.project import digest
from bitsmith.building.capacity import Room
from bitsmith.building.design import Circuit, Cosimulated, circuit
from bitsmith.building.job import Job
from bitsmith.building.notes import notes_on_circuit
from bitsmith.building.stages import Generated, Sections, Sources, Stage, job_digest, together
from bitsmith.building.system import bitstream as system_bitstream
from bitsmith.building.system import rtl_core, system_board, system_of, watching
from bitsmith.building.verification import compare, random_stimuli, raw_digest, selftest_frame, stimuli
from bitsmith.config.values import NO_MONITORS, has_ranges
from bitsmith.devices.board import Board, default_board, read_board
from bitsmith.devices.family import Part
from bitsmith.emulate import Emulator
from bitsmith.errors import CapacityError, VerificationError
from bitsmith.errors.remedies import OPEN, convert, remedy
from bitsmith.estimate.needs import packed_luts
from bitsmith.flows.cells import Unmapped
from bitsmith.flows.cosim import COSIM, WAVES, Cosimulation
from bitsmith.flows.nextpnr import Bitstream, OutOfContext, Timing
from bitsmith.flows.run import Chained, Converted, Flow
from bitsmith.flows.yosys import Resources, Synthesis, part_of
from bitsmith.options.building import Asked
from bitsmith.report import sections, turns
from bitsmith.rtl import library, uart_wrapper
from bitsmith.rtl.design import LayerPart
from bitsmith.rtl.driver import DrivenCircuit, Frame, driver, driver_module, image_file, images
from bitsmith.rtl.integration import bench
from bitsmith.rtl.names import Wrapper, top_identifier
from bitsmith.rtl.packing import Raw
from bitsmith.rtl.ranges import MOST_SAMPLES
from bitsmith.rtl.selftest import StoredBytes, stored_bytes
from bitsmith.rtl.writer import Title
from bitsmith.systems.system import System
from bitsmith.version import __version__

_SIMULATED_CYCLES, _LEAST_SAMPLES = 400_000, 8
"""Slow circuits are simulated on fewer samples: so many cycles' worth, and at least so many."""

_BENCH_FRAMES, _BENCH_CYCLES = 8, 10_000
"""Frames of the bench for cocotb, whose simulators are slow: so many, or so many cycles' worth."""

_BAUD = 115_200

_POST_SYNTH = "post_synth"
"""The stage that simulates the netlist, and its folder."""

_COSIM_S, _SYNTH_S, _PNR_S = (4.0, 0.4e-3), (5.0, 4e-3), (10.0, 12e-3)
"""Seconds that stages take: some, and some for each look-up table. Measured with the tools of pip, on one slow core."""

_SECONDS_PER_LUT = 60e-6
"""Seconds that making the circuit takes for each look-up table: 20e-6 to 80e-6 for networks of 1,000 to 130,000."""

_CYCLE_S = 0.5e-9
"""Seconds that a simulation takes for each look-up table and cycle, likewise."""

_PNR_BLOCK_S = 0.4
"""Seconds of place and route for each block of a multiplier or memory, around which wires crowd."""


class Rtl:
    """Sources and stages of a circuit, which is made when one of them first needs it."""

    def __init__(self, job: Job, room: Room, asked: Asked) -> None:
        self.job = job
        self._asked = asked
        self._room = room
        self._part = room.part
        self._top = top_identifier(job.target.project_name)

    @cached_property
    def _circuit(self) -> Circuit:
        job, delays = self.job, self._part.family.delays
        title = Title(f"bitsmith {__version__}", job.program_digest[:16])
        return circuit(job.program, job.directives, delays, self._budget_ns, self._top, title)

    @property
    def _budget_ns(self) -> float:
        """The nanoseconds of logic that the clock leaves to a stage."""
        return self.job.target.budget_ns(self._part.family)

    @cached_property
    def _raws(self) -> list[Raw]:
        return stimuli(self.job)

    def _simulated(self) -> list[Raw]:
        """The inputs of the co-simulation."""
        most = max(_LEAST_SAMPLES, _SIMULATED_CYCLES // self._circuit.cycles[1])
        return [raw[:most] for raw in self._raws]

    def _paths(self) -> tuple[Path, ...]:
        return tuple(Path("rtl") / name for name in self._circuit.sources)

    def sources(self) -> Sources:
        """The circuit and its bus wrappers."""
        luts = self._room.size.lut
        title = f"about {luts:,} LUTs expected"
        return Sources("rtl", title, self._digest, self._generate, "rtl/*.*", luts * _SECONDS_PER_LUT)

    @property
    def _digest(self) -> str:
        """A digest of everything that the sources follow from."""
        board = system_board(self.job.target)
        samples = [] if self._samples is None else list(map(raw_digest, self._samples))
        return job_digest(self.job) if board is None else digest(job_digest(self.job), repr(board), *samples)

    @cached_property
    def _samples(self) -> list[Raw] | None:
        """Raw calibration data, as monitors expect them."""
        if self.job.calibration is None or not has_ranges(self.job.target.monitors):
            return None
        return [self.job.emulator.quantize(k, x[:MOST_SAMPLES])[0] for k, x in enumerate(self.job.calibration)]

    @cached_property
    def _system(self) -> tuple[System, Mapping[str, str | bytes]] | None:
        """The system of the board, and the files of the circuit for it; None if the board has none."""
        target = self.job.target
        return system_of(target, lambda board: rtl_core(self._circuit, board, target, self.job.layouts, self._samples))

    @property
    def _driver(self) -> str:
        """Path of the driver."""
        return f"driver/{driver_module(self._top)}.py"

    @cached_property
    def _frame(self) -> Frame | None:
        """The frame of the self-test; None where weights come with each frame from a memory, too."""
        made = self._circuit
        return None if made.interface.images else selftest_frame(made.program)

    def _generate(self) -> Generated:
        circuit, frame = self._circuit, self._frame
        driven = circuit.program, circuit.interface
        files = together(
            {f"driver/{image_file(self._top, port)}": data for port, data in images(circuit.interface)},
            {f"rtl/{name}": text for name, text in circuit.sources.items()},
            *(circuit.extras, self._bench()),
            {self._driver: driver(DrivenCircuit(*driven, self.job.layouts, self.job.target.samples, frame=frame))},
            *(() if self._system is None else (self._system[1], self._system[0].files)),
        )
        notes = tuple(notes_on_circuit(circuit, self.job, self._part.family, self._budget_ns))
        engines = [turns.section(circuit.engines)] if circuit.engines else []
        return Generated(files, notes, (*watching(circuit, self.job.target, self._part.family.memory), *engines))

    def _bench(self) -> Mapping[str, str]:
        """The bench for cocotb, with few frames: users add theirs."""
        circuit = self._circuit
        frames = max(2, min(_BENCH_FRAMES, _BENCH_CYCLES // circuit.cycles[1]))
        wrappers = f"{Wrapper.AXIL.of(self._top)}.v", f"{Wrapper.AVALON.of(self._top)}.sv"
        sources = (*circuit.wrapper_sources(library.BENCH_LIBRARY), *wrappers)
        return bench(circuit.interface, sources, *circuit.tokens(random_stimuli(self.job.program, frames)))

    def cosim(self) -> Stage:
        """Compare the circuit with the emulator, and measure its latency and interval."""
        waves = self._asked.trace
        shown = (sections.Files({"Waveforms": f"{COSIM}/{WAVES}"}),) if waves else ()
        return Stage(
            name="cosim",
            title=f"up to {len(self._raws[0]):,} samples",
            find=Cosimulation.find,
            flow=lambda: Converted(
                self._circuit.simulation(self._paths(), self._simulated(), waves=waves),
                lambda found: (*self._compared(found), *shown),
            ),
            needs=("rtl",),
            options=(*map(raw_digest, self._raws), *(["waves"] if waves else [])),
            log="cosim/run.log",
            seconds=self._simulating,
            expected=lambda: self._circuit.responses(self._simulated()),
        )

    def _compared(self, measured: Cosimulated) -> Sections:
        """Refuse outputs that are not the emulator's, and cycles that were not planned."""
        job, raws = self.job, self._simulated()
        compare(job.emulator, job.program, measured.outputs, raws)
        if measured.reloaded is not None:
            program, outputs = measured.reloaded
            compare(Emulator(program), program, outputs, raws)
        latency, interval = self._circuit.cycles
        # Frames may follow faster at first, until a long part has caught up with a slow one.
        if measured.latency != latency or measured.interval > interval:
            raise VerificationError(
                f"latency {measured.latency} and interval {measured.interval} measured",
                where=self._top,
                accepted=f"latency {latency} and interval {interval}, as planned",
            )
        return (
            sections.Verification(inputs=len(raws[0]), mismatches=0, tool=measured.tool),
            sections.Latency(cycles=latency, ii=interval, tool=measured.tool),
            *([sections.FIFOs(measured.fifos)] if measured.fifos else []),
        )

    def synth(self) -> Stage:
        """Map the circuit to the cells of the part and count them."""
        family, part = self._part.family.name, self._part.name

        def counted(cells: Resources) -> Sections:
            return (
                self._by_layer(cells),
                sections.Resources(
                    lut=cells.lut,
                    ff=cells.ff,
                    dsp=cells.dsp,
                    bram=cells.bram,
                    uram=cells.large.get("URAM"),
                    spram=cells.large.get("SPRAM"),
                    tool=cells.tool,
                    part=part,
                    family=family,
                ),
            )

        return Stage(
            name="synth",
            title=part,
            find=Synthesis.find,
            flow=lambda: Converted(self._synthesis(), counted),
            needs=("rtl",),
            options=(family, part),
            log=f"synth/{family}/yosys.log",
            seconds=lambda: self._synthesizing,
        )

    def post_synth(self) -> Stage:
        """Compare the netlist after synthesis with the emulator, as plain Verilog with what its cells do."""
        cells = Unmapped(self._top, f"synth/{self._part.family.name}", self._part.family)

        def flow() -> Flow[Sections]:
            simulation = self._circuit.simulation([Path(cells.netlist)], self._simulated(), _POST_SYNTH)
            return Converted(Chained(cells, simulation, {}), self._same_netlist)

        return Stage(
            name=_POST_SYNTH,
            title=f"up to {len(self._raws[0]):,} samples",
            find=lambda: (*Unmapped.find(), *Cosimulation.find()),
            flow=flow,
            needs=("synth",),
            options=self.cosim().options,
            log=f"{_POST_SYNTH}/run.log",
            expected=lambda: self._circuit.responses(self._simulated(), _POST_SYNTH),
        )

    def _same_netlist(self, found: Cosimulated) -> Sections:
        verified = next(each for each in self._compared(found) if isinstance(each, sections.Verification))
        return (sections.Verification(netlist_inputs=verified.inputs, netlist_tool=verified.tool),)

    def _synthesis(self) -> Synthesis:
        paths = tuple(path.as_posix() for path in self._paths())
        parts = tuple(self._circuit.parts)
        return Synthesis(self._part.family.name, self._top, paths, self._part.family, parts=parts)

    def _by_layer(self, resources: Resources) -> sections.Layers:
        """The cells of each layer; parts of the same layers in one row, the top's last."""
        layers: dict[str, list[tuple[LayerPart, Resources]]] = {}
        for name, part in (*self._circuit.parts.items(), ("", LayerPart(""))):
            if name in resources.parts:
                layers.setdefault(part.layer, []).append((part, resources.parts[name]))
        return sections.Layers(tuple(map(_layer_cells, layers.values())))

    def pnr(self) -> Stage:
        """Place and route without pads, which measures the clock."""
        target_mhz = self._target_mhz
        routing = self._routing(self._part)
        placed = OutOfContext(f"synth/{self._part.family.name}/netlist.json", self._part, target_mhz, routing)

        return Stage(
            name="pnr",
            title=f"{self._part.name} at {target_mhz:.0f} MHz",
            find=placed.find,
            flow=lambda: Converted(placed, lambda found: (self._timing(found), _utilization(found))),
            needs=("synth",),
            options=(self._part.name, f"{target_mhz}", *routing),
            log="pnr/nextpnr.log",
            seconds=lambda: self._placing,
        )

    def bitstream(self) -> Stage:
        """The configuration of a board, with the circuit at its serial port or in its system."""
        if self._system is not None:
            return system_bitstream(self._system[0], ("rtl",))
        board, top = self._board(), Wrapper.UART.of(self._top)
        bits = Bitstream("synth/shell/netlist.json", self._top, board, self._target_mhz, self._routing(board.part))

        def configured(found: tuple[Path, Timing]) -> Sections:
            path, reached = found
            clock = (self._timing(reached, f" with the serial port of {board.name}"),) if self.on_board() else ()
            return *clock, _utilization(reached), sections.Files({"Bitstream": f"pnr/{path.name}"})

        def flow() -> Flow[Sections]:
            circuit = self._circuit
            stored = self._stored()
            text = uart_wrapper.uart(circuit.interface, board.clock_hz, _BAUD, stored, led=board.led)
            wrapper = {f"rtl/{top}.sv": text}
            below = tuple(f"rtl/{name}" for name in circuit.wrapper_sources(library.UART_LIBRARY))
            synthesis = Synthesis("shell", top, (*below, *wrapper), board.part.family, pads=True)
            return Converted(Chained(synthesis, bits, wrapper), configured)

        return Stage(
            name="bitstream",
            title=board.name,
            find=lambda: (*Synthesis.find(), *bits.find()),
            flow=flow,
            needs=("rtl",),
            options=(bits.constraints, *bits.routing),
            log=f"pnr/{self._top}.nextpnr.log",
            seconds=lambda: self._synthesizing + self._placing,
        )

    def _stored(self) -> StoredBytes | None:
        """The frame of the self-test beside a serial port."""
        made = self._circuit
        frame = self._frame if self.job.target.monitors != NO_MONITORS else None
        return None if frame is None else stored_bytes(made.program, made.interface, frame)

    def _board(self) -> Board:
        """The user's board, else ours that stands for the family."""
        if self.job.target.board is not None:
            return read_board(self.job.target.board)
        board = default_board(self._part.family)
        if board is None:
            found = f"no board with a part of {self._part.family.name} is known"
            raise CapacityError(found, where="bitstream", remedy=remedy("choose one: ", convert(board=OPEN)))
        return board

    @cached_property
    def _target_mhz(self) -> float:
        return 1e3 / self.job.target.clock_period_ns

    def _simulating(self) -> float:
        """Seconds that a co-simulation takes: those of making the simulator, and of its cycles."""
        cycles = len(self._simulated()[0]) * self._circuit.cycles[1]
        return _COSIM_S[0] + (_COSIM_S[1] + _CYCLE_S * cycles) * self._room.size.lut

    @property
    def _synthesizing(self) -> float:
        """Seconds that logic synthesis takes."""
        return _SYNTH_S[0] + _SYNTH_S[1] * self._room.size.lut

    @property
    def _placing(self) -> float:
        """Seconds that place and route takes."""
        size = self._room.size
        return _PNR_S[0] + _PNR_S[1] * packed_luts(size, self._part) + _PNR_BLOCK_S * (size.dsp + size.bram)

    def _routing(self, part: Part) -> tuple[str, ...]:
        """Return the options that route the circuit on ``part``."""
        return part.routing(self._room.size.dsp, self._room.size.bram)

    def on_board(self) -> bool:
        """Return True if the board has the part: its place and route then measures the clock of the part as well."""
        board = self._board()
        return (board.part.die, board.part.nextpnr) == (self._part.die, self._part.nextpnr)

    def finish(self, folder: Path, reported: Sections) -> tuple[Sections, tuple[str, ...]]:
        """Add the estimate and the files."""
        left = next((section.paths for section in reported if isinstance(section, sections.Files)), {})
        top = self._top
        files = {
            **left,
            "Top": f"rtl/{top}.sv",
            "AXI4-Stream": f"rtl/{Wrapper.AXIS.of(top)}.sv",
            "AXI4-Lite": f"rtl/{Wrapper.AXIL.of(top)}.v",
            "Avalon-ST": f"rtl/{Wrapper.AVALON.of(top)}.sv",
            "Driver": self._driver,
        }
        watching = [section for section in reported if isinstance(section, sections.Estimate)]
        figures: dict[str, object] = dict(self._room.size.section())
        for section in watching:
            counted = {"LUT": section.counters_lut, "FF": section.counters_ff, "BRAM": section.counters_bram}
            figures |= {f"Counters{cell}": number for cell, number in counted.items()}
        estimate = sections.section_of("Estimate", figures)
        others = tuple(section for section in reported if section not in watching)
        notes = [self._room.misfit]
        if "Bitstream" in left and system_board(self.job.target) is None:
            board = self._board()
            notes.append(f"To load {board.name}: {' or '.join(board.loading(str(folder / left['Bitstream'])))}")
        return (*_joined(others), estimate, sections.Files(files)), tuple(filter(None, notes))

    def _timing(self, found: Timing, what: str = "") -> sections.Timing:
        """The clock that was reached, by ``what`` beside the circuit."""
        return self._clock(found.clock_period_ns, found.fmax_mhz, found.path, f"{found.tool}{what}")

    def _clock(self, period_ns: float, fmax_mhz: float, path: tuple[str, ...], tool: str | None) -> sections.Timing:
        ends = [layer for name in path if (layer := self._layer_of(name))]
        return sections.Timing(
            fmax_mhz=fmax_mhz,
            clock_period_ns=period_ns,
            slack_ns=round(self.job.target.clock_period_ns - period_ns, 3),
            path=" to ".join(dict.fromkeys(ends)) or None,
            tool=tool,
        )

    def _layer_of(self, cell: str) -> str | None:
        """The layer that a cell belongs to, by its name, which begins with the instance of the circuit in a wrapper.

        None of cells beside the layers, such as those of a serial port.
        """
        parts = self._circuit.parts
        inner = cell.partition(".")[2]
        found = part_of(cell, parts) or part_of(inner, parts)
        return parts[found].layer if found else None


def _joined(results: Sections) -> Sections:
    """Join the sections of the comparisons of circuit and netlist."""
    verified = [section for section in results if isinstance(section, sections.Verification)]
    if len(verified) < 2:
        return results
    circuit, netlist = verified
    both = replace(circuit, netlist_inputs=netlist.netlist_inputs, netlist_tool=netlist.netlist_tool)
    return tuple(both if section is circuit else section for section in results if section is not netlist)


def _layer_cells(parts: Sequence[tuple[LayerPart, Resources]]) -> sections.LayerCells:
    last, cells = parts[-1][0], [cells for _, cells in parts]
    return sections.LayerCells(
        layer=last.layer or None,
        lut=sum(each.lut for each in cells),
        ff=sum(each.ff for each in cells),
        dsp=sum(each.dsp for each in cells),
        bram=sum(each.bram for each in cells),
        uram=_larger(cells, "URAM"),
        spram=_larger(cells, "SPRAM"),
        cycles=max((part.cycles for part, _ in parts if part.cycles is not None), default=None),
        first_stage=last.first_stage,
        last_stage=last.last_stage,
    )


def _larger(cells: Iterable[Resources], name: str) -> int | None:
    """The number of a family's larger memories, None in others."""
    numbers = [each.large[name] for each in cells if name in each.large]
    return sum(numbers) if numbers else None


def _utilization(timing: Timing) -> sections.Utilization:
    return sections.Utilization(
        tuple(
            sections.CellUse(cell=cell, used=number, available=available)
            for cell, (number, available) in timing.utilization.items()
        )
    )
