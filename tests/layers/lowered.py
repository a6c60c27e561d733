"""Runs single layers through lowering and the oracle, next to their float reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Layer, Shape
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.passes.network.calibration import calibrate
from bitsmith.passes.network.lower import lower
from tests.ir.oracle import evaluate

INPUT = FixedFormat(True, 12, 8, Rounding.RND, Overflow.SAT)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """Fixed-point and float results of the same, exactly representable inputs."""

    fixed: Floats
    real: Floats
    program: Program

    @property
    def step(self) -> float:
        """The coarsest step of the result."""
        return float(2.0 ** -self.program.nodes[self.program.outputs[0].node].type.frac.min())


def network_of(
    layer: Layer,
    shapes: Sequence[Shape],
    settings: Settings | None = None,
    formats: Mapping[int, FixedFormat] | None = None,
) -> Network:
    """A network of inputs of ``shapes`` and one layer called ``layer``."""
    inputs = [
        NetworkNode(f"x{k}", Input(shape), settings=Settings({"result": (formats or {}).get(k, INPUT)}))
        for k, shape in enumerate(shapes)
    ]
    names = tuple(node.name for node in inputs)
    node = NetworkNode("layer", layer, names, settings=settings or Settings())
    return Network((*inputs, node), names, ("layer",))


def run(network: Network, seed: int = 0, samples: int = 6) -> Outcome:
    """Lower ``network`` and evaluate it on random inputs that include the extremes of each input's range."""
    rng = np.random.default_rng(seed)
    program = lower(network, calibrate(network, None))
    raws = []
    for op in program.input_ops():
        lo, hi = int(op.lo.min()), int(op.hi.max())
        raw = rng.integers(lo, hi + 1, (samples, *op.shape))
        raw[0], raw[1] = lo, hi
        raws.append(raw)
    reals = [
        np.ldexp(raw.astype(np.float64), -int(op.frac.max())) for raw, op in zip(raws, program.input_ops(), strict=True)
    ]
    result = program.nodes[program.outputs[0].node].type
    scale = np.exp2(-np.broadcast_to(result.frac, result.shape).astype(np.float64))
    fixed = [
        evaluate(program, [raw[k].astype(np.object_) for raw in raws])[0].astype(np.float64) * scale
        for k in range(samples)
    ]
    real = network.evaluate(reals)[network.outputs[0]]
    assert real.shape[1:] == result.shape == network.shapes()[network.outputs[0]]
    return Outcome(np.stack(fixed), real, program)
