"""Translations of PyTorch's operators, and messages about those that are not translated."""

from collections.abc import Iterator

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.refusals import Refusal
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.torch.activations import ACTIVATIONS
from bitsmith.frontends.torch.arithmetic import ARITHMETIC
from bitsmith.frontends.torch.call import ON_CODES, Translation
from bitsmith.frontends.torch.constants import CONSTANTS
from bitsmith.frontends.torch.graph import Graph, Node, Ref, references
from bitsmith.frontends.torch.norm import NORMALIZATIONS
from bitsmith.frontends.torch.products import PRODUCTS
from bitsmith.frontends.torch.quantized import QUANTIZED, on_codes
from bitsmith.frontends.torch.recurrent import RECURRENT
from bitsmith.frontends.torch.reduction import REDUCTIONS
from bitsmith.frontends.torch.selection import SELECTIONS
from bitsmith.frontends.torch.shape import SHAPES
from bitsmith.frontends.torch.spatial import SPATIAL

OPERATORS: dict[str, Translation] = {
    **PRODUCTS,
    **SPATIAL,
    **NORMALIZATIONS,
    **RECURRENT,
    **ACTIVATIONS,
    **ARITHMETIC,
    **CONSTANTS,
    **REDUCTIONS,
    **SHAPES,
    **SELECTIONS,
    **QUANTIZED,
    **{name: on_codes(SHAPES[name]) for name in ON_CODES},
}
"""Operators by name, without overloads; those that end in ``_`` are read as those without."""

_COPIES = frozenset({"clone", "lift_fresh_copy", "_to_copy", "repeat", "flip", "roll"})
"""Operators that move elements into a tensor of their own."""

_RELATIONS = frozenset(map("_operator.{}".format, ("ge", "le", "gt", "lt", "eq", "ne")))
_CHECKS = ("_assert", "sym_constrain", "profiler.", "_guards")
_DYNAMIC = (
    "scales that are computed from each input while the model runs",
    "quantize the model statically, with calibration data",
)
_FUSED = ("a fused operator", "export with torch.backends.mha.set_fastpath_enabled(False)")

_REMEDIES = {
    "rand": ("random numbers", "give them as an input"),
    "bernoulli": ("random numbers", "call model.eval() before the export"),
    "nonzero": ("a result whose size depends on the data", "use a mask"),
    "higher_order.": ("a choice or a loop that depends on the data", "compute both, and choose with torch.where"),
    "fft": ("Fourier transforms", "multiply by a constant matrix"),
    "quantized_decomposed.choose_qparams": _DYNAMIC,
    "quantized_decomposed._choose_qparams": _DYNAMIC,
    "torchao.choose_qparams": _DYNAMIC,
    "torchao.choose_scale": _DYNAMIC,
    "fused_moving_avg_obs": ("torch.ao.quantization, which watches data", "give the float module, with bits=8"),
    "_transformer_encoder_layer_fwd": _FUSED,
    "_native_multi_head_attention": _FUSED,
}


def translation_of(node: Node) -> Translation | None:
    """Return the translation of the operator."""
    return OPERATORS.get(node.name) or OPERATORS.get(node.name.removesuffix("_"))


def is_known(name: str) -> bool:
    """Return True if the operator of this name is translated, or needs no translation."""
    return name in OPERATORS or name.removesuffix("_") in OPERATORS or _is_check(name)


def is_check(node: Node) -> bool:
    """Return True if the operator only asserts what the export knows."""
    return _is_check(node.name)


def _is_check(name: str) -> bool:
    return name in _RELATIONS or name.startswith(_CHECKS)


def unknown(name: str, node: Node) -> Refusal:
    """Return the message about an operator that no table has."""
    shown = f"{node.module.kind}, {node.name}" if node.module.built_in else node.name
    for start, (why, remedy) in _REMEDIES.items():
        if node.name.startswith(start):
            return Refusal(name, shown, why, remedy)
    remedy = (
        "replace it by operators that are; of a file give torch.export.load(file), where torch may define it by others"
    )
    if "." in node.name:
        remedy = "say what it computes (convert(layers={...}), docs/custom-layers.md), or replace it by torch's own operators"
    return Refusal(name, shown, "it is not an operator that is known here", remedy)


def changed_in_place(graph: Graph) -> Iterator[tuple[Node, UnsupportedError]]:
    """Operators that change a tensor which another name still shows: its other readers would see the change.

    An operator's own operand is fine, if nothing that shares its memory is read later. What the results depend on is not to
    differ from one call to the next.
    """
    needed = graph.needed
    shared: dict[str, int] = {}
    last = {name: number for number, node in enumerate(graph.nodes) for name in references(node)}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    groups: dict[int, list[str]] = {}
    for number, node in enumerate(graph.nodes):
        operand = next(iter(node.arguments.values()), None)
        first = operand.name if isinstance(operand, Ref) else ""
        changes = node.name.endswith("_") and not node.name.startswith(("__", "_operator", "detach", "requires_grad"))
        if changes and any(last.get(name, -1) > number for name in groups.get(shared.get(first, -1), [first])):
            error = UnsupportedError(
                f"{node.name} changes a tensor in place that is read elsewhere",
                accepted="what makes new tensors",
                remedy=f"use {node.name.rstrip('_')}, or save exported.run_decompositions({{}})",
            )
            yield node, error
        root = next(iter(groups.get(shared.get(first, -1), [first])))
        if changes and root in graph.constants and root in needed:
            yield node, _keeps(graph, root)
        # These may give a view of their operand: what changes one then changes the other.
        shows = changes or ((node.name in SHAPES or node.name in SELECTIONS) and node.name not in _COPIES)
        if shows and first:
            group = shared.setdefault(first, number)
            groups.setdefault(group, [first]).extend(name for name in node.results if name is not None)
            shared.update({name: group for name in node.results if name is not None})


def check_kept(graph: Graph) -> None:
    """Refuse a program whose results depend on what an earlier call has left."""
    for name in sorted(graph.kept & graph.needed):
        raise _keeps(graph, name, graph.where)


def _keeps(graph: Graph, name: str, where: str = "") -> UnsupportedError:
    return UnsupportedError(
        f"the module keeps a state between calls: it changes {shown(graph.constants[name][0])}, which its results depend on",
        where=where,
        accepted="modules that compute the same of each sample, whatever came before",
        remedy="call model.eval() before the export; have forward() take the state and return it, and tie the two by with_states",
    )
