# ruff: noqa: B905 - zip has no `strict` before Python 3.10, and boards have older ones.
"""Driver of the circuit @top@: real numbers in, the circuit's results out, bit for bit those of bitsmith's ``predict``.

It needs numpy only. ``predict(inputs, exchange)`` quantises, packs, has ``exchange`` move the bytes, and unpacks. What moves
them: `Dma` on a Zynq board with PYNQ (the circuit's ``_axil`` wrapper), `Serial` on a board with a serial port (its ``_uart``
wrapper), or any function that takes the bytes of each input stream and the number of bytes wanted of each output stream.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DESIGN: dict[str, Any] = json.loads("@design@")
"""Description of the circuit: its inputs' types, and its streams (tokens of a frame; runs of elements of one format)."""

_MACHINE_BITS = 53
"""Wider values are Python's integers."""

SECONDS = 10.0
"""Seconds that a circuit may take for a command, and for each MiB that it moves."""

SLOWEST_HZ = 1e7
"""A clock that is slower than that of any circuit."""


def patience(seconds: float, moved: int, frames: int) -> float:
    """Seconds after which moving so many bytes of ``frames`` has failed.

    They are ``seconds``, as long again for each MiB, and what the circuit takes for the frames at the slowest clock.
    """
    cycles: int = DESIGN["interval"]
    return seconds * (1 + moved / (1 << 20)) + frames * cycles / SLOWEST_HZ


def until(done: Callable[[], bool], complaint: str, seconds: float = SECONDS, moved: int = 0, frames: int = 0) -> None:
    """Wait until ``done()``, at most the `patience` for the bytes ``moved`` of ``frames``; then TimeoutError."""
    last = time.monotonic() + patience(seconds, moved, frames)
    while True:
        late = time.monotonic() > last
        if done():
            return
        if late:
            raise TimeoutError(complaint)


@dataclass(frozen=True)
class Stream:
    """A stream: bits, sign and fractional bits of the elements of a token, tokens of a frame, shapes of the tensors in it.

    A token is transferred in beats of ``beat`` bytes, with zeros above its elements.
    """

    widths: tuple[int, ...]
    signed: tuple[bool, ...]
    fracs: tuple[int, ...]
    tokens: int
    shapes: tuple[tuple[int, ...], ...]
    beat: int

    @property
    def beats(self) -> int:
        """Beats of a token."""
        return -(-sum(self.widths) // (8 * self.beat))

    @property
    def token_bytes(self) -> int:
        return self.beats * self.beat

    @property
    def frame_bytes(self) -> int:
        return self.tokens * self.token_bytes

    def pack(self, tensors: Sequence[Any], fracs: Sequence[Any] = ()) -> bytes:
        """Raw values, one array (frames, *shape) per tensor, as the bytes of all frames' tokens.

        ``fracs`` are the tensors' own fractional bits, by default those of the stream.
        """
        frames = len(tensors[0])
        columns = np.concatenate([x.reshape(frames * self.tokens, -1) for x in tensors], axis=1)
        own = [np.broadcast_to(frac, shape).reshape(self.tokens, -1) for frac, shape in zip(fracs, self.shapes)]
        finer = np.array(self.fracs) - np.concatenate(own, axis=1) if own else np.zeros(1)
        if np.any(finer):
            rows = columns.reshape(frames, self.tokens, -1).astype(object)
            columns = (rows << finer.astype(object)).reshape(columns.shape)
        bits = np.zeros((len(columns), 8 * self.token_bytes), dtype=np.uint8)
        low = 0
        for first, last in self._runs():
            width = self.widths[first]
            found = (columns[:, first:last, None] >> np.arange(width)) & 1
            bits[:, low : low + width * (last - first)] = found.reshape(len(columns), -1).astype(np.uint8)
            low += width * (last - first)
        return np.packbits(bits, axis=1, bitorder="little").tobytes()

    def unpack(self, data: bytes) -> list[Any]:
        """The reverse of ``pack``, as real numbers."""
        rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, self.token_bytes)
        frames = len(rows) // self.tokens
        bits = np.unpackbits(rows, axis=1, bitorder="little")
        columns = np.zeros((len(rows), len(self.widths)))
        low = 0
        for first, last in self._runs():
            width, high = self.widths[first], low + self.widths[first] * (last - first)
            kind: Any = object if width > _MACHINE_BITS else np.int64
            weights = np.array([1 << k for k in range(width)], dtype=kind)
            if self.signed[first]:
                weights[-1] = -weights[-1]
            raw = bits[:, low:high].reshape(len(rows), last - first, width).astype(kind) @ weights
            columns[:, first:last] = _real(raw, self.fracs[first])
            low = high
        tensors, at = [], 0
        for shape in self.shapes:
            size = int(np.prod(shape, dtype=np.int64)) // self.tokens
            tensors.append(columns[:, at : at + size].reshape(frames, *shape))
            at += size
        return tensors

    def _runs(self) -> list[tuple[int, int]]:
        """Neighboring elements of one format, from, to."""
        formats = list(zip(self.widths, self.signed, self.fracs))
        starts = [k for k in range(len(formats)) if k == 0 or formats[k] != formats[k - 1]]
        return list(zip(starts, [*starts[1:], len(formats)]))


