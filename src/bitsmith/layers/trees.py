"""Ensembles of decision trees."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import Ints, objects
from bitsmith.layers.decisions import Conditions, Decisions, reduced
from bitsmith.layers.example import Example
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights, single
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.resolution import Resolution
from bitsmith.layers.traits import Exactness, Scales, Traits, computed

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
class Trees(Layer):
    """The sum of the leaves that ``roots`` lead to, and ``base`` (outputs,), for ``size`` features.

    Node ``n`` goes on with ``branches[n, 0]`` where ``x[features[n]] <= thresholds[n]``, or where the two are equal if
    ``equal[n]``, and else with ``branches[n, 1]``. ``leaves`` has a row of outputs for each leaf.
    """

    size: int
    features: Places
    thresholds: Floats
    equal: npt.NDArray[np.bool_]
    branches: Places
    roots: Places
    leaves: Floats
    base: Floats

    traits: ClassVar[Traits] = computed(Scales.NONE, Exactness.EXACT, elementwise=False, affine=False)
    jumps: ClassVar[bool] = True
    precisions: ClassVar[tuple[str, ...]] = ("weight", "bias", "result")
    trained: ClassVar[Mapping[str, str]] = {"weight": "leaves", "bias": "base"}

    def __post_init__(self) -> None:
        for name in ("features", "branches", "roots"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        object.__setattr__(self, "equal", np.asarray(self.equal, dtype=bool))

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
        whole = self.branches.shape == (nodes, 2) and self.thresholds.shape == self.equal.shape == (nodes,)
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

    def reference(self, inputs: Sequence[Floats]) -> Floats:
        step = max(_CHUNK // max(self.roots.size * (self.base.size + 1), 1), 1)
        parts = [self._sums(inputs[0][start : start + step]) for start in range(0, len(inputs[0]), step)]
        return self.base + np.concatenate(parts)

    def _sums(self, x: Floats) -> Floats:
        places = np.broadcast_to(self.roots, (len(x), self.roots.size))
        rows = np.arange(len(x))[:, None]
        while np.any(places >= 0):
            nodes = np.maximum(places, 0)
            values, bounds = x[rows, self.features[nodes]], self.thresholds[nodes]
            holds = np.where(self.equal[nodes], values == bounds, values <= bounds)
            places = np.where(places >= 0, self.branches[nodes, np.where(holds, 0, 1)], places)
        sums: Floats = self.leaves[-1 - places].sum(axis=1)
        return sums

    def resolution(self, beyond: Resolution | None) -> Resolution | None:
        """Return the thresholds of each feature; where numbers are compared for equality they are halfway to other integers."""
        edges = tuple(self._edges(feature) for feature in range(self.size))
        ends = np.concatenate([*edges, [0.0]])
        step = min((float(np.diff(some).min()) for some in edges if some.size > 1), default=1.0)
        return Resolution(float(ends.min()), float(ends.max()) + step, step, None, edges)

    def _edges(self, feature: int) -> Floats:
        here = (self.features == feature) & np.isfinite(self.thresholds)
        ordered, equal = self.thresholds[here & ~self.equal], self.thresholds[here & self.equal]
        return np.unique(np.concatenate([ordered, equal - _HALF, equal + _HALF]))

    def lower(self, lowering: Lowering, inputs: Sequence[Value]) -> Value:
        builder, x = lowering.builder, inputs[0]
        raw, frac = lowering.constant("weight", self.leaves)
        bias, bias_frac = lowering.constant("bias", self.base)
        lo, hi = (np.broadcast_to(objects(bound), x.shape) for bound in (x.type.lo, x.type.hi))
        fracs = np.broadcast_to(x.type.frac, x.shape)
        asked = Conditions(self.features, _raw_thresholds(self, fracs), self.equal)
        decisions = reduced(asked, self.branches, self.roots, raw, lo, hi)
        result = builder.const(bias, bias_frac)
        if decisions.constant.any():
            result = builder.add(result, builder.const(decisions.constant, frac))
        if decisions.roots:
            values = _decided(builder, _conditions(builder, x, decisions), decisions, frac)
            picked = builder.gather(values, [place for place, _ in decisions.roots], 0)
            result = builder.add(builder.linear(picked, decisions.targets(self.base.size), np.asarray(0)), result)
        return lowering.result(result)


def _raw_thresholds(trees: Trees, fracs: npt.NDArray[np.int64]) -> Ints:
    """The greatest raw value at or below each threshold; that of infinite ones is beyond all others.

    Where numbers are compared for equality it is the raw value itself, or one below all others if there is none.
    """
    far = 1 << 600
    found = []
    for feature, bound, equal in zip(trees.features.tolist(), trees.thresholds.tolist(), trees.equal, strict=True):
        if math.isinf(bound):
            found.append(-far if bound < 0 or equal else far)
            continue
        numerator, denominator = bound.as_integer_ratio()
        frac = int(fracs[feature])
        scaled, rest = divmod(numerator << max(frac, 0), denominator << max(-frac, 0))
        found.append(-far if equal and rest else scaled)
    return objects(np.array(found, dtype=np.object_))


def _conditions(builder: ProgramBuilder, x: Value, decisions: Decisions) -> Value:
    """Truth values, in the order of ``decisions.conditions``."""
    parts = []
    for relation, chosen in ((Relation.LE, decisions.ordered), (Relation.EQ, decisions.equalities)):
        if chosen:
            features = [feature for feature, _ in chosen]
            operand = builder.gather(x, features, 0)
            bounds = objects(np.array([bound for _, bound in chosen], dtype=np.object_))
            frac = np.broadcast_to(operand.type.frac, operand.shape)
            parts.append(builder.compare(operand, relation, builder.const(bounds, frac)))
    return parts[0] if len(parts) == 1 else builder.concat(parts, 0)


def _decided(builder: ProgramBuilder, holds: Value, decisions: Decisions, frac: int) -> Value:
    """All numbers that leaves have or decisions between two of them give."""
    values = builder.const(objects(np.array(decisions.leaves, dtype=np.object_)), frac)
    for level in decisions.levels:
        condition, first, second = (list(part) for part in zip(*level, strict=True))
        picked = (builder.gather(values, part, 0) for part in (first, second))
        chosen = builder.select(builder.gather(holds, condition, 0), *picked)
        values = builder.concat([values, chosen], 0)
    return values


EXAMPLES = (
    Example(
        Trees(
            2,
            np.array([0, 1, 0]),
            as_weights([0.25, -0.5, 1.0]),
            np.array([False, False, True]),
            np.array([[1, -1], [-2, -3], [-1, -3]]),
            np.array([0, 2]),
            as_weights([[0.5, -1.0], [0.25, 1.5], [-0.75, 0.0]]),
            as_weights([0.25, 0.0]),
        ),
        ((2,),),
    ),
)
