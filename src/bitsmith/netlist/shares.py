"""Shares of the inputs and outputs of an adder graph in its adders.

In: a graph, and the full adders of each of its adders. Out: a matrix (n_in, n_out) that sums to these: the share of each weight.

Adders that one sum alone reads are of this sum, whose terms have equal shares in them. The adders of a sum that several read are
of these in proportion to how often they read it, and go down to its terms in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.ir.types import Ints
from bitsmith.netlist.adder_graph import AdderGraph
from bitsmith.netlist.adders import InputRange

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MadeProduct:
    """A product with a constant matrix as it was made, at so many ``positions``.

    ``weights`` are what the graph multiplies ``inputs`` by, and ``by_block`` what blocks do; both 0 elsewhere. Of the positions a
    share ``live`` has an operand of each channel that is not always zero. One of a ``step`` belongs to a recurrence.
    """

    layer: str
    weights: Ints
    by_block: Ints
    graph: AdderGraph
    inputs: tuple[InputRange, ...]
    positions: int
    live: tuple[float, ...]
    step: bool


def shares(graph: AdderGraph, prices: Sequence[float]) -> Floats:
    """The share of each weight (n_in, n_out) in the ``prices`` of the adders."""
    first, n_out = graph.n_inputs, len(graph.outputs)
    charges = np.zeros((first, n_out))
    read = [np.zeros(0)] * (first + len(graph.adders))  # how often each output reads a sum
    readers = [0] * len(read)
    for adder in graph.adders:
        readers[adder.a] += 1
        readers[adder.b] += 1
    for column, output in enumerate(graph.outputs):
        if output.node is not None:
            readers[output.node] += 2  # a result is a sum of its own
            if not read[output.node].size:
                read[output.node] = np.zeros(n_out)
            read[output.node][column] += 1
    charged: dict[int, Floats] = {}
    for sum_ in range(len(read) - 1, first - 1, -1):
        if readers[sum_] == 1 or not read[sum_].size:
            continue
        terms, price = _terms(graph, prices, readers, sum_)
        every = charged.pop(sum_, 0.0) + price * read[sum_] / read[sum_].sum()
        for term in terms:
            read[term] = read[term] + read[sum_] if read[term].size else read[sum_].copy()
            if term < first:
                charges[term] += every / len(terms)
            else:
                charged[term] = charged.get(term, 0.0) + every / len(terms)
    return charges


def _terms(graph: AdderGraph, prices: Sequence[float], readers: Sequence[int], root: int) -> tuple[list[int], float]:
    """The terms of the sum ``root``, which are inputs and sums with other readers, and the price of the adders between."""
    terms = list[int]()
    inside, price = [root], 0.0
    while inside:
        number = inside.pop() - graph.n_inputs
        price += prices[number]
        for operand in (graph.adders[number].a, graph.adders[number].b):
            own = operand >= graph.n_inputs and readers[operand] == 1
            (inside if own else terms).append(operand)
    return terms, price
