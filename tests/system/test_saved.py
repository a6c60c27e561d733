"""Saving and loading models; damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, ProjectError
from bitsmith.serialization import weights_path
from tests.system.examples import digits, three_layer


def test_a_loaded_model_is_the_saved_one(tmp_path: Path) -> None:
    model, x = three_layer(tmp_path)
    model.save(tmp_path / "saved.json")
    loaded = bitsmith.Model.load(tmp_path / "saved.json")
    assert loaded.program == model.program
    assert loaded.target == model.target
    assert str(loaded) == str(model)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert sorted(path.name for path in tmp_path.glob("saved*")) == ["saved.json", "saved.npz"]


def test_loading_into_another_folder(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    model.save(tmp_path / "saved.json")
    assert bitsmith.Model.load(tmp_path / "saved.json", tmp_path / "other").output_dir == tmp_path / "other"


def test_the_inputs_of_the_co_simulation_are_remembered(tmp_path: Path) -> None:
    model, _ = digits(tmp_path, input_data_tb=tmp_path / "inputs.npy")
    model.save(tmp_path / "saved.json")
    assert bitsmith.Model.load(tmp_path / "saved.json").target == model.target


@pytest.mark.parametrize("path", ["", "/proc/none/saved.json", "null\0.json"])
def test_places_that_cannot_be_written_give_one_typed_error(tmp_path: Path, path: str) -> None:
    model, _ = digits(tmp_path)
    with pytest.raises(ProjectError):
        model.save(path)


@pytest.mark.parametrize("missing", [".json", ".npz"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    model, _ = digits(tmp_path)
    model.save(tmp_path / "saved.json")
    (tmp_path / f"saved{missing}").unlink()
    with pytest.raises(ModelFileError, match=rf"saved\{missing}"):
        bitsmith.Model.load(tmp_path / "saved.json")


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_give_one_typed_error(tmp_path: Path, seed: int) -> None:
    model, _ = digits(tmp_path)
    path = tmp_path / "saved.json"
    model.save(path)
    rng = np.random.default_rng(seed)
    document = json.loads(path.read_text())
    target: object = document
    for _ in range(int(rng.integers(1, 5))):
        if not isinstance(target, (dict, list)) or not target:
            break
        holder = target
        key = (
            list(holder)[int(rng.integers(len(holder)))] if isinstance(holder, dict) else int(rng.integers(len(holder)))
        )
        target = holder[key]  # type: ignore[index]
    holder[key] = [None, -1, "x", {}, [[]], 1e400][int(rng.integers(6))]  # type: ignore[index]
    path.write_text(json.dumps(document))
    if seed % 4 == 0:
        damaged = bytearray(weights_path(path).read_bytes())
        damaged[int(rng.integers(len(damaged)))] ^= 0xFF
        weights_path(path).write_bytes(bytes(damaged))
    try:
        loaded = bitsmith.Model.load(path)
        loaded.predict(np.zeros((1, *loaded.program.input_ops()[0].shape)))
    except BitsmithError as error:
        assert str(error)


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    model, _ = digits(tmp_path)
    path = tmp_path / "saved.json"
    model.save(path)
    np.savez(weights_path(path), **{"0": np.array([{"a": 1}], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(ModelFileError):
        bitsmith.Model.load(path)
