"""Keras's products of tensors: EinsumDense, and the operations einsum, matmul, dot and tensordot.

Their equations count the batch axis. It must be the first axis of every tensor and of the result, and in no constant; then it
is left out.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import is_integer, shown
from bitsmith.frontends.keras.activations import activated, read_activation
from bitsmith.frontends.keras.call import LayerCall, Translation, checked_size, joining
from bitsmith.layers.einsum import Einsum, EinsumDense, Equation, parse_equation
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights


def _einsum_dense(call: LayerCall) -> Value:
    config, text = call.config, call.config.text("equation")
    parts = text.replace("->", ",").split(",")
    if len(parts) != 3 or "->" not in text:
        raise config.wrong("equation", "two operands and a result")
    equation = _per_sample(parse_equation(text, [len(call.shape) + 1, len(parts[1].strip())]), (0,))
    left, right = equation.operands
    given = config.integers("output_shape") if is_integer(config.get("output_shape")) else config.items("output_shape")
    sizes = dict(zip(left, call.shape, strict=True))
    # Only axes that the input does not have are taken from there; it begins behind the batch, or behind a leading ellipsis.
    named = parts[2].strip().replace("...", "")
    labels = named[-len(given) :] if parts[2].strip().startswith("...") else named[1:]
    sizes |= {
        label: size
        for label, size in zip(labels, given, strict=False)
        if label not in left and is_integer(size) and size > 0
    }
    if not set(right + equation.result) <= set(sizes):
        raise config.wrong("output_shape", f"the sizes of the axes {shown(labels)}")
    kernel = tuple(sizes[label] for label in right)
    checked_size(tuple(sizes[label] for label in equation.result), call.where)
    wanted: list[tuple[str, Shape]] = [("kernel", checked_size(kernel, call.where))]
    if config.get("bias_axes") is not None:
        wanted.append(("bias", _bias_shape(config.text("bias_axes"), equation.result, sizes)))
    activation = read_activation(config, call.major)
    y = call.build.emit(EinsumDense(str(equation), *call.weights(*wanted)), call.values[0])
    return activated(call.build, y, activation)


def _bias_shape(axes: str, result: str, sizes: dict[str, int]) -> Shape:
    """The bias begins at the first of its axes; those behind that are not its own have size 1."""
    if not axes or not set(axes) <= set(result):
        raise UnsupportedError(f"a bias along the axes {axes!r}", accepted=f"axes of {result!r}")
    first = min(result.index(label) for label in axes)
    return tuple(sizes[label] if label in axes else 1 for label in result[first:])


def _per_sample(equation: Equation, tensors: Sequence[int]) -> Equation:
    """``equation`` without the batch axis, for operands of which ``tensors`` are no constants."""
    batch = equation.operands[tensors[0]][:1]
    constants = [labels for k, labels in enumerate(equation.operands) if k not in tensors]
    fits = all(equation.operands[k].startswith(batch) for k in tensors) and equation.result.startswith(batch)
    if not batch or not fits or any(batch in labels for labels in constants):
        raise UnsupportedError(
            f"{equation}, which mixes samples", accepted="a first axis that all tensors and the result share"
        )
    if len(equation.result) == 1:
        raise UnsupportedError(
            f"{equation}, which leaves one number per sample", accepted="results with at least one axis"
        )
    operands = (labels[1:] if k in tensors else labels for k, labels in enumerate(equation.operands))
    return Equation(tuple(operands), equation.result[1:])


def _product(equation: Equation, constants: Sequence[Floats | None]) -> Layer:
    """The layer that computes ``equation``, which counts the batch axis."""
    tensors = [k for k, values in enumerate(constants) if values is None]
    if not 1 <= len(constants) <= 2 or not tensors:
        raise UnsupportedError(f"a product of {len(constants)} operands", accepted="one or two, not both constant")
    equation = _per_sample(equation, tensors)
    if len(tensors) == len(constants):
        return Einsum(str(equation))
    (tensor,) = tensors
    kernel = constants[1 - tensor]
    left, right = equation.operands[tensor], equation.operands[1 - tensor]
    assert kernel is not None
    alone = tuple(axis for axis, label in enumerate(right) if label not in left + equation.result)
    right = "".join(label for axis, label in enumerate(right) if axis not in alone)
    return EinsumDense(f"{left},{right}->{equation.result}", as_weights(kernel.sum(axis=alone)))


def _ranks(call: LayerCall, constants: Sequence[Floats | None]) -> list[int]:
    """Axes of each operand; those of tensors with the batch axis."""
    shapes = iter(call.shapes)
    return [len(next(shapes)) + 1 if values is None else values.ndim for values in constants]


def _einsum(call: LayerCall) -> Layer:
    constants = call.constants
    return _product(parse_equation(call.config.text("subscripts"), _ranks(call, constants)), constants)


def _binary(equation: Callable[[LayerCall, int, int], Equation]) -> Translation:
    """An operation of two operands whose ranks (batch axis included) say the equation."""

    def read(call: LayerCall) -> Layer:
        constants = call.constants
        ranks = _ranks(call, constants)
        if len(ranks) != 2 or min(ranks) < 1:
            raise UnsupportedError(f"a product of {len(ranks)} operands", accepted="two with at least one axis each")
        if sum(ranks) > len(string.ascii_letters):
            raise UnsupportedError(f"operands of {ranks} axes")
        parsed = equation(call, *ranks)
        thin = [
            _without_ones(labels, values, parsed) for labels, values in zip(parsed.operands, constants, strict=True)
        ]
        return _product(Equation(tuple(labels for labels, _ in thin), parsed.result), [values for _, values in thin])

    return Translation(joining(read), "Einsum, or EinsumDense with a constant")


def _without_ones(labels: str, values: Floats | None, equation: Equation) -> tuple[str, Floats | None]:
    """A constant without axes of size 1 that broadcast along another operand's."""
    if values is None:
        return labels, None
    ones = {
        label
        for label, size in zip(labels, values.shape, strict=True)
        if size == 1 and label in equation.result and all(label in term for term in equation.operands)
    }
    kept = "".join(label for label in labels if label not in ones)
    return kept, values.reshape([size for label, size in zip(labels, values.shape, strict=True) if label in kept])


