"""Outputs of Keras's models, and results of their layers, as Keras computes them; it opens archives in its safe mode."""

import importlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.keras.live import LiveModel, is_live
from bitsmith.frontends.keras.subclassed import functional, package_of
from bitsmith.frontends.outputs import HALVES, FrameworkRun, ModelRun, NotComparedError, Numbers, flat, in_parts
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network


class _Tensor(Protocol):
    """The attributes of an input that are used."""

    dtype: object
    shape: Sequence[int | None]


class _Layer(Protocol):
    """The attributes of a layer that are used."""

    name: str
    output: object
    states: object


class _Variable(Protocol):
    """The methods of a variable that are used."""

    def numpy(self) -> object: ...
    def assign(self, value: object) -> object: ...


class _Runnable(Protocol):
    """The attributes of a model that is run."""

    inputs: Sequence[_Tensor]
    layers: list[_Layer]

    def __call__(self, x: object, training: bool) -> object: ...
    def _flatten_layers(self) -> Iterable[_Layer]: ...
    def predict(self, x: object, batch_size: int, verbose: int) -> list[Floats]: ...


_MANY = 64
"""Layers from which on JAX takes less time to compile a model as a whole than each function for each shape on its own."""


def keras_outputs(asked: ModelRun) -> FrameworkRun | None:
    """Outputs of a live model; of a file if the caller insists, else None.

    Raises:
        NotComparedError: they are not to be had.
    """
    if is_live(asked.model):
        traced = functional(asked.model, ReadOptions(layers=asked.layers))
        return _live_outputs(traced, asked.model, asked.inputs, whole=not asked.layers)
    if not asked.insist:
        return None
    loaded = _loaded(Path(str(asked.model)))
    return _live_outputs(loaded, loaded, asked.inputs)


def _live_outputs(live: LiveModel, users: LiveModel, inputs: Sequence[Numbers], *, whole: bool = True) -> FrameworkRun:
    """The outputs of the ``users`` model, which is ``live`` as functional; compiled as a ``whole`` where that is faster."""
    model, keras, states = cast("_Runnable", live), package_of(type(live)), _states(live)
    places = {id(tensor): k for k, tensor in enumerate(model.inputs)}
    structure = getattr(
        model, "input", model.inputs if len(model.inputs) > 1 else model.inputs[0]
    )  # none of Sequential's
    many = len(list(model._flatten_layers())) >= _MANY and not states
    whole = whole and many and keras is not None and keras.backend.backend() == "jax"
    typed = [x.astype(_type_name(tensor.dtype)) for x, tensor in zip(inputs, model.inputs, strict=True)]

    def run(batch: Sequence[Numbers]) -> object:
        x, own = _in_structure(structure, lambda tensor: batch[places[id(tensor)]]), cast("_Runnable", users)
        return own.predict(x, len(batch[0]), verbose=0) if whole else own(x, training=False)

    size = model.inputs[0].shape[0]
    if states:
        outputs = _in_order(live, run, typed, size if isinstance(size, int) else 1)
    else:
        outputs = in_parts(run, typed, size) if isinstance(size, int) else flat(run(typed))
    half = any(str(getattr(layer, "compute_dtype", "")) in HALVES for layer in live.layers)
    return FrameworkRun("Keras", outputs, half, accelerated=not _on_cpu(live))


def _in_structure(structure: object, value: Callable[[object], object]) -> object:
    """Values in place of the tensors of a structure of inputs."""
    if isinstance(structure, Mapping):
        return {key: _in_structure(each, value) for key, each in structure.items()}
    if isinstance(structure, list | tuple):
        return [_in_structure(each, value) for each in structure]
    return value(structure)


def _states(live: LiveModel) -> list[_Variable]:
    """The variables that stateful layers keep between samples."""
    layers = cast("_Runnable", live)._flatten_layers()
    kept = [_flat(layer.states) for layer in layers if getattr(layer, "stateful", False) and hasattr(layer, "states")]
    return list({id(each): each for states in kept for each in states}.values())


def _flat(states: object) -> Iterator[_Variable]:
    if isinstance(states, list | tuple):
        for each in states:
            yield from _flat(each)
    elif states is not None:
        yield cast("_Variable", states)


def _in_order(
    live: LiveModel, run: Callable[[Sequence[Numbers]], object], inputs: Sequence[Numbers], size: int
) -> tuple[Floats, ...]:
    """The outputs for one sample after another, from states of zeros on, each ``size`` times at once; the user's states stay."""
    states = _states(live)
    kept = [np.array(state.numpy()) for state in states]
    try:
        for state, value in zip(states, kept, strict=True):
            state.assign(np.zeros_like(value))
        rows = [
            [y[:1] for y in flat(run([np.repeat(x[sample : sample + 1], size, axis=0) for x in inputs]))]
            for sample in range(len(inputs[0]))
        ]
    finally:
        for state, value in zip(states, kept, strict=True):
            state.assign(value)
    return tuple(np.concatenate(outputs) for outputs in zip(*rows, strict=True))


def _on_cpu(live: LiveModel) -> bool:
    """Return True if the weights of a Keras model are where single precision is that throughout."""
    values = (getattr(variable, "value", None) for variable in getattr(live, "weights", ()))
    return all("cpu" in str(getattr(value, "device", "cpu")).lower() for value in values)


def _type_name(dtype: object) -> str:
    name = str(getattr(dtype, "name", dtype))
    return "float32" if name in HALVES else name


def _loaded(path: Path) -> LiveModel:
    if not zipfile.is_zipfile(path):
        raise NotComparedError("Keras opens .keras files safely, but no others: give the model itself")
    if find_spec("keras") is None:
        raise NotComparedError("Keras is not installed")
    _check_modules(path)
    keras = importlib.import_module("keras")
    model: LiveModel = keras.saving.load_model(path, compile=False, safe_mode=True)
    return model


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


def layer_results(source: object, network: Network, inputs: Sequence[Numbers]) -> Mapping[str, Floats]:
    """Results of a live model's layers, by the names of the network's nodes; empty of files."""
    if not is_live(source):
        return {}
    if _states(live := functional(source)):
        return {}
    model = cast("_Runnable", live)
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
    keras = package_of(type(live))
    if not tensors or keras is None:
        return {}
    inner: _Runnable = keras.Model(model.inputs, list(tensors.values()))
    predicted = inner.predict(list(inputs) if len(inputs) > 1 else inputs[0], len(inputs[0]), verbose=0)
    results = predicted if isinstance(predicted, list) else [predicted]
    return {name: np.asarray(y, dtype=np.float64) for name, y in zip(tensors, results, strict=True)}
