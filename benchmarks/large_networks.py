"""Large networks on parts: what `explain` says of each, and what it takes to ask.

``large_networks.py [--blind] [NAME[:PART,PART...]]...``. The networks are built here, with random weights that are the same each
time. A process of its own converts each to 8 bits, once, and explains it for all five parts: the conversion is the same for
all. Printed are seconds of processor time and the most memory so far, of the conversion and of each part's answer: the circuit
that fits, or the layer and the resource that keep it from fitting. The answer for a part takes both. Those of images are
calibrated with smooth ones of unlike brightness and contrast; ``--blind`` does without.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers

import bitsmith
from bitsmith.conversion.explanation import Explanation, of_model
from bitsmith.devices.parts import resolve_part
from bitsmith.estimate.figures import Size
from bitsmith.model import Model

SEED, IMAGES = 0, 8
LIMIT_S, LIMIT_MB = 120, 8000
"""Of `explain`, in a process of its own."""


def convolved(
    x: keras.KerasTensor, filters: int, size: int, stride: int = 1, *, relu: bool = True
) -> keras.KerasTensor:
    """A convolution with what usually follows."""
    x = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def resnet18(size: int = 224, narrow: int = 64, classes: int = 1000) -> keras.Model:
    """ResNet-18, whose first layers have ``narrow`` channels: 11.7 million weights."""
    image = keras.Input((size, size, 3), name="image")
    x = layers.MaxPooling2D(3, 2, padding="same")(convolved(image, narrow, 7, 2))
    for number, filters in enumerate(narrow << stage for stage in range(4)):
        for block in range(2):
            stride = 2 if number and not block else 1
            y = convolved(convolved(x, filters, 3, stride), filters, 3, relu=False)
            passed = x if x.shape[-1] == filters else convolved(x, filters, 1, stride, relu=False)
            x = layers.ReLU()(layers.Add()([passed, y]))
    return keras.Model(image, layers.Dense(classes, name="fc")(layers.GlobalAveragePooling2D()(x)))


def mobilenet_v2(size: int = 224, wide: float = 1.0, classes: int = 1000) -> keras.Model:
    """MobileNetV2, ``wide`` times as wide: 3.5 million weights as it is."""
    shape = size, size, 3
    return keras.applications.MobileNetV2(shape, wide, weights=None, classes=classes, classifier_activation=None)


def efficientnet_lite0() -> keras.Model:
    """EfficientNet-lite0 for images of 224x224: 4.6 million weights, rectifiers up to 6, no squeeze and excitation."""
    x = image = keras.Input((224, 224, 3), name="image")
    x = layers.ReLU(6.0)(convolved(x, 32, 3, 2, relu=False))
    stages = (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
    )
    for wider, filters, repeats, stride, size in (*stages, (6, 320, 1, 1, 3)):
        for number in range(repeats):
            before, step = x, stride if number == 0 else 1
            if wider > 1:
                x = layers.ReLU(6.0)(convolved(x, wider * before.shape[-1], 1, relu=False))
            x = layers.DepthwiseConv2D(size, strides=step, padding="same", use_bias=False)(x)
            x = convolved(layers.ReLU(6.0)(layers.BatchNormalization()(x)), filters, 1, relu=False)
            x = layers.Add()([before, x]) if step == 1 and before.shape[-1] == filters else x
    x = layers.ReLU(6.0)(convolved(x, 1280, 1, relu=False))
    return keras.Model(image, layers.Dense(1000, name="fc")(layers.GlobalAveragePooling2D()(x)))


def resnet20_v2() -> keras.Model:
    """ResNet-20 for images of 32x32, with bottlenecks, as in the examples of Keras: 574,090 weights."""

    def after(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input((32, 32, 3), name="image")
    x, narrow = after(layers.Conv2D(16, 3, padding="same")(image)), 16
    for stage in range(3):
        wide = narrow * (2 if stage else 4)
        for block in range(2):
            stride = 2 if stage and not block else 1
            y = x if not stage and not block else after(x)
            y = after(layers.Conv2D(narrow, 1, strides=stride)(y))
            y = after(layers.Conv2D(narrow, 3, padding="same")(y))
            y = layers.Conv2D(wide, 1)(y)
            x = layers.Add()([x if block else layers.Conv2D(wide, 1, strides=stride)(x), y])
        narrow = wide
    return keras.Model(image, layers.Dense(10, name="fc")(layers.GlobalAveragePooling2D()(after(x))))


def resnet50() -> keras.Model:
    """ResNet-50 for images of 224x224, without a softmax: 25.6 million weights."""
    return keras.applications.ResNet50(weights=None, classifier_activation=None)


def yolo_v3_tiny(size: int) -> keras.Model:
    """YOLOv3-tiny: a stem with poolings, and two heads of 255 channels, the second beside a map from within the stem."""

    def leaky(x: keras.KerasTensor, filters: int, window: int) -> keras.KerasTensor:
        return layers.LeakyReLU(negative_slope=0.125)(convolved(x, filters, window, relu=False))

    x = image = keras.Input((size, size, 3), name="image")
    for filters in (16, 32, 64, 128):
        x = layers.MaxPooling2D(2)(leaky(x, filters, 3))
    passed = leaky(x, 256, 3)
    x = leaky(layers.MaxPooling2D(2)(passed), 512, 3)
    x = leaky(leaky(layers.MaxPooling2D(2, 1, padding="same")(x), 1024, 3), 256, 1)
    coarse = layers.Conv2D(255, 1, name="coarse")(leaky(x, 512, 3))
    x = layers.Concatenate()([layers.UpSampling2D(2)(leaky(x, 128, 1)), passed])
    return keras.Model(image, [coarse, layers.Conv2D(255, 1, name="fine")(leaky(x, 256, 3))])


def u_net(size: int, filters: int) -> keras.Model:
    """A U-Net, three times down by pooling and up by repetition, whose maps all have ``filters`` channels."""
    x = image = keras.Input((size, size, 3), name="image")
    passed = []
    for _ in range(3):
        x = convolved(convolved(x, filters, 3), filters, 3)
        passed.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = convolved(x, filters, 3)
    for skip in reversed(passed):
        x = layers.Concatenate()([layers.UpSampling2D(2)(x), skip])
        x = convolved(convolved(x, filters, 3), filters, 3)
    return keras.Model(image, layers.Conv2D(2, 1, name="classes")(x))


def attended(x: keras.KerasTensor, heads: int, wide: int, function: str = "relu") -> keras.KerasTensor:
    """A block of an encoder, normalized before its parts."""
    channels = x.shape[-1]
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, channels // heads)(y, y)])
    y = layers.Dense(channels)(layers.Dense(wide, activation=function)(layers.LayerNormalization()(x)))
    return layers.Add()([x, y])


def vit_tiny() -> keras.Model:
    """ViT-tiny (DeiT-T) for images of 224x224: 5.7 million weights; the mean of tokens in place of one of its own."""
    image = keras.Input((224, 224, 3), name="image")
    x = layers.Reshape((196, 192))(layers.Conv2D(192, 16, strides=16)(image))
    for _ in range(12):
        x = attended(x, 3, 768, "gelu")
    return keras.Model(image, layers.Dense(1000)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))))


def vit(size: int, patch: int, channels: int, heads: int, blocks: int) -> keras.Model:
    """A vision transformer: patches, an embedding, ``blocks`` of attention, the mean of all tokens."""
    image = keras.Input((size, size, 3), name="image")
    tokens = (size // patch) ** 2
    x = layers.Reshape((tokens, channels))(layers.Conv2D(channels, patch, strides=patch)(image))
    for _ in range(blocks):
        x = attended(x, heads, 2 * channels)
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))))


def bert(tokens: int, channels: int, heads: int, blocks: int) -> keras.Model:
    """The encoder of a BERT on embedded tokens, and a classifier of their mean."""
    x = embedded = keras.Input((tokens, channels), name="embedded")
    for _ in range(blocks):
        x = attended(x, heads, 4 * channels)
    return keras.Model(embedded, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


PARTS = (
    "xc7z020clg400-1",
    "xczu7ev-ffvc1156-2-e",
    "xczu9eg-ffvb1156-2-e",
    "xcu50-fsvh2104-2-e",
    "xcu250-figd2104-2l-e",
)
CASES: dict[str, Callable[[], keras.Model]] = {
    "resnet-18": resnet18,
    "resnet-50": resnet50,
    "mobilenet-v2": mobilenet_v2,
    "efficientnet-lite0": efficientnet_lite0,
    "u-net 256x256x16": lambda: u_net(256, 16),
    "u-net 64x64x64": lambda: u_net(64, 64),
    "yolo-v3-tiny": lambda: yolo_v3_tiny(416),
    "vit-tiny": vit_tiny,
    "vit": lambda: vit(32, 4, 64, 4, 4),
    "bert": lambda: bert(32, 128, 2, 2),
}


def built(name: str) -> keras.Model:
    """The network, with the same random weights each time, also of normalizations and biases."""
    keras.utils.set_random_seed(SEED)
    model = CASES[name]()
    rng = np.random.default_rng(SEED)
    for weight in model.weights:
        drawn = {
            "gamma": lambda shape: rng.uniform(0.5, 1.5, shape),
            "moving_variance": lambda shape: rng.uniform(0.5, 1.5, shape),
            "beta": lambda shape: rng.normal(0.0, 0.1, shape),
            "moving_mean": lambda shape: rng.normal(0.0, 0.1, shape),
            "bias": lambda shape: rng.normal(0.0, 0.1, shape),
        }.get(weight.name)
        if drawn is not None:
            weight.assign(drawn(weight.shape))
    return model


def settled(model: keras.Model, images: np.ndarray) -> keras.Model:
    """``model`` with weights as after training, as far as scales go."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            shape = weight.shape
            fan = int(np.prod(shape[:2] if isinstance(layer, keras.layers.DepthwiseConv2D) else shape[:-1]))
            drawn = {
                "kernel": lambda shape=shape, fan=fan: rng.normal(0, np.sqrt(2 / fan), shape),
                "gamma": lambda shape=shape: rng.uniform(0.3, 1.5, shape),
                "beta": lambda shape=shape: rng.normal(0, 0.3, shape),
                "bias": lambda shape=shape: rng.normal(0, 0.1, shape),
            }.get(weight.name)
            if drawn is not None:
                weight.assign(drawn())
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    return model


