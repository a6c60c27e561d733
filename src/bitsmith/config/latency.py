"""A goal for the latency of a circuit: cycles, or nanoseconds at its clock."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from bitsmith.config.reading import shown
from bitsmith.errors import ConfigError

_MOST = 1e9
_FORM = re.compile(r"(\d{1,10}(?:\.\d{1,10})?) *(ns|cycles?)?")
_ACCEPTED = "cycles, such as 4, or nanoseconds, such as '40ns'; at least one cycle, at most 1e9"


@dataclass(frozen=True, slots=True)
class Latency:
    """At most so many cycles, or nanoseconds."""

    most: float
    in_ns: bool = False

    def __str__(self) -> str:
        return f"{self.most:.12g}{'ns' if self.in_ns else ''}"

    def cycles(self, clock_period_ns: float) -> int:
        """Whole cycles of the clock.

        Raises:
            ConfigError: there is not one.
        """
        cycles = math.floor(self.most / clock_period_ns + 1e-9) if self.in_ns else int(self.most)
        if cycles < 1:
            raise ConfigError(
                f"{self.most:g} ns, at a clock period of {clock_period_ns:g} ns",
                where="Latency",
                accepted="at least one clock cycle",
                remedy="allow more, or ask for a faster clock",
            )
        return cycles


def read_latency(value: object, where: str) -> Latency:
    """A whole number of cycles, or text such as ``'40ns'``."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(shown(value), where=where, accepted=_ACCEPTED)
    most, in_ns = float(match[1]), match[2] == "ns"
    if not 0 < most <= _MOST or not (in_ns or most.is_integer()):
        raise ConfigError(shown(value), where=where, accepted=_ACCEPTED)
    return Latency(most, in_ns)
