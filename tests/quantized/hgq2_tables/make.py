"""Makes the models of this folder with HGQ 2 and stores what they give.

Environment: Python 3.11, `pip install hgq2==0.2.0 keras==3.15.1 jax==0.10.2`.
Run: `KERAS_BACKEND=jax python make.py [NAME...]` (writes `models/`; with `hgq2==0.1.9 keras==3.12.3`, which lack some of the
layers, those in `models_0_1/`).
"""

import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from hgq.config import QuantizerConfig
from hgq.layers import (
    QGRU,
    QAffinedUnaryFunctionLUT,
    QConvT1D,
    QConvT2D,
    QDense,
    QDenseT,
    QLinformerAttention,
    QMultiHeadAttention,
    QSimpleRNN,
    QSoftmax,
    QUnaryFunctionLUT,
)
from hgq.layers.attn.salt import QSALTAttention
from hgq.utils import trace_minmax

OLDER = version("hgq2").startswith("0.1.")
if not OLDER:
    from hgq.layers import QLIF, QEinsumDenseT, QLinformerAttentionT, QMultiHeadAttentionT, QSimpleSNN
    from hgq.layers.snn import atan

HERE = Path(__file__).parent / ("models_0_1" if OLDER else "models")
ROWS = 16
rng = np.random.default_rng(3)

MODELS = {}


def model(make):
    MODELS[make.__name__] = make
    return make


def config(place="datalane", **given):
    return QuantizerConfig("kif" if "f0" in given else "kbi", place, **given)


def functional(shape, *layers):
    x = y = keras.Input(shape)
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


@model
def softmax_stable():
    x = keras.Input((6,))
    h = QDense(5)(x)
    return keras.Model(x, [QSoftmax(name="plain")(h), QSoftmax(enable_iq=True, enable_oq=True, name="both")(h)])


@model
def softmax_unstable():
    x = keras.Input((4,))
    narrow = config(k0=1, i0=1, f0=3, overflow_mode="SAT")
    return keras.Model(
        x,
        [
            QSoftmax(stable=False, enable_iq=True, iq_conf=narrow, input_scaler=0.3, name="scaled")(x),
            QSoftmax(stable=False, name="open")(QDense(3)(x)),
        ],
    )


@model
def softmax_axes():
    x = keras.Input((3, 4))
    h = QDense(3)(x)
    table = config("table", b0=6, i0=1)
    return keras.Model(
        x,
        [
            QSoftmax(axis=(1, 2), name="two")(h),
            QSoftmax(axis=1, name="first")(h),
            QSoftmax(axis=-1, allow_heterogeneous_table=True, exp_oq_conf=table, inv_oq_conf=table, name="mixed")(h),
        ],
    )


def _functions(names, layer, **given):
    x = keras.Input((5,))
    return keras.Model(x, [layer(name, name=f"f_{name}", **given)(x) for name in names])


FUNCTIONS = (
    "tanh",
    "sigmoid",
    "exponential",
    "softplus",
    "gelu",
    "silu",
    "elu",
    "relu",
    "softsign",
    "hard_sigmoid",
    "selu",
)
MORE = (
    "leaky_relu",
    "relu6",
    "mish",
    "log_sigmoid",
    "hard_silu",
    "hard_tanh",
    "tanh_shrink",
    "celu",
    "squareplus",
    "linear",
)


@model
def functions():
    return _functions(FUNCTIONS, QUnaryFunctionLUT)


@model
def more_functions():
    return _functions(MORE, QUnaryFunctionLUT)


@model
def functions_fine():
    fine = config("table", b0=12, i0=2, overflow_mode="SAT", round_mode="RND_CONV")
    return _functions(
        ("tanh", "sigmoid", "gelu"),
        QUnaryFunctionLUT,
        oq_conf=fine,
        iq_conf=config(k0=1, i0=3, f0=7, overflow_mode="SAT"),
    )


@model
def functions_truncated():
    given = {"oq_conf": config("table", k0=1, b0=6, i0=1, overflow_mode="WRAP", round_mode="TRN")}
    return _functions(("tanh", "exponential", "silu"), QUnaryFunctionLUT, allow_heterogeneous_input=False, **given)


@model
def functions_positive():
    return _functions(
        ("sigmoid", "softplus"), QUnaryFunctionLUT, override_oq_k0_to_0=True, allow_heterogeneous_table=False
    )


@model
def functions_wide():
    """No quantizer of the input: products of 16 bits and more."""
    x = keras.Input((4,))
    h = QDense(4)(x)
    return keras.Model(x, [QUnaryFunctionLUT(name, enable_iq=False, name=name)(h) for name in ("tanh", "sigmoid")])


