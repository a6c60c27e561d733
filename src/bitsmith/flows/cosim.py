"""Bit-exact co-simulation: both sides wait at random, where the circuit waits as well; tokens and cycles are checked.

In: SystemVerilog files whose top has streams, and tokens. The streams have ready and valid; or the circuit waits for nobody,
and gives the result of each token a fixed number of cycles later. Out: every bit of every token, latency and interval in
cycles, and the most slots that each FIFO had in use. What the bits mean is not known here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitsmith.errors import InputDataError, VerificationError
from bitsmith.flows.figures import counted, read_bytes, read_json, read_text, reading
from bitsmith.flows.run import Command
from bitsmith.flows.tools import GXX, MAKE, VERILATOR, FoundTool, seek
from bitsmith.flows.verilator import SHARED, simulator

HARNESS = Path(__file__).parent / "cosim.cpp"
WAVES = "waves.vcd"
"""The file of waveforms, if they are asked for."""

COSIM = "cosim"
"""The folder of simulations of what is written."""

_LEAST_PATIENCE_CYCLES = 10_000
# Measured on 5,000 adders of 20 bits that wait for nobody: -O1 costs 5 s more to compile than -O0 and saves 25 us per sample.
_MANY_SAMPLES = 200_000
# Measured on a network of 0.95 million weights: -O2 costs 32 s more to compile than -O1 and saves 2.5 us per cycle.
_MANY_CYCLES = 8_000_000
_LEAST_FRAMES = 4
"""The interval is that of the last frames, when the FIFOs have filled."""


@dataclass(frozen=True, slots=True)
class StreamShape:
    """A stream at the interface of a top: the prefix of its ports, bits of a token, tokens per frame.

    Tokens come ``gap`` cycles after each other or later, wherever both sides wait for nothing else.
    """

    name: str
    width: int
    tokens: int
    gap: int = 1

    @property
    def words(self) -> int:
        """32-bit words of a token."""
        return -(-self.width // 32)


@dataclass(frozen=True, slots=True)
class LoopShape:
    """Streams of a top to a memory outside and back, each with the gap of that memory.

    Args:
        out: what is written: the tokens of a frame, for which there are places.
        back: what is read.
        spans: first tokens and counts of what is read, in order.
        latency: cycles from the transfer of a token out to that of a read that needs it, at least. A read needs all tokens up to
            its own, as those before it do; the last one needs the whole frame, and makes room for the next frame. Each makes
            room for its own token if the only span is the whole frame.
    """

    out: StreamShape
    back: StreamShape
    spans: tuple[tuple[int, int], ...]
    latency: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """Answer of the circuit: for each output, words of shape (frames, tokens, words), and what was measured.

    ``peaks`` has, by the instance's name, the most slots in use and the slots of each FIFO. ``reloaded`` are the outputs with
    other weights, if there are any to load.
    """

    outputs: tuple[NDArray[np.uint32], ...]
    reloaded: tuple[NDArray[np.uint32], ...]
    latency_cycles: int
    ii_cycles: int
    peaks: Mapping[str, tuple[int, int]]
    tool: str


@dataclass(frozen=True, slots=True, eq=False)
class Cosimulation:
    """The flow: run a circuit on frames of tokens, without and with stalls and around a reset.

    Args:
        sources: all SystemVerilog files of the design, absolute or inside the project.
        inputs, outputs: streams; of a circuit that does not wait one each, of a token a frame.
        stimuli: for each input, words of shape (frames, tokens, words of a token), unused upper bits zero.
        waits: False of a circuit without signals of who is ready, and without last flags.
        latency_hint: the expected latency in cycles; only makes the wait for a circuit that hangs longer.
        least_frames: frames after which they follow at a steady pace; given ones are repeated until there are so many.
        loads: streams that load weights, with words of shape (transfers, words of one): all is simulated once more with them.
        folder: where to work, inside the project.
        waves: write waveforms, too.
        loops: what goes to memories outside and comes back.
    """

    top: str
    sources: tuple[Path, ...]
    inputs: tuple[StreamShape, ...]
    outputs: tuple[StreamShape, ...]
    stimuli: tuple[NDArray[np.uint32], ...]
    waits: bool
    latency_hint: int = 0
    least_frames: int = _LEAST_FRAMES
    loads: tuple[tuple[StreamShape, NDArray[np.uint32]], ...] = ()
    folder: str = COSIM
    waves: bool = False
    loops: tuple[LoopShape, ...] = ()

    def __post_init__(self) -> None:
        frames = len(self.stimuli[0])
        for shape, words in zip(self.inputs, self.stimuli, strict=True):
            if words.dtype != np.uint32 or words.shape != (frames, shape.tokens, shape.words) or not frames:
                raise InputDataError(
                    f"stimuli are {words.dtype} of shape {words.shape}",
                    where=f"co-simulation, {shape.name}",
                    accepted=f"uint32 of shape (at least 1, {shape.tokens}, {shape.words})",
                )
            if shape.width % 32 and np.any(words[..., -1] >> np.uint32(shape.width % 32)):
                raise InputDataError(f"stimuli have bits set above bit {shape.width - 1}", where="co-simulation")

    @property
    def frames(self) -> int:
        """Frames that are simulated."""
        return max(self.least_frames, len(self.stimuli[0]))

    @staticmethod
    def find() -> tuple[FoundTool, ...]:
        return seek(VERILATOR), seek(GXX), seek(MAKE)

    def files(self) -> Mapping[str, str | bytes]:
        loads = tuple(shape for shape, _ in self.loads)
        weights = [words.astype("<u4", copy=False).tobytes() for _, words in self.loads]
        outs, backs = (tuple(each.out for each in self.loops), tuple(each.back for each in self.loops))
        streams = (*self.inputs, *self.outputs, *loads, *outs, *backs)
        counts = f"{len(self.inputs)} {len(self.outputs)} {len(loads)} {len(self.loops)} {int(self.waits)}"
        spec = [counts, *(f"{stream.words} {stream.tokens} {stream.gap}" for stream in streams)]
        for loop in self.loops:
            spec += [f"{loop.latency} {len(loop.spans)}", *(f"{first} {count}" for first, count in loop.spans)]
        return {
            f"{self.folder}/{HARNESS.name}": HARNESS.read_text(encoding="utf-8"),
            f"{self.folder}/{SHARED.name}": SHARED.read_text(encoding="utf-8"),
            f"{self.folder}/bench.sv": bench(self.top, self.inputs, self.outputs, loads, outs, backs, waits=self.waits),
            f"{self.folder}/streams.txt": "\n".join([*spec, ""]),
            f"{self.folder}/stimuli.bin": b"".join(little_endian(words, self.frames) for words in self.stimuli),
            **({f"{self.folder}/weights.bin": b"".join(weights)} if weights else {}),
        }

    def responses(
        self, outputs: Sequence[NDArray[np.uint32]], reloaded: Sequence[NDArray[np.uint32]]
    ) -> Mapping[str, bytes]:
        """The files that the harness writes if the circuit gives ``outputs``, and ``reloaded`` with the loaded weights."""
        runs = {"": outputs, **({"reloaded_": reloaded} if self.loads else {})}
        return {
            f"{self.folder}/{prefix}responses.bin": b"".join(little_endian(words, self.frames) for words in found)
            for prefix, found in runs.items()
        }

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        folder, many = project / self.folder, self.frames * self.latency_hint >= _MANY_CYCLES
        return (
            *simulator(
                project,
                tools,
                folder=self.folder,
                harness=f"{self.folder}/{HARNESS.name}",
                top="bitsmith_bench",
                sources=(*self.sources, folder / "bench.sv"),
                optimize=1 + many if self.waits else int(self.frames >= _MANY_SAMPLES),
                waves=self.waves,
            ),
            self._run(folder, ""),
            *([self._run(folder, "reloaded_", "weights.bin")] if self.loads else []),
        )

    def _run(self, folder: Path, prefix: str, *weights: str) -> Command:
        """The simulation; what it writes has names that begin with ``prefix``."""
        responses, measured = f"{prefix}responses.bin", f"{prefix}measured.json"
        return Command(
            argv=(
                *("obj/Vdut", "streams.txt", "stimuli.bin", responses, measured),
                *(str(self.frames), str(max(_LEAST_PATIENCE_CYCLES, 4 * self.latency_hint)), *weights),
            ),
            cwd=folder,
            log=folder / f"{prefix}run.log",
            outputs=(folder / responses, folder / measured, *([folder / f"{prefix}{WAVES}"] if self.waves else [])),
            error_pattern=r"(?i)error",
        )

    def read(self, project: Path, tools: Sequence[FoundTool]) -> Simulation:
        folder = project / self.folder
        outputs, latency, interval = self._read(folder, "")
        reloaded: tuple[NDArray[np.uint32], ...] = ()
        if self.loads:
            reloaded, *again = self._read(folder, "reloaded_")
            if again != [latency, interval]:
                raise VerificationError(
                    f"latency {again[0]} and interval {again[1]} after weights were loaded",
                    where=self.top,
                    accepted=f"latency {latency} and interval {interval}, as before",
                )
        log = folder / "run.log"
        with reading(log, "a log"):
            found = re.findall(r"(\S+) peak (\d+) of (\d+)", read_text(log))
            peaks = {name.rsplit(".", 1)[-1]: (counted(peak), counted(depth)) for name, peak, depth in found}
        return Simulation(outputs, reloaded, latency, interval, peaks, tools[0].label)

    def _read(self, folder: Path, prefix: str) -> tuple[tuple[NDArray[np.uint32], ...], int, int]:
        """Words of each output, latency and interval of a simulation, whose files begin with ``prefix``.

        Raises:
            VerificationError: it found that the circuit breaks the rules of its streams.
            ToolFailedError: files that it did not write so.
        """
        figures, responses = folder / f"{prefix}measured.json", folder / f"{prefix}responses.bin"
        with reading(figures, "figures"):
            found = read_json(figures)
            wrong = str(found["mismatch"]) if "mismatch" in found else None
            latency, interval = (0, 0) if wrong is not None else (counted(found["latency"]), counted(found["interval"]))
        if wrong is not None:
            raise VerificationError(
                f"the circuit breaks the rules of its streams: {wrong}",
                where=self.top,
                remedy="this is a defect of the generated circuit: please report it with the project folder",
            )
        count = self.frames * sum(stream.tokens * stream.words for stream in self.outputs)
        with reading(responses, "responses"):
            words = np.frombuffer(read_bytes(responses), dtype="<u4").astype(np.uint32, copy=False)
            if len(words) != count:
                raise ValueError(f"{len(words)} words, and not {count}")
        outputs, start = [], 0
        for stream in self.outputs:
            size = self.frames * stream.tokens * stream.words
            tokens = words[start : start + size].reshape(self.frames, stream.tokens, stream.words)
            outputs.append(tokens[: len(self.stimuli[0])])
            start += size
        return tuple(outputs), latency, interval


def little_endian(words: NDArray[np.uint32], rows: int) -> bytes:
    """The bytes of ``words``, of which rows are repeated until there are ``rows``."""
    return words[np.arange(rows) % len(words)].astype("<u4", copy=False).tobytes()


def bench(
    top: str,
    inputs: Sequence[StreamShape],
    outputs: Sequence[StreamShape],
    loads: Sequence[StreamShape] = (),
    outs: Sequence[StreamShape] = (),
    backs: Sequence[StreamShape] = (),
    *,
    waits: bool,
) -> str:
    """A top whose streams lie side by side, each token in whole 32-bit words, so that one harness fits all.

    One that does not wait is ready in each cycle, and each result is the last one of its frame.
    """
    sides = (("in", inputs, True), ("out", outputs, False), ("load", loads, True), ("away", outs, False))
    ports, connections, assigns = ["input logic clk", "input logic rst"], [".clk(clk)", ".rst(rst)"], list[str]()
    for side, streams, comes_in in (*sides, ("back", backs, True)):
        there, back = ("input", "output") if comes_in else ("output", "input")
        signals = {"valid": there, "ready": back, **({} if comes_in else {"last": there})}
        wired = tuple(signals) if waits else ("valid",)
        bits, low = 32 * max(sum(stream.words for stream in streams), 2), 0
        ports += [f"{way} logic [{max(len(streams), 1) - 1}:0] {side}_{signal}" for signal, way in signals.items()]
        ports.append(f"{there} logic [{bits - 1}:0] {side}_data")
        spare = list[tuple[int, int]]()
        for k, stream in enumerate(streams):
            connections += [f".{stream.name}_{signal}({side}_{signal}[{k}])" for signal in wired]
            connections.append(f".{stream.name}_data({side}_data[{low + stream.width - 1}:{low}])")
            spare.append((low + stream.width, low + 32 * stream.words))
            low += 32 * stream.words
        spare.append((low, bits))
        if not comes_in:
            assigns += [f"  assign {side}_data[{end - 1}:{start}] = '0;" for start, end in spare if end > start]
        constant = [
            signal for signal, way in signals.items() if way == "output" and (not streams or signal not in wired)
        ]
        assigns += [f"  assign {side}_{signal} = '{int(bool(streams))};" for signal in constant]
    text = ["module bitsmith_bench (", ",\n".join(f"  {port}" for port in ports), ");", *assigns]
    return "\n".join([*text, f"  {top} dut ({', '.join(connections)});", "endmodule", ""])
