"""Writes the models of HGQ2 that the tests read, with inputs and what HGQ2 computes from them.

    pip install hgq2==0.2.0 keras==3.15.1 jax==0.10.2
    KERAS_BACKEND=jax python tests/quantized/hgq/make.py [NAME ...]

(and ``older`` with hgq2==0.1.9). With hgq2==0.1.9 and keras==3.12.3 it writes those in ``models_0_1``.

Bit widths are random and not integers, some numbers have no bits at all, and inputs go beyond the ranges that quantizers which
wrap around were calibrated for. ``NAME.npz`` has the inputs (``x0``, ...), the outputs (``y0``, ...) and, by name, the results
of the other layers.
"""

import os
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from itertools import product
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from hgq import layers
from hgq.config import HardSigmoidConfig, HardTanhConfig, QuantizerConfig, QuantizerConfigScope
from hgq.quantizer import Quantizer
from hgq.quantizer.config import default_configs
from hgq.quantizer.internal import (
    FixedPointQuantizerKBI,
    FixedPointQuantizerKIF,
    FloatPointQuantizer,
    TrainableQuantizerBase,
)
from hgq.utils import trace_minmax
from keras import Input, Model, Sequential

OLDER = version("hgq2").startswith("0.1.")
MODELS = Path(__file__).parent / ("models_0_1" if OLDER else "models")
ROUNDINGS = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV", "S_RND", "S_RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_SYM")


def quantizers() -> Model:
    """Every type, rounding and overflow mode; formats for each element, each channel, and one for all."""
    x = Input((4, 3), name="x")
    axes = ({"homogeneous_axis": (0,)}, {"homogeneous_axis": (0, 1)}, {"heterogeneous_axis": ()})
    outputs = []
    for number, (kind, rounding, overflow) in enumerate(product(("kbi", "kif"), ROUNDINGS, OVERFLOWS)):
        chosen = {"round_mode": rounding, "overflow_mode": overflow, **axes[number % 3]}
        outputs.append(Quantizer(kind, "datalane", **chosen, name=f"{kind}_{rounding}_{overflow}".lower())(x))
    return Model(x, outputs)


def transformed() -> Model:
    """Scales and shifts, and quantizers that do nothing."""
    x = Input((4, 3), name="x")
    configs = {
        "scaler": QuantizerConfig("kif", "datalane", scaler=0.5),
        "affine": QuantizerConfig("kif", "datalane", affine=(0.5, 0.25)),
        "both": QuantizerConfig("kbi", "datalane", scaler=4.0, affine=(-2.0, 1.0), overflow_mode="SAT"),
        "hard_tanh": HardTanhConfig(),
        "hard_sigmoid": HardSigmoidConfig(),
        "frozen": QuantizerConfig("kif", "datalane", trainable=False),
    }
    outputs = [Quantizer(config, name=name)(x) for name, config in configs.items()]
    kernels = {
        "scaled": QuantizerConfig("kif", "weight", scaler=2.0),
        "thirds": QuantizerConfig("kbi", "weight", scaler=1 / 3, affine=(1.5, 0.125)),
        "wraps": QuantizerConfig("kif", "weight", overflow_mode="WRAP", trainable=False),
        "wraps_too": QuantizerConfig("kbi", "weight", overflow_mode="WRAP", trainable=False),
    }
    outputs += [layers.QDense(2, kq_conf=kernel, enable_oq=True, name=name)(x) for name, kernel in kernels.items()]
    return Model(x, [*outputs, layers.QDense(2, trainable=False, name="not_trained")(x)])


def thirds() -> Model:
    """A scale that is not a power of two."""
    x = Input((4, 3), name="x")
    y = Quantizer("kif", "datalane", scaler=1 / 3, round_mode="TRN", name="scaled")(x)
    y = layers.QDense(3, iq_conf=QuantizerConfig("kif", "datalane", scaler=0.7), use_bias=False, name="dense")(y)
    return Model(x, Quantizer("kbi", "datalane", round_mode="RND_CONV", overflow_mode="SAT", name="last")(y))


