"""The program beside the float model, on the same data, layer by layer.

In: the network as it was read, what the compiler made of it, and inputs. Out: a row for each layer, and where formats lost
values. A layer's error is compared with the range of its float result; its *own* error is that against the layer's float
meaning for the operands that it has in the circuit, and so leaves out what it inherits.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.base.blas import one_thread
from bitsmith.emulate import Emulator
from bitsmith.fidelity.channels import Channel, Channels
from bitsmith.fidelity.deviation import Span, deviation, signal_to_noise, spans
from bitsmith.fidelity.losses import Loss, LossyCast, LossyCasts, joined
from bitsmith.fidelity.outside import limiting
from bitsmith.fidelity.shortfall import SATURATED_ERROR, Expected, apart, float_outputs
from bitsmith.fidelity.ties import LAST_PLACE, deciding, more_bits, open_decisions, rounded_alike
from bitsmith.ir.ops import Cast
from bitsmith.ir.program import Program
from bitsmith.ir.types import Fracs, Overflow
from bitsmith.layers.auto import exact_frac
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settled import exact_variables
from bitsmith.report.sections import LayerFidelity

_FAR = 8.0
"""Times the whole's error above which that of a channel is shown."""

_CANCELLED = 2.0**-44
"""Share of the operands' magnitude below which a result is the float model's own rounding, as of the mean of what is centered."""

AUTO_WORST = 0.02
"""Greatest error of an output that formats of ``auto`` never cause unless an operation before it is steep."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A layer's result beside the float model's: its row, the range of the float result, and two of its channels.

    ``lost`` is furthest from the float model's beside its own range, and to ``astray`` the layer adds most itself. They are None
    where small channels are as good as 0. ``step`` is the coarsest step of the format, as a share of the range; 0 there.
    ``samples`` of ``count`` are off by more than :data:`AUTO_WORST` in some value. Operands of a layer that jumps need ``bits``
    more for all decisions to be the float model's, so far as that is known.
    """

    row: LayerFidelity
    span: Span
    lost: Channel | None = None
    astray: Channel | None = None
    step: float = 0.0
    samples: int = 0
    count: int = 0
    bits: int | None = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of a run: comparisons by layers, in order, losses, the float outputs, and layers that alone make one wrong.

    These are layers with formats of the user in which results saturate, by outputs.
    """

    layers: Mapping[str, Comparison]
    losses: tuple[Loss, ...]
    outputs: tuple[Floats, ...]
    limited: Mapping[str, frozenset[str]]

    @property
    def rows(self) -> tuple[LayerFidelity, ...]:
        return tuple(layer.row for layer in self.layers.values())


class Circuit:
    """A program, compiled once for its outputs, the layers' results, and what its formats lose.

    Attributes:
        network: what the program came from.
    """

    def __init__(self, network: Network, program: Program) -> None:
        self.network, self.program = network, program
        self._lossy = LossyCasts.of(program, network)
        results = replace(self._lossy.program, outputs=(*program.outputs, *program.probes))
        operands = [output.node for output in self._lossy.program.outputs]
        self._emulator = Emulator(results, watched=self._lossy.told, shown=operands)
        self._samples = 0

    def outputs(self, inputs: Sequence[Floats]) -> list[Floats]:
        """The results for ``inputs``, no more samples at once than were observed: that many have their memory."""
        count, most = len(inputs[0]), len(self.program.outputs)
        size = count if self.program.keeping else self._samples or count
        parts = [self._emulator.run([x[k : k + size] for x in inputs], most) for k in range(0, count, size)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def observed(self, inputs: Sequence[Floats]) -> tuple[dict[str, Floats], tuple[Loss, ...], list[LossyCast]]:
        """The layers' results by name, the values that left their formats, and the formats of the user that limit some."""
        parts: list[list[Loss]] = []
        values, outside, left = self._emulator.run_watched(
            inputs, see=lambda _, operands: parts.append(self._lossy.losses(operands))
        )
        self._samples = len(inputs[0])
        shown = values[len(self.program.outputs) :]
        losses = list(joined(parts))
        limits = [each for each in self._lossy.saturating(left.casts) if not each.limits]
        for op, count, x in zip(self.program.input_ops(), outside, inputs, strict=True):
            node = self.network.node(op.name)
            fmt = node.settings.precision.get("result")
            if count and not (isinstance(node.layer, Input) and node.layer.saturates):
                losses.insert(
                    0, Loss(op.name, "result", op.overflow, fmt, count, x.size, float(x.min()), float(x.max()))
                )
                if fmt is not None and op.overflow is not Overflow.WRAP:
                    cast = Cast(op.frac, op.lo, op.hi, op.rounding, op.overflow)
                    limits.append(LossyCast(op.name, "result", fmt, cast, True, op.shape, 0))
        return {probe.name: x for probe, x in zip(self.program.probes, shown, strict=True)}, tuple(losses), limits

    def limited(self, inputs: Sequence[Floats], limits: Sequence[LossyCast]) -> Mapping[str, frozenset[str]]:
        """The outputs for ``inputs`` that ``limits`` of results alone make wrong, each with their layers."""
        limits = [each for each in limits if each.of_result]
        if not limits:
            return {}
        layers = frozenset(each.layer for each in limits)
        expected, found = Expected.of(self.network, inputs), float_outputs(self.network, inputs, limiting(limits))
        off = apart(expected, found, expected.outputs, SATURATED_ERROR)
        return {each.output: layers for each in off if each.wrong}


