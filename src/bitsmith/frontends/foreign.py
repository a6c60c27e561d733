"""Things that users hold and that no reader takes: what each is, and the lines that lead from it to a conversion.

In: an object or a path. Out: the error to raise. A record has no default, so that each says how it is recognized and what to do.
Nothing here imports the package that a thing belongs to, or reads more of a file than its first bytes.
"""

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bitsmith.base.files import SAVED_MODEL
from bitsmith.base.project import MANIFEST
from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.archive import first_bytes

FIRST_BYTES = 64


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """A kind of object.

    Args:
        found: what it is; ``{name}`` stands for its class.
        is_one: True of such an object, given also the modules of its class and of the classes that it derives from.
        remedy: what to do.
    """

    found: str
    is_one: Callable[[object, tuple[str, ...]], bool]
    remedy: str


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A kind of file or folder.

    Args:
        found: what it is.
        is_one: True of such a path, given also the first bytes of a file; of a folder they are empty.
        remedy: what to do; ``{path}`` stands for the path, ``{folder}`` for the folder that it is or is in.
    """

    found: str
    is_one: Callable[[Path, bytes], bool]
    remedy: str


def _of(*packages: str) -> Callable[[object, tuple[str, ...]], bool]:
    """A test for objects of classes within packages or modules."""
    return lambda thing, modules: any(f"{module}.".startswith(f"{name}.") for module in modules for name in packages)


def _is_weights(thing: object, modules: tuple[str, ...]) -> bool:
    return isinstance(thing, Mapping) and bool(thing) and all(hasattr(value, "shape") for value in thing.values())


def _is_tree_of_weights(thing: object) -> bool:
    """Return True of weights in dictionaries within dictionaries, as JAX has them."""
    if not isinstance(thing, Mapping):
        return hasattr(thing, "shape")
    return bool(thing) and all(map(_is_tree_of_weights, thing.values()))


def _file(suffixes: tuple[str, ...], magic: bytes | None = None, at: int = 0) -> Callable[[Path, bytes], bool]:
    """A test for files with one of these endings, in lower case, or with such bytes from one place on."""
    return lambda path, first: (
        path.suffix.lower() in suffixes or (magic is not None and first[at : at + len(magic)] == magic)
    )


def _is_compressed_pickle(path: Path, first: bytes) -> bool:
    """Return True of a pickle that joblib has compressed."""
    is_pickle = any(suffix in (".pkl", ".pickle", ".sav", ".joblib") for suffix in path.suffixes)
    return is_pickle and first.startswith((b"x", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"]\0\0"))


def is_text(thing: object) -> bool:
    """Return True of a text that is JSON or YAML, and not a path."""
    return isinstance(thing, str) and (thing.lstrip()[:1] == "{" or "\n" in thing.strip())


def _is_architecture(thing: object, modules: tuple[str, ...]) -> bool:
    """Return True of the JSON of a model of Keras, as text or as a dictionary, and of its configuration."""
    keys = ("class_name", "layers")
    return any(f'"{key}"' in thing for key in keys) if isinstance(thing, str) else _has_key(thing, keys)


def _has_key(thing: object, keys: tuple[str, ...]) -> bool:
    return isinstance(thing, Mapping) and any(key in thing for key in keys)


def _is_of_transformers(path: Path) -> bool:
    """Return True of a file without weights of such a model's folder, or of weights beside their configuration."""
    beside = (path.parent / "config.json").is_file()
    if path.name == "config.json":
        return any(Path(name).suffix == ".safetensors" for name in _names(path.parent))
    return path.name.endswith(".index.json") or (beside and path.suffix == ".safetensors")


def _is_of_orbax(path: Path, first: bytes) -> bool:
    """Return True of a checkpoint's folder, of one that has it within, and of a file that older versions wrote."""
    names = _names(path)
    within = {name for folder in names for name in _names(path / folder)}
    packed = path / "checkpoint" if "checkpoint" in names else path
    # Such a file is a dictionary of msgpack; TensorFlow's of the same name is text.
    begins = first_bytes(packed, 1) if packed.is_file() else b""
    is_packed = packed.name == "checkpoint" and (b"\x80" <= begins <= b"\x8f" or begins in (b"\xde", b"\xdf"))
    return is_packed or bool({"_METADATA", "manifest.ocdbt", "_CHECKPOINT_METADATA"} & within.union(names))


