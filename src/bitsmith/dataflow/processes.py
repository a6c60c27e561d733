"""A core program as a network of processes that pass tokens: what folded and streamed hardware is made of.

A tensor travels as one token per position of its *grid* (its leading axes, in row-major order); a token holds the elements of
the remaining axes. Every process takes and gives a fixed number of tokens per frame, a frame being one sample, whatever the
data are: the network is a static data-flow graph (E. Lee, D. Messerschmitt, "Synchronous Data Flow", Proc. IEEE 75(9), 1987),
whose schedules can be known in advance. There are few kinds of process, and none knows a layer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.dataflow.engine import Engine as Engine
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints, TensorType, objects

Grid: TypeAlias = tuple[int, ...]
Numbers: TypeAlias = npt.NDArray[np.int64]
Blocks: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """Tokens of one tensor: one for each position of ``grid``; ``token`` is a type that each of them has."""

    grid: Grid
    token: TensorType

    @property
    def tokens(self) -> int:
        """Tokens per frame."""
        return math.prod(self.grid)

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return (*self.grid, *self.token.shape)

    @property
    def bits(self) -> int:
        """Bits of a token."""
        return int(np.broadcast_to(self.token.width, self.token.shape).sum())


@dataclass(frozen=True, slots=True)
class LoadableWeights:
    """Weights from outside: tensor ``name`` of ``layer``, whose raw values are any of ``lo..hi`` in units of ``2**-frac``.

    The tensor is seen as a matrix (rows, columns), of which rows of zeros fill up what ``steps`` does not divide. It is cut
    into tiles: ``steps`` parts of its rows, ``groups`` parts of its columns. Tiles come as those of a :class:`FoldedProduct`,
    elements of each row by row.

    The matrix is made of ``blocks`` of the tensor, all of one size: its rows are as wide as ``across`` of them, which are
    numbered row by row; -1 is zeros. Mostly a single block is all of the tensor.
    """

    layer: str
    name: str
    matrix: tuple[int, int]
    steps: int
    groups: int
    lo: int
    hi: int
    frac: int
    blocks: Blocks = ((0,),)
    across: int = 1

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of a block."""
        return self.matrix[0] // len(self.blocks), self.matrix[1] // len(self.blocks[0])

    def tiles(self, raw: Ints) -> Ints:
        """The tiles (groups, steps, rows, columns) of the tensor's raw values."""
        rows, columns = self.matrix
        size = -(-rows // self.steps)
        height, width = self.block
        parts = raw.reshape(-1, height, self.across, width).transpose(0, 2, 1, 3).reshape(-1, height, width)
        parts = np.concatenate([parts, np.zeros((1, height, width), dtype=np.object_)])
        padded = np.zeros((self.steps * size, columns), dtype=np.object_)
        padded[:rows] = parts[np.array(self.blocks)].transpose(0, 2, 1, 3).reshape(rows, columns)
        cut = padded.reshape(self.steps, size, self.groups, columns // self.groups)
        return objects(np.ascontiguousarray(cut.transpose(2, 0, 1, 3)))

    def token(self, shape: tuple[int, ...]) -> TensorType:
        """The type of a token of such elements."""
        padded = self.matrix[0] % self.steps > 0 or min(map(min, self.blocks)) < 0
        return TensorType.of(
            shape, self.frac, min(self.lo, 0) if padded else self.lo, max(self.hi, 0) if padded else self.hi
        )


@dataclass(frozen=True, slots=True)
class Source:
    """Input ``name`` of the program, from outside; or weights, the same tokens for each frame."""

    name: str
    loaded: LoadableWeights | None = None


@dataclass(frozen=True, slots=True)
class Sink:
    """Output ``name`` of the program, to outside: takes a stream, gives none."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Rom:
    """Constant tokens in order, the same for each frame; ``raw`` is (tokens, *token shape) in units of the stream's type.

    A ``loaded`` one can be replaced while the circuit runs: its tiles are tokens, which come over and over.
    """

    raw: Ints
    loaded: LoadableWeights | None = None

    @property
    def words(self) -> Ints:
        """The tokens that come over and over."""
        return self.raw[: self.loaded.steps * self.loaded.groups if self.loaded else period(self.raw)]


@dataclass(frozen=True, slots=True)
class Map:
    """A token function: takes one token of each operand, gives one token of each result.

    ``program`` has an input per operand and an output per result.
    """

    program: Program


@dataclass(frozen=True, slots=True, eq=False)
class FoldedProduct:
    """Products with constants over several cycles: ``y = sum over steps of x[step] @ weights[group, step]``.

    Takes ``groups * steps`` tokens (lanes, n) for ``groups`` tokens (lanes, m): those of all steps of the first group, then
    those of the next. Elements of lanes that differ in scale are multiplied in the finest of these. ``weights`` has shape
    (groups, steps, n, m) in units of ``2**-frac``; lanes share them, or with several ``sets``, (groups, steps, n, sets * m), as
    many lanes in a row have one each. What is ``loaded`` can be replaced while the circuit runs.
    """

    weights: Ints
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


@dataclass(frozen=True, slots=True)
class Window:
    """Sliding windows over the grid: token (*rest) becomes token (*size, *rest); zeros beyond the interface."""

    op: ops.Window


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

    @property
    def reads(self) -> int:
        """Tokens of a window."""
        return self.blocks * self.times * math.prod(self.op.size) * self.parts

    def positions(self, taken: Stream) -> Grid:
        """The grid over which windows slide, of the tokens that are taken."""
        return taken.grid[: len(self.op.size)]


@dataclass(frozen=True, slots=True)
class Reduce:
    """The sum (or the greatest) of each ``count`` tokens in a row, element by element."""

    op: ops.Sum | ops.AMax
    count: int


@dataclass(frozen=True, slots=True)
class WidthConverter:
    """The same elements in the same order in other tokens.

    One of the numbers of elements per token is a multiple of the other. When tokens are split, the parts of each come
    ``times`` times over.
    """

    times: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Reorder:
    """Token ``k`` of a frame is token ``source[k]`` of the operand's frame; zeros where that is -1."""

    source: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Interleave:
    """Token ``k`` of a frame is the next one of operand ``source[k]``."""

    source: Numbers


@dataclass(frozen=True, slots=True)
class Scan:
    """A recurrence: ``body`` takes (states..., a token of each sequence) and gives (next states..., y).

    Operands: ``states`` initial states, a token per frame each, then sequences of ``steps`` tokens per frame.
    """

    body: Program
    states: int
    steps: int


@dataclass(frozen=True, slots=True)
class Feedback:
    """A state that goes round: of a frame first the tokens of operand 0, then those that operand 1 gives back.

    Operand 1 is made of this very stream by later processes, ``rounds`` times as many tokens as the state has. Those of the last
    round are dropped.
    """

    rounds: int


Kind: TypeAlias = (
    Source
    | Sink
    | Rom
    | Map
    | FoldedProduct
    | Window
    | Sweep
    | Reduce
    | WidthConverter
    | Reorder
    | Interleave
    | Scan
    | Feedback
    | Engine
)


@dataclass(frozen=True, slots=True)
class OutputPort:
    """Result ``port`` of process ``process``."""

    process: int
    port: int = 0


@dataclass(frozen=True, slots=True)
class Process:
    """A process with its operands, the streams as it takes and gives them, and the user's layers that it comes from.

    The stream that an operand gives and the one that is taken have the same tokens, perhaps under another grid and shape.
    """

    kind: Kind
    args: tuple[OutputPort, ...]
    takes: tuple[Stream, ...]
    results: tuple[Stream, ...]
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """Processes, operands first, but for what is given back to a `Feedback`."""

    processes: tuple[Process, ...]

    def stream(self, source: OutputPort) -> Stream:
        """The stream that ``source`` gives."""
        return self.processes[source.process].results[source.port]

    @property
    def sources(self) -> tuple[int, ...]:
        """Processes that are inputs, in the program's order, and those through which weights come."""
        return tuple(k for k, process in enumerate(self.processes) if isinstance(process.kind, Source))

    @property
    def sinks(self) -> tuple[int, ...]:
        """Processes that are outputs, in the program's order."""
        return tuple(k for k, process in enumerate(self.processes) if isinstance(process.kind, Sink))


def gives_back(consumer: int, source: OutputPort) -> bool:
    """Return True if an operand of process ``consumer`` is made later than that."""
    return source.process >= consumer


def kind_name(kind: type[Kind]) -> str:
    """The name of a kind of process, in words: ``width converter``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()


def period(rows: Ints | Numbers) -> int:
    """The least number of rows of which all are repetitions."""
    for number in range(1, len(rows) // 2 + 1):
        if len(rows) % number == 0 and bool(np.all(rows[number:] == rows[:-number])):
            return number
    return len(rows)


def union_type(kind: TensorType, axes: int) -> TensorType:
    """A type that the tensor has at every position of its first ``axes`` axes, which disappear."""
    if axes == 0:
        return kind
    one = kind.union(range(axes))
    parts = (objects(part).reshape(part.shape[axes:]) for part in (one.frac, one.lo, one.hi))
    return TensorType.of(kind.shape[axes:], *parts)


def regrouped(token: TensorType, shape: tuple[int, ...]) -> TensorType:
    """The type of tokens of ``shape`` that hold the same elements in the same order as tokens of type ``token``."""
    have, want = token.size, math.prod(shape)
    flat = [objects(part).reshape(-1) for part in token.full()]
    if want > have:
        parts = [np.tile(part, want // have) for part in flat]
        return TensorType.of(shape, *(part.reshape(shape) for part in parts))
    split = TensorType.of((have // want, *shape), *(part.reshape(have // want, *shape) for part in flat))
    return union_type(split, 1)
