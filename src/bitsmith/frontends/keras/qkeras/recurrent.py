"""QKeras's recurrent layers, unrolled: one step after the other, each of quantized products.

A state is quantized where the next step reads it, so that all values are on grids that do not grow from step to step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value, constant, quantizers_of
from bitsmith.frontends.files.json import Fields
from bitsmith.frontends.keras import recurrent
from bitsmith.frontends.keras.activations import Activated, quantized_activation
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation
from bitsmith.frontends.keras.qkeras.activations import read_quantized
from bitsmith.frontends.keras.quantizers.arguments import SIGNATURES, described
from bitsmith.frontends.keras.quantizers.quantization import Quantization
from bitsmith.frontends.keras.quantizers.quantizers import read_quantizer
from bitsmith.frontends.ops.unrolled import Function, Gates, Products, QuantizedCell, unchanged
from bitsmith.layers.activation import HardActivation, ReLU
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.quantization.lookup import Lookup, Staircase
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.recurrent import GRU, GRU_GATES, LSTM, LSTM_GATES, SimpleRNN

_QUANTIZERS = {"kernel": "kernel_quantizer", "recurrent_kernel": "recurrent_quantizer", "bias": "bias_quantizer"}


def _applied(activation: Activated | None) -> Function:
    return unchanged if activation is None else activation.of


@dataclass(frozen=True, slots=True)
class _Class:
    """A recurrent class: the layer with its equations."""

    layer: type[SimpleRNN | LSTM | GRU]

    def run(self, call: LayerCall, config: Fields, place: str = "", *, backwards: bool = False) -> tuple[Value, ...]:
        """The states of all steps, or the last one, and all states again if they are returned.

        The steps of a cell that runs ``backwards`` within a wrapper are given in the order of the operand's.
        """
        x = recurrent.unrolled_sequence(call, config, "stateful", "time_major")
        cell, operands = self._cell(call, config, f"{place}cell", x)
        sequences, turned = (config.flag(key, False) for key in ("return_sequences", "go_backwards"))
        result, states = cell.unrolled(call.build, operands, sequences=sequences, backwards=turned, mirrored=backwards)
        return (result, *states) if config.flag("return_state", False) else (result,)

    def _cell(self, call: LayerCall, config: Fields, place: str, x: Value) -> tuple[QuantizedCell, Gates]:
        """The cell, and the products of its operand with its weights."""
        shapes = recurrent.weight_shapes(self.layer, config, call.x.dims[-1])
        trained: dict[str, Value] = {}
        for (name, _), values in zip(shapes.items(), _own(call, place, shapes), strict=True):
            quantizer = _needed(config, _QUANTIZERS[name], call.major, trained=name != "bias")
            on_grid, grid = quantizer.on_grid(values)
            trained[name] = constant(on_grid, quantizer=grid)
        state = read_quantizer(config.get("state_quantizer"), config.where, call.major)
        activation = _function(call, config, "activation")
        opening = _function(call, config, "recurrent_activation") if self.layer.gates > 1 else None
        if state is None:
            gained = self._gained(config, call.major, quantizers_of(**trained)["recurrent_kernel"])
            if gained is None:
                found = "states without a quantizer, which get finer from step to step"
                raise UnsupportedError(found, accepted="a state_quantizer")
            recurrent.check_growth(gained, call.x.dims[1], "a state_quantizer")
        weights = trained["kernel"].elements, trained["recurrent_kernel"].elements
        after = config.flag("reset_after", True)
        equations = GRU(*weights, reset_after=after) if self.layer is GRU else self.layer(*weights)
        products = Products(call.build, trained["kernel"], trained["recurrent_kernel"], trained.get("bias"))
        functions = {
            "seen": _applied(None if state is None else quantized_activation(state)),
            **dict.fromkeys((*LSTM_GATES, *GRU_GATES), _applied(opening)),
            **dict.fromkeys(("candidate", "cell_activation"), _applied(activation)),
        }
        return QuantizedCell(equations, products.recurrent, functions), products.operands(x)

    def _gained(self, config: Fields, major: int, kernel: Quantizer) -> int | None:
        """Return the binary places that a state without a quantizer has beyond the one before; None if that is not known."""
        places = _places(config, major, "activation")
        if self.layer is SimpleRNN:
            found = read_quantized(config, major, "activation")
            rises = found is None or isinstance(found.function, ReLU)
            return 0 if places is not None else _places_of(kernel) if rises else None
        return None if places is None else _places(config, major, "recurrent_activation")


def _places(config: Fields, major: int, key: str) -> int | None:
    """The binary places of what a quantizer gives; None of other functions."""
    found = described(config.get(key), config.where)
    quantizer = read_quantizer(config.get(key), config.where, major) if found and found[0] in SIGNATURES else None
    if quantizer is None:
        return None
    match quantizer.layers()[-1]:
        case Quantize() as layer:
            return _places_of(layer.quantizer)
        case Lookup(values=values) | Staircase(levels=values):
            return _places_of(Quantizer.holding(values))
        case _:
            return None


def _places_of(grid: Quantizer) -> int | None:
    """The binary places of a grid; None if its steps are no powers of two."""
    most = max(step.denominator for step in grid.step.ravel())
    return None if most & (most - 1) else most.bit_length() - 1


def _own(call: LayerCall, place: str, shapes: Mapping[str, Shape]) -> list[Floats]:
    """The trained tensors of the cell at ``place``; where a file does not tell cells apart, the backward one's come last."""
    parts = ["cell"] if place == "cell" else ["forward_layer/cell", "backward_layer/cell"]
    stored = call.stored(parts)
    half = len(stored) // len(parts)
    own = stored[half:] if place.startswith("backward") else stored[:half]
    return replace(call, stored=lambda _: own).weights(*shapes.items())


