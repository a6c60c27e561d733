"""The modules of processes: tokens under random stalls against models of a few lines, cycles against `plan.timing`, lint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow import kinds
from bitsmith.dataflow.execute import execute
from bitsmith.dataflow.processes import Network, OutputPort, Process
from bitsmith.dataflow.timing import REDUCE_LATENCY, is_monotone, product_latency, reorder_timing, sweep_bounds
from bitsmith.dataflow.tokens import Stream
from bitsmith.ir import ops
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import Ints, TensorType, objects
from bitsmith.rtl.library import STREAM_LIBRARY, library
from bitsmith.rtl.streams import sweep_parameters
from tests.rtl.bench import compile_bench, run_bench
from tests.rtl.circuits import lint
from tests.rtl.stream_bench import Bench, Unit, bits_for, instance, lookup, packed, ports, predicted, process

FRAMES = 5
EITHER = [True, pytest.param(False, marks=pytest.mark.slow)]
CI = (pytest.mark.slow, pytest.mark.ci)


def sets(*parameters: tuple[object, ...], fast: bool = False) -> list[object]:
    """Sets of parameters, of which CI runs the first; ``fast``: that one is fast, and CI runs the second, too."""
    shares = [(), CI] if fast else [CI]
    marks = shares + [(pytest.mark.slow,)] * len(parameters)
    return [pytest.param(*each, marks=mark) for each, mark in zip(parameters, marks, strict=False)]


def numbers(shape: tuple[int, ...], width: int, signed: bool = True, seed: int = 0) -> Ints:
    """Random numbers, the extremes more often than others."""
    rng = np.random.default_rng(seed)
    lo, hi = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    values = rng.integers(lo, hi, shape, endpoint=True)
    extreme = rng.integers(0, 8, shape)
    return objects(np.where(extreme == 0, lo, np.where(extreme == 1, hi, values)))


@pytest.mark.parametrize(
    ("depth", "block"),
    sets((2, False), (1, False), (5, True), (1, True), (5, False), (2, True), (8, False), (64, True), fast=True),
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
    ("lanes", "n", "m", "x_width", "signed", "w_width", "steps", "groups"),
    sets(
        (2, 3, 2, 6, True, 5, 2, 3),
        (1, 9, 1, 3, False, 8, 5, 2),
        (1, 1, 1, 4, True, 3, 1, 1),
        (1, 2, 3, 5, False, 4, 3, 1),
        (1, 8, 4, 8, True, 6, 4, 2),
        (3, 5, 1, 1, False, 1, 1, 4),
        fast=True,
    ),
)
def test_folded_product(
    tmp_path: Path, lanes: int, n: int, m: int, x_width: int, signed: bool, w_width: int, steps: int, groups: int
) -> None:
    y_width = x_width + w_width + (n * steps).bit_length()
    weights = numbers((groups, steps, n, m), w_width, seed=1)
    unit = fold_unit(lanes, weights, x_width, signed, w_width, y_width)
    bench = Bench(tmp_path, unit)
    values = numbers((2 * FRAMES, groups, steps, lanes, n), x_width, signed)
    expected = packed(objects(np.einsum("vgsln,gsnm->vglm", values, weights)).reshape(-1, lanes * m), y_width)
    tokens = packed(values.reshape(-1, lanes * n), x_width)
    bench.check([tokens], expected)
    count = 2 * groups * steps
    process_ = process(kinds.FoldedProduct(weights, 0), [((count,), lanes * n)], ((2 * groups,), lanes * m))
    assert bench.cycles([tokens], len(expected)) == predicted(process_, unit, FRAMES, latency=product_latency(n))


@pytest.mark.parametrize(
    ("lanes", "n", "m", "x_width", "signed", "w_width", "steps", "groups", "pairs"),
    sets(
        (2, 3, 3, 4, True, 5, 2, 2, "COLUMN_PAIRS"),
        (3, 5, 2, 3, True, 2, 1, 2, "LANE_PAIRS"),
        (1, 4, 2, 1, False, 4, 3, 1, "COLUMN_PAIRS"),
        (4, 2, 1, 1, True, 1, 2, 1, "LANE_PAIRS"),
        (2, 1, 3, 6, False, 3, 1, 3, "LANE_PAIRS"),
        (1, 1, 4, 8, True, 8, 3, 2, "COLUMN_PAIRS"),
        (2, 7, 5, 5, False, 6, 2, 1, "COLUMN_PAIRS"),
    ),
)
def test_fold_of_pairs(
    tmp_path: Path,
    lanes: int,
    n: int,
    m: int,
    x_width: int,
    signed: bool,
    w_width: int,
    steps: int,
    groups: int,
    pairs: str,
) -> None:
    """Multipliers that make two products, in the widths that any numbers need: results and cycles are the same."""
    y_width = x_width + w_width + (n * steps).bit_length()
    weights = numbers((groups, steps, n, m), w_width, seed=1)
    unit = fold_unit(lanes, weights, x_width, signed, w_width, y_width, {pairs: 1})
    bench = Bench(tmp_path, unit)
    values = numbers((6 * FRAMES, groups, steps, lanes, n), x_width, signed)
    expected = packed(objects(np.einsum("vgsln,gsnm->vglm", values, weights)).reshape(-1, lanes * m), y_width)
    tokens = packed(values.reshape(-1, lanes * n), x_width)
    bench.check([tokens], expected)
    count = 2 * groups * steps
    process_ = process(kinds.FoldedProduct(weights, 0), [((count,), lanes * n)], ((2 * groups,), lanes * m))
    assert bench.cycles([tokens], len(expected)) == predicted(process_, unit, 3 * FRAMES, latency=product_latency(n))


@pytest.mark.parametrize(
    ("lanes", "n", "m", "x_width", "signed", "w_width", "steps", "groups", "pairs", "chain", "cells"),
    sets(
        (1, 5, 3, 4, True, 5, 2, 2, "COLUMN_PAIRS", 3, 1),
        (2, 8, 1, 6, True, 4, 3, 1, None, 4, 0),
        (1, 7, 2, 5, False, 4, 1, 2, None, 2, 0),
        (3, 4, 2, 3, False, 4, 2, 1, "LANE_PAIRS", 4, 0),
        (3, 4, 2, 3, False, 4, 2, 1, "LANE_PAIRS", 4, 1),
        (1, 9, 3, 3, True, 3, 2, 2, None, 4, 0),
        (1, 8, 1, 18, True, 27, 2, 1, None, 4, 1),
    ),
)
def test_fold_of_chains(
    tmp_path: Path,
    lanes: int,
    n: int,
    m: int,
    x_width: int,
    signed: bool,
    w_width: int,
    steps: int,
    groups: int,
    pairs: str | None,
    chain: int,
    cells: int,
) -> None:
    """Multipliers that add up their products one after another: as many cycles later as a chain is long."""
    y_width = x_width + w_width + (n * steps).bit_length()
    weights = numbers((groups, steps, n, m), w_width, seed=1)
    parameters = {"CHAIN": chain, "CELLS": cells} | ({pairs: 1} if pairs else {})
    unit = fold_unit(lanes, weights, x_width, signed, w_width, y_width, parameters)
    if cells:
        unit = replace(unit, sources=(Path(__file__).with_name("dsp48e2.v"),))
    bench = Bench(tmp_path, unit)
    values = numbers((6 * FRAMES, groups, steps, lanes, n), x_width, signed)
    expected = packed(objects(np.einsum("vgsln,gsnm->vglm", values, weights)).reshape(-1, lanes * m), y_width)
    tokens = packed(values.reshape(-1, lanes * n), x_width)
    bench.check([tokens], expected)
    count = 2 * groups * steps
    process_ = process(kinds.FoldedProduct(weights, 0), [((count,), lanes * n)], ((2 * groups,), lanes * m))
    planned = predicted(process_, unit, 3 * FRAMES, latency=product_latency(n, chain))
    assert bench.cycles([tokens], len(expected)) == planned


@pytest.mark.parametrize("pairs", [pytest.param(0, marks=CI), pytest.param(1, marks=pytest.mark.slow)])
def test_fold_wraps_at_the_width_of_its_results(tmp_path: Path, pairs: int) -> None:
    """Sums of which only the low bits are asked for, narrower than the products."""
    weights = numbers((1, 3, 4, 2), 6, seed=1)
    bench = Bench(tmp_path, fold_unit(1, weights, 8, True, 6, 7, {"COLUMN_PAIRS": pairs}))
    values = numbers((FRAMES, 1, 3, 1, 4), 8)
    expected = packed(objects(np.einsum("vgsln,gsnm->vglm", values, weights)).reshape(-1, 2), 7)
    bench.check([packed(values.reshape(-1, 4), 8)], expected)


def fold_unit(
    lanes: int,
    weights: Ints,
    x_width: int,
    signed: bool,
    w_width: int,
    y_width: int,
    pairs: dict[str, int] | None = None,
) -> Unit:
    """A fold with its ROM; ``pairs`` are parameters that say which products share multipliers."""
    groups, steps, n, m = weights.shape
    parameters = {"LANES": lanes, "N": n, "M": m, "X_WIDTH": x_width, "X_SIGNED": int(signed), "W_WIDTH": w_width}
    parameters |= {"Y_WIDTH": y_width, "STEPS": steps, "GROUPS": groups, **(pairs or {})}
    tiles = packed(weights.reshape(groups * steps, n * m), w_width)
    body = f"logic [{bits_for(len(tiles)) - 1}:0] at;\n" + lookup("tile", n * m * w_width, "at", tiles, True)
    body += instance("bitsmith_folded_product", parameters, {**ports(), "rom_address": "at", "rom_data": "tile"})
    return Unit("folded_product", (lanes * n * x_width,), lanes * m * y_width, body, out_depth=4)


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
    wires = {"index": "index", "next_index": "next_index", "flags": "flags"}
    body = tabled(len(flags), [("flags", 3, flags)], synchronous)
    body += instance("bitsmith_order", {"ACTIONS": len(flags), "WIDTH": width}, {**ports(), **wires})
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
    wires = {"index": "index", "next_index": "next_index"} | {name: name for name, _, _ in table}
    body = tabled(len(source), table, synchronous)
    parameters = {"WIDTH": width, "DEPTH": depth, "TOKENS": tokens, "READS": len(source)}
    body += instance("bitsmith_reorder", parameters, {**ports(), **wires})
    unit = Unit("reorder", (width,), width, body)
    check_moves(Bench(tmp_path, unit), unit, process_, tokens, source, width, depth)


def tabled(actions: int, table: Sequence[tuple[str, int, Sequence[int]]], synchronous: bool) -> str:
    """Tables by action: name, width and values."""
    text = f"logic [{bits_for(actions) - 1}:0] index, next_index;\n"
    return text + "".join(
        lookup(name, width, "next_index" if synchronous else "index", values, synchronous)
        for name, width, values in table
    )


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
    wires = {"index": "index", "next_index": "next_index", "which": "which"}
    names = [f"x{k}" for k in reversed(range(operands))]
    wires |= {f"x_{port}": f"{{{', '.join(f'{name}_{port}' for name in names)}}}" for port in ("valid", "data", "take")}
    wires |= {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put", "data")}
    parameters = {"OPERANDS": operands, "WIDTH": width, "ACTIONS": len(source)}
    body = tabled(len(source), [("which", bits_for(operands), source)], synchronous)
    body += instance("bitsmith_interleave", parameters, wires)
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


@pytest.mark.parametrize(("tokens", "rounds"), sets((3, 2), (1, 1), (1, 4), (4, 1), fast=True))
def test_feedback(tmp_path: Path, tokens: int, rounds: int) -> None:
    width = 6
    wires = {f"initial_{port}": f"x0_{port}" for port in ("valid", "data", "take")}
    wires |= {f"back_{port}": f"x1_{port}" for port in ("valid", "data", "take")}
    wires |= {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put", "data")}
    parameters = {"TOKENS": tokens, "ROUNDS": rounds, "WIDTH": width}
    unit = Unit("feedback", (width, width), width, instance("bitsmith_feedback", parameters, wires))
    bench = Bench(tmp_path, unit)
    initial, back = numbers((FRAMES, tokens), width), numbers((FRAMES, tokens * rounds), width, seed=1)
    given = np.concatenate([initial, back], axis=1)[:, : tokens * rounds]
    operands = [packed(part.reshape(-1, 1), width) for part in (initial, back)]
    bench.check(operands, packed(given.reshape(-1, 1), width))
    kind, count = kinds.Feedback(rounds), tokens * rounds
    process_ = process(kind, [((tokens,), 1), ((count,), 1)], ((count,), 1))
    assert bench.cycles(operands, FRAMES * count) == predicted(process_, unit, FRAMES)


@pytest.mark.parametrize(("steps", "latency"), sets((5, 4), (1, 1), (4, 0), (3, 1)))
def test_scan(tmp_path: Path, steps: int, latency: int) -> None:
    """Two states: a running sum, and the sum of those; the result is what was in the second one before."""
    width = 8
    unit = Unit("scan", (width, width, width), width, scan_body(steps, latency, width))
    bench = Bench(tmp_path, unit)
    first, second = numbers((FRAMES,), width, seed=1), numbers((FRAMES,), width, seed=2)
    values = numbers((FRAMES, steps), width)
    expected = []
    for a, b, frame in zip(first.tolist(), second.tolist(), values.tolist(), strict=True):
        for value in frame:
            expected.append(b & 255)
            a, b = a + value, a + b
    tokens = [packed(part.reshape(-1, 1), width) for part in (first, second, values)]
    bench.check(tokens, expected)
    takes = [((1,), 1), ((1,), 1), ((steps,), 1)]
    process_ = process(kinds.Scan(ProgramBuilder().program([]), 2, steps), takes, ((steps,), 1))
    assert bench.cycles(tokens, len(expected)) == predicted(process_, unit, FRAMES, latency=latency)


def scan_body(steps: int, latency: int, width: int) -> str:
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
    return text + instance("bitsmith_scan", {"STEPS": steps, "STATES_WIDTH": 2 * width}, wires)


@pytest.mark.parametrize("synchronous", EITHER)
@pytest.mark.parametrize("tokens", sets((5,), (1,), (2,)))
def test_source(tmp_path: Path, tokens: int, synchronous: bool) -> None:
    width = 9
    raw = numbers((tokens, 1), width)
    wires = {"index": "index", "next_index": "next_index", "table_data": "constants"}
    wires |= {f"y_{port}": f"y_{port}" for port in ("free", "claim", "put", "data")}
    body = tabled(tokens, [("constants", width, packed(raw, width))], synchronous)
    body += instance("bitsmith_rom", {"WIDTH": width, "TOKENS": tokens}, wires)
    unit = Unit("rom", (), width, body)
    bench = Bench(tmp_path, unit)
    expected = packed(raw, width) * FRAMES
    bench.check([], expected, endless=True)
    process_ = process(kinds.Rom(raw), [], ((tokens,), 1))
    assert bench.cycles([], len(expected), endless=True) == predicted(process_, unit, FRAMES)


VARIANTS: list[tuple[str, dict[str, int]]] = [
    ("bitsmith_fifo", {"WIDTH": 1, "DEPTH": 1}),
    ("bitsmith_fifo", {"WIDTH": 5, "DEPTH": 2}),
    ("bitsmith_fifo", {"WIDTH": 5, "DEPTH": 2, "PAIR": 0}),
    ("bitsmith_fifo", {"WIDTH": 33, "DEPTH": 100}),
    ("bitsmith_fifo", {"WIDTH": 33, "DEPTH": 100, "LARGE": 36}),
    ("bitsmith_ram", {"DEPTH": 1}),
    ("bitsmith_ram", {"WIDTH": 1, "DEPTH": 3, "BLOCK": 1}),
    ("bitsmith_ram", {"WIDTH": 1, "DEPTH": 2, "LARGE": 72}),
    ("bitsmith_ram", {"WIDTH": 10, "DEPTH": 13, "LARGE": 9}),
    ("bitsmith_ram", {"WIDTH": 36, "DEPTH": 5, "LARGE": 18}),
    ("bitsmith_ram", {"WIDTH": 73, "DEPTH": 3, "LARGE": 36}),
    ("bitsmith_single_port_fifo", {"WIDTH": 1, "DEPTH": 1}),
    ("bitsmith_single_port_fifo", {"WIDTH": 5, "DEPTH": 4}),
    ("bitsmith_single_port_fifo", {"WIDTH": 33, "DEPTH": 100}),
    ("bitsmith_downsizer", {"PARTS": 1, "TIMES": 1, "WIDTH": 3}),
    ("bitsmith_downsizer", {"PARTS": 5, "TIMES": 3, "WIDTH": 3}),
    ("bitsmith_upsizer", {"PARTS": 1, "WIDTH": 3}),
    ("bitsmith_upsizer", {"PARTS": 6, "WIDTH": 1}),
    ("bitsmith_reduce", {"COUNT": 1, "ELEMENTS": 1, "WIDTH": 1}),
    ("bitsmith_reduce", {"COUNT": 7, "ELEMENTS": 3, "WIDTH": 9, "GREATEST": 1}),
    ("bitsmith_folded_product", {"LANES": 1, "N": 1, "M": 1, "STEPS": 1, "GROUPS": 1, "X_SIGNED": 0}),
    ("bitsmith_folded_product", {"LANES": 2, "N": 5, "M": 3, "STEPS": 7, "GROUPS": 1, "Y_WIDTH": 10}),
    (
        "bitsmith_folded_product",
        {"LANES": 2, "N": 5, "M": 3, "STEPS": 1, "GROUPS": 1, "Y_WIDTH": 10, "COLUMN_PAIRS": 1},
    ),
    ("bitsmith_folded_product", {"LANES": 3, "N": 1, "M": 1, "X_SIGNED": 0, "LANE_PAIRS": 1}),
    ("bitsmith_folded_product", {"LANES": 1, "N": 7, "M": 3, "STEPS": 2, "CHAIN": 4, "COLUMN_PAIRS": 1}),
    ("bitsmith_folded_product", {"LANES": 1, "N": 2, "M": 1, "X_SIGNED": 0, "CHAIN": 2}),
    ("bitsmith_delay", {"WIDTH": 3, "LENGTH": 1}),
    ("bitsmith_delay", {"WIDTH": 3, "LENGTH": 3}),
    ("bitsmith_delay", {"WIDTH": 100, "LENGTH": 40}),
    ("bitsmith_delay", {"WIDTH": 100, "LENGTH": 40, "LARGE": 9}),
    ("bitsmith_window", {"SIZE_1": 1, "TAPS_1": 1, "TAPS_2": 1}),
    ("bitsmith_window", {"SIZE_2": 300, "LARGE": 18}),
    ("bitsmith_window", {"BEFORE_1": 1, "AFTER_2": 2, "STRIDE_2": 3, "DILATION_1": 2, "STRIDE_1": 4}),
    ("bitsmith_order", {"ACTIONS": 1}),
    ("bitsmith_order", {"ACTIONS": 9}),
    ("bitsmith_reorder", {"DEPTH": 1, "READS": 1, "TOKENS": 1}),
    ("bitsmith_reorder", {"DEPTH": 20, "READS": 9, "TOKENS": 40}),
    ("bitsmith_reorder", {"DEPTH": 20, "READS": 9, "TOKENS": 40, "LARGE": 72}),
    (
        "bitsmith_sweep",
        {
            "DEPTH": 1,
            "SIZE_1": 1,
            "SIZE_2": 1,
            "TAPS_1": 1,
            "TAPS_2": 1,
            "BEFORE_1": 0,
            "BEFORE_2": 0,
            "WINDOWS_1": 1,
            "WINDOWS_2": 1,
        },
    ),
    ("bitsmith_sweep", {"BLOCKS": 3, "PARTS": 5, "TIMES": 2, "DEPTH": 300, "STRIDE_2": 2, "WINDOWS_2": 4}),
    ("bitsmith_sweep", {"DEPTH": 300, "LARGE": 9}),
    ("bitsmith_interleave", {"OPERANDS": 1, "ACTIONS": 1}),
    ("bitsmith_interleave", {"OPERANDS": 3}),
    ("bitsmith_scan", {"STEPS": 1, "STATES_WIDTH": 1}),
    ("bitsmith_scan", {"STEPS": 5}),
    ("bitsmith_rom", {"TOKENS": 1}),
    ("bitsmith_rom", {"TOKENS": 12}),
    ("bitsmith_load", {"ELEMENT": 1, "PARTS": 1, "WORDS": 1}),
    ("bitsmith_load", {"ELEMENT": 5, "PARTS": 1, "WORDS": 7}),
    ("bitsmith_load", {"ELEMENT": 9, "PARTS": 6, "WORDS": 1}),
    ("bitsmith_feedback", {}),
    ("bitsmith_feedback", {"TOKENS": 1, "ROUNDS": 1, "WIDTH": 1}),
    ("bitsmith_engine", {}),
    ("bitsmith_engine", {"LANES": 1, "LAYERS": 1, "WEIGHT": 2, "SIGNED": 0, "GREATEST": 1, "LATENCY": 5}),
    ("bitsmith_engine", {"LANES": 5, "LAYERS": 3, "WORDS": 33, "TOKENS": 1, "WIDTH": 1}),
    ("bitsmith_engine", {"LANES": 4, "BANKS": 4, "SIGNED": 0}),
    ("bitsmith_engine", {"LANES": 3, "BANKS": 2, "WORDS": 5, "GREATEST": 1}),
    ("bitsmith_engine", {"LANES": 5, "BANKS": 4, "GREATEST": 4}),
    ("bitsmith_engine", {"LANES": 4, "BANKS": 4, "LARGE": 9}),
    ("bitsmith_engine", {"SUM": 12}),
]

_RAM = "bitsmith_ram"
MADE_OF = [
    ("bitsmith_fifo", _RAM),
    ("bitsmith_delay", _RAM),
    ("bitsmith_window", "bitsmith_delay", "bitsmith_window_axis", _RAM),
    ("bitsmith_reorder", _RAM),
    ("bitsmith_sweep", "bitsmith_sweep_axis", _RAM),
    ("bitsmith_engine", "bitsmith_engine_axis", _RAM),
    ("bitsmith_folded_product", "bitsmith_product_factors", "bitsmith_chained_product"),
]
"""Modules with those that they are made of."""


def test_every_module_has_a_variant() -> None:
    modules = {name.removesuffix(".sv") for name in STREAM_LIBRARY} - {
        "bitsmith_window_axis",
        "bitsmith_sweep_axis",
        "bitsmith_engine_axis",
        "bitsmith_product_factors",
        "bitsmith_chained_product",
    }
    assert {module for module, _ in VARIANTS} == modules


@pytest.mark.parametrize(("module", "parameters"), VARIANTS)
def test_lint_clean(tmp_path: Path, module: str, parameters: dict[str, int]) -> None:
    """Two front ends, with ``parameters`` for defaults."""
    parts = next((parts for parts in MADE_OF if parts[0] == module), (module,))
    files = []
    for name, text in library([f"{part}.sv" for part in parts]).items():
        for parameter, value in parameters.items():
            if name == f"{module}.sv":
                text, count = re.subn(rf"(parameter [a-z ]+ {parameter}) = [^,\n]+", rf"\1 = {value}", text)
                assert count == 1
        files.append(tmp_path / name)
        files[-1].write_text(text)
    lint(files, module)
