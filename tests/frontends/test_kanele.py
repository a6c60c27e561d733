"""Truth tables of KANELÉ, against a plain evaluation of the tables."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import few

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError

Tables = dict[str, dict[str, Any]]
Codes = npt.NDArray[np.int64]


def random_tables(seed: int, kept: float) -> tuple[Tables, list[int], list[int]]:
    """Tables, sizes of layers, and bits of codes."""
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(1, 4))
    sizes, bits = ([int(n) for n in rng.integers(least, most, layers + 1)] for least, most in ((1, 6), (2, 8)))
    tables: Tables = {}
    for layer in range(layers):
        for source, target in product(range(sizes[layer]), range(sizes[layer + 1])):
            used = bool(rng.random() < kept)
            most = 1 << bits[layer + 1] - 1
            values = rng.integers(-most, most, 1 << bits[layer]) * used
            tables[f"{layer}_{source}_{target}"] = {"acive": int(used), "values_int": values.tolist()}
    return tables, sizes, bits


def evaluated(tables: Tables, sizes: list[int], bits: list[int], codes: Codes) -> Codes:
    """Results for one sample, table by table."""
    for layer in range(len(sizes) - 1):
        places = codes + (1 << bits[layer] - 1) * (layer > 0)
        sums = np.zeros(sizes[layer + 1], np.int64)
        for source, target in product(range(sizes[layer]), range(sizes[layer + 1])):
            sums[target] += tables[f"{layer}_{source}_{target}"]["values_int"][places[source]]
        most = 1 << bits[layer + 1] - 1
        codes = np.clip(sums, -most, most - 1)
    return codes


def written(folder: Path, tables: Tables, bits: list[int]) -> Path:
    """The file of tables, with its configuration beside it."""
    (folder / "config.json").write_text(json.dumps({"layers_bitwidth": bits}))
    path = folder / "truth_tables.json"
    path.write_text(json.dumps(tables))
    return path


@few("seed", range(20), fast=3, judged=True)
def test_random_tables(seed: int, tmp_path: Path) -> None:
    tables, sizes, bits = random_tables(seed, (0.3, 1.0)[seed % 2])
    model = bitsmith.convert(written(tmp_path, tables, bits))
    codes = np.random.default_rng(seed).integers(0, 1 << bits[0], (40, sizes[0]))
    expected = [evaluated(tables, sizes, bits, each) for each in codes]
    np.testing.assert_array_equal(model.predict(codes.astype(np.float64)), expected)
    assert not model.fidelity.verdict.problems


@pytest.mark.slow
@pytest.mark.ci
def test_circuits(tmp_path: Path) -> None:
    tables, sizes, bits = random_tables(4, 0.8)
    codes = np.random.default_rng(0).integers(0, 1 << bits[0], (30, sizes[0])).astype(np.float64)
    model = bitsmith.convert(written(tmp_path, tables, bits), tmp_path / "rtl")
    report = model.build(inputs=codes, synth=False)
    assert report["Verification"]["Mismatches"] == 0
    compiled = bitsmith.convert(written(tmp_path, tables, bits), tmp_path / "vitis", backend="vitis")
    np.testing.assert_array_equal(compiled.csim_predict(codes), model.predict(codes))


def _ragged(tables: Tables) -> None:
    tables["0_1_0"]["values_int"].pop()


def _fractions(tables: Tables) -> None:
    tables["0_1_0"]["values_int"][0] = 0.5


def _no_list(tables: Tables) -> None:
    tables["0_0_0"]["values_int"] = 3


def _other_key(tables: Tables) -> None:
    tables["zero"] = tables["0_0_0"]


def _gap(tables: Tables) -> None:
    tables["7_0_0"] = tables["0_0_0"]


def _small() -> Tables:
    return {f"0_{k}_0": {"acive": 1, "values_int": [0, 1, 2, 3]} for k in range(2)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_ragged, "table 0_1_0: values_int is .*accepted: 4 integers"),
        (_fractions, "accepted: 4 integers"),
        (_no_list, "accepted: a list"),
        (_other_key, "the key 'zero'"),
        (_gap, "a layer without tables"),
    ],
)
def test_wrong_tables(change: Any, words: str, tmp_path: Path) -> None:
    tables = _small()
    change(tables)
    with pytest.raises(BitsmithError, match=f"(?s){words}"):
        bitsmith.convert(written(tmp_path, tables, [2, 4]))


@pytest.mark.parametrize("bits", [1, 16])
def test_limits_of_bits_are_bits_that_may_be(bits: int, tmp_path: Path) -> None:
    most = (1 << bits - 1) - 1
    model = bitsmith.convert(written(tmp_path, _small(), [2, bits]), check=False)
    np.testing.assert_array_equal(
        model.predict(np.array([[0.0, 1.0], [3.0, 3.0]])).ravel(), [min(1, most), min(6, most)]
    )


@pytest.mark.parametrize("bits", [[2], [3, 4], [2, 0], [2, 17]])
def test_wrong_configuration(bits: list[int], tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"config\.json"):
        bitsmith.convert(written(tmp_path, _small(), bits))


def test_missing_configuration(tmp_path: Path) -> None:
    path = written(tmp_path, _small(), [2, 4])
    path.with_name("config.json").unlink()
    with pytest.raises(ModelFileError, match=r"config\.json"):
        bitsmith.convert(path)
