"""Values of inputs that rounding takes across thresholds, of trees for example, which may lead to other results.

No format of few bits keeps all numbers on their sides: a threshold halfway between two numbers is often the next sample but for
its last place.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bitsmith.emulate.batches import Batch
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
        self.inputs = [index for index, name in enumerate(network.inputs) if name in read_by.values()]
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
        return samples
