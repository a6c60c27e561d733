"""Programs of PyTorch that write into tensors which are seen elsewhere: later in the program, or at its next call."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_WRITES = ("copy_.", "fill_.", "index_put_.")
"""Operators that assignments to parts of a tensor become."""


def writes_elsewhere(program: torch.export.ExportedProgram) -> bool:
    """Return True if an operator of ``program`` writes into what is seen elsewhere."""
    signature = program.graph_signature
    others = {*signature.user_inputs, *signature.inputs_to_lifted_tensor_constants}
    return any(_is_seen_elsewhere(node, others) for node in program.graph.nodes)


def _is_seen_elsewhere(node: torch.fx.Node, others: Container[object]) -> bool:
    """Return True if the operator writes into a part of a tensor, into one that is read later, or into a buffer; of a graph
    within, too. ``others`` are operands of the program that are no buffers.
    """
    name, library = (getattr(node.target, key, "") for key in ("__name__", "namespace"))
    if "higher_order" in library or "predispatch" in getattr(node.target, "__module__", ""):  # of torch.vmap
        return True
    in_place = name.partition(".")[0].endswith("_")
    if name.startswith(_WRITES):
        return True
    return in_place and any(
        (x.op == "placeholder" and x.name not in others) or any(reader > node for reader in x.users)
        for x in _shown(node)
    )


def _shown(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    """The node's first operand, and what it is a view of."""
    operand = next(iter(node.args), None)
    while isinstance(operand, type(node)):
        yield operand
        returns = getattr(getattr(operand.target, "_schema", None), "returns", ())
        shares = any(result.alias_info is not None for result in returns)
        operand = next(iter(operand.args), None) if shares else None
