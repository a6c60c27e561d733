"""Functions of tensors as modules."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class Function(nn.Module):
    """``function`` as a module, with the modules that it uses."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)
