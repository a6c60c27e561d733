"""Trained tensors of torch_dwn, against a plain evaluation: torch_dwn itself computes on CUDA alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.properties import few

import bitsmith
from bitsmith.errors import ModelFileError
from bitsmith.layers.thermometer import Thermometer

Numbers = npt.NDArray[np.float32]
Tensors = dict[str, Any]


def random_tensors(seed: int, *, encoded: bool = True) -> Tensors:
    """Tensors as a state of ``Sequential(LUTLayer, LUTLayer, GroupSum)`` has them."""
    rng = np.random.default_rng(seed)
    features, levels, bits, classes = (int(n) for n in rng.integers((2, 1, 1, 2), (5, 6, 5, 4)))
    size, tensors = features * levels, Tensors(classes=classes)
    if encoded:
        tensors["thresholds"] = torch.tensor(np.sort(rng.normal(size=(features, levels)), axis=1).astype(np.float32))
    for layer in range(int(rng.integers(1, 3))):
        tables = int(rng.integers(classes, 12))
        tensors[f"{layer}.luts"] = torch.tensor(rng.uniform(-1, 1, (tables, 1 << bits)).astype(np.float32))
        if layer == 0:
            learned = rng.normal(size=(size, tables * bits)).astype(np.float32)
            tensors["0.mapping.weights"] = torch.nn.Parameter(torch.tensor(learned))
            decoy = torch.arange(tables * bits, dtype=torch.int32).reshape(tables, bits)
            tensors["0._LUTLayer__dummy_mapping"] = decoy
        else:
            tensors[f"{layer}.mapping"] = torch.tensor(rng.integers(0, size, (tables, bits)), dtype=torch.int32)
        size = tables
    return tensors


def evaluated(tensors: Tensors, x: Numbers) -> npt.NDArray[np.int64]:
    """Set bits of the classes, sample by sample and table by table."""
    results = []
    for sample in x:
        bits = list(sample)
        if "thresholds" in tensors:
            bits = [
                value > bound for value, row in zip(sample, tensors["thresholds"].numpy(), strict=True) for bound in row
            ]
        for layer in range(2):
            if f"{layer}.luts" not in tensors:
                continue
            tables = tensors[f"{layer}.luts"].numpy()
            width = tables.shape[1].bit_length() - 1
            wiring = (
                tensors["0.mapping.weights"].detach().numpy().argmax(0).reshape(-1, width)
                if layer == 0
                else tensors[f"{layer}.mapping"].numpy()
            )
            bits = [
                table[sum(int(bits[place]) << number for number, place in enumerate(places))] > 0
                for table, places in zip(tables, wiring, strict=True)
            ]
        each = -(-len(bits) // tensors["classes"])
        results.append([sum(map(int, bits[k * each : (k + 1) * each])) for k in range(tensors["classes"])])
    return np.array(results)


@few("seed", range(30), fast=3, judged=True)
def test_random_networks(seed: int) -> None:
    tensors = random_tensors(seed)
    x = np.random.default_rng(seed).normal(size=(100, len(tensors["thresholds"]))).astype(np.float32)
    model = bitsmith.convert(tensors, calibration=x)
    np.testing.assert_array_equal(model.predict(x), evaluated(tensors, x))


def test_there_are_as_many_bits_as_tables_read_where_nothing_else_says_it() -> None:
    """Of random wiring, which has no weights, without thresholds."""
    wiring = np.array([[2, 4], [5, 3], [2, 5]])
    luts = np.random.default_rng(0).normal(size=(3, 4))
    model = bitsmith.convert({"0.luts": luts, "0.mapping": wiring, "classes": 3})
    x = np.random.default_rng(1).integers(0, 2, (40, 6))
    places = x[:, wiring[:, 0]] + 2 * x[:, wiring[:, 1]]
    np.testing.assert_array_equal(model.predict(x.astype(np.float32)), luts[np.arange(3), places] > 0)


@few("seed", range(10), fast=1, judged=True)
def test_bits_as_inputs(seed: int) -> None:
    tensors = random_tensors(seed, encoded=False)
    x = np.random.default_rng(seed).integers(0, 2, (50, len(tensors["0.mapping.weights"]))).astype(np.float32)
    model = bitsmith.convert(
        {
            name: np.asarray(getattr(value, "data", value)) if name != "classes" else value
            for name, value in tensors.items()
        }
    )
    np.testing.assert_array_equal(model.predict(x), evaluated(tensors, x))


def test_thresholds_that_no_table_reads_are_gone() -> None:
    tensors = {
        "0.luts": torch.tensor([[-1.0, 1.0], [1.0, -1.0]]),
        "0.mapping": torch.tensor([[5], [2]], dtype=torch.int32),
        "thresholds": torch.tensor([[0.5, 0.75, 0.8125], [0.0, 0.25, 0.5]]),
        "classes": 2,
    }
    model = bitsmith.convert(tensors)
    [layer] = [node.layer for node in model.network.nodes if isinstance(node.layer, Thermometer)]
    assert (layer.features, layer.thresholds.tolist()) == ((0, 1), [0.8125, 0.5])
    np.testing.assert_array_equal(model.predict(np.array([[0.875, 0.625], [0.8125, 0.5]])), [[1, 0], [0, 1]])


@pytest.mark.slow
@pytest.mark.ci
def test_circuits(tmp_path: Path) -> None:
    tensors = random_tensors(4)
    x = np.random.default_rng(4).normal(size=(40, len(tensors["thresholds"]))).astype(np.float32)
    model = bitsmith.convert(tensors, tmp_path / "rtl", calibration=x)
    report = model.build(inputs=x, synth=False)
    assert report["Verification"]["Mismatches"] == 0
    compiled = bitsmith.convert(tensors, tmp_path / "vitis", backend="vitis", calibration=x)
    np.testing.assert_array_equal(compiled.csim_predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": None}, "classes is None"),
        ({"classes": 99}, "the number of classes, 1 to"),
        ({"0.luts": torch.ones(3, 5)}, r"0\.luts of shape \(3, 5\)"),
        ({"0.luts": torch.ones(3, 128)}, r"2 to 64 numbers"),
        ({"0.luts": torch.full((3, 4), float("nan"))}, "finite numbers of rank 2"),
        ({"0.mapping": torch.zeros(2, 2)}, r"a mapping of shape \(2, 2\)"),
        ({"0.mapping": torch.full((3, 2), 9)}, "bits 0 to 5"),
        ({"0.mapping": torch.full((3, 2), -1)}, "bits 0 to 5"),
        ({"0.mapping": None}, r"0\.mapping is missing"),
        ({"thresholds": torch.zeros(3)}, "thresholds is"),
    ],
)
def test_wrong_tensors(change: Tensors, words: str) -> None:
    tensors = {
        "0.luts": torch.ones(3, 4),
        "0.mapping": torch.zeros(3, 2),
        "thresholds": torch.zeros(2, 3),
        "classes": 3,
    }
    with pytest.raises(ModelFileError, match=words):
        bitsmith.convert({**tensors, **change})
