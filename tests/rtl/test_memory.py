"""Large tables are cut into such as synthesis makes without words that no one reads."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.protection import Protection
from bitsmith.rtl import memory
from bitsmith.rtl.protection import Checks
from bitsmith.rtl.stream_top import StreamTop
from bitsmith.rtl.writer import Title
from tests.rtl.circuits import lint


@pytest.mark.parametrize(
    ("words", "width", "parts"),
    [
        (1 << 15, 96, [1 << 15]),
        ((1 << 15) + 200, 96, [1 << 15, 200]),
        ((1 << 15) + 200, 2, [1 << 15, 200]),
        (1152, 256, [1152]),
        (26_212, 96, [1 << 14, 1 << 13, 1636]),
        ((1 << 15) - 1, 96, [(1 << 15) - 1]),
    ],
)
def test_parts_that_save_blocks(words: int, width: int, parts: list[int]) -> None:
    text = memory.rom("weights", width, range(words), Title("test", "0"), ECP5.memory, clocked=True)
    found = [len(re.findall("'d", case)) for case in re.findall(r"case(.*?)endcase", text, re.DOTALL)]
    assert found == parts


@pytest.mark.parametrize(
    ("words", "width", "block"), [(7, 512, False), (8, 256, True), (8, 255, False), (256, 8, True)]
)
def test_tables_of_enough_long_words_are_block_memory(words: int, width: int, block: bool) -> None:
    text = memory.rom("weights", width, range(words), Title("test", "0"), ECP5.memory, clocked=True)
    assert ("rom_style" in text) == block == ECP5.memory.takes_table(words, width)


def test_parts_are_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "table_parts", lambda words, width, block: [0, 8, 10])
    text = memory.rom("weights", 4, range(11), Title("test", "0"), ECP5.memory, clocked=True)
    (tmp_path / "weights.sv").write_text(text)
    assert "part2" in text
    lint([tmp_path / "weights.sv"], "weights")


@pytest.mark.parametrize("protection", Protection)
@pytest.mark.parametrize(
    ("words", "width", "block"), [(7, 512, False), (8, 256, True), (4, 2048, False), (256, 8, True)]
)
def test_tables_with_several_check_bits_are_slow_where_they_are_block_memory(
    protection: Protection, words: int, width: int, block: bool
) -> None:
    """One bit of parity is read as fast as the word; those that correct one stand behind a register."""
    top = SimpleNamespace(memory=ECP5.memory, checks=Checks(protection))
    assert StreamTop.registers(top, words, width) == (block and protection is Protection.ECC)  # type: ignore[arg-type]


def test_a_table_of_bits_has_the_same_words(tmp_path: Path) -> None:
    """Addresses without a word have zeros."""
    words = [5, 3, 6, 1, 7]
    text = memory.rom_of_bits("words", 3, words, Title("test", "0"))
    (tmp_path / "words.sv").write_text(text)
    lint([tmp_path / "words.sv"], "words")
    columns = [int(column, 16) for column in re.findall("8'h([0-9a-f]+);", text)]
    assert [sum((column >> place & 1) << bit for bit, column in enumerate(columns)) for place in range(8)] == [
        *words,
        0,
        0,
        0,
    ]
