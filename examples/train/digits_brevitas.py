"""Trains the digits with Brevitas and writes the QONNX file that the tutorial on quantization-aware training reads.

Run it in an environment with ``pip install brevitas onnx onnxscript qonnx scikit-learn``::

    python examples/train/digits_brevitas.py examples/tutorials/models
"""

import sys
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import onnx
import torch
from brevitas.export import export_qonnx
from brevitas.quant.scaled_int import Int16Bias
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


def dense(inputs: int, units: int) -> nn.Module:
    """A dense layer with weights of 4 bits, a scale for each neuron, and biases on the grid of its sums."""
    return qnn.QuantLinear(
        inputs, units, bias=True, weight_bit_width=4, weight_scaling_per_output_channel=True, bias_quant=Int16Bias
    )


def main(folder: Path) -> None:
    """Train, and write the model with its outputs for the images that were held out."""
    torch.manual_seed(0)
    digits = load_digits()
    split = train_test_split(
        (digits.data / 16).astype(np.float32), digits.target, test_size=360, random_state=0, stratify=digits.target
    )
    x_train, x_test, y_train, y_test = (torch.tensor(part) for part in split)
    module = nn.Sequential(
        qnn.QuantIdentity(bit_width=5, return_quant_tensor=True),
        dense(64, 24),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        dense(24, 16),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        dense(16, 10),
    )
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    for _ in range(25):
        for batch in torch.randperm(len(x_train)).split(128):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(x_train[batch]), y_train[batch]).backward()
            optimizer.step()
    module.eval()
    with torch.no_grad():
        scores = module(x_test).numpy()
    export_qonnx(module, x_test[:1], export_path=str(folder / "digits_brevitas.onnx"))
    # In one file.
    onnx.save(onnx.load(folder / "digits_brevitas.onnx"), folder / "digits_brevitas.onnx")
    (folder / "digits_brevitas.onnx.data").unlink(missing_ok=True)
    np.save(folder / "digits_brevitas_scores.npy", scores)
    print(f"{np.mean(scores.argmax(axis=1) == y_test.numpy()):.1%} of {len(y_test)} images")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
