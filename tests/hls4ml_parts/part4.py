"""Part 4: networks that were trained for few bits keep the bits of their quantizers. Argument: the folder of the models."""

import sys
from pathlib import Path

import bitsmith.compat
import hls4ml
import numpy as np

for name in ("qkeras/models/network_k3", "hgq/models/dense"):
    path = Path(sys.argv[1], name)
    config = hls4ml.utils.config_from_keras_model(str(path.with_suffix(".keras")), granularity="name")
    hls_model = hls4ml.converters.convert_from_keras_model(
        str(path.with_suffix(".keras")), hls_config=config, output_dir=f"part4_{path.stem}"
    )
    hls_model.compile()
    with np.load(path.with_suffix(".npz")) as data:
        x = data["x0"]
    assert hls_model.build(synth=False, inputs=x)["Verification"]["Mismatches"] == 0
