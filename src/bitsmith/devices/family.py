"""The record of an FPGA family: all that bitsmith knows of it, and nothing that it knows elsewhere.

A family is one `Family` in one file, and one entry in `FAMILIES` of `bitsmith.devices.parts`. No field has a default, so that
the type checker names what a record lacks; what types cannot say is checked when the module is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from bitsmith.devices.area import AreaModel
from bitsmith.devices.blocks import LargeMemory, MemoryBlock, MultiplierBlock
from bitsmith.devices.correction import Correction
from bitsmith.devices.delay import DelayModel

_NAME = re.compile(r"[a-z][a-z0-9]*", re.ASCII)


Vendor: TypeAlias = Literal["AMD", "Intel", "Lattice"]
"""Makers of the families."""


@dataclass(frozen=True, slots=True)
class Die:
    """Resources that all parts of one device name have.

    Look-up tables (4 inputs for Lattice, 6 for AMD), flip-flops, multiplier blocks, memories of the size of the family's
    `MemoryBlock`, and of its `LargeMemory`, which most parts do not have. ``regions`` are pieces of silicon in one package,
    AMD's super logic regions: paths from one to another are slow. ``cells`` is the number of those that have one look-up table
    and one flip-flop each, which is driven by that table or has the cell for itself; 0 where flip-flops are beside tables.
    """

    luts: int
    ffs: int
    dsps: int
    brams: int
    large: int
    regions: int
    cells: int

    def without_memory_blocks(self) -> Die:
        """The die as it is where neither block memory nor larger memory may be used."""
        return replace(self, brams=0, large=0)


@dataclass(frozen=True, slots=True)
class PartName:
    """A part's name as its family reads it: the die, and the options that name the part to nextpnr."""

    die: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class YosysMapping:
    """Yosys's mapping to a family, and the resources that each of its cells counts as.

    Attributes:
        command: the synthesis command without the top module and the netlist to write.
        before: commands before sources are read.
        prepared: commands after sources are read and before the synthesis command.
        after: commands after the synthesis command, before cells are counted.
        lut, ff, dsp, bram, large: cell types, with their numbers of look-up tables, flip-flops, multiplier and memory blocks, and
            larger memories.
        carry: types of carry cells.
        models: Verilog of what all cells do, files of Yosys (``+/``) or ours; empty where some have no model.
        arithmetic: files of `bitsmith.flows` that say what sums and comparisons become before the synthesis command.
    """

    command: str
    before: tuple[str, ...]
    prepared: tuple[str, ...]
    after: tuple[str, ...]
    lut: Mapping[str, int]
    ff: Mapping[str, int]
    dsp: Mapping[str, int]
    bram: Mapping[str, int]
    large: Mapping[str, int]
    carry: tuple[str, ...]
    models: tuple[str, ...]
    arithmetic: tuple[str, ...]


def each(*cells: str, count: int = 1) -> dict[str, int]:
    """Return the same count for each type of cell."""
    return dict.fromkeys(cells, count)


@dataclass(frozen=True, slots=True)
class Pin:
    """A port of a board's top module: its site, and whether it idles high."""

    port: str
    site: str
    pull_up: bool


@dataclass(frozen=True, slots=True)
class Packer:
    """The program that makes a bitstream of what nextpnr leaves.

    Attributes:
        program: its name.
        wheel_command: its name in nextpnr's wheel.
        version: pattern of its answer to ``--version``; empty if it has none.
        arguments: the command line, in which ``{routed}`` and ``{bitstream}`` are paths.
        suffix: of the bitstream's file.
    """

    program: str
    wheel_command: str
    version: str
    arguments: tuple[str, ...]
    suffix: str


