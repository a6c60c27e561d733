"""The clock that a circuit is made for where the user names none is the one that its board gives it."""

import re
import tomllib
from pathlib import Path

import pytest

import bitsmith
from bitsmith.devices import board as boards
from bitsmith.devices.board import BOARDS, any_board, serial_boards
from bitsmith.errors import ConfigError

FOLDER = Path(str(boards.__file__)).parent / "boards"


def made(board: str | Path, folder: Path, clock_period: float | None = None) -> bitsmith.Model:
    return bitsmith.convert("2*x + 1", folder, inputs={"x": (-1, 1)}, board=str(board), clock_period=clock_period)


def megahertz(board: str, model: bitsmith.Model, folder: Path) -> float:
    """The frequency of the clock on a board, by its file or by what is written for the vendor's tools."""
    if board in serial_boards():
        return float(tomllib.loads((FOLDER / f"{board}.toml").read_text())["clock_hz"]) / 1e6
    model.write()
    settings = (folder / "system" / "settings.tcl").read_text()
    (found,) = re.findall(r"^set clock_mhz \{?([0-9.]+)", settings, re.MULTILINE)
    return float(found)


@pytest.mark.parametrize("board", BOARDS)
def test_a_circuit_is_made_for_the_clock_of_its_board(board: str, tmp_path: Path) -> None:
    model = made(board, tmp_path)
    assert model.target.clock_period_ns == pytest.approx(1e3 / megahertz(board, model, tmp_path), rel=1e-4)
    assert not [note for note in model.notes if "clock" in note]
    if board in serial_boards():
        assert f"at {megahertz(board, model, tmp_path):g} MHz" in str(model.estimate())
    else:  # whose tools make any clock
        assert model.target.clock_period_ns == any_board(board).part.family.clock_period_ns


def test_another_clock_than_the_boards_is_said_or_refused(tmp_path: Path) -> None:
    notes = made("ulx3s-85f", tmp_path, 10.0).notes
    assert notes[0].startswith("The circuit is made for 100 MHz; ULX3S-85F has a clock of 25 MHz and runs it at that.")
    assert not [note for note in made("ulx3s-85f", tmp_path, 40.0).notes if "clock" in note]
    assert not [note for note in made("pynq-z2", tmp_path, 4.0).notes if "clock" in note]
    with pytest.raises(ConfigError, match=r"(?s)^ClockPeriod: .* 100 ns, and ULX3S-85F .* 25 MHz.*at most 40\.00 ns"):
        made("ulx3s-85f", tmp_path, 100.0)
    rounded = made("icebreaker", tmp_path, 83.33)
    assert rounded.target.clock_period_ns == 83.33 and not [note for note in rounded.notes if "clock" in note]
    with pytest.raises(ConfigError, match=r"at most 83\.33 ns"):
        made("icebreaker", tmp_path, 83.4)


def test_the_clock_of_a_users_board(tmp_path: Path) -> None:
    path = tmp_path / "fast.toml"
    path.write_text((FOLDER / "ulx3s-25f.toml").read_text().replace("25_000_000", "50_000_000"))
    assert made(path, tmp_path).target.clock_period_ns == 20.0
