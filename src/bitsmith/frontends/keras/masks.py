"""Keras's masks of time steps: where they begin, which layers hand them on, and which work with them.

A file does not say where masks go: Keras attaches them to tensors while it calls layers. They are followed here like that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import ZERO, Kind, Value, constant
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.operands import Constant
from bitsmith.frontends.ops.logic import compare, logical, where
from bitsmith.frontends.ops.selection import concatenate
from bitsmith.ir.ops import Relation
from bitsmith.layers.layer import as_weights
from bitsmith.layers.merge import Maximum, Multiply
from bitsmith.layers.reduction import Reduce, Reduction

_ENDS = frozenset({"MultiHeadAttention"})
"""Layers of Keras 3 that take the masks away from their operands, also for those who read them afterwards."""

_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional")

Masks: TypeAlias = Sequence[Value | None]
"""The masks (batch, time) of several tensors; None of those without one."""


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


def _of_steps(call: LayerCall, masks: Masks) -> Masks:
    """A recurrent layer that gives each step gives their mask, and so do both directions that are not merged."""
    both = "layer" in call.config.values
    own = call.config.fields("layer").fields("config") if both else call.config
    if not own.flag("return_sequences", False):
        return ()
    unmerged = "merge_mode" in call.config.values and call.config.get("merge_mode") is None
    return (*masks[:1], *masks[:1]) if unmerged else masks[:1]


def _merged(call: LayerCall, masks: Masks) -> Masks:
    """Keras 3 counts a step that counts in one operand, Keras 2 one that counts in all that have a mask."""
    present = [mask for mask in masks if mask is not None]
    if len(present) < len(masks) and call.major >= 3:
        return ()
    layer, result = Maximum() if call.major >= 3 else Multiply(), present[0]
    for other in present[1:]:
        result = result if other is result else logical(layer, call.build.within("mask"), result, other)
    return (result,)


def _extreme(call: LayerCall, masks: Masks) -> Masks:
    """Maxima, minima and products, where Keras 3 takes an operand for what it is only at steps that count."""
    return _merged(call, masks) if call.major < 3 else _refused(call, masks)


def _joined(call: LayerCall, masks: Masks) -> Masks:
    """Operands beside each other count together as those of a sum, sequences one after another as they are."""
    operands = call.given.tensors
    axis = operands[0].counted(call.config.integer("axis", -1))
    if axis == operands[0].rank - 1:
        return _merged(call, masks)
    every = [_all_counted(x) if mask is None else mask for x, mask in zip(operands, masks, strict=True)]
    if any(mask.rank != x.rank - 1 for x, mask in zip(operands, every, strict=True)):
        return _refused(call, masks)
    return (concatenate(call.build.within("mask"), every, axis),)


def _all_counted(x: Value) -> Value:
    """The mask that leaves nothing out."""
    return Value(as_weights(np.ones(x.shape[:-1])), x.shape[:-1], x.batch, kind=Kind.BOOL)


def _within_steps(call: LayerCall, masks: Masks) -> Masks:
    """A layer on each step, which has the steps' mask unless the layer would be given a part of it."""
    inner = call.config.fields("layer").text("class_name")
    return _refused(call, masks) if inner in (*_RECURRENT, *_REFUSED, *_AVERAGES, "TimeDistributed") else masks[:1]


def _none(call: LayerCall, masks: Masks) -> Masks:
    return ()


def _refused(call: LayerCall, masks: Masks) -> Masks:
    raise UnsupportedError(
        "a sequence with a mask (of Masking, or of an Embedding with mask_zero)",
        accepted="masks in front of recurrent layers, attention and GlobalAveragePooling1D",
        remedy="train without the mask, or pad with values that the network was trained to ignore",
    )


_REFUSED = ("QSimpleRNN", "QLSTM", "QGRU", "QBidirectional", "Softmax")
"""Layers that do something else where a mask says so, and are not translated with one."""

_AVERAGES = ("GlobalAveragePooling1D", "GlobalAvgPool1D")

_HANDED_ON = (
    *("QDense", "QDenseBatchnorm", "QActivation", "QAdaptiveActivation", "QBatchNormalization"),
    *("Dense", "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "ThresholdedReLU"),
    *("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization"),
    *("GroupNormalization", "LayerNormalization", "UnitNormalization"),
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout"),
    *("GaussianNoise", "ActivityRegularization"),
    *("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention"),
)

_MASKS: Mapping[str, Callable[[LayerCall, Masks], Masks]] = {
    **dict.fromkeys(_HANDED_ON, lambda call, masks: masks[:1]),
    # These lose masks in Keras 2.
    **dict.fromkeys(("Identity", "Normalization", "Rescaling"), lambda call, masks: masks[: int(call.major >= 3)]),
    **dict.fromkeys(_RECURRENT, _of_steps),
    **dict.fromkeys(("Add", "Average", "Subtract"), _merged),
    **dict.fromkeys(("Maximum", "Minimum", "Multiply"), _extreme),
    **dict.fromkeys(_AVERAGES, _none),
    "Dot": _none,
    "Concatenate": _joined,
    "TimeDistributed": _within_steps,
    **dict.fromkeys(_REFUSED, _refused),
}
"""The masks of a layer's results, by its class, from those of its operands; others lose them, as in Keras."""


def masks_of_results(class_name: str, call: LayerCall, *, each_step: bool) -> Masks:
    """The masks (batch, time) of what a layer gives, perhaps on ``each_step``; results that are not listed have none.

    Raises:
        UnsupportedError: a layer that works with the mask of an operand, in a way that is not translated.
    """
    begins = class_name == "Masking" or call.config.flag("mask_zero", False)
    masks = [call.mask(x) for x in call.given.tensors]
    masked = any(mask is not None for mask in masks)
    if each_step and (begins or masked):
        raise UnsupportedError(
            "a mask within, or in front of, a model on each step", accepted="models without masks there"
        )
    if class_name in _BEGINNINGS:
        return (_BEGINNINGS[class_name](call),)
    return _MASKS.get(class_name, _none)(call, masks) if masked else ()


def with_masks(call: LayerCall) -> LayerCall:
    """The call with its argument ``mask``, of the operand or of each, as Keras's masks of them."""
    own, operands = call.given.kwargs.get("mask", ()), call.given.args
    if all(one == Constant(None) for one in own):
        return call
    if any(isinstance(one, Constant) and one.value is not None for one in own) or len(own) > len(operands):
        raise UnsupportedError("a constant mask", accepted="tensors, or none")
    named: dict[int, Value | None] = {}
    for x, one in zip(operands, own, strict=False):
        if isinstance(x, Value) and isinstance(x.node, int):
            mask = one if isinstance(one, Value) else None
            if named.setdefault(x.node, mask) is not mask or (mask is None and call.mask(x) is not None):
                raise UnsupportedError("several masks of one operand", accepted="one mask, or none")
    masks = {**call.masks, **{node: mask for node, mask in named.items() if mask is not None}}
    others = {key: items for key, items in call.given.kwargs.items() if key != "mask"}
    return replace(call, given=replace(call.given, kwargs=others), masks=masks, masked=True)


def hand_on(class_name: str, call: LayerCall, results: Sequence[Value], own: Masks, masks: dict[int, Value]) -> None:
    """Note in ``masks`` what a call changes: those that were ``own`` of its results, and those of its operands."""
    if class_name in _ENDS and call.major >= 3:
        for x in call.given.tensors:
            if isinstance(x.node, int):
                masks.pop(x.node, None)
    for result, mask in zip(results, own, strict=False):
        if mask is not None and isinstance(result.node, int):
            masks[result.node] = mask
