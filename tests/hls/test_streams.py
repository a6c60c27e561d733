"""Networks of processes as C++ compute what the emulator computes, to the last bit, and need no more places than they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bitsmith.dataflow import kinds
from bitsmith.hls import HlsTarget, write, write_project
from bitsmith.hls.dialects import DIALECTS, Dialect
from bitsmith.hls.dialects.spelling import Loops, Streams
from bitsmith.hls.process_text import order_actions
from bitsmith.ir.builder import ProgramBuilder, Value
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Ints, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.passes.program import drop_dead
from tests.hls.compiled import assert_equal_to_emulator, open_headers
from tests.hls.test_execution import COMPILED_DIALECT, EACH_DIALECT, EACH_FAMILY, networks, programs
from tests.hls.test_names import hostile_program
from tests.hls.test_writer import TARGET, dense
from tests.mapping.test_partition import demanded
from tests.properties import judged

FEW = (36, 43, 98, 79, 243, 1062)
STREAMED = Directives({}, parallel=False)
FORMAT = FixedFormat(True, 8, 4, Rounding.RND, Overflow.SAT)

THREADS = Streams(
    arrays=True,
    sequential=False,
    port_bits=0,
    most_bits=0,
    reset="",
    loops=Loops(flush=False, rewind=False),
    types=f'#include "{Path(__file__).parent / "bounded_stream.h"}"',
    type="bounded::stream<{token}, {depth}>",
    start="bounded::process {name}([&] {{ {function}({arguments}); }});",
)
"""Each process in a thread of its own, and FIFOs that fill."""


def random_demands(programs: Mapping[str, Program]) -> dict[str, Directives]:
    """Random reuse factors; arrays or streams at the interface."""
    return {
        top: demanded(seed, drop_dead(program, keep_probes=False))
        for seed, (top, program) in enumerate(programs.items())
    }


def weights(seed: int, rows: int, columns: int) -> Ints:
    return np.random.default_rng(seed).integers(-7, 8, (rows, columns)).astype(np.object_)


def convolution(build: ProgramBuilder, x: Value, layer: str, channels: int) -> Value:
    """3 by 3, the borders padded."""
    with build.layer(layer):
        windows = build.window(x, (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
        flat = build.reshape(windows, (*x.shape[:2], 9 * x.shape[2]))
        return build.cast(build.linear(flat, weights(len(layer), 9 * x.shape[2], channels), 4), FORMAT)


def cnn() -> Program:
    """Rows that need memories, padding, a residual branch, pooling, and a dense layer on the flattened image."""
    build = ProgramBuilder()
    image = build.input("image", (5, 18, 2), FORMAT)
    first = convolution(build, image, "conv1", 3)
    second = convolution(build, first, "conv2", 3)
    with build.layer("residual"):
        total = build.max(build.add(first, second), build.const([0]))
    with build.layer("pool"):
        pooled = build.amax(build.window(total, (2, 3), (2, 3), (1, 1), ((0, 0), (0, 0))), (2, 3))
    with build.layer("dense"):
        flat = build.reshape(pooled, (pooled.type.size,))
        scores = build.cast(build.linear(flat, weights(0, pooled.type.size, 4), 5), FORMAT)
    return build.program([("scores", scores), ("pooled", pooled)])


def folded(*, parallel: bool) -> Directives:
    """Three products of each row of the dense layer's matrix by one multiplier."""
    return Directives({"dense_1": 3}, parallel, {"dense_1": MultiplierStyle.SHARED})


def cnns() -> tuple[dict[str, Program], dict[str, Directives]]:
    """The network in streams and in arrays, unrolled and folded."""
    reuse = {"conv1": 3, "conv2": 9, "dense": 40}
    products = dict.fromkeys(reuse, MultiplierStyle.SHARED)
    cases = {
        "streamed": STREAMED,
        "folded": Directives(reuse, parallel=False, products=products),
        "arrays": Directives(reuse, parallel=True, products=products),
    }
    return dict.fromkeys(cases, cnn()), cases


@pytest.mark.slow
@pytest.mark.ci
@COMPILED_DIALECT
def test_random_programs(tmp_path: Path, dialect: Dialect) -> None:
    cases = programs(FEW)
    assert_equal_to_emulator(cases, dialect, tmp_path, demands=random_demands(cases))


