"""ONNX operators that become several layers: attention, places of elements, branches; against onnxruntime, or NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_models import assert_agrees, calls, graph, node, weights

from bitsmith.compiler import compile_network
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx

N = "batch"


def attention(shapes: Sequence[Sequence[int]], mask: object = None, **attributes: object) -> onnx.ModelProto:
    """Attention on three inputs with a batch of open size, and perhaps a constant mask."""
    inputs = {name: [N, *shape] for name, shape in zip("qkv", shapes, strict=True)}
    held = {} if mask is None else {"mask": np.asarray(mask)}
    return graph([node("Attention", " ".join([*inputs, *held]), "y", **attributes)], inputs, "y", held, opset=23)


def allowed(q: int, k: int) -> np.ndarray:
    return np.arange(q)[:, None] >= np.arange(k)


def attended(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: np.ndarray | float = 0.0, scale: float = 0.0, cap: float = 0.0
) -> np.ndarray:
    """Of operands (samples, heads, places, channels)."""
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    scores = np.einsum("bhid,bhjd->bhij", q, k) * (scale or q.shape[-1] ** -0.5)
    scores = (np.tanh(scores / cap) * cap if cap else scores) + bias
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bhij,bhje->bhie", powers / powers.sum(-1, keepdims=True), v)


def with_heads(x: np.ndarray, heads: int) -> np.ndarray:
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


HEADS = ((4, 3, 2), (2, 5, 2), (2, 5, 3))
ADDED = weights(4, 3, 5) / 2
HIDDEN = np.where(allowed(3, 5), 0.0, -np.inf)

ATTENTION: dict[str, tuple[onnx.ModelProto, Callable[..., np.ndarray]]] = {
    "plain": (attention(HEADS), attended),
    "scaled": (attention(HEADS, scale=0.25), lambda *x: attended(*x, scale=0.25)),
    "causal": (attention(HEADS, is_causal=1), lambda *x: attended(*x, HIDDEN)),
    "mask": (attention(HEADS, ADDED.astype(np.float32)), lambda *x: attended(*x, ADDED)),
    "mask and causal": (
        attention(HEADS, ADDED.astype(np.float32), is_causal=1),
        lambda *x: attended(*x, ADDED + HIDDEN),
    ),
    "truth mask": (attention(HEADS, allowed(3, 5)), lambda *x: attended(*x, HIDDEN)),
    "short mask": (attention(HEADS, np.zeros((3, 4), np.float32)), lambda *x: attended(*x, [0.0] * 4 + [-np.inf])),
    "capped": (attention(HEADS, softcap=2.0), lambda *x: attended(*x, cap=2.0)),
    "flat": (
        attention(((3, 8), (5, 4), (5, 6)), q_num_heads=4, kv_num_heads=2, is_causal=1),
        lambda q, k, v: (
            attended(with_heads(q, 4), with_heads(k, 2), with_heads(v, 2), HIDDEN).swapaxes(1, 2).reshape(-1, 3, 12)
        ),
    ),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention(name: str) -> None:
    model, expected = ATTENTION[name]
    network = read_onnx(model)
    inputs = [np.asarray(x, dtype=np.float64) for x in calls(model, 4).values()]
    np.testing.assert_allclose(network.evaluate(inputs)[network.outputs[0]], expected(*inputs), rtol=1e-6, atol=1e-6)
    assert network.outputs == ("y_node",)
    assert {"y_node_scores", "y_node_softmax"} <= {one.name for one in network.nodes}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (attention(HEADS, np.zeros((3, 5), np.bool_)), "a softmax of nothing"),
        (attention(((4, 3, 2), (3, 5, 2), (3, 5, 2))), "3 heads of keys for 4 of queries"),
        (graph([node("Attention", "q q q - q q", "y")], {"q": [N, 1, 2, 2]}, "y", opset=23), "keys of the past"),
        (
            graph([node("If", "c", "y")], {"c": [N, 1], "x": [N, 1]}, "y", types={"c": np.bool_}),
            "a condition that is computed",
        ),
        (graph([node("GatherND", "x x", "y")], {"x": [N, 1]}, "y", types={"x": np.int64}), "places that are computed"),
        (
            graph(
                [node("ScatterND", "x i u", "y", reduction="mul")],
                {"x": [N, 3], "u": [N, 1]},
                "y",
                {"i": np.array([[0]])},
            ),
            "updates that are combined",
        ),
        (
            graph(
                [
                    node(
                        *("Resize", "x - - s", "y"),
                        mode="linear",
                        coordinate_transformation_mode="tf_half_pixel_for_nn",
                        nearest_mode="floor",
                    )
                ],
                {"x": [N, 1, 4]},
                "y",
                {"s": np.array([1, 1, 2])},
                opset=11,
            ),
            "coordinates 'tf_half_pixel_for_nn', rounded by 'floor'",
        ),
        (
            graph([node("GatherElements", "x i", "y", axis=1)], {"x": [N, 4]}, "y", {"i": np.array([[0, 2]])}),
            "for the first of the samples.*expand them",
        ),
        (
            graph(
                [node("ScatterElements", "x i u", "y", axis=1)],
                {"x": [N, 4], "u": [N, 2]},
                "y",
                {"i": np.array([[0, 2]])},
            ),
            "for the first of the samples",
        ),
    ],
)
def test_refusals(model: onnx.ModelProto, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        read_onnx(model)


def test_a_mask_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="all elements are -inf"):
        compile_network(read_onnx(attention(HEADS, np.full((3, 5), -np.inf, np.float32))))


def test_batch_normalization_of_vectors_that_onnxmltools_turned_around() -> None:
    """No runtime takes it; it is the same as without the transpositions."""
    tensors = {"s": weights(4), "b": weights(4) + 1.0, "m": weights(4), "v": weights(4) ** 2 + 0.5}
    nodes = [node("Transpose", "x", "t"), node("BatchNormalization", "t s b m v", "n"), node("Transpose", "n", "y")]
    plain = graph([node("BatchNormalization", "x s b m v", "y")], {"x": [N, 4]}, "y", tensors)
    x = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    wanted = read_onnx(plain).evaluate([x])
    for samples in (N, 1):
        network = read_onnx(graph(nodes, {"x": [samples, 4]}, "y", tensors))
        found = network.evaluate([x])
        np.testing.assert_allclose(found[network.outputs[0]], wanted["y_node"], rtol=1e-6)
        assert any("channels are along the first axis" in note for note in network.notes)


def index(*values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


PLACES: dict[str, onnx.ModelProto] = {
    "gather, batch last": graph(
        [
            node("Transpose", "x", "t", perm=[1, 2, 0]),
            node("GatherND", "t i", "g"),
            node("Transpose", "g", "y", perm=[1, 0]),
        ],
        {"x": [N, 3, 4]},
        "y",
        {"i": index([0, 3], [2, -1], [1, 1])},
    ),
    "gather in each sample": graph(
        [node("GatherND", "x i", "y", batch_dims=1)],
        {"x": [2, 3, 4]},
        "y",
        {"i": np.tile(index([[0], [2]]), (2, 1, 1))},
    ),
    "gather elements": graph(
        [node("Transpose", "x", "t", perm=[1, 2, 0]), node("GatherElements", "t i", "y", axis=1)],
        {"x": [3, 3, 4]},
        "y",
        {"i": np.broadcast_to(index([[0]], [[-1]], [[1]]), (3, 1, 3)).copy()},
    ),
    "gather elements of the first row": graph(
        [node("GatherElements", "x i", "y", axis=1)], {"x": [3, 4]}, "y", {"i": index([0, 2])}
    ),
    "gather elements, one sample": graph(
        [node("GatherElements", "x i", "y", axis=1)], {"x": [1, 4]}, "y", {"i": index([0, 2])}
    ),
    "scatter rows": graph(
        [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("ScatterND", "t i u", "s"),
            node("Transpose", "s", "y", perm=[1, 0, 2]),
        ],
        {"x": [N, 4, 2], "u": [2, N, 2]},
        "y",
        {"i": index([3], [-4])},
    ),
    "scatter, samples numbered": graph(
        [node("ScatterND", "x i u", "y")], {"x": [2, 4, 3], "u": [2, 3]}, "y", {"i": index([0, 2], [1, 2])}
    ),
    "scatter constants": graph(
        [
            node("Transpose", "x", "t", perm=[1, 2, 0]),
            node("ScatterND", "t i u", "s"),
            node("Transpose", "s", "y", perm=[2, 0, 1]),
        ],
        {"x": [2, 3, 2]},
        "y",
        {"i": index([0, 1], [2, 0]), "u": np.repeat(weights(2, 1), 2, axis=1)},
    ),
    "scatter elements": graph(
        [node("ScatterElements", "x i u", "y", axis=1)], {"x": [2, 4], "u": [2, 2]}, "y", {"i": index([3, 0], [3, 0])}
    ),
    "hardmax": graph([node("Hardmax", "x", "y", axis=1)], {"x": [N, 4, 3]}, "y"),
    "cumulative sums": graph(
        [
            node("CumSum", "x a", "p", exclusive=1),
            node("CumSum", "p a", "q", reverse=1),
            node("CumSum", "q a", "y", exclusive=1, reverse=1),
        ],
        {"x": [N, 4]},
        "y",
        {"a": np.array(1)},
    ),
    "one-hot in front": graph(
        [node("OneHot", "x d v", "y", axis=1)],
        {"x": [N, 3]},
        "y",
        {"d": np.array(4), "v": np.array([-1.0, 2.0])},
        types={"x": np.int64},
    ),
    "one-hot of fractions": graph(
        [node("OneHot", "x d v", "y")], {"x": [N, 5]}, "y", {"d": np.array(4.0), "v": np.array([0.0, 1.0])}
    ),
    "last extreme": graph(
        [node("Sign", "x", "s"), node("ArgMax", "s", "y", axis=1, select_last_index=1, keepdims=0)], {"x": [N, 5]}, "y"
    ),
}


TOP = {
    "attribute": graph([node("TopK", "x", "v i", k=1, axis=1)], {"x": [N, 5]}, "v i", opset=9),
    "values": graph([node("TopK", "x k", "v i", axis=1)], {"x": [N, 5, 3]}, "v", {"k": np.array([1])}),
    "indices": graph([node("TopK", "x k", "v i", sorted=0)], {"x": [N, 5, 3]}, "i", {"k": np.array([1])}),
    "least": graph([node("TopK", "x k", "v i", largest=0)], {"x": [N, 5, 3]}, "v i", {"k": np.array([1])}),
    "several": graph([node("TopK", "x k", "v i", axis=1)], {"x": [N, 5, 3]}, "v i", {"k": np.array([3])}),
    "all but one, the least": graph(
        [node("TopK", "x k", "v i", largest=0)], {"x": [N, 5]}, "v i", {"k": np.array([4])}
    ),
    "several equal": graph(
        [node("Sign", "x", "s"), node("TopK", "s k", "v i")], {"x": [N, 5]}, "v i", {"k": np.array([5])}
    ),
    "equal": graph([node("Sign", "x", "s"), node("TopK", "s k", "v i")], {"x": [N, 5]}, "i", {"k": np.array([1])}),
}


@pytest.mark.parametrize("name", TOP)
def test_the_greatest_element_and_its_place(name: str) -> None:
    assert_agrees(TOP[name])


@pytest.mark.parametrize("count", [0, 6])
def test_more_of_the_greatest_elements_than_there_are_are_refused(count: int) -> None:
    made = graph([node("TopK", "x k", "v i")], {"x": [N, 5]}, "i", {"k": np.array([count])})
    with pytest.raises(
        UnsupportedError, match=rf"the {count} greatest of 5 elements, .*; accepted: 1 to 5; end the model"
    ):
        read_onnx(made)


@pytest.mark.parametrize("name", PLACES)
def test_exact(name: str) -> None:
    assert_agrees(PLACES[name])


@pytest.mark.parametrize("size", [1, 3, 7])
def test_local_response_normalization(size: int) -> None:
    lrn = node("LRN", "x", "y", size=size, alpha=0.5, beta=0.75, bias=2.0)
    assert_agrees(graph([lrn], {"x": [N, 5, 3, 2]}, "y"), exact=False)


def test_norms_of_sizes() -> None:
    assert_agrees(graph([node("LpNormalization", "x", "y", p=1)], {"x": [N, 5]}, "y"), exact=False)
    nothing = [node("Relu", "x", "z"), node("LpNormalization", "z", "y", p=1)]  # of one element in two
    assert_agrees(graph(nothing, {"x": [N, 1]}, "y"), samples=20, exact=False)


def choice(condition: str, before: Sequence[onnx.NodeProto], held: dict[str, np.ndarray]) -> onnx.ModelProto:
    """``If`` with branches that read values around them, name values alike, and hold constants and another ``If``."""

    def branch(name: str, *nodes: onnx.NodeProto, constants: Sequence[onnx.TensorProto] = ()) -> onnx.GraphProto:
        return helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)], constants
        )

    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    inner = helper.make_node(
        "If",
        [condition],
        ["r"],
        name="which",
        then_branch=branch("a", helper.make_node("Neg", ["m"], ["r"])),
        else_branch=branch("b", helper.make_node("Abs", ["m"], ["r"])),
    )
    outer = helper.make_node(
        "If",
        [condition],
        ["c"],
        name="which",
        then_branch=branch("then", helper.make_node("Mul", ["h", "two"], ["m"], name="double"), inner, constants=[two]),
        else_branch=branch("else", helper.make_node("Identity", ["h"], ["m"]), helper.make_node("Exp", ["m"], ["r"])),
    )
    nodes = [*before, node("Relu", "x", "h"), outer, node("Add", "c h", "y")]
    return graph(nodes, {"x": [N, 3]}, "y", held)


@pytest.mark.parametrize("holds", [True, False])
def test_a_constant_condition_chooses_a_branch(holds: bool) -> None:
    network = assert_agrees(choice("k", [], {"k": np.array(holds)}), exact=False)
    assert ("double" in {one.name for one in network.nodes}) is holds


def test_a_condition_may_be_computed_from_sizes() -> None:
    before = [node("Shape", "x", "s"), node("Gather", "s one", "n"), node("Equal", "n three", "k")]
    network = assert_agrees(choice("k", before, {"one": np.array(1), "three": np.array(3)}))
    assert "double" in {one.name for one in network.nodes}


def test_graphs_within_graphs_are_bounded() -> None:
    inner = helper.make_node("Relu", ["x"], ["y"])
    for _ in range(20):
        body = helper.make_graph([inner], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        inner = helper.make_node("If", ["k"], ["y"], then_branch=body, else_branch=body)
        if inner.ByteSize() > 1 << 22:
            break
    with pytest.raises(ModelFileError, match="within"):
        read_onnx(graph([inner], {"x": [N, 3]}, "y", {"k": np.array(True)}))


def test_what_a_branch_reads_must_be_there() -> None:
    body = helper.make_graph(
        [helper.make_node("Relu", ["nowhere"], ["y"])],
        "g",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    chosen = helper.make_node("If", ["k"], ["y"], then_branch=body, else_branch=body)
    with pytest.raises(ModelFileError, match="nowhere"):
        read_onnx(graph([chosen], {"x": [N, 3]}, "y", {"k": np.array(True)}))


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("LpPool", {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [1, 0, 0, 1], "p": 1}),
        ("LpPool", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}),
        ("GlobalLpPool", {"p": 1}),
        ("GlobalLpPool", {}),
    ],
)
def test_pooling_by_norms(operator: str, attributes: dict[str, object]) -> None:
    model = graph([node(operator, "x", "y", **attributes)], {"x": [N, 2, 5, 4]}, "y", opset=18)
    assert_agrees(model, exact="p" in attributes)


def test_pooling_by_other_norms_is_refused() -> None:
    for more in ({"p": 3}, {"ceil_mode": 1}):
        with pytest.raises(UnsupportedError, match="-norm"):
            read_onnx(graph([node("LpPool", "x", "y", kernel_shape=[2], **more)], {"x": [N, 1, 4]}, "y", opset=18))


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool", "LpPool"])
def test_dilated_windows_that_runtimes_pad_differently_are_refused(operator: str) -> None:
    """By the standard 5 elements remain 5; onnxruntime pads for the window without its gaps, which leaves 4."""
    pooling = node(operator, "x", "y", kernel_shape=[2], dilations=[2], auto_pad="SAME_UPPER")
    with pytest.raises(UnsupportedError, match="dilated windows with auto_pad=SAME_UPPER"):
        read_onnx(graph([pooling], {"x": [N, 1, 5]}, "y", opset=19))


@pytest.mark.parametrize(("start", "end", "step"), [(1, 2**63 - 1, 2), (-1, -(2**63), -2), (-3, 2**31 - 1, 1)])
def test_bounds_of_slices_that_the_graph_computes(start: int, end: int, step: int) -> None:
    """As exporters write them without folding of constants: the greatest integer is no number of double precision."""
    held = {name: np.int64(value) for name, value in zip("abs", (start, end, step), strict=True)}
    nodes = [node("Unsqueeze", f"{name} zero", f"{name}1") for name in held]
    model = graph(
        [*nodes, node("Slice", "x a1 b1 one s1", "y")],
        {"x": [N, 7]},
        "y",
        {**held, "zero": np.array([0]), "one": np.array([1])},
        opset=18,
    )
    assert_agrees(model)


@pytest.mark.parametrize("table", [np.zeros((1, 8)), np.arange(8.0)[None] / 4])
def test_elements_of_a_constant_row_at_computed_places(table: np.ndarray) -> None:
    """As RoBERTa looks its token types up, by positions that it counts."""
    nodes = [node("Cast", "x", "i", to=TensorProto.INT64), node("GatherElements", "t i", "y", axis=1)]
    model = graph(nodes, {"x": [1, 5]}, "y", {"t": table}, types={"x": np.int32})
    assert_agrees(model, samples=1)
    with pytest.raises(UnsupportedError, match="computed from an input"):
        read_onnx(graph(nodes, {"x": [1, 5]}, "y", {"t": np.ones((2, 8))}, types={"x": np.int32}))


@pytest.mark.parametrize("maker", ["Log", "Sqrt", "Softmax"])
def test_tests_for_what_is_no_number(maker: str) -> None:
    """A guard of probabilities, as exporters write, does nothing; one of a logarithm would be wrong."""
    nodes = [node(maker, "x", "y"), node("IsNaN", "y", "n"), node("Where", "n c y", "z")]
    model = graph(nodes, {"x": [N, 4]}, "z", {"c": np.float32(-3.0)})
    if maker == "Softmax":
        assert_agrees(model, exact=False)
    else:
        with pytest.raises(
            UnsupportedError, match=r"n_node \(IsNaN\): a test for results of .* that are NaN or infinity"
        ):
            read_onnx(model)


@pytest.mark.parametrize(
    ("picks", "wanted"),
    [(node("Gather", "t x", "g"), [1, -3, 2, 4]), (node("OneHot", "x two t", "g"), [[-3, 1], [1, -3], [1, 1], [1, 1]])],
)
def test_elements_of_integer_tables_are_integers(picks: onnx.NodeProto, wanted: list[object]) -> None:
    """Whose quotients drop fractions."""
    nodes = [picks, node("Div", "g two", "d"), node("Cast", "d", "y", to=TensorProto.FLOAT)]
    held = {"t": np.array([3, -7, 5, 9] if picks.op_type == "Gather" else [3, -7]), "two": np.array(2)}
    network = read_onnx(graph(nodes, {"x": [N, 4]}, "y", held, types={"x": np.int64}))
    np.testing.assert_array_equal(network.evaluate([np.arange(4.0)[None]])[network.outputs[0]], [wanted])


def test_elements_at_computed_places_that_count_from_the_end() -> None:
    compared = [node("Greater", "x zero", "above"), node("Cast", "above", "number", to=TensorProto.INT64)]
    places = [node("Sub", "number three", "i"), node("GatherElements", "x i", "y", axis=1)]
    constants = {"zero": np.float64(0), "three": np.array(3)}
    assert_agrees(graph([*compared, *places], {"x": ["N", 5, 2]}, "y", constants))
