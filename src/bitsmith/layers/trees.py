"""Ensembles of decision trees."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import chain
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Input, Relation
from bitsmith.ir.types import Ints, Overflow, Rounding, objects, width_of
from bitsmith.layers.comparing import Comparing, Scaled, form, undecided
from bitsmith.layers.decisions import Choices, Conditions, Decisions, Reduced, reduced
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Shape, as_weights, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.resolution import Edges
from bitsmith.layers.thresholds import kept_thresholds, raw_threshold, rounded_threshold, unscaled_bounds
from bitsmith.layers.traits import Exactness, Scales, Traits, computed
from bitsmith.layers.walks import MOST_ADDRESS_BITS, Walk, in_turn, side_by_side_luts, walk
from bitsmith.layers.words import Operand

Places = npt.NDArray[np.int64]
"""Numbers of nodes or, below 0, of leaves: ``-1 - leaf``."""

_MOST_DEPTH = 256
"""Most decisions between a root and a leaf."""

_MOST_NODES = 1 << 17
"""Most decisions of all trees."""

_CHUNK = 1 << 22
"""Numbers that are looked up at once."""

_HALF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Trees(Comparing):
    """The sum of the leaves that ``roots`` lead to, and ``base`` (outputs,), for ``size`` features.

    Node ``n`` goes on with ``branches[n, 0]`` where an odd number of ``thresholds[n]`` are ``x[features[n]]`` or more, and else
    with ``branches[n, 1]``. One threshold is a comparison, several say a set of numbers; ``-inf`` fills up rows.
    ``leaves`` has a row of outputs for each leaf. ``rounded`` is in place of ``thresholds`` of comparisons where operands were
    rounded; None: it follows from these.
    """

    size: int
    features: Places
    thresholds: Floats
    branches: Places
    roots: Places
    leaves: Floats
    base: Floats
    rounded: Floats | None = None

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True
    lowered_by_reuse: ClassVar[bool] = True
    precisions: ClassVar[tuple[str, ...]] = ("weight", "bias", "result")
    trained: ClassVar[Mapping[str, str]] = {"weight": "leaves", "bias": "base"}

    def __post_init__(self) -> None:
        for name in ("features", "branches", "roots"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))

    def output_shape(self, inputs: Sequence[Shape]) -> Shape:
        shape = single(inputs, self.kind)
        if shape != (self.size,):
            raise UnsupportedError(
                f"trees of {self.size} features on an input of shape {shape}", accepted=f"({self.size},)"
            )
        self._check_form()
        return self.base.shape

    def _check_form(self) -> None:
        """Check that each node has one parent or is a root, so that what is read is a tree, and that it is not too large."""
        nodes, leaves = len(self.features), len(self.leaves)
        places = np.concatenate([self.branches.ravel(), self.roots])
        whole = (
            self.branches.shape == (nodes, 2) and self.thresholds.shape[:1] == (nodes,) and self.thresholds.ndim == 2
        )
        known = bool(np.all((places >= -leaves) & (places < nodes)))
        if not whole or not known or np.any((self.features < 0) | (self.features >= self.size)):
            raise UnsupportedError("trees that ask for features, or lead to places, that there are not")
        if len(self.features) > _MOST_NODES:
            raise UnsupportedError(
                f"trees of {len(self.features)} decisions",
                accepted=f"at most {_MOST_NODES}",
                remedy="train fewer trees",
            )
        below = places[places >= 0]
        if len(np.unique(below)) != len(below):
            raise UnsupportedError("a node of a tree with several parents", accepted="one parent, or none")
        if self.depth() > _MOST_DEPTH:
            raise UnsupportedError(
                f"trees of more than {_MOST_DEPTH} decisions one after another",
                accepted=f"a depth of {_MOST_DEPTH}",
                remedy="train them with a max_depth",
            )

    def depth(self) -> int:
        """The most decisions between a root and a leaf, as far as these are counted."""
        places, depth = self.roots[self.roots >= 0], 0
        while places.size and depth <= _MOST_DEPTH:
            below = self.branches[places].ravel()
            places, depth = below[below >= 0], depth + 1
        return depth

    def words(self, operands: Sequence[Operand]) -> tuple[str, ...]:
        """Return the size of the trees, and on how many inputs rounding could change a decision."""
        (operand,) = operands
        fracs, lo, hi = (part.ravel().tolist() for part in operand.type.full())
        raw = _raw_thresholds(self, np.array(fracs, np.int64), rounds=False)
        asked = {
            (feature, bound)
            for feature, bounds in zip(self.features.tolist(), raw, strict=True)
            for bound in bounds
            if lo[feature] <= bound < hi[feature]
        }
        questions = Counter(feature for feature, _ in asked)
        leaves = np.count_nonzero(self.leaves, axis=0).tolist()
        size = form(len(self.roots), self.depth(), len(self.features), questions, leaves)
        if operand.entry is None:
            return (size,)
        edges = [self._bounds(feature) for feature in range(self.size)]
        return size, undecided(edges, operand.type, operand.entry)

    def _bounds(self, feature: int) -> Floats:
        """All finite thresholds of a feature."""
        bounds = self.thresholds[self.features == feature]
        return as_weights(np.unique(bounds[np.isfinite(bounds)]))

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        each = self.roots.size * (self.base.size + self.thresholds.shape[1])
        step = max(_CHUNK // max(each, 1), 1)
        parts = [self._sums(inputs[0][start : start + step]) for start in range(0, len(inputs[0]), step)]
        return self.base + np.concatenate(parts)

    def _sums(self, x: Floats) -> Floats:
        places = np.broadcast_to(self.roots, (len(x), self.roots.size))
        rows = np.arange(len(x))[:, None]
        while np.any(places >= 0):
            nodes = np.maximum(places, 0)
            values = x[rows, self.features[nodes]][..., None]
            holds = np.count_nonzero(values <= self.thresholds[nodes], axis=-1) % 2 == 1
            places = np.where(places >= 0, self.branches[nodes, np.where(holds, 0, 1)], places)
        sums: Floats = self.leaves[-1 - places].sum(axis=1)
        return sums

    def edges(self) -> Edges:
        """Return the thresholds of each feature; those of sets are halfway between integers."""
        return tuple(self._edges(feature) for feature in range(self.size))

    def _edges(self, feature: int) -> Floats:
        bounds = self.thresholds[self.features == feature]
        finite = np.isfinite(bounds)
        of_set = finite & (np.count_nonzero(bounds > -np.inf, axis=1) > 1)[:, None]
        integers = np.rint(bounds[of_set])
        return np.unique(np.concatenate([bounds[finite & ~of_set], integers - _HALF, integers + _HALF]))

    def keeping(self, grid: Quantizer, data: Floats) -> Trees:
        assert grid.fracs is not None
        fracs = np.broadcast_to(grid.fracs, (self.size,)).tolist()
        rounded = self.thresholds.max(axis=1)
        for feature in np.unique(self.features).tolist():
            edges = self._bounds(feature)
            kept = kept_thresholds(edges, fracs[feature], np.sort(data[:, feature]))
            if kept is None:
                kept = as_weights([rounded_threshold(edge, fracs[feature]) for edge in edges.tolist()])
            own = np.flatnonzero((self.features == feature) & np.isfinite(rounded))
            rounded[own] = np.ldexp(kept[np.searchsorted(edges, rounded[own])], -fracs[feature])
        return replace(self, rounded=as_weights(rounded))

    def comparisons(self, fracs: Sequence[int], *, rounds: bool) -> list[tuple[Floats, Floats]]:
        raws = _raw_thresholds(self, np.array(fracs), rounds=rounds)
        bounds = np.where(np.count_nonzero(self.thresholds > -np.inf, axis=1) == 1, self.thresholds.max(axis=1), np.inf)
        known = []
        for feature in range(self.size):
            own = np.flatnonzero((self.features == feature) & (bounds < np.inf))
            edges, first = np.unique(bounds[own], return_index=True)
            known.append((as_weights(edges), as_weights([raws[node][0] for node in own[first].tolist()])))
        return known

    def before_scales(self, scaled: Scaled) -> Trees | None:
        if self.thresholds.shape[1] > 1:
            return None  # sets are of integers
        rows, thresholds = np.flatnonzero(np.isfinite(self.thresholds[:, 0])), self.thresholds.copy()
        bounds = unscaled_bounds(partial(scaled, self.features[rows]), thresholds[rows, 0])
        if bounds is None:
            return None
        thresholds[rows, 0] = bounds
        return replace(self, thresholds=as_weights(thresholds))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        raw, frac = lowering.constant("weight", self.leaves)
        bias, bias_frac = lowering.constant("bias", self.base)
        lo, hi = (np.broadcast_to(objects(bound), x.shape) for bound in (x.type.lo, x.type.hi))
        fracs = np.broadcast_to(x.type.frac, x.shape)
        entry = builder.origin(x)
        rounds = isinstance(entry, Input) and entry.rounding is not Rounding.TRN
        asked = Conditions(self.features, _raw_thresholds(self, fracs, rounds=rounds))
        left = reduced(asked, self.branches, self.roots, raw, lo, hi)
        result = builder.const(bias, bias_frac)
        folded = _folded(left, x, lowering.settings.reuse_factor)
        if folded is not None:
            return lowering.result(builder.add(in_turn(builder, x, folded, frac), result))
        decisions = left.decisions()
        if decisions.constant.any():
            result = builder.add(result, builder.const(decisions.constant, frac))
        if decisions.conditions:
            added, outputs = _added(builder, _conditions(builder, x, decisions), decisions, frac)
            result = builder.add(builder.linear(added, _targets(outputs, self.base.size), np.asarray(0)), result)
        return lowering.result(result)


def _folded(left: Reduced, x: Value, cycles: int) -> Walk | None:
    """Walkers through the trees in so many cycles at most, if they take less than trees side by side; else None."""
    if cycles == 1 or len(left.trees) == 1:
        return None
    _, lo, hi = (part.tolist() for part in x.type.full())
    folded = walk(left, cycles, lo, hi)
    if folded is None or folded.address_bits > MOST_ADDRESS_BITS:
        return None
    widths, outputs = np.broadcast_to(x.type.width, x.type.shape).tolist(), folded.leaves.shape[1]
    bits = width_of(int(folded.leaves.min()), int(folded.leaves.max()))
    return folded if folded.luts(widths, bits) < side_by_side_luts(left.trees, widths, outputs, bits) else None


def _raw_thresholds(trees: Trees, fracs: npt.NDArray[np.int64], *, rounds: bool) -> list[tuple[int, ...]]:
    """The greatest raw value at or below each threshold, in order; that of infinite ones is beyond all others.

    Two thresholds with one such value are gone, as no number lies between them. Where operands are rounded to the grid, those of
    comparisons keep numbers of few digits on their side.
    """
    raws = list[tuple[int, ...]]()
    for node, (frac, bounds) in enumerate(zip(fracs[trees.features].tolist(), trees.thresholds.tolist(), strict=True)):
        own, odd = [bound for bound in bounds if bound > -math.inf], set[int]()
        if rounds and len(own) == 1 and trees.rounded is not None:
            raws.append((raw_threshold(float(trees.rounded[node]), frac),))
            continue
        raw = rounded_threshold if rounds and len(own) == 1 else raw_threshold
        for bound in own:
            odd ^= {raw(bound, frac)}
        raws.append(tuple(sorted(odd)))
    return raws


def _conditions(builder: ProgramBuilder, x: Value, decisions: Decisions) -> Value:
    """Truth values, in the order of ``decisions.conditions``."""
    places: dict[tuple[Relation, int, int], int] = {}
    operands = [
        [places.setdefault((relation, feature, bound), len(places)) for relation, bound in _comparisons(bounds)]
        for feature, bounds in decisions.conditions
    ]
    parts, order = [], []
    for wanted in (Relation.LE, Relation.EQ):
        chosen = [(place, feature, bound) for (relation, feature, bound), place in places.items() if relation is wanted]
        if chosen:
            numbers, features, bounds = (list(column) for column in zip(*chosen, strict=True))
            operand = builder.gather(x, features, 0)
            frac = np.broadcast_to(operand.type.frac, operand.shape)
            parts.append(builder.compare(operand, wanted, builder.const(objects(np.array(bounds, np.object_)), frac)))
            order += numbers
    values = parts[0] if len(parts) == 1 else builder.concat(parts, 0)
    now = {place: number for number, place in enumerate(order)}
    return _odd(builder, values, [[now[place] for place in some] for some in operands])


def _comparisons(bounds: tuple[int, ...]) -> list[tuple[Relation, int]]:
    """Comparisons of which an odd number holds where an odd number of ``bounds`` is a number or more."""
    if len(bounds) == 2 and bounds[0] + 1 == bounds[1]:
        return [(Relation.EQ, bounds[1])]
    return [(Relation.LE, bound) for bound in bounds]


def _odd(builder: ProgramBuilder, values: Value, operands: Sequence[Sequence[int]]) -> Value:
    """For each list of places, whether an odd number of these ``values`` holds."""
    while any(len(some) > 1 for some in operands):
        pairs = [list(zip(some[::2], some[1::2], strict=False)) for some in operands]
        made = {pair: values.shape[0] + k for k, pair in enumerate(dict.fromkeys(chain.from_iterable(pairs)))}
        first, second = (builder.gather(values, list(part), 0) for part in zip(*made, strict=True))
        operands = [
            [*(made[pair] for pair in own), *some[2 * len(own) :]] for some, own in zip(operands, pairs, strict=True)
        ]
        values = builder.concat([values, builder.compare(first, Relation.NE, second)], 0)
    return builder.gather(values, [place for (place,) in operands], 0)


def _added(builder: ProgramBuilder, holds: Value, decisions: Decisions, frac: int) -> tuple[Value, list[int]]:
    """Numbers that are added to outputs, and the output of each."""
    parts, outputs = [], [output for _, output, _ in decisions.tables] + decisions.outputs
    if decisions.tables:
        codes, size = _codes(builder, holds, decisions), max(map(len, decisions.codes))
        entries = [[*some, *some[:1] * ((1 << size) - len(some))] for _, _, some in decisions.tables]
        operand = builder.gather(codes, [code for code, _, _ in decisions.tables], 0)
        parts.append(builder.table(operand, 0, objects(np.array(entries, np.object_)), frac))
    if decisions.sums.results:
        parts.append(_chosen(builder, holds, decisions.sums, frac))
    return parts[0] if len(parts) == 1 else builder.concat(parts, 0), outputs


def _codes(builder: ProgramBuilder, holds: Value, decisions: Decisions) -> Value:
    """The number of the leaf that each tree with a table leads to."""
    bits = builder.concat([_chosen(builder, holds, decisions.bits, 0), builder.const(objects([0]), 0)], 0)
    size, zero = max(map(len, decisions.codes)), bits.shape[0] - 1
    columns = zip(*([*code, *[zero] * (size - len(code))] for code in decisions.codes), strict=True)
    weighed = [builder.shift(builder.gather(bits, list(column), 0), place) for place, column in enumerate(columns)]
    most = objects([(1 << len(code)) - 1 for code in decisions.codes])
    # What is the sum of bits that are always 0 and of others may count in twos.
    return builder.cast_to(reduce(builder.add, weighed), 0, 0, most, Rounding.TRN, Overflow.SAT)


def _chosen(builder: ProgramBuilder, holds: Value, choices: Choices, frac: int) -> Value:
    """The results of ``choices``, whose leaves are multiples of ``2**-frac``."""
    values = builder.const(objects(np.array(choices.leaves, dtype=np.object_)), frac)
    for level in choices.levels:
        condition, first, second = (list(part) for part in zip(*level, strict=True))
        picked = (builder.gather(values, part, 0) for part in (first, second))
        chosen = builder.select(builder.gather(holds, condition, 0), *picked)
        values = builder.concat([values, chosen], 0)
    return builder.gather(values, choices.results, 0)


def _targets(outputs: Sequence[int], size: int) -> Ints:
    """A matrix of ones where a number is added to an output."""
    matrix = np.zeros((len(outputs), size), np.int64)
    matrix[np.arange(len(outputs)), outputs] = 1
    return objects(matrix)


EXAMPLES = (
    Example(
        Trees(
            2,
            np.array([0, 1, 0]),
            as_weights([[0.25, -np.inf], [-0.5, -np.inf], [0.5, 1.5]]),
            np.array([[1, -1], [-2, -3], [-1, -3]]),
            np.array([0, 2]),
            as_weights([[0.5, -1.0], [0.25, 1.5], [-0.75, 0.0]]),
            as_weights([0.25, 0.0]),
        ),
        ((2,),),
    ),
)
