"""The target of a conversion: part, clock, ports and memories, of which none may contradict another.

In: a project. Out: a `Target`, and notes on what the user asked of the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bitsmith.backends import Backend
from bitsmith.building.job import Target, reads_memory
from bitsmith.config.accelerators import C_DRIVER, STREAMS
from bitsmith.config.reading import Idle
from bitsmith.config.values import AP_NONE, AP_VLD, AXI_MASTER, IOType
from bitsmith.devices.board import AnyBoard, Board, any_board
from bitsmith.devices.delay import DEFAULT_CLOCK_UNCERTAINTY
from bitsmith.devices.parts import DEFAULT_PART, is_reserved, resolve_part, vendor_of
from bitsmith.devices.system import Card
from bitsmith.errors import ConfigError
from bitsmith.options.project import ProjectConfig

_SLOW = 5.0
"""Clock periods are questioned from so many usual ones of a family on: 100 may be meant as MHz."""


def target_of(project: ProjectConfig, model: object) -> tuple[Target, tuple[str, ...]]:
    """The target of a project with what its board wants, and notes on its clock."""
    part, usual_ns = _part(project)
    target = Target.of(project, model, part, project.clock_period_ns or usual_ns, DEFAULT_CLOCK_UNCERTAINTY)
    _check_latency(target)
    _check_weight_memory(target)
    _check_interface(target)
    return target, tuple(_clock_notes(target, project.clock_period_ns))


def _check_interface(target: Target) -> None:
    """Refuse ports that the circuit would not have."""
    if target.interface is None:
        return
    if target.interface == AXI_MASTER and target.board is None:
        accepted = "it with a board that has a Zynq, such as 'pynq-z2'"
        raise ConfigError(f"Interface {AXI_MASTER!r} without a board", where="Interface", accepted=accepted)
    from bitsmith.hls.dialects import DIALECTS

    able: dict[str | None, list[Backend]] = {AP_NONE: ["rtl"]}
    able[AP_VLD] = [dialect.name for dialect in DIALECTS.values() if dialect.arrays.vector]
    parallel, backends = target.io_type is IOType.PARALLEL, able.get(target.interface)
    if backends is None or (parallel and target.backend in backends and target.board is None):
        return
    asked = f"backend {target.backend!r}, io_type {target.io_type.value!r}"
    raise ConfigError(
        f"Interface {target.interface!r} with {asked}{'' if target.board is None else ' and a board'}",
        where="Interface",
        accepted=f"it with backend {' or '.join(map(repr, backends))} and io_type 'io_parallel', without a board",
    )


def _clock_notes(target: Target, asked_ns: float | None) -> Iterator[str]:
    """Refuse a clock that leaves no time for logic; note one that was asked for, and that looks wrong or is not the board's."""
    part = target.circuit_part
    if part is None:
        return
    target.budget_ns(part.family)
    if asked_ns is None:
        return
    if asked_ns >= _SLOW * part.family.clock_period_ns:
        frequency = f"{asked_ns:g} ns is {1000 / asked_ns:.3g} MHz. For {asked_ns:g} MHz give {1000 / asked_ns:.4g}."
        yield f"clock_period is in nanoseconds: {frequency}"
    board = None if target.board is None else any_board(target.board)
    if board is None or board.fixed_hz is None:
        return
    period_ns = 1e9 / board.fixed_hz
    if round(asked_ns, 2) < round(period_ns, 2):
        made = f"The circuit is made for {1000 / asked_ns:.4g} MHz; {board.name} has a clock of {board.fixed_hz / 1e6:g} MHz"
        yield f"{made} and runs it at that. Without clock_period the circuit is made for the board's ({period_ns:.4g} ns)."


def _check_latency(target: Target) -> None:
    """Refuse a goal that would be without effect."""
    if target.latency is not None and target.io_type is IOType.STREAM:
        raise ConfigError(
            f"Latency with io_type {target.io_type.value!r}",
            where="Latency",
            accepted="it with io_type 'io_parallel'",
            remedy="for streams choose the clock period, and reuse factors",
        )


def _check_weight_memory(target: Target) -> None:
    """Refuse a memory of weights where nothing would read it."""
    is_fed = target.board is None or reads_memory(target)
    if target.weight_memory is None or (target.backend == "rtl" and is_fed and target.io_type is IOType.STREAM):
        return
    asked = f"backend {target.backend!r}, io_type {target.io_type.value!r}"
    raise ConfigError(
        f"WeightMemory with {asked}{'' if target.board is None else f' and board {target.board!r}'}",
        where="WeightMemory",
        accepted="it with backend 'rtl' and io_type 'io_stream', on a board with a Zynq, or without a board: then what reads the "
        "memory is yours",
    )


