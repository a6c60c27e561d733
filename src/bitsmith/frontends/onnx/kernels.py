"""Support vector machines, operators of the domain ``ai.onnx.ml``: kernels of all support vectors, and sums of these."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.classical import label_of, label_of_greatest, labels, numbers, posted
from bitsmith.frontends.ops.arithmetic import multiply, power
from bitsmith.frontends.ops.logic import compare
from bitsmith.frontends.ops.selection import concatenate
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation
from bitsmith.layers.dense import Dense
from bitsmith.layers.elementwise import Sign
from bitsmith.layers.layer import Floats, as_weights

_KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")

_MOST_VECTORS = 1 << 14


def _kernels(call: Call) -> Value | None:
    """The kernels of all support vectors; None of a linear machine, which has its coefficients alone."""
    kind, x = call.attributes.text("kernel_type", "LINEAR"), call.tensor(0)
    gamma, offset, degree = numbers(call, "kernel_params", (0.0, 0.0, 0.0))[:3]
    if kind not in _KERNELS:
        raise UnsupportedError(f"the kernel {kind[:40]!r}", accepted=", ".join(_KERNELS))
    listed, features = numbers(call, "support_vectors", ()), x.shape[x.axis(-1)]
    if not listed.size:
        return None
    if listed.size % features or listed.size // features > _MOST_VECTORS:
        raise ModelFileError(f"{listed.size} numbers of support vectors", where=call.attributes.where)
    vectors = listed.reshape(-1, features)
    build = call.build.within("kernel")
    if kind == "RBF":
        # A square of a distance is a weighted sum of features and their squares.
        weights = np.concatenate([np.full_like(vectors.T, -gamma), 2 * gamma * vectors.T])
        both = concatenate(build, [multiply(build, x, x), x], -1)
        bias = as_weights(-gamma * (vectors**2).sum(axis=1))
        return build.emit(
            Activation("exponential"), build.emit(Dense(as_weights(weights), bias), both, suffix="distance")
        )
    scale = 1.0 if kind == "LINEAR" else gamma
    shift = None if kind == "LINEAR" else as_weights(np.full(len(vectors), offset))
    products = build.emit(Dense(as_weights(vectors.T * scale), shift), x, suffix="product")
    if kind == "POLY":
        return power(build, products, constant(degree))
    return products if kind == "LINEAR" else build.emit(Activation("tanh"), products)


def _weighted(call: Call, coefficients: Floats, bias: Floats) -> Value:
    """Sums of kernels, or of features, by ``coefficients`` (results, each)."""
    kernels = _kernels(call)
    x = call.tensor(0) if kernels is None else kernels
    if coefficients.shape[1] != x.shape[x.axis(-1)]:
        raise ModelFileError(
            f"{coefficients.shape[1]} coefficients for {x.shape[x.axis(-1)]} numbers", where=call.attributes.where
        )
    return call.build.emit(Dense(as_weights(coefficients.T), as_weights(bias)), x, suffix="scores")


def _regressor(call: Call) -> Value:
    call.attributes.ignore("n_supports")
    scores = _weighted(call, numbers(call, "coefficients").reshape(1, -1), numbers(call, "rho")[:1])
    return call.build.emit(Sign(), scores) if call.attributes.flag("one_class", False) else posted(call, scores)


def _classifier(call: Call) -> tuple[Value | None, ...]:
    """The label with most votes of pairs of classes, and a score for each pair; of two classes one for each.

    Of two classes the second has the score that is positive for the first: so says onnxruntime.
    """
    listed, vectors = labels(call, "classlabels_ints"), call.attributes.integers("vectors_per_class")
    if numbers(call, "prob_a", ()).size or numbers(call, "prob_b", ()).size:
        raise UnsupportedError(
            "probabilities of pairs of classes", accepted="scores", remedy="fit it without probability"
        )
    classes = listed.array().size
    coefficients, bias = numbers(call, "coefficients"), numbers(call, "rho")
    if not vectors:
        scores = _weighted(call, coefficients.reshape(classes, -1), np.resize(bias, classes))
        return label_of_greatest(call, listed, scores), posted(call, scores)
    pairs = list(combinations(range(classes), 2))
    if (
        len(vectors) != classes
        or coefficients.size != (classes - 1) * sum(vectors)
        or bias.size != len(pairs)
        or not pairs
    ):
        raise ModelFileError(
            f"{coefficients.size} coefficients for {list(vectors)[:20]} vectors", where=call.attributes.where
        )
    owner, rows = np.repeat(np.arange(classes), vectors), coefficients.reshape(classes - 1, -1)
    matrix = np.stack([np.where(owner == i, rows[j - 1], np.where(owner == j, rows[i], 0.0)) for i, j in pairs])
    scores = _weighted(call, matrix, bias)
    build, label = call.build.within("votes"), None
    if classes == 2:
        if call.wanted[0]:
            label = label_of(call, listed, compare(build, Relation.LE, scores, constant(0.0), "second"))
        return label, posted(call, call.build.emit(Dense(as_weights([[-1.0, 1.0]])), scores, suffix="both"))
    wins = compare(build, Relation.GT, scores, constant(0.0))
    signs = np.array([[(k == i) - (k == j) for k in range(classes)] for i, j in pairs], np.float64)
    votes = build.emit(Dense(as_weights(signs), as_weights(np.arange(classes))), wins)
    return label_of_greatest(call, listed, votes), posted(call, scores)


MACHINES: dict[str, Translation] = {
    "SVMRegressor": Translation(_regressor, "Dense and Activation"),
    "SVMClassifier": Translation(_classifier, "Dense, Activation, ArgMax and Embedding"),
}
"""Operators of support vector machines, by name."""
