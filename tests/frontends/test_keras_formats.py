"""One model through every file format of Keras 2 and 3; names and weights must come out the same."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops
from keras_samples import assert_same, inputs_of, keras2_json, randomised, save, save_keras2

from bitsmith.converters import convert, convert_from_config
from bitsmith.errors import ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.read import read_model
from bitsmith.layers.activation import ReLU
from bitsmith.layers.network import Network


def nested_model() -> Any:
    """Nested and shared parts, two inputs, four outputs; works in the formats of both versions."""
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    encoder = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, activation="relu", name="fc"), layers.BatchNormalization(name="bn")],
        name="encoder",
    )
    x = keras.Input((6,), name="x")
    inner = keras.Model(
        x,
        [layers.Dense(5, name="e", activation="tanh")(x), layers.Dense(5, name="f")(layers.Dense(4, name="g")(x))],
        name="inner",
    )
    shared = layers.Dense(5, name="shared")
    a, b = encoder(left), encoder(right)
    p, q = inner(left)
    r, s = inner(right)
    joined = layers.Concatenate(name="joined")([a, layers.LeakyReLU(negative_slope=0.2, name="leaky")(b), p])
    fin = layers.Dense(3, name="fc2", activation="softmax")(joined)
    total = layers.Add(name="total")([q, r, s, shared(a), shared(shared(b))])
    return randomised(keras.Model([right, left], [total, fin, left, p], name="whole"))


@pytest.fixture(scope="module")
def model() -> Any:
    return nested_model()


@pytest.fixture(scope="module")
def files(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    save(model, folder / "model.keras")
    save(model, folder / "model.h5")
    (folder / "arch.json").write_text(model.to_json())
    save(model, folder / "arch.weights.h5")
    save_keras2(model, folder)
    return folder


FORMATS = ["model.keras", "model.h5", "arch.json", "old.json", "whole.h5"]

NAMES = [
    "right",
    "left",
    "f",
    "g",
    "e",
    "e_tanh",
    "f_1",
    "g_1",
    "e_1",
    "e_1_tanh",
    "fc",
    "fc_relu",
    "bn",
    "fc_1",
    "fc_1_relu",
    "bn_1",
    "leaky",
    "joined",
    "fc2",
    "fc2_softmax",
    "shared",
    "shared_1",
    "shared_2",
    "total",
]


@pytest.mark.parametrize("name", FORMATS)
def test_format(name: str, files: Path, model: Any) -> None:
    network = read_keras(files / name)
    assert sorted(node.name for node in network.nodes) == sorted(NAMES)
    assert network.inputs == ("right", "left")
    assert network.outputs == ("total", "fc2_softmax", "left", "e_tanh")
    assert network.name == "whole"
    assert_same(network, model)


def test_live_model_gives_what_its_file_gives(files: Path, model: Any) -> None:
    live, stored = read_keras(model), read_keras(str(files / "model.keras"))
    assert [(node.name, node.inputs, node.source) for node in live.nodes] == [
        (node.name, node.inputs, node.source) for node in stored.nodes
    ]
    for one, other in zip(live.nodes, stored.nodes, strict=True):
        for name, values in one.layer.weights().items():
            np.testing.assert_array_equal(values, other.layer.weights()[name])


def test_weights_named_or_found_beside(files: Path, model: Any, tmp_path: Path) -> None:
    shutil.copy(files / "arch.json", tmp_path / "a.json")
    with pytest.raises(ModelFileError, match=r"no weights beside[\s\S]*name them: weights="):
        read_keras(tmp_path / "a.json")
    with pytest.raises(ModelFileError, match=r"absent\.h5: cannot be opened[\s\S]*check the path"):
        read_keras(tmp_path / "a.json", ReadOptions(weights=tmp_path / "absent.h5"))
    assert_same(read_keras(tmp_path / "a.json", ReadOptions(weights=files / "arch.weights.h5")), model)
    assert_same(read_keras(tmp_path / "a.json", ReadOptions(weights=files / "old_weights.h5")), model)
    shutil.copy(files / "old_weights.h5", tmp_path / "a.h5")
    assert_same(read_keras(tmp_path / "a.json"), model)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_other_weights_than_the_files_own(name: str, files: Path, tmp_path: Path) -> None:
    other = randomised(nested_model(), seed=5)
    save(other, tmp_path / "other.weights.h5")
    assert_same(read_keras(files / name, ReadOptions(weights=tmp_path / "other.weights.h5")), other)
    with pytest.raises(ModelFileError, match="has its own"):
        read_keras(other, ReadOptions(weights=tmp_path / "other.weights.h5"))


def _keras_213(source: Path, target: Path) -> Path:
    """A Keras 3 archive as Keras 2.13 would have written it."""
    with zipfile.ZipFile(source) as archive:
        config = json.loads(archive.read("config.json"))
        weights = archive.read("model.weights.h5")
    scratch = target.with_suffix(".weights.h5")
    scratch.write_bytes(weights)

    def rename(group: h5py.Group) -> None:
        if "layers" in group:
            group.move("layers", "_layer_checkpoint_dependencies")
        for child in group.values():
            if isinstance(child, h5py.Group):
                child.attrs.pop("name", None)
                rename(child)

    with h5py.File(scratch, "r+") as file:
        rename(file)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1", "date_saved": ""}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", scratch.read_bytes())
    return target


def test_archive_of_keras_2_13(files: Path, model: Any, tmp_path: Path) -> None:
    path = _keras_213(files / "model.keras", tmp_path / "old.keras")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = {key: value for key, value in keras2_json(model).items() if key != "keras_version"}
    members["config.json"] = json.dumps({"module": "keras.src.engine.functional", **config}).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert_same(read_keras(path), model)


def _of_windows(source: Path, target: Path) -> Path:
    """``source`` as some versions of Keras write it on Windows: groups of the root with paths for names."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in set(old.namelist()) - {"model.weights.h5"}:
            new.writestr(name, old.read(name))
        weights = io.BytesIO()
        with h5py.File(io.BytesIO(old.read("model.weights.h5")), "r") as nested, h5py.File(weights, "w") as flat:

            def copied(name: str, item: h5py.Group | h5py.Dataset) -> None:
                if name.endswith("/vars"):
                    nested.copy(item, flat.require_group(name.removesuffix("/vars").replace("/", "\\")), "vars")

            nested.visititems(copied)
            assert len(flat) > 1
        new.writestr("model.weights.h5", weights.getvalue())
    return target


