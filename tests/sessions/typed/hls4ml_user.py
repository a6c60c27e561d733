import keras
import numpy as np

import bitsmith as hls4ml

model = keras.models.load_model("classifier.keras")
config = hls4ml.utils.config_from_keras_model(
    model, granularity="name", default_precision="ap_fixed<16,6>", backend="Vitis"
)
for layer in config["LayerName"]:
    config["LayerName"][layer]["Trace"] = True
config["LayerName"]["output_softmax"]["Strategy"] = "Stable"
hls_model = hls4ml.converters.convert_from_keras_model(
    model,
    hls_config=config,
    output_dir="hls4ml_prj",
    backend="Vitis",
    io_type="io_parallel",
    part="xcu250-figd2104-2L-e",
)
hls_model.compile()
x = np.load("x_test.npy")
print(np.argmax(hls_model.predict(x), axis=1)[:10])
prediction, trace = hls_model.trace(x)
print(sorted(trace))
hls4ml.utils.plot_model(hls_model, show_shapes=True, show_precision=True, to_file="model.png")
hls4ml.profiling.numerical(model=model, hls_model=hls_model, X=x)
hls_model.build(csim=True, synth=False)
hls4ml.report.read_vivado_report("hls4ml_prj")
