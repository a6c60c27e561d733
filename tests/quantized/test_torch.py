"""Quantized PyTorch models: the programs that ``torch/make.py`` has written, against what PyTorch computes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.properties import few

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.read import read_model

MODELS = Path(__file__).parent / "torch" / "models"

SINGLE = {"ranges": 7, "sequence_channel": 2, "sequence_tensor": 4, "tensors": 1, "weights": 1}
"""Results of a model whose code errors of single precision decide: next to halves, they differ from exact arithmetic by one."""


def _values(name: str) -> dict[str, np.ndarray]:
    with np.load(MODELS / f"{name}.npz") as found:
        return dict(found)


@pytest.mark.filterwarnings("ignore:auto rounds 'layer.layers.0.0._fast_cell_mul'")
@pytest.mark.filterwarnings("ignore:.*brevitas_rnn.pt2. a program that holds for some numbers of samples only")
@few("name", sorted((path.stem for path in MODELS.glob("*.pt2")), reverse=True), fast=6, judged=True)
def test_programs_compute_what_pytorch_does(name: str) -> None:
    model = bitsmith.convert(MODELS / f"{name}.pt2")
    values = _values(name)
    y = model.predict(values["x"].astype(np.float64)).reshape(values["y"].shape)
    assert np.array_equal(y, values["exact"])
    assert np.count_nonzero(y.astype(np.float32) != values["y"]) == SINGLE.get(name, 0)


def test_layers_have_the_names_of_brevitas_modules() -> None:
    network = read_model(MODELS / "brevitas_images.pt2")
    named = {node.name: type(node.layer).__name__ for node in network.nodes if not node.inner}
    wanted = {"codes": "Quantize", "conv": "Conv", "norm": "BatchNormalization", "relu": "Quantize", "mean": "Quantize"}
    assert wanted.items() <= named.items()
    assert named["last"] == "Quantize"
    assert named["last_linear"] == "Dense"


def test_codes_of_weights_keep_their_bits() -> None:
    network = read_model(MODELS / "brevitas_linear.pt2")
    bits = {
        node.name: int(node.quantizers["weight"].bits.max()) for node in network.nodes if "weight" in node.quantizers
    }
    assert bits["parts.parts.bits3"] == 3
    assert bits["parts.parts.fixed8"] == 8
    assert bits["parts.parts.ternary"] == 2


def _changed(name: str, path: Path, change: Callable[[str], str]) -> Path:
    """The program with another graph."""
    with zipfile.ZipFile(MODELS / f"{name}.pt2") as given, zipfile.ZipFile(path, "w") as target:
        for entry in given.infolist():
            data = given.read(entry)
            if entry.filename.endswith("models/model.json"):
                text = data.decode()
                data = change(text).encode()
                assert data.decode() != text
            target.writestr(entry, data)
    return path


REFUSED: dict[str, tuple[str, str, str, type[BitsmithError], str]] = {
    "dynamic": (
        "perceptron_tensor",
        "quantized_decomposed.quantize_per_tensor.default",
        "quantized_decomposed.choose_qparams.tensor",
        UnsupportedError,
        "computed from each input",
    ),
    "scale of 0": ("ranges", r'"as_float": 0.1\b', '"as_float": 0.0', ModelFileError, "makes no grid"),
    "huge codes": ("ranges", r'"as_int": -127\b', f'"as_int": {-(1 << 40)}', ModelFileError, "makes no grid"),
    "no codes": ("ranges", r'"as_int": -127\b', '"as_int": 127', ModelFileError, "makes no grid"),
    "between codes": (
        "ranges",
        r'"zero_point", "arg": \{"as_int": 3\}',
        '"zero_point", "arg": {"as_float": 3.5}',
        UnsupportedError,
        "a zero point between codes",
    ),
    "two scales": ("ranges", r'"as_float": 0.037\b', '"as_float": 0.04', UnsupportedError, "another way"),
    "arithmetic": ("tensors", "aten.permute.default", "aten.neg.default", UnsupportedError, "arithmetic on the codes"),
    "an axis": (
        "weights",
        r'"axis", "arg": \{"as_int": 0\}',
        '"axis", "arg": {"as_int": 1}',
        UnsupportedError,
        "along axis",
    ),
    "blocks": ("weights", r'"as_ints": \[1, 4\]', '"as_ints": [1, 5]', UnsupportedError, "blocks"),
    "steps of another shape": (
        "brevitas_identities",
        r'(bitsmith.quantize.default".*?"lo", "arg": \{"as_tensor": \{"name": ")[^"]*',
        r"\1x",
        UnsupportedError,
        "computed from the inputs",
    ),
    "a rounding": ("brevitas_images", '"as_string": "floor"', '"as_string": "up"', UnsupportedError, "rounding"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_programs_that_make_no_sense_are_refused(case: str, tmp_path: Path) -> None:
    name, old, new, error, why = REFUSED[case]
    path = _changed(name, tmp_path / "model.pt2", lambda text: re.sub(old, new, text, count=1))
    with pytest.raises(error, match=why):
        read_model(path)


def test_fake_quantization_of_live_modules() -> None:
    """torch exports it for a fixed number of samples only; weights have a scale for each channel, data one."""
    torch = pytest.importorskip("torch")

    class Trained(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(6, 5)
            self.register_buffer("scales", torch.tensor([0.1, 0.2, 0.05, 0.3, 0.15]))
            self.register_buffer("zeros", torch.zeros(5, dtype=torch.int32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scales = self.scales, self.zeros, 0, -8, 7
            weight = torch.fake_quantize_per_channel_affine(self.linear.weight, *scales)
            x = torch.fake_quantize_per_tensor_affine(x, 0.1, 3, 0, 255)
            y = torch.relu(torch.nn.functional.linear(x, weight, self.linear.bias))
            return torch.fake_quantize_per_tensor_affine(
                y, torch.tensor(0.125), torch.zeros(1, dtype=torch.int32), 0, 15
            )

    torch.manual_seed(0)
    module = Trained().eval()
    x = np.random.default_rng(0).integers(-64, 512, (50, 6)) / 32.0
    network = read_model(module, ReadOptions(input_shape=((6,),)))
    with torch.no_grad():
        wanted = module(torch.from_numpy(x.astype(np.float32))).numpy()
    np.testing.assert_array_equal(network.evaluate([x])[network.outputs[0]], wanted)
    kinds = {type(node.layer).__name__ for node in network.nodes}
    assert kinds == {"Input", "Quantize", "Dense", "ReLU"}


def test_zero_points_between_codes_of_tables() -> None:
    """PT2E's quantizer of embeddings has them: folded codes, and trained numbers that the program rounds to codes."""
    torch = pytest.importorskip("torch")
    from torch.ao.quantization.fx import _decomposed  # noqa: F401  (its operators)

    ops = torch.ops.quantized_decomposed

    class Rows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("codes", torch.randint(0, 256, (10, 4), dtype=torch.uint8))
            self.rows = torch.nn.Parameter(torch.randn(10, 4))
            self.register_buffer("scales", torch.rand(10) / 50 + 0.01)
            self.register_buffer("zeros", 100.0 + torch.rand(10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            grid = self.scales, self.zeros, 0, 0, 255, torch.uint8
            tables = self.codes, ops.quantize_per_channel(self.rows, *grid)
            return torch.cat([torch.embedding(ops.dequantize_per_channel(codes, *grid), x) for codes in tables], -1)

    torch.manual_seed(0)
    module, x = Rows(), np.arange(10).reshape(5, 2)
    wanted = module(torch.from_numpy(x)).detach().numpy()
    network = read_model(module, ReadOptions(example=torch.from_numpy(x)))
    np.testing.assert_allclose(network.evaluate([x.astype(float)])[network.outputs[0]], wanted, rtol=1e-6)
