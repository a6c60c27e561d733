"""How each node's value is held: which kind of number, and scaled by which power of two.

A value is stored as ``real * 2**scale`` in float32, float64 or limbs of int64. Exactness: an element whose raw integer
is at most ``2**24`` in magnitude is a float32 exactly, whatever the power of two it is scaled by, and up to ``2**53`` it
is a float64. Sums of products are exact if the sum of all magnitudes, in units of the result's last place, stays within
that bound: then so does every partial sum in any order. The types prove the bounds; what no float can hold goes to
limbs, whose scale is always the ``frac`` of the type.

Scales of floats are free, so they are chosen such that the next cast finds its operand scaled already and only rounds:
constants, tables and weights absorb the factor.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.limbs import limbs_for
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Program
from bitsmith.ir.rounding import drop_bits
from bitsmith.ir.scaling import channel_frac, machine_weights
from bitsmith.ir.types import Fracs, Overflow, TensorType, compact, objects

T = TypeVar("T")


class NumberKind(enum.IntEnum):
    """Kinds of numbers, from fast to wide."""

    FLOAT32 = 24
    FLOAT64 = 53
    LIMBS = 1000

    @property
    def bits(self) -> int:
        """Magnitudes up to ``2**bits`` are exact."""
        return int(self)


@dataclass(frozen=True, slots=True)
class Storage:
    """How a node is held: stored value = real value * 2**scale; ``scale`` has the rank of the node, or one element."""

    kind: NumberKind
    scale: Fracs


def magnitude(x: TensorType) -> npt.NDArray[np.object_]:
    """Greatest ``|raw|`` of each element."""
    return objects(np.maximum(objects(abs(x.lo)), objects(abs(x.hi))))


def magnitude_bits(x: TensorType) -> int:
    """Bits of the greatest ``|raw|``."""
    return int(magnitude(x).max()).bit_length()


def limb_count(x: TensorType) -> int:
    """Limbs that hold raw values of ``x``."""
    return limbs_for(magnitude_bits(x))


def narrowest(magnitude: int) -> NumberKind:
    """The fastest kind that is exact up to ``magnitude``."""
    for kind in (NumberKind.FLOAT32, NumberKind.FLOAT64):
        if magnitude <= 1 << kind.bits:
            return kind
    return NumberKind.LIMBS


def storable(x: TensorType) -> NumberKind:
    """The fastest kind that holds every value of ``x``."""
    return narrowest(int(magnitude(x).max()))


def partial_sums(op: ops.Sum | ops.MatMul, args: Sequence[TensorType]) -> int:
    """A bound on partial sums, in units of the result's last place."""
    symmetric = [TensorType.of(x.shape, x.frac, -magnitude(x), magnitude(x)) for x in args]
    return int(infer(op, symmetric).hi.max())


def partial_products(weights: npt.NDArray[np.object_] | npt.NDArray[np.int64], x: TensorType) -> int:
    """A bound on partial sums of ``raw @ weights``."""
    top = objects(magnitude(x).max(axis=tuple(range(len(x.shape) - 1))))
    top = np.broadcast_to(top.reshape(-1), (weights.shape[0],))
    widest = int(max(top)).bit_length() + max(int(np.max(weights)).bit_length(), int(np.min(weights)).bit_length())
    if widest + weights.shape[0].bit_length() <= 62:
        return int((top.astype(np.int64) @ np.abs(weights.astype(np.int64))).max())
    return int(max(top @ abs(objects(weights))))