def test_archive_of_windows(files: Path, model: Any, tmp_path: Path) -> None:
    path = _of_windows(files / "model.keras", tmp_path / "windows.keras")
    assert_same(read_keras(path), model)


@pytest.mark.parametrize("name", ["attention", "recurrent", "tables", "linformer", "salt_clustered"])
def test_sub_layers_in_archives_of_windows(name: str, tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "quantized" / "hgq2_tables" / "models" / f"{name}.keras"
    networks = [read_keras(path) for path in (source, _of_windows(source, tmp_path / "windows.keras"))]
    xs = [np.random.default_rng(2).normal(size=(5, *shape)) for shape in networks[0].input_shapes().values()]
    expected, found = (network.evaluate(xs) for network in networks)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values)


def test_hard_sigmoid_follows_the_version(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Activation("hard_sigmoid", name="act")])
    x = np.linspace(-4.0, 4.0, 27).reshape(9, 3)
    old, _ = save_keras2(model, tmp_path)
    np.testing.assert_allclose(read_keras(old).evaluate([x])["act"], np.clip(0.2 * x + 0.5, 0, 1))
    np.testing.assert_allclose(read_keras(model).evaluate([x])["act"], np.clip(x / 6 + 0.5, 0, 1))


def _sequences() -> Iterator[tuple[str, dict[str, Any]]]:
    dense = {"name": "d", "units": 2, "activation": "linear", "use_bias": True}
    given = {"class_name": "Dense", "config": {**dense, "batch_input_shape": [None, 3]}}
    plain = {"class_name": "Dense", "config": dense}
    inputs = {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 3], "dtype": "float32"}}
    new = {"class_name": "InputLayer", "config": {"name": "i", "batch_shape": [None, 3]}}
    nested = {"class_name": "Sequential", "config": {"name": "s", "layers": [given]}}
    yield "input shape on the layer", {"name": "m", "layers": [given]}
    yield "input layer of Keras 2", {"name": "m", "layers": [inputs, plain]}
    yield "input layer of Keras 3", {"name": "m", "layers": [new, plain]}
    yield "build_input_shape", {"name": "m", "layers": [plain], "build_input_shape": [None, 3]}
    yield "nested first", {"name": "m", "layers": [nested]}


