"""The program beside the float model, on the same data, layer by layer.

In: the network as it was read, what the compiler made of it, and inputs. Out: a row for each layer, and where formats lost
values. A layer's error is compared with the range of its float result; its *own* error is that against the layer's float
meaning for the operands that it has in the circuit, and so leaves out what it inherits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from bitsmith.emulate import Emulator
from bitsmith.fidelity.losses import Loss, Watch
from bitsmith.ir.program import Program
from bitsmith.ir.types import Overflow
from bitsmith.layers.auto import exact_frac
from bitsmith.layers.axis_order import inverse
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.report.sections import LayerFidelity

_MOST = 1e9
"""No share of a range is reported as more than this."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far ``found`` is from ``wanted``; shares of the range of ``wanted``."""

    error: float
    worst: float
    snr_db: float | None
    """None: there is no noise at all."""


@dataclass(frozen=True, slots=True)
class Span:
    """The least and the greatest value of a layer's float result."""

    lo: float
    hi: float

    @property
    def size(self) -> float:
        """The range; of a constant its magnitude."""
        return min(self.hi - self.lo or abs(self.hi) or 1.0, sys.float_info.max)

    @property
    def largest(self) -> float:
        """The range, or the greatest magnitude where that is more: what the steps of formats go by."""
        return max(self.size, -self.lo, self.hi)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run showed: rows, losses, the ranges of layers' float results, and the float outputs."""

    rows: tuple[LayerFidelity, ...]
    losses: tuple[Loss, ...]
    spans: Mapping[str, Span]
    outputs: tuple[Floats, ...]


def measure(network: Network, compiled: Network, program: Program, inputs: Sequence[Floats]) -> Measured:
    """Run ``program``, which ``network`` became by way of ``compiled``, and the float model on ``inputs``."""
    results, losses = _executed(compiled, program, inputs)
    known = {node.name: node for node in compiled.nodes if not node.folded}
    rows: list[LayerFidelity] = []
    spans: dict[str, Span] = {}
    outputs: dict[str, Floats] = {}
    # As in calibration: BLAS on several threads is slow where other programs run too.
    with np.errstate(all="ignore"), threadpool_limits(limits=1, user_api="blas"):
        for node, wanted, own in _evaluated(network, inputs, results):
            if node.name in network.outputs:
                outputs[node.name] = wanted
            found = results.get(node.name)
            if node.inner or node.name not in known or found is None or found.shape != wanted.shape:
                continue
            spans[node.name] = span(wanted)
            row = _row(known[node.name], wanted, own, found, spans[node.name])
            rows.append(_with_losses(row, [loss for loss in losses if loss.layer == node.name]))
    return Measured(tuple(rows), losses, spans, tuple(outputs[name] for name in network.outputs))


def _executed(
    network: Network, program: Program, inputs: Sequence[Floats]
) -> tuple[dict[str, Floats], tuple[Loss, ...]]:
    """The layers' results in the circuit, and what its formats lost."""
    watch = Watch.of(program, network)
    probes = program.probes
    emulator = Emulator(replace(watch.program, outputs=(*probes, *watch.program.outputs)))
    values, outside = emulator.run_counted(inputs)
    losses = list(watch.losses(values[len(probes) :]))
    for op, count, x in zip(program.input_ops(), outside, inputs, strict=True):
        fmt = network.node(op.name).settings.precision.get("result")
        if count:
            losses.insert(0, Loss(op.name, "result", op.overflow, fmt, count, x.size, float(x.min()), float(x.max())))
    return {probe.name: x for probe, x in zip(probes, values, strict=False)}, tuple(losses)


