"""Cycles of engines: those of their multipliers, and those of a memory outside where weights come from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bitsmith.dataflow.kinds import Engine, Outside, Source
from bitsmith.dataflow.processes import Network

_NAMED = 6
"""Layers that a note names."""

_MOSTLY = 0.9
"""The share of multipliers that are busy, beyond which it is not worth while to say where some are idle."""


@dataclass(frozen=True, slots=True)
class LayerCycles:
    """A layer of an engine: the words of its weights, and the cycles of a frame that memory and multipliers take for it.

    ``products`` are those that it computes meanwhile: as many in a cycle as it has multipliers for.
    """

    name: str
    words: int
    memory_cycles: int
    multiplier_cycles: int
    products: int

    @property
    def waits(self) -> bool:
        """True if the memory is slower than the multipliers."""
        return self.memory_cycles > self.multiplier_cycles


@dataclass(frozen=True, slots=True)
class EngineCycles:
    """The layers of an engine in order on its ``multipliers``, and the bits of words of weights.

    One comes from a memory outside in ``gap`` cycles, which is 0 where weights are in the circuit. ``biases`` come before all
    weights, one in a word. ``written`` numbers of maps go there with a frame, and ``read`` ones come back.
    """

    layers: Sequence[LayerCycles]
    multipliers: int
    bits: int
    gap: int
    biases: int
    written: int
    read: int

    @property
    def busy(self) -> float:
        """The share of the multipliers that compute a product, on average over the cycles that they take."""
        cycles = sum(layer.multiplier_cycles for layer in self.layers)
        return sum(layer.products for layer in self.layers) / (cycles * self.multipliers)

    def __str__(self) -> str:
        memory, multipliers = (
            sum(getattr(layer, name) for layer in self.layers) for name in ("memory_cycles", "multiplier_cycles")
        )
        words, memory = sum(layer.words for layer in self.layers) + self.biases, memory + self.biases * self.gap
        trained = sum(layer.words > 0 for layer in self.layers)
        comes = "one in each cycle" if self.gap == 1 else f"one in {self.gap} cycles"
        bound = "the memory is" if memory > multipliers else "multipliers are"
        text = (
            f"Weights and biases of {trained} layers in turn come from a memory with each frame: {words:,} words of "
            f"{self.bits} bits, {comes}. The memory takes {memory:,} cycles for them, multipliers take "
            f"{multipliers:,}: {bound} what bounds the rate. {self.busy:.0%} of the {self.multipliers} multipliers are busy "
            f"meanwhile{self._idle()}."
        )
        if self.written:
            text += f" Maps lie in the memory, too: {self.written:,} numbers are written, {self.read:,} read."
        waiting = [repr(layer.name) for layer in self.layers if layer.waits]
        if not waiting:
            return text
        more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
        return f"{text} Layers that wait for weights: {', '.join(waiting[:_NAMED])}{more}."

    def _idle(self) -> str:
        """In words, the layer in which most of the multipliers' cycles are unused; nothing where few are."""
        if self.busy > _MOSTLY:
            return ""
        worst = max(self.layers, key=lambda layer: layer.multiplier_cycles * self.multipliers - layer.products)
        share = worst.products / (worst.multiplier_cycles * self.multipliers)
        return f", {share:.0%} in {worst.name!r}, where most are idle"


def engine_cycles(network: Network) -> Iterator[EngineCycles]:
    """All engines of a network."""
    for number, process in enumerate(network.processes):
        kind = process.kind
        if not isinstance(kind, Engine):
            continue
        read = (network.processes[source.process] for source in process.args)
        outside = next((one for one in read if isinstance(one.kind, Outside) and one.args[0].process == number), None)
        moved = (outside.takes[0].tokens, outside.results[0].tokens) if outside else (0, 0)
        bits, gap = kind.table.bits, 0
        if kind.fed:
            replay = network.processes[process.args[-1].process]
            source = network.processes[replay.args[0].process].kind
            assert isinstance(source, Source) and source.stored is not None
            bits, gap = replay.takes[0].bits, source.stored.gap
        yield EngineCycles(tuple(_layers(kind, gap)), kind.lanes * kind.positions, bits, gap, kind.biases, *moved)


def _layers(kind: Engine, gap: int) -> Iterator[LayerCycles]:
    """The layers of an engine that takes a word in ``gap`` cycles, each once, with all its bands of rows."""
    figures = dict[str, list[tuple[int, int, int]]]()
    for layer in kind.layers:
        steps = layer.all_passes * layer.steps
        figures.setdefault(layer.name, []).append((layer.words, steps, steps * layer.lanes * layer.positions))
    for name, those in figures.items():
        words, steps, products = map(sum, zip(*those, strict=True))
        yield LayerCycles(name, words, words * gap, steps * kind.gap, products)
