# %% [markdown]
# # From circuit to board and driver
#
# A board is a part with its clock, its pins and what is around it. Here it is a PYNQ-Z2, whose chip has a processor beside the
# logic. You see the files that bitsmith writes for it, the script for the vendor's tool, and the driver that predicts on the
# board. None of this needs the vendor's tool, and none has run these scripts yet ([boards](../boards.md) says what was checked
# instead, and how).

# %%
from pathlib import Path

import numpy as np

import bitsmith

project = bitsmith.utils.fetch_example_model("digits.keras")
images, _ = bitsmith.utils.fetch_example_data("digits.keras")
board = {"board": "pynq-z2", "clock_period": 10}
model = bitsmith.convert("digits.keras", "digits", project["HLSConfig"], calibration=images, **board)
print(model)

# %% [markdown]
# ## The plan
#
# `plan` takes the arguments of `build` and runs nothing: its stages are files and commands. The last one makes the bitstream,
# with a script for Vivado:

# %%
plan = model.plan(bitstream=True)
print(str(plan)[str(plan).index("bitstream:") :])

# %% [markdown]
# ## What is written
#
# `write` puts all of it into a folder for a machine that has the tool. `make bitstream` there needs no Python and no bitsmith.

# %%
plan.write("handed-over")
for path in sorted(Path("handed-over").glob("s*/**/*.*")):
    if "system" in path.parts:
        print(path)

# %% [markdown]
# `settings.tcl` says what is particular to this circuit and this board; the script is the same for all of them:

# %%
settings = Path("handed-over/system/settings.tcl").read_text()
print("\n".join(line for line in settings.splitlines() if "sources" not in line))

# %%
script = Path("handed-over/system/zynq.tcl").read_text()
print("\n".join(script.splitlines()[:7]))

# %% [markdown]
# ## The driver
#
# The board gets the folder `system/export` with the bitstream, and there
#
# ```
# from axi_stream_driver import NeuralNetworkOverlay
# net = NeuralNetworkOverlay("digits.bit", x.shape, y_shape)
# y, seconds, rate = net.predict(x, profile=True)
# ```
#
# loads it and predicts. Real numbers go in and come out: the driver rounds as the emulator does, packs the bits of a frame into
# the beats of the bus, and unpacks the results. So its results are those of `predict`, bit for bit. It needs numpy only, and
# all of it but the transfers runs anywhere:

# %%
import sys

sys.path.insert(0, "handed-over/driver")
import digits

(frames,) = digits.pack([images[:2]])
print(len(frames) // 2, "bytes for each image of 64 pixels with 5 bits:")
print(frames[:20].hex(" "), "...")

# %% [markdown]
# An image, and what the bus carries of it: a row for each byte, the lowest bit on the left. (Pictures need `matplotlib`.)

# %%
import matplotlib.pyplot as plt

size = len(frames) // 2
first = np.frombuffer(frames[:size], np.uint8).reshape(-1, 1)
sent = np.unpackbits(first, axis=1, bitorder="little")
figure, (left, right) = plt.subplots(1, 2, figsize=(6, 4))
left.imshow(images[0].reshape(8, 8), cmap="gray")
left.set_title("image")
right.imshow(sent, cmap="gray", aspect="auto")
right.set(title="frame", xlabel="bit", ylabel="byte")
figure.tight_layout()
plt.show()

# %% [markdown]
# An argument chooses the transfer: `Dma` on a board with PYNQ, `Serial` on one with a serial port, or a function of yours. It
# takes the bytes of each stream and returns those of the results. A DMA engine of your own would come here.
#
# ## The same circuit, verified here
#
# The board runs this circuit inside a wrapper for AXI4-Stream. The build simulates it against `predict`.

# %%
report = model.build(inputs=images[:100], synth=False)
print(report["Verification"])
print(report["Latency"])
assert report["Verification"]["Mismatches"] == 0

# %% [markdown]
# ## A board with open tools all the way
#
# For the ULX3S (Lattice ECP5) `build(bitstream=True)` makes a configuration file with Yosys and nextpnr alone, with a serial port
# around the circuit. `make demo` does this in a few minutes. With `board="icebreaker"` or `"ice40-hx8k-evn"` smaller networks
# take the same way. More: [boards](../boards.md), [bus wrappers](../bus-wrappers.md), and
# [how to add a board](../add-a-device.md).
