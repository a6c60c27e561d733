"""A made-up order book: ticks, and whether the price moves down, stays or moves up soon after.

Orders arrive, are canceled and are executed at five levels on both sides. A hidden pressure, which comes and goes, makes one side
trade more than the other; a price moves when the orders at its best level are used up.
"""

from __future__ import annotations

import numpy as np
from examples.figures import Floats

LEVELS = 5
FLOW = 5
FEATURES = 2 * LEVELS + FLOW + 1
CLASSES = ("down", "stay", "up")
HORIZON = 10
"""Ticks within which the price must move."""


def ticks(count: int, seed: int) -> tuple[Floats, np.ndarray]:
    """Features and classes of so many ticks in a row.

    Features: the logarithm of the size at each bid and ask level, the signed sizes of the last trades, and the last tick's
    change of the imbalance at the best level.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 30, (2, LEVELS))
    flow = np.zeros(FLOW)
    features = np.zeros((count + HORIZON, FEATURES), np.float32)
    price = np.zeros(count + HORIZON, np.int64)
    pressure, last, imbalance = 0.0, 0, 0.0
    for tick in range(count + HORIZON):
        pressure = 0.98 * pressure + 0.2 * rng.normal()
        last += _event(rng, sizes, flow, pressure)
        price[tick] = last
        before, imbalance = imbalance, (sizes[0, 0] - sizes[1, 0]) / (sizes[0, 0] + sizes[1, 0])
        features[tick] = (*(np.log2(1 + sizes.ravel()) - 4), *(flow / 8), imbalance - before)
    moved = np.sign(_first_move(price))[:count]
    return features[:count], (moved + 1).astype(np.int64)


def _event(rng: np.random.Generator, sizes: np.ndarray, flow: np.ndarray, pressure: float) -> int:
    """One order, canceled order or trade; the move of the price, which a level that is used up makes."""
    kind, size = rng.random(), 1 + rng.poisson(3)
    buys = rng.random() < 1 / (1 + np.exp(-1.5 * pressure))
    if kind < 0.45:  # a limit order, on the side that is stronger
        sizes[0 if buys else 1, min(rng.geometric(0.4) - 1, LEVELS - 1)] += size
        return 0
    if kind < 0.65:  # a canceled one, on the weaker side
        side, level = (1 if buys else 0), rng.integers(0, LEVELS)
    else:  # a trade, which takes from the other side's best level
        side, level = (1 if buys else 0), 0
        flow[1:], flow[0] = flow[:-1].copy(), size if buys else -size
    sizes[side, level] = max(sizes[side, level] - size, 0 if level == 0 else 1)
    if sizes[side, 0] > 0:
        return 0
    sizes[side, :-1], sizes[side, -1] = sizes[side, 1:].copy(), rng.integers(8, 30)
    sizes[1 - side, 1:], sizes[1 - side, 0] = sizes[1 - side, :-1].copy(), rng.integers(4, 16)
    return 1 if side == 1 else -1


def _first_move(price: np.ndarray) -> np.ndarray:
    """For each tick the first move of the price within the horizon, or 0."""
    move = np.zeros(len(price), np.int64)
    for ahead in range(HORIZON, 0, -1):
        later = np.zeros_like(move)
        later[:-ahead] = price[ahead:] - price[:-ahead]
        move = np.where(later != 0, later, move)
    return move
