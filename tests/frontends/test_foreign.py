"""Things that are not models are told what they are, and the lines that lead from them to a conversion."""

from __future__ import annotations

import functools
import io
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import jax
import keras
import numpy as np
import onnx
import pytest
import torch
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier

import bitsmith
from bitsmith.errors import ModelFileError
from bitsmith.frontends.foreign import FILES, OBJECTS
from bitsmith.frontends.frameworks import framework_of
from bitsmith.frontends.read import read_model

MODEL = onnx.parser.parse_model("""
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 2] x) => (float[N, 2] y) { y = Relu(x) }
""")


def of_package(name: str, kind: str) -> object:
    """An object whose class says that it is of a package that is not installed here."""
    return type(kind, (), {"__module__": name})()


THINGS = {
    "KFold": (KFold(), "the pipeline"),
    "OrderedDict": (torch.nn.Linear(3, 2).state_dict(), "load_state_dict"),
    "weights": ({"kernel": np.zeros((3, 2))}, "load_state_dict"),
    "dict, weights without the function": ({"params": {"Dense_0": {"kernel": np.zeros((3, 2))}}}, "jax2onnx"),
    "TextClassificationPipeline": (
        of_package("transformers.pipelines.text_classification", "TextClassificationPipeline"),
        "pipeline.model",
    ),
    "Function": (of_package("tensorflow.python.eager.polymorphic_function", "Function"), "from_concrete_functions"),
    "Module": (of_package("flax.linen.module", "Module"), "jax2onnx"),
    "PjitFunction": (of_package("jaxlib._jax", "PjitFunction"), "jax2onnx"),
    "ExecutorchProgramManager": (
        of_package("executorch.exir.program._program", "ExecutorchProgramManager"),
        "the ExportedProgram that it was lowered from",
    ),
    "PyFuncModel": (of_package("mlflow.pyfunc", "PyFuncModel"), "mlflow.sklearn.load_model"),
    "MLModel": (of_package("coremltools.models.model", "MLModel"), "ONNX"),
    "an array": (np.zeros(3), "as calibration"),
    "array": (jax.numpy.zeros(3), "as calibration"),
    "keras.Dense, a layer": (keras.layers.Dense(3), "keras.Input"),
    "a class": (torch.nn.Linear, "instance"),
    "a class, which": (keras.Sequential, "instance"),
    "a function": (lambda x: x, "torch.nn.Module"),
    "which is not a model": (functools.partial(np.add, 1), "torch.nn.Module"),
    "None": (None, "path of its file"),
    "bytes, a file or its content, of Keras": (b"\x89HDF\r\n\x1a\n", "give the path"),
    "its content, of PyTorch": (b"PK\3\4" + bytes(22) + b"\x09\0\0\0" + b"model/one", "give the path"),
    "its content, of XGBoost": (b'{"learner":{"attributes"', "give the path"),
    "bytes, a file or its content": (b"a path?", "give the path"),
    "bytearray, a file": (bytearray(b"\x08\x08\x12"), "of .onnx and .tflite files also their bytes"),
    "BytesIO, a file": (io.BytesIO(b"\x08\x08\x12"), "file.read()"),
    "architecture of a Keras model, without": ('{"class_name": "Sequential", "config": {}}', "save_weights"),
    "the architecture of a Keras model": ({"class_name": "Sequential", "config": {}}, "model.save("),
    "architecture of a Keras": ({"name": "net", "layers": []}, "model.save("),
    "a text": ("KerasModel: a.keras\nOutputDir: out\n", "convert_from_config"),
    "type int": (3, "add-a-framework"),
}


@pytest.mark.parametrize("name", THINGS)
def test_objects(name: str, tmp_path: Path) -> None:
    thing, remedy = THINGS[name]
    with pytest.raises(ModelFileError) as caught:
        bitsmith.convert(thing, tmp_path)
    assert name in caught.value.found or name == "weights"
    assert remedy in str(caught.value.remedy) and caught.value.accepted.startswith("a path, ")