def _real(raw: Any, frac: int) -> Any:
    if raw.dtype != object:
        return np.ldexp(raw.astype(np.float64), -frac)
    scaled = [int(x) / (1 << frac) if frac >= 0 else float(int(x) << -frac) for x in raw.reshape(-1)]
    return np.array(scaled, dtype=np.float64).reshape(raw.shape)


def _streams(described: Sequence[dict[str, Any]]) -> list[Stream]:
    streams = []
    for stream in described:
        elements = [(width, signed, frac) for count, width, signed, frac in stream["runs"] for _ in range(count)]
        widths, signs, fracs = (tuple(element[k] for element in elements) for k in range(3))
        shapes = tuple(tuple(shape) for shape in stream["shapes"])
        streams.append(Stream(widths, signs, fracs, stream["tokens"], shapes, stream["beat"]))
    return streams


INPUTS = _streams(DESIGN["inputs"])
OUTPUTS = _streams(DESIGN["outputs"])
SAMPLES: int = DESIGN["samples"]
"""Samples of a frame, which the circuit computes together; the last frame is filled up with its last sample."""
IMAGES: int = len(DESIGN["images"])
"""Streams of weights that lie in a memory, the last ones of `INPUTS`: their bytes are given once, and go with each frame."""
LOADS: list[str] = [about["port"] for about in DESIGN["weights"] if not about["external"]]
"""Streams of weights for memories that can be loaded, in the order of their engines after those of `INPUTS`."""


def quantize(index: int, x: Any) -> Any:
    """Raw values of input ``index`` for real ``x`` (samples, *shape), rounded and limited as its type requires."""
    return _limited(*_on_its_grid(index, x), DESIGN["tensors"][index]["overflow"])


def beyond(index: int, x: Any) -> int:
    """The number of elements of ``x`` outside the range of input ``index``, which `quantize` limits."""
    rounded, lo, hi = _on_its_grid(index, x)
    return int(np.sum((rounded < lo) | (rounded > hi)))


def _on_its_grid(index: int, x: Any) -> tuple[Any, Any, Any]:
    """``x`` in steps of input ``index``, rounded, and the least and the greatest raw value there."""
    about = DESIGN["tensors"][index]
    x, shape = _numbers(f"input {about['name']!r}", x), tuple(about["shape"])
    if not x.ndim or x.shape[1:] != shape or not len(x):
        raise ValueError(f"input {about['name']!r} has shape {x.shape}, not (samples, {', '.join(map(str, shape))})")
    if x.dtype.kind in "iu" and np.any((x > 1 << _MACHINE_BITS) | (x < -(1 << _MACHINE_BITS))):
        raise ValueError(f"input {about['name']!r} has integers beyond {_MACHINE_BITS} bits; give real numbers")
    x = x.astype(np.float64)
    if not np.all(np.isfinite(x)):
        raise ValueError(f"input {about['name']!r} has values that are NaN or infinite; leave these frames out")
    frac, lo, hi = (np.broadcast_to(np.array(about[key], dtype=object), shape) for key in ("frac", "lo", "hi"))
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(x, frac.astype(np.int64))
    # What is far below half a step acts alike, whatever its size, as long as it does not vanish.
    scaled = np.where((x != 0) & (np.abs(scaled) < 2.0**-60), np.copysign(2.0**-60, x), scaled)
    return _with_its_codes(x, _rounded(scaled, about["rounding"]), frac.astype(np.int64), about["ladders"]), lo, hi


def _with_its_codes(x: Any, raw: Any, frac: Any, ladders: Sequence[Any]) -> Any:
    """``raw`` of ``x``, or a neighbor, so that the circuit's quantizers give it the codes of ``x``, as the emulator does."""
    moved = raw + np.where(x > np.ldexp(raw, -frac), 1.0, -1.0)
    kept = [np.all([_codes(np.ldexp(y, -frac), *k) == _codes(x, *k) for k in ladders], axis=0) for y in (raw, moved)]
    return np.where(kept[1] & ~kept[0], moved, raw)


