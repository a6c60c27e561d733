"""Placements are the best there are: compared with all placements of a few words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.netlist.place_registers import Flow, Placement, fewest_registers


def bits(placement: Placement, stage: Sequence[int]) -> int | None:
    """The bits of registers; None if a gap is not kept."""
    if any(stage[v] - stage[u] < gap for u, v, gap in placement.gaps):
        return None
    until = list(stage)
    for u, v in placement.reads:
        until[u] = max(until[u], stage[v])
    for u, last in placement.last.items():
        until[u] = last
    return sum(width * (end - begin) for width, begin, end in zip(placement.widths, stage, until, strict=True))


@st.composite
def placements(draw: st.DrawFn) -> tuple[Placement, list[int]]:
    count, stages = draw(st.integers(2, 6)), draw(st.integers(1, 4))
    pairs = [(u, v) for v in range(count) for u in range(v)]
    reads = draw(st.lists(st.sampled_from(pairs), max_size=8))
    stage = sorted(draw(st.lists(st.integers(0, stages - 1), min_size=count, max_size=count)))
    gaps = [(u, v, draw(st.integers(0, stage[v] - stage[u]))) for u, v in reads]
    widths = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    last = dict.fromkeys(draw(st.lists(st.integers(0, count - 1), max_size=3)), stages)
    fixed = frozenset(u for u in range(count) if stage[u] == 0 and draw(st.booleans()))
    return Placement(widths, stages, gaps, reads, last, fixed), stage


@settings(max_examples=150, deadline=None)
@given(placements())
def test_no_placement_has_fewer_bits(case: tuple[Placement, list[int]]) -> None:
    placement, start = case
    found = fewest_registers(placement, start)
    assert all(found[u] == start[u] for u in placement.fixed)
    everywhere = itertools.product(range(placement.stages), repeat=len(start))
    allowed = (stage for stage in everywhere if all(stage[u] == start[u] for u in placement.fixed))
    best = min(cost for stage in allowed if (cost := bits(placement, stage)) is not None)
    assert bits(placement, found) == best


def test_the_greatest_flow_takes_a_way_back() -> None:
    """The first way, 0 1 3 6, takes what the second one, 0 2 3, needs; it can go over 4 and 5 itself."""
    flow = Flow(7)
    for tail, head in ((0, 1), (0, 2), (1, 3), (2, 3), (3, 6), (1, 4), (4, 5), (5, 6)):
        flow.add(tail, head, 1)
    assert flow.run(0, 6) == 2
    assert flow.reached(0) == [0]
