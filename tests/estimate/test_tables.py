from collections import Counter

import numpy as np
import pytest
from numpy.random import default_rng

from bitsmith.estimate.tables import columns, functions, unlike_parts
from bitsmith.ir.types import objects


def naive(row: list[int], first: int, address: int, width: int, inputs: int) -> float:
    """The share of parts that are neither constant nor a copy of another, on Python's integers."""
    kept = [value % (1 << width) for value in row]
    counts = Counter(kept)
    words = [min(kept, key=lambda value: (-counts[value], value))] * (1 << address)
    for number, value in enumerate(kept):
        words[(first + number) % (1 << address)] = value
    size, parts = min(1 << inputs, 1 << address), []
    for bit in range(width):
        column = [word >> bit & 1 for word in words]
        parts += [tuple(column[start : start + size]) for start in range(0, len(column), size)]
    return len({part for part in parts if len(set(part)) > 1}) / len(parts)


@pytest.mark.parametrize("width", [5, 61, 62, 63, 64, 65, 130])
def test_words_of_any_width_are_compared_bit_by_bit(width: int) -> None:
    rng = default_rng(width)
    for address, first in ((5, 0), (7, -40)):
        length = rng.integers(1 << address) + 1
        pool = [int.from_bytes(rng.bytes(20), "little", signed=True) >> int(rng.integers(150)) for _ in range(12)]
        values = [[pool[number] for number in rng.integers(12, size=length)] for _ in range(2)]
        tables = columns(objects(np.array(values, dtype=np.object_)), first, address, width)
        found = [unlike_parts(bits, 6) for bits in tables]
        assert found == pytest.approx([naive(row, first, address, width, 6) for row in values])


def test_functions_count_once_that_are_alike_or_inverted() -> None:
    bits = default_rng(0).integers(2, size=(3, 16), dtype=np.uint8)
    table = np.concatenate([bits[0], 1 - bits[0], bits[1], 0 * bits[2]])[None]
    assert (unlike_parts(table, 4), functions(table, 4)) == (3 / 4, 2)
    both = np.vstack([table, np.concatenate([bits[2], bits[1], bits[1], 1 - bits[2]])[None]])
    assert (unlike_parts(both, 4), functions(both, 4)) == (5 / 8, 3)


@pytest.mark.parametrize("unused", range(5))
def test_functions_that_do_not_depend_on_a_bit_are_those_of_fewer_bits(unused: int) -> None:
    half = default_rng(1).integers(2, size=(3, 16), dtype=np.uint8)
    bits = np.repeat(half.reshape(3, -1, 1, 1 << unused), 2, axis=2).reshape(3, 32)
    assert (functions(bits, 5), functions(half, 4)) == (0, 3)