def _codes(x: Any, scale: Any, units: Any, shift: Any, offset: Any, least: Any, most: Any, mode: str) -> Any:
    x = np.clip(x, -(2.0**100), 2.0**100)
    half = np.rint(2.0 * ((x * units + shift) / np.array(scale) + offset)) / 2.0
    times, (coarse, near) = half - offset, (np.asarray(each, np.float32).astype(np.float64) for each in (scale, x))
    product, apart = near * units, near * units - times * coarse
    lost = (product - (apart - (apart - product))) - (times * coarse + (apart - product))  # where a shift cancels it
    side = np.sign(((apart + shift) + lost) + ((x - near) * units - times * (scale - coarse))) * np.sign(scale)
    return np.clip(_rounded(half + side / 4.0, mode), least, most)


def _numbers(name: str, values: Any) -> Any:
    """``values`` as an array of real numbers; other kinds, of which a part would be lost, are refused as by the model."""
    x = np.asarray(values)
    if x.dtype.kind not in "fiub" or x.dtype.itemsize > 8:
        raise ValueError(f"{name}: an array of {x.dtype}, not of float16, float32, float64, integers or booleans")
    return x


def _rounded(x: Any, mode: str) -> Any:
    """Whole numbers in floating point: magnitude and fraction are exact, ties and sign decide."""
    if mode == "RND_CONV":
        return np.rint(x)
    whole = np.floor(np.abs(x))
    with np.errstate(invalid="ignore"):
        rest = np.abs(x) - whole
    tie = rest == 0.5
    up = {
        "TRN": (x < 0) & (rest > 0),
        "TRN_ZERO": np.zeros_like(tie),
        "RND": (rest > 0.5) | (tie & (x > 0)),
        "RND_ZERO": rest > 0.5,
        "RND_INF": (rest > 0.5) | tie,
        "RND_MIN_INF": (rest > 0.5) | (tie & (x < 0)),
    }[mode]
    return np.copysign(whole + up, x)


def _limited(x: Any, lo: Any, hi: Any, mode: str) -> Any:
    """Whole numbers within ``lo..hi``, as integers."""
    # From 2**1024 on (infinite here) all are multiples of the range, as is everything long before.
    x = np.where(np.isinf(x), 0.0, x) if mode == "WRAP" else np.clip(x, -(2.0**1000), 2.0**1000)
    if max(int(np.max(hi)), -int(np.min(lo))) < 1 << (_MACHINE_BITS - 1):
        least, most, span = (np.asarray(each, dtype=np.float64) for each in (lo, hi, hi - lo + 1))
        if mode == "WRAP":
            x = np.fmod(x, span)
            x = np.where(x < least, x + span, x)
            x = np.where(x > most, x - span, x)
            return x.astype(np.int64)
        if mode == "SAT_ZERO":
            return np.where((x < least) | (x > most), 0.0, x).astype(np.int64)
        return np.clip(x, np.maximum(least, -most) if mode == "SAT_SYM" else least, most).astype(np.int64)
    exact = np.array([int(value) for value in x.reshape(-1)], dtype=object).reshape(x.shape)
    if mode == "WRAP":
        return (exact - lo) % (hi - lo + 1) + lo
    if mode == "SAT_ZERO":
        return np.where((exact < lo) | (exact > hi), 0, exact)
    return np.minimum(np.maximum(exact, np.maximum(lo, -hi) if mode == "SAT_SYM" else lo), hi)


@dataclass(frozen=True)
class Range:
    """A tensor at the streams of a circuit, as its monitor has seen it since the last reset.

    Attributes:
        name: of the tensor, and if it is an ``input`` or ``output``.
        least, most: of all its elements that passed.
        expected: least and most of the calibration data, or of the type.
        beyond: tokens with an element outside of these.
        bins, shares: tokens by their greatest element, and the shares of those of the calibration data (empty without).
    """

    name: str
    least: float
    most: float
    expected: tuple[float, float]
    beyond: int
    bins: Sequence[int]
    shares: Sequence[float]

    @property
    def drift(self) -> float:
        """The share of tokens that are in other bins than those of the calibration data: from 0 to 1."""
        total = sum(self.bins)
        if not total or not self.shares:
            return 0.0
        return sum(abs(count / total - share) for count, share in zip(self.bins, self.shares)) / 2

    def __str__(self) -> str:
        text = f"{self.name}: {self.least:g} to {self.most:g} in {sum(self.bins)} tokens"
        source = "calibration" if self.shares else "its type"
        if self.beyond:
            least, most = self.expected
            text += f", {self.beyond} of them beyond {source} ({least:g} to {most:g})"
        return text + (f", drift {self.drift:.2f}" if self.shares else "")


