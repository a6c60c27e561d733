"""The arrays of an npz file, which is untrusted: sizes are checked before anything is read."""

from __future__ import annotations

import math
import reprlib
import zipfile
from typing import IO

import numpy as np

from bitsmith.errors import ModelFileError
from bitsmith.frontends.builder.value import MAX_ELEMENTS, MAX_WEIGHTS
from bitsmith.layers.layer import Floats, Shape, as_weights


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
