"""HGQ2's layers of trained tables: between each operand and each result lies a small network of its own.

Operands are repeated for the results that they go to, and quantized; each copy has a table of what its network, evaluated here
in single precision, makes of it; tables are summed up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import finite
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.files.json import Fields, Json
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation, is_channels_first
from bitsmith.frontends.keras.einsum import product_shapes
from bitsmith.frontends.keras.hgq.functions import quantized_function, scalar_function
from bitsmith.frontends.keras.hgq.grids import Singles
from bitsmith.frontends.keras.hgq.quantizers import own_quantizer, read_quantizer, variables
from bitsmith.frontends.keras.hgq.tables import looked_up, single_precision
from bitsmith.frontends.keras.norm import deviation, statistics
from bitsmith.frontends.keras.operands import Operands
from bitsmith.frontends.keras.weights import numbered_group
from bitsmith.frontends.ops import spatial
from bitsmith.frontends.ops.reduction import REDUCERS
from bitsmith.frontends.ops.shape import expand
from bitsmith.frontends.ops.spatial import Same, Taps
from bitsmith.layers.layer import Shape
from bitsmith.layers.shape import Identity

_MOST_LAYERS = 64
_CHUNK = 1 << 22
"""Most numbers that a layer of the small networks works on at once."""


@dataclass(frozen=True, slots=True)
class _Normalization:
    """``(x * scale + offset) / root``, for values (..., n) whose first axes are a sample's."""

    scale: Singles
    offset: Singles
    root: np.float32

    def of(self, x: Singles) -> Singles:
        """``x`` normalized."""
        return (x * self.scale + self.offset) / self.root


