"""Patterns as keys."""

from __future__ import annotations

import itertools

from bitsmith.netlist.sharing import Pattern, PatternKey


def test_keys_are_read_back() -> None:
    nodes, positions = 5, 4
    key = PatternKey(nodes, positions)
    places = [(node, position) for node in range(nodes) for position in range(positions)]
    signed = {(place, minus): key.digit(*place, minus) for place in places for minus in (0, 1)}
    keys = set()
    for (a, minus_a), (b, minus_b) in itertools.product(signed, repeat=2):
        if a < b:
            found = key.of(signed[a, minus_a], signed[b, minus_b])
            assert key.decode(found) == Pattern(a[0], b[0], b[1] - a[1], minus_a ^ minus_b)
            keys.add(found)
    assert len(keys) == len({key.decode(each) for each in keys})


def test_faster_ways_agree() -> None:
    key = PatternKey(6, 8)
    codes = [node * 8 + position for node, position in ((0, 3), (1, 0), (1, 7), (4, 2), (5, 5))]
    digits = {code: key.digit(*divmod(code, 8), minus=code % 2) for code in codes}
    pairs = list(itertools.combinations(codes, 2))
    assert key.of_all_pairs(list(digits.values())).tolist() == [key.of(digits[a], digits[b]) for a, b in pairs]
    for code in codes:
        others = {other: digits[other] for other in reversed(codes) if other != code}
        expected = [key.of(digits[min(code, other)], digits[max(code, other)]) for other in others]
        assert key.with_each(code, digits[code], others) == expected
