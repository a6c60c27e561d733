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
    """The sums over all trees, for each output."""
    (size,), (walkers, outputs, _) = x.shape, walk.leaves.shape
    # Decisions are made with raw values, whatever the units of features.
    x = builder.shift(x, np.broadcast_to(x.type.frac, x.shape))
    tokens = _turns(builder, x, walk.levels[0])
    words = _part(builder, tokens, size, walkers)
    words = builder.reshape(words, (walk.turns, walkers, 1))
    features = builder.reshape(_part(builder, tokens, 0, size), (walk.turns, 1, size))
    address = _next(builder, features, words, walk.levels[0])
    for level in walk.levels[1:]:
        address = _next(builder, features, builder.table(address, 0, level.words[:, None], 0), level)
    address = builder.broadcast(address, (walk.turns, walkers, outputs))
    return builder.sum(builder.table(address, 0, walk.leaves, frac), (0, 1))


def _turns(builder: ProgramBuilder, x: Value, first: Level) -> Value:
    """For each turn, ``x`` and the first nodes of all walkers."""
    words = builder.apply(ops.Const(objects(first.words.T), np.zeros((1, 1), dtype=np.int64)))
    body = ProgramBuilder()
    held = body_input(body, "features", x.type)
    given = body_input(body, "nodes", step_type(words.type))
    return builder.scan(body.program([("features", held), ("result", body.concat([held, given], 0))]), [x], [words])


def _part(builder: ProgramBuilder, tokens: Value, first: int, size: int) -> Value:
    return builder.slice(tokens, (0, first), (tokens.shape[0], first + size))


def _next(builder: ProgramBuilder, features: Value, words: Value, level: Level) -> Value:
    """The address that nodes lead to."""
    offered = builder.gather(features, level.features, 2)
    value, low = offered, level.pair_bits
    for bit in range(level.feature_bits):
        value = _halved(builder, value, _field(builder, words, low + bit, 1))
    bound = _above(builder, words, low + level.feature_bits)
    holds = builder.compare(value, ops.Relation.LE, bound)
    if not level.pair_bits:
        return holds
    pair = builder.shift(_field(builder, words, 0, low), 1)
    return builder.cast_to(builder.add(pair, holds), 0, 0, (2 << low) - 1, Rounding.TRN, Overflow.SAT)


def _halved(builder: ProgramBuilder, values: Value, odd: Value) -> Value:
    """Every second one of ``values`` along the last axis, from the second on if ``odd``; a last one alone stays."""
    *rest, count = values.shape
    pairs = count // 2
    start, stop = (0,) * len(rest), tuple(rest)
    even, others = (
        builder.slice(values, (*start, first), (*stop, 2 * pairs - 1 + first), (*(1,) * len(rest), 2))
        for first in (0, 1)
    )
    chosen = builder.select(odd, others, even)
    if count % 2 == 0:
        return chosen
    last = builder.slice(values, (*start, count - 1), (*stop, count))
    walkers = chosen.shape[1]
    return builder.concat([chosen, builder.broadcast(last, (rest[0], walkers, 1))], 2)


def _field(builder: ProgramBuilder, words: Value, low: int, bits: int) -> Value:
    """Bits of ``words``."""
    moved = builder.shift(words, -low)
    return builder.cast_to(moved, 0, 0, (1 << bits) - 1, Rounding.TRN, Overflow.WRAP)


def _above(builder: ProgramBuilder, words: Value, low: int) -> Value:
    """What is above ``low`` bits of ``words``."""
    _, lo, hi = words.type.full()
    return builder.cast_to(
        builder.shift(words, -low), 0, int(lo.min()) >> low, int(hi.max()) >> low, Rounding.TRN, Overflow.SAT
    )
