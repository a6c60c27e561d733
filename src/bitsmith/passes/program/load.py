"""Gives parameters other values.

Before: ``%1 = parameter name=weight raw=1[3]``. After: ``raw=1[5]``; types do not change, since they do not depend on values.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Ints, frozen, objects

ParameterKey: TypeAlias = tuple[str, str]
"""The layer of a parameter, and its name there."""


def parameters(program: Program) -> dict[ParameterKey, Node]:
    """The parameters of ``program``, in order."""
    return {(node.layer, node.op.name): node for node in program.nodes if isinstance(node.op, ops.Parameter)}


def load(program: Program, values: Mapping[ParameterKey, Ints]) -> Program:
    """The program whose parameters have the raw ``values``; parameters that are not named keep theirs.

    Raises:
        ProgramError: values outside the range of the parameter.
    """
    nodes = []
    for node in program.nodes:
        if isinstance(node.op, ops.Parameter) and (node.layer, node.op.name) in values:
            raw = objects(values[node.layer, node.op.name]).reshape(node.op.raw.shape)
            node = replace(node, op=replace(node.op, raw=frozen(raw)))
            infer(node.op, [])
        nodes.append(node)
    return replace(program, nodes=tuple(nodes))


def values_of(program: Program) -> dict[ParameterKey, Ints]:
    """The raw values of the parameters of ``program``."""
    return {place: node.op.raw for place, node in parameters(program).items() if isinstance(node.op, ops.Parameter)}


def random_values(program: Program) -> dict[ParameterKey, Ints]:
    """Random raw values for the parameters of ``program``, often the extremes of their ranges."""
    rng, values = np.random.default_rng(1), dict[ParameterKey, Ints]()
    for place, node in parameters(program).items():
        shape, lo, hi = node.type.shape, node.type.span.lo, node.type.span.hi
        uniform = lo + objects(rng.integers(0, 1 << 62, shape)) * (hi - lo + 1) // (1 << 62)
        kind = rng.integers(0, 8, shape)
        values[place] = objects(np.where(kind == 0, lo, np.where(kind == 1, hi, uniform)))
    return values
