"""Each op alone, for numbers of each representation: the emulator gives what the oracle gives, element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pytest

from bitsmith.emulate.emulator import Emulator
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.ops import Relation
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from tests.ir import oracle
from tests.properties.programs import random_stimuli, sample

WIDTHS = (5, 20, 30, 52, 62, 66, 130)
"""Within single and double precision, machine words, and several words; sums of them, or products, are of the next."""

MANY = 200
"""Times that all samples come, since numpy computes long arrays in other ways."""

UNLIKE = [[3, -2, 0], [0, 1, 7]]
"""Shifts of elements, after which rows of a channel have units of their own."""

Make = Callable[[ProgramBuilder, Value, Value], Value]


def lossy(rounding: Rounding, overflow: Overflow, build: ProgramBuilder, x: Value, _: Value) -> Value:
    """A cast that drops bits at both ends, to another ``frac`` in each element."""
    least, most = int(x.type.frac.min()), max(x.type.max_width - 4, 2)
    formats = [FixedFormat(True, most - k % 2, least + k - 2) for k in range(x.type.size)]
    parts = (np.array([getattr(f, name) for f in formats]).reshape(x.shape) for name in ("frac", "lo", "hi"))
    return build.cast_to(x, *parts, rounding, overflow)


OPS: Mapping[str, Make] = {
    "add": lambda build, x, y: build.add(x, y),
    "sub": lambda build, x, y: build.sub(x, y),
    "mul": lambda build, x, y: build.mul(x, y),
    "max": lambda build, x, y: build.max(x, y),
    "min": lambda build, x, y: build.min(x, y),
    "max with a number": lambda build, x, _: build.max(x, build.const(3)),
    "min with a number": lambda build, x, _: build.min(build.const(-3), x),
    "sum of a number": lambda build, x, _: build.add(x, build.const(3, 1)),
    "product by numbers": lambda build, x, _: build.mul(x, build.const([3, 0, -1], [2, 0, 1])),
    "neg": lambda build, x, _: build.neg(x),
    "abs": lambda build, x, _: build.abs(x),
    "shift": lambda build, x, _: build.shift(x, UNLIKE),
    "select": lambda build, x, y: build.select(build.compare(x, Relation.LT, build.const(0)), x, y),
    "select by the number": lambda build, x, y: build.select(build.sub(x, y), build.const([[1], [2]]), y),
    "sum": lambda build, x, _: build.sum(x, [0]),
    "amax": lambda build, x, _: build.amax(x, [1]),
    "linear": lambda build, x, _: build.linear(x, [[3, -1], [0, 5], [-7, 2]], [[0, 1], [0, 2], [0, 0]]),
    "wide linear": lambda build, x, _: build.linear(x, [[3 << 70, -1], [0, 5 << 66], [-7, 1 - (1 << 69)]]),
    "matmul": lambda build, x, y: build.matmul(build.aligned(x), build.transpose(build.aligned(y), (1, 0))),
    "transpose": lambda build, x, _: build.transpose(x, (1, 0)),
    "slice": lambda build, x, _: build.slice(x, (0, 2), (2, 3)),
    "concat": lambda build, x, y: build.concat([y, x], 1),
    "pad": lambda build, x, _: build.pad(x, (0, 1), (1, 0)),
    "gather": lambda build, x, _: build.gather(x, [[2, 0], [1, 1]], 1),
    "broadcast": lambda build, x, _: build.broadcast(x, (2, 2, 3)),
    "window": lambda build, x, _: build.window(x, (2,), (1,), (1,), ((1, 1),)),
    "window over unlike rows": lambda build, x, y: build.window(
        build.concat([build.shift(x, UNLIKE), y], 0), (2,), (1,), (2,), ((1, 0),)
    ),
    "aligned": lambda build, x, _: build.aligned(build.shift(x, UNLIKE)),
    **{
        f"compare {relation}": partial(lambda r, build, x, y: build.compare(x, r, y), relation) for relation in Relation
    },
    **{
        f"cast {rounding} {overflow}": partial(lossy, rounding, overflow)
        for rounding, overflow in [
            *((rounding, Overflow.SAT) for rounding in Rounding),
            *((Rounding.RND_CONV, overflow) for overflow in Overflow),
        ]
    },
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", OPS)
def test_each_op(name: str, width: int) -> None:
    """Of two operands whose elements have units of their own, among them equal ones."""
    build = ProgramBuilder()
    formats = [FixedFormat(signed, width, frac) for signed, frac in ((True, 3), (True, 1), (False, 3))]
    x, y = build.input("x", (2, 3), *formats), build.input("y", (2, 3), *reversed(formats))
    program = build.program([("r", OPS[name](build, x, y))])
    stimuli = random_stimuli(program, width, 12)
    stimuli[1][4:6] = stimuli[0][4:6] & 3  # near 0
    stimuli[0][5], stimuli[1][6:8] = stimuli[1][5], np.flip(stimuli[0][6:8], 2)
    stimuli[1] = np.clip(stimuli[1], [f.lo for f in reversed(formats)], [f.hi for f in reversed(formats)])
    (found,) = Emulator(program).run_raw(stimuli)
    (many,) = Emulator(program, threads=1).run_raw([np.tile(x, (MANY, 1, 1)) for x in stimuli])
    assert np.array_equal(many, np.tile(found, (MANY, *(1 for _ in found.shape[1:]))))
    for index in range(12):
        (wanted,) = oracle.evaluate(program, sample(stimuli, index))
        assert np.asarray(found)[index].tolist() == np.asarray(wanted).tolist(), index


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [(9, 30), (12, 45), (5, 52)])
def test_products_of_channels_of_few_and_of_many_bits(bits: tuple[int, int], signed: bool) -> None:
    """Only those of many are multiplied in pieces."""
    rng, builder = np.random.default_rng(sum(bits)), ProgramBuilder()
    formats = [FixedFormat(signed, size, 0) for size in bits]
    parts = [builder.input(f"x{size}", (2, 3), fmt) for size, fmt in zip(bits, formats, strict=True)]
    weights = rng.integers(-(1 << 44), 1 << 44, (6, 4)) | 1
    program = builder.program([("y", builder.linear(builder.concat(parts, 1), weights))])
    raws = [rng.integers(fmt.lo, fmt.hi, (20, 2, 3), endpoint=True) for fmt in formats]
    (found,) = Emulator(program).run_raw(raws)
    assert found.tolist() == (objects(np.concatenate(raws, axis=2)) @ objects(weights)).tolist()


@pytest.mark.parametrize("width", [6, 20])
def test_products_of_large_matrices_are_those_of_integers(width: int) -> None:
    """The oracle would take long: numpy's integers have room here."""
    shapes, rng, build = {"x": (2, 33, 35), "y": (2, 35, 31)}, np.random.default_rng(width), ProgramBuilder()
    factors = [build.input(name, shape, FixedFormat(True, width, 0)) for name, shape in shapes.items()]
    emulator = Emulator(build.program([("z", build.matmul(*factors))]))
    x, y = (rng.integers(-(2 ** (width - 1)), 2 ** (width - 1), (3, *shape)) for shape in shapes.values())
    (z,) = emulator.run_raw([x, y])
    assert np.array_equal(np.asarray(z), x @ y)
