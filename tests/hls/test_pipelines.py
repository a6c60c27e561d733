"""Depths of FIFOs hold for whatever the loops of a vendor's tool hold back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import pytest

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.schedule import Schedule
from bitsmith.dataflow.tokens import Stream
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.dialects.spelling import Loops
from bitsmith.hls.pipelines import cpp_timing, scheduled, stages_of
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, TensorType
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.hls.test_execution import programs
from tests.hls.test_streams import FEW, cnns, folded, random_demands
from tests.hls.test_writer import dense

STALLING = Loops(flush=False, rewind=False)
FRAMES = 3


class Stalling:
    """A process whose pipeline moves on, as a whole, when there is a token for its first stage and a place for its last one."""

    def __init__(self, process: Process, held: int) -> None:
        # Steps without anything held back: what is taken, and what comes of it.
        (steps,) = cpp_timing(process, 0, Loops(flush=True, rewind=True)).sequencers
        self.takes = [np.diff(row.dense(), prepend=0).tolist() for row in steps.takes]
        self.needs = [
            (row.dense() - taken.dense()).tolist() for row, taken in zip(steps.needs, steps.takes, strict=True)
        ]
        self.fills = [np.diff(row.dense(), prepend=0).tolist() for row in steps.fills]
        self.steps, self.held = steps.actions, held
        self.at, self.frame = 0, 0
        self.stages: deque[int | None] = deque([None] * held)

    def act(self, tokens: list[list[int]], places: list[list[int]]) -> bool:
        """Move on by a stage if possible; ``tokens`` and ``places`` are counts, each shared with the other end of a FIFO."""
        if self.frame == FRAMES:
            return False
        entering = self.at if self.at < self.steps else None
        leaving = self.stages[0] if self.held else entering
        if entering is not None:
            wanted = [
                taken[entering] + max(0, need[entering]) for taken, need in zip(self.takes, self.needs, strict=True)
            ]
            if any(have[0] < want for have, want in zip(tokens, wanted, strict=True)):
                return False
        given = [0 if leaving is None else fill[leaving] for fill in self.fills]
        if any(places[k][0] < count for k, count in enumerate(given)):
            return False
        for k, taken in enumerate(self.takes):
            tokens[k][0] -= taken[entering] if entering is not None else 0
        for k, count in enumerate(given):
            places[k][0] -= count
        self.stages.append(entering)
        self.stages.popleft()
        self.at += 1
        if self.at == self.steps + self.held:
            self.at, self.frame = 0, self.frame + 1
        return True


def locks_up(network: Network, plan: Schedule, held: Sequence[int]) -> bool:
    """Execution without time of some frames: return True if it stops before their end."""
    parts = [Stalling(process, most) for process, most in zip(network.processes, held, strict=True)]
    filled = {(fifo.consumer, fifo.operand): 0 for fifo in plan.fifos}
    moved = True
    while moved:
        moved = False
        for number, (process, part) in enumerate(zip(network.processes, parts, strict=True)):
            ins = [(number, operand) for operand in range(len(process.args))]
            outs = [
                [
                    (consumer, operand)
                    for consumer, other in enumerate(network.processes)
                    for operand, source in enumerate(other.args)
                    if (source.process, source.port) == (number, port)
                ]
                for port in range(len(process.results))
            ]
            tokens = [[filled[key]] for key in ins]
            free = [[min([plan.depth(*key) - filled[key] for key in keys], default=1 << 30)] for keys in outs]
            before = [count[0] for count in tokens], [count[0] for count in free]
            while part.act(tokens, free):
                moved = True
            for key, count, had in zip(ins, tokens, before[0], strict=True):
                filled[key] -= had - count[0]
            for keys, count, had in zip(outs, free, before[1], strict=True):
                for key in keys:
                    filled[key] += had - count[0]
    return any(part.frame < FRAMES for part in parts)


def some() -> list[Network]:
    cases, demands = cnns()
    random = programs(FEW)
    cases, demands = {**cases, **random}, {**demands, **random_demands(random)}
    return [partition(drop_dead(case, keep_probes=False), demands[top]) for top, case in cases.items()]


@pytest.mark.slow
@pytest.mark.ci
def test_depths_hold_for_pipelines_of_any_length() -> None:
    rng = np.random.default_rng(0)
    for network in some():
        plan, most = scheduled(network, STALLING), [stages_of(process) for process in network.processes]
        choices = [[0] * len(most), most]
        choices += [[int(rng.choice([0, stages])) for stages in most] for _ in range(3)]
        choices += [[int(rng.integers(0, stages + 1)) for stages in most] for _ in range(3)]
        for held in choices:
            assert not locks_up(network, plan, held), held


def two_ways() -> Network:
    """A token goes through two processes side by side, to meet itself in a third, and on slowly."""
    stream, slow = (Stream((tokens,), TensorType.of((1,), 0, 0, 1)) for tokens in (40, 320))

    def token_function(inputs: int) -> kinds.Map:
        build = ProgramBuilder()
        values = [build.input(f"x{k}", (1,), FixedFormat(False, 1, 1)) for k in range(inputs)]
        return kinds.Map(build.program([("y", values[0] if inputs == 1 else build.mul(*values))]))

    def process(kind: kinds.Kind, *args: int) -> Process:
        return Process(kind, tuple(map(OutputPort, args)), (stream,) * len(args), (stream,))

    one, both = token_function(1), token_function(2)
    again = Process(kinds.WidthConverter(8), (OutputPort(3),), (stream,), (slow,))
    sink = Process(kinds.Sink("y"), (OutputPort(4),), (slow,), ())
    return Network((process(kinds.Source("x")), process(one, 0), process(one, 0), process(both, 1, 2), again, sink))


def test_depths_for_loops_that_flush_lock_up_where_they_stall() -> None:
    network, held = two_ways(), [0, 3, 0, 6, 3, 0]
    assert locks_up(network, scheduled(network, Loops(flush=True, rewind=True)), held)
    assert not locks_up(network, scheduled(network, STALLING), held)


@pytest.mark.parametrize(
    ("loops", "interval"),
    [
        (DIALECTS["vitis"].streams.loops, 3),  # as many steps as the product has
        (DIALECTS["vivado"].streams.loops, 3 + 3 + 3 + 1),  # and as many as its pipeline has stages
        (STALLING, 3 + 3 + 3 + 1),
    ],
)
def test_intervals_are_those_of_the_loops(loops: Loops, interval: int) -> None:
    network = partition(dense(), folded(parallel=False))
    assert scheduled(network, loops).interval == interval