def _idle_on(board: AnyBoard, backend: Backend, interface: str | None, idle: Iterable[Idle]) -> tuple[Idle, ...]:
    """Those of ``idle`` that have no effect on ``board``, for a circuit of ``backend`` with such ports."""
    in_memory = board.memory_bytes is not None and interface == AXI_MASTER
    in_c = not isinstance(board, Board) and (backend == "rtl" or not in_memory)
    return tuple(each for each in idle if each != C_DRIVER or not in_c)


def on_board(project: ProjectConfig) -> ProjectConfig:
    """A project with what its board wants. Other tools' configurations name parts and platforms of other boards, too."""
    if project.board is None:
        if project.platform is not None:
            raise ConfigError(
                "a platform without a board", where="Platform", accepted="Board, such as 'alveo-u50', as well"
            )
        return project
    board = any_board(project.board)
    idle = list(_idle_on(board, project.backend, project.interface, project.idle))
    part, platform, backend = project.part, project.platform, project.backend
    if project.accelerator and part is not None and part.lower() != board.part.name.lower():
        idle.append(Idle("Part", part, f"{board.name} has {board.part.name}"))
        part = None
    card = isinstance(board, Card)
    if platform is not None and not card and not project.accelerator:
        raise ConfigError(f"a platform for {board.name}", where="Platform", accepted="a card, such as 'alveo-u50'")
    if (
        platform is not None
        and project.accelerator
        and not (card and board.name.split()[-1].lower() in platform.split("_"))
    ):
        idle.append(Idle("Platform", platform, f"it is not one of {board.name}"))
        platform = None
    if card and project.accelerator and backend == "vivado":
        backend = "vitis"
        idle.append(Idle("Backend", project.accelerator, "cards want Vitis HLS, for which the C++ is"))
    interface = project.interface
    if interface == AXI_MASTER and board.memory_bytes is None:
        interface = None
        if not card:  # whose movers have such ports
            idle.append(Idle("Interface", AXI_MASTER, STREAMS))
    return replace(project, part=part, platform=platform, backend=backend, interface=interface, idle=tuple(idle))


def _part(project: ProjectConfig) -> tuple[str, float]:
    """The part, and its clock period in ns where the user names none."""
    if project.backend != "rtl":  # all of the writer of C++ comes with its dialects
        from bitsmith.hls.dialects import DIALECTS
    dialect = None if project.backend == "rtl" else DIALECTS[project.backend]
    name, period_ns = "", 0.0
    if project.board is not None:
        name, period_ns = _part_on(project.board, project)
    name = name or project.part or (dialect.part if dialect else DEFAULT_PART)
    if dialect and (vendor := vendor_of(name)) and vendor not in dialect.vendors:
        accepted = f"parts of {' or '.join(dialect.vendors) or 'its vendor'}, as {dialect.part}"
        where = "Part" if project.board is None else "Board"
        raise ConfigError(f"part {name} of {vendor} with backend {dialect.name!r}", where=where, accepted=accepted)
    if project.board is not None:
        return name, period_ns
    if dialect and not is_reserved(name):
        return name, dialect.period_ns
    part = resolve_part(name)
    return part.name, part.family.clock_period_ns


def _part_on(name: str, project: ProjectConfig) -> tuple[str, float]:
    """The same of a board, which must have the part that the user names, and whose clock may be settled."""
    board = any_board(name)
    if project.backend != "rtl" and isinstance(board, Board):
        raise ConfigError(f"a board with backend {project.backend!r}", where="Board", accepted="backend 'rtl'")
    same = project.part is None or project.part.lower() == board.part.name.lower()
    part = board.part if same else resolve_part(str(project.part))
    if (part.die, part.nextpnr) != (board.part.die, board.part.nextpnr):
        raise ConfigError(f"part {part.name} on a board with {board.part.name}", where="Part", accepted="one of them")
    if board.fixed_hz is None:
        return part.name, part.family.clock_period_ns
    period_ns, asked_ns = 1e9 / board.fixed_hz, project.clock_period_ns
    if asked_ns is not None and round(asked_ns, 2) > round(period_ns, 2):
        raise ConfigError(
            f"a clock period of {asked_ns:g} ns, and {board.name} has a clock of {board.fixed_hz / 1e6:g} MHz",
            where="ClockPeriod",
            accepted=f"at most {period_ns:.2f} ns, which is the default on that board",
            remedy="leave it out",
        )
    return part.name, period_ns
