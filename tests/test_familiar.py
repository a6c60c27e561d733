"""Arrays as hls4ml has them: shapes and layouts of models that come through its names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bitsmith
from bitsmith import converters, utils
from bitsmith.compat.familiar import FlatModel, flat, with_layout
from bitsmith.errors import BitsmithWarning, ConfigError, InputDataError, ProjectError
from bitsmith.layers.settings import Strategy

convert_from_pytorch_model = flat(converters.convert_from_pytorch_model)
config_from_pytorch_model = with_layout(utils.config_from_pytorch_model)

SCRIPT = """
import sys
import torch
import numpy as np
if sys.argv[1] == "ours":
    import bitsmith.compat
import hls4ml
from hls4ml.converters import convert_from_pytorch_model
from hls4ml.utils import config_from_pytorch_model

class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.first(x), self.second(x)

torch.manual_seed(3)
x = np.linspace(-1, 1, 48).astype(np.float32)
conv = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 2), torch.nn.ReLU())
kept = {}
for name, model, shape, keys in (
    ("dense", torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()), (4,), {}),
    ("two", Two(), (4,), {}),
    ("full", conv, (2, 4), {}),
    ("back", conv, (2, 4), {"transpose_outputs": True}),
    ("inside", conv, (2, 4), {"channels_last_conversion": "internal"}),
):
    config = config_from_pytorch_model(model.eval(), shape, default_precision="fixed<24,8>", **keys)
    made = convert_from_pytorch_model(model, hls_config=config, output_dir=f"{sys.argv[1]}-{name}", backend="Vivado")
    made.compile()
    for samples in (1, 3):
        given = np.ascontiguousarray(x[: samples * np.prod(shape)].reshape(samples, *shape))
        if name == "inside":
            given = np.ascontiguousarray(given.transpose(0, 2, 1))
        found = made.predict(given)
        for k, each in enumerate(found if isinstance(found, list) else [found]):
            kept[f"{name}-{samples}-{k}"] = each
