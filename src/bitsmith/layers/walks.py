"""Trees as memories of nodes: of several trees in turn, one level after another reads the node that the level before leads to.

In: trees as nested decisions. Out: for each level the nodes of all trees, each one word with a bound, a feature and the pair of
nodes that comes next. A decision goes on at the second node of its pair if it holds, else at the first. Leaves above the last
level are handed on: by a decision that always holds, or never does.

The circuit has a token for each turn, and in it the way of each walker's tree, level by level. A recurrence whose state is the
operand gives it again in each turn, beside the first nodes. All else is done alike in each turn, so that it becomes one
pipeline; the sum is over turns and walkers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import step_type
from bitsmith.ir.types import Ints, Overflow, Rounding, objects, width_of
from bitsmith.layers.decisions import Decision, Number, Reduced, below
from bitsmith.layers.recurrent_cell import body_input

MOST_ADDRESS_BITS = 16
"""Bits of addresses of tables."""

_MEMORY_SHARE = 40
"""Bits of nodes that cost as much as one look-up table."""

_BLOCK_BITS, _BLOCK_LUTS = 1 << 14, 60
"""Bits of a block of memory, and the look-up tables that cost as much."""

_STREAM_LUTS = 150
"""Look-up tables that trees in turn take in any case: a counter, registers and their handshakes."""

_CHOICE_SHARE = 0.55
"""Look-up tables for each bit of a feature that is chosen from."""

_COMPARED_SHARE, _DECIDED_SHARE, _TABLE_SHARE = 0.25, 0.5, 0.45
"""The same of trees side by side: for each bit that is compared, each decision, and each bit of a tree's table."""


@dataclass(frozen=True, slots=True)
class Level:
    """Nodes by walkers and addresses: ``words`` are ``(bound << feature_bits | feature) << pair_bits | pair``.

    ``features`` are those that are chosen from.
    """

    features: list[int]
    words: Ints
    feature_bits: int
    pair_bits: int


