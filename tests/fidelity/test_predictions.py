"""How many samples of predictions are compared, and when."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument
from torch import nn

from bitsmith import FidelityWarning, InputRangeWarning, convert
from bitsmith.emulate import Emulator
from bitsmith.fidelity import predictions
from bitsmith.fidelity.predictions import Predictions, most_compared
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from tests.frontends.onnx_models import graph, node, runtime, weights


def _network(size: int) -> Network:
    return Network((NetworkNode("x", Input((size,))), NetworkNode("y", ReLU(), ("x",))), ("x",), ("y",))


@pytest.mark.parametrize(
    ("size", "most"), [(1, 128), (1 << 14, 128), (1 << 15, 64), (3 << 14, 42), (1 << 16, 32), (1 << 20, 32)]
)
def test_fewer_samples_of_large_networks_are_compared(size: int, most: int) -> None:
    """All results of all samples have 2**22 elements at most, but of 32 samples."""
    assert most_compared(_network(size), every=False) == most


@pytest.mark.parametrize(("size", "most"), [(1, 1024), (1 << 11, 1024), (1 << 14, 128), (1 << 16, 32)])
def test_more_samples_are_compared_where_there_are_no_calibration_data(size: int, most: int) -> None:
    assert most_compared(_network(size), every=True) == most


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of samples of each comparison."""
    counts: list[int] = []
    real = predictions.deviating

    def counted(network: Network, inputs: Sequence[Floats], *rest: Any) -> Any:
        counts.append(len(inputs[0]))
        return real(network, inputs, *rest)

    monkeypatch.setattr(predictions, "deviating", counted)
    return counts


def _look(looks: Predictions, x: Floats) -> None:
    assert looks.look([x], [np.maximum(x, 0.0)]) is None


def test_single_predictions_are_compared_whenever_there_are_twice_as_many(compared: list[int]) -> None:
    looks, x = Predictions(_network(3), calibrated=True), np.array([[0.5, -1.0, 1.0]])
    for _ in range(400):
        _look(looks, x)
    assert compared == [1, 2, 4, 8, 16, 32, 64, 128]
    _look(looks, x / 4.0)  # of the same scale
    assert compared[8:] == []
    for _ in range(3):
        _look(looks, x / 4.5)
    assert compared[8:] == [1, 2]
    _look(looks, np.zeros((0, 3)))
    _look(looks, np.zeros((5, 3)))
    assert compared[10:] == [8]


def test_results_that_are_changed_in_place_are_not_those_that_are_compared() -> None:
    looks, x = Predictions(_network(3), calibrated=True), np.array([[0.5, -1.0, 1.0]])
    results = np.maximum(x, 0.0)
    assert looks.look([x], [results]) is None
    results *= 100.0
    x *= -1.0
    _look(looks, x)