def _matmul(call: LayerCall, left: int, right: int) -> Equation:
    """NumPy's: matrices in the last two axes (one in the last, if there is no other), the leading axes broadcast."""
    row, shared, column, *rest = tuple(string.ascii_letters)
    most = max(left, right) - 2
    leading = "".join(rest[: max(most, 0)])
    x = leading[len(leading) - max(left - 2, 0) :] + (row if left > 1 else "") + shared
    y = leading[len(leading) - max(right - 2, 0) :] + shared + (column if right > 1 else "")
    return Equation((x, y), leading + (row if left > 1 else "") + (column if right > 1 else ""))


def _dot(call: LayerCall, left: int, right: int) -> Equation:
    """NumPy's: the last axis of one with the last but one (or only one) of the other."""
    return _contracted(left, right, [left - 1], [max(right - 2, 0)])


def _tensordot(call: LayerCall, left: int, right: int) -> Equation:
    axes = call.config.get("axes")
    if is_integer(axes):
        if not 0 <= axes <= min(left, right):
            raise call.config.wrong("axes", "as many axes as both operands have")
        return _contracted(left, right, list(range(left - axes, left)), list(range(axes)))
    if isinstance(axes, list) and len(axes) == 2:
        pair = [item if isinstance(item, list) else [item] for item in axes]
        numbers = [
            [axis % rank for axis in item if is_integer(axis) and -rank <= axis < rank]
            for item, rank in zip(pair, (left, right), strict=True)
        ]
        if list(map(len, numbers)) == list(map(len, pair)) and len(numbers[0]) == len(numbers[1]):
            return _contracted(left, right, *numbers)
    raise call.config.wrong("axes", "a number of axes, or the axes of both operands")


def _contracted(left: int, right: int, x_axes: Sequence[int], y_axes: Sequence[int]) -> Equation:
    """The product summed over pairs of axes; the others of the first come before those of the second."""
    letters = string.ascii_letters
    x, y = letters[:left], list(letters[left : left + right])
    for i, j in zip(x_axes, y_axes, strict=True):
        y[j] = x[i]
    free = [label for k, label in enumerate(x) if k not in x_axes] + [
        label for k, label in enumerate(y) if k not in y_axes
    ]
    if len(set(x_axes)) != len(x_axes) or len(set(y_axes)) != len(y_axes):
        raise UnsupportedError("a product over one axis twice", accepted="each axis once")
    return Equation((x, "".join(y)), "".join(free))


EINSUMS: dict[str, Translation] = {"EinsumDense": Translation(_einsum_dense, "EinsumDense, and its activation")}
"""Layers by class name."""

EINSUM_OPS: dict[str, Translation] = {
    "Einsum": Translation(joining(_einsum), "Einsum, or EinsumDense with a constant"),
    "Matmul": _binary(_matmul),
    "Dot": _binary(_dot),
    "Tensordot": _binary(_tensordot),
}
"""Operations by class name."""
