"""Writes the models of this folder, with inputs and what QKeras makes of them, to ``models``.

Each generation of QKeras in an environment of its own::

    pip install "tensorflow-cpu==2.14.1" "numpy<2" "ml_dtypes==0.2.0" pyparsing tqdm networkx scikit-learn keras-tuner
    pip install --no-deps "qkeras==0.9.0" "tensorflow-model-optimization==0.7.5"
    python make.py

    pip install "qkeras-v3==1.2.1" jax pyparsing
    KERAS_BACKEND=jax python make.py

A model has many branches, one for each set of arguments. Inputs are multiples of powers of two that float32 adds exactly.
"""

import os
import sys
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import numpy as np
from qkeras import (
    QGRU,
    QLSTM,
    QActivation,
    QAdaptiveActivation,
    QAveragePooling2D,
    QBatchNormalization,
    QBidirectional,
    QConv1D,
    QConv2D,
    QConv2DBatchnorm,
    QConv2DTranspose,
    QDense,
    QDepthwiseConv2D,
    QDepthwiseConv2DBatchnorm,
    QGlobalAveragePooling2D,
    QSeparableConv1D,
    QSeparableConv2D,
    QSimpleRNN,
    binary,
    quantized_bits,
    quantized_po2,
    quantized_relu,
    quantized_relu_po2,
    quantized_sigmoid,
    quantized_tanh,
    quantized_ulaw,
    stochastic_binary,
    stochastic_ternary,
    ternary,
)
from quantizers import ACTIVATIONS, BIASES, KERNELS, TENSOR, TWO

MODELS = Path(__file__).parent / "models"
if TWO:
    import tensorflow as tf
    from tensorflow import keras
    from tensorflow.python.ops import array_ops
    from tensorflow.python.util import nest

    array_ops.stack = tf.stack  # where QConv2DTranspose looks for it
    array_ops.unstack = tf.unstack  # QGRU
    nest.is_sequence = nest.is_nested  # the name that recurrent layers know
else:
    import keras
    from qkeras import QDenseBatchnorm, quantized_linear

layers = keras.layers
GENERATION = "k2" if TWO else "k3"

random = np.random.default_rng()


def grid(shape, frac, bound):
    """Multiples of ``2**-frac`` within the bound."""
    return random.integers(-bound * 2**frac, bound * 2**frac + 1, shape).astype(np.float32) / 2**frac


