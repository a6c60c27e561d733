"""HGQ2's layers of quantized functions: unary ones by table, and softmax of two tables."""

from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.files.json import Fields
from bitsmith.frontends.keras.activations import read_activation
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation
from bitsmith.frontends.keras.hgq.grids import FixedPoint, Singles, quantized
from bitsmith.frontends.keras.hgq.quantizers import own_quantizer, read_quantizer
from bitsmith.frontends.keras.hgq.tables import looked_up, single_precision, stepped
from bitsmith.frontends.keras.quantizers.staircases import Function
from bitsmith.frontends.ops.arithmetic import multiply, subtract
from bitsmith.frontends.ops.logic import where
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.layers.activation import ReLU
from bitsmith.layers.layer import Layer
from bitsmith.layers.shape import Identity

_EPSILON = np.float32(1e-7)
"""Number that Keras adds to divisors by default."""

LEFT_OUT = -1e9
"""A score below all others."""

_RISING = (
    *("sigmoid", "tanh", "softplus", "softsign", "exponential", "selu", "elu", "celu", "log_sigmoid", "hard_tanh"),
    *("hard_sigmoid", "leaky_relu", "squareplus", "sparse_sigmoid"),
)
"""Functions that only rise, by Keras's names."""


def scalar_function(config: Fields, major: int, key: str = "activation") -> tuple[str, Layer]:
    """A function of one number: its name and the layer.

    Raises:
        UnsupportedError: a function along an axis.
    """
    activation = read_activation(config, major, key)
    if activation is None:
        return "linear", Identity()
    if not isinstance(activation.function, Layer):
        raise UnsupportedError(f"the {key} {activation.name}", accepted="functions of one number")
    return activation.name, activation.function


def is_piecewise(layer: Layer) -> bool:
    """Return True of functions that are computed exactly without a table."""
    return isinstance(layer, Identity) or (isinstance(layer, ReLU) and layer.negative_slope == 0.0)


def _unary(call: LayerCall) -> Value:
    """``oq(activation(iq(x)))``."""
    name, layer = scalar_function(call.config, call.major)
    iq, oq = own_quantizer(call, "iq", True), own_quantizer(call, "oq", True)
    return quantized_function(call.build, call.x, name, layer, iq, oq)


_WITHOUT = "a function of an operand without a quantizer"
_WANTED = "enable_iq=True; for functions that only rise, enable_oq=True"


def quantized_function(
    build: Builder, x: Value, name: str, layer: Layer, iq: FixedPoint | None, oq: FixedPoint | None
) -> Value:
    """``oq(layer(iq(x)))`` for Keras's function of that ``name``."""
    exactly = is_piecewise(layer)
    if not exactly and iq is None and (oq is None or name not in _RISING):
        build.approximate(_WITHOUT, "the table of auto for a float operand", _WANTED)
    elif not exactly:
        return tabulated(build, x, single_precision(layer), iq, oq, rises=name in _RISING)
    x = quantized(build, x, iq, "iq")
    y = x if isinstance(layer, Identity) else build.emit(layer, x, suffix="" if oq is None else name)
    return quantized(build, y, oq)


def tabulated(
    build: Builder,
    x: Value,
    function: Function,
    iq: FixedPoint | None,
    oq: FixedPoint | None,
    *,
    rises: bool,
    suffix: str = "",
) -> Value:
    """``oq(function(iq(x)))``, where a function that ``rises`` may do without ``iq``."""
    if iq is not None:
        return looked_up(build, x, function, iq, oq, suffix)
    if oq is None or not rises:
        raise UnsupportedError(_WITHOUT, accepted=_WANTED)
    return stepped(build, x, function, oq, suffix)


