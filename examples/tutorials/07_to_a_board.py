# %% [markdown]
# # From circuit to board and driver
#
# A board is a part with its clock, its pins and what is around it. Here a Zynq board with PYNQ: what is written, what a vendor's
# tool is told to do, and the driver that predicts on the board. No vendor's tool is needed to look at all of it; none has
# run these scripts yet ([boards](../boards.md) says what was checked, and how).

# %%
from importlib import resources

import numpy as np

import bitsmith

project = bitsmith.utils.fetch_example_model("digits.keras")
with np.load(resources.files("bitsmith") / "data" / "models" / "digits_test.npz") as data:
    images = data["inputs"]
model = bitsmith.convert("digits.keras", "digits", config=project["HLSConfig"], calibration=images, board="pynq-z2")
print(model)

# %% [markdown]
# ## The plan
#
# `plan` takes the arguments of `build` and runs nothing: it is the files and the commands.

# %%
plan = model.plan(bitstream=True)
print(str(plan)[:2500])

# %% [markdown]
# ## What is written
#
# `write` puts it into a folder, with a Makefile that simulates and compares without bitsmith.

# %%
from pathlib import Path

plan.write("handed-over")
for path in sorted(Path("handed-over").rglob("*")):
    if path.is_file() and path.parent.name in {"system", "driver", "handed-over"}:
        print(path)

# %% [markdown]
# ## The driver
#
# On the board, `axi_stream_driver.py` loads the overlay and predicts:
#
# ```
# from axi_stream_driver import NeuralNetworkOverlay
# net = NeuralNetworkOverlay("myproject.bit", x.shape, y_shape)
# y, seconds, rate = net.predict(x, profile=True)
# ```
#
# ## The same circuit, verified here
#
# What runs on the board is the circuit behind an AXI4-Stream wrapper. The build simulates it against `predict`.

# %%
report = model.build(inputs=images[:100], synth=False)
print(report["Verification"], report["Latency"])
assert report["Verification"]["Mismatches"] == 0

# %% [markdown]
# ## A board with open tools all the way
#
# For the ULX3S (Lattice ECP5) `build(bitstream=True)` makes a configuration file with Yosys and nextpnr alone, with a serial port
# around the circuit. `make demo` does that: half an hour at most, mostly place and route. With `board="icebreaker"` or
# `"ice40-hx8k-evn"` smaller networks take the same way.
