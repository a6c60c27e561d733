"""Layers in their own words, as they are in a circuit, and what a comparison of codes does not say."""

from collections.abc import Iterator, Sequence

from bitsmith.errors.remedies import given, remedy
from bitsmith.fidelity.samples import between_steps
from bitsmith.ir.ops import Input
from bitsmith.ir.program import Program
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.settings import MOST_BITS, Bits
from bitsmith.layers.settled import of_codes, rounded_before
from bitsmith.layers.shape import Identity
from bitsmith.layers.words import Operand

_NAMED = 6
"""Most layers that a sentence names."""


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


def limits(network: Network, compiled: Network, calibration: Sequence[Floats] | None) -> Iterator[str]:
    """Sentences on codes that may be others than the model's, where samples show none.

    ``compiled`` is what ``network`` became; a comparison has samples of the ``calibration``, or generated ones.
    """
    codes = of_codes(network)
    outputs = [name for name in network.outputs if name in codes]
    if not outputs:
        return
    if between := between_steps(compiled, calibration):
        yield f"numbers of input {named(between)} between the circuit's steps may have other codes"
    if rounded := rounded_before(compiled, outputs):
        yield f"codes may be the next ones behind {named(rounded)}, where auto rounds"


def rounded_codes(network: Network, compiled: Network) -> str:
    """Return what is said of codes that follow from what ``auto`` rounds by a budget that nobody chose; or nothing.

    ``compiled`` is what ``network`` became.
    """
    codes = of_codes(network)
    rounded = map(compiled.node, rounded_before(compiled, [name for name in network.outputs if name in codes]))
    own = [node.name for node in rounded if node.settings.bits == Bits() and not node.settings.precision]
    if not own:
        return ""
    found = f"auto rounds {named(own)} before quantizers, so that some codes may be the ones next to the model's"
    return str(
        remedy(
            f"{found}. Quantize float weights and results of functions there, too; or round less: ",
            given(bits=MOST_BITS),
        )
    )


def named(names: Sequence[str]) -> str:
    """The first of some layers."""
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more layers" if more > 0 else "")
