"""Processes between FIFOs: tops for simulation, traffic through them, and a simulator of what their timing says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bitsmith.dataflow.kinds import Kind
from bitsmith.dataflow.polyline import Polyline
from bitsmith.dataflow.processes import OutputPort, Process
from bitsmith.dataflow.timing import Sequencer
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir.types import Ints, TensorType, objects
from bitsmith.rtl.library import STREAM_LIBRARY, library
from tests.properties import JUDGED
from tests.rtl.bench import compile_bench, run_bench

FRAMES = 5
EITHER = [True, pytest.param(False, marks=pytest.mark.slow)]
_WORDS = 16  # of 32 bits: more than any token of these tests has


def sets(*parameters: tuple[object, ...], fast: bool = False) -> list[object]:
    """Sets of parameters, of which CI runs the first; ``fast``: that one is fast, and CI runs the second, too."""
    shares = [(), JUDGED] if fast else [JUDGED]
    marks = shares + [(pytest.mark.slow,)] * len(parameters)
    return [pytest.param(*each, marks=mark) for each, mark in zip(parameters, marks, strict=False)]


def numbers(shape: tuple[int, ...], width: int, signed: bool = True, seed: int = 0) -> Ints:
    """Random numbers, the extremes more often than others."""
    rng = np.random.default_rng(seed)
    lo, hi = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    values = rng.integers(lo, hi, shape, endpoint=True)
    extreme = rng.integers(0, 8, shape)
    return objects(np.where(extreme == 0, lo, np.where(extreme == 1, hi, values)))


@dataclass(frozen=True, slots=True)
class Unit:
    """A process under test.

    ``body`` instantiates it with ``x<k>_valid``, ``x<k>_data``, ``x<k>_take`` of the FIFO of each operand and ``y_free``,
    ``y_claim``, ``y_put``, ``y_data`` of that of the result. Widths are in bits.
    """

    name: str
    in_widths: tuple[int, ...]
    out_width: int
    body: str
    in_depth: int = 3
    out_depth: int = 3
    sources: tuple[Path, ...] = ()


def instance(
    module: str, parameters: Mapping[str, int], ports: Mapping[str, str], *, name: str = "dut", clocked: bool = True
) -> str:
    """``module`` with clock and reset, if it is ``clocked``."""
    ports = {"clk": "clk", "rst": "rst", **ports} if clocked else ports
    values = ", ".join(f".{key}({value})" for key, value in parameters.items())
    wires = ", ".join(f".{port}({wire})" for port, wire in ports.items())
    return f"{module} #({values}) {name} ({wires});\n"


def ports(operand: str = "x0") -> dict[str, str]:
    """The ports of a process with one operand and one result."""
    taken = {f"x_{port}": f"{operand}_{port}" for port in ("valid", "data", "take")}
    return taken | {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put", "data")}


def lookup(name: str, width: int, index: str, values: Sequence[int], synchronous: bool) -> str:
    """A table: ``name`` is value number ``index``, in the same cycle or one later."""
    bits = bits_for(len(values))
    head = "always_ff @(posedge clk)" if synchronous else "always_comb"
    assign = "<=" if synchronous else "="
    rows = "".join(f"{bits}'d{k}: {name} {assign} {width}'h{value:x};\n" for k, value in enumerate(values))
    return f"logic [{width - 1}:0] {name};\n{head} case ({index})\n{rows}default: {name} {assign} 'x;\nendcase\n"


def bits_for(number: int) -> int:
    """Bits of an index below ``number``, at least 1."""
    return max(1, (number - 1).bit_length())


def top(unit: Unit) -> str:
    """The unit with its FIFOs, ports of fixed width per operand."""
    count, slot = len(unit.in_widths), 32 * _WORDS
    lanes = max(count, 1)
    text = f"""module {unit.name} (
    input logic clk, rst, output logic [{lanes - 1}:0] in_free, input logic [{lanes - 1}:0] in_valid,
    input logic [{lanes * slot - 1}:0] in_data,
    output logic out_valid, input logic out_take, output logic [{slot - 1}:0] out_data
);
logic y_free, y_claim, y_put;
logic [{unit.out_width - 1}:0] y_data, taken;
assign out_data = {slot}'(taken);
"""
    if count == 0:
        text += "assign in_free = '0;\n"
    for k, width in enumerate(unit.in_widths):
        text += f"logic x{k}_valid, x{k}_take;\nlogic [{width - 1}:0] x{k}_data;\n"
        put = f"in_valid[{k}]"
        text += _fifo(
            f"q{k}", width, unit.in_depth, f"in_free[{k}]", put, put, f"in_data[{k * slot}+:{width}]", f"x{k}"
        )
    text += unit.body
    text += f"bitsmith_fifo #(.WIDTH({unit.out_width}), .DEPTH({unit.out_depth})) q_out (.clk, .rst, .free(y_free), "
    text += ".claim(y_claim), .put(y_put), .put_data(y_data), .valid(out_valid), .take(out_take), .data(taken));\nendmodule\n"
    return text


def _fifo(name: str, width: int, depth: int, free: str, claim: str, put: str, data: str, reader: str) -> str:
    return (
        f"bitsmith_fifo #(.WIDTH({width}), .DEPTH({depth})) {name} (.clk, .rst, .free({free}), .claim({claim}), "
        f".put({put}), .put_data({data}), .valid({reader}_valid), .take({reader}_take), .data({reader}_data));\n"
    )


class Bench:
    """A unit that has been compiled in ``folder``."""

    def __init__(self, folder: Path, unit: Unit) -> None:
        self._folder = folder
        self._unit = unit
        sources = [*unit.sources]
        for name, text in {**library(STREAM_LIBRARY), f"{unit.name}.sv": top(unit)}.items():
            (folder / name).write_text(text)
            sources.append(folder / name)
        compile_bench(folder, "stream_bench.cpp", unit.name, sources)

    def check(self, operands: Sequence[Sequence[int]], expected: Sequence[int], *, endless: bool = False) -> None:
        """``operands``, tokens as integers, become ``expected`` with stalls of all kinds."""
        for seed, (in_stall, out_stall) in enumerate(((0, 0), (4, 0), (0, 5), (4, 4), (7, 2), (2, 7))):
            found, _ = self._run(operands, len(expected), in_stall, out_stall, seed, endless)
            assert found == list(expected)

    def cycles(self, operands: Sequence[Sequence[int]], results: int, *, endless: bool = False) -> list[int]:
        """In which cycles results are taken if nothing stalls."""
        return self._run(operands, results, 0, 0, 1, endless)[1]

    def _run(
        self, operands: Sequence[Sequence[int]], results: int, in_stall: int, out_stall: int, seed: int, endless: bool
    ) -> tuple[list[int], list[int]]:
        for k, tokens in enumerate(operands):
            (self._folder / f"in_{k}.bin").write_bytes(
                b"".join(token.to_bytes(4 * _WORDS, "little") for token in tokens)
            )
        printed = run_bench(self._folder, len(operands), _WORDS, results, in_stall, out_stall, seed, int(endless))
        peaks = [(int(printed[k + 1]), int(printed[k + 3])) for k, word in enumerate(printed) if word == "peak"]
        assert len(peaks) > len(operands)  # a FIFO in front of each and one behind, and what the unit holds
        assert all(peak <= depth for peak, depth in peaks)
        raw = (self._folder / "out.bin").read_bytes()
        found = [int.from_bytes(raw[at : at + 4 * _WORDS], "little") for at in range(0, len(raw), 4 * _WORDS)]
        return found, np.fromfile(self._folder / "cycles.bin", dtype="<i8").tolist()


def packed(numbers: npt.NDArray[np.int64] | Ints, width: int) -> list[int]:
    """Rows of numbers of ``width`` bits as tokens, the first in the lowest bits."""
    rows = numbers.reshape(len(numbers), -1).tolist()
    mask = (1 << width) - 1
    return [sum((int(number) & mask) << (k * width) for k, number in enumerate(row)) for row in rows]


def process(kind: Kind, takes: Sequence[tuple[tuple[int, ...], int]], result: tuple[tuple[int, ...], int]) -> Process:
    """A process whose streams are given as grid and number of elements."""

    def stream(grid: tuple[int, ...], elements: int) -> Stream:
        zeros = np.zeros(elements, dtype=np.object_)
        return Stream(grid, TensorType.of((elements,), np.zeros(elements, dtype=np.int64), zeros, zeros + 1))

    args = tuple(OutputPort(k) for k in range(len(takes)))
    return Process(kind, args, tuple(stream(*part) for part in takes), (stream(*result),))


def predicted(process: Process, unit: Unit, frames: int, latency: int = 0, memory: int = 0) -> list[int]:
    """The cycles in which results of ``frames`` frames are taken, by `timing`: every action as soon as it may be.

    ``memory``: places of the memory between two sequencers.
    """
    times = process.timing(latency)
    sequencers = [*times.sequencers]
    rows = [(Polyline.line(stream.tokens, 1),) for stream in (*process.takes, *process.results)]
    links = []
    for k in range(len(process.takes)):
        links.append(_Link(len(sequencers), 0, 0, k, unit.in_depth))
        sequencers.append(Sequencer((), (), rows[k]))
    if len(times.sequencers) == 2:
        links.append(_Link(0, 0, 1, 0, memory))
    links.append(_Link(len(times.sequencers) - 1, 0, len(sequencers), 0, unit.out_depth))
    sequencers.append(Sequencer(rows[-1], rows[-1], ()))
    return _Clock(sequencers, links, frames).run()


@dataclass(frozen=True, slots=True)
class _Link:
    writer: int
    row: int
    reader: int
    column: int
    depth: int


class _Clock:
    """Sequencers and FIFOs, cycle by cycle."""

    def __init__(self, sequencers: Sequence[Sequencer], links: Sequence[_Link], frames: int) -> None:
        self._sequencers = sequencers
        self._links = links
        self._done = [0] * len(sequencers)
        self._ready = [0] * len(sequencers)
        self._seen: list[list[int]] = [[] for _ in links]  # from when each token can be seen
        self._claimed = [0] * len(links)
        self._taken = [0] * len(links)
        self._ends = [sequencer.actions * frames for sequencer in sequencers]

    def run(self) -> list[int]:
        """The cycles of the last sequencer's actions."""
        cycles, now = [], 0
        while self._done[-1] < self._ends[-1]:
            acting = [k for k in range(len(self._sequencers)) if self._may(k, now)]
            for number in acting:
                self._act(number, now)
            if len(self._sequencers) - 1 in acting:
                cycles.append(now)
            now += 1
            assert now < 100_000
        return cycles

    def _total(self, row: Polyline, number: int) -> int:
        """What a cumulative count of each frame is after all actions up to the next."""
        frame, action = divmod(self._done[number], self._sequencers[number].actions)
        return frame * row[-1] + row[action]

    def _may(self, number: int, now: int) -> bool:
        if self._done[number] == self._ends[number] or now < self._ready[number]:
            return False
        sequencer = self._sequencers[number]
        for k, link in enumerate(self._links):
            if link.reader == number:
                takes, needs = sequencer.takes[link.column], sequencer.needs[link.column]
                frame, action = divmod(self._done[number], sequencer.actions)
                need = frame * takes[-1] + needs[action]
                if sum(at <= now for at in self._seen[k]) < need:
                    return False
            if link.writer == number:
                fill = self._total(sequencer.fills[link.row], number)
                if fill > self._claimed[k] and fill - self._taken[k] > link.depth:
                    return False
        return True

    def _act(self, number: int, now: int) -> None:
        sequencer = self._sequencers[number]
        for k, link in enumerate(self._links):
            if link.reader == number:
                self._taken[k] = self._total(sequencer.takes[link.column], number)
            if link.writer == number:
                fill = self._total(sequencer.fills[link.row], number)
                self._seen[k] += [now + sequencer.latency + 1] * (fill - self._claimed[k])
                self._claimed[k] = fill
        self._done[number] += 1
        self._ready[number] = now + sequencer.gap