def numbers():
    """Numbers (rows, 4) at, near and far away from the steps of quantizers, which ``fixed<16,6>`` has."""
    steps = np.arange(-160, 161) / 32
    near = steps[::5, None] + np.array([-1, 1]) * 2.0**-10
    powers = 2.0 ** np.arange(-10, 5)
    far = np.array([-31.5, -17.5, -9.25, 9.25, 17.5, 31.5, 0.0])
    flat = np.concatenate([steps, near.ravel(), far, powers, -powers, powers[1:] * 1.5]).astype(np.float32)
    return np.resize(random.permutation(np.clip(flat, -31.5, 31.5)), (len(flat) // 4 + 1, 4))


def arguments():
    """Arguments that the others leave out."""
    found = {
        "bits_unsigned_symmetric": quantized_bits(5, 1, 1, False, alpha=1.0),
        "bits_ste": quantized_bits(6, 2, alpha=1.0, use_ste=False),
        "relu_stochastic": quantized_relu(5, 1, use_stochastic_rounding=True),
        "relu_bound_slope": quantized_relu(6, 2, negative_slope=0.5, relu_upper_bound=2.0),
        "tanh_stochastic": quantized_tanh(5, use_stochastic_rounding=True),
        "tanh_real_symmetric": quantized_tanh(5, symmetric=True, use_real_tanh=True),
        "sigmoid_stochastic": quantized_sigmoid(5, use_stochastic_rounding=True),
        "sigmoid_real_symmetric": quantized_sigmoid(5, symmetric=True, use_real_sigmoid=True),
        "stochastic_binary_real": stochastic_binary(alpha=0.5, temperature=2.0, use_real_sigmoid=False),
        "stochastic_ternary_real": stochastic_ternary(
            alpha=1.0, threshold=0.5, temperature=2.0, use_real_sigmoid=False
        ),
        "po2_stochastic": quantized_po2(4, 2, use_stochastic_rounding=True),
        "relu_po2_quadratic": quantized_relu_po2(5, 4, quadratic_approximation=True),
        "relu_po2_floor": quantized_relu_po2(4, 8, log2_rounding="floor"),
        "relu_po2_stochastic": quantized_relu_po2(4, 8, use_stochastic_rounding=True),
        "ulaw_wide": quantized_ulaw(8, 2, 0, 100.0),
        "text_hswish_alpha": "quantized_hswish(6,2,alpha=0.5)",
        "text_hswish_symmetric": "quantized_hswish(5,1,1)",
    }
    if not TWO:
        found |= {
            "linear_stochastic": quantized_linear(6, 1, use_stochastic_rounding=True),
            "bits_frozen": quantized_bits(5, 1, 1, alpha="auto", post_training_scale=np.array(0.75)),
            "bits_frozen_channels": quantized_bits(5, 0, 1, alpha="auto_po2", post_training_scale=TENSOR),
        }
    kernels = {
        "ternary_stochastic": ternary(alpha="auto_po2", use_stochastic_rounding=True),
        "ternary_unrolls": ternary(alpha="auto_po2", number_of_unrolls=2),
        "bits_stochastic": quantized_bits(4, 0, alpha="auto_po2", use_stochastic_rounding=True),
        "stochastic_ternary": stochastic_ternary(alpha="auto_po2", temperature=2.0, use_real_sigmoid=False),
        "stochastic_binary": stochastic_binary(alpha="auto_po2", temperature=2.0, use_real_sigmoid=False),
    }
    if not TWO:
        kernels |= {
            "linear_stochastic": quantized_linear(4, 0, alpha="auto_po2", use_stochastic_rounding=True),
            "bits_frozen": quantized_bits(4, 1, 1, alpha="auto", post_training_scale=np.array([0.75, 1.0, 0.5, 2.0])),
        }
    x = layers.Input((4,), name="x")
    results = [QActivation(one, name=name)(x) for name, one in found.items()]
    bias = quantized_bits(6, 1, alpha=1)
    results += [
        QDense(4, kernel_quantizer=one, bias_quantizer=bias, name=f"kernel_{name}")(x) for name, one in kernels.items()
    ]
    return keras.Model(x, results), numbers()


def channels():
    """Scales of channels where these come first, and where they come last."""
    first, last = layers.Input((3, 6, 5), name="first"), layers.Input((6, 5, 4), name="last")
    b, auto, whole = quantized_bits(6, 2, alpha=1), quantized_bits(4, 0, alpha="auto_po2"), quantized_bits(8, 0)
    kernel, depthwise = (
        {"kernel_quantizer": auto, "bias_quantizer": b},
        {"depthwise_quantizer": auto, "bias_quantizer": b},
    )
    order = {"data_format": "channels_first"}
    found = [
        QConv2D(4, 2, strides=2, activation=quantized_relu(6, 2), name="conv", **kernel, **order),
        QDepthwiseConv2D(2, depth_multiplier=2, name="depthwise", **depthwise, **order),
        QSeparableConv2D(4, 3, pointwise_quantizer=auto, name="separable", **depthwise, **order),
        QConv2DTranspose(4, 3, name="transposed", **kernel, **order),
        QAveragePooling2D(2, average_quantizer=whole, name="average", **order),
        QGlobalAveragePooling2D(average_quantizer=whole, name="whole", **order),
        QActivation(quantized_bits(6, np.array([0, 1, 2, 3, 1]), alpha=1), name="integers"),
    ]
    results = [layer(first) for layer in found]
    if TWO:  # qkeras-v3 cannot call quantizers with several alphas
        alphas = quantized_bits(4, 0, alpha=TENSOR)
        kernel, depthwise = kernel | {"kernel_quantizer": alphas}, depthwise | {"depthwise_quantizer": alphas}
        narrow = quantized_bits(4, 0, alpha=TENSOR[:3])
        more = [
            QConv2D(4, 3, name="conv_alphas", **kernel, **order),
            QDepthwiseConv2D(2, depth_multiplier=4, name="depthwise_alphas", **depthwise, **order),
            QConv2DTranspose(4, 3, kernel_quantizer=narrow, bias_quantizer=b, name="transposed_alphas", **order),
            QActivation(quantized_bits(6, 1, alpha=np.append(TENSOR, np.float32(1.0))), name="alphas"),
        ]
        results += [layer(first) for layer in more]
        more = [
            QConv2D(4, 3, name="last_conv", **kernel),
            QDepthwiseConv2D(2, depth_multiplier=4, name="last_depthwise", **depthwise),
            QActivation(quantized_bits(6, 1, alpha=TENSOR), name="last_alphas"),
            QActivation(binary(alpha=TENSOR), name="last_binary"),
        ]
        results += [layer(last) for layer in more]
    results += [QActivation(quantized_relu(6, np.array([0, 1, 2, 3])), name="last_relu")(last)]
    return keras.Model([first, last], results), (grid((8, 3, 6, 5), 3, 2), grid((8, 6, 5, 4), 3, 2))


def activations():
    x = layers.Input((4,), name="x")
    named = {name: QActivation(one, name=name) for name, one in ACTIVATIONS.items()}
    return keras.Model(x, [layer(x) for layer in named.values()]), numbers()


def dense():
    x = layers.Input((6,), name="x")
    bias = quantized_bits(6, 1, alpha=1)
    found = [QDense(4, kernel_quantizer=one, bias_quantizer=bias, name=name) for name, one in KERNELS.items()]
    found += [QDense(4, kernel_quantizer=bias, bias_quantizer=one, name=f"bias_{name}") for name, one in BIASES.items()]
    found += [
        QDense(4, kernel_quantizer=bias, name="no_bias_quantizer"),
        QDense(4, kernel_quantizer=bias, use_bias=False, name="no_bias"),
        QDense(4, kernel_quantizer=bias, bias_quantizer=bias, activation="quantized_relu(5,1)", name="text_activation"),
        QDense(4, kernel_quantizer=bias, bias_quantizer=bias, activation=quantized_tanh(5), name="activation"),
        QDense(4, kernel_quantizer=bias, bias_quantizer=bias, activation="relu", name="keras_activation"),
        layers.Dense(4, activation=quantized_relu(5, 1), name="float_dense"),
        layers.Activation(quantized_bits(5, 2, alpha=1), name="keras_quantizer"),
    ]
    return keras.Model(x, [layer(x) for layer in found]), grid((40, 6), 4, 3)


def convolutions():
    image, series = layers.Input((5, 6, 3), name="image"), layers.Input((7, 3), name="series")
    k, b = quantized_bits(5, 0, alpha=1), quantized_bits(6, 2, alpha=1)
    auto, relu = quantized_bits(4, 0, alpha="auto_po2"), quantized_relu(6, 2)
    both = {"kernel_quantizer": k, "bias_quantizer": b}
    depthwise = {"depthwise_quantizer": k, "bias_quantizer": b}
    separable = {**depthwise, "pointwise_quantizer": auto}
    found = [
        *(
            QConv2D(4, 3, name="conv", activation=relu, **both),
            QConv2D(4, (2, 3), strides=2, padding="same", name="conv_same", kernel_quantizer=auto, bias_quantizer=b),
            QConv2D(3, 2, dilation_rate=2, name="conv_dilated", kernel_quantizer=ternary(), use_bias=False),
            QDepthwiseConv2D(3, name="depthwise", **depthwise),
            QDepthwiseConv2D(2, depth_multiplier=2, name="depthwise_auto", depthwise_quantizer=auto, bias_quantizer=b),
            QDepthwiseConv2D(2, name="depthwise_binary", depthwise_quantizer=binary(), use_bias=False),
            QSeparableConv2D(4, 3, padding="same", name="separable", activation=relu, **separable),
            QConv2DTranspose(2, 3, strides=2, name="transposed", **both),
            QConv2DTranspose(2, 3, padding="same", name="transposed_auto", kernel_quantizer=auto, bias_quantizer=b),
            QAveragePooling2D(2, average_quantizer=quantized_bits(8, 0, alpha=1), name="average"),
            QAveragePooling2D(3, average_quantizer=quantized_bits(8, 0), activation=quantized_relu(6, 2), name="nine"),
            QAveragePooling2D(2, name="plain_average"),
            QGlobalAveragePooling2D(average_quantizer=quantized_bits(8, 0), activation=relu, name="whole"),
            QGlobalAveragePooling2D(average_quantizer=quantized_po2(6, 1), name="whole_po2"),
        ),
        *(
            QConv1D(4, 3, padding="causal" if TWO else "same", name="conv1", activation=relu, **both),
            QConv1D(4, 2, strides=2, padding="same", name="conv1_auto", kernel_quantizer=auto, bias_quantizer=b),
            QSeparableConv1D(4, 3, name="separable1", **separable),
        ),
    ]
    results = [layer(series if "1D" in type(layer).__name__ else image) for layer in found]
    return keras.Model([image, series], results), (grid((12, 5, 6, 3), 3, 2), grid((12, 7, 3), 3, 2))


def folded():
    image = layers.Input((4, 4, 2), name="image")
    b, relu = quantized_bits(8, 3, alpha=1), quantized_relu(6, 2)
    kernels = {"bits": quantized_bits(5, 0, alpha=1), "auto": quantized_bits(4, 0, alpha="auto_po2"), "none": None}
    found = [
        kind(
            **sizes,
            **{key: kernel},
            bias_quantizer=b,
            folding_mode=mode,
            use_bias=bias,
            activation=relu,
            name=f"{key[0]}_{name}_{mode[0]}_{bias}",
        )
        for kind, sizes, key in (
            (QConv2DBatchnorm, {"filters": 3, "kernel_size": 2}, "kernel_quantizer"),
            (QDepthwiseConv2DBatchnorm, {"kernel_size": 2}, "depthwise_quantizer"),
        )
        for name, kernel in kernels.items()
        for mode in ("ema_stats_folding", "batch_stats_folding")
        for bias in (True, False)
        if name != "none" or bias
    ]
    return keras.Model(image, [layer(image) for layer in found]), grid((12, 4, 4, 2), 3, 2)


def folded_dense():
    x = layers.Input((5,), name="x")
    b, relu = quantized_bits(8, 3, alpha=1), quantized_relu(6, 2)
    kernel = quantized_bits(5, 0, alpha=1)
    found = [
        QDenseBatchnorm(3, kernel_quantizer=kernel, bias_quantizer=b, folding_mode=mode, activation=relu, name=mode)
        for mode in ("ema_stats_folding", "batch_stats_folding")
    ]
    return keras.Model(x, [layer(x) for layer in found]), grid((20, 5), 3, 2)


def normalized():
    x = layers.Input((5,), name="x")
    kernel = quantized_bits(5, 0, alpha=1)
    y = QDense(4, kernel_quantizer=kernel, bias_quantizer=kernel, name="dense")(x)
    y = QBatchNormalization(name="default")(y)
    y = QActivation(quantized_relu(6, 2), name="relu")(y)
    y = QBatchNormalization(
        gamma_quantizer=quantized_bits(6, 1, alpha=1),
        beta_quantizer=quantized_bits(6, 1, alpha=1),
        mean_quantizer=quantized_bits(6, 1, alpha=1),
        variance_quantizer=quantized_bits(6, 1, alpha=1),
        name="bits",
    )(y)
    y = QActivation(quantized_bits(6, 2, alpha=1), name="codes")(y)
    y = QBatchNormalization(
        beta_quantizer=None, gamma_quantizer=None, mean_quantizer=None, variance_quantizer=None, name="none"
    )(y)
    return keras.Model(x, QActivation("quantized_tanh(6)", name="tanh")(y)), grid((40, 5), 3, 2)


def network():
    k, b = quantized_bits(6, 0, alpha=1), quantized_bits(6, 0, alpha=1)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1), name="x"),
            QConv2D(4, 3, kernel_quantizer=k, bias_quantizer=b, name="conv1"),
            QActivation("quantized_relu(6,1)", name="relu1"),
            layers.MaxPooling2D(2, name="pool"),
            QConv2DBatchnorm(
                4, 2, kernel_quantizer=quantized_bits(4, 0, alpha="auto_po2"), bias_quantizer=b, name="conv2"
            ),
            QActivation(quantized_relu(4, 1), name="relu2"),
            layers.Flatten(name="flat"),
            QDense(6, kernel_quantizer=ternary(), bias_quantizer=b, name="dense1"),
            QActivation(quantized_tanh(5), name="tanh"),
            QDense(3, kernel_quantizer=quantized_po2(4, 1), bias_quantizer=b, name="dense2"),
            QActivation(quantized_bits(8, 2, alpha=1), name="result"),
        ]
    )
    return model, grid((60, 8, 8, 1), 5, 1)


