"""Operators of the domain ``ai.onnx.ml`` that scikit-learn's networks and linear models are exported with."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError, one_of
from bitsmith.frontends.builder.known import Known
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.onnx.call import Call, Translation
from bitsmith.frontends.ops.arithmetic import clip
from bitsmith.frontends.ops.contraction import dense
from bitsmith.frontends.ops.logic import compare
from bitsmith.frontends.ops.normalization import unit
from bitsmith.frontends.ops.numbers import check_numbers
from bitsmith.frontends.ops.reduction import extreme_index
from bitsmith.frontends.ops.selection import take
from bitsmith.ir.ops import Relation
from bitsmith.layers.activation import Activation
from bitsmith.layers.embedding import Embedding
from bitsmith.layers.layer import Floats, Layer, as_weights
from bitsmith.layers.shape import Identity
from bitsmith.layers.softmax import Softmax

_POST: dict[str, Layer | None] = {"NONE": None, "SOFTMAX": Softmax(), "LOGISTIC": Activation("sigmoid")}
"""Functions of scores."""

_MOST_KEYS = 1 << 14
"""Integers from the least key of an encoder to the greatest."""


_MOST_SHOWN = 8
"""Most values that a note lists."""


def numbers(call: Call, key: str, default: tuple[float, ...] | None = None) -> Floats:
    found = call.attributes.numbers(key)
    if found is None and default is None:
        raise call.attributes.wrong(key, "finite numbers")
    return as_weights(np.asarray(default if found is None else found, dtype=np.float64))


def _scaler(call: Call) -> Value:
    """``(x - offset) * scale``, one number each, or one per feature."""
    x = call.tensor(0)
    offset, scale = numbers(call, "offset", (0.0,)), numbers(call, "scale", (1.0,))
    features = x.shape[x.axis(-1)]
    if not {offset.size, scale.size} <= {1, features}:
        raise ModelFileError(
            f"{offset.size} offsets and {scale.size} scales for {features} features", where=call.attributes.where
        )
    centered = call.build.affine(x, constant(1.0), constant(-offset), kind=Kind.REAL)
    return call.build.affine(centered, constant(scale), constant(0.0), kind=Kind.REAL)


def _imputer(call: Call) -> Value:
    """The numbers themselves: none is missing in inputs of a circuit."""
    x = call.tensor(0)
    missing = call.attributes.get(
        "replaced_value_float" if "replaced_value_float" in call.attributes else "replaced_value_int64"
    )
    if not isinstance(missing, float) or not math.isnan(missing):
        raise UnsupportedError(f"an imputer of {missing}", accepted="one of NaN, which a circuit is never fed with")
    check_numbers(call.build, x)
    instead = call.attributes.numbers("imputed_value_floats") or ()
    shown = ", ".join(f"{value:.6g}" for value in instead[:_MOST_SHOWN]) + (
        ", ..." if len(instead) > _MOST_SHOWN else ""
    )
    call.say(f"{call.name} stays in software: a circuit has no missing values, so put {shown} there before it.")
    return call.build.emit(Identity(), x)


def _binarizer(call: Call) -> Value:
    """1 for what is larger than the threshold, else 0."""
    threshold = constant(call.attributes.number("threshold", 0.0))
    return replace(compare(call.build, Relation.GT, call.tensor(0), threshold), kind=Kind.REAL)


def _normalizer(call: Call) -> Value:
    """Each sample over its norm."""
    norm = call.attributes.text("norm", "MAX")
    if norm not in ("L1", "L2"):
        raise UnsupportedError(f"the norm {norm[:50]}", accepted="L1, L2")
    return unit(call.build, call.tensor(0), (-1,), int(norm[1]))


def _feature_extractor(call: Call) -> Value:
    """Features by their constant numbers, or entries of a constant list by computed ones."""
    data, numbers = call.required(0), call.required(1)
    if isinstance(numbers, Value):
        if isinstance(data, Value):
            raise UnsupportedError("features at computed indices", accepted="constant indices, or a constant list")
        return call.build.viewed(entry(call, data, numbers), (1, 1), Batch(1))
    if isinstance(data, Known) and data.words:
        raise UnsupportedError("words at constant indices", accepted="features")
    return take(call.build, call.value(data), -1, numbers.array().ravel())


def entry(call: Call, data: Known, numbers: Value) -> Value:
    """The entry of a list with the number that each sample has; of a list of words that number itself."""
    listed = data.array()
    if listed.size != listed.shape[-1] or math.prod(numbers.shape) != 1 or numbers.batch is None:
        raise UnsupportedError(
            "several elements at computed indices",
            accepted="one index per sample, and a list",
            remedy="of neighbors of scikit-learn give the live estimator",
        )
    if data.words:
        call.say(f"{call.name} gives the position of a word, not the word: {_numbered(data.words)}.")
        return replace(numbers, kind=Kind.STRING)
    if np.array_equal(listed.ravel(), np.arange(listed.size)):
        return replace(numbers, kind=data.kind)
    return call.build.emit(Embedding(as_weights(listed).reshape(-1, 1)), numbers, suffix="entry", kind=data.kind)


def _numbered(words: Sequence[object]) -> str:
    listed = [f"{number} {str(word)[:40]!r}" for number, word in enumerate(words[:10])]
    return ", ".join([*listed, "..."] if len(words) > 10 else listed)


def _label_encoder(call: Call) -> Value:
    """The number that stands for each integer, such as what a tree's leaf is worth for the number of the leaf."""
    keys = call.attributes.integers("keys_int64s")
    values = call.attributes.integers("values_int64s") or call.attributes.numbers("values_floats") or ()
    other = (call.attributes.integer("default_int64", -1), call.attributes.number("default_float", 0.0))
    call.attributes.ignore("default_string")
    if not keys or not values:
        raise UnsupportedError(
            "an encoder of words, or of fractions", accepted="keys_int64s, and values that are numbers"
        )
    if len(keys) != len(values):
        raise UnsupportedError(f"{len(keys)} keys for {len(values)} values", accepted="as many")
    x, whole = call.tensor(0), "values_int64s" in call.attributes
    rows = np.asarray(values, np.float64).reshape(-1, 1)
    found = _rows(call, keys, as_weights(rows), float(other[0] if whole else other[1]), x.kind if whole else Kind.REAL)
    return call.build.viewed(found, x.dims, x.batch)


