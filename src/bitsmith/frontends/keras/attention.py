"""Keras's attention layers.

What masks exclude gets a probability of exactly 0, where some layers of Keras subtract a large number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant, real
from bitsmith.frontends.files.json import is_integer
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation
from bitsmith.frontends.ops.arithmetic import multiply
from bitsmith.frontends.ops.attention import Mask, additive_scores, attention, attention_weights, repeated_heads
from bitsmith.frontends.ops.contraction import einsum, matrix_product
from bitsmith.frontends.ops.logic import truth, where
from bitsmith.layers.activation import Activation
from bitsmith.layers.layer import Floats, Shape, as_weights

_OPERANDS = ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask")
"""The parameters of a call of MultiHeadAttention, in order."""

_OUTPUT = "klmn"
"""Labels of the axes of the output."""


@dataclass(frozen=True, slots=True)
class _Operand:
    """A tensor (batch, axes in some order, channels): positions along ``attended`` axes attend to each other, those along
    ``separate`` ones do not.
    """

    x: Value
    separate: tuple[int, ...]
    attended: tuple[int, ...]

    @staticmethod
    def of(call: LayerCall, x: Value) -> _Operand:
        places, given = range(1, x.rank - 1), call.config.integers("attention_axes")
        attended = {axis % x.rank for axis in given} if given else set(places)
        if not places or not attended <= set(places) or list(given) != sorted(given):
            found = f"attention along the axes {given} of an input of shape {x.shape}"
            raise UnsupportedError(found, accepted="axes between the batch and the channels, in order")
        return _Operand(x, tuple(axis for axis in places if axis not in attended), tuple(sorted(attended)))

    @property
    def order(self) -> tuple[int, ...]:
        """All axes but the channels, attended ones last."""
        return (0, *self.separate, *self.attended)

    def gathered(self, build: Builder) -> Value:
        """(batch, separate axes, positions, channels)."""
        moved = build.permuted(self.x, (*self.order, self.x.rank - 1), "permute")
        ahead = moved.dims[: 1 + len(self.separate)]
        dims = (*ahead, math.prod(moved.dims[len(ahead) : -1]), moved.dims[-1])
        return build.viewed(moved, dims, moved.batch, "reshape")

    def projected(self, build: Builder, heads: Value, kernel: Value, bias: Value | None) -> Value:
        """The output that the heads (batch, separate axes, positions, heads, channels) make, its axes in the operand's order."""
        labels = _OUTPUT[: kernel.rank - 2]
        moves, views = list(self.order) != sorted(self.order), len(self.attended) > 1
        part = build.within("output" if moves or views else "")
        y = einsum(part, f"...ihd,hd{labels}->...i{labels}", (heads, kernel), bias=bias)
        dims = (*(self.x.dims[axis] for axis in self.order), *kernel.shape[2:])
        y = build.viewed(y, dims, y.batch, "output_reshape" if moves else "")
        return build.permuted(y, (*np.argsort(self.order).tolist(), *range(len(self.order), y.rank)))


def _multi_head_attention(call: LayerCall) -> tuple[Value, ...]:
    heads, size = call.config.positive("num_heads"), call.config.positive("key_dim")
    value_size = call.config.positive("value_dim") if call.config.get("value_dim") else size
    return _attention_of_heads(call, heads, heads, size, value_size)


def _group_query_attention(call: LayerCall) -> tuple[Value, ...]:
    """J. Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models", EMNLP 2023."""
    heads, size = call.config.positive("num_query_heads"), call.config.positive("head_dim")
    return _attention_of_heads(call, heads, call.config.positive("num_key_value_heads"), size, size)