def weights(
    layer: str,
    kernel: Any = None,
    bias: Any = None,
    recurrent_kernel: Any = None,
    recurrent_bias: Any = None,
    peephole: Any = None,
) -> dict[str, bytes]:
    """The bytes of a layer's weights for each stream that they go through, by the stream's name.

    Real numbers in the layout of the model that was converted, as `load_weights` of bitsmith takes them: PyTorch's (out, in),
    ONNX's with its directions, gates in the framework's order. They are rounded to the nearest value of their format.
    """
    variables = "weight", "bias", "recurrent_weight", "recurrent_bias", "peephole_weight"
    tensors = dict(zip(variables, (kernel, bias, recurrent_kernel, recurrent_bias, peephole)))
    chosen = {name: values for name, values in tensors.items() if values is not None}
    places = [(about, (about["layer"], about["name"]), about["cell"]) for about in DESIGN["weights"]]
    own = [(about, own[1] if own[0] == layer else cell[1]) for about, own, cell in places if layer in (own[0], cell[0])]
    packed, names = {}, [name for _, name in own]
    for about, name in own:
        argument, shapes = about["argument"], about["shapes"][: 1 if names.count(name) > 1 else None]
        if name not in chosen and argument in chosen and list(np.shape(chosen[argument])) == shapes[0]:
            name = argument  # the bias of a GRU, in two rows
        if name in chosen:
            raw = _tiles(about, _elements(about, chosen[name], shapes))
            (stream,) = _streams([about["stream"]])
            packed[about["port"]] = stream.pack([raw.reshape(1, stream.tokens, -1)])
    unknown = chosen.keys() - set(names)
    if unknown or not chosen:
        known = sorted({about["cell"][0] for about in DESIGN["weights"]})
        raise ValueError(
            f"layer {layer!r} takes no {', '.join(sorted(unknown)) or 'empty load'}; layers with weights: {known}"
        )
    return packed


def _elements(about: dict[str, Any], values: Any, shapes: Sequence[list[int]]) -> Any:
    """The elements of a tensor of weights from the one of the user's model, or from the part of that one that it is made of."""
    x = _numbers(f"{about['layer']}: {about['name']}", values).astype(np.float64)
    if list(x.shape) not in shapes:
        accepted = " or ".join(str(tuple(shape)) for shape in shapes)
        raise ValueError(f"{about['layer']}: {about['name']} of shape {x.shape}, not {accepted}")
    skipped = 0 if list(x.shape) == about["shapes"][0] else about["part"]
    places = sum(np.ix_(*about["places"])) - skipped
    return about["factor"] * sum(x.reshape(-1)[places + start] for start in about["starts"])


