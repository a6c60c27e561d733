"""Made-up metal surfaces with scratches, dents and stains, and the vibration of bearings, sound and worn.

A surface is brushed: noise that is long in one direction, under uneven light. A worn bearing rings at its resonance whenever a
ball passes the damage, at the rate that its geometry gives.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from examples.figures import Floats

SIZE = 32
DEFECTS = ("none", "scratch", "dent", "stain")
BANDS = 24
WEAR = ("sound", "outer race", "inner race", "unbalanced")

_RATE, _WINDOW = 12_000, 1024
_BALLS, _RATIO = 9, 0.31
"""Of the bearing: balls, and their diameter by that of the circle that they run on."""


def surfaces(count: int, seed: int) -> tuple[Floats, np.ndarray]:
    """Images from 0 to 1, and the indices of their defects."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(DEFECTS), count)
    return np.stack([_surface(rng, int(kind)) for kind in kinds])[..., None].astype(np.float32), kinds


def _surface(rng: np.random.Generator, kind: int) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    grain = np.repeat(rng.normal(0, 0.05, (SIZE, SIZE // 8)), 8, axis=1) + rng.normal(0, 0.03, (SIZE, SIZE))
    light = 0.5 + 0.1 * rng.normal() + 0.004 * (rng.normal() * (rows - 16) + rng.normal() * (columns - 16))
    image = light + grain
    row, column = rng.uniform(8, SIZE - 8, 2)
    contrast = rng.uniform(0.2, 0.45)
    if kind == 1:
        turn, half = rng.uniform(0, np.pi), rng.uniform(5, 14)
        along = (rows - row) * np.sin(turn) + (columns - column) * np.cos(turn)
        across = (rows - row) * np.cos(turn) - (columns - column) * np.sin(turn)
        image += contrast * np.exp(-((across / 0.8) ** 2)) * (np.abs(along) < half)
    elif kind > 1:
        distance = np.hypot(rows - row, columns - column)
        radius = rng.uniform(2.5, 5)
        if kind == 2:  # lit from one side: bright on one edge, dark on the other
            image += contrast * np.exp(-(((distance - radius) / 1.5) ** 2)) * np.sign(columns - column)
        else:
            image -= contrast / (1 + np.exp(2 * (distance - radius)))
    return image.clip(0, 1)


def vibrations(count: int, seed: int, kinds: tuple[int, ...] = (0,)) -> tuple[Floats, np.ndarray]:
    """Levels of a second's part of vibration in bands, and the indices of the bearings' wear.

    The first half are bands of the vibration, the second half of its envelope, where the rates of the damages show.
    """
    rng = np.random.default_rng(seed)
    wear = rng.choice(kinds, count)
    signals = np.stack([_vibration(rng, int(kind)) for kind in wear])
    envelope = np.abs(signals) - np.abs(signals).mean(axis=1, keepdims=True)
    levels = np.concatenate([_levels(signals, 1.0), _levels(envelope, 0.2)], axis=1)
    return levels.astype(np.float32), wear


def _vibration(rng: np.random.Generator, kind: int) -> np.ndarray:
    time = np.arange(_WINDOW) / _RATE
    turns = rng.uniform(24, 31)
    signal = 0.3 * rng.normal(size=_WINDOW)
    unbalance = rng.uniform(0.8, 1.2) if kind == 3 else rng.uniform(0.1, 0.3)
    for order, share in ((1, 1.0), (2, 0.3), (3, 0.1)):
        signal += unbalance * share * np.sin(2 * np.pi * (order * turns * time + rng.random()))
    if kind in (1, 2):
        rate = 0.5 * _BALLS * turns * (1 - _RATIO if kind == 1 else 1 + _RATIO)
        resonance = rng.uniform(2800, 3400)
        for hit in np.arange(-0.02, time[-1], 1 / rate):
            after = time - hit * (1 + 0.01 * rng.normal())
            loud = 1 if kind == 1 else 0.6 + 0.4 * np.sin(2 * np.pi * turns * hit)
            ring = np.exp(-700 * after.clip(0)) * np.sin(2 * np.pi * resonance * after)
            signal += rng.uniform(0.8, 1.4) * loud * np.where(after > 0, ring, 0)
    return signal


def _levels(signals: np.ndarray, share: float) -> np.ndarray:
    """The logarithms of the power in bands up to a share of the highest frequency."""
    power = np.abs(np.fft.rfft(signals * np.hanning(_WINDOW), axis=1)) ** 2 / _WINDOW
    edges = np.unique(np.linspace(1, share * power.shape[1], BANDS // 2 + 1).astype(int))
    bands = [power[:, begin:end].mean(axis=1) for begin, end in pairwise(edges)]
    return (np.log2(1e-6 + np.stack(bands, axis=1)) + 5) / 4
