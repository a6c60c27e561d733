"""Keras's recurrent layers, cells and wrappers.

A stack of cells becomes one layer per cell, each handing its sequence on: that is what stacking computes. The gates of our LSTM
and GRU have Keras's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Fields, Json, shown
from bitsmith.frontends.keras.activations import Composite, read_activation
from bitsmith.frontends.keras.call import LayerCall, Step, Steps, Translation, Translator, checked_size, placed_steps
from bitsmith.frontends.keras.graph import MODEL_CLASSES, Operands, numbered_group
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Average, Concatenate, Multiply
from bitsmith.layers.recurrent import GRU, LSTM, SIGMOID, TANH, Recurrent, SimpleRNN
from bitsmith.layers.shape import Identity
from bitsmith.layers.softmax import Softmax

_CELLS: dict[str, type[SimpleRNN | LSTM | GRU]] = {"SimpleRNNCell": SimpleRNN, "LSTMCell": LSTM, "GRUCell": GRU}
_MERGES: dict[str, Layer] = {"concat": Concatenate(-1), "sum": Add(), "mul": Multiply(), "ave": Average()}
_MAX_CELLS = 64


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell of ``kind`` on ``channels`` channels; ``part`` is where the Keras 3 layout has its weights."""

    kind: type[SimpleRNN | LSTM | GRU]
    config: Fields
    channels: int
    units: int
    activation: Layer
    recurrent_activation: Layer
    part: str

    @property
    def two_biases(self) -> bool:
        """Whether Keras stores a bias for the operand and one for the state."""
        return self.kind is GRU and self.config.flag("reset_after", True) and self.config.flag("use_bias", True)

    def wanted(self) -> list[tuple[str, Shape]]:
        """Names and shapes of its weights."""
        columns = self.kind.gates * self.units
        shapes: list[tuple[str, Shape]] = [
            ("kernel", (self.channels, columns)),
            ("recurrent_kernel", (self.units, columns)),
        ]
        if self.config.flag("use_bias", True):
            shapes.append(("bias", (2, columns) if self.two_biases else (columns,)))
        return shapes

    def layer(self, weights: Sequence[Floats]) -> Recurrent:
        """The cell as a layer that gives the hidden state after the last step."""
        biases: list[Floats | None] = [as_weights(bias) for bias in weights[2]] if self.two_biases else [*weights[2:]]
        bias, recurrent_bias = [*biases, None, None][:2]
        layer = self.kind(weights[0], weights[1], bias, recurrent_bias, activation=self.activation)
        if isinstance(layer, GRU):
            layer = replace(layer, reset_after=self.config.flag("reset_after", True))
        if isinstance(layer, LSTM | GRU):
            layer = replace(layer, recurrent_activation=self.recurrent_activation)
        return layer


def _activation(config: Fields, key: str, major: int, default: Layer) -> Layer:
    if key not in config.values:
        return default
    read = read_activation(config, major, key)
    if read is None:
        return Identity()
    if isinstance(read.function, Softmax | Composite):
        raise UnsupportedError(f"the {key} {read.name}", accepted="functions of one number")
    return read.function


