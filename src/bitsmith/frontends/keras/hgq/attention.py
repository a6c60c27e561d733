"""HGQ2's attention layers: quantized products around a softmax of two tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Kind, Value, constant
from bitsmith.frontends.files.json import Fields, Json
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, check_flags
from bitsmith.frontends.keras.hgq.functions import LEFT_OUT, Softmax
from bitsmith.frontends.keras.hgq.grids import quantized
from bitsmith.frontends.keras.hgq.layers import LAYERS
from bitsmith.frontends.keras.hgq.quantizers import read_quantizer, variables
from bitsmith.frontends.keras.hgq.tables_of_edges import TABLES_OF_EDGES
from bitsmith.frontends.keras.operands import Operands
from bitsmith.frontends.ops.contraction import einsum
from bitsmith.frontends.ops.logic import logical
from bitsmith.frontends.ops.spatial import pad
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Multiply

_NAMES = ("query", "key", "value")

_MASK = 6
"""The place of the mask in a call: after the operands and their masks."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"

_TABLE_KEYS = ("n_hl", "d_hl", "subnn_activation", "batch_norm", "bn_center", "bn_scale", "bn_epsilon")


@dataclass(frozen=True, slots=True)
class _Triple:
    """Query, key and value of a call, or their projections."""

    query: Value
    key: Value
    value: Value

    def items(self) -> Iterator[tuple[str, Value]]:
        """By name."""
        return ((name, {"query": self.query, "key": self.key, "value": self.value}[name]) for name in _NAMES)

    @staticmethod
    def of(call: LayerCall) -> _Triple:
        """The operands of a call: the value is by default the query, the key the value."""
        given = [call.argument(name, place) for place, name in enumerate(("query", "value", "key"))]
        masks = [call.argument(name, place) for place, name in enumerate(("query_mask", "value_mask", "key_mask"), 3)]
        query, value, key = (one if isinstance(one, Value) else None for one in given)
        if query is None or any(one is not None and not isinstance(one, Value) for one in given):
            raise call.config.error(f"called on {len(call.given.tensors)} tensors", "a query, a value and a key")
        value = query if value is None else value
        found = _Triple(query, value if key is None else key, value)
        if any(one is not None for one in (*masks, call.mask(query), call.mask(value), call.mask(found.key))):
            raise UnsupportedError("masks of the operands", accepted="attention_mask and use_causal_mask")
        return found


@dataclass(frozen=True, slots=True)
class _Class:
    """Traits of a class of attention layers: trained tables in place of products, what becomes of keys and values
    first, and of the scores.
    """

    by_tables: bool = False
    shortened: Callable[[LayerCall, _Triple], _Triple] | None = None
    mixed: Callable[[LayerCall, Value], Value] | None = None

    def read(self, call: LayerCall) -> tuple[Value, ...]:
        """The result, and the weights if they are asked for."""
        config, operands, ready = call.config, _Triple.of(call), tuple[str, ...]()
        _check(call, operands)
        if self.shortened is not None:
            if call.flag("use_causal_mask"):
                raise UnsupportedError("use_causal_mask with fewer keys than operands", accepted="other masks, or none")
            operands = self.shortened(call, operands)
        elif not self.by_tables:
            operands, ready = _fused(call, operands)
        heads, size = config.positive("num_heads"), config.positive("key_dim")
        value_size = config.positive("value_dim") if config.get("value_dim") else size
        build = replace(call.build, source="")
        sizes = {"query": size, "key": size, "value": value_size}
        tensors = {
            name: _projected(call, name, x, (heads, sizes[name]), self.by_tables, quantized_before=name in ready)
            for name, x in operands.items()
        }
        projected = _Triple(**{name: _flat(build, x, name) for name, x in tensors.items()})
        rows, columns = operands.query.dims[1:-1], operands.key.dims[1:-1]
        result, shares = self._weighed(call, build, projected, rows, columns)
        result = build.viewed(result, (1, *rows, heads, value_size), result.batch, "context_of_axes")
        y = _output(call, result, operands.query.dims[-1], self.by_tables)
        return (y, shares)[: 1 + call.flag("return_attention_scores")]

    def _weighed(
        self, call: LayerCall, build: Builder, projected: _Triple, rows: Sequence[int], columns: Sequence[int]
    ) -> tuple[Value, Value]:
        """The weighed values (batch, positions, heads, channels), and the weights (batch, heads, rows, columns)."""
        scores = einsum(build.within("scores"), "...ihd,...jhd->...hij", (projected.query, projected.key))
        scores = build.viewed(scores, (*scores.dims[:2], *rows, *columns), scores.batch, "scores_of_axes")
        least = -_greatest_score(call) if self.mixed is None else LEFT_OUT
        if self.mixed is not None:
            scores = self.mixed(call, scores)
        axes = tuple(range(scores.rank - len(columns), scores.rank))
        scaler, oq = (
            1.0 / math.sqrt(float(projected.query.dims[-1])),
            read_quantizer(call, "_softmax/oq", "softmax_oq_conf"),
        )
        stable = call.config.flag("stable_softmax", True)
        softmax = Softmax(axes, scaler, stable, None, oq, "_softmax/", "softmax_", least)
        shares = softmax.of(call, build.within("softmax"), scores, _mask(call, build, scores, len(columns)))
        flat = (1, projected.query.dims[2], math.prod(rows), math.prod(columns))
        flattened = build.viewed(shares, flat, shares.batch, "shares")
        return einsum(build.within("context"), "...hij,...jhd->...ihd", (flattened, projected.value)), shares


