"""Summary of a converted network: one row per layer with its sizes, formats and proved ranges, as data and as a table.

In: the user's network and its core program. Out: rows for ``print(model)``, for ``bitsmith explain`` and for the HTML
page. Nothing here knows a tool or a folder.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bitsmith.base.familiar import OF_LAYERS, absent
from bitsmith.errors import BitsmithError, ProjectError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.infer import infer
from bitsmith.ir.ops import Add, Const, Input, Mul
from bitsmith.ir.program import Program
from bitsmith.ir.types import (
    FixedFormat,
    Fracs,
    IntArray,
    Overflow,
    TensorType,
    format_text,
    short,
    span_text,
    width_of,
)
from bitsmith.layers.activation import Activation
from bitsmith.layers.auto import ObservedRange
from bitsmith.layers.input import Input as InputLayer
from bitsmith.layers.layer import Floats, Shape
from bitsmith.layers.lowering import Lowering
from bitsmith.layers.merge import Add as AddLayer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.quantization.affine import Affine
from bitsmith.layers.quantization.quantize import Quantize
from bitsmith.layers.settled import exact_variables, is_quantized, reach, settled
from bitsmith.layers.shape import Identity
from bitsmith.layers.traits import Exactness
from bitsmith.report.ebops import ebops
from bitsmith.report.grids import BitCounts, bit_counts, grid_text, moved_scale

_BINS = 24
"""Parts of a histogram; tensors of fewer values have none."""

_NOTHING_SEEN = ObservedRange(0.0, 0.0)

AUTO = "auto"
EXACT = "exact"
"""Instead of a format: between the quantizers of the model nothing is rounded."""


@dataclass(frozen=True, slots=True)
class ConstantRow:
    """A trained tensor of a layer: ``declared`` is the user's format or "auto", ``format`` what it became.

    Of a tensor with a quantizer ``declared`` is its grid, and there are ``bits``.
    """

    variable: str
    shape: tuple[int, ...]
    nonzero: int
    declared: str
    format: str
    bits: BitCounts = ()
    histogram: tuple[int, ...] = ()
    """Values between the least and the greatest, in as many equal parts."""

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """The proved type of a layer's result.

    Widths are in bits over all elements; the highest bit of a magnitude has weight ``2**(top - 1)``, the lowest
    ``2**-frac_max``. ``lo`` and ``hi`` are real values, None beyond the range of floating point. Where a scale that is no power
    of two waits for the next quantizer, the result is ``scaled``: it has the widths of the stored integers, and the nearest
    weights.
    """

    width_min: int
    width_max: int
    frac_min: int
    frac_max: int
    top: int
    signed: bool
    lo: float | None
    hi: float | None
    scaled: bool = False

    @property
    def bits(self) -> str:
        """The width as text: ``9`` or ``3..9``."""
        return span_text((self.width_min, self.width_max))

    @property
    def frac(self) -> str:
        """The fractional bits as text; empty if they are ``scaled``."""
        return "" if self.scaled else span_text((self.frac_min, self.frac_max))

    @property
    def short(self) -> str:
        """Signedness and width, as on the wires of a diagram: ``s9``, ``u3..9``."""
        return ("s" if self.signed else "u") + self.bits


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer. ``result`` is None where there is none: the layer is ``folded`` into the next one, ``absorbed`` by quantizers of
    these names, or has no translation.

    ``observed`` is the least and the greatest real value that somebody saw. ``declared`` is the format of the result that the
    user gave, or the grid of the model's quantizer, whose elements have ``bits``; else "exact" between quantizers, and "auto".
    ``ebops`` are effective bit operations (see :mod:`bitsmith.report.ebops`).
    """

    name: str
    kind: str
    source: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    constants: tuple[ConstantRow, ...]
    declared: str
    result: ResultRow | None
    folded: bool
    observed: tuple[float, float] | None = None
    bits: BitCounts = ()
    ebops: int | None = None
    absorbed: tuple[str, ...] = ()

    if not TYPE_CHECKING:  # which would take any name for one of these

        def __getattr__(self, name: str) -> object:
            raise absent(self, name, OF_LAYERS)

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(constant.size for constant in self.constants)

    @property
    def nonzero(self) -> int:
        """Number of trained values that are not zero after quantization."""
        return sum(constant.nonzero for constant in self.constants)

    @property
    def title(self) -> str:
        """The framework's class name; ours where there is none or where a pass replaced the layer."""
        return self.source or self.kind

    @property
    def shape_text(self) -> str:
        """The result's shape: ``8x8x1``."""
        return "x".join(map(str, self.shape)) or "scalar"


