"""The modules of processes: tokens under random stalls against models of a few lines, cycles against their timing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow import kinds
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.timing import REDUCE_LATENCY, is_monotone, reorder_timing, sweep_bounds
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import Ints, TensorType, objects
from bitsmith.rtl.library import library
from bitsmith.rtl.streams import sweep_parameters
from tests.dataflow.execute import execute
from tests.properties import few
from tests.rtl.bench import compile_bench, run_bench
from tests.rtl.stream_bench import (
    EITHER,
    FRAMES,
    Bench,
    Unit,
    bits_for,
    instance,
    lookup,
    numbers,
    packed,
    ports,
    predicted,
    process,
    sets,
)


@pytest.mark.parametrize(
    ("depth", "block"),
    [
        *sets((2, False), (5, True), (1, True), (5, False), (2, True), (8, False), (64, True), fast=True),
        *sets((1, False)),
    ],
)
def test_fifo_against_a_model(tmp_path: Path, depth: int, block: bool) -> None:
    sources = [tmp_path / "bitsmith_fifo.sv", tmp_path / "bitsmith_ram.sv"]
    for source in sources:
        source.write_text(library([source.name])[source.name])
    parameters = {"WIDTH": 5, "DEPTH": depth, "BLOCK": int(block)}
    compile_bench(tmp_path, "fifo_bench.cpp", "bitsmith_fifo", sources, parameters)
    fullest, taken, *_, peak, _, printed_depth = run_bench(tmp_path, depth, 21_000)
    assert int(fullest) == int(printed_depth) == depth
    assert int(peak) <= depth
    assert int(taken) > 3_000


@pytest.mark.parametrize("depth", sets((50,), (3,), (1,), (2,), (4,), (7,), (64,)))
def test_single_port_fifo_against_a_model(tmp_path: Path, depth: int) -> None:
    source = tmp_path / "bitsmith_single_port_fifo.sv"
    source.write_text(library([source.name])[source.name])
    compile_bench(tmp_path, "fifo_bench.cpp", source.stem, [source], {"WIDTH": 5, "DEPTH": depth})
    fullest, taken, *_, peak, _, printed_depth = run_bench(tmp_path, depth, 21_000)
    assert int(fullest) == int(printed_depth) == depth
    assert int(peak) <= depth
    assert int(taken) > 3_000


@pytest.mark.parametrize(("element", "parts", "words"), sets((5, 3, 4), (8, 1, 1), (3, 4, 1), (9, 1, 5), (1, 2, 2)))
def test_load_against_a_model(tmp_path: Path, element: int, parts: int, words: int) -> None:
    (tmp_path / "bitsmith_load.sv").write_text(library(["bitsmith_load.sv"])["bitsmith_load.sv"])
    parameters = {"ELEMENT": element, "PARTS": parts, "WORDS": words}
    compile_bench(tmp_path, "load_bench.cpp", "bitsmith_load", [tmp_path / "bitsmith_load.sv"], parameters)
    loads, written = run_bench(tmp_path, element, parts, words, 20_000)
    assert int(loads) > 600
    assert int(written) > 2_000


@pytest.mark.parametrize(("parts", "times", "width"), sets((3, 2, 8), (1, 1, 7), (4, 1, 5), (1, 3, 4), (5, 4, 1)))
def test_downsizer(tmp_path: Path, parts: int, times: int, width: int) -> None:
    parameters = {"PARTS": parts, "TIMES": times, "WIDTH": width}
    unit = Unit("downsizer", (parts * width,), width, instance("bitsmith_downsizer", parameters, ports()))
    bench = Bench(tmp_path, unit)
    values = numbers((4 * FRAMES, parts), width)
    expected = packed(np.tile(values[:, None], (1, times, 1)).reshape(-1, 1), width)
    bench.check([packed(values, width)], expected)
    process_ = process(kinds.WidthConverter(times), [((4,), parts)], ((4 * times * parts,), 1))
    found = bench.cycles([packed(values, width)], len(expected))
    assert found == predicted(process_, unit, FRAMES)


@pytest.mark.parametrize(("parts", "width"), sets((5, 8), (1, 7), (2, 3)))
def test_upsizer(tmp_path: Path, parts: int, width: int) -> None:
    parameters = {"PARTS": parts, "WIDTH": width}
    unit = Unit("upsizer", (width,), parts * width, instance("bitsmith_upsizer", parameters, ports()), out_depth=1)
    bench = Bench(tmp_path, unit)
    values = numbers((4 * parts * FRAMES, 1), width)
    expected = packed(values.reshape(-1, parts), width)
    bench.check([packed(values, width)], expected)
    process_ = process(kinds.WidthConverter(), [((4 * parts,), 1)], ((4,), parts))
    assert bench.cycles([packed(values, width)], len(expected)) == predicted(process_, unit, FRAMES)


@pytest.mark.parametrize(
    ("count", "elements", "width", "greatest"),
    sets((4, 3, 9, False), (5, 2, 7, True), (1, 2, 6, False), (2, 1, 1, True)),
)
def test_reduce(tmp_path: Path, count: int, elements: int, width: int, greatest: bool) -> None:
    parameters = {"COUNT": count, "ELEMENTS": elements, "WIDTH": width, "GREATEST": int(greatest)}
    size = elements * width
    unit = Unit("reduce", (size,), size, instance("bitsmith_reduce", parameters, ports()))
    bench = Bench(tmp_path, unit)
    values = numbers((3 * FRAMES, count, elements), width)
    expected = packed(values.max(axis=1) if greatest else values.sum(axis=1), width)
    tokens = packed(values.reshape(-1, elements), width)
    bench.check([tokens], expected)
    op = ops.AMax((0,)) if greatest else ops.Sum((0,))
    process_ = process(kinds.Reduce(op, count), [((3 * count,), elements)], ((3,), elements))
    assert bench.cycles([tokens], len(expected)) == predicted(process_, unit, FRAMES, REDUCE_LATENCY)


@pytest.mark.parametrize(
    ("grid", "op"),
    sets(
        ((6, 7), ops.Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))),
        ((3, 40), ops.Window((3, 3), (1, 2), (1, 1), ((1, 1), (0, 1)))),
        ((1,), ops.Window((1,), (1,), (1,), ((0, 0),))),
        ((9,), ops.Window((3,), (2,), (1,), ((1, 0),))),
        ((7,), ops.Window((3,), (1,), (2,), ((2, 3),))),
        ((8,), ops.Window((2,), (4,), (1,), ((0, 0),))),
        ((6, 8), ops.Window((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))),
        ((5, 6), ops.Window((3, 2), (2, 3), (1, 2), ((2, 0), (0, 3)))),
        ((3, 4, 5), ops.Window((2, 3, 2), (1, 2, 1), (2, 1, 3), ((0, 1), (1, 1), (0, 0)))),
        ((4, 1), ops.Window((1, 1), (3, 2), (1, 1), ((0, 2), (0, 3)))),
        fast=True,
    ),
)
def test_window(tmp_path: Path, grid: tuple[int, ...], op: ops.Window) -> None:
    width = 54 if grid == (3, 40) else 5  # wide enough for rows in block memory
    unit = window_unit(grid, op, width)
    bench = Bench(tmp_path, unit)
    frames = numbers((FRAMES, *grid), width)
    windows = objects(np.stack([sliding(frame, op) for frame in frames]))
    expected = packed(windows.reshape(-1, windows.shape[-1]), width)
    tokens = packed(frames.reshape(-1, 1), width)
    bench.check([tokens], expected)
    places = len(expected) // FRAMES
    process_ = process(kinds.Window(op), [(grid, 1)], ((places,), windows.shape[-1]))
    assert bench.cycles([tokens], len(expected)) == predicted(process_, unit, FRAMES)


def sliding(frame: Ints, op: ops.Window) -> Ints:
    """Windows as rows, one per position."""
    padded = np.pad(frame, op.padding, constant_values=0)
    rows = []
    reach = [d * (k - 1) for d, k in zip(op.dilation, op.size, strict=True)]
    counts = [(size - 1 - r) // s + 1 for size, r, s in zip(padded.shape, reach, op.stride, strict=True)]
    for place in np.ndindex(*counts):
        begin = [at * s for at, s in zip(place, op.stride, strict=True)]
        cut = tuple(slice(b, b + r + 1, d) for b, r, d in zip(begin, reach, op.dilation, strict=True))
        rows.append(padded[cut].ravel())
    return objects(np.stack(rows))


def window_unit(grid: tuple[int, ...], op: ops.Window, width: int) -> Unit:
    """A window over the last axes of three."""
    unused = 3 - len(grid)
    axes = {
        "SIZE": (1,) * unused + grid,
        "TAPS": (1,) * unused + op.size,
        "STRIDE": (1,) * unused + op.stride,
        "DILATION": (1,) * unused + op.dilation,
        "BEFORE": (0,) * unused + tuple(before for before, _ in op.padding),
        "AFTER": (0,) * unused + tuple(after for _, after in op.padding),
    }
    parameters = {f"{name}_{axis}": values[axis] for name, values in axes.items() for axis in range(3)}
    parameters["WIDTH"] = width
    body = instance("bitsmith_window", parameters, ports())
    return Unit("window", (width,), int(np.prod(op.size)) * width, body, out_depth=2)


SWEPT = ops.Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize(
    ("grid", "op", "each", "spare"),
    sets(
        ((4, 5), SWEPT, (2, 3, 2), 0),
        ((4, 6), ops.Window((3, 2), (2, 2), (1, 1), ((0, 1), (1, 0))), (1, 2, 3), 3),
        ((1,), ops.Window((1,), (1,), (1,), ((0, 0),)), (1, 5, 2), 4),
        ((9,), ops.Window((3,), (3,), (1,), ((2, 0),)), (3, 1, 1), 1),
        ((7,), ops.Window((3,), (1,), (2,), ((2, 3),)), (1, 1, 1), 0),
        ((8,), ops.Window((2,), (4,), (1,), ((0, 0),)), (1, 1, 2), 0),
        ((7, 3), ops.Window((3, 1), (2, 1), (1, 1), ((1, 0), (0, 0))), (4, 1, 1), 7),
        ((5, 6), ops.Window((3, 2), (2, 3), (1, 2), ((2, 0), (0, 3))), (2, 2, 1), 0),
        ((3, 4, 5), ops.Window((2, 3, 2), (1, 2, 1), (2, 1, 3), ((0, 1), (1, 1), (1, 0))), (1, 2, 1), 0),
        ((4, 4), ops.Window((4, 4), (1, 1), (1, 1), ((0, 0), (0, 0))), (3, 1, 1), 2),
        ((2, 2), ops.Window((3, 3), (1, 1), (1, 1), ((2, 1), (2, 1))), (1, 2, 1), 0),
        fast=True,
    ),
)
def test_sweep(tmp_path: Path, grid: tuple[int, ...], op: ops.Window, each: tuple[int, int, int], spare: int) -> None:
    width, kind = 6, kinds.Sweep(op, *each)
    tokens, needed, gone = kind.blocks * kind.parts, *sweep_bounds(op, grid)
    positions = int(np.prod(grid))
    process_ = process(kind, [((*grid, tokens), 1)], ((len(needed) * kind.reads,), 1))
    (source,) = execute(one_process(process_), [objects(np.arange(positions * tokens)[:, None] + 1)])
    wanted = np.append((needed - gone)[:-1], positions - gone[-1])
    parameters = sweep_parameters(kind, grid) | {"WIDTH": width, "DEPTH": int(wanted.max()) * tokens + spare}
    unit = Unit("sweep", (width,), width, instance("bitsmith_sweep", parameters, ports()))
    numbers_ = [int(number) - 1 for number in source.ravel()]
    check_moves(Bench(tmp_path, unit), unit, process_, positions * tokens, numbers_, width, parameters["DEPTH"])


def one_process(process_: Process) -> Network:
    """An input, a process, and an output."""
    taken = Stream(process_.takes[0].grid, TensorType.of((1,), 0, 0, 1 << 20))
    given = Stream(process_.results[0].grid, TensorType.of((1,), 0, 0, 1 << 20))
    first = OutputPort(0)
    middle = Process(process_.kind, (first,), (taken,), (given,))
    ends = (Process(kinds.Source("x"), (), (), (taken,)), Process(kinds.Sink("y"), (OutputPort(1),), (given,), ()))
    return Network((ends[0], middle, ends[1]))


@pytest.mark.parametrize("synchronous", EITHER)
@pytest.mark.parametrize(
    ("tokens", "source"),
    sets((4, [0, 0, 1, -1, 3, 3, -1]), (1, [0]), (5, [-1, 1, 2, -1]), (3, [-1, -1]), (3, [0, -1, 0, 1, 2, 2])),
)
def test_order(tmp_path: Path, tokens: int, source: list[int], synchronous: bool) -> None:
    kind = kinds.Reorder(np.array(source))
    assert is_monotone(kind.source)
    process_ = process(kind, [((tokens,), 1)], ((len(source),), 1))
    (actions,) = process_.timing(0).sequencers
    taken, given = np.diff(actions.takes[0].dense(), prepend=0), np.diff(actions.fills[0].dense(), prepend=0)
    needed = actions.needs[0].dense() > actions.takes[0].dense() - taken
    flags = (needed + 2 * taken + 4 * given).tolist()
    width = 6
    body = tabled([("flags", 3, flags)], synchronous)
    body += instance("bitsmith_order", {"WIDTH": width}, {**ports(), "act": "act", "flags": "flags"}, clocked=False)
    unit = Unit("order", (width,), width, body)
    check_moves(Bench(tmp_path, unit), unit, process_, tokens, source, width)


@pytest.mark.parametrize("synchronous", EITHER)
@pytest.mark.parametrize(
    ("tokens", "source", "depth"),
    sets(
        (6, [0, 2, 4, 1, 3, 5], 4),
        (6, [0, 2, 4, 1, 3, 5], 6),
        (2, [1, 0, 1, -1], 2),
        (5, [3, -1, 0, 0, 2], 9),
        (9, [0, 3, 6, 1, 4, 7, 2, 5, 8], 7),
        (16, [*range(15, -1, -1)], 24),
    ),
)
def test_reorder(tmp_path: Path, tokens: int, source: list[int], depth: int, synchronous: bool) -> None:
    process_ = process(kinds.Reorder(np.array(source)), [((tokens,), 1)], ((len(source),), 1))
    _, reader = reorder_timing(np.array(source), tokens).sequencers
    freed = np.diff(reader.takes[0].dense(), prepend=0)
    needed = reader.needs[0].dense() - (reader.takes[0].dense() - freed)
    address_bits = bits_for(depth)
    count_bits = depth.bit_length()
    addresses = [number % (1 << address_bits) for number in source]
    table = [
        ("address", address_bits, addresses),
        ("zero", 1, [int(number < 0) for number in source]),
        ("needed", count_bits, needed.tolist()),
        ("freed", count_bits, freed.tolist()),
    ]
    width = 7
    wires = {"last": "last"} | {name: name for name, _, _ in table}
    body = tabled(table, synchronous) + "assign act = y_claim;\n"
    parameters = {"WIDTH": width, "DEPTH": depth, "TOKENS": tokens}
    body += instance("bitsmith_reorder", parameters, {**ports(), **wires})
    unit = Unit("reorder", (width,), width, body)
    check_moves(Bench(tmp_path, unit), unit, process_, tokens, source, width, depth)


def tabled(table: Sequence[tuple[str, int, Sequence[int]]], synchronous: bool) -> str:
    """A table by action of fields: name, width and values."""
    names, widths, columns = zip(*table, strict=True)
    rows = [sum(value << sum(widths[:place]) for place, value in enumerate(row)) for row in zip(*columns, strict=True)]
    width, text = sum(widths), f"logic act, last;\nlogic [{bits_for(len(rows)) - 1}:0] index;\n"
    text += "".join(f"logic [{bits - 1}:0] {name};\n" for name, bits in zip(names, widths, strict=True))
    parameters = {"ACTIONS": len(rows), "WIDTH": width, "AHEAD": int(synchronous)}
    wires = {"act": "act", "first": f"{width}'h{rows[0]:x}", "index": "index", "row": "row", "last": "last"}
    wires["word"] = f"{{{', '.join(reversed(names))}}}"
    text += lookup("row", width, "index", rows, synchronous)
    return text + instance("bitsmith_actions", parameters, wires, name="actions")


def check_moves(
    bench: Bench, unit: Unit, process_: Process, tokens: int, source: list[int], width: int, memory: int = 0
) -> None:
    """Token ``k`` of each frame is ``source[k]`` of the operand's, in the cycles predicted."""
    values = numbers((FRAMES, tokens), width)
    with_zero = np.concatenate([values, np.zeros((FRAMES, 1), dtype=np.object_)], axis=1)
    expected = packed(with_zero[:, source].reshape(-1, 1), width)
    operand = packed(values.reshape(-1, 1), width)
    endless = source[0] < 0 and not isinstance(process_.kind, kinds.Sweep)  # these zeros wait for nothing
    bench.check([operand], expected, endless=endless)
    found = bench.cycles([operand], len(expected), endless=endless)
    assert found == predicted(process_, unit, FRAMES, memory=memory)


