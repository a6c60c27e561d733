# %% [markdown]
# # Quantization-aware training
#
# A network that is trained with its number formats needs no configuration: the circuit computes what its quantizers define.
# Here a network of HGQ2 is trained on the spot. Files of QKeras and Brevitas are read without either. Needs `keras`, `jax`,
# `scikit-learn`, `hgq2`, `onnx` and `matplotlib`.

# %%
import os

os.environ["KERAS_BACKEND"] = "jax"  # Keras takes TensorFlow otherwise

import keras
import numpy as np
from hgq.config import LayerConfigScope, QuantizerConfigScope
from hgq.layers import QDense
from hgq.utils import trace_minmax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import bitsmith

keras.utils.set_random_seed(0)
digits = load_digits()
pixels, labels = (digits.data / 16).astype(np.float32), digits.target
split = {"test_size": 360, "random_state": 0, "stratify": labels}
x_train, x_test, y_train, y_test = train_test_split(pixels, labels, **split)

# %% [markdown]
# ## HGQ2: bits are trained
#
# Each weight has a number of bits of its own, which training lowers where the loss allows it. `beta0` is the price of bits;
# HGQ2 counts them as EBOPs, effective bit operations. A weight that ends with no bits at all is a connection that the circuit
# does not have.

# %%
with (
    QuantizerConfigScope(place="all", overflow_mode="SAT_SYM"),
    QuantizerConfigScope(place="datalane", overflow_mode="WRAP"),
    LayerConfigScope(enable_ebops=True, beta0=5e-6),
):
    network = keras.Sequential(
        [
            keras.Input((64,)),
            QDense(24, activation="relu", name="fc1"),
            QDense(16, activation="relu", name="fc2"),
            QDense(10, name="scores"),
        ]
    )
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
network.compile(keras.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
history = network.fit(x_train, y_train, epochs=100, batch_size=64, verbose=0)

# %% [markdown]
# Values on their way through the network wrap in these formats, which costs nothing. So their integer bits are set last, from the
# data. The result is the number of EBOPs, which the table below has, too.

# %%
trace_minmax(network, x_train, verbose=0)

# %% [markdown]
# ## Convert, and compare bit for bit
#
# No calibration and no configuration: everything is in the model. The table shows the bits that were trained and the weights
# that are not zero.

# %%
model = bitsmith.convert(network, "hgq")
print(model)

# %% [markdown]
# Training gave each pixel bits of its own, too: those at the edges, where digits seldom have ink, lost most of theirs. On the
# right the bits of all weights; those with none are connections that the circuit does not have.

# %%
import matplotlib.pyplot as plt

dense = [layer for layer in network.layers if isinstance(layer, QDense)]
pixels = np.asarray(dense[0].iq.bits).reshape(8, 8)
kernels = [np.asarray(layer.qkernel) for layer in dense]
bits = [np.asarray(layer.kq.bits) for layer in dense]
weights = [np.where(kernel == 0, 0, kept).ravel() for kernel, kept in zip(kernels, bits)]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
shown = left.imshow(pixels, cmap="Blues")
left.set_title("bits of each pixel")
figure.colorbar(shown, ax=left)
right.hist(weights, bins=np.arange(9) - 0.5, stacked=True, label=[layer.name for layer in dense])
right.set(title="bits of weights", xlabel="bits", ylabel="weights")
right.legend(loc="upper center")
figure.tight_layout()
plt.show()

# %%
scores = model.predict(x_test)
assert np.array_equal(scores, np.asarray(network(x_test)))
accuracy = np.mean(scores.argmax(axis=1) == y_test)
print(f"{accuracy:.1%} of {len(y_test)} images, the same as HGQ2 to the last bit")

# %%
report = model.build(inputs=x_test[:200], synth=False)
for section in ("Verification", "Latency", "Estimate"):
    print(report[section])
assert report["Verification"]["Mismatches"] == 0

# %% [markdown]
# ## QKeras: a file is enough
#
# `examples/train/digits_qkeras.py` trained this model with `quantized_bits(4, 1)` for its weights and `quantized_relu(5, 3)`
# between layers. The file has the quantizers; neither QKeras nor its release of Keras is needed. Model and scores of QKeras
# are in the source tree's `examples/tutorials/models`; copy this folder to where you work. This network has no quantizer in
# front, so that calibration data say what its inputs are.

# %%
from_qkeras = bitsmith.convert("models/digits_qkeras.keras", "qkeras", calibration=x_train)
scores = from_qkeras.predict(x_test)
assert np.array_equal(scores, np.load("models/digits_qkeras_scores.npy"))
print(from_qkeras)
print(f"{np.mean(scores.argmax(axis=1) == y_test):.1%} of {len(y_test)} images")

# %% [markdown]
# ## Brevitas: scales that are no powers of two
#
# `examples/train/digits_brevitas.py` trained this one and exported it as QONNX. Each neuron has a scale of its own, which
# training found: the circuit computes with integers, and multiplies at the next quantizer by as few bits as give the same
# codes.

# %%
from_brevitas = bitsmith.convert("models/digits_brevitas.onnx", "brevitas")
scores = from_brevitas.predict(x_test)
difference = np.abs(scores - np.load("models/digits_brevitas_scores.npy"))
print(from_brevitas)
accuracy = np.mean(scores.argmax(axis=1) == y_test)
print(f"{accuracy:.1%} of {len(y_test)} images; {difference.max():.1e} from Brevitas")

# %% [markdown]
# ## What formats cost
#
# A network of floating-point weights, rounded to 8 bits after training, beside the three:

# %%
plain = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(24, activation="relu"),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(10),
    ]
)
plain.compile(keras.optimizers.Adam(1e-2), loss)
history = plain.fit(x_train, y_train, epochs=15, batch_size=128, verbose=0)
rounded = bitsmith.convert(plain, "rounded", calibration=x_train, bits=8)
figure, axes = plt.subplots(figsize=(6, 3.5))
models = {"8 bits": rounded, "HGQ2": model, "QKeras": from_qkeras, "Brevitas": from_brevitas}
for name, converted in models.items():
    accuracy = np.mean(converted.predict(x_test).argmax(axis=1) == y_test)
    luts = converted.build(synth=False, cosim=False)["Estimate"]["LUT"]
    print(f"{name:10} {accuracy:.1%}, about {luts:,} LUTs")
    axes.plot(luts, 100 * accuracy, "o", label=name)
axes.set(xlabel="LUTs (estimate)", ylabel="% of test images")
axes.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# More: [quantized networks](../quantized-networks.md), models of [HGQ and HGQ2](../hgq2.md), of [QKeras](../qkeras.md), and
# [PyTorch's own quantizers](../pytorch.md).
