"""Delays and areas grow with width, agree with what was measured, and budgets are refused when nothing fits."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40, ICE40UP
from bitsmith.devices.intel import AGILEX_7, ARRIA_10, CYCLONE_V, STRATIX_10
from bitsmith.devices.parts import FAMILIES
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.errors import ConfigError

families = st.sampled_from(FAMILIES)


def sums(family: Family, a: int, b: int) -> int:
    """The sums that put a product together from parts."""
    block = family.delays.block
    return len(block.parts(a, b).sums) if block is not None else 0


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_wider_is_never_faster_or_smaller(family: Family) -> None:
    delay, area = family.delays, family.area
    for width in range(1, 64):
        assert 0 < delay.adder(width) <= delay.adder(width + 1)
        assert 0 < delay.comparator(width) <= delay.comparator(width + 1)
        assert 0 < delay.mux2(width) <= delay.mux2(width + 1)
        assert 0 < area.comparator(width) <= area.comparator(width + 1)
        # Blocks alone: what is left of a product between them may need more look-up tables than wider parts that fill them.
        assert area.multiplier(width, width)[0] <= area.multiplier(width + 1, width + 1)[0]


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_wider_products_of_no_fewer_sums_are_never_faster(family: Family) -> None:
    """On Nexus 19 x 19 is a cell of 18 x 18 and two sums, but 19 x 22 is a cell of 18 x 36 and one."""
    delay = family.delays.multiplier
    for narrow, wide in itertools.combinations_with_replacement(range(1, 65), 2):
        assert delay(narrow, wide) == delay(wide, narrow)
        for less, more in itertools.pairwise(((narrow, narrow), (narrow, wide), (wide, wide))):
            assert delay(*less) > 0
            assert delay(*less) <= delay(*more) or sums(family, *less) > sums(family, *more)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_longer_tables_are_never_faster_or_smaller(family: Family) -> None:
    delay, area = family.delays, family.area
    for address_bits in range(1, 16):
        assert 0 < delay.table(address_bits) <= delay.table(address_bits + 1)
        for width in range(1, 65):
            assert 0 < area.table(address_bits, width) <= area.table(address_bits + 1, width)
            assert area.table(address_bits, width) <= area.table(address_bits, width + 1)


@given(families, st.floats(0.0, 2.0))
def test_budget_is_what_registers_leave(family: Family, uncertainty: float) -> None:
    model = family.delays
    assert model.budget(20.0, uncertainty) == pytest.approx(20.0 - uncertainty - model.register_ns)


@pytest.mark.parametrize("family", FAMILIES)
def test_budget_refuses_a_period_that_fits_nothing(family: Family) -> None:
    with pytest.raises(ConfigError, match="no time for logic") as refused:
        family.delays.budget(0.3, 0.1)
    shortest = float(refused.value.accepted.split()[2])
    assert family.delays.budget(shortest, shortest / 3) > 0  # the uncertainty is a fraction, and grows along
    with pytest.raises(ConfigError, match="no time for logic"):
        family.delays.budget(shortest - 0.02, (shortest - 0.02) / 3)


def test_ecp5_agrees_with_what_was_measured() -> None:
    delay, area = ECP5.delays, ECP5.area
    assert delay.adder(8) == pytest.approx(2.63, abs=0.2)
    assert delay.adder(40) == pytest.approx(3.95, abs=0.2)
    assert delay.comparator(24) == pytest.approx(3.54, abs=0.2)
    assert delay.mux2(32) == pytest.approx(2.56, abs=0.2)
    assert delay.table(7) == pytest.approx(2.94, abs=0.2)
    assert delay.multiplier(8, 8) == pytest.approx(7.03, abs=0.7)
    assert delay.multiplier(18, 24) == pytest.approx(11.23, abs=0.7)
    assert area.adder_luts.at(16) == pytest.approx(19.4, abs=1)
    assert area.comparator(16) == pytest.approx(21.7, abs=1)
    assert area.table(8, 8) == pytest.approx(151, abs=2)
    assert area.multiplier(18, 18) == (1, 0)
    assert area.multiplier(24, 18) == (2, 24)
    assert area.multiplier(2, 2) == (1, 0)


def test_ice40_agrees_with_what_was_measured() -> None:
    delay, area = ICE40.delays, ICE40.area
    for width, ns in ((8, 3.08), (16, 4.85), (24, 5.86), (32, 7.68), (40, 8.59)):
        assert delay.adder(width) == pytest.approx(ns, abs=0.35)
    for width, ns in ((8, 4.02), (16, 5.64), (24, 7.5), (32, 8.45), (40, 9.28)):
        assert delay.comparator(width) == pytest.approx(ns, abs=0.6)
    assert delay.table(7) == pytest.approx(5.93, abs=0.2)
    assert area.adder_luts.at(32) == pytest.approx(41.8, abs=3)
    for width, ns in ((8, 7.97), (16, 11.31), (32, 17.62)):
        assert ICE40UP.delays.adder(width) == pytest.approx(ns, abs=0.35)


@pytest.mark.parametrize(
    ("family", "figures"),
    [
        (XILINX_7, {"register": 0.58, "table": 0.89, 8: 1.64, 16: 1.87, 32: 2.32, "block": 4.36, "stage": 2.19}),
        (CYCLONE_V, {"register": 0.73, "table": 1.31, 8: 2.37, 16: 2.65, 32: 3.23}),
        (ARRIA_10, {"stage": 1e3 / 364 - 0.4}),
        (STRATIX_10, {"stage": 1e3 / 771 - 0.3}),
        (AGILEX_7, {"stage": 1e3 / 771 - 0.25}),
        (ULTRASCALE_PLUS, {"stage": 1e3 / 775 - 0.12}),
    ],
)
def test_models_agree_with_public_figures(family: Family, figures: dict[str | int, float]) -> None:
    """Within 15 %, of the sources that the family's file names."""
    model = family.delays
    named = {
        "register": model.register_ns,
        "table": model.table(6),
        "block": model.block_ns,
        "stage": model.block_stage_ns,
    }
    for what, ns in figures.items():
        assert (named[what] if isinstance(what, str) else model.adder(what)) == pytest.approx(ns, rel=0.15), what


