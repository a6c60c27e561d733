"""A system as a value: files, and the calls that make a bitstream of them; and the circuit as it sees it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bitsmith.errors import ConfigError
from bitsmith.rtl.interface import Interface, prefix, token_bytes

FOLDER = "system"
"""The folder of a system in its project."""

EXPORT = f"{FOLDER}/export"
"""What goes to the board."""

_TEMPLATES = Path(__file__).parent / "templates"


class Language(enum.Enum):
    """The language of a circuit's sources."""

    RTL = "rtl"
    VITIS = "vitis"
    VIVADO = "vivado"


@dataclass(frozen=True, slots=True)
class Core:
    """A circuit with AXI4-Streams of beats.

    Args:
        top: name of the project.
        interface: its streams; a token is a beat.
        language: of its sources; C++ goes through high-level synthesis first.
        sources: paths inside the project, all that logic synthesis reads of RTL.
        driver: the text of its driver.
        period_ns: the clock's period.
    """

    top: str
    interface: Interface
    language: Language
    sources: tuple[str, ...]
    driver: str
    period_ns: float

    @property
    def clock_mhz(self) -> float:
        return round(1e3 / self.period_ns, 3)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """Name and bytes of a beat of each stream in, those of weights for memories last."""
        ports = (*self.interface.inputs, *self.interface.load_ports)
        return tuple((prefix("s_axis", port), token_bytes(port)) for port in ports)

    @property
    def outputs(self) -> tuple[tuple[str, int], ...]:
        """The same of each stream out."""
        return tuple((prefix("m_axis", port), token_bytes(port)) for port in self.interface.outputs)

    def check_streams(self, most: int) -> None:
        """Refuse a circuit of more than ``most`` streams."""
        if len(self.inputs) + len(self.outputs) > most:
            raise ConfigError(
                f"{len(self.inputs)} streams in and {len(self.outputs)} out",
                where="Board",
                accepted=f"at most {most} together",
                remedy="build without a board, and join the circuit's streams to a system of yours",
            )


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a vendor's program in the project's folder, and the files that it leaves.

    ``programs``: those of which the first on PATH is taken; each with the arguments before ``arguments``.
    """

    programs: tuple[tuple[str, ...], ...]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class System:
    """Files by their paths in the project, the steps, and what they make for the board, by names for reports."""

    files: Mapping[str, str]
    steps: tuple[Step, ...]
    products: Mapping[str, str]
    board: str
    install: str


def template(name: str) -> str:
    """The text of a file of ``systems/templates``."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def tcl_settings(title: str, settings: Mapping[str, object]) -> str:
    """Tcl that sets variables: texts, numbers, and lists of texts or of lists."""
    lines = [f"# {title}", *(f"set {name} {_tcl(value)}" for name, value in settings.items())]
    return "\n".join([*lines, ""])


def _tcl(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple | list):
        return f"[list {' '.join(map(_tcl, value))}]" if value else "[list]"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    # No text here has a brace or a backslash: names, paths and numbers.
    assert not set(text) & set('{}\\"'), text
    return text if text and not set(text) & set(" $[];#") else f"{{{text}}}"
