"""Writes the models that fuzzing begins with beside those of the tests; needs the extra ``dev``.

KERAS_BACKEND=jax python tests/fuzz/seeds/make.py
"""

from __future__ import annotations

from pathlib import Path

import keras
import torch
from keras import layers
from torch import nn

HERE = Path(__file__).parent


def keras_models() -> None:
    """Layers of all kinds, in each of the formats."""
    image = x = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(2, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(2)(x))
    x = layers.Add()([layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x)), layers.Cropping2D(((0, 1), (0, 1)))(x)])
    x = layers.Flatten()(layers.Conv2DTranspose(1, 2)(x))
    y = layers.Concatenate()([layers.Dense(3, activation="softmax")(x), layers.LeakyReLU()(layers.Dense(2)(x))])
    keras.Model(image, [y, layers.Reshape((5, 1))(y)]).save(HERE / "images.keras")

    series = x = keras.Input((4, 3), name="series")
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(x)
    x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 2)(x, x))
    x = layers.EinsumDense("abc,cd->abd", output_shape=(4, 2))(layers.TimeDistributed(layers.Dense(3))(x))
    model = keras.Model(series, layers.GRU(2)(layers.Permute((2, 1))(x)))
    for name in ("series.keras", "series.h5"):
        model.save(HERE / name)
    model.save_weights(HERE / "series.weights.h5")
    (HERE / "series.json").write_text(model.to_json())


class Net(nn.Module):
    """Modules, functions and views."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.recurrent = nn.GRU(4, 3, batch_first=True)
        self.register_buffer("scale", torch.tensor([0.5, 2.0, 1.0]).half())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(x))).mean(1)
        y, _ = self.attention(y, y, y)
        y, _ = self.recurrent(torch.nn.functional.gelu(y.transpose(1, 2)))
        return torch.cat([y[:, -1] * self.scale, y.amax(1).unsqueeze(0).squeeze(0)], 1)


def torch_models() -> None:
    """One program with a fixed batch, one with an open one."""
    mlp = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(1)).eval()
    batch = {0: torch.export.Dim.AUTO}
    torch.export.save(torch.export.export(mlp, (torch.ones(2, 4),), dynamic_shapes=(batch,)), HERE / "mlp.pt2")
    torch.export.save(torch.export.export(Net().eval(), (torch.ones(1, 1, 4, 4),)), HERE / "net.pt2")


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    torch.manual_seed(1)
    keras_models()
    torch_models()
