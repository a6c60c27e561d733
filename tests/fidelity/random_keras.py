"""Random Keras models: a seed gives a model with unusual weights, inputs, and what Keras computes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import keras
import numpy as np
from keras import layers

from bitsmith.layers.layer import Floats
from tests.fidelity.comparison import Case
from tests.fidelity.keras_functions import FUNCTIONS
from tests.fidelity.keras_nodes import LAYERS, Draw, Tensor

SAMPLES = 24
"""Samples of a case; calibration sees all of them."""

MOST_ELEMENTS = 400
"""Elements of a tensor."""

_LARGEST = 1e6
"""Values beyond are left out: no user's network has them, and single precision has little left for what is added to them."""


def case(seed: int) -> Case:
    """A model with finite results, drawn from ``seed``."""
    for attempt in range(20):
        draw = Draw(seed * 20 + attempt)
        keras.utils.set_random_seed(seed)
        with _without_initial_values():
            model = _functional(draw, _inputs(draw), draw.size(1, 10), depth=1)
        for variable in model.weights:
            variable.assign(_weights(draw, variable.path, variable.shape))
        inputs = [_batch(draw, tensor) for tensor in model.inputs]
        evaluation = _Evaluation(model, inputs)
        try:
            with np.errstate(all="ignore"):
                outputs = evaluation.outputs()
        except (ValueError, TypeError, IndexError, AttributeError):  # a combination that the backend cannot compute
            continue
        if evaluation.largest < _LARGEST:
            spread = {name: evaluation.spread(draw, noise) for name, noise in NOISE.items()}
            return Case(model, inputs, outputs, _text(model), jumps=draw.jumps, spread=spread)
    raise AssertionError(f"no model with finite results from the seed {seed}")


@contextmanager
def _without_initial_values() -> Iterator[None]:
    """Weights are 0 at first, for they get others: jax would compile a generator of random numbers for each shape."""
    kinds = (keras.initializers.VarianceScaling, keras.initializers.Orthogonal, keras.initializers.RandomUniform)
    with ExitStack() as stack:
        for kind in kinds:
            stack.enter_context(mock.patch.object(kind, "__call__", _zeros))
        yield


def _zeros(_: Any, shape: Sequence[int], dtype: str | None = None) -> Floats:
    return np.zeros(shape, dtype or np.float32)


# Graphs.


def _inputs(draw: Draw) -> list[Tensor]:
    """One to three inputs, often of one shape."""
    rank = draw.one_of(1, 1, 2, 2, 2, 3, 3, 4)
    shape = (*draw.sizes(rank - 1, *((2, 8), (3, 7), (2, 7), (2, 4))[rank - 1]), draw.size(1, 4 if rank > 1 else 12))
    found = [keras.Input(shape)]
    more = draw.one_of(0, 0, 0, 1, 2)
    found += [keras.Input(shape if draw.chance(0.6) else shape[draw.size(0, rank - 1) :]) for _ in range(more)]
    if draw.chance(0.12):
        found[0] = keras.Input((draw.size(1, 6),), dtype="int32")
    return found


def _embedded(draw: Draw, x: Tensor) -> Tensor:
    words = MOST_WORD + 1
    return draw.one_of(
        lambda: layers.Embedding(words, draw.size(1, 4))(x),
        lambda: layers.CategoryEncoding(words, output_mode=draw.one_of("multi_hot", "count"))(x),
        lambda: keras.ops.one_hot(x, words),
    )()


MOST_WORD = 6
"""Greatest integer of an input of words."""


def _functional(draw: Draw, inputs: list[Tensor], count: int, depth: int) -> Any:
    """A model of about ``count`` nodes, whose operands are drawn from the latest tensors, so that branches meet again."""
    outer, draw.tensors = draw.tensors, []
    for x in inputs:
        draw.tensors.append(_embedded(draw, x) if x.dtype == "int32" else x)
    ports, shared = len(draw.tensors), list[tuple[Any, Any]]()
    for _ in range(count):
        x = draw.tensors[-1] if draw.chance(0.6) else draw.one_of(*draw.tensors[-4:])
        draw.tensors += _node(draw, x, shared, depth)
    ends = [draw.tensors[-1]]
    while draw.chance(0.4) and len(ends) < 3:
        ends.append(draw.one_of(*draw.tensors[ports - 1 :]))
    draw.tensors = outer
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], ends if len(ends) > 1 else ends[0])


