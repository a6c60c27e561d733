"""Models of QKeras and of qkeras-v3, against what these make of the same inputs (``qkeras/make.py``)."""

from __future__ import annotations

import io
import json
import re
import sys
import warnings
import zipfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from tests.properties import JUDGED, few

from bitsmith.converters import convert
from bitsmith.errors import BitsmithError, FidelityWarning, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.quantizers.arguments import SIGNATURES
from bitsmith.frontends.keras.quantizers.quantizers import read_quantizer
from bitsmith.frontends.keras.read import read_keras
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.layers.dense import Dense
from bitsmith.passes.program.load import parameters

MODELS = Path(__file__).parent / "qkeras" / "models"
PAGE = Path(__file__).parents[2] / "docs" / "qkeras.md"

ROUNDED = {
    "activations": ("ulaw", "ulaw_symmetric", "po2_floor"),
    "dense": (
        *("bits_auto", "binary_auto", "ternary_auto", "linear_auto", "bias_linear_auto"),
        *("bias_bits_auto", "no_bias_quantizer"),
    ),
    "convolutions": ("whole_po2",),
    "arguments": ("ulaw_wide", "relu_po2_stochastic"),
}
"""Outputs that the frameworks themselves compute with rounding errors.

They are logarithms, products with scales that are no powers of two, and sums with a bias of single precision.
"""

TIES = {"text_hswish": 3.125, "text_hswish_alpha": 3.3125}
"""Operands that TensorFlow multiplies by 1 / 6 in single precision, so that they are just above a tie then."""

FLOAT = ("none", "float_dense", "k_none_e_True", "k_none_b_True", "d_none_e_True", "d_none_b_True")
"""Layers without a quantizer of their kernel, which get the formats of auto."""

FILES = (
    *(
        f"{name}_k2.h5"
        for name in ("activations", "arguments", "channels", "convolutions", "network", "normalized", "adaptive")
    ),
    *(
        "dense_k2.keras",
        "folded_k2.keras",
        "network_k2.keras",
        "network_k2.json",
        "recurrent_k2.keras",
        "states_k2.keras",
    ),
    *(f"{name}_k3.keras" for name in ("activations", "arguments", "channels", "convolutions", "dense", "folded")),
    *(f"{name}_k3.keras" for name in ("folded_dense", "network", "recurrent", "states")),
)

