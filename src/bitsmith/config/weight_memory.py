"""A memory outside of the circuit, from which engines take their weights, as the user states it."""

import re
from dataclasses import dataclass

from bitsmith.config.reading import shown
from bitsmith.errors import ConfigError

_NUMBER = r"(\d{1,6}(?:\.\d{1,6})?)"
_FORM = re.compile(rf"{_NUMBER} *bits?,? *{_NUMBER} *MHz,? *{_NUMBER} *ns,? *{_NUMBER} *%", re.IGNORECASE)
_ACCEPTED = (
    "its width, clock, latency and efficiency, such as '64 bits, 1200 MHz, 200 ns, 75 %': bits of a transfer, transfers in a "
    "microsecond, the time until what was asked for comes, and the share of transfers that bring data"
)
_UNDER_WAY = 64
"""Words that ``bitsmith_memory_read`` has asked for at once, at most."""


@dataclass(frozen=True, slots=True)
class WeightMemory:
    """A memory: bits of a transfer, millions of them in a second, nanoseconds to the first, and the share that brings data."""

    width: float
    mhz: float
    latency_ns: float
    efficiency: float

    def __str__(self) -> str:
        numbers = self.width, self.mhz, self.latency_ns, 100 * self.efficiency
        return "{:.12g} bits, {:.12g} MHz, {:.12g} ns, {:.12g} %".format(*numbers)

    def bits_per_cycle(self, clock_period_ns: float) -> float:
        """Bits that come in a cycle of the circuit: as many as it gives, and as may be under way."""
        given = self.width * self.efficiency * self.mhz * clock_period_ns / 1000
        return min(given, self.width / self.word_cycles(clock_period_ns))

    def word_cycles(self, clock_period_ns: float) -> float:
        """Cycles of the circuit for each word that its reader asks for, at least, since no more may be under way."""
        return self.latency_ns / (_UNDER_WAY * clock_period_ns)


def read_weight_memory(value: object, where: str) -> WeightMemory:
    """Text such as ``'64 bits, 1200 MHz, 200 ns, 75 %'``.

    Raises:
        ConfigError: another text, or a number out of range.
    """
    match = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ConfigError(shown(value), where=where, accepted=_ACCEPTED)
    width, mhz, latency, percent = map(float, match.groups())
    if min(width, mhz, latency, percent) <= 0 or percent > 100 or not width.is_integer():
        raise ConfigError(shown(value), where=where, accepted=_ACCEPTED)
    return WeightMemory(width, mhz, latency, percent / 100)
