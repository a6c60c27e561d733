import numpy as np

import bitsmith

model = bitsmith.convert("hgq.keras", output_dir="hgq_project")
print(model)
x = np.load("hgq.npy")
print(model.predict(x)[:3])
print(model.build(synth=False, inputs=x))