def _rows(call: Call, keys: Sequence[int], values: Floats, other: float, kind: Kind) -> Value:
    """The row of ``values`` for each integer, along a new axis; that of all that are not among ``keys`` is ``other``."""
    least, size = min(keys), max(keys) - min(keys) + 1
    if size > _MOST_KEYS:
        raise UnsupportedError(f"keys from {least} to {max(keys)}", accepted=f"within {_MOST_KEYS} integers")
    rows = np.full((size + 2, values.shape[1]), other)
    rows[np.array(keys) - least + 1] = values
    x, build = call.tensor(0), call.build.within("key")
    number = clip(build, build.affine(x, constant(1.0), constant(1.0 - least), kind=x.kind), 0.0, size + 1.0)
    return call.build.emit(Embedding(as_weights(rows)), number, suffix="entry", kind=kind)


def _one_hot_encoder(call: Call) -> Value:
    """A column for each category, which is 1 where it comes; without ``zeros`` others are the index of no row."""
    keys, x = call.attributes.integers("cats_int64s"), call.tensor(0)
    if not keys or x.kind is Kind.REAL:
        raise UnsupportedError("an encoder of words, or of fractions", accepted="cats_int64s, and integers")
    columns, count = as_weights(np.eye(len(keys))), len(keys)
    if call.attributes.integer("zeros", 1):
        return _rows(call, keys, columns, 0.0, Kind.REAL)
    number = _rows(call, keys, np.arange(float(count)).reshape(-1, 1), float(count), x.kind)
    return call.build.emit(Embedding(columns), call.build.viewed(number, x.dims, x.batch), kind=Kind.REAL)


