"""What keeps a program from its part: the resource and the layer with most of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bitsmith.devices.parts import resolve_part
from bitsmith.estimate import size
from bitsmith.estimate.bisection import first_with_room
from bitsmith.estimate.fit import only_in_tokens, slowest
from bitsmith.estimate.needs import fits, limited
from bitsmith.estimate.obstacle import _stored, obstacle, way_out
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, objects
from bitsmith.mapping.directives import Directives
from tests.mapping.test_fifos import PART, skips


def _dense(*sizes: int) -> Program:
    """Layers of random weights of 8 bits, whose results have 8 bits."""
    builder, rng = ProgramBuilder(), np.random.default_rng(0)
    value = builder.input("x", (sizes[0],), FixedFormat(True, 8, 0))
    for number, (n, m) in enumerate(pairwise(sizes)):
        with builder.layer(f"layer{number}"):
            weights = objects(rng.integers(-128, 128, (n, m)))
            product = builder.apply(ops.Linear(weights, np.zeros((1, 1), dtype=np.int64)), value)
            value = builder.cast(product, FixedFormat(True, 8, -8))
    return builder.program([("y", value)])


def test_the_layer_with_most_weights_is_in_the_way_of_memory() -> None:
    part = resolve_part("ice40hx8k-ct256")
    found = obstacle(_dense(16, 300, 400, 8), part, Directives({}, parallel=True))
    assert (found.need.resource, [*found.layers]) == ("memory blocks", ["layer1", "layer0", "layer2"])
    assert found.need.lacking and found.need.available == part.die.brams == 32
    most, *others = found.layers.values()
    assert most >= 300 * 400 * 8 / 4096 and sum(others) <= found.need.needed - most + 1
    assert f"32, most of them for layers 'layer1' ({most}, {most / 32:.0%}), 'layer0' ({others[0]}, " in str(found)
    ways = str(way_out(found, part, tried_bits=False))
    assert found.external == ("layer1",) and "Weights: external for layer 'layer1'" in ways
    assert "fewer bits" in ways and "fewer bits" not in str(way_out(found, part, tried_bits=True))
    assert found.fetched is not None and fits(found.fetched.size, part)
    assert (
        "weight_memory='64 bits" in ways
        and f"{found.fetched.size.bram} memory blocks of 32" in ways
        and "empty" not in ways
    )
    large = resolve_part("xczu7ev-ffvc1156-2-e")
    assert "URAM is empty at first" in str(way_out(found, large, tried_bits=False))


def test_what_does_not_help_is_no_remedy() -> None:
    part, program = resolve_part("ice40hx8k-ct256"), _dense(16, 300, 400, 8)
    fed = obstacle(program, part, Directives({}, parallel=False, weights_rate=8.0))
    assert fed.fetched is None and "weight_memory" not in str(way_out(fed, part, tried_bits=False))
    tiny = limited(part, {"bram": 8})
    found = obstacle(program, tiny, Directives({}, parallel=True))
    assert found.need.needed - found.layers["layer1"] > tiny.die.brams and len(found.external) > 1
    assert "Weights: external for layers 'layer1', 'layer0'" in str(way_out(found, tiny, tried_bits=False))
    many, none_left = _dense(16, *[64] * 9), limited(part, {"bram": 1})
    none = obstacle(many, none_left, Directives({}, parallel=True))
    assert none.external == () and none.fetched is not None
    assert (
        str(way_out(none, none_left, tried_bits=False))
        == "a larger part, fewer bits, more pruning, or a smaller network; or weights in a memory outside and smaller feature "
        "maps: layers in turn still take about 2 memory blocks of 1, most of them for layer 'layer8' (1, 100%)"
    )


def test_look_up_tables_that_leave_no_room_for_wires_are_an_obstacle() -> None:
    part = resolve_part("ice40lp384-qn32")
    found = obstacle(_dense(4, 3), part, Directives({}, parallel=True))
    assert found.need.resource == "LUTs" and found.layers["layer0"] > 0
    assert "external" not in str(way_out(found, part, tried_bits=False))


def test_fifos_outside_are_a_remedy_where_these_are_in_the_way() -> None:
    """Those of two skip connections, of which one has to leave."""
    program, asked = skips(0), Directives({}, parallel=False)
    side_by_side = slowest(program, PART, asked)
    short, none_left = (limited(PART, {"bram": blocks}) for blocks in (side_by_side.size.bram - 1, 1))
    stored = _stored(program, short, replace(asked, part=short))
    assert stored is not None and fits(stored.size, short)
    assert _stored(program, none_left, replace(asked, part=none_left)) is None
    assert _stored(program, short, replace(asked, part=short, weights_rate=8.0)) is None
    found = obstacle(program, short, replace(asked, part=short))
    assert found.stored == stored and found.fetched is None
    assert (
        f"200 ns, 75 %' as your memory is, for FIFOs outside: at least about {stored.size.lut:,} LUTs of 53,200"
        in str(way_out(found, short, tried_bits=False))
    )


def test_whole_tensors_need_no_look_where_many_tokens_lack_room_by_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few tokens, or those that lack little, may be larger than whole tensors."""
    for many, share, left_out in ((0, 6, True), (1 << 17, 6, False), (0, 3, False)):
        monkeypatch.setattr(size, "_MANY", many)
        program = _dense(16, 24, 8)
        least = slowest(program, PART, Directives({}, parallel=False), lambda _: False).size.lut
        assert (
            only_in_tokens(program, limited(PART, {"lut": least // share}), Directives({}, parallel=True)) is left_out
        )


def test_the_first_way_with_room_is_sought_from_the_first_possible_one() -> None:
    """Slower ones follow by strides that grow, and when one of these is able, those before it."""
    looked = list[int]()

    def first(possible: range, able: set[int]) -> int | None:
        looked.clear()

        def is_able(way: int) -> bool:
            looked.append(way)
            return way in able

        return first_with_room(0, 20, possible.__contains__, is_able)

    assert first(range(5, 21), {*range(5, 21)}) == 5 and looked == [5]
    assert first(range(5, 21), {*range(7, 21)}) == 7 and looked == [5, 6, 10, 8, 7]
    assert first(range(5, 21), {6, 12}) == 6 and looked == [5, 6], "slower ones may have deeper FIFOs"
    assert first(range(5, 21), {20}) == 20 and first(range(20, 21), {20}) == 20
    assert first(range(5, 21), {14, 17}) is None and looked == [5, 6, 10, 20]
    assert first(range(5, 17), {6}) == 6 and first(range(5, 12), {6}) is None, "longer tables"
