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
def hooked(hooks: Iterable[RemovableHandle]) -> Iterator[None]:
    """Let ``hooks``, which are registered as they are iterated, see calls for the time of the context."""
    handles = [*hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
