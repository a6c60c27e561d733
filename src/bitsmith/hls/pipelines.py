"""Timing of a network's processes as a vendor's compiler makes them: FIFO depths and cycles of C++.

A process is a function with one pipelined loop. Our hardware hands its results on while it waits for tokens; loops of a
vendor's tool may not, and may hold back as many results as their pipeline has stages until further tokens come, or until the
last step of the frame (:class:`bitsmith.hls.dialects.spelling.Loops`). How many stages there are only the tool knows; what is
assumed here is rather too many, and the argument holds for fewer.

Depths that do not rely on anything being handed on: the schedule is that of processes that hold back as many results as is
assumed; and a FIFO whose tokens could go another way, too, has places for all that are held back besides. A process that holds
back fewer behaves, together with the further places, as the one that the schedule is made of. So the schedule's argument
(:mod:`bitsmith.dataflow.schedule`) holds for each number of stages up to the assumed one. FIFOs on the only way between two
parts of a network cannot lock it up, and stay as they are.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np

from bitsmith.dataflow import kinds
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.processes import Network, Process
from bitsmith.dataflow.schedule import Fifo, Schedule, schedule
from bitsmith.dataflow.timing import ProcessTiming, Sequencer, is_monotone
from bitsmith.dataflow.tokens import Numbers
from bitsmith.hls.beats import WHOLE, Beats, step_cycles
from bitsmith.hls.dialects.spelling import Loops
from bitsmith.hls.loads import KeptWeights
from bitsmith.hls.recurrence.parts import PartLoop, Recurrence
from bitsmith.hls.sweeps import sweep_loop
from bitsmith.ir import ops
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program

_MULTIPLY, _LOOK_UP, _STREAM = 3, 3, 3
"""Stages of a product, of a look-up, and of reading a stream and writing one."""


def scheduled(network: Network, loops: Loops, beats: Beats = WHOLE) -> Schedule:
    """The schedule of the C++ of ``network``, whose loops do as ``loops`` says, and whose tokens have so many ``beats``."""
    stages = {number: stages_of(process) for number, process in enumerate(network.processes)}
    cycles = {id(process): step_cycles(network, number, beats) for number, process in enumerate(network.processes)}
    found = schedule(network, stages, lambda process, depth: cpp_timing(process, depth, loops, cycles[id(process)]))
    return deepened(network, found, loops)


def cpp_timing(process: Process, stages: int, loops: Loops, cycles: int = 1) -> ProcessTiming:
    """The actions of a process whose pipeline has so many ``stages``, and begins a step every so many ``cycles`` at most."""
    if isinstance(process.kind, kinds.Source | kinds.Sink):
        (boundary,) = process.timing(0).sequencers
        return ProcessTiming((replace(boundary, gap=cycles),))
    if isinstance(process, Recurrence):
        return ProcessTiming((_in_rounds(process, cycles),))
    (sequencer,) = _steps(process, stages + cycles - 1).sequencers
    sequencer = replace(sequencer, gap=max(sequencer.gap, cycles))
    if loops.function and sequencer.actions == 1:
        return ProcessTiming((sequencer,))
    if isinstance(process.kind, kinds.Engine):
        # What is taken is in the memory, and the pipeline empty, before the first layer begins.
        return ProcessTiming((_held_back(sequencer, 2 * stages),))
    if not loops.flush:
        # Results leave as many steps later; steps after the last one take nothing.
        return ProcessTiming((_held_back(sequencer, stages),))
    return ProcessTiming((sequencer if loops.rewind else _drained(sequencer, stages),))


def _steps(process: Process, stages: int) -> ProcessTiming:
    """One step of the process's loop after the other, in which results are handed on."""
    if isinstance(process, KeptWeights):  # the first step takes a token, and gives none
        tokens = process.results[0].tokens
        first = Polyline.line(tokens + 1, 1, 0)
        fills = Polyline.line(tokens, 1, 1).held(1, 0)
        return ProcessTiming((Sequencer((first,), (first,), (fills,), latency=stages),))
    if isinstance(process.kind, kinds.Sweep):
        loop = sweep_loop(process)
        return ProcessTiming((Sequencer((loop.takes,), (loop.takes,), (loop.fills,), latency=stages),))
    if not isinstance(process.kind, kinds.Reorder) or is_monotone(process.kind.source):
        found = process.timing(stages)
        return ProcessTiming(tuple(replace(one, latency=stages) for one in found.sequencers))
    # A loop that writes the whole frame into a memory, and then reads it.
    tokens, results = process.takes[0].tokens, process.results[0].tokens
    step = np.arange(1, tokens + results + 1)
    takes, fills = Polyline.of(np.minimum(step, tokens)), Polyline.of(np.maximum(step - tokens, 0))
    return ProcessTiming((Sequencer((takes,), (takes,), (fills,), latency=stages),))


