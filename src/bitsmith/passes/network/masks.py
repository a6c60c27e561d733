"""Masks in front of a softmax, as models write them, become masks of the softmax.

Frontends emit a mask as the model writes it: ``Add``, ``Subtract``, ``Multiply``, ``BatchNormalization`` or ``Where`` with
constants of any magnitude, -inf included. They recognize nothing and refuse no -inf; this pass does both.

Before: ``scores -> Add(mask of 0 and -1e9) -> softmax``, or ``scores -> Where(condition, scores, -1e9) -> softmax``, with views,
sums and positive factors in between. After: ``scores -> softmax`` with a mask, or, if it depends on inputs, beside
``kept -> softmax``. So the formats in front of the softmax are those of the scores. Other readers get the sum as it was.

A softmax reads the split of its operand (:mod:`bitsmith.passes.network.mask_splits`) if what the level leaves out is nothing
beside what is kept, for operands in the range that the float model shows (and some more). Where scores could reach a constant
level, it is added to them.

Of a row of which nothing is kept, finite levels give what they give in the framework: only differences count, and where levels
are so large that floats cannot hold the scores beside them, all elements are equal. If all are -inf the result is NaN: a
constant mask is refused then, and one that depends on inputs gives 0. So is -inf refused that does not lead to a softmax.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.ir.ops import Relation
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.input import Constant
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.softmax import Softmax
from bitsmith.passes.network.calibration import observe
from bitsmith.passes.network.mask_splits import FAR, Split, Splits

LEAST = -1e30
"""Bound below which a value is as good as -inf: nothing but masks holds it."""

_SPARE_MEASURED = 2.0
"""Factor by which operands may exceed what calibration data show: beyond it ``auto`` saturates."""

_SPARE_GENERATED = 16.0
"""Factor by which operands may exceed what generated inputs show."""


def fold_masks(network: Network, calibration: Sequence[Floats] | None) -> Network:
    """``network`` with masks as masks, or operands, of the softmax layers that they lead to.

    Raises:
        UnsupportedError: -inf, or as good as that, that is not a mask of a softmax, or masks a whole row.
        InputDataError: as :func:`bitsmith.passes.network.calibration.observe`.
    """
    if any(isinstance(node.layer, Softmax) and not node.settings.skip for node in network.nodes):
        network = _folded(network, calibration)
    for node in network.nodes:
        least = min((float(np.min(values)) for values in node.layer.weights().values() if values.size), default=0.0)
        if least <= LEAST:
            reader = next(iter(network.consumers(node.name)), node) if isinstance(node.layer, Constant) else node
            raise UnsupportedError(
                f"{least:g}",
                where=f"layer {reader.name!r}",
                accepted=f"-inf only as a softmax mask, other numbers above {LEAST:g}",
                remedy=f"for a greatest element, write a number below all others and above {LEAST:g} instead",
            )
    return network


def _folded(network: Network, calibration: Sequence[Floats] | None) -> Network:
    splits = Splits.of(network, calibration)
    split_of = {
        node.name: splits.splits[node.inputs[0]]
        for node in network.nodes
        if isinstance(node.layer, Softmax) and node.inputs[0] in splits.splits and not node.settings.skip
    }
    if not split_of:
        return network
    split_network = network.with_nodes(splits.nodes)
    rests = {split.rest for split in split_of.values() if split.rest is not None}
    part = split_network.with_nodes(split_network.ancestors({*rests, *split_network.inputs}))
    seen = observe(part, calibration)
    spare = _SPARE_GENERATED if calibration is None else _SPARE_MEASURED
    nodes: list[NetworkNode] = []
    for node in list(splits.nodes):
        replaced: Sequence[NetworkNode] = ()
        if node.name in split_of and isinstance(node.layer, Softmax):
            split = split_of[node.name]
            scores = ObservedRange(0.0, 0.0) if split.rest is None else seen[split.rest]
            masking = _Masking(splits, node, node.layer, split, scores, spare * (scores.hi - scores.lo))
            replaced = masking.by_constant() if split.kept in splits.constants else masking.by_operand()
        nodes += replaced or [node]
    result = split_network.with_nodes([splits.simplified(node) for node in nodes]).without_unread(network)
    assumed = sorted({name for kept, name in splits.assumed.items() if any(kept == node.name for node in result.nodes)})
    notes = [f"Input {name!r} is a mask of attention: it is taken to hold 0 and 1 only." for name in assumed]
    return _renamed(network, splits.with_floors(replace(result, notes=(*result.notes, *notes))))


@dataclass(frozen=True, slots=True)
class _Masking:
    """A softmax and the split of its operand, whose ``scores`` are known, and how far they may be ``apart``."""

    splits: Splits
    node: NetworkNode
    layer: Softmax
    split: Split
    scores: ObservedRange
    apart: float

    def by_constant(self) -> Sequence[NetworkNode]:
        """The softmax with a mask, and the nodes that it needs; none if the mask leaves nothing out."""
        shape, axis, splits = self.splits.shapes[self.node.inputs[0]], self.layer.axis, self.splits
        own = np.broadcast_to(np.asarray(1.0 if self.layer.mask is None else self.layer.mask) != 0.0, shape)
        kept = np.broadcast_to(splits.constants[self.split.kept] != 0.0, shape)
        level = np.broadcast_to(self.split.level, shape)
        masked = ~kept & (level + self.apart <= -FAR)
        empty = ~np.any(own & ~masked, axis=axis, keepdims=True)
        highest = np.max(np.where(own, level, -np.inf), axis=axis, keepdims=True)
        if bool(np.any(empty & np.isneginf(highest))):
            raise UnsupportedError(
                "a softmax of rows in which all elements are -inf, which is NaN",
                where=f"layer {self.node.name!r}",
                accepted="masks that leave an element of each row",
            )
        level = level - np.where(empty, highest, 0.0)
        masked = ~kept & (level + self.apart <= -FAR)
        if not bool(np.any(masked & own)):
            return ()
        first, rest = len(splits.nodes), self._rest()
        with np.errstate(over="ignore"):
            equal = empty & (np.float32(highest + self.scores.lo) == np.float32(highest + self.scores.hi))
        splits.exact |= bool(np.any(empty & ~equal))
        if bool(np.any(equal)):
            finite = splits.const(f"{self.node.name}_finite", _compact(~np.broadcast_to(equal, shape)))
            rest = splits.add(f"{self.node.name}_rest", Multiply(), rest, finite)
        reached = np.where(kept | masked, 0.0, level)
        if bool(np.any(reached)):
            rest = splits.add(f"{self.node.name}_rest", Add(), rest, splits.const(f"{self.node.name}_level", reached))
        layer = replace(self.layer, mask=as_weights(_compact(own & ~masked)))
        return [*self._since(first), replace(self.node, layer=layer, inputs=(rest,))]

    def by_operand(self) -> Sequence[NetworkNode]:
        """The softmax with what it keeps as an operand, and the nodes that it needs; none if scores may reach the level."""
        name, splits, kept, level = self.node.name, self.splits, self.split.kept, self.split.highest
        if level + self.apart > -FAR:
            return ()
        splits.exact = True
        first, rest = len(splits.nodes), self._rest()
        if level > -np.inf:
            if np.float32(level + self.scores.lo) == np.float32(level + self.scores.hi):
                rest = splits.add(f"{name}_rest", Where(), kept, rest, splits.const(f"{name}_zero", 0.0))
            kept = self._with_empty_rows(kept)
        return [*self._since(first), replace(self.node, inputs=(rest, kept))]

    def _rest(self) -> str:
        """The scores, in the shape of the softmax."""
        name, shape = f"{self.node.name}_rest", self.splits.shapes[self.node.inputs[0]]
        return self.splits.broadcast(name, self.split.rest or self.splits.const(name, np.zeros(shape)), shape)

    def _since(self, first: int) -> list[NetworkNode]:
        """The nodes that were added since the ``first``, which are taken away from the search."""
        nodes = self.splits.nodes[first:]
        del self.splits.nodes[first:]
        return nodes

    def _with_empty_rows(self, kept: str) -> str:
        """``kept``, and all elements of rows of which it keeps none."""
        name, splits, counted = self.node.name, self.splits, kept
        if self.layer.mask is not None:
            mask = splits.const(f"{name}_mask", self.layer.mask != 0.0)
            counted = splits.add(f"{name}_counted", Multiply(), kept, mask)
        rank = len(splits.shapes[self.node.inputs[0]])
        axis = self.layer.axis % rank - rank
        if len(splits.shapes[counted]) >= -axis:
            counted = splits.add(f"{name}_most", Reduce(Reduction.MAX, (axis,), keepdims=True), counted)
        return splits.add(f"{name}_kept", Comparison(Relation.GE), kept, counted)


def _compact(values: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """``values`` with a size of 1 along axes along which they are all the same, and without leading axes of that size."""
    for axis in range(values.ndim):
        if bool(np.all(np.all(values, axis=axis) == np.any(values, axis=axis))):
            values = np.all(values, axis=axis, keepdims=True)
    return values.reshape(values.shape[next((k for k, n in enumerate(values.shape[:-1]) if n > 1), values.ndim - 1) :])


def _renamed(before: Network, network: Network) -> Network:
    """The network, what stands for a node that is gone under its name."""
    there = {node.name for node in network.nodes}
    names = {f"{node.name}_rest": node.name for node in before.nodes if node.name not in there}
    names = {name: old for name, old in names.items() if name in there}
    return network.with_nodes(
        [
            replace(
                node, name=names.get(node.name, node.name), inputs=tuple(names.get(name, name) for name in node.inputs)
            )
            for node in network.nodes
        ]
    )
