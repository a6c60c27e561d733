"""ONNX operators whose operands are constants, as those are that compute sizes."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.known import Array, Known
from bitsmith.frontends.builder.value import MAX_ELEMENTS, checked_elements
from bitsmith.frontends.onnx.call import Call, Operators, Translation


def _constant(call: Call) -> Array:
    attributes = call.attributes
    if "value_int" in attributes or "value_ints" in attributes:
        whole = attributes.integer("value_int") if "value_int" in attributes else attributes.integers("value_ints")
        return np.array(whole, dtype=np.int64)
    if "value_float" in attributes or "value_floats" in attributes:
        real = attributes.number("value_float") if "value_float" in attributes else attributes.numbers("value_floats")
        return np.array(real, dtype=np.float32)
    found = attributes.tensor("value")
    if found is None:
        raise UnsupportedError("a constant of text, or a sparse one", accepted="dense numbers")
    return found


def _constant_of_shape(call: Call) -> Array:
    found = call.attributes.tensor("value")
    value = np.zeros(1, dtype=np.float32) if found is None else found
    if value.size != 1:
        raise ModelFileError(f"{value.size} numbers for each element", where=call.attributes.where, accepted="one")
    shape = checked_elements(call.integers(0, "the shape") or ())
    call.build.draft.count(math.prod(shape), call.attributes.where)
    return np.full(shape, value.ravel()[0], dtype=value.dtype)


def _range(call: Call) -> Array:
    start, stop, step = (float(call.number(number, "a bound")) for number in range(3))
    if step == 0.0 or not abs((stop - start) / step) < MAX_ELEMENTS:
        raise UnsupportedError(f"a range from {start} to {stop} by {step}")
    count = max(math.ceil((stop - start) / step), 0)
    call.build.draft.count(count, call.attributes.where)
    return (start + step * np.arange(count)).astype(call.array(0, "the start").dtype)


def _known(compute: Callable[[Call], Array]) -> Translation:
    """Return the nodes that are computed of constants only."""

    def read(call: Call) -> Known:
        try:
            return Known((compute(call),))
        except ValueError as error:
            raise ModelFileError(f"constants that do not fit ({error})", where=call.attributes.where) from error

    return Translation(read, "a constant")


def _sides(call: Call) -> Known:
    """The sides of 0 on which numbers are."""
    return Known((np.sign(call.array(0, "the operand").astype(np.float64)).astype(np.float32),))


CONSTANTS: Operators = {
    "Constant": _known(_constant),
    "ConstantOfShape": _known(_constant_of_shape),
    "Range": _known(_range),
    "NonZero": replace(
        _known(lambda call: np.array(np.nonzero(call.array(0, "the operand")), dtype=np.int64)), judged=_sides
    ),
}
