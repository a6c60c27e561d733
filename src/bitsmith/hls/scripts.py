"""Texts of the user as words of the vendors' script languages."""

from __future__ import annotations

import re

from bitsmith.errors import ConfigError


def tcl_word(text: str) -> str:
    """``text`` as a bare Tcl word.

    Raises:
        ConfigError: characters that part names and top functions do not have.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.+-]+", text, flags=re.ASCII):
        raise ConfigError(f"{text!r}", where="part", accepted="letters, digits, '_', '.', '+' and '-'")
    return text
