"""Translations of Keras layers: the table from class names to layers of ours."""

import math
import string

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.value import Batch, Kind, Value, constant
from bitsmith.frontends.files.json import is_integer, shown
from bitsmith.frontends.keras.activations import ACTIVATION_LAYERS, activated, read_activation
from bitsmith.frontends.keras.attention import ATTENTION
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, numbers
from bitsmith.frontends.keras.conv_recurrent import CONV_RECURRENT
from bitsmith.frontends.keras.einsum import EINSUMS
from bitsmith.frontends.keras.files import declared_shape
from bitsmith.frontends.keras.garnet import GARNET
from bitsmith.frontends.keras.masks import MASKING
from bitsmith.frontends.keras.norm import KERAS_EPSILON, NORMALIZATIONS
from bitsmith.frontends.keras.recurrent import RECURRENT
from bitsmith.frontends.keras.shape import SHAPES
from bitsmith.frontends.keras.spatial import SPATIAL
from bitsmith.frontends.keras.wrappers import spectral_normalization, time_distributed
from bitsmith.frontends.ops.activations import prelu
from bitsmith.frontends.ops.arithmetic import number_kind
from bitsmith.frontends.ops.contraction import dense, einsum
from bitsmith.frontends.ops.logic import common_kind, row_index, wrapped
from bitsmith.frontends.ops.normalization import unit
from bitsmith.frontends.ops.shape import unsqueeze
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.layer import Layer, Shape, as_weights
from bitsmith.layers.merge import Add, Average, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.quantization.lookup import Staircase
from bitsmith.layers.quantization.quantizer import Quantizer
from bitsmith.layers.quantization.steps import BinaryTanh, TernaryTanh
from bitsmith.layers.reduction import Reduce, Reduction
from bitsmith.layers.tables import MAX_ENTRIES

_MAX_AXES = 32


def _input(call: LayerCall) -> Value:
    """An input of fixed sizes, which Keras writes after that of the batch."""
    config = call.config
    for key in ("sparse", "ragged", "optional"):
        if config.flag(key, False):
            raise UnsupportedError(f"{key} input", accepted="dense inputs that are always given")
    dtype = config.text("dtype", "float32")
    kind = Kind.named(dtype)
    if kind is Kind.REAL and not dtype.startswith(("float", "bfloat")):
        raise UnsupportedError(f"inputs of type {shown(dtype)}", accepted="floating point or integers")
    shape = declared_shape(config)
    defect = f"the input's shape is {shown(shape)}"
    if not isinstance(shape, list) or not 1 <= len(shape) <= _MAX_AXES:
        remedy = "build the model (give an Input, or call it once) before you save or convert it"
        raise config.error(defect, "a list of sizes", remedy)
    if None in shape[1:]:
        accepted = "fixed sizes (all but the batch)"
        remedy = "give calibration data, or input_shape=(...), that of one sample; or build it with the sizes of the hardware"
        raise UnsupportedError(f"{defect}, which leaves sizes open", accepted=accepted, remedy=remedy)
    sizes = tuple(size for size in shape[1:] if is_integer(size) and size > 0)
    if len(sizes) != len(shape) - 1:
        raise config.error(defect, "positive integers")
    return call.build.input((1, *sizes), Batch(0), kind)


def _dense(levels: Layer | None = None) -> Translation:
    """A Dense layer; with ``levels``, trained weights stand for ``scale * levels(weight / scale)``."""

    def read(call: LayerCall) -> Value:
        config, x, units = call.config, call.x, call.config.positive("units")
        activation = read_activation(config, call.major)
        if not x.shape:
            raise config.error("Dense on scalars")
        bias: list[tuple[str, Shape]] = [("bias", (units,))] if config.flag("use_bias", True) else []
        kernel, *biases = call.trained(("kernel", (x.shape[-1], units)), *bias)
        if levels is not None:
            scale = math.sqrt(1.5 / sum(kernel.shape)) if config.get("H") == "Glorot" else config.number("H", 1.0)
            if scale <= 0.0:
                raise config.wrong("H", "a positive number, or 'Glorot'")
            on_levels = scale * levels.reference([kernel.elements / scale])
            kernel = constant(on_levels, quantizer=Quantizer.uniform(scale, -1, 1))
        return activated(call.build, dense(call.build, x, kernel, biases[0] if biases else None), activation)

    return Translation(read, "Dense, and its activation")