def recurrent():
    x = layers.Input((5, 3), name="x")
    q, tanh, state = quantized_bits(5, 0, alpha=1), quantized_tanh(6), quantized_bits(7, 1, alpha=1)
    common = {"kernel_quantizer": q, "recurrent_quantizer": q, "bias_quantizer": q, "activation": tanh}
    gated = {**common, "state_quantizer": state, "recurrent_activation": quantized_sigmoid(5)}
    default = {**gated, "recurrent_activation": "hard_sigmoid" if TWO else "quantized_sigmoid(6)"}
    auto = {**gated, "kernel_quantizer": quantized_bits(4, 0, alpha="auto_po2"), "recurrent_quantizer": ternary()}
    found = [
        QSimpleRNN(3, state_quantizer=state, name="simple", **common),
        QSimpleRNN(3, return_sequences=True, go_backwards=True, name="simple_steps", **common),
        QLSTM(2, name="lstm", **gated),
        QLSTM(2, return_sequences=True, name="lstm_steps", **default),
        QLSTM(2, use_bias=False, name="lstm_auto", **auto),
        QGRU(2, name="gru", **gated),
        QGRU(2, reset_after=True, return_sequences=True, name="gru_steps", **default),
        QGRU(2, reset_after=False, name="gru_auto", **auto),
        QBidirectional(QLSTM(2, return_sequences=True, **gated), name="both"),
        QBidirectional(QGRU(2, **gated), merge_mode="sum", name="both_summed"),
    ]
    return keras.Model(x, [layer(x) for layer in found]), grid((20, 5, 3), 3, 1)


