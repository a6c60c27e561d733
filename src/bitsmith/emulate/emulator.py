"""The fast execution of a program: vectorized over the batch, in chunks that stay in the cache, on several threads."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.base.blas import cores, one_thread
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.biases import settled
from bitsmith.emulate.bind import bind
from bitsmith.emulate.linear import Float64s
from bitsmith.emulate.lookups import with_tables
from bitsmith.emulate.notes import NOTHING, Left, RangeNotes
from bitsmith.emulate.quantize import Quantization, checked, fast, quantize_exactly, quantize_into
from bitsmith.emulate.storage import StoragePlan, plan_storage
from bitsmith.emulate.transfer import Raws, RealLoader, RealReader, checked_raw, empty_raw, load_raw, narrow, read_raw
from bitsmith.emulate.workspace import States, Workspace
from bitsmith.errors import InputDataError
from bitsmith.ir.ops import Cast
from bitsmith.ir.program import Output, Program
from bitsmith.ir.types import Ints

CHUNK_BYTES = 3 << 17
"""The largest tensor of a chunk has about this size: measured best between the cost of calls and that of cache misses."""

SEQUENCE_BYTES = 1 << 26
"""Limit for programs with recurrences, each step of which touches a slice only: there the largest tensor of a step counts."""

MAX_CHUNK = 4096
LEAST_CHUNK = 16
"""Samples of a chunk whose tensors do not fit into the cache anyway: fewer would lose time in calls."""

LARGE_BYTES = 1 << 28
"""No tensor of such a chunk takes more memory than this, unless a single sample does."""

_FEW = 16
"""Samples up to which each number of them has a workspace of its own."""

_SMALL = 256
"""Samples that one thread computes; fewer are not worth the microseconds that it takes to limit the threads of BLAS."""


See: TypeAlias = Callable[[int, Iterator[Float64s]], None]
"""Looks at samples from a number on, of which it is given numbers of some nodes."""


class Emulator:
    """Executes ``program`` bit-exactly on batches. Compiles on construction; safe to use from several threads.

    The samples of a batch are in order where states live on between samples. A run begins as after a reset, or goes on with the
    ``states`` that it is given and changes these.

    Args:
        watched: casts of which :meth:`run_watched` tells.
        shown: nodes whose real numbers it shows.
        tables: with tables for long computations on narrow numbers, which take some milliseconds to make.
    """

    def __init__(
        self,
        program: Program,
        threads: int | None = None,
        *,
        watched: Collection[Cast] = (),
        shown: Sequence[int] = (),
        tables: bool = False,
    ) -> None:
        self.program = program
        self.threads = threads or min(8, cores())
        self.inputs = program.input_ops()
        self.shapes = {op.name: op.shape for op in self.inputs}
        self._watched = frozenset(watched)
        self._tables = tables
        self._quantizations = tuple(map(Quantization, self.inputs))
        self._settled = settled(program)
        self._outputs = self._compiled((*program.outputs, *(Output("", index) for index in shown)))
        self._traced: _Compiled | None = None

    def _compiled(self, outputs: Sequence[Output]) -> _Compiled:
        program = self._settled
        if self._tables:
            program = with_tables(program, {output.node for output in outputs}, self._watched, _evaluated)
        return _Compiled(program, outputs, self._quantizations, self._watched)

    def quantize(self, index: int, x: npt.ArrayLike) -> tuple[Raws, int]:
        """Raw values (batch, *shape) of input ``index`` for real ``x``, and how many values were outside its range.

        Raises:
            InputDataError: NaN, infinite values or another shape.
        """
        op = self.inputs[index]
        array = checked(op, x)
        if not fast(op):
            exact, outside = quantize_exactly(op, array)
            return narrow(exact, self.program.nodes[self.program.inputs[index]].type), outside
        raw = np.empty((*op.shape, len(array)))
        outside = quantize_into(op, array, raw) if len(array) else 0
        return np.ascontiguousarray(np.moveaxis(raw, -1, 0)).astype(np.int64), outside

    def run(self, inputs: Sequence[npt.ArrayLike], most: int | None = None) -> list[Float64s]:
        """Real outputs (batch, *shape), or ``most`` of them, for real inputs; exact where float64 holds them."""
        most = len(self.program.outputs) if most is None else most
        return self._run_reals(self._outputs, self._checked(inputs), {}, most)[0]

    def run_watched(
        self, inputs: Sequence[Batch], states: States | None = None, see: See | None = None
    ) -> tuple[list[Float64s], list[int], Left]:
        """Return :meth:`run`, per input the number of values outside its range, and watched casts and samples that values left.

        ``inputs`` were checked. Seldom a cast is that of a sample that is none: a chunk may have more than are given. The
        numbers of the nodes that are shown are given to ``see``, those of some samples at a time, in order where these are.
        """
        most = len(self.program.outputs)
        return self._run_reals(self._outputs, inputs, {} if states is None else states, most, see)

    def trace(
        self, inputs: Sequence[npt.ArrayLike], states: States | None = None
    ) -> tuple[list[Float64s], dict[str, Float64s], list[int]]:
        """Return :meth:`run` and, of the same run, real values of the probes by name, and values outside each input's range."""
        outputs, probes = self.program.outputs, self.program.probes
        if self._traced is None:
            self._traced = self._compiled((*outputs, *probes))
        results, outside, _ = self._run_reals(self._traced, self._checked(inputs), {} if states is None else states)
        values = results[len(outputs) :]
        return results[: len(outputs)], {probe.name: x for probe, x in zip(probes, values, strict=True)}, outside

    def run_raw(self, inputs: Sequence[npt.ArrayLike], states: States | None = None) -> list[Raws]:
        """Raw outputs (batch, *shape) for raw inputs: int64, or Python integers beyond 63 bits.

        Raises:
            InputDataError: raw values outside an input's range, or another shape.
        """
        arrays = [
            checked_raw(op.name, self.program.nodes[index].type, x)
            for op, index, x in zip(self.inputs, self.program.inputs, inputs, strict=True)
        ]
        batch = _batch(arrays)
        results = [empty_raw(batch, self.program.nodes[output.node].type) for output in self.program.outputs]

        def load(bound: _Bound, start: int, stop: int) -> None:
            for index, array in zip(self.program.inputs, arrays, strict=True):
                load_raw(bound.workspace.values[index], array[start:stop])

        def store(bound: _Bound, start: int, stop: int) -> None:
            for result, output in zip(results, self.program.outputs, strict=True):
                result[start:stop] = read_raw(bound.workspace.values[output.node], stop - start)

        self._outputs.execute(batch, self.threads, {} if states is None else states, load, store)
        return results

    def _checked(self, inputs: Sequence[npt.ArrayLike]) -> list[Batch]:
        """``inputs`` as arrays of one batch.

        Raises:
            InputDataError: other arrays than the program takes.
        """
        ops = self.inputs
        if len(inputs) != len(ops):
            raise InputDataError(
                f"{len(inputs)} arrays", accepted=f"{len(ops)}, one per input: {[op.name for op in ops]}"
            )
        arrays = [checked(op, x) for op, x in zip(ops, inputs, strict=True)]
        _batch(arrays)
        return arrays

    def _run_reals(
        self,
        compiled: _Compiled,
        arrays: Sequence[Batch],
        states: States,
        most: int | None = None,
        see: See | None = None,
    ) -> tuple[list[Float64s], list[int], Left]:
        batch = len(arrays[0]) if arrays else 1
        if 0 < batch <= compiled.few:
            return compiled.execute_few(batch, arrays, states, most, see)
        results = [np.empty((batch, *shape)) for shape in compiled.shapes[:most]]
        outside, counting = [0] * len(arrays), threading.Lock()

        def load(bound: _Bound, start: int, stop: int) -> None:
            for k, count in enumerate(bound.load([array[start:stop] for array in arrays])):
                with counting:
                    outside[k] += count

        def store(bound: _Bound, start: int, stop: int) -> None:
            for reader, result in zip(bound.readers[:most], results, strict=True):
                reader.read(stop - start, result[start:stop])
            if see is not None:
                see(start, (reader.of(stop - start) for reader in bound.readers[most:]))

        left = compiled.execute(batch, self.threads, states, load, store)
        return results, outside, left


