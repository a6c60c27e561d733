"""Types of moved elements: the same as if every element had its own, and no larger than they need to be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.errors import ProgramError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.types import TensorType, objects

Move = Callable[[np.ndarray], np.ndarray]


@st.composite
def types(draw: st.DrawFn, shape: tuple[int, ...]) -> TensorType:
    """A type whose arrays vary along some of the axes only."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    parts = [rng.integers(0, 3, [n if draw(st.booleans()) else 1 for n in shape]) for _ in range(3)]
    return TensorType.of(shape, parts[0], parts[1] - 4, parts[2])


def shapes_of(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    fits = [s for rank in (1, 2, 3, 4) for s in np.ndindex(*(5,) * rank) if math.prod(s) == size]
    return st.sampled_from(sorted(fits)) if fits else st.just((size,))


@settings(max_examples=200)
@given(st.data())
def test_types_move_as_elements_do(data: st.DataObject) -> None:
    shape = data.draw(shapes_of(data.draw(st.sampled_from([1, 2, 6, 12, 16, 24]))))
    rank = len(shape)
    axis = data.draw(st.integers(0, rank - 1))
    x, y = data.draw(types(shape)), data.draw(types(shape))
    target = data.draw(shapes_of(math.prod(shape)))
    perm = tuple(data.draw(st.permutations(range(rank))))
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    step = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    indices = np.array(data.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=4, max_size=4))).reshape(2, 2)
    box = tuple(map(slice, start, stop, step))
    cases: list[tuple[ops.Op, Move]] = [
        (ops.Reshape(target), lambda part: part.reshape(target)),
        (ops.Transpose(perm), lambda part: part.transpose(perm)),
        (ops.Slice(start, stop, step), lambda part: part[box]),
        (ops.Gather(indices, axis), lambda part: np.take(part, indices, axis)),
    ]
    for op, move in cases:
        parts = [objects(move(part)) for part in x.full()]
        assert infer(op, [x]) == TensorType.of(parts[0].shape, *parts)
    parts = [objects(np.concatenate(pair, axis=axis)) for pair in zip(x.full(), y.full(), strict=True)]
    assert infer(ops.Concat(axis), [x, y]) == TensorType.of(parts[0].shape, *parts)


def test_large_tensors_of_small_types_take_no_time() -> None:
    x = TensorType.of((128, 128, 3, 3, 64), np.arange(64), -1, 1)
    start = time.process_time()
    flat = infer(ops.Reshape((128, 128, 576)), [x])
    part = infer(ops.Slice((0, 0, 0), (128, 128, 64), (1, 1, 1)), [flat])
    turned = infer(ops.Transpose((2, 0, 1)), [infer(ops.Concat(1), [part, part])])
    assert turned.shape == (64, 128, 256) and turned.frac.shape == (64, 1, 1)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "op",
    [
        ops.Reshape((5,)),
        ops.Reshape((-2, -3)),
        ops.Transpose((0, 0)),
        ops.Slice((0, 0), (3, 3), (1, 1)),
        ops.Gather(np.array([3]), 1),
        ops.Concat(2),
    ],
    ids=str,
)
def test_moves_that_do_not_fit_are_refused(op: ops.Op) -> None:
    with pytest.raises(ProgramError):
        infer(op, [TensorType.of((2, 3), 0, 0, 1)])
    with pytest.raises(ProgramError):
        infer(ops.Concat(0), [TensorType.of((2, 3), 0, 0, 1), TensorType.of((2, 4), 0, 0, 1)])