def _node(draw: Draw, x: Tensor, shared: list[tuple[Any, Any]], depth: int) -> list[Tensor]:
    """What another node computes; the first of some that fits."""
    again = [layer for layer, shape in shared if shape == x.shape]
    if again and draw.chance(0.15):
        return _results(draw.one_of(*again)(x))
    for _ in range(20):
        kind = draw.rng.random()
        try:
            if kind < 0.08 and depth > 0:
                inner = _functional(draw, [keras.Input(x.shape[1:])], draw.size(1, 4), depth - 1)
                results = _results(inner(x))
            elif kind < 0.13 and depth > 0:
                results = _results(_chain(draw, x)(x))
            else:
                results = _results(_drawn(draw, x)(draw, x))
        except (ValueError, TypeError):  # Keras refuses the options
            continue
        if all(_fits(y) for y in results):
            operation = results[0]._keras_history.operation
            if isinstance(operation, keras.layers.Layer) and len(operation._inbound_nodes[-1].input_tensors) == 1:
                shared.append((operation, operation._inbound_nodes[-1].input_tensors[0].shape))
            return results
    return []


def _drawn(draw: Draw, x: Tensor) -> Callable[[Draw, Tensor], Any]:
    rank = len(x.shape) - 1
    fitting = [(weight, node) for ranks, weight, node in (*LAYERS, *FUNCTIONS) if rank in ranks]
    weights = np.array([weight for weight, _ in fitting])
    return fitting[int(draw.rng.choice(len(fitting), p=weights / weights.sum()))][1]


def _chain(draw: Draw, x: Tensor) -> Any:
    """A sequential model."""
    parts = [
        layers.Dense(draw.size(1, 5), activation="relu"),
        layers.BatchNormalization(),
        layers.PReLU(),
        layers.Dense(2),
    ]
    return keras.Sequential([keras.Input(x.shape[1:]), *parts[: draw.size(1, 4)]])


def _results(found: Any) -> list[Tensor]:
    return [y for y in keras.tree.flatten(found) if y is not None]


def _fits(y: Tensor) -> bool:
    sizes = y.shape[1:]
    usual = y.shape[0] is None and y.dtype == "float32" and 1 <= len(sizes) <= 4 and None not in sizes
    return usual and 0 < int(np.prod(sizes)) <= MOST_ELEMENTS


# Weights and inputs.


def _weights(draw: Draw, path: str, shape: Sequence[int]) -> Floats:
    """Weights as training may leave them, and worse."""
    name, values = path.rpartition("/")[2], draw.array(*shape)
    if "variance" in name:
        return np.exp(values * draw.one_of(0.5, 0.5, 3.0)).astype(np.float32)
    if "seed" in name or "count" in name:
        return np.zeros(shape)
    if name in ("gamma", "scale", "alpha"):
        return 1 + values * draw.one_of(0.2, 0.2, 1.0)
    if len(shape) < 2 or name == "bias":
        return values * draw.one_of(0.0, 0.1, 0.5, 0.5, 8.0)
    values /= np.sqrt(np.prod(shape[:-1]))
    # Recurrences that grow a hundredfold in each step are chaotic; of scores in the thousands softmax shows the last place.
    sensitive = any(word in path for word in ("recurrent_kernel", "/query/", "/key/"))
    form = draw.one_of("plain", "plain", "plain", "columns", "unlike", "sparse", "same sign", "outlier")
    if form == "columns":
        values[..., draw.rng.random(shape[-1]) < 0.4] = 0.0
    elif form == "unlike":
        values *= 2.0 ** draw.rng.integers(-8, 1 if sensitive else 9, shape[-1])
    elif form == "sparse":
        values *= draw.rng.random(shape) < 0.3
    elif form == "same sign":
        values = np.abs(values) * draw.one_of(1, -1)
    elif form == "outlier" and not sensitive:
        values.flat[0] = 30.0
    return values * draw.one_of(1.0, 1.0, 2.0)


def _batch(draw: Draw, tensor: Tensor) -> Floats:
    """Samples as users have them: standardized or not, with an outlier now and then."""
    shape = (SAMPLES, *tensor.shape[1:])
    if tensor.dtype == "int32":
        return draw.rng.integers(0, MOST_WORD + 1, shape)
    values = draw.one_of(
        lambda: draw.rng.normal(0.0, draw.one_of(0.3, 1.0, 1.0, 4.0), shape),
        lambda: draw.rng.uniform(0.0, draw.one_of(1.0, 1.0, 255.0), shape),
        lambda: draw.rng.normal(draw.number(-5, 5), 1.0, shape),
        lambda: draw.rng.normal(0.0, 1.0, shape) * 2.0 ** draw.rng.integers(-3, 4, shape[-1]),
    )()
    if draw.chance(0.1):
        values.flat[draw.size(0, values.size - 1)] *= 10.0
    return values.astype(np.float32)


