"""Values of inputs that rounding takes across thresholds, of trees for example, which may lead to other results.

No format of few bits keeps all numbers on their sides: a threshold halfway between two numbers is often the next sample but for
its last place. So is one number between thresholds of several quantizers (:mod:`bitsmith.ir.ladders`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.batches import Batch
from bitsmith.ir.ladders import other_codes
from bitsmith.ir.ops import Input
from bitsmith.layers.comparing import Comparing
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.thresholds import rounds
from bitsmith.passes.network.quantized_inputs import compared_inputs


class Thresholds:
    """The thresholds that inputs are compared with, and what these are in the circuit.

    Attributes:
        inputs: the numbers of these inputs.
    """

    def __init__(self, network: Network, entries: Sequence[Input]) -> None:
        self._compared = []
        read_by = compared_inputs(network)
        self._ladders = {index: op for index, op in enumerate(entries) if len(op.ladders) > 1}
        compared = {index for index, name in enumerate(network.inputs) if name in read_by.values()}
        self.inputs = sorted(compared.union(self._ladders))
        for name, read in read_by.items():
            index, layer = network.inputs.index(read), network.node(name).layer
            assert isinstance(layer, Comparing)
            op = entries[index]
            fracs = np.broadcast_to(op.frac, op.shape).tolist()
            self._compared.append((op.name, index, op.frac, layer.comparisons(fracs, rounds=rounds(op))))

    def crossed(self, batches: Sequence[Batch], shown: Sequence[Floats]) -> dict[str, npt.NDArray[np.intp]]:
        """The numbers of the samples that have a value on another side of a threshold once rounded, by inputs with any.

        A run has ``shown`` what it makes of :attr:`inputs`.
        """
        rounded = dict(zip(self.inputs, shown, strict=False))
        samples: dict[str, npt.NDArray[np.intp]] = {}
        for name, index, frac, features in self._compared:
            values, raw = batches[index], np.ldexp(rounded[index], frac)
            across = np.zeros(len(values), np.bool_)
            for k, (edges, bounds) in enumerate(features):
                if edges.size:
                    across |= np.searchsorted(edges, values[:, k]) != np.searchsorted(bounds, raw[:, k])
            if across.any():
                rows = np.flatnonzero(across)
                samples[name] = np.union1d(samples.get(name, rows), rows)
        for index, op in self._ladders.items():
            other = other_codes(op.ladders, batches[index].astype(np.float64), rounded[index])
            rows = np.flatnonzero(other.reshape(len(other), -1).any(axis=1))
            if rows.size:
                samples[op.name] = np.union1d(samples.get(op.name, rows), rows)
        return samples
