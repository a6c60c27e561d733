"""Values that print as tables, and that notebooks show as they print, some with more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType


class _Rendered(Protocol):
    def __rich__(self) -> RenderableType: ...


class Shown:
    """A value whose ``str`` is a table, of itself what rich shows."""

    __slots__ = ()

    def __str__(self: _Rendered) -> str:
        from bitsmith.report.terminal import as_text

        return as_text(self.__rich__())

    def _repr_html_(self) -> str:
        from bitsmith.report.terminal import as_html

        return as_html(str(self))
