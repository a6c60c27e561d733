"""``predict`` of the circuit @top@ as users of other tools know it, whatever moves the bytes."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import circuit as net
import numpy as np

WORDS: dict[str, Any] = json.loads("@words@")
"""Formats of the words that integers are, on either side; where there is none, they are numbers as others."""


class Predicting:
    """A circuit that ``exchange`` gives bytes to, as ``@top@.predict`` wants it, and ``send`` weights, as ``@top@.load`` does.

    With ``registers`` the circuit is reset after what failed, before it what moves its bytes, by ``restart``.
    """

    def __init__(
        self,
        exchange: Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]],
        x_shape: Sequence[int] | None,
        y_shape: Sequence[int] | None,
        dtype: Any,
        registers: Any,
        send: Callable[[str, bytes], object],
        restart: Callable[[], None] = lambda: None,
    ) -> None:
        _check_shape("x_shape", x_shape, net.INPUTS[0].shapes)
        _check_shape("y_shape", y_shape, net.OUTPUTS[0].shapes)
        self._move = exchange
        self._registers = registers
        self._send_weights = send
        self._restart = restart
        self._failed = False
        self._dtype = dtype

    def _exchange(self, data: Sequence[bytes], wanted: Sequence[int]) -> Sequence[bytes]:
        """Return the circuit's results for ``data``."""
        results: Sequence[bytes] = self._tried(lambda: self._move(data, wanted))
        return results

    def _tried(self, move: Callable[[], Any]) -> Any:
        if self._failed:
            self._renew()
        self._failed = True
        found = move()
        self._failed = False
        return found

    def _renew(self) -> None:
        """Move bytes after a failure, if nothing is left of that: a circuit with registers was reset by them."""
        if self._registers is None:
            raise RuntimeError(
                "an exchange with the circuit failed before: load it again, as another NeuralNetworkOverlay"
            )

    def selftest(self) -> None:
        """Compare the circuit's result for a stored frame with the emulator's; ``SelftestError`` says what is wrong."""
        net.selftest(self._exchange, self._registers)

    def load(self, layer: str, *tensors: Any, **named: Any) -> None:
        """Load the weights of a layer: the tensors of the driver's ``weights``, in that order or by name."""

        def send(name: str, data: bytes) -> None:
            self._tried(lambda: self._send_weights(name, data))

        net.load(layer, *tensors, **named, send=send, registers=self._registers, restart=self._restart)

    def ranges(self) -> Any:
        """Return what the circuit's monitors have seen of its inputs and outputs since its reset, if it has some."""
        return [] if self._registers is None else self._registers.ranges()

    @property
    def ends(self) -> tuple[Any, Any]:
        """Functions that move the bytes of frames, and the registers of the circuit, if it has some."""
        return self._exchange, self._registers

    def predict(
        self,
        X: Any,
        y_shape: Sequence[int] | bool | None = None,
        dtype: Any = None,
        debug: bool = False,
        profile: bool = False,
        encode: Any = None,
        decode: Any = None,
    ) -> Any:
        """The results for real numbers, samples first: an array, or a list where there are several inputs or outputs.

        Args:
            y_shape: of the result, else as the circuit gives it.
            dtype: of the results, by default that of the overlay.
            debug: print what was moved.
            profile: print the rate, how many numbers were limited at an input, and what the circuit counted beside what was
                planned, if it counts. Return the results, the seconds and the samples per second.
            encode, decode: to words of the formats that the configuration gave for the bus, and from them. Without such
                formats they are not called: numbers are real ones on both sides. With them arrays of integers are words, too,
                and so are the results for a ``dtype`` of integers.
        """
        if (encode is not None and WORDS["input"] is None) or (decode is not None and WORDS["output"] is None):
            warnings.warn("encode and decode are not called: the driver takes and gives real numbers", stacklevel=2)
        if isinstance(y_shape, bool):  # the place of ``debug`` in other tools
            debug, y_shape = y_shape, None
        inputs = [_numbers(x, encode) for x in (X if isinstance(X, (list, tuple)) else [X])]
        counts = self._registers.counts if profile and net.DESIGN["counted_hz"] is not None else None
        before = counts() if counts else None
        began = time.perf_counter()
        results = [_given(y, np.dtype(dtype or self._dtype), decode) for y in net.predict(inputs, self._exchange)]
        seconds = time.perf_counter() - began
        if y_shape is not None:
            results[0] = results[0].reshape(tuple(y_shape))
        shown = results[0] if len(results) == 1 else results
        if debug:
            print(f"{len(inputs[0])} samples sent, results of shapes {[y.shape for y in results]} received")
        if not profile:
            return shown
        rate = len(inputs[0]) / seconds
        print(f"Classified {len(inputs[0])} samples in {seconds} seconds ({rate} inferences / s)")
        limited = sum(net.beyond(k, x) for k, x in enumerate(inputs))
        print(f"{limited} of {sum(map(np.size, inputs))} numbers were beyond the range of their input")
        if counts:
            print(counts().since(before))
        return shown, seconds, rate


def _numbers(x: Any, encode: Any) -> Any:
    """Real numbers of what is given, which may be words."""
    about = WORDS["input"]
    if about is None or (encode is None and np.asarray(x).dtype.kind not in "iu"):
        return x
    words = np.asarray(x if encode is None else encode(x))
    if words.dtype.kind not in "iuf" or not np.all(np.mod(words, 1) == 0):
        raise ValueError(f"encode gives an array of {words.dtype}, of which not all are integers")
    raw = words.astype(np.int64) & ((1 << about["width"]) - 1)
    raw = np.where(raw > about["hi"], raw - (1 << about["width"]), raw)
    return np.ldexp(raw.astype(np.float64), -about["frac"])


def _given(y: Any, dtype: Any, decode: Any) -> Any:
    """Results as they are wanted: real numbers, or words."""
    about = WORDS["output"]
    if about is None or (decode is None and dtype.kind not in "iu"):
        return np.asarray(y).astype(dtype)
    lo, hi = (np.array([about[key]], dtype=object) for key in ("lo", "hi"))
    rounded = net._rounded(np.ldexp(y, about["frac"]), about["rounding"])
    words = net._limited(rounded, lo, hi, about["overflow"])
    return words.astype(dtype) if decode is None else np.asarray(decode(words))


def _check_shape(name: str, shape: Sequence[int] | None, shapes: Sequence[Sequence[int]]) -> None:
    """Refuse a shape that another circuit has."""
    if shape is not None and len(shapes) == 1 and int(np.prod(shape[1:])) * net.SAMPLES != int(np.prod(shapes[0])):
        own = tuple(shapes[0][int(net.SAMPLES > 1) :])
        raise ValueError(f"{name} {tuple(shape)}: this circuit has {own} per sample")
