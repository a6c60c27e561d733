"""Ports of modules, read from the text that we have written: for those who describe a module in another language."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bitsmith.errors import ProgramError

_ATTRIBUTE = re.compile(r"\(\*.*?\*\)|//[^\n]*", re.DOTALL)
_PORT = re.compile(
    r"\s*(?P<way>input|output)\s+(?:logic|wire)\s+(?:\[(?P<high>\d+)(?P<less>-1)?:0\]\s+)?(?P<name>\w+)\s*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a module; a vector of one bit is one, too."""

    name: str
    is_input: bool
    width: int
    is_vector: bool

    @property
    def pattern(self) -> str:
        """All of its bits, as Tcl and SDC name them."""
        return f"{self.name}[*]" if self.is_vector else self.name


def module_ports(text: str, module: str) -> tuple[Port, ...]:
    """Return the ports of ``module``, whose widths are numbers.

    Raises:
        ProgramError: the text is not of our form.
    """
    _, _, after = text.partition(f"module {module} (")
    header = _ATTRIBUTE.sub("", after).partition(");")[0]
    return tuple(_port(part, module) for part in header.split(","))


def _port(text: str, module: str) -> Port:
    match = _PORT.fullmatch(text)
    if match is None:
        raise ProgramError(f"module {module}: {text.strip()[:60]!r} is not a port of our form")
    width = 1 if match["high"] is None else int(match["high"]) + (0 if match["less"] else 1)
    return Port(match["name"], match["way"] == "input", width, match["high"] is not None)
