# %% [markdown]
# # Formulas
#
# Formulas become circuits with a proof that nothing in them overflows: those that symbolic regression finds, and those that go
# before a network. Needs `keras`, `jax` and `matplotlib`.

# %%
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"  # Keras takes TensorFlow otherwise

import keras
import matplotlib.pyplot as plt
import numpy as np

import bitsmith

# %% [markdown]
# ## A mass
#
# The mass of two particles without masses of their own, from momenta and angles. Ranges say what the inputs can be.

# %%
MASS = "sqrt(2 * pt1 * pt2 * (cosh(eta1 - eta2) - cos(phi1 - phi2)))"
pt, eta, phi = (2, 100), (-2.5, 2.5), (-3.1416, 3.1416)
ranges = {"pt1": pt, "eta1": eta, "phi1": phi, "pt2": pt, "eta2": eta, "phi2": phi}

model = bitsmith.convert(MASS, "mass", inputs=ranges)
print(model.fidelity)
print(model.estimate())

# %% [markdown]
# The table ends with a bound for all inputs within the ranges, rounding of inputs included. It is far above the worst of random
# events: where the mass is near 0, the square root makes any error large.
#
# Random events show the same error. Formats follow from the ranges, so that the error is relative to the largest mass.

# %%
low, high = np.array(list(ranges.values())).T
events = np.random.default_rng(0).uniform(low, high, (5000, 6))
pt1, eta1, phi1, pt2, eta2, phi2 = events.T
true = np.sqrt(2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2)))
found = model.predict(events)[:, 0]

figure, axes = plt.subplots(figsize=(6, 3.5))
axes.plot(true, found - true, ".", markersize=2)
axes.set(xlabel="mass", ylabel="error of the circuit")
plt.show()

# %% [markdown]
# ## Where a function is not defined
#
# Ranges are proved, not sampled. A logarithm of a number that can be negative is rejected, with the part that can be.

# %%
try:
    bitsmith.convert("log(pt1 - pt2)", inputs={"pt1": pt, "pt2": pt})
except bitsmith.errors.BitsmithError as error:
    print(error)

# %% [markdown]
# ## What a regression found
#
# PySR writes a table of equations. The one that it calls best is converted. `bits` makes it smaller.

# %%
Path("hall_of_fame.csv").write_text("""Complexity,Loss,Equation
1,0.91,x0
4,0.052,"square(x0) + x1"
9,0.0498,"square(x0) + (x1 * 1.002)"
""")
ranges_of_found = {"x0": (-1, 1), "x1": (-1, 1)}
for bits in (None, 8):
    equation = bitsmith.convert("hall_of_fame.csv", "found", inputs=ranges_of_found, bits=bits)
    print(f"{bits or 16} bits: {equation.estimate().size.lut} LUT")
print(equation.notes[0])

# %% [markdown]
# ## Before a network
#
# A network is trained on features that formulas compute. `compose` joins both to one circuit.

# %%
scaling = ["log(pt1 * pt2)", "eta1 - eta2", "cos(phi1 - phi2)"]
before = bitsmith.convert(scaling, "features", inputs=ranges)
heavy = true > 60
train = before.predict(events[:4000])

keras.utils.set_random_seed(0)
layers = [keras.layers.Dense(12, activation="relu"), keras.layers.Dense(1, name="score")]
network = keras.Sequential([keras.Input((3,), name="features"), *layers])
loss = keras.losses.BinaryCrossentropy(from_logits=True)
network.compile("adam", loss)
network.fit(train, heavy[:4000], epochs=40, verbose=0)

after = bitsmith.convert(network, "decision", calibration=train)
parts = {"before": before, "decision": after}
whole = bitsmith.compose(parts, {"decision.features": "before.results"}, "whole")
decided = whole.predict(events[4000:])[:, 0] > 0
print(f"{np.mean(decided == heavy[4000:]):.1%} of 1,000 other events are decided as their mass says")
print(whole.estimate())

# %% [markdown]
# The build simulates the circuit and compares each bit with the emulator.

# %%
report = whole.build(inputs=events[:100], synth=False)
print(report["Verification"])

# %% [markdown]
# More: [formulas](../formulas.md), [split and compose](../split-and-compose.md).