def part_of(call: LayerCall, part: str, x: Value, config: Mapping[str, Json], suffix: str) -> LayerCall:
    """The call of a layer that ``call``'s holds as its attribute ``part``."""
    fields = Fields(config, f"{call.config.where}, {part}")
    build = replace(call.build.within(suffix), where=fields.where)
    return replace(call, config=fields, given=Operands((x,), {}), stored=call.stored_of(part), build=build)


def _product(
    call: LayerCall,
    part: str,
    x: Value,
    equation: str,
    sizes: Sequence[int],
    bias: str | None = None,
    *,
    by_tables: bool,
    iq: bool | None = None,
    oq: bool | None = None,
) -> Value:
    """The product that is the attribute ``part``; ``sizes`` are those of the axes of its result, the batch left out.

    ``iq`` and ``oq`` say if its operand and its result are quantized; if it is left open, they are where a quantizer is stored.
    """
    values = call.config.values
    kinds = ("iq", "oq", "toq") if by_tables else ("iq", "oq", "kq", "bq")
    config: dict[str, Json] = {
        "equation": equation,
        "output_shape": [*sizes],
        "bias_axes": bias,
        "activation": "linear",
        "enable_iq": _has(call, f"{part}/iq") if iq is None else iq,
        "enable_oq": _has(call, f"{part}/oq") if oq is None else oq,
        **{f"{kind}_conf": values.get(f"qkvo_{kind}_conf") for kind in kinds},
        **{key: values[key] for key in _TABLE_KEYS if by_tables and key in values},
    }
    layer = TABLES_OF_EDGES["QEinsumDenseT"] if by_tables else LAYERS["QEinsumDense"]
    return layer.result(part_of(call, part, x, config, part.strip("_").removesuffix("_dense")))


def _has(call: LayerCall, part: str) -> bool:
    return bool(variables(call, f"{part}/quantizer"))


def _check(call: LayerCall, operands: _Triple) -> None:
    config, query, key, value = call.config, operands.query, operands.key, operands.value
    if not query.rank == key.rank == value.rank >= 3 or key.dims[:-1] != value.dims[:-1]:
        raise config.error(f"attention of shapes {[x.shape for x in (query, key, value)]}")
    axes = config.integers("attention_axes")
    if axes and axes != tuple(range(1, query.rank - 1)):
        raise UnsupportedError(f"attention along the axes {axes}", accepted="all axes between batch and channels")
    check_flags(config, use_gate=False, enable_oq=False)
    if config.get("sliding_window") is not None:
        raise UnsupportedError("sliding_window", accepted="attention_mask and use_causal_mask")


