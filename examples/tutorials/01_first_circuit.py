# %% [markdown]
# # First circuit
#
# From a trained Keras file to SystemVerilog whose simulation agrees with the prediction on every bit. The network classifies
# handwritten digits (8x8 pixels): three dense layers, pruned and trained for few bits. File and test images come with the
# package.

# %%
import numpy as np

import bitsmith

project = bitsmith.utils.fetch_example_model("digits.keras")
images, labels = bitsmith.utils.fetch_example_data("digits.keras")
images.shape, labels[:10]

# %% [markdown]
# ## Convert
#
# `project["HLSConfig"]` has the formats that this network was trained for. Without a configuration every format is `auto`.

# %%
model = bitsmith.convert("digits.keras", "digits", config=project["HLSConfig"], calibration=images)
print(model)

# %% [markdown]
# The table shows for each layer the formats of results; a terminal of 124 columns also shows those of weights, and how many
# weights are not zero. The last column is the range that results were *proved* to stay in. As a picture:

# %%
bitsmith.utils.plot_model(model, to_file=None, show_shapes=True, show_precision=True)

# %% [markdown]
# ## Predict
#
# `predict` computes what the circuit computes, bit for bit. The circuit is not needed for it.

# %%
scores = model.predict(images)
accuracy = float(np.mean(scores.argmax(axis=1) == labels))
print(f"{accuracy:.1%} of {len(labels)} images")
assert accuracy > 0.95

# %% [markdown]
# ## Build
#
# `build` writes SystemVerilog, and simulates it with Verilator on these images. If a single bit differed, this would be an error.

# %%
report = model.build(inputs=images, synth=False)
print(report["Verification"])
print(report["Latency"])
assert report["Verification"]["Mismatches"] == 0

# %% [markdown]
# A result comes in every clock cycle (`II` is 1), `Cycles` after its image went in. The circuit takes about

# %%
print(report["Estimate"])

# %% [markdown]
# which is counted on the circuit itself, before any tool. `model.build()` synthesizes it with Yosys, and `model.build(pnr=True)`
# places and routes it for a Lattice ECP5: 3,640 look-up tables at 114.3 MHz ([the report](../samples/digits-report.html)).
#
# ## What was written

# %%
for path in sorted((model.output_dir / "rtl").glob("*")):
    print(path.relative_to(model.output_dir))
print((model.output_dir / "rtl" / "digits.sv").read_text()[:900])
