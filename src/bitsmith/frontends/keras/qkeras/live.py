"""Behavior of a live model's quantizers that QKeras writes neither into JSON nor into a file."""

import sys
from collections.abc import Iterator

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.keras.quantizers.scales import AUTO

_UNSAVED = ("scale_axis", "elements_per_scale", "min_po2_exponent", "max_po2_exponent")
_SUB_LAYERS = ("layers", "layer", "forward_layer", "backward_layer", "cell")
_QUANTIZERS = ("quantizers", "quantizer", "activation", "recurrent_activation")
_MOST_LAYERS = 100_000


def check_quantizers(model: object) -> None:
    """Refuses quantizers of QKeras, in any layer, whose meaning is lost when the model is described.

    Raises:
        UnsupportedError: one of them.
    """
    for layer, quantizer in _quantizers(model):
        where, name = f"layer {shown(getattr(layer, 'name', '?'))}", type(quantizer).__name__
        given = {key: value for key in _UNSAVED if (value := getattr(quantizer, key, None)) is not None}
        if getattr(quantizer, "relu_upper_bound", None) and getattr(quantizer, "is_quantized_clip", True) is False:
            given["is_quantized_clip"] = False
        for key, value in given.items():
            raise UnsupportedError(
                f"{name} with {key}={shown(value)}, which QKeras does not save", where=where, accepted="its default"
            )
        if isinstance(alpha := getattr(quantizer, "alpha", None), str) and alpha in AUTO and _channels_first():
            raise UnsupportedError(
                f"{name} with a scale from the data after set_image_data_format('channels_first'), which QKeras does not save",
                where=where,
                accepted="'channels_last', for which scales are those of a kernel's last axis",
            )
        sigmoid = getattr(getattr(sys.modules.get("qkeras.quantizers"), "_sigmoid", None), "__name__", "hard_sigmoid")
        if sigmoid != "hard_sigmoid":
            raise UnsupportedError(
                f"{name} after set_internal_sigmoid, which QKeras does not save", where=where, accepted="'hard'"
            )


def _channels_first() -> bool:
    """Return True if the global setting, not the one of a layer, makes QKeras take scales along the first axis."""
    found = getattr(getattr(sys.modules.get("keras"), "backend", None), "image_data_format", None)
    return callable(found) and found() == "channels_first"


def _quantizers(model: object) -> Iterator[tuple[object, object]]:
    """The quantizers of QKeras in the layers of a model, with their layers."""
    seen: set[int] = set()
    pending = [model]
    while pending and len(seen) < _MOST_LAYERS:
        layer = pending.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        for key in _QUANTIZERS:
            for one in _listed(getattr(layer, key, None)):
                if type(one).__module__.startswith("qkeras."):
                    yield layer, one
        pending += [one for key in _SUB_LAYERS for one in _listed(getattr(layer, key, None)) if one is not None]


def _listed(value: object) -> list[object]:
    return [*value] if isinstance(value, list | tuple) else [value]
