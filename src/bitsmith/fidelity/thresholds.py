"""Values of inputs that rounding takes across thresholds, of trees for example, which may lead to other results.

No format of few bits keeps all numbers on their sides: a threshold halfway between two numbers is often the next sample but for
its last place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.ir.ops import Input
from bitsmith.layers.comparing import Comparing
from bitsmith.layers.network import Network
from bitsmith.layers.thresholds import rounds
from bitsmith.passes.network.quantized_inputs import compared_inputs


class Thresholds:
    """The thresholds that inputs are compared with, and what these are in the circuit."""

    def __init__(self, network: Network, entries: Sequence[Input]) -> None:
        self._compared = []
        for name, read in compared_inputs(network).items():
            index, layer = network.inputs.index(read), network.node(name).layer
            assert isinstance(layer, Comparing)
            op = entries[index]
            fracs = np.broadcast_to(op.frac, op.shape).tolist()
            self._compared.append((index, layer.comparisons(fracs, rounds=rounds(op))))

    def crossed(self, emulator: Emulator, batches: Sequence[Batch]) -> dict[str, npt.NDArray[np.intp]]:
        """The numbers of the samples that have a value on another side of a threshold once rounded, by inputs with any."""
        quantized = cache(lambda index: emulator.quantize(index, batches[index])[0])
        samples: dict[str, npt.NDArray[np.intp]] = {}
        for index, features in self._compared:
            values, raw = batches[index], quantized(index)
            across = np.zeros(len(values), np.bool_)
            for k, (edges, bounds) in enumerate(features):
                if edges.size:
                    across |= np.searchsorted(edges, values[:, k]) != np.searchsorted(bounds, raw[:, k])
            if across.any():
                name, rows = emulator.inputs[index].name, np.flatnonzero(across)
                samples[name] = np.union1d(samples.get(name, rows), rows)
        return samples
