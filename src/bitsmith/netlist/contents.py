"""Look-up tables as netlists hold them."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contents:
    """A look-up table cut to the addresses in use; ``source`` is held so that its identity stays its own.

    The first entry is of address ``first``, or of 0 where ``bits`` of the operand's bits are the address.
    """

    table: int
    first: int
    bits: int | None
    shift: int
    least: int
    most: int
    is_identity: bool
    source: tuple[int, ...]


def by_low_bits(first: int, bits: int, entries: tuple[int, ...]) -> tuple[int, ...]:
    """Entries of consecutive addresses from ``first`` on, by the ``bits`` lowest bits of these; the usual one where none is."""
    ((usual, _),) = Counter(entries).most_common(1)
    found = [usual] * (1 << bits)
    for address, entry in enumerate(entries, first):
        found[address & ((1 << bits) - 1)] = entry
    return tuple(found)
