# %% [markdown]
# # Precision, profiling and trace
#
# Which formats does a network need? Here `auto` gives the first answer, figures show what a hand-written one does, and the trace
# tells where results go wrong.

# %%
import warnings

import numpy as np

import bitsmith

# The figures below show what these warnings say, and one cell shows the text.
warnings.simplefilter("ignore", bitsmith.FidelityWarning)
images, labels = bitsmith.utils.fetch_example_data("digits.keras")


def accuracy(model: bitsmith.Model) -> float:
    return float(np.mean(model.predict(images).argmax(axis=1) == labels))


# %% [markdown]
# ## What `auto` chooses
#
# `auto` formats hold every value that can occur, which is proved with exact intervals, and so many bits of it as an output shows.
# `bits` is the budget.

# %%
options = {"calibration": images, "check": False}
results = {}
for bits in (16, 8, 6, 5, 4):
    model = bitsmith.convert("digits.keras", f"bits{bits}", bits=bits, **options)
    estimate = model.build(synth=False, cosim=False)["Estimate"]
    results[bits] = (accuracy(model), estimate["LUT"])
    print(f"{bits:2} bits: {results[bits][0]:.1%}, about {results[bits][1]:,} LUTs")
assert results[16][0] > 0.95

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3.5))
shares, areas = zip(*results.values())
axes.plot(areas, [100 * share for share in shares], "o-")
for bits, (share, luts) in results.items():
    axes.annotate(f"{bits}", (luts, 100 * share), textcoords="offset points", xytext=(6, -12))
axes.set(xlabel="look-up tables (estimate)", ylabel="accuracy, %", title="bits that auto keeps")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Distributions beside formats
#
# `numerical` draws weights and results as boxes, and each format as a gray bar. A box beyond its bar loses values.

# %%
model = bitsmith.convert("digits.keras", "profiled", bits=8, **options)
figures = bitsmith.profiling.numerical(hls_model=model, X=images)
figures.weights_in_circuit

# %%
figures.results_in_circuit

# %% [markdown]
# ## A format of one's own, and what it loses
#
# Formats are written per layer or type of layer, and mean what the vendors' headers mean: `fixed<8,3>` wraps. That is a bad idea
# here:

# %%
config = {"LayerName": {"fc1": {"Precision": {"result": "fixed<8,3>"}}}}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    narrow = bitsmith.convert("digits.keras", "narrow", config=config, **options)
print(caught[0].message if caught else "no warning")
print(f"{accuracy(narrow):.1%}")

# %% [markdown]
# The warning names the layer and the remedy. `losses` counts what wraps on given data:

# %%
for loss in narrow.losses(images):
    print(loss)

# %% [markdown]
# ## Trace
#
# `trace` gives every layer's result; the difference to another conversion begins where the format was changed.

# %%
_, good = model.trace(images)
_, bad = narrow.trace(images)
for name in good:
    print(f"{name:15} {np.abs(good[name] - bad[name]).max():8.3f}")

# %% [markdown]
# ## The certificate
#
# `model.fidelity` compares each layer with the float model. `SNR` is the signal beside the error, `Own error` what is left if
# the operands are those of the circuit.

# %%
print(model.fidelity)