def test_a_converted_model_is_told_so(tmp_path: Path) -> None:
    model = bitsmith.convert(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), tmp_path)
    with pytest.raises(ModelFileError, match="predict, compile and build"):
        bitsmith.convert(model, tmp_path)


def archive(**arrays: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        np.savez(file, **arrays)
        return file.getvalue()


FOUND: dict[str, tuple[bytes, str]] = {
    "a.keras": (b"", "an empty file"),
    "a.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS"),
    "a.tflite": (b"\n<!DOCTYPE html>\n<html>", "a web page"),
    "a.gguf": (b"GGUF\3\0\0\0", "language model"),
    "weights.bin": (b"GGUF\3\0\0\0", "language model"),
    "a.pte": (b"\x20\0\0\0ET12", "ExecuTorch"),
    "renamed": (b"\x20\0\0\0ET12", "ExecuTorch"),
    "net.ort": (b"\x20\0\0\0ORTM", "onnxruntime has laid out"),
    "net.bin": (b"\x20\0\0\0ORTM", "onnxruntime has laid out"),
    "dump.json": (b'[\n  { "nodeid": 0, "depth": 0, "split": "f2"', "XGBoost has dumped"),
    "dump.txt": (b"booster[0]:\n0:[f2<0.1] yes=1,no=2,missing=2", "XGBoost has dumped"),
    "boosted.pkl": (b"\x80\x04\x95\xfc\xc1\0\0\0\0\0\0\x8c\x0fxgboost.sklearn\x94", "a library of trees"),
    "cat.cbm": (b"CBM1\0\0", "CatBoost"),
    "data.npy": (b"\x93NUMPY\1\0", "numbers"),
    "data.npz": (archive(x=np.zeros(3)), "numbers"),
    "model.mlmodel": (b"\x08\x01", "Core ML"),
    "frozen.pb": (b"\x0a\x10", "TensorFlow 1"),
    "train.py": (b"import torch", "a program"),
    "clf.joblib": (pickle.dumps({}), "joblib"),
    "clf.pkl": (pickle.dumps(MLPClassifier()), "scikit-learn"),
    "model.ckpt.index": (b"\0\0", "checkpoints"),
    "model.ckpt.data-00000-of-00001": (b"\0\0", "checkpoints"),
    "checkpoint": (b"model_checkpoint_path:", "checkpoints"),
    "model.engine": (b"ftrt", "one kind of machine"),
    "net.xml": (b'<?xml version="1.0"?>\n<net name="Model0" version="11">', "OpenVINO"),
    "trees.pmml": (b'<?xml version="1.0"?>\n<PMML version="4.4">', "PMML"),
    "params.msgpack": (b"\x81\xa6params", "JAX"),
    "net.caffemodel": (b"\x0a\x10", "Caffe"),
    "net.mat": (b"MATLAB 5.0 MAT-file", "MATLAB"),
    "boosted.model": (b"binf", "old binary form"),
    "project.yml": (b"KerasModel: a.keras", "a project or a configuration"),
    "MLmodel": (b"flavors:\n  sklearn:", "MLflow"),
    "model.skops": (b"PK\3\4", "skops"),
    "clf.pkl.gz": (b"\x1f\x8b\x08\0", "joblib"),
    "clf.pickle": (b"x\x9c\x8d\x54", "joblib"),
    "model.tar.gz": (b"\x1f\x8b\x08\0", "a packed file"),
    "pytorch.bin": (b'\x48\0\0\0\0\0\0\0{"0.weight"', "safetensors"),
    "old.keras": (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "a pickle"),
}


