import torch
from torch import nn

import bitsmith

torch.manual_seed(0)
module = nn.Sequential(nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 4), nn.Softmax(dim=1))
x = torch.randn(200, 16)
model = bitsmith.convert(module, calibration=x, bits=8, output_dir="torch_project")
print(model)
print(model.predict(x)[:3])
print(module(x)[:3])
print(model.build(synth=False))
