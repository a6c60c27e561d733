"""The driver in C: compiled with stand-ins for AMD's libraries, on engines in front of a circuit that the emulator computes."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bitsmith.building.design import Circuit, circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.ops import Input
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program.load import parameters
from bitsmith.rtl.driver import DrivenCircuit
from bitsmith.rtl.interface import token_bytes
from bitsmith.rtl.stream_ports import StreamPort
from bitsmith.rtl.writer import Title
from bitsmith.systems.bare_metal import bare_metal
from tests.properties import few
from tests.rtl.wrapped import DIGEST, layouts_of, made
from tests.systems.written import arrays, computed, content, imported, written

STUBS = {
    "xil_io.h": """\
#include <stdint.h>
typedef uintptr_t UINTPTR;
typedef uint32_t u32;
typedef uint8_t u8;
u32 Xil_In32(UINTPTR address);
void Xil_Out32(UINTPTR address, u32 value);
""",
    "xil_cache.h": """\
#include "xil_io.h"
static inline void Xil_DCacheFlushRange(UINTPTR address, u32 bytes) { (void)address; (void)bytes; }
static inline void Xil_DCacheInvalidateRange(UINTPTR address, u32 bytes) { (void)address; (void)bytes; }
""",
    "sleep.h": """\
int board_usleep(unsigned long microseconds);
#define usleep board_usleep /* the C library of this machine has another one */
""",
    "xparameters.h": """\
#define XPAR_AXI_DMA_0_BASEADDR 0x40400000
#define XPAR_AXI_DMA_1_BASEADDR 0x40410000
#define XPAR_AXI_DMA_2_BASEADDR 0x40420000
#define XPAR_AXI_DMA_3_BASEADDR 0x40430000
#define XPAR_AXI_DMA_4_BASEADDR 0x40440000
#define XPAR_CIRCUIT_BASEADDR 0x43C00000
""",
    "board.c": """\