def images(shape: tuple[int, ...]) -> np.ndarray:
    """Sums of waves of a few lengths, about as bright and as rich in contrast as photographs after normalization."""
    rng, (rows, columns, channels) = np.random.default_rng(SEED), shape
    y, x = np.linspace(0, 1, rows)[:, None, None], np.linspace(0, 1, columns)[None, :, None]
    found = []
    for _ in range(IMAGES):
        image = np.zeros(shape)
        for octave in range(1, 6):
            up, along = rng.uniform(-(2**octave), 2**octave, 2)
            wave = np.cos(2 * np.pi * (up * y + along * x + rng.uniform(0, 1, channels)))
            image += rng.normal(0, 1, channels) / octave * wave
        found.append(rng.uniform(0.3, 1) * image + rng.normal(0, 0.7, channels))
    return np.array(found, dtype=np.float32)


def measured(name: str, parts: Sequence[str], *, blind: bool) -> Iterator[tuple[str, float, str]]:
    """The conversion of a case and the answer for each part, with the seconds that each takes; parts may be none."""
    warnings.simplefilter("ignore")
    model = built(name)
    shape = model.input_shape[1:]
    data = images(shape) if len(shape) == 3 and not blind else None
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        converted = bitsmith.convert(model, folder, part=PARTS[0], io_type="io_stream", bits=8, calibration=data)
        yield f"{model.count_params():,} weights", time.process_time() - start, "converted"
    for part in parts:
        start, clock_ns = time.process_time(), resolve_part(part).family.clock_period_ns
        target = replace(converted.target, part=part, clock_period_ns=clock_ns)
        own = Model(converted.network, converted.program, target, converted.notes, converted.fidelity, converted.source)
        answer = answered(of_model(own))
        yield part, time.process_time() - start, answer


