"""Keras's products of tensors: EinsumDense, and the operations einsum, matmul, dot and tensordot."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Kind, Value
from bitsmith.frontends.files.json import is_integer, shown
from bitsmith.frontends.keras.activations import activated, read_activation
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation
from bitsmith.frontends.ops.contraction import contracted, matrix_product, tensor_product
from bitsmith.frontends.ops.equations import einsum
from bitsmith.frontends.ops.logic import common_kind
from bitsmith.layers.einsum import Equation, parse_equation
from bitsmith.layers.layer import Shape


@dataclass(frozen=True, slots=True)
class ProductShapes:
    """Tensors of an EinsumDense layer: the equation, the sizes of its axes, and the shapes of what is trained."""

    equation: Equation
    sizes: Mapping[str, int]
    kernel: Shape
    bias: Shape | None

    def bias_along(self, axes: str) -> Shape:
        """A bias begins at the first of its axes; those after that are not its own have size 1."""
        left, result = self.equation.operands[0], self.equation.result
        result = result.replace(left[:1], "")
        if not axes or not set(axes) <= set(result):
            raise UnsupportedError(f"a bias along the axes {axes!r}", accepted=f"axes of {result!r}")
        first = min(result.index(label) for label in axes)
        return tuple(self.sizes[label] if label in axes else 1 for label in result[first:])


def product_shapes(call: LayerCall) -> ProductShapes:
    """The shapes of an EinsumDense layer."""
    config, text, x = call.config, call.config.text("equation"), call.x
    parts = text.replace("->", ",").split(",")
    if len(parts) != 3 or "->" not in text:
        raise config.wrong("equation", "two operands and a result")
    equation = parse_equation(text, [x.rank, len(parts[1].strip())])
    left, right = equation.operands
    targets = (
        config.integers("output_shape") if is_integer(config.get("output_shape")) else config.items("output_shape")
    )
    sizes = dict(zip(left, x.dims, strict=True))
    # Only axes that the input does not have are taken from there; it begins after the batch, or after a leading ellipsis.
    named = parts[2].strip().replace("...", "")
    labels = named[-len(targets) :] if parts[2].strip().startswith("...") else named[1:]
    sizes |= {
        label: size
        for label, size in zip(labels, targets, strict=False)
        if label not in left and is_integer(size) and size > 0
    }
    if not set(right + equation.result) <= set(sizes):
        raise config.wrong("output_shape", f"the sizes of the axes {shown(labels)}")
    found = ProductShapes(equation, sizes, tuple(sizes[label] for label in right), None)
    if config.get("bias_axes") is None:
        return found
    return replace(found, bias=found.bias_along(config.text("bias_axes")))


def _einsum_dense(call: LayerCall) -> Value:
    shapes = product_shapes(call)
    wanted = [("kernel", shapes.kernel), *([] if shapes.bias is None else [("bias", shapes.bias)])]
    activation = read_activation(call.config, call.major)
    kernel, *bias = call.trained(*wanted)
    equation = shapes.equation
    y = contracted(call.build, equation.operands, equation.result, (call.x, kernel), 1.0, *bias)
    return activated(call.build, y, activation)


def _dot(call: LayerCall) -> Value:
    """NumPy's: the last axis of one with the last but one (or only one) of the other."""
    x, y = call.operands(2)
    return tensor_product(call.build, x, y, [x.rank - 1], [max(y.rank - 2, 0)])


def _tensordot(call: LayerCall) -> Value:
    x, y = call.operands(2)
    axes = call.config.get("axes")
    if is_integer(axes) and 0 <= axes <= min(x.rank, y.rank):
        return tensor_product(call.build, x, y, range(x.rank - axes, x.rank), range(axes))
    if isinstance(axes, list) and len(axes) == 2:
        pairs = [item if isinstance(item, list) else [item] for item in axes]
        left, right = ([axis for axis in item if is_integer(axis)] for item in pairs)
        if len(left) == len(right) == len(pairs[0]) == len(pairs[1]):
            return tensor_product(call.build, x, y, left, right)
    raise call.config.wrong("axes", "a number of axes, or the axes of both operands")


def _factors(call: LayerCall, count: int | None = None) -> tuple[Value, ...]:
    """The operands of products that Keras sums in 32 bits if all are of 8 signed ones."""
    found = call.operands(count)
    kind = common_kind(*found)
    return tuple(replace(x, kind=Kind.INT32 if kind is Kind.INT8 else kind) for x in found)


def _matmul(call: LayerCall) -> Value:
    x, y = _factors(call, 2)
    return matrix_product(call.build, x, y)


_BECOMES = "Dense, EinsumDense or Einsum"

EINSUMS: ByClass = {"EinsumDense": Translation(_einsum_dense, "Dense or EinsumDense, and its activation")}

EINSUM_OPS: ByClass = {
    "Einsum": Translation(lambda call: einsum(call.build, call.config.text("subscripts"), _factors(call)), _BECOMES),
    "Matmul": Translation(_matmul, _BECOMES),
    "Dot": Translation(_dot, _BECOMES),
    "Tensordot": Translation(_tensordot, _BECOMES),
}