@model
def functions_raw():
    """No quantizer of the result, but the next layer's."""
    x = keras.Input((4,))
    return keras.Model(x, QDense(3)(QUnaryFunctionLUT("tanh", enable_oq=False, enable_ebops=False)(x)))


@model
def affined():
    return _functions(("tanh", "sigmoid", "relu"), QAffinedUnaryFunctionLUT)


@model
def attention():
    x = keras.Input((4, 5))
    return keras.Model(x, QMultiHeadAttention(2, 3, name="a")(x, x))


@model
def attention_fused():
    x, z = keras.Input((3, 4)), keras.Input((5, 4))
    a = QMultiHeadAttention(2, 3, fuse="qkv", name="a")(x, x, x)
    b = QMultiHeadAttention(1, 3, value_dim=2, fuse="kv", output_shape=3, name="b")(x, z, z)
    return keras.Model([x, z], [a, b])


@model
def attention_unstable():
    x = keras.Input((3, 4))
    narrow = config(k0=1, i0=2, f0=2, overflow_mode="SAT")
    return keras.Model(
        x, QMultiHeadAttention(2, 2, stable_softmax=False, softmax_iq_conf=narrow, use_bias=False, name="a")(x, x)
    )


@model
def attention_scores():
    x, z, k = keras.Input((3, 4)), keras.Input((4, 5)), keras.Input((4, 2))
    return keras.Model([x, z, k], QMultiHeadAttention(2, 2, name="a")(x, z, k, return_attention_scores=True))


@model
def attention_axes():
    x = keras.Input((2, 2, 3))
    return keras.Model(x, QMultiHeadAttention(2, 2, attention_axes=(1, 2), name="a")(x, x))


@model
def attention_masked():
    x, mask = keras.Input((3, 4)), keras.Input((3, 3), dtype="bool")
    a = QMultiHeadAttention(2, 2, name="a")(x, x, attention_mask=mask)
    return keras.Model([x, mask], a)


@model
def attention_causal():
    x = keras.Input((3, 4))
    return keras.Model(x, QMultiHeadAttention(2, 2, name="a")(x, x, use_causal_mask=True))


@model
def linformer():
    x = keras.Input((6, 4))
    return keras.Model(x, QLinformerAttention(2, 3, 2, name="a")(x, x))


@model
def linformer_shared():
    x = keras.Input((6, 4))
    return keras.Model(x, QLinformerAttention(2, 3, 2, share_kv_proj=True, value_dim=3, name="a")(x))


@model
def salt():
    x = keras.Input((6, 4))
    return keras.Model(x, QSALTAttention(2, 3, 2, conv_size=3, name="a")(x))


@model
def salt_clustered():
    x = keras.Input((5, 4))
    return keras.Model(
        x,
        QSALTAttention(2, 2, 2, conv_size=1, cluster_k_proj=True, cluster_v_proj=True, separate_conv=True, name="a")(x),
    )


@model
def tables():
    x = keras.Input((4,))
    return keras.Model(
        x,
        [
            QDenseT(3, name="one")(x),
            QDenseT(3, n_hl=0, use_bias=False, name="none")(x),
            QDenseT(2, n_hl=2, d_hl=4, subnn_activation="relu", batch_norm=True, activation="relu", name="two")(x),
        ],
    )


@model
def tables_of_sequences():
    x = keras.Input((3, 4))
    return keras.Model(x, QDenseT(2, d_hl=4)(QDenseT(3, d_hl=4)(x)))


@model
def tables_einsum():
    x = keras.Input((3, 4))
    return keras.Model(
        x,
        [
            QEinsumDenseT("bnd,dm->bnm", (3, 2), d_hl=4, name="one")(x),
            QEinsumDenseT("bnd,ndm->bmn", (2, 3), d_hl=4, bias_axes="m", subnn_activation="gelu", name="two")(x),
            QEinsumDenseT(
                "bnd,dmk->bmk", (2, 2), d_hl=3, batch_norm=True, bias_axes="k", activation="relu", name="norm"
            )(x),
        ],
    )


@model
def tables_convolved():
    x = keras.Input((5, 2))
    return keras.Model(
        x,
        [
            QConvT1D(2, 3, d_hl=4, name="valid")(x),
            QConvT1D(2, 2, strides=2, padding="same", d_hl=4, subnn_activation="tanh", name="same")(x),
        ],
    )


