"""The variables whose format a user may choose, and which of them a ``default`` precision reaches."""

from bitsmith.layers.layer import Layer
from bitsmith.layers.table import LAYERS

ALL_VARIABLES = tuple(sorted({variable for layer in LAYERS.values() for variable in layer.precisions}))
"""Every layer's ``precisions``."""

OF_PARTS = {
    **{f"{part}_{name}": (part, name) for part in ("forward", "backward") for name in ("weight", "bias")},
    **{
        f"{part}_recurrent_{name}": (part, f"recurrent_{name}")
        for part in ("forward", "backward")
        for name in ("weight", "bias")
    },
    "depthwise": ("depthwise", "weight"),
    "depthwise_accum": ("depthwise", "accum"),
    "depthwise_result": ("depthwise", "result"),
    "dw_output": ("depthwise", "result"),
}
"""Other tools' variables of a layer that is several here: the part that they are of, and what it calls them."""

ALIASES = {"pointwise": "weight", "pointwise_accum": "accum", "embeddings": "weight"}
"""Other tools' names of variables."""

INNER = ("edge_weight", "edge_weight_aggr", "aggr", "norm")
"""Variables inside the other tools' GarNet, which have no counterpart."""

OTHER_VARIABLES = (*OF_PARTS, *ALIASES, *INNER)
"""Variables that only other tools have."""

_OF_FUNCTIONS = frozenset({"param"})
"""Trained constants of functions, which need formats of their own."""

TRAINED = frozenset(variable for layer in LAYERS.values() for variable in layer.trained) - _OF_FUNCTIONS
"""Names of trained tensors."""

_DEFAULTED = TRAINED | {"result", "state", "cell", "current"}
_ACCUMULATORS = frozenset({"accum", "recurrent_accum"})


def takes_default(variable: str, layer: Layer) -> bool:
    """Return True if ``default`` applies to ``variable`` of ``layer``.

    Trained tensors, results and states, yes; the accumulator only of layers that multiply by trained weights: elsewhere a
    format meant for results would cut sums that are wider by nature (the exponentials of a softmax, an average). Tables
    and the constants of a function need formats of their own.
    """
    return variable in _DEFAULTED or (variable in _ACCUMULATORS and "weight" in layer.variables())
