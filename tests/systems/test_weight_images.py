"""Circuits of boards that read their weights from memory: the driver in C, and damaged images."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from tests.properties import JUDGED
from tests.rtl.wrapped import inputs_of, made
from tests.systems.test_bare_metal import Board, compiled
from tests.systems.written import arrays, imported, written

MASTER = {"interface": "axi_master"}
IMAGE = Path("system/export/net_first_weights.bin")


@pytest.mark.parametrize("name", [pytest.param("zcu104", marks=JUDGED), "pynq-z2"])
def test_the_driver_in_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It refuses frames without weights, and other weights than those of the build; results are those of the emulator."""
    each, samples = made("images"), 7
    written(tmp_path, each, name, monitors="none", **MASTER)
    (net,) = imported(monkeypatch, tmp_path, "net")
    library, board = compiled(tmp_path, "double"), Board(each, net)
    library.connect_board(*board.functions)
    _x, want, y, pointers = arrays(each, samples)
    data = (tmp_path / IMAGE).read_bytes()
    assert library.net_init() == 0
    assert library.net_predict(*pointers, ctypes.c_size_t(samples)) == library.net_selftest() == 4
    for damaged in (data[:-1], data + b"\0", bytes([data[0] ^ 1]) + data[1:]):
        assert library.net_image(0, damaged, ctypes.c_size_t(len(damaged))) == 12
        assert library.net_predict(*pointers, ctypes.c_size_t(samples)) == 4
    assert library.net_image(0, data, ctypes.c_size_t(len(data))) == 0
    for _ in range(2):
        assert library.net_predict(*pointers, ctypes.c_size_t(samples)) == 0
        for have, right in zip(y, want, strict=True):
            np.testing.assert_array_equal(have, right)
        assert library.net_selftest() == 0
    board.wrong = True
    assert library.net_selftest() == 9
    board.failed = 1 << (len(net.INPUTS) - 1)
    assert library.net_predict(*pointers, ctypes.c_size_t(1)) == 2


def test_damaged_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = made("images")
    written(tmp_path, each, "pynq-z2", **MASTER)
    (net,) = imported(monkeypatch, tmp_path, "net")
    (data,) = net.images().values()
    for damaged in (data[:-1], data + b"\0", bytes([data[0] ^ 1]) + data[1:]):
        (tmp_path / IMAGE).write_bytes(damaged)
        with pytest.raises(ValueError, match="another length or CRC"):
            net.pack(inputs_of(each.program, 1))
    (tmp_path / IMAGE).unlink()
    with pytest.raises(ValueError, match="is missing"):
        net.images()