def _zip_map(call: Call) -> Value:
    """Probabilities with the classes as keys: here the probabilities, in the classes' order."""
    classes = call.attributes.integers("classlabels_int64s") or call.attributes.texts("classlabels_strings")
    if tuple(classes) != tuple(range(len(classes))):
        call.say(f"{call.name} gives a column for each class: {_numbered(classes)}.")
    return call.build.emit(Identity(), call.tensor(0))


def _scores(call: Call, rows: int) -> Value:
    """A product with ``rows`` rows of coefficients, and the intercepts."""
    x = call.tensor(0)
    features = x.shape[x.axis(-1)]
    kernel, bias = numbers(call, "coefficients"), numbers(call, "intercepts", (0.0,) * rows)
    if kernel.size != rows * features or bias.size != rows:
        raise UnsupportedError(
            f"{kernel.size} coefficients and {bias.size} intercepts for {rows} results",
            accepted=f"{rows * features} and {rows}",
        )
    weight = constant(kernel).moved(lambda elements: elements.reshape(rows, features).T)
    return dense(call.build, x, weight, constant(bias))


def posted(call: Call, scores: Value, word: str | None = None) -> Value:
    """The function of scores with the name ``word``, which ``post_transform`` has if it is not given.

    Raises:
        UnsupportedError: one that is not known, or of a single score, which ONNX says to take and onnxruntime leaves out.
    """
    word = call.attributes.text("post_transform", "NONE") if word is None else word
    layer = one_of(_POST, word, f"post_transform={word[:50]}")
    if layer is not None and scores.shape[-1:] == (1,):
        raise UnsupportedError(
            f"post_transform={word} of one score, which onnxruntime leaves out",
            accepted="NONE, or several scores",
            remedy="set NONE, and put a Sigmoid behind if it is meant",
        )
    return scores if layer is None else call.build.emit(layer, scores, suffix="post")


def labels(call: Call, key: str) -> Known:
    """The classes, which are integers in the attribute ``key``, or words."""
    numbers, words = call.attributes.integers(key), call.attributes.texts("classlabels_strings")
    if not numbers and not words:
        raise ModelFileError("no labels", where=call.attributes.where)
    return Known((np.asarray(numbers, dtype=np.int64) if numbers else np.arange(len(words)),), words=words)


def label_of_greatest(call: Call, listed: Known, scores: Value) -> Value | None:
    """The label of the greatest score; None if nobody reads it."""
    if not call.wanted[0]:
        return None
    return label_of(call, listed, extreme_index(call.build.within("number"), scores, (-1,), keepdims=True))


def label_of(call: Call, listed: Known, number: Value) -> Value:
    """The label with a number."""
    return call.build.viewed(entry(call, listed, number), (1,), Batch(0), "label")


def _linear_classifier(call: Call) -> tuple[Value | None, ...]:
    """The label with the largest score, and the scores."""
    call.attributes.ignore("multi_class")
    listed = labels(call, "classlabels_ints")
    scores = _scores(call, listed.array().size)
    return label_of_greatest(call, listed, scores), posted(call, scores)


CLASSICAL: dict[str, Translation] = {
    "Scaler": Translation(_scaler, "BatchNormalization"),
    "Imputer": Translation(_imputer, "Identity, of numbers of which none is missing"),
    "Binarizer": Translation(_binarizer, "Comparison"),
    "Normalizer": Translation(_normalizer, "UnitNormalization, or Absolute, Reduce and Divide"),
    "ArrayFeatureExtractor": Translation(_feature_extractor, "Slice, Gather, or Embedding and Reshape"),
    "LabelEncoder": Translation(_label_encoder, "HardActivation and Embedding, of integers as numbers"),
    "OneHotEncoder": Translation(_one_hot_encoder, "HardActivation and Embedding, of integers"),
    "ZipMap": Translation(_zip_map, "Identity"),
    "LinearRegressor": Translation(
        lambda call: posted(call, _scores(call, call.attributes.integer("targets", 1))), "Dense"
    ),
    "LinearClassifier": Translation(_linear_classifier, "Dense, ArgMax and Embedding, and Softmax or Activation"),
}
"""Operators of the domain ``ai.onnx.ml``, by name."""
