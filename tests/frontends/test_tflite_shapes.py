"""TensorFlow Lite's operators that move elements do to constants, of numbers and of codes, what NumPy does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.known import Known
from bitsmith.frontends.builder.value import MAX_ELEMENTS, Batch, Value, constant
from bitsmith.frontends.tflite.call import Call
from bitsmith.frontends.tflite.graph import Operator, Options
from bitsmith.frontends.tflite.requantize import Kernels
from bitsmith.frontends.tflite.shape import SHAPES
from bitsmith.frontends.tflite.tensors import Quantization, Tensor
from bitsmith.layers.layer import as_weights

Array = npt.NDArray[np.generic]

ZERO = -3
"""The zero point of codes here."""


def tensor(array: Array, codes: bool = False) -> Tensor:
    """A constant of the file; of int8 with a zero point if it has ``codes``."""
    grid = Quantization(np.array([0.5], np.float32), np.array([ZERO]), 0) if codes else None
    return Tensor(0, "t", array.dtype.name, array.shape, array.shape, grid, memoryview(array.tobytes()), "t")


def applied(kind: str, operands: list[Array], codes: bool = False, results: int = 1, **options: object) -> list[Array]:
    """The results of an operator on ``operands``: those of int8 have codes, of which values here have no zero point."""
    inputs = tuple(tensor(array, codes and array.dtype == np.int8) for array in operands)
    values = tuple(
        constant(as_weights(array.astype(np.float64) - (ZERO if one.quantization else 0)))
        for array, one in zip(operands, inputs, strict=True)
    )
    result = tensor(np.zeros((1,), np.int8 if codes else np.float32), codes)
    operator = Operator(kind, inputs, (result,) * results, (), Options(options, "t"), "t")
    entry = SHAPES[kind].codes if codes else SHAPES[kind].numbers
    assert entry is not None
    made = entry.read(Call(operator, values, Builder(Draft(), 0, "t", samples=1), Kernels.SINGLE))
    found = []
    for value in made if isinstance(made, tuple) else (made,):
        if isinstance(value, Known):
            found.append(value.array())
            continue
        assert value.constant is not None
        found.append(np.broadcast_to(value.constant, value.dims) + (ZERO if codes else 0))
    return found


def integers(*values: int) -> Array:
    return np.array(values, dtype=np.int32)


def drawn(rng: np.random.Generator, shape: tuple[int, ...], codes: bool) -> Array:
    values = rng.integers(-100, 100, shape)
    return values.astype(np.int8) if codes else values.astype(np.float32)


Drawn = tuple[list[Array], dict[str, object], "list[Array] | Array"]


def _slice(x: Array, rng: np.random.Generator) -> Drawn:
    starts = [int(rng.integers(0, size)) for size in x.shape]
    sizes = [int(rng.integers(1, size - start + 1)) for start, size in zip(starts, x.shape, strict=True)]
    given = [-1 if rng.integers(2) else size for size in sizes]
    parts = tuple(slice(start, None if size < 0 else start + size) for start, size in zip(starts, given, strict=True))
    return [x, integers(*starts), integers(*given)], {}, x[parts]


def _strided_slice(x: Array, rng: np.random.Generator) -> Drawn:
    """As NumPy slices, but that an axis of one index stays in ``taken`` until the end."""
    names = ("begin", "end", "shrink_axis", "ellipsis", "new_axis")
    masks, listed, taken, gone = dict.fromkeys(names, 0), list[tuple[int, int, int]](), x, []
    for axis, size in enumerate(x.shape):
        stride = int(rng.choice([1, 2, -1]))
        start, end = (int(rng.integers(-size, size)) for _ in range(2))
        if rng.integers(4) == 0:
            masks["shrink_axis"] |= 1 << axis
            gone.append(axis)
            index = slice(start % size, start % size + 1)
        else:
            open_ends = [bool(rng.integers(2)) for _ in range(2)]
            part = slice(None if open_ends[0] else start, None if open_ends[1] else end, stride)
            if len(range(*part.indices(size))) == 0:
                open_ends, part = [True, True], slice(None, None, stride)
            masks["begin"] |= open_ends[0] << axis
            masks["end"] |= open_ends[1] << axis
            index = part
        listed.append((start, end, stride))
        taken = taken[(slice(None),) * axis + (index,)]
    operands = [x, *(integers(*each) for each in zip(*listed, strict=True))]
    return (
        operands,
        {**{f"{name}_mask": mask for name, mask in masks.items()}, "offset": False},
        taken.squeeze(tuple(gone)),
    )


def _pad(x: Array, rng: np.random.Generator) -> Drawn:
    pairs = rng.integers(0, 3, (x.ndim, 2)).astype(np.int32)
    zero = ZERO if x.dtype == np.int8 else 0
    return [x, pairs], {}, np.pad(x, pairs, constant_values=zero)


def _pad_with(x: Array, rng: np.random.Generator) -> Drawn:
    pairs, value = rng.integers(0, 3, (x.ndim, 2)).astype(np.int32), drawn(rng, (), x.dtype == np.int8)
    return [x, pairs, value], {}, np.pad(x, pairs, constant_values=value.item())


def _mirror(x: Array, rng: np.random.Generator) -> Drawn:
    mode = str(rng.choice(["REFLECT", "SYMMETRIC"]))
    most = [size - (mode == "REFLECT") for size in x.shape]
    pairs = np.array([rng.integers(0, size + 1, 2) for size in most], dtype=np.int32)
    return [x, pairs], {"mode": mode}, np.pad(x, pairs, mode=mode.lower())  # type: ignore[call-overload]


def _split(x: Array, rng: np.random.Generator) -> Drawn:
    axis = int(rng.integers(-x.ndim, x.ndim))
    parts = int(rng.choice([part for part in range(1, x.shape[axis] + 1) if x.shape[axis] % part == 0]))
    return [integers(axis), x], {}, np.split(x, parts, axis)


def _split_v(x: Array, rng: np.random.Generator) -> Drawn:
    axis = int(rng.integers(-x.ndim, x.ndim))
    ends = sorted({0, x.shape[axis], *rng.integers(0, x.shape[axis] + 1, 2).tolist()})
    lengths = [end - start for start, end in pairwise(ends)]
    given = [*lengths]
    if rng.integers(2):
        given[int(rng.integers(len(given)))] = -1
    return [x, integers(*given), integers(axis)], {}, np.split(x, ends[1:-1], axis)


def _pack(x: Array, rng: np.random.Generator) -> Drawn:
    axis, others = int(rng.integers(-x.ndim - 1, x.ndim + 1)), [x, x[::-1].copy(), x]
    return others, {"axis": axis}, np.stack(others, axis)


def _unpack(x: Array, rng: np.random.Generator) -> Drawn:
    axis = int(rng.integers(-x.ndim, x.ndim))
    return [x], {"axis": axis}, [x.take(k, axis) for k in range(x.shape[axis])]


def _gather(x: Array, rng: np.random.Generator) -> Drawn:
    axis = int(rng.integers(-x.ndim, x.ndim))
    places = rng.integers(0, x.shape[axis], tuple(rng.integers(1, 3, int(rng.integers(1, 3))))).astype(np.int32)
    return [x, places], {"axis": axis, "batch_dims": 0}, x.take(places, axis)


def _transpose(x: Array, rng: np.random.Generator) -> Drawn:
    order = rng.permutation(x.ndim)
    return [x, order.astype(np.int32)], {}, x.transpose(order)


def _reverse(x: Array, rng: np.random.Generator) -> Drawn:
    axes = rng.choice(x.ndim, int(rng.integers(1, x.ndim + 1)), replace=False)
    return [x, axes.astype(np.int32)], {}, np.flip(x, axes)


def _tile(x: Array, rng: np.random.Generator) -> Drawn:
    counts = rng.integers(1, 4, x.ndim)
    return [x, counts.astype(np.int32)], {}, np.tile(x, counts)


def _broadcast(x: Array, rng: np.random.Generator) -> Drawn:
    part, shape = x[(slice(1),) * (x.ndim - 1)], (2, *x.shape)
    return [part, integers(*shape)], {}, np.broadcast_to(part, shape)


def _expand(x: Array, rng: np.random.Generator) -> Drawn:
    axis = int(rng.integers(-x.ndim - 1, x.ndim + 1))
    return [x, integers(axis)], {}, np.expand_dims(x, axis)


def _squeeze(x: Array, rng: np.random.Generator) -> Drawn:
    y = x[:, None, :, None] if x.ndim == 2 else x[None]
    axes = [axis for axis in range(y.ndim) if y.shape[axis] == 1]
    chosen = axes[: int(rng.integers(0, len(axes) + 1))]
    return [y], {"squeeze_dims": chosen}, y.squeeze(tuple(chosen) or None)


def _reshape(x: Array, rng: np.random.Generator) -> Drawn:
    shape = [int(size) for size in rng.permutation([*x.shape, 1])]
    given = [*shape]
    if rng.integers(2):
        given[int(rng.integers(len(given)))] = -1
    return (
        ([x], {"new_shape": given}, x.reshape(shape))
        if rng.integers(2)
        else ([x, integers(*given)], {}, x.reshape(shape))
    )


def _fill(x: Array, rng: np.random.Generator) -> Drawn:
    value = x.ravel()[0].reshape([(), (1,)][int(rng.integers(2))])
    return [integers(*x.shape), value], {}, np.full(x.shape, value.item())


MOVES: dict[str, Callable[[Array, np.random.Generator], Drawn]] = {
    "BROADCAST_TO": _broadcast,
    "EXPAND_DIMS": _expand,
    "FILL": _fill,
    "GATHER": _gather,
    "MIRROR_PAD": _mirror,
    "PACK": _pack,
    "PAD": _pad,
    "PADV2": _pad_with,
    "RESHAPE": _reshape,
    "REVERSE_V2": _reverse,
    "SLICE": _slice,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SQUEEZE": _squeeze,
    "STRIDED_SLICE": _strided_slice,
    "TILE": _tile,
    "TRANSPOSE": _transpose,
    "UNPACK": _unpack,
}


@pytest.mark.parametrize("codes", [False, True])
@pytest.mark.parametrize("kind", MOVES)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 1 << 32))
def test_elements_are_where_numpy_puts_them(kind: str, codes: bool, shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    operands, options, expected = MOVES[kind](drawn(rng, tuple(shape), codes), rng)
    listed = expected if isinstance(expected, list) else [expected]
    found = applied(kind, operands, codes, len(listed), **options)
    assert [one.shape for one in found] == [one.shape for one in listed]
    assert all(np.array_equal(one, other) for one, other in zip(found, listed, strict=True))


@given(st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([-3, -2, -1, 1, 2, 5]))
def test_ranges_are_numpy_s(start: int, stop: int, step: int) -> None:
    bounds = [np.array(bound, dtype=np.float32) for bound in (start, stop, step)]
    if (stop - start) / step <= -1:
        with pytest.raises(ModelFileError, match=f"a range from {start} to {stop} in steps of {step}"):
            applied("RANGE", bounds)
        return
    (found,) = applied("RANGE", bounds)
    assert found.tolist() == np.arange(start, stop, step).tolist()


def test_sizes_are_those_of_the_operand() -> None:
    x = np.zeros((2, 1, 3), dtype=np.float32)
    assert [applied(kind, [x])[0].tolist() for kind in ("SHAPE", "RANK")] == [[2, 1, 3], 3]
    assert applied("ZEROS_LIKE", [x + 1])[0].tolist() == x.tolist()


@pytest.mark.parametrize(
    ("kind", "others", "words"),
    [
        ("FILL", [integers(2, -1), np.float32(1.0).reshape(())], r"a constant of shape \(2, -1\)"),
        ("FILL", [integers(MAX_ELEMENTS, 2), np.float32(1.0).reshape(())], r"a constant of shape \(16777216, 2\)"),
        ("FILL", [integers(2), np.ones(2, np.float32)], r"a value of shape \(2,\)"),
        ("RESHAPE", [np.ones(2, np.float32), integers(-2)], r"the new shape \(-2,\)"),
        ("TILE", [np.ones(2, np.float32), integers(0)], r"repetitions \(0,\)"),
        ("TILE", [np.ones(2, np.float32), integers(1, 1)], r"repetitions \(1, 1\)"),
        ("BROADCAST_TO", [np.ones(2, np.float32), integers(0, 2)], r"the new shape \(0, 2\)"),
        ("PAD", [np.ones(2, np.float32), integers(0, -1)], r"padding \(0, -1\) of 1 axes"),
        ("PAD", [np.ones(2, np.float32), integers(0, 1, 0)], r"padding \(0, 1, 0\) of 1 axes"),
        (
            "PADV2",
            [np.ones(2, np.float32), integers(0, 1), np.ones(2, np.float32)],
            r"a value of padding of shape \(2,\)",
        ),
        ("SLICE", [np.ones(2, np.float32), integers(0, 1), integers(1)], "2 starts and 1 sizes"),
        ("SPLIT", [integers(0), np.ones(3, np.float32)], "in 2 parts of axis 0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(kind: str, others: list[Array], words: str) -> None:
    with pytest.raises(BitsmithError, match=words):
        applied(kind, others, results=2 if kind == "SPLIT" else 1)


def test_sizes_of_zero_and_the_greatest_number_of_elements_are_allowed() -> None:
    one = np.float32(1.0).reshape(())
    assert applied("FILL", [integers(2, 0), one])[0].shape == (2, 0)
    assert applied("PAD", [np.ones(2, np.float32), integers(0, 0)])[0].shape == (2,)
    assert applied("BROADCAST_TO", [one.reshape(1), integers(1)])[0].shape == (1,)


@pytest.mark.parametrize("sizes", [(4,), (4, 3), (3, 2, 2), (8, 2, 2)])
def test_samples_that_are_not_the_blocks_of_one_are_refused(sizes: tuple[int, ...]) -> None:
    """Of two axes in blocks of 2 by 2, after the axis that has them."""
    inputs = tuple(tensor(array) for array in (np.zeros(sizes, np.float32), integers(2, 2), integers(0, 0, 0, 0)))
    values = (Value(0, sizes, Batch(0, sizes[0])), constant(np.full(2, 2.0)), constant(np.zeros(4)))
    operator = Operator("BATCH_TO_SPACE_ND", inputs, inputs[:1], (), Options({}, "t"), "t")
    entry = SHAPES["BATCH_TO_SPACE_ND"].numbers
    assert entry is not None
    with pytest.raises(UnsupportedError, match=r"blocks of .2, 2. of axes"):
        entry.read(Call(operator, values, Builder(Draft(), 0, "t", samples=1), Kernels.SINGLE))
