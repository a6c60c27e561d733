# %% [markdown]
# # Spikes, and state between samples
#
# Some circuits remember: what they say of a sample depends on those before it. A spiking network is trained here, and becomes a
# circuit that takes one time step per sample. A causal network of Keras follows. Needs `snntorch`, `scikit-learn`, `keras` and
# `jax`.

# %%
import os

os.environ["KERAS_BACKEND"] = "jax"  # Keras takes TensorFlow otherwise

import keras
import numpy as np
import snntorch
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import bitsmith

# %% [markdown]
# ## Train a spiking network
#
# Each pixel of an image of 8 by 8 is a current, the same in ten steps. Neurons charge, leak and fire. The class is the output
# that fires most.

# %%
STEPS = 10

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
parts = train_test_split((images / 16).astype(np.float32), labels, test_size=360, random_state=0)
x, test, y, truth = parts


def layers() -> list[torch.nn.Module]:
    return [
        torch.nn.Linear(64, 16),
        snntorch.Leaky(beta=0.75, init_hidden=True),
        torch.nn.Linear(16, 10),
        snntorch.Leaky(beta=0.75, init_hidden=True),
    ]


network = torch.nn.Sequential(*layers())


def spikes(pixels: torch.Tensor) -> torch.Tensor:
    """Spikes of the outputs: samples, steps, classes."""
    for layer in network:
        if isinstance(layer, snntorch.Leaky):
            layer.reset_hidden()
    return torch.stack([network(pixels) for _ in range(STEPS)], dim=1)


optimizer = torch.optim.Adam(network.parameters(), 0.005)
for _ in range(25):
    for batch in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        counts = spikes(torch.tensor(x[batch])).sum(1)
        torch.nn.functional.cross_entropy(counts, torch.tensor(y[batch])).backward()
        optimizer.step()

network.eval()
with torch.no_grad():
    wanted = spikes(torch.tensor(test)).numpy()
print(f"{np.mean(wanted.sum(1).argmax(-1) == truth):.1%} of the test images by snnTorch")

# %% [markdown]
# ## A circuit for images
#
# With an axis of time in `input_shape` a sample is a whole sequence.

# %%
sequences = np.repeat(x[:100, None], STEPS, axis=1)
images_in = bitsmith.convert(
    network, "images", input_shape=(STEPS, 64), calibration=sequences, part="xcvu9p-flgb2104-2-i"
)
found = images_in.predict(np.repeat(test[:, None], STEPS, axis=1))
print(f"{np.mean(found.sum(1).argmax(-1) == truth):.1%} of the test images by the circuit")
print(f"{np.mean(found != wanted):.2%} of the spikes differ: membranes next to the threshold")

# %% [markdown]
# ## A circuit for one time step
#
# `streamed` makes a circuit of it that takes a step per sample, and keeps the membranes in between. `reset_states` starts again
# from the first states, as the reset of the circuit does.

# %%
model = bitsmith.streamed(images_in)
for image in test[2:5]:
    model.reset_states()
    fired = model.predict(np.repeat(image[None, None], STEPS, axis=0))
    print(fired[:, 0].sum(0).astype(int))
print(model.estimate())

# %% [markdown]
# The build simulates the circuit and compares each spike with the emulator.

# %%
report = model.build(inputs=sequences[:10].reshape(-1, 1, 64), synth=False)
print(report["Verification"])

# %% [markdown]
# ## Sequences, step by step
#
# A causal network over whole sequences becomes one that takes a step per sample: `streamed`. The circuit keeps the steps that its
# convolutions need.

# %%
keras.utils.set_random_seed(0)
inputs = keras.Input((32, 3))
hidden = keras.layers.Conv1D(8, 3, padding="causal", activation="relu", name="first")(inputs)
hidden = keras.layers.GRU(6, return_sequences=True, name="memory")(hidden)
causal = keras.Model(inputs, keras.layers.Dense(2, name="scores")(hidden))

samples = np.random.default_rng(0).uniform(-1, 1, (40, 32, 3))
whole = bitsmith.convert(causal, "whole", calibration=samples)
steps = bitsmith.streamed(whole)
differences = []
for sequence, scores in zip(samples, whole.predict(samples), strict=True):
    steps.reset_states()
    differences.append(np.abs(steps.predict(sequence[:, None])[:, 0] - scores).max())
print(f"scores differ by {max(differences):.4f} at most")
print(whole.estimate())
print(steps.estimate())

# %% [markdown]
# More: [spiking networks](../spiking.md), [states between samples](../states.md).
