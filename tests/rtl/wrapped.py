"""Small circuits of each kind, their wrappers in simulation, and their drivers as modules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np

from bitsmith.building import design
from bitsmith.building.design import Circuit, circuit
from bitsmith.building.verification import selftest_frame
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.protection import Protection
from bitsmith.emulate import Emulator
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.partition import partition
from bitsmith.passes.program.load import ParameterKey, parameters
from bitsmith.rtl.avalon_wrapper import AVALON_REGISTERS
from bitsmith.rtl.beats import ANSWERS, COMMANDS, kernel_name
from bitsmith.rtl.driver import DrivenCircuit, driver, image_file, images
from bitsmith.rtl.interface import Interface, prefix, token_bytes
from bitsmith.rtl.names import Wrapper
from bitsmith.rtl.writer import Title
from tests.properties.outside import through_memories
from tests.rtl.bench import compile_bench
from tests.rtl.test_streams import convolutional

DIGEST = "0123456789abcdef"
_LANE_WORDS = 8
IN_TURN = frozenset({"first", "relu", "pool", "dense"})
"""Layers of `in_turn` that share an engine."""


def branches() -> Program:
    """Two inputs of different widths and rates, two outputs."""
    rng = np.random.default_rng(0)
    builder = ProgramBuilder()
    x = builder.input("series", (6, 3), FixedFormat(True, 7, 3, Rounding.RND_CONV, Overflow.SAT))
    y = builder.input("bias", (2,), FixedFormat(False, 5, 1, Rounding.TRN, Overflow.WRAP))
    with builder.layer("mix"):
        mixed = builder.linear(x, rng.integers(-3, 4, (3, 2)), 1)
        shifted = builder.add(mixed, y)
    with builder.layer("top"):
        greatest = builder.amax(mixed, (0,))
    return builder.program([("shifted", shifted), ("greatest", greatest)])


def loaded(*, external: bool) -> Program:
    """A transposed convolution and a dense layer; the latter's weights come with each frame if ``external``."""
    rng = np.random.default_rng(3)
    builder, narrow = ProgramBuilder(), FixedFormat(True, 6, 2, Rounding.RND, Overflow.SAT)
    weight, bias = FixedFormat(True, 5, 3), FixedFormat(False, 4, 2)
    x = builder.input("x", (5, 2), FixedFormat(True, 6, 2, Rounding.RND, Overflow.SAT))
    with builder.layer("conv"):
        windows = builder.reshape(builder.window(x, (2,), (1,), (1,), ((1, 0),)), (5, 4))
        taps = builder.reshape(builder.parameter("weight", rng.integers(-16, 16, (6, 3)), weight), (3, 2, 3))
        placed = builder.gather(builder.pad(taps, (0, 0, 0), (1, 0, 0)), [[2, 3], [0, 1]], 0)
        matrix = builder.reshape(builder.transpose(placed, (0, 2, 1, 3)), (4, 6))
        x = builder.reshape(builder.matmul(windows, matrix), (10, 3))
        x = builder.cast(builder.add(x, builder.parameter("bias", rng.integers(0, 16, 3), bias)), narrow)
    with builder.layer("dense"):
        kernel = builder.parameter("weight", rng.integers(-16, 16, (30, 2)), weight, external=external)
        x = builder.matmul(builder.reshape(x, (1, 30)), kernel)
        x = builder.add(builder.reshape(x, (2,)), builder.parameter("bias", [3, 5], bias, external=external))
    return builder.program([("y", builder.cast(x, FixedFormat(True, 9, 2, Rounding.RND, Overflow.SAT)))])


def parted() -> Program:
    """Two products, each with some columns of one tensor."""
    rng, narrow = np.random.default_rng(3), FixedFormat(True, 6, 2, Rounding.RND, Overflow.SAT)
    builder = ProgramBuilder()
    x = builder.input("x", (1, 4), narrow)
    with builder.layer("cell"):
        kernel = builder.parameter("recurrent_weight", rng.integers(-16, 16, (4, 6)), FixedFormat(True, 5, 3))
        x = builder.cast(builder.matmul(x, builder.slice(kernel, (0, 0), (4, 4))), narrow)
        x = builder.matmul(x, builder.slice(kernel, (0, 4), (4, 6)))
    return builder.program([("y", builder.cast(x, narrow))])


