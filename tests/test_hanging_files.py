"""Files that would hang a reader or fill the memory: one typed error, at once."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import bitsmith
from bitsmith import converters
from bitsmith.config.model import read_hls_config
from bitsmith.emulate.batches import read_array
from bitsmith.errors import BitsmithError, ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.files.hdf5 import check_heaps
from bitsmith.frontends.files.json import parse_json
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.read import read_model
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.passes.network.sizes import MAX_RESULTS, check_sizes
from bitsmith.vendors.vendor import ReportFile
from tests.system.examples import MODELS, digits

READERS: dict[str, Callable[[Path], object]] = {
    **{f"m{ending}": read_model for ending in (".keras", ".h5", ".json", ".onnx", ".pt2", ".tflite")},
    "w.h5": lambda path: read_model(MODELS / "bitsmith_3layer.json", ReadOptions(weights=path)),
    "p.yml": converters.convert_from_config,
    "c.json": read_hls_config,
    "x.npy": read_array,
    "s.json": bitsmith.Model.load,
    "r.rpt": lambda path: ReportFile(path).text(),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
@pytest.mark.parametrize("name", READERS)
def test_a_pipe_or_a_device_is_not_opened(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(BitsmithError, match="pipe or a device"):
        READERS[name](tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(BitsmithError, match="pipe or a device"):
        READERS[name](tmp_path / name)


def _with_texts() -> bytes:
    """An HDF5 file whose heap has texts."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["layer_names"] = np.array(["dense", "relu"], dtype=h5py.string_dtype())
        file.attrs["model_config"] = "{}"
    return content.getvalue()


@pytest.mark.parametrize("number, length", [(0, 0), (0, 8), (1, 2**64 - 16), (1, 2**64 - 24), (1, 1 << 40), (9, 5000)])
def test_a_damaged_heap(number: int, length: int, tmp_path: Path) -> None:
    """With objects of no size the HDF5 library never returns: what is not found before would end no test."""
    content = bytearray(_with_texts())
    heap = content.index(b"GCOL")
    struct.pack_into("<HHIQ", content, heap + 16, number, 1, 0, length)
    with pytest.raises(ModelFileError, match="a damaged heap"):
        check_heaps(bytes(content), "m.h5")
    (tmp_path / "m.h5").write_bytes(content)
    with pytest.raises(ModelFileError, match="a damaged heap"):
        read_model(tmp_path / "m.h5")


def test_a_heap_of_other_sizes_is_not_trusted(tmp_path: Path) -> None:
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_sizes(8, 4)
    h5py.h5f.create(str(tmp_path / "m.h5").encode(), h5py.h5f.ACC_TRUNC, properties).close()
    with pytest.raises(ModelFileError, match="HDF5 data of other sizes"):
        read_model(tmp_path / "m.h5")


def _onnx(path: Path, nodes: list[onnx.NodeProto], result: str) -> Path:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", result))
    size = helper.make_tensor("size", TensorProto.INT64, [1], [1 << 16])
    size2 = helper.make_tensor("size2", TensorProto.INT64, [2], [1, 1 << 14])
    graph = helper.make_graph(nodes, "g", [x], [y], [size, size2])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def _doubled() -> list[onnx.NodeProto]:
    """Constants each of which is the one before, twice."""
    nodes = [helper.make_node("ConstantOfShape", ["size"], ["c0"])]
    nodes += [helper.make_node("Concat", [f"c{k}", f"c{k}"], [f"c{k + 1}"], axis=0) for k in range(30)]
    return [*nodes, helper.make_node("Add", ["x", "c30"], ["y"])]


def _repeated() -> list[onnx.NodeProto]:
    """Constants next to each other."""
    nodes = [helper.make_node("ConstantOfShape", ["size"], [f"c{k}"], name=f"of_shape_{k}") for k in range(40)]
    nodes += [helper.make_node("ReduceMax", [f"c{k}"], [f"m{k}"], keepdims=0) for k in range(40)]
    return [*nodes, helper.make_node("Sum", ["x", *(f"m{k}" for k in range(40))], ["y"])]


def _tiled() -> list[onnx.NodeProto]:
    """Lists of places next to each other."""
    nodes = [helper.make_node("Tile", ["x", "size2"], [f"t{k}"]) for k in range(40)]
    return [*nodes, helper.make_node("Sum", [f"t{k}" for k in range(40)], ["y"])]