def _evaluated(program: Program, raw: Ints) -> Raws:
    """Raw values of the output of ``program`` for raw values of its input."""
    return Emulator(program, threads=1).run_raw([raw])[0]


class _Bound:
    """A workspace, and what moves real numbers in and out."""

    __slots__ = ("loaders", "readers", "workspace")

    def __init__(self, workspace: Workspace, quantizations: Sequence[Quantization], outputs: Sequence[int]) -> None:
        values = workspace.values
        inputs = workspace.plan.program.inputs
        self.workspace = workspace
        self.loaders = [RealLoader(each, values[index]) for each, index in zip(quantizations, inputs, strict=True)]
        self.readers = [RealReader(values[index]) for index in outputs]

    def load(self, arrays: Sequence[Batch]) -> list[int]:
        """Put samples in; of each input, how many values were outside its range."""
        return [loader.load(array) for loader, array in zip(self.loaders, arrays, strict=True)]

    def run(self, arrays: Sequence[Batch]) -> list[int]:
        """Put samples in and execute the program; of each input, how many values were outside its range."""
        workspace = self.workspace
        if workspace.guards_inputs:
            for loader, array in zip(self.loaders, arrays, strict=True):
                if not loader.load_unseen(array):
                    break
            else:
                if workspace.run_quick():
                    return [0] * len(arrays)
        outside = self.load(arrays)
        workspace.run()
        return outside


_Move: TypeAlias = Callable[[_Bound, int, int], None]
"""Moves samples from the first number to the second."""


