"""The table of TensorFlow Lite's operators, and what is said about those that are not in it."""

from bitsmith.frontends.tflite.activations import ACTIVATIONS
from bitsmith.frontends.tflite.arithmetic import ARITHMETIC
from bitsmith.frontends.tflite.call import Operators, Translation
from bitsmith.frontends.tflite.graph import Operator
from bitsmith.frontends.tflite.images import IMAGES
from bitsmith.frontends.tflite.normalization import NORMALIZATIONS
from bitsmith.frontends.tflite.pooling import POOLING
from bitsmith.frontends.tflite.products import PRODUCTS
from bitsmith.frontends.tflite.recurrent import RECURRENT
from bitsmith.frontends.tflite.shape import SHAPES
from bitsmith.frontends.tflite.svdf import FILTERS

OPERATORS: Operators = {
    **ACTIVATIONS,
    **ARITHMETIC,
    **IMAGES,
    **NORMALIZATIONS,
    **POOLING,
    **PRODUCTS,
    **RECURRENT,
    **SHAPES,
    **FILTERS,
}

_CONTROL = (
    "its number of steps is not fixed",
    "export the model with unrolled loops (recurrent layers of Keras with unroll=True) and fixed choices",
)

_REMEDIES = {
    "IF": _CONTROL,
    "WHILE": _CONTROL,
    "NEG": ("its kernel works on codes without their zero points", "use SUB"),
    **dict.fromkeys(
        ("LOG_SOFTMAX", "SQRT"),
        ("its kernel's arithmetic is not translated", "end the model before it, and compute it in software"),
    ),
    "ELU": ("the reference kernels do not have it", "use GELU, LEAKY_RELU or RELU"),
}
"""Operators on codes, and those of which there is nothing."""


def translation(operator: Operator) -> Translation | None:
    """Return the translation of an operator; None if it has none for its operands."""
    entry = OPERATORS.get(operator.kind)
    if entry is None:
        return None
    return entry.codes if operator.on_codes else entry.numbers


def why_unknown(operator: Operator) -> tuple[str, str]:
    """Return why an operator has no translation, and its replacement."""
    kind = operator.kind
    if kind == "custom operator ethos-u":
        return "the file is compiled for one processor (Ethos-U, by Vela)", "give the .tflite that it was compiled from"
    if operator.is_custom:
        return "custom operators belong to one runtime", "export the model with built-in operators"
    if kind in _REMEDIES:
        return _REMEDIES[kind]
    if kind in OPERATORS:
        return "its kernel on codes is not translated", "convert the model without quantization"
    return "it is not an operator that is known here", "replace it by operators that are"
