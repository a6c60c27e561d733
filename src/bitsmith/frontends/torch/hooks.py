"""Changes of live PyTorch modules for a time."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from bitsmith.errors import UnsupportedError

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle


def replaced(stack: contextlib.ExitStack, part: torch.nn.Module | ModuleType, name: str, value: object) -> None:
    """Give an attribute another value until the stack is left."""
    own = vars(part)
    if name in own:
        stack.callback(own.__setitem__, name, own[name])
    else:
        stack.callback(own.pop, name)
    own[name] = value


@contextlib.contextmanager
def renormalized(module: torch.nn.Module) -> Iterator[Collection[str]]:
    """``module`` with embeddings whose rows are as long as a call leaves them, ``max_norm`` at most: yields their parameters."""
    import torch

    kinds, names = (torch.nn.Embedding, torch.nn.EmbeddingBag), list[str]()
    parts = {
        path: part for path, part in module.named_modules() if isinstance(part, kinds) and part.max_norm is not None
    }
    shared = [id(x) for _, x in module.named_parameters(remove_duplicate=False)] if parts else []
    with contextlib.ExitStack() as stack:
        for path, part in parts.items():
            weight, own = part.weight, part._parameters
            if shared.count(id(weight)) == 1:  # others would read rows as they were before
                rows = torch.arange(len(weight), device=weight.device)
                short = torch.embedding_renorm_(weight.detach().clone(), rows, part.max_norm, part.norm_type)
                stack.callback(own.__setitem__, "weight", weight)
                own["weight"] = torch.nn.Parameter(short, requires_grad=False)
                replaced(stack, part, "max_norm", None)
                names.append(f"{path}.weight" if path else "weight")
        yield names


def check_rows(program: torch.export.ExportedProgram, names: Collection[str]) -> None:
    """Check that ``program`` reads the parameters ``names``, of :func:`renormalized`, by the indices of their rows alone.

    Raises:
        UnsupportedError: it reads them otherwise, and what it finds there depends on the rows that were looked up before.
    """
    inputs = program.graph_signature.inputs_to_parameters
    for node in program.graph.nodes:
        if inputs.get(node.name) in names and any("embedding" not in str(user.target) for user in node.users):
            raise UnsupportedError(
                "an embedding's weights with max_norm, which each call changes, as a tensor",
                where=inputs[node.name],
                accepted="rows of it at indices",
            )


@contextlib.contextmanager
def hooked(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Let ``hooks``, which are registered as they are iterated, see calls for the time of the context."""
    handles = [*hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