def layered() -> Program:
    """Three layers, whose results are probes; elements of one have formats of their own."""
    rng, builder = np.random.default_rng(1), ProgramBuilder()
    x = builder.input("x", (5, 3), FixedFormat(True, 7, 3, Rounding.RND, Overflow.SAT))
    with builder.layer("first"):
        kept = builder.linear(x, rng.integers(-3, 4, (3, 4)), 1)
        first = builder.cast(kept, FixedFormat(True, 7, 2, Rounding.RND, Overflow.SAT))
    with builder.layer("scales"):
        scales = builder.mul(first, builder.const([1, 3, 8, 0], 3))
    with builder.layer("last"):
        last = builder.linear(scales, rng.integers(-3, 4, (4, 2)), 0)
    return builder.program([("y", last)], [("first", first), ("scales", scales), ("last", last)])


def in_turn() -> Program:
    """A convolution with a rectifier of its own name, pooling and a dense layer, which share an engine, and a layer after it."""
    rng, builder = np.random.default_rng(1), ProgramBuilder()
    formats = [FixedFormat(True, 7, frac, Rounding.RND, Overflow.SAT) for frac in (3, 2, 1)]
    x = builder.input("x", (6, 2), formats[0])
    with builder.layer("first"):
        windows = builder.reshape(builder.window(x, (3,), (1,), (1,), ((1, 1),)), (6, 6))
        kept = builder.cast(builder.linear(windows, rng.integers(-3, 4, (6, 4)), 1), formats[1])
    with builder.layer("relu"):
        positive = builder.max(kept, builder.const(0))
    with builder.layer("pool"):
        pooled = builder.amax(builder.window(positive, (2,), (2,), (1,), ((0, 0),)), (1,))
    with builder.layer("dense"):
        total = builder.linear(builder.reshape(pooled, (12,)), rng.integers(-3, 4, (12, 5)), 1)
        dense = builder.cast(total, formats[2])
    with builder.layer("last"):
        last = builder.mul(dense, dense)
    named = {"first": kept, "relu": positive, "pool": pooled, "dense": dense, "last": last}
    return builder.program([("y", last)], [*named.items()])


def narrow() -> Program:
    """Tokens of less than a byte on both sides."""
    builder = ProgramBuilder()
    x = builder.input("x", (6, 1), FixedFormat(True, 7, 3, Rounding.RND, Overflow.SAT))
    return builder.program([("y", builder.cast(builder.neg(x), FixedFormat(True, 5, 2, Rounding.RND, Overflow.SAT)))])


def outside() -> Circuit:
    """The circuit of `branches`, of which two results pass through memories outside."""
    with mock.patch.object(design, "with_room", lambda *of: through_memories(partition(*of), 2)):
        return circuit(branches(), Directives({}, False), ECP5.delays, 8.0, "net", Title("test", DIGEST))


def made(name: str) -> Circuit:
    """A circuit, by the kind of its interface."""
    if name == "outside":
        return outside()
    program, directives = {
        "pipeline": (branches(), Directives({}, True)),
        "bare": (branches(), Directives({}, True, valid=False)),
        "stream": (convolutional(4, 1), Directives({"conv": 3}, False)),
        "streams": (branches(), Directives({}, False)),
        "narrow": (narrow(), Directives({}, False)),
        "loads": (loaded(external=False), Directives({"conv": 2, "dense": 3}, True)),
        "read-back": (loaded(external=False), Directives({"conv": 2, "dense": 3}, True, read_back=True)),
        "parity": (loaded(external=False), Directives({"conv": 2, "dense": 3}, True, protection=Protection.PARITY)),
        "ecc": (loaded(external=False), Directives({"conv": 2, "dense": 3}, True, protection=Protection.ECC)),
        "layers": (layered(), Directives({}, True, taps=True)),
        "layers-streams": (layered(), Directives({}, False, taps=True)),
        "layers-engine": (in_turn(), Directives(dict.fromkeys(IN_TURN, 40), False, engine=IN_TURN, taps=True)),
        "parts": (parted(), Directives({"cell": 4}, True)),
        "weights": (loaded(external=True), Directives({"conv": 3, "dense": 4}, False)),
        "images": (in_turn(), Directives(dict.fromkeys(IN_TURN, 40), False, engine=IN_TURN, weights_rate=8.0)),
    }[name]
    return circuit(program, directives, ECP5.delays, 8.0, "net", Title("test", DIGEST))


