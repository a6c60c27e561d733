"""The circuit @top@ on an accelerator card with XRT: ``NeuralNetworkOverlay``, as users of other tools know it.

Put the files of this folder together on the host. Numbers are real ones: the driver in ``@top@.py`` rounds them to the circuit's
input formats and gives the results of ``predict`` of the model, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import circuit as net
import numpy as np
import pyxrt
from predicting import Predicting


class NeuralNetworkOverlay(Predicting):
    """The card with its kernels.

    Args:
        xclbin_name: ``@top@.xclbin``.
        x_shape, y_shape: with samples first, as those of the arrays, for circuits of one input and output; other numbers
            of samples do as well.
        dtype: of the results.
        device_index: of the card.
    """

    def __init__(
        self,
        xclbin_name: str,
        x_shape: Sequence[int] | None = None,
        y_shape: Sequence[int] | None = None,
        dtype: Any = np.float32,
        device_index: int = 0,
    ) -> None:
        self._device = pyxrt.device(device_index)
        uuid = self._device.load_xclbin(pyxrt.xclbin(xclbin_name))
        readers = [pyxrt.kernel(self._device, uuid, f"read_{k}") for k in range(len(net.INPUTS) + len(net.LOADS))]
        self._readers = readers[: len(net.INPUTS)]
        self._loaders = dict(zip(net.LOADS, readers[len(net.INPUTS) :], strict=True))
        self._writers = [pyxrt.kernel(self._device, uuid, f"write_{k}") for k in range(len(net.OUTPUTS))]
        super().__init__(self._move, x_shape, y_shape, dtype)

    def _move(self, data: Sequence[bytes], wanted: Sequence[int]) -> list[bytes]:
        """All frames through the circuit."""
        targets = [self._memory(kernel, size) for kernel, size in zip(self._writers, wanted, strict=True)]
        runs = [
            kernel(target, size // stream.beat)
            for kernel, target, size, stream in zip(self._writers, targets, wanted, net.OUTPUTS, strict=True)
        ]
        runs += [
            self._send(kernel, each, stream.beat)
            for kernel, each, stream in zip(self._readers, data, net.INPUTS, strict=True)
        ]
        for run in runs:
            run.wait()
        results = []
        for target, size in zip(targets, wanted, strict=True):
            target.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE, size, 0)
            results.append(bytes(target.read(size, 0)))
        return results

    def _memory(self, kernel: Any, size: int) -> Any:
        return pyxrt.bo(self._device, size, pyxrt.bo.normal, kernel.group_id(0))

    def _send(self, kernel: Any, data: bytes, beat: int) -> Any:
        source = self._memory(kernel, len(data))
        source.write(data, 0)
        source.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, len(data), 0)
        return kernel(source, len(data) // beat)

    def load(self, layer: str, *tensors: Any, **named: Any) -> None:
        """Load the weights of a layer: the tensors of the driver's ``weights``, in that order or by name."""
        beats = {about["port"]: about["stream"]["beat"] for about in net.DESIGN["weights"]}
        net.load(
            layer, *tensors, **named, send=lambda name, data: self._send(self._loaders[name], data, beats[name]).wait()
        )
