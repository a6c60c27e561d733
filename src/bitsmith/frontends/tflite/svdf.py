"""SVDF: a fully connected layer over time of low rank, which keeps the last features of each filter.

Source: P. Nakkiran et al., "Compressing Deep Neural Networks using a Rank-Constrained Topology", Interspeech 2015. The state is
an operand and a result (:mod:`bitsmith.frontends.tflite.states`): (1, filters * memory), the newest feature of each filter last.
"""

import numpy as np
import numpy.typing as npt

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ONE, Kind, Value, constant
from bitsmith.frontends.ops.contraction import dense, einsum
from bitsmith.frontends.ops.logic import wrapped
from bitsmith.frontends.ops.selection import concatenate, part
from bitsmith.frontends.tflite.call import Call, Entry, Operators, Translation, checked, limits_of, zero_point
from bitsmith.frontends.tflite.requantize import INT32, exact
from bitsmith.frontends.tflite.shared import fused
from bitsmith.frontends.tflite.tensors import Tensor
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.quantization.lookup import Lookup

_STATE = 4


def _sizes(call: Call, feature: npt.NDArray[np.generic], time: npt.NDArray[np.generic]) -> tuple[int, int, int]:
    """The numbers of units, of filters of each, and of features that these keep."""
    x, rank, width = call.value(0), call.options.positive("rank"), feature.shape[-1:]
    if feature.ndim != 2 or time.ndim != 2 or len(feature) != len(time) or not time.size or len(feature) % rank:
        raise call.error(f"weights of shapes {feature.shape} and {time.shape} of rank {rank}")
    if x.dims != (1, *width) or call.value(_STATE).dims != (1, time.size):
        raise call.error(
            f"operands of axes {x.dims} and {call.value(_STATE).dims} for weights of shape {feature.shape}"
        )
    return len(feature) // rank, rank, time.shape[1]


def _memory(build: Builder, state: Value, features: Value, sizes: tuple[int, int, int]) -> Value:
    """The features that are kept, (1, units, rank, memory), without the oldest and with the new ones."""
    units, rank, memory = sizes
    new = build.viewed(features, (1, units, rank, 1), features.batch, "newest")
    if memory == 1:
        return new
    kept = build.viewed(state, (1, units, rank, memory), state.batch, "kept")
    return concatenate(build.within("memory"), [part(build, kept, {3: range(1, memory)}, "younger"), new], 3)


def _weighted(build: Builder, memory: Value, time: Floats, sizes: tuple[int, int, int]) -> Value:
    """The sum over the filters of a unit, and the features that each keeps."""
    return einsum(build, "bnrm,nrm->bn", (memory, constant(as_weights(time.reshape(sizes)))))


def _real(call: Call) -> tuple[Value, ...]:
    feature, time = call.trained(1, "the weights"), call.trained(2, "the weights of time")
    sizes, build = _sizes(call, feature, time), call.build
    features = dense(build, call.value(0), constant(feature).moved(np.transpose), None, "features")
    memory = _memory(build, call.value(_STATE), features, sizes)
    bias = call.biases(3, sizes[0])

    def sums(inner: Builder) -> Value:
        total = _weighted(inner if bias is None else inner.within("sum"), memory, time, sizes)
        return total if bias is None else inner.affine(total, ONE, constant(as_weights(bias)))

    return fused(call, sums), _next(call, memory)


def _next(call: Call, memory: Value) -> Value:
    return call.build.viewed(memory, call.value(_STATE).dims, memory.batch, "next")


def _of_codes(call: Call) -> tuple[Value, ...]:
    """Compute as the kernels: features of 8 or 16 bits, and sums of 32 that wrap around."""
    call.options.ignore("fused_activation_function")  # as kernels of codes do, whose results have all of their codes
    x, result, state = call.operand(0), checked(call.result), checked(call.required(_STATE))
    feature, feature_tensor = call.weights(1, "the weights")
    time, time_tensor = call.weights(2, "the weights of time")
    plain = feature_tensor.quantized.is_plain and time_tensor.quantized.is_plain
    if x.tensor.dtype != "int8" or state.dtype not in ("int8", "int16") or not plain:
        raise UnsupportedError(f"an SVDF of {x.tensor.dtype} with a state of {state.dtype}", accepted="int8 or int16")
    sizes, build, unit = _sizes(call, feature, time), call.build, state.quantized.scale
    product = dense(build, x.value, constant(exact(feature)).moved(np.transpose), None, "product")
    factor = float(x.scale * feature_tensor.quantized.scale / unit)
    most = int(np.abs(feature).sum(axis=1).max()) * x.most
    features = call.rescaled(product, [factor], state.limits, "features", most=most)
    if zero_point(state):
        features = _with_zero_point(call, features, state)
    memory = _memory(build, call.value(_STATE), features, sizes)
    bias = call.bias(3, sizes[0])
    total = _weighted(build.within("sum"), memory, exact(time), sizes)
    if bias is not None:
        total = build.affine(total, ONE, constant(exact(bias)), "biased")
    sums = np.abs(time).reshape(sizes).sum(axis=(1, 2)) * max(map(abs, limits_of(state))) + (
        0 if bias is None else np.abs(bias)
    )
    if int(sums.max()) > INT32[1]:
        total = wrapped(build.within("wrapped"), Kind.INT32, lambda _: total)
    factor = float(unit * time_tensor.quantized.scale / result.quantized.scale)
    return call.rescaled(total, [factor], limits_of(result), most=min(int(sums.max()), INT32[1])), _next(call, memory)


def _with_zero_point(call: Call, features: Value, state: Tensor) -> Value:
    """Features as kernels store them: within the limits of codes before their zero point is added, so that the sum wraps."""
    (low, high), zero = state.limits, zero_point(state)
    codes = np.arange(low, high + 1) + zero
    stored = exact((codes - low) % (high - low + 1) + low - zero)
    return call.build.emit(Lookup(as_weights(0.0), low, stored), features, suffix="stored")


FILTERS: Operators = {
    "SVDF": Entry(
        Translation(_of_codes, "Dense, Quantize, Concatenate and EinsumDense"),
        Translation(_real, "Dense, Concatenate and EinsumDense"),
    )
}
