"""Random nodes with trained weights, and nodes with graphs within them."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.fidelity.onnx_draft import CLASSICAL, FUNCTIONS, SAMPLES, Draft, Tensor, UnfitError
from tests.fidelity.onnx_elements import Drawer


def _image(draft: Draft, *ranks: int) -> tuple[Tensor, int, int]:
    """A value (samples, channels, positions...), its channels, and the number of axes of positions."""
    x = draft.pick(*ranks or (3, 4, 5), test=lambda x: x.batch == 0 and min(x.shape) > 0)
    return x, x.shape[1], x.rank - 2


def _windows(draft: Draft, x: Tensor, *, dilated: bool = True) -> tuple[list[int], dict[str, object]]:
    """The sizes of windows, and attributes of where they are."""
    places = x.shape[2:]
    sizes = [draft.whole(1, min(3, n)) for n in places]
    attributes: dict[str, object] = draft.some(strides=[draft.whole(1, 3) for _ in places])
    way = draft.whole(0, 3)
    if way == 0:
        attributes["auto_pad"] = draft.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    elif way == 1:
        attributes["pads"] = [draft.whole(0, size - 1) for size in sizes * 2]
    if dilated and way != 0 and draft.chance(0.3):
        attributes["dilations"] = [draft.whole(1, 1 + (2 * k <= n)) for n, k in zip(places, sizes, strict=True)]
    return sizes, attributes


def _filters(draft: Draft, shape: list[int], units: int, fan: int) -> list[str]:
    size = 1.7 / fan**0.5
    return [draft.weights(shape, -size, size), *([draft.weights((units,))] if draft.chance(0.7) else [])]


def _conv(draft: Draft) -> None:
    x, channels, _ = _image(draft)
    groups = draft.choice([g for g in range(1, channels + 1) if channels % g == 0])
    units = groups * draft.whole(1, 3)
    sizes, attributes = _windows(draft, x)
    shape = [units, channels // groups, *sizes]
    given = _filters(draft, shape, units, int(np.prod(shape[1:])))
    if groups > 1:
        attributes["group"] = groups
    draft.node("Conv", [x.name, *given], **attributes, **draft.some(kernel_shape=sizes))


def _conv_transpose(draft: Draft) -> None:
    x, channels, rank = _image(draft, 3, 4)
    groups = draft.choice([g for g in range(1, channels + 1) if channels % g == 0])
    each = draft.whole(1, 3)
    sizes, strides = [draft.whole(1, 3) for _ in range(rank)], [draft.whole(1, 3) for _ in range(rank)]
    attributes: dict[str, object] = {"group": groups, "strides": strides}
    way = draft.whole(0, 4)
    if way == 0:
        attributes["auto_pad"] = draft.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    elif way == 1:
        attributes["pads"] = [draft.whole(0, size - 1) for size in sizes * 2]
    elif way == 2:
        attributes["output_shape"] = [
            s * (n - 1) + k - draft.whole(0, k - 1) for n, s, k in zip(x.shape[2:], strides, sizes, strict=True)
        ]
    if way in (1, 3) and draft.chance(0.7):
        attributes["output_padding"] = [draft.whole(0, s - 1) for s in strides]
    elif way != 2 and draft.chance(0.3):
        attributes["dilations"] = [draft.whole(1, 2) for _ in range(rank)]
    shape = [channels, each, *sizes]
    draft.node("ConvTranspose", [x.name, *_filters(draft, shape, each * groups, int(np.prod(shape[1:])))], **attributes)


def _pool(operator: str, draft: Draft) -> None:
    x, *_ = _image(draft)
    dilated = (operator == "MaxPool" and draft.opset >= 10) or draft.opset >= 19
    sizes, attributes = _windows(draft, x, dilated=dilated)
    if "auto_pad" in attributes:  # runtimes differ where windows leave gaps
        attributes.pop("strides", None)
    if draft.opset >= 10 and "auto_pad" not in attributes and draft.chance(0.4):
        attributes["ceil_mode"] = 1
    if operator == "AveragePool":
        attributes |= draft.some(count_include_pad=int(draft.chance()))
    draft.one(operator, x.name, kernel_shape=sizes, **attributes)


def _global(operator: str, draft: Draft) -> None:
    draft.one(operator, _image(draft)[0].name)


def _resize(draft: Draft) -> None:
    x, *_ = _image(draft)
    mode = draft.choice(("nearest", "linear"))
    attributes: dict[str, object] = {"mode": mode}
    if draft.opset >= 11:
        attributes |= draft.some(
            coordinate_transformation_mode=draft.choice(
                ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
                + (("half_pixel_symmetric",) if draft.opset >= 19 else ())
            )
        )
        if mode == "nearest":
            attributes |= draft.some(
                nearest_mode=draft.choice(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"))
            )
    scales = [1.0, 1.0, *(draft.choice((1.0, 2.0, 0.5, 1.5, 3.0, 0.75)) for _ in x.shape[2:])]
    if draft.opset == 10:
        draft.one("Resize", x.name, draft.hold(np.array(scales, np.float32)), **attributes)
        return
    region = draft.hold(np.array([], np.float32)) if draft.opset < 13 else ""
    if draft.chance():
        sizes = [max(int(n * s), 1) for n, s in zip(x.shape, scales, strict=True)]
        empty = draft.hold(np.array([], np.float32)) if draft.opset < 13 else ""
        draft.node("Resize", [x.name, region, empty, draft.integers(sizes, x)], **attributes)
    else:
        draft.node("Resize", [x.name, region, draft.hold(np.array(scales, np.float32))], **attributes)


def _upsample(draft: Draft) -> None:
    x, *_ = _image(draft, 4)
    scales = np.array([1, 1, draft.whole(1, 3), draft.whole(1, 3)], np.float32)
    draft.one("Upsample", x.name, draft.hold(scales), **draft.some(mode=draft.choice(("nearest", "linear"))))


def _batch_normalization(draft: Draft) -> None:
    x = draft.pick(2, 3, 4, 5, test=lambda x: x.batch == 0)
    shape = [x.shape[1]]
    given = [draft.weights(shape, -2, 2), draft.weights(shape), draft.weights(shape)]
    given.append(draft.weights(shape, 0.1, 3.0, plain=True))
    draft.node("BatchNormalization", [x.name, *given], **_epsilon(draft))


def _epsilon(draft: Draft) -> dict[str, float]:
    return draft.some(epsilon=draft.choice((1e-5, 1e-3, 0.1)))


def _layer_normalization(operator: str, draft: Draft) -> None:
    x = draft.pick(2, 3, 4, test=lambda x: x.batch is not None and x.batch < x.rank - 1)
    axis = draft.whole((x.batch or 0) + 1, x.rank - 1)
    given = [draft.weights(x.shape[axis:], plain=True)]
    if operator == "LayerNormalization" and draft.chance():
        given.append(draft.weights(x.shape[axis:]))
    draft.node(operator, [x.name, *given], axis=axis if draft.chance() else axis - x.rank, **_epsilon(draft))


def _instance_normalization(draft: Draft) -> None:
    x, channels, _ = _image(draft)
    if np.prod(x.shape[2:]) == 1:  # which onnxruntime is not exact with
        raise UnfitError
    draft.one("InstanceNormalization", x.name, *(draft.weights((channels,)) for _ in "ab"), **_epsilon(draft))


def _group_normalization(draft: Draft) -> None:
    x, channels, _ = _image(draft)
    groups = draft.choice([g for g in range(1, channels + 1) if channels % g == 0])
    if groups == channels and np.prod(x.shape[2:]) == 1:
        raise UnfitError
    count = groups if draft.opset < 21 else channels
    given = [draft.weights((count,)) for _ in "ab"]
    draft.one("GroupNormalization", x.name, *given, num_groups=groups, **_epsilon(draft))


def _unit(draft: Draft) -> None:
    x = draft.pick(2, 3, 4, test=lambda x: bool(x.own))
    draft.one("LpNormalization", x.name, axis=draft.choice(x.own), **draft.some(p=draft.choice((1, 2))))


def _local_response(draft: Draft) -> None:
    x, channels, _ = _image(draft, 4)
    attributes = draft.some(alpha=draft.real(0.05, 1.0), beta=draft.choice((0.5, 0.75, 1.0)), bias=draft.real(0.5, 2.0))
    draft.one("LRN", x.name, size=draft.whole(1, max(channels, 1)), **attributes)


def _matmul(draft: Draft) -> None:
    x = draft.pick(2, 3, 4, test=lambda x: x.rank - 1 in x.own)
    if draft.chance(0.4):
        fit = [y for y in draft.values if y.kind == "f" and _multiplied(x, y)]
        draft.one("MatMul", x.name, draft.choice(fit).name)
        return
    way, size = draft.whole(0, 4), x.shape[-1]
    units, bound = draft.whole(1, 4), 1.7 / size**0.5
    if way == 0:
        draft.one("MatMul", x.name, draft.weights((size,), -bound, bound))
        return
    if way == 1 and x.rank > 2 and x.batch == 0:
        draft.one("MatMul", x.name, draft.weights((*x.shape[1:-2], size, units), -bound, bound))
        return
    if way == 2 and x.rank > 2 and x.rank - 2 in x.own:
        draft.one("MatMul", draft.weights((units, x.shape[-2])), x.name)
        return
    y = draft.one("MatMul", x.name, draft.weights((size, units), -bound, bound))
    if draft.chance():
        pair = [y, draft.weights((units,))]
        draft.one("Add", *(pair if draft.chance() else pair[::-1]))


def _multiplied(x: Tensor, y: Tensor) -> bool:
    try:
        shape = np.matmul(np.empty(x.shape, bool), np.empty(y.shape, bool)).shape if x.rank > 2 <= y.rank else ()
    except ValueError:
        return False
    return SAMPLES in shape and x.batch == 0 and (y.rank == x.rank) and y.batch == 0


def _gemm(draft: Draft) -> None:
    x = draft.pick(2, test=lambda x: len(x.own) == 1)
    axis, units = x.own[0], draft.whole(1, 5)
    size, flipped = x.shape[axis], draft.chance()
    bound = 1.7 / size**0.5
    kernel = draft.weights((units, size) if flipped else (size, units), -bound, bound)
    bias = (
        [draft.weights(draft.choice(((units,), (1, units), (1,), ())))] if draft.chance(0.8) or draft.opset < 11 else []
    )
    attributes = draft.some(alpha=draft.real(-1.5, 1.5), beta=draft.real(-1.5, 1.5))
    draft.node("Gemm", [x.name, kernel, *bias], transA=int(axis == 0), transB=int(flipped), **attributes)


def _einsum(draft: Draft) -> None:
    x = draft.pick(2, 3, test=lambda x: x.batch == 0)
    letters = "nabc"[: x.rank]
    kept = "".join(letter for letter in letters[1:] if draft.chance())
    way = draft.whole(0, 3)
    if way == 0:
        draft.one("Einsum", x.name, equation=f"{letters}->n{kept}")
        return
    if way == 1:
        y = draft.choice([y for y in draft.values if y.kind == "f" and y.shape == x.shape])
        draft.one("Einsum", x.name, y.name, equation=f"{letters},{letters}->n{kept}")
        return
    if way == 2 and x.rank == 3:
        y = draft.choice([y for y in draft.values if y.rank == 3 and y.kind == "f" and y.shape[::2] == x.shape[::2]])
        draft.one("Einsum", x.name, y.name, equation="nab,ncb->nac")
        return
    units = draft.whole(1, 4)
    kernel = draft.weights((x.shape[-1], units))
    draft.one("Einsum", x.name, kernel, equation=f"{letters},{letters[-1]}z->{letters[:-1]}z")


_CELLS = {"RNN": (1, 1, 1), "GRU": (3, 2, 1), "LSTM": (4, 3, 2)}
"""Gates, activations and states."""


def _recurrent(operator: str, draft: Draft) -> None:
    gates, functions, states = _CELLS[operator]
    x = draft.pick(3, test=lambda x: x.batch in (0, 1))
    first = draft.opset >= 14 and draft.chance(0.3)
    if x.batch != (0 if first else 1):
        turned, (time, channels) = (
            draft.one("Transpose", x.name, perm=[1, 0, 2]),
            (x.shape[1 - (x.batch or 0)], x.shape[2]),
        )
    else:
        turned, (time, channels) = x.name, (x.shape[int(first)], x.shape[2])
    # onnxruntime has no layout, and ONNX's evaluator nothing but it.
    direction, units = "forward" if first else draft.choice(("forward", "reverse", "bidirectional")), draft.whole(1, 3)
    count = 2 if direction == "bidirectional" else 1
    given = [draft.weights((count, gates * units, n), plain=draft.chance()) for n in (channels, units)]
    given.append(draft.weights((count, 2 * gates * units)) if draft.chance(0.7) else "")
    lengths = draft.hold(np.array([time], np.int32))
    given.append(draft.one("Expand", lengths, draft.integers([SAMPLES], x)) if draft.chance(0.2) else "")
    for _ in range(states):
        shape = [SAMPLES, count, units] if first else [count, SAMPLES, units]
        held = draft.weights([1 if n == SAMPLES else n for n in shape], plain=True)
        given.append(draft.one("Expand", held, draft.integers(shape, x)) if draft.chance(0.4) else "")
    if operator == "LSTM" and draft.chance(0.1):
        given.append(draft.weights((count, 3 * units)))
    attributes = {"layout": 1} if first else _cell_attributes(operator, draft, functions, count)
    attributes |= {"direction": direction, "hidden_size": units}
    results = draft.node(operator, [turned, *given], 1 + states, **attributes)
    if count == 1:
        axis = 2 if first else 1
        draft.node("Squeeze", **draft.listed("Squeeze", "axes", [axis], 1, results[:1]))
    elif not first:
        turned = draft.one("Transpose", results[0], perm=[0, 2, 1, 3])
        draft.one("Reshape", turned, draft.hold(np.array([0, 0, -1])))


def _cell_attributes(operator: str, draft: Draft, functions: int, count: int) -> dict[str, object]:
    attributes: dict[str, object] = {}
    if operator == "GRU":
        attributes |= draft.some(linear_before_reset=int(draft.chance()))
    if draft.chance(0.25):
        gate, candidate = draft.choice(("Sigmoid", "HardSigmoid")), draft.choice(("Tanh", "Relu", "Softsign"))
        one = [gate, candidate, candidate][:functions] if functions > 1 else [candidate]
        attributes["activations"] = one * count
    if draft.chance(0.05):
        attributes["clip"] = 1.0
    if operator == "LSTM" and draft.chance(0.05):
        attributes["input_forget"] = 1
    return attributes


def _attention(draft: Draft) -> None:
    x = draft.pick(3, test=lambda x: x.batch == 0)
    heads, shared, each = draft.choice((1, 2)), 1, draft.whole(1, 3)
    shared = draft.choice((1, heads))
    q, k, v = (
        draft.one("MatMul", x.name, draft.weights((x.shape[2], count * each), plain=True))
        for count in (heads, shared, shared)
    )
    mask, attributes = (
        "",
        draft.some(scale=draft.real(0.2, 1.0), is_causal=int(draft.chance()), softcap=draft.real(1, 5)),
    )
    if draft.chance(0.4):
        allowed = np.tri(x.shape[1], dtype=bool)
        mask = draft.hold(
            allowed if draft.chance() else np.where(allowed, 0, draft.choice((-1e9, -1e4, -2.0))).astype(np.float32)
        )
    draft.node("Attention", [q, k, v, mask], q_num_heads=heads, kv_num_heads=shared, **attributes)


def _classical(operator: str, draft: Draft) -> None:
    x = draft.pick(2, test=lambda x: x.batch == 0)
    size = x.shape[1]
    if operator == "Scaler":
        count = draft.choice((1, size))
        numbers = {key: [draft.real(-2, 2) for _ in range(count)] for key in ("offset", "scale")}
        draft.one(operator, x.name, domain=CLASSICAL, **numbers)
        return
    if operator == "Binarizer":
        draft.one(operator, x.name, domain=CLASSICAL, threshold=draft.real(-1, 1))
        return
    if operator == "Normalizer":
        draft.one(operator, x.name, domain=CLASSICAL, norm=draft.choice(("L1", "L2")))
        return
    if operator == "ArrayFeatureExtractor":
        draft.one(operator, x.name, draft.hold(draft.rng.integers(0, size, 3)), domain=CLASSICAL)
        return
    rows = draft.whole(2, 4)
    numbers = {
        "coefficients": [draft.real(-1, 1) for _ in range(rows * size)],
        "intercepts": [draft.real(-1, 1) for _ in range(rows)],
    }
    post = draft.some(post_transform=draft.choice(("NONE", "SOFTMAX", "LOGISTIC")))
    if operator == "LinearRegressor":
        draft.one(operator, x.name, domain=CLASSICAL, targets=rows, **numbers)
        return
    labels = draft.rng.permutation(9)[:rows].tolist()
    draft.node(operator, [x.name], 2, CLASSICAL, classlabels_ints=labels, **numbers, **post)


def _body(draft: Draft, name: str, results: int = 1) -> tuple[list[onnx.NodeProto], str]:
    """Nodes of a graph within a node, that work on ``name``; and their result."""
    nodes, value = [], name
    for _ in range(draft.whole(1, 2)):
        y = draft.name("inner")
        if draft.chance():
            nodes.append(helper.make_node(draft.choice(("Relu", "Tanh", "Sigmoid", "Neg")), [value], [y], y + "_node"))
        else:
            factor = draft.name("w")
            draft.initializers[factor] = draft.known[factor] = np.float32(draft.real(-1.5, 1.5))
            nodes.append(helper.make_node(draft.choice(("Mul", "Add")), [value, factor], [y], y + "_node"))
        value = y
    return nodes, value


def _graph_of(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[tuple[str, int]]
) -> onnx.GraphProto:
    results = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs]
    return helper.make_graph(nodes, "inner", inputs, results)


def _if(draft: Draft) -> None:
    x = draft.pick()
    branches = [_body(draft, x.name) for _ in range(2)]
    one, other = (_graph_of(nodes, [], [(value, TensorProto.FLOAT)]) for nodes, value in branches)
    if draft.chance():
        condition = draft.hold(np.array(draft.chance()))
    else:
        count = draft.one("Size", draft.hold(np.zeros(draft.whole(1, 3), np.float32)))
        condition = draft.one("Equal", count, draft.hold(np.array(2)))
    draft.node("If", [condition], then_branch=one, else_branch=other)


def _loop(draft: Draft) -> None:
    x = draft.pick()
    carried, step, going, last = (draft.name(word) for word in ("carried", "step", "going", "last"))
    nodes, value = _body(draft, carried)
    seen = draft.name("seen")
    nodes += [helper.make_node("Identity", [going], [last]), helper.make_node("Identity", [value], [seen])]
    inputs = [
        helper.make_tensor_value_info(step, TensorProto.INT64, []),
        helper.make_tensor_value_info(going, TensorProto.BOOL, []),
        helper.make_tensor_value_info(carried, TensorProto.FLOAT, None),
    ]
    body = _graph_of(nodes, inputs, [(last, TensorProto.BOOL), (value, TensorProto.FLOAT), (seen, TensorProto.FLOAT)])
    on = draft.hold(np.array(True)) if draft.chance() else ""
    draft.node("Loop", [draft.hold(np.array(draft.whole(1, 3))), on, x.name], 2, body=body)


def _function(draft: Draft) -> None:
    """A function of the model's own, whose attribute a node within it takes."""
    x, name = draft.pick(), draft.name("Function")
    slope = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    inner = helper.make_node("LeakyRelu", ["a"], ["b"], "leaky")
    inner.attribute.append(slope)
    nodes = [inner, helper.make_node(draft.choice(("Add", "Sub", "Mul")), ["b", "w"], ["c"], "joined")]
    imports = [helper.make_opsetid("", draft.opset)]
    draft.functions.append(helper.make_function(FUNCTIONS, name, ["a", "w"], ["c"], nodes, imports, ["slope"]))
    for _ in range(draft.whole(1, 2)):
        draft.node(name, [x.name, draft.scalar(draft.real(-1, 1))], domain=FUNCTIONS, slope=draft.real(0.05, 0.5))


LAYERS: dict[str, Drawer] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    **{name: partial(_pool, name) for name in ("MaxPool", "AveragePool")},
    **{name: partial(_global, name) for name in ("GlobalMaxPool", "GlobalAveragePool")},
    "Resize": _resize,
    "Upsample": _upsample,
    "BatchNormalization": _batch_normalization,
    **{name: partial(_layer_normalization, name) for name in ("LayerNormalization", "RMSNormalization")},
    "InstanceNormalization": _instance_normalization,
    "GroupNormalization": _group_normalization,
    "LpNormalization": _unit,
    "LRN": _local_response,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    **{name: partial(_recurrent, name) for name in _CELLS},
    "Attention": _attention,
    **{
        f"{CLASSICAL}.{name}": partial(_classical, name)
        for name in (
            "Scaler",
            "Binarizer",
            "Normalizer",
            "ArrayFeatureExtractor",
            "LinearRegressor",
            "LinearClassifier",
        )
    },
    "If": _if,
    "Loop": _loop,
    "Function": _function,
}
"""What draws a node, by its operator."""
