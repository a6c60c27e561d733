"""The table of ONNX's operators, and what is said about those that are not in it."""

from dataclasses import replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.activations import ACTIVATIONS
from bitsmith.frontends.onnx.arithmetic import ARITHMETIC
from bitsmith.frontends.onnx.attention import ATTENTION
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.classical import CLASSICAL
from bitsmith.frontends.onnx.constants import CONSTANTS
from bitsmith.frontends.onnx.graph import Node
from bitsmith.frontends.onnx.kernels import MACHINES, scanned_distances
from bitsmith.frontends.onnx.loops import endless
from bitsmith.frontends.onnx.norm import NORMALIZATIONS
from bitsmith.frontends.onnx.qlinear import MICROSOFT, QLINEAR, REFUSED
from bitsmith.frontends.onnx.qonnx_layers import QONNX, QONNX_DOMAIN, QONNX_DOMAINS
from bitsmith.frontends.onnx.quantized import QUANTIZED, RUNTIME_DOMAIN
from bitsmith.frontends.onnx.recurrent import RECURRENT
from bitsmith.frontends.onnx.reduction import REDUCTIONS
from bitsmith.frontends.onnx.shape import PLACES, SHAPES
from bitsmith.frontends.onnx.spatial import SPATIAL
from bitsmith.frontends.onnx.trees import TREES


def _undecided(call: Call) -> Value:
    raise UnsupportedError(
        "a condition that is computed from an input",
        accepted="constant conditions",
        remedy="export the model with fixed choices and unrolled loops",
    )


def _endless(call: Call) -> Value:
    raise endless()


OPERATORS: dict[str, Translation] = {
    **ACTIVATIONS,
    **ARITHMETIC,
    **ATTENTION,
    **CONSTANTS,
    **NORMALIZATIONS,
    **PLACES,
    **QLINEAR,
    **QUANTIZED,
    **RECURRENT,
    **REDUCTIONS,
    **SHAPES,
    **SPATIAL,
    "If": Translation(_undecided, "the branch that a constant condition chooses"),
    "Loop": Translation(_endless, "copies of its body, and Stack"),
    "Scan": Translation(
        scanned_distances, "copies of its body, and Stack; Multiply, Concatenate and Dense of distances"
    ),
}
"""Operators of ONNX's own domain, by name."""

CLASSICAL_DOMAIN = "ai.onnx.ml"

CLASSICAL_OPERATORS = {**CLASSICAL, **MACHINES, **TREES}
"""Operators of the domain ``ai.onnx.ml``, by name."""

_SEQUENCES = ("its number of results is not fixed", "use Split, Concat and Slice")

_REMEDIES = {
    "NonMaxSuppression": (_SEQUENCES[0], "end the model before it, and select boxes in software"),
    "Unique": _SEQUENCES,
    **dict.fromkeys(
        ("SequenceConstruct", "SplitToSequence", "SequenceEmpty", "SequenceInsert", "SequenceAt", "ConcatFromSequence"),
        (
            "sequences of tensors are not translated",
            "use Split and Concat; torch.onnx.export(dynamo=True) writes these",
        ),
    ),
    "Compress": _SEQUENCES,
    "GridSample": ("sampling at computed places is not translated", "use Resize"),
    "RandomNormal": ("it is random", "remove it for inference"),
    "RandomUniform": ("it is random", "remove it for inference"),
}

_QUANTIZED = (
    "it is not one of the quantized operators that are translated",
    "export the model with QuantizeLinear and DequantizeLinear around ONNX's own operators",
)


def with_domain(node: Node) -> Node:
    """``node``; one of QONNX's operators, to which early exporters gave no domain, with that of QONNX."""
    unnamed = not node.domain and node.operator in QONNX and node.operator not in OPERATORS
    return replace(node, domain=QONNX_DOMAIN) if unnamed else node


def translation(node: Node) -> Translation | None:
    """Return the translation of ``node``; None if it is not known."""
    if node.domain == CLASSICAL_DOMAIN:
        return CLASSICAL_OPERATORS.get(node.operator)
    if node.domain == RUNTIME_DOMAIN:
        return MICROSOFT.get(node.operator)
    if node.domain in QONNX_DOMAINS:
        return QONNX_DOMAINS[node.domain].get(node.operator)
    return None if node.domain else OPERATORS.get(node.operator)


def why_unknown(node: Node) -> tuple[str, str]:
    """Return why an operator is not in the table, and its replacement."""
    name = node.operator
    if name in REFUSED and node.domain in ("", RUNTIME_DOMAIN):
        return REFUSED[name]
    if node.domain in QONNX_DOMAINS:
        known = ", ".join(QONNX_DOMAINS[node.domain])
        return f"of this domain only {known} are translated", "replace it by these, or by ONNX's own operators"
    if "Quant" in name or "QLinear" in name:
        return _QUANTIZED
    if name in _REMEDIES and not node.domain:
        return _REMEDIES[name]
    if node.domain == CLASSICAL_DOMAIN:
        return (
            f"of the operators of classical models only {', '.join(CLASSICAL_OPERATORS)} are translated",
            "export the network without its pre- and post-processing",
        )
    if node.domain:
        return (
            "it belongs to one runtime",
            "export the model without optimizations for that runtime (of onnxruntime's levels at most ORT_ENABLE_EXTENDED), "
            "or say what it computes (convert(layers={...}))",
        )
    return "it is not an operator that is known here", "replace it by operators that are"