def dense() -> Model:
    """Trained tensors on every kind of grid."""
    x = Input((6,), name="x")
    outputs = []
    for kind, rounding, overflow in product(("kbi", "kif"), ("RND", "RND_CONV", "TRN", "S_RND"), OVERFLOWS):
        kernel = QuantizerConfig(kind, "weight", round_mode=rounding, overflow_mode=overflow)
        bias = QuantizerConfig(kind, "bias", round_mode=rounding, overflow_mode=overflow)
        name = f"{kind}_{rounding}_{overflow}".lower()
        outputs.append(layers.QDense(3, kq_conf=kernel, bq_conf=bias, name=name)(x))
    y = layers.QDense(4, activation="relu", enable_oq=True, name="relu")(x)
    y = layers.QDense(4, use_bias=False, enable_iq=False, name="no_iq")(y)
    y = layers.QBatchNormDense(3, name="norm")(y)
    y = layers.QBatchNormDense(3, scale=False, activation="relu", enable_oq=True, name="no_gamma")(y)
    homogeneous = QuantizerConfig("kif", "datalane", heterogeneous_axis=())
    weights = QuantizerConfig("kbi", "weight", homogeneous_axis=(0,))
    z = layers.QDense(3, iq_conf=homogeneous, kq_conf=weights, enable_ebops=False, name="alike")(x)
    z = layers.QBatchNormDense(2, enable_ebops=False, name="no_ebops")(z)
    dummy = QuantizerConfig("dummy", "datalane")
    return Model(x, [*outputs, y, z, layers.QDense(2, iq_conf=dummy, name="dummy")(layers.QAdd(name="add")([x, x]))])


def einsum() -> Model:
    """Products in Einstein's notation."""
    x = Input((3, 4), name="x")
    dense = layers.QEinsumDense
    a = dense("abc,cd->abd", (3, 5), bias_axes="d", activation="relu", name="last")(x)
    b = dense("abc,dc->abd", (3, 5), name="turned")(x)
    c = dense("abc,bcd->abd", (3, 2), bias_axes="bd", enable_oq=True, name="each_row")(x)
    d = dense("...bc,bd->...dc", (2, 4), bias_axes="d", name="first")(x)
    norm = layers.QEinsumDenseBatchnorm
    e = norm("abc,cd->abd", (3, 5), bias_axes="d", name="norm")(x)
    f = norm("abc,bcd->abd", (3, 2), bias_axes="bd", center=False, activation="relu", name="rows")(x)
    g = layers.QEinsum("abc,acd->abd", name="product")([a, layers.QEinsum("abc,abd->acd", name="turn")([b, a])])
    return Model(x, [c, d, e, f, g])


def conv() -> Model:
    """Convolutions of images."""
    x = Input((5, 6, 4), name="x")
    each = QuantizerConfig("kif", "datalane", homogeneous_axis=(0, 1, 2), round_mode="RND_CONV")
    a = layers.QConv2D(4, 3, padding="same", activation="relu", name="same")(x)
    a = layers.QConv2D(6, (2, 1), strides=(2, 1), groups=2, iq_conf=each, name="grouped")(a)
    b = layers.QConv2D(4, 2, dilation_rate=2, groups=4, enable_oq=True, name="dilated")(x)
    c = layers.QConv2D(2, 2, data_format="channels_first", name="first")(x)
    return Model(x, [a, layers.QBatchNormalization(name="norm")(b), c])


def conv_1d_3d() -> Model:
    """Convolutions along one and three axes."""
    x, v = Input((6, 2), name="x"), Input((3, 3, 3, 2), name="v")
    alike = QuantizerConfig("kif", "datalane", homogeneous_axis=(0, 1), overflow_mode="SAT")
    a = layers.QConv1D(3, 2, padding="causal", dilation_rate=2, iq_conf=alike, enable_ebops=False, name="causal")(x)
    b = layers.QConv1D(4, 3, strides=2, padding="same", groups=2, activation="relu", name="strided")(x)
    c = layers.QConv3D(2, 2, padding="same", name="volume")(v)
    return Model([x, v], [a, b, c])


