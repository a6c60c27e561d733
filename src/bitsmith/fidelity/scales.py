"""The program beside the float model on inputs of several scales, where nothing is known of the inputs' scale.

Without calibration data formats follow from generated inputs of scale 1. These are others, on no grid: what a circuit makes of
them says for which inputs it is right.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from bitsmith.emulate import Emulator
from bitsmith.fidelity.measure import Circuit
from bitsmith.fidelity.samples import samples
from bitsmith.fidelity.shortfall import Expected, Tolerance, deviating
from bitsmith.fidelity.ties import decides
from bitsmith.ir.program import Program
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.quantization.quantizer import as_floats
from bitsmith.passes.network.finer_steps import Finer
from bitsmith.report.sections import percent

_SAMPLES, _MORE_SAMPLES, _LEAST_SAMPLES = 64, 512, 4
_ELEMENTS = 1 << 21
"""Samples of each scale, and those that show how seldom a layer jumps by mistake; fewer where all results of all of them would
have more elements than that."""

_SCALES: Mapping[str, tuple[float, float]] = {
    "0 to 1": (0.0, 1.0),
    "-1 to 1": (-1.0, 1.0),
    "-0.01 to 0.01": (-0.01, 0.01),
    "0 to 255": (0.0, 255.0),
}

USUAL = ("0 to 1", "-1 to 1")
"""Ranges that most data are brought to before a network takes them: a circuit that is wrong there is warned of."""

_FEW = Tolerance(share=0.02, few=2)
"""Tolerance for inputs that nobody has asked for."""

_TOLERANCES = Tolerance(), Tolerance(share=0.0025, few=2)
"""Goals of finer steps: no value that jumps by mistake, or, where that cannot be, few of them."""

_MOST_FINER, _FEWER = 8, (2, 4, 6)
"""Bits by which steps may be finer, and fewer ones that are tried when so many do."""


@dataclass(frozen=True, slots=True)
class AtScale:
    """Error of an output for uniform ``inputs`` of a range, as shares of its own range there: in the mean, at worst."""

    inputs: str
    output: str
    error: float
    worst: float
    wrong: bool

    def __str__(self) -> str:
        return f"{percent(self.error)} (at worst {percent(self.worst)}) from {self.inputs}"


def at_scales(network: Network, circuit: Circuit) -> tuple[AtScale, ...]:
    """Return the errors of ``circuit``, which ``network`` became, at each scale; empty if the inputs' is known."""
    errors = []
    for scale, inputs in _drawn(circuit.network, _SCALES):
        worst = deviating(Expected.of(network, inputs), circuit.outputs(inputs), tolerance=_FEW)
        errors.append(AtScale(scale, worst.output, worst.error, worst.worst, worst.wrong))
    return tuple(errors)


def finer_for_scales(network: Network, lowered: Callable[[Finer], Program]) -> Finer:
    """The fewest bits with which ``lowered``, the program with steps that are finer, is right for inputs of usual scales.

    Inputs that the circuit puts on a grid of its own have any of these, and that of the grid.

    None where it is so already, and where more of them do not help.
    """
    count = _MORE_SAMPLES if any(decides(node.layer) for node in network.nodes) else _SAMPLES
    drawn = [inputs for _, inputs in _drawn(network, USUAL, count, rounding=True)]
    expected = [Expected.of(network, inputs) for inputs in drawn]

    @cache
    def found(finer: Finer) -> list[list[Floats]]:
        emulator = Emulator(lowered(finer))
        return [emulator.run(inputs) for inputs in drawn]

    def right(finer: Finer, tolerance: Tolerance) -> bool:
        pairs = zip(expected, found(finer), strict=True)
        return not any(deviating(*pair, tolerance=tolerance).wrong for pair in pairs)

    for tolerance in _TOLERANCES if drawn else ():
        if right(Finer(), tolerance):
            return Finer()
        half = replace(tolerance, error=tolerance.error / 2.0)
        if right(Finer(_MOST_FINER, _MOST_FINER), half):
            return _fewest(partial(right, tolerance=half))
    return Finer()


def _fewest(right: Callable[[Finer], bool]) -> Finer:
    """The fewest bits that are ``right``, as the most of all are."""
    most = Finer(_MOST_FINER, _MOST_FINER)
    fewest = next((each for each in (replace(most, results=0), replace(most, inputs=0)) if right(each)), most)
    for bits in _FEWER:
        if fewest.inputs and right(fewer := replace(fewest, inputs=bits)):
            fewest = fewer
            break
    for bits in _FEWER:
        if fewest.results and right(fewer := replace(fewest, results=bits)):
            fewest = fewer
            break
    return fewest


def _drawn(
    network: Network, scales: Iterable[str], most: int = _SAMPLES, *, rounding: bool = False
) -> Iterator[tuple[str, list[Floats]]]:
    """Inputs of each scale, in single precision as frameworks take them, where nothing is known of them; others as generated.

    Those whose scale the model states have only usual ones, in that scale. With ``rounding`` those on a grid of the circuit's own
    are drawn as well, and once more over the grid's range.
    """
    layers = {name: network.input(name) for name in network.unknown_inputs()}
    unknown = {name: layer for name, layer in layers.items() if not layer.integer}
    if all(layer.spread is not None for layer in unknown.values()):
        scales = [scale for scale in scales if scale in USUAL]
    shapes = network.shapes()
    count = min(max(_ELEMENTS // max(sum(map(math.prod, shapes.values())), 1), _LEAST_SAMPLES), most)
    known = (
        {} if unknown.keys() == {*network.inputs} else dict(zip(network.inputs, samples(network, None), strict=True))
    )
    grids = {name: grid for name in network.inputs if rounding and (grid := network.input(name).own_grid) is not None}
    rng = np.random.default_rng(1)

    def drawn(name: str, scale: str) -> Floats:
        size, (lo, hi) = (count, *shapes[name]), _SCALES.get(scale, _SCALES[USUAL[0]])
        if name in grids and scale not in _SCALES:
            least, most = grids[name].bounds
            batch: Floats = rng.uniform(as_floats(least), as_floats(most), size)
        elif name in grids:
            batch = rng.uniform(lo, hi, size)
        elif name in unknown:
            batch = unknown[name].scaled(rng.uniform(lo, hi, size))
        else:
            return np.asarray(np.resize(known[name], size))
        return np.asarray(batch.astype(np.float32), dtype=np.float64)

    for scale in (*(scales if unknown or grids else ()), *(["all of the grid"] if grids else ())):
        yield scale, [drawn(name, scale) for name in network.inputs]
