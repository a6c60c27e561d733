"""Outputs of TensorFlow Lite models in floating point as LiteRT computes them; integers are computed as the file says."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from bitsmith.frontends.outputs import FrameworkRun, NotComparedError, Numbers
from bitsmith.frontends.tflite.graph import content_of, read_graph
from bitsmith.frontends.tflite.live import TfliteModel
from bitsmith.frontends.tflite.tensors import Tensor

_QUICK = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
_SLOW = "tensorflow.lite"
"""Modules that have an interpreter, by how long they take to load."""


class _Interpreter(Protocol):
    """The attributes of an interpreter that are used."""

    def allocate_tensors(self) -> None: ...
    def get_input_details(self) -> Sequence[Mapping[str, object]]: ...
    def get_output_details(self) -> Sequence[Mapping[str, object]]: ...
    def set_tensor(self, index: object, values: Numbers) -> None: ...
    def get_tensor(self, index: object) -> Numbers: ...
    def invoke(self) -> None: ...
    def reset_all_variables(self) -> None: ...


def tflite_outputs(model: TfliteModel, inputs: Sequence[Numbers], *, insist: bool) -> FrameworkRun | None:
    """Outputs of a file or its content, sample by sample; None of a quantized one, unless the caller insists.

    Raises:
        NotComparedError: they are not to be had.
    """
    if any(tensor.is_quantized for tensor in _tensors(model)):
        if insist:
            raise NotComparedError("its integers are computed as the file says, by no interpreter of TensorFlow Lite")
        return None
    interpreter = _interpreter(model, insist=insist)
    if interpreter is None:
        return None
    interpreter.allocate_tensors()
    places = [entry["index"] for entry in interpreter.get_input_details()]
    results = [entry["index"] for entry in interpreter.get_output_details()]
    if len(places) != len(inputs):
        raise NotComparedError("it has other inputs for its interpreter")
    rows = []
    for sample in zip(*inputs, strict=True):
        for place, values in zip(places, sample, strict=True):
            like = interpreter.get_tensor(place)
            interpreter.set_tensor(place, values.astype(like.dtype).reshape(like.shape))
        interpreter.invoke()
        rows.append([interpreter.get_tensor(result).astype(np.float64) for result in results])
        interpreter.reset_all_variables()
    return FrameworkRun("LiteRT", tuple(map(np.concatenate, zip(*rows, strict=True))))


def _tensors(model: TfliteModel) -> Iterator[Tensor]:
    graph = read_graph(model)
    yield from graph.inputs
    for operator in graph.operators:
        yield from (tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None)


def _interpreter(model: TfliteModel, *, insist: bool) -> _Interpreter | None:
    """An interpreter of the model; None if only TensorFlow has one, which is slow to load, unless the caller insists.

    Raises:
        NotComparedError: no package has one.
    """
    known = [name for name in (*_QUICK, _SLOW) if find_spec(name.partition(".")[0]) is not None]
    if not known:
        raise NotComparedError("its interpreter is not installed: pip install ai-edge-litert")
    if known == [_SLOW] and not insist:
        return None
    content, _ = content_of(model)
    found: _Interpreter = importlib.import_module(known[0]).Interpreter(model_content=content)
    return found