@pytest.mark.parametrize("nodes", [_doubled(), _repeated(), _tiled()], ids=["doubled", "repeated", "tiled"])
def test_constants_are_bounded_together(
    nodes: list[onnx.NodeProto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitsmith.frontends.builder.draft.MAX_WEIGHTS", 1 << 20)
    path = _onnx(tmp_path / "m.onnx", nodes, "y")
    tracemalloc.start()
    try:
        with pytest.raises(BitsmithError, match="at most"):
            read_model(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


def test_json_of_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists without content have two bytes in a file, and many more in memory."""
    monkeypatch.setattr("bitsmith.frontends.files.json.MAX_JSON_VALUES", most := 1 << 16)
    many = b'{"a":[' + b"[]," * most + b"1]}"
    with pytest.raises(ModelFileError, match="too many values"):
        parse_json(many, "m.json")
    text = json.dumps({"a": "[" * (most + 1)})
    assert len(str(parse_json(text, "m.json")["a"])) == most + 1


def test_json_with_a_key_twice(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="the key 'b' is given twice"):
        parse_json('{"a": [{"b": 1, "c": 2, "b": 3}]}', "m.json")
    model, _ = digits(tmp_path)
    model.save(tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text()
    (tmp_path / "s.json").write_text(text.replace('"notes"', '"name": "other",\n "notes"'))
    with pytest.raises(ModelFileError, match="the key 'name' is given twice"):
        bitsmith.Model.load(tmp_path / "s.json")


def test_saved_arrays_are_bounded_before_they_are_read(tmp_path: Path) -> None:
    """Truth values take eight times as much as numbers; what no layer uses is not read."""
    model, x = digits(tmp_path)
    model.save(tmp_path / "s.json")
    with zipfile.ZipFile(tmp_path / "s.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("unused.npy", b"anything")
    np.testing.assert_array_equal(bitsmith.Model.load(tmp_path / "s.json").predict(x), model.predict(x))
    with np.load(tmp_path / "s.npz") as content:
        arrays = {name: content[name] for name in content.files if name != "unused"}
    arrays["0"] = np.broadcast_to(False, (1 << 13, 1 << 12))
    np.savez_compressed(tmp_path / "s.npz", **arrays)  # type: ignore[arg-type]  # numpy's type of **kwds
    with pytest.raises(ModelFileError, match=r"an array of shape \(8192, 4096\)"):
        bitsmith.Model.load(tmp_path / "s.json")


@pytest.mark.parametrize("value", ["!!bool x", "!!int ''", "!!float ''", "!!timestamp x", "!!omap 1", "!!binary é"])
def test_values_that_are_not_what_their_tags_say(value: str, tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text(f"OutputDir: {value}\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        converters.convert_from_config(tmp_path / "p.yml")


@pytest.mark.parametrize("elsewhere", ["/tmp/anywhere", "../out", "C:\\out", "a/../../b"])
def test_a_saved_model_does_not_choose_where_to_write(elsewhere: str, tmp_path: Path) -> None:
    model, _ = digits(tmp_path / "project")
    model.save(tmp_path / "s.json")
    assert bitsmith.Model.load(tmp_path / "s.json").output_dir == model.output_dir
    document = json.loads((tmp_path / "s.json").read_text())
    document["target"]["output_dir"] = elsewhere
    (tmp_path / "s.json").write_text(json.dumps(document))
    loaded = bitsmith.Model.load(tmp_path / "s.json")
    assert loaded.output_dir == tmp_path / "my-hls-test"
    assert "The project folder is" in loaded.notes[-1]


def _relu(path: Path, shape: list[int], count: int) -> Path:
    names = ["x", *(f"t{k}" for k in range(1, count)), "y"]
    nodes = [helper.make_node("Relu", [names[k]], [names[k + 1]]) for k in range(count)]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


@pytest.mark.parametrize(
    ("shape", "count", "said"),
    [
        (
            [1, 4096, 4096],
            1,
            r"layer 'x': a result of 16,777,216 elements, shape \(4096, 4096\)\n  accepted: at most 8,388,608",
        ),
        ([1, 2048, 2048], 24, r"25 layers with 104,857,600 elements in all their results; 'x' has the most, 4,194,304"),
    ],
)
def test_results_beyond_any_circuit_are_refused_at_once(
    shape: list[int], count: int, said: str, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedError, match=said):
            bitsmith.convert(_relu(tmp_path / "m.onnx", shape, count), check=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_permutations_of_our_own_do_not_count(tmp_path: Path) -> None:
    """Convolutions of channels-first models have one before and one after them."""
    names = [f"t{k}" for k in range(12)]
    nodes = [helper.make_node("Conv", [a, "w"], [b], name=b) for a, b in itertools.pairwise(names)]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 1024, 1024]) for name in (names[0], names[-1])
    )
    kernel = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 1, 1], [0.125] * 64)
    graph = helper.make_graph(nodes, "g", [x], [y], [kernel])
    network = read_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert sum(math.prod(shape) for shape in network.shapes().values()) > 2 * MAX_RESULTS
    check_sizes(network)


def test_quantizers_of_more_grids_than_exact_numbers_can_be() -> None:
    """Grids that are all the same are one."""
    with pytest.raises(UnsupportedError, match="a quantizer of 2097153 grids"):
        Quantizer.uniform(np.arange(1.0, 2.0 + (1 << 21)), -8, 7)
    assert Quantizer.uniform(np.full((1 << 11, 1 << 11), 0.1), -8, 7).size == 1
