"""Values that print as tables, and that notebooks show as they print, some with more."""

from __future__ import annotations


class Shown:
    """A value whose ``str`` is a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from bitsmith.report.terminal import as_html

        return as_html(str(self))
