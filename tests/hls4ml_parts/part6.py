"""Part 6: a convolutional network as a stream, a pixel at a time."""

import bitsmith.compat
import hls4ml
import keras
import numpy as np

keras.utils.set_random_seed(3)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, name="conv"),
        keras.layers.BatchNormalization(name="bn"),
        keras.layers.Activation("relu", name="relu"),
        keras.layers.MaxPooling2D(2, name="pool"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(3, activation="softmax", name="out"),
    ]
)
x = np.random.default_rng(3).uniform(size=(40, 8, 8, 1)).astype(np.float32)
config = hls4ml.utils.config_from_keras_model(model, granularity="name", default_precision="fixed<12,4>")
for layer in config["LayerName"]:
    config["LayerName"][layer]["ReuseFactor"] = 3
arguments = hls4ml.converters.create_config(backend="Vitis")
arguments["IOType"], arguments["HLSConfig"], arguments["KerasModel"] = "io_stream", config, model
arguments["OutputDir"], arguments["Part"] = "part6", "xcu250-figd2104-2L-e"
hls_model = hls4ml.converters.keras_to_hls(arguments)
hls_model.compile()
assert np.abs(hls_model.predict(x) - np.asarray(model(x))).max() < 0.1
assert hls_model.build(csim=True, synth=False, inputs=x)["Verification"]["Mismatches"] == 0
