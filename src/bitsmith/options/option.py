"""The record of an option: all names under which users know it, its meaning, and the readers of its values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from bitsmith.config.reading import did_you_mean

_REASONS = {
    **dict.fromkeys(("clock_frequency", "frequency"), "clock_period takes nanoseconds, or '50 MHz'"),
    **dict.fromkeys(("data", "X"), "convert takes samples as calibration=x, fit as data=(x, labels)"),
    **dict.fromkeys(("device", "fpga_part", "xilinx_part"), "part='...' names the part, board='...' a board"),
    **dict.fromkeys(("metric", "accuracy"), "a goal of fit has it: goal={'metric': 'accuracy', 'loss': 0.01}"),
    "inputs_channel_last": "channels_last_conversion='internal' has inputs that are channels last",
    "name": "project_name='...' names the circuit",
    "split_layer_names": "bitsmith.split gives the parts of a model (docs/split-and-compose.md)",
    "verbose": "terminals show the steps, and the logger 'bitsmith' has them: logging.getLogger('bitsmith').setLevel('INFO')",
}
"""Remedies for arguments of other packages' functions."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of project configurations.

    Attributes:
        path: with dots, such as ``HLSConfig.Model.Bits``.
        field: the name of its value in :class:`bitsmith.config.ProjectConfig`; empty where its section is read as a whole.
        read: checks a value; None where its section is read as a whole.
        in_cpp: values that backends for HLS C++ take, too, where others are for ``rtl`` alone; None: all.
        files: how the names of files among its values end, "" where all values are such; None: no value is the name of a file.
    """

    path: str
    field: str
    read: Callable[[object, str], object] | None
    in_cpp: Sequence[object] | None
    files: str | None


@dataclass(frozen=True, slots=True)
class Flag:
    """An option of the command line.

    Attributes:
        kind: the type of what is typed; of ``bool`` with a name there is no negative form.
        names: as typed; without any, the option's own.
        values: how the help shows a value, or the words that complete it, perhaps as a function that looks for them.
        read: the value that is meant; None if it is what is typed.
        help: its meaning, in one short sentence.
    """

    kind: type
    names: tuple[str, ...]
    values: str | Sequence[str] | Callable[[], Sequence[str]] | None
    read: Callable[..., object] | None
    help: str


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a conversion.

    Attributes:
        name: of the argument of :func:`bitsmith.convert` and other functions.
        key: None for what no project configuration says.
        default: of the argument.
        flag: of commands that convert; None for what cannot be typed there.
        doc: its meaning, for those who call functions.
    """

    name: str
    key: Key | None
    default: object
    flag: Flag | None
    doc: str


def nested(values: Mapping[str, object]) -> dict[str, object]:
    """A project configuration of values by the paths of their keys."""
    content: dict[str, object] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        inner = content.setdefault(section, {}) if section else content
        if isinstance(inner, dict):
            inner[name] = value
    return content


def check_arguments(arguments: Mapping[str, object], names: Collection[str], function: str) -> None:
    """Refuse arguments that are not among ``names``, as Python does, with what would do instead.

    Raises:
        TypeError: there are some.
    """
    unknown = next((name for name in arguments if name not in names), None)
    if unknown is not None:
        remedy = _REASONS.get(unknown) or did_you_mean(unknown, names)
        raise TypeError(f"{function}() got an unexpected keyword argument {unknown!r}{remedy and f'; {remedy}'}")


_Some = TypeVar("_Some")


def among(kind: type[_Some], options: Mapping[str, object]) -> _Some:
    """Those of ``options`` that a dictionary of type ``kind`` has."""
    return cast("_Some", {name: value for name, value in options.items() if name in kind.__annotations__})
