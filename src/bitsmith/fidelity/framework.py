"""The float model as its own framework computes it: Keras, PyTorch or onnxruntime.

In: what ``convert`` was given, and inputs. Out: the framework's outputs, or why there are none. Frameworks are imported
here only, and only where they are loaded already or load in no time. Nothing that a file brings is executed: ONNX files are data
for onnxruntime, and Keras opens archives in its safe mode.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from bitsmith.frontends.keras.live import LiveModel
from bitsmith.frontends.onnx.live import OnnxModel, is_onnx
from bitsmith.frontends.read import AnyModel
from bitsmith.frontends.tflite.live import is_tflite
from bitsmith.frontends.torch.live import evaluating, is_exported, is_module, module_results
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.settled import is_quantized

if TYPE_CHECKING:
    import torch

Check: TypeAlias = "bool | Literal['auto']"
"""Whether to compare with the framework: always, never, or where that costs little."""

Numbers: TypeAlias = npt.NDArray[np.generic]
_Run: TypeAlias = Callable[[list[Numbers]], object]

_HALVES = ("float16", "bfloat16")


class NotComparedError(Exception):
    """Why a framework's outputs are not to be had."""


@dataclass(frozen=True, slots=True)
class FrameworkRun:
    """Outputs of ``framework``, which computes in half precision or on an accelerator, or not."""

    framework: str
    outputs: tuple[Floats, ...]
    half: bool = False
    accelerated: bool = False