@pytest.mark.parametrize("name", FOUND)
def test_files(name: str, tmp_path: Path) -> None:
    content, found = FOUND[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        bitsmith.convert(tmp_path / name, tmp_path / "out")
    assert found in caught.value.found and caught.value.remedy and caught.value.where == str(tmp_path / name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", [False, True])
def test_torch_files_of_any_ending(script: bool, tmp_path: Path) -> None:
    """Hubs of models call checkpoints ``pytorch_model.bin``."""
    module = torch.nn.Linear(3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module).save(str(tmp_path / "model.bin")) if script else torch.save(
            module.state_dict(), tmp_path / "model.bin"
        )
    found, remedy = ("TorchScript", "torch.jit.load") if script else ("a pickle", "load_state_dict")
    with pytest.raises(ModelFileError) as caught:
        bitsmith.convert(tmp_path / "model.bin", tmp_path / "out")
    assert found in caught.value.found and remedy in str(caught.value.remedy)


@pytest.mark.parametrize("name", ["model", "model.bin", "model.zip"])
def test_files_of_models_under_other_names(name: str, tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3),)), tmp_path / "model.pt2")
    (tmp_path / "model.pt2").rename(tmp_path / name)
    assert bitsmith.convert(tmp_path / name, tmp_path / "torch").predict(np.zeros((1, 3))).shape == (1, 2)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "model.keras")
    (tmp_path / "model.keras").rename(tmp_path / name)
    assert bitsmith.convert(tmp_path / name, tmp_path / "keras").predict(np.zeros((1, 2))).shape == (1, 1)


def _within(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()


FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "SavedModel": (lambda folder: (folder / "saved_model.pb").touch(), "from_saved_model"),
    "transformers": (lambda folder: (folder / "config.json").touch(), "from_pretrained"),
    "checkpoints": (lambda folder: (folder / "checkpoint").touch(), "load_weights"),
    "weights of JAX": (lambda folder: (folder / "_METADATA").touch(), "jax2onnx"),
    "orbax, JAX": (lambda folder: (folder / "checkpoint").write_bytes(b"\x82\xa6params"), "jax2onnx"),
    "steps, JAX": (lambda folder: _within(folder / "default", "_METADATA"), "jax2onnx"),
    "state, JAX": (lambda folder: (folder / "_CHECKPOINT_METADATA").touch(), "jax2onnx"),
    "OpenVINO": (lambda folder: _within(folder, "net.xml", "net.bin"), "ONNX"),
    "MLflow": (lambda folder: (folder / "MLmodel").touch(), "mlflow.sklearn.load_model"),
    "a model is converted already": (lambda folder: (folder / "model.json").touch(), "bitsmith.Model.load("),
    "a project folder": (lambda folder: (folder / "bitsmith.json").touch(), "converted from"),
    "a folder": (lambda folder: (folder / "net.onnx").touch(), "net.onnx"),
    "folder": (lambda folder: None, "the file of a model"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(name: str, tmp_path: Path) -> None:
    fill, remedy = FOLDERS[name]
    fill(tmp_path)
    with pytest.raises(ModelFileError) as caught:
        bitsmith.convert(tmp_path)
    assert name.rpartition(", ")[2] in caught.value.found and remedy in str(caught.value.remedy)


@pytest.mark.parametrize("name", ["", "saved_model.pb"])
def test_a_saved_model_is_loaded_from_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelFileError) as caught:
        bitsmith.convert(tmp_path / name)
    assert str(caught.value.remedy).count(f"({str(tmp_path)!r})") == 2


@pytest.mark.parametrize("name", ["", "config.json", "model.safetensors", "model.safetensors.index.json"])
def test_each_file_of_a_model_of_transformers_leads_to_its_folder(name: str, tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors", "model.safetensors.index.json"):
        (tmp_path / file).write_text("{}")
    with pytest.raises(ModelFileError, match="a model of transformers") as caught:
        bitsmith.convert(tmp_path / name)
    assert f"from_pretrained({str(tmp_path)!r})" in str(caught.value.remedy)


def saved_models(folder: Path) -> dict[str, Path]:
    """A file of each of the formats of files by their endings."""
    samples = Path(__file__).parents[1] / "quantized"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(folder / "a.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(folder / "a.h5")
    module = torch.nn.Linear(3, 2).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3),)), folder / "a.pt2")
    onnx.save(MODEL, folder / "a.onnx")
    shutil.copy(next(samples.glob("tflite/models/*.tflite")), folder / "a.tflite")
    return {path.suffix: path for path in folder.glob("a.*")}


