"""Storage of each node's value: the kind of number, and the power of two that scales it.

A value is stored as ``real * 2**scale`` in float32, float64 or limbs of int64. The types prove which kinds are exact
(:mod:`bitsmith.emulate.bounds`); limbs always have the ``frac`` of the type as their scale. Scales of floats are free, so
they are chosen such that the next cast finds its operand scaled already and only rounds: constants, tables and weights
absorb the factor. Three steps, each a function of the results of the ones before::

    kinds = choose_kinds(program, needed, weights)      # what is exact
    kinds = widen(program, kinds)                       # where a conversion would cost more than it saves
    scales = choose_scales(program, kinds, weights)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar, assert_never, cast

import numpy as np

from bitsmith.emulate.biases import Scaled, biased
from bitsmith.emulate.bounds import (
    NumberKind,
    can_share_scale,
    cast_kind,
    has_safe_exponents,
    narrowest,
    partial_products,
    partial_sums,
    storable,
)
from bitsmith.ir import ops
from bitsmith.ir.ops import Op
from bitsmith.ir.program import Node, Program
from bitsmith.ir.scaling import channel_frac, machine_weights
from bitsmith.ir.types import Fracs, TensorType, compact

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kind in which a node's op computes, and the one in which its result is stored."""

    computed: NumberKind
    stored: NumberKind


@dataclass(frozen=True, slots=True)
class Storage:
    """Storage of a node: stored value = real value * 2**scale; ``scale`` has the rank of the node, or one element."""

    kind: NumberKind
    scale: Fracs


@dataclass(frozen=True, slots=True)
class StoragePlan:
    """Kinds and scales of the ``needed`` nodes of a program, those that the wanted results depend on.

    ``bodies`` are the plans of the bodies of scans. ``by_rows`` are reshapes of windows that are never written out: the
    product that reads one takes it row by row. ``biased`` are the linear ops that add a constant too, each with the sum that
    it computes.
    """

    program: Program
    needed: tuple[int, ...]
    weights: Mapping[int, Scaled]
    computed: Mapping[int, NumberKind]
    storage: Mapping[int, Storage]
    bodies: Mapping[int, StoragePlan]
    by_rows: frozenset[int]
    biased: Mapping[int, int]
    _prepared: dict[int, object] = field(default_factory=dict)

    def type(self, index: int) -> TensorType:
        """The type of node ``index``."""
        return self.program.nodes[index].type

    def prepared(self, index: int, make: Callable[[], T]) -> T:
        """The result of the first call of ``make`` for node ``index``: constants that all workspaces share."""
        if index not in self._prepared:
            self._prepared[index] = make()
        return cast(T, self._prepared[index])

    def widest(self) -> int:
        """Bytes per sample of the largest array."""
        return max(map(self._bytes, self.needed))

    def _bytes(self, index: int) -> int:
        """Bytes per sample of the array that is made for node ``index``."""
        node = self.program.nodes[index]
        if isinstance(node.op, ops.Slice | ops.Transpose | ops.Broadcast) or index in self.by_rows:
            return 0
        size = node.type.size
        if isinstance(node.op, ops.Window):
            x = self.type(node.args[0])
            padded = [n + sum(padding) for n, padding in zip(x.shape, node.op.padding, strict=False)]
            size = math.prod((*padded, *x.shape[len(padded) :]))
        return size * (4 if self.storage[index].kind is NumberKind.FLOAT32 else 8)


def plan_storage(program: Program, wanted: Sequence[int]) -> StoragePlan:
    """The plan for computing the ``wanted`` nodes."""
    needed = tuple(sorted(program.ancestors({*wanted, *program.inputs})))
    weights, bodies = {}, {}
    for index in needed:
        node = program.nodes[index]
        if isinstance(node.op, ops.Linear):
            weights[index] = machine_weights(node.op, program.nodes[node.args[0]].type)
        elif isinstance(node.op, ops.Scan):
            bodies[index] = plan_storage(node.op.body, [output.node for output in node.op.body.outputs])
    kinds = widen(program, choose_kinds(program, needed, weights))
    scales = choose_scales(program, kinds, weights)
    storage = {index: Storage(kinds[index].stored, scales[index]) for index in needed}
    computed = {index: kinds[index].computed for index in needed}
    by_rows = _by_rows(program, computed, storage) - set(wanted)
    sums = biased(program, {index: each.kind for index, each in storage.items()}, weights, wanted, by_rows)
    sums = {linear: index for linear, index in sums.items() if position_free(storage[index].scale)}
    storage |= {linear: storage[index] for linear, index in sums.items()}
    return StoragePlan(program, needed, weights, computed, storage, bodies, by_rows, sums)


