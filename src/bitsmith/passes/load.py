"""Gives parameters other values.

Before: ``%1 = parameter name=weight raw=1[3]``. After: ``raw=1[5]``; types do not change, since they do not depend on values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from bitsmith.ir import ops
from bitsmith.ir.infer import infer
from bitsmith.ir.program import Node, Program
from bitsmith.ir.types import Ints, objects

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
            raw = np.array(objects(values[node.layer, node.op.name]), dtype=np.object_).reshape(node.op.raw.shape)
            raw.setflags(write=False)
            node = replace(node, op=replace(node.op, raw=raw))
            infer(node.op, [])
        nodes.append(node)
    return replace(program, nodes=tuple(nodes))
