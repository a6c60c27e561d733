import numpy as np

import bitsmith

x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
model = bitsmith.convert("mlp.onnx", calibration=x, output_dir="onnx_project", bits=8)
print(model)
print(model.predict(x)[:3])
print(model.build(synth=False))