#include "sleep.h"
#include "xil_io.h"
static u32 (*in32)(UINTPTR);
static void (*out32)(UINTPTR, u32);
void connect_board(u32 (*in)(UINTPTR), void (*out)(UINTPTR, u32)) { in32 = in; out32 = out; }
int board_usleep(unsigned long microseconds) { out32(0, (u32)microseconds); return 0; }
u32 Xil_In32(UINTPTR address) { return in32(address); }
void Xil_Out32(UINTPTR address, u32 value) { out32(address, value); }
""",
}
IN, OUT = (
    ctypes.CFUNCTYPE(result, ctypes.c_size_t, *more) for result, *more in ((ctypes.c_uint32,), (None, ctypes.c_uint32))
)


class Board:
    """Registers of engines and circuit; addresses are those of this process."""

    def __init__(self, each: Circuit, net: ModuleType) -> None:
        self._each, self._net = each, net
        self.words: dict[int, int] = {0x43C0_0000: 0x62736D74, 0x43C0_0008: 0x89ABCDEF, 0x43C0_000C: 0x01234567}
        self.stuck = False
        self.failed = 0
        self.status = 1 << 1  # of engines
        self.short = 0
        self.resets = 0
        self.wrong = False
        self.left = 0
        """Frames of an exchange that failed, whose results come before others."""
        self._started: dict[tuple[str, int], tuple[int, int]] = {}
        self.functions = IN(self.read), OUT(self.write)

    def read(self, address: int) -> int:
        if address in (0x43C0_0800, 0x43C0_0804):  # of a circuit that reads and writes memory itself
            return (0xFF if self.stuck else 0) if address == 0x43C0_0800 else self.failed
        engine = address >> 24 == 0x40
        if engine and address & 0xFF in (0x04, 0x34):
            return 0 if self.stuck else self.status
        if address == 0x43C0_0014 and self.words.get(0x43C0_0010):  # a reset has ended
            return 0xFFFF_FFFF if self.stuck else 0
        reset = engine and address & 0xFF in (0x00, 0x30)  # it has ended
        return self.words.get(address, 0) & ~(reset << 2)

    def write(self, address: int, value: int) -> None:
        self.words[address] = value
        if address == 0x43C0_0010:
            self.resets += 1
            self.words[0x43C0_0024] = self.left = 0
        if address & 0xFF in (0x28, 0x58) and address >> 24 == 0x40:
            base = address - 0x10
            assert self.words[address - 0x28] == 1, "not running"
            place = self.words[base] | self.words[base + 4] << 32
            self._started["in" if address & 0xFF == 0x28 else "out", address >> 16 & 0xF] = place, value
            self._compute()
        if address == 0x43C0_0800:
            stream = value.bit_length() - 1
            assert value == 1 << stream
            low, high, size = (self.words[0x43C0_0810 + 16 * stream + 4 * k] for k in range(3))
            inputs = len(self._net.INPUTS)
            place = ("in", stream) if stream < inputs else ("out", stream - inputs)
            self._started[place] = low | high << 32, size
            self._compute()

    def _compute(self) -> None:
        net = self._net
        wanted = {("in", k) for k in range(len(net.INPUTS))} | {("out", k) for k in range(len(net.OUTPUTS))}
        if not wanted <= self._started.keys() or self.stuck:
            return
        data = [content(net, k, *self._started["in", k]) for k in range(len(net.INPUTS))]
        assert self.words[0x43C0_0028] == len(data[0]) // net.INPUTS[0].frame_bytes
        for k, bits in enumerate(computed(self._each, net, data)):
            place, size = self._started["out", k]
            assert size == len(bits)
            ctypes.memmove(place, bytes([bits[0] ^ self.wrong]) + bits[1:] if not self.left else bytes(size), size)
            self.words[0x4040_0058 + (k << 16)] = size - self.short
        self.left += bool(self.short)
        self.words[0x43C0_0024] = self.words.get(0x43C0_0024, 0) + self.words[0x43C0_0028] - bool(self.short)
        self._started.clear()


def compiled(folder: Path, real: str, patience: int = 10) -> ctypes.CDLL:
    for name, text in STUBS.items():
        (folder / name).write_text(text)
    sources = ["board.c", "system/export/net_driver.c"]
    options = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-O1", "-fPIC", "-shared", "-I."]
    options += [f"-DNET_REAL={real}", "-DNET_FRAMES=3", f"-DNET_PATIENCE={patience}"]
    subprocess.run(["gcc", *options, *sources, "-o", "driver.so", "-lm"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "driver.so"))


MASTER = {"interface": "axi_master"}


PORTS = [
    ("pipeline", {}),
    ("streams", MASTER),
    ("streams", {}),
    ("stream", {}),
    ("pipeline", MASTER),
    ("outside", MASTER),
]


@few("kind, target", PORTS, fast=2, judged=True)
def test_results_are_those_of_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, target: dict[str, str]
) -> None:
    each, samples = made(kind), 7
    written(tmp_path, each, "zcu104", monitors="none", **target)
    (net,) = imported(monkeypatch, tmp_path, "net")
    library, board = compiled(tmp_path, "double"), Board(each, net)
    library.connect_board(*board.functions)
    assert library.net_init() == 0
    assert board.words[0x43C0_0010] == 1, "what an earlier program left in the circuit is forgotten"
    x, want, y, pointers = arrays(each, samples)
    assert library.net_predict(*pointers, ctypes.c_size_t(samples)) == 0
    for have, right in zip(y, want, strict=True):
        np.testing.assert_array_equal(have, right)
    assert library.net_selftest() == 0
    board.wrong = True
    assert library.net_selftest() == 9
    board.wrong = False
    if target:
        board.failed = 1
        assert library.net_predict(*pointers, ctypes.c_size_t(1)) == 2
        board.failed = 0
    board.short, before = 4, board.resets
    assert library.net_predict(*pointers, ctypes.c_size_t(1)) == 2
    assert board.resets == before + 1
    board.short = 0
    y[0][:1] = np.nan
    assert library.net_predict(*pointers, ctypes.c_size_t(1)) == 0
    np.testing.assert_array_equal(y[0][:1], want[0][:1])
    if not target:
        board.status = 1 << 1 | 1 << 4  # idle after an error
        assert library.net_predict(*pointers, ctypes.c_size_t(1)) == 2
        board.status = 1 << 1
    board.stuck = True
    assert library.net_selftest() == 6
    assert library.net_predict(*pointers, ctypes.c_size_t(1)) == 2
    assert library.net_init() == 2
    x[0].reshape(-1)[-1] = np.nan
    assert library.net_predict(*pointers, ctypes.c_size_t(samples)) in (2, 3)
    board.words[0x43C0_0008] = 0
    assert library.net_init() == 1


@pytest.mark.parametrize("kind", ["pipeline", "streams", "loads"])
def test_buffers_are_whole_lines_of_a_cache(tmp_path: Path, kind: str) -> None:
    """Invalidating the last line of one concerns no other variable."""
    written(tmp_path, made(kind), "zcu104")
    text = (tmp_path / "system/export/net_driver.c").read_text()
    sizes = re.findall(r"static unsigned char \w+\[(.*)\] __attribute__\(\(aligned\(128\)\)\);", text)
    assert len(sizes) >= 2 and len(sizes) == len(re.findall(r"static unsigned char \w+_buffer", text))
    for size in sizes:
        bytes_ = eval(size.replace("NET_FRAMES", "3").replace("/", "//"))
        assert bytes_ > 0 and bytes_ % 128 == 0


def halves(shape: tuple[int, ...]) -> ModelLayout | None:
    """A transposed tensor that is the half of the sum of two, as biases of recurrent layers are sums."""
    return ModelLayout.of((2, *shape[::-1]), lambda both: both[0].T, lambda both: both[1].T, factor=0.5)


@pytest.mark.parametrize("summed", [False, True])
@few("kind", ["loads", "parts"], fast=1, judged=True)
def test_weights_are_loaded_as_the_driver_in_python_does(
    kind: str, summed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = made(kind)
    layouts = {place: halves(node.type.shape) for place, node in parameters(each.program).items()} if summed else None
    written(tmp_path, each, "zcu104", layouts=layouts)
    (net,) = imported(monkeypatch, tmp_path, "net")
    sent = list[bytes]()

    def write(address: int, value: int) -> None:
        words[address] = value
        if address & 0xFF == 0x28:
            assert address >> 16 == 0x4040 + len(net.INPUTS) + which
            sent.append(ctypes.string_at(words[address - 0x10] | words[address - 0x0C] << 32, value))

    idle = 1 << 1
    words, functions = dict[int, int](), (IN(lambda address: idle), OUT(write))
    library = compiled(tmp_path, "double")
    library.connect_board(*functions)
    for which, about in enumerate(net.DESIGN["weights"]):
        shape, name = about["shapes"][0], about["name"].replace("weight", "kernel")
        values = np.ldexp(np.random.default_rng(which).integers(about["lo"], about["hi"] + 1, shape), -about["frac"])
        values = np.ascontiguousarray(values + 2.0 ** -about["frac"] / 4)
        assert library.net_load(which, values.ctypes.data_as(ctypes.c_void_p)) == 0
        assert sent[-1] == net.weights(about["layer"], **{name: values})[about["port"]]
        values[:] = about["hi"] + 1
        assert library.net_load(which, values.ctypes.data_as(ctypes.c_void_p)) == 3
    values[:], idle = 0, 0
    words.clear()
    assert library.net_load(which, values.ctypes.data_as(ctypes.c_void_p)) == 2, "an engine does not end"
    assert {words[(0x4040 + k << 16) + 0x30 * (k < len(net.OUTPUTS))] for k in range(which + 2)} == {4}, "all are reset"
    assert words[0x43C0_0010] == 1, "the circuit is reset"


@pytest.mark.parametrize("overflow", list(Overflow))
def test_wide_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overflow: Overflow) -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (4,), FixedFormat(True, 62, 2, Rounding.RND_CONV, overflow))
    program = builder.program([("y", builder.cast(x, FixedFormat(True, 62, 2)))])
    each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", DIGEST))
    written(tmp_path, each, "zcu104")
    (net,) = imported(monkeypatch, tmp_path, "net")
    sent = list[bytes]()
    monkeypatch.setattr("tests.systems.test_bare_metal.computed", lambda each, net, data: sent.extend(data) or data)
    library, board = compiled(tmp_path, "double"), Board(each, net)
    library.connect_board(*board.functions)
    given = np.array([[0.375, -(2.0**53) - 2, 1.7e18, -1.7e308], [2.0**59, 2.0**59 - 128, -(2.0**59), 3e20]])
    y = np.zeros(given.shape)
    pointers = [(ctypes.c_void_p * 1)(array.ctypes.data) for array in (given, y)]
    assert library.net_predict(*pointers, ctypes.c_size_t(2)) == 0
    assert sent == net.pack([given])
    np.testing.assert_array_equal(y, net.unpack(sent)[0])


@pytest.mark.parametrize("target", [{}, MASTER])
def test_weights_that_come_with_each_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: dict[str, str]
) -> None:
    each, samples = made("weights"), 5
    written(tmp_path, each, "zcu104", **target)
    (net,) = imported(monkeypatch, tmp_path, "net")
    sent = [b""] * len(net.INPUTS)

    def answer(each: Circuit, net: ModuleType, data: list[bytes]) -> list[bytes]:
        sent[:] = [before + more for before, more in zip(sent, data, strict=True)]
        return [bytes(len(data[0]) // net.INPUTS[0].frame_bytes * stream.frame_bytes) for stream in net.OUTPUTS]

    monkeypatch.setattr("tests.systems.test_bare_metal.computed", answer)
    library, board = compiled(tmp_path, "double"), Board(each, net)
    library.connect_board(*board.functions)
    x, _, _y, pointers = arrays(each, samples)
    given = dict[str, np.ndarray]()
    for which, about in enumerate(each for each in net.DESIGN["weights"] if each["external"]):
        assert library.net_predict(*pointers, ctypes.c_size_t(samples)) == 4
        raw = np.random.default_rng(which).integers(about["lo"], about["hi"] + 1, about["shapes"][0])
        given[about["name"]] = np.ldexp(raw.astype(np.float64), -about["frac"])
        assert library.net_load(which, given[about["name"]].ctypes.data_as(ctypes.c_void_p)) == 0
    assert library.net_predict(*pointers, ctypes.c_size_t(samples)) == 0
    layer = net.DESIGN["weights"][0]["layer"]
    assert sent == net.pack(x, external={layer: (given["weight"], given["bias"])})


OBEDIENT = """\
#include "system/export/net_driver.h"
#include "sleep.h"
#include "xil_io.h"
#include <stdlib.h>
int usleep(unsigned long microseconds) { return (int)(microseconds == 0); }
static u32 frames_out, lengths[16];
u32 Xil_In32(UINTPTR address) {
    const u32 at = address & 0xFFF;
    if (address >> 24 == 0x40) return at == 0x58 ? lengths[address >> 16 & 0xF] : at == 0x04 || at == 0x34 ? 2 : 0;
    return at == 0 ? 0x62736D74 : at == 8 ? 0x89ABCDEF : at == 12 ? 0x01234567 : at == 0x24 ? frames_out : 0;
}
void Xil_Out32(UINTPTR address, u32 value) {
    if (address >> 24 == 0x40 && (address & 0xFF) == 0x58) lengths[address >> 16 & 0xF] = value;
    if (address == 0x43C00028) frames_out += value;
}
int main(int count, char **arguments) {
    const size_t samples = (size_t)atoi(arguments[count - 1]);
    double *x[NET_INPUTS], *y[NET_OUTPUTS];
    for (size_t k = 0; k < NET_INPUTS; k++) x[k] = calloc(samples * net_input_size[k], sizeof *x[k]);
    for (size_t k = 0; k < NET_OUTPUTS; k++) y[k] = calloc(samples * net_output_size[k], sizeof *y[k]);
    int status = net_init();
#if NET_LOADS > 0
    const size_t sizes[] = {SIZES};
    for (unsigned k = 0; k < NET_LOADS && status == 0; k++) {
        double *values = calloc(sizes[k], sizeof *values);
        status = net_load(k, values);
        free(values);
    }
#endif
    if (status == 0) status = net_predict((const double *const *)x, y, samples);
    for (size_t k = 0; k < NET_INPUTS; k++) free(x[k]);
    for (size_t k = 0; k < NET_OUTPUTS; k++) free(y[k]);
    return status;
}
"""


@few(
    "kind, target", [("narrow", {}), ("loads", MASTER), ("streams", {}), ("parts", {}), ("weights", {})], 2, judged=True
)
def test_no_byte_beyond_an_array_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, target: dict[str, str]
) -> None:
    """As sanitizers see it, on engines that do all they are told; samples are a part of a transfer, all of one, and more."""
    written(tmp_path, made(kind), "zcu104", **target)
    (net,) = imported(monkeypatch, tmp_path, "net")
    for name, text in {**STUBS, "main.c": OBEDIENT}.items():
        (tmp_path / name).write_text(text)
    sizes = ",".join(str(np.prod(about["shapes"][0])) for about in net.DESIGN["weights"])
    flags = ["-std=c99", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I.", "-DNET_REAL=double"]
    # gcc watches no bytes around arrays that are aligned to more than 64 bytes.
    own = [f"-DSIZES={sizes}", "-DNET_FRAMES=3", "-DNET_PATIENCE=10", "-D__attribute__(x)="]
    command = ["gcc", *flags, *own, "main.c", "system/export/net_driver.c", "-o", "main", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True)
    for samples in (2, 3, 7):
        subprocess.run([tmp_path / "main", str(samples)], cwd=tmp_path, check=True)


HALF = 1 << 51


@pytest.mark.parametrize(
    ("lo", "hi", "overflow", "has_driver"),
    [
        (-(1 << 69), (1 << 69) - 1, Overflow.SAT, False),
        (-(1 << 62), (1 << 62) - 1, Overflow.SAT, True),
        (-(1 << 62), (1 << 62) - 1, Overflow.WRAP, True),
        (-(1 << 63), (1 << 63) - 1, Overflow.SAT, False),
        (0, 1 << 62, Overflow.SAT, True),
        (0, (1 << 62) + 1, Overflow.SAT, False),
        (0, (1 << 63) - 1, Overflow.SAT, False),
        # The remainder of a span is exact in double precision up to 52 bits, and that of powers of two beyond.
        (-HALF, HALF - 1, Overflow.WRAP, True),
        (-HALF, HALF, Overflow.WRAP, False),
        (-HALF, HALF, Overflow.SAT, True),
        (-HALF, HALF - 3, Overflow.WRAP, True),
        (0, (1 << 53) - 1, Overflow.WRAP, True),
        (0, (1 << 53) - 2, Overflow.WRAP, False),
    ],
)
def test_circuits_whose_numbers_the_driver_handles(lo: int, hi: int, overflow: Overflow, has_driver: bool) -> None:
    """Each element counts, also one among others that it would handle."""
    builder = ProgramBuilder()
    ends = [objects([least, most]) for least, most in ((-1, lo), (1, hi))]
    x = builder.apply(Input("x", (2,), objects(2), *ends, Rounding.TRN, overflow, ()))
    program = builder.program([("y", builder.cast(x, FixedFormat(True, 8, 2)))])
    each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", DIGEST))
    assert bool(bare_metal(DrivenCircuit(each.program, each.interface, {}, 1, 8))) == has_driver


def test_results_that_the_driver_does_not_handle() -> None:
    builder = ProgramBuilder()
    x = builder.input("x", (2,), FixedFormat(True, 40, 2))
    for bits, has_driver in ((63, True), (64, False)):
        program = builder.program([("y", builder.cast(builder.mul(x, x), FixedFormat(True, bits, 4)))])
        each = circuit(program, Directives({}, True), ECP5.delays, 8.0, "net", Title("test", DIGEST))
        assert bool(bare_metal(DrivenCircuit(each.program, each.interface, {}, 1, 8))) == has_driver


def test_buffers_have_room_for_all_that_moves_through_them() -> None:
    """Whole beats of all tokens of the frames of a transfer, and of a load."""

    def rounded(port: StreamPort, bus_bytes: int) -> int:
        size = token_bytes(port)
        beat = min(bus_bytes, 1 << (size - 1).bit_length())  # a power of two, as wide as the bus at most
        return port.tokens * (-(-size // beat) * beat)

    for kind, bus in (("streams", 8), ("loads", 4), ("weights", 8), ("parts", 1)):
        each = made(kind)
        files = bare_metal(DrivenCircuit(each.program, each.interface, layouts_of(each.program), 1, bus))
        rows = re.findall(r"static unsigned char (\w+)\[\((.*) \+ 127\) / 128 \* 128\]", files["net_driver.c"])
        interface = each.interface
        sides = {"input": interface.inputs, "output": interface.outputs}
        wanted = {
            f"{side}_buffer{k}": f"NET_FRAMES * {rounded(port, bus)}"
            for side, ports in sides.items()
            for k, port in enumerate(ports)
        }
        first = len(interface.weights)
        wanted |= {f"load_buffer{first + k}": str(rounded(load.port, bus)) for k, load in enumerate(interface.loads)}
        assert dict(rows) == wanted
