"""Keras's attention layers, each as the small graph that it is: projections, scores, softmax, context.

Attention masks must be constants: what they exclude gets a probability of exactly 0, where Keras subtracts a large number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.files.json import Json, is_integer, shown
from bitsmith.frontends.keras.activations import NAMED
from bitsmith.frontends.keras.call import LayerCall, Step, Steps, Translation, checked_size
from bitsmith.layers.einsum import Einsum, EinsumDense
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.merge import Add, Multiply
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.shape import Permute, Reshape
from bitsmith.layers.softmax import Softmax

_Truths: TypeAlias = npt.NDArray[np.bool_]

_OPERANDS = ("query", "value", "key", "query_mask", "value_mask", "key_mask", "attention_mask")
"""The parameters of a call of MultiHeadAttention, in order."""

_SEPARATE, _OUTPUT = "uvw", "klmn"
"""Labels of axes that are attended to separately, and of those of the output."""


def _called(call: LayerCall) -> dict[str, int]:
    """The numbers of the tensors by parameter, given by place or by name; a key left out is the value."""
    found: dict[str, int] = {}
    for name, argument in zip(_OPERANDS, call.arguments, strict=False):
        if argument is None:
            found[name] = len(found)
        elif argument.value is not None:
            raise UnsupportedError(f"a constant as {name}", accepted="tensors", remedy="give it by name")
    for name, value in call.keywords.items():
        if isinstance(value, tuple) and name in _OPERANDS and len(value) == 1:
            found[name] = value[0]
    found.setdefault("key", found.get("value", -1))
    if not {"query", "value"} <= set(found) or len(call.arguments) > len(_OPERANDS):
        raise ModelFileError(f"called on {len(call.shapes)} tensors", where=call.where, accepted="a query and a value")
    masks = [name for name in found if name.endswith("mask")]
    if masks:
        raise UnsupportedError(f"{masks[0]} is computed", accepted="constant masks, and use_causal_mask")
    return found


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where the positions of one operand lie: ``kept`` axes are attended to separately, ``attended`` ones together."""

    shape: Shape
    kept: tuple[int, ...]
    attended: tuple[int, ...]

    @property
    def plain(self) -> bool:
        """One axis of positions before the channels."""
        return len(self.shape) == 2

    @property
    def positions(self) -> int:
        """How many positions attend to each other."""
        return math.prod(self.shape[axis] for axis in self.attended)

    def gathered(self, source: int, suffix: str) -> tuple[tuple[Step, ...], int | str]:
        """Steps that make (kept, positions, channels) of a tensor of the call, and where the result is."""
        if self.plain:
            return (), source
        perm = (*self.kept, *self.attended, len(self.shape) - 1)
        target = (*(self.shape[axis] for axis in self.kept), self.positions, self.shape[-1])
        moved = Step(Permute(perm), f"{suffix}_permute", "Permute", (source,))
        return (moved, Step(Reshape(target), f"{suffix}_reshape", "Reshape")), f"{suffix}_reshape"

    def spread(self, output: Shape) -> tuple[Step, ...]:
        """Steps from (kept, positions, output) back to the operand's order of axes."""
        order = (*self.kept, *self.attended)
        target = (*(self.shape[axis] for axis in order), *output)
        back = (*np.argsort(order).tolist(), *range(len(order), len(target)))
        return Step(Reshape(target), "output_reshape", "Reshape"), Step(Permute(back))


def _axes(call: LayerCall, shape: Shape) -> _Axes:
    places = range(len(shape) - 1)
    given = call.config.integers("attention_axes")
    attended = {axis % (len(shape) + 1) - 1 for axis in given} if given else set(places)
    if not places or not attended <= set(places) or list(given) != sorted(given):
        raise UnsupportedError(
            f"attention along the axes {given} of an input of shape {shape}",
            accepted="axes between the batch and the channels, in order",
        )
    return _Axes(shape, tuple(axis for axis in places if axis not in attended), tuple(sorted(attended)))


