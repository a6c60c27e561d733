"""Keras's recurrent layers, cells and wrappers.

A stack of cells becomes one layer per cell, each handing its sequence on: that is what stacking computes. The gates of our LSTM
and GRU have Keras's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Kind, Value
from bitsmith.frontends.files.json import Fields, shown
from bitsmith.frontends.keras.activations import read_activation
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, check_flags
from bitsmith.frontends.keras.operands import Constant
from bitsmith.frontends.keras.weights import numbered_group
from bitsmith.frontends.ops import recurrent
from bitsmith.frontends.ops.logic import compare, where
from bitsmith.frontends.ops.recurrent import DIRECTIONS, RESULTS
from bitsmith.frontends.ops.reduction import REDUCERS, running_sum
from bitsmith.frontends.ops.selection import flip, select
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.ops import Relation
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Average, Concatenate, Multiply
from bitsmith.layers.recurrent import GRU, LSTM, SIGMOID, TANH, Recurrent, SimpleRNN
from bitsmith.layers.shape import Identity

_CELLS: dict[str, recurrent.Kind] = {"SimpleRNNCell": SimpleRNN, "LSTMCell": LSTM, "GRUCell": GRU}
_LAYERS = ("SimpleRNN", "LSTM", "GRU", "RNN")
MERGES: dict[str, Layer] = {"concat": Concatenate(-1), "sum": Add(), "mul": Multiply(), "ave": Average()}
"""Merges of the results of both directions."""

_KEYWORDS = frozenset({"initial_state"})

_MOST_STEPS = 1024

_MOST_GROWTH = 24
"""Most bits that unrolled states without a quantizer may gain: single precision would not have more."""


def weight_shapes(kind: recurrent.Kind, config: Fields, channels: int) -> dict[str, Shape]:
    """Shapes of a cell's weights on ``channels`` channels. A GRU may have a bias for the operand and one for the state."""
    units = config.positive("units")
    columns = kind.gates * units
    shapes: dict[str, Shape] = {"kernel": (channels, columns), "recurrent_kernel": (units, columns)}
    if config.flag("use_bias", True):
        shapes["bias"] = (2, columns) if kind is GRU and config.flag("reset_after", True) else (columns,)
    return shapes


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell on ``channels`` channels; ``part`` is where the Keras 3 layout has its weights."""

    kind: recurrent.Kind
    config: Fields
    part: str
    channels: int
    units: int
    activations: tuple[Layer, Layer]

    @property
    def wanted(self) -> list[tuple[str, Shape]]:
        """Names and shapes of its weights."""
        return list(weight_shapes(self.kind, self.config, self.channels).items())

    def layer(self, weights: Sequence[Floats], return_state: bool) -> Recurrent:
        biases, after = weights[2:], self.config.flag("reset_after", True)
        if biases and biases[0].ndim == 2:
            weights = [*weights[:2], *map(as_weights, biases[0])]
        return recurrent.cell(self.kind, weights, *self.activations, reset_after=after, return_state=return_state)


def activation(config: Fields, key: str, major: int, default: Layer) -> Layer:
    """Return the function that the entry ``key`` names, for Keras of that ``major`` version."""
    if key not in config.values:
        return default
    if (read := read_activation(config, major, key)) is None:
        return Identity()
    if not isinstance(read.function, Layer):
        raise UnsupportedError(f"the {key} {read.name}", accepted="functions of one number")
    return read.function


@dataclass(frozen=True, slots=True)
class _Network:
    """A recurrent layer of Keras: its cells, innermost first, and what it returns."""

    cells: tuple[_Cell, ...]
    config: Fields
    major: int
    zeros: bool
    """True if the output is 0 at steps that a mask leaves out; else it stays as it is."""

    @staticmethod
    def read(call: LayerCall, class_name: str, config: Fields, part: str = "") -> _Network:
        """The layer of Keras's class ``class_name``, whose weights the Keras 3 layout has in ``part`` of Bidirectional.

        Bidirectional decides itself about ``zero_output_for_mask``.
        """
        zeros = config.flag("return_sequences" if part else "zero_output_for_mask", False)
        channels = _sequence(call).shape[1]
        check_flags(config, time_major=False)
        part, cells = f"{part}/cell" if part else "cell", []
        found = _cells(config, part) if class_name == "RNN" else [(_CELLS[f"{class_name}Cell"], config, part)]
        for kind, own, place in found:
            opening = activation(own, "recurrent_activation", call.major, SIGMOID)
            activations = activation(own, "activation", call.major, TANH), opening
            cells.append(_Cell(kind, own, place, channels, own.positive("units"), activations))
            channels = cells[-1].units
        return _Network(tuple(cells), config, call.major, zeros)

    def results(
        self,
        build: Builder,
        x: Value,
        weights: Iterator[Floats],
        initial: Iterator[Value],
        mask: Value | None,
        *,
        flipped: bool = False,
    ) -> tuple[Value, ...]:
        """The output and, if returned, the states; ``flipped`` turns the sequence of hidden states round.

        It takes its own of the ``weights`` and ``initial`` states. The ``mask`` (batch, time, 1) is that of the sequence.
        """
        sequences, shown = self.config.flag("return_sequences", False), self.config.flag("return_state", False)
        states: list[Value] = []
        own_mask, counts = mask, None
        for number, cell in enumerate(self.cells):
            last = number == len(self.cells) - 1
            inner, main = build if last else build.within(f"cell{number}"), 0 if sequences or not last else 1
            backwards = number == 0 and self.config.flag("go_backwards", False)
            tensors = [*islice(weights, len(cell.wanted))]
            layer, layouts = cell.layer(tensors, shown), _layouts(tensors)
            layer = replace(layer, go_backwards=backwards, reversed_result=flipped and last)
            if mask is not None and number == 1 and self.config.flag("go_backwards", False):
                mask = flip(build.within("mask"), mask, [1])  # as the first cell hands its steps on
            own = tuple(islice(initial, len(layer.states)))
            # States that are given count for each sample, as Keras has it.
            layer = replace(layer, stateful=self.config.flag("stateful", False) and not own)
            if last and own_mask is not None:
                counts = self._counts(build.within("mask"), own_mask, flipped=flipped, begun=bool(own))
            y = recurrent.run(inner if counts is None else inner.within("held"), layer, x, own, main, mask, layouts)
            states += [
                y if k == main else recurrent.run(inner.within(RESULTS[k]), layer, x, own, k, mask, layouts)
                for k in range(1, 1 + shown * len(layer.states))
            ]
            x = y
        return (x if counts is None else where(build, counts, x, ZERO), *states)

    def _counts(self, build: Builder, mask: Value, *, flipped: bool, begun: bool) -> Value | None:
        """Return where the output with a mask is the hidden state, else 0; None if that is everywhere.

        An output that stays as it is at the steps that are left out may be 0 before the first that counts, where the state has
        ``begun`` with another.
        """
        if not (self.zeros or (begun and self._begins_with_0)):
            return None
        steps = flip(build, mask, [1], "turned") if self.config.flag("go_backwards", False) else mask
        if not self.config.flag("return_sequences", False):
            return select(build, steps, 1, -1) if self.zeros else REDUCERS["max"].of(build, steps, [1])
        if not self.zeros:
            total = running_sum(build.within("sum"), replace(steps, kind=Kind.REAL), [1])
            steps = compare(build, Relation.GT, total, ZERO)
        return flip(build, steps, [1]) if flipped else steps

    @property
    def _begins_with_0(self) -> bool:
        """Return True if an output that stays as it is begins with 0, not with the initial state."""
        return self.major < 3 or self.config.flag("unroll", False)

    def check_mask(self, notes: list[str], where: str, *, initial: bool) -> None:
        """Refuse what Keras's backends do in different ways with a mask, or note it where that is seen in few samples.

        NumPy and JAX take the first state for the output before a step, TensorFlow and PyTorch remember the output.
        """
        if self.zeros and self.config.flag("unroll", False):
            raise UnsupportedError("a mask beside zero_output_for_mask=True and unroll=True", accepted="unroll=False")
        if initial and not (self.zeros or self._begins_with_0):
            notes.append(
                f"{where}: at masked steps before the first that counts the output is the initial state, as with the backends "
                "JAX and NumPy of Keras; with TensorFlow and PyTorch it is 0."
            )


def _layouts(tensors: Sequence[Floats]) -> dict[str, ModelLayout]:
    """Return the layouts of the two rows of a GRU's bias."""
    if len(tensors) < 3 or tensors[2].ndim < 2:
        return {}
    rows = (lambda bias: bias[0], lambda bias: bias[1])
    found = (ModelLayout.of(tensors[2].shape, row, argument="bias") for row in rows)
    return {name: layout for name, layout in zip(recurrent.VARIABLES[2:], found, strict=True) if layout is not None}