class _Compiled:
    """A program compiled for some of its nodes, and its workspaces."""

    def __init__(
        self,
        program: Program,
        outputs: Sequence[Output],
        quantizations: Sequence[Quantization],
        watched: frozenset[Cast],
    ) -> None:
        self.shapes = tuple(program.nodes[output.node].type.shape for output in outputs)
        self._wanted = [output.node for output in outputs]
        self._quantizations = quantizations
        self._watched = watched
        self._plan = plan_storage(program, self._wanted)
        self._chunk = _chunk(self._plan)
        self.few = min(self._chunk, _SMALL)
        """Samples that :meth:`execute_few` takes at most."""
        self._idle: defaultdict[int, list[_Bound]] = defaultdict(list)

    def execute(self, batch: int, threads: int, states: States, load: _Move, store: _Move) -> Left:
        """Run all chunks of a batch; ``load`` and ``store`` move samples start..stop in and out of a workspace.

        The first sample goes on with ``states``, which become those after the last one.

        Returns:
            What left its range.
        """
        if batch == 0:
            return NOTHING
        threads = 1 if self._plan.program.keeping else threads
        share = -(-batch // threads) if batch > _SMALL else batch
        size = min(self._chunk, _power_above(share))
        starts = range(0, batch, size)
        left: list[tuple[int, Left]] = []

        def run(start: int, bound: _Bound) -> None:
            stop = min(batch, start + size)
            load(bound, start, stop)
            bound.workspace.samples, bound.workspace.states = stop - start, states
            bound.workspace.run()
            store(bound, start, stop)
            if (noted := bound.workspace.notes.take(stop - start)).casts:
                left.append((start, noted))

        with one_thread():
            self._share_out(iter(starts), min(threads, len(starts)), size, run)
        return _joined(batch, left)

    @np.errstate(all="ignore")  # in half the time of a with statement
    def execute_few(
        self, batch: int, arrays: Sequence[Batch], states: States, most: int | None, see: See | None
    ) -> tuple[list[Float64s], list[int], Left]:
        """Run one chunk, without any preparation, which goes on with ``states``.

        Returns:
            The results, all or ``most`` of them, how many values of each input were outside, and what left its range.
        """
        size = batch if batch <= _FEW else _power_above(batch)
        bound = self._take(size)
        bound.workspace.samples, bound.workspace.states = batch, states
        outside = bound.run(arrays)
        results = [reader.of(batch) for reader in bound.readers[:most]]
        if see is not None:
            see(0, (reader.of(batch) for reader in bound.readers[most:]))
        left = bound.workspace.notes.take(batch)
        self._idle[size].append(bound)  # last: another thread may take it at once
        return results, outside, left

    def _share_out(self, starts: Iterator[int], threads: int, size: int, run: Callable[[int, _Bound], None]) -> None:
        """Call ``run`` for all ``starts``, on several threads."""
        lock = threading.Lock()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                # BLAS computes on padding too and may raise flags there; real results are exact.
                with np.errstate(all="ignore"):
                    bound = self._take(size)
                    while not errors:
                        with lock:
                            start = next(starts, None)
                        if start is None:
                            break
                        run(start, bound)
                    self._idle[size].append(bound)
            except BaseException as error:  # handed to the caller's thread
                errors.append(error)

        helpers = [threading.Thread(target=work) for _ in range(threads - 1)]
        for helper in helpers:
            helper.start()
        work()
        for helper in helpers:
            helper.join()
        if errors:
            raise errors[0]

    def _take(self, size: int) -> _Bound:
        """A workspace for ``size`` samples."""
        try:
            return self._idle[size].pop()
        except IndexError:  # there is none, or all are in use
            workspace = bind(self._plan, size, self._wanted, RangeNotes(self._watched, size), guards_inputs=True)
            return _Bound(workspace, self._quantizations, self._wanted)


def _joined(batch: int, parts: Sequence[tuple[int, Left]]) -> Left:
    """Return what left its range in parts of a batch, each with its first sample."""
    casts = {id(op): op for _, part in parts for op in part.casts}
    if not any(part.beyond.size for _, part in parts):
        return Left((*casts.values(),))
    beyond = np.zeros(batch)
    for start, part in parts:
        beyond[start : start + len(part.beyond)] = part.beyond
    return Left((*casts.values(),), beyond)


def _chunk(plan: StoragePlan) -> int:
    """Samples per chunk."""
    size = CHUNK_BYTES // plan.widest()
    if plan.bodies:
        step = max(body.widest() for body in plan.bodies.values())
        size = max(size, min(CHUNK_BYTES // step, SEQUENCE_BYTES // plan.widest()))
    least = min(LEAST_CHUNK, 1 << max(0, (LARGE_BYTES // plan.widest()).bit_length() - 1))
    return _scattered(min(MAX_CHUNK, max(least, size)))


def _scattered(size: int) -> int:
    """About ``size`` samples, so that rows of them begin at many places of the cache: BLAS takes half the time then."""
    lines = size // LEAST_CHUNK
    return LEAST_CHUNK * (lines - 1 + lines % 2) if lines > 1 else size


def _power_above(n: int) -> int:
    """The least power of two from ``n`` on."""
    return 1 << (n - 1).bit_length()


def _batch(arrays: Sequence[npt.NDArray[np.generic]]) -> int:
    sizes = sorted({len(array) for array in arrays})
    if len(sizes) > 1:
        raise InputDataError(f"inputs of {sizes} samples", accepted="as many samples for each input")
    return sizes[0] if sizes else 1
