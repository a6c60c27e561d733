"""Losses: values that leave the formats that they are cast to, where and how many.

In: a program and the network that it came from. Out: the program with the operands of such casts as outputs, and from their
values the losses. Looked at are the casts to formats of the user's and those by which ``auto`` limits results to what calibration
data show; the others are what a quantized model itself says, or steps of a computation, such as the bits of an argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Batch
from bitsmith.emulate.bounds import overflows
from bitsmith.emulate.notes import SPARE
from bitsmith.emulate.quantize import fast, quantize_exactly, quantize_into
from bitsmith.emulate.workspace import States
from bitsmith.fidelity.deviation import Span
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Output, Program
from bitsmith.ir.rounding import rounded_range
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.traits import Exactness
from bitsmith.passes.network.index_inputs import look_ups
from bitsmith.report.sections import percent
from bitsmith.report.shown import Shown

_AT_ONCE = 1024
"""Samples whose operands are held at once."""

_STEPS, MOST_PLACES = 128, 128
"""Steps that a proposed format has within the range of a result, and bits on either side of the point beyond which none is
proposed."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Values that left the range of a cast of ``layer``: ``count`` of ``total``, which lay within ``lo`` to ``hi``.

    ``variable`` is the precision variable whose ``format`` it is; the format is None if it is of ``auto``. ``rows`` are the
    numbers that an index may be.
    """

    layer: str
    variable: str
    overflow: Overflow
    format: FixedFormat | None
    count: int
    total: int
    lo: float
    hi: float
    rows: range | None = None

    @property
    def share(self) -> float:
        """The part of all values."""
        return self.count / self.total

    @property
    def saturates(self) -> bool:
        """True if the values are the nearest ones of the range, not others nor the numbers of other rows."""
        return self.rows is None and self.overflow is not Overflow.WRAP

    @property
    def clearly(self) -> bool:
        """True if some value lies beyond the format by more than rounding."""
        most = 0.0 if self.format is None else math.ldexp(max(-self.format.lo, self.format.hi), -self.format.frac)
        return max(-self.lo, self.hi) > most * (1.0 + SPARE)

    def advice(self, others: Iterable[Loss]) -> str:
        """Return the text on a format that would do in place of the user's, also for what ``others`` of the layer reach."""
        if self.format is None:
            return ""
        own = [other for other in others if other.layer == self.layer]
        reached = Span(min(loss.lo for loss in own), max(loss.hi for loss in own))
        return f"; give it {self.variable}: {holding(self.format, reached)}"

    def __str__(self) -> str:
        if self.rows is not None:
            return (
                f"layer {self.layer!r}: {self.count:,} of {self.total:,} values are not the index of a row, "
                f"{self.rows[0]}..{self.rows[-1]}; the nearest row is taken; they reach {self.lo + 0.0:.4g} .. {self.hi:.4g}"
            )
        verb = "wrap" if self.overflow is Overflow.WRAP else "saturate"
        within = "the range of auto" if self.format is None else str(self.format)
        return (
            f"layer {self.layer!r}: {self.count:,} of {self.total:,} values ({percent(self.share)}) {verb} in {within} "
            f"({self.variable}); they reach {self.lo + 0.0:.4g} .. {self.hi:.4g}"
        )


@dataclass(frozen=True, slots=True)
class Losses(Shown):
    """All losses on some inputs, by layers; a table that prints."""

    rows: tuple[Loss, ...]

    def __iter__(self) -> Iterator[Loss]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return "\n".join(map(str, self.rows)) or "no value leaves its format"


@dataclass(frozen=True, slots=True)
class LossyCast:
    """A cast, and where its operand is: elements ``start`` to ``stop`` of a row of output ``place``, or all of it.

    It is the one ``of_result`` of a layer if what it leaves is that: the last one, or that of sums which are the result.
    """

    layer: str
    variable: str
    format: FixedFormat | None
    cast: ops.Cast
    of_result: bool
    shape: tuple[int, ...]
    place: int
    start: int | None = None
    stop: int | None = None
    rows: range | None = None

    @property
    def limits(self) -> bool:
        """True if ``auto`` limits a result to what calibration data show."""
        return self.format is None and self.rows is None


