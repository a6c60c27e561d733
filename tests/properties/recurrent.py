"""Random recurrent networks: cells of all kinds, stacked, in both directions, with initial states and masks."""

from __future__ import annotations

import random

import numpy as np

from bitsmith.compiler import compile_network
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers import merge
from bitsmith.layers.activation import Activation, HardActivation
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import GRU, LSTM, Recurrent, SimpleRNN
from bitsmith.layers.settings import Settings, Weights
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle

_GATES = {SimpleRNN: 1, GRU: 3, LSTM: 4}
_STATES = {SimpleRNN: 1, GRU: 1, LSTM: 2}


class _Growing:
    def __init__(self, seed: int, *, loaded: bool) -> None:
        self.rng = random.Random(seed)
        self.ways = random.Random(seed) if loaded else None
        self.nodes: list[NetworkNode] = []
        self.shapes: dict[str, Shape] = {}
        self.inputs: list[str] = []

    def put(self, layer: Layer, operands: tuple[str, ...] = (), settings: Settings | None = None) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(NetworkNode(name, layer, operands, settings=settings or Settings()))
        self.shapes[name] = layer.output_shape([self.shapes[operand] for operand in operands])
        return name

    def given(self, shape: Shape, width: int = 5, *, signed: bool = True) -> str:
        self.inputs.append(self.put(Input(shape), (), Settings({"result": FixedFormat(signed, width, 2 * signed)})))
        return self.inputs[-1]

    def weights(self, *shape: int) -> Floats:
        return as_weights(np.random.default_rng(self.rng.randrange(1 << 30)).integers(-8, 9, shape) / 8.0)

    def formats(self) -> Settings:
        """Formats of a few variables."""
        chosen = {
            "state": FixedFormat(True, 6, 2, Rounding.RND, Overflow.SAT),
            "cell": FixedFormat(True, 7, 3, Rounding.TRN, Overflow.SAT),
            "accum": FixedFormat(True, 9, 4, Rounding.TRN, Overflow.WRAP),
            "recurrent_accum": FixedFormat(True, 9, 4, Rounding.RND, Overflow.SAT),
        }
        formats = {name: form for name, form in chosen.items() if self.rng.random() < 0.4}
        return Settings(formats) if self.ways is None else Settings(formats, weights=self.ways.choice([*Weights]))

    def cell(self, x: str, *, sequences: bool, backwards: bool, units: int) -> str:
        rng, (_, channels) = self.rng, self.shapes[x]
        kind: type[Recurrent] = rng.choice([SimpleRNN, GRU, LSTM])
        columns = _GATES[kind] * units
        fields: dict[str, object] = {"return_sequences": sequences, "go_backwards": backwards}
        fields["reversed_result"] = backwards and sequences
        fields["activation"] = rng.choice([Activation("tanh"), HardActivation(0.5, 0.0, -1.0, 1.0)])
        if kind is not SimpleRNN:
            fields["recurrent_activation"] = rng.choice([Activation("sigmoid"), HardActivation(0.25, 0.5, 0.0, 1.0)])
        if kind is GRU:
            fields["reset_after"] = rng.random() < 0.5
        if kind is LSTM and rng.random() < 0.2:
            fields["peephole"] = self.weights(3 * units)
        for name in ("bias", "recurrent_bias"):
            if rng.random() < 0.6:
                fields[name] = self.weights(columns)
        operands = [x]
        if rng.random() < 0.3:
            operands += [self.given((units,)) for _ in range(_STATES[kind])]
        if rng.random() < 0.2:
            fields["masked"] = True
            operands.append(self.given((self.shapes[x][0], 1), 1, signed=False))
        layer = kind(self.weights(channels, columns), self.weights(units, columns), **fields)  # type: ignore[arg-type]
        return self.put(layer, tuple(operands), self.formats())


def random_network(seed: int, *, loaded: bool = False) -> Program:
    """One or two layers of cells, perhaps in both directions, perhaps a dense layer; weights of some may be ``loaded``."""
    grown = _Growing(seed, loaded=loaded)
    rng = grown.rng
    x = grown.given((rng.randint(2, 5), rng.randint(1, 4)))
    for last in rng.choice([(True,), (False, True)]):
        sequences, units = not last or rng.random() < 0.4, rng.choice([1, 2, 3, 4, 6])
        if rng.random() < 0.3:
            both = [grown.cell(x, sequences=sequences, backwards=back, units=units) for back in (False, True)]
            x = grown.put(merge.Concatenate(), tuple(both))
        else:
            x = grown.cell(x, sequences=sequences, backwards=rng.random() < 0.2, units=units)
    if rng.random() < 0.4:
        x = grown.put(Dense(grown.weights(grown.shapes[x][-1], 3)), (x,))
    return compile_network(Network(tuple(grown.nodes), tuple(grown.inputs), (x,))).program


def demands(seed: int, program: Program) -> Directives:
    """Reuse factors for each layer, most of them large, for tensors whole or in tokens."""
    rng = random.Random(seed)
    layers = sorted({node.layer for node in program.nodes})
    reuse = {layer: rng.choice([1, 6, 20, 100, 1000]) for layer in layers}
    styles = {layer: rng.choice([MultiplierStyle.SHARED, MultiplierStyle.CHEAPEST]) for layer in layers}
    return Directives(reuse, rng.random() < 0.3, styles)