@model
def tables_images():
    x = keras.Input((5, 4, 2))
    return keras.Model(
        x,
        [
            QConvT2D(2, (2, 2), d_hl=3, subnn_activation="tanh", batch_norm=True, activation="relu", name="valid")(x),
            QConvT2D(2, 3, strides=(2, 1), padding="same", d_hl=3, subnn_activation="tanh", name="same")(x),
        ],
    )


@model
def attention_tables():
    x = keras.Input((3, 3))
    return keras.Model(x, QMultiHeadAttentionT(1, 2, d_hl=3, name="a")(x, x))


@model
def linformer_tables():
    x = keras.Input((4, 3))
    return keras.Model(x, QLinformerAttentionT(1, 2, 2, d_hl=3, name="a")(x, x))


@model
def recurrent():
    x = keras.Input((4, 3))
    return keras.Model(
        x,
        [
            QSimpleRNN(3, name="last")(x),
            QSimpleRNN(2, return_sequences=True, enable_sq=True, activation="relu", go_backwards=True, name="all")(x),
        ],
    )


@model
def gated():
    x = keras.Input((3, 3))
    return keras.Model(
        x, [QGRU(2, name="last")(x), QGRU(2, return_sequences=True, reset_after=False, use_bias=False, name="all")(x)]
    )


@model
def spiking():
    x = keras.Input((5, 3))
    rates = [0.5, 0.7, 0.9]
    wide = QuantizerConfig("kif", "weight", i0=1, f0=3)
    return keras.Model(
        x,
        [
            QSimpleSNN(3, name="plain")(x),
            QSimpleSNN(3, threshold=rates, reset_mechanism="zero", return_sequences=True, enable_oq=True, name="zero")(
                x
            ),
            QSimpleSNN(3, enable_sq=False, reset_mechanism="none", go_backwards=True, name="none")(x),
            QSimpleSNN(3, inhibition=True, return_sequences=True, learn_threshold=True, name="inhibits")(x),
            QLIF(3, name="leaks", return_sequences=True, graded_spikes_factor=rates)(x),
            QLIF(3, rates, learn_beta=True, learn_graded_spikes_factor=True, surrogate_disable=True, name="learns")(x),
            QLIF(3, 0.5, rates, atan(3.0), enable_sq=False, beta_q_conf=wide, return_sequences=True, name="free")(x),
        ],
    )


def varied(found):
    """Random weights and widths."""
    for layer in found._flatten_layers():
        internal = type(layer).__name__.startswith("FixedPointQuantizer")
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            shape, name = variable.shape, variable.name
            if internal and name in ("f", "b"):
                low = -2 if name == "f" else -3
                variable.assign(np.maximum(np.asarray(variable) + rng.integers(low, 1, shape), 0).astype(np.float32))
            elif internal:
                continue
            elif name == "moving_variance":
                variable.assign(rng.uniform(0.3, 2.0, shape).astype(np.float32))
            elif name in (
                "kernel",
                "bias",
                "gamma",
                "moving_mean",
                "recurrent_kernel",
                "scale",
                "bn_gamma",
                "bn_beta",
            ) or (name == "beta" and shape):
                values = rng.normal(0.0, 0.7, shape)
                variable.assign(values.astype(np.float32))


def inputs(found):
    """Multiples of 1/64; the last rows wrap around or saturate."""
    result = []
    for one in found.inputs:
        values = np.round(rng.normal(0.0, 1.2, (ROWS, *one.shape[1:])) * 64) / 64
        values[-3:] = np.clip(values[-3:] * 16, -31.5, 31.5)
        result.append(values.astype(np.float32))
    return result


def save(found, path):
    """A small archive: Keras does not compress its own."""
    found.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def main():
    HERE.mkdir(exist_ok=True)
    known = dict(np.load(HERE / "expected.npz")) if (HERE / "expected.npz").exists() else {}
    for name in sys.argv[1:] or MODELS:
        found = MODELS[name]()
        varied(found)
        data = inputs(found)
        if name == "attention_masked":
            data[1] = rng.random(data[1].shape) < 0.7
        few = [values[: ROWS // 2] for values in data]
        trace_minmax(found, few if len(few) > 1 else few[0])
        save(found, HERE / f"{name}.keras")
        outputs = found(data if len(data) > 1 else data[0])
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        known = {key: values for key, values in known.items() if not key.startswith(f"{name}/")}
        known |= {f"{name}/x{k}": values for k, values in enumerate(data)}
        known |= {f"{name}/y{k}": np.asarray(values) for k, values in enumerate(outputs)}
    np.savez_compressed(HERE / "expected.npz", **known)


main()
