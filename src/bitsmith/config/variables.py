"""The variables whose format a user may choose, and which of them a ``default`` precision reaches."""

from __future__ import annotations

from bitsmith.layers.layer import Layer

ALL_VARIABLES = (
    "result",
    "weight",
    "bias",
    "scale",
    "accum",
    "mean",
    "variance",
    "table",
    "exp_table",
    "inv_table",
    "inv_inp",
    "param",
    "slope",
    "shift",
)
"""Every layer's ``precisions``."""

_DEFAULTED = frozenset({"result", "weight", "bias", "scale"})


def takes_default(variable: str, layer: Layer) -> bool:
    """Whether ``default`` applies to ``variable`` of ``layer``.

    Trained tensors and results, yes; the accumulator only of layers that multiply by trained weights: elsewhere a
    format meant for results would cut sums that are wider by nature (the exponentials of a softmax, an average). Tables
    and the constants of a function need formats of their own.
    """
    return variable in _DEFAULTED or (variable == "accum" and "weight" in layer.precisions)
