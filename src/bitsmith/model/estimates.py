"""About how large and how fast the circuit of a model is, before any tool has run.

In: a program, its layout and a target. Out: the size, whether that fits the part, and the cycles that are planned.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from bitsmith.building.design import Circuit, circuit
from bitsmith.building.job import Target
from bitsmith.building.notes import in_cycles, notes_on_latency, notes_on_reuse
from bitsmith.dataflow.outside import Outside, tensors_outside
from bitsmith.dataflow.processes import Network
from bitsmith.devices.board import any_board
from bitsmith.errors import CapacityError
from bitsmith.estimate.figures import Size
from bitsmith.estimate.needs import fits, packed_luts
from bitsmith.estimate.size import guess_layout
from bitsmith.estimate.turns import EngineCycles, engine_cycles
from bitsmith.ir.program import Program
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import lacking_cycles, regions_of
from bitsmith.mapping.fifos import with_room
from bitsmith.mapping.partition import partition
from bitsmith.model.points import size_of
from bitsmith.passes.program import drop_dead
from bitsmith.report.shown import Shown
from bitsmith.rtl.writer import Title


def planned_circuit(program: Program, directives: Directives, target: Target) -> Circuit:
    """The circuit of ``program``, which knows its cycles.

    Raises:
        CapacityError: it is too large to be made.
    """
    program, family = drop_dead(program, keep_probes=False), target.known_part.family
    budget_ns = target.budget_ns(family)
    return circuit(program, directives, family.delays, budget_ns, target.project_name, Title("", ""))


def planned_cycles(program: Program, directives: Directives, target: Target) -> tuple[int, int]:
    """Latency and initiation interval in cycles of that circuit; raises as it does."""
    return planned_circuit(program, directives, target).cycles


def expected_mhz(size: Size, target: Target) -> float:
    """Return the clock in MHz that place and route may be expected to reach with a circuit of a ``size``."""
    correction = target.known_part.family.correction
    factor = 1.0 if correction is None or correction.fmax is None else correction.fmax.factor
    return factor * 1e3 / (size.routed_ns or target.clock_period_ns)


def least_mhz(size: Size, target: Target) -> float:
    """Return the clock that is reached even if that is as wrong as it was at worst; 0 if nobody measured that."""
    flow = target.known_part.family.place_and_route
    return 0.0 if flow is None or flow.slower is None else expected_mhz(size, target) * (1.0 - flow.slower)


@dataclass(frozen=True)
class Estimate(Shown):
    """About how large and how fast a circuit is, before any tool has run; it prints as two lines.

    Where the target has a latency, a third line has that of the circuit, which is made for it.

    The circuit is the one in SystemVerilog, also of models for a backend that writes C++: tools of vendors make another of that.

    Attributes:
        program: what the circuit computes.
        directives: how it is laid out.
        target: its part and clock.
        rough: no circuit is made for the size.
    """

    program: Program
    directives: Directives
    target: Target
    rough: bool = False

    @property
    def size(self) -> Size:
        """Look-up tables, flip-flops, multiplier and memory blocks, and the layers' shares of look-up tables."""
        return self._counted[0]

    @property
    def without_fifos(self) -> bool:
        """True if the size has no FIFOs, which take long to plan, since the circuit does not fit without them, either."""
        return self._counted[1]

    @cached_property
    def _counted(self) -> tuple[Size, bool]:
        """The size, and whether it is without FIFOs."""
        part, left_out = self.target.known_part, False

        def possible(size: Size) -> bool:
            nonlocal left_out
            left_out = not fits(size, part)
            return not left_out

        if not self.rough:
            return size_of(self.program, self.directives, self.target, possible), left_out
        budget_ns = self.target.budget_ns(part.family)
        return guess_layout(self._program, self.directives, part.family, budget_ns), left_out

    @cached_property
    def _program(self) -> Program:
        return drop_dead(self.program, keep_probes=False)

    @cached_property
    def _network(self) -> Network | None:
        """The processes of a circuit that has a memory outside; None without one."""
        if self.directives.weights_rate is None or self.directives.unrolled(self._program):
            return None
        directives = replace(self.directives, block=self.target.known_part.family.area.block)
        return (partition if self.without_fifos else with_room)(self._program, directives)

    @cached_property
    def fetched(self) -> tuple[EngineCycles, ...]:
        """Engines whose weights come from the memory of the target, each with what its layers wait for."""
        return () if self._network is None else tuple(each for each in engine_cycles(self._network) if each.gap)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Notes on reuse factors without use, on what engines wait for, and on layers side by side for lack of cycles."""
        processes = () if self._network is None else self._network.processes
        tokens = [one.takes[0].tokens for one in processes if isinstance(one.kind, Outside)]
        if not self.directives.engine:
            return (*notes_on_reuse(self.program, self.directives, self.interval), *tensors_outside(tokens))
        lacking = lacking_cycles(regions_of(builder_of(self._program, self.directives)), self.directives)
        beside = [] if lacking is None else [f"Layers are counted side by side, which a build refuses: {lacking}"]
        return (*map(str, self.fetched), *tensors_outside(tokens), *beside)

    @property
    def fits(self) -> bool:
        """True if the circuit fits the part, with room for routing."""
        return fits(self.size, self.target.known_part)

    @property
    def interval(self) -> int:
        """Cycles from one result to the next, or from one batch of results to the next."""
        return self.size.interval

    @property
    def frames_per_second(self) -> float:
        """Results in a second at the clock of the target, of all samples of a batch."""
        return 1e9 * self.target.samples / (self.interval * self.target.clock_period_ns)

    @property
    def fmax_mhz(self) -> float:
        """The clock that place and route may be expected to reach, times what circuits of the family reached of it.

        It follows from the longest stage where the family's was measured, else it is the target's.
        """
        return expected_mhz(self.size, self.target)

    @property
    def least_mhz(self) -> float:
        """The clock that is reached even if the estimate is as wrong as it was at worst; 0 if nobody measured that."""
        return least_mhz(self.size, self.target)

    @cached_property
    def _circuit(self) -> Circuit:
        return planned_circuit(self.program, self.directives, self.target)

    @property
    def latency(self) -> int:
        """Cycles from a sample, or a batch, to its result; the circuit is made for it, which takes longer than all else.

        Raises:
            CapacityError: the circuit is too large to be made.
        """
        return self._circuit.cycles[0]

    @property
    def latency_ns(self) -> float:
        """Nanoseconds from a sample to its result at the clock of the target; as :attr:`latency`."""
        return self.latency * self.target.clock_period_ns

    def _timing(self) -> Iterator[str]:
        """The latency of a target that has a goal for it, and what keeps the circuit from that."""
        if self.target.latency is not None and not self.rough:
            with suppress(CapacityError):
                yield f"latency of {in_cycles(self.latency)}, {self.latency_ns:g} ns at the clock of the target"
                yield from notes_on_latency(
                    self._circuit, self.target, self.target.budget_ns(self.target.known_part.family)
                )

    @property
    def area(self) -> str:
        """The size in words."""
        size = self.size
        packed = packed_luts(size, self.target.known_part)
        blocks = {"DSP": size.dsp, "BRAM": size.bram, **{name: number for name, number in size.large.items() if number}}
        figures = f"{size.lut:,} LUT ({packed:,} once packed), {size.ff:,} FF, "
        fifos = " without FIFOs" if self.without_fifos else ""
        return figures + ", ".join(f"{number:,} {name}" for name, number in blocks.items()) + fifos

    def __str__(self) -> str:
        verdict = "fits" if self.fits else "does not fit"
        samples = self.target.samples
        what = "a result" if samples == 1 else f"a batch of {samples:,} results"
        every = f"{what} every cycle" if self.interval == 1 else f"{what} every {self.interval:,} cycles"
        megahertz = 1e3 / self.target.clock_period_ns
        rate = f"{every}, {self.frames_per_second:,.0f} per second at {megahertz:g} MHz"
        author = "rough estimate" if self.rough else "estimate"
        correction = self.target.known_part.family.correction
        more = [*self._timing(), *self.notes, *self._beside(), *([] if correction is None else [correction.said])]
        return "\n".join(
            [f"about {self.area} ({author}): {verdict} {self.target.part} with room for routing", rate, *more]
        )

    def _beside(self) -> Iterator[str]:
        """The cells that join the circuit to its board."""
        beside = self.size.beside
        if self.target.board is not None and round(beside.lut):
            blocks = f", {round(beside.bram):,} BRAM" if round(beside.bram) else ""
            figures = f"{round(beside.lut):,} LUT, {round(beside.ff):,} FF{blocks}"
            yield f"{figures} of these are the port of {any_board(self.target.board).name}"

    def __repr__(self) -> str:
        return f"<Estimate: {self.area}>"
