"""Without calibration data results are right for inputs of any usual scale, or there is a warning."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers
from onnx import ModelProto, TensorProto, helper, numpy_helper

import bitsmith
from bitsmith import FidelityWarning, InputRangeWarning, Model, convert
from bitsmith.errors import FidelityError
from bitsmith.fidelity import predictions
from bitsmith.fidelity.scales import USUAL, _drawn
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.merge import Concatenate
from bitsmith.layers.network import Network, NetworkNode
from tests.fidelity.random_layers import KINDS, made
from tests.fidelity.scales import SCALES, Outcome, drawn, outcome, outcome_beside, outcomes


@pytest.mark.parametrize(("kind", "scale"), [("dense", 0.01), ("merge", 0.01), ("conv 1d", 1.0), ("rescaling", 255.0)])
def test_a_random_model(kind: str, scale: float) -> None:
    assert outcome(made(kind, 1), scale, 1) in (Outcome.RIGHT, Outcome.WARNED)


def test_saturated_inputs_that_change_no_output_are_no_reason_to_warn() -> None:
    assert outcome(made("classifier", 10), 255.0, 10) is Outcome.RIGHT


def _judged(kind: str, count: int) -> None:
    found = outcomes(kind, count)
    by_outcome = {each: sum(number for (_, what), number in found.items() if what is each) for each in Outcome}
    assert not by_outcome[Outcome.SILENT], found
    assert by_outcome[Outcome.FALSE_ALARM] <= 0.01 * by_outcome[Outcome.RIGHT], found


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["functions", "normalization", "recurrent"])
def test_some_random_models(kind: str) -> None:
    _judged(kind, 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_random_models(kind: str) -> None:
    _judged(kind, 20)


STEP = 0.3367


def coded(seed: int, step: float | None = None) -> ModelProto:
    """A chain of dense layers with coarse codes between them, in integer weights; the input has codes if they have a ``step``."""
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(6, 24, rng.integers(3, 5))]
    stored, nodes, value = [], [], "x"
    if step is not None:
        stored = [numpy_helper.from_array(np.float32(step), "step"), numpy_helper.from_array(np.int8(0), "zero")]
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["c"]),
            helper.make_node("DequantizeLinear", ["c", "step", "zero"], ["v"]),
        ]
        value = "v"
    for number, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        weights = np.clip(np.rint(rng.normal(0.0, 50.0, (rows, columns))), -127, 127).astype(np.int8)
        constants = {
            "w": weights,
            "s": np.float32(2.0 ** rng.integers(-8, -6)),
            "q": np.float32(2.0 ** -rng.integers(1, 4)),
        }
        constants |= {"b": rng.normal(0.0, 0.2, columns).astype(np.float32), "z": np.uint8(0)}
        inner = number < len(sizes) - 2
        used = constants if inner else "wsb"
        stored += [numpy_helper.from_array(np.asarray(constants[name]), f"{name}{number}") for name in used]
        steps = [
            ("DequantizeLinear", [f"w{number}", f"s{number}"], f"k{number}"),
            ("MatMul", [value, f"k{number}"], f"m{number}"),
            ("Add", [f"m{number}", f"b{number}"], f"a{number}" if inner else "y"),
            ("QuantizeLinear", [f"a{number}", f"q{number}", f"z{number}"], f"c{number}"),
            ("DequantizeLinear", [f"c{number}", f"q{number}", f"z{number}"], f"v{number}"),
        ]
        nodes += [helper.make_node(kind, inputs, [output]) for kind, inputs, output in steps[: 5 if inner else 3]]
        value = f"v{number}"
    graph = helper.make_graph(
        nodes,
        "coded",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", sizes[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", sizes[-1]])],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _coded_outcome(seed: int, scale: float, step: float | None = None) -> Outcome:
    model = coded(seed, step)
    options = onnxruntime.SessionOptions()
    # Its optimizer rounds what integer weights are multiplied with to 8 bits, which the file does not say.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = drawn((model.graph.input[0].type.tensor_type.shape.dim[1].dim_value,), scale, seed)
    return outcome_beside(model, x, np.asarray(session.run(None, {"x": x})[0], dtype=np.float64))


@pytest.mark.parametrize(
    ("seed", "scale", "became"), [(17, 1.0, Outcome.RIGHT), (9, 1.0, Outcome.RIGHT), (13, 0.01, Outcome.WARNED)]
)
def test_single_codes_are_not_lost_silently(seed: int, scale: float, became: Outcome) -> None:
    assert _coded_outcome(seed, scale) is became


def test_a_single_code_of_thousands_is_kept() -> None:
    """Of so many features that no steps of 24 bits decide all of them as the model does."""
    step = float(np.float32(0.4048))
    grid = [numpy_helper.from_array(np.float32(step), "s"), numpy_helper.from_array(np.int8(0), "z")]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["c"]),
        helper.make_node("DequantizeLinear", ["c", "s", "z"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 200]) for name in "xy"]
    graph = helper.make_graph(nodes, "codes", ports[:1], ports[1:], grid)
    model = convert(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    above = step * (np.arange(30) + 0.501)
    own = model.network.input("x").own_grid
    assert own is not None
    rounded = np.rint(above / float(own.scale.max())) * float(own.scale.max())
    x = step * np.random.default_rng(0).integers(-30, 31, (40, 200))
    expected = model.predict(x)
    (code,) = np.flatnonzero(rounded < step * (np.arange(30) + 0.5))[:1]
    x[7, 9], expected[7, 9] = above[code], step * (code + 1)
    np.testing.assert_array_equal(model.predict(x), expected)


@pytest.mark.parametrize(("seed", "scale"), [(4, 1.0), (9, 1.0), (12, 40.0)])
def test_near_ties_of_an_input_in_steps_of_any_scale_are_decided_as_the_model_does(seed: int, scale: float) -> None:
    assert _coded_outcome(seed, scale, STEP) is Outcome.RIGHT


def test_near_ties_have_their_codes_whatever_range_calibration_data_have() -> None:
    net = coded(4, STEP)
    x = drawn((net.graph.input[0].type.tensor_type.shape.dim[1].dim_value,), 1.0, 4)
    right = convert(net).predict(x)
    wide = {"LayerName": {"x": {"Precision": "fixed<32,8,RND,SAT>"}}}
    for config in (None, wide):
        np.testing.assert_allclose(convert(net, config=config, calibration=40.0 * x).predict(x), right, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
def test_codes_of_random_models(scale: float) -> None:
    found = Counter(_coded_outcome(seed, scale) for seed in range(40))
    assert not found[Outcome.SILENT], found
    assert not found[Outcome.FALSE_ALARM], found


def kinked(slope: float) -> keras.Model:
    """``slope * relu(x - 1) + x / 10``: what generated inputs make of it hides what inputs below 1 do."""
    model = keras.Sequential([layers.Input((1,)), layers.Dense(2, "relu"), layers.Dense(1)])
    weights = ([[slope, 1.0]], [-slope, 0.0], [[1.0], [0.1]], [0.0])
    model.set_weights([np.array(each) for each in weights])
    return model


BELOW_1 = np.random.default_rng(0).uniform(0.0, 1.0, (200, 1))


def test_steps_are_finer_where_inputs_from_0_to_1_need_it() -> None:
    model = convert(kinked(300.0), strict=True)
    assert any("Finer steps, by " in note and "bits for results" in note for note in model.notes)
    np.testing.assert_allclose(model.predict(BELOW_1), 0.1 * BELOW_1, atol=5e-4)
    assert not any("Finer steps, by " in note for note in convert(kinked(3.0)).notes)


def test_what_finer_steps_cannot_mend_is_warned_of_once() -> None:
    with pytest.warns(
        FidelityWarning, match=r"without calibration data .* from 0 to 1.*: give samples as calib"
    ) as told:
        model = convert(kinked(3e5))
    assert len(told) == 1 and "% (at worst " in model.fidelity.summary
    with pytest.raises(FidelityError, match="without calibration data"):
        convert(kinked(3e5), strict=True)
    with pytest.warns(FidelityWarning, match="no format is chosen by it: give the file as calibration, too"):
        convert(kinked(3e5), input_data_tb="tb_input.npy")
    convert(kinked(3e5), calibration=BELOW_1, strict=True)


def small() -> keras.Model:
    model = keras.Sequential([layers.Input((4,)), layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[1.3], [-0.7], [0.4], [0.9]])])
    return model


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_integers_beyond_those_that_a_model_declares_are_told_whatever_outputs_show(kind: str) -> None:
    """Of numbers that change no output nothing is said."""
    model = keras.Sequential([layers.Input((4,), dtype=kind, name="x"), layers.Dense(3, "sigmoid"), layers.Dense(1)])
    model.set_weights([np.full((4, 3), 0.02), np.full(3, 1e4), np.array([[1.3], [-0.7], [0.4]]), np.zeros(1)])
    config = {} if kind == "int8" else {"LayerName": {"x": {"Precision": "fixed<8,8,RND,SAT>"}}}
    circuit = convert(model, config=config, check=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        circuit.predict(np.array([[1.0, 2.0, 3.0, 200.0]]))
    assert [each.category for each in caught] == [InputRangeWarning] * (kind == "int8")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [TensorProto.UINT32, TensorProto.UINT64, TensorProto.INT32])
def test_generated_integers_are_those_of_their_type(kind: int) -> None:
    """onnxruntime wraps negative ones that become unsigned."""
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "half"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(*each, [None, 4]) for each in (("x", kind), ("y", TensorProto.FLOAT))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(np.float32(0.5), "half")])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    x = np.array([[0, 1, 2, 3]], dtype=helper.tensor_dtype_to_np_dtype(kind))
    (wanted,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    np.testing.assert_array_equal(convert(proto).predict(x), wanted)


@pytest.mark.parametrize("index", [-1.0, 20.0])
def test_indices_beyond_the_vocabulary_are_told(index: float) -> None:
    model = keras.Sequential([layers.Input((3,), dtype="int32"), layers.Embedding(10, 2), layers.Flatten()])
    with pytest.warns(InputRangeWarning, match="1 values are not the index of a row"):
        convert(model).predict(np.array([[1.0, index, 3.0]]))


@pytest.mark.parametrize("count", [1, 20, 1000])
@pytest.mark.parametrize(("bias", "changed"), [(0.0, True), (1e4, False)])
def test_values_outside_are_told_where_an_output_shows_them(count: int, bias: float, changed: bool) -> None:
    """Also single values among many samples, and in each call."""
    model = keras.Sequential([layers.Input((4,), name="x"), layers.Dense(3, "sigmoid"), layers.Dense(1)])
    model.set_weights([np.full((4, 3), 0.02), np.full(3, bias), np.array([[1.3], [-0.7], [0.4]]), np.zeros(1)])
    circuit, x = convert(model, config={"LayerName": {"x": {"Precision": "fixed<16,6,RND,SAT>"}}}), data(1.0, count)
    x[-1, 2] = 90.0
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            circuit.trace(x)
            circuit.predict(x)
        told = [each for each in caught if issubclass(each.category, InputRangeWarning)]
        assert len(told) == 2 * changed == len(caught)  # and nothing else of the same values


def data(scale: float, count: int = 100) -> Floats:
    return np.random.default_rng(1).uniform(-scale, scale, (count, 4))


@pytest.mark.parametrize("count", [3, 100])
def test_predictions_of_small_inputs_warn_once(count: int, tmp_path: Path) -> None:
    model = convert(small(), strict=True)
    model.predict(data(1.0, count))
    with pytest.warns(FidelityWarning, match=r"The steps of input .* coarse for values within \+-0.00.*calibration"):
        model.predict(data(0.003, count))
    model.predict(data(0.002, count))
    model.save(tmp_path / "saved")
    with pytest.warns(FidelityWarning, match="coarse for values"):
        Model.load(tmp_path / "saved").predict(data(0.003, count))


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-150, 1e-40, 1e-30, 1e30])
def test_calibration_data_of_any_scale_are_no_fault_of_the_model(scale: float) -> None:
    """Numbers below those of single precision are nearly 0; of others results are right to a share of their range."""
    net = keras.Sequential([layers.Input((4,)), layers.Dense(5, "relu"), layers.Dense(2)])
    x = data(scale)
    model = convert(net, calibration=x, strict=True)
    if scale >= 1e-30:
        wanted = np.asarray(net(x.astype(np.float32)), np.float64)
        assert np.abs(np.asarray(model.predict(x)) - wanted).max() <= 1e-3 * float(np.abs(wanted).max())


def test_predictions_of_large_networks_show_the_range_of_their_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros, which stand in for samples where few are compared, would hide here what small inputs make."""
    monkeypatch.setattr(predictions, "_ELEMENTS", 1)
    net = keras.Sequential([layers.Input((1,)), layers.Dense(1)])
    net.set_weights([np.array([[1.3]]), np.array([0.2])])
    model = convert(net, strict=True)
    with pytest.warns(FidelityWarning, match=r"\(on 32 samples of this prediction\).*coarse for values"):
        model.predict(np.linspace(0.009, 0.01, 32)[:, None])


