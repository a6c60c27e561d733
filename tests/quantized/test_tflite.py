"""TensorFlow Lite models against the reference kernels: each output byte. ``tflite/make.py`` writes what is compared with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import every

import bitsmith
from bitsmith.converters import convert_from_config, convert_from_tflite_model
from bitsmith.errors import ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import constant
from bitsmith.frontends.tflite.call import Call
from bitsmith.frontends.tflite.graph import Operator, Options, read_graph
from bitsmith.frontends.tflite.read import read_tflite
from bitsmith.frontends.tflite.requantize import Kernels
from bitsmith.frontends.tflite.softmax import quotients, softmax
from bitsmith.frontends.tflite.tensors import Quantization, Tensor
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.utils import config_from_tflite_model

_MODELS = Path(__file__).parent / "tflite" / "models"

Arrays = dict[str, npt.NDArray[np.generic]]


@cache
def _file(name: str) -> Arrays:
    return dict(np.load(_MODELS / f"{name}.npz"))


def _names(file: str) -> list[str]:
    return sorted(key.removesuffix("/model") for key in _file(file) if key.endswith("/model"))


_LONG = re.compile(
    "(dense|conv|transposed|depthwise)_int16|_uint8_(strided|wide)|image|lstm|(nearest|bilinear)_(int16|uint8|int8_shrunk)"
)
"""Models that take a second or more to convert."""


def _cases() -> Iterator[object]:
    for file in ("int8", "uint8", "int16", "more"):
        for name in _names(file):
            yield pytest.param(file, name, id=name, marks=[pytest.mark.slow] if _LONG.search(name) else [])
    for name in _names("networks"):
        yield pytest.param("networks", name, id=name, marks=[] if name == "mlp_int8_codes" else [pytest.mark.slow])


def _listed(stored: Arrays, name: str, kind: str) -> list[npt.NDArray[np.generic]]:
    return [stored[f"{name}/{kind}{k}"] for k in range(9) if f"{name}/{kind}{k}" in stored]


def _compared(file: str, name: str, rounding: str) -> None:
    stored = _file(file)
    inputs, wanted = _listed(stored, name, "x"), _listed(stored, name, rounding)
    model = bitsmith.convert(stored[f"{name}/model"].tobytes(), rounding=rounding, check=False)
    found = model.predict(inputs if len(inputs) > 1 else inputs[0])
    results = found if isinstance(found, list | tuple) else [found]
    assert len(results) == len(wanted)
    for result, right in zip(results, wanted, strict=True):
        # Kernels round floating point to single precision once, at its output.
        np.testing.assert_array_equal(np.asarray(result, dtype=right.dtype), right)


@every("file, name", [*_cases()], step=5)
def test_every_byte_is_that_of_the_reference_kernels(file: str, name: str) -> None:
    _compared(file, name, "single")


@pytest.mark.parametrize("name", ["dense_int8_channels", "dense_int8_keep", "dense_int8_image"])
def test_older_kernels_round_twice(name: str) -> None:
    stored = _file("int8")
    assert not np.array_equal(stored[f"{name}/single0"], stored[f"{name}/double0"])
    _compared("int8", name, "double")


def test_kernels_differ_in_fully_connected_layers() -> None:
    for file in ("int8", "uint8", "int16", "networks", "more"):
        for name in _names(file):
            once, twice = (_listed(_file(file), name, rounding) for rounding in ("single", "double"))
            same = all(np.array_equal(x, y) for x, y in zip(once, twice, strict=False))
            # Of sums without a bias older kernels keep 32 bits instead of 64 in transposed convolutions, too.
            assert same or name.startswith(("dense", "mlp", "cnn", "sequence", "residual_int16")), name


def _mlp() -> bytes:
    return _file("networks")["mlp_int8_codes/model"].tobytes()


def test_the_names_that_users_know(tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(_mlp())
    x, wanted = _file("networks")["mlp_int8_codes/x0"], _file("networks")["mlp_int8_codes/single0"]
    for model in (
        bitsmith.convert(file, tmp_path / "out"),
        convert_from_tflite_model(str(file), tmp_path / "out", hls_config=config_from_tflite_model(file)),
        convert_from_config({"TfliteModel": str(file), "OutputDir": str(tmp_path / "out")}),
    ):
        np.testing.assert_array_equal(model.predict(x), wanted)
        assert any("round once" in note for note in model.notes)
    assert any("round twice, as" in note for note in read_tflite(file, "double").notes)
    with pytest.raises(ConfigError, match="single, double"):
        bitsmith.convert(file, rounding="thrice")
    with pytest.raises(ConfigError, match="rounding"):
        bitsmith.convert(tmp_path / "model.onnx", rounding="single")
    with pytest.raises(ConfigError, match=r"weights: .*TensorFlow Lite"):
        bitsmith.convert(file, weights="w.h5")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mixed", "beside quantized ones"),
        ("unknown", "MATRIX_DIAG"),
        ("top", "greatest elements without a tensor for their places"),
        ("quotient", "DIV of 16 bits.*(.|\\n)*accepted: 8 bits"),
        ("zero", "a division by 0"),
        ("sum", "SUM of 16 bits.*(.|\\n)*accepted: 8 bits"),
        ("narrow", "FAKE_QUANT with narrow_range"),
        ("overflow", "may wrap around"),
        ("dead_dense", "2.5e[+]08 times as fine as .* may wrap around(.|\\n)*representative data"),
        ("dead_conv", "2.5e[+]08 times as fine as .* may wrap around(.|\\n)*representative data"),
        ("fine", "1e[+]05 times as fine as .* may wrap around"),
        ("fine_add", "a sum 1.25e[+]06 times as fine as its coarser operand(.|\\n)*less than 524288 times"),
        ("fine_sub", "a sum 1.25e[+]06 times as fine as its coarser operand(.|\\n)*less than 524288 times"),
        ("vela", "custom operator ethos-u.*give the .tflite that it was compiled from"),
        ("shape", r"an input of shape .2,., whose first axis is not (.|\n)*what chooses a shape must be a constant"),
        ("codes", "SQRT.*: its kernel's arithmetic is not translated(.|\\n)*accepted: (?!SQRT)"),
        ("resource", "an input of resource"),
    ],
)
def test_what_is_not_exact_is_refused_by_name(name: str, words: str) -> None:
    with pytest.raises((UnsupportedError, ModelFileError), match=words):
        read_tflite(_file("refused")[name].tobytes())


def test_the_only_axis_of_a_bias_has_its_scales_whatever_the_file_says() -> None:
    network = read_tflite(_file("refused")["axis"].tobytes())
    (dense,) = (node.layer for node in network.nodes if isinstance(node.layer, Dense))
    assert dense.bias is not None
    np.testing.assert_array_equal(dense.bias, [5, 6, 7])


def test_graphs_that_are_left_out_are_said() -> None:
    network = read_tflite(_MODELS / "two_signatures.tflite")
    assert [note for note in network.notes if "'shifted'" in note] and not any(
        "'scaled'" in note for note in network.notes
    )
    found = network.evaluate([np.array([[1.0, 2.0, -3.0, 4.0]])])[network.outputs[0]]
    np.testing.assert_array_equal(found, [[0.5, 1.0, 0.0, 2.0]])


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 64, b"\x18\0\0\0TFL3", b"\xff" * 4 + b"TFL3" + b"\xff" * 64])
def test_other_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    for source in (content, file):
        with pytest.raises(ModelFileError):
            read_tflite(source)
    with pytest.raises(ModelFileError):
        read_tflite(tmp_path / "nowhere.tflite")
    with pytest.raises(ModelFileError):
        read_tflite(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lstm_int8", "lstm_int8_coupled", "lstm_int8_clipped"])
def test_codes_of_gates_lie_one_after_the_other_as_in_the_file_and_steps_share_them(name: str) -> None:
    """In places of their own are those of the operands (1 to 4), of the state (5 to 8), and biases (12 to 15)."""
    content = _file("int8")[f"{name}/model"].tobytes()
    (tensors,) = (one.inputs for one in read_graph(content).operators if len(one.inputs) > 15)
    wanted = [
        np.stack([one.array() for one in tensors[first : first + 4] if one is not None and one.data is not None])
        for first in (1, 5, 12)
    ]
    arrays = set()
    for node in (one for one in read_tflite(content).nodes if isinstance(one.layer, Dense)):
        first = 1 if node.name.endswith("_recurrent") else 0
        for number, (key, values) in enumerate(node.layer.weights().items()):
            codes = wanted[first + 2 * number]
            assert node.layouts[key].shape == codes.shape
            np.testing.assert_array_equal(
                node.layouts[key].taken(codes.astype(np.float64)).reshape(values.shape), values
            )
            arrays.add(id(values))
    assert len(arrays) == 3


@pytest.mark.parametrize("name", ["lstm_int8", "lstm_int8_coupled"])
def test_biases_that_gates_lack_are_0(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    stored, found = _file("int8"), []
    for bias in (lambda call, number, units: None, lambda call, number, units: np.zeros(units, np.int64)):
        monkeypatch.setattr(Call, "bias", bias)
        network = read_tflite(stored[f"{name}/model"].tobytes())
        found.append(network.evaluate([stored[f"{name}/x0"].astype(np.float64)])[network.outputs[0]])
    np.testing.assert_array_equal(*found)
    assert np.ptp(found[0]) > 0


def softmax_of(x: npt.NDArray[np.int8], beta: float) -> npt.NDArray[np.float64]:
    """The softmax of codes with steps of 1/2, as codes with steps of 1/256 less those of 0."""
    grids = (
        Quantization(np.array([step], np.float32), np.array([zero]), 0) for step, zero in ((0.5, 3), (2**-8, -128))
    )
    one, result = (Tensor(k, "xy"[k], "int8", x.shape, x.shape, grid, None, "xy"[k]) for k, grid in enumerate(grids))
    operator = Operator("SOFTMAX", (one,), (result,), (), Options({"beta": beta}, "y"), "y")
    value = constant(x.astype(np.float64) - 3)
    found = softmax(Call(operator, (value,), Builder(Draft(), 0, "y", samples=1), Kernels.SINGLE)).constant
    assert found is not None
    return found


def high_product(x: int, y: int) -> int:
    """gemmlowp's SaturatingRoundingDoublingHighMul, of operands whose product does not saturate."""
    product = x * y
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return nudged >> 31 if nudged >= 0 else -(-nudged >> 31)


