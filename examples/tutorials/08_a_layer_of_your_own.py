# %% [markdown]
# # A layer of your own
#
# A layer that bitsmith does not know is a function of a few lines of Python. The emulator, the SystemVerilog and the C++ of every
# vendor have it at once. Needs `keras`, `jax` and `matplotlib`.

# %%
import os

os.environ["KERAS_BACKEND"] = "jax"  # Keras takes TensorFlow otherwise

import keras
import numpy as np

import bitsmith
from bitsmith.custom import Call, Tensor


class SoftClip(keras.layers.Layer):
    """Bounds each channel smoothly, by a limit of its own that is trained."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.limit = self.add_weight(shape=(shape[-1],), name="limit", initializer="ones")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return self.limit * keras.ops.tanh(x / self.limit)


keras.utils.set_random_seed(0)
layers = [keras.layers.Dense(6), SoftClip(), keras.layers.Dense(3)]
network = keras.Sequential([keras.Input((8,)), *layers])
inputs = np.random.default_rng(0).normal(size=(200, 8))

# %% [markdown]
# Without help it is rejected by name:

# %%
try:
    bitsmith.convert(network, calibration=inputs)
except bitsmith.errors.BitsmithError as error:
    print(error)

# %% [markdown]
# ## Say what it computes


# %%
def soft_clip(call: Call) -> Tensor:
    (x,), (limit,) = call.inputs, call.weights()
    return (x / limit).tanh() * limit


model = bitsmith.convert(network, "clipped", calibration=inputs, layers={SoftClip: soft_clip})
print(model)

# %% [markdown]
# The layer alone, with four bits of fraction: the function that it is in Keras, and the steps that the circuit has.

# %%
import matplotlib.pyplot as plt

alone = keras.Sequential([keras.Input((1,)), SoftClip(name="clip")])
line = np.linspace(-4, 4, 801)[:, None]
coarse = {"LayerName": {"clip": {"Precision": {"result": "fixed<6,2>"}}}}
steps = bitsmith.convert(alone, "alone", coarse, calibration=line, layers={SoftClip: soft_clip})
figure, axes = plt.subplots(figsize=(6, 3.5))
axes.plot(line, alone(line), label="Keras")
axes.step(line[:, 0], steps.predict(line)[:, 0], where="mid", label="circuit")
axes.set(xlabel="input", ylabel="output")
axes.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Check it
#
# `check` compares the framework with the float layers, these with the emulator, and the emulator bit for bit with each backend.

# %%
known = {SoftClip: soft_clip}
for result in bitsmith.custom.check(network, inputs, ("rtl", "vitis"), layers=known):
    print(result.backend, f"{result.framework_error:.1e}", result.report["Verification"])

# %% [markdown]
# More about tensors, layers of layers, PyTorch and ONNX: [layers of your own](../custom-layers.md).
