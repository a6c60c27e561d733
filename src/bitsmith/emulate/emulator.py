"""The fast execution of a program: vectorised over the batch, in chunks that stay in the cache, on several threads."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from bitsmith.emulate.bind import bind
from bitsmith.emulate.linear import Float64s
from bitsmith.emulate.quantize import checked, fast, quantize_exactly, quantize_into
from bitsmith.emulate.storage import StoragePlan, plan_storage
from bitsmith.emulate.transfer import Raws, checked_raw, empty_raw, load_raw, load_real, narrow, read_raw, read_real
from bitsmith.emulate.workspace import Workspace
from bitsmith.errors import InputDataError
from bitsmith.ir.ops import Cast, Linear, MatMul, Parameter
from bitsmith.ir.program import Output, Program

CHUNK_BYTES = 1 << 20
"""The largest tensor of a chunk has about this size: measured best between the cost of calls and that of cache misses."""

SEQUENCE_BYTES = 1 << 26
"""As above for programs with recurrences, each step of which touches a slice only: there the largest tensor of a step counts."""

MAX_CHUNK = 4096
LEAST_CHUNK = 16
"""Samples of a chunk whose tensors do not fit into the cache anyway: fewer would lose time in calls."""

LARGE_BYTES = 1 << 28
"""No tensor of such a chunk takes more memory than this, unless a single sample does."""


class Emulator:
    """Executes ``program`` bit-exactly on batches. Compiles on construction; safe to use from several threads."""

    def __init__(self, program: Program, threads: int | None = None) -> None:
        self.program = program
        self.threads = threads or min(8, _cores())
        self._settled = _settled(program)
        self._outputs = _Compiled(self._settled, program.outputs)
        self._traced: _Compiled | None = None

    def quantize(self, index: int, x: npt.ArrayLike) -> tuple[Raws, int]:
        """Raw values (batch, *shape) of input ``index`` for real ``x``, and how many values were outside its range.

        Raises:
            InputDataError: NaN, infinite values or another shape.
        """
        op = self.program.input_ops()[index]
        array = checked(op, x)
        if not fast(op):
            exact, outside = quantize_exactly(op, array)
            return narrow(exact, self.program.nodes[self.program.inputs[index]].type), outside
        raw = np.empty((*op.shape, len(array)))
        outside = quantize_into(op, array, raw) if len(array) else 0
        return np.ascontiguousarray(np.moveaxis(raw, -1, 0)).astype(np.int64), outside

    def run(self, inputs: Sequence[npt.ArrayLike]) -> list[Float64s]:
        """Real outputs (batch, *shape) for real inputs; exact where float64 holds them."""
        return self._run_reals(self._outputs, inputs)[0]

    def run_watched(self, inputs: Sequence[npt.ArrayLike]) -> tuple[list[Float64s], list[int], set[Cast]]:
        """As :meth:`run_counted`, and the casts of which some value wrapped.

        Seldom it is one of a sample that is none: a chunk may have more than are given.
        """
        return self._run_reals(self._outputs, inputs)

    def run_counted(self, inputs: Sequence[npt.ArrayLike]) -> tuple[list[Float64s], list[int]]:
        """As :meth:`run`, and for each input how many of its values were outside its range."""
        return self._run_reals(self._outputs, inputs)[:2]

    def trace(self, inputs: Sequence[npt.ArrayLike]) -> tuple[list[Float64s], dict[str, Float64s], list[int]]:
        """As :meth:`run_counted`, in the same run with the real values of the program's probes by name."""
        outputs, probes = self.program.outputs, self.program.probes
        if self._traced is None:
            self._traced = _Compiled(self._settled, (*outputs, *probes))
        results, outside, _ = self._run_reals(self._traced, inputs)
        values = results[len(outputs) :]
        return results[: len(outputs)], {probe.name: x for probe, x in zip(probes, values, strict=True)}, outside

    def run_raw(self, inputs: Sequence[npt.ArrayLike]) -> list[Raws]:
        """Raw outputs (batch, *shape) for raw inputs: int64, or Python integers beyond 63 bits.

        Raises:
            InputDataError: raw values outside an input's range, or another shape.
        """
        arrays = [
            checked_raw(op.name, self.program.nodes[index].type, x)
            for op, index, x in zip(self.program.input_ops(), self.program.inputs, inputs, strict=True)
        ]
        batch = _batch(arrays)
        results = [empty_raw(batch, self.program.nodes[output.node].type) for output in self.program.outputs]

        def load(ws: Workspace, start: int, stop: int) -> None:
            for index, array in zip(self.program.inputs, arrays, strict=True):
                load_raw(ws.values[index], array[start:stop])

        def store(ws: Workspace, start: int, stop: int) -> None:
            for result, output in zip(results, self.program.outputs, strict=True):
                result[start:stop] = read_raw(ws.values[output.node], stop - start)

        self._outputs.execute(batch, self.threads, load, store)
        return results

    def _run_reals(
        self, compiled: _Compiled, inputs: Sequence[npt.ArrayLike]
    ) -> tuple[list[Float64s], list[int], set[Cast]]:
        ops = self.program.input_ops()
        if len(inputs) != len(ops):
            raise InputDataError(
                f"{len(inputs)} arrays", accepted=f"{len(ops)}, one per input: {[op.name for op in ops]}"
            )
        arrays = [checked(op, x) for op, x in zip(ops, inputs, strict=True)]
        batch = _batch(arrays)
        results = [np.empty((batch, *self.program.nodes[output.node].type.shape)) for output in compiled.outputs]

        outside, counting = [0] * len(ops), threading.Lock()

        def load(ws: Workspace, start: int, stop: int) -> None:
            for k, (op, index) in enumerate(zip(ops, self.program.inputs, strict=True)):
                count = load_real(ws.values[index], op, arrays[k][start:stop])
                if count:
                    with counting:
                        outside[k] += count

        def store(ws: Workspace, start: int, stop: int) -> None:
            for result, output in zip(results, compiled.outputs, strict=True):
                read_real(ws.values[output.node], stop - start, result[start:stop])

        wrapped = compiled.execute(batch, self.threads, load, store)
        return results, outside, wrapped


