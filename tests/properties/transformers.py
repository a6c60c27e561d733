"""Random small transformers, and directives with which all of their dense layers share one engine."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.builder import builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import regions_of
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.passes.program import drop_dead

FORMAT = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)

NARROW = FixedFormat(True, 4, 1, Rounding.RND, Overflow.SAT)


def transformer(seed: int, more: int = 0, *, scaled: bool = False, after: bool = False) -> Program:
    """One block or two: attention of a few heads, a dense layer or two, sums beside both, and a mean if the seed is even.

    ``more`` tokens, heads and channels of these than a few. Normalizations may be ``scaled``, each with parameters of its own;
    then the input has fewer bits than sums, each of these has more than the one before, and what is added differs in its format.
    Normalizations come before attention and dense layers, or ``after`` the sums.
    """
    own, bits = scaled_by_token if scaled else _normalized, count(NARROW.width + 1)

    def normalized(x: Value, layer: str, *, here: bool) -> Value:
        return own(builder, x, layer) if here else x

    def added(x: Value, y: Value, layer: str) -> Value:
        number = next(bits)
        with builder.layer(layer):
            kind = FixedFormat(True, number, 2 - number % 2, Rounding.RND, Overflow.SAT) if scaled else FORMAT
            return builder.cast(builder.add(x, y), kind)

    rng, builder = np.random.default_rng(seed), ProgramBuilder()
    tokens, heads, size, blocks = (
        int(rng.integers(least, most + 1)) for least, most in ((2, 4 + more), (1, 2 + more), (1, 3 + more), (1, 2))
    )
    x = builder.input("x", (tokens, heads * size), NARROW if scaled else FORMAT)
    for block in range(blocks):
        y = attended(builder, normalized(x, f"norm{block}", here=not after), heads, rng, f"block{block}")
        x = added(x, y, f"add{block}")
        x = normalized(x, f"norm{block}", here=after)
        wide = heads * size + int(rng.integers(0, 4))
        y = dense(builder, normalized(x, f"middle{block}", here=not after), wide, rng, f"wide{block}")
        with builder.layer(f"relu{block}"):
            y = builder.max(y, builder.const(0))
        kind = FixedFormat(True, 7 - 2 * block, 2 - block, Rounding.RND, Overflow.SAT) if scaled else FORMAT
        y = dense(builder, y, heads * size, rng, f"narrow{block}", kind)
        x = added(x, y, f"sum{block}")
        x = normalized(x, f"middle{block}", here=after)
    if seed % 2 == 0:
        with builder.layer("mean"):
            x = builder.cast(builder.shift(builder.sum(x, (0,)), -2), FORMAT)
        x = dense(builder, x, 2, rng, "classes")
    return builder.program([("y", x)])


def dense(
    builder: ProgramBuilder, x: Value, columns: int, rng: np.random.Generator, layer: str, kind: FixedFormat = FORMAT
) -> Value:
    with builder.layer(layer):
        y = builder.linear(x, rng.integers(-15, 16, (x.shape[-1], columns)), 4)
        return builder.cast(builder.add(y, builder.const(rng.integers(-9, 10, columns), 3)), kind)


def _normalized(builder: ProgramBuilder, x: Value, layer: str) -> Value:
    """What each token lacks of its largest number, with a step of its own for each channel."""
    with builder.layer(layer):
        most = builder.reshape(builder.amax(x, (1,)), (x.shape[0], 1))
        frac = np.resize([2, 3], x.shape[1])
        cast = ops.Cast(frac, objects([-30]), objects([30]), Rounding.RND, Overflow.SAT)
        return builder.unify(builder.apply(cast, builder.sub(x, most)))


def scaled_by_token(builder: ProgramBuilder, x: Value, layer: str) -> Value:
    """What each token is beside its sum, times a function of its squares, times and plus numbers for each channel or for all.

    Those in the ``middle`` of a block are clipped once more.
    """
    rng = np.random.default_rng(list(layer.encode()))
    tokens, channels = x.shape

    def cast(y: Value, frac: int) -> Value:
        high, modes = int(rng.integers(9, 32)), (Rounding.RND, Overflow.SAT)
        return builder.apply(ops.Cast(np.array([frac]), objects([-high]), objects([high]), *modes), y)

    def numbers() -> Value:
        return builder.const(2 * rng.integers(1, 5, channels if rng.integers(2) else 1) + 1, int(rng.integers(0, 3)))

    with builder.layer(layer):
        shifted = builder.shift(x, int(rng.integers(1, 3)))
        total, square = (builder.sum(one, (1,)) for one in (shifted, builder.mul(x, x)))
        place = cast(builder.shift(square, int(rng.integers(-2, 0))), int(rng.integers(0, 2)))
        first, last = place.type.raw_range
        scale = builder.table(place, first, rng.integers(1, 16, last - first + 1), int(rng.integers(2, 5)))
        apart = builder.sub(builder.shift(x, -1), builder.reshape(total, (tokens, 1)))
        y = cast(builder.mul(apart, builder.reshape(scale, (tokens, 1))), int(rng.integers(1, 4)))
        if layer.startswith("middle"):  # which other normalizations need not be
            ends = objects([y.type.span.lo // 2]), objects([y.type.span.hi // 2])
            y = builder.apply(ops.Cast(np.array([y.type.span.frac]), *ends, Rounding.TRN, Overflow.SAT), y)
        y = builder.add(builder.mul(y, numbers()), numbers())
        frac, low, high = y.type.full()
        fewer = int(frac.max()) - 1
        ends = objects((low.min(axis=0)[None] >> fewer) - 1), objects((high.max(axis=0)[None] >> fewer) + 1)
        y = builder.apply(ops.Cast(np.array([1]), *ends, Rounding.RND, Overflow.SAT), y)  # beyond what each channel has
        return cast(y, int(rng.integers(1, 3)))


def attended(
    builder: ProgramBuilder, x: Value, heads: int, rng: np.random.Generator, layer: str, held: FixedFormat = FORMAT
) -> Value:
    """What heads of attention make of all tokens, with keys and values as ``held``, and a dense layer of that."""
    tokens, channels = x.shape
    kinds = {"query": FORMAT, "key": held, "value": held}
    read = [dense(builder, x, channels, rng, f"{layer}_{name}", kind) for name, kind in kinds.items()]
    apart = [builder.reshape(each, (tokens, heads, channels // heads)) for each in read]
    with builder.layer(f"{layer}_scores"):
        query, key = builder.transpose(apart[0], (1, 0, 2)), builder.transpose(apart[1], (1, 2, 0))
        scores = builder.cast(builder.matmul(query, key), FORMAT)
        most = builder.reshape(builder.amax(scores, (2,)), (heads, tokens, 1))
        scores = builder.cast(builder.sub(scores, most), FORMAT)
        scores = builder.table(scores, -32, rng.integers(0, 16, 64), 4)
    with builder.layer(f"{layer}_context"):
        context = builder.matmul(scores, builder.transpose(apart[2], (1, 0, 2)))
        context = builder.cast(builder.transpose(context, (1, 0, 2)), FORMAT)
        flat = builder.reshape(context, (tokens, channels))
    return dense(builder, flat, channels, rng, layer)


def in_few_cycles(program: Program, seed: int, rate: float) -> Directives:
    """The same with as many multipliers as leave the fewest cycles, or with a few less."""
    directives, program = in_visits(program, seed, rate), drop_dead(program, keep_probes=False)
    needed = max((region.needed for region in regions_of(builder_of(program, directives))), default=1)
    cycles = needed * int(np.random.default_rng(seed).integers(10, 30)) // 10
    tokens = program.nodes[program.inputs[0]].type.shape[0]
    dense = {node.layer: -(-cycles // tokens) for node in program.nodes if isinstance(node.op, ops.Linear)}
    return replace(directives, reuse={**directives.reuse, **dense})


def in_visits(program: Program, seed: int, rate: float) -> Directives:
    """All layers in turn, with cycles enough for attention beside them; weights come at a ``rate``."""
    rng = np.random.default_rng(seed)
    layers = frozenset(node.layer for node in program.nodes if node.layer)
    reuse = {
        layer: int(rng.integers(1, 9)) if layer.endswith(("_scores", "_context")) else int(rng.integers(200, 2000))
        for layer in sorted(layers)
    }
    shared = Directives(reuse, False, dict.fromkeys(layers, MultiplierStyle.SHARED), engine=layers)
    return replace(shared, weights_rate=rate)
