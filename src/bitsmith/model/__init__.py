"""A converted model, and the profiles of its numbers."""

from typing import TYPE_CHECKING

from bitsmith.base.homes import imported_from
from bitsmith.model.model import Model

if TYPE_CHECKING:
    from bitsmith.model import profiling

__all__ = ["Model", "profiling"]

__getattr__ = imported_from(__name__, {}, ("profiling",))
