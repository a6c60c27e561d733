"""Parts are found by the names that users write, and unknown ones are refused with the nearest."""

from __future__ import annotations

import re

import pytest

from bitsmith.config.values import read_part
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40, ICE40UP
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.parts import DEFAULT_PART, FAMILIES, is_reserved, resolve_part
from bitsmith.devices.xilinx import ULTRASCALE, ULTRASCALE_PLUS, XILINX_7
from bitsmith.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "family", "luts"),
    [
        ("LFE5U-85F-6BG381C", ECP5, 83_640),
        ("  lfe5u-45f ", ECP5, 43_848),
        ("LFE5U-25F-8MG285I", ECP5, 24_288),
        ("xcvu13p-flga2577-2-e", ULTRASCALE_PLUS, 1_728_000),
        ("xcku15p", ULTRASCALE_PLUS, 522_720),
        ("xczu9eg-ffvb1156-2-e", ULTRASCALE_PLUS, 274_080),
        ("xcu250-figd2104-2L-e", ULTRASCALE_PLUS, 1_728_000),
        ("xcku115-flvb2104-2-i", ULTRASCALE, 663_360),
        ("xc7a35ticsg324-1L", XILINX_7, 20_800),
        ("xc7z020clg400-1", XILINX_7, 53_200),
        ("xck26-sfvc784-2LV-c", ULTRASCALE_PLUS, 117_120),
        ("xcvu9p-flga2104-2L-e-es1", ULTRASCALE_PLUS, 1_182_240),
        ("iCE40UP5K-SG48", ICE40UP, 5_280),
        ("LIFCL-40-9BG400C", NEXUS, 32_256),
        ("LFD2NX-40-7BG256C", NEXUS, 32_256),
    ],
)
def test_resolves(text: str, family: Family, luts: int) -> None:
    part = resolve_part(text)
    assert (part.name, part.family, part.die.luts) == (text.strip(), family, luts)
    assert part.die.ffs >= part.die.luts
    assert bool(part.nextpnr) == (family in (ECP5, ICE40, ICE40UP, NEXUS))


def test_flags_of_nextpnr() -> None:
    assert resolve_part(DEFAULT_PART).nextpnr == ("--85k", "--package", "CABGA381", "--speed", "6")
    assert resolve_part("LFE5U-25F-7BG256C").nextpnr == ("--25k", "--package", "CABGA256", "--speed", "7")
    assert resolve_part("LFE5U-25F").nextpnr == ("--25k", "--package", "CABGA381", "--speed", "6")
    assert resolve_part("ice40hx8k").nextpnr == ("--hx8k", "--package", "ct256")
    assert resolve_part("lifcl-40-9bg400c").nextpnr == ("--device", "LIFCL-40-9BG400C")
    assert resolve_part("LFD2NX-40").nextpnr == ("--device", "LFD2NX-40-7BG256C")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("xcvu31p-flga2577-2-e", "xcvu13p"),
        ("LFE5U-58F-6BG381C", "lfe5u-85f"),
        ("LFE5U-85F-6XX381C", "bg381"),
        ("lfe5u-85f-bg381", "speed"),
        ("xcvu13px", "xcvu13p"),
        ("xc7z020clg400-11", "a package, a speed and a grade"),
        ("xcvu13p-flga2577-e", "a package, a speed and a grade"),
        ("xcvu13p; rm -rf", "xcvu13p"),
        ("", DEFAULT_PART),
        ("arria", "for example"),
        ("ECP5", "lfe5u-12f, lfe5u-25f, lfe5u-45f, lfe5u-85f, alone or with a speed"),
        ("Zynq-7000", "family: xc7z010, xc7z020, xc7z045, alone"),
        ("Zynq UltraScale+", "family: xczu2eg"),
        ("ice40up", "family: ice40up5k, alone"),
        ("cyclonev", "5csema5"),
    ],
)
def test_unknown_parts_are_refused_with_the_nearest(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve_part(text)
    assert told in refused.value.accepted


def test_parts_of_other_families_say_what_there_is_and_what_to_do() -> None:
    with pytest.raises(ConfigError) as refused:
        resolve_part(str(read_part("GW1NR-LV9QN88PC6/I5", "Part")))
    advice = str(refused.value.remedy)
    assert all(re.search(rf"\b{family.name}\b", advice) for family in FAMILIES)
    assert "leave part and board out" in advice and DEFAULT_PART in advice


@pytest.mark.parametrize(
    ("name", "reserved"), [("XCKU115-flvb2104-2-i", True), (" xcvu31p", True), ("MPF300TS", False), ("Agilex7", False)]
)
def test_names_are_asked_of_tools_where_no_family_reserves_them(name: str, reserved: bool) -> None:
    assert is_reserved(name) is reserved


@pytest.mark.parametrize("family", FAMILIES)
def test_brands_name_parts(family: Family) -> None:
    for brand, beginning in family.brands.items():
        assert brand == brand.lower() and any(die.startswith(beginning) for die in family.dies)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_clock(family: Family) -> None:
    assert 1.0 <= family.clock_period_ns <= 100.0
