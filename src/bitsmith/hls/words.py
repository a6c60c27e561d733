"""Raw tensors as the 64-bit words that the bridge of a C++ project takes and gives."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bitsmith.hls.project import Port
from bitsmith.ir.types import Ints, TensorType, objects

Raws = npt.NDArray[np.int64] | npt.NDArray[np.object_]
Words = npt.NDArray[np.uint64]

_WORD = (1 << 64) - 1


def given_weights(
    ports: Sequence[Port], values: Mapping[tuple[str, str], Ints], batch: int, loads: Iterable[int]
) -> tuple[list[TensorType], list[Raws]]:
    """The types and raw values (batch, elements) of those of ``ports`` through which weights come, ``values`` by layer and name.

    What is kept is loaded before the samples of the numbers ``loads``.
    """
    types, raws = list[TensorType](), list[Raws]()
    for port in ports:
        if port.loaded is not None:
            loaded, raw = port.loaded, port.loaded.tiles(values[port.loaded.layer, port.loaded.name]).reshape(1, -1)
            types.append(loaded.token((port.size,)))
            if port.kept:
                told = np.full((1, port.size - raw.size), loaded.hi or loaded.lo, dtype=np.object_)
                rows = np.zeros((batch, port.size), dtype=np.object_)
                rows[list(loads)] = np.concatenate([told, raw], axis=1)
                raws.append(objects(rows))
            else:
                raws.append(objects(np.broadcast_to(raw, (batch, port.size))))
    return types, raws


def pack(ports: Sequence[Port], types: Sequence[TensorType], raws: Sequence[Raws]) -> Words:
    """Words (batch, words of all ``ports``) of raw tensors (batch, *shape), one per port."""
    batch = len(raws[0]) if raws else 1
    columns = [
        _words(port, raw, port.scalar.frac - kind.frac).reshape(batch, port.words)
        for port, kind, raw in zip(ports, types, raws, strict=True)
    ]
    return np.concatenate([np.empty((batch, 0), np.uint64), *columns], axis=1)


def unpack(ports: Sequence[Port], types: Sequence[TensorType], words: Words) -> list[Raws]:
    """Raw tensors (batch, *shape) of words (batch, words of all ``ports``).

    Bits that the type of an element has no room for are dropped: exact for every value of the type.
    """
    results: list[Raws] = []
    start = 0
    for port, kind in zip(ports, types, strict=True):
        part = words[:, start : start + port.words].reshape(len(words), port.size, port.scalar.words)
        start += port.words
        shape = (len(words), *kind.shape)
        if port.scalar.width <= 63:
            small = part.astype(np.int64).reshape(shape)
            if not port.scalar.signed:
                small &= (1 << port.scalar.width) - 1
            results.append(_lowered(small, port.scalar.frac - kind.frac))
            continue
        raw = objects(part[..., -1].astype(np.int64))
        for k in reversed(range(port.scalar.words - 1)):
            raw = objects((raw << 64) | objects(part[..., k]))
        if not port.scalar.signed:
            raw = objects(raw & ((1 << port.scalar.width) - 1))
        raw = objects(raw).reshape(shape)
        results.append(_lowered(raw, port.scalar.frac - kind.frac))
    return results


def _lowered(raw: Raws, shift: npt.NDArray[np.int64]) -> Raws:
    """``raw >> shift``; to the left where ``shift`` is negative, which is exact."""
    if bool(np.all(shift >= 0)):
        return raw >> shift
    return objects((objects(raw) << objects(np.maximum(-shift, 0))) >> objects(np.maximum(shift, 0)))


def _words(port: Port, raw: Raws, shift: npt.NDArray[np.int64]) -> Words:
    """The words of ``raw << shift``, which the port's format holds."""
    if raw.dtype == np.int64 and port.scalar.width <= 63:
        return (raw << shift).astype(np.uint64)
    flat = objects(objects(raw) << objects(shift)).reshape(-1)
    parts = [objects((flat >> (64 * k)) & _WORD).astype(np.uint64) for k in range(port.scalar.words)]
    return np.stack(parts, axis=-1)
