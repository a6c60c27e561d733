"""Part 7: a project for a PYNQ-Z2, for a machine that has Vivado."""

from pathlib import Path

import bitsmith.compat
import bitsmith.errors
import hls4ml
import keras

keras.utils.set_random_seed(4)
model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(4)])
config = hls4ml.utils.config_from_keras_model(model, granularity="name", default_precision="ap_fixed<8,3>")
hls_model = hls4ml.converters.convert_from_keras_model(
    model, hls_config=config, output_dir="part7", backend="VivadoAccelerator", board="pynq-z2", io_type="io_stream"
)
hls_model.compile()
folder = hls_model.write()
assert "bitstream:" in Path(folder, "Makefile").read_text(encoding="utf-8")
assert "class NeuralNetworkOverlay" in Path(folder, "system/export/axi_stream_driver.py").read_text(encoding="utf-8")

initial = hls4ml.backends.get_backend("VivadoAccelerator").create_initial_config()
assert initial["AcceleratorConfig"]["Board"] == "pynq-z2" and initial["AcceleratorConfig"]["Driver"] == "python"
assert "vivadoaccelerator" in hls4ml.backends.get_available_backends()
initial["AcceleratorConfig"]["Board"] = "zcu102"
of_config = hls4ml.converters.convert_from_config({**initial, "KerasModel": model, "HLSConfig": config})
assert of_config.target.board == "zcu102"
try:
    hls_model.build(csim=False, export=True, bitfile=True)
except bitsmith.errors.ToolMissingError as error:
    assert "vivado_hls" in str(error)
else:
    assert Path("part7/system/export/myproject.bit").exists()
