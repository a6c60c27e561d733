"""PyTorch's normalizations."""

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import normalization
from bitsmith.frontends.ops.normalization import Parameters
from bitsmith.frontends.torch.call import Call, Operators, Translation
from bitsmith.layers.layer import Shape, as_weights

_SINGLE_EPSILON = 2.0**-23
"""Number that torch adds under the root of RMSNorm without an epsilon: the step of single precision at 1."""


def _parameters(call: Call, shape: Shape, epsilon: float = 1e-5) -> Parameters:
    """The weights, 1 and 0 of the ``shape`` if they are left out."""
    weight, bias = call.optional("weight"), call.optional("bias")
    weight = as_weights(np.ones(shape)) if weight is None else weight
    return Parameters(weight, as_weights(np.zeros(shape)) if bias is None else bias, call.number("eps", epsilon))


def _batch_norm(call: Call) -> Value:
    call.ignore("momentum", "cudnn_enabled")
    if call.flag("training") or call.flag("use_input_stats") or not call.given("running_mean"):
        raise UnsupportedError(
            "batch normalization by the statistics of the batch, which mixes samples",
            accepted="trained statistics",
            remedy="call model.eval() before the export",
        )
    mean, variance = call.weight("running_mean"), call.weight("running_var")
    return normalization.batch(call.build, call.tensor("input"), 1, mean, variance, _parameters(call, mean.shape))


def _groups(call: Call) -> Value:
    """Normalize as many groups as are given, or as there are channels; instances may have trained statistics."""
    if call.node.name == "instance_norm" and not call.flag("use_input_stats", True):
        return _batch_norm(call)
    call.ignore("momentum", "cudnn_enabled", "use_input_stats", "N", "C", "HxW")
    x = call.tensor("input")
    channels = x.shape[x.axis(1)]
    number = channels if call.node.name == "instance_norm" else call.integer("num_groups", call.integer("group", 1))
    return normalization.groups(call.build, x, number, 1, _parameters(call, (channels,)))


def _last(call: Call) -> tuple[Value, range, Shape]:
    """The operand, its axes that ``normalized_shape`` names, and that."""
    call.ignore("cudnn_enable")
    x, sizes = call.tensor("input"), call.integers("normalized_shape")
    if not sizes or x.dims[-len(sizes) :] != sizes:
        raise UnsupportedError(f"a normalization over {sizes} of axes {x.dims}", accepted="the last axes")
    return x, range(-len(sizes), 0), sizes


def _layer_norm(call: Call) -> Value:
    x, dims, sizes = _last(call)
    return normalization.over_axes(call.build, x, dims, _parameters(call, sizes))


def _rms_norm(call: Call) -> Value:
    x, dims, sizes = _last(call)
    gamma, _, epsilon = _parameters(call, sizes, _SINGLE_EPSILON)
    return normalization.root_mean_square(call.build, x, dims, gamma, epsilon)


NORMALIZATIONS: Operators = {
    "batch_norm": Translation(_batch_norm, "BatchNormalization"),
    "_native_batch_norm_legit_no_training": Translation(_batch_norm, "BatchNormalization"),
    **dict.fromkeys(("instance_norm", "group_norm", "native_group_norm"), Translation(_groups, "GroupNormalization")),
    **dict.fromkeys(("layer_norm", "native_layer_norm"), Translation(_layer_norm, "LayerNormalization")),
    "rms_norm": Translation(_rms_norm, "RMSNormalization"),
}