def framework_run(model: AnyModel, network: Network, inputs: Sequence[Floats], *, insist: bool) -> FrameworkRun | None:
    """What the framework of ``model`` computes; None if it is a file whose framework is slow to load, unless you ``insist``.

    Raises:
        NotComparedError: the framework is missing, or cannot run this model.
    """
    given = _typed(network, inputs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_module(model):
                return _of_module(model, given)
            if is_exported(model):
                return FrameworkRun("PyTorch", _exported_outputs(model, given))
            if is_onnx(model):
                return FrameworkRun("onnxruntime", _onnx_outputs(model, given))
            if isinstance(model, LiveModel):
                return _of_keras(model, given)
            if is_tflite(model) and insist:
                raise NotComparedError(
                    "a quantized TensorFlow Lite model is integers, computed as its file says"
                    if is_quantized(network)
                    else "no interpreter of TensorFlow Lite is run"
                )
            return _of_file(Path(cast("str | os.PathLike[str]", model)), given) if insist else None
    except NotComparedError:
        raise
    except Exception as error:  # whatever a framework raises for a model that it cannot run
        raise NotComparedError(f"{type(error).__name__}: {error}".splitlines()[0]) from error


_INTEGERS: Mapping[tuple[int, int] | None, type[np.integer | np.bool_]] = {
    (0, 1): np.bool_,
    **{(int(np.iinfo(one).min), int(np.iinfo(one).max)): one for one in (np.int8, np.uint8, np.int16, np.uint16)},
}
"""The types of inputs by their limits."""


def _typed(network: Network, inputs: Sequence[Floats]) -> list[Numbers]:
    """The inputs in single precision, or as integers where the model takes these."""
    layers = [network.node(name).layer for name in network.inputs]
    return [
        x.astype(_INTEGERS.get(layer.limits, np.int64) if isinstance(layer, Input) and layer.integer else np.float32)
        for layer, x in zip(layers, inputs, strict=True)
    ]


def _flat(result: object) -> tuple[Floats, ...]:
    """The arrays in what a model returned."""
    if isinstance(result, Mapping):
        if len(result) > 1:
            raise NotComparedError("its outputs have names instead of an order")
        return _flat(next(iter(result.values())))
    if isinstance(result, list | tuple):
        return tuple(array for each in result for array in _flat(each))
    tensor = cast("torch.Tensor", result)
    if hasattr(tensor, "detach"):
        return (tensor.detach().double().cpu().numpy(),)
    return (np.asarray(result).astype(np.float64),)


def _in_parts(run: _Run, given: list[Numbers], size: int) -> tuple[Floats, ...]:
    """Outputs of a model that takes ``size`` samples at once; samples that fill no part are repeated ones."""
    total = len(given[0])

    def part(start: int) -> tuple[Floats, ...]:
        return _flat(run([x[np.arange(start, start + size) % total] for x in given]))

    parts = [part(start) for start in range(0, total, size)]
    for first, next_first in zip(parts[0], part(1), strict=True):
        if first.shape[:1] != (size,) or not np.allclose(first[1:], next_first[:-1], 1e-3, 1e-6, equal_nan=True):
            raise NotComparedError("the samples of its results are not along the first axis")
    return tuple(np.concatenate(each)[:total] for each in zip(*parts, strict=True))


def _of_module(module: torch.nn.Module, given: list[Numbers]) -> FrameworkRun:
    import torch

    place = next(module.parameters(), torch.zeros(()))
    tensors = [torch.from_numpy(np.array(x)).to(place.device) for x in given]
    with evaluating(module), torch.no_grad():
        result = module(*(x.to(place.dtype) if x.is_floating_point() else x for x in tensors))
    half = place.dtype in (torch.float16, torch.bfloat16)
    return FrameworkRun("PyTorch", _flat(result), half, accelerated=place.device.type != "cpu")


def _exported_outputs(program: torch.export.ExportedProgram, given: list[Numbers]) -> tuple[Floats, ...]:
    import torch

    inputs = [node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    if any(not isinstance(size, int) for tensor in inputs for size in tensor.shape[1:]):
        raise NotComparedError("its samples are not along the first axis")
    module = program.module()
    examples: Sequence[torch.Tensor] = () if program.example_inputs is None else program.example_inputs[0]
    types = [example.dtype for example in examples] or [torch.from_numpy(x).dtype for x in given]

    def run(batch: list[Numbers]) -> object:
        tensors = [torch.from_numpy(np.array(x)).to(dtype) for x, dtype in zip(batch, types, strict=True)]
        with torch.no_grad():
            return module(*tensors)

    try:
        return _flat(run(given))
    except Exception:  # it may take as many samples as its example had, only
        if not examples:
            raise
        return _in_parts(run, given, len(examples[0]))


class _Described(Protocol):
    """What is used of an input of a session of onnxruntime, or of a Keras model."""

    name: str
    type: str
    dtype: object
    shape: Sequence[int | str | None]


class _Session(Protocol):
    """What is used of a session of onnxruntime."""

    def get_inputs(self) -> list[_Described]: ...
    def run(self, names: None, feeds: Mapping[str, Numbers]) -> list[Numbers]: ...


_ONNX_TYPES = {"float": "float32", "double": "float64"}


def _onnx_outputs(model: OnnxModel, given: list[Numbers]) -> tuple[Floats, ...]:
    if find_spec("onnxruntime") is None:
        raise NotComparedError("onnxruntime is not installed")
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    # Optimizations change what quantized models compute, by whole steps.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = Path(model).read_bytes() if isinstance(model, str | os.PathLike) else model.SerializeToString()
    try:
        session: _Session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        unknown = re.search(r"([\w.]+):(\w+)\(-?\d+\) is not a registered function/op", str(error))
        if unknown is None:
            raise
        raise NotComparedError(
            f"onnxruntime does not know {unknown[1]}::{unknown[2]}; custom.check(expected=...) compares with results of yours"
        ) from error
    entries = session.get_inputs()
    if len(entries) != len(given):
        raise NotComparedError("it has other inputs for onnxruntime")
    kinds = [entry.type.removeprefix("tensor(").removesuffix(")") for entry in entries]
    typed = [x.astype(_ONNX_TYPES.get(kind, kind)) for x, kind in zip(given, kinds, strict=True)]

    def run(batch: list[Numbers]) -> object:
        return session.run(None, {entry.name: x for entry, x in zip(entries, batch, strict=True)})

    shape = entries[0].shape
    if len(shape) == given[0].ndim - 1:  # no axis of samples: one at a time
        each = [_flat(run([x[k] for x in typed])) for k in range(len(given[0]))]
        return tuple(np.stack(parts) for parts in zip(*each, strict=True))
    if any(not _takes(entry.shape, x) for entry, x in zip(entries, typed, strict=True)):
        raise NotComparedError("its samples are not along the first axis")
    return _in_parts(run, typed, shape[0]) if isinstance(shape[0], int) else _flat(run(typed))


def _takes(shape: Sequence[int | str | None], x: Numbers) -> bool:
    """True if an input of this shape takes ``x``, of any number of samples."""
    sizes = zip(shape[1:], x.shape[1:], strict=False)
    return len(shape) == x.ndim and all(isinstance(want, int) and want == have for want, have in sizes)


class _KerasLayer(Protocol):
    """What is used of a layer of a live Keras model."""

    name: str
    output: object


class _KerasModel(Protocol):
    """What is used of a Keras model that is run."""

    inputs: Sequence[_Described]
    layers: list[_KerasLayer]

    def __call__(self, x: object, training: bool) -> object: ...
    def predict(self, x: object, verbose: int) -> list[Floats]: ...


def _of_keras(live: LiveModel, given: list[Numbers]) -> FrameworkRun:
    if any(getattr(layer, "stateful", False) for layer in live.layers):
        raise NotComparedError("it keeps states")
    model = cast(_KerasModel, live)
    typed = [x.astype(_keras_type(tensor.dtype)) for x, tensor in zip(given, model.inputs, strict=True)]

    def run(batch: list[Numbers]) -> object:
        return model(batch if len(batch) > 1 else batch[0], training=False)

    size = model.inputs[0].shape[0]
    outputs = _in_parts(run, typed, size) if isinstance(size, int) else _flat(run(typed))
    half = any(str(getattr(layer, "compute_dtype", "")) in _HALVES for layer in live.layers)
    return FrameworkRun("Keras", outputs, half, accelerated=not _on_cpu(live))


def _on_cpu(live: LiveModel) -> bool:
    """True if the weights of a Keras model are where single precision is that throughout."""
    values = (getattr(variable, "value", None) for variable in getattr(live, "weights", ()))
    return all("cpu" in str(getattr(value, "device", "cpu")).lower() for value in values)


def _keras_type(dtype: object) -> str:
    name = str(getattr(dtype, "name", dtype))
    return "float32" if name in _HALVES else name


def _of_file(path: Path, given: list[Numbers]) -> FrameworkRun:
    if path.suffix == ".pt2":
        return FrameworkRun("PyTorch", _exported_outputs(_loaded_program(path), given))
    if not zipfile.is_zipfile(path):
        raise NotComparedError("Keras opens .keras files safely, but no others: give the model itself")
    if find_spec("keras") is None:
        raise NotComparedError("Keras is not installed")
    _check_modules(path)
    keras = importlib.import_module("keras")
    return _of_keras(keras.saving.load_model(path, compile=False, safe_mode=True), given)


def _loaded_program(path: Path) -> torch.export.ExportedProgram:
    if find_spec("torch") is None:
        raise NotComparedError("PyTorch is not installed")
    import torch

    return torch.export.load(path)


def _check_modules(path: Path) -> None:
    """Refuse a file for which Keras would import something else than itself."""
    with zipfile.ZipFile(path) as archive:
        pending = [json.loads(archive.read("config.json"))]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            module = value.get("module")
            if module is not None and str(module).partition(".")[0] not in ("keras", "builtins"):
                raise NotComparedError(f"it asks for the module {module!r}")
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def layer_results(model: AnyModel, network: Network, inputs: Sequence[Floats]) -> dict[str, Floats]:
    """The results of layers as a live model's framework computes them, by the names of nodes; nothing of other models."""
    if is_module(model):
        return module_results(model, _typed(network, inputs))
    return _keras_results(model, network, inputs) if isinstance(model, LiveModel) else {}


def _keras_results(live: LiveModel, network: Network, inputs: Sequence[Floats]) -> dict[str, Floats]:
    model = cast(_KerasModel, live)
    users = {layer.name for layer in model.layers}
    # An activation within a layer has a node of its own, and Keras's result is that node's.
    after = {
        node.inputs[0]: node.name
        for node in network.nodes
        if len(node.inputs) == 1
        and node.name not in users
        and node.name.startswith(f"{node.inputs[0]}_")
        and not node.inner
    }
    known = {node.name for node in network.nodes} - set(network.inputs)
    tensors: dict[str, object] = {}
    for layer in model.layers:
        name = after.get(layer.name, layer.name) if getattr(layer, "activation", None) is not None else layer.name
        if name in known and len(getattr(layer, "_inbound_nodes", ())) == 1 and hasattr(layer.output, "shape"):
            tensors[name] = layer.output
    if not tensors:
        return {}
    package = next(kind.__module__ for kind in type(live).__mro__ if kind.__module__.partition(".")[0] in _KERAS)
    keras = importlib.import_module(package.partition(".")[0])
    inner: _KerasModel = keras.Model(model.inputs, list(tensors.values()))
    found = inner.predict(list(inputs) if len(inputs) > 1 else inputs[0], verbose=0)
    results = found if isinstance(found, list) else [found]
    return {name: np.asarray(y, dtype=np.float64) for name, y in zip(tensors, results, strict=True)}


_KERAS = ("keras", "tf_keras")
