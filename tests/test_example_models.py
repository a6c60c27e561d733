"""The example networks that ship: their files agree with each other and hold what the README says."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest

import bitsmith
from bitsmith.errors import ConfigError, ModelFileError, ProjectError
from bitsmith.utils.example_models import ExampleWarning, fetch_example_data, fetch_example_list, fetch_example_model

MODELS = Path(__file__).parents[1] / "src" / "bitsmith" / "data" / "models"
Arrays = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipped network: file stem, sizes from input to output, layer names, and its inputs' and hidden values' formats."""

    stem: str
    sizes: tuple[int, ...]
    names: tuple[str, ...]
    samples: int
    input_frac: int
    input_range: tuple[int, int]
    hidden_frac: int
    hidden_high: int


THREE_LAYER = Shipped(
    "bitsmith_3layer",
    (16, 64, 32, 32, 5),
    ("input_1", "fc1_relu", "fc2_relu", "fc3_relu", "output_softmax"),
    1000,
    input_frac=4,
    input_range=(-128, 127),
    hidden_frac=3,
    hidden_high=63,
)
DIGITS = Shipped(
    "digits",
    (64, 24, 16, 10),
    ("pixels", "fc1", "fc2", "output"),
    360,
    input_frac=4,
    input_range=(0, 31),
    hidden_frac=2,
    hidden_high=31,
)
SHIPPED = pytest.mark.parametrize("shipped", [THREE_LAYER, DIGITS], ids=lambda shipped: shipped.stem)


def three_layer_arrays() -> Arrays:
    """Kernels and biases, found as a Keras 2 loader finds them: through layer_names and weight_names."""
    arrays: Arrays = []
    with h5py.File(MODELS / "bitsmith_3layer_weights.h5") as file:
        assert tuple(name.decode() for name in file.attrs["layer_names"]) == THREE_LAYER.names
        for name in file.attrs["layer_names"]:
            group = file[name.decode()]
            found = [group[path.decode()][()] for path in group.attrs["weight_names"]]
            if found:
                kernel, bias = found
                arrays.append((kernel, bias))
    return arrays


def digits_arrays() -> Arrays:
    """Kernels and biases, found as a Keras 3 loader finds them: by class and counter."""
    arrays: Arrays = []
    content = zipfile.ZipFile(MODELS / "digits.keras").read("model.weights.h5")
    with h5py.File(io.BytesIO(content)) as file:
        for group, name in zip(("dense", "dense_1", "dense_2"), DIGITS.names[1:], strict=True):
            variables = file[f"layers/{group}/vars"]
            assert variables.attrs["name"] == name
            arrays.append((variables["0"][()], variables["1"][()]))
    return arrays


def arrays_of(shipped: Shipped) -> Arrays:
    return three_layer_arrays() if shipped is THREE_LAYER else digits_arrays()


