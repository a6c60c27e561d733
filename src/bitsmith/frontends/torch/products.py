"""PyTorch's products: linear layers, matrix products, Einstein sums, attention and embeddings."""

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import finite
from bitsmith.frontends.builder.value import Value, constant
from bitsmith.frontends.ops import equations
from bitsmith.frontends.ops.arithmetic import add, multiply
from bitsmith.frontends.ops.attention import Mask, attention, repeated_heads
from bitsmith.frontends.ops.contraction import affine_product, einsum
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.frontends.ops.selection import rows_of
from bitsmith.frontends.ops.shape import view
from bitsmith.frontends.torch.arithmetic import operation
from bitsmith.frontends.torch.call import Call, Counted, Operators, Result, Translation, Unknown
from bitsmith.frontends.torch.graph import Ref
from bitsmith.layers.layer import as_weights


def _product(text: str, x: str, y: str, offset: str, becomes: str) -> Translation:
    """``beta * offset + alpha * x y`` of the arguments of these names, the product in Einstein's notation."""

    def read(call: Call) -> Result:
        added = _finite(call, offset, masks=True) if call.given(offset) else None
        factors = call.scalar("alpha", 1.0), call.scalar("beta", 1.0)
        return affine_product(call.build, text, call.tensor(x), _finite(call, y), added, *factors)

    return Translation(read, becomes)


def _finite(call: Call, name: str, *, masks: bool = False) -> Value:
    """A tensor; what is trained holds no NaN, and -inf only in ``masks``."""
    x = call.tensor(name)
    if x.constant is not None:
        shown = x.constant[~np.isneginf(x.constant)] if masks and x.rank > 1 else x.constant
        finite(shown, name, call.build.where)
    return x


def _attention(call: Call) -> Result:
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    if call.number("dropout_p", 0.0) != 0.0:
        raise UnsupportedError(
            "dropout while training", accepted="evaluation", remedy="call model.eval() before the export"
        )
    if query.rank < 3:
        raise UnsupportedError(f"attention of axes {query.dims}", accepted="batch, positions and channels")
    if call.flag("enable_gqa"):
        heads = query.shape[query.axis(-3)]
        key, value = (repeated_heads(call.build, x, heads, -3, name) for x, name in ((key, "keys"), (value, "values")))
    given = (call.tensor("attn_mask"),) if call.given("attn_mask") else ()
    mask, scale = Mask(after=0 if call.flag("is_causal") else None, given=given), call.get("scale")
    scale = None if scale is None else call.number("scale")
    return attention(call.build, query, key, value, mask, scale=scale)[0]


def _bilinear(call: Call) -> Result:
    """``x weight y + bias``, the bias and the weights of each feature."""
    weight, build = call.tensor("weight"), call.build
    left = einsum(build.within("left"), "...i,kij->...kj", (call.tensor("input1"), weight))
    product = build.within("product") if call.given("bias") else build
    y = einsum(product, "...kj,...j->...k", (left, call.tensor("input2")))
    return add(build, y, call.tensor("bias")) if call.given("bias") else y


def _embedding(call: Call) -> Result:
    call.ignore("padding_idx")  # of gradients
    table, x = call.trained_value("weight"), call.tensor("indices")
    if x.batch is not None and x.batch.merged > 1:
        raise UnsupportedError("an embedding of a batch that is merged with other axes", accepted="the batch by itself")
    return rows_of(call.build, table, x)


def _starts(call: Call) -> list[list[int]]:
    """The first places of bags, for each of the builder's numbers of samples; nothing if they are computed."""
    argument = call.get("offsets")
    offsets = call.values[argument.name] if isinstance(argument, Ref) else None
    if isinstance(offsets, Counted):
        return [[*places] for places in offsets.ranges]
    constants = offsets.constant if isinstance(offsets, Value) else None
    return [] if constants is None else [constants.tolist()] * len(call.build.counts)


_MASKED = (
    "with kept = (x != padding_idx).float()[..., None], a sum is (embedding(x) * kept).sum(1), and a mean that, divided by "
    "kept.sum(1).clamp(min=1)"
)


def _bags(call: Call) -> Result:
    """Sums, means or greatest elements of the rows of each sample, whose number is the same for all."""
    x, build = call.tensor("indices"), call.build
    length = 0 if x.batch is None or x.rank != 1 else x.batch.merged
    even = length and _starts(call) == [[*range(0, count * length, length)] for count in build.counts]
    others = ["padding_idx"] * call.given("padding_idx")
    others += ["include_last_offset"] * call.flag("include_last_offset")
    if not even or others:
        raise UnsupportedError(
            others[0] if others else "bags of several lengths",
            accepted="all rows of a sample, alike",
            remedy=_MASKED if others[:1] == ["padding_idx"] else "use embedding(x).sum(1) or .mean(1)",
        )
    bags = view(build.within("bags"), x, [(count, length) for count in build.counts])
    rows = rows_of(build.within("rows"), call.trained_value("weight"), bags)
    if call.given("per_sample_weights"):  # of sums
        weights = view(
            build.within("weights"), call.tensor("per_sample_weights"), [(n, length, 1) for n in build.counts]
        )
        rows = multiply(build.within("weighted"), rows, weights)
    reducer = REDUCERS[("sum", "mean", "max")[call.integer("mode", 0)]]
    return reducer.of(build, rows, (1,)), Unknown(), Unknown(), Unknown()


def _weight_norm(call: Call) -> Result:
    """``v * g / |v|``, the length over all axes but ``dim``, which is -1 for none, of trained weights."""
    v, g, dim = call.weight("v"), call.weight("g"), call.integer("dim", 0)
    axes = tuple(axis for axis in range(v.ndim) if dim == -1 or axis != dim % v.ndim)
    return constant(as_weights(v * g / np.sqrt(np.sum(v * v, axis=axes, keepdims=True))))


_OF_GRADIENTS = ("sparse", "scale_grad_by_freq")

PRODUCTS: Operators = {
    "linear": _product("...j,kj->...k", "input", "weight", "bias", "Dense"),
    "addmm": _product("ij,jk->ik", "mat1", "mat2", "self", "Dense, or Einsum and Add").ignoring("out_dtype"),
    "addmv": _product("ij,j->i", "mat", "vec", "self", "EinsumDense, or Einsum and Add"),
    "baddbmm": _product("bij,bjk->bik", "batch1", "batch2", "self", "Einsum and Add").ignoring("out_dtype"),
    **dict.fromkeys(("matmul", "linalg_matmul", "vdot"), operation("matmul")),
    **dict.fromkeys(("mm", "bmm"), operation("matmul", "self", "mat2").ignoring("out_dtype")),
    "dot": operation("matmul", "self", "tensor"),
    "mv": operation("matmul", "self", "vec"),
    "einsum": Translation(
        lambda call: equations.einsum(call.build, call.text("equation", ""), call.tensors("tensors")),
        "Einsum or EinsumDense",
    ).ignoring("path"),  # which says the order of the products
    "bilinear": Translation(_bilinear, "EinsumDense, Einsum and Add"),
    "scaled_dot_product_attention": Translation(_attention, "Einsum and Softmax"),
    "_weight_norm": Translation(_weight_norm, "Constant"),
    "embedding": Translation(_embedding, "Embedding").ignoring(*_OF_GRADIENTS),
    "embedding_bag": Translation(_bags, "Embedding and Reduce").ignoring(*_OF_GRADIENTS),
}
