"""Files that are broken or made to harm: one clear error, never a traceback of anything else, never a large allocation."""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_jsons import functional, layer, small_model, source, write_model, write_weights

from bitsmith.errors import BitsmithError, ModelFileError
from bitsmith.frontends.files.json import MAX_JSON_BYTES
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.read import read_keras


def _refused(path: Path, message: str, weights: Path | None = None) -> str:
    with pytest.raises(ModelFileError, match=message) as caught:
        read_keras(path, ReadOptions(weights=weights))
    return str(caught.value)


def _dense(folder: Path) -> tuple[Path, Path]:
    """A model of one Dense layer, 3 to 3, and its weights file."""
    model = functional(source(), layer("Dense", "fc", "x", units=3), outputs=("fc",))
    path = write_model(folder, model, {"fc": ["fc/kernel:0", "fc/bias:0"]})
    return path, folder / "m_weights.h5"


def _archive(folder: Path, **members: bytes | None) -> Path:
    """A valid archive of an input alone, with ``members`` replaced, added or (None) left out."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("layers")
    config = functional(source(), outputs=("x",))
    content: dict[str, bytes | None] = {
        "metadata.json": json.dumps({"keras_version": "2.14.0"}).encode(),
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": weights.getvalue(),
        **members,
    }
    path = folder / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)
    return path


def test_what_is_no_model(tmp_path: Path) -> None:
    _refused(tmp_path / "absent.keras", "cannot be opened")
    _refused(tmp_path, "cannot be opened")
    for content in (b"", b"hello", b"\x80\x04pickle", b"[1, 2]", b"<html>"):
        path = tmp_path / "m.h5"
        path.write_bytes(content)
        _refused(path, "neither a zip archive, nor HDF5, nor JSON")
    with pytest.raises(ModelFileError, match="int is not a Keras model"):
        read_keras(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"class_name": 1' + "0" * 5000 + "}", "not valid JSON"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "not valid JSON|nested too deeply"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested too deeply"),
        ("{}", "class_name is missing"),
        ('{"class_name": "Functional"}', "config is missing"),
        ('{"class_name": "Functional", "config": {}}', "layers is missing"),
        ('{"class_name": "Functional", "keras_version": "9", "config": {}}', "Keras version '9'"),
        ('{"class_name": "Sequential", "config": {"layers": []}}', "no layers"),
        ('{"class_name": "Sequential", "config": {"layers": [3]}}', "something else than objects"),
    ],
)
def test_json_that_is_no_model(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    write_weights(tmp_path / "m_weights.h5")
    _refused(path, message)


def test_archive_members(tmp_path: Path) -> None:
    assert read_keras(_archive(tmp_path)).outputs == ("x",)
    for name in ("metadata.json", "config.json", "model.weights.h5"):
        _refused(_archive(tmp_path, **{name: None}), f"has no '{name}'")
    for name in ("../../evil", "/etc/evil", "a/../../b", "C:/evil", "..\\evil"):
        _refused(_archive(tmp_path, **{name: b""}), "leaves the archive")
    sharded = _archive(tmp_path, **{"model.weights.h5": None, "model.weights.json": b"{}"})
    assert "several files" in _refused(sharded, "has no 'model.weights.h5'")


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = _archive(tmp_path)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    _refused(path, "two members of the same name")


def test_large_json_in_an_archive(tmp_path: Path) -> None:
    _refused(_archive(tmp_path, **{"config.json": b" " * (MAX_JSON_BYTES + 1)}), "'config.json' has")


def test_bomb_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    path = _archive(tmp_path)
    data = bytearray(path.read_bytes())
    data[(entry := data.rindex(b"PK\x01\x02")) + 24 : entry + 28] = struct.pack("<I", 0xFFFFFF00)
    path.write_bytes(data)
    _refused(path, "unpacks to 3 files")


def test_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    path = _archive(tmp_path, **{"config.json": b" " * 1_000_000})
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[entry + 24 : entry + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    _refused(path, "the archive is damaged|not valid JSON")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_truncated_files(share: float, tmp_path: Path) -> None:
    text, weights = _dense(tmp_path)
    for path in (text, weights, _archive(tmp_path)):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        _refused(text if path is weights else path, "cannot be read|damaged|valid JSON|neither a zip")
        path.write_bytes(whole)


def _replace(file: h5py.File, name: str) -> h5py.Group:
    del file[f"fc/fc/{name}"]
    group = file["fc/fc"]
    assert isinstance(group, h5py.Group)
    return group


def _soft_link(file: h5py.File) -> None:
    _replace(file, "bias:0")["bias:0"] = h5py.SoftLink("/fc/fc/kernel:0")


def _external_link(file: h5py.File) -> None:
    _replace(file, "bias:0")["bias:0"] = h5py.ExternalLink("/etc/passwd", "x")


def _external_storage(file: h5py.File) -> None:
    _replace(file, "bias:0").create_dataset("bias:0", (3,), "f4", external=[("/etc/passwd", 0, 12)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    _replace(file, "bias:0").create_virtual_dataset("bias:0", layout)


def _strings(file: h5py.File) -> None:
    _replace(file, "bias:0").create_dataset("bias:0", data=["a", "b", "c"])


def _compound(file: h5py.File) -> None:
    _replace(file, "bias:0").create_dataset("bias:0", (3,), [("a", "f4"), ("b", "f4")])


def _huge(file: h5py.File) -> None:
    _replace(file, "kernel:0").create_dataset("kernel:0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))


def _a_group(file: h5py.File) -> None:
    _replace(file, "bias:0").create_group("bias:0")


def _gone(file: h5py.File) -> None:
    _replace(file, "bias:0")


def _not_listed(file: h5py.File) -> None:
    file["fc"].attrs["weight_names"] = ["fc/kernel:0"]


def _names_of_numbers(file: h5py.File) -> None:
    file["fc"].attrs["weight_names"] = [1, 2]


def _not_a_number(file: h5py.File) -> None:
    file["fc/fc/bias:0"][0] = np.nan


def _infinite(file: h5py.File) -> None:
    file["fc/fc/kernel:0"][1, 1:] = np.inf


def _transposed(file: h5py.File) -> None:
    _replace(file, "kernel:0").create_dataset("kernel:0", (3, 4), "f4")


def _large_chunks(file: h5py.File) -> None:
    _replace(file, "kernel:0").create_dataset(
        "kernel:0", data=np.ones((3, 3)), maxshape=(None, None), chunks=(2100, 2000)
    )


def _many_chunks(file: h5py.File) -> None:
    _replace(file, "kernel:0").create_dataset("kernel:0", (3, 3), "f8", maxshape=(None, None), chunks=(1, 4_000_000))


def _packed(file: h5py.File, *contents: bytes, **more: object) -> None:
    """A kernel of so many chunks, with these bytes."""
    kernel = _replace(file, "kernel:0").create_dataset("kernel:0", (3, 3), "f8", chunks=(1, 3), **more)
    for row, content in enumerate(contents):
        kernel.id.write_direct_chunk((row, 0), content)


def _bomb(file: h5py.File) -> None:
    _packed(file, zlib.compress(bytes(20_000_000), 9), compression="gzip")


def _bomb_with_checksum(file: h5py.File) -> None:
    _packed(file, zlib.compress(bytes(20_000_000), 9), compression="gzip", fletcher32=True)


def _bomb_in_a_bomb(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((3, 3))
    properties.set_deflate(9)
    properties.set_deflate(9)
    group = _replace(file, "kernel:0")
    h5py.h5d.create(group.id, b"kernel:0", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((3, 3)), properties)


def _short_chunk(file: h5py.File) -> None:
    _packed(file, zlib.compress(bytes(8)), compression="gzip")


def _long_chunk(file: h5py.File) -> None:
    _packed(file, bytes(1 << 20))


def _lzf(file: h5py.File) -> None:
    _packed(file, compression="lzf")


HOSTILE_WEIGHTS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "soft link": (_soft_link, "link to another place"),
    "external link": (_external_link, "link to another place"),
    "external storage": (_external_storage, "refers to other files"),
    "virtual data set": (_virtual, "refers to other files"),
    "strings": (_strings, "holds 'object'"),
    "records": (_compound, "holds"),
    "absurd size": (_huge, r"kernel has shape \(1048576, 1048576\)"),
    "a group": (_a_group, "data set is missing"),
    "gone": (_gone, "data set is missing"),
    "not listed": (_not_listed, "1 weights are stored"),
    "names that are numbers": (_names_of_numbers, "0 weights are stored"),
    "NaN": (_not_a_number, "bias holds 1 NaN or infinite"),
    "infinity": (_infinite, "kernel holds 2 NaN or infinite"),
    "large chunks": (_large_chunks, "in 1 chunks of shape"),
    "many chunks": (_many_chunks, "in 3 chunks of shape"),
    "bomb": (_bomb, "does not unpack to 24 bytes"),
    "bomb with checksum": (_bomb_with_checksum, "does not unpack to 24 bytes"),
    "bomb in a bomb": (_bomb_in_a_bomb, r"HDF5 filters \[1, 1\]"),
    "short chunk": (_short_chunk, "does not unpack to 24 bytes"),
    "long chunk": (_long_chunk, "does not unpack to 24 bytes|cannot be read"),
    "lzf": (_lzf, r"HDF5 filters \[32000\]"),
    "wrong shape": (_transposed, r"kernel has shape \(3, 4\)"),
}


@pytest.mark.parametrize("name", HOSTILE_WEIGHTS)
def test_hostile_weights(name: str, tmp_path: Path) -> None:
    change, message = HOSTILE_WEIGHTS[name]
    path, weights = _dense(tmp_path)
    with h5py.File(weights, "r+") as file:
        change(file)
    _refused(path, message)


@pytest.mark.parametrize(
    "packing", [{}, {"chunks": True}, {"chunks": (2, 2)}, {"chunks": (999, 999), "maxshape": (None, None)}]
)
@pytest.mark.parametrize("more", [{}, {"compression": "gzip"}, {"compression": 9, "shuffle": True, "fletcher32": True}])
def test_ordinary_packing_is_read(packing: dict[str, object], more: dict[str, object], tmp_path: Path) -> None:
    path, weights = _dense(tmp_path)
    want = read_keras(path).node("fc").layer.weights()["weight"]
    with h5py.File(weights, "r+") as file:
        data = np.asarray(file["fc/fc/kernel:0"])
        given = {**packing, **more} if packing else {}
        _replace(file, "kernel:0").create_dataset("kernel:0", data=data, **given)
    np.testing.assert_array_equal(read_keras(path).node("fc").layer.weights()["weight"], want)


def test_archive_that_grows_beyond_all_trained_weights(tmp_path: Path) -> None:
    path = _archive(tmp_path)
    data = bytearray(path.read_bytes())
    data[(entry := data.rindex(b"PK\x01\x02")) + 24 : entry + 28] = struct.pack("<I", 1 << 28)
    path.write_bytes(data)
    _refused(path, "an archive of .* bytes unpacks to")


def test_wrong_shape_names_layer_and_both_shapes(tmp_path: Path) -> None:
    path, weights = _dense(tmp_path)
    with h5py.File(weights, "r+") as file:
        _transposed(file)
    text = _refused(path, "layer 'fc'")
    assert "shape (3, 4)" in text
    assert "accepted: shape (3, 3)" in text


def test_weights_of_matching_but_absurd_size(tmp_path: Path) -> None:
    path, weights = _dense(tmp_path)
    path.write_text(path.read_text().replace('"units": 3', f'"units": {1 << 24}'))
    with h5py.File(weights, "r+") as file:
        shape = (3, 1 << 24)
        _replace(file, "kernel:0").create_dataset("kernel:0", shape, "f8", chunks=(1, 1 << 20))
        _replace(file, "bias:0").create_dataset("bias:0", (1 << 24,), "f8", chunks=(1 << 20,))
    assert "at most 16777216 elements" in _refused(path, r"a data set of shape \(3, 16777216\)")
    path.write_text(path.read_text().replace(f'"units": {1 << 24}', f'"units": {1 << 30}'))
    _refused(path, "kernel has shape")


def test_statistics_that_overflow(tmp_path: Path) -> None:
    model = functional(source(), layer("Rescaling", "r", "x", scale=1e300, offset=0.0), outputs=("r",))
    model["config"]["layers"].append(layer("Normalization", "n", "r", mean=[1e308], variance=[1e-320]))
    model["config"]["output_layers"] = [["n", 0, 0]]
    _refused(write_model(tmp_path, model), "bias overflows")
    model["config"]["layers"][2]["config"]["variance"] = [-1.0]
    _refused(write_model(tmp_path, model), "variance is negative")


def test_h5_files_that_are_no_model(tmp_path: Path) -> None:
    path, weights = _dense(tmp_path)
    _refused(weights, r"weights only, no architecture[\s\S]*convert that file with weights='")
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file.attrs["nothing"] = 1
    _refused(path, "holds no Keras weights", tmp_path / "empty.h5")
    _refused(path, "cannot be read", path)
    with h5py.File(weights, "r+") as file:
        file.attrs["model_config"] = "{"
    _refused(weights, "not valid JSON")


NUMBERS = [10**30, 2**24, -(2**63), 1e308, 5e-324, float("nan"), float("inf")]
WORDS = ["fc", "x", "inner", "relu", "Dense", "Sequential", "InputLayer", "\ud800"]
KEYS = ["class_name", "config", "name", "value", "a"]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 5), st.floats(), st.text(max_size=4))
ITEMS = st.one_of(SCALARS, st.just("x"), st.lists(st.integers(), max_size=2))
VALUES = st.one_of(
    SCALARS,
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.lists(ITEMS, max_size=4),
    st.dictionaries(st.sampled_from(KEYS), ITEMS, max_size=2),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*path, key)
        yield from _places(child, (*path, key))


def _holder(model: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        model = model[key]
    return model


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The small model with one to three entries replaced, removed, doubled or exchanged."""
    model = copy.deepcopy(small_model())
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(model))
        path = draw(st.sampled_from(places))
        holder, key = _holder(model, path), path[-1]
        match draw(st.sampled_from(["replace", "remove", "double", "exchange"])):
            case "replace":
                holder[key] = draw(VALUES)
            case "remove":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case _:
                other = draw(st.sampled_from(places))
                holder[key] = copy.deepcopy(_holder(model, other)[other[-1]])
    return model


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(model=mutated())
def test_mutated_json(model: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = write_model(folder, model)
    try:
        network = read_keras(path)
    except BitsmithError as error:
        assert str(error).isprintable() or "\n" in str(error)
    else:
        shapes = network.shapes()
        assert set(network.inputs) | set(network.outputs) <= set(shapes)
        assert len(shapes) == len(network.nodes)


@settings(max_examples=100, derandomize=True)
@given(data=st.data())
def test_damaged_bytes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Flipped and missing bytes anywhere; the same ones in each run, because HDF5 itself may crash on some."""
    folder = tmp_path_factory.mktemp("damaged")
    text, weights = _dense(folder)
    path = data.draw(st.sampled_from([text, weights, _archive(folder)]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    try:
        read_keras(text if path is weights else path)
    except BitsmithError as error:
        assert str(error)
