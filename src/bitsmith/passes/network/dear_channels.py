"""Channels that a layer of products does without: those whose weights are worth less than their price.

In: a layer of products that alone reads the channels of another one, perhaps through functions of single channels, poolings and
reshapes. Out: the rows of its matrix that stay. The channel whose absence costs least beside the price of its weights goes first.
The others make up for it, by least squares, before the next one goes (B. Hassibi and D. Stork, Optimal Brain Surgeon, 1993, for
groups of rows). A circuit has nothing of a channel that nothing reads.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import FACTORS

_SHOWING = 8
"""Samples that show which operands of a reader follow from a channel."""


def weights_of_channels(network: Network, reader: NetworkNode, results: Mapping[str, Floats]) -> Floats | None:
    """The weights that go with each channel of the layer that makes a reader's operand, for each sum of the reader.

    They make the channel, or the reader multiplies it by them. None: others read channels, too, or channels are mixed before.
    """
    path = [reader]
    while path[0] is reader or "channel_price" not in path[0].layer.options:
        names = path[0].inputs
        if len(names) != 1 or names[0] in network.outputs or len(network.consumers(names[0])) != 1:
            return None
        path.insert(0, network.node(names[0]))
    maker, result = path[0].layer, results[path[0].name]
    kernels = [values for name, values in maker.weights().items() if name in FACTORS]
    channels, few = result.shape[-1], result[:_SHOWING]
    if any(node.layer.stateful for node in path) or len(kernels) != 1 or kernels[0].shape[-1] != channels:
        return None
    own = np.eye(channels, dtype=np.bool_)
    moved = few + own.reshape(channels, *(1,) * (few.ndim - 1), channels) * (1.0 + np.abs(few))
    plain, changed = (_products(path[1:], each) for each in (few, moved.reshape(-1, *few.shape[1:])))
    if plain is None or changed is None or plain[0].shape[1] % channels:
        return None
    (rows, matrix), times = plain, plain[0].shape[1] // channels
    apart = np.any(changed[0].reshape(channels, *rows.shape) != rows, axis=1)
    if np.any(apart & ~np.tile(own, times)):
        return None
    made, read = (np.count_nonzero(each, axis=0) for each in (kernels[0].reshape(-1, channels), matrix.T))
    return np.asarray(made * few.size / channels / len(rows) + read.reshape(times, channels).sum(axis=0))


def _products(path: Sequence[NetworkNode], result: Floats) -> tuple[Floats, Floats] | None:
    """The rows that the last layer of a path multiplies by its only matrix, and that; None if it has several."""
    for node in path[:-1]:
        result = node.layer.reference([result])
    products = path[-1].layer.trained_products("weight", [result])
    return (products.rows[0], products.matrices[0]) if products is not None and len(products.rows) == 1 else None


def rows_that_stay(moments: Floats, targets: Floats, effects: Floats, prices: Floats) -> npt.NDArray[np.int64]:
    """The rows that stay of least squares with ``moments`` (m or 1, n, n), ``targets`` (m, n) and ``effects`` (m,).

    ``prices`` (channels,) are those of the weights of each channel, which has one in so many rows.
    """
    rows, stay = np.arange(targets.shape[1]).reshape(-1, len(prices)), np.arange(len(prices))
    inverse = np.linalg.inv(moments)
    weights = (inverse @ targets[:, :, None])[..., 0]
    while len(stay) > 1:
        blocks = rows[:, stay].T
        own = weights[:, blocks]
        solved = np.linalg.solve(inverse[:, blocks[:, :, None], blocks[:, None]], own[..., None])[..., 0]
        worth = np.einsum("m,mcb,mcb->c", effects, own, solved) - prices[stay]
        gone = int(np.argmin(worth))
        if worth[gone] >= 0.0:
            break
        block, stay = blocks[gone], np.delete(stay, gone)
        shares = np.linalg.solve(inverse[:, block][:, :, block], inverse[:, block])
        weights = weights - (weights[:, None, block] @ shares)[:, 0]
        inverse = inverse - inverse[:, :, block] @ shares
    return np.sort(rows[:, stay].ravel())
