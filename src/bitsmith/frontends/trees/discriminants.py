"""Classifiers of scikit-learn that no exporter reads: by squared distances, and one against the others by odds."""

from typing import Any

import numpy as np

from bitsmith.frontends.trees.network import Chain, Classes
from bitsmith.layers.activation import Activation, HardActivation
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.softmax import Softmax

_NOTHING = 20.0
"""Half of the logarithm of a share that is as good as none."""


# scikit-learn's classes have no types.
def read_ellipses(model: Any, name: str) -> Network:
    """The network of a quadratic discriminant analysis: each class has axes, along which distances from its mean count."""
    axes = [turned / np.sqrt(scale) for turned, scale in zip(model.rotations_, model.scalings_, strict=True)]
    means = [-mean @ own for mean, own in zip(model.means_, axes, strict=True)]
    sizes = np.array([np.log(scale).sum() for scale in model.scalings_])
    chain = Chain.of(int(model.n_features_in_), name)
    away = chain.then("distances", Dense(as_weights(np.concatenate(axes, axis=1)), as_weights(np.concatenate(means))))
    chain.then("squares", Multiply(), away, away)
    shares = np.repeat(np.eye(len(axes)), [own.shape[1] for own in axes], axis=0)
    scores = chain.then("scores", Dense(as_weights(-shares / 2), as_weights(np.log(model.priors_) - sizes / 2)))
    return chain.classified(scores, chain.then("probabilities", Softmax()), Classes.of(model))


def read_odds(model: Any, name: str) -> Network:
    """The network of logistic regressions of each class against the others, whose probabilities are divided by their sum.

    These may be nearly 0: their logarithms say which is the greatest. Those that underflow count for nothing, unless all do.
    """
    chain = Chain.of(int(model.n_features_in_), name)
    scores = chain.then("scores", Dense(as_weights(model.coef_.T), as_weights(model.intercept_)))
    least = -float(np.log(np.finfo(model.coef_.dtype).max))
    chain.then("odds", HardActivation(1.0, 0.0, least, None))
    logarithms, ones = chain.then("logarithms", Activation("log_sigmoid")), np.ones(len(model.classes_))
    chain.then("above", BatchNormalization(as_weights(ones), as_weights(-least * ones)), scores)
    chain.then("sign", Sign())
    lost = chain.then("lost", BatchNormalization(as_weights(_NOTHING * ones), as_weights(-_NOTHING * ones)))
    chain.then("left", Add(), logarithms, lost)
    return chain.classified(scores, chain.then("probabilities", Softmax()), Classes.of(model))


def has_odds(model: Any) -> bool:
    """Return True of a classifier of several classes whose scores are logarithms of odds."""
    return bool(model.loss == "log_loss" and len(model.classes_) > 2)