def measure(network: Network, circuit: Circuit, inputs: Sequence[Floats]) -> Measured:
    """Run ``circuit``, which ``network`` became, and the float model on ``inputs``."""
    compiled, program = circuit.network, circuit.program
    results, losses, limits = circuit.observed(inputs)
    known = {node.name: node for node in compiled.nodes if not node.folded}
    fracs = {probe.name: program.nodes[probe.node].type.frac for probe in program.probes}
    bounded = compiled.bounded()
    layers: dict[str, Comparison] = {}
    outputs: dict[str, Floats] = {}
    with np.errstate(all="ignore"), one_thread():
        for node, largest, wanted, own, bits in _evaluated(network, inputs, results, fracs):
            if node.name in network.outputs:
                outputs[node.name] = wanted
            emulated = results.get(node.name)
            # An output is shown, also where a frontend has moved its axes.
            if node.name not in known or known[node.name].inner or emulated is None or emulated.shape != wanted.shape:
                continue
            read_as = known[node.name].layer
            if isinstance(read_as, Input):
                wanted, own = read_as.as_read(wanted), read_as.as_read(own)
            order = known[node.name].order
            axis = -1 if order is None or wanted.ndim == 2 else order[-1]  # the last one where the result is stored
            # Trained values are as coarse as they are for steps of the rule.
            frac = fracs[node.name] - known[node.name].finer
            steps = None if node.name in bounded else _steps(frac, wanted.ndim - 1, axis)
            layer = _compared(known[node.name], wanted, own, emulated, axis, steps, _CANCELLED * largest)
            own_losses = [loss for loss in losses if loss.layer == node.name]
            wrapped = sum(loss.count for loss in own_losses if loss.overflow is Overflow.WRAP)
            row = replace(layer.row, wrapped=wrapped, saturated=sum(loss.count for loss in own_losses) - wrapped)
            apart = np.abs(emulated - wanted).reshape(len(wanted), -1).max(axis=1, initial=0.0)
            samples = int(np.count_nonzero(apart > AUTO_WORST * layer.span.size))
            layers[node.name] = replace(layer, row=row, samples=samples, count=len(wanted), bits=bits)
    limited = circuit.limited(inputs, limits)
    return Measured(layers, losses, tuple(outputs[name] for name in network.outputs), limited)


def _steps(frac: Fracs, rank: int, axis: int) -> Floats:
    """The coarsest step of each channel, or one for all, in a format of ``frac`` bits."""
    frac = frac.reshape((1,) * (rank - frac.ndim) + frac.shape)
    kept = axis % rank if rank else 0
    coarsest = frac.min(axis=tuple(k for k in range(rank) if k != kept)).reshape(-1)
    return np.asarray(np.ldexp(1.0, -coarsest), dtype=np.float64)