def choose_kinds(program: Program, needed: Iterable[int], weights: Mapping[int, Scaled]) -> dict[int, Kinds]:
    """The fastest exact kinds of the nodes ``needed``, operands first."""
    kinds: dict[int, Kinds] = {}
    for index in needed:
        node = program.nodes[index]
        types = program.types(node.args)
        chosen = _exact_kinds(node, types, [kinds[arg].stored for arg in node.args], weights.get(index))
        if not isinstance(node.op, ops.Cast) and not can_share_scale(chosen.computed, [node.type, *types]):
            chosen = Kinds(NumberKind.LIMBS, NumberKind.LIMBS)
        kinds[index] = chosen
    return kinds


def _exact_kinds(node: Node, types: Sequence[TensorType], stored: list[NumberKind], weights: Scaled | None) -> Kinds:
    """Kinds for operands of ``types``, each of which is ``stored`` in a kind already."""
    op, own = node.op, storable(node.type)
    widest = max(map(storable, types), default=own)
    match op:
        case ops.Linear():
            assert weights is not None
            computed = max(widest, own, narrowest(partial_products(weights[0], types[0])))
        case ops.Sum() | ops.MatMul():
            computed = max(widest, own, narrowest(partial_sums(op, types)))
        case ops.Add() | ops.Sub() | ops.Mul() | ops.Max() | ops.Min() | ops.Neg() | ops.Abs() | ops.AMax():
            computed = max(widest, own)
        case ops.Select():
            computed = max(own, *map(storable, types[1:]))
        case ops.Compare():
            return Kinds(widest, own)
        case ops.Cast():
            return Kinds(cast_kind(op, types[0], stored[0]), own)
        case ops.Input() | ops.Const() | ops.Parameter() | ops.Table() | ops.Scan():
            return Kinds(own, own)
        case _ if isinstance(op, ops.Movement | ops.Shift):
            return Kinds(max(own, widest), max(own, widest))
        case _:
            assert_never(op)
    return Kinds(computed, max(own, min(computed, NumberKind.FLOAT64)))


def widen(program: Program, kinds: dict[int, Kinds]) -> dict[int, Kinds]:
    """``kinds`` with float64 although float32 would do, where a value is used in float64: conversions cost time.

    Kinds only grow, so that every op stays exact.
    """
    wide = NumberKind.FLOAT64
    result = dict(kinds)

    def store_wide(index: int) -> None:
        result[index] = replace(result[index], stored=max(result[index].stored, wide))

    for index in reversed(result):
        node = program.nodes[index]
        if result[index].stored is wide:
            if isinstance(node.op, ops.Cast):
                # Element-wise ops before a cast to float64 are better done in float64 too; products before them are not.
                if isinstance(program.nodes[node.args[0]].op, _CHEAP_IN_FLOAT64):
                    store_wide(node.args[0])
            elif not isinstance(node.op, ops.Linear | ops.Compare):
                result[index] = replace(result[index], computed=max(result[index].computed, wide))
        if result[index].computed is wide and not isinstance(node.op, ops.Cast | ops.Table | ops.Scan):
            for arg in node.args:
                store_wide(arg)
    _stay_wide(program, result)
    return result


def _stay_wide(program: Program, kinds: dict[int, Kinds]) -> None:
    """Change ``kinds`` to float64 where that comes from operands, and a conversion saves less than it takes."""
    wide, narrow = NumberKind.FLOAT64, NumberKind.FLOAT32
    passes = _passes_to_come(program, kinds)
    for index, chosen in kinds.items():
        node = program.nodes[index]
        stored = [
            kinds[arg].stored for arg in node.args if not isinstance(program.nodes[arg].op, ops.Const | ops.Parameter)
        ]
        if isinstance(node.op, ops.Cast):
            if chosen.computed is narrow:
                chosen = replace(chosen, computed=min(stored[0], wide) if stored else narrow)
            if chosen == Kinds(wide, narrow) and len(passes[index]) <= _FEW_PASSES:
                chosen = Kinds(wide, wide)
        elif chosen == Kinds(narrow, narrow) and isinstance(node.op, _PASSES) and stored and min(stored) is wide:
            chosen = Kinds(wide, wide)
        kinds[index] = chosen


