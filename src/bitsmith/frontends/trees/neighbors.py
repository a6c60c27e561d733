"""Nearest neighbors of scikit-learn, for small sets: comparisons with all samples of the training."""

from typing import Any

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.trees.network import Chain, Classes
from bitsmith.layers.dense import Dense
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.nearest import Nearest
from bitsmith.layers.network import Network

_MOST_SAMPLES = 4096

_METRICS = ("euclidean", "sqeuclidean")


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
    check_number(points, name)
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


def check_number(points: Floats, name: str) -> None:
    """Raise UnsupportedError where an input would be compared with too many samples (samples, features)."""
    if len(points) > _MOST_SAMPLES:
        raise UnsupportedError(
            f"{len(points)} samples to compare with",
            where=name,
            accepted=f"at most {_MOST_SAMPLES}",
            remedy="fit it to a part of them, or train trees",
        )
