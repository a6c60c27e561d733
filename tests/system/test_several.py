"""Several inputs and outputs, live Keras models, and configurations from files, through the public calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import bitsmith
from bitsmith.errors import InputDataError, UnsupportedError
from tests.system.keras2 import write_dense


@pytest.fixture(scope="module")
def branched() -> object:
    """A live Keras 3 model with two inputs of different rank, shared and nested layers, branches and two outputs."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(3)
    layers = keras.layers
    left, right = layers.Input((4,), name="left"), layers.Input((3, 4), name="right")
    shared = layers.Dense(4, activation="tanh", name="shared")
    a, b = shared(left), shared(right)
    inner = keras.Sequential([layers.Input((12,)), layers.Dense(4, activation="relu", name="inner")], name="nested")
    c = inner(layers.Flatten(name="flat")(b))
    joined = layers.Concatenate(name="joined")([layers.Add(name="sum")([a, c]), layers.Maximum(name="most")([a, c])])
    return keras.Model(
        [left, right],
        [layers.Dense(3, activation="softmax", name="classes")(joined), layers.Average(name="mean")([a, c, left])],
    )


def reference(model: object, inputs: list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(y) for y in model(inputs)]  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.ci
def test_a_live_model_with_branches_predicts_traces_and_builds(branched: object, tmp_path: Path) -> None:
    model = bitsmith.convert(branched, tmp_path / "project")  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((200, 4)).astype(np.float32), rng.standard_normal((200, 3, 4)).astype(np.float32)]
    outputs = model.predict(inputs)
    assert isinstance(outputs, list)
    for fixed, floating in zip(outputs, reference(branched, inputs), strict=True):
        assert fixed.shape == floating.shape
        np.testing.assert_allclose(fixed, floating, atol=3e-3)
    _, layers = model.trace(inputs)
    assert {"left", "right", "shared", "inner", "joined", "classes", "mean"} <= set(layers)
    report = model.build(synth=False, inputs=inputs)
    assert report.section("Verification")["Mismatches"] == 0


def test_wrong_numbers_of_inputs_are_refused(branched: object, tmp_path: Path) -> None:
    model = bitsmith.convert(branched, tmp_path / "project")  # type: ignore[arg-type]
    for wrong in ([np.zeros((2, 4))], np.zeros((2, 4)), [np.zeros((2, 4)), np.zeros((3, 3, 4))]):
        with pytest.raises(InputDataError):
            model.predict(wrong)  # type: ignore[arg-type]


def test_inputs_have_names(branched: object, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    named = {"right": rng.standard_normal((20, 3, 4)), "left": rng.standard_normal((20, 4))}
    model = bitsmith.convert(branched, tmp_path / "project", calibration=named)  # type: ignore[arg-type]
    for got, wanted in zip(model.predict(named), model.predict([named["left"], named["right"]]), strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.raises(InputDataError, match="'left', 'right'"):
        model.predict({"left": named["left"], "wrong": named["right"]})


def test_calibration_of_several_inputs(branched: object, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = [rng.uniform(0, 1, (300, 4)), rng.uniform(-1, 1, (300, 3, 4))]
    model = bitsmith.convert(branched, tmp_path / "project", calibration=data)  # type: ignore[arg-type]
    for fixed, floating in zip(model.predict(data), reference(branched, data), strict=True):
        np.testing.assert_allclose(fixed, floating, atol=2e-3)


def test_configuration_and_project_from_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    path = write_dense(tmp_path, [rng.standard_normal((4, 6)), rng.standard_normal((6, 3))], "net")
    hls_config = {
        "LayerName": {"x": {"Precision": "fixed<9,3,RND,SAT>"}, "fc1": {"Precision": {"weight": "fixed<5,2>"}}}
    }
    (tmp_path / "layers.yml").write_text(yaml.safe_dump(hls_config))
    whole = {"KerasJson": "net.json", "KerasH5": "net_weights.h5", "OutputDir": "out", "HLSConfig": hls_config}
    (tmp_path / "project.yml").write_text(yaml.safe_dump(whole))
    monkeypatch.chdir(tmp_path)
    one = bitsmith.convert(path, "out", "layers.yml")
    other = bitsmith.converters.keras_to_hls("project.yml")
    assert one.program == other.program
    assert one.get_input_variables()[0].type == "fixed<9,3,RND,SAT>"
    assert str(one.network.node("fc1").settings.precision["weight"]) == "fixed<5,2>"


def test_what_cannot_be_translated_is_listed_at_once(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 4)),
            layers.Reshape((4, 4, 2)),
            layers.RandomCrop(3, 3, name="first"),
            layers.RandomCrop(2, 2, name="second"),
            layers.Dense(2),
        ]
    )
    with pytest.raises(UnsupportedError) as caught:
        bitsmith.convert(model, tmp_path / "project")
    assert "first" in str(caught.value) and "second" in str(caught.value)
    assert not (tmp_path / "project").exists()
