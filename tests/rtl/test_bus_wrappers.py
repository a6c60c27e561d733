"""Shells around circuits: lint, real data through each in simulation by its driver, and the vendors' scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bitsmith.building.design import Circuit, circuit
from bitsmith.devices.ecp5 import ECP5
from bitsmith.emulate import Emulator
from bitsmith.errors import ConfigError
from bitsmith.flows.cosim import StreamShape
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.ops import Input
from bitsmith.ir.types import Overflow, Rounding, objects
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program.load import load
from bitsmith.rtl import uart_wrapper
from bitsmith.rtl.beats import beats, with_beats
from bitsmith.rtl.bus_wrappers import axi_lite
from bitsmith.rtl.interface import prefix, token_bytes
from bitsmith.rtl.library import AVALON_LIBRARY, BEATS_LIBRARY, CONTROL_LIBRARY, UART_LIBRARY, library
from bitsmith.rtl.writer import Title
from tests.flows.runs import simulate_streams
from tests.properties import JUDGED, few
from tests.rtl.bench import compile_bench, run_bench
from tests.rtl.circuits import lint
from tests.rtl.wrapped import DIGEST, KINDS, board, expected, inputs_of, load_driver, made, save

CLOCKS_PER_BIT = 8
SIMULATED = [pytest.param(kind, marks=() if kind == "streams" else JUDGED) for kind in KINDS]
"""The most general kind in each run of the tests, since a simulation takes seconds to compile."""

LIBRARIES = {"axis": (), "axil": CONTROL_LIBRARY, "avalon": AVALON_LIBRARY, "uart": UART_LIBRARY}


def wrapper_files(folder: Path, each: Circuit, wrapper: str) -> list[Path]:
    if wrapper == "uart":
        paths = []
        for name in each.wrapper_sources(UART_LIBRARY):
            text = {**each.sources, **library()}.get(name) or each.extras[f"rtl/{name}"]
            (folder / name).write_text(text)
            paths.append(folder / name)
        (folder / "net_uart.sv").write_text(uart_wrapper.uart(each.interface, CLOCKS_PER_BIT * 1000, 1000))
        return [*paths, folder / "net_uart.sv"]
    suffix = "v" if wrapper == "axil" else "sv"
    return list(dict.fromkeys(save(folder, each, LIBRARIES[wrapper], f"net_{wrapper}.{suffix}")))


@pytest.mark.parametrize("wrapper", LIBRARIES)
@few("kind", ["loads", *KINDS, "weights", "images", "read-back", "ecc", "layers"], fast=2, judged=True)
def test_lint_clean(tmp_path: Path, kind: str, wrapper: str) -> None:
    files = wrapper_files(tmp_path, made(kind), wrapper)
    lint(files, f"net_{wrapper}")


def test_the_reset_is_a_register() -> None:
    """Nothing but an edge of the clock changes it, in all wrappers with registers, whose circuits it resets."""
    text = library(CONTROL_LIBRARY)["bitsmith_control.sv"]
    assert re.findall(r"core_resetn <?= .*", text) == ["core_resetn <= aresetn & ~resetting;"]
    for kind in KINDS:
        wrapper = axi_lite(made(kind).interface)
        assert wrapper.count(".core_resetn(core_resetn)") == 1 and ".aresetn(core_resetn)" in wrapper


@pytest.mark.parametrize("kind", SIMULATED)
def test_registers_and_dma(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    driver = load_driver(tmp_path, each)
    x = inputs_of(each.program, 5)
    want = expected(each.program, x)
    with board(tmp_path, each.interface, wrapper_files(tmp_path, each, "axil")) as simulated:
        registers = driver.Registers(simulated.read, simulated.write)
        registers.check()
        assert (simulated.read(registers.LATENCY), simulated.read(registers.INTERVAL)) == each.cycles
        assert simulated.read(0x2C) == len(each.interface.inputs) | len(each.interface.outputs) << 16
        assert simulated.read(0x04) == 0x000100
        assert [simulated.read(address) for address in (0x10, 0x30, 0xFFC)] == [0, 0, 0]
        dma = driver.Dma(registers, *channels(simulated.exchange, len(driver.INPUTS), len(driver.OUTPUTS)), buffer)
        for _ in range(2):
            for have, wanted in zip(driver.predict(x, dma), want, strict=True):
                np.testing.assert_array_equal(have, wanted)
        assert [simulated.read(registers.FRAMES_IN), simulated.read(registers.FRAMES_OUT)] == [10, 10]
        assert simulated.read(registers.STATUS) == 0
        if driver.INPUTS[0].tokens > 1:  # a part of a frame, ended by a TLAST, then all anew
            part = driver.pack(x)[0][: driver.INPUTS[0].token_bytes]
            simulated.exchange([part] + [b""] * (len(driver.INPUTS) - 1), [0] * len(driver.OUTPUTS))
            assert simulated.read(registers.STATUS) == 2
        registers.reset()
        assert [simulated.read(registers.FRAMES_IN), simulated.read(registers.STATUS)] == [0, 0]
        for have, wanted in zip(driver.predict(x, dma), want, strict=True):
            np.testing.assert_array_equal(have, wanted)
        driver.selftest(dma)


@pytest.mark.slow
@pytest.mark.ci
def test_weights_of_an_engine_come_from_a_file_beside_the_driver(tmp_path: Path) -> None:
    """With each frame; a file of another build, or one that is damaged, is refused before anything is sent."""
    each = made("images")
    driver, x = load_driver(tmp_path, each), inputs_of(each.program, 3)
    with board(tmp_path, each.interface, wrapper_files(tmp_path, each, "axil")) as simulated:
        registers = driver.Registers(simulated.read, simulated.write)
        dma = driver.Dma(registers, *channels(simulated.exchange, len(driver.INPUTS), len(driver.OUTPUTS)), buffer)
        for have, wanted in zip(driver.predict(x, dma), expected(each.program, x), strict=True):
            np.testing.assert_array_equal(have, wanted)
        assert simulated.read(registers.STATUS) == 0
    (path,) = tmp_path.glob("net_*_weights.bin")
    data = path.read_bytes()
    for damaged in (data[:-1], data + b"\0", bytes([data[0] ^ 1]) + data[1:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="than the weights of this circuit"):
            driver.predict(x, lambda *_: [])
    path.unlink()
    with pytest.raises(ValueError, match="it has the weights of this circuit"):
        driver.predict(x, lambda *_: [])


def beats_files(folder: Path, each: Circuit, bus_bytes: int) -> list[Path]:
    """The circuit with streams of beats and registers."""
    narrow = with_beats(each.interface, bus_bytes)
    files = wrapper_files(folder, each, "axil")[:-1]
    texts = {"net_dma_axis.sv": beats(each.interface, bus_bytes), "net_dma_axil.v": axi_lite(narrow)}
    for name, text in {**library(BEATS_LIBRARY), **texts}.items():
        (folder / name).write_text(text)
        files.append(folder / name)
    return files


@few("kind", ["loads", *KINDS, "weights"], fast=2, judged=True)
def test_beats_lint_clean(tmp_path: Path, kind: str) -> None:
    lint(beats_files(tmp_path, made(kind), 2), "net_dma_axil")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("kind", SIMULATED)
def test_beats_of_a_narrow_bus(tmp_path: Path, kind: str) -> None:
    """Tokens of several beats, and of one that is wider than they are; the driver in small transfers."""
    each = made(kind)
    driver = load_driver(tmp_path, each, 2)
    driver.Dma.MOST_BYTES = 3 * max(stream.frame_bytes for stream in (*driver.INPUTS, *driver.OUTPUTS))
    x = inputs_of(each.program, 5)
    with board(tmp_path, with_beats(each.interface, 2), beats_files(tmp_path, each, 2)) as simulated:
        registers = driver.Registers(simulated.read, simulated.write)
        registers.check()
        dma = driver.Dma(registers, *channels(simulated.exchange, len(driver.INPUTS), len(driver.OUTPUTS)), buffer)
        for _ in range(2):
            for have, wanted in zip(driver.predict(x, dma), expected(each.program, x), strict=True):
                np.testing.assert_array_equal(have, wanted)
        assert simulated.read(registers.STATUS) == 0


def test_a_driver_refuses_another_circuit(tmp_path: Path) -> None:
    driver = load_driver(tmp_path, made("stream"))
    words = {0: 0x62736D74, 8: 0x89ABCDEF, 12: 0x01234567, 0x40: 16, 0x44: 1, 0x48: 1, 0x4C: 1}
    registers = driver.Registers(lambda offset: words.get(offset, 0), words.__setitem__)
    with pytest.raises(RuntimeError, match="sizes"):
        registers.check()
    words[8] += 1
    with pytest.raises(RuntimeError, match=DIGEST):
        registers.check()


def buffer(shape: tuple[int, ...], dtype: type[np.uint8]) -> np.ndarray:
    return np.zeros(shape, dtype)


class Channel:
    """One side of a DMA engine of PYNQ: all of a board move when one of them is asked whether it has."""

    running = True

    def __init__(self, start: Callable[[], None]) -> None:
        self.array = np.zeros(0, np.uint8)
        self.moved = True
        self._start = start

    def transfer(self, array: np.ndarray) -> None:
        assert self.moved
        self.array, self.moved = array, False

    @property
    def idle(self) -> bool:
        if not self.moved:
            self._start()
        return self.moved

    def wait(self) -> None:
        assert self.moved, "waits for ever"


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("kind", ["loads", "read-back"])
def test_weights_are_loaded(tmp_path: Path, kind: str) -> None:
    """Through the streams of a wrapper, from real numbers of the driver: the next frames are those of the new weights."""
    each = made(kind)
    driver = load_driver(tmp_path, each)
    x = inputs_of(each.program, 3)
    rng = np.random.default_rng(7)
    kernel, bias = rng.integers(-16, 16, (3, 6)) / 8, rng.integers(0, 16, 3) / 4
    with board(tmp_path, each.interface, wrapper_files(tmp_path, each, "axil")) as simulated:
        registers = driver.Registers(simulated.read, simulated.write)
        registers.check()
        registers.reset()
        assert not registers.wrong_memories()
        simulated.write(driver.Registers.PACKET_FRAMES, 3)
        (have,) = driver.predict(x, simulated.exchange)
        np.testing.assert_array_equal(have, expected(each.program, x)[0])
        driver.load("conv", kernel, bias, send=simulated.load, registers=registers)
        driver.load("dense", bias=[0.25, 3.75], send=simulated.load, registers=registers)
        (have,) = driver.predict(x, simulated.exchange)
        if kind == "read-back":
            crcs = [simulated.read(0x600 + 4 * k) for k in range(len(driver.LOADS))]
            registers.reset()
            assert not registers.wrong_memories() and crcs == [simulated.read(0x600 + 4 * k) for k in range(len(crcs))]
            assert len(set(crcs)) == len(crcs) and 0 not in crcs
            with pytest.raises(RuntimeError, match="conv_weight_load holds other weights"):
                driver.load(
                    "conv",
                    kernel,
                    send=lambda name, data: simulated.load(name, data[:5] + data[4:-1]),
                    registers=registers,
                )
            driver.load("conv", kernel, send=simulated.load, registers=registers)
    raws = {("conv", "weight"): kernel.T * 8, ("conv", "bias"): bias * 4, ("dense", "bias"): np.array([1, 15])}
    other = load(each.program, {place: objects(raw.astype(np.int64)) for place, raw in raws.items()})
    np.testing.assert_array_equal(have, expected(other, x)[0])
    assert np.any(have != expected(each.program, x)[0])


@pytest.mark.slow
@pytest.mark.ci
def test_weights_come_with_each_frame(tmp_path: Path) -> None:
    each = made("weights")
    driver = load_driver(tmp_path, each)
    x = inputs_of(each.program, 2)
    with board(tmp_path, each.interface, wrapper_files(tmp_path, each, "axil")) as simulated:
        simulated.write(driver.Registers.PACKET_FRAMES, 2)
        for seed in range(2):
            raws = np.random.default_rng(seed).integers(-16, 16, (30, 2))
            other = load(
                each.program, {("dense", "weight"): objects(raws), ("dense", "bias"): objects(np.array([2, seed]))}
            )
            external = {"dense": (raws.T / 8, [0.5, seed / 4])}
            (have,) = driver.predict(x, simulated.exchange, external)
            np.testing.assert_array_equal(have, expected(other, x)[0])


@pytest.mark.slow
@pytest.mark.ci
def test_a_tensor_is_loaded_into_two_memories(tmp_path: Path) -> None:
    each = made("parts")
    driver, x, raws = load_driver(tmp_path, each), inputs_of(each.program, 3), np.arange(24).reshape(4, 6) - 12
    assert len(driver.LOADS) == 2
    with board(tmp_path, each.interface, wrapper_files(tmp_path, each, "axil")) as simulated:
        simulated.write(driver.Registers.PACKET_FRAMES, 3)
        driver.load("cell", recurrent_kernel=raws.T / 8, send=simulated.load)
        (have,) = driver.predict(x, simulated.exchange)
    other = load(each.program, {("cell", "recurrent_weight"): objects(raws)})
    np.testing.assert_array_equal(have, expected(other, x)[0])
    assert np.any(have != expected(each.program, x)[0])


def test_driver_refuses_weights_that_do_not_fit(tmp_path: Path) -> None:
    driver = load_driver(tmp_path, made("loads"))
    for layer, weights, found in (
        ("conv", {"kernel": np.zeros((6, 3))}, r"shape \(6, 3\), not \(3, 6\)"),
        ("conv", {"kernel": np.full((3, 6), 2.0)}, "outside -2..1.875"),
        ("conv", {}, "empty load"),
        ("relu", {"bias": [1.0]}, "takes no bias"),
    ):
        with pytest.raises(ValueError, match=found):
            driver.load(layer, **weights, send=lambda name, data: None)
    other = load_driver(tmp_path, made("weights"))
    with pytest.raises(ValueError, match="with each frame"):
        other.load("dense", bias=[0.0, 0.0], send=lambda name, data: None)
    with pytest.raises(ValueError, match="with each frame come"):
        other.pack([np.zeros((1, 5, 2))])


def channels(
    exchange: Callable[[Sequence[bytes], Sequence[int]], list[bytes]], inputs: int, outputs: int
) -> tuple[list[Channel], list[Channel]]:
    def move() -> None:
        results = exchange([each.array.tobytes() for each in send], [len(each.array) for each in receive])
        for each, data in zip(receive, results, strict=True):
            each.array[:] = np.frombuffer(data, np.uint8)
        for each in (*send, *receive):
            each.moved = True

    send, receive = ([Channel(move) for _ in range(count)] for count in (inputs, outputs))
    return send, receive


def words_of(data: bytes, frames: int, tokens: int, size: int, *, swapped: bool) -> np.ndarray:
    """Tokens of bytes as rows of 32-bit words."""
    rows = np.frombuffer(data, np.uint8).reshape(-1, size)[:, :: -1 if swapped else 1]
    padded = np.zeros((len(rows), 4 * -(-size // 4)), np.uint8)
    padded[:, :size] = rows
    return padded.view("<u4").astype(np.uint32).reshape(frames, tokens, -1)


def adapter(each: Circuit, wrapper: str) -> str:
    """A top with the ports of a network of processes, around a wrapper with AXI4-Streams or Avalon-ST."""
    interface = each.interface
    axis = wrapper == "axis"
    connections = [".aclk(clk)", ".aresetn(~rst)"] if axis else [".clk(clk)", ".reset(rst)"]
    ports, lines = ["input logic clk", "input logic rst"], []
    for k, port in enumerate(interface.inputs):
        name, bits = prefix("s_axis" if axis else "in", port), 8 * token_bytes(port)
        ports += [f"input logic i{k}_valid", f"output logic i{k}_ready", f"input logic [{bits - 1}:0] i{k}_data"]
        t = "t" if axis else ""
        connections += [f".{name}_{t}{signal}(i{k}_{signal})" for signal in ("valid", "ready", "data")]
        connections += (
            [f".{name}_tlast(1'b1)"] if axis else [f".{name}_{s}(1'b0)" for s in ("startofpacket", "endofpacket")]
        )
        connections += [f".{name}_empty('0)"] if not axis and bits > 8 else []
    for k, port in enumerate(interface.outputs):
        name, bits = prefix("m_axis" if axis else "out", port), 8 * token_bytes(port)
        ports += [f"output logic o{k}_valid", f"input logic o{k}_ready", f"output logic [{bits - 1}:0] o{k}_data"]
        ports.append(f"output logic o{k}_last")
        t = "t" if axis else ""
        connections += [f".{name}_{t}{signal}(o{k}_{signal})" for signal in ("valid", "ready", "data")]
        if axis:
            connections.append(f".{name}_tlast(o{k}_last)")
            continue
        connections += [f".{name}_startofpacket(o{k}_first)", f".{name}_endofpacket(o{k}_last)"]
        lines += [
            f"logic o{k}_first, o{k}_fresh;",
            "always_ff @(posedge clk) begin",
            f"  if (rst) o{k}_fresh <= 1'b1;",
            f"  else if (o{k}_valid & o{k}_ready) o{k}_fresh <= o{k}_last;",
            f'  if (~rst & o{k}_valid & (o{k}_first != o{k}_fresh)) $fatal(1, "startofpacket");',
            "end",
        ]
        if bits > 8:
            lines.append(f"logic [{max((bits // 8 - 1).bit_length(), 1) - 1}:0] o{k}_empty;")
            lines.append(f'always_ff @(posedge clk) if (~rst & o{k}_valid & |o{k}_empty) $fatal(1, "empty");')
            connections.append(f".{name}_empty(o{k}_empty)")
    text = [
        "module adapter (",
        ",\n".join(ports),
        ");",
        *lines,
        f"net_{wrapper} dut ({', '.join(connections)});",
        "endmodule",
    ]
    return "\n".join([*text, ""])


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("wrapper", ["axis", "avalon"])
@pytest.mark.parametrize("kind", KINDS)
def test_streams_under_stalls(tmp_path: Path, kind: str, wrapper: str) -> None:
    each = made(kind)
    driver = load_driver(tmp_path, each)
    frames = 6
    x = inputs_of(each.program, frames, 1)
    sources = wrapper_files(tmp_path, each, wrapper)
    (tmp_path / "adapter.sv").write_text(adapter(each, wrapper))
    swapped = wrapper == "avalon"

    def exchange(data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        shapes = [
            [StreamShape(f"{side}{k}", 8 * stream.token_bytes, stream.tokens) for k, stream in enumerate(streams)]
            for side, streams in (("i", driver.INPUTS), ("o", driver.OUTPUTS))
        ]
        stimuli = [
            words_of(part, frames, stream.tokens, stream.token_bytes, swapped=swapped)
            for part, stream in zip(data, driver.INPUTS, strict=True)
        ]
        found = simulate_streams(
            tmp_path, "adapter", [*sources, tmp_path / "adapter.sv"], shapes[0], shapes[1], stimuli
        )
        results = []
        for words, stream, size in zip(found.outputs, driver.OUTPUTS, wanted, strict=True):
            rows = words.astype("<u4").reshape(frames * stream.tokens, -1).view(np.uint8)[:, : stream.token_bytes]
            results.append(rows[:, :: -1 if swapped else 1].tobytes())
            assert len(results[-1]) == size
        return results

    for have, want in zip(driver.predict(x, exchange), expected(each.program, x), strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("kind", SIMULATED)
def test_serial_port(tmp_path: Path, kind: str) -> None:
    each = made(kind)
    driver = load_driver(tmp_path, each)
    frames = 4
    x = inputs_of(each.program, frames, 2)
    compile_bench(tmp_path, "uart_bench.cpp", "net_uart", wrapper_files(tmp_path, each, "uart"))
    packed = driver.pack(x)
    sizes = [sum(stream.frame_bytes for stream in streams) for streams in (driver.INPUTS, driver.OUTPUTS)]
    requests = b"".join(
        part[k * stream.frame_bytes :][: stream.frame_bytes]
        for k in range(frames)
        for part, stream in zip(packed, driver.INPUTS, strict=True)
    )
    (tmp_path / "requests.bin").write_bytes(requests)
    run_bench(tmp_path, "requests.bin", "replies.bin", frames, *sizes, CLOCKS_PER_BIT, 1000)
    sent = bytearray()
    with (tmp_path / "replies.bin").open("rb") as replies:
        results = driver.predict(x, driver.Serial(replies.read, sent.extend))
        assert bytes(sent) == requests
        for have, want in zip(results, expected(each.program, x), strict=True):
            np.testing.assert_array_equal(have, want)
        with pytest.raises(TimeoutError, match="came back"):
            driver.predict(x, driver.Serial(replies.read, sent.extend))


@pytest.mark.parametrize("clocks", [3, 4, 5, 7, 25, 868])
@pytest.mark.parametrize("baud", [100, 9600, 115_200])
def test_bits_take_at_least_four_clocks_within_two_percent(clocks: int, baud: int) -> None:
    """The limits themselves are taken: 102 % and 98 % of a multiple."""
    interface = made("pipeline").interface
    for clk_hz in (clocks * baud * percent // 100 + rest for percent in (98, 100, 102) for rest in (-1, 0, 1)):
        shares = (Fraction(clk_hz, baud * count) - 1 for count in range(4, clk_hz // baud + 2))
        if any(abs(share) <= Fraction(2, 100) for share in shares):
            assert f".CLK_HZ({clk_hz}), .BAUD({baud})" in uart_wrapper.uart(interface, clk_hz, baud)
        else:
            with pytest.raises(ConfigError, match=rf"{baud} baud cannot be made .*\n.*from 4 up, within 2 %"):
                uart_wrapper.uart(interface, clk_hz, baud)


def test_positions_with_formats_of_their_own_are_sent_in_the_steps_of_the_stream(tmp_path: Path) -> None:
    fracs, hi = np.array([[1, 3], [2, -1], [0, 4]]), objects(np.array([[3, 7], [1, 3], [0, 15]]))
    builder = ProgramBuilder()
    x = builder.apply(Input("x", (3, 2), fracs, objects(-1 - hi), hi, Rounding.RND, Overflow.SAT, ()))
    program = builder.program([("y", x)])
    each = circuit(program, Directives({}, False), ECP5.delays, 8.0, "net", Title("test", DIGEST))
    driver, given = load_driver(tmp_path, each), np.random.default_rng(0).normal(0.0, 2.0, (7, 3, 2))
    (found,) = driver.predict([given], lambda data, _: data)  # a wire
    np.testing.assert_array_equal(found, Emulator(program).run([given])[0])