@dataclass(frozen=True)
class LossyCasts:
    """Casts that may lose values. ``program`` has their operands as its outputs ``operand0``, ``operand1``, ..."""

    program: Program
    casts: tuple[LossyCast, ...]

    @staticmethod
    def of(program: Program, network: Network) -> LossyCasts:
        """Return the casts of ``program``, which ``network`` became, that may lose values."""
        nodes, casts, wanted = list(program.nodes), list[LossyCast](), list[int]()
        users, readers = {node.name: node for node in network.nodes}, network.readers()
        ends, of_inputs = _ends(program), {each.layer for found in look_ups(network).values() for each in found}
        for index, node in enumerate(program.nodes):
            if isinstance(node.op, ops.Cast):
                layer = users.get(node.layer)
                # Of inputs that hold indices predictions warn on their own.
                is_index = node.op.rounding is Rounding.TRN_ZERO and node.layer not in of_inputs
                rows = layer.layer.traits.indices if layer is not None and is_index else None
                variable = ("index", None) if rows else _variable(node.op, layer, at_end=index in ends)
                told_apart = not _beyond_all(node.op, readers.get(node.layer, ()))
                if variable is not None and told_apart and _may_lose(node.op, program, node.args[0]):
                    shape = program.nodes[node.args[0]].type.shape
                    # A sum is the result of what multiplies, but for rounding.
                    sums = layer is not None and layer.layer.traits.multiplies
                    whole = variable[0] in ("result", "accum" if sums else "")
                    casts.append(LossyCast(node.layer, *variable, node.op, whole, shape, len(wanted), rows=rows))
                    wanted.append(node.args[0])
            elif isinstance(node.op, ops.Scan):
                inside = list(_inside(node.op, users, node.layer, len(wanted)))
                if inside:
                    casts += [each for each, _ in inside]
                    nodes.append(_opened(node, [operand for _, operand in inside], nodes))
                    wanted.append(len(nodes) - 1)
        outputs = tuple(Output(f"operand{place}", index) for place, index in enumerate(wanted))
        return LossyCasts(Program(tuple(nodes), outputs), tuple(casts))

    def of_indices(self) -> LossyCasts:
        """Return the casts of indices alone, whose program computes little more than these."""
        kept = [each for each in self.casts if each.rows is not None]
        outputs = tuple(self.program.outputs[each.place] for each in kept)
        casts = (replace(each, place=place) for place, each in enumerate(kept))
        return LossyCasts(replace(self.program, outputs=outputs), tuple(casts))

    @property
    def indices(self) -> Mapping[str, range]:
        """The layers that look rows up by indices that may lie outside, and what these may be."""
        return {each.layer: each.rows for each in self.casts if each.rows is not None}

    @property
    def told(self) -> list[ops.Cast]:
        """The casts of which a run tells: all but those of indices."""
        return [each.cast for each in self.casts if each.rows is None]

    def saturating(self, casts: Iterable[ops.Cast]) -> list[LossyCast]:
        """Return those of some ``casts``, which values have left, that saturate."""
        known = {id(each.cast): each for each in self.casts if each.cast.overflow is not Overflow.WRAP}
        return [known[id(cast)] for cast in casts if id(cast) in known]

    def losses(self, operands: Iterable[Floats]) -> list[Loss]:
        """Return a row of each cast for ``operands``, the values of the outputs of :attr:`program`; one is held at a time."""
        places = enumerate(operands)
        return [_loss(each, values) for place, values in places for each in self.casts if each.place == place]

    def run(self, emulator: Emulator, inputs: Sequence[Batch]) -> Losses:
        """Return the losses for these inputs; ``emulator`` executes :attr:`program`."""
        parts: list[list[Loss]] = []
        states: States = {}
        for start in range(0, len(inputs[0]) if self.casts else 0, _AT_ONCE):
            operands, _, _ = emulator.run_watched([x[start : start + _AT_ONCE] for x in inputs], states)
            parts.append(self.losses(operands))
        return joined(parts)


def holding(fmt: FixedFormat, reached: Span, size: float | None = None) -> FixedFormat:
    """``fmt`` with as many more bits as hold what is ``reached``, in not too few steps of a range of ``size``."""
    signed = fmt.signed or reached.lo < 0
    integer = min(math.frexp(max(reached.hi, -reached.lo, 2.0**-fmt.frac))[1] + int(signed), MOST_PLACES)
    frac = max(fmt.frac, min(math.ceil(math.log2(_STEPS) - math.log2(size or reached.size)), MOST_PLACES))
    return replace(fmt, signed=signed, width=max(integer + frac, 1), frac=frac)


def joined(parts: Sequence[Sequence[Loss]]) -> Losses:
    """The losses of each cast as one, if there are any; ``parts`` have a row of each, for some of the samples."""
    rows = (
        replace(
            of_cast[0],
            count=sum(part.count for part in of_cast),
            total=sum(part.total for part in of_cast),
            lo=min(part.lo for part in of_cast),
            hi=max(part.hi for part in of_cast),
        )
        for of_cast in zip(*parts, strict=True)
    )
    return Losses(tuple(loss for loss in rows if loss.count))


def _ends(program: Program) -> set[int]:
    """The nodes whose elements are the results of layers."""
    ends: set[int] = set()
    for result in (*program.probes, *program.outputs):
        index = result.node
        while isinstance(program.nodes[index].op, ops.Movement) and len(program.nodes[index].args) == 1:
            index = program.nodes[index].args[0]
        ends.add(index)
    return ends


def _variable(cast: ops.Cast, node: NetworkNode | None, *, at_end: bool) -> tuple[str, FixedFormat | None] | None:
    """The precision variable of a layer that ``cast`` stands for, and its format if it is the user's; None: it is a step."""
    if node is None:
        return None
    formats: Mapping[str, FixedFormat] = node.settings.precision
    trained = node.layer.weights()
    named = [name for name, fmt in formats.items() if name not in trained and _is_cast_to(cast, fmt)]
    if named:
        first = next((name for name in named if (name == "result") == at_end), named[0])
        return first, formats[first]
    return ("result", None) if at_end and _limits(cast, node, "result") else None


def _limits(cast: ops.Cast, node: NetworkNode | None, variable: str) -> bool:
    """True if ``cast`` may be the limit of ``auto`` to a ``variable``."""
    return (
        node is not None
        and cast.rounding is Rounding.RND
        and cast.overflow is Overflow.SAT
        and node.layer.traits.exactness is not Exactness.GRID
        and variable not in node.settings.precision
    )


def _states(scan: ops.Scan) -> dict[int, str]:
    """The nodes of the body that make its next states, with their names: also those of which a mask chooses one."""
    names, nodes = dict[int, str](), scan.body.nodes
    for output in scan.body.outputs[: scan.states]:
        waiting = [output.node]
        while waiting:
            index = waiting.pop()
            if isinstance(nodes[index].op, ops.Select):
                waiting += nodes[index].args[1:]
            elif isinstance(nodes[index].op, ops.Movement) and len(nodes[index].args) == 1:
                waiting += nodes[index].args
            else:
                names[index] = output.name
    return names


def _is_cast_to(cast: ops.Cast, fmt: FixedFormat) -> bool:
    same = cast.overflow is fmt.overflow and cast.frac.size == cast.lo.size == cast.hi.size == 1
    return same and (int(cast.frac.item()), cast.lo.item(), cast.hi.item()) == (fmt.frac, fmt.lo, fmt.hi)


def _beyond_all(cast: ops.Cast, readers: Sequence[NetworkNode]) -> bool:
    """True if no reader tells values beyond a cast's range from the nearest within, as trees do not."""
    edges = [told.edges if told is not None else None for told in (node.layer.resolution(None) for node in readers)]
    if cast.overflow is not Overflow.SAT or not edges:
        return False
    lo, hi = (np.ldexp(raw.astype(np.float64), -cast.frac) for raw in (cast.lo, cast.hi))
    for some in edges:
        if some is None or lo.ndim > 1:
            return False
        ends = zip(some, np.broadcast_to(lo, len(some)), np.broadcast_to(hi, len(some)), strict=True)
        if any(np.any((own < least) | (own >= most)) for own, least, most in ends):
            return False
    return True


def _may_lose(cast: ops.Cast, program: Program, operand: int) -> bool:
    return overflows(cast, *rounded_range(program.nodes[operand].type, cast.frac, cast.rounding))


def _inside(
    scan: ops.Scan, users: Mapping[str, NetworkNode], outer: str, place: int
) -> Iterator[tuple[LossyCast, int]]:
    """The casts of a body to the user's formats, or which limit states and results of layers, and their operands in it."""
    start, states, nodes = 0, _states(scan), scan.body.nodes
    # What no other node of the same layer within the body reads.
    read = {arg for node in nodes for arg in node.args if node.layer and node.layer == nodes[arg].layer}
    ends = {index for index, node in enumerate(nodes) if node.layer and index not in read}
    for index, inner in enumerate(scan.body.nodes):
        if not isinstance(inner.op, ops.Cast):
            continue
        layer, operand = inner.layer or outer, inner.args[0]
        node = users.get(layer)
        variable = _variable(inner.op, node, at_end=index in ends)
        if variable is None and index in states and _limits(inner.op, node, states[index]):
            variable = states[index], None
        if variable is not None and _may_lose(inner.op, scan.body, operand):
            shape = scan.body.nodes[operand].type.shape
            stop = start + math.prod(shape)
            yield LossyCast(layer, *variable, inner.op, variable[0] == "result", shape, place, start, stop), operand
            start = stop


def _opened(node: Node, operands: Sequence[int], outer: Sequence[Node]) -> Node:
    """A scan with the elements of ``operands`` of its body, one after another, as its result."""
    assert isinstance(node.op, ops.Scan)
    body = node.op.body
    nodes = list(body.nodes)

    def add(op: ops.Op, *args: int) -> int:
        nodes.append(Node(op, args, infer(op, [nodes[arg].type for arg in args])))
        return len(nodes) - 1

    flat = [add(ops.Reshape((nodes[index].type.size,)), index) for index in operands]
    row = flat[0] if len(flat) == 1 else add(ops.Concat(0), *flat)
    opened = replace(node.op, body=replace(body, nodes=tuple(nodes), outputs=(*body.outputs[:-1], Output("row", row))))
    return Node(opened, node.args, infer(opened, [outer[arg].type for arg in node.args]), node.layer)


def _loss(lossy: LossyCast, values: Floats) -> Loss:
    if lossy.start is not None:
        values = values[..., lossy.start : lossy.stop].reshape(-1, *lossy.shape)
    limited = np.count_nonzero(_limited(lossy.cast, values)) if lossy.limits else None
    count = _outside(lossy.cast, lossy.shape, values) if limited is None else int(limited)
    lo, hi = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    return Loss(
        lossy.layer, lossy.variable, lossy.cast.overflow, lossy.format, count, max(values.size, 1), lo, hi, lossy.rows
    )


def _limited(cast: ops.Cast, values: Floats) -> npt.NDArray[np.bool_]:
    """Return which values are beyond a limit of ``auto`` by more than their rounding."""
    lo, hi = (np.ldexp(bound.astype(np.float64), -cast.frac) for bound in (cast.lo, cast.hi))
    spare = np.maximum(SPARE * float(max(np.abs(lo).max(), np.abs(hi).max())), np.ldexp(0.5, -cast.frac))
    return (values < lo - spare) | (values > hi + spare)


def _outside(cast: ops.Cast, shape: tuple[int, ...], values: Floats) -> int:
    """Return the number of values that, rounded, are outside the range of ``cast``."""
    op = ops.Input("", shape, cast.frac, cast.lo, cast.hi, cast.rounding, cast.overflow, ())
    if not values.size:
        return 0
    if not fast(op):
        return quantize_exactly(op, values)[1]
    return quantize_into(op, values, np.empty((*shape, len(values))))
