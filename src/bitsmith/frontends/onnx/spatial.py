"""ONNX's convolutions, pooling, padding and resizing, whose channels come first."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from bitsmith.errors import ModelFileError, UnsupportedError
from bitsmith.frontends.builder.value import MAX_ELEMENTS, Batch, Kind, MixedSamplesError, Value
from bitsmith.frontends.files.json import shown
from bitsmith.frontends.onnx.call import Call, Operators, Translation
from bitsmith.frontends.ops import spatial
from bitsmith.frontends.ops.reduction import norm
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.layers.conv import Axes
from bitsmith.layers.reduction import Reduction
from bitsmith.layers.resample import Coordinates, Interpolation, NearestMode, PadMode, Pairs, Resize
from bitsmith.layers.shape import Reshape

_MODES = {"constant": PadMode.CONSTANT, "edge": PadMode.EDGE, "reflect": PadMode.REFLECT, "wrap": PadMode.WRAP}
_SYMMETRIC = "half_pixel_symmetric"
_INTERPOLATIONS = {
    "nearest": Interpolation.NEAREST,
    **dict.fromkeys(("linear", "bilinear"), Interpolation.LINEAR),
    "cubic": Interpolation.CUBIC,
}


def _along(inside: Callable[[Call, Value], Value]) -> Callable[[Call], Value]:
    """``inside`` on an operand (samples, channels, positions...), with its channels last."""
    return lambda call: spatial.along(call.build, call.batched(call.tensor(0), 0), lambda x: inside(call, x))


def _taps(call: Call, size: Axes) -> Taps:
    """Windows with the padding that ``auto_pad`` chooses, or all beginnings and then all ends of ``pads``."""
    rank = len(size)
    pads = call.attributes.per_axis("pads", 2 * rank, 0, least=0)
    modes: dict[str, Pairs | Same] = {
        "NOTSET": tuple(zip(pads[:rank], pads[rank:], strict=True)),
        "SAME_UPPER": Same.AFTER,
        "SAME_LOWER": Same.BEFORE,
        "VALID": ((0, 0),) * rank,
    }
    padding = call.attributes.choice("auto_pad", modes, "NOTSET")
    strides, dilation = call.attributes.per_axis("strides", rank, 1), call.attributes.per_axis("dilations", rank, 1)
    return Taps(size, strides, dilation, padding)


def _trained(call: Call, *, transposed: bool = False) -> tuple[Value, Value | None, int]:
    """The kernel, the bias if there is one, and the number of groups."""
    groups = call.attributes.integer("group", 1)
    kernel = call.trained(1, "the kernel").moved(
        lambda elements: spatial.kernel_of(elements, groups, transposed=transposed)
    )
    size = kernel.shape[:-2]
    if (call.attributes.integers("kernel_shape") or size) != size:
        raise call.attributes.wrong("kernel_shape", f"the kernel's, {size}")
    bias = None if call.operand(2) is None else call.build.draft.shared(call.trained(2, "the bias"))
    return call.build.draft.shared(kernel), bias, groups


def _conv(call: Call, x: Value) -> Value:
    kernel, bias, groups = _trained(call)
    return spatial.convolution(call.build, x, kernel, bias, _taps(call, kernel.shape[:-2]), groups)


def _conv_transpose(call: Call, x: Value) -> Value:
    kernel, bias, groups = _trained(call, transposed=True)
    taps = _taps(call, kernel.shape[:-2])
    rank, wanted = len(taps.size), call.attributes.integers("output_shape")
    extra = call.attributes.per_axis("output_padding", rank, 0, least=0)
    if wanted:
        wanted = wanted[2:] if len(wanted) == rank + 2 else wanted
        if len(wanted) != rank:
            raise call.attributes.wrong("output_shape", f"{rank} sizes")
        taps = replace(taps, padding=Same.AFTER if taps.padding is Same.AFTER else Same.BEFORE)
    elif isinstance(taps.padding, Same):  # of n * stride elements runtimes leave out those that no product goes to
        axes = zip(x.item, taps.strides, taps.spans, extra, strict=False)
        wanted = tuple(min(n * stride, (n - 1) * stride + span + more) for n, stride, span, more in axes)
    return spatial.transposed(call.build, x, kernel, bias, taps, groups, extra, wanted)


def _windows(call: Call, x: Value) -> Taps:
    call.attributes.ignore("storage_order")  # of the indices
    taps = _taps(call, call.attributes.per_axis("kernel_shape", len(x.item) - 1))
    if isinstance(taps.padding, Same) and max(taps.dilation) > 1:  # onnxruntime pads as if there were no dilation
        raise UnsupportedError(
            f"dilated windows with auto_pad={call.attributes.text('auto_pad')}, which runtimes pad differently",
            accepted="pads",
            remedy="write what the windows are to have as pads, with auto_pad=NOTSET",
        )
    ceil_mode, counts = (call.attributes.flag(key, False) for key in ("ceil_mode", "count_include_pad"))
    return replace(taps, ceil_mode=ceil_mode, padding_counts=counts)


def _global(reduction: Reduction) -> Translation:
    return Translation(_along(lambda call, x: spatial.whole(call.build, x, reduction)), "Reduce")


def _global_norm(call: Call) -> Value:
    x = call.tensor(0)
    return norm(call.build, x, range(2, x.rank), keepdims=True, order=float(call.attributes.integer("p", 2)))


def _axes(x: Value, listed: tuple[int, ...] | None) -> tuple[int, ...]:
    """The axes from 0 on; all if none are listed."""
    return tuple(range(x.rank)) if listed is None else tuple(x.counted(axis) for axis in listed)


def _pad(call: Call) -> Value:
    x, mode = call.tensor(0), call.attributes.choice("mode", _MODES, "constant")
    pads, axes = call.listed("pads", 1, since=11) or (), _axes(x, call.integers(3, "the axes"))
    if len(pads) != 2 * len(axes) or len(set(axes)) != len(axes) or any(abs(n) > MAX_ELEMENTS for n in pads):
        raise ModelFileError(f"padding {pads[:16]} of {x.rank} axes", where=call.attributes.where)
    known = call.known(2, "the value") if call.opset >= 11 else None
    value = call.attributes.number("value", 0.0) if known is None else float([*known.array().ravel(), 0.0][0])
    pairs = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    return spatial.pad(call.build, x, pairs, mode, value)


def _from_patches(call: Call) -> Value:
    image, size = (call.integers(number, what) or () for number, what in ((1, "the image's shape"), (2, "the block's")))
    if min((*image, *size), default=0) < 1:
        raise ModelFileError(f"blocks of {size[:8]} in {image[:8]}", where=call.attributes.where)
    return spatial.from_patches(call.build, call.batched(call.tensor(0), 0), image, _taps(call, size))


def _center_crop_pad(call: Call) -> Value:
    """The middle of axes that become shorter, zeros around those that become longer; of an odd rest one more at the end."""
    x, sizes = call.tensor(0), call.integers(1, "the sizes") or ()
    axes = _axes(x, call.attributes.given_integers("axes"))
    if len(sizes) != len(axes) or len(set(axes)) != len(axes) or not all(1 <= size <= MAX_ELEMENTS for size in sizes):
        raise ModelFileError(f"sizes {sizes[:8]} for {len(axes)} axes", where=call.attributes.where)
    before = x.sizes(call.build.counts[0])
    more = {axis: size - before[axis] for axis, size in zip(axes, sizes, strict=True)}
    return spatial.pad(call.build, x, {axis: (int(n / 2), n - int(n / 2)) for axis, n in more.items()})


def _resize(call: Call) -> Value:
    x, attributes = call.tensor(0), call.attributes
    mode, old_rule = attributes.text("mode", "nearest"), call.opset < 11 or call.node.operator == "Upsample"
    if mode not in _INTERPOLATIONS:
        raise UnsupportedError(f"the interpolation {shown(mode)}", accepted="nearest, linear, cubic")
    policy = attributes.text("keep_aspect_ratio_policy", "stretch")
    inside, sharpness = attributes.flag("exclude_outside", False), attributes.number("cubic_coeff_a", -0.75)
    if mode == "cubic" and (sharpness, inside) not in ((-0.75, False), (-0.5, True)):
        raise UnsupportedError(
            f"cubic_coeff_a is {sharpness:g}, and exclude_outside is {int(inside)}",
            accepted="-0.75 with 0; -0.5 with 1",
        )
    if attributes.flag("antialias", False) or (inside and mode != "cubic") or policy != "stretch":
        raise UnsupportedError("antialiasing, excluded edges, or a kept aspect ratio", accepted="plain resizing")
    coordinates, nearest = (Coordinates.ASYMMETRIC, NearestMode.FLOOR) if old_rule else _places(call)
    axes = _axes(x, attributes.given_integers("axes"))
    sizes = None if old_rule else call.known(3, "the sizes")
    if sizes is None or sizes.at[0].size == 0:
        target, scales = _scaled(call, x, axes, 1 if old_rule else 2)
    else:
        target, scales = _resized(call, x, axes, [tuple(map(int, array.ravel())) for array in sizes.at]), ()
    if target == x.shape:  # which runtimes copy, whatever the scales
        scales = ()
    layer = Resize(target, _INTERPOLATIONS[mode], coordinates, nearest, scales)
    shrinks = old_rule and mode == "nearest" and any(new < old for new, old in zip(target, x.shape, strict=True))
    named = attributes.text("coordinate_transformation_mode", "")
    if shrinks or (scales and named in ("align_corners", _SYMMETRIC)):
        raise UnsupportedError(
            "nearest elements of less before operator set 11, or corners or centers aligned by scales that give no whole "
            "lengths, which runtimes do differently",
            accepted="growing by the nearest element; sizes",
            remedy="export the model with operator set 11 or later, and with sizes",
        )
    kind = x.kind if mode == "nearest" else Kind.REAL

    def resized(y: Value, layer: Resize) -> Value:
        return spatial.filtered(call.build, y, layer, antialias=False) if inside else call.build.each(layer, y)

    if x.batch == Batch(0) and len(target) > 1 and target[0] == x.shape[0]:
        within = replace(layer, sizes=target[1:], scales=scales[1:])
        return replace(call.build.spatial(x, lambda y: resized(y, within)), kind=kind)
    y = call.build.emit(Reshape((*x.shape, 1)), x, suffix="axes")
    return call.build.emit(Reshape(target), resized(y, layer), suffix="shape", kind=kind)


def _places(call: Call) -> tuple[Coordinates, NearestMode]:
    """Return the positions of elements, and the nearest ones."""
    named = call.attributes.text("coordinate_transformation_mode", "half_pixel")
    rounding = call.attributes.text("nearest_mode", "round_prefer_floor")
    call.attributes.ignore("extrapolation_value")
    chosen = named, rounding, call.attributes.text("mode", "nearest")
    if chosen == ("tf_half_pixel_for_nn", "floor", "nearest"):  # which is floor((i + 1/2) / scale)
        named, rounding = "half_pixel", "round_prefer_ceil"
    named = "half_pixel" if named == _SYMMETRIC else named  # which it is where lengths are whole
    if named not in set(Coordinates) or rounding not in set(NearestMode):
        raise UnsupportedError(
            f"coordinates {shown(named)}, rounded by {shown(rounding)}",
            accepted=f"{', '.join(Coordinates)}; {', '.join(NearestMode)}",
        )
    return Coordinates(named), NearestMode(rounding)


def _resized(call: Call, x: Value, axes: Axes, new: list[Axes]) -> Axes:
    """The sample's shape if the ``axes`` have ``new`` lengths, perhaps others for each number of samples."""
    shapes = set()
    for k, samples in enumerate(call.build.counts):
        shape, sizes = list(x.shape), new[k if len(new) > 1 else 0]
        if len(sizes) != len(axes) or not all(1 <= size <= MAX_ELEMENTS for size in sizes):
            raise ModelFileError(f"sizes {sizes[:8]} for {len(axes)} axes", where=call.attributes.where)
        for axis, size in zip(axes, sizes, strict=True):
            if size != x.sizes(samples)[axis]:
                shape[x.axis(axis)] = size
        shapes.add(tuple(shape))
    if len(shapes) > 1:
        raise MixedSamplesError("resizes by the number of samples")
    return shapes.pop()


