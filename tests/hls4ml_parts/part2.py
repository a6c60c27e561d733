"""Part 2: formats, reuse factors and strategies by layer, profiles of the numbers, and traces."""

import bitsmith.compat
import hls4ml
import keras
import numpy as np
from hls4ml.model.profiling import get_ymodel_keras, numerical

x = np.random.default_rng(1).normal(size=(300, 16)).astype(np.float32)
keras.utils.set_random_seed(1)
layers = [
    keras.layers.Dense(12, activation="relu", name="fc1"),
    keras.layers.Dense(4, activation="softmax", name="out"),
]
model = keras.Sequential([keras.Input((16,)), *layers])

config = hls4ml.utils.config_from_keras_model(
    model, granularity="name", backend="Vitis", default_precision="fixed<16,6>"
)
config["LayerName"]["fc1"]["Precision"]["weight"] = "ap_fixed<8,2>"
config["LayerName"]["out_softmax"]["Strategy"] = "Stable"
config["Model"]["Strategy"] = "Resource"
for layer in config["LayerName"]:
    config["LayerName"][layer]["Trace"] = True
    config["LayerName"][layer]["ReuseFactor"] = 4
hls_model = hls4ml.converters.convert_from_keras_model(model, hls_config=config, backend="Vitis", output_dir="part2")
assert all(figure is not None for figure in numerical(model=model, hls_model=hls_model, X=x))
hls_model.compile()
y, traced = hls_model.trace(np.ascontiguousarray(x))
known = get_ymodel_keras(model, x)
assert {"fc1", "out"} <= set(traced) & set(known)
assert np.abs(traced["fc1"] - known["fc1"]).max() < 0.1
assert y.shape == (300, 4)
assert hls_model.build(csim=True, synth=False)["Verification"]["Mismatches"] == 0
