"""ONNX's normalizations."""

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ONE, Batch, Value, constant
from bitsmith.frontends.onnx.call import Call, Operators, Translation, function
from bitsmith.frontends.ops import normalization
from bitsmith.frontends.ops.normalization import Parameters
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add, Multiply, Subtract
from bitsmith.layers.power import Power


def _parameters(call: Call) -> Parameters:
    """The scale, the bias if there is one, and epsilon."""
    beta = as_weights(0.0) if call.operand(2) is None else call.weights(2, "the bias")
    return Parameters(call.weights(1, "the scale"), beta, call.attributes.number("epsilon", 1e-5))


def _batch_normalization(call: Call) -> Value:
    attributes = call.attributes
    attributes.ignore("momentum", "is_test", "consumed_inputs")
    if attributes.flag("training_mode", False):
        raise UnsupportedError("batch normalization in training", accepted="training_mode=0")
    if not attributes.flag("spatial", True):
        raise UnsupportedError("spatial=0", accepted="one mean and variance per channel")
    if isinstance(call.operand(3), Value) and isinstance(call.operand(4), Value):
        return _computed(call)
    x, mean, variance = call.tensor(0), call.weights(3, "the mean"), call.weights(4, "the variance")
    return normalization.batch(call.build, x, _channels(call, x, mean), mean, variance, _parameters(call))


def _channels(call: Call, x: Value, mean: Floats) -> int:
    """The axis of the channels: the second one.

    OnnxMLTools turns vectors of samples around before the operator, as if these were images with their channels last; no runtime
    takes that, but what is meant is not in doubt: there is one sample along the second axis, or an open number.
    """
    if x.rank == 2 and x.batch == Batch(1) and mean.shape == x.shape and mean.shape != (call.build.samples,):
        call.say(f"{call.name}: its channels are along the first axis, which ONNX does not have; they are taken so.")
        return 0
    return 1


def _computed(call: Call) -> Value:
    """With a mean and a variance that are computed: tf2onnx writes Keras 2's LayerNormalization so, with samples as channels."""
    build, x = call.build, call.tensor(0)
    # Each has an axis for the channels, which are followed by the positions.
    given, positions = [call.tensor(number) for number in (1, 2, 3, 4)], (1,) * (x.rank - 2)
    scale, bias, mean, variance = (
        build.viewed(one, (*one.dims, *positions), one.batch, f"operand{k}") for k, one in enumerate(given, 1)
    )
    shifted = build.affine(variance, ONE, constant(call.attributes.number("epsilon", 1e-5)), "variance")
    spread = build.emit(Power(-0.5), shifted, suffix="spread")
    centered = build.joined(Subtract(), x, mean, suffix="centered")
    y = build.joined(Multiply(), centered, spread, suffix="scaled")
    return build.joined(Add(), build.joined(Multiply(), y, scale, suffix="weighted"), bias)


def _last_axes(call: Call) -> tuple[Value, range]:
    """The operand, and its axes from the attribute ``axis`` on."""
    call.attributes.ignore("stash_type")
    x = call.tensor(0)
    return x, range(x.counted(call.attributes.integer("axis", -1)), x.rank)


def _rms_normalization(call: Call) -> Value:
    gamma, _, epsilon = _parameters(call)
    return normalization.root_mean_square(call.build, *_last_axes(call), gamma, epsilon)


def _groups(call: Call) -> Value:
    """Groups of channels; of instances each channel by itself."""
    x, parameters = call.batched(call.tensor(0), 0), _parameters(call)
    channels = x.shape[x.axis(1)]
    if call.node.operator == "InstanceNormalization":
        return normalization.groups(call.build, x, channels, 1, parameters)
    call.attributes.ignore("stash_type")
    groups = call.attributes.integer("num_groups")
    if call.opset < 21:  # one number per group
        gamma, beta = (as_weights(np.repeat(v, channels // max(groups, 1))) for v in parameters[:2])
        parameters = Parameters(gamma, beta, parameters.epsilon)
    return normalization.groups(call.build, x, groups, 1, parameters)


def _mean_variance(call: Call) -> Value:
    """Deviations from the mean over axes in units of their own spread, to which ONNX's definition adds 1e-9."""
    axes = call.attributes.given_integers("axes")
    plain = Parameters(as_weights(1.0), as_weights(0.0), 1e-18)
    return normalization.over_axes(call.build, call.tensor(0), (0, 2, 3) if axes is None else axes, plain)


def _local_response_normalization(call: Call) -> Value:
    alpha, beta = call.attributes.number("alpha", 1e-4), call.attributes.number("beta", 0.75)
    size, bias = call.attributes.integer("size"), call.attributes.number("bias", 1.0)
    return normalization.around(call.build, call.tensor(0), 1, size, alpha, beta, bias)


NORMALIZATIONS: Operators = {
    "BatchNormalization": Translation(_batch_normalization, "BatchNormalization; Subtract, Power, Multiply and Add"),
    "LayerNormalization": Translation(
        lambda call: (normalization.over_axes(call.build, *_last_axes(call), _parameters(call)),), "LayerNormalization"
    ),
    **dict.fromkeys(
        ("RMSNormalization", "SimplifiedLayerNormalization"), Translation(_rms_normalization, "RMSNormalization")
    ),
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization"), Translation(_groups, "GroupNormalization")),
    "MeanVarianceNormalization": Translation(_mean_variance, "LayerNormalization"),
    "LpNormalization": function(
        normalization.unit,
        "UnitNormalization, or Absolute, Reduce and Divide",
        lambda call: (call.attributes.integer("axis", -1),),
        lambda call: call.attributes.integer("p", 2),
    ),
    "LRN": Translation(_local_response_normalization, "Power, EinsumDense, BatchNormalization, Power and Multiply"),
}