QUICK = [file for file in FILES if not file.startswith("recurrent") and ("_k3" in file or file.startswith("network"))]
"""Files of each format, without the longest ones."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """What a framework has made of ``inputs``, by the names of layers, and the trained tensors on their grids."""

    inputs: list[Array]
    outputs: list[Array]
    tensors: dict[str, Array]

    @staticmethod
    def of(file: str) -> Expected:
        with np.load(MODELS / f"{Path(file).stem}.npz") as stored:
            arrays = {key: stored[key].astype(np.float64) for key in stored.files}
        tensors = {key: values for key, values in arrays.items() if "/" in key}
        return Expected(_numbered(arrays, "x"), _numbered(arrays, "y"), tensors)


def _numbered(arrays: dict[str, Array], letter: str) -> list[Array]:
    return [arrays[f"{letter}{number}"] for number in range(len(arrays)) if f"{letter}{number}" in arrays]


@pytest.mark.parametrize("file", [pytest.param(file, marks=[] if file in QUICK else JUDGED) for file in FILES])
def test_equals_the_framework(file: str) -> None:
    name, expected = file.split("_k")[0], Expected.of(file)
    beside = {"dense": "'float_dense", "folded": "'k_none_e_True"}.get(name)
    with pytest.warns(FidelityWarning, match=f"{beside}.*bits=24") if beside else nullcontext():
        model = convert(MODELS / file)
    with warnings.catch_warnings():
        if name == "folded":  # where rounding before a quantizer decides, which is warned of
            warnings.simplefilter("ignore", FidelityWarning)
        results = model.predict(expected.inputs[0] if len(expected.inputs) == 1 else expected.inputs)
    results = results if isinstance(results, list | tuple) else [results]
    for layer, found, wanted in zip(_layers_of_outputs(file), results, expected.outputs, strict=True):
        if layer in FLOAT:
            assert np.abs(found - wanted).max() < 0.1, layer
        elif layer in ROUNDED.get(name, ()):
            # Far less than half a step of any grid here: the codes are the same.
            assert np.allclose(found, wanted, rtol=1e-6, atol=2e-6), layer
        elif layer in TIES and "k2" in file:
            assert set(expected.inputs[0][found != wanted]) <= {TIES[layer]}, layer
        else:
            assert np.array_equal(found, wanted), layer
    assert results


def _layers_of_outputs(file: str) -> list[str]:
    """The layers whose results the outputs are; an activation within a layer counts as the layer."""
    outputs = read_keras(MODELS / file).outputs
    known = (
        {key.split("/")[0] for key in Expected.of(file).tensors}
        | set(FLOAT)
        | {one for ones in ROUNDED.values() for one in ones}
    )
    return [
        next((name for name in known if output.startswith(f"{name}_") and output not in known), output)
        for output in outputs
    ]


@pytest.mark.parametrize("file", ["dense_k2.keras", "dense_k3.keras", "convolutions_k2.h5", "convolutions_k3.keras"])
def test_trained_tensors_are_on_the_framework_s_grid(file: str) -> None:
    nodes = {node.name: node for node in read_keras(MODELS / file).nodes}
    compared = 0
    for key, wanted in Expected.of(file).tensors.items():
        layer, part = key.split("/")
        if layer.startswith("separable"):
            continue
        name = "bias" if part == "bias" else "weight"
        found, grid = nodes[layer].layer.weights()[name], nodes[layer].quantizers[name]
        wanted = wanted.swapaxes(-1, -2) if layer.startswith("transposed") and name == "weight" else wanted
        codes = grid.codes(wanted.reshape(found.shape))
        assert np.array_equal(codes, grid.codes(found)), key
        assert np.allclose(found, wanted.reshape(found.shape), rtol=1e-6, atol=1e-6), key
        compared += 1
    assert compared > 10


@pytest.mark.parametrize("file", ["recurrent_k2.keras", "recurrent_k3.keras"])
def test_steps_share_the_tensors_of_a_cell_as_the_file_has_them(file: str) -> None:
    """What users give for a part of them is the whole."""
    with zipfile.ZipFile(MODELS / file) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        stored: list[Array] = []
        weights.visititems(
            lambda _, entry: stored.append(np.asarray(entry, float)) if hasattr(entry, "dtype") else None
        )
    steps: dict[tuple[str, str], set[int]] = {}
    for node in read_keras(MODELS / file).nodes:
        for name, values in node.layer.weights().items() if isinstance(node.layer, Dense) else ():
            layout, grid = node.layouts.get(name) or ModelLayout.plain(values.shape), node.quantizers[name]
            own = (layout.taken(one) for one in stored if one.shape == layout.shape)
            assert any(np.array_equal(grid.codes(one), grid.codes(values)) for one in own), node.name
            steps.setdefault((re.sub(r"_step\d+", "", node.name), name), set()).add(id(values))
    assert len(steps) > 20 and all(len(arrays) == 1 for arrays in steps.values())


class LiveModel:
    """What a live model shows of itself."""

    def __init__(self, text: str, weights: dict[str, list[npt.NDArray[np.generic]]]) -> None:
        self.text, self.name = text, "live"
        self.layers = [LiveLayer(name, values) for name, values in weights.items()]

    def to_json(self) -> str:
        return self.text


class LiveLayer:
    """A layer of one."""

    def __init__(self, name: str, weights: list[npt.NDArray[np.generic]]) -> None:
        self.name, self._weights = name, weights

    def get_weights(self) -> list[npt.NDArray[np.generic]]:
        return self._weights


def test_live_models_are_read() -> None:
    with h5py.File(MODELS / "network_k2_weights.h5") as file:
        weights = {layer: [group[name][()] for name in group.attrs["weight_names"]] for layer, group in file.items()}
    model = LiveModel((MODELS / "network_k2.json").read_text(), weights)
    expected = Expected.of("network_k2.json")
    assert np.array_equal(convert(model).predict(expected.inputs[0]), expected.outputs[0])


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "quantized_bits(6,0,alpha=__import__('os'))",
        "quantized_bits(6",
        "quantized_bits(6,0))",
        "quantized_bits(alpha=1,6)",
        "quantized_bits(bits=6,bits=7)",
        "quantized_bits(6,6,6,6,6,6,6,6,6,6,6,6,6,6,6,6,6,6)",
        "quantized_bits(" + "1," * 1000 + "1)",
        "quantized_bits(0)",
        "quantized_bits(1000000000)",
        "quantized_bits(8,1000000)",
        "quantized_bits(8,0.5)",
        "quantized_bits(8,0,alpha='best')",
        "quantized_bits(8,0,alpha=0)",
        "quantized_bits(8,0,nonsense=1)",
        "quantized_relu(8,0,negative_slope=0.3)",
        "quantized_relu(8,0,negative_slope=-1)",
        "quantized_relu(2,0,negative_slope=0.0625)",
        "quantized_relu(8,0,relu_upper_bound=-1,is_quantized_clip=False)",
        "quantized_tanh(16,use_real_tanh=True)",
        "quantized_hswish(16)",
        "quantized_hswish(8,0,relu_shift=0)",
        "quantized_sigmoid(4,16)",
        "quantized_tanh(4,symmetric=-1)",
        "quantized_sigmoid(4,0.5)",
        "quantized_po2(4,-1)",
        "quantized_po2(4,log2_rounding='up')",
        "quantized_ulaw(1)",
        "quantized_ulaw(13)",
        "quantized_ulaw(4,0,0,0)",
        "ternary(1,threshold=-0.5)",
        "ternary('auto',number_of_unrolls=1000000000)",
        "quantized_bits(8,0,qnoise_factor=0.5)",
        "bernoulli()",
        "quantized_nothing(8)",
    ],
)
def test_a_quantizer_that_is_wrong_is_one_error(text: str) -> None:
    with pytest.raises(BitsmithError):
        read_quantizer(text, "layer 'q'", 2)


@pytest.mark.parametrize(
    "value",
    [
        3,
        ["quantized_bits"],
        {"class_name": 3},
        {"class_name": "quantized_bits", "config": [8]},
        {"class_name": "quantized_bits", "config": {"bits": "8"}},
        {"class_name": "quantized_bits", "config": {"bits": 8, "integer": [[1], [2, 3]]}},
        {"class_name": "quantized_bits", "config": {"bits": 8, "integer": [1, 2], "alpha": [1.0, 2.0, 3.0]}},
        {"class_name": "quantized_bits", "config": {"bits": 8, "alpha": {"class_name": "__numpy__", "config": {}}}},
    ],
)
def test_a_serialized_quantizer_that_is_wrong_is_one_error(value: object) -> None:
    with pytest.raises(ModelFileError):
        read_quantizer(value, "layer 'q'", 2)  # type: ignore[arg-type]


def _changed(tmp_path: Path, change: dict[str, object], layer: str) -> Path:
    """The network's JSON with another configuration of a layer, beside its weights."""
    model = json.loads((MODELS / "network_k2.json").read_text())
    for one in model["config"]["layers"]:
        if one["config"]["name"] == layer:
            one["config"] |= change
    path = tmp_path / "network_k2.json"
    path.write_text(json.dumps(model))
    (tmp_path / "network_k2_weights.h5").write_bytes((MODELS / "network_k2_weights.h5").read_bytes())
    return path