def _attention_of_heads(call: LayerCall, heads: int, shared: int, size: int, value_size: int) -> tuple[Value, ...]:
    """Attention of so many heads of queries, which share those of keys and values; channels of a key and a value."""
    build, operands = replace(call.build, source=""), {name: _Operand.of(call, x) for name, x in _called(call).items()}
    if len({operand.separate for operand in operands.values()}) != 1:
        raise call.config.error(f"attention of shapes {[x.shape for x in call.given.tensors]}")
    mask = _mask(call, operands)
    gathered = {name: operand.gathered(build.within(name)) for name, operand in operands.items()}
    gathered |= {"gate": gathered["query"]} if call.config.flag("use_gate", False) else {}
    sizes = {"query": (heads, size), "key": (shared, size), "gate": (heads, value_size), "value": (shared, value_size)}
    shapes = {name: (gathered[name].dims[-1], *sizes[name]) for name in sizes if name in gathered}
    weights = _projections(call, shapes | {"output": (heads, value_size, *_output_shape(call, operands["query"].x))})
    projected = {
        name: einsum(build.within(name), "...ix,xhd->...ihd", (x, weights[name][0]), bias=weights[name][1])
        for name, x in gathered.items()
    }
    key, value = (repeated_heads(build, projected[name], heads, -2, f"{name}s") for name in ("key", "value"))
    result, scores, _ = attention(build, projected["query"], key, value, mask, heads_last=True, suffix="context")
    if "gate" in projected:
        gate = build.emit(Activation("sigmoid"), projected["gate"], suffix="gate_sigmoid")
        result = multiply(build.within("gated"), result, gate)
    result = operands["query"].projected(build, result, *weights["output"])
    if not call.flag("return_attention_scores"):
        return (result,)
    shown = (operands[name].x.dims[axis] for name in ("query", "value") for axis in operands[name].attended)
    return result, build.viewed(scores, (*scores.dims[:-2], *shown), scores.batch, "probabilities")


def _called(call: LayerCall) -> dict[str, Value]:
    """Query, key and value, given by place or by name; a key left out is the value."""
    arguments = {name: call.argument(name, place) for place, name in enumerate(_OPERANDS)}
    tensors = {name: one for name, one in arguments.items() if isinstance(one, Value)}
    if not {"query", "value"} <= set(tensors) or len(call.given.args) > len(_OPERANDS):
        raise call.config.error(f"called on {len(call.given.tensors)} tensors", "a query and a value")
    constants = {name for name, one in arguments.items() if one is not None and name not in tensors}
    odd = sorted({*tensors} - {"query", "value", "key", "attention_mask"} | constants - {"attention_mask"})
    if odd:
        found = f"{odd[0]} is {'computed' if odd[0] in tensors else 'a constant'}"
        raise UnsupportedError(found, accepted="tensors to attend to, attention_mask and use_causal_mask")
    return {"query": tensors["query"], "key": tensors.get("key", tensors["value"]), "value": tensors["value"]}


def _projections(call: LayerCall, shapes: dict[str, Shape]) -> dict[str, tuple[Value, Value | None]]:
    """Kernels of these shapes, and biases if there are any."""
    biased = call.config.flag("use_bias", True)
    wanted: list[tuple[str, Shape]] = []
    for name, shape in shapes.items():
        bias = f"{name} bias", shape[2:] if name == "output" else shape[1:]
        wanted += [(f"{name} kernel", shape), bias][: 1 + biased]
    found = iter(call.weights(*wanted, parts=[f"{name}_dense" for name in shapes]))
    return {name: (constant(next(found)), constant(next(found)) if biased else None) for name in shapes}


def _output_shape(call: LayerCall, query: Value) -> Shape:
    given = call.config.get("output_shape")
    sizes = given if isinstance(given, list) else [given]
    output = tuple(size for size in sizes if is_integer(size) and size > 0)
    if given is not None and (len(output) != len(sizes) or len(output) > len(_OUTPUT)):
        raise call.config.wrong("output_shape", f"one to {len(_OUTPUT)} positive numbers")
    return output or query.shape[-1:]


