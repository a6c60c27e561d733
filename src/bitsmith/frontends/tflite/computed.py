"""Operators on constants that depend on the number of samples: computed for several, and judged for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.counted import computed
from bitsmith.frontends.builder.known import Array, Known
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.tflite.call import Call, Results, Translation, Translator
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.layers.layer import as_weights


def constants(entry: Translation, call: Call) -> Results | None:
    """Return the results of an operator on such constants; None of one that has other operands, or only plain constants.

    Raises:
        UnsupportedError: they are not affine in the number of samples.
    """
    known = [value for value in call.values if isinstance(value, Known)]
    others = (value for value in call.values if isinstance(value, Value))
    if not known or not all(value.is_trained for value in others):
        return None
    read, judged = (None if one is None else partial(_results_of, one, call) for one in (entry.read, entry.judged))
    assert read is not None
    results, _ = computed(known, call.build.counts, read, judged)
    return tuple(one for one in results if one is not None)


def _results_of(read: Translator, call: Call, known: Sequence[Array], count: int) -> tuple[None, list[Array]]:
    """The results of an operator whose constants are ``known``, for so many samples."""
    left = (constant(as_weights(array), kind=Kind.of(array.dtype)) for array in known)
    values = tuple(next(left) if isinstance(value, Known) else value for value in call.values)
    made = read(replace(call, values=values, build=replace(call.build, samples=count)))
    listed = made if isinstance(made, tuple) else (made,)
    return None, [_array(*pair) for pair in zip(listed, call.operator.outputs, strict=False)]


def _array(result: Value | Known, tensor: Tensor) -> Array:
    """A result as the file has it; codes have no zero point here, and so more bits."""
    if isinstance(result, Known):
        return result.array()
    if result.constant is None:
        raise UnsupportedError("constants that are not computed at once", accepted="operands that depend on an input")
    return result.constant if tensor.quantization is not None else result.constant.astype(tensor.dtype)