@dataclass(frozen=True, slots=True)
class Design:
    """A network as it was built: what the HTML page shows beside the figures."""

    name: str
    part: str
    clock_period_ns: float
    layers: tuple[LayerRow, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def outline(self) -> str:
        """Shapes of the inputs and outputs, and the number of trained values: what tells one network from another."""
        given = [row.shape_text for row in self.layers if not row.inputs and not row.constants]
        results = [row.shape_text for row in self.layers if row.name in self.outputs]
        sizes = f"{', '.join(given)} -> {', '.join(results)}"
        return f"{sizes} with {sum(row.parameters for row in self.layers):,} trained values"


def rows(
    network: Network, program: Program, observed: Mapping[str, tuple[float, float]] | None = None
) -> tuple[LayerRow, ...]:
    """One row per layer of ``network`` that the user knows, in its order.

    ``observed`` gives the least and the greatest real value seen of layers' results, if somebody looked.
    """
    shapes = network.shapes()
    probes = {probe.name: probe.node for probe in program.probes}
    absorbed = _absorbed(network)
    inputs = {op.name: op for op in program.input_ops()}
    decided, operations = settled(network), ebops(network, program) if is_quantized(network) else {}
    nodes = {node.name: node for node in network.nodes}
    return tuple(
        LayerRow(
            name=node.name,
            kind=node.layer.kind,
            source=_source(node),
            inputs=node.inputs,
            shape=node.shape_in_model(shapes[node.name]),
            constants=tuple(
                _constant(node, variable, values, [nodes[name] for name in node.inputs])
                for variable, values in node.layer.weights().items()
            ),
            declared=_declared(node, inputs.get(node.name), exact=node.name in decided),
            result=None
            if node.name not in probes or node.folded or node.name in absorbed
            else _result(program, probes[node.name], node.affine),
            folded=node.folded,
            observed=None if observed is None else observed.get(node.name),
            bits=_result_bits(node, shapes[node.name]),
            ebops=operations.get(node.name),
            absorbed=absorbed.get(node.name, ()),
        )
        for node in network.nodes
        if not node.inner
    )


def _absorbed(network: Network) -> dict[str, tuple[str, ...]]:
    """The layers of which only scales and offsets are left, or nothing, and the quantizers that do what they did."""
    affines = {node.name: node.affine for node in network.nodes}
    live, sums = network.live(), _sums(network)
    absorbed: dict[str, tuple[str, ...]] = {}
    for node in network.nodes:
        if node.name not in live and node.inputs and not node.inner:
            absorbed[node.name] = absorbed.get(node.inputs[0], ()) or sums.get(_summands(network, node), ())
        elif isinstance(node.layer, Identity) and node.affine is not None:
            moved = not node.folded and _is_same(node.affine, affines[node.inputs[0]])
            absorbed[node.name] = () if moved else _quantizers_after(network, node)
    return {name: quantizers for name, quantizers in absorbed.items() if quantizers}


def _summands(network: Network, node: NetworkNode) -> frozenset[str]:
    """Return the summands of a sum, before it is scaled."""
    operands = (network.node(name) for name in node.inputs)
    return frozenset(one.inputs[0] if one.inner and one.inputs else one.name for one in operands)


def _sums(network: Network) -> dict[frozenset[str], tuple[str, ...]]:
    """By their summands, the quantizers of sums that take codes (see the pass ``weighted_sums``)."""
    sums: dict[frozenset[str], tuple[str, ...]] = {}
    for node in network.nodes:
        total = network.node(node.inputs[0]) if isinstance(node.layer, Quantize) else None
        if total is not None and total.inner and isinstance(total.layer, AddLayer):
            key = _summands(network, total)
            sums[key] = (*sums.get(key, ()), node.name)
    return sums


def _is_same(affine: Affine, other: Affine | None) -> bool:
    return other is not None and affine.is_same(other) and bool(np.all(affine.offset == other.offset))


def _quantizers_after(network: Network, node: NetworkNode) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for reader in network.consumers(node.name):
        if reader.layer.traits.exactness is Exactness.GRID or reader.affine is None:
            names |= {reader.name: None} if not reader.inner else {}
        else:
            names |= dict.fromkeys(_quantizers_after(network, reader))
    return tuple(names)


def _source(node: NetworkNode) -> str:
    """The framework's name of the layer; of one that only applies a function, that function."""
    if node.source not in ("Activation", "QActivation"):
        return node.source
    return node.layer.function if isinstance(node.layer, Activation) else node.layer.kind


def _declared(node: NetworkNode, declared_input: Input | None, *, exact: bool) -> str:
    """The format of a layer's result as the user or the model gave it; an input always has one."""
    given = node.settings.precision.get("result")
    if given is not None:
        return str(given)
    if declared_input is not None:
        return input_format(declared_input)
    if isinstance(node.layer, Quantize):
        return grid_text(node.layer.quantizer, node.affine)
    return EXACT if exact else AUTO


def _result_bits(node: NetworkNode, shape: Shape) -> BitCounts:
    quantizer = node.layer.quantizer if isinstance(node.layer, Quantize | InputLayer) else None
    return () if quantizer is None or "result" in node.settings.precision else bit_counts(quantizer, shape)


def input_format(op: Input) -> str:
    """The format that an input is declared to have; of several the span, see :func:`bitsmith.ir.types.format_text`."""
    return format_text(
        FixedFormat(lo < 0, max(width_of(lo, hi), 1), int(frac), op.rounding, op.overflow)
        for frac, lo, hi in np.broadcast(op.frac, op.lo, op.hi)
    )


def input_range(op: Input) -> str:
    """The range of an input's values."""
    if op.frac.size > 1 or op.lo.size > 1 or op.hi.size > 1:
        return "the ranges of their features"
    span = infer(op, ()).span
    least = max(span.least, -span.greatest) if op.overflow is Overflow.SAT_SYM else span.least
    return f"{float(least):g}..{float(span.greatest):g}"


def _constant(node: NetworkNode, variable: str, values: Floats, operands: Sequence[NetworkNode]) -> ConstantRow:
    try:
        held = held_constant(node, variable, values)
    except BitsmithError:
        return ConstantRow(variable, values.shape, int(np.count_nonzero(values)), AUTO, "not finite")
    declared, quantizer = node.settings.precision.get(variable), node.quantizers.get(variable)
    if declared is not None:
        text, quantizer = _plain([declared]), None
    elif quantizer is not None:
        text = grid_text(quantizer, moved_scale(node, variable, operands), modes=False)
    else:
        text = EXACT if variable in exact_variables(node) else AUTO
    return ConstantRow(
        variable=variable,
        shape=values.shape,
        nonzero=int(np.count_nonzero(held.raw)),
        declared=text,
        format=held.text,
        bits=() if quantizer is None else bit_counts(quantizer, values.shape),
        histogram=tuple(map(int, np.histogram(held.values, _BINS)[0])) if values.size > _BINS else (),
    )


@dataclass(frozen=True, slots=True)
class HeldConstant:
    """Trained tensor as the circuit holds it: raw integers, their ``frac``, which broadcasts to them, and their formats."""

    raw: IntArray
    frac: Fracs
    formats: tuple[FixedFormat, ...]

    @property
    def values(self) -> Floats:
        """The real values."""
        return np.asarray(np.ldexp(self.raw.astype(np.float64), -self.frac))

    @property
    def text(self) -> str:
        """The formats, without modes: these never matter, since constants are rounded to nearest and saturated."""
        return _plain(self.formats)


def held_constant(node: NetworkNode, variable: str, values: Floats) -> HeldConstant:
    """Return ``values``, a trained tensor of ``node``, as the circuit holds it.

    Raises:
        UnsupportedError: values that are not finite.
    """
    # The lowering itself is asked.
    exactly = exact_variables(node), reach(node)
    lowering = Lowering(node.name, ProgramBuilder(), node.settings, _NOTHING_SEEN, (), (), False, node.fracs, *exactly)
    scale = None if lowering.loaded else node.layer.weight_exponents(variable, node.settings.bits.of(variable))
    exact, frac = lowering.scaled_constant(variable, values, scale)
    raw = short(exact)
    if lowering.loaded:
        return HeldConstant(raw, frac, (lowering.whole_format(variable, values),))
    lo, hi = (int(raw.min()), int(raw.max())) if raw.size else (0, 0)
    width, declared = max(width_of(lo, hi), 1), node.settings.precision.get(variable)
    formats = (declared,) if declared else tuple(FixedFormat(lo < 0, width, int(each)) for each in np.unique(frac))
    return HeldConstant(raw, frac, formats)


def _plain(formats: Sequence[FixedFormat]) -> str:
    """The formats of a constant, without modes."""
    return format_text(FixedFormat(fmt.signed, fmt.width, fmt.frac) for fmt in formats)


def _stored(program: Program, place: int, affine: Affine | None) -> TensorType:
    """The type of what is stored of the user's values at ``place``, which an ``affine`` makes of it."""
    if affine is not None:
        for op, is_there in ((Add, not affine.is_centered), (Mul, True)):
            node = program.nodes[place]
            if is_there and isinstance(node.op, op):
                place = next((arg for arg in node.args if not isinstance(program.nodes[arg].op, Const)), place)
    return program.nodes[place].type


def _result(program: Program, place: int, affine: Affine | None) -> ResultRow:
    proved, stored = program.nodes[place].type, _stored(program, place, affine)
    magnitude_bits = proved.width - (proved.lo < 0).astype(np.int64)
    scaled, widths, fracs = stored is not proved, stored.width, proved.frac
    with np.errstate(over="ignore", invalid="ignore"):
        lo, hi = proved.real_range()
    top = int((magnitude_bits - proved.frac).max())
    if scaled:
        fracs = np.asarray(widths - (stored.lo < 0) - top, dtype=np.int64)
    return ResultRow(
        width_min=int(widths.min()),
        width_max=int(widths.max()),
        frac_min=int(fracs.min()),
        frac_max=int(fracs.max()),
        top=top,
        signed=bool(np.any(proved.lo < 0)),
        lo=lo if math.isfinite(lo) else None,
        hi=hi if math.isfinite(hi) else None,
        scaled=scaled,
    )


def design_from_json(document: object) -> Design:
    """The design of its fields as plain values (``dataclasses.asdict``); ``document`` is untrusted.

    Raises:
        ProjectError: a missing field or one of the wrong kind.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Design).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ProjectError(f"design.{place}: {first['msg']}", where="report") from error
