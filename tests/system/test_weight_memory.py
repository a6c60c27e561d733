"""A memory of weights, from the option to simulation, estimate and driver."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from zlib import crc32

import keras
import numpy as np
import pytest

import bitsmith
from bitsmith.errors import ConfigError, UnsupportedError
from bitsmith.report.sections import Latency, Verification
from tests.rtl.wrapped import load_driver_text
from tests.system.examples import MODELS, digits

IN_TURN: dict[str, Any] = {
    "config": None,
    "bits": 8,
    "io_type": "io_stream",
    "strategy": "shared",
    "reuse_factor": 512,
    "part": "xc7z020clg400-1",
    "weight_memory": "32 bits, 533 MHz, 200 ns, 75 %",
}


@pytest.mark.slow
@pytest.mark.ci
def test_a_build_takes_the_cycles_of_the_plan(tmp_path: Path) -> None:
    """The estimate and the report say what bounds the rate, and the image beside the driver is what it sends."""
    model, x = digits(tmp_path, **IN_TURN)
    report = model.build(synth=False)
    verified, latency = report.find(Verification), report.find(Latency)
    assert verified is not None and verified.mismatches == 0
    assert latency is not None and latency.ii == model.estimate().interval
    (engine,) = model.estimate().fetched
    assert str(engine) in str(model.estimate()) and str(engine) in " ".join(str(report).split())
    assert str(engine) in str(bitsmith.explain(MODELS / "digits.keras", **IN_TURN))
    (path,) = (tmp_path / "project" / "driver").glob("myproject_*_weights.bin")
    driver = load_driver_text(path.parent, (path.parent / "myproject.py").read_text())
    data = path.read_bytes()
    (about,) = driver.DESIGN["images"]
    assert (about["file"], about["crc"]) == (path.name, crc32(data))
    words = engine.biases + sum(layer.words for layer in engine.layers)
    assert len(data) == words * -(-engine.bits // 8)
    assert driver.pack([np.asarray(x[:2])])[-1] == data, "it is given once"


@pytest.mark.parametrize("memory", [IN_TURN["weight_memory"], None])
def test_the_report_has_all_layers_in_turn_as_planned(tmp_path: Path, memory: str | None) -> None:
    model, _ = digits(tmp_path, **IN_TURN | {"weight_memory": memory})
    report = model.build(synth=False, cosim=False)
    rows = report.rows("Engines")
    assert [row["Layer"] for row in rows] == ["fc1", "fc2", "output"]
    assert all(row["Engine"] == 1 and (row["WordCycles"] == 0) is (memory is None) for row in rows)
    for engine in model.estimate().fetched:
        assert [row["MemoryCycles"] for row in rows] == [layer.memory_cycles for layer in engine.layers]
        assert [row["MultiplierCycles"] for row in rows] == [layer.multiplier_cycles for layer in engine.layers]
        assert [row["Words"] for row in rows] == [layer.words for layer in engine.layers]
        assert {row["WordBits"] for row in rows} == {engine.bits}
    page = (tmp_path / "project" / "report.html").read_text()
    assert f"<title>fc1: {rows[0]['MultiplierCycles']} cycles" in page


@pytest.mark.slow
@pytest.mark.ci
def test_a_mobilenet_is_one_engine(tmp_path: Path) -> None:
    """Padding of its own, sums of tensors, and a mean in front of the classifier: as planned, and most multipliers are busy."""
    keras.utils.set_random_seed(0)
    made = keras.applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=10, classifier_activation=None)
    x = np.random.default_rng(0).random((16, 32, 32, 3))
    wanted = {**IN_TURN, "reuse_factor": 900, "part": "xczu7ev-ffvc1156-2-e"}
    model = bitsmith.convert(made, calibration=x, output_dir=tmp_path / "project", **wanted)
    report = model.build(synth=False)
    verified, latency = report.find(Verification), report.find(Latency)
    assert verified is not None and verified.mismatches == 0
    (engine,) = model.estimate().fetched
    assert len(engine.layers) == 64
    assert latency is not None and latency.ii == model.estimate().interval
    assert engine.busy > 0.6


@pytest.mark.slow
@pytest.mark.ci
def test_a_network_with_two_heads_is_three_engines(tmp_path: Path) -> None:
    """As YOLOv3-tiny: padding beside negative numbers, a map that is read again, and results that are copied out of a memory."""
    keras.utils.set_random_seed(0)
    layers = keras.layers

    def leaky(x: Any, filters: int, window: int) -> Any:
        return layers.LeakyReLU(negative_slope=0.125)(layers.Conv2D(filters, window, padding="same")(x))

    image = keras.Input((8, 8, 3))
    passed = leaky(image, 8, 3)
    x = layers.MaxPooling2D(2, 1, padding="same")(leaky(layers.MaxPooling2D(2)(passed), 16, 3))
    x = leaky(leaky(x, 32, 3), 24, 3)
    coarse = layers.Conv2D(21, 1)(leaky(x, 32, 3))
    x = layers.Concatenate()([layers.UpSampling2D(2)(leaky(x, 8, 1)), passed])
    made = keras.Model(image, [coarse, layers.Conv2D(21, 1)(leaky(x, 16, 3))])
    wanted = {**IN_TURN, "reuse_factor": 400, "part": "xczu7ev-ffvc1156-2-e"}
    frames = np.random.default_rng(0).random((16, 8, 8, 3))
    model = bitsmith.convert(made, calibration=frames, output_dir=tmp_path / "project", **wanted)
    report = model.build(synth=False)
    verified, latency = report.find(Verification), report.find(Latency)
    assert verified is not None and verified.mismatches == 0
    assert latency is not None and latency.ii == model.estimate().interval
    names = [[layer.name for layer in engine.layers] for engine in model.estimate().fetched]
    assert [len(each) for each in names] == [6, 3, 2]
    assert names[0][-1] == f"{names[0][-2]}_copy"


@pytest.mark.parametrize(
    ("arguments", "accepted"),
    [
        ({"backend": "vitis"}, "backend 'rtl'"),
        ({"io_type": "io_parallel"}, "io_type 'io_stream'"),
        ({"board": "de10-nano", "part": None}, "a board with a Zynq"),
        ({"board": "pynq-z2", "part": None, "backend": "vitis"}, "backend 'rtl'"),
        ({"weight_memory": "64 bits"}, "width, clock, latency and efficiency"),
    ],
)
def test_what_nothing_would_read_is_refused(tmp_path: Path, arguments: dict[str, Any], accepted: str) -> None:
    with pytest.raises(ConfigError, match=r"WeightMemory|weight_memory") as caught:
        digits(tmp_path, **IN_TURN | arguments)
    assert accepted in str(caught.value)


def test_a_memory_without_layers_in_turn_is_told_to_be_unused(tmp_path: Path) -> None:
    model, _ = digits(tmp_path, **IN_TURN | {"strategy": "resource"})
    assert any("WeightMemory holds no weights" in note for note in model.notes)
    assert model.estimate().fetched == ()


@pytest.mark.slow
@pytest.mark.ci
def test_too_few_cycles_for_layers_in_turn_are_said_with_the_factor_that_mends_it(tmp_path: Path) -> None:
    model, _ = digits(tmp_path, **IN_TURN | {"reuse_factor": 1})
    told = str(model.estimate())
    (reuse,) = re.findall(r"side by side.*ReuseFactor: (\d+)", told, re.DOTALL)
    assert "side by side" in str(bitsmith.explain(MODELS / "digits.keras", **IN_TURN | {"reuse_factor": 1}))
    with pytest.raises(UnsupportedError, match="ReuseFactor"):
        model.build(synth=False)
    mended, _ = digits(tmp_path / "mended", **IN_TURN | {"reuse_factor": int(reuse)})
    assert len(mended.estimate().fetched) == 1 and "side by side" not in str(mended.estimate())
