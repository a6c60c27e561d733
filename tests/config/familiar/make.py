"""Write the configurations that hls4ml generates, and the networks that they are for, into this folder.

Run by hand in an environment with `pip install hls4ml==1.3.0 "keras>=3" jax torch==2.13.0 onnx==1.18.0 qonnx qkeras-v3`;
the first argument is a copy of the example models (github.com/fastmachinelearning/example-models), of which the configurations
and the names and kinds of layers are kept, since the models belong to their authors.

`NAME.json` holds per granularity the distinct configurations with the backends that give them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import hls4ml
import keras
import networks_keras
import networks_onnx
import networks_torch
import torch
import yaml
from hls4ml.backends import get_available_backends
from hls4ml.converters import KerasFileReader, KerasModelReader

HERE = Path(__file__).parent
GRANULARITIES = ("model", "type", "name")
BACKENDS = (None, *sorted(get_available_backends()))
NOT_SETTINGS = ("PytorchModel",)


def stored(name: str, generate: Callable[[str, str | None], dict[str, object]], **more: object) -> None:
    found: dict[str, list[dict[str, object]]] = {}
    for granularity in GRANULARITIES:
        rows: list[dict[str, object]] = []
        for backend in BACKENDS:
            config = {k: v for k, v in generate(granularity, backend).items() if k not in NOT_SETTINGS}
            plain = json.loads(json.dumps(config, default=str))
            same = next((row for row in rows if row["config"] == plain), None)
            if same is None:
                rows.append({"backends": [str(backend)], "config": plain})
            else:
                same["backends"].append(str(backend))
        found[granularity] = rows
    (HERE / f"{name}.json").write_text(json.dumps({**more, **found}, separators=(",", ":")) + "\n")


def as_keras_2(model: keras.Model) -> dict[str, object]:
    """The architecture as Keras 2 wrote it, as far as hls4ml reads it."""
    architecture = json.loads(model.to_json())
    for layer in architecture["config"]["layers"]:
        config = layer["config"]
        config["dtype"] = config.get("dtype", "float32") if isinstance(config.get("dtype"), str) else "float32"
        if "batch_shape" in config:
            config["batch_input_shape"] = config["batch_shape"]
    return architecture


def keras_networks() -> None:
    for name, build in networks_keras.NETWORKS.items():
        keras.utils.set_random_seed(0)
        keras.backend.clear_session()
        model = build()
        model.save(HERE / f"keras_{name}.keras")
        architecture: object = model
        if name in networks_keras.ONLY_KERAS_2:
            architecture = as_keras_2(model)
            hls4ml.converters.KerasModelReader = lambda architecture, m=model: KerasModelReader(m)
        stored(f"keras_{name}", lambda g, b, m=architecture: hls4ml.utils.config_from_keras_model(m, g, b))


def torch_networks() -> None:
    for name, (build, shapes) in networks_torch.NETWORKS.items():
        torch.manual_seed(0)
        module = build().eval()
        examples = tuple(networks_torch.example(shape) for shape in shapes)
        torch.export.save(torch.export.export(module, examples), HERE / f"torch_{name}.pt2")
        given = [tuple(shape) for shape in shapes] if len(shapes) > 1 else tuple(shapes[0])
        stored(f"torch_{name}", lambda g, b, m=module, s=given: hls4ml.utils.config_from_pytorch_model(m, s, g, b))


def onnx_networks() -> None:
    for name, build in networks_onnx.NETWORKS.items():
        model = build()
        (HERE / f"onnx_{name}.onnx").write_bytes(model.SerializeToString())
        stored(f"onnx_{name}", lambda g, b, m=model: hls4ml.utils.config_from_onnx_model(m, g, b))


def layers_of(architecture: dict) -> list[dict[str, object]]:
    """Name, class and what decides how a layer is configured; sizes are left out."""
    config = architecture["config"]
    layers = config if isinstance(config, list) else config["layers"]
    kept = ("name", "activation", "kernel_quantizer", "bias_quantizer")
    return [
        {"class": layer["class_name"], **{k: v for k, v in layer["config"].items() if k in kept}} for layer in layers
    ]


def examples(folder: Path) -> None:
    for path in sorted((folder / "keras").glob("*.json")):
        architecture = json.loads(path.read_text())
        weights = path.with_name(f"{path.stem}_weights.h5")
        reader = KerasFileReader({"KerasJson": str(path), "KerasH5": str(weights)})
        hls4ml.converters.KerasModelReader = lambda model, reader=reader: reader
        stored(
            f"example_{path.stem}",
            lambda g, b, a=architecture: hls4ml.utils.config_from_keras_model(json.loads(json.dumps(a)), g, b),
            layers=layers_of(architecture),
        )
    for path in sorted((folder / "config-files").glob("garnet_3*.yml")):
        (HERE / f"written_{path.stem}.json").write_text(json.dumps(yaml.safe_load(path.read_text())) + "\n")


def projects() -> None:
    networks = [
        name for name in get_available_backends() if name != "symbolicexpression"
    ]  # that one is not for networks
    more = {"libero": {"smarthls_path": "/opt/smarthls"}}  # else it looks for the tool
    found = {name: hls4ml.utils.config.create_config(backend=name, **more.get(name, {})) for name in networks}
    (HERE / "projects.json").write_text(json.dumps(found, indent=1, default=str) + "\n")
    boards = [
        hls4ml.utils.config.create_config(backend="VivadoAccelerator", **arguments)
        for arguments in (
            *(
                {"board": board}
                for board in ("pynq-z2", "zcu102", "alveo-u50", "alveo-u200", "alveo-u250", "alveo-u280")
            ),
            {"board": "pynq-z2", "part": "xc7z020clg400-1", "clock_period": 10, "interface": "axi_lite", "driver": "c"},
            {
                "board": "zcu102",
                "input_type": "ap_fixed<16,6>",
                "output_type": "ap_fixed<18,8>",
                "interface": "axi_master",
            },
            {"board": "alveo-u250", "platform": "xilinx_u250_gen3x16_xdma_4_1_202210_1", "io_type": "io_stream"},
        )
    ]
    (HERE / "boards.json").write_text(json.dumps(boards, indent=1, default=str) + "\n")


if __name__ == "__main__":
    projects()
    examples(Path(sys.argv[1]))
    keras_networks()
    torch_networks()
    onnx_networks()
