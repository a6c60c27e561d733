"""Outputs of ONNX models as onnxruntime computes them."""

from __future__ import annotations

import copy
import importlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bitsmith.frontends.custom.call import Layers, Table
from bitsmith.frontends.onnx.custom import operator_classes
from bitsmith.frontends.onnx.live import OnnxModel
from bitsmith.frontends.outputs import HALVES, FrameworkRun, NotComparedError, Numbers, flat, in_parts
from bitsmith.layers.layer import Floats

if TYPE_CHECKING:
    import onnx
    from onnx.reference.op_run import OpRun


@dataclass
class _Entry:
    """An input as a session describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class _Session(Protocol):
    """The attributes of a session of onnxruntime that are used."""

    def get_inputs(self) -> Sequence[_Entry]: ...
    def run(self, names: None, feeds: Mapping[str, Numbers]) -> Sequence[Numbers]: ...


_TYPES = {"float": "float32", "double": "float64"}
"""NumPy's names of types that ONNX calls by others."""


class _UnknownOperatorError(NotComparedError):
    """An operator that onnxruntime does not have."""


def onnx_outputs(model: OnnxModel, inputs: Sequence[Numbers], layers: Layers | None) -> FrameworkRun:
    """Outputs of a file or a live model; ``layers`` may have functions that compute its operators.

    Raises:
        NotComparedError: they are not to be had.
    """
    import onnx

    if isinstance(model, bytes):
        live = onnx.load_from_string(model)
    else:
        live = onnx.load(model) if isinstance(model, str | os.PathLike) else copy.deepcopy(model)
    # Runtimes round operands of products with weights of few bits by this.
    for attribute in (one for node in live.graph.node for one in node.attribute if one.name == "accuracy_level"):
        attribute.i = 1
    # Of dictionaries of probabilities, as scikit-learn's exporter writes them, runtimes choose the order.
    zipped = {node.output[0]: node.input[0] for node in live.graph.node if node.op_type == "ZipMap"}
    for output in (entry for entry in live.graph.output if entry.name in zipped):
        output.CopyFrom(onnx.helper.make_tensor_value_info(zipped[output.name], onnx.TensorProto.FLOAT, None))
    try:
        return FrameworkRun("onnxruntime", _outputs(_session(live), inputs), half=_has_halves(live))
    except _UnknownOperatorError:
        operators = operator_classes(live, Table.of(layers))
        if not operators:
            raise
    return FrameworkRun("onnx's reference", _outputs(_Reference(live, operators), inputs))


def _has_halves(model: onnx.ModelProto) -> bool:
    from onnx import TensorProto

    halves = [getattr(TensorProto, name.upper()) for name in HALVES]
    return any(tensor.data_type in halves for tensor in model.graph.initializer)


def _session(model: onnx.ModelProto) -> _Session:
    if find_spec("onnxruntime") is None:
        raise NotComparedError("onnxruntime is not installed")
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    # Optimizations change what quantized models compute, by whole steps.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session: _Session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        unknown = re.search(r"([\w.]+):(\w+)\(-?\d+\) is not a registered function/op", str(error))
        if unknown is None:
            raise
        name = f"{unknown[1]}::{unknown[2]}"
        raise _UnknownOperatorError(
            f"onnxruntime does not know {name}; give custom.Operator(translate, reference) in layers, or what results are "
            "expected to custom.check"
        ) from error
    return session


class _Reference:
    """A session of onnx's own reference, which runs operators of the user's."""

    def __init__(self, model: onnx.ModelProto, operators: list[type[OpRun]]) -> None:
        from onnx import TensorProto
        from onnx.reference import ReferenceEvaluator

        stored = {tensor.name for tensor in model.graph.initializer}
        self._entries = [
            _Entry(
                entry.name,
                TensorProto.DataType.Name(entry.type.tensor_type.elem_type).lower(),
                [size.dim_value or None for size in entry.type.tensor_type.shape.dim],
            )
            for entry in model.graph.input
            if entry.name not in stored
        ]
        self._evaluator = ReferenceEvaluator(model, new_ops=operators)

    def get_inputs(self) -> Sequence[_Entry]:
        return self._entries

    def run(self, names: None, feeds: Mapping[str, Numbers]) -> Sequence[Numbers]:
        return list(self._evaluator.run(names, dict(feeds)))


def _outputs(session: _Session, inputs: Sequence[Numbers]) -> tuple[Floats, ...]:
    entries = session.get_inputs()
    if len(entries) != len(inputs):
        raise NotComparedError("it has other inputs for onnxruntime")
    kinds = [entry.type.removeprefix("tensor(").removesuffix(")") for entry in entries]
    typed = [x.astype(_TYPES.get(kind, kind)) for x, kind in zip(inputs, kinds, strict=True)]

    def run(batch: Sequence[Numbers]) -> object:
        return session.run(None, {entry.name: x for entry, x in zip(entries, batch, strict=True)})

    shape = entries[0].shape
    if len(shape) == inputs[0].ndim - 1:  # no axis of samples: one at a time
        single = [flat(run([x[k] for x in typed])) for k in range(len(inputs[0]))]
        return tuple(np.stack(parts) for parts in zip(*single, strict=True))
    if any(not _takes(entry.shape, x) for entry, x in zip(entries, typed, strict=True)):
        raise NotComparedError("its samples are not along the first axis")
    return in_parts(run, typed, shape[0]) if isinstance(shape[0], int) else flat(run(typed))


def _takes(shape: Sequence[int | str | None], x: Numbers) -> bool:
    """Return True if an input of this shape takes ``x``, of any number of samples; its reader has filled other open sizes."""
    open_axes = [k for k, want in enumerate(shape) if not isinstance(want, int)]
    if len(open_axes) == 1 and x.shape[1:] == tuple(want for want in shape if isinstance(want, int)):
        return open_axes == [0]  # the one open size is that of the batch
    sizes = zip(shape[1:], x.shape[1:], strict=False)
    return len(shape) == x.ndim and all(want == have for want, have in sizes if isinstance(want, int))