def states():
    """Recurrent layers whose states no quantizer takes, in few steps."""
    x = layers.Input((3, 2), name="x")
    q, tanh = quantized_bits(4, 0, alpha=1), quantized_tanh(5)
    common = {"kernel_quantizer": q, "recurrent_quantizer": q, "bias_quantizer": q}
    gated = {**common, "activation": tanh, "recurrent_activation": quantized_sigmoid(4)}
    found = [
        QSimpleRNN(2, activation="linear", return_sequences=True, name="linear", **common),
        QSimpleRNN(2, activation="relu", name="relu", **common),
        QLSTM(2, return_sequences=True, name="lstm", **gated),
        QGRU(2, name="gru", **gated),
    ]
    return keras.Model(x, [layer(x) for layer in found]), grid((20, 3, 2), 3, 1)


def adaptive():
    x = layers.Input((4,), name="x")
    kernel = quantized_bits(5, 0, alpha=1)
    y = QDense(4, kernel_quantizer=kernel, bias_quantizer=kernel, name="dense")(x)
    return keras.Model(x, QAdaptiveActivation("quantized_relu", 6, name="adaptive")(y)), grid((20, 4), 3, 3)


def trained(model):
    """The model with weights of its own in all layers; variances are positive."""
    for layer in model.layers:
        values = []
        for variable, value in zip(layer.weights, layer.get_weights(), strict=False):  # none of an adaptive activation
            made = random.normal(0.0, 0.45, value.shape)
            if "variance" in variable.name:
                made = np.abs(made) + 0.3
            if "gamma" in variable.name:
                made += 1.0
            if "kernel" in variable.name and "bits_auto" in layer.name:
                made[..., 0] = 0.0
            values.append(value if "iteration" in variable.name else made.astype(np.float32))
        layer.set_weights(values)
        if "Adaptive" in type(layer).__name__:
            layer.ema_max.assign([3.1])
            model.predict(np.zeros((1, 4)), verbose=0)  # takes the range over
    return model