@pytest.mark.parametrize(
    ("layer", "change", "said"),
    [
        ("relu1", {"activation": "quantized_bits(8,0,alpha='auto')"}, "alpha auto"),
        ("relu1", {"activation": "bernoulli()"}, "random"),
        ("dense1", {"kernel_quantizer": "bernoulli()"}, "random"),
        ("dense1", {"kernel_quantizer": {"class_name": "Mine", "config": {}}}, "Mine"),
        ("conv2", {"folding_mode": "other"}, "folding_mode"),
        ("conv2", {"axis": [1]}, "axis"),
        ("dense1", {"kernel_quantizer": {"class_name": "quantized_bits", "config": {"alpha": [1.0, 2.0]}}}, "shape"),
        ("dense1", {"kernel_quantizer": {"class_name": "binary", "config": {"alpha": [1.0, 2.0]}}}, "shape"),
    ],
)
def test_what_cannot_be_honored_is_refused(tmp_path: Path, layer: str, change: dict[str, object], said: str) -> None:
    with pytest.raises(BitsmithError, match=said):
        read_keras(_changed(tmp_path, change, layer))


def test_an_alpha_of_several_numbers_scales_channels(tmp_path: Path) -> None:
    alpha = {"class_name": "__numpy__", "config": {"value": [0.5, 1.0, 0.75, 2.0, 1.0, 0.25], "dtype": "float32"}}
    kernel = {"class_name": "quantized_bits", "config": {"bits": 4, "integer": 0, "alpha": alpha}}
    network = read_keras(_changed(tmp_path, {"kernel_quantizer": kernel}, "dense1"))
    node = next(node for node in network.nodes if node.name == "dense1")
    steps = node.layer.weights()["weight"] / (np.array(alpha["config"]["value"]) / 8)
    assert np.array_equal(steps, np.rint(steps))
    assert np.abs(steps).max() <= 8