def test_programs_cover_every_kind_of_process() -> None:
    cases = programs(FEW)
    seen = {
        type(process.kind)
        for top, directives in random_demands(cases).items()
        for process in partition(cases[top], directives).processes
    }
    # These have tests of their own, but the last two, which only circuits in SystemVerilog have.
    elsewhere = {kinds.Sweep, kinds.Engine, kinds.Feedback, kinds.Replay, kinds.Outside}
    assert seen == set(kinds.Kind.__args__) - elsewhere  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_random_networks(tmp_path: Path, dialect: Dialect) -> None:
    """All layers of the project, as they are lowered."""
    cases = networks(range(6))
    assert_equal_to_emulator(cases, dialect, tmp_path, demands=random_demands(cases))


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_convolutional_network(tmp_path: Path, dialect: Dialect) -> None:
    cases, demands = cnns()
    assert_equal_to_emulator(cases, dialect, tmp_path, demands=demands, samples=4)


@pytest.mark.slow
@pytest.mark.ci
@EACH_FAMILY
def test_with_the_open_headers(tmp_path: Path, dialect: Dialect) -> None:
    cases = {"folded": cnn(), **programs((36,))}
    demands = {**random_demands(cases), "folded": cnns()[1]["folded"]}
    include = open_headers(dialect.family)
    assert_equal_to_emulator(cases, dialect, tmp_path, include=include, demands=demands, samples=4)


def bounded(dialect: Dialect) -> Dialect:
    """``dialect`` with processes that run at once and FIFOs that fill."""
    return replace(dialect, streams=THREADS)


@pytest.mark.parametrize("many", [judged(False), judged(True)])
def test_fifos_are_deep_enough(tmp_path: Path, many: bool) -> None:
    cases, demands = cnns()
    if many:
        cases |= programs(FEW)
        demands |= random_demands(programs(FEW))
    else:
        cases = {"streamed": cases["streamed"], "folded": cases["folded"]}
    assert_equal_to_emulator(cases, bounded(DIALECTS["vitis"]), tmp_path, demands=demands, samples=3)


def test_a_frame_waits_beside_a_memory(tmp_path: Path) -> None:
    """The memory gives nothing until the whole frame is in it, so that the other operand waits as long."""
    build = ProgramBuilder()
    x = build.input("x", (6, 6, 1), FORMAT)
    with build.layer("symmetric"):
        total = build.add(x, build.transpose(x, (1, 0, 2)))
    cases = {"net": build.program([("y", total)])}
    assert_equal_to_emulator(cases, bounded(DIALECTS["vitis"]), tmp_path, demands={"net": STREAMED}, samples=3)


@pytest.mark.slow
@pytest.mark.ci
def test_hostile_names(tmp_path: Path) -> None:
    cases = {top: hostile_program() for top in ("net", "size", "x0")}
    demands = {"net": STREAMED, "size": STREAMED, "x0": Directives({"fc1": 2, "class": 2}, parallel=True)}
    assert_equal_to_emulator(cases, DIALECTS["vitis"], tmp_path, demands=demands)


def test_unrolled_programs_stay_as_they_are() -> None:
    for dialect in DIALECTS.values():
        made = write_project(dense(), Directives({"dense_1": 1}, parallel=True), dialect, TARGET)
        assert made.files == write(dense(), dialect, TARGET).files


