"""Two-operand adders over integer nodes, and the growing list of them that a solver builds.

In: ranges and arrival times of the inputs. Out: adders with exact ranges and arrival times. Knows nothing of matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.ir.types import width_of


@dataclass(frozen=True, slots=True)
class InputRange:
    """Inclusive range of an integer input, and when it arrives, counted in adders that come before it."""

    lo: int
    hi: int
    arrival: int = 0


@dataclass(frozen=True, slots=True)
class Adder:
    """``(v[a] << shift_a) + (v[b] << shift_b)``, or minus if ``subtract``; the smaller of the shifts is 0."""

    a: int
    b: int
    shift_a: int
    shift_b: int
    subtract: bool

    def apply(self, a: int, b: int) -> int:
        """Return the sum or difference for two operand values."""
        left, right = a << self.shift_a, b << self.shift_b
        return left - right if self.subtract else left + right

    def range(self, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        """Return the interval of the results for operands in the intervals ``a`` and ``b``."""
        b_lo, b_hi = (b[1], b[0]) if self.subtract else b
        return self.apply(a[0], b_lo), self.apply(a[1], b_hi)

    def cost(self, lo: int, hi: int) -> int:
        """Return the full adders of a result in ``lo..hi``.

        The lowest bits of an operand that is added pass through where the other has none.
        """
        passed = self.shift_b if self.subtract else self.shift_a + self.shift_b
        return max(width_of(lo, hi) - passed, 0)

    def joins(self, a: tuple[int, int], b: tuple[int, int]) -> bool:
        """Return True if operands in these intervals have no bit in common: their sum is wiring."""
        lower, apart = a if self.shift_b else b, max(self.shift_a, self.shift_b)
        return not self.subtract and apart > 0 and lower[0] >= 0 and width_of(*lower) <= apart

    def paid(self, a: tuple[int, int], b: tuple[int, int]) -> int:
        """Return the full adders for operands in these intervals."""
        return 0 if self.joins(a, b) else self.cost(*self.range(a, b))


class Nodes:
    """Inputs and the adders made so far; an adder asked for twice is made once."""

    def __init__(self, inputs: Sequence[InputRange]) -> None:
        self.ranges: list[tuple[int, int]] = [(i.lo, i.hi) for i in inputs]
        self.arrivals: list[int] = [i.arrival for i in inputs]
        self.adders: list[Adder] = []
        self._inputs = len(inputs)
        self._known: dict[Adder, int] = {}

    def add(self, adder: Adder) -> int:
        """Return the node that computes ``adder``."""
        known = self._known.get(adder)
        if known is not None:
            return known
        node = len(self.ranges)
        self._known[adder] = node
        self.adders.append(adder)
        self.ranges.append(adder.range(self.ranges[adder.a], self.ranges[adder.b]))
        self.arrivals.append(max(self.arrivals[adder.a], self.arrivals[adder.b]) + 1)
        return node

    def turned(self, node: int) -> int | None:
        """Return a node of the opposite value if ``node`` is a subtraction, which costs its adder at most once more."""
        if node < self._inputs or not self.adders[node - self._inputs].subtract:
            return None
        adder = self.adders[node - self._inputs]
        return self.add(Adder(adder.b, adder.a, adder.shift_b, adder.shift_a, True))

    def width(self, node: int) -> int:
        """Return how many bits hold every value of ``node``."""
        return width_of(*self.ranges[node])