def _activation(call: LayerCall) -> Value:
    found = read_activation(call.config, call.major)
    return call.x if found is None else found.of(call.build, call.x)


def _prelu(call: LayerCall) -> Value:
    x = call.x
    shared = {x.axis(axis) for axis in call.config.integers("shared_axes")}
    (slopes,) = call.weights(("alpha", tuple(1 if axis in shared else size for axis, size in enumerate(x.shape))))
    return prelu(call.build, x, constant(slopes))


def _merged(call: LayerCall) -> tuple[Value, ...]:
    """The operands of a merge; constants among them are the same for all samples."""
    operands = call.operands()
    if len(call.given.tensors) == len(operands):
        return operands
    if len({operand.rank for operand in operands}) > 1:
        found = f"a merge with a constant, of operands of {[operand.rank for operand in operands]} axes"
        raise UnsupportedError(found, accepted="as many axes", remedy="give the constant the axes of the tensor")
    return call.build.aligned(*operands)


def _merge(layer: Layer) -> Translation:
    def read(call: LayerCall) -> Value:
        first, *others = _merged(call)
        if not others:
            return first
        keeps = layer.traits.picks or layer.traits.multiplies  # booleans
        kind = (common_kind if keeps else number_kind)(first, *others)
        if isinstance(layer, Average):
            if kind.wraps:
                raise UnsupportedError(f"the mean of {kind.value}", accepted="floating point")
            kind = Kind.REAL
        return wrapped(call.build, kind, lambda inner: inner.emit(layer, first, *others, kind=kind))

    return Translation(read, layer.kind)


def _dot(call: LayerCall) -> Value:
    operands, axes = call.given.tensors, call.config.integers("axes")
    if len(axes) not in (1, 2) or len(operands) != 2 or len(call.given.args) != 2:
        found = f"Dot of {len(operands)} operands over the axes {axes}"
        raise UnsupportedError(found, accepted="one axis of each of two")
    x, y = operands
    if call.config.flag("normalize", False):
        epsilon = KERAS_EPSILON if call.major >= 3 else 1e-6
        x, y = (
            unit(call.build.within(part), operand, (axis,), epsilon=epsilon)
            for part, operand, axis in (("left", x, axes[0]), ("right", y, axes[-1]))
        )
    i, j = x.axis(axes[0]) + 1, y.axis(axes[-1]) + 1
    if x.rank == y.rank == 2:  # whose result has an axis, too
        x, i = unsqueeze(call.build.within("row"), x, (1,)), 2
    left, right = string.ascii_lowercase[: x.rank], [*string.ascii_uppercase[: y.rank]]
    right[0], right[j] = left[0], left[i]
    result = "".join(label for label in (*left, *right[1:]) if label != left[i])
    return einsum(call.build, f"{left},{''.join(right)}->{result}", (x, y))


def _embedding(call: LayerCall) -> Value:
    entries, channels = call.config.positive("input_dim"), call.config.positive("output_dim")
    if entries > MAX_ENTRIES:
        accepted, remedy = f"at most {MAX_ENTRIES}", "keep the rows in memory beside the circuit and feed them in"
        raise UnsupportedError(f"an embedding of {entries} entries", accepted=accepted, remedy=remedy)
    (table,) = call.weights(("embeddings", (entries, channels)))
    return call.build.emit(Embedding(table), row_index(call.build, call.x))


def _category_encoding(call: LayerCall) -> Value:
    mode = call.config.text("output_mode", "multi_hot")
    return _encoded(call, row_index(call.build, call.x), call.config.integer("num_tokens"), mode)