_PICKLED = (b"sklearn.", b"xgboost.", b"lightgbm.", b"catboost.")
_CBM = "model = catboost.CatBoostClassifier().load_model({path}), or a CatBoostRegressor(); bitsmith.convert(model)"
_CONVERT = "bitsmith.convert(model, input_shape=...)"
_LITE = "tf.lite.TFLiteConverter"
_ESTIMATOR = "give the estimator that it was made from"
_ONNX = "export the model that it was made from to ONNX, and give that"
_EXPORTED = "give the ExportedProgram that it was lowered from, or its .pt2 file"

_JAX = "bitsmith.convert(jax2onnx.to_onnx(function, [('B', 16)])), where the function of x has its weights within"

OBJECTS = (
    ForeignObject(
        "the architecture of a Keras model, without its weights",
        _is_architecture,
        "give the live model, or its file: model.save('model.keras'); or write model.to_json() to model.json, and beside it "
        "model.save_weights('model.weights.h5')",
    ),
    ForeignObject(
        "a text, which is not a path",
        lambda thing, modules: is_text(thing),
        "give the path of a file; bitsmith.converters.convert_from_config takes projects as dictionaries",
    ),
    ForeignObject(
        "{name}, a file or its content",
        lambda thing, modules: (
            isinstance(thing, bytes | bytearray | memoryview) or callable(getattr(thing, "read", None))
        ),
        "give the path of the file, or write it to one; of .onnx and .tflite files also their bytes, as file.read() has them",
    ),
    ForeignObject(
        "a class, which is not a model yet",
        lambda thing, modules: isinstance(thing, type),
        "make an instance of it, load its weights, and give that",
    ),
    ForeignObject(
        "an array, which is not a model",
        lambda thing, modules: hasattr(thing, "__array__"),
        "give the model; data are given as calibration",
    ),
    ForeignObject(
        "{name}, a layer without the shape of its input",
        _of("keras", "tf_keras"),
        "bitsmith.convert(keras.Sequential([keras.Input(shape), layer]))",
    ),
    ForeignObject(
        "{name}, which predicts nothing", _of("sklearn"), "give the estimator, or the pipeline that has both"
    ),
    ForeignObject(
        "{name}, a pipeline of transformers",
        lambda thing, modules: _of("transformers.pipelines")(thing, modules),
        "give the model within it and an example: bitsmith.convert(pipeline.model, example=...)",
    ),
    ForeignObject(
        "{name}, weights without the module that they belong to",
        _is_weights,
        f"model.load_state_dict(weights); {_CONVERT}",
    ),
    ForeignObject(
        "{name}, weights without the function that they belong to",
        lambda thing, modules: isinstance(thing, Mapping) and _is_tree_of_weights(thing),
        _JAX,
    ),
    ForeignObject(
        "{name} of TensorFlow, which has to become a TensorFlow Lite model first",
        _of("tensorflow"),
        f"of a tf.function: function = f.get_concrete_function(tf.TensorSpec((1, 16))); "
        f"bitsmith.convert({_LITE}.from_concrete_functions([function]).convert()); "
        f"of a SavedModel: bitsmith.convert({_LITE}.from_saved_model(folder).convert())",
    ),
    ForeignObject(
        "{name} of JAX, which has to become an ONNX model first", _of("jax", "jaxlib", "flax", "equinox", "haiku"), _JAX
    ),
    ForeignObject(
        "{name}, a model of MLflow",
        _of("mlflow"),
        "load it by its flavor: bitsmith.convert(mlflow.sklearn.load_model(uri)), or mlflow.keras, mlflow.pytorch",
    ),
    ForeignObject("{name}, a program of ExecuTorch", _of("executorch"), _EXPORTED),
    ForeignObject("{name}, a model for another machine", _of("coremltools", "openvino", "tensorrt"), _ONNX),
    ForeignObject(
        "{name}, which is converted",
        _of("bitsmith"),
        "it is converted: its methods predict, compile and build are next",
    ),
    ForeignObject(
        "a function, which is not a model",
        lambda thing, modules: (
            callable(thing) and type(thing).__name__ in ("function", "builtin_function_or_method", "partial")
        ),
        "of PyTorch's tensors: call it in the forward of a torch.nn.Module, and give an instance of that; "
        "of JAX's: bitsmith.convert(jax2onnx.to_onnx(function, [('B', 16)]))",
    ),
    ForeignObject(
        "None, which is not a model", lambda thing, modules: thing is None, "give a model, or the path of its file"
    ),
)
"""Kinds of objects, of which the first that fits is told."""

