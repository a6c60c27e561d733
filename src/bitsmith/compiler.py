"""The compiler, read from top to bottom: a network with settings in, a core program out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

from bitsmith.base.dump import dumped
from bitsmith.fidelity.losses import LossyCasts
from bitsmith.fidelity.scales import finer_for_scales
from bitsmith.fidelity.words import in_words, named
from bitsmith.ir.program import Program
from bitsmith.ir.text import to_text as program_text
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import AUTO_BITS, ObservedRange, finer_format
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Bits
from bitsmith.layers.settled import is_quantized, settled
from bitsmith.layers.text import to_text as network_text
from bitsmith.passes.network.advance_quantizers import advance_quantizers
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.channels import refine_channels
from bitsmith.passes.network.few_digits import Known, few_digits
from bitsmith.passes.network.finer_steps import Finer, with_finer_steps
from bitsmith.passes.network.fold_batchnorm import fold_batchnorm, kept_apart
from bitsmith.passes.network.fold_logistic import fold_logistic
from bitsmith.passes.network.fold_padding import fold_padding
from bitsmith.passes.network.fold_thresholds import fold_thresholds
from bitsmith.passes.network.index_inputs import index_inputs
from bitsmith.passes.network.layout import layout
from bitsmith.passes.network.lower import lower
from bitsmith.passes.network.masks import fold_masks
from bitsmith.passes.network.move_scales import move_scales
from bitsmith.passes.network.quantized_inputs import quantized_inputs
from bitsmith.passes.network.sizes import check_sizes
from bitsmith.passes.network.split_rectifiers import split_rectifiers
from bitsmith.passes.network.stated_scales import stated_scales
from bitsmith.passes.network.tabulate import tabulate
from bitsmith.passes.network.truth_tables import truth_tables
from bitsmith.passes.network.weighted_sums import weighted_sums
from bitsmith.passes.program import simplify


@dataclass(frozen=True, slots=True)
class Compiled:
    """A network as it was laid out, its exact meaning, and what the user should know about the choices made."""

    network: Network
    program: Program
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Source that a model was compiled from.

    ``changed`` is the same network with keys of a configuration in place of the user's; None if the user chose the bits of the
    whole model. What is ``known`` of its float network serves all of them.
    """

    network: Network
    calibration: Sequence[Floats] | None
    changed: Callable[[Mapping[str, object]], Network] | None
    known: Known = field(default_factory=Known, repr=False)


def compile_network(
    network: Network, calibration: Sequence[Floats] | None = None, known: Known | None = None
) -> Compiled:
    """Translate ``network``, whose nodes carry the user's settings.

    Args:
        network: what a frontend read and :func:`bitsmith.config.resolve` annotated.
        calibration: one batch per input, of real inputs of the float model; None: ``auto`` works on generated ones.
        known: of the float network, from a network like this with other settings.

    Raises:
        UnsupportedError, RangeError, InputDataError: each naming the layer or input.
    """
    check_sizes(network)
    network = fold_logistic(index_inputs(fold_thresholds(network)))
    network = dumped("network", stated_scales(quantized_inputs(network, calibration)), network_text)
    network = truth_tables(fold_masks(fold_padding(network), calibration), calibration)
    notes = (*network.notes, *_budgets(network))
    network = weighted_sums(move_scales(split_rectifiers(tabulate(advance_quantizers(network)))))
    notes = (*notes, *_floats(network))
    network = layout(network)
    folded = fold_batchnorm(network)
    notes = (*notes, *_unfolded(kept_apart(network, folded)))
    network = few_digits(folded, calibration, known)
    notes = (*notes, *_of_few_digits(folded, network))
    network = dumped("network-laid-out", network, network_text)
    observed = calibrate(network, calibration)
    notes = (*notes, *_below_grids(network, observed))
    network = refine_channels(network, calibration, observed)
    notes = (*notes, *_refined(network))
    lowered = cache(partial(_lowered, network, observed))
    finer = Finer()
    if calibration is None:
        finer = _finer(network, lowered)
        notes = (*notes, *_of_scales(network, lowered(finer)[1], finer))
    network, program = lowered(finer)
    program = dumped("program", program, program_text)
    return Compiled(network, simplify(program), (*notes, *_indices(network, program), *in_words(network, program)))


def _lowered(network: Network, observed: Mapping[str, ObservedRange], finer: Finer) -> tuple[Network, Program]:
    """The network with finer steps, and its program."""
    network = with_finer_steps(network, observed, finer)
    return network, lower(network, observed)


def _finer(network: Network, lowered: Callable[[Finer], tuple[Network, Program]]) -> Finer:
    """Return how much finer steps are where inputs of a usual scale need it; budgets that the user gives are kept."""
    if any(node.settings.bits != Bits() or node.settings.widest is not None for node in network.nodes):
        return Finer()
    return finer_for_scales(network, lambda finer: lowered(finer)[1])


