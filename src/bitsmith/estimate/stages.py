"""About how many bits of registers a pipeline has, without making its netlist.

In: a program that is unrolled, a family's delays, and the length of a stage. Each node takes its time after its operands are
there, and trees of sums take it level by level. So it is known which bits are there at a time, and cuts between stages are put
where the fewest are: as few cuts as the stages allow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from bitsmith.dataflow.wires import WIRING
from bitsmith.devices.delay import DelayModel
from bitsmith.estimate.reads import elements_read
from bitsmith.ir import ops
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Overflow, Rounding, TensorType
from bitsmith.netlist import csd

_MOST_TIMES = 400
"""Times at which a cut is looked for; of more as many, evenly."""

_ROOM_NS = 1e-6

_TERNARY = 2.2
"""Factor by which a level has fewer terms where some are sums of three: near those of 60 perceptrons for ``xcup``."""


@dataclass(frozen=True, slots=True)
class _Tree:
    """Levels of sums, what one takes, and the bits of partial sums after each level but the last."""

    levels: int
    level_ns: float
    bits: Sequence[float] = ()


def stage_registers(program: Program, delays: DelayModel, budget_ns: float) -> tuple[int, int] | None:
    """The flip-flops of the pipeline of ``program`` with stages of ``budget_ns``; None of one with a recurrence.

    The first are those of data, the second those of valid samples, one for each stage.
    """
    if any(isinstance(node.op, ops.Scan) for node in program.nodes):
        return None
    timing = _Timing(program, delays)
    return timing.registers(budget_ns)


class _Timing:
    """Times in which bits are there, from the start of the first stage on."""

    def __init__(self, program: Program, delays: DelayModel) -> None:
        self._program, self._delays = program, delays
        self._there: list[tuple[float, float, float]] = []  # from, until, bits
        ready, until = [0.0] * len(program.nodes), [0.0] * len(program.nodes)
        roots: list[tuple[int, ...]] = []
        reads = elements_read(program)
        for index, node in enumerate(program.nodes):
            sources = tuple(dict.fromkeys(root for arg in node.args for root in roots[arg]))
            start = max((ready[source] for source in sources), default=0.0)
            if isinstance(node.op, WIRING) and node.args:
                roots.append(sources)
                ready[index] = start
                continue
            roots.append(() if isinstance(node.op, ops.Const) else (index,))
            if not reads[index].any():
                continue
            tree = self._tree(node)
            ready[index] = until[index] = start + tree.levels * tree.level_ns
            for source in sources:
                until[source] = max(until[source], start + min(tree.level_ns, ready[index] - start))
            for level, bits in enumerate(tree.bits, 1):
                self._there.append((start + level * tree.level_ns, start + (level + 1) * tree.level_ns, bits))
        self._end = max(ready, default=0.0)
        for output in program.outputs:
            for root in roots[output.node]:
                until[root] = math.inf
        for index, node in enumerate(program.nodes):
            if roots[index] == (index,) and until[index] > ready[index]:
                bits = float(node.type.width.mean()) * node.type.size * float(reads[index].mean())
                self._there.append((ready[index], until[index], bits))

    def registers(self, budget_ns: float) -> tuple[int, int]:
        """Bits at all cuts and at the end, and those of the pipeline of valid samples, with the fewest cuts."""
        if not self._there:  # all results are constants
            return 0, 1
        begin, until, bits = (np.array(column) for column in zip(*self._there, strict=True))
        times = np.unique(np.round(np.concatenate([[0.0], begin[begin < self._end]]), 6))
        times = times[np.unique(np.linspace(0, len(times) - 1, min(len(times), _MOST_TIMES)).astype(int))]
        # What is computed at a cut is put after it.
        costs = [float(bits[(begin <= time + _ROOM_NS) & (until > time + _ROOM_NS)].sum()) for time in times]
        last = float(bits[until == math.inf].sum())
        best: list[tuple[int, float]] = []  # cuts up to each time, and their bits
        for number, time in enumerate(times):
            before = [best[k] for k in range(number) if time - times[k] <= budget_ns + _ROOM_NS]
            cuts, sum_ = min(before, default=(0, 0.0) if number == 0 else best[-1])
            best.append((cuts + 1, sum_ + costs[number]) if number else (0, 0.0))
        ends = [best[k] for k, time in enumerate(times) if self._end - time <= budget_ns + _ROOM_NS]
        cuts, sum_ = min(ends, default=best[-1])
        return round(sum_ + last), cuts + 1

    def _tree(self, node: Node) -> _Tree:
        """Levels of a node; a node that is no tree has one."""
        op, delays, width = node.op, self._delays, max(node.type.max_width, 1)
        args = self._program.types(node.args)
        match op:
            case ops.Linear():
                return self._sums(op, args[0], node.type)
            case ops.Sum():
                return _Tree(_levels(args[0].size / node.type.size), delays.adder(width))
            case ops.AMax():
                return _Tree(_levels(args[0].size / node.type.size), delays.comparator(width) + delays.mux2(width))
            case ops.MatMul():
                product = delays.multiplier(args[0].max_width, args[1].max_width)
                return _Tree(1, product + _levels(args[0].shape[-1]) * delays.adder(width))
            case ops.Mul():
                return _Tree(1, delays.multiplier(max(args[0].max_width, 1), max(args[1].max_width, 1)))
            case ops.Add() if delays.ternary_ns is not None and any(
                isinstance(self._program.nodes[arg].op, ops.Const) for arg in node.args
            ):
                return _Tree(1, 0.0)  # a bias joins the last sum of three
            case ops.Add() | ops.Sub() | ops.Neg() | ops.Abs():
                return _Tree(1, delays.adder(width))
            case ops.Max() | ops.Min():
                constant = any(isinstance(self._program.nodes[arg].op, ops.Const) for arg in node.args)
                return _Tree(1, delays.mux2(width) + (0.0 if constant else delays.comparator(width)))
            case ops.Compare():
                return _Tree(1, delays.comparator(max(arg.max_width for arg in args)))
            case ops.Select():
                return _Tree(1, delays.mux2(width))
            case ops.Table():
                return _Tree(1, delays.table(args[0].max_width))
            case ops.Cast():
                joined = op.rounding is Rounding.RND and isinstance(
                    self._program.nodes[node.args[0]].op, ops.Add | ops.Max
                )
                rounded = op.rounding is not Rounding.TRN and not joined and bool(np.any(args[0].frac > op.frac))
                saturated = op.overflow is not Overflow.WRAP and args[0].max_width > width
                return _Tree(1, rounded * delays.adder(width) + saturated * delays.mux2(width))
            case _ if isinstance(op, WIRING | ops.Scan):
                return _Tree(1, 0.0)
            case _:
                assert_never(op)

    def _sums(self, op: ops.Linear, x: TensorType, y: TensorType) -> _Tree:
        """Levels of an adder graph: sums of three halve more than sums of two."""
        terms = csd.count_digits(op.weights).sum(axis=0)
        summed = float(np.maximum(terms - 1, 0).sum())
        if not summed:
            return _Tree(0, 0.0)
        shared = csd.estimate(op.weights) / summed
        narrow, wide = float(x.width.mean()), float(y.width.mean())
        ternary = self._delays.ternary_adder(round((narrow + wide) / 2))
        base, level_ns = (
            (_TERNARY, ternary) if ternary is not None else (2, self._delays.adder(round((narrow + wide) / 2)))
        )
        levels = max(math.ceil(math.log(float(terms.max()), base) - 1e-9), 1)
        positions = y.size / y.shape[-1]
        sums = [float(np.ceil(terms / base**level)[terms > 0].sum()) * shared for level in range(1, levels)]
        widths = (narrow + (wide - narrow) * level / levels for level in range(1, levels))
        bits = [number * positions * width for number, width in zip(sums, widths, strict=True)]
        return _Tree(levels, level_ns, bits)


def _levels(terms: float) -> int:
    return max(math.ceil(math.log2(max(terms, 1)) - 1e-9), 0)
