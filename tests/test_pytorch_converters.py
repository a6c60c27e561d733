"""PyTorch models by the names that users know: convert, convert_from_pytorch_model, pytorch_to_hls and their configurations."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import bitsmith
from bitsmith.converters import convert_from_config, convert_from_pytorch_model, pytorch_to_hls
from bitsmith.errors import ConfigError, ModelFileError
from bitsmith.utils import config_from_pytorch_model


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).eval()


@pytest.fixture(scope="module")
def file(module: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (torch.zeros(1, 1, 6, 6),)), path)
    return path


X = np.random.default_rng(0).normal(0.0, 1.0, (7, 1, 6, 6)).astype(np.float32)


def close(model: bitsmith.Model, module: nn.Module) -> None:
    with torch.no_grad():
        wanted = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(model.predict(X), wanted, atol=0.02)


@pytest.mark.slow
@pytest.mark.ci
def test_every_way_gives_the_module(module: nn.Module, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = torch.export.export(module, (torch.zeros(1, 1, 6, 6),))
    close(bitsmith.convert(module, out, input_shape=(1, 6, 6)), module)
    close(bitsmith.convert(module, out, example=torch.from_numpy(X), calibration=X), module)
    close(bitsmith.convert(module, out, calibration=torch.from_numpy(X)), module)
    close(bitsmith.convert(program, out), module)
    close(bitsmith.convert(str(file), out), module)
    close(convert_from_pytorch_model(module, out, input_shape=[(None, 1, 6, 6)]), module)
    close(pytorch_to_hls({"PytorchModel": module, "InputShape": [1, 6, 6], "OutputDir": str(out)}), module)
    described = tmp_path / "project.yml"
    described.write_text(yaml.safe_dump({"PytorchModel": str(file), "OutputDir": str(out)}))
    close(pytorch_to_hls(described), module)
    close(convert_from_config(described), module)


@pytest.mark.parametrize("shape", [[None, 4], (None, 4), [[None, 4]]])
def test_the_shape_stands_where_older_scripts_have_it(shape: object, tmp_path: Path) -> None:
    model = convert_from_pytorch_model(nn.Linear(4, 2), shape, output_dir=tmp_path)
    assert model.output_dir == tmp_path and model.get_input_variables()[0].shape == (4,)
    with pytest.raises(TypeError, match="takes model, folder and input shape, not 4 values"):
        convert_from_pytorch_model(nn.Linear(4, 2), shape, tmp_path, "Vivado")


def test_configurations_name_the_modules(module: nn.Module, tmp_path: Path) -> None:
    config = config_from_pytorch_model(module, (1, 6, 6), granularity="name", default_precision="fixed<24,8>")
    assert config["InputShape"] == (1, 6, 6)
    layers = config["LayerName"]
    assert isinstance(layers, dict) and {"input", "0", "1", "2", "3", "4"} <= set(layers)
    layers["4"]["Precision"] = {**layers["4"]["Precision"], "result": "fixed<12,6>"}
    model = convert_from_pytorch_model(module, tmp_path / "out", hls_config=config)
    close(model, module)
    assert np.array_equal(model.predict(X) * 64.0, np.rint(model.predict(X) * 64.0))
    close(pytorch_to_hls({"PytorchModel": module, "HLSConfig": config, "OutputDir": str(tmp_path / "out")}), module)


def test_errors_say_what_is_missing(module: nn.Module, file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="input_shape"):
        bitsmith.convert(module)
    with pytest.raises(ConfigError, match="PytorchModel"):
        pytorch_to_hls({"OutputDir": str(tmp_path)})
    with pytest.raises(ConfigError, match="'full', 'internal', 'off'"):
        config_from_pytorch_model(module, (1, 6, 6), channels_last_conversion="of")
    config = config_from_pytorch_model(module, (1, 6, 6), channels_last_conversion="off")
    assert "ChannelsLastConversion (inputs and results have" in bitsmith.convert(module, config=config).notes[0]
    with pytest.raises(ConfigError, match=r"example: .* Keras\n.* models of PyTorch only"):
        bitsmith.convert("model.keras", example=torch.zeros(1, 3))
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ModelFileError, match=r"torch\.export\.save"):
        bitsmith.convert(tmp_path / "weights.pth")


@pytest.mark.slow
@pytest.mark.ci
def test_nothing_imports_torch(file: Path) -> None:
    code = f"import sys, bitsmith; bitsmith.convert({str(file)!r}); assert not {{'torch', 'keras'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
