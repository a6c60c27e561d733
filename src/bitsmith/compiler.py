"""The compiler, read from top to bottom: a network with settings in, a core program out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.dump import dumped
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text as program_text
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import AUTO_BITS
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Bits
from bitsmith.layers.settled import is_quantized, settled
from bitsmith.layers.text import to_text as network_text
from bitsmith.passes import simplify
from bitsmith.passes.calibration import calibrate
from bitsmith.passes.channels import refine_channels
from bitsmith.passes.computed_masks import fold_computed_masks
from bitsmith.passes.fold_batchnorm import fold_batchnorm, kept_apart
from bitsmith.passes.fold_padding import fold_padding
from bitsmith.passes.index_inputs import index_inputs
from bitsmith.passes.layout import layout
from bitsmith.passes.lower import lower
from bitsmith.passes.masks import fold_masks
from bitsmith.passes.move_scales import move_scales
from bitsmith.passes.quantized_inputs import quantized_inputs
from bitsmith.passes.sizes import check_sizes
from bitsmith.passes.tabulate import tabulate
from bitsmith.passes.weighted_sums import weighted_sums

_NAMED = 6
"""Most layers that a note names."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A network as it was laid out, its exact meaning, and what the user should know about the choices made."""

    network: Network
    program: Program
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What a model was compiled from."""

    network: Network
    calibration: Sequence[Floats] | None


def compile_network(network: Network, calibration: Sequence[Floats] | None = None) -> Compiled:
    """Translate ``network``, whose nodes carry the user's settings.

    Args:
        network: what a frontend read and :func:`bitsmith.config.resolve` annotated.
        calibration: one batch per input, of real inputs of the float model; None: ``auto`` works on generated ones.

    Raises:
        UnsupportedError, RangeError, InputDataError: each naming the layer or input.
    """
    check_sizes(network)
    network = dumped("network", quantized_inputs(index_inputs(network)), network_text)
    network = fold_computed_masks(fold_padding(network), calibration)
    notes = (*network.notes, *_budgets(network), *_notes(network, calibrated=calibration is not None))
    network = fold_masks(network, calibration)
    network = weighted_sums(move_scales(tabulate(network)))
    notes = (*notes, *_floats(network))
    network = layout(network)
    folded = fold_batchnorm(network)
    notes = (*notes, *_unfolded(kept_apart(network, folded)))
    network = dumped("network-laid-out", folded, network_text)
    observed = calibrate(network, calibration)
    network = refine_channels(network, calibration, observed)
    notes = (*notes, *_refined(network))
    program = dumped("program", lower(network, observed), program_text)
    return Compiled(network, simplify(program), notes)


def _notes(network: Network, calibrated: bool) -> tuple[str, ...]:
    if calibrated:
        return ()
    unknown: dict[FixedFormat, list[str]] = {}
    for node in network.nodes:
        if isinstance(node.layer, Input) and _is_unknown(node, node.layer):
            fmt = node.layer.default_format(node.settings.result_bits)
            unknown.setdefault(fmt, []).append(repr(node.name))
    return tuple(
        f"No calibration data and no precision for input {', '.join(names)}: it is {fmt}. "
        f"Inputs beyond +-{1 << fmt.integer - 1} saturate and steps below {_step(fmt)} are lost; "
        "give samples as calibration, or the input a precision."
        for fmt, names in unknown.items()
    )


def _is_unknown(node: NetworkNode, layer: Input) -> bool:
    """Return True of an input about whose values nothing is known."""
    known = layer.entries is not None or layer.limits is not None or layer.quantizer is not None
    return not known and "result" not in node.settings.precision


def _refined(network: Network) -> tuple[str, ...]:
    """What is said of tensors that have several steps."""
    named = ", ".join(repr(node.name) for node in network.nodes if node.fracs and not node.inner)
    if not named:
        return ()
    return (
        f"Finer steps for some channels or weights of {named}: with one step for each tensor, as auto has it elsewhere, "
        "an output would lose accuracy.",
    )


def _budgets(network: Network) -> tuple[str, ...]:
    """Where ``auto`` keeps other bits than it does by itself."""
    layers: dict[Bits, list[str]] = {}
    known = [node for node in network.nodes if not node.inner]
    for node in known:
        layers.setdefault(node.settings.bits, []).append(repr(node.name))
    return tuple(
        f"auto keeps {bits} instead of {AUTO_BITS}{_within(names, len(known))}."
        for bits, names in layers.items()
        if bits != Bits()
    )


def _floats(network: Network) -> tuple[str, ...]:
    """Which layers of a quantized model no quantizer decides."""
    decided = settled(network)
    names = [repr(node.name) for node in network.nodes if node.name not in decided and not node.inner]
    if not names or not is_quantized(network):
        return ()
    return (f"Not decided by the quantizers of the model, and so by the rules of auto: {_named(names)}.",)


def _named(names: Sequence[str]) -> str:
    """The first of them."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more layers" if more > 0 else "")


def _within(names: Sequence[str], of: int) -> str:
    """Which layers, if not all."""
    if len(names) == of:
        return ""
    return f", in {_named(names)}"


def _unfolded(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """What is said of normalizations that stay, because of the user's formats."""
    if not pairs:
        return ()
    named = ", ".join(f"{name!r} into {before!r}" for name, before in pairs)
    return (
        f"Not folded: {named}. A precision that is given for the results or sums of the layer before, or for the scale or bias "
        "of the normalization, rounds between the two; leave these auto, and the normalization costs nothing.",
    )


def _step(fmt: FixedFormat) -> str:
    return "1" if fmt.frac == 0 else f"2**-{fmt.frac}"
