"""The table of TensorFlow Lite's operators, and what is said about those that are not in it."""

from __future__ import annotations

from bitsmith.frontends.tflite.activations import ACTIVATIONS
from bitsmith.frontends.tflite.arithmetic import ARITHMETIC
from bitsmith.frontends.tflite.call import Translation
from bitsmith.frontends.tflite.images import IMAGES
from bitsmith.frontends.tflite.normalization import NORMALIZATIONS
from bitsmith.frontends.tflite.pooling import POOLING
from bitsmith.frontends.tflite.products import PRODUCTS
from bitsmith.frontends.tflite.recurrent import RECURRENT
from bitsmith.frontends.tflite.shape import SHAPES

OPERATORS: dict[str, Translation] = {
    **ACTIVATIONS,
    **ARITHMETIC,
    **IMAGES,
    **NORMALIZATIONS,
    **POOLING,
    **PRODUCTS,
    **RECURRENT,
    **SHAPES,
}
"""Operators by name."""

_CONTROL = ("its number of steps is not fixed", "export the model with unrolled loops and fixed choices")

_REMEDIES = {
    "IF": _CONTROL,
    "WHILE": _CONTROL,
    "CALL_ONCE": ("variables are not translated", "export the model without state"),
    **dict.fromkeys(
        ("BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"),
        (
            "it takes positions for samples",
            "convert the model with a newer TensorFlow, whose convolutions have the dilation themselves",
        ),
    ),
    **dict.fromkeys(
        ("DIV", "NEG", "SUM"),
        ("its kernel works on codes without their zero points, or in floating point", "use MUL, SUB or MEAN"),
    ),
    **dict.fromkeys(
        ("LOG_SOFTMAX", "RSQRT", "SQRT"),
        ("its kernel's arithmetic is not translated", "end the model before it, and compute it in software"),
    ),
    "ELU": ("the reference kernels do not have it", "use GELU, LEAKY_RELU or RELU"),
}


def why_unknown(kind: str) -> tuple[str, str]:
    """Why an operator that is not in the table is not, and what would replace it."""
    if kind in _REMEDIES:
        return _REMEDIES[kind]
    if kind.startswith("custom operator"):
        return "custom operators belong to one runtime", "export the model with built-in operators"
    return "it is not an operator that is known here", "replace it by operators that are"