@pytest.mark.parametrize("synchronous", EITHER)
@pytest.mark.parametrize(("operands", "source"), sets((3, [2, 2, 0, 1, 0, 2]), (1, [0]), (2, [0, 1, 1, 0, 1])))
def test_interleave(tmp_path: Path, operands: int, source: list[int], synchronous: bool) -> None:
    width = 6
    wires = {"which": "which"}
    names = [f"x{k}" for k in reversed(range(operands))]
    wires |= {f"x_{port}": f"{{{', '.join(f'{name}_{port}' for name in names)}}}" for port in ("valid", "data", "take")}
    wires |= {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put", "data")}
    body = tabled([("which", bits_for(operands), source)], synchronous) + "assign act = y_claim;\n"
    body += instance("bitsmith_interleave", {"OPERANDS": operands, "WIDTH": width}, wires, clocked=False)
    unit = Unit("interleave", (width,) * operands, width, body)
    bench = Bench(tmp_path, unit)
    counts = [source.count(k) for k in range(operands)]
    values = [numbers((FRAMES, count), width, seed=k) for k, count in enumerate(counts)]
    expected = []
    for frame in range(FRAMES):
        left = [iter(packed(part[frame].reshape(-1, 1), width)) for part in values]
        expected += [next(left[k]) for k in source]
    tokens = [packed(part.reshape(-1, 1), width) for part in values]
    bench.check(tokens, expected)
    process_ = process(kinds.Interleave(np.array(source)), [((count,), 1) for count in counts], ((len(source),), 1))
    assert bench.cycles(tokens, len(expected)) == predicted(process_, unit, FRAMES)


@few("kept", [True, False], fast=1, judged=True)
@pytest.mark.parametrize(("tokens", "rounds"), sets((3, 2), (1, 1), (1, 4), (4, 1), fast=True))
def test_feedback(tmp_path: Path, tokens: int, rounds: int, kept: bool) -> None:
    width = 6
    wires = {f"initial_{port}": f"x0_{port}" for port in ("valid", "data", "take")}
    wires |= {f"back_{port}": f"x1_{port}" for port in ("valid", "data", "take")}
    wires |= {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put", "data")}
    parameters = {"TOKENS": tokens, "ROUNDS": rounds, "WIDTH": width, "KEPT": int(kept)}
    unit = Unit("feedback", (width, width), width, instance("bitsmith_feedback", parameters, wires))
    bench = Bench(tmp_path, unit)
    initial, back = numbers((FRAMES, tokens), width), numbers((FRAMES, tokens * rounds), width, seed=1)
    first = np.concatenate([initial[:1], back[:-1, -tokens:]]) if kept else initial
    given = np.concatenate([first, back], axis=1)[:, : tokens * rounds]
    operands = [packed(part.reshape(-1, 1), width) for part in (initial, back)]
    bench.check(operands, packed(given.reshape(-1, 1), width))
    kind, count = kinds.Feedback(rounds, kept), tokens * rounds
    process_ = process(kind, [((tokens,), 1), ((count,), 1)], ((count,), 1))
    assert bench.cycles(operands, FRAMES * count) == predicted(process_, unit, FRAMES)


@pytest.mark.parametrize("kept", [0, 1, 2])
@pytest.mark.parametrize(("steps", "latency"), sets((5, 4), (1, 1), (4, 0), (3, 1)))
def test_scan(tmp_path: Path, steps: int, latency: int, kept: int) -> None:
    """Two states: a running sum, and the sum of those; the result is what was in the second one before."""
    width = 8
    unit = Unit("scan", (width, width, width), width, scan_body(steps, latency, width, kept))
    bench = Bench(tmp_path, unit)
    first, second = numbers((FRAMES,), width, seed=1), numbers((FRAMES,), width, seed=2)
    values = numbers((FRAMES, steps), width)
    expected = []
    left: tuple[int, ...] = ()
    for a, b, frame in zip(first.tolist(), second.tolist(), values.tolist(), strict=True):
        a, b = (*left[:kept], *(a, b)[len(left[:kept]) :])
        for value in frame:
            expected.append(b & 255)
            a, b = a + value, a + b
        left = a, b
    tokens = [packed(part.reshape(-1, 1), width) for part in (first, second, values)]
    bench.check(tokens, expected)
    takes = [((1,), 1), ((1,), 1), ((steps,), 1)]
    process_ = process(kinds.Scan(ProgramBuilder().program([]), 2, steps, kept), takes, ((steps,), 1))
    assert bench.cycles(tokens, len(expected)) == predicted(process_, unit, FRAMES, latency=latency)


def scan_body(steps: int, latency: int, width: int, kept: int) -> str:
    """A scan around a core that delays what it makes by ``latency`` cycles."""
    text = f"""logic core_valid;
logic [{3 * width}:0] stage[{latency + 1}];
logic [{2 * width - 1}:0] states;
logic [{width - 1}:0] a, b;
assign {{b, a}} = states;
assign stage[0] = {{core_valid, b, {width}'(a + b), {width}'(a + x2_data)}};
assign y_data = stage[{latency}][{2 * width}+:{width}];
logic both_take, both_valid;
assign both_valid = x0_valid & x1_valid;
assign x0_take = both_take;
assign x1_take = both_take;
"""
    if latency:
        text += f"""always_ff @(posedge clk) for (int k = 1; k <= {latency}; ++k) begin
stage[k] <= stage[k - 1];
if (rst) stage[k][{3 * width}] <= 1'b0;
end
"""
    wires = {"initial_valid": "both_valid", "initial_data": "{x1_data, x0_data}", "initial_take": "both_take"}
    wires |= {"x_valid": "x2_valid", "x_take": "x2_take", "core_valid": "core_valid", "core_states": "states"}
    wires |= {"core_answers": f"stage[{latency}][{3 * width}]", "next_states": f"stage[{latency}][0+:{2 * width}]"}
    wires |= {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put")}
    parameters = {"STEPS": steps, "STATES_WIDTH": 2 * width, "KEPT_WIDTH": kept * width}
    return text + instance("bitsmith_scan", parameters, wires)


@pytest.mark.parametrize("synchronous", EITHER)
@pytest.mark.parametrize("tokens", sets((5,), (1,), (2,)))
def test_source(tmp_path: Path, tokens: int, synchronous: bool) -> None:
    width = 9
    raw = numbers((tokens, 1), width)
    wires = {"index": "index", "next_index": "next_index", "table_data": "constants"}
    wires |= {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put", "data")}
    body = f"logic [{bits_for(tokens) - 1}:0] index, next_index;\n"
    body += lookup("constants", width, "next_index" if synchronous else "index", packed(raw, width), synchronous)
    body += instance("bitsmith_rom", {"WIDTH": width, "TOKENS": tokens}, wires)
    unit = Unit("rom", (), width, body)
    bench = Bench(tmp_path, unit)
    expected = packed(raw, width) * FRAMES
    bench.check([], expected, endless=True)
    process_ = process(kinds.Rom(raw), [], ((tokens,), 1))
    assert bench.cycles([], len(expected), endless=True) == predicted(process_, unit, FRAMES)
