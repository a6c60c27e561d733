"""``predict`` of the circuit @top@ as users of other tools know it, whatever moves the bytes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import circuit as net
import numpy as np


class Predicting:
    """A circuit that ``exchange`` gives bytes to, as ``@top@.predict`` wants it."""

    def __init__(
        self,
        exchange: Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]],
        x_shape: Sequence[int] | None,
        y_shape: Sequence[int] | None,
        dtype: Any,
    ) -> None:
        _check_shape("x_shape", x_shape, net.INPUTS[0].shapes)
        _check_shape("y_shape", y_shape, net.OUTPUTS[0].shapes)
        self._exchange = exchange
        self._dtype = dtype

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
            profile: print the rate, and return the results, the seconds and the samples per second.
            encode, decode: not needed and not called: numbers are real ones on both sides.
        """
        if encode is not None or decode is not None:
            warnings.warn("encode and decode are not called: the driver takes and gives real numbers", stacklevel=2)
        if isinstance(y_shape, bool):  # the place of ``debug`` in other tools
            debug, y_shape = y_shape, None
        inputs = list(X) if isinstance(X, (list, tuple)) else [X]
        began = time.perf_counter()
        results = [np.asarray(y).astype(dtype or self._dtype) for y in net.predict(inputs, self._exchange)]
        seconds = time.perf_counter() - began
        if y_shape is not None:
            results[0] = results[0].reshape(tuple(y_shape))
        found = results[0] if len(results) == 1 else results
        if debug:
            print(f"{len(inputs[0])} samples sent, results of shapes {[y.shape for y in results]} received")
        if not profile:
            return found
        rate = len(inputs[0]) / seconds
        print(f"Classified {len(inputs[0])} samples in {seconds} seconds ({rate} inferences / s)")
        return found, seconds, rate


def _check_shape(name: str, shape: Sequence[int] | None, shapes: Sequence[Sequence[int]]) -> None:
    """Refuse a shape that another circuit has."""
    if shape is not None and len(shapes) == 1 and int(np.prod(shape[1:])) != int(np.prod(shapes[0])):
        raise ValueError(f"{name} {tuple(shape)}: this circuit has {tuple(shapes[0])} per sample")
