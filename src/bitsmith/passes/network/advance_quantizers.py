"""Quantizers go before maxima and moves of what ``auto`` would round.

Before: ``quantize(max(f(x)))``, where nothing decides the function's results, so that ``auto`` rounds each before the quantizer
rounds again. After: ``max(quantize(f(x)))``. The codes are the same, as those of a quantizer that saturates rise with its
operand, and a function in front of a quantizer is exact (:mod:`bitsmith.passes.network.tabulate`).
"""

from dataclasses import replace

from bitsmith.ir.types import Overflow
from bitsmith.layers.network import Network, NetworkNode, free_name
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.settled import settled_lines


def advance_quantizers(network: Network) -> Network:
    """``network`` with quantizers at the operands of such layers, through one after the other."""
    while (advanced := _advanced(network)) is not network:
        network = advanced
    return network


def _advanced(network: Network) -> Network:
    decided = settled_lines(network)
    for node in network.nodes:
        before = network.node(node.inputs[0]) if isinstance(node.layer, Quantize) else None
        if before is None or not _goes_before(network, node, before) or decided.issuperset(before.inputs):
            continue
        return _with_quantizer_before(network, node, before)
    return network


def _goes_before(network: Network, node: NetworkNode, before: NetworkNode) -> bool:
    """Return True if all that reads ``before`` is the quantizer ``node``, whose codes are those of the picked element."""
    assert isinstance(node.layer, Quantize)
    quantizer = node.layer.quantizer
    traits = before.layer.traits
    alike = quantizer.is_plain and not quantizer.offset.item()
    rises = traits.moves or (traits.picks and quantizer.overflow in (Overflow.SAT, Overflow.SAT_SYM))
    own = node.settings.precision or before.settings.precision or before.settings.trace
    alone = len(network.consumers(before.name)) == 1 and before.name not in network.outputs
    return alike and rises and alone and not own


def _with_quantizer_before(network: Network, node: NetworkNode, before: NetworkNode) -> Network:
    assert isinstance(node.layer, Quantize)
    whole, taken = node.layer.quantizer, {each.name for each in network.nodes}
    names = {name: free_name(f"{node.name}_of_{name}", taken) for name in dict.fromkeys(before.inputs)}
    early = [
        NetworkNode(own, node.layer, (name,), source=node.layer.kind, inner=True, settings=node.settings)
        for name, own in names.items()
    ]
    kept = Quantizer.uniform(whole.step, whole.lo, whole.hi, whole.rounding, whole.overflow)
    changed = {
        before.name: [*early, replace(before, inputs=tuple(names[name] for name in before.inputs), folded=True)],
        node.name: [replace(node, layer=Quantize(kept))],
    }
    return network.with_nodes([own for each in network.nodes for own in changed.get(each.name, [each])])