def _chain(shape: list[int], kind: str, config: dict[str, object], *tensors: npt.NDArray[np.generic]) -> LiveModel:
    """A model of one layer."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [None, *shape]}},
        {"class_name": kind, "config": {"name": "it", **config}},
    ]
    config = {"name": "m", "layers": layers}
    text = json.dumps({"class_name": "Sequential", "config": config, "keras_version": "2.14.0"})
    return LiveModel(text, {"x": [], "it": [*tensors]})


@pytest.mark.parametrize("variance", [[1.0, -1.0], [-0.001, 2.0]])
def test_a_folded_normalization_needs_positive_variances(variance: list[float]) -> None:
    tensors = [np.ones((3, 2)), *[np.ones(2)] * 4, np.array(variance)]
    with pytest.raises(ModelFileError, match="the variance is negative"):
        read_keras(_chain([3], "QDenseBatchnorm", {"units": 2}, *tensors))


def test_a_normalization_takes_its_mean_to_beta() -> None:
    """Exactly: beta may be a tie of the quantizer after it, as any number on a grid."""
    mean, beta, variance = [0.5, -0.25, 1.0, 2.0], [0.125, 2.0, -1.0, 0.5], [0.25, 1.0, 4.0, 0.0625]
    tensors = [np.array(one) for one in ([1.0] * 4, beta, mean, variance)]
    network = read_keras(_chain([4], "QBatchNormalization", {"axis": [1]}, *tensors))
    assert network.evaluate([np.array([mean])])["it"].tolist() == [beta]


@pytest.mark.parametrize(
    ("opening", "steps", "said"),
    [("hard_sigmoid", 4, "finer from step to step"), ("quantized_sigmoid(5)", 6, "gain 5 bits in each of 6 steps")],
)
def test_a_state_that_nothing_quantizes_is_refused(opening: str, steps: int, said: str) -> None:
    config = {"units": 2, "recurrent_activation": opening, "activation": "quantized_tanh(6)", "state_quantizer": None}
    config |= {f"{part}_quantizer": "quantized_bits(5,0,alpha=1)" for part in ("kernel", "recurrent", "bias")}
    model = _chain([steps, 3], "QLSTM", config, np.zeros((3, 8)), np.zeros((2, 8)), np.zeros(8))
    with pytest.raises(UnsupportedError, match=f"QLSTM.*{said}"):
        read_keras(model)


@pytest.mark.parametrize(("bits", "gained"), [(4, 3), ([4, 6], 5), ([6, 4], 5)])
def test_a_state_that_nothing_quantizes_gains_the_finest_of_a_kernel_s_places(
    bits: int | list[int], gained: int
) -> None:
    """Channels of a kernel may have steps of their own."""
    alpha = {"class_name": "__numpy__", "config": {"value": [2.0 ** (4 - b) for b in np.ravel(bits).tolist()]}}
    recurrent = {"class_name": "quantized_bits", "config": {"bits": 4, "integer": 0, "alpha": alpha}}
    steps = 24 // gained
    for count in (steps, steps + 1):
        model = _cell("QSimpleRNN", 1, "linear", None, recurrent_quantizer=recurrent, state_quantizer=None, steps=count)
        if count == steps:
            assert read_keras(model).outputs == ("it",)
        else:
            with pytest.raises(UnsupportedError, match=f"gain {gained} bits in each of {count} steps"):
                read_keras(model)


def test_scales_along_the_first_axis_are_refused_of_live_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """What decides is a global setting, which neither a layer nor a file tells."""
    backend = SimpleNamespace(image_data_format=lambda: "channels_first")
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(backend=backend))
    quantizer = type("quantized_bits", (), {"alpha": "auto_po2", "__module__": "qkeras.quantizers"})()
    model = LiveModel("{}", {"conv": []})
    model.layers[0].quantizers = [quantizer]
    with pytest.raises(UnsupportedError, match="set_image_data_format"):
        read_keras(model)


def test_the_page_tells_of_every_argument() -> None:
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    told = {name: " ".join(row[2:]) for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    for name, arguments in SIGNATURES.items():
        missing = [one for one in arguments if f"`{one}`" not in told[name]]
        assert not missing, (name, missing)


def test_what_qkeras_does_not_save_is_refused_of_live_models() -> None:
    quantizer = type("quantized_relu", (), {"relu_upper_bound": 3.0, "is_quantized_clip": False})()
    type(quantizer).__module__ = "qkeras.quantizers"
    model = LiveModel("{}", {"relu1": []})
    model.layers[0].quantizer = quantizer
    with pytest.raises(UnsupportedError, match=r"is_quantized_clip.*not save"):
        read_keras(model)


PLAIN = [
    ("QGRU", 3, "quantized_tanh(6)", "sigmoid", [[0.2316626, 0.0725600], [0.5274118, 0.2275438]]),
    ("QGRU", 3, "tanh", "quantized_sigmoid(6)", [[0.3161174, 0.0354099], [0.5460693, 0.2355673]]),
    ("QLSTM", 4, "tanh", "sigmoid", [[-0.1608989, 0.0228175], [-0.3553212, -0.0429391]]),
    ("QSimpleRNN", 1, "tanh", None, [[0.8446851, 0.8146244], [0.9523492, 0.8918025]]),
]
"""Cells with functions that nothing quantizes, and what QKeras 0.9.0 gives."""


def _spread(*shape: int) -> npt.NDArray[np.float32]:
    return (np.cos(np.arange(np.prod(shape))) * 0.9).reshape(shape).astype(np.float32)


def _cell(kind: str, gates: int, activation: str, opening: object, steps: int = 4, **more: object) -> LiveModel:
    """A sequence of steps of three channels, and a cell of two units."""
    config = {"units": 2, "activation": activation, "state_quantizer": "quantized_bits(8,0,alpha=1)"}
    config |= {f"{part}_quantizer": "quantized_bits(5,0,alpha=1)" for part in ("kernel", "recurrent", "bias")}
    config |= {"reset_after": False} | ({"recurrent_activation": opening} if opening else {}) | more
    return _chain([steps, 3], kind, config, _spread(3, 2 * gates), _spread(2, 2 * gates), _spread(2 * gates))


@pytest.mark.parametrize(("kind", "gates"), [("QGRU", 3), ("QLSTM", 4)])
def test_openings_may_have_a_scale_for_each_unit(kind: str, gates: int) -> None:
    x = np.rint(_spread(2, 4, 3).astype(np.float64) * 16) / 16
    results = []
    for scale in (0.5, [0.5, 0.5], [0.5, 0.25]):
        opening = {"class_name": "quantized_bits", "config": {"bits": 6, "integer": 0, "alpha": scale}}
        network = read_keras(_cell(kind, gates, "quantized_tanh(6)", opening))
        results.append(network.evaluate([x])[network.outputs[0]])
    np.testing.assert_array_equal(results[0], results[1])
    assert np.any(results[1] != results[2])


@pytest.mark.parametrize(("kind", "gates", "activation", "opening", "want"), PLAIN)
def test_functions_without_a_quantizer_are_approximate(
    kind: str, gates: int, activation: str, opening: str | None, want: list[list[float]]
) -> None:
    model = _cell(kind, gates, activation, opening)
    with pytest.raises(UnsupportedError, match="without a quantizer"):
        read_keras(model)
    network = read_keras(model, ReadOptions(allow_approximate=True))
    assert any("Approximate" in note and "without a quantizer" in note for note in network.notes)
    x = np.rint(_spread(2, 4, 3).astype(np.float64) * 16) / 16
    np.testing.assert_allclose(network.evaluate([x])[network.outputs[0]], want, atol=2e-6)


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
@few("kind, gates, after", [("QLSTM", 4, False), ("QGRU", 3, True), ("QGRU", 3, False)], fast=1, judged=True)
def test_loaded_tensors_are_those_of_all_steps(kind: str, gates: int, after: bool) -> None:
    """As in a model that has them: also in the first step, whose state is 0, so that its product is the bias."""
    before, other = (_cell(kind, gates, "quantized_tanh(6)", "quantized_sigmoid(6)", reset_after=after) for _ in "01")
    tensors = before.layers[1].get_weights()
    if after:
        tensors[2] = _spread(2, 2 * gates)
    other.layers[1].get_weights()[:] = [tensor[..., ::-1] for tensor in tensors]
    config = {"Model": {"Weights": "reloadable"}}
    loaded, wanted = (convert(model, config=config, allow_approximate=True, check=False) for model in (before, other))
    x = np.rint(np.random.default_rng(0).normal(size=(50, 4, 3)) * 16) / 16
    assert not np.array_equal(loaded.predict(x), wanted.predict(x))
    for layer, variable in parameters(loaded.program):
        number = 2 if variable == "bias" else int("_state" in layer)
        loaded.load_weights(layer, **{"bias" if number == 2 else "kernel": tensors[number][..., ::-1]})
    np.testing.assert_array_equal(loaded.predict(x), wanted.predict(x))
