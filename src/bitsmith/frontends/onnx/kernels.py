"""Support vector machines, operators of the domain ``ai.onnx.ml``: kernels of all support vectors, and sums of these."""

from itertools import combinations

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.known import Known
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.onnx.classical import label_of, label_of_greatest, labels, numbers, posted
from bitsmith.frontends.onnx.graph import MAX_NODES
from bitsmith.frontends.onnx.loops import DISTANCES
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
        return build.emit(Activation("exponential"), _squared_distances(build, x, vectors, -gamma))
    scale = 1.0 if kind == "LINEAR" else gamma
    shift = None if kind == "LINEAR" else as_weights(np.full(len(vectors), offset))
    products = build.emit(Dense(as_weights(vectors.T * scale), shift), x, suffix="product")
    if kind == "POLY":
        return power(build, products, constant(degree))
    return products if kind == "LINEAR" else build.emit(Activation("tanh"), products)


def _squared_distances(build: Builder, x: Value, points: Floats, scale: float) -> Value:
    """Squares of the distances from ``points`` (points, features): weighted sums of features and their squares."""
    weights = np.concatenate([np.full_like(points.T, scale), -2 * scale * points.T])
    both = concatenate(build, [multiply(build, x, x), x], -1)
    layer = Dense(as_weights(weights), as_weights(scale * (points**2).sum(axis=1)))
    return build.emit(layer, both, suffix="distance")


def scanned_distances(call: Call) -> tuple[Value, Value]:
    """Squared distances of the samples from each of constant points, as scikit-learn's models are exported; the samples."""
    body, points = call.node.bodies.get("body"), call.operand(1)
    kinds = {node.operator for node in body.nodes} if body is not None else set()
    axes = [one().array().tolist() for one in body.constants.values()] if body is not None else []
    if kinds != DISTANCES or axes != [[1]] or not isinstance(points, Known):
        raise UnsupportedError(
            "a scan over samples, or over too many rows",
            accepted=f"rows within a sample, whose steps become at most {MAX_NODES} nodes; squared distances from points",
            remedy="of a recurrent network use LSTM, GRU or RNN; of scikit-learn give the live estimator",
        )
    call.attributes.ignore("body", "num_scan_inputs")
    squares = _squared_distances(call.build, call.tensor(0), call.weights(1, "the points"), 1.0)
    return call.tensor(0), call.build.permuted(squares, (1, 0), "by_point")


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
    slopes, offsets = numbers(call, "prob_a", ()), numbers(call, "prob_b", ())
    classes = listed.array().size
    if (slopes.size or offsets.size) and not (classes == 2 and slopes.size == offsets.size == 1):
        raise UnsupportedError(
            "probabilities of pairs of classes",
            accepted="scores, or two classes",
            remedy="fit it without probability, or within CalibratedClassifierCV",
        )
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
        if slopes.size:
            call.say(
                f"{call.name} gives probabilities by the fitted odds; libsvm's iteration ends up to 1 % beside these."
            )
            odds = Dense(as_weights([[-slopes[0], slopes[0]]]), as_weights([-offsets[0], offsets[0]]))
            probabilities = call.build.emit(Activation("sigmoid"), call.build.emit(odds, scores, suffix="odds"))
            return label, posted(call, probabilities)
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
