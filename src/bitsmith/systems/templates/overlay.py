"""The circuit @top@ on a board with PYNQ: ``NeuralNetworkOverlay``, as users of other tools know it.

Put the files of this folder together on the board. Numbers are real ones: the driver in ``@top@.py`` rounds them to the circuit's
input formats and gives the results of ``predict`` of the model, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import circuit as net
import numpy as np
from predicting import Predicting
from pynq import Overlay, allocate


class NeuralNetworkOverlay(Predicting, Overlay):
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
        Overlay.__init__(self, bitfile_name, dtbo=dtbo, download=download, ignore_version=ignore_version, device=device)
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
        Predicting.__init__(self, net.Dma(registers, senders, receivers, allocate), x_shape, y_shape, dtype)

    def load(self, layer: str, kernel: Any = None, bias: Any = None) -> None:
        """Load the weights of a layer whose weights can be loaded."""

        def send(name: str, data: bytes) -> None:
            buffer = allocate(shape=(len(data),), dtype=np.uint8)
            buffer[:] = np.frombuffer(data, dtype=np.uint8)
            self._loads[name].transfer(buffer)
            self._loads[name].wait()

        net.load(layer, kernel, bias, send=send)