def compiled(model):
    """The model for a processor, on which TensorFlow has no convolutions with channels first but compiled ones."""
    return tf.function(lambda x: model(x, training=False), jit_compile=True)


def smaller(path):
    """The same file with its parts compressed, or in fewer blocks."""
    spare = path.with_suffix(".spare")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(spare, "w", zipfile.ZIP_DEFLATED) as new:
            for member in old.namelist():
                new.writestr(zipfile.ZipInfo(member), old.read(member), zipfile.ZIP_DEFLATED)
    else:
        with h5py.File(path) as old, h5py.File(spare, "w", libver="latest") as new:
            new.attrs.update(old.attrs)
            for member in old:
                old.copy(member, new)
    spare.replace(path)


def main():
    MODELS.mkdir(exist_ok=True)
    makers = [activations, arguments, dense, convolutions, channels, folded, network, recurrent, states]
    # That of qkeras-v3 cannot be called.
    makers += [normalized, adaptive] if TWO else [folded_dense]
    for maker in makers:
        name, expected = maker.__name__, {}
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        random.bit_generator.state = np.random.default_rng(2026).bit_generator.state
        model, x = maker()
        model = trained(model)
        outputs = compiled(model)(x) if TWO and name == "channels" else model.predict(x, verbose=0)
        x, outputs = ([one] if not isinstance(one, (list, tuple)) else one for one in (x, outputs))
        ending = "h5" if TWO and name not in ("dense", "folded", "recurrent", "states") else "keras"
        if TWO and name == "network":
            model.save(MODELS / f"{name}_{GENERATION}.keras")
            (MODELS / f"{name}_{GENERATION}.json").write_text(model.to_json())
            model.save_weights(MODELS / f"{name}_{GENERATION}_weights.h5")
        model.save(MODELS / f"{name}_{GENERATION}.{ending}")
        for number, one in enumerate(x):
            expected[f"x{number}"] = np.asarray(one)
        for number, one in enumerate(outputs):
            expected[f"y{number}"] = np.asarray(one)
        for layer in model.layers:
            internal = {
                part: getattr(layer, f"{part}_quantizer_internal", None) for part in ("kernel", "bias", "depthwise")
            }
            for part, quantizer in internal.items():
                values = getattr(layer, "depthwise_kernel" if part == "depthwise" else part, None)
                if quantizer is not None and values is not None and "Batchnorm" not in type(layer).__name__:
                    expected[f"{layer.name}/{part}"] = np.asarray(quantizer(values))
        for path in MODELS.glob(f"{name}_{GENERATION}*[.s]*"):
            if path.suffix in (".h5", ".keras"):
                smaller(path)
        np.savez_compressed(MODELS / f"{name}_{GENERATION}.npz", **expected)


main()
