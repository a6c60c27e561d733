"""The user's directives for the layout of a circuit: reuse factors, multiplier styles, tensors whole or in tokens."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bitsmith.dataflow.tokens import Grid
from bitsmith.devices.blocks import MultiplierBlock
from bitsmith.devices.family import Part
from bitsmith.devices.protection import Protection
from bitsmith.errors import ConfigError
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.mapping.folding import Matrix, MultiplierStyle, choose_folding
from bitsmith.netlist.elaborate import BlockLayers
from bitsmith.netlist.pipelined import StageGoal


@dataclass(frozen=True, slots=True)
class WeightsBus:
    """A reader of weights: bytes of a beat at most, and cycles of the circuit for each beat at least."""

    beat_bytes: int
    beat_cycles: float


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A board's serial port beside the circuit: whether it has the frame of a self-test."""

    tested: bool


@dataclass(frozen=True, slots=True)
class Directives:
    """Directives by layer name, and tensors whole or in tokens.

    Args:
        reuse: cycles for a layer's products: for all positions if tensors are whole, else for each token. 1 if absent.
        parallel: tensors come and go whole.
        products: what a layer's products are made of; CHEAPEST if absent.
        positions: positions that come at once where tensors come in tokens; 1 if absent. Of what does not divide the
            positions of a layer, the next lower number that does is taken.
        block: the multiplier block that products are to be made of, if any.
        feedback: the states of recurrences may go round through processes.
        engine: layers that take turns on the multipliers of an engine, where they can.
        weights_rate: bits of weights that engines take from a memory outside in a cycle; None: theirs are in tables.
        weights_bus: the reader of these in a board's circuit; None: words come whole, from outside of the circuit.
        port: the serial port of the board, which takes some of the part.
        tables: weights that can be loaded are in tables of folded products; in C++ they come to products as tokens.
        part: whose larger memories there are, if any.
        slices: registers each way on streams that come into a layer from others; none if absent.
        read_back: memories that can be loaded are read once after each reset and load, and checked.
        protection: check bits of words in block memory, and in memories that can be loaded.
        taps: monitors watch the results of layers, which are the program's probes.
        valid: a pipeline of everything has signals that say in which cycles its samples are valid.
        latency: stages that a pipeline of everything is to have; None: as many as the clock needs.
    """

    reuse: Mapping[str, int]
    parallel: bool
    products: Mapping[str, MultiplierStyle] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)
    block: MultiplierBlock | None = None
    part: Part | None = None
    latency: StageGoal | None = None
    feedback: bool = True
    engine: frozenset[str] = frozenset()
    weights_rate: float | None = None
    weights_bus: WeightsBus | None = None
    port: SerialPort | None = None
    tables: bool = True
    slices: Mapping[str, int] = field(default_factory=dict)
    read_back: bool = False
    protection: Protection = Protection.NONE
    taps: bool = False
    valid: bool = True

    def reuse_factor(self, layer: str) -> int:
        """Cycles for a layer's products."""
        return self.reuse.get(layer, 1)

    def multiplier_style(self, layer: str) -> MultiplierStyle:
        """The multipliers of a layer's products."""
        return self.products.get(layer, MultiplierStyle.CHEAPEST)

    @property
    def block_layers(self) -> BlockLayers | None:
        """Layers whose wide constants are multiplied by blocks where all products lie side by side."""
        layers = frozenset(name for name, style in self.products.items() if style is MultiplierStyle.BLOCKS)
        return BlockLayers(layers, self.block) if layers and self.block is not None else None

    def parallelism(self, layer: str, grid: Grid) -> int:
        """Positions of a tensor over ``grid`` that ``layer`` takes at once: some in a row, or whole rows (planes, ...)."""
        wanted = 1 if self.parallel else self.positions.get(layer, 1)
        return max(number for number in possible_parallelism(grid) if number <= wanted)

    def unrolled(self, program: Program) -> bool:
        """Return True if all of ``program`` is to be laid out side by side, for a sample per cycle."""
        return not self.no_pipeline(program)

    def no_pipeline(self, program: Program) -> str:
        """The reason why ``program`` cannot be laid out side by side, for a sample per cycle; empty if it can."""
        nodes = program.nodes
        for node in nodes:
            if isinstance(node.op, ops.Parameter):
                return f"weights of {node.layer!r} that are loaded"  # a pipeline has constants only
        for index in program.keeping:
            return f"states of {nodes[index].layer!r} that live on between samples"  # for which the next one waits
        if not self.parallel:
            return "streams"
        sharing = next((node.layer for node in nodes if self._shares(program, node)), None)
        if sharing is None:
            return ""
        return f"{sharing!r}, which shares multipliers (ReuseFactor {self.reuse_factor(sharing)})"

    def _shares(self, program: Program, node: Node) -> bool:
        """Return True if hardware of a node is used several times for a sample."""
        if self.reuse_factor(node.layer) == 1:
            return False
        if not isinstance(node.op, ops.Linear):
            return isinstance(node.op, ops.Scan)
        kind = program.nodes[node.args[0]].type
        matrix = Matrix.of(node.op, kind, node.type, math.prod(kind.shape[:-1]), self.block, whole=True)
        return choose_folding(matrix, self.reuse_factor(node.layer), self.multiplier_style(node.layer)).cycles > 1


def require_pipeline(program: Program, directives: Directives) -> None:
    """Raise a ConfigError if a circuit that is no pipeline is to take exactly so many cycles, or to have no valid signals."""
    wanted = {} if directives.valid else {"Interface": "ap_none, without valid signals,"}
    if directives.latency is not None and directives.latency.exactly:
        wanted["Latency"] = f"exactly {directives.latency.stages} cycles"
    if wanted and (reason := directives.no_pipeline(program)):
        where, what = wanted.popitem()
        raise ConfigError(
            f"{what} for a circuit with {reason}",
            where=where,
            accepted="a pipeline: io_parallel, reuse factors of 1, no weights that are loaded, and no states that live on",
            remedy=f"leave {where} out, or lay the circuit out as a pipeline",
        )


def possible_parallelism(grid: Grid) -> tuple[int, ...]:
    """Numbers of positions of ``grid`` that can come at once, in ascending order: they divide a row, or are whole rows, ..."""
    spans, rows = [1], 1
    for size in reversed(grid):
        spans += [rows * part for part in range(2, size + 1) if size % part == 0]
        rows *= size
    return tuple(spans)