@dataclass(frozen=True, slots=True)
class _Network:
    """A recurrent layer of Keras: its cells, innermost first, and what it returns."""

    cells: tuple[_Cell, ...]
    config: Fields

    @staticmethod
    def read(class_name: str, config: Fields, major: int, channels: int, part: str) -> _Network:
        """The layer of Keras's class ``class_name``, whose weights the Keras 3 layout has in ``part``."""
        for key in ("stateful", "time_major"):
            if config.flag(key, False):
                raise UnsupportedError(f"{key}=True", accepted=f"{key}=False")
        inside = f"{part}/cell" if part else "cell"
        if class_name != "RNN":
            found = [(_CELLS[f"{class_name}Cell"], config, inside)]
        else:
            cell = config.get("cell")
            listed: dict[str, Json] = {"class_name": "StackedRNNCells", "config": {"cells": cell}}
            described = Fields(listed, config.where) if isinstance(cell, list) else config.fields("cell")
            found = _cells(described, inside)
        cells = []
        for kind, values, place in found:
            units = values.integer("units")
            if units < 1:
                raise values.wrong("units", "a positive whole number")
            activation = _activation(values, "activation", major, TANH)
            opening = _activation(values, "recurrent_activation", major, SIGMOID)
            cells.append(_Cell(kind, values, channels, units, activation, opening, place))
            checked_size((channels + units, kind.gates * units), config.where)
            channels = units
        return _Network(tuple(cells), config)

    def wanted(self) -> list[tuple[str, Shape]]:
        """Names and shapes of all weights."""
        return [one for cell in self.cells for one in cell.wanted()]

    def parts(self) -> list[str]:
        """Where the Keras 3 layout has them."""
        return [cell.part for cell in self.cells]

    @property
    def state_count(self) -> int:
        """Number of states."""
        return sum(len(cell.kind.states) for cell in self.cells)

    def steps(
        self, weights: Sequence[Floats], initial: Sequence[int], name: str = "", *, flipped: bool = False
    ) -> Steps:
        """The layer as steps whose suffixes begin with ``name``; results are the output and, if returned, the states.

        ``initial`` are the numbers of the tensors that hold the initial states; ``flipped`` turns the sequence of results round.
        """
        config, left, given = self.config, list(weights), list(initial)
        sequences, states = config.flag("return_sequences", False), config.flag("return_state", False)
        before: int | str = 0
        steps: list[Step] = []
        results: list[str] = []
        for number, cell in enumerate(self.cells):
            last = number == len(self.cells) - 1
            count = len(cell.wanted())
            layer = cell.layer(left[:count])
            own = given[: len(cell.kind.states)]
            del left[:count], given[: len(own)]
            full = sequences or not last
            backwards = config.flag("go_backwards", False) and number == 0
            layer = replace(
                layer, return_sequences=full, go_backwards=backwards, reversed_result=flipped and last and full
            )
            if isinstance(layer, LSTM):
                layer = replace(layer, return_state=states)
            suffix = name if last else _joined(name, f"cell{number}")
            main = Step(layer, suffix, inputs=(before, *own))
            final = _final_states(main, layer) if states else []
            steps += [main, *(step for step in final if step is not main)]
            results += [step.suffix for step in final]
            before = suffix
        return Steps(tuple(steps), (name, *results))


def _final_states(main: Step, layer: Recurrent) -> list[Step]:
    """Steps whose results are the states after the last step of ``main``: the hidden one, and that of the cell."""
    last = replace(layer, return_sequences=False, reversed_result=False)
    found = [replace(main, layer=last, suffix=_joined(main.suffix, "state")) if layer.return_sequences else main]
    if isinstance(last, LSTM):
        found.append(replace(main, layer=replace(last, of_cell=True), suffix=_joined(main.suffix, "cell_state")))
    return found


def _joined(*names: str) -> str:
    return "_".join(filter(None, names))


def _cells(described: Fields, part: str) -> list[tuple[type[SimpleRNN | LSTM | GRU], Fields, str]]:
    """The cells that a serialised cell is made of, with their configurations and places."""
    class_name, config = described.text("class_name"), described.fields("config")
    if ">" in described.text("registered_name", ""):
        raise UnsupportedError(f"the custom cell {shown(class_name)}", accepted=", ".join([*_CELLS, "StackedRNNCells"]))
    if class_name in _CELLS:
        return [(_CELLS[class_name], config, part)]
    if class_name != "StackedRNNCells":
        raise UnsupportedError(f"the cell {shown(class_name)}", accepted=", ".join([*_CELLS, "StackedRNNCells"]))
    if config.flag("reverse_state_order", False):
        raise UnsupportedError("reverse_state_order=True", accepted="reverse_state_order=False")
    found: list[tuple[type[SimpleRNN | LSTM | GRU], Fields, str]] = []
    groups: Counter[str] = Counter()
    for item in config.items("cells"):
        if not isinstance(item, dict) or len(found) >= _MAX_CELLS:
            raise config.wrong("cells", f"at most {_MAX_CELLS} cells")
        inner = Fields(item, config.where)
        found += _cells(inner, f"{part}/cells/{numbered_group(inner.text('class_name'), groups)}")
    return found


def _operand(call: LayerCall) -> Shape:
    """The shape of the sequence."""
    if not call.shapes or (call.arguments and call.arguments[0] is not None) or len(call.shapes[0]) != 2:
        raise ModelFileError(
            f"called on operands of shapes {list(call.shapes)}",
            where=call.where,
            accepted="a sequence of shape (time, channels)",
        )
    return call.shapes[0]


def _initial(call: LayerCall, count: int) -> tuple[int, ...]:
    """The numbers of the tensors that are initial states: the positional ones behind the sequence, or those of the keyword."""
    if any(argument is not None for argument in call.arguments):
        raise UnsupportedError("a constant initial state", accepted="tensors, or none")
    named = call.keywords.get("initial_state", ())
    if not isinstance(named, tuple):
        raise UnsupportedError("a constant initial state", accepted="tensors, or none")
    given = (*range(1, len(call.arguments)), *named)
    if len(given) not in (0, count):
        raise ModelFileError(f"{len(given)} initial states", where=call.where, accepted=f"{count}")
    return given


