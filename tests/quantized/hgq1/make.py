"""Makes the models of this folder with HGQ 1 and stores what they give.

Environment: Python 3.11, `pip install hgq==0.2.6 tensorflow==2.14.1 "numpy<2"`. Run: `python make.py` (writes
`models/`), and `python make.py reflected_modes` for that one alone.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from HGQ import (
    HConv1D,
    HConv2D,
    HConv2DBatchNorm,
    HDense,
    HDenseBatchNorm,
    HQuantize,
    PAvgPool1D,
    PConcatenate,
    PFlatten,
    PMaxPool2D,
    PReshape,
    to_proxy_model,
    trace_minmax,
)
from HGQ.layers import HActivation, HAdd
from HGQ.proxy.fixed_point_quantizer import RND_MAP, SAT_MAP, FixedPointQuantizer
from HGQ.proxy.unary_lut import UnaryLUT
from tensorflow import keras

HERE = Path(__file__).parent / "models"
ROWS = 24
rng = np.random.default_rng(20)


def dense():
    x = keras.Input((6,))
    y = HDense(8, activation="relu", beta=0)(HQuantize(beta=0)(x))
    return keras.Model(x, HDense(3, beta=0)(y))


def normalized():
    x = keras.Input((6,))
    y = HDenseBatchNorm(7, activation="relu", beta=0)(HQuantize(beta=0)(x))
    return keras.Model(x, HDense(2, beta=0)(y))


def images():
    x = keras.Input((6, 6, 2))
    y = HConv2DBatchNorm(3, 3, activation="relu", beta=0)(HQuantize(beta=0)(x))
    y = HConv2D(2, (2, 1), beta=0)(PMaxPool2D((2, 2))(y))
    return keras.Model(x, HDense(2, beta=0)(PFlatten()(y)))


def sequences():
    x = keras.Input((8, 2))
    y = HConv1D(3, 3, activation="relu", padding="same", strides=2, beta=0)(HQuantize(beta=0)(x))
    return keras.Model(x, HDense(2, beta=0)(PReshape((6,))(PAvgPool1D(2)(y))))


def merged():
    x = keras.Input((5,))
    y = HQuantize(beta=0)(x)
    a, b = HDense(4, beta=0)(y), HDense(4, activation="relu", beta=0)(y)
    return keras.Model(x, HDense(3, beta=0)(PConcatenate()([HAdd(beta=0)([a, b]), b])))


def functions():
    x = keras.Input((4,))
    y = HActivation("tanh", beta=0)(HDense(5, beta=0)(HQuantize(beta=0)(x)))
    return keras.Model(x, HDense(3, beta=0)(y))


def trained(model, data):
    """The model with random widths and weights, calibrated on some of the data."""
    for layer in model.layers:
        for weight in layer.weights:
            name = weight.name.split("/")[-1]
            if "_bw" in name:
                weight.assign(rng.integers(-1, 6, weight.shape).astype(np.float32))
            elif "variance" in name:
                weight.assign(rng.uniform(0.5, 2.0, weight.shape).astype(np.float32))
            elif weight.dtype == tf.float32 and name[:2] not in ("be", "bo") and weight.shape.rank:
                weight.assign(rng.normal(0.0, 0.8, weight.shape).astype(np.float32))
    trace_minmax(model, data, bsz=len(data), verbose=False)
    return model


def inputs(shape):
    """Multiples of 1/256: small ones, and in the last rows such that wrap around or saturate."""
    small = np.round(rng.normal(0.0, 1.5, (ROWS, *shape)) * 256) / 256
    small[-4:] *= 40
    return small.astype(np.float32)


def modes():
    """Every rounding with every overflow, on one input: quantizers of several widths, per element."""
    bits = np.array([[8, 5, 1, 0, 6, 7]], np.int8)
    integers = np.array([[3, 5, 1, 0, -2, 9]], np.int8)
    signs = np.array([[1, 1, 0, 0, 0, 1]], np.int8)
    x = keras.Input((6,))
    found = []
    for rounding in RND_MAP:
        for overflow in SAT_MAP:
            if overflow != "WRAP_SM":
                given = (tf.constant(one) for one in (signs, bits, integers))
                found.append(FixedPointQuantizer(*given, rounding, overflow, name=f"{rounding}_{overflow}".lower())(x))
    return keras.Model(x, found)


def reflected():
    x = keras.Input((2,))
    return keras.Model(x, FixedPointQuantizer(1, 6, 3, "RND", "WRAP_SM")(x))


def reflected_modes():
    """Every rounding with the overflow that reflects, of several widths."""
    bits, integers = np.array([[8, 5, 1, 0, 6, 7]], np.int8), np.array([[3, 5, 1, 0, -2, 4]], np.int8)
    signs = np.array([[1, 1, 0, 0, 0, 1]], np.int8)
    x = keras.Input((6,))
    given = [tf.constant(one) for one in (signs, bits, integers)]
    return keras.Model(x, [FixedPointQuantizer(*given, mode, "WRAP_SM", name=mode.lower())(x) for mode in RND_MAP])


def table():
    """A table of a function that wraps around at both ends of its operand."""
    x = keras.Input((3, 2))
    y = FixedPointQuantizer(1, 6, 3, "RND", "WRAP", name="q")(x)
    lut = UnaryLUT.from_activation(tf.sin, (1, 2, 3), (1, 0, 6, "RND", "SAT"))
    return keras.Model(x, lut(y))


def unsigned_table():
    x = keras.Input((4,))
    y = FixedPointQuantizer(0, 5, 2, "TRN", "SAT", name="q")(x)
    return keras.Model(x, UnaryLUT.from_activation(tf.exp, (0, 2, 3), (0, 3, 2, "RND_CONV", "SAT"))(y))


def main():
    HERE.mkdir(exist_ok=True)
    if sys.argv[1:] == ["reflected_modes"]:
        expected = dict(np.load(HERE / "expected.npz"))
        store({"reflected_modes": reflected_modes()}, expected)
        return
    expected = {}
    plain = {"modes": modes(), "reflected": reflected(), "table": table(), "unsigned_table": unsigned_table()}
    for make in (dense, normalized, images, sequences, merged, functions):
        for aggressive in (True, False):
            model = make()
            data = inputs(model.input_shape[1:])
            size = 1024 if make is functions else -1
            proxy = to_proxy_model(trained(model, data[:12]), aggressive=aggressive, unary_lut_max_table_size=size)
            plain[f"{make.__name__}_{'wrap' if aggressive else 'sat'}"] = proxy
    store(plain, expected)


def store(models, expected):
    """Write models, and what they give beside what is known of others."""
    for name, model in models.items():
        model.save(HERE / f"{name}.h5")
        data = inputs(model.input_shape[1:])
        if name.endswith("modes"):  # with several quantizers an input keeps its own format
            data = np.clip(data, -31.5, 31.5)
        outputs = model(data)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        expected[f"{name}/x"] = data
        expected |= {f"{name}/y{k}": np.asarray(y) for k, y in enumerate(outputs)}
    np.savez_compressed(HERE / "expected.npz", **expected)


main()
