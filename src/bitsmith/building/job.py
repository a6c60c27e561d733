"""Jobs: all that a build needs to know of a converted model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import assert_never

from bitsmith.base.project import digest
from bitsmith.config.latency import Latency
from bitsmith.config.values import AP_NONE, AXI_MASTER, LAYERS, MEMORIES, NO_MONITORS, BlockMemory, IOType, is_monitored
from bitsmith.devices.board import Board, any_board
from bitsmith.devices.family import Family, Part
from bitsmith.devices.parts import part_or_typical
from bitsmith.devices.protection import Protection
from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.errors import ConfigError, ModelFileError
from bitsmith.errors.remedies import Remedy
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Strategy
from bitsmith.mapping.directives import Directives, SerialPort, WeightsBus
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.netlist.pipelined import StageGoal
from bitsmith.options.option import nested
from bitsmith.options.project import ProjectConfig, names_of, read_project
from bitsmith.options.table import OPTIONS, Chosen
from bitsmith.passes.program import drop_dead
from bitsmith.passes.program.drop_dead import with_stored_results
from bitsmith.passes.program.in_batches import in_batches
from bitsmith.passes.program.load import ParameterKey
from bitsmith.report.summary import Design


@dataclass(frozen=True, slots=True)
class Target(Chosen):
    """Target of a build: the part, the clock and the project folder."""

    output_dir: Path
    project_name: str
    part: str
    clock_period_ns: float
    clock_uncertainty: float = 0.0
    """Fraction of the period."""
    latency: Latency | None = None
    """Cycles that a pipeline takes at most, or exactly; None: as many as the clock needs."""

    @staticmethod
    def of(
        project: ProjectConfig, source: object, part: str, clock_period_ns: float, clock_uncertainty: float
    ) -> Target:
        """The target of a project whose part and clock are settled, for the model ``source``.

        Raises:
            ConfigError: a latency below one cycle, or what only circuits in SystemVerilog have with a backend for C++.
        """
        for option in OPTIONS if project.backend != "rtl" else ():
            key = option.key
            if key and key.in_cpp is not None and getattr(project, key.field) not in (None, *key.in_cpp):
                found = f"{key.path} with backend {project.backend!r}"
                raise ConfigError(found, where=key.path, accepted="it with backend 'rtl'")
        family = part_or_typical(part).family.name
        if project.estimates is not None and project.estimates.family != family:
            raise ConfigError(
                f"circuits of the family {project.estimates.family}, for {part}, which is of {family}",
                where="Estimates",
                accepted="a file of circuits of the part's family",
                remedy=f"sweep builds of {family}, and calibrate with them",
            )
        return Target(
            *names_of(project, source),
            part,
            clock_period_ns,
            clock_uncertainty if project.clock_uncertainty is None else project.clock_uncertainty,
            latency=None if project.latency is None else project.latency.in_cycles(clock_period_ns),
            **{shared.name: getattr(project, shared.name) for shared in fields(Chosen)},
        )

    def budget_ns(self, family: Family) -> float:
        """The nanoseconds of logic that the clock leaves between two registers."""
        return family.delays.budget(self.clock_period_ns, self.clock_uncertainty * self.clock_period_ns)

    @property
    def known_part(self) -> Part:
        """The part with what may be used of it; one of which nothing is known is taken as a typical one."""
        part = part_or_typical(self.part)
        match self.bram:
            case None:
                pass
            case BlockMemory.NONE:
                part = part.without_memory_blocks()
            case BlockMemory.TABLES:
                part = part.with_tables_in_blocks()
            case int():
                part = part.with_memory_blocks(self.bram)
            case _:
                assert_never(self.bram)
        return part if self.estimates is None else part.corrected(self.estimates)

    @property
    def samples(self) -> int:
        """Samples of a frame of the circuit."""
        return self.batch or 1

    @property
    def circuit_part(self) -> Part | None:
        """The part that a circuit is laid out for; None where a compiler of C++ chooses its memories."""
        return None if self.backend != "rtl" else self.known_part


_KEYS = {
    option.key.field: option.key.path
    for option in OPTIONS
    if option.key is not None and option.key.field in {saved.name for saved in fields(Target)}
}
"""Fields of a target, and the keys of a project configuration that are the same."""


def plain_target(target: Target, folder: Path) -> dict[str, str | float]:
    """``target`` as plain values, for a file in ``folder``; its project folder is left out where that is elsewhere."""
    plain: dict[str, str | float] = {}
    for name in _KEYS:
        value = getattr(target, name)
        if value is not None and value is not False:
            plain[name] = (
                value.value
                if isinstance(value, Enum)
                else value
                if isinstance(value, str | int | float)
                else str(value)
            )
    project, here = target.output_dir.absolute(), folder.absolute()
    del plain["output_dir"]
    return {"output_dir": project.relative_to(here).as_posix(), **plain} if project.is_relative_to(here) else plain


def _has_project(plain: Mapping[str, object]) -> bool:
    """Return True if a saved target has a project folder, which must be inside the folder of its file."""
    path = plain.get("output_dir")
    if not isinstance(path, str):
        return False
    windows = PureWindowsPath(path)
    return not windows.anchor and ".." not in windows.parts


def loaded_target(
    plain: Mapping[str, object], path: Path, output_dir: str | Path | None
) -> tuple[Target, tuple[str, ...]]:
    """The target of the saved file ``path``, with another project folder if one is given, and notes on what it writes to.

    Raises:
        ModelFileError: such values are not a target.
    """
    target = read_target(plain, path)
    if output_dir is not None:
        return replace(target, output_dir=Path(output_dir)), ()
    if not _has_project(plain):
        return target, (f"The project folder is {target.output_dir}; loading it with an output_dir chooses another.",)
    if not target.write_tar or target.output_dir != path.parent:
        return target, ()
    note = "No archive beside the folder of the file is written; loading it with an output_dir allows that."
    return replace(target, write_tar=False), (note,)


def read_target(plain: Mapping[str, object], path: Path) -> Target:
    """The target of the saved file ``path``, under the same rules as a user's project configuration.

    Raises:
        ModelFileError: such values are not a target.
    """
    where = str(path)
    plain = plain if _has_project(plain) else {name: value for name, value in plain.items() if name != "output_dir"}
    try:
        known = nested({_KEYS[name]: value for name, value in plain.items() if name in _KEYS})
        project = read_project({**{name: value for name, value in plain.items() if name not in _KEYS}, **known})
    except ConfigError as error:
        raise ModelFileError(f"a damaged target ({error})", where=where) from error
    if project.part is None or project.clock_period_ns is None:
        raise ModelFileError("a target without part or clock period", where=where)
    target = Target.of(project, None, project.part, project.clock_period_ns, 0.0)
    return replace(target, output_dir=path.parent / target.output_dir)


def watches_layers(target: Target) -> bool:
    """Return True if monitors of a board's circuit watch the results of its layers."""
    return is_monitored(target.monitors, LAYERS) and target.board is not None


