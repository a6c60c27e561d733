"""About how large a program gets when all of it is laid out in hardware, without making the netlist.

In: a program and a device family. Out: look-up tables, flip-flops, multiplier blocks. It takes well under a second for a million
weights, and serves to refuse what would take hours. Adder counts come from `bitsmith.netlist.csd.estimate`, areas per
operation from `bitsmith.devices.area`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias, assert_never

import numpy as np

from bitsmith.dataflow.processes import (
    FoldedProduct,
    Interleave,
    Map,
    Network,
    Process,
    Reduce,
    Reorder,
    Rom,
    Scan,
    Sink,
    Source,
    Sweep,
    WidthConverter,
    Window,
)
from bitsmith.dataflow.schedule import fifos
from bitsmith.dataflow.timing import is_monotone
from bitsmith.devices import DEFAULT_CLOCK_UNCERTAINTY, Family
from bitsmith.estimate.figures import Size
from bitsmith.estimate.unrolled import size_of
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Overflow, Rounding, TensorType
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.multipliers import multipliers
from bitsmith.mapping.partition import partition
from bitsmith.netlist import csd, native
from bitsmith.netlist.adder_graph import DEFAULT_SEARCH, Search
from bitsmith.netlist.elaborate import BlockLayers
from bitsmith.netlist.pipelined import pipelined

_REGISTERS_PER_LUT = 0.6
"""A perceptron of few bits on ECP5 at 125 MHz: 5,300 flip-flops, 9,900 look-up tables. Faster clocks take more."""

_MADE_LUTS, _MADE_LUTS_IN_PYTHON = 15_000, 4_000
"""A circuit of about so many look-up tables is made in a second: by the solver in C++, and by that in Python without its search,
which takes ten times as long for one adder in a hundred."""

_SUMS_OF_THREE = 0.7
"""What sums take where three terms are added at once, of what they take two by two: 0.65 to 0.75 in six perceptrons."""

_REGISTERS = 2
"""FIFOs of so many slots have no memory."""

_WIRING: TypeAlias = ops.Input | ops.Const | ops.Parameter | ops.Movement | ops.Shift
"""What takes no logic."""

_CONTROL_FFS = 12
"""Counters and flags of a FIFO, and of the process after it."""

_LOAD_LUTS, _LOAD_FFS = 12, 8
"""Counters of a memory that can be loaded."""

_SWEEP_LUTS, _SWEEP_FFS, _SWEEP_SUMS = 130, 110, 12
"""Counters of a sweep, and its sums of addresses; of windows of 3x3, 16 channels of 32x32, 7-series have 244 and 109 in all."""

_PIPELINE = 5
"""Cycles that pipelines are taken to have; longer ones take deeper FIFOs beside them."""

FIFO_BLOCK_WORDS, FIFO_BLOCK_BITS = 32, 2048
"""Memories and FIFOs with more of both become block memory, as ``bitsmith_fifo.sv`` has it on all families."""

_SHORT_DELAY = 4
"""Shorter delays are registers."""


def estimate(program: Program, family: Family, blocks: BlockLayers | None = None) -> Size:
    """The size of ``program`` fully unrolled: all positions side by side, a sample per clock cycle."""
    count = _Count(family, blocks)
    count.registered(program)
    return Size(round(count.lut), round(count.ff), round(count.dsp), round(count.adders), round(count.bram))


def estimate_layout(program: Program, directives: Directives, family: Family, budget_ns: float | None = None) -> Size:
    """The size of ``program`` as it is laid out for ``directives``: unrolled, or as a network of processes.

    Unrolled circuits of some thousand look-up tables are made for it, with stages of ``budget_ns``, of the family's usual clock
    unless given. Without the native solver these are fewer, and their adder graphs are not searched for better ones.
    """
    directives = replace(directives, block=family.area.block)
    if not directives.unrolled(program):
        return estimate_network(partition(program, directives), family)
    size = estimate(program, family, directives.block_layers)
    in_python = native.SOLVE is None
    if size.lut > (_MADE_LUTS_IN_PYTHON if in_python else _MADE_LUTS):
        return size
    budget_ns = budget_ns or family.delays.budget(
        family.clock_period_ns, DEFAULT_CLOCK_UNCERTAINTY * family.clock_period_ns
    )
    search = Search(effort=0) if in_python else DEFAULT_SEARCH
    made = pipelined(program, family.delays, budget_ns, directives.block_layers, search, directives.latency)
    return size_of(*made, family)


def estimate_network(network: Network, family: Family) -> Size:
    """The size of a network of processes: token functions unrolled, folded products, memories, and FIFOs as deep as planned."""
    count = _Count(family)
    pipelined = (Map, FoldedProduct, Reduce, Scan)
    latencies = {k: _PIPELINE for k, process in enumerate(network.processes) if isinstance(process.kind, pipelined)}
    depths = {(fifo.consumer, fifo.operand): fifo.depth for fifo in fifos(network, latencies)}
    for number, process in enumerate(network.processes):
        _count_process(count, process, depths.get((number, -1), 0))
        for operand in range(len(process.args)):
            _count_fifo(count, network, process, operand, depths[number, operand])
    return Size(round(count.lut), round(count.ff), round(count.dsp), round(count.adders), round(count.bram))


def _count_process(count: _Count, process: Process, depth: int) -> None:
    """Count a process with a memory of ``depth`` tokens."""
    kind = process.kind
    match kind:
        case Map():
            count.registered(kind.program)
        case Scan():
            count.registered(kind.body)
        case FoldedProduct():
            count.fold(kind, process.takes[0].token, process.results[0].token)
        case WidthConverter():
            have, want = process.takes[0].bits, process.results[0].bits
            if have > want:
                count.select(have)
            else:
                count.ff += want
        case Window():
            _count_window(count, kind.op, process)
        case Sweep():
            count.sweep(process.results[0].bits, depth)
        case Reorder():
            if not is_monotone(kind.source):
                count.memory(process.takes[0].tokens, process.takes[0].bits)
                count.table(len(kind.source), 3 * max(process.takes[0].tokens.bit_length(), 1))
        case Rom():
            if kind.loaded:
                count.loadable(kind.loaded.steps * kind.loaded.groups, process.results[0].bits)
            else:
                count.table(len(kind.words), process.results[0].bits)
        case Interleave():
            count.select(sum(stream.bits for stream in process.takes))
        case Reduce():
            count.add(process.results[0].token.size, process.results[0].token.max_width)
            count.ff += process.results[0].bits
        case Source() | Sink():
            pass
        case _:
            assert_never(kind)


def _count_fifo(count: _Count, network: Network, process: Process, operand: int, depth: int) -> None:
    """Registers of what is only wired hold each bit once: synthesis joins those that are alike."""
    bits, maker = process.takes[operand].bits, network.processes[process.args[operand].process]
    count.control()
    if depth > _REGISTERS:
        count.memory(depth, bits)
        return
    if isinstance(maker.kind, Map) and all(isinstance(node.op, _WIRING) for node in maker.kind.program.nodes):
        bits = min(bits, sum(stream.bits for stream in maker.takes))
    count.registers(depth, bits)


def _count_window(count: _Count, op: ops.Window, process: Process) -> None:
    """A line of delays from tap to tap: registers between neighbours, memories from row to row."""
    padded = [size + before + after for size, (before, after) in zip(process.takes[0].grid, op.padding, strict=True)]
    bits = process.takes[0].bits
    grids = np.meshgrid(
        *(np.arange(taps) * dilation for taps, dilation in zip(op.size, op.dilation, strict=True)), indexing="ij"
    )
    places = np.ravel_multi_index([grid.ravel() for grid in grids], padded)
    for length in np.diff(places).tolist():
        if length < _SHORT_DELAY:
            count.ff += length * bits
        else:
            count.memory(length, bits)


class _Count:
    """Running totals over the nodes of a program."""

    def __init__(self, family: Family, blocks: BlockLayers | None = None) -> None:
        self.lut = 0.0
        self.dsp = 0.0
        self.adders = 0.0
        self.ff = 0.0
        self.bram = 0.0
        self._area = family.area
        self._sums = 1.0 if family.delays.ternary_ns is None else _SUMS_OF_THREE
        self._blocks = blocks

    def program(self, program: Program, repeats: int = 1) -> None:
        """Count every node that an output depends on, ``repeats`` times."""
        live = _live(program)
        for index, node in enumerate(program.nodes):
            if live[index]:
                self._node(node, program, repeats)

    def registered(self, program: Program) -> None:
        """Count a program and the registers of its pipeline."""
        before = self.lut
        self.program(program)
        self.ff += (self.lut - before) * _REGISTERS_PER_LUT * self._sums

    def fold(self, kind: FoldedProduct, x: TensorType, y: TensorType) -> None:
        """A tile of multipliers, the adders after it, their registers, and the weights' memory."""
        groups, steps, (n, m) = kind.groups, kind.steps, kind.tile
        lanes, operand, result = x.shape[0], max(x.max_width, 1), max(y.max_width, 1)
        made = multipliers(kind, x, y, self._area.block)
        self.dsp += made.blocks
        self.lut += made.luts + self._area.multiplier(made.number, made.weight, made.wanted)[1] * lanes * n * m
        self.add(lanes * (made.sums - 1) * m, made.product)
        if steps > 1:
            self.add(lanes * m, result)
        # There are registers after operands and weights, products and every second level of adders.
        self.ff += 2 * lanes * n * operand + n * m * kind.sets * made.weight + lanes * m * result
        terms = made.sums
        for level in range(0, (terms - 1).bit_length() + 1, 2):
            self.ff += lanes * m * terms * min(made.product + level, result)
            terms = -(-terms // 4)
        if kind.loaded:
            self.loadable(steps * groups, float(kind.loaded.token((n, m)).max_width * n * m))
        else:
            self.table(steps * groups, n * m * kind.sets * made.weight)

    def loadable(self, words: int, bits: float) -> None:
        """A constant table that can be loaded: a memory, its register, and one that collects a word."""
        self.lut += _LOAD_LUTS
        self.ff += _LOAD_FFS + 2 * bits
        if words > 1:
            self.memory(words, bits)
        else:
            self.ff += bits

    def control(self) -> None:
        """The counters of a FIFO, and of the process after it."""
        self.lut += self._area.control_luts
        self.ff += _CONTROL_FFS

    def select(self, bits: float) -> None:
        """A part selected from ``bits`` bits."""
        self.lut += self._area.select_luts * bits

    def registers(self, words: int, bits: float) -> None:
        """The slots of a FIFO as registers, each filled from outside or from the one after it."""
        self.ff += words * bits
        self.lut += (words - 1) * bits * self._area.mux2_luts.per_bit

    def sweep(self, words: int, bits: float) -> None:
        """A memory of tokens, read by counters and constants."""
        self.lut += _SWEEP_LUTS + _SWEEP_SUMS * words.bit_length()
        self.ff += _SWEEP_FFS + bits
        self.memory(1 << (words - 1).bit_length(), bits)

    def memory(self, words: int, bits: float) -> None:
        """A memory, or the slots of a FIFO."""
        if words > FIFO_BLOCK_WORDS and words * bits > FIFO_BLOCK_BITS:
            self.bram += self._area.memory.count(words, bits)
        else:
            wide = -(-words // self._area.memory_words)
            self.lut += self._area.memory_luts * wide * bits

    def table(self, words: int, bits: float) -> None:
        """A constant table."""
        if self._area.memory.holds_table(words, bits):
            self.bram += self._area.memory.count(words, bits)
        elif words > 1:
            self.lut += self._area.table((words - 1).bit_length(), round(bits))

    def add(self, adders: float, width: float) -> None:
        """Additions of ``width`` bits; the carry's way in and out of a chain is not charged."""
        self.adders += adders
        self.lut += adders * width * self._area.adder_luts.per_bit

    def _choose(self, count: float, width: float) -> None:
        self.lut += count * width * self._area.mux2_luts.per_bit

    def _compare(self, count: float, width: float) -> None:
        self.lut += count * width * self._area.comparator_luts.per_bit

    def _compare_constants(self, program: Program, operand: int, count: int, repeats: int) -> None:
        """``count`` comparisons of the elements of ``operand``, each of which may be in many places, with constants."""
        words = program.nodes[operand]
        while isinstance(words.op, ops.Broadcast | ops.Reshape):
            words = program.nodes[words.args[0]]
        number = min(words.type.size * repeats, count)
        self.lut += number * self._area.comparisons(count / number, _mean_width(words.type))

    def _node(self, node: Node, program: Program, repeats: int) -> None:
        op, args = node.op, program.types(node.args)
        size, width = node.type.size * repeats, _mean_width(node.type)
        constants = [isinstance(program.nodes[index].op, ops.Const) for index in node.args]
        match op:
            case _ if isinstance(op, _WIRING):
                pass
            case ops.Linear():
                self._linear(op, args[0], node, repeats)
            case ops.MatMul():
                self._products(args[0], args[1], size * args[0].shape[-1])
                self.add(size * (args[0].shape[-1] - 1), width)
            case ops.Mul():
                if any(constants):
                    self._scale(args, constants, size)
                else:
                    self._products(args[0], args[1], size)
            case ops.Add() | ops.Sub():
                self.add(size * _nonzero_share(args, constants), width)
            case ops.Neg():
                self.add(size, width)
            case ops.Abs():
                self.add(size, width)
                self._choose(size, width)
            case ops.Max() | ops.Min():
                # A rectifier joins the look-up tables of the saturation after it.
                if not any(constants):
                    self._compare(size, width)
                    self._choose(size, width)
            case ops.Compare():
                if any(constants):
                    self._compare_constants(program, node.args[constants[0]], size, repeats)
                else:
                    self._compare(size, max(map(_mean_width, args)))
            case ops.Select():
                self._choose(size, width)
            case ops.Sum():
                self.add(args[0].size * repeats - size, width)
            case ops.AMax():
                self._compare(args[0].size * repeats - size, width)
                self._choose(args[0].size * repeats - size, width)
            case ops.Table():
                self._table(args[0], node.type, size)
            case ops.Cast():
                follows_add = isinstance(program.nodes[node.args[0]].op, ops.Add | ops.Max)
                self._cast(op, args[0], node.type, size, follows_add)
            case ops.Scan():
                self.program(op.body, repeats * node.type.shape[0])
            case _:
                assert_never(op)

    def _linear(self, op: ops.Linear, x: TensorType, node: Node, repeats: int) -> None:
        y, weights = node.type, op.weights
        positions = y.size // y.shape[-1] * repeats
        if self._blocks is not None and node.layer in self._blocks.layers:
            by_block = np.where(csd.in_blocks(weights, csd.signed_width(x), self._blocks.block), weights, 0)
            self.dsp += sum(len(set(row[row != 0] // (row & -row)[row != 0])) for row in by_block) * positions
            self.add(int(np.count_nonzero(by_block)) * positions, _mean_width(y))
            weights = weights - by_block
        adders = csd.estimate(weights) * positions
        share = self._area.bit_sums if x.max_width == 1 else self._sums
        self.add(adders, share * csd.adder_width(_mean_width(x), _mean_width(y)))

    def _products(self, x: TensorType, y: TensorType, count: int) -> None:
        blocks, luts = self._area.multiplier(max(x.max_width, 1), max(y.max_width, 1))
        self.dsp += blocks * count
        self.lut += luts * count

    def _scale(self, args: Sequence[TensorType], constants: Sequence[bool], count: int) -> None:
        """Products with constants, in shifts and adders."""
        factors, x = (args[0], args[1]) if constants[0] else (args[1], args[0])
        adders = float(np.maximum(csd.count_digits(factors.lo) - 1, 0).mean()) * count
        self.add(adders, _mean_width(x) + _mean_width(factors) / 2)

    def _table(self, x: TensorType, y: TensorType, count: int) -> None:
        address, width = max(x.max_width, 1), max(y.max_width, 1)
        if self._area.memory.holds_table(1 << address, width):
            self.bram += self._area.memory.count(1 << address, width) * count
        else:
            self.lut += self._area.table(address, width) * count

    def _cast(self, op: ops.Cast, x: TensorType, y: TensorType, count: int, follows_add: bool) -> None:
        width = _mean_width(y)
        drops = bool(np.any(x.frac > op.frac))
        # Constants for rounding join a bias that was added before.
        if drops and op.rounding is not Rounding.TRN and not (follows_add and op.rounding is Rounding.RND):
            self.add(count, width + 1)
        if op.overflow is not Overflow.WRAP and _mean_width(x) > width:
            self._choose(count, width + 2)


def _live(program: Program) -> list[bool]:
    live = [False] * len(program.nodes)
    for output in program.outputs:
        live[output.node] = True
    for index in range(len(program.nodes) - 1, -1, -1):
        if live[index]:
            for arg in program.nodes[index].args:
                live[arg] = True
    return live


def _mean_width(kind: TensorType) -> float:
    return float(kind.width.mean())


def _nonzero_share(args: Sequence[TensorType], constants: Sequence[bool]) -> float:
    """The share of a constant operand that is not 0; 1 without one."""
    for kind, constant in zip(args, constants, strict=True):
        if constant:
            return float(np.mean(kind.lo != 0))
    return 1.0
