"""Draws the pictures of the page of concepts, which are readable in the light and in the dark.

``python -m generate.concepts docs/images`` writes them; a test keeps them and the code equal. Numbers in them are computed by the
definitions of number formats, never typed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from xml.sax.saxutils import escape

from tests.ir.oracle import bring_inside, round_to_integer

from bitsmith.ir.types import FixedFormat, Overflow, Rounding

LIGHT = {"page": "#f4f6fb", "ink": "#1f2a44", "soft": "#46536b", "line": "#3f51b5", "box": "#ffffff", "mark": "#cdd6f7"}
DARK = {"page": "#222734", "ink": "#eef1f8", "soft": "#bcc5d6", "line": "#9db8fa", "box": "#2d3446", "mark": "#3d4d80"}
"""Colors of the page, of text, of remarks on the page, of lines, of boxes, and of boxes that stand out."""

WIDTH = 720


@dataclass
class Drawing:
    """Shapes of one picture, from top to bottom."""

    title: str
    height: int
    shapes: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box") -> None:
        """A rectangle in the color ``kind``."""
        self.shapes.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3"/>')

    def text(self, x: float, y: float, text: str, kind: str = "ink", anchor: str = "middle", size: int = 14) -> None:
        """A line of text in the color ``kind``."""
        self.shapes.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
        )

    def arrow(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A line with a head at its end."""
        self.shapes.append(f'<path class="arrow" d="M{x:g} {y:g}L{to_x:g} {to_y:g}" marker-end="url(#head)"/>')

    def svg(self) -> str:
        """The picture, with its colors for both schemes."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" role="img"'
                ' aria-labelledby="t" font-family="system-ui, sans-serif">',
                f'<title id="t">{escape(self.title)}</title>',
                f"<style>{_rules(LIGHT)}@media (prefers-color-scheme:dark){{{_rules(DARK)}}}</style>",
                '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
                '<path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
                f'<rect class="page" width="{WIDTH}" height="{self.height}" rx="12"/>',
                *self.shapes,
                "</svg>\n",
            ]
        )


def _rules(colors: Mapping[str, str]) -> str:
    fills = "".join(f".{kind}{{fill:{colors[kind]}}}" for kind in ("page", "ink", "soft"))
    boxes = "".join(f".{kind}{{fill:{colors[kind]};stroke:{colors['line']}}}" for kind in ("box", "mark"))
    return f"{fills}{boxes}.arrow{{stroke:{colors['line']};stroke-width:2}}.head{{fill:{colors['line']}}}"


def fixed_point() -> Drawing:
    """The bits of a number, and what becomes of numbers that a format does not have."""
    fmt = FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)
    value = Fraction(33, 10)
    raw = round_to_integer(value * 2**fmt.frac, fmt.rounding)
    drawing = Drawing(f"The eight bits of 3.3 in fixed<8,4>, and the numbers that {fmt} has", 300)
    drawing.text(24, 34, f"{float(value)} in {fmt}: 8 bits, 4 of them integer bits", anchor="start", size=16)
    for index in range(fmt.width):
        weight = Fraction(2) ** (fmt.width - 1 - index - fmt.frac)
        x = 40 + 58 * index + (18 if index >= fmt.integer else 0)
        bit = raw >> (fmt.width - 1 - index) & 1
        drawing.box(x, 76, 50, 46, "mark" if bit else "box")
        drawing.text(x + 25, 107, str(bit), size=20)
        drawing.text(x + 25, 68, f"{'-' if index == 0 else ''}{weight}", "soft", size=13)
    drawing.text(40 + 58 * fmt.integer + 4, 118, ".", size=28)
    step = Fraction(1, 2**fmt.frac)
    drawing.text(545, 96, f"= {raw} steps of {step}", anchor="start")
    drawing.text(545, 118, f"= {float(raw * step)}", anchor="start")
    drawing.text(40, 146, "integer bits (the first is the sign)", "soft", "start", 13)
    drawing.text(40 + 58 * fmt.integer + 18, 146, "fractional bits", "soft", "start", 13)

    left, right, y = 60, 660, 220
    low, high = fmt.lo * step, fmt.hi * step
    drawing.arrow(left - 30, y, right + 40, y)
    scale = (right - left) / float(high - low)
    for number in (low, Fraction(0), high):
        x = left + scale * float(number - low)
        drawing.box(x - 1, y - 8, 2, 16)
        drawing.text(x, y - 16, f"{float(number):g}", size=13)
    outside = Fraction(92, 10)
    ends = [
        f"{mode.value} {float(bring_inside(round_to_integer(outside / step, fmt.rounding), fmt.lo, fmt.hi, mode) * step):g}"
        for mode in (Overflow.SAT, Overflow.WRAP)
    ]
    drawing.text(
        24,
        256,
        "Between two steps 3.3 is rounded: "
        + ", ".join(
            f"{mode.value} gives {float(round_to_integer(value / step, mode) * step):g}"
            for mode in (Rounding.RND, Rounding.TRN)
        )
        + ".",
        "soft",
        "start",
    )
    drawing.text(
        24, 280, f"Outside the range it overflows: {float(outside):g} becomes {' or '.join(ends)}.", "soft", "start"
    )
    return drawing


def pipeline() -> Drawing:
    """Samples that follow each other through the stages of a pipeline, in every cycle and in every fourth one."""
    stages, samples = 5, 4
    drawing = Drawing(f"A pipeline of {stages} cycles with an interval of 1 cycle, and one with an interval of 4", 420)
    x, cycle, row = 120, 27, 28
    for top, interval in ((60, 1), (240, 4)):
        rate = "a new input in every cycle" if interval == 1 else f"a new input after {interval} cycles"
        drawing.text(24, top - 24, f"Interval {interval}: {rate}", anchor="start", size=16)
        for sample in range(samples):
            y = top + sample * row
            drawing.text(24, y + 18, f"input {sample + 1}", "soft", "start", 13)
            for stage in range(stages):
                drawing.box(
                    x + cycle * (sample * interval + stage), y, cycle - 3, row - 6, "mark" if sample == 0 else "box"
                )
                drawing.text(x + cycle * (sample * interval + stage) + (cycle - 3) / 2, y + 16, str(stage + 1), size=12)
        drawing.arrow(x, top + samples * row + 6, x + cycle * 21, top + samples * row + 6)
    drawing.text(x + cycle * 21, 240 + samples * row + 26, "clock cycles", "soft", "end", 13)
    drawing.text(24, 408, f"Latency is the length of a row: {stages} cycles in both.", "soft", "start")
    return drawing


def reuse() -> Drawing:
    """Eight products by eight, four and one multipliers."""
    products = 8
    drawing = Drawing("Eight products with reuse factors of 1, 2 and 8: fewer multipliers, more cycles", 330)
    x, size = 40, 30
    for left, factor in ((x, 1), (x + 150, 2), (x + 340, products)):
        units = products // factor
        drawing.text(left, 36, f"Reuse factor {factor}", anchor="start", size=16)
        for unit in range(units):
            for turn in range(factor):
                drawing.box(
                    left + turn * (size + 2), 84 + unit * (size - 4), size, size - 6, "mark" if turn == 0 else "box"
                )
                drawing.text(
                    left + turn * (size + 2) + size / 2,
                    101 + unit * (size - 4),
                    f"×{unit * factor + turn + 1}",
                    size=12,
                )
        drawing.text(left, 58, f"{units} multiplier{'s' * (units > 1)},", "soft", "start", 13)
        drawing.text(left, 75, f"{factor} cycle{'s' * (factor > 1)}", "soft", "start", 13)
    drawing.text(x, 316, "A row is a multiplier, a column is a clock cycle. The results are the same.", "soft", "start")
    return drawing


def streaming() -> Drawing:
    """A convolution that sees one pixel per cycle and keeps the rows that its window needs."""
    side, taps, size = 7, 3, 24
    arrived = 4 * side + 4
    drawing = Drawing(
        "An image enters pixel by pixel; a convolution keeps two rows and computes one window at a time", 300
    )
    drawing.text(24, 36, "io_parallel: the whole image at once", anchor="start", size=16)
    drawing.text(350, 36, "io_stream: one pixel per cycle", anchor="start", size=16)
    for index in range(side * side):
        y, x = divmod(index, side)
        drawing.box(24 + x * size, 60 + y * size, size - 2, size - 2, "mark")
        row, column = y * side + x, arrived - 1
        kept = arrived - (taps - 1) * side - taps <= row < arrived
        drawing.box(350 + x * size, 60 + y * size, size - 2, size - 2, "mark" if kept else "box")
        if row == column:
            drawing.text(350 + x * size + 11, 60 + y * size + 17, "●", size=12)
    drawing.arrow(200, 142, 226, 142)
    drawing.text(282, 136, "all windows", size=13)
    drawing.text(282, 154, "side by side", size=13)
    drawing.arrow(526, 142, 566, 142)
    drawing.text(630, 136, "one window", size=13)
    drawing.text(630, 154, "per cycle", size=13)
    drawing.text(24, 254, f"{side * side} pixels in registers", "soft", "start")
    drawing.text(350, 254, f"{(taps - 1) * side + taps} pixels in memory; ● has just arrived", "soft", "start")
    drawing.text(24, 282, "Fast, and as large as the image.", "soft", "start")
    drawing.text(350, 282, f"One result for each pixel: {side * side} cycles per image.", "soft", "start")
    return drawing


PICTURES: Mapping[str, Callable[[], Drawing]] = {
    "concept-fixed-point.svg": fixed_point,
    "concept-pipeline.svg": pipeline,
    "concept-reuse.svg": reuse,
    "concept-streaming.svg": streaming,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (Path(sys.argv[1]) / name).write_text(draw().svg(), encoding="utf-8")
