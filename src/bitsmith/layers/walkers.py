"""The circuit of walkers through trees: a token for each turn, and in it the way of each walker's tree, level by level.

A recurrence whose state is the operand gives it again in each turn, beside the first nodes. All else is done alike in each turn,
so that it becomes one pipeline; the sum is over turns and walkers.
"""

from __future__ import annotations

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.infer import step_type
from bitsmith.ir.types import Overflow, Rounding, objects
from bitsmith.layers.recurrent_cell import body_input
from bitsmith.layers.walks import Level, Walk


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