def _multi_head_attention(call: LayerCall) -> Steps:
    """A. Vaswani et al., "Attention Is All You Need", NIPS 2017, section 3.2.2."""
    called = _called(call)
    query, value, key = (_axes(call, call.shapes[called[name]]) for name in ("query", "value", "key"))
    batch = [tuple(axes.shape[axis] for axis in axes.kept) for axes in (query, value, key)]
    if len(set(batch)) != 1 or value.positions != key.positions or len({query.kept, value.kept, key.kept}) != 1:
        raise ModelFileError(
            f"attention of shapes {[axes.shape for axes in (query, value, key)]}",
            where=call.where,
            accepted="value and key of as many positions",
        )
    checked_size((call.config.integer("num_heads"), math.prod(batch[0]), query.positions, value.positions), call.where)
    mask = _multi_head_mask(call, query, value)
    output = _output_shape(call, query.shape)
    weights = _Weights.of(call, query.shape[-1], value.shape[-1], key.shape[-1], output)
    if len(batch[0]) > len(_SEPARATE) or len(output) > len(_OUTPUT):
        raise UnsupportedError(
            f"attention of {len(batch[0])} separate axes to {len(output)} axes",
            accepted=f"at most {len(_SEPARATE)} and {len(_OUTPUT)}",
        )
    b, o = _SEPARATE[: len(batch[0])], _OUTPUT[: len(output)]
    steps: list[Step] = []
    sources: dict[str, int | str] = {}
    for name, axes in (("query", query), ("key", key), ("value", value)):
        before, sources[name] = axes.gathered(called[name], name)
        steps += before
    for name, source in (("query", "query"), ("key", "key"), ("value", "value"), *weights.gates):
        equation = f"{b}ix,xhd->{b}ihd"
        steps.append(Step(EinsumDense(equation, *weights.projections[name]), name, "EinsumDense", (sources[source],)))
    scale = 1.0 / math.sqrt(call.config.integer("key_dim"))
    steps += [
        Step(Einsum(f"{b}ihd,{b}jhd->{b}hij", scale), "scores", "Einsum", ("query", "key")),
        Step(Softmax(-1, mask), "softmax", "Softmax"),
        Step(Einsum(f"{b}hij,{b}jhd->{b}ihd"), "context", "Einsum", ("softmax", "value")),
    ]
    if weights.gates:
        steps.append(Step(NAMED["sigmoid"], "gate_sigmoid", "Activation", ("gate",)))
        steps.append(Step(Multiply(), "gated", "Multiply", ("context", "gate_sigmoid")))
    final = EinsumDense(f"{b}ihd,hd{o}->{b}i{o}", *weights.projections["output"])
    steps += [Step(final)] if query.plain else [Step(final, "output", "EinsumDense"), *query.spread(output)]
    if not _flag(call, "return_attention_scores"):
        return Steps(tuple(steps), ("",))
    if query.plain:
        return Steps(tuple(steps), ("", "softmax"))
    heads = call.config.integer("num_heads")
    attended = [axes.shape[axis] for axes in (query, value) for axis in axes.attended]
    probabilities = Reshape((*batch[0], heads, *attended))
    return Steps((*steps, Step(probabilities, "probabilities", "Reshape", ("softmax",))), ("", "probabilities"))


