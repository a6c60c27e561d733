"""Boards are files of one schema; whatever else a file has is refused in one error that names the file and the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bitsmith.devices.board import BOARDS, any_board, default_board, read_board, serial_boards
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.family import Family
from bitsmith.devices.ice40 import ICE40
from bitsmith.devices.parts import FAMILIES
from bitsmith.devices.system import Card, Zynq
from bitsmith.devices.xilinx import ULTRASCALE_PLUS
from bitsmith.errors import ConfigError
from tests.devices.listed import SYSTEM_BOARDS

MINE = """\
name = "Mine"
part = "LFE5U-25F-6BG256C"
clock_hz = 50_000_000
io_standard = "LVCMOS33"
load = ["openFPGALoader --cable ft232", "my_loader -f"]

[pins]
clk = "P3"
uart_rx = "M1"
uart_tx = "L4"
"""
FOLDER = Path(str(read_board.__globals__["__file__"])).parent / "boards"


@pytest.mark.parametrize("name", serial_boards())
def test_our_boards(name: str) -> None:
    board = read_board(name.upper())
    assert (
        read_board(name.replace("-", "_"))
        == read_board(name.replace("-", " "))
        == read_board(name.replace("-", ""))
        == board
    )
    assert board.name.lower() == name
    text = board.constraints(1_000_000)
    assert text.startswith(f"# {board.name}: {board.part.name}\n")
    assert all(pin.site in text for pin in board.pins) and len(text.splitlines()) >= 5


def test_the_example_in_the_documentation_is_a_board() -> None:
    page = Path(__file__).parents[2] / "docs" / "add-a-device.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    assert example == (FOLDER / "icebreaker.toml").read_text()


def test_a_file_is_all_that_there_is_to_a_board() -> None:
    """No other file of the package lists them; a family names one that stands for it."""
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{name}.toml" for name in BOARDS]
    assert {"ulx3s-85f", "icebreaker"} < set(serial_boards()) and {"pynq-z2", "de1-soc"} < set(SYSTEM_BOARDS)
    package = FOLDER.parents[1]
    listing = [path for path in package.rglob("*.py") if sum(f'"{name}"' in path.read_text() for name in BOARDS) > 3]
    assert not listing


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.place_and_route])
def test_every_family_with_a_bitstream_has_a_board(family: Family) -> None:
    board = default_board(family)
    assert board is not None and board.part.family is family


def test_a_family_without_a_bitstream_has_none() -> None:
    assert default_board(ULTRASCALE_PLUS) is None


def test_boards_that_have_another_part_are_not_proposed() -> None:
    """A ULX3S has one of four parts, at the same sites; a bitstream for one of them is none for the others."""
    largest = read_board("ulx3s-85f")
    for name in ("12F", "25F", "45F"):
        board = read_board(f"ulx3s_{name}")
        assert board.part.name == f"LFE5U-{name}-6BG381C" and board.pins == largest.pins
    for wanted, remedy in (("pynq", "'pynq-z2'"), ("icebraker", "'icebreaker'"), ("kria kv260", "'kv260'")):
        with pytest.raises(ConfigError, match=f"did you mean {remedy}"):
            any_board(wanted)
    for wanted in ("arty-a7", "zcu106", "alveo-u30", "upduino", "ice40-hx1k-evn"):
        with pytest.raises(ConfigError, match=r"describe it in a \.toml file"):
            any_board(wanted)


def test_a_users_board(tmp_path: Path) -> None:
    path = tmp_path / "my board.toml"
    path.write_text(MINE)
    for given in (path, str(path)):
        board = read_board(given)
        assert (board.name, board.part.family, board.clock_hz) == ("Mine", ECP5, 50_000_000)
    assert "P3" in board.constraints(0) and "50 MHZ" in board.constraints(0)
    assert "80 MHZ" in board.constraints(80_000_000)
    assert board.loading("a b/net.bit") == ("openFPGALoader --cable ft232 'a b/net.bit'", "my_loader -f 'a b/net.bit'")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "Mine"', "", "name: Field required"),
        ('"Mine"', '"Mine\\nset_io"', "name:"),
        ('"Mine"', '"Mine\\n"', "name:"),
        ('"Mine"', "3", "name:"),
        ('"LFE5U-25F-6BG256C"', '"LFE5U-26F"', "part: unknown FPGA part"),
        ('"LFE5U-25F-6BG256C"', '"xc7z020clg400-1"', "part: no open tool"),
        ("50_000_000", '"50e6"', "clock_hz:"),
        ("50_000_000", "true", "clock_hz:"),
        ("50_000_000", "0", "clock_hz:"),
        ('"P3"', "'P3\"; source evil'", "pins.clk:"),
        ('"P3"', '"[exec ls]"', "pins.clk:"),
        ('"P3"', '"$(ls)"', "pins.clk:"),
        ('"P3"', '"P3\\n"', "pins.clk:"),
        ('"P3"', '"M1"', "pins: a site is used twice"),
        ('clk = "P3"', 'clk = "P3"\nbutton = "A1"', "pins.button: Extra inputs"),
        ("[pins]", "[pin]", "pins: Field required"),
        ('load = ["openFPGALoader --cable ft232", "my_loader -f"]', "", "load: Field required"),
        ('["openFPGALoader --cable ft232", "my_loader -f"]', "[]", "load: "),
        ('["openFPGALoader --cable ft232", "my_loader -f"]', '"my_loader"', "load: "),
        ('"my_loader -f"', '"my_loader; reboot"', "load.1: "),
        ('"my_loader -f"', '"my_loader $(reboot)"', "load.1: "),
        ('"my_loader -f"', '"my_loader  -f"', "load.1: "),
        ('"my_loader -f"', '"my_loader\\n"', "load.1: "),
        ('"LVCMOS33"', '"LVCMOS33 DRIVE=16"', "io_standard:"),
        ("[pins]", "[pins", "is not TOML"),
        ("[pins]", "x = " + "[" * 20_000, "is not TOML"),
        ("50_000_000", "9" * 10_000, "is not TOML"),
        ("[pins]", "#" * 70_000 + "\n[pins]", "too large"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in MINE
    path.write_text(MINE.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        read_board(path)
    assert refused.value.where == str(path) and told in refused.value.found


def test_all_faults_in_one_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace('"P3"', "3").replace("50_000_000", "-1"))
    with pytest.raises(ConfigError, match=r"clock_hz: .*; pins\.clk: "):
        read_board(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\0"])
def test_binary_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not TOML"):
        read_board(path)


@pytest.mark.parametrize("path", ["missing.toml", "/dev/zero.toml", "a\0b.toml"])
def test_no_such_file(path: str) -> None:
    with pytest.raises(ConfigError, match=r"no such file|cannot be read"):
        read_board(path)


def test_devices_are_not_read() -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_board(Path("/dev/zero"))


def test_unknown_names() -> None:
    with pytest.raises(ConfigError) as refused:
        read_board("pynq-z9")
    assert refused.value.where == "Board" and {"icebreaker", "pynq-z2"} <= set(refused.value.accepted.split(", "))
    with pytest.raises(ConfigError, match="PYNQ-Z2 is not a board with a serial port"):
        read_board("pynq-z2")


SYSTEMS = {
    "zynq": (
        'name = "Mine"\npart = "xc7z020clg400-1"\n[zynq]\nprocessor = "zynq"\nboard_part = "me.org:mine:part0:1.0"\n',
        Zynq,
    ),
    "card": (
        'name = "Mine"\npart = "xcu250-figd2104-2L-e"\n[card]\nplatform = "mine_1"\nmemory = "DDR"\nbanks = 4\n',
        Card,
    ),
}


@pytest.mark.parametrize("name", SYSTEM_BOARDS)
def test_our_boards_with_a_processor_or_in_a_host(name: str) -> None:
    board = any_board(name.upper())
    assert board.name.lower().replace(" ", "-") == name


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_users_system(tmp_path: Path, kind: str) -> None:
    text, wanted = SYSTEMS[kind]
    (tmp_path / "mine.toml").write_text(text)
    board = any_board(tmp_path / "mine.toml")
    assert isinstance(board, wanted) and board.name == "Mine"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"zynq"', '"microblaze"', "zynq.processor:"),
        ('"me.org:mine:part0:1.0"', '"a b; exec ls"', "zynq.board_part:"),
        ('"me.org:mine:part0:1.0"', '"[exec ls]"', "zynq.board_part:"),
        ("[zynq]", '[card]\nplatform = "p"\nmemory = "DDR"\nbanks = 4\n[zynq]', "a board of several kinds"),
        ("[zynq]", "clock_hz = 1\n[zynq]", "clock_hz: Extra inputs"),
        ("xc7z020clg400-1", "xc7z021", "part: unknown FPGA part"),
    ],
)
def test_other_systems_are_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "mine.toml"
    assert old in SYSTEMS["zynq"][0]
    path.write_text(SYSTEMS["zynq"][0].replace(old, new))
    with pytest.raises(ConfigError) as refused:
        any_board(path)
    assert refused.value.where == str(path) and told in refused.value.found


def test_ice40_boards_differ_in_family() -> None:
    assert read_board("ice40-hx8k-evn").part.family is ICE40 is not read_board("icebreaker").part.family