def _fused(call: LayerCall, operands: _Triple) -> tuple[_Triple, tuple[str, ...]]:
    """Operands that several projections share, quantized once by the quantizer that one of these holds; and their names."""
    groups: dict[str, tuple[str, ...]] = {"none": (), "kv": ("key", "value"), "qkv": ("key", "query", "value")}
    fuse = call.config.text("fuse", "none").lower()
    if fuse not in groups:
        raise call.config.wrong("fuse", ", ".join(groups))
    if not groups[fuse] or not call.config.flag("enable_iq", True):
        return operands, ()
    holder = next((name for name in groups[fuse] if _has(call, f"{name}_dense/iq")), None)
    if holder is None:
        raise call.config.error("the quantizer of fused operands is missing")
    iq, done = read_quantizer(call, f"{holder}_dense/iq", "qkvo_iq_conf"), dict[int, Value]()
    originals, shared = dict(operands.items()), dict(operands.items())
    for name in groups[fuse]:
        place = call.build.number(originals[name])
        if place not in done:
            done[place] = quantized(call.build, originals[name], iq, f"{name}_iq")
        shared[name] = done[place]
    return _Triple(**shared), groups[fuse]


def _projected(
    call: LayerCall, name: str, x: Value, sizes: tuple[int, int], by_tables: bool, *, quantized_before: bool
) -> Value:
    """Query, key or value: (batch, axes, heads, channels)."""
    ahead, own, inner = _LETTERS[: x.rank - 1], _LETTERS[-3], _LETTERS[-2:]
    bias = inner if call.config.flag("use_bias", True) and name != "key" else None
    iq = call.config.flag("enable_iq", True) and not quantized_before
    equation, shape = f"{ahead}{own},{own}{inner}->{ahead}{inner}", (*x.dims[1:-1], *sizes)
    return _product(call, f"{name}_dense", x, equation, shape, bias, by_tables=by_tables, iq=iq, oq=True)


def _output(call: LayerCall, x: Value, channels: int, by_tables: bool) -> Value:
    """The last product, of (batch, axes, heads, channels)."""
    sizes = call.config.integers("output_shape") or (channels,)
    if min(sizes) < 1 or x.rank + len(sizes) > len(_LETTERS) - 2:
        raise call.config.wrong("output_shape", "positive numbers")
    ahead, inner, new = _LETTERS[: x.rank - 2], _LETTERS[-2:], _LETTERS[x.rank - 2 : x.rank - 2 + len(sizes)]
    bias = new if call.config.flag("use_bias", True) else None
    equation, shape = f"{ahead}{inner},{inner}{new}->{ahead}{new}", (*x.dims[1:-2], *sizes)
    return _product(call, "output_dense", x, equation, shape, bias, by_tables=by_tables, iq=True, oq=False)


def _flat(build: Builder, x: Value, name: str) -> Value:
    """(batch, positions, heads, channels)."""
    return build.viewed(x, (1, math.prod(x.dims[1:-2]), *x.dims[-2:]), x.batch, f"{name}_positions")


def _greatest_score(call: LayerCall) -> float:
    """A power of two above the magnitudes of all products of queries and keys, as their formats bound them."""
    bits = call.config.positive("key_dim").bit_length() + 1
    for name in ("query", "key"):
        found = read_quantizer(call, f"{name}_dense/oq", "qkvo_oq_conf")
        if found is None or (found.scaler, found.slope, found.shift) != (1.0, 1.0, 0.0):
            return -LEFT_OUT
        bits += int(found.integer.max())
    return min(2.0**bits, -LEFT_OUT)


def _mask(call: LayerCall, build: Builder, scores: Value, axes: int) -> Value | None:
    """Return the keys that each query sees, for all heads."""
    masks: list[Value] = []
    argument = call.argument("attention_mask", _MASK)
    if isinstance(argument, Value) and argument.kind is Kind.BOOL and 3 <= argument.rank <= scores.rank:
        ahead = (1,) * (scores.rank - argument.rank)
        masks.append(
            build.viewed(argument, (argument.dims[0], *ahead, *argument.dims[1:]), argument.batch, "mask_of_heads")
        )
    elif argument is not None:
        remedy = "give the mask the dtype bool"
        raise UnsupportedError("an attention_mask of numbers", accepted="tensors of truth values", remedy=remedy)
    if call.flag("use_causal_mask"):
        if axes != 1:
            raise UnsupportedError("a causal mask along several axes", accepted="one axis")
        masks.append(constant(as_weights(np.tri(scores.dims[-2], scores.dims[-1])), kind=Kind.BOOL))
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else logical(Multiply(), build.within("mask"), *masks)