def readme_row(stem: str) -> list[str]:
    """The cells of a model's row in the README's table, without its name."""
    lines = (MODELS / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{stem}` |")]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def signed_digits(value: int) -> int:
    """Non-zero digits in canonical signed-digit form, peeled off from the low end."""
    count = 0
    while value:
        if value % 2:
            value -= 2 - value % 4
            count += 1
        value //= 2
    return count


def test_the_files_are_there_and_small() -> None:
    found = {path.name: path.stat().st_size for path in MODELS.iterdir()}
    assert set(found) >= {
        "README.md",
        "bitsmith_3layer.json",
        "bitsmith_3layer_weights.h5",
        "bitsmith_3layer.config.json",
        "bitsmith_3layer_test.npz",
        "digits.keras",
        "digits.config.json",
        "digits_test.npz",
    }
    assert max(found.values()) < 100_000


@SHIPPED
def test_shapes_follow_the_topology(shipped: Shipped) -> None:
    shapes = [(kernel.shape, bias.shape) for kernel, bias in arrays_of(shipped)]
    assert shapes == [((n, m), (m,)) for n, m in zip(shipped.sizes, shipped.sizes[1:], strict=False)]


@SHIPPED
def test_every_weight_is_in_its_format(shipped: Shipped) -> None:
    for kernel, bias in arrays_of(shipped):
        assert kernel.dtype == bias.dtype == np.float32
        for array, low, high, frac in ((kernel, -8, 7, 2), (bias, -64, 63, 4)):
            raw = array * 2.0**frac
            np.testing.assert_array_equal(raw, np.rint(raw))
            assert low <= raw.min() and raw.max() <= high


@SHIPPED
def test_the_readme_counts_what_is_stored(shipped: Shipped) -> None:
    weights = nonzero = digits = adders = 0
    for kernel, bias in arrays_of(shipped):
        for column, offset in zip(kernel.T, bias, strict=True):
            per_weight = [signed_digits(round(float(4 * weight))) for weight in column]
            weights += column.size
            nonzero += int(np.count_nonzero(column))
            digits += sum(per_weight)
            adders += max(sum(per_weight) + (offset != 0) - 1, 0)
    assert readme_row(shipped.stem)[4:8] == [str(n) for n in (weights, nonzero, digits, adders)]


@SHIPPED
def test_integer_arithmetic_classifies_the_shipped_inputs(shipped: Shipped) -> None:
    with np.load(MODELS / f"{shipped.stem}_test.npz", allow_pickle=False) as file:
        inputs, labels = file["inputs"], file["labels"]
    assert inputs.dtype == np.float32 and labels.dtype == np.int32
    assert inputs.shape == (shipped.samples, shipped.sizes[0]) and labels.shape == (shipped.samples,)
    assert set(labels.tolist()) == set(range(shipped.sizes[-1]))

    scaled = np.floor(inputs.astype(np.float64) * 2**shipped.input_frac + 0.5).astype(np.int64)
    values, frac = np.clip(scaled, *shipped.input_range), shipped.input_frac
    *hidden, last = [(kernel, bias, 0, shipped.hidden_high, shipped.hidden_frac) for kernel, bias in arrays_of(shipped)]
    for kernel, bias, low, high, result_frac in (*hidden, (*last[:2], -512, 511, 4)):
        # Products have `frac + 2` fraction bits, which is never fewer than a bias's four.
        sums = values @ (kernel * 4).astype(np.int64) + ((bias * 16).astype(np.int64) << (frac - 2))
        drop = frac + 2 - result_frac
        values, frac = np.clip((sums + (1 << drop >> 1)) >> drop, low, high), result_frac
    accuracy = float(np.mean(np.argmax(values, axis=1) == labels))
    assert readme_row(shipped.stem)[3] == f"{100 * accuracy:.1f} %"


def test_keras2_architecture_chains_the_layers() -> None:
    model = json.loads((MODELS / "bitsmith_3layer.json").read_text(encoding="utf-8"))
    layers = model["config"]["layers"]
    assert model["class_name"] == "Model"
    assert tuple(layer["name"] for layer in layers) == THREE_LAYER.names
    assert tuple(layer["config"]["units"] for layer in layers[1:]) == THREE_LAYER.sizes[1:]
    assert [layer["config"]["activation"] for layer in layers[1:]] == ["relu", "relu", "relu", "softmax"]
    assert layers[0]["config"]["batch_input_shape"] == [None, 16]
    sources = [layer["inbound_nodes"] for layer in layers[1:]]
    assert sources == [[[[name, 0, 0, {}]]] for name in THREE_LAYER.names[:-1]]


@SHIPPED
def test_the_configuration_names_every_layer(shipped: Shipped) -> None:
    config = json.loads((MODELS / f"{shipped.stem}.config.json").read_text(encoding="utf-8"))
    *hidden, last = shipped.names[1:]
    activations = [f"{name}_relu" for name in hidden] + [f"{last}_softmax"]
    assert set(config["LayerName"]) == {*shipped.names, *activations}
    high = shipped.hidden_high
    width, integer = high.bit_length(), high.bit_length() - shipped.hidden_frac
    for name in hidden:
        assert config["LayerName"][f"{name}_relu"] == {"Precision": {"result": f"ufixed<{width},{integer},RND,SAT>"}}
        assert config["LayerName"][name]["Precision"] == {"weight": "fixed<4,2>", "bias": "fixed<7,3>"}


def test_nothing_tells_where_the_files_were_made() -> None:
    pattern = re.compile(rb"/(home|root|tmp|usr|work|Users)/|[A-Z]:\\\\")
    for path in MODELS.iterdir():
        contents = [path.read_bytes()]
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        assert not any(pattern.search(content) for content in contents), path.name


def _no_network(*args: object, **options: object) -> str:
    raise OSError("no network")


def test_without_a_network_ours_stands_in_for_the_public_model_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pooch.retrieve", _no_network)
    with pytest.warns(
        ExampleWarning, match=r"KERAS_3layer\.json is now bitsmith_3layer\.json, which comes with bitsmith"
    ):
        config = fetch_example_model("KERAS_3layer.json")
    assert (config["KerasJson"], config["KerasH5"]) == ("KERAS_3layer.json", "KERAS_3layer_weights.h5")
    assert Path("KERAS_3layer.json").read_bytes() == (MODELS / "bitsmith_3layer.json").read_bytes()
    ours = fetch_example_model("bitsmith_3layer.json")
    assert config["HLSConfig"] == ours["HLSConfig"]
    with pytest.raises(ModelFileError, match=r"without a network these work: bitsmith_3layer\.json, digits\.keras"):
        fetch_example_model("KERAS_conv1d.json")


@pytest.mark.parametrize(("name", "accuracy"), [("digits.keras", 0.95), ("bitsmith_3layer.json", 0.7)])
def test_data_of_an_example_belong_to_it(
    name: str, accuracy: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x, labels = fetch_example_data(name)
    weights = None if name.endswith(".keras") else "bitsmith_3layer_weights.h5"
    model = bitsmith.convert(name, "out", calibration=x, weights=weights)
    assert np.mean(model.predict(x).argmax(axis=1) == labels) > accuracy
    with pytest.raises(ConfigError, match=r"digits\.keras"):
        fetch_example_data("KERAS_3layer.json")


def test_a_public_model_is_the_public_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def retrieve(url: str, checksum: str, *, fname: str, **options: object) -> str:
        assert url.startswith("https://raw.githubusercontent.com/fastmachinelearning/example-models/")
        assert checksum == f"sha256:{public[fname]}"
        (tmp_path / f"cached_{fname}").write_text(fname)
        return str(tmp_path / f"cached_{fname}")

    public = json.loads((MODELS / "public.json").read_text())["sha256"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pooch.retrieve", retrieve)
    config = fetch_example_model("KERAS_3layer.json")
    assert config["HLSConfig"] == {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    assert Path(str(config["KerasH5"])).read_text() == "KERAS_3layer_weights.h5"
    assert set(fetch_example_list()) == {
        *("bitsmith_3layer.json", "digits.keras"),
        *(name for name in public if not name.endswith("_weights.h5")),
    }


@pytest.mark.parametrize("fetch", [fetch_example_data, fetch_example_model])
def test_a_file_that_cannot_be_written_is_named(
    fetch: Callable[[str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits.keras").mkdir()  # a superuser may write into any folder
    with pytest.raises(ProjectError, match=r"digits\.keras could not be written"):
        fetch("digits.keras")