np.savez(f"{sys.argv[1]}.npz", **kept)
"""


@pytest.mark.slow
def test_arrays_are_those_of_hls4ml(tmp_path: Path) -> None:
    found = {}
    for whose in ("theirs", "ours"):
        command, env = [sys.executable, "-c", SCRIPT, whose], {**os.environ, "KERAS_BACKEND": "jax"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        with np.load(tmp_path / f"{whose}.npz") as kept:
            found[whose] = dict(kept)
    assert {name: y.shape for name, y in found["ours"].items()} == {
        name: y.shape for name, y in found["theirs"].items()
    }
    for name, theirs in found["theirs"].items():
        np.testing.assert_allclose(found["ours"][name], theirs, atol=2e-3, err_msg=name)


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(2, 3, 2), nn.Linear(2 * 3 * 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.conv(x), self.fc(x.flatten(1))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    ("keys", "last_in", "last_out"),
    [
        ({}, False, True),
        ({"transpose_outputs": True}, False, False),
        ({"channels_last_conversion": "internal"}, True, True),
        ({"channels_last_conversion": "internal", "transpose_outputs": True}, True, False),
        ({"channels_last_conversion": "off"}, False, False),
    ],
)
def test_rows_and_channels(
    keys: Mapping[str, object], last_in: bool, last_out: bool, samples: int, tmp_path: Path
) -> None:
    model = Branches().eval()
    config = config_from_pytorch_model(model, (2, 3, 4), **keys)
    made = convert_from_pytorch_model(model, tmp_path, hls_config=config, check=False)
    x = np.random.default_rng(samples).normal(size=(samples, 2, 3, 4))
    wanted = [y.detach().numpy() for y in model(torch.tensor(x, dtype=torch.float32))]
    if last_out:
        wanted[0] = wanted[0].transpose(0, 2, 3, 1)
    rows = [y.reshape(samples, -1) for y in wanted]
    given = x.transpose(0, 2, 3, 1) if last_in else x
    for arrays in (given, given.reshape(samples, -1)):
        for found, wanted_rows in zip(made.predict(arrays), rows, strict=True):
            np.testing.assert_allclose(found, wanted_rows[0] if samples == 1 else wanted_rows, atol=5e-3)
    with pytest.raises(InputDataError, match=r"accepted: \(samples, 3, 4, 2\)" if last_in else r"\(samples, 2, 3, 4\)"):
        made.predict(x.transpose(0, 2, 1, 3))


def test_a_sample_without_an_axis_of_samples(tmp_path: Path) -> None:
    made = convert_from_pytorch_model(nn.Sequential(nn.Tanh()), tmp_path, input_shape=(1,))
    assert made.predict(np.array([0.5])).shape == (1,)
    assert made.trace(np.array([[0.5]]))[0].shape == (1,)
    assert bitsmith.convert(nn.Sequential(nn.Tanh()), input_shape=(1,)).predict(np.array([0.5])).shape == (1, 1)


def test_what_models_of_hls4ml_have_is_named_with_what_to_use(tmp_path: Path) -> None:
    made = convert_from_pytorch_model(nn.Sequential(nn.Tanh()), tmp_path, input_shape=(1,))
    with pytest.raises(AttributeError, match=r"config: models have graph, .* output_dir and target"):
        made.config  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match="apply_flow: models have graph, get_layers"):
        made.apply_flow("optimize")  # type: ignore[attr-defined]
    rows = made.get_layers()
    assert [row.name for row in rows] == [row.name for row in bitsmith.Model.get_layers(made)]
    with pytest.raises(
        AttributeError, match=r"no hls4ml.model.Layer.class_name: rows of get_layers\(\) have name, title"
    ):
        rows[0].class_name  # type: ignore[attr-defined]  # noqa: B018


def test_layers_have_their_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 4, bias=False)).eval()
    made: Any = convert_from_pytorch_model(model, tmp_path, input_shape=(3,))
    held = {variable.name: variable.data for variable in made.get_weight_variables()}
    assert (
        [*made.graph] == [*bitsmith.convert(model, input_shape=(3,)).graph] == [row.name for row in made.get_layers()]
    )
    layers = [layer for layer in made.graph.values() if layer.get_weights()]
    assert [[*layer.weights] for layer in layers] == [["weight", "bias"], ["weight"]]
    for layer in layers:
        for name in layer.weights:
            np.testing.assert_array_equal(layer.get_weights(name).data, held[f"{layer.name}_{name}"])
    with pytest.raises(ConfigError, match=r"(?s)'bias'.*accepted: weight"):
        layers[1].get_weights("bias")


def test_files_do_not_keep_layouts(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 2)).eval()
    made = convert_from_pytorch_model(model, tmp_path, hls_config=config_from_pytorch_model(model, (2, 4)))
    with pytest.raises(ProjectError, match="channels last"):
        made.save(tmp_path / "model.bitsmith")
    config = config_from_pytorch_model(model, (2, 4), transpose_outputs=True)
    made = convert_from_pytorch_model(model, tmp_path, hls_config=config)
    made.save(tmp_path / "model.bitsmith")
    again = flat(converters.load_saved_model)(tmp_path / "model.bitsmith")
    x = np.random.default_rng(0).normal(size=(2, 2, 4))
    assert isinstance(again, FlatModel) and (again.predict(x) == made.predict(x)).all()


def test_projects_say_it_too(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 2)).eval()
    config = {"Model": {"ChannelsLastConversion": "internal", "TransposeOutputs": False}}
    project = {"PytorchModel": model, "InputShape": (2, 4), "OutputDir": tmp_path, "HLSConfig": config}
    x = np.random.default_rng(0).normal(size=(2, 2, 4))
    wanted = model(torch.tensor(x, dtype=torch.float32)).detach().numpy().transpose(0, 2, 1).reshape(2, -1)
    found = flat(converters.pytorch_to_hls)(project).predict(x.transpose(0, 2, 1))
    np.testing.assert_allclose(found, wanted, atol=5e-3)


def test_keys_that_hls4ml_does_not_read_are_left_out_with_a_warning() -> None:
    """As in tests of hls4ml, which put the strategy beside the section of the model."""
    model = nn.Sequential(nn.Linear(3, 2)).eval()
    config = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 2}, "Strategy": "Resource"}
    with pytest.warns(BitsmithWarning, match=r"'Strategy' inside 'Model'"):
        made = convert_from_pytorch_model(model, hls_config=config, input_shape=(3,))
    assert {node.settings.strategy for node in made.network.nodes} == {Strategy.LATENCY}
    with pytest.raises(ConfigError, match="Strategy"):
        bitsmith.convert(model, config=config, input_shape=(3,))