def test_source_of_a_folded_layer() -> None:
    files = write_project(dense(), folded(parallel=False), DIALECTS["vitis"], TARGET).files
    assert """\
/// Layer 'dense_1': products with a matrix, 3 steps each.
void dense_1_product(dense_1_width_stream_t &x0, dense_1_product_stream_t &y0) {
#pragma HLS ARRAY_RESHAPE variable=dense_1_product_weights complete dim=2
#pragma HLS BIND_STORAGE variable=dense_1_product_weights type=rom_np impl=lutram
    dense_1_product_sum_t sums[2];
#pragma HLS ARRAY_PARTITION variable=sums complete
    int tile = 0;
    int turn = 0;
    BITSMITH_STEPS
    for (int i = 0; i < 3; i++) {
        BITSMITH_STEP
        const dense_1_width_token_t item = x0.read();
        dense_1_product_token_t result;
        kernels::add_products<dense_1_product_weights_t, dense_1_product_sum_t, 1, 1, 2, 1>(\
item.data, dense_1_product_weights[tile], turn != 0, sums, result.data);
        if (turn == 2) {
            y0.write(result);
        }
        turn = turn == 2 ? 0 : turn + 1;
        tile = tile == 2 ? 0 : tile + 1;
    }
}
""" in files["firmware/net.cpp"]
    assert """\
void net(net_layers::x_stream_t &x, net_layers::y_stream_t &y) {
#pragma HLS DATAFLOW
#pragma HLS INTERFACE axis port=x
#pragma HLS INTERFACE axis port=y
""" in files["firmware/net.cpp"]
    assert "typedef kernels::token<dense_1_t, 2> dense_1_token_t;" in files["firmware/types.h"]
    assert files["firmware/weights/dense_1_product_weights.txt"] == "0.25, -0.5, 0, 0.75, 1.25, 0.25\n"


def test_arrays_at_the_border() -> None:
    source = write_project(dense(), folded(parallel=True), DIALECTS["vitis"], TARGET)
    assert "void net(const net_layers::x_t x[3], net_layers::dense_1_t y[2]) {" in source.files["firmware/net.cpp"]


def test_residual_branches_wait_in_a_stream() -> None:
    """The first branch waits for the second one, whose windows end a row and a token later."""
    source = write_project(cnn(), STREAMED, DIALECTS["vitis"], TARGET).files["firmware/net.cpp"]
    depths = {
        line.split("variable=")[1].split()[0]: int(line.split("depth=")[1])
        for line in source.splitlines()
        if "HLS STREAM" in line
    }
    assert depths["conv1_to_conv2_to_residual_tokens"] > 20
    assert depths["conv1_to_conv2_window_tokens"] < 20


@pytest.mark.parametrize(
    ("source", "tokens", "actions"),
    [([0, 1], 2, [3, 3]), ([0, 0, 1], 2, [3, 2, 3]), ([-1, 1], 3, [4, 1, 3, 1]), ([-1, -1], 1, [4, 4, 1])],
)
def test_actions_at_the_head_of_a_fifo(source: list[int], tokens: int, actions: list[int]) -> None:
    assert order_actions(np.array(source), tokens).tolist() == actions


def test_equal_programs_give_equal_projects() -> None:
    for top, program in programs(FEW).items():
        directives = random_demands({top: program})[top]
        made = [write_project(program, directives, DIALECTS["vitis"], HlsTarget(top, "part")).files for _ in range(2)]
        assert made[0] == made[1]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_kernels_name_no_family(dialect: str) -> None:
    files = write_project(dense(), STREAMED, DIALECTS[dialect], TARGET).files
    for name, text in files.items():
        if "/stream_" in name:
            assert not any(word in text for word in ("ap_", "ac_", "HLS", "hls", "#pragma"))


def at_length(seeds: Iterable[int]) -> tuple[dict[str, Program], dict[str, Directives]]:
    cases = programs(seeds, max_ops=40)
    return cases, random_demands(cases)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(4))
@EACH_DIALECT
def test_random_programs_at_length(tmp_path: Path, dialect: Dialect, share: int) -> None:
    cases, demands = at_length(range(40_000 + 25 * share, 40_025 + 25 * share))
    assert_equal_to_emulator(cases, dialect, tmp_path, demands=demands)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(2))
@EACH_FAMILY
def test_random_networks_at_length(tmp_path: Path, dialect: Dialect, share: int) -> None:
    cases = networks(range(300 + 20 * share, 320 + 20 * share))
    assert_equal_to_emulator(cases, dialect, tmp_path, demands=random_demands(cases))


@pytest.mark.slow
@pytest.mark.parametrize("share", range(4))
def test_fifos_at_length(tmp_path: Path, share: int) -> None:
    cases, demands = at_length(range(50_000 + 25 * share, 50_025 + 25 * share))
    assert_equal_to_emulator(cases, bounded(DIALECTS["catapult"]), tmp_path, demands=demands, samples=3)
