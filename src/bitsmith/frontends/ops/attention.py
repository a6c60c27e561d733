"""Attention: scores of queries and keys, their softmax, and the values that it weighs.

A. Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.
"""

import math
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.ops.activations import softmax
from bitsmith.frontends.ops.arithmetic import add, multiply
from bitsmith.frontends.ops.contraction import einsum
from bitsmith.frontends.ops.logic import logical, where
from bitsmith.layers.activation import Activation
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.shape import Gather

_LEFT_OUT = -1e9
"""A score as good as -inf beside others."""


@dataclass(frozen=True, slots=True)
class Mask:
    """Keys that a query sees: from ``before`` places before its own to ``after`` places after it, None for all of them.

    Of the ``given`` tensors, truth values say which keys stay, and numbers are added to the scores. A query for which computed
    ones leave no key has weights of 0; ``uniform`` ones if that is said.
    """

    before: int | None = None
    after: int | None = None
    given: tuple[Value, ...] = ()
    uniform: bool = False


def attention(
    build: Builder,
    query: Value,
    key: Value,
    value: Value,
    mask: Mask,
    *,
    scale: float | None = None,
    cap: float = 0.0,
    heads_last: bool = False,
    suffix: str = "",
) -> tuple[Value, Value, Value]:
    """Attention of operands (..., places, channels), or (..., places, heads, channels) with ``heads_last``.

    Gives the weighed values, the weights, and the products of queries and keys.

    Without a ``scale`` the products are divided by the root of the number of channels. ``cap`` bounds the scores, unless it is 0.
    """
    scores, weighed = "...id,...jd->...ij", "...ij,...jd->...id"
    keys, values = (x.dims[-3 if heads_last else -2] for x in (key, value))
    if keys != values:
        raise UnsupportedError(f"{keys} keys for {values} values", accepted="as many keys as values")
    if heads_last:
        scores, weighed = "...ihd,...jhd->...hij", "...hij,...jhd->...ihd"
    scale = 1.0 / math.sqrt(query.dims[-1]) if scale is None else scale
    products = einsum(build.within("scores"), scores, (query, key), scale)
    weights = attention_weights(build, _capped(build, products, cap), mask)
    return einsum(build.within(suffix), weighed, (weights, value)), weights, products


def attention_weights(build: Builder, scores: Value, mask: Mask) -> Value:
    """The softmax of scores (..., queries, keys)."""
    kept = [one for one in mask.given if one.kind is Kind.BOOL]
    if mask.before is not None or mask.after is not None:
        queries, keys = scores.dims[-2:]
        ahead = np.arange(keys) - np.arange(queries)[:, None]
        least, most = (-queries if mask.before is None else -mask.before), (keys if mask.after is None else mask.after)
        kept.append(constant(as_weights((ahead >= least) & (ahead <= most)), kind=Kind.BOOL))
    for one in mask.given:
        if one.kind is not Kind.BOOL and (one.constant is None or bool(np.any(one.constant))):
            scores = add(build.within("masked"), scores, one)
    if mask.uniform and any(one.constant is None for one in kept):
        shown = reduce(partial(logical, Multiply(), build.within("kept")), kept)
        scores, kept = where(build.within("chosen"), shown, scores, constant(_LEFT_OUT)), []
    return softmax(build.within("softmax"), scores, -1, *kept)


def _capped(build: Builder, scores: Value, cap: float) -> Value:
    """Scores that tanh bends to -cap..cap."""
    if cap <= 0.0:
        return scores
    bent = build.emit(Activation("tanh"), multiply(build.within("scaled"), scores, constant(1.0 / cap)), suffix="tanh")
    return multiply(build.within("capped"), bent, constant(cap))


def additive_scores(build: Builder, query: Value, key: Value, scale: float, factors: Floats) -> Value:
    """``sum(factors * tanh(scale * (query + key)))`` over the channels, for each pair of places.

    D. Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and Translate", ICLR 2015.
    """
    *ahead, places, channels = query.dims
    rows = build.viewed(query, (*ahead, places, 1, channels), query.batch, "query")
    columns = build.viewed(key, (*key.dims[:-2], 1, *key.dims[-2:]), key.batch, "key")
    total = build.joined(Add(), rows, columns, suffix="sum")
    if scale != 1.0:
        total = multiply(build.within("scaled"), total, constant(scale))
    bent = build.emit(Activation("tanh"), total, suffix="tanh")
    return einsum(build.within("scores"), "...ijc,c->...ij", (bent, constant(factors)))


def repeated_heads(build: Builder, x: Value, heads: int, dim: int, suffix: str) -> Value:
    """``x`` with each of its heads, which lie along ``dim``, so often in a row that there are ``heads``."""
    axis = x.axis(dim)
    own = x.shape[axis]
    if own == heads:
        return x
    if heads % own:
        raise UnsupportedError(f"{own} heads of keys for {heads} of queries", accepted="numbers that divide")
    places = tuple(head // (heads // own) for head in range(heads))
    return build.emit(Gather(places, axis), x, suffix=suffix)