@dataclass(frozen=True, slots=True)
class Walk:
    """Levels, and what is added for the nodes after the last, by walkers, outputs and addresses.

    The addresses of the first level are turns: in each, as many trees as there are walkers.
    """

    levels: list[Level]
    leaves: Ints

    @property
    def turns(self) -> int:
        return int(self.levels[0].words.shape[1])

    @property
    def address_bits(self) -> int:
        return width_of(0, max(self.leaves.shape[-1], *(level.words.shape[1] for level in self.levels[1:]), 2) - 1)

    def luts(self, widths: Sequence[int], leaf_bits: int) -> float:
        """The look-up tables, roughly; features have ``widths``, and what is added ``leaf_bits``."""
        walkers, outputs, size = self.leaves.shape
        choices = sum(len(level.features) for level in self.levels) * max(widths) * _CHOICE_SHARE
        memories = [
            level.words.shape[1] * width_of(int(level.words.min()), int(level.words.max())) for level in self.levels
        ]
        held = [*memories, *[leaf_bits * size] * outputs]
        stored = sum(min(bits / _MEMORY_SHARE, _BLOCK_LUTS * -(-bits // _BLOCK_BITS)) for bits in held)
        each = choices + outputs * leaf_bits + stored
        return float(_STREAM_LUTS + sum(widths) * _CHOICE_SHARE + walkers * each)


def side_by_side_luts(trees: Sequence[Number], widths: Sequence[int], outputs: int, leaf_bits: int) -> float:
    """The look-up tables of all trees side by side, roughly."""
    decisions = below(trees)
    compared = sum(widths[feature] for feature, _ in {decision.condition for decision in decisions})
    heights = [tree.height for tree in trees if isinstance(tree, Decision)]
    tables = sum(1 << max(height - 6, 0) for height in heights) * outputs * leaf_bits
    return compared * _COMPARED_SHARE + len(decisions) * _DECIDED_SHARE + tables * _TABLE_SHARE


def walk(reduced: Reduced, turns: int, lo: Sequence[int], hi: Sequence[int]) -> Walk | None:
    """Levels that walk through all trees in as few turns; None if a decision has several bounds, or there is none.

    Features are raw values within ``lo`` and ``hi``.
    """
    trees = reduced.trees
    decisions = below(trees)
    if not decisions or any(len(decision.condition[1]) > 1 for decision in decisions):
        return None
    walkers = -(-len(trees) // turns)
    turns = -(-len(trees) // walkers)
    none = len(reduced.values)  # the leaf of no tree, which adds 0
    padded = [*trees, *[none] * (walkers * turns - len(trees))]
    nodes = [padded[walker::walkers] for walker in range(walkers)]
    levels = []
    for _ in range(max(decision.height for decision in decisions)):
        level, nodes = _level(nodes, none, lo, hi)
        levels.append(level)
    values = np.array([*reduced.values, [0] * len(reduced.values[0])], dtype=np.object_)
    leaves = np.stack([values[[node for node in own if isinstance(node, int)]].T for own in nodes])
    return Walk(levels, objects(leaves))


def _level(
    nodes: Sequence[Sequence[Number]], none: int, lo: Sequence[int], hi: Sequence[int]
) -> tuple[Level, list[list[Number]]]:
    """The level of ``nodes`` by walkers, and the nodes that it leads to, of which there is a power of two."""
    asked = {node.condition[0] for own in nodes for node in own if isinstance(node, Decision)}
    features = sorted(asked) or [0]
    never, always = min(lo[feature] for feature in features) - 1, max(hi[feature] for feature in features)
    paired = [_paired(own, {feature: k for k, feature in enumerate(features)}, never, always) for own in nodes]
    pair_bits = width_of(0, max(len(pairs) for _, pairs in paired) - 1)
    feature_bits = width_of(0, len(features) - 1)
    words = [
        [(bound << feature_bits | feature) << pair_bits | pair for bound, feature, pair in rows] for rows, _ in paired
    ]
    following = [
        [node for pair in [*pairs, *[(none, none)] * ((1 << pair_bits) - len(pairs))] for node in pair]
        for _, pairs in paired
    ]
    return Level(features, objects(np.array(words, np.object_)), feature_bits, pair_bits), following


def _paired(
    nodes: Sequence[Number], places: dict[int, int], never: int, always: int
) -> tuple[list[tuple[int, int, int]], list[tuple[Number, Number]]]:
    """Bound, feature and pair of each of ``nodes``, and the pairs: the node if the decision does not hold, and if it does."""
    pairs: dict[tuple[object, object], tuple[int, tuple[Number, Number]]] = {}
    ends: dict[int, tuple[int, bool]] = {}

    def pair(first: Number, second: Number) -> int:
        key = tuple(node if isinstance(node, int) else (id(node),) for node in (first, second))
        number, _ = pairs.setdefault((key[0], key[1]), (len(pairs), (first, second)))
        for node, holds in ((first, False), (second, True)):
            if isinstance(node, int):
                ends.setdefault(node, (number, holds))
        return number

    rows: dict[int, tuple[int, int, int]] = {}
    for place, node in enumerate(nodes):
        if isinstance(node, Decision):
            feature, (bound,) = node.condition
            rows[place] = bound, places[feature], pair(node.second, node.first)
    waiting = sorted({node for node in nodes if isinstance(node, int)} - ends.keys())
    for first, second in zip(waiting[::2], [*waiting[1::2], *waiting[-1:]], strict=False):
        pair(first, second)
    for place, node in enumerate(nodes):
        if isinstance(node, int):
            number, holds = ends[node]
            rows[place] = always if holds else never, 0, number
    return [rows[place] for place in range(len(nodes))], [own for _, own in pairs.values()]


def in_turn(builder: ProgramBuilder, x: Value, walk: Walk, frac: int) -> Value:
    """The sums over all trees, for each output. Tensors have an axis of turns and one of walkers, so that turns are tokens."""
    (size,), (walkers, outputs, count) = x.shape, walk.leaves.shape
    # Decisions are made with raw values, whatever the units of features.
    x = builder.shift(x, np.broadcast_to(x.type.frac, x.shape))
    tokens = _turns(builder, x, walk.levels[0])
    features = builder.slice(tokens, (0, 0), (walk.turns, size))
    words = builder.slice(tokens, (0, size), (walk.turns, size + walkers))
    address = _next(builder, features, words, walk.levels[0])
    for level in walk.levels[1:]:
        address = _next(builder, features, builder.table(address, 0, level.words, 0), level)
    address = builder.gather(address, np.repeat(np.arange(walkers), outputs), 1)
    added = builder.table(address, 0, walk.leaves.reshape(walkers * outputs, count), frac)
    return builder.sum(builder.reshape(added, (walk.turns, walkers, outputs)), (0, 1))


def _turns(builder: ProgramBuilder, x: Value, first: Level) -> Value:
    """For each turn, ``x`` and the first nodes of all walkers."""
    words = builder.apply(ops.Const(objects(first.words.T), np.zeros((1, 1), dtype=np.int64)))
    body = ProgramBuilder()
    held = body_input(body, "features", x.type)
    given = body_input(body, "nodes", step_type(words.type))
    return builder.scan(body.program([("features", held), ("result", body.concat([held, given], 0))]), [x], [words])


def _next(builder: ProgramBuilder, features: Value, words: Value, level: Level) -> Value:
    """The address that nodes lead to."""
    low, walkers = level.pair_bits, words.shape[1]
    value = builder.gather(features, np.repeat(level.features, walkers), 1)
    for bit in range(level.feature_bits):
        value = _halved(builder, value, _field(builder, words, low + bit, 1))
    holds = builder.compare(value, ops.Relation.LE, _above(builder, words, low + level.feature_bits))
    if not low:
        return holds
    pair = builder.shift(_field(builder, words, 0, low), 1)
    return builder.cast_to(builder.add(pair, holds), 0, 0, (2 << low) - 1, Rounding.TRN, Overflow.SAT)


def _halved(builder: ProgramBuilder, values: Value, odd: Value) -> Value:
    """Every second group of ``values``, from the second on if ``odd``; a last one alone stays. Groups have one per walker."""
    walkers = odd.shape[1]
    groups = np.arange(values.shape[1]).reshape(-1, walkers)
    pairs = len(groups) // 2
    even, others = (builder.gather(values, groups[first : 2 * pairs : 2].ravel(), 1) for first in (0, 1))
    chosen = builder.select(builder.gather(odd, np.tile(np.arange(walkers), pairs), 1), others, even)
    return builder.concat([chosen, builder.gather(values, groups[-1], 1)], 1) if len(groups) % 2 else chosen


def _field(builder: ProgramBuilder, words: Value, low: int, bits: int) -> Value:
    """Bits of ``words``."""
    moved = builder.shift(words, -low)
    return builder.cast_to(moved, 0, 0, (1 << bits) - 1, Rounding.TRN, Overflow.WRAP)


def _above(builder: ProgramBuilder, words: Value, low: int) -> Value:
    """Bits of ``words`` above the lowest ``low``."""
    least, most = (raw >> low for raw in words.type.raw_range)
    return builder.cast_to(builder.shift(words, -low), 0, least, most, Rounding.TRN, Overflow.SAT)