# Evaluation.

NOISE = {"auto": 2.0**-15, "wide": 2.0**-22}
"""Share of its channel by which a result or a weight may be off: steps of 16 bits, and roundings of single precision."""

_DRAWS = 6


def _called(operation: Any, seen: Callable[[Any], Any], args: Any, options: Any) -> Any:
    """What ``operation`` gives; what it does before its activation is ``seen``, too."""
    function = getattr(operation, "activation", None)
    if function is None or isinstance(operation, layers.RNN):
        return operation(*args, **options)
    operation.activation = keras.activations.linear
    try:
        return function(seen(operation(*args, **options)))
    finally:
        operation.activation = function


class _Evaluation:
    """Keras's own evaluation of a model, node by node, with or without noise on each result."""

    def __init__(self, model: Any, inputs: Sequence[Floats]) -> None:
        self.model, self.inputs, self.largest = model, inputs, 0.0

    def outputs(self, disturbed: Callable[[Floats], Floats] = lambda values: values) -> list[Floats]:
        """The outputs, where each result inside and each input is ``disturbed``."""

        def seen(values: Any) -> Any:
            array = np.asarray(values)
            if not np.issubdtype(array.dtype, np.floating):
                return values
            # Not a number is not less than anything.
            self.largest = float(np.maximum(self.largest, np.abs(array).max(initial=0.0)))
            return disturbed(array)

        def wrapped(operation: Any) -> Any:
            return lambda *args, **options: keras.tree.map_structure(seen, _called(operation, seen, args, options))

        found = self.model._run_through_graph([seen(x) for x in self.inputs], operation_fn=wrapped)
        return [np.asarray(y, dtype=np.float64) for y in keras.tree.flatten(found)]

    def spread(self, draw: Draw, noise: float) -> tuple[Floats, ...]:
        """How far each value of the outputs goes if each result and each weight is off by ``noise``."""

        def disturbed(values: Floats) -> Floats:
            size = np.abs(values).max(axis=tuple(range(values.ndim - 1)), keepdims=True) if values.ndim else values
            return (values + noise * size * draw.rng.uniform(-1, 1, values.shape)).astype(values.dtype)

        plain, trained = self.outputs(), [np.asarray(weight) for weight in self.model.weights]
        far = []
        for _ in range(_DRAWS):
            self._assign([disturbed(weight) for weight in trained])
            far.append([np.abs(y - x) for x, y in zip(plain, self.outputs(disturbed), strict=True)])
        self._assign(trained)
        return tuple(np.max(values, axis=0) for values in zip(*far, strict=True))

    def _assign(self, values: Sequence[Floats]) -> None:
        for weight, value in zip(self.model.weights, values, strict=True):
            weight.assign(value)


# Text.


def _text(model: Any) -> str:
    return "\n".join(_lines(model, ""))


def _lines(model: Any, indent: str) -> Iterator[str]:
    names = {id(node.operation): node.operation for node in _nodes(model)}
    for operation in names.values():
        if isinstance(operation, keras.Model):
            yield f"{indent}{operation.name}:"
            yield from _lines(operation, indent + "  ")
    for node in _nodes(model):
        operation = node.operation
        given = ", ".join(f"{x.name} {tuple(x.shape[1:])}" for x in node.input_tensors)
        made = ", ".join(y.name for y in node.outputs)
        yield f"{indent}{made} = {type(operation).__name__}({given}) {_options(operation, node)}"
    yield f"{indent}-> {', '.join(y.name for y in model.outputs)}"


def _nodes(model: Any) -> list[Any]:
    model = getattr(model, "_functional", None) or model  # of a sequential model
    return [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]


_DULL = (
    "initializer",
    "regularizer",
    "constraint",
    "dtype",
    "trainable",
    "name",
    "seed",
    "autocast",
    "quantiz",
    "lora",
)


def _options(operation: Any, node: Any) -> str:
    if isinstance(operation, keras.Model):
        return ""
    try:
        config = operation.get_config()
    except (NotImplementedError, ValueError):
        config = {}
    kept = {key: value for key, value in config.items() if not any(word in key for word in _DULL)}
    rest = [*node.arguments.args[1:], *(f"{k}={v}" for k, v in node.arguments.kwargs.items() if v is not None)]
    return f"{kept} {rest}" if rest else f"{kept}"
