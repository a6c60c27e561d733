"""Quantized PyTorch models: the programs that ``torch/make.py`` has written, against what PyTorch computes."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.errors import ModelFileError, UnsupportedError

MODELS = Path(__file__).parent / "torch" / "models"

SINGLE = {}
"""How many results of a model rounding errors of single precision decide, where they differ from exact arithmetic."""


@pytest.mark.parametrize("name", sorted(path.stem for path in MODELS.glob("*.pt2")))
def test_programs_compute_what_pytorch_does(name: str) -> None:
    model = bitsmith.convert(MODELS / f"{name}.pt2")
    values = np.load(MODELS / f"{name}.npz")
    y = model.predict(values["x"].astype(np.float64)).reshape(values["y"].shape)
    assert np.array_equal(y, values["exact"])
    assert np.count_nonzero(y.astype(np.float32) != values["y"]) == SINGLE.get(name, 0)
