"""Estimators of scikit-learn that no exporter reads as circuits want them, from the attributes that fitting gave them.

Kernel ridge regressions and nearest neighbors, of small sets, compare with all samples of the training; quadratic discriminants
take squared distances, and logistic regressions of each class against the others odds. ``PowerTransformer`` becomes logarithms
and powers of e that are defined for every input.
"""

from typing import Any

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.trees.network import Chain, Classes
from bitsmith.layers.activation import Activation, HardActivation, ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add, Concatenate, Multiply
from bitsmith.layers.nearest import Nearest
from bitsmith.layers.network import Network
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.power import Logarithm, Power
from bitsmith.layers.softmax import Softmax

_KERNELS = ("linear", "poly", "polynomial", "rbf", "sigmoid")
_MOST_SAMPLES = 4096
_METRICS = ("euclidean", "sqeuclidean")
_NOTHING = 20.0
"""Half of the logarithm of a share that is as good as none."""
_LEAST = 1e-6
"""The exponent in place of smaller ones: what it gives is as good as the logarithm."""

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
    _check_number(points, name)
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
    _check_number(points, name)
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


def _check_number(points: Floats, name: str) -> None:
    """Raise UnsupportedError where an input would be compared with too many samples (samples, features)."""
    if len(points) > _MOST_SAMPLES:
        raise UnsupportedError(
            f"{len(points)} samples to compare with",
            where=name,
            accepted=f"at most {_MOST_SAMPLES}",
            remedy="fit it to a part of them, or train trees",
        )


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
    _affine(chain, "above", ones, -least * ones, scores)
    chain.then("sign", Sign())
    lost = _affine(chain, "lost", _NOTHING * ones, -_NOTHING * ones)
    chain.then("left", Add(), logarithms, lost)
    return chain.classified(scores, chain.then("probabilities", Softmax()), Classes.of(model))


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