def _drained(sequencer: Sequencer, stages: int) -> Sequencer:
    """``sequencer`` with steps at its end in which the pipeline runs empty."""
    more = -(-stages // sequencer.gap)
    needs, takes, fills = (
        tuple(row.held(0, more) for row in rows) for rows in (sequencer.needs, sequencer.takes, sequencer.fills)
    )
    return Sequencer(needs, takes, fills, sequencer.gap, sequencer.latency)


def _held_back(sequencer: Sequencer, stages: int) -> Sequencer:
    """``sequencer`` with results that leave when the pipeline has moved on by all its ``stages``, or at the frame's end."""
    more = -(-stages // sequencer.gap)
    needs, takes = (tuple(row.held(0, more) for row in rows) for rows in (sequencer.needs, sequencer.takes))
    return Sequencer(needs, takes, tuple(row.held(more, 0) for row in sequencer.fills), sequencer.gap)


def _in_rounds(process: Recurrence, cycles: int) -> Sequencer:
    """The steps of all loops, one loop after the other, each of which runs empty before the next one begins."""

    def counts(loop: PartLoop) -> Numbers:
        """Tokens that go in and out in each cycle of a loop."""
        stages = _loop_stages(loop) + cycles - 1
        (sequencer,) = _steps(loop[0].process, stages).sequencers
        filled = sequencer.fills[0].held(0, -(-stages // cycles))
        sequencer = _held_back(replace(sequencer, gap=cycles), stages)
        moves = np.zeros((len(process.takes) + len(process.results), sequencer.cycles), dtype=np.int64)
        for number, part in enumerate(loop):
            takes = [filled] * len(part.operands) if number else sequencer.takes
            for operand, row in zip(part.operands, takes, strict=True):
                if isinstance(operand, int):
                    moves[operand, ::cycles] = np.diff(row.dense(), prepend=0)
            for given in part.gives:
                if given is not None:
                    moves[len(process.takes) + given, ::cycles] = np.diff(sequencer.fills[0].dense(), prepend=0)
        return moves

    begun = [counts((process.initial(state),)) for state in range(process.states)]
    step = np.concatenate(list(map(counts, process.loops)), axis=1)
    rows = np.cumsum(np.concatenate([*begun, np.tile(step, process.rounds)], axis=1), axis=1)
    takes, fills = (tuple(map(Polyline.of, part)) for part in np.split(rows, [len(process.takes)]))
    return Sequencer(takes, takes, fills)


def _loop_stages(loop: PartLoop) -> int:
    """Stages of the pipeline of a loop of a recurrence."""
    return sum(stages_of(part.process) for part in loop)


def deepened(network: Network, plan: Schedule, loops: Loops) -> Schedule:
    """``plan`` with places for results that loops hold back, where those of another way wait for them."""
    if loops.flush:
        return plan
    several = _on_several_ways(network)

    def depth(fifo: Fifo) -> int:
        process = network.processes[fifo.producer]
        if (fifo.producer, fifo.port, fifo.consumer, fifo.operand) not in several:
            return fifo.depth
        return fifo.depth + min(stages_of(process) + _STREAM, process.results[fifo.port].tokens)

    return replace(plan, fifos=tuple(replace(fifo, depth=depth(fifo)) for fifo in plan.fifos))


def _on_several_ways(network: Network) -> set[tuple[int, int, int, int]]:
    """The links without which their ends would still be connected: those that are part of a circle, whatever its directions."""
    links = [
        (source.process, source.port, number, operand)
        for number, process in enumerate(network.processes)
        for operand, source in enumerate(process.args)
    ]
    ends: dict[int, list[int]] = {number: [] for number in range(len(network.processes))}
    for index, (producer, _, consumer, _) in enumerate(links):
        ends[producer].append(index)
        ends[consumer].append(index)
    return {links[index] for index in set(range(len(links))) - _bridges(links, ends)}


def _bridges(links: Sequence[tuple[int, int, int, int]], ends: dict[int, list[int]]) -> set[int]:
    """The links that are the only connection of what they connect (R. Tarjan, Information Processing Letters 2(6), 1974)."""
    seen: dict[int, int] = {}
    lowest: dict[int, int] = {}
    reached: set[int] = set()
    for root in ends:
        if root in seen:
            continue
        seen[root] = lowest[root] = len(seen)
        path = [(root, -1, iter(ends[root]))]
        while path:
            node, came, left = path[-1]
            index = next(left, None)
            if index is None:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                    if lowest[node] > seen[above]:
                        reached.add(came)
                continue
            other = links[index][0] + links[index][2] - node
            if index == came:
                continue
            if other in seen:
                lowest[node] = min(lowest[node], seen[other])
                continue
            seen[other] = lowest[other] = len(seen)
            path.append((other, index, iter(ends[other])))
    return reached


def stages_of(process: Process) -> int:
    """Stages that the pipeline of a process's loop is taken to have: rather more than a tool makes at 200 MHz."""
    if isinstance(process, Recurrence):
        return max(map(_loop_stages, process.loops))
    if isinstance(process.kind, kinds.Source | kinds.Sink):
        return 0
    logic = process.kind.logic
    sums = _MULTIPLY + _levels(logic.terms) if logic.terms else 0
    return _STREAM + sums + int(logic.accumulates) + (program_stages(logic.program) if logic.program else 0)


def program_stages(program: Program) -> int:
    """Stages of the longest way through a token function."""
    ready: list[int] = []
    for node in program.nodes:
        begun = max((ready[arg] for arg in node.args), default=0)
        ready.append(begun + _op_stages(node.op, [program.nodes[arg].type.shape for arg in node.args]))
    return max((ready[output.node] for output in program.outputs), default=0)


def _op_stages(op: Op, shapes: Sequence[tuple[int, ...]]) -> int:
    match op:
        case ops.Input() | ops.Const() | ops.Parameter() | ops.Reshape() | ops.Transpose() | ops.Slice() | ops.Concat():
            return 0
        case ops.Pad() | ops.Gather() | ops.Broadcast() | ops.Window() | ops.Shift():
            return 0
        case ops.Linear():
            return _MULTIPLY + _levels(op.weights.shape[0])
        case ops.MatMul():
            return _MULTIPLY + _levels(shapes[0][-1])
        case ops.Sum() | ops.AMax():
            return _levels(int(np.prod([shapes[0][axis] for axis in op.axes], dtype=np.int64)))
        case ops.Mul():
            return _MULTIPLY
        case ops.Table():
            return _LOOK_UP
        case ops.Scan():
            return shapes[op.states][0] * program_stages(op.body)
        case ops.Add() | ops.Sub() | ops.Neg() | ops.Max() | ops.Min() | ops.Abs():
            return 1
        case ops.Compare() | ops.Select() | ops.Cast():
            return 1
        case _:
            assert_never(op)


def _levels(terms: int) -> int:
    """Levels of a tree of two-operand additions."""
    return (max(terms, 1) - 1).bit_length()