def test_the_content_of_a_file_decides_whatever_its_ending_says(tmp_path: Path) -> None:
    files = saved_models(tmp_path)
    assert set(files) == {".keras", ".h5", ".pt2", ".onnx", ".tflite"}
    for file in files.values():
        record = framework_of(file)
        for ending in (*files, ".hdf5", ".json", ".pt", ".pth", ".bin", ".zip"):
            named = tmp_path / f"renamed{ending}"
            shutil.copy(file, named)
            assert framework_of(named) is record
            assert len(read_model(named).nodes) == len(read_model(file).nodes)


def test_a_key_of_another_framework_is_told_whose_the_file_is(tmp_path: Path) -> None:
    onnx.save(MODEL, tmp_path / "net.onnx")
    with pytest.raises(ModelFileError, match=r"a file of ONNX\n(.|\n)*bitsmith\.convert\('.*net\.onnx'\).*OnnxModel"):
        bitsmith.converters.keras_to_hls({"KerasModel": str(tmp_path / "net.onnx"), "OutputDir": str(tmp_path)})


@pytest.mark.parametrize("form", ["file://{}/a%20net.keras", "file://localhost{}/a%20net.keras", "~/a net.keras"])
def test_paths_as_users_type_them(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "a net.keras")
    np.save(tmp_path / "x.npy", np.linspace(-1, 1, 18).reshape(9, 2))
    model = bitsmith.convert(form.format(tmp_path), "~/out", calibration="~/x.npy", check=True)
    assert model.output_dir == tmp_path / "out" and model.fidelity.agreement.error is not None
    with pytest.raises(ModelFileError, match="no such file"):
        bitsmith.convert("~nobody-of-that-name/a.keras")


def test_an_architecture_alone_is_told_where_its_weights_belong(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    (tmp_path / "net.json").write_text(model.to_json())
    with pytest.raises(ModelFileError, match="no weights beside") as caught:
        bitsmith.convert(tmp_path / "net.json")
    model.save_weights(str(caught.value.remedy).partition("'")[2].partition("'")[0])
    assert bitsmith.convert(tmp_path / "net.json", tmp_path).predict(np.zeros((1, 2))).shape == (1, 1)


@pytest.mark.parametrize(("text", "keys"), [("{}", "none"), ('{"name": "site", "version": 1}', "'name', 'version'")])
def test_json_of_something_else_is_no_architecture(text: str, keys: str, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(text)
    with pytest.raises(ModelFileError, match="JSON of no model") as caught:
        bitsmith.convert(tmp_path / "package.json")
    assert caught.value.found.endswith(keys) and "to_json" in caught.value.accepted


def test_an_unpacked_keras_file_is_read_by_its_configuration(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extractall(tmp_path / "folder")
    with pytest.raises(ModelFileError, match=r"an unpacked .keras file(.|\n)*config\.json"):
        bitsmith.convert(tmp_path / "folder")
    read = bitsmith.convert(tmp_path / "folder" / "config.json", tmp_path / "out")
    x = np.ones((1, 2))
    assert np.array_equal(read.predict(x), bitsmith.convert(tmp_path / "model.keras", tmp_path / "same").predict(x))


def test_a_path_that_is_not_there_gets_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "classifier.keras").touch()
    with pytest.raises(ModelFileError, match=r"no such file(.|\n)*did you mean '.*classifier\.keras'"):
        bitsmith.convert(tmp_path / "clasifier.keras")
    (tmp_path / "link.keras").symlink_to("moved.keras")
    with pytest.raises(ModelFileError, match=r"a link to a file that is not there(.|\n)*'moved\.keras'"):
        bitsmith.convert(tmp_path / "link.keras")
    with pytest.raises(ModelFileError, match=r"no such file(.|\n)*check the path"):
        bitsmith.convert(tmp_path / "nowhere" / "model.onnx")
    for scheme in ("https", "gs", "hf"):
        with pytest.raises(ModelFileError, match=r"no such file(.|\n)*download it"):
            bitsmith.convert(f"{scheme}://example.org/model.onnx", tmp_path)


def test_every_kind_is_tried() -> None:
    texts = [record.found for record in (*OBJECTS, *FILES)]
    assert len(set(texts)) == len(texts)
