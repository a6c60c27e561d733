"""Distributes a pipelined netlist over modules: one per layer, and the top.

In: a netlist and its schedule. Out: per module what it computes, delays, imports and exports, and which bits are read. A
*signal* is a word in a stage: ``Signal(w, s)`` is word ``w`` after as many registers as there are between its own stage and
``s``. Delays of a word are in its own layer's module, so that all readers share them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bitsmith.ir.types import low_zeros
from bitsmith.netlist.netlist import InputPort, Literal, Netlist, operands
from bitsmith.netlist.pipeline import PipelineStages
from bitsmith.netlist.reads import Read, reads
from bitsmith.rtl.names import Names, Wrapper, identifier

TOP = ""


class Signal(NamedTuple):
    """A word in a stage."""

    word: int
    stage: int


class Bits(NamedTuple):
    """Bits ``low`` to ``high - 1``."""

    low: int
    high: int


@dataclass(slots=True)
class Part:
    """The contents of one module; ``used`` has a bit mask of what is read of each signal inside the module."""

    layer: str
    name: str
    computed: list[Signal] = field(default_factory=list)
    delayed: list[Signal] = field(default_factory=list)
    imports: list[Signal] = field(default_factory=list)
    exports: list[Signal] = field(default_factory=list)
    used: dict[Signal, int] = field(default_factory=dict)


class Layout:
    """The modules of a netlist and the names and extents of their signals."""

    def __init__(self, netlist: Netlist, schedule: PipelineStages, top: str, kept: int) -> None:
        self.netlist = netlist
        self.schedule = schedule
        self.parts: dict[str, Part] = {}
        self._layers = [origin.layer for origin in netlist.origins]
        self._name_parts(top)
        self._homes = self._first_stages()
        self._names = self._name_words()
        self._needed: dict[int, dict[int, int]] = {}
        self._extents: dict[Signal, Bits] = {}
        self._exported: set[Signal] = set()
        for index, stage in enumerate(schedule.stage):
            if stage >= 0:
                part = self.part_of(index)
                part.computed.append(Signal(index, stage))
                self._read_all(part, stage, reads(netlist, index, 0, netlist.words[index].width))
        self.tap_stages = self._tap_stages(kept)
        for number, ref in enumerate(netlist.results):
            whole = Read(ref.word, 0, netlist.words[ref.word].width)
            stage = schedule.stages if number < kept else self.tap_stages[netlist.outputs[number].tensor]
            self._read_all(self.parts[TOP], stage, [whole] if whole.high else [])
        for word, masks in sorted(self._needed.items()):
            self._delay(word, masks)
        for part in self.parts.values():
            for signals in (part.computed, part.imports, part.exports):
                signals.sort()

    def part_of(self, word: int) -> Part:
        """The module that computes ``word``."""
        return self.parts[self._layer_of(word)]

    def name(self, signal: Signal) -> str:
        """The signal's name, the same in every module."""
        registers = signal.stage - self._homes[signal.word]
        return self._names[signal.word] + (f"_r{registers}" if registers else "")

    def extent(self, signal: Signal) -> Bits:
        """The bits of its word that the signal has; a delayed word has those that are read later only."""
        return self._extents.get(signal) or Bits(0, self.netlist.words[signal.word].width)

    def is_registered(self, word: int) -> bool:
        """Return True if all bits of a word, and no others, are read from the register right after it, and none before."""
        home, masks = self.schedule.stage[word], self._needed.get(word, {})
        later = Signal(word, home + 1)
        return (
            home not in masks
            and max(masks, default=home) > home
            and self.extent(later) == self.extent(Signal(word, home))
        )

    def _layer_of(self, word: int) -> str:
        item = self.netlist.words[word]
        return TOP if isinstance(item.cell, InputPort) else self._layers[item.origin]

    def _first_stages(self) -> list[int]:
        """The stage of every word; of an absorbed one, the first in which all is there that it is made of."""
        homes: list[int] = []
        for word, stage in zip(self.netlist.words, self.schedule.stage, strict=True):
            homes.append(stage if stage >= 0 else max((homes[x] for x in operands(word.cell)), default=0))
        return homes

    def _tap_stages(self, kept: int) -> dict[str, int]:
        """The stage in which all of each further tensor is there, a register after the last of it is made, by its name."""
        stages: dict[str, int] = {}
        for output, ref in zip(self.netlist.outputs[kept:], self.netlist.results[kept:], strict=True):
            stage = min(self._homes[ref.word] + 1, self.schedule.stages)
            stages[output.tensor] = max(stages.get(output.tensor, 1), stage)
        return stages

    def _name_parts(self, top: str) -> None:
        names = Names()
        self.parts[TOP] = Part(TOP, names.unique(top))
        for wrapper in Wrapper:
            names.unique(wrapper.of(top))
        for layer in dict.fromkeys(self._layers):
            if layer != TOP:
                self.parts[layer] = Part(layer, names.unique(f"{top}_{identifier(layer)}"))

    def _name_words(self) -> list[str]:
        names = Names()
        counts: dict[int, int] = {}
        stems = [identifier(f"{o.layer}_{o.op}" if o.layer else o.op) for o in self.netlist.origins]
        wires: list[str] = []
        for word in self.netlist.words:
            if isinstance(word.cell, Literal):
                wires.append("")
                continue
            if word.element >= 0:
                suffix = str(word.element)
            else:
                counts[word.origin] = counts.get(word.origin, 0) + 1
                suffix = f"t{counts[word.origin]}"
            wires.append(names.unique(f"{stems[word.origin]}_{suffix}"))
        return wires

    def _read_all(self, part: Part, stage: int, wanted: Iterable[Read]) -> None:
        """Note that ``part`` reads these bits in ``stage``."""
        for word, low, high in wanted:
            cell = self.netlist.words[word].cell
            if isinstance(cell, Literal):
                continue
            signal, mask = Signal(word, stage), (1 << high) - (1 << low)
            if signal not in part.used and (home := self.part_of(word)) is not part:
                part.imports.append(signal)
                if signal not in self._exported:
                    self._exported.add(signal)
                    home.exports.append(signal)
            part.used[signal] = part.used.get(signal, 0) | mask
            masks = self._needed.setdefault(word, {})
            if self.schedule.stage[word] < 0 and stage not in masks:
                home = self.part_of(word)
                home.computed.append(signal)
                self._read_all(home, stage, reads(self.netlist, word, 0, self.netlist.words[word].width))
            masks[stage] = masks.get(stage, 0) | mask

    def _delay(self, word: int, masks: dict[int, int]) -> None:
        """Place the registers of a word, of the bits that are still to be read in each stage."""
        home = self.schedule.stage[word]
        if home < 0:
            return
        part, mask = self.part_of(word), 0
        for stage in range(max(masks), home, -1):
            mask |= masks.get(stage, 0)
            mask = (1 << mask.bit_length()) - (mask & -mask)
            self._extents[Signal(word, stage)] = Bits(low_zeros(mask), mask.bit_length())
            part.delayed.append(Signal(word, stage))
            before = Signal(word, stage - 1)
            part.used[before] = part.used.get(before, 0) | mask
