"""Keras 3 functional operations (``x * 2 + 1``, ``keras.ops.relu(x)``), which a saved model lists among its layers.

Unlike merge layers, operations align shapes from the right with the batch axis included, and may have constants as operands.
"""

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.activations import ACTIVATION_LAYERS, along_axis
from bitsmith.frontends.keras.arithmetic import ARITHMETIC, operation
from bitsmith.frontends.keras.attention import SCALED_PRODUCTS
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation
from bitsmith.frontends.keras.einsum import EINSUM_OPS
from bitsmith.frontends.keras.norm import NORMALIZATION_OPS
from bitsmith.frontends.keras.reduction import REDUCTIONS
from bitsmith.frontends.keras.shape import SHAPE_OPS
from bitsmith.frontends.keras.spatial import SPATIAL_OPS
from bitsmith.frontends.keras.weights import snake_case
from bitsmith.frontends.ops import activations
from bitsmith.frontends.ops.functions import FUNCTIONS


def _squareplus(call: LayerCall) -> Value:
    if call.config.number("b", 4.0) != 4.0:
        raise UnsupportedError(f"squareplus with b = {shown(call.config.get('b'))}", accepted="b = 4")
    return call.build.emit(FUNCTIONS["squareplus"], call.x)


def _gelu(call: LayerCall) -> Value:
    return activations.gelu(call.build, call.x, "tanh" if call.config.flag("approximate", True) else "none")


_FUNCTIONS = (
    *("Relu", "Relu6", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Silu", "Mish", "HardSigmoid", "HardTanh"),
    *("HardSilu", "LogSigmoid", "TanhShrink", "SparsePlus", "SparseSigmoid"),
)

OPS: ByClass = {
    **ARITHMETIC,
    **REDUCTIONS,
    **NORMALIZATION_OPS,
    **SCALED_PRODUCTS,
    "Identity": Translation(lambda call: call.x, "Identity"),
    "ReLU": ACTIVATION_LAYERS["ReLU"],
    "LeakyRelu": operation("relu", slope=("negative_slope", 0.2)),
    "Elu": operation("elu", alpha=("alpha", 1.0)),
    "Celu": operation("celu", alpha=("alpha", 1.0)),
    "Gelu": Translation(_gelu, "Activation"),
    "Softmax": ACTIVATION_LAYERS["Softmax"],
    "LogSoftmax": along_axis(activations.log_softmax, "Reduce and Subtract"),
    "Glu": along_axis(activations.glu, "Slice, Activation and Multiply"),
    "SoftShrink": operation("soft_shrink", bound=("threshold", 0.5)),
    "HardShrink": operation("hard_shrink", bound=("threshold", 0.5)),
    "Squareplus": Translation(_squareplus, "Activation"),
    **{name: operation(snake_case(name)) for name in _FUNCTIONS},
    **SPATIAL_OPS,
    **EINSUM_OPS,
    **SHAPE_OPS,
}
