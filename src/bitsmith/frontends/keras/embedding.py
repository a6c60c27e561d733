"""Keras layers that take whole numbers as indices."""

from __future__ import annotations

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.call import LayerCall, Step, Translation, checked_size, unary
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.layer import Layer
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.shape import Reshape
from bitsmith.layers.tables import MAX_ENTRIES


def _embedding(call: LayerCall) -> Layer:
    if call.config.flag("mask_zero", False):
        raise UnsupportedError(
            "mask_zero, which makes the layers behind it skip index 0",
            accepted="mask_zero=False",
            remedy="train without the mask",
        )
    entries, channels = call.config.integer("input_dim"), call.config.integer("output_dim")
    for key, size in (("input_dim", entries), ("output_dim", channels)):
        if size < 1:
            raise call.config.wrong(key, "a positive whole number")
    checked_size((*call.shape, channels), call.where)
    if entries > MAX_ENTRIES:
        raise UnsupportedError(
            f"an embedding of {entries} entries",
            accepted=f"at most {MAX_ENTRIES}",
            remedy="keep the rows in memory beside the circuit and feed them in",
        )
    (table,) = call.weights(("embeddings", (entries, channels)))
    return Embedding(table)


def _category_encoding(call: LayerCall) -> tuple[Step, ...]:
    shape, tokens = call.shape, call.config.integer("num_tokens")
    mode = call.config.text("output_mode", "multi_hot")
    if call.config.flag("sparse", False):
        raise UnsupportedError("sparse codes", accepted="dense ones")
    checked_size((*shape, max(tokens, 1)), call.where)
    if mode == "one_hot":
        codes = OneHot(tokens)
        if shape[-1:] != (1,):
            return (Step(codes),)
        return Step(codes, "codes"), Step(Reshape((*shape[:-1], tokens)))
    reductions = {"multi_hot": Reduction.MAX, "count": Reduction.SUM}
    if mode not in reductions or len(shape) != 1:
        raise UnsupportedError(
            f"the output mode {shown(mode)} of an input of shape {shape}",
            accepted="one_hot; multi_hot and count of inputs with one axis",
        )
    return Step(OneHot(tokens), "codes"), Step(Reduce(reductions[mode], (0,)))


EMBEDDINGS: dict[str, Translation] = {
    "Embedding": Translation(unary(_embedding), "Embedding"),
    "CategoryEncoding": Translation(_category_encoding, "OneHot, and Reshape or Reduce"),
}
"""Layers by class name."""