FILES = (
    ForeignFile(
        "a project folder of bitsmith, and a model is converted already",
        lambda path, first: (path / SAVED_MODEL).is_file(),
        "bitsmith.Model.load({path}) has predict, compile and build",
    ),
    ForeignFile(
        "a project folder of bitsmith",
        lambda path, first: (path / MANIFEST).is_file(),
        "give the file that its circuit was converted from",
    ),
    ForeignFile(
        "a SavedModel of TensorFlow",
        lambda path, first: (path / "saved_model.pb").is_file() or path.name == "saved_model.pb",
        "of a model of Keras 2: bitsmith.convert(tf_keras.models.load_model({folder})), or its .keras or .h5 file; otherwise: "
        f"bitsmith.convert({_LITE}.from_saved_model({{folder}}).convert())",
    ),
    ForeignFile(
        "an unpacked .keras file",
        lambda path, first: (path / "model.weights.h5").is_file(),
        "bitsmith.convert({folder} + '/config.json')",
    ),
    ForeignFile(
        "a model of transformers",
        lambda path, first: (path / "config.json").is_file() or _is_of_transformers(path),
        "model = transformers.AutoModel.from_pretrained({folder}); bitsmith.convert(model, example=...)",
    ),
    ForeignFile(
        "weights of JAX, without the function that they belong to",
        lambda path, first: path.suffix.lower() == ".msgpack" or _is_of_orbax(path, first),
        f"restore them, and {_JAX}",
    ),
    ForeignFile(
        "a model of MLflow",
        lambda path, first: (path / "MLmodel").is_file() or path.name == "MLmodel",
        "load it by its flavor: bitsmith.convert(mlflow.sklearn.load_model({folder})), or mlflow.keras, mlflow.pytorch",
    ),
    ForeignFile(
        "checkpoints of TensorFlow: weights without their model",
        lambda path, first: (
            (path / "checkpoint").is_file()
            or path.suffix.lower() == ".index"
            or path.name == "checkpoint"
            or ".data-0000" in path.name
        ),
        "model.load_weights(...) in Keras, then give the live model or a .keras file of it",
    ),
    ForeignFile("an empty file", lambda path, first: not first and not path.is_dir(), "write it again"),
    ForeignFile("a pointer of Git LFS in place of the file", _file((), b"version https://git-lfs"), "git lfs pull"),
    ForeignFile(
        "a web page",
        lambda path, first: first.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")),
        "download the file itself, by its raw address",
    ),
    ForeignFile(
        "a graph of TensorFlow 1",
        _file((".pb",)),
        f"bitsmith.convert({_LITE.replace('tf.', 'tf.compat.v1.')}.from_frozen_graph({{path}}, inputs, outputs).convert())",
    ),
    ForeignFile(
        "a model that onnxruntime has laid out for itself",
        _file((".ort",), b"ORTM", 4),
        "give the .onnx file that it was made from",
    ),
    ForeignFile("a program of ExecuTorch", _file((".pte",), b"ET12", 4), _EXPORTED),
    ForeignFile(
        "weights of a language model",
        _file((".gguf", ".ggml"), b"GGUF"),
        "such networks are larger than any FPGA that is known here",
    ),
    ForeignFile("a model of Core ML", _file((".mlmodel", ".mlpackage")), _ONNX),
    ForeignFile(
        "a model of OpenVINO",
        lambda path, first: (
            b"<net " in first
            or (path.suffix == ".bin" and path.with_suffix(".xml").is_file())
            or any(f"{Path(name).stem}.bin" in _names(path) for name in _names(path) if name.endswith(".xml"))
        ),
        _ONNX,
    ),
    ForeignFile("a model as PMML", lambda path, first: b"<PMML" in first or path.suffix.lower() == ".pmml", _ESTIMATOR),
    ForeignFile(
        "a network of Caffe, Darknet, MXNet, ncnn or PaddlePaddle",
        _file((".caffemodel", ".prototxt", ".cfg", ".weights", ".params", ".param", ".pdmodel", ".pdiparams")),
        _ONNX,
    ),
    ForeignFile(
        "a file of MATLAB", _file((".mat", ".mlx"), b"MATLAB"), "in MATLAB: exportONNXNetwork(net, 'model.onnx')"
    ),
    ForeignFile(
        "a project or a configuration",
        _file((".yml", ".yaml", ".toml")),
        "bitsmith.converters.convert_from_config({path}), if it names a model; a configuration is given as config",
    ),
    ForeignFile(
        "a model for one kind of machine", _file((".engine", ".plan", ".trt", ".hef", ".xmodel", ".mar")), _ONNX
    ),
    ForeignFile(
        "trees that XGBoost has dumped, without what becomes of their sums",
        lambda path, first: first.startswith(b"booster[0]") or (first.lstrip()[:1] == b"[" and b'"nodeid"' in first),
        "booster.save_model('model.json'), and give that file",
    ),
    ForeignFile("a CatBoost model", _file((".cbm",), b"CBM1"), _CBM),
    ForeignFile(
        "numbers, which are not a model",
        _file((".npy", ".npz", ".csv", ".parquet"), b"\x93NUMPY"),
        "give the model; data are given as calibration",
    ),
    ForeignFile(
        "a model of XGBoost in its old binary form",
        _file((), b"binf"),
        "with the XGBoost that wrote it: booster.save_model('model.json'), and give that file",
    ),
    ForeignFile("a program", _file((".py", ".ipynb")), "run it, and give the model that it makes"),
    ForeignFile(
        "a Python object of joblib, scikit-learn or a library of trees, whose loading could run arbitrary code",
        lambda path, first: (
            path.suffix.lower() == ".joblib"
            or any(name in first for name in _PICKLED)
            or _is_compressed_pickle(path, first)
        ),
        "if you trust the file: bitsmith.convert(joblib.load({path}))",
    ),
    ForeignFile(
        "an estimator that skops saved",
        _file((".skops",)),
        "bitsmith.convert(skops.io.load({path})); types that skops asks about are its argument trusted, if you trust the file",
    ),
    ForeignFile(
        "a packed file",
        _file((".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".tgz")),
        "unpack it, and give the model",
    ),
)
"""Kinds of files and folders, of which the first that fits is told."""


def foreign_object(thing: object, accepted: str, remedy: str, framework: str) -> ModelFileError:
    """Return the error for an object that is not a model; ``remedy`` is for kinds that are not known.

    ``framework`` is that of the file whose content the object is, empty where it is not known.
    """
    kind = thing if isinstance(thing, type) else type(thing)
    package = kind.__module__.partition(".")[0]
    name = kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
    modules = tuple(base.__module__ for base in kind.__mro__ if base is not object)
    record = next((record for record in OBJECTS if record.is_one(thing, modules)), None)
    unknown = "an object of the type {name} is not a model of a framework that is known here"
    return ModelFileError(
        (unknown if record is None else record.found).format(name=name) + (framework and f", of {framework}"),
        accepted=accepted,
        remedy=remedy if record is None else record.remedy,
    )


def foreign_file(path: Path, suffixes: Iterable[str]) -> ModelFileError | None:
    """Return the error for a path that is known not to be a model, or that is not there; None of others.

    Args:
        path: a file or folder, or nothing.
        suffixes: endings of models, of which a folder's files are told; not asked for otherwise.
    """
    if "\0" not in str(path) and not os.path.exists(path):  # noqa: PTH110  # False of a path that no file can have
        return _absent(path)
    first = b"" if path.is_dir() else first_bytes(path, FIRST_BYTES)
    for record in FILES:
        if record.is_one(path, first):
            remedy = record.remedy.replace("{folder}", repr(str(path if path.is_dir() else path.parent)))
            return ModelFileError(record.found, where=str(path), remedy=remedy.replace("{path}", repr(str(path))))
    if not path.is_dir():
        return None
    endings = tuple(suffixes)
    models = [repr(str(path / name)) for name in _names(path) if name.lower().endswith(endings)]
    remedy = f"give {', or '.join(models[:3])}" if models else "give the file of a model"
    return ModelFileError("a folder", where=str(path), remedy=remedy)


def _absent(path: Path) -> ModelFileError:
    with suppress(OSError, ValueError):  # of what is no link, or no name of a file
        target = str(path.readlink())
        found = "a link to a file that is not there"
        return ModelFileError(found, where=str(path), remedy=f"it leads to {target!r}: check that path")
    close = difflib.get_close_matches(path.name, _names(path.parent), 1)
    remedy = f"did you mean {str(path.parent / close[0])!r}?" if close else "check the path"
    if path.parts[0][2:].endswith(":"):  # of a URL; of a drive it is the second character
        remedy = "download it, and give the file"
    return ModelFileError("there is no such file", where=str(path), remedy=remedy)


def _names(folder: Path) -> list[str]:
    """The names in a folder; none if it cannot be listed."""
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []
