"""Words of a memory outside with which the engines of one program execute another one, that has other weights and biases."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitsmith.dataflow.storage import weight_bits
from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints
from bitsmith.mapping.builder import DataflowBuilder, NodeId, builder_of
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.engine.engines import Region, engine_of, layouts, regions_of
from bitsmith.mapping.engine.function import biases_of
from bitsmith.mapping.engine.rows import Row
from bitsmith.mapping.engine.steps import frac_of
from bitsmith.mapping.engine.units import Unit
from bitsmith.mapping.formats import whole_range


def images_of(program: Program, other: Program, directives: Directives) -> list[Ints]:
    """The words of each engine of ``program`` for ``other``, which differs from it in trained numbers alone.

    Raises:
        UnsupportedError: a number that lies in the circuit, or that has more bits than there is room for.
    """
    own, theirs = builder_of(program, directives), builder_of(other, directives)
    if [type(node.op) for node in own.program.nodes] != [type(node.op) for node in theirs.program.nodes]:
        raise _refused("", "constants that are alike", "as many as the circuit has")
    regions = regions_of(own)
    alike = _units_like(theirs, regions)
    if alike is None:
        accepted = "such as leave the same layers in turn"
        raise _refused("", "numbers with which other layers take turns", accepted)
    placed = [(one, one.row, units) for one, units in zip(regions, alike, strict=True) if one.row]
    _require_outside(own, theirs.program, [region for region, *_ in placed])
    return [_words(own, *each) for each in placed]


def _units_like(builder: DataflowBuilder, regions: Sequence[Region]) -> list[tuple[Unit, ...]] | None:
    """The units that take turns as those of ``regions`` of another program, whatever cycles they need; None without any."""
    for layout in layouts(builder):
        pairs = zip(regions, layout, strict=False)
        alike = [units for region, ways in pairs for units, *_ in ways if len(units) == len(region.units)]
        if len(alike) == len(layout) == len(regions):
            return alike
    return None


def _require_outside(own: DataflowBuilder, other: Program, regions: Sequence[Region]) -> None:
    """Check that numbers that differ belong to engines."""
    inside = frozenset[NodeId]().union(*(region.nodes for region in regions))
    for index, (node, theirs) in enumerate(zip(own.program.nodes, other.nodes, strict=True)):
        if not _differ(node.op, theirs.op):
            continue
        readers = own.reading(NodeId(index))
        if not inside.issuperset(readers if isinstance(node.op, ops.Const) else [NodeId(index)]):
            raise _refused(node.layer, "numbers that lie in the circuit", "those of layers in turn on an engine")


def _differ(own: ops.Op, other: ops.Op) -> bool:
    """Return True if trained numbers differ."""
    match own, other:
        case ops.Linear(), ops.Linear():
            return not np.array_equal(own.weights, other.weights)
        case ops.Const(), ops.Const():
            return not np.array_equal(own.raw, other.raw)
        case _:
            return False


def _words(builder: DataflowBuilder, region: Region, row: Row, others: tuple[Unit, ...]) -> Ints:
    """The words of an engine for ``others``, units of the same functions."""
    function = region.function()
    engine = engine_of(builder, region, row, function, function.biases, fed=True)
    for own, other in zip(region.units, others, strict=True):
        same = np.array_equal(own.fracs, other.fracs) and frac_of(own.kind) == frac_of(other.kind)
        if not same or _functions(own) != _functions(other):
            raise _refused(own.name, "constants of functions", "weights and biases alone")
        _require_room(own, other)
    biases = list[Ints]()
    for own, other, fracs in zip(region.units, others, function.fracs, strict=True):
        finer = other.bias_frac - own.bias_frac
        least, most = (int(end(other.bias)) << max(-finer, 0) for end in (np.min, np.max))
        if (least or most) and other.bias_frac > min(fracs):
            raise _refused(own.name, f"biases of {other.bias_frac} fractional bits", f"{min(fracs)}")
        room = own.room << max(finer, 0)
        if least < -room or most > max(room - 1, 0):
            raise _refused(own.name, "biases that are larger", "such of about twice the magnitude at most")
        biases.append(biases_of(other, fracs))
    layers = engine_of(builder, replace(region, units=others), row, function, biases, fed=True).layers
    for own_layer, layer in zip(engine.layers, layers, strict=True):
        bits = weight_bits(layer.weights)
        if bits > engine.weight_bits:
            raise _refused(own_layer.name, f"weights of {bits} bits", f"{engine.weight_bits} bits")
        most = max(one.reach_of_weights for one in engine.layers if one.positions == own_layer.positions)
        if layer.reach_of_weights > most:
            raise _refused(own_layer.name, f"weights beyond {most}", f"at most {most} in magnitude")
    return engine.words_of(layers)


def _functions(unit: Unit) -> list[object]:
    """The steps of the sums of each column."""
    keys = [
        tuple((step.op.key(), *(x.key() if isinstance(x, ops.Const) else x for x in step.operands)) for step in steps)
        for steps in unit.functions
    ]
    return [keys[number] for number in unit.chosen.tolist()]


def _require_room(own: Unit, other: Unit) -> None:
    """Check that sums and results have no more bits than those that the circuit was made for."""
    for name, (low, high), (least, most) in (
        ("sums", other.exact, own.total),
        ("results", other.kind.raw_range, whole_range(*own.kind.raw_range)),
    ):
        if low < least or high > most:
            raise _refused(own.name, f"{name} from {low} to {high}", f"{name} from {least} to {most}")


def _refused(layer: str, found: str, accepted: str) -> UnsupportedError:
    where = f"layer {layer!r}" if layer else "image"
    return UnsupportedError(
        f"other {found}", where=where, accepted=accepted, remedy="build a circuit of the other model"
    )
