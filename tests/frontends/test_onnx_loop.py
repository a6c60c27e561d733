"""Loops of a constant number of steps are opened; all others are refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agrees, graph, node, weights

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx


def _looped(
    condition: list[onnx.NodeProto], steps: str = "steps", begin: str = "begin", opset: int = 17
) -> onnx.ModelProto:
    """h = tanh(x[k] @ w + h @ u) for each k; the last h, all of them, and all that is carried besides."""
    body = helper.make_graph(
        [
            node("Gather", "x number", "row"),
            node("MatMul", "row w", "a"),
            node("MatMul", "state u", "b"),
            node("Add", "a b", "s"),
            node("Tanh", "s", "next"),
            node("Identity", "next", "seen"),
            node("Add", "count one", "more"),
            *condition,
        ],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
            helper.make_tensor_value_info("more", TensorProto.INT64, []),
            helper.make_tensor_value_info("seen", TensorProto.FLOAT, None),
        ],
    )
    loop = helper.make_node("Loop", [steps, begin, "start", "zero"], ["last", "counted", "all"], name="loop", body=body)
    return graph(
        [loop, node("Identity", "last", "y"), node("Mul", "all two", "z")],
        {"x": (4, "N", 3), "start": ("N", 5)},
        "y z",
        {
            "w": weights(3, 5) / 4,
            "u": weights(5, 5) / 8,
            "steps": np.array(4),
            "zero": np.array(0),
            "one": np.array(1),
            "three": np.array(3),
            "two": np.float64(2),
            "begin": np.array(True),
            "begin_not": np.array(False),
        },
        opset,
    )


_UNCHANGED = [node("Identity", "on", "goes_on")]


@pytest.mark.parametrize("opset", [11, 17])
def test_a_loop_gives_what_it_carries_and_all_rows(opset: int) -> None:
    network = assert_agrees(_looped(_UNCHANGED, opset=opset), exact=False, emulated=opset == 17)
    names = [found.name for found in network.nodes]
    assert "next_node_step0" in names and "next_node_step3" in names


@pytest.mark.parametrize("begin", ["begin", ""])
def test_a_condition_that_holds_to_the_last_step_is_none(begin: str) -> None:
    assert_agrees(_looped([node("Less", "count three", "goes_on")], begin=begin), exact=False, emulated=False)


@pytest.mark.parametrize("steps", ["steps", "", "many"])
def test_a_loop_that_a_constant_condition_ends_has_fewer_steps(steps: str) -> None:
    for most in (1, 3):
        condition = [node("Less", "number bound", "goes_on")]
        model = _looped(condition, steps=steps)
        model.graph.initializer.extend(
            [onnx.numpy_helper.from_array(np.array(value), name) for name, value in (("bound", most), ("many", 2**62))]
        )
        network = assert_agrees(model, exact=False, emulated=steps == "steps")
        assert sum(found.source == "Tanh" for found in network.nodes) == most + 1


def test_a_loop_that_the_data_end_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="depends on the data"):
        read_onnx(_looped([node("Cast", "next", "goes_on", to=TensorProto.BOOL)]))


def test_a_loop_without_a_step_gives_what_it_is_given() -> None:
    model = _looped(_UNCHANGED, begin="begin_not")
    with pytest.raises(UnsupportedError, match="rows of a loop that takes no step"):
        read_onnx(model)
    del (
        model.graph.node[0].attribute[0].g.output[3],
        model.graph.node[0].output[2],
        model.graph.node[2:],
        model.graph.output[1:],
    )
    assert_agrees(model, exact=False, emulated=False)


def _scanned(opset: int = 17, batch: int | str = "N", **attributes: object) -> onnx.ModelProto:
    """h = tanh(x[k] @ w + h @ u) * v[k] for each k, and all of them times 2."""
    names = ("state", "row", "factor")
    body = helper.make_graph(
        [
            node("MatMul", "row w", "a"),
            node("MatMul", "state u", "b"),
            node("Add", "a b", "s"),
            node("Tanh", "s", "t"),
            node("Mul", "t factor", "next"),
            node("Mul", "next two", "seen"),
        ],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("next", "seen")],
    )
    given = {"scan_input_axes": [1, 0], "scan_output_axes": [1], **attributes}
    scan = helper.make_node(
        "Scan", ["start", "x", "v"], ["last", "all"], name="scan", body=body, num_scan_inputs=2, **given
    )
    constants = {"w": weights(3, 5) / 4, "u": weights(5, 5) / 8, "v": weights(4, 5) / 2, "two": np.float64(2)}
    nodes = [scan, node("Identity", "last", "y"), node("Identity", "all", "z")]
    return graph(nodes, {"x": (batch, 4, 3), "start": (batch, 5)}, "y z", constants, opset)


@pytest.mark.parametrize("directions", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_scan_takes_a_row_of_each_sequence_in_each_step(directions: tuple[int, int]) -> None:
    model = _scanned(scan_input_directions=directions, scan_output_directions=directions[:1])
    network = assert_agrees(model, exact=False, emulated=directions == (1, 0))
    assert sum(found.source == "Tanh" for found in network.nodes) == 4


def test_a_scan_may_count_axes_from_the_end() -> None:
    assert_agrees(_scanned(opset=11, scan_input_axes=[-2, 0], scan_output_axes=[-1]), exact=False, emulated=False)


def test_scans_over_samples_or_unlike_sequences_are_refused() -> None:
    unlike = _scanned(scan_input_axes=[1, 1])
    for model in (unlike, _scanned(opset=8)):
        with pytest.raises(UnsupportedError, match=r"scan \(Scan\): a scan over samples, or over too many rows"):
            read_onnx(model)
    with pytest.raises(ModelFileError, match="scan_input_axes"):
        read_onnx(_scanned(scan_input_axes=[1]))
    with pytest.raises(UnsupportedError, match="batch axis"):
        read_onnx(_scanned(scan_input_axes=[0, 0]))
    assert_agrees(_scanned(batch=4, scan_input_axes=[0, 0]), exact=False, emulated=False)  # all of it is one sample


def test_other_loops_are_refused() -> None:
    endless = _looped(_UNCHANGED)
    endless.graph.initializer[[t.name for t in endless.graph.initializer].index("steps")].CopyFrom(
        onnx.numpy_helper.from_array(np.array(10**9), "steps")
    )
    without = _looped(_UNCHANGED)
    del without.graph.node[0].attribute[:]
    short = _looped(_UNCHANGED)
    del short.graph.node[0].attribute[0].g.input[2:]
    for model in (endless, without, _looped(_UNCHANGED, steps=""), _looped(_UNCHANGED, steps="two")):
        with pytest.raises(
            UnsupportedError, match=r"loop \(Loop\): only loops of a constant number of steps"
        ) as raised:
            read_onnx(model)
        assert "next_node" not in str(raised.value)
    with pytest.raises(ModelFileError, match="'count', which nothing makes"):
        read_onnx(short)


def _nested(steps: int, inner_steps: int) -> onnx.ModelProto:
    """y = x, ``steps`` times tanh(y + inner_steps * x)."""
    inner_ports, ports = (
        [
            helper.make_tensor_value_info(f"{prefix}number", TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{prefix}on", TensorProto.BOOL, []),
            helper.make_tensor_value_info(f"{prefix}state", TensorProto.FLOAT, None),
        ]
        for prefix in ("inner_", "")
    )
    results = [
        helper.make_tensor_value_info("inner_on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("inner_next", TensorProto.FLOAT, None),
    ]
    inner = helper.make_graph([node("Add", "inner_state x", "inner_next")], "inner", inner_ports, results)
    within = helper.make_node("Loop", ["three", "on", "state"], ["sum"], name="within", body=inner)
    outer_results = [ports[1], helper.make_tensor_value_info("next", TensorProto.FLOAT, None)]
    outer = helper.make_graph([within, node("Tanh", "sum", "next")], "outer", ports, outer_results)
    loop = helper.make_node("Loop", ["two", "", "x"], ["y"], name="loop", body=outer)
    return graph([loop], {"x": ("N", 5)}, "y", {"two": np.array(steps), "three": np.array(inner_steps)})


def test_a_loop_within_a_loop_is_opened_too() -> None:
    network = assert_agrees(_nested(2, 3), exact=False)
    assert sum(found.source == "Add" for found in network.nodes) == 6


def test_loops_that_become_too_many_nodes_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitsmith.frontends.onnx.read.MAX_NODES", 50)
    assert len(read_onnx(_nested(4, 10)).nodes) > 40
    with pytest.raises(UnsupportedError, match=r"within_step4 \(Loop\): loops within loops of too many steps"):
        read_onnx(_nested(20, 20))
