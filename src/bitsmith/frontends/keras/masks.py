"""Keras's masks of time steps: where they begin, which layers hand them on, and which work with them.

A file does not say where masks go: Keras attaches them to tensors while it calls layers. They are followed here like that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant
from bitsmith.frontends.files.json import Fields
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.ops.logic import compare, logical, where
from bitsmith.ir.ops import Relation
from bitsmith.layers.merge import Maximum
from bitsmith.layers.reduction import Reduce, Reduction

_HANDED_ON = frozenset(
    {
        *("QDense", "QDenseBatchnorm", "QActivation", "QAdaptiveActivation", "QBatchNormalization"),
        *("Dense", "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Identity", "Rescaling", "Normalization"),
        *("BatchNormalization", "GroupNormalization", "LayerNormalization", "UnitNormalization"),
        *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
        *("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention"),
    }
)
"""Layers whose result has the mask of their first operand."""

_MERGES = frozenset({"Add", "Average", "Subtract"})

_ENDS = frozenset({"MultiHeadAttention"})
"""Layers that take the masks away from their operands, also for those who read them afterwards."""

_WORK_WITH = frozenset(
    {
        *("QSimpleRNN", "QLSTM", "QGRU", "QBidirectional"),
        *(
            "TimeDistributed",
            "GlobalAveragePooling1D",
            "Softmax",
            "Concatenate",
            "Dot",
            "Maximum",
            "Minimum",
            "Multiply",
        ),
    }
)
"""Layers that do something else where a mask says so."""


_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional")


def _returns_sequences(config: Fields) -> bool:
    """Return True of a recurrent layer, or one of both directions, that gives each step, and so their mask."""
    inner = config.fields("layer").fields("config") if "layer" in config.values else config
    return inner.flag("return_sequences", False)


def masking(call: LayerCall) -> Value:
    """0 at the time steps that are left out: those all of whose elements have one value."""
    return where(call.build, _shown(call), call.x, ZERO)


MASKING = Translation(masking, "Comparison, Reduce and Where")


def _shown(call: LayerCall) -> Value:
    """1 at time steps (batch, time, 1) that have an element of another value."""
    x, build = call.x, call.build
    differs = compare(build, Relation.NE, x, constant(call.config.number("mask_value", 0.0)), "differs")
    return build.emit(Reduce(Reduction.MAX, (x.axis(-1),), keepdims=True), differs, suffix="kept", kind=Kind.BOOL)


def _of_masking(call: LayerCall) -> Value:
    kept = _shown(call)
    return call.build.viewed(kept, kept.dims[:-1], kept.batch, "mask")


def _of_embedding(call: LayerCall) -> Value | None:
    return compare(call.build, Relation.NE, call.x, ZERO, "mask") if call.config.flag("mask_zero", False) else None


_BEGINNINGS: Mapping[str, Callable[[LayerCall], Value | None]] = {"Masking": _of_masking, "Embedding": _of_embedding}


def mask_of_result(class_name: str, call: LayerCall, *, each_step: bool) -> Value | None:
    """The mask (batch, time) of what a layer gives, perhaps on ``each_step``; None if it has none.

    Raises:
        UnsupportedError: a layer that works with the mask of an operand, in a way that is not translated.
    """
    begins = class_name == "Masking" or call.config.flag("mask_zero", False)
    if each_step and (begins or any(call.mask(x) is not None for x in call.given.tensors)):
        raise UnsupportedError(
            "a mask within, or in front of, a model on each step", accepted="models without masks there"
        )
    if class_name in _BEGINNINGS:
        return _BEGINNINGS[class_name](call)
    masks = [call.mask(x) for x in call.given.tensors]
    found = [mask for mask in masks if mask is not None]
    if found and class_name in _WORK_WITH:
        raise UnsupportedError(
            "a sequence with a mask (of Masking, or of an Embedding with mask_zero)",
            accepted="masks in front of recurrent layers and attention",
            remedy="train without the mask, or pad with values that the network was trained to ignore",
        )
    if class_name in _HANDED_ON or (class_name in _RECURRENT and _returns_sequences(call.config)):
        return masks[0] if masks else None
    if class_name not in _MERGES or len(found) < len(masks) or not found:
        return None
    mask = found[0]
    for other in found[1:]:
        mask = mask if other is mask else logical(Maximum(), call.build.within("mask"), mask, other)
    return mask


def hand_on(class_name: str, call: LayerCall, result: Value, mask: Value | None, masks: dict[int, Value]) -> None:
    """Note in ``masks`` what a call changes: the ``mask`` of its result, and those of its operands."""
    if class_name in _ENDS:
        for x in call.given.tensors:
            if isinstance(x.node, int):
                masks.pop(x.node, None)
    if mask is not None and isinstance(result.node, int):
        masks[result.node] = mask