KINDS = ("pipeline", "stream", "streams")


def inputs_of(program: Program, frames: int, seed: int = 0) -> list[np.ndarray]:
    """Real numbers, some of them outside the types and on ties."""
    rng = np.random.default_rng(seed)
    found = []
    for op in program.input_ops():
        most = float(np.max(op.hi)) * 2.0 ** -float(np.max(op.frac))
        step = 2.0 ** -float(np.max(op.frac)) / 2
        found.append(np.round(rng.uniform(-1.5 * most, 1.5 * most, (frames, *op.shape)) / step) * step)
    return found


def expected(program: Program, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(x) for x in Emulator(program).run(inputs)]


def save(folder: Path, each: Circuit, library: Sequence[str], wrapper: str) -> list[Path]:
    """The files below the wrapper whose file name is ``wrapper``, and it, in ``folder``."""
    texts = {f"rtl/{name}": text for name, text in each.sources.items()} | dict(each.extras)
    names = (*each.wrapper_sources(library), wrapper)
    paths = []
    for name in names:
        (folder / name).write_text(texts[f"rtl/{name}"])
        paths.append(folder / name)
    return paths


def layouts_of(program: Program) -> dict[ParameterKey, ModelLayout]:
    """Where a model has the parameters of a program: kernels are transposed there, as those of PyTorch are."""
    shapes = {place: node.type.shape for place, node in parameters(program).items()}
    return {place: ModelLayout.of(shape[::-1], np.transpose) for place, shape in shapes.items()}


def load_driver(folder: Path, each: Circuit, bus_bytes: int = 0) -> ModuleType:
    """The generated driver."""
    layouts, frame = layouts_of(each.program), selftest_frame(each.program)
    for port, data in images(each.interface):
        (folder / image_file(each.interface.top, port)).write_bytes(data)
    return load_driver_text(
        folder, driver(DrivenCircuit(each.program, each.interface, layouts, 1, bus_bytes, frame=frame))
    )


def load_driver_text(folder: Path, text: str) -> ModuleType:
    """A driver as a module."""
    path = folder / "net_driver.py"
    path.write_text(text)
    module = ModuleType("net_driver")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    # An import would take the bytecode of another driver that has been at this path in the same second.
    exec(compile(text, path, "exec"), module.__dict__)
    return module


