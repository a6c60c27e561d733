"""HGQ 1's proxy models: plain layers of Keras, on whose weights the grids are, between quantizers and tables.

``HGQ.to_proxy_model`` writes them. Bit widths are variables, of one number or of one for each element.
"""

from dataclasses import replace

import numpy as np

from bitsmith.frontends.builder.draft import Draft
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.hgq.grids import FixedPoint, quantized
from bitsmith.frontends.keras.hgq.reflected import reflected
from bitsmith.frontends.keras.hgq.tables import looked_up
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import as_weights
from bitsmith.layers.quantization.lookup import Lookup
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer

_REFLECTS = "WRAP_SM"
_MOST_BITS = 64
_MOST_TABLE_BITS = 16
_MOST_WEIGHT_BITS = 48
"""Most bits of trained numbers between the least and the greatest power of two in them."""


def _modes(call: LayerCall) -> tuple[Rounding, Overflow | None]:
    """The modes; None reflects."""
    rounding, overflow = call.config.text("RND", "TRN"), call.config.text("SAT", "WRAP")
    if rounding not in {mode.value for mode in Rounding}:
        raise call.config.wrong("RND", ", ".join(mode.value for mode in Rounding))
    if overflow not in {_REFLECTS, *(mode.value for mode in Overflow)}:
        raise call.config.wrong("SAT", ", ".join([*(mode.value for mode in Overflow), _REFLECTS]))
    return Rounding(rounding), None if overflow == _REFLECTS else Overflow(overflow)


def _quantizer(call: LayerCall) -> Value:
    """FixedPointQuantizer: of ``bits`` with the sign, of which so many are ``integers`` with the sign."""
    x, shape = call.x, call.config.integers("shape")
    sign, bits, integers = (
        np.rint(values).astype(np.int64)
        for values in call.weights(("keep_negative", shape), ("bits", shape), ("integers", shape))
    )
    if not bool(np.all((sign == 0) | (sign == 1)) and np.all((bits >= 0) & (bits <= _MOST_BITS))):
        raise call.config.error("bit widths that make no sense", f"signs of 0 or 1, and 0 to {_MOST_BITS} bits")
    sign, bits, integers = (one.reshape((1,) * (x.rank - one.ndim) + one.shape) for one in (sign, bits, integers))
    rounding, overflow = _modes(call)
    sign, integers, frac = (np.where(bits == 0, 0, part) for part in (sign, integers, bits - integers))
    if overflow is None:
        wraps = FixedPoint(np.where(bits == 0, 0, 1), integers, frac, rounding, Overflow.WRAP)
        return looked_up(call.build, x, reflected(sign[0], bits[0], frac[0]), wraps, None)
    return quantized(call.build, x, FixedPoint(sign, integers - sign, frac, rounding, overflow))


def _table(call: LayerCall) -> Value:
    """UnaryLUT: the operand's code, in two's complement, is the place in the table."""
    widths = call.config.integers("kif_in")
    bits = sum(widths)
    if len(widths) != 3 or widths[0] not in (0, 1) or not 0 < bits <= _MOST_TABLE_BITS or abs(widths[2]) > _MOST_BITS:
        raise call.config.wrong("kif_in", f"a sign, integer and fractional bits, {_MOST_TABLE_BITS} at most in all")
    (table,), (sign, integers, frac) = call.weights(("table", (1 << bits,))), widths
    wrapped = Quantizer.fixed(sign, integers, frac, Rounding.RND_CONV, Overflow.WRAP)
    codes = call.build.emit(Quantize(wrapped), call.x, suffix="codes")
    first = -(1 << bits - 1) if sign else 0
    return call.build.emit(Lookup(as_weights(float(frac)), first, as_weights(np.roll(table, -first))), codes)


def take_exactly(draft: Draft) -> None:
    """Says of all trained tensors that they are on the coarsest grid that holds them: HGQ 1 has put them there.

    Those that need more bits than any grid of its gives are those of layers that were not quantized.
    """
    for number, node in enumerate(draft.nodes):
        grids = {name: Quantizer.holding(values) for name, values in node.layer.weights().items()}
        fit = {name: grid for name, grid in grids.items() if grid.bits.max() <= _MOST_WEIGHT_BITS}
        if not isinstance(node.layer, Lookup):
            draft.nodes[number] = replace(node, quantizers=fit)


_LAYERS = {
    "FixedPointQuantizer": Translation(_quantizer, "Quantize"),
    "UnaryLUT": Translation(_table, "Quantize and Lookup"),
}

PROXIES: dict[str, Translation] = {**_LAYERS, **{f"HGQ>{name}": one for name, one in _LAYERS.items()}}
"""Layers by class name, as different versions of Keras 2 write it."""
