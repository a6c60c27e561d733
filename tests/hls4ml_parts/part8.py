"""Part 8: symbolic expressions."""

import bitsmith.compat
import hls4ml
import numpy as np

expression = "sin(x0)*x1**2 + 0.3*exp(-x2)"
x = np.random.default_rng(0).uniform(0, 1, (200, 3))
wanted = np.sin(x[:, 0]) * x[:, 1] ** 2 + 0.3 * np.exp(-x[:, 2])

hls_model = hls4ml.converters.convert_from_symbolic_expression(
    expression, n_symbols=3, output_dir="part8", precision="ap_fixed<18,6>", part="xcu250-figd2104-2L-e", clock_period=5
)
hls_model.compile()
assert abs(hls_model.predict(x).ravel() - wanted).max() < 0.01

luts = {"sine": {"math_func": "sin", "table_size": 1024, "range_start": -4, "range_end": 4}}
ranges = {"x0": (0, 1), "x1": (0, 1), "x2": (0, 1)}
hls_model = hls4ml.converters.convert_from_symbolic_expression(
    expression.replace("sin", "sine"), lut_functions=luts, inputs=ranges, output_dir="part8"
)
assert abs(hls_model.predict(x).ravel() - wanted).max() < 1e-4
assert hls_model.build(synth=False)["Verification"]["Mismatches"] == 0