def _tiles(about: dict[str, Any], x: Any) -> Any:
    """Raw elements in the order in which they are sent."""
    (rows, columns), blocks = about["matrix"], np.array(about["blocks"])
    block, across = (rows // len(blocks), columns // len(blocks[0])), about["across"]
    scaled = np.rint(np.ldexp(x, about["frac"]))
    if not np.all((scaled >= about["lo"]) & (scaled <= about["hi"])):
        least, most = (float(np.ldexp(float(about[key]), -about["frac"])) for key in ("lo", "hi"))
        raise ValueError(f"{about['layer']}: {about['name']} has values outside {least:g}..{most:g}")
    size = -(-rows // about["steps"])
    padded = np.zeros((about["steps"] * size, columns), dtype=object)
    raw = np.array([int(value) for value in scaled.reshape(-1)], dtype=object)
    parts = raw.reshape(-1, block[0], across, block[1]).transpose(0, 2, 1, 3).reshape(-1, *block)
    parts = np.concatenate([parts, np.zeros((1, *block), dtype=object)])
    padded[:rows] = parts[blocks].transpose(0, 2, 1, 3).reshape(rows, columns)
    return padded.reshape(about["steps"], size, about["groups"], -1).transpose(2, 0, 1, 3)


def load(
    layer: str,
    *tensors: Any,
    send: Callable[[str, bytes], object],
    registers: Any = None,
    restart: Callable[[], None] = lambda: None,
    **named: Any,
) -> None:
    """Load a layer's weights into the circuit: ``send`` takes the name of a stream (``s_axis_<name>``) and its bytes.

    The tensors are those of `weights`, in that order or by name. Frames that are under way are lost. Weights that come with each
    frame are not loaded: give them to ``predict``. A circuit that has ``registers`` needs them here: after an error it is reset,
    before it what moves its bytes, by ``restart``. If it reads its memories back, other weights in one than those that were
    sent are a RuntimeError.
    """
    for about in DESIGN["weights"]:
        if layer in (about["layer"], about["cell"][0]) and about["external"]:
            raise ValueError(f"the weights of layer {layer!r} come with each frame: predict(..., external=...)")
    for name, data in weights(layer, *tensors, **named).items():
        if registers is None:
            send(name, data)
        else:
            registers.load(name, data, send, restart)


def load_crc(about: dict[str, Any], data: bytes) -> int:
    """The CRC-32 of a memory that holds the bytes of a load: of each element in whole bytes, without the rest of its beats."""
    (stream,) = _streams([about["stream"]])
    tokens = np.frombuffer(data, dtype=np.uint8).reshape(-1, stream.token_bytes)
    return zlib.crc32(tokens[:, : -(-sum(stream.widths) // 8)].tobytes())


def images() -> dict[str, bytes]:
    """The bytes of weights that lie in a memory beside the circuit, by the name of their stream (``s_axis_<name>``).

    They come with each frame, and are read from files beside this one. Other contents than those of the build are a ValueError.
    """
    contents = {}
    for about in DESIGN["images"]:
        path = Path(__file__).with_name(about["file"])
        if not path.is_file():
            raise ValueError(f"{path} is missing: it has the weights of this circuit, and belongs beside its driver")
        with path.open("rb") as file:
            data = file.read(about["bytes"] + 1)
        if len(data) != about["bytes"] or zlib.crc32(data) != about["crc"]:
            raise ValueError(f"{path} has another length or CRC than the weights of this circuit")
        contents[about["port"]] = data
    return contents


def pack(inputs: Sequence[Any], external: dict[str, Sequence[Any]] | None = None) -> list[bytes]:
    """The bytes of each input stream for real ``inputs``, one array (samples, *shape) per input of the network.

    Those of weights that lie in a memory come last, and once: they go with each frame.
    ``external``: by layer, the tensors of `weights` (or None), in that order, of weights that come with each frame.
    """
    if len(inputs) != len(DESIGN["tensors"]) or len({np.shape(x)[:1] for x in inputs}) != 1:
        raise ValueError(f"{len(DESIGN['tensors'])} inputs of equally many samples are needed")
    pairs = [(quantize(k, x), np.array(DESIGN["tensors"][k]["frac"])) for k, x in enumerate(inputs)]
    frames = -(-len(inputs[0]) // SAMPLES)
    places = np.arange(frames * SAMPLES).reshape(frames, SAMPLES).clip(max=len(inputs[0]) - 1)
    raws = iter([(raw[places], frac) for raw, frac in pairs])
    sent = {}
    for layer, tensors in (external or {}).items():
        sent.update(weights(layer, *tensors))
    coming = [about["port"] for about in DESIGN["weights"] if about["external"]]
    if set(sent) != set(coming):
        raise ValueError(f"weights for {sorted(sent)} are given, with each frame come {coming}")
    own = INPUTS[: len(INPUTS) - len(coming) - IMAGES]
    packed = (stream.pack(*zip(*[next(raws) for _ in stream.shapes])) for stream in own)
    return [*packed, *(sent[name] * frames for name in coming), *images().values()]


def unpack(results: Sequence[bytes]) -> list[Any]:
    """Real results, one array (samples, *shape) per output of the network, from the bytes of each output stream."""
    found = (x for stream, data in zip(OUTPUTS, results) for x in stream.unpack(data))
    return [x.reshape(-1, *x.shape[1 + (SAMPLES > 1) :]) for x in found]


def predict(
    inputs: Sequence[Any],
    exchange: Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]],
    external: dict[str, Sequence[Any]] | None = None,
) -> list[Any]:
    """The circuit's results for real ``inputs``, both one array (samples, *shape) per input or output of the network.

    ``exchange`` takes the bytes of all frames for each input stream, as ``pack`` gives them, and how many are wanted of each
    output stream, and returns those. ``external`` is that of ``pack``.
    """
    data = pack(inputs, external)
    wanted = [-(-len(inputs[0]) // SAMPLES) * stream.frame_bytes for stream in OUTPUTS]
    results = exchange(data, wanted)
    if [len(result) for result in results] != wanted:
        raise RuntimeError(f"results of {[len(result) for result in results]} bytes came back, {wanted} were wanted")
    return [x[: len(inputs[0])] for x in unpack(results)]