def _linformer(call: LayerCall, operands: _Triple) -> _Triple:
    """Keys and values along fewer positions."""
    sizes = call.config.integers("lin_kv_proj_dim")
    if len(sizes) != operands.key.rank - 2 or min(sizes, default=0) < 1:
        raise call.config.wrong("lin_kv_proj_dim", f"{operands.key.rank - 2} positive numbers")
    by_tables = call.config.text("lin_kv_proj_mode", "dense") == "dense_t"
    axes, new = _LETTERS[1 : 1 + len(sizes)], _LETTERS[1 + len(sizes) : 1 + 2 * len(sizes)]
    equation = f"a{axes}z,{axes}{new}->a{new}z"

    def shortened(part: str, x: Value) -> Value:
        return _product(call, part, x, equation, (*sizes, x.dims[-1]), by_tables=by_tables)

    return _both(call, operands, shortened)


def _both(call: LayerCall, operands: _Triple, shortened: Callable[[str, Value], Value]) -> _Triple:
    """Keys and values by one projection, or by one for each."""
    shared, key = call.config.flag("share_kv_proj", False), shortened("_lin_k_proj", operands.key)
    if shared and operands.key.node == operands.value.node:
        return replace(operands, key=key, value=key)
    return replace(operands, key=key, value=shortened("_lin_k_proj" if shared else "_lin_v_proj", operands.value))


def _salt(call: LayerCall, operands: _Triple) -> _Triple:
    """Keys and values along fewer positions, each from all others, or from a cluster of neighbors."""
    size = call.config.positive("lin_kv_proj_dim")
    if operands.key.rank != 3:
        raise UnsupportedError(f"an operand of {operands.key.rank} axes", accepted="batch, positions and channels")

    def shortened(part: str, x: Value) -> Value:
        if not call.config.flag(f"cluster_{part[5]}_proj", False):
            return _product(call, part, x, "bnd,nm->bmd", (size, x.dims[-1]), by_tables=False)
        cluster = -(-x.dims[1] // size)
        build = call.build.within(part.strip("_"))
        x = pad(build.within("padded"), x, {1: (0, cluster * size - x.dims[1])})
        x = build.viewed(x, (1, size, cluster, x.dims[-1]), x.batch, "clusters")
        return _product(call, part, x, "bmnd,mn->bmd", (size, x.dims[-1]), by_tables=False)

    return _both(call, operands, shortened)


def _convolved(call: LayerCall, scores: Value) -> Value:
    """SALT's convolution of scores along queries and keys."""
    config, heads = call.config, scores.dims[1]
    if (size := config.integer("conv_size", 3)) <= 0:
        return scores
    own: dict[str, Json] = {
        "filters": heads,
        "kernel_size": size,
        "padding": "same",
        "groups": heads if config.flag("separate_conv", False) else 1,
        "data_format": "channels_first",
        "enable_iq": _has(call, "conv/iq"),
        "enable_oq": _has(call, "conv/oq"),
        **{f"{kind}_conf": config.values.get(f"qkvo_{kind}_conf") for kind in ("iq", "oq", "kq", "bq")},
    }
    return LAYERS["QConv2D"].result(part_of(call, "conv", scores, own, "conv"))


_BECOMES = "Quantize, EinsumDense, Einsum, Reduce, Subtract, Lookup and Multiply"
_NAMED = frozenset({"query", "value", "key", "attention_mask", "use_causal_mask", "return_attention_scores"})

ATTENTION: ByClass = {
    "QMultiHeadAttention": Translation(_Class().read, _BECOMES, _NAMED),
    "QMultiHeadAttentionT": Translation(_Class(by_tables=True).read, _BECOMES, _NAMED),
    "QLinformerAttention": Translation(_Class(shortened=_linformer).read, _BECOMES, _NAMED),
    "QLinformerAttentionT": Translation(_Class(by_tables=True, shortened=_linformer).read, _BECOMES, _NAMED),
    "QSALTAttention": Translation(_Class(shortened=_salt, mixed=_convolved).read, f"{_BECOMES}; and Conv", _NAMED),
}