def circuit_program(program: Program, target: Target) -> Program:
    """The program of a frame of the circuit: of as many samples as come together, with the results that are watched.

    Raises:
        UnsupportedError: several samples of what computes one after another; names the layer.
    """
    kept = with_stored_results(program) if watches_layers(target) else drop_dead(program, keep_probes=False)
    return kept if target.samples == 1 else in_batches(kept, target.samples)


def protection(target: Target) -> Protection:
    """The check bits of words in memories that are wanted."""
    return next((each for each in Protection if is_monitored(target.monitors, each.value)), Protection.NONE)


_PRODUCTS = {
    Strategy.LATENCY: MultiplierStyle.CHEAPEST,
    Strategy.RESOURCE: MultiplierStyle.SHARED,
    Strategy.UNROLLED: MultiplierStyle.GRAPHS,
    Strategy.MULTIPLIER_BLOCKS: MultiplierStyle.BLOCKS,
    Strategy.DISTRIBUTED_ARITHMETIC: MultiplierStyle.GRAPHS,
    Strategy.SHARED: MultiplierStyle.SHARED,
}


def directives_of(network: Network, target: Target) -> Directives:
    """Return the directives for the layout: the settings of a network, and what a target wants."""
    part = target.circuit_part
    settings = {node.name: node.settings for node in network.nodes}
    return Directives(
        {name: chosen.reuse_factor for name, chosen in settings.items()},
        target.io_type is IOType.PARALLEL,
        {name: _PRODUCTS[chosen.strategy] for name, chosen in settings.items()},
        {name: chosen.parallelization_factor for name, chosen in settings.items()},
        part=part,
        latency=None if target.latency is None else StageGoal(int(target.latency.most), target.latency.exactly),
        engine=frozenset(name for name, chosen in settings.items() if chosen.strategy is Strategy.SHARED),
        weights_rate=None
        if target.weight_memory is None
        else target.weight_memory.bits_per_cycle(target.clock_period_ns),
        weights_bus=_weights_bus(target),
        port=_serial_port(target),
        # A compiler of C++ has registers of its own wherever the clock needs them.
        slices={} if part is None else {name: chosen.register_slices for name, chosen in settings.items()},
        read_back=is_monitored(target.monitors, MEMORIES),
        protection=protection(target),
        taps=watches_layers(target),
        valid=target.interface != AP_NONE,
    )


def _weights_bus(target: Target) -> WeightsBus | None:
    """The reader of weights in the circuit of a board."""
    bus_bytes = _memory_bytes(target)
    if target.weight_memory is None or bus_bytes is None:
        return None
    return WeightsBus(bus_bytes, target.weight_memory.word_cycles(target.clock_period_ns))


def _serial_port(target: Target) -> SerialPort | None:
    """The serial port of a board that has one."""
    board = None if target.board is None else any_board(target.board)
    return SerialPort(tested=target.monitors != NO_MONITORS) if isinstance(board, Board) else None


def reads_memory(target: Target) -> bool:
    """Return True if the circuit of a board reads and writes memory itself: if asked to, or for its weights."""
    wanted = target.interface == AXI_MASTER or target.weight_memory is not None
    return wanted and _memory_bytes(target) is not None


def _memory_bytes(target: Target) -> int | None:
    return None if target.board is None else any_board(target.board).memory_bytes


@dataclass(frozen=True)
class Job:
    """Build to run: the circuit to make, and the results that it is compared with.

    Args:
        program: of a frame of the circuit; probes are layers' results that monitors watch.
        emulator: of the same program.
        design: the network as reports describe it.
        layouts: where the user's model has the parameters of the program.
        inputs: one batch of real inputs, frame by frame, per input of the program; None: generated ones.
        calibration: the same of the samples that monitors expect; None: nothing but what fits the types.
        remedy: what the user may do if the circuit does not fit; it takes a while.
    """

    program: Program
    directives: Directives
    target: Target
    emulator: Emulator
    design: Design
    layouts: Mapping[ParameterKey, ModelLayout]
    inputs: Sequence[Batch] | None
    calibration: Sequence[Batch] | None
    remedy: Callable[[], Remedy | str]

    @cached_property
    def program_digest(self) -> str:
        """A digest of the program's text."""
        return digest(to_text(self.program))
