"""Parts of saved models: the arrays of an npz file, and quantizers, scales and offsets as exact fractions in text.

The file is untrusted: sizes are checked before anything is read.
"""

import math
import re
import reprlib
import zipfile
from fractions import Fraction
from typing import IO

import numpy as np
import numpy.typing as npt

from bitsmith.errors import ModelFileError
from bitsmith.frontends.builder.value import MAX_ELEMENTS, MAX_WEIGHTS
from bitsmith.frontends.files.json import Json
from bitsmith.ir.types import Overflow, Rounding
from bitsmith.layers.layer import Floats, Shape, as_weights
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.quantizer import Quantizer, Retrained

_QUANTIZER_PARTS = ("scale", "step", "offset", "lo", "hi")
_FRACTION = re.compile(r"-?\d{1,400}(/\d{1,400})?")


def listed(value: Json) -> list[Json]:
    """Return a list, or raise a ValueError."""
    if not isinstance(value, list):
        raise ValueError("a list is missing")
    return value


def keyed(value: Json, what: str) -> dict[str, Json]:
    """Return an object, which is ``what``, or raise a ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")
    return value


def encode_quantizer(quantizer: Quantizer) -> Json:
    """Return a quantizer as plain values."""
    encoded = {name: _encode_fractions(getattr(quantizer, name)) for name in _QUANTIZER_PARTS}
    modes = {name: getattr(quantizer, name).value for name in ("rounding", "overflow", "retrained")}
    return {**encoded, **modes}


def decode_quantizer(value: Json) -> Quantizer:
    """Return the quantizer of plain values; they raise a ValueError or a LookupError if they are damaged."""
    parts = keyed(value, "a quantizer")
    scale, step, offset, lo, hi = (_decode_fractions(parts[name]) for name in _QUANTIZER_PARTS)
    if any(each.denominator != 1 for each in (*lo.flat, *hi.flat)):
        raise ValueError("codes that are not integers")
    lo, hi = (np.array([int(each) for each in part.flat], dtype=np.object_).reshape(part.shape) for part in (lo, hi))
    rounding, overflow = Rounding(parts["rounding"]), Overflow(parts["overflow"])
    retrained = Retrained(parts["retrained"])
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
    parts = keyed(value, "a scale")
    return Affine(_decode_fractions(parts["scale"]), _decode_fractions(parts["offset"]))


def _encode_fractions(values: npt.NDArray[np.object_]) -> Json:
    return {"shape": list(values.shape), "values": [str(value) for value in values.ravel()]}


def _decode_fractions(value: Json) -> npt.NDArray[np.object_]:
    parts = keyed(value, "an array of fractions")
    texts = [str(text) for text in listed(parts["values"])]
    if not all(_FRACTION.fullmatch(text) for text in texts):
        raise ValueError("numbers that are not fractions")
    found = np.empty(len(texts), dtype=np.object_)
    found[:] = [Fraction(text) for text in texts]
    return found.reshape([int(str(size)) for size in listed(parts["shape"])])


class Arrays:
    """The arrays of an npz file, each read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self._archive, self._where = archive, where
        self._read: dict[str, Floats] = {}

    def __getitem__(self, name: str) -> Floats:
        """An array.

        Raises:
            ModelFileError: one that is too large, alone or with those before.
        """
        if name not in self._read:
            with self._archive.open(f"{name}.npy") as file:
                self._check(*_header(file))
            with self._archive.open(f"{name}.npy") as file:
                self._read[name] = as_weights(np.lib.format.read_array(file, allow_pickle=False))
        return self._read[name]

    def _check(self, shape: Shape, kind: np.dtype[np.generic]) -> None:
        if kind.kind not in "biuf" or kind.shape:
            raise ModelFileError(f"an array of {reprlib.repr(str(kind))}", where=self._where, accepted="numbers")
        elements = math.prod(shape)
        if elements > MAX_ELEMENTS or elements + sum(array.size for array in self._read.values()) > MAX_WEIGHTS:
            accepted = f"at most {MAX_ELEMENTS} elements, and {MAX_WEIGHTS} in all"
            raise ModelFileError(f"an array of shape {shape}", where=self._where, accepted=accepted)


def _header(file: IO[bytes]) -> tuple[Shape, np.dtype[np.generic]]:
    """The shape and the type of elements that the header of an npy file says."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    return tuple(int(size) for size in shape), kind
