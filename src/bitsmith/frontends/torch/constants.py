"""PyTorch's tensors that are given rather than computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, checked_elements, constant
from bitsmith.frontends.torch.call import Call, Result, Translation, Translator
from bitsmith.frontends.torch.shape import expanded
from bitsmith.frontends.torch.sizes import Size
from bitsmith.layers.layer import Floats, as_weights


def _filled(value: float | None) -> Translator:
    """A constant tensor of a shape that is given; None is the argument ``fill_value``."""

    def read(call: Call) -> Result:
        number = call.number("fill_value") if value is None else value
        like = call.node.name.endswith("_like")
        sizes = [Size(n) for n in call.tensor().dims] if like else list(call.sizes("size"))
        if like and call.tensor().batch is not None:
            x = call.tensor()
            return Value(as_weights(np.full(x.shape, number)), x.shape, x.batch)
        checked_elements(tuple(size.count for size in sizes))
        if any(size.batched for size in sizes):
            thin = constant(np.full([1 if size.batched else size.count for size in sizes], number))
            return expanded(call, thin, sizes)
        return constant(np.full([size.count for size in sizes], number))

    return read


def _arange(call: Call) -> Result:
    start, step = call.number("start", 0.0), call.number("step", 1.0)
    end = call.number("end")
    if step == 0.0 or not abs((end - start) / step) < 1 << 20:
        raise UnsupportedError(f"a range from {start} to {end} by {step}")
    return constant(np.arange(start, end, step))


def _linspace(call: Call) -> Result:
    steps = call.integer("steps")
    checked_elements((steps,))
    return constant(np.linspace(call.number("start"), call.number("end"), steps))


def _triangle(keep: Callable[[Floats, int], Floats]) -> Translator:
    def read(call: Call) -> Result:
        x = call.tensor()
        if x.constant is None or x.batch is not None:
            raise UnsupportedError(
                "a triangle of what is computed from the inputs",
                accepted="constants",
                remedy="multiply by a constant mask",
            )
        values = x.constant
        kept = keep(np.ones(values.shape[-2:]), call.integer("diagonal", 0))
        return constant(np.where(kept != 0.0, values, 0.0))

    return read


def _eye(call: Call) -> Result:
    rows, columns = call.integer("n"), call.integer("m", call.integer("n"))
    checked_elements((rows, columns))
    return constant(np.eye(rows, columns))


def _given(call: Call) -> Result:
    return constant(call.number("s" if call.given("s") else "data"))


def _item(call: Call) -> Result:
    """The number that a constant holds."""
    values = call.weight("self")
    if values.size != 1:
        raise UnsupportedError(f"{values.size} numbers taken as one")
    return constant(float(values.reshape(())))


CONSTANTS: dict[str, Translation] = {
    **{
        name: Translation(_filled(value), "Constant")
        for value, names in (
            (0.0, ("zeros", "zeros_like", "new_zeros")),
            (1.0, ("ones", "ones_like", "new_ones")),
            (None, ("full", "full_like", "new_full")),
        )
        for name in names
    },
    "arange": Translation(_arange, "Constant"),
    "linspace": Translation(_linspace, "Constant"),
    "tril": Translation(_triangle(np.tril), "Constant"),
    "triu": Translation(_triangle(np.triu), "Constant"),
    "eye": Translation(_eye, "Constant"),
    "item": Translation(_item, "Constant"),
    "scalar_tensor": Translation(_given, "Constant"),
}
"""Operators by name."""