def _mask(call: LayerCall, operands: dict[str, _Operand]) -> Mask:
    """Return the keys that every head's queries may attend to."""
    place, causal = _OPERANDS.index("attention_mask"), call.flag("use_causal_mask")
    argument, query = call.argument("attention_mask", place), operands["query"]
    reach = None if call.config.get("sliding_window") is None else call.config.integer("sliding_window") - 1
    own = _masks_of_operands(call, operands)
    if len(query.order) > 2 and (argument is not None or reach is not None or causal or own):
        raise UnsupportedError("a mask on attention along several axes", accepted="masks on attention along one axis")
    if isinstance(argument, Value):
        if argument.rank not in (3, 4):
            raise UnsupportedError(f"an attention_mask of axes {argument.dims}", accepted="(batch, queries, values)")
        own.append(
            _for_heads(call, truth(call.build, argument, "mask"), *argument.dims[1 if argument.rank == 3 else 2 :])
        )
    elif argument is not None:
        kept = np.asarray(call.numbers("attention_mask", place) != 0.0)
        kept = kept[:, None] if kept.ndim == 3 else kept  # (batch, queries, values) for all heads
        own.append(constant(as_weights(kept), kind=Kind.BOOL))
    # Keras's own softmax gives zeros where nothing is left; what it calls otherwise does not.
    own_softmax = call.config.number("dropout", 0.0) > 0.0 or call.flag("return_attention_scores")
    return Mask(reach, 0 if causal else reach, tuple(own), uniform=not own_softmax)


def _masks_of_operands(call: LayerCall, operands: dict[str, _Operand]) -> list[Value]:
    """Keras's masks of the operands, for all heads: (batch, 1, queries, 1) and (batch, 1, 1, values)."""
    masks: dict[int, Value] = {}
    for name, operand in operands.items():
        mask = call.mask(operand.x)
        if mask is not None:
            shape = (mask.dims[-1], 1) if name == "query" else (1, mask.dims[-1])
            masks.setdefault(-1 if name == "query" else id(mask), _for_heads(call, mask, *shape))
    return list(masks.values())


def _for_heads(call: LayerCall, mask: Value, queries: int, values: int) -> Value:
    """A mask with an axis for the heads."""
    heads = mask.dims[1] if mask.rank == 4 else 1
    return call.build.viewed(mask, (mask.dims[0], heads, queries, values), mask.batch, "mask_of_heads")


def _attention(call: LayerCall) -> tuple[Value, ...]:
    """Scores are products of queries and keys, or as in additive attention."""
    query, key, value = _unprojected(call)
    scaled, mode = call.config.flag("use_scale", False), call.config.text("score_mode", "dot")
    if mode not in ("dot", "concat"):
        raise call.config.wrong("score_mode", "dot or concat")
    wanted = [("scale", ())] * scaled + [("concat score weight", ())] * (mode == "concat")
    weights = [float(values) for values in call.weights(*wanted)]
    scale = weights[0] if scaled else 1.0
    if mode == "concat":
        return _additive(call, scale, np.full(query.shape[-1:], weights[-1]))
    build, mask = replace(call.build, source=""), _unprojected_mask(call)
    result, shares, _ = attention(build, query, key, value, mask, scale=scale)
    return (_shown(call, result), shares)[: 1 + call.flag("return_attention_scores")]


def _additive_attention(call: LayerCall) -> tuple[Value, ...]:
    size = _unprojected(call)[0].shape[-1:]
    (factors,) = call.weights(("scale", size)) if call.config.flag("use_scale", True) else (np.ones(size),)
    return _additive(call, 1.0, factors)


def _additive(call: LayerCall, scale: float, factors: Floats) -> tuple[Value, ...]:
    build, (query, key, value) = replace(call.build, source=""), _unprojected(call)
    scores = additive_scores(build, query, key, scale, factors)
    weights = attention_weights(build, scores, _unprojected_mask(call))
    result = _shown(call, matrix_product(build, weights, value))
    return (result, weights)[: 1 + call.flag("return_attention_scores")]