def _recurrent(class_name: str) -> Translator:
    def translate(call: LayerCall) -> Steps:
        network = _Network.read(class_name, call.config, call.major, _operand(call)[1], "")
        initial = _initial(call, network.state_count)
        return network.steps(call.weights(*network.wanted(), parts=network.parts()), initial)

    return translate


def _bidirectional(call: LayerCall) -> Steps:
    channels = _operand(call)[1]
    forward_config = call.config.fields("layer")
    forward = _direction(forward_config, call.major, channels, "forward_layer")
    turned = not forward.config.flag("go_backwards", False)
    if call.config.get("backward_layer") is None:
        mirrored = Fields({**forward.config.values, "go_backwards": turned}, call.where)
        backward = _Network.read(forward_config.text("class_name"), mirrored, call.major, channels, "backward_layer")
    else:
        backward = _direction(call.config.fields("backward_layer"), call.major, channels, "backward_layer")
    initial = _initial(call, forward.state_count + backward.state_count)
    weights = call.weights(*forward.wanted(), *backward.wanted(), parts=[*forward.parts(), *backward.parts()])
    count, split = len(forward.wanted()), forward.state_count if initial else 0
    there = forward.steps(weights[:count], initial[:split], "forward")
    back = backward.steps(weights[count:], initial[split:], "backward", flipped=True)
    steps, states = (*there.steps, *back.steps), (*there.results[1:], *back.results[1:])
    both = ("forward", "backward")
    if call.config.get("merge_mode") is None and "merge_mode" in call.config.values:
        return Steps(steps, (*both, *states))
    mode = call.config.text("merge_mode", "concat")
    if mode not in _MERGES:
        raise call.config.wrong("merge_mode", ", ".join([*_MERGES, "null"]))
    return Steps((*steps, Step(_MERGES[mode], inputs=both)), ("", *states))


def _direction(described: Fields, major: int, channels: int, part: str) -> _Network:
    class_name = described.text("class_name")
    if class_name not in ("SimpleRNN", "LSTM", "GRU", "RNN") or ">" in described.text("registered_name", ""):
        raise UnsupportedError(f"Bidirectional of {shown(class_name)}", accepted="SimpleRNN, LSTM, GRU, RNN")
    return _Network.read(class_name, described.fields("config"), major, channels, part)


def time_distributed(lookup: Callable[[str], Translation | None]) -> Translation:
    """The wrapper, for the layers that ``lookup`` knows."""

    def translate(call: LayerCall) -> tuple[Value, ...]:
        shape, inner = call.shape, call.config.fields("layer")
        class_name = inner.text("class_name")
        translation = lookup(class_name)
        if ">" in inner.text("registered_name", "") or class_name in MODEL_CLASSES or translation is None:
            raise UnsupportedError(
                f"TimeDistributed of {shown(class_name)}", accepted="one layer that is translated itself"
            )
        if len(shape) < 2:
            raise ModelFileError(f"TimeDistributed on an input of shape {shape}", where=call.where)
        config = inner.fields("config")
        if config.flag("stateful", False):
            raise UnsupportedError("a stateful layer", accepted="layers without a state between samples")
        build = replace(call.build, steps=shape[0], source=class_name)
        item = replace(call.values[0], shape=shape[1:])
        one = LayerCall(
            config, call.major, Operands((item,), {}), lambda parts: call.stored(_within("layer", parts)), build
        )
        return tuple(
            replace(value, shape=(shape[0], *value.shape)) for value in placed_steps(one, translation.read(one))
        )

    return Translation(translate, "the wrapped layer, or TimeDistributed")


def _within(part: str, parts: Sequence[str]) -> list[str]:
    return [part, *(f"{part}/{inner}" for inner in parts)]


_STATES = frozenset({"initial_state"})

RECURRENT: dict[str, Translation] = {
    **{name: Translation(_recurrent(name), name, _STATES) for name in ("SimpleRNN", "LSTM", "GRU")},
    "RNN": Translation(_recurrent("RNN"), "SimpleRNN, LSTM or GRU, one for each cell", _STATES),
    "Bidirectional": Translation(
        _bidirectional, "two of SimpleRNN, LSTM or GRU, and Concatenate, Add, Multiply or Average", _STATES
    ),
}
"""Layers by class name."""
