"""Quantizers, scales and offsets of saved models: numbers as exact fractions in text."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bitsmith.frontends.files.json import Json
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.quantizer import Quantizer, Retrained

_QUANTIZER_PARTS = ("scale", "step", "offset", "lo", "hi")
_FRACTION = re.compile(r"-?\d{1,400}(/\d{1,400})?")


def listed(value: Json) -> list[Json]:
    """Return a list, or raise a ValueError."""
    if not isinstance(value, list):
        raise ValueError("a list is missing")
    return value


def encode_quantizer(quantizer: Quantizer) -> Json:
    """Return a quantizer as plain values."""
    encoded = {name: _encode_fractions(getattr(quantizer, name)) for name in _QUANTIZER_PARTS}
    modes = {name: getattr(quantizer, name).value for name in ("rounding", "overflow", "retrained")}
    return {**encoded, **modes}


def decode_quantizer(value: Json) -> Quantizer:
    """Return the quantizer of plain values; they raise a ValueError or a LookupError if they are damaged."""
    if not isinstance(value, dict):
        raise ValueError("a quantizer that is not an object")
    scale, step, offset, lo, hi = (_decode_fractions(value[name]) for name in _QUANTIZER_PARTS)
    if any(each.denominator != 1 for each in (*lo.flat, *hi.flat)):
        raise ValueError("codes that are not integers")
    lo, hi = (np.array([int(each) for each in part.flat], dtype=np.object_).reshape(part.shape) for part in (lo, hi))
    rounding, overflow = Rounding(value["rounding"]), Overflow(value["overflow"])
    retrained = Retrained(value.get("retrained", Retrained.REJECTED.value))
    return Quantizer.uniform(scale, lo, hi, rounding, overflow, step=step, offset=offset, retrained=retrained)


def encode_affine(affine: Affine | None) -> Json:
    """Return scales and offsets as plain values."""
    if affine is None:
        return None
    return {"scale": _encode_fractions(affine.scale), "offset": _encode_fractions(affine.offset)}


def decode_affine(value: Json) -> Affine | None:
    """Return scales and offsets of plain values; they raise a ValueError or a LookupError if they are damaged."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("a scale that is not an object")
    return Affine(_decode_fractions(value["scale"]), _decode_fractions(value["offset"]))


def _encode_fractions(values: npt.NDArray[np.object_]) -> Json:
    return {"shape": list(values.shape), "values": [str(value) for value in values.ravel()]}


def _decode_fractions(value: Json) -> npt.NDArray[np.object_]:
    if not isinstance(value, dict):
        raise ValueError("numbers that are not an object")
    texts = [str(text) for text in listed(value["values"])]
    if not all(_FRACTION.fullmatch(text) for text in texts):
        raise ValueError("numbers that are not fractions")
    found = np.empty(len(texts), dtype=np.object_)
    found[:] = [Fraction(text) for text in texts]
    return found.reshape([int(str(size)) for size in listed(value["shape"])])
