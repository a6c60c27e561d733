"""Drawn road scenes: a road that bends, in perspective, with markings and cars, and the pixels that are road.

Sky, ground and asphalt have colors of their own in each scene; light, shadows across the road and noise vary. Cars hide the road.
"""

from __future__ import annotations

import numpy as np
from examples.figures import Floats

SIZE = 32


def scenes(count: int, seed: int) -> tuple[Floats, Floats]:
    """Images with three colors from 0 to 1, and for each pixel 1 if it is road."""
    rng = np.random.default_rng(seed)
    drawn = [_scene(rng) for _ in range(count)]
    images, roads = (np.stack(part).astype(np.float32) for part in zip(*drawn, strict=True))
    return images, roads[..., None]


def _scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    horizon = rng.uniform(8, 14)
    near = ((rows - horizon) / (SIZE - horizon)).clip(1e-3, 1)  # 0 at the horizon, 1 at the lower edge
    center = _center(rng, near)
    half = near * rng.uniform(9, 15) + 0.3
    below = rows > horizon
    road = below & (np.abs(columns - center) < half)
    image = np.where(below[..., None], _color(rng, (0.25, 0.45, 0.2), 0.12), _color(rng, (0.6, 0.7, 0.9), 0.1))
    image = np.where(road[..., None], _color(rng, (0.4, 0.4, 0.42), 0.08), image)
    dashed = (np.abs(columns - center) < 0.7 * near + 0.2) & (np.sin(6 / near + rng.uniform(0, 6)) > 0)
    edge = np.abs(np.abs(columns - center) - 0.9 * half) < 0.6 * near
    image = np.where((road & (dashed | edge))[..., None], 0.85, image)
    if rng.random() < 0.4:  # the shadow of a tree or a bridge
        image = np.where((np.abs(rows - rng.uniform(horizon, SIZE)) < 2)[..., None], 0.6 * image, image)
    for _ in range(rng.integers(0, 3)):
        image, road = _with_car(rng, image, road, horizon)
    image = image * rng.uniform(0.7, 1.2) + rng.normal(0, 0.04, image.shape)
    return image.clip(0, 1), road


def _center(rng: np.random.Generator, near: np.ndarray) -> np.ndarray:
    """The column of the road's middle in each row: it leads to a vanishing point and bends on the way."""
    vanishing, foot, bend = rng.uniform(10, 22), rng.uniform(11, 21), rng.normal(0, 8)
    return vanishing + (foot - vanishing) * near + bend * near * (1 - near)


def _color(rng: np.random.Generator, color: tuple[float, float, float], spread: float) -> np.ndarray:
    return np.array(color) + rng.normal(0, spread, 3) * np.array([1, 0.5, 1])


def _with_car(
    rng: np.random.Generator, image: np.ndarray, road: np.ndarray, horizon: float
) -> tuple[np.ndarray, np.ndarray]:
    """A car on the road or beside it, with windows and a shadow below."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    foot = rng.uniform(horizon + 3, SIZE - 2)
    size = 1 + 6 * (foot - horizon) / (SIZE - horizon)
    middle = rng.uniform(4, SIZE - 4)
    body = (rows <= foot) & (rows > foot - 1.3 * size) & (np.abs(columns - middle) < size)
    window = body & (rows < foot - 0.75 * size) & (np.abs(columns - middle) < 0.7 * size)
    image = np.where(body[..., None], rng.uniform(0.1, 0.9, 3), image)
    return np.where(window[..., None], 0.15, image), road & ~body
