"""HGQ2's functions, softmax, attention, layers of tables and recurrent ones give what HGQ2 gives, to the bit.

See ``hgq2_tables/make.py``.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.properties import few

from bitsmith.converters import convert
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.keras.read import read_keras
from bitsmith.layers.layer import Floats

pytestmark = pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")

MODELS = Path(__file__).parent / "hgq2_tables" / "models"
OLDER = "../models_0_1/"
"""Where models are that HGQ2 0.1 wrote."""

EXPECTED = {}
for folder in ("", OLDER):
    with np.load(MODELS / folder / "expected.npz") as file:
        EXPECTED |= {f"{folder}{key}": file[key] for key in file}
NAMES = sorted({key.rpartition("/")[0] for key in EXPECTED})


def arrays(name: str, kind: str) -> list[Floats]:
    """The inputs (``x``) or results (``y``) of a model."""
    count = sum(key.startswith(f"{name}/{kind}") for key in EXPECTED)
    return [EXPECTED[f"{name}/{kind}{number}"].astype(np.float64) for number in range(count)]


@few("name", NAMES, fast=8, judged=True)
def test_equals_hgq2(name: str) -> None:
    inputs, results = arrays(name, "x"), arrays(name, "y")
    found = convert(MODELS / f"{name}.keras").predict(inputs if len(inputs) > 1 else inputs[0])
    found = found if isinstance(found, list) else [found]
    for values, expected in zip(found, results, strict=True):
        np.testing.assert_array_equal(values.reshape(expected.shape), expected)


@few("name", ["attention", "functions_fine", "gated", "softmax_stable", "spiking", *NAMES[-4:]], fast=3)
def test_classes_are_known_under_both_packages(name: str, tmp_path: Path) -> None:
    inputs, results = arrays(name, "x"), arrays(name, "y")
    for package, other in (("hgq", "hgq2"), ("hgq2", "hgq")):
        path = tmp_path / f"{package}.keras"
        with zipfile.ZipFile(MODELS / f"{name}.keras") as old, zipfile.ZipFile(path, "w") as new:
            for item in old.namelist():
                new.writestr(item, old.read(item).replace(f'"{other}>'.encode(), f'"{package}>'.encode()))
        found = convert(path, check=False).predict(inputs if len(inputs) > 1 else inputs[0])
        for values, expected in zip(found if isinstance(found, list) else [found], results, strict=True):
            np.testing.assert_array_equal(values.reshape(expected.shape), expected)


Change = Callable[[dict[str, object], h5py.File], None]


def _configured(key: str, value: object) -> Change:
    """Another argument of the first layer of HGQ2's."""

    def change(layer: dict[str, object], _: h5py.File) -> None:
        config = layer["config"]
        assert isinstance(config, dict)
        assert key in config
        config[key] = value

    return change


def _of_class(name: str) -> Change:
    def change(layer: dict[str, object], _: h5py.File) -> None:
        layer["class_name"], layer["registered_name"] = name, f"hgq>{name}"

    return change


def _stored(path: str, values: Floats | None) -> Change:
    """Other values of a variable, or none."""

    def change(_: dict[str, object], file: h5py.File) -> None:
        del file[f"layers/{path}"]
        if values is not None:
            file[f"layers/{path}"] = values

    return change


_SOFTMAX = "q_multi_head_attention/_softmax"

BROKEN: dict[str, tuple[str, Change, type[BitsmithError], str]] = {
    "spikes of no sequence": ("functions_raw", _of_class("QLIF"), UnsupportedError, "a sequence"),
    "reset": ("spiking", _configured("reset_mechanism", "half"), ModelFileError, "reset_mechanism"),
    "neurons": ("spiking", _configured("units", 4), ModelFileError, "channels"),
    "thresholds": ("spiking", _stored("q_simple_snn/cell/vars/0", np.ones(2)), ModelFileError, "variables of shapes"),
    "spikes of others": ("spiking", _configured("spike_grad", {"class_name": "Mine"}), UnsupportedError, "ATan"),
    "unknown": ("functions_raw", _of_class("QUnheardOf"), UnsupportedError, "not a layer of HGQ2"),
    "function along an axis": ("functions", _configured("activation", "softmax"), UnsupportedError, "softmax"),
    "unknown function": ("functions", _configured("activation", "wiggle"), UnsupportedError, "wiggle"),
    "no quantizer": ("functions_raw", _configured("enable_iq", False), UnsupportedError, "without a quantizer"),
    "axes beyond": ("softmax_axes", _configured("axes", [7]), UnsupportedError, "axis 7"),
    "two scales": ("affined", _stored("q_affined_unary_function_lut/vars/0", np.ones(2)), ModelFileError, "scale"),
    "many codes": (
        "functions_fine",
        _stored("q_unary_function_lut/iq/quantizer/vars/0", np.full((1, 5), 40.0)),
        UnsupportedError,
        "tables of",
    ),
    "gate": ("attention", _configured("use_gate", True), UnsupportedError, "use_gate"),
    "some axes": ("attention_axes", _configured("attention_axes", [2]), UnsupportedError, "axes"),
    "fused": ("attention_fused", _configured("fuse", "all"), ModelFileError, "fuse"),
    "fused without": (
        "attention_fused",
        _stored("q_multi_head_attention/key_dense/iq", None),
        ModelFileError,
        "fused operands",
    ),
    "no tables": ("attention", _stored(f"{_SOFTMAX}/exp_table", None), ModelFileError, "0 variables"),
    "heads": ("attention", _configured("num_heads", 3), ModelFileError, "shape"),
    "shortened": ("linformer", _configured("lin_kv_proj_dim", [3, 3]), ModelFileError, "lin_kv_proj_dim"),
    "hidden layers": ("tables", _configured("n_hl", 10**6), ModelFileError, "n_hl"),
    "hidden channels": ("tables", _configured("d_hl", 5), ModelFileError, "edges"),
    "edges": (
        "tables",
        _stored("q_dense_t/module/layers/einsum_dense/vars/0", np.ones((4, 1, 1, 8))),
        ModelFileError,
        "edges",
    ),
    "equation": ("tables_einsum", _configured("equation", "bnd,dm->bn"), ModelFileError, "equation"),
    "groups": ("tables_convolved", _configured("groups", 2), UnsupportedError, "groups"),
    "window": ("tables_convolved", _configured("kernel_size", [9]), UnsupportedError, "windows"),
    "state": ("recurrent", _configured("stateful", True), UnsupportedError, "stateful"),
    "grid": ("gated", _stored("qgru/cell/rkq/quantizer/vars/2", np.ones((3, 6))), ModelFileError, "one shape"),
    "units": ("gated", _configured("units", 7), ModelFileError, "kernel has shape"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(case: str, tmp_path: Path) -> None:
    name, change, error, message = BROKEN[case]
    with zipfile.ZipFile(MODELS / f"{name}.keras") as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    model, weights = json.loads(members["config.json"]), io.BytesIO(members["model.weights.h5"])
    layer = next(
        one for one in model["config"]["layers"] if one["class_name"].startswith("Q") and one["class_name"] != "QDense"
    )
    with h5py.File(weights, "r+") as file:
        change(layer, file)
    members |= {"config.json": json.dumps(model).encode(), "model.weights.h5": weights.getvalue()}
    with zipfile.ZipFile(tmp_path / "broken.keras", "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    with pytest.raises(error, match=message):
        read_keras(tmp_path / "broken.keras")


def test_the_state_that_hgq2_forgets_is_noted() -> None:
    assert any("its state is quantized" in note for note in read_keras(MODELS / "recurrent.keras").notes)