def _shown(call: LayerCall, result: Value) -> Value:
    """The result, with 0 for queries that Keras's mask leaves out."""
    mask = call.mask(_unprojected(call)[0])
    if mask is None:
        return result
    kept = call.build.viewed(mask, (*mask.dims, 1), mask.batch, "queries")
    return where(call.build.within("shown"), kept, result, ZERO)


def _unprojected(call: LayerCall) -> tuple[Value, Value, Value]:
    """Query, key and value; the call has query, value and perhaps a key."""
    values = call.given.tensors
    if len(call.given.args) != len(values) or len(values) not in (2, 3) or any(x.rank != 3 for x in values):
        found = f"attention of shapes {[x.shape for x in values]}"
        raise UnsupportedError(found, accepted="two or three tensors of two axes each")
    return values[0], values[-1], values[1]


def _unprojected_mask(call: LayerCall) -> Mask:
    """The mask; "causal" is the spelling before Keras 2.10. Where nothing is left, Keras weighs all values alike."""
    causal = call.flag("use_causal_mask") or call.config.flag("causal", False)
    mask = call.mask(_unprojected(call)[2])
    given = () if mask is None else (call.build.viewed(mask, (mask.dims[0], 1, mask.dims[1]), mask.batch, "values"),)
    return Mask(after=0 if causal else None, given=given, uniform=True)


def _dot_product_attention(call: LayerCall) -> Value:
    """The operation on query, key and value (batch, places, heads, channels)."""
    build = replace(call.build, source="")
    query, key, value = (call.argument(name, place) for place, name in enumerate(("query", "key", "value")))
    if not isinstance(query, Value) or not isinstance(key, Value) or not isinstance(value, Value):
        raise UnsupportedError("a constant as query, key or value", accepted="tensors")
    if call.config.get("attn_logits_soft_cap") is not None:
        raise UnsupportedError("attn_logits_soft_cap, which Keras has for TPUs alone", accepted="none")
    bias, mask = (_beside_scores(call, name, place) for place, name in ((3, "bias"), (4, "mask")))
    beside = (*map(real, bias), *(truth(build, one, "mask") for one in mask))
    key, value = (
        repeated_heads(build, x, query.dims[2], 2, f"{name}s") for name, x in (("key", key), ("value", value))
    )
    masked = Mask(after=0 if call.config.flag("is_causal", False) else None, given=beside, uniform=True)
    scale = None if call.argument("scale", 5) is None else float(call.numbers("scale", 5).reshape(()))
    return attention(build, query, key, value, masked, scale=scale, heads_last=True)[0]


def _beside_scores(call: LayerCall, name: str, place: int) -> list[Value]:
    """An argument of the scores' shape; none if it is left out."""
    argument = call.argument(name, place)
    if isinstance(argument, Value):
        return [argument]
    return [] if argument is None else [constant(call.numbers(name, place))]


_SWITCHES = frozenset({"use_causal_mask", "return_attention_scores"})
_NAMED = _SWITCHES | {"query", "value", "key", "attention_mask"}
_HEADS = "EinsumDense, Einsum and Softmax"
_GROUPS = Translation(_group_query_attention, f"{_HEADS}, and Gather", _NAMED)

ATTENTION: ByClass = {
    "MultiHeadAttention": Translation(_multi_head_attention, _HEADS, _NAMED),
    **dict.fromkeys(("GroupQueryAttention", "GroupedQueryAttention"), _GROUPS),
    "Attention": Translation(_attention, "Einsum and Softmax", _SWITCHES),
    "AdditiveAttention": Translation(
        _additive_attention, "Add, Activation, EinsumDense, Softmax and Einsum", _SWITCHES
    ),
}
"""Layers by class."""

SCALED_PRODUCTS: ByClass = {
    "DotProductAttention": Translation(
        _dot_product_attention,
        "Einsum and Softmax, and Gather",
        frozenset({"query", "key", "value", "bias", "mask", "scale"}),
    )
}
"""Operations by class."""