def _evaluated(
    network: Network, inputs: Sequence[Floats], results: Mapping[str, Floats]
) -> Iterator[tuple[NetworkNode, Floats, Floats]]:
    """Each node with its float result, and that of the operands that it has in the circuit, both as in the user's model."""
    seen: dict[str, Floats] = {}
    last = {name: position for position, node in enumerate(network.nodes) for name in node.inputs}
    for position, (node, _, wanted) in enumerate(network.evaluation(inputs)):
        found = results.get(node.name)
        if node.name in network.inputs:
            own = wanted
        else:
            own = node.layer.reference([seen[name] for name in node.inputs])
            own = own if node.inputs else np.broadcast_to(own, wanted.shape)
        stored = None if found is None else _as_stored(node, found)
        seen[node.name] = own if stored is None or stored.shape != own.shape else stored
        for name in {name for name in node.inputs if last[name] == position}:
            del seen[name]
        yield node, node.result_in_model(wanted), node.result_in_model(own)


def _as_stored(node: NetworkNode, found: Floats) -> Floats:
    """A result of the user's model in the order that the node has it in."""
    return found if node.order is None else replace(node, order=inverse(node.order)).result_in_model(found)


def span(values: Floats) -> Span:
    """The range of the finite ``values``."""
    finite = values[np.isfinite(values)]
    return Span(float(finite.min()), float(finite.max())) if finite.size else Span(0.0, 0.0)


def deviation(wanted: Floats, found: Floats, size: float) -> Deviation:
    """How far ``found`` is from ``wanted``, where both are finite, beside a range of ``size``."""
    with np.errstate(all="ignore"):
        difference = (found - wanted) / size
        usable = np.isfinite(difference)
        if not usable.all():
            difference, wanted = difference[usable], wanted[usable]
        if not np.any(difference):
            return Deviation(0.0, 0.0, None)
        noise = float(np.mean(np.square(np.clip(difference, -_MOST, _MOST))))
        signal = float(np.mean(np.square((wanted - wanted.mean()) / size)))
    if noise == 0.0:
        return Deviation(0.0, 0.0, None)
    ratio = 10 * (math.log10(signal) - math.log10(noise)) if 0.0 < signal < math.inf else 0.0
    return Deviation(math.sqrt(noise), min(float(np.abs(difference).max()), _MOST), ratio)


def _row(node: NetworkNode, wanted: Floats, own: Floats, found: Floats, of: Span) -> LayerFidelity:
    all_of, inherited = deviation(wanted, found, of.size), deviation(own, found, of.size)
    return LayerFidelity(
        layer=node.name,
        error=all_of.error,
        worst=all_of.worst,
        snr_db=all_of.snr_db,
        own=inherited.error,
        own_worst=inherited.worst,
        values=found.size,
        stuck=_stuck(wanted, found),
        zeroed=sum(_zeroed(node, variable, values) for variable, values in node.layer.weights().items()),
    )


def _with_losses(row: LayerFidelity, losses: Sequence[Loss]) -> LayerFidelity:
    wrapped = sum(loss.count for loss in losses if loss.overflow is Overflow.WRAP)
    return replace(row, wrapped=wrapped, saturated=sum(loss.count for loss in losses) - wrapped)


def _stuck(wanted: Floats, found: Floats) -> int:
    """How many elements of the circuit's result never change, though the float model's do."""
    if len(found) < 2:
        return 0
    still = (found == found[:1]).all(axis=0)
    return int(np.count_nonzero(still & (wanted != wanted[:1]).any(axis=0)))


def _zeroed(node: NetworkNode, variable: str, values: Floats) -> int:
    """How many trained values that are not 0 are held as 0."""
    magnitudes = np.abs(values)
    fmt, bits = node.settings.precision.get(variable), node.settings.bits.of(variable)
    if fmt is not None:
        frac = fmt.frac
    elif node.layer.weight_exponents(variable, bits) is not None or exact_frac(values, bits) is not None:
        return 0
    else:
        frac = bits - 1 - math.frexp(float(magnitudes.max(initial=0.0)))[1]
    fracs = np.maximum(frac, node.fracs.get(variable, frac))
    return int(np.count_nonzero(magnitudes <= np.ldexp(0.5, -fracs))) - int(np.count_nonzero(magnitudes == 0))