def test_ultrascale_plus_allows_for_nets_of_whole_networks() -> None:
    """At least what cells and local nets take, and at most 0.5 ns more, which is a long net."""
    model = ULTRASCALE_PLUS.delays
    for bits, ns in ((8, 0.47), (16, 0.50), (32, 0.58)):
        assert ns <= model.adder(bits) <= ns + 0.5
    assert 0.33 <= model.table(6) <= 0.33 + 0.5
    assert 1.98 <= model.block_ns <= 1.98 + 0.5


def test_cordic_of_intel_is_as_fast_as_published() -> None:
    """260 MHz on Cyclone V, of additions of about 20 bits, within 15 %."""
    model = CYCLONE_V.delays
    assert 1e3 / (model.register_ns + model.adder(20)) == pytest.approx(260, rel=0.15)


def test_blocks_of_amd_have_a_wide_side_and_a_least_size() -> None:
    area = ULTRASCALE_PLUS.area
    assert area.multiplier(18, 27) == (1, 0)
    assert area.multiplier(28, 8)[0] == area.multiplier(20, 20)[0] == 2
    assert area.multiplier(4, 4)[0] == area.multiplier(1, 30)[0] == 0 < area.multiplier(4, 5)[0]
    assert XILINX_7.area.multiplier(26, 8)[0] == 2


def test_long_tables_are_extrapolated() -> None:
    delay, area = ULTRASCALE_PLUS.delays, ULTRASCALE_PLUS.area
    assert delay.table(12) == pytest.approx(delay.table(10) + 2 * (delay.table(10) - delay.table(9)))
    assert area.table(13, 8) == 8 * area.table(10, 8)


def test_thresholds_in_tables_take_a_level_for_each_doubling_of_what_a_table_holds() -> None:
    levels = [round(ICE40.delays.threshold(bits, 4) / ICE40.delays.table(4)) for bits in (3, 4, 5, 8, 9, 16, 17)]
    assert levels == [1, 1, 2, 2, 3, 3, 4]
    assert ECP5.delays.threshold(16, 4) == ECP5.delays.comparator(16)