class Board:
    """A simulated wrapper with registers and streams that is told what to do."""

    def __init__(self, process: subprocess.Popen[str], interface: Interface) -> None:
        self._process = process
        self._border = interface

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        assert not answer.startswith("error"), answer
        return answer

    def read(self, offset: int) -> int:
        return int(self._ask(f"r {offset}"))

    def write(self, offset: int, value: int) -> None:
        assert self._ask(f"w {offset} {value}") == "ok"

    def step(self, cycles: int = 0) -> int:
        """Let cycles pass; return those since the start."""
        return int(self._ask(f"s {cycles}"))

    def exchange(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        """Move the bytes of frames, of which those of images may be given once."""
        loads, own = [b""] * len(self._border.loads), len(data) - len(self._border.images)
        result = self._border.outputs[0]
        frames = wanted[0] // (result.tokens * token_bytes(result))
        sizes = [frames * each.port.tokens * token_bytes(each.port) for each in self._border.images]
        images = [each * (size // len(each)) for each, size in zip(data[own:], sizes, strict=True)]
        return self._exchange([*data[:own], *images, *loads], wanted)

    def load(self, name: str, data: bytes) -> None:
        """The bytes of a load."""
        loads = [data if each.port.name == name else b"" for each in self._border.loads]
        assert any(loads)
        self._exchange([*(b"" for _ in self._border.inputs), *loads], [0] * len(self._border.outputs))

    def _exchange(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        words = [*(each.hex() or "-" for each in data), *map(str, wanted)]
        first = self._ask(f"x {' '.join(words)}")
        if first == "hangs":
            raise TimeoutError("nothing moves any more")
        return [bytes.fromhex(text) for text in (first, *(self._answer() for _ in wanted[1:]))]


class Kernel(Board):
    """The same of a kernel for a card, whose registers are behind streams."""

    def _exchange(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        return super()._exchange([*data, b""], [*wanted, 0])[:-1]

    def _asked(self, command: int) -> int:
        nothing = [b""] * (len(self._border.inputs) + len(self._border.loads))
        found = super()._exchange([*nothing, command.to_bytes(8, "little")], [*(0 for _ in self._border.outputs), 4])
        return int.from_bytes(found[-1], "little")

    def read(self, offset: int) -> int:
        return self._asked(offset << 32)

    def write(self, offset: int, value: int) -> None:
        assert self._asked(1 << 63 | offset << 32 | value) == 0


@dataclass(frozen=True)
class Shell:
    """A module around a circuit's streams of beats, and how the bench sees it.

    ``connections``: of clock, reset and registers; ``lines``: of the bench's body; ``stream``: connections of a stream, by its
    name on the bus, its side of the bench, its number and bits. ``more``: bytes of a beat of other streams, into it and out.
    """

    name: Callable[[Interface], str]
    connections: tuple[str, ...]
    lines: tuple[str, ...]
    stream: Callable[[str, str, int, int], tuple[str, ...]]
    packets: bool
    more: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    kind: type[Board] = Board


def _axis(
    name: str, side: str, k: int, bits: int, roles: Sequence[str] = ("valid", "ready", "last")
) -> tuple[str, ...]:
    data = f".{name}_tdata({side}_data[{k * 32 * _LANE_WORDS}+:{bits}])"
    return (*(f".{name}_t{role}({side}_{role}[{k}])" for role in roles), data)


def _plain(name: str, side: str, k: int, bits: int) -> tuple[str, ...]:
    return _axis(name, side, k, bits, ("valid", "ready"))


def _avalon(name: str, side: str, k: int, bits: int) -> tuple[str, ...]:
    """Of a stream whose first byte is in its highest bits; nothing marks the packets that are sent."""
    name = side + name.removeprefix("s_axis" if side == "in" else "m_axis")
    lanes = [f"{side}_data[{32 * _LANE_WORDS * k + low}+:8]" for low in range(0, bits, 8)]
    marks = ("startofpacket", "endofpacket", *(["empty"] if bits > 8 else [])) if side == "in" else ()
    return (
        *(f".{name}_{role}({side}_{role}[{k}])" for role in ("valid", "ready")),
        f".{name}_data({{{', '.join(lanes)}}})",
        *(f".{name}_{mark}('0)" for mark in marks),
    )


_WIDTHS = {"awaddr": 12, "araddr": 12, "wdata": 32, "rdata": 32, "wstrb": 4, "bresp": 2, "rresp": 2}
_LITE = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")
_BACK = ("awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp", "rvalid")
_NO_LAST = "assign out_last = '0;"

AXIL = Shell(
    lambda interface: Wrapper.AXIL.of(interface.top),
    (".aclk(clk)", ".aresetn(rstn)", *(f".s_axi_{name}({name})" for name in (*_LITE, *_BACK))),
    (),
    _axis,
    packets=True,
)
KERNEL = Shell(
    kernel_name,
    (".ap_clk(clk)", ".ap_rst_n(rstn)"),
    (f"assign {{{', '.join(_BACK)}}} = '0;", _NO_LAST),
    _plain,
    packets=False,
    more=((COMMANDS[1],), (ANSWERS[1],)),
    kind=Kernel,
)
TWO_CLOCKS = Shell(
    lambda interface: Wrapper.CDC.of(interface.top),
    (
        ".aclk(clk)",
        ".aresetn(rstn & ~(awready & ~awaddr[2]))",
        ".core_clk(core_clk)",
        ".core_resetn(rstn & ~(awready & awaddr[2]))",
    ),
    (
        # There are no registers: what is written resets a side for a moment.
        "assign {awready, wready, arready} = {{2{awvalid & wvalid & ~bvalid}}, 1'b0};",
        "assign {bresp, rresp, rdata, rvalid} = '0;",
        "always_ff @(posedge clk) bvalid <= rstn & (awready | (bvalid & ~bready));",
    ),
    _axis,
    packets=False,
)
AVALON = Shell(
    lambda interface: Wrapper.AVALON.of(interface.top),
    (".clk(clk)", ".reset(~rstn)", *(f".registers_{role}({role})" for _, role, _ in AVALON_REGISTERS)),
    (
        # A host of Avalon agents that is asked by AXI4-Lite.
        *("logic [9:0] address;", "logic [3:0] byteenable;", "logic [31:0] writedata, readdata;"),
        "logic read, write, waitrequest;",
        "assign write = awvalid & wvalid & ~bvalid;",
        "assign read = arvalid & ~write & ~rvalid;",
        "assign address = write ? awaddr[11:2] : araddr[11:2];",
        "assign {byteenable, writedata, bresp, rresp} = {wstrb, wdata, 4'd0};",
        "assign {awready, wready, arready} = {{2{write & ~waitrequest}}, read & ~waitrequest};",
        "always_ff @(posedge clk) begin",
        "  if (~rstn) {bvalid, rvalid} <= '0;",
        "  else begin",
        "    bvalid <= awready | (bvalid & ~bready);",
        "    rvalid <= arready | (rvalid & ~rready);",
        "  end",
        "  if (arready) rdata <= readdata;",
        "end",
        _NO_LAST,
    ),
    _avalon,
    packets=False,
)


@contextmanager
def board(
    folder: Path, interface: Interface, sources: Sequence[Path], seed: int = 1, shell: Shell = AXIL
) -> Iterator[Board]:
    """The circuit in simulation, in a ``shell`` with registers."""
    (folder / "bench.sv").write_text(_uniform(interface, shell))
    compile_bench(folder, "wrapper_bench.cpp", "bench", [*sources, folder / "bench.sv"])
    sides = (*interface.inputs, *interface.load_ports), interface.outputs
    sizes = [[*map(token_bytes, ports), *more] for ports, more in zip(sides, shell.more, strict=True)]
    shape = (seed, *map(len, sizes), _LANE_WORDS, *sizes[0], *sizes[1], *([] if shell.packets else ["no-packets"]))
    with subprocess.Popen(
        [folder / "bench/obj/Vdut", *map(str, shape)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield shell.kind(process, interface)
        finally:
            process.kill()


def _uniform(interface: Interface, shell: Shell) -> str:
    """A top whose streams lie side by side, each in so many words, so that one bench fits all."""
    sides = {
        side: [(prefix(axis, port), 8 * token_bytes(port)) for port in ports]
        + [(name, 8 * size) for name, size in more]
        for side, axis, ports, more in (
            ("in", "s_axis", (*interface.inputs, *interface.load_ports), [COMMANDS][: len(shell.more[0])]),
            ("out", "m_axis", interface.outputs, [ANSWERS][: len(shell.more[1])]),
        )
    }
    ports = ["input logic clk", "input logic rstn"]
    ports += ["input logic core_clk"] if shell is TWO_CLOCKS else []
    ports += [f"input logic [{_WIDTHS.get(name, 1) - 1}:0] {name}" for name in _LITE]
    ports += [f"output logic [{_WIDTHS.get(name, 1) - 1}:0] {name}" for name in _BACK]
    connections = [*shell.connections]
    for side, streams in sides.items():
        way, other = ("input", "output") if side == "in" else ("output", "input")
        ports += [f"{way} logic [{len(streams) - 1}:0] {side}_{name}" for name in ("valid", "last")]
        ports += [f"{other} logic [{len(streams) - 1}:0] {side}_ready"]
        ports += [f"{way} logic [{len(streams) * 32 * _LANE_WORDS - 1}:0] {side}_data"]
        for k, (name, bits) in enumerate(streams):
            connections += shell.stream(name, side, k, bits)
    lines = ["module bench (", ",\n".join(f"  {port}" for port in ports), ");", *(f"  {line}" for line in shell.lines)]
    return "\n".join([*lines, f"  {shell.name(interface)} dut ({', '.join(connections)});", "endmodule", ""])
