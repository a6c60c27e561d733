"""Sentences of layers on themselves: with the operands that they have in the circuit, if these are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bitsmith.compiler import compile_network
from bitsmith.fidelity.words import in_words
from bitsmith.layers.activation import ReLU
from bitsmith.layers.input import Input
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.shape import Identity
from bitsmith.layers.words import Operand


@dataclass(frozen=True, slots=True, eq=False)
class Said(Add):
    """A sum that says how wide its operands are, and which of them are inputs."""

    def words(self, operands: Sequence[Operand]) -> Sequence[str]:
        return [f"{each.type.max_width} {each.entry is not None}" for each in operands]


def test_layers_speak_of_operands_that_are_known() -> None:
    nodes = (
        NetworkNode("x", Input((2,))),
        NetworkNode("y", ReLU(), ("x",)),
        NetworkNode("z", Identity(), ("y",)),
        NetworkNode("sum", Said(), ("x", "z")),
    )
    network = Network(nodes, ("x",), ("sum",))
    program = compile_network(network).program
    widths = {probe.name: program.nodes[probe.node].type.max_width for probe in program.probes}
    said = (f"sum: {widths['x']} True", f"sum: {widths['y']} False")
    assert in_words(network, program) == said
    for missing in ("x", "z"):
        fewer = replace(program, probes=tuple(probe for probe in program.probes if probe.name != missing))
        assert in_words(network, fewer) == ()
        folded = network.with_nodes([replace(node, folded=node.name == "z") for node in nodes])
        assert in_words(folded, fewer) == (said if missing == "z" else ())
    assert in_words(network.with_nodes([replace(node, folded=node.name == "sum") for node in nodes]), program) == ()