def test_predictions_of_what_was_made_of_models_warn(tmp_path: Path) -> None:
    """Of parts, of several as one, of models with other weights; none of what was off before."""
    net = keras.Sequential([layers.Input((4,)), layers.Dense(5, "relu", name="a"), layers.Dense(2, name="b")])
    loaded = {"LayerName": {"a": {"Weights": "reloadable"}}}
    whole, model = (convert(net, config=loaded, calibration=data(1.0), strict=True) for _ in range(2))
    parts = bitsmith.split(whole, ["a_relu"], tmp_path)
    wires = {"second.a_relu": "first.a_relu"}
    joined = bitsmith.compose({"first": parts[0], "second": parts[1]}, wires, tmp_path)
    model.load_weights("a", kernel=np.random.default_rng(3).uniform(-0.5, 0.5, (4, 5)))
    model.save(tmp_path / "loaded.json")
    for one in (parts, parts[0], joined, model, Model.load(tmp_path / "loaded.json")):
        one.predict(data(1.0))
        with pytest.warns(FidelityWarning, match="as calibration"):
            one.predict(data(0.001))
        one.predict(data(0.001))
    parts[1].predict(np.asarray(parts[0].predict(data(1.0))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FidelityWarning)
        wrong = convert(net, config={"LayerName": {"a": {"Precision": "fixed<3,2>"}}}, calibration=data(1.0))
    assert wrong.fidelity.problems
    bitsmith.split(wrong, ["a_relu"], tmp_path)[0].predict(data(0.001))


def test_single_samples_are_gathered() -> None:
    model = convert(small(), strict=True)
    with pytest.warns(FidelityWarning, match="coarse for values") as told:
        for each in data(0.003, 40):
            model.predict(each[None])
    assert len(told) == 1


def test_predictions_beyond_the_scale_of_calibration_data_warn() -> None:
    pixels = np.rint(np.abs(data(255.0)))
    model = convert(small(), calibration=pixels, strict=True)
    model.predict(pixels)
    with pytest.warns(FidelityWarning, match=r"The steps of input .* \(ufixed<8,8,RND,SAT>\) are coarse"):
        model.predict(np.abs(data(1.0)))


def test_summary_says_which_scales_are_off() -> None:
    certificate = convert(small()).fidelity
    assert [each.inputs for each in certificate.scales if each.wrong] == ["-0.01 to 0.01", "0 to 255"]
    assert "from -0.01 to 0.01" in certificate.summary and not certificate.message
    assert type(certificate).of_document(certificate.document(), "here") == certificate
    assert convert(small(), calibration=data(1.0)).fidelity.scales == ()
    assert convert(small(), config={"Model": {"Precision": "fixed<16,6>"}}).fidelity.scales == ()


FEATURES = np.array([1000.0, 0.001, 1.0, 5.0, 80.0]), np.array([5000.0, 0.01, -3.0, 0.0, 100.0])


def normalizing(kind: str) -> keras.Model:
    """Layers that state the scale of five features."""
    spread, mean = FEATURES
    first: keras.Layer = layers.BatchNormalization()
    if kind == "normalization":
        first = layers.Normalization(mean=mean, variance=spread**2)
    model = keras.Sequential([layers.Input((5,)), first, layers.Dense(6, "relu"), layers.Dense(2)])
    if kind == "batch normalization":
        first.moving_mean.assign(mean)
        first.moving_variance.assign(spread**2)
    return model


@pytest.mark.parametrize("kind", ["normalization", "batch normalization"])
def test_normalizations_at_inputs_are_believed(kind: str) -> None:
    spread, mean = FEATURES
    x = np.random.default_rng(2).standard_normal((100, 5)) * spread + mean
    model = normalizing(kind)
    circuit = convert(model, strict=True)
    assert circuit.program.input_ops()[0].frac.size == 5
    wanted = np.asarray(model(x.astype(np.float32)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = circuit.predict(x)
    assert np.abs(found - wanted).max() < 2e-3 * np.ptp(wanted)


@pytest.mark.parametrize("rescaling", [(1 / 255, 0.0), (1 / 127.5, -1.0)])
def test_rescaled_pixels_are_believed(rescaling: tuple[float, float]) -> None:
    scale, offset = rescaling
    model = keras.Sequential(
        [
            layers.Input((5, 5, 2)),
            layers.Rescaling(scale, offset),
            layers.Conv2D(3, 3),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    x = np.random.default_rng(3).uniform(0, 255, (50, 5, 5, 2)).astype(np.float32)
    wanted = np.asarray(model(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = convert(model, strict=True).predict(x)
    assert np.abs(found - wanted).max() < 2e-3 * np.ptp(wanted)


@pytest.mark.parametrize("operators", [("Sub", "Div"), ("Sub", "Mul"), ("Mul", "Add")])
def test_scales_of_onnx_graphs_are_believed(operators: tuple[str, str]) -> None:
    """As exporters write a standardization of images, channels first."""
    shape, deviation = (1, 3, 4, 4), np.array([58.0, 57.0, 61.0])
    mean = np.array([123.0, 116.0, 103.0])
    values = {"Sub": mean, "Div": deviation, "Mul": 1 / deviation, "Add": -mean / deviation}
    constants = [values[name].reshape(3, 1, 1).astype(np.float32) for name in operators]
    kernel = np.random.default_rng(4).normal(0, 0.2, (48, 3)).astype(np.float32)
    nodes = [
        helper.make_node(operators[0], ["x", "c0"], ["a"]),
        helper.make_node(operators[1], ["a", "c1"], ["b"]),
        helper.make_node("Flatten", ["b"], ["f"]),
        helper.make_node("MatMul", ["f", "k"], ["y"]),
    ]
    stored = [numpy_helper.from_array(x, name) for x, name in zip([*constants, kernel], ["c0", "c1", "k"], strict=True)]
    graph = helper.make_graph(
        nodes,
        "scaled",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        stored,
    )
    x = np.random.default_rng(5).uniform(0, 255, (50, *shape[1:]))
    wanted = ((x - mean.reshape(3, 1, 1)) / deviation.reshape(3, 1, 1)).reshape(50, -1) @ kernel.astype(np.float64)
    circuit = convert(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), check=False, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = circuit.predict(x)
    assert np.abs(found - wanted).max() < 2e-3 * np.ptp(wanted)


@pytest.mark.parametrize("integers", [(), (1,), (0, 2), (0, 1, 2)])
def test_inputs_of_which_something_is_known_are_drawn_beside_others(integers: tuple[int, ...]) -> None:
    inputs = [NetworkNode(f"x{k}", Input((k + 1,), integer=k in integers)) for k in range(3)]
    joined = NetworkNode("y", Concatenate(-1), ("x0", "x1", "x2"))
    network = Network((*inputs, joined), ("x0", "x1", "x2"), ("y",))
    found = dict(_drawn(network, USUAL))
    assert bool(found) == (len(integers) < 3)
    for batches in found.values():
        for k, batch in enumerate(batches):
            assert batch.shape == (len(batches[0]), k + 1) and np.ptp(batch) > 0
            assert bool((batch == np.rint(batch)).all()) == (k in integers)
