"""Values of options as they are typed at a prompt."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bitsmith.errors import ConfigError

if TYPE_CHECKING:
    from bitsmith.emulate.batches import Arrays


def read_samples(path: Path) -> Arrays:
    """The numbers of an ``.npy`` file, or of the inputs in an ``.npz`` file."""
    from bitsmith.emulate.batches import read_arrays

    return read_arrays(path)


def read_budget(text: str) -> int | dict[str, int]:
    """The budget that ``8`` or ``weight=6,result=8`` says."""
    try:
        if "=" not in text:
            return int(text)
        pairs = [(key.strip(), int(value)) for key, _, value in (part.partition("=") for part in text.split(","))]
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a kind is given twice")
        return dict(pairs)
    except ValueError as error:
        raise ConfigError(f"{text[:60]!r}", where="--bits", accepted="8, or weight=6,result=8, each once") from error


def read_shape(text: str) -> list[int]:
    """The shape that ``28,28,1`` or ``(28, 28, 1)`` says."""
    try:
        return [int(part) for part in text.strip("()").split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"{text[:60]!r}", where="--input-shape", accepted="integers, such as 28,28,1") from error


def read_setting(text: str, where: str, accepted: str, *, several: bool = False) -> tuple[str, object]:
    """The key and the value that ``KEY=VALUE`` says, as YAML has it: of ``several`` a list of one or more."""
    import yaml

    key, sign, value = (part.strip() for part in text.partition("="))
    read, is_read = None, False
    with contextlib.suppress(yaml.YAMLError):
        read, is_read = yaml.safe_load(f"[{value}]" if several else value), True
    if not (key and sign and is_read) or (several and not read):
        raise ConfigError(f"{text[:80]!r}", where=where, accepted=accepted)
    return key, read


def boards() -> Sequence[str]:
    """The names of boards."""
    from bitsmith.devices.board import BOARDS

    return BOARDS


def dies() -> Sequence[str]:
    """The names of parts, without package and speed."""
    from bitsmith.devices.parts import FAMILIES

    return sorted(die for family in FAMILIES for die in family.dies)
