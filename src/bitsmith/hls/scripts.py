"""What projects say in the vendors' script languages: words of the user, and the clock."""

from __future__ import annotations

import re

from bitsmith.errors import ConfigError
from bitsmith.hls.project import HlsTarget


def word(text: str) -> str:
    """``text`` as a word that needs no quotes in Tcl, make, CMake and shells.

    Raises:
        ConfigError: characters that part names and top functions do not have.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", text, flags=re.ASCII):
        raise ConfigError(f"{text!r}", where="part", accepted="letters, digits, '_', '.', '+' and '-'")
    return text


def aimed_period_ns(target: HlsTarget) -> float:
    """The clock's period less what is kept in reserve, for tools that know no uncertainty."""
    return target.period_ns * (1 - target.uncertainty_percent / 100)