def _cells(config: Fields, part: str) -> Iterator[tuple[recurrent.Kind, Fields, str]]:
    """The cells of a wrapper, with their configurations and places, from the serialized one or the list of them."""
    listed, groups = config.get("cell"), Counter[str]()
    if isinstance(listed, list):
        for item in listed:
            inner = Fields({"cell": item}, config.where)
            yield from _cells(inner, f"{part}/cells/{numbered_group(inner.fields('cell').text('class_name'), groups)}")
        return
    class_name, own = wrapped("RNN", config, "cell", (*_CELLS, "StackedRNNCells"))
    if class_name in _CELLS:
        yield _CELLS[class_name], own, part
    elif own.flag("reverse_state_order", False):
        raise UnsupportedError("reverse_state_order=True", accepted="reverse_state_order=False")
    else:
        yield from _cells(Fields({"cell": own.items("cells")}, config.where), part)


def _sequence(call: LayerCall) -> Value:
    """The operand."""
    x = call.given.args[0] if call.given.args else None
    if not isinstance(x, Value) or len(x.shape) != 2:
        found = f"called on operands of shapes {[value.shape for value in call.given.tensors]}"
        raise call.config.error(found, "a sequence of shape (time, channels)")
    return x


def unrolled_sequence(call: LayerCall, config: Fields, *unread: str, axes: int = 3) -> Value:
    """The operand, of so many ``axes``, of a layer that is unrolled; flags that are ``unread`` must not be set.

    Raises:
        UnsupportedError: too many steps, another operand, or a mask.
    """
    if len(call.given.tensors) != 1 or call.x.rank != axes:
        raise UnsupportedError("initial states, or an operand that is not a sequence", accepted="one sequence")
    if call.x.dims[1] > _MOST_STEPS:
        raise UnsupportedError(f"{call.x.dims[1]} steps", accepted=f"at most {_MOST_STEPS}")
    check_flags(config, **dict.fromkeys(unread, False))
    if call.mask(call.x) is not None:
        raise UnsupportedError("a mask of steps", accepted="sequences without a mask")
    return call.x