class Choice:
    """Kinds and scales of all needed nodes of a program; ``needed`` are the nodes that the wanted results depend on."""

    def __init__(self, program: Program, wanted: Sequence[int]) -> None:
        self.program = program
        self.needed = self._reached(wanted)
        self.weights: dict[int, tuple[npt.NDArray[np.object_] | npt.NDArray[np.int64], Fracs]] = {}
        self.computed: dict[int, NumberKind] = {}
        """Kind in which a node's op computes (its result may be held in another)."""
        self.kinds: dict[int, NumberKind] = {}
        self.scales: dict[int, Fracs] = {}
        self.bodies: dict[int, Choice] = {}
        """Choices for the bodies of scans."""
        self._prepared: dict[int, object] = {}
        for index in self.needed:
            self._choose_kind(index)
        self._widen_floats()
        wishes = self._wishes()
        for index in self.needed:
            self.scales[index] = self._scale(index, wishes.get(index))
        self.by_rows = self._by_rows(set(wanted))
        """Reshapes of windows that are never written out: the product that reads one takes it row by row."""

    def prepared(self, index: int, make: Callable[[], T]) -> T:
        """What ``make`` returned at its first call for node ``index``: constants that all workspaces share."""
        if index not in self._prepared:
            self._prepared[index] = make()
        return cast(T, self._prepared[index])

    def held(self, index: int) -> Storage:
        """How node ``index`` is held."""
        return Storage(self.kinds[index], self.scales[index])

    def bytes(self, index: int) -> int:
        """Bytes per sample of one array that is made for node ``index``."""
        node = self.program.nodes[index]
        match node.op:
            case ops.Window():
                x = self.type(node.args[0])
                padded = [n + sum(padding) for n, padding in zip(x.shape, node.op.padding, strict=False)]
                size = math.prod((*padded, *x.shape[len(padded) :]))
            case ops.Slice() | ops.Transpose() | ops.Broadcast():
                return 0
            case _:
                size = 0 if index in self.by_rows else self.type(index).size
        return size * (4 if self.kinds[index] is NumberKind.FLOAT32 else 8)

    def widest(self) -> int:
        """Bytes per sample of the largest array."""
        return max(self.bytes(index) for index in self.needed)

    def type(self, index: int) -> TensorType:
        """The type of node ``index``."""
        return self.program.nodes[index].type

    def _reached(self, wanted: Sequence[int]) -> list[int]:
        reached = set(wanted) | set(self.program.inputs)
        for index in range(len(self.program.nodes) - 1, -1, -1):
            if index in reached:
                reached.update(self.program.nodes[index].args)
        return sorted(reached)

    def _by_rows(self, wanted: set[int]) -> set[int]:
        nodes = self.program.nodes
        readers = Counter(arg for index in self.needed for arg in nodes[index].args)
        products = [index for index in self.needed if isinstance(nodes[index].op, ops.Linear)]
        read = {nodes[index].args[0] for index in products if self.computed[index] is not NumberKind.LIMBS}
        return {index for index in read - wanted if readers[index] == 1 and self._flattens_windows(index)}

    def _flattens_windows(self, index: int) -> bool:
        """Whether a node puts the taps of windows and their channels into one axis, behind some positions."""
        flat = self.program.nodes[index]
        if not isinstance(flat.op, ops.Reshape) or len(flat.type.shape) < 2 or self.kinds[index] is NumberKind.LIMBS:
            return False
        windows, positions = self.program.nodes[flat.args[0]], flat.type.shape[:-1]
        same = windows.type.shape[: len(positions)] == positions and position_free(self.scales[index])
        return same and isinstance(windows.op, ops.Window | ops.Slice)

    def _choose_kind(self, index: int) -> None:
        node = self.program.nodes[index]
        if isinstance(node.op, ops.Scan):
            self.bodies[index] = Choice(node.op.body, [output.node for output in node.op.body.outputs])
        own = storable(node.type)
        operands = [self.type(arg) for arg in node.args]
        widest = max((storable(x) for x in operands), default=own)
        match node.op:
            case ops.Linear():
                self.weights[index] = machine_weights(node.op, operands[0])
                computed = max(widest, narrowest(partial_products(self.weights[index][0], operands[0])))
                held = max(own, min(computed, NumberKind.FLOAT64))
            case ops.Sum() | ops.MatMul():
                computed = max(widest, own, narrowest(partial_sums(node.op, operands)))
                held = max(own, min(computed, NumberKind.FLOAT64))
            case ops.Add() | ops.Sub() | ops.Mul() | ops.Max() | ops.Min() | ops.Neg() | ops.Abs() | ops.AMax():
                computed = max(widest, own)
                held = max(own, min(computed, NumberKind.FLOAT64))
            case ops.Select():
                computed = max(own, *(storable(x) for x in operands[1:]))
                held = max(own, min(computed, NumberKind.FLOAT64))
            case ops.Compare():
                computed, held = widest, own
            case ops.Cast():
                computed = cast_kind(node.op, operands[0], self.kinds[node.args[0]])
                held = own
            case ops.Input() | ops.Const() | ops.Parameter() | ops.Table() | ops.Scan():
                computed = held = own
            case _:  # wiring
                computed = held = max(own, widest)
        if not isinstance(node.op, ops.Cast) and not alike(computed, [node.type, *operands]):
            computed = held = NumberKind.LIMBS
        self.computed[index] = computed
        self.kinds[index] = held

    def _widen_floats(self) -> None:
        """Hold a value in float64 although float32 would do, where it is used in float64: conversions cost time."""
        for index in reversed(self.needed):
            op = self.program.nodes[index].op
            if not isinstance(op, ops.Linear | ops.Cast | ops.Compare) and self.kinds[index] is NumberKind.FLOAT64:
                self.computed[index] = max(self.computed[index], NumberKind.FLOAT64)
            if isinstance(op, ops.Cast) and self.kinds[index] is NumberKind.FLOAT64:
                self._widen_chain(self.program.nodes[index].args[0])
            if self.computed[index] is not NumberKind.FLOAT64 or isinstance(op, ops.Cast | ops.Table | ops.Scan):
                continue
            for arg in self.program.nodes[index].args:
                self.kinds[arg] = max(self.kinds[arg], NumberKind.FLOAT64)
        for index in self.needed:
            node = self.program.nodes[index]
            if isinstance(node.op, ops.Cast) and self.computed[index] is NumberKind.FLOAT32:
                self.computed[index] = min(self.kinds[node.args[0]], NumberKind.FLOAT64)

    def _widen_chain(self, arg: int) -> None:
        """Element-wise ops before a cast to float64 are better done in float64 too; the products before them are not."""
        if isinstance(self.program.nodes[arg].op, ops.Max | ops.Min | ops.Add | ops.Sub | ops.Abs | ops.Neg | ops.Cast):
            self.kinds[arg] = max(self.kinds[arg], NumberKind.FLOAT64)

    def _wishes(self) -> dict[int, Fracs]:
        """The scale that the first consumer of each node would like it to have."""
        wishes: dict[int, Fracs] = {}
        for index in reversed(self.needed):
            node = self.program.nodes[index]
            own = wishes.get(index)
            for arg in node.args:
                wish = _wish(node.op, own, self.type(arg).shape)
                if wish is not None:
                    wishes[arg] = wish
        return wishes

    def _scale(self, index: int, wish: Fracs | None) -> Fracs:
        node = self.program.nodes[index]
        kind = self.kinds[index]
        if kind is NumberKind.LIMBS:
            return node.type.frac
        scale = fitted(self._free_scale(index, wish), node.type.shape)
        return scale if scale is not None and sane(kind, node.type, scale) else node.type.frac

    def _free_scale(self, index: int, wish: Fracs | None) -> Fracs:
        node = self.program.nodes[index]
        scales = [self.scales[arg] for arg in node.args]
        default = np.asarray(node.type.frac.max())
        match node.op:
            case ops.Input() | ops.Cast():
                return node.op.frac
            case ops.Const() | ops.Parameter() | ops.Table():
                return default if wish is None else wish
            case ops.Linear():
                if wish is not None and all(n == 1 for n in wish.shape[:-1]):
                    return wish
                return self.weights[index][1]
            case ops.Compare():
                return np.zeros((), dtype=np.int64)
            case ops.Mul():
                return _product_scale(self.program, node.args, scales, wish)
            case ops.MatMul() | ops.Sum() | ops.AMax() | ops.Scan():
                return default if wish is None or wish.size > 1 or isinstance(node.op, ops.MatMul | ops.Scan) else wish
            case ops.Shift():
                return scales[0] - node.op.amount
            case ops.Neg() | ops.Abs():
                return scales[0]
            case _:
                aligned = isinstance(node.op, ops.Add | ops.Sub | ops.Max | ops.Min | ops.Select)
                if wish is not None and (aligned or wish.size == 1):
                    return wish
                variable = [
                    scale
                    for arg, scale in list(zip(node.args, scales, strict=True))[isinstance(node.op, ops.Select) :]
                    if not isinstance(self.program.nodes[arg].op, ops.Const | ops.Parameter)
                ]
                uniform = [scale for scale in variable if scale.size == 1]
                return uniform[0] if uniform else default


