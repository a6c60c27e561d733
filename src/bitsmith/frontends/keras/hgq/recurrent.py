"""HGQ2's recurrent layers, unrolled: one step after the other, each of quantized products."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, check_flags
from bitsmith.frontends.keras.hgq.functions import quantized_function, scalar_function
from bitsmith.frontends.keras.hgq.grids import FixedPoint, quantized
from bitsmith.frontends.keras.hgq.layers import on_grid
from bitsmith.frontends.keras.hgq.quantizers import read_quantizer
from bitsmith.frontends.keras.recurrent import unrolled_sequence, weight_shapes
from bitsmith.frontends.ops.unrolled import Function, Gates, Products, QuantizedCell
from bitsmith.layers.recurrent import GRU, SimpleRNN

_TRAINED = {"kernel": "kq", "recurrent_kernel": "rkq", "bias": "bq"}


@dataclass(frozen=True, slots=True)
class _Class:
    """A recurrent class: the layer with its equations, and its functions, each with its quantizers before and after it."""

    layer: type[SimpleRNN | GRU]
    functions: Mapping[str, tuple[str, str]]

    def read(self, call: LayerCall) -> tuple[Value, ...]:
        """The states of all steps, or the last one; and the last one again if it is returned."""
        x = unrolled_sequence(call, call.config, "zero_output_for_mask")
        check_flags(call.config, enable_iq=True, enable_oq=False)
        operands = of_steps(call, x, read_quantizer(call, "cell/iq"))
        sequences, backwards = (call.config.flag(key, False) for key in ("return_sequences", "go_backwards"))
        cell, products = self._cell(call, operands)
        shown, states = cell.unrolled(call.build, products, sequences=sequences, backwards=backwards)
        return (shown, *states)[: 1 + call.config.flag("return_state", False)]

    def _cell(self, call: LayerCall, x: Value) -> tuple[QuantizedCell, Gates]:
        """The cell, and the products of its operand with its weights."""
        shapes = weight_shapes(self.layer, call.config, call.x.dims[-1])
        own = replace(call, stored=call.stored_of("cell")).weights(*shapes.items())
        trained = {
            name: on_grid(call.config, name, read_quantizer(call, f"cell/{_TRAINED[name]}"), values)
            for name, values in zip(shapes, own, strict=True)
        }
        weights = trained["kernel"].elements, trained["recurrent_kernel"].elements
        after = call.config.flag("reset_after", True)
        equations = GRU(*weights, reset_after=after) if self.layer is GRU else SimpleRNN(*weights)
        products = Products(call.build, trained["kernel"], trained["recurrent_kernel"], trained.get("bias"))
        functions = {"seen": self._on_grid(call, "sq"), "candidate": self._function(call, "activation")}
        if self.layer is GRU:
            functions |= {"rounded": self._on_grid(call, "rhq"), "opened": self._function(call, "recurrent_activation")}
        return QuantizedCell(equations, products.recurrent, functions, apart=False), products.operands(x)

    def _function(self, call: LayerCall, name: str) -> Function:
        before, after = (self._quantizer(call, key) if key else None for key in self.functions[name])
        kind, layer = scalar_function(call.config, call.major, name)
        return lambda build, x: quantized_function(build, x, kind, layer, before, after)

    def _on_grid(self, call: LayerCall, name: str) -> Function:
        grid = self._quantizer(call, name)
        return lambda build, x: quantized(build, x, grid, name)

    def _quantizer(self, call: LayerCall, name: str) -> FixedPoint | None:
        """Return a quantizer; that of a QSimpleRNN's state is configured only where there is one."""
        if name == "sq" and self.layer is SimpleRNN and call.config.get("sq_conf") is not None:
            call.notes.append(
                f"{call.config.where}: its state is quantized, as it was where the file was written; HGQ2 0.2.0 itself does "
                "without when it loads a file"
            )
        return read_quantizer(call, f"cell/{name}", enabled=call.config.get(f"{name}_conf") is not None)


def of_steps(call: LayerCall, x: Value, grid: FixedPoint | None) -> Value:
    """The sequence on the grid of a quantizer that works on each step."""
    if grid is not None and len(grid.shape) != 2:
        raise call.config.error(f"a quantizer of shape {grid.shape}", "one for batch and channels")
    return quantized(call.build, x, None if grid is None else grid.mapped(lambda part: part[:, None]), "iq")


_SIMPLE = _Class(SimpleRNN, {"activation": ("paq", "")})
_GATED = _Class(GRU, {"activation": ("", "paq"), "recurrent_activation": ("", "praq")})

RECURRENT: ByClass = {
    "QSimpleRNN": Translation(_SIMPLE.read, "Quantize, Dense, Slice, Add and Stack, for each step"),
    "QGRU": Translation(_GATED.read, "Quantize, Dense, Slice, Add, Multiply and Stack, for each step"),
}