def _settled(program: Program) -> Program:
    """``program`` with products with parameters, whose values are known here, as those with constants, which are faster."""
    nodes = list(program.nodes)
    for index, node in enumerate(nodes):
        if not isinstance(node.op, MatMul):
            continue
        factor, x = program.nodes[node.args[1]], program.nodes[node.args[0]].type
        if isinstance(factor.op, Parameter) and factor.op.raw.ndim == 2 and math.prod(x.frac.shape[:-1]) == 1:
            frac = np.broadcast_to(factor.type.frac, factor.type.shape)
            nodes[index] = replace(node, op=Linear(factor.op.raw, frac), args=node.args[:1])
    return replace(program, nodes=tuple(nodes))


class _Compiled:
    """A program compiled for some of its nodes, and its workspaces."""

    def __init__(self, program: Program, outputs: Sequence[Output]) -> None:
        self.outputs = tuple(outputs)
        self._wanted = [output.node for output in outputs]
        self._plan = plan_storage(program, self._wanted)
        self._chunk = _chunk(self._plan)
        self._idle: dict[int, list[Workspace]] = {}
        self._lock = threading.Lock()

    def execute(
        self,
        batch: int,
        threads: int,
        load: Callable[[Workspace, int, int], None],
        store: Callable[[Workspace, int, int], None],
    ) -> set[Cast]:
        """Run all chunks of a batch; ``load`` and ``store`` move samples start..stop in and out of a workspace.

        Returns:
            The casts that wrapped.
        """
        wrapped: set[Cast] = set()
        if batch == 0:
            return wrapped
        share = -(-batch // threads) if batch > 256 else batch
        size = min(self._chunk, 2 * _power_below(share))
        starts = iter(range(0, batch, size))
        lock = threading.Lock()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                # BLAS computes on padding too and may raise flags there; real results are exact.
                with np.errstate(all="ignore"):
                    ws = self._take(size)
                    while not errors:
                        with lock:
                            start = next(starts, None)
                        if start is None:
                            break
                        stop = min(batch, start + size)
                        load(ws, start, stop)
                        ws.run()
                        store(ws, start, stop)
                    wrapped.update(ws.wrapped)
                    ws.wrapped.clear()
                    self._give(size, ws)
            except BaseException as error:  # handed to the caller's thread
                errors.append(error)

        with _controller().limit(limits=1, user_api="blas"):
            helpers = [threading.Thread(target=work) for _ in range(min(threads, -(-batch // size)) - 1)]
            for helper in helpers:
                helper.start()
            work()
            for helper in helpers:
                helper.join()
        if errors:
            raise errors[0]
        return wrapped

    def _take(self, size: int) -> Workspace:
        with self._lock:
            idle = self._idle.setdefault(size, [])
            if idle:
                return idle.pop()
        return bind(self._plan, size, self._wanted)

    def _give(self, size: int, ws: Workspace) -> None:
        with self._lock:
            self._idle[size].append(ws)


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Looking for BLAS libraries takes a millisecond; numpy's is loaded by now."""
    return ThreadpoolController()


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _chunk(plan: StoragePlan) -> int:
    """Samples per chunk."""
    size = CHUNK_BYTES // plan.widest()
    if plan.bodies:
        step = max(body.widest() for body in plan.bodies.values())
        size = max(size, min(CHUNK_BYTES // step, SEQUENCE_BYTES // plan.widest()))
    least = min(LEAST_CHUNK, _power_below(LARGE_BYTES // plan.widest()))
    return min(MAX_CHUNK, max(least, _power_below(size)))


def _power_below(n: int) -> int:
    """The greatest power of two up to ``n`` (1 for less)."""
    return 1 << max(0, n.bit_length() - 1)


def _batch(arrays: Sequence[npt.NDArray[np.generic]]) -> int:
    sizes = sorted({len(array) for array in arrays})
    if len(sizes) > 1:
        raise InputDataError(f"inputs of {sizes} samples", accepted="as many samples for each input")
    return sizes[0] if sizes else 1
