"""Circuits with their systems as files, and the driver of a system beside stand-ins for what it imports."""

from __future__ import annotations

import ctypes
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bitsmith.building.design import Circuit
from bitsmith.building.job import Target
from bitsmith.building.system import rtl_core, system_of
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.program import Program
from bitsmith.passes.program.load import ParameterKey
from bitsmith.rtl.packing import Raw
from bitsmith.systems.system import System
from tests.rtl.wrapped import expected, inputs_of, layouts_of


def written(
    folder: Path,
    each: Circuit,
    name: str,
    period_ns: float = 10.0,
    layouts: Mapping[ParameterKey, ModelLayout] | None = None,
    samples: Sequence[Raw] | None = None,
    **target: Any,
) -> System:
    """The circuit and its system in ``folder``."""
    aim, known = Target(Path(), "net", "", period_ns, board=name, **target), layouts or layouts_of(each.program)
    made = system_of(aim, lambda board: rtl_core(each, board, aim, known, samples))
    assert made is not None
    system, files = made
    own = {f"rtl/{key}": text for key, text in each.sources.items()} | dict(each.extras)
    for path, text in {**own, **files, **system.files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    return system


def imported(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> tuple[ModuleType, ...]:
    """Files of a system that go to the board, by default the circuit's driver, and the one with `NeuralNetworkOverlay`."""
    monkeypatch.syspath_prepend(folder / "system/export")
    for name in {"net", "axi_stream_driver", "predicting", *names}:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tuple(importlib.import_module(name) for name in names or ("net", "axi_stream_driver"))


def computed(each: Circuit, net: ModuleType, data: list[bytes]) -> list[bytes]:
    """The bytes of each output for those of each input, by the emulator."""
    return answered(each.program, net, data)


def answered(program: Program, net: ModuleType, data: list[bytes]) -> list[bytes]:
    """The same of a program."""
    own = len(net.INPUTS) - net.IMAGES
    tensors = [x for stream, part in zip(net.INPUTS[:own], data[:own], strict=True) for x in stream.unpack(part)]
    frames = len(data[0]) // net.INPUTS[0].frame_bytes
    assert list(data[own:]) == [image * frames for image in net.images().values()], "the circuit reads other weights"
    results = iter(expected(program, tensors))
    fracs = iter([program.nodes[output.node].type.frac for output in program.outputs])
    found = []
    for stream in net.OUTPUTS:
        own = [next(fracs) for _ in stream.shapes]
        found.append(stream.pack([np.ldexp(next(results), frac).astype(np.int64) for frac in own], own))
    return found


def content(net: ModuleType, k: int, place: int, size: int) -> bytes:
    """The bytes of an input of which so many are read from memory: an image goes again with each frame."""
    held = net.INPUTS[k].frame_bytes if net.is_image(k) else size
    return ctypes.string_at(place, held) * (size // held)


def fixed_registers(net: ModuleType) -> dict[int, int]:
    """Registers of the circuit that a driver belongs to, by their addresses, which never change."""
    digest = int(net.DESIGN["digest"], 16)
    shapes = [size for stream in (*net.INPUTS, *net.OUTPUTS) for size in (stream.tokens * stream.beats, stream.beat)]
    named = {0: 0x62736D74, 0x08: digest & 0xFFFFFFFF, 0x0C: digest >> 32}
    return named | {0x40 + 4 * k: size for k, size in enumerate(shapes)}


class Buffer(np.ndarray):
    """A buffer of PYNQ, in a cache: ``memory`` has it after ``flush``, and it has what is in ``memory`` after ``invalidate``."""

    physical_address: int
    memory: np.ndarray

    def flush(self) -> None:
        self.memory[:] = self

    def invalidate(self) -> None:
        self[:] = self.memory


class Buffers:
    """Memory that a circuit has addresses of: far apart, beyond 32 bits, and with anything in it before it is written."""

    def __init__(self) -> None:
        self._buffers: dict[int, Buffer] = {}

    def allocate(self, shape: tuple[int, ...], dtype: type[np.uint8]) -> Buffer:
        found = np.zeros(shape, dtype).view(Buffer)
        found.memory = np.full(shape, 0xA5, dtype)
        found.physical_address = 0x3_0000_0000 + 0x10000 * len(self._buffers)
        self._buffers[found.physical_address] = found
        return found

    def at(self, low: int, high: int) -> np.ndarray:
        """The memory of the buffer at an address, of which registers have two halves."""
        return self._buffers[high << 32 | low].memory


Arrays = list[npt.NDArray[np.float64]]


def arrays(each: Circuit, samples: int) -> tuple[Arrays, Arrays, Arrays, list[ctypes.Array[ctypes.c_void_p]]]:
    """Inputs and their results, room for these, and pointers to the inputs and to the room."""
    x = [np.ascontiguousarray(values, np.float64) for values in inputs_of(each.program, samples)]
    want = expected(each.program, x)
    y = [np.zeros(values.shape) for values in want]
    pointers = [(ctypes.c_void_p * len(side))(*[array.ctypes.data for array in side]) for side in (x, y)]
    return x, want, y, pointers
