"""The table of families, and parts by name."""

import difflib
import re

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Die, Family, Part, Vendor
from bitsmith.devices.ice40 import ICE40, ICE40UP
from bitsmith.devices.intel import AGILEX_7, ARRIA_10, CYCLONE_V, STRATIX_10
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.xilinx import ULTRASCALE, ULTRASCALE_PLUS, XILINX_7
from bitsmith.errors import ConfigError

FAMILIES: tuple[Family, ...] = (
    *(ECP5, ICE40, ICE40UP, NEXUS),
    *(XILINX_7, ULTRASCALE, ULTRASCALE_PLUS),
    *(CYCLONE_V, ARRIA_10, STRATIX_10, AGILEX_7),
)
"""All families; another one is a file with its record, and an entry here."""

DEFAULT_PART = "LFE5U-85F-6BG381C"

YARDSTICK = ECP5.area
"""Areas in look-up tables of four inputs, by which layouts are compared for all families: a reuse factor means the same circuit
on each of them."""

TYPICAL = Die(luts=400_000, ffs=800_000, dsps=1_500, brams=1_000, large=0, regions=1, cells=0)
"""Resources assumed of parts that only a vendor's tool knows: those of a middle-sized one of their families."""


def resolve_part(text: str) -> Part:
    """Return the part named ``text``, in any case: ``LFE5U-85F-6BG381C``, ``xcvu13p-flga2577-2-e``, ``iCE40UP5K-SG48``.

    Package and speed may be left out; the open flow then takes the slowest speed grade and the package of the usual
    board.

    Raises:
        ConfigError: no such part; names the nearest ones.
    """
    name = text.strip()
    for family in FAMILIES:
        part = family.part(name)
        if part is not None:
            return part
    raise ConfigError(
        f"unknown FPGA part {name!r}",
        where="part",
        accepted=_near(name.lower()),
        remedy=f"check the spelling; boards, such as pynq-z2, are named by board; {elsewhere()}",
    )


def elsewhere() -> str:
    """Return what to do with a part of a family that is not in the tables."""
    makers = dict.fromkeys(family.vendor for family in FAMILIES)
    known = [f"{', '.join(each.name for each in FAMILIES if each.vendor == maker)} of {maker}" for maker in makers]
    return (
        f"of families other than {'; '.join(known)}: leave part and board out, and give the SystemVerilog to that maker's tool; "
        f"estimates are then those of {DEFAULT_PART}"
    )


def is_reserved(name: str) -> bool:
    """Return True if ``name`` is that of a part in the tables, or misspelled; else a vendor's HLS tool may know it."""
    return any(family.reserved and name.strip().lower().startswith(family.reserved) for family in FAMILIES)


def vendor_of(name: str) -> Vendor | None:
    """The maker of the part named ``name``; None if nothing is known of it."""
    return next((family.vendor for family in FAMILIES if family.part(name.strip()) is not None), None)


def part_or_typical(name: str) -> Part:
    """Return the part named ``name``; one of which nothing is known is taken as :data:`TYPICAL`."""
    found = (family.part(name.strip()) for family in FAMILIES)
    return next((part for part in found if part is not None), Part(name, ULTRASCALE_PLUS, TYPICAL, ()))


def _near(name: str) -> str:
    """Return names close to ``name``, one of which the user may have meant."""
    for family in FAMILIES:
        for die in sorted(family.dies, key=len, reverse=True):
            if name.startswith(die):
                return f"{die} with {family.part_form}"
    plain = re.sub(r"[\s_-]", "", name).replace("+", "plus")
    sold = [(brand, family) for family in FAMILIES for brand in family.brands if plain.startswith(brand)]
    if sold:
        brand, family = max(sold, key=lambda each: len(each[0]))
        dies = [die for die in family.dies if die.startswith(family.brands[brand])]
        return f"a part of that family: {', '.join(dies)}, alone or with {family.part_form}"
    near = difflib.get_close_matches(name, [die for family in FAMILIES for die in family.dies], n=4, cutoff=0.5)
    return f"close to it: {', '.join(near)}" if near else f"for example {DEFAULT_PART} or xcvu13p-flga2577-2-e"
