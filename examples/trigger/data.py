"""Made-up jets: the hardest constituents of jets of quarks and gluons, of W bosons and of top quarks.

A jet is one, two or three partons: a W (80 GeV) decays into two, a top (173 GeV) into a b quark and a W, back to back in the rest
frame of what decays, and boosted to the jet's momentum. Each parton splits several times into a harder and a softer part at small
angles, as parton showers do. Units are GeV; angles are pseudorapidity and azimuth. Arrays have the jets first.
"""

from __future__ import annotations

import numpy as np
from examples.figures import Floats

CLASSES = ("QCD", "W", "top")
CONSTITUENTS = 6
FEATURES = 3 * CONSTITUENTS
W_MASS, TOP_MASS, B_MASS = 80.4, 172.8, 4.8
_PARTONS = 3
_SPLITTINGS = 5
_RADIUS = 0.8


def jets(count: int, seed: int) -> tuple[Floats, np.ndarray]:
    """Features and classes of so many jets, a third of each class.

    For each constituent, hardest first: the logarithm of its share of the jet's transverse momentum, and its two angles from the
    jet's axis, turned so that the jet is widest along the first.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(CLASSES), count)
    partons = _partons(rng, kinds, rng.uniform(450, 650, count))
    return _features(*_showered(rng, partons)).astype(np.float32), kinds


def _partons(rng: np.random.Generator, kinds: np.ndarray, momentum: np.ndarray) -> np.ndarray:
    """Four-momenta (E, x, y, z) of up to three partons of jets that fly along x; zeros where there are fewer."""
    partons = np.zeros((len(kinds), _PARTONS, 4))
    for kind, mass in enumerate((0.0, W_MASS, TOP_MASS)):
        own = kinds == kind
        jet = np.zeros((own.sum(), 4))
        jet[:, 0], jet[:, 1] = np.hypot(momentum[own], mass), momentum[own]
        if kind == 2:
            bottom, jet = _decay(rng, jet, TOP_MASS, B_MASS, W_MASS)
            partons[own, 2] = bottom
        partons[own, 0], partons[own, 1] = (jet, 0 * jet) if kind == 0 else _decay(rng, jet, W_MASS, 0, 0)
    return partons


def _decay(
    rng: np.random.Generator, parent: np.ndarray, mass: float, first: float, second: float
) -> tuple[np.ndarray, np.ndarray]:
    """The two products of decays that are isotropic in the parent's rest frame."""
    energy = (mass**2 + first**2 - second**2) / (2 * mass)
    direction = rng.normal(size=(len(parent), 3))
    momentum = np.sqrt(energy**2 - first**2) * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    # Boosted to the laboratory, where the parent moves.
    along = np.sum(parent[:, 1:] * momentum, axis=1, keepdims=True)
    factor = along / (mass * (parent[:, :1] + mass)) + energy / mass
    one = np.concatenate([(parent[:, :1] * energy + along) / mass, momentum + factor * parent[:, 1:]], axis=1)
    return one, parent - one


def _showered(rng: np.random.Generator, partons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Transverse momenta and angles of all constituents."""
    size = np.hypot(partons[..., 1], partons[..., 2])
    angles = np.stack(
        [np.arcsinh(partons[..., 3] / np.maximum(size, 1e-9)), np.arctan2(partons[..., 2], partons[..., 1])], axis=-1
    )
    for depth in range(_SPLITTINGS):
        # The softer part takes a share that falls as 1/z, at an angle that shrinks from splitting to splitting.
        share = 0.5 * 0.04 ** rng.random(size.shape)
        angle = 0.35 * 0.6**depth * rng.random(size.shape) ** 2
        turn = rng.uniform(0, 2 * np.pi, size.shape)
        step = np.stack([angle * np.cos(turn), angle * np.sin(turn)], axis=-1)
        angles = np.concatenate([angles - share[..., None] * step, angles + (1 - share)[..., None] * step], axis=1)
        size = np.concatenate([(1 - share) * size, share * size], axis=1)
    # What a calorimeter makes of it.
    return size * rng.normal(1, 0.05, size.shape).clip(0.5), angles + rng.normal(0, 0.01, angles.shape)


def _features(size: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The hardest constituents within the jet's radius, in the jet's own frame."""
    size = np.where(np.linalg.norm(angles - _axis(size, angles), axis=-1) < _RADIUS, size, 0)
    angles = angles - _axis(size, angles)
    spread = np.einsum("np,npi,npj->nij", size, angles, angles)
    turn = 0.5 * np.arctan2(2 * spread[:, 0, 1], spread[:, 0, 0] - spread[:, 1, 1])[:, None]
    along = angles[..., 0] * np.cos(turn) + angles[..., 1] * np.sin(turn)
    across = angles[..., 1] * np.cos(turn) - angles[..., 0] * np.sin(turn)
    share = np.log2(np.maximum(size / size.sum(axis=1, keepdims=True), 2.0**-12)) / 4 + 1
    order = np.argsort(-size, axis=1)[:, :CONSTITUENTS]
    columns = [np.take_along_axis(column, order, axis=1) for column in (share, 4 * along, 4 * across)]
    return np.stack(columns, axis=-1).reshape(len(size), FEATURES)


def _axis(size: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The mean direction, weighted by transverse momentum."""
    return np.sum(size[..., None] * angles, axis=1, keepdims=True) / size.sum(axis=1)[:, None, None]