def kernel_code(exponential: int, total: int) -> int:
    """The code of an exponential as TensorFlow Lite's reference kernel computes it, number by number."""
    headroom = 32 - total.bit_length()
    half = total << headroom >> 1
    x = 1515870810 + high_product(half, -1010580540)
    for _ in range(3):
        x += 4 * high_product(x, (1 << 29) - high_product(half, x))
    scaled = high_product(min(2 * x, (1 << 31) - 1), exponential)
    exponent = 35 - headroom
    return min((scaled >> exponent) + ((scaled >> exponent - 1) & 1), 255)


@pytest.mark.parametrize(("scale", "count"), [(0.1446, 12), (0.17, 10), (0.1, 31), (0.0147, 2), (0.03, 3), (0.5, 1)])
def test_whole_quotients_are_the_codes_of_the_kernels(scale: float, count: int) -> None:
    """Of totals at random, and of those where the code steps; some are exceptions."""
    rng = np.random.default_rng(count)
    exponentials = np.floor(np.exp(scale * np.arange(-255, 1)) * (2.0**31 - 1)).astype(np.int64)
    exponentials[::40] &= -(1 << 14)  # whose quotients are whole more often
    found = quotients(exponentials, count)
    assert found is not None
    parts = exponentials + (1 << 11) >> 12
    exceptional = [(place, int(at)) for _, row in found.exceptions for place, at in enumerate(row) if at]
    tried = [*exceptional, (255, int(parts[-1]))]
    for place, step, beside in zip(*(rng.integers(*ends, 3000) for ends in ((0, 255), (1, 256), (-3, 4))), strict=True):
        least, most = int(parts[-1] + parts[place]), count * int(parts[-1])
        near = int(exponentials[place] << 9) // ((2 * int(step) - 1) << 12) + int(beside)
        tried += [(int(place), near)] if least <= near <= most else []
        tried += [(int(place), int(rng.integers(least, most + 1)))] if least <= most else []
    for place, total in tried:
        code = min((int(found.numerators[place]) + total) // (2 * total), 256)
        code += sum(change for change, row in found.exceptions if row[place] == total)
        assert min(code, 255) == kernel_code(int(exponentials[place]), total), (place, total)
    assert count < 10 or exceptional


def test_many_classes_have_the_reciprocal_of_the_kernels() -> None:
    assert quotients(np.array([0, (1 << 31) - 1]), 32) is None


def test_what_the_reciprocal_is_of_takes_no_more_bits_than_it_has() -> None:
    """Half of a normalized sum, which is from ``2**31`` to ``2**32``."""
    grids = (
        Quantization(np.array([step], np.float32), np.array([zero]), 0) for step, zero in ((0.5, 3), (2**-8, -128))
    )
    one, result = (Tensor(k, "xy"[k], "int8", (1, 40), (1, 40), grid, None, "xy"[k]) for k, grid in enumerate(grids))
    build = Builder(Draft(), 0, "y", samples=1)
    x = build.emit(Input((40,)))
    softmax(
        Call(Operator("SOFTMAX", (one,), (result,), (), Options({"beta": 1.0}, "y"), "y"), (x,), build, Kernels.SINGLE)
    )
    (half,) = (node.layer for node in build.draft.nodes if node.suffix.endswith("half"))
    assert isinstance(half, Quantize)
    assert (half.quantizer.lo, half.quantizer.hi) == (1 << 30, (1 << 31) - 1)


@pytest.mark.parametrize("beta", [1.0, 0.125])
@pytest.mark.parametrize("size", [1, 2, 3, 100, 1025, 4095])
def test_softmax_of_any_length_is_within_a_code_of_the_real_one(size: int, beta: float) -> None:
    """Also where all are equal; sums of more exponentials than 4,095 may not fit into the kernels' 32 bits."""
    rng = np.random.default_rng(size)
    for x in (rng.integers(-128, 128, (2, size)), np.full((2, size), 7)):
        real = np.exp(0.5 * beta * (x - x.max(-1, keepdims=True)))
        wanted = np.minimum(256 * real / real.sum(-1, keepdims=True), 255)
        assert np.abs(softmax_of(x.astype(np.int8), beta) - wanted).max() <= 1.0
    with pytest.raises(UnsupportedError, match="SOFTMAX of 4096 elements"):
        softmax_of(np.zeros((2, 4096), np.int8), beta)