def check_growth(gained: int, steps: int, remedy: str) -> None:
    """Refuse states without a quantizer that gain so many bits in each step, if these are too many."""
    if gained * steps > _MOST_GROWTH:
        raise UnsupportedError(
            f"states without a quantizer that gain {gained} bits in each of {steps} steps",
            accepted=f"at most {_MOST_GROWTH} in all, or {remedy}",
        )


def _mask(call: LayerCall) -> Value | None:
    """Return the mask of the steps of the sequence that count (batch, time, 1).

    Keras 3 looks for a tensor's mask only where a layer is called on one: not beside initial states.
    """
    if call.major >= 3 and len(call.given.tensors) > 1 and not call.masked:
        return None
    mask = call.mask(_sequence(call))
    if mask is not None and mask.rank != 2:
        raise UnsupportedError(f"a mask of axes {mask.dims}", accepted="(batch, time)")
    return None if mask is None else call.build.viewed(mask, (*mask.dims, 1), mask.batch, "mask")


def _results(call: LayerCall, networks: Sequence[_Network]) -> list[tuple[Value, ...]]:
    """Return the results of one or two directions; initial states follow the sequence, or are those of the keyword."""
    given = (*call.given.args[1:], *call.given.kwargs.get("initial_state", ()))
    initial = tuple(one for one in given if isinstance(one, Value))
    if any(isinstance(one, Constant) and one.value is not None for one in given):
        raise UnsupportedError("a constant initial state", accepted="tensors, or none")
    cells = [cell for network in networks for cell in network.cells]
    count = sum(len(cell.kind.states) for cell in cells)
    if len(initial) not in (0, count):
        raise call.config.error(f"{len(initial)} initial states", f"{count}")
    wanted, parts = [one for cell in cells for one in cell.wanted], [cell.part for cell in cells]
    weights, states = iter(call.weights(*wanted, parts=parts)), iter(initial)
    builds = [call.build.within(name) for name in DIRECTIONS] if len(networks) > 1 else [call.build]
    x, mask = _sequence(call), _mask(call)
    if mask is not None and any(network.config.flag("stateful", False) for network in networks):
        raise UnsupportedError(
            "a mask for a stateful layer", accepted="all steps, or a layer without a state between samples"
        )
    if mask is not None:
        for network in networks:
            network.check_mask(call.notes, call.config.where, initial=bool(initial))
    return [
        network.results(build, x, weights, states, mask, flipped=number == 1)
        for number, (network, build) in enumerate(zip(networks, builds, strict=True))
    ]


