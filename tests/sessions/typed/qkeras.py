import numpy as np

import bitsmith

model = bitsmith.convert("qkeras.keras", output_dir="qkeras_project")
print(model)
x = np.load("qkeras.npy")
print(model.predict(x)[:3])
print(model.build(synth=False, inputs=x))
