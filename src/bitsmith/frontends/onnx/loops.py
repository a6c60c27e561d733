"""ONNX's loops as copies of their bodies: Loop, which a constant condition may end, and Scan, which takes a row in each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.known import Known, Operand, value_of
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.onnx.graph import MAX_NODES, Body, Node
from bitsmith.frontends.ops.selection import select

Operands: TypeAlias = "tuple[Operand | None, ...]"

Places: TypeAlias = tuple[tuple[int, bool], ...]
"""The axis of each sequence of rows, and whether it runs backwards."""

DISTANCES = frozenset({"Identity", "Sub", "ReduceSumSquare"})
"""Operators of a scan over constant points that stands for distances from these."""


def endless() -> UnsupportedError:
    """Return the error of a loop of another kind than these."""
    return UnsupportedError(
        f"only loops of a constant number of steps are translated, which become at most {MAX_NODES} nodes",
        remedy="export the model with fixed sizes",
    )


@dataclass(frozen=True, slots=True)
class Copies:
    """A loop as at most so many ``steps``, copies of its ``body``; a ``whole`` one has no more.

    Args:
        carried: what enters the first step beside rows, and is handed on from step to step.
        going: the condition of a Loop for its first step; None of a Scan, which takes all steps.
        rows: sequences of a Scan, of which each step takes a row.
        takes: their places.
        gives: the places of the rows of all steps in the results.
    """

    body: Body
    steps: int
    whole: bool
    carried: Operands
    going: Operand | None
    rows: Operands = ()
    takes: Places = ()
    gives: Places = ()

    @staticmethod
    def of(node: Node, values: Operands, opset: int) -> Copies | None:
        """The copies that a Loop or a Scan becomes; None of any other node, and of one of too many steps or of unlike parts.

        Raises:
            MixedSamplesError: a Scan takes samples one after the other.
        """
        body = node.bodies.get("body")
        if body is None or len(values) != len(body.inputs):
            return None
        most = MAX_NODES // max(len(body.nodes), 1)
        if node.kind == "Loop":
            return _loop(node, body, values, most)
        kinds = {inner.operator for inner in body.nodes}
        return _scan(node, body, values, most) if node.kind == "Scan" and opset > 8 and kinds != DISTANCES else None

    def given(self, build: Builder, step: int, going: Operand | None, carried: Operands) -> Operands:
        """The operands of the body in a step."""
        if going is not None:
            return (Known((np.array(step),)), going, *carried)
        rows: list[Operand | None] = []
        for number, (x, (axis, backwards)) in enumerate(zip(self.rows, self.takes, strict=True)):
            place = self.steps - 1 - step if backwards else step
            if isinstance(x, Known):
                rows.append(Known(tuple(np.take(array, place, axis) for array in x.at)))
            else:
                rows.append(None if x is None else select(build.within(f"row{number}"), x, axis, place))
        return (*carried, *rows)

    def column(self, build: Builder, number: int, rows: Sequence[Operands]) -> tuple[list[Value], int]:
        """The rows of that ``number`` of all steps, in the order of the result, and its axis along which they are."""
        axis, backwards = self.gives[number] if self.gives else (0, False)
        column = [row[number] for row in rows]
        tensors = [value_of(x, build.counts) if isinstance(x, Known) else x for x in column if x is not None]
        if not tensors:
            raise UnsupportedError("rows of a loop that takes no step", accepted="one step or more")
        return tensors[::-1] if backwards else tensors, axis


def goes_on(going: Operand | None) -> bool:
    """Return True if the condition of a step holds.

    Raises:
        UnsupportedError: that depends on the data, or on the number of samples.
    """
    held = {bool(np.all(array)) for array in going.at} if isinstance(going, Known) else set()
    if len(held) != 1:
        raise UnsupportedError(
            "a loop whose number of steps depends on the data", remedy="export the model with a fixed number of steps"
        )
    return held.pop()


def _loop(node: Node, body: Body, values: Operands, most: int) -> Copies | None:
    asked, going, *carried = values
    if (asked is not None and not isinstance(asked, Known)) or not len(carried) <= len(node.outputs) < len(
        body.outputs
    ):
        return None
    count = np.array(most + 1) if asked is None else asked.array()
    if count.dtype.kind != "i" or count.size != 1:
        return None
    steps = int(count.ravel()[0])
    if steps < 1 or (steps > most and not _may_end(body)):
        return None
    return Copies(body, min(steps, most), steps <= most, tuple(carried), going or Known((np.array(True),)))


def _may_end(body: Body) -> bool:
    """Return True if the condition of the next step is computed, not that of this one handed on."""
    same = {body.inputs[1], *body.constants, *body.around}
    for node in body.nodes:
        if node.operator in ("Identity", "Constant") and same.issuperset(node.inputs):
            same.update(node.outputs)
    return body.outputs[0] not in same


def _scan(node: Node, body: Body, values: Operands, most: int) -> Copies | None:
    count = node.attributes.integer("num_scan_inputs")
    carried = len(values) - count
    given = len(body.outputs) - carried
    node.attributes.ignore("body")
    takes, gives = (_places(node, f"scan_{way}", length) for way, length in (("input", count), ("output", given)))
    if not 0 < count <= len(values) or given < 0 or None in values or len(node.outputs) > len(body.outputs):
        return None
    sizes = {_length(x, axis) for x, (axis, _) in zip(values[carried:], takes, strict=True)}
    if len(sizes) != 1 or not 0 < max(sizes) <= most:
        return None
    return Copies(body, sizes.pop(), True, values[:carried], None, values[carried:], takes, gives)


def _places(node: Node, name: str, count: int) -> Places:
    """The places of ``count`` sequences of rows."""
    axes, turns = (node.attributes.integers(f"{name}_{what}") or (0,) * count for what in ("axes", "directions"))
    if len(axes) != count or len(turns) != count:
        raise node.attributes.wrong(f"{name}_axes", f"{count} integers")
    return tuple((axis, bool(turn)) for axis, turn in zip(axes, turns, strict=True))


def _length(x: Operand | None, axis: int) -> int:
    """The rows of ``x`` along an axis, which may not be that of the samples."""
    if isinstance(x, Known):
        lengths = {array.shape[axis] if -array.ndim <= axis < array.ndim else 0 for array in x.at}
        return lengths.pop() if len(lengths) == 1 else 0
    return 0 if x is None else x.shape[x.axis(axis)]