def _scaled(call: Call, x: Value, axes: Axes, number: int) -> tuple[Axes, tuple[Fraction, ...]]:
    """The sample's shape and scales; lengths are computed in single precision."""
    given = call.attributes.numbers("scales")
    factors = call.weights(number, "the scales").ravel() if given is None else given
    if len(factors) != len(axes):
        raise UnsupportedError(f"{len(factors)} scales", accepted="one for each axis, or sizes")
    along = [1.0] * len(x.shape)
    for axis, factor in zip(axes, factors, strict=True):
        if factor != 1.0:
            along[x.axis(axis)] = factor
    return spatial.scaled(x.shape, np.asarray(along, np.float32))


SPATIAL: Operators = {
    "Conv": Translation(_along(_conv), "Conv"),
    "ConvTranspose": Translation(_along(_conv_transpose), "ConvTranspose"),
    "MaxPool": Translation(_along(lambda call, x: spatial.max_pool(call.build, x, _windows(call, x))), "MaxPool"),
    "AveragePool": Translation(
        _along(lambda call, x: spatial.average_pool(call.build, x, _windows(call, x))), "AveragePool"
    ),
    "LpPool": Translation(
        _along(lambda call, x: spatial.norm_pool(call.build, x, _windows(call, x), call.attributes.integer("p", 2))),
        "Power or Absolute, Conv, and Power",
    ),
    "GlobalLpPool": Translation(_global_norm, "Reduce"),
    "GlobalMaxPool": _global(Reduction.MAX),
    "GlobalAveragePool": _global(Reduction.MEAN),
    "Pad": Translation(_pad, "Pad, Crop"),
    "Col2Im": Translation(_from_patches, "Gather, and Reduce of sums"),
    "CenterCropPad": Translation(_center_crop_pad, "Pad, Crop"),
    **dict.fromkeys(("Resize", "Upsample"), Translation(_resize, "Resize")),
}