@dataclass(frozen=True, slots=True)
class _Weights:
    """Kernels, and biases if there are any, of the projections; ``gates`` says which one reads what, if there is a gate."""

    projections: dict[str, list[Floats]]
    gates: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, call: LayerCall, query: int, value: int, key: int, output: Shape) -> _Weights:
        """The weights of the call for operands of so many channels."""
        config = call.config
        heads, key_dim = config.integer("num_heads"), config.integer("key_dim")
        value_dim = config.integer("value_dim", 0) or key_dim
        if min(heads, key_dim, value_dim) < 1:
            raise config.wrong("num_heads", "positive whole numbers, as key_dim and value_dim")
        shapes = {"query": (query, heads, key_dim), "key": (key, heads, key_dim)}
        if config.flag("use_gate", False):
            shapes["gate"] = (query, heads, value_dim)
        shapes["value"] = (value, heads, value_dim)
        wanted: list[tuple[str, Shape]] = []
        biased = config.flag("use_bias", True)
        for name, shape in (*shapes.items(), ("output", (heads, value_dim, *output))):
            wanted.append((f"{name} kernel", checked_size(shape, call.where)))
            if biased:
                wanted.append((f"{name} bias", output if name == "output" else shape[1:]))
        found = call.weights(*wanted, parts=[f"{name}_dense" for name in (*shapes, "output")])
        each = 1 + biased
        names = (*shapes, "output")
        projections = {name: found[each * k : each * (k + 1)] for k, name in enumerate(names)}
        return cls(projections, (("gate", "query"),) if "gate" in shapes else ())


def _output_shape(call: LayerCall, query: Shape) -> Shape:
    given = call.config.get("output_shape")
    sizes = given if isinstance(given, list) else [given]
    output = tuple(size for size in sizes if is_integer(size) and size > 0)
    if given is not None and len(output) != len(sizes):
        raise call.config.wrong("output_shape", "positive whole numbers")
    return output or query[-1:]


def _multi_head_mask(call: LayerCall, query: _Axes, value: _Axes) -> Floats | None:
    """What every head's queries may attend to, (heads or 1, queries, values); None is everything."""
    given = call.keywords.get("attention_mask")
    window = call.config.get("sliding_window")
    causal = _flag(call, "use_causal_mask")
    if given is None and window is None and not causal:
        return None
    if not query.plain:
        raise UnsupportedError("a mask on attention along several axes", accepted="masks on attention along one axis")
    size = (query.positions, value.positions)
    mask = np.ones((1, *size), dtype=bool)
    if given is not None and not isinstance(given, tuple):
        mask = mask & _constant_mask(given, size, call.config.integer("num_heads"))
    if causal:
        mask = mask & np.tri(*size, dtype=bool)
    if window is not None:
        distance = np.abs(np.subtract.outer(np.arange(size[0]), np.arange(size[1])))
        mask = mask & (distance < call.config.integer("sliding_window"))
    return _checked_mask(mask)


def _checked_mask(mask: _Truths) -> Floats | None:
    if not bool(np.all(np.any(mask, axis=-1))):
        raise UnsupportedError(
            "a mask that leaves a query nothing to attend to, of which Keras's backends make different things",
            accepted="masks with at least one value for each query",
        )
    return None if bool(np.all(mask)) else as_weights(mask)


def _constant_mask(given: Json, size: tuple[int, int], heads: int) -> _Truths:
    """A mask as Keras takes it, (batch, queries, values) or with heads behind the batch, without its batch axis of size 1."""
    value = given
    while isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("value") if isinstance(inner, dict) else value.get("value")
    try:
        mask = np.array(value, dtype=np.float64) != 0.0
    except (ValueError, TypeError, OverflowError):
        raise UnsupportedError(f"the attention mask {shown(given)}", accepted="a constant of true and false") from None
    while mask.ndim in (2, 3):
        mask = mask[None] if mask.ndim == 2 else mask[:, None]
    if mask.ndim != 4 or not all(n in (1, m) for n, m in zip(mask.shape, (1, heads, *size), strict=True)):
        raise UnsupportedError(f"an attention mask of shape {mask.shape}", accepted=f"shape (1, {size[0]}, {size[1]})")
    return np.asarray(mask[0], dtype=np.bool_)


def _flag(call: LayerCall, key: str) -> bool:
    value = call.keywords.get(key, False)
    if value not in (True, False):
        raise UnsupportedError(f"{key} is {shown(value)}", accepted="true or false")
    return bool(value)


