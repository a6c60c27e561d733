"""Scikit-learn's ``PowerTransformer``, by logarithms and powers of e that are defined for every input."""

from typing import Any

import numpy as np

from bitsmith.frontends.trees.network import Chain
from bitsmith.layers.activation import Activation, ReLU
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Logarithm

_LEAST = 1e-6
"""The exponent in place of smaller ones: what it gives is as good as the logarithm."""


# scikit-learn's classes have no types.
def read_powers(model: Any, name: str) -> Network:
    """The network of a fitted transformer of the method ``yeo-johnson`` or ``box-cox``."""
    exponents, scaler = np.asarray(model.lambdas_, np.float64), getattr(model, "_scaler", None)
    scale = np.ones(exponents.size) if scaler is None else 1 / np.asarray(scaler.scale_)
    offset = np.zeros(exponents.size) if scaler is None else -np.asarray(scaler.mean_) * scale
    chain = Chain.of(exponents.size, name)
    if model.method == "box-cox":
        chain.then("logarithm", Logarithm())
        return chain.network(_grown(chain, exponents, scale, offset, ""))
    chain.then("positive", ReLU(), "features")
    chain.then("logarithm", Logarithm(offset=1))
    upper = _grown(chain, exponents, scale, offset, "")
    _affine(chain, "turned", -np.ones(exponents.size), np.zeros(exponents.size), "features")
    chain.then("negative", ReLU())
    chain.then("logarithm_below", Logarithm(offset=1))
    lower = _grown(chain, 2 - exponents, -scale, np.zeros(exponents.size), "_below")
    return chain.network(chain.then("transformed", Add(), upper, lower))


def _grown(chain: Chain, exponents: Floats, scale: Floats, offset: Floats, mark: str) -> str:
    """Add ``(exp(exponents * x) - 1) / exponents * scale + offset``."""
    exponents = np.where(np.abs(exponents) < _LEAST, _LEAST, exponents)
    _affine(chain, f"exponent{mark}", exponents, np.zeros(exponents.size))
    chain.then(f"grown{mark}", Activation("expm1"))
    return _affine(chain, f"scaled{mark}", scale / exponents, offset)


def _affine(chain: Chain, called: str, scale: Floats, offset: Floats, *before: str) -> str:
    return chain.then(called, BatchNormalization(as_weights(scale), as_weights(offset)), *before)
