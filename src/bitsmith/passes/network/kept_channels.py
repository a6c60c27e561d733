"""Chooses the channels that stay where layers are to do without some: those that others make up for least.

Before: layers with a share of ``kept_channels``, each with one layer of products that alone reads its channels, perhaps through
functions of single channels, poolings and reshapes. After: for each such reader the rows of its matrix that stay. Its other
weights make up for what is missing, by least squares (B. Hassibi and D. Stork, Optimal Brain Surgeon, 1993, for groups of rows).
A circuit has nothing of a channel that nothing reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode

_SHOWING = 8
"""Samples that show which operands of a reader follow from a channel."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The ``channels`` of a layer, of which ``count`` stay."""

    channels: int
    count: int


def kept_channels(network: Network, inputs: Sequence[Floats]) -> Mapping[str, Kept]:
    """The channels that come to layers of products, by these layers' names, where fewer are to stay than there are."""
    kept = dict[str, Kept]()
    for node in (node for node in network.nodes if node.settings.kept_channels < 1.0):
        path = path_to_reader(network, node)
        if not path:
            continue
        few = [batch[:_SHOWING] for batch in inputs]
        result = next(result for other, _, result in network.evaluation(few) if other is node)
        channels = result.shape[-1]
        count = max(round(node.settings.kept_channels * channels), 1)
        if count < channels and all(_are_apart(path, result, channel) for channel in range(channels)):
            kept[path[-1].name] = Kept(channels, count)
    return kept


def path_to_reader(network: Network, node: NetworkNode) -> list[NetworkNode]:
    """The layers from the result of one of products to the next one, which comes last; none where others read it, too."""
    path, name = list[NetworkNode](), node.name
    while "kept_channels" in node.layer.options and name not in network.outputs:
        readers = network.consumers(name)
        if len(readers) != 1 or len(readers[0].inputs) != 1 or readers[0].layer.stateful:
            return []
        path.append(readers[0])
        if "kept_channels" in readers[0].layer.options:
            return path
        name = readers[0].name
    return []


def _are_apart(path: Sequence[NetworkNode], result: Floats, channel: int) -> bool:
    """Return True if of the operands of a reader, which has one matrix, those follow from a channel whose turn it is."""
    moved = result.copy()
    moved[..., channel] += 1.0 + np.abs(result[..., channel])
    rows = [_rows(path, each) for each in (result, moved)]
    if rows[0] is None or rows[1] is None or rows[0].shape[-1] % result.shape[-1]:
        return False
    changed = np.flatnonzero(np.any(rows[0] != rows[1], axis=0))
    return bool(np.all(changed % result.shape[-1] == channel))


def _rows(path: Sequence[NetworkNode], result: Floats) -> Floats | None:
    """The rows that the last layer of a path multiplies by its only matrix; None if it has several."""
    for node in path[:-1]:
        result = node.layer.reference([result])
    products = path[-1].layer.trained_products("weight", [result])
    return products.rows[0] if products is not None and len(products.rows) == 1 else None


def rows_that_stay(moments: Floats, targets: Floats, effects: Floats, kept: Kept | None) -> npt.NDArray[np.int64]:
    """The rows of the channels that stay of least squares with ``moments`` (m or 1, n, n), ``targets`` and ``effects`` (m,).

    The channel whose absence costs least goes first; the others make up for it before the next one goes.
    """
    rows = np.arange(targets.shape[1])
    if kept is None:
        return rows
    inverse, stay = np.linalg.inv(moments), np.ones(kept.channels, dtype=np.bool_)
    weights = (inverse @ targets[:, :, None])[..., 0]
    for _ in range(kept.channels - kept.count):
        costs = np.where(stay, [*_costs(inverse, weights, effects, stay)], np.inf)
        gone = int(np.argmin(costs))
        stay[gone] = False
        block = rows[gone :: kept.channels]
        shares = np.linalg.solve(inverse[:, block][:, :, block], inverse[:, block])
        weights = weights - (weights[:, None, block] @ shares)[:, 0]
        inverse = inverse - inverse[:, :, block] @ shares
    return rows[stay[rows % kept.channels]]


def _costs(
    inverse: npt.NDArray[np.floating], weights: npt.NDArray[np.floating], effects: Floats, stay: npt.NDArray[np.bool_]
) -> Iterator[float]:
    """The squared error that the absence of each channel makes; 0 for those that do not stay."""
    for channel, here in enumerate(stay):
        block = np.arange(channel, weights.shape[1], len(stay))
        own = weights[:, block]
        solved = np.linalg.solve(inverse[:, block][:, :, block], own[:, :, None])[..., 0] if here else own
        yield float(effects @ (own * solved).sum(axis=1))
