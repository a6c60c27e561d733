# %% [markdown]
# # Convolutions, streams and reuse
#
# Unrolled, an image network has a circuit for every position. As a stream it takes a position per cycle, with one circuit for all
# of them; reuse factors make that one smaller and slower. Needs `keras`, `jax`, `scikit-learn` and `matplotlib`; minutes.

# %%
import os

os.environ["KERAS_BACKEND"] = "jax"  # Keras takes TensorFlow otherwise

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import bitsmith

keras.utils.set_random_seed(0)
digits = load_digits()
images, labels = (digits.images / 16).astype(np.float32)[..., None], digits.target
split = {"test_size": 360, "random_state": 0, "stratify": labels}
x_train, x_test, y_train, y_test = train_test_split(images, labels, **split)

network = keras.Sequential(
    [
        keras.Input((8, 8, 1), name="image"),
        keras.layers.Conv2D(6, 3, activation="relu", name="conv1"),
        keras.layers.MaxPooling2D(2, name="pool"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(10, name="scores"),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
network.compile(keras.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
network.fit(x_train, y_train, epochs=30, batch_size=64, verbose=0)
print(f"{network.evaluate(x_test, y_test, verbose=0)[1]:.1%}")

# %% [markdown]
# ## Unrolled, and as a stream
#
# `io_type="io_stream"` changes the circuit and not its results.

# %%
options = {"calibration": x_train, "bits": 6, "check": False}
whole = bitsmith.convert(network, "whole", **options)
stream = bitsmith.convert(network, "stream", io_type="io_stream", **options)
assert np.array_equal(whole.predict(x_test), stream.predict(x_test))
print(f"{np.mean(stream.predict(x_test).argmax(axis=1) == y_test):.1%}")
for model in (whole, stream):
    print(model.output_dir.name, model.build(synth=False, cosim=False)["Estimate"])

# %% [markdown]
# ## Reuse
#
# A reuse factor is the number of cycles that a layer may take for each token, with fewer multipliers and, as a rule, less logic.
# Latency and interval are known before any simulation; the simulation of the last one shows that they hold.

# %%
rows = []
for reuse in (1, 4, 16, 60):
    config = {"Model": {"ReuseFactor": reuse}}
    model = bitsmith.convert(network, f"reuse{reuse}", config, io_type="io_stream", **options)
    report = model.build(synth=False, cosim=False)
    rows.append((reuse, report["Estimate"]["LUT"], report["Estimate"]["DSP"]))
    print(f"reuse {reuse:2}: {report['Estimate']}")

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3.5))
factors, luts, multipliers = np.transpose(rows)
axes.semilogx(factors, luts, "o-", label="LUTs")
axes.semilogx(factors, 100 * multipliers, "s--", label="multiplier blocks x 100")
axes.set(xlabel="reuse factor", ylabel="estimate")
axes.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Simulated, with stalls
#
# The test bench holds back inputs and outputs at random. Every bit is compared, and so are latency and interval with the
# schedule.

# %%
report = model.build(inputs=x_test[:4], synth=False)
print(report["Verification"])
print(report["Latency"])
for fifo in report["FIFOs"]:
    print(f"{fifo['FIFO']}: {fifo['Width']} bits, depth {fifo['Depth']}, peak {fifo['Peak']}")
assert report["Verification"]["Mismatches"] == 0

# %% [markdown]
# FIFO depths are computed, not found by simulation: `Peak` is the most that were in use, `Depth` what there is. More on it:
# [streaming](../streaming.md).
