"""Layers in bands of rows compute the same, in a memory that has no room for whole images."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bitsmith.dataflow.kinds import Engine, Outside
from bitsmith.dataflow.processes import Network
from bitsmith.devices.family import Part
from bitsmith.devices.parts import resolve_part
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.program import Program
from bitsmith.mapping.builder import DataflowBuilder, builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine import engines
from bitsmith.mapping.engine.bands import Bands, Images
from bitsmith.mapping.engine.fetched import _divided
from bitsmith.mapping.engine.room import images_of, places_of
from bitsmith.mapping.engine.rows import Row
from bitsmith.mapping.engine.units import Unit
from bitsmith.mapping.engine.visits import visits_of
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.mapping.test_engines import FORMAT, convolved, shared
from tests.mapping.test_partition import assert_same
from tests.properties import shares
from tests.properties.convolutional import inverted, preactivated, random_maps, random_network, turns
from tests.properties.tall import tall

FAST = 1e9
"""Bits in a cycle of a memory that is never waited for."""


def part_of(blocks: int, words: int = 16) -> Part:
    """A part of so many memory blocks, each of a few ``words`` of 9 bits."""
    part = resolve_part("xc7z020clg400-1")
    block = replace(part.family.memory, shapes=((words, 9),), bits=9 * words)
    delays, area = replace(part.family.delays, memory=block), replace(part.family.area, memory=block)
    family = replace(part.family, delays=delays, area=area)
    return replace(part, family=family, die=replace(part.die, brams=blocks))


def engine(network: Network) -> Engine:
    """The engine with most layers."""
    kinds = [process.kind for process in network.processes if isinstance(process.kind, Engine)]
    return max(kinds, key=lambda kind: len(kind.layers))


def of_program(program: Program, directives: Directives) -> Images:
    """The images of the only engine."""
    builder = builder_of(drop_dead(program, keep_probes=False), directives)
    (region,) = engines.regions_of(builder)
    return images_of(builder, region.units)


def pyramid(rows: int = 16, columns: int = 4) -> Program:
    """Convolutions over images that get smaller, one with a skip connection, then a dense layer."""
    builder = ProgramBuilder()
    x = builder.input("x", (rows, columns, 2), FORMAT)
    zero = builder.const(0)
    with builder.layer("first"):
        x = builder.max(convolved(builder, x, 8, 1), zero)
    with builder.layer("halved"):
        x = convolved(builder, x, 4, 2, stride=2)
    with builder.layer("second"):
        y = builder.max(convolved(builder, x, 4, 3), zero)
    with builder.layer("join"):
        x = builder.max(builder.cast(builder.add(x, y), FORMAT), zero)
    with builder.layer("last"):
        x = convolved(builder, x, 6, 4, stride=2)
    with builder.layer("pool"):
        x = builder.amax(x, (0, 1))
    with builder.layer("dense"):
        y = builder.linear(x, np.random.default_rng(5).integers(-15, 16, (6, 4)), 5)
    return builder.program([("y", y)])


def limited(program: Program, blocks: int, reuse: int = 10_000, rate: float = FAST) -> Directives:
    """Layers in turn on a part of few memory blocks, with weights from a memory outside."""
    return replace(shared(program, reuse), weights_rate=rate, part=part_of(blocks))


def test_fewer_numbers_are_held_where_the_part_has_less_room() -> None:
    """The words of the memory fit each time, until there is no room even for single rows."""
    program, words, bands = pyramid(), list[int](), list[int]()
    for blocks in (1000, 46, 38, 32):
        network = assert_same(program, limited(program, blocks))
        kind = engine(network)
        words.append(kind.words)
        bands.append(len(kind.layers))
    assert words == sorted(words, reverse=True)
    assert words[-1] < words[0] / 2
    assert bands == sorted(bands)
    assert bands[0] == len({layer.name for layer in kind.layers})


def test_no_bands_where_monitors_watch_or_each_band_would_have_a_table() -> None:
    program = drop_dead(pyramid(), keep_probes=False)
    asked = limited(program, 44)
    for directives in (replace(asked, taps=True), replace(asked, weights_rate=None)):
        kind = engine(partition(program, directives))
        assert len(kind.layers) == len({layer.name for layer in kind.layers})


def divided(images: Images, seed: int, *, outside: bool) -> tuple[Bands, ...]:
    """Units in some numbers of bands that they can have; tensors between some of them are ``outside``, if that is set."""
    rng, bands, first, cuts, comes = random.Random(seed), list[Bands](), 0, images.cuts, False
    while first < len(cuts) - 1:
        end = rng.randint(first + 1, min(len(cuts) - 1, first + 4))
        leaves = outside and images.units[cuts[end] - 1].blocks > 1 and rng.random() < 0.6
        count = rng.choice([1, 2, 2, 3, 4, 6]) if leaves or not comes else 1
        one = Bands(cuts[first], cuts[end], count, comes, leaves)
        if count > 1 and images.apart(one) is None:
            one = replace(one, count=1)
        if one.count > 1 or leaves:
            bands.append(one)
        first, comes = end, leaves
    return tuple(bands)


def with_bands(
    monkeypatch: pytest.MonkeyPatch, choose: Callable[[Images, int], tuple[Bands, ...] | None]
) -> list[tuple[Bands, ...]]:
    """Have engines of one window at once compute in bands that are chosen by the numbers of whole images, and tell which."""
    chosen = list[tuple[Bands, ...]]()

    def banded(builder: DataflowBuilder, units: Sequence[Unit], row: Row, *_: object) -> Row:
        if row.parts != (1, 1) or len(visits_of(units)) > 1:
            return row
        bands = choose(images_of(builder, units), places_of(builder, units, row.banks)[0]) or ()
        if row.abreast > 1 and any(one.leaves for one in bands):
            return row
        chosen.extend([bands] * bool(bands))
        return replace(row, bands=bands)

    monkeypatch.setattr(engines, "banded", banded)
    return chosen


def with_random_bands(monkeypatch: pytest.MonkeyPatch, seed: int, *, outside: bool = False) -> list[tuple[Bands, ...]]:
    """Have engines of one window at once compute in any bands, and tell which; with some tensors ``outside``."""

    def choose(images: Images, _: int) -> tuple[Bands, ...]:
        bands = divided(images, seed, outside=outside)
        return bands if not outside or any(one.leaves for one in bands) else ()

    return with_bands(monkeypatch, choose)


MAKERS = (random_network, random_maps, inverted, preactivated)


@pytest.mark.parametrize("outside", [False, True], ids=["on chip", "outside"])
@shares(40, fast=1)
def test_any_bands_compute_the_same(share: int, *, outside: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever windows reach beyond a band, and whatever passes by, on the chip or in a memory outside."""
    found = 0
    for seed in range(20 * share, 20 * share + 20):
        for make in MAKERS:
            program = make(seed)
            chosen = with_random_bands(monkeypatch, seed, outside=outside)
            assert_same(program, replace(turns(seed, program), weights_rate=(FAST, 16.0, 3.0)[seed % 3]), seed)
            found += len(chosen)
        if seed % 2 and found:
            return
    assert found > 0