@dataclass(frozen=True, slots=True)
class Crowded:
    """Options of nextpnr for circuits around whose blocks wires crowd.

    Attributes:
        share: of a part's multiplier or memory blocks, beyond which they do.
        options: for those circuits.
    """

    share: float
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceAndRoute:
    """nextpnr for a family.

    Attributes:
        program: its name.
        wheel: the Python package that has it.
        extra: the extra of bitsmith that installs the package.
        out_of_context: option that places a design without pads; empty where nextpnr has none, and synthesis takes away all
            ports but the clock.
        clock: Yosys's commands after that, where the clock must not have a pad at any site; ``{top}`` is the module.
        pads: Yosys's commands that put pads at all ports, where nextpnr does not.
        constraints: option that names the file of pins.
        pins: the text of that file, for pins, an I/O standard and the clock's frequency in Hz (of the port ``clk``).
        routed: option that names the file which the packer reads.
        packer: makes the bitstream.
        slower: how much slower than expected a circuit was at worst, as a share of that clock; None: not measured.
        options: how it places and routes.
        crowded: how it does where wires crowd around blocks; None if in the same way.
        board: name of our board that bitstreams are made for where the user names none.
        memory_ns: that of a stage that block memory is read into; 0: not measured.
    """

    program: str
    wheel: str
    extra: str
    out_of_context: tuple[str, ...]
    clock: tuple[str, ...]
    pads: tuple[str, ...]
    constraints: str
    pins: Callable[[tuple[Pin, ...], str, int], str]
    routed: str
    packer: Packer
    slower: float | None
    options: tuple[str, ...]
    crowded: Crowded | None
    board: str
    memory_ns: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Family:
    """An FPGA family: its parts, blocks, delays, areas and tools.

    Attributes:
        name: in reports, and the folder of its synthesis.
        brands: names that its parts are sold under, in lower case without spaces, and what the names of such parts begin with.
        vendor: whose HLS tools take its parts.
        dies: capacities by name, in lower case, meant to be those of the vendor's product tables.
        read_part: reads a part's name in lower case; None if it is not a name of this family.
        part_form: what follows the die in a part's name, as errors show it.
        reserved: what names begin with that only parts in the tables have; others that begin so are misspelled. Empty where
            the vendor's HLS tool is asked, which knows more parts.
        clock_period_ns: the clock period that is aimed at where the user names none.
        delays, area: models of delay and area; both know the family's blocks.
        synthesis: how Yosys maps to the family.
        place_and_route: nextpnr for the family; None where there is none.
        correction: what circuits that were built say of estimates; None: nothing yet.
    """

    name: str
    brands: Mapping[str, str]
    vendor: Vendor
    dies: Mapping[str, Die]
    read_part: Callable[[str], PartName | None]
    part_form: str
    reserved: str
    clock_period_ns: float
    delays: DelayModel
    area: AreaModel
    synthesis: YosysMapping
    place_and_route: PlaceAndRoute | None
    correction: Correction | None

    def __post_init__(self) -> None:
        faults = [fault for fault, found in self._faults().items() if found]
        if faults:
            raise ValueError(f"record of the family {self.name!r}: {'; '.join(faults)}")

    def __repr__(self) -> str:
        return self.name

    @property
    def block(self) -> MultiplierBlock | None:
        """The multiplier block, None if not all parts have some."""
        return self.area.block

    @property
    def memory(self) -> MemoryBlock:
        return self.area.memory

    @property
    def large(self) -> LargeMemory | None:
        """The memory larger than that, None if no part has some."""
        return self.area.large

    def without_memory_blocks(self) -> Family:
        """The family as it is where neither block memory nor larger memory may be used."""
        memory, dies = self.memory.forbidden(), {name: die.without_memory_blocks() for name, die in self.dies.items()}
        return replace(
            self,
            delays=replace(self.delays, memory=memory),
            area=replace(self.area, memory=memory),
            synthesis=replace(self.synthesis, command=f"{self.synthesis.command} -nobram"),
            dies=dies,
        )

    def with_tables_in_blocks(self) -> Family:
        """The family as it is where tables of pipelines are block memory wherever that saves look-up tables."""
        memory = self.memory.for_tables()
        return replace(self, delays=replace(self.delays, memory=memory), area=replace(self.area, memory=memory))

    def corrected(self, correction: Correction) -> Family:
        """The family as circuits show it that were built."""
        return replace(self, correction=correction)

    def part(self, text: str) -> Part | None:
        """Return the part named ``text``, in any case; None if it is not one of this family."""
        found = self.read_part(text.lower())
        if found is None or found.die not in self.dies:
            return None
        return Part(text, self, self.dies[found.die], found.options)

    def _faults(self) -> dict[str, bool]:
        delays, area = self.delays, self.area
        tables = (delays.table_ns, area.table_luts)
        return {
            "a name is lower-case letters and digits": not _NAME.fullmatch(self.name),
            "there are no parts": not self.dies,
            "dies are in lower case": any(die != die.lower() for die in self.dies),
            "a die without a name": any(self.read_part(die) is None for die in self.dies),
            "dies with names of other vendors": not all(die.startswith(self.reserved) for die in self.dies),
            "delays and areas are of different blocks": (delays.block, delays.memory) != (area.block, area.memory),
            "blocks have registers and the delay of a stage, or neither": delays.block is not None
            and bool(delays.block.registers) != (delays.block_stage_ns > 0.0),
            "a clock period is positive": self.clock_period_ns <= 0,
            "longer tables are faster or smaller": any(list(found) != sorted(found) for found in tables),
            "tables begin with none, and have an end to be continued": any(len(t) < 3 or t[0] for t in tables),
            "a larger memory that is not described": not self.area.large
            and any(die.large for die in self.dies.values()),
            "cells of a larger memory": bool(self.area.large) != bool(self.synthesis.large),
            "thresholds take the delays of what synthesis makes of them": delays.thresholds_in_tables
            != ("thresholds.v" in self.synthesis.arithmetic),
            "cells and how they are joined, or neither": bool(self.area.joined_cells)
            != any(die.cells for die in self.dies.values()),
            "nothing is counted": not (self.synthesis.lut and self.synthesis.ff and self.synthesis.bram),
        }


def die_first(dies: Mapping[str, Die], suffix: re.Pattern[str], name: str) -> PartName | None:
    """A die, then package, speed and grade in the form ``suffix``: no tool here needs them."""
    for die in dies:
        if name.startswith(die) and suffix.fullmatch(name, len(die)):
            return PartName(die, ())
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """One orderable part: its name as the user wrote it, what it has, and the options that name it to nextpnr."""

    name: str
    family: Family
    die: Die
    nextpnr: tuple[str, ...]

    def without_memory_blocks(self) -> Part:
        """The part as it is where neither block memory nor larger memory may be used."""
        return replace(self, family=self.family.without_memory_blocks(), die=self.die.without_memory_blocks())

    def with_memory_blocks(self, most: int) -> Part:
        """The part as it is where no more than so many memory blocks may be used."""
        return replace(self, die=replace(self.die, brams=min(most, self.die.brams)))

    def with_tables_in_blocks(self) -> Part:
        """The part as it is where tables of pipelines are block memory wherever that saves look-up tables."""
        return replace(self, family=self.family.with_tables_in_blocks())

    def corrected(self, correction: Correction) -> Part:
        """The part as circuits show its family that were built."""
        return replace(self, family=self.family.corrected(correction))

    def routing(self, dsp: int, bram: int) -> tuple[str, ...]:
        """Return nextpnr's options for a circuit of so many multiplier and memory blocks; none without nextpnr."""
        flow = self.family.place_and_route
        if flow is None:
            return ()
        crowded = flow.crowded
        if crowded is None or (dsp <= crowded.share * self.die.dsps and bram <= crowded.share * self.die.brams):
            return flow.options
        return crowded.options
