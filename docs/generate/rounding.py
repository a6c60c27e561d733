"""Writes the documentation page of rounding and overflow modes from the code that defines them.

``make docs`` renews the page; a test keeps it and the code equal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from tests.ir.oracle import bring_inside, round_to_integer

from bitsmith.ir.types import FixedFormat, Overflow, Rounding

ROUNDING_MEANING = {
    Rounding.TRN: "down, towards minus infinity: the bits are cut off",
    Rounding.TRN_ZERO: "towards zero",
    Rounding.RND: "to the nearest; halves up, towards plus infinity",
    Rounding.RND_ZERO: "to the nearest; halves towards zero",
    Rounding.RND_INF: "to the nearest; halves away from zero",
    Rounding.RND_MIN_INF: "to the nearest; halves down, towards minus infinity",
    Rounding.RND_CONV: "to the nearest; halves to the even neighbor (convergent)",
}
OVERFLOW_MEANING = {
    Overflow.WRAP: "modulo the size of the range: upper bits are cut off",
    Overflow.SAT: "the nearest end of the range",
    Overflow.SAT_ZERO: "0",
    Overflow.SAT_SYM: "the nearest end of the range made symmetric: a signed format loses its least value",
}

FORMAT = FixedFormat(True, 4, 0)
ROUNDED = tuple(Fraction(n, 4) for n in (-10, -7, -6, -5, -2, 2, 5, 6, 7, 10))
OUTSIDE = (-20, -9, -8, -7, 7, 8, 9, 20)
BOTH = tuple(Fraction(n, 4) for n in (-34, -30, 29, 30, 34))


def page() -> str:
    """The page, in Markdown."""
    return "\n".join(
        [
            "# Rounding and overflow",
            "",
            "A format such as `fixed<16,6,RND,SAT>` has 16 bits, 6 of them integer bits (the sign included), and says how",
            "a value is brought into it: first it is *rounded* to a multiple of the last place, then, if it is outside",
            "the range, the *overflow* mode decides. The names are those of IEEE 1666 (SystemC) and of `ap_fixed`;",
            "without modes a format means `TRN,WRAP`, as it does there. Weights and biases are constants: they are",
            "rounded to the nearest (halves to even) and saturated when the model is converted, whatever modes their",
            "format has.",
            "",
            "## Rounding, here to integers",
            "",
            *_table(
                ["mode", "a value is rounded", *(_number(x) for x in ROUNDED)],
                [
                    [f"`{mode.value}`", meaning, *(str(round_to_integer(x, mode)) for x in ROUNDED)]
                    for mode, meaning in ROUNDING_MEANING.items()
                ],
            ),
            "",
            f"## Overflow, here of `fixed<4,4>`, which holds {FORMAT.lo} to {FORMAT.hi}",
            "",
            *_table(
                ["mode", "a value outside becomes", *(str(x) for x in OUTSIDE)],
                [
                    [f"`{mode.value}`", meaning, *(str(bring_inside(x, FORMAT.lo, FORMAT.hi, mode)) for x in OUTSIDE)]
                    for mode, meaning in OVERFLOW_MEANING.items()
                ],
            ),
            "",
            "## Both, for `fixed<4,4>`",
            "",
            *_table(
                ["rounding", "overflow", *(_number(x) for x in BOTH)],
                [
                    [f"`{rounding.value}`", f"`{overflow.value}`", *(str(_cast(x, rounding, overflow)) for x in BOTH)]
                    for rounding in Rounding
                    for overflow in Overflow
                ],
            ),
            "",
        ]
    )


def _cast(x: Fraction, rounding: Rounding, overflow: Overflow) -> int:
    return bring_inside(round_to_integer(x, rounding), FORMAT.lo, FORMAT.hi, overflow)


def _number(x: Fraction) -> str:
    return f"{float(x):g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def main(arguments: Sequence[str]) -> None:
    """Write the page to the path that is the only argument."""
    Path(arguments[0]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
