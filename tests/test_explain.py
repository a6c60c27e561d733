"""Explanations: what becomes of a model, or all that stands against it, and never a file written."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

from bitsmith.conversion.explanation import explain
from bitsmith.devices.ecp5 import ECP5
from bitsmith.devices.parts import resolve_part
from bitsmith.errors import ConfigError, ModelFileError
from bitsmith.estimate.needs import fits
from bitsmith.estimate.size import estimate_layout
from tests.any_models import Sample, proto, samples
from tests.properties import few

_MODELS = Path(str(resources.files("bitsmith"))) / "data" / "models"


def _sequential(*layers: tuple[str, dict[str, object]]) -> str:
    """The JSON of a Keras 2 Sequential model on 4 inputs."""
    first: dict[str, object] = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "x"}}
    others = [
        {"class_name": kind, "config": {"name": f"layer{n}", **config}} for n, (kind, config) in enumerate(layers)
    ]
    return json.dumps(
        {
            "class_name": "Sequential",
            "config": {"name": "net", "layers": [first, *others]},
            "keras_version": "2.12.0",
            "backend": "tensorflow",
        }
    )


def _save_weights(path: Path, layer: str, kernel: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    """A Keras 2 weight file that holds one dense layer."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode()]
        group = file.create_group(layer)
        group.attrs["weight_names"] = [b"kernel:0"]
        group["kernel:0"] = kernel


def test_a_model_that_can_be_translated_has_layers_and_a_size() -> None:
    told = explain(_MODELS / "digits.keras", config=_MODELS / "digits.config.json")
    assert told.problems == ()
    assert told.model is not None
    assert [row.name for row in told.layers][:2] == ["pixels", "fc1"]
    assert told.estimate is not None
    assert str(told).startswith(str(told.model)) and f"about {told.estimate.size.lut:,} LUT" in str(told)
    assert told._repr_html_().startswith("<pre") and repr(told) == "<Explanation: 7 layers, 0 problems>"
    assert told.layers[0].result is not None
    assert told.layers[0].result.short == "u5"
    assert 100 < told.estimate.size.lut < 20_000


def test_all_layers_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    file = tmp_path / "net.json"
    file.write_text(
        _sequential(("Lambda", {}), ("Dense", {"units": 2, "use_bias": False}), ("ConvLSTM3D", {"filters": 2}))
    )
    _save_weights(tmp_path / "net_weights.h5", "layer1", np.ones((4, 2), dtype=np.float32))
    told = explain(file)
    assert told.model is None
    text = "\n".join(map(str, told.problems))
    assert "layer0" in text
    assert "layer2" in text
    assert str(told).startswith("These cannot be translated:") and text.splitlines()[0] in str(told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.json", "net_weights.h5"]


def test_all_layers_whose_numbers_grow_too_wide_are_named() -> None:
    widest = {"Precision": {"result": "fixed<512,2>"}}
    config = {"LayerName": {"pixels": widest, "fc1_relu": widest}}
    told = explain(_MODELS / "digits.keras", config=config)
    assert [problem.where for problem in told.problems] == ["layer 'fc1'", "layer 'fc2'"]
    found = {row.name: row.result for row in told.layers}
    assert found["fc1"] is None
    assert found["output"] is not None


def test_wrong_arguments_and_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        explain(_MODELS / "digits.keras", part="nonsense")
    with pytest.raises(ModelFileError):
        explain(tmp_path / "nothing.keras")
    with pytest.raises(ModelFileError, match="config="):
        explain(_MODELS / "digits.keras", {"Model": {"ReuseFactor": 4}})  # type: ignore[arg-type]


def test_calibration_data_give_ranges() -> None:
    images = np.load(_MODELS / "digits_test.npz")["inputs"]
    told = explain(_MODELS / "digits.keras", calibration=images)
    assert told.layers[0].declared == "ufixed<5,1,RND,SAT>", "pixels are multiples of 1/16 from 0 to 1"


@pytest.mark.slow
@pytest.mark.ci
def test_what_does_not_fit_gets_reuse_factors_that_do() -> None:
    config = {"Model": {"Precision": "ap_fixed<18,6>"}}
    told = explain(_MODELS / "bitsmith_3layer.json", _MODELS / "bitsmith_3layer_weights.h5", config, part="LFE5U-12F")
    assert told.estimate is not None and told.estimate.size.lut > 9_000 and not told.estimate.fits
    assert told.proposal is not None
    assert f"Circuit as configured: {told.estimate}\nEstimated to fit" in str(told)
    fit, part = told.proposal.fit, resolve_part("LFE5U-12F")
    assert fits(fit.size, part) and fit.size.dsp <= 28
    assert 1 < told.proposal.interval <= max(fit.reuse.values())
    assert told.proposal.latency > told.proposal.interval
    assert told.proposal.document()["ReuseFactor"] == fit.reuse
    assert all(str(factor) in fit.description for factor in fit.reuse.values())


@few("io_type", ["io_stream", "io_parallel"], fast=1, judged=True)
def test_the_size_is_that_of_a_build_at_the_clock(io_type: str) -> None:
    """A faster clock wants more registers, in tokens as well."""
    sizes: list[int] = []
    for period in (40.0, 6.0):
        told = explain(
            *(_MODELS / "digits.keras", None, _MODELS / "digits.config.json"), clock_period=period, io_type=io_type
        )
        assert told.model is not None and told.estimate is not None
        given = told.model.target.budget_ns(ECP5)
        assert told.estimate.size == estimate_layout(told.model.program, told.model.directives, ECP5, given)
        sizes.append(told.estimate.size.ff)
    assert sizes[0] < sizes[1]


def test_what_fits_gets_no_proposal() -> None:
    told = explain(_MODELS / "digits.keras", config=_MODELS / "digits.config.json")
    assert told.estimate is not None and told.estimate.fits and told.proposal is None
    assert str(told).endswith(f"Circuit as configured: {told.estimate}") and "): fits LFE5U" in str(told)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    return samples(tmp_path_factory.mktemp("models"))


def test_models_of_all_frameworks_are_explained(everything: dict[str, Sample]) -> None:
    for kind, sample in everything.items():
        told = explain(sample.model, input_shape=sample.input_shape)
        assert told.problems == (), kind
        assert tuple(row.name for row in told.layers) == sample.names, kind
        assert told.estimate is not None and told.estimate.size.lut > 0, kind


class _Fourier(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mode(x, 1)[0] + torch.fft.rfft(x).abs().sum()


def test_what_cannot_be_read_is_told_for_all_frameworks() -> None:
    told = explain(_Fourier(), input_shape=(4,))
    assert "mode (mode" in str(told.problems[0]) and "fft_rfft" in str(told.problems[0])
    model = proto()
    model.graph.node[0].CopyFrom(helper.make_node("Mystery", ["input"], ["hidden"], name="first"))
    told = explain(model)
    assert told.model is None and "first" in str(told.problems[0])


def test_numbers_that_grow_too_wide_are_told_for_all_frameworks(everything: dict[str, Sample]) -> None:
    for kind, sample in everything.items():
        config = {"LayerName": {sample.names[0]: {"Precision": {"result": "fixed<512,2>"}}}}
        told = explain(sample.model, config=config, input_shape=sample.input_shape)
        assert [problem.where for problem in told.problems] == [f"layer {sample.names[1]!r}"], kind
        assert told.layers[1].result is None and told.layers[2].result is not None, kind


def test_what_belongs_to_another_framework_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"weights: .* ONNX\n.* models of Keras only"):
        explain(proto(), tmp_path / "weights.h5")
    with pytest.raises(ConfigError, match="input_shape"):
        explain(_Fourier())
