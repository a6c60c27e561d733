"""A goal for the latency of a circuit: cycles, or nanoseconds at its clock."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from bitsmith.config.reading import shown
from bitsmith.errors import ConfigError

_MOST = 1e9
_FORM = re.compile(r"(= *)?(\d{1,10}(?:\.\d{1,10})?) *(ns|cycles?)?")
_ACCEPTED = (
    "cycles, such as 4, or nanoseconds, such as '40ns', at most; '=4' or '=40ns' for exactly so many; the report or the project "
    "folder of a build that has the same; at least one cycle, at most 1e9"
)
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Latency:
    """At most so many cycles, or nanoseconds, or ``exactly`` so many."""

    most: float
    in_ns: bool = False
    exactly: bool = False

    def __str__(self) -> str:
        return f"{'=' if self.exactly else ''}{self.most:.12g}{'ns' if self.in_ns else ''}"

    def in_cycles(self, clock_period_ns: float) -> Latency:
        """The same in whole cycles of the clock.

        Raises:
            ConfigError: there is not one, or exactly so many nanoseconds are no whole cycles.
        """
        exact = self.most / clock_period_ns
        cycles = math.floor(exact + _CLOSE) if self.in_ns else int(self.most)
        if self.exactly and self.in_ns and abs(cycles - exact) > _CLOSE * exact:
            raise ConfigError(
                f"{self.most:g} ns, which is {exact:.4g} cycles at a clock period of {clock_period_ns:g} ns",
                where="Latency",
                accepted="a time of whole cycles",
                remedy=f"ask for {max(round(exact), 1) * clock_period_ns:g} ns, for cycles, or for another clock period",
            )
        if cycles < 1:
            raise ConfigError(
                f"{self.most:g} ns, at a clock period of {clock_period_ns:g} ns",
                where="Latency",
                accepted="at least one clock cycle",
                remedy="allow more, or ask for a faster clock",
            )
        return Latency(cycles, exactly=self.exactly)


def read_latency(value: object, where: str) -> Latency:
    """A whole number of cycles, or text such as ``'40ns'`` or ``'=12'``."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(shown(value), where=where, accepted=_ACCEPTED)
    most, in_ns = float(match[2]), match[3] == "ns"
    if not 0 < most <= _MOST or not (in_ns or most.is_integer()):
        raise ConfigError(shown(value), where=where, accepted=_ACCEPTED)
    return Latency(most, in_ns, match[1] is not None)