def _evaluated(
    network: Network, inputs: Sequence[Floats], results: Mapping[str, Floats], fracs: Mapping[str, Fracs]
) -> Iterator[tuple[NetworkNode, float, Floats, Floats, int | None]]:
    """Each node with its operands' greatest magnitude, its float result, that of the operands in the circuit, and bits it lacks.

    Results are as in the user's model.
    """
    seen: dict[str, Floats] = {}
    last = {name: position for position, node in enumerate(network.nodes) for name in node.inputs}
    held = {node.name: node.as_stored(results[node.name]) for node in network.nodes if node.name in results}
    halves: dict[str, Floats] = {}  # of the steps of inputs that round, also where elements of them are picked

    def decided(node: NetworkNode, operands: Sequence[Floats], result: Floats) -> Floats:
        return open_decisions(node.layer, operands, result, held.get(node.name))

    for position, (node, operands, wanted) in enumerate(network.evaluation(inputs, decided)):
        stored = held.get(node.name)
        bits: int | None = 0
        rounds = not node.layer.on_grid if isinstance(node.layer, Input) else node.inputs and node.layer.traits.moves
        if rounds and stored is not None and node.affine is None and halves.keys() >= {*node.inputs}:
            half = np.ldexp(0.5, -fracs[node.name])
            halves[node.name] = node.as_stored(np.broadcast_to(half, results[node.name].shape))
        if node.name in network.inputs:
            own = wanted
        else:
            exact, operands = operands, [seen[name] for name in node.inputs]
            own = decided(node, operands, node.layer.reference(operands))
            if node.layer.jumps and stored is not None and not np.array_equal(own, wanted):
                bits = more_bits(node.layer, exact, operands, wanted)
            own = own if node.inputs else np.broadcast_to(own, wanted.shape)
            if deciding(node.layer) and stored is not None and stored.shape == own.shape:
                # Rounding took operands across a jump of the float meaning, but not of the circuit, which decides as the model.
                own = np.where(np.abs(stored - wanted) < np.abs(stored - own), wanted, own)
                own = rounded_alike(node.layer, operands, [halves.get(name, 0.0) for name in node.inputs], own, stored)
        seen[node.name] = own if stored is None or stored.shape != own.shape else stored
        for name in {name for name in node.inputs if last[name] == position}:
            del seen[name]
        largest = max((float(np.abs(operand).max(initial=0.0)) for operand in operands), default=0.0)
        largest = largest if math.isfinite(largest) else 0.0
        yield node, largest, node.result_in_model(wanted), node.result_in_model(own), bits


def _compared(
    node: NetworkNode, wanted: Floats, own: Floats, emulated: Floats, axis: int, steps: Floats | None, noise: float
) -> Comparison:
    """``emulated`` beside ``wanted`` and ``own``; ``steps`` are those of the channels, None if these are of no interest.

    A result of no more than ``noise`` has no range of its own, but that of its operands.
    """
    ranges = spans(wanted, axis)
    if node.layer.traits.sign is not None:
        # What cancels in some channels is rounding of the framework's single precision.
        ranges = replace(ranges, noise=LAST_PLACE / 2.0 * noise / _CANCELLED)
    whole = ranges.whole
    if 0.0 < whole.largest <= noise:
        steps, whole = None, Span(0.0, noise / _CANCELLED)
    size = whole.size
    off, added = deviation(wanted, emulated, size, axis), deviation(own, emulated, size, axis)
    row = LayerFidelity(
        layer=node.name,
        error=off.error,
        worst=off.worst,
        snr_db=signal_to_noise(wanted, off.error, size),
        own=added.error,
        own_worst=added.worst,
        values=emulated.size,
        stuck=_stuck(wanted, emulated),
        zeroed=sum(_zeroed(node, variable, values) for variable, values in node.layer.weights().items()),
    )
    if steps is None:
        return Comparison(row, whole)
    channels = Channels(wanted, axis, ranges, steps, off, added)
    lost = channels.lost()
    if lost is not None and lost.error > _FAR * off.error:
        row = replace(row, channel=lost.index, channel_error=lost.error)
    return Comparison(row, whole, lost, channels.astray(), float(steps.max()) / size)


def _stuck(wanted: Floats, emulated: Floats) -> int:
    """Return the number of elements of the circuit's result that never change, though the float model's do."""
    if len(emulated) < 2:
        return 0
    if not (emulated[1] == emulated[0]).any():
        return 0
    still = (emulated == emulated[:1]).all(axis=0)
    return int(np.count_nonzero(still & (wanted != wanted[:1]).any(axis=0))) if still.any() else 0


def _zeroed(node: NetworkNode, variable: str, values: Floats) -> int:
    """Return the number of trained values that are not 0 but held as 0."""
    magnitudes = np.abs(values)
    fmt, bits = node.settings.precision.get(variable), node.settings.bits.of(variable)
    if fmt is not None:
        frac = fmt.frac
    elif (
        variable in exact_variables(node)
        or node.layer.weight_exponents(variable, bits) is not None
        or exact_frac(values, bits) is not None
    ):
        return 0
    else:
        frac = bits - 1 - math.frexp(float(magnitudes.max(initial=0.0)))[1]
    fracs = np.maximum(frac, node.fracs.get(variable, frac))
    return int(np.count_nonzero(magnitudes <= np.ldexp(0.5, -fracs))) - int(np.count_nonzero(magnitudes == 0))