def normalization() -> Model:
    """Batch normalization."""
    x = Input((3, 4), name="x")
    norm = layers.QBatchNormalization
    a = norm(name="plain")(x)
    b = norm(axis=1, scale=False, name="no_gamma")(x)
    c = norm(center=False, enable_oq=True, name="no_beta")(x)
    return Model(x, [a, b, c])


def merges() -> Model:
    """Merges of several operands, and reductions of one."""
    x, y = Input((3, 4), name="x"), Input((3, 4), name="y")
    two = ("QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2")
    outputs = [getattr(layers, name)(name=name.lower())([x, y]) for name in two]
    outputs += [getattr(layers, name)(name=f"{name.lower()}_3")([x, y, x]) for name in two if name != "QSubtract"]
    confs = [
        QuantizerConfig("kif", "datalane", round_mode="TRN"),
        QuantizerConfig("kbi", "datalane", heterogeneous_axis=()),
    ]
    if not OLDER:  # it saves no such layers
        outputs.append(layers.QAdd(iq_confs=confs, enable_oq=True, name="confs")([x, y]))
    outputs.append(layers.QDot(axes=2, name="dot")([x, y]))
    outputs.append(layers.QDot(axes=(1, 1), name="dot_first")([x, y]))
    if not OLDER:
        outputs.append(layers.QAdd(enable_iq=False, name="plain")(outputs[:2]))
    outputs += [
        layers.QSum(axes=(1, 2), scale=0.5, keepdims=True, name="sum")(x),
        layers.QSum(name="last")(x),
        layers.QMeanPow2(axes=1, name="mean")(x),
        layers.QMeanPow2(axes=(1, 2), name="mean_all")(y),
    ]
    return Model([x, y], outputs)


def pools() -> Model:
    """Pooling."""
    x, s, v = Input((4, 6, 2), name="x"), Input((6, 2), name="s"), Input((2, 4, 2, 2), name="v")
    outputs = []
    for kind in ("Max", "Average"):
        for one, rank in ((s, 1), (x, 2), (v, 3)):
            pool, whole = getattr(layers, f"Q{kind}Pooling{rank}D"), getattr(layers, f"QGlobal{kind}Pooling{rank}D")
            outputs.append(pool(2, name=f"{kind}{rank}".lower())(one))
            outputs.append(
                whole(keepdims=rank == 2, enable_oq=kind == "Average", name=f"global_{kind}{rank}".lower())(one)
            )
    outputs.append(layers.QMaxPooling2D((2, 3), strides=1, padding="same", enable_oq=True, name="same_max")(x))
    outputs.append(layers.QAveragePooling2D(2, strides=(2, 1), padding="same", name="same_mean")(x))
    wide = QuantizerConfig("kif", "datalane", f0=4, round_mode="RND_CONV")
    y = layers.QAveragePooling2D((1, 3), name="thirds")(x)
    outputs.append(Quantizer(wide, name="of_thirds")(y))
    return Model([x, s, v], outputs)


def nested() -> Model:
    """Nested and shared models, chains, and layers on each time step."""
    inner = Sequential(
        [Input((4,)), layers.QDense(3, activation="relu", name="in"), layers.QDense(2, name="out")], name="inner"
    )
    x = Input((3, 4), name="x")
    a = keras.layers.TimeDistributed(layers.QDense(3, enable_oq=True, name="step"), name="steps")(x)
    y = keras.layers.Flatten(name="flat")(a)
    shared = layers.QDense(4, name="shared")
    y = layers.QDense(4, name="front")(y)
    first, second = shared(y), shared(layers.QDense(4, name="between")(y))
    return Model(x, [inner(first), inner(second)])


def older() -> Model:
    """Written by hgq2 0.1.9."""
    x = Input((4, 4, 2), name="x")
    y = layers.QConv2D(3, 2, activation="relu", name="conv")(x)
    y = layers.QMaxPooling2D(2, padding="same", name="pool")(layers.QBatchNormalization(name="norm")(y))
    y = layers.QDense(4, enable_oq=True, name="dense")(keras.layers.Flatten(name="flat")(y))
    z = layers.QEinsumDense("ab,bc->ac", 4, bias_axes="c", enable_ebops=False, name="einsum")(y)
    return Model(x, layers.QBatchNormDense(3, name="norm_dense")(layers.QAdd(name="add")([y, z])))


