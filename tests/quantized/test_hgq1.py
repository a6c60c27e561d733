"""Proxy models of HGQ 1 give what HGQ 1 gives, to the bit (see ``hgq1/make.py``)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from bitsmith.converters import convert
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.layers.quantization.quantize import Quantize

pytestmark = pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")

MODELS = Path(__file__).parent / "hgq1" / "models"
EXPECTED = np.load(MODELS / "expected.npz")
NAMES = sorted({key.split("/")[0] for key in EXPECTED})


@pytest.mark.parametrize("name", NAMES)
def test_equals_hgq1(name: str) -> None:
    found = convert(MODELS / f"{name}.h5").predict(EXPECTED[f"{name}/x"].astype(np.float64))
    found = found if isinstance(found, list) else [found]
    for number, values in enumerate(found):
        np.testing.assert_array_equal(values, EXPECTED[f"{name}/y{number}"])


def test_a_model_in_training_is_refused_with_what_makes_a_proxy_of_it(tmp_path: Path) -> None:
    config = {
        "class_name": "Sequential",
        "config": {
            "name": "trained",
            "layers": [
                {
                    "class_name": "InputLayer",
                    "config": {"name": "x", "batch_input_shape": [None, 4], "dtype": "float32"},
                },
                {"class_name": "HGQ>HQuantize", "config": {"name": "h_quantize", "beta": 0.0}},
                {"class_name": "HGQ>HDense", "config": {"name": "h_dense", "units": 3}},
            ],
        },
        "keras_version": "2.15.0",
    }
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.create_group("model_weights").attrs["layer_names"] = np.array([], dtype="S1")
    with pytest.raises(UnsupportedError) as caught:
        convert(tmp_path / "model.h5")
    assert all(said in str(caught.value) for said in ("h_quantize", "h_dense", "to_proxy_model", "trace_minmax"))


def test_elements_have_formats_of_their_own() -> None:
    nodes = convert(MODELS / "modes.h5").network.nodes
    first = next(node.layer for node in nodes if isinstance(node.layer, Quantize) and node.name == "rnd_sat")
    np.testing.assert_array_equal(first.quantizer.bits, [8, 5, 1, 0, 6, 7])


def _set(path: str, value: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[f"model_weights/{path}"][...] = value

    return change


def _edit(old: str, new: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        assert old in file.attrs["model_config"]
        file.attrs["model_config"] = file.attrs["model_config"].replace(old, new)

    return change


BROKEN: dict[str, tuple[str, Callable[[h5py.File], None], type[BitsmithError], str]] = {
    "negative bits": ("table", _set("q/bits:0", -3), ModelFileError, "bit widths"),
    "sign of 2 bits": ("table", _set("q/keep_negative:0", 2), ModelFileError, "bit widths"),
    "unknown rounding": ("table", _edit('"RND": "RND"', '"RND": "UP"'), ModelFileError, "RND is 'UP'"),
    "unknown overflow": ("table", _edit('"SAT": "WRAP"', '"SAT": "OVER"'), ModelFileError, "SAT is 'OVER'"),
    "another shape": ("table", _edit('"shape": [1]', '"shape": [2]'), ModelFileError, "shape"),
    "huge table": ("table", _edit('"kif_in": [1, 2, 3]', '"kif_in": [1, 40, 40]'), ModelFileError, "kif_in"),
    "small table": ("table", _edit('"kif_in": [1, 2, 3]', '"kif_in": [1, 2, 4]'), ModelFileError, "table"),
    "no table": ("table", _edit('"kif_in": [1, 2, 3]', '"kif_in": [1, 2]'), ModelFileError, "kif_in"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(case: str, tmp_path: Path) -> None:
    name, change, error, message = BROKEN[case]
    path = tmp_path / f"{name}.h5"
    shutil.copy(MODELS / f"{name}.h5", path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(error, match=message):
        convert(path)