def _affined(call: LayerCall) -> Value:
    """``oq(activation(iq(x) * scale + bias))``."""
    name, layer = scalar_function(call.config, call.major)
    stored = call.stored(())[:2]
    if len(stored) != 2 or any(one.shape != (1,) for one in stored):
        raise call.config.error("variables that are not those of this layer", "scale and bias, of one number each")
    scale, bias = (one.read().astype(np.float32) for one in stored)
    inner = single_precision(layer)

    def function(x: Singles) -> Singles:
        return inner(x * scale + bias)

    iq, oq = own_quantizer(call, "iq", True), own_quantizer(call, "oq", True)
    rises = (name in _RISING or is_piecewise(layer)) and float(scale[0]) > 0.0
    return tabulated(call.build, call.x, function, iq, oq, rises=rises)


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax along ``axes`` of the model's; ``part`` is where the layer has its tables.

    ``iq`` and ``oq`` are quantizers of the operand and of the result; ``conf`` is how the configuration begins the names of
    those of the tables. Of the stable kind, the table of exponentials is that of the distances from the greatest element.
    """

    axes: tuple[int, ...]
    scaler: float = 1.0
    stable: bool = True
    iq: FixedPoint | None = None
    oq: FixedPoint | None = None
    part: str = ""
    conf: str = ""
    left_out: float = LEFT_OUT

    def of(self, call: LayerCall, build: Builder, x: Value, mask: Value | None = None) -> Value:
        """Softmax of those elements of ``x`` that the ``mask`` (truth values) keeps; others, and rows without any, are 0."""
        exponentials = self._exponentials(call, build, quantized(build, x, self.iq, "iq"), mask)
        if mask is not None:
            exponentials = multiply(build.within("kept"), exponentials, replace(mask, kind=Kind.REAL))
        total = REDUCERS["sum"].of(build.within("sum"), exponentials, self.axes, True)
        shares = self._table(call, build, total, _reciprocal, "inv", quantized_first=True)
        y = multiply(build if self.oq is None else build.within("product"), exponentials, shares)
        return quantized(build, y, self.oq)

    def _exponentials(self, call: LayerCall, build: Builder, x: Value, mask: Value | None) -> Value:
        scaler = np.float32(self.scaler if not self.stable else -self.scaler)
        if self.stable:
            shown = x if mask is None else where(build.within("shown"), mask, x, constant(self.left_out))
            greatest = REDUCERS["max"].of(build.within("greatest"), shown, self.axes, True)
            x = subtract(build.within("below"), greatest, x)

        def function(values: Singles) -> Singles:
            return _exponential(values * scaler)

        return self._table(call, build, x, function, "exp", quantized_first=self.stable)

    def _table(
        self, call: LayerCall, build: Builder, x: Value, function: Function, name: str, *, quantized_first: bool
    ) -> Value:
        """A table of the layer's; the function must rise with an operand that is not quantized first."""
        part = f"{self.part}{name}_table"
        iq = read_quantizer(call, f"{part}/iq", f"{self.conf}{name}_iq_conf", enabled=quantized_first)
        oq = read_quantizer(call, f"{part}/oq", f"{self.conf}{name}_oq_conf")
        rises = float(self.scaler) > 0.0
        return tabulated(build, x, function, iq, oq, rises=rises, suffix=f"{name}_table")


def _exponential(x: Singles) -> Singles:
    with np.errstate(over="ignore"):
        return np.exp(x.astype(np.float64)).astype(np.float32)


def _reciprocal(x: Singles) -> Singles:
    with np.errstate(divide="ignore"):
        return np.float32(1.0) / (x + _EPSILON)


def _softmax(call: LayerCall) -> Value:
    config, x = call.config, call.first
    axes = tuple(x.counted(axis) for axis in config.integers("axes") or (-1,))
    mask = call.argument("mask")
    if mask is not None and not (isinstance(mask, Value) and mask.kind is Kind.BOOL):
        raise UnsupportedError("a mask of numbers", accepted="truth values", remedy="give the mask the dtype bool")
    kept = mask if isinstance(mask, Value) else call.mask(x)
    iq, oq = own_quantizer(call, "iq", False), own_quantizer(call, "oq", False)
    found = Softmax(axes, config.number("input_scaler", 1.0), config.flag("stable", True), iq, oq)
    return found.of(call, call.build, x, kept)


FUNCTIONS: ByClass = {
    "QUnaryFunctionLUT": Translation(_unary, "Quantize and Lookup, Staircase or ReLU"),
    "QAffinedUnaryFunctionLUT": Translation(_affined, "Quantize and Lookup, or Staircase"),
    "QSoftmax": Translation(
        _softmax, "Reduce, Subtract, Quantize, Lookup or Staircase, and Multiply", frozenset({"mask"})
    ),
}