def reflected() -> Model:
    """The overflow mode WRAP_SM."""
    x = Input((4, 3), name="x")
    axes = ({"homogeneous_axis": (0,)}, {"homogeneous_axis": (0, 1)}, {"heterogeneous_axis": ()})
    outputs = []
    for number, (kind, rounding) in enumerate(product(("kbi", "kif"), ("RND", "RND_CONV", "S_RND"))):
        chosen = {"round_mode": rounding, "overflow_mode": "WRAP_SM", **axes[number % 3]}
        outputs.append(Quantizer(kind, "datalane", **chosen, name=f"{kind}_{rounding}".lower())(x))
    mode = {"overflow_mode": "WRAP_SM", "round_mode": "RND"}
    scaled = QuantizerConfig("kif", "datalane", scaler=0.5, affine=(-2.0, 0.25), **mode)
    outputs.append(Quantizer(scaled, name="scaled")(x))
    kernel, result = QuantizerConfig("kif", "weight", **mode), QuantizerConfig("kbi", "datalane", **mode)
    outputs.append(layers.QDense(3, kq_conf=kernel, bq_conf=kernel, oq_conf=result, enable_oq=True, name="dense")(x))
    return Model(x, [*outputs, layers.QUnaryFunctionLUT("tanh", iq_conf=result, oq_conf=result, name="tanh")(x)])


def minifloats() -> Model:
    """Quantizers with a mantissa and an exponent, which HGQ2 makes only without an argument of its own."""
    for (kind, _), arguments in default_configs.items():
        if kind == "float":
            arguments.pop("is_weight", None)
    x = Input((4, 3), name="x")
    each = QuantizerConfig("float", "datalane", homogeneous_axis=(0,))
    outputs = [
        Quantizer(each, name="each")(x),
        Quantizer(QuantizerConfig("float", "datalane", heterogeneous_axis=()), name="one")(x),
        Quantizer(QuantizerConfig("float", "datalane", scaler=2.0, affine=(0.5, 0.25)), name="scaled")(x),
    ]
    float_weights = QuantizerConfig("float", "weight")
    y = layers.QDense(3, iq_conf=each, kq_conf=float_weights, bq_conf=float_weights, activation="relu", name="dense")(x)
    y = layers.QDense(2, iq_conf=each, oq_conf=each, enable_oq=True, name="results")(y)
    return Model(x, [*outputs, y, layers.QUnaryFunctionLUT("tanh", iq_conf=each, oq_conf=each, name="tanh")(x)])


def at_inputs() -> Model:
    """Products and sums of inputs, which alone are quantized."""
    x, y, w = Input((3, 4), name="x"), Input((4, 3), name="y"), Input((3, 4), name="w")
    z = layers.QMultiply(name="product")([x, w])
    outputs = [
        layers.QEinsum("abc,acd->abd", name="einsum")([x, y]),
        layers.QDot(axes=(2, 1), enable_ebops=False, name="dot")([x, y]),
        keras.layers.Multiply(name="cube")([z, layers.QAdd(name="sum")([x, x])]),
        layers.QMeanPow2(axes=(1, 2), name="mean")(x),
        layers.QGlobalAveragePooling1D(name="pool")(y),
        layers.QAveragePow2(name="average")([x, x, x]),
    ]
    return Model([x, y, w], outputs)


def wide() -> Model:
    """An image network whose last sums need more than 24 bits, before a quantizer that wraps around."""
    x = Input((6, 6, 2), name="x")
    fine = QuantizerConfig("kif", "datalane", f0=11)
    kernel, bias = QuantizerConfig("kif", "weight", f0=11), QuantizerConfig("kif", "bias", f0=11)
    given = {"iq_conf": fine, "kq_conf": kernel, "bq_conf": bias}
    y = layers.QConv2D(4, 3, activation="relu", name="conv", **given)(x)
    y = layers.QDense(5, name="sums", **given)(keras.layers.Flatten(name="flat")(y))
    return Model(x, Quantizer(QuantizerConfig("kif", "datalane", f0=17, i0=1), name="last")(y))


