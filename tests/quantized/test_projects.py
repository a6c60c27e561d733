"""What project configurations say of quantized models: the keys Override, AllowApproximate and Strict."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import yaml

from bitsmith.converters import keras_to_hls
from bitsmith.errors import ConfigError, FidelityError, FidelityWarning, UnsupportedError
from bitsmith.utils import fetch_example_model

MODELS = Path(__file__).parent


def test_formats_that_contradict_the_model_need_override(tmp_path: Path) -> None:
    layers = {"dense1": {"Precision": {"weight": "fixed<3,1>"}}}
    content = {"KerasModel": str(MODELS / "qkeras/models/network_k3.keras"), "HLSConfig": {"LayerName": layers}}
    project = tmp_path / "project.yml"
    project.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="override"):
        keras_to_hls(project)
    project.write_text(yaml.safe_dump({**content, "Override": True}))
    assert keras_to_hls(project).network.node("dense1").settings.precision


def test_what_loses_accuracy_is_an_error_with_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = {**fetch_example_model("bitsmith_3layer.json"), "HLSConfig": {"Model": {"Precision": "fixed<8,2>"}}}
    with pytest.warns(FidelityWarning):
        keras_to_hls({**config, "Strict": False})
    with pytest.raises(FidelityError):
        keras_to_hls({**config, "strict": True})


def test_what_is_only_nearly_exact_needs_allow_approximate(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(MODELS / "hgq2_tables/models/functions_raw.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"enable_iq": true', b'"enable_iq": false'))
    with pytest.raises(UnsupportedError, match="allow_approximate"):
        keras_to_hls({"KerasModel": path})
    assert keras_to_hls({"KerasModel": path, "AllowApproximate": True, "Strict": False}).notes


def test_a_flag_is_true_or_false() -> None:
    for key in ("Override", "AllowApproximate", "Strict"):
        with pytest.raises(ConfigError, match=key):
            keras_to_hls({"KerasModel": MODELS / "qkeras/models/network_k3.keras", key: "perhaps"})
