"""A common format for the elements of a cast gives what each element's own format gives, or there is none."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.emulate import Emulator
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import Overflow, Rounding, TensorType, objects
from bitsmith.mapping.formats import ChannelCast, cast_by_channel, common_cast
from tests.mapping.test_partition import assert_equal_values

COUNT = 3


def cast(frac: list[int], lo: list[int], hi: list[int], overflow: Overflow = Overflow.SAT) -> ops.Cast:
    return ops.Cast(np.array(frac), objects(lo), objects(hi), Rounding.RND, overflow)


def values(frac: list[int], lo: list[int], hi: list[int]) -> TensorType:
    return TensorType.of((len(frac),), np.array(frac), objects(lo), objects(hi))


def test_formats_that_only_follow_ranges_become_one() -> None:
    found = common_cast(cast([2, 1], [-9, -5], [9, 5]), values([3, 1], [-16, -5], [15, 5]))
    assert found is not None
    assert (int(found.frac), int(found.lo), int(found.hi), found.overflow) == (2, -16, 15, Overflow.WRAP)


def test_what_is_rounded_or_saturated_differently_stays_apart() -> None:
    assert common_cast(cast([2, 1], [-99, -99], [99, 99]), values([3, 3], [-16, -16], [15, 15])) is None
    assert common_cast(cast([2, 2], [-4, -4], [3, 5]), values([2, 2], [-16, -16], [15, 15])) is None
    assert common_cast(cast([0, 0], [0, -8], [3, 7], Overflow.WRAP), values([0, 0], [-9, -9], [9, 9])) is None


def test_a_bound_that_all_reach_is_kept() -> None:
    found = common_cast(cast([2, 2], [-8, -8], [7, 7]), values([2, 2], [-16, -4], [15, 12]))
    assert found is not None and (int(found.lo), int(found.hi), found.overflow) == (-8, 7, Overflow.SAT)


@settings(max_examples=60)
@given(st.data())
def test_values_are_the_same(data: st.DataObject) -> None:
    def numbers(least: int, greatest: int) -> list[int]:
        return data.draw(st.lists(st.integers(least, greatest), min_size=COUNT, max_size=COUNT))

    frac, x_frac = numbers(0, 1), numbers(0, 2)
    op = ops.Cast(
        np.array(frac),
        objects(numbers(-9, -8)),
        objects(numbers(7, 8)),
        data.draw(st.sampled_from(Rounding)),
        data.draw(st.sampled_from([Overflow.WRAP, Overflow.SAT, Overflow.SAT_ZERO])),
    )
    lo, hi = numbers(-12, -1), numbers(0, 12)
    builder = ProgramBuilder()
    kind = ops.Input("x", (COUNT,), np.array(x_frac), objects(lo), objects(hi), Rounding.TRN, Overflow.WRAP, ())
    x = builder.apply(kind)
    common = common_cast(op, x.type)
    if common is None:
        return
    program = builder.program([("own", builder.apply(op, x)), ("common", builder.apply(common, x))])
    raws = np.array([[min(max(k, a), b) for a, b in zip(lo, hi, strict=True)] for k in range(-12, 13)])
    own, shared = Emulator(program).run_raw([raws])
    types = [program.nodes[output.node].type for output in program.outputs]
    assert_equal_values(own, types[0].frac, objects(shared), types[1].frac)


def test_lower_bits_do_not_reach_beyond_a_range_in_which_another_channel_wraps() -> None:
    """The second one's 3.5 becomes 3 within -4..3, but is beyond the -3.5..3 of the third one's steps."""
    op = ops.Cast(np.array([0, 0, 1]), objects([-4, -4, -7]), objects([3, 3, 6]), Rounding.TRN, Overflow.WRAP)
    assert cast_by_channel(op, values([4, 4, 4], [-1, -1, -57], [0, 56, 0]), 4) is None


def of_channel(cast: ChannelCast, channel: int, raw: int) -> int:
    """What the cast makes of a number, in the same units."""
    number = int(cast.numbers[channel])
    bits = int(cast.dropped[number])
    total = raw + (1 << bits >> 1 if cast.rounds else 0)
    if cast.limits is not None:
        low, high = cast.limits[number]
        wraps = cast.overflow is Overflow.WRAP
        total = (total - low) % (high - low + 1) + low if wraps else min(max(total, low), high)
    return total >> bits << bits


@settings(max_examples=150)
@given(st.data())
def test_a_format_per_channel_is_a_sum_a_range_and_lower_bits_left_out(data: st.DataObject) -> None:
    def numbers(least: int, greatest: int) -> list[int]:
        return data.draw(st.lists(st.integers(least, greatest), min_size=COUNT, max_size=COUNT))

    frac, limit = numbers(0, 3), data.draw(st.integers(2, 14))
    alike = data.draw(st.booleans())
    hi = [(limit << step) - 1 >> 1 for step in frac] if alike else numbers(2, 30)
    rounding, overflow = data.draw(st.sampled_from(Rounding)), data.draw(st.sampled_from(Overflow))
    op = ops.Cast(np.array(frac), objects([-each - 1 for each in hi]), objects(hi), rounding, overflow)
    lo, greatest, x_frac = numbers(-90, -1), numbers(0, 90), data.draw(st.integers(0, 4))
    builder = ProgramBuilder()
    units = np.array([x_frac] * COUNT)
    x = builder.apply(ops.Input("x", (COUNT,), units, objects(lo), objects(greatest), Rounding.TRN, Overflow.WRAP, ()))
    found = cast_by_channel(op, x.type, x_frac)
    if found is None:
        plain = rounding in (Rounding.TRN, Rounding.RND) and overflow is Overflow.SAT
        assert not (plain and alike and x_frac >= max(frac)), "channels of a step have one range"
        return
    program = builder.program([("y", builder.apply(op, x))])
    raws = np.array([[min(max(k, a), b) for a, b in zip(lo, greatest, strict=True)] for k in range(-90, 91)])
    (own,) = Emulator(program).run_raw([raws])
    casted = objects([[of_channel(found, channel, int(raw)) for channel, raw in enumerate(row)] for row in raws])
    assert_equal_values(own, program.nodes[program.outputs[0].node].type.frac, casted, units)