def _of_scales(network: Network, program: Program, finer: Finer) -> Iterator[str]:
    """Return the note on inputs about which nothing is known; ``program`` has the steps that they have."""
    fracs = {op.name: int(op.frac.max()) for op in program.input_ops()}
    unknown: dict[FixedFormat, list[str]] = {}
    for name in network.unknown_inputs():
        fmt = network.input(name).default_format(network.node(name).settings.result_bits)
        fmt = fmt if network.input(name).integer else finer_format(fmt, fracs[name])
        unknown.setdefault(fmt, []).append(repr(name))
    yield from (
        f"No calibration data and no precision for input {', '.join(names)}: it is {fmt}. "
        f"Inputs beyond +-{1 << fmt.integer - 1} saturate and steps below {_step(fmt)} are lost; "
        "give samples as calibration, or the input a precision."
        for fmt, names in unknown.items()
    )
    if finer != Finer():
        more = [f"{bits} bits for {of}" for of, bits in (("inputs", finer.inputs), ("results", finer.results)) if bits]
        yield f"Finer steps, by {' and '.join(more)}: inputs from 0 to 1 or from -1 to 1 would lose accuracy otherwise."


def _below_grids(network: Network, observed: Mapping[str, ObservedRange]) -> Iterator[str]:
    """Return the note on inputs whose calibration data lie on a coarse grid."""
    for name in network.inputs:
        seen = observed[name]
        if seen.frac is None or not (seen.finer or seen.believed):
            continue
        step = 2.0**-seen.frac
        multiples = f"Calibration data of input {name!r} are multiples of {step:g}"
        if seen.believed:
            yield (
                f"{multiples}; it rounds numbers between, which would change an output. Give the input a precision, or other "
                "calibration data, if it has such numbers."
            )
        else:
            yield (
                f"{multiples}; it has steps of {step * 2.0**-seen.finer:g}, as numbers between would change an output. "
                "Give the input a precision if all of its data are such multiples."
            )


def _of_few_digits(before: Network, network: Network) -> Iterator[str]:
    """Return the note on weights that are not the nearest to the model's."""
    others = [node.name for node, old in zip(network.nodes, before.nodes, strict=True) if node is not old]
    if others:
        yield f"Weights of {named(others)} have few digits (DigitPrice, ChannelPrice), which others make up for."


def _refined(network: Network) -> tuple[str, ...]:
    """Return the note on tensors with several steps."""
    named = ", ".join(repr(node.name) for node in network.nodes if node.fracs and not node.inner)
    if not named:
        return ()
    return (
        f"Finer steps for some channels or weights of {named}: with one step for each tensor, as auto has it elsewhere, "
        "an output would lose accuracy.",
    )


def _budgets(network: Network) -> tuple[str, ...]:
    """Return the bits that ``auto`` keeps where the user asks for others."""
    layers: dict[Bits, list[str]] = {}
    known = [node for node in network.nodes if not node.inner]
    for node in known:
        layers.setdefault(node.settings.bits, []).append(node.name)
    return tuple(
        f"auto keeps {bits} instead of {AUTO_BITS}{_within(names, len(known))}."
        for bits, names in layers.items()
        if bits != Bits()
    )


def _floats(network: Network) -> tuple[str, ...]:
    """Return the note on layers of a quantized model that no quantizer decides."""
    decided = settled(network)
    names = [node.name for node in network.nodes if node.name not in decided and not node.inner]
    if not names or not is_quantized(network):
        return ()
    return (f"Not decided by the quantizers of the model, and so by the rules of auto: {named(names)}.",)


def _within(names: Sequence[str], of: int) -> str:
    """Return the layers in words, if not all."""
    if len(names) == of:
        return ""
    return f", in {named(names)}"


def _unfolded(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the note on normalizations that stay because of the user's formats."""
    if not pairs:
        return ()
    named = ", ".join(f"{name!r} into {before!r}" for name, before in pairs)
    return (
        f"Not folded: {named}. A precision that is given for the results or sums of the layer before, or for the scale or bias "
        "of the normalization, rounds between the two; leave these auto, and the normalization costs nothing.",
    )


def _indices(network: Network, program: Program) -> Iterator[str]:
    """Return the note on layers that look rows up by indices that may lie outside."""
    for name, rows in LossyCasts.of(program, network).indices.items():
        yield (
            f"The index that {name!r} looks rows up by may lie outside {rows[0]}..{rows[-1]}, of which frameworks make an error: "
            "the nearest row is taken, and predictions warn of it."
        )


def _step(fmt: FixedFormat) -> str:
    return "1" if fmt.frac == 0 else f"2**-{fmt.frac}"
