"""The table of TensorFlow Lite's operators, and what is said about those that are not in it."""

from __future__ import annotations

from bitsmith.frontends.tflite.activations import ACTIVATIONS
from bitsmith.frontends.tflite.arithmetic import ARITHMETIC
from bitsmith.frontends.tflite.call import Translation
from bitsmith.frontends.tflite.pooling import POOLING
from bitsmith.frontends.tflite.products import PRODUCTS
from bitsmith.frontends.tflite.recurrent import RECURRENT
from bitsmith.frontends.tflite.shape import SHAPES

OPERATORS: dict[str, Translation] = {**ACTIVATIONS, **ARITHMETIC, **POOLING, **PRODUCTS, **RECURRENT, **SHAPES}
"""Operators by name."""

_CONTROL = ("its number of steps is not fixed", "export the model with unrolled loops and fixed choices")

_REMEDIES = {
    "IF": _CONTROL,
    "WHILE": _CONTROL,
    "CALL_ONCE": ("variables are not translated", "export the model without state"),
}


def why_unknown(kind: str) -> tuple[str, str]:
    """Why an operator that is not in the table is not, and what would replace it."""
    if kind in _REMEDIES:
        return _REMEDIES[kind]
    if kind.startswith("custom operator"):
        return "custom operators belong to one runtime", "export the model with built-in operators"
    return "it is not an operator that is known here", "replace it by operators that are"
