"""Tensors of translations under each operator and protocol of Python and NumPy: what NumPy means, or an error with a remedy."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_custom_layers import ROW, X, Y, _onnx

from bitsmith.custom import Call, Tensor
from bitsmith.errors import UnsupportedError
from bitsmith.frontends.custom.operators import UFUNCS
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.layer import Floats

Z = np.round(X * 2) / 2
"""With elements that are equal to others and to numbers."""


def evaluated(translate: Callable[..., Any], x: Floats = X) -> Floats:
    """The result of a function of tensors x (3, 4), y (4,) and the constant w (4,)."""

    def made(call: Call) -> Tensor:
        found = translate(*call.inputs)
        return (
            found
            if isinstance(found, Tensor)
            else call.constant(np.asarray(found, dtype=float)) + call.inputs[0].sum() * 0.0
        )

    network = read_onnx(_onnx(), ReadOptions(layers={"my.ops::Mine": made}))
    return network.evaluate([x, Y])[network.outputs[0]]


BINARY = {
    name: getattr(operator, name)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "eq", "ne", "lt", "le", "gt", "ge")
}
NUMPY = {
    "+x": lambda x, y, w: +x,
    "~": lambda x, y, w: ~(x > y),
    "and": lambda x, y, w: (x > 0) & (x < 1),
    "or": lambda x, y, w: (x < 0) | (y > 1) | (x == y),
    "xor": lambda x, y, w: (x < 0) ^ (y > 0),
    "and a constant": lambda x, y, w: np.array([True, False, True, True]) & (x > 0),
    "divmod": lambda x, y, w: divmod(x, 0.75)[0] + divmod(x, 0.75)[1] * 2.0,
    "power of a number": lambda x, y, w: 2**x + 3.0**y,
    "power of an array": lambda x, y, w: np.exp(x * 0) ** 2,
    "round": lambda x, y, w: np.rint(x) if isinstance(x, np.ndarray) else round(x),
    "floor": lambda x, y, w: np.floor(x) if isinstance(x, np.ndarray) else math.floor(x),
    "ceil": lambda x, y, w: np.ceil(x) if isinstance(x, np.ndarray) else math.ceil(x),
    "trunc": lambda x, y, w: np.trunc(x) if isinstance(x, np.ndarray) else math.trunc(x),
    "sum of rows": lambda x, y, w: sum(x),
    "rows": lambda x, y, w: [row * k for k, row in enumerate(x)][2],
    "unpacked": lambda x, y, w: (lambda a, b, c: a - b * c)(*x),
    "reversed": lambda x, y, w: next(iter(reversed(x))),
    "in place": lambda x, y, w: operator.iadd(x * 1.0, y),
    "list": lambda x, y, w: x[[0, 1]],
    "negative list": lambda x, y, w: x[[-1, 0, 0]],
    "list beside a slice": lambda x, y, w: x[1:, [3, 0]],
    "list beside dots": lambda x, y, w: x[..., [3, 0]],
    "array": lambda x, y, w: x[np.array([2, 0])],
    "truth values": lambda x, y, w: x[[True, False, True]],
    "NumPy's integer": lambda x, y, w: x[np.int64(1), np.int32(-1)],
    "new axes": lambda x, y, w: (
        [x[None], x[:, None], x[..., None]][1]
        + (x.expand(0).expand(-1)[0, :, :, 0] + x.expand(2)[..., 0] if isinstance(x, Tensor) else 2.0 * x)[:, None]
    ),
    "reshaped": lambda x, y, w: x.reshape(1, -1).reshape(-1, 2, 3).reshape(6, 2),
    "transposed": lambda x, y, w: x.transpose() * 2.0 + x.transpose(-1, 0),
    "new axis after dots": lambda x, y, w: x[..., None, 1],
    "constant of one element as an index": lambda x, y, w: x[int(w[0])],
    "constant as an index of a list": lambda x, y, w: (
        x * [1.0, 2.0, 3.0, 4.0][int(w[0]) if isinstance(w, np.ndarray) else w[0]]
    ),
    "choice by a constant": lambda x, y, w: x if w[3] > 2.0 else y,
    "constant as a number": lambda x, y, w: x * float(w[1]),
    "a NumPy number": lambda x, y, w: np.float64(2.0) * x - np.float32(0.5),
    "mask": lambda x, y, w: x * np.array([True, False, True, True]),
    "truth beside a number": lambda x, y, w: (x > 0) * 3.0 - (x > 1) / 2.0,
    "sum of truths as numbers": lambda x, y, w: (x > 0) * 1.0 + (x > 1) * 1.0,
    "equals": lambda x, y, w: x.equals(y) * 1.0 if isinstance(x, Tensor) else (x == y) * 1.0,
    "equals a number": lambda x, y, w: x.equals(0.5) * 1.0 if isinstance(x, Tensor) else (x == 0.5) * 1.0,
    "truths": lambda x, y, w: (x > 0) == (y > 0),
    "lists": lambda x, y, w: (
        operator.add(x, [1.0, 2.0, 3.0, 4.0]) if isinstance(x, Tensor) else x + np.array([1.0, 2.0, 3.0, 4.0])
    ),
}


def expected(operation: Callable[..., Any], x: Floats) -> Floats:
    return np.stack([np.asarray(operation(one, other, ROW), dtype=float) for one, other in zip(x, Y, strict=True)])


@pytest.mark.parametrize("x", [X, Z], ids=["any", "equal"])
@pytest.mark.parametrize("name", BINARY)
def test_binary_operators(name: str, x: Floats) -> None:
    apply = BINARY[name]
    for operation in (
        lambda a, y, w: apply(a, abs(y) + 0.5),
        lambda a, y, w: apply(a, 0.5),
        lambda a, y, w: apply(1.5, abs(a) + 0.5),
        lambda a, y, w: apply(w, abs(a) + 0.5),
        lambda a, y, w: apply(np.array(ROW), abs(a) + 0.5),
    ):
        np.testing.assert_allclose(evaluated(operation, x), expected(operation, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NUMPY)
def test_other_operators_and_protocols(name: str) -> None:
    np.testing.assert_allclose(evaluated(NUMPY[name], Z), expected(NUMPY[name], Z), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", UFUNCS)
def test_functions_of_numpy(name: str) -> None:
    function = getattr(np, name)

    def operands(x: Any, y: Any) -> tuple[Any, ...]:
        base = abs(x) + 0.5 if name in ("log", "sqrt", "reciprocal", "power") else x
        if name.startswith(("bitwise", "invert")):
            base, y = x > 0.5, y > 0.5
        if name == "matmul":
            return base, y
        return (base, abs(y) + 0.5 if name in ("divide", "floor_divide", "remainder") else y)[: function.nin]

    np.testing.assert_allclose(
        evaluated(lambda x, y, w: function(*operands(x, y)), Z),
        expected(lambda x, y, w: function(*operands(x, y)), Z),
        rtol=1e-9,
        atol=1e-9,
    )


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "if": (lambda x, y, w: x if x > 0 else y, r"where\(condition"),
    "not": (lambda x, y, w: not x, r"where\(condition"),
    "and": (lambda x, y, w: x > 0 and x < 1, "& | ~"),
    "or": (lambda x, y, w: x > 0 or x < 1, "& | ~"),
    "chain": (lambda x, y, w: 0 < x < 1, "a < b < c"),
    "max": (lambda x, y, w: max(x, -x), "maximum"),
    "min": (lambda x, y, w: min(x, -x), "minimum"),
    "max of rows": (lambda x, y, w: max(x), "maximum"),
    "sorted": (lambda x, y, w: sorted(x), "where"),
    "any": (lambda x, y, w: any(x), "where"),
    "assert": (lambda x, y, w: bool(x.sum() == 3), "where"),
    "in": (lambda x, y, w: 0.5 in x, r"\(x == y\)\.max\(\)"),
    "in a list": (lambda x, y, w: x in [y, w], "where"),
    "float": (lambda x, y, w: float(x.sum()), "the tensor itself"),
    "int": (lambda x, y, w: int(x.sum()), "math.trunc"),
    "complex": (lambda x, y, w: complex(x.sum()), "the tensor itself"),
    "math": (lambda x, y, w: math.exp(x.sum()), "the tensor itself"),
    "index": (lambda x, y, w: [1, 2, 3][x.sum()], "chooses"),
    "range": (lambda x, y, w: range(x.sum()), "chooses"),
    "index of a fraction": (lambda x, y, w: [1, 2, 3][(w * 0.0 + 0.5)[0]], "round it"),
    "round to decimals": (lambda x, y, w: round(x, 2), "power of two"),
    "power with modulus": (lambda x, y, w: pow(x, 2, 3), r"x\*\*y % z"),
    "shift": (lambda x, y, w: x << 1, "power of two"),
    "shifted": (lambda x, y, w: 1 >> x, "power of two"),
    "bits of reals": (lambda x, y, w: x & y, "bits of"),
    "not of reals": (lambda x, y, w: ~x, "bits of"),
    "assign": (lambda x, y, w: operator.setitem(x, 0, 1.0), "another tensor"),
    "delete": (lambda x, y, w: operator.delitem(x, 0), "another tensor"),
    "format": (lambda x, y, w: f"{x:.2f}", "shows its shape"),
    "array": (lambda x, y, w: np.asarray(x), "call.constant"),
    "array of tensors": (lambda x, y, w: np.array([x, y]), "call.constant"),
    "numpy.sum": (lambda x, y, w: np.sum(x), "methods of the tensor"),
    "numpy.where": (lambda x, y, w: np.where(x > 0, x, y), "bitsmith.custom"),
    "numpy.concatenate": (lambda x, y, w: np.concatenate([x, x]), "bitsmith.custom"),
    "torch.tanh": (lambda x, y, w: torch.tanh(x), "methods of the tensor"),
    "torch's relu": (lambda x, y, w: torch.nn.functional.relu(x), "methods of the tensor"),
    "torch.stack": (lambda x, y, w: torch.stack([x, x]), "methods of the tensor"),
    "torch's tensor beside it": (lambda x, y, w: torch.zeros(4) + x, "methods of the tensor"),
    "numpy.sin": (lambda x, y, w: np.sin(x), "of NumPy there are"),
    "out": (lambda x, y, w: np.add(x, y, out=np.zeros((3, 4))), "with out"),
    "reduce": (lambda x, y, w: np.add.reduce(x), "of NumPy there are"),
    "array in place": (lambda x, y, w: operator.iadd(np.zeros((3, 4)), x), "with out"),
    "text": (lambda x, y, w: x + "1", "numbers"),
    "None": (lambda x, y, w: x == None, "numbers"),  # noqa: E711
    "object": (lambda x, y, w: x * object(), "numbers"),
    "complex number": (lambda x, y, w: x + 1j, "real numbers"),
    "ragged": (lambda x, y, w: operator.add(x, [[1.0], [1.0, 2.0]]), "numbers"),
    "huge": (lambda x, y, w: x + 10**400, "numbers"),
    "nothing": (lambda x, y, w: operator.add(x, []), "numbers"),
    "float index": (lambda x, y, w: x[0.5], "integers, slices"),
    "text index": (lambda x, y, w: x["a"], "integers, slices"),
    "tensor index": (lambda x, y, w: x[y.sum()], "chooses"),
    "condition as an index": (lambda x, y, w: x[x > 0], "chooses"),
    "truth as an index": (lambda x, y, w: x[True], "integers, slices"),
    "short mask": (lambda x, y, w: x[[True, False]], "integers, slices"),
    "beyond": (lambda x, y, w: x[3], "integers below 3"),
    "list beyond": (lambda x, y, w: x[[0, 3]], "integers below 3"),
    "list of floats": (lambda x, y, w: x[[0.0, 1.0]], "integers, slices"),
    "two lists": (lambda x, y, w: x[[0, 1], [1, 2]], "one list"),
    "list and integer": (lambda x, y, w: x[[0, 1], 2], r"x\[\[0, 1\]\]\[:, 2\]"),
    "step of 0": (lambda x, y, w: x[::0], "integers, slices"),
    "slice of floats": (lambda x, y, w: x[0.5:], "integers, slices"),
    "new axis beyond": (lambda x, y, w: x.expand(3), "-3 to 2"),
    "new axis before": (lambda x, y, w: x.expand(-4), "-3 to 2"),
    "axis beyond": (lambda x, y, w: x.sum(2), "-2 to 1"),
    "axis before": (lambda x, y, w: x.sum(-3), "-2 to 1"),
    "axis twice": (lambda x, y, w: x.transpose(0, -2), "each of them once"),
    "shape of other elements": (lambda x, y, w: x.reshape(5, -1), "elements"),
    "too many axes": (lambda x, y, w: x[0, 0, 0], "its own axes"),
    "two dots": (lambda x, y, w: x[..., 0, ...], "its own axes"),
    "length": (lambda x, y, w: len(x.sum()), "tensors with axes"),
    "rows of a number": (lambda x, y, w: list(x.sum()), "tensors with axes"),
    "power of a negative number": (lambda x, y, w: (-2.0) ** x, "positive bases"),
    "by zero": (lambda x, y, w: x // 0.0, "other constants"),
    "remainder by zero": (lambda x, y, w: x % 0.0, "other constants"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_a_remedy(name: str) -> None:
    operation, said = REFUSED[name]
    with pytest.raises(UnsupportedError, match=said):
        evaluated(operation)


def test_tensors_are_keys_and_are_found_by_what_they_are() -> None:
    def translate(call: Call) -> Tensor:
        x, y, _ = call.inputs
        known = {x: 2.0, y: 3.0}
        assert known[x] == 2.0 and x in (x, y) and f"{x}" == "Tensor(shape=(3, 4))"
        return x * known[x]

    network = read_onnx(_onnx(), ReadOptions(layers={"my.ops::Mine": translate}))
    np.testing.assert_array_equal(network.evaluate([X, Y])[network.outputs[0]], X * 2.0)


LEFT_TO_OBJECT = {
    *(
        "__class__",
        "__delattr__",
        "__dir__",
        "__doc__",
        "__getattribute__",
        "__getstate__",
        "__init__",
        "__init_subclass__",
    ),
    *("__new__", "__reduce__", "__reduce_ex__", "__repr__", "__setattr__", "__setstate__", "__sizeof__", "__str__"),
    *("__subclasshook__", "__getnewargs__", "__class_getitem__", "__getformat__", "__hash__", "__deepcopy__"),
}
INSTEAD = {
    # In place: Python falls back to the plain operator, which gives another tensor.
    *(
        f"__i{name}__"
        for name in (
            "add",
            "sub",
            "mul",
            "truediv",
            "floordiv",
            "mod",
            "pow",
            "matmul",
            "and",
            "or",
            "xor",
            "lshift",
            "rshift",
        )
    ),
    *(
        "__array_finalize__",
        "__array_interface__",
        "__array_prepare__",
        "__array_priority__",
        "__array_struct__",
        "__array_wrap__",
    ),
    *("__array_namespace__", "__dlpack__", "__dlpack_device__", "__buffer__", "__release_buffer__"),
}


@pytest.mark.parametrize("kind", [int, float, list, np.ndarray, np.float64])
def test_no_protocol_of_numbers_and_lists_is_forgotten(kind: type) -> None:
    """A protocol that nobody defines ends in an error of Python's, or in another meaning."""
    protocols = {name for name in dir(kind) if name.startswith("__") and name.endswith("__")}
    defined = {name for one in Tensor.__mro__ if one is not object for name in vars(one)}
    assert protocols - LEFT_TO_OBJECT - INSTEAD - defined == set()


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copies_belong_to_the_same_model(make: Callable[[Tensor], Tensor]) -> None:
    np.testing.assert_array_equal(evaluated(lambda x, y, w: make(x) + x), X * 2)


@pytest.mark.parametrize("exchanged", [False, True])
@pytest.mark.parametrize("rank", range(1, 6))
@pytest.mark.parametrize("other_rank", range(1, 6))
def test_matrix_products_are_numpy_s_whatever_the_ranks(rank: int, other_rank: int, exchanged: bool) -> None:
    """Leading axes are those of the operand that has more."""

    def shape(axes: int, *last: int) -> tuple[int, ...]:
        return (*(1, 2, 1)[5 - axes :], *last) if axes > 1 else last[-1:]

    own = shape(rank, 2, 3)
    inner = own[-2] if exchanged and rank > 1 else 3
    other = np.random.default_rng(0).normal(
        size=shape(other_rank, 5, inner) if exchanged or other_rank == 1 else shape(other_rank, inner, 5)
    )

    def product(x: Any, y: object, w: object) -> Any:
        x = x.reshape(12)[: math.prod(own)].reshape(*own)
        return other @ x if exchanged else x @ other

    np.testing.assert_allclose(evaluated(product), expected(product, X), rtol=1e-9, atol=1e-9)
