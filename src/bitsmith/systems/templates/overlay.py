"""The circuit @top@ on a board with PYNQ: ``NeuralNetworkOverlay``, as users of other tools know it.

Put the files of this folder together on the board. Numbers are real ones: the driver in ``@top@.py`` rounds them to the circuit's
input formats and gives the results of ``predict`` of the model, bit for bit.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import circuit as net
import numpy as np
from pynq import Overlay, allocate


class NeuralNetworkOverlay(Overlay):
    """The bitstream with its DMA engines.

    Args:
        bitfile_name: ``@top@.bit``, with ``@top@.hwh`` beside it.
        x_shape, y_shape: with samples first, as those of the arrays, for circuits of one input and output; other numbers
            of samples do as well.
        dtype: of the results.
        dtbo, download, ignore_version, device: those of ``pynq.Overlay``.
    """

    def __init__(
        self,
        bitfile_name: str,
        x_shape: Sequence[int] | None = None,
        y_shape: Sequence[int] | None = None,
        dtype: Any = np.float32,
        dtbo: str | None = None,
        download: bool = True,
        ignore_version: bool = False,
        device: Any = None,
    ) -> None:
        super().__init__(bitfile_name, dtbo=dtbo, download=download, ignore_version=ignore_version, device=device)
        self._dtype = dtype
        _check_shape("x_shape", x_shape, net.INPUTS[0].shapes)
        _check_shape("y_shape", y_shape, net.OUTPUTS[0].shapes)
        registers = None
        if net.DESIGN["registers"]:
            circuit = self.circuit
            registers = net.Registers(circuit.read, circuit.write)
            registers.check()
        engines = [
            getattr(self, f"axi_dma_{k}") for k in range(max(len(net.INPUTS) + len(net.LOADS), len(net.OUTPUTS)))
        ]
        senders = [engine.sendchannel for engine in engines[: len(net.INPUTS)]]
        receivers = [engine.recvchannel for engine in engines[: len(net.OUTPUTS)]]
        self._loads = {name: engines[len(net.INPUTS) + k].sendchannel for k, name in enumerate(net.LOADS)}
        self._dma = net.Dma(registers, senders, receivers, allocate)

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
        results = [np.asarray(y).astype(dtype or self._dtype) for y in net.predict(inputs, self._dma)]
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

    def load(self, layer: str, kernel: Any = None, bias: Any = None) -> None:
        """Load the weights of a layer whose weights can be loaded."""

        def send(name: str, data: bytes) -> None:
            buffer = allocate(shape=(len(data),), dtype=np.uint8)
            buffer[:] = np.frombuffer(data, dtype=np.uint8)
            self._loads[name].transfer(buffer)
            self._loads[name].wait()

        net.load(layer, kernel, bias, send=send)


def _check_shape(name: str, shape: Sequence[int] | None, shapes: Sequence[Sequence[int]]) -> None:
    """Refuse a shape that another circuit has."""
    if shape is not None and len(shapes) == 1 and int(np.prod(shape[1:])) != int(np.prod(shapes[0])):
        raise ValueError(f"{name} {tuple(shape)}: this circuit has {tuple(shapes[0])} per sample")
