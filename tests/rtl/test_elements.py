"""Elements of tokens in other formats: the concatenated bits are the same number."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bitsmith.rtl.tokens import Element, _element


def _bits(part: str, word: int) -> str:
    """The bits of one part of a concatenation that reads ``word``, the highest first."""
    if zeros := re.fullmatch(r"(\d+)'b0", part):
        return "0" * int(zeros[1])
    times, found = re.fullmatch(r"(?:\{(\d+)\{)?x\[([\d:]+)\](?:\}\})?", part).groups()  # type: ignore[union-attr]
    high, _, low = found.partition(":")
    count = int(high) - int(low or high) + 1
    return format(word >> int(low or high) & (1 << count) - 1, f"0{count}b") * int(times or 1)


@given(
    st.tuples(st.integers(1, 6), st.booleans(), st.integers(-2, 3)),
    st.tuples(st.booleans(), st.integers(-2, 3), st.integers(0, 4)),
    st.integers(0, 5),
    st.integers(0, 1 << 20),
)
def test_elements_keep_their_numbers(
    own: tuple[int, bool, int], wanted: tuple[bool, int, int], low: int, drawn: int
) -> None:
    """Where the other format holds them; bits below and above the element are of others."""
    mine = Element(*own)
    signed, frac, more = wanted
    width = max(mine.width + frac - mine.frac + (signed and not mine.signed) + more, 1)
    other = Element(width, signed or mine.signed, frac)
    lo = -(1 << mine.width - 1) if mine.signed else 0
    raw = (lo + drawn % (1 << mine.width)) >> max(mine.frac - frac, 0) << max(mine.frac - frac, 0)
    if mine.signed and raw < lo:
        return
    word = (raw & (1 << mine.width) - 1) << low | drawn & (1 << low) - 1 | 1 << low + mine.width
    bits = "".join(_bits(part, word) for part in reversed(_element("x", low, mine, other)))
    found = int(bits, 2) - (int(bits[0]) << len(bits) if other.signed else 0)
    assert len(bits) == width and found * 2.0**-frac == raw * 2.0**-mine.frac
