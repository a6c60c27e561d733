"""What a project looks like, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.errors import RangeError, UnsupportedError
from bitsmith.hls import HlsProject, HlsTarget, write, write_project
from bitsmith.hls.dialects import DIALECTS
from bitsmith.hls.kernels import repeated, suffix
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.indexing import moved
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.mapping.directives import Directives
from tests.properties.programs import random_program

TARGET = HlsTarget("net", "xcu250-figd2104-2L-e", tool="bitsmith 1.0", digest="abc")


def dense() -> Program:
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(True, 6, 3))
    with build.layer("dense_1"):
        total = build.add(build.linear(x, [[1, -2], [0, 3], [5, 1]], 2), build.const([1, -1], 1))
        result = build.cast(total, FixedFormat(True, 7, 4, Rounding.RND, Overflow.SAT))
    return build.program([("y", result)])


@pytest.mark.parametrize(("elements", "cycles", "beat"), [(256, 1, 256), (257, 257, 1), (600, 3, 200), (1000, 4, 250)])
@pytest.mark.parametrize("dialect", ["vivado", "vitis"])
def test_a_stream_port_has_a_width(dialect: str, elements: int, cycles: int, beat: int) -> None:
    """Wide tokens come in beats, of 16 bits per element at the ports."""
    build = ProgramBuilder()
    program = build.program([("y", build.neg(build.input("image", (elements,), FixedFormat(True, 13, 4))))])
    made = write_project(program, Directives({}, parallel=False), DIALECTS[dialect], TARGET)
    assert made.interval == cycles and f"token<image_t, {beat}>" in made.files["firmware/types.h"]
    assert [port.stream.tokens for port in (*made.inputs, *made.outputs) if port.stream] == [cycles, cycles]


def dense_project(dialect: str = "vitis") -> HlsProject:
    return write(dense(), DIALECTS[dialect], TARGET)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("dialect", DIALECTS)
def test_constants_are_in_the_file_of_the_function_that_reads_them(dialect: str, seed: int) -> None:
    build = ProgramBuilder()
    x = build.input("x", (3,), FixedFormat(False, 3, 3))
    with build.layer("looked"):
        y = build.table(x, 0, np.random.default_rng(seed).integers(0, 9, (3, 8)), 0)
    files = write(build.program([("y", y)]), DIALECTS[dialect], TARGET).files
    assert [path for path in files if "/weights/" in path] == ["firmware/weights/looked.h"]


def test_source_of_a_dense_layer() -> None:
    assert (
        dense_project().files["firmware/net.cpp"]
        == """\
// Written by bitsmith 1.0, project abc.
#include "net.h"

#include "weights/dense_1.h"

namespace net_layers {

/// Layer 'dense_1'.
/// x (3) to result (2):
///   linear -> 2 s9 frac 5
///   add -> 2 s9 frac 5
///   cast -> 2 s7 frac 4
void dense_1(const x_t x[3], dense_1_result_t result[2]) {
#pragma HLS PIPELINE II=1
    dense_1_linear_t linear[2];
#pragma HLS ARRAY_PARTITION variable=linear complete
    kernels::linear<dense_1_weights_t, dense_1_sum_t, 1, 3, 2>(x, dense_1_weights, linear);
    dense_1_constant_t constant[2];
#pragma HLS ARRAY_PARTITION variable=constant complete
    kernels::constant<2>(dense_1_constant, constant);
    dense_1_add_t add[2];
#pragma HLS ARRAY_PARTITION variable=add complete
    kernels::pairwise<kernels::add, dense_1_add_t, 2, 2, 2>(linear, constant, add);
    kernels::cast<dense_1_cast_t, 2>(add, result);
}

} // namespace net_layers