def tall_in_bands(monkeypatch: pytest.MonkeyPatch, seed: int) -> tuple[Program, Directives, list[tuple[Bands, ...]]]:
    """A network over a tall image, and bands that it is computed in: any, or those of least work in some of the memory."""
    program, parts = tall(seed), range(2 + seed // 2 % 3, 10)

    def choose(images: Images, whole: int) -> tuple[Bands, ...] | None:
        if seed % 2 == 0:
            return divided(images, seed, outside=seed % 4 == 0)
        moved = 16 if seed % 4 == 1 else 0
        return next(filter(None, (images.within(whole * part // 10, 0.5, moved) for part in parts)), None)

    directives = replace(shared(program, 10_000), weights_rate=(FAST, 16.0, 3.0)[seed % 3])
    return program, directives, with_bands(monkeypatch, choose)


@shares(60, fast=1)
def test_bands_of_tall_images_compute_the_same(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = 0
    for seed in range(30 * share, 30 * share + 30):
        program, directives, chosen = tall_in_bands(monkeypatch, seed)
        assert_same(program, directives, seed)
        found += len(chosen)
        if seed % 6 == 5 and found:
            return
    assert found > 0


def test_a_result_takes_the_words_of_what_it_is_made_of() -> None:
    """Rows before it are made from the first one on, rows after it from the last one on, and never reach what is read yet."""
    program = pyramid(64, 16)
    images = of_program(program, limited(program, 10_000))
    first, *_ = images.cuts
    for end in images.cuts[1:]:
        for count in (2, 4):
            one = Bands(first, end, count, comes=False, leaves=False)
            apart = images.apart(one)
            if apart is None:
                continue
            units = images.banded([one])
            source, result = images.units[first].sources[0], images.units[end - 1].result
            whole = images.numbers(source) + images.numbers(result)
            held = max(unit.band.size for unit in units if unit.band and unit.makes == (source, 0))
            assert held == max(images.numbers(source), apart[0] + images.numbers(result)) < whole


@pytest.mark.parametrize("which", [(0, 1, 4), (0, 2, 4), (1, 2, 2), (1, 4, 4), (2, 4, 3)], ids=str)
def test_rows_that_are_read_yet_are_left_alone(which: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that grow, shrink and stay as large, from the first or the last band on."""
    program, asked = pyramid(24, 8), limited(pyramid(24, 8), 10_000)

    def banded(builder: DataflowBuilder, units: Sequence[Unit], row: Row, *_: object) -> Row:
        return replace(row, bands=(Bands(*which, comes=False, leaves=False),))

    monkeypatch.setattr(engines, "banded", banded)
    kind = engine(assert_same(program, asked))
    assert len(kind.layers) > len({layer.name for layer in kind.layers})


def pyramid_of_sums(seed: int = 0) -> Program:
    """Convolutions with skip connections over images that stay large until the last one."""
    builder = ProgramBuilder()
    x, zero = builder.input("x", (16, 8, 2), FORMAT), builder.const(0)
    with builder.layer("first"):
        x = builder.max(convolved(builder, x, 8, 1), zero)
    for number in range(3):
        with builder.layer(f"inner_{number}"):
            y = builder.max(convolved(builder, x, 4, 2 + number + seed), zero)
        with builder.layer(f"outer_{number}"):
            y = convolved(builder, y, 8, 5 + number)
        with builder.layer(f"sum_{number}"):
            x = builder.max(builder.cast(builder.add(x, y), FORMAT), zero)
    with builder.layer("pool"):
        x = builder.amax(x, (0, 1))
    with builder.layer("dense"):
        y = builder.linear(x, np.random.default_rng(5).integers(-15, 16, (8, 4)), 5)
    return builder.program([("y", y)])


def test_sums_go_outside_where_the_part_has_no_room_for_one_of_them() -> None:
    """A sum has 1,024 numbers: memory for all, for one and rows of another, and for one that the last layer but one reads."""
    program, words, outside = pyramid_of_sums(), list[int](), list[bool]()
    for blocks in (1000, 140, 90):
        network = assert_same(program, limited(program, blocks))
        words.append(engine(network).words)
        outside.append(any(isinstance(process.kind, Outside) for process in network.processes))
    assert outside == [False, False, True]
    assert 1024 <= words[2] < 1100 < words[1] < words[0]


@pytest.mark.parametrize(
    ("rate", "maps"),
    [(640.0, 128.0), (120.0, 32.0), (30.0, 10.0), (3.0, 1.0)],
    ids=["a fifth of much", "a number in each cycle", "the least time", "the least time of little"],
)
def test_maps_get_more_than_their_part_of_a_slow_memory(rate: float, maps: float) -> None:
    """Numbers of 16 bits, a fourth as many bits as weights have: a third of the rate makes the time of both least."""
    assert _divided(rate, 6400, 100, 16) == pytest.approx((rate - maps, maps))
