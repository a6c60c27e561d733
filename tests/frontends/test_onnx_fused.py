"""Operators that onnxruntime's optimizers write, of the domain com.microsoft: each, and graphs that it has optimized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx_models import assert_agrees, graph, node, typed

import bitsmith
from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.onnx.read import read_onnx

N = "batch"
RNG = np.random.default_rng(29)


def numbers(*shape: int) -> npt.NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def codes(*shape: int) -> npt.NDArray[np.uint8]:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def fused(
    operator: str,
    inputs: str,
    shapes: Mapping[str, Sequence[int]],
    held: Mapping[str, npt.ArrayLike] | None = None,
    outputs: str = "y",
    **attributes: object,
) -> onnx.ModelProto:
    """One operator; inputs named i to m are integers, and the other ones numbers."""
    types = {name: np.int32 for name in shapes if name in "ijklm"}
    one = node(operator, inputs, outputs, domain="com.microsoft", **attributes)
    return graph(
        [one],
        {name: [N, *shape] for name, shape in shapes.items()},
        "y t" if outputs.endswith(" t") else "y",
        held,
        17,
        types,
    )


CONV = {"w": numbers(3, 2, 3, 3), "b": numbers(3)}
GEMM = {"w": numbers(3, 4), "b": numbers(3)}
TABLES = {"w": numbers(8, 6), "p": numbers(9, 6), "s": numbers(8, 6), "g": numbers(6), "b": numbers(6)}
TABLES["q"] = np.array([[3, 1, 0, 2]], np.int32)
MERGED = {"w": numbers(6, 24), "b": numbers(24), "a": numbers(1, 2, 4, 4)}
NORM = {"g": numbers(4), "b": numbers(4), "c": numbers(4), "k": numbers(3, 4)}
SEQUENCES = {"x": (4, 6), "u": (5, 6), "v": (5, 8)}

MODELS: dict[str, onnx.ModelProto] = {
    "gelu": fused("Gelu", "x", {"x": (4,)}),
    "quick": fused("QuickGelu", "x", {"x": (4,)}),
    "biased": fused("BiasGelu", "x b", {"x": (4,)}, {"b": numbers(4)}),
    "fast": fused("FastGelu", "x", {"x": (4,)}),
    "fast and biased": fused("FastGelu", "x b", {"x": (4,)}, {"b": numbers(4)}),
    "conv": fused("FusedConv", "x w b", {"x": (2, 5, 5)}, CONV, pads=[1, 1, 1, 1]),
    "conv and sum": fused("FusedConv", "x w - z", {"x": (2, 5, 5), "z": (3, 3, 3)}, CONV),
    "conv, sum and relu": fused("FusedConv", "x w b z", {"x": (2, 5, 5), "z": (3, 3, 3)}, CONV, activation="Relu"),
    "conv and clip": fused(
        "FusedConv", "x w b", {"x": (2, 5, 5)}, CONV, activation="Clip", activation_params=[-0.5, 0.5]
    ),
    "gemm": fused("FusedGemm", "x w b", {"x": (4,)}, GEMM, activation="Tanh", transB=1, alpha=0.5, beta=2.0),
    "gemm and elu": fused("FusedGemm", "x w", {"x": (4,)}, GEMM, activation="Elu", activation_alpha=0.5, transB=1),
    "sum normalized": fused(
        "SkipLayerNormalization", "x z g b c", {"x": (3, 4), "z": (3, 4)}, NORM, "y mean spread t", epsilon=1e-3
    ),
    "sum with a constant": fused("SkipLayerNormalization", "x k g", {"x": (3, 4)}, NORM),
    "sum by root mean square": fused("SkipSimplifiedLayerNormalization", "x z g c", {"x": (3, 4), "z": (3, 4)}, NORM),
    "words": fused("EmbedLayerNormalization", "i - w p - g b - q", {"i": (4,)}, TABLES, "y lengths t"),
    "segments": fused("EmbedLayerNormalization", "i j w p s g b", {"i": (4,), "j": (4,)}, TABLES, "y lengths"),
    "attention": fused("Attention", "x w b", {"x": (4, 6)}, MERGED, num_heads=2, scale=0.3),
    "attention, causal": fused("Attention", "x w b - - a", {"x": (4, 6)}, MERGED, num_heads=2, unidirectional=1),
    "attention, masked": fused("Attention", "x w b m", {"x": (4, 6), "m": (4,)}, MERGED, num_heads=2),
    "attention, pairs masked": fused("Attention", "x w b m", {"x": (4, 6), "m": (4, 4)}, MERGED, num_heads=2),
    "attention, wide values": fused("Attention", "x w", {"x": (4, 6)}, MERGED, num_heads=2, qkv_hidden_sizes=[6, 6, 12]),
    "heads": fused("MultiHeadAttention", "x u v", SEQUENCES, num_heads=2),
    "heads, biased": fused(
        "MultiHeadAttention", "x u v b - a", SEQUENCES, {"b": numbers(20), "a": numbers(1, 2, 4, 5)}, num_heads=2
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_operator(name: str) -> None:
    """As onnxruntime computes it."""
    assert_agrees(MODELS[name], exact=False, emulated=name in ("gelu", "conv and clip", "gemm"))


@pytest.mark.parametrize("turned", range(16))
def test_product_of_turned_operands(turned: int) -> None:
    flags = {name: turned >> k & 1 for k, name in enumerate(("transA", "transB", "transBatchA", "transBatchB"))}
    shapes = []
    for side, (rows, columns) in zip("AB", ((3, 4), (4, 5)), strict=True):
        rows, columns = (columns, rows) if flags[f"trans{side}"] else (rows, columns)
        shapes.append((rows, 2, columns) if flags[f"transBatch{side}"] else (2, rows, columns))
    nodes = [node("Reshape", "x s", "r"), node("FusedMatMul", "r w", "y", domain="com.microsoft", alpha=0.3, **flags)]
    assert_agrees(
        graph(nodes, {"x": [1, 24]}, "y", {"s": np.array(shapes[0]), "w": numbers(*shapes[1])}), emulated=False
    )


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", ["-", "z"])
def test_weights_of_few_bits(bits: int, zeros: str) -> None:
    held = {
        "w": codes(3, 3, 2 * bits),
        "s": np.abs(numbers(3, 3)) / 8,
        "z": codes(3, -(-3 * bits // 8)),
        "b": numbers(3),
    }
    model = fused("MatMulNBits", f"x w s {zeros} - b", {"x": (2, 40)}, held, bits=bits, K=40, N=3, block_size=16)
    network = assert_agrees(model, tolerance=1e-4, emulated=False)
    quantizer = network.node("y_node").quantizers["weight"]
    assert np.all(quantizer.hi - quantizer.lo == (1 << bits) - 1)


def _of_few_bits(scales: npt.NDArray[np.float32], **attributes: int) -> onnx.ModelProto:
    held = {"w": codes(3, 3, 8), "s": scales}
    return fused("MatMulNBits", "x w s", {"x": (2, 40)}, held, bits=4, K=40, N=3, block_size=16, **attributes)


def test_scales_of_few_bits_may_be_negative_or_0_as_onnxruntime_writes_them() -> None:
    scales = numbers(3, 3)
    scales[0], scales[1] = -np.abs(scales[0]), 0.0
    network = assert_agrees(_of_few_bits(scales), tolerance=1e-4, emulated=False)
    assert np.all(network.node("y_node").quantizers["weight"].scale > 0)


def test_operands_that_runtimes_round_are_said_and_compared_without() -> None:
    model = bitsmith.convert(_of_few_bits(np.abs(numbers(3, 3)), accuracy_level=4), check=True)
    assert "y_node rounds its operand in runtimes, by its accuracy_level; the circuit does not." in model.notes
    assert model.fidelity.agreement.problem is None and (model.fidelity.agreement.error or 0.0) < 1e-6
    assert not any("accuracy_level" in note for note in bitsmith.convert(_of_few_bits(np.abs(numbers(3, 3)))).notes)


def test_lengths_of_masks() -> None:
    """EmbedLayerNormalization counts the mask's ones, before which Attention finds its keys; for 0 all of them."""
    nodes = [
        node("EmbedLayerNormalization", "i - w p - g b m", "e lengths", domain="com.microsoft"),
        node("Attention", "e v c lengths", "y", domain="com.microsoft", num_heads=2),
    ]
    held = {**TABLES, "v": numbers(6, 18), "c": numbers(18)}
    model = graph(nodes, {"i": [N, 4], "m": [N, 4]}, "y", held, types={"i": np.int32, "m": np.int32})
    rng = np.random.default_rng(1)
    fed = {"i": rng.integers(0, 8, (9, 4)), "m": (np.arange(4) < rng.integers(0, 5, (9, 1))).astype(int)}
    network = read_onnx(model)
    (have,) = (network.evaluate([x.astype(np.float64) for x in fed.values()])[name] for name in network.outputs)
    session = onnxruntime.InferenceSession(typed(model).SerializeToString())
    (want,) = session.run(None, {name: x.astype(np.int32) for name, x in fed.items()})
    some = fed["m"].any(axis=1)  # else kernels add -10000 to all scores, in single precision
    np.testing.assert_allclose(have[some], want[some], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(have[~some], want[~some], rtol=1e-3, atol=1e-3)
    assert 0 < np.sum(some) < len(some)


@pytest.mark.parametrize("shape", [(4,), (4, 4)], ids=str)
@pytest.mark.parametrize("causal", [0, 1])
def test_masks_that_leave_no_key(causal: int, shape: tuple[int, ...]) -> None:
    """A query whose mask leaves none of its keys, as one of padding on the left does, sees all of them."""
    shapes = {"x": (4, 6), "m": shape}
    model = fused("Attention", "x w b m", shapes, MERGED, num_heads=2, unidirectional=causal)
    rng = np.random.default_rng(2)
    x, masks = rng.normal(0, 1, (16, 4, 6)), rng.integers(0, 2, (16, *shape))
    network = read_onnx(model)
    (have,) = (network.evaluate([x.astype(np.float32), masks.astype(np.float64)])[name] for name in network.outputs)
    session = onnxruntime.InferenceSession(typed(model).SerializeToString())
    (want,) = session.run(None, {"x": x.astype(np.float32), "m": masks.astype(np.int32)})
    np.testing.assert_allclose(have, want, rtol=1e-3, atol=1e-3)  # kernels add -10000 to scores, in single precision


def test_a_mask_that_only_lowers_scores() -> None:
    model = fused("Attention", "x w b m", {"x": (4, 6), "m": (4,)}, MERGED, num_heads=2, mask_filter_value=-3.0)
    with pytest.raises(ModelFileError, match="mask_filter_value"):
        read_onnx(model)


OPTIMIZED: dict[str, tuple[list[onnx.NodeProto], Sequence[int], dict[str, npt.ArrayLike]]] = {
    "FusedConv": ([node("Conv", "x w b", "c"), node("Relu", "c", "y")], (2, 5, 5), CONV),
    "FusedGemm": ([node("Gemm", "x w b", "c", transB=1), node("Tanh", "c", "y")], (4,), GEMM),
    "FusedMatMul": (
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "x t", "p"), node("Mul", "p f", "y")],
        (3, 4),
        {"f": np.float32(0.25)},
    ),
    "SkipLayerNormalization": (
        [node("Relu", "x", "r"), node("Add", "x r", "z"), node("LayerNormalization", "z g b", "y")],
        (3, 4),
        {"g": numbers(4), "b": numbers(4)},
    ),
    "Gelu": (
        [
            node("MatMul", "x w", "p"),
            node("Add", "p b", "a"),
            node("Div", "a root", "d"),
            node("Erf", "d", "e"),
            node("Add", "e one", "f"),
            node("Mul", "a f", "h"),
            node("Mul", "h half", "y"),
        ],
        (4,),
        {"w": numbers(4, 3), "b": numbers(3), "root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("operator", OPTIMIZED)
def test_what_the_runtime_fuses(operator: str, tmp_path: Path) -> None:
    nodes, shape, held = OPTIMIZED[operator]
    model = typed(graph(nodes, {"x": [N, *shape]}, "y", held))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimized = onnx.load(tmp_path / "fused.onnx")
    assert operator in {one.op_type for one in optimized.graph.node if one.domain == "com.microsoft"}
    assert_agrees(optimized, emulated=False)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (fused("Attention", "x w b - x", {"x": (4, 6)}, MERGED, num_heads=2), "past"),
        (fused("MultiHeadAttention", "x", {"x": (4, 2, 3, 5)}, num_heads=2), "axis of their own"),
        (fused("FusedGemm", "x w", {"x": (4,)}, GEMM, activation="Cosine", transB=1), "Cosine"),
    ],
)
def test_other_forms_are_refused(model: onnx.ModelProto, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        read_onnx(model)


def test_rows_of_each_sample_among_those_of_all() -> None:
    """As transformers exports masks with a batch of open size: from the mask as one row, at numbers counted over all samples."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Split", "shape", "samples length"),
        node("Squeeze", "samples", "count"),
        node("Range", "zero count one", "numbers"),
        node("Mul", "numbers length", "before"),
        node("Unsqueeze", "before axis", "column"),
        node("Add", "column places", "all"),
        node("Reshape", "x flat", "row"),
        node("Gather", "row all", "y"),
    ]
    held = {"zero": np.array(0), "one": np.array(1), "axis": np.array([1]), "flat": np.array([-1])}
    network = assert_agrees(graph(nodes, {"x": [N, 5]}, "y", {**held, "places": np.array([[4, 0, 2]])}))
    assert network.shapes()[network.outputs[0]] == (3,)
    with pytest.raises(UnsupportedError, match="below 5"):
        read_onnx(graph(nodes, {"x": [N, 5]}, "y", {**held, "places": np.array([[5, 0, 2]])}))
