"""Bounded proofs of the stream library: nothing lost, repeated, reordered or locked up, whatever tokens and stalls come.

Each covers at least two frames of small size, with a few stalls. What a proof says is in ``formal/formal_<module>.sv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow import kinds
from bitsmith.dataflow.timing import REDUCE_LATENCY, product_latency, reorder_timing, sweep_bounds
from bitsmith.ir import ops
from bitsmith.ir.indexing import moved
from bitsmith.rtl.library import STREAM_LIBRARY, library
from bitsmith.rtl.streams import sweep_parameters
from tests.rtl.engines import apart, convolution, dense, gathered, outside, parts, proof_parameters
from tests.rtl.stream_bench import process
from tests.rtl.stream_proof import OF_PARITIES, SOLVER, counterexample, files, model

pytestmark = pytest.mark.tools
slow = pytest.mark.slow
ci = pytest.mark.ci


def assert_proved(
    folder: Path, module: str, parameters: dict[str, int | str], cycles: int, solver: str = SOLVER
) -> None:
    """No assertion of ``formal_<module>`` can fail."""
    model(folder, module, parameters)
    assert counterexample(folder, cycles, solver) == ""


@pytest.mark.parametrize(
    ("depth", "block", "cycles"),
    [
        (1, 0, 14),
        pytest.param(2, 1, 14, marks=ci),
        (1, 1, 14),
        (2, 0, 14),
        pytest.param(3, 0, 14, marks=slow),
        pytest.param(3, 1, 14, marks=slow),
        pytest.param(4, 1, 15, marks=slow),
    ],
)
def test_fifo(tmp_path: Path, depth: int, block: int, cycles: int) -> None:
    assert_proved(tmp_path, "fifo", {"DEPTH": depth, "BLOCK": bit(block)}, cycles)


def test_fifo_of_two_slots_in_a_memory(tmp_path: Path) -> None:
    assert_proved(tmp_path, "fifo", {"DEPTH": 2, "PAIR": bit(0)}, 14)


def test_fifo_of_a_slot_that_is_filled_as_it_is_emptied(tmp_path: Path) -> None:
    assert_proved(tmp_path, "fifo", {"DEPTH": 1, "REFILL": bit(1)}, 14)


@pytest.mark.parametrize(("depth", "cycles"), [pytest.param(5, 16, marks=ci), (1, 14), (2, 14), (3, 14)])
def test_single_port_fifo(tmp_path: Path, depth: int, cycles: int) -> None:
    assert_proved(tmp_path, "single_port_fifo", {"DEPTH": depth}, cycles)


@pytest.mark.parametrize(
    ("depth", "column"), [(3, 36), pytest.param(3, 72, marks=slow), pytest.param(5, 18, marks=slow)]
)
def test_fifo_in_larger_memory(tmp_path: Path, depth: int, column: int) -> None:
    assert_proved(tmp_path, "fifo", {"DEPTH": depth, "LARGE": column}, 14)


@pytest.mark.parametrize(
    ("width", "depth", "column", "together"),
    [(10, 9, 9, 1), (3, 2, 72, 1), (18, 7, 18, 1), (4, 5, 0, 1), (4, 6, 0, 1), (10, 12, 9, 4), (37, 6, 36, 2)],
)
def test_ram(tmp_path: Path, width: int, depth: int, column: int, together: int) -> None:
    parameters = {"WIDTH": width, "DEPTH": depth, "BLOCK": bit(depth % 2), "LARGE": column, "TOGETHER": together}
    assert_proved(tmp_path, "ram", parameters, 8)


@pytest.mark.parametrize(
    ("depth", "stages"), [pytest.param(3, 2, marks=ci), (1, 1), (4, 1), (2, 3), pytest.param(5, 4, marks=slow)]
)
def test_register_slice(tmp_path: Path, depth: int, stages: int) -> None:
    assert_proved(tmp_path, "register_slice", {"DEPTH": depth, "STAGES": stages}, 12 + stages)


@pytest.mark.parametrize(
    ("element", "parts", "words"),
    [pytest.param(2, 2, 2, marks=ci), (1, 1, 1), (9, 1, 1), pytest.param(3, 2, 2, marks=slow)],
)
def test_read_back(tmp_path: Path, element: int, parts: int, words: int) -> None:
    parameters: dict[str, int | str] = {"ELEMENT": element, "PARTS": parts, "WORDS": words}
    assert_proved(tmp_path, "read_back", parameters, words * (parts + 1) + 7)


@pytest.mark.parametrize(("parts", "times"), [pytest.param(3, 2, marks=ci), (1, 1), (1, 3), (4, 1)])
def test_downsizer(tmp_path: Path, parts: int, times: int) -> None:
    assert_proved(tmp_path, "downsizer", {"PARTS": parts, "TIMES": times}, 2 * parts * times + 6)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_upsizer(tmp_path: Path, parts: int) -> None:
    assert_proved(tmp_path, "upsizer", {"PARTS": parts}, 3 * parts + 7)


@pytest.mark.parametrize(("count", "greatest"), [(1, 0), (3, 0), (3, 1)])
def test_reduce(tmp_path: Path, count: int, greatest: int) -> None:
    assert REDUCE_LATENCY == 1
    assert_proved(tmp_path, "reduce", {"COUNT": count, "GREATEST": bit(greatest)}, 3 * count + 7)


@pytest.mark.parametrize(
    ("n", "steps", "groups", "signed"),
    [
        (1, 2, 1, 1),
        pytest.param(2, 1, 2, 0, marks=slow),
        pytest.param(3, 2, 2, 1, marks=slow),
        pytest.param(5, 1, 1, 1, marks=slow),
    ],
)
def test_folded_product(tmp_path: Path, n: int, steps: int, groups: int, signed: int) -> None:
    latency = product_latency(n)
    parameters = {"N": n, "STEPS": steps, "GROUPS": groups, "X_SIGNED": bit(signed), "LATENCY": latency}
    assert_proved(tmp_path, "folded_product", parameters, 2 * steps * groups + latency + 4)


@pytest.mark.parametrize(("steps", "groups"), [(1, 1), pytest.param(2, 2, marks=ci), (3, 1)])
def test_folded_product_with_a_register_after_its_weights(tmp_path: Path, steps: int, groups: int) -> None:
    parameters = {"N": 1, "STEPS": steps, "GROUPS": groups, "AHEAD": bit(1), "LATENCY": product_latency(1)}
    assert_proved(tmp_path, "folded_product", parameters, 2 * steps * groups + product_latency(1) + 4)


@pytest.mark.parametrize(
    ("lanes", "n", "m", "steps", "signed", "pairs"),
    [
        (1, 1, 2, 1, 1, "COLUMN_PAIRS"),
        pytest.param(1, 2, 3, 1, 0, "COLUMN_PAIRS", marks=slow),
        pytest.param(3, 1, 1, 2, 1, "LANE_PAIRS", marks=slow),
        pytest.param(2, 3, 1, 1, 0, "LANE_PAIRS", marks=slow),
    ],
)
def test_folded_product_of_pairs(
    tmp_path: Path, lanes: int, n: int, m: int, steps: int, signed: int, pairs: str
) -> None:
    latency = product_latency(n)
    parameters: dict[str, int | str] = {"LANES": lanes, "N": n, "M": m, "STEPS": steps, "GROUPS": 1, pairs: bit(1)}
    parameters |= {"X_SIGNED": bit(signed), "LATENCY": latency}
    assert_proved(tmp_path, "folded_product", parameters, 2 * steps + latency + 4)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "chain", "pairs"), [(2, 2, 0), (3, 2, 0), (2, 2, 1)])
def test_folded_product_of_chains(tmp_path: Path, n: int, chain: int, pairs: int) -> None:
    latency = product_latency(n, chain)
    parameters: dict[str, int | str] = {"N": n, "M": 1 + pairs, "STEPS": 1, "GROUPS": 1, "CHAIN": chain}
    parameters |= {"COLUMN_PAIRS": bit(pairs), "LATENCY": latency}
    assert_proved(tmp_path, "folded_product", parameters, 2 + latency + 4)


@pytest.mark.parametrize(
    ("length", "block", "check"),
    [
        (1, 0, 0),
        (2, 0, 0),
        (3, 0, 0),
        (4, 0, 0),
        (5, 1, 0),
        pytest.param(4, 1, 1, marks=ci),
        pytest.param(5, 1, 4, marks=ci),
        (4, 1, 4),
        (6, 1, 4),
    ],
)
def test_delay(tmp_path: Path, length: int, block: int, check: int) -> None:
    assert_proved(tmp_path, "delay", {"LENGTH": length, "BLOCK": bit(block), "CHECK": check}, 2 * length + 8)


@pytest.mark.parametrize(
    ("width", "check"), [(1, 1), (6, 1), (1, 3), (4, 4), (5, 5), pytest.param(11, 6, marks=ci), (21, 7)]
)
def test_decode(tmp_path: Path, width: int, check: int) -> None:
    assert_proved(tmp_path, "decode", {"WIDTH": width, "CHECK": check}, 2, OF_PARITIES)


@pytest.mark.parametrize(
    ("rows", "columns", "taps", "stride", "dilation", "padded", "actions"),
    [
        (1, 4, (1, 3), (1, 1), 1, 0, 4),
        pytest.param(2, 5, (2, 2), (1, 2), 3, 0, 10, marks=slow),
        pytest.param(3, 3, (2, 2), (1, 1), 1, 0, 9, marks=slow),
        pytest.param(1, 2, (3, 2), (1, 1), 1, 1, 12, marks=slow),
    ],
)
def test_window(
    tmp_path: Path,
    rows: int,
    columns: int,
    taps: tuple[int, int],
    stride: tuple[int, int],
    dilation: int,
    padded: int,
    actions: int,
) -> None:
    parameters: dict[str, int | str] = {"SIZE_1": rows, "SIZE_2": columns, "TAPS_1": taps[0], "TAPS_2": taps[1]}
    parameters |= {"STRIDE_1": stride[0], "STRIDE_2": stride[1], "DILATION_2": dilation}
    assert_proved(tmp_path, "window", parameters | {"PADDED": bit(padded), "ACTIONS": actions}, 2 * actions + 4)


@pytest.mark.parametrize(
    ("tokens", "source", "synchronous"),
    [(4, [0, 0, 1, -1, 3, -1], 1), pytest.param(3, [-1, 1, 1], 0, marks=ci), (2, [1], 1)],
)
def test_order(tmp_path: Path, tokens: int, source: list[int], synchronous: int) -> None:
    process_ = process(kinds.Reorder(np.array(source)), [((tokens,), 1)], ((len(source),), 1))
    (actions,) = process_.timing(0).sequencers
    taken, given = np.diff(actions.takes[0].dense(), prepend=0), np.diff(actions.fills[0].dense(), prepend=0)
    flags = (actions.needs[0].dense() > actions.takes[0].dense() - taken) + 2 * taken + 4 * given
    parameters: dict[str, int | str] = {"TOKENS": tokens, "READS": len(source), "ACTIONS": len(flags)}
    parameters |= {"SOURCE": table(source, 8), "FLAGS": table(flags.tolist(), 3), "SYNCHRONOUS": bit(synchronous)}
    assert_proved(tmp_path, "order", parameters, 2 * len(flags) + 5)


@pytest.mark.parametrize(
    ("tokens", "source", "depth", "synchronous"),
    [
        pytest.param(3, [2, 0, 1], 3, 0, marks=ci),
        (2, [1, -1, 0], 4, 1),
        pytest.param(4, [0, 2, 1, 3], 2, 1, marks=slow),
        pytest.param(4, [1, 1, 0], 5, 0, marks=slow),
    ],
)
def test_reorder(tmp_path: Path, tokens: int, source: list[int], depth: int, synchronous: int) -> None:
    _, reader = reorder_timing(np.array(source), tokens).sequencers
    freed = np.diff(reader.takes[0].dense(), prepend=0)
    needed = reader.needs[0].dense() - (reader.takes[0].dense() - freed)
    by = 2 * (tokens + len(source)) + 1
    parameters: dict[str, int | str] = {"DEPTH": depth, "TOKENS": tokens, "READS": len(source), "BY": by}
    parameters |= {"SOURCE": table(source, 8), "NEEDED": table(needed.tolist(), 8), "FREED": table(freed.tolist(), 8)}
    assert_proved(tmp_path, "reorder", parameters | {"SYNCHRONOUS": bit(synchronous)}, by + 3)


@pytest.mark.parametrize(
    ("grid", "op", "each", "spare"),
    [
        pytest.param((1, 2), ops.Window((1, 2), (1, 1), (1, 1), ((0, 0), (1, 0))), (1, 1, 1), 0, marks=ci),
        pytest.param((1, 3), ops.Window((1, 1), (1, 2), (1, 1), ((0, 0), (0, 0))), (2, 1, 1), 0, marks=slow),
        ((1, 1), ops.Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))), (1, 2, 2), 0),
        pytest.param((2, 1), ops.Window((2, 1), (2, 1), (1, 1), ((0, 1), (0, 0))), (1, 1, 2), 2, marks=slow),
    ],
)
def test_sweep(tmp_path: Path, grid: tuple[int, int], op: ops.Window, each: tuple[int, int, int], spare: int) -> None:
    kind, tokens = kinds.Sweep(op, *each), int(np.prod(grid)) * each[0] * each[1]
    needed, gone = sweep_bounds(op, grid)
    most = int(np.append((needed - gone)[:-1], np.prod(grid) - gone[-1]).max()) * each[0] * each[1]
    places = moved(op, grid).reshape(-1, 1, 1, int(np.prod(op.size)), 1)
    inner = (np.arange(kind.blocks)[:, None] * kind.parts + np.arange(kind.parts))[:, None, None]
    source = np.where(places < 0, 255, places * kind.blocks * kind.parts + inner)
    source = np.broadcast_to(source, (len(source), kind.blocks, kind.times, *source.shape[3:])).ravel()
    by = 2 * (tokens + len(source)) + 2
    parameters: dict[str, int | str] = {
        name: value
        for name, value in sweep_parameters(kind, grid).items()
        if not name.endswith("_0") and name != "DILATION_1"
    }
    parameters |= {"DEPTH": most + spare, "READS": len(source), "SOURCE": table(source.tolist(), 8), "BY": by}
    assert_proved(tmp_path, "sweep", parameters, by + 3)


ENGINES = {
    "dense": ([dense([[1, -2], [-1, 1]], 1, [1, 0], 0, 2), dense([[1], [-2]], 1, [1], 2, 0)], 2, 4),
    "lanes": ([dense([[1, -2], [-1, 1]], 2, [1, 0], 0, 1), dense([[1, 1], [-2, 1]], 1, [0, 1], 1, 0)], 2, 3),
    "convolution": ([convolution([1, -1], 2, 1, 0, 2), dense([[1], [1]], 1, [0], 2, 0)], 2, 4),
    "blocks": ([convolution([1], 1, 2, 0, 2), convolution([-1], 1, 2, 2, 0)], 2, 4),
    "outside": ([outside([1, -1], 2, 0, 2), dense([[1], [-2], [-1], [1]], 1, [1], 2, 0)], 2, 6),
    "single": ([dense([[1]], 1, [1], 0, 1), dense([[-1]], 1, [-2], 1, 0)], 1, 2),
    "parts": ([parts([[1], [-1]], (2, 1), (2, 1), 0, 1), gathered([1, -2], (2, 1), (2, 1), 1)], 2, 2),
    "across": ([parts([[1, -1]], (1, 2), (1, 2), 0, 1), gathered([1, -2], (1, 2), (1, 2), 1)], 1, 2),
    "rows": ([parts([[1], [-1], [1]], (4, 1), (2, 1), 0, 2), gathered([1, -2, 1, 1], (4, 1), (2, 1), 2)], 4, 4),
    "apart": ([apart([[1, -2], [-1, 1]], 0, 4), dense([[1], [-2]], 1, [1], 4, 0)], 4, 6),
}


@pytest.mark.parametrize(
    "name",
    [
        "lanes",
        "blocks",
        *(pytest.param(name, marks=ci) for name in ("dense", "outside", "parts", "across")),
        *(pytest.param(name, marks=slow) for name in ("convolution", "apart", "rows")),
    ],
)
def test_engine(tmp_path: Path, name: str) -> None:
    parameters, by = proof_parameters(*ENGINES[name])
    assert_proved(tmp_path, "engine", {**parameters, "CHECK": 1}, by + 3)


@pytest.mark.parametrize(("which", "synchronous"), [([0, 1, 1, 0, 1], 0), ([1, 0, 0], 1)])
def test_interleave(tmp_path: Path, which: list[int], synchronous: int) -> None:
    parameters = {"ACTIONS": len(which), "WHICH": table(which, 1), "SYNCHRONOUS": bit(synchronous)}
    assert_proved(tmp_path, "interleave", parameters, 2 * len(which) + 6)


@pytest.mark.parametrize(
    ("steps", "latency", "kept"),
    [(1, 1, 0), (3, 0, 1), (1, 1, 2), pytest.param(3, 2, 0, marks=slow), pytest.param(2, 3, 2, marks=slow)],
)
def test_scan(tmp_path: Path, steps: int, latency: int, kept: int) -> None:
    cycles = 2 * steps * (latency + 1) + 5
    assert_proved(tmp_path, "scan", {"STEPS": steps, "LATENCY": latency, "KEPT": kept}, cycles)


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize(("tokens", "rounds"), [(1, 1), (2, 2), pytest.param(3, 1, marks=ci), (1, 3)])
def test_feedback(tmp_path: Path, tokens: int, rounds: int, kept: int) -> None:
    parameters = {"TOKENS": tokens, "ROUNDS": rounds, "KEPT": kept}
    assert_proved(tmp_path, "feedback", parameters, 2 * tokens * (rounds + 1) + 6)


@pytest.mark.parametrize(("tokens", "synchronous"), [(1, 0), (3, 1), pytest.param(3, 0, marks=ci)])
def test_source(tmp_path: Path, tokens: int, synchronous: int) -> None:
    assert_proved(tmp_path, "rom", {"TOKENS": tokens, "SYNCHRONOUS": bit(synchronous)}, 3 * tokens + 6)


@pytest.mark.parametrize(
    ("parts", "words"), [(2, 2), pytest.param(1, 1, marks=ci), (3, 1), pytest.param(1, 3, marks=slow)]
)
def test_load(tmp_path: Path, parts: int, words: int) -> None:
    assert_proved(tmp_path, "load", {"PARTS": parts, "WORDS": words}, 2 * parts * words + 7)


def bit(value: int) -> str:
    """A parameter of one bit."""
    return f"1'b{value}"


def table(values: Sequence[int], width: int) -> str:
    """A parameter of values of ``width`` bits, the first lowest."""
    word = sum((value % (1 << width)) << (k * width) for k, value in enumerate(values))
    return f"{len(values) * width}'h{word:x}"


MUTANTS = [
    ("register_slice", "{claim ^ back[STAGES-1]}", "{claim | back[STAGES-1]}"),
    ("register_slice", "forward <= STAGES'({forward, put})", "forward <= STAGES'({forward, claim})"),
    ("register_slice", "assign free = claimed != FULL", "assign free = 1'b1"),
    ("read_back", "part == NO_PART) ? '0", "part == NO_PART) ? LAST_PART"),
    ("read_back", "assign reading = scanning | scanned", "assign reading = scanning"),
    ("read_back", "rst | loading", "rst"),
    ("read_back", "scanning <= following != LAST_WORD", "scanning <= 1'b0"),
    ("fifo", "assign free = claimed != FULL", "assign free = 1'b1"),
    (
        "fifo",
        "{take & ~claim}} | ({COUNT_BITS{claim ^ take}} & ONE)",
        "{take & ~put}} | ({COUNT_BITS{put ^ take}} & ONE)",
    ),
    (
        "fifo",
        "{take & ~put}} | ({COUNT_BITS{put ^ take}} & ONE)",
        "{take & ~claim}} | ({COUNT_BITS{claim ^ take}} & ONE)",
    ),
    ("single_port_fifo", "~left[1] & pairs", "(left == '0) & pairs"),
    ("single_port_fifo", "assign write = left != '0 & waits & put", "assign write = left[1] & waits & put"),
    ("single_port_fifo", "around ? waits & put", "around ? 1'b0"),
    ("single_port_fifo", "if (arrives) second", "if (arrives & shown[0]) second"),
    ("downsizer", "act & last_part & last_time", "act & last_part"),
    ("downsizer", "assign act = x_valid & y_free", "assign act = x_valid & y_free & (part == '0)"),
    ("upsizer", "x_valid & (y_free | ~last_part)", "x_valid"),
    ("upsizer", "assign y_data = {x_data, earlier}", "assign y_data = {earlier, x_data}"),
    ("reduce", "so_far = (place == '0)", "so_far = last"),
    ("reduce", "x_valid & (y_free | ~last)", "x_valid & y_free"),
    ("folded_product", "|| begins[STAGES-1]", "|| 1'b0"),
    ("folded_product", "{sum, g_level[LEVELS].owed[result]}", "{sum, 1'b0}"),
    ("folded_product", "given - HIGH_BITS'(negative)", "given"),
    ("folded_product", "if (acts[STAGES-1]) total", "total"),
    ("delay", "else if (enable) at <= next_at", "else at <= next_at"),
    ("delay", "filled | (at == LAST)", "filled | (next_at == LAST)"),
    ("decode", "changed[i] ? '0 : COVERED", "changed[i] ? COVERED : '0"),
    ("decode", "{~^changed &", "{^changed &"),
    ("decode", "code[WIDTH+i] = ^(data & COVERED)", "code[WIDTH+i] = ^(data & ~COVERED)"),
    ("ram", "if (writes[at]) rows", "if (write) rows"),
    ("ram", "if (read) place", "place"),
    ("delay", "if (read) read_data", "read_data"),
    ("window", "assign x_take = act & inside_all", "assign x_take = x_valid & inside_all"),
    ("window", "REACHED = BITS'(REACH - 1)", "REACHED = BITS'(REACH)"),
    ("order", "(y_free | ~flags[2])", "1'b1"),
    ("reorder", "x_valid & (held != FULL)", "x_valid"),
    ("reorder", "(held >= needed)", "(held > needed)"),
    ("replay", "(held != FULL)", "1'b1"),
    ("replay", "(~is_first | (unread != '0))", "(~is_first | (held != '0))"),
    ("replay", "is_final = part == last_part", "is_final = 1'b1"),
    ("sweep", "(held != FULL)", "1'b1"),
    ("sweep", "~surplus[BITS-1]", "(~surplus[BITS-1] | &surplus)"),
    ("sweep", "empty <= ~(&is_inside)", "empty <= 1'b0"),
    ("engine", "~(leaves & gives) | y_free", "1'b1"),
    ("engine", "(ends_window | (block_ends & alike)) ? round_weights", "(ends_round) ? round_weights"),
    ("engine", "is_real <= &is_inside", "is_real <= 1'b1"),
    ("interleave", "assign y_claim = x_valid[which] & y_free", "assign y_claim = |x_valid & y_free"),
    ("load", "transfer | complete | (part", "transfer | (part"),
    ("load", "? '0 : following + 1'b1", "? '0 : following"),
    ("load", "{load_data, word} >> ELEMENT", "{word, load_data}"),
    ("scan", "& ~waiting &", "&"),
    ("scan", "if (core_answers) states", "states"),
    ("feedback", "(y_free | last)", "y_free"),
    ("feedback", "first ? opening : back_data", "back_data"),
    ("feedback", "turn <= last ? '0", "turn <= turn[0] ? '0"),
    ("rom", "if (y_free) next_index", "next_index"),
]
SETTINGS: dict[str, tuple[dict[str, int | str], int]] = {
    "read_back": ({"ELEMENT": 1, "PARTS": 2, "WORDS": 2}, 12),
    "folded_product": (
        {"N": 1, "M": 2, "COLUMN_PAIRS": "1'b1", "STEPS": 2, "GROUPS": 1, "LATENCY": product_latency(1)},
        14,
    ),
    "window": ({"SIZE_1": 1, "SIZE_2": 4, "TAPS_1": 1, "TAPS_2": 3, "ACTIONS": 4}, 12),
    "delay": ({"LENGTH": 5, "BLOCK": "1'b1", "CHECK": 1}, 18),
    "order": ({"TOKENS": 2, "READS": 2, "ACTIONS": 2, "SOURCE": "16'h0100", "FLAGS": "6'o77"}, 10),
    "sweep": ({"READS": 8, "SOURCE": table([255, 0, 0, 1, 255, 2, 2, 3], 8), "DEPTH": 2, "BY": 26}, 28),
    "engine": (proof_parameters(*ENGINES["convolution"])[0], 44),
    "replay": ({"DEPTH": 2, "FIRST": "8'h22", "ALIKE": 2, "FRAMES": 1, "BY": 22}, 25),
    "reorder": (
        {"DEPTH": 2, "TOKENS": 2, "READS": 2, "BY": 9, "SOURCE": "16'h0001", "NEEDED": "16'h0202", "FREED": "16'h0200"},
        12,
    ),
}


@ci
def test_every_module_stands_in_a_proof_with_a_mutant() -> None:
    assert {name for module, _, _ in MUTANTS for name in files(module)} == {*STREAM_LIBRARY}


@ci
def test_what_mutants_replace_is_in_the_library() -> None:
    texts = library(STREAM_LIBRARY)
    for module, text, _ in MUTANTS:
        assert any(text in texts[name] for name in files(module)), (module, text)


@pytest.mark.parametrize(("module", "text", "instead"), MUTANTS)
def test_proofs_can_fail(tmp_path: Path, module: str, text: str, instead: str) -> None:
    parameters, cycles = SETTINGS.get(module, ({}, 16))
    model(tmp_path, module, parameters, (text, instead))
    assert "Assert failed" in counterexample(tmp_path, cycles)