@dataclass(frozen=True, slots=True)
class _Network:
    """Small networks, one for each edge: kernels (edges..., channels, channels), biases (edges..., channels) or none."""

    kernels: Sequence[Singles]
    biases: Sequence[Singles | None]
    activation: Callable[[Singles], Singles]
    normalization: _Normalization | None

    def shape(self, edges: _Edges) -> Shape:
        """Sizes of a sample's axes along which networks differ; 1 of the others."""
        own = tuple(edges.sizes[label] if label in edges.kernel else 1 for label in edges.labels[1:])
        return own if self.normalization is None else np.broadcast_shapes(own, self.normalization.scale.shape[:-1])

    def of(self, x: Singles) -> Singles:
        """Return their results for operands (edges..., n)."""
        channels = max(kernel.shape[-1] for kernel in self.kernels)
        width = max(1, _CHUNK // max(1, channels * math.prod(x.shape[:-1])))
        parts = [self._of(x[..., start : start + width]) for start in range(0, x.shape[-1], width)]
        return np.concatenate(parts, -1)

    def _of(self, x: Singles) -> Singles:
        y = x[..., None]
        for number, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            y = np.matmul(y.astype(np.float64), kernel.astype(np.float64)).astype(np.float32)
            if bias is not None:
                y = y + bias[..., None, :]
            y = self.activation(y) if number < len(self.kernels) - 1 else y
        return y[..., 0] if self.normalization is None else self.normalization.of(y[..., 0])


@dataclass(frozen=True, slots=True)
class _Edges:
    """The axes of what is summed: those of the operand, then new ones (``labels``); ``kernel`` are the labels of the edges."""

    labels: str
    kernel: str
    result: str
    sizes: dict[str, int]

    @property
    def shape(self) -> Shape:
        """Sizes of a sample's axes."""
        return tuple(self.sizes[label] for label in self.labels[1:])

    @property
    def summed(self) -> tuple[int, ...]:
        """The axes that the result does not have."""
        return tuple(axis for axis, label in enumerate(self.labels) if label not in self.result)

    @property
    def operands(self) -> int:
        """Number of tables that make a result."""
        return math.prod(self.shape[axis - 1] for axis in self.summed)

    def aligned(self, values: Singles, names: str) -> Singles:
        """Values whose first axes are ``names``, with a sample's axes instead."""
        rest = values.ndim - len(names)
        order = sorted(range(len(names)), key=lambda axis: self.labels.index(names[axis]))
        moved = values.transpose(*order, *range(len(names), values.ndim))
        ahead = tuple(self.sizes[label] if label in names else 1 for label in self.labels[1:])
        return moved.reshape(*ahead, *moved.shape[moved.ndim - rest :])

    @staticmethod
    def of(call: LayerCall) -> _Edges:
        """Those of a product's equation."""
        shapes = product_shapes(call)
        left, right = shapes.equation.operands
        new = "".join(label for label in right if label not in left)
        if set(new) - set(shapes.equation.result) or left[0] != shapes.equation.result[0] or left[0] in right:
            raise call.config.wrong("equation", "a product that keeps the batch, and all axes of the kernel's own")
        return _Edges(left + new, right, shapes.equation.result, dict(shapes.sizes))


def _einsum(call: LayerCall) -> Value:
    """QEinsumDenseT: biases of the networks only without a normalization."""
    edges, normal = _Edges.of(call), call.config.flag("batch_norm", False)
    biased = call.config.get("bias_axes") is not None and not normal
    return _summed(call, edges, _network(call, edges, biased, _of_tables(call, edges) if normal else None))


def _dense(call: LayerCall) -> Value:
    """QDenseT: along the last axis."""
    units, x = call.config.positive("n_out"), call.x
    ahead = "".join(chr(ord("A") + axis) for axis in range(x.rank - 1))
    product: dict[str, Json] = {"equation": f"{ahead}i,io->{ahead}o", "output_shape": [*x.dims[1:-1], units]}
    edges = _Edges.of(replace(call, config=Fields({**call.config.values, **product}, call.config.where)))
    normal = _of_results(call, edges) if call.config.flag("batch_norm", False) else None
    return _summed(call, edges, _network(call, edges, call.config.flag("use_bias", True), normal))


def _network(call: LayerCall, edges: _Edges, biased: bool, normal: _Normalization | None) -> _Network:
    hidden, groups = call.config.integer("n_hl", 1), Counter[str]()
    if not 0 <= hidden <= _MOST_LAYERS:
        raise call.config.wrong("n_hl", f"0 to {_MOST_LAYERS}")
    _, function = scalar_function(call.config, call.major, "subnn_activation")
    width, rank = call.config.positive("d_hl", 8) if hidden else 1, len(edges.kernel)
    ahead = tuple(edges.sizes[label] for label in edges.kernel)
    kernels: list[Singles] = []
    biases: list[Singles | None] = []
    for number in range(hidden + 1):
        part = f"module/layers/{numbered_group('EinsumDense', groups)}"
        last = (width,) if number < hidden else ()
        names = ("kernel", "bias")[: 1 + biased]
        tensors = _read(call, part, *names)
        kernel = tensors[0] if last else tensors[0][..., None]
        if kernel.shape[:rank] != ahead or (biased and tensors[1].shape != (*ahead, *last)):
            raise call.config.error(f"{part} of shapes {[one.shape for one in tensors]} for {ahead} edges")
        if number == 0 and kernel.shape[-2:-1] != (1,):  # HGQ2 repeats the operand for all channels
            kernel = kernel.sum(-2, dtype=np.float64, keepdims=True).astype(np.float32)
        if (
            kernel.ndim != rank + 2
            or kernel.shape[-2] != (width if number else 1)
            or kernel.shape[-1:] != (last or (1,))
        ):
            raise call.config.error(f"{part} with a kernel of shape {tensors[0].shape}", f"{width} hidden channels")
        kernels.append(edges.aligned(kernel, edges.kernel))
        biases.append(edges.aligned(tensors[1] if last else tensors[1][..., None], edges.kernel) if biased else None)
    return _Network(kernels, biases, single_precision(function), normal)


def _read(call: LayerCall, part: str, *names: str) -> list[Singles]:
    """The variables of a sub-layer."""
    stored = variables(call, part)
    if len(stored) != len(names):
        raise call.config.error(f"{len(stored)} variables are stored for {part}", ", ".join(names))
    return [
        finite(one.read(), name, call.config.where).astype(np.float32) for one, name in zip(stored, names, strict=True)
    ]


def _of_results(call: LayerCall, edges: _Edges) -> _Normalization:
    """Keras's normalization along the last axis, as QDenseT has it."""
    own = replace(call, stored=call.stored_of("bn_module"))
    found = statistics(own, (edges.sizes[edges.labels[-1]],), prefix="bn_")
    scale = np.float32(1.0) / _deviation(call, found["variance"]) * found.get("gamma", np.float32(1.0))
    offset = -found["mean"] * scale + found.get("beta", np.float32(0.0))
    return _Normalization(scale[..., None], offset[..., None], np.float32(math.sqrt(edges.operands)))


def _of_tables(call: LayerCall, edges: _Edges) -> _Normalization:
    """The normalization of QEinsumDenseT along axes that edges have."""
    axes = call.config.get("normalize_axes") or call.config.get("bias_axes")
    axes = axes or "".join(label for label in edges.kernel if label in edges.result)
    if not isinstance(axes, str) or not set(axes) <= set(edges.labels[1:]) or len(set(axes)) != len(axes):
        raise call.config.wrong("normalize_axes", "axes of the kernel")
    found = statistics(call, tuple(edges.sizes[label] for label in axes), prefix="bn_", ignored=2)
    scale = found.get("gamma", np.float32(1.0)) / _deviation(call, found["variance"])
    offset = -found["mean"] * scale + found.get("beta", np.float32(0.0))
    # As HGQ2 does it: without regard to the order of the axes.
    spread = (*(edges.sizes[label] if label in axes else 1 for label in edges.labels[1:]), 1)
    return _Normalization(scale.reshape(spread), offset.reshape(spread), np.float32(math.sqrt(edges.operands)))


def _deviation(call: LayerCall, variance: Singles) -> Singles:
    return deviation(call.config, variance, call.config.number("bn_epsilon", 1e-3))


def _summed(call: LayerCall, edges: _Edges, network: _Network) -> Value:
    """The activation of the sum of the tables."""
    iq = own_quantizer(call, "iq", True)
    if iq is None:
        raise UnsupportedError("tables of an operand without a quantizer", accepted="enable_iq=True")
    build, x, rank = call.build, call.x, len(edges.labels)
    thin = build.viewed(x, (*x.dims, *(1,) * (rank - x.rank)), x.batch, "operands")
    copies = expand(build.within("copies"), thin, [(size, *edges.shape) for size in build.counts])
    toq = read_quantizer(call, "toq")
    table = looked_up(build, copies, network.of, iq, toq, "tables", network.shape(edges))
    name, function = scalar_function(call.config, call.major)
    oq = own_quantizer(call, "oq", False)
    simple = isinstance(function, Identity) and oq is None
    part = build if simple else build.within("sum")
    total = REDUCERS["sum"].of(part, table, edges.summed) if edges.summed else table
    kept = "".join(label for label in edges.labels if label in edges.result)
    total = part.permuted(total, [kept.index(label) for label in edges.result], "permute")
    return total if simple else quantized_function(build, total, name, function, None, oq)


def _convolution(rank: int) -> Translation:
    """QConvT1D, QConvT2D: tables of what windows have, taps first."""

    def read(call: LayerCall) -> Value:
        config, x = call.config, call.x
        size = config.per_axis("kernel_size", rank)
        strides, dilation = config.per_axis("strides", rank, 1), config.per_axis("dilation_rate", rank, 1)
        padding = config.text("padding", "valid").lower()
        if is_channels_first(config) or config.integer("groups", 1) != 1:
            raise UnsupportedError("channels first, or groups", accepted="data_format='channels_last', groups=1")
        if padding not in ("valid", "same"):
            raise config.wrong("padding", "valid or same")
        if x.rank != rank + 2:
            raise config.error(f"called on a tensor of axes {x.dims}", f"{rank} spatial axes and channels")
        taps = Taps(size, strides, dilation, Same.AFTER if padding == "same" else ((0, 0),) * rank)
        windows = spatial.windows(call.build.within("windows"), x, taps)
        inner = Fields({**config.values, "n_out": config.positive("filters")}, config.where)
        return _dense(replace(call, config=inner, given=Operands((windows,), {})))

    return Translation(read, f"Pad, Gather, {_BECOMES}")


_BECOMES = "Broadcast, Quantize, Lookup and Reduce"

TABLES_OF_EDGES: ByClass = {
    "QDenseT": Translation(_dense, _BECOMES),
    "QEinsumDenseT": Translation(_einsum, f"{_BECOMES}, and Permute"),
    "QConvT1D": _convolution(1),
    "QConvT2D": _convolution(2),
}
