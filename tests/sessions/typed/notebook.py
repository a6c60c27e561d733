# %%
import numpy as np

import bitsmith

x_train, x_test = np.load("x_train.npy"), np.load("x_test.npy")
model = bitsmith.convert("classifier.keras", calibration=x_train, output_dir="notebook")
model
# %%
model.fidelity
# %%
bitsmith.utils.plot_model(model, show_shapes=True, show_precision=True, to_file=None)
# %%
figures = bitsmith.profiling.numerical(hls_model=model, X=x_train)
figures
# %%
figures[0]
# %%
model.predict(x_test)[:2]
# %%
report = model.build(synth=False)
# %%
report
# %%
bitsmith.convert("classifier.keras", config={"Model": {"Precison": "fixed<8,4>"}})
