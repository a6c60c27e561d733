"""Texts in the vendors' script languages: words of the user, and the clock."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bitsmith.errors import ConfigError
from bitsmith.hls.names import identifier
from bitsmith.hls.project import HlsTarget, Stage


def word(text: str) -> str:
    """``text`` as a word that needs no quotes in Tcl, make, CMake and shells.

    Raises:
        ConfigError: characters that part names and top functions do not have.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", text, flags=re.ASCII):
        raise ConfigError(f"{text!r}", where="part", accepted="letters, digits, '_', '.', '+' and '-'")
    return text


def tcl_settings(target: HlsTarget, uncertainty: str, stages: Iterable[Stage]) -> str:
    """Tcl that sets what a project is for, and to 1 or 0 each of ``stages``, and C simulation, as they run by hand."""
    return (
        f"set top {word(identifier(target.top))}\n"
        f"set part {word(target.part)}\n"
        f"set clock_period {target.period_ns:g}\n"
        f"set clock_uncertainty {uncertainty}\n"
        "set csim 1\n"
    ) + "".join(f"set {stage.value} {int(stage in target.stages)}\n" for stage in stages)


def aimed_period_ns(target: HlsTarget) -> float:
    """The clock's period less what is kept in reserve, for tools that know no uncertainty."""
    return target.period_ns * (1 - target.uncertainty_percent / 100)
