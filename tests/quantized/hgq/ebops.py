"""Writes ``models/ebops.json``: what HGQ2 itself counts of the models, by model and layer.

pip install hgq2==0.2.0 keras==3.15.1 jax==0.10.2
KERAS_BACKEND=jax python tests/quantized/hgq/ebops.py
"""

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import hgq.layers
import keras

MODELS = Path(__file__).parent / "models"


def counted(path: Path) -> dict[str, int]:
    """The effective bit operations of the layers that HGQ2 counts, since the ranges of the model were traced."""
    model = keras.models.load_model(path)
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, hgq.layers.core.base.QLayerBase)]
    return {layer.name: int(layer.ebops) for layer in layers if layer.enable_ebops}


if __name__ == "__main__":
    found = {path.stem: counted(path) for path in sorted(MODELS.glob("*.keras"))}
    text = json.dumps({name: layers for name, layers in found.items() if layers}, indent=1, sort_keys=True)
    (MODELS / "ebops.json").write_text(f"{text}\n", encoding="utf-8")
