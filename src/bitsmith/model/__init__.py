"""A converted model, and the profiles of its numbers."""

import importlib
from typing import TYPE_CHECKING

from bitsmith.model.model import Model

if TYPE_CHECKING:
    from bitsmith.model import profiling

__all__ = ["Model", "profiling"]


def __getattr__(name: str) -> object:
    """Import the profiles when they are first used."""
    if name == "profiling":
        return importlib.import_module("bitsmith.model.profiling")
    raise AttributeError(f"module 'bitsmith.model' has no attribute {name!r}")
