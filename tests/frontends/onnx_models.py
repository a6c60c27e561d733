"""Builds small ONNX models, and compares what we read of them with onnxruntime."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bitsmith.compiler import compile_network
from bitsmith.config.resolving import resolve
from bitsmith.emulate import Emulator
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.layers.input import Input
from bitsmith.layers.network import Network

Floats = npt.NDArray[np.float64]
Sizes = Sequence[int | str]

IR_VERSION = 9
INPUT_PRECISION = "fixed<20,4>"

_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.bool_): TensorProto.BOOL,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.float64): TensorProto.DOUBLE,
}


def node(operator: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    """A node named after its first result; names are separated by blanks, and ``-`` is one left out."""
    names = [["" if name == "-" else name for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(operator, *names, name=f"{names[1][0]}_node", **attributes)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sizes],
    outputs: str,
    weights: Mapping[str, npt.ArrayLike] | None = None,
    opset: int = 17,
    types: Mapping[str, type[np.generic]] | None = None,
) -> onnx.ModelProto:
    """A model. Weights that are no arrays of other types are float32."""
    values = [
        helper.make_tensor_value_info(name, _TYPES[np.dtype((types or {}).get(name, np.float32))], list(shape))
        for name, shape in inputs.items()
    ]
    tensors = []
    for name, value in (weights or {}).items():
        array = np.asarray(value)
        tensors.append(numpy_helper.from_array(array.astype(np.float32) if array.dtype == np.float64 else array, name))
    results = [onnx.ValueInfoProto(name=name) for name in outputs.split()]
    proto = helper.make_graph(nodes, "graph", values, results, tensors)
    versions = {"": opset} | {one.domain: 1 for one in nodes if one.domain}
    imports = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    return helper.make_model(proto, opset_imports=imports, ir_version=IR_VERSION)


def typed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the types of its outputs, which onnxruntime wants."""
    inferred = onnx.shape_inference.infer_shapes(model)
    for output in inferred.graph.output:
        if not output.type.HasField("tensor_type"):
            output.type.tensor_type.elem_type = TensorProto.FLOAT
    return inferred


def runtime(model: onnx.ModelProto, inputs: Mapping[str, npt.NDArray[np.generic]]) -> list[npt.NDArray[np.generic]]:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        typed(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, dict(inputs)))


def samples_first(array: npt.NDArray[np.generic], shape: tuple[int, ...]) -> Floats:
    """A tensor of ONNX with its batch axis, whichever that is, in front of samples of ``shape``."""
    values = np.asarray(array, dtype=np.float64)
    if values.shape == shape:
        return values[None]
    axes = [axis for axis in range(values.ndim) if (*values.shape[:axis], *values.shape[axis + 1 :]) == shape]
    if axes:
        return np.moveaxis(values, axes[0], 0)
    return values.reshape(-1, *shape)


def calls(
    model: onnx.ModelProto, samples: int, *, exact: bool = False, seed: int = 0, low: float = -2.0, high: float = 2.0
) -> dict[str, npt.NDArray[np.generic]]:
    """Random inputs, for ``exact`` multiples of 1/8; open sizes are ``samples``."""
    rng = np.random.default_rng(seed)
    found: dict[str, npt.NDArray[np.generic]] = {}
    held = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in held:
            continue
        kind = value.type.tensor_type
        shape = [axis.dim_value if axis.HasField("dim_value") else samples for axis in kind.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype.kind == "f":
            values = rng.uniform(low, high, shape)
            found[value.name] = (np.rint(values * 8) / 8 if exact else values).astype(dtype)
        else:
            found[value.name] = rng.integers(0, 2 if dtype.kind == "b" else 8, shape).astype(dtype)
    return found


def assert_agrees(
    model: onnx.ModelProto,
    *,
    samples: int = 3,
    exact: bool = True,
    tolerance: float = 1e-5,
    low: float = -2.0,
    emulated: bool = True,
) -> Network:
    """onnxruntime = float reference on real inputs; and the emulator on representable ones.

    That is equality if ``exact``, else what 16 bits of relative accuracy make of a few layers.
    """
    network = read_onnx(model)
    real = calls(model, samples, low=low)
    reference = network.evaluate(_fed(network, real))
    for name, expected in zip(network.outputs, runtime(model, real), strict=True):
        have = reference[name]
        want = samples_first(expected, have.shape[1:])
        assert have.shape == want.shape
        np.testing.assert_allclose(have, want, rtol=tolerance, atol=tolerance)
    if not emulated:
        return network
    given = calls(model, samples, exact=True, seed=1, low=low)
    fed = _fed(network, given)
    emulator = _emulator(network, fed)
    results = emulator.run(fed)
    for have, expected in zip(results, runtime(model, given), strict=True):
        want = samples_first(expected, have.shape[1:])
        if exact:
            np.testing.assert_allclose(have, want, rtol=2e-6, atol=1e-6)
        else:
            amplitude = max(float(np.max(np.abs(want))), 1.0)
            np.testing.assert_allclose(have, want, rtol=0.0, atol=2.0**-11 * amplitude)
    return network


def _fed(network: Network, inputs: Mapping[str, npt.NDArray[np.generic]]) -> list[Floats]:
    shapes = network.shapes()
    return [samples_first(array, shapes[name]) for name, array in zip(network.inputs, inputs.values(), strict=True)]


def _emulator(network: Network, data: Sequence[Floats]) -> Emulator:
    names = [node.name for node in network.nodes if isinstance(node.layer, Input) and not node.layer.integer]
    config = {"LayerName": {name: {"Precision": {"result": INPUT_PRECISION}} for name in names}}
    longest = max(len(batch) for batch in data)
    calibration = [np.resize(batch, (longest, *batch.shape[1:])) for batch in data]
    return Emulator(compile_network(resolve(network, config), calibration).program)


@functools.cache
def weights(*shape: int, seed: int = 0) -> Floats:
    """Random multiples of 1/8."""
    return np.random.default_rng(seed + sum(shape)).integers(-8, 9, shape) / 8.0