def wrapped(wrapper: str, config: Fields, key: str, known: Collection[str], accepted: str = "") -> tuple[str, Fields]:
    """Class and configuration of the layer or cell that the entry ``key`` describes, if its class is a ``known`` one.

    A class that another package has registered is known by that name, ``hgq>QDense``.
    """
    described = config.fields(key)
    class_name, registered = described.text("class_name"), described.text("registered_name", "")
    custom = ">" in registered
    name = registered if custom else class_name
    if name not in known:
        found = f"{wrapper} of {'the custom ' * custom}{shown(class_name)}"
        raise UnsupportedError(found, accepted=accepted or ", ".join(known))
    return name, described.fields("config")


def _recurrent(class_name: str, becomes: str) -> Translation:
    return Translation(
        lambda call: _results(call, [_Network.read(call, class_name, call.config)])[0],
        becomes,
        _KEYWORDS,
        stateful=True,
    )


def _bidirectional(call: LayerCall) -> tuple[Value, ...]:
    class_name, config = wrapped("Bidirectional", call.config, "layer", _LAYERS)
    forward = _Network.read(call, class_name, config, "forward_layer")
    class_name, config = backward_layer("Bidirectional", call.config, class_name, config, _LAYERS)
    return merged(call, *_results(call, [forward, _Network.read(call, class_name, config, "backward_layer")]))


def backward_layer(
    wrapper: str, config: Fields, class_name: str, forward: Fields, known: Collection[str]
) -> tuple[str, Fields]:
    """Class and configuration of the layer of the other direction: as it is described, or the first one's turned round."""
    if config.get("backward_layer") is not None:
        return wrapped(wrapper, config, "backward_layer", known)
    return class_name, Fields({**forward.values, "go_backwards": not forward.flag("go_backwards", False)}, config.where)


def merged(call: LayerCall, there: tuple[Value, ...], back: tuple[Value, ...]) -> tuple[Value, ...]:
    """The results of both directions, merged as the wrapper says, and the states of both."""
    if call.config.get("merge_mode") is None and "merge_mode" in call.config.values:
        return (there[0], back[0], *there[1:], *back[1:])
    mode = call.config.text("merge_mode", "concat")
    if mode not in MERGES:
        raise call.config.wrong("merge_mode", ", ".join([*MERGES, "null"]))
    return (call.build.emit(MERGES[mode], there[0], back[0]), *there[1:], *back[1:])


BIDIRECTIONAL = Translation(
    _bidirectional, "two of SimpleRNN, LSTM or GRU, and Concatenate, Add, Multiply or Average", _KEYWORDS, stateful=True
)

RECURRENT: ByClass = {
    **{name: _recurrent(name, name) for name in ("SimpleRNN", "LSTM", "GRU")},
    "RNN": _recurrent("RNN", "SimpleRNN, LSTM or GRU, one for each cell"),
    "Bidirectional": BIDIRECTIONAL,
}
