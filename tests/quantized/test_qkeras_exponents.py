"""Powers of two of QKeras, and numbers of least levels."""

from __future__ import annotations

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.keras.quantizers.quantization import Fixed
from bitsmith.frontends.keras.quantizers.quantizers import read_quantizer
from bitsmith.layers.quantization.lookup import Lookup

OPERANDS = [0.0, -0.0003, -0.300000012, 0.75, 1.5, -100.0, 30000.0, -0.899999976, -2.299999952]
RESULTS: dict[str, list[float]] = {
    "quantized_sigmoid(8,symmetric=2)": [
        0.5,
        0.5,
        0.3515625,
        0.875,
        0.99609375,
        0.0078125,
        0.99609375,
        0.05078125,
        0.0078125,
    ],
    "quantized_sigmoid(4,2)": [0.5, 0.5, 0.375, 0.875, 0.9375, 0.125, 0.9375, 0.125, 0.125],
    "quantized_sigmoid(8,3,1)": [
        0.5,
        0.5,
        0.42578125,
        0.6796875,
        0.81640625,
        0.01171875,
        0.99609375,
        0.2890625,
        0.08984375,
    ],
    "quantized_tanh(4,symmetric=3)": [0.0, 0.0, -0.25, 0.75, 0.875, -0.625, 0.875, -0.625, -0.625],
    "quantized_bits(4,0,3,alpha=1)": [0.0, 0.0, -0.25, 0.75, 0.875, -0.625, 0.875, -0.625, -0.625],
    "quantized_po2(18)": [0.0, -0.000244140625, -0.25, 1.0, 2.0, -128.0, 32768.0, -1.0, -2.0],
    "quantized_relu_po2(12)": [0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 32768.0, 0.0, 0.0],
}
"""What QKeras 0.9.0 makes of the operands: it adds any number as ``symmetric``, and knows as many exponents as float32."""


@pytest.mark.parametrize("text", RESULTS)
def test_numbers_of_least_levels_and_of_exponents(text: str) -> None:
    quantizer = read_quantizer(text, "layer 'q'", 2)
    assert quantizer is not None
    found, grid = quantizer.on_grid(np.array(OPERANDS))
    np.testing.assert_allclose(found, RESULTS[text], 1e-6, 1e-12)
    assert grid.holds(found)


NEAR_NOTHING = {
    "quantized_po2(6,quadratic_approximation=True)": (-24, -16, -24, -16, -24, -16, -24, -22, -14, -6, 2),
    "quantized_po2(7)": (-23, -32, -23, -32, -23, -32, -23, -21, -13, -5, 3),
    "quantized_relu_po2(6,None,0.5,quadratic_approximation=True)": (-24, -32, -24, -32, -32, -32, -32, -22, -14, -6, 2),
    "quantized_relu_po2(6,quadratic_approximation=True)": (-24, -32, -24, -32, -32, -32, -32, -32, -32, -32, -32),
    "quantized_relu_po2(5,None,0.5)": (-16, -16, -16, -16, -16, -16, -16, -16, -14, -6, 2),
    "quantized_po2(6,2,False,True,'floor')": (-24, -16, -24, -16, -24, -16, -24, -22, -14, -6, 0),
    "quantized_relu_po2(5,2,0.5,False,True,'floor')": (-24, -16, -24, -16, -16, -16, -16, -24, -16, -8, 0),
    "quantized_po2(5,4,False,True,'floor')": (-16, -8, -16, -8, -16, -8, -16, -16, -14, -6, 2),
}
"""The exponents that QKeras 0.9.0 gives 1e-7, the numbers below and above it, 0, these negated, and -1.5 * 2**(-22, -14, -6, 2).

Numbers below 1e-7 have the least exponent, below which a quadratic approximation of others goes.
"""


@pytest.mark.parametrize("text", NEAR_NOTHING)
def test_powers_of_two_next_to_nothing(text: str) -> None:
    quantizer, least = read_quantizer(text, "layer 'q'", 2), np.float32(1e-7)
    assert quantizer is not None
    near = [least, *(np.nextafter(least, np.float32(end)) for end in (0.0, 1.0))]
    far = -1.5 * 2.0 ** np.arange(-22, 4, 8)
    values = np.array([*near, 0.0, *(-x for x in near), *far], dtype=np.float32).astype(np.float64)
    for layer in quantizer.layers():
        values = layer.reference([values])
    assert tuple(np.log2(np.abs(values))) == NEAR_NOTHING[text]


@pytest.mark.parametrize("text", ["quantized_po2(18)", "quantized_relu_po2(12)"])
def test_activations_of_all_those_exponents_are_refused(text: str) -> None:
    quantizer = read_quantizer(text, "layer 'q'", 2)
    assert quantizer is not None
    with pytest.raises(UnsupportedError, match="exponents beyond 64"):
        quantizer.layers()


@pytest.mark.parametrize("bits", [2, 3, 12])
def test_logarithms_of_few_bits_are_tables_of_their_levels(bits: int) -> None:
    found = read_quantizer(f"quantized_ulaw({bits},0,0,15)", "layer 'q'", 2)
    assert isinstance(found, Fixed)
    *_, table = found.steps
    assert isinstance(table, Lookup)
    x = np.clip(np.linspace(-1.0, 1.0, 2 ** (bits - 1) + 1), -1.0, None)
    wanted = np.sign(x) * np.log1p(15.0 * np.abs(x)) / np.log(16.0)
    np.testing.assert_allclose(table.values.ravel(), np.minimum(wanted, 1.0 - 2.0 ** (1 - bits)), rtol=0.0, atol=1e-6)
