"""Emulation of convolutions beside a float runtime, PyTorch's on processors, in one process: seconds of each, and their ratio.

``float_runtime.py [THREADS...]``. Four convolutions in a row, each with a bias and a rectifier, at 8 bits, on images of random
numbers. Both take turns on the same images, and the best of some turns counts for each, of processor time where there is one
thread. Printed are billions of products in a second of both, and PyTorch's share of the time that emulation takes: at 50 %
emulation takes twice as long.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import bitsmith
from bitsmith.emulate import Emulator

IMAGES, TURNS, ROW = 32, 5, 4


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution of square images that gives as many channels as it takes, in ``groups`` of these."""

    size: int
    channels: int
    window: int
    groups: int = 1

    @property
    def products(self) -> int:
        """Products for an image."""
        return self.size**2 * self.channels**2 // self.groups * self.window**2

    def modules(self) -> list[nn.Module]:
        """The layer in PyTorch."""
        padding = self.window // 2
        return [nn.Conv2d(self.channels, self.channels, self.window, padding=padding, groups=self.groups), nn.ReLU()]


LAYERS = {
    "3x3 of 64 channels, images of 56x56": Layer(56, 64, 3),
    "3x3 of 128 channels, 28x28": Layer(28, 128, 3),
    "3x3 of 256 channels, 14x14": Layer(14, 256, 3),
    "3x3 of 512 channels, 7x7": Layer(7, 512, 3),
    "1x1 of 144 channels, 56x56": Layer(56, 144, 1),
    "1x1 of 384 channels, 14x14": Layer(14, 384, 1),
    "depthwise 3x3 of 144 channels, 56x56": Layer(56, 144, 3, 144),
    "depthwise 3x3 of 384 channels, 14x14": Layer(14, 384, 3, 384),
}


def best(runs: tuple[Callable[[], object], ...], clock: Callable[[], float]) -> list[float]:
    """The least seconds of each of ``runs``, which take turns."""
    seconds = [float("inf")] * len(runs)
    for _ in range(TURNS):
        for number, run in enumerate(runs):
            start = clock()
            run()
            seconds[number] = min(seconds[number], clock() - start)
    return seconds


def measured(layer: Layer, threads: int) -> tuple[float, float]:
    """Seconds of PyTorch and of emulation for all images."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    module = nn.Sequential(*(part for _ in range(ROW) for part in layer.modules())).eval()
    x = np.random.default_rng(0).normal(0, 1, (IMAGES, layer.channels, layer.size, layer.size)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        shape = x.shape[1:]
        model = bitsmith.convert(
            module, folder, input_shape=shape, bits=8, calibration=x[:2], io_type="io_stream", check=False
        )
    emulator, images = Emulator(model.program, threads), torch.from_numpy(x)
    with torch.no_grad():
        error = np.abs(emulator.run([x])[0] - module(images).numpy()).max()
        assert error < 0.5, f"the outputs of both differ by {error:.2g}"
        found = best(
            (lambda: module(images), lambda: emulator.run([x])),
            time.process_time if threads == 1 else time.perf_counter,
        )
    return found[0], found[1]


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    for threads in map(int, sys.argv[1:] or ("1", "2")):
        for name, layer in LAYERS.items():
            runtime, emulated = measured(layer, threads)
            rates = (ROW * IMAGES * layer.products / seconds / 1e9 for seconds in (runtime, emulated))
            words = ", ".join(f"{rate:.1f}" for rate in rates)
            print(f"{threads} threads | {name} | {words} | {runtime / emulated:.0%}", flush=True)


if __name__ == "__main__":
    main()