def _passes_to_come(program: Program, kinds: dict[int, Kinds]) -> dict[int, frozenset[int]]:
    """For each node those that go over its numbers, or numbers made of them, in float32 before a look-up; some, if many."""
    passes: dict[int, frozenset[int]] = dict.fromkeys(kinds, frozenset())
    for index in reversed(kinds):
        node = program.nodes[index]
        if kinds[index].computed is NumberKind.FLOAT32 and not isinstance(node.op, ops.Table):
            own = passes[index] if isinstance(node.op, ops.Movement) else passes[index] | {index}
            for arg in node.args:
                more = passes[arg] | (own if isinstance(node.op, _PASSES) else _MANY_PASSES)
                passes[arg] = more if len(more) <= _FEW_PASSES else _MANY_PASSES
    return passes


_FEW_PASSES = 3
"""Passes over numbers in float64 rather than in float32, which take no longer than a conversion does."""

_MANY_PASSES = frozenset(range(-_FEW_PASSES - 1, 0))

_PASSES: TypeAlias = (
    ops.Max | ops.Min | ops.Add | ops.Sub | ops.Abs | ops.Neg | ops.Cast | ops.Sum | ops.AMax | ops.Mul | ops.Movement
)


_CHEAP_IN_FLOAT64: TypeAlias = ops.Max | ops.Min | ops.Add | ops.Sub | ops.Abs | ops.Neg | ops.Cast


def choose_scales(program: Program, kinds: dict[int, Kinds], weights: Mapping[int, Scaled]) -> dict[int, Fracs]:
    """The scale of each node: the one that its readers wish where that is free, else that of its operands or its type."""
    wishes, products = _wishes(program, kinds)
    scales: dict[int, Fracs] = {}
    for index, chosen in kinds.items():
        node = program.nodes[index]
        scales[index] = node.type.frac
        if chosen.stored is NumberKind.LIMBS:
            continue
        wish = wishes.get(index)
        if wish is None and index in products and isinstance(node.op, ops.Table):
            wish = products[index].wish(scales)
        free = _free_scale(program, node, [scales[arg] for arg in node.args], wish, weights.get(index))
        scale = fitted(free, node.type.shape)
        if scale is not None and has_safe_exponents(chosen.stored, node.type, scale):
            scales[index] = scale
    return scales


@dataclass(frozen=True, slots=True)
class _Factor:
    """Factor of a product that is to have the scale ``product``; the other factor is node ``other``."""

    product: Fracs
    other: int

    def wish(self, scales: Mapping[int, Fracs]) -> Fracs | None:
        """The scale with which the product needs no other; None if that of the other factor is not one that is known."""
        other = scales.get(self.other)
        return None if other is None or other.size > 1 else self.product - other.reshape(())


def _wishes(program: Program, kinds: dict[int, Kinds]) -> tuple[dict[int, Fracs], dict[int, _Factor]]:
    """The scale that the first reader of each node would like it to have, and the product that each is a factor of."""
    wishes: dict[int, Fracs] = {}
    products: dict[int, _Factor] = {}
    for index in reversed(kinds):
        node = program.nodes[index]
        own = wishes.get(index)
        for arg in node.args:
            wish = _wish(node.op, own, program.nodes[arg].type.shape)
            if wish is not None:
                wishes[arg] = wish
        if isinstance(node.op, ops.Mul) and own is not None and own.size == 1:
            first, second = node.args
            products |= {first: _Factor(own.reshape(()), second), second: _Factor(own.reshape(()), first)}
        elif isinstance(node.op, ops.Movement) and index in products:
            products |= dict.fromkeys(node.args, products[index])
    return wishes, products


