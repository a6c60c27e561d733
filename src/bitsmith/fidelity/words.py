"""Layers in their own words, as they are in a circuit."""

from bitsmith.ir.ops import Input
from bitsmith.ir.program import Program
from bitsmith.layers.network import Network
from bitsmith.layers.shape import Identity
from bitsmith.layers.words import Operand


def in_words(network: Network, program: Program) -> tuple[str, ...]:
    """Sentences of the layers of ``network`` on themselves in ``program``, which it became."""
    operands: dict[str, Operand] = {}
    for probe in program.probes:
        node = program.nodes[probe.node]
        operands[probe.name] = Operand(node.type, node.op if isinstance(node.op, Input) else None)
    for folded in network.nodes:
        if folded.folded and isinstance(folded.layer, Identity) and folded.inputs[0] in operands:
            operands[folded.name] = operands[folded.inputs[0]]
    return tuple(
        f"{node.name}: {sentence}"
        for node in network.nodes
        if not node.folded and all(name in operands for name in node.inputs)
        for sentence in node.layer.words([operands[name] for name in node.inputs])
    )
