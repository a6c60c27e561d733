"""Sizes that a model of Keras 2 computes with: constants, which may depend on the number of samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, assert_never

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.counted import check_affine
from bitsmith.frontends.builder.known import Array, Known, value_of
from bitsmith.frontends.builder.value import Kind, Value, checked_elements
from bitsmith.frontends.files.json import Fields, Json, is_integer
from bitsmith.frontends.keras.operands import Constant, Operands

# Arrays, and plain values as the file has them, whose types numpy finds out.
Computed: TypeAlias = Any

SHAPE = "compat.v1.shape"
"""The operation whose operand may be any tensor."""


def _item(x: Computed, slice_spec: Json = None, **_: Computed) -> Computed:
    listed = slice_spec if isinstance(slice_spec, list) else [slice_spec]
    return np.asarray(x)[tuple(map(_index, listed))]


def _index(item: Json) -> Computed:
    if isinstance(item, np.ndarray):
        raise TypeError("an index that is computed")  # opened lists no longer say which end of a slice it is
    if not isinstance(item, dict):
        return item
    if item.get("class_name") == "__ellipsis__":
        return ...
    inner = item.get("config")
    ends = inner if isinstance(inner, dict) else item
    return slice(*(ends.get(key) for key in ("start", "stop", "step")))


def _vector(*sizes: Computed) -> tuple[int, ...]:
    return checked_elements(tuple(int(size) for one in sizes for size in np.ravel(one)))


def _full(number: float) -> Callable[..., Computed]:
    return lambda *shape, dtype="float32", **_: np.full(_vector(*shape), number, dtype)


def _range(start: Computed, limit: Computed = None, delta: Computed = 1, **_: Computed) -> Computed:
    first, last = (0, start) if limit is None else (start, limit)
    _vector(max(np.ceil((last - first) / delta), 0))
    return np.arange(first, last, delta)


def _repeated(x: Computed, repeats: Computed, axis: int | None = None, **_: Computed) -> Computed:
    _vector(np.size(x), repeats)
    return np.repeat(x, repeats, axis)


def _tiled(x: Computed, multiples: Computed, **_: Computed) -> Computed:
    _vector(np.shape(x), multiples)
    return np.tile(x, np.ravel(multiples))


def _two(compute: Callable[[Computed, Computed], Computed]) -> Callable[..., Computed]:
    return lambda x, y, **_: compute(x, y)


SIZES: Mapping[str, Callable[..., Computed]] = {
    SHAPE: lambda x, **_: np.array(np.shape(x)),
    "__operators__.getitem": _item,
    **{f"math.{name}": _two(getattr(np, name)) for name in ("add", "subtract", "multiply", "maximum", "minimum")},
    "__operators__.add": _two(np.add),
    **dict.fromkeys(("math.truediv", "math.divide"), _two(np.true_divide)),
    **dict.fromkeys(("math.floordiv", "compat.v1.floor_div"), _two(np.floor_divide)),
    "math.floormod": _two(np.mod),
    "math.sqrt": lambda x, **_: np.sqrt(x),
    "math.reduce_prod": lambda x, axis=None, keepdims=None, **_: np.prod(x, axis, keepdims=bool(keepdims)),
    "cast": lambda x, dtype, **_: np.asarray(x).astype(dtype),
    "concat": lambda *items, axis=0, **_: np.concatenate([np.atleast_1d(one) for one in items], axis),
    "stack": lambda *items, axis=0, **_: np.stack(items, axis),
    "unstack": lambda x, **_: tuple(x),
    "expand_dims": lambda x, axis, **_: np.expand_dims(x, axis),
    **dict.fromkeys(
        ("gather", "compat.v1.gather"), lambda x, indices, axis=0, **_: np.take(x, np.ravel(indices), axis or 0)
    ),
    "reshape": lambda x, shape, **_: np.reshape(x, np.ravel(shape)),
    "range": _range,
    "fill": lambda *shape, value, **_: np.full(_vector(*shape), value),
    "zeros": _full(0),
    "ones": _full(1),
    "broadcast_to": lambda x, shape, **_: np.broadcast_to(x, _vector(shape)),
    "repeat": _repeated,
    "tile": _tiled,
}
"""Operations of TensorFlow on sizes alone, by their names."""


def sizes_of(config: Fields, operands: Operands[Value | Known], counts: Sequence[int]) -> tuple[Known, ...] | None:
    """The results of one of the :data:`SIZES`, for these numbers of samples, of sizes alone; None of all else.

    Raises:
        ModelFileError: operands that do not fit.
    """
    function = config.get("function")
    if not isinstance(function, str) or function not in SIZES or not operands.tensors:
        return None
    if function != SHAPE and not all(isinstance(one, Known) for one in operands.tensors):
        return None

    def compute(arrays: Sequence[Array] | None, k: int, count: int) -> list[Array]:
        left = None if arrays is None else iter(arrays)
        args = [_at(item, k, count, left) for item in operands.args]
        named = {key: [_at(item, k, count, left) for item in items] for key, items in operands.kwargs.items()}
        try:
            found = SIZES[function](*args, **{key: one[0] if len(one) == 1 else one for key, one in named.items()})
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise config.error(f"sizes that do not fit ({error})") from error
        return [np.asarray(one) for one in (found if isinstance(found, tuple) else (found,))]

    rows = [compute(None, k, count) for k, count in enumerate(counts)]
    results = tuple(Known.of(column) for column in zip(*rows, strict=True))
    known = [one for one in operands.tensors if isinstance(one, Known)]
    if any(not one.fixed for one in known):
        check_affine(known, results, counts, lambda arrays, many: compute(arrays, 0, many))
    return results


def _at(item: Value | Known | Constant, k: int, count: int, left: Iterator[Array] | None) -> Computed:
    match item:
        case Constant():
            return item.value
        case Known():
            return item.at[k % len(item.at)] if left is None else next(left)
        case Value():
            return np.broadcast_to(0.0, item.sizes(count))  # whose elements nothing reads
        case _:
            assert_never(item)


def resolved(operands: Operands[Value | Known], counts: Sequence[int]) -> Operands[Value]:
    """Operands whose sizes are plain values, None where they are the number of samples, or constants that grow with it."""
    args = tuple(_plain(item, counts) for item in operands.args)
    listed = {key: tuple(_plain(item, counts) for item in items) for key, items in operands.kwargs.items()}
    return Operands(args, {key: _closed(items, operands.kwargs[key]) for key, items in listed.items()})


def _closed(items: tuple[Value | Constant, ...], before: Sequence[object]) -> tuple[Value | Constant, ...]:
    """A list of integers that was opened for its sizes as one plain value."""
    plain = all(isinstance(item, Known) or (isinstance(item, Constant) and is_integer(item.value)) for item in before)
    values = [item.value for item in items if isinstance(item, Constant)]
    whole = plain and len(values) == len(items) > 1
    return (Constant(values),) if whole else items


def _plain(item: Value | Known | Constant, counts: Sequence[int]) -> Value | Constant:
    if not isinstance(item, Known):
        return item
    if item.fixed:
        return Constant(item.array().tolist())
    if item.kind is Kind.REAL or item.at[0].ndim > 1 or len({array.shape for array in item.at}) > 1:
        return value_of(item, counts)
    sizes = [_size(column, counts) for column in zip(*(np.ravel(array).tolist() for array in item.at), strict=True)]
    return Constant(sizes if item.at[0].ndim else sizes[0])


def _size(sizes: Sequence[int], counts: Sequence[int]) -> Json:
    if len({*sizes}) == 1:
        return sizes[0]
    if list(sizes) != [*counts]:
        found = f"a size that is {', '.join(map(str, sizes))} for {', '.join(map(str, counts))} samples"
        raise UnsupportedError(found, accepted="the number of samples itself, and sizes that do not depend on it")
    return None