def _needed(config: Fields, key: str, major: int, *, trained: bool) -> Quantization:
    found = read_quantizer(config.get(key), config.where, major, trained=trained)
    if found is None:
        raise UnsupportedError(f"a quantized recurrence without a {key}", accepted="quantizers of all trained tensors")
    return found


def _function(call: LayerCall, config: Fields, key: str) -> Activated | None:
    function = read_quantized(config, call.major, key)
    exact = function is None or function.name in SIGNATURES or isinstance(function.function, HardActivation | ReLU)
    if function is not None and not exact:
        accepted = "quantizers, hard_sigmoid, hard_tanh, relu, linear"
        call.build.approximate(f"the {key} {function.name} without a quantizer", "a table gives it, rounded", accepted)
    return function


_CLASSES = {"QSimpleRNN": _Class(SimpleRNN), "QLSTM": _Class(LSTM), "QGRU": _Class(GRU)}
_WRAPPED = {prefix + name: found for name, found in _CLASSES.items() for prefix in ("", "qkeras>")}


def _bidirectional(call: LayerCall) -> tuple[Value, ...]:
    class_name, config = recurrent.wrapped("QBidirectional", call.config, "layer", _WRAPPED)
    there = _WRAPPED[class_name].run(_within(call, "forward"), config, "forward_layer/")
    class_name, config = recurrent.backward_layer("QBidirectional", call.config, class_name, config, _WRAPPED)
    return recurrent.merged(
        call, there, _WRAPPED[class_name].run(_within(call, "backward"), config, "backward_layer/", backwards=True)
    )


def _of_either(call: LayerCall) -> Value | tuple[Value, ...]:
    """Keras's own wrapper, which QKeras's layers may be in."""
    described = call.config.fields("layer")
    if not _WRAPPED.keys() & {described.get("class_name"), described.get("registered_name")}:
        return recurrent.BIDIRECTIONAL.read(call)
    if call.mask(call.x) is not None:
        raise UnsupportedError("a mask of a quantized recurrence", accepted="sequences without one")
    return _bidirectional(call)


def _within(call: LayerCall, name: str) -> LayerCall:
    return replace(call, build=call.build.within(name))


def _recurrent(found: _Class) -> Translation:
    return Translation(lambda call: found.run(call, call.config), _BECOMES)


_BECOMES = "Quantize, Dense, Slice, Add, Multiply and Stack, for each step"

RECURRENT: ByClass = {
    **{name: _recurrent(found) for name, found in _CLASSES.items()},
    "QBidirectional": Translation(
        _bidirectional, f"{_BECOMES} and direction, and Concatenate, Add, Multiply or Average"
    ),
}

EITHER = replace(recurrent.BIDIRECTIONAL, read=_of_either)
"""Keras's Bidirectional."""
