"""Quantizers of ``make.py``, by the names of the branches that they are in."""

import numpy as np
import qkeras
from qkeras import (
    binary,
    quantized_bits,
    quantized_po2,
    quantized_relu,
    quantized_relu_po2,
    quantized_sigmoid,
    quantized_tanh,
    quantized_ulaw,
    stochastic_binary,
    stochastic_ternary,
    ternary,
)

TWO = qkeras.__version__.startswith("0.")
TENSOR = np.array([0.5, 1.0, 2.0, 0.25], dtype=np.float32)
if not TWO:
    from qkeras import quantized_linear

ACTIVATIONS = {
    "bits_8_0": quantized_bits(8, 0),
    "bits_6_2": quantized_bits(6, 2, 0, alpha=1),
    "bits_symmetric": quantized_bits(5, 1, 1, alpha=1.0),
    "bits_unsigned": quantized_bits(5, 1, 0, False),
    "bits_alpha": quantized_bits(6, 1, alpha=0.5),
    "bits_stochastic": quantized_bits(6, 2, use_stochastic_rounding=True),
    "bits_one": quantized_bits(1, 0),
    "bits_one_alpha": quantized_bits(1, 0, alpha=2.0),
    "bits_wide": quantized_bits(16, 6),
    "relu_6_0": quantized_relu(6),
    "relu_4_2": quantized_relu(4, 2),
    "relu_slope": quantized_relu(6, 2, negative_slope=0.25),
    "relu_steep": quantized_relu(6, 2, negative_slope=2.0),
    "relu_bound": quantized_relu(6, 3, relu_upper_bound=3.0),
    "relu_sigmoid": quantized_relu(5, 1, use_sigmoid=1),
    "tanh_6": quantized_tanh(6),
    "tanh_symmetric": quantized_tanh(4, symmetric=True),
    "tanh_real": quantized_tanh(6, use_real_tanh=True),
    "sigmoid_6": quantized_sigmoid(6),
    "sigmoid_symmetric": quantized_sigmoid(4, symmetric=True),
    "sigmoid_real": quantized_sigmoid(5, use_real_sigmoid=True),
    "ulaw": quantized_ulaw(6),
    "ulaw_symmetric": quantized_ulaw(5, 1, 1, 15.0),
    "binary": binary(),
    "binary_01": binary(use_01=True, alpha=1.0),
    "binary_alpha": binary(alpha=0.5),
    "stochastic_binary": stochastic_binary(alpha=1.0),
    "ternary": ternary(),
    "ternary_alpha": ternary(alpha=0.5, threshold=0.75),
    "stochastic_ternary": stochastic_ternary(alpha=2.0, threshold=0.5),
    "po2_4": quantized_po2(4),
    "po2_max": quantized_po2(4, 1),
    "po2_max_4": quantized_po2(5, 4, quadratic_approximation=True),
    "po2_floor": quantized_po2(5, log2_rounding="floor"),
    "relu_po2_4": quantized_relu_po2(4),
    "relu_po2_max": quantized_relu_po2(4, 8, 0.5),
    "text_bits": "quantized_bits(6,2,0,alpha=1)",
    "text_relu": "quantized_relu(5,2,negative_slope=0.125)",
    "text_hswish": "quantized_hswish(6,3)",
    "text_hswish_2": "quantized_hswish(8,2,relu_shift=2,relu_upper_bound=4)",
    "text_plain": "quantized_tanh",
    "text_smooth_sigmoid": "smooth_sigmoid",
    "text_hard_tanh": "hard_tanh",
    "text_smooth_tanh": "smooth_tanh",
    "text_binary_sigmoid": "binary_sigmoid",
    "text_binary_tanh": "binary_tanh",
    "text_keras": "relu",
}

KERNELS = {
    "bits": quantized_bits(4, 0, alpha=1),
    "bits_integer": quantized_bits(6, 2, 0, alpha=1),
    "bits_symmetric": quantized_bits(3, 0, 1, alpha=1.0),
    "bits_unsigned": quantized_bits(3, 1, 0, False, alpha=1.0),
    "bits_alpha": quantized_bits(4, 0, alpha=0.75),
    "bits_one": quantized_bits(1, 0, alpha=1.0),
    "bits_default": quantized_bits(4, 0),
    "bits_auto": quantized_bits(4, 0, alpha="auto"),
    "bits_auto_po2": quantized_bits(4, 1, alpha="auto_po2"),
    "text_bits": "quantized_bits(5,0,alpha=1)",
    "text_none": "quantized_bits(5,0)",
    "binary": binary(),
    "binary_alpha": binary(alpha=1.0),
    "binary_01": binary(use_01=True, alpha=1.0),
    "binary_auto": binary(alpha="auto"),
    "binary_auto_po2": binary(alpha="auto_po2"),
    "stochastic_binary": stochastic_binary(alpha="auto_po2"),
    "ternary": ternary(),
    "ternary_alpha": ternary(alpha=1.0, threshold=0.25),
    "ternary_auto": ternary(alpha="auto"),
    "ternary_auto_po2": ternary(alpha="auto_po2"),
    "stochastic_ternary": stochastic_ternary(alpha="auto_po2"),
    "po2": quantized_po2(4, 1),
    "po2_quadratic": quantized_po2(4, 2, quadratic_approximation=True),
    "tanh": quantized_tanh(4),
    "none": None,
}

BIASES = {
    "bits_auto": quantized_bits(4, 0, alpha="auto"),
    "bits_auto_po2": quantized_bits(4, 0, alpha="auto_po2"),
    "ternary_auto_po2": ternary(alpha="auto_po2"),
    "binary_auto_po2": binary(alpha="auto_po2"),
}

if TWO:
    # qkeras-v3 saves neither is_quantized_clip, nor that a function is its own.
    ACTIVATIONS |= {
        "text_hard_sigmoid": "hard_sigmoid",
        "text_unclipped": "quantized_relu(6,3,relu_upper_bound=2.71875,is_quantized_clip=False)",
        "text_off_grid": "quantized_relu(4,2,relu_upper_bound=2.3,is_quantized_clip=False)",
    }
    KERNELS["relu_po2"] = quantized_relu_po2(4, 1, 0.5)
else:
    ACTIVATIONS |= {
        "linear_6_1": quantized_linear(6, 1),
        "linear_asymmetric": quantized_linear(5, 2, 0),
        "linear_unsigned": quantized_linear(5, 2, keep_negative=False),
        "linear_one": quantized_linear(1, 1),
        "linear_alpha": quantized_linear(6, 1, alpha=0.5),
    }
    KERNELS |= {
        "linear": quantized_linear(4, 0, alpha=1.0),
        "linear_default": quantized_linear(4, 0),
        "linear_auto": quantized_linear(4, 0, alpha="auto"),
        "linear_auto_po2": quantized_linear(4, 0, 0, alpha="auto_po2"),
        "linear_unsigned": quantized_linear(4, 0, keep_negative=False, alpha="auto_po2"),
        "linear_one": quantized_linear(1, 0, alpha="auto_po2"),
    }
    BIASES |= {
        "linear_auto": quantized_linear(4, 0, alpha="auto"),
        "linear_auto_po2": quantized_linear(4, 0, alpha="auto_po2"),
    }