void net(const net_layers::x_t x[3], net_layers::dense_1_result_t y[2]) {
#pragma HLS PIPELINE II=1
#pragma HLS ARRAY_PARTITION variable=x complete
#pragma HLS ARRAY_PARTITION variable=y complete
    net_layers::dense_1_result_t dense_1_result[2];
#pragma HLS ARRAY_PARTITION variable=dense_1_result complete
    net_layers::dense_1(x, dense_1_result);
    kernels::copy<2>(dense_1_result, y);
}
"""
    )


def test_types_of_a_dense_layer() -> None:
    text = dense_project().files["firmware/types.h"]
    typedefs = [line for line in text.splitlines() if line.startswith("typedef")]
    assert typedefs == [
        "typedef ap_fixed<6, 3> x_t;",
        "typedef ap_fixed<7, 3> dense_1_result_t;",
        "typedef ap_fixed<9, 4> dense_1_linear_t;",
        "typedef ap_fixed<4, 2> dense_1_weights_t;",
        "typedef ap_fixed<9, 4> dense_1_sum_t;",
        "typedef ap_fixed<2, 1> dense_1_constant_t;",
        "typedef ap_fixed<9, 4> dense_1_add_t;",
        "typedef ap_fixed<7, 3, AP_RND, AP_SAT> dense_1_cast_t;",
    ]


def test_weights_are_raw_values() -> None:
    text = dense_project().files["firmware/weights/dense_1.h"]
    assert "static const int8_t dense_1_weights[6] = {\n    1, -2, 0, 3, 5, 1\n};" in text


def test_each_family_has_its_types() -> None:
    assert (
        "typedef ac_fixed<7, 3, true, AC_RND, AC_SAT> dense_1_cast_t;"
        in dense_project("catapult").files["firmware/types.h"]
    )


def test_script_has_the_target() -> None:
    lines = dense_project().files["project.tcl"].splitlines()
    assert lines[:4] == [
        "set top net",
        "set part xcu250-figd2104-2L-e",
        "set clock_period 5",
        "set clock_uncertainty 12.5%",
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_kernels_name_no_family(dialect: str) -> None:
    files = dense_project(dialect).files
    for name, text in files.items():
        if name.startswith("firmware/bitsmith/") and not name.endswith(("numbers.h", "kernels.h")):
            assert not any(word in text for word in ("ap_", "ac_", "HLS", "hls", "#pragma"))


def test_equal_programs_give_equal_projects() -> None:
    for seed in range(8):
        program = random_program(seed, hardware=True)
        assert write(program, DIALECTS["vitis"], TARGET).files == write(program, DIALECTS["vitis"], TARGET).files


def test_bare_layers_keep_their_functions() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2, 2), FixedFormat(True, 4, 2))
    with build.layer("flatten"):
        y = build.reshape(x, (4,))
    source = write(build.program([("y", y)]), DIALECTS["vitis"], TARGET).files["firmware/net.cpp"]
    assert "void flatten(const x_t x[4], flatten_result_t result[4]) {" in source


def test_each_step_tells_its_layer() -> None:
    step = ProgramBuilder()
    state = step.input("state", (1,), FixedFormat(True, 6, 3))
    token = step.input("token", (1,), FixedFormat(True, 6, 3))
    after = step.cast(step.add(state, token), FixedFormat(True, 6, 3))
    body = step.program([("state", after), ("result", after)])
    build = ProgramBuilder()
    start, x = build.input("start", (1,), FixedFormat(True, 6, 3)), build.input("x", (4, 1), FixedFormat(True, 6, 3))
    with build.layer("rnn"):
        result = build.scan(body, [start], [x])
    source = write(build.program([("y", result)]), DIALECTS["vitis"], TARGET).files["firmware/net.cpp"]
    assert source.count("/// A step of layer 'rnn'.\n") == source.count("/// Layer 'rnn'.\n") == 1
    assert (
        source.index("/// A step of")
        < source.index("void rnn_step(")
        < source.index("/// Layer ")
        < source.index("void rnn(")
    )


def test_no_common_format() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 4, 2))
    far = build.shift(x, np.array([0, 600]))
    with pytest.raises(RangeError, match="common format"):
        write(build.program([("y", far)]), DIALECTS["vitis"], TARGET)


def test_odd_wrap_is_refused() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 6, 2))
    odd = build.cast_to(x, 1, -3, 6, Rounding.TRN, Overflow.WRAP)
    with pytest.raises(UnsupportedError, match="wraps"):
        write(build.program([("y", odd)]), DIALECTS["vitis"], TARGET)


def test_what_repeats_in_row_major_order() -> None:
    assert suffix((3,), (2, 3)) and suffix((1, 1), (2, 3)) and suffix((2, 3), (2, 3)) and suffix((), (2, 3))
    assert not suffix((2, 1), (2, 3)) and not suffix((2,), (2, 3))


def test_repeated_is_the_broadcast() -> None:
    rng = np.random.default_rng(0)
    for have in ((), (1,), (3,), (2, 1), (4, 1, 3), (4, 2, 3)):
        values = rng.integers(0, 3, have)
        small = repeated(values, (4, 2, 3)).reshape(-1)
        whole = small[np.arange(24) % small.size]
        assert np.array_equal(whole.reshape(4, 2, 3), np.broadcast_to(values, (4, 2, 3)))


def test_moved_window_pads_with_zeros() -> None:
    build = ProgramBuilder()
    x = build.input("x", (4,), FixedFormat(True, 4, 2))
    program = build.program([("y", build.window(x, [2], [2], [2], [(1, 1)]))])
    op = program.nodes[-1].op
    assert np.array_equal(moved(op, (4,)), [[-1, 1], [1, 3]])  # type: ignore[arg-type]
