# %% [markdown]
# # PyTorch and ONNX
#
# The same network three ways: a live PyTorch module, the program that `torch.export` saves, and an ONNX file. All three become
# the same circuit. Needs `torch`, `onnx`, `onnxscript` and `matplotlib`.

# %%
import numpy as np
import torch
from torch import nn

import bitsmith

torch.manual_seed(0)
pixels, classes = bitsmith.utils.fetch_example_data("digits.keras")
images, labels = torch.tensor(pixels), torch.tensor(classes).long()


class Classifier(nn.Module):
    """An image of 8x8 pixels, channels first, as PyTorch has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.pool = nn.AvgPool2d(2)
        self.scores = nn.Linear(36, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv(x)))
        return self.scores(x.flatten(1))


module, x = Classifier(), images.reshape(-1, 1, 8, 8)
optimizer = torch.optim.Adam(module.parameters(), 1e-2)
for _ in range(150):
    optimizer.zero_grad()
    nn.functional.cross_entropy(module(x[:280]), labels[:280]).backward()
    optimizer.step()
module.eval()
with torch.no_grad():
    accuracy = (module(x[280:]).argmax(1) == labels[280:]).float().mean()
print(f"{accuracy:.1%} of 80 images that were held out")

# %% [markdown]
# ## A live module
#
# Calibration data show the shape of the inputs, too.

# %%
live = bitsmith.convert(module, "live", calibration=x[:280], bits=8)
print(live)

# %%
bitsmith.utils.plot_model(live, to_file=None, show_shapes=True, show_precision=True)

# %% [markdown]
# ## A file of `torch.export`
#
# It is read without torch, and nothing in it is executed.

# %%
batch = ({0: torch.export.Dim("batch")},)
torch.export.save(torch.export.export(module, (x[:2],), dynamic_shapes=batch), "classifier.pt2")
exported = bitsmith.convert("classifier.pt2", "exported", calibration=x[:280].numpy(), bits=8)
assert np.array_equal(exported.predict(x.numpy()), live.predict(x))

# %% [markdown]
# ## ONNX

# %%
import logging
import warnings

logging.getLogger("torch.onnx").setLevel(logging.ERROR)
warnings.simplefilter("ignore", FutureWarning)  # the exporter calls what PyTorch deprecates
names = {"input_names": ["image"], "output_names": ["scores"]}
torch.onnx.export(module, (x[:2],), "classifier.onnx", dynamo=True, verbose=False, **names)
onnx_model = bitsmith.convert("classifier.onnx", "from_onnx", calibration=x[:280].numpy(), bits=8)
print(", ".join(row.name for row in onnx_model.get_layers()))
same = np.mean(onnx_model.predict(x[:2].numpy()) == live.predict(x[:2]))
print(f"{same:.0%} of the outputs are the same")

# %% [markdown]
# ## Compared with the framework
#
# Each conversion compares itself with the framework's own outputs where that costs little: `model.fidelity`.

# %%
print(live.fidelity)
with torch.no_grad():
    expected = module(x[280:]).numpy()
scores = live.predict(x[280:])
difference, largest = np.abs(scores - expected).max(), np.abs(expected).max()
print(f"at most {difference:.3f} from PyTorch's scores, which reach {largest:.1f}")

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3.5))
axes.plot(expected.ravel(), (scores - expected).ravel(), ".", alpha=0.5)
axes.set(xlabel="score of PyTorch", ylabel="difference of the circuit's")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## The circuit

# %%
report = live.build(inputs=x[:50].numpy(), synth=False)
for section in ("Verification", "Latency", "Estimate"):
    print(report[section])
assert report["Verification"]["Mismatches"] == 0

# %% [markdown]
# More: [PyTorch](../pytorch.md), [ONNX](../onnx.md), and networks that were [trained for few bits](../quantized-networks.md).
