"""Gives a program the trained numbers of another one.

Before: ``%2 = linear %1 weights=3[...]`` of one program, and ``%2 = linear %1 weights=5[...]`` of another one, of the same
structure. After: the first one with the other's numbers, rounded to its own steps. Formats of results, limits and tables stay.
"""

from __future__ import annotations

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Program
from bitsmith.ir.rounding import drop_bits
from bitsmith.ir.types import Fracs, Ints, Rounding, frozen, objects


def with_weights_of(program: Program, other: Program) -> Program:
    """``program`` with the weights and constants of ``other``.

    Raises:
        UnsupportedError: a program of another structure.
    """
    if len(program.nodes) != len(other.nodes):
        raise _unlike("", f"{len(other.nodes)} operations", f"{len(program.nodes)}")
    nodes = list[Node]()
    for own, theirs in zip(program.nodes, other.nodes, strict=True):
        named, wanted = (f"{type(each.op).__name__} of shape {each.type.shape}" for each in (theirs, own))
        if named != wanted or (own.args, own.layer) != (theirs.args, theirs.layer):
            raise _unlike(own.layer, f"{named} of layer {theirs.layer!r}", wanted)
        op = own.op
        if isinstance(op, ops.Linear) and isinstance(theirs.op, ops.Linear):
            op = ops.Linear(_in_steps(op.frac, op.weights, theirs.op.weights, theirs.op.frac), op.frac)
        elif isinstance(op, ops.Const) and isinstance(theirs.op, ops.Const):
            op = ops.Const(_in_steps(op.frac, op.raw, theirs.op.raw, theirs.op.frac), op.frac)
        nodes.append(Node(op, own.args, infer(op, [nodes[arg].type for arg in own.args]), own.layer))
    return Program(tuple(nodes), program.outputs, program.probes)


def _in_steps(own: Fracs, raw: Ints, values: Ints, frac: Fracs) -> Ints:
    """The ``values`` in steps of ``2**-own``, rounded to the nearest, in the shape of ``raw``."""
    drop = np.broadcast_to(frac, values.shape) - np.broadcast_to(own, raw.shape)
    return frozen(drop_bits(values, objects(drop), Rounding.RND))


def _unlike(layer: str, found: str, accepted: str) -> UnsupportedError:
    return UnsupportedError(
        f"another model of another structure: {found}",
        where=f"layer {layer!r}" if layer else "image",
        accepted=accepted,
        remedy="convert the other model with the same arguments; layers and shapes must be the same",
    )
