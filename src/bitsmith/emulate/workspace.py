"""The buffers and prepared steps of one program for one batch size.

Arrays have the batch as their *last* axis, so that numpy's inner loops run over samples, per-channel constants are
scalars to them, wiring ops move whole rows, and a linear op is one ``weights.T @ x``. Running a program is calling its
steps in order. Buffers return to a pool after their last use; element-wise ops work in place where they can.

As long as none of many casts wraps, no cast needs a look of its own. The rounded numbers of casts with the same range are kept
side by side until the end of a run. If one of them is outside, the run is repeated with a check, and perhaps a wrap, after each
cast. That is worth it where a call takes longer than its work.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import limbs
from bitsmith.emulate.bounds import NumberKind, has_safe_exponents, limb_count
from bitsmith.emulate.floats import MANY, FloatArray, Kernel, extremes
from bitsmith.emulate.notes import RangeNotes
from bitsmith.emulate.storage import Storage, StoragePlan, fitted
from bitsmith.ir import ops
from bitsmith.ir.types import Fracs, IntArray, TensorType, objects

Array: TypeAlias = npt.NDArray[np.float32 | np.float64 | np.int64]

DTYPES: dict[NumberKind, np.dtype[np.float32 | np.float64 | np.int64]] = {
    NumberKind.FLOAT32: np.dtype(np.float32),
    NumberKind.FLOAT64: np.dtype(np.float64),
    NumberKind.LIMBS: np.dtype(np.int64),
}


States: TypeAlias = dict[int, list[IntArray]]
"""The states that live on between samples, as raw numbers (1, *shape), by the node of their recurrence; none after a reset."""

MUCH = 1 << 12
"""Elements, from which on the time that a call takes by itself does not count."""

_ALIGNED = 16
"""Elements: numbers of each cast begin at a line of the cache."""


class Buffer:
    """Memory that values share until the last of them is dropped."""

    __slots__ = ("bytes", "kept", "used", "users")

    def __init__(self, memory: npt.NDArray[np.uint8], used: int = 0, *, kept: bool = False) -> None:
        self.bytes = memory
        self.used = used
        """Bytes of the array that is here; there is room for one row more."""
        self.kept = kept
        """The memory is never used for other values, nor for results in place."""
        self.users = int(kept)


class StoredValue:
    """A value in its arrays: one of floats, or the limbs. The last axis is the batch, of size 1 for constants."""

    __slots__ = ("buffers", "parts", "storage", "type")

    def __init__(
        self, parts: Sequence[Array], storage: Storage, type_: TensorType, buffers: Sequence[Buffer] = ()
    ) -> None:
        self.parts = tuple(parts)
        self.storage = storage
        self.type = type_
        self.buffers = tuple(buffers)
        for buffer in self.buffers:
            buffer.users += 1

    @property
    def varies(self) -> bool:
        """True if the value depends on the inputs (constants live in no buffer)."""
        return bool(self.buffers)

    @property
    def part(self) -> Array:
        """The only array."""
        return self.parts[0]

    @property
    def floats(self) -> FloatArray:
        return cast(FloatArray, self.parts[0])

    @property
    def limbs(self) -> limbs.Limbs:
        return cast(limbs.Limbs, self.parts)


class Workspace:
    """Collects the steps of a program for batches of ``batch`` samples. Handlers of ops write into it."""

    def __init__(self, plan: StoragePlan, batch: int, notes: RangeNotes | None = None) -> None:
        self.plan = plan
        self.batch = batch
        self.notes = notes or RangeNotes()
        self.steps: list[Kernel] = []
        self._quick: list[Kernel] = []
        """The steps without those that :meth:`guarded` casts need only if a number of theirs is outside its range."""
        self._guards: dict[tuple[float, float, object], Guard] = {}
        self.samples = batch
        """Samples that are there: the first ones."""
        self.states: States = {}
        """The states that the next sample goes on with."""
        self.guards_inputs = False
        """True while :meth:`run_quick` looks at all inputs."""
        self.values: dict[int, StoredValue] = {}
        self.node = -1
        """The node that is being bound."""
        self._converted: dict[int, list[StoredValue]] = {}
        self._free: list[Buffer] = []
        self._temporaries: list[Buffer] = []
        self._with_ones = {plan.program.nodes[linear].args[0] for linear in plan.biased}
        """Nodes that :meth:`with_ones` is called for: where there is little to do, their memory is not shared."""
        self._last_use: dict[int, int] = {}
        for index in plan.needed:
            for arg in plan.program.nodes[index].args:
                self._last_use[arg] = index

    def keep(self, nodes: Sequence[int]) -> None:
        """Never reuse the buffers of ``nodes``."""
        for index in nodes:
            self._last_use[index] = len(self.plan.program.nodes)

    def run(self) -> None:
        """Execute all steps."""
        if self._guards:
            for step in self._quick:
                step()
            if all(map(Guard.holds, self._guards.values())):
                return
            self._guards.clear()  # what wraps once will wrap again
            self.guards_inputs = False
        for step in self.steps:
            step()

    def run_quick(self) -> bool:
        """Execute the steps that suffice if all guarded numbers are within their ranges; return True if they are."""
        for step in self._quick:
            step()
        return all(map(Guard.holds, self._guards.values()))

    def finish(self, value: StoredValue) -> None:
        """The node that is being bound has this value; operands used for the last time give back their buffers."""
        self.values[self.node] = value
        for buffer in self._temporaries:
            self._drop(buffer)
        self._temporaries.clear()
        for arg in set(self.plan.program.nodes[self.node].args):
            if self._last_use[arg] == self.node:
                for dead in (self.values[arg], *self._converted.pop(arg, ())):
                    for buffer in dead.buffers:
                        self._drop(buffer)

    def do(self, step: Kernel, varies: bool = True) -> None:
        """Add a step; one that only concerns constants is done at once."""
        if varies:
            self.steps.append(step)
            self._quick.append(step)
        else:
            step()

    def guarded(self, storage: Storage, lo: int, hi: int) -> StoredValue | None:
        """The value of an input or a cast to ``lo..hi``, of numbers that a run looks at in the end; None if they are too many."""
        if self.plan.program.keeping:
            return None  # steps that were done are not done again
        type_ = self.plan.type(self.node)
        dtype, shape = DTYPES[storage.kind], (*type_.shape, self.batch)
        if math.prod(shape) >= MUCH or not lo <= 0 <= hi:
            return None
        guard = self._guards.setdefault((lo, hi, dtype), Guard(lo, hi, dtype))
        array = guard.rows(math.prod(shape[:-1]) + 1, self.batch)
        if array is None:
            return None
        whole, used = array.view(np.uint8).reshape(-1), array.nbytes - self.batch * array.itemsize
        return StoredValue([array[:-1].reshape(shape)], storage, type_, [Buffer(whole, used, kept=True)])

    def temporary(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """An array that is free again when the node is finished."""
        buffer, array = self._array((*shape, self.batch), np.dtype(dtype))
        buffer.users += 1
        self._temporaries.append(buffer)
        return array

    def new(
        self, shape: Sequence[int], storage: Storage, type_: TensorType, *, varies: bool = True, count: int = 1
    ) -> StoredValue:
        """A value of uninitialized arrays, ``count`` limbs of it."""
        dtype = DTYPES[storage.kind]
        if not varies:
            return StoredValue([np.empty((*shape, 1), dtype) for _ in range(count)], storage, type_)
        pairs = [self._array((*shape, self.batch), dtype) for _ in range(count)]
        return StoredValue([array for _, array in pairs], storage, type_, [buffer for buffer, _ in pairs])

    def result(self, storage: Storage, operands: Sequence[StoredValue] = ()) -> StoredValue:
        """The value of the node being bound: in place of one of ``operands`` if that one is used up, else new."""
        type_ = self.plan.type(self.node)
        varies = any(x.varies for x in operands)
        shape, dtype = (*type_.shape, self.batch), DTYPES[storage.kind]
        for x in operands:
            if self._used_up(x) and x.part.shape == shape and x.part.dtype == dtype:
                return StoredValue(x.parts, storage, type_, x.buffers)
        return self.new(type_.shape, storage, type_, varies=varies)

    def fetch(self, arg: int, kind: NumberKind, scale: Fracs | None = None) -> StoredValue:
        """Operand ``arg`` as ``kind``; floats scaled by ``2**scale`` (as they are, if None), limbs by their ``frac``."""
        value = self.values[arg]
        if kind is NumberKind.LIMBS:
            scale = value.type.frac
        elif scale is None:
            scale = (
                value.storage.scale if has_safe_exponents(kind, value.type, value.storage.scale) else value.type.frac
            )
        # A scale may have more axes than the operand (those of a result that it is broadcast to), or differ along them.
        scale = fits if (fits := fitted(scale, value.type.shape)) is not None else scale
        shape = np.broadcast_shapes(value.type.shape, scale.shape)
        wanted = Storage(kind, scale)
        known_forms: list[StoredValue] = [value, *self._converted.get(arg, ())]
        for known in known_forms:
            # A constant may have been fetched for operands of another shape.
            alike = known.storage.kind is kind and known.parts[0].shape[:-1] == shape
            if alike and (kind is NumberKind.LIMBS or bool(np.all(known.storage.scale == scale))):
                return known
        op = self.plan.program.nodes[arg].op
        converted = (
            constant(op, wanted, value.type)
            if isinstance(op, ops.Const | ops.Parameter)
            else self.convert(value, wanted, value.type)
        )
        self._converted.setdefault(arg, []).append(converted)
        return converted

    def discard(self, value: StoredValue) -> None:
        """``value`` is not needed after the node that is being bound."""
        self._temporaries.extend(value.buffers)

    def convert(self, value: StoredValue, storage: Storage, type_: TensorType) -> StoredValue:
        """``value`` storage otherwise, as a value of ``type_``."""
        change = storage.scale - value.storage.scale
        shape = np.broadcast_shapes(value.parts[0].shape[:-1], change.shape)
        factor = factors(change)
        source, varies = value.parts, value.varies
        if storage.kind is NumberKind.LIMBS:
            result = self.new(shape, storage, type_, varies=varies)
            self.do(lambda: np.copyto(result.part, np.multiply(source[0], factor), casting="unsafe"), varies)
        elif value.storage.kind is NumberKind.LIMBS:
            result = self.new(shape, storage, type_, varies=varies)
            self.do(lambda: np.multiply(limbs.to_float(value.limbs), factor, result.part, casting="same_kind"), varies)
        else:
            result = self.new(shape, storage, type_, varies=varies)
            target = result.part
            if bool(np.all(change == 0)):
                self.do(partial(target.__setitem__, ..., source[0]), varies)
            elif isinstance(factor, float) and target.dtype == source[0].dtype:
                self.do(partial(np.multiply, source[0], np.asarray(factor, target.dtype), target), varies)
            elif storage.kind >= value.storage.kind and storage.kind is not value.storage.kind:
                self.do(partial(np.multiply, source[0], factor, target, dtype=target.dtype), varies)
            else:
                self.do(partial(np.multiply, source[0], factor, target, casting="same_kind"), varies)
        return result

    def with_ones(self, value: StoredValue) -> Array:
        """The rows of a value of one axis, and one of ones after them: in its own memory, if that is possible."""
        part = value.part
        (buffer,) = value.buffers if len(value.buffers) == 1 else (None,)
        if buffer is not None and part.flags.c_contiguous and part.nbytes == buffer.used:
            whole = buffer.bytes[: part.nbytes + part.strides[0]].view(part.dtype).reshape(len(part) + 1, -1)
            if buffer.kept:
                whole[-1:].fill(1)
                return whole
        else:
            whole = self.temporary((len(part) + 1,), part.dtype)
            self.do(partial(np.copyto, whole[:-1], part))
        self.do(partial(whole[-1:].fill, 1))  # other values may have been there
        return whole

    def _used_up(self, value: StoredValue) -> bool:
        args = self.plan.program.nodes[self.node].args
        mine = [arg for arg in args if value is self.values[arg] or value in self._converted.get(arg, ())]
        return (
            len(value.buffers) == 1
            and value.buffers[0].users == 1
            and all(self._last_use[arg] == self.node for arg in mine)
            and value.part.flags.c_contiguous
            and value.part.flags.writeable
        )

    def _array(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> tuple[Buffer, Array]:
        size, row = (math.prod(each) * dtype.itemsize for each in (shape, shape[-1:]))
        kept = self.node in self._with_ones and math.prod(shape) < MUCH
        fitting = [buffer for buffer in self._free if buffer.bytes.size >= size + row]
        if fitting and not kept:
            buffer = min(fitting, key=lambda each: each.bytes.size)
            self._free.remove(buffer)
            buffer.used = size
        else:
            buffer = Buffer(aligned(size + row), size, kept=kept)
        return buffer, buffer.bytes[:size].view(dtype).reshape(shape)

    def _drop(self, buffer: Buffer) -> None:
        buffer.users -= 1
        if buffer.users == 0:
            self._free.append(buffer)


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Fresh memory that begins at a line of the cache."""
    raw = np.empty(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def spread(x: Array, shape: tuple[int, ...]) -> Array:
    """``x`` written out to ``shape`` where that is small: numpy takes a microsecond to find out how to broadcast."""
    return x if x.shape == shape or math.prod(shape) >= MUCH else np.array(np.broadcast_to(x, shape))


def factors(change: Fracs) -> float | npt.NDArray[np.float64]:
    """``2**change`` with a batch axis; a number if there is one only."""
    powers = np.exp2(change.astype(np.float64))
    return float(powers.ravel()[0]) if powers.size == 1 else powers[..., None]


def constant(op: ops.Const | ops.Parameter, storage: Storage, type_: TensorType) -> StoredValue:
    """A constant as ``storage``, straight from its integers."""
    shape = type_.shape
    raw = np.broadcast_to(op.raw, shape) if isinstance(op, ops.Parameter) else type_.lo  # as small as it is
    if storage.kind is NumberKind.LIMBS:
        parts: Sequence[Array] = limbs.from_objects(raw, limb_count(type_))
        return StoredValue([np.broadcast_to(part[..., None], (*shape, 1)) for part in parts], storage, type_)
    change = storage.scale - type_.frac
    numbers = np.ldexp(objects(raw).astype(np.float64), change).astype(DTYPES[storage.kind])
    return StoredValue(
        [np.broadcast_to(numbers[..., None], (*np.broadcast_shapes(shape, change.shape), 1))], storage, type_
    )


def copy_limbs(target: Sequence[Array], source: limbs.Limbs) -> None:
    """``source`` written into the limbs of ``target``."""
    for to, part in zip(target, limbs.resize(source, len(target)), strict=True):
        np.copyto(to, part)


class Guard:
    """Numbers of several casts to the range ``lo..hi``, which has 0."""

    __slots__ = ("_hi", "_kept", "_lo", "_used")

    def __init__(self, lo: float, hi: float, dtype: npt.DTypeLike) -> None:
        self._lo, self._hi = lo, hi
        self._kept = np.zeros(MANY, dtype)
        self._used = 0

    def rows(self, count: int, size: int) -> FloatArray | None:
        """An array (count, size) that is looked at; None if there is no room for it."""
        start, end = self._used, self._used + count * size
        if end > self._kept.size:
            return None
        self._used = -(-end // _ALIGNED) * _ALIGNED
        found: FloatArray = self._kept[start:end].reshape(count, size)
        return found

    def holds(self) -> bool:
        """Return True if all numbers are within the range."""
        least, greatest = extremes(self._kept[: self._used])
        return self._lo <= least and greatest <= self._hi