def answered(told: Explanation) -> str:
    """The circuit that fits with its frames per second, or what is in the way."""
    if told.model is None or told.estimate is None:
        return f"not translated: {told.problems[0]}"
    clock_ns = told.model.target.clock_period_ns
    if told.estimate.fits:
        return f"as it is: {figures(told.estimate.size, told.estimate.interval, clock_ns)}"
    if told.proposal is not None:
        in_turn = " in turn" if told.proposal.fit.in_turn else ""
        return f"fits{in_turn}: {figures(told.proposal.fit.size, told.proposal.interval, clock_ns)}"
    return f"does not fit: {told.obstacle}"


def figures(size: Size, interval: int, clock_ns: float) -> str:
    """Cells, cycles from frame to frame, and frames in a second."""
    larger = "".join(f", {number} {name}" for name, number in size.large.items())
    cells = f"{size.lut:,} LUT, {size.dsp:,} DSP, {size.bram:,} BRAM{larger}"
    return f"{cells}, {interval:,} cycles, {1e9 / clock_ns / interval:.3g} frames/s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blind", action="store_true")
    parser.add_argument("--here", action="store_true")
    parser.add_argument("cases", nargs="*")
    given = parser.parse_args()
    if given.here:
        name, _, asked = given.cases[0].partition(":")
        sys.exit(int(printed(name, asked.split(",") if asked else PARTS, blind=given.blind)))
    print("network | part | s | MB | answer", flush=True)
    here = [sys.executable, __file__, "--here", *(["--blind"] if given.blind else [])]
    codes = [subprocess.run([*here, case], check=False).returncode for case in given.cases or CASES]
    sys.exit(max(codes))


def printed(name: str, parts: Sequence[str], *, blind: bool) -> bool:
    """Print the rows of a case as they come, which takes minutes; return True if an answer takes more than it may."""
    late, converting = False, 0.0
    for part, seconds, answer in measured(name, parts, blind=blind):
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        late |= converting + seconds > LIMIT_S or megabytes > LIMIT_MB
        converting = converting or seconds
        print(name, part, f"{seconds:.0f}", f"{megabytes:,}", answer, sep=" | ", flush=True)
    return late


if __name__ == "__main__":
    main()