def sane(kind: NumberKind, x: TensorType, scale: Fracs) -> bool:
    """Whether stored values stay clear of the ends of the kind's exponent range."""
    return kind is NumberKind.LIMBS or int(np.abs(scale - x.frac).max()) < (60 if kind is NumberKind.FLOAT32 else 500)


def alike(kind: NumberKind, types: Sequence[TensorType]) -> bool:
    """Whether values of all ``types`` can share any sane scale."""
    fracs = [part for x in types for part in (int(x.frac.min()), int(x.frac.max()))]
    return kind is NumberKind.LIMBS or max(fracs) - min(fracs) < (40 if kind is NumberKind.FLOAT32 else 300)


def cast_kind(op: ops.Cast, x: TensorType, held: NumberKind) -> NumberKind:
    """The kind in which a cast of ``x``, held as ``held``, computes."""
    lo, hi = rounded_range(op, x)
    rounded = max(int(np.max(abs(lo))), int(np.max(abs(hi))))
    bound = rounded
    if overflows(op, lo, hi):
        # Wrapping adds the magnitude of the least value, and halves are compared with; one bit of room pays for both.
        bound = 2 * max(rounded, int(np.max(abs(op.lo))), int(np.max(abs(op.hi))))
    for kind in (NumberKind.FLOAT32, NumberKind.FLOAT64):
        spread = abs(objects(objects(op.frac) - objects(x.frac)))
        if (
            held <= kind
            and bound <= 1 << kind.bits
            and int(np.max(spread)) < (60 if kind is NumberKind.FLOAT32 else 500)
        ):
            return kind
    return NumberKind.LIMBS