ALL: tuple[Callable[[], Model], ...] = (
    *(quantizers, transformed, thirds, dense, einsum, conv, conv_1d_3d, normalization, merges, pools, nested),
    *(older, reflected, minifloats, at_inputs, wide),
)


def scattered(model: Model, rng: np.random.Generator, *, widths: bool) -> None:
    """Random trained tensors, statistics and, if wanted, bit widths."""
    for layer in model._flatten_layers():
        if isinstance(layer, TrainableQuantizerBase) and not widths:
            continue
        if isinstance(layer, FloatPointQuantizer):
            shape = layer._m.shape
            layer._m.assign(rng.choice([-1.0, 0.3, 1.0, 2.4, 3.0, 4.6], shape, p=[0.05, 0.15, 0.2, 0.2, 0.2, 0.2]))
            layer._e.assign(rng.choice([0.4, 1.0, 2.0, 2.6, 4.0], shape))
            layer._e0.assign(rng.choice([-2.0, 0.0, 1.4], shape))
            continue
        if isinstance(layer, FixedPointQuantizerKBI | FixedPointQuantizerKIF):
            kbi = isinstance(layer, FixedPointQuantizerKBI)
            shape = layer._i.shape
            bits = rng.choice([0.0, 2.5, 3.5, 4.4, 5.0, 6.6], shape, p=[0.1, 0.1, 0.2, 0.2, 0.2, 0.2])
            (layer._b if kbi else layer._f).assign(bits if kbi else bits - 1.5)
            layer._i.assign(rng.choice([-1.0, 0.4, 0.5, 1.5, 2.2], shape))
            layer._k.assign(rng.choice([0, 1], shape, p=[0.2, 0.8]))
            if layer.overflow_mode == "WRAP_SM":
                single = np.asarray(layer.k + layer.i + layer.f) == 1  # such numbers are refused
                (layer._b if kbi else layer._f).assign_add(single * 2.0)
            continue
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            name = variable.path.rsplit("/", 1)[-1]
            if name in ("kernel", "bias", "bn_beta", "moving_mean"):
                variable.assign(rng.normal(0.0, 1.0, variable.shape))
            elif name in ("gamma", "bn_gamma", "moving_variance"):
                variable.assign(rng.uniform(0.3, 2.0, variable.shape))


def write(make: Callable[[], Model]) -> None:
    """The file of a model, and what it computes."""
    keras.backend.clear_session()
    rng = np.random.default_rng(sum(map(ord, make.__name__)))
    name = make.__name__
    with QuantizerConfigScope():
        model = make()
    scattered(model, rng, widths=make is not wide)
    inputs = [(rng.integers(-200, 200, (16, *one.shape[1:])) / 64).astype(np.float32) for one in model.inputs]
    trace_minmax(model, inputs if len(inputs) > 1 else inputs[0])
    inputs = [np.concatenate([one, one * 4.0]) for one in inputs]
    inner = [
        layer
        for layer in model.layers
        if not isinstance(layer, Sequential)
        and len(layer._inbound_nodes) == 1
        and not any(layer.output is one for one in (*model.inputs, *model.outputs))
    ]
    results = Model(model.inputs, [*model.outputs, *(layer.output for layer in inner)])(inputs, training=False)
    names = [f"y{number}" for number in range(len(model.outputs))] + [layer.name for layer in inner]
    found = dict(zip(names, map(np.asarray, results), strict=True))
    found |= {f"x{number}": one for number, one in enumerate(inputs)}
    np.savez_compressed(MODELS / f"{name}.npz", **found)
    model.save(path := MODELS / f"{name}.keras")
    compressed(path)


def compressed(path: Path) -> None:
    """Write an archive again, compressed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    MODELS.mkdir(exist_ok=True)
    for one in ALL:
        if one.__name__ in (sys.argv[1:] or {each.__name__ for each in ALL}):
            write(one)
