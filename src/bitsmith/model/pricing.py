"""Prices of the weights of a model, found in the adder graphs and the multipliers that its circuit has.

In: a converted model. Out: the prices of each trained tensor that is multiplied with, or why it has none, and
the cells of whole layers.

Products that lie side by side are adder graphs, and each weight has its share in the adders of the graph that the circuit has
(:mod:`bitsmith.netlist.shares`). Folded products have multipliers, each of which serves several weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.base.progress import tell
from bitsmith.dataflow.kinds import FoldedProduct, Map
from bitsmith.dataflow.processes import Process
from bitsmith.devices.family import Family
from bitsmith.estimate.figures import NO_CELLS
from bitsmith.estimate.size import guess_layout
from bitsmith.estimate.sums import sums_share
from bitsmith.ir.model_layout import ModelLayout
from bitsmith.ir.types import Ints, objects
from bitsmith.layers.conv import Conv
from bitsmith.layers.layer import Floats, Layer
from bitsmith.layers.network import NetworkNode
from bitsmith.layers.settings import Weights
from bitsmith.mapping.multipliers import Pairs, multipliers
from bitsmith.mapping.partition import partition
from bitsmith.model.cost import RESOURCES, Cost, LayerCost, Prices
from bitsmith.model.model import Model
from bitsmith.netlist.adder_graph import solve
from bitsmith.netlist.csd import count_digits
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.shares import MadeProduct, shares
from bitsmith.options.signature import answering
from bitsmith.passes.program import drop_dead

_Numbers: TypeAlias = npt.NDArray[np.int64]

_DIGITS_OF_A_BIT = 1 / 3
"""Signed digits that a further bit of a weight brings: so many of canonical ones are not zero."""


@answering
def cost(model: Model, *, exact: bool = False) -> Cost:
    """Find what each weight and bit takes of a model's circuit, as arrays in the shapes of the kernels.

    Args:
        model: a converted model.
        exact: solve each adder graph again without each weight, for what its removal alone saves in full adders. By default a
            weight has its share in the adders of the graph as it is; these shares sum to the graph's adders.

    Examples:
        ```python
        prices = bitsmith.cost(model)
        print(prices["fc1"].weights.lut.sum(axis=0))  # of each output of a Keras layer
        ```
    """
    target = model.target
    part, program = target.known_part, drop_dead(model.program, keep_probes=False)
    directives = replace(model.directives, block=part.family.area.block)
    graphs, folded = list[MadeProduct](), list[Process]()
    if directives.unrolled(program):
        elaborate(program, directives.block_layers, products=graphs)
    else:
        for process in partition(program, directives).processes:
            if isinstance(process.kind, Map):
                elaborate(process.kind.program, products=graphs)
            elif isinstance(process.kind, FoldedProduct):
                folded.append(process)
    rough = guess_layout(program, directives, part.family, target.budget_ns(part.family))
    pricing = _Pricing(part.family, rough.ff / max(rough.lut, 1), exact)
    layers, without = dict[str, LayerCost](), dict[str, str]()
    for node in model.network.nodes:
        if node.inner or "weight" not in node.layer.weights():
            continue
        tell(f"cost: {node.name}")
        for variable, step in (node.layer.priced or {"weight": False}).items():
            products = [each for each in graphs if each.layer == node.name and each.step == step]
            processes = [each for each in folded if node.name in each.layers and not step]
            cost = pricing.layer(node, variable, products, processes)
            name = node.name if variable == "weight" else f"{node.name}.{variable}"
            if isinstance(cost, str):
                without[name] = cost
            else:
                layers[name] = cost
    names = [*rough.shares, *(node.name for node in model.network.nodes if not node.inner)]
    return Cost(layers, without, {name: rough.shares.get(name, NO_CELLS) for name in names})


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Full adders, look-up tables and blocks (3, n, m) of the weights of a matrix: theirs, of a bit more of them, of operands."""

    weights: Floats
    weight_bits: Floats
    input_bits: Floats
    there: npt.NDArray[np.bool_]
    multiplier: _Numbers | None = None


