"""Corrections of estimates as users name them: a file of ``bitsmith calibrate``, or its content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bitsmith.config.files import read_file
from bitsmith.config.reading import Problems, integer, shown, within
from bitsmith.devices.correction import Correction, Measured
from bitsmith.devices.parts import FAMILIES
from bitsmith.errors import ConfigError

_ACCEPTED = "a .json file that bitsmith calibrate wrote"
_MOST_TEXT = 4096
LEAST_FACTOR, MOST_FACTOR = 0.25, 4.0
"""Factors of corrections: estimates that are off by more are of other circuits."""

_MOST_ERROR, _MOST_CIRCUITS = 100.0, 1_000_000
_KEYS = ("factor", "median", "worst", "circuits")


def read_correction(value: object, where: str) -> Correction:
    """The correction in a file, in a dictionary, or in the text of one.

    Raises:
        ConfigError: another file, or numbers without meaning; all of them at once.
    """
    if isinstance(value, Correction):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _parsed(value, where)
    elif isinstance(value, str | Path):
        path = Path(value)
        if path.suffix.lower() != ".json":
            raise ConfigError(shown(str(value)), where=where, accepted=_ACCEPTED)
        where, value = str(path), read_file(path)
    if not isinstance(value, Mapping) or set(value) not in ({"family", "lut", "ff"}, {"family", "lut", "ff", "fmax"}):
        raise ConfigError(f"no correction in {shown(value)}", where=where, accepted=_ACCEPTED)
    families, problems = [family.name for family in FAMILIES], Problems()
    if value["family"] not in families:
        problems.add(shown(value["family"]), where=f"{where}: family", accepted=", ".join(families))
    given = [name for name in ("lut", "ff", "fmax") if name != "fmax" or value.get(name) is not None]
    figures = {name: problems.attempt(_measured, value[name], f"{where}: {name}") for name in given}
    problems.finish()
    lut, ff = figures["lut"], figures["ff"]
    assert lut is not None and ff is not None
    return Correction(str(value["family"]), lut, ff, figures.get("fmax"))


def _parsed(text: str, where: str) -> object:
    if len(text) > _MOST_TEXT:
        raise ConfigError(f"a text of {len(text):,} characters", where=where, accepted=_ACCEPTED)
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON ({error})", where=where, accepted=_ACCEPTED) from error
    return found


def _measured(value: object, where: str) -> Measured:
    if not isinstance(value, Mapping) or set(value) != set(_KEYS):
        raise ConfigError(shown(value), where=where, accepted=f"a dictionary of {', '.join(_KEYS)}")
    bounds = {"factor": (LEAST_FACTOR, MOST_FACTOR), "median": (0.0, _MOST_ERROR), "worst": (0.0, _MOST_ERROR)}
    numbers = {
        name: within(value[name], f"{where}.{name}", *ends, f"a number from {ends[0]:g} to {ends[1]:g}")
        for name, ends in bounds.items()
    }
    circuits = integer(value["circuits"], f"{where}.circuits", 1, _MOST_CIRCUITS)
    return Measured(numbers["factor"], numbers["median"], numbers["worst"], circuits)
