"""The kinds of process, each with all that is known of it whatever language it is written in. None knows a layer.

``run`` is the meaning, without time: raw tokens of a frame in, raw tokens of each result out. ``timing`` has the actions, cycle
by cycle: the contract between the schedule and the hardware; ``latency`` is that of the kind's pipeline (else 0). ``logic`` is
what a step computes; ``memories`` are those within a process of which ``depth`` tokens are needed at once.

Backends write a kind in `bitsmith.rtl.streams` and `bitsmith.hls.process`, and `bitsmith.estimate.size` counts it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeAlias

import numpy as np

from bitsmith.dataflow import storage
from bitsmith.dataflow.engine import Engine as Engine
from bitsmith.dataflow.logic import NO_LOGIC, Logic
from bitsmith.dataflow.outside import Outside as Outside
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.replay import Replay as Replay
from bitsmith.dataflow.replay import StoredWeights
from bitsmith.dataflow.storage import Memory, Words, addressed, line_lengths, no_memories, table
from bitsmith.dataflow.timing import (
    ProcessTiming,
    Sequencer,
    counted,
    every,
    is_monotone,
    order_table,
    reorder_timing,
    single,
    sweep_bounds,
    window_actions,
)
from bitsmith.dataflow.tokens import Grid, LoadableWeights, Numbers, Stream, Streams, period, union_type, with_zeros
from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.ir.program import Program
from bitsmith.ir.types import IntArray, Ints, objects, short


@dataclass(frozen=True, slots=True)
class Source:
    """Input ``name`` of the program; or weights: any that are ``loaded`` with each frame, or constants ``stored`` outside."""

    name: str
    loaded: LoadableWeights | None = None
    stored: StoredWeights | None = None

    logic: ClassVar[Logic] = NO_LOGIC
    memories = no_memories

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return single((), [counted(results[0].tokens)], gap=self.stored.gap if self.stored else 1)


@dataclass(frozen=True, slots=True)
class Sink:
    """Output ``name`` of the program, to outside: takes a stream, gives none."""

    name: str

    logic: ClassVar[Logic] = NO_LOGIC
    memories = no_memories

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return single([counted(takes[0].tokens)], ())


@dataclass(frozen=True, slots=True, eq=False)
class Rom:
    """Constant tokens in order, the same for each frame; ``raw`` is (tokens, *token shape) in units of the stream's type.

    A ``loaded`` one can be replaced while the circuit runs: its tiles are tokens, which come over and over.
    """

    raw: Ints
    loaded: LoadableWeights | None = None

    logic: ClassVar[Logic] = NO_LOGIC

    @property
    def words(self) -> Ints:
        """The tokens that come over and over."""
        return self.raw[: self.loaded.steps * self.loaded.groups if self.loaded else period(self.raw)]

    def memories(self, takes: Streams, results: Streams, depth: int) -> list[Memory]:
        bits = results[0].bits
        return [table(len(self.words), bits, None if self.loaded else bits)]

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [self.raw]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return single((), [counted(results[0].tokens)])


@dataclass(frozen=True, slots=True)
class Map:
    """A token function: takes one token of each operand, gives one token of each result.

    ``program`` has an input per operand and an output per result.
    """

    program: Program

    memories = no_memories

    @property
    def logic(self) -> Logic:
        return Logic(self.program, 0, terms=0, accumulates=False, copies=1)

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [objects(result) for result in Emulator(self.program, threads=1).run_raw(tokens)]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        tokens = max((stream.tokens for stream in (*takes, *results)), default=1)
        return single([counted(tokens)] * len(takes), [counted(tokens)] * len(results), latency)


@dataclass(frozen=True, eq=False)
class FoldedProduct:
    """Products with constants over several cycles: ``y = sum over steps of x[step] @ weights[group, step]``.

    Takes ``groups * steps`` tokens (lanes, n) for ``groups`` tokens (lanes, m): those of all steps of the first group, then
    those of the next. Elements of lanes that differ in scale are multiplied in the finest of these. ``weights`` has shape
    (groups, steps, n, m) in units of ``2**-frac``; lanes share them, or with several ``sets``, (groups, steps, n, sets * m), as
    many lanes in a row have one each. What is ``loaded`` can be replaced while the circuit runs.
    """

    weights: IntArray
    frac: int
    loaded: LoadableWeights | None = None
    sets: int = 1

    @property
    def groups(self) -> int:
        """Results, one after another."""
        return int(self.weights.shape[0])

    @property
    def steps(self) -> int:
        """Tokens that a result takes."""
        return int(self.weights.shape[1])

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns (n, m) of the products of a lane."""
        n, m = self.weights.shape[2:]
        return n, m // self.sets

    @cached_property
    def _tiles(self) -> IntArray:
        """The weights of all tiles, (groups * steps, n * sets * m), in machine integers if they fit."""
        return short(self.weights).reshape(self.groups * self.steps, -1)

    @property
    def kept_bits(self) -> tuple[int, int]:
        """Bits of a tile that differ between tiles, and as many of them as are unlike each other; all if they can be loaded."""
        tiles = self._tiles
        return (storage.weight_bits(tiles) * tiles.shape[1],) * 2 if self.loaded else storage.kept_bits(tiles)

    @property
    def weight_rows(self) -> tuple[float, float]:
        """The shares of weights of a tile, and of their bits, that multipliers need; all if they can be loaded."""
        return (1.0, 1.0) if self.loaded else storage.weight_rows(self._tiles)

    @property
    def table(self) -> Memory:
        """The weights, a tile in each word."""
        tiles, differing = self._tiles, None if self.loaded else self.kept_bits[0]
        return table(len(tiles), storage.weight_bits(tiles) * tiles.shape[1], differing)

    @property
    def logic(self) -> Logic:
        return Logic(None, None, terms=self.tile[0], accumulates=True, copies=1)

    def memories(self, takes: Streams, results: Streams, depth: int) -> list[Memory]:
        return [self.table]

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        groups, steps, n, _ = self.weights.shape
        have = takes[0].token
        elements = objects(tokens[0] << objects(union_type(have, 1).frac - have.frac))  # in the scale of all lanes
        lanes = elements.shape[1]
        vectors = elements.reshape(-1, groups, steps, lanes, n)
        weights = objects(self.weights).reshape(groups, steps, n, self.sets, -1)
        weights = np.tile(weights, (1, 1, 1, lanes // self.sets, 1))
        return [np.asarray(np.einsum("vgsln,gsnlm->vglm", vectors, weights), dtype=np.object_)]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return single([counted(takes[0].tokens)], [every(takes[0].tokens, self.steps)], latency)


@dataclass(frozen=True, slots=True)
class Window:
    """Sliding windows over the grid: token (*rest) becomes token (*size, *rest); zeros beyond the interface."""

    op: ops.Window

    logic: ClassVar[Logic] = NO_LOGIC

    def memories(self, takes: Streams, results: Streams, depth: int) -> list[Memory]:
        return [Memory(n, takes[0].bits, Words.IN_TURN, stays=False) for n in line_lengths(self.op, takes[0].grid)]

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        have, want = takes[0].token, results[0].token
        picked = with_zeros(tokens[0].reshape(-1))[moved(self.op, takes[0].shape).reshape(-1)]
        rank = len(want.shape) - len(have.shape)
        shift = objects(np.broadcast_to(want.frac, want.shape) - have.frac.reshape((1,) * rank + have.frac.shape))
        return [objects(picked.reshape(-1, *want.shape) << shift)]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        """Tokens of the padded tensor in order: real ones are taken, those of the padding are made up."""
        inside, complete = window_actions(self.op, takes[0].grid)
        return single([Polyline.of(np.cumsum(inside))], [Polyline.of(np.cumsum(complete))])


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sliding windows as single tokens, read from a memory; zeros beyond the interface.

    A position of the grid has ``blocks * parts`` tokens. For each window in turn, each block is read ``times`` times over:
    its ``parts`` tokens of each tap, taps in row-major order.
    """

    op: ops.Window
    blocks: int
    parts: int
    times: int

    logic: ClassVar[Logic] = NO_LOGIC

    @property
    def reads(self) -> int:
        """Tokens of a window."""
        return self.blocks * self.times * math.prod(self.op.size) * self.parts

    def positions(self, taken: Stream) -> Grid:
        """The grid over which windows slide, of the tokens that are taken."""
        return taken.grid[: len(self.op.size)]

    def memories(self, takes: Streams, results: Streams, depth: int) -> list[Memory]:
        return [Memory(addressed(depth), results[0].bits, Words.BY_ADDRESS, stays=False)]

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        source = moved(self.op, self.positions(takes[0])).reshape(-1, 1, 1, math.prod(self.op.size), 1)
        part = (np.arange(self.blocks)[:, None] * self.parts + np.arange(self.parts))[:, None, None]
        read = np.where(source < 0, -1, source * self.blocks * self.parts + part)
        read = np.broadcast_to(read, (len(read), self.blocks, self.times, *read.shape[3:]))
        return [with_zeros(tokens[0])[read.ravel()]]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        """A writer takes tokens as long as there is room; a reader waits for all of a window before its first action."""
        tokens, positions = takes[0].tokens, self.positions(takes[0])
        size = tokens // math.prod(positions)
        needed, gone = sweep_bounds(self.op, positions)
        reads = len(needed) * self.reads
        needs = Polyline.treads(needed * size, self.reads).raised(reads - 1, Polyline.line(1, tokens))
        freed = Polyline.treads(np.append(gone * size, tokens), self.reads).part(1, reads + 1)
        write = Sequencer(*((counted(tokens),),) * 3)
        return ProcessTiming((write, Sequencer((needs,), (freed,), (counted(reads),), latency=1)))


@dataclass(frozen=True, slots=True)
class Reduce:
    """The sum (or the greatest) of each ``count`` tokens in a row, element by element."""

    op: ops.Sum | ops.AMax
    count: int

    logic: ClassVar[Logic] = Logic(None, None, terms=0, accumulates=True, copies=1)
    memories = no_memories

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        rows = tokens[0].reshape(-1, self.count, *tokens[0].shape[1:])
        return [objects(rows.sum(axis=1) if isinstance(self.op, ops.Sum) else rows.max(axis=1))]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return single([counted(takes[0].tokens)], [every(takes[0].tokens, self.count)], latency)


@dataclass(frozen=True, slots=True)
class WidthConverter:
    """The same elements in the same order in other tokens.

    One of the numbers of elements per token is a multiple of the other. When tokens are split, the parts of each come
    ``times`` times over.
    """

    times: int = 1

    logic: ClassVar[Logic] = NO_LOGIC
    memories = no_memories

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        have, want = takes[0].token, results[0].token
        if want.size > have.size:
            return [tokens[0]]
        parts = tokens[0].reshape(len(tokens[0]), have.size // want.size, want.size)
        have_frac = np.broadcast_to(have.frac, have.shape).reshape(-1, want.size)
        shift = objects(np.broadcast_to(want.frac, want.shape).reshape(-1) - have_frac)
        return [objects(np.tile(parts << shift, (1, self.times, 1)))]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        """A token is split from where it waits, and taken with its last part; parts are gathered as they come."""
        have, want = takes[0], results[0]
        if have.token.size < want.token.size:
            return single([counted(have.tokens)], [every(have.tokens, want.token.size // have.token.size)])
        parts = self.times * have.token.size // want.token.size
        actions = have.tokens * parts
        return single([every(actions, parts)], [counted(actions)], needs=[Polyline.staircase(actions, parts, parts)])


@dataclass(frozen=True, slots=True, eq=False)
class Reorder:
    """Token ``k`` of a frame is token ``source[k]`` of the operand's frame; zeros where that is -1."""

    source: Numbers

    logic: ClassVar[Logic] = NO_LOGIC

    def memories(self, takes: Streams, results: Streams, depth: int) -> list[Memory]:
        if is_monotone(self.source):
            return []
        tokens = Memory(addressed(depth), takes[0].bits, Words.BY_ADDRESS, stays=False)
        return [tokens, order_table(self.source, takes[0].tokens, depth)]

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [with_zeros(tokens[0])[self.source]]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return reorder_timing(self.source, takes[0].tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Interleave:
    """Token ``k`` of a frame is the next one of operand ``source[k]``."""

    source: Numbers

    logic: ClassVar[Logic] = NO_LOGIC
    memories = no_memories

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        left = list(map(iter, tokens))
        return [np.stack([objects(next(left[source])) for source in self.source])]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        return single(
            [Polyline.of(np.cumsum(self.source == k)) for k in range(len(takes))], [counted(len(self.source))]
        )


@dataclass(frozen=True, slots=True)
class Scan:
    """A recurrence: ``body`` takes (states..., a token of each sequence) and gives (next states..., y).

    Operands: ``states`` initial states, a token per frame each, then sequences of ``steps`` tokens per frame. The first
    ``kept`` states begin with their tokens in the first frame after a reset; later ones go on with what the frame before left.
    """

    body: Program
    states: int
    steps: int
    kept: int

    memories = no_memories

    @property
    def logic(self) -> Logic:
        return Logic(self.body, self.states, terms=0, accumulates=False, copies=1)

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [self.run_on(tokens)[0]]

    def run_on(self, tokens: Sequence[Ints]) -> tuple[Ints, list[Ints]]:
        """The results of a frame, and the states that it leaves."""
        emulator = Emulator(self.body, threads=1)
        states, rows = list(tokens[: self.states]), list[Ints]()
        for step in range(self.steps):
            operands = (sequence[step : step + 1] for sequence in tokens[self.states :])
            *states, row = map(objects, emulator.run_raw([*map(objects, states), *operands]))
            states = [self._in_type(state, k) for k, state in enumerate(states)]
            rows.append(row)
        return np.concatenate(rows), states

    def _in_type(self, state: Ints, number: int) -> Ints:
        """A next state in the scale of the state."""
        have = self.body.nodes[self.body.outputs[number].node].type
        want = self.body.nodes[self.body.inputs[number]].type
        shift = objects(np.broadcast_to(want.frac - have.frac, want.shape))
        return np.asarray((state << objects(np.maximum(shift, 0))) >> objects(np.maximum(-shift, 0)), dtype=np.object_)

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        first, all_steps = Polyline.line(self.steps, 1, 0), counted(self.steps)
        taken = [first] * self.states + [all_steps] * (len(takes) - self.states)
        return single(taken, [all_steps], latency, gap=latency + 1)


@dataclass(frozen=True, slots=True)
class Feedback:
    """A state that goes round: of a frame first the tokens of operand 0, then those that operand 1 gives back.

    Operand 1 is made of this very stream by later processes, ``rounds`` times as many tokens as the state has. Those of the last
    round are dropped; or, if ``kept``, the next frame begins with these instead of those of operand 0, as no frame but the first
    after a reset does.
    """

    rounds: int
    kept: bool

    logic: ClassVar[Logic] = NO_LOGIC
    memories = no_memories

    def run(self, takes: Streams, results: Streams, tokens: Sequence[Ints]) -> list[Ints]:
        return [np.concatenate([tokens[0], tokens[1][: -len(tokens[0])]])]

    def timing(self, takes: Streams, results: Streams, latency: int) -> ProcessTiming:
        """The tokens of a state are passed on, as are those of all rounds but the last, which are only taken."""
        state, given = takes[0].tokens, results[0].tokens
        first = counted(state).held(0, given)
        return single([first, counted(given).held(state, 0)], [counted(given).held(0, state)])


Boundary: TypeAlias = Source | Sink | Outside
"""Kinds whose tokens come from outside of the circuit, or leave it."""

Kind: TypeAlias = (
    Boundary
    | Rom
    | Map
    | FoldedProduct
    | Window
    | Sweep
    | Reduce
    | WidthConverter
    | Reorder
    | Replay
    | Interleave
    | Scan
    | Feedback
    | Engine
)
