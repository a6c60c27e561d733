"""Files as tf2onnx and Keras write them (``exported/make.py`` tells how): onnxruntime = float reference = emulator.

What is met in them, beside operators. tf2onnx computes shapes in 32-bit numbers (Shape, Cast, Slice, Concat, Cast, Reshape), puts
``__42`` behind the names of nodes that it adds, calls the batch ``unk__87``, keeps a transpose at the input and another in
front of what was Flatten, moves those of one channel into reshapes, makes one-dimensional layers two-dimensional (Unsqueeze,
Squeeze), starts an LSTM from an Expand of the batch's size, writes TimeDistributed as a slice, product and Unsqueeze for each
step, a GRU of Keras 3 as a Loop of a constant number of steps, nearest up-sampling with the coordinates
``tf_half_pixel_for_nn``, and Keras 2's LayerNormalization as a BatchNormalization whose channels are the
samples, with statistics that are computed. Keras on PyTorch puts a Cast between any two nodes, a pair of transposes around each
convolution, its bias behind the second, and unrolls recurrence.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx_models import assert_agrees

from bitsmith.compiler import compile_network
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.ir.ops import Transpose
from bitsmith.passes.program import drop_dead

FILES = sorted((Path(__file__).parent / "exported").glob("*.onnx"))

EMULATED = {"tf2onnx_keras2_cnn", "tf2onnx_keras2_mlp_bn", "tf2onnx_keras3_conv1d", "keras3_torch_cnn"}


def _least(file: Path) -> float:
    """The least input: indices are not negative."""
    return 0.0 if "embedding" in file.stem else -2.0


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_exported_networks(file: Path) -> None:
    assert_agrees(onnx.load(file), exact=False, emulated=file.stem in EMULATED, low=_least(file))


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file in FILES if file.stem not in EMULATED], ids=lambda file: file.stem)
def test_exported_networks_in_fixed_point(file: Path) -> None:
    assert_agrees(onnx.load(file), exact=False, low=_least(file))


@pytest.mark.parametrize("name", ["tf2onnx_keras2_cnn", "tf2onnx_keras3_depthwise", "keras3_torch_depthwise"])
def test_no_transposes_are_left(name: str) -> None:
    """The channels are last in the user's model; all that the exporters added cancels."""
    network = read_onnx(next(file for file in FILES if file.stem == name))
    program = drop_dead(compile_network(network).program, keep_probes=False)
    assert not any(isinstance(node.op, Transpose) for node in program.nodes)


def test_the_files_of_all_ways_are_here() -> None:
    for way in ("tf2onnx_keras2", "tf2onnx_keras3", "keras3_tensorflow", "keras3_torch"):
        assert sum(file.stem.startswith(way) for file in FILES) >= 3
