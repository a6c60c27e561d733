"""Networks as users have them, with a reuse factor of 16: an LSTM, and attention with two heads beside what goes past it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from bitsmith.building.job import Target, directives_of
from bitsmith.compiler import compile_network
from bitsmith.config.values import IOType
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum, EinsumDense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.recurrent import LSTM
from bitsmith.layers.settings import Settings, Strategy
from bitsmith.layers.softmax import Softmax
from bitsmith.mapping.directives import Directives
from bitsmith.passes.program import drop_dead

_FORMAT = FixedFormat(True, 12, 8, Rounding.RND, Overflow.SAT)
_SHARED = Settings({"result": _FORMAT}, reuse_factor=16, strategy=Strategy.RESOURCE)


def _weights(seed: int, *shape: int) -> Floats:
    """Multiples of 1/8 in -1 .. 1."""
    return as_weights(np.random.default_rng(seed).integers(-8, 9, shape) / 8)


def _node(name: str, layer: Layer, *inputs: str) -> NetworkNode:
    return NetworkNode(name, layer, inputs, type(layer).__name__, _SHARED)


def lstm() -> Network:
    """Six units over eight steps of four channels, and a dense layer on the last state."""
    cell = LSTM(_weights(0, 4, 24), _weights(1, 6, 24), _weights(2, 24))
    nodes = (_node("x", Input((8, 4))), _node("lstm", cell, "x"), _node("out", Dense(_weights(3, 6, 3)), "lstm"))
    return Network(nodes, inputs=("x",), outputs=("out",), name="lstm")


def attention() -> Network:
    """Two heads of three channels over five places of four channels, added to their input, and a dense layer."""
    heads = {name: EinsumDense("td,dhc->htc", _weights(k, 4, 2, 3)) for k, name in enumerate(("query", "key", "value"))}
    nodes = (
        _node("x", Input((5, 4))),
        *(_node(name, layer, "x") for name, layer in heads.items()),
        _node("scores", Einsum("htc,hsc->hts", 0.5), "query", "key"),
        _node("weights", Softmax(-1), "scores"),
        _node("seen", Einsum("hts,hsc->htc"), "weights", "value"),
        _node("merged", EinsumDense("htc,hcd->td", _weights(7, 2, 3, 4)), "seen"),
        _node("sum", Add(), "merged", "x"),
        _node("out", Dense(_weights(8, 4, 3)), "sum"),
    )
    return Network(nodes, inputs=("x",), outputs=("out",), name="attention")


@cache
def named_networks() -> dict[str, tuple[Program, Directives]]:
    """As users get them, with streams and with arrays at the interface."""
    found = {}
    for network in (lstm(), attention()):
        compiled = compile_network(network)
        program = drop_dead(compiled.program, keep_probes=False)
        for io_type in IOType:
            found[f"{network.name}_{io_type.value}"] = (
                program,
                directives_of(compiled.network, Target(Path(), "net", "", 5.0, backend="vitis", io_type=io_type)),
            )
    return found