@dataclass(frozen=True, slots=True)
class _Pricing:
    """Prices for a family, of whose look-up tables a share ``registers`` has flip-flops."""

    family: Family
    registers: float
    exact: bool

    def layer(
        self, node: NetworkNode, variable: str, graphs: Sequence[MadeProduct], folded: Sequence[Process]
    ) -> LayerCost | str:
        """The prices of a trained tensor of a layer, or why it has none."""
        layer = node.layer
        if variable not in layer.priced:
            return f"a layer of kind {layer.kind}; dense layers, convolutions and recurrent layers have prices"
        if node.settings.weights is not Weights.ONCHIP:
            return "weights that are loaded are in memories, whatever their values"
        kernel = layer.weights()[variable]
        layout = node.layouts.get(variable) or ModelLayout.plain(kernel.shape)
        if not layout.is_one_to_one:
            return "its kernel is no tensor of the model, but made of several"
        numbers = layer.products(objects(np.arange(1, kernel.size + 1).reshape(kernel.shape)))
        matrices = [np.asarray(matrix).astype(np.int64) for matrix in numbers]
        if graphs and [each.weights.shape for each in graphs] == [matrix.shape for matrix in matrices]:
            costs = [self._of_graph(each) for each in graphs]
        elif layer.priced[variable]:
            if not graphs:
                return "its steps take turns in a circuit of one step, or in an engine"
            costs = [self._of_steps(graphs, *matrices)]
        elif len(folded) == 1 and len(matrices) == 1:
            one = self._of_multipliers(folded[0], matrices[0])
            if one is None:
                return "its products are folded in groups of channels"
            costs = [one]
        else:
            return "its products are in an engine, or other passes have joined or replaced them"
        name = node.name if variable == "weight" else f"{node.name}.{variable}"
        return self._placed(name, layer, layout, matrices, costs)

    def _of_steps(self, graphs: Sequence[MadeProduct], matrix: _Numbers) -> _Found:
        """Return the prices of the weights of a matrix, of whose columns each step of a recurrence has the products in order."""
        prices, there, first = np.zeros((3, 3, *matrix.shape)), np.zeros(matrix.shape, dtype=np.bool_), 0
        for found in map(self._of_graph, graphs):
            columns = slice(first, first + found.there.shape[1])
            prices[..., columns] += np.stack([found.weights, found.weight_bits, found.input_bits])
            there[:, columns] |= found.there
            first = columns.stop % matrix.shape[1]
        return _Found(prices[0], prices[1], prices[2], there)

    def _of_graph(self, graph: MadeProduct) -> _Found:
        """Return the prices of weights of an adder graph, and of those that blocks multiply."""
        times = graph.positions * np.asarray(graph.live)[:, None]
        costs = graph.graph.paid(graph.inputs)
        adders = shares(graph.graph, costs) * times
        wider = shares(graph.graph, [float(each > 0) for each in costs]) * times
        if self.exact:
            adders = _without_each(graph) * times
        digits = count_digits(graph.weights)
        added = digits > 0
        digit = np.where(added, adders / np.maximum(digits, 1), 0.0)
        digit[~added] = digit[added].mean() if added.any() else 0.0
        blocks = _alike(graph.by_block) * times
        lut = self.family.area.adder_luts.per_bit * sums_share(self.family)
        nothing = np.zeros_like(adders)
        return _Found(
            np.stack([adders, adders * lut, blocks]),
            np.stack([digit, digit * lut, nothing]) * _DIGITS_OF_A_BIT,
            np.stack([wider, wider * lut, nothing]),
            added | (blocks > 0),
        )

    def _of_multipliers(self, process: Process, numbers: _Numbers) -> _Found | None:
        """Return the prices of the weights of a folded product; None if its tiles are not those of the matrix."""
        kind = process.kind
        assert isinstance(kind, FoldedProduct)
        groups, steps, n, m = kind.weights.shape
        rows, columns = numbers.shape
        if kind.sets > 1 or steps * n < rows or groups * m < columns:
            return None
        area, x = self.family.area, process.takes[0].token
        multiplier = multipliers(kind, x, process.results[0].token, area.block)
        tiles = kind.weights.transpose(1, 2, 0, 3).reshape(steps * n, groups * m)[:rows, :columns]
        there = np.asarray(tiles != 0, dtype=np.bool_)
        each_has = 2 if multiplier.pairs is Pairs.COLUMNS else 1  # columns of a block
        across = -(-m // each_has)
        place = np.arange(rows)[:, None] % n * across + np.arange(columns) % m // each_has
        users = np.maximum(np.bincount(place[there], minlength=n * across), 1)[place]
        uses, lanes = np.where(there, 1.0, 0.0) / users, x.shape[0]

        def prices(number: int, weight: int) -> npt.NDArray[np.float64]:
            blocks, luts = area.multiplier(number, weight, multiplier.wanted)
            share = 1 / (n * across)
            return np.array(
                [0.0, lanes * luts * each_has + multiplier.luts * share, multiplier.blocks * share if blocks else 0.0]
            )

        now = prices(multiplier.number, multiplier.weight)
        more = [np.maximum(prices(multiplier.number + k, multiplier.weight + 1 - k) - now, 0.0) for k in (0, 1)]
        weights, weight_bits, input_bits = (price[:, None, None] * uses for price in (now, *more))
        return _Found(weights, weight_bits, input_bits, there, place)

    def _placed(
        self, name: str, layer: Layer, layout: ModelLayout, matrices: Sequence[_Numbers], costs: Sequence[_Found]
    ) -> LayerCost:
        """Return prices in the shape of the kernel in the user's model."""
        index = layout.taken(np.arange(math.prod(layout.shape), dtype=np.float64).reshape(layout.shape)).astype(
            np.int64
        )

        def in_model(values: Sequence[npt.NDArray[np.generic]]) -> Floats:
            placed = np.zeros(index.size)
            for matrix, each in zip(matrices, values, strict=True):
                used = matrix > 0
                placed[index.ravel()[matrix[used] - 1]] = np.broadcast_to(each, matrix.shape)[used]
            return placed.reshape(layout.shape)

        def prices(values: Sequence[Floats]) -> Prices:
            adders, lut, dsp = (in_model([each[k] for each in values]) for k in range(3))
            return Prices(adders, lut, lut * self.registers, dsp)

        firsts = np.cumsum([0, *(matrix.shape[1] for matrix in matrices)])
        columns = [first + np.arange(len(matrix.T)) for first, matrix in zip(firsts[:-1], matrices, strict=True)]
        multiplier = costs[0].multiplier
        return LayerCost(
            name=name,
            weights=prices([each.weights for each in costs]),
            weight_bits=prices([each.weight_bits for each in costs]),
            input_bits=_by_channel(prices([each.input_bits for each in costs]), in_model(_channels(layer, index))),
            multiplier=None if multiplier is None else in_model([multiplier]).astype(np.int64),
            row=in_model([np.arange(len(matrix))[:, None] for matrix in matrices]).astype(np.int64),
            column=in_model(columns).astype(np.int64),
            there=in_model([each.there for each in costs]) > 0,
        )


def _channels(layer: Layer, index: _Numbers) -> list[_Numbers]:
    """The input channel of each weight, in the matrices of the products; ``index`` has the places in the user's model."""
    if isinstance(layer, Conv):
        n_in, n_out = index.shape[-2:]
        number = np.arange(n_in)[:, None] + np.arange(n_out) // (n_out // layer.groups) * n_in + 0 * index
    else:
        number = np.argsort(np.argsort(index[:, 0]))[:, None] + 0 * index
    return [np.asarray(matrix).astype(np.int64) for matrix in layer.products(objects(number))]


def _by_channel(prices: Prices, channels: Floats) -> Prices:
    """Sums of prices for each input channel."""
    number = channels.astype(np.int64).ravel()
    return Prices(*(np.bincount(number, getattr(prices, each).ravel()).astype(np.float64) for each in RESOURCES))


def _alike(by_block: Ints) -> Floats:
    """The blocks that each weight takes: those of an operand that are equal up to sign and a power of two share one."""
    shares = np.zeros(by_block.shape)
    for row, weights in enumerate(by_block):
        odd = np.array([abs(int(each)) // (int(each) & -int(each)) if each else 0 for each in weights])
        kinds, kind, counts = np.unique(odd, return_inverse=True, return_counts=True)
        shares[row] = np.where(kinds > 0, 1 / counts, 0.0)[kind]
    return shares


def _without_each(graph: MadeProduct) -> Floats:
    """The full adders that an adder graph without a weight has less, for each weight."""
    whole = solve(graph.weights, graph.inputs).cost(graph.inputs)
    saved = np.zeros(graph.weights.shape)
    for place in np.argwhere(graph.weights != 0).tolist():
        left = graph.weights.copy()
        left[tuple(place)] = 0
        saved[tuple(place)] = whole - solve(left, graph.inputs).cost(graph.inputs)
    return saved