@pytest.mark.filterwarnings("ignore:auto rounds")
@pytest.mark.parametrize("at", [0, 1, 600, 998])
def test_a_code_that_flips_in_one_of_a_thousand_samples_is_told(at: int) -> None:
    """Wherever it is: the steps of the input, which a matrix reads, are as fine as they get."""
    nodes = [node("MatMul", "x k", "p"), node("QuantizeLinear", "p s z", "c"), node("DequantizeLinear", "c s z", "y")]
    stored = {"k": np.float32([[0.375]]), "s": np.float32(1 / 64), "z": np.int8(0)}
    model = convert(graph(nodes, {"x": ("n", 1)}, "y", stored))
    (port,) = Emulator(model.program).inputs
    drawn = np.random.default_rng(0).uniform(-1.0, 1.0, (1_000_000, 1))
    taken = np.ldexp(np.rint(np.ldexp(drawn, port.frac)), -port.frac)
    codes, near = (np.rint(24.0 * x) for x in (drawn, taken))
    x = drawn[codes == near][:999, None]
    other = convert(graph(nodes, {"x": ("n", 1)}, "y", stored))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other.predict(x)
    x[at] = drawn[codes != near][0]
    with pytest.warns(FidelityWarning, match="differs from the float model's by"):
        model.predict(x)


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "calibrated"])
def test_few_bits_that_are_too_few_for_inputs_of_another_scale_are_told(known: bool) -> None:
    """Formats of generated inputs, though 8 bits do for these: of the scale that is theirs, the same bits are right."""
    rng = np.random.default_rng(3)
    nodes = [node("MatMul", "x v", "h"), node("Tanh", "h", "t"), node("MatMul", "t w", "y")]
    stored = {
        "v": rng.normal(0.0, 0.3, (8, 8)).astype(np.float32),
        "w": rng.normal(0.0, 0.3, (8, 2)).astype(np.float32),
    }
    x = rng.normal(0.0, 1.0, (64, 8))
    model = convert(graph(nodes, {"x": ("n", 8)}, "y", stored), bits=8, calibration=x / 10.0 if known else None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(x / 10.0 if known else x)
    if not known:
        with pytest.warns(FidelityWarning, match="give samples of that scale as calibration, or input 'x' a precision"):
            model.predict(x / 10.0)


@pytest.mark.parametrize(("samples", "looked_at"), [(1, 1), (128, 128), (1024, 1024), (1025, 513), (9000, 1000)])
def test_of_many_samples_some_all_over_are_compared(compared: list[int], samples: int, looked_at: int) -> None:
    _look(Predictions(_network(3), calibrated=False), np.random.default_rng(0).uniform(-1.0, 1.0, (samples, 3)))
    assert compared == [looked_at]


class Looked(nn.Module):
    """Columns of indices, each for a table of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.few, self.many = nn.Embedding(10, 3), nn.Embedding(100, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.few(x[:, 0]), self.many(x[:, 1].reshape(-1))], -1)


@pytest.mark.parametrize("row", [[9, 99], [0, 0], [10, 99], [15, 0], [9, 100], [9, 127], [9, 200], [-1, 5], [5, -1]])
def test_indices_of_no_row_are_said_where_the_framework_makes_an_error_of_them(row: list[int]) -> None:
    """Also those that the bits of the input can hold."""
    net, x = Looked().eval(), np.array([[1, 2], row])
    model = convert(torch.export.export(net, (torch.tensor([[3, 50], [9, 99]]),)), check=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.predict(x)
    try:
        net(torch.tensor(x))
    except IndexError:
        name = "few" if not 0 <= row[0] < 10 else "many"
        (said,) = caught
        assert said.category is InputRangeWarning
        assert "input 'x': 1 values are not the index" in str(said.message) and name in str(said.message)
    else:
        assert not caught


class Computed(nn.Module):
    """Rows that numbers inside select."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(9, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rows((2.0 * x).to(torch.int64))


def _computed(limits: tuple[float, float] | None = None) -> onnx.ModelProto:
    """The same in ONNX, where indices below 0 count from the end; numbers may be limited before."""
    nodes = [
        node("Mul", "x two", "m"),
        node("Cast", "c", "i", to=onnx.TensorProto.INT64),
        node("Gather", "t i", "rows"),
    ]
    nodes.insert(1, node("Identity", "m", "c") if limits is None else node("Clip", "m low high", "c"))
    low, high = map(np.float32, limits or (0, 0))
    trained = {"two": np.float32(2), "t": weights(9, 3), "low": low, "high": high}
    return graph(nodes, {"x": ("N", 2)}, "rows", trained)


@pytest.mark.parametrize("index", [-10, -9, -1, 0, 8, 9, 11])
@pytest.mark.parametrize("framework", ["torch", "onnx"])
def test_computed_indices_of_no_row_are_said_where_the_framework_makes_an_error_of_them(
    framework: str, index: int
) -> None:
    x = np.array([[0.5, index / 2]])
    torch.manual_seed(0)
    source = Computed().eval() if framework == "torch" else _computed()
    model = convert(source, **({"input_shape": (2,)} if framework == "torch" else {}), check=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = model.predict(x)
    try:
        wanted = (
            source(torch.tensor(x, dtype=torch.float32)).detach().numpy()
            if isinstance(source, nn.Module)
            else runtime(source, {"x": x.astype(np.float32)})[0]
        )
    except (IndexError, InvalidArgument):
        (said,) = caught
        assert said.category is FidelityWarning
        assert "1 of 2 values are not the index of a row" in str(said.message)
    else:
        assert not caught
        np.testing.assert_allclose(found, wanted, atol=1e-3)
    (note,) = (note for note in model.notes if "looks rows up by" in note)
    assert ("-9..8" if framework == "onnx" else "0..8") in note


@pytest.mark.parametrize("keys", [[0, 1, 2, 3], [-3, 0, 1, 7]], ids=str)
@pytest.mark.parametrize("zeros", [0, 1])
def test_unknown_categories_are_said_where_the_framework_makes_an_error_of_them(keys: list[int], zeros: int) -> None:
    """Also where the format of the input makes a known one of it."""
    encoder = node("OneHotEncoder", "x", "y", cats_int64s=keys, zeros=zeros, domain="ai.onnx.ml")
    source = graph([encoder], {"x": ("N", 2)}, "y", types={"x": np.int64})
    known = np.resize(keys, (8, 2))
    for x in (known, np.where(known == keys[0], 2, known), 100 * known):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = convert(source, calibration=known).predict(x)
        try:
            wanted = runtime(source, {"x": x})[0]
        except Fail:
            assert caught
        else:
            assert np.array_equal(found, wanted) or (caught and x is not known)


@pytest.mark.parametrize("place", [1, 500, 998])
@pytest.mark.parametrize("batch", [1, 50, 1000])
def test_every_computed_index_is_looked_at(place: int, batch: int) -> None:
    model = convert(_computed(), check=False)
    x = np.full((1000, 2), 0.5)
    x[place, 1] = 5.0
    with pytest.warns(FidelityWarning, match="values are not the index of a row") as caught:
        for start in range(0, len(x), batch):
            model.predict(x[start : start + batch])
    assert len(caught) == 1


@pytest.mark.parametrize(("limits", "noted"), [((0, 8), False), ((-9, 8), False), ((-10, 8), True), ((-9, 9), True)])
def test_indices_that_cannot_lie_outside_are_not_noted(limits: tuple[float, float], noted: bool) -> None:
    model = convert(_computed(limits), check=False)
    assert any("looks rows up by" in note for note in model.notes) is noted


def test_fractions_of_integers_are_told() -> None:
    """As of a quantized file, to which somebody gives numbers in place of codes."""
    nodes = [node("DequantizeLinear", "c s z", "x"), node("Mul", "x k", "y")]
    stored = {"k": np.float32(0.37), "s": np.float32(1 / 64), "z": np.uint8(3)}
    model = convert(graph(nodes, {"c": ("n", 2)}, "y", stored, types={"c": np.uint8}))
    with pytest.warns(InputRangeWarning, match=r"input 'c': 1 values have fractions.*round\(x / scale\) \+ zero_point"):
        model.predict(np.array([[0.5, 3.0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(np.array([[7.0, 3.0]]))


@pytest.mark.parametrize("width", [None, 32])
def test_single_codes_are_told_where_inputs_alone_are_rounded(width: int | None) -> None:
    """One of 256 is less than a hundredth of the range. The precision that the warning asks for makes all of them right."""
    nodes = [node("Add", "u v", "p"), node("QuantizeLinear", "p s z", "c"), node("DequantizeLinear", "c s z", "y")]
    stored = {"s": np.float32(1 / 32), "z": np.int8(0)}
    rng = np.random.default_rng(0)
    u, v = (np.round(rng.uniform(-1.9, 1.9, (60, 8)) * 32) / 32 for _ in range(2))
    u[7, 0], v[7, 0] = 1 / 64 + 2.0**-17, 0.0  # steps of auto make a tie of it
    u, v = np.float32(u), np.float32(v)
    formats = {name: {"Precision": f"fixed<{width},8>"} for name in "uv"}
    proto = graph(nodes, {"u": ("n", 8), "v": ("n", 8)}, "y", stored)
    model = convert(proto, config=None if width is None else {"LayerName": formats})
    wanted = InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"u": u, "v": v})
    if width is None:
        with pytest.warns(FidelityWarning, match="The steps of input '[uv]' .* are coarse .* a precision"):
            assert np.any(model.predict([u, v]) != wanted[0])
    else:
        np.testing.assert_array_equal(model.predict([u, v]), wanted[0])
