"""Models of HGQ2 compute what HGQ2 computes, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith.layers.layer import Floats

MODELS = Path(__file__).parent / "hgq" / "models"
NAMES = sorted(path.stem for path in MODELS.glob("*.keras"))

_ROUNDED = {"thirds"}
"""Means over three elements, which neither HGQ2 nor a circuit has exactly; the quantizer after them sees no difference."""


def known(name: str) -> tuple[list[Floats], dict[str, Floats]]:
    """The inputs of a model, and what it computes."""
    with np.load(MODELS / f"{name}.npz") as file:
        found = {key: file[key].astype(np.float64) for key in file}
    inputs = [found.pop(f"x{number}") for number in range(sum(key[0] == "x" and key[1:].isdigit() for key in found))]
    return inputs, found


@pytest.mark.filterwarnings("ignore::bitsmith.FidelityWarning")
@pytest.mark.parametrize("name", NAMES)
def test_results_are_equal(name: str) -> None:
    inputs, expected = known(name)
    model = bitsmith.convert(MODELS / f"{name}.keras")
    x = inputs if len(inputs) > 1 else inputs[0]
    outputs, traced = model.trace(x)
    results = outputs if isinstance(outputs, list) else [outputs]
    for number, result in enumerate(results):
        np.testing.assert_array_equal(result, expected.pop(f"y{number}"), str(number))
    for layer, values in expected.items():
        ways = (f"{layer}_oq", f"{layer}_relu", layer)
        shown = next(traced[way] for way in ways if way in traced)
        if layer in _ROUNDED:
            np.testing.assert_allclose(shown, values, rtol=0.0, atol=2.0**-14, err_msg=layer)
        else:
            np.testing.assert_array_equal(shown, values, layer)
