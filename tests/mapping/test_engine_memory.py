"""Words of an engine's memory: tensors that are needed at once lie apart, and sums take the words of an operand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bitsmith.ir.builder import ProgramBuilder
from bitsmith.mapping.engine.places import placed
from bitsmith.mapping.partition import partition
from tests.mapping.test_engines import FORMAT, convolved, engines, shared
from tests.mapping.test_partition import assert_same


@pytest.mark.parametrize("seed", range(20))
def test_tensors_that_are_needed_at_once_lie_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    banks, units = int(2 ** rng.integers(3)), []
    for number in range(int(rng.integers(2, 15))):
        skipped = [int(rng.integers(-1, number - 1))] if number > 1 and rng.random() < 0.4 else []
        units.append((number - 1, *skipped))
    size = {number: banks * int(rng.integers(1, 40)) for number in range(-1, len(units))}
    size |= {number: size[number - 1] for number in range(1, len(units)) if rng.random() < 0.5}
    in_place = [bool(rng.random() < 0.5) for _ in units]
    words, places = placed(units, size, in_place)
    last = {source: number for number, sources in enumerate(units) for source in sources}
    for number, sources in enumerate(units):
        live = {one for one in places if one <= number <= last[one]}
        if in_place[number] and number < len(units) - 1:
            over = {one for one in sources if one >= 0 and last[one] == number and size[one] == size[number]}
            assert not over or places[number] in {places[one] for one in over}
            live -= {one for one in over if places[one] == places[number]}
        needed = sorted((places[one], places[one] + size[one]) for one in live)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(needed))
        assert needed[0][0] >= 0
        assert needed[-1][1] <= words
    assert places[-1] == 0
    assert all(place % banks == 0 for place in places.values())


def test_a_sum_takes_the_words_of_an_operand_that_nobody_reads_later() -> None:
    """So a residual network holds two tensors where three would be needed."""
    builder = ProgramBuilder()
    x = builder.input("x", (6, 6, 4), FORMAT)
    with builder.layer("stem"):
        x = convolved(builder, x, 4, 0)
    for number in (1, 2):
        with builder.layer(f"branch{number}"):
            y = convolved(builder, x, 4, number)
        with builder.layer(f"sum{number}"):
            x = builder.cast(builder.add(x, y), FORMAT)
    with builder.layer("last"):
        program = builder.program([("y", convolved(builder, x, 2, 3))])
    (engine,) = engines(partition(program, shared(program, 3000)))
    assert engine.words == 2 * 36 * 4
    assert_same(program, shared(program, 3000), 3)
