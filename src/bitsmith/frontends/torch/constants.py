"""PyTorch's tensors that are given rather than computed."""

import math
from collections.abc import Callable

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value, checked_elements, constant, typed
from bitsmith.frontends.files.json import integer
from bitsmith.frontends.ops import selection, shape
from bitsmith.frontends.torch.call import STORAGE, Call, Counted, Numbered, Result, Translation, Unknown, function
from bitsmith.layers.layer import Floats


def _typed(call: Call, numbers: Floats | float) -> Value:
    """Numbers in the type of the result."""
    return typed(numbers, call.kind_of_result() or Kind.REAL)


def _filled(value: float | None) -> Translation:
    """A constant tensor of a shape that is given; None is the argument ``fill_value``."""
    return _of_shape(lambda call: _typed(call, call.number("fill_value") if value is None else value))


def _of_shape(number: Callable[[Call], Value]) -> Translation:
    """A ``number`` in all places of a shape that is given."""

    def read(call: Call) -> Result:
        call.ignore("self")  # of which only the type counts
        sizes = call.shapes("size") if call.given("size") else call.build.sizes(call.tensor())
        return shape.expand(call.build, number(call), sizes)

    return Translation(read, "Constant").ignoring(*STORAGE)


def _unwritten(call: Call) -> Value:
    """NaN of any type, which stands for what nothing has been written to yet."""
    return constant(math.nan, kind=call.kind_of_result() or Kind.REAL)


def _is_nan(call: Call) -> Result:
    """False, of what is always a number."""
    return shape.expand(call.build, constant(0.0, kind=Kind.BOOL), call.build.sizes(call.number_always()))


def _arange(call: Call) -> Result:
    start, step = call.number("start", 0.0), call.number("step", 1.0)
    if call.is_size("end"):
        why, ends = "places that are counted over all samples of a batch (arange)", call.size_of(call.get("end"))
        if not (start.is_integer() and step.is_integer() and step):
            return (Unknown(why),)
        ranges = tuple(range(int(start), end, int(step)) for end in ends)
        every = ranges == tuple(map(range, call.build.counts))
        return ((Numbered if every else Counted)(why, ranges),)
    end = call.number("end")
    fractions = not (start.is_integer() and step.is_integer()) and call.kind_of_result() not in (None, Kind.REAL)
    if step == 0.0 or fractions or not abs((end - start) / step) < 1 << 20:
        raise UnsupportedError(f"a range {'of integers ' * fractions}from {start} to {end} by {step}")
    return constant(np.arange(start, end, step))


def _linspace(call: Call) -> Result:
    (steps,) = checked_elements((call.integer("steps"),))
    return _typed(call, np.linspace(call.number("start"), call.number("end"), steps))


def _eye(call: Call) -> Result:
    rows, columns = checked_elements((call.integer("n"), call.integer("m", call.integer("n"))))
    return constant(np.eye(rows, columns))


_NUMBER = Translation(lambda call: _typed(call, call.number(call.named("s", "data", "self"))), "Constant").ignoring(
    *STORAGE
)
_TRIANGLE = "Constant or Multiply"

CONSTANTS: dict[str, Translation] = {
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), _filled(0.0)),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), _filled(1.0)),
    **dict.fromkeys(("empty", "empty_like", "new_empty"), _of_shape(_unwritten)),
    **dict.fromkeys(("full", "full_like", "new_full"), _filled(None)),
    **dict.fromkeys(("isnan", "isinf"), Translation(_is_nan, "Constant")),
    "arange": Translation(_arange, "Constant").ignoring(*STORAGE),
    "linspace": Translation(_linspace, "Constant").ignoring(*STORAGE),
    "tril": function(selection.lower_triangle, _TRIANGLE, integer("diagonal", 0)),
    "triu": function(selection.upper_triangle, _TRIANGLE, integer("diagonal", 0)),
    "eye": Translation(_eye, "Constant").ignoring(*STORAGE),
    **dict.fromkeys(("item", "scalar_tensor"), _NUMBER),
}
"""Operators by name."""
