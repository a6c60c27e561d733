"""Gives a program the trained numbers of another one.

Before: ``%2 = linear %1 weights=3[...]`` of one program, and ``%2 = linear %1 weights=5[...]`` of another one, of the same
structure. After: the first one with the other's numbers, rounded to its own steps. Formats of results, limits and tables stay.
"""

from dataclasses import replace

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
    nodes, layers = list[Node](), dict[str, str]()
    for own, theirs in zip(program.nodes, other.nodes, strict=False):
        named, wanted = (f"{type(each.op).__name__} of shape {each.type.shape}" for each in (theirs, own))
        if named != wanted or own.args != theirs.args or layers.setdefault(own.layer, theirs.layer) != theirs.layer:
            raise unlike(own.layer, f"{named} of layer {theirs.layer!r}", wanted)
        alike = all(program.nodes[arg].type == other.nodes[arg].type for arg in own.args)
        op = _with_numbers(own.op, theirs.op, alike=alike)
        if op is None:
            raise unlike(
                own.layer, f"a {type(own.op).__name__} of layer {theirs.layer!r} with other numbers", "the same"
            )
        nodes.append(Node(op, own.args, infer(op, [nodes[arg].type for arg in own.args]), own.layer))
    if len(program.nodes) != len(other.nodes):
        raise unlike("", f"{len(other.nodes)} operations", f"{len(program.nodes)}")
    if [each.node for each in program.outputs] != [each.node for each in other.outputs]:
        raise unlike("", "outputs in another order", "the same ones")
    return Program(tuple(nodes), program.outputs, program.probes)


def _with_numbers(own: ops.Op, theirs: ops.Op, *, alike: bool) -> ops.Op | None:
    """``own`` with the trained numbers of ``theirs``; None if they differ in more than these and in formats.

    Tables of operands that are ``alike`` are comparable.
    """
    match own, theirs:
        case ops.Linear(), ops.Linear():
            return ops.Linear(_in_steps(own.frac, own.weights.shape, objects(theirs.weights), theirs.frac), own.frac)
        case ops.Const(), ops.Const():
            return ops.Const(_in_steps(own.frac, own.raw.shape, theirs.raw, theirs.frac), own.frac)
        case ops.Input(), ops.Input():
            return replace(own, ladders=theirs.ladders)
        case ops.Cast(), ops.Cast():
            return own
        case ops.Table(), ops.Table() if not alike or not np.array_equal(own.frac, theirs.frac):
            return own
        case _:
            return own if own.key() == theirs.key() else None


def _in_steps(own: Fracs, shape: tuple[int, ...], values: Ints, frac: Fracs) -> Ints:
    """The ``values`` in steps of ``2**-own``, rounded to the nearest, in a ``shape``."""
    drop = np.broadcast_to(frac, values.shape) - np.broadcast_to(own, shape)
    return frozen(drop_bits(values, objects(drop), Rounding.RND))


def unlike(layer: str, found: str, accepted: str) -> UnsupportedError:
    """The error of a model whose structure is another one than that of the circuit."""
    return UnsupportedError(
        f"another model of another structure: {found}",
        where=f"layer {layer!r}" if layer else "image",
        accepted=accepted,
        remedy="convert the other model with the same arguments; layers and shapes must be the same",
    )