def _attention(call: LayerCall) -> Steps:
    """Scores are products of queries and keys, or as in additive attention."""
    query, last = _query(call)
    scaled = call.config.flag("use_scale", False)
    wanted: list[tuple[str, Shape]] = [("scale", ())] if scaled else []
    mode = call.config.text("score_mode", "dot")
    if mode not in ("dot", "concat"):
        raise call.config.wrong("score_mode", "dot or concat")
    if mode == "concat":
        wanted.append(("concat score weight", ()))
    weights = [float(values) for values in call.weights(*wanted)]
    scale = weights[0] if scaled else 1.0
    if mode == "dot":
        return _attended(call, (Step(Einsum("ic,jc->ij", scale), "scores", "Einsum", (0, last)),))
    return _attended(call, _additive_scores(call, last, scale, np.full(query[1], weights[-1])))


def _additive_attention(call: LayerCall) -> Steps:
    """D. Bahdanau et al., "Neural Machine Translation by Jointly Learning to Align and Translate", ICLR 2015, without weights."""
    query, last = _query(call)
    scaled = call.config.flag("use_scale", True)
    (scale,) = call.weights(("scale", query[1:])) if scaled else (np.ones(query[1:]),)
    return _attended(call, _additive_scores(call, last, 1.0, scale))


def _query(call: LayerCall) -> tuple[Shape, int]:
    """The shape of the query, and the number of the key among the tensors [query, value] or [query, value, key]."""
    shapes = call.shapes
    if len(call.arguments) != len(shapes) or len(shapes) not in (2, 3) or any(len(shape) != 2 for shape in shapes):
        raise UnsupportedError(f"attention of shapes {list(shapes)}", accepted="two or three tensors of two axes each")
    if shapes[0][1] != shapes[-1][1] or shapes[1][0] != shapes[-1][0]:
        raise ModelFileError(f"attention of shapes {list(shapes)}", where=call.where)
    checked_size((shapes[0][0], shapes[1][0]), call.where)
    return shapes[0], len(shapes) - 1


def _additive_scores(call: LayerCall, last: int, scale: float, weights: Floats) -> tuple[Step, ...]:
    """``sum(weights * tanh(scale * (query + key)))`` over the channels, for each pair of positions."""
    (rows, channels), (columns, _) = call.shapes[0], call.shapes[last]
    checked_size((rows, columns, channels), call.where)
    steps = [
        Step(Reshape((rows, 1, channels)), "query", "Reshape", (0,)),
        Step(Reshape((1, columns, channels)), "key", "Reshape", (last,)),
        Step(Add(), "sum", "Add", ("query", "key")),
    ]
    if scale != 1.0:
        factors = as_weights(np.full(channels, scale))
        steps.append(Step(BatchNormalization(factors, as_weights(np.zeros(channels))), "scaled", "BatchNormalization"))
    steps.append(Step(NAMED["tanh"], "tanh", "Activation"))
    return (*steps, Step(EinsumDense("ijc,c->ij", as_weights(weights)), "scores", "EinsumDense"))


def _attended(call: LayerCall, scores: Sequence[Step]) -> Steps:
    """The context for ``scores``, and the probabilities if they are asked for."""
    mask = None
    # "causal" is the spelling before Keras 2.10.
    if _flag(call, "use_causal_mask") or call.config.flag("causal", False):
        mask = _checked_mask(np.tri(call.shapes[0][0], call.shapes[1][0], dtype=bool))
    steps = (*scores, Step(Softmax(-1, mask), "softmax", "Softmax"), Step(Einsum("ij,jc->ic"), inputs=("softmax", 1)))
    return Steps(steps, ("", "softmax") if _flag(call, "return_attention_scores") else ("",))


_SWITCHES = frozenset({"use_causal_mask", "return_attention_scores"})

ATTENTION: dict[str, Translation] = {
    "MultiHeadAttention": Translation(
        _multi_head_attention,
        "EinsumDense, Einsum and Softmax",
        _SWITCHES | {"query", "value", "key", "attention_mask"},
    ),
    "Attention": Translation(_attention, "Einsum and Softmax", _SWITCHES),
    "AdditiveAttention": Translation(
        _additive_attention, "Add, Activation, EinsumDense, Softmax and Einsum", _SWITCHES
    ),
}
"""Layers by class name."""
