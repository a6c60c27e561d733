"""Check bits of words in memories, which tell of flipped bits, or correct them.

A word with check bits is, from bit 0 up, the word, and then for ``PARITY`` its parity; for ``ECC`` the check bits of a code of
Hsiao's (``bitsmith_encode.sv`` makes the same), of which each bit of a word changes three. Those of zeros are
zeros.
"""

from enum import Enum
from functools import cache
from itertools import combinations, count
from math import comb


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
            return next(check for check in count(3) if comb(check, 3) >= width)


def with_check_bits(word: int, width: int, protection: Protection) -> int:
    """Return a word of ``width`` bits and its check bits."""
    match protection:
        case Protection.NONE:
            return word
        case Protection.PARITY:
            return word | (word.bit_count() & 1) << width
        case Protection.ECC:
            masks = _masks(width)
            return word | sum((word & mask).bit_count() % 2 << width + k for k, mask in enumerate(masks))


@cache
def _masks(width: int) -> tuple[int, ...]:
    """The bits of a word that change each check bit."""
    check = check_bits(width, Protection.ECC)
    sets = sorted(chosen[::-1] for chosen in combinations(range(check), 3))[:width]
    return tuple(sum(1 << bit for bit, chosen in enumerate(sets) if k in chosen) for k in range(check))
