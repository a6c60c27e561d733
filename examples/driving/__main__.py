"""Trains, converts, builds and measures the circuit that finds the road."""

from __future__ import annotations

from examples.scenario import Limits, Settings, built, circuit_figures, main  # isort: skip

import keras
import matplotlib.pyplot as plt
import numpy as np
from examples.driving.data import SIZE, scenes
from examples.figures import EMULATOR, Figure, Floats
from keras import layers

import bitsmith

PERIOD_NS = 20.0
LIMITS = Limits(latency_ns=1e7, interval_ns=1e9 / 60)
ECP5 = {"LUT": 83_640, "FF": 83_640, "DSP": 156, "BRAM": 208}
CONFIG = {"Model": {"ReuseFactor": 144, "Strategy": "Resource"}}
CHANNELS = (4, 6, 8)


def convolution(name: str, channels: int) -> layers.Layer:
    """A 3x3 convolution that keeps the size."""
    return layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)


def unet() -> keras.Model:
    """A U-Net of three scales: down by pooling, up by repeating, and each scale's result beside the one that comes up."""
    keras.utils.set_random_seed(0)
    wide, middle, deep = CHANNELS
    image = keras.Input((SIZE, SIZE, 3), name="image")
    first = convolution("down1", wide)(image)
    second = convolution("down2", middle)(layers.MaxPooling2D(2, name="pool1")(first))
    bottom = convolution("bottom", deep)(layers.MaxPooling2D(2, name="pool2")(second))
    joined = layers.Concatenate(name="skip2")([layers.UpSampling2D(2, name="grow2")(bottom), second])
    again = convolution("up2", middle)(joined)
    joined = layers.Concatenate(name="skip1")([layers.UpSampling2D(2, name="grow1")(again), first])
    return keras.Model(image, layers.Conv2D(1, 1, name="road")(convolution("up1", wide)(joined)))


def overlap(found: Floats, truth: Floats) -> float:
    """Pixels that are road in both, by those that are road in either (intersection over union), in percent."""
    ours, theirs = found > 0, truth > 0
    return 100 * float((ours & theirs).sum() / max((ours | theirs).sum(), 1))


def draw(images: Floats, truth: Floats, found: Floats, settings: Settings) -> None:
    """Images, the road as drawn and as the circuit finds it."""
    figure, axes = plt.subplots(3, 6, figsize=(7, 3.7))
    for column, (image, road, ours) in enumerate(zip(images[:6], truth, found, strict=False)):
        for each, shown in zip(axes[:, column], (image, road[..., 0], ours[..., 0] > 0), strict=True):
            each.imshow(shown, vmin=0, vmax=1, cmap="gray")
            each.set(xticks=[], yticks=[])
    for each, title in zip(axes[:, 0], ("camera", "road", "circuit"), strict=True):
        each.set_ylabel(title)
    figure.tight_layout()
    figure.savefig(settings.pictures / "roads.png", dpi=90)


def run(settings: Settings) -> list[Figure]:
    """The whole scenario."""
    count, epochs = (100, 1) if settings.quick else (1500, 15)
    (x, y), (x_test, y_test) = scenes(count, seed=1), scenes(max(count // 5, 20), seed=2)
    network = unet()
    network.compile(keras.optimizers.Adam(5e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    network.fit(x, y, epochs=epochs, batch_size=32, verbose=0)
    model = bitsmith.convert(
        network,
        settings.folder / "ecp5",
        CONFIG,
        calibration=x[:200],
        clock_period=PERIOD_NS,
        io_type="io_stream",
        bits=6,
        check=False,
    )
    print(model)
    found, wanted = model.predict(x_test), np.asarray(network.predict(x_test, verbose=0))
    draw(x_test, y_test, found, settings)
    figures = [
        Figure("overlap with the road (intersection over union), float network", overlap(wanted, y_test), "%", "Keras"),
        Figure("overlap with the road (intersection over union)", overlap(found, y_test), "%", EMULATOR, 85, True),
        Figure(
            "pixels decided as in the float network", 100 * float(np.mean((found > 0) == (wanted > 0))), "%", EMULATOR
        ),
    ]
    report = built(model, x_test[: 1 if settings.quick else 3], settings)
    return figures + circuit_figures(report, PERIOD_NS, LIMITS, ECP5)


if __name__ == "__main__":
    main("driving", run)
