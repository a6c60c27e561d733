"""FPGA parts by name: family, capacity, and how the open place-and-route tool is told of them.

In: the user's ``part`` text. Out: a ``Part``. Capacities are meant to be those of the vendors' product tables;
another part is one more line here.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import Enum

from bitsmith.errors import ConfigError

DEFAULT_PART = "LFE5U-85F-6BG381C"


class Family(Enum):
    """Device families that delays, areas and synthesis scripts distinguish."""

    ECP5 = "ecp5"
    ICE40 = "ice40"
    XILINX_7 = "xc7"
    ULTRASCALE = "xcu"
    ULTRASCALE_PLUS = "xcup"


@dataclass(frozen=True, slots=True)
class Block:
    """A multiplier block: its signed factors have up to ``wide`` and ``narrow`` bits.

    Wider factors are cut into parts of ``narrow`` bits. Synthesis makes products of fewer than ``least`` bits, and those with
    a factor of one bit, of look-up tables.
    """

    wide: int
    narrow: int
    least: int = 0

    def count(self, a: int, b: int, product: int | None = None) -> int:
        """Blocks that an ``a`` by ``b`` bit product takes of which ``product`` bits (else all) are wanted."""
        low, high = sorted((a, b))
        if low < 2 or (a + b if product is None else product) < self.least:
            return 0
        return -(-low // self.narrow) * (1 if high <= self.wide else -(-high // self.narrow))


@dataclass(frozen=True, slots=True)
class Part:
    """One orderable part.

    Capacities: look-up tables (4 inputs for Lattice, 6 for AMD), flip-flops, multiplier blocks (18x18, 16x16 for iCE40,
    25x18 or 27x18 for AMD), block memories of ``bram_bits`` bits each. ``nextpnr`` are the flags that name the part to
    the family's nextpnr, empty where there is none.
    """

    name: str
    family: Family
    luts: int
    ffs: int
    dsps: int
    brams: int
    bram_bits: int
    nextpnr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Die:
    """Capacity of the parts that share a device name."""

    family: Family
    luts: int
    ffs: int
    dsps: int
    brams: int


_BRAM_BITS = {
    Family.ECP5: 18 * 1024,
    Family.ICE40: 4 * 1024,
    Family.XILINX_7: 36 * 1024,
    Family.ULTRASCALE: 36 * 1024,
    Family.ULTRASCALE_PLUS: 36 * 1024,
}

_BLOCKS = {
    Family.ECP5: Block(18, 18),
    Family.XILINX_7: Block(25, 18, least=9),
    Family.ULTRASCALE: Block(27, 18, least=9),
    Family.ULTRASCALE_PLUS: Block(27, 18, least=9),
}
"""MULT18X18D, DSP48E1, DSP48E2; the least sizes are those of Yosys."""

_DIES = {
    "lfe5u-12f": _Die(Family.ECP5, 12_000, 12_000, 28, 32),
    "lfe5u-25f": _Die(Family.ECP5, 24_288, 24_288, 28, 56),
    "lfe5u-45f": _Die(Family.ECP5, 43_848, 43_848, 72, 108),
    "lfe5u-85f": _Die(Family.ECP5, 83_640, 83_640, 156, 208),
    "ice40lp384": _Die(Family.ICE40, 384, 384, 0, 0),
    "ice40lp1k": _Die(Family.ICE40, 1_280, 1_280, 0, 16),
    "ice40lp8k": _Die(Family.ICE40, 7_680, 7_680, 0, 32),
    "ice40hx1k": _Die(Family.ICE40, 1_280, 1_280, 0, 16),
    "ice40hx8k": _Die(Family.ICE40, 7_680, 7_680, 0, 32),
    "ice40up5k": _Die(Family.ICE40, 5_280, 5_280, 8, 30),
    "xc7a15t": _Die(Family.XILINX_7, 10_400, 20_800, 45, 25),
    "xc7a35t": _Die(Family.XILINX_7, 20_800, 41_600, 90, 50),
    "xc7a50t": _Die(Family.XILINX_7, 32_600, 65_200, 120, 75),
    "xc7a75t": _Die(Family.XILINX_7, 47_200, 94_400, 180, 105),
    "xc7a100t": _Die(Family.XILINX_7, 63_400, 126_800, 240, 135),
    "xc7a200t": _Die(Family.XILINX_7, 134_600, 269_200, 740, 365),
    "xc7k325t": _Die(Family.XILINX_7, 203_800, 407_600, 840, 445),
    "xc7vx690t": _Die(Family.XILINX_7, 433_200, 866_400, 3_600, 1_470),
    "xc7z010": _Die(Family.XILINX_7, 17_600, 35_200, 80, 60),
    "xc7z020": _Die(Family.XILINX_7, 53_200, 106_400, 220, 140),
    "xcku040": _Die(Family.ULTRASCALE, 242_400, 484_800, 1_920, 600),
    "xcku060": _Die(Family.ULTRASCALE, 331_680, 663_360, 2_760, 1_080),
    "xcku115": _Die(Family.ULTRASCALE, 663_360, 1_326_720, 5_520, 2_160),
    "xck26": _Die(Family.ULTRASCALE_PLUS, 117_120, 234_240, 1_248, 144),
    "xcku3p": _Die(Family.ULTRASCALE_PLUS, 162_720, 325_440, 1_368, 360),
    "xcku5p": _Die(Family.ULTRASCALE_PLUS, 216_960, 433_920, 1_824, 480),
    "xcku15p": _Die(Family.ULTRASCALE_PLUS, 522_720, 1_045_440, 1_968, 984),
    "xcu50": _Die(Family.ULTRASCALE_PLUS, 871_680, 1_743_360, 5_952, 1_344),
    "xcu200": _Die(Family.ULTRASCALE_PLUS, 1_182_240, 2_364_480, 6_840, 2_160),
    "xcu250": _Die(Family.ULTRASCALE_PLUS, 1_728_000, 3_456_000, 12_288, 2_688),
    "xcu280": _Die(Family.ULTRASCALE_PLUS, 1_303_680, 2_607_360, 9_024, 2_016),
    "xcvu7p": _Die(Family.ULTRASCALE_PLUS, 788_160, 1_576_320, 4_560, 1_440),
    "xcvu9p": _Die(Family.ULTRASCALE_PLUS, 1_182_240, 2_364_480, 6_840, 2_160),
    "xcvu11p": _Die(Family.ULTRASCALE_PLUS, 1_296_000, 2_592_000, 9_216, 2_016),
    "xcvu13p": _Die(Family.ULTRASCALE_PLUS, 1_728_000, 3_456_000, 12_288, 2_688),
    "xczu2eg": _Die(Family.ULTRASCALE_PLUS, 47_232, 94_464, 240, 150),
    "xczu3eg": _Die(Family.ULTRASCALE_PLUS, 70_560, 141_120, 360, 216),
    "xczu5ev": _Die(Family.ULTRASCALE_PLUS, 117_120, 234_240, 1_248, 144),
    "xczu7ev": _Die(Family.ULTRASCALE_PLUS, 230_400, 460_800, 1_728, 312),
    "xczu9eg": _Die(Family.ULTRASCALE_PLUS, 274_080, 548_160, 2_520, 912),
    "xczu28dr": _Die(Family.ULTRASCALE_PLUS, 425_280, 850_560, 4_272, 1_080),
    "xczu48dr": _Die(Family.ULTRASCALE_PLUS, 425_280, 850_560, 4_272, 1_080),
}

_ECP5_PACKAGES = {
    "bg256": "CABGA256",
    "bg381": "CABGA381",
    "bg554": "CABGA554",
    "bg756": "CABGA756",
    "mg285": "CSFBGA285",
    "tg144": "TQFP144",
}

_ECP5 = re.compile(r"(?P<die>lfe5u-\d+f)(?:-(?P<speed>[678])(?P<package>[a-z]{2}\d{3})[ci]?)?")
_ICE40 = re.compile(r"(?P<die>ice40(?:lp|hx|up)\d+k?)(?:-(?P<package>[a-z]{2}\d+))?")
_ICE40_PACKAGES = {"up5k": "sg48", "hx1k": "tq144", "hx8k": "ct256", "lp384": "qn32", "lp1k": "qn84", "lp8k": "cm81"}
_AMD_SUFFIX = re.compile(r"(-?[a-z]{3,4}\d{3,4})?(-[a-z0-9]+)*")


_CLOCK_PERIODS_NS = {
    Family.ECP5: 10.0,
    Family.ICE40: 25.0,
    Family.XILINX_7: 5.0,
    Family.ULTRASCALE: 5.0,
    Family.ULTRASCALE_PLUS: 5.0,
}


def default_clock_period_ns(family: Family) -> float:
    """Return the clock period that is aimed at where the user names none."""
    return _CLOCK_PERIODS_NS[family]


def multiplier_block(family: Family) -> Block | None:
    """Return the multiplier block of a family, None if not all of its parts have some."""
    return _BLOCKS.get(family)


def resolve_part(text: str) -> Part:
    """Return the part named ``text``, in any case: ``LFE5U-85F-6BG381C``, ``xcvu13p-flga2577-2-e``, ``iCE40UP5K-SG48``.

    Package and speed may be left out; the open flow then takes the slowest speed grade and the package of the usual
    board.

    Raises:
        ConfigError: no such part in the table; names the nearest ones.
    """
    name = text.strip()
    lower = name.lower()
    if match := _ECP5.fullmatch(lower):
        die, package = match["die"], match["package"] or "bg381"
        if die in _DIES and package in _ECP5_PACKAGES:
            size = die.removeprefix("lfe5u-").removesuffix("f")
            flags = (f"--{size}k", "--package", _ECP5_PACKAGES[package], "--speed", match["speed"] or "6")
            return _part(name, die, flags)
    elif match := _ICE40.fullmatch(lower):
        die = match["die"]
        if die in _DIES:
            model = die.removeprefix("ice40")
            return _part(name, die, (f"--{model}", "--package", match["package"] or _ICE40_PACKAGES[model]))
    elif lower.startswith("xc"):
        for die in _DIES:
            if lower.startswith(die) and _AMD_SUFFIX.fullmatch(lower, len(die)):
                return _part(name, die, ())
    raise _unknown(name)


def _part(name: str, die_name: str, nextpnr: tuple[str, ...]) -> Part:
    """Return the part ``name`` that is cut from ``die_name``."""
    die = _DIES[die_name]
    return Part(name, die.family, die.luts, die.ffs, die.dsps, die.brams, _BRAM_BITS[die.family], nextpnr)


def _unknown(name: str) -> ConfigError:
    """Return the error for a part that is not in the table."""
    lower = name.lower()
    near = difflib.get_close_matches(lower, _DIES, n=4, cutoff=0.5)
    if lower.startswith("lfe5u") and any(lower.startswith(die) for die in _DIES):
        accepted = f"a package of {', '.join(sorted(_ECP5_PACKAGES))} and a speed of 6, 7, 8, as in {DEFAULT_PART}"
    else:
        accepted = f"close to it: {', '.join(near)}" if near else f"for example {DEFAULT_PART} or xcvu13p-flga2577-2-e"
    return ConfigError(
        f"unknown FPGA part {name!r}",
        where="part",
        accepted=accepted,
        remedy=f"check the spelling, or leave the part out for {DEFAULT_PART}",
    )
