"""Changes of live PyTorch modules for a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING

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
def renormalized(module: torch.nn.Module) -> Iterator[None]:
    """``module`` with embeddings whose rows are as long as a call leaves them: ``max_norm`` at most."""
    import torch

    parts = [part for part in module.modules() if isinstance(part, torch.nn.Embedding | torch.nn.EmbeddingBag)]
    parts = [part for part in parts if part.max_norm is not None]
    shared = [id(x) for _, x in module.named_parameters(remove_duplicate=False)] if parts else []
    with contextlib.ExitStack() as stack:
        for part in parts:
            weight, own = part.weight, part._parameters
            if shared.count(id(weight)) == 1:  # others would read rows as they were before
                rows = torch.arange(len(weight), device=weight.device)
                short = torch.embedding_renorm_(weight.detach().clone(), rows, part.max_norm, part.norm_type)
                stack.callback(own.__setitem__, "weight", weight)
                own["weight"] = torch.nn.Parameter(short, requires_grad=False)
                replaced(stack, part, "max_norm", None)
        yield


@contextlib.contextmanager
def hooked(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Let ``hooks``, which are registered as they are iterated, see calls for the time of the context."""
    handles = [*hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
