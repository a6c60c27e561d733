"""What a converted model computes, and what predict says about its inputs."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.devices.ecp5 import ECP5
from bitsmith.errors import InputDataError
from tests.system.examples import MODELS, digits, three_layer


def float_reference(model: bitsmith.Model, x: np.ndarray) -> np.ndarray:
    return model.network.evaluate([x.astype(np.float64)])[model.network.outputs[0]]


def test_shipped_networks_keep_their_accuracy(tmp_path: Path) -> None:
    for build, name in ((three_layer, "bitsmith_3layer_test.npz"), (digits, "digits_test.npz")):
        model, x = build(tmp_path)
        labels = np.load(MODELS / name)["labels"]
        fixed = np.asarray(model.predict(x))
        accuracy = np.mean(fixed.argmax(1) == labels)
        assert accuracy > np.mean(float_reference(model, x).argmax(1) == labels) - 0.01


def test_auto_precision_agrees_with_the_float_model(tmp_path: Path) -> None:
    model, _ = three_layer(tmp_path, config=None)
    x = np.random.default_rng(7).standard_normal((20_000, 16))
    agreement = np.mean(np.asarray(model.predict(x)).argmax(1) == float_reference(model, x).argmax(1))
    assert agreement >= 0.999


def test_calibration_narrows_and_keeps_accuracy(tmp_path: Path) -> None:
    x = np.random.default_rng(7).standard_normal((5_000, 16)) / 8
    plain, _ = three_layer(tmp_path, config=None)
    calibrated, _ = three_layer(tmp_path, config=None, calibration=x)
    assert not calibrated.notes and plain.notes
    assert np.mean(np.asarray(calibrated.predict(x)).argmax(1) == float_reference(calibrated, x).argmax(1)) >= 0.999
    widths = [sum(int(node.type.width.max()) for node in model.program.nodes) for model in (calibrated, plain)]
    assert widths[0] < widths[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8])
def test_any_real_dtype(tmp_path: Path, dtype: type) -> None:
    model, _ = digits(tmp_path)
    x = np.random.default_rng(0).integers(0, 2, (5, 64))
    np.testing.assert_array_equal(model.predict(x.astype(dtype)), model.predict(x.astype(np.float64)))


def test_a_model_that_has_predicted_is_copied_and_pickled(tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    expected = model.predict(x[:5])
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copied.predict(x[:5]), expected)


@pytest.mark.parametrize("samples", [0, 1, 3, 5000])
def test_any_batch_size(tmp_path: Path, samples: int) -> None:
    model, x = digits(tmp_path)
    batch = np.resize(x, (samples, 64))
    result = np.asarray(model.predict(batch))
    assert result.shape == (samples, 10)
    if samples:
        np.testing.assert_array_equal(result[-1:], model.predict(batch[-1:]))


def test_values_outside_the_input_type_are_counted(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    x = np.zeros((2, 64))
    x[0, :3] = 5.0
    said = r"3 values lie outside 0\.\.1\.9375; SAT applies \(.*\); give such samples as calibration, or the input a precision"
    with pytest.warns(bitsmith.InputRangeWarning, match=said):
        model.predict(x)


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 63)),
        np.zeros(63),
        np.zeros((2, 64), dtype=complex),
        np.full((1, 64), np.nan),
        [np.zeros((1, 64))] * 2,
        [[1.0, 2.0], [3.0]],
        3.0,
        np.zeros((2, 64), dtype="M8[s]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path: Path, x: object) -> None:
    model, _ = digits(tmp_path)
    with pytest.raises(InputDataError):
        model.predict(x)  # type: ignore[arg-type]
    with pytest.raises(InputDataError):
        digits(tmp_path, calibration=x)


def test_a_build_without_samples_is_refused(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    with pytest.raises(InputDataError, match="no samples"):
        model.build(synth=False, inputs=np.zeros((0, 64)))


def test_the_least_value_of_a_symmetric_input_type_is_said(tmp_path: Path) -> None:
    config = {"LayerName": {"input_1": {"Precision": {"result": "fixed<4,4,TRN,SAT_SYM>"}}}}
    model, _ = three_layer(tmp_path, config=config)
    with pytest.warns(bitsmith.InputRangeWarning, match=r"80 values lie outside -7\.\.7; SAT_SYM"):
        model.predict(np.where(np.arange(160) % 2, -8.0, np.random.default_rng(0).uniform(0, 1, 160)).reshape(10, 16))


def test_trace_gives_every_layer_by_name(tmp_path: Path) -> None:
    model, x = digits(tmp_path)
    outputs, layers = model.trace(x[:50])
    np.testing.assert_array_equal(outputs, model.predict(x[:50]))
    assert list(layers) == ["pixels", "fc1", "fc1_relu", "fc2", "fc2_relu", "output", "output_softmax"]
    reference = model.network.evaluate([x[:50].astype(np.float64)])
    assert all(layers[name].shape == reference[name].shape for name in layers)
    np.testing.assert_array_equal(layers["pixels"], x[:50])
    np.testing.assert_allclose(layers["fc1"], reference["fc1"], atol=1e-12)


def test_the_quick_start_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert {"bitsmith_3layer.json", "digits.keras"} <= set(bitsmith.utils.fetch_example_list())
    config = bitsmith.utils.fetch_example_model("bitsmith_3layer.json")
    model = bitsmith.converters.keras_to_hls(config)
    model.compile()
    assert model.output_dir.name == "my-hls-test" and not model.output_dir.exists()
    made = bitsmith.utils.config_from_keras_model("bitsmith_3layer.json", granularity="name")
    again = bitsmith.converters.convert_from_keras_model("bitsmith_3layer.json", hls_config=made)
    assert np.asarray(again.predict(np.zeros((1, 16)))).shape == (1, 5)


@pytest.mark.parametrize("low,high", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-3.7, 0.2)])
def test_calibration_data_lie_within_the_calibrated_input_type(tmp_path: Path, low: float, high: float) -> None:
    x = np.random.default_rng(0).uniform(low, high, (200, 64))
    x[0], x[1] = low, high
    model, _ = digits(tmp_path, config=None, calibration=x)
    model.predict(x)  # a warning would be an error here
    _, layers = model.trace(x)
    assert np.max(np.abs(layers["pixels"] - x)) <= 2.0**-15 * max(abs(low), abs(high))


def test_the_clock_of_a_project_goes_before_the_default(tmp_path: Path) -> None:
    default, _ = three_layer(tmp_path)
    assert default.target.clock_period_ns == ECP5.clock_period_ns
    chosen, _ = three_layer(tmp_path, clock_period=ECP5.clock_period_ns + 1, clock_uncertainty=0)
    assert (chosen.target.clock_period_ns, chosen.target.clock_uncertainty) == (ECP5.clock_period_ns + 1, 0)
