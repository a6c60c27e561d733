"""Kernel ridge regressions of scikit-learn, for small sets: kernels of all samples of the training."""

from typing import Any

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.trees.neighbors import check_number
from bitsmith.frontends.trees.network import Chain
from bitsmith.layers.activation import Activation
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Concatenate, Multiply
from bitsmith.layers.network import Network
from bitsmith.layers.power import Power

_KERNELS = ("linear", "poly", "polynomial", "rbf", "sigmoid")


# scikit-learn's classes have no types.
def refuse_posteriors(model: Any, name: str) -> Network:
    """Refuse a classifier that solves linear equations for each sample, whose exported operators do not say what to do."""
    remedy = "train an SVC, which takes the same kernels, within CalibratedClassifierCV"
    raise UnsupportedError("probabilities of a posterior distribution", where=name, remedy=remedy)


def read_kernels(model: Any, name: str) -> Network:
    """The network of a kernel ridge regression: sums of the kernels of all samples that it was fitted to.

    Raises:
        UnsupportedError: another kernel, or more than a small set of samples.
    """
    kernel, points = model.kernel, as_weights(np.asarray(model.X_fit_, np.float64))
    coefficients = as_weights(np.asarray(model.dual_coef_, np.float64).reshape(len(points), -1))
    if kernel not in _KERNELS:
        raise UnsupportedError(f"the kernel {str(kernel)[:40]!r}", where=name, accepted=", ".join(_KERNELS))
    chain = Chain.of(points.shape[1], name)
    if kernel == "linear":
        return chain.network(chain.then("sums", Dense(as_weights(points.T @ coefficients))))
    check_number(points, name)
    gamma = 1.0 / points.shape[1] if model.gamma is None else float(model.gamma)
    if kernel == "rbf":
        chain.then("squares", Multiply(), "features", "features")
        chain.then("both", Concatenate(-1), "squares", "features")
        scaled = np.concatenate([np.full_like(points.T, -gamma), 2 * gamma * points.T])
        chain.then("distances", Dense(as_weights(scaled), as_weights(-gamma * (points**2).sum(axis=1))))
        chain.then("kernels", Activation("exponential"))
    else:
        offsets = as_weights(np.full(len(points), float(model.coef0)))
        chain.then("products", Dense(as_weights(gamma * points.T), offsets))
        chain.then("kernels", Activation("tanh") if kernel == "sigmoid" else Power(float(model.degree)))
    return chain.network(chain.then("sums", Dense(coefficients)))
