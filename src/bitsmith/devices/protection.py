"""Check bits of words in memories, which tell of flipped bits, or correct them.

A word with check bits is, from bit 0 up, the word, and then for ``PARITY`` its parity; for ``ECC`` the check bits of a Hamming
code, and the parity of all these. Words of zeros have check bits of zeros. ``bitsmith_encode.sv`` makes the same.
"""

from __future__ import annotations

from enum import Enum


class Protection(Enum):
    """Check bits of each word in a memory."""

    NONE = "none"
    PARITY = "parity"
    ECC = "ecc"


def check_bits(width: int, protection: Protection) -> int:
    """Check bits of a word of ``width`` bits."""
    match protection:
        case Protection.NONE:
            return 0
        case Protection.PARITY:
            return 1
        case Protection.ECC:
            return _place(width - 1).bit_length() + 1


def with_check_bits(word: int, width: int, protection: Protection) -> int:
    """Return a word of ``width`` bits and its check bits."""
    if protection is Protection.NONE:
        return word
    check, place = 0, 0
    if protection is Protection.ECC:
        for k in range(width):
            check ^= _place(k) * (word >> k & 1)
        place = _place(width - 1).bit_length()
    found = word | check << width
    return found | (found.bit_count() & 1) << width + place


def _place(bit: int) -> int:
    """The number of a bit in a Hamming code, where powers of two are check bits: 3, 5, 6, 7, 9, ..."""
    powers = (bit + 1 + (bit + 1).bit_length()).bit_length()
    return bit + 1 + powers
