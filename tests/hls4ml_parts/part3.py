"""Part 3: a pruned network, whose zeros take no hardware."""

import bitsmith.compat
import hls4ml
import keras
import numpy as np

keras.utils.set_random_seed(2)
model = keras.Sequential(
    [keras.Input((16,)), keras.layers.Dense(32, activation="relu", name="fc1"), keras.layers.Dense(5)]
)
sizes = {}
for share in (0.0, 0.75):
    kernel, bias = model.get_layer("fc1").get_weights()
    kernel[np.abs(kernel) < np.quantile(np.abs(kernel), share)] = 0
    model.get_layer("fc1").set_weights([kernel, bias])
    config = hls4ml.utils.config_from_keras_model(model, granularity="model", default_precision="ap_fixed<12,4>")
    hls_model = hls4ml.converters.convert_from_keras_model(model, hls_config=config, output_dir=f"part3_{share}")
    weights = next(
        found for found in hls_model.get_weight_variables() if found.name.startswith("fc1") and len(found.shape) == 2
    )
    assert weights.nzeros >= share * kernel.size * 0.95
    sizes[share] = hls_model.build(synth=False)["Estimate"]["LUT"]
assert sizes[0.75] < 0.7 * sizes[0.0]