def _discretization(call: LayerCall) -> Value:
    """The number of boundaries that are at most ``x``, or its code."""
    bounds, mode = call.config.get("bin_boundaries"), call.config.text("output_mode", "int")
    if bounds is None:
        raise call.config.error("a Discretization without boundaries", "a list", "adapt it to data, or give boundaries")
    thresholds = numbers(bounds).ravel()
    if bool(np.any(np.diff(thresholds) < 0.0)):
        raise call.config.wrong("bin_boundaries", "rising numbers, of others Keras's backends make different bins")
    bins = Staircase(as_weights(thresholds), as_weights(np.arange(len(thresholds) + 1)))
    found = call.build.emit(bins, call.x, suffix="" if mode == "int" else "bins", kind=Kind.INT64)
    return found if mode == "int" else _encoded(call, found, len(thresholds) + 1, mode)


def _encoded(call: LayerCall, x: Value, tokens: int, mode: str) -> Value:
    """The numbers ``x`` of tokens as codes."""
    if call.config.flag("sparse", False):
        raise UnsupportedError("sparse codes", accepted="dense ones")
    if mode == "one_hot" and x.shape[-1:] != (1,):
        return call.build.emit(OneHot(tokens), x)
    codes = call.build.emit(OneHot(tokens), x, suffix="codes")
    if mode == "one_hot":
        return call.build.viewed(codes, (*x.dims[:-1], tokens), x.batch)
    reductions = {"multi_hot": Reduction.MAX, "count": Reduction.SUM}
    if mode not in reductions or len(x.shape) != 1:
        found = f"the output mode {shown(mode)} of an input of shape {x.shape}"
        raise UnsupportedError(found, accepted="one_hot; multi_hot and count of inputs with one axis")
    return call.build.emit(Reduce(reductions[mode], (0,)), codes)


def _augmentation(call: LayerCall) -> Value:
    """Nothing, outside of training. Keras 3 writes ``training`` of every call, and decides by that of the model."""
    if call.major < 3 and call.flag("training"):
        raise UnsupportedError(
            "random changes outside of training, too (training=True)",
            accepted="calls without the argument training",
            remedy="call the layer without it",
        )
    return call.x


_WITHOUT_EFFECT = (
    *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D"),
    *("SpatialDropout3D", "ActivityRegularization", "Identity"),
)

_AUGMENTATIONS = (
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomShear", "RandomPerspective"),
    *("RandomElasticTransform", "RandomContrast", "RandomBrightness", "RandomHue", "RandomSaturation"),
    *("RandomSharpness", "RandomGrayscale", "RandomColorJitter", "RandomColorDegeneration", "RandomPosterization"),
    *("RandomInvert", "RandomGaussianBlur", "RandomErasing", "RandAugment", "AugMix", "CutMix", "MixUp"),
    *("RandomWidth", "RandomHeight"),
)

LAYERS: ByClass = {
    "InputLayer": Translation(_input, "Input"),
    "Dense": _dense(),
    "BinaryDense": _dense(BinaryTanh()),
    "TernaryDense": _dense(TernaryTanh()),
    "Activation": Translation(
        _activation,
        "Activation, HardActivation, ReLU, Softmax, BinaryTanh, TernaryTanh or Identity; Reduce and Subtract; or Slice, "
        "Activation and Multiply",
    ),
    **ACTIVATION_LAYERS,
    "PReLU": Translation(_prelu, "PReLU"),
    **dict.fromkeys(_WITHOUT_EFFECT, Translation(lambda call: call.x, "Identity")),
    **dict.fromkeys(_AUGMENTATIONS, Translation(_augmentation, "Identity", frozenset({"training"}))),
    **{layer.kind: _merge(layer) for layer in (Add(), Subtract(), Multiply(), Average(), Maximum(), Minimum())},
    "Dot": Translation(_dot, "Einsum, after UnitNormalization and Reshape for vectors"),
    **SPATIAL,
    "Masking": MASKING,
    "Embedding": Translation(_embedding, "Embedding"),
    "Discretization": Translation(_discretization, "Staircase, and OneHot, Reshape or Reduce"),
    "CategoryEncoding": Translation(_category_encoding, "OneHot, and Reshape or Reduce"),
    **NORMALIZATIONS,
    **RECURRENT,
    **CONV_RECURRENT,
    "TimeDistributed": time_distributed(lambda: LAYERS),
    "SpectralNormalization": spectral_normalization(lambda: LAYERS),
    **ATTENTION,
    **GARNET,
    **EINSUMS,
    **SHAPES,
}
