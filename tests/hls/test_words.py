"""Raw tensors survive the words that the bridge of a C++ project takes and gives, whatever their widths."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.hls.project import Port
from bitsmith.hls.scalar import scalar_of
from bitsmith.hls.words import pack, unpack
from bitsmith.ir.types import TensorType


@pytest.mark.parametrize("width", [7, 62, 63, 64, 65, 70, 127, 130])
@pytest.mark.parametrize("signed", [False, True])
def test_round_trip(width: int, signed: bool) -> None:
    lo, hi = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    values = [lo, hi, 0, 1, lo // 3, hi // 3, hi // 7, hi - 1]
    scalar = scalar_of(lo, hi, 3)
    port = Port("x", len(values), scalar, "t")
    kind = TensorType.of((len(values),), 3, lo, hi)
    words = pack([port], [kind], [np.array([values], dtype=np.object_)])
    assert words.shape == (1, len(values) * scalar.words)
    assert sum(int(word) << (64 * k) for k, word in enumerate(words[0, : scalar.words])) == lo % (
        1 << 64 * scalar.words
    )
    (raw,) = unpack([port], [kind], words)
    assert np.asarray(raw)[0].tolist() == values


@pytest.mark.parametrize("width", [1, 7, 62, 63, 64, 65, 127, 130])
def test_bits_above_an_unsigned_element_say_nothing(width: int) -> None:
    """C++ may extend what it has in wider types."""
    values = [0, 1, (1 << width) - 1, (1 << width) // 3]
    port = Port("x", len(values), scalar_of(0, (1 << width) - 1, 0), "t")
    kind = TensorType.of((len(values),), 0, 0, (1 << width) - 1)
    words = pack([port], [kind], [np.array([values], dtype=np.object_)]).reshape(len(values), -1)
    above = (1 << 64) - (1 << (width - 64 * (port.scalar.words - 1)))
    words[:, -1] |= np.uint64(above % (1 << 64))
    (raw,) = unpack([port], [kind], words.reshape(1, -1))
    assert np.asarray(raw)[0].tolist() == values
