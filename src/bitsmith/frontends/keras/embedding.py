"""Keras layers that take integers as indices."""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.tables import MAX_ENTRIES


def _embedding(call: LayerCall) -> Value:
    if call.config.flag("mask_zero", False):
        raise UnsupportedError(
            "mask_zero, which makes the layers after it skip index 0",
            accepted="mask_zero=False",
            remedy="train without the mask",
        )
    entries, channels = call.config.positive("input_dim"), call.config.positive("output_dim")
    if entries > MAX_ENTRIES:
        raise UnsupportedError(
            f"an embedding of {entries} entries",
            accepted=f"at most {MAX_ENTRIES}",
            remedy="keep the rows in memory beside the circuit and feed them in",
        )
    (table,) = call.weights(("embeddings", (entries, channels)))
    return call.build.emit(Embedding(table), call.x)


def _category_encoding(call: LayerCall) -> Value:
    x, tokens = call.x, call.config.integer("num_tokens")
    mode = call.config.text("output_mode", "multi_hot")
    if call.config.flag("sparse", False):
        raise UnsupportedError("sparse codes", accepted="dense ones")
    if mode == "one_hot" and x.shape[-1:] != (1,):
        return call.build.emit(OneHot(tokens), x)
    codes = call.build.emit(OneHot(tokens), x, suffix="codes")
    if mode == "one_hot":
        return call.build.viewed(codes, (*x.dims[:-1], tokens), x.batch)
    reductions = {"multi_hot": Reduction.MAX, "count": Reduction.SUM}
    if mode not in reductions or len(x.shape) != 1:
        raise UnsupportedError(
            f"the output mode {shown(mode)} of an input of shape {x.shape}",
            accepted="one_hot; multi_hot and count of inputs with one axis",
        )
    return call.build.emit(Reduce(reductions[mode], (0,)), codes)


EMBEDDINGS: dict[str, Translation] = {
    "Embedding": Translation(_embedding, "Embedding"),
    "CategoryEncoding": Translation(_category_encoding, "OneHot, and Reshape or Reduce"),
}
"""Layers by class name."""
