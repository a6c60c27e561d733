"""Estimators of scikit-learn that no exporter reads: by distances from means or samples, and one against the others by odds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.trees.network import Chain, Classes
from bitsmith.layers.activation import Activation, HardActivation
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.nearest import Nearest
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.softmax import Softmax

_NOTHING = 20.0
"""Half of the logarithm of a share that is as good as none."""

_MOST_SAMPLES = 4096

_METRICS = ("euclidean", "sqeuclidean")


# scikit-learn's classes have no types.
def _of_ellipses(model: Any, name: str) -> Network:
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


def _of_odds(model: Any, name: str) -> Network:
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


def discriminant(model: Any) -> Callable[[Any, str], Network] | None:
    """The reader of a classifier, by the name of its class or of one that this extends; None if it is another."""
    bases = [base.__name__ for base in type(model).__mro__]
    if "SGDClassifier" in bases and model.loss == "log_loss" and len(model.classes_) > 2:
        return _of_odds
    return _of_ellipses if "QuadraticDiscriminantAnalysis" in bases else None


# scikit-learn's classes have no types.
def read_neighbors(model: Any, name: str) -> Network:
    """The network of a fitted classifier, with its class and the probabilities, or of a regressor.

    Of two neighbors that are as far away the first is taken.

    Raises:
        UnsupportedError: distances or weights of another kind, or more than a small set.
    """
    points = as_weights(np.asarray(model._fit_X, np.float64))
    if model.effective_metric_ not in _METRICS or model.weights != "uniform":
        raise UnsupportedError(
            f"neighbors by the distance {str(model.effective_metric_)[:40]!r} with weights {str(model.weights)[:40]!r}",
            where=name,
            accepted="'euclidean' with 'uniform'",
        )
    if len(points) > _MOST_SAMPLES:
        raise UnsupportedError(
            f"neighbors among {len(points)} samples",
            where=name,
            accepted=f"at most {_MOST_SAMPLES}",
            remedy="fit it to a part of them, or train trees",
        )
    chain = Chain.of(points.shape[1], name)
    # Which of two points is nearer is told by squares of distances without that of the sample.
    center = points.mean(axis=0)
    away = points - center
    chain.then("distances", Dense(as_weights(-2 * away.T), as_weights((away**2).sum(axis=1) + 2 * away @ center)))
    targets, count = np.asarray(model._y).reshape(len(points), -1), int(model.n_neighbors)
    every = Classes.of(model)
    if not every:
        return chain.network(chain.then("means", Nearest(count, as_weights(targets / count))))
    marks = [np.eye(len(classes.labels))[column] for classes, column in zip(every, targets.T, strict=True)]
    votes = chain.then("votes", Nearest(count, as_weights(np.concatenate(marks, axis=1))))
    sizes = sum(len(classes.labels) for classes in every)
    shares = chain.then("probabilities", Dense(as_weights(np.eye(sizes) / count)))
    return chain.classified(votes, shares, every)