def rounded_range(op: ops.Cast, x: TensorType) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """The raw range of ``x`` after rounding, before its overflow is dealt with."""
    drop = objects(objects(x.frac) - objects(op.frac))
    return drop_bits(x.lo, drop, op.rounding), drop_bits(x.hi, drop, op.rounding)


def has_room(op: ops.Cast, x: TensorType, kind: NumberKind) -> bool:
    """Whether a half can be added to values of ``x``, in the units of the cast, without loss."""
    fine = objects(np.maximum(objects(x.frac), objects(op.frac) + 1))
    half = objects(1 << objects(fine - 1 - objects(op.frac)))
    greatest = objects(magnitude(x) << objects(fine - objects(x.frac))) + half
    return int(np.max(greatest)) <= 1 << kind.bits


def overflows(op: ops.Cast, lo: npt.NDArray[np.object_], hi: npt.NDArray[np.object_]) -> bool:
    """Whether any rounded value in ``lo..hi`` may be outside the range of the cast."""
    return bool(np.any(lo < least(op))) or bool(np.any(hi > op.hi))


def least(op: ops.Cast | ops.Input) -> npt.NDArray[np.object_]:
    """Least raw value that the cast leaves alone."""
    return objects(np.maximum(op.lo, -op.hi)) if op.overflow is Overflow.SAT_SYM else op.lo


def _wish(op: Op, own: Fracs | None, shape: tuple[int, ...]) -> Fracs | None:
    match op:
        case ops.Cast():
            return fitted(op.frac, shape)
        case (
            ops.Input()
            | ops.Const()
            | ops.Parameter()
            | ops.Linear()
            | ops.MatMul()
            | ops.Mul()
            | ops.Table()
            | ops.Compare()
            | ops.Scan()
        ):
            return None
        case _ if own is None:
            return None
        case ops.Shift():
            return fitted(own + op.amount, shape)
        case ops.Add() | ops.Sub() | ops.Max() | ops.Min() | ops.Neg() | ops.Abs() | ops.Select():
            return fitted(own, shape)
        case _:
            return own.reshape((1,) * len(shape)) if own.size == 1 else None


def fitted(scale: Fracs, shape: tuple[int, ...]) -> Fracs | None:
    """``scale`` with the rank of ``shape``, if it broadcasts to it."""
    if scale.ndim > len(shape):
        if any(n != 1 for n in scale.shape[: scale.ndim - len(shape)]):
            return None
        scale = scale.reshape(scale.shape[scale.ndim - len(shape) :])
    scale = scale.reshape((1,) * (len(shape) - scale.ndim) + scale.shape)
    if any(have not in (1, want) for have, want in zip(scale.shape, shape, strict=True)):
        return None
    return compact(scale).astype(np.int64)


def _product_scale(program: Program, args: Sequence[int], scales: Sequence[Fracs], wish: Fracs | None) -> Fracs:
    if wish is not None and any(isinstance(program.nodes[arg].op, ops.Const | ops.Parameter) for arg in args):
        return wish
    return scales[0] + scales[1]


def position_free(scale: Fracs) -> bool:
    """Whether a scale is the same at all positions."""
    return all(n == 1 for n in scale.shape[:-1])


def channel_scale(x: TensorType, scale: Fracs) -> Fracs:
    """``scale`` along the channels, or the type's where it differs between positions."""
    if position_free(scale):
        return np.broadcast_to(scale.reshape(-1), (x.shape[-1],))
    return channel_frac(x)
