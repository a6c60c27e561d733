# %% [markdown]
# # Compression, and what pruning saves
#
# A weight that is 0 costs nothing in an unrolled circuit, and one of few bits costs few adders. So a network is trained, pruned,
# trained on, and converted with few bits. Needs `keras`, `jax`, `scikit-learn` and `matplotlib`; a minute.

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
pixels, labels = (digits.data / 16).astype(np.float32), digits.target
split = {"test_size": 360, "random_state": 0, "stratify": labels}
x_train, x_test, y_train, y_test = train_test_split(pixels, labels, **split)

# %% [markdown]
# ## A float network

# %%
network = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(24, activation="relu", name="fc1"),
        keras.layers.Dense(16, activation="relu", name="fc2"),
        keras.layers.Dense(10, name="output"),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
network.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
network.fit(x_train, y_train, epochs=40, batch_size=64, verbose=0)
print(f"{network.evaluate(x_test, y_test, verbose=0)[1]:.1%}")

# %% [markdown]
# ## Pruning by magnitude
#
# The smallest weights of each layer are set to 0 in a few steps. After each step the network is trained on while they stay 0.
# Nothing of bitsmith is needed for it: any way of pruning does.


# %%
class KeepZeros(keras.callbacks.Callback):
    """Sets pruned weights to 0 again after each batch."""

    def __init__(self, masks: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.masks = masks

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        for layer in self.model.layers:
            layer.kernel.assign(layer.kernel * self.masks[layer.name])


def prune(share: float) -> None:
    """Set this share of each layer's weights to 0, and train on."""
    masks = {}
    for layer in network.layers:
        kernel = np.abs(np.asarray(layer.kernel))
        masks[layer.name] = (kernel >= np.quantile(kernel, share)).astype(np.float32)
        layer.kernel.assign(layer.kernel * masks[layer.name])
    network.fit(x_train, y_train, epochs=15, batch_size=64, verbose=0, callbacks=[KeepZeros(masks)])


# %% [markdown]
# ## What it saves
#
# The estimate is a count of the circuit itself, so that no tool has to run for it.

# %%
rows = []
for share in (0.0, 0.5, 0.75, 0.9):
    if share:
        prune(share)
    for bits in (8, 5):
        model = bitsmith.convert(
            network, "pruned", calibration=x_train, bits={"weight": bits, "result": 8}, check=False
        )
        estimate = model.build(synth=False, cosim=False)["Estimate"]
        accuracy = float(np.mean(model.predict(x_test).argmax(axis=1) == y_test))
        rows.append((share, bits, accuracy, estimate["LUT"], estimate["FF"]))
        area = f"about {estimate['LUT']:,} LUTs and {estimate['FF']:,} flip-flops"
        print(f"{share:4.0%} zeros, {bits} bits of weights: {accuracy:.1%}, {area}")
dense, sparse = rows[0], rows[4]
assert sparse[3] < dense[3] / 2

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3.5))
for bits in (8, 5):
    chosen = [row for row in rows if row[1] == bits]
    luts, accuracies = [row[3] for row in chosen], [100 * row[2] for row in chosen]
    axes.plot(luts, accuracies, "o-", label=f"{bits} bits of weights")
    for (share, *_), point in zip(chosen, zip(luts, accuracies)):
        axes.annotate(f"{share:.0%}", point, textcoords="offset points", xytext=(5, -12))
axes.set(xlabel="look-up tables (estimate)", ylabel="accuracy, %", title="share of zeros")
axes.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# With 75 % zeros less than half of the look-up tables are left. There is no setting for it: the adder graph of a constant
# matrix has nothing to add for a zero. Zeros save less in a circuit that is folded by a reuse factor, whose multipliers serve
# many weights: [what zeros save](../inspecting.md#what-zeros-save).
#
# ## The same, verified

# %%
report = model.build(inputs=x_test[:200], synth=False)
print(report["Verification"])
print(report["Latency"])
assert report["Verification"]["Mismatches"] == 0