@pytest.mark.parametrize(("name", "config"), list(_sequences()))
def test_sequential_input_shapes(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    _assert_read(config, tmp_path)


def test_sequential_of_early_keras_is_a_bare_list(tmp_path: Path) -> None:
    config = [{"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3]}}]
    _assert_read(config, tmp_path)


def _assert_read(config: Any, folder: Path) -> None:
    (folder / "m.json").write_text(json.dumps({"class_name": "Sequential", "config": config}))
    kernel, bias = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0])
    nested = isinstance(config, dict) and config["layers"][0]["class_name"] == "Sequential"
    with h5py.File(folder / "m_weights.h5", "w") as file:
        group = file.create_group("s" if nested else "d")
        file.attrs["layer_names"] = [b"s" if nested else b"d"]
        group.attrs["weight_names"] = ["d/kernel:0", "d/bias:0"]
        group["d/kernel:0"], group["d/bias:0"] = kernel, bias
    network = read_keras(folder / "m.json")
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(network.evaluate([x])[network.outputs[0]], x @ kernel + bias)


def test_weight_names_in_pieces(files: Path, model: Any, tmp_path: Path) -> None:
    shutil.copy(files / "old_weights.h5", tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r+") as file:
        for group in file.values():
            names = group.attrs["weight_names"]
            del group.attrs["weight_names"]
            group.attrs["weight_names0"], group.attrs["weight_names1"] = names[:1], names[1:]
    assert_same(read_keras(files / "old.json", ReadOptions(weights=tmp_path / "w.h5")), model)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_operations_in_files(suffix: str, tmp_path: Path) -> None:
    x = keras.Input((4,), name="x")
    y = ops.relu(1.0 - x * 2.0) + np.arange(4, dtype="float32")
    y = layers.Dense(3, name="fc")(ops.concatenate([y, x], axis=-1))
    model = randomised(keras.Model(x, {"second": y, "first": layers.Softmax(name="soft")(y)}))
    network = read_keras(save(model, tmp_path / f"m.{suffix}"))
    assert_same(network, model)  # outputs of a dictionary come in the order of its keys
    assert network.outputs == ("soft", "fc")


def test_numbering_is_by_class_not_by_name(tmp_path: Path) -> None:
    """Auto-generated names differ between sessions; Keras itself goes by class and order."""
    model = randomised(keras.Sequential([keras.Input((3,)), layers.Dense(3, name="b"), layers.Dense(3, name="a")]))
    save(model, tmp_path / "w.weights.h5")
    text = model.to_json().replace('"name": "a"', '"name": "tmp"').replace('"name": "b"', '"name": "a"')
    (tmp_path / "m.json").write_text(text.replace('"name": "tmp"', '"name": "b"'))
    network = read_keras(tmp_path / "m.json", ReadOptions(weights=tmp_path / "w.weights.h5"))
    assert [node.name for node in network.nodes][1:] == ["a", "b"]
    assert_same(network, model)


def test_bfloat16_weights_in_a_file(tmp_path: Path) -> None:
    model = randomised(keras.Sequential([keras.Input((3,)), layers.Dense(3, dtype="bfloat16", name="d")]))
    network: Network = read_keras(save(model, tmp_path / "m.keras"))
    live = read_keras(model)
    np.testing.assert_array_equal(network.node("d").layer.weights()["weight"], live.node("d").layer.weights()["weight"])


def test_model_with_the_state_of_its_optimizer(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, activation="relu"), layers.Dropout(0.2), layers.Dense(1)]
    )
    model.compile(optimizer="adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    for suffix in ("keras", "h5"):
        network = read_keras(save(model, tmp_path / f"m.{suffix}"))
        x = inputs_of(model)[0]
        got = network.evaluate([x.astype(np.float64)])[network.outputs[0]]
        np.testing.assert_allclose(got, model.predict(x, verbose=0), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("six", [6, 6.0, [6.0], {"type": "ndarray", "value": 6.0}, {"type": "ndarray", "value": [6.0]}])
def test_numbers_as_keras_2_wrote_them(six: Any, tmp_path: Path) -> None:
    relu = {"class_name": "ReLU", "config": {"name": "r", "max_value": six, "batch_input_shape": [None, 3]}}
    (tmp_path / "m.json").write_text(json.dumps({"class_name": "Sequential", "config": {"layers": [relu]}}))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["layer_names"] = ["r"]
    layer = read_keras(tmp_path / "m.json").node("r").layer
    assert isinstance(layer, ReLU)
    assert layer.max_value == 6.0


def open_models() -> dict[str, tuple[Any, Any, Any]]:
    """Models with open sizes, the input shapes to give, and the model with just these sizes."""

    def sequential(steps: int | None) -> Any:
        inner = keras.Sequential([keras.Input((steps, 4)), layers.Conv1D(6, 3, padding="same")], name="inner")
        chain = [keras.Input((steps, 4), name="x"), inner, layers.LSTM(5, return_sequences=True), layers.Dense(3)]
        return keras.Sequential([*chain, layers.GlobalAveragePooling1D()])

    def functional(rows: int | None, steps: int | None) -> Any:
        image, series = keras.Input((rows, 6, 2), name="image"), keras.Input((steps, 3), name="series")
        seen = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
        heard = layers.LSTM(4)(layers.Conv1D(4, 2, strides=2)(series))
        return keras.Model([image, series], layers.Dense(3, activation="softmax")(layers.Concatenate()([seen, heard])))

    return {
        "one": (sequential(None), (8, 4), sequential(8)),
        "several": (functional(None, None), [(7, 6, 2), [None, 9, 3]], functional(7, 9)),
        "one of several": (functional(7, None), [(7, 6, 2), (9, 3)], functional(7, 9)),
    }


@pytest.mark.parametrize("name", ["one", "several", "one of several"])
def test_open_sizes_are_filled(tmp_path: Path, name: str) -> None:
    model, shape, fixed = open_models()[name]
    fixed.set_weights(randomised(model).get_weights())
    save(model, tmp_path / "model.keras")
    save(model, tmp_path / "model.h5")
    (tmp_path / "arch.json").write_text(model.to_json())
    save(model, tmp_path / "arch.weights.h5")
    older, _ = save_keras2(model, tmp_path)
    for source in (model, *(tmp_path / file for file in ("model.keras", "model.h5", "arch.json")), older):
        with pytest.raises(UnsupportedError, match="or input_shape="):
            read_model(source)
        assert_same(read_model(source, ReadOptions(input_shape=shape)), fixed)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8,), "of sizes"),
        ((8, 5), "of sizes"),
        ([(8, 4), (8, 4)], "2 input shapes for 1"),
        ((0, 4), "input_shape="),
        ((), r"the input shape \(\)"),
    ],
)
def test_input_shapes_are_those_of_the_model(shape: Any, said: str) -> None:
    model = keras.Sequential([keras.Input((None, 4), name="x"), layers.LSTM(2)])
    with pytest.raises(ConfigError, match=said) as caught:
        read_model(model, ReadOptions(input_shape=shape))
    assert "example" not in str(caught.value)  # which only PyTorch takes


def test_a_project_fills_open_sizes(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((None, 4), name="x"), layers.LSTM(2)])
    save(model, tmp_path / "model.keras")
    project = {"OutputDir": str(tmp_path / "out"), "KerasModel": str(tmp_path / "model.keras"), "InputShape": [5, 4]}
    assert convert_from_config(project).get_input_variables()[0].shape == (5, 4)
    assert convert(model, input_shape=(5, 4)).get_input_variables()[0].shape == (5, 4)
