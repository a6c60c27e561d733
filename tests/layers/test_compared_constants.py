"""Comparisons with constants, which are decided as the framework does on data that are equal to them."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer
from sklearn.tree import DecisionTreeClassifier

import bitsmith

Numbers = npt.NDArray[np.float32]

OPERATORS = ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")

typed = st.integers(-3000, 3000).map(lambda digits: np.float32(digits / 100))
"""Numbers of few digits, as data have them."""


def _graph(operator: str, constants: Numbers, *, first: bool) -> onnx.ModelProto:
    """A comparison of all elements of an input with a row of constants."""
    operands = ["c", "x"] if first else ["x", "c"]
    float_, bool_ = TensorProto.FLOAT, TensorProto.BOOL
    graph = helper.make_graph(
        [helper.make_node(operator, operands, ["z"]), helper.make_node("Cast", ["z"], ["y"], to=float_)],
        "compared",
        [helper.make_tensor_value_info("x", float_, ["n", len(constants)])],
        [helper.make_tensor_value_info("y", float_, ["n", len(constants)])],
        [numpy_helper.from_array(constants, "c")],
        value_info=[helper.make_tensor_value_info("z", bool_, ["n", len(constants)])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _right(proto: onnx.ModelProto, x: Numbers) -> Numbers:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def _data(constants: Numbers, others: Numbers) -> Numbers:
    """Rows in which each constant meets itself, all others, and other numbers."""
    return np.stack([np.roll(np.concatenate([constants, others]), k)[: len(constants)] for k in range(8)])


@pytest.mark.parametrize("operator", OPERATORS)
def test_data_of_many_digits_that_are_equal_to_constants(operator: str) -> None:
    draw = np.random.default_rng(len(operator))
    row = (np.round(draw.choice(np.arange(1.0, 12.0, 0.25), 16, replace=False), 3) + 0.0313734).astype(np.float32)
    proto, x = _graph(operator, row, first=False), np.stack([np.roll(row, k) for k in range(16)])
    np.testing.assert_array_equal(bitsmith.convert(proto).predict(x), _right(proto, x))
    np.testing.assert_array_equal(bitsmith.convert(proto, calibration=x).predict(x), _right(proto, x))


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=12)
@given(
    st.sampled_from(OPERATORS),
    st.lists(typed, min_size=4, max_size=4),
    st.lists(typed, min_size=4, max_size=4),
    st.booleans(),
    st.sampled_from(["auto", "calibrated", "fixed<24,8,RND,SAT>", "fixed<16,6,RND,SAT>", "fixed<16,6,RND_CONV,SAT>"]),
)
def test_data_that_are_equal_to_constants(
    operator: str, constants: list[np.float32], others: list[np.float32], first: bool, fmt: str
) -> None:
    row = np.array(constants, np.float32)
    proto, x = _graph(operator, row, first=first), _data(row, np.array(others, np.float32))
    config = {"LayerName": {"x": {"Precision": fmt}}} if fmt.startswith("fixed") else None
    model = bitsmith.convert(proto, config=config, calibration=x if fmt == "calibrated" else None)
    np.testing.assert_array_equal(model.predict(x), _right(proto, x))


@settings(max_examples=12)
@given(
    st.sampled_from(OPERATORS),
    st.lists(st.floats(-30, 30, width=32), min_size=4, max_size=4),
    st.lists(st.integers(-240, 240), min_size=4, max_size=4),
    st.booleans(),
    st.sampled_from(["calibrated", "fixed<9,6>", "fixed<12,6,TRN,SAT>", "all"]),
)
@pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning")
def test_data_on_a_grid_that_constants_are_not_on(
    operator: str, constants: list[float], others: list[int], first: bool, fmt: str
) -> None:
    row = np.array(constants, np.float32)
    near = np.floor(row * 8.0) / 8.0
    proto, x = _graph(operator, row, first=first), _data(near.astype(np.float32), np.array(others, np.float32) / 8)
    x = np.concatenate([x, x + np.float32(0.125)])
    config: dict[str, object] | None = {"LayerName": {"x": {"Precision": fmt}}} if fmt.startswith("fixed") else None
    if fmt == "all":
        config = {"Model": {"Precision": "fixed<10,7>"}}
    model = bitsmith.convert(proto, config=config, calibration=x if fmt == "calibrated" else None)
    np.testing.assert_array_equal(model.predict(x), _right(proto, x))


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from(["quantile", "uniform", "kmeans"]), st.booleans())
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_trees_of_bins_whose_edges_are_data(seed: int, bins: int, strategy: str, calibrated: bool) -> None:
    from skl2onnx import to_onnx

    draw = np.random.default_rng(seed)
    x = np.round(draw.uniform(0.0, 8.0, (80, 3)), 1).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > x[:, 2] * 4.0).astype(np.int64) + (x[:, 2] > 4.0)
    trees = DecisionTreeClassifier(max_depth=5, random_state=0)
    model = make_pipeline(KBinsDiscretizer(bins, encode="ordinal", strategy=strategy, subsample=None), trees)
    proto = to_onnx(model.fit(x, labels), x[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    converted = bitsmith.convert(proto, calibration=x if calibrated else None)
    label, _ = converted.predict(x)
    np.testing.assert_array_equal(np.ravel(label), session.run(None, {"X": x})[0])


@pytest.mark.parametrize("first", [False, True])
def test_samples_that_rounding_takes_across_a_constant_are_told(first: bool) -> None:
    """However few they are."""
    constants = np.array([0.3, 0.7], np.float32)
    x = np.tile(np.array([[0.125, 0.25]], np.float32), (20_000, 1))
    x[12_345] = constants
    config = {"LayerName": {"x": {"Precision": "fixed<12,4>"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bitsmith.errors.FidelityWarning)
        model = bitsmith.convert(
            _graph("GreaterOrEqual" if not first else "LessOrEqual", constants, first=first), config=config
        )
    with pytest.warns(bitsmith.errors.FidelityWarning, match="on 1 samples of this prediction"):
        model.predict(x)


@pytest.mark.parametrize("bound", [0.2, 0.3, 0.7, 1.1])
@pytest.mark.parametrize("calibrated", [False, True])
def test_rectified_data_that_are_equal_to_the_threshold(bound: float, calibrated: bool) -> None:
    """Neither the circuit nor the float model that it is compared with takes them for larger."""
    draw = np.random.default_rng(0)
    x = np.round(draw.uniform(-2.0, 2.0, (200, 4)), 1).astype(np.float32)
    net = torch.nn.Threshold(bound, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bitsmith.convert(net, input_shape=(4,), calibration=x if calibrated else None).predict(x)
    np.testing.assert_allclose(found, net(torch.from_numpy(x)), atol=1e-3)