def _wish(op: Op, own: Fracs | None, shape: tuple[int, ...]) -> Fracs | None:
    """The scale that ``op``, from which ``own`` is wished, wishes of an operand of ``shape``."""
    match op:
        case ops.Cast():
            return fitted(op.frac, shape)
        case ops.Input() | ops.Const() | ops.Parameter() | ops.Linear() | ops.MatMul() | ops.Mul():
            return None
        case ops.Table() | ops.Compare() | ops.Scan():
            return None
        case ops.Shift():
            return None if own is None else fitted(own + op.amount, shape)
        case ops.Add() | ops.Sub() | ops.Max() | ops.Min() | ops.Neg() | ops.Abs() | ops.Select():
            return None if own is None else fitted(own, shape)
        case _ if isinstance(op, ops.Sum | ops.AMax | ops.Movement):
            return None if own is None or own.size > 1 else own.reshape((1,) * len(shape))
        case _:
            assert_never(op)


def _free_scale(
    program: Program, node: Node, scales: Sequence[Fracs], wish: Fracs | None, weights: Scaled | None
) -> Fracs:
    """The best scale of a float; its operands have ``scales``."""
    op, default = node.op, np.asarray(node.type.frac.max())
    match op:
        case ops.Input() | ops.Cast():
            return op.frac
        case ops.Const() | ops.Parameter() | ops.Table():
            return default if wish is None else wish
        case ops.Linear():
            assert weights is not None
            return wish if wish is not None and position_free(wish) else weights[1]
        case ops.Compare():
            return np.zeros((), dtype=np.int64)
        case ops.Mul():
            constant = any(isinstance(program.nodes[arg].op, ops.Const | ops.Parameter) for arg in node.args)
            return wish if wish is not None and constant else scales[0] + scales[1]
        case ops.MatMul() | ops.Scan():
            return default
        case ops.Sum() | ops.AMax():
            return default if wish is None or wish.size > 1 else wish
        case ops.Shift():
            return scales[0] - op.amount
        case ops.Neg() | ops.Abs():
            return scales[0]
        case ops.Add() | ops.Sub() | ops.Max() | ops.Min():
            return _first_uniform(program, node.args, scales, default) if wish is None else wish
        case ops.Select():
            return _first_uniform(program, node.args[1:], scales[1:], default) if wish is None else wish
        case _ if isinstance(op, ops.Movement):
            uniform = wish is not None and wish.size == 1
            return wish if wish is not None and uniform else _first_uniform(program, node.args, scales, default)
        case _:
            assert_never(op)


def _first_uniform(program: Program, args: Sequence[int], scales: Sequence[Fracs], default: Fracs) -> Fracs:
    """The scale of the first variable operand of which one scale holds for all elements."""
    for arg, scale in zip(args, scales, strict=True):
        if scale.size == 1 and not isinstance(program.nodes[arg].op, ops.Const | ops.Parameter):
            return scale
    return default


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


def position_free(scale: Fracs) -> bool:
    """True if a scale is the same at all positions."""
    return all(n == 1 for n in scale.shape[:-1])


def channel_scale(x: TensorType, scale: Fracs) -> Fracs:
    """``scale`` along the channels, or the type's where it differs between positions."""
    if position_free(scale):
        return np.broadcast_to(scale.reshape(-1), (x.shape[-1],))
    return channel_frac(x)


def _by_rows(program: Program, computed: Mapping[int, NumberKind], storage: Mapping[int, Storage]) -> frozenset[int]:
    """Reshapes that put the taps of windows and their channels into one axis, read by one product alone, which is no wider."""
    readers = Counter(arg for index in storage for arg in program.nodes[index].args)
    flattened: set[int] = set()
    for index in storage:
        node = program.nodes[index]
        if not isinstance(node.op, ops.Linear) or readers[node.args[0]] > 1:
            continue
        flat, stored = program.nodes[node.args[0]], storage[node.args[0]]
        widened = (computed[index] is NumberKind.LIMBS) != (stored.kind is NumberKind.LIMBS)
        if not isinstance(flat.op, ops.Reshape) or len(flat.type.shape) < 2 or widened:
            continue
        windows, positions = program.nodes[flat.args[0]], flat.type.shape[:-1]
        same = windows.type.shape[: len(positions)] == positions and position_free(stored.scale)
        if same and isinstance(windows.op, ops.Window | ops.Slice):
            flattened.add(node.args[0])
    return frozenset(flattened)
