"""Part 1: a trained classifier becomes a project, predicts as it did, and its report is read."""

import bitsmith.compat
import hls4ml
import keras
import numpy as np

x = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)
y = np.abs(x[:, :5]).argmax(axis=1)
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((16,)),
        keras.layers.Dense(16, name="fc1"),
        keras.layers.Activation("relu", name="relu1"),
        keras.layers.Dense(5, name="fc2"),
        keras.layers.Activation("softmax", name="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(x, y, epochs=3, verbose=0)

config = hls4ml.utils.config_from_keras_model(model, granularity="model", backend="Vitis")
hls_model = hls4ml.converters.convert_from_keras_model(
    model, hls_config=config, backend="Vitis", output_dir="part1", part="xcu250-figd2104-2L-e"
)
hls4ml.utils.plot_model(hls_model, show_shapes=True, show_precision=True, to_file="part1.svg")
hls_model.compile()
agree = hls_model.predict(x).argmax(axis=1) == model.predict(x, verbose=0).argmax(axis=1)
assert agree.mean() > 0.97
report = hls_model.build(csim=True, synth=False)
assert report["Verification"]["Mismatches"] == 0
hls4ml.report.read_vivado_report("part1")
