"""GarNet and GarNetStack: as Keras computes them, the ternary transforms of older models, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from bitsmith import convert
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras

FOLDER = Path(__file__).parent / "garnet"
MODELS = sorted(path.stem for path in FOLDER.glob("*.json"))
EXPECTED = dict(np.load(FOLDER / "expected.npz"))
INPUTS = [EXPECTED["data"].astype(np.float64), EXPECTED["count"].astype(np.float64)]


def changed(folder: Path, stem: str, **config: object) -> tuple[Path, Path]:
    """A model with another configuration of its layer, and its weights."""
    model = json.loads((FOLDER / f"{stem}.json").read_text())
    model["config"]["layers"][-1]["config"].update(config)
    path = folder / f"{stem}.json"
    path.write_text(json.dumps(model))
    return path, FOLDER / f"{stem}_weights.h5"


@pytest.mark.parametrize("stem", MODELS)
def test_the_network_is_what_keras_computes(stem: str) -> None:
    network = read_keras(FOLDER / f"{stem}.json", ReadOptions(weights=FOLDER / f"{stem}_weights.h5"))
    np.testing.assert_allclose(network.evaluate(INPUTS)["gar"], EXPECTED[stem], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stem", ["mean", "each"])
def test_the_circuit_follows_the_network(stem: str) -> None:
    model = convert(FOLDER / f"{stem}.json", weights=FOLDER / f"{stem}_weights.h5", calibration=INPUTS)
    result = model.predict(INPUTS)
    assert np.max(np.abs(result - EXPECTED[stem])) < 2e-3 * np.max(np.abs(EXPECTED[stem]))


def test_transforms_of_older_models_are_ternary(tmp_path: Path) -> None:
    path, weights = changed(tmp_path, "mean", quantize_transforms=True)
    with h5py.File(weights) as file:
        found = {name.split("/")[-1]: file["gar"][name][()] for name in file["gar"].attrs["weight_names"].astype(str)}
    levels = {
        name: np.where(np.abs(values) >= 0.5, np.sign(values), 0)
        for name, values in found.items()
        if name in ("FLR_kernel:0", "FLR_bias:0", "Fout_kernel:0")
    }
    with h5py.File(tmp_path / "levels.h5", "w") as file:
        file.attrs["layer_names"] = ["gar"]
        group = file.create_group("gar")
        group.attrs["weight_names"] = list(found)
        for name, values in found.items():
            group[name] = levels.get(name, values)
    ternary = read_keras(path, ReadOptions(weights=weights))
    given = read_keras(FOLDER / "mean.json", ReadOptions(weights=tmp_path / "levels.h5"))
    np.testing.assert_array_equal(ternary.evaluate(INPUTS)["gar"], given.evaluate(INPUTS)["gar"])


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ({"simplified": False}, UnsupportedError, "simplified=False"),
        ({"mean_by_nvert": True}, UnsupportedError, "mean_by_nvert=True"),
        ({"input_format": "x"}, UnsupportedError, "'xn'"),
        ({"collapse": "most"}, BitsmithError, "'mean', 'sum' or 'max'"),
        ({"quantize_transforms": True, "total_bits": 8}, UnsupportedError, "a given number of bits"),
        ({"n_propagate": 0}, BitsmithError, "n_propagate"),
        ({"n_propagate": [4, 4]}, BitsmithError, "as many of each"),
        ({"n_filters": 7}, ModelFileError, "Fout_kernel has shape"),
    ],
)
def test_what_is_refused(tmp_path: Path, config: dict[str, object], error: type[BitsmithError], said: str) -> None:
    path, weights = changed(tmp_path, "mean", **config)
    with pytest.raises(error, match=said):
        read_keras(path, ReadOptions(weights=weights))
